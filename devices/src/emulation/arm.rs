//! An arm of emulated servos at a path that stays the same: what `armillary sim` serves in the place of an arm on a servo bus.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firmware_bridge::Pty;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use robot::JointVec;
use robot::device::DeviceError;

use super::layout::Emulated;
use super::servo::EmulatedServo;
use super::wire::EmulatedBus;
use crate::servo_bus::joints::{Mapping, ServoJoint};

/// How long the thread looks away at most: joints move while nobody asks.
const NAP: Duration = Duration::from_millis(2);

/// An arm of emulated servos behind a pseudo-terminal, in real time. Dropping it ends the thread that serves it.
#[derive(Debug)]
pub struct EmulatedArm {
    /// Each servo's position, in ticks, as the bits of an `f64`.
    ticks: Arc<[AtomicU64]>,
    mappings: Vec<Mapping>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EmulatedArm {
    /// Serves servos of `joints` at rest at `position_rad`, at the link `path`. Their wire has `baud` bits a second, whatever rate the
    /// host sets.
    ///
    /// # Errors
    /// [`DeviceError`]: joints that no servos can have, and a path that is taken.
    pub fn serve<P: Emulated>(
        path: &Path,
        baud: u32,
        joints: &[ServoJoint],
        position_rad: &[f32],
    ) -> Result<Self, DeviceError> {
        let mappings = joints
            .iter()
            .map(Mapping::new::<P>)
            .collect::<Result<Vec<_>, _>>()
            .map_err(DeviceError::new)?;
        let servos: Vec<_> = joints
            .iter()
            .zip(&mappings)
            .zip(position_rad)
            // The limits of a mapping lie within a turn.
            .map(|((joint, mapping), rad)| EmulatedServo::<P>::new(joint.id, mapping.ticks(*rad) as u16))
            .collect();
        let ticks: Arc<[AtomicU64]> = servos
            .iter()
            .map(|servo| AtomicU64::new(servo.motor().position_ticks.to_bits()))
            .collect();
        let mut wire = Wire {
            pty: Pty::new(path).map_err(DeviceError::new)?,
            bus: EmulatedBus::new(baud, servos),
            origin: Instant::now(),
            ticks: Arc::clone(&ticks),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("emulated servos".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    if let Err(error) = wire.turn() {
                        log::error!("the emulated servos are gone: {error}");
                        return;
                    }
                }
            })
            .map_err(DeviceError::new)?;
        Ok(Self {
            ticks,
            mappings,
            stop,
            thread: Some(thread),
        })
    }

    /// Where the joints are now, in radians.
    pub fn position_rad(&self) -> JointVec {
        self.ticks
            .iter()
            .zip(&self.mappings)
            .map(|(ticks, mapping)| {
                let ticks = f64::from_bits(ticks.load(Ordering::Relaxed));
                mapping.radians(ticks.round() as i64)
            })
            .collect()
    }
}

impl Drop for EmulatedArm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It looks at `stop` every NAP. That it panicked was printed.
            let _ = thread.join();
        }
    }
}

struct Wire<P> {
    pty: Pty,
    bus: EmulatedBus<P>,
    origin: Instant,
    ticks: Arc<[AtomicU64]>,
}

impl<P: Emulated> Wire<P> {
    fn now_us(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Waits for what happens next, and lets it happen.
    fn turn(&mut self) -> Result<(), DeviceError> {
        let until_us = self.bus.next_arrival_us().unwrap_or(u64::MAX);
        let nap = Duration::from_micros(until_us.saturating_sub(self.now_us())).min(NAP);
        if self.pty.is_open() {
            let mut host = [PollFd::new(self.pty.as_fd(), PollFlags::POLLIN)];
            // Woken early, it does less in this turn.
            let _ = ppoll(&mut host, Some(TimeSpec::from_duration(nap)), None);
        } else {
            std::thread::sleep(nap);
        }
        self.pty.refresh().map_err(DeviceError::new)?;
        let now_us = self.now_us();
        self.bus.advance(now_us);
        let mut bytes = [0; 256];
        let heard = self.pty.read(&mut bytes).map_err(DeviceError::new)?;
        if heard > 0 {
            self.bus.write(&bytes[..heard], now_us);
        }
        let said = self.bus.read(&mut bytes, self.now_us());
        self.pty.queue(&bytes[..said]);
        self.pty.flush().map_err(DeviceError::new)?;
        for (ticks, servo) in self.ticks.iter().zip(&self.bus.servos) {
            ticks.store(servo.motor().position_ticks.to_bits(), Ordering::Relaxed);
        }
        Ok(())
    }
}
