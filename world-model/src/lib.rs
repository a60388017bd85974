//! A learned world model at run time: the bundle it comes in, the encoder and filter, and latent rollouts.
//!
//! Nothing here learns; the trainer writes bundles, this crate checks and runs them.

pub mod bundle;
pub mod error;
pub mod filter;
pub mod image;
pub mod manifest;
pub mod math;
pub mod parity;
pub mod rollout;
pub mod scalar;
pub mod tract;
pub mod weights;

pub use bundle::Bundle;
pub use error::BundleError;
pub use filter::{Belief, Filter, Innovation};
pub use manifest::{Dimensions, MANIFEST_VERSION, Manifest, Provenance};
pub use rollout::{NoiseKey, Rollout};
pub use scalar::ScalarRollout;
pub use tract::{Decoder, Encoder, TractRollout};
