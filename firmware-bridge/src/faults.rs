//! What can be wrong between a simulated arm and its controller, on purpose: so that a controller can be watched when it happens.
//!
//! [`SimulatorBridge::with_faults`](crate::SimulatorBridge::with_faults) takes a [`Schedule`], asks it at every turn what is wrong, and does
//! that to the bytes of the line, to the telemetry, to the arm and to the pictures. `armillary sim --faults FILE` reads a schedule
//! from a file.

use serde::{Deserialize, Serialize};

use crate::wire::FirmwareState;

/// One thing that is wrong for a while. Its name in files is in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The port is gone, as if its cable were pulled; then it is back at the same path.
    LineCut,
    /// What the host says does not reach the arm.
    LineDeaf,
    /// What the arm says does not reach the host.
    LineMute,
    /// The far end of the line takes no bytes, until the line is full.
    LineStuck,
    /// Bits flip, in both directions.
    LineNoise {
        /// How likely it is for each byte, in [0, 1].
        flips_per_byte: f32,
    },
    /// Whole messages are lost, doubled, and overtaken by the next one, in both directions.
    LineLossy {
        /// How likely a message is lost, in [0, 1].
        lost: f32,
        /// How likely a message comes twice, in [0, 1].
        doubled: f32,
        /// How likely a message comes after the next one, in [0, 1].
        overtaken: f32,
    },
    /// Messages that a host sent earlier reach the arm again, one after each new one.
    LineReplayed,
    /// The arm sends the same telemetry again and again.
    TelemetryFrozen,
    /// Telemetry has another number of joints.
    TelemetryJoints {
        /// How many.
        count: u8,
    },
    /// The measured positions are no numbers.
    TelemetryNan,
    /// A measured position is elsewhere at once.
    TelemetryJump {
        /// By how much, in radians.
        by_rad: f32,
    },
    /// The number of the telemetry stands still.
    TelemetrySequenceStuck,
    /// The arm's echo of the host's time stands still.
    TelemetryEchoStuck,
    /// The arm's clock stands still in telemetry.
    TelemetryClockStuck,
    /// The arm's clock is another at once in telemetry.
    TelemetryClockJump {
        /// By how much, in seconds; back if negative.
        by_s: f64,
    },
    /// The arm's own clock jumps when the fault begins, and is right again when it ends.
    ClockJump {
        /// By how much, in seconds; back if negative, though to its beginning at most.
        by_s: f64,
    },
    /// The board boots: for so long it neither hears nor speaks, and the motors are off. Then its firmware begins anew.
    FirmwareReset,
    /// Something holds the arm where it is.
    ArmBlocked,
    /// A servo neither hears nor answers.
    ServoSilent {
        /// Its joint, counted from the base, which is 0.
        joint: u8,
    },
    /// A servo measures another supply than there is.
    ServoSupply {
        /// Its joint, counted from the base, which is 0.
        joint: u8,
        /// What it measures, in volts.
        volts: f32,
    },
    /// A servo measures another temperature than it has.
    ServoHeat {
        /// Its joint, counted from the base, which is 0.
        joint: u8,
        /// What it measures, in degrees Celsius.
        celsius: f32,
    },
    /// Something holds a servo where it is.
    ServoStuck {
        /// Its joint, counted from the base, which is 0.
        joint: u8,
    },
    /// The camera is gone, as if its cable were pulled.
    CameraGone,
    /// No pictures come.
    CameraStalled,
    /// The same picture comes again and again, with new stamps.
    CameraFrozen,
    /// The same picture comes again and again, with the same stamp.
    CameraRepeated,
    /// Pictures are black.
    CameraBlack,
    /// The lower half of a picture was not filled.
    CameraTorn,
    /// Pictures are stamped in the future.
    CameraFuture {
        /// How far, in seconds.
        by_s: f64,
    },
    /// Pictures are cut: some bytes of each are missing.
    CameraShort,
    /// The light is another at once.
    CameraLight {
        /// What levels are multiplied by.
        factor: f32,
    },
    /// The camera was pushed: everything is seen elsewhere.
    CameraMoved {
        /// By how many pixels to the side.
        pixels: u16,
    },
    /// Levels are off by up to so much, each by itself. A sound controller goes on.
    CameraNoise {
        /// Up to how many of 255.
        levels: u8,
    },
}

impl Fault {
    /// Its name, as files have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LineCut => "line_cut",
            Self::LineDeaf => "line_deaf",
            Self::LineMute => "line_mute",
            Self::LineStuck => "line_stuck",
            Self::LineNoise { .. } => "line_noise",
            Self::LineLossy { .. } => "line_lossy",
            Self::LineReplayed => "line_replayed",
            Self::TelemetryFrozen => "telemetry_frozen",
            Self::TelemetryJoints { .. } => "telemetry_joints",
            Self::TelemetryNan => "telemetry_nan",
            Self::TelemetryJump { .. } => "telemetry_jump",
            Self::TelemetrySequenceStuck => "telemetry_sequence_stuck",
            Self::TelemetryEchoStuck => "telemetry_echo_stuck",
            Self::TelemetryClockStuck => "telemetry_clock_stuck",
            Self::TelemetryClockJump { .. } => "telemetry_clock_jump",
            Self::ClockJump { .. } => "clock_jump",
            Self::FirmwareReset => "firmware_reset",
            Self::ArmBlocked => "arm_blocked",
            Self::ServoSilent { .. } => "servo_silent",
            Self::ServoSupply { .. } => "servo_supply",
            Self::ServoHeat { .. } => "servo_heat",
            Self::ServoStuck { .. } => "servo_stuck",
            Self::CameraGone => "camera_gone",
            Self::CameraStalled => "camera_stalled",
            Self::CameraFrozen => "camera_frozen",
            Self::CameraRepeated => "camera_repeated",
            Self::CameraBlack => "camera_black",
            Self::CameraTorn => "camera_torn",
            Self::CameraFuture { .. } => "camera_future",
            Self::CameraShort => "camera_short",
            Self::CameraLight { .. } => "camera_light",
            Self::CameraMoved { .. } => "camera_moved",
            Self::CameraNoise { .. } => "camera_noise",
        }
    }

    /// Whether it can befall such an arm.
    pub fn befalls(&self, arm: ArmKind) -> bool {
        match self {
            Self::LineReplayed
            | Self::TelemetryFrozen
            | Self::TelemetryJoints { .. }
            | Self::TelemetryNan
            | Self::TelemetryJump { .. }
            | Self::TelemetrySequenceStuck
            | Self::TelemetryEchoStuck
            | Self::TelemetryClockStuck
            | Self::TelemetryClockJump { .. }
            | Self::ClockJump { .. }
            | Self::FirmwareReset => arm == ArmKind::Firmware,
            Self::ServoSilent { .. }
            | Self::ServoSupply { .. }
            | Self::ServoHeat { .. }
            | Self::ServoStuck { .. } => arm == ArmKind::Servos,
            _ => true,
        }
    }

    /// The joint of a fault that befalls one.
    pub fn joint(&self) -> Option<u8> {
        match self {
            Self::ServoSilent { joint }
            | Self::ServoSupply { joint, .. }
            | Self::ServoHeat { joint, .. }
            | Self::ServoStuck { joint } => Some(*joint),
            _ => None,
        }
    }
}

/// What is at the far end of a simulated arm's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmKind {
    /// A firmware with our protocol.
    Firmware,
    /// Servos on a bus.
    Servos,
}

/// Says what is wrong at each moment.
pub trait Schedule: std::fmt::Debug + Send {
    /// What is wrong `elapsed_us` microseconds after the bridge began to serve, with an arm that is in `state`. Called at every turn, about
    /// once a millisecond.
    fn wrong(&mut self, elapsed_us: u64, state: FirmwareState) -> &[Fault];
}
