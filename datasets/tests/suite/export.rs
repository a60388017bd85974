//! What an export says of logs that were cut off or damaged, where it says that an episode is over, and how it notices that
//! something happened to it.

use std::fs;
use std::path::{Path, PathBuf};

use datasets::Source;
use datasets::lerobot::{self, ExportedLog, checksums};
use episode::{
    ActuateRow, ArmState, CaptureRow, EpisodeInfo, EpisodeWriter, GuardRow, Reason, TickRecord, read_episode,
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use robot::Frame;
use robot::philox::Stream;

const PERIOD_NS: u64 = 100_000_000;

/// Writes a log of ten ticks, as `record` does, to `path`; `change` changes each before it is written.
fn write_log(path: &Path, change: &dyn Fn(&mut TickRecord)) {
    let info = EpisodeInfo {
        robot: "arm".to_owned(),
        task: "reach".to_owned(),
        policy: "random".to_owned(),
        pipeline: "next_tick".to_owned(),
        period_s: 0.1,
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        reward_source: "simulator".to_owned(),
        ..EpisodeInfo::default()
    };
    let attachments: [(&str, &str, &[u8]); 1] = [("robot.ron", "text/plain", b"(name: \"arm\")")];
    let mut writer = EpisodeWriter::create(path, &info, &attachments).unwrap();
    for number in 0..10 {
        let mut stream = Stream::new(1, u64::from(number));
        let mut joints = || (0..2).map(|_| stream.range(-1.0, 1.0)).collect();
        let last = number == 9;
        let mut tick = TickRecord {
            tick: number,
            edge_ns: u64::from(number) * PERIOD_NS,
            capture: CaptureRow {
                fresh: true,
                reward: Some(0.5),
                arm: ArmState::Active,
                position_rad: joints(),
                velocity_rad_s: joints(),
                ..CaptureRow::default()
            },
            guard: GuardRow {
                reason: if last { Reason::EpisodeEnd } else { Reason::Ok },
                ..GuardRow::default()
            },
            actuate: ActuateRow {
                command_seq: number,
                action: joints(),
                set_point_rad: joints(),
                sent: !last,
            },
            ..TickRecord::default()
        };
        change(&mut tick);
        let mut frame = Frame::default();
        for byte in frame.rgb_mut() {
            *byte = stream.below(256) as u8;
        }
        tick.capture.frame_hash = frame.hash();
        writer.write_tick(&tick, Some(&frame), tick.edge_ns).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
}

/// `next.done` of every row, an element an episode of the data set.
fn done(set: &Path) -> Vec<Vec<bool>> {
    let file = fs::File::open(set.join("data/chunk-000/file-000.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut episodes: Vec<Vec<bool>> = Vec::new();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let place = |name: &str| {
            let mut columns = row.get_column_iter();
            columns.position(|(found, _)| found == name).unwrap()
        };
        let episode = row.get_long(place("episode_index")).unwrap() as usize;
        episodes.resize(episodes.len().max(episode + 1), Vec::new());
        episodes[episode].push(row.get_bool(place("next.done")).unwrap());
    }
    episodes
}

#[test]
fn an_episode_is_over_only_where_the_recorded_one_was() {
    // What happens to a log, and of each episode of the data set how many frames it has and whether it is over.
    type Change = fn(&mut TickRecord);
    let unchanged: Change = |_| {};
    type Harm = fn(&Path);
    let none: Harm = |_| {};
    let cut: Harm = |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    };
    let damaged: Harm = |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cases: [(&str, Change, Harm, &[bool], bool); 7] = [
        ("whole", unchanged, none, &[true], false),
        ("cut off", unchanged, cut, &[false], true),
        ("damaged in the middle", unchanged, damaged, &[false, false], true),
        (
            "a frame that did not come in the middle",
            |tick| tick.capture.fresh = tick.tick != 5,
            none,
            &[false, true],
            false,
        ),
        (
            "a frame that did not come at the end",
            |tick| tick.capture.fresh = tick.tick != 9,
            none,
            &[false],
            false,
        ),
        (
            "stopped by the guard",
            |tick| {
                if tick.tick == 9 {
                    tick.guard.reason = Reason::FrameGap;
                }
            },
            none,
            &[false],
            false,
        ),
        (
            "a log that does not say that the episode was over",
            |tick| tick.guard.reason = Reason::Ok,
            none,
            &[false],
            false,
        ),
    ];
    for (what, change, harm, over, problem) in cases {
        let dir = tempfile::tempdir().unwrap();
        let [runs, set] = ["runs", "set"].map(|name| dir.path().join(name));
        let log = runs.join("episode-000001.mcap");
        write_log(&log, &change);
        harm(&log);
        let exported = lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
        let read = read_episode(&log).unwrap();
        let frames: Vec<usize> = read.stretches().iter().map(ExactSizeIterator::len).collect();
        let expected: Vec<Vec<bool>> = frames
            .iter()
            .zip(over)
            // At the row of the last action, and at the last frame.
            .map(|(&frames, &over)| (0..frames).map(|row| over && row + 2 >= frames).collect())
            .collect();
        assert_eq!(done(&set), expected, "{what}");
        assert_eq!(frames.len(), over.len(), "{what}");
        let [summary] = exported.logs.as_slice() else {
            panic!("{what}: {:?}", exported.logs)
        };
        let said = ExportedLog {
            path: log.clone(),
            ticks: read.ticks.len(),
            episodes: over.len(),
            frames: frames.iter().sum(),
            ended: over.last() == Some(&true),
            problem: read.problem.clone(),
        };
        assert_eq!(*summary, said, "{what}");
        assert_eq!(summary.problem.is_some(), problem, "{what}");
        // What was cut off is not over after a round trip either.
        let [back, again] = ["back", "again"].map(|name| dir.path().join(name));
        import(&set, &back).unwrap();
        lerobot::export(&back, &again, &mut |_, _| {}).unwrap();
        assert_eq!(done(&again), expected, "{what}, imported and exported again");
    }
}

/// A small export, and where it is.
fn small_set(dir: &Path) -> PathBuf {
    let [runs, set] = ["runs", "set"].map(|name| dir.join(name));
    write_log(&runs.join("episode-000000.mcap"), &|_| {});
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    set
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files::list(dir).unwrap() {
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn import(set: &Path, out: &Path) -> Result<(), datasets::DatasetError> {
    let dataset = lerobot::Dataset::open(set, lerobot::Options::default())?;
    let source = Source {
        info: dataset.info(),
        robot_text: dataset.robot_text().unwrap_or_default().to_owned(),
        frame_side: dataset.frame_side(),
    };
    dataset.import(out, &source, &mut |_| {}).map(|_| ())
}

#[test]
fn a_bit_that_flips_in_any_file_of_an_export_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let set = small_set(dir.path());
    assert!(checksums::verify(&set).unwrap());
    let all = files_below(&set);
    // Information, statistics, checksums, notes, robot, tasks, episodes, data.
    assert_eq!(all.len(), 8);
    let out = dir.path().join("out");
    for (number, path) in all.iter().enumerate() {
        let whole = fs::read(path).unwrap();
        let mut stream = Stream::new(3, number as u64);
        // 25 places in each of the 8 files, its first and last byte among them.
        for trial in 0..25 {
            let at = match trial {
                0 => 0,
                1 => whole.len() - 1,
                _ => stream.below(whole.len()),
            };
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << stream.below(8);
            fs::write(path, &flipped).unwrap();
            let refused = import(&set, &out);
            assert!(refused.is_err(), "{}: byte {at} was taken", path.display());
            assert!(!out.exists());
        }
        fs::write(path, whole).unwrap();
    }
    assert!(checksums::verify(&set).unwrap());
    import(&set, &out).unwrap();
}

#[test]
fn a_file_that_went_or_came_is_named_and_a_hidden_one_is_not_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let set = small_set(dir.path());
    let told = |words: &[&str]| {
        let problem = checksums::verify(&set).unwrap_err().to_string();
        for word in words
            .iter()
            .chain(&["checksums.json", "export the data set again"])
        {
            assert!(problem.contains(word), "no {word:?} in {problem}");
        }
    };
    for hidden in [".DS_Store", "data/chunk-000/._file-000.parquet"] {
        fs::write(set.join(hidden), "what a file manager leaves").unwrap();
    }
    assert!(checksums::verify(&set).unwrap());
    let data = set.join("data/chunk-000/file-000.parquet");
    let more = set.join("data/chunk-000/file-001.parquet");
    fs::copy(&data, &more).unwrap();
    told(&["file-001.parquet", "does not list"]);
    fs::rename(&more, &data).unwrap();
    assert!(checksums::verify(&set).unwrap());
    fs::remove_file(&data).unwrap();
    told(&["file-000.parquet", "not there"]);
    // Data of others has none.
    fs::remove_file(set.join("meta/checksums.json")).unwrap();
    assert!(!checksums::verify(&set).unwrap());
}

#[test]
fn an_export_appears_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let [runs, set] = ["runs", "set"].map(|name| dir.path().join(name));
    // The user's own, by a name that a program might grab.
    let own = dir.path().join("set.partial/thesis.txt");
    fs::create_dir(dir.path().join("set.partial")).unwrap();
    fs::write(&own, "three years of work").unwrap();
    assert!(lerobot::export(&runs, &set, &mut |_, _| {}).is_err());
    write_log(&runs.join("episode-000000.mcap"), &|_| {});
    // The second log cannot be exported, when the first one has been.
    write_log(&runs.join("episode-000001.mcap"), &|tick| {
        tick.capture.position_rad.clear();
    });
    assert!(lerobot::export(&runs, &set, &mut |_, _| {}).is_err());
    assert_eq!(
        files::list(dir.path()).unwrap(),
        [runs.clone(), dir.path().join("set.partial")]
    );
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "something hidden was left"
    );
    fs::remove_file(runs.join("episode-000001.mcap")).unwrap();
    lerobot::export(&runs, &set, &mut |_, _| {}).unwrap();
    let before = fs::read(set.join("meta/info.json")).unwrap();
    // Never over one that is there.
    assert!(lerobot::export(&runs, &set, &mut |_, _| {}).is_err());
    assert_eq!(fs::read(set.join("meta/info.json")).unwrap(), before);
    assert_eq!(fs::read(&own).unwrap(), b"three years of work");
}
