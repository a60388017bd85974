//! Whether a reading is believed.

/// Ticks that a joint at rest may seem to move.
const NOISE_TICKS: f32 = 8.0;

/// What is known of one joint's readings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// Periods since a reading was believed.
    pub(super) missed: u32,
    /// It was silent for too long: what it says now may be an answer of long ago.
    pub(super) lost: bool,
    /// The last that was.
    believed: Option<(i64, u64)>,
    /// One since then that was too far away to be believed at once.
    doubted: Option<(i64, u64)>,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            missed: u32::MAX,
            lost: false,
            believed: None,
            doubted: None,
        }
    }
}

impl Trust {
    /// Whether a position of `ticks` at `now_us` is believed: one that can be reached from the last by `jump_ticks_s` ticks a second,
    /// or that a second reading confirms. The checksum of a Feetech packet misses one damage in 256.
    pub(super) fn judge(&mut self, ticks: Option<i64>, now_us: u64, jump_ticks_s: f32) -> bool {
        let near = |from: Option<(i64, u64)>, ticks: i64| {
            from.is_some_and(|(then, then_us)| {
                let passed_s = now_us.saturating_sub(then_us) as f32 * 1e-6;
                (ticks - then).unsigned_abs() as f32 <= NOISE_TICKS + jump_ticks_s * passed_s
            })
        };
        let believed = ticks.filter(|_| !self.lost).filter(|ticks| {
            self.believed.is_none() || near(self.believed, *ticks) || near(self.doubted, *ticks)
        });
        match (believed, ticks) {
            (Some(ticks), _) => {
                *self = Self {
                    missed: 0,
                    lost: false,
                    believed: Some((ticks, now_us)),
                    doubted: None,
                };
            }
            (None, doubted) => {
                self.missed = self.missed.saturating_add(1);
                self.doubted = doubted.map(|ticks| (ticks, now_us));
            }
        }
        believed.is_some()
    }
}
