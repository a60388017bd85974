//! An episode between two formats.

use std::path::{Path, PathBuf};

use episode::{
    ActuateRow, ArmState, Attachment, CaptureRow, EpisodeInfo, EpisodeWriter, GuardRow, PlanRow, PlanSource,
    Reason, TickRecord,
};
use robot::{Frame, JointVec};

use crate::{DatasetError, Report};

/// One control period of an episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Its number in the episode, from 0. Steps with consecutive numbers follow one another; a number that is missing is a gap.
    pub tick: u32,
    /// What the camera saw at its start.
    pub frame: Frame,
    /// Reward of the state that the frame shows; `None` where nobody knows it.
    pub reward: Option<f32>,
    /// Measured joint positions at its start.
    pub position_rad: JointVec,
    /// Measured joint velocities at its start.
    pub velocity_rad_s: JointVec,
    /// The action sent at its start, in [-1, 1] a joint.
    pub action: JointVec,
    /// Where that action led.
    pub set_point_rad: JointVec,
    /// Whether an action was sent at all; the last frame of an episode has none.
    pub sent: bool,
}

/// An episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    /// Its number in the data set it came from.
    pub index: u64,
    /// What the arm was to do.
    pub task: String,
    /// Whether the episode was over at its last step, and not cut off there.
    pub ended: bool,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// Where imported episodes came from, for their logs.
#[derive(Debug, Clone)]
pub struct Source {
    /// What all episodes share; the task is each recording's own.
    pub info: EpisodeInfo,
    /// The robot file that goes into each log.
    pub robot_text: String,
    /// Width and height that pictures are brought to, in pixels: those of the robot file.
    pub frame_side: usize,
}

/// What an import made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// What was found, and what was left out.
    pub report: Report,
    /// Episodes of which something was taken.
    pub episodes: u64,
    /// The logs.
    pub logs: Vec<PathBuf>,
    /// Control periods in them.
    pub steps: u64,
    /// Actions that the robot's limits do not allow, cut to what they do.
    pub clipped: u64,
    /// Episodes whose last row has a reward other than 0 that belongs to the picture after it, which no data set holds.
    pub last_rewards: u64,
}

/// What to do with the reward of an episode's last action: the picture that it belongs to was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastReward {
    /// It is left out.
    #[default]
    Drop,
    /// It is added to that of the last picture, a period too early: better than nothing where success is rewarded once, at the end.
    ToLastPicture,
}

/// Moves rewards, each of the action taken at its step, to the pictures that the actions led to. Returns whether a reward other
/// than 0 was left over at the end. Where the next picture is missing, its reward is dropped.
pub(crate) fn rewards_to_next(steps: &mut [Step], last: LastReward) -> bool {
    let mut before: Option<(u32, Option<f32>)> = None;
    for step in &mut *steps {
        let led_here = before.filter(|(tick, _)| tick + 1 == step.tick);
        before = Some((step.tick, step.reward));
        step.reward = led_here.and_then(|(_, reward)| reward);
    }
    let left = before.and_then(|(_, reward)| reward).unwrap_or(0.0);
    if last == LastReward::ToLastPicture
        && left != 0.0
        && let Some(step) = steps.last_mut()
    {
        step.reward = Some(step.reward.unwrap_or(0.0) + left);
    }
    left != 0.0
}

impl Imported {
    /// Writes `recording` into `dir` and takes note of it.
    pub(crate) fn write(
        &mut self,
        dir: &Path,
        source: &Source,
        recording: &Recording,
    ) -> Result<(), DatasetError> {
        let path = dir.join(format!("episode-{:06}.mcap", recording.index));
        let info = EpisodeInfo {
            task: recording.task.clone(),
            episode_seed: recording.index,
            ..source.info.clone()
        };
        let robot: Attachment<'_> = ("robot.ron", "text/plain", source.robot_text.as_bytes());
        let attachments = if source.robot_text.is_empty() {
            &[][..]
        } else {
            &[robot]
        };
        let mut writer = EpisodeWriter::create(&path, &info, attachments)?;
        let period_ns = (f64::from(info.period_s) * 1e9).round() as u64;
        for (index, step) in recording.steps.iter().enumerate() {
            let edge_ns = u64::from(step.tick) * period_ns;
            let mut row = step.row(edge_ns);
            if recording.ended && index + 1 == recording.steps.len() {
                row.guard.reason = Reason::EpisodeEnd;
            }
            writer.write_tick(&row, Some(&step.frame), edge_ns)?;
        }
        writer.finish()?;
        self.steps += recording.steps.len() as u64;
        self.logs.push(path);
        Ok(())
    }
}

impl Step {
    fn row(&self, edge_ns: u64) -> TickRecord {
        let tick = self.tick;
        TickRecord {
            tick,
            edge_ns,
            capture: CaptureRow {
                frame_seq: u64::from(tick),
                frame_hash: self.frame.hash(),
                fresh: true,
                reward: self.reward,
                arm: ArmState::Active,
                position_rad: self.position_rad.clone(),
                velocity_rad_s: self.velocity_rad_s.clone(),
                ..CaptureRow::default()
            },
            plan: PlanRow {
                // Whoever acted, it was not this program.
                source: PlanSource::Teleop,
                action: self.action.clone(),
                ..PlanRow::default()
            },
            guard: GuardRow {
                action: self.action.clone(),
                set_point_rad: self.set_point_rad.clone(),
                ..GuardRow::default()
            },
            actuate: ActuateRow {
                command_seq: tick + 1,
                action: self.action.clone(),
                set_point_rad: self.set_point_rad.clone(),
                sent: self.sent,
            },
            ..TickRecord::default()
        }
    }
}
