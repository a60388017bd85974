//! Settings with which the trust monitor, or a firmware's watchdog, would be off in effect.
//!
//! A robot file that a person wrote is refused with them. The text that a log keeps is believed, since its replay must judge as the recording
//! did: there they are warned of. A plant of actuators is no arm, cannot hit anything, and may have any.

use super::raw::RawConfig;

/// The longest time that anything may be wrong before an arm is stopped, in seconds. Useful values are tenths of it; those that forgive
/// a machine that is busy need not be longer.
const WRONG_MAX_S: f32 = 10.0;

/// As many ticks are allowed whatever the period.
const TICKS_MIN: u32 = 20;

/// Innovation above which no model agrees with its pictures, in nats. Models at work have tens.
const NATS_MAX: f32 = 10_000.0;

/// A quarter of a turn: a joint that is farther from where it is led is nowhere near it.
const TRACK_MAX_RAD: f32 = 1.6;

/// Changes of brightness that tell something, as a share.
const LIGHT_CHANGE: (f32, f32) = (0.05, 0.9);

/// The longest time that a held arm keeps its torque without hearing anything, in seconds.
const GRACE_MAX_S: f32 = 60.0;

/// A field that would switch something off.
#[derive(Debug, PartialEq)]
pub(super) struct Lax {
    pub(super) field: &'static str,
    pub(super) problem: String,
    pub(super) remedy: String,
}

/// The first such field of `raw`.
pub(super) fn check(raw: &RawConfig) -> Result<(), Lax> {
    let ticks_max = ((WRONG_MAX_S / raw.period_s) as u32).max(TICKS_MIN);
    let trust = &raw.trust;
    for (field, ticks, least) in [
        ("capture.gap_ticks", raw.capture.gap_ticks, 1),
        ("trust.kl_ticks", trust.kl_ticks, 0),
        ("trust.frozen_ticks", trust.frozen_ticks, 0),
        ("trust.track_ticks", trust.track_ticks, 0),
        ("trust.tail_ticks", trust.tail_ticks, 0),
    ] {
        if !(least..=ticks_max).contains(&ticks) {
            return Err(Lax {
                field,
                problem: format!(
                    "{ticks} ticks are {} s, and an arm is not to go on for so long while something is wrong",
                    f64::from(ticks) * f64::from(raw.period_s)
                ),
                remedy: format!("choose from {least} to {ticks_max} ticks, which are {WRONG_MAX_S} s"),
            });
        }
    }
    let watchdog_max = WRONG_MAX_S / raw.period_s;
    for (field, value, low, high, unit) in [
        ("trust.kl_max_nats", trust.kl_max_nats, 0.0, NATS_MAX, "nats"),
        (
            "trust.kl_sum_nats",
            trust.kl_sum_nats.unwrap_or(NATS_MAX),
            0.0,
            NATS_MAX,
            "nats",
        ),
        (
            "trust.track_max_rad",
            trust.track_max_rad,
            0.0,
            TRACK_MAX_RAD,
            "rad",
        ),
        (
            "trust.light_change_max",
            trust.light_change_max,
            LIGHT_CHANGE.0,
            LIGHT_CHANGE.1,
            "of the brightness",
        ),
        (
            "link.watchdog_periods",
            raw.link.watchdog_periods,
            0.0,
            // What is not longer than the smallest whole number of periods is sound, whatever the period.
            watchdog_max.max(TICKS_MIN as f32),
            "periods",
        ),
        (
            "link.torque_grace_s",
            raw.link.torque_grace_s,
            0.0,
            GRACE_MAX_S,
            "s",
        ),
    ] {
        let problem = if !value.is_finite() {
            format!("is {value}, which is no finite number")
        } else if !(low..=high).contains(&value) {
            format!("{value} {unit} would stop nothing in time")
        } else {
            continue;
        };
        return Err(Lax {
            field,
            problem,
            remedy: format!("choose a value from {low} to {high} {unit}"),
        });
    }
    Ok(())
}
