//! The firmware core on this machine, one turn at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firmware_bridge::wire::MAX_FRAME_BYTES;
use firmware_bridge::{FirmwareCore, FirmwareState};
use hand_over::bytes::{ByteReceiver, ByteSender};
use robot::JointVec;
use robot::device::{DeviceError, Joints, Motors};

use super::wire::{LetGo, Wire};
use crate::servo_bus::joints::{WayOut, WayOutSettings, WayOutState};

/// Joints of which some may not have been read lately.
pub trait Measured: Joints {
    /// Whether the position of `joint` was read in the last period.
    fn is_known(&self, joint: usize) -> bool;

    /// What the motors said last.
    fn motors(&self) -> Motors;

    /// Whether all motors have confirmed that their torque is off.
    fn has_let_go(&self) -> bool;

    /// Whether a motor has torque, or may have it.
    fn may_hold(&self) -> bool;

    /// One period in which they are heard and told nothing.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn look(&mut self) -> Result<(), DeviceError>;
}

/// What became of an arm in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is another.
    Goes,
    /// The host has left, and nothing more is to be done: torque is off, or the arm holds and nobody knows where it could lie.
    Ended {
        /// Whether it holds.
        holds: bool,
    },
}

/// A firmware core in front of joints.
pub struct Core<J> {
    joints: J,
    firmware: FirmwareCore,
    /// How the arm is laid down when the host has left; `None` if nobody said where it can lie.
    way_out: Option<WayOutSettings>,
    wire: Arc<Wire>,
    from_host: ByteReceiver,
    to_host: ByteSender,
    e_stop: Arc<AtomicBool>,
    dt_s: f32,
    /// What the joints were told last.
    set_point_rad: JointVec,
    leaving: Option<WayOut>,
    /// The arm has been led by this core. Until then its motors are left as they were found: an arm that holds is not dropped by being opened.
    led: bool,
    /// Since when torque could not be taken off.
    letting_go_since_us: Option<u64>,
}

/// How long an emergency stop is tried after the host has left.
const LET_GO_WITHIN_US: u64 = 2_000_000;

impl<J: Measured> Core<J> {
    pub(super) fn new(
        joints: J,
        firmware: FirmwareCore,
        way_out: Option<WayOutSettings>,
        wire: Arc<Wire>,
        (from_host, to_host): (ByteReceiver, ByteSender),
        e_stop: Arc<AtomicBool>,
        dt_s: f32,
    ) -> Self {
        let set_point_rad = joints.joints().position_rad;
        let mut core = Self {
            joints,
            firmware,
            way_out,
            wire,
            from_host,
            to_host,
            e_stop,
            dt_s,
            set_point_rad,
            leaving: None,
            led: false,
            letting_go_since_us: None,
        };
        core.report(0);
        core
    }

    /// The joints.
    pub fn joints(&self) -> &J {
        &self.joints
    }

    /// The joints, to reach what is emulated behind them.
    pub fn joints_mut(&mut self) -> &mut J {
        &mut self.joints
    }

    /// One turn at `now_us`. The control loop may be late, stalled or gone.
    pub fn turn(&mut self, now_us: u64) -> Turn {
        // Once set, it stays set.
        let asked = self.e_stop.load(Ordering::SeqCst);
        if asked {
            self.firmware.e_stop();
            self.leaving = None;
        }
        let turn = match self.leaving.take() {
            None => self.follow(now_us, asked),
            Some(way_out) => self.leave(way_out, now_us),
        };
        match turn {
            Turn::Ended { holds: true } if self.wire.host_left.load(Ordering::SeqCst) => {
                self.wire.tell(LetGo::Never);
            }
            // The emergency stop still has a way to the motors that answer.
            Turn::Ended { holds: true } => {}
            Turn::Ended { holds: false } => self.wire.tell(LetGo::Yes),
            Turn::Goes => {}
        }
        turn
    }

    /// Does what the host asks for, within the firmware's limits. `asked`: a person has asked for the emergency stop.
    fn follow(&mut self, now_us: u64, asked: bool) -> Turn {
        let mut bytes = [0; MAX_FRAME_BYTES];
        loop {
            let count = self.from_host.receive(&mut bytes);
            if count == 0 {
                break;
            }
            self.firmware.on_bytes(now_us, &bytes[..count]);
        }
        let joints = self.joints.joints();
        let drive = self
            .firmware
            .tick(now_us, &joints.position_rad, &joints.velocity_rad_s);
        self.led |= drive.torque_on;
        let untouched = !self.led && self.firmware.state() == FirmwareState::Idle;
        let stepped = if untouched {
            self.joints.look()
        } else {
            self.joints.step(&drive.set_point_rad, drive.torque_on, self.dt_s)
        };
        self.wire.motors.tell(self.joints.motors());
        self.set_point_rad = drive.set_point_rad;
        let e_stopped = self.firmware.state() == FirmwareState::EStopped;
        // An emergency stop that the host has sent can be cleared again: it confirms none that a person asks for later.
        if asked && self.joints.has_let_go() {
            self.wire.tell(LetGo::Yes);
        }
        if let Err(error) = stepped {
            // Said once; the control loop stops by it, and its own message is the shorter one.
            if self.wire.fault.set(error.to_string()).is_ok() {
                log::error!("{error}");
            }
            if e_stopped && !self.joints.has_let_go() {
                // Torque may still be on: the next turn tries again, and not for ever once nobody is there who could be told.
                let since_us = *self.letting_go_since_us.get_or_insert(now_us);
                let over = now_us.saturating_sub(since_us) > LET_GO_WITHIN_US;
                return if over && self.wire.host_left.load(Ordering::SeqCst) {
                    Turn::Ended { holds: true }
                } else {
                    Turn::Goes
                };
            }
            return if drive.torque_on {
                self.end(now_us, true)
            } else {
                Turn::Ended {
                    holds: self.joints.may_hold(),
                }
            };
        }
        self.report(now_us);
        let at_rest = !matches!(
            self.firmware.state(),
            FirmwareState::Active | FirmwareState::Stopping
        );
        if at_rest && self.wire.host_left.load(Ordering::SeqCst) {
            return if self.firmware.state() == FirmwareState::Held {
                self.end(now_us, true)
            } else {
                Turn::Ended {
                    holds: self.joints.may_hold(),
                }
            };
        }
        Turn::Goes
    }

    /// Begins the way out of an arm that `holds`.
    fn end(&mut self, now_us: u64, holds: bool) -> Turn {
        match self.way_out.take().filter(|_| holds) {
            Some(settings) => {
                self.leaving = Some(WayOut::begin(settings, &self.set_point_rad, now_us));
                Turn::Goes
            }
            None => Turn::Ended { holds },
        }
    }

    /// One turn of the way out. A joint that is lost does not keep the others from being laid down.
    fn leave(&mut self, mut way_out: WayOut, now_us: u64) -> Turn {
        let position_rad = self.joints.joints().position_rad;
        let measured_rad: heapless::Vec<Option<f32>, { robot::MAX_JOINTS }> = (0..self.joints.joint_count())
            .map(|joint| {
                position_rad
                    .get(joint)
                    .copied()
                    .filter(|_| self.joints.is_known(joint))
            })
            .collect();
        let set_point_rad = way_out.step(&measured_rad, now_us);
        // Whether it comes is measured; an error was told before.
        let _ = self.joints.step(&set_point_rad, way_out.torque_on(), self.dt_s);
        match way_out.state() {
            WayOutState::Released => Turn::Ended {
                holds: self.joints.may_hold(),
            },
            WayOutState::Stuck => Turn::Ended { holds: true },
            WayOutState::Holding | WayOutState::Ramping => {
                self.leaving = Some(way_out);
                Turn::Goes
            }
        }
    }

    fn report(&mut self, now_us: u64) {
        let joints = self.joints.joints();
        self.firmware
            .report(now_us, &joints.position_rad, &joints.velocity_rad_s);
        let mut buffer = [0; MAX_FRAME_BYTES];
        loop {
            let frame = self.firmware.poll_transmit(&mut buffer);
            // Telemetry that nobody takes is dropped, whole.
            if frame.is_empty() || !self.to_host.send(frame) {
                return;
            }
        }
    }
}
