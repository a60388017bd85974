//! How the control loop talks to joints, whatever carries the bytes.

use serde::{Deserialize, Serialize};

use super::contract::{ContractProblem, told};
use super::{EStopLine, Motors, RefusedReports};
use crate::JointVec;

/// An arm's joints behind a bounded, non-blocking interface: one call a control period to send, one to read.
///
/// Implementations never block for longer than a few milliseconds except in [`JointBus::handshake`], which happens
/// outside the tick.
pub trait JointBus: Send {
    /// What to call it in messages: the port's path.
    fn port(&self) -> &str;

    /// Opens a session: checks protocol version, joints, identity and the limits that the arm keeps by itself, and estimates the clock
    /// offset. Bounded wait.
    ///
    /// # Errors
    /// [`LinkError::NoHandshake`], [`LinkError::VersionMismatch`], [`LinkError::JointCountMismatch`],
    /// [`LinkError::JointNamesMismatch`], [`LinkError::SerialNumberMismatch`], [`LinkError::Contract`],
    /// [`LinkError::AbsurdClock`], or a port error.
    /// [`LinkError::EStopped`] where a person asked for the emergency stop, [`LinkError::Interrupted`] where a person asked for the end.
    fn handshake(&mut self) -> Result<DeviceInfo, LinkError>;

    /// Sends a set point (radians, one a joint) to be reached in `move_time_us` and ignored `valid_for_us` from now.
    /// Returns its sequence number.
    ///
    /// # Errors
    /// [`LinkError::InFlight`] while two earlier commands are neither acknowledged by telemetry nor expired: more
    /// would queue behind a stalled arm and be carried out late. Otherwise a port error.
    fn send_set_point(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        valid_for_us: u32,
    ) -> Result<u32, LinkError>;

    /// The same for a command that is to be ignored `valid_since_poll_us` after the last call of [`JointBus::poll`]. A caller that is held
    /// up between that call and this one makes the command no younger, as it would by [`JointBus::send_set_point`].
    ///
    /// A bus that does not look at a clock in `poll` counts from now.
    ///
    /// # Errors
    /// [`LinkError::Late`] if that time is over, and nothing is sent then. Otherwise as for [`JointBus::send_set_point`].
    fn send_set_point_since_poll(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        valid_since_poll_us: u32,
    ) -> Result<u32, LinkError> {
        if valid_since_poll_us == 0 {
            return Err(LinkError::Late {
                port: self.port().to_owned(),
                late_us: 0,
            });
        }
        self.send_set_point(set_point_rad, move_time_us, valid_since_poll_us)
    }

    /// Asks for a controlled stop: decelerate, then hold.
    ///
    /// # Errors
    /// A port error.
    fn send_stop(&mut self) -> Result<(), LinkError>;

    /// Asks for a controlled stop and torque off after it.
    ///
    /// # Errors
    /// A port error.
    fn send_release(&mut self) -> Result<(), LinkError>;

    /// Emergency stop: torque off at once, latched.
    ///
    /// # Errors
    /// A port error.
    fn send_e_stop(&mut self) -> Result<(), LinkError>;

    /// Unlatches the emergency stop. Only ever send this because a person asked for it just now; the arm stays off
    /// until the next [`JointBus::handshake`] and command.
    ///
    /// # Errors
    /// A port error.
    fn send_clear_e_stop(&mut self) -> Result<(), LinkError>;

    /// Drains what has arrived, without blocking, and returns the newest report, if any came since the last call.
    ///
    /// # Errors
    /// A port error, [`LinkError::Closed`] when the arm is gone.
    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError>;

    /// A second way to the arm, for the emergency stop alone. `None` for an arm that moves nothing.
    ///
    /// # Errors
    /// A port error.
    fn e_stop_line(&self) -> Result<Option<Box<dyn EStopLine>>, LinkError> {
        Ok(None)
    }

    /// Messages of the arm that were no reports since the port was opened. Nothing that says so in the middle of a tick: it is put into
    /// words afterwards.
    fn refused_reports(&self) -> RefusedReports {
        RefusedReports::default()
    }

    /// What an arm that moves has not done for so long that a host which waits for another control period would stop it later than three
    /// periods after the first report that was wrong or did not come. `None` where there is no such thing, and where nobody knows when the arm
    /// is to report.
    fn overdue(&self) -> Option<Overdue> {
        None
    }

    /// Whether the arm goes where it is led. One that only plays something back does not, and its set points are not compared with
    /// those that it was sent.
    fn is_led(&self) -> bool {
        true
    }

    /// Copies what the motors said last into `into`, where the arm knows. Never waits: it may leave `into` as it is.
    fn motors(&mut self, into: &mut Motors) {
        let _ = into;
    }
}

/// What an arm says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArmReport {
    /// What it does.
    pub state: ArmState,
    /// Whether it refused the newest command that had reached it.
    pub refused: bool,
    /// Measured positions.
    pub position_rad: JointVec,
    /// Measured or estimated velocities.
    pub velocity_rad_s: JointVec,
    /// What its motors are asked for now; the measured positions while torque is off.
    pub set_point_rad: JointVec,
}

/// What an arm has not done for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// It has not reported soundly for so many milliseconds.
    Report(u64),
    /// It has not shown for so many milliseconds that it hears what it is sent.
    Echo(u64),
}

/// The state of the arm's firmware, as it last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmState {
    /// No telemetry came since the tick before.
    #[default]
    Unheard,
    /// Torque off, waiting for a first command.
    Idle,
    /// Following commands.
    Active,
    /// Slowing down by itself.
    Stopping,
    /// At rest, with torque.
    Held,
    /// Torque off after a stop.
    Released,
    /// Torque off, latched.
    EStopped,
}

impl ArmState {
    /// Whether the arm has said that it is not following commands.
    pub fn is_stopped(self) -> bool {
        !matches!(self, Self::Unheard | Self::Active)
    }
}

/// What a handshake found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Protocol version, equal to ours.
    pub protocol_version: u16,
    /// Joints the arm drives.
    pub joints: usize,
    /// Firmware version: major, minor, patch.
    pub firmware_version: [u8; 3],
    /// Time from Hello to its answer, in microseconds.
    pub round_trip_us: u64,
    /// Device clock minus host clock, in microseconds, assuming the two directions took equally long.
    pub clock_offset_us: i64,
    /// Serial number or name of the arm; empty if it has none.
    pub serial_number: String,
    /// Chosen by the arm at random when it booted; 0 if it has none.
    pub boot_id: u64,
}

/// Why the link to the arm does not work. Every message names the port and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no such port.
    #[error(
        "{port}: no such port; plug the arm in and check its power; /dev/serial/by-id lists what is there"
    )]
    PortMissing {
        /// The port.
        port: String,
    },
    /// The user may not open the port.
    #[error("{port}: permission denied; add yourself to the port's group (often `dialout`) and log in again")]
    Permission {
        /// The port.
        port: String,
    },
    /// Another program has the port open.
    #[error("{port}: already open in another program; close that program (`fuser {port}` names it)")]
    Busy {
        /// The port.
        port: String,
    },
    /// What is at the path is no serial port.
    #[error(
        "{port}: is not a serial port but {found}; /dev/serial/by-id lists the ports of USB devices, and `armillary sim` makes \
         the port of a simulated arm"
    )]
    NotAPort {
        /// The path.
        port: String,
        /// What is there.
        found: &'static str,
    },
    /// The port exists and cannot be opened.
    #[error(
        "{port}: cannot be opened as a serial port: {source}; check that this is the arm's port (/dev/serial/by-id lists those \
         of USB devices)"
    )]
    CannotOpen {
        /// The port.
        port: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The port closed while in use: unplugged, or the program behind it ended.
    #[error("{port}: closed by the other side; check the cable and the arm's power, then start again")]
    Closed {
        /// The port.
        port: String,
    },
    /// What moves the joints failed while in use.
    #[error("{port}: {problem}")]
    Lost {
        /// The port.
        port: String,
        /// What went wrong, with its remedy.
        problem: String,
    },
    /// Nothing answered the handshake.
    #[error(
        "{port}: no handshake within {waited_ms} ms ({received_bytes} bytes arrived, {bad_frames} of their frames \
         unreadable); {}", no_handshake_remedy(*received_bytes)
    )]
    NoHandshake {
        /// The port.
        port: String,
        /// How long it took.
        waited_ms: u64,
        /// Bytes that arrived meanwhile.
        received_bytes: u64,
        /// Frames among them that did not decode.
        bad_frames: u32,
    },
    /// The arm speaks another version of the protocol.
    #[error("{port}: the arm speaks protocol {theirs}, this program {ours}; {}", version_remedy(*ours, *theirs))]
    VersionMismatch {
        /// The port.
        port: String,
        /// Our version.
        ours: u16,
        /// The arm's version.
        theirs: u16,
    },
    /// The arm has another number of joints than the robot file says.
    #[error(
        "{port}: the arm drives {reported} joints, the robot file lists {expected}; use the robot file of this arm"
    )]
    JointCountMismatch {
        /// The port.
        port: String,
        /// Joints in the robot file, or in the set point given.
        expected: usize,
        /// Joints the arm reports.
        reported: usize,
    },
    /// The arm's joints have other names, or another order, than those of the robot file.
    #[error(
        "{port}: the arm's joints are not those of the robot file, which are {names}: their names have the hash {theirs:016x} in the \
         arm and {ours:016x} in the file; use the robot file of this arm, or give its firmware the same names in the same order \
         (`name` in its arm.rs; `armillary sim` takes them from its --robot)"
    )]
    JointNamesMismatch {
        /// The port.
        port: String,
        /// The names in the robot file, base first.
        names: String,
        /// Their hash.
        ours: u64,
        /// The hash that the arm reports.
        theirs: u64,
    },
    /// The arm is another than the robot file asks for.
    #[error(
        "{port}: this arm has the serial number \"{reported}\", and field `serial_number` of `arm` in the robot file asks for \
         \"{expected}\"; plug in that arm, or use the robot file of this one"
    )]
    SerialNumberMismatch {
        /// The port.
        port: String,
        /// The serial number in the robot file.
        expected: String,
        /// The one that the arm reports; empty if it has none.
        reported: String,
    },
    /// The arm's own limits are wider than the robot file allows.
    #[error(
        "{port}: the arm's own limits are not those of the robot file: {}; flash a firmware with the robot file's numbers (its \
         arm.rs; `armillary sim` takes them from its --robot), or write the arm's numbers into the robot file if they are safe",
        told(problems)
    )]
    Contract {
        /// The port.
        port: String,
        /// Each of them.
        problems: Vec<ContractProblem>,
    },
    /// The arm says that it has been on for longer than any arm has.
    #[error(
        "{port}: the arm says that it has been on for {device_time_us} us, which no clock has counted; switch it off and on again, and \
         flash the firmware of this release if it says so again"
    )]
    AbsurdClock {
        /// The port.
        port: String,
        /// Its clock.
        device_time_us: u64,
    },
    /// A command was attempted before a handshake.
    #[error("{port}: no session; call `handshake` first")]
    NoSession {
        /// The port.
        port: String,
    },
    /// Too many commands are unacknowledged.
    #[error(
        "{port}: {unacknowledged} commands are unacknowledged; the arm is not keeping up, wait for telemetry"
    )]
    InFlight {
        /// The port.
        port: String,
        /// How many.
        unacknowledged: usize,
    },
    /// The time for which a command would have been valid was over before it was sent.
    #[error(
        "{port}: a command was {late_us} us late and was not sent; this program was held up, close other programs"
    )]
    Late {
        /// The port.
        port: String,
        /// By how much, in microseconds.
        late_us: u64,
    },
    /// The port accepts no bytes.
    #[error("{port}: accepts no bytes; the arm has stopped reading, check its power and reset it")]
    WriteTimeout {
        /// The port.
        port: String,
    },
    /// The arm did not answer in time within an open session.
    #[error("{port}: no answer within {waited_ms} ms; check the cable and the arm's power")]
    Silent {
        /// The port.
        port: String,
        /// How long it took.
        waited_ms: u64,
    },
    /// An arm that is driven has not reported soundly for so long that it must be stopped.
    #[error("{port}: no sound report of the arm for {waited_ms} ms")]
    Unheard {
        /// The port.
        port: String,
        /// Age of the last report.
        waited_ms: u64,
    },
    /// A person asked for the end while the arm was awaited.
    #[error("{port}: interrupted while the arm was awaited; nothing was driven")]
    Interrupted {
        /// The port.
        port: String,
    },
    /// A person asked for the emergency stop. Nothing else is sent to the arm from then on.
    #[error("{port}: the emergency stop was asked for; nothing else is sent to the arm")]
    EStopped {
        /// The port.
        port: String,
    },
    /// The emergency stop was sent, and the arm did not confirm it.
    #[error(
        "{port}: the emergency stop was sent for {waited_ms} ms and is NOT confirmed{}; cut the arm's power", reported(*state)
    )]
    EStopUnconfirmed {
        /// The port.
        port: String,
        /// How long it was tried.
        waited_ms: u64,
        /// The state that the arm reported last, after it had read the emergency stop.
        state: Option<ArmState>,
    },
    /// Anything else the operating system reports.
    #[error("{port}: {source}; check the cable and the arm's power, then start again")]
    Io {
        /// The port.
        port: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

fn no_handshake_remedy(received_bytes: u64) -> &'static str {
    if received_bytes == 0 {
        "check the arm's power and that this is its port; a board that resets when its port is opened may boot for longer than \
         `link.boot_s` in the robot file: write more seconds there, or keep the reset away (a capacitor of 10 uF from RESET to \
         ground, or no DTR wire)"
    } else {
        "something else speaks here: check the port and the baud rate; a board that resets when its port is opened and prints \
         while it boots may need more seconds of `link.boot_s` in the robot file"
    }
}

fn version_remedy(ours: u16, theirs: u16) -> &'static str {
    if theirs < ours {
        "flash the firmware of this release (firmware-bridge/firmware/README.md)"
    } else {
        "use the release of this program that the arm's firmware belongs to, or flash the firmware of this release"
    }
}

fn reported(state: Option<ArmState>) -> String {
    state.map_or_else(String::new, |state| format!(" (the arm reports {state:?})"))
}
