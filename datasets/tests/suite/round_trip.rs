//! Logs to a LeRobotDataset and back, and what is wrong with those that are refused.

use std::fs;
use std::path::{Path, PathBuf};

use datasets::{DatasetError, Source, lerobot};
use episode::{
    ActuateRow, ArmState, CaptureRow, EpisodeInfo, EpisodeWriter, TickRecord, TrainingEpisode, list_runs,
    read_episode,
};
use robot::philox::Stream;
use robot::{Frame, JointVec};

const ROBOT: &[u8] = b"(name: \"arm\")";

pub(crate) fn info(index: u64) -> EpisodeInfo {
    EpisodeInfo {
        robot: "arm".to_owned(),
        task: format!("task {}", index % 2),
        episode_seed: index,
        policy: format!("policy {index}"),
        pipeline: "next_tick".to_owned(),
        period_s: 0.1,
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        reward_source: "simulator".to_owned(),
        config_sha256: robot::text_sha256(ROBOT),
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
    write_log_of_side(64, dir, index, ticks, info, spoil)
}

/// The same with pictures of `side` x `side` pixels.
fn write_log_of_side(
    side: usize,
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
                reward: Some(number as f32 / 7.0),
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
        let mut frame = Frame::new(side);
        for byte in frame.rgb_mut() {
            *byte = stream.below(256) as u8;
        }
        tick.capture.frame_hash = frame.hash();
        let frame = tick.capture.fresh.then_some(&frame);
        writer.write_tick(&tick, frame, tick.edge_ns).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// Logs below `dir` by their names, in whichever task's folder they are.
pub(crate) fn logs(dir: &Path) -> Vec<PathBuf> {
    let mut logs = list_runs(dir).unwrap();
    logs.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    logs
}

pub(crate) fn training(dir: &Path) -> Vec<TrainingEpisode> {
    logs(dir)
        .iter()
        .flat_map(|path| read_episode(path).unwrap().training().unwrap())
        .collect()
}

fn import(from: &Path, out: &Path) -> Result<(), DatasetError> {
    let dataset = lerobot::Dataset::open(from, lerobot::Options::default())?;
    let source = Source {
        info: dataset.info(),
        robot_text: dataset.robot_text().unwrap_or_default().to_owned(),
        frame_side: dataset.frame_side(),
    };
    dataset.import(out, &source, &mut |_| {}).map(|_| ())
}

#[test]
fn an_export_keeps_the_side_of_its_pictures_and_takes_one_side_alone() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set, back] = ["runs", "set", "back"].map(|name| dir.path().join(name));
    write_log_of_side(96, &runs, 0, 6, &info(0), &|_| {});
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    import(&set, &back).unwrap();
    assert_eq!(training(&back), training(&runs));
    assert_eq!(training(&back)[0].side, 96);

    write_log(&runs, 1, 6, &info(1), &|_| {});
    let error = lerobot::export(&runs, &dir.path().join("both"), &mut |_, _| {}).unwrap_err();
    for part in ["log-1.mcap", "size of pictures is 64", "is 96"] {
        assert!(error.to_string().contains(part), "{error}");
    }
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
fn rewards_that_nobody_gave_come_back_as_none_and_without_any_there_is_no_column() {
    let some = |tick: &mut TickRecord| {
        if tick.tick.is_multiple_of(3) {
            tick.capture.reward = None;
        }
    };
    let none = |tick: &mut TickRecord| tick.capture.reward = None;
    for (name, spoil, column) in [
        ("some", &some as &dyn Fn(&mut TickRecord), true),
        ("none", &none, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let [runs, set, back, theirs] = ["runs", "set", "back", "theirs"].map(|name| dir.path().join(name));
        write_log(&runs, 0, 12, &info(0), spoil);
        lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
        for (file, feature) in [("info", "next.reward"), ("stats", "armillary.reward")] {
            let text = fs::read_to_string(set.join(format!("meta/{file}.json"))).unwrap();
            assert_eq!(text.contains(feature), column, "{name}: {text}");
            assert!(
                !text.contains("null,\n    \"max\""),
                "{name}: statistics are numbers"
            );
        }
        import(&set, &back).unwrap();
        assert_eq!(training(&back), training(&runs), "{name}");
        if !column {
            // As anybody's, who gave no `next.reward`.
            for ours in ["armillary.json", "checksums.json"] {
                fs::remove_file(set.join("meta").join(ours)).unwrap();
            }
            import(&set, &theirs).unwrap();
            let found = training(&theirs).remove(0);
            assert_eq!(found.rewards, [None; 12]);
            // With a log that has rewards the columns would be needed.
            write_log(&runs, 1, 12, &info(1), &|_| {});
            let refused = lerobot::export(&runs, &dir.path().join("both"), &mut |_, _| {});
            assert!(refused.unwrap_err().to_string().contains("reward"));
        }
    }
}

#[test]
fn the_robot_file_of_an_export_is_the_one_that_its_description_names() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set, back] = ["runs", "set", "back"].map(|name| dir.path().join(name));
    write_log(&runs, 0, 8, &info(0), &|_| {});
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    fs::write(set.join("meta/robot.ron"), "(name: \"another\")").unwrap();
    let error = import(&set, &back).unwrap_err().to_string();
    assert!(error.contains("meta/robot.ron: field `sha256`"), "{error}");
    // Whoever takes the checksums away has another word for it.
    fs::remove_file(set.join("meta/checksums.json")).unwrap();
    let error = import(&set, &back).unwrap_err().to_string();
    let named = ["meta/armillary.json", "`config_sha256`", "meta/robot.ron"];
    assert!(named.iter().all(|word| error.contains(word)), "{error}");
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
        assert_eq!(found.rewards[t], Some(t as f32 / 7.0));
    }
    assert_eq!(
        found.rewards[0], None,
        "what led to the first frame is not in the data"
    );
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
