//! The tick allocates nothing, on any thread that takes part in it, once the episode has begun.

mod counting;

use armillary::simulation;
use std::path::Path;
use std::sync::atomic::Ordering;

use controller::actuate::World;
use controller::capture::Captured;
use controller::encode::embed;
use controller::guard::Rules;
use controller::plan::Limit;
use controller::record::Recorder;
use controller::session::{PolicyChoice, Session};
use controller::tick::Timing;
use episode::{ArmState, EpisodeWriter, Reason};
use robot::config::{Method, Pipeline};
use robot::philox::Stream;
use robot::{Frame, SystemClock};
use world_model::Encoder;

use crate::counting::{EVERYWHERE, HERE};

/// Bytes that are reserved for the camera's own picture.
const ROOM: usize = 100_000;

/// A camera with a few frames to show, some of which come late, and an arm that goes where it is told.
struct Stage {
    frames: Vec<Frame>,
    /// The camera's own picture, where the log keeps those.
    picture: Option<Vec<u8>>,
    encoder: Option<Encoder>,
    clock: SystemClock,
    seq: u32,
    set_point_rad: robot::JointVec,
}

impl World for Stage {
    fn listen(&mut self, held: &mut Captured) {
        held.arm = ArmState::Active;
        held.arm_set_point_rad.clone_from(&self.set_point_rad);
        held.joints.position_rad.clone_from(&self.set_point_rad);
    }

    fn capture(&mut self, edge_ns: u64, held: &mut Box<Captured>) -> bool {
        self.seq += 1;
        if self.seq.is_multiple_of(7) {
            return false;
        }
        held.frame
            .copy_from(&self.frames[self.seq as usize % self.frames.len()]);
        if let Some(picture) = &self.picture {
            // Once, in the ticks that are not counted: a live loop's capture thread does it before the first.
            held.picture.reserve(ROOM);
            held.picture
                .take(&picture[..picture.len() - self.seq as usize % 100]);
            held.frame_seq = u64::from(self.seq);
        }
        held.captured_ns = edge_ns;
        true
    }

    fn encode(&mut self, held: &mut Captured) {
        held.encode_ns = embed(
            self.encoder.as_mut(),
            &held.frame,
            &mut held.embedding,
            &self.clock,
        );
    }

    fn actuate(&mut self, set_point_rad: &[f32]) -> Option<u32> {
        self.set_point_rad.clear();
        // As many joints as before.
        let _ = self.set_point_rad.extend_from_slice(set_point_rad);
        Some(self.seq)
    }

    fn fault(&self) -> Option<Reason> {
        None
    }
}

/// The repository's root.
fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("this crate has a parent")
}

/// What [`allocations_of`] counts where a model plans.
fn allocations(
    method: Method,
    threads: usize,
    pipeline: Pipeline,
    background: bool,
    log: Option<&Path>,
) -> [u64; 2] {
    let mut session = simulation::session(
        &root().join("configs/sim-arm.ron"),
        Some(&root().join("models/reach")),
        PolicyChoice::Planner { noise: 0.3 },
        Some(pipeline),
    )
    .expect("the shipped bundle fits the shipped robot file");
    session.config.planner = robot::config::Planner {
        method,
        threads,
        iterations: 2,
        candidates: 40,
        elites: 5,
        horizon: 4,
        ..session.config.planner.clone()
    };
    // Pictures of noise surprise any model; here it is to go on.
    session.config.trust.kl_max_nats = f32::MAX;
    allocations_of(&session, 2, background, log)
}

/// Allocations of all threads and of this one, while some hundred ticks ran, each with so many iterations of a plan; `log` records
/// them, too.
fn allocations_of(session: &Session, iterations: u32, background: bool, log: Option<&Path>) -> [u64; 2] {
    let ticks = 400;
    let made = if background {
        session.live_controller()
    } else {
        session.controller()
    };
    let (mut controller, encoder) = made.expect("a controller");
    let home = session.config.envelope.home().position_rad;
    let mut stream = Stream::new(1, 1);
    let mut frames = vec![Frame::new(session.config.frame_side); 5];
    for byte in frames.iter_mut().flat_map(|frame| frame.rgb_mut().iter_mut()) {
        *byte = stream.next_u32() as u8;
    }
    let clock = SystemClock::default();
    let mut stage = Stage {
        frames,
        picture: session.config.keep_pictures.then(|| vec![7; ROOM]),
        encoder,
        clock: clock.clone(),
        seq: 0,
        set_point_rad: home.clone(),
    };
    let mut recorder = log.map(|path| {
        let info = session.info(&controller, 0, 0);
        let writer = EpisodeWriter::create(path, &info, &session.attachments()).expect("a log");
        Recorder::start(writer, session.config.frame_side, ROOM).expect("a thread")
    });
    // Those of a world that does not wait do all that the others do, and more.
    controller.set_rules(Rules::live(true));
    controller.reset(&home, 0);
    let mut begun = [0; 2];
    for tick in 0..ticks {
        if tick == 3 {
            begun = [EVERYWHERE.load(Ordering::Relaxed), HERE.get()];
        }
        let edge_ns = u64::from(tick) * 100_000_000;
        let timing = Timing {
            tick,
            edge_ns,
            clock: &clock,
            limit: Limit::None,
            last: false,
        };
        let (row, stop) = controller.tick(&mut stage, timing);
        assert_eq!(stop, None, "tick {tick}");
        assert_eq!(row.plan.iterations, iterations, "tick {tick}");
        if let Some(recorder) = &mut recorder {
            let row = row.clone();
            recorder.push(
                &row,
                Some(controller.frame()),
                controller.picture(),
                edge_ns,
                true,
            );
        }
    }
    let ended = [EVERYWHERE.load(Ordering::Relaxed), HERE.get()];
    if let Some(recorder) = recorder {
        recorder.finish().expect("the log is whole");
    }
    [ended[0] - begun[0], ended[1] - begun[1]]
}

#[test]
fn the_tick_allocates_nothing_once_the_episode_has_begun() {
    // One test after the other: the count is of the whole program.
    for (method, threads, pipeline, background) in [
        (Method::Planet, 1, Pipeline::NextTick, false),
        (Method::Planet, 2, Pipeline::NextTick, true),
        (Method::Icem { beta: 2.0 }, 3, Pipeline::NextTick, false),
        (Method::Mppi { temperature: 1.0 }, 2, Pipeline::Immediate, false),
    ] {
        let [everywhere, _] = allocations(method, threads, pipeline, background, None);
        assert_eq!(
            everywhere, 0,
            "{method:?} on {threads} threads, in the background: {background}"
        );
    }
    // The recording thread compresses and writes, and may allocate; the tick that hands it a row may not.
    let dir = tempfile::tempdir().expect("a temporary folder");
    let log = dir.path().join("episode.mcap");
    let [_, here] = allocations(Method::Planet, 2, Pipeline::NextTick, false, Some(&log));
    assert_eq!(here, 0, "with a log");
    // Pictures of another side, without a model: places for them are of that side from the beginning.
    let mut session = simulation::session(
        &root().join("configs/sim-planar.ron"),
        None,
        PolicyChoice::Random,
        Some(Pipeline::NextTick),
    )
    .expect("the shipped robot file");
    session.config.frame_side = 96;
    assert_eq!(allocations_of(&session, 0, false, None)[0], 0, "at 96");
    let log = dir.path().join("large.mcap");
    assert_eq!(
        allocations_of(&session, 0, false, Some(&log))[1],
        0,
        "at 96, with a log"
    );
    // The camera's own pictures beside them.
    session.config.keep_pictures = true;
    let log = dir.path().join("pictures.mcap");
    assert_eq!(
        allocations_of(&session, 0, false, Some(&log))[1],
        0,
        "with the camera's own pictures"
    );
    let kept = episode::read_episode(&log).expect("a log").camera_pictures;
    assert!(kept > 300, "only {kept} are in the log");
    let before = HERE.get();
    drop(std::hint::black_box(Box::new([0_u8; 32])));
    assert_eq!(HERE.get() - before, 1, "the count counts");
}
