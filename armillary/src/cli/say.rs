//! What commands print for a person or the next program in a pipe.

use armillary::console::{To, flush, print};

/// Prints text that brings its own line feeds.
pub(crate) fn say(text: &str) {
    print(To::Out, text.to_owned());
}

/// Prints a question, and waits until it can be read.
pub(crate) fn ask(to: To, question: &str) {
    print(to, question.to_owned());
    flush(None);
}
