//! A learned world model at run time: the bundle it comes in, the encoder and filter, and latent rollouts.
//!
//! Nothing here learns; the trainer writes bundles, this crate checks and runs them.

mod arithmetic;
pub mod belief;
pub mod bundle;
mod contents;
pub mod encoder;
pub mod error;
pub mod filter;
pub mod image;
mod instructions;
pub mod kernel;
mod lanes;
pub mod manifest;
mod math;
pub mod noise;
pub mod observation;
pub mod parity;
pub mod rollout;
pub mod scalar;
mod shapes;
pub mod sums;
pub mod tract;
pub mod weights;

pub use belief::Belief;
pub use bundle::Bundle;
pub use encoder::Encoder;
pub use error::BundleError;
pub use filter::{Filter, Innovation};
pub use kernel::KernelRollout;
pub use manifest::{CAMERA_CALIBRATION, Dimensions, MANIFEST_VERSION, Manifest, Provenance};
pub use noise::NoiseKey;
pub use observation::{JointScale, Observation, Observer};
pub use rollout::Rollout;
pub use scalar::ScalarRollout;
pub use tract::{Decoder, TractRollout};

/// e^x, the same bits on every CPU, relative error below 2e-7.
pub fn exp(x: f32) -> f32 {
    math::exp(x)
}

/// The natural logarithm of a positive normal number, the same bits on every CPU, relative error below 3e-7 away from 1.
pub fn ln(x: f32) -> f32 {
    math::ln(x)
}
