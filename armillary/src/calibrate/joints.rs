//! The joints of an arm of servos: a person moves each from end to end by hand.

mod directions;
mod keep;

pub use directions::{Opened, open, turned, watch};
pub use keep::{Kept, keep, narrowed, store};

use anyhow::bail;
use calibration::servos::{JointCalibration, JointShape, Sweep, Verdict};
use devices::servo_bus::{Family, Line};
use devices::servos::{ByHand, Settings, encoder};
use robot::{Clock, Config};

use super::Person;

/// How long servos are left alone between two readings, in nanoseconds.
const READ_EVERY_NS: u64 = 8_000_000;

/// Readings between two that are shown.
const SHOWN_EVERY: usize = 12;

/// The joints of a robot file, base first, as a calibration has to know them.
pub fn shapes(config: &Config) -> Vec<JointShape> {
    let joints = config.envelope.joints().iter().zip(&config.travels);
    joints
        .map(|(joint, travel)| JointShape {
            name: joint.name.clone(),
            stops_rad: travel.stops_rad,
        })
        .collect()
}

/// Refuses a robot file that says itself where its joints are: two places would say the same.
///
/// # Errors
/// It names the field.
pub fn check<F: Family>(config: &Config, settings: &Settings<F>) -> anyhow::Result<()> {
    if settings.servos.len() != config.joint_count() {
        bail!(
            "robot `{}`: field `arm.servos`: {} servos for {} joints; write one a joint, base first",
            config.name,
            settings.servos.len(),
            config.joint_count()
        );
    }
    for (index, servo) in settings.servos.iter().enumerate() {
        for (field, is_there) in [
            ("zero_ticks", servo.zero_ticks.is_some()),
            ("reversed", servo.reversed),
        ] {
            if is_there {
                bail!(
                    "robot `{}`: field `arm.servos[{index}].{field}`: the calibration will say this; remove it from the robot file first",
                    config.name
                );
            }
        }
    }
    Ok(())
}

/// Leads `person` through a sweep of each joint. A sweep that is no good is done again.
///
/// # Errors
/// A servo falls silent, or nobody is there any more.
pub fn sweep<F: Family, L: Line>(
    person: &mut dyn Person,
    by_hand: &mut ByHand<F, L>,
    config: &Config,
    settings: &Settings<F>,
    clock: &dyn Clock,
) -> anyhow::Result<Vec<JointCalibration>> {
    let mut found = Vec::new();
    for (index, shape) in shapes(config).iter().enumerate() {
        let id = settings.servos[index].id;
        let greatest = match &config.travels[index].positive {
            Some(positive) => format!("{positive}, as far as it goes"),
            None => "to the end at which its angle is greatest".to_owned(),
        };
        let number = format!("{} of {}", index + 1, config.joint_count());
        loop {
            let answer = person.ask(&format!(
                "[{number}] {}: move this joint to the middle of its range, and press Enter [q: end]: ",
                shape.name
            ))?;
            if answer == "q" {
                bail!("ended before {} was calibrated; nothing was written", shape.name);
            }
            person.tell(&format!(
                "Move it {greatest}; then slowly all the way to the other end. Press Enter when it was at both ends."
            ));
            let swept = follow(person, by_hand, index, clock)?;
            let Some(travel) = swept.travel() else { continue };
            let solved = shape.solve(encoder::<F>(), id, &travel);
            let seam = if travel.crosses_seam(encoder::<F>()) {
                " The servo's position jumps on this way; the offset moves that place out of it."
            } else {
                ""
            };
            let seam = if solved.verdict.is_accepted() { seam } else { "" };
            person.tell(&format!("{}: {}.{seam}", shape.name, solved.verdict));
            if let (Some(joint), true) = (solved.joint, solved.verdict.is_accepted()) {
                found.push(joint);
                break;
            }
        }
    }
    Ok(found)
}

/// Reads a joint until the person has pressed Enter.
fn follow<F: Family, L: Line>(
    person: &mut dyn Person,
    by_hand: &mut ByHand<F, L>,
    joint: usize,
    clock: &dyn Clock,
) -> anyhow::Result<Sweep> {
    let encoder = encoder::<F>();
    let degrees = |ticks: i64| (ticks as f64 / encoder.ticks_a_radian()).to_degrees();
    let mut sweep = Sweep::new(encoder);
    for reading in 0_usize.. {
        sweep.push(by_hand.encoder_ticks(joint)?);
        if reading.is_multiple_of(SHOWN_EVERY)
            && let Some(travel) = sweep.travel()
        {
            let shown = format!("{:.1} degrees so far", degrees(travel.span_ticks()));
            if person.show(&shown)?.is_some() {
                break;
            }
        }
        clock.sleep_until_ns(clock.now_ns() + READ_EVERY_NS);
    }
    Ok(sweep)
}

/// A line of a table of what was found.
pub fn row<F: Family>(joint: &JointCalibration, verdict: &Verdict) -> String {
    let (least, greatest) = joint.travel_rad(encoder::<F>());
    let residual = joint.residual_rad.map_or("-".to_owned(), |rad| {
        format!("{:+.1}", f64::from(rad).to_degrees())
    });
    format!(
        "{:<16} servo {:<3} {:>7.1} to {:>6.1} degrees   offset {:>5}   residual {:>5} degrees   {verdict}",
        joint.name,
        joint.id,
        least.to_degrees(),
        greatest.to_degrees(),
        joint.homing_offset_ticks,
        residual
    )
}
