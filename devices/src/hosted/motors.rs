//! What the motors said last, from the core's thread to the control loop's. Neither waits for the other.

use hand_over::Newest;
use robot::device::Motors;

/// The newest word of the motors.
#[derive(Debug)]
pub(super) struct MotorsSlot(Newest<Motors>);

impl Default for MotorsSlot {
    fn default() -> Self {
        Self(Newest::new(Motors::default))
    }
}

impl MotorsSlot {
    /// Replaces what was told before. Of turns that nobody looked at, the longest time is kept.
    pub(super) fn tell(&self, mut motors: Motors) {
        let place = match self.0.take() {
            Some(unseen) => {
                motors.exchange_us = motors.exchange_us.max(unseen.exchange_us);
                Some(unseen)
            }
            None => self.0.free(),
        };
        // There always is one: the other thread holds one at most.
        let Some(mut place) = place else { return };
        *place = motors;
        if let Some(spare) = self.0.offer(place) {
            self.0.give_back(spare);
        }
    }

    /// Copies what was told last, if it is new. If it is not, `into` keeps the readings, and no exchange was finished since.
    pub(super) fn hear(&self, into: &mut Motors) {
        into.exchange_us = 0;
        if let Some(told) = self.0.take() {
            into.clone_from(&told);
            self.0.give_back(told);
        }
    }
}
