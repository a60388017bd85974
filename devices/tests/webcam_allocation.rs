//! A webcam allocates nothing once pictures come: neither the thread that takes them nor whoever polls.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use devices::webcam::fake::{DEVICE, Fake, Fault};
use devices::webcam::{Format, Settings, Webcam};
use robot::VirtualClock;
use robot::device::{FrameSource, Picture};

/// The system's allocator, counting.
struct Counting;

thread_local! {
    /// Of this thread: the test's harness has threads of its own.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter any more, and is of no interest.
    let _ = HERE.try_with(|here| here.set(here.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
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

#[test]
fn pictures_come_and_go_without_allocation() {
    for format in [Format::Yuyv, Format::Mjpeg] {
        let clock = Arc::new(VirtualClock::default());
        let fake = Fake::new(clock.clone());
        if format == Format::Mjpeg {
            // JPEGs of many lengths.
            let jpeg =
                |length: usize| [&[0xff, 0xd8][..], &vec![length as u8; length], &[0xff, 0xd9]].concat();
            fake.show((0..97).map(|i| jpeg(50 + i * 31 % 97 * 20)).collect());
        }
        for number in (40..1_000).step_by(50) {
            fake.fault(number, Fault::Flagged);
            fake.fault(number + 7, Fault::Lost);
            fake.fault(number + 11, Fault::Short { bytes: 40 });
        }
        let settings = Settings {
            width: 64,
            height: 48,
            format,
            ..Settings::new(DEVICE)
        };
        let (mut driver, mut webcam) = Webcam::parts(&settings, Box::new(fake), clock).unwrap();
        let mut picture = Picture::default();
        let mut seen = 0;
        let mut before = 0;
        for turn in 0..1_000 {
            // Three pictures circulate, and each grows once.
            if turn == 10 {
                before = HERE.get();
            }
            driver.turn();
            seen += u32::from(webcam.poll(&mut picture).unwrap().is_some());
        }
        assert_eq!(HERE.get() - before, 0, "{format:?}");
        assert!(seen > 900, "{seen}");
    }
}
