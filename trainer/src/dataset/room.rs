//! Bounds what several threads hold in memory together.

use std::sync::{Condvar, Mutex, PoisonError};

/// So much may be in memory at a time.
pub(super) struct Room {
    whole: u64,
    left: Mutex<u64>,
    freed: Condvar,
}

impl Room {
    pub(super) fn of(whole: u64) -> Self {
        Self {
            whole,
            left: Mutex::new(whole),
            freed: Condvar::new(),
        }
    }

    /// Waits until there is room for so much; what is larger than the whole has it for itself.
    pub(super) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.whole);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while *left < bytes {
            left = self.freed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
        *left -= bytes;
        Share { room: self, bytes }
    }
}

/// What was taken of a [`Room`], until it is dropped.
pub(super) struct Share<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.room.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Room;

    #[test]
    fn what_is_taken_of_a_room_never_exceeds_it() {
        let (room, taken) = (Room::of(10), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [1, 3, 6, 10, 400] {
                let (room, taken) = (&room, &taken);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let share = room.take(bytes);
                        let now = taken.fetch_add(bytes.min(10), Ordering::SeqCst) + bytes.min(10);
                        assert!(now <= 10, "{now}");
                        std::thread::yield_now();
                        taken.fetch_sub(bytes.min(10), Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        // All of it is free again.
        drop(room.take(10));
    }
}
