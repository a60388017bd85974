//! Messages of an arm that are no reports, counted by what is wrong with them.

use std::fmt;

/// How many messages of an arm were no reports since its port was opened. Of fixed size: it is counted in the tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RefusedReports {
    /// Carried the nonce of another session: a recording, another arm, or an arm that has booted since.
    pub session: u32,
    /// Had another number of joints than the robot.
    pub joints: u32,
    /// Had a number that is not finite while the arm moves.
    pub not_finite: u32,
    /// Came again: the sequence number did not increase.
    pub repeated: u32,
    /// Acknowledged commands that were never sent.
    pub acknowledged: u32,
    /// Echoed a host time that was never sent, one from before, or nothing new for too long.
    pub echo: u32,
    /// The arm's clock stood still, jumped, overflowed, or was far behind.
    pub clock: u32,
}

impl RefusedReports {
    /// All of them.
    pub fn total(&self) -> u32 {
        self.reasons()
            .iter()
            .fold(0, |total, (count, _)| total.saturating_add(*count))
    }

    /// What was refused since `before` was told by the same arm.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            session: self.session.saturating_sub(before.session),
            joints: self.joints.saturating_sub(before.joints),
            not_finite: self.not_finite.saturating_sub(before.not_finite),
            repeated: self.repeated.saturating_sub(before.repeated),
            acknowledged: self.acknowledged.saturating_sub(before.acknowledged),
            echo: self.echo.saturating_sub(before.echo),
            clock: self.clock.saturating_sub(before.clock),
        }
    }

    /// The counts that are not 0, each with its reason, in words.
    pub fn by_reason(&self) -> String {
        let counts = self.reasons().into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = counts
            .map(|(count, reason)| format!("{count} {reason}"))
            .collect();
        words.join(", ")
    }

    fn reasons(&self) -> [(u32, &'static str); 7] {
        [
            (self.session, "of another session"),
            (self.joints, "with another number of joints"),
            (self.not_finite, "with a number that is not finite"),
            (self.repeated, "repeated"),
            (self.acknowledged, "that acknowledge what was never sent"),
            (self.echo, "that do not show that the arm hears"),
            (self.clock, "with a clock that stood still, jumped or was late"),
        ]
    }
}

impl fmt::Display for RefusedReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages of the arm were no reports", self.total())?;
        match self.total() {
            0 => Ok(()),
            _ => write!(f, ": {}", self.by_reason()),
        }
    }
}
