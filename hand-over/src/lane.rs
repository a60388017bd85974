//! Boxes in order, from one thread to another.
//!
//! Each end knows its own place in a circle of slots, and no other. A full place tells the receiver that there is something, an empty one
//! tells the sender that there is room.

use crate::Slot;
use crate::sync::Arc;

/// The end that sends.
#[derive(Debug)]
pub struct Sender<T> {
    places: Arc<Vec<Slot<T>>>,
    next: usize,
}

/// The end that receives.
#[derive(Debug)]
pub struct Receiver<T> {
    places: Arc<Vec<Slot<T>>>,
    next: usize,
}

/// A lane with room for `count` boxes, at least one.
pub fn lane<T>(count: usize) -> (Sender<T>, Receiver<T>) {
    let places: Arc<Vec<Slot<T>>> = Arc::new((0..count.max(1)).map(|_| Slot::default()).collect());
    let sender = Sender {
        places: Arc::clone(&places),
        next: 0,
    };
    (sender, Receiver { places, next: 0 })
}

impl<T> Sender<T> {
    /// Sends a box.
    ///
    /// # Errors
    /// The box, if there is no room.
    pub fn send(&mut self, new: Box<T>) -> Result<(), Box<T>> {
        // Nobody else fills it: if it is empty now, it stays so.
        if !self.places[self.next].is_empty() {
            return Err(new);
        }
        let replaced = self.places[self.next].put(new);
        debug_assert!(replaced.is_none(), "a lane has one sender");
        self.next = (self.next + 1) % self.places.len();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// The box that was sent first of those that are there.
    pub fn receive(&mut self) -> Option<Box<T>> {
        let found = self.places[self.next].take()?;
        self.next = (self.next + 1) % self.places.len();
        Some(found)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::lane;

    #[test]
    fn boxes_come_in_order_and_a_full_lane_gives_back() {
        let (mut sender, mut receiver) = lane(2);
        assert_eq!(receiver.receive(), None);
        for round in 0..5 {
            assert_eq!(sender.send(Box::new(round)), Ok(()));
            assert_eq!(sender.send(Box::new(round + 10)), Ok(()));
            assert_eq!(sender.send(Box::new(99)), Err(Box::new(99)));
            assert_eq!(receiver.receive(), Some(Box::new(round)));
            assert_eq!(sender.send(Box::new(round + 20)), Ok(()));
            assert_eq!(receiver.receive(), Some(Box::new(round + 10)));
            assert_eq!(receiver.receive(), Some(Box::new(round + 20)));
            assert_eq!(receiver.receive(), None);
        }
    }
}
