//! What commands print for a person or the next program in a pipe.

use std::io::Write as _;

/// Whoever reads may have seen enough (`| head`): that is no failure.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
