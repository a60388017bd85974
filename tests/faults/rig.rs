//! A whole rig in virtual time: the control loop as it is, with its threads, between a simulated arm behind its firmware and a camera of
//! a test.
//!
//! The control loop's clock moves the world: while the tick waits for its edge, the arm's firmware takes its steps and pictures are taken.
//! A picture is handed to the capture thread, and time stands still until that thread has dealt with it. So an episode is the same each
//! time, however busy the machine is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use controller::capture::Sight;
use controller::live::{self, Time};
use controller::lockstep::{EpisodeRunError, Labels, Outcome};
use controller::session::Session;
use controller::tick::Controller;
use devices::link::{ByteStream, HostLink};
use episode::Episode;
use firmware_bridge::FirmwareState;
use firmware_bridge::arm::{ArmOptions, SimulatedArm};
use robot::device::{
    ArmReport, ArmState, DeviceError, FrameSource, FrameStamp, JointBus as _, LinkError, Picture, Plant,
    Signals,
};
use robot::{Clock, Config, JointVec};
use simulator::Simulator;

use crate::tapped::{Tap, Tapped};

/// What the camera does when a picture is due.
pub(crate) enum Shown {
    /// Nothing comes.
    Nothing,
    /// A picture.
    Picture(Picture, FrameStamp),
    /// The camera is gone.
    Gone(String),
    /// The camera's `poll` does not come back before the episode has ended.
    Stuck,
}

/// A camera of a test, and what holds up the control loop.
pub(crate) trait World: Send {
    /// What the camera does at `now_ns`, when it is time for picture `number`.
    fn picture(&mut self, number: u64, now_ns: u64, arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown;

    /// By how much the control loop wakes later than it asked for, in nanoseconds.
    fn wakes_late_ns(&mut self) -> u64 {
        0
    }

    /// How long something is held up there in a tick, in nanoseconds.
    fn held_up_ns(&mut self, place: Place) -> u64 {
        let _ = place;
        0
    }
}

/// Where the way of a command can be held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The control loop, before it polls the arm.
    Poll,
    /// The control loop, between its decision and the stamp of the command.
    Send,
    /// The line, after the command was stamped.
    Wire,
}

/// When pictures are taken, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shutter {
    /// The first, after the rig was made.
    pub(crate) first_ns: u64,
    /// From one to the next.
    pub(crate) period_ns: u64,
}

struct Inner {
    arm: SimulatedArm<Box<dyn Plant>>,
    to_host: VecDeque<u8>,
    world: Box<dyn World>,
    shutter: Shutter,
    pictures: u64,
    /// Each command that the firmware accepted, and when.
    accepted: Vec<(u32, u64)>,
    /// The greatest number of commands that the firmware refused since they were too old.
    too_old: u32,
    /// When the control loop asked for a controlled stop the first time.
    stopped_ns: Option<u64>,
}

/// The rig. Clones are the same.
#[derive(Clone)]
pub(crate) struct Rig {
    inner: Arc<Mutex<Inner>>,
    now_ns: Arc<AtomicU64>,
    gate: Arc<Gate>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rig {
    /// A rig of the robot of `config` with `plant` in the place of its simulator, which is at its start pose.
    pub(crate) fn with_plant(
        config: &Config,
        plant: Box<dyn Plant>,
        world: Box<dyn World>,
        shutter: Shutter,
    ) -> Self {
        let options = ArmOptions::from_config(config).expect("sound limits");
        Self {
            inner: Arc::new(Mutex::new(Inner {
                arm: SimulatedArm::new(plant, &options.booted_afresh()),
                to_host: VecDeque::new(),
                world,
                shutter,
                pictures: 0,
                accepted: Vec::new(),
                too_old: 0,
                stopped_ns: None,
            })),
            now_ns: Arc::new(AtomicU64::new(0)),
            gate: Arc::default(),
        }
    }

    /// A rig of the robot of `config`, which is a simulated one, at the start of the episode of `seed`.
    pub(crate) fn new(config: &Config, seed: u64, world: Box<dyn World>, shutter: Shutter) -> Self {
        let task = config.simulator.as_ref().expect("a simulated arm").task.parse();
        let mut plant = Simulator::new(task.expect("a task of this simulator")).expect("a simulator");
        plant.reset(seed);
        Self::with_plant(config, Box::new(plant), world, shutter)
    }

    /// Virtual time, in nanoseconds.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::SeqCst)
    }

    /// The camera as the control loop sees it, whose pictures have this size.
    pub(crate) fn camera(&self, size: (u32, u32)) -> Box<dyn FrameSource> {
        Box::new(PacedCamera {
            gate: Arc::clone(&self.gate),
            size,
        })
    }

    /// Lets the world go on without the control loop.
    pub(crate) fn pass(&self, ns: u64) {
        self.advance(self.now_ns() + ns);
    }

    /// What the arm's firmware does, and where the arm is.
    pub(crate) fn arm(&self) -> (FirmwareState, JointVec) {
        let inner = lock(&self.inner);
        (inner.arm.state(), inner.arm.plant().joints().position_rad)
    }

    /// Commands that the firmware accepted, and when, in nanoseconds; and how many it refused for their age.
    pub(crate) fn commands(&self) -> (Vec<(u32, u64)>, u32) {
        let inner = lock(&self.inner);
        (inner.accepted.clone(), inner.too_old)
    }

    /// When the control loop asked for a controlled stop the first time, in nanoseconds.
    pub(crate) fn stopped_ns(&self) -> Option<u64> {
        lock(&self.inner).stopped_ns
    }

    /// Whether the arm stays where it is, and is not led on, for so long.
    pub(crate) fn stays(&self, ns: u64) -> Result<(), String> {
        // It may still be slowing down.
        self.pass(1_000_000_000);
        let (state, before) = self.arm();
        self.pass(ns);
        let (later, after) = self.arm();
        // A servo that lags comes nearer to its set point for some time.
        let still = before
            .iter()
            .zip(&after)
            .all(|(before, after)| (before - after).abs() < 1e-3);
        let led = [state, later]
            .iter()
            .any(|state| matches!(state, FirmwareState::Active | FirmwareState::Stopping));
        if still && !led {
            return Ok(());
        }
        Err(format!(
            "the arm went on from {before:?} ({state:?}) to {after:?} ({later:?})"
        ))
    }

    /// Runs one episode and reads its log, which is removed.
    pub(crate) fn episode(
        &self,
        session: &Session,
        controller: &mut Controller,
        sight: Sight,
        seed: u64,
        ticks: u32,
    ) -> (Result<(Outcome, Sight), EpisodeRunError>, Option<Episode>) {
        let log = Scratch::new();
        let ran = self.record(session, controller, sight, seed, ticks, log.path());
        (ran, episode::read_episode(log.path()).ok())
    }

    /// Runs one episode, whose log is `log`.
    pub(crate) fn record(
        &self,
        session: &Session,
        controller: &mut Controller,
        sight: Sight,
        seed: u64,
        ticks: u32,
        log: &Path,
    ) -> Result<(Outcome, Sight), EpisodeRunError> {
        let labels = Labels {
            log,
            info: session.info(controller, seed, 1),
            attachments: &session.attachments(),
        };
        let period_us = (f64::from(session.config.period_s) * 1e6) as u64;
        let link = HostLink::new(Line(self.clone()), session.config.joint_count(), 1_000_000);
        let mut bus = Tapped {
            bus: link.with_period_us(period_us),
            tap: Between(self.clone()),
        };
        live::run_by(
            &Time::Virtual(Arc::new(self.clone())),
            &session.config,
            controller,
            &mut bus,
            sight,
            session.embedding(),
            ticks,
            &labels,
            &Signals::default(),
        )
    }

    /// Lets time pass until `until_ns`.
    fn advance(&self, until_ns: u64) {
        let inner = &mut *lock(&self.inner);
        loop {
            let now_ns = self.now_ns();
            let step_ns = inner.arm.next_step_us() * 1_000;
            let picture_ns = inner.shutter.first_ns + inner.pictures * inner.shutter.period_ns;
            let next_ns = step_ns.min(picture_ns).max(now_ns);
            if next_ns > until_ns {
                break;
            }
            self.now_ns.store(next_ns, Ordering::SeqCst);
            if step_ns <= next_ns {
                inner.arm.substep().expect("a simulator does not fail");
                let to_host = &mut inner.to_host;
                inner.arm.transmit(|frame| to_host.extend(frame));
            }
            if picture_ns <= next_ns {
                let shown = inner.world.picture(inner.pictures, next_ns, &mut inner.arm);
                inner.pictures += 1;
                self.gate.deliver(shown);
            }
        }
        self.now_ns.fetch_max(until_ns, Ordering::SeqCst);
    }

    /// Something is held up, in an episode.
    fn hold_up(&self, place: Place) {
        if !lock(&self.gate.state).open {
            return;
        }
        let ns = lock(&self.inner).world.held_up_ns(place);
        if ns > 0 {
            self.pass(ns);
        }
    }
}

impl Clock for Rig {
    fn now_ns(&self) -> u64 {
        Self::now_ns(self)
    }

    fn sleep_until_ns(&self, deadline_ns: u64) {
        if deadline_ns > self.now_ns() {
            let late_ns = lock(&self.inner).world.wakes_late_ns();
            self.advance(deadline_ns + late_ns);
        }
    }
}

/// A log's place in memory, if the machine has such a place. It is removed with this.
pub(crate) struct Scratch {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        }
        .expect("a temporary folder");
        Self {
            path: dir.path().join("episode.mcap"),
            _dir: dir,
        }
    }
}

/// The line to the arm.
struct Line(Rig);

impl ByteStream for Line {
    fn name(&self) -> &str {
        "rig"
    }

    fn now_us(&self) -> u64 {
        self.0.now_ns() / 1_000
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.0.hold_up(Place::Wire);
        let now_ns = self.0.now_ns();
        let inner = &mut *lock(&self.0.inner);
        let before = inner.arm.telemetry().last_command_seq;
        inner.arm.on_bytes(now_ns / 1_000, bytes);
        let told = inner.arm.telemetry();
        if told.last_command_seq != before && told.last_command_seq > 0 {
            inner.accepted.push((told.last_command_seq, now_ns));
        }
        inner.too_old = inner.too_old.max(told.rejected_age);
        let to_host = &mut inner.to_host;
        inner.arm.transmit(|frame| to_host.extend(frame));
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let inner = &mut *lock(&self.0.inner);
        let count = into.len().min(inner.to_host.len());
        for (to, from) in into.iter_mut().zip(inner.to_host.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        let until_ns = self.0.now_ns() + timeout_us * 1_000;
        while lock(&self.0.inner).to_host.is_empty() && self.0.now_ns() < until_ns {
            self.0.pass(1_000_000);
        }
        Ok(())
    }
}

/// Stands between the control loop and the arm.
struct Between(Rig);

impl Tap<HostLink<Line>> for Between {
    fn before_set_point(&mut self, _: &mut HostLink<Line>) -> Result<(), LinkError> {
        self.0.hold_up(Place::Send);
        Ok(())
    }

    fn before_stop(&mut self) {
        // The episode is over: the capture thread is ended next.
        self.0.gate.close();
        let now_ns = self.0.now_ns();
        lock(&self.0.inner).stopped_ns.get_or_insert(now_ns);
    }

    fn poll(&mut self, bus: &mut HostLink<Line>) -> Result<Option<ArmReport>, LinkError> {
        self.0.hold_up(Place::Poll);
        let report = bus.poll()?;
        if let Some(report) = &report
            && !matches!(report.state, ArmState::Active | ArmState::Stopping)
        {
            // The loop starts its capture thread after the first such report.
            self.0.gate.open();
        }
        Ok(report)
    }
}

/// Where pictures change hands between the world and the capture thread.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// Whether an episode runs, so that there is a capture thread or will be one.
    open: bool,
    /// Whether the episode is over.
    closed: bool,
    waiting: bool,
    /// Whether the capture thread does not come back in this episode.
    away: bool,
    shown: Option<Shown>,
}

impl Gate {
    /// An episode begins, unless one runs.
    fn open(&self) {
        let mut state = lock(&self.state);
        if !state.open {
            *state = GateState {
                open: true,
                ..GateState::default()
            };
        }
    }

    fn close(&self) {
        let mut state = lock(&self.state);
        (state.open, state.closed) = (false, true);
        self.changed.notify_all();
    }

    /// The capture thread has ended.
    fn ended(&self) {
        lock(&self.state).away = true;
        self.changed.notify_all();
    }

    /// Hands something to the capture thread, and waits until that thread has dealt with it.
    fn deliver(&self, shown: Shown) {
        if matches!(shown, Shown::Nothing) {
            return;
        }
        let waits = |state: &mut GateState| state.open && !state.away && !state.waiting;
        let wait = |state| {
            self.changed
                .wait_while(state, waits)
                .unwrap_or_else(PoisonError::into_inner)
        };
        let mut state = wait(lock(&self.state));
        if !state.open || state.away {
            return;
        }
        state.shown = Some(shown);
        state.waiting = false;
        self.changed.notify_all();
        drop(wait(state));
    }

    /// Waits for something to deal with.
    fn take(&self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return Ok(None);
            }
            match state.shown.take() {
                Some(Shown::Picture(picture, stamp)) => {
                    into.copy_from(&picture);
                    return Ok(Some(stamp));
                }
                Some(Shown::Gone(text)) => return Err(DeviceError::new(text)),
                Some(Shown::Stuck) => state.away = true,
                Some(Shown::Nothing) | None => state.waiting = !state.away,
            }
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tells a gate when the thread ends that has this.
struct Ending(Arc<Gate>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended();
    }
}

thread_local! {
    static ENDING: RefCell<Option<Ending>> = const { RefCell::new(None) };
}

/// The camera as the control loop sees it.
struct PacedCamera {
    gate: Arc<Gate>,
    size: (u32, u32),
}

impl FrameSource for PacedCamera {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        ENDING.with(|ending| {
            ending
                .borrow_mut()
                .get_or_insert_with(|| Ending(Arc::clone(&self.gate)));
        });
        self.gate.take(into)
    }

    fn size(&self) -> Option<(u32, u32)> {
        Some(self.size)
    }
}
