//! Who may use serial ports and cameras, who uses them now, and how promptly an adapter hands bytes over.

use std::path::{Path, PathBuf};

use devices::serial::ports;
use devices::webcam::identity;

use super::system::Access;
use super::{Examination, System};

/// How long an adapter may hold bytes back, in milliseconds, without a word about it.
const LATENCY_MAX_MS: u64 = 1;

/// All ports and cameras that are plugged in.
pub fn list(examination: &mut Examination<'_>, system: &System) {
    let ports = ports::list(&system.at("/dev"));
    if ports.is_empty() {
        examination.skip("port.list", "", "no serial port of a USB device is plugged in");
    }
    for port in ports {
        let name = system.name_of(&port.name);
        let node = system.name_of(&port.node);
        examination.ok(
            "port.list",
            &name.display().to_string(),
            format!("now {}", node.display()),
        );
        port_at(examination, system, &node);
    }
    let cameras = identity::list(&system.at("/sys/class/video4linux"), &system.at("/dev"));
    if cameras.is_empty() {
        examination.skip("camera.list", "", "no camera is plugged in");
    }
    for camera in cameras {
        let node = system.name_of(&camera.node);
        examination.ok(
            "camera.list",
            camera.stable(),
            format!("{}, now {}", camera.name, node.display()),
        );
        video_at(examination, system, &node);
    }
}

/// Whether a serial port can be used. Returns whether it is worth opening.
pub fn port_at(examination: &mut Examination<'_>, system: &System, port: &Path) -> bool {
    let node = node_of(system, port);
    let usable = access(examination, system, "port.access", &node, "dialout");
    let free = usable && holder(examination, system, "port.holder", &node);
    if usable {
        latency(examination, system, &node);
    }
    usable && free
}

/// Whether a camera's node can be used. Returns whether it is worth opening.
pub fn video_at(examination: &mut Examination<'_>, system: &System, node: &Path) -> bool {
    access(examination, system, "camera.access", node, "video")
        && holder(examination, system, "camera.holder", node)
}

/// How long the adapter of a port may hold bytes back, in milliseconds; `None` if it does not say.
pub fn latency_ms(system: &System, port: &Path) -> Option<u64> {
    let node = node_of(system, port);
    let name = node.file_name()?.to_str()?.to_owned();
    let text = system.text(format!("/sys/bus/usb-serial/devices/{name}/latency_timer"))?;
    text.parse().ok()
}

/// The node behind a port's name, which may be a link.
fn node_of(system: &System, port: &Path) -> PathBuf {
    std::fs::canonicalize(system.at(port)).map_or_else(|_| port.to_owned(), |node| system.name_of(&node))
}

fn access(
    examination: &mut Examination<'_>,
    system: &System,
    name: &'static str,
    node: &Path,
    usual_group: &str,
) -> bool {
    let about = node.display().to_string();
    match system.access(node) {
        Ok(Access::Allowed) => {
            examination.ok(name, &about, "may be read and written");
            return true;
        }
        Ok(Access::Group { group, joined: false }) => examination.fail(
            name,
            &about,
            format!("belongs to group `{group}`, which you are not in"),
            format!("sudo usermod -aG {group} $USER, then log in again"),
        ),
        Ok(Access::Group { group, joined: true }) => examination.fail(
            name,
            &about,
            format!("you have joined its group `{group}` since you logged in"),
            "log out and in again",
        ),
        Ok(Access::Refused) => examination.fail(
            name,
            &about,
            "only its owner may use it",
            format!("give it to a group by a udev rule (often `{usual_group}`), and join that"),
        ),
        Err(error) => examination.fail(
            name,
            &about,
            error.to_string(),
            "check the cable and the power; `armillary find-port --list` and `armillary find-cameras` list what is there",
        ),
    }
    false
}

fn holder(examination: &mut Examination<'_>, system: &System, name: &'static str, node: &Path) -> bool {
    let about = node.display().to_string();
    if node.starts_with("/dev/pts") {
        examination.skip(
            name,
            &about,
            "a pseudo-terminal, which the program that serves it has open",
        );
        return true;
    }
    let holders = system.holders(node);
    if holders.is_empty() {
        examination.ok(name, &about, "no other program of yours has it open");
        return true;
    }
    let programs: Vec<String> = holders
        .iter()
        .map(|(number, program)| format!("{program} (process {number})"))
        .collect();
    let brltty = holders.iter().any(|(_, program)| program.starts_with("brltty"));
    let remedy = match () {
        () if brltty => "sudo apt remove brltty, if no Braille display is used here",
        () if holders.iter().any(|(_, program)| program == "ModemManager") => {
            "sudo systemctl stop ModemManager; it takes ports for modems"
        }
        () => "close that program",
    };
    examination.fail(name, &about, format!("open in {}", programs.join(", ")), remedy);
    false
}

fn latency(examination: &mut Examination<'_>, system: &System, node: &Path) {
    const NAME: &str = "port.latency";
    let about = node.display().to_string();
    match latency_ms(system, node) {
        None => examination.skip(NAME, &about, "this adapter has no latency timer"),
        Some(ms) if ms <= LATENCY_MAX_MS => examination.ok(NAME, &about, format!("{ms} ms")),
        Some(ms) => {
            let name = node.file_name().unwrap_or_default().to_string_lossy();
            examination.warn(
                NAME,
                &about,
                format!("the adapter holds bytes back for up to {ms} ms"),
                format!(
                    "echo 1 | sudo tee /sys/bus/usb-serial/devices/{name}/latency_timer; to keep it, a udev rule: ACTION==\"add\", \
                     SUBSYSTEM==\"usb-serial\", DRIVER==\"ftdi_sio\", ATTR{{latency_timer}}=\"1\""
                ),
            );
        }
    }
}
