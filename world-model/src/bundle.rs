//! A bundle: a folder with a manifest, graphs and parity vectors, checked before anything trusts it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use robot::Config;
use sha2::{Digest, Sha256};

use crate::contents;
use crate::encoder::Encoder;
use crate::error::BundleError;
use crate::filter::Filter;
use crate::image::ImageForm;
use crate::kernel::{Instructions, KernelRollout};
use crate::manifest::{Dimensions, MANIFEST_VERSION, MANIFEST_VERSION_OF_PIXELS, Manifest};
use crate::observation::Observer;
use crate::parity;
use crate::rollout::Rollout;
use crate::scalar::ScalarRollout;
use crate::sums;
use crate::tract::{Decoder, GraphSource, TractRollout};
use crate::weights::{self, Convolution, Dense, LatentWeights};

/// Name of the manifest's file.
pub const MANIFEST: &str = "manifest.ron";

/// Graphs every bundle has, without their extension; of a model that sees no pictures, all but the first.
pub const GRAPHS: [&str; 4] = ["encoder", "filter", "transition", "reward"];

/// The optional graph.
pub const DECODER: &str = "decoder";

/// File of the parity vectors.
pub const PARITY: &str = "parity.safetensors";

/// A bundle whose files are the ones that were exported, and which computes the trainer's numbers on this machine.
#[derive(Debug, Clone)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
    manifest_text: String,
    files: BTreeMap<String, Vec<u8>>,
    sealed: bool,
    weights: Arc<LatentWeights>,
    encoder: Arc<[Convolution]>,
    posterior: Arc<[Dense; 2]>,
    form: ImageForm,
    parity_error: f32,
}

impl Bundle {
    /// Reads and checks everything: the list of hashes, version, presence, hashes, shapes, parity. A bundle without a list of hashes,
    /// as earlier versions made them, is loaded with a warning.
    ///
    /// # Errors
    /// [`BundleError`], naming the file or field and the remedy.
    pub fn load(dir: &Path) -> Result<Self, BundleError> {
        let manifest_path = dir.join(MANIFEST);
        let manifest_bytes = contents::read_manifest(dir)?;
        let listed = contents::listed(dir, &manifest_bytes)?;
        let (manifest_text, manifest) = contents::parse_manifest(&manifest_path, manifest_bytes)?;
        if !(MANIFEST_VERSION_OF_PIXELS..=MANIFEST_VERSION).contains(&manifest.format_version) {
            return Err(BundleError::Version {
                path: manifest_path,
                found: manifest.format_version,
                supported: MANIFEST_VERSION,
            });
        }
        let Some(form) = ImageForm::from_name(&manifest.image) else {
            return Err(BundleError::Image {
                path: manifest_path,
                found: manifest.image,
                planet: ImageForm::PLANET.to_string(),
            });
        };
        let pixels = manifest.observation.pixels();
        if let Some(trained) = manifest.trained_bits()
            && pixels
            && trained != form.bits()
        {
            return Err(BundleError::ImageBits {
                path: manifest_path,
                found: manifest.image,
                trained,
            });
        }
        let required = [
            "encoder.onnx",
            "filter.onnx",
            "transition.onnx",
            "reward.onnx",
            PARITY,
        ];
        if let Some(file) = required[usize::from(!pixels)..]
            .iter()
            .copied()
            .find(|file| !manifest.files.contains_key(*file))
        {
            return Err(BundleError::Unlisted {
                path: manifest_path,
                file,
            });
        }
        let image = image_embedding(&manifest).ok_or_else(|| BundleError::Graph {
            path: manifest_path.clone(),
            problem: format!(
                "fields `observation` {:?}, `joint_scales` {:?} and `dimensions` {:?} do not go together",
                manifest.observation, manifest.joint_scales, manifest.dimensions
            ),
        })?;
        let files = contents::read_files(dir, &manifest, listed.as_ref())?;
        let (transition, reward) = (dir.join("transition.onnx"), dir.join("reward.onnx"));
        let weights = Arc::new(LatentWeights::read(
            manifest.dimensions,
            (&transition, &files["transition.onnx"]),
            (&reward, &files["reward.onnx"]),
        )?);
        let (encoder, filter) = (dir.join("encoder.onnx"), dir.join("filter.onnx"));
        let dimensions = manifest.dimensions;
        let encoder = if pixels {
            weights::encoder((&encoder, &files["encoder.onnx"]), form.side(), image)?
        } else {
            Vec::new()
        };
        let posterior = weights::posterior((&filter, &files["filter.onnx"]), dimensions, weights.cell)?;
        let mut bundle = Self {
            encoder: encoder.into(),
            posterior: Arc::new(posterior),
            form,
            dir: dir.to_owned(),
            manifest,
            manifest_text,
            files,
            sealed: listed.is_some(),
            weights,
            parity_error: 0.0,
        };
        bundle.parity_error = bundle.check_parity()?;
        Ok(bundle)
    }

    fn check_parity(&self) -> Result<f32, BundleError> {
        let parity_path = self.dir.join(PARITY);
        let mut worst = 0.0f32;
        for name in GRAPHS.into_iter().chain([DECODER]) {
            let file = format!("{name}.onnx");
            let Some(bytes) = self.files.get(&file) else {
                continue;
            };
            let path = self.dir.join(&file);
            let source = GraphSource { path: &path, bytes };
            worst = worst.max(parity::check(&source, name, (&parity_path, &self.files[PARITY]))?);
        }
        // What runs in the loop reads weights, not graphs: one wired otherwise would pass the check above.
        if self.manifest.observation.pixels() {
            let (inputs, outputs) = parity::vectors(&parity_path, &self.files[PARITY], "encoder")?;
            let path = self.dir.join("encoder.onnx");
            let length = self.image_embedding();
            let error = parity::check_encoder(self.encoder()?, length, &path, &inputs, &outputs)?;
            worst = worst.max(error);
            // And what comes before the encoder, where the bundle holds pictures.
            if let Some(pictures) = parity::pictures(&parity_path, &self.files[PARITY])? {
                let error = parity::check_pictures(self.encoder()?, length, self.form, &path, &pictures)?;
                worst = worst.max(error);
            }
        }
        let (inputs, outputs) = parity::vectors(&parity_path, &self.files[PARITY], "filter")?;
        let path = self.dir.join("filter.onnx");
        let error = parity::check_filter(self.filter()?, self.dimensions(), &path, &inputs, &outputs)?;
        worst = worst.max(error);
        for name in ["transition", "reward"] {
            let (inputs, outputs) = parity::vectors(&parity_path, &self.files[PARITY], name)?;
            let path = self.dir.join(format!("{name}.onnx"));
            worst = worst.max(parity::check_scalar(
                self.scalar_rollout(),
                &path,
                &inputs,
                &outputs,
            )?);
        }
        Ok(worst)
    }

    /// Refuses a robot whose joints, period or scaling are not those the model learned on.
    ///
    /// # Errors
    /// [`BundleError::Robot`] or [`BundleError::Side`], naming the field.
    pub fn check_robot(&self, config: &Config) -> Result<(), BundleError> {
        let manifest = &self.manifest;
        let joints = config.envelope.joints();
        let names: Vec<&str> = joints.iter().map(|joint| joint.name.as_str()).collect();
        let mode = config.envelope.mode();
        let scale: Vec<f32> = joints.iter().map(|joint| joint.action_scale(mode)).collect();
        let fields = [
            (
                "joint_names",
                format!("{:?}", manifest.joint_names),
                format!("{names:?}"),
            ),
            (
                "dimensions.action",
                manifest.dimensions.action.to_string(),
                joints.len().to_string(),
            ),
            (
                "period_s",
                manifest.period_s.to_string(),
                config.period_s.to_string(),
            ),
            ("action", format!("{:?}", manifest.action), format!("{mode:?}")),
            (
                "action_scale_rad_s",
                format!("{:?}", manifest.action_scale_rad_s),
                format!("{scale:?}"),
            ),
        ];
        if let Some((field, found, expected)) =
            fields.into_iter().find(|(_, found, expected)| found != expected)
        {
            return Err(BundleError::Robot {
                path: self.dir.join(MANIFEST),
                field,
                found,
                expected,
            });
        }
        // Where no picture is seen, none need fit.
        match self.image_side().filter(|side| *side != config.frame_side) {
            None => Ok(()),
            Some(side) => Err(BundleError::Side {
                path: self.dir.join(MANIFEST),
                side,
                robot: config.name.clone(),
                expected: config.frame_side,
            }),
        }
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest as written.
    pub fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// Names the bundle: SHA-256 of its manifest, which holds the hashes of everything else.
    pub fn sha256(&self) -> String {
        sha256(self.manifest_text.as_bytes())
    }

    /// Whether a list of hashes covers its manifest.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The list of hashes that belongs into its file [`sums::SUMS`]: that of the manifest and of every file that it names.
    pub fn sums(&self) -> String {
        let mut hashes = self.manifest.files.clone();
        hashes.insert(MANIFEST.to_owned(), self.sha256());
        sums::text(&hashes)
    }

    /// Sizes of the model's vectors.
    pub fn dimensions(&self) -> Dimensions {
        self.manifest.dimensions
    }

    /// Width and height of the pictures that it sees, in pixels; `None` if it sees none.
    pub fn image_side(&self) -> Option<usize> {
        self.manifest.observation.pixels().then(|| self.form.side())
    }

    /// Length of a picture's embedding; 0 for a model that sees none.
    pub fn image_embedding(&self) -> usize {
        image_embedding(&self.manifest).unwrap_or(0)
    }

    /// What makes observations for its filter of embeddings and joints.
    pub fn observer(&self) -> Observer {
        Observer::new(self.image_embedding(), &self.manifest.joint_scales)
    }

    /// The latent model's weights.
    pub fn weights(&self) -> Arc<LatentWeights> {
        Arc::clone(&self.weights)
    }

    /// Largest error against LibTorch found when loading.
    pub fn parity_error(&self) -> f32 {
        self.parity_error
    }

    /// Bytes of a file of the bundle.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    fn with_source<T>(
        &self,
        name: &str,
        f: impl FnOnce(&GraphSource<'_>) -> Result<T, BundleError>,
    ) -> Result<T, BundleError> {
        let path = self.dir.join(name);
        match self.files.get(name) {
            Some(bytes) => f(&GraphSource { path: &path, bytes }),
            None => Err(BundleError::Graph {
                path,
                problem: "the bundle has no such graph".to_owned(),
            }),
        }
    }

    /// Its encoder.
    ///
    /// # Errors
    /// None that loading has not ruled out.
    pub fn encoder(&self) -> Result<Encoder, BundleError> {
        self.encoder_with(Instructions::best_single())
    }

    /// The same with given instructions; the bits are the same.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`] on a CPU without them.
    pub fn encoder_with(&self, instructions: Instructions) -> Result<Encoder, BundleError> {
        Ok(Encoder::new(&self.encoder, self.form, instructions)?)
    }

    /// Its filter.
    ///
    /// # Errors
    /// None that loading has not ruled out.
    pub fn filter(&self) -> Result<Filter, BundleError> {
        self.filter_with(Instructions::best_single())
    }

    /// The same with given instructions; the bits are the same.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`] on a CPU without them.
    pub fn filter_with(&self, instructions: Instructions) -> Result<Filter, BundleError> {
        Ok(Filter::new(&self.weights, &self.posterior, instructions)?)
    }

    /// The reference rollout.
    pub fn scalar_rollout(&self) -> ScalarRollout {
        ScalarRollout::new(self.weights())
    }

    /// The rollout by fused kernels, after a check that they reproduce the reference on this machine.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`] or [`BundleError::Parity`].
    pub fn kernel_rollout(&self, instructions: Instructions) -> Result<KernelRollout, BundleError> {
        let mut kernel = KernelRollout::new(&self.weights, instructions)?;
        let tolerance = match instructions {
            Instructions::Bf16 => parity::BF16_TOLERANCE,
            Instructions::Portable | Instructions::Avx2 | Instructions::Avx512 => 0.0,
        };
        self.check_rollout(&mut kernel, tolerance)?;
        Ok(kernel)
    }

    /// Compares a back end with the reference on this machine.
    ///
    /// # Errors
    /// [`BundleError::Parity`].
    pub fn check_rollout(&self, rollout: &mut dyn Rollout, tolerance: f32) -> Result<(), BundleError> {
        let path = self.dir.join("transition.onnx");
        parity::check_rollout(rollout, self.scalar_rollout(), &path, tolerance)
    }

    /// Its decoder; `None` if it was exported without.
    ///
    /// # Errors
    /// [`BundleError::Graph`].
    pub fn decoder(&self) -> Result<Option<Decoder>, BundleError> {
        if !self.files.contains_key("decoder.onnx") {
            return Ok(None);
        }
        self.with_source("decoder.onnx", |source| Decoder::new(source, self.dimensions()))
            .map(Some)
    }

    /// The rollout by the exported graphs.
    ///
    /// # Errors
    /// [`BundleError::Graph`].
    pub fn tract_rollout(&self, batch: usize) -> Result<TractRollout, BundleError> {
        self.with_source("transition.onnx", |transition| {
            self.with_source("reward.onnx", |reward| {
                TractRollout::new(self.dimensions(), transition, reward, batch)
            })
        })
    }
}

/// Length of a picture's embedding, if what the manifest says of observations goes together.
fn image_embedding(manifest: &Manifest) -> Option<usize> {
    let (observation, dimensions) = (manifest.observation, manifest.dimensions);
    let scales = if observation.joints() {
        dimensions.action
    } else {
        0
    };
    let sound =
        manifest.joint_scales.len() == scales && manifest.joint_scales.iter().all(|scale| scale.is_sound());
    let image = dimensions
        .embedding
        .checked_sub(observation.joint_numbers(dimensions.action))?;
    (sound && (image > 0) == observation.pixels()).then_some(image)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
