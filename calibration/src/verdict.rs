//! Whether a calibration may be used.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is to be thought of a calibration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As good as can be done by hand.
    Good,
    /// It will do; why it could be better.
    Usable(String),
    /// It must not be used; why, and what to do differently.
    DoItAgain(String),
}

impl Verdict {
    /// Whether the calibration may be used.
    pub fn is_accepted(&self) -> bool {
        !matches!(self, Self::DoItAgain(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Usable(why) => write!(f, "usable: {why}"),
            Self::DoItAgain(why) => write!(f, "do it again: {why}"),
        }
    }
}
