//! Stage 2, encode: a frame to its embedding, on the thread the frame arrives on.

use robot::{Clock, Frame};
use world_model::Encoder;

/// Writes `frame`'s embedding, if a model takes part; returns how long that took, in nanoseconds.
///
/// # Panics
/// If `embedding` is not as long as the model's.
pub fn embed(encoder: Option<&mut Encoder>, frame: &Frame, embedding: &mut [f32], clock: &dyn Clock) -> u64 {
    let start_ns = clock.now_ns();
    if let Some(encoder) = encoder {
        encoder.encode(frame, embedding);
    }
    clock.now_ns().saturating_sub(start_ns)
}
