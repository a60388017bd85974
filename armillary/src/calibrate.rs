//! What `armillary calibrate` does: it leads a person through a measurement, judges it, and writes it into a file beside the robot file.

pub mod camera;
pub mod hand_eye;
pub mod joints;
pub mod latency;

/// Whoever is led. A test stands in for a person.
pub trait Person {
    /// Tells something.
    fn tell(&mut self, words: &str);

    /// Asks something, and waits for the answer.
    ///
    /// # Errors
    /// Nobody is there any more.
    fn ask(&mut self, question: &str) -> anyhow::Result<String>;

    /// Shows what changes while the person does something, in the place of what was shown before. Returns the line that was typed meanwhile, if any.
    /// Waits for nothing.
    ///
    /// # Errors
    /// Nobody is there any more.
    fn show(&mut self, words: &str) -> anyhow::Result<Option<String>>;
}
