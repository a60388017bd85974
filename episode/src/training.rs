//! From logs to training data.

use robot::FRAME_BYTES;

use crate::error::EpisodeError;
use crate::reader::Episode;
use crate::row::TickRecord;

/// An unbroken stretch of an episode, laid out for training.
///
/// `actions[t]` is the action that **caused** `frames[t]` and `rewards[t]`; `actions[0]` is zero, because what led to
/// the first frame is outside the stretch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingEpisode {
    /// `length` frames of [`FRAME_BYTES`] bytes, row-major RGB.
    pub frames: Vec<u8>,
    /// `length` rows of `action_dim` numbers in [-1, 1].
    pub actions: Vec<f32>,
    /// Reward of the state that each frame shows.
    pub rewards: Vec<f32>,
    /// T: frames in the stretch, at least two.
    pub length: usize,
    /// A: numbers an action, one a joint.
    pub action_dim: usize,
}

impl Episode {
    /// The episode as training data.
    ///
    /// The action of frame t is the one **sent** at the edge before it (`ticks[t - 1].actuate`), not the one planned
    /// or decided. A command that did not leave (`sent` is false) asked for no motion and counts as zero.
    ///
    /// A stretch ends where the next tick is missing from the log, has no fresh frame, has a reward or an action that is
    /// not finite, or finds that the arm has stopped by itself or refused a command, and so has done something
    /// else than was sent; the next one starts at the next usable tick. Repeating the last frame instead would teach
    /// the model that actions have no effect. Stretches of one frame have no transition and are left out, so that a clean episode
    /// gives one element, and a hopeless one none. A log that was cut off gives what was saved of it.
    ///
    /// # Errors
    /// [`EpisodeError::Inconsistent`] if an action that was sent does not have one number a joint.
    pub fn training(&self) -> Result<Vec<TrainingEpisode>, EpisodeError> {
        let action_dim = self.info.joint_names.len();
        let mut stretches = Vec::new();
        let mut stretch = TrainingEpisode {
            action_dim,
            ..TrainingEpisode::default()
        };
        let mut previous: Option<&TickRecord> = None;
        for (tick, frame) in self.ticks.iter().zip(&self.frames) {
            // An episode begins with the arm held; after the first command it must follow.
            let disobeyed = tick.tick > 0 && tick.capture.arm_disobeyed();
            let usable = tick.capture.fresh && tick.capture.reward.is_finite() && !disobeyed;
            let follows = previous.is_some_and(|previous| {
                tick.tick.checked_sub(1) == Some(previous.tick)
                    && previous.actuate.action.iter().all(|value| value.is_finite())
            });
            if !(usable && follows) {
                stretch.end(&mut stretches);
            }
            if let Some(frame) = frame.as_ref().filter(|_| usable) {
                stretch.frames.extend_from_slice(frame.rgb());
                stretch.rewards.push(tick.capture.reward);
                match previous.filter(|previous| stretch.length > 0 && previous.actuate.sent) {
                    Some(previous) => stretch.actions.extend_from_slice(self.action_sent(previous)?),
                    None => stretch.actions.extend(std::iter::repeat_n(0.0, action_dim)),
                }
                stretch.length += 1;
            } else {
                stretch.end(&mut stretches);
            }
            previous = Some(tick);
        }
        stretch.end(&mut stretches);
        Ok(stretches)
    }

    fn action_sent<'a>(&self, tick: &'a TickRecord) -> Result<&'a [f32], EpisodeError> {
        let (action, joints) = (&tick.actuate.action, self.info.joint_names.len());
        if action.len() == joints {
            return Ok(action);
        }
        let problem = format!(
            "an action of {} numbers was sent to {joints} joints",
            action.len()
        );
        Err(EpisodeError::Inconsistent {
            path: self.path.clone(),
            tick: tick.tick,
            problem,
        })
    }
}

impl TrainingEpisode {
    /// Moves this stretch to `stretches`, if it has a transition, and starts the next.
    fn end(&mut self, stretches: &mut Vec<Self>) {
        let next = Self {
            action_dim: self.action_dim,
            ..Self::default()
        };
        let done = std::mem::replace(self, next);
        if done.length > 1 {
            debug_assert_eq!(done.frames.len(), done.length * FRAME_BYTES);
            stretches.push(done);
        }
    }
}
