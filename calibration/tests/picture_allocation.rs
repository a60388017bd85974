//! Making an image allocates nothing, but for what the JPEG decoder needs for itself: a few blocks a picture, whatever the picture shows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use calibration::picture::{PictureSettings, PictureTable, View};
use robot::device::{Picture, PixelFormat};

/// Most blocks that decoding a JPEG may take.
const JPEG_BLOCKS_MAX: u64 = 40;

/// The system's allocator, counting for each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a number that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn blocks(table: &PictureTable, format: PixelFormat, bytes: Vec<u8>) -> u64 {
    let picture = Picture {
        width: 200,
        height: 152,
        format,
        bytes,
    };
    let (mut workspace, mut image) = (table.workspace(), vec![0; table.image_bytes()]);
    table.apply(&picture, &mut workspace, &mut image).unwrap();
    let before = ALLOCATIONS.get();
    table.apply(&picture, &mut workspace, &mut image).unwrap();
    ALLOCATIONS.get() - before
}

#[test]
fn images_are_made_without_allocation() {
    let corners = View::Corners {
        top_left_px: (20.0, 10.0),
        top_right_px: (180.0, 12.0),
        bottom_right_px: (190.0, 140.0),
        bottom_left_px: (10.0, 150.0),
    };
    let pixels = 200 * 152;
    for view in [View::MiddleSquare, corners] {
        let table = PictureTable::new(&PictureSettings {
            width_px: 200,
            height_px: 152,
            view,
            lens: None,
            side: 64,
        })
        .unwrap();
        for (format, bytes) in [
            (PixelFormat::Rgb8, 3 * pixels),
            (PixelFormat::Yuyv, 2 * pixels),
            (PixelFormat::Nv12, pixels / 2 * 3),
        ] {
            assert_eq!(blocks(&table, format, vec![100; bytes]), 0, "{format:?}");
        }
        let jpeg = include_bytes!("data/camera-422.jpg").to_vec();
        let blocks = blocks(&table, PixelFormat::Jpeg, jpeg);
        println!("a JPEG takes {blocks} blocks");
        assert!(blocks <= JPEG_BLOCKS_MAX, "{blocks}");
    }
}
