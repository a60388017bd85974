//! Replay: a log's observations through the same controller must give the same actions, bit for bit.

use std::path::{Path, PathBuf};

use episode::{Episode, EpisodeError, Reason, TickRecord};
use robot::config::{ConfigError, Pipeline, RolloutBackend};
use robot::{Config, JointVec, SystemClock};
use world_model::{Bundle, BundleError, Encoder};

use crate::actuate::World;
use crate::capture::Captured;
use crate::encode::embed;
use crate::filter::BeliefFilter;
use crate::plan::{ColouredNoise, Limit, NOISY, Planner, PlannerError, Policy, WIGGLE, Wiggler};
use crate::tick::{Controller, Timing};
use guard::Rules;

/// Why a log could not be replayed, or did not come out the same.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log.
    #[error(transparent)]
    Log(#[from] EpisodeError),
    /// The robot file kept in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The planner.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// Something the log should hold is missing.
    #[error("{path}: {problem}")]
    Unusable {
        /// The log.
        path: PathBuf,
        /// What is missing and what to do.
        problem: String,
    },
    /// Another action.
    #[error(
        "{path}: tick {tick}: replay {stage} {found:?}, the log says {logged:?}; controller or bundle are not the ones that recorded it"
    )]
    Differs {
        /// The log.
        path: PathBuf,
        /// The tick.
        tick: u32,
        /// Which of the seven stages.
        stage: &'static str,
        /// From the replay.
        found: JointVec,
        /// From the log.
        logged: JointVec,
    },
}

struct LoggedWorld<'a> {
    row: &'a TickRecord,
    frame: Option<&'a robot::Frame>,
    encoder: Option<&'a mut Encoder>,
    clock: &'a SystemClock,
}

impl World for LoggedWorld<'_> {
    fn listen(&mut self, held: &mut Captured) {
        let capture = &self.row.capture;
        (held.arm, held.arm_refused) = (capture.arm, capture.arm_refused);
        held.arm_set_point_rad.clone_from(&capture.arm_set_point_rad);
        held.joints.position_rad.clone_from(&capture.position_rad);
        held.joints.velocity_rad_s.clone_from(&capture.velocity_rad_s);
    }

    fn capture(&mut self, edge_ns: u64, held: &mut Box<Captured>) -> bool {
        if let Some(frame) = self.frame {
            held.frame.copy_from(frame);
        }
        let capture = &self.row.capture;
        held.frame_seq = capture.frame_seq;
        held.reward = capture.reward;
        held.captured_ns = edge_ns.saturating_sub(capture.age_ns);
        capture.fresh
    }

    fn encode(&mut self, held: &mut Captured) {
        held.encode_ns = embed(
            self.encoder.as_deref_mut(),
            &held.frame,
            &mut held.embedding,
            self.clock,
        );
    }

    fn actuate(&mut self, _set_point_rad: &[f32]) -> Option<u32> {
        let actuate = &self.row.actuate;
        actuate.sent.then_some(actuate.command_seq)
    }

    fn fault(&self) -> Option<Reason> {
        Some(self.row.guard.reason).filter(|reason| reason.is_from_outside())
    }
}

/// How a replay computes, where that is another way than the recording did. Within the `f32` family of back ends neither
/// changes a bit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Computed {
    /// Another back end than the robot file's.
    pub backend: Option<RolloutBackend>,
    /// Another number of planning threads.
    pub threads: Option<usize>,
}

/// Replays a log; returns how many actions were reproduced.
///
/// # Errors
/// [`ReplayError::Differs`] at the first action that is not the same to the last bit.
pub fn replay(path: &Path, bundle: Option<&Path>, computed: Computed) -> Result<u32, ReplayError> {
    let log = episode::read_episode(path)?;
    let unusable = |problem: &str| ReplayError::Unusable {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let mut config = recorded_config(path, &log)?;
    config.planner.backend = computed.backend.unwrap_or(config.planner.backend);
    config.planner.threads = computed.threads.unwrap_or(config.planner.threads);
    let planned = log.info.policy.starts_with("planner");
    let bundle = match (planned, bundle) {
        (true, None) => {
            return Err(unusable(
                "was recorded with a model; pass its folder with --bundle",
            ));
        }
        (true, Some(dir)) => Some(Bundle::load(dir)?),
        (false, _) => None,
    };
    if bundle.as_ref().map(Bundle::sha256) != log.info.bundle_sha256 {
        return Err(unusable(
            "was recorded with another bundle than --bundle names; pass the one it was made with",
        ));
    }
    let pipeline = if log.info.pipeline == Pipeline::Immediate.name() {
        Pipeline::Immediate
    } else {
        Pipeline::NextTick
    };
    let policy = match &bundle {
        Some(bundle) => {
            let noise = log
                .info
                .policy
                .strip_prefix(NOISY)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0);
            Policy::planner(Planner::new(bundle, &config.planner)?, noise)
        }
        None if log.info.policy == "random" => Policy::Random(ColouredNoise::default()),
        None => match log.info.policy.strip_prefix(WIGGLE) {
            Some(name) => Policy::Wiggle(wiggler(&config, name).ok_or_else(|| {
                unusable("was recorded with a joint to and fro that its robot file does not name")
            })?),
            None => Policy::Hold,
        },
    };
    let filter = bundle
        .as_ref()
        .map(|bundle| BeliefFilter::new(bundle, config.camera_delay_ticks()))
        .transpose()?;
    let mut encoder = bundle.as_ref().map(Bundle::encoder).transpose()?;
    let embedding = bundle.as_ref().map_or(0, Bundle::image_embedding);
    let mut controller = Controller::new(&config, pipeline, filter, policy, embedding);
    let rules = Rules::of(log.info.guard_rules).ok_or_else(|| {
        unusable("was recorded by a newer version, whose guard goes by rules that this one does not know; replay it with that version")
    })?;
    controller.set_rules(rules);
    if let Some(problem) = &log.problem {
        log::warn!(
            "{}: only its first {} ticks: {problem}",
            path.display(),
            log.intact
        );
    }
    let intact = &log.ticks[..log.intact];
    let first = intact
        .first()
        .ok_or_else(|| unusable("holds no whole tick before what cannot be read"))?;
    // With `next-tick` the first command holds the start pose; with `immediate` the arm stands where it was measured.
    let start = start(&log, first, pipeline == Pipeline::NextTick)?;
    controller.reset(start, log.info.planner_seed);
    let clock = SystemClock::default();
    let mut reproduced = 0;
    for (row, frame) in intact.iter().zip(&log.frames) {
        let mut world = LoggedWorld {
            row,
            frame: frame.as_ref(),
            encoder: encoder.as_mut(),
            clock: &clock,
        };
        let timing = Timing {
            tick: row.tick,
            edge_ns: row.edge_ns,
            clock: &clock,
            // One that gave no plan stopped the arm, and is not among those that are counted.
            limit: Limit::Iterations(
                row.plan
                    .iterations
                    .saturating_add(u32::from(row.guard.reason == Reason::NonFinite)),
            ),
            last: row.guard.reason == Reason::EpisodeEnd,
        };
        let (found, _) = controller.tick(&mut world, timing);
        let nothing = JointVec::new();
        // What stood while nothing was sent is no decision.
        let actuated = |row: &'_ TickRecord| {
            if row.actuate.sent {
                row.actuate.action.clone()
            } else {
                nothing.clone()
            }
        };
        for (stage, found, logged) in [
            ("plan", &found.plan.action, &row.plan.action),
            ("guard", &found.guard.action, &row.guard.action),
            ("actuate", &actuated(found), &actuated(row)),
        ] {
            let bits = |joints: &JointVec| joints.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            if bits(found) != bits(logged) {
                return Err(ReplayError::Differs {
                    path: path.to_owned(),
                    tick: row.tick,
                    stage,
                    found: found.clone(),
                    logged: logged.clone(),
                });
            }
        }
        reproduced += u32::from(row.guard.reason != Reason::EpisodeEnd);
    }
    Ok(reproduced)
}

/// What leads the joint of this name.
fn wiggler(config: &Config, name: &str) -> Option<Wiggler> {
    let joints = config.envelope.joints();
    let joint = joints.iter().position(|joint| joint.name == name)?;
    Some(Wiggler::new(joint, name, config.period_s))
}

/// The robot file that `log`, which lies at `path`, keeps. It is of the robot that the log's rows are of.
///
/// # Errors
/// [`ReplayError::Unusable`] if there is none, or one of another robot, period or side of pictures; [`ReplayError::Config`].
pub fn recorded_config(path: &Path, log: &Episode) -> Result<Config, ReplayError> {
    let text = attachment(log, "robot.ron").ok_or_else(|| ReplayError::Unusable {
        path: path.to_owned(),
        problem: "holds no robot file".to_owned(),
    })?;
    let config = Config::parse(path, text)?;
    let info = &log.info;
    let joints = config.envelope.joints().iter().map(|joint| joint.name.as_str());
    for (field, kept, said) in [
        (
            "joint_names",
            joints.collect::<Vec<_>>().join(", "),
            info.joint_names.join(", "),
        ),
        ("period_s", config.period_s.to_string(), info.period_s.to_string()),
        (
            "picture_delay_ticks",
            config.camera_delay_ticks().to_string(),
            info.picture_delay_ticks.to_string(),
        ),
    ] {
        if kept != said {
            return Err(ReplayError::Unusable {
                path: path.to_owned(),
                problem: format!(
                    "field `{field}` of its description is `{said}`, and the robot file it keeps says `{kept}`; leave this log out"
                ),
            });
        }
    }
    if let Some(side) = log.frame_side()
        && side != config.frame_side
    {
        return Err(ReplayError::Unusable {
            path: path.to_owned(),
            problem: format!(
                "its pictures are of {side}x{side}, and field `capture.side` of the robot file it keeps says {}; leave this log out",
                config.frame_side
            ),
        });
    }
    Ok(config)
}

/// Where an arm is before its first row: where the first command holds it (`next-tick`), or where it was measured.
///
/// # Errors
/// [`EpisodeError::Inconsistent`] if the row does not have one finite number a joint.
pub(crate) fn start<'a>(
    log: &Episode,
    first: &'a TickRecord,
    next_tick: bool,
) -> Result<&'a JointVec, EpisodeError> {
    let (field, start) = if next_tick {
        ("/actuate set_point_rad", &first.actuate.set_point_rad)
    } else {
        ("/capture/joints position", &first.capture.position_rad)
    };
    if start.len() == log.info.joint_names.len() && start.iter().all(|angle| angle.is_finite()) {
        return Ok(start);
    }
    Err(EpisodeError::Inconsistent {
        path: log.path.clone(),
        tick: first.tick,
        problem: format!("field `{field}` is {start:?}, and does not tell where the arm starts"),
    })
}

pub(crate) fn attachment(log: &Episode, name: &str) -> Option<String> {
    let (_, bytes) = log.attachments.iter().find(|(found, _)| found == name)?;
    String::from_utf8(bytes.clone()).ok()
}
