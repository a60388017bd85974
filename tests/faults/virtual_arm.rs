//! A firmware core with joints that follow at once, in virtual time, at the end of a line in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use devices::link::ByteStream;
use firmware_bridge::wire::MAX_FRAME_BYTES;
use firmware_bridge::{FirmwareCore, FirmwareLimits, FirmwareOptions, Identity, JointLimits, fresh};
use robot::JointVec;
use robot::device::LinkError;

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

pub(crate) struct State {
    pub(crate) firmware: FirmwareCore,
    pub(crate) now_us: u64,
    pub(crate) position_rad: JointVec,
    pub(crate) torque_on: bool,
    to_host: VecDeque<u8>,
}

/// The arm. Clones are the same.
#[derive(Clone)]
pub(crate) struct VirtualArm(Arc<Mutex<State>>);

impl VirtualArm {
    pub(crate) fn new() -> Self {
        let limits = FirmwareLimits::new(
            &[JointLimits {
                position_min_rad: -POSITION_MAX_RAD,
                position_max_rad: POSITION_MAX_RAD,
                velocity_max_rad_s: VELOCITY_MAX_RAD_S,
                acceleration_max_rad_s2: ACCELERATION_MAX_RAD_S2,
            }; JOINTS],
        )
        .expect("sound limits");
        let firmware = FirmwareCore::new(FirmwareOptions {
            limits,
            watchdog_us: WATCHDOG_US,
            torque_grace_us: 1_000_000,
            jump_max_rad: 0.25,
            telemetry_every_ticks: 5,
            firmware_version: [0, 0, 0],
            validity_max_us: 4 * WATCHDOG_US,
            identity: Identity {
                boot_id: fresh::id(),
                ..Identity::default()
            },
        });
        let arm = Self(Arc::new(Mutex::new(State {
            firmware,
            now_us: 0,
            position_rad: [0.0; JOINTS].into_iter().collect(),
            torque_on: false,
            to_host: VecDeque::new(),
        })));
        arm.step();
        arm
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One firmware step.
    pub(crate) fn step(&self) {
        let state = &mut *self.lock();
        state.now_us += STEP_US;
        let velocity_rad_s = [0.0; JOINTS];
        let drive = state
            .firmware
            .tick(state.now_us, &state.position_rad, &velocity_rad_s);
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
            state.to_host.extend(frame);
        }
    }

    /// Bytes for the arm, now.
    pub(crate) fn hears(&self, bytes: &[u8]) {
        let state = &mut *self.lock();
        state.firmware.on_bytes(state.now_us, bytes);
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&self, us: u64) {
        for _ in 0..us.div_ceil(STEP_US) {
            self.step();
        }
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
