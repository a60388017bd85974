//! `armillary doctor` on emulated servos, and on machines that are folders. It moves nothing and writes nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use armillary::doctor::{Examination, Finding, State, System, machine, ports};
use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, PtyEnd, serve};
use devices::feetech::{self, Feetech};
use devices::servo_bus::Family;
use robot::{Clock, Config, VirtualClock};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

/// The planar arm with two servos at `port`, and no camera. Servos may take 140 ms to answer.
fn robot_file(dir: &Path, kind: &str, port: &Path) -> PathBuf {
    let text = fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
    let arm =
        format!("    arm: {kind}(port: {port:?}, servos: [(id: 1), (id: 2)], rate_hz: 5.0),\n    capture: (");
    let text = text
        .replacen("    capture: (", &arm, 1)
        .replace("period_s: 0.1", "period_s: 0.5");
    let path = dir.join("robot.ron");
    fs::write(&path, text).expect("writes");
    path
}

/// Runs `doctor --json`; what it printed, and whether it succeeded.
fn doctor(robot: &Path) -> (Value, bool) {
    let output = Command::new(PROGRAM)
        .args(["doctor", "--json", "--robot"])
        .arg(robot)
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (
        serde_json::from_str(&text).expect("JSON"),
        output.status.success(),
    )
}

/// The state of a check, the worst if there are several; `None` if there is none.
fn state(printed: &Value, name: &str, about: &str) -> Option<String> {
    let findings = printed["findings"].as_array().expect("findings");
    let states = findings
        .iter()
        .filter(|finding| finding["name"] == name && finding["about"].as_str().expect("text").contains(about))
        .map(|finding| finding["state"].as_str().expect("text").to_owned());
    states.max_by_key(|state| {
        ["skipped", "ok", "warn", "fail"]
            .iter()
            .position(|name| name == state)
    })
}

fn served<P: Emulated>(servos: Vec<EmulatedServo<P>>) -> PtyEnd<P> {
    let mut wire = EmulatedBus::new(1_000_000, servos);
    wire.follows_host = true;
    serve(wire).expect("a terminal")
}

/// A servo at the rate of the robot file that somebody has left holding.
fn holding<P: Emulated>(id: u8) -> EmulatedServo<P> {
    let mut servo = EmulatedServo::<P>::new(id, 2048);
    servo.set(P::BAUD, P::baud_code(1_000_000).expect("known").into());
    servo.set(P::ROLES.goal_position, 2048);
    servo.set(P::ROLES.torque_enable, 1);
    servo
}

#[test]
fn a_sound_arm_is_found_sound_and_nothing_is_written_to_it() {
    fn check<P: Emulated>(kind: &str) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let end = served::<P>([1, 2].map(holding).into());
        let robot = robot_file(dir.path(), kind, end.path());
        let (printed, passed) = doctor(&robot);
        assert!(passed, "{printed:#}");
        for name in [
            "bus.open",
            "servo.answers",
            "servo.supply",
            "servo.temperature",
            "servo.faults",
            "bus.firmware",
            "bus.others",
        ] {
            assert_eq!(
                state(&printed, name, "").as_deref(),
                Some("ok"),
                "{name}: {printed:#}"
            );
        }
        // As delivered, they turn further than the robot file says.
        assert_eq!(state(&printed, "servo.limits", "").as_deref(), Some("warn"));
        let wire = end.finish().expect("served until now");
        assert!(wire.requests() > 250, "every id was asked");
        assert_eq!(wire.writes(), 0);
        for servo in &wire.servos {
            assert!(servo.torque_on() && (servo.motor().position_ticks - 2048.0).abs() < 0.5);
        }
    }
    check::<Feetech>("feetech");
    check::<Dynamixel>("dynamixel");
}

#[test]
fn what_is_wrong_with_servos_is_told_with_its_remedy() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut hot = holding::<Feetech>(1);
    hot.faults.temperature_c = Some(75.0);
    hot.faults.status = Feetech::STATUS_BITS.temperature;
    hot.set(feetech::registers::MAX_VOLTAGE, 80);
    let mut slow = EmulatedServo::<Feetech>::new(2, 2048);
    slow.set(feetech::registers::BAUD, 4);
    let end = served(vec![hot, slow, EmulatedServo::new(77, 2048)]);
    let (printed, passed) = doctor(&robot_file(dir.path(), "feetech", end.path()));
    assert!(!passed);
    for (name, about, expected) in [
        ("servo.answers", "shoulder (id 1)", "ok"),
        ("servo.supply", "shoulder (id 1)", "fail"),
        ("servo.temperature", "shoulder (id 1)", "fail"),
        ("servo.faults", "shoulder (id 1)", "fail"),
        ("servo.answers", "elbow (id 2)", "fail"),
        ("bus.others", "", "warn"),
        ("bus.rate", "", "warn"),
    ] {
        assert_eq!(
            state(&printed, name, about).as_deref(),
            Some(expected),
            "{name}: {printed:#}"
        );
    }
    let findings = printed["findings"].as_array().expect("findings");
    for finding in findings {
        let wrong = finding["state"] == "fail" || finding["state"] == "warn";
        assert_eq!(wrong, finding["remedy"] != "", "{finding}");
    }
    let count = |state: &str| {
        findings
            .iter()
            .filter(|finding| finding["state"] == state)
            .count()
    };
    assert_eq!(printed["counts"]["fail"], count("fail"));
    assert_eq!(
        (&printed["format"], &printed["passed"]),
        (&Value::from(1), &Value::from(false))
    );
    assert_eq!(end.finish().expect("served until now").writes(), 0);
}

#[test]
fn two_servos_of_one_id_are_told() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let end = served([1, 2, 2].map(holding::<Feetech>).into());
    let (printed, passed) = doctor(&robot_file(dir.path(), "feetech", end.path()));
    assert!(!passed);
    assert_eq!(
        state(&printed, "servo.answers", "elbow").as_deref(),
        Some("fail"),
        "{printed:#}"
    );
    assert_eq!(end.finish().expect("served until now").writes(), 0);
}

/// A machine in a folder.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().expect("temporary folder"));
        for (path, text) in files {
            machine.put(path, text);
        }
        machine
    }

    fn put(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("makes");
        fs::write(&path, text).expect("writes");
        path
    }

    fn system(&self) -> System {
        System::below(self.0.path())
    }
}

fn found(examine: impl FnOnce(&mut Examination<'_>)) -> Vec<Finding> {
    let mut silent = |_: &Finding| {};
    let mut examination = Examination::new(&mut silent);
    examine(&mut examination);
    examination.findings().to_vec()
}

fn one<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    let mut named = findings.iter().filter(|finding| finding.name == name);
    let finding = named.next().unwrap_or_else(|| panic!("no {name}: {findings:#?}"));
    assert!(named.next().is_none(), "several {name}");
    finding
}

/// A clock whose naps last longer than they should.
struct Sleepy {
    clock: VirtualClock,
    late_ns: u64,
    step_ns: u64,
}

impl Clock for Sleepy {
    fn now_ns(&self) -> u64 {
        self.clock.advance_ns(self.step_ns);
        self.clock.now_ns()
    }

    fn sleep_until_ns(&self, deadline_ns: u64) {
        self.clock.sleep_until_ns(deadline_ns + self.late_ns);
    }
}

fn examined(machine: &Machine, config: Option<&Config>, clock: &dyn Clock) -> Vec<Finding> {
    found(|examination| {
        machine::examine(examination, &machine.system(), config, machine.0.path(), clock);
    })
}

const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max locked memory         8388608              8388608              bytes\n\
                      Max realtime priority     30                   30\n";
const NOBODY: &str = "Name:\tarmillary\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t1000\nCapEff:\t0000000000000000\n";

#[test]
fn limits_governor_and_clock_of_a_machine_are_judged_by_what_the_robot_file_asks_for() {
    let text = fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
    let asks = text
        .replace("tick_priority: 0", "tick_priority: 80")
        .replace("lock_memory: false", "lock_memory: true");
    let config = |text: String| Config::parse(Path::new("robot.ron"), text).expect("sound");
    let (modest, asking) = (config(text), config(asks));
    let prompt = Sleepy {
        clock: VirtualClock::default(),
        late_ns: 10_000,
        step_ns: 30,
    };
    let late = Sleepy {
        clock: VirtualClock::default(),
        late_ns: 30_000_000,
        step_ns: 1_000_000,
    };
    let poor = Machine::new(&[
        ("proc/self/limits", LIMITS),
        ("proc/self/status", NOBODY),
        (
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "performance\n",
        ),
        (
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
            "powersave\n",
        ),
        (
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "hpet\n",
        ),
    ]);
    let good = Machine::new(&[
        (
            "proc/self/limits",
            &LIMITS.replace("30 ", "95 ").replace("8388608", "unlimited"),
        ),
        ("proc/self/status", NOBODY),
        (
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "performance\n",
        ),
        (
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "tsc\n",
        ),
    ]);
    let root_user = Machine::new(&[
        ("proc/self/limits", LIMITS),
        (
            "proc/self/status",
            &NOBODY.replace("CapEff:\t0000000000000000", "CapEff:\t000001ffffffffff"),
        ),
    ]);
    use State::{Ok, Skipped, Warn};
    let names = [
        "realtime.priority",
        "realtime.memory",
        "cpu.governor",
        "clock.source",
        "clock.step",
        "clock.wake_up",
    ];
    for (machine, config, clock, expected) in [
        (&poor, Some(&asking), &late, [Warn; 6]),
        (&poor, Some(&modest), &prompt, [Ok, Ok, Warn, Warn, Ok, Ok]),
        (&good, Some(&asking), &prompt, [Ok; 6]),
        (&good, None, &prompt, [Ok; 6]),
        (
            &root_user,
            Some(&asking),
            &prompt,
            [Ok, Ok, Skipped, Skipped, Ok, Ok],
        ),
        (
            &Machine::new(&[]),
            None,
            &prompt,
            [Skipped, Skipped, Skipped, Skipped, Ok, Ok],
        ),
    ] {
        let findings = examined(machine, config, clock);
        let states = names.map(|name| one(&findings, name).state);
        assert_eq!(states, expected, "{findings:#?}");
    }
}

#[test]
fn who_may_use_a_port_and_who_uses_it_is_told() {
    let machine = Machine::new(&[
        ("proc/self/status", NOBODY),
        ("etc/passwd", "root:x:0:0::/:\nada:x:1000:1000::/home/ada:\n"),
        ("sys/bus/usb-serial/devices/ttyUSB0/latency_timer", "16\n"),
        ("proc/4711/comm", "ModemManager\n"),
    ]);
    let port = machine.put("dev/ttyUSB0", "");
    let id = fs::metadata(&port).expect("there").gid();
    machine.put(
        "etc/group",
        &format!("root:x:{}:\ndialout:x:{id}:\n", id.wrapping_add(1)),
    );
    let mode = |mode: u32| fs::set_permissions(&port, fs::Permissions::from_mode(mode)).expect("sets");
    let at = || {
        found(|examination| {
            ports::port_at(examination, &machine.system(), Path::new("/dev/ttyUSB0"));
        })
    };
    // Whoever owns the file must not be the person of the machine.
    let status = NOBODY.replace("1000", "4000000");
    machine.put("proc/self/status", &status);
    mode(0o660);
    let refused = at();
    let access = one(&refused, "port.access");
    assert_eq!(access.state, State::Fail);
    assert!(
        access.seen.contains("`dialout`") && access.remedy.contains("usermod -aG dialout"),
        "{access:?}"
    );
    assert_eq!(
        refused.len(),
        1,
        "what may not be opened is not looked at further"
    );
    // Joined, and not logged in since.
    machine.put("etc/passwd", "ada:x:4000000:1000::/home/ada:\n");
    machine.put("etc/group", &format!("dialout:x:{id}:bob,ada\n"));
    assert!(one(&at(), "port.access").remedy.contains("log out and in"));
    mode(0o600);
    assert!(one(&at(), "port.access").remedy.contains("udev"));
    // In the group.
    mode(0o660);
    machine.put(
        "proc/self/status",
        &status.replace("Groups:\t4000000", &format!("Groups:\t7 {id}")),
    );
    let open = at();
    assert_eq!(one(&open, "port.access").state, State::Ok);
    assert_eq!(one(&open, "port.holder").state, State::Ok);
    let latency = one(&open, "port.latency");
    assert!(
        latency.state == State::Warn && latency.seen.contains("16 ms") && latency.remedy.contains("ttyUSB0")
    );
    // Open in another program, also by the name that stays.
    let descriptors = machine.0.path().join("proc/4711/fd");
    fs::create_dir_all(&descriptors).expect("makes");
    symlink("/dev/ttyUSB0", descriptors.join("12")).expect("links");
    fs::create_dir_all(machine.0.path().join("dev/serial/by-id")).expect("makes");
    symlink("../../ttyUSB0", machine.0.path().join("dev/serial/by-id/usb-arm")).expect("links");
    let held = found(|examination| {
        assert!(!ports::port_at(
            examination,
            &machine.system(),
            Path::new("/dev/serial/by-id/usb-arm")
        ));
    });
    let holder = one(&held, "port.holder");
    assert!(holder.state == State::Fail && holder.seen.contains("process 4711"));
    assert!(holder.remedy.contains("ModemManager"), "{holder:?}");
    let gone = found(|examination| {
        ports::port_at(examination, &machine.system(), Path::new("/dev/ttyACM9"));
    });
    assert_eq!(one(&gone, "port.access").state, State::Fail);
    // All that is there.
    let listed = found(|examination| ports::list(examination, &machine.system()));
    assert_eq!(one(&listed, "port.list").about, "/dev/serial/by-id/usb-arm");
}

#[test]
fn the_suite_asks_before_it_moves_and_explains_the_other_rig() {
    let run = |arguments: &[&str]| {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(root())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the program starts");
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run(&["doctor", "--rig", "dmc:cartpole-balance", "--full"]);
    assert!(
        said.contains("tests/rigs") && said.contains("record --rig dmc:cartpole-balance"),
        "{said}"
    );
    let said = run(&["doctor", "--rig", "tests/rigs/emulated-so101.ron"]);
    assert!(said.contains("--full"), "{said}");
    let said = run(&["doctor", "--full"]);
    assert!(said.contains("--rig"), "{said}");
}
