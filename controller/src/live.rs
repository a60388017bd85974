//! Episodes in a world that does not wait: an arm on a serial port and a camera, real or simulated.

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use episode::{ArmState, EpisodeInfo, EpisodeWriter, Pictures, Reason};
use realtime::Raised;
use robot::device::{ArmReport, JointBus, LinkError, Signals};
use robot::{Clock, Config, JointState, JointVec, SystemClock};

use crate::capture::{CaptureThread, Sight};
use crate::lockstep::{EpisodeRunError, Labels, Outcome};
use crate::plan::Limit;
use crate::record::{Recorder, TooLarge};
use crate::stall::Sentinel;
use crate::tick::{Controller, Timing};
use guard::Rules;
use world::LiveWorld;

/// Longest wait for the first report of an episode.
const FIRST_REPORT_NS: u64 = 1_000_000_000;

/// Time between two looks for it.
const FIRST_LOOK_NS: u64 = 1_000_000;

/// A send later than this after its edge is a missed deadline: a fifth of the period.
fn late_send_ns(period_ns: u64) -> u64 {
    period_ns / 5
}

/// What an episode goes by.
#[derive(Clone)]
pub enum Time {
    /// The machine's own clock.
    Machine(SystemClock),
    /// A clock that somebody moves, for tests. It stands still while the loop works, so that the loop may wait for the thread that writes
    /// the log. Nobody looks for pauses of the machine, which do not show on it.
    Virtual(Arc<dyn Clock>),
}

impl Default for Time {
    fn default() -> Self {
        Self::Machine(SystemClock::default())
    }
}

impl Time {
    fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Machine(clock) => Arc::new(clock.clone()),
            Self::Virtual(clock) => Arc::clone(clock),
        }
    }
}

/// Runs one episode in real time. Always ends with a controlled stop, whatever happened. Where the emergency stop is asked for, the
/// episode ends, and nothing is sent any more: whoever has the arm's [`robot::device::EStopLine`] presses it. An episode with a task begins with its reset. Gives camera, task and encoder back unless they were lost.
///
/// # Errors
/// [`EpisodeRunError`]; the arm has then been told to stop, or was never commanded, and its firmware stops by itself if it could
/// not be told.
pub fn run(
    config: &Config,
    controller: &mut Controller,
    bus: &mut dyn JointBus,
    sight: Sight,
    embedding: usize,
    ticks: u32,
    labels: &Labels<'_>,
    signals: &Signals,
) -> Result<(Outcome, Sight), EpisodeRunError> {
    run_by(
        &Time::default(),
        config,
        controller,
        bus,
        sight,
        embedding,
        ticks,
        labels,
        signals,
    )
}

/// [`run`] by another clock than the machine's.
///
/// # Errors
/// As for [`run`].
pub fn run_by(
    time: &Time,
    config: &Config,
    controller: &mut Controller,
    bus: &mut dyn JointBus,
    sight: Sight,
    embedding: usize,
    ticks: u32,
    labels: &Labels<'_>,
    signals: &Signals,
) -> Result<(Outcome, Sight), EpisodeRunError> {
    let record = |info: &EpisodeInfo, room: usize| {
        let writer = EpisodeWriter::create(labels.log, info, labels.attachments)?.durable()?;
        Ok(Recorder::start(writer, config.frame_side, room)?)
    };
    run_recorded(
        time, config, controller, bus, sight, embedding, ticks, labels, signals, record,
    )
}

/// [`run_by`] with a log that `record` begins, by the episode's description and the bytes to reserve for each of the camera's own pictures:
/// for a log that is no file.
///
/// # Errors
/// As for [`run`], and those of `record`.
pub fn run_recorded(
    time: &Time,
    config: &Config,
    controller: &mut Controller,
    bus: &mut dyn JointBus,
    mut sight: Sight,
    embedding: usize,
    ticks: u32,
    labels: &Labels<'_>,
    signals: &Signals,
    record: impl FnOnce(&EpisodeInfo, usize) -> Result<Recorder, EpisodeRunError>,
) -> Result<(Outcome, Sight), EpisodeRunError> {
    let clock = time.clock();
    // Before anything moves: a task that begins an episode moves the arm.
    let room = sight.room()?;
    if let Some(task) = &mut sight.task {
        // Before the handshake: a simulated arm that is placed at a start pose ends its session.
        task.reset(labels.info.episode_seed)?;
    }
    let picture_sha256 = sight.table()?;
    bus.handshake()?;
    let first = first_report(bus, &*clock, signals)?;
    check_pose(&first, config.joint_count())?;
    let rules = Rules::live(bus.is_led());
    controller.set_rules(rules);
    controller.reset(&first.set_point_rad, labels.info.planner_seed);
    controller.set_joints(JointState {
        position_rad: first.position_rad,
        velocity_rad_s: first.velocity_rad_s,
    });
    let info = EpisodeInfo {
        picture_sha256,
        guard_rules: rules.number(),
        ..labels.info.clone()
    };
    let mut recorder = record(&info, room)?;
    let capture = CaptureThread::start(
        sight,
        config.frame_side,
        embedding,
        room,
        Arc::clone(&clock),
        config.realtime.clone(),
    )?;
    let period_ns = (f64::from(config.period_s) * 1e9) as u64;
    let sentinel = match time {
        Time::Machine(clock) => Some(Sentinel::start(
            clock,
            late_send_ns(period_ns) / 2,
            &config.realtime,
        )?),
        Time::Virtual(_) => None,
    };
    realtime::lock_memory(&config.realtime);
    // After the other threads were started: they would inherit it.
    let cpus = config.realtime.tick_cpu.as_slice();
    let raised = Raised::new(
        ("realtime.tick_priority", config.realtime.tick_priority),
        ("realtime.tick_cpu", cpus),
    );

    let mut outcome = ticks_in_real_time(
        config,
        controller,
        bus,
        &capture,
        ticks,
        labels,
        &mut recorder,
        sentinel.as_ref(),
        &*clock,
        signals,
    );
    let stopped = bus.send_stop();
    drop(raised);
    outcome.too_large = recorder.too_large();
    let ended = capture.stop();
    let finished = recorder.finish()?;
    (outcome.pictures, outcome.camera_pictures) = (finished.pictures, finished.camera_pictures);
    Outcome::tell_of_pictures(std::slice::from_ref(&outcome));
    outcome.tell_of_too_large(room);
    match stopped {
        // It has been let go, or is being let go.
        Err(LinkError::EStopped { .. }) => {}
        stopped => stopped?,
    }
    match ended? {
        (mut sight, None) => {
            sight.judge.count_repeated(outcome.repeated);
            Ok((outcome, sight))
        }
        (_, Some(error)) => Err(error.into()),
    }
}

fn ticks_in_real_time(
    config: &Config,
    controller: &mut Controller,
    bus: &mut dyn JointBus,
    capture: &CaptureThread,
    ticks: u32,
    labels: &Labels<'_>,
    recorder: &mut Recorder,
    sentinel: Option<&Sentinel>,
    clock: &dyn Clock,
    signals: &Signals,
) -> Outcome {
    let period_ns = (f64::from(config.period_s) * 1e9) as u64;
    let planning_ns = (period_ns as f64 * f64::from(config.planner.deadline_fraction)) as u64;
    let mut outcome = Outcome {
        total_reward: None,
        ticks: 0,
        deadline_misses: 0,
        host_stalls: 0,
        stopped: None,
        pictures: Pictures::None,
        camera_pictures: 0,
        too_large: TooLarge::default(),
        repeated: 0,
        problem: None,
        log: labels.log.to_owned(),
    };
    let mut world = LiveWorld::new(config, bus, capture, clock);
    let origin_ns = clock.now_ns() + period_ns;
    let mut tick = 0;
    let mut record_ns = 0;
    let mut reward = None;
    loop {
        clock.sleep_until_ns(origin_ns + u64::from(tick) * period_ns);
        // Edges that passed meanwhile are skipped, not made up for: the arm held. Their states were as good as the last.
        let passed = (clock.now_ns().saturating_sub(origin_ns) / period_ns) as u32;
        let skipped = passed.min(ticks).saturating_sub(tick);
        if skipped > 0 {
            outcome.earn(reward.map(|reward: f32| reward * skipped as f32));
        }
        tick += skipped;
        let edge_ns = origin_ns + u64::from(tick) * period_ns;
        if signals.e_stop.load(Ordering::SeqCst) {
            controller.demand_stop(Reason::EStop);
        }
        if signals.stop.load(Ordering::SeqCst) {
            controller.demand_stop(Reason::Operator);
        }
        // Whether the world has ended must be known before anything is sent.
        let ended = world.begin(edge_ns);
        let last = tick >= ticks || ended || controller.has_succeeded();
        let timing = Timing {
            tick,
            edge_ns,
            clock,
            limit: Limit::Deadline(clock, edge_ns + planning_ns),
            last,
        };
        let (row, stop) = controller.tick(&mut world, timing);
        let mut row = row.clone();
        let end_ns = clock.now_ns();
        let late_send = row.record.lateness_ns > late_send_ns(period_ns);
        row.record.deadline_missed = late_send || end_ns > edge_ns + period_ns;
        row.record.host_stall = row.record.deadline_missed
            && sentinel.is_some_and(|sentinel| {
                sentinel.stalled_since(edge_ns.saturating_sub(period_ns / 2), end_ns)
            });
        // The time to record a row can only be known after it: each row carries its predecessor's.
        row.record.latency_ns.record = record_ns;
        let time_ns = labels.info.started_unix_ns + (edge_ns - origin_ns);
        recorder.push(
            &row,
            Some(controller.frame()),
            controller.picture(),
            time_ns,
            sentinel.is_none(),
        );
        record_ns = clock.now_ns().saturating_sub(end_ns);
        outcome.deadline_misses += u32::from(row.record.deadline_missed);
        outcome.host_stalls += u32::from(row.record.host_stall);
        outcome.stopped = stop;
        if recorder.failed() || recorder.dropped() > 0 {
            // What an arm does unrecorded cannot be trusted or learned from.
            controller.demand_stop(Reason::LogFailed);
        }
        reward = row.capture.reward;
        if tick > 0 {
            outcome.earn(reward);
        }
        outcome.ticks = tick;
        if last || stop.is_some() {
            outcome.problem = world.problem(config, stop);
            outcome.repeated = world.repeated();
            if stop.is_some_and(Reason::voids_the_return) {
                outcome.total_reward = None;
            }
            return outcome;
        }
        tick += 1;
    }
}

/// Refuses an arm that does not know where it is: every set point starts from there.
pub(crate) fn check_pose(report: &ArmReport, joints: usize) -> Result<(), EpisodeRunError> {
    let sound = |rad: &JointVec| rad.len() == joints && rad.iter().all(|angle| angle.is_finite());
    if sound(&report.position_rad) && sound(&report.set_point_rad) {
        return Ok(());
    }
    Err(EpisodeRunError::NoPose {
        joints,
        position_rad: report.position_rad.clone(),
        set_point_rad: report.set_point_rad.clone(),
    })
}

pub(crate) fn first_report(
    bus: &mut dyn JointBus,
    clock: &dyn Clock,
    signals: &Signals,
) -> Result<ArmReport, LinkError> {
    let give_up_ns = clock.now_ns() + FIRST_REPORT_NS;
    loop {
        if signals.e_stop.load(Ordering::SeqCst) {
            return Err(LinkError::EStopped {
                port: bus.port().to_owned(),
            });
        }
        // Where an arm in motion will come to rest, nobody knows yet; after a handshake it is none of ours.
        if let Some(report) = bus.poll()?
            && !matches!(report.state, ArmState::Active | ArmState::Stopping)
        {
            return Ok(report);
        }
        if clock.now_ns() > give_up_ns {
            return Err(LinkError::Silent {
                port: bus.port().to_owned(),
                waited_ms: FIRST_REPORT_NS / 1_000_000,
            });
        }
        clock.sleep_until_ns(clock.now_ns() + FIRST_LOOK_NS);
    }
}
