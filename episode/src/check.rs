//! Whether what a log says agrees with itself. Checksums tell only that it is what somebody wrote.

use std::path::Path;

use robot::{Frame, JointVec};

use crate::error::EpisodeError;
use crate::info::EpisodeInfo;
use crate::row::TickRecord;

/// Control periods without a tick that a log may have in all, where nothing of it is damaged. A loop that was held up skips edges,
/// and whoever goes through the log again rolls a belief over each of them: the bound keeps that finite. It is more than an hour of
/// standing still at 20 Hz, long after which every guard has stopped the arm.
pub const SKIPPED_TICKS_MAX: u64 = 100_000;

/// The largest action, with room for the roundings of whoever writes logs.
const ACTION_MAX: f32 = 1.000_1;

/// Whether rows follow one another in number and time, and have one number a joint. The first `intact` of them hang together;
/// behind those, damage may have cost any number.
///
/// # Errors
/// [`EpisodeError::Inconsistent`], naming tick and field.
pub(crate) fn rows(
    path: &Path,
    info: &EpisodeInfo,
    ticks: &[TickRecord],
    intact: usize,
) -> Result<(), EpisodeError> {
    let refuse = |tick: u32, problem: String| EpisodeError::Inconsistent {
        path: path.to_owned(),
        tick,
        problem,
    };
    let period_ns = f64::from(info.period_s) * 1e9;
    // Whoever writes a log need not keep times.
    let timed = ticks.iter().any(|row| row.edge_ns != 0);
    let mut skipped: u64 = 0;
    let mut before: Option<&TickRecord> = None;
    for (index, row) in ticks.iter().enumerate() {
        lengths(row, info.joint_names.len())
            .and_then(|()| actions(row))
            .map_err(|problem| refuse(row.tick, problem))?;
        let steps = match before {
            None => row.tick,
            Some(before) => match row.tick.checked_sub(before.tick) {
                Some(steps @ 1..) => steps,
                _ => {
                    let problem = format!(
                        "field `tick` is {}, and that of the row before is {}: numbers of ticks must increase",
                        row.tick, before.tick
                    );
                    return Err(refuse(row.tick, problem));
                }
            },
        };
        if index < intact {
            // A log begins with tick 0.
            skipped += u64::from(if before.is_some() { steps - 1 } else { steps });
            if skipped > SKIPPED_TICKS_MAX {
                let problem = format!(
                    "field `tick` is {}, so that {skipped} ticks are missing up to here, where nothing is damaged; at most \
                     {SKIPPED_TICKS_MAX} are possible",
                    row.tick
                );
                return Err(refuse(row.tick, problem));
            }
        }
        if let (Some(before), true) = (before, timed) {
            // Edges lie on a grid of periods, whether a tick kept to them or not.
            let expected_ns = f64::from(steps) * period_ns;
            let found_ns = (i128::from(row.edge_ns) - i128::from(before.edge_ns)) as f64;
            if (found_ns - expected_ns).abs() > 0.5 * period_ns {
                let problem = format!(
                    "field `edge_ns` is {}, {:.6} s after that of tick {}; {:.6} s are expected, {steps} periods of {} s",
                    row.edge_ns,
                    found_ns * 1e-9,
                    before.tick,
                    expected_ns * 1e-9,
                    info.period_s
                );
                return Err(refuse(row.tick, problem));
            }
        }
        before = Some(row);
    }
    Ok(())
}

/// Whether each picture is the one that its row tells of.
///
/// # Errors
/// [`EpisodeError::Inconsistent`], naming the first tick with another.
pub(crate) fn pictures(
    path: &Path,
    ticks: &[TickRecord],
    frames: &[Option<Frame>],
) -> Result<(), EpisodeError> {
    for (row, frame) in ticks.iter().zip(frames) {
        let (said, Some(found)) = (row.capture.frame_hash, frame.as_ref().map(Frame::hash)) else {
            continue;
        };
        if said != found {
            return Err(EpisodeError::Inconsistent {
                path: path.to_owned(),
                tick: row.tick,
                problem: format!(
                    "field `/capture/state frame_hash` is {said:016x}, and the hash of the picture in `/capture` is {found:016x}: the \
                     picture belongs to another row, or was changed"
                ),
            });
        }
    }
    Ok(())
}

/// Whether the robot file in a log is the one that its description names.
///
/// # Errors
/// [`EpisodeError::RobotFile`].
pub(crate) fn robot_file(
    path: &Path,
    info: &EpisodeInfo,
    attachments: &[(String, Vec<u8>)],
) -> Result<(), EpisodeError> {
    let Some((_, text)) = attachments.iter().find(|(name, _)| name == "robot.ron") else {
        return Ok(());
    };
    let found = robot::text_sha256(text);
    // Logs of data for which nobody made a robot file name none.
    if info.config_sha256.is_empty() || info.config_sha256 == found {
        return Ok(());
    }
    Err(EpisodeError::RobotFile {
        path: path.to_owned(),
        said: info.config_sha256.clone(),
        found,
    })
}

/// What is wrong with the action that a row says was sent, if anything is. Guards send no action outside of [-1, 1].
fn actions(row: &TickRecord) -> Result<(), String> {
    let action = &row.actuate.action;
    let beyond = |value: &&f32| value.is_finite() && value.abs() > ACTION_MAX;
    match action.iter().find(beyond).filter(|_| row.actuate.sent) {
        Some(value) => Err(format!(
            "field `/actuate action` has a {value}, and actions are from -1 to 1"
        )),
        None => Ok(()),
    }
}

/// What is wrong with the length of a row's vectors, if anything is.
fn lengths(row: &TickRecord, joints: usize) -> Result<(), String> {
    let TickRecord {
        capture,
        plan,
        guard,
        actuate,
        ..
    } = row;
    // A stage that had nothing to say left its vector empty; what was sent is never empty.
    let sent = actuate.sent;
    let vectors: [(&str, &JointVec, bool); 8] = [
        ("/capture/joints position", &capture.position_rad, false),
        ("/capture/joints velocity", &capture.velocity_rad_s, false),
        (
            "/capture/state arm_set_point_rad",
            &capture.arm_set_point_rad,
            false,
        ),
        ("/plan action", &plan.action, false),
        ("/guard action", &guard.action, false),
        ("/guard set_point_rad", &guard.set_point_rad, false),
        ("/actuate action", &actuate.action, sent),
        ("/actuate set_point_rad", &actuate.set_point_rad, sent),
    ];
    for (field, values, needed) in vectors {
        if values.len() != joints && (needed || !values.is_empty()) {
            return Err(format!(
                "field `{field}` has {} numbers for {joints} joints",
                values.len()
            ));
        }
    }
    Ok(())
}
