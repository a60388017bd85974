//! Every hand-over in every order in which its threads can take turns, and with every value that the memory model lets a thread see.
//!
//! `cargo xtask model-check` runs this; in other builds it is empty. What goes from thread to thread is a [`Thing`], which notices when two
//! threads use it at once, or one before it can see what the other did to it. loom fails a model in which all threads wait for ever, or in
//! which memory is left over.
#![cfg(loom)]

mod alarm;
mod bytes;
mod inquiries;
mod lane;
mod newest;
mod place;
mod pulse;
mod rounds;
mod slot;
mod team;

use loom::cell::UnsafeCell;
use loom::model::Builder;

/// Something that one thread at a time may own.
#[derive(Debug)]
struct Thing(UnsafeCell<u32>);

// SAFETY: that it is used by one thread at a time, or only read, is what loom checks.
unsafe impl Sync for Thing {}

impl Thing {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    /// Whoever writes must be its only owner.
    fn set(&self, value: u32) {
        // SAFETY: loom fails the model if another thread uses it at the same time.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|place| unsafe { *place })
    }
}

/// Checks all orders.
fn check(name: &str, model: impl Fn() + Sync + Send + 'static) {
    bounded(name, None, model);
}

/// Checks all orders in which threads lose their CPU `preemptions` times at most, where it is not by waiting.
fn bounded(name: &str, preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    let orders = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&orders);
    let begun = std::time::Instant::now();
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    builder.check(move || {
        counts.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let bound = preemptions.map_or_else(
        || "all orders".to_owned(),
        |count| format!("up to {count} preemptions"),
    );
    println!(
        "{name}: {} orders ({bound}), {:.1} s",
        orders.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64()
    );
}
