//! Cells, losses and gradients against a small numpy reference (`reference/reference.py`), in all three designs, with
//! all observations and at all sides of pictures.

use std::collections::HashMap;
use std::path::Path;

use tch::{Kind, Tensor, no_grad};
use trainer::loss::{Batch, Terms, loss};
use trainer::model::{Filtered, WorldModel};
use trainer::noise::Noise;
use trainer::preset::{Design, LossSwitches, ModelSizes};
use trainer::side::Side;
use world_model::Observation;

/// Relative to the larger of 1 and the expected value: single against double precision.
const TOLERANCE: f64 = 1e-4;

/// Of a derivative of a sum of thousands of squares.
const SLOPE_TOLERANCE: f64 = 2e-3;

const DESIGNS: [(&str, Design); 3] = [("rssm", Design::Rssm), ("ssm", Design::Ssm), ("rnn", Design::Rnn)];

struct Reference {
    arrays: HashMap<String, Tensor>,
    side: Side,
    /// Name of its pictures.
    frames: String,
}

impl Reference {
    fn load() -> Self {
        Self::read("reference.npz", Side::Of64, "frames".to_owned())
    }

    /// That of models of larger pictures.
    fn of_side(side: Side) -> Self {
        Self::read("sides.npz", side, format!("frames_{}", side.pixels()))
    }

    fn read(file: &str, side: Side, frames: String) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference")
            .join(file);
        let arrays = Tensor::read_npz(path).expect("numpy's file");
        Self {
            arrays: arrays.into_iter().collect(),
            side,
            frames,
        }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.arrays.get(name).unwrap_or_else(|| panic!("no `{name}`"))
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.arrays.get(name).map(|tensor| tensor.double_value(&[]))
    }

    fn batch(&self, observation: Observation) -> Batch {
        let action = self.get("action");
        Batch {
            frames: self.get(&self.frames).shallow_clone(),
            action: action.shallow_clone(),
            joints: if observation.joints() {
                self.get("joints").shallow_clone()
            } else {
                action.narrow(-1, 0, 0)
            },
            reward: self.get("reward").shallow_clone(),
            rewarded: None,
        }
    }

    /// The noise of a loss in the order in which it is drawn: bins' centres, a step of the filter after the other, a
    /// distance of overshooting after the other.
    fn noise(&self, design: Design, observation: Observation, distance: i64) -> Noise {
        let frames = self.get(&self.frames);
        let length = frames.size()[0];
        let centre = frames.flatten(0, 1).zeros_like().to_kind(Kind::Float) + 0.5;
        let mut list = Vec::new();
        if observation.pixels() {
            list.push(centre);
        }
        // Without samples there is nothing to draw.
        if design != Design::Rnn {
            list.extend((0..length).map(|t| self.get("noise").get(t)));
            let open = self.get("open_noise");
            list.extend((1..=distance).map(|d| open.select(1, d).narrow(0, 0, length - d).flatten(0, 1)));
        }
        Noise::Given(list.into())
    }

    /// A model of `design` with the reference's weights.
    fn model(&self, name: &str, design: Design, observation: Observation) -> WorldModel {
        let sizes = ModelSizes {
            observation,
            image_bits: 5,
            design,
            depth: 1,
            belief: 5,
            stochastic: 4,
            hidden: 6,
            reward_layers: 1,
            reward_units: 6,
            min_std: 0.1,
        };
        let model = WorldModel::new(&sizes, self.side, 2, 0, tch::Device::Cpu);
        for (parameter, tensor) in model.params.entries() {
            let given = self.get(&format!("{name}.{parameter}"));
            assert_eq!(tensor.size(), given.size(), "{parameter}");
            no_grad(|| tensor.shallow_clone().copy_(given));
        }
        model
    }
}

/// The switches of the reference's cases; overshooting from every start.
fn cases() -> Vec<(&'static str, LossSwitches)> {
    let plain: LossSwitches = ron::from_str(
        "(free_nats: 0.0, reward_scale: 10.0, overshooting_distance: 0, overshooting_starts: 0, overshooting_scale: 0.7, \
         overshooting_reward_scale: 0.9, overshooting_image_scale: 0.3, overshooting_stop_posterior_gradient: false, \
         decoded_frames: 0)",
    )
    .expect("switches");
    let with = |edit: &dyn Fn(&mut LossSwitches)| {
        let mut switches = plain.clone();
        edit(&mut switches);
        switches
    };
    vec![
        ("plain", plain.clone()),
        (
            "heads",
            with(&|s| (s.image_scale, s.reward_scale) = (0.01, 100.0)),
        ),
        (
            "free",
            with(&|s| (s.free_nats, s.reward_scale, s.image_scale, s.kl_scale) = (4.0, 3.0, 0.01, 2.0)),
        ),
        ("global", with(&|s| (s.free_nats, s.global_kl_scale) = (0.5, 0.2))),
        ("over_1", with(&|s| s.overshooting_distance = 1)),
        (
            "over_3",
            with(&|s| (s.free_nats, s.overshooting_distance) = (1.5, 3)),
        ),
        (
            "balanced",
            with(&|s| (s.kl_balance, s.image_scale, s.kl_scale) = (Some(0.8), 0.001, 3.0)),
        ),
        (
            "stopped",
            with(&|s| {
                (s.image_scale, s.overshooting_distance) = (0.001, 2);
                s.overshooting_stop_posterior_gradient = true;
            }),
        ),
        (
            "over_5",
            with(&|s| (s.image_scale, s.overshooting_distance) = (0.01, 5)),
        ),
        (
            "beta_1",
            with(&|s| {
                (s.image_scale, s.overshooting_distance) = (0.001, 3);
                (s.overshooting_beta_1, s.overshooting_scale) = (0.25, 4.0);
            }),
        ),
    ]
}

/// Those of models that see the joints.
fn joint_cases() -> Vec<(&'static str, LossSwitches)> {
    let (_, plain) = cases().swap_remove(0);
    let with = |edit: &dyn Fn(&mut LossSwitches)| {
        let mut switches = plain.clone();
        switches.image_scale = 0.01;
        edit(&mut switches);
        switches
    };
    vec![
        ("plain", with(&|s| s.joints_scale = 2.0)),
        (
            "over_3",
            with(&|s| {
                (s.free_nats, s.overshooting_distance) = (1.5, 3);
                (s.joints_scale, s.overshooting_joints_scale) = (5.0, 0.6);
            }),
        ),
    ]
}

fn assert_close(found: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let allowed = expected.abs().clamp_min(1.0) * TOLERANCE;
    let worst = ((found.to_kind(Kind::Double) - expected).abs() / allowed)
        .max()
        .double_value(&[]);
    assert!(worst < 1.0, "{what}: {worst} times the tolerance");
}

/// A model, its name in the reference, its design and what it observes.
fn models() -> Vec<(&'static str, Design, Observation)> {
    let designs = DESIGNS.map(|(name, design)| (name, design, Observation::Pixels));
    let observations = [
        ("joints", Observation::Joints),
        ("both", Observation::PixelsAndJoints),
    ];
    designs
        .into_iter()
        .chain(observations.map(|(name, observation)| (name, Design::Rssm, observation)))
        .collect()
}

/// What the filter makes of `batch` with the given noise.
fn filtered(model: &WorldModel, batch: &Batch, noise: &mut Noise) -> Filtered {
    no_grad(|| {
        let frames = if model.sizes.observation.pixels() {
            trainer::loss::dequantise(&batch.frames.flatten(0, 1), 5, noise)
        } else {
            Tensor::new()
        };
        let embedding = model
            .observe(&frames, &batch.joints.flatten(0, 1))
            .reshape([6, 2, -1]);
        model.filter(&embedding, &batch.action, noise)
    })
}

#[test]
fn cells_and_distributions() {
    let reference = Reference::load();
    for (name, design, observation) in models() {
        let model = reference.model(name, design, observation);
        let mut noise = reference.noise(design, observation, 0);
        let filtered = filtered(&model, &reference.batch(observation), &mut noise);
        for (part, found) in [
            ("h", &filtered.latent.h),
            ("s", &filtered.latent.s),
            ("posterior.mean", &filtered.posterior.mean),
            ("posterior.std", &filtered.posterior.std),
            ("prior.mean", &filtered.prior.mean),
            ("prior.std", &filtered.prior.std),
        ] {
            assert_close(
                found,
                reference.get(&format!("{name}.{part}")),
                &format!("{name} {part}"),
            );
        }
    }
}

/// Compares all terms that the reference has; those it has not must be 0.
fn assert_terms(reference: &Reference, terms: &Terms, of: &str, but: &[&str]) {
    let mut compared = 0;
    for (term, found) in terms.scalars() {
        if but.contains(&term) {
            continue;
        }
        let Some(expected) = reference.number(&format!("{of}.{term}")) else {
            assert_eq!(found, 0.0, "{of}: {term} is off");
            continue;
        };
        assert!(
            (found - expected).abs() < TOLERANCE * expected.abs().max(1.0),
            "{of}: {term} is {found}, by numpy {expected}"
        );
        compared += 1;
    }
    assert!(compared + but.len() >= 4, "{of}: {compared} terms");
}

#[test]
fn every_term_of_the_loss_and_its_gradient() {
    let reference = Reference::load();
    for (name, design, observation) in models() {
        let model = reference.model(name, design, observation);
        let cases = if observation.joints() {
            joint_cases()
        } else {
            cases()
        };
        for (case, switches) in cases {
            assert_case(&reference, &model, name, case, &switches);
        }
    }
}

/// The terms of a loss, and its derivative along a direction in the space of all weights.
fn assert_case(reference: &Reference, model: &WorldModel, name: &str, case: &str, switches: &LossSwitches) {
    let (design, observation) = (model.sizes.design, model.sizes.observation);
    for (_, parameter) in model.params.entries() {
        parameter.shallow_clone().zero_grad();
    }
    let mut noise = reference.noise(design, observation, switches.overshooting_distance);
    let terms = loss(model, switches, &reference.batch(observation), &mut noise);
    assert_terms(reference, &terms, &format!("{name}.{case}"), &[]);

    terms.total.backward();
    let slope: f64 = model
        .params
        .entries()
        .iter()
        .map(|(parameter, tensor)| {
            let direction = reference.get(&format!("{name}.direction.{parameter}"));
            let gradient = tensor.grad();
            if gradient.defined() {
                (gradient * direction).sum(Kind::Double).double_value(&[])
            } else {
                0.0
            }
        })
        .sum();
    let expected = reference
        .number(&format!("{name}.{case}.slope"))
        .expect("a slope");
    assert!(
        (slope - expected).abs() < SLOPE_TOLERANCE * expected.abs().max(1.0),
        "{name}, {case}: slope {slope}, by finite differences {expected}"
    );
}

#[test]
fn models_of_larger_pictures() {
    for side in [Side::Of96, Side::Of128] {
        let reference = Reference::of_side(side);
        let (design, observation) = (Design::Rssm, Observation::Pixels);
        let name = format!("side_{}", side.pixels());
        let model = reference.model(&name, design, observation);
        let first = reference.get(&reference.frames).get(0);
        let embedding = no_grad(|| model.encode(&trainer::loss::bin_centre(&first, 5)));
        assert_close(&embedding, reference.get(&format!("{name}.embedding")), &name);
        let found = filtered(
            &model,
            &reference.batch(observation),
            &mut reference.noise(design, observation, 0),
        );
        assert_close(&found.latent.s, reference.get(&format!("{name}.s")), &name);
        let of_side = |(case, _): &(&str, LossSwitches)| ["plain", "over_1"].contains(case);
        for (case, switches) in cases().into_iter().filter(of_side) {
            assert_case(&reference, &model, &name, case, &switches);
        }
    }
}

/// A robot with one joint less than the largest of those the agent learns on: what is padded with zeros counts for nothing,
/// and its bundle, which leaves that out, computes the same.
#[test]
fn padded_actions_and_joints_are_not_there() {
    let reference = Reference::load();
    let observation = Observation::PixelsAndJoints;
    let whole = reference.model("padded", Design::Rssm, observation);
    let mut padded = reference.batch(observation);
    let mut own = reference.batch(observation);
    (own.action, own.joints) = (own.action.narrow(-1, 0, 1), own.joints.narrow(-1, 0, 2));
    padded.action = own.action.constant_pad_nd([0, 1]);
    padded.joints = own.joints.constant_pad_nd([0, 2]);
    let alone = whole.for_robot(1);
    for (case, switches) in joint_cases() {
        let noise = || reference.noise(Design::Rssm, observation, switches.overshooting_distance);
        for (model, batch) in [(&whole, &padded), (&alone, &own)] {
            let s = filtered(model, batch, &mut noise()).latent.s;
            assert_close(&s, reference.get("padded.s"), "padded");
        }
        let of = format!("padded.{case}");
        let terms = loss(&alone, &switches, &own, &mut noise());
        assert_terms(&reference, &terms, &of, &[]);
        // In training the joints that are not there are predicted, too: at zero.
        let terms = loss(&whole, &switches, &padded, &mut noise());
        assert_terms(&reference, &terms, &of, &["loss", "joints", "open_loop_joints"]);
    }
}

#[test]
fn a_head_without_gradient_teaches_itself_alone() {
    let reference = Reference::load();
    let observation = Observation::PixelsAndJoints;
    let model = reference.model("both", Design::Rssm, observation);
    let (_, mut switches) = cases().swap_remove(0);
    switches.kl_scale = 0.0;
    let heads = [("image", "decoder"), ("joints", "joints"), ("reward", "reward")];
    for (silent, own) in heads {
        let others = heads.iter().filter(|(head, _)| *head != silent);
        let others: Vec<&str> = others.map(|(head, _)| *head).collect();
        switches.gradient_heads = ron::from_str(&format!("[{}]", others.join(", "))).expect("heads");
        // Its loss alone.
        let scale = |head: &str| f64::from(u8::from(head == silent));
        (switches.image_scale, switches.joints_scale) = (scale("image"), scale("joints"));
        switches.reward_scale = scale("reward");
        for (_, parameter) in model.params.entries() {
            parameter.shallow_clone().zero_grad();
        }
        let mut noise = reference.noise(Design::Rssm, observation, 0);
        loss(&model, &switches, &reference.batch(observation), &mut noise)
            .total
            .backward();
        let taught = |prefix: &str| {
            model
                .params
                .entries()
                .iter()
                .filter(|(name, tensor)| name.starts_with(prefix) && tensor.grad().defined())
                .map(|(_, tensor)| tensor.grad().abs().sum(Kind::Double).double_value(&[]))
                .sum::<f64>()
        };
        assert!(taught(own) > 0.0, "{own} learns");
        for shared in ["encoder", "gru", "input", "posterior"] {
            assert_eq!(taught(shared), 0.0, "{silent} reaches {shared}");
        }
    }
}

#[test]
fn images_of_any_number_of_bits() {
    let reference = Reference::load();
    let pixels = Tensor::arange(256, (Kind::Uint8, tch::Device::Cpu));
    for bits in [3, 5, 8] {
        let expected = reference.get(&format!("image_bits_{bits}"));
        assert_close(
            &trainer::loss::bin_centre(&pixels, bits),
            expected,
            &format!("{bits} bits"),
        );
    }
}
