//! An arm of emulated servos at a path that stays the same: what `armillary sim` serves in the place of an arm on a servo bus.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use firmware_bridge::faults::Fault;
use firmware_bridge::{Line, Pieces};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use robot::JointVec;
use robot::device::DeviceError;

use super::faults::Faults;
use super::layout::Emulated;
use super::servo::EmulatedServo;
use super::wire::EmulatedBus;
use crate::servo_bus::joints::{Mapping, ServoJoint};
use crate::servos::encoder;

/// How long the thread looks away at most: joints move while nobody asks.
const NAP: Duration = Duration::from_millis(2);

/// Changes of what is wrong that may wait for the thread.
const CHANGES: usize = 16;

/// Makes things go wrong with an emulated arm while it is served.
#[derive(Debug, Clone)]
pub struct FaultSwitch {
    changes: Sender<Vec<Fault>>,
    torque_on: Arc<AtomicBool>,
}

impl FaultSwitch {
    /// What is wrong from now on. An arm that is not served any more has nothing that could go wrong.
    pub fn set(&self, wrong: &[Fault]) {
        let _ = self.changes.send(wrong.to_vec());
    }

    /// Whether any servo has torque.
    pub fn torque_on(&self) -> bool {
        self.torque_on.load(Ordering::Relaxed)
    }
}

/// An arm of emulated servos behind a pseudo-terminal, in real time. Dropping it ends the thread that serves it.
#[derive(Debug)]
pub struct EmulatedArm {
    /// What each servo says of its position, in ticks, as the bits of an `f64`.
    ticks: Arc<[AtomicU64]>,
    mappings: Vec<Mapping>,
    faults: FaultSwitch,
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
            .map(|((joint, mapping), rad)| {
                let offset = joint.homing.offset_ticks().unwrap_or(0);
                let encoder = encoder::<P>().encoder_ticks(mapping.ticks(*rad), offset);
                EmulatedServo::<P>::new(joint.id, encoder as u16).with_homing(offset)
            })
            .collect();
        let ticks: Arc<[AtomicU64]> = servos
            .iter()
            .map(|servo| AtomicU64::new(servo.present_ticks().to_bits()))
            .collect();
        let mut line = Line::new(Some(path.to_owned())).map_err(DeviceError::new)?;
        line.expect_faults(Pieces::Chunks);
        let (changes, to_do) = bounded(CHANGES);
        let torque_on = Arc::new(AtomicBool::new(false));
        let mut wire = Wire {
            line,
            to_do,
            torque_on: Arc::clone(&torque_on),
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
            faults: FaultSwitch { changes, torque_on },
            stop,
            thread: Some(thread),
        })
    }

    /// What makes things go wrong with it.
    pub fn faults(&self) -> FaultSwitch {
        self.faults.clone()
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
    line: Line,
    to_do: Receiver<Vec<Fault>>,
    torque_on: Arc<AtomicBool>,
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
        if let Some(port) = self.line.as_fd() {
            let mut host = [PollFd::new(port, PollFlags::POLLIN)];
            // Woken early, it does less in this turn.
            let _ = ppoll(&mut host, Some(TimeSpec::from_duration(nap)), None);
        } else {
            std::thread::sleep(nap);
        }
        while let Ok(wrong) = self.to_do.try_recv() {
            self.go_wrong(&wrong)?;
        }
        let now_us = self.now_us();
        self.bus.advance(now_us);
        let bus = &mut self.bus;
        self.line
            .read(|bytes| bus.write(bytes, now_us))
            .map_err(DeviceError::new)?;
        let mut bytes = [0; 256];
        let now_us = self.now_us();
        let said = self.bus.read(&mut bytes, now_us);
        if said > 0 {
            self.line.say(&bytes[..said]);
        }
        self.line.flush().map_err(DeviceError::new)?;
        let torque_on = self.bus.servos.iter().any(EmulatedServo::torque_on);
        self.torque_on.store(torque_on, Ordering::Relaxed);
        for (ticks, servo) in self.ticks.iter().zip(&self.bus.servos) {
            ticks.store(servo.present_ticks().to_bits(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes of each servo what is wrong with it from now on.
    fn go_wrong(&mut self, wrong: &[Fault]) -> Result<(), DeviceError> {
        for (index, servo) in self.bus.servos.iter_mut().enumerate() {
            let mut faults = Faults {
                stuck: wrong.contains(&Fault::ArmBlocked),
                ..Faults::default()
            };
            let its = |fault: &&Fault| fault.joint().map(usize::from) == Some(index);
            for fault in wrong.iter().filter(its) {
                match *fault {
                    Fault::ServoSilent { .. } => faults.silent = true,
                    Fault::ServoStuck { .. } => faults.stuck = true,
                    Fault::ServoSupply { volts, .. } => faults.voltage_v = Some(volts),
                    Fault::ServoHeat { celsius, .. } => faults.temperature_c = Some(celsius),
                    _ => {}
                }
            }
            servo.faults = faults;
        }
        self.line.set(wrong).map_err(DeviceError::new)
    }
}
