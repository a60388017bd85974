//! Boxes that go round: one thread fills them, another empties them in the same order and gives them back.

use std::time::Duration;

use crate::lane::{Receiver, Sender, lane};
use crate::sync::{Arc, AtomicBool, AtomicU8, Ordering, Thread, park_timeout};

/// The thread that fills has not ended.
const GOES: u8 = 0;

/// It has gone without a word.
const LEFT: u8 = 1;

/// It has come to its end.
const FINISHED: u8 = 2;

#[derive(Debug)]
struct Ends {
    /// [`GOES`], [`LEFT`] or [`FINISHED`].
    filler: AtomicU8,
    emptier_left: AtomicBool,
}

/// The end that fills. Dropping it tells the other that it has left.
#[derive(Debug)]
pub struct Filler<T> {
    free: Receiver<T>,
    filled: Sender<T>,
    ends: Arc<Ends>,
    wakes: Option<Thread>,
    end: u8,
}

/// The end that empties. Dropping it tells the other that it has left: by a panic, too.
#[derive(Debug)]
pub struct Emptier<T> {
    filled: Receiver<T>,
    free: Sender<T>,
    ends: Arc<Ends>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// A filled box. It goes back by [`Emptier::give_back`].
    Filled(Box<T>),
    /// Nothing so far.
    Nothing,
    /// All that was filled has been taken, and nothing more will come.
    Ended {
        /// Whether the other end said that it had finished; otherwise it has just left.
        finished: bool,
    },
}

/// `count` boxes of what `make` makes, and their two ends.
pub fn rounds<T>(count: usize, make: impl Fn() -> T) -> (Filler<T>, Emptier<T>) {
    let (mut to_filler, free) = lane(count);
    let (filled, to_emptier) = lane(count);
    for _ in 0..count {
        // There are as many places as boxes, here and wherever a box is handed on.
        let _ = to_filler.send(Box::new(make()));
    }
    let ends = Arc::new(Ends {
        filler: AtomicU8::new(GOES),
        emptier_left: AtomicBool::new(false),
    });
    let filler = Filler {
        free,
        filled,
        ends: Arc::clone(&ends),
        wakes: None,
        end: LEFT,
    };
    let emptier = Emptier {
        filled: to_emptier,
        free: to_filler,
        ends,
    };
    (filler, emptier)
}

impl<T> Filler<T> {
    /// Wakes `emptying` from now on, when it sleeps in [`Emptier::wait`].
    pub fn wake(&mut self, emptying: Thread) {
        self.wakes = Some(emptying);
    }

    /// A box to fill, if the other end has given one back.
    pub fn free(&mut self) -> Option<Box<T>> {
        self.free.receive()
    }

    /// Hands on a box that came from [`Filler::free`].
    pub fn hand_on(&mut self, filled: Box<T>) {
        let _ = self.filled.send(filled);
        self.ring();
    }

    /// Whether the other end has left. Nothing that is handed on will be taken then.
    pub fn is_alone(&self) -> bool {
        self.ends.emptier_left.load(Ordering::Acquire)
    }

    /// Says that nothing more will come, and that this is as it should be.
    pub fn finish(mut self) {
        self.end = FINISHED;
    }

    fn ring(&self) {
        if let Some(thread) = &self.wakes {
            thread.unpark();
        }
    }
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        // Releases all that was handed on before.
        self.ends.filler.store(self.end, Ordering::Release);
        self.ring();
    }
}

impl<T> Emptier<T> {
    /// The next box, without waiting.
    pub fn take_next(&mut self) -> Next<T> {
        // Read before the lane: all that was handed on before the end is still taken.
        let end = self.ends.filler.load(Ordering::Acquire);
        match self.filled.receive() {
            Some(filled) => Next::Filled(filled),
            None if end == GOES => Next::Nothing,
            None => Next::Ended {
                finished: end == FINISHED,
            },
        }
    }

    /// Gives back a box that came from [`Emptier::take_next`].
    pub fn give_back(&mut self, emptied: Box<T>) {
        let _ = self.free.send(emptied);
    }

    /// Sleeps until something is handed on, or for `at_most`.
    pub fn wait(&self, at_most: Duration) {
        park_timeout(at_most);
    }
}

impl<T> Drop for Emptier<T> {
    fn drop(&mut self) {
        self.ends.emptier_left.store(true, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Next, rounds};

    #[test]
    fn boxes_go_round_and_each_end_hears_of_the_other() {
        for finishes in [true, false] {
            let (mut filler, mut emptier) = rounds(2, || 0);
            assert_eq!(emptier.take_next(), Next::Nothing);
            for number in 1..=5 {
                let mut free = filler.free().expect("one of two is free");
                *free = number;
                filler.hand_on(free);
                let last = filler.free().expect("the other is free, too");
                assert!(filler.free().is_none());
                match emptier.take_next() {
                    Next::Filled(filled) => {
                        assert_eq!(*filled, number);
                        emptier.give_back(filled);
                    }
                    other => panic!("{other:?} after {number} was handed on"),
                }
                filler.hand_on(last);
                let Next::Filled(filled) = emptier.take_next() else {
                    panic!("it was handed on")
                };
                emptier.give_back(filled);
            }
            let mut last = filler.free().expect("one is free");
            *last = 6;
            filler.hand_on(last);
            assert!(!filler.is_alone());
            if finishes {
                filler.finish();
            } else {
                drop(filler);
            }
            assert_eq!(emptier.take_next(), Next::Filled(Box::new(6)));
            assert_eq!(emptier.take_next(), Next::Ended { finished: finishes });
        }
        let (filler, emptier) = rounds(1, || 0);
        drop(emptier);
        assert!(filler.is_alone());
    }
}
