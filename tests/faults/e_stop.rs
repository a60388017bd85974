//! The emergency stop: in the firmware, over a bad line, and from a signal to the arm's confirmation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use armillary::e_stop::{Ending, Watch};
use armillary::signals::Elsewhere;
use devices::fault::{FaultInjector, FaultRates};
use devices::link::{ByteStream, HostLink, WireEStop};
use firmware_bridge::FirmwareState;
use firmware_bridge::wire::{Command, HostToArm, MAX_FRAME_BYTES, PROTOCOL_VERSION, encode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use realtime::Raised;
use robot::device::e_stop::press_until_confirmed;
use robot::device::{JointBus, LinkError, Signals, Stopped};
use robot::philox::Stream;

use crate::at_once::{AT_ONCE_MS, Machine, STALL_NS, WAITED_MS, in_time, realtime};
use crate::row::{Outcome, Scale};
use crate::virtual_arm::{JOINTS, PERIOD_US, STEP_US, VirtualArm};

/// Messages that are sent to a latched arm.
const MESSAGES: usize = 50;

/// Priority of the arm's thread: above the emergency stop's, which must not wait for it.
const ARM_PRIORITY: u8 = 95;

fn bytes(message: &HostToArm) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME_BYTES];
    encode(message, &mut buffer).expect("short enough").to_vec()
}

/// An arm that moves towards somewhere, in any part of a period.
fn moving(random: &mut Stream) -> (VirtualArm, HostLink<VirtualArm>) {
    let arm = VirtualArm::new();
    let mut link = HostLink::new(arm.clone(), JOINTS, 1_000_000);
    link.handshake().expect("the virtual arm answers");
    for period in 1..2 + random.below(10) {
        let goal_rad = [0.02 * period as f32; JOINTS];
        link.send_set_point(&goal_rad, PERIOD_US as u32, 2 * PERIOD_US as u32)
            .expect("the arm hears");
        arm.pass(PERIOD_US);
        link.poll().expect("the arm speaks");
    }
    arm.pass(STEP_US * random.below(25) as u64);
    (arm, link)
}

/// Torque goes off in the same step, and stays off whatever a host says that no person stands behind.
pub(crate) fn firmware(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(4, 0xE570);
    let mut worst_us = 0;
    for _ in 0..scale.trials(10_000, 500) {
        let (arm, mut link) = moving(&mut random);
        arm.hears(&bytes(&HostToArm::EStop));
        let begun_us = arm.now_us();
        arm.step();
        while arm.lock().torque_on && arm.now_us() < begun_us + PERIOD_US {
            arm.step();
        }
        let took_us = arm.now_us() - begun_us;
        worst_us = worst_us.max(took_us);
        let off = !arm.lock().torque_on && took_us <= STEP_US;
        let mut came_back = None;
        for _ in 0..MESSAGES {
            let now_us = arm.now_us();
            // That of the session: a host that drives, and does not know better.
            let nonce = arm.lock().firmware.telemetry().session_nonce;
            let message = match random.below(6) {
                0 => HostToArm::Hello {
                    protocol_version: PROTOCOL_VERSION,
                    host_time_us: now_us,
                    host_nonce: u64::from(random.next_u32()),
                },
                1 => HostToArm::Ping {
                    host_time_us: now_us,
                    session_nonce: nonce,
                },
                2 => HostToArm::Stop,
                3 => HostToArm::Release { session_nonce: nonce },
                _ => HostToArm::Command(Command {
                    seq: random.next_u32(),
                    host_time_us: now_us,
                    valid_until_us: now_us + PERIOD_US,
                    move_time_us: PERIOD_US as u32,
                    set_point_rad: arm.lock().position_rad.clone(),
                    session_nonce: nonce,
                }),
            };
            arm.hears(&bytes(&message));
            // A whole session, too.
            if random.below(10) == 0 && link.handshake().is_ok() {
                let goal_rad = arm.lock().position_rad.clone();
                // Whether the host may send is not what this is about.
                let _ = link.send_set_point(&goal_rad, PERIOD_US as u32, 2 * PERIOD_US as u32);
            }
            arm.step();
            let state = arm.lock();
            if state.torque_on || state.firmware.state() != FirmwareState::EStopped {
                came_back.get_or_insert(message);
            }
        }
        outcome.tried(match (off, came_back) {
            (true, None) => Ok(()),
            (false, _) => Err("torque was on after the emergency stop".to_owned()),
            (true, Some(message)) => Err(format!("left the latched state by {message:?}")),
        });
    }
    outcome.worst = format!(
        "off after {:.0} ms; a firmware step is {:.0} ms",
        worst_us as f64 * 1e-3,
        STEP_US as f64 * 1e-3
    );
    outcome
}

/// Half of all frames are lost, others are damaged.
pub(crate) fn bad_line(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(5, 0xBAD);
    let mut worst_us = 0;
    for seed in 0..scale.trials(10_000, 500) {
        let (arm, _link) = moving(&mut random);
        let rates = FaultRates {
            bit_flip: 0.002,
            drop: 0.5,
            duplicate: 0.1,
            truncate: 0.2,
            ..FaultRates::default()
        };
        let mut line = WireEStop::new(
            FaultInjector::new(arm.clone(), rates, seed),
            Duration::from_secs(2),
        );
        let begun_us = arm.now_us();
        let result = press_until_confirmed(&mut line, None);
        worst_us = worst_us.max(arm.now_us() - begun_us);
        outcome.tried(match result {
            Ok(Stopped::Latched) if !arm.lock().torque_on => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    outcome.worst = format!("confirmed after {:.0} ms", worst_us as f64 * 1e-3);
    outcome
}

/// An arm of which a thread takes care in real time.
struct Arm {
    arm: VirtualArm,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The same, as a stream whose waits take real time.
struct RealTime {
    arm: VirtualArm,
    /// When the first bytes were written.
    written: Arc<OnceLock<Instant>>,
}

impl ByteStream for RealTime {
    fn name(&self) -> &str {
        "fault-table"
    }

    fn now_us(&self) -> u64 {
        self.arm.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.arm.write(bytes)?;
        self.written.get_or_init(Instant::now);
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.arm.read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        std::thread::park_timeout(Duration::from_micros(timeout_us.min(200)));
        Ok(())
    }
}

impl Arm {
    fn start() -> Self {
        let (arm, over) = (VirtualArm::new(), Arc::new(AtomicBool::new(false)));
        let (its, end) = (arm.clone(), Arc::clone(&over));
        let thread = std::thread::Builder::new()
            .name("arm".to_owned())
            .spawn(move || {
                let _raised = Raised::new(("faults", ARM_PRIORITY), ("faults", &[]));
                while !end.load(Ordering::SeqCst) {
                    its.step();
                    std::thread::park_timeout(Duration::from_micros(STEP_US));
                }
            })
            .expect("a thread");
        Self {
            arm,
            over,
            thread: Some(thread),
        }
    }

    fn stream(&self) -> RealTime {
        RealTime {
            arm: self.arm.clone(),
            written: Arc::default(),
        }
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It panicked only if a step did, and the row has failed then.
            let _ = thread.join();
        }
    }
}

/// From a signal to this process until the arm has confirmed.
pub(crate) fn signal(scale: Scale) -> Outcome {
    from_signal(scale.trials(10_000, 200), false)
}

/// The same, while nobody drives: a session is open, and its thread does not come back.
pub(crate) fn signal_while_stuck(scale: Scale) -> Outcome {
    from_signal(scale.trials(2_000, 100), true)
}

/// The same, while every CPU is asked for twice.
pub(crate) fn signal_while_busy(scale: Scale) -> Outcome {
    // As in the program, no thread but that of the emergency stop takes signals.
    let _elsewhere = Elsewhere::new();
    let over = AtomicBool::new(false);
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let outcome = from_signal(scale.trials(2_000, 50), false);
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

fn from_signal(trials: u64, stuck: bool) -> Outcome {
    // The arm's thread takes no signals either: in the program it is another process.
    let _elsewhere = Elsewhere::new();
    let mut outcome = Outcome::default();
    let mut random = Stream::new(6, 0x516);
    let machine = Machine::new(STALL_NS);
    let bound_ms = if machine.may_raise() {
        AT_ONCE_MS
    } else {
        WAITED_MS
    };
    let (mut sent_ms, mut confirmed_ms, mut late) = (Vec::new(), Vec::new(), 0);
    for _ in 0..trials {
        let arm = Arm::start();
        let signals = Signals::default();
        let watch = Watch::start(&signals, &realtime()).expect("signals");
        let mut link =
            HostLink::new(arm.stream(), JOINTS, 1_000_000).with_e_stop_asked(Arc::clone(&signals.e_stop));
        link.handshake().expect("the arm answers");
        let line = arm.stream();
        let written = Arc::clone(&line.written);
        let line = WireEStop::new(line, Duration::from_secs(2));
        watch.guard(Box::new(line));
        for _ in 0..3 {
            if !stuck {
                let goal_rad = [0.01; JOINTS];
                // One that is refused is not what this is about.
                let _ = link.send_set_point(&goal_rad, PERIOD_US as u32, 2 * PERIOD_US as u32);
            }
            std::thread::park_timeout(Duration::from_micros(random.below(3_000) as u64));
            let _ = link.poll();
        }
        let begun_ns = machine.now_ns();
        let raised = Raised::new(("faults", machine.presser()), ("faults", &[]));
        let pressed = Instant::now();
        kill(Pid::this(), Signal::SIGQUIT).expect("a signal");
        drop(raised);
        let ending = watch.end();
        let took = pressed.elapsed();
        let stalled = machine.stalled_since(begun_ns).machine;
        outcome.tried(match (ending, written.get()) {
            (
                Ending::Confirmed {
                    stopped: Stopped::Latched,
                    ..
                },
                Some(written),
            ) => {
                let ms = 1e3 * written.saturating_duration_since(pressed).as_secs_f64();
                late += u64::from(ms > AT_ONCE_MS);
                sent_ms.push(ms);
                confirmed_ms.push(1e3 * took.as_secs_f64());
                in_time("sent", ms, bound_ms, stalled)
            }
            other => Err(format!("{other:?}")),
        });
    }
    sent_ms.sort_by(f64::total_cmp);
    confirmed_ms.sort_by(f64::total_cmp);
    let middle = |all: &[f64]| all.get(all.len() / 2).copied().unwrap_or(f64::NAN);
    let most = |all: &[f64]| all.last().copied().unwrap_or(f64::NAN);
    outcome.tried(in_time(
        "sent, in the middle,",
        middle(&sent_ms),
        AT_ONCE_MS,
        false,
    ));
    outcome.worst = format!(
        "sent after {:.2} ms in the middle, {:.2} at most ({late} after more than {AT_ONCE_MS} ms, {}); confirmed after {:.2}, {:.2} at most",
        middle(&sent_ms),
        most(&sent_ms),
        if machine.may_raise() {
            "by priority"
        } else {
            "without priority"
        },
        middle(&confirmed_ms),
        most(&confirmed_ms)
    );
    outcome
}
