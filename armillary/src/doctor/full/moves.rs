//! Reports, and small moves of each joint.

use robot::device::ArmState;

use super::super::Examination;
use super::super::drive::small::{Followed, go, way};
use super::super::drive::{Drive, Trouble};

/// How long reports are counted, in control periods.
const COUNTED_PERIODS: u32 = 10;

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
