use std::time::Duration;

use hand_over::rounds::{Next, rounds};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::{Thing, bounded, check};

/// The tick and the writer of the log: whatever was handed on before the end is written, in order, and the writer is woken. (In the model
/// a sleep has no end of its own.)
#[test]
fn all_that_was_handed_on_is_taken_before_the_end() {
    bounded("all that was handed on is taken before the end", Some(5), || {
        let (mut filler, mut emptier) = rounds(2, Thing::new);
        let emptying = thread::spawn(move || {
            let mut taken = Vec::new();
            loop {
                match emptier.take_next() {
                    Next::Filled(thing) => {
                        taken.push(thing.get());
                        thing.set(0);
                        emptier.give_back(thing);
                    }
                    Next::Nothing => emptier.wait(Duration::from_secs(1)),
                    Next::Ended { finished } => return (taken, finished),
                }
            }
        });
        filler.wake(emptying.thread().clone());
        let mut given = Vec::new();
        for value in 1..=3 {
            if let Some(thing) = filler.free() {
                assert_eq!(thing.get(), 0, "it was emptied");
                thing.set(value);
                filler.hand_on(thing);
                given.push(value);
            }
        }
        assert!(given.len() >= 2, "there are two boxes");
        filler.finish();
        assert_eq!(emptying.join().unwrap(), (given, true));
    });
}

/// An episode that ended by an error: what was handed on is written all the same, and nobody calls the log whole.
#[test]
fn whoever_leaves_is_told_from_whoever_finishes() {
    check("whoever leaves is told from whoever finishes", || {
        let (mut filler, mut emptier) = rounds(1, Thing::new);
        let emptying = thread::spawn(move || {
            let mut taken = 0;
            loop {
                match emptier.take_next() {
                    Next::Filled(thing) => taken += thing.get(),
                    Next::Nothing => emptier.wait(Duration::from_secs(1)),
                    Next::Ended { finished } => return (taken, finished),
                }
            }
        });
        filler.wake(emptying.thread().clone());
        let thing = filler.free().expect("it is free");
        thing.set(7);
        filler.hand_on(thing);
        drop(filler);
        assert_eq!(emptying.join().unwrap(), (7, false));
    });
}

/// A writer that failed: the tick hears of it, and sees what the writer did before.
#[test]
fn the_filler_hears_that_the_emptier_has_left() {
    check("the filler hears that the emptier has left", || {
        let (filler, emptier) = rounds(1, Thing::new);
        let written = Arc::new(Thing::new());
        let its = Arc::clone(&written);
        let emptying = thread::spawn(move || {
            its.set(1);
            drop(emptier);
        });
        if filler.is_alone() {
            assert_eq!(written.get(), 1);
        }
        emptying.join().unwrap();
        assert!(filler.is_alone());
    });
}

/// The writer of the log is woken for each row, and not only at the end.
#[test]
fn whoever_empties_is_woken_for_each_box() {
    check("whoever empties is woken for each box", || {
        let (mut filler, mut emptier) = rounds(1, Thing::new);
        let (taken, main) = (Arc::new(AtomicBool::new(false)), thread::current());
        let its = Arc::clone(&taken);
        let emptying = thread::spawn(move || {
            while !matches!(emptier.take_next(), Next::Filled(_)) {
                emptier.wait(Duration::from_secs(1));
            }
            its.store(true, Ordering::Release);
            main.unpark();
        });
        filler.wake(emptying.thread().clone());
        let thing = filler.free().expect("it is free");
        filler.hand_on(thing);
        while !taken.load(Ordering::Acquire) {
            thread::park();
        }
        emptying.join().unwrap();
    });
}
