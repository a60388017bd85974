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
use robot::{Config, Envelope, JointVec, SetPoint};
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
    let filter = BeliefFilter::new(bundle, 0).expect("a filter");
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

/// There and back at a share of the speed limit, each joint by its own time, towards its middle first: no joint comes near its limits.
#[derive(Debug)]
pub(crate) struct Sweep {
    share: f32,
    /// Where each joint turns first.
    first: Option<JointVec>,
}

impl Sweep {
    pub(crate) fn new(share: f32) -> Self {
        Self { share, first: None }
    }

    /// The plan of a tick of an arm that is at `from`.
    pub(crate) fn row(&mut self, tick: u32, from: &SetPoint) -> PlanRow {
        let first = self.first.get_or_insert_with(|| {
            let towards = |rad: &f32| if *rad > 0.0 { -1.0 } else { 1.0 };
            from.position_rad.iter().map(towards).collect()
        });
        // Two joints never turn round in the same tick.
        let turned = |joint: usize| {
            if (tick / (11 + 4 * joint as u32)).is_multiple_of(2) {
                self.share
            } else {
                -self.share
            }
        };
        PlanRow {
            source: PlanSource::Fresh,
            iterations: 1,
            action: first
                .iter()
                .enumerate()
                .map(|(joint, sign)| sign * turned(joint))
                .collect(),
            ..PlanRow::default()
        }
    }
}

impl Plan for Sweep {
    fn reset(&mut self, _seed: u64) {
        self.first = None;
    }

    fn skip(&mut self) {}

    fn plan(
        &mut self,
        tick: u32,
        from: &SetPoint,
        _belief: &Belief,
        _envelope: &Envelope,
        _limit: Limit<'_>,
    ) -> PlanRow {
        self.row(tick, from)
    }
}
