use hand_over::Newest;
use loom::sync::Arc;
use loom::thread;

use crate::{Thing, bounded, check};

/// The capture thread and the tick: the giver always finds a box to fill, values come in order, no box has two owners, and the last value
/// is not lost.
#[test]
fn the_newest_value_wins_and_the_giver_never_waits() {
    bounded("the newest value wins", None, || {
        let newest: Arc<Newest<Thing>> = Arc::new(Newest::new(Thing::new));
        let its = Arc::clone(&newest);
        let giving = thread::spawn(move || {
            let mut spare = its.free().expect("all four are free");
            for value in 1..=3 {
                spare.set(value);
                spare = its.offer(spare).expect("one is left over");
            }
            its.give_back(spare);
        });
        let mut last = 0;
        // As the tick does: it keeps one until it has the next.
        let mut held: Option<Box<Thing>> = None;
        for _ in 0..2 {
            if let Some(thing) = newest.take() {
                assert!(thing.get() > last);
                last = thing.get();
                if let Some(old) = held.replace(thing) {
                    newest.give_back(old);
                }
            }
        }
        giving.join().unwrap();
        if let Some(thing) = newest.take() {
            assert_eq!(thing.get(), 3);
            newest.give_back(thing);
        } else {
            assert_eq!(last, 3, "the last one was taken, or it is still there");
        }
        if let Some(old) = held {
            newest.give_back(old);
        }
        assert_eq!(std::iter::from_fn(|| newest.free()).count(), 4);
    });
}

/// What motors say: the side that gives takes back what nobody looked at, and keeps the longest time of both.
#[test]
fn what_nobody_looked_at_is_merged_and_not_lost() {
    check("what nobody looked at is merged", || {
        let newest: Arc<Newest<Thing>> = Arc::new(Newest::new(Thing::new));
        let its = Arc::clone(&newest);
        let giving = thread::spawn(move || {
            for value in [5, 3] {
                let (unseen, place) = match its.take() {
                    Some(place) => (place.get(), Some(place)),
                    None => (0, its.free()),
                };
                let place = place.expect("the other side holds one at most");
                place.set(unseen.max(value));
                assert!(its.offer(place).is_some());
            }
        });
        let hear = || {
            newest.take().map_or(0, |thing| {
                let heard = thing.get();
                newest.give_back(thing);
                heard
            })
        };
        let heard = [hear(), hear()];
        giving.join().unwrap();
        let last = hear();
        assert_eq!(heard.into_iter().chain([last]).max(), Some(5));
    });
}
