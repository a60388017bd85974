//! Which rules a guard goes by.

/// The rules of a guard. A log says which ones it was recorded under, since its replay must judge as the recording did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    /// For a world that waits, in which nothing comes late or is lost, and of logs before there were others. The arm is judged after a
    /// command was sent, and one that its firmware has stopped is led on from where it holds.
    #[default]
    Waiting,
    /// For a world that does not wait. The arm is judged before anything is sent to it (see [`super::arm`]), and one that has been
    /// stopped ends the episode.
    Live {
        /// Whether the arm goes where it is led. One that plays a log back does not, and is not asked to.
        led: bool,
        /// Whether a planner that is late for too long ends the episode. Logs of before know no such end.
        late_plans: bool,
    },
}

impl Rules {
    /// For a world that does not wait, with an arm that is `led` or is not.
    pub const fn live(led: bool) -> Self {
        Self::Live {
            led,
            late_plans: true,
        }
    }

    /// The number that a log has in field `guard_rules`.
    pub const fn number(self) -> u32 {
        match self {
            Self::Waiting => 1,
            Self::Live {
                led,
                late_plans: false,
            } => 3 - led as u32,
            Self::Live {
                led,
                late_plans: true,
            } => 5 - led as u32,
        }
    }

    /// The rules with that number, if this program knows them.
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Waiting),
            2..=5 => Some(Self::Live {
                led: number.is_multiple_of(2),
                late_plans: number >= 4,
            }),
            _ => None,
        }
    }
}
