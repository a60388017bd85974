//! The arm on a serial port (or pty): 8N1, opened for us alone, every call bounded.

mod line;
mod opening;
pub mod ports;

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use robot::Config;
use robot::device::{DeviceError, JointBus, LinkError};

use serialport::TTYPort;

pub use self::ports::Port;
use crate::arms::{ArmSettings, Opening, Stopped};
use crate::link::{Allowed, ByteStream, HostLink};

/// Longest time a frame may take to be accepted by the port.
const WRITE_TIMEOUT: Duration = Duration::from_millis(4);

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
        let mut link = self.link(config)?;
        let boot = self.boot(config);
        match link.e_stop_until_confirmed(us(HANDSHAKE_TIMEOUT)) {
            Err(LinkError::EStopUnconfirmed { .. }) if !boot.is_zero() => {
                log::warn!(
                    "{}: emergency stop NOT confirmed yet: cut the arm's power if it moves; a board that resets when its port is \
                     opened boots first, so it is sent for {:.1} s more",
                    self.port,
                    boot.as_secs_f32()
                );
                link.e_stop_until_confirmed(us(boot))?;
            }
            result => result?,
        }
        Ok(Stopped::Latched)
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
    name: String,
    port: TTYPort,
    origin: Instant,
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
        // The library makes its descriptors blocking: a write that the port has no room for would then wait without bound.
        nonblocking(&port).map_err(|errno| LinkError::Io {
            port: name.clone(),
            source: errno.into(),
        })?;
        if let Err(errno) = opening::keep_dtr_at_close(&port) {
            log::warn!("{name}: {errno}; a board that resets on DTR may reset each time its port is opened");
        }
        Ok(Self {
            name,
            port,
            origin: Instant::now(),
        })
    }

    /// Whether `events` are there, a hang-up included, within `timeout_ms`. Unlike the port's own wait it does not allocate to say no.
    fn ready(&self, events: PollFlags, timeout_ms: u64) -> Result<bool, LinkError> {
        let timeout = PollTimeout::try_from(timeout_ms).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.fd(), events)], timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(self.fault(errno)),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the port owns this descriptor, and lives for as long as the borrow of `self`.
        unsafe { BorrowedFd::borrow_raw(self.port.as_raw_fd()) }
    }

    fn fault(&self, errno: Errno) -> LinkError {
        let port = self.name.clone();
        match errno {
            // What Linux says of a USB device that was pulled out (the first three: which one depends on how far it has got with it), and
            // of the other side of a pty that is gone.
            Errno::ENODEV | Errno::ENXIO | Errno::EIO | Errno::EPIPE | Errno::ESHUTDOWN => {
                LinkError::Closed { port }
            }
            errno => LinkError::Io {
                port,
                source: errno.into(),
            },
        }
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
        &self.name
    }

    fn now_us(&self) -> u64 {
        us(self.origin.elapsed())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let mut rest = bytes;
        while !rest.is_empty() {
            // Not by the library: it does not pass the system's own number of an error on.
            match nix::unistd::write(self.fd(), rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(LinkError::WriteTimeout {
                            port: self.name.clone(),
                        });
                    }
                    self.ready(PollFlags::POLLOUT, us(left).div_ceil(1_000))?;
                }
                Err(errno) => return Err(self.fault(errno)),
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        if !self.ready(PollFlags::POLLIN, 0)? {
            return Ok(0);
        }
        match nix::unistd::read(self.fd(), into) {
            // End of file is how some drivers say that the device is gone.
            Ok(0) => Err(LinkError::Closed {
                port: self.name.clone(),
            }),
            Ok(count) => Ok(count),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(0),
            Err(errno) => Err(self.fault(errno)),
        }
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        // What has happened, a hang-up for one, the next read reports.
        self.ready(PollFlags::POLLIN, timeout_us.div_ceil(1_000))
            .map(|_| ())
    }
}

fn nonblocking(port: &TTYPort) -> nix::Result<()> {
    // SAFETY: the port owns this descriptor and outlives the borrow, which ends with this call.
    let fd = unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) };
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(|_| ())
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
