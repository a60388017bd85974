//! A folder of pictures as a camera.

use std::path::Path;
use std::sync::Arc;

use devices::folder::{FolderCamera, Settings};
use devices::{Camera, cameras::OpenCamera};
use image::{ImageFormat, RgbImage};
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::{Config, VirtualClock};

/// A period of 25 Hz.
const PERIOD_NS: u64 = 40_000_000;

fn save(path: &Path, (width, height): (u32, u32), red: u8, format: ImageFormat) {
    RgbImage::from_pixel(width, height, image::Rgb([red, 20, 30]))
        .save_with_format(path, format)
        .expect("writes");
}

/// Three pictures of different sizes, written in another order than that of their names, and a hidden file that is none.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    save(&dir.path().join("c.png"), (4, 2), 3, ImageFormat::Png);
    save(&dir.path().join("a.png"), (2, 2), 1, ImageFormat::Png);
    save(&dir.path().join("b.jpg"), (16, 8), 2, ImageFormat::Jpeg);
    std::fs::write(dir.path().join("._a.png"), "a file manager's").expect("writes");
    dir
}

fn open(path: &Path, rate_hz: f64, repeat: bool) -> Result<(FolderCamera, Arc<VirtualClock>), DeviceError> {
    let clock = Arc::new(VirtualClock::default());
    // Clocks need not begin with 0.
    clock.advance_ns(7);
    let settings = Settings {
        path: path.to_owned(),
        rate_hz,
        repeat,
    };
    Ok((FolderCamera::open(&settings, clock.clone())?, clock))
}

fn stamp(seq: u64, age_ns: u64) -> Option<FrameStamp> {
    Some(FrameStamp { seq, age_ns })
}

#[test]
fn pictures_come_by_name_each_when_it_is_due_as_they_are() {
    let dir = folder();
    let (mut camera, clock) = open(dir.path(), 25.0, true).expect("a camera");
    let mut picture = Picture::default();
    // However long ago it was opened: the first is due when it is asked for.
    clock.advance_ns(10 * PERIOD_NS);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(1, 0));
    let a = Picture {
        width: 2,
        height: 2,
        format: PixelFormat::Rgb8,
        bytes: [1, 20, 30].repeat(4),
    };
    assert_eq!(picture, a);
    // The second is not due yet.
    clock.advance_ns(PERIOD_NS - 1);
    assert_eq!(camera.poll(&mut picture).unwrap(), None);
    assert_eq!(picture, a);
    clock.advance_ns(6);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(2, 5));
    assert_eq!(
        (picture.width, picture.height, picture.format),
        (16, 8, PixelFormat::Jpeg)
    );
    assert_eq!(
        picture.bytes,
        std::fs::read(dir.path().join("b.jpg")).expect("reads")
    );
    clock.advance_ns(PERIOD_NS);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(3, 5));
    assert_eq!((picture.width, picture.height), (4, 2));
    assert_eq!(picture.bytes, [3, 20, 30].repeat(8));
    // From here the folder begins again. Who is late by two pictures gets the newest.
    clock.advance_ns(3 * PERIOD_NS);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(6, 5));
    clock.advance_ns(PERIOD_NS);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(7, 5));
    assert_eq!(picture, a);
}

#[test]
fn a_folder_that_ends_says_so_in_a_sentence() {
    let dir = folder();
    let (mut camera, clock) = open(dir.path(), 25.0, false).expect("a camera");
    let mut picture = Picture::default();
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(1, 0));
    // Long after the end, the last picture has still not been seen.
    clock.advance_ns(5 * PERIOD_NS);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(3, 3 * PERIOD_NS));
    assert_eq!(picture.bytes, [3, 20, 30].repeat(8));
    for _ in 0..2 {
        let said = camera.poll(&mut picture).unwrap_err().to_string();
        assert_eq!(
            said,
            format!(
                "{}: the folder has ended after its 3 pictures; write `repeat: true` into field `camera` to begin again",
                dir.path().display()
            )
        );
    }
    // The last picture has its period, as the others have.
    let (mut camera, clock) = open(dir.path(), 25.0, false).expect("a camera");
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(1, 0));
    clock.advance_ns(2 * PERIOD_NS);
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(3, 0));
    clock.advance_ns(PERIOD_NS - 1);
    assert_eq!(camera.poll(&mut picture).unwrap(), None);
    clock.advance_ns(1);
    assert!(camera.poll(&mut picture).is_err());
}

#[test]
fn once_a_picture_has_come_nothing_is_allocated() {
    let dir = folder();
    let (mut camera, clock) = open(dir.path(), 25.0, true).expect("a camera");
    let mut picture = Picture::default();
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(1, 0));
    let room = (picture.bytes.as_ptr(), picture.bytes.capacity());
    for seq in 2..8 {
        clock.advance_ns(PERIOD_NS);
        assert_eq!(camera.poll(&mut picture).unwrap(), stamp(seq, 0));
        assert_eq!((picture.bytes.as_ptr(), picture.bytes.capacity()), room);
    }
}

/// What a folder is refused for.
fn refused(path: &Path, rate_hz: f64) -> String {
    open(path, rate_hz, true).err().expect("refused").to_string()
}

#[test]
fn what_is_no_picture_is_refused_by_name_with_a_remedy() {
    let sound = folder();
    let whole = std::fs::read(sound.path().join("b.jpg")).expect("reads");
    let cut = &whole[..whole.len() - 9];
    let cases: [(&str, &[u8], &str); 4] = [
        ("notes.txt", b"what was seen", "is no picture"),
        ("empty.png", b"", "is no picture"),
        ("cut.jpg", cut, "cut off"),
        ("b.png", b"\x89PNG\r\n\x1a\nand nothing", "is no sound picture"),
    ];
    for (name, bytes, problem) in cases {
        let dir = folder();
        std::fs::write(dir.path().join(name), bytes).expect("writes");
        let said = refused(dir.path(), 30.0);
        for word in [name, problem, "`camera.path`", "move this one elsewhere"] {
            assert!(said.contains(word), "{name}: no {word} in {said}");
        }
    }
    let dir = folder();
    std::fs::create_dir(dir.path().join("more")).expect("makes");
    let said = refused(dir.path(), 30.0);
    assert!(said.contains("more") && said.contains("a folder"), "{said}");
}

#[test]
fn a_folder_or_a_rate_that_is_none_is_refused_by_field() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join(".hidden"), "").expect("writes");
    for (path, problem) in [
        (dir.path().to_owned(), "no pictures"),
        (dir.path().join("missing"), "cannot be listed"),
        (dir.path().join(".hidden"), "cannot be listed"),
    ] {
        let said = refused(&path, 30.0);
        for word in [path.to_str().expect("text"), problem, "`camera.path`"] {
            assert!(said.contains(word), "no {word} in {said}");
        }
    }
    for rate_hz in [0.0, -30.0, f64::NAN, f64::INFINITY, 2000.0] {
        let said = refused(folder().path(), rate_hz);
        assert!(
            said.contains("`camera.rate_hz`") && said.contains("such as 30"),
            "{said}"
        );
    }
}

#[test]
fn a_robot_file_names_it() {
    let dir = folder();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let line = format!(
        "    camera: folder(path: {:?}, rate_hz: 30, repeat: true),\n    capture: (",
        dir.path()
    );
    let text = text.replace("    capture: (", &line);
    let config = Config::parse(Path::new("robot.ron"), text).expect("a sound robot file");
    let mut named = Camera::of(&config, None).expect("a camera");
    let OpenCamera { mut camera, task } = named.open(&config).expect("opens");
    assert!(task.is_none());
    let mut picture = Picture::default();
    assert_eq!(camera.poll(&mut picture).unwrap(), stamp(1, 0));
    assert_eq!((picture.width, picture.height), (2, 2));
}
