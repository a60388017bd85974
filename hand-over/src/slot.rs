//! Boxes that change hands by exchange of pointers.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::sync::{AtomicPtr, Ordering};

/// A place for one box. Any thread may put and take.
pub struct Slot<T> {
    place: AtomicPtr<T>,
    /// May be shared between threads exactly if a `T` may be given to another thread.
    owns: PhantomData<std::sync::Mutex<Box<T>>>,
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Looking would take it.
        f.write_str("Slot")
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::holding(None)
    }
}

impl<T> Slot<T> {
    /// A place with this in it.
    pub fn holding(first: Option<Box<T>>) -> Self {
        Self {
            place: AtomicPtr::new(first.map_or_else(ptr::null_mut, Box::into_raw)),
            owns: PhantomData,
        }
    }

    /// Puts a box there; gives the one that it replaces.
    pub fn put(&self, new: Box<T>) -> Option<Box<T>> {
        self.exchange(Box::into_raw(new))
    }

    /// Takes what is there.
    pub fn take(&self) -> Option<Box<T>> {
        self.exchange(ptr::null_mut())
    }

    /// Whether nothing is there. Another thread may change that at once.
    pub fn is_empty(&self) -> bool {
        self.place.load(Ordering::Relaxed).is_null()
    }

    fn exchange(&self, new: *mut T) -> Option<Box<T>> {
        // Releases what was done to the new box, and acquires what was done to the old one.
        let old = self.place.swap(new, Ordering::AcqRel);
        // SAFETY: pointers in `place` are null or come from `Box::into_raw`, and the exchange gives each to one caller.
        (!old.is_null()).then(|| unsafe { Box::from_raw(old) })
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Places for `N` boxes, in no order, that one thread fills and another empties.
#[derive(Debug)]
pub struct Pool<T, const N: usize>([Slot<T>; N]);

impl<T, const N: usize> Pool<T, N> {
    /// A full one.
    pub fn full(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| Slot::holding(Some(Box::new(make())))))
    }

    /// Puts a box there. With no more than `N` in circulation there is a place for each.
    pub fn put(&self, mut back: Box<T>) {
        for slot in &self.0 {
            match slot.put(back) {
                None => return,
                // Was not empty: its box moves on.
                Some(other) => back = other,
            }
        }
    }

    /// Takes a box, if there is one.
    pub fn take(&self) -> Option<Box<T>> {
        self.0.iter().find_map(Slot::take)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Pool, Slot};

    #[test]
    fn a_slot_gives_back_what_is_replaced_and_a_pool_holds_what_it_held() {
        let slot = Slot::default();
        assert!(slot.is_empty());
        assert_eq!(slot.put(Box::new(1)), None);
        assert!(!slot.is_empty());
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
    fn what_is_left_in_a_slot_is_dropped_once() {
        let value = std::sync::Arc::new(());
        let slot = Slot::holding(Some(Box::new(value.clone())));
        drop(slot.put(Box::new(value.clone())));
        assert_eq!(std::sync::Arc::strong_count(&value), 2);
        drop(slot);
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
    }
}
