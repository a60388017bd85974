//! An allocator that counts, for programs that want to know.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, with a count of what is asked of it.
struct Counting;

/// By all threads.
#[allow(dead_code, reason = "each program wants one or both")]
pub(crate) static EVERYWHERE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// By this one.
    pub(crate) static HERE: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    EVERYWHERE.fetch_add(1, Ordering::Relaxed);
    // A thread that is being torn down has no count any more.
    let _ = HERE.try_with(|here| here.set(here.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
