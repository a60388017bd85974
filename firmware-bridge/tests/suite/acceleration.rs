//! The firmware's limit of acceleration: nothing of it is seen by who keeps it, and nobody gets past it.

use firmware_bridge::FirmwareOptions;
use firmware_bridge::firmware::VALIDITY_WATCHDOGS;
use firmware_bridge::wire::{Command, HostToArm};
use firmware_bridge::{FirmwareLimits, FirmwareState, JointLimits};
use robot::philox::Stream;
use robot::{ActionMode, Chain, Envelope, Joint, JointVec, SetPoint};

use crate::bench::Bench;
use crate::common::{identity, vec};

/// An arm of `joints` random joints, controlled every `period_us` in `substeps` steps.
struct Trial {
    envelope: Envelope,
    options: FirmwareOptions,
    period_us: u64,
    substeps: u64,
}

fn trial(random: &mut Stream, joints: usize) -> Trial {
    let period_us = [10_000, 20_000, 33_333, 100_000, 500_000][random.below(5)];
    let substeps = [1, 2, 5, 20][random.below(4)];
    let joints: Vec<Joint> = (0..joints)
        .map(|index| {
            let (low, range) = (random.range(-6.0, 3.0), random.range(0.2, 6.0));
            Joint {
                name: format!("joint {index}"),
                position_min_rad: low,
                position_max_rad: low + range,
                velocity_max_rad_s: random.range(0.05, 6.0),
                acceleration_max_rad_s2: 10.0_f32.powf(random.range(-1.0, 2.0)),
                home_rad: low + 0.5 * range,
            }
        })
        .collect();
    let limits: Vec<JointLimits> = joints
        .iter()
        .map(|joint| JointLimits {
            position_min_rad: joint.position_min_rad,
            position_max_rad: joint.position_max_rad,
            velocity_max_rad_s: joint.velocity_max_rad_s,
            acceleration_max_rad_s2: joint.acceleration_max_rad_s2,
        })
        .collect();
    let everywhere = f32::INFINITY;
    let envelope = Envelope::new(
        joints,
        ActionMode::Velocity,
        Chain::default(),
        [-everywhere; 3],
        [everywhere; 3],
        period_us as f32 * 1e-6,
    );
    let watchdog_us = period_us * 5 / 2;
    let options = FirmwareOptions {
        limits: FirmwareLimits::new(&limits).unwrap(),
        watchdog_us,
        torque_grace_us: 1_000_000,
        // As far as any of them may move in a period.
        jump_max_rad: 6.0,
        validity_max_us: watchdog_us * VALIDITY_WATCHDOGS,
        telemetry_every_ticks: 1,
        firmware_version: [0, 1, 0],
        identity: identity("trial", 1),
    };
    Trial {
        envelope,
        options,
        period_us,
        substeps,
    }
}

impl Trial {
    /// Sends `rad`, to be reached in one period.
    fn command(&self, bench: &mut Bench, seq: u32, rad: &[f32]) {
        let command = Command {
            seq,
            host_time_us: bench.now_us,
            valid_until_us: bench.now_us + self.period_us,
            move_time_us: self.period_us as u32,
            set_point_rad: vec(rad),
            session_nonce: bench.nonce,
        };
        bench.say(&HostToArm::Command(command));
    }

    fn booted(&self) -> Bench {
        let mut bench = Bench::of(self.options.clone());
        bench.position_rad = self.envelope.home().position_rad.to_vec();
        bench
    }

    /// One step; returns where the set point is then.
    fn step(&self, bench: &mut Bench, origin_us: u64, step: u64) -> JointVec {
        bench.now_us = origin_us + step * self.period_us / self.substeps;
        let zeros = vec![0.0; bench.position_rad.len()];
        let drive = bench.core.tick(bench.now_us, &bench.position_rad, &zeros);
        bench.position_rad = drive.set_point_rad.to_vec();
        drive.set_point_rad
    }
}

/// Where the set point was before the limit of acceleration: on the straight line, no faster than the limit of speed.
fn without_the_limit(from: f32, now: f32, target: f32, share: f32, most: f32) -> f32 {
    let desired = if share >= 1.0 {
        target
    } else {
        from + (target - from) * share
    };
    if (desired - now).abs() <= most {
        desired
    } else {
        now + most.copysign(desired - now)
    }
}

/// Random actions that the envelope lets pass give the same set points, to the last bit, as if there were no limit.
fn lawful_trials(trials: u64) -> u64 {
    let mut steps = 0;
    for seed in 0..trials {
        let mut random = Stream::new(seed, 0xACC);
        let joints = 1 + random.below(6);
        let trial = trial(&mut random, joints);
        let mut bench = trial.booted();
        trial.step(&mut bench, 0, 1);
        bench.hello();
        let origin_us = bench.now_us;
        let mut set_point = trial.envelope.home();
        let mut expected = set_point.position_rad.clone();
        let mut action: Vec<f32> = vec![0.0; joints];
        let mut step = 0;
        for seq in 1..=40 {
            // Held for some periods, then another: from one end of its range to the other.
            for action in &mut action {
                if random.below(4) == 0 {
                    *action = random.range(-1.3, 1.3);
                }
            }
            // Where the arm is: by rounding it may be a step short of where it was sent.
            let before = expected.clone();
            set_point = trial.envelope.clamp(&set_point, &action).set_point;
            trial.command(&mut bench, seq, &set_point.position_rad);
            assert_eq!(bench.core.state(), FirmwareState::Active);
            let sent_us = bench.now_us;
            for _ in 0..trial.substeps {
                step += 1;
                let at = bench.now_us;
                let reached = trial.step(&mut bench, origin_us, step);
                let dt_s = (bench.now_us - at) as f32 * 1e-6;
                let elapsed_us = bench.now_us - sent_us;
                for joint in 0..joints {
                    let share = if elapsed_us >= trial.period_us {
                        1.0
                    } else {
                        elapsed_us as f32 / trial.period_us as u32 as f32
                    };
                    let most = trial.envelope.joints()[joint].velocity_max_rad_s * dt_s * 1.001;
                    expected[joint] = without_the_limit(
                        before[joint],
                        expected[joint],
                        set_point.position_rad[joint],
                        share,
                        most,
                    );
                }
                assert_eq!(
                    reached, expected,
                    "seed {seed}, command {seq}: from {before:?} to {set_point:?} in {} us, {} steps, {:?}",
                    trial.period_us, trial.substeps, trial.options.limits
                );
                steps += 1;
            }
            set_point = SetPoint {
                position_rad: set_point.position_rad,
                velocity_rad_s: set_point.velocity_rad_s,
            };
        }
    }
    steps
}

#[test]
fn who_keeps_the_acceleration_sees_nothing_of_its_limit() {
    assert!(lawful_trials(300) > 10_000);
}

/// `cargo test --release -p armillary-firmware-bridge acceleration -- --ignored --nocapture`
#[test]
#[ignore = "half a minute"]
fn who_keeps_the_acceleration_sees_nothing_of_its_limit_for_long() {
    let trials = 100_000;
    println!(
        "{trials} arms, {} steps, every set point the same to the last bit",
        lawful_trials(trials)
    );
}

/// From one command to the next the speed gains no more than the limit allows over a period, whatever is asked for. It may be lost at once.
#[test]
fn whatever_is_asked_for_the_speed_gains_no_more_than_the_limit() {
    let mut limited = 0;
    for seed in 0..300 {
        let mut random = Stream::new(seed, 0xFA57);
        let trial = trial(&mut random, 1);
        let acceleration = trial.envelope.joints()[0].acceleration_max_rad_s2;
        let gain = acceleration * trial.period_us as f32 * 1e-6 * 1.011;
        let mut bench = trial.booted();
        trial.step(&mut bench, 0, 1);
        bench.hello();
        let origin_us = bench.now_us;
        let (mut position, mut before) = (bench.position_rad[0], 0.0_f32);
        let mut step = 0;
        for seq in 1..=30 {
            let asked = position + random.range(-0.249, 0.249);
            trial.command(&mut bench, seq, &[asked]);
            let mut speed = 0.0_f32;
            for _ in 0..trial.substeps {
                step += 1;
                let at = bench.now_us;
                let reached = trial.step(&mut bench, origin_us, step)[0];
                let dt_s = (bench.now_us - at) as f32 * 1e-6;
                speed = (reached - position) / dt_s;
                position = reached;
                let rounding = 1e-4 / dt_s;
                assert!(
                    speed <= before.max(0.0) + gain + rounding && speed >= before.min(0.0) - gain - rounding,
                    "seed {seed}: from {before} to {speed} rad/s, {gain} at most"
                );
            }
            limited += u32::from((asked - position).abs() > 1e-4);
            before = speed;
        }
        assert_eq!(bench.telemetry().last_command_seq, 30);
    }
    assert!(limited > 1_000, "{limited}");
}

#[test]
fn a_limited_move_goes_on_to_its_target() {
    // 5 rad/s^2 over 0.1 s.
    let mut bench = Bench::active();
    let mut speeds = Vec::new();
    for _ in 0..6 {
        let before = bench.position_rad[0];
        bench.command(&[0.9, 0.0]);
        (0..5).for_each(|_| {
            bench.tick();
        });
        speeds.push((bench.position_rad[0] - before) / 0.1);
    }
    for (speed, expected) in speeds.iter().zip([0.505, 1.0, 1.0, 1.0, 1.0, 1.0]) {
        assert!((speed - expected).abs() < 2e-3, "{speeds:?}");
    }
    // A slower target at once, and back.
    bench.command(&[bench.position_rad[0] + 0.01, 0.0]);
    let before = bench.position_rad[0];
    bench.tick();
    assert!((bench.position_rad[0] - before - 0.002).abs() < 1e-5);
}
