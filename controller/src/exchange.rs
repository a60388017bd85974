//! Boxes that change hands between two threads, without locks and in a bounded number of steps on either side: a thread
//! that loses its CPU in the middle keeps nobody waiting.

use crossbeam::atomic::AtomicCell;

/// A place for one box.
pub(crate) struct Slot<T>(AtomicCell<Option<Box<T>>>);

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Looking would take it.
        f.write_str("Slot")
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        const {
            assert!(
                AtomicCell::<Option<Box<T>>>::is_lock_free(),
                "a pointer is exchanged by one instruction"
            );
        }
        Self(AtomicCell::new(None))
    }
}

impl<T> Slot<T> {
    /// Puts a box there; gives the one that it replaces.
    pub(crate) fn put(&self, new: Box<T>) -> Option<Box<T>> {
        self.0.swap(Some(new))
    }

    /// Takes what is there.
    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.0.take()
    }
}

/// Places for `N` boxes, in no order, that one thread fills and another empties.
#[derive(Debug)]
pub(crate) struct Pool<T, const N: usize>([Slot<T>; N]);

impl<T, const N: usize> Pool<T, N> {
    /// A full one.
    pub(crate) fn full(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| {
            Slot(AtomicCell::new(Some(Box::new(make()))))
        }))
    }

    /// Puts a box there. With no more than `N` in circulation there is a place for each.
    pub(crate) fn put(&self, mut back: Box<T>) {
        for slot in &self.0 {
            match slot.put(back) {
                None => return,
                // Was not empty: its box moves on.
                Some(other) => back = other,
            }
        }
    }

    /// Takes a box, if there is one.
    pub(crate) fn take(&self) -> Option<Box<T>> {
        self.0.iter().find_map(Slot::take)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, Slot};

    #[test]
    fn a_slot_gives_back_what_is_replaced_and_a_pool_holds_what_it_held() {
        let slot = Slot::default();
        assert_eq!(slot.put(Box::new(1)), None);
        assert_eq!(slot.put(Box::new(2)), Some(Box::new(1)));
        assert_eq!((slot.take(), slot.take()), (Some(Box::new(2)), None));
        let pool: Pool<u32, 3> = Pool::full(|| 7);
        let mut held: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(held.len(), 3);
        for (number, mut box_) in (0..).zip(held.drain(..)) {
            *box_ = number;
            pool.put(box_);
        }
        let mut found: Vec<u32> = std::iter::from_fn(|| pool.take()).map(|box_| *box_).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2]);
    }

    #[test]
    fn nothing_is_lost_or_doubled_between_two_threads() {
        const BOXES: usize = 4;
        const ROUNDS: u64 = 100_000;
        let free: Pool<u64, BOXES> = Pool::full(|| 0);
        let offered: Slot<u64> = Slot::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut spare = free.take();
                for number in 1..=ROUNDS {
                    let mut filled = spare.take().or_else(|| free.take()).expect("one is left over");
                    *filled = number;
                    spare = offered.put(filled);
                }
            });
            let mut last = 0;
            while last < ROUNDS {
                if let Some(filled) = offered.take() {
                    assert!(*filled > last, "{filled} after {last}");
                    last = *filled;
                    free.put(filled);
                } else {
                    std::hint::spin_loop();
                }
            }
        });
    }
}
