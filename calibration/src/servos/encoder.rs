//! What of a kind of servo a calibration has to know.

use std::f64::consts::TAU;

/// How servos of one kind say where they are.
///
/// `encoder` below is the shaft's own position in its turn, whatever offset is stored; `present` is what the servo says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    /// Ticks of a whole turn.
    pub ticks_per_turn: i64,
    /// The greatest homing offset that the servo stores, in ticks, either way.
    pub offset_max_ticks: i64,
    /// Whether the offset is added to the encoder's position (Dynamixel) or taken from it (Feetech).
    pub offset_adds: bool,
    /// Whether the offset moves the place at which the position jumps by a turn. Feetech's does. Dynamixel's does not: it is added after the
    /// encoder has jumped.
    pub offset_moves_seam: bool,
}

impl Encoder {
    /// Feetech's STS servos.
    pub const FEETECH_STS: Self = Self {
        ticks_per_turn: 4096,
        offset_max_ticks: 2047,
        offset_adds: false,
        offset_moves_seam: true,
    };

    /// Dynamixel's X servos, in the mode in which a goal is a position within one turn.
    pub const DYNAMIXEL_X: Self = Self {
        ticks_per_turn: 4096,
        offset_max_ticks: 1024,
        offset_adds: true,
        offset_moves_seam: false,
    };

    /// What the servo says at a position of its encoder.
    pub fn present_ticks(&self, encoder_ticks: i64, offset_ticks: i64) -> i64 {
        match (self.offset_adds, self.offset_moves_seam) {
            (true, true) => (encoder_ticks + offset_ticks).rem_euclid(self.ticks_per_turn),
            (false, true) => (encoder_ticks - offset_ticks).rem_euclid(self.ticks_per_turn),
            (true, false) => encoder_ticks.rem_euclid(self.ticks_per_turn) + offset_ticks,
            (false, false) => encoder_ticks.rem_euclid(self.ticks_per_turn) - offset_ticks,
        }
    }

    /// The encoder's position within its turn when the servo says `present_ticks`.
    pub fn encoder_ticks(&self, present_ticks: i64, offset_ticks: i64) -> i64 {
        let offset_ticks = if self.offset_adds {
            -offset_ticks
        } else {
            offset_ticks
        };
        (present_ticks + offset_ticks).rem_euclid(self.ticks_per_turn)
    }

    /// The shortest way that leads to the same position: from minus half a turn up to half a turn.
    pub(super) fn shortest(&self, ticks: i64) -> i64 {
        let half = self.ticks_per_turn / 2;
        (ticks + half).rem_euclid(self.ticks_per_turn) - half
    }

    /// Ticks of a radian.
    pub fn ticks_a_radian(&self) -> f64 {
        self.ticks_per_turn as f64 / TAU
    }
}
