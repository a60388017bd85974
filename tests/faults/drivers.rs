//! Who drives the arm in a row: policies that do what a test wants, with the shipped model's filter or without.

use std::path::{Path, PathBuf};

use controller::capture::{Judge, Sight};
use controller::filter::BeliefFilter;
use controller::plan::{Limit, Plan, Policy};
use controller::session::{PolicyChoice, Session};
use controller::tick::Controller;
use episode::{PlanRow, PlanSource};
use robot::config::Pipeline;
use robot::device::FrameSource;
use robot::{Config, Envelope, SetPoint};
use world_model::Belief;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate has a parent").to_owned()
}

/// The shipped planar arm.
pub(crate) fn config() -> Config {
    Config::load(&root().join("configs/sim-planar.ron")).expect("the shipped robot file")
}

/// The shipped planar arm with the shipped model.
pub(crate) fn session() -> Session {
    let bundle = root().join("models/reach-planar");
    let policy = PolicyChoice::Planner { noise: 0.0 };
    Session::of(config(), Some(&bundle), policy, Some(Pipeline::NextTick)).expect("they fit")
}

/// A controller that is driven by `plan`, with the filter of the session's model.
pub(crate) fn controller(session: &Session, plan: impl Plan + 'static) -> Controller {
    let bundle = session.bundle.as_ref().expect("a model");
    let filter = BeliefFilter::new(bundle).expect("a filter");
    Controller::new(
        &session.config,
        Pipeline::NextTick,
        Some(filter),
        Policy::planner(plan, 0.0),
        session.embedding(),
    )
}

/// A new sight by `camera`, or the one of before with that camera.
pub(crate) fn sight(session: &Session, before: Option<Sight>, camera: Box<dyn FrameSource>) -> Sight {
    match before {
        Some(mut sight) => {
            sight.camera = camera;
            sight.judge = Judge::new(&session.config);
            sight
        }
        None => {
            let bundle = session.bundle.as_ref();
            let encoder = bundle.map(|bundle| bundle.encoder().expect("an encoder"));
            Sight::new(&session.config, camera, None, encoder, bundle).expect("a view")
        }
    }
}

/// There and back at a share of the speed limit, each joint by its own time.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) share: f32,
}

impl Sweep {
    pub(crate) fn row(&self, tick: u32, joints: usize) -> PlanRow {
        // Two joints never turn in the same tick.
        let sign = |joint: u32| {
            if (tick / (11 + 4 * joint)).is_multiple_of(2) {
                1.0
            } else {
                -1.0
            }
        };
        PlanRow {
            source: PlanSource::Fresh,
            iterations: 1,
            action: (0..joints as u32).map(|joint| sign(joint) * self.share).collect(),
            ..PlanRow::default()
        }
    }
}

impl Plan for Sweep {
    fn reset(&mut self, _seed: u64) {}

    fn skip(&mut self) {}

    fn plan(
        &mut self,
        tick: u32,
        _from: &SetPoint,
        _belief: &Belief,
        envelope: &Envelope,
        _limit: Limit<'_>,
    ) -> PlanRow {
        self.row(tick, envelope.joints().len())
    }
}
