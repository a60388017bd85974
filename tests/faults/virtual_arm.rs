//! A firmware core with joints that follow at once, in virtual time, at the end of a line in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use devices::link::ByteStream;
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::wire::{ArmToHost, Decoder, MAX_FRAME_BYTES, Telemetry, encode};
use firmware_bridge::{
    FirmwareCore, FirmwareLimits, FirmwareOptions, FirmwareState, Identity, JointLimits, fresh,
};
use robot::device::LinkError;
use robot::{Config, JointVec};

/// Joints.
pub(crate) const JOINTS: usize = 6;

/// Firmware steps are this long, in microseconds.
pub(crate) const STEP_US: u64 = 2_000;

/// Control period, in microseconds.
pub(crate) const PERIOD_US: u64 = 50_000;

/// Silence after which the firmware stops, in microseconds.
pub(crate) const WATCHDOG_US: u64 = 125_000;

/// A joint's limit on either side, in radians.
pub(crate) const POSITION_MAX_RAD: f32 = 0.5;

/// Greatest speed of a joint, in radians a second.
pub(crate) const VELOCITY_MAX_RAD_S: f32 = 1.0;

/// Greatest acceleration, in radians a second squared.
pub(crate) const ACCELERATION_MAX_RAD_S2: f32 = 4.0;

/// Changes a report that is about to be sent; returns whether it is sent at all.
pub(crate) type TelemetryFault = Box<dyn FnMut(&mut Telemetry) -> bool + Send>;

pub(crate) struct State {
    pub(crate) firmware: FirmwareCore,
    options: FirmwareOptions,
    /// Time that has passed, which is also the host's clock.
    pub(crate) now_us: u64,
    /// The arm's own clock less that.
    pub(crate) clock_ahead_us: i64,
    /// What becomes of its telemetry from now on.
    pub(crate) telemetry_fault: Option<TelemetryFault>,
    /// Its clock has jumped: whatever it reports from now on is wrong.
    pub(crate) clock_jumped: bool,
    /// When the first report left that was another than it should have been, or should have left and did not.
    pub(crate) first_fault_us: Option<u64>,
    /// When the arm stopped following, if it has since it last began to.
    pub(crate) stopped_us: Option<u64>,
    pub(crate) position_rad: JointVec,
    pub(crate) torque_on: bool,
    to_host: VecDeque<u8>,
}

/// The arm. Clones are the same.
#[derive(Clone)]
pub(crate) struct VirtualArm(Arc<Mutex<State>>);

impl State {
    /// Takes note of whether the arm follows.
    fn note(&mut self) {
        if self.firmware.state() == FirmwareState::Active {
            self.stopped_us = None;
        } else {
            self.stopped_us.get_or_insert(self.now_us);
        }
    }

    /// The arm's own clock.
    fn device_us(&self) -> u64 {
        self.now_us.saturating_add_signed(self.clock_ahead_us)
    }
}

impl VirtualArm {
    pub(crate) fn new() -> Self {
        Self::with_watchdog(WATCHDOG_US)
    }

    /// An arm whose watchdog waits for so long.
    pub(crate) fn with_watchdog(watchdog_us: u64) -> Self {
        let limits = FirmwareLimits::new(
            &[JointLimits {
                position_min_rad: -POSITION_MAX_RAD,
                position_max_rad: POSITION_MAX_RAD,
                velocity_max_rad_s: VELOCITY_MAX_RAD_S,
                acceleration_max_rad_s2: ACCELERATION_MAX_RAD_S2,
            }; JOINTS],
        )
        .expect("sound limits");
        let options = FirmwareOptions {
            limits,
            watchdog_us,
            torque_grace_us: 1_000_000,
            jump_max_rad: 0.25,
            telemetry_every_ticks: 5,
            firmware_version: [0, 0, 0],
            validity_max_us: 4 * watchdog_us,
            identity: Identity {
                boot_id: fresh::id(),
                ..Identity::default()
            },
        };
        Self::of(options, &[0.0; JOINTS])
    }

    /// The arm that a robot file describes, at rest at its home pose.
    pub(crate) fn of_robot(config: &Config) -> Self {
        let arm = ArmOptions::from_config(config)
            .expect("a checked robot file has limits")
            .booted_afresh();
        let options = FirmwareOptions {
            limits: arm.limits,
            watchdog_us: arm.watchdog_us,
            torque_grace_us: arm.torque_grace_us,
            jump_max_rad: arm.jump_max_rad,
            telemetry_every_ticks: 5,
            firmware_version: [0, 0, 0],
            validity_max_us: arm.validity_max_us,
            identity: arm.identity,
        };
        Self::of(options, &config.envelope.home().position_rad)
    }

    fn of(options: FirmwareOptions, position_rad: &[f32]) -> Self {
        let arm = Self(Arc::new(Mutex::new(State {
            firmware: FirmwareCore::new(options.clone()),
            options,
            now_us: 0,
            clock_ahead_us: 0,
            telemetry_fault: None,
            clock_jumped: false,
            first_fault_us: None,
            stopped_us: None,
            position_rad: position_rad.iter().copied().collect(),
            torque_on: false,
            to_host: VecDeque::new(),
        })));
        arm.step();
        arm
    }

    /// The board is reset: its firmware begins anew, with another boot id and a clock that begins at 0. What it had not sent is lost.
    pub(crate) fn reboot(&self) {
        let state = &mut *self.lock();
        state.options.identity.boot_id = fresh::id();
        state.firmware = FirmwareCore::new(state.options.clone());
        state.clock_ahead_us = -i64::try_from(state.now_us).expect("not so late");
        state.torque_on = false;
        state.to_host.clear();
        state.note();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One firmware step.
    pub(crate) fn step(&self) {
        let state = &mut *self.lock();
        state.now_us += STEP_US;
        let device_us = state.device_us();
        let velocity_rad_s = [0.0; JOINTS];
        let drive = state.firmware.tick(
            device_us,
            &state.position_rad,
            &velocity_rad_s[..state.position_rad.len()],
        );
        state.note();
        state.torque_on = drive.torque_on;
        if drive.torque_on {
            state.position_rad = drive.set_point_rad;
        }
        let mut buffer = [0; MAX_FRAME_BYTES];
        loop {
            let frame = state.firmware.poll_transmit(&mut buffer);
            if frame.is_empty() {
                return;
            }
            match &mut state.telemetry_fault {
                None => {
                    if state.clock_jumped {
                        state.first_fault_us.get_or_insert(state.now_us);
                    }
                    state.to_host.extend(frame);
                }
                Some(fault) => {
                    let altered = altered(frame, fault);
                    if altered != frame {
                        state.first_fault_us.get_or_insert(state.now_us);
                    }
                    state.to_host.extend(altered);
                }
            }
        }
    }

    /// Bytes for the arm, now.
    pub(crate) fn hears(&self, bytes: &[u8]) {
        let state = &mut *self.lock();
        let device_us = state.device_us();
        state.firmware.on_bytes(device_us, bytes);
        state.note();
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&self, us: u64) {
        for _ in 0..us.div_ceil(STEP_US) {
            self.step();
        }
    }
}

/// A frame of the arm after `fault`; empty if it is not sent.
fn altered(frame: &[u8], fault: &mut TelemetryFault) -> Vec<u8> {
    let mut decoder: Decoder<ArmToHost> = Decoder::default();
    let mut buffer = [0; MAX_FRAME_BYTES];
    match frame.iter().find_map(|byte| decoder.push(*byte)) {
        Some(ArmToHost::Telemetry(mut telemetry)) => {
            let sent = fault(&mut telemetry);
            let message = ArmToHost::Telemetry(telemetry);
            let frame = encode(&message, &mut buffer).expect("no longer than any other");
            if sent { frame.to_vec() } else { Vec::new() }
        }
        _ => frame.to_vec(),
    }
}

impl ByteStream for VirtualArm {
    fn name(&self) -> &str {
        "virtual arm"
    }

    fn now_us(&self) -> u64 {
        self.lock().now_us
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.hears(bytes);
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let state = &mut *self.lock();
        let count = into.len().min(state.to_host.len());
        for (to, from) in into.iter_mut().zip(state.to_host.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        let until_us = self.now_us() + timeout_us;
        loop {
            self.step();
            let state = self.lock();
            if !state.to_host.is_empty() || state.now_us >= until_us {
                return Ok(());
            }
        }
    }

    fn second(&self) -> Result<Option<Box<dyn ByteStream>>, LinkError> {
        Ok(Some(Box::new(self.clone())))
    }
}
