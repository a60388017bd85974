//! Robot files that a person gets wrong: units, encodings, numbers that are none, and paths that lead to no file.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use robot::config::made::{Actuator, Made};
use robot::{Config, ConfigError};

const ARM: &str = include_str!("../../configs/sim-arm.ron");
const PLANAR: &str = include_str!("../../configs/sim-planar.ron");

/// A folder with one robot file in it.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("robot.ron")
    }

    fn load(&self, bytes: &[u8]) -> Result<Config, ConfigError> {
        std::fs::write(self.path(), bytes).expect("writes");
        Config::load(&self.path())
    }

    /// The message of a file that is refused. It names the file.
    fn refused(&self, bytes: &[u8]) -> String {
        let message = self.load(bytes).expect_err("refused").to_string();
        let path = self.path().display().to_string();
        assert!(message.starts_with(&path), "{message}");
        message
    }
}

/// `text` with one change, which must be one.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no `{from}`");
    text.replacen(from, to, 1)
}

#[test]
fn the_cameras_own_pictures_are_kept_only_where_the_file_says_so() {
    let folder = Folder::new();
    let kept = |text: &str| folder.load(text.as_bytes()).expect("sound").keep_pictures;
    let with = |value: &str| {
        changed(
            PLANAR,
            "gap_ticks: 5",
            &format!("gap_ticks: 5, keep_pictures: {value}"),
        )
    };
    assert_eq!(
        (kept(PLANAR), kept(&with("true")), kept(&with("false"))),
        (false, true, false)
    );
    let message = folder.refused(with("\"yes\"").as_bytes());
    assert!(
        message.contains(":17:") || message.contains("boolean"),
        "{message}"
    );
}

#[test]
fn the_side_of_pictures_is_64_or_what_the_file_says_of_those_there_are() {
    let folder = Folder::new();
    let with = |side: &str| changed(PLANAR, "gap_ticks: 5", &format!("gap_ticks: 5, side: {side}"));
    assert_eq!(folder.load(PLANAR.as_bytes()).expect("shipped").frame_side, 64);
    for side in [32, 64, 96, 256] {
        let config = folder.load(with(&side.to_string()).as_bytes()).expect("allowed");
        assert_eq!(config.frame_side, side);
    }
    for side in ["0", "16", "40", "97", "272"] {
        let message = folder.refused(with(side).as_bytes());
        for part in ["field `capture.side`", side, "multiple of 16 from 32 to 256"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn limits_in_degrees_are_refused_with_what_they_are_in_radians() {
    let folder = Folder::new();
    for (from, to, field, radians) in [
        (
            "(-2.9, 2.9)",
            "(-166.0, 166.0)",
            "joints[0].position_rad",
            "(-2.897, 2.897)",
        ),
        (
            "(-2.9, 2.9)",
            "(0.0, 20.0)",
            "joints[0].position_rad",
            "(0.0, 0.3491)",
        ),
        (
            "velocity_max_rad_s: 0.667",
            "velocity_max_rad_s: 38.2",
            "joints[0].velocity_max_rad_s",
            "0.6667",
        ),
        // Beyond the largest speed of any robot file: degrees are still the better guess.
        (
            "velocity_max_rad_s: 0.667",
            "velocity_max_rad_s: 382.0",
            "joints[0].velocity_max_rad_s",
            "6.667",
        ),
        (
            "acceleration_max_rad_s2: 10.0",
            "acceleration_max_rad_s2: 1500.0",
            "joints[0].acceleration_max_rad_s2",
            "26.18",
        ),
        ("home_rad: 0.8", "home_rad: 45.8", "joints[1].home_rad", "0.7994"),
    ] {
        let message = folder.refused(changed(PLANAR, from, to).as_bytes());
        for part in [field, "write radians", radians] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }
}

#[test]
fn a_joint_that_turns_far_or_fast_is_accepted_with_a_word_in_its_own_entry() {
    let folder = Folder::new();
    let winch = changed(PLANAR, "(-2.9, 2.9)", "(0.0, 250.0)");
    let winch = changed(&winch, "velocity_max_rad_s: 0.667", "velocity_max_rad_s: 60.0");
    let winch = changed(
        &winch,
        "acceleration_max_rad_s2: 10.0",
        "acceleration_max_rad_s2: 2000.0",
    );
    folder.refused(winch.as_bytes());
    let marked = changed(&winch, "home_rad: 0.0", "home_rad: 0.0, radians_checked: true");
    let config = folder.load(marked.as_bytes()).expect("its owner has said so");
    assert_eq!(config.envelope.joints()[0].position_max_rad, 250.0);
    // The word is for its own joint alone.
    let elbow = changed(&marked, "(-2.5, 2.5)", "(-143.0, 143.0)");
    let message = folder.refused(elbow.as_bytes());
    assert!(message.contains("joints[1].position_rad"), "{message}");
    // Two turns either way need no word.
    let wrist = changed(PLANAR, "(-2.9, 2.9)", "(-12.5, 12.5)");
    folder.load(wrist.as_bytes()).expect("two turns");
}

#[test]
fn lengths_in_millimetres_are_refused_with_what_they_are_in_metres() {
    let folder = Folder::new();
    for (from, to, field, metres) in [
        (
            "origin_m: (0.5, 0.0, 0.0)",
            "origin_m: (500.0, 0.0, 0.0)",
            "links[1].origin_m",
            "(0.5, 0.0, 0.0)",
        ),
        (
            "tip_m: (0.45, 0.0, 0.0)",
            "tip_m: (450.0, 0.0, 0.0)",
            "tip_m",
            "(0.45, 0.0, 0.0)",
        ),
        (
            "min: (-1.0, -1.0, 0.0)",
            "min: (-1000.0, -1000.0, 0.0)",
            "workspace_m",
            "(-1.0, -1.0, 0.0)",
        ),
        (
            "max: (1.0, 1.0, 0.5)",
            "max: (1.0, 1.0, 120.0)",
            "workspace_m",
            "(0.001, 0.001, 0.12)",
        ),
    ] {
        let text = changed(PLANAR, from, to);
        let message = folder.refused(text.as_bytes());
        for part in [field, "write metres", metres] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }
    let crane = changed(PLANAR, "origin_m: (0.5, 0.0, 0.0)", "origin_m: (20.0, 0.0, 0.0)");
    let crane = changed(&crane, "max: (1.0, 1.0, 0.5)", "max: (25.0, 25.0, 0.5)");
    folder.refused(crane.as_bytes());
    let crane = changed(&crane, "    links:", "    metres_checked: true,\n    links:");
    folder.load(crane.as_bytes()).expect("its owner has said so");
}

/// Logs keep the robot file that they were recorded with, whatever is thought of it since.
#[test]
fn the_text_of_a_log_is_read_as_it_is() {
    let degrees = changed(PLANAR, "(-2.9, 2.9)", "(-166.0, 166.0)");
    let degrees = changed(&degrees, "velocity_max_rad_s: 0.667", "velocity_max_rad_s: 38.2");
    Config::parse(Path::new("log"), degrees).expect("an old log's robot file");
    let old = changed(PLANAR, ", boot_s: 5.0", "");
    let config = Config::parse(Path::new("log"), old).expect("a robot file from before `boot_s`");
    assert_eq!(config.boot_s, 5.0);
}

/// Actuators and data sets have units of their own.
#[test]
fn a_made_robot_file_may_have_any_range() {
    let folder = Folder::new();
    let text = Made {
        comment: "goals in degrees, and in percent",
        name: "data",
        period_s: 0.05,
        episode_ticks: 100,
        actuators: &[("pan", -180.0, 180.0), ("gripper", -100.0, 100.0)].map(|(name, low, high)| Actuator {
            name: name.to_owned(),
            low,
            high,
        }),
        simulator: None,
    }
    .text();
    folder.load(text.as_bytes()).expect("a made robot file");
}

/// Every number of a robot file, in turn, is written as something that is no number.
#[test]
fn a_number_that_is_none_is_called_by_its_name() {
    let folder = Folder::new();
    let mut tried = 0;
    for (at, length) in decimals(ARM) {
        for (written, called) in [("NaN", "NaN"), ("inf", "inf"), ("-inf", "-inf"), ("1e39", "inf")] {
            let mut text = ARM.to_owned();
            text.replace_range(at..at + length, written);
            let message = folder.refused(text.as_bytes());
            let word = format!(" {called}, which is no finite number");
            assert!(
                message.contains("field `") && message.contains(&word),
                "{message}"
            );
            tried += 1;
        }
    }
    assert!(tried > 4 * 50, "{tried} numbers");
    let message = folder.refused(changed(ARM, "axis: (0.0, 0.0, 1.0)", "axis: (NaN, 0.0, 1.0)").as_bytes());
    assert!(message.contains("`links[0].axis`: holds NaN"), "{message}");
}

/// Where the numbers with a decimal point stand in a robot file, and how long they are.
fn decimals(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or_default();
        let mut from = 0;
        while let Some(dot) = code[from..].find('.').map(|dot| from + dot) {
            let numeric = |letter: char| letter.is_ascii_digit() || letter == '-' || letter == '.';
            let begin = code[..dot]
                .rfind(|letter| !numeric(letter))
                .map_or(0, |at| at + 1);
            let end = code[dot..]
                .find(|letter| !numeric(letter))
                .map_or(code.len(), |at| dot + at);
            found.push((start + begin, end - begin));
            from = end;
        }
        start += line.len();
    }
    found
}

#[test]
fn an_axis_without_a_direction_is_named() {
    let folder = Folder::new();
    for axis in ["(0.0, 0.0, 0.0)", "(1e-9, 0.0, 0.0)", "(0.0, 1e30, 0.0)"] {
        let text = changed(ARM, "axis: (0.0, -1.0, 0.0)", &format!("axis: {axis}"));
        let message = folder.refused(text.as_bytes());
        assert!(message.contains("`links[1].axis`"), "{message}");
        assert!(message.contains("direction"), "{message}");
    }
}

#[test]
fn other_encodings_are_named_and_none_is_called_a_missing_file() {
    let folder = Folder::new();
    let wide = |mark: bool, encode: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let mark = mark.then_some(0xFEFF_u16);
        mark.into_iter()
            .chain(ARM.encode_utf16())
            .flat_map(encode)
            .collect()
    };
    let wider = |mark: bool, encode: fn(u32) -> [u8; 4]| -> Vec<u8> {
        let mark = mark.then_some(0xFEFF_u32);
        let letters = ARM.chars().map(u32::from);
        mark.into_iter().chain(letters).flat_map(encode).collect()
    };
    let mut cases = Vec::new();
    for mark in [true, false] {
        cases.push((wide(mark, u16::to_le_bytes), "UTF-16 (little-endian)"));
        cases.push((wide(mark, u16::to_be_bytes), "UTF-16 (big-endian)"));
        cases.push((wider(mark, u32::to_le_bytes), "UTF-32 (little-endian)"));
        cases.push((wider(mark, u32::to_be_bytes), "UTF-32 (big-endian)"));
    }
    cases.push((
        changed(ARM, "sim-arm", "caf\u{e9}")
            .chars()
            .map(|letter| letter as u8)
            .collect(),
        "line 3 holds the byte 0xE9",
    ));
    cases.push((
        changed(ARM, "sim-arm", "sim\0arm").into_bytes(),
        "line 3 holds a NUL byte",
    ));
    cases.push((ARM.replace('\n', "\r").into_bytes(), "carriage returns"));
    cases.push((vec![0x1F, 0x8B, 8, 0], "line 1 holds the byte 0x8B"));
    for (bytes, words) in cases {
        let message = folder.refused(&bytes);
        assert!(message.contains(words), "no `{words}` in: {message}");
        assert!(message.contains("save it as plain UTF-8 text"), "{message}");
        assert!(!message.contains("name an existing one"), "{message}");
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_change_nothing() {
    let folder = Folder::new();
    let plain = folder.load(ARM.as_bytes()).expect("the shipped file");
    let marked = folder
        .load(format!("\u{feff}{ARM}").as_bytes())
        .expect("with a mark");
    assert_eq!((&marked.text, &marked.sha256), (&plain.text, &plain.sha256));
    folder
        .load(ARM.replace('\n', "\r\n").as_bytes())
        .expect("with line ends of Windows");
}

#[test]
fn what_is_no_file_is_refused_unopened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    // Nobody ever writes to it: to open it would wait for ever.
    nix::unistd::mkfifo(&path("pipe"), Mode::S_IRWXU).expect("a pipe");
    let _listener = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
    File::create(path("large"))
        .and_then(|file| file.set_len(4 << 30))
        .expect("a sparse file");
    for (path, words) in [
        (path("pipe"), "is a pipe (FIFO), not a robot file"),
        (path("socket"), "is a socket, not a robot file"),
        (folder.path().to_owned(), "is a folder, not a robot file"),
        (PathBuf::from("/dev/zero"), "is a device, not a robot file"),
        (path("large"), "is larger than 1048576 bytes"),
        (path("nowhere.ron"), "name an existing one"),
    ] {
        let message = Config::load(&path).expect_err("refused").to_string();
        assert!(message.contains(words), "no `{words}` in: {message}");
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
}

#[test]
fn a_simulated_arm_is_the_simulated_task_of_before() {
    let place = Folder::new();
    let written = "    simulator: (task: \"reach-planar\", substeps: 5),";
    let before = place.load(PLANAR.as_bytes()).expect("loads").simulator;
    let named = "    arm: simulated(task: \"reach-planar\", substeps: 5),";
    let config = place
        .load(changed(PLANAR, written, named).as_bytes())
        .expect("loads");
    assert!(before.is_some());
    assert_eq!(config.simulator, before);
    assert!(
        config.arm.is_none() && config.camera.is_none(),
        "nothing is plugged in"
    );
    let both = format!("{written}\n{named}");
    let said = place.refused(changed(PLANAR, written, &both).as_bytes());
    for word in ["`simulator`", "arm: simulated", "remove one"] {
        assert!(said.contains(word), "no {word} in {said}");
    }
    for (line, words) in [
        ("arm: simulated(task: \"reach-planar\"),", ["`arm`", "`substeps`"]),
        (
            "arm: simulated(task: \"reach-planar\", substeps: 0),",
            ["`simulator.substeps`", "0"],
        ),
        (
            "arm: simulated(task: \"reach-planar\", substeps: 5, speed: 2),",
            ["`arm`", "`speed`"],
        ),
    ] {
        let said = place.refused(changed(PLANAR, written, line).as_bytes());
        for word in words {
            assert!(said.contains(word), "{line}: no {word} in {said}");
        }
    }
}

#[test]
fn what_is_plugged_in_is_kept_as_it_is_written() {
    let place = Folder::new();
    let capture = "    capture: (";
    let lines = "    arm: feetech(port: \"/dev/a\", ids: [1, 2]), // two servos\n    camera: webcam(device: \"x\"),\n    capture: (";
    let config = place
        .load(changed(PLANAR, capture, lines).as_bytes())
        .expect("loads");
    let (arm, camera) = (config.arm.expect("an arm"), config.camera.expect("a camera"));
    assert!(arm.is("feetech") && !arm.is("fee") && camera.is("webcam"));
    let said = arm.refuse("is wrong", "mend it").to_string();
    assert!(said.contains("`arm`: is wrong; mend it"), "{said}");
}

/// Each change would leave an arm without a trust monitor, or without a watchdog, for as long as an episode lasts.
const LAX: [(&str, &str, &str); 17] = [
    (
        "track_ticks: 10",
        "track_ticks: 10, kl_sum_nats: Some(1e9)",
        "trust.kl_sum_nats",
    ),
    (
        "track_ticks: 10",
        "track_ticks: 10, kl_sum_nats: Some(NaN)",
        "trust.kl_sum_nats",
    ),
    (
        "track_ticks: 10",
        "track_ticks: 10, tail_ticks: 101",
        "trust.tail_ticks",
    ),
    ("gap_ticks: 5", "gap_ticks: 4294967295", "capture.gap_ticks"),
    ("gap_ticks: 5", "gap_ticks: 101", "capture.gap_ticks"),
    ("gap_ticks: 5", "gap_ticks: 0", "capture.gap_ticks"),
    ("kl_ticks: 10", "kl_ticks: 4294967295", "trust.kl_ticks"),
    ("frozen_ticks: 10", "frozen_ticks: 1000000", "trust.frozen_ticks"),
    ("track_ticks: 10", "track_ticks: 200", "trust.track_ticks"),
    ("kl_max_nats: 200.0", "kl_max_nats: 1e9", "trust.kl_max_nats"),
    ("kl_max_nats: 200.0", "kl_max_nats: inf", "trust.kl_max_nats"),
    ("track_max_rad: 0.4", "track_max_rad: 3.2", "trust.track_max_rad"),
    ("track_max_rad: 0.4", "track_max_rad: NaN", "trust.track_max_rad"),
    (
        "track_ticks: 10",
        "track_ticks: 10, light_change_max: 1e9",
        "trust.light_change_max",
    ),
    (
        "watchdog_periods: 2.5",
        "watchdog_periods: 100.5",
        "link.watchdog_periods",
    ),
    (
        "torque_grace_s: 1.0",
        "torque_grace_s: 1e6",
        "link.torque_grace_s",
    ),
    (
        "torque_grace_s: 1.0",
        "torque_grace_s: inf",
        "link.torque_grace_s",
    ),
];

#[test]
fn settings_that_switch_the_trust_monitor_off_are_refused_by_name_and_range() {
    let folder = Folder::new();
    for (from, to, field) in LAX {
        let message = folder.refused(changed(PLANAR, from, to).as_bytes());
        for part in [&format!("field `{field}`"), "choose", " to "] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }
    // As far as it goes.
    for (from, to) in [
        ("gap_ticks: 5", "gap_ticks: 100"),
        ("kl_ticks: 10", "kl_ticks: 0"),
        ("kl_max_nats: 200.0", "kl_max_nats: 10000.0"),
        ("watchdog_periods: 2.5", "watchdog_periods: 100.0"),
    ] {
        folder.load(changed(PLANAR, from, to).as_bytes()).expect("sound");
    }
    // Ticks are counted in seconds.
    let fast = changed(PLANAR, "period_s: 0.1", "period_s: 0.01");
    folder
        .load(changed(&fast, "gap_ticks: 5", "gap_ticks: 1000").as_bytes())
        .expect("ten seconds");
}

#[test]
fn a_log_keeps_such_a_robot_file_and_is_read() {
    let text = changed(PLANAR, "gap_ticks: 5", "gap_ticks: 100000");
    let text = changed(&text, "kl_max_nats: 200.0", "kl_max_nats: 1e9");
    let config = Config::parse(Path::new("episode.mcap"), text).expect("believed");
    assert_eq!((config.frame_gap_ticks, config.trust.kl_max_nats), (100_000, 1e9));
}

#[test]
fn a_reward_is_of_a_goal_that_the_arm_can_reach() {
    let folder = Folder::new();
    let with = |reward: &str| {
        changed(
            PLANAR,
            "    capture: (",
            &format!("    reward: {reward},\n    capture: ("),
        )
    };
    for (reward, name) in [
        ("simulator", None),
        (
            "joint_goal(goal_rad: [0.5, -0.5], scale_rad: 0.3)",
            Some("joint_goal(goal_rad: [0.5, -0.5], scale_rad: 0.3, weight: 1.0)"),
        ),
        (
            "tip_goal(goal_m: (0.5, 0.5, 0.1), scale_m: 0.1, weight: 2.0, success: (within_m: 0.02, ticks: 5))",
            Some(
                "tip_goal(goal_m: (0.5, 0.5, 0.1), scale_m: 0.1, weight: 2.0, success: (within_m: 0.02, ticks: 5))",
            ),
        ),
    ] {
        let config = folder.load(with(reward).as_bytes()).expect("sound");
        assert_eq!(config.reward.map(|rule| rule.to_string()).as_deref(), name);
    }
    for (reward, words) in [
        ("joint_goal(goal_rad: [0.5], scale_rad: 0.3)", "reward.goal_rad"),
        (
            "joint_goal(goal_rad: [0.5, 9.0], scale_rad: 0.3)",
            "`elbow` can reach",
        ),
        (
            "joint_goal(goal_rad: [0.5, 0.5], scale_rad: 0.0)",
            "reward.scale_rad",
        ),
        (
            "joint_goal(goal_rad: [0.5, 0.5], scale_rad: NaN)",
            "reward.scale_rad",
        ),
        (
            "tip_goal(goal_m: (0.5, 0.5, 0.1), scale_m: 0.1, weight: -1.0)",
            "reward.weight",
        ),
        (
            "tip_goal(goal_m: (500.0, 0.0, 100.0), scale_m: 0.1)",
            "outside of the workspace box",
        ),
        (
            "tip_goal(goal_m: (0.5, 0.5, 0.1), scale_m: 0.1, success: (within_m: 0.02, ticks: 0))",
            "reward.success.ticks",
        ),
        (
            "tip_goal(goal_m: (0.5, 0.5, 0.1), scale_m: 0.1, success: (within_rad: 0.02, ticks: 3))",
            "within_rad",
        ),
        ("applause", "applause"),
    ] {
        let message = folder.refused(with(reward).as_bytes());
        assert!(message.contains(words), "{reward}: {message}");
    }
}

#[test]
fn the_pose_in_which_an_arm_is_laid_down_is_one_that_it_can_reach() {
    let folder = Folder::new();
    let with = |park: &str| changed(PLANAR, "link: (baud", &format!("park: {park},\n    link: (baud"));
    let sound = folder
        .load(with("(pose_rad: [0.1, -0.2])").as_bytes())
        .expect("sound");
    let park = sound.park.expect("a pose");
    assert_eq!(&park.pose_rad[..], [0.1, -0.2]);
    assert_eq!(folder.load(PLANAR.as_bytes()).expect("sound").park, None);
    for (park, field) in [
        ("(pose_rad: [0.1])", "park.pose_rad"),
        ("(pose_rad: [0.1, 0.2, 0.3])", "park.pose_rad"),
        ("(pose_rad: [0.1, NaN])", "park.pose_rad"),
        ("(pose_rad: [3.0, 0.0])", "park.pose_rad"),
        ("(pose_rad: [0.1, 0.2], speed_rad_s: 0.0)", "park.speed_rad_s"),
        ("(pose_rad: [0.1, 0.2], speed_rad_s: 0.7)", "park.speed_rad_s"),
        ("(pose_rad: [0.1, 0.2], speed_rad_s: inf)", "park.speed_rad_s"),
    ] {
        let message = folder.refused(with(park).as_bytes());
        assert!(message.contains(field), "{park}: {message}");
    }
    // The box ends before the arm does.
    let narrow = changed(
        &with("(pose_rad: [0.0, 0.0])"),
        "max: (1.0, 1.0, 0.5)",
        "max: (0.9, 1.0, 0.5)",
    );
    let message = folder.refused(narrow.as_bytes());
    assert!(message.contains("workspace"), "{message}");
}
