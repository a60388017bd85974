//! An arm that stops reading: a real pseudo-terminal, in real time.

use std::time::{Duration, Instant};

use controller::stall::Sentinel;
use devices::SerialLink;
use devices::link::IN_FLIGHT_MAX;
use devices::serial::SerialOptions;
use firmware_bridge::FirmwareState;
use realtime::Raised;
use robot::config::Realtime;
use robot::device::{JointBus, LinkError};
use robot::{Clock, SystemClock};

use crate::far_end::FarEnd;
use crate::row::{Outcome, Scale};
use crate::virtual_arm::{JOINTS, PERIOD_US, VirtualArm};

/// A write gives up within this time.
const GIVES_UP: Duration = Duration::from_millis(5);

/// Priority of the thread that writes: that of a tick.
const PRIORITY: u8 = 80;

/// Commands that are tried one after the other.
const BURST: usize = 50;

/// Writes that are measured while the port is full.
const WRITES: usize = 5;

/// What the calls took.
struct Times<'a> {
    clock: &'a SystemClock,
    sentinel: &'a Sentinel,
    worst: Duration,
    /// Calls that took longer than they may while the machine did not stall.
    late: u32,
}

impl Times<'_> {
    /// Of a call that writes so many messages.
    fn of<T>(&mut self, messages: u32, call: impl FnOnce() -> T) -> T {
        let begun_ns = self.clock.now_ns();
        let begun = Instant::now();
        let result = call();
        let took = begun.elapsed();
        if !self.sentinel.stalled_since(begun_ns, self.clock.now_ns()) {
            self.worst = self.worst.max(took / messages);
            self.late += u32::from(took > messages * GIVES_UP);
        }
        result
    }
}

/// Nobody waits for an arm that reads nothing, and no more commands are on their way to it than it may carry out late.
pub(crate) fn stops_reading(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let clock = SystemClock::default();
    let wanted = Realtime {
        tick_priority: PRIORITY,
        ..crate::e_stop::realtime()
    };
    let sentinel = Sentinel::start(&clock, 1_000_000, &wanted).expect("threads");
    let _raised = Raised::new(("faults", PRIORITY), ("faults", &[]));
    let mut times = Times {
        clock: &clock,
        sentinel: &sentinel,
        worst: Duration::ZERO,
        late: 0,
    };
    let mut most = 0;
    for _ in 0..scale.trials(200, 10) {
        let late = times.late;
        let result = trial(&mut times);
        if let Ok(commands) = &result {
            most = most.max(*commands);
        }
        outcome.tried(result.and_then(|_| match times.late - late {
            0 => Ok(()),
            calls => Err(format!("{calls} calls took longer than {GIVES_UP:?}")),
        }));
    }
    outcome.worst = format!(
        "gave up after {:.2} ms, machine's stalls apart; {most} commands on their way",
        1e3 * times.worst.as_secs_f64()
    );
    outcome
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
        match times.of(1, || {
            link.send_set_point(&[0.0; JOINTS], PERIOD_US as u32, valid_us)
        }) {
            Ok(_) => taken += 1,
            Err(LinkError::InFlight { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    if taken > IN_FLIGHT_MAX {
        return Err(format!("{taken} commands were sent to an arm that reads nothing"));
    }
    far.fill();
    for _ in 0..WRITES {
        match times.of(1, || link.send_stop()) {
            Err(LinkError::WriteTimeout { .. }) => {}
            other => return Err(format!("a full port took a message: {other:?}")),
        }
    }
    for _ in 0..WRITES {
        // An emergency stop and a ping.
        times.of(2, || press.press(Duration::ZERO)).map_err(by)?;
    }
    far.set_deaf(false);
    let begun = Instant::now();
    // The port is empty again once the arm has answered a ping.
    while begun.elapsed() < Duration::from_secs(20) && link.sync(1_000_000).is_err() {}
    Ok(far.arrived().commands - before)
}
