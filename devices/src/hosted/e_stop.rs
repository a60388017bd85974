//! The emergency stop of an arm whose firmware core runs in this program: a flag, and a thread that is woken.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::Thread;
use std::time::{Duration, Instant};

use hand_over::alarm;
use robot::device::e_stop::Pressed;
use robot::device::{EStopLine, LinkError, Stopped};

use super::wire::{LetGo, Wire};

/// Longest time until servos confirm that they have let go: several exchanges with each of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two looks at whether they have.
const LOOK: Duration = Duration::from_micros(200);

/// The emergency stop's way to the core. The core takes torque off between two exchanges with the servos, and cuts short the exchange that
/// is under way.
pub(super) struct HostedEStop {
    name: String,
    asked: Arc<AtomicBool>,
    wire: Arc<Wire>,
    core: Thread,
}

impl HostedEStop {
    pub(super) fn new(name: String, asked: Arc<AtomicBool>, wire: Arc<Wire>, core: Thread) -> Self {
        Self {
            name,
            asked,
            wire,
            core,
        }
    }
}

impl EStopLine for HostedEStop {
    fn port(&self) -> &str {
        &self.name
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn sends_by_itself(&self) -> bool {
        false
    }

    fn press(&mut self, wait: Duration) -> Result<Pressed, LinkError> {
        alarm::call(&self.asked, &self.core);
        let begun = Instant::now();
        loop {
            match self.wire.let_go() {
                LetGo::Yes => return Ok(Pressed::Confirmed(Stopped::LetGo)),
                LetGo::Never => {
                    return Err(LinkError::Lost {
                        port: self.name.clone(),
                        problem: "the arm holds with torque, and nothing drives it any more: support it, then take its power away"
                            .to_owned(),
                    });
                }
                LetGo::No if begun.elapsed() >= wait => return Ok(Pressed::Sent(None)),
                LetGo::No => std::thread::park_timeout(LOOK),
            }
        }
    }
}
