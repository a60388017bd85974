//! The box that the tip must not leave, by places that a person leads it to.

use std::collections::VecDeque;
use std::path::Path;

use armillary::calibrate::{Person, workspace};
use robot::Config;

/// Somebody who presses Enter at each place, then `d`.
struct Leads(VecDeque<&'static str>);

impl Person for Leads {
    fn tell(&mut self, words: &str) {
        assert!(words.contains(" m in the arm's base"), "{words}");
    }

    fn ask(&mut self, _question: &str) -> anyhow::Result<String> {
        Ok(self
            .0
            .pop_front()
            .expect("asked once a place, and once more")
            .to_owned())
    }

    fn show(&mut self, words: &str) -> anyhow::Result<Option<String>> {
        anyhow::bail!("nothing is to be shown: {words}")
    }
}

fn so101(folder: &Path) -> (std::path::PathBuf, Config) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/so101.ron");
    let path = folder.join("arm.ron");
    std::fs::copy(shipped, &path).expect("copied");
    let config = Config::load(&path).expect("the shipped file");
    (path, config)
}

/// Leads the tip to the poses that are so far from home, in radians a joint.
fn led(config: &Config, offsets: &[[f64; 3]]) -> workspace::Measured {
    let home: Vec<f64> = config
        .envelope
        .home()
        .position_rad
        .iter()
        .map(|angle| f64::from(*angle))
        .collect();
    let mut answers: VecDeque<&str> = offsets.iter().map(|_| "").collect();
    answers.push_back("d");
    let mut poses = offsets.iter().map(|offset| {
        let mut pose = home.clone();
        for (angle, offset) in pose.iter_mut().zip(offset) {
            *angle += offset;
        }
        pose
    });
    workspace::guide(&mut Leads(answers), config, &mut || {
        Ok(poses.next().expect("a pose"))
    })
    .expect("a box")
}

const WIDE: [[f64; 3]; 6] = [
    [0.6, 0.0, 0.0],
    [-0.6, 0.0, 0.0],
    [0.0, 0.4, 0.0],
    [0.0, -0.4, 0.0],
    [0.0, 0.0, 0.5],
    [0.0, 0.0, -0.5],
];

#[test]
fn a_box_holds_the_places_and_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, config) = so101(folder.path());
    let measured = led(&config, &WIDE);
    for place in &measured.places_m {
        for axis in 0..3 {
            assert!((measured.min_m[axis]..=measured.max_m[axis]).contains(&place[axis]));
        }
    }
    let written = workspace::keep(&path, &config, &measured).expect("a sound box");
    assert!(written.starts_with("workspace_m: (min: ("), "{written}");
    let config = Config::load(&path).expect("still a robot file");
    let inside = |place: [f64; 3]| config.envelope.holds(place.map(|metres| metres as f32));
    let middle = [0, 1, 2].map(|axis| (measured.min_m[axis] + measured.max_m[axis]) / 2.0);
    assert!(inside(middle));
    for axis in 0..3 {
        let mut beyond = middle;
        beyond[axis] = measured.max_m[axis] + 0.002;
        assert!(!inside(beyond), "axis {axis}");
    }
    assert!(workspace::draw(&measured).starts_with("<svg "));
}

#[test]
fn a_box_that_is_none_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, config) = so101(folder.path());
    let before = std::fs::read_to_string(&path).expect("there");
    for (what, offsets, words) in [
        ("no places", &[][..], "0 places"),
        ("two", &WIDE[..2], "2 places"),
        ("the same", &[[0.0; 3]; 5], "mm long in x"),
        (
            "beside home",
            &[
                [0.5, 0.1, 0.0],
                [0.9, 0.4, 0.0],
                [0.7, -0.3, 0.2],
                [0.8, 0.2, 0.5],
            ],
            "home_rad",
        ),
    ] {
        let measured = led(&config, offsets);
        let error = workspace::keep(&path, &config, &measured)
            .expect_err(what)
            .to_string();
        assert!(
            error.contains(words) && error.contains("nothing was written"),
            "{what}: {error}"
        );
        assert_eq!(std::fs::read_to_string(&path).expect("there"), before);
    }
}
