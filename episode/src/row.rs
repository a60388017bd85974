//! One row a control tick: what each of the seven stages did.
//!
//! A row is of fixed size and owns no heap memory, so that the tick can push it through a lock-free ring. On disk each
//! stage has a channel of its own; which field goes to which channel is decided here by `#[serde(..)]`: what is
//! skipped here is written elsewhere (measured joints to `/capture/joints`, times to `/record`). A row
//! deserialises from JSON only; to read a log use [`crate::read_episode`].

use robot::device::{ArmState, Motors, TroubleKind};
use robot::{JointState, JointVec};
use serde::{Deserialize, Serialize};

use crate::number;

/// Everything that is logged about one control tick, apart from the frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TickRecord {
    /// Index of the tick within the episode, from 0.
    pub tick: u32,
    /// The edge at which the tick was due, in nanoseconds of the loop's monotonic clock.
    pub edge_ns: u64,
    /// What was observed.
    pub capture: CaptureRow,
    /// How the embedding was obtained.
    pub encode: EncodeRow,
    /// What the belief update found.
    pub filter: FilterRow,
    /// What was proposed.
    pub plan: PlanRow,
    /// What the guard made of it.
    pub guard: GuardRow,
    /// What was sent.
    pub actuate: ActuateRow,
    /// Times and losses; the only stage whose numbers differ between two identical lockstep runs.
    pub record: RecordRow,
}

/// The observation a tick worked with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CaptureRow {
    /// Sequence number the camera gave the frame.
    pub frame_seq: u64,
    /// [`robot::Frame::hash`] of the frame; in JSON a hexadecimal string, because JSON numbers stop being exact at 2^53.
    #[serde(with = "number::hex")]
    pub frame_hash: u64,
    /// Whether the frame was new to this tick and young enough; otherwise the filter ran on its prior only.
    pub fresh: bool,
    /// Age of the frame at the edge, in nanoseconds. A wall fact: stored with the latencies in `/record`.
    #[serde(skip)]
    pub age_ns: u64,
    /// Reward of the state that this frame shows; `None`, and `null` in the log, where nobody gave one.
    #[serde(default, with = "number::optional")]
    pub reward: Option<f32>,
    /// What the arm last said of itself.
    #[serde(default)]
    pub arm: ArmState,
    /// Whether the arm refused the newest command that had reached it.
    #[serde(default)]
    pub arm_refused: bool,
    /// Where the arm's own firmware was leading its joints when it said so; empty if it said nothing.
    #[serde(default, with = "number::joints")]
    pub arm_set_point_rad: JointVec,
    /// What the arm's motors said last; left out of the log where they say nothing.
    #[serde(default, skip_serializing_if = "Motors::is_silent")]
    pub motors: Motors,
    /// Measured joint positions; stored in `/capture/joints`.
    #[serde(skip)]
    pub position_rad: JointVec,
    /// Measured joint velocities; stored in `/capture/joints`.
    #[serde(skip)]
    pub velocity_rad_s: JointVec,
}

impl CaptureRow {
    /// The joints as they were measured.
    pub fn joints(&self) -> JointState {
        JointState {
            position_rad: self.position_rad.clone(),
            velocity_rad_s: self.velocity_rad_s.clone(),
        }
    }

    /// Whether the arm did something else than it was last told.
    pub fn arm_disobeyed(&self) -> bool {
        self.arm.is_stopped() || self.arm_refused
    }
}

/// The encoder's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EncodeRow {
    /// Whether the previous embedding was kept because no fresh frame had come.
    pub reused: bool,
}

/// The belief update.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct FilterRow {
    /// Divergence of posterior from prior, in nats: how much the observation surprised the model.
    #[serde(with = "number::float")]
    pub kl_nats: f32,
    /// Whether the belief was rolled forward without an observation.
    pub prior_only: bool,
    /// Reward that the model expects in the present belief.
    #[serde(with = "number::float")]
    pub reward_predicted: f32,
}

/// Where the proposed action came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanSource {
    /// Nothing was proposed.
    #[default]
    None,
    /// A plan made in this tick.
    Fresh,
    /// The next step of an earlier plan.
    Tail,
    /// Staying where the arm is.
    Hold,
    /// A controlled stop.
    Stop,
    /// Torque released.
    TorqueOff,
    /// The random policy.
    Random,
    /// A person.
    Teleop,
    /// A policy that sees the simulator's state.
    Oracle,
    /// A motion that was fixed beforehand.
    Scripted,
    /// There is no planner any more.
    Lost,
}

/// The planner's proposal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanRow {
    /// Where [`action`](Self::action) came from.
    pub source: PlanSource,
    /// Search iterations that ran; a replay runs exactly as many.
    pub iterations: u32,
    /// Predicted return of the best candidate of the last iteration.
    #[serde(with = "number::float")]
    pub best_return: f32,
    /// Mean predicted return of the last iteration's elites.
    #[serde(with = "number::float")]
    pub elite_mean_return: f32,
    /// Standard deviation of the elites' first action, averaged over joints.
    #[serde(with = "number::float")]
    pub elite_std: f32,
    /// The proposal, in [-1, 1] a joint.
    #[serde(with = "number::joints")]
    pub action: JointVec,
}

/// Why the tick acted as it did: the rung of the fallback ladder it stood on, and what put it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nothing was wrong.
    #[default]
    Ok,
    /// The planner did not finish in time; the last plan's tail was used, or the arm was stopped where that had happened too often in a
    /// row.
    PlanLate,
    /// No frame was both new and young enough.
    NoFreshFrame,
    /// Too many ticks in a row without a fresh frame.
    FrameGap,
    /// The camera delivers, but always the same picture.
    FrozenFrame,
    /// Observation and model disagree beyond the trust threshold.
    Surprise,
    /// A number was not finite.
    NonFinite,
    /// The arm's port closed, or the arm says nothing any more.
    LinkLost,
    /// The camera's connection closed.
    CameraLost,
    /// The planner's thread ended, or its back end failed.
    PlannerLost,
    /// The arm let go, or does not follow: its own firmware has stopped it.
    ArmStopped,
    /// The arm was stopped in the middle of an episode: by its own watchdog, by somebody else, or since it was placed anew.
    SelfStopped,
    /// The arm's own set point is not one that it was sent.
    OffCourse,
    /// What the arm reports of its joints cannot be.
    BadReport,
    /// A motor is hotter than allowed.
    OverTemperature,
    /// A motor has less supply than allowed.
    LowVoltage,
    /// A motor has more supply than allowed.
    HighVoltage,
    /// A motor is overloaded, or at fault.
    MotorFault,
    /// The log cannot be written, or is no longer there: what the arm did next would be known to nobody.
    LogFailed,
    /// The emergency stop is latched.
    EStop,
    /// The episode is over.
    EpisodeEnd,
    /// A person asked for it.
    Operator,
}

impl From<TroubleKind> for Reason {
    fn from(kind: TroubleKind) -> Self {
        match kind {
            TroubleKind::OverTemperature => Self::OverTemperature,
            TroubleKind::LowVoltage | TroubleKind::Voltage => Self::LowVoltage,
            TroubleKind::HighVoltage => Self::HighVoltage,
            TroubleKind::Overload
            | TroubleKind::Load
            | TroubleKind::OverCurrent
            | TroubleKind::Encoder
            | TroubleKind::Watchdog => Self::MotorFault,
        }
    }
}

impl Reason {
    /// Whether something outside the tick's own decisions brought it about: a connection, a thread, a person. A replay takes such
    /// a reason from the log, since nothing else in the log leads to it.
    pub fn is_from_outside(self) -> bool {
        matches!(
            self,
            Self::CameraLost
                | Self::EStop
                | Self::HighVoltage
                | Self::LinkLost
                | Self::LogFailed
                | Self::LowVoltage
                | Self::MotorFault
                | Self::Operator
                | Self::OverTemperature
                | Self::PlannerLost
                | Self::SelfStopped
        )
    }

    /// Whether the arm was stopped by something other than the loop, so that what the episode's rewards add up to tells nothing.
    pub fn voids_the_return(self) -> bool {
        matches!(self, Self::SelfStopped | Self::ArmStopped | Self::EStop)
    }

    /// What happened and what to do about it, for messages.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Ok => "nothing was wrong",
            Self::PlanLate => {
                "the planner was late; close other programs, lower `planner.candidates` or `planner.iterations`, or, if the arm may go on by an \
                 old plan for longer, raise `trust.tail_ticks`"
            }
            Self::NoFreshFrame | Self::FrameGap => {
                "no usable picture came: none at all, or only old, black, torn or repeated ones, or the light has changed at once (the report \
                 counts them); check the camera and its light, or raise `capture.max_age_s`; if pictures are fine, check what the arm reports of \
                 its joints, which the model sees"
            }
            Self::FrozenFrame => {
                "the camera repeats one picture while the arm moves, or is told to; look for what holds the arm, or restart the camera"
            }
            Self::Surprise => {
                "what the camera sees is not what the model expects; look for what changed in the scene, or retrain"
            }
            Self::NonFinite => {
                "the planner proposed nothing, or something that is no number; check the bundle with `cargo xtask crosscheck`"
            }
            Self::LinkLost => {
                "the arm's port closed, or the arm fell silent or no longer reports on each joint; check the cable and the arm's power"
            }
            Self::PlannerLost => {
                "the planner failed: its message is printed above; choose another `planner.backend`, or start again"
            }
            Self::CameraLost => "the camera's connection closed; start the camera again",
            Self::ArmStopped => {
                "the arm let go, or does not go where it is led; look for what holds it before you start again"
            }
            Self::SelfStopped => {
                "the arm was stopped before the episode had ended: its own watchdog heard nothing in time since this machine or the link was \
                 held up, or something else stopped or placed it; the episode counts as failed; see that the way is free, then start a new run"
            }
            Self::OffCourse => {
                "the arm's own set point is not what it was sent: something else drives it, or its limits are narrower than the robot file's; \
                 make sure that nothing else is connected to the arm, and that robot file and firmware have the same limits"
            }
            Self::BadReport => {
                "the arm reports positions that are no numbers, or joints that jump; check its encoders and their cables"
            }
            Self::OverTemperature => {
                "a motor is too hot; let it cool, and look for what it works against, or lower `arm.torque_limit`"
            }
            Self::LowVoltage => {
                "a motor has too little supply; check the power supply and its cable, or lower `arm.torque_limit`"
            }
            Self::HighVoltage => {
                "a motor has more supply than it may have; take the power away, and check that supply and motors are of one voltage"
            }
            Self::MotorFault => {
                "a motor is overloaded or at fault; look for what holds it, free it, and take its power away and give it back"
            }
            Self::LogFailed => {
                "the log can no longer be written or found, or its disk is too slow; check the disk and the folder of the run"
            }
            Self::EStop => {
                "the emergency stop is latched; make the scene safe, then `armillary clear-e-stop --robot FILE --port PORT`"
            }
            Self::EpisodeEnd => "the episode is over",
            Self::Operator => "you asked for it",
        }
    }
}

/// The guard's decision.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GuardRow {
    /// Why the action is what it is.
    pub reason: Reason,
    /// Limits that intervened, as the bits of [`robot::LimitHits`].
    pub hits: u8,
    /// The action decided: sent at the next edge, or at this one with the immediate pipeline.
    #[serde(with = "number::joints")]
    pub action: JointVec,
    /// Where that action leads by the end of its period.
    #[serde(with = "number::joints")]
    pub set_point_rad: JointVec,
}

/// What went out on the wire at this edge.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ActuateRow {
    /// Sequence number of the command.
    pub command_seq: u32,
    /// The action sent at this edge; it drives the period that starts here.
    #[serde(with = "number::joints")]
    pub action: JointVec,
    /// The set point sent with it.
    #[serde(with = "number::joints")]
    pub set_point_rad: JointVec,
    /// Whether the command left; `false` if the link refused it or there was none.
    pub sent: bool,
}

/// Nanoseconds spent in each stage of a tick, in the order in which data flows. Named in the log, too, so that a viewer can plot
/// `latency_ns.plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StageTimes {
    /// Taking the newest frame.
    pub capture: u64,
    /// Encoding that frame, on whichever thread did it.
    pub encode: u64,
    /// The belief update.
    pub filter: u64,
    /// The search, or the wait for it.
    pub plan: u64,
    /// The guard's decision.
    pub guard: u64,
    /// Sending the command.
    pub actuate: u64,
    /// Recording the row before this one: a row's own time is known only after it is written.
    pub record: u64,
}

impl StageTimes {
    /// Each stage's name and time, in the order in which data flows.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        let Self {
            capture,
            encode,
            filter,
            plan,
            guard,
            actuate,
            record,
        } = *self;
        [
            ("capture", capture),
            ("encode", encode),
            ("filter", filter),
            ("plan", plan),
            ("guard", guard),
            ("actuate", actuate),
            ("record", record),
        ]
    }
}

/// Times and losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordRow {
    /// Nanoseconds spent in each stage.
    pub latency_ns: StageTimes,
    /// How long after its edge the tick began, in nanoseconds.
    pub lateness_ns: u64,
    /// Whether the tick ended after its deadline.
    pub deadline_missed: bool,
    /// Whether the machine, not the program, was the cause: the thread was not running when it could have been.
    pub host_stall: bool,
    /// Records lost since the episode began because the ring to the writer was full.
    pub dropped: u32,
}
