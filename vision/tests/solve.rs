//! Lenses and cameras that are known, seen by pictures that are made of the board's pattern.

use calibration::picture::Lens;
use nalgebra::{Isometry3, Point3, Translation3, UnitQuaternion, Vector3};
use vision::hand_eye::{self, View};
use vision::synthetic::SyntheticCamera;
use vision::{Board, Corner, Finder, intrinsics, pose, project};

const WIDTH: usize = 640;
const HEIGHT: usize = 480;

/// Numbers that look random, between -1 and 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn vector(&mut self, size: f64) -> Vector3<f64> {
        Vector3::new(self.next(), self.next(), self.next()) * size
    }
}

fn random_lens(noise: &mut Noise) -> Lens {
    let focal_px = 620.0 + 140.0 * noise.next();
    Lens {
        fx_px: focal_px,
        fy_px: focal_px * (1.0 + 0.01 * noise.next()),
        cx_px: 319.5 + 15.0 * noise.next(),
        cy_px: 239.5 + 15.0 * noise.next(),
        k1: 0.1 * noise.next(),
        k2: 0.05 * noise.next(),
        p1: 0.001 * noise.next(),
        p2: 0.001 * noise.next(),
        k3: 0.0,
    }
}

/// A pose of the board before the camera, turned by up to `tilt_rad` about each axis.
fn before_camera(board: &Board, noise: &mut Noise, tilt_rad: f64) -> Isometry3<f64> {
    let [width, height] = board.size_m();
    let turn = UnitQuaternion::from_scaled_axis(noise.vector(tilt_rad));
    let middle = Vector3::new(
        0.11 * noise.next(),
        0.08 * noise.next(),
        0.36 + 0.08 * noise.next(),
    );
    let corner = middle - turn * Vector3::new(width / 2.0, height / 2.0, 0.0);
    Isometry3::from_parts(Translation3::from(corner), turn)
}

/// Corners as a perfect finder would see them, off by `error_px` at most.
fn corners(
    lens: &Lens,
    board: &Board,
    pose: &Isometry3<f64>,
    noise: &mut Noise,
    error_px: f64,
) -> Vec<Corner> {
    let columns = board.columns - 1;
    (0..board.corner_count() as u32)
        .filter_map(|id| {
            let board_m = [id % columns, id / columns].map(|index| f64::from(index + 1) * board.square_m);
            let [u, v] = project(lens, &(pose * Point3::new(board_m[0], board_m[1], 0.0)))?;
            let seen_px = [u + error_px * noise.next(), v + error_px * noise.next()];
            let inside = (0.0..WIDTH as f64).contains(&u) && (0.0..HEIGHT as f64).contains(&v);
            inside.then_some(Corner { id, board_m, seen_px })
        })
        .collect()
}

#[test]
fn corners_are_found_where_they_are_seen() {
    let (board, mut noise) = (Board::default(), Noise(5));
    let finder = Finder::new(&board).expect("a board");
    let (mut sum, mut count, mut views) = (0.0, 0, 0);
    for _ in 0..6 {
        let lens = random_lens(&mut noise);
        let pose = before_camera(&board, &mut noise, 0.4);
        let camera = SyntheticCamera::new(&lens, WIDTH, HEIGHT, &board).expect("a board");
        let levels = camera.picture(&pose, &mut || 3.0 * noise.next());
        let found = finder.find(WIDTH, HEIGHT, &levels);
        views += usize::from(!found.is_empty());
        for corner in found {
            let [x, y] = corner.board_m;
            let [u, v] = project(&lens, &(pose * Point3::new(x, y, 0.0))).expect("before the camera");
            sum += (u - corner.seen_px[0]).powi(2) + (v - corner.seen_px[1]).powi(2);
            count += 1;
        }
    }
    let rms_px = (sum / f64::from(count)).sqrt();
    assert!(views >= 5 && count > 60, "{views} views, {count} corners");
    assert!(rms_px < 0.3, "{rms_px} pixels");
}

#[test]
fn twenty_lenses_are_found_within_a_percent() {
    let board = Board::default();
    for seed in 0..20 {
        let mut noise = Noise(seed);
        let truth = random_lens(&mut noise);
        let views: Vec<Vec<Corner>> = (0..20)
            .map(|_| {
                let pose = before_camera(&board, &mut noise, 0.5);
                corners(&truth, &board, &pose, &mut noise, 0.25)
            })
            .collect();
        let found = intrinsics::solve(WIDTH, HEIGHT, &views).expect("enough views");
        let lens = found.lens;
        for (what, found_px, truth_px) in [("fx", lens.fx_px, truth.fx_px), ("fy", lens.fy_px, truth.fy_px)] {
            let error = (found_px / truth_px - 1.0).abs();
            assert!(error < 0.01, "lens {seed}: {what} {found_px} of {truth_px}");
        }
        // The intervals are no wish.
        assert!(
            (lens.fx_px - truth.fx_px).abs() < 2.5 * found.intervals[0],
            "lens {seed}: {} +- {} of {}",
            lens.fx_px,
            found.intervals[0],
            truth.fx_px
        );
        assert!(found.verdict.is_accepted(), "lens {seed}: {}", found.verdict);
        // What counts in the end: where points are seen.
        for x in [-0.2, 0.0, 0.2] {
            for y in [-0.15, 0.0, 0.15] {
                let point = Point3::new(x, y, 0.5);
                let [a, b] = [&lens, &truth].map(|lens| project(lens, &point).expect("before it"));
                let apart = (a[0] - b[0]).hypot(a[1] - b[1]);
                assert!(apart < 12.0, "lens {seed}: {apart} pixels at {x}, {y}");
            }
        }
    }
}

#[test]
fn views_that_do_not_fix_a_lens_are_refused_with_a_remedy() {
    let (board, mut noise) = (Board::default(), Noise(2));
    let truth = random_lens(&mut noise);
    let mut views = |count: usize, tilt_rad: f64, error_px: f64| -> Vec<Vec<Corner>> {
        (0..count)
            .map(|_| {
                let pose = before_camera(&board, &mut noise, tilt_rad);
                corners(&truth, &board, &pose, &mut noise, error_px)
            })
            .collect()
    };
    let said = |views: &[Vec<Corner>]| match intrinsics::solve(WIDTH, HEIGHT, views) {
        Ok(found) => found.verdict,
        Err(verdict) => verdict,
    };
    let one = views(1, 0.5, 0.2);
    for (what, views, words) in [
        ("one view", one.clone(), "1 views"),
        ("the same view again and again", vec![one[0].clone(); 12], "tilt"),
        ("too flat", views(15, 0.03, 0.2), "tilt"),
        ("blurred", views(15, 0.5, 8.0), "hold the board still"),
        ("no views", Vec::new(), "0 views"),
    ] {
        let verdict = said(&views);
        assert!(
            !verdict.is_accepted() && verdict.to_string().contains(words),
            "{what}: {verdict}"
        );
    }
    assert!(said(&views(20, 0.5, 0.2)).is_accepted());
}

/// What a view says, with an arm whose gripper is off by up to so many metres and radians.
fn hand_eye_views(
    count: usize,
    lens: &Lens,
    (camera, board_in_gripper): (&Isometry3<f64>, &Isometry3<f64>),
    noise: &mut Noise,
    (tilt, off): (Vector3<f64>, (f64, f64)),
) -> Vec<View> {
    let board = Board {
        square_m: 0.02,
        ..Board::default()
    };
    (0..count)
        .map(|_| {
            let mut board_in_camera = before_camera(&board, noise, 0.0);
            let turn = noise.vector(1.0).component_mul(&tilt);
            board_in_camera.rotation = UnitQuaternion::from_scaled_axis(turn) * board_in_camera.rotation;
            let gripper = camera * board_in_camera * board_in_gripper.inverse();
            let error = Isometry3::new(noise.vector(off.0), noise.vector(off.1));
            View {
                gripper_in_base: gripper * error,
                corners: corners(lens, &board, &board_in_camera, noise, 0.2),
            }
        })
        .collect()
}

fn random_camera(noise: &mut Noise) -> (Isometry3<f64>, Isometry3<f64>) {
    let camera = Isometry3::new(noise.vector(0.5), noise.vector(1.5));
    (camera, Isometry3::new(noise.vector(0.05), noise.vector(1.0)))
}

#[test]
fn twenty_cameras_are_found_within_three_millimetres_and_half_a_degree() {
    let mut worst = (0.0_f64, 0.0_f64);
    for seed in 100..120 {
        let mut noise = Noise(seed);
        let lens = random_lens(&mut noise);
        let (camera, board) = random_camera(&mut noise);
        let tilts = (Vector3::repeat(0.45), (0.0007, 0.003));
        let views = hand_eye_views(20, &lens, (&camera, &board), &mut noise, tilts);
        let found = hand_eye::solve(&lens, &views).expect("enough views");
        let apart_m = (found.camera_in_base.translation.vector - camera.translation.vector).norm();
        let apart_rad = found.camera_in_base.rotation.angle_to(&camera.rotation);
        worst = (worst.0.max(apart_m), worst.1.max(apart_rad));
        assert!(
            apart_m < 0.003 && apart_rad.to_degrees() < 0.5,
            "camera {seed}: {apart_m} m, {apart_rad} rad; said {:?}, {}",
            found.interval,
            found.verdict
        );
        assert!(found.verdict.is_accepted(), "camera {seed}: {}", found.verdict);
    }
    println!(
        "worst: {:.2} mm, {:.3} degrees",
        1e3 * worst.0,
        worst.1.to_degrees()
    );
}

#[test]
fn views_that_do_not_fix_a_camera_are_refused_with_a_remedy() {
    let mut noise = Noise(7);
    let lens = random_lens(&mut noise);
    let (camera, board) = random_camera(&mut noise);
    for (what, count, tilts, off, words) in [
        ("few", 3, Vector3::repeat(0.4), (0.0, 0.0), "3 views"),
        (
            "one axis",
            15,
            Vector3::new(0.0, 0.0, 0.6),
            (0.0, 0.0),
            "one axis",
        ),
        ("a loose arm", 8, Vector3::repeat(0.4), (0.05, 0.2), "known to"),
    ] {
        let views = hand_eye_views(count, &lens, (&camera, &board), &mut noise, (tilts, off));
        let verdict = match hand_eye::solve(&lens, &views) {
            Ok(found) => found.verdict,
            Err(verdict) => verdict,
        };
        assert!(
            !verdict.is_accepted() && verdict.to_string().contains(words),
            "{what}: {verdict}"
        );
    }
}

#[test]
fn a_pose_is_found_by_one_view() {
    let (board, mut noise) = (Board::default(), Noise(9));
    for _ in 0..10 {
        let lens = random_lens(&mut noise);
        let truth = before_camera(&board, &mut noise, 0.5);
        let seen = corners(&lens, &board, &truth, &mut noise, 0.2);
        let (found, rms_px) = pose::of_board(&lens, &seen).expect("a pose");
        assert!((found.translation.vector - truth.translation.vector).norm() < 0.002);
        assert!(found.rotation.angle_to(&truth.rotation) < 0.01);
        assert!(rms_px < 0.3);
    }
}

#[test]
fn a_file_of_a_camera_is_read_as_it_was_written_and_refused_once_changed() {
    use std::path::Path;
    use vision::{CameraFile, Pose};

    let (board, mut noise) = (Board::default(), Noise(4));
    let lens = random_lens(&mut noise);
    let views: Vec<Vec<Corner>> = (0..15)
        .map(|_| {
            let pose = before_camera(&board, &mut noise, 0.5);
            corners(&lens, &board, &pose, &mut noise, 0.2)
        })
        .collect();
    let found = intrinsics::solve(WIDTH, HEIGHT, &views).expect("enough views");
    let file = CameraFile::new("arm", "2026-01-01T00:00:00Z", (640, 480), &found);
    let (camera, held) = random_camera(&mut noise);
    let tilts = (Vector3::repeat(0.4), (0.0, 0.0));
    let poses = hand_eye_views(12, &lens, (&camera, &held), &mut noise, tilts);
    let placed = hand_eye::solve(&lens, &poses).expect("enough views");
    let file = file.mounted("2026-01-02T00:00:00Z", "ab", &placed);
    let path = Path::new("arm.camera.ron");
    let back = CameraFile::parse(path, &file.to_text()).expect("as it was written");
    assert_eq!(back, file);
    let mounted = back.mounted.clone().expect("its place");
    let pose = mounted.camera_in_base.isometry().expect("a pose");
    assert!((pose.translation.vector - placed.camera_in_base.translation.vector).norm() < 1e-12);
    assert!(pose.rotation.angle_to(&placed.camera_in_base.rotation) < 1e-9);
    let again = Pose::from(&pose);
    assert_eq!(again.at_m, mounted.camera_in_base.at_m);
    for (what, text, field) in [
        (
            "size",
            file.to_text().replacen("width_px: 640", "width_px: 641", 1),
            "`sha256`",
        ),
        (
            "version",
            file.to_text().replacen("version: 1", "version: 2", 1),
            "`version`",
        ),
        ("nothing", String::new(), "calibrate camera"),
        (
            "unknown",
            file.to_text().replacen("robot:", "owner:", 1),
            "arm.camera.ron:",
        ),
    ] {
        let error = CameraFile::parse(path, &text).expect_err(what).to_string();
        assert!(
            error.contains(field) && error.contains("calibrate camera"),
            "{what}: {error}"
        );
    }
}
