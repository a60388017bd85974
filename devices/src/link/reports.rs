//! Which telemetry counts as a report of the arm. What does not is counted by reason, and is as good as silence.

use firmware_bridge::wire::{FirmwareState, HelloAck, NO_SESSION, Telemetry, seq_after};
use robot::device::{Overdue, RefusedReports};

use super::clock::{DeviceClock, Times};

/// Oldest that a measurement may be, and longest that the arm may take to show that it has read a message, where the control period is not
/// known, in microseconds.
pub(super) const LATE_MAX_US: u64 = 150_000;

/// The same where it is known: one and a half periods, but not less than this.
const LATE_LEAST_US: u64 = 50_000;

/// Control periods after the first report that did not come within which an arm must have stopped.
const SILENT_PERIODS: u64 = 3;

/// Where telemetry of one fault is counted.
type Count = fn(&mut RefusedReports) -> &mut u32;

/// What is remembered of the last report.
#[derive(Debug, Clone, Copy)]
struct Last {
    seq: u32,
    /// Host's time of its measurement.
    at_us: u64,
    /// Time from one report to the next, once two have followed each other.
    interval_us: Option<u64>,
    /// Whether the arm moves by it.
    moves: bool,
}

/// What is known of the arm's side of one session.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    pub(super) clock: DeviceClock,
    pub(super) refused: RefusedReports,
    joints: usize,
    /// The control period, where it is known.
    period_us: Option<u64>,
    /// The last report.
    last: Option<Last>,
    /// [`NO_SESSION`] while there is none.
    nonce: u64,
    /// Host's time in the last report's echo: at first that of the Hello.
    echo_us: u64,
    /// Host's time of the newest message that the arm must echo.
    spoken_us: u64,
    /// The oldest among those that it has not echoed yet, or a later one.
    awaited_us: Option<u64>,
}

impl Reports {
    pub(super) fn new(joints: usize) -> Self {
        Self {
            clock: DeviceClock::new(LATE_MAX_US),
            refused: RefusedReports::default(),
            joints,
            period_us: None,
            last: None,
            nonce: NO_SESSION,
            echo_us: 0,
            spoken_us: 0,
            awaited_us: None,
        }
    }

    /// Measures by the control period how old telemetry may be.
    pub(super) fn set_period_us(&mut self, period_us: u64) {
        self.period_us = Some(period_us);
        self.clock
            .set_late_max_us((period_us.saturating_mul(3) / 2).max(LATE_LEAST_US));
    }

    /// Nonce of the session, or [`NO_SESSION`].
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// No telemetry is a report from here on.
    pub(super) fn end(&mut self) {
        self.nonce = NO_SESSION;
    }

    /// A session begins with `ack`, the answer at `answered_us` to the Hello of `sent_us`.
    pub(super) fn begin(&mut self, ack: &HelloAck, sent_us: u64, answered_us: u64) {
        self.nonce = ack.session_nonce;
        self.last = None;
        self.echo_us = sent_us;
        self.spoken_us = sent_us;
        self.awaited_us = None;
        self.clock.begin(sent_us, answered_us, ack.device_time_us);
    }

    /// A message with the host time `now_us` was sent, which the arm must echo.
    pub(super) fn spoke(&mut self, now_us: u64) {
        self.spoken_us = now_us;
        self.awaited_us.get_or_insert(now_us);
    }

    /// Whether telemetry that arrives at `now_us` is a report. `newest_seq` is that of the newest command sent, 0 before the first.
    pub(super) fn takes(&mut self, now_us: u64, telemetry: &Telemetry, newest_seq: u32) -> bool {
        let reason = self.refusal(now_us, telemetry, newest_seq);
        if let Some(reason) = reason {
            let count = reason(&mut self.refused);
            *count = count.saturating_add(1);
        }
        reason.is_none()
    }

    /// Which count `telemetry` belongs to if it is no report; `None` if it is one.
    fn refusal(&mut self, now_us: u64, telemetry: &Telemetry, newest_seq: u32) -> Option<Count> {
        if self.nonce == NO_SESSION || telemetry.session_nonce != self.nonce {
            return Some(|refused| &mut refused.session);
        }
        let vectors = [
            &telemetry.position_rad,
            &telemetry.velocity_rad_s,
            &telemetry.set_point_rad,
        ];
        if vectors.iter().any(|vector| vector.len() != self.joints) {
            return Some(|refused| &mut refused.joints);
        }
        // An arm that is off, or at rest, may say that it does not know where it is: nothing moves before that is mended.
        let moves = matches!(telemetry.state, FirmwareState::Active | FirmwareState::Stopping);
        let finite = vectors
            .iter()
            .all(|vector| vector.iter().all(|number| number.is_finite()));
        if moves && !finite {
            return Some(|refused| &mut refused.not_finite);
        }
        if self
            .last
            .is_some_and(|last| !seq_after(telemetry.telemetry_seq, last.seq))
        {
            return Some(|refused| &mut refused.repeated);
        }
        if seq_after(telemetry.received_seq, newest_seq)
            || seq_after(telemetry.last_command_seq, telemetry.received_seq)
        {
            return Some(|refused| &mut refused.acknowledged);
        }
        let echo_us = telemetry.host_time_echo_us;
        if echo_us < self.echo_us || echo_us > self.spoken_us {
            return Some(|refused| &mut refused.echo);
        }
        let times = Times {
            device_us: telemetry.device_time_us,
            echo_us,
            echo_received_us: telemetry.echo_received_us,
        };
        if !self.clock.believes(now_us, times) {
            return Some(|refused| &mut refused.clock);
        }
        self.echo_us = echo_us;
        if self.awaited_us.is_some_and(|awaited_us| echo_us >= awaited_us) {
            self.awaited_us = (echo_us < self.spoken_us).then_some(self.spoken_us);
        }
        // An arm that has stopped since it hears nothing cannot show that it hears, and is believed all the same.
        if !self.clock.waits()
            && telemetry.state == FirmwareState::Active
            && self.awaited_us.is_some_and(|awaited_us| {
                let measured_us = self.clock.host_us(telemetry.device_time_us);
                measured_us.saturating_sub(awaited_us) > self.clock.late_max_us()
            })
        {
            return Some(|refused| &mut refused.echo);
        }
        self.take_note(telemetry, moves);
        None
    }

    /// Keeps what is to be known of the last report.
    fn take_note(&mut self, telemetry: &Telemetry, moves: bool) {
        let (seq, at_us) = (
            telemetry.telemetry_seq,
            self.clock.host_us(telemetry.device_time_us),
        );
        let interval_us = self.last.and_then(|last| {
            // Of two that followed each other.
            if seq == last.seq.wrapping_add(1) {
                Some(at_us.saturating_sub(last.at_us))
            } else {
                last.interval_us
            }
        });
        self.last = Some(Last {
            seq,
            at_us,
            interval_us,
            moves,
        });
    }

    /// What an arm that moves has not done for so long by `now_us` that a host which looks again after another control period would be later
    /// than [`SILENT_PERIODS`] after the report that should have come, or should have shown it. `None` where the period or the arm's rate
    /// is not known.
    pub(super) fn overdue(&self, now_us: u64) -> Option<Overdue> {
        let (period_us, last) = (self.period_us?, self.last?);
        if self.nonce == NO_SESSION || self.clock.waits() || !last.moves {
            return None;
        }
        let limit_us = last
            .interval_us?
            .saturating_add((SILENT_PERIODS - 1).saturating_mul(period_us));
        let late_ms = |since_us: u64| {
            let age_us = now_us.saturating_sub(since_us);
            (age_us > limit_us).then_some(age_us / 1_000)
        };
        let echo = self.awaited_us.and_then(late_ms).map(Overdue::Echo);
        echo.or_else(|| late_ms(last.at_us).map(Overdue::Report))
    }
}
