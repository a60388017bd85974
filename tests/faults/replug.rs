//! A cable that is pulled out and put in again, and a board that resets, under a control loop.

use controller::session::Session;
use devices::link::ByteStream;
use firmware_bridge::FirmwareState;
use robot::device::{JointBus, LinkError};
use robot::philox::Stream;

use crate::looped::{Loop, session};
use crate::row::{Outcome, Scale};
use crate::virtual_arm::{STEP_US, VirtualArm};

/// Silence of the planar arm's host after which its firmware stops, in microseconds.
const WATCHDOG_US: u64 = 250_000;

/// One opening of the port. Once the cable was out, it is dead for good, as any of a device that is gone.
pub(crate) struct Cable {
    arm: VirtualArm,
    out: bool,
    /// The arm hears nothing before this time: it boots.
    deaf_until_us: u64,
    last: Vec<u8>,
}

impl Cable {
    pub(crate) fn new(arm: &VirtualArm) -> Self {
        Self {
            arm: arm.clone(),
            out: false,
            deaf_until_us: 0,
            last: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), LinkError> {
        match self.out {
            false => Ok(()),
            true => Err(LinkError::Closed {
                port: "cable".to_owned(),
            }),
        }
    }
}

impl ByteStream for Cable {
    fn name(&self) -> &str {
        "cable"
    }

    fn now_us(&self) -> u64 {
        self.arm.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.check()?;
        bytes.clone_into(&mut self.last);
        if self.arm.now_us() >= self.deaf_until_us {
            self.arm.hears(bytes);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.check()?;
        self.arm.read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.check()?;
        self.arm.wait(timeout_us)
    }
}

/// Lets time pass; whether the arm moved, or could have.
pub(crate) fn rests(arm: &VirtualArm, us: u64) -> Result<(), String> {
    let before = arm.lock().position_rad.clone();
    for _ in 0..us / STEP_US {
        arm.step();
        let state = arm.lock();
        if state.firmware.state() == FirmwareState::Active || state.position_rad != before {
            return Err(format!(
                "it moved from {before:?} to {:?}, {:?}",
                state.position_rad,
                state.firmware.state()
            ));
        }
    }
    Ok(())
}

/// A new session moves nothing by itself; a new episode does.
pub(crate) fn arms_again(again: &mut Loop<Cable>, arm: &VirtualArm, seed: u64) -> Result<(), String> {
    again.link.handshake().map_err(|error| error.to_string())?;
    rests(arm, 5 * again.period_us())?;
    again.begin(seed).map_err(|error| error.to_string())?;
    for _ in 0..5 {
        again.period(|_| {});
    }
    match (again.stopped, arm.lock().firmware.state()) {
        (None, FirmwareState::Active) => Ok(()),
        other => Err(format!("a new episode does not drive it: {other:?}")),
    }
}

/// A loop that has driven for a random while and a random part of a period.
pub(crate) fn driven(random: &mut Stream, session: &Session, seed: u64) -> (VirtualArm, Loop<Cable>) {
    let arm = VirtualArm::of_robot(&session.config);
    let mut driven = Loop::new(session, &arm, Cable::new(&arm));
    driven.begin(seed).expect("the arm answers");
    for _ in 0..3 + random.below(20) {
        driven.period(|_| {});
    }
    (arm, driven)
}

/// The cable is out for a while. What was half sent is heard in full when it is in again.
pub(crate) fn unplugged(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(30, 0x0CAB);
    let session = session();
    let mut worst_us = 0;
    for trial in 0..scale.trials(1_000, 40) {
        let (arm, mut driven) = driven(&mut random, &session, trial);
        let (at_step, cut) = (random.below(50), random.uniform());
        let (mut step, mut begun_us, mut rest) = (0, 0, Vec::new());
        driven.period(|link| {
            if step == at_step {
                let cable = link.stream_mut();
                cable.out = true;
                let (first, second) = cable.last.split_at((cut * cable.last.len() as f32) as usize);
                rest = second.to_vec();
                arm.hears(first);
                begun_us = arm.now_us();
            }
            step += 1;
        });
        for _ in 0..1 + random.below(20) {
            driven.period(|_| {});
        }
        let seen = driven.stopped;
        // It is in again.
        arm.hears(&rest);
        arm.pass(WATCHDOG_US + 20 * STEP_US);
        let took_us = arm
            .lock()
            .stopped_us
            .map_or(u64::MAX, |at| at.saturating_sub(begun_us));
        arm.pass(WATCHDOG_US);
        let result = rests(&arm, 300_000).and_then(|()| {
            let mut again = Loop::new(&session, &arm, Cable::new(&arm));
            arms_again(&mut again, &arm, trial)
        });
        let bound_us = WATCHDOG_US + 2 * STEP_US;
        worst_us = worst_us.max(took_us);
        outcome.tried(match (result, seen) {
            (Ok(()), Some(_)) if took_us <= bound_us => Ok(()),
            (Ok(()), seen) => Err(format!("stopped after {took_us} us, the loop by {seen:?}")),
            (Err(problem), _) => Err(problem),
        });
    }
    outcome.worst = format!("stopped after {:.0} ms", worst_us as f64 * 1e-3);
    outcome
}

/// The board resets, and boots for a while. A host that does not care goes on in its old session.
pub(crate) fn reset(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(31, 0x4E5E);
    let session = session();
    let mut worst_us = 0;
    for trial in 0..scale.trials(1_000, 40) {
        let (arm, mut driven) = driven(&mut random, &session, trial);
        let (at_step, boots_us) = (random.below(50), 1_000 * random.below(1_000) as u64);
        let (mut step, mut begun_us) = (0, 0);
        driven.period(|link| {
            if step == at_step {
                arm.reboot();
                begun_us = arm.now_us();
                link.stream_mut().deaf_until_us = begun_us + boots_us;
            }
            step += 1;
        });
        let mut ended_us = arm.now_us();
        for _ in 0..20 {
            if driven.stopped.is_none() {
                // The tick comes first.
                ended_us = arm.now_us();
                driven.period(|_| {});
            }
        }
        let took_us = ended_us - begun_us;
        worst_us = worst_us.max(took_us);
        let mut result = match driven.stopped {
            Some(_) if took_us <= 3 * driven.period_us() => Ok(()),
            stopped => Err(format!("the loop goes on for {took_us} us: {stopped:?}")),
        };
        for _ in 0..20 {
            let goal_rad = arm.lock().position_rad.clone();
            // Whether it is sent is not what this is about.
            let _ = driven.link.send_set_point(&goal_rad, 100_000, 150_000);
            let _ = driven.link.poll();
            result = result.and_then(|()| rests(&arm, 100_000));
            let torque_on = arm.lock().torque_on;
            result = result.and(if torque_on {
                Err("torque came on".to_owned())
            } else {
                Ok(())
            });
        }
        outcome.tried(result.and_then(|()| {
            let mut again = Loop::new(&session, &arm, Cable::new(&arm));
            arms_again(&mut again, &arm, trial)
        }));
    }
    outcome.worst = format!(
        "torque off at once; the loop has ended after {:.0} ms",
        worst_us as f64 * 1e-3
    );
    outcome
}
