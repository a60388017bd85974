//! Which way joints turn: each goes a small way and comes back, and a person says which way it went first.

use anyhow::{anyhow, bail};
use calibration::servos::JointCalibration;
use devices::Arm;
use devices::servo_bus::Family;
use devices::servos::encoder;
use robot::device::Signals;
use robot::{Clock, Config};

use super::super::Person;
use super::shapes;
use crate::doctor::drive::{Drive, Trouble, small};
use crate::doctor::rig::Bounds;
use crate::e_stop::Watch;

/// What the arm's driver calls this.
const NAME: &str = "calibrate.directions";

/// An arm that can be moved.
pub struct Opened<'a>(Drive<'a>);

/// Moves each joint of an arm that has been opened, and asks. Returns which joints went the other way than their calibration says, base first; `None`
/// where a person has not said.
///
/// The arm is led while it waits for an answer, so that it holds.
///
/// # Errors
/// The arm cannot be driven, or a person has stopped it.
pub fn watch(person: &mut dyn Person, Opened(drive): &mut Opened<'_>) -> anyhow::Result<Vec<Option<bool>>> {
    drive.activate().map_err(trouble)?;
    let config = drive.config;
    let mut wrong = Vec::new();
    for (joint, (limits, travel)) in config.envelope.joints().iter().zip(&config.travels).enumerate() {
        let number = format!("[{} of {}] {}", joint + 1, config.joint_count(), limits.name);
        let Some(positive) = &travel.positive else {
            person.tell(&format!(
                "{number}: skipped; `positive` of this joint says in the robot file what is seen when its angle grows"
            ));
            wrong.push(None);
            continue;
        };
        let Some(way_rad) = small::way(drive, joint) else {
            person.tell(&format!(
                "{number}: skipped; it has no room for a move where it is"
            ));
            wrong.push(None);
            continue;
        };
        wrong.push(one(person, drive, joint, &number, positive, way_rad)?);
    }
    Ok(wrong)
}

fn one(
    person: &mut dyn Person,
    drive: &mut Drive<'_>,
    joint: usize,
    number: &str,
    positive: &str,
    way_rad: f32,
) -> anyhow::Result<Option<bool>> {
    let degrees = way_rad.abs().to_degrees();
    let asked = format!(
        "{number} WILL MOVE by {degrees:.0} degrees and back. Press Enter to let it [s: skip this joint, q: end]:"
    );
    loop {
        match answer(person, drive, &asked, &["", "s", "q"])?.as_str() {
            "s" => return Ok(None),
            "q" => bail!("ended; nothing was written"),
            _ => {}
        }
        let begin_rad = drive.goal_rad[joint];
        for (from_rad, to_rad) in [(begin_rad, begin_rad + way_rad), (begin_rad + way_rad, begin_rad)] {
            small::go(
                drive,
                NAME,
                joint,
                from_rad,
                to_rad,
                &mut small::Followed::default(),
            )
            .map_err(trouble)?;
        }
        let asked = format!("Which way did it go first? p: {positive}; o: the other way; a: move again:");
        match answer(person, drive, &asked, &["p", "o", "a"])?.as_str() {
            "a" => {}
            went => return Ok(Some((went == "p") != (way_rad > 0.0))),
        }
    }
}

/// Asks, and leads the arm until one of `allowed` is typed.
fn answer(
    person: &mut dyn Person,
    drive: &mut Drive<'_>,
    asked: &str,
    allowed: &[&str],
) -> anyhow::Result<String> {
    person.tell(asked);
    loop {
        drive.period(NAME).map_err(trouble)?;
        match person.show("")? {
            Some(typed) if allowed.contains(&typed.as_str()) => return Ok(typed),
            Some(_) => person.tell(asked),
            None => {}
        }
    }
}

/// Opens an arm to be moved, and shakes hands.
///
/// # Errors
/// The arm cannot be opened, or does not answer.
pub fn open<'a>(
    config: &'a Config,
    bounds: &'a Bounds,
    arm: &mut Arm,
    clock: &'a dyn Clock,
    signals: &'a Signals,
    watch: &mut Watch,
) -> anyhow::Result<Opened<'a>> {
    let mut drive = Drive::open(config, bounds, arm, clock, signals, watch).map_err(trouble)?;
    drive.shake_hands().map_err(trouble)?;
    Ok(Opened(drive))
}

fn trouble(trouble: Trouble) -> anyhow::Error {
    match trouble.remedy.as_str() {
        "" => anyhow!("{}", trouble.seen),
        remedy => anyhow!("{}; {remedy}", trouble.seen),
    }
}

/// Joints of which those that went the other way turn the other way from here on. Their middle stays where it is.
pub fn turned<F: Family>(
    config: &Config,
    joints: &[JointCalibration],
    wrong: &[Option<bool>],
) -> Vec<JointCalibration> {
    let rows = joints.iter().zip(shapes(config)).zip(wrong);
    rows.map(|((joint, shape), wrong)| {
        let reversed = joint.reversed != wrong.unwrap_or(false);
        JointCalibration {
            zero_ticks: match wrong {
                Some(true) => shape.zero_ticks(encoder::<F>(), joint.range_ticks, reversed),
                _ => joint.zero_ticks,
            },
            reversed,
            ..joint.clone()
        }
    })
    .collect()
}
