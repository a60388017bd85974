//! What threads hand to each other while an arm is driven, without locks and in a bounded number of steps on either side: a thread that
//! loses its CPU in the middle keeps nobody waiting. ([`Place`] is the exception: it has a lock, and the side that may not wait does not.)
//!
//! | what | hands over | who waits |
//! |---|---|---|
//! | [`Slot`], [`Pool`] | a box | nobody |
//! | [`Newest`] | the newest of many values | nobody |
//! | [`lane`] | boxes in order | nobody |
//! | [`rounds`] | boxes in order, which come back empty | the side that empties, if it wants to |
//! | [`bytes`] | bytes in order | nobody |
//! | [`inquiries`] | a question, and answers that get better | the side that answers; the side that asks, if it wants to |
//! | [`Team`] | a piece of work for several threads | the caller, until all have finished |
//! | [`alarm`] | a flag, and a word about what became of it | the thread that is called sleeps until then |
//! | [`Pulse`] | whether the machine paused | nobody |
//! | [`Place`] | whatever lies in it | the side that may |
//!
//! Each of these is checked by the model checker loom in all orders in which threads and memory can take turns (`tests/model`,
//! `cargo xtask model-check`). With `--cfg loom` the sources here use loom's atomics and threads, so that what is checked is what runs.

pub mod alarm;
pub mod bytes;
pub mod inquiries;
pub mod lane;
mod newest;
mod place;
mod pulse;
pub mod rounds;
mod slot;
mod sync;
mod team;

pub use newest::Newest;
pub use place::Place;
pub use pulse::Pulse;
pub use slot::{Pool, Slot};
pub use team::Team;
