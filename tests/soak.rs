//! Two tests over a pty in real time, with a planner that stalls at random. The short one runs with all others and asserts what
//! holds however busy the machine is: no tick allocates, the serial port included, and every period without a plan has its cause.
//! The long one also asserts what only an idle machine can keep.
//!
//! The camera is an emulated webcam.
//!
//! 100,000 ticks over a pty in real time, with a planner that stalls at random: no send is late, no tick allocates, no page
//! comes from disk, and every period without a plan has its cause. A machine that stands still for several periods has its arm stopped: another episode
//! makes up for that one. Takes 17 minutes on two cores that do nothing else, and wants to run as a user who may raise priorities:
//!
//! `cargo test --release -p armillary-tests --test soak -- --ignored --nocapture`

mod counting;

use armillary::simulation::{self, Simulated as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use controller::capture::Sight;
use controller::filter::BeliefFilter;
use controller::live::{self, Time};
use controller::lockstep::Labels;
use controller::plan::{Background, Imagination, Planner, Policy, UNIT};
use controller::record::Recorder;
use controller::session::{PolicyChoice, Session};
use controller::tick::Controller;
use devices::webcam::{Format, emulated};
use devices::{Camera, OpenCamera, SerialLink, SerialOptions};
use episode::{Episode, EpisodeInfo, EpisodeWriter, PlanSource, Reason};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{BridgeMode, BridgeOptions, SimulatorBridge};
use nix::sys::resource::{UsageWho, getrusage};
use robot::config::Pipeline;
use robot::device::Signals;
use robot::philox::Stream;
use robot::{Clock, SystemClock};
use simulator::Simulator;
use world_model::kernel::{Instructions, KernelRollout};
use world_model::{Belief, NoiseKey, Rollout};

use crate::counting::HERE;

/// A stall comes in one of so many units of candidates, and lasts up to this.
const STALL_ONE_IN: u32 = 150;
const STALL_MAX: Duration = Duration::from_millis(40);

static STALLS: AtomicU32 = AtomicU32::new(0);

/// A back end that sometimes takes a long time.
#[derive(Debug)]
struct Stalling {
    rollout: KernelRollout,
    stream: Stream,
}

impl Rollout for Stalling {
    fn name(&self) -> &'static str {
        "stalling"
    }

    fn begin(&mut self, start: &Belief) {
        self.rollout.begin(start);
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String> {
        if self.stream.below(STALL_ONE_IN as usize) == 0 {
            STALLS.fetch_add(1, Ordering::Relaxed);
            let end = Instant::now() + STALL_MAX.mul_f32(self.stream.uniform());
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        self.rollout
            .returns(actions, horizon, noise, first_candidate, returns)
    }
}

/// The shipped robot file and bundle with another period, in `dir`.
fn relabelled(dir: &Path, period_s: &str) -> Session {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent");
    let bundle = dir.join("bundle");
    std::fs::create_dir_all(&bundle).expect("a folder");
    for entry in std::fs::read_dir(root.join("models/reach-planar")).expect("the shipped bundle") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, bundle.join(path.file_name().expect("a name"))).expect("copies");
        }
    }
    let edit = |path: &Path, from: &str, to: &str| {
        let text = std::fs::read_to_string(path).expect("reads");
        assert!(text.contains(from), "{} has `{from}`", path.display());
        std::fs::write(path, text.replacen(from, to, 1)).expect("writes");
    };
    let robot = dir.join("robot.ron");
    std::fs::copy(root.join("configs/sim-planar.ron"), &robot).expect("copies");
    edit(&robot, "period_s: 0.1", &format!("period_s: {period_s}"));
    edit(&robot, "tick_priority: 0", "tick_priority: 80");
    edit(&robot, "capture_priority: 0", "capture_priority: 70");
    edit(&robot, "lock_memory: false", "lock_memory: true");
    // The edited manifest has another hash.
    std::fs::remove_file(bundle.join("SHA256SUMS")).expect("removes");
    edit(
        &bundle.join("manifest.ron"),
        "period_s: 0.1",
        &format!("period_s: {period_s}"),
    );
    let policy = PolicyChoice::Planner { noise: 0.0 };
    let mut session =
        simulation::session(&robot, Some(&bundle), policy, Some(Pipeline::NextTick)).expect("they fit");
    // Iterations of which several fit into the 7 ms that the shorter period leaves.
    session.config.planner.candidates = 16;
    // The model never saw this period; how surprised it is does not matter here.
    session.config.trust.kl_max_nats = f32::MAX;
    // Its planner stalls for several periods on purpose.
    session.config.trust.tail_ticks = 100;
    session
}

fn controller(session: &Session, seed: u64) -> Controller {
    let bundle = session.bundle.as_ref().expect("a bundle");
    let stalling = Stalling {
        rollout: KernelRollout::new(&bundle.weights(), Instructions::best_single()).expect("supported"),
        stream: Stream::new(seed, 0x50AC),
    };
    let imagination = Imagination::of(vec![Box::new(stalling)], UNIT).expect("no thread is needed");
    let mut planner = Planner::with(imagination, session.config.joint_count(), &session.config.planner);
    let belief = Belief::initial(&bundle.dimensions());
    planner.warm_up(&belief, &session.config.envelope);
    let background = Background::start(planner, session.config.envelope.clone(), belief).expect("a thread");
    Controller::new(
        &session.config,
        Pipeline::NextTick,
        Some(BeliefFilter::new(bundle, 0).expect("a filter")),
        Policy::planner(background, 0.0),
        session.embedding(),
    )
}

/// A thread that only waits for the next millisecond, and how late it was each time: what the machine itself does.
struct Baseline {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Baseline {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("baseline".to_owned())
            .spawn(move || {
                let _raised = realtime::Raised::new(("baseline", 80), ("baseline", &[]));
                let mut late_ns = Vec::with_capacity(2_000_000);
                let clock = SystemClock::default();
                while !its.load(Ordering::Relaxed) {
                    let next_ns = clock.now_ns() + 1_000_000;
                    clock.sleep_until_ns(next_ns);
                    late_ns.push(clock.now_ns().saturating_sub(next_ns));
                }
                late_ns
            })
            .expect("a thread");
        Self { stop, thread }
    }

    fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

fn percentiles(name: &str, values: &mut [u64]) {
    values.sort_unstable();
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize] as f64 / 1e6;
    println!(
        "{name:28} median {:7.3}  99 % {:7.3}  99.9 % {:7.3}  99.99 % {:7.3}  worst {:7.3} ms",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
}

/// What the tick's thread asked of the system in an episode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Needed {
    allocations: u64,
    /// Pages that it touched for the first time; none came from disk.
    minor_faults: i64,
}

impl Needed {
    fn until_now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("usage");
        Self {
            allocations: HERE.get(),
            minor_faults: usage.minor_page_faults(),
        }
    }

    fn since(before: Self) -> Self {
        let now = Self::until_now();
        Self {
            allocations: now.allocations - before.allocations,
            minor_faults: now.minor_faults - before.minor_faults,
        }
    }
}

fn episode(session: &Session, dir: &Path, seed: u64, ticks: u32) -> (Episode, Needed) {
    let options = BridgeOptions {
        arm: ArmOptions::from_config(&session.config).expect("limits"),
        mode: BridgeMode::RealTime,
        frame_side: session.config.frame_side,
        serial_path: Some(dir.join("arm")),
        frame_path: dir.join("camera"),
        watch_parent: false,
    };
    let plant = Simulator::new(session.task().expect("a task")).expect("a simulator");
    let bridge = SimulatorBridge::new(plant, options).expect("a bridge");
    let stop = Arc::new(AtomicBool::new(false));
    let its = Arc::clone(&stop);
    let served = std::thread::Builder::new()
        .name("bridge".to_owned())
        .spawn(move || {
            // The arm and its camera are no part of what is measured.
            let _raised = realtime::Raised::new(("bridge", 75), ("bridge", &[]));
            bridge.serve(its)
        })
        .expect("a thread");
    let mut bus = SerialLink::open(&SerialOptions {
        port: dir.join("arm").display().to_string(),
        baud: session.config.baud,
        joints: session.config.joint_count(),
        handshake_timeout: Duration::from_secs(5),
    })
    .expect("the port opens");
    // A webcam's whole way, from the kernel's buffers on.
    let OpenCamera { camera, task } = Camera::EmulatedWebcam(emulated::Settings {
        socket: dir.join("camera"),
        width: 160,
        height: 120,
        rate_hz: 100,
        format: if session.config.keep_pictures {
            Format::Mjpeg
        } else {
            Format::Yuyv
        },
    })
    .open(&session.config)
    .expect("a camera");
    let mut controller = controller(session, seed);
    let encoder = session
        .bundle
        .as_ref()
        .map(|bundle| bundle.encoder().expect("an encoder"));
    let log = dir.join(format!("{seed}.mcap"));
    let attachments = session.attachments();
    let labels = Labels {
        log: &log,
        info: session.info(&controller, seed, 1),
        attachments: &attachments,
    };
    let sight = Sight::new(&session.config, camera, task, encoder, session.bundle.as_ref()).expect("a view");
    // Counted from the log's beginning: how often the simulator's camera is looked at before, and how large a buffer that takes,
    // depends on when its pictures come.
    let mut before = None;
    let record = |info: &EpisodeInfo, room: usize| {
        before = Some(Needed::until_now());
        let writer = EpisodeWriter::create(labels.log, info, labels.attachments)?.durable()?;
        Ok(Recorder::start(writer, session.config.frame_side, room)?)
    };
    live::run_recorded(
        &Time::default(),
        &session.config,
        &mut controller,
        &mut bus,
        sight,
        session.embedding(),
        ticks,
        &labels,
        &Signals::default(),
        record,
    )
    .expect("the episode runs");
    let needed = Needed::since(before.expect("the log was begun"));
    stop.store(true, Ordering::SeqCst);
    drop(bus);
    let _ = served.join();
    let read = episode::read_episode(&log).expect("the log is whole");
    std::fs::remove_file(&log).expect("removes");
    (read, needed)
}

#[test]
fn two_hundred_ticks() {
    // On a machine that does other things at the same time, sends and pictures may be late, edges may pass, and pages may go to
    // disk.
    soak("0.05", 1, 200, Machine::Busy);
}

#[test]
fn two_hundred_ticks_with_the_cameras_own_pictures_in_the_log() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut session = relabelled(dir.path(), "0.05");
    patient(&mut session);
    session.config.keep_pictures = true;
    // What an episode of few ticks allocates, one of many does, too.
    let (_, few) = episode(&session, dir.path(), 1, 40);
    let (log, many) = episode(&session, dir.path(), 2, 200);
    assert_eq!(many.allocations, few.allocations, "the tick allocates");
    let mut pictures: Vec<u64> = log.ticks.iter().map(|row| row.capture.frame_seq).collect();
    pictures.retain(|seq| *seq > 0);
    pictures.dedup();
    assert!(log.camera_pictures > 0);
    assert_eq!(log.camera_pictures, pictures.len(), "each once");
}

#[test]
#[ignore = "takes 17 minutes, and the machine to itself"]
fn a_hundred_thousand_ticks() {
    let [late, stalled] = soak("0.01", 10, 10_000, Machine::Idle);
    assert_eq!(late, stalled, "a send was late while the machine was not");
}

/// Rows before a stop in which a stall of the machine explains it.
const STALL_ROWS: usize = 10;

/// What else the machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// Nothing: it keeps up.
    Idle,
    /// Anything: it may not.
    Busy,
}

/// Neither pictures that come late nor a host that is silent for long may end the episode.
fn patient(session: &mut Session) {
    session.config.frame_gap_ticks = u32::MAX;
    session.config.frame_max_age_s = 10.0;
    session.config.watchdog_periods = 100.0;
    session.config.torque_grace_s = 60.0;
}

/// Runs and tells; gives the number of late sends, and of those the machine caused.
fn soak(period_s: &str, episodes: u64, ticks: u32, machine: Machine) -> [u32; 2] {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut session = relabelled(dir.path(), period_s);
    if machine == Machine::Busy {
        patient(&mut session);
    }
    let late_ns = (session.config.period_s * 0.2 * 1e9) as u64;
    // What an episode of few ticks allocates, an episode of many does, too.
    let (_, few) = episode(&session, dir.path(), 1, 40);
    let faults = || {
        getrusage(UsageWho::RUSAGE_SELF)
            .expect("usage")
            .major_page_faults()
    };
    let faults_before = faults();
    let baseline = Baseline::start();
    let (mut lateness, mut work, mut minor_faults) = (Vec::new(), Vec::new(), Vec::new());
    let (mut fresh, mut iterations, mut blind, mut tails, mut skipped, mut late, mut stalled, mut sent) =
        (0, 0, 0, 0, 0, 0, 0, 0);
    // An episode that the machine has ended is made up for by others, up to twice as many.
    let (mut seed, mut by_machine, mut left) = (0, 0, episodes * u64::from(ticks));
    let most = match machine {
        Machine::Idle => 3 * episodes,
        Machine::Busy => episodes,
    };
    while left > 0 && seed < most {
        let ticks = left.min(u64::from(ticks)) as u32;
        let (log, needed) = episode(&session, dir.path(), seed + 10, ticks);
        assert_eq!(
            needed.allocations, few.allocations,
            "episode {seed} allocates by the tick"
        );
        minor_faults.push(needed.minor_faults);
        let mut expected = 0;
        for row in &log.ticks {
            skipped += row.tick - expected;
            expected = row.tick + 1;
            lateness.push(row.record.lateness_ns);
            // What the tick itself did: encoding is on the capture thread, and recording is the row's before.
            let ns = &row.record.latency_ns;
            work.push(ns.capture + ns.filter + ns.plan + ns.guard + ns.actuate);
            sent += u32::from(row.actuate.sent);
            let late_send = row.record.lateness_ns > late_ns;
            late += u32::from(late_send);
            stalled += u32::from(late_send && row.record.host_stall);
            if late_send && !row.record.host_stall {
                println!("late and unexplained: {row:?}");
            }
            match row.plan.source {
                PlanSource::Fresh => {
                    fresh += 1;
                    iterations += row.plan.iterations;
                }
                PlanSource::Tail => {
                    tails += 1;
                    blind += u32::from(row.guard.reason == Reason::NoFreshFrame);
                    let cause = row.guard.reason;
                    assert!(
                        matches!(cause, Reason::PlanLate | Reason::NoFreshFrame),
                        "tick {}: a period without a plan because of {cause:?}",
                        row.tick
                    );
                }
                // An arm that was not heard for several ticks: a machine that is busy may not have run its end of the line.
                PlanSource::Stop if machine == Machine::Busy => assert!(
                    matches!(
                        row.guard.reason,
                        Reason::LinkLost | Reason::ArmStopped | Reason::SelfStopped
                    ),
                    "tick {}: stopped because of {:?}",
                    row.tick,
                    row.guard.reason
                ),
                // It stood still for longer than a watchdog of 2.5 periods waits, or for two plans in a row: the arm has to be stopped.
                PlanSource::Stop if row.guard.reason != Reason::EpisodeEnd => {
                    let from = log.ticks.len().saturating_sub(STALL_ROWS);
                    assert!(
                        log.ticks[from..].iter().any(|row| row.record.host_stall),
                        "tick {}: stopped because of {:?}, and the machine did not stall",
                        row.tick,
                        row.guard.reason
                    );
                    by_machine += 1;
                }
                source => assert!(
                    row.guard.reason == Reason::EpisodeEnd,
                    "tick {}: {source:?}",
                    row.tick
                ),
            }
        }
        assert!(
            log.ticks.len() > 20.min(ticks as usize),
            "too few ticks to tell anything: {}",
            log.ticks.len()
        );
        println!("episode {seed}: {} rows", log.ticks.len());
        left = left.saturating_sub(log.ticks.len() as u64);
        seed += 1;
    }
    if machine == Machine::Idle {
        println!("episodes that the machine has ended, since it stood still: {by_machine}");
        assert_eq!(left, 0, "the machine stands still too often");
    }
    let mut baseline = baseline.end();
    let stalls = STALLS.load(Ordering::Relaxed);
    println!(
        "{} ticks at {period_s} s, {sent} sends, {skipped} edges passed while the machine stood still",
        lateness.len()
    );
    println!(
        "stalls injected {stalls}; plans {fresh} with {:.2} iterations each, periods without one {tails}, \
         of which {blind} had no fresh frame either",
        f64::from(iterations) / f64::from(fresh.max(1))
    );
    println!(
        "sends more than a fifth of a period late: {late}, of which a sentinel saw its CPU stall: {stalled}"
    );
    println!(
        "allocations by the tick: 0; major page faults: {}",
        faults() - faults_before
    );
    println!(
        "minor page faults of the tick's thread an episode: {minor_faults:?}; of one of 40 ticks: {}",
        few.minor_faults
    );
    percentiles("tick began late by", &mut lateness);
    percentiles("tick took (with planning)", &mut work);
    percentiles("baseline thread woke late by", &mut baseline);
    if machine == Machine::Idle {
        assert_eq!(faults(), faults_before, "pages came from disk");
    }
    [late, stalled]
}
