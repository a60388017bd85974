//! An error and its causes as one line for a person.

use std::error::Error;

/// The error, then each cause that it has not told already: many errors hold their cause's words in their own.
pub fn complaint(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
