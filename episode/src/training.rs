//! From logs to training data.

use std::ops::Range;

use robot::Frame;

use crate::error::EpisodeError;
use crate::reader::Episode;
use crate::row::TickRecord;

/// An unbroken stretch of an episode, laid out for training.
///
/// `actions[t]` is the action that **caused** `frames[t]` and `rewards[t]`; `actions[0]` is zero, because what led to
/// the first frame is outside the stretch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingEpisode {
    /// `length` frames of `side` x `side` pixels, row-major RGB.
    pub frames: Vec<u8>,
    /// Width and height of a frame, in pixels.
    pub side: usize,
    /// `length` rows of `action_dim` numbers in [-1, 1].
    pub actions: Vec<f32>,
    /// Reward of the state that each frame shows, a finite number; `None` where nobody gave one.
    pub rewards: Vec<Option<f32>>,
    /// `length` rows of `2 action_dim` numbers, a position in radians and a velocity in radians a second for each joint in
    /// turn, as the arm had last reported them at the tick that used the frame; NaN where the log has none. Whoever trains on
    /// joints is to look.
    pub joints: Vec<f32>,
    /// T: frames in the stretch, at least two.
    pub length: usize,
    /// A: numbers an action, one a joint.
    pub action_dim: usize,
}

impl Episode {
    /// Ranges of ticks that follow one another without a break, of two or more.
    ///
    /// A stretch ends where the next tick is missing from the log, has no fresh frame, has a reward or an action that is
    /// not finite (a frame without a reward still shows what actions do, and ends none), or finds that the arm has stopped by itself or refused a command, and so has done something
    /// else than was sent; the next one starts at the next usable tick. Stretches of one frame have no transition and are
    /// left out, so that a clean episode gives one, and a hopeless one none.
    pub fn stretches(&self) -> Vec<Range<usize>> {
        let mut stretches = Vec::new();
        let mut open: Option<Range<usize>> = None;
        for (index, tick) in self.ticks.iter().enumerate() {
            // An episode begins with the arm held; after the first command it must follow.
            let disobeyed = tick.tick > 0 && tick.capture.arm_disobeyed();
            let seen = tick.capture.fresh && self.frames.get(index).is_some_and(Option::is_some);
            let usable = seen && tick.capture.reward.is_none_or(f32::is_finite) && !disobeyed;
            let follows = index.checked_sub(1).is_some_and(|before| {
                let previous: &TickRecord = &self.ticks[before];
                tick.tick.checked_sub(1) == Some(previous.tick)
                    && previous.actuate.action.iter().all(|value| value.is_finite())
            });
            match &mut open {
                Some(range) if usable && follows => range.end = index + 1,
                _ => {
                    stretches.extend(open.take());
                    open = usable.then_some(index..index + 1);
                }
            }
        }
        stretches.extend(open);
        stretches.retain(|range| range.len() > 1);
        stretches
    }

    /// The episode as training data, an element for each of its [`stretches`](Self::stretches). Repeating a frame where one
    /// is missing would teach the model that actions have no effect.
    ///
    /// The action of frame t is the one **sent** at the edge before it (`ticks[t - 1].actuate`), not the one planned
    /// or decided. Where none left (`sent` is false) the row holds what stood instead: nothing for an arm, which held, and the
    /// control it was under for an actuator. A log that was cut off gives what was saved of it.
    ///
    /// A picture that was late by D control periods shows the world D rows earlier ([`picture_delay_ticks`](crate::EpisodeInfo::picture_delay_ticks)): a stretch gives
    /// D frames less than it has rows, and one of D + 1 rows or fewer none.
    ///
    /// # Errors
    /// [`EpisodeError::Inconsistent`] if an action does not have one number a joint.
    pub fn training(&self) -> Result<Vec<TrainingEpisode>, EpisodeError> {
        let action_dim = self.info.joint_names.len();
        let mut episodes = Vec::new();
        let delay = self.info.picture_delay_ticks as usize;
        for seen in self.stretches() {
            // The rows whose world was seen, and the later ones that show it.
            let range = seen.start..seen.end.saturating_sub(delay);
            if range.len() < 2 {
                continue;
            }
            let shows = seen.start + delay..seen.end;
            let mut episode = TrainingEpisode {
                length: range.len(),
                side: self.frame_side().unwrap_or_default(),
                action_dim,
                ..TrainingEpisode::default()
            };
            for frame in self.frames[shows].iter().flatten() {
                episode.frames.extend_from_slice(frame.rgb());
            }
            debug_assert_eq!(episode.frames.len(), episode.length * Frame::bytes(episode.side));
            let ticks = &self.ticks[range];
            episode
                .rewards
                .extend(ticks.iter().map(|tick| tick.capture.reward));
            for tick in ticks {
                let (positions, velocities) = (&tick.capture.position_rad, &tick.capture.velocity_rad_s);
                let number = |numbers: &[f32], joint| numbers.get(joint).copied().unwrap_or(f32::NAN);
                episode.joints.extend(
                    (0..action_dim).flat_map(|joint| [number(positions, joint), number(velocities, joint)]),
                );
            }
            episode.actions.resize(action_dim, 0.0);
            for previous in &ticks[..ticks.len() - 1] {
                episode.actions.extend_from_slice(self.action(previous)?);
            }
            episodes.push(episode);
        }
        Ok(episodes)
    }

    fn action<'a>(&self, tick: &'a TickRecord) -> Result<&'a [f32], EpisodeError> {
        let (action, joints) = (&tick.actuate.action, self.info.joint_names.len());
        if action.len() == joints {
            return Ok(action);
        }
        let problem = format!("an action of {} numbers for {joints} joints", action.len());
        Err(EpisodeError::Inconsistent {
            path: self.path.clone(),
            tick: tick.tick,
            problem,
        })
    }
}
