//! The joints of an arm of servos: by the file of its calibration where the robot file names one, else as the robot file has them.

use calibration::servos::{Encoder, JointCalibration, JointsFile};
use robot::config::Travel;
use robot::device::DeviceError;
use robot::{Config, Joint};

use super::{Servo, Settings};
use crate::servo_bus::Family;
use crate::servo_bus::joints::{Direction, Homing, ServoJoint};

/// How far from its stops a joint is driven at most, in radians: 1 degree.
pub const MARGIN_RAD: f64 = 0.0175;

/// How servos of a family say where they are.
pub fn encoder<F: Family>() -> Encoder {
    Encoder {
        ticks_per_turn: F::TICKS_PER_TURN.into(),
        offset_max_ticks: F::HOMING_MAX_TICKS,
        offset_adds: F::HOMING_ADDS,
        offset_moves_seam: F::HOMING_MOVES_SEAM,
    }
}

/// The limits of a joint that keep the margin to where it was found to end, in radians.
pub fn limits_rad(joint: &JointCalibration, travel: &Travel, encoder: Encoder) -> (f64, f64) {
    let (least, greatest) = joint.travel_rad(encoder);
    // A turn has no stops; it ends at the seam, where a tick is margin enough.
    let margin = if travel.stops_rad.is_some() {
        MARGIN_RAD
    } else {
        0.0
    };
    (least + margin, greatest - margin)
}

impl<F: Family> Settings<F> {
    /// The file of its calibration, if the robot file names one.
    ///
    /// # Errors
    /// [`DeviceError`]: a file that is missing, was changed, or is another arm's.
    pub fn calibration(&self, config: &Config) -> Result<Option<JointsFile>, DeviceError> {
        let Some(path) = &config.joints_file else {
            return Ok(None);
        };
        let file = JointsFile::load(path).map_err(DeviceError::new)?;
        let refuse = |field: &str, problem: String| {
            Err(DeviceError::new(format!(
                "{}: field `{field}`: {problem}; make the file anew with `armillary calibrate joints`",
                path.display()
            )))
        };
        if file.robot != config.name {
            return refuse(
                "robot",
                format!("`{}`, and this robot is `{}`", file.robot, config.name),
            );
        }
        if file.servos != F::WORD {
            return refuse(
                "servos",
                format!("`{}`, and this arm has `{}`", file.servos, F::WORD),
            );
        }
        let joints = config.envelope.joints();
        if file.joints.len() != joints.len() {
            return refuse(
                "joints",
                format!("{} of them, and this arm has {}", file.joints.len(), joints.len()),
            );
        }
        let rows = file.joints.iter().zip(joints).zip(&self.servos).enumerate();
        for (index, ((found, joint), servo)) in rows {
            if found.name != joint.name || found.id != servo.id {
                return refuse(
                    &format!("joints[{index}]"),
                    format!(
                        "`{}` with servo {}, and the robot file has `{}` with servo {}",
                        found.name, found.id, joint.name, servo.id
                    ),
                );
            }
        }
        Ok(Some(file))
    }

    /// Its joints, base first, as the servos' driver has them. Where there is a calibration, each servo's stored offset has to be that of the
    /// calibration.
    ///
    /// # Errors
    /// As [`Settings::calibration`]; and limits in the robot file that the joints do not reach.
    pub fn joints(&self, config: &Config) -> Result<Vec<ServoJoint>, DeviceError> {
        let rows = self.servos.iter().zip(config.envelope.joints());
        let Some(file) = self.calibration(config)? else {
            return Ok(rows.map(|(servo, joint)| servo.joint::<F>(joint)).collect());
        };
        let refuse = |field: String, problem: String, remedy: String| {
            Err(DeviceError::new(format!(
                "robot `{}`: field `{field}`: {problem}; {remedy}",
                config.name
            )))
        };
        let mut joints = Vec::new();
        for (index, ((servo, joint), found)) in rows.zip(&file.joints).enumerate() {
            let field = |name: &str| format!("arm.servos[{index}].{name}");
            let said_twice = [
                ("zero_ticks", servo.zero_ticks.is_some()),
                ("reversed", servo.reversed),
            ];
            if let Some((name, _)) = said_twice.into_iter().find(|(_, there)| *there) {
                let problem = "is there, and the file of the calibration says it, too".to_owned();
                return refuse(field(name), problem, "remove it here".to_owned());
            }
            let (least, greatest) = limits_rad(found, &config.travels[index], encoder::<F>());
            let is_reached =
                least <= f64::from(joint.position_min_rad) && f64::from(joint.position_max_rad) <= greatest;
            if config.travels[index].stops_rad.is_some() && !is_reached {
                let problem = format!(
                    "({:?}, {:?}) is nearer than 1 degree to the ends of what `{}` was found to reach, or beyond",
                    joint.position_min_rad, joint.position_max_rad, joint.name
                );
                // Rounded inwards.
                let remedy = format!(
                    "write ({:.3}, {:.3}), or what lies within",
                    (1e3 * least).ceil() / 1e3,
                    (1e3 * greatest).floor() / 1e3
                );
                return refuse(format!("joints[{index}].position_rad"), problem, remedy);
            }
            joints.push(servo.calibrated::<F>(joint, found, Homing::Compared(found.homing_offset_ticks)));
        }
        Ok(joints)
    }
}

impl Servo {
    /// The joint that it moves, by its calibration.
    pub fn calibrated<F: Family>(
        &self,
        joint: &Joint,
        found: &JointCalibration,
        homing: Homing,
    ) -> ServoJoint {
        ServoJoint {
            zero_ticks: found.zero_ticks,
            direction: if found.reversed {
                Direction::Reversed
            } else {
                Direction::Forward
            },
            homing,
            ..self.joint::<F>(joint)
        }
    }
}
