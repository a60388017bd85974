//! The newest of many values: what was not taken in time is replaced.

use crate::{Pool, Slot};

/// Boxes in circulation: one offered, one with each side, and one more for the side that takes, which may still hold the last one.
const BOXES: usize = 4;

/// The way of values from the thread that gives them to the thread that takes them. Boxes circulate; none is made after the first four.
///
/// The giver holds one box at most while it calls [`Newest::offer`], and the taker two: then [`Newest::offer`] always finds another.
#[derive(Debug)]
pub struct Newest<T> {
    offered: Slot<T>,
    free: Pool<T, BOXES>,
}

impl<T> Newest<T> {
    /// With four boxes of what `make` makes.
    pub fn new(make: impl Fn() -> T) -> Self {
        Self {
            offered: Slot::default(),
            free: Pool::full(make),
        }
    }

    /// A box to fill.
    pub fn free(&self) -> Option<Box<T>> {
        self.free.take()
    }

    /// Offers a value in the place of the one that was offered before. Gives another box to fill.
    pub fn offer(&self, filled: Box<T>) -> Option<Box<T>> {
        self.offered.put(filled).or_else(|| self.free())
    }

    /// Takes the newest value, if there is one that was not taken yet. It goes back by [`Newest::give_back`].
    pub fn take(&self) -> Option<Box<T>> {
        self.offered.take()
    }

    /// Gives a box back.
    pub fn give_back(&self, used: Box<T>) {
        self.free.put(used);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{BOXES, Newest};

    #[test]
    fn nothing_is_lost_or_doubled_between_two_threads() {
        const ROUNDS: u64 = 100_000;
        let newest: Newest<u64> = Newest::new(|| 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut spare = newest.free();
                for number in 1..=ROUNDS {
                    let mut filled = spare.take().expect("one is left over");
                    *filled = number;
                    spare = newest.offer(filled);
                }
                newest.give_back(spare.expect("one is left over"));
            });
            let mut last = 0;
            while last < ROUNDS {
                if let Some(filled) = newest.take() {
                    assert!(*filled > last, "{filled} after {last}");
                    last = *filled;
                    newest.give_back(filled);
                } else {
                    std::hint::spin_loop();
                }
            }
        });
        assert_eq!(std::iter::from_fn(|| newest.free()).count(), BOXES);
    }
}
