//! The arm that a robot file names. Nothing is moved, and nothing is written to a servo.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use devices::{Arm, serial};
use robot::Config;
use robot::device::{ArmState, JointBus};
use robot::{Clock, SystemClock};

use super::{Examination, System, ports, servos};

/// Longest wait for what an arm reports after a handshake, in nanoseconds.
const REPORT_NS: u64 = 2_000_000_000;

/// How long the link is left alone between two looks, in nanoseconds.
const LOOK_EVERY_NS: u64 = 1_000_000;

/// Looks at `arm`, which is that of `config`. The port is closed soon after `urgent` is set: the emergency stop has another use for it.
pub fn examine(
    examination: &mut Examination<'_>,
    system: &System,
    config: &Config,
    arm: &Arm,
    urgent: &Arc<AtomicBool>,
) {
    match arm {
        Arm::Playback(settings) => examination.skip(
            "arm.open",
            &settings.log.display().to_string(),
            "the playback of a log: nothing is plugged in",
        ),
        Arm::Firmware(settings) => {
            if ports::port_at(examination, system, Path::new(&settings.port)) {
                firmware(examination, config, settings, urgent);
            }
        }
        Arm::Feetech(settings) => {
            if ports::port_at(examination, system, Path::new(&settings.port)) {
                servos::examine(examination, system, config, settings, urgent);
            }
        }
        Arm::Dynamixel(settings) => {
            if ports::port_at(examination, system, Path::new(&settings.port)) {
                servos::examine(examination, system, config, settings, urgent);
            }
        }
    }
}

/// A board with our firmware: who it is, and in what state. Torque stays as it is.
fn firmware(
    examination: &mut Examination<'_>,
    config: &Config,
    settings: &serial::Settings,
    urgent: &Arc<AtomicBool>,
) {
    const NAME: &str = "arm.handshake";
    let about = settings.port.as_str();
    let mut link = match settings.link(config) {
        Ok(link) => link.with_e_stop_asked(Arc::clone(urgent)),
        Err(error) => return examination.fail_by("arm.open", about, &error),
    };
    examination.ok("arm.open", about, "the port opens");
    let info = match link.handshake() {
        Ok(info) => info,
        Err(error) => return examination.fail_by(NAME, about, &error),
    };
    let [major, minor, patch] = info.firmware_version;
    examination.ok(
        NAME,
        about,
        format!(
            "protocol {}, firmware {major}.{minor}.{patch}, serial number \"{}\", {} joints with the robot file's limits, answered within \
             {:.1} ms",
            info.protocol_version,
            info.serial_number,
            info.joints,
            info.round_trip_us as f64 * 1e-3
        ),
    );
    state(examination, about, &mut link, urgent);
}

fn state(examination: &mut Examination<'_>, about: &str, link: &mut dyn JointBus, urgent: &AtomicBool) {
    const NAME: &str = "arm.state";
    let clock = SystemClock::default();
    while clock.now_ns() < REPORT_NS && !urgent.load(Ordering::SeqCst) {
        match link.poll() {
            Ok(Some(report)) if report.state == ArmState::EStopped => {
                return examination.warn(
                    NAME,
                    about,
                    "the emergency stop is latched",
                    "armillary clear-e-stop",
                );
            }
            Ok(Some(report)) => return examination.ok(NAME, about, format!("{:?}", report.state)),
            Ok(None) => clock.sleep_until_ns(clock.now_ns() + LOOK_EVERY_NS),
            Err(error) => return examination.fail_by(NAME, about, &error),
        }
    }
    examination.fail(
        NAME,
        about,
        "the arm answers a handshake and reports nothing",
        "flash the firmware of this release",
    );
}
