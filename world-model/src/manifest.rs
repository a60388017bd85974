//! `manifest.ron`: what a bundle says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::observation::{JointScale, Observation};

/// Version of the bundle's layout.
pub const MANIFEST_VERSION: u32 = 2;

/// Version of bundles of models that see pixels alone, which programs of before can read.
pub const MANIFEST_VERSION_OF_PIXELS: u32 = 1;

/// What [`Manifest::camera_calibration_sha256`] has in every bundle: the hash of a constant.
pub const CAMERA_CALIBRATION: &str = "c99c8b7f61143ca2f0b5d74cec365155267cc3bbc0e96fcb38e1f21528e52a99";

/// A bundle's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`] when it was written, or [`MANIFEST_VERSION_OF_PIXELS`].
    pub format_version: u32,
    /// Sizes of the model's vectors.
    pub dimensions: Dimensions,
    /// Control period the model learned, in seconds.
    pub period_s: f32,
    /// Robot it learned on.
    pub robot: String,
    /// Task whose reward it learned.
    pub task: String,
    /// Joints, in the order of an action's elements.
    pub joint_names: Vec<String>,
    /// What an action means.
    #[serde(default)]
    pub action: robot::ActionMode,
    /// What an action of 1 asks for, a joint: in radians a second, or in radians (or whatever unit the actuator has) if it
    /// is absolute.
    pub action_scale_rad_s: Vec<f32>,
    /// Whether the stochastic state is drawn when the model imagines. A deterministic model follows its mean.
    #[serde(default = "yes")]
    pub sampled_latents: bool,
    /// What the model observes.
    #[serde(default, skip_serializing_if = "is_pixels")]
    pub observation: Observation,
    /// In which terms it sees the joints, one a joint; none if it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joint_scales: Vec<JointScale>,
    /// How pixels become numbers: `rgb8-64x64-5bit-centre`, or another side or number of bits.
    pub image: String,
    /// SHA-256 of the joint mapping the logs were recorded with.
    pub joint_calibration_sha256: String,
    /// SHA-256 of the table that made its images of a camera's pictures; none where the logs' pictures were the model's images already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_sha256: Option<String>,
    /// Not used: it tells nothing of a camera. [`CAMERA_CALIBRATION`], which earlier programs ask for.
    #[serde(default)]
    pub camera_calibration_sha256: String,
    /// How it was made.
    pub provenance: Provenance,
    /// SHA-256 of each file of the bundle.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    /// Bits a colour that the model was trained on, by the training preset; `None` if the manifest holds no preset of this program's.
    pub(crate) fn trained_bits(&self) -> Option<u8> {
        /// What matters here of a preset.
        #[derive(Deserialize)]
        struct Preset {
            model: Sizes,
        }
        #[derive(Deserialize)]
        struct Sizes {
            /// Presets of earlier versions do not have it.
            #[serde(default = "five")]
            image_bits: u8,
        }
        fn five() -> u8 {
            5
        }
        let preset: Preset = ron::from_str(&self.provenance.preset).ok()?;
        Some(preset.model.image_bits)
    }
}

// serde hands over a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_pixels(observation: &Observation) -> bool {
    *observation == Observation::Pixels
}

const fn yes() -> bool {
    true
}

/// Sizes of the model's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    /// Deterministic state h.
    pub belief: usize,
    /// Stochastic state s.
    pub stochastic: usize,
    /// What the filter takes of an observation: the encoder's output, then two numbers a joint if the model sees them.
    pub embedding: usize,
    /// Joints.
    pub action: usize,
}

/// How a model was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Program and version.
    pub software: String,
    /// Gradient updates.
    pub updates: u64,
    /// Seed of the training run.
    pub seed: u64,
    /// Agent steps in the logs it last saw.
    pub agent_steps: u64,
    /// Fingerprint of those logs.
    pub data_fingerprint: String,
    /// The training preset, as RON.
    pub preset: String,
}
