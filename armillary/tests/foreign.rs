//! Files that came from others are data: none starts a program, and a signature tells whose a file is. Nothing listens off this machine.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Cursor};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use calibration::servos::JointsFile;
use minisign::KeyPair;

const PROGRAM: &str = env!("CARGO_BIN_EXE_armillary");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate has a parent")
        .to_owned()
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

/// A folder with a robot file that names a Python function, a rig file around it, and a Python that leaves a note when it is started.
struct Mail(tempfile::TempDir);

impl Mail {
    const RIG: &'static str = "py:mail:payload";

    fn new() -> Self {
        let mail = Self(tempfile::tempdir().expect("temporary folder"));
        let dir = mail.0.path();
        let robot = fs::read_to_string(root().join("configs/sim-planar.ron")).expect("robot file");
        let robot = robot
            .replacen("\"reach-planar\"", &format!("\"{}\"", Self::RIG), 1)
            .replacen("substeps: 5", "substeps: 1", 1);
        assert!(robot.contains(Self::RIG) && robot.contains("substeps: 1"));
        fs::write(dir.join("robot.ron"), robot).expect("writes");
        let rig = fs::read_to_string(root().join("tests/rigs/simulated-planar.ron")).expect("rig file");
        let named = rig.replacen("\"robots/planar-patient.ron\"", "\"robot.ron\"", 1);
        assert_ne!(named, rig);
        fs::write(dir.join("rig.ron"), named).expect("writes");
        for place in ["env/bin", ".venv-rig/bin", "work/.venv-rig/bin", "work/below"] {
            fs::create_dir_all(dir.join(place)).expect("makes a folder");
        }
        let note = mail.note();
        for python in [
            "env/bin/python",
            ".venv-rig/bin/python",
            "work/.venv-rig/bin/python",
        ] {
            let file = dir.join(python);
            fs::write(&file, format!("#!/bin/sh\ntouch '{}'\nexit 1\n", note.display())).expect("writes");
            fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("permissions");
        }
        mail
    }

    fn note(&self) -> PathBuf {
        self.0.path().join("was-started")
    }

    /// Runs the program in `folder`, with the Python of an active environment if `active`.
    fn run(&self, folder: &Path, active: bool, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(folder)
            .env_remove("VIRTUAL_ENV");
        if active {
            command.env("VIRTUAL_ENV", self.0.path().join("env"));
        }
        command.output().expect("the program starts")
    }
}

#[test]
fn a_robot_file_that_names_a_python_function_starts_nothing() {
    let mail = Mail::new();
    let dir = mail.0.path();
    let [robot, rig, out, port, frames] =
        ["robot.ron", "rig.ron", "out", "arm", "camera"].map(|name| path(dir, name));
    let random = ["--policy", "random", "--out", &out];
    let commands: [&[&str]; 7] = [
        &[&["record", "--robot", &robot], &random[..]].concat(),
        &["eval", "--robot", &robot, "--episodes", "1"],
        &[
            "eval",
            "--robot",
            &robot,
            "--planner",
            "true-simulator",
            "--episodes",
            "1",
        ],
        &["sim", "--robot", &robot, "--serial", &port, "--frames", &frames],
        &[
            &["run", "--robot", &robot, "--port", &port, "--frames", &frames],
            &random[..],
        ]
        .concat(),
        &[
            "bench",
            "tune",
            "--robot",
            &robot,
            "--bundle",
            "models/reach-planar",
        ],
        &[
            "demo",
            "--robot",
            &robot,
            "--bundle",
            "models/reach-planar",
            "--out",
            &out,
        ],
    ];
    for arguments in commands {
        let output = mail.run(&root(), true, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        for part in ["robot.ron", "simulator.task", Mail::RIG, "--rig py:mail:payload"] {
            assert!(said.contains(part), "{arguments:?}: no {part} in {said}");
        }
        assert!(!mail.note().exists(), "{arguments:?} started a program");
    }
    let output = mail.run(&root(), true, &["doctor", "--rig", &rig, "--full", "--yes-move"]);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("--rig py:mail:payload"),
        "{said}"
    );
    assert!(!mail.note().exists(), "doctor started a program");
    // Asked for by name it is started; by another name it is not.
    let record = [
        "record", "--robot", &robot, "--policy", "random", "--out", &out, "--rig",
    ];
    let output = mail.run(&root(), true, &[&record[..], &["py:other:function"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(Mail::RIG) && said.contains("py:other:function"),
        "{said}"
    );
    assert!(!output.status.success() && !mail.note().exists());
    let output = mail.run(&root(), true, &[&record[..], &[Mail::RIG]].concat());
    assert!(
        !output.status.success() && mail.note().exists(),
        "its Python ends with an error"
    );
    // A robot file that names no program is not given one.
    let own = [
        "record",
        "--robot",
        "configs/sim-planar.ron",
        "--policy",
        "random",
        "--out",
        &out,
    ];
    let output = mail.run(&root(), true, &[&own[..], &["--rig", Mail::RIG]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--rig"), "{said}");
}

#[test]
fn a_python_beside_or_above_the_working_folder_is_not_started() {
    let mail = Mail::new();
    let out = path(mail.0.path(), "out");
    for folder in ["", "work", "work/below"] {
        let arguments = ["record", "--rig", Mail::RIG, "--policy", "random", "--out", &out];
        let output = mail.run(&mail.0.path().join(folder), false, &arguments);
        assert!(!output.status.success());
        assert!(!mail.note().exists(), "from `{folder}`");
    }
}

/// A bundle, a robot file and two pairs of keys.
struct Signing {
    dir: tempfile::TempDir,
    bundle: String,
    robot: String,
    keys: [KeyPair; 2],
}

impl Signing {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let bundle = path(dir.path(), "bundle");
        fs::create_dir(&bundle).expect("makes a folder");
        for file in files::list(&root().join("models/reach-planar")).expect("the shipped bundle") {
            let name = file.file_name().expect("a name");
            fs::copy(&file, Path::new(&bundle).join(name)).expect("copies");
        }
        let robot = path(dir.path(), "robot.ron");
        fs::copy(root().join("configs/sim-planar.ron"), &robot).expect("copies");
        let keys = [0, 1].map(|_| KeyPair::generate_unencrypted_keypair().expect("keys"));
        for (index, key) in keys.iter().enumerate() {
            let secret = key.sk.to_box(None).expect("a key").to_string();
            fs::write(dir.path().join(format!("{index}.key")), secret).expect("writes");
            let public = key.pk.to_box().expect("a key").to_string();
            fs::write(dir.path().join(format!("{index}.pub")), public).expect("writes");
        }
        Self {
            dir,
            bundle,
            robot,
            keys,
        }
    }

    fn armillary(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .expect("the program starts")
    }

    fn sign(&self, what: &str, key: usize) {
        let key = path(self.dir.path(), &format!("{key}.key"));
        let output = self.armillary(&["sign", what, "--key", &key]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Three planned periods with a required signature. Returns what was wrong, or nothing.
    fn record(&self, public: &str) -> Option<String> {
        let out = tempfile::tempdir_in(self.dir.path()).expect("temporary folder");
        let arguments = [
            "record",
            "--require-signature",
            public,
            "--robot",
            &self.robot,
            "--bundle",
            &self.bundle,
            "--policy",
            "planner",
            "--ticks",
            "3",
            "--out",
            &path(out.path(), "runs"),
        ];
        let output = self.armillary(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(said)
    }

    fn id(&self, key: usize) -> String {
        let number = self.keys[key].pk.keynum();
        number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
    }
}

#[test]
fn a_required_signature_is_the_right_ones_of_what_is_there() {
    let signing = Signing::new();
    let [public, other] = ["0.pub", "1.pub"].map(|name| path(signing.dir.path(), name));
    let missing = signing.record(&public).expect("nothing is signed");
    for part in [&signing.robot, ".minisig", &signing.id(0), "armillary sign"] {
        assert!(missing.contains(part), "no {part} in {missing}");
    }
    signing.sign(&signing.robot, 0);
    let missing = signing.record(&public).expect("the bundle is not signed");
    assert!(
        missing.contains("SHA256SUMS") && missing.contains(&signing.id(0)),
        "{missing}"
    );
    signing.sign(&signing.bundle, 0);
    assert_eq!(signing.record(&public), None);
    // The key itself is as good as its file.
    let text = fs::read_to_string(&public).expect("a key");
    assert_eq!(signing.record(text.lines().nth(1).expect("two lines")), None);
    let wrong = signing.record(&other).expect("another's");
    for part in [&signing.robot, &signing.id(0), &signing.id(1)] {
        assert!(wrong.contains(part), "no {part} in {wrong}");
    }
    // Of the robot file one byte, then of the bundle one byte of each file in turn.
    let sound = fs::read(&signing.robot).expect("reads");
    let mut changed = sound.clone();
    changed.push(b'\n');
    fs::write(&signing.robot, changed).expect("writes");
    let wrong = signing.record(&public).expect("changed");
    assert!(
        wrong.contains("not what was signed") && wrong.contains("robot.ron"),
        "{wrong}"
    );
    fs::write(&signing.robot, sound).expect("writes");
    for file in ["SHA256SUMS", "manifest.ron", "reward.onnx", "SHA256SUMS.minisig"] {
        let file = Path::new(&signing.bundle).join(file);
        let sound = fs::read(&file).expect("reads");
        let mut changed = sound.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&file, changed).expect("writes");
        let wrong = signing
            .record(&public)
            .unwrap_or_else(|| panic!("{} is accepted", file.display()));
        assert!(wrong.contains(&signing.bundle), "{wrong}");
        fs::write(&file, sound).expect("writes");
    }
    assert_eq!(signing.record(&public), None);
    // Signing again replaces a signature, and nothing else.
    signing.sign(&signing.robot, 1);
    assert!(signing.record(&public).is_some());
    let note = path(signing.dir.path(), "note.txt");
    fs::write(&note, "text").expect("writes");
    fs::write(format!("{note}.minisig"), "my own notes").expect("writes");
    let output = signing.armillary(&["sign", &note, "--key", &path(signing.dir.path(), "0.key")]);
    assert!(!output.status.success());
    assert_eq!(
        fs::read(format!("{note}.minisig")).expect("is there"),
        b"my own notes"
    );
}

#[test]
fn a_required_signature_is_asked_of_the_calibration_of_joints_too() {
    let signing = Signing::new();
    let public = path(signing.dir.path(), "0.pub");
    let joints = path(signing.dir.path(), "arm.joints.ron");
    let file = JointsFile::new("sim-planar", "feetech", "", "", Vec::new());
    fs::write(&joints, file.to_text()).expect("writes");
    let text = fs::read_to_string(&signing.robot).expect("reads");
    let text = text.replacen(
        "    capture: (",
        "    calibration: (joints: \"arm.joints.ron\"),\n    capture: (",
        1,
    );
    fs::write(&signing.robot, text).expect("writes");
    signing.sign(&signing.robot, 0);
    signing.sign(&signing.bundle, 0);
    let missing = signing.record(&public).expect("the calibration is not signed");
    for part in ["arm.joints.ron", "armillary sign", &signing.id(0)] {
        assert!(missing.contains(part), "no {part} in {missing}");
    }
    signing.sign(&joints, 0);
    assert_eq!(signing.record(&public), None);
}

#[test]
fn a_signature_is_one_that_minisign_made_too() {
    let signing = Signing::new();
    let key = &signing.keys[0];
    for file in [
        PathBuf::from(&signing.robot),
        Path::new(&signing.bundle).join("SHA256SUMS"),
    ] {
        let bytes = fs::read(&file).expect("reads");
        let signature = minisign::sign(None, &key.sk, Cursor::new(bytes), None, None).expect("signs");
        let mut name = file.into_os_string();
        name.push(".minisig");
        fs::write(name, signature.to_string()).expect("writes");
    }
    assert_eq!(signing.record(&path(signing.dir.path(), "0.pub")), None);
}

#[test]
fn what_is_no_key_and_what_reads_no_file_is_refused() {
    let signing = Signing::new();
    let public = path(signing.dir.path(), "0.pub");
    for (arguments, parts) in [
        (
            vec!["inspect", &signing.bundle, "--require-signature", &signing.robot],
            vec!["robot.ron", "public key"],
        ),
        (
            vec!["inspect", &signing.bundle, "--require-signature", "none.pub"],
            vec!["none.pub", "minisign"],
        ),
        (
            vec!["find-port", "--require-signature", &public],
            vec!["--require-signature", "leave it out"],
        ),
        (
            vec![
                "record",
                "--rig",
                "dmc:x-y",
                "--policy",
                "random",
                "--out",
                "o",
                "--require-signature",
                &public,
            ],
            vec!["--require-signature", "leave it out"],
        ),
        (
            vec!["sign", &signing.robot, "--key", &public],
            vec!["0.pub", "secret key"],
        ),
    ] {
        let output = signing.armillary(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        for part in parts {
            assert!(said.contains(part), "{arguments:?}: no {part} in {said}");
        }
    }
}

#[test]
fn seal_adds_the_list_that_an_older_bundle_lacks() {
    let signing = Signing::new();
    let list = Path::new(&signing.bundle).join("SHA256SUMS");
    let shipped = fs::read_to_string(&list).expect("reads");
    fs::remove_file(&list).expect("removes");
    let output = signing.armillary(&["inspect", &signing.bundle]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains(&format!("armillary seal {}", signing.bundle)),
        "{said}"
    );
    let key = path(signing.dir.path(), "0.key");
    let output = signing.armillary(&["sign", &signing.bundle, "--key", &key]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("armillary seal"),
        "{said}"
    );
    for _ in 0..2 {
        assert!(signing.armillary(&["seal", &signing.bundle]).status.success());
        assert_eq!(fs::read_to_string(&list).expect("is there"), shipped);
    }
    // A link in its place leads elsewhere: it is no list, and is not written through.
    let elsewhere = path(signing.dir.path(), "elsewhere");
    fs::remove_file(&list).expect("removes");
    symlink(&elsewhere, &list).expect("links");
    signing.armillary(&["seal", &signing.bundle]);
    assert!(!Path::new(&elsewhere).exists());
    // Sound by the program that every system has.
    fs::remove_file(&list).expect("removes");
    assert!(signing.armillary(&["seal", &signing.bundle]).status.success());
    let checked = Command::new("sha256sum")
        .args(["-c", "--strict", "SHA256SUMS"])
        .current_dir(&signing.bundle)
        .stdout(Stdio::null())
        .status();
    assert!(checked.expect("sha256sum starts").success());
}

/// A served simulated arm, ended with the test.
struct Served {
    child: Child,
    dir: tempfile::TempDir,
}

impl Served {
    /// With the most permissive umask.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut child = Command::new("sh")
            .args([
                "-c",
                "umask 000; exec \"$@\"",
                "sh",
                PROGRAM,
                "sim",
                "--robot",
                "configs/sim-planar.ron",
            ])
            .args([
                "--serial",
                &path(dir.path(), "arm"),
                "--frames",
                &path(dir.path(), "camera"),
            ])
            .arg("--watch-parent")
            .current_dir(root())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // It says so once both can be opened.
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        assert!(line.contains("frame socket"), "{line}");
        Self { child, dir }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many sockets of networks a process has open.
fn network_sockets(process: u32) -> usize {
    let mut networks = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6"] {
        // Not every kernel has each of them.
        let text = fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            networks.extend(
                line.split_whitespace()
                    .nth(9)
                    .map(|inode| format!("socket:[{inode}]")),
            );
        }
    }
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    descriptors
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|target| networks.contains(&*target.to_string_lossy()))
        .count()
}

#[test]
fn nothing_listens_off_this_machine_and_names_are_their_owners() {
    // What is looked for can be found.
    let own = std::process::id();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    assert_eq!(network_sockets(own), 2);
    drop((listener, datagrams));

    let served = Served::new();
    let (arm, camera) = (path(served.dir.path(), "arm"), path(served.dir.path(), "camera"));
    for name in [&arm, &camera] {
        let mode = fs::metadata(name).expect("is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let mut driving = Command::new(PROGRAM)
        .args([
            "run",
            "--robot",
            "configs/sim-planar.ron",
            "--policy",
            "hold",
            "--ticks",
            "10",
        ])
        .args([
            "--port",
            &arm,
            "--frames",
            &camera,
            "--out",
            &path(served.dir.path(), "logs"),
        ])
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut looks = 0_u32;
    while driving.try_wait().expect("a process").is_none() {
        for process in [driving.id(), served.child.id()] {
            assert_eq!(network_sockets(process), 0);
        }
        looks += 1;
    }
    assert!(looks > 10, "{looks} looks");
}
