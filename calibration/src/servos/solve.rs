//! From what was swept to where a joint is.

use serde::{Deserialize, Serialize};

use super::{Encoder, Travel, Verdict};

/// Difference between what was swept and what there is, in radians, up to which a calibration is good: 2 degrees.
const GOOD_RAD: f64 = 0.035;

/// Likewise up to which it is usable: 6 degrees.
const USABLE_RAD: f64 = 0.105;

/// Least travel, in ticks, of a joint that was moved at all.
const MOVED_TICKS: i64 = 200;

/// What is known of a joint before its servo is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct JointShape {
    /// Its name.
    pub name: String,
    /// The angles at which its stops are, in radians, the smaller first. `None` for a joint that turns all the way round; its middle pose is 0.
    pub stops_rad: Option<(f32, f32)>,
}

/// Where a joint is: what its servo stores, and which of the positions that the servo then says are which angles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointCalibration {
    /// The joint's name.
    pub name: String,
    /// Its servo.
    pub id: u8,
    /// The offset that the servo stores.
    pub homing_offset_ticks: i64,
    /// The ends of the travel, as the servo says them once it stores the offset.
    pub range_ticks: (i64, i64),
    /// What the servo then says where the joint's angle is 0. It may lie outside of the travel.
    pub zero_ticks: i64,
    /// Whether the joint's angle grows against the servo's ticks.
    pub reversed: bool,
    /// What was swept less what lies between the stops, in radians; `None` where there are no stops, and where nothing was swept.
    pub residual_rad: Option<f32>,
}

/// A joint, solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// Where the joint is; `None` where nothing can be said.
    pub joint: Option<JointCalibration>,
    /// Whether that may be used.
    pub verdict: Verdict,
}

impl JointCalibration {
    /// The angle at a position of the servo.
    pub fn radians(&self, encoder: Encoder, present_ticks: i64) -> f64 {
        self.sign() * (present_ticks - self.zero_ticks) as f64 / encoder.ticks_a_radian()
    }

    /// The angles at the ends of the travel, the smaller first.
    pub fn travel_rad(&self, encoder: Encoder) -> (f64, f64) {
        let (low, high) = self.range_ticks;
        let (one, other) = (self.radians(encoder, low), self.radians(encoder, high));
        (one.min(other), one.max(other))
    }

    fn sign(&self) -> f64 {
        if self.reversed { -1.0 } else { 1.0 }
    }
}

impl JointShape {
    /// Where the joint of servo `id` is after a sweep. The sweep began at the middle pose, and went to the end of the joint's greatest angle
    /// first. The middle of the travel is the middle between the stops.
    pub fn solve(&self, encoder: Encoder, id: u8, travel: &Travel) -> Solved {
        let refused = |why: String| Solved {
            joint: None,
            verdict: Verdict::DoItAgain(why),
        };
        if travel.is_short_of_readings() {
            return refused(format!(
                "the servo was read {} times only; look after its cable and its power",
                travel.readings
            ));
        }
        if travel.doubtful > 0 {
            return refused("it was moved too fast to be followed; move it slowly".to_owned());
        }
        let span_ticks = travel.span_ticks();
        if span_ticks < MOVED_TICKS {
            return refused(format!(
                "it moved by {:.1} degrees only; move this joint, and all the way to both ends",
                degrees(encoder, span_ticks)
            ));
        }
        let Some(high_end_first) = travel.high_end_first else {
            return refused("it is not clear which end came first".to_owned());
        };
        let Some(stops_rad) = self.stops_rad else {
            return self.all_round(encoder, id, travel, !high_end_first);
        };
        if span_ticks >= encoder.ticks_per_turn {
            return refused(format!(
                "it turned by {:.0} degrees, and there are stops on its way; look after the horn, or write `all_round: true` for this joint",
                degrees(encoder, span_ticks)
            ));
        }
        if !encoder.offset_moves_seam && travel.crosses_seam(encoder) {
            return refused(
                "the position of this servo jumps within the travel, and no offset moves that place; mount the horn a quarter of a turn \
                 further on"
                    .to_owned(),
            );
        }
        self.between_stops(encoder, id, travel, stops_rad, !high_end_first)
    }

    fn between_stops(
        &self,
        encoder: Encoder,
        id: u8,
        travel: &Travel,
        (least_rad, greatest_rad): (f32, f32),
        reversed: bool,
    ) -> Solved {
        let (least_rad, greatest_rad) = (f64::from(least_rad), f64::from(greatest_rad));
        let middle = travel.low_ticks + travel.span_ticks() / 2;
        let offset = offset_for(encoder, middle);
        // The travel is less than a turn, and the seam is not in it: its positions go on as the servo says them.
        let said = |ticks: i64| encoder.present_ticks(middle, offset) + (ticks - middle);
        let range_ticks = (said(travel.low_ticks), said(travel.high_ticks));
        let swept_rad = travel.span_ticks() as f64 / encoder.ticks_a_radian();
        let residual_rad = swept_rad - (greatest_rad - least_rad);
        let joint = JointCalibration {
            name: self.name.clone(),
            id,
            homing_offset_ticks: offset,
            range_ticks,
            zero_ticks: self.zero_ticks(encoder, range_ticks, reversed),
            reversed,
            residual_rad: Some(residual_rad as f32),
        };
        Solved {
            joint: Some(joint),
            verdict: self.judge(residual_rad),
        }
    }

    /// What the servo says where the joint is at 0: the middle of what it says is the middle between the stops, or 0 where there are none.
    pub fn zero_ticks(&self, encoder: Encoder, (low, high): (i64, i64), reversed: bool) -> i64 {
        let (least_rad, greatest_rad) = self.stops_rad.unwrap_or_default();
        let middle_rad = 0.5 * (f64::from(least_rad) + f64::from(greatest_rad));
        let sign = if reversed { -1.0 } else { 1.0 };
        let middle_ticks = 0.5 * (low as f64 + high as f64);
        (middle_ticks - sign * middle_rad * encoder.ticks_a_radian()).round() as i64
    }

    /// What is to be thought of a sweep that went through `residual_rad` radians more than lie between the stops.
    pub fn judge(&self, residual_rad: f64) -> Verdict {
        let (least, greatest) = self.stops_rad.unwrap_or_default();
        let there = f64::from(greatest - least);
        let (swept, there) = ((there + residual_rad).to_degrees(), there.to_degrees());
        match residual_rad {
            _ if residual_rad.abs() <= GOOD_RAD => Verdict::Good,
            _ if residual_rad.abs() <= USABLE_RAD => Verdict::Usable(format!(
                "it went through {swept:.1} degrees, and its stops are {there:.1} apart; its angles are wrong by {:.1} degrees at most",
                0.5 * residual_rad.abs().to_degrees()
            )),
            _ if residual_rad < 0.0 => Verdict::DoItAgain(format!(
                "it went through {swept:.1} of the {there:.1} degrees between its stops; move it all the way to both ends"
            )),
            _ => Verdict::DoItAgain(format!(
                "it went through {swept:.1} degrees, and its stops are {there:.1} apart; this is another joint's servo, its horn slips, or \
                 `stops_rad` of this joint is another arm's"
            )),
        }
    }

    /// A joint without stops: only its middle pose says where it is.
    fn all_round(&self, encoder: Encoder, id: u8, travel: &Travel, reversed: bool) -> Solved {
        let offset = offset_for(encoder, travel.start_ticks);
        let zero_ticks = encoder.present_ticks(travel.start_ticks, offset);
        Solved {
            joint: Some(JointCalibration {
                name: self.name.clone(),
                id,
                homing_offset_ticks: offset,
                range_ticks: (0, encoder.ticks_per_turn - 1),
                zero_ticks,
                reversed,
                residual_rad: None,
            }),
            verdict: Verdict::Good,
        }
    }
}

/// The offset with which a servo says the middle of its turn at `middle_ticks` of its encoder, or a tick beside it. None where an offset moves no
/// seam, since it would be of no use.
fn offset_for(encoder: Encoder, middle_ticks: i64) -> i64 {
    if !encoder.offset_moves_seam {
        return 0;
    }
    let away = encoder.shortest(middle_ticks - encoder.ticks_per_turn / 2);
    let offset = if encoder.offset_adds { -away } else { away };
    offset.clamp(-encoder.offset_max_ticks, encoder.offset_max_ticks)
}

fn degrees(encoder: Encoder, ticks: i64) -> f64 {
    (ticks as f64 / encoder.ticks_a_radian()).to_degrees()
}
