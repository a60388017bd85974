//! The file of a camera: its lens, and where it stands.

use std::path::{Path, PathBuf};

use calibration::picture::Lens;
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hand_eye::HandEye;
use crate::intrinsics::Intrinsics;

/// The version of the file's format.
const VERSION: u32 = 1;

/// A pose: a place in metres, and a rotation as a unit quaternion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pose {
    /// x, y, z in metres.
    pub at_m: [f64; 3],
    /// x, y, z, w.
    pub turn: [f64; 4],
}

impl Pose {
    /// As an isometry; `None` if its numbers are none.
    pub fn isometry(&self) -> Option<Isometry3<f64>> {
        let [x, y, z] = self.at_m;
        let [i, j, k, w] = self.turn;
        let turn = UnitQuaternion::try_new(Quaternion::new(w, i, j, k), 0.5)?;
        let sound = self
            .at_m
            .iter()
            .chain(&self.turn)
            .all(|number| number.is_finite());
        sound.then(|| Isometry3::from_parts(Translation3::new(x, y, z), turn))
    }
}

impl From<&Isometry3<f64>> for Pose {
    fn from(pose: &Isometry3<f64>) -> Self {
        let turn = pose.rotation.coords;
        Self {
            at_m: pose.translation.vector.into(),
            turn: [turn.x, turn.y, turn.z, turn.w],
        }
    }
}

/// Where a camera stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mounted {
    /// When it was measured: a date and a time, by RFC 3339.
    pub made: String,
    /// The camera in the arm's base.
    pub camera_in_base: Pose,
    /// Half of the 95 % interval of its place, in metres.
    pub interval_m: f64,
    /// Half of the 95 % interval of its rotation, in radians.
    pub interval_rad: f64,
    /// Root mean square of the corners' distances from where they should be seen, in pixels.
    pub residual_px: f64,
    /// SHA-256 of the calibration of the arm's joints that it was measured with, in hexadecimal.
    pub joints_sha256: String,
}

/// A camera's calibration, as it is kept beside the robot file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraFile {
    version: u32,
    /// The robot's name.
    pub robot: String,
    /// When the lens was measured: a date and a time, by RFC 3339.
    pub made: String,
    /// Pixels a row of the camera's pictures; the lens holds for these alone.
    pub width_px: u32,
    /// Rows of the camera's pictures.
    pub height_px: u32,
    /// The lens.
    pub lens: Lens,
    /// Views of the board that were used.
    pub views: usize,
    /// Root mean square of the corners' distances from where they should be seen, in pixels.
    pub residual_px: f64,
    /// Halves of the 95 % intervals of the focal lengths, in pixels.
    pub focal_interval_px: [f64; 2],
    /// What was thought of it.
    pub verdict: String,
    /// Where the camera stands, if that was measured.
    #[serde(default)]
    pub mounted: Option<Mounted>,
    /// Of all that is above.
    #[serde(default)]
    sha256: String,
}

/// A file of a camera that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CameraFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no such file.
    #[error("{}:{line}:{column}: {message}; make it anew with `armillary calibrate camera`", path.display())]
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
    #[error("{}: field `{field}`: {problem}; make the file anew with `armillary calibrate camera`", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl CameraFile {
    /// A lens that was measured by pictures of `width_px` x `height_px` pixels.
    pub fn new(robot: &str, made: &str, (width_px, height_px): (u32, u32), found: &Intrinsics) -> Self {
        let mut file = Self {
            version: VERSION,
            robot: robot.to_owned(),
            made: made.to_owned(),
            width_px,
            height_px,
            lens: found.lens,
            views: found.board_in_camera.len(),
            residual_px: found.rms_px,
            focal_interval_px: [found.intervals[0], found.intervals[1]],
            verdict: found.verdict.to_string(),
            mounted: None,
            sha256: String::new(),
        };
        file.sha256 = file.hash();
        file
    }

    /// The same camera, and where it stands, measured with joints whose calibration has this hash.
    #[must_use]
    pub fn mounted(mut self, made: &str, joints_sha256: &str, found: &HandEye) -> Self {
        self.mounted = Some(Mounted {
            made: made.to_owned(),
            camera_in_base: Pose::from(&found.camera_in_base),
            interval_m: found.interval.0,
            interval_rad: found.interval.1,
            residual_px: found.rms_px,
            joints_sha256: joints_sha256.to_owned(),
        });
        self.sha256 = self.hash();
        self
    }

    /// SHA-256 of what it says, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let body = ron::ser::to_string_pretty(self, PrettyConfig::new().depth_limit(3)).unwrap_or_default();
        format!(
            "// The camera of `{}`: made by `armillary calibrate camera`. A file that was changed by hand is refused.\n{body}\n",
            self.robot
        )
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CameraFileError`]: what is not readable, was changed after it was made, or says what no camera can be.
    pub fn load(path: &Path) -> Result<Self, CameraFileError> {
        let text = files::read_to_string(path).map_err(|source| CameraFileError::Read {
            path: path.to_owned(),
            source: std::io::Error::other(source),
        })?;
        Self::parse(path, &text)
    }

    /// Checks a file's text; `path` is for messages.
    ///
    /// # Errors
    /// As [`CameraFile::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, CameraFileError> {
        let syntax = |line, column, message| CameraFileError::Syntax {
            path: path.to_owned(),
            line,
            column,
            message,
        };
        let file: Self = files::guarded(|| ron::from_str(text))
            .map_err(|panic| syntax(1, 1, panic.to_string()))?
            .map_err(|error: ron::error::SpannedError| {
                let start = error.span.start;
                syntax(start.line, start.col, error.code.to_string())
            })?;
        file.check().map_err(|(field, problem)| CameraFileError::Field {
            path: path.to_owned(),
            field,
            problem,
        })?;
        Ok(file)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.version != VERSION {
            return Err(("version", format!("{} is not {VERSION}", self.version)));
        }
        if self.sha256 != self.hash() {
            return Err((
                "sha256",
                "is not that of what the file says: it was changed by hand".to_owned(),
            ));
        }
        let lens = &self.lens;
        let size = f64::from(self.width_px.max(self.height_px));
        for focal_px in [lens.fx_px, lens.fy_px] {
            if !(focal_px > 0.05 * size && focal_px < 100.0 * size) {
                return Err(("lens", format!("a focal length of {focal_px} pixels is none")));
            }
        }
        let pose = self
            .mounted
            .as_ref()
            .map(|mounted| mounted.camera_in_base.isometry());
        if pose == Some(None) {
            return Err(("mounted", "its numbers are no pose".to_owned()));
        }
        Ok(())
    }

    fn hash(&self) -> String {
        let unsigned = Self {
            sha256: String::new(),
            ..self.clone()
        };
        let text = ron::ser::to_string(&unsigned).unwrap_or_default();
        Sha256::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
