use hand_over::Pulse;
use loom::sync::Arc;
use loom::thread;

use crate::check;

/// A machine stood still from 100 to 200. Whoever asks at 200 about the time since 50 hears of it, whether the sentinel has woken up by
/// then, is just waking up, or still sleeps.
#[test]
fn a_stall_is_not_missed_while_it_ends() {
    check("a stall is not missed while it ends", || {
        let pulse = Arc::new(Pulse::new(100));
        let its = Arc::clone(&pulse);
        let sentinel = thread::spawn(move || {
            its.beat(200, true);
            its.beat(201, false);
        });
        assert!(pulse.stalled_since(50, 200, 10));
        sentinel.join().unwrap();
        assert!(!pulse.stalled_since(201, 205, 10));
    });
}
