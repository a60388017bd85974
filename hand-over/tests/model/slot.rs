use hand_over::{Pool, Slot};
use loom::sync::Arc;
use loom::thread;

use crate::{Thing, check};

/// Two threads put, a third takes: each box has one owner at any time, and none is lost or doubled.
#[test]
fn a_box_in_a_slot_has_one_owner() {
    check("a box in a slot has one owner", || {
        let slot = Arc::new(Slot::default());
        let put = |value: u32| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                let thing = Box::new(Thing::new());
                thing.set(value);
                slot.put(thing).map_or(0, |replaced| {
                    let found = replaced.get();
                    replaced.set(0);
                    found
                })
            })
        };
        let puts = [put(1), put(10)];
        let taken = slot.take().map_or(0, |thing: Box<Thing>| {
            let found = thing.get();
            thing.set(0);
            found
        });
        let replaced: u32 = puts.map(|put| put.join().unwrap()).iter().sum();
        let left = slot.take().map_or(0, |thing| thing.get());
        assert_eq!(taken + replaced + left, 11);
        assert!(slot.take().is_none());
    });
}

/// What is left when a slot goes is dropped: loom fails the model if it is not.
#[test]
fn what_is_left_in_a_slot_goes_with_it() {
    check("what is left in a slot goes with it", || {
        let slot = Arc::new(Slot::default());
        let its = Arc::clone(&slot);
        let put = thread::spawn(move || drop(its.put(Box::new(Arc::new(Thing::new())))));
        drop(slot);
        put.join().unwrap();
    });
}

/// One thread gives back while another takes: a box that is there is found, and none is lost.
#[test]
fn a_pool_loses_no_box() {
    check("a pool loses no box", || {
        let pool: Arc<Pool<Thing, 2>> = Arc::new(Pool::full(Thing::new));
        let held = pool.take().expect("it is full");
        let its = Arc::clone(&pool);
        let giving = thread::spawn(move || {
            held.set(1);
            its.put(held);
        });
        let first = pool.take().expect("one was never taken out");
        first.set(first.get() + 10);
        pool.put(first);
        giving.join().unwrap();
        let mut found: Vec<u32> = std::iter::from_fn(|| pool.take())
            .map(|thing| thing.get())
            .collect();
        found.sort_unstable();
        assert!(found == [1, 10] || found == [0, 11], "{found:?}");
    });
}
