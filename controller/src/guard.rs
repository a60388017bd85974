//! Stage 5, guard: the last word on every action.
//!
//! The [`Envelope`] bounds the action; the trust monitor watches frames, innovation and numbers, and walks down the
//! fallback ladder: fresh plan, tail of the last plan, hold, controlled stop, torque off. The last two the firmware
//! also does by itself when the host falls silent.

use episode::{CaptureRow, FilterRow, GuardRow, PlanRow, PlanSource, Reason};
use robot::{Clamped, Config, Envelope, SetPoint};

/// Limits and thresholds, and how many ticks in a row each has been crossed.
#[derive(Debug)]
pub struct Guard {
    envelope: Envelope,
    gap_ticks: u32,
    kl_max_nats: f32,
    kl_ticks: u32,
    frozen_ticks: u32,
    without_frame: u32,
    surprised: u32,
    frozen: u32,
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
    /// A guard with a robot file's limits.
    pub fn new(config: &Config) -> Self {
        Self {
            envelope: config.envelope.clone(),
            gap_ticks: config.frame_gap_ticks,
            kl_max_nats: config.trust.kl_max_nats,
            kl_ticks: config.trust.kl_ticks,
            frozen_ticks: config.trust.frozen_ticks,
            without_frame: 0,
            surprised: 0,
            frozen: 0,
            last_hash: 0,
            stopped: None,
        }
    }

    /// A new episode: counts start again, a stop is no longer remembered.
    pub fn reset(&mut self) {
        (self.without_frame, self.surprised, self.frozen, self.last_hash) = (0, 0, 0, 0);
        self.stopped = None;
    }

    /// The envelope actions are clamped with.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Reports something outside the data that must stop the arm (a lost link, a person).
    pub fn demand_stop(&mut self, reason: Reason) {
        self.stopped.get_or_insert(reason);
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
        if plan.action.iter().any(|value| !value.is_finite()) {
            plan.source = PlanSource::Hold;
            plan.action.iter_mut().for_each(|value| *value = 0.0);
            reason = Reason::NonFinite;
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
        self.without_frame = count(!capture.fresh, self.without_frame);
        self.surprised = count(!(filter.kl_nats <= self.kl_max_nats), self.surprised);
        let same = capture.fresh && capture.frame_hash == self.last_hash && moving;
        self.frozen = count(same, self.frozen);
        if capture.fresh {
            self.last_hash = capture.frame_hash;
        }
        if self.without_frame > self.gap_ticks {
            self.demand_stop(Reason::FrameGap);
        }
        if self.frozen > self.frozen_ticks {
            self.demand_stop(Reason::FrozenFrame);
        }
        if self.surprised > self.kl_ticks {
            self.demand_stop(Reason::Surprise);
        }
        if capture.fresh {
            Reason::Ok
        } else {
            Reason::NoFreshFrame
        }
    }
}
