//! The camera's own pictures in the log, and other images made of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use armillary::recrop::{RecropError, Recropped, recrop};
use calibration::picture::{PictureSettings, PictureTable};
use controller::capture::Sight;
use controller::live;
use controller::lockstep::{EpisodeRunError, Labels, Outcome};
use controller::replay::{Computed, replay};
use controller::session::{PolicyChoice, Session};
use devices::fake::FakeBus;
use episode::{Episode, EpisodeWriter, decision_stream, read_episode, read_pictures};
use image::codecs::jpeg::JpegEncoder;
use robot::config::Pipeline;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat, Signals};
use robot::{Config, Frame};

const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;

/// The crop that is made anew, within 160 x 120 pixels.
const CROP: &str = "crop(left_px: 3, top_px: 5, width_px: 110, height_px: 90)";

/// Different pictures, one after the other again and again.
struct Camera {
    album: Vec<Vec<u8>>,
    format: PixelFormat,
    begun: Option<Instant>,
    /// Number of the last picture that was handed over.
    shown: u64,
    /// From this number on pictures are larger than the room for them.
    large_from: u64,
    /// Whether it says before the first picture how its pictures are coded.
    says_format: bool,
}

/// Time from one picture to the next: longer than a period, so that some pictures serve several ticks.
const BETWEEN: Duration = Duration::from_millis(80);

impl Camera {
    fn new() -> Self {
        Self {
            album: (0..8).map(jpeg).collect(),
            format: PixelFormat::Jpeg,
            begun: None,
            shown: 0,
            large_from: u64::MAX,
            says_format: true,
        }
    }
}

impl FrameSource for Camera {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let seq = 1 + (begun.elapsed().as_nanos() / BETWEEN.as_nanos()) as u64;
        if seq == self.shown {
            return Ok(None);
        }
        self.shown = seq;
        let bytes = &self.album[seq as usize % self.album.len()];
        into.fill(WIDTH, HEIGHT, self.format, bytes);
        if seq >= self.large_from {
            into.bytes = padded(bytes);
        }
        Ok(Some(FrameStamp { seq, age_ns: 0 }))
    }

    fn size(&self) -> Option<(u32, u32)> {
        Some((WIDTH, HEIGHT))
    }

    fn format(&self) -> Option<PixelFormat> {
        self.says_format.then_some(self.format)
    }
}

fn jpeg(number: u32) -> Vec<u8> {
    let level = |x: u32, y: u32, step: u32| ((x * step + y * 3 + number * 29) % 256) as u8;
    let rgb: Vec<u8> = (0..HEIGHT)
        .flat_map(|y| (0..WIDTH).flat_map(move |x| [1, 2, 5].map(|step| level(x, y, step))))
        .collect();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode(&rgb, WIDTH, HEIGHT, image::ExtendedColorType::Rgb8)
        .expect("into memory");
    bytes
}

/// A robot file that forgives a machine that is busy, with these fields in `capture`.
fn config(capture: &str) -> Config {
    let mut text = std::fs::read_to_string(crate::root().join("configs/sim-planar.ron"))
        .expect("the shipped robot file");
    let fields = format!("max_age_s: 10.0, gap_ticks: 200, {capture}");
    for (from, to) in [
        ("period_s: 0.1", "period_s: 0.05"),
        ("max_age_s: 0.08, gap_ticks: 5", fields.as_str()),
        ("frozen_ticks: 10", "frozen_ticks: 200"),
    ] {
        assert!(text.contains(from), "no {from}");
        text = text.replacen(from, to, 1);
    }
    Config::parse(Path::new("arm.ron"), text).expect("a sound robot file")
}

/// An episode of random motion, recorded to `log`; and whether anything was sent.
fn record(config: &Config, camera: Camera, log: &Path) -> (Result<Outcome, EpisodeRunError>, bool) {
    let policy = PolicyChoice::Random;
    let session = Session::of(config.clone(), None, policy, Some(Pipeline::NextTick)).expect("sound");
    let (mut controller, encoder) = session.live_controller().expect("a controller");
    let sight = Sight::new(config, Box::new(camera), None, encoder, None).expect("a view");
    let mut bus = FakeBus::new(&config.envelope.home().position_rad);
    let labels = Labels {
        log,
        info: session.info(&controller, 3, 1_000),
        attachments: &session.attachments(),
    };
    let signals = Signals::default();
    let ran = live::run(config, &mut controller, &mut bus, sight, 0, 30, &labels, &signals);
    (ran.map(|(outcome, _)| outcome), !bus.sent_rad.is_empty())
}

/// A log with the camera's own pictures.
fn recorded(dir: &Path) -> (Config, PathBuf) {
    let config = config("keep_pictures: true");
    let log = dir.join("episode.mcap");
    record(&config, Camera::new(), &log).0.expect("the episode runs");
    (config, log)
}

/// The kept pictures of a log, by tick.
fn kept(log: &Path) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    let problem = read_pictures(log, |tick, jpeg| {
        found.push((tick, jpeg.to_vec()));
        ControlFlow::Continue(())
    });
    assert_eq!(problem.expect("reads"), None);
    found
}

/// Recrops one log by `config` into a new folder beside it.
fn recropped(config: &Config, log: &Path, name: &str) -> Result<Recropped, RecropError> {
    let out = log.with_file_name(name);
    recrop(&[log.to_owned()], config, Path::new("arm.ron"), &out, &mut |_| {
        true
    })
}

fn whole(config: &Config, log: &Path, name: &str) -> (PathBuf, Episode) {
    let made = recropped(config, log, name).expect("recrops");
    assert_eq!((made.logs[0].ended.as_deref(), made.left_out.len()), (None, 0));
    let path = made.logs[0].to.clone();
    let read = read_episode(&path).expect("reads");
    assert!(read.complete, "{:?}", read.problem);
    (path, read)
}

/// Checks what is made of the log of `config` by `config` itself, and by another view at 96 pixels a side.
pub(crate) fn check(config: &Config, log: &Path, view: &str) {
    let before = read_episode(log).expect("reads");
    let (same_log, same) = whole(config, log, "same");
    assert_eq!(same.frames, before.frames, "images to the bit");
    assert_eq!(same.ticks, before.ticks);
    assert_eq!(same.attachments, before.attachments);
    assert_eq!(same.info.picture_sha256, before.info.picture_sha256);
    assert_eq!(kept(&same_log), kept(log));
    let stream = |log: &Path| decision_stream(log).expect("whole");
    assert_eq!(stream(&same_log), stream(log));

    // It also knows by now that pictures are a period late.
    let delay_s = config.period_s;
    let changed = format!("side: 96, delay_s: {delay_s:?}, view: {view}");
    let text = config.text.replacen("keep_pictures: true", &changed, 1);
    let other = Config::parse(Path::new("arm.ron"), text).expect("a sound robot file");
    let (path, made) = whole(&other, log, "other");
    let pictures = kept(log);
    let first = Picture {
        width: WIDTH,
        height: HEIGHT,
        format: PixelFormat::Jpeg,
        bytes: Vec::new(),
    };
    let settings = PictureSettings::of(&other, first.width, first.height).expect("a view");
    let table = PictureTable::new(&settings).expect("a table");
    let (mut workspace, mut expected) = (table.workspace(), Frame::new(96));
    for (index, (row, was)) in made.ticks.iter().zip(&before.ticks).enumerate() {
        if let Some((_, bytes)) = pictures.iter().find(|(tick, _)| *tick == row.tick) {
            let picture = Picture {
                bytes: bytes.clone(),
                ..first.clone()
            };
            table
                .apply(&picture, &mut workspace, expected.rgb_mut())
                .expect("a sound picture");
        }
        assert_eq!(made.frames[index].as_ref(), Some(&expected), "tick {}", row.tick);
        let mut row = row.clone();
        assert_eq!(row.capture.frame_hash, expected.hash());
        row.capture.frame_hash = was.capture.frame_hash;
        assert_eq!(row, *was, "everything else stays");
    }
    assert_eq!(made.ticks.len(), before.ticks.len());
    assert_eq!(made.info.picture_sha256.as_deref(), Some(table.sha256()));
    assert_eq!(made.info.config_sha256, other.sha256);
    assert_eq!(made.info.picture_delay_ticks, 1);
    assert_eq!(made.attachments[0].1, other.text.as_bytes());
    assert_eq!(made.camera_pictures, 0, "its robot file does not keep them");
    // Another program that reads logs takes it as any other.
    let stretches = made.training().expect("as training data");
    assert!(stretches.iter().all(|stretch| stretch.side == 96) && !made.stretches().is_empty());
    // A picture that is a period late shows the row before: the last row of a stretch is on none.
    let lengths = made.stretches().into_iter().map(|rows| rows.len() - 1);
    let lengths: Vec<usize> = lengths.filter(|length| *length > 1).collect();
    assert_eq!(
        stretches.iter().map(|stretch| stretch.length).collect::<Vec<_>>(),
        lengths
    );
    let reproduced = replay(&path, None, Computed::default()).expect("its robot file fits its rows");
    assert!(reproduced > 0);
}

#[test]
fn each_picture_that_a_tick_used_is_kept_once_as_it_came() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (config, log) = recorded(dir.path());
    let read = read_episode(&log).expect("reads");
    let album = Camera::new().album;
    let mut seen = BTreeSet::new();
    // The first row that used a picture has it.
    let expected: Vec<(u32, Vec<u8>)> = read
        .ticks
        .iter()
        .filter(|row| row.capture.frame_seq > 0 && seen.insert(row.capture.frame_seq))
        .map(|row| {
            let picture = row.capture.frame_seq as usize % album.len();
            (row.tick, album[picture].clone())
        })
        .collect();
    assert!(expected.len() > 1 && expected.len() == read.camera_pictures);
    assert_eq!(kept(&log), expected);
    check(&config, &log, CROP);
    // Without the field the log has none, and its images are the same kind.
    let plain = self::config("side: 64");
    let log = dir.path().join("plain.mcap");
    let outcome = record(&plain, Camera::new(), &log).0.expect("runs");
    assert_eq!(outcome.camera_pictures, 0);
    assert_eq!(read_episode(&log).expect("reads").camera_pictures, 0);
}

#[test]
fn a_camera_that_sends_no_jpeg_is_refused_before_anything_moves_or_at_its_first_picture() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config("keep_pictures: true");
    for says_format in [true, false] {
        let log = dir.path().join(format!("{says_format}.mcap"));
        let camera = Camera {
            album: vec![[126, 128].repeat((WIDTH * HEIGHT) as usize)],
            format: PixelFormat::Yuyv,
            says_format,
            ..Camera::new()
        };
        let (refused, sent) = record(&config, camera, &log);
        let words = refused.expect_err("refused").to_string();
        for part in [
            "sim-planar",
            "`capture.keep_pictures`",
            "Yuyv",
            "format: mjpeg",
            "remove",
        ] {
            assert!(words.contains(part), "no {part} in {words}");
        }
        if says_format {
            assert!(!sent && !log.exists(), "nothing was begun");
        }
    }
    // A world that waits draws the model's images.
    let session = Session::of(config, None, PolicyChoice::Hold, Some(Pipeline::NextTick)).expect("sound");
    let log = |_| dir.path().join("lockstep.mcap");
    let refused = armillary::simulation::Simulated::run_simulated(&session, &[1], 3, 1, &log, &|_| {});
    let words = format!("{:#}", refused.expect_err("refused"));
    assert!(
        words.contains("`capture.keep_pictures`") && words.contains("simulated"),
        "{words}"
    );
    assert!(!log(1).exists());
}

/// A JPEG with a comment that makes it larger than the room for it.
fn padded(jpeg: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xfe, 0xff, 0xff]);
    bytes.extend(vec![b' '; 0xffff - 2]);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn pictures_without_room_are_counted_and_end_what_is_made_of_their_log() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config("keep_pictures: true");
    let log = dir.path().join("episode.mcap");
    let large_from = 6;
    let camera = Camera {
        large_from,
        ..Camera::new()
    };
    let outcome = record(&config, camera, &log).0.expect("the episode runs");
    let read = read_episode(&log).expect("reads");
    let is_large = |seq: &u64| *seq >= large_from;
    let first = read.ticks.iter().find(|row| is_large(&row.capture.frame_seq));
    let first = first.expect("one was used").tick;
    let mut used: BTreeSet<u64> = read.ticks.iter().map(|row| row.capture.frame_seq).collect();
    // Before the first picture.
    used.remove(&0);
    let (large, small): (Vec<u64>, Vec<u64>) = used.iter().partition(|seq| is_large(seq));
    let album = Camera::new().album;
    let bytes = |seq: &u64| padded(&album[*seq as usize % album.len()]).len();
    assert_eq!(outcome.too_large.pictures, large.len() as u64);
    assert_eq!(
        Some(outcome.too_large.largest_bytes),
        large.iter().map(bytes).max()
    );
    assert_eq!(
        (outcome.camera_pictures, read.camera_pictures),
        (small.len() as u64, small.len())
    );

    let made = recropped(&config, &log, "made").expect("recrops");
    let made = &made.logs[0];
    let why = made.ended.as_deref().expect("it ends early");
    assert!(
        why.contains(&format!("tick {first}:")) && why.contains("not kept"),
        "{why}"
    );
    let part = read_episode(&made.to).expect("reads");
    assert!(!part.complete, "nobody takes it for a whole log");
    let before = read.ticks.iter().take_while(|row| row.tick < first).count();
    assert_eq!(part.ticks, read.ticks[..before]);
    assert_eq!(
        (made.rows, made.rows_left_out),
        (before, read.ticks.len() - before)
    );
}

/// The log again, with other pictures.
fn edited(log: &Path, name: &str, edit: impl Fn(u32, &mut Option<Vec<u8>>)) -> PathBuf {
    let read = read_episode(log).expect("reads");
    let pictures = kept(log);
    let path = log.with_file_name(name);
    let attachments: Vec<_> = read
        .attachments
        .iter()
        .map(|(name, data)| (name.as_str(), "text/plain", data.as_slice()))
        .collect();
    let mut writer = EpisodeWriter::create(&path, &read.info, &attachments).expect("a log");
    for (row, frame) in read.ticks.iter().zip(&read.frames) {
        let mut picture = pictures
            .iter()
            .find(|(tick, _)| *tick == row.tick)
            .map(|(_, jpeg)| jpeg.clone());
        edit(row.tick, &mut picture);
        writer
            .write_tick_with_picture(row, frame.as_ref(), picture.as_deref(), row.edge_ns)
            .expect("writes");
        // A chunk a tick: a cut costs few of them.
        writer.flush().expect("writes");
    }
    writer.finish().expect("finishes");
    path
}

#[test]
fn damage_ends_a_log_by_tick_and_a_log_without_pictures_is_left_out() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (config, log) = recorded(dir.path());
    let ticks: Vec<u32> = kept(&log).iter().map(|(tick, _)| *tick).collect();
    let (first, third) = (ticks[0], ticks[2]);
    for (name, cut, words) in [("no jpeg", 0, "FF D8"), ("cut", 300, "FF D9")] {
        let broken = edited(&log, &format!("{name}.mcap"), |tick, picture| {
            if let Some(jpeg) = picture.as_mut().filter(|_| tick == third) {
                jpeg.truncate(cut);
                jpeg.push(0);
            }
        });
        let made = recropped(&config, &broken, name).expect("recrops");
        let why = made.logs[0].ended.clone().expect("it ends early");
        assert!(
            why.contains(&format!("tick {third}:")) && why.contains(words),
            "{why}"
        );
        assert_eq!(
            read_episode(&made.logs[0].to).expect("reads").ticks.len(),
            made.logs[0].rows
        );
    }
    // A log that was cut off gives one that was.
    let bytes = std::fs::read(edited(&log, "chunks.mcap", |_, _| ())).expect("reads");
    let cut = dir.path().join("cut-off.mcap");
    std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).expect("writes");
    let made = recropped(&config, &cut, "cut-off").expect("recrops");
    let read = read_episode(&made.logs[0].to).expect("reads");
    assert!(made.logs[0].ended.is_some() && !read.complete);
    assert_eq!(read.ticks.len(), read_episode(&cut).expect("reads").intact);
    // Logs of which nothing can be made.
    let bare = edited(&log, "bare.mcap", |_, picture| *picture = None);
    let unreadable = edited(&log, "unreadable.mcap", |tick, picture| {
        if tick == first {
            *picture = Some(b"no picture".to_vec());
        }
    });
    for (log, words) in [(&bare, "keeps none"), (&unreadable, "FF D8")] {
        let error = recropped(&config, log, "nothing")
            .expect_err("refused")
            .to_string();
        for part in [words, "keep_pictures: true", &log.display().to_string()] {
            assert!(error.contains(part), "no {part} in {error}");
        }
        assert!(!dir.path().join("nothing").exists());
    }
    // Beside one that is whole they are named.
    let both = [log.clone(), bare.clone()];
    let out = dir.path().join("both");
    let made = recrop(&both, &config, Path::new("arm.ron"), &out, &mut |_| true).expect("recrops");
    assert_eq!((made.logs.len(), &made.left_out[0].log), (1, &bare));
}

#[test]
fn another_arm_another_view_and_two_logs_of_one_name_are_refused_and_an_end_keeps_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (config, log) = recorded(dir.path());
    for (from, to, field) in [
        ("period_s: 0.05", "period_s: 0.04", "period_s"),
        ("\"elbow\"", "\"knee\"", "joints"),
        ("(-2.9, 2.9)", "(-2.8, 2.9)", "joints[0].position_rad"),
        ("min: (-1.0, -1.0, 0.0)", "min: (-1.5, -1.0, 0.0)", "workspace_m"),
        ("tip_m: (0.45,", "tip_m: (0.4,", "links"),
        (
            "keep_pictures: true",
            "view: crop(left_px: 100, top_px: 0, width_px: 100, height_px: 100)",
            "capture.view.crop.left_px",
        ),
    ] {
        assert!(config.text.contains(from), "no {from}");
        let text = config.text.replacen(from, to, 1);
        let other = Config::parse(Path::new("arm.ron"), text).expect("a sound robot file");
        let error = recropped(&other, &log, "refused").expect_err(field).to_string();
        assert!(
            error.contains(&format!("`{field}")) && error.contains("episode.mcap"),
            "{error}"
        );
        assert!(!dir.path().join("refused").exists(), "{field}");
    }
    let out = dir.path().join("out");
    let twice = [log.clone(), log.clone()];
    let error = recrop(&twice, &config, Path::new("arm.ron"), &out, &mut |_| true).expect_err("refused");
    assert!(matches!(error, RecropError::SameName(_)), "{error}");
    // Asked to end after some rows.
    let mut rows = 0;
    let ended = recrop(&twice[..1], &config, Path::new("arm.ron"), &out, &mut |_| {
        rows += 1;
        rows < 5
    });
    assert!(matches!(ended, Err(RecropError::Interrupted)) && rows == 5);
    assert!(!out.exists());
    // Folders keep their places.
    let place = dir.path().join("runs/of a day");
    std::fs::create_dir_all(&place).expect("a folder");
    std::fs::copy(&log, place.join("1.mcap")).expect("copies");
    let runs = [dir.path().join("runs"), log];
    let made = recrop(&runs, &config, Path::new("arm.ron"), &out, &mut |_| true).expect("recrops");
    let names: Vec<&Path> = made.logs.iter().map(|log| log.to.as_path()).collect();
    assert_eq!(
        names,
        [out.join("runs/of a day/1.mcap"), out.join("episode.mcap")]
    );
    assert!(names.iter().all(|name| name.is_file()));
}
