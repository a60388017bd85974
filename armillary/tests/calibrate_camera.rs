//! `armillary calibrate board`, `camera` and `latency`, as a person types them.

use std::path::Path;
use std::process::{Command, Output};

use armillary::calibrate::{Person, camera, hand_eye};
use calibration::picture::Lens;
use nalgebra::{Isometry3, Matrix3, Rotation3, UnitQuaternion, Vector3};
use robot::Config;
use robot::config::edit;
use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat};
use robot::philox::Stream;
use vision::synthetic::SyntheticCamera;
use vision::{Board, CameraFile};

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

const LENS: Lens = Lens {
    fx_px: 590.0,
    fy_px: 594.0,
    cx_px: 322.0,
    cy_px: 236.0,
    k1: -0.08,
    k2: 0.03,
    p1: 0.0005,
    p2: -0.0004,
    k3: 0.0,
};

fn armillary(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    text.concat()
}

/// The shipped robot file of the planar arm, with this camera delay.
fn robot(folder: &Path, delay_s: &str) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(shipped).expect("the shipped file");
    let text = edit::with_field(&text, &["simulator", "camera_delay_s"], delay_s).expect("a simulator");
    let path = folder.join("arm.ron");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// Pictures of a board, as PNG files in a new folder; `tilt_rad` is how far it is tilted at most.
fn pictures(folder: &Path, count: usize, tilt_rad: f32) -> String {
    let folder = folder.join(format!("pictures-{count}-{tilt_rad}"));
    std::fs::create_dir(&folder).expect("a folder");
    let board = Board::default();
    let camera = SyntheticCamera::new(&LENS, 640, 480, &board).expect("a board");
    let mut draws = Stream::new(11, 0);
    let [width, height] = board.size_m();
    for index in 0..count {
        let mut draw = |size: f32| f64::from(draws.range(-size, size));
        let turn = Vector3::new(draw(tilt_rad), draw(tilt_rad), draw(tilt_rad));
        let middle = Vector3::new(draw(0.11), draw(0.08), 0.38 + draw(0.06));
        let mut pose = Isometry3::new(Vector3::zeros(), turn);
        pose.translation.vector = middle - pose * Vector3::new(width / 2.0, height / 2.0, 0.0);
        let mut noise = || 2.0 * f64::from(draws.range(-1.0, 1.0));
        let levels = camera.picture(&pose, &mut noise);
        let picture = image::GrayImage::from_raw(640, 480, levels).expect("its size");
        picture
            .save(folder.join(format!("{index:02}.png")))
            .expect("written");
    }
    folder.display().to_string()
}

#[test]
fn a_lens_is_measured_from_pictures_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let robot = robot(folder.path(), "0.0");
    let good = pictures(folder.path(), 24, 0.5);
    let output = armillary(&["calibrate", "camera", "--robot", &robot, "--pictures", &good]);
    let words = said(&output);
    assert!(output.status.success(), "{words}");
    let file = CameraFile::load(&folder.path().join("arm.camera.ron")).expect("the camera's file");
    assert!(
        (file.lens.fx_px / LENS.fx_px - 1.0).abs() < 0.01,
        "{:?}",
        file.lens
    );
    assert!(
        (file.lens.fy_px / LENS.fy_px - 1.0).abs() < 0.01,
        "{:?}",
        file.lens
    );
    assert!(file.residual_px < 0.5, "{}", file.residual_px);
    let config = Config::load(Path::new(&robot)).expect("still a robot file");
    assert_eq!(config.camera_file, Some(folder.path().join("arm.camera.ron")));
    assert!(config.lens.is_some());
    assert!(folder.path().join("arm.camera.svg").exists());
    // Once more: what this program made may be made anew.
    assert!(
        armillary(&["calibrate", "camera", "--robot", &robot, "--pictures", &good])
            .status
            .success()
    );
}

#[test]
fn pictures_that_tell_no_lens_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let robot = robot(folder.path(), "0.0");
    let before = std::fs::read_to_string(&robot).expect("there");
    std::fs::create_dir(folder.path().join("none")).expect("a folder");
    let none = folder.path().join("none").display().to_string();
    for (pictures, words) in [
        (pictures(folder.path(), 1, 0.5), "1 views"),
        (pictures(folder.path(), 10, 0.02), "tilt"),
        (none, "no pictures"),
    ] {
        let output = armillary(&["calibrate", "camera", "--robot", &robot, "--pictures", &pictures]);
        let said = said(&output);
        assert!(
            !output.status.success() && said.contains(words),
            "{pictures}: {said}"
        );
        assert_eq!(std::fs::read_to_string(&robot).expect("there"), before);
        assert!(!folder.path().join("arm.camera.ron").exists());
    }
}

#[test]
fn a_board_is_made_to_print() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("board.svg");
    let path = out.display().to_string();
    let output = armillary(&["calibrate", "board", "--out", &path, "--square-mm", "20"]);
    assert!(output.status.success(), "{}", said(&output));
    let svg = std::fs::read_to_string(&out).expect("written");
    // 7 squares of 20 mm and half a square at each side.
    assert!(svg.contains("width=\"160.000mm\""), "{}", &svg[..200]);
    std::fs::write(&out, "mine").expect("written");
    let output = armillary(&["calibrate", "board", "--out", &path]);
    assert!(!output.status.success(), "a file of somebody else's");
    assert_eq!(std::fs::read_to_string(&out).expect("there"), "mine");
}

#[test]
fn the_delay_of_a_simulated_camera_is_measured_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let robot = robot(folder.path(), "0.12");
    let output = armillary(&["calibrate", "latency", "--robot", &robot, "--seconds", "20"]);
    let words = said(&output);
    assert!(output.status.success() && words.contains("good"), "{words}");
    let config = Config::load(Path::new(&robot)).expect("still a robot file");
    assert!((config.camera_delay_s - 0.12).abs() < 0.005, "{words}");
    // Rounding to control periods is said.
    assert!(words.contains("ms shorter"), "{words}");
    assert!(folder.path().join("arm.latency.svg").exists());
    let output = armillary(&["calibrate", "latency", "--robot", &robot, "--joint", "nose"]);
    let words = said(&output);
    assert!(
        !output.status.success() && words.contains("nose") && words.contains("shoulder, elbow"),
        "{words}"
    );
}

/// A board that somebody holds before the camera, a few pictures in each pose. It is no camera.
struct Shown {
    camera: SyntheticCamera,
    poses: Vec<Isometry3<f64>>,
    picture: Vec<u8>,
    polls: usize,
    noise: Stream,
}

/// Pictures of each pose.
const HELD: usize = 3;

impl FrameSource for Shown {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let pose = &self.poses[(self.polls / HELD) % self.poses.len()];
        if self.polls.is_multiple_of(HELD) {
            let noise = &mut self.noise;
            self.picture = self
                .camera
                .picture(pose, &mut || f64::from(noise.range(-2.0, 2.0)));
        }
        self.polls += 1;
        // Grey, as YUYV.
        let bytes: Vec<u8> = self.picture.iter().flat_map(|level| [*level, 128]).collect();
        let (width, height) = self.camera.size();
        into.fill(width as u32, height as u32, PixelFormat::Yuyv, &bytes);
        Ok(Some(FrameStamp {
            seq: self.polls as u64,
            age_ns: 0,
        }))
    }
}

/// A person who does as the words say, and types nothing.
#[derive(Default)]
struct Silent {
    shown: Vec<String>,
}

impl Person for Silent {
    fn tell(&mut self, words: &str) {
        self.shown.push(words.to_owned());
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<String> {
        anyhow::bail!("nobody was to be asked: {question}")
    }

    fn show(&mut self, words: &str) -> anyhow::Result<Option<String>> {
        self.shown.push(words.to_owned());
        Ok(None)
    }
}

#[test]
fn a_person_is_led_until_the_lens_is_known() {
    let board = Board::default();
    let [width, height] = board.size_m();
    let mut draws = Stream::new(3, 0);
    let poses = (0..60)
        .map(|_| {
            let mut draw = |size: f32| f64::from(draws.range(-size, size));
            let mut pose = Isometry3::new(Vector3::zeros(), Vector3::new(draw(0.5), draw(0.5), draw(0.3)));
            let middle = Vector3::new(draw(0.12), draw(0.09), 0.36 + draw(0.08));
            pose.translation.vector = middle - pose * Vector3::new(width / 2.0, height / 2.0, 0.0);
            pose
        })
        .collect();
    let mut shown = Shown {
        camera: SyntheticCamera::new(&LENS, 640, 480, &board).expect("a board"),
        poses,
        picture: Vec::new(),
        polls: 0,
        noise: Stream::new(4, 0),
    };
    let mut person = Silent::default();
    let clock = robot::SystemClock::default();
    let measured = camera::guide(&mut person, &mut shown, &board, &clock).expect("a lens");
    let lens = measured.found.lens;
    assert!((lens.fx_px / LENS.fx_px - 1.0).abs() < 0.01, "{lens:?}");
    assert!(measured.found.verdict.is_accepted(), "{}", measured.found.verdict);
    // It ends by itself, and every pose gives one view at most.
    assert!(measured.found.board_in_camera.len() >= 15 && shown.polls <= 60 * HELD);
    for words in ["hold it still", "views  "] {
        assert!(person.shown.iter().any(|shown| shown.contains(words)), "{words}");
    }
}

/// An SO-101 whose joints are off by up to a tenth of a degree holds a board before a camera that stands in front of it.
#[test]
fn a_camera_is_found_by_an_arm_that_holds_a_board() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/so101.ron");
    let config = Config::load(&shipped).expect("the shipped file");
    let board = Board {
        columns: 7,
        rows: 5,
        square_m: 0.012,
        ..Board::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let robot = robot(folder.path(), "0.0");
    let pictures = pictures(folder.path(), 24, 0.5);
    assert!(
        armillary(&["calibrate", "camera", "--robot", &robot, "--pictures", &pictures])
            .status
            .success()
    );
    let file = CameraFile::load(&folder.path().join("arm.camera.ron")).expect("a camera");
    let camera = SyntheticCamera::new(&LENS, 640, 480, &board).expect("a board");
    let mut draws = Stream::new(21, 0);
    // The camera looks at the gripper from the front; x of its picture is the arm's right.
    let home: Vec<f64> = config
        .envelope
        .home()
        .position_rad
        .iter()
        .map(|angle| f64::from(*angle))
        .collect();
    let gripper = hand_eye::gripper_in_base(&config, &home);
    let eye = gripper.translation.vector + Vector3::new(0.28, 0.03, 0.1);
    let forward = (gripper.translation.vector - eye).normalize();
    let right = forward.cross(&Vector3::z()).normalize();
    let turn =
        Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[right, forward.cross(&right), forward]));
    let camera_in_base = Isometry3::from_parts(eye.into(), UnitQuaternion::from_rotation_matrix(&turn));
    // The board faces the camera at home, its middle 3 cm before the last link.
    let [width, height] = board.size_m();
    let middle = Vector3::new(0.0, 0.0, (gripper.translation.vector - eye).norm() - 0.03);
    let board_in_camera = Isometry3::new(
        middle - Vector3::new(width / 2.0, height / 2.0, 0.0),
        Vector3::zeros(),
    );
    let board_in_gripper = gripper.inverse() * camera_in_base * board_in_camera;
    let off: Vec<f64> = home
        .iter()
        .map(|_| f64::from(draws.range(-0.1, 0.1)).to_radians())
        .collect();
    let mut collector = hand_eye::Collector::new(&board, &file).expect("a board");
    let mut said = String::new();
    for _ in 0..60 {
        let said_rad: Vec<f64> = home
            .iter()
            .map(|angle| angle + f64::from(draws.range(-0.45, 0.45)))
            .collect();
        let true_rad: Vec<f64> = said_rad
            .iter()
            .zip(&off)
            .map(|(angle, off)| angle + off)
            .collect();
        let pose =
            camera_in_base.inverse() * hand_eye::gripper_in_base(&config, &true_rad) * board_in_gripper;
        let corner = pose * Vector3::new(0.0, 0.0, 1.0);
        if pose.translation.z < 0.12 || corner.z < 0.5 {
            continue;
        }
        let levels = camera.picture(&pose, &mut || f64::from(draws.range(-2.0, 2.0)));
        // Held still: seen twice.
        collector.see(&config, &said_rad, &levels);
        said = collector.see(&config, &said_rad, &levels);
        if collector.count() >= 25 {
            break;
        }
    }
    assert!(collector.count() >= 12, "{} views; {said}", collector.count());
    let found = collector.solve().expect("a place");
    let apart_m = (found.camera_in_base.translation.vector - camera_in_base.translation.vector).norm();
    let apart_rad = found.camera_in_base.rotation.angle_to(&camera_in_base.rotation);
    let lines = hand_eye::lines(&found);
    assert!(
        apart_m < 0.003 && apart_rad.to_degrees() < 0.5,
        "{} views: {apart_m} m, {apart_rad} rad; {lines:?}",
        collector.count()
    );
    assert!(found.verdict.is_accepted(), "{lines:?}");
}
