use std::time::Duration;

use hand_over::alarm::{Word, call, sleep};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::{Thing, check};

/// The emergency stop of an arm whose firmware core runs in this program: the core is woken whenever the stop comes, takes torque off
/// once, and whoever pressed sees that it is off as soon as it hears so.
#[test]
fn whoever_sleeps_is_woken_and_its_word_is_true() {
    check("whoever sleeps is woken and its word is true", || {
        let shared = Arc::new((AtomicBool::new(false), Word::default(), Thing::new()));
        let its = Arc::clone(&shared);
        let core = thread::spawn(move || {
            let (asked, word, torque_off) = &*its;
            // In the model the time that is left never passes: only the call ends the sleep.
            sleep(|| asked.load(Ordering::SeqCst), || Duration::from_secs(1));
            torque_off.set(1);
            word.say(1);
        });
        let (asked, word, torque_off) = &*shared;
        call(asked, core.thread());
        if word.heard() == 1 {
            assert_eq!(torque_off.get(), 1);
        }
        core.join().unwrap();
        assert_eq!((word.heard(), torque_off.get()), (1, 1));
    });
}

/// Where no time is left nobody sleeps.
#[test]
fn whoever_has_no_time_left_does_not_sleep() {
    check("whoever has no time left does not sleep", || {
        sleep(|| false, || Duration::ZERO);
    });
}
