//! Where the arm is led: its set point, the action in force, and what becomes of both where edges are skipped, where the arm has
//! stopped by itself, and where nothing is sent. The tick and the recollection of a log go by the same rules.

use robot::{Envelope, JointVec, SetPoint, joint};

/// The set point that was last sent, the action that led there, and the tick that comes next.
#[derive(Debug, Clone)]
pub struct Course {
    set_point: SetPoint,
    sent: JointVec,
    /// The tick that comes next if none is skipped.
    expected: u32,
}

impl Course {
    /// An arm at rest at `start_rad`, before its first tick.
    pub fn from_rest(start_rad: JointVec) -> Self {
        Self {
            sent: joint::zeros(start_rad.len()),
            set_point: SetPoint::at_rest(start_rad),
            expected: 0,
        }
    }

    /// Where the arm was last told to be.
    pub fn set_point(&self) -> &SetPoint {
        &self.set_point
    }

    /// The action in force, in [-1, 1] a joint.
    pub fn action(&self) -> &JointVec {
        &self.sent
    }

    /// Goes on to `tick` through periods that passed without one: the arm finished its move and held, an actuator went on under
    /// its last control. `each` hears of the action in force in each of them. Whether there were any.
    pub fn skip_to(&mut self, tick: u32, envelope: &Envelope, mut each: impl FnMut(&JointVec)) -> bool {
        let skipped = tick.saturating_sub(self.expected);
        self.expected = tick.saturating_add(1);
        for _ in 0..skipped {
            each(&self.sent);
            self.sent = envelope.standing_action(&self.set_point.position_rad);
        }
        if skipped > 0 {
            self.set_point = SetPoint::at_rest(self.set_point.position_rad.clone());
        }
        skipped > 0
    }

    /// Picks an arm up where it holds, if its firmware has stopped it or it refused a command (`disobeyed`) and `holds_rad`, where
    /// it says its firmware leads it, has one finite number a joint. At the first tick an arm is held anyway. Whether it was
    /// picked up.
    pub fn resume(&mut self, tick: u32, disobeyed: bool, holds_rad: &JointVec, envelope: &Envelope) -> bool {
        let sound = holds_rad.len() == self.sent.len() && holds_rad.iter().all(|angle| angle.is_finite());
        let resumed = tick > 0 && disobeyed && sound;
        if resumed {
            self.sent = envelope.standing_action(holds_rad);
            self.set_point = SetPoint::at_rest(holds_rad.clone());
        }
        resumed
    }

    /// A command left: `action` leads to `set_point`.
    pub fn send(&mut self, action: &JointVec, set_point: &SetPoint) {
        self.sent.clone_from(action);
        self.set_point.clone_from(set_point);
    }

    /// Nothing left: the arm finishes the move it is in, and holds.
    pub fn withhold(&mut self, envelope: &Envelope) {
        self.set_point = SetPoint::at_rest(self.set_point.position_rad.clone());
        self.sent = envelope.standing_action(&self.set_point.position_rad);
    }
}
