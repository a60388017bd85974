//! Stage 6, actuate: what the tick may ask of the outside world. Real and simulated arms are the same to it.

use episode::Reason;

use crate::capture::Captured;

/// The world as one tick sees it.
pub trait World {
    /// Copies what the arm last said of itself into `held`. Never waits.
    fn listen(&mut self, held: &mut Captured);

    /// Copies the newest frame into `held`: `true` if it is new. Never waits.
    fn capture(&mut self, edge_ns: u64, held: &mut Box<Captured>) -> bool;

    /// Makes sure that `held` has its embedding.
    fn encode(&mut self, held: &mut Captured);

    /// Sends a set point, to be reached by the next edge. Bounded time. Returns its sequence number; `None` if it did not leave.
    fn actuate(&mut self, set_point_rad: &[f32]) -> Option<u32>;

    /// Why the arm can no longer be driven, if the connection to it or to the camera is gone.
    fn fault(&self) -> Option<Reason>;
}
