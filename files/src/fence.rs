//! A fence around libraries that parse what came from others.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside of [`guarded`], where the message of a panic belongs into the error and not on the terminal.
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// What a library's panic said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the library that reads such files stopped with: {0}")]
pub struct Panicked(pub String);

/// Calls a library that parses bytes which came from others. A panic of it, which such bytes can cause, becomes an error and prints
/// nothing. Whoever calls puts the name of the file beside it.
///
/// Everything that `parse` has touched must be thrown away after an error: it may be half changed. What this cannot catch is a full
/// stack or memory that cannot be had, which end the program: sizes and depths are checked before a library is called.
///
/// # Errors
/// [`Panicked`].
pub fn guarded<T>(parse: impl FnOnce() -> T) -> Result<T, Panicked> {
    silence_fenced_threads();
    let outer = FENCED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(parse));
    FENCED.set(outer);
    result.map_err(|payload| Panicked(said(&*payload)))
}

/// Puts a hook in front of the one that is there, once. It stays, since taking hooks off again would race with other threads.
fn silence_fenced_threads() {
    static ONCE: Once = Once::new();
    if std::thread::panicking() {
        // A hook cannot be changed now. The message is printed as well, which does no harm.
        return;
    }
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !FENCED.get() {
                before(panic);
            }
        }));
    });
}

/// The text of a panic, on one line.
fn said(payload: &(dyn Any + Send)) -> String {
    /// Characters that are kept of a message.
    const KEPT: usize = 300;
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(KEPT)
        .collect()
}
