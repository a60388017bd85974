//! Rewards that are known from where the joints are.
//!
//! A planner maximises the sum of rewards that its model predicts. The model learns them from logs, so a reward is needed at training time alone. One that
//! depends on the joints can be computed while an arm is driven, and again later over its logs.

use std::fmt;

use crate::{Chain, JointVec};

/// What is to be reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// A pose: an angle a joint, in radians.
    Joints(JointVec),
    /// A place of the tip in the base frame, in metres, by forward kinematics.
    Tip([f32; 3]),
}

/// When the goal counts as reached, which ends the episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Success {
    /// Farthest distance, in the goal's unit.
    pub within: f32,
    /// Consecutive ticks so near to it.
    pub ticks: u32,
}

/// A reward: `weight * (1 - tanh(distance / scale))`. It is `weight` at the goal, and falls to nothing far away.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardRule {
    /// What is to be reached.
    pub goal: Goal,
    /// The distance at which a quarter of the reward is left (`1 - tanh(1)` = 0.24), in the goal's unit.
    pub scale: f32,
    /// The reward at the goal.
    pub weight: f32,
    /// When the goal is reached; an episode goes on at the goal without it.
    pub success: Option<Success>,
}

impl RewardRule {
    /// How far the goal is: the length of the difference of all joints, in radians, or of the tip's way, in metres. `None` where the joints are not
    /// known: another number of them, or what is no number.
    pub fn distance(&self, chain: &Chain, position_rad: &[f32]) -> Option<f32> {
        let squares: f32 = match &self.goal {
            Goal::Joints(goal_rad) if goal_rad.len() == position_rad.len() => goal_rad
                .iter()
                .zip(position_rad)
                .map(|(goal, position)| (goal - position) * (goal - position))
                .sum(),
            Goal::Joints(_) => return None,
            Goal::Tip(goal_m) if !position_rad.is_empty() => {
                let tip = chain.tip_m(position_rad);
                goal_m
                    .iter()
                    .zip(tip.coords.iter())
                    .map(|(goal, tip)| (goal - tip) * (goal - tip))
                    .sum()
            }
            Goal::Tip(_) => return None,
        };
        Some(squares.sqrt()).filter(|distance| distance.is_finite())
    }

    /// The reward of a distance.
    pub fn reward(&self, distance: f32) -> f32 {
        self.weight * (1.0 - (distance / self.scale).tanh())
    }
}

/// As a robot file has it. Logs call the source of their rewards so: rewards of two goals are two rewards.
impl fmt::Display for RewardRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match &self.goal {
            Goal::Joints(goal_rad) => {
                write!(f, "joint_goal(goal_rad: {:?}, ", goal_rad.as_slice())?;
                "rad"
            }
            Goal::Tip([x, y, z]) => {
                write!(f, "tip_goal(goal_m: ({x:?}, {y:?}, {z:?}), ")?;
                "m"
            }
        };
        write!(f, "scale_{unit}: {:?}, weight: {:?}", self.scale, self.weight)?;
        if let Some(Success { within, ticks }) = self.success {
            write!(f, ", success: (within_{unit}: {within:?}, ticks: {ticks})")?;
        }
        f.write_str(")")
    }
}
