//! How far joints can be turned, by their stops: what a calibration of an arm's joints holds a sweep against.

use std::path::PathBuf;

use super::ConfigError;
use super::check::Checker;
use super::raw::{RawCalibration, RawJoint};

/// What an arm's shape says of a joint beside the limits within which it is driven.
#[derive(Debug, Clone, PartialEq)]
pub struct Travel {
    /// The angles at its stops, in radians, the smaller first: `position_rad` where the file does not say otherwise. `None` for a joint that turns
    /// all the way round.
    pub stops_rad: Option<(f32, f32)>,
    /// What a person sees when the angle grows, such as `to the right`, where the file says so.
    pub positive: Option<String>,
}

impl Checker<'_> {
    /// The travel of each joint, base first.
    pub(super) fn travels(&self, joints: &[RawJoint]) -> Result<Vec<Travel>, ConfigError> {
        let travel = |(index, joint): (usize, &RawJoint)| {
            let field = |name: &str| format!("joints[{index}].{name}");
            let (low, high) = joint.position_rad;
            if let Some((least, greatest)) = joint.stops_rad {
                self.finite(&field("stops_rad"), &[least, greatest])?;
                if joint.all_round {
                    let problem = "is there, and `all_round: true` says that there are no stops";
                    return Err(self.refuse(field("stops_rad"), problem, "remove one of the two"));
                }
                if !(least <= low && high <= greatest) {
                    let problem = format!("({least:?}, {greatest:?}) does not hold `position_rad`");
                    let remedy = "write the angles at which the joint's stops are, in radians";
                    return Err(self.refuse(field("stops_rad"), problem, remedy));
                }
            }
            Ok(Travel {
                stops_rad: (!joint.all_round).then(|| joint.stops_rad.unwrap_or((low, high))),
                positive: joint.positive.clone(),
            })
        };
        joints.iter().enumerate().map(travel).collect()
    }

    /// The paths of the files of the joints and of the camera: beside the robot file.
    pub(super) fn calibration_files(
        &self,
        raw: Option<&RawCalibration>,
    ) -> Result<[Option<PathBuf>; 2], ConfigError> {
        let Some(raw) = raw else {
            return Ok([None, None]);
        };
        Ok([
            self.beside("calibration.joints", raw.joints.as_deref())?,
            self.beside("calibration.camera", raw.camera.as_deref())?,
        ])
    }

    fn beside(&self, field: &str, name: Option<&str>) -> Result<Option<PathBuf>, ConfigError> {
        let Some(name) = name else {
            return Ok(None);
        };
        if !files::is_plain_name(name) {
            let problem = format!("`{name}` is no name of a file");
            let remedy = "write the name of a file in the robot file's folder, such as `arm.joints.ron`";
            return Err(self.refuse(field, problem, remedy));
        }
        Ok(Some(self.path.with_file_name(name)))
    }
}
