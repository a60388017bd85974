//! The two formats, as they are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::servos::{Encoder, JointCalibration, JointShape, JointsFile};

/// A motor of the new format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Motor {
    /// Its name: the joint's.
    pub name: String,
    /// Its id.
    pub id: u8,
    /// Whether numbers of -100 to 100 and of 0 to 100 count the other way round.
    pub drive_mode: bool,
    /// The offset that the servo stores, in ticks.
    pub homing_offset: i64,
    /// The least position, as the servo says it, in ticks.
    pub range_min: i64,
    /// The greatest.
    pub range_max: i64,
}

/// How a motor of the old format is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CalibMode {
    /// In degrees.
    Degree,
    /// From 0 at its start to 100 at its end.
    Linear,
}

/// The old format: one number a motor in each list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Old {
    /// Added to a position (in the direction of `drive_mode`).
    pub homing_offset: Vec<i64>,
    /// 1: the position counts the other way round.
    pub drive_mode: Vec<i64>,
    /// Positions at the start of the range.
    pub start_pos: Vec<i64>,
    /// Positions at its end.
    pub end_pos: Vec<i64>,
    /// How each is counted.
    pub calib_mode: Vec<CalibMode>,
    /// Names of the motors; some files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motor_names: Option<Vec<String>>,
}

/// A calibration file of LeRobot's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// The new format, in the order of the file.
    New(Vec<Motor>),
    /// The old format.
    Old(Old),
}

/// A file that is none of LeRobot's.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("{}: no JSON: {source}; name a calibration file of LeRobot's", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A field is missing, or of another kind.
    #[error("{}: field `{field}`: {problem}; calibrate with LeRobot again, or with `armillary calibrate joints`", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = files::read_to_string(path).map_err(|source| FileError::Read {
            path: path.to_owned(),
            source: std::io::Error::other(source),
        })?;
        Self::parse(path, &text)
    }

    /// Reads a file's text; `path` is for messages.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let value: Value = serde_json::from_str(text).map_err(|source| FileError::Json {
            path: path.to_owned(),
            source,
        })?;
        let field = |field: String, problem: &str| FileError::Field {
            path: path.to_owned(),
            field,
            problem: problem.to_owned(),
        };
        let Value::Object(entries) = value else {
            return Err(field("/".to_owned(), "is no object"));
        };
        // A motor may be named `homing_offset`; its entry is an object and no list.
        if entries.get("homing_offset").is_some_and(Value::is_array) {
            return old(entries)
                .map_err(|(name, problem)| field(name, &problem))
                .map(Self::Old);
        }
        let motors = entries.iter().map(|(name, entry)| motor(name, entry));
        motors
            .collect::<Result<_, _>>()
            .map(Self::New)
            .map_err(|(name, problem)| field(name, &problem))
    }

    /// The file's text, as LeRobot writes it.
    pub fn to_text(&self) -> String {
        let value = match self {
            Self::New(motors) => Value::Object(motors.iter().map(entry).collect()),
            Self::Old(old) => serde_json::to_value(old).unwrap_or_default(),
        };
        format!("{value:#}")
    }

    /// The new format of joints that were calibrated here.
    pub fn of(joints: &JointsFile) -> Self {
        Self::New(joints.joints.iter().map(Motor::of).collect())
    }
}

impl Motor {
    /// A joint that was calibrated here, as LeRobot has it.
    pub fn of(joint: &JointCalibration) -> Self {
        Self {
            name: joint.name.clone(),
            id: joint.id,
            drive_mode: joint.reversed,
            homing_offset: joint.homing_offset_ticks,
            range_min: joint.range_ticks.0,
            range_max: joint.range_ticks.1,
        }
    }
}

impl Motor {
    /// The joint of `shape` by what LeRobot has found: the middle of its range is the middle between the stops. A `drive_mode` of 1 is taken
    /// for a joint whose angle grows against its ticks.
    pub fn joint(&self, shape: &JointShape, encoder: Encoder) -> JointCalibration {
        let range_ticks = (self.range_min, self.range_max);
        let swept_rad = (self.range_max - self.range_min) as f64 / encoder.ticks_a_radian();
        JointCalibration {
            name: self.name.clone(),
            id: self.id,
            homing_offset_ticks: self.homing_offset,
            range_ticks,
            zero_ticks: shape.zero_ticks(encoder, range_ticks, self.drive_mode),
            reversed: self.drive_mode,
            residual_rad: shape
                .stops_rad
                .map(|(least, greatest)| (swept_rad - f64::from(greatest - least)) as f32),
        }
    }
}

fn entry(motor: &Motor) -> (String, Value) {
    let value = json!({
        "id": motor.id,
        "drive_mode": i64::from(motor.drive_mode),
        "homing_offset": motor.homing_offset,
        "range_min": motor.range_min,
        "range_max": motor.range_max,
    });
    (motor.name.clone(), value)
}

/// Field and problem.
type Wrong = (String, String);

fn motor(name: &str, entry: &Value) -> Result<Motor, Wrong> {
    let number = |field: &str| {
        let at = format!("{name}.{field}");
        let Some(value) = entry.get(field) else {
            return Err((at, "is missing".to_owned()));
        };
        value
            .as_i64()
            .ok_or_else(|| (at, format!("{value} is no whole number")))
    };
    let id = number("id")?;
    let drive_mode = number("drive_mode")?;
    if !(0..=1).contains(&drive_mode) {
        return Err((
            format!("{name}.drive_mode"),
            format!("{drive_mode} is neither 0 nor 1"),
        ));
    }
    Ok(Motor {
        name: name.to_owned(),
        id: u8::try_from(id).map_err(|_| (format!("{name}.id"), format!("no servo has id {id}")))?,
        drive_mode: drive_mode == 1,
        homing_offset: number("homing_offset")?,
        range_min: number("range_min")?,
        range_max: number("range_max")?,
    })
}

fn old(entries: Map<String, Value>) -> Result<Old, Wrong> {
    let old: Old = serde_json::from_value(Value::Object(entries))
        .map_err(|error| ("/".to_owned(), format!("the old format: {error}")))?;
    let motors = old.homing_offset.len();
    let lists = [
        ("drive_mode", old.drive_mode.len()),
        ("start_pos", old.start_pos.len()),
        ("end_pos", old.end_pos.len()),
        ("calib_mode", old.calib_mode.len()),
        ("motor_names", old.motor_names.as_ref().map_or(motors, Vec::len)),
    ];
    match lists.into_iter().find(|(_, length)| *length != motors) {
        Some((list, length)) => Err((
            list.to_owned(),
            format!("has {length} entries, and `homing_offset` has {motors}"),
        )),
        None => Ok(old),
    }
}
