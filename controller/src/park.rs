//! Lays an arm down after a run: slowly to a pose in which it can lie without torque, then torque off.
//!
//! An arm without brakes falls when torque goes off. A firmware lets go of an arm that holds after `link.torque_grace_s` without a host.
//! Where the robot file names a pose (`park`), the program leads the arm there first. It does so only after a run that went well, or that
//! a person ended: after a protective stop nothing moves by itself.
//!
//! Each set point goes through the envelope, and the guard judges what the arm reports, as in an episode. No picture is looked at: the
//! arm goes the way that the robot file names, and whatever stands in it is seen by the arm's deviation alone. Nothing is recorded.

use std::sync::atomic::Ordering;

use episode::Reason;
use robot::config::Park;
use robot::device::{ArmReport, ArmState, JointBus, LinkError, Signals};
use robot::{Clock, Config, JointVec, SetPoint, SystemClock};

use crate::guard::arm::Heard;
use crate::guard::{Guard, Rules};
use crate::listen::is_counted;
use crate::live;
use crate::lockstep::EpisodeRunError;

/// The arm has arrived when each joint is measured as near to the pose, in radians.
const ARRIVED_RAD: f32 = 0.05;

/// The set point has arrived when it is as near, in radians.
const LED_RAD: f32 = 1e-3;

/// It may take so much longer than the way needs at its speed.
const PATIENCE: f32 = 2.0;

/// And so much longer than that, in seconds.
const PATIENCE_S: f32 = 3.0;

/// Longest wait for an arm that lies to say that its torque is off, and time between two looks, in nanoseconds.
const LET_GO_NS: u64 = 1_000_000_000;
const LOOK_NS: u64 = 1_000_000;

/// An arm was not laid down.
#[derive(Debug, thiserror::Error)]
pub enum ParkError {
    /// The arm cannot be reached, or reports no pose.
    #[error("the arm could not be laid down: {0}")]
    Arm(#[from] EpisodeRunError),
    /// The guard stopped it.
    #[error("the arm was stopped on its way to `park.pose_rad`: {}", .0.advice())]
    Stopped(Reason),
    /// It did not arrive in time.
    #[error(
        "the arm did not reach `park.pose_rad` within {waited_s:.0} s: it is at {position_rad:?}; support it, and look for what is in its way, \
         or name a pose that can be reached within the workspace box"
    )]
    NotThere {
        /// How long it was led.
        waited_s: f32,
        /// Where it is.
        position_rad: JointVec,
    },
}

impl From<LinkError> for ParkError {
    fn from(error: LinkError) -> Self {
        Self::Arm(error.into())
    }
}

/// Leads the arm to its park pose and takes torque off there. Blocks until that is done. A person who asks for the end ends it with a
/// controlled stop; whoever has ended the run that way takes that request back first. The emergency stop ends it at once: nothing is sent any more.
///
/// # Errors
/// [`ParkError`]. An arm that was on its way was told to stop, and holds until its firmware lets go.
pub fn park(
    config: &Config,
    park: &Park,
    bus: &mut dyn JointBus,
    signals: &Signals,
) -> Result<(), ParkError> {
    let clock = SystemClock::default();
    bus.handshake()?;
    let first = live::first_report(bus, &clock, signals)?;
    live::check_pose(&first, config.joint_count())?;
    let mut way = Way::begin(config, park, &first);
    let led = way.lead(bus, signals, &clock);
    match led {
        Ok(()) => let_go(bus, &clock),
        // Whoever has the arm's emergency stop line lets it go.
        Err(ParkError::Stopped(Reason::EStop)) => led,
        Err(_) => {
            bus.send_stop()?;
            led
        }
    }
}

/// Asks for torque off, and waits until the arm has said so.
fn let_go(bus: &mut dyn JointBus, clock: &dyn Clock) -> Result<(), ParkError> {
    bus.send_release()?;
    let until_ns = clock.now_ns() + LET_GO_NS;
    while clock.now_ns() < until_ns {
        if bus
            .poll()?
            .is_some_and(|report| report.state == ArmState::Released)
        {
            return Ok(());
        }
        clock.sleep_until_ns(clock.now_ns() + LOOK_NS);
    }
    Err(LinkError::Silent {
        port: bus.port().to_owned(),
        waited_ms: LET_GO_NS / 1_000_000,
    }
    .into())
}

/// The way to the pose.
struct Way<'a> {
    config: &'a Config,
    park: &'a Park,
    guard: Guard,
    at: SetPoint,
    heard: ArmReport,
    ticks_max: u32,
}

impl<'a> Way<'a> {
    fn begin(config: &'a Config, park: &'a Park, first: &ArmReport) -> Self {
        let mut guard = Guard::new(config);
        guard.reset(Rules::live(true));
        guard.stands(&first.set_point_rad);
        let at = SetPoint::at_rest(first.set_point_rad.clone());
        let way_s = farthest_rad(&at.position_rad, park) / park.speed_rad_s;
        let patience_s = PATIENCE * way_s + PATIENCE_S;
        Self {
            config,
            park,
            guard,
            at,
            heard: first.clone(),
            ticks_max: (patience_s / config.period_s).ceil() as u32,
        }
    }

    fn lead(
        &mut self,
        bus: &mut dyn JointBus,
        signals: &Signals,
        clock: &dyn Clock,
    ) -> Result<(), ParkError> {
        let period_ns = (f64::from(self.config.period_s) * 1e9) as u64;
        let period_us = (period_ns / 1_000) as u32;
        let begun_ns = clock.now_ns();
        let mut tick = 0;
        while tick < self.ticks_max {
            let edge_ns = begun_ns + u64::from(tick) * period_ns;
            clock.sleep_until_ns(edge_ns);
            if signals.e_stop.load(Ordering::SeqCst) {
                return Err(ParkError::Stopped(Reason::EStop));
            }
            if signals.stop.load(Ordering::SeqCst) {
                return Err(ParkError::Stopped(Reason::Operator));
            }
            self.listen(bus, tick)?;
            if self.has_arrived() {
                return Ok(());
            }
            if self.guard.may_send() {
                self.step();
                let rad = &self.at.position_rad;
                // By when the arm was heard: what a pause of this program has made late is not carried out.
                match bus.send_set_point_since_poll(rad, period_us, period_us + period_us / 2) {
                    Ok(_) => self.guard.sent(tick, rad),
                    // The arm is behind, or this program is; reports tell whether the arm comes.
                    Err(LinkError::InFlight { .. } | LinkError::Late { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            // Edges that passed meanwhile are left out: the arm was late, and is not hurried.
            let passed = (clock.now_ns().saturating_sub(begun_ns) / period_ns) as u32;
            tick = passed.max(tick) + 1;
        }
        Err(ParkError::NotThere {
            waited_s: self.ticks_max as f32 * self.config.period_s,
            position_rad: self.heard.position_rad.clone(),
        })
    }

    /// Hears the arm, and has the guard judge it.
    fn listen(&mut self, bus: &mut dyn JointBus, tick: u32) -> Result<(), ParkError> {
        let joints = self.config.joint_count();
        match bus.poll()? {
            Some(report) if is_counted(&report, joints) => self.heard = report,
            _ => (self.heard.state, self.heard.refused) = (ArmState::Unheard, false),
        }
        let heard = Heard {
            state: self.heard.state,
            refused: self.heard.refused,
            position_rad: &self.heard.position_rad,
            set_point_rad: &self.heard.set_point_rad,
        };
        self.guard.hear(tick, &heard, false);
        self.guard
            .stopped()
            .map_or(Ok(()), |reason| Err(ParkError::Stopped(reason)))
    }

    /// One period's way: in a straight line, as fast as the slowest joint's way allows, and no faster than each joint can brake until the
    /// pose, within the envelope.
    fn step(&mut self) {
        let period_s = self.config.period_s;
        let left_s = farthest_rad(&self.at.position_rad, self.park) / self.park.speed_rad_s;
        let joints = self.guard.envelope().joints();
        let action: JointVec = joints
            .iter()
            .zip(self.park.pose_rad.iter().zip(&self.at.position_rad))
            .map(|(joint, (to, from))| {
                let way_rad = to - from;
                let wanted = (way_rad / left_s.max(period_s)).abs();
                let least = wanted.min(braking_rad_s(
                    way_rad.abs(),
                    joint.acceleration_max_rad_s2,
                    period_s,
                ));
                least.copysign(way_rad) / joint.velocity_max_rad_s
            })
            .collect();
        self.at = self.guard.envelope().clamp(&self.at, &action).set_point;
    }

    fn has_arrived(&self) -> bool {
        farthest_rad(&self.at.position_rad, self.park) < LED_RAD
            && self.heard.state != ArmState::Unheard
            && farthest_rad(&self.heard.position_rad, self.park) < ARRIVED_RAD
    }
}

/// The greatest speed of this period with which a joint still comes to rest within `way_rad`, if it loses `acceleration_rad_s2` times the
/// period in each period that follows. In `n + 1` periods, at speeds that lose that much each, it comes `(n + 1) v T - n (n + 1) / 2` times what is
/// lost in a period, times the period, far; `n` is the most for which the speed is above 0 in all of them.
fn braking_rad_s(way_rad: f32, acceleration_rad_s2: f32, period_s: f32) -> f32 {
    let lost_rad_s = acceleration_rad_s2 * period_s;
    let more = (0.5 * ((1.0 + 8.0 * way_rad / (lost_rad_s * period_s)).sqrt() - 1.0)).floor();
    (way_rad / period_s + 0.5 * lost_rad_s * more * (more + 1.0)) / (more + 1.0)
}

/// How far the joint that is farthest from the park pose has to go, in radians.
fn farthest_rad(from_rad: &JointVec, park: &Park) -> f32 {
    let ways = from_rad.iter().zip(&park.pose_rad);
    ways.map(|(from, to)| (to - from).abs()).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A robot file whose joints brake slowly, with a way to park.
    fn config(acceleration: f32, pose_rad: [f32; 2]) -> Config {
        let text = include_str!("../../configs/sim-planar.ron")
            .replace(
                "acceleration_max_rad_s2: 10.0",
                &format!("acceleration_max_rad_s2: {acceleration:?}"),
            )
            .replacen(
                "link: (",
                &format!("park: (pose_rad: {pose_rad:?}, speed_rad_s: 0.6), link: ("),
                1,
            );
        Config::parse(Path::new("robot.ron"), text).expect("a sound robot file")
    }

    #[test]
    fn no_joint_passes_the_pose_however_slowly_it_brakes() {
        for acceleration in [0.1, 0.3, 1.0, 3.0, 10.0] {
            for pose_rad in [[0.5, -0.4], [1.0, 0.01], [-1.5, 0.0]] {
                let config = config(acceleration, pose_rad);
                let park = config.park.as_ref().expect("a pose");
                let first = ArmReport {
                    position_rad: [0.0, 0.0].into_iter().collect(),
                    set_point_rad: [0.0, 0.0].into_iter().collect(),
                    ..ArmReport::default()
                };
                let mut way = Way::begin(&config, park, &first);
                let mut ticks = 0;
                while farthest_rad(&way.at.position_rad, park) >= LED_RAD {
                    way.step();
                    ticks += 1;
                    for (at, pose) in way.at.position_rad.iter().zip(pose_rad) {
                        let beyond = (at - pose) * pose.signum();
                        assert!(
                            beyond < LED_RAD,
                            "{beyond} rad beyond the pose, at {acceleration} rad/s^2"
                        );
                    }
                    assert!(ticks < way.ticks_max, "not there, at {acceleration} rad/s^2");
                }
            }
        }
    }
}
