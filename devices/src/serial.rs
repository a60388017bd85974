//! The arm on a serial port (or pty): 8N1, opened for us alone, every call bounded.

mod descriptor;
mod line;
mod opening;
pub mod ports;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use robot::Config;
use robot::device::e_stop::press_until_confirmed;
use robot::device::{DeviceError, JointBus, LinkError, Stopped};

use serialport::TTYPort;

use self::descriptor::{Descriptor, WRITE_TIMEOUT};
pub use self::ports::Port;
use crate::arms::{ArmSettings, Opening};
use crate::link::{Allowed, ByteStream, HostLink, WireEStop};

/// How to open an arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialOptions {
    /// Path of the port.
    pub port: String,
    /// Symbols per second; a pty ignores it.
    pub baud: u32,
    /// Joints the robot file lists.
    pub joints: usize,
    /// Longest wait for the arm's answer to a handshake.
    pub handshake_timeout: Duration,
}

/// The arm behind a serial port.
pub type SerialLink = HostLink<SerialStream>;

/// An arm that speaks our own protocol, as a robot file names it: `firmware(port: "/dev/ttyUSB0")`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Path of the port. Those in `/dev/serial/by-id` stay the same when other devices are plugged in.
    pub port: String,
    /// Symbols per second; `link.baud` of the robot file if not given.
    #[serde(default)]
    pub baud: Option<u32>,
    /// Longest time from the opening of the port until the board answers, in seconds; `link.boot_s` if not given.
    #[serde(default)]
    pub boot_s: Option<f32>,
    /// Serial number that the arm must have; any if not given.
    #[serde(default)]
    pub serial_number: Option<String>,
}

/// Longest wait for an arm's answer to a handshake, beyond the time that its board may take to boot.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);

impl Settings {
    /// The port of an arm whose file says the rest.
    pub fn at(port: &Path) -> Self {
        Self {
            port: port.display().to_string(),
            baud: None,
            boot_s: None,
            serial_number: None,
        }
    }

    /// How long the board of `config`'s arm may take to boot.
    pub fn boot(&self, config: &Config) -> Duration {
        // What is no time is none.
        Duration::try_from_secs_f32(self.boot_s.unwrap_or(config.boot_s)).unwrap_or_default()
    }

    /// Opens the port of `config`'s arm. Says nothing yet. A handshake refuses an arm that is not the one that is meant, or whose own
    /// limits are wider than `config` allows.
    ///
    /// # Errors
    /// See [`SerialStream::open`].
    pub fn link(&self, config: &Config) -> Result<SerialLink, LinkError> {
        let link = SerialLink::open(&SerialOptions {
            port: self.port.clone(),
            baud: self.baud.unwrap_or(config.baud),
            joints: config.joint_count(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
        })?;
        let link = link.with_boot(self.boot(config));
        Ok(match Allowed::of(config, self.serial_number.as_deref()) {
            Some(allowed) => link.with_allowed(allowed),
            // A checked file has limits.
            None => link,
        })
    }
}

impl ArmSettings for Settings {
    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn JointBus>, DeviceError> {
        let link = self
            .link(opening.config)?
            .with_e_stop_asked(Arc::clone(&opening.signals.e_stop))
            .with_stop_asked(Arc::clone(&opening.signals.stop));
        Ok(Box::new(link))
    }

    fn e_stop(&self, config: &Config) -> Result<Stopped, DeviceError> {
        let stream = SerialStream::open(&self.port, self.baud.unwrap_or(config.baud))?;
        let boot = self.boot(config);
        let mut line = WireEStop::new(stream, HANDSHAKE_TIMEOUT);
        match press_until_confirmed(&mut line, None) {
            Err(LinkError::EStopUnconfirmed { .. }) if !boot.is_zero() => {
                log::warn!(
                    "{}: emergency stop NOT confirmed yet: cut the arm's power if it moves; a board that resets when its port is \
                     opened boots first, so it is sent for {:.1} s more",
                    self.port,
                    boot.as_secs_f32()
                );
                Ok(press_until_confirmed(&mut line, Some(boot))?)
            }
            result => Ok(result?),
        }
    }

    fn port(&self) -> Option<&str> {
        Some(&self.port)
    }

    fn set_baud(&mut self, baud: u32) {
        self.baud = Some(baud);
    }

    fn set_port(&mut self, port: &Path) -> Result<(), DeviceError> {
        self.port = port.display().to_string();
        Ok(())
    }
}

impl SerialLink {
    /// Opens the port. Says nothing yet: [`robot::device::JointBus::handshake`] does.
    ///
    /// # Errors
    /// See [`SerialStream::open`].
    pub fn open(options: &SerialOptions) -> Result<Self, LinkError> {
        let stream = SerialStream::open(&options.port, options.baud)?;
        Ok(Self::new(stream, options.joints, us(options.handshake_timeout)))
    }

    /// Lets the first handshake take `boot` longer; see [`HostLink::with_boot_us`].
    #[must_use]
    pub fn with_boot(self, boot: Duration) -> Self {
        self.with_boot_us(us(boot))
    }
}

/// An open serial port.
#[derive(Debug)]
pub struct SerialStream {
    port: TTYPort,
    line: Descriptor,
}

impl SerialStream {
    /// Opens `port` at `baud`, 8 data bits, no parity, 1 stop bit, exclusively. Never waits.
    ///
    /// Linux raises DTR at every opening, which resets many boards; that cannot be prevented from here. It is asked to leave DTR
    /// raised when the port is closed, so that the next opening raises nothing and resets nothing.
    ///
    /// # Errors
    /// [`LinkError::PortMissing`], [`LinkError::NotAPort`], [`LinkError::Permission`], [`LinkError::Busy`],
    /// [`LinkError::CannotOpen`] or [`LinkError::Io`].
    pub fn open(port: &str, baud: u32) -> Result<Self, LinkError> {
        let name = port.to_owned();
        opening::check(port)?;
        let port = serialport::new(port, baud)
            .data_bits(serialport::DataBits::Eight)
            .parity(serialport::Parity::None)
            .stop_bits(serialport::StopBits::One)
            .flow_control(serialport::FlowControl::None)
            .timeout(WRITE_TIMEOUT)
            .preserve_dtr_on_open()
            .open_native()
            .map_err(|error| opening::error(&name, &error))?;
        let line = Descriptor::of(&name, &port)?;
        if let Err(errno) = opening::keep_dtr_at_close(&port) {
            log::warn!("{name}: {errno}; a board that resets on DTR may reset each time its port is opened");
        }
        Ok(Self { port, line })
    }
}

impl Drop for SerialStream {
    fn drop(&mut self) {
        // The exclusive flag outlives the descriptor as long as the other side of a pty is open, and would refuse the
        // next program. A port that is gone has no flag to clear.
        let _ = self.port.set_exclusive(false);
    }
}

impl ByteStream for SerialStream {
    fn name(&self) -> &str {
        self.line.name()
    }

    fn now_us(&self) -> u64 {
        self.line.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.line.write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.line.read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.line.wait(timeout_us)
    }

    fn second(&self) -> Result<Option<Box<dyn ByteStream>>, LinkError> {
        self.line.second()
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
