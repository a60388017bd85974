//! Planning on threads of its own: the tick never waits past its deadline, and what it takes is what a replay finds.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use controller::plan::{Background, Imagination, Limit, Plan, Planner, UNIT};
use episode::{PlanRow, PlanSource};
use robot::config::{Method, Planner as Budget};
use robot::{Clock, Config, SystemClock};
use world_model::{Belief, Bundle, NoiseKey, Rollout};

use crate::{bundle, root};

const MS: u64 = 1_000_000;

/// Where rollouts wait until the test lets them go on.
#[derive(Debug, Default)]
struct Gate {
    /// Calls that may pass; each takes one.
    passes: Mutex<u32>,
    changed: Condvar,
    waiting: AtomicBool,
    passed: AtomicU32,
}

impl Gate {
    fn open(&self, calls: u32) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        *passes = passes.saturating_add(calls);
        drop(passes);
        self.changed.notify_all();
    }

    fn close(&self) {
        *self.passes.lock().expect("whole") = 0;
    }

    fn pass(&self) {
        let mut passes = self.passes.lock().expect("whole");
        while *passes == 0 {
            self.waiting.store(true, Ordering::SeqCst);
            passes = self.changed.wait(passes).expect("whole");
        }
        self.waiting.store(false, Ordering::SeqCst);
        *passes -= 1;
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Lets everyone through when dropped.
struct OpenAtEnd(Arc<Gate>);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.open(u32::MAX / 2);
    }
}

/// A back end that stalls before every unit of candidates until it is let through.
#[derive(Debug)]
struct Stalling {
    rollout: Box<dyn Rollout>,
    gate: Arc<Gate>,
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
        self.gate.pass();
        self.rollout
            .returns(actions, horizon, noise, first_candidate, returns)
    }
}

/// One unit of candidates, so that an iteration is one pass through the gate.
fn budget(config: &Config, method: Method) -> Budget {
    Budget {
        iterations: 3,
        candidates: 24,
        elites: 4,
        threads: 1,
        method,
        ..config.planner.clone()
    }
}

fn belief(bundle: &Bundle, tick: u32) -> Belief {
    let mut stream = robot::philox::Stream::new(u64::from(tick), 3);
    let mut belief = Belief::initial(&bundle.dimensions());
    belief.h.fill_with(|| stream.normal().tanh());
    belief.s.fill_with(|| stream.normal());
    belief
}

fn wait_until(done: impl Fn() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

#[test]
fn a_stalled_planner_costs_plans_and_never_the_deadline_and_replays() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    for method in [Method::Planet, Method::Icem { beta: 1.0 }] {
        let budget = budget(&config, method);
        let gate = Arc::new(Gate::default());
        let stalling = Stalling {
            rollout: Box::new(bundle.scalar_rollout()),
            gate: Arc::clone(&gate),
        };
        let imagination = Imagination::of(vec![Box::new(stalling)], UNIT).expect("no thread is needed");
        let planner = Planner::with(imagination, bundle.dimensions().action, &budget);
        let blank = Belief::initial(&bundle.dimensions());
        let mut background = Background::start(planner, config.envelope.clone(), blank).expect("a thread");
        background.reset(5);
        // A test that fails must not leave the planner waiting: dropping it waits for the thread.
        let _opened = OpenAtEnd(Arc::clone(&gate));
        let clock = SystemClock::default();
        let home = config.envelope.home();
        let mut rows: Vec<PlanRow> = Vec::new();
        let mut ask = |limit: Limit<'_>| {
            let tick = rows.len() as u32;
            let row = background.plan(tick, &home, &belief(&bundle, tick), &config.envelope, limit);
            rows.push(row.clone());
            row
        };
        let soon = || Limit::Deadline(&clock, clock.now_ns() + 30 * MS);

        gate.open(3);
        let row = ask(Limit::None);
        assert_eq!((row.source, row.iterations), (PlanSource::Fresh, 3));
        // Stalled in the first iteration: the tail of the last plan.
        let row = ask(soon());
        assert_eq!((row.source, row.iterations), (PlanSource::Tail, 0));
        // Still at it: this tick goes on without.
        let row = ask(soon());
        assert_eq!(row.source, PlanSource::Tail);
        // It finishes that iteration late, which counts for nothing.
        gate.open(1);
        wait_until(|| gate.passed.load(Ordering::SeqCst) == 4);
        // Two iterations, and a stall in the third: what the two found.
        let row = loop {
            gate.open(2);
            let row = ask(Limit::Deadline(&clock, clock.now_ns() + 3_000 * MS));
            if row.source == PlanSource::Fresh {
                break row;
            }
            // It had not yet come back from the late one.
            gate.close();
        };
        assert_eq!(row.iterations, 2, "{method:?}");
        gate.open(1);
        wait_until(|| gate.passed.load(Ordering::SeqCst) >= 7);
        gate.open(1_000);
        let row = loop {
            let row = ask(Limit::None);
            if row.source == PlanSource::Fresh {
                break row;
            }
        };
        assert_eq!(row.iterations, 3);

        let mut replayed = Planner::new(&bundle, &budget).expect("planner");
        replayed.reset(5);
        for (tick, row) in rows.iter().enumerate() {
            let tick = tick as u32;
            let limit = Limit::Iterations(row.iterations);
            let again = replayed.plan(tick, &home, &belief(&bundle, tick), &config.envelope, limit);
            assert_eq!(row, &again, "{method:?}, tick {tick}");
        }
    }
}

/// A back end that panics.
#[derive(Debug)]
struct Broken;

impl Rollout for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn begin(&mut self, _start: &Belief) {}

    fn returns(
        &mut self,
        _actions: &[f32],
        _horizon: usize,
        _noise: NoiseKey,
        _first_candidate: u32,
        _returns: &mut [f32],
    ) -> Result<(), String> {
        panic!("as this test wants");
    }
}

#[test]
fn a_planner_that_dies_gives_no_plan() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let imagination = Imagination::of(vec![Box::new(Broken)], UNIT).expect("no thread is needed");
    let budget = budget(&config, Method::Planet);
    let planner = Planner::with(imagination, bundle.dimensions().action, &budget);
    let blank = Belief::initial(&bundle.dimensions());
    let mut background =
        Background::start(planner, config.envelope.clone(), blank.clone()).expect("a thread");
    background.reset(1);
    let home = config.envelope.home();
    for tick in 0..3 {
        let row = background.plan(tick, &home, &blank, &config.envelope, Limit::None);
        assert_eq!(row.source, PlanSource::Lost);
        assert!(row.action.iter().all(|action| action.is_finite()));
    }
}

#[test]
fn a_planner_that_never_ends_a_plan_is_given_up_and_stays_so() {
    let config = Config::load(&root().join("configs/sim-planar.ron")).expect("robot file");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let gate = Arc::new(Gate::default());
    let stalling = Stalling {
        rollout: Box::new(bundle.scalar_rollout()),
        gate: Arc::clone(&gate),
    };
    let imagination = Imagination::of(vec![Box::new(stalling)], UNIT).expect("no thread is needed");
    let budget = budget(&config, Method::Planet);
    let planner = Planner::with(imagination, bundle.dimensions().action, &budget);
    let blank = Belief::initial(&bundle.dimensions());
    let mut background =
        Background::start(planner, config.envelope.clone(), blank.clone()).expect("a thread");
    let _opened = OpenAtEnd(Arc::clone(&gate));
    background.reset(1);
    let (clock, home) = (SystemClock::default(), config.envelope.home());
    let limit = Limit::Deadline(&clock, clock.now_ns() + 30 * MS);
    let row = background.plan(0, &home, &blank, &config.envelope, limit);
    assert_eq!(row.source, PlanSource::Tail, "late, and still hoped for");
    wait_until(|| gate.waiting.load(Ordering::SeqCst));
    // The next episode is not begun with a planner that is still at the last one: after seconds, without it.
    background.reset(2);
    let row = background.plan(0, &home, &blank, &config.envelope, Limit::None);
    assert_eq!(row.source, PlanSource::Lost);
    // A late return does not bring it back: what it holds is of another episode.
    gate.open(1);
    wait_until(|| gate.passed.load(Ordering::SeqCst) == 1);
    let row = background.plan(1, &home, &blank, &config.envelope, Limit::None);
    assert_eq!(row.source, PlanSource::Lost);
}
