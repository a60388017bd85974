//! Logs to a LeRobotDataset and back, `.npz` episodes to logs, and what is wrong with those that are refused.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use datasets::{DatasetError, LastReward, Source, lerobot, npz};
use episode::{
    ActuateRow, ArmState, CaptureRow, EpisodeInfo, EpisodeWriter, TickRecord, TrainingEpisode, list_runs,
    read_episode,
};
use npyz::WriterBuilder;
use robot::philox::Stream;
use robot::{FRAME_BYTES, Frame, JointVec};

const ROBOT: &[u8] = b"(name: \"arm\")";

fn info(index: u64) -> EpisodeInfo {
    EpisodeInfo {
        robot: "arm".to_owned(),
        task: format!("task {}", index % 2),
        episode_seed: index,
        policy: format!("policy {index}"),
        pipeline: "next_tick".to_owned(),
        period_s: 0.1,
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        reward_source: "simulator".to_owned(),
        config_sha256: "ab".repeat(32),
        joint_calibration_sha256: Some("cd".repeat(32)),
        software: "armillary".to_owned(),
        ..EpisodeInfo::default()
    }
}

/// Writes a log of `ticks` random ticks; `spoil` changes one before it is written.
fn write_log(
    dir: &Path,
    index: u64,
    ticks: u32,
    info: &EpisodeInfo,
    spoil: &dyn Fn(&mut TickRecord),
) -> PathBuf {
    let path = dir.join(format!("log-{index}.mcap"));
    let attachments: [(&str, &str, &[u8]); 1] = [("robot.ron", "text/plain", ROBOT)];
    let mut writer = EpisodeWriter::create(&path, info, &attachments).unwrap();
    for number in 0..ticks {
        let mut stream = Stream::new(index, u64::from(number));
        let mut joints = || -> JointVec { (0..2).map(|_| stream.range(-1.0, 1.0)).collect() };
        let mut tick = TickRecord {
            tick: number,
            edge_ns: u64::from(number) * (f64::from(info.period_s) * 1e9).round() as u64,
            capture: CaptureRow {
                fresh: true,
                reward: number as f32 / 7.0,
                arm: ArmState::Active,
                position_rad: joints(),
                velocity_rad_s: joints(),
                ..CaptureRow::default()
            },
            actuate: ActuateRow {
                command_seq: number,
                action: joints(),
                set_point_rad: joints(),
                sent: number + 1 < ticks,
            },
            ..TickRecord::default()
        };
        spoil(&mut tick);
        let mut frame = Frame::default();
        for byte in frame.rgb_mut() {
            *byte = stream.below(256) as u8;
        }
        let frame = tick.capture.fresh.then_some(&frame);
        writer.write_tick(&tick, frame, tick.edge_ns).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// Logs below `dir` by their names, in whichever task's folder they are.
fn logs(dir: &Path) -> Vec<PathBuf> {
    let mut logs = list_runs(dir).unwrap();
    logs.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    logs
}

fn training(dir: &Path) -> Vec<TrainingEpisode> {
    logs(dir)
        .iter()
        .flat_map(|path| read_episode(path).unwrap().training().unwrap())
        .collect()
}

fn import(from: &Path, out: &Path) -> Result<(), DatasetError> {
    let dataset = lerobot::Dataset::open(from, None)?;
    let source = Source {
        info: dataset.info(),
        robot_text: dataset.robot_text().unwrap_or_default().to_owned(),
    };
    dataset
        .import(out, &source, LastReward::Drop, &mut |_| {})
        .map(|_| ())
}

#[test]
fn an_export_comes_back_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set, back] = ["runs", "set", "back"].map(|name| dir.path().join(name));
    write_log(&runs, 0, 12, &info(0), &|_| {});
    // A frame that did not come and an arm that stopped by itself break an episode in two.
    write_log(&runs, 1, 20, &info(1), &|tick| {
        tick.capture.fresh = tick.tick != 7;
    });
    write_log(&runs, 2, 9, &info(2), &|tick| {
        if tick.tick == 4 {
            tick.capture.arm = ArmState::Held;
        }
    });
    let exported = lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    assert_eq!(
        (exported.episodes, exported.logs.len(), exported.frames),
        (5, 3, 12 + 19 + 8)
    );
    import(&set, &back).unwrap();
    assert_eq!(training(&back), training(&runs));

    let (first, again) = (
        read_episode(&runs.join("log-0.mcap")).unwrap(),
        read_episode(&back.join("0-task-0/episode-000000.mcap")).unwrap(),
    );
    // A folder a task, as training takes them.
    let of_task = |folder: &str| list_runs(&back.join(folder)).unwrap().len();
    assert_eq!((of_task("0-task-0"), of_task("1-task-1")), (3, 2));
    assert_eq!(again.attachments, first.attachments);
    assert_eq!(
        again.info.joint_calibration_sha256,
        first.info.joint_calibration_sha256
    );
    assert_eq!(again.info.task, first.info.task);
    // The second log was broken in two: episode 3 is the third's.
    for (episode, log) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)] {
        let back = read_episode(&logs(&back)[episode]).unwrap();
        assert_eq!(back.info.policy, format!("policy {log}"), "episode {episode}");
    }
    for (a, b) in again.ticks.iter().zip(&first.ticks) {
        assert_eq!(a.capture.position_rad, b.capture.position_rad);
        assert_eq!(a.capture.velocity_rad_s, b.capture.velocity_rad_s);
        assert_eq!(a.actuate.set_point_rad, b.actuate.set_point_rad);
    }
}

#[test]
fn a_robot_of_one_joint_comes_back_too() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set, back] = ["runs", "set", "back"].map(|name| dir.path().join(name));
    let one = EpisodeInfo {
        joint_names: vec!["slide".to_owned()],
        period_s: 0.08,
        ..info(0)
    };
    let only_first = |tick: &mut TickRecord| {
        let capture = &mut tick.capture;
        let actuate = &mut tick.actuate;
        for joints in [
            &mut capture.position_rad,
            &mut capture.velocity_rad_s,
            &mut actuate.action,
            &mut actuate.set_point_rad,
        ] {
            joints.truncate(1);
        }
    };
    write_log(&runs, 0, 8, &one, &only_first);
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    let text = fs::read_to_string(set.join("meta/info.json")).unwrap();
    assert!(text.contains("\"fps\": 12.5"), "{text}");
    import(&set, &back).unwrap();
    assert_eq!(training(&back), training(&runs));
}

#[test]
fn data_of_others_trains_on_goals_within_their_range() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set, back] = ["runs", "set", "back"].map(|name| dir.path().join(name));
    let log = write_log(&runs, 3, 10, &info(0), &|_| {});
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    // Without our own notes it is as anybody's.
    for notes in ["armillary.json", "checksums.json"] {
        fs::remove_file(set.join("meta").join(notes)).unwrap();
    }
    import(&set, &back).unwrap();
    let (theirs, ours) = (training(&back), read_episode(&log).unwrap());
    let goals: Vec<f32> = ours
        .ticks
        .iter()
        .map(|tick| tick.actuate.set_point_rad[1])
        .collect();
    let low = goals.iter().copied().fold(f32::INFINITY, f32::min);
    let high = goals.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let found = &theirs[0];
    assert_eq!((found.length, found.action_dim), (10, 2));
    for t in 1..10 {
        let expected = (goals[t - 1] - low) / (high - low) * 2.0 - 1.0;
        assert!((found.actions[2 * t + 1] - expected).abs() < 1e-5, "{t}");
        // The reward of a step belongs to the frame that it led to.
        assert_eq!(found.rewards[t], t as f32 / 7.0);
    }
    assert_eq!(found.rewards[0], 0.0);
}

#[test]
fn a_joint_without_a_number_is_not_exported() {
    for (spoil, field) in [
        (
            (|tick| tick.capture.position_rad[1] = f32::NAN) as fn(&mut TickRecord),
            "position_rad",
        ),
        (|tick| tick.capture.velocity_rad_s.clear(), "velocity_rad_s"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let [runs, set] = ["runs", "set"].map(|name| dir.path().join(name));
        write_log(&runs, 0, 12, &info(0), &|tick| {
            if tick.tick == 5 {
                spoil(tick);
            }
        });
        let problem = lerobot::export(&runs, &set, &mut |_, _| {})
            .unwrap_err()
            .to_string();
        for part in ["log-0.mcap", field, "at tick 5", "leave this log out"] {
            assert!(problem.contains(part), "{problem}");
        }
    }
}

#[test]
fn an_attempt_that_was_recorded_again_is_exported_once() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set] = ["runs", "set"].map(|name| dir.path().join(name));
    let log = write_log(&runs, 0, 12, &info(0), &|_| {});
    fs::copy(&log, runs.join("episode-000003-2.mcap")).unwrap();
    let bytes = fs::read(&log).unwrap();
    fs::write(runs.join("episode-000003.mcap"), &bytes[..bytes.len() / 2]).unwrap();
    fs::remove_file(log).unwrap();
    let exported = lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    assert_eq!((exported.logs.len(), exported.frames), (1, 12));
    assert_eq!(exported.left_out, [runs.join("episode-000003.mcap")]);
}

#[test]
fn logs_of_two_robots_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    write_log(&runs, 0, 5, &info(0), &|_| {});
    let slower = EpisodeInfo {
        period_s: 0.2,
        ..info(1)
    };
    write_log(&runs, 1, 5, &slower, &|_| {});
    let problem = lerobot::export(&runs, &dir.path().join("set"), &mut |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("log-1.mcap") && problem.contains("period"),
        "{problem}"
    );
}

#[test]
fn what_is_wrong_with_a_data_set_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    write_log(&runs, 0, 5, &info(0), &|_| {});
    let set = dir.path().join("set");
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    fs::remove_file(set.join("meta/checksums.json")).unwrap();
    let info = fs::read_to_string(set.join("meta/info.json")).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(info.contains(from), "{from}");
        fs::write(set.join("meta/info.json"), info.replacen(from, to, 1)).unwrap();
    };
    let expect = |words: &[&str]| {
        let problem = import(&set, &dir.path().join("out")).unwrap_err().to_string();
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    };
    edited("v3.0", "v2.1");
    expect(&["info.json", "codebase_version", "convert_dataset_v21_to_v30"]);
    edited("\"fps\": 10", "\"fps\": 0");
    expect(&["info.json", "fps"]);
    edited("\"dtype\": \"image\"", "\"dtype\": \"sound\"");
    expect(&["no camera"]);
    edited("{", "{{");
    expect(&["info.json", "line 1"]);
    fs::write(set.join("meta/info.json"), &info).unwrap();
    let data = set.join("data/chunk-000/file-000.parquet");
    let bytes = fs::read(&data).unwrap();
    fs::write(&data, &bytes[..bytes.len() / 2]).unwrap();
    expect(&["file-000.parquet", "damaged"]);
    fs::remove_file(&data).unwrap();
    expect(&["no .parquet file"]);
}

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
    let pixels: Vec<u8> = (0..4 * FRAME_BYTES)
        .map(|index| (index / FRAME_BYTES * 40 + index % 7) as u8)
        .collect();
    let actions = vec![0.0, 0.0, 0.1, -0.2, 0.3, -3.0, 0.5, 0.25];
    let rewards = vec![0.0, 1.0, 2.0, 3.0];
    let path = dir.path().join("episode.npz");
    npy(
        &path,
        &[
            ("image", vec![4, 64, 64, 3], Array::Bytes(pixels.clone())),
            ("action", vec![4, 2], Array::Floats(actions)),
            ("reward", vec![4], Array::Floats(rewards.clone())),
        ],
    );
    let out = dir.path().join("runs");
    let source = Source {
        info: info(0),
        robot_text: String::new(),
    };
    let files = npz::list(dir.path()).unwrap();
    let imported = npz::import(&files, &out, &source, None, LastReward::Drop, &mut |_, _| {}).unwrap();
    assert_eq!((imported.steps, imported.clipped), (4, 1));
    let found = training(&out);
    assert_eq!(found[0].actions, [0.0, 0.0, 0.1, -0.2, 0.3, -1.0, 0.5, 0.25]);
    assert_eq!(found[0].rewards, rewards);
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
            Array::Bytes(vec![0; 4 * FRAME_BYTES]),
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
        let problem = npz::read(&path, None).unwrap_err().to_string();
        assert!(problem.contains(name) && problem.contains(words), "{problem}");
    }
    fs::write(&path, b"no archive").unwrap();
    let problem = npz::read(&path, None).unwrap_err().to_string();
    assert!(problem.contains("episode.npz"), "{problem}");
}

#[test]
fn an_npz_that_holds_actions_beside_what_they_were_taken_at_is_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("episode.npz");
    let write = |actions: [f32; 3], firsts: [bool; 3]| {
        let pixels = vec![9; 3 * FRAME_BYTES];
        let arrays = [
            ("image", vec![3, 64, 64, 3], Array::Bytes(pixels)),
            ("action", vec![3, 1], Array::Floats(actions.to_vec())),
            ("reward", vec![3], Array::Floats(vec![1.0, 2.0, 4.0])),
            ("is_first", vec![3], Array::Flags(firsts.to_vec())),
        ];
        npy(&path, &arrays);
    };
    write([0.5, -0.25, 0.125], [true, false, false]);
    let problem = npz::read(&path, None).unwrap_err().to_string();
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
    };
    let files = npz::list(dir.path()).unwrap();
    for (name, rows, last, actions, rewards, left) in [
        (
            "before",
            npz::Rows::Before,
            LastReward::Drop,
            [0.5, -0.25, 0.125],
            [1.0, 2.0, 4.0],
            0,
        ),
        (
            "after",
            npz::Rows::After,
            LastReward::Drop,
            [0.0, 0.5, -0.25],
            [0.0, 1.0, 2.0],
            1,
        ),
        (
            "kept",
            npz::Rows::After,
            LastReward::ToLastPicture,
            [0.0, 0.5, -0.25],
            [0.0, 1.0, 6.0],
            1,
        ),
        (
            "action-after",
            npz::Rows::ActionAfter,
            LastReward::Drop,
            [0.0, 0.5, -0.25],
            [1.0, 2.0, 4.0],
            0,
        ),
    ] {
        let out = dir.path().join(name);
        let imported = npz::import(&files, &out, &source, Some(rows), last, &mut |_, _| {}).unwrap();
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
        let problem = npz::read(&path, None).err().map(|error| error.to_string());
        let named = |problem: &String| problem.contains("is_first") && problem.contains("row 2");
        assert_eq!(problem.as_ref().is_some_and(named), several, "{problem:?}");
        assert_eq!(problem.is_some(), several, "{problem:?}");
    }
}
