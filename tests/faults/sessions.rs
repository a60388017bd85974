//! Frames that are lost, late, out of order, come again, or were meant for another session or another arm.

use std::collections::VecDeque;

use controller::session::{PolicyChoice, Session};
use devices::link::{ByteStream, HostLink};
use firmware_bridge::wire::{Decoder, HostToArm, seq_after};
use firmware_bridge::{FirmwareCore, FirmwareState};
use robot::config::Pipeline;
use robot::device::{ArmState, JointBus, LinkError};
use robot::philox::Stream;
use robot::{Config, JointVec};

use crate::looped::{Loop, root};
use crate::row::{Outcome, Scale};
use crate::virtual_arm::{JOINTS, PERIOD_US, STEP_US, VirtualArm, WATCHDOG_US};

/// For how long a command is valid.
const VALID_US: u64 = PERIOD_US + PERIOD_US / 2;

/// Periods of a session.
const PERIODS: u32 = 40;

/// Recorded frames that are played into a session in each of its periods.
const REPLAYS: usize = 20;

/// Frames that the recording holds: of several sessions, and of another arm.
const RECORDED: usize = 600;

/// A frame of a host, and what only the test knows of it.
#[derive(Debug, Clone)]
struct Frame {
    bytes: Vec<u8>,
    message: HostToArm,
    /// Number of the session that it was sent in, over all arms.
    session: u64,
    sent_us: u64,
}

/// A line to an arm which keeps everything and hands on what it likes.
struct Line {
    arm: VirtualArm,
    random: Stream,
    session: u64,
    /// Whether frames are handed on as they come.
    sound: bool,
    recorded: VecDeque<Frame>,
    /// Frames on their way, and when they arrive.
    late: Vec<(u64, Frame)>,
    judge: Judge,
}

/// Whether frames that are stale do anything.
#[derive(Default)]
struct Judge {
    /// Newest command that has reached the arm in this session.
    newest: Option<u32>,
    stale: u64,
    fresh: u64,
    /// What became of each frame since this was last looked at.
    results: Vec<Result<(), String>>,
}

impl Judge {
    /// Hands `frame` to the arm. One that is stale must leave it as it is: it goes on exactly as another that has not heard of it.
    fn hand_on(&mut self, arm: &VirtualArm, frame: &Frame, session: u64) {
        let now_us = arm.now_us();
        let stale = match &frame.message {
            HostToArm::Command(command) => {
                let old = self.newest.is_some_and(|newest| !seq_after(command.seq, newest));
                let stale = frame.session != session || old || now_us > frame.sent_us + VALID_US;
                if frame.session == session && !old {
                    self.newest = Some(command.seq);
                }
                stale
            }
            // What has no session, or opens one, is no news of an old one.
            HostToArm::Hello { .. } | HostToArm::Stop | HostToArm::EStop => false,
            HostToArm::Release { .. } | HostToArm::ClearEStop { .. } | HostToArm::Ping { .. } => {
                frame.session != session
            }
        };
        let without = stale.then(|| arm.lock().firmware.clone());
        arm.hears(&frame.bytes);
        let Some(without) = without else {
            self.fresh += 1;
            self.results.push(Ok(()));
            return;
        };
        self.stale += 1;
        let (with, position_rad) = {
            let state = arm.lock();
            (state.firmware.clone(), state.position_rad.clone())
        };
        self.results
            .push(match differs(with, without, now_us, &position_rad) {
                false => Ok(()),
                true => Err(format!(
                    "executed {:?} of session {} in session {session}, {} us after it was sent",
                    frame.message,
                    frame.session,
                    now_us - frame.sent_us
                )),
            });
    }
}

/// Whether two firmware cores do anything different from here on: in the next step, and once the watchdog has waited.
fn differs(mut one: FirmwareCore, mut other: FirmwareCore, now_us: u64, position_rad: &JointVec) -> bool {
    [STEP_US, 2 * STEP_US, WATCHDOG_US + 3 * STEP_US]
        .into_iter()
        .any(|after_us| {
            let next = |core: &mut FirmwareCore| {
                let drive = core.tick(now_us + after_us, position_rad, &[0.0; JOINTS]);
                (drive, core.state())
            };
            next(&mut one) != next(&mut other)
        })
}

fn decoded(bytes: &[u8]) -> Option<HostToArm> {
    let mut decoder: Decoder<HostToArm> = Decoder::default();
    bytes.iter().find_map(|byte| decoder.push(*byte))
}

impl Line {
    fn new(seed: u64) -> Self {
        Self {
            arm: VirtualArm::new(),
            random: Stream::new(seed, 0x10E5),
            session: 0,
            sound: true,
            recorded: VecDeque::new(),
            late: Vec::new(),
            judge: Judge::default(),
        }
    }

    /// Keeps a frame, in the place of another if there are many.
    fn record(&mut self, frame: Frame) {
        if self.recorded.len() == RECORDED {
            let gone = self.random.below(RECORDED);
            self.recorded.swap_remove_back(gone);
        }
        self.recorded.push_back(frame);
    }

    /// Hands on what is due.
    fn hand_on_late(&mut self) {
        let now_us = self.arm.now_us();
        while let Some(at) = self.late.iter().position(|(due_us, _)| *due_us <= now_us) {
            let (_, frame) = self.late.swap_remove(at);
            self.judge.hand_on(&self.arm, &frame, self.session);
        }
    }

    /// Plays a recorded frame. One that opens a session, or stops, would end this one and is left out.
    fn replay(&mut self) {
        let frame = &self.recorded[self.random.below(self.recorded.len())];
        if !matches!(
            frame.message,
            HostToArm::Hello { .. } | HostToArm::Stop | HostToArm::EStop
        ) {
            self.judge.hand_on(&self.arm, frame, self.session);
        }
    }
}

impl ByteStream for Line {
    fn name(&self) -> &str {
        "line"
    }

    fn now_us(&self) -> u64 {
        self.arm.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let Some(message) = decoded(bytes) else {
            return Ok(());
        };
        let frame = Frame {
            bytes: bytes.to_vec(),
            message,
            session: self.session,
            sent_us: self.arm.now_us(),
        };
        self.record(frame.clone());
        if self.sound {
            self.judge.hand_on(&self.arm, &frame, self.session);
            return Ok(());
        }
        let random = &mut self.random;
        // Lost, late, or as it should be; and some come again.
        let (lost, late, again) = (random.below(10) == 0, random.below(4) == 0, random.below(5) == 0);
        let mut later = |most_us: u64| self.arm.now_us() + random.below(most_us as usize) as u64;
        if late {
            let due_us = later(3 * PERIOD_US);
            self.late.push((due_us, frame.clone()));
        } else if !lost {
            self.judge.hand_on(&self.arm, &frame, self.session);
        }
        if again {
            let due_us = later(6 * PERIOD_US);
            self.late.push((due_us, frame));
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.arm.read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.arm.wait(timeout_us)
    }
}

/// One session of `link`: a host that drives over a bad line while a recording is played into it.
fn session(link: &mut HostLink<Line>) {
    let arm = link.stream().arm.clone();
    {
        let line = link.stream_mut();
        (line.sound, line.session, line.judge.newest) = (true, line.session + 1, None);
    }
    link.handshake().expect("the line is sound");
    link.stream_mut().sound = false;
    let mut led_to = arm.lock().position_rad.clone();
    let mut speed = [0.0; JOINTS];
    for _ in 0..PERIODS {
        let random = &mut link.stream_mut().random;
        for (led_to, speed) in led_to.iter_mut().zip(&mut speed) {
            *speed = (*speed + random.range(-0.01, 0.01)).clamp(-0.03, 0.03);
            *led_to = (*led_to + *speed).clamp(-0.45, 0.45);
        }
        // Two that the arm has not acknowledged are enough.
        let _ = link.send_set_point(&led_to, PERIOD_US as u32, VALID_US as u32);
        let steps = (PERIOD_US / STEP_US) as usize;
        for step in 0..steps {
            let line = link.stream_mut();
            line.hand_on_late();
            let more = REPLAYS * (step + 1) / steps - REPLAYS * step / steps;
            (0..more).for_each(|_| line.replay());
            arm.step();
        }
        if let Ok(Some(report)) = link.poll()
            && report.state != ArmState::Active
        {
            // It was stopped since too much was lost.
            return;
        }
    }
}

/// A session with another arm of as many joints, for the recording.
fn of_another_arm(seed: u64) -> VecDeque<Frame> {
    let mut link = HostLink::new(Line::new(seed), JOINTS, 1_000_000);
    link.stream_mut().session = 1 << 40;
    session(&mut link);
    link.send_clear_e_stop().expect("the line takes it");
    link.into_stream().recorded
}

/// Nothing stale is executed: neither what is late, nor what comes again, nor what belongs to another session or another arm.
pub(crate) fn stale(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let frames = scale.trials(1_000_000, 20_000);
    let mut link = HostLink::new(Line::new(21), JOINTS, 1_000_000);
    let mut sessions = 0;
    let (mut stale, mut fresh, mut latched) = (0, 0, 0_u64);
    while outcome.trials < frames {
        if sessions % 8 == 0 {
            let other = of_another_arm(1_000 + sessions);
            other
                .into_iter()
                .for_each(|frame| link.stream_mut().record(frame));
        }
        session(&mut link);
        sessions += 1;
        if sessions % 4 == 0 {
            latched += 1;
            outcome.tried(unlatched_by_nothing(&mut link));
        }
        let judge = &mut link.stream_mut().judge;
        for result in judge.results.drain(..) {
            outcome.tried(result);
        }
        stale += std::mem::take(&mut judge.stale);
        fresh += std::mem::take(&mut judge.fresh);
    }
    outcome.worst = format!(
        "{stale} stale frames did nothing, {fresh} others in {sessions} sessions; {latched} recorded clearances did nothing"
    );
    if stale == 0 || fresh == 0 {
        outcome.tried(Err("nothing was tried".to_owned()));
    }
    outcome
}

/// The emergency stop is latched and cleared once, by a person. Then it is latched again, and the whole recording is played.
fn unlatched_by_nothing(link: &mut HostLink<Line>) -> Result<(), String> {
    let arm = link.stream().arm.clone();
    link.stream_mut().sound = true;
    let state = |arm: &VirtualArm| {
        let state = arm.lock();
        (state.firmware.state(), state.torque_on)
    };
    let by = |error: LinkError| error.to_string();
    link.send_e_stop().map_err(by)?;
    arm.pass(PERIOD_US);
    link.stream_mut().session += 1;
    link.handshake().map_err(by)?;
    link.send_clear_e_stop().map_err(by)?;
    link.stream_mut().session += 1;
    link.handshake().map_err(by)?;
    arm.pass(PERIOD_US);
    if state(&arm).0 != FirmwareState::Idle {
        return Err(format!("a person cannot clear it: {:?}", state(&arm)));
    }
    link.send_e_stop().map_err(by)?;
    arm.pass(PERIOD_US);
    let recording = link.stream().recorded.clone();
    for frame in &recording {
        arm.hears(&frame.bytes);
        arm.step();
        if state(&arm) != (FirmwareState::EStopped, false) {
            return Err(format!("unlatched by {:?}", frame.message));
        }
    }
    // For the next session.
    link.stream_mut().session += 1;
    link.handshake().map_err(by)?;
    link.send_clear_e_stop().map_err(by)?;
    link.stream_mut().late.clear();
    Ok(())
}

/// A line that loses as many commands as it is told.
struct Losing {
    arm: VirtualArm,
    lose: u32,
}

impl ByteStream for Losing {
    fn name(&self) -> &str {
        "losing line"
    }

    fn now_us(&self) -> u64 {
        self.arm.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if self.lose > 0 && matches!(decoded(bytes), Some(HostToArm::Command(_))) {
            self.lose -= 1;
            return Ok(());
        }
        self.arm.write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.arm.read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.arm.wait(timeout_us)
    }
}

/// The planar arm, whose watchdog waits for so many periods.
fn with_watchdog(periods: &str) -> Session {
    let path = root().join("configs/sim-planar.ron");
    let text = std::fs::read_to_string(&path).expect("the shipped robot file");
    let text = text.replace("watchdog_periods: 2.5", &format!("watchdog_periods: {periods}"));
    let config = Config::parse(&path, text).expect("sound");
    Session::of(config, None, PolicyChoice::Random, Some(Pipeline::NextTick)).expect("sound")
}

/// What is lost, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lost {
    Commands,
    /// All reports of a period.
    Reports,
}

/// Two in a row are survived, three end in a stop. With a watchdog of two and a half periods, as is usual, the arm itself stops after two
/// commands.
pub(crate) fn in_a_row(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(22, 0x1057);
    let mut worst_periods = 0.0;
    for (lost, watchdog, survived, stops) in [
        (Lost::Reports, "2.5", 2, 3),
        (Lost::Commands, "2.5", 1, 2),
        (Lost::Commands, "3.5", 2, 3),
    ] {
        let session = with_watchdog(watchdog);
        for in_a_row in 1..=stops {
            for trial in 0..scale.trials(500, 20) {
                let arm = VirtualArm::of_robot(&session.config);
                let line = Losing {
                    arm: arm.clone(),
                    lose: 0,
                };
                let mut driven = Loop::new(&session, &arm, line);
                driven.begin(trial).expect("the arm answers");
                for _ in 0..5 + random.below(20) {
                    driven.period(|_| {});
                }
                let begun_us = arm.now_us();
                match lost {
                    Lost::Commands => driven.link.stream_mut().lose = in_a_row,
                    Lost::Reports => arm.lock().telemetry_fault = Some(Box::new(|_| false)),
                }
                for period in 0..20 {
                    driven.period(|_| {});
                    if period + 1 == in_a_row {
                        arm.lock().telemetry_fault = None;
                    }
                }
                let stopped_us = arm.lock().stopped_us;
                let took_periods = stopped_us
                    .map(|stopped_us| stopped_us.saturating_sub(begun_us) as f64 / driven.period_us() as f64);
                let right = if in_a_row <= survived {
                    driven.stopped.is_none() && stopped_us.is_none()
                } else {
                    worst_periods = f64::max(worst_periods, took_periods.unwrap_or(f64::INFINITY));
                    driven.stopped.is_some() && took_periods.is_some_and(|took| took <= 3.55)
                };
                outcome.tried(if right {
                    Ok(())
                } else {
                    Err(format!(
                        "{in_a_row} {lost:?} in a row, a watchdog of {watchdog} periods: the loop {:?}, the arm after {took_periods:?} periods",
                        driven.stopped
                    ))
                });
            }
        }
    }
    outcome.worst = format!("stopped {worst_periods:.2} periods after the first that was lost");
    outcome
}
