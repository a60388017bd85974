//! Logs with sound checksums whose contents cannot be: refused by tick and field, instead of leading somebody on.

use std::path::Path;

use episode::{
    EpisodeError, EpisodeInfo, EpisodeWriter, SKIPPED_TICKS_MAX, TickRecord, list_episodes, read_episode,
};
use robot::JointVec;

use crate::sample::{Disk, PERIOD_NS, frame, info, read, tick};

/// A whole log of six ticks, changed by `of_info` and `of_ticks` before it is written.
fn log(of_info: &dyn Fn(&mut EpisodeInfo), of_ticks: &dyn Fn(&mut Vec<TickRecord>)) -> Vec<u8> {
    let disk = Disk::default();
    let (mut info, mut ticks) = (info(), (0..6).map(tick).collect());
    of_info(&mut info);
    of_ticks(&mut ticks);
    let mut writer = EpisodeWriter::from_writer(disk.clone(), Path::new("memory"), &info, &[], 1).unwrap();
    for (picture, row) in (0..).zip(&ticks) {
        writer
            .write_tick(row, Some(&frame(picture)), row.edge_ns)
            .unwrap();
    }
    writer.finish().unwrap();
    disk.bytes()
}

fn at(tick: &mut TickRecord, number: u32) {
    tick.tick = number;
    tick.edge_ns = u64::from(number) * PERIOD_NS;
}

#[test]
fn rows_that_cannot_be_are_refused_by_tick_and_field() {
    type Change = fn(&mut Vec<TickRecord>);
    let most = SKIPPED_TICKS_MAX as u32;
    assert_eq!(most, 100_000);
    let cases: [(&str, Change, &[&str]); 21] = [
        (
            "a tick of 4 billion",
            |ticks| at(&mut ticks[5], 4_000_000_000),
            &["tick 4000000000", "`tick`"],
        ),
        (
            "the largest tick",
            |ticks| at(&mut ticks[5], u32::MAX),
            &["tick 4294967295", "`tick`"],
        ),
        (
            "a first tick of 4 billion",
            |ticks| {
                for (index, row) in ticks.iter_mut().enumerate() {
                    at(row, 4_000_000_000 + index as u32);
                }
            },
            &["tick 4000000000", "`tick`"],
        ),
        (
            "many gaps that are too much together",
            |ticks| {
                for (index, row) in ticks.iter_mut().enumerate() {
                    at(row, index as u32 * 30_000);
                }
            },
            &["tick 120000", "`tick`"],
        ),
        (
            "a tick that is there twice",
            |ticks| at(&mut ticks[3], 2),
            &["tick 2", "`tick`"],
        ),
        (
            "ticks that go backwards",
            |ticks| ticks.swap(2, 4),
            &["tick 3", "`tick`"],
        ),
        (
            "a time that stands still",
            |ticks| ticks[3].edge_ns = ticks[2].edge_ns,
            &["tick 3", "`edge_ns`"],
        ),
        (
            "a time that goes backwards",
            |ticks| ticks[3].edge_ns = 0,
            &["tick 3", "`edge_ns`"],
        ),
        (
            "a time in the far future",
            |ticks| ticks[3].edge_ns = u64::MAX,
            &["tick 3", "`edge_ns`"],
        ),
        (
            "a time of another rate",
            |ticks| {
                for row in ticks {
                    row.edge_ns *= 2;
                }
            },
            &["tick 1", "`edge_ns`"],
        ),
        (
            "a position too many",
            |ticks| ticks[2].capture.position_rad.push(0.0).unwrap(),
            &["tick 2", "`/capture/joints position`", "3 numbers for 2 joints"],
        ),
        (
            "a velocity too few",
            |ticks| ticks[2].capture.velocity_rad_s.truncate(1),
            &["tick 2", "velocity`"],
        ),
        (
            "an arm's set point too short",
            |ticks| ticks[2].capture.arm_set_point_rad.truncate(1),
            &["tick 2", "`/capture/state arm_set_point_rad`"],
        ),
        (
            "a plan too long",
            |ticks| ticks[2].plan.action.push(0.0).unwrap(),
            &["tick 2", "`/plan action`"],
        ),
        (
            "a decision too short",
            |ticks| ticks[2].guard.action.truncate(1),
            &["tick 2", "`/guard action`"],
        ),
        (
            "where it leads too short",
            |ticks| ticks[2].guard.set_point_rad.truncate(1),
            &["tick 2", "`/guard set_point_rad`"],
        ),
        (
            "an action that was sent and is not there",
            |ticks| ticks[0].actuate.action.clear(),
            &["tick 0", "`/actuate action`", "0 numbers"],
        ),
        (
            "an action that no guard sends",
            |ticks| ticks[3].actuate.action[1] = -1.5,
            &["tick 3", "`/actuate action`", "-1.5"],
        ),
        (
            "a picture that is another",
            |ticks| ticks[4].capture.frame_hash ^= 1,
            &["tick 4", "`/capture/state frame_hash`", "`/capture`"],
        ),
        (
            "rows whose pictures are exchanged",
            |ticks| {
                let second = ticks[2].capture.frame_hash;
                ticks[2].capture.frame_hash = std::mem::replace(&mut ticks[1].capture.frame_hash, second);
            },
            &["tick 1", "`/capture/state frame_hash`"],
        ),
        (
            "a set point that was sent and is not there",
            |ticks| ticks[0].actuate.set_point_rad = JointVec::new(),
            &["tick 0", "`/actuate set_point_rad`"],
        ),
    ];
    for (what, change, words) in cases {
        let error = read(&log(&|_| {}, &change)).expect_err(what);
        assert!(
            matches!(error, EpisodeError::Inconsistent { .. }),
            "{what}: {error}"
        );
        let said = error.to_string();
        for word in words.iter().chain(&["memory: ", "field `", "leave this log out"]) {
            assert!(said.contains(word), "{what}: no {word:?} in {said}");
        }
    }
}

#[test]
fn another_robot_file_than_the_one_recorded_with_is_refused() {
    let of = |info: EpisodeInfo, text: &[u8]| {
        let disk = Disk::default();
        let files = [("robot.ron", "text/plain", text)];
        let writer = EpisodeWriter::from_writer(disk.clone(), Path::new("memory"), &info, &files, 1).unwrap();
        writer.finish().unwrap();
        read(&disk.bytes())
    };
    let unnamed = EpisodeInfo {
        config_sha256: String::new(),
        ..info()
    };
    assert!(of(info(), b"(name: \"arm\")").is_ok());
    assert!(of(unnamed, b"(name: \"another\")").is_ok());
    let error = of(info(), b"(name: \"another\")").unwrap_err();
    assert!(matches!(error, EpisodeError::RobotFile { .. }), "{error}");
    let said = error.to_string();
    for word in [
        "memory: ",
        "`config_sha256`",
        &info().config_sha256,
        "leave this log out",
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

#[test]
fn descriptions_that_cannot_be_are_refused_by_field() {
    type Change = fn(&mut EpisodeInfo);
    let cases: [(&str, Change); 8] = [
        ("period_s", |info| info.period_s = 0.0),
        ("period_s", |info| info.period_s = -0.05),
        ("period_s", |info| info.period_s = f32::NAN),
        ("period_s", |info| info.period_s = f32::INFINITY),
        ("period_s", |info| info.period_s = 1e30),
        ("period_s", |info| info.period_s = 1e-30),
        ("joint_names", |info| info.joint_names.clear()),
        ("joint_names", |info| {
            info.joint_names = vec!["joint".to_owned(); 9];
        }),
    ];
    for (field, change) in cases {
        let error = read(&log(&change, &|_| {})).expect_err(field);
        let said = error.to_string();
        assert!(matches!(error, EpisodeError::NotALog { .. }), "{said}");
        assert!(
            said.contains("memory: ") && said.contains(&format!("`{field}` = ")),
            "{said}"
        );
    }
}

#[test]
fn gaps_as_a_loop_that_was_held_up_leaves_them_stay_readable() {
    let gaps = |ticks: &mut Vec<TickRecord>| {
        for (row, number) in ticks.iter_mut().zip([0, 1, 4, 5, 2_000, 50_000]) {
            at(row, number);
            // The camera and the arm said nothing, and nothing was sent.
            row.actuate.sent = false;
            row.actuate.action.clear();
            row.capture.position_rad.clear();
        }
    };
    let episode = read(&log(&|_| {}, &gaps)).unwrap();
    assert!(episode.complete && episode.ticks.len() == 6);
    let untimed = |ticks: &mut Vec<TickRecord>| ticks.iter_mut().for_each(|row| row.edge_ns = 0);
    assert!(read(&log(&|_| {}, &untimed)).unwrap().complete);
    // An edge that comes a quarter of a period late is still that edge.
    let late = |ticks: &mut Vec<TickRecord>| ticks[3].edge_ns += PERIOD_NS / 4;
    assert!(read(&log(&|_| {}, &late)).unwrap().complete);
}

#[test]
fn fifos_and_devices_are_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("episode-000000.mcap");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    for path in [fifo.as_path(), Path::new("/dev/zero"), dir.path()] {
        let error = read_episode(path).unwrap_err();
        assert!(matches!(error, EpisodeError::Read { .. }), "{error}");
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
    // In a folder it is none of the logs, and neither is what is hidden.
    std::fs::create_dir(dir.path().join(".trash")).unwrap();
    for name in [
        "._episode-000001.mcap",
        ".trash/episode-000002.mcap",
        "episode-000003.mcap",
        "episode-000004.MCAP",
    ] {
        std::fs::write(dir.path().join(name), log(&|_| {}, &|_| {})).unwrap();
    }
    let found = list_episodes(dir.path()).unwrap();
    assert_eq!(
        found.logs,
        ["episode-000003.mcap", "episode-000004.MCAP"].map(|name| dir.path().join(name))
    );
    assert!(found.left_out.is_empty());
}
