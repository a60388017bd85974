//! The reward as a robot file names it.

use serde::Deserialize;

use super::ConfigError;
use super::check::Checker;
use crate::reward::{Goal, RewardRule, Success};
use crate::{ActionMode, Envelope};

/// Who says how good a tick was.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawReward {
    /// The simulated task, or the server of the camera: as without the field.
    Simulator,
    /// The distance to a pose.
    JointGoal {
        /// An angle a joint, base first.
        goal_rad: Vec<f32>,
        /// The distance at which a quarter is left.
        scale_rad: f32,
        /// The reward at the goal.
        #[serde(default = "one")]
        weight: f32,
        /// When it is reached.
        #[serde(default)]
        success: Option<RawJointSuccess>,
    },
    /// The distance of the tip to a place.
    TipGoal {
        /// The place, in the base frame.
        goal_m: [f32; 3],
        /// The distance at which a quarter is left.
        scale_m: f32,
        /// The reward at the goal.
        #[serde(default = "one")]
        weight: f32,
        /// When it is reached.
        #[serde(default)]
        success: Option<RawTipSuccess>,
    },
}

/// When a pose is reached.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawJointSuccess {
    /// Farthest distance.
    pub within_rad: f32,
    /// Consecutive ticks.
    pub ticks: u32,
}

/// When a place is reached.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTipSuccess {
    /// Farthest distance.
    pub within_m: f32,
    /// Consecutive ticks.
    pub ticks: u32,
}

fn one() -> f32 {
    1.0
}

impl Checker<'_> {
    /// The reward that is computed from the joints; `None` where somebody else gives it.
    pub(super) fn reward(
        &self,
        raw: Option<RawReward>,
        envelope: &Envelope,
    ) -> Result<Option<RewardRule>, ConfigError> {
        let (rule, unit) = match raw {
            None | Some(RawReward::Simulator) => return Ok(None),
            Some(RawReward::JointGoal {
                goal_rad,
                scale_rad,
                weight,
                success,
            }) => {
                let joints = envelope.joints();
                self.count("reward.goal_rad", goal_rad.len(), joints.len(), joints.len())?;
                self.finite("reward.goal_rad", &goal_rad)?;
                for (joint, rad) in joints.iter().zip(&goal_rad) {
                    if !(joint.position_min_rad..=joint.position_max_rad).contains(rad) {
                        let problem = format!("{rad:?} is outside of what `{}` can reach", joint.name);
                        let remedy = "write one angle a joint, base first, within its `position_rad`";
                        return Err(self.refuse("reward.goal_rad", problem, remedy));
                    }
                }
                let rule = RewardRule {
                    goal: Goal::Joints(goal_rad.into_iter().collect()),
                    scale: scale_rad,
                    weight,
                    success: success.map(|success| Success {
                        within: success.within_rad,
                        ticks: success.ticks,
                    }),
                };
                (rule, "rad")
            }
            Some(RawReward::TipGoal {
                goal_m,
                scale_m,
                weight,
                success,
            }) => {
                self.finite("reward.goal_m", &goal_m)?;
                if envelope.mode() == ActionMode::Absolute {
                    let problem = "needs an arm with links, and this robot has none";
                    return Err(self.refuse("reward", problem, "write `joint_goal(..)`"));
                }
                if !envelope.holds(goal_m) {
                    let problem = format!("{goal_m:?} is outside of the workspace box");
                    return Err(self.refuse(
                        "reward.goal_m",
                        problem,
                        "write a place within `workspace_m`, in metres",
                    ));
                }
                let rule = RewardRule {
                    goal: Goal::Tip(goal_m),
                    scale: scale_m,
                    weight,
                    success: success.map(|success| Success {
                        within: success.within_m,
                        ticks: success.ticks,
                    }),
                };
                (rule, "m")
            }
        };
        self.within(&format!("reward.scale_{unit}"), rule.scale, 1e-4, 1e3)?;
        self.within("reward.weight", rule.weight, 1e-3, 1e3)?;
        if let Some(Success { within, ticks }) = rule.success {
            self.within(&format!("reward.success.within_{unit}"), within, 1e-4, 1e3)?;
            self.count("reward.success.ticks", ticks as usize, 1, 1_000_000)?;
        }
        Ok(Some(rule))
    }
}
