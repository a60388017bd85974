use hand_over::bytes::bytes;
use loom::thread;

use crate::check;

/// A message is seen whole or not at all, bytes come in order, and what does not fit is not sent.
#[test]
fn messages_are_not_torn() {
    check("messages are not torn", || {
        let (mut sender, mut receiver) = bytes(4);
        let sending = thread::spawn(move || {
            let mut sent = Vec::new();
            for message in [&[2, 2][..], &[1], &[2, 2]] {
                if sender.send(message) {
                    sent.extend(message);
                }
            }
            sent
        });
        let mut received: Vec<u8> = Vec::new();
        let mut receive = || {
            let mut into = [0; 4];
            let count = receiver.receive(&mut into);
            // Each byte is the length of its message.
            let mut rest = &into[..count];
            while let Some(length) = rest.first() {
                rest = &rest[usize::from(*length)..];
            }
            received.extend(&into[..count]);
        };
        receive();
        receive();
        let sent = sending.join().unwrap();
        receive();
        receive();
        assert_eq!(received, sent);
    });
}
