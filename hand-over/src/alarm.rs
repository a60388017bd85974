//! A flag that wakes a thread, and that thread's word about what became of it.

use std::time::Duration;

use crate::sync::{AtomicBool, AtomicU8, Ordering, Thread, park_timeout};

/// Sets `flag`, and wakes `sleeper` from [`sleep`].
pub fn call(flag: &AtomicBool, sleeper: &Thread) {
    flag.store(true, Ordering::SeqCst);
    sleeper.unpark();
}

/// Sleeps until `is_called`, or until no time is `left`. The thread that makes `is_called` true wakes this one afterwards, as [`call`] does.
pub fn sleep(is_called: impl Fn() -> bool, left: impl Fn() -> Duration) {
    while !is_called() {
        let left = left();
        if left.is_zero() {
            return;
        }
        park_timeout(left);
    }
}

/// One of 256 words, said by one thread and heard by others. Whoever hears a word sees all that was done before it was said.
#[derive(Debug, Default)]
pub struct Word(AtomicU8);

impl Word {
    /// Says it.
    pub fn say(&self, word: u8) {
        self.0.store(word, Ordering::SeqCst);
    }

    /// What was said last; 0 if nothing was.
    pub fn heard(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }
}
