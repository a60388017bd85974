use hand_over::Place;
use loom::sync::Arc;
use loom::thread;

use crate::{Thing, check};

/// A camera's thread and whoever polls it: whoever polls never waits, values are whole, and the newest is there at the next poll.
#[test]
fn whoever_may_not_wait_does_not_and_values_are_whole() {
    check("whoever may not wait does not", || {
        let place = Arc::new(Place::new([Thing::new(), Thing::new()]));
        let its = Arc::clone(&place);
        let camera = thread::spawn(move || {
            for value in 1..=2 {
                let held = its.hold();
                held[0].set(value);
                held[1].set(value);
            }
        });
        let seen = place.try_hold().map_or(0, |held| {
            assert_eq!(held[0].get(), held[1].get());
            held[0].get()
        });
        camera.join().unwrap();
        let last = place.try_hold().expect("nobody else holds it")[0].get();
        assert_eq!(last, 2);
        assert!(seen <= last);
    });
}
