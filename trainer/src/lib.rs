//! The offline trainer: learns a recurrent state-space model and a reward model from run logs, with LibTorch, and
//! exports them as a bundle. The only crate that knows `tch`.
//!
//! Source of the model and its losses: Hafner et al. 2019, "Learning Latent Dynamics for Planning from Pixels"
//! (PlaNet). Differences are switches of the [`preset::Preset`] and listed in ARCHITECTURE.md.

pub mod adam;
pub mod audit;
pub mod bench;
pub mod checkpoint;
pub mod dataset;
pub mod device;
pub mod export;
pub mod learner;
pub mod loss;
pub mod model;
pub mod noise;
pub mod onnx;
pub mod params;
pub mod preset;
pub mod report;
pub mod side;
pub mod strip;
pub mod tensorboard;
pub mod watch;
