//! A camera whose pictures are late: exposure, read-out, compression and the cable take time, and no time stamp tells how much.

use std::collections::VecDeque;

use robot::JointVec;

/// Moments that are no further apart are the same: sums of steps are not exact.
const SAME_S: f64 = 1e-6;

/// Where the arm was in the last seconds, as long ago as pictures are late.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late {
    delay_s: f64,
    /// Since the episode began.
    now_s: f64,
    /// When, and the joints then, the oldest first. The first one is not after what the camera shows.
    past: VecDeque<(f64, JointVec)>,
}

impl Late {
    /// Pictures that show what was `delay_s` seconds ago; 0 is none.
    pub(crate) fn by(delay_s: f32) -> Self {
        Self {
            delay_s: f64::from(delay_s),
            ..Self::default()
        }
    }

    /// A new episode: until it is as old as pictures are late, they show its first pose.
    pub(crate) fn reset(&mut self, position_rad: &[f32]) {
        self.past.clear();
        self.now_s = 0.0;
        self.record(0.0, position_rad);
    }

    /// The arm has moved for `dt_s` seconds and is now here.
    pub(crate) fn record(&mut self, dt_s: f32, position_rad: &[f32]) {
        if self.delay_s == 0.0 {
            return;
        }
        self.now_s += f64::from(dt_s);
        if self.past.back().is_some_and(|(at_s, _)| *at_s == self.now_s) {
            self.past.pop_back();
        }
        self.past
            .push_back((self.now_s, position_rad.iter().copied().collect()));
        let shown_s = self.now_s - self.delay_s;
        while self
            .past
            .get(1)
            .is_some_and(|(at_s, _)| *at_s <= shown_s + SAME_S)
        {
            self.past.pop_front();
        }
    }

    /// The joints that the camera shows, between two that are known on a straight line; `None` where it shows the present.
    pub(crate) fn shown_rad(&self) -> Option<JointVec> {
        let (first_s, first) = self.past.front()?;
        let shown_s = self.now_s - self.delay_s;
        let Some((second_s, second)) = self.past.get(1).filter(|_| shown_s > *first_s + SAME_S) else {
            return Some(first.clone());
        };
        let share = ((shown_s - first_s) / (second_s - first_s)) as f32;
        let between = first
            .iter()
            .zip(second)
            .map(|(from, to)| from + share * (to - from));
        Some(between.collect())
    }
}
