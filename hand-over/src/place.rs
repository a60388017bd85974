//! A place with a lock for a thread that may wait and one that may not.

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

use crate::sync::{Mutex, MutexGuard};

/// A place that two threads exchange whole values with. It is locked for as long as that takes.
#[derive(Debug, Default)]
pub struct Place<T>(Mutex<T>);

/// What lies in a [`Place`], until this is dropped.
#[derive(Debug)]
pub struct Held<'a, T>(MutexGuard<'a, T>);

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Place<T> {
    /// A place with this in it.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits until the other thread has let go.
    pub fn hold(&self) -> Held<'_, T> {
        // What a thread that panicked left is whole: only whole values are exchanged.
        Held(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for nobody: `None` while another thread holds what is there.
    pub fn try_hold(&self) -> Option<Held<'_, T>> {
        match self.0.try_lock() {
            Ok(held) => Some(Held(held)),
            Err(TryLockError::Poisoned(poisoned)) => Some(Held(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Place;

    #[test]
    fn what_is_held_is_not_waited_for_and_a_panic_loses_nothing() {
        let place = Place::new(1);
        let mut held = place.hold();
        assert!(place.try_hold().is_none());
        *held = 2;
        drop(held);
        std::thread::scope(|scope| {
            let panicked = scope.spawn(|| {
                *place.hold() = 3;
                let _held = place.hold();
                panic!("as planned");
            });
            assert!(panicked.join().is_err());
        });
        assert_eq!(place.try_hold().map(|held| *held), Some(3));
        assert_eq!(*place.hold(), 3);
    }
}
