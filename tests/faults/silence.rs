//! A host that is killed, or stopped and let go on.

use devices::link::{ByteStream, HostLink};
use firmware_bridge::FirmwareState;
use robot::device::{JointBus, LinkError};
use robot::philox::Stream;

use crate::row::{Outcome, Scale};
use crate::virtual_arm::{
    ACCELERATION_MAX_RAD_S2, JOINTS, PERIOD_US, POSITION_MAX_RAD, STEP_US, VELOCITY_MAX_RAD_S, VirtualArm,
    WATCHDOG_US,
};

/// Control periods that the last command takes: longer than the watchdog waits.
const LONG_PERIODS: u32 = 5;

/// A line to the arm that can hold bytes back, as a port does whose reader is stopped.
struct Line {
    arm: VirtualArm,
    /// What waits, while it is held.
    held: Option<Vec<u8>>,
}

impl ByteStream for Line {
    fn name(&self) -> &str {
        "line"
    }

    fn now_us(&self) -> u64 {
        self.arm.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        match &mut self.held {
            Some(held) => held.extend_from_slice(bytes),
            None => self.arm.hears(bytes),
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.arm.read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.arm.wait(timeout_us)
    }
}

/// An arm that is driven at a random speed, for a random while and a random part of a period.
fn driven(random: &mut Stream) -> (VirtualArm, HostLink<Line>, [f32; JOINTS]) {
    let arm = VirtualArm::new();
    let line = Line {
        arm: arm.clone(),
        held: None,
    };
    let mut link = HostLink::new(line, JOINTS, 1_000_000);
    link.handshake().expect("the virtual arm answers");
    let mut goal_rad = [0.0; JOINTS];
    let period_s = PERIOD_US as f32 * 1e-6;
    let speed_rad_s: Vec<f32> = (0..JOINTS)
        .map(|_| random.range(-VELOCITY_MAX_RAD_S, VELOCITY_MAX_RAD_S))
        .collect();
    for period in 0..3 + random.below(20) {
        let rate = (period as f32 / 10.0).min(1.0);
        for (goal_rad, speed_rad_s) in goal_rad.iter_mut().zip(&speed_rad_s) {
            *goal_rad += speed_rad_s * period_s * rate;
        }
        send(&mut link, &goal_rad).expect("the arm hears");
        arm.pass(PERIOD_US);
        link.poll().expect("the arm speaks");
    }
    // Far enough that the arm still moves when nothing more is heard.
    for (goal_rad, speed_rad_s) in goal_rad.iter_mut().zip(&speed_rad_s) {
        *goal_rad += speed_rad_s * period_s * LONG_PERIODS as f32;
    }
    let long_us = LONG_PERIODS * PERIOD_US as u32;
    link.send_set_point(&goal_rad, long_us, (PERIOD_US + PERIOD_US / 2) as u32)
        .expect("the arm hears");
    arm.pass(STEP_US * random.below((PERIOD_US / STEP_US) as usize) as u64);
    link.poll().expect("the arm speaks");
    (arm, link, goal_rad)
}

fn send(link: &mut HostLink<Line>, goal_rad: &[f32]) -> Result<u32, LinkError> {
    link.send_set_point(goal_rad, PERIOD_US as u32, (PERIOD_US + PERIOD_US / 2) as u32)
}

/// The host says nothing any more.
pub(crate) fn killed(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(2, 0xDEAD);
    let (mut worst_us, mut worst_rest_us, mut moving) = (0, 0, 0_u64);
    for _ in 0..scale.trials(10_000, 500) {
        let (arm, link, _) = driven(&mut random);
        drop(link);
        let begun_us = arm.now_us();
        let speed_max = VELOCITY_MAX_RAD_S / ACCELERATION_MAX_RAD_S2;
        let rest_us = WATCHDOG_US + (1e6 * speed_max) as u64 + 2 * STEP_US;
        let mut stopping_us = None;
        while arm.lock().firmware.state() != FirmwareState::Held && arm.now_us() < begun_us + 2 * rest_us {
            arm.step();
            if arm.lock().firmware.state() != FirmwareState::Active {
                stopping_us.get_or_insert(arm.now_us() - begun_us);
            }
        }
        let at_rest_us = arm.now_us() - begun_us;
        let stopping_us = stopping_us.unwrap_or(u64::MAX);
        worst_us = worst_us.max(stopping_us);
        worst_rest_us = worst_rest_us.max(at_rest_us);
        let bound_us = WATCHDOG_US + 2 * STEP_US;
        let held_rad = arm.lock().position_rad.clone();
        let within = held_rad.iter().all(|rad| rad.abs() <= POSITION_MAX_RAD);
        arm.pass(10 * PERIOD_US);
        let still = arm.lock().position_rad == held_rad;
        moving += u64::from(at_rest_us > stopping_us);
        outcome.tried(if stopping_us <= bound_us && at_rest_us <= rest_us && within && still {
            Ok(())
        } else {
            Err(format!(
                "stops after {stopping_us} us, at rest after {at_rest_us} us at {held_rad:?}, still: {still}"
            ))
        });
    }
    outcome.worst = format!(
        "stops after {:.0} ms, at rest after {:.0} ms; {moving} moved when they were stopped",
        worst_us as f64 * 1e-3,
        worst_rest_us as f64 * 1e-3
    );
    outcome
}

/// The host writes commands that nobody reads for a while, since the arm, or what is between, was stopped. Then all arrive at once.
pub(crate) fn gone_on(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(3, 0x5707);
    let mut most = 0;
    for _ in 0..scale.trials(10_000, 500) {
        let (arm, mut link, goal_rad) = driven(&mut random);
        link.stream_mut().held = Some(Vec::new());
        // Commands go on for as long as the link lets them; all wait.
        let mut waiting = 0;
        let pause_us = PERIOD_US * (4 + random.below(60) as u64);
        let end_us = arm.now_us() + pause_us;
        while arm.now_us() < end_us {
            let mut goal_rad = goal_rad;
            goal_rad.iter_mut().for_each(|goal_rad| *goal_rad += 0.02);
            waiting += u64::from(send(&mut link, &goal_rad).is_ok());
            arm.pass(PERIOD_US);
        }
        let before = arm.lock().position_rad.clone();
        let held = link.stream_mut().held.take().unwrap_or_default();
        // The arm comes to rest. What was sent within the last moments is no longer valid then, either.
        arm.pass(10 * PERIOD_US);
        let at_rest = arm.lock().position_rad.clone();
        arm.hears(&held);
        arm.pass(10 * PERIOD_US);
        most = most.max(waiting);
        let state = arm.lock();
        let moved = state.position_rad != at_rest;
        outcome.tried(if moved || state.firmware.state() == FirmwareState::Active {
            Err(format!(
                "moved by commands that had waited for {pause_us} us: {before:?} to {:?}, {:?}",
                state.position_rad,
                state.firmware.state()
            ))
        } else {
            Ok(())
        });
    }
    outcome.worst = format!("{most} commands waited at most");
    outcome
}
