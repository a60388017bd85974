//! The arms that a robot file can name.

use std::path::{Path, PathBuf};

use robot::Config;
use robot::device::{DeviceError, JointBus, Signals, Stopped};

use crate::emulation::EmulatedArm;
use crate::playback;
use crate::serial;
use crate::servos;
use crate::table::devices;

devices! {
    /// An arm, as the field `arm` of a robot file names it. To add one, write its settings and what opens them into a file of its
    /// own, and a row here.
    Arm by ArmSettings {
        /// `firmware(port: "/dev/ttyUSB0")`: a board with our firmware.
        Firmware: serial::Settings,
        /// `feetech(port: "/dev/ttyACM0", servos: [(id: 1), ..])`: SO-100, SO-101.
        Feetech: servos::FeetechSettings,
        /// `dynamixel(port: "/dev/ttyUSB0", servos: [(id: 1), ..])`: Koch.
        Dynamixel: servos::DynamixelSettings,
        /// `playback(log: "runs/x/episode-000000.mcap")`: the joints of a recorded log.
        Playback: playback::Settings,
    }
}

/// What an arm is opened with.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The robot.
    pub config: &'a Config,
    /// What a person asks for while a device is waited for.
    pub signals: &'a Signals,
}

/// What a robot file says of one kind of arm.
pub trait ArmSettings {
    /// Opens the arm. Nothing moves: [`JointBus::handshake`] comes first.
    ///
    /// # Errors
    /// [`DeviceError`], naming the device and the remedy.
    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn JointBus>, DeviceError>;

    /// Takes the arm's torque off, for a person who asks for the emergency stop while no program drives it.
    ///
    /// # Errors
    /// [`DeviceError`] unless the arm confirms it.
    fn e_stop(&self, config: &Config) -> Result<Stopped, DeviceError> {
        Err(DeviceError::new(format!(
            "the arm of robot `{}` has no emergency stop; cut its power",
            config.name
        )))
    }

    /// Serves an emulation of the arm's hardware at `path`, for a rehearsal without it. `None` if there is none: an arm that speaks our
    /// protocol is simulated as a whole.
    ///
    /// # Errors
    /// [`DeviceError`]: settings that do not fit the robot, and a path that is taken.
    fn emulate(&self, config: &Config, path: &Path) -> Result<Option<EmulatedArm>, DeviceError> {
        let _ = (config, path);
        Ok(None)
    }

    /// Path of the port that the arm is at, if it is at one.
    fn port(&self) -> Option<&str> {
        None
    }

    /// Takes another rate of the port than the one written, in bits a second. Nothing is changed for an arm without a port.
    fn set_baud(&mut self, baud: u32) {
        let _ = baud;
    }

    /// Takes another port than the one written, for `--port`.
    ///
    /// # Errors
    /// [`DeviceError`] for an arm that has no port.
    fn set_port(&mut self, port: &Path) -> Result<(), DeviceError> {
        Err(DeviceError::new(format!(
            "--port {}: the arm that the robot file names has no port; leave --port out",
            port.display()
        )))
    }
}

impl Arm {
    /// The arm of `config`: what its file names, at `port` if that is given. An arm that is named nowhere, or is simulated, speaks
    /// our own protocol at `port`.
    ///
    /// # Errors
    /// [`DeviceError`] if nothing names an arm, or the file names one that is none.
    pub fn of(config: &Config, port: Option<&Path>) -> Result<Self, DeviceError> {
        match (&config.arm, port) {
            (Some(arm), port) => {
                let mut arm: Self = arm.read().map_err(DeviceError::new)?;
                if let Some(port) = port {
                    arm.settings().set_port(port)?;
                }
                Ok(arm)
            }
            (None, Some(port)) => Ok(Self::Firmware(serial::Settings::at(port))),
            (None, None) => Err(DeviceError::new(format!(
                "robot `{}` names no arm that is plugged in: write `arm: firmware(port: \"/dev/ttyUSB0\")` into its file, or give --port",
                config.name
            ))),
        }
    }

    /// Path of the port that it is at, if it is at one.
    pub fn port(&mut self) -> Option<PathBuf> {
        self.settings().port().map(PathBuf::from)
    }

    /// Takes another rate of the port than the one written, in bits a second.
    pub fn set_baud(&mut self, baud: u32) {
        self.settings().set_baud(baud);
    }

    /// Rate of its servos' bus, in bits a second; `None` for an arm that has none.
    pub fn baud(&self) -> Option<u32> {
        match self {
            Self::Feetech(settings) => Some(settings.baud),
            Self::Dynamixel(settings) => Some(settings.baud),
            _ => None,
        }
    }

    /// Ids of its servos, base first; none for an arm that has none.
    pub fn servo_ids(&self) -> Vec<u8> {
        match self {
            Self::Feetech(settings) => settings.ids(),
            Self::Dynamixel(settings) => settings.ids(),
            _ => Vec::new(),
        }
    }

    /// Takes its torque off.
    ///
    /// # Errors
    /// [`DeviceError`] unless the arm confirms it.
    pub fn e_stop(&mut self, config: &Config) -> Result<Stopped, DeviceError> {
        self.settings().e_stop(config)
    }

    /// Serves an emulation of its hardware at `path`; `None` if there is none.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn emulate(&mut self, config: &Config, path: &Path) -> Result<Option<EmulatedArm>, DeviceError> {
        self.settings().emulate(config, path)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn open(&mut self, opening: &Opening<'_>) -> Result<Box<dyn JointBus>, DeviceError> {
        self.settings().open(opening)
    }
}
