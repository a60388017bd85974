//! Planners that give numbers that are none, that are late, or that panic.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use controller::capture::Sight;
use controller::guard::{Guard, Rules};
use controller::plan::{Background, Cem, Evaluate, Imagination, Limit, Plan, Planner, Proposals, UNIT};
use controller::session::Session;
use episode::{ArmState, CaptureRow, FilterRow, PlanRow, PlanSource, Reason};
use firmware_bridge::arm::SimulatedArm;
use robot::config::{Method, Planner as Budget};
use robot::device::{FrameStamp, Picture, PixelFormat, Plant};
use robot::philox::Stream;
use robot::{Clock, Config, Envelope, JointVec, SetPoint, SystemClock};
use world_model::{Belief, Bundle, NoiseKey, Rollout};

use crate::drivers::{self, Sweep};
use crate::parallel;
use crate::rig::{Rig, Shown, Shutter, World};
use crate::row::{Outcome, Scale};
use crate::scene::{SIDE, Scene};

/// Any bits, and more often than by chance those that break things.
fn any_f32(random: &mut Stream) -> f32 {
    const HOSTILE: [f32; 12] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1.0e-45,
        -0.0,
        1.0,
        -1.0,
        1.0e30,
        -1.0e30,
    ];
    match random.below(3) {
        0 => HOSTILE[random.below(HOSTILE.len())],
        1 => f32::from_bits(random.next_u32()),
        _ => random.range(-1.5, 1.5),
    }
}

const SOURCES: [PlanSource; 6] = [
    PlanSource::None,
    PlanSource::Fresh,
    PlanSource::Tail,
    PlanSource::Hold,
    PlanSource::Random,
    PlanSource::Lost,
];

/// A proposal of any bits, with any number of joints.
fn any_plan(random: &mut Stream) -> PlanRow {
    let joints = if random.below(8) == 0 { random.below(9) } else { 2 };
    PlanRow {
        source: SOURCES[random.below(SOURCES.len())],
        iterations: random.next_u32(),
        best_return: any_f32(random),
        elite_mean_return: any_f32(random),
        elite_std: any_f32(random),
        action: (0..joints).map(|_| any_f32(random)).collect(),
    }
}

/// Where the arm may be, at a speed that it may have.
fn any_set_point(envelope: &Envelope, random: &mut Stream) -> SetPoint {
    loop {
        let joints = envelope.joints();
        let position_rad: JointVec = joints
            .iter()
            .map(|joint| random.range(joint.position_min_rad, joint.position_max_rad))
            .collect();
        if envelope.in_workspace(&position_rad) {
            return SetPoint {
                position_rad,
                velocity_rad_s: joints
                    .iter()
                    .map(|joint| random.range(-joint.velocity_max_rad_s, joint.velocity_max_rad_s))
                    .collect(),
            };
        }
    }
}

fn seen() -> CaptureRow {
    CaptureRow {
        fresh: true,
        frame_hash: 7,
        arm: ArmState::Active,
        ..CaptureRow::default()
    }
}

/// Whether `to` is a place to which the arm may be sent from `from`.
fn may_be_sent(config: &Config, from: &SetPoint, to: &SetPoint) -> bool {
    let envelope = &config.envelope;
    let within = envelope.joints().iter().enumerate().all(|(index, joint)| {
        let (from, to) = (from.position_rad[index], to.position_rad[index]);
        let reach = joint.velocity_max_rad_s * config.period_s * 1.0001 + 1e-6;
        to.is_finite()
            && to >= joint.position_min_rad
            && to <= joint.position_max_rad
            && (to - from).abs() <= reach
    });
    within && envelope.in_workspace(&to.position_rad)
}

/// One proposal of any bits through the guard, and a good one after it.
fn through_the_guard(config: &Config, guard: &mut Guard, random: &mut Stream) -> Result<(), String> {
    guard.reset(Rules::live(true));
    let from = any_set_point(&config.envelope, random);
    let mut plan = any_plan(random);
    let asked = plan.clone();
    let sound = asked.action.iter().all(|value| value.is_finite());
    let expected = match asked.source {
        PlanSource::Lost => Some(Reason::PlannerLost),
        PlanSource::None => Some(Reason::NonFinite),
        _ if !sound => Some(Reason::NonFinite),
        _ => None,
    };
    let verdict = guard.decide(&seen(), &FilterRow::default(), &mut plan, &from, true);
    if verdict.stop != expected {
        return Err(format!("{asked:?}: stopped for {:?}", verdict.stop));
    }
    let to = &verdict.clamped.set_point;
    if !may_be_sent(config, &from, to) {
        return Err(format!("{asked:?} leads from {from:?} to {to:?}"));
    }
    if verdict.clamped.action.iter().any(|value| !(value.abs() <= 1.0)) {
        return Err(format!("{asked:?} became {:?}", verdict.clamped.action));
    }
    // A stop stays one, whatever is proposed next.
    if expected.is_some() {
        let mut good = PlanRow {
            source: PlanSource::Fresh,
            action: [0.5, -0.5].into_iter().collect(),
            ..PlanRow::default()
        };
        let later = guard.decide(&seen(), &FilterRow::default(), &mut good, to, true);
        if later.stop != expected || guard.may_send() || good.source != PlanSource::Stop {
            return Err(format!("{asked:?}: went on"));
        }
    }
    Ok(())
}

/// A model that scores candidates with any bits, and may spoil the candidates, too.
struct AnyReturns<'a>(&'a mut Stream);

impl Evaluate for AnyReturns<'_> {
    fn returns(&mut self, proposals: &Proposals<'_>, actions: &mut [f32], returns: &mut [f32]) -> bool {
        proposals.write(0, actions);
        let all_hostile = self.0.below(4) == 0;
        for value in returns.iter_mut() {
            *value = if all_hostile {
                [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][self.0.below(3)]
            } else {
                any_f32(self.0)
            };
        }
        true
    }
}

/// One search whose returns are any bits.
fn through_the_search(config: &Config, searches: &mut [Cem], random: &mut Stream) -> Result<(), String> {
    let from = any_set_point(&config.envelope, random);
    let cem = &mut searches[random.below(3)];
    cem.begin();
    for iteration in 0..2 {
        let key = NoiseKey {
            seed: u64::from(random.next_u32()),
            tick: 0,
            iteration,
            sampled: false,
        };
        let before = cem.executed().to_vec();
        let refined = cem.refine(key, &from, &config.envelope, &mut AnyReturns(random));
        let action = cem.first_action();
        if cem.executed().iter().any(|value| !(value.abs() <= 1.0)) {
            return Err(format!("{:?} is carried out", cem.executed()));
        }
        match refined {
            None if before != cem.executed() => {
                return Err("a plan came of returns that are no numbers".to_owned());
            }
            None => return Ok(()),
            Some(found) if !found.best_return.is_finite() => return Err(format!("{found:?}, {action:?}")),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Hostile numbers: as proposals to the guard, and as returns to each search.
pub(crate) fn numbers(scale: Scale) -> Outcome {
    const BATCHES: u64 = 100;
    let each = scale.trials(1_000_000, 50_000) / BATCHES;
    let config = drivers::config();
    let budget = |method| Budget {
        candidates: 8,
        elites: 3,
        horizon: 3,
        iterations: 2,
        method,
        ..config.planner.clone()
    };
    let kit = || {
        let searches = [
            Method::Planet,
            Method::Icem { beta: 1.0 },
            Method::Mppi { temperature: 0.5 },
        ];
        (
            Guard::new(&config),
            searches.map(|method| Cem::new(&budget(method), config.joint_count())),
        )
    };
    let batches = parallel::trials(BATCHES, kit, |(guard, searches), batch| {
        let mut random = Stream::new(batch, 0xA0B1);
        let mut outcome = Outcome::default();
        for trial in 0..each {
            // A search has 24 candidates' steps to clamp: one trial of four is one.
            outcome.tried(if trial % 4 == 0 {
                through_the_search(&config, searches, &mut random)
            } else {
                through_the_guard(&config, guard, &mut random)
            });
        }
        outcome
    });
    let mut outcome = Outcome::default();
    batches.into_iter().for_each(|batch| outcome.take(batch));
    outcome.worst =
        "three of four as proposals to the guard, the others as returns to each of the three searches"
            .to_owned();
    outcome
}

/// What a planner does from some tick on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotANumber,
    Infinite,
    NothingFinite,
    Late,
    /// Late in every second tick: each time the plan before stands in.
    LateOnceInAWhile,
    Lost,
}

const KINDS: [Kind; 6] = [
    Kind::NotANumber,
    Kind::Infinite,
    Kind::NothingFinite,
    Kind::Late,
    Kind::LateOnceInAWhile,
    Kind::Lost,
];

/// A planner that goes wrong in tick `from`.
#[derive(Debug)]
struct Failing {
    sweep: Sweep,
    kind: Kind,
    from: u32,
    joint: usize,
}

impl Plan for Failing {
    fn reset(&mut self, _seed: u64) {}

    fn skip(&mut self) {}

    fn plan(
        &mut self,
        tick: u32,
        from: &SetPoint,
        _belief: &Belief,
        _envelope: &Envelope,
        _limit: Limit<'_>,
    ) -> PlanRow {
        let mut row = self.sweep.row(tick, from);
        if tick < self.from {
            return row;
        }
        match self.kind {
            Kind::NotANumber => row.action[self.joint] = f32::NAN,
            Kind::Infinite => row.action[self.joint] = f32::INFINITY,
            Kind::NothingFinite => row.source = PlanSource::None,
            Kind::Late => row.source = PlanSource::Tail,
            Kind::LateOnceInAWhile if (tick - self.from).is_multiple_of(2) => row.source = PlanSource::Tail,
            Kind::LateOnceInAWhile => {}
            Kind::Lost => row.source = PlanSource::Lost,
        }
        row
    }
}

/// A camera that is always good.
struct Good(Scene);

impl World for Good {
    fn picture(&mut self, number: u64, _now_ns: u64, arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        let picture = Picture {
            width: SIDE as u32,
            height: SIDE as u32,
            format: PixelFormat::Rgb8,
            bytes: self.0.draw(&arm.plant().joints().position_rad, 1.0, true),
        };
        let stamp = FrameStamp {
            seq: number + 1,
            age_ns: 20_000_000,
        };
        Shown::Picture(picture, stamp)
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

/// One planner that goes wrong in the loop.
fn in_the_loop(kit: &mut Kit, number: u64) -> Result<(), String> {
    const TICKS: u32 = 24;
    let mut random = Stream::new(number, 0x91A2);
    let kind = KINDS[number as usize % KINDS.len()];
    let from = 3 + random.below(12) as u32;
    let shutter = Shutter {
        first_ns: 50_000_000,
        period_ns: 100_000_000,
    };
    let rig = Rig::new(
        &kit.session.config,
        number,
        Box::new(Good(Scene::new(number))),
        shutter,
    );
    let plan = Failing {
        sweep: Sweep::new(random.range(0.3, 1.0)),
        kind,
        from,
        joint: random.below(2),
    };
    let mut controller = drivers::controller(&kit.session, plan);
    let sight = drivers::sight(
        &kit.session,
        kit.sight.take(),
        rig.camera((SIDE as u32, SIDE as u32)),
    );
    let (ran, log) = rig.episode(&kit.session, &mut controller, sight, number, TICKS);
    let (outcome, sight) = ran.map_err(|error| error.to_string())?;
    kit.sight = Some(sight);
    let log = log.ok_or("no log")?;
    // The tick in which the arm must be stopped, and why.
    let expected = match kind {
        Kind::NotANumber | Kind::Infinite | Kind::NothingFinite => Some((from, Reason::NonFinite)),
        Kind::Lost => Some((from, Reason::PlannerLost)),
        Kind::Late => Some((from + 1, Reason::PlanLate)),
        Kind::LateOnceInAWhile => None,
    };
    let last = log.ticks.last().ok_or("no tick at all")?;
    let found = outcome.stopped.map(|reason| (last.tick, reason));
    if found != expected {
        return Err(format!("{kind:?} in tick {from}: stopped {found:?}"));
    }
    if kind == Kind::Late {
        // The tail was sent once, and said to be one.
        let tail = &log.ticks[from as usize];
        if (tail.plan.source, tail.guard.reason) != (PlanSource::Tail, Reason::PlanLate) || !last.actuate.sent
        {
            return Err(format!("no tail in tick {from}: {:?}", tail.plan));
        }
    }
    if expected.is_some() {
        rig.stays(2_000_000_000)?;
    }
    Ok(())
}

/// Planners that go wrong, in the loop.
pub(crate) fn in_loop(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let trials = scale.trials(1_200, 60);
    for result in parallel::trials(trials, Kit::new, in_the_loop) {
        outcome.tried(result);
    }
    outcome.worst = format!("{} kinds, one of which must not stop the arm", KINDS.len());
    outcome
}

/// Where rollouts wait until a test lets them go on.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    /// Rollouts that have begun.
    begun: AtomicU32,
}

impl Gate {
    fn set(&self, open: bool) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
        self.changed.notify_all();
    }

    fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.changed
                .wait_while(open, |open| !*open)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// Lets everyone through when dropped.
struct OpenAtEnd(Arc<Gate>);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A back end that waits at a gate, and panics if it is told to.
#[derive(Debug)]
struct Gated {
    rollout: Box<dyn Rollout>,
    gate: Arc<Gate>,
    panics: Arc<AtomicBool>,
}

impl Rollout for Gated {
    fn name(&self) -> &'static str {
        "gated"
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
        self.gate.pass();
        assert!(!self.panics.load(Ordering::SeqCst), "as this row wants");
        self.rollout
            .returns(actions, horizon, noise, first_candidate, returns)
    }
}

/// A planner on threads of its own whose back ends wait at a gate.
struct Bench {
    // Dropped first: the planner's thread must come back from the gate.
    _opened: OpenAtEnd,
    background: Background,
    gate: Arc<Gate>,
    panics: Arc<AtomicBool>,
}

impl Bench {
    fn new(config: &Config, bundle: &Bundle, threads: usize) -> Self {
        let (gate, panics) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
        let rollouts = (0..threads)
            .map(|_| -> Box<dyn Rollout> {
                Box::new(Gated {
                    rollout: Box::new(bundle.scalar_rollout()),
                    gate: Arc::clone(&gate),
                    panics: Arc::clone(&panics),
                })
            })
            .collect();
        let budget = Budget {
            iterations: 1,
            candidates: 4 * threads,
            elites: 2,
            horizon: 2,
            threads,
            ..config.planner.clone()
        };
        let unit = if threads == 1 { UNIT } else { 4 };
        let imagination = Imagination::of(rollouts, unit).expect("threads");
        let planner = Planner::with(imagination, bundle.dimensions().action, &budget);
        let blank = Belief::initial(&bundle.dimensions());
        let mut background = Background::start(planner, config.envelope.clone(), blank).expect("a thread");
        background.reset(5);
        let opened = OpenAtEnd(Arc::clone(&gate));
        Self {
            background,
            gate,
            panics,
            _opened: opened,
        }
    }
}

/// Planners that overrun their deadline again and again. What the tick waits is bounded by the deadline, and the guard lets one tail pass.
pub(crate) fn overruns(scale: Scale) -> Outcome {
    const BENCHES: u64 = 20;
    const DEADLINE_NS: u64 = 100_000;
    let each = scale.trials(10_000, 400) / BENCHES;
    let config = drivers::config();
    let bundle = Bundle::load(&drivers::root().join("models/reach-planar")).expect("the shipped model");
    let benches = parallel::trials(
        BENCHES,
        || (),
        |(), number| {
            let mut bench = Bench::new(&config, &bundle, 1);
            let (clock, home) = (SystemClock::default(), config.envelope.home());
            let blank = Belief::initial(&bundle.dimensions());
            let mut random = Stream::new(number, 0x0EE2);
            let (mut outcome, mut tick) = (Outcome::default(), 0);
            let (mut longest_ns, mut in_search) = (0, 0_u64);
            for _ in 0..each {
                let mut guard = Guard::new(&config);
                guard.reset(Rules::live(true));
                let mut step = |bench: &mut Bench, limit: Limit<'_>| {
                    let row = bench
                        .background
                        .plan(tick, &home, &blank, &config.envelope, limit);
                    tick += 1;
                    let mut proposed = row.clone();
                    let verdict = guard.decide(&seen(), &FilterRow::default(), &mut proposed, &home, true);
                    (row, verdict)
                };
                bench.gate.set(true);
                let (fresh, _) = loop {
                    let (row, verdict) = step(&mut bench, Limit::None);
                    if row.source == PlanSource::Fresh {
                        break (row, verdict);
                    }
                };
                // One that was a tail before counts no more.
                bench.gate.set(false);
                let mut late = Vec::new();
                for _ in 0..2 + random.below(2) {
                    let asked_ns = clock.now_ns();
                    let limit = Limit::Deadline(&clock, asked_ns + DEADLINE_NS);
                    let (row, verdict) = step(&mut bench, limit);
                    let waited_ns = clock.now_ns() - asked_ns;
                    longest_ns = longest_ns.max(waited_ns);
                    // Otherwise the planner has not begun, since it took longer before.
                    in_search += u64::from(waited_ns >= DEADLINE_NS);
                    late.push((row.source, verdict.stop));
                }
                let expected = |(index, (source, stop)): (usize, &(PlanSource, Option<Reason>))| {
                    let tail = *source == PlanSource::Tail;
                    tail && *stop == (index > 0).then_some(Reason::PlanLate)
                };
                outcome.tried(
                    if fresh.iterations == 1 && late.iter().enumerate().all(expected) {
                        Ok(())
                    } else {
                        Err(format!("{fresh:?}, then {late:?}"))
                    },
                );
            }
            (outcome, longest_ns, in_search)
        },
    );
    let (mut outcome, mut longest_ns, mut in_search) = (Outcome::default(), 0, 0);
    for (bench, its_ns, its_in_search) in benches {
        outcome.take(bench);
        longest_ns = longest_ns.max(its_ns);
        in_search += its_in_search;
    }
    outcome.worst = format!(
        "{in_search} plans were late in the middle of a search, the others had not begun; the tick waited {:.1} ms at most for a deadline of \
         {:.1} ms, the machine's stalls included",
        longest_ns as f64 * 1e-6,
        DEADLINE_NS as f64 * 1e-6
    );
    outcome
}

/// Planners whose thread, or one of whose helpers, panics: in the search, or while the tick has already given up on it.
pub(crate) fn panics(scale: Scale) -> Outcome {
    let config = drivers::config();
    let bundle = Bundle::load(&drivers::root().join("models/reach-planar")).expect("the shipped model");
    // What they say is no news here.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let trial = |number: u64| -> Result<(), String> {
        let threads = 1 + (number % 3) as usize;
        let while_away = number % 2 == 1;
        let mut bench = Bench::new(&config, &bundle, threads);
        let (clock, home) = (SystemClock::default(), config.envelope.home());
        let blank = Belief::initial(&bundle.dimensions());
        let mut guard = Guard::new(&config);
        guard.reset(Rules::live(true));
        let mut step = |bench: &mut Bench, tick: u32, limit: Limit<'_>| {
            let mut row = bench
                .background
                .plan(tick, &home, &blank, &config.envelope, limit);
            let source = row.source;
            let verdict = guard.decide(&seen(), &FilterRow::default(), &mut row, &home, true);
            (source, verdict.stop)
        };
        bench.gate.set(true);
        let good = step(&mut bench, 0, Limit::None);
        let mut found = vec![good];
        bench.panics.store(true, Ordering::SeqCst);
        if while_away {
            bench.gate.set(false);
            let begun = bench.gate.begun.load(Ordering::SeqCst);
            let soon = || clock.now_ns() + 20_000_000;
            found.push(step(&mut bench, 1, Limit::Deadline(&clock, soon())));
            // On a machine that is busy it may not have begun.
            while bench.gate.begun.load(Ordering::SeqCst) == begun {
                let limit = Limit::Deadline(&clock, soon());
                bench.background.plan(1, &home, &blank, &config.envelope, limit);
            }
            bench.gate.set(true);
        }
        // It is waited for, without a deadline: a planner that is gone must not be.
        found.push(step(&mut bench, 2, Limit::None));
        let lost = (PlanSource::Lost, Some(Reason::PlannerLost));
        let mut expected = vec![(PlanSource::Fresh, None), lost];
        if while_away {
            expected.insert(1, (PlanSource::Tail, None));
        }
        if found == expected {
            Ok(())
        } else {
            Err(format!("{threads} threads: {found:?}"))
        }
    };
    let mut outcome = Outcome::default();
    for result in parallel::trials(scale.trials(400, 24), || (), |(), number| trial(number)) {
        outcome.tried(result);
    }
    std::panic::set_hook(hook);
    outcome.worst = "1, 2 and 3 planning threads".to_owned();
    outcome
}
