//! The memory that a report needs does not grow with the length of the run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use episode::{EpisodeInfo, EpisodeWriter, TickRecord};
use robot::Frame;

/// The system's allocator, which keeps the bytes in use and the most of them.
struct Following;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let now = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Following {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Following = Following;

/// A log of `ticks` ticks with a picture each.
fn write(path: &Path, ticks: u32) {
    let info = EpisodeInfo {
        period_s: 0.1,
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        reward_source: "camera".to_owned(),
        ..EpisodeInfo::default()
    };
    let mut writer = EpisodeWriter::create(path, &info, &[]).expect("a log");
    let mut frame = Frame::default();
    for tick in 0..ticks {
        let at = tick as usize * 100 % frame.rgb().len();
        frame.rgb_mut()[at] ^= 1;
        let mut row = TickRecord {
            tick,
            edge_ns: u64::from(tick) * 100_000_000,
            ..TickRecord::default()
        };
        row.capture.fresh = true;
        row.capture.frame_hash = frame.hash();
        row.capture.reward = Some((tick % 100) as f32);
        row.record.latency_ns.plan = u64::from(tick) * 1_000;
        writer
            .write_tick(&row, Some(&frame), row.edge_ns)
            .expect("a disk");
    }
    writer.finish().expect("a disk");
}

/// Bytes that making a report of the log needs at most, and the length of the report.
fn report(dir: &Path, log: &Path) -> (usize, u64) {
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let mut digest = armillary::report::Digest::default();
    digest.read(log).expect("a log");
    let path = dir.join("report.html");
    armillary::report::write(&path, "A run", &[], &digest, None).expect("a report");
    let length = std::fs::metadata(&path).expect("a report").len();
    (MOST.load(Ordering::Relaxed) - before, length)
}

#[test]
fn a_report_of_a_long_run_needs_no_more_memory_than_one_of_a_short_run() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let [short, long] = [("short", 2_000), ("long", 20_000)].map(|(name, ticks)| {
        let log = dir.path().join(name);
        write(&log, ticks);
        let (bytes, length) = report(dir.path(), &log);
        println!("{ticks} ticks: {bytes} bytes at most, a report of {length} bytes");
        bytes
    });
    // 18,000 points of the chart, each with its text in the page, are within the bound; pictures of 18,000 ticks are 220 MB.
    assert!(long < short + 4_000_000, "{short} and {long}");
    // That would be noticed.
    let log = dir.path().join("long");
    let before = IN_USE.load(Ordering::Relaxed);
    let whole = episode::read_episode(&log).expect("a log");
    assert!(IN_USE.load(Ordering::Relaxed) - before > 200_000_000);
    assert_eq!(whole.ticks.len(), 20_000);
}
