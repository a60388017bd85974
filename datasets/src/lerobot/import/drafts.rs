//! The numbers and the picture of each row, read in the second pass, until the rows of an episode are complete.

use std::path::Path;

use arrow_array::{Array, LargeBinaryArray};
use robot::{Frame, JointVec, joint};

use super::found::Found;
use super::meta::state_problem;
use crate::lerobot::columns::{Rows, Vectors};
use crate::lerobot::layout;
use crate::recording::Step;
use crate::{DatasetError, picture};

/// A row of one episode.
#[derive(Debug)]
pub(super) struct Draft {
    /// All but its tick, its frame if that is in a video, and a velocity that nobody measured.
    pub(super) step: Step,
    pub(super) frame: Option<Frame>,
    /// Width and height that its picture had, where they are not as the data set says.
    pub(super) other_size: Option<(u64, u64)>,
    /// Whether the episode is over after it, where the data set says so.
    pub(super) done: Option<bool>,
    /// Whether its velocity was measured.
    pub(super) measured_velocity: bool,
}

/// The columns of a batch that a row is made of.
pub(super) struct Table<'a> {
    path: &'a Path,
    /// Width and height that pictures are brought to, in pixels.
    side: usize,
    action: Vectors,
    state: Option<Vectors>,
    reward: Option<Vectors>,
    own: Option<Own>,
    done: Option<Vec<Option<bool>>>,
    pictures: Option<LargeBinaryArray>,
}

/// Columns of our own exports.
struct Own {
    velocity: Vectors,
    sent_action: Vectors,
    sent: Vec<Option<bool>>,
}

impl<'a> Table<'a> {
    pub(super) fn of(set: &Found, side: usize, rows: &Rows<'a>) -> Result<Self, DatasetError> {
        let joints = set.actuators.len();
        // What is not one number a joint (a whole scene, say) is no joint position.
        let of_joints = state_problem(&set.info, joints).is_none();
        let own = match set.own {
            None => None,
            Some(_) => Some(Own {
                velocity: rows.vectors(layout::VELOCITY)?,
                sent_action: rows.vectors(layout::SENT_ACTION)?,
                sent: rows.flags(layout::SENT)?,
            }),
        };
        let reward = if own.is_some() {
            layout::REWARD
        } else {
            layout::NEXT_REWARD
        };
        Ok(Self {
            path: rows.path,
            side,
            action: rows.vectors(layout::ACTION)?,
            state: match own.is_some() || of_joints {
                true => Some(rows.vectors(layout::STATE)?),
                false => None,
            },
            reward: match rows.has(reward) {
                true => Some(rows.vectors(reward)?),
                false => None,
            },
            own,
            done: match rows.has(layout::NEXT_DONE) {
                true => Some(rows.flags(layout::NEXT_DONE)?),
                false => None,
            },
            pictures: match set.camera.is_video {
                true => None,
                false => Some(rows.pictures(&set.camera.name)?),
            },
        })
    }

    /// The row, or what is wrong with it.
    pub(super) fn draft(&self, set: &Found, row: usize) -> Result<Draft, String> {
        let joints = set.actuators.len();
        let vector = |column: &Vectors| -> Result<JointVec, String> {
            Ok(column.finite(row, joints)?.iter().copied().collect())
        };
        let goal = vector(&self.action)?;
        let position_rad = match &self.state {
            Some(state) => vector(state)?,
            None => goal.clone(),
        };
        // A reward that is no number is a reward that nobody knows.
        let reward = self.reward.as_ref().and_then(|column| column.finite(row, 1).ok());
        let reward = reward.map(|reward| reward[0]);
        let decoded = match &self.pictures {
            None => None,
            Some(pictures) if pictures.is_null(row) || pictures.value(row).is_empty() => {
                return Err(format!("{} has no picture in it", set.camera.name));
            }
            Some(pictures) => Some(self.decoded(set, pictures.value(row))?),
        };
        let (velocity_rad_s, action, sent) = match &self.own {
            Some(own) => (
                vector(&own.velocity)?,
                sent_action(vector(&own.sent_action)?)?,
                own.sent[row].ok_or_else(|| format!("{} lacks a flag", layout::SENT))?,
            ),
            None => {
                let range = set.actuators.iter().map(|actuator| (actuator.low, actuator.high));
                let action = goal.iter().zip(range).map(|(goal, (low, high))| {
                    let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
                    ((goal - middle) / half).clamp(-1.0, 1.0)
                });
                (joint::zeros(joints), action.collect(), true)
            }
        };
        Ok(Draft {
            measured_velocity: self.own.is_some(),
            done: self.done.as_ref().and_then(|flags| flags[row]),
            other_size: decoded
                .as_ref()
                .map(|(_, size)| *size)
                .filter(|size| set.camera.size.is_some_and(|said| said != *size)),
            frame: decoded.map(|(frame, _)| frame),
            step: Step {
                reward,
                position_rad,
                velocity_rad_s,
                action,
                set_point_rad: goal,
                sent,
                ..Step::default()
            },
        })
    }

    fn decoded(&self, set: &Found, bytes: &[u8]) -> Result<(Frame, (u64, u64)), String> {
        picture::decode(bytes, set.camera.grey, self.side)
            .map_err(|problem| format!("{}: {problem}", set.camera.name))
    }

    /// The file that the rows are in.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }
}

/// An action of an export of ours, which is in [-1, 1]; the error says what is wrong with it.
fn sent_action(action: JointVec) -> Result<JointVec, String> {
    match action.iter().find(|value| value.abs() > 1.0) {
        Some(value) => Err(format!("{} is {value}, beyond [-1, 1]", layout::SENT_ACTION)),
        None => Ok(action),
    }
}
