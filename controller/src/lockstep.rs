//! Episodes in a world that waits: simulation as fast as the machine goes, the same every time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use episode::{Attachment, EpisodeError, EpisodeInfo, EpisodeWriter, Pictures, Reason};
use robot::device::{DeviceError, LinkError, Lockstep, Motors};
use robot::{Clock, Frame, SystemClock};
use world_model::Encoder;

use crate::actuate::World;
use crate::capture::{CapturePanicked, Captured, KeptPicture};
use crate::encode::embed;
use crate::plan::Limit;
use crate::record::{Recorder, TooLarge};
use crate::tick::{Controller, Timing};
use guard::Rules;

/// Why an episode did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum EpisodeRunError {
    /// The link to the arm.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The arm does not know where its joints are.
    #[error(
        "the arm reports positions {position_rad:?} and set points {set_point_rad:?} for {joints} joints; check its \
         encoders and their cables before it may move"
    )]
    NoPose {
        /// Joints in the robot file.
        joints: usize,
        /// As reported.
        position_rad: robot::JointVec,
        /// As reported.
        set_point_rad: robot::JointVec,
    },
    /// The camera, the task, or a world that waits.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The log.
    #[error(transparent)]
    Log(#[from] EpisodeError),
    /// The thread that takes frames in.
    #[error(transparent)]
    Capture(#[from] CapturePanicked),
    /// A thread.
    #[error("cannot start a thread: {0}; close other programs and try again")]
    Thread(#[from] std::io::Error),
}

/// What came of an episode.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Sum of rewards of the states its actions led to, those that have none left out; `None` if none has one.
    pub total_reward: Option<f32>,
    /// Control periods.
    pub ticks: u32,
    /// Periods whose decision came too late.
    pub deadline_misses: u32,
    /// Of these, how many the machine caused by not running us.
    pub host_stalls: u32,
    /// Why it ended, if the guard ended it.
    pub stopped: Option<Reason>,
    /// What its pictures have in common.
    pub pictures: Pictures,
    /// How many of the camera's own pictures are in the log beside them.
    pub camera_pictures: u64,
    /// Those that were to be kept and are not.
    pub too_large: TooLarge,
    /// Pictures that were not used, since they repeat one although the arm has moved.
    pub repeated: u64,
    /// What the arm or its motors said of the fault that ended it, if they did.
    pub problem: Option<String>,
    /// Its log.
    pub log: PathBuf,
}

impl Outcome {
    /// Adds the reward of a state, if there is one. What is no number is none.
    pub(crate) fn earn(&mut self, reward: Option<f32>) {
        if let Some(reward) = reward.filter(|reward| reward.is_finite()) {
            *self.total_reward.get_or_insert(0.0) += reward;
        }
    }

    /// The return as a person reads it, with two digits; `none` where no reward was given.
    pub fn return_text(&self) -> String {
        self.total_reward
            .map_or_else(|| "none".to_owned(), |total| format!("{total:.2}"))
    }

    /// Warns of pictures of the camera's own that did not fit into the `room` bytes that were reserved for each.
    pub(crate) fn tell_of_too_large(&self, room: usize) {
        let TooLarge {
            pictures,
            largest_bytes,
        } = self.too_large;
        if pictures > 0 {
            log::warn!(
                "{}: {pictures} of the camera's own pictures were not kept, since each has more than the {room} bytes that are reserved \
                 (the largest has {largest_bytes}); set the camera to smaller pictures or to more compression",
                self.log.display()
            );
        }
    }

    /// Warns of logs whose pictures show nothing, once for each kind: a model that learns from them learns nothing, and the
    /// return does not show it.
    pub fn tell_of_pictures(outcomes: &[Self]) {
        for kind in [Pictures::OneColour, Pictures::Same] {
            let mut concerned = outcomes.iter().filter(|outcome| outcome.pictures == kind);
            if let (Some(complaint), Some(first)) = (kind.complaint(), concerned.next()) {
                log::warn!(
                    "{complaint} in {} of {} episodes, the first of them {}: a model learns nothing from such pictures; look \
                     at what the camera or the environment delivers",
                    1 + concerned.count(),
                    outcomes.len(),
                    first.log.display()
                );
            }
        }
    }
}

/// Who and what an episode is of.
#[derive(Debug)]
pub struct Labels<'a> {
    /// The log to write.
    pub log: &'a Path,
    /// Its description.
    pub info: EpisodeInfo,
    /// Files kept in it.
    pub attachments: &'a [Attachment<'a>],
}

struct WaitingWorld<'a> {
    encoder: Option<&'a mut Encoder>,
    clock: &'a SystemClock,
    now: &'a mut Option<Captured>,
    commanded: Option<robot::JointVec>,
    seq: u32,
}

impl World for WaitingWorld<'_> {
    fn listen(&mut self, held: &mut Captured) {
        if let Some(now) = &self.now {
            held.arm = now.arm;
            held.arm_set_point_rad.clone_from(&now.arm_set_point_rad);
        }
    }

    fn capture(&mut self, _edge_ns: u64, held: &mut Box<Captured>) -> bool {
        let Some(mut captured) = self.now.take() else {
            return false;
        };
        std::mem::swap(&mut captured.embedding, &mut held.embedding);
        **held = captured;
        true
    }

    fn encode(&mut self, held: &mut Captured) {
        held.encode_ns = embed(
            self.encoder.as_deref_mut(),
            &held.frame,
            &mut held.embedding,
            self.clock,
        );
    }

    fn actuate(&mut self, set_point_rad: &[f32]) -> Option<u32> {
        self.commanded = Some(set_point_rad.iter().copied().collect());
        Some(self.seq)
    }

    fn fault(&self) -> Option<Reason> {
        None
    }
}

/// Runs one episode of `ticks` control periods and writes its log. The world waits, but with a `deadline` it does so for no
/// longer than that for a plan.
///
/// # Errors
/// [`EpisodeRunError`]; the log then holds what happened until then.
pub fn run(
    controller: &mut Controller,
    encoder: Option<&mut Encoder>,
    waiting: &mut dyn Lockstep,
    ticks: u32,
    deadline: Option<Duration>,
    labels: &Labels<'_>,
) -> Result<Outcome, EpisodeRunError> {
    if let Some(kept) = controller.kept() {
        return Err(kept.refuse_lockstep().into());
    }
    let info = &labels.info;
    let clock = SystemClock::default();
    let side = controller.frame().side();
    let mut frame = Frame::new(side);
    let mut observation = waiting.reset(info.episode_seed, &mut frame)?;
    controller.set_rules(Rules::Waiting);
    controller.reset(&observation.set_point_rad, info.planner_seed);
    let writer = EpisodeWriter::create(labels.log, info, labels.attachments)?;
    let mut recorder = Recorder::start(writer, side, 0)?;
    let period_ns = (f64::from(info.period_s) * 1e9) as u64;
    let mut outcome = Outcome {
        total_reward: None,
        ticks: 0,
        deadline_misses: 0,
        host_stalls: 0,
        stopped: None,
        pictures: Pictures::None,
        camera_pictures: 0,
        too_large: TooLarge::default(),
        repeated: 0,
        problem: None,
        log: labels.log.to_owned(),
    };
    let mut encoder = encoder;
    for tick in 0..=ticks {
        // Edges are counted, not measured: a log's times are the same on every machine.
        let edge_ns = u64::from(tick) * period_ns;
        let mut now = Some(Captured {
            frame: frame.clone(),
            picture: KeptPicture::default(),
            // The tick puts its own in the place.
            embedding: Vec::new(),
            frame_seq: u64::from(tick),
            captured_ns: edge_ns,
            reward: observation.reward,
            joints: observation.joints.clone(),
            arm: observation.state,
            ended: observation.ended,
            arm_refused: false,
            arm_set_point_rad: observation.set_point_rad.clone(),
            motors: Motors::default(),
            encode_ns: 0,
        });
        let mut world = WaitingWorld {
            encoder: encoder.as_deref_mut(),
            clock: &clock,
            now: &mut now,
            commanded: None,
            seq: tick + 1,
        };
        let last = tick == ticks || observation.ended || controller.has_succeeded();
        let timing = Timing {
            tick,
            edge_ns,
            clock: &clock,
            limit: deadline.map_or(Limit::None, |deadline| {
                Limit::Deadline(&clock, clock.now_ns() + deadline.as_nanos() as u64)
            }),
            last,
        };
        let (row, stop) = controller.tick(&mut world, timing);
        let commanded = world.commanded.take();
        let mut row = row.clone();
        row.record.lateness_ns = 0;
        recorder.push(
            &row,
            Some(controller.frame()),
            controller.picture(),
            edge_ns,
            true,
        );
        if tick > 0 {
            outcome.earn(row.capture.reward);
            outcome.ticks = tick;
        }
        outcome.stopped = stop;
        if last || stop.is_some() || recorder.failed() {
            break;
        }
        observation = match commanded {
            Some(set_point) => waiting.step(&set_point, &mut frame)?,
            None => waiting.pass(&mut frame)?,
        };
    }
    waiting.bus().send_stop()?;
    outcome.pictures = recorder.finish()?.pictures;
    Ok(outcome)
}
