//! An arm that stops reading: a real pseudo-terminal, in real time.

use std::time::{Duration, Instant};

use devices::SerialLink;
use devices::serial::SerialOptions;
use firmware_bridge::FirmwareState;
use realtime::Raised;
use robot::device::{JointBus, LinkError};

use crate::at_once::{Machine, in_time};
use crate::far_end::FarEnd;
use crate::row::{Outcome, Scale};
use crate::virtual_arm::{JOINTS, PERIOD_US, VirtualArm};

/// A write gives up within this time.
const GIVES_UP_MS: f64 = 5.0;

/// Priority of the thread that writes: that of a tick.
const PRIORITY: u8 = 80;

/// Commands that may be on their way to an arm at once.
const ON_THEIR_WAY: u64 = 2;

/// A trial in which the machine stalls all the time measures nothing. It is tried again so often.
const TRIES: usize = 10;

/// Commands that are tried one after the other.
const BURST: usize = 50;

/// Writes that are measured while the port is full.
const WRITES: usize = 5;

/// A stall beside what is left of that time once a write has waited for as long as it does.
const STALL_NS: u64 = 500_000;

/// Whoever waits longer than this is blocked, and not held up by the machine.
const BLOCKED: Duration = Duration::from_millis(100);

/// What the calls took.
struct Times<'a> {
    machine: &'a Machine,
    /// Of each message, in milliseconds, while the machine did not stall.
    ms: Vec<f64>,
    /// The longest of those in which no thread was kept waiting. The operating system moves what is written in threads without a priority, and a
    /// write waits for them in turn.
    most_ms: f64,
    blocked: u32,
}

impl Times<'_> {
    /// Takes note of a call that wrote so many messages, and began then.
    fn took(&mut self, messages: u32, begun: Instant) {
        let (took, now_ns) = (begun.elapsed(), self.machine.now_ns());
        self.blocked += u32::from(took > messages * BLOCKED);
        let begun_ns = now_ns.saturating_sub(took.as_nanos() as u64);
        let stalled = self.machine.stalled_since(begun_ns);
        let ms = 1e3 * took.as_secs_f64() / f64::from(messages);
        if !stalled.machine {
            self.ms.push(ms);
        }
        if !stalled.others {
            self.most_ms = self.most_ms.max(ms);
        }
    }
}

/// Nobody waits for an arm that reads nothing, and no more commands are on their way to it than it may carry out late.
pub(crate) fn stops_reading(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let machine = Machine::new(STALL_NS);
    let _raised = Raised::new(("faults", PRIORITY), ("faults", &[]));
    let (mut most, mut all_ms) = (0, Vec::new());
    for _ in 0..scale.trials(200, 10) {
        let mut times = Times {
            machine: &machine,
            ms: Vec::new(),
            most_ms: 0.0,
            blocked: 0,
        };
        let mut result = Ok(0);
        for _ in 0..TRIES {
            result = trial(&mut times);
            if result.is_err() || !times.ms.is_empty() {
                break;
            }
        }
        let middle_ms = middle(&mut times.ms);
        all_ms.append(&mut times.ms);
        outcome.tried(result.and_then(|commands| {
            most = most.max(commands);
            if commands > ON_THEIR_WAY {
                return Err(format!("{commands} commands arrived at an arm that read nothing"));
            }
            if times.blocked > 0 {
                return Err(format!("{} calls were blocked", times.blocked));
            }
            in_time("gave up, in the middle,", middle_ms, GIVES_UP_MS, false)?;
            // Without a priority, others of this machine make some calls late.
            in_time("gave up", times.most_ms, GIVES_UP_MS, !machine.may_raise())
        }));
    }
    let late = all_ms.iter().filter(|ms| **ms > GIVES_UP_MS).count();
    outcome.worst = format!(
        "gave up after {:.2} ms in the middle, {:.2} at most ({late} of {} after more than {GIVES_UP_MS} ms); {most} commands on their way",
        middle(&mut all_ms),
        all_ms.last().copied().unwrap_or(f64::NAN),
        all_ms.len()
    );
    outcome
}

/// The middle one, once they are sorted.
fn middle(ms: &mut [f64]) -> f64 {
    ms.sort_by(f64::total_cmp);
    ms.get(ms.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One arm. Returns how many commands were on their way to it once it read nothing.
fn trial(times: &mut Times<'_>) -> Result<u64, String> {
    let by = |error: LinkError| error.to_string();
    let far = FarEnd::start(VirtualArm::new());
    let mut link = SerialLink::open(&SerialOptions {
        port: far.port.display().to_string(),
        baud: 1_000_000,
        joints: JOINTS,
        handshake_timeout: Duration::from_secs(20),
    })
    .map_err(by)?;
    link.handshake().map_err(by)?;
    let mut press = link.e_stop_line().map_err(by)?.ok_or("no second way")?;
    let valid_us = 20 * PERIOD_US as u32;
    link.send_set_point(&[0.0; JOINTS], PERIOD_US as u32, 400_000)
        .map_err(by)?;
    let begun = Instant::now();
    while far.arm.lock().firmware.state() != FirmwareState::Active {
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("the arm is not driven".to_owned());
        }
        link.wait(1_000).map_err(by)?;
    }
    // What was sent is acknowledged before the arm goes deaf: by the next report at the latest.
    for _ in 0..2 {
        while link.poll().map_err(by)?.is_none() {
            link.wait(1_000).map_err(by)?;
        }
    }
    far.set_deaf(true);
    std::thread::park_timeout(Duration::from_millis(3));
    let before = far.arrived().commands;
    let mut taken = 0;
    for _ in 0..BURST {
        // The port has room: what is measured is a full one.
        match link.send_set_point(&[0.0; JOINTS], PERIOD_US as u32, valid_us) {
            Ok(_) => taken += 1,
            Err(LinkError::InFlight { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    if taken > ON_THEIR_WAY {
        return Err(format!("{taken} commands were sent to an arm that reads nothing"));
    }
    far.fill();
    let mut given_up = 0;
    for _ in 0..4 * WRITES {
        if given_up == WRITES {
            break;
        }
        let begun = Instant::now();
        match link.send_stop() {
            Err(LinkError::WriteTimeout { .. }) => {
                times.took(1, begun);
                given_up += 1;
            }
            // The operating system has made room meanwhile.
            Ok(()) => far.fill(),
            Err(error) => return Err(error.to_string()),
        }
    }
    if given_up < WRITES {
        return Err("the port does not stay full".to_owned());
    }
    for _ in 0..WRITES {
        // An emergency stop and a ping.
        let begun = Instant::now();
        press.press(Duration::ZERO).map_err(by)?;
        times.took(2, begun);
    }
    far.set_deaf(false);
    let begun = Instant::now();
    // The port is empty again once the arm has answered a ping.
    while begun.elapsed() < Duration::from_secs(20) && link.sync(1_000_000).is_err() {}
    Ok(far.arrived().commands - before)
}
