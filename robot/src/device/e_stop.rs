//! The emergency stop's own way to an arm.

use std::time::Duration;

use super::{ArmState, LinkError};

/// What an emergency stop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Torque is off, and stays off until a person clears the stop.
    Latched,
    /// Torque is off. The next program that drives the arm switches it on again.
    LetGo,
}

/// What became of a press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// The arm says that its torque is off.
    Confirmed(Stopped),
    /// The arm has not said so yet. This is the state that it reported last after it had heard the press, if it did.
    Sent(Option<ArmState>),
}

/// A way to an arm that is used for the emergency stop alone, beside the [`super::JointBus`] by which the arm is driven.
///
/// It needs no session, and it waits for nobody: neither for the thread that drives the arm nor for a lock that this thread holds.
/// Whoever drives the arm reads and writes nothing from the moment on that [`super::Signals::e_stop`] is set, which happens before the
/// first press.
pub trait EStopLine: Send {
    /// What to call the arm in messages: the port's path.
    fn port(&self) -> &str;

    /// Longest time until the arm can confirm. A board that boots hears nothing.
    fn patience(&self) -> Duration;

    /// Whether a press gives bytes to the port before it returns. Otherwise another thread does, at a time that is not known here.
    fn sends_by_itself(&self) -> bool {
        true
    }

    /// Tells the arm to take its torque off at once, and listens for its word for `wait` at most. The arm is told anew by each call.
    ///
    /// # Errors
    /// A port error. Pressing again may still help.
    fn press(&mut self, wait: Duration) -> Result<Pressed, LinkError>;
}

/// How long the first presses listen: an arm that hears answers within that.
const LISTEN_FIRST: Duration = Duration::from_millis(10);

/// How long the others listen. A boot loader that hears bytes without a pause can take them for a program.
const LISTEN: Duration = Duration::from_millis(100);

/// How many presses are first ones.
const FIRST: u32 = 10;

/// How long press `number` is to listen, counted from 0.
pub fn listen_for(number: u32) -> Duration {
    if number < FIRST { LISTEN_FIRST } else { LISTEN }
}

/// Presses again and again until the arm confirms, for `patience` at most ([`EStopLine::patience`] if not given).
///
/// # Errors
/// [`LinkError::EStopUnconfirmed`], or a port error.
pub fn press_until_confirmed(
    line: &mut dyn EStopLine,
    patience: Option<Duration>,
) -> Result<Stopped, LinkError> {
    let patience = patience.unwrap_or_else(|| line.patience());
    let (mut left, mut number) = (patience, 0);
    loop {
        let listen = listen_for(number).min(left);
        match line.press(listen)? {
            Pressed::Confirmed(stopped) => return Ok(stopped),
            Pressed::Sent(state) if left.is_zero() => {
                return Err(LinkError::EStopUnconfirmed {
                    port: line.port().to_owned(),
                    waited_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
                    state,
                });
            }
            Pressed::Sent(_) => left = left.saturating_sub(listen),
        }
        number = number.saturating_add(1);
    }
}
