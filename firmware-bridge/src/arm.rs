//! A simulated arm: the firmware core in front of a [`Plant`], on one virtual device clock.
//!
//! [`crate::SimulatorBridge`] and the loopback of the crate `devices` both drive this, so that a command has the same effect to the
//! last bit whether it came through memory or through a pty.

use robot::{ActionMode, Config, DeviceError, Frame, Joint, JointVec, Plant};

use crate::firmware::{
    Drive, FirmwareCore, FirmwareLimits, FirmwareOptions, Identity, JointLimits, VALIDITY_WATCHDOGS,
};
use crate::wire::{self, FirmwareState, MAX_FRAME_BYTES, Telemetry, fitted_serial_number, joint_names_hash};

const _: () = assert!(wire::MAX_JOINTS == robot::MAX_JOINTS);

/// Version that a simulated arm reports.
const FIRMWARE_VERSION: [u8; 3] = [0, 1, 0];

/// Boot id of a simulated arm in a world that waits: every run of it gives the same bytes. Others get a fresh one.
const WAITING_BOOT_ID: u64 = 1;

/// Farthest a first command may lie from the start pose unless the options say otherwise, in radians.
pub const JUMP_MAX_RAD: f32 = 0.25;

/// An actuator's control may be anything in its range from the first command on.
fn jump_max_rad(config: &Config) -> f32 {
    match config.envelope.mode() {
        ActionMode::Velocity => JUMP_MAX_RAD,
        ActionMode::Absolute => config
            .envelope
            .joints()
            .iter()
            .map(|joint| 2.0 * joint.half_range_rad())
            .fold(JUMP_MAX_RAD, f32::max),
    }
}

/// The limits of a checked robot's joints, as the firmware has them.
fn limits(joints: &[Joint]) -> Option<FirmwareLimits> {
    let limits: Vec<JointLimits> = joints
        .iter()
        .map(|joint| JointLimits {
            position_min_rad: joint.position_min_rad,
            position_max_rad: joint.position_max_rad,
            velocity_max_rad_s: joint.velocity_max_rad_s,
            acceleration_max_rad_s2: joint.acceleration_max_rad_s2,
        })
        .collect();
    FirmwareLimits::new(&limits)
}

/// How a simulated arm is timed and limited.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmOptions {
    /// Control period, in seconds.
    pub period_s: f32,
    /// Firmware and physics steps a control period; at least 1.
    pub substeps: u32,
    /// The firmware's limits.
    pub limits: FirmwareLimits,
    /// Silence after which the firmware stops the arm, in microseconds.
    pub watchdog_us: u64,
    /// Silence after which a holding firmware lets go, in microseconds.
    pub torque_grace_us: u64,
    /// Farthest a first command may lie from the pose the arm is in, in radians.
    pub jump_max_rad: f32,
    /// Longest time from now for which a command may be valid, in microseconds.
    pub validity_max_us: u64,
    /// Who the arm says it is.
    pub identity: Identity,
}

impl ArmOptions {
    /// What a robot file says about its simulated arm; 5 steps a period where it has no `simulator` section. `None` if
    /// its joints have no usable limits, which a checked file rules out.
    pub fn from_config(config: &Config) -> Option<Self> {
        let period_us = f64::from(config.period_s) * 1e6;
        let watchdog_us = (period_us * f64::from(config.watchdog_periods)).round() as u64;
        let names = config.envelope.joints().iter().map(|joint| joint.name.as_str());
        Some(Self {
            period_s: config.period_s,
            substeps: config
                .simulator
                .as_ref()
                .map_or(5, |simulator| simulator.substeps),
            limits: limits(config.envelope.joints())?,
            watchdog_us,
            torque_grace_us: (f64::from(config.torque_grace_s) * 1e6).round() as u64,
            jump_max_rad: jump_max_rad(config),
            validity_max_us: watchdog_us.saturating_mul(VALIDITY_WATCHDOGS),
            identity: Identity {
                serial_number: fitted_serial_number(&config.name),
                boot_id: WAITING_BOOT_ID,
                joint_names_hash: joint_names_hash(names),
            },
        })
    }

    /// With a boot id that no arm has had before: for an arm in a world that does not wait.
    #[must_use]
    pub fn booted_afresh(mut self) -> Self {
        self.identity.boot_id = crate::fresh::id();
        self
    }

    /// The control period in microseconds, rounded, at least 1.
    pub fn period_us(&self) -> u32 {
        ((f64::from(self.period_s) * 1e6).round() as u32).max(1)
    }
}

/// Firmware core and plant, one clock.
#[derive(Debug)]
pub struct SimulatedArm<P> {
    plant: P,
    firmware: FirmwareCore,
    options: FirmwareOptions,
    /// Its board has power. Without, nothing is heard and said, and the motors are off.
    powered: bool,
    /// Where something holds it, if something does.
    blocked_at: Option<JointVec>,
    period_us: u64,
    substeps: u64,
    dt_s: f32,
    /// Physics steps since the simulation began.
    steps: u64,
    /// When its board booted, in microseconds of the simulation. The firmware's clock begins then.
    booted_us: u64,
    /// How many microseconds that clock is fast.
    fast_us: i64,
}

impl<P: Plant> SimulatedArm<P> {
    /// Boots the firmware at the pose the plant is in.
    pub fn new(plant: P, options: &ArmOptions) -> Self {
        let firmware_options = FirmwareOptions {
            limits: options.limits.clone(),
            watchdog_us: options.watchdog_us,
            torque_grace_us: options.torque_grace_us,
            jump_max_rad: options.jump_max_rad,
            telemetry_every_ticks: 0,
            validity_max_us: options.validity_max_us,
            firmware_version: FIRMWARE_VERSION,
            identity: options.identity.clone(),
        };
        let substeps = options.substeps.max(1);
        let mut arm = Self {
            plant,
            firmware: FirmwareCore::new(firmware_options.clone()),
            options: firmware_options,
            powered: true,
            blocked_at: None,
            period_us: u64::from(options.period_us()),
            substeps: u64::from(substeps),
            dt_s: options.period_s / substeps as f32,
            steps: 0,
            booted_us: 0,
            fast_us: 0,
        };
        arm.report();
        arm
    }

    /// The time up to which physics has run, in microseconds since the simulation began.
    pub fn now_us(&self) -> u64 {
        self.steps * self.period_us / self.substeps
    }

    /// That time at the end of the next physics step.
    pub fn next_step_us(&self) -> u64 {
        (self.steps + 1) * self.period_us / self.substeps
    }

    /// The control period in microseconds.
    pub fn period_us(&self) -> u64 {
        self.period_us
    }

    /// Starts a new episode and holds its start pose. The session ends; the clock runs on; a latched emergency stop
    /// stays latched.
    ///
    /// # Errors
    /// The plant's; the firmware then knows nothing of a new episode.
    pub fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.plant.reset(seed)?;
        self.firmware
            .place(self.device_us(), &self.plant.joints().position_rad);
        Ok(())
    }

    /// Bytes from the host, read at `now_us` of the simulation.
    pub fn on_bytes(&mut self, now_us: u64, bytes: &[u8]) {
        if self.powered {
            let device_us = self.on_the_device(now_us);
            self.firmware.on_bytes(device_us, bytes);
        }
    }

    /// Takes the power from its board: the motors go off at once.
    pub fn switch_off(&mut self) {
        self.powered = false;
    }

    /// Gives its board power: the firmware begins anew, with this boot id and its clock at zero, and knows nothing of what
    /// was before.
    pub fn boot(&mut self, boot_id: u64) {
        self.powered = true;
        self.booted_us = self.now_us();
        self.options.identity.boot_id = boot_id;
        self.firmware = FirmwareCore::new(self.options.clone());
        self.report();
    }

    /// Makes the firmware's clock `by_us` microseconds fast, or slow, though it never shows a time before its beginning. 0 makes it right
    /// again.
    pub fn set_clock(&mut self, by_us: i64) {
        self.fast_us = by_us;
    }

    /// Holds the arm where it is, whatever its motors do, or lets it go.
    pub fn block(&mut self, blocked: bool) {
        self.blocked_at = match (blocked, self.blocked_at.take()) {
            (false, _) => None,
            (true, Some(already)) => Some(already),
            (true, None) => Some(self.plant.joints().position_rad),
        };
    }

    /// One firmware tick and one physics step. A plant that has ended its episode stands still: its picture, joints and reward
    /// stay those of the end until the next reset, so that whoever looks later sees the same.
    ///
    /// # Errors
    /// The plant's.
    pub fn substep(&mut self) -> Result<(), DeviceError> {
        let joints = self.plant.joints();
        self.steps += 1;
        let drive = if self.powered {
            self.firmware
                .tick(self.device_us(), &joints.position_rad, &joints.velocity_rad_s)
        } else {
            Drive {
                set_point_rad: joints.position_rad,
                torque_on: false,
            }
        };
        if !self.plant.ended() {
            let (towards, torque_on) = match &self.blocked_at {
                Some(there) => (there, true),
                None => (&drive.set_point_rad, drive.torque_on),
            };
            self.plant.step(towards, torque_on, self.dt_s)?;
        }
        self.report();
        Ok(())
    }

    /// One control period.
    ///
    /// # Errors
    /// The plant's.
    pub fn advance_period(&mut self) -> Result<(), DeviceError> {
        (0..self.substeps).try_for_each(|_| self.substep())
    }

    /// Hands every frame the firmware has to send to `send`.
    pub fn transmit(&mut self, mut send: impl FnMut(&[u8])) {
        if !self.powered {
            return;
        }
        let mut buffer = [0; MAX_FRAME_BYTES];
        loop {
            let frame = self.firmware.poll_transmit(&mut buffer);
            if frame.is_empty() {
                return;
            }
            send(frame);
        }
    }

    /// What the camera sees now.
    ///
    /// # Errors
    /// The plant's.
    pub fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        self.plant.render(frame)
    }

    /// The task's reward now; `None` where nobody gives one.
    pub fn reward(&self) -> Option<f32> {
        self.plant.reward()
    }

    /// Whether the plant's episode has ended by itself.
    pub fn ended(&self) -> bool {
        self.plant.ended()
    }

    /// The firmware's state; idle without power.
    pub fn state(&self) -> FirmwareState {
        if self.powered {
            self.firmware.state()
        } else {
            FirmwareState::Idle
        }
    }

    /// What the firmware would report now.
    pub fn telemetry(&self) -> Telemetry {
        self.firmware.telemetry()
    }

    /// Newest command sequence number the firmware has received in this session.
    pub fn received_seq(&self) -> Option<u32> {
        self.firmware.received_seq()
    }

    /// The plant.
    pub fn plant(&self) -> &P {
        &self.plant
    }

    /// The firmware's clock.
    fn device_us(&self) -> u64 {
        self.on_the_device(self.now_us())
    }

    /// What that clock shows at `now_us` of the simulation.
    fn on_the_device(&self, now_us: u64) -> u64 {
        now_us
            .saturating_sub(self.booted_us)
            .saturating_add_signed(self.fast_us)
    }

    fn report(&mut self) {
        let joints = self.plant.joints();
        self.firmware
            .report(self.device_us(), &joints.position_rad, &joints.velocity_rad_s);
    }
}
