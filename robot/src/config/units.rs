//! Degrees and millimetres that were typed where radians and metres belong.
//!
//! An arm that is driven by such a file moves 57 or 1,000 times as far as its owner meant. A person who has a joint or an arm
//! that is beyond these bounds says so in the file, with `radians_checked` or `metres_checked`.

use std::f32::consts::PI;

use super::raw::RawJoint;

/// Farthest a joint's limit may lie from zero, in radians: two turns.
const POSITION_MAX_RAD: f32 = 4.0 * PI;

/// Fastest a joint may be, in radians a second. Servos reach 15.
const SPEED_MAX_RAD_S: f32 = 30.0;

/// Largest acceleration of a joint, in radians a second squared: full speed in 30 ms.
const ACCELERATION_MAX_RAD_S2: f32 = 1_000.0;

/// Longest link or tip, in metres.
const LINK_MAX_M: f32 = 5.0;

/// Farthest side of the workspace box from the base, in metres.
const BOX_MAX_M: f32 = 10.0;

/// A number that is of another unit by all appearance.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The field's name within its structure.
    pub(super) field: &'static str,
    /// What is wrong.
    pub(super) problem: String,
    /// What to write.
    pub(super) remedy: String,
}

/// Looks for degrees among a joint's numbers, all of them finite.
pub(super) fn check_joint(joint: &RawJoint) -> Result<(), Doubt> {
    if joint.radians_checked {
        return Ok(());
    }
    for (field, range_rad) in [
        ("position_rad", Some(joint.position_rad)),
        ("stops_rad", joint.stops_rad),
    ] {
        let Some((low, high)) = range_rad else { continue };
        if low.abs().max(high.abs()) > POSITION_MAX_RAD {
            return Err(Doubt {
                field,
                problem: format!(
                    "({low:?}, {high:?}) goes beyond two turns (12.57 rad), as limits in degrees do"
                ),
                remedy: format!(
                    "write radians, which ({}, {}) are if these are degrees; for a joint that turns so far write \
                     `radians_checked: true` beside it",
                    radians(low),
                    radians(high)
                ),
            });
        }
    }
    let slower = |field, value: f32, max: f32, unit: &str| {
        if value <= max {
            return Ok(());
        }
        Err(Doubt {
            field,
            problem: format!(
                "{value:?} {unit} is more than {max}, beyond what a servo does, as a limit in degrees is"
            ),
            remedy: format!(
                "write radians, which {} are if these are degrees; for a joint that is so fast write \
                 `radians_checked: true` beside it",
                radians(value)
            ),
        })
    };
    slower(
        "velocity_max_rad_s",
        joint.velocity_max_rad_s,
        SPEED_MAX_RAD_S,
        "rad/s",
    )?;
    slower(
        "acceleration_max_rad_s2",
        joint.acceleration_max_rad_s2,
        ACCELERATION_MAX_RAD_S2,
        "rad/s^2",
    )?;
    if joint.home_rad.abs() > POSITION_MAX_RAD {
        return Err(Doubt {
            field: "home_rad",
            problem: format!(
                "{:?} is beyond two turns (12.57 rad), as a pose in degrees is",
                joint.home_rad
            ),
            remedy: format!(
                "write radians, which {} are if these are degrees",
                radians(joint.home_rad)
            ),
        });
    }
    Ok(())
}

/// Looks for millimetres in a link's origin or the tip, all of whose numbers are finite.
pub(super) fn check_length(field: &'static str, metres: [f32; 3]) -> Result<(), Doubt> {
    let length = metres.iter().map(|side| side * side).sum::<f32>().sqrt();
    if length <= LINK_MAX_M {
        return Ok(());
    }
    Err(millimetres(
        field,
        metres,
        &format!("is longer than {LINK_MAX_M} m"),
    ))
}

/// Looks for millimetres in a corner of the workspace box, all of whose numbers are finite.
pub(super) fn check_corner(metres: [f32; 3]) -> Result<(), Doubt> {
    if metres.iter().all(|side| side.abs() <= BOX_MAX_M) {
        return Ok(());
    }
    Err(millimetres(
        "workspace_m",
        metres,
        &format!("is farther than {BOX_MAX_M} m from the base"),
    ))
}

fn millimetres(field: &'static str, metres: [f32; 3], excess: &str) -> Doubt {
    let [x, y, z] = metres.map(|side| short(side * 1e-3));
    Doubt {
        field,
        problem: format!(
            "({:?}, {:?}, {:?}) {excess}, as lengths in millimetres are",
            metres[0], metres[1], metres[2]
        ),
        remedy: format!(
            "write metres, which ({x}, {y}, {z}) are if these are millimetres; for an arm that is so large write \
             `metres_checked: true` beside `links`"
        ),
    }
}

fn radians(degrees: f32) -> String {
    short(degrees * (PI / 180.0))
}

/// Four digits that count, with a decimal point.
fn short(value: f32) -> String {
    let magnitude = value.abs().log10().floor().clamp(-6.0, 3.0) as i32;
    let decimals = usize::try_from(3 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, part)) => {
            let part = part.trim_end_matches('0');
            format!("{whole}.{}", if part.is_empty() { "0" } else { part })
        }
        None => format!("{text}.0"),
    }
}
