//! Terms of the loss against their definitions. In a process of their own: LibTorch's generator is the process's, and
//! the definition must draw what the loss drew.

use std::sync::{Mutex, MutexGuard, PoisonError};

use robot::Frame;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};
use trainer::adam::Adam;
use trainer::loss::{Batch, bin_centre, dequantise, loss};
use trainer::model::{Gaussian, WorldModel};
use trainer::noise::Noise;
use trainer::preset::Preset;
use trainer::side::Side;
use world_model::image::{ImageForm, to_planes};

fn small() -> Preset {
    ron::from_str(include_str!("small.ron")).expect("the test preset is valid")
}

/// Only one test at a time draws.
fn generator() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn images_are_reduced_to_their_bits() {
    let _drawing = generator();
    let pixels = Tensor::arange(256, (Kind::Uint8, Device::Cpu));
    for bits in 1..=8 {
        let (width, bins) = (1 << (8 - bits), f64::from(1 << bits));
        let centre = bin_centre(&pixels, bits);
        let noisy = dequantise(&pixels, bits, &mut Noise::Generator);
        let mut frame = Frame::default();
        frame
            .rgb_mut()
            .iter_mut()
            .zip(0u8..=255)
            .for_each(|(byte, x)| *byte = x);
        let bytes = frame.rgb().len();
        let mut planes = vec![0.0; bytes];
        to_planes(
            &frame,
            ImageForm::new(64, bits as u8).expect("1 to 8"),
            &mut planes,
        );
        for x in 0..256i64 {
            let low = (x / width) as f64 / bins - 0.5;
            let (centre, noisy) = (centre.double_value(&[x]), noisy.double_value(&[x]));
            assert!((centre - (low + 0.5 / bins)).abs() < 1e-6);
            assert!(
                noisy >= low - 1e-6 && noisy <= low + 1.0 / bins + 1e-6,
                "{x}: {noisy} from {low}"
            );
            // What the controller makes of the same pixel: channels come in planes.
            let plane = planes[(x % 3) as usize * bytes / 3 + (x / 3) as usize];
            assert_eq!(f64::from(plane), centre, "{x} in {bits} bits");
        }
    }
}

#[test]
fn kl_is_that_of_diagonal_gaussians() {
    let _drawing = generator();
    let gaussian = |mean: [f32; 2], std: [f32; 2]| Gaussian {
        mean: Tensor::from_slice(&mean),
        std: Tensor::from_slice(&std),
    };
    let (p, q) = (
        gaussian([0.3, -1.0], [0.5, 2.0]),
        gaussian([-0.2, 0.4], [1.5, 0.7]),
    );
    let expected: f64 = [(0.3, 0.5, -0.2, 1.5), (-1.0, 2.0, 0.4, 0.7)]
        .iter()
        .map(|(m, s, n, t): &(f64, f64, f64, f64)| {
            (t / s).ln() + (s * s + (m - n).powi(2)) / (2.0 * t * t) - 0.5
        })
        .sum();
    assert!((p.kl(&q).double_value(&[]) - expected).abs() < 1e-5);
    assert!(p.kl(&p).double_value(&[]).abs() < 1e-6);
}

#[test]
fn shapes_are_the_papers() {
    let _drawing = generator();
    for (side, layers) in [(Side::Of64, 4), (Side::Of96, 5), (Side::Of128, 5)] {
        let model = WorldModel::new(&small().model, side, 2, 0, Device::Cpu);
        let pixels = side.pixels() as i64;
        let image = Tensor::zeros([3, 3, pixels, pixels], (Kind::Float, Device::Cpu));
        assert_eq!(
            (model.encoder.len(), model.decoder.len()),
            (layers, layers + 1),
            "{side:?}"
        );
        let embedding = model.encode(&image);
        assert_eq!(embedding.size(), [3, 64], "{side:?}");
        let latent = model.initial(3);
        let drawn = model.decode(&model.features(&latent));
        assert_eq!(drawn.size(), image.size(), "{side:?}");
        assert_eq!(model.reward(&model.features(&latent)).size(), [3]);
    }
}

/// Weights are drawn in an order that training runs of before have drawn them in.
#[test]
fn a_seed_gives_the_weights_that_it_always_gave() {
    let _drawing = generator();
    let model = WorldModel::new(&small().model, Side::Of64, 2, 5, Device::Cpu);
    let mut hasher = Sha256::new();
    for (name, tensor) in model.params.entries() {
        hasher.update(name);
        hasher.update(format!("{:?}", tensor.size()));
        hasher.update(trainer::checkpoint::bytes(tensor));
    }
    let found: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        found,
        "ec4e75c3c413149e0e28aa57b872a79c41eb24cf32686b27d1abb1a787e4db52"
    );
}

#[test]
fn sides_are_the_ones_that_messages_list() {
    let listed: Vec<String> = Side::ALL.map(|side| side.pixels().to_string()).to_vec();
    let words: Vec<&str> = Side::LIST
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(words, listed);
    for pixels in [0, 32, 63, 80, 112, 256] {
        let problem = Side::try_from(pixels).expect_err("is not trained on").to_string();
        assert!(
            problem.contains(&format!("{pixels} pixels")) && problem.contains(Side::LIST),
            "{problem}"
        );
    }
}

fn batch(length: i64, size: i64) -> Batch {
    tch::manual_seed(3);
    let options = (Kind::Float, Device::Cpu);
    Batch {
        frames: Tensor::randint(256, [length, size, 3, 64, 64], (Kind::Uint8, Device::Cpu)),
        action: Tensor::rand([length, size, 2], options) * 2.0 - 1.0,
        joints: Tensor::zeros([length, size, 0], options),
        reward: Tensor::rand([length, size], options),
        rewarded: None,
    }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.flatten(0, -1).to_kind(Kind::Double)).expect("a dense tensor")
}

/// KL of q from p a time step and sequence, number by number.
fn kl(p: &Gaussian, q: &Gaussian, width: usize) -> Vec<f64> {
    let [m, s, n, t] = [&p.mean, &p.std, &q.mean, &q.std].map(values);
    let element =
        |i: usize| (t[i] / s[i]).ln() + (s[i] * s[i] + (m[i] - n[i]).powi(2)) / (2.0 * t[i] * t[i]) - 0.5;
    (0..m.len() / width)
        .map(|row| (row * width..(row + 1) * width).map(element).sum())
        .collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// Equation 3, term by term: the posterior's divergence from the prior, each at least the free nats, the squared image
/// error a frame, the scaled squared reward error.
#[test]
fn the_loss_is_its_definition() {
    let _drawing = generator();
    let preset = small();
    let model = WorldModel::new(&preset.model, Side::default(), 2, 1, Device::Cpu);
    let batch = batch(5, 3);
    for free_nats in [0.0, 0.3, 1.0e3] {
        let mut switches = preset.loss.clone();
        (switches.free_nats, switches.reward_scale) = (free_nats, 7.0);
        (switches.overshooting_distance, switches.decoded_frames) = (0, 0);
        tch::manual_seed(11);
        let terms = loss(&model, &switches, &batch, &mut Noise::Generator);

        tch::manual_seed(11);
        let frames = dequantise(&batch.frames.flatten(0, 1), 5, &mut Noise::Generator);
        let filtered = model.filter(
            &model.encode(&frames).reshape([5, 3, -1]),
            &batch.action,
            &mut Noise::Generator,
        );
        let features = model.features(&filtered.latent);
        let kls = kl(
            &filtered.posterior,
            &filtered.prior,
            preset.model.stochastic as usize,
        );
        assert_eq!(kls.len(), 15);
        let (decoded, seen) = (values(&model.decode(&features.flatten(0, 1))), values(&frames));
        let image = decoded
            .iter()
            .zip(&seen)
            .map(|(d, s)| (d - s).powi(2))
            .sum::<f64>()
            / 2.0
            / 15.0;
        let (predicted, logged) = (values(&model.reward(&features)), values(&batch.reward));
        let reward = mean(predicted.iter().zip(&logged).map(|(p, l)| (p - l).powi(2)));
        let expected = [
            ("kl", &terms.kl, mean(kls.iter().copied())),
            ("image", &terms.image, image),
            ("reward", &terms.reward, reward),
            (
                "total",
                &terms.total,
                image + 7.0 / 2.0 * reward + mean(kls.iter().map(|kl| kl.max(free_nats))),
            ),
        ];
        for (name, found, expected) in expected {
            let found = found.double_value(&[]);
            assert!(
                (found - expected).abs() <= 1e-4 * expected.abs().max(1e-2),
                "{name} with {free_nats} free nats: {found}, by hand {expected}"
            );
        }
    }
}

/// Frames without a reward teach everything but the reward: its error is the mean over the others, and where none has one it
/// is 0 and has no gradient.
#[test]
fn frames_without_a_reward_are_left_out_of_its_loss_alone() {
    let _drawing = generator();
    let preset = small();
    let model = WorldModel::new(&preset.model, Side::default(), 2, 1, Device::Cpu);
    let mut switches = preset.loss.clone();
    (switches.overshooting_distance, switches.overshooting_starts) = (1, 0);
    let terms = |rewards: &Tensor, rewarded: Option<Tensor>| {
        let batch = Batch {
            reward: rewards.shallow_clone(),
            rewarded,
            ..batch(5, 3)
        };
        tch::manual_seed(11);
        loss(&model, &switches, &batch, &mut Noise::Generator).scalars()
    };
    let named = |terms: &[(&str, f64)], name: &str| terms.iter().find(|(n, _)| *n == name).expect("a term").1;
    let logged = batch(5, 3).reward;
    let every = terms(&logged, None);
    let ones = logged.ones_like();
    for (a, b) in terms(&logged, Some(ones.shallow_clone())).iter().zip(&every) {
        assert!(
            (a.1 - b.1).abs() <= 1e-5 * b.1.abs().max(1e-3),
            "{a:?}, all given {b:?}"
        );
    }
    // The first two times have one. What stands in the place of the others is not looked at.
    let mask = ones.shallow_clone();
    let _ = mask.narrow(0, 2, 3).fill_(0.0);
    let some = terms(&(&logged * &mask), Some(mask.shallow_clone()));
    let junk = terms(
        &(&logged * &mask + (1.0 - &mask) * 77.0),
        Some(mask.shallow_clone()),
    );
    assert_eq!(some, junk);
    let none = terms(&logged, Some(mask.zeros_like()));
    for name in ["image", "kl", "overshooting_kl"] {
        assert_eq!(named(&some, name), named(&every, name), "{name}");
        assert_eq!(named(&none, name), named(&every, name), "{name}");
    }
    for name in ["reward_mse", "open_loop_reward_mse"] {
        assert_ne!(named(&some, name), named(&every, name), "{name}");
        assert_eq!(named(&none, name), 0.0, "{name}");
    }
}

/// Overshooting starts from the posterior: at distance 1 its prior is the filter's own one-step prior.
#[test]
fn overshooting_by_one_step_is_the_one_step_divergence() {
    let _drawing = generator();
    let preset = small();
    let model = WorldModel::new(&preset.model, Side::default(), 2, 1, Device::Cpu);
    // Two steps leave one start, whatever is drawn.
    let batch = batch(2, 4);
    let mut switches = preset.loss.clone();
    (switches.overshooting_distance, switches.overshooting_starts) = (1, 1);
    tch::manual_seed(12);
    let terms = loss(&model, &switches, &batch, &mut Noise::Generator);
    tch::manual_seed(12);
    let frames = dequantise(&batch.frames.flatten(0, 1), 5, &mut Noise::Generator);
    let filtered = model.filter(
        &model.encode(&frames).reshape([2, 4, -1]),
        &batch.action,
        &mut Noise::Generator,
    );
    let kls = kl(
        &filtered.posterior,
        &filtered.prior,
        preset.model.stochastic as usize,
    );
    let expected = mean(kls[4..].iter().copied());
    let found = terms.overshooting.double_value(&[]);
    assert!(
        (found - expected).abs() <= 1e-4 * expected,
        "{found}, by hand {expected}"
    );
}

#[test]
fn adam_is_algorithm_1_after_clipping() {
    let (rate, clip, epsilon) = (0.01, 2.0, 1e-4);
    let names = ["a", "b"].map(str::to_owned);
    let start = [vec![0.5f32, -1.0, 2.0, 0.0, 1.5, -0.25], vec![3.0f32]];
    let tensors = [
        Tensor::from_slice(&start[0]).view([2, 3]),
        Tensor::from_slice(&start[1]),
    ];
    let params: Vec<(String, Tensor)> = names.into_iter().zip(tensors).collect();
    let mut adam = Adam::new(&params, epsilon);
    let mut expected: Vec<f64> = start.iter().flatten().map(|&value| f64::from(value)).collect();
    let (mut m, mut v) = (vec![0f64; 7], vec![0f64; 7]);
    for step in 1..=5 {
        let numbers: Vec<f32> = (0..7)
            .map(|index| ((index * 7 + step * 3) % 11) as f32 / 4.0 - 1.0)
            .collect();
        // The first as a gradient of a layer with channels last comes: in another order in memory.
        let turned = Tensor::from_slice(&numbers[..6])
            .view([2, 3])
            .transpose(0, 1)
            .contiguous()
            .transpose(0, 1);
        let grads = [turned, Tensor::from_slice(&numbers[6..])];
        let norm = adam.step(&params, &grads, rate, clip);
        let squares: f64 = numbers.iter().map(|&value| f64::from(value).powi(2)).sum();
        assert!((norm - squares.sqrt()).abs() < 1e-6 * norm);
        for index in 0..7 {
            let g = f64::from(numbers[index]) * (clip / norm).min(1.0);
            m[index] = 0.9 * m[index] + 0.1 * g;
            v[index] = 0.999 * v[index] + 0.001 * g * g;
            let (first, second) = (
                m[index] / (1.0 - 0.9f64.powi(step)),
                v[index] / (1.0 - 0.999f64.powi(step)),
            );
            expected[index] -= rate * first / (second.sqrt() + epsilon);
        }
    }
    let found: Vec<f32> = params
        .iter()
        .flat_map(|(_, tensor)| Vec::<f32>::try_from(tensor.view([-1])).expect("numbers"))
        .collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
    // What is no number changes nothing.
    let lost = [Tensor::from_slice(&[f32::NAN; 6]).view([2, 3]), Tensor::new()];
    assert!(!adam.step(&params, &lost, rate, clip).is_finite());
    assert_eq!(adam.step, 5);
}

#[test]
fn sixteen_bit_convolutions_are_close() {
    let _drawing = generator();
    let mut preset = small();
    preset.model.depth = 8;
    let mut model = WorldModel::new(&preset.model, Side::default(), 2, 1, Device::Cpu);
    let image = Tensor::rand([5, 3, 64, 64], (Kind::Float, Device::Cpu)) - 0.5;
    let features = Tensor::randn(
        [5, model.sizes.belief + model.sizes.stochastic],
        (Kind::Float, Device::Cpu),
    );
    let mut both = |convolutions: Kind| {
        model.convolutions = convolutions;
        [model.encode(&image), model.decode(&features)]
    };
    let (whole, half) = (both(Kind::Float), both(Kind::BFloat16));
    for (whole, half) in whole.iter().zip(&half) {
        assert_eq!(half.kind(), Kind::Float);
        let apart = (whole - half).abs().max().double_value(&[]) / whole.abs().max().double_value(&[]);
        assert!(apart > 1e-5 && apart < 0.05, "{apart}");
    }
}
