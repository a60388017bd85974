//! Stage 5, guard: the last word on every action.
//!
//! The [`Envelope`] bounds the action; the trust monitor watches frames, innovation and numbers, and walks down the
//! fallback ladder: fresh plan, tail of the last plan (for `trust.tail_ticks` in a row), controlled stop, torque off. The last two the
//! firmware also does by itself when the host falls silent.
//!
//! A log says by which [`Rules`] its guard judged. In a world that does not wait the arm is judged by [`Guard::hear`], before anything is
//! sent to it.

pub mod arm;
mod kl_sum;
mod rules;

use episode::{ArmState, CaptureRow, FilterRow, GuardRow, PlanRow, PlanSource, Reason};
use robot::{ActionMode, Clamped, Config, Envelope, JointVec, SetPoint};

use arm::{ArmWatch, Heard};
pub use kl_sum::KlSum;
pub use rules::Rules;

/// By [`Rules::Waiting`]: ticks in a row without telemetry after which the arm counts as lost.
const SILENT_TICKS: u32 = 3;

/// By [`Rules::Waiting`]: ticks in a row in which an arm may hold instead of following.
const NOT_FOLLOWING_TICKS: u32 = 10;

/// Limits and thresholds, and how many ticks in a row each has been crossed.
#[derive(Debug)]
pub struct Guard {
    envelope: Envelope,
    rules: Rules,
    arm: ArmWatch,
    gap_ticks: u32,
    kl_max_nats: f32,
    kl_ticks: u32,
    kl_sum: KlSum,
    frozen_ticks: u32,
    tail_ticks: u32,
    without_frame: u32,
    surprised: u32,
    frozen: u32,
    /// Plans in a row that were late.
    late_plans: u32,
    silent: u32,
    not_following: u32,
    off_track: u32,
    track_max_rad: f32,
    track_ticks: u32,
    first: bool,
    last_hash: u64,
    stopped: Option<Reason>,
}

/// What the guard decided.
#[derive(Debug)]
pub struct Verdict {
    /// The action and where it leads.
    pub clamped: Clamped,
    /// The row for the log.
    pub row: GuardRow,
    /// Set when the arm must be stopped now.
    pub stop: Option<Reason>,
}

impl Guard {
    /// A guard with a robot file's limits, by [`Rules::Waiting`] until it is told others.
    pub fn new(config: &Config) -> Self {
        Self {
            envelope: config.envelope.clone(),
            rules: Rules::default(),
            arm: ArmWatch::new(config),
            gap_ticks: config.frame_gap_ticks,
            kl_max_nats: config.trust.kl_max_nats,
            kl_ticks: config.trust.kl_ticks,
            kl_sum: KlSum::new(config.trust.kl_sum_nats),
            frozen_ticks: config.trust.frozen_ticks,
            tail_ticks: config.trust.tail_ticks,
            without_frame: 0,
            surprised: 0,
            frozen: 0,
            late_plans: 0,
            silent: 0,
            not_following: 0,
            off_track: 0,
            track_max_rad: config.trust.track_max_rad,
            track_ticks: config.trust.track_ticks,
            first: true,
            last_hash: 0,
            stopped: None,
        }
    }

    /// A new episode by `rules`: counts start again, a stop is no longer remembered.
    pub fn reset(&mut self, rules: Rules) {
        self.rules = rules;
        self.arm.reset(!matches!(rules, Rules::Live { led: false, .. }));
        (self.without_frame, self.surprised, self.frozen, self.last_hash) = (0, 0, 0, 0);
        (self.silent, self.not_following, self.off_track) = (0, 0, 0);
        (self.first, self.late_plans, self.stopped) = (true, 0, None);
        self.kl_sum.reset();
    }

    /// The envelope actions are clamped with.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Reports something outside the data that must stop the arm (a lost link, a person).
    pub fn demand_stop(&mut self, reason: Reason) {
        self.stopped.get_or_insert(reason);
    }

    /// Why the arm must stop, once it must.
    pub fn stopped(&self) -> Option<Reason> {
        self.stopped
    }

    /// Judges what was heard of the arm in `tick`, which may be the `last` of its episode. Call it before anything is sent in that tick. By
    /// [`Rules::Waiting`] it does nothing.
    pub fn hear(&mut self, tick: u32, heard: &Heard<'_>, last: bool) {
        if let Rules::Live { .. } = self.rules
            && let Some(reason) = self.arm.hear(tick, heard, last)
        {
            self.demand_stop(reason);
        }
    }

    /// Whether anything may be sent to the arm in the tick that was judged last.
    pub fn may_send(&self) -> bool {
        self.stopped.is_none() && self.arm.may_send()
    }

    /// The arm stands at `set_point_rad`, and is led on from there.
    pub fn stands(&mut self, set_point_rad: &JointVec) {
        self.arm.stands(set_point_rad);
    }

    /// A command with this set point has left in `tick`. Call it once the tick is over: what was heard in the tick is older.
    pub fn sent(&mut self, tick: u32, set_point_rad: &JointVec) {
        self.arm.sent(tick, set_point_rad);
    }

    /// Judges a tick: `plan` is what would be sent next, from `from`.
    pub fn decide(
        &mut self,
        capture: &CaptureRow,
        filter: &FilterRow,
        plan: &mut PlanRow,
        from: &SetPoint,
        moving: bool,
    ) -> Verdict {
        let mut reason = self.watch(capture, filter, moving);
        if plan.source == PlanSource::Lost {
            self.demand_stop(Reason::PlannerLost);
        }
        self.late_plans = match plan.source {
            PlanSource::Tail => self.late_plans.saturating_add(1),
            _ => 0,
        };
        // An actuator's plant is no arm, and its robot file may be as patient as it likes.
        let impatient = matches!(self.rules, Rules::Live { late_plans: true, .. })
            && self.envelope.mode() == ActionMode::Velocity;
        if impatient && self.late_plans > self.tail_ticks {
            self.demand_stop(Reason::PlanLate);
        }
        if plan.source == PlanSource::None || plan.action.iter().any(|value| !value.is_finite()) {
            self.demand_stop(Reason::NonFinite);
        }
        if let Some(stop) = self.stopped {
            // A stop decelerates within the envelope: action zero, clamped like any other.
            plan.source = PlanSource::Stop;
            plan.action.iter_mut().for_each(|value| *value = 0.0);
            reason = stop;
        } else if reason == Reason::Ok && plan.source == PlanSource::Tail {
            reason = Reason::PlanLate;
        }
        let clamped = self.envelope.clamp(from, &plan.action);
        let row = GuardRow {
            reason,
            hits: clamped.hits.0,
            action: clamped.action.clone(),
            set_point_rad: clamped.set_point.position_rad.clone(),
        };
        Verdict {
            clamped,
            row,
            stop: self.stopped,
        }
    }

    fn watch(&mut self, capture: &CaptureRow, filter: &FilterRow, moving: bool) -> Reason {
        let count = |hit: bool, so_far: u32| if hit { so_far + 1 } else { 0 };
        if self.rules == Rules::Waiting {
            self.watch_arm(capture);
        }
        // A frame that encoder or filter could not make use of is as good as none.
        let seen = capture.fresh && !filter.prior_only;
        self.without_frame = count(!seen, self.without_frame);
        // Ticks that tell nothing leave a count as it was.
        if seen {
            self.surprised = count(!(filter.kl_nats <= self.kl_max_nats), self.surprised);
            if self.kl_sum.exceeds(filter.kl_nats) && self.rules != Rules::Waiting {
                self.demand_stop(Reason::Surprise);
            }
        }
        if capture.fresh {
            let same = capture.frame_hash == self.last_hash && moving;
            self.frozen = count(same, self.frozen);
            self.last_hash = capture.frame_hash;
        }
        let gap_ticks = match self.rules {
            Rules::Waiting => self.gap_ticks.saturating_add(1),
            Rules::Live { .. } => self.gap_ticks,
        };
        if self.without_frame >= gap_ticks.max(1) {
            self.demand_stop(Reason::FrameGap);
        }
        if self.frozen > self.frozen_ticks {
            self.demand_stop(Reason::FrozenFrame);
        }
        if self.surprised > self.kl_ticks {
            self.demand_stop(Reason::Surprise);
        }
        if seen { Reason::Ok } else { Reason::NoFreshFrame }
    }

    /// Judges what the arm says of itself, or that it says nothing, by [`Rules::Waiting`].
    fn watch_arm(&mut self, capture: &CaptureRow) {
        let count = |hit: bool, so_far: u32| if hit { so_far + 1 } else { 0 };
        let first = std::mem::replace(&mut self.first, false);
        self.silent = count(capture.arm == ArmState::Unheard, self.silent);
        if self.silent > SILENT_TICKS {
            self.demand_stop(Reason::LinkLost);
        }
        match capture.arm {
            ArmState::EStopped => self.demand_stop(Reason::EStop),
            // Torque that went off stays off until the next session.
            ArmState::Released => self.demand_stop(Reason::ArmStopped),
            // That tells nothing of the rest.
            ArmState::Unheard => return,
            _ => {}
        }
        // It begins held, or without torque, and goes with the first command.
        self.not_following = count(capture.arm_disobeyed() && !first, self.not_following);
        let off = |(measured, led_to): (&f32, &f32)| !((measured - led_to).abs() <= self.track_max_rad);
        let mut pairs = capture.position_rad.iter().zip(&capture.arm_set_point_rad);
        self.off_track = count(pairs.any(off), self.off_track);
        if self.not_following > NOT_FOLLOWING_TICKS || self.off_track > self.track_ticks {
            self.demand_stop(Reason::ArmStopped);
        }
    }
}
