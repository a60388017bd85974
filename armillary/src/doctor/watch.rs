//! A camera, watched for a while.

use calibration::picture::{PictureSettings, PictureTable, View};
use devices::webcam::{Judge, Verdict};
use robot::Clock;
use robot::device::{BLACK_LEVEL, FrameSource, Picture, PixelFormat};

/// Width and height of the image that is judged, in pixels.
const SIDE: u32 = 64;

/// How long the camera is left alone between two looks, in nanoseconds.
const LOOK_EVERY_NS: u64 = 500_000;

/// What came.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Pixels a row, rows, and format of the pictures.
    pub(super) size: Option<(u32, u32, PixelFormat)>,
    /// Pictures that came.
    pub(super) pictures: usize,
    /// Pictures that the numbers left out.
    pub(super) left_out: u64,
    /// When the first and the last were taken, in nanoseconds.
    taken_ns: Option<(u64, u64)>,
    /// Age of each when it came, in nanoseconds, sorted.
    pub(super) ages_ns: Vec<u64>,
    /// Pictures that were not good, by kind.
    pub(super) black: usize,
    pub(super) frozen: usize,
    pub(super) torn: usize,
    /// Pictures that could not be decoded.
    pub(super) undecoded: usize,
    /// Why the camera was lost.
    pub(super) lost: Option<String>,
}

impl Watched {
    /// Pictures a second, as the camera took them.
    pub(super) fn rate_hz(&self) -> Option<f64> {
        let (first, last) = self.taken_ns?;
        let count = (self.pictures as u64 - 1) + self.left_out;
        (last > first).then(|| count as f64 * 1e9 / (last - first) as f64)
    }

    /// Age of the middle one and of the oldest when they came, in milliseconds.
    pub(super) fn ages_ms(&self) -> Option<(f64, f64)> {
        let last = self.ages_ns.len().checked_sub(1)?;
        let ms = |ns: u64| ns as f64 * 1e-6;
        Some((ms(self.ages_ns[last / 2]), ms(self.ages_ns[last])))
    }
}

/// Takes up to `pictures_max` pictures, for `within_ns` at most. From the `frozen_after`th equal one on they are frozen (0: never).
pub(super) fn watch(
    camera: &mut dyn FrameSource,
    pictures_max: usize,
    within_ns: u64,
    frozen_after: u32,
    clock: &dyn Clock,
) -> Watched {
    let mut watched = Watched::default();
    let mut picture = Picture::default();
    let mut judge = Judge::new(BLACK_LEVEL, frozen_after);
    let mut seen: Option<(PictureTable, Vec<u8>)> = None;
    let mut last_seq = None;
    let end_ns = clock.now_ns() + within_ns;
    while watched.pictures < pictures_max && clock.now_ns() < end_ns {
        let stamp = match camera.poll(&mut picture) {
            Ok(Some(stamp)) => stamp,
            Ok(None) => {
                clock.sleep_until_ns(clock.now_ns() + LOOK_EVERY_NS);
                continue;
            }
            Err(error) => {
                watched.lost = Some(robot::complaint(&error));
                break;
            }
        };
        let taken_ns = clock.now_ns().saturating_sub(stamp.age_ns);
        let first_ns = watched.taken_ns.map_or(taken_ns, |(first_ns, _)| first_ns);
        watched.taken_ns = Some((first_ns, taken_ns));
        watched.pictures += 1;
        watched.ages_ns.push(stamp.age_ns);
        watched.left_out += last_seq.map_or(0, |last| stamp.seq.saturating_sub(last + 1));
        last_seq = Some(stamp.seq);
        let size = (picture.width, picture.height, picture.format);
        if watched.size != Some(size) {
            watched.size = Some(size);
            seen = PictureTable::new(&PictureSettings {
                width_px: picture.width,
                height_px: picture.height,
                view: View::MiddleSquare,
                lens: None,
                side: SIDE,
            })
            .ok()
            .map(|table| {
                let image = vec![0; table.image_bytes()];
                (table, image)
            });
        }
        let mut verdict = judge.of_picture(&picture);
        if let (Verdict::Good, Some((table, image))) = (verdict, &mut seen) {
            match table.apply(&picture, &mut table.workspace(), image) {
                // A black JPEG shows itself in its image alone.
                Ok(()) if image.iter().all(|level| *level <= BLACK_LEVEL) => verdict = Verdict::Black,
                Ok(()) => {}
                Err(_) => watched.undecoded += 1,
            }
        }
        match verdict {
            Verdict::Good => {}
            Verdict::Black => watched.black += 1,
            Verdict::Frozen => watched.frozen += 1,
            Verdict::Torn => watched.torn += 1,
        }
    }
    watched.ages_ns.sort_unstable();
    watched
}
