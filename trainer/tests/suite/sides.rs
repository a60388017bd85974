//! A model of each side, from the logs of a simulated arm to an episode that it plans, through the commands that a user types.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use armillary::simulation::{self, Simulated as _};
use controller::replay;
use controller::session::PolicyChoice;
use robot::Frame;
use robot::philox::Stream;
use trainer::side::Side;
use world_model::kernel::{INSTRUCTIONS, Instructions};
use world_model::{Belief, Bundle};

const ROBOT: &str = include_str!("../../../configs/sim-planar.ron");

/// A folder in which a model of a side is trained.
struct Work {
    dir: tempfile::TempDir,
}

impl Work {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join("preset.ron"), super::SMALL).expect("writes");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The shipped planar robot file with pictures of `side`.
    fn robot(&self, side: Side) -> PathBuf {
        let (from, pixels) = ("gap_ticks: 5", side.pixels());
        let text = ROBOT.replacen(from, &format!("{from}, side: {pixels}"), 1);
        assert_ne!(text, ROBOT);
        let path = self.path(&format!("robot-{pixels}.ron"));
        std::fs::write(&path, text).expect("writes");
        path
    }

    /// Records random episodes with pictures of `side` and returns their folder.
    fn runs(&self, side: Side) -> PathBuf {
        let dir = self.path(&format!("runs-{}", side.pixels()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let session =
            simulation::session(&self.robot(side), None, PolicyChoice::Random, None).expect("a session");
        session
            .run_simulated(
                &[1, 2, 3],
                14,
                1,
                &|seed| dir.join(format!("episode-{seed:06}.mcap")),
                &|_| {},
            )
            .expect("records");
        dir
    }

    fn train(&self, runs: &Path, out: &str, until: &str) -> Output {
        command(&["train", "--threads", "1", "--seed", "5", "--until", until])
            .arg("--runs")
            .arg(runs)
            .arg("--preset")
            .arg(self.path("preset.ron"))
            .arg("--out")
            .arg(self.path(out))
            .output()
            .expect("the trainer starts")
    }

    fn export(&self, run: &str, robot: &Path, out: &str) -> Output {
        command(&["export"])
            .arg("--checkpoint")
            .arg(self.path(run).join("checkpoint.safetensors"))
            .arg("--robot")
            .arg(robot)
            .arg("--out")
            .arg(self.path(out))
            .output()
            .expect("the trainer starts")
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_armillary-train"));
    command.args(arguments);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether a command failed, and said all of `parts`.
fn refused(output: &Output, parts: &[&str]) {
    let said = said(output);
    assert!(!output.status.success(), "{said}");
    for part in parts {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

#[test]
fn a_model_of_every_side_is_trained_exported_and_plans() {
    let work = Work::new();
    for side in Side::ALL {
        let pixels = side.pixels();
        let (run, bundle) = (format!("model-{pixels}"), format!("bundle-{pixels}"));
        let runs = work.runs(side);
        succeeded(&work.train(&runs, &run, "3"));
        // Stopped, and gone on with.
        succeeded(&work.train(&runs, &run, "5"));
        let checkpoint = work.path(&run).join("checkpoint.safetensors");
        let provenance = trainer::checkpoint::provenance(&checkpoint).expect("a checkpoint");
        assert_eq!((provenance.update, provenance.side), (5, side));
        // Three bands of the first six sequences, six steps long; there are four.
        let strip = image::open(work.path(&run).join("open-loop.png")).expect("drawn");
        assert_eq!(
            (strip.width(), strip.height()),
            (6 * pixels as u32, 12 * pixels as u32)
        );
        succeeded(
            &command(&["report"])
                .arg(work.path(&run))
                .output()
                .expect("starts"),
        );
        let page = std::fs::read_to_string(work.path(&run).join("report.html")).expect("a page");
        assert!(page.contains(&format!("{pixels}x{pixels} pixels")));

        let robot = work.robot(side);
        succeeded(&work.export(&run, &robot, &bundle));
        let loaded = Bundle::load(&work.path(&bundle)).expect("loads");
        assert_eq!(
            loaded.manifest().image,
            format!("rgb8-{pixels}x{pixels}-5bit-centre")
        );
        assert_eq!(loaded.image_side(), Some(pixels));
        assert!(loaded.parity_error() < 1e-4, "{}", loaded.parity_error());
        same_bits(&loaded, pixels);

        let planner = PolicyChoice::Planner { noise: 0.3 };
        let path = work.path(&bundle);
        let session = simulation::session(&robot, Some(&path), planner, None).expect("they fit");
        let log = work.path(&format!("planned-{pixels}.mcap"));
        let outcomes = session
            .run_simulated(&[9], 8, 1, &|_| log.clone(), &|_| {})
            .expect("runs");
        assert_eq!(outcomes[0].ticks, 8);
        let recorded = episode::read_episode(&log).expect("whole");
        assert_eq!(recorded.frame_side(), Some(pixels));
        assert!(recorded.ticks.iter().all(|tick| !tick.filter.prior_only));
        assert_eq!(
            replay::replay(&log, Some(&path), replay::Computed::default()).expect("is the same"),
            8
        );
        // What it believes can be looked at.
        assert!(
            !armillary::picture::panels(&log, &recorded, &loaded)
                .expect("draws")
                .is_empty()
        );
    }
}

/// The encoder gives the same bits with all instructions, and the decoder draws a picture of its side.
fn same_bits(bundle: &Bundle, pixels: usize) {
    let mut stream = Stream::new(4, pixels as u64);
    let mut frame = Frame::new(pixels);
    frame.rgb_mut().fill_with(|| stream.next_u32() as u8);
    let embeddings: Vec<Vec<u32>> = INSTRUCTIONS
        .into_iter()
        .filter(|instructions| *instructions != Instructions::Bf16 && instructions.supported())
        .map(|instructions| {
            let mut embedding = vec![0.0; bundle.image_embedding()];
            let mut encoder = bundle.encoder_with(instructions).expect("supported");
            encoder.encode(&frame, &mut embedding);
            embedding.iter().map(|number| number.to_bits()).collect()
        })
        .collect();
    assert!(embeddings[0].iter().any(|bits| *bits != 0));
    assert!(
        embeddings.iter().all(|other| *other == embeddings[0]),
        "at {pixels}"
    );
    let decoder = bundle.decoder().expect("a graph").expect("was exported");
    let mut drawn = Frame::new(pixels);
    decoder
        .decode(&Belief::initial(&bundle.dimensions()), &mut drawn)
        .expect("draws");
}

#[test]
fn what_does_not_fit_the_side_of_a_model_is_refused_with_both_sides() {
    let work = Work::new();
    let runs = work.runs(Side::Of96);
    succeeded(&work.train(&runs, "model", "2"));
    let checkpoint = work.path("model").join("checkpoint.safetensors");
    let before = std::fs::read(&checkpoint).expect("a checkpoint");
    // Going on with logs of another side.
    let other = work.runs(Side::Of128);
    refused(
        &work.train(&other, "model", "4"),
        &[
            "checkpoint.safetensors",
            "96x96",
            "128x128",
            "`capture.side`",
            "--out",
        ],
    );
    assert!(std::fs::read(&checkpoint).expect("is there") == before);
    // A bundle for a robot whose pictures have another side.
    let robot = work.robot(Side::Of64);
    let refusal = work.export("model", &robot, "bundle");
    refused(
        &refusal,
        &[
            "96x96",
            "`capture.side` of robot `sim-planar` is 64",
            "`side: 96`",
        ],
    );
    // The folder that the bundle would have been made in is nobody's to look for.
    assert!(!said(&refusal).contains("manifest.ron"), "{}", said(&refusal));
    assert!(!work.path("bundle").exists());
    succeeded(&work.train(&runs, "model", "4"));
}
