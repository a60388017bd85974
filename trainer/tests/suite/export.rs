//! Exported bundles compute LibTorch's numbers in every run-time back end.

use std::path::Path;

use robot::Config;
use tch::{Tensor, no_grad};
use trainer::checkpoint::{Provenance, RobotOfLogs};
use trainer::export::{ExportError, export};
use trainer::learner::Learner;
use trainer::model::Latent;
use trainer::preset::Design;
use world_model::{Belief, Bundle, NoiseKey, Rollout};

use super::small;

const DESIGNS: [Design; 3] = [Design::Rssm, Design::Ssm, Design::Rnn];

const ROBOT: &str = include_str!("../../../configs/sim-planar.ron");

fn exported(out: &Path, design: Design) -> (Learner, f32) {
    let config = Config::parse(Path::new("robot.ron"), ROBOT.to_owned()).expect("robot file");
    let mut preset = small();
    preset.model.design = design;
    let learner = Learner::new(preset, 2, 9, tch::Device::Cpu);
    let robot = RobotOfLogs {
        name: config.name.clone(),
        task: "reach-planar".to_owned(),
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        period_s: config.period_s,
        joint_calibration_sha256: Some(calibration::JointMapping::of(&config).sha256()),
    };
    let provenance = Provenance::of(&learner, robot, "none", 0);
    let error = export(&learner.model, &provenance, &config, true, out).expect("exports");
    (learner, error)
}

#[test]
fn a_bundle_loads_and_agrees_to_1e_4() {
    let dir = tempfile::tempdir().expect("temporary folder");
    // Exporting over a bundle replaces it, over anything else refuses.
    for design in DESIGNS {
        let (_, error) = exported(&dir.path().join("bundle"), design);
        assert!(error < 1e-4, "{design:?}: {error}");
        let bundle = Bundle::load(&dir.path().join("bundle")).expect("loads");
        assert_eq!(bundle.manifest().sampled_latents, design != Design::Rnn);
    }
    let occupied = dir.path().join("thesis");
    std::fs::create_dir_all(&occupied).expect("folder");
    std::fs::write(occupied.join("chapter-1.txt"), "precious").expect("writes");
    let config = Config::parse(Path::new("robot.ron"), ROBOT.to_owned()).expect("robot file");
    let learner = Learner::new(small(), 2, 9, tch::Device::Cpu);
    let robot = RobotOfLogs {
        name: String::new(),
        task: String::new(),
        joint_names: vec![],
        period_s: 0.1,
        joint_calibration_sha256: None,
    };
    let provenance = Provenance::of(&learner, robot, "none", 0);
    let refused = export(&learner.model, &provenance, &config, true, &occupied);
    assert!(matches!(refused, Err(ExportError::Occupied { .. })));
    assert!(occupied.join("chapter-1.txt").exists());
}

#[test]
fn another_robot_than_the_logs_is_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let faster = ROBOT.replacen("velocity_max_rad_s: 0.", "velocity_max_rad_s: 1.", 1);
    assert_ne!(faster, ROBOT);
    let [recorded, other] = [ROBOT.to_owned(), faster]
        .map(|text| Config::parse(Path::new("robot.ron"), text).expect("robot file"));
    let learner = Learner::new(small(), 2, 9, tch::Device::Cpu);
    let robot = RobotOfLogs {
        name: recorded.name.clone(),
        task: "reach-planar".to_owned(),
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        period_s: recorded.period_s,
        joint_calibration_sha256: Some(calibration::JointMapping::of(&recorded).sha256()),
    };
    let provenance = Provenance::of(&learner, robot, "none", 0);
    let out = dir.path().join("bundle");
    let refused = export(&learner.model, &provenance, &other, true, &out);
    assert!(
        matches!(refused, Err(ExportError::Calibration { .. })),
        "{refused:?}"
    );
    assert!(!out.exists());
}

/// The reference rollout against the same recursion in LibTorch, following the prior's mean.
#[test]
fn scalar_rollouts_agree_with_libtorch() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for design in DESIGNS {
        let (learner, _) = exported(&dir.path().join("bundle"), design);
        agrees(&learner, &dir.path().join("bundle"));
    }
}

fn agrees(learner: &Learner, bundle: &Path) {
    let bundle = Bundle::load(bundle).expect("loads");
    let (candidates, horizon) = (37usize, 6usize);
    let mut stream = robot::philox::Stream::new(2, 2);
    let mut belief = Belief::initial(&bundle.dimensions());
    belief.h.fill_with(|| stream.normal().tanh());
    belief.s.fill_with(|| stream.normal());
    let actions: Vec<f32> = (0..candidates * horizon * 2)
        .map(|_| stream.range(-1.0, 1.0))
        .collect();
    let mut returns = vec![0.0; candidates];
    let key = NoiseKey {
        seed: 0,
        tick: 0,
        iteration: 0,
        sampled: false,
    };
    let mut rollout = bundle.scalar_rollout();
    rollout.begin(&belief);
    rollout
        .returns(&actions, horizon, key, 0, &mut returns)
        .expect("imagines");

    let expected = no_grad(|| {
        let model = &learner.model;
        let tile = |values: &[f32]| {
            Tensor::from_slice(values)
                .unsqueeze(0)
                .repeat([candidates as i64, 1])
        };
        let mut state = Latent {
            h: tile(&belief.h),
            s: tile(&belief.s),
        };
        let actions = Tensor::from_slice(&actions).view([candidates as i64, horizon as i64, 2]);
        let mut total = Tensor::zeros([candidates as i64], (tch::Kind::Float, tch::Device::Cpu));
        for step in 0..horizon as i64 {
            let h = model.recur(&state, &actions.select(1, step));
            state = Latent {
                s: model.prior(&h).mean,
                h,
            };
            total += model.reward(&model.features(&state));
        }
        total
    });
    for (index, found) in returns.iter().enumerate() {
        let expected = expected.double_value(&[index as i64]) as f32;
        assert!(
            (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
            "{index}: {found} {expected}"
        );
    }
}
