//! What is wrong with real files.

use std::fmt;
use std::path::Path;

use super::file::Motor;
use crate::servos::{Encoder, JointShape};

/// Least span, in ticks, of a joint that was moved at all.
const SPAN_MIN_TICKS: i64 = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The file cannot be used for this arm.
    Refused,
    /// A person must say that it is meant so.
    Ask,
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub doubt: Doubt,
    /// Of which joint; `None` = of the whole file.
    pub joint: Option<String>,
    /// What is wrong, and what to do.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.joint {
            Some(joint) => write!(f, "{joint}: {}", self.words),
            None => f.write_str(&self.words),
        }
    }
}

/// Looks through motors of the new format for what real files have been wrong about. `joints` are the arm's, with the ids of their servos.
pub fn check(path: &Path, motors: &[Motor], joints: &[(JointShape, u8)], encoder: Encoder) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_leaders = path.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        part.contains("leader") || part == "teleoperators"
    });
    if is_leaders {
        findings.push(Finding {
            doubt: Doubt::Ask,
            joint: None,
            words: format!(
                "{} looks like the file of a leader arm, whose servos stand elsewhere; name the follower's",
                path.display()
            ),
        });
    }
    for motor in motors {
        if joints.iter().all(|(joint, _)| joint.name != motor.name) {
            findings.push(refused(
                &motor.name,
                "the robot file has no such joint; joints are matched by name".to_owned(),
            ));
        }
    }
    for (joint, id) in joints {
        match motors.iter().find(|motor| motor.name == joint.name) {
            None => findings.push(refused(
                &joint.name,
                "is not in the file; joints are matched by name".to_owned(),
            )),
            Some(motor) => findings.extend(
                wrong(motor, joint, *id, encoder)
                    .into_iter()
                    .map(|words| refused(&joint.name, words)),
            ),
        }
    }
    findings
}

fn refused(joint: &str, words: String) -> Finding {
    Finding {
        doubt: Doubt::Refused,
        joint: Some(joint.to_owned()),
        words,
    }
}

/// All that is wrong with one motor.
fn wrong(motor: &Motor, joint: &JointShape, id: u8, encoder: Encoder) -> Vec<String> {
    let Motor {
        range_min, range_max, ..
    } = *motor;
    let mut words = Vec::new();
    if motor.id != id {
        words.push(format!(
            "`id` is {}, and the robot file has servo {id} for it",
            motor.id
        ));
    }
    if motor.homing_offset.unsigned_abs() > encoder.offset_max_ticks.unsigned_abs() {
        words.push(format!(
            "`homing_offset` is {}, and this servo stores {} at most, either way; mount its horn elsewhere and calibrate again",
            motor.homing_offset, encoder.offset_max_ticks
        ));
    }
    let is_whole_turn = range_min <= 0 && range_max >= encoder.ticks_per_turn - 1;
    if range_min >= range_max {
        words.push(format!(
            "`range_min` {range_min} is not below `range_max` {range_max}; sweep this joint again"
        ));
    } else if is_whole_turn && joint.stops_rad.is_some() {
        words.push(
            "its range is the whole turn, and this joint has stops: the sweep went over the place at which the position jumps; calibrate again from \
             the middle pose"
                .to_owned(),
        );
    } else if range_min < 0 || range_max >= encoder.ticks_per_turn {
        words.push(format!(
            "{range_min} to {range_max} is more than a turn of this servo; it is driven within one turn here: calibrate with \
             `armillary calibrate joints`"
        ));
    } else if range_max - range_min < SPAN_MIN_TICKS {
        words.push(format!(
            "it was moved by {} ticks only; sweep this joint again, to both ends",
            range_max - range_min
        ));
    }
    words
}
