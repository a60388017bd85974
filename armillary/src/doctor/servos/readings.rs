//! What one servo says of itself, judged.

use devices::servo_bus::joints::{Homing, Mapping, ServoJoint};
use devices::survey::{Maker, ServoFacts, fault_names};

use super::super::Examination;

/// A servo so near to its own limit of temperature, in degrees Celsius, is worth a word.
const WARM_C: f32 = 10.0;

pub(super) fn supply(examination: &mut Examination<'_>, about: &str, facts: &ServoFacts) {
    const NAME: &str = "servo.supply";
    let (least, most) = facts.voltage_limits_v;
    let seen = format!("{:.1} V; made for {least:.1} to {most:.1} V", facts.voltage_v);
    if !facts.voltage_is_wrong() {
        examination.ok(NAME, about, seen);
    } else if facts.voltage_v > most {
        examination.fail(
            NAME,
            about,
            seen,
            "take its power away now: too much voltage destroys a servo; use a supply of less voltage",
        );
    } else {
        examination.fail(
            NAME,
            about,
            seen,
            "use a supply of the right voltage, and one that carries all servos",
        );
    }
}

pub(super) fn temperature(examination: &mut Examination<'_>, about: &str, facts: &ServoFacts) {
    const NAME: &str = "servo.temperature";
    let seen = format!(
        "{:.0} C; lets go at {:.0} C",
        facts.temperature_c, facts.temperature_max_c
    );
    if facts.temperature_c >= facts.temperature_max_c {
        examination.fail(NAME, about, seen, "take its power away and let it cool down");
    } else if facts.temperature_c >= facts.temperature_max_c - WARM_C {
        examination.warn(NAME, about, seen, "let it cool down, and let it hold less");
    } else {
        examination.ok(NAME, about, seen);
    }
}

pub(super) fn faults<F: Maker>(examination: &mut Examination<'_>, about: &str, facts: &ServoFacts) {
    const NAME: &str = "servo.faults";
    let names = fault_names::<F>(facts.status);
    match facts.status {
        0 => examination.ok(NAME, about, "none"),
        status if names.is_empty() => examination.warn(
            NAME,
            about,
            format!("bits {status:#04x}"),
            "see the maker's manual for what they mean",
        ),
        _ => examination.fail(
            NAME,
            about,
            names.join(", "),
            "remove what loads or heats it, then take its power away and give it back",
        ),
    }
}

pub(super) fn limits<F: Maker>(
    examination: &mut Examination<'_>,
    about: &str,
    joint: &ServoJoint,
    facts: &ServoFacts,
) {
    const NAME: &str = "servo.limits";
    let mapping = Mapping::new::<F>(joint);
    let mapping = match mapping {
        Ok(mapping) => mapping,
        Err(error) => return examination.fail_by(NAME, about, &error),
    };
    let (low, high) = mapping.limits_ticks();
    let (own_low, own_high) = facts.limits_ticks;
    let seen = format!("{own_low} to {own_high}; the robot file says {low} to {high}");
    if !facts.position_mode {
        examination.warn(
            NAME,
            about,
            format!("{seen}; it is not in position mode"),
            "nothing: `armillary run` writes the mode when it brings the arm up",
        );
    } else if (own_low, own_high) == (low, high) {
        examination.ok(NAME, about, seen);
    } else {
        examination.warn(
            NAME,
            about,
            seen,
            "nothing, if the robot file is right: `armillary run` writes its limits when it brings the arm up",
        );
    }
    let position = facts.position_ticks;
    if !(low..=high).contains(&position) {
        examination.warn(
            "servo.position",
            about,
            format!("at {position}, outside of {low} to {high}"),
            "move the joint by hand, or mend `position_rad` or `zero_ticks` in the robot file",
        );
    }
}

/// Whether the servo stores the offset with which its joint was calibrated.
pub(super) fn homing(examination: &mut Examination<'_>, about: &str, joint: &ServoJoint, facts: &ServoFacts) {
    const NAME: &str = "servo.homing";
    let stored = facts.homing_offset_ticks;
    match joint.homing {
        Homing::Compared(calibrated) if calibrated != stored => examination.fail(
            NAME,
            about,
            format!("it stores an offset of {stored} ticks, and the calibration has {calibrated}"),
            "calibrate the joints again: `armillary calibrate joints`",
        ),
        Homing::Compared(_) => {
            examination.ok(NAME, about, format!("{stored} ticks, as the calibration has it"));
        }
        Homing::AsFound | Homing::Written(_) => {}
    }
}

pub(super) fn torque(examination: &mut Examination<'_>, about: &str, torque_limit: f32, facts: &ServoFacts) {
    const NAME: &str = "servo.torque";
    let Some(own) = facts.max_torque else { return };
    let seen = format!(
        "at most {:.0} % after power-on; the robot file asks for {:.0} %",
        100.0 * own,
        100.0 * torque_limit
    );
    if own < 0.05 {
        examination.warn(
            NAME,
            about,
            seen,
            "write more into its register `max torque` by the maker's program",
        );
    } else {
        examination.ok(NAME, about, seen);
    }
}
