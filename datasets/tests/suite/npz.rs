//! `.npz` episodes to logs.

use std::fs;
use std::io::Write;
use std::path::Path;

use datasets::{LastReward, Source, npz};
use episode::{EpisodeInfo, read_episode};
use npyz::WriterBuilder;

use crate::round_trip::{info, logs, training};

/// Bytes of a picture.
const PICTURE_BYTES: usize = robot::Frame::bytes(64);

fn npy_bytes<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npy(path: &Path, arrays: &[(&str, Vec<u64>, Array)]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, shape, array) in arrays {
        archive
            .start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default())
            .unwrap();
        let bytes = match array {
            Array::Bytes(values) => npy_bytes(shape, values),
            Array::Floats(values) => npy_bytes(shape, values),
            Array::Flags(values) => npy_bytes(shape, values),
        };
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap();
}

enum Array {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
    Flags(Vec<bool>),
}

#[test]
fn the_action_in_row_t_of_an_npz_caused_its_picture() {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..4 * PICTURE_BYTES)
        .map(|index| (index / PICTURE_BYTES * 40 + index % 7) as u8)
        .collect();
    let actions = vec![0.0, 0.0, 0.1, -0.2, 0.3, -3.0, 0.5, 0.25];
    let rewards = [0.0, 1.0, 2.0, 3.0];
    let path = dir.path().join("episode.npz");
    npy(
        &path,
        &[
            ("image", vec![4, 64, 64, 3], Array::Bytes(pixels.clone())),
            ("action", vec![4, 2], Array::Floats(actions)),
            ("reward", vec![4], Array::Floats(rewards.to_vec())),
        ],
    );
    let out = dir.path().join("runs");
    let source = Source {
        info: info(0),
        robot_text: String::new(),
        frame_side: 64,
    };
    let files = npz::list(dir.path()).unwrap();
    let imported = npz::import(
        dir.path(),
        &files,
        &out,
        &source,
        npz::Options::default(),
        &mut |_, _| {},
    )
    .unwrap();
    assert_eq!((imported.steps, imported.clipped), (4, 1));
    let found = training(&out);
    assert_eq!(found[0].actions, [0.0, 0.0, 0.1, -0.2, 0.3, -1.0, 0.5, 0.25]);
    assert_eq!(found[0].rewards, rewards.map(Some));
    assert_eq!(found[0].frames, pixels);

    for (name, shape, array, words) in [
        ("action", vec![3, 2], Array::Floats(vec![0.0; 6]), "has 3 rows"),
        (
            "reward",
            vec![4],
            Array::Floats(vec![0.0, f32::NAN, 0.0, 0.0]),
            "element 1 is NaN",
        ),
        (
            "image",
            vec![4, 12288],
            Array::Bytes(vec![0; 4 * PICTURE_BYTES]),
            "shape",
        ),
    ] {
        let mut arrays = vec![
            ("image", vec![4, 64, 64, 3], Array::Bytes(pixels.clone())),
            ("action", vec![4, 2], Array::Floats(vec![0.0; 8])),
            ("reward", vec![4], Array::Floats(vec![0.0; 4])),
        ];
        arrays.retain(|(other, ..)| *other != name);
        arrays.push((name, shape, array));
        npy(&path, &arrays);
        let problem = npz::read(&path, None, 64).unwrap_err().to_string();
        assert!(problem.contains(name) && problem.contains(words), "{problem}");
    }
    fs::write(&path, b"no archive").unwrap();
    let problem = npz::read(&path, None, 64).unwrap_err().to_string();
    assert!(problem.contains("episode.npz"), "{problem}");
}

#[test]
fn an_npz_that_holds_actions_beside_what_they_were_taken_at_is_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("episode.npz");
    let write = |actions: [f32; 3], firsts: [bool; 3]| {
        let pixels = vec![9; 3 * PICTURE_BYTES];
        let arrays = [
            ("image", vec![3, 64, 64, 3], Array::Bytes(pixels)),
            ("action", vec![3, 1], Array::Floats(actions.to_vec())),
            ("reward", vec![3], Array::Floats(vec![1.0, 2.0, 4.0])),
            ("is_first", vec![3], Array::Flags(firsts.to_vec())),
        ];
        npy(&path, &arrays);
    };
    write([0.5, -0.25, 0.125], [true, false, false]);
    let problem = npz::read(&path, None, 64).unwrap_err().to_string();
    assert!(
        problem.contains("episode.npz") && problem.contains("action") && problem.contains("--rows"),
        "{problem}"
    );
    let source = Source {
        info: EpisodeInfo {
            joint_names: vec!["slide".to_owned()],
            ..info(0)
        },
        robot_text: String::new(),
        frame_side: 64,
    };
    let files = npz::list(dir.path()).unwrap();
    for (name, rows, last, actions, rewards, left) in [
        (
            "before",
            npz::Rows::Before,
            LastReward::Drop,
            [0.5, -0.25, 0.125],
            [Some(1.0), Some(2.0), Some(4.0)],
            0,
        ),
        (
            "after",
            npz::Rows::After,
            LastReward::Drop,
            [0.0, 0.5, -0.25],
            [None, Some(1.0), Some(2.0)],
            1,
        ),
        (
            "kept",
            npz::Rows::After,
            LastReward::ToLastPicture,
            [0.0, 0.5, -0.25],
            [None, Some(1.0), Some(6.0)],
            1,
        ),
        (
            "action-after",
            npz::Rows::ActionAfter,
            LastReward::Drop,
            [0.0, 0.5, -0.25],
            [Some(1.0), Some(2.0), Some(4.0)],
            0,
        ),
    ] {
        let out = dir.path().join(name);
        let imported = {
            let options = npz::Options {
                rows: Some(rows),
                last_reward: last,
                ..npz::Options::default()
            };
            npz::import(dir.path(), &files, &out, &source, options, &mut |_, _| {}).unwrap()
        };
        assert_eq!(imported.last_rewards, left, "{name}");
        let found = training(&out).remove(0);
        // What led to the first picture is not known, and no model is trained on it.
        assert_eq!(found.actions[1..], actions[1..], "{name}");
        assert_eq!(found.rewards, rewards, "{name}");
        let log = read_episode(&logs(&out)[0]).unwrap();
        let positions: Vec<f32> = log
            .ticks
            .iter()
            .map(|tick| tick.capture.position_rad[0])
            .collect();
        assert_eq!(positions, actions, "{name}");
    }

    for (firsts, several) in [([true, false, false], false), ([true, false, true], true)] {
        write([0.0; 3], firsts);
        let problem = npz::read(&path, None, 64).err().map(|error| error.to_string());
        let named = |problem: &String| problem.contains("is_first") && problem.contains("row 2");
        assert_eq!(problem.as_ref().is_some_and(named), several, "{problem:?}");
        assert_eq!(problem.is_some(), several, "{problem:?}");
    }
}
