//! The tasks by name.

use std::fmt;
use std::str::FromStr;

/// A simulated task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Two joints, flat, seen from above.
    ReachPlanar,
    /// Three joints over a table, seen at an angle, under gravity.
    Reach,
    /// The six joints of an SO-101 over a table, seen at an angle.
    So101,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 3] = [Self::ReachPlanar, Self::Reach, Self::So101];

    /// The name that robot files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReachPlanar => "reach-planar",
            Self::Reach => "reach",
            Self::So101 => "so101",
        }
    }

    pub(crate) fn scene_xml(self) -> &'static str {
        match self {
            Self::ReachPlanar => include_str!("../assets/reach_planar.xml"),
            Self::Reach => include_str!("../assets/reach.xml"),
            Self::So101 => include_str!("../assets/so101.xml"),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No task has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown task `{name}`; choose reach-planar, reach or so101")]
pub struct UnknownTask {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Task {
    type Err = UnknownTask;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|task| task.name() == name)
            .ok_or_else(|| UnknownTask {
                name: name.to_owned(),
            })
    }
}
