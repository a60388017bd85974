//! What `ffmpeg` complains of.

/// Characters that are kept.
const KEPT: usize = 500;

/// Errors that were told: how many, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    count: u64,
    first: String,
}

impl Complaints {
    /// Takes note of a line, if it is an error.
    pub(super) fn hear(&mut self, line: &str) {
        // A frame with errors is concealed by what was around it, which is told without being called an error.
        let is_error = ["[error]", "[fatal]", "[panic]", "concealing"];
        if is_error.iter().any(|word| line.contains(word)) {
            self.count += 1;
            if self.first.len() < KEPT {
                let separator = if self.first.is_empty() { "" } else { "; " };
                self.first.push_str(separator);
                self.first.extend(line.trim().chars().take(KEPT));
            }
        }
    }

    /// How many errors there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The first errors.
    pub(super) fn text(self) -> String {
        self.first
    }
}
