//! Small moves of one joint, there and back.

use robot::device::ArmState;

use super::{Drive, Trouble};

/// Share of a joint's limits of speed and acceleration that a move takes.
const GENTLE: f32 = 0.5;

/// A move shorter than this shows nothing, in radians.
const LEAST_RAD: f32 = 0.005;

/// How well a joint followed.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Farthest behind its set point, in radians.
    pub(crate) behind_rad: f32,
    /// From its goal in the end, in radians.
    pub(crate) off_rad: f32,
    /// Farthest from where it began, in radians.
    pub(crate) went_rad: f32,
}

/// How far a joint can go and stay within its limits, and the arm within its workspace.
pub(crate) fn way(drive: &Drive<'_>, joint: usize) -> Option<f32> {
    let envelope = &drive.config.envelope;
    let limits = &envelope.joints()[joint];
    let begin_rad = drive.goal_rad[joint];
    let (up, down) = (
        limits.position_max_rad - begin_rad,
        begin_rad - limits.position_min_rad,
    );
    let first = if up >= down { 1.0 } else { -1.0 };
    let mut length_rad = drive.bounds.move_rad.min(up.max(down) / 2.0);
    // A workspace that the arm is outside of already says nothing.
    let inside = envelope.in_workspace(&drive.goal_rad);
    while length_rad >= LEAST_RAD {
        for sign in [first, -first] {
            let mut pose = drive.goal_rad.clone();
            pose[joint] += sign * length_rad;
            let within = (limits.position_min_rad..=limits.position_max_rad).contains(&pose[joint]);
            if within && (!inside || envelope.in_workspace(&pose)) {
                return Some(sign * length_rad);
            }
        }
        length_rad /= 2.0;
    }
    None
}

/// Leads a joint from one angle to another, and waits until it is there.
pub(crate) fn go(
    drive: &mut Drive<'_>,
    name: &'static str,
    joint: usize,
    from_rad: f32,
    to_rad: f32,
    followed: &mut Followed,
) -> Result<(), Trouble> {
    let limits = &drive.config.envelope.joints()[joint];
    let way_rad = (to_rad - from_rad).abs();
    // The greatest speed of this curve is 1.5 times its mean, its greatest acceleration 6 times the way over the time squared.
    let by_speed_s = 1.5 * way_rad / (GENTLE * limits.velocity_max_rad_s);
    let by_acceleration_s = (6.0 * way_rad / (GENTLE * limits.acceleration_max_rad_s2)).sqrt();
    let takes_s = drive.bounds.move_s.max(by_speed_s).max(by_acceleration_s);
    let periods = (takes_s / drive.config.period_s).ceil().max(1.0) as u32;
    let start_rad = drive.report.position_rad[joint];
    let mut see = |drive: &Drive<'_>| {
        let position = drive.report.position_rad[joint];
        followed.behind_rad = followed
            .behind_rad
            .max((position - drive.report.set_point_rad[joint]).abs());
        followed.went_rad = followed.went_rad.max((position - start_rad).abs());
        followed.off_rad = (position - to_rad).abs();
        followed.off_rad
    };
    for period in 1..=periods {
        let share = period as f32 / periods as f32;
        drive.goal_rad[joint] = from_rad + (to_rad - from_rad) * share * share * (3.0 - 2.0 * share);
        drive.period(name)?;
        see(drive);
    }
    drive.goal_rad[joint] = to_rad;
    let end_ns = drive.clock.now_ns() + (1e9 * drive.bounds.answer_max_s) as u64;
    loop {
        drive.period(name)?;
        let there = see(drive) <= drive.bounds.settle_max_rad / 2.0;
        if there || drive.clock.now_ns() >= end_ns || drive.report.state != ArmState::Active {
            return Ok(());
        }
    }
}
