//! An arm without a firmware of its own: a firmware core runs on this machine, on a thread of its own, between the control loop and the
//! servos.
//!
//! ```text
//!  control loop -- HostLink -- bytes in memory -- FirmwareCore -- servo bus
//!                              (no locks)         (own thread)
//! ```
//!
//! The core keeps the arm's limits, interpolates between set points, and stops the arm when the control loop is silent, as the firmware
//! of a board does. A control loop that stalls does not stall it. It looks at the flag of the emergency stop itself, every turn.
//!
//! **An arm is never dropped** when a program ends: the core holds it, leads it slowly to its rest pose, and takes torque off once it is
//! measured there. Where the robot file names no rest pose, the arm goes on holding, and a warning says so. An emergency stop takes torque
//! off at once.

mod core;
mod e_stop;
mod motors;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{FirmwareCore, FirmwareOptions};
use hand_over::alarm;
use hand_over::bytes::bytes;
use realtime::Raised;
use robot::device::{
    ArmReport, DeviceError, DeviceInfo, EStopLine, JointBus, LinkError, Motors, Overdue, RefusedReports,
};
use robot::{Clock, SystemClock};

pub use self::core::{Core, Measured, Turn};
use self::e_stop::HostedEStop;
pub use self::wire::HostEnd;
use self::wire::{BYTES, LetGo, Wire};
use crate::link::HostLink;
use crate::servo_bus::joints::WayOutSettings;

/// Version that a core on this machine reports.
const FIRMWARE_VERSION: [u8; 3] = [0, 1, 0];

/// Longest wait for the core's answer, in microseconds.
const ANSWER_US: u64 = 2_000_000;

/// Time between two tries to take torque off.
const AGAIN_NS: u64 = 1_000_000;

/// Time between two looks whether the host has left, once nothing leads the arm any more.
const LOOK: Duration = Duration::from_millis(5);

/// Far longer than any program runs, in microseconds: an arm of servos is not let go because its host is silent.
const NEVER_US: u64 = u64::MAX / 4;

/// What an arm without a firmware is driven with.
#[derive(Debug)]
pub struct HostedOptions {
    /// What to call the arm in messages: the port's path.
    pub name: String,
    /// Limits and the watchdog.
    pub arm: ArmOptions,
    /// Turns a second.
    pub rate_hz: f32,
    /// How the arm is laid down; `None` if nobody knows where it can lie.
    pub way_out: Option<WayOutSettings>,
    /// Priority of the core's thread: `realtime.bus_priority` of the robot file.
    pub priority: u8,
    /// Set when a person asks for the emergency stop.
    pub e_stop: Arc<AtomicBool>,
}

/// A core, and the control loop's end of the wire to it. Whoever has the core gives it its turns.
pub fn parts<J: Measured>(joints: J, options: HostedOptions, clock: Arc<dyn Clock>) -> (Core<J>, HostEnd) {
    let wire = Arc::new(Wire::new(clock));
    let firmware = FirmwareCore::new(FirmwareOptions {
        limits: options.arm.limits,
        watchdog_us: options.arm.watchdog_us,
        torque_grace_us: NEVER_US,
        jump_max_rad: options.arm.jump_max_rad,
        telemetry_every_ticks: 1,
        validity_max_us: options.arm.validity_max_us,
        firmware_version: FIRMWARE_VERSION,
        identity: options.arm.identity,
    });
    let ((to_arm, from_host), (to_host, from_arm)) = (bytes(BYTES), bytes(BYTES));
    let end = HostEnd::new(&options.name, Arc::clone(&wire), to_arm, from_arm);
    let core = Core::new(
        joints,
        firmware,
        options.way_out,
        wire,
        (from_host, to_host),
        options.e_stop,
        1.0 / options.rate_hz,
    );
    (core, end)
}

/// Says that an arm was not let go.
fn tell_of_holding(name: &str, can_lie: bool) {
    if can_lie {
        log::warn!(
            "{name}: the arm could not be laid down and goes on holding with torque: support it, then take its power away"
        );
    } else {
        log::warn!(
            "{name}: the arm goes on holding with torque: support it, then take its power away; field `rest_rad` of `arm` in the robot \
             file names a pose in which it can be let go"
        );
    }
}

/// An arm whose firmware core runs in this program. Dropping it lays the arm down, and waits until it lies.
#[derive(Debug)]
pub struct HostedArm {
    /// Until it is dropped.
    link: Option<HostLink<HostEnd>>,
    thread: Option<JoinHandle<()>>,
    name: String,
    wire: Arc<Wire>,
    e_stop: Arc<AtomicBool>,
}

impl HostedArm {
    /// Starts the core's thread.
    ///
    /// # Errors
    /// [`DeviceError`] if the operating system gives no thread.
    pub fn start<J: Measured + 'static>(joints: J, options: HostedOptions) -> Result<Self, DeviceError> {
        let (name, priority) = (options.name.clone(), options.priority);
        let can_lie = options.way_out.is_some();
        let step_ns = (1e9 / f64::from(options.rate_hz)) as u64;
        let (count, e_stop) = (joints.joint_count(), Arc::clone(&options.e_stop));
        let period_us = u64::from(options.arm.period_us());
        let clock = Arc::new(SystemClock::default());
        let (mut core, end) = parts(joints, options, Arc::clone(&clock) as Arc<dyn Clock>);
        let wire = end.wire();
        let link = HostLink::new(end, count, ANSWER_US)
            .with_period_us(period_us)
            .with_e_stop_asked(Arc::clone(&e_stop));
        let its = name.clone();
        let (its_wire, its_e_stop) = (Arc::clone(&wire), Arc::clone(&e_stop));
        let thread = std::thread::Builder::new()
            .name("firmware".to_owned())
            .spawn(move || {
                let _raised = Raised::new(("realtime.bus_priority", priority), ("realtime", &[]));
                let mut due_ns = clock.now_ns();
                let mut told = false;
                loop {
                    if let Turn::Ended { holds } = core.turn(clock.now_ns() / 1_000) {
                        if holds && !told {
                            told = true;
                            tell_of_holding(&its, can_lie);
                        }
                        let left = || its_wire.host_left.load(Ordering::SeqCst);
                        if !holds || left() {
                            return;
                        }
                        // Nothing leads the arm any more. The emergency stop still reaches the motors that answer.
                        while !left() && !its_e_stop.load(Ordering::SeqCst) {
                            std::thread::park_timeout(LOOK);
                        }
                        continue;
                    }
                    // Turns that were missed are not made up for.
                    due_ns = (due_ns + step_ns).max(clock.now_ns());
                    // The emergency stop wakes this thread.
                    let urgent = || its_e_stop.load(Ordering::SeqCst) && its_wire.let_go() == LetGo::No;
                    if urgent() {
                        clock.sleep_until_ns(clock.now_ns() + AGAIN_NS);
                        continue;
                    }
                    let left = || Duration::from_nanos(due_ns.saturating_sub(clock.now_ns()));
                    alarm::sleep(urgent, left);
                }
            })
            .map_err(DeviceError::new)?;
        Ok(Self {
            link: Some(link),
            thread: Some(thread),
            name,
            wire,
            e_stop,
        })
    }

    fn link(&mut self) -> Result<&mut HostLink<HostEnd>, LinkError> {
        self.link.as_mut().ok_or_else(|| LinkError::Closed {
            port: self.name.clone(),
        })
    }
}

impl Drop for HostedArm {
    fn drop(&mut self) {
        // The core sees that the host has left.
        self.link = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("{}: the firmware's thread failed; cut the arm's power", self.name);
        }
    }
}

impl JointBus for HostedArm {
    fn port(&self) -> &str {
        &self.name
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        self.link()?.handshake()
    }

    fn send_set_point(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        valid_for_us: u32,
    ) -> Result<u32, LinkError> {
        self.link()?
            .send_set_point(set_point_rad, move_time_us, valid_for_us)
    }

    fn send_set_point_since_poll(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        valid_since_poll_us: u32,
    ) -> Result<u32, LinkError> {
        self.link()?
            .send_set_point_since_poll(set_point_rad, move_time_us, valid_since_poll_us)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        self.link()?.send_stop()
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        self.link()?.send_release()
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.link()?.send_e_stop()
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        self.link()?.send_clear_e_stop()
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        self.link()?.poll()
    }

    fn e_stop_line(&self) -> Result<Option<Box<dyn EStopLine>>, LinkError> {
        let Some(thread) = &self.thread else {
            return Ok(None);
        };
        let thread = thread.thread().clone();
        Ok(Some(Box::new(HostedEStop::new(
            self.name.clone(),
            Arc::clone(&self.e_stop),
            Arc::clone(&self.wire),
            thread,
        ))))
    }

    fn refused_reports(&self) -> RefusedReports {
        self.link
            .as_ref()
            .map_or_else(RefusedReports::default, HostLink::refused_reports)
    }

    fn overdue(&self) -> Option<Overdue> {
        self.link.as_ref().and_then(HostLink::overdue)
    }

    fn motors(&mut self, into: &mut Motors) {
        if let Some(link) = &mut self.link {
            link.stream_mut().motors(into);
        }
    }
}
