//! A link that waits for the arm: where a busy machine has not run the arm's end of the line for a while, this is not counted as a
//! silent arm.

use std::time::{Duration, Instant};

use devices::SerialLink;
use robot::device::{ArmReport, JointBus as _, LinkError, Overdue};

use crate::tapped::{Tap, Tapped};

/// Far longer than a machine lets a thread wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the arm has spoken.
pub(crate) struct Patience;

impl Tap<SerialLink> for Patience {
    fn poll(&mut self, bus: &mut SerialLink) -> Result<Option<ArmReport>, LinkError> {
        let begun = Instant::now();
        loop {
            let heard = bus.poll()?;
            if heard.is_some() || begun.elapsed() > PATIENCE {
                return Ok(heard);
            }
            bus.wait(10_000)?;
        }
    }

    fn overdue(&self, _: &SerialLink) -> Option<Overdue> {
        None
    }
}

/// A serial link whose `poll` waits until the arm has spoken.
pub(crate) type PatientLink = Tapped<SerialLink, Patience>;

/// `link`, with patience.
pub(crate) fn patient(link: SerialLink) -> PatientLink {
    Tapped {
        bus: link,
        tap: Patience,
    }
}
