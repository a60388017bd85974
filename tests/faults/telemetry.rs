//! An arm whose telemetry is not what it should be, and the control loop that is driving it.

use firmware_bridge::wire::{JointVec, Telemetry};
use robot::philox::Stream;

use crate::looped::{Loop, session};
use crate::row::{Outcome, Scale};
use crate::virtual_arm::{STEP_US, TelemetryFault, VirtualArm};

/// Periods after which an arm that has not stopped does not stop any more.
const PATIENCE_PERIODS: u32 = 20;

/// What is wrong from some moment on.
enum Fault {
    /// Reports are changed.
    Reports(TelemetryFault),
    /// The arm's own clock jumps by so much, in microseconds.
    Clock(i64),
}

/// Begins a fault, of which something is drawn at random.
type Begin = fn(&mut Stream) -> Fault;

/// Each kind.
const KINDS: &[(&str, Begin)] = &[
    ("no report at all", |_| reports(|_| false)),
    ("one report again and again", |_| {
        let mut kept = None;
        reports(move |report| {
            *report = kept.get_or_insert_with(|| report.clone()).clone();
            true
        })
    }),
    ("one sequence number again and again", |_| {
        let mut kept = None;
        reports(move |report| {
            report.telemetry_seq = *kept.get_or_insert(report.telemetry_seq);
            true
        })
    }),
    ("an echo that stands still", |_| {
        let mut kept = None;
        reports(move |report| {
            let echo = (report.host_time_echo_us, report.echo_received_us);
            (report.host_time_echo_us, report.echo_received_us) = *kept.get_or_insert(echo);
            true
        })
    }),
    ("0 joints", |_| joints(0)),
    ("1 joint", |_| joints(1)),
    ("3 to 8 joints", |random| joints(3 + random.below(6))),
    ("one vector of another length", |random| {
        let which = random.below(3);
        let length = [0, 1, 3, 8][random.below(4)];
        reports(move |report| {
            let vectors = [
                &mut report.position_rad,
                &mut report.velocity_rad_s,
                &mut report.set_point_rad,
            ];
            if let Some(vector) = vectors.into_iter().nth(which) {
                *vector = zeros(length);
            }
            true
        })
    }),
    ("a number that is not finite", |random| {
        let (which, joint) = (random.below(3), random.below(2));
        let number = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][random.below(3)];
        reports(move |report| {
            let vectors = [
                &mut report.position_rad,
                &mut report.velocity_rad_s,
                &mut report.set_point_rad,
            ];
            if let Some(place) = vectors
                .into_iter()
                .nth(which)
                .and_then(|vector| vector.get_mut(joint))
            {
                *place = number;
            }
            true
        })
    }),
    ("a clock that stands still", |_| {
        let mut kept = None;
        reports(move |report| {
            report.device_time_us = *kept.get_or_insert(report.device_time_us);
            true
        })
    }),
    ("a clock at its end", |random| {
        let less = random.below(1000) as u64;
        reports(move |report| {
            report.device_time_us = u64::MAX - less;
            true
        })
    }),
    ("a clock that says anything", |random| {
        let mut random = Stream::new(u64::from(random.next_u32()), 0xC10C);
        reports(move |report| {
            report.device_time_us = u64::from(random.next_u32()) << random.below(32);
            true
        })
    }),
    ("reports of a clock that is ahead", |random| {
        let ahead_us = jump_us(random);
        reports(move |report| {
            report.device_time_us += ahead_us;
            true
        })
    }),
    ("reports of a clock that is behind", |random| {
        let behind_us = jump_us(random);
        reports(move |report| {
            report.device_time_us = report.device_time_us.saturating_sub(behind_us);
            true
        })
    }),
    ("the arm's clock jumps ahead", |random| {
        Fault::Clock(i64::try_from(jump_us(random)).expect("short"))
    }),
    ("the arm's clock jumps back", |random| {
        Fault::Clock(-i64::try_from(jump_us(random)).expect("short"))
    }),
];

fn reports(fault: impl FnMut(&mut Telemetry) -> bool + Send + 'static) -> Fault {
    Fault::Reports(Box::new(fault))
}

fn zeros(length: usize) -> JointVec {
    std::iter::repeat_n(0.0, length).collect()
}

fn joints(length: usize) -> Fault {
    reports(move |report| {
        report.position_rad = zeros(length);
        report.velocity_rad_s = zeros(length);
        report.set_point_rad = zeros(length);
        true
    })
}

/// From more than the watchdog waits for to days.
fn jump_us(random: &mut Stream) -> u64 {
    300_000 << random.below(20)
}

/// Whatever the arm reports, it has stopped within three periods of the first report that is wrong.
pub(crate) fn faults(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(20, 0x7E1E);
    let session = session();
    let (mut worst, mut worst_loop) = ((0, "nothing"), (0, "nothing"));
    for (kind, begin) in KINDS {
        for trial in 0..scale.trials(500, 20) {
            let arm = VirtualArm::of_robot(&session.config);
            let mut driven = Loop::new(&session, &arm, arm.clone());
            driven.begin(trial).expect("the arm answers");
            let bound_us = 3 * driven.period_us() + STEP_US;
            let at = 3 + random.below(20);
            let at_step = random.below(50);
            for _ in 0..at {
                driven.period(|_| {});
            }
            let before = driven.stopped;
            let (mut step, mut loop_stopped_us) = (0, None);
            for _ in 0..PATIENCE_PERIODS {
                let edge_us = arm.lock().now_us;
                driven.period(|_| {
                    if step == at_step {
                        match begin(&mut random) {
                            Fault::Reports(fault) => arm.lock().telemetry_fault = Some(fault),
                            Fault::Clock(us) => {
                                let state = &mut *arm.lock();
                                state.clock_ahead_us += us;
                                state.clock_jumped = true;
                            }
                        }
                    }
                    step += 1;
                });
                if driven.stopped.is_some() {
                    // Its tick comes first in a period, and takes no time.
                    loop_stopped_us.get_or_insert(edge_us);
                }
            }
            let state = arm.lock();
            let since = |stopped_us: Option<u64>| match (state.first_fault_us, stopped_us) {
                (Some(begun_us), Some(stopped_us)) => stopped_us.saturating_sub(begun_us),
                _ => u64::MAX,
            };
            let (took_us, loop_us) = (since(state.stopped_us), since(loop_stopped_us));
            worst = worst.max((took_us, kind));
            worst_loop = worst_loop.max((loop_us, kind));
            let seen = driven.stopped;
            outcome.tried(if before.is_none() && seen.is_some() && took_us.max(loop_us) <= bound_us {
                Ok(())
            } else {
                Err(format!(
                    "{kind}: stopped after {took_us} us ({bound_us} allowed), the loop after {loop_us} us by {seen:?}, before the fault by {before:?}; {}",
                    driven.link.refused_reports()
                ))
            });
        }
    }
    outcome.worst = format!(
        "stopped after {:.0} ms, {:.2} periods ({}), the loop after {:.0} ms ({}); {} kinds",
        worst.0 as f64 * 1e-3,
        worst.0 as f64 * 1e-3 / 100.0,
        worst.1,
        worst_loop.0 as f64 * 1e-3,
        worst_loop.1,
        KINDS.len()
    );
    outcome
}
