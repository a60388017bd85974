//! The scenario of a simulated arm with which things go wrong: a file that says what, when and for how long.
//!
//! ```ron
//! (
//!     begin: following,
//!     faults: [
//!         (at_s: 3.0, for_s: 1.0, fault: camera_frozen),
//!         (at_s: 8.0, for_s: 0.5, fault: line_noise(flips_per_byte: 0.01)),
//!     ],
//!     random: (seed: 1, pause_s: (5.0, 15.0), for_s: (0.5, 2.0), faults: [line_cut, camera_black]),
//! )
//! ```

mod playing;

use std::path::Path;

use anyhow::{Context, bail};
use firmware_bridge::faults::{Fault, Schedule};
use ron::extensions::Extensions;
use serde::Deserialize;

use playing::Playing;

/// The longest time that a scenario may name, in seconds: some days.
const LONGEST_S: f64 = 1e6;

/// What goes wrong, and when.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// When its clock begins.
    #[serde(default)]
    begin: Begin,
    /// What goes wrong at times that are known.
    #[serde(default)]
    faults: Vec<Planned>,
    /// What goes wrong at times that are drawn.
    #[serde(default)]
    random: Option<Random>,
}

/// When the clock of a scenario begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Begin {
    /// When the arm first follows a host.
    #[default]
    Following,
    /// With the simulation.
    AtOnce,
}

/// A fault at a time that is known.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    at_s: f64,
    for_s: f64,
    fault: Fault,
}

/// Faults at times that are drawn, one after the other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {
    seed: u64,
    /// From the end of one to the next, at least and at most. Only time in which the arm follows a host counts.
    pause_s: (f64, f64),
    /// How long each lasts, at least and at most.
    for_s: (f64, f64),
    faults: Vec<Fault>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// The file, and the line or the field, and what to write.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = files::read_to_string(path).with_context(|| format!("{name}: cannot read"))?;
        Self::parse(&text).with_context(|| format!("{name}: not a scenario of faults"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
        let scenario: Self = files::guarded(|| options.from_str(text))??;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        for (index, planned) in self.faults.iter().enumerate() {
            seconds(&format!("faults[{index}].at_s"), planned.at_s, 0.0)?;
            seconds(
                &format!("faults[{index}].for_s"),
                planned.for_s,
                f64::MIN_POSITIVE,
            )?;
            numbers(&format!("faults[{index}].fault"), planned.fault)?;
        }
        if let Some(random) = &self.random {
            for (field, (least, most)) in [("random.pause_s", random.pause_s), ("random.for_s", random.for_s)]
            {
                seconds(field, least, f64::MIN_POSITIVE)?;
                seconds(field, most, least)?;
            }
            if random.faults.is_empty() {
                bail!("field `random.faults`: lists none; list what may go wrong, or leave `random` out");
            }
            for (index, fault) in random.faults.iter().enumerate() {
                numbers(&format!("random.faults[{index}]"), *fault)?;
            }
        }
        if self.faults.is_empty() && self.random.is_none() {
            bail!("neither `faults` nor `random` is given; nothing would go wrong");
        }
        Ok(())
    }

    /// All faults that it names.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        let planned = self.faults.iter().map(|planned| planned.fault);
        planned.chain(
            self.random
                .iter()
                .flat_map(|random| random.faults.iter().copied()),
        )
    }

    /// Begins it. `tell` hears of each change of what is wrong and of the arm's state: seconds since 1970, and words.
    pub fn play(self, tell: fn(&str)) -> impl Schedule {
        Playing::begin(self, tell)
    }
}

fn seconds(field: &str, value_s: f64, least_s: f64) -> anyhow::Result<()> {
    if !(least_s..=LONGEST_S).contains(&value_s) {
        bail!("field `{field}`: is {value_s}; write seconds from {least_s} to {LONGEST_S}");
    }
    Ok(())
}

/// Whether the numbers of a fault mean something.
fn numbers(field: &str, fault: Fault) -> anyhow::Result<()> {
    let shares: &[(&str, f32)] = match &fault {
        Fault::LineNoise { flips_per_byte } => &[("flips_per_byte", *flips_per_byte)],
        Fault::LineLossy {
            lost,
            doubled,
            overtaken,
        } => &[("lost", *lost), ("doubled", *doubled), ("overtaken", *overtaken)],
        _ => &[],
    };
    for (name, share) in shares {
        if !(0.0..=1.0).contains(share) {
            bail!("field `{field}.{name}`: is {share}; write a number from 0 to 1");
        }
    }
    let bad = match fault {
        Fault::CameraFuture { by_s } => !(by_s > 0.0 && by_s <= LONGEST_S),
        Fault::CameraLight { factor } => !(0.0..=255.0).contains(&factor),
        Fault::ClockJump { by_s } | Fault::TelemetryClockJump { by_s } => !by_s.is_finite() || by_s == 0.0,
        Fault::ServoSupply { volts: value, .. } | Fault::ServoHeat { celsius: value, .. } => {
            !(0.0..=200.0).contains(&value)
        }
        Fault::CameraMoved { pixels } => pixels == 0,
        Fault::CameraNoise { levels } => levels == 0,
        Fault::TelemetryJump { by_rad } => !by_rad.is_finite() || by_rad == 0.0,
        _ => false,
    };
    if bad {
        bail!("field `{field}`: {fault:?} is no fault; write another number");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use firmware_bridge::FirmwareState;

    use super::playing::microseconds;
    use super::*;

    fn at(schedule: &mut dyn Schedule, elapsed_s: f64, following: bool) -> Vec<&'static str> {
        let state = if following {
            FirmwareState::Active
        } else {
            FirmwareState::Held
        };
        let wrong = schedule.wrong(microseconds(elapsed_s), state);
        wrong.iter().map(Fault::name).collect()
    }

    #[test]
    fn planned_faults_begin_and_end_by_the_clock_of_the_first_motion() {
        let text = "(faults: [(at_s: 1.0, for_s: 2.0, fault: line_cut), \
                    (at_s: 2.0, for_s: 2.0, fault: camera_light(factor: 0.2))])";
        let mut playing = Scenario::parse(text).expect("a scenario").play(|_| {});
        for (elapsed_s, following, wrong) in [
            (0.0, false, vec![]),
            (5.0, false, vec![]),
            (10.0, true, vec![]),
            (10.999, true, vec![]),
            (11.0, true, vec!["line_cut"]),
            (12.5, false, vec!["line_cut", "camera_light"]),
            (13.0, false, vec!["camera_light"]),
            (14.0, true, vec![]),
        ] {
            assert_eq!(at(&mut playing, elapsed_s, following), wrong, "at {elapsed_s} s");
        }
    }

    #[test]
    fn drawn_faults_wait_for_an_arm_that_follows_and_come_again_for_each_seed() {
        let run = |seed: u64| {
            let text = format!(
                "(begin: at_once, random: (seed: {seed}, pause_s: (1.0, 2.0), for_s: (0.5, 0.7), faults: [line_cut, camera_gone, telemetry_clock_stuck]))"
            );
            let mut playing = Scenario::parse(&text).expect("a scenario").play(|_| {});
            let mut seen = Vec::new();
            for step in 0..40_000_u32 {
                let following = (step / 5_000) % 2 == 0;
                seen.push(at(&mut playing, f64::from(step) * 1e-3, following));
            }
            seen
        };
        let seen = run(1);
        assert_eq!(seen, run(1));
        assert_ne!(seen, run(2));
        let begins = |part: &[Vec<&str>]| {
            part.windows(2)
                .filter(|pair| pair[0].is_empty() && !pair[1].is_empty())
                .count()
        };
        let following: usize = (0..4).map(|part| begins(&seen[part * 10_000..][..5_000])).sum();
        let idle: usize = (0..4)
            .map(|part| begins(&seen[part * 10_000 + 5_000..][..5_000]))
            .sum();
        assert!(following >= 6, "{following} faults in 20 s");
        assert_eq!(idle, 0);
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_field() {
        for (text, field) in [
            ("()", "neither `faults` nor `random`"),
            (
                "(faults: [(at_s: -1.0, for_s: 1.0, fault: line_cut)])",
                "faults[0].at_s",
            ),
            (
                "(faults: [(at_s: 1.0, for_s: 0.0, fault: line_cut)])",
                "faults[0].for_s",
            ),
            (
                "(faults: [(at_s: 1.0, for_s: inf, fault: line_cut)])",
                "faults[0].for_s",
            ),
            (
                "(faults: [(at_s: 1.0, for_s: 1.0, fault: line_noise(flips_per_byte: 1.5))])",
                "faults[0].fault.flips_per_byte",
            ),
            (
                "(faults: [(at_s: 1.0, for_s: 1.0, fault: camera_future(by_s: -1.0))])",
                "faults[0].fault",
            ),
            (
                "(random: (seed: 1, pause_s: (2.0, 1.0), for_s: (1.0, 1.0), faults: [line_cut]))",
                "random.pause_s",
            ),
            (
                "(random: (seed: 1, pause_s: (1.0, 1.0), for_s: (1.0, 1.0), faults: []))",
                "random.faults",
            ),
            ("(faults: [(at_s: 1.0, for_s: 1.0, fault: line_kut)])", "line_kut"),
        ] {
            let error = format!("{:#}", Scenario::parse(text).expect_err(text));
            assert!(error.contains(field), "{text}: {error}");
        }
    }
}
