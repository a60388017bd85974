//! What an arm says of itself in the handshake against what the robot file allows.

use firmware_bridge::arm::ArmOptions;
use firmware_bridge::wire::{HelloAck, JointLimits, joint_names_hash};
use robot::Config;
use robot::device::{ContractProblem, ContractTerm, LinkError};

/// Limits that differ by less than this, in radians, radians a second and so on, or by less than this share of them, are the same: one was
/// typed with fewer digits than the other.
const LIMIT_ROUNDING: f64 = 1e-4;

/// Times that differ by less than this share are the same.
const TIME_ROUNDING: f64 = 1e-3;

/// A command stays valid for so many control periods in the live loop.
const VALID_PERIODS: f64 = 1.5;

/// The limits, names and serial number that an arm must have.
#[derive(Debug, Clone)]
pub struct Allowed {
    names: Vec<String>,
    limits: Vec<JointLimits>,
    period_s: f64,
    watchdog_s: f64,
    torque_grace_s: f64,
    jump_max_rad: f64,
    serial_number: Option<String>,
}

impl Allowed {
    /// What the robot file `config` allows, for an arm with `serial_number` if one is given. `None` if its joints have no usable limits,
    /// which a checked file rules out.
    pub fn of(config: &Config, serial_number: Option<&str>) -> Option<Self> {
        let arm = ArmOptions::from_config(config)?;
        let joints = config.envelope.joints();
        Some(Self {
            names: joints.iter().map(|joint| joint.name.clone()).collect(),
            limits: arm.limits.joints().to_vec(),
            period_s: config.period_s.into(),
            watchdog_s: seconds(arm.watchdog_us),
            torque_grace_s: seconds(arm.torque_grace_us),
            jump_max_rad: arm.jump_max_rad.into(),
            serial_number: serial_number.map(str::to_owned),
        })
    }

    /// The control period, in microseconds.
    pub(super) fn period_us(&self) -> u64 {
        (self.period_s * 1e6) as u64
    }

    /// Refuses the arm at `port` unless it is the one that is meant, and keeps by itself what the robot file promises.
    pub(super) fn check(&self, port: &str, ack: &HelloAck) -> Result<(), LinkError> {
        if let Some(expected) = &self.serial_number
            && *expected != ack.serial_number.as_str()
        {
            return Err(LinkError::SerialNumberMismatch {
                port: port.to_owned(),
                expected: expected.clone(),
                reported: ack.serial_number.as_str().to_owned(),
            });
        }
        let ours = joint_names_hash(self.names.iter().map(String::as_str));
        if ack.joint_names_hash != ours {
            return Err(LinkError::JointNamesMismatch {
                port: port.to_owned(),
                names: self.names.join(", "),
                ours,
                theirs: ack.joint_names_hash,
            });
        }
        let promised = ack.contract.joints.len();
        if promised != self.limits.len() {
            return Err(LinkError::JointCountMismatch {
                port: port.to_owned(),
                expected: self.limits.len(),
                reported: promised,
            });
        }
        let problems = self.problems(ack);
        if problems.is_empty() {
            return Ok(());
        }
        Err(LinkError::Contract {
            port: port.to_owned(),
            problems,
        })
    }

    fn problems(&self, ack: &HelloAck) -> Vec<ContractProblem> {
        let mut problems = Vec::new();
        let contract = &ack.contract;
        for ((name, file), arm) in self.names.iter().zip(&self.limits).zip(&contract.joints) {
            let terms = [
                (
                    ContractTerm::PositionMin,
                    -arm.position_min_rad,
                    -file.position_min_rad,
                ),
                (
                    ContractTerm::PositionMax,
                    arm.position_max_rad,
                    file.position_max_rad,
                ),
                (
                    ContractTerm::Velocity,
                    arm.velocity_max_rad_s,
                    file.velocity_max_rad_s,
                ),
                (
                    ContractTerm::Acceleration,
                    arm.acceleration_max_rad_s2,
                    file.acceleration_max_rad_s2,
                ),
            ];
            for (term, arm, file) in terms {
                if exceeds(arm.into(), file.into(), LIMIT_ROUNDING, LIMIT_ROUNDING) {
                    let sign = if term == ContractTerm::PositionMin {
                        -1.0
                    } else {
                        1.0
                    };
                    problems.push(ContractProblem {
                        term,
                        joint: Some(name.clone()),
                        arm: sign * f64::from(arm),
                        file: sign * f64::from(file),
                    });
                }
            }
        }
        let mut whole_arm = |wrong: bool, term, arm, file| {
            if wrong {
                problems.push(ContractProblem {
                    term,
                    joint: None,
                    arm,
                    file,
                });
            }
        };
        let longer = |a: f64, b: f64| exceeds(a, b, TIME_ROUNDING, 0.0);
        let watchdog_s = seconds(contract.watchdog_us.into());
        whole_arm(
            longer(watchdog_s, self.watchdog_s),
            ContractTerm::Watchdog,
            watchdog_s,
            self.watchdog_s,
        );
        whole_arm(
            longer(self.period_s, watchdog_s),
            ContractTerm::WatchdogShort,
            watchdog_s,
            self.period_s,
        );
        let grace_s = seconds(contract.torque_grace_us.into());
        whole_arm(
            longer(grace_s, self.torque_grace_s) || longer(self.torque_grace_s, grace_s),
            ContractTerm::TorqueGrace,
            grace_s,
            self.torque_grace_s,
        );
        let jump_rad = f64::from(contract.jump_max_rad);
        whole_arm(
            exceeds(jump_rad, self.jump_max_rad, LIMIT_ROUNDING, LIMIT_ROUNDING),
            ContractTerm::Jump,
            jump_rad,
            self.jump_max_rad,
        );
        let (validity_s, valid_s) = (
            seconds(contract.validity_max_us.into()),
            VALID_PERIODS * self.period_s,
        );
        whole_arm(
            longer(valid_s, validity_s),
            ContractTerm::Validity,
            validity_s,
            valid_s,
        );
        problems
    }
}

/// Whether `arm` is more than `file` by more than rounding makes of equal numbers. True of what is no number.
fn exceeds(arm: f64, file: f64, share: f64, least: f64) -> bool {
    !(arm <= file + (file.abs() * share).max(least))
}

fn seconds(us: u64) -> f64 {
    us as f64 * 1e-6
}
