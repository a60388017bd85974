//! The hardware suite: what can only be checked on an arm that moves. The same on a bench and on what stands in for one.
//!
//! Each joint goes a small way and comes back, the host falls silent, the arm is stopped and cleared, unplugged and opened again. An arm
//! of which something is wrong before is not moved.

mod moves;
mod stops;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use robot::Clock;
use robot::device::Signals;

use super::camera::Demand;
use super::drive::{Drive, Trouble};
use super::rig::Rig;
use super::stand_in::StandIn;
use super::{Examination, Finding, State, System, arm, camera};
use crate::e_stop::{Ending, Watch};
use crate::signals::Elsewhere;

/// Checks whose failure keeps the arm from being moved.
const OF_THE_ARM: [&str; 4] = ["arm.", "bus.", "port.", "servo."];

/// Runs the suite on `rig`. `consent` is asked once, before anything moves. From then on Ctrl-C, Ctrl-\ and `armillary e-stop` do what they do in a
/// run: they set `signals`, which end the suite, and the emergency stop has a thread of its own.
///
/// # Errors
/// What stands in for hardware does not start.
pub fn examine(
    examination: &mut Examination<'_>,
    system: &System,
    rig: &Rig,
    clock: &dyn Clock,
    signals: &Signals,
    consent: &mut dyn FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut stand_in = {
        // Its threads take no signals: in a run what stands in would be another program.
        let _elsewhere = Elsewhere::new();
        StandIn::start(rig)?
    };
    let bounds = &rig.bounds;
    match stand_in.camera(rig)? {
        None => examination.skip("camera.open", "", "the rig has no camera"),
        Some(camera) => {
            let demand = Demand {
                pictures: bounds.pictures,
                within_s: bounds.pictures_within_s,
                rate_min_hz: bounds.picture_rate_min_hz,
                age_max_s: bounds.picture_age_max_s,
            };
            camera::examine(examination, system, &rig.config, camera, &demand, clock);
        }
    }
    let the_arm = stand_in.arm(&rig.config)?;
    arm::examine(examination, system, &rig.config, &the_arm, &Arc::default());
    let wrong = |finding: &&Finding| {
        finding.state == State::Fail && OF_THE_ARM.iter().any(|names| finding.name.starts_with(names))
    };
    if let Some(finding) = examination.findings().iter().find(wrong) {
        let why = format!(
            "`{}` failed: the arm is not moved before that is mended",
            finding.name
        );
        examination.skip("arm.moves", "", why);
        return Ok(());
    }
    if !consent()? {
        examination.skip("arm.moves", "", "nobody agreed that the arm may move");
        return Ok(());
    }
    let mut watch =
        Watch::start(signals, &rig.config.realtime).context("cannot watch for the emergency stop")?;
    let moved = moving(examination, rig, &mut stand_in, clock, signals, &mut watch);
    let went_well = moved.is_ok();
    match moved {
        // What became of the emergency stop is said below.
        Err(_) if watch.asked() => {}
        Err(Trouble { name, seen, remedy }) => examination.fail(name, "", seen, remedy),
        Ok(()) => {
            stops::unopened(rig, &stand_in, &watch)?;
            afterwards(examination, system, rig, &stand_in, &signals.e_stop)?;
        }
    }
    const NAME: &str = "arm.interrupted";
    let ending = watch.end();
    match (&ending, ending.words()) {
        (Ending::NotConfirmed(_), Some(words)) => examination.fail(NAME, "", words, "cut the arm's power"),
        (_, Some(words)) => examination.fail(NAME, "", words, "support the arm"),
        (_, None) if went_well && signals.stop.load(Ordering::SeqCst) => examination.fail(
            NAME,
            "",
            "interrupted after the last move",
            "start the suite again",
        ),
        (_, None) => {}
    }
    Ok(())
}

/// All that moves, up to the first trouble after which nothing can be told any more.
fn moving(
    examination: &mut Examination<'_>,
    rig: &Rig,
    stand_in: &mut StandIn,
    clock: &dyn Clock,
    signals: &Signals,
    watch: &mut Watch,
) -> Result<(), Trouble> {
    let mut drive = opened(rig, stand_in, clock, signals, watch)?;
    drive.begin(examination)?;
    moves::reports(examination, &mut drive)?;
    moves::all(examination, &mut drive)?;
    stops::watchdog(examination, &mut drive)?;
    stops::e_stop(examination, &mut drive)?;
    stops::reopening(examination, drive, rig, stand_in, watch)
}

/// Opens the arm of a rig.
fn opened<'a>(
    rig: &'a Rig,
    stand_in: &StandIn,
    clock: &'a dyn Clock,
    signals: &'a Signals,
    watch: &mut Watch,
) -> Result<Drive<'a>, Trouble> {
    let mut arm = stand_in
        .arm(&rig.config)
        .map_err(|error| Trouble::of("arm.open", error.as_ref()))?;
    Drive::open(&rig.config, &rig.bounds, &mut arm, clock, signals, watch)
}

/// What the servos say now that they have worked.
fn afterwards(
    examination: &mut Examination<'_>,
    system: &System,
    rig: &Rig,
    stand_in: &StandIn,
    urgent: &Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut nobody = |_: &Finding| {};
    let mut again = Examination::new(&mut nobody);
    let the_arm = stand_in.arm(&rig.config)?;
    arm::examine(&mut again, system, &rig.config, &the_arm, urgent);
    if urgent.load(Ordering::SeqCst) {
        // It was cut short.
        return Ok(());
    }
    for finding in again.findings() {
        if finding.state == State::Fail {
            examination.fail(
                "arm.afterwards",
                &finding.about,
                format!("{}: {}", finding.name, finding.seen),
                finding.remedy.clone(),
            );
        }
    }
    if again.count(State::Fail) == 0 {
        examination.ok(
            "arm.afterwards",
            "",
            format!(
                "{} readings after the moves, none of them wrong",
                again.findings().len()
            ),
        );
    }
    Ok(())
}
