//! Stage 2, encode: a frame to its embedding, on the thread the frame arrives on.

use robot::Clock;
use world_model::Encoder;

use crate::capture::Captured;

/// Embeds `slot.frame`, if a model takes part, and notes how long it took.
pub fn embed(encoder: Option<&mut Encoder>, slot: &mut Captured, clock: &dyn Clock) {
    let start = clock.now_ns();
    if let Some(encoder) = encoder {
        encoder.encode(&slot.frame, &mut slot.embedding);
    }
    slot.encode_ns = clock.now_ns().saturating_sub(start);
}
