//! What went wrong, against when the arm stopped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use episode::Reason;
use robot::JointVec;

use crate::machine::Stall;

/// A fault that is over explains a stop for so long, in seconds: what it left behind is noticed then.
const AFTER_S: f64 = 1.0;

/// A stall of the machine explains a stop for so long, in seconds.
const AFTER_STALL_S: f64 = 0.5;

/// Stalls that are longer than this hold the loop up for longer than the arm's watchdog waits, with what it is late anyway. In seconds.
const STALL_S: f64 = 0.1;

/// Longest time from a fault of the camera to the arm's stop, in seconds: five periods without a picture, its age, and what a busy machine adds.
const CAMERA_S: f64 = 1.5;

/// Likewise from a fault of the line or of the arm: three periods without a sound report, of which the first may not be missed at once.
const ARM_S: f64 = 1.0;

/// Faults that are noticed only as far as the arm moves, so that no time can be promised.
const SLOW: [&str; 2] = ["camera_frozen", "arm_blocked"];

/// Faults during which a sound controller goes on.
const HARMLESS: [&str; 3] = ["camera_noise", "line_noise", "line_lossy"];

/// Faults that stop an arm at some time, or not at all: a recording may have a handshake in it, which stops an arm whoever sends it.
const SOMETIMES: [&str; 1] = ["line_replayed"];

/// A picture that repeats is told from the scene of an arm at rest once a joint has moved so far, in radians, and five periods more have
/// passed. The margin is for the times that are compared, which two programs told.
const MOVED_RAD: f32 = 0.1;

/// An arm that is held is told once it has been so far from where it is led for so many ticks: `trust` of the robot file.
const TRACK_MAX_RAD: f32 = 0.4;
const TRACK_TICKS: usize = 10;

/// See [`MOVED_RAD`]. In seconds.
const NOTICED_S: f64 = 0.7;

/// Something that the simulated arm told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// In seconds since 1970.
    pub(crate) at_s: f64,
    pub(crate) what: What,
}

/// See [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Begins(String),
    Ends(String),
    Active,
    NotActive,
}

impl Event {
    /// Of a line such as `1795718777.712 fault camera_noise begins, 2.000 s after the beginning`, or `1795718777.712 arm Active`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split([' ', ',']);
        let at_s = words.next()?.parse().ok()?;
        let what = match (words.next()?, words.next()?) {
            ("arm", "Active") => What::Active,
            ("arm", _) => What::NotActive,
            ("fault", name) => match words.next()? {
                "begins" => What::Begins(name.to_owned()),
                _ => What::Ends(name.to_owned()),
            },
            _ => return None,
        };
        Some(Self { at_s, what })
    }
}

/// What became of a log.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) complete: bool,
    pub(crate) ticks: usize,
    /// Why its last tick did what it did.
    pub(crate) last: Option<Reason>,
    /// Where the joints were, and how long before the last tick, in seconds.
    pub(crate) joints: Vec<(f64, JointVec)>,
    /// How far the arm was from where its firmware led it, in radians: the most of all joints, at the same times.
    pub(crate) behind_rad: Vec<(f64, f32)>,
}

impl Log {
    /// How far a joint moved between two times that lie before the last tick, in seconds: the most of all joints.
    fn moved_rad(&self, from_before_s: f64, to_before_s: f64) -> f32 {
        let within = || {
            self.joints
                .iter()
                .filter(|(before_s, _)| (to_before_s..=from_before_s).contains(before_s))
        };
        let joints = within().map(|(_, joints)| joints.len()).min().unwrap_or(0);
        let range = |joint: usize| {
            let values = || within().map(|(_, joints)| joints[joint]);
            values().fold(f32::MIN, f32::max) - values().fold(f32::MAX, f32::min)
        };
        (0..joints).map(range).fold(0.0, f32::max)
    }

    /// Ticks between two such times in which the arm was off track.
    fn off_track(&self, from_before_s: f64, to_before_s: f64) -> usize {
        self.behind_rad
            .iter()
            .filter(|(before_s, behind)| {
                (to_before_s..=from_before_s).contains(before_s) && *behind > TRACK_MAX_RAD
            })
            .count()
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) started_s: f64,
    pub(crate) ended_s: f64,
    pub(crate) code: Option<i32>,
    /// Its error.
    pub(crate) said: String,
    /// It was asked to end.
    pub(crate) asked: bool,
    pub(crate) memory_kb: Vec<u64>,
    /// `None` for one that has begun no log.
    pub(crate) log: Option<Result<Log, String>>,
}

impl Attempt {
    /// Why it ended, as its log says.
    fn reason(&self) -> Option<Reason> {
        self.log.as_ref()?.as_ref().ok()?.last
    }
}

/// A fault, from when until when, in seconds since 1970.
#[derive(Debug, Clone)]
struct Fault {
    name: String,
    begins_s: f64,
    ends_s: f64,
    /// The arm followed when it began.
    driven: bool,
}

impl Fault {
    fn is_of_the_camera(&self) -> bool {
        self.name.starts_with("camera")
    }

    /// Whether a loop that judges by what it sees can stop for this reason because of the fault.
    fn can_lead_to(&self, reason: Reason) -> bool {
        if HARMLESS.contains(&self.name.as_str()) {
            return false;
        }
        match reason {
            Reason::CameraLost | Reason::FrameGap | Reason::NoFreshFrame => self.is_of_the_camera(),
            // An arm that something holds, and a picture that repeats, look alike.
            Reason::FrozenFrame | Reason::Surprise => self.is_of_the_camera() || self.name == "arm_blocked",
            Reason::ArmStopped
            | Reason::BadReport
            | Reason::LinkLost
            | Reason::OffCourse
            | Reason::SelfStopped => !self.is_of_the_camera(),
            _ => false,
        }
    }

    fn bound_s(&self) -> f64 {
        if self.is_of_the_camera() { CAMERA_S } else { ARM_S }
    }
}

/// How a kind of fault went.
#[derive(Debug, Default)]
struct Kind {
    times: usize,
    driven: usize,
    /// The arm stood still or was hardly led away meanwhile, so that nothing could be noticed.
    still: usize,
    /// From the fault to the arm's own stop, in seconds.
    delays_s: Vec<f64>,
}

/// The comparison.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    kinds: BTreeMap<String, Kind>,
    stops: usize,
    /// Stops that nothing explains.
    false_alarms: Vec<String>,
    /// Stops beside which the machine stood still, and no fault was on.
    by_machine: Vec<String>,
    missed: Vec<String>,
    /// Stops that came late.
    late: Vec<String>,
    /// Kinds that never befell an arm that followed.
    untried: Vec<String>,
    /// The arm followed again in the same run.
    resumed: Vec<String>,
    bad_logs: Vec<String>,
}

impl Compared {
    /// Compares. Each of the `kinds` of fault must have befallen an arm that followed.
    pub(crate) fn of(events: &[Event], attempts: &[Attempt], stalls: &[Stall], kinds: &[&str]) -> Self {
        let mut compared = Self::default();
        let faults = faults(events);
        let stops = stops(events);
        compared.stops = stops.len();
        for stop_s in &stops {
            compared.explain(*stop_s, &faults, attempts, stalls);
        }
        // One that was on at the end has not had its time.
        for fault in faults.iter().filter(|fault| fault.ends_s.is_finite()) {
            compared.count(fault, &stops, attempts);
        }
        for attempt in attempts {
            compared.look_at(attempt, events);
        }
        let tried = |kind: &str| compared.kinds.get(kind).is_some_and(|kind| kind.driven > 0);
        compared.untried = kinds
            .iter()
            .filter(|kind| !tried(kind))
            .map(|kind| (*kind).to_owned())
            .collect();
        compared
    }

    /// Whether each stop has a fault, each fault that must stop has a stop, nothing resumed, and the logs can be read.
    pub(crate) fn is_well(&self) -> bool {
        self.stops > 0
            && [
                &self.false_alarms,
                &self.missed,
                &self.late,
                &self.untried,
                &self.resumed,
                &self.bad_logs,
            ]
            .iter()
            .all(|list| list.is_empty())
    }

    fn explain(&mut self, stop_s: f64, faults: &[Fault], attempts: &[Attempt], stalls: &[Stall]) {
        let attempt = attempts
            .iter()
            .find(|attempt| (attempt.started_s..=attempt.ended_s + 1.0).contains(&stop_s));
        let reason = attempt.and_then(Attempt::reason);
        let fault = faults.iter().any(|fault| {
            (fault.begins_s..=fault.ends_s + AFTER_S).contains(&stop_s)
                && reason.is_none_or(|reason| fault.can_lead_to(reason))
        });
        if fault || attempt.is_some_and(|attempt| attempt.asked) {
            return;
        }
        let before = faults
            .iter()
            .rfind(|fault| fault.begins_s < stop_s)
            .map_or("nothing".to_owned(), |fault| {
                format!("{} until {:.3}", fault.name, fault.ends_s)
            });
        let words = format!(
            "{stop_s:.3}, after {before}: {}",
            attempt.map_or("no run", |attempt| attempt.said.as_str())
        );
        let stall = stalls.iter().find(|(until_s, length_s)| {
            *length_s > STALL_S && (until_s - length_s..=until_s + AFTER_STALL_S).contains(&stop_s)
        });
        match stall {
            Some((_, length_s)) => self
                .by_machine
                .push(format!("{words} (the machine stood still for {length_s:.2} s)")),
            None => self.false_alarms.push(words),
        }
    }

    fn count(&mut self, fault: &Fault, stops: &[f64], attempts: &[Attempt]) {
        let kind = self.kinds.entry(fault.name.clone()).or_default();
        kind.times += 1;
        if !fault.driven {
            return;
        }
        kind.driven += 1;
        let stop = stops
            .iter()
            .find(|stop_s| (fault.begins_s..=fault.ends_s + AFTER_S).contains(*stop_s));
        match stop {
            Some(stop_s) => {
                let delay_s = stop_s - fault.begins_s;
                kind.delays_s.push(delay_s);
                let any_time =
                    SLOW.contains(&fault.name.as_str()) || SOMETIMES.contains(&fault.name.as_str());
                if !any_time && delay_s > fault.bound_s() {
                    self.late.push(format!(
                        "{:.3}: {} after {delay_s:.2} s",
                        fault.begins_s, fault.name
                    ));
                }
            }
            None if HARMLESS.contains(&fault.name.as_str()) || SOMETIMES.contains(&fault.name.as_str()) => {}
            None if stood_still(fault, stops, attempts) => kind.still += 1,
            None => self.missed.push(format!(
                "{:.3}: {} for {:.1} s",
                fault.begins_s,
                fault.name,
                fault.ends_s - fault.begins_s
            )),
        }
    }

    fn look_at(&mut self, attempt: &Attempt, events: &[Event]) {
        let follows = events.iter().filter(|event| {
            event.what == What::Active && (attempt.started_s..attempt.ended_s).contains(&event.at_s)
        });
        if follows.count() > 1 {
            self.resumed
                .push(format!("{:.3}: {}", attempt.started_s, attempt.said));
        }
        match &attempt.log {
            Some(Err(error)) => self.bad_logs.push(format!("{:.3}: {error}", attempt.started_s)),
            Some(Ok(log)) if !log.complete => self.bad_logs.push(format!(
                "{:.3}: {} ticks, not closed: {}",
                attempt.started_s, log.ticks, attempt.said
            )),
            _ => {}
        }
    }

    /// The comparison in words.
    pub(crate) fn text(&self, attempts: &[Attempt], sim_kb: &[u64]) -> String {
        let mut text = String::new();
        let mut line = |words: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{words}");
        };
        line(format_args!(
            "| fault | times | while the arm followed | it stopped | it stood still | middle s | worst s |"
        ));
        line(format_args!("|---|---|---|---|---|---|---|"));
        for (name, kind) in &self.kinds {
            let mut delays_s = kind.delays_s.clone();
            delays_s.sort_by(f64::total_cmp);
            let at = |index: usize| {
                delays_s
                    .get(index)
                    .map_or("-".to_owned(), |delay_s| format!("{delay_s:.3}"))
            };
            line(format_args!(
                "| {name} | {} | {} | {} | {} | {} | {} |",
                kind.times,
                kind.driven,
                delays_s.len(),
                kind.still,
                at(delays_s.len() / 2),
                at(delays_s.len().wrapping_sub(1)),
            ));
        }
        let logs = || attempts.iter().filter_map(|attempt| attempt.log.as_ref());
        let ticks: usize = logs().flatten().map(|log| log.ticks).sum();
        let ended = |good: bool| {
            attempts
                .iter()
                .filter(|attempt| (attempt.code == Some(0)) == good)
                .count()
        };
        line(format_args!(
            "{} runs ({} ended with an error, {} well), {ticks} ticks, {} logs",
            attempts.len(),
            ended(false),
            ended(true),
            logs().count()
        ));
        let mut reasons = BTreeMap::<String, usize>::new();
        for log in logs().flatten() {
            *reasons.entry(format!("{:?}", log.last)).or_default() += 1;
        }
        line(format_args!("last rows of the logs: {reasons:?}"));
        line(format_args!("memory of the simulated arm: {}", memory(sim_kb)));
        let longest = attempts.iter().max_by_key(|attempt| attempt.memory_kb.len());
        line(format_args!(
            "memory of the longest run: {}",
            memory(longest.map_or(&[], |attempt| &attempt.memory_kb))
        ));
        line(format_args!(
            "memory of all runs, highest: {} kB",
            attempts
                .iter()
                .flat_map(|attempt| &attempt.memory_kb)
                .max()
                .unwrap_or(&0)
        ));
        line(format_args!("{} stops of the arm", self.stops));
        for (words, list) in [
            ("without a fault", &self.false_alarms),
            ("without a fault, while the machine stood still", &self.by_machine),
            ("faults without a stop", &self.missed),
            ("stops that came late", &self.late),
            (
                "kinds of faults that never befell an arm that followed",
                &self.untried,
            ),
            ("motion that began again without a new run", &self.resumed),
            ("logs that were not closed, or cannot be read", &self.bad_logs),
        ] {
            line(format_args!("{words}: {}", list.len()));
            for entry in list {
                line(format_args!("  {entry}"));
            }
        }
        text
    }
}

/// First, middle and last third of what was seen: what grows shows.
fn memory(kb: &[u64]) -> String {
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
    let third = kb.len() / 3;
    if third == 0 {
        return format!("{kb:?} kB");
    }
    format!(
        "{} kB, {} kB, {} kB on average in the thirds of {} s",
        mean(&kb[..third]),
        mean(&kb[third..2 * third]),
        mean(&kb[2 * third..]),
        kb.len()
    )
}

/// Whether the arm hardly moved, or was hardly led away, so that the fault could not be noticed. The last tick of a log is at the time of the arm's stop.
fn stood_still(fault: &Fault, stops: &[f64], attempts: &[Attempt]) -> bool {
    let run = attempts
        .iter()
        .find(|attempt| (attempt.started_s..attempt.ended_s).contains(&fault.begins_s));
    let Some((run, Some(Ok(log)))) = run.map(|run| (run, &run.log)) else {
        return false;
    };
    let stop = stops
        .iter()
        .find(|stop_s| (fault.ends_s..=run.ended_s).contains(*stop_s));
    stop.is_some_and(|stop_s| {
        let since_s = stop_s - fault.begins_s;
        match fault.name.as_str() {
            "camera_frozen" => {
                let until_s = fault.ends_s - NOTICED_S;
                log.moved_rad(since_s, stop_s - until_s) < MOVED_RAD
            }
            "arm_blocked" => log.off_track(since_s, stop_s - fault.ends_s) <= TRACK_TICKS,
            _ => false,
        }
    })
}

fn stops(events: &[Event]) -> Vec<f64> {
    let mut stops = Vec::new();
    let mut active = false;
    for event in events {
        match event.what {
            What::Active => active = true,
            What::NotActive if active => {
                active = false;
                stops.push(event.at_s);
            }
            _ => {}
        }
    }
    stops
}

fn faults(events: &[Event]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut active = false;
    for event in events {
        match &event.what {
            What::Active => active = true,
            What::NotActive => active = false,
            What::Begins(name) => faults.push(Fault {
                name: name.clone(),
                begins_s: event.at_s,
                ends_s: f64::INFINITY,
                driven: active,
            }),
            What::Ends(name) => {
                if let Some(fault) = faults.iter_mut().rev().find(|fault| fault.name == *name) {
                    fault.ends_s = event.at_s;
                }
            }
        }
    }
    faults
}
