//! Joint mapping and action scaling.

use robot::Config;

/// Order, names and action scale of the joints.
#[derive(Debug, Clone, PartialEq)]
pub struct JointMapping {
    joints: Vec<(String, f32)>,
}

impl JointMapping {
    /// The mapping a robot file declares: an action of 1 is the joint's full speed.
    pub fn of(config: &Config) -> Self {
        let joints = config
            .envelope
            .joints()
            .iter()
            .map(|j| (j.name.clone(), j.velocity_max_rad_s))
            .collect();
        Self { joints }
    }

    /// Joint names, in the order of an action's elements.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.joints.iter().map(|(name, _)| name.as_str())
    }

    /// Names the mapping in bundles and logs.
    pub fn sha256(&self) -> String {
        let text: String = self
            .joints
            .iter()
            .map(|(name, scale)| format!("{name} {:08x}\n", scale.to_bits()))
            .collect();
        crate::sha256(&text)
    }
}
