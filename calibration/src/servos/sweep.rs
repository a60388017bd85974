//! A joint that is moved by hand, followed from reading to reading.

use super::Encoder;

/// Share of the travel near an end in which the joint counts as being there.
const END_SHARE: f64 = 0.1;

/// Fewest readings that say anything.
const READINGS_MIN: usize = 10;

/// Readings of a joint on its way to both ends of its travel. The first reading is the middle pose.
#[derive(Debug, Clone)]
pub struct Sweep {
    encoder: Encoder,
    /// Positions of the encoder that go on over the seam: they leave a turn where the joint does.
    followed_ticks: Vec<i64>,
    doubtful: usize,
}

/// What a sweep has found, in ticks of the encoder. The positions go on over the seam, so that `low < high` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Travel {
    /// The middle pose: within the turn.
    pub start_ticks: i64,
    /// The least position.
    pub low_ticks: i64,
    /// The greatest position.
    pub high_ticks: i64,
    /// Whether the joint was at the end of the greatest position first; `None` where it was not at both.
    pub high_end_first: Option<bool>,
    /// Readings.
    pub readings: usize,
    /// Readings so far from the one before that the joint may have gone either way round.
    pub doubtful: usize,
}

impl Sweep {
    /// A sweep that has not begun.
    pub fn new(encoder: Encoder) -> Self {
        Self {
            encoder,
            followed_ticks: Vec::new(),
            doubtful: 0,
        }
    }

    /// Takes in a position of the encoder, in ticks. Between two readings the joint may turn by a quarter of a turn at most.
    pub fn push(&mut self, encoder_ticks: i64) {
        let next = match self.followed_ticks.last() {
            None => encoder_ticks.rem_euclid(self.encoder.ticks_per_turn),
            Some(&last) => {
                let step = self.encoder.shortest(encoder_ticks - last);
                self.doubtful += usize::from(step.abs() > self.encoder.ticks_per_turn / 4);
                last + step
            }
        };
        self.followed_ticks.push(next);
    }

    /// What has been swept so far; `None` before the first reading.
    pub fn travel(&self) -> Option<Travel> {
        let low_ticks = *self.followed_ticks.iter().min()?;
        let high_ticks = *self.followed_ticks.iter().max()?;
        let near = (END_SHARE * (high_ticks - low_ticks) as f64) as i64;
        let first =
            |is_there: &dyn Fn(i64) -> bool| self.followed_ticks.iter().position(|ticks| is_there(*ticks));
        let at_high = first(&|ticks| ticks >= high_ticks - near);
        let at_low = first(&|ticks| ticks <= low_ticks + near);
        Some(Travel {
            start_ticks: self.followed_ticks[0],
            low_ticks,
            high_ticks,
            high_end_first: match (at_high, at_low) {
                (Some(high), Some(low)) if high != low => Some(high < low),
                _ => None,
            },
            readings: self.followed_ticks.len(),
            doubtful: self.doubtful,
        })
    }
}

impl Travel {
    /// From one end to the other.
    pub fn span_ticks(&self) -> i64 {
        self.high_ticks - self.low_ticks
    }

    /// Whether the encoder's position jumps by a turn on the way, with no offset stored.
    pub fn crosses_seam(&self, encoder: Encoder) -> bool {
        let turn = |ticks: i64| ticks.div_euclid(encoder.ticks_per_turn);
        turn(self.low_ticks) != turn(self.high_ticks)
    }

    /// Whether there are too few readings to say anything.
    pub(super) fn is_short_of_readings(&self) -> bool {
        self.readings < READINGS_MIN
    }
}
