//! Terms of the loss against their definitions.

use tch::{Kind, Tensor};
use trainer::loss::{bin_centre, dequantise};
use trainer::model::{Gaussian, WorldModel};

use super::small;

#[test]
fn images_are_reduced_to_five_bits() {
    let pixels = Tensor::arange(256, (Kind::Uint8, tch::Device::Cpu));
    let centre = bin_centre(&pixels);
    let noisy = dequantise(&pixels);
    for x in 0..256i64 {
        let low = (x / 8) as f64 / 32.0 - 0.5;
        let (centre, noisy) = (centre.double_value(&[x]), noisy.double_value(&[x]));
        assert!((centre - (low + 1.0 / 64.0)).abs() < 1e-6);
        assert!(
            noisy >= low - 1e-6 && noisy <= low + 1.0 / 32.0 + 1e-6,
            "{x}: {noisy} from {low}"
        );
    }
}

#[test]
fn kl_is_that_of_diagonal_gaussians() {
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
    let model = WorldModel::new(&small().model, 2, 0);
    let image = Tensor::zeros([3, 3, 64, 64], (Kind::Float, tch::Device::Cpu));
    let embedding = model.encode(&image);
    assert_eq!(embedding.size(), [3, 64]);
    let latent = model.initial(3);
    assert_eq!(model.decode(&latent.features()).size(), [3, 3, 64, 64]);
    assert_eq!(model.reward(&latent.features()).size(), [3]);
}
