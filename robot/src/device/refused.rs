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
        let mut between = ": ";
        for (count, reason) in self.reasons() {
            if count > 0 {
                write!(f, "{between}{count} {reason}")?;
                between = ", ";
            }
        }
        Ok(())
    }
}
