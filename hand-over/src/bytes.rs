//! Bytes in order, from one thread to another.

use crate::sync::{Arc, AtomicU8, AtomicUsize, Ordering};

#[derive(Debug)]
struct Ring {
    places: Vec<AtomicU8>,
    /// Bytes sent since the beginning.
    sent: AtomicUsize,
    /// Bytes received since the beginning.
    received: AtomicUsize,
}

impl Ring {
    fn place(&self, number: usize) -> &AtomicU8 {
        &self.places[number % self.places.len()]
    }
}

/// The end that sends.
#[derive(Debug)]
pub struct ByteSender(Arc<Ring>);

/// The end that receives.
#[derive(Debug)]
pub struct ByteReceiver(Arc<Ring>);

/// A way for bytes with room for `room` of them, which is a power of two.
///
/// # Panics
/// If it is not: counts that have wrapped around would lead to other places.
pub fn bytes(room: usize) -> (ByteSender, ByteReceiver) {
    assert!(room.is_power_of_two(), "{room} is no power of two");
    let ring = Arc::new(Ring {
        places: (0..room).map(|_| AtomicU8::new(0)).collect(),
        sent: AtomicUsize::new(0),
        received: AtomicUsize::new(0),
    });
    (ByteSender(Arc::clone(&ring)), ByteReceiver(ring))
}

impl ByteSender {
    /// Sends all of `bytes`, or none where there is no room for all: then it returns `false`. Whoever receives sees all of them or none.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        let ring = &*self.0;
        // Only this end changes it.
        let sent = ring.sent.load(Ordering::Relaxed);
        let waiting = sent.wrapping_sub(ring.received.load(Ordering::Acquire));
        if ring.places.len() - waiting < bytes.len() {
            return false;
        }
        for (offset, byte) in bytes.iter().enumerate() {
            ring.place(sent.wrapping_add(offset))
                .store(*byte, Ordering::Relaxed);
        }
        ring.sent.store(sent.wrapping_add(bytes.len()), Ordering::Release);
        true
    }
}

impl ByteReceiver {
    /// Receives as many bytes as have come and `into` has room for, and returns how many.
    pub fn receive(&mut self, into: &mut [u8]) -> usize {
        let ring = &*self.0;
        // Only this end changes it.
        let received = ring.received.load(Ordering::Relaxed);
        let waiting = ring.sent.load(Ordering::Acquire).wrapping_sub(received);
        let count = waiting.min(into.len());
        for (offset, byte) in into[..count].iter_mut().enumerate() {
            *byte = ring.place(received.wrapping_add(offset)).load(Ordering::Relaxed);
        }
        // From here on the sender may use these places again.
        ring.received
            .store(received.wrapping_add(count), Ordering::Release);
        count
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.0.sent.load(Ordering::Acquire) == self.0.received.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_come_in_order_and_whole_messages_or_nothing_is_sent() {
        let (mut sender, mut receiver) = bytes(8);
        let mut into = [0; 16];
        assert!(receiver.is_empty());
        for round in 0..50_u8 {
            assert!(sender.send(&[round, round + 1, round + 2, round + 3, round + 4]));
            assert!(!sender.send(&[0; 4]), "3 places are left");
            assert!(sender.send(&[9; 3]));
            assert!(!receiver.is_empty());
            assert_eq!(receiver.receive(&mut into[..2]), 2);
            assert_eq!(into[..2], [round, round + 1]);
            assert_eq!(receiver.receive(&mut into), 6);
            assert_eq!(into[..6], [round + 2, round + 3, round + 4, 9, 9, 9]);
            assert_eq!(receiver.receive(&mut into), 0);
        }
    }
}
