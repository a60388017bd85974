//! The joints of a log as an arm.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use devices::playback::PlaybackArm;
use devices::{Arm, Opening};
use episode::{CaptureRow, EpisodeInfo, EpisodeWriter, TickRecord};
use robot::device::{ArmReport, ArmState, DeviceError, JointBus, LinkError, Signals};
use robot::{Config, JointVec, VirtualClock};

/// The shipped robot file, of two joints, with `arm: playback(..)` in it.
fn robot(log: &Path) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let line = format!("    arm: playback(log: {log:?}),\n    capture: (");
    let text = text.replace("    capture: (", &line);
    Config::parse(Path::new("robot.ron"), text).expect("a sound robot file")
}

fn vec(values: &[f32]) -> JointVec {
    values.iter().copied().collect()
}

/// A row in which joint j is at `tick + j / 10` radians, led to 0.5 more, at a velocity of `tick`.
fn row(tick: u32, joints: usize) -> TickRecord {
    let position_rad: JointVec = (0..joints)
        .map(|joint| tick as f32 + joint as f32 / 10.0)
        .collect();
    TickRecord {
        tick,
        capture: CaptureRow {
            arm: ArmState::Active,
            arm_set_point_rad: position_rad.iter().map(|rad| rad + 0.5).collect(),
            velocity_rad_s: position_rad.iter().map(|_| tick as f32).collect(),
            position_rad,
            ..CaptureRow::default()
        },
        ..TickRecord::default()
    }
}

/// A folder with a log of an arm of `joints` joints.
struct Logged {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn logged(joints: usize, period_s: f32, rows: &[TickRecord]) -> Logged {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("episode-000000.mcap");
    let info = EpisodeInfo {
        period_s,
        joint_names: (0..joints).map(|joint| format!("joint {joint}")).collect(),
        ..EpisodeInfo::default()
    };
    let mut writer = EpisodeWriter::create(&path, &info, &[]).expect("creates");
    for row in rows {
        writer.write_tick(row, None, 0).expect("writes");
    }
    writer.finish().expect("ends");
    Logged { _dir: dir, path }
}

/// An arm that plays the rows of `ticks`, of two joints.
struct Bench {
    arm: PlaybackArm,
    clock: Arc<VirtualClock>,
    period_ns: u64,
}

impl Bench {
    fn new(ticks: &[u32]) -> Self {
        let period_s = robot(Path::new("x")).period_s;
        let rows: Vec<TickRecord> = ticks.iter().map(|tick| row(*tick, 2)).collect();
        Self::of(&logged(2, period_s, &rows)).expect("an arm")
    }

    fn of(logged: &Logged) -> Result<Self, DeviceError> {
        let (clock, config) = (Arc::new(VirtualClock::default()), robot(&logged.path));
        let period_ns = (f64::from(config.period_s) * 1e9).round() as u64;
        let arm = PlaybackArm::open(&logged.path, &config, clock.clone())?;
        Ok(Self {
            arm,
            clock,
            period_ns,
        })
    }

    /// Sends a set point, which changes nothing but whether the arm plays.
    fn command(&mut self) {
        self.arm
            .send_set_point(&[9.0, 9.0], 50_000, 75_000)
            .expect("accepted");
    }

    /// Shakes hands and plays from now on.
    fn start(&mut self) {
        assert_eq!(self.arm.handshake().expect("an arm").joints, 2);
        self.command();
    }

    fn report(&mut self) -> ArmReport {
        self.arm.poll().expect("an arm").expect("a report at each poll")
    }

    /// What the arm does, and the tick of the row that it reports.
    fn seen(&mut self) -> (ArmState, u32) {
        let report = self.report();
        (report.state, report.position_rad[0] as u32)
    }

    fn wait(&self, periods: f64) {
        self.clock.advance_ns((periods * self.period_ns as f64) as u64);
    }
}

#[test]
fn it_rests_until_it_is_driven_and_then_reports_a_row_a_period() {
    let mut bench = Bench::new(&[0, 1, 2]);
    bench.arm.handshake().expect("an arm");
    bench.wait(7.0);
    let resting = ArmReport {
        state: ArmState::Idle,
        refused: false,
        position_rad: vec(&[0.0, 0.1]),
        velocity_rad_s: vec(&[0.0, 0.0]),
        set_point_rad: vec(&[0.0, 0.1]),
    };
    assert_eq!(bench.report(), resting);
    bench.command();
    assert_eq!(bench.seen(), (ArmState::Active, 0));
    bench.wait(1.0);
    let played = ArmReport {
        state: ArmState::Active,
        refused: false,
        position_rad: vec(&[1.0, 1.1]),
        velocity_rad_s: vec(&[1.0, 1.0]),
        set_point_rad: vec(&[1.5, 1.6]),
    };
    assert_eq!(bench.report(), played);
    // Set points do nothing.
    bench.command();
    assert_eq!(bench.report(), played);
    bench.wait(1.0);
    assert_eq!(bench.seen(), (ArmState::Active, 2));
}

#[test]
fn a_loop_that_is_a_little_late_or_early_gets_each_row_once() {
    let mut bench = Bench::new(&[0, 1, 2, 3]);
    bench.arm.handshake().expect("an arm");
    bench.wait(0.4);
    bench.command();
    for (periods, tick) in [(0.6, 1), (1.0, 2), (1.45, 3)] {
        bench.wait(periods);
        assert_eq!(bench.seen(), (ArmState::Active, tick));
    }
}

#[test]
fn edges_that_the_log_skipped_stay_in_the_row_before() {
    let mut bench = Bench::new(&[2, 3, 6]);
    bench.start();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(bench.seen().1);
        bench.wait(1.0);
    }
    assert_eq!(seen, [2, 3, 3, 3, 6]);
}

#[test]
fn a_stop_halts_it_where_it_is_and_a_set_point_lets_it_go_on() {
    let mut bench = Bench::new(&[0, 1, 2, 3]);
    bench.start();
    // Between two rows, nearer to the next.
    bench.wait(0.75);
    bench.arm.send_stop().expect("sent");
    bench.wait(20.0);
    let held = bench.report();
    assert_eq!((held.state, held.refused), (ArmState::Held, false));
    assert_eq!(held.position_rad, vec(&[1.0, 1.1]));
    assert_eq!(held.set_point_rad, held.position_rad);
    assert_eq!(held.velocity_rad_s, vec(&[0.0, 0.0]));
    bench.command();
    assert_eq!(bench.seen(), (ArmState::Active, 1));
    bench.wait(1.0);
    assert_eq!(bench.seen(), (ArmState::Active, 2));
    // The next session plays the log from its beginning.
    bench.start();
    assert_eq!(bench.seen(), (ArmState::Active, 0));
}

#[test]
fn a_release_lasts_until_a_handshake() {
    let mut bench = Bench::new(&[0, 1, 2]);
    bench.start();
    bench.wait(1.0);
    bench.arm.send_release().expect("sent");
    assert_eq!(bench.seen(), (ArmState::Released, 1));
    bench.command();
    assert!(bench.report().refused);
    assert_eq!(bench.seen(), (ArmState::Released, 1));
    // It is off already: there is nothing to hold.
    bench.arm.send_stop().expect("sent");
    assert_eq!(bench.seen(), (ArmState::Released, 1));
    bench.start();
    assert!(!bench.report().refused);
    assert_eq!(bench.seen(), (ArmState::Active, 0));
}

#[test]
fn an_emergency_stop_lasts_until_a_clearance_and_a_handshake() {
    let mut bench = Bench::new(&[0, 1, 2]);
    bench.start();
    bench.wait(1.0);
    bench.arm.send_e_stop().expect("sent");
    bench.wait(1.0);
    assert_eq!(bench.seen(), (ArmState::EStopped, 1));
    for send in [JointBus::send_stop, JointBus::send_release] {
        send(&mut bench.arm).expect("sent");
        assert_eq!(bench.seen(), (ArmState::EStopped, 1));
    }
    bench.start();
    assert!(bench.report().refused);
    assert_eq!(bench.report().state, ArmState::EStopped);
    bench.arm.send_clear_e_stop().expect("sent");
    let unheard = bench.arm.send_set_point(&[0.0, 0.0], 0, 0);
    assert!(matches!(unheard, Err(LinkError::NoSession { .. })), "{unheard:?}");
    bench.start();
    assert_eq!(bench.seen(), (ArmState::Active, 0));
}

#[test]
fn a_log_that_ends_says_so_and_can_be_stopped() {
    let mut bench = Bench::new(&[0, 1]);
    bench.start();
    bench.wait(1.45);
    assert_eq!(bench.seen(), (ArmState::Active, 1));
    bench.wait(0.1);
    let said = bench.arm.poll().unwrap_err().to_string();
    for word in ["episode-000000.mcap", "ended after its 2 rows", "`arm.log`"] {
        assert!(said.contains(word), "no {word} in {said}");
    }
    bench.arm.send_stop().expect("sent");
    assert_eq!(bench.seen(), (ArmState::Held, 1));
}

#[test]
fn set_points_of_another_arm_are_refused() {
    let mut bench = Bench::new(&[0]);
    bench.start();
    let refused = bench.arm.send_set_point(&[0.0; 3], 0, 0);
    assert!(
        matches!(
            refused,
            Err(LinkError::JointCountMismatch {
                expected: 3,
                reported: 2,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn rows_without_measured_joints_are_passed_over_and_what_a_row_lacks_is_made_up_for() {
    let period_s = robot(Path::new("x")).period_s;
    let mut rows: Vec<TickRecord> = (0..4).map(|tick| row(tick, 2)).collect();
    rows[0].capture = CaptureRow::default();
    rows[1].capture.velocity_rad_s.clear();
    rows[1].capture.arm_set_point_rad.clear();
    rows[2].capture.position_rad[1] = f32::NAN;
    let mut bench = Bench::of(&logged(2, period_s, &rows)).expect("an arm");
    bench.start();
    let first = bench.report();
    assert_eq!(first.position_rad, vec(&[1.0, 1.1]));
    assert_eq!(first.velocity_rad_s, vec(&[0.0, 0.0]));
    assert_eq!(first.set_point_rad, first.position_rad);
    bench.wait(1.0);
    assert_eq!(bench.seen().1, 1);
    bench.wait(1.0);
    assert_eq!(bench.seen().1, 3);
}

#[test]
fn a_log_that_does_not_fit_is_refused_by_name_with_a_remedy() {
    let period_s = robot(Path::new("x")).period_s;
    let silent = TickRecord::default();
    let cases: [(Logged, &[&str]); 4] = [
        (
            logged(3, period_s, &[row(0, 3)]),
            &["3 joints", "sim-planar", "has 2", "`arm.log`"],
        ),
        (
            logged(2, 2.0 * period_s, &[row(0, 2)]),
            &["control periods", "`period_s`", "sim-planar", "`arm.log`"],
        ),
        (logged(2, period_s, &[]), &["no row", "`arm.log`"]),
        (logged(2, period_s, &[silent]), &["no row", "`arm.log`"]),
    ];
    for (logged, words) in cases {
        let said = Bench::of(&logged).err().expect("refused").to_string();
        for word in words.iter().chain(&["episode-000000.mcap"]) {
            assert!(said.contains(word), "no {word} in {said}");
        }
    }
    let missing = Path::new("nowhere.mcap");
    let said = PlaybackArm::open(missing, &robot(missing), Arc::new(VirtualClock::default()))
        .err()
        .expect("refused")
        .to_string();
    assert!(said.contains("nowhere.mcap: cannot read"), "{said}");
}

#[test]
fn a_log_that_was_cut_off_is_played_up_to_there() {
    let period_s = robot(Path::new("x")).period_s;
    let logged = logged(2, period_s, &[row(0, 2), row(1, 2)]);
    let whole = std::fs::read(&logged.path).expect("reads");
    std::fs::write(&logged.path, &whole[..whole.len() - 40]).expect("writes");
    let mut bench = Bench::of(&logged).expect("an arm");
    bench.start();
    bench.wait(1.0);
    assert_eq!(bench.seen(), (ArmState::Active, 1));
}

#[test]
fn a_robot_file_names_it() {
    let period_s = robot(Path::new("x")).period_s;
    let logged = logged(2, period_s, &[row(4, 2), row(5, 2)]);
    let (config, signals) = (robot(&logged.path), Signals::default());
    let mut named = Arm::of(&config, None).expect("an arm");
    let opening = Opening {
        config: &config,
        signals: &signals,
    };
    let mut bus = named.open(&opening).expect("opens");
    assert_eq!(bus.port(), logged.path.display().to_string());
    bus.handshake().expect("an arm");
    let report = bus.poll().expect("an arm").expect("a report");
    assert_eq!(
        (report.state, report.position_rad),
        (ArmState::Idle, vec(&[4.0, 4.1]))
    );
    // It has no port, and no torque that could be taken off.
    let said = Arm::of(&config, Some(Path::new("/dev/given")))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("--port /dev/given") && said.contains("leave --port out"),
        "{said}"
    );
    let said = named.e_stop(&config).unwrap_err().to_string();
    for word in [
        "sim-planar",
        "moves nothing",
        "the robot file of the arm that moves",
    ] {
        assert!(said.contains(word), "no {word} in {said}");
    }
}
