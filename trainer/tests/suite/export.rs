//! Exported bundles compute LibTorch's numbers in every run-time back end.

use std::path::Path;

use robot::{Config, Frame, JointState};
use tch::{Tensor, no_grad};
use trainer::checkpoint::{Provenance, RobotOfLogs, TaskOfLogs};
use trainer::export::{ExportError, export};
use trainer::learner::Learner;
use trainer::loss::bin_centre;
use trainer::model::Latent;
use trainer::preset::{Design, Precision};
use trainer::side::Side;
use world_model::kernel::INSTRUCTIONS;
use world_model::{Belief, Bundle, JointScale, NoiseKey, Observation, Rollout};

use super::small;

const DESIGNS: [Design; 3] = [Design::Rssm, Design::Ssm, Design::Rnn];

const ROBOT: &str = include_str!("../../../configs/sim-planar.ron");

const ARM: &str = include_str!("../../../configs/sim-arm.ron");

fn config(text: &str) -> Config {
    Config::parse(Path::new("robot.ron"), text.to_owned()).expect("robot file")
}

/// What logs of `config`'s robot would have said.
fn logs_of(config: &Config) -> TaskOfLogs {
    let joints = config.envelope.joints();
    TaskOfLogs {
        robot: RobotOfLogs {
            name: config.name.clone(),
            task: config.simulator.as_ref().expect("simulated").task.clone(),
            joint_names: joints.iter().map(|joint| joint.name.clone()).collect(),
            period_s: config.period_s,
            joint_calibration_sha256: Some(calibration::JointMapping::of(config).sha256()),
            picture_sha256: None,
        },
        joint_scales: Vec::new(),
    }
}

/// As if joint `index` had been about so far out, so fast.
fn scale(index: usize) -> JointScale {
    JointScale {
        position_mean_rad: 0.3 * index as f32 - 0.2,
        position_std_rad: 0.5 + index as f32,
        velocity_mean_rad_s: 0.1,
        velocity_std_rad_s: 0.25,
    }
}

fn exported(out: &Path, design: Design) -> (Learner, f32) {
    let config = config(ROBOT);
    let mut preset = small();
    preset.model.design = design;
    let learner = Learner::new(preset, Side::default(), 2, 9, tch::Device::Cpu);
    let provenance = Provenance::of(&learner, &[logs_of(&config)], "none", 0);
    let error = export(&learner.model, &provenance, &config, true, None, out).expect("exports");
    (learner, error)
}

#[test]
fn what_was_trained_in_16_bits_runs_in_32() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config(ROBOT);
    let mut preset = small();
    preset.optimiser.convolutions = Precision::Bf16;
    let learner = Learner::new(preset, Side::default(), 2, 9, tch::Device::Cpu);
    let provenance = Provenance::of(&learner, &[logs_of(&config)], "none", 0);
    let out = dir.path().join("bundle");
    let error = export(&learner.model, &provenance, &config, true, None, &out).expect("exports");
    assert!(error < 1e-4, "{error}");
}

/// The way from a camera's bytes to an embedding is checked when a bundle is loaded, with LibTorch's own numbers.
#[test]
fn an_exported_bundle_checks_what_is_seen_of_a_picture_and_is_sealed() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let out = dir.path().join("bundle");
    exported(&out, Design::Rssm);
    let bundle = Bundle::load(&out).expect("loads");
    assert!(bundle.is_sealed());
    let parity = out.join(world_model::bundle::PARITY);
    let pictures = world_model::parity::pictures(&parity, &std::fs::read(&parity).expect("reads"));
    let pictures = pictures.expect("sound").expect("there are pictures");
    assert_eq!(pictures.shape, [4, 64, 64, 3]);
    let manifest = out.join(world_model::bundle::MANIFEST);
    let text = std::fs::read_to_string(&manifest).expect("reads");
    // Another number of bits, in both places that name it.
    let other = text
        .replacen("64x64-5bit", "64x64-4bit", 1)
        .replacen("image_bits:5", "image_bits:4", 1);
    assert_ne!(other, text);
    std::fs::write(&manifest, other).expect("writes");
    let list = out.join(world_model::sums::SUMS);
    std::fs::remove_file(&list).expect("removes");
    let problem = Bundle::load(&out).expect_err("sees something else").to_string();
    assert!(
        problem.contains("64x64-4bit") && problem.contains("LibTorch"),
        "{problem}"
    );
    // It may be exported again over itself only as long as all of it is what was exported.
    std::fs::write(&manifest, text).expect("writes");
    std::fs::write(&list, "my own list").expect("writes");
    let config = config(ROBOT);
    let learner = Learner::new(small(), Side::default(), 2, 9, tch::Device::Cpu);
    let provenance = Provenance::of(&learner, &[logs_of(&config)], "none", 0);
    let again = || export(&learner.model, &provenance, &config, true, None, &out);
    let problem = again().expect_err("not ours").to_string();
    assert!(problem.contains("SHA256SUMS"), "{problem}");
    std::fs::write(&list, bundle.sums()).expect("writes");
    again().expect("over its own bundle");
    assert!(Bundle::load(&out).expect("loads").is_sealed());
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
        // The fused kernels against the reference, to the last bit (16-bit ones within their tolerance).
        for instructions in INSTRUCTIONS {
            if instructions.supported() {
                bundle.kernel_rollout(instructions).expect("imagines the same");
            }
        }
    }
    let occupied = dir.path().join("thesis");
    std::fs::create_dir_all(&occupied).expect("folder");
    std::fs::write(occupied.join("chapter-1.txt"), "precious").expect("writes");
    let config = config(ROBOT);
    let learner = Learner::new(small(), Side::default(), 2, 9, tch::Device::Cpu);
    let provenance = Provenance::of(&learner, &[logs_of(&config)], "none", 0);
    let refused = export(&learner.model, &provenance, &config, true, None, &occupied);
    assert!(matches!(refused, Err(ExportError::Occupied { .. })));
    assert!(occupied.join("chapter-1.txt").exists());

    // Nor is a bundle replaced that somebody has put something of his own into, or changed.
    let bundle = dir.path().join("bundle");
    for (name, contents) in [("notes.txt", "precious"), ("reward.onnx", "a graph of my own")] {
        let path = bundle.join(name);
        let before = std::fs::read(&path).ok();
        std::fs::write(&path, contents).expect("writes");
        let refused = export(&learner.model, &provenance, &config, true, None, &bundle);
        assert!(matches!(&refused, Err(ExportError::Output(_))), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&path).expect("is there"), contents);
        match before {
            Some(bytes) => std::fs::write(&path, bytes).expect("puts it back"),
            None => std::fs::remove_file(&path).expect("removes"),
        }
    }
    export(&learner.model, &provenance, &config, true, None, &bundle).expect("exports");
    // Nothing unfinished is left beside them.
    assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 2);
}

#[test]
fn another_robot_than_the_logs_is_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let faster = ROBOT.replacen("velocity_max_rad_s: 0.", "velocity_max_rad_s: 1.", 1);
    assert_ne!(faster, ROBOT);
    let [recorded, other] = [ROBOT, &faster].map(config);
    let learner = Learner::new(small(), Side::default(), 2, 9, tch::Device::Cpu);
    let provenance = Provenance::of(&learner, &[logs_of(&recorded)], "none", 0);
    let out = dir.path().join("bundle");
    let refused = export(&learner.model, &provenance, &other, true, None, &out);
    assert!(
        matches!(refused, Err(ExportError::Calibration { .. })),
        "{refused:?}"
    );
    assert!(!out.exists());
}

/// Whatever the model observes, the controller's observer, encoder and filter give the trainer's belief.
#[test]
fn bundles_observe_what_their_model_observes() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config(ROBOT);
    for observation in [
        Observation::Pixels,
        Observation::Joints,
        Observation::PixelsAndJoints,
    ] {
        let mut preset = small();
        preset.model.observation = observation;
        let learner = Learner::new(preset, Side::default(), 2, 9, tch::Device::Cpu);
        let mut task = logs_of(&config);
        if observation.joints() {
            task.joint_scales = (0..2).map(scale).collect();
        }
        let provenance = Provenance::of(&learner, &[task], "none", 0);
        let out = dir.path().join(format!("{observation:?}"));
        export(&learner.model, &provenance, &config, true, None, &out).expect("exports");
        let bundle = Bundle::load(&out).expect("loads");
        assert_eq!(bundle.manifest().observation, observation);
        assert_eq!(
            bundle.decoder().expect("a graph").is_some(),
            observation.pixels(),
            "there is nothing to draw without pictures"
        );

        let mut stream = robot::philox::Stream::new(4, 4);
        let mut frame = Frame::default();
        for byte in frame.rgb_mut() {
            *byte = stream.below(256) as u8;
        }
        let joints = JointState {
            position_rad: [0.4, -1.2].into_iter().collect(),
            velocity_rad_s: [0.2, -0.3].into_iter().collect(),
        };
        let action = [0.5, -0.25];
        let mut embedding = vec![0.0; bundle.image_embedding()];
        bundle
            .encoder()
            .expect("an encoder")
            .encode(&frame, &mut embedding);
        let mut observer = bundle.observer();
        let observed = observer.observe(&embedding, Some(&joints)).expect("sound joints");
        let mut belief = Belief::initial(&bundle.dimensions());
        bundle
            .filter()
            .expect("a filter")
            .posterior(&mut belief, &action, observed);

        let expected = no_grad(|| {
            let model = &learner.model;
            let frames = Tensor::from_data_size(frame.rgb(), &[1, 64, 64, 3], tch::Kind::Uint8);
            let image = bin_centre(&frames.permute([0, 3, 1, 2]), 5);
            let [first, second] = [scale(0).standardise(0.4, 0.2), scale(1).standardise(-1.2, -0.3)];
            let joints = Tensor::from_slice(&[first, second].concat()).unsqueeze(0);
            let h = model.recur(&model.initial(1), &Tensor::from_slice(&action).unsqueeze(0));
            model.posterior(&h, &model.observe(&image, &joints)).mean
        });
        for (index, found) in belief.s.iter().enumerate() {
            let expected = expected.double_value(&[0, index as i64]) as f32;
            assert!(
                (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
                "{observation:?}, {index}: {found} {expected}"
            );
        }
        // A joint without a number is no observation to a model that sees joints.
        let lost = JointState {
            velocity_rad_s: [f32::NAN, 0.0].into_iter().collect(),
            ..joints
        };
        for lost in [Some(&lost), None] {
            assert_eq!(observer.observe(&embedding, lost).is_none(), observation.joints());
        }
        if observation.joints() {
            let manifest = out.join(world_model::bundle::MANIFEST);
            let text = std::fs::read_to_string(&manifest).expect("reads");
            let broken = text.replacen("position_std_rad: 0.5", "position_std_rad: 0.0", 1);
            assert_ne!(broken, text);
            std::fs::write(&manifest, broken).expect("writes");
            // As in bundles of before: the list of hashes would be what refuses it.
            std::fs::remove_file(out.join(world_model::sums::SUMS)).expect("an export has one");
            let problem = Bundle::load(&out).expect_err("cannot be divided by").to_string();
            assert!(problem.contains("joint_scales"), "{problem}");
        }
    }
}

/// One agent that learned two robots gives a bundle for each, and none for a third.
#[test]
fn an_agent_with_several_tasks_is_exported_for_each() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let [planar, arm] = [ROBOT, ARM].map(config);
    let mut preset = small();
    preset.model.observation = Observation::PixelsAndJoints;
    let learner = Learner::new(preset, Side::default(), 3, 9, tch::Device::Cpu);
    let tasks = [&planar, &arm].map(|config| TaskOfLogs {
        // The planar arm's are another robot's than the other's.
        joint_scales: (0..config.joint_count())
            .map(|joint| scale(joint + 3 * config.joint_count()))
            .collect(),
        ..logs_of(config)
    });
    let provenance = Provenance::of(&learner, &tasks, "none", 0);
    for config in [&planar, &arm] {
        let out = dir.path().join(&config.name);
        export(&learner.model, &provenance, config, true, None, &out).expect("exports");
        let bundle = Bundle::load(&out).expect("loads");
        bundle.check_robot(config).expect("is its own");
        assert_eq!(bundle.dimensions().action, config.joint_count());
        let own = tasks.iter().find(|task| task.robot.name == config.name);
        assert_eq!(
            bundle.manifest().joint_scales,
            own.expect("its logs").joint_scales
        );
        assert_eq!(bundle.manifest().task, own.expect("its logs").robot.task);
    }
    let other = config(&ROBOT.replacen("sim-planar", "another", 1));
    let refused = export(
        &learner.model,
        &provenance,
        &other,
        true,
        None,
        &dir.path().join("no"),
    );
    let problem = refused.expect_err("was not among the logs").to_string();
    assert!(
        problem.contains("another") && problem.contains("`sim-planar` at `reach-planar`"),
        "{problem}"
    );
}

/// One robot at two tasks: its file alone does not say which.
#[test]
fn the_task_of_a_bundle_can_be_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config(&ROBOT.replacen("simulator: (task: \"reach-planar\", substeps: 5),", "", 1));
    assert!(config.simulator.is_none());
    let learner = Learner::new(small(), Side::default(), 2, 9, tch::Device::Cpu);
    let tasks = ["pick", "place"].map(|name| {
        let mut task = logs_of(&self::config(ROBOT));
        task.robot.task = name.to_owned();
        task
    });
    let provenance = Provenance::of(&learner, &tasks, "none", 0);
    let out = dir.path().join("bundle");
    let export = |task| export(&learner.model, &provenance, &config, false, task, &out);
    let problem = export(None).expect_err("two fit").to_string();
    assert!(
        problem.contains("`pick`, `place`") && problem.contains("--task"),
        "{problem}"
    );
    assert!(matches!(
        export(Some("throw")),
        Err(ExportError::UnknownRobot { .. })
    ));
    export(Some("place")).expect("exports");
    assert_eq!(Bundle::load(&out).expect("loads").manifest().task, "place");
}

/// A state so uncertain that e to the power of it is no number in single precision.
#[test]
fn large_deviations_are_computed_by_every_back_end() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config(ROBOT);
    let learner = Learner::new(small(), Side::default(), 2, 9, tch::Device::Cpu);
    for layers in [&learner.model.prior[..], &learner.model.posterior[..]] {
        no_grad(|| {
            let mut bias = layers[1].bias.narrow(0, 0, 1).detach();
            let _ = bias.fill_(3.0);
            let last = layers[1].bias.size()[0] - 1;
            let mut bias = layers[1].bias.narrow(0, last, 1).detach();
            let _ = bias.fill_(120.0);
        });
    }
    let provenance = Provenance::of(&learner, &[logs_of(&config)], "none", 0);
    let error = export(
        &learner.model,
        &provenance,
        &config,
        true,
        None,
        &dir.path().join("bundle"),
    )
    .expect("exports");
    assert!(error < 1e-4, "{error}");
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
