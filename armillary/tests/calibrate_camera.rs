//! `armillary calibrate board`, `camera` and `latency`, as a person types them.

use std::path::Path;
use std::process::{Command, Output};

use calibration::picture::Lens;
use nalgebra::{Isometry3, Vector3};
use robot::Config;
use robot::config::edit;
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
