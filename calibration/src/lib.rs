//! What turns a particular arm and its camera into the numbers a model learned on: joint mapping and action scaling, and the way from a
//! camera's picture to the model's image. Applied by the controller; hashed into every bundle, so that a model is never run on an arm it was not trained for.

mod joints;
pub mod latency;
pub mod picture;
pub mod servos;
mod verdict;

pub use joints::JointMapping;
pub use verdict::Verdict;

use sha2::{Digest, Sha256};

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
