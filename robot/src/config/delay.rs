//! How late a camera's pictures are.

use super::ConfigError;
use super::check::Checker;
use super::raw::RawConfig;

/// The most control periods by which pictures may be late: the filter remembers as many actions.
pub const DELAY_TICKS_MAX: u32 = 16;

/// `delay_s` in whole periods of `period_s`, rounded to the nearest.
pub(super) fn ticks(delay_s: f32, period_s: f32) -> u32 {
    (delay_s / period_s).round() as u32
}

/// What that leaves out or adds, for a person; `None` below a hundredth of a period.
pub(super) fn rounded(delay_s: f32, period_s: f32) -> Option<String> {
    let ticks = ticks(delay_s, period_s);
    let error_s = ticks as f32 * period_s - delay_s;
    let direction = if error_s > 0.0 { "longer" } else { "shorter" };
    (error_s.abs() >= 0.01 * period_s).then(|| {
        format!(
            "field `capture.delay_s`: the filter goes by whole control periods, and takes {delay_s} s as {ticks} of {period_s} s: \
             {:.0} ms {direction}",
            error_s.abs() * 1000.0
        )
    })
}

impl Checker<'_> {
    /// Refuses a delay that is none, one of more periods than are remembered, and one after which a camera that works is taken for
    /// one that stands still.
    pub(super) fn delay(&self, raw: &RawConfig) -> Result<(), ConfigError> {
        let field = "capture.delay_s";
        let delay_s = self.within(field, raw.capture.delay_s, 0.0, 10.0)?;
        let ticks = ticks(delay_s, raw.period_s);
        if ticks > DELAY_TICKS_MAX {
            let problem = format!("{delay_s} s is {ticks} control periods");
            let remedy = format!(
                "at most {DELAY_TICKS_MAX} can be made up for: use a faster camera, or a longer `period_s`"
            );
            return Err(self.refuse(field, problem, remedy));
        }
        if ticks > 0 && ticks >= raw.trust.frozen_ticks {
            let problem = format!(
                "pictures that are {ticks} control periods late show no motion for longer than `trust.frozen_ticks`, {}, allows",
                raw.trust.frozen_ticks
            );
            let remedy = format!("write a higher `trust.frozen_ticks`: {} or more", 2 * ticks);
            return Err(self.refuse(field, problem, remedy));
        }
        Ok(())
    }
}
