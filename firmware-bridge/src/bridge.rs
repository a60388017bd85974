//! A simulated arm for a controller that must not notice: firmware and plant behind a pty, frames on a Unix socket.
//!
//! One thread does everything, in this order: read the pty, read the frame client, advance the world, write both.
//! In **lockstep** the world advances one control period for each `Step` and stands still otherwise. In **real time**
//! firmware and physics step on an absolute schedule, whoever listens; frames that a slow client has not taken are
//! replaced by newer ones.
//!
//! A host that closes the serial port leaves an arm behind: in real time the firmware's watchdog stops it. The port can
//! be opened again at the same path.
//!
//! What is to go wrong on purpose comes from a [`Schedule`]: `line` does it to the bytes of the port, `falsifier` to
//! telemetry, `lens` to the pictures.

mod client;
mod error;
mod falsifier;
mod lens;
mod line;
mod names;
mod pty;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, getppid};
use robot::{DeviceError, Frame, Plant};

use crate::arm::{ArmOptions, SimulatedArm};
use crate::faults::{Fault, Schedule};
use crate::frames::{
    BridgeInfo, FRAME_PROTOCOL_VERSION, FrameCause, FrameHeader, Refusal, Reply, Request, Welcome,
    monotonic_ns,
};
use crate::wire::seq_after;
use client::Client;
pub use error::BridgeError;
use error::io_error;
use lens::{Lens, Passage};
pub use line::{Line, Pieces};
use names::FrameListener;
pub use pty::Pty;

/// Longest sleep, so that a stop request is seen soon.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// How long `Step` waits for its command to come out of the pty.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Delay up to which missed physics steps are caught up; past it the schedule moves instead.
const CATCH_UP_MAX_US: u64 = 250_000;

/// Physics steps run at most before the wire is served again.
const STEPS_A_TURN: u32 = 16;

/// When the world moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BridgeMode {
    /// When told to.
    Lockstep,
    /// As the clock does.
    RealTime,
}

/// What to serve, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeOptions {
    /// Timing and limits of the arm.
    pub arm: ArmOptions,
    /// When the world moves.
    pub mode: BridgeMode,
    /// Width and height of its pictures, in pixels: such as [`Frame::allows`].
    pub frame_side: usize,
    /// Symbolic link that will point at the pty. Only a link that a bridge left behind is replaced. `None` for a world whose arm is
    /// reached in another way.
    pub serial_path: Option<PathBuf>,
    /// Where the frame socket will listen. Only a socket that nobody listens at is replaced.
    pub frame_path: PathBuf,
    /// End when the process that started this one does.
    pub watch_parent: bool,
}

/// Why a bridge ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The stop flag was set.
    Stopped,
    /// A client asked for it.
    Quit,
    /// The process that started this one has ended.
    ParentGone,
}

/// A bridge that listens. See the module documentation.
#[derive(Debug)]
pub struct SimulatorBridge<P> {
    arm: SimulatedArm<P>,
    mode: BridgeMode,
    joints: u8,
    line: Line,
    lens: Lens,
    schedule: Option<Box<dyn Schedule>>,
    /// What was wrong at the last turn.
    wrong: Vec<Fault>,
    socket: FrameListener,
    parent: Option<Pid>,
    client: Option<Client>,
    /// A `Step` whose command has not come out of the pty yet, and until when to wait.
    awaited: Option<(u32, Instant)>,
    frame: Frame,
    frame_seq: u64,
    /// Real time: when the device clock read zero.
    origin: Instant,
}

impl<P: Plant> SimulatorBridge<P> {
    /// Makes pty, link and socket. From here on a controller can open them; [`SimulatorBridge::serve`] answers.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub fn new(plant: P, options: BridgeOptions) -> Result<Self, BridgeError> {
        let limits = options.arm.limits.joint_count();
        if plant.joint_count() != limits {
            return Err(BridgeError::JointCount {
                plant: plant.joint_count(),
                limits,
            });
        }
        let socket = FrameListener::bind(&options.frame_path)?;
        let line = Line::new(options.serial_path)?;
        log::info!("frames {}", options.frame_path.display());
        let arm = match options.mode {
            BridgeMode::Lockstep => options.arm,
            BridgeMode::RealTime => options.arm.booted_afresh(),
        };
        Ok(Self {
            arm: SimulatedArm::new(plant, &arm),
            mode: options.mode,
            joints: limits as u8,
            line,
            lens: Lens::new(),
            schedule: None,
            wrong: Vec::new(),
            socket,
            parent: options.watch_parent.then(getppid),
            client: None,
            awaited: None,
            frame: Frame::new(options.frame_side),
            frame_seq: 0,
            origin: Instant::now(),
        })
    }

    /// With things that go wrong on purpose.
    #[must_use]
    pub fn with_faults(mut self, schedule: Box<dyn Schedule>) -> Self {
        self.line.expect_faults(Pieces::Frames);
        self.schedule = Some(schedule);
        self
    }

    /// The path to open as a serial port, if it serves one.
    pub fn serial_path(&self) -> Option<&Path> {
        self.line.path()
    }

    /// The path to connect to for frames.
    pub fn frame_path(&self) -> &Path {
        self.socket.path()
    }

    /// Serves until `stop` is set, a client quits, or the parent process ends.
    ///
    /// # Errors
    /// [`BridgeError::Io`] when the pty or the listening socket fails; a failing client is only let go.
    pub fn serve(mut self, stop: Arc<AtomicBool>) -> Result<Ended, BridgeError> {
        self.origin = Instant::now();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
            if self.parent.is_some_and(|parent| getppid() != parent) {
                return Ok(Ended::ParentGone);
            }
            self.sleep()?;
            if self.mode == BridgeMode::RealTime {
                // Before anything that arrived meanwhile is given a time.
                self.pause_with_the_machine();
            }
            self.go_wrong()?;
            self.read_serial()?;
            // In this order: a client that closes and connects again must find its place free.
            if self.read_client()? {
                return Ok(Ended::Quit);
            }
            self.accept()?;
            match self.mode {
                BridgeMode::Lockstep => self.step_when_delivered()?,
                BridgeMode::RealTime => self.follow_schedule()?,
            }
            self.write_serial()?;
            if let Some(client) = &mut self.client
                && client.flush().is_err()
            {
                self.client = None;
            }
        }
    }

    /// Waits for bytes, a client, or the next physics step.
    fn sleep(&mut self) -> Result<(), BridgeError> {
        let mut timeout = SLEEP_MAX;
        if self.mode == BridgeMode::RealTime {
            let until_step = self.arm.next_step_us().saturating_sub(self.elapsed_us());
            timeout = timeout.min(Duration::from_micros(until_step));
        }
        let mut fds = heapless::Vec::<PollFd<'_>, 3>::new();
        // Three entries at most, the capacity; a port without a host is left out, for its hang-up would end every wait.
        if let Some(port) = self.line.as_fd() {
            let _ = fds.push(PollFd::new(port, PollFlags::POLLIN));
        }
        match &self.client {
            Some(client) => {
                let writing = if client.is_writing() {
                    PollFlags::POLLOUT
                } else {
                    PollFlags::empty()
                };
                let _ = fds.push(PollFd::new(client.as_fd(), PollFlags::POLLIN | writing));
            }
            None => {
                let _ = fds.push(PollFd::new(self.socket.as_fd(), PollFlags::POLLIN));
            }
        }
        match ppoll(&mut fds, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(io_error("waiting for the controller", errno.into())),
        }
    }

    fn elapsed_us(&self) -> u64 {
        elapsed_us(self.origin)
    }

    /// Does what the schedule says.
    fn go_wrong(&mut self) -> Result<(), BridgeError> {
        let Some(schedule) = &mut self.schedule else {
            return Ok(());
        };
        let wrong = schedule.wrong(elapsed_us(self.origin), self.arm.state());
        if wrong == self.wrong {
            return Ok(());
        }
        let booted = |faults: &[Fault]| faults.contains(&Fault::FirmwareReset);
        match (booted(&self.wrong), booted(wrong)) {
            (false, true) => self.arm.switch_off(),
            (true, false) => self.arm.boot(crate::fresh::id()),
            _ => {}
        }
        let jumps = |faults: &[Fault]| -> f64 {
            let by_s = faults.iter().map(|fault| match fault {
                Fault::ClockJump { by_s } => *by_s,
                _ => 0.0,
            });
            by_s.sum()
        };
        if jumps(wrong) != jumps(&self.wrong) {
            self.arm.set_clock((jumps(wrong) * 1e6) as i64);
        }
        self.arm.block(wrong.contains(&Fault::ArmBlocked));
        self.line.set(wrong)?;
        self.lens.set(wrong);
        self.wrong.clear();
        self.wrong.extend_from_slice(wrong);
        if self.lens.is_gone() {
            self.client = None;
            self.awaited = None;
        }
        Ok(())
    }

    fn read_serial(&mut self) -> Result<(), BridgeError> {
        let (arm, mode, origin) = (&mut self.arm, self.mode, self.origin);
        self.line.read(|bytes| {
            let now_us = match mode {
                BridgeMode::Lockstep => arm.now_us(),
                BridgeMode::RealTime => elapsed_us(origin).max(arm.now_us()),
            };
            arm.on_bytes(now_us, bytes);
        })
    }

    fn write_serial(&mut self) -> Result<(), BridgeError> {
        // What a firmware without a host says is heard by nobody.
        self.arm.transmit(|frame| self.line.say(frame));
        self.line.flush()
    }

    fn accept(&mut self) -> Result<(), BridgeError> {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => self.welcome(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(source) => return Err(io_error("accepting a frame client", source)),
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream) {
        // A client that vanishes while it is being welcomed has nobody to tell.
        let Ok(mut client) = Client::new(stream) else {
            return;
        };
        if self.lens.is_gone() {
            return;
        }
        // One that has hung up since the last look does not keep the place.
        if self.client.as_ref().is_some_and(|client| !client.has_left()) {
            client.reply(&Reply::Refused(Refusal::Occupied), None);
            let _ = client.flush();
            return;
        }
        let welcome = Welcome {
            protocol_version: FRAME_PROTOCOL_VERSION,
            earlier: None,
        };
        client.reply(&Reply::Welcome(welcome), None);
        self.client = Some(client);
        self.awaited = None;
    }

    /// Carries out what the client asks for; `true` if that is to end.
    fn read_client(&mut self) -> Result<bool, BridgeError> {
        let Some(client) = &mut self.client else {
            return Ok(false);
        };
        match client.request() {
            Ok(None) => {}
            Ok(Some(Request::Quit)) => return Ok(true),
            Ok(Some(Request::Describe)) => {
                let info = BridgeInfo {
                    lockstep: self.mode == BridgeMode::Lockstep,
                    period_us: self.arm.period_us() as u32,
                    joints: self.joints,
                };
                client.reply(&Reply::Bridge(info), None);
            }
            Ok(Some(Request::Reset { seed })) => {
                self.awaited = None;
                self.arm.reset(seed)?;
                self.send_frame(FrameCause::Reset)?;
            }
            Ok(Some(Request::Step { .. })) if self.mode == BridgeMode::RealTime => {
                self.refuse(Refusal::NotLockstep);
            }
            Ok(Some(Request::Step {
                command_seq: Some(seq),
            })) => {
                self.awaited = Some((seq, Instant::now() + DELIVERY_TIMEOUT));
            }
            Ok(Some(Request::Step { command_seq: None })) => self.step_period()?,
            Err(gone) => {
                if gone.is_malformed() {
                    self.refuse(Refusal::Malformed);
                    if let Some(client) = &mut self.client {
                        let _ = client.flush();
                    }
                }
                self.client = None;
                self.awaited = None;
            }
        }
        Ok(false)
    }

    fn refuse(&mut self, refusal: Refusal) {
        if let Some(client) = &mut self.client {
            client.reply(&Reply::Refused(refusal), None);
        }
    }

    fn step_when_delivered(&mut self) -> Result<(), DeviceError> {
        let Some((seq, deadline)) = self.awaited else {
            return Ok(());
        };
        if self
            .arm
            .received_seq()
            .is_some_and(|received| !seq_after(seq, received))
        {
            self.awaited = None;
            self.step_period()?;
        } else if Instant::now() >= deadline {
            self.awaited = None;
            self.refuse(Refusal::CommandNotDelivered);
        }
        Ok(())
    }

    fn step_period(&mut self) -> Result<(), DeviceError> {
        self.arm.advance_period()?;
        self.send_frame(FrameCause::Step)
    }

    /// Simulated time stands still for as long as the machine did.
    fn pause_with_the_machine(&mut self) {
        let behind_us = self.elapsed_us().saturating_sub(self.arm.next_step_us());
        if behind_us > CATCH_UP_MAX_US {
            log::warn!(
                "the machine stood still for {} ms; simulated time pauses with it",
                behind_us / 1_000
            );
            self.origin += Duration::from_micros(behind_us);
        }
    }

    /// Runs the physics steps that are due.
    fn follow_schedule(&mut self) -> Result<(), DeviceError> {
        let mut stepped = false;
        // Bounded, so that a plant slower than its own time still leaves turns for the wire. Drawing every frame of a
        // backlog would lengthen it: only the last one is drawn.
        for _ in 0..STEPS_A_TURN {
            if self.elapsed_us() < self.arm.next_step_us() {
                break;
            }
            self.arm.substep()?;
            stepped = true;
        }
        if stepped {
            self.send_frame(FrameCause::Stream)?;
        }
        Ok(())
    }

    fn send_frame(&mut self, cause: FrameCause) -> Result<(), DeviceError> {
        let Some(client) = &mut self.client else {
            return Ok(());
        };
        self.frame_seq += 1;
        let mut header = FrameHeader {
            seq: self.frame_seq,
            device_time_us: self.arm.now_us(),
            captured_monotonic_ns: monotonic_ns(),
            reward: FrameHeader::reward_field(self.arm.reward()),
            cause,
            ended: self.arm.ended(),
            width: self.frame.side() as u16,
            height: self.frame.side() as u16,
        };
        self.arm.render(&mut self.frame)?;
        let passage = self.lens.spoil(&mut header, &mut self.frame);
        let pixels = match passage {
            Passage::Whole => self.frame.rgb(),
            Passage::Cut => &self.frame.rgb()[..self.frame.rgb().len() / 8 * 7],
            Passage::Lost => return Ok(()),
        };
        match cause {
            FrameCause::Reset | FrameCause::Step => client.reply(&Reply::Frame(header), Some(&self.frame)),
            FrameCause::Stream => client.stream(&Reply::Frame(header), pixels),
        }
        Ok(())
    }
}

fn elapsed_us(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX)
}
