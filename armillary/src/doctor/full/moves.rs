//! Reports, and small moves of each joint.

use robot::device::ArmState;

use super::super::Examination;
use super::drive::{Drive, Trouble};

/// How long reports are counted, in control periods.
const COUNTED_PERIODS: u32 = 10;

/// Share of a joint's limits of speed and acceleration that a move takes.
const GENTLE: f32 = 0.5;

/// A move shorter than this shows nothing, in radians.
const LEAST_RAD: f32 = 0.005;

/// How often the arm reports while it holds.
pub(super) fn reports(examination: &mut Examination<'_>, drive: &mut Drive<'_>) -> Result<(), Trouble> {
    const NAME: &str = "arm.reports";
    let (begun_ns, before) = (drive.clock.now_ns(), drive.reports);
    for _ in 0..COUNTED_PERIODS {
        drive.period(NAME)?;
    }
    let took_s = (drive.clock.now_ns() - begun_ns) as f64 * 1e-9;
    let rate_hz = (drive.reports - before) as f64 / took_s;
    let least_hz = drive
        .bounds
        .reports_min_hz
        .unwrap_or(0.9 / f64::from(drive.config.period_s));
    let seen = format!("{rate_hz:.1} reports a second; {least_hz:.1} are needed");
    let about = drive.bus.port().to_owned();
    if rate_hz >= least_hz {
        examination.ok(NAME, &about, seen);
    } else {
        examination.fail(
            NAME,
            &about,
            seen,
            "close what else runs; for servos, a higher `rate_hz` of `arm`, or a latency timer of 1 ms",
        );
    }
    Ok(())
}

/// Each joint goes a small way and comes back.
pub(super) fn all(examination: &mut Examination<'_>, drive: &mut Drive<'_>) -> Result<(), Trouble> {
    for joint in 0..drive.config.joint_count() {
        one(examination, drive, joint)?;
    }
    Ok(())
}

/// How well a joint followed.
#[derive(Debug, Default)]
struct Followed {
    /// Farthest behind its set point, in radians.
    behind_rad: f32,
    /// From its goal in the end, in radians.
    off_rad: f32,
    /// Farthest from where it began, in radians.
    went_rad: f32,
}

fn one(examination: &mut Examination<'_>, drive: &mut Drive<'_>, joint: usize) -> Result<(), Trouble> {
    const NAME: &str = "arm.moves";
    let about = drive.config.envelope.joints()[joint].name.clone();
    let Some(way_rad) = way(drive, joint) else {
        examination.skip(
            NAME,
            &about,
            "no room for a move within the limits and the workspace",
        );
        return Ok(());
    };
    let begin_rad = drive.goal_rad[joint];
    let mut followed = Followed::default();
    go(drive, NAME, joint, begin_rad, begin_rad + way_rad, &mut followed)?;
    let there_off_rad = followed.off_rad;
    go(drive, NAME, joint, begin_rad + way_rad, begin_rad, &mut followed)?;
    let off_rad = there_off_rad.max(followed.off_rad);
    let seen = format!(
        "{way_rad:+.3} rad and back: went {:.3}, at most {:.3} behind, {off_rad:.3} off in the end",
        followed.went_rad, followed.behind_rad
    );
    let bounds = drive.bounds;
    if drive.report.state != ArmState::Active {
        return Err(Trouble::new(
            NAME,
            format!("{about}: {seen}; the arm has stopped ({:?})", drive.report.state),
            "see what the arm says of itself above, and whether something holds it",
        ));
    }
    if followed.went_rad < way_rad.abs() / 2.0 {
        examination.fail(
            NAME,
            &about,
            seen,
            "it hardly moves: check that nothing holds it, its torque limit, and that the servo of this joint has this joint's id",
        );
    } else if followed.behind_rad > bounds.track_max_rad || off_rad > bounds.settle_max_rad {
        examination.fail(
            NAME,
            &about,
            format!(
                "{seen}; {} and {} are allowed",
                bounds.track_max_rad, bounds.settle_max_rad
            ),
            "check its load, its torque limit and its gains; a lower `velocity_max_rad_s` lets it keep up",
        );
    } else {
        examination.ok(NAME, &about, seen);
    }
    Ok(())
}

/// How far a joint can go and stay within its limits, and the arm within its workspace.
fn way(drive: &Drive<'_>, joint: usize) -> Option<f32> {
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
fn go(
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
