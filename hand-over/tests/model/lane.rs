use hand_over::lane::lane;
use loom::thread;

use crate::{Thing, check};

/// Nothing is lost, nothing is doubled, and the order stays, also where the lane is full at times.
#[test]
fn boxes_come_whole_and_in_order() {
    check("boxes come whole and in order", || {
        let (mut sender, mut receiver) = lane(2);
        let sending = thread::spawn(move || {
            let mut sent = 0;
            for value in 1..=3 {
                let thing = Box::new(Thing::new());
                thing.set(value);
                match sender.send(thing) {
                    Ok(()) => sent += value,
                    Err(back) => assert_eq!(back.get(), value),
                }
            }
            sent
        });
        let (mut received, mut last) = (0, 0);
        let mut receive = || {
            receiver.receive().is_some_and(|thing| {
                let value = thing.get();
                assert!(value > last);
                last = value;
                received += value;
                true
            })
        };
        receive();
        receive();
        let sent = sending.join().unwrap();
        while receive() {}
        assert_eq!(received, sent);
    });
}
