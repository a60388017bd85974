//! The arm's clock against the host's.
//!
//! Two bounds of the difference between them are known. A measurement arrives after it was made, so that the arm's time of it less the
//! host's time of arrival is never more than the difference. A message is read after it was sent, so that the arm's time of reading
//! less the host's time of sending is never less. Both bounds are followed through a session; a clock that breaks one has jumped,
//! or the telemetry lies.
//!
//! Commands are made valid by the lower bound, so that none is ever valid for longer than was asked for.

/// An arm that has been on for longer than a hundred years: no arm has.
pub(super) const CLOCK_MAX_US: u64 = 100 * 365 * 24 * 3_600 * 1_000_000;

/// One in so many: the most by which one clock may be faster than the other. Ceramic resonators reach half of it.
const DRIFT: i64 = 100;

/// How far the two bounds may contradict each other, in microseconds: both clocks are read in steps.
const ROUNDING_US: i64 = 5_000;

/// Beyond the bounds by more than this is no delay and no drift, in microseconds.
const JUMP_US: i64 = 50_000;

/// How steadily a clock must go on after a jump before it is believed again, in microseconds from one measurement to the next.
const STEADY_US: i64 = 25_000;

/// Measurements in a row by the new clock, after which it is followed. If the arm has shown by it when it read a message: so many for a clock
/// that went back, which only makes commands valid for a shorter time,
const ECHOED_SAMPLES_BACK: u32 = 1;

/// so many for one that went ahead,
const ECHOED_SAMPLES_AHEAD: u32 = 2;

/// and so many if it has shown nothing, and seems late. Such an arm may also be one whose telemetry is late; its echoes then tell.
const SAMPLES: u32 = 10;

/// The times in one telemetry message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Arm's clock at the measurement.
    pub(super) device_us: u64,
    /// Host's clock at the sending of the newest message that the arm has read.
    pub(super) echo_us: u64,
    /// Arm's clock at its reading.
    pub(super) echo_received_us: u64,
}

/// What is known of the arm's clock. All bounds are the arm's time less the host's, in microseconds.
#[derive(Debug, Clone)]
pub(super) struct DeviceClock {
    /// Whether the world behind the arm waits: its clock then has no rate, and only goes on.
    waits: bool,
    /// Oldest that a measurement may be, in microseconds.
    late_max_us: i64,
    lower_us: i64,
    upper_us: i64,
    /// Host's time of the newest of them.
    at_us: u64,
    /// Arm's time at which it read the Hello of the session.
    begun_us: u64,
    /// Arm's time of the last measurement that was believed.
    device_us: Option<u64>,
    /// Measurements in a row that break the bounds.
    doubt: Option<Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    samples: u32,
    /// Those among them that came with an echo by the same clock.
    echoed: u32,
    sample_us: i64,
    /// The best of them.
    lower_us: i64,
    device_us: u64,
}

impl DeviceClock {
    pub(super) fn new(late_max_us: u64) -> Self {
        Self {
            waits: false,
            late_max_us: signed(late_max_us),
            lower_us: 0,
            upper_us: 0,
            at_us: 0,
            begun_us: 0,
            device_us: None,
            doubt: None,
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    pub(super) fn set_waits(&mut self) {
        self.waits = true;
    }

    /// Oldest that a measurement may be, in microseconds.
    pub(super) fn late_max_us(&self) -> u64 {
        self.late_max_us.unsigned_abs()
    }

    pub(super) fn set_late_max_us(&mut self, late_max_us: u64) {
        self.late_max_us = signed(late_max_us);
    }

    /// Begins anew with the answer to a Hello that was sent and answered at these times of the host.
    pub(super) fn begin(&mut self, sent_us: u64, answered_us: u64, device_us: u64) {
        self.lower_us = less(device_us, answered_us);
        self.upper_us = less(device_us, sent_us);
        self.at_us = answered_us;
        self.begun_us = device_us;
        self.device_us = None;
        self.doubt = None;
    }

    /// The middle of the bounds.
    pub(super) fn offset_us(&self) -> i64 {
        i64::midpoint(self.lower_us, self.upper_us)
    }

    /// Host's time at which the arm's clock says `device_us`, or earlier.
    pub(super) fn host_us(&self, device_us: u64) -> u64 {
        device_us.saturating_add_signed(self.lower_us.saturating_neg())
    }

    /// Arm's time until which a command counts that is sent at `now_us` and is to be valid for `valid_for_us`: never longer than that, by
    /// anything that is known of the clock.
    pub(super) fn valid_until_us(&self, now_us: u64, valid_for_us: u32) -> u64 {
        let valid_for_us = u64::from(valid_for_us);
        if self.waits {
            let newest_us = self.device_us.unwrap_or(0).max(self.begun_us);
            return newest_us.saturating_add(valid_for_us);
        }
        let lower_us = match self.doubt {
            Some(doubt) => self.lower_us.min(doubt.sample_us),
            None => self.lower_us,
        };
        now_us
            .saturating_add(valid_for_us)
            .saturating_add_signed(lower_us)
    }

    /// Whether a measurement that arrives at `now_us` is by a clock that goes on as the host's does.
    pub(super) fn believes(&mut self, now_us: u64, times: Times) -> bool {
        if times.device_us > CLOCK_MAX_US || times.echo_received_us > CLOCK_MAX_US {
            return false;
        }
        if self.waits {
            // It may report twice of the same instant.
            let goes_on = self.device_us.is_none_or(|last| times.device_us >= last);
            if goes_on {
                self.device_us = Some(times.device_us);
            }
            return goes_on;
        }
        let elapsed_us = signed(now_us.saturating_sub(self.at_us));
        self.lower_us = self.lower_us.saturating_sub(elapsed_us / DRIFT);
        self.upper_us = self.upper_us.saturating_add(elapsed_us / DRIFT);
        self.at_us = now_us;

        let sample_us = less(times.device_us, now_us);
        let bound_us = less(times.echo_received_us, times.echo_us);
        let since_echo_us = signed(now_us.saturating_sub(times.echo_us));
        let ahead_of_its_echo = sample_us > bound_us + ROUNDING_US + since_echo_us / DRIFT;
        let behind_its_echo = less(times.echo_received_us, times.device_us) > self.late_max_us;
        if ahead_of_its_echo || behind_its_echo {
            // No clock: its own two times contradict each other.
            return false;
        }
        let goes_on = self.device_us.is_none_or(|last| times.device_us > last);
        let in_bounds = sample_us <= self.upper_us + JUMP_US
            && sample_us >= self.lower_us - self.late_max_us
            && bound_us >= self.lower_us - JUMP_US;
        if goes_on && in_bounds {
            self.lower_us = self.lower_us.max(sample_us);
            self.upper_us = self.upper_us.min(bound_us).max(self.lower_us);
        } else if let Some(lower_us) = self.doubted(times.device_us, sample_us, bound_us) {
            // It has jumped, and goes on steadily from there.
            self.lower_us = lower_us;
            self.upper_us = bound_us.max(lower_us);
        } else {
            return false;
        }
        self.device_us = Some(times.device_us);
        self.doubt = None;
        true
    }

    /// Takes note of a measurement that breaks the bounds. Returns the lower bound by the new clock once that is to be followed.
    fn doubted(&mut self, device_us: u64, sample_us: i64, bound_us: i64) -> Option<i64> {
        let echoed = bound_us - sample_us <= self.late_max_us
            && (sample_us > self.upper_us + JUMP_US || bound_us < self.lower_us - JUMP_US);
        let before = self
            .doubt
            .filter(|before| device_us > before.device_us)
            .filter(|before| (sample_us - before.sample_us).abs() <= STEADY_US);
        let doubt = Doubt {
            samples: before.map_or(1, |before| before.samples + 1),
            echoed: before.map_or(0, |before| before.echoed) + u32::from(echoed),
            sample_us,
            lower_us: before.map_or(sample_us, |before| before.lower_us.max(sample_us)),
            device_us,
        };
        self.doubt = Some(doubt);
        let follow = if sample_us < self.lower_us {
            doubt.echoed >= ECHOED_SAMPLES_BACK || doubt.samples >= SAMPLES
        } else {
            doubt.echoed >= ECHOED_SAMPLES_AHEAD
        };
        follow.then_some(doubt.lower_us)
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// `a` less `b`.
fn less(a: u64, b: u64) -> i64 {
    signed(a).saturating_sub(signed(b))
}
