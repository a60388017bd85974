//! A machine that does not run this program when it should.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use controller::capture::Sight;
use controller::live::{self, Time};
use controller::lockstep::Labels;
use controller::plan::{Limit, Plan};
use controller::session::Session;
use devices::link::{ByteStream, HostLink};
use episode::{Episode, PlanRow, PlanSource};
use firmware_bridge::arm::{ArmOptions, SimulatedArm};
use robot::device::{DeviceError, FrameSource, FrameStamp, LinkError, Picture, PixelFormat, Plant, Signals};
use robot::philox::Stream;
use robot::{Clock, Config, Envelope, SetPoint, SystemClock};
use simulator::Simulator;
use world_model::Belief;

use crate::drivers::{self, Sweep};
use crate::parallel;
use crate::rig::{Place, Rig, Scratch, Shown, Shutter, World};
use crate::row::{Outcome, Scale};
use crate::scene::{SIDE, Scene};

const PERIOD_NS: u64 = 100_000_000;

/// A command is void so long after the edge that it belongs to.
const VALID_NS: u64 = PERIOD_NS + PERIOD_NS / 2;

/// One place in so many is held up, for a millisecond to this long.
const ONE_IN: usize = 50;
const LONGEST_MS: usize = 400;

/// Perhaps a pause, in nanoseconds.
fn pause_ns(random: &mut Stream) -> u64 {
    if random.below(ONE_IN) > 0 {
        return 0;
    }
    1_000_000 * (1 + random.below(LONGEST_MS)) as u64
}

/// A world in which everything that wants a CPU waits for one now and then.
struct Busy {
    scene: Scene,
    random: Stream,
    /// Until then the capture thread is held up.
    blind_until_ns: u64,
}

impl World for Busy {
    fn picture(&mut self, number: u64, now_ns: u64, arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        if now_ns < self.blind_until_ns {
            return Shown::Nothing;
        }
        self.blind_until_ns = now_ns + pause_ns(&mut self.random);
        Shown::Picture(
            picture(&mut self.scene, arm.plant().joints().position_rad.as_slice()),
            FrameStamp {
                seq: number + 1,
                age_ns: 10_000_000,
            },
        )
    }

    fn wakes_late_ns(&mut self) -> u64 {
        pause_ns(&mut self.random)
    }

    fn held_up_ns(&mut self, _place: Place) -> u64 {
        pause_ns(&mut self.random)
    }
}

fn picture(scene: &mut Scene, position_rad: &[f32]) -> Picture {
    Picture {
        width: SIDE as u32,
        height: SIDE as u32,
        format: PixelFormat::Rgb8,
        bytes: scene.draw(position_rad, 1.0, true),
    }
}

/// A planner that is held up, and late then.
struct HeldUp {
    sweep: Sweep,
    random: Stream,
    rig: Rig,
}

impl std::fmt::Debug for HeldUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldUp")
    }
}

impl Plan for HeldUp {
    fn reset(&mut self, _seed: u64) {}

    fn skip(&mut self) {}

    fn plan(
        &mut self,
        tick: u32,
        from: &SetPoint,
        _belief: &Belief,
        _envelope: &Envelope,
        limit: Limit<'_>,
    ) -> PlanRow {
        let ns = pause_ns(&mut self.random);
        if ns > 0 {
            self.rig.pass(ns);
        }
        let mut row = self.sweep.row(tick, from);
        if let Limit::Deadline(clock, deadline_ns) = limit
            && clock.now_ns() > deadline_ns
        {
            (row.source, row.iterations) = (PlanSource::Tail, 0);
        }
        row
    }
}

/// What came of some episodes.
#[derive(Default)]
struct Account {
    outcome: Outcome,
    episodes: u64,
    ticks: u64,
    tails: u64,
    missed: u64,
    withheld: u64,
    too_old: u64,
    /// The latest that a command was accepted after its edge, in nanoseconds.
    latest_ns: u64,
}

impl Account {
    /// Joins what the firmware accepted, and when, with what the log says of it.
    fn join(&mut self, log: &Episode, accepted: &[(u32, u64)]) {
        self.episodes += 1;
        self.ticks += log.ticks.len() as u64;
        let mut edges = HashMap::new();
        for row in &log.ticks {
            self.tails += u64::from(row.plan.source == PlanSource::Tail);
            self.missed += u64::from(row.record.deadline_missed);
            if row.actuate.sent {
                edges.insert(row.actuate.command_seq, row.edge_ns);
            } else {
                self.withheld += 1;
            }
            // What was late must be counted.
            let late = row.record.lateness_ns > PERIOD_NS / 5 && !row.record.deadline_missed;
            if late {
                self.outcome
                    .tried(Err(format!("tick {} was late and is not counted", row.tick)));
            }
        }
        for (seq, at_ns) in accepted {
            let Some(edge_ns) = edges.get(seq) else {
                self.outcome
                    .tried(Err(format!("command {seq} is in no row of the log")));
                continue;
            };
            let after_ns = at_ns.saturating_sub(*edge_ns);
            self.latest_ns = self.latest_ns.max(after_ns);
            self.outcome.tried(if after_ns <= VALID_NS {
                Ok(())
            } else {
                Err(format!(
                    "command {seq} was carried out {} ms after its edge",
                    after_ns / 1_000_000
                ))
            });
        }
    }

    fn take(&mut self, other: Self) {
        self.outcome.take(other.outcome);
        self.episodes += other.episodes;
        self.ticks += other.ticks;
        self.tails += other.tails;
        self.missed += other.missed;
        self.withheld += other.withheld;
        self.too_old += other.too_old;
        self.latest_ns = self.latest_ns.max(other.latest_ns);
    }

    fn told(mut self, more: &str) -> Outcome {
        self.outcome.worst = format!(
            "{more}{} runs, {} ticks, {} of them late and counted, {} by the tail of the last plan, {} that sent nothing, {} commands refused by \
             the arm for their age; carried out {} ms after the edge at most (void after {} ms)",
            self.episodes,
            self.ticks,
            self.missed,
            self.tails,
            self.withheld,
            self.too_old,
            self.latest_ns / 1_000_000,
            VALID_NS / 1_000_000
        );
        self.outcome
    }
}

/// What a thread keeps from trial to trial.
struct Kit {
    session: Session,
    sight: Option<Sight>,
}

impl Kit {
    fn new() -> Self {
        let mut session = drivers::session();
        session.config.trust.kl_max_nats = f32::MAX;
        Self { session, sight: None }
    }
}

/// Runs that follow each other for `span_ns` of virtual time.
fn chain(kit: &mut Kit, number: u64, span_ns: u64) -> Account {
    let mut account = Account::default();
    let mut spent_ns = 0;
    let mut run = 0;
    while spent_ns < span_ns {
        let seed = 1_000 * number + run;
        run += 1;
        let mut random = Stream::new(seed, 0xB05E);
        let busy = Busy {
            scene: Scene::new(seed),
            random: Stream::new(seed, 0xB05F),
            blind_until_ns: 0,
        };
        let shutter = Shutter {
            first_ns: 10_000_000 + random.below(20_000_000) as u64,
            period_ns: PERIOD_NS / 3,
        };
        let rig = Rig::new(&kit.session.config, seed, Box::new(busy), shutter);
        let plan = HeldUp {
            sweep: Sweep::new(random.range(0.3, 1.0)),
            random: Stream::new(seed, 0xB060),
            rig: rig.clone(),
        };
        let mut controller = drivers::controller(&kit.session, plan);
        let sight = drivers::sight(
            &kit.session,
            kit.sight.take(),
            rig.camera((SIDE as u32, SIDE as u32)),
        );
        let (ran, log) = rig.episode(&kit.session, &mut controller, sight, seed, 300);
        match (ran, log) {
            (Ok((_, sight)), Some(log)) => {
                kit.sight = Some(sight);
                let (accepted, too_old) = rig.commands();
                account.join(&log, &accepted);
                account.too_old += u64::from(too_old);
            }
            (ran, _) => account
                .outcome
                .tried(Err(format!("run {seed}: {:?}", ran.map(|(outcome, _)| outcome)))),
        }
        spent_ns += rig.now_ns();
    }
    account
}

/// Pauses of the tick, the planner, the capture thread and the line, in virtual time.
pub(crate) fn paused(scale: Scale) -> Outcome {
    const SPAN_NS: u64 = 30_000_000_000;
    let chains = scale.trials(60, 4);
    let mut account = Account::default();
    for its in parallel::trials(chains, Kit::new, |kit, number| chain(kit, number, SPAN_NS)) {
        account.take(its);
    }
    account.told(&format!(
        "{} minutes of virtual time, ",
        chains * SPAN_NS / 60_000_000_000
    ))
}

/// An arm that nobody keeps from running: it catches up with the clock whenever it is asked something.
struct Aside {
    arm: SimulatedArm<Simulator>,
    to_host: Vec<u8>,
    accepted: Vec<(u32, u64)>,
    too_old: u32,
}

#[derive(Clone)]
struct AsideArm {
    aside: Arc<Mutex<Aside>>,
    clock: SystemClock,
}

impl AsideArm {
    fn new(config: &Config, clock: &SystemClock) -> Self {
        let options = ArmOptions::from_config(config)
            .expect("sound limits")
            .booted_afresh();
        let task = config.simulator.as_ref().expect("a simulated arm").task.parse();
        let plant = Simulator::new(task.expect("a task of this simulator")).expect("a simulator");
        Self {
            aside: Arc::new(Mutex::new(Aside {
                arm: SimulatedArm::new(plant, &options),
                to_host: Vec::new(),
                accepted: Vec::new(),
                too_old: 0,
            })),
            clock: clock.clone(),
        }
    }

    /// The arm at the present.
    fn now(&self) -> (MutexGuard<'_, Aside>, u64) {
        let mut guard = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        // After the lock: nobody has moved the arm beyond this time.
        let now_ns = self.clock.now_ns();
        let aside = &mut *guard;
        while aside.arm.next_step_us() * 1_000 <= now_ns {
            aside.arm.substep().expect("a simulator does not fail");
            let to_host = &mut aside.to_host;
            aside.arm.transmit(|frame| to_host.extend(frame));
        }
        (guard, now_ns)
    }
}

impl ByteStream for AsideArm {
    fn name(&self) -> &str {
        "arm in memory"
    }

    fn now_us(&self) -> u64 {
        self.clock.now_ns() / 1_000
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let (mut guard, now_ns) = self.now();
        let aside = &mut *guard;
        let before = aside.arm.telemetry().last_command_seq;
        aside.arm.on_bytes(now_ns / 1_000, bytes);
        let told = aside.arm.telemetry();
        if told.last_command_seq != before && told.last_command_seq > 0 {
            aside.accepted.push((told.last_command_seq, now_ns));
        }
        aside.too_old = aside.too_old.max(told.rejected_age);
        let to_host = &mut aside.to_host;
        aside.arm.transmit(|frame| to_host.extend(frame));
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let (mut aside, _) = self.now();
        let count = into.len().min(aside.to_host.len());
        for (to, from) in into.iter_mut().zip(aside.to_host.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        std::thread::park_timeout(Duration::from_micros(timeout_us.min(1_000)));
        Ok(())
    }
}

/// A camera that sees that arm.
struct AsideCamera {
    arm: AsideArm,
    scene: Scene,
    seq: u64,
}

impl FrameSource for AsideCamera {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let (aside, now_ns) = self.arm.now();
        let newest = now_ns / (PERIOD_NS / 3);
        if newest <= self.seq {
            return Ok(None);
        }
        let position_rad = robot::device::Joints::joints(aside.arm.plant()).position_rad;
        drop(aside);
        self.seq = newest;
        *into = picture(&mut self.scene, &position_rad);
        Ok(Some(FrameStamp {
            seq: newest,
            age_ns: self.arm.clock.now_ns().saturating_sub(now_ns),
        }))
    }

    fn size(&self) -> Option<(u32, u32)> {
        Some((SIDE as u32, SIDE as u32))
    }
}

/// Threads that do nothing but take the CPUs.
struct Spinning {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Spinning {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            let stop = Arc::clone(&stop);
            let thread = std::thread::Builder::new().name("spinning".to_owned());
            let spin = move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            };
            thread.spawn(spin).expect("a thread")
        };
        Self {
            threads: (0..2 * cpus).map(spin).collect(),
            stop,
        }
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One run of the shipped model by the machine's clock.
fn run_in_real_time(session: &Session, seed: u64, ticks: u32, account: &mut Account) {
    let clock = SystemClock::default();
    let arm = AsideArm::new(&session.config, &clock);
    let (mut controller, encoder) = session.live_controller().expect("a controller");
    let camera = AsideCamera {
        arm: arm.clone(),
        scene: Scene::new(seed),
        seq: 0,
    };
    let bundle = session.bundle.as_ref();
    let sight = Sight::new(&session.config, Box::new(camera), None, encoder, bundle).expect("a view");
    let mut bus =
        HostLink::new(arm.clone(), session.config.joint_count(), 1_000_000).with_period_us(PERIOD_NS / 1_000);
    let log = Scratch::new();
    let labels = Labels {
        log: log.path(),
        info: session.info(&controller, seed, 1),
        attachments: &session.attachments(),
    };
    let ran = live::run_by(
        &Time::Machine(clock),
        &session.config,
        &mut controller,
        &mut bus,
        sight,
        session.embedding(),
        ticks,
        &labels,
        &Signals::default(),
    );
    let log = episode::read_episode(log.path());
    let (aside, _) = arm.now();
    match (ran, log) {
        (Ok(_), Ok(log)) => {
            account.join(&log, &aside.accepted);
            account.too_old += u64::from(aside.too_old);
        }
        (ran, _) => account
            .outcome
            .tried(Err(format!("{:?}", ran.map(|(outcome, _)| outcome)))),
    }
}

/// The loop by the machine's clock while twice as many threads as CPUs spin.
pub(crate) fn spinning(scale: Scale) -> Outcome {
    let span = Duration::from_secs(scale.trials(60, 3));
    let mut session = drivers::session();
    session.config.trust.kl_max_nats = f32::MAX;
    let begun = std::time::Instant::now();
    let _spinning = Spinning::start();
    let mut account = Account::default();
    let mut seed = 0;
    while begun.elapsed() < span {
        let left = span.saturating_sub(begun.elapsed()).as_secs_f64();
        // A run begins with a second for handshake and threads.
        let ticks = ((left * 10.0) as u32).clamp(10, 100);
        run_in_real_time(&session, seed, ticks, &mut account);
        seed += 1;
    }
    account.told("")
}
