//! An arm of servos on a bus, as [`robot::device::Joints`].
//!
//! ```text
//!  every period   goals -> sync write      feedback <- sync read      one extra register <- read
//!                 (clamped ticks)          (four lengths in turn)     (where the family has some)
//! ```
//!
//! A reading that did not come is not made up: the joint keeps the position that it reported last, [`ServoArm::missed`] says how many
//! periods ago that was, and after [`ArmSettings::misses_max`] the arm is an error until it is brought up again.
//!
//! **On a stop** servos hold their last goal for as long as they have power; only Dynamixel's watchdog notices that the host is gone.
//! [`WayOut`] brings an arm to rest before it lets go.

mod bring_up;
mod health;
mod mapping;
mod settings;
mod trust;
mod way_out;
mod words;

pub use bring_up::{BringUpError, BroughtUp, bring_up, identify, set_torque};
pub use health::{Finding, FindingKind, Health, HealthLimits, ServoHealth};
pub use mapping::{Mapping, SettingsError};
pub use settings::{ArmSettings, Direction, Homing, ServoJoint, Tuning};
pub use way_out::{WayOut, WayOutSettings, WayOutState};

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use robot::device::{DeviceError, Joints};
use robot::{JointState, JointVec};

use super::bus::{Bus, BusError};
use super::family::Family;
use super::line::Line;
use super::protocol::EncodeError;
use super::readings::{Readings, SERVOS_MAX};
use super::register::Register;
use trust::Trust;

/// Bytes of all goals of a period.
const GOAL_BYTES_MAX: usize = 4 * SERVOS_MAX;

/// Why an arm of servos cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// The bus is at fault.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Bringing it up or switching torque failed.
    #[error(transparent)]
    BringUp(#[from] BringUpError),
    /// A set point has the wrong number of joints.
    #[error("{given} set points for {joints} joints")]
    JointCount {
        /// Set points.
        given: usize,
        /// Joints.
        joints: usize,
    },
    /// A set point is no number.
    #[error("the set point of joint {joint} is {set_point_rad}; the arm keeps its last goal")]
    NotFinite {
        /// The joint's name.
        joint: String,
        /// What was asked for.
        set_point_rad: f32,
    },
    /// A servo has been silent for too long.
    #[error(
        "joint {joint} (servo {id}) has not answered for {missed} periods; check its cable and power, then bring the arm up again"
    )]
    Lost {
        /// The joint's name.
        joint: String,
        /// Its servo.
        id: u8,
        /// Periods since it answered.
        missed: u32,
    },
}

/// An arm of servos of family `P` on line `L`. Allocates nothing once made, errors aside.
#[derive(Debug)]
pub struct ServoArm<P, L> {
    bus: Bus<P, L>,
    settings: ArmSettings,
    mappings: Vec<Mapping>,
    readings: Readings,
    trust: Vec<Trust>,
    models: Vec<u16>,
    state: JointState,
    health: Health,
    /// What all servos have confirmed last about torque; `None` before anything was, and where it failed.
    torque: Option<bool>,
    holds: bool,
    /// Set when the arm is to be let go at once: exchanges are cut short.
    urgent: Option<Arc<AtomicBool>>,
    period: usize,
    extra: usize,
    /// How long the exchanges of the last period took.
    exchange_us: u64,
}

impl<P: Family, L: Line> ServoArm<P, L> {
    /// Brings the arm up ([`bring_up`]), leaves torque as it is, and reads where it is.
    ///
    /// # Errors
    /// [`ArmError`]: settings that cannot be, a servo that is missing, of another model, at fault, or does not keep what is written.
    pub fn new(mut bus: Bus<P, L>, settings: ArmSettings) -> Result<Self, ArmError> {
        let BroughtUp { models, holds } = bring_up(&mut bus, &settings)?;
        let mappings = settings.mappings::<P>().map_err(BringUpError::from)?;
        let ids: Vec<u8> = settings.joints.iter().map(|joint| joint.id).collect();
        let count = ids.len();
        let mut arm = Self {
            bus,
            readings: Readings::new(&ids),
            trust: vec![Trust::default(); count],
            health: Health::new(&ids),
            state: JointState {
                position_rad: robot::joint::zeros(count),
                velocity_rad_s: robot::joint::zeros(count),
            },
            settings,
            mappings,
            models,
            torque: None,
            holds,
            urgent: None,
            period: 0,
            extra: 0,
            exchange_us: 0,
        };
        arm.look()?;
        Ok(arm)
    }

    /// Cuts exchanges short as soon as `urgent` is set, but for those that take torque off.
    pub fn heed(&mut self, urgent: Arc<AtomicBool>) {
        self.urgent = Some(urgent);
    }

    /// Brings the arm up again after a fault. Servos that hold go on holding.
    ///
    /// # Errors
    /// As [`ServoArm::new`].
    pub fn bring_up_again(&mut self) -> Result<(), ArmError> {
        let BroughtUp { models, holds } = bring_up(&mut self.bus, &self.settings)?;
        (self.models, self.holds, self.torque) = (models, holds, None);
        self.trust.fill(Trust::default());
        self.look()
    }

    /// Reads every block of the rotation once, so that all is known before anything moves.
    fn look(&mut self) -> Result<(), ArmError> {
        for _ in 0..P::FEEDBACK.len() {
            let deadline_us = self.bus.line().now_us() + self.settings.bring_up_us;
            self.listen(deadline_us)?;
        }
        self.check_lost(0)
    }

    /// The bus.
    pub fn bus(&self) -> &Bus<P, L> {
        &self.bus
    }

    /// The bus, to reach emulated servos behind it.
    pub fn bus_mut(&mut self) -> &mut Bus<P, L> {
        &mut self.bus
    }

    /// What the arm was brought up with.
    pub fn settings(&self) -> &ArmSettings {
        &self.settings
    }

    /// Temperatures, voltages, loads and faults.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Periods since a joint's position was read: 0 = it is of the last period.
    pub fn missed(&self, joint: usize) -> u32 {
        self.trust.get(joint).map_or(u32::MAX, |trust| trust.missed)
    }

    /// Whether the servos hold, or may hold: as they confirmed last, or as they were found.
    pub fn torque_on(&self) -> bool {
        self.torque.unwrap_or(self.holds)
    }

    /// Whether the servos were told last to let go, and all of them have confirmed it.
    pub fn has_let_go(&self) -> bool {
        self.torque == Some(false)
    }

    /// One period: goals out, feedback in, within [`ArmSettings::budget_us`]. Switching torque takes longer; when it comes on, goals
    /// are first where the arm is.
    ///
    /// # Errors
    /// [`ArmError`]. After [`ArmError::Lost`] every period is that error until the arm is brought up again, and the servos that are
    /// left are led and heard all the same, so that the arm can be laid down.
    pub fn period(&mut self, set_point_rad: &[f32], torque_on: bool) -> Result<(), ArmError> {
        self.check(set_point_rad)?;
        self.bus.set_interrupt(self.urgent.clone().filter(|_| torque_on));
        if self.torque != Some(torque_on) {
            self.switch_torque(torque_on)?;
        }
        let begun_us = self.bus.line().now_us();
        if torque_on {
            self.send_goals(set_point_rad)?;
        }
        self.listen(begun_us + self.settings.budget_us)?;
        self.exchange_us = self.bus.line().now_us().saturating_sub(begun_us);
        self.check_lost(self.settings.misses_max)
    }

    /// One period in which servos are heard and told nothing, within [`ArmSettings::budget_us`].
    ///
    /// # Errors
    /// As [`ServoArm::period`].
    pub fn hear(&mut self) -> Result<(), ArmError> {
        self.bus.set_interrupt(self.urgent.clone());
        let begun_us = self.bus.line().now_us();
        self.listen(begun_us + self.settings.budget_us)?;
        self.exchange_us = self.bus.line().now_us().saturating_sub(begun_us);
        self.check_lost(self.settings.misses_max)
    }

    /// Switches torque. Where that fails, some servos may have it, and nobody knows until all have confirmed that they have let go.
    fn switch_torque(&mut self, on: bool) -> Result<(), ArmError> {
        (self.torque, self.holds) = (None, true);
        let switched = set_torque(&mut self.bus, &self.settings, on);
        self.torque = switched.is_ok().then_some(on);
        if switched.is_err() && on {
            // Half an arm does not hold itself. The emergency stop cuts short what switches torque on, and not what takes it off.
            self.bus.set_interrupt(None);
            let released = set_torque(&mut self.bus, &self.settings, false);
            self.torque = released.is_ok().then_some(false);
        }
        Ok(switched?)
    }

    fn check(&self, set_point_rad: &[f32]) -> Result<(), ArmError> {
        let joints = self.mappings.len();
        if set_point_rad.len() != joints {
            return Err(ArmError::JointCount {
                given: set_point_rad.len(),
                joints,
            });
        }
        match set_point_rad
            .iter()
            .position(|set_point_rad| !set_point_rad.is_finite())
        {
            Some(joint) => Err(ArmError::NotFinite {
                joint: self.settings.joints[joint].name.clone(),
                set_point_rad: set_point_rad[joint],
            }),
            None => Ok(()),
        }
    }

    fn check_lost(&mut self, misses_max: u32) -> Result<(), ArmError> {
        for trust in &mut self.trust {
            trust.lost |= trust.missed > misses_max;
        }
        let Some(joint) = self.trust.iter().position(|trust| trust.lost) else {
            return Ok(());
        };
        let ServoJoint { name, id, .. } = &self.settings.joints[joint];
        Err(ArmError::Lost {
            joint: name.clone(),
            id: *id,
            missed: self.trust[joint].missed,
        })
    }

    fn send_goals(&mut self, set_point_rad: &[f32]) -> Result<(), ArmError> {
        let goal = P::ROLES.goal_position;
        let mut data: heapless::Vec<u8, GOAL_BYTES_MAX> = heapless::Vec::new();
        for (mapping, set_point_rad) in self.mappings.iter().zip(set_point_rad) {
            // A position within the limits fits the register: bring-up has checked the limits.
            let bytes = goal
                .encode(mapping.ticks(*set_point_rad))
                .map_err(BringUpError::from)?;
            data.extend_from_slice(&bytes[..usize::from(goal.width)])
                .map_err(|_| BusError::from(EncodeError::TooLong))?;
        }
        let ids = self.readings.ids();
        Ok(self
            .bus
            .sync_write(ids, goal.address, goal.width, &data, self.settings.budget_us)?)
    }

    fn listen(&mut self, deadline_us: u64) -> Result<(), ArmError> {
        let block = P::FEEDBACK[self.period % P::FEEDBACK.len()];
        self.period += 1;
        let left_us = deadline_us.saturating_sub(self.bus.line().now_us());
        self.bus.sync_read(block, left_us, &mut self.readings)?;
        let now_us = self.bus.line().now_us();
        let roles = P::ROLES;
        let mut alerted = None;
        for (joint, mapping) in self.mappings.iter().enumerate() {
            let reading = self
                .readings
                .get(joint)
                .and_then(|reading| reading.fresh().zip(reading.error()));
            let value = |data, register: Register| register.within(block.address, data);
            let ticks = reading.and_then(|(data, _)| value(data, roles.present_position));
            let believed = self.trust[joint].judge(ticks, now_us, self.settings.jump_ticks::<P>());
            let Some((data, error)) = reading.filter(|_| believed) else {
                continue;
            };
            if let (Some(ticks), Some(velocity)) = (ticks, value(data, roles.present_velocity)) {
                self.state.position_rad[joint] = mapping.radians(ticks);
                self.state.velocity_rad_s[joint] =
                    mapping.radians_a_second(roles.present_velocity.scaled(velocity));
            }
            self.health
                .take::<P>(joint, self.models[joint], block.address, data, error);
            if P::alerted(error) {
                alerted = Some(joint);
            }
        }
        self.ask_extra(alerted, deadline_us)?;
        self.health.judge::<P>(&self.settings.limits);
        Ok(())
    }

    /// Asks one servo for one register beyond the feedback, if there is time: why it complains, or whichever has its turn.
    fn ask_extra(&mut self, alerted: Option<usize>, deadline_us: u64) -> Result<(), ArmError> {
        if P::EXTRAS.is_empty() {
            return Ok(());
        }
        let joints = self.mappings.len();
        let (register, joint) = match alerted {
            Some(joint) if self.period.is_multiple_of(2) => (P::ROLES.status, joint),
            _ => (
                P::EXTRAS[self.extra / joints % P::EXTRAS.len()],
                self.extra % joints,
            ),
        };
        let now_us = self.bus.line().now_us();
        let needs_us = self.bus.wire_us(3 * P::ANSWER_BYTES) + self.bus.timing().quiet_us;
        if now_us + needs_us > deadline_us || self.trust[joint].missed > 0 {
            self.extra += 1;
            return Ok(());
        }
        self.extra += 1;
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..usize::from(register.width)];
        match self.bus.try_read(
            self.readings.ids()[joint],
            register.address,
            bytes,
            deadline_us - now_us,
        )? {
            Some(_) => self
                .health
                .take_extra::<P>(joint, register, register.decode(bytes)),
            None => self.health.extra_missed(joint),
        }
        Ok(())
    }
}

impl<P: Family, L: Line> Joints for ServoArm<P, L> {
    fn joint_count(&self) -> usize {
        self.mappings.len()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, _dt_s: f32) -> Result<(), DeviceError> {
        self.period(set_point_rad, torque_on).map_err(DeviceError::new)
    }

    fn joints(&self) -> JointState {
        self.state.clone()
    }
}

/// One number a joint.
fn per_joint(values: impl Iterator<Item = f32>) -> JointVec {
    values.take(robot::MAX_JOINTS).collect()
}
