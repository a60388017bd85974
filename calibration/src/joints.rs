//! Joint mapping and action scaling.

use robot::{ActionMode, Config};

/// Order, names and action scale of the joints.
#[derive(Debug, Clone, PartialEq)]
pub struct JointMapping {
    mode: ActionMode,
    joints: Vec<(String, f32)>,
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
        Self { mode, joints }
    }

    /// Joint names, in the order of an action's elements.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.joints.iter().map(|(name, _)| name.as_str())
    }

    /// Names the mapping in bundles and logs.
    pub fn sha256(&self) -> String {
        let mode = match self.mode {
            ActionMode::Velocity => "",
            ActionMode::Absolute => "absolute\n",
        };
        let joints: String = self
            .joints
            .iter()
            .map(|(name, scale)| format!("{name} {:08x}\n", scale.to_bits()))
            .collect();
        crate::sha256(&format!("{mode}{joints}"))
    }
}
