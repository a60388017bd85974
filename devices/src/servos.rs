//! Arms of servos as a robot file names them: `feetech(port: "/dev/ttyACM0", servos: [(id: 1), (id: 2)])`.

mod by_hand;
mod calibrated;

pub use by_hand::ByHand;
pub use calibrated::{MARGIN_RAD, encoder, limits_rad};

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firmware_bridge::arm::ArmOptions;
use robot::device::{DeviceError, JointBus, Motors, Stopped};
use robot::{ActionMode, Config, Joint, JointVec};

use crate::arms::{ArmSettings, Opening};
use crate::dynamixel::Dynamixel;
use crate::emulation::{Emulated, EmulatedArm};
use crate::feetech::Feetech;
use crate::hosted::{HostedArm, HostedOptions, Measured};
use crate::serial::SerialStream;
use crate::servo_bus::joints::{
    self, Direction, HealthLimits, Homing, ServoArm, ServoJoint, Tuning, WayOutSettings,
};
use crate::servo_bus::{Bus, Family, Line, Timing};

/// Speed on the way to the rest pose, in radians a second.
const REST_RAD_S: f32 = 0.5;

/// How long an arm holds before it is led there, in seconds.
const REST_HOLD_S: f32 = 0.5;

/// How near to it the joints must be measured before torque goes, in radians.
const REST_TOLERANCE_RAD: f32 = 0.1;

/// How long that may take beyond the way itself, in seconds.
const REST_PATIENCE_S: f32 = 2.0;

/// Share of a turn that the exchanges with the servos may take.
const BUDGET: f32 = 0.7;

/// An arm of Feetech STS servos (SO-100, SO-101).
pub type FeetechSettings = Settings<Feetech>;

/// An arm of Dynamixel servos of protocol 2 (Koch).
pub type DynamixelSettings = Settings<Dynamixel>;

/// An arm of servos of one family.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct Settings<F> {
    /// Path of the port. Those in `/dev/serial/by-id` stay the same when other devices are plugged in.
    pub port: String,
    /// The servos, one a joint, base first.
    pub servos: Vec<Servo>,
    /// Bits a second.
    #[serde(default = "baud")]
    pub baud: u32,
    /// How often the servos are asked and told, a second. A slow bus needs fewer.
    #[serde(default = "rate_hz")]
    pub rate_hz: f32,
    /// A pose in which the arm can be let go, in radians a joint.
    #[serde(default)]
    pub rest_rad: Option<Vec<f32>>,
    /// The servos' own limit of torque, as a share of the most, where they have one.
    #[serde(default = "whole")]
    pub torque_limit: f32,
    /// What of temperature, supply and load stops the arm.
    #[serde(default)]
    pub limits: HealthLimits,
    #[serde(skip)]
    family: PhantomData<F>,
}

/// One servo.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servo {
    /// Its id on the bus.
    pub id: u8,
    /// Its position, in ticks, where the joint's angle is 0; the middle of its turn if not given.
    #[serde(default)]
    pub zero_ticks: Option<i64>,
    /// Whether the joint's angle grows against the servo's ticks.
    #[serde(default)]
    pub reversed: bool,
    /// Proportional, integral and derivative gain of its position, in its own steps; left as they are if not given.
    #[serde(default)]
    pub gains: Option<(u16, u16, u16)>,
    /// Its own limit of torque, in the place of the arm's.
    #[serde(default)]
    pub torque_limit: Option<f32>,
    /// Current at which it protects itself, in amperes; left as it is if not given.
    #[serde(default)]
    pub protection_current_a: Option<f32>,
    /// Torque that it takes for an overload, as a share of the most; left as it is if not given.
    #[serde(default)]
    pub overload_torque: Option<f32>,
}

impl Servo {
    /// The joint that it moves, as the servos' driver has it.
    pub fn joint<F: Family>(&self, joint: &Joint) -> ServoJoint {
        let middle = i64::from(F::TICKS_PER_TURN / 2);
        ServoJoint {
            name: joint.name.clone(),
            id: self.id,
            zero_ticks: self.zero_ticks.unwrap_or(middle),
            direction: if self.reversed {
                Direction::Reversed
            } else {
                Direction::Forward
            },
            position_min_rad: joint.position_min_rad,
            position_max_rad: joint.position_max_rad,
            homing: Homing::AsFound,
            tuning: Tuning {
                gains: self.gains.map(|(p, i, d)| [p, i, d]),
                torque_limit: self.torque_limit,
                protection_current_a: self.protection_current_a,
                overload_torque: self.overload_torque,
            },
        }
    }

    /// Refuses how a servo of this family cannot be set: field, problem and remedy.
    fn check<F: Family>(&self) -> Result<(), (&'static str, String, &'static str)> {
        let roles = F::ROLES;
        let none = "servos of this kind have no such setting";
        let shares = [
            ("torque_limit", self.torque_limit, roles.torque_limit),
            ("overload_torque", self.overload_torque, roles.overload_torque),
        ];
        for (field, share, register) in shares {
            match share {
                None => {}
                Some(_) if register.is_none() => return Err((field, none.to_owned(), "leave it out")),
                Some(share) if share > 0.0 && share <= 1.0 => {}
                Some(share) => {
                    let problem = format!("{share:?} of the most torque");
                    return Err((field, problem, "write a share above 0, 1 at most"));
                }
            }
        }
        match (self.protection_current_a, roles.protection_current) {
            (Some(_), None) => return Err(("protection_current_a", none.to_owned(), "leave it out")),
            (Some(current_a), Some(_)) if !(0.05..=4.0).contains(&current_a) => {
                return Err((
                    "protection_current_a",
                    format!("{current_a:?} A"),
                    "write 0.05 to 4 A",
                ));
            }
            _ => {}
        }
        let (_, most) = roles.gains[0].range();
        match self.gains {
            Some((p, i, d)) if [p, i, d].iter().any(|gain| i64::from(*gain) > most) => Err((
                "gains",
                format!("({p}, {i}, {d})"),
                "write three numbers as the servo's manual has them",
            )),
            _ => Ok(()),
        }
    }
}

fn baud() -> u32 {
    1_000_000
}

fn rate_hz() -> f32 {
    50.0
}

fn whole() -> f32 {
    1.0
}

impl<P: Family, L: Line> Measured for ServoArm<P, L> {
    fn is_known(&self, joint: usize) -> bool {
        self.missed(joint) == 0
    }

    fn motors(&self) -> Motors {
        self.motors()
    }

    fn has_let_go(&self) -> bool {
        self.has_let_go()
    }

    fn may_hold(&self) -> bool {
        self.torque_on()
    }

    fn look(&mut self) -> Result<(), DeviceError> {
        self.hear().map_err(DeviceError::new)
    }
}

impl<F: Family> Settings<F> {
    /// Refuses what does not fit the robot.
    fn check(&self, config: &Config) -> Result<(), DeviceError> {
        let joints = config.joint_count();
        let refuse = |field: &str, problem: String, remedy: &str| {
            Err(DeviceError::new(format!(
                "robot `{}`: field `arm.{field}`: {problem}; {remedy}",
                config.name
            )))
        };
        if config.envelope.mode() == ActionMode::Absolute {
            return refuse(
                "servos",
                "an arm of servos is not driven by `action: absolute`".to_owned(),
                "describe it with joint speeds, links and a workspace box",
            );
        }
        if config.park.is_some() {
            return refuse(
                "rest_rad",
                "the robot file has a field `park`, which is for arms with a firmware of their own"
                    .to_owned(),
                "write that pose as `rest_rad` here, and remove `park`",
            );
        }
        if self.servos.len() != joints {
            let problem = format!("{} servos for {joints} joints", self.servos.len());
            return refuse("servos", problem, "write one a joint, base first");
        }
        if !(5.0..=500.0).contains(&self.rate_hz) {
            let problem = format!("{:?} turns a second", self.rate_hz);
            return refuse("rate_hz", problem, "write a number from 5 to 500, such as 50");
        }
        // The core takes up what the control loop has sent once a turn, and a set point is valid for one and a half periods.
        let least_hz = 2.0 / config.period_s;
        if self.rate_hz < least_hz {
            let problem = format!(
                "{:?} turns a second, with control periods of {:?} s",
                self.rate_hz, config.period_s
            );
            let remedy = format!("write {least_hz:.0} or more, so that there are two turns a control period");
            return refuse("rate_hz", problem, &remedy);
        }
        if !(self.torque_limit > 0.0 && self.torque_limit <= 1.0) {
            let problem = format!("{:?} of the most torque", self.torque_limit);
            return refuse("torque_limit", problem, "write a share above 0, 1 at most");
        }
        for (index, servo) in self.servos.iter().enumerate() {
            servo.check::<F>().or_else(|(field, problem, remedy)| {
                refuse(&format!("servos[{index}].{field}"), problem, remedy)
            })?;
        }
        self.limits.check().or_else(|problem| {
            let remedy = "write a temperature of 30 to 90, volts from the least to the most between 3 and 30, and a load above 0, 1 at most";
            refuse("limits", problem, remedy)
        })?;
        if let Some(rest_rad) = &self.rest_rad {
            let inside = rest_rad.len() == joints
                && config
                    .envelope
                    .joints()
                    .iter()
                    .zip(rest_rad)
                    .all(|(joint, rest)| (joint.position_min_rad..=joint.position_max_rad).contains(rest));
            if !inside {
                let problem = format!("{rest_rad:?} is no pose of this arm");
                return refuse(
                    "rest_rad",
                    problem,
                    "write one angle a joint, within its `position_rad`",
                );
            }
        }
        Ok(())
    }

    /// How long the exchanges of a turn may take, in microseconds.
    fn budget_us(&self) -> u64 {
        (1e6 * BUDGET / self.rate_hz) as u64
    }

    /// A slow arm has time to wait for servos and for this machine: a quarter of a turn's exchanges for the beginning of an answer.
    fn timing(&self) -> Timing {
        let usual = Timing::default();
        Timing {
            baud: self.baud,
            turnaround_us: usual.turnaround_us.max(self.budget_us() / 4),
            ..usual
        }
    }

    /// What an arm of these joints is made with.
    fn arm(&self, joints: Vec<ServoJoint>) -> joints::ArmSettings {
        let budget_us = self.budget_us();
        let usual = joints::ArmSettings::new(joints);
        joints::ArmSettings {
            budget_us,
            bring_up_us: usual.bring_up_us.max(budget_us),
            torque_limit: self.torque_limit,
            limits: self.limits,
            ..usual
        }
    }

    /// The arm on `line`, once its servos were found and set up. Nothing moves. This gives up as soon as `urgent` is set.
    ///
    /// # Errors
    /// [`DeviceError`]: settings that do not fit the robot, and servos that are missing, of another model, or at fault.
    pub fn on_line<L: Line>(
        &self,
        line: L,
        config: &Config,
        urgent: Arc<AtomicBool>,
    ) -> Result<ServoArm<F, L>, DeviceError> {
        self.check(config)?;
        self.on_line_as(line, self.joints(config)?, urgent)
    }

    /// The same with joints that are not those of the robot file, such as those that are being calibrated.
    ///
    /// # Errors
    /// As [`Settings::on_line`].
    pub fn on_line_as<L: Line>(
        &self,
        line: L,
        joints: Vec<ServoJoint>,
        urgent: Arc<AtomicBool>,
    ) -> Result<ServoArm<F, L>, DeviceError> {
        let arm = self.arm(joints);
        let failed = |error: String| DeviceError::new(format!("{}: {error}", self.port));
        let mut bus = Bus::new(line, self.timing());
        bus.set_interrupt(Some(Arc::clone(&urgent)));
        match ServoArm::new(bus, arm) {
            // What was cut short looks like a servo that does not answer, or like none of its settings.
            _ if urgent.load(Ordering::SeqCst) => Err(failed(
                "the emergency stop was asked for while the arm was opened".to_owned(),
            )),
            Ok(mut arm) => {
                arm.heed(urgent);
                Ok(arm)
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Ids of its servos, base first.
    pub fn ids(&self) -> Vec<u8> {
        self.servos.iter().map(|servo| servo.id).collect()
    }

    /// What drives it from this machine.
    ///
    /// # Errors
    /// [`DeviceError`] for joints without usable limits.
    pub fn hosted(&self, opening: &Opening<'_>) -> Result<HostedOptions, DeviceError> {
        let arm = ArmOptions::from_config(opening.config)
            .ok_or_else(|| DeviceError::new("the robot file's joints have no usable limits"))?;
        let way_out = self.rest_rad.as_ref().map(|rest_rad| WayOutSettings {
            hold_s: REST_HOLD_S,
            velocity_rad_s: REST_RAD_S,
            rest_rad: rest_rad.iter().copied().collect::<JointVec>(),
            tolerance_rad: REST_TOLERANCE_RAD,
            patience_s: REST_PATIENCE_S,
        });
        Ok(HostedOptions {
            name: self.port.clone(),
            arm: arm.booted_afresh(),
            rate_hz: self.rate_hz,
            way_out,
            priority: opening.config.realtime.bus_priority,
            e_stop: Arc::clone(&opening.signals.e_stop),
        })
    }
}

impl<F: Emulated + Send + 'static> ArmSettings for Settings<F> {
    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn JointBus>, DeviceError> {
        self.check(opening.config)?;
        let line = SerialStream::open(&self.port, self.baud)?;
        let arm = self.on_line(line, opening.config, Arc::clone(&opening.signals.e_stop))?;
        Ok(Box::new(HostedArm::start(arm, self.hosted(opening)?)?))
    }

    fn e_stop(&self, config: &Config) -> Result<Stopped, DeviceError> {
        self.check(config)?;
        let line = SerialStream::open(&self.port, self.baud)?;
        // Ids are enough to let go, whatever has become of the calibration.
        let servos = self.servos.iter().zip(config.envelope.joints());
        let joints = servos.map(|(servo, joint)| servo.joint::<F>(joint)).collect();
        joints::set_torque(
            &mut Bus::<F, _>::new(line, self.timing()),
            &self.arm(joints),
            false,
        )
        .map_err(|error| DeviceError::new(format!("{}: {error}", self.port)))?;
        Ok(Stopped::LetGo)
    }

    fn emulate(&self, config: &Config, path: &Path) -> Result<Option<EmulatedArm>, DeviceError> {
        self.check(config)?;
        let home = config.envelope.home();
        let joints = self.joints(config)?;
        EmulatedArm::serve::<F>(path, self.baud, &joints, &home.position_rad).map(Some)
    }

    fn port(&self) -> Option<&str> {
        Some(&self.port)
    }

    fn set_baud(&mut self, baud: u32) {
        self.baud = baud;
    }

    fn set_port(&mut self, port: &Path) -> Result<(), DeviceError> {
        self.port = port.display().to_string();
        Ok(())
    }
}
