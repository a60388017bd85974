//! The controller with a model that sees the joints: what it decided in an episode, a replay decides again.

use armillary::simulation::{self, Simulated as _};
use std::path::Path;

use armillary::picture;
use controller::session::PolicyChoice;
use controller::{beliefs, replay};
use robot::Config;
use trainer::checkpoint::{Provenance, RobotOfLogs, TaskOfLogs};
use trainer::export::export;
use trainer::learner::Learner;
use trainer::side::Side;
use world_model::{Bundle, JointScale, Observation};

use super::small;

const ROBOT: &str = include_str!("../../../configs/sim-planar.ron");

/// A bundle that nobody trained, which sees `observation`.
fn bundle(out: &Path, observation: Observation) {
    let config = Config::parse(Path::new("robot.ron"), ROBOT.to_owned()).expect("robot file");
    let mut preset = small();
    preset.model.observation = observation;
    let learner = Learner::new(preset, Side::default(), 2, 9, tch::Device::Cpu);
    let scale = JointScale {
        position_mean_rad: 0.1,
        position_std_rad: 0.7,
        velocity_mean_rad_s: 0.0,
        velocity_std_rad_s: 0.3,
    };
    let task = TaskOfLogs {
        robot: RobotOfLogs {
            name: config.name.clone(),
            task: "reach-planar".to_owned(),
            joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
            period_s: config.period_s,
            joint_calibration_sha256: Some(calibration::JointMapping::of(&config).sha256()),
            picture_sha256: None,
        },
        joint_scales: vec![scale; 2],
    };
    let provenance = Provenance::of(&learner, &[task], "none", 0);
    export(&learner.model, &provenance, &config, true, None, out).expect("exports");
}

#[test]
fn an_episode_of_a_model_that_sees_joints_is_replayed_bit_for_bit() {
    for observation in [Observation::Joints, Observation::PixelsAndJoints] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (model, log, robot) = (
            dir.path().join("bundle"),
            dir.path().join("episode.mcap"),
            dir.path().join("robot.ron"),
        );
        std::fs::write(&robot, ROBOT).expect("writes");
        bundle(&model, observation);
        let policy = PolicyChoice::Planner { noise: 0.3 };
        let session = simulation::session(&robot, Some(&model), policy, None).expect("fits");
        let outcomes = session
            .run_simulated(&[3], 12, 1, &|_| log.clone(), &|_| {})
            .expect("runs");
        assert_eq!(outcomes[0].ticks, 12);
        let recorded = episode::read_episode(&log).expect("whole");
        // The filter took every observation.
        assert!(recorded.ticks.iter().all(|tick| !tick.filter.prior_only));
        let found = replay::replay(&log, Some(&model), replay::Computed::default()).expect("is the same");
        assert_eq!(found, 12);
        let loaded = Bundle::load(&model).expect("loads");
        let situations = beliefs::of_log(&log, &loaded).expect("believes");
        assert_eq!(situations.len(), recorded.ticks.len());
        let panels = picture::panels(&log, &recorded, &loaded).expect("draws");
        assert_eq!(panels.is_empty(), !observation.pixels());

        // With other joints in the log than the model saw, it decides otherwise.
        let other = dir.path().join("other.mcap");
        let attachments: Vec<_> = recorded
            .attachments
            .iter()
            .map(|(name, bytes)| (name.as_str(), "text/plain", bytes.as_slice()))
            .collect();
        let mut writer = episode::EpisodeWriter::create(&other, &recorded.info, &attachments).expect("log");
        for (row, frame) in recorded.ticks.iter().zip(&recorded.frames) {
            let mut row = row.clone();
            if row.tick == 4 {
                row.capture.velocity_rad_s[1] += 1.0;
            }
            writer
                .write_tick(&row, frame.as_ref(), row.edge_ns)
                .expect("writes");
        }
        writer.finish().expect("finishes");
        match replay::replay(&other, Some(&model), replay::Computed::default()) {
            Err(replay::ReplayError::Differs { tick, .. }) => assert!(tick >= 4, "{tick}"),
            other => panic!("{observation:?}: {other:?}"),
        }
    }
}
