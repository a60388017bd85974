//! A scenario under way: what is wrong at each moment.

use std::time::{SystemTime, UNIX_EPOCH};

use firmware_bridge::FirmwareState;
use firmware_bridge::faults::{Fault, Schedule};
use robot::philox::Stream;

use super::{Begin, Planned, Random, Scenario};

/// Which of a seed's streams of random numbers.
const STREAM: u64 = 0xFA11;

/// A scenario under way.
#[derive(Debug)]
pub(super) struct Playing {
    begin: Begin,
    faults: Vec<Planned>,
    random: Option<Draws>,
    /// When the clock of the scenario began.
    begun_us: Option<u64>,
    last_us: u64,
    /// The arm's state, as it was told last.
    state: FirmwareState,
    wrong: Vec<Fault>,
    tell: fn(&str),
}

impl Playing {
    pub(super) fn begin(scenario: Scenario, tell: fn(&str)) -> Self {
        Self {
            random: scenario.random.map(|random| Draws {
                stream: Stream::new(random.seed, STREAM),
                random,
                left_us: None,
                now: None,
            }),
            begin: scenario.begin,
            faults: scenario.faults,
            begun_us: None,
            last_us: 0,
            state: FirmwareState::Idle,
            wrong: Vec::new(),
            tell,
        }
    }
}

/// Faults that are drawn.
#[derive(Debug)]
struct Draws {
    random: Random,
    stream: Stream,
    /// Until the next one; `None` before that is drawn.
    left_us: Option<u64>,
    /// The one that is on, and until when.
    now: Option<(Fault, u64)>,
}

impl Draws {
    /// The fault that is on. `passed_us` counts towards the next one.
    fn at(&mut self, now_us: u64, passed_us: u64) -> Option<Fault> {
        if self.now.is_some_and(|(_, until_us)| now_us >= until_us) {
            self.now = None;
            self.left_us = None;
        }
        if self.now.is_none() {
            let left_us = match self.left_us {
                Some(left_us) => left_us.saturating_sub(passed_us),
                None => self.between(self.random.pause_s),
            };
            self.left_us = Some(left_us);
            if left_us == 0 {
                let fault = self.random.faults[self.stream.below(self.random.faults.len())];
                self.now = Some((fault, now_us + self.between(self.random.for_s)));
            }
        }
        self.now.map(|(fault, _)| fault)
    }

    fn between(&mut self, (least_s, most_s): (f64, f64)) -> u64 {
        microseconds(least_s + f64::from(self.stream.uniform()) * (most_s - least_s))
    }
}

impl Schedule for Playing {
    fn wrong(&mut self, elapsed_us: u64, state: FirmwareState) -> &[Fault] {
        let passed_us = elapsed_us.saturating_sub(self.last_us);
        self.last_us = elapsed_us;
        if state != self.state {
            self.state = state;
            (self.tell)(&format!("{:.3} arm {state:?}", unix_s()));
        }
        let following = state == FirmwareState::Active;
        if self.begun_us.is_none() && (following || self.begin == Begin::AtOnce) {
            self.begun_us = Some(elapsed_us);
        }
        let Some(begun_us) = self.begun_us else {
            return &[];
        };
        let now_us = elapsed_us - begun_us;
        let planned = self.faults.iter().filter(|planned| {
            let at_us = microseconds(planned.at_s);
            (at_us..at_us + microseconds(planned.for_s)).contains(&now_us)
        });
        let mut wrong: Vec<Fault> = planned.map(|planned| planned.fault).collect();
        let counts_us = if following { passed_us } else { 0 };
        wrong.extend(
            self.random
                .as_mut()
                .and_then(|random| random.at(now_us, counts_us)),
        );
        for (here, there, what) in [(&self.wrong, &wrong, "ends"), (&wrong, &self.wrong, "begins")] {
            for fault in here.iter().filter(|fault| !there.contains(fault)) {
                let at_s = now_us as f64 * 1e-6;
                (self.tell)(&format!(
                    "{:.3} fault {} {what}, {at_s:.3} s after the beginning",
                    unix_s(),
                    fault.name()
                ));
            }
        }
        self.wrong = wrong;
        &self.wrong
    }
}

pub(super) fn microseconds(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// The wall clock, for whoever compares with logs; nothing is decided by it.
fn unix_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
