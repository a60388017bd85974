//! Opening an arm, and the emergency stop's way to it before and afterwards.

use std::time::{Duration, Instant};

use devices::{Arm, Opening};
use robot::Config;
use robot::device::e_stop::Pressed;
use robot::device::{DeviceError, EStopLine, JointBus, LinkError};

use super::Watch;

/// How long it is tried. A servo's answer can be lost, and another thread may be about to close the port.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens `arm`, whose emergency stop `watch` presses from here on. Other programs can ask for it while the arm is opened. An arm that cannot be
/// opened is let go all the same, if somebody asks.
///
/// # Errors
/// [`DeviceError`] if the arm cannot be opened, or no other program could ask for its emergency stop.
pub fn open(
    watch: &mut Watch,
    arm: &mut Arm,
    opening: &Opening<'_>,
) -> Result<Box<dyn JointBus>, DeviceError> {
    let listens = arm.port().map_or(Ok(()), |port| {
        watch.listen(&port).map_err(|error| {
            DeviceError::new(format!(
                "{}: other programs could not ask for the emergency stop (`armillary e-stop`): {error}",
                port.display()
            ))
        })
    });
    listens?;
    let opened = arm.open(opening).and_then(|bus| {
        let line = bus.e_stop_line()?;
        Ok((bus, line))
    });
    let (bus, line) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            watch.guard(Box::new(Unopened::new(arm.clone(), opening.config.clone())));
            return Err(error);
        }
    };
    if let Some(line) = line {
        watch.guard(line);
    }
    Ok(bus)
}

/// The way to an arm that this program does not have open: it could not be brought up, or was closed again. Opens the arm's port for each
/// press, and closes it again.
pub struct Unopened {
    arm: Arm,
    config: Config,
    port: String,
    /// When it was pressed first.
    begun: Option<Instant>,
}

impl Unopened {
    /// Of `arm`, which `config` describes.
    pub fn new(mut arm: Arm, config: Config) -> Self {
        let port = arm
            .port()
            .map_or_else(|| config.name.clone(), |port| port.display().to_string());
        Self {
            arm,
            config,
            port,
            begun: None,
        }
    }
}

impl EStopLine for Unopened {
    fn port(&self) -> &str {
        &self.port
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn sends_by_itself(&self) -> bool {
        // It opens the port first, and returns once the arm has answered.
        false
    }

    fn press(&mut self, wait: Duration) -> Result<Pressed, LinkError> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        match self.arm.e_stop(&self.config) {
            Ok(stopped) => Ok(Pressed::Confirmed(stopped)),
            Err(_) if begun.elapsed() < PATIENCE => {
                std::thread::park_timeout(wait);
                Ok(Pressed::Sent(None))
            }
            Err(error) => Err(LinkError::Lost {
                port: self.port.clone(),
                problem: robot::complaint(&error),
            }),
        }
    }
}
