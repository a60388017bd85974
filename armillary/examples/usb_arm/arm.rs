//! The arm at the far end of its cable, and what is seen of it there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use devices::link::ByteStream;
use devices::serial::SerialStream;
use firmware_bridge::FirmwareState;
use firmware_bridge::arm::SimulatedArm;
use robot::JointVec;
use robot::device::LinkError;
use simulator::Simulator;

use crate::{Plug, Shared, lock};

/// The far end of the cable, and the file that says which USB controller the gadget is on.
const PORT: &str = "/dev/ttyGS0";
const CONTROLLER: &str = "/sys/kernel/config/usb_gadget/arm/UDC";

/// How long the thread sleeps between two looks at port and clock.
const LOOK: Duration = Duration::from_millis(1);
/// How long an arm that nobody drives may take until it lets go.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is seen of the arm at its own end.
#[derive(Debug)]
pub(crate) struct Watched {
    fault: Option<(Plug, Duration)>,
    /// When it began to move.
    moving: Option<Instant>,
    /// When something was pulled out.
    pulled: Option<Instant>,
    /// How long it took from there to rest.
    stop: Option<Duration>,
    /// Ticks after that in which it moved.
    unarmed_motions: u32,
    set_point_rad: JointVec,
    path_rad: f32,
    start_m: f32,
    now_m: f32,
    refused: u32,
}

impl Watched {
    /// Nothing yet. `fault` is what will be pulled out, and how long after the arm began to move.
    pub(crate) fn new(simulator: &Simulator, fault: Option<(Plug, Duration)>) -> Self {
        Self {
            fault,
            moving: None,
            pulled: None,
            stop: None,
            unarmed_motions: 0,
            set_point_rad: JointVec::new(),
            path_rad: 0.0,
            start_m: simulator.target_distance_m(),
            now_m: simulator.target_distance_m(),
            refused: 0,
        }
    }

    /// Whether `plug` is to be pulled out now; true once.
    pub(crate) fn pull(&mut self, plug: Plug) -> bool {
        let due = self.fault.is_some_and(|(which, after)| {
            let moved = self.moving.is_some_and(|since| since.elapsed() >= after);
            which == plug && self.pulled.is_none() && moved
        });
        if due {
            self.pulled = Some(Instant::now());
        }
        due
    }

    /// Looks at what the arm did in a tick.
    fn look(&mut self, arm: &SimulatedArm<Simulator>) {
        let told = arm.telemetry();
        let moves = matches!(told.state, FirmwareState::Active | FirmwareState::Stopping);
        if moves {
            self.moving.get_or_insert_with(Instant::now);
        }
        let before = std::mem::replace(&mut self.set_point_rad, told.set_point_rad);
        let steps = before.iter().zip(&self.set_point_rad);
        let path_rad: f32 = steps.map(|(before, now)| (now - before).abs()).sum();
        self.path_rad += if moves { path_rad } else { 0.0 };
        match (self.pulled, self.stop) {
            (Some(at), None) if !moves => self.stop = Some(at.elapsed()),
            (Some(_), Some(_)) => self.unarmed_motions += u32::from(moves),
            _ => {}
        }
        self.now_m = arm.plant().target_distance_m();
        self.refused =
            told.rejected_sequence + told.rejected_age + told.rejected_content + told.rejected_state;
    }

    /// Prints it. How the arm stopped is said only if something was pulled out.
    pub(crate) fn print(&self) {
        print!(
            "figures: path_mrad {:.0}, target_before_mm {:.0}, target_after_mm {:.0}, refused {}",
            1e3 * self.path_rad,
            1e3 * self.start_m,
            1e3 * self.now_m,
            self.refused
        );
        match self.stop {
            Some(stop) => println!(
                ", stop_ms {:.0}, unarmed_motions {}",
                1e3 * stop.as_secs_f64(),
                self.unarmed_motions
            ),
            None => println!(),
        }
    }
}

/// Serves the arm until the program is to end and the arm has let go. A port that is gone is opened again.
///
/// # Errors
/// An arm that does not let go.
pub(crate) fn serve(shared: &Shared, baud: u32, over: &AtomicBool) -> anyhow::Result<()> {
    let start = Instant::now();
    let now_us = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut line: Option<SerialStream> = None;
    let mut bytes = [0; 512];
    let mut ending: Option<Instant> = None;
    loop {
        if line.is_none() {
            line = SerialStream::open(PORT, baud).ok();
        }
        let mut shared = lock(shared);
        let (arm, watched) = &mut *shared;
        let mut sound = true;
        while let Some(line) = &mut line {
            match line.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => arm.on_bytes(now_us().max(arm.now_us()), &bytes[..count]),
                Err(_) => {
                    sound = false;
                    break;
                }
            }
        }
        while arm.next_step_us() <= now_us() {
            arm.substep()?;
            watched.look(arm);
        }
        arm.transmit(|frame| {
            // A line that takes nothing loses what is said.
            if let Some(Err(error)) = line.as_mut().map(|line| line.write(frame)) {
                sound &= matches!(error, LinkError::WriteTimeout { .. });
            }
        });
        line = line.filter(|_| sound);
        if watched.pull(Plug::Cable) {
            std::fs::write(CONTROLLER, "\n")?;
        }
        if over.load(Ordering::Relaxed) {
            let begun = *ending.get_or_insert_with(Instant::now);
            match arm.state() {
                FirmwareState::Released => return Ok(()),
                state if begun.elapsed() > PATIENCE => bail!("the arm does not let go, and is {state:?}"),
                _ => {}
            }
        }
        drop(shared);
        std::thread::sleep(LOOK);
    }
}
