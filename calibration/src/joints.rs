//! Joint mapping and action scaling.

use robot::{ActionMode, Config};

/// Order, names and action scale of the joints.
#[derive(Debug, Clone, PartialEq)]
pub struct JointMapping {
    mode: ActionMode,
    joints: Vec<(String, f32)>,
    /// What an action of 0 asks for, where that is a place.
    middles_rad: Vec<f32>,
}

impl JointMapping {
    /// The mapping a robot file declares: what an action of 1 asks of each joint.
    pub fn of(config: &Config) -> Self {
        let mode = config.envelope.mode();
        let joints = config
            .envelope
            .joints()
            .iter()
            .map(|joint| (joint.name.clone(), joint.action_scale(mode)))
            .collect();
        let middles_rad = match mode {
            ActionMode::Velocity => Vec::new(),
            ActionMode::Absolute => config
                .envelope
                .joints()
                .iter()
                .map(robot::Joint::middle_rad)
                .collect(),
        };
        Self {
            mode,
            joints,
            middles_rad,
        }
    }

    /// Names the mapping in bundles and logs.
    pub fn sha256(&self) -> String {
        let mode = match self.mode {
            ActionMode::Velocity => "",
            ActionMode::Absolute => "absolute\n",
        };
        let middles: String = self
            .middles_rad
            .iter()
            .map(|middle| format!("{:08x}\n", middle.to_bits()))
            .collect();
        let joints: String = self
            .joints
            .iter()
            .map(|(name, scale)| format!("{name} {:08x}\n", scale.to_bits()))
            .collect();
        crate::sha256(&format!("{mode}{joints}{middles}"))
    }
}
