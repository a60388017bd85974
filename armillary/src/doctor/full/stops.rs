//! What stops the arm: silence of the host, the emergency stop, a cable that is pulled.

use robot::JointVec;
use robot::device::{ArmState, LinkError};

use super::super::Examination;
use super::super::drive::{Drive, Trouble};
use super::super::rig::Rig;
use super::super::stand_in::StandIn;
use super::opened;
use crate::e_stop::{Unopened, Watch};

/// What a joint may move while it should stand, in radians: backlash and noise of its encoder.
const STANDS_RAD: f32 = 0.03;

/// What an arm may take to stop beyond its watchdog, in seconds.
const STOPPING_S: f32 = 0.5;

/// Refused commands that are sent to a latched arm.
const REFUSED: u32 = 3;

/// The host falls silent, and the arm stops by itself.
pub(super) fn watchdog(examination: &mut Examination<'_>, drive: &mut Drive<'_>) -> Result<(), Trouble> {
    const NAME: &str = "arm.watchdog";
    let watchdog_s = drive.config.watchdog_periods * drive.config.period_s;
    let most_s = drive.bounds.watchdog_max_s.unwrap_or(watchdog_s + STOPPING_S);
    drive.period(NAME)?;
    // The last command went out a period ago.
    let begun_ns = drive.clock.now_ns() - (1e9 * drive.config.period_s) as u64;
    let silent_s = |drive: &Drive<'_>| (drive.clock.now_ns() - begun_ns) as f32 * 1e-9;
    while drive.report.state == ArmState::Active && silent_s(drive) < most_s + drive.bounds.answer_max_s {
        drive.listen(NAME, 0.002)?;
    }
    let took_s = silent_s(drive);
    let about = drive.bus.port().to_owned();
    if drive.report.state == ArmState::Active {
        return Err(Trouble::new(
            NAME,
            format!("the arm still follows {took_s:.2} s after the host fell silent"),
            "do not drive this arm: its firmware has no watchdog",
        ));
    }
    drive.wait(NAME, "arm at rest", |drive| {
        drive.report.state != ArmState::Stopping
    })?;
    let seen = format!(
        "stopped {took_s:.2} s after the last command, and is {:?}; its watchdog has {watchdog_s:.2} s",
        drive.report.state
    );
    if took_s <= most_s {
        examination.ok(NAME, &about, seen);
    } else {
        examination.fail(
            NAME,
            &about,
            format!("{seen}; {most_s:.2} s are allowed"),
            "close what else runs, and check the firmware",
        );
    }
    Ok(())
}

/// The emergency stop takes torque off, stays latched whatever is sent, and is cleared by a person alone.
pub(super) fn e_stop(examination: &mut Examination<'_>, drive: &mut Drive<'_>) -> Result<(), Trouble> {
    const NAME: &str = "arm.e_stop";
    let about = drive.bus.port().to_owned();
    if !drive.bounds.may_let_go {
        examination.skip(
            NAME,
            &about,
            "the arm would let go and may fall; support it, and write `may_let_go: true` into `bounds` of the rig file",
        );
        return Ok(());
    }
    drive.activate()?;
    let begun_ns = drive.clock.now_ns();
    drive
        .bus
        .send_e_stop()
        .map_err(|error| Trouble::of(NAME, &error))?;
    drive.wait(NAME, "emergency stop", |drive| {
        drive.report.state == ArmState::EStopped
    })?;
    let took_ms = (drive.clock.now_ns() - begun_ns) as f64 * 1e-6;
    for _ in 0..REFUSED {
        drive.period(NAME)?;
        still_latched(drive, "a set point")?;
    }
    drive.shake_hands()?;
    still_latched(drive, "a handshake")?;
    // Whoever agreed to the suite asks for it.
    drive
        .bus
        .send_clear_e_stop()
        .map_err(|error| Trouble::of(NAME, &error))?;
    drive.shake_hands()?;
    drive.wait(NAME, "clearance", |drive| {
        drive.report.state != ArmState::EStopped
    })?;
    let cleared = drive.report.state;
    if cleared == ArmState::Active {
        return Err(Trouble::new(
            NAME,
            "the arm follows as soon as its emergency stop is cleared",
            "do not drive this arm: its firmware must wait for a command",
        ));
    }
    drive.activate()?;
    examination.ok(
        NAME,
        &about,
        format!(
            "latched within {took_ms:.0} ms; {REFUSED} set points and a handshake did not unlatch it; {cleared:?} once cleared, and followed \
             again"
        ),
    );
    Ok(())
}

fn still_latched(drive: &Drive<'_>, what: &str) -> Result<(), Trouble> {
    if drive.report.state == ArmState::EStopped {
        return Ok(());
    }
    Err(Trouble::new(
        "arm.e_stop",
        format!(
            "{what} has unlatched the emergency stop: the arm is {:?}",
            drive.report.state
        ),
        "do not drive this arm: flash the firmware of this release",
    ))
}

/// The cable is pulled where that can be done from here, and the arm opened again: nothing moves before it is commanded.
pub(super) fn reopening(
    examination: &mut Examination<'_>,
    mut drive: Drive<'_>,
    rig: &Rig,
    stand_in: &mut StandIn,
    watch: &mut Watch,
) -> Result<(), Trouble> {
    const NAME: &str = "arm.reopens";
    let (clock, signals) = (drive.clock, drive.signals);
    let about = drive.bus.port().to_owned();
    drive.activate()?;
    let before = drive.report.position_rad.clone();
    let pulled = stand_in.unplug();
    if pulled {
        let seen = loss(&mut drive)?;
        examination.ok("arm.unplugged", &about, seen);
    } else {
        examination.skip("arm.unplugged", &about, "no cable can be pulled from here");
    }
    // Lays the arm down, if its robot file says where it can lie.
    drop(drive);
    stand_in
        .plug_in()
        .map_err(|error| Trouble::of(NAME, error.as_ref()))?;
    // The way to the arm that was closed would keep its port.
    unopened(rig, stand_in, watch).map_err(|error| Trouble::of(NAME, error.as_ref()))?;
    let mut drive = opened(rig, stand_in, clock, signals, watch)?;
    drive.shake_hands()?;
    let found = drive.report.position_rad.clone();
    let state = drive.report.state;
    drive.listen(NAME, 5.0 * drive.config.period_s)?;
    let moved_rad = farthest(&found, &drive.report.position_rad);
    let seen = format!(
        "{state:?} after a new handshake, {:.3} rad from where it was; moved by {moved_rad:.3} rad without a command",
        farthest(&before, &found)
    );
    if state == ArmState::Active || moved_rad > STANDS_RAD {
        examination.fail(
            NAME,
            &about,
            seen,
            "do not drive this arm: it must wait for a command after its port is opened",
        );
    } else {
        examination.ok(NAME, &about, seen);
    }
    Ok(())
}

/// The arm is closed, or about to be: whoever asks for the emergency stop from here on gets it all the same.
pub(super) fn unopened(rig: &Rig, stand_in: &StandIn, watch: &Watch) -> anyhow::Result<()> {
    let arm = stand_in.arm(&rig.config)?;
    watch.guard(Box::new(Unopened::new(arm, rig.config.clone())));
    Ok(())
}

/// How the loss of the cable shows.
fn loss(drive: &mut Drive<'_>) -> Result<String, Trouble> {
    const NAME: &str = "arm.unplugged";
    let begun_ns = drive.clock.now_ns();
    let end_ns = begun_ns + (1e9 * drive.bounds.answer_max_s) as u64;
    loop {
        match drive.bus.poll() {
            Ok(_) if drive.clock.now_ns() < end_ns => {
                drive.clock.sleep_until_ns(drive.clock.now_ns() + 1_000_000);
            }
            Ok(_) => {
                return Err(Trouble::new(
                    NAME,
                    format!(
                        "nothing told of the pulled cable within {} s",
                        drive.bounds.answer_max_s
                    ),
                    "check the adapter's driver",
                ));
            }
            Err(error @ (LinkError::Closed { .. } | LinkError::Lost { .. })) => {
                let took_ms = (drive.clock.now_ns() - begun_ns) as f64 * 1e-6;
                return Ok(format!("told after {took_ms:.0} ms: {error}"));
            }
            Err(error) => return Err(Trouble::of(NAME, &error)),
        }
    }
}

fn farthest(from_rad: &JointVec, to_rad: &JointVec) -> f32 {
    from_rad
        .iter()
        .zip(to_rad)
        .map(|(from, to)| (from - to).abs())
        .fold(0.0, f32::max)
}
