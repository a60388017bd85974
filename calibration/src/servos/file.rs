//! The file of an arm's joints.

use std::path::{Path, PathBuf};

use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};

use super::{Encoder, JointCalibration};

/// The version of the file's format.
const VERSION: u32 = 1;

/// A calibration of an arm's joints, as it is kept beside the robot file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointsFile {
    version: u32,
    /// The robot's name.
    pub robot: String,
    /// The kind of its servos, by the name that `arm` of a robot file has for it: `feetech` or `dynamixel`.
    pub servos: String,
    /// When it was made: a date and a time, by RFC 3339.
    pub made: String,
    /// How it was made.
    pub by: String,
    /// The joints, base first.
    pub joints: Vec<JointCalibration>,
    /// Of all that is above.
    #[serde(default)]
    sha256: String,
}

/// A file of joints that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JointsFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no such file.
    #[error("{}:{line}:{column}: {message}; make it anew with `armillary calibrate joints`", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A field says what cannot be.
    #[error("{}: field `{field}`: {problem}; {remedy}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

/// What to do about a file that says what cannot be.
const ANEW: &str = "make the file anew with `armillary calibrate joints`";

impl JointsFile {
    /// A calibration of joints, base first.
    pub fn new(robot: &str, servos: &str, made: &str, by: &str, joints: Vec<JointCalibration>) -> Self {
        let mut file = Self {
            version: VERSION,
            robot: robot.to_owned(),
            servos: servos.to_owned(),
            made: made.to_owned(),
            by: by.to_owned(),
            joints,
            sha256: String::new(),
        };
        file.sha256 = file.hash();
        file
    }

    /// SHA-256 of what it says, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let pretty = PrettyConfig::new().depth_limit(2);
        let body = ron::ser::to_string_pretty(self, pretty).unwrap_or_default();
        format!(
            "// Where the joints of `{}` are: made by `armillary calibrate joints`. A file that was changed by hand is refused.\n{body}\n",
            self.robot
        )
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`JointsFileError`]: what is not readable, was changed after it was made, or says what no servo can do.
    pub fn load(path: &Path) -> Result<Self, JointsFileError> {
        let text = files::read_to_string(path).map_err(|source| JointsFileError::Read {
            path: path.to_owned(),
            source: std::io::Error::other(source),
        })?;
        Self::parse(path, &text)
    }

    /// Checks a file's text; `path` is for messages.
    ///
    /// # Errors
    /// As [`JointsFile::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, JointsFileError> {
        let syntax = |line, column, message| JointsFileError::Syntax {
            path: path.to_owned(),
            line,
            column,
            message,
        };
        let file: Self = files::guarded(|| ron::from_str(text))
            .map_err(|panic| syntax(1, 1, panic.to_string()))?
            .map_err(|error: ron::error::SpannedError| {
                syntax(
                    error.span.start.line,
                    error.span.start.col,
                    error.code.to_string(),
                )
            })?;
        file.check().map_err(|(field, problem)| JointsFileError::Field {
            path: path.to_owned(),
            field,
            problem,
            remedy: ANEW.to_owned(),
        })?;
        Ok(file)
    }

    /// How its servos say where they are.
    pub fn encoder(&self) -> Option<Encoder> {
        match self.servos.as_str() {
            "feetech" => Some(Encoder::FEETECH_STS),
            "dynamixel" => Some(Encoder::DYNAMIXEL_X),
            _ => None,
        }
    }

    /// Field and problem of what cannot be.
    fn check(&self) -> Result<(), (String, String)> {
        if self.version != VERSION {
            return Err((
                "version".to_owned(),
                format!("{}, and this program knows {VERSION}", self.version),
            ));
        }
        if self.sha256 != self.hash() {
            return Err((
                "sha256".to_owned(),
                "does not fit what the file says: it was changed after it was made".to_owned(),
            ));
        }
        let Some(encoder) = self.encoder() else {
            return Err(("servos".to_owned(), format!("no servos are `{}`", self.servos)));
        };
        for (index, joint) in self.joints.iter().enumerate() {
            let field = |name: &str| format!("joints[{index}].{name}");
            let others = &self.joints[..index];
            if others
                .iter()
                .any(|other| other.name == joint.name || other.id == joint.id)
            {
                return Err((
                    field("name"),
                    format!("`{}` or its servo {} is there twice", joint.name, joint.id),
                ));
            }
            let (low, high) = joint.range_ticks;
            if low >= high || !encoder.can_say(low, joint) || !encoder.can_say(high, joint) {
                return Err((
                    field("range_ticks"),
                    format!("({low}, {high}) is no range of this servo"),
                ));
            }
            if joint.homing_offset_ticks.unsigned_abs() > encoder.offset_max_ticks.unsigned_abs() {
                return Err((
                    field("homing_offset_ticks"),
                    format!(
                        "{} is more than the {} that the servo can store",
                        joint.homing_offset_ticks, encoder.offset_max_ticks
                    ),
                ));
            }
            if joint.zero_ticks.unsigned_abs() > 4 * encoder.ticks_per_turn.unsigned_abs() {
                return Err((field("zero_ticks"), format!("{} is turns away", joint.zero_ticks)));
            }
        }
        Ok(())
    }

    fn hash(&self) -> String {
        let bare = Self {
            sha256: String::new(),
            ..self.clone()
        };
        crate::sha256(&ron::to_string(&bare).unwrap_or_default())
    }
}

impl Encoder {
    /// Whether the servo of a joint can say that it is at `ticks`.
    fn can_say(&self, ticks: i64, joint: &JointCalibration) -> bool {
        let turn = 0..self.ticks_per_turn;
        match (self.offset_moves_seam, self.offset_adds) {
            (true, _) => turn.contains(&ticks),
            (false, true) => turn.contains(&ticks.saturating_sub(joint.homing_offset_ticks)),
            (false, false) => turn.contains(&ticks.saturating_add(joint.homing_offset_ticks)),
        }
    }
}
