//! The emergency stop of an arm of servos, whose firmware core runs in this program: from a signal until each servo has let go. In real time, on
//! the six emulated servos of an SO-101.

use std::path::Path;
use std::time::{Duration, Instant};

use armillary::e_stop::{self, Ending, Watch};
use armillary::signals::Elsewhere;
use devices::{Arm, Opening};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use robot::device::{JointBus, Signals, Stopped};
use robot::philox::Stream;
use robot::{Config, JointVec};

use crate::at_once::{AT_ONCE_MS, Machine, STALL_NS, WAITED_MS, in_time};
use crate::row::{Outcome, Scale};

/// How long is waited for what does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// An exchange that came too late on a busy machine is no matter of this: so often an arm is opened and led.
const ATTEMPTS: usize = 20;

/// Time between two looks at the servos.
const LOOK: Duration = Duration::from_micros(50);

fn config() -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/so101.ron");
    Config::load(&path).expect("the shipped robot file")
}

/// Waits for it, and says when it was seen.
fn seen(what: impl Fn() -> bool) -> Option<Instant> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if what() {
            return Some(Instant::now());
        }
        std::thread::park_timeout(LOOK);
    }
    None
}

/// Milliseconds from a signal until no servo has torque, and until the program has heard it of each of them.
pub(crate) fn signal(scale: Scale) -> Outcome {
    // Threads of what stands in for the arm take no signals: elsewhere they are another program's.
    let _elsewhere = Elsewhere::new();
    let machine = Machine::new(STALL_NS);
    let mut outcome = Outcome::default();
    let mut random = Stream::new(8, 0x5E40);
    let (mut off_ms, mut confirmed_ms, mut stalled) = (Vec::new(), Vec::new(), 0);
    for _ in 0..scale.trials_of(200, 60, 3) {
        outcome.tried(trial(&mut random).and_then(|measured| {
            off_ms.push(measured.off_ms);
            confirmed_ms.push(measured.confirmed_ms);
            let paused = machine.stalled_since(machine.now_ns() - measured.took_ns);
            stalled += u32::from(paused.others);
            in_time("torque went off", measured.off_ms, WAITED_MS, paused.machine)?;
            // Neither the servos nor the core have a priority here.
            in_time("torque went off", measured.off_ms, AT_ONCE_MS, paused.others)
        }));
    }
    let middle_and_most = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        let most = all.last().copied().unwrap_or(f64::NAN);
        (all.get(all.len() / 2).copied().unwrap_or(f64::NAN), most)
    };
    let (off, off_most) = middle_and_most(&mut off_ms);
    outcome.tried(in_time("torque went off, in the middle,", off, AT_ONCE_MS, false));
    let (confirmed, confirmed_most) = middle_and_most(&mut confirmed_ms);
    outcome.worst = format!(
        "no servo with torque after {off:.2} ms in the middle, {off_most:.2} at most; each has said so after {confirmed:.2}, \
         {confirmed_most:.2} at most; threads without a priority were kept waiting in {stalled}"
    );
    outcome
}

struct Measured {
    off_ms: f64,
    confirmed_ms: f64,
    /// From the signal on.
    took_ns: u64,
}

/// One arm that holds and follows, in any part of a turn of its core.
fn trial(random: &mut Stream) -> Result<Measured, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let port = dir.path().join("arm");
    let config = config();
    let mut arm = Arm::of(&config, Some(&port)).map_err(|error| error.to_string())?;
    let emulated = arm.emulate(&config, &port).map_err(|error| error.to_string())?;
    let emulated = emulated.ok_or("nothing stands in for the arm")?;
    let servos = emulated.faults();
    let signals = Signals::default();
    let mut watch = Watch::start(&signals, &config.realtime).map_err(|error| error.to_string())?;
    let opening = Opening {
        config: &config,
        signals: &signals,
    };
    let opened = (0..ATTEMPTS).find_map(|_| {
        let mut bus = e_stop::open(&mut watch, &mut arm, &opening).ok()?;
        follow(&mut *bus, &config, random, || servos.torque_on()).ok()?;
        Some(bus)
    });
    let bus = opened.ok_or("the servos do not answer, or the arm does not hold")?;
    // Its core goes on without the loop.
    let pressed = Instant::now();
    kill(Pid::this(), Signal::SIGQUIT).map_err(|error| error.to_string())?;
    let off = seen(|| !servos.torque_on());
    let ending = watch.end();
    let took = pressed.elapsed();
    drop(bus);
    let off = off.ok_or("the servos still hold")?;
    match ending {
        Ending::Confirmed {
            stopped: Stopped::LetGo,
            ..
        } => Ok(Measured {
            off_ms: 1e3 * off.duration_since(pressed).as_secs_f64(),
            confirmed_ms: 1e3 * took.as_secs_f64(),
            took_ns: took.as_nanos() as u64,
        }),
        other => Err(format!("{other:?}")),
    }
}

/// Leads the arm to where it is, until it holds and a little longer.
fn follow(
    bus: &mut dyn JointBus,
    config: &Config,
    random: &mut Stream,
    holds: impl Fn() -> bool,
) -> Result<(), String> {
    let said = |error: robot::device::LinkError| error.to_string();
    bus.handshake().map_err(said)?;
    let period_us = (1e6 * config.period_s) as u32;
    let begun = Instant::now();
    let mut goal_rad: Option<JointVec> = None;
    while !holds() {
        if begun.elapsed() > PATIENCE {
            return Err("the arm does not begin to hold".to_owned());
        }
        if let Some(report) = bus.poll().map_err(said)? {
            let goal_rad = goal_rad.get_or_insert(report.position_rad);
            // One that is refused is not what this is about.
            let _ = bus.send_set_point(goal_rad, period_us, 2 * period_us);
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    std::thread::park_timeout(Duration::from_micros(random.below(40_000) as u64));
    Ok(())
}
