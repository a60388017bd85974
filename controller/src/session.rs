//! Puts a robot file, a bundle and a policy together into something that can run episodes.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use calibration::JointMapping;
use calibration::servos::JointsFile;
use episode::{Attachment, EpisodeInfo};
use realtime::Raised;
use robot::Config;
use robot::config::Pipeline;
use world_model::{Belief, Bundle, Encoder};

use crate::filter::BeliefFilter;
use crate::plan::{Background, ColouredNoise, Planner, Policy, Wiggler};
use crate::tick::Controller;

/// Episode seeds from here on are for evaluation only: recording for training refuses them.
pub const EVALUATION_SEEDS: u64 = 1 << 40;

/// Which policy to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PolicyChoice {
    /// CEM on the bundle, with this exploration noise.
    Planner {
        /// Standard deviation added to actions.
        noise: f32,
    },
    /// Coloured noise.
    Random,
    /// The joint at this place of the robot file to and fro, by which delays are measured.
    Wiggle {
        /// Its place, base first.
        joint: usize,
    },
    /// No motion.
    Hold,
}

/// A robot, a model and a policy.
#[derive(Debug)]
pub struct Session {
    /// The robot file.
    pub config: Config,
    /// The model, for policies that use one.
    pub bundle: Option<Bundle>,
    /// The policy.
    pub policy: PolicyChoice,
    /// The pipeline; the robot file's unless overridden.
    pub pipeline: Pipeline,
    /// In lockstep, how long the world waits for a plan; for as long as it takes if not given. With one, what is planned
    /// depends on the machine, and episodes do not run side by side.
    pub deadline: Option<Duration>,
    /// The text of the calibration of an arm's joints, if the robot file names one that is sound. Whoever opens the arm refuses one that is not.
    joints: Option<String>,
}

impl Session {
    /// Loads and cross-checks everything before anything moves.
    ///
    /// # Errors
    /// The file, field and remedy.
    pub fn new(
        robot: &Path,
        bundle: Option<&Path>,
        policy: PolicyChoice,
        pipeline: Option<Pipeline>,
    ) -> anyhow::Result<Self> {
        Self::of(Config::load(robot)?, bundle, policy, pipeline)
    }

    /// The same for a robot that was read already.
    ///
    /// # Errors
    /// The file, field and remedy.
    pub fn of(
        config: Config,
        bundle: Option<&Path>,
        policy: PolicyChoice,
        pipeline: Option<Pipeline>,
    ) -> anyhow::Result<Self> {
        let bundle = match (policy, bundle) {
            (PolicyChoice::Planner { .. }, None) => {
                bail!("the planner needs a model; pass --bundle with the folder of one (see models/)")
            }
            (PolicyChoice::Planner { .. }, Some(dir)) => {
                let bundle = Bundle::load(dir)?;
                bundle.check_robot(&config)?;
                check_calibration(dir, &bundle, &config)?;
                Some(bundle)
            }
            _ => None,
        };
        if let Some(rounded) = config.camera_delay_rounded() {
            log::info!("robot `{}`: {rounded}", config.name);
        }
        let pipeline = pipeline.unwrap_or(config.planner.pipeline);
        let joints = config
            .joints_file
            .as_deref()
            .and_then(|path| JointsFile::load(path).ok())
            .map(|file| file.to_text());
        Ok(Self {
            config,
            bundle,
            policy,
            pipeline,
            deadline: None,
            joints,
        })
    }

    /// A controller and, if a model takes part, its encoder.
    ///
    /// # Errors
    /// A graph that does not run.
    pub fn controller(&self) -> anyhow::Result<(Controller, Option<Encoder>)> {
        self.assemble(self.config.planner.threads, false)
    }

    /// The same for a world that does not wait: planning has threads of its own, and cannot make a send late.
    ///
    /// # Errors
    /// A graph that does not run, or no thread.
    pub fn live_controller(&self) -> anyhow::Result<(Controller, Option<Encoder>)> {
        self.assemble(self.config.planner.threads, true)
    }

    /// [`Session::controller`], or [`Session::live_controller`] where planning is to be in the `background`, with so many threads that
    /// plan. Neither changes a bit of what is planned.
    ///
    /// # Errors
    /// A graph that does not run, or no thread.
    pub fn assemble(
        &self,
        threads: usize,
        background: bool,
    ) -> anyhow::Result<(Controller, Option<Encoder>)> {
        let budget = robot::config::Planner {
            threads,
            ..self.config.planner.clone()
        };
        let policy = match (&self.bundle, self.policy) {
            (Some(bundle), PolicyChoice::Planner { noise }) => {
                let realtime = &self.config.realtime;
                let asked = if background { realtime.plan_priority } else { 0 };
                let cpus = if background {
                    realtime.plan_cpus.as_slice()
                } else {
                    &[]
                };
                // For the planner's threads, which are started meanwhile.
                let _raised = Raised::new(("realtime.plan_priority", asked), ("realtime.plan_cpus", cpus));
                let mut planner = Planner::new(bundle, &budget)?;
                if background {
                    let belief = Belief::initial(&bundle.dimensions());
                    let envelope = self.config.envelope.clone();
                    planner.warm_up(&belief, &envelope);
                    Policy::planner(Background::start(planner, envelope, belief)?, noise)
                } else {
                    Policy::planner(planner, noise)
                }
            }
            (_, PolicyChoice::Random) => Policy::Random(ColouredNoise::default()),
            (_, PolicyChoice::Wiggle { joint }) => {
                let joints = self.config.envelope.joints();
                let name = joints.get(joint).map_or("", |joint| joint.name.as_str());
                Policy::Wiggle(Wiggler::new(joint, name, self.config.period_s))
            }
            _ => Policy::Hold,
        };
        let filter = self
            .bundle
            .as_ref()
            .map(|bundle| BeliefFilter::new(bundle, self.config.camera_delay_ticks()))
            .transpose()?;
        let encoder = self.bundle.as_ref().map(Bundle::encoder).transpose()?;
        let controller = Controller::new(&self.config, self.pipeline, filter, policy, self.embedding());
        Ok((controller, encoder))
    }

    /// Length of a picture's embedding, 0 without a model, or with one that sees none.
    pub fn embedding(&self) -> usize {
        self.bundle.as_ref().map_or(0, Bundle::image_embedding)
    }

    /// Describes an episode. The planner's noise is named by the episode's seed, so that an episode is reproduced by
    /// its number alone.
    pub fn info(&self, controller: &Controller, seed: u64, started_unix_ns: u64) -> EpisodeInfo {
        EpisodeInfo {
            robot: self.config.name.clone(),
            task: self
                .config
                .simulator
                .as_ref()
                .map_or_else(String::new, |s| s.task.clone()),
            episode_seed: seed,
            policy: controller.policy(),
            pipeline: self.pipeline.name().to_owned(),
            planner_seed: seed,
            period_s: self.config.period_s,
            joint_names: self
                .config
                .envelope
                .joints()
                .iter()
                .map(|joint| joint.name.clone())
                .collect(),
            picture_delay_ticks: self.config.camera_delay_ticks(),
            reward_source: match &self.config.reward {
                Some(rule) => rule.to_string(),
                None => "simulator".to_owned(),
            },
            config_sha256: self.config.sha256.clone(),
            joint_calibration_sha256: Some(JointMapping::of(&self.config).sha256()),
            bundle_sha256: self.bundle.as_ref().map(Bundle::sha256),
            started_unix_ns,
            software: concat!("armillary ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..EpisodeInfo::default()
        }
    }

    /// Files a log keeps: the robot file, the bundle's manifest, and where an arm's joints were.
    pub fn attachments(&self) -> Vec<Attachment<'_>> {
        let mut files = vec![("robot.ron", "text/plain", self.config.text.as_bytes())];
        if let Some(bundle) = &self.bundle {
            let data = bundle.manifest_text().as_bytes();
            files.push(("manifest.ron", "text/plain", data));
        }
        if let Some(joints) = &self.joints {
            files.push(("joints.ron", "text/plain", joints.as_bytes()));
        }
        files
    }
}

/// A model runs only behind the joint mapping that its logs were recorded with.
fn check_calibration(dir: &Path, bundle: &Bundle, config: &Config) -> anyhow::Result<()> {
    if bundle.manifest().joint_calibration_sha256 != JointMapping::of(config).sha256() {
        bail!(
            "{}: field `joint_calibration_sha256`: the model learned behind another calibration than this robot's; use the robot \
             file it was recorded with, or record and train anew",
            dir.join("manifest.ron").display()
        );
    }
    Ok(())
}
