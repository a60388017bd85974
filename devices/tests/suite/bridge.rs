//! The bridge over a real pty and a real socket.

use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use devices::{FrameError, FrameSocket, LockstepError, LockstepLink, Loopback, SerialLink, SerialOptions};
use firmware_bridge::frames::{MAX_HEADER_BYTES, Refusal, Reply};
use firmware_bridge::{
    BridgeError, BridgeMode, BridgeOptions, Ended, FirmwareState, SimulatorBridge, StopReason, Telemetry,
};
use robot::Frame;
use robot::device::e_stop::press_until_confirmed;
use robot::device::{JointBus, LinkError, Lockstep, Stopped};

use crate::common::{JOINTS, TestPlant, arm_options};

/// Far longer than anything here takes; a failing test ends all the same.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bridge on its own thread.
pub(super) struct Served {
    folder: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Ended, BridgeError>>>,
}

impl Served {
    pub(super) fn new(mode: BridgeMode) -> Self {
        Self::with(mode, TestPlant::default())
    }

    fn with(mode: BridgeMode, plant: TestPlant) -> Self {
        Self::of_side(64, mode, plant)
    }

    fn of_side(side: usize, mode: BridgeMode, plant: TestPlant) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let options = BridgeOptions {
            frame_side: side,
            ..options(&folder, mode)
        };
        let bridge = SimulatorBridge::new(plant, options).unwrap();
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("bridge".to_owned())
            .spawn(move || bridge.serve(flag))
            .unwrap();
        Self {
            folder,
            stop,
            thread: Some(thread),
        }
    }

    fn port(&self) -> PathBuf {
        self.folder.path().join("arm")
    }

    fn link(&self) -> SerialLink {
        self.try_link().unwrap()
    }

    fn try_link(&self) -> Result<SerialLink, LinkError> {
        SerialLink::open(&SerialOptions {
            port: self.port().to_str().unwrap().to_owned(),
            baud: 1_000_000,
            joints: JOINTS,
            handshake_timeout: PATIENCE,
        })
    }

    /// Where its frame socket is.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("frames")
    }

    fn frames(&self) -> FrameSocket {
        FrameSocket::connect(&self.socket(), PATIENCE).unwrap()
    }

    fn rig(&self) -> LockstepLink {
        LockstepLink::new(self.link(), self.frames(), PATIENCE).unwrap()
    }

    fn end(mut self) -> Ended {
        self.thread.take().unwrap().join().unwrap().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn options(folder: &tempfile::TempDir, mode: BridgeMode) -> BridgeOptions {
    BridgeOptions {
        arm: arm_options(),
        mode,
        frame_side: 64,
        serial_path: Some(folder.path().join("arm")),
        frame_path: folder.path().join("frames"),
        watch_parent: true,
    }
}

/// Waits for telemetry that `wanted` accepts.
fn until(link: &mut SerialLink, wanted: impl Fn(&Telemetry) -> bool) -> Telemetry {
    let start = Instant::now();
    loop {
        if let Some(telemetry) = link.poll_telemetry().unwrap()
            && wanted(&telemetry)
        {
            return telemetry;
        }
        assert!(start.elapsed() < PATIENCE, "never saw it");
        link.wait(100_000).unwrap();
    }
}

/// Waits for a frame newer than the last.
fn next_frame(frames: &mut FrameSocket, frame: &mut Frame) -> u64 {
    let start = Instant::now();
    loop {
        if let Some(delivered) = frames.newest(frame).unwrap() {
            assert!(delivered.reward.is_some());
            return delivered.stamp.seq;
        }
        assert!(start.elapsed() < PATIENCE, "no frame");
        frames.wait_readable(Duration::from_millis(100)).unwrap();
    }
}

#[test]
fn pictures_cross_the_socket_at_the_side_of_the_bridge_and_at_no_other() {
    let served = Served::of_side(96, BridgeMode::Lockstep, TestPlant::default());
    let (mut over_pty, mut in_process) = (served.rig(), Loopback::new(TestPlant::default(), &arm_options()));
    let (mut a, mut b) = (Frame::new(96), Frame::new(96));
    let start = over_pty.reset(3, &mut a).unwrap();
    assert_eq!(start, in_process.reset(3, &mut b).unwrap());
    assert_eq!(a, b);
    let error = over_pty
        .step(&start.set_point_rad, &mut Frame::default())
        .unwrap_err();
    for part in ["96x96", "64x64", "`capture.side`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_reward_that_nobody_gave_crosses_the_socket_as_none() {
    for (without_reward, given) in [(true, false), (false, true)] {
        let mut plant = TestPlant::default();
        plant.without_reward = without_reward;
        let served = Served::with(BridgeMode::Lockstep, plant);
        let (mut rig, mut frame) = (served.rig(), Frame::default());
        let start = rig.reset(1, &mut frame).unwrap();
        let moved = rig.step(&start.set_point_rad, &mut frame).unwrap();
        assert_eq!((start.reward.is_some(), moved.reward.is_some()), (given, given));
    }
}

#[test]
fn the_end_of_an_episode_crosses_the_socket_in_lockstep_and_in_real_time() {
    // Twelve steps of five a period: the third period ends it half way.
    let mut plant = TestPlant::default();
    plant.ends_after = Some(12);
    let served = Served::with(BridgeMode::Lockstep, plant.clone());
    let (mut over_pty, mut in_process) = (served.rig(), Loopback::new(plant.clone(), &arm_options()));
    let (mut a, mut b) = (Frame::default(), Frame::default());
    for seed in 0..2 {
        let mut ends = Vec::new();
        let mut observed = over_pty.reset(seed, &mut a).unwrap();
        assert_eq!(observed, in_process.reset(seed, &mut b).unwrap());
        for _ in 0..4 {
            ends.push(observed.ended);
            let set_point = observed.set_point_rad.clone();
            observed = over_pty.step(&set_point, &mut a).unwrap();
            assert_eq!(observed, in_process.step(&set_point, &mut b).unwrap());
            assert_eq!(a, b);
        }
        assert_eq!(ends, [false, false, false, true], "a reset begins again");
    }
    drop((over_pty, served));

    let served = Served::with(BridgeMode::RealTime, plant);
    let mut frames = served.frames();
    let mut frame = Frame::default();
    let start = Instant::now();
    frames.reset(1, &mut frame).unwrap();
    let mut ending = None;
    // The frame of the end may be replaced by a newer one; each after it says the same, and shows the same.
    let mut after = 0;
    while after < 3 {
        assert!(start.elapsed() < PATIENCE, "never ended");
        frames.wait_readable(Duration::from_millis(100)).unwrap();
        let Some(delivered) = frames.newest(&mut frame).unwrap() else {
            continue;
        };
        match &ending {
            None if delivered.ended => ending = Some((frame.clone(), delivered.reward)),
            None => {}
            Some(ending) => {
                assert_eq!((&frame, delivered.reward), (&ending.0, ending.1));
                assert!(delivered.ended);
                after += 1;
            }
        }
    }
    assert!(!frames.reset(2, &mut frame).unwrap().ended);
}

#[test]
fn lockstep_over_a_pty_equals_the_loopback_to_the_last_bit() {
    let served = Served::new(BridgeMode::Lockstep);
    let mut over_pty = served.rig();
    let mut in_process = Loopback::new(TestPlant::default(), &arm_options());
    let (mut a, mut b) = (Frame::default(), Frame::default());
    for seed in 0..3 {
        let start = over_pty.reset(seed, &mut a).unwrap();
        assert_eq!(start, in_process.reset(seed, &mut b).unwrap());
        let mut set_point = start.set_point_rad;
        for step in 0..30 {
            set_point[step % 2] += if step < 15 { 0.07 } else { -0.043 };
            assert_eq!(
                over_pty.step(&set_point, &mut a).unwrap(),
                in_process.step(&set_point, &mut b).unwrap()
            );
            assert_eq!(a, b, "the same frame");
        }
        over_pty.bus().send_stop().unwrap();
        in_process.bus().send_stop().unwrap();
        for _ in 0..6 {
            assert_eq!(over_pty.pass(&mut a).unwrap(), in_process.pass(&mut b).unwrap());
        }
    }
    over_pty.quit().unwrap();
    assert_eq!(served.end(), Ended::Quit);
}

#[test]
fn lockstep_waits_for_the_command_it_was_told_of() {
    let served = Served::new(BridgeMode::Lockstep);
    let mut frames = served.frames();
    let mut frame = Frame::default();
    let error = frames.step(1, &mut frame).unwrap_err();
    assert!(
        matches!(
            error,
            FrameError::Refused {
                refusal: Refusal::CommandNotDelivered,
                ..
            }
        ),
        "{error}"
    );
    frames.reset(0, &mut frame).expect("the connection lives on");
}

#[test]
fn one_frame_client_at_a_time() {
    let served = Served::new(BridgeMode::Lockstep);
    let first = served.frames();
    let path = served.folder.path().join("frames");
    let error = FrameSocket::connect(&path, PATIENCE).unwrap_err();
    assert!(
        matches!(
            error,
            FrameError::Refused {
                refusal: Refusal::Occupied,
                ..
            }
        ),
        "{error}"
    );
    drop(first);
    served.frames();
}

#[test]
fn in_real_time_commands_move_and_silence_stops() {
    let served = Served::new(BridgeMode::RealTime);
    let (mut frames, mut link) = (served.frames(), served.link());
    let mut frame = Frame::default();
    frames.reset(7, &mut frame).unwrap();
    link.handshake().unwrap();
    let start = until(&mut link, |telemetry| telemetry.state == FirmwareState::Held);
    let mut target = start.position_rad.clone();
    target[0] += 0.1;
    // Long validity and move time: this must work on a machine that stands still now and then.
    let seq = link.send_set_point(&target, 100_000, 5_000_000).unwrap();
    let moving = until(&mut link, |telemetry| telemetry.last_command_seq == seq);
    assert_eq!(moving.rejected_age, 0);
    let stopped = until(&mut link, |telemetry| telemetry.state == FirmwareState::Held);
    assert_eq!(stopped.stop_reason, StopReason::Watchdog);
    assert_eq!(stopped.set_point_rad, target);
    until(&mut link, |telemetry| telemetry.state == FirmwareState::Released);

    let first = next_frame(&mut frames, &mut frame);
    assert!(next_frame(&mut frames, &mut frame) > first);
    let error = frames.step(1, &mut frame).unwrap_err();
    assert!(
        matches!(
            error,
            FrameError::Refused {
                refusal: Refusal::NotLockstep,
                ..
            }
        ),
        "{error}"
    );
    frames.reset(8, &mut frame).unwrap();
    link.handshake().unwrap();
    until(&mut link, |telemetry| telemetry.state == FirmwareState::Held);
    served.stop.store(true, Ordering::Relaxed);
    assert_eq!(served.end(), Ended::Stopped);
}

#[test]
fn a_host_that_leaves_can_come_back() {
    let served = Served::new(BridgeMode::RealTime);
    let mut link = served.link();
    link.handshake().unwrap();
    let pose = until(&mut link, |_| true).position_rad;
    let seq = link.send_set_point(&pose, 100_000, 5_000_000).unwrap();
    until(&mut link, |telemetry| telemetry.last_command_seq == seq);
    drop(link);
    let mut link = served.link();
    link.handshake().unwrap();
    let back = until(&mut link, |telemetry| telemetry.state != FirmwareState::Active);
    assert_eq!(
        (back.last_command_seq, back.received_seq),
        (0, 0),
        "a new session"
    );
    // The watchdog went on counting while nobody was there.
    until(&mut link, |telemetry| {
        matches!(
            telemetry.state,
            FirmwareState::Held | FirmwareState::Idle | FirmwareState::Released
        )
    });
}

#[test]
fn a_slow_frame_client_gets_new_frames_and_stops_nobody() {
    let served = Served::new(BridgeMode::RealTime);
    let mut stream = UnixStream::connect(served.folder.path().join("frames")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut read_reply = || {
        let (mut len, mut header, mut pixels) = ([0; 2], [0; MAX_HEADER_BYTES], [0; Frame::bytes(64)]);
        stream.read_exact(&mut len).unwrap();
        let header = &mut header[..usize::from(u16::from_le_bytes(len))];
        stream.read_exact(header).unwrap();
        match postcard::from_bytes(header).unwrap() {
            Reply::Frame(header) => {
                stream.read_exact(&mut pixels).unwrap();
                Some(header.seq)
            }
            Reply::Welcome(_) | Reply::Refused(_) | Reply::Bridge(_) => None,
        }
    };
    assert_eq!(read_reply(), None, "the welcome");

    let mut link = served.link();
    link.handshake().unwrap();
    let start = until(&mut link, |_| true).device_time_us;
    // The socket holds about 20 frames; in 60 steps without a read it must overflow, and physics must go on.
    until(&mut link, |telemetry| {
        telemetry.device_time_us >= start + 60 * 20_000
    });
    let mut last = read_reply().unwrap();
    let skipped = (0..60).any(|_| {
        let before = std::mem::replace(&mut last, read_reply().unwrap());
        assert!(last > before);
        last > before + 1
    });
    assert!(skipped, "old frames are dropped, not queued");
}

#[test]
fn the_port_is_exclusive_and_cleaned_up() {
    let served = Served::new(BridgeMode::Lockstep);
    let first = served.link();
    assert!(matches!(served.try_link(), Err(LinkError::Busy { .. })));
    drop(first);
    let error = SimulatorBridge::new(
        TestPlant::default(),
        options(&served.folder, BridgeMode::Lockstep),
    )
    .unwrap_err();
    assert!(matches!(error, BridgeError::InUse { .. }), "{error}");
    let port = served.port();
    let (mut frames, mut link) = (served.frames(), served.link());
    served.stop.store(true, Ordering::Relaxed);
    drop(served);
    assert!(port.symlink_metadata().is_err());
    assert!(matches!(link.handshake(), Err(LinkError::Closed { .. })));
    assert!(matches!(
        frames.reset(0, &mut Frame::default()),
        Err(FrameError::Closed { .. })
    ));
}

#[test]
fn sockets_that_cannot_be_reached_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames");
    assert!(matches!(
        FrameSocket::connect(&path, PATIENCE),
        Err(FrameError::Missing { .. })
    ));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(
        FrameSocket::connect(&path, PATIENCE),
        Err(FrameError::NobodyListens { .. })
    ));
    // A bridge takes over what nobody listens at, and leaves alone what is no socket.
    let bridge = SimulatorBridge::new(TestPlant::default(), options(&folder, BridgeMode::Lockstep)).unwrap();
    drop(bridge);
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    let error =
        SimulatorBridge::new(TestPlant::default(), options(&folder, BridgeMode::Lockstep)).unwrap_err();
    assert!(matches!(error, BridgeError::PathTaken { .. }), "{error}");
}

#[test]
fn a_real_time_bridge_is_no_lockstep_rig() {
    let served = Served::new(BridgeMode::RealTime);
    let error = LockstepLink::new(served.link(), served.frames(), PATIENCE).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(LockstepError::NotLockstep)));
}

#[test]
fn a_bridge_that_does_not_answer_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = FrameSocket::connect(&path, Duration::from_millis(50)).unwrap_err();
    assert!(
        matches!(
            error,
            FrameError::Timeout {
                request: "connecting",
                ..
            }
        ),
        "{error}"
    );
    drop(listener);
}

fn bridge(folder: &tempfile::TempDir) -> Result<SimulatorBridge<TestPlant>, BridgeError> {
    SimulatorBridge::new(TestPlant::default(), options(folder, BridgeMode::Lockstep))
}

/// Everything in a folder: names, kinds and what they hold.
fn contents(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let held = if kind.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if kind.is_file() {
                std::fs::read_to_string(&path).unwrap()
            } else {
                format!("{kind:?}")
            };
            (path, held)
        })
        .collect();
    found.sort();
    found
}

/// Whatever a user keeps at either name, or beside it, is there afterwards as it was before.
#[test]
fn nothing_of_the_users_is_replaced_or_removed() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 7] = [
        ("a file", |path| std::fs::write(path, "precious").unwrap()),
        ("a folder", |path| std::fs::create_dir(path).unwrap()),
        ("a pipe (FIFO)", |path| {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
        ("a link to a port", |path| {
            std::os::unix::fs::symlink("/dev/ttyUSB0", path).unwrap();
        }),
        ("a link to a terminal that is gone", |path| {
            std::os::unix::fs::symlink("/dev/pts/987654", path).unwrap();
        }),
        ("a link to nowhere", |path| {
            std::os::unix::fs::symlink("nowhere", path).unwrap();
        }),
        ("a socket for datagrams", |path| {
            // It stays in use for as long as this program runs.
            std::mem::forget(UnixDatagram::bind(path).unwrap());
        }),
    ];
    for name in ["arm", "frames"] {
        for (kind, make) in kinds {
            let folder = tempfile::tempdir().unwrap();
            make(&folder.path().join(name));
            let before = contents(folder.path());
            let error = bridge(&folder).unwrap_err();
            assert!(
                matches!(error, BridgeError::PathTaken { .. }),
                "{name}, {kind}: {error}"
            );
            let path = folder.path().join(name).display().to_string();
            assert!(error.to_string().starts_with(&path), "{error}");
            assert_eq!(contents(folder.path()), before, "{name}, {kind}");
        }
    }
    // Beside the names.
    let folder = tempfile::tempdir().unwrap();
    for name in ["arm.new", "frames.new", ".armillary"] {
        std::fs::write(folder.path().join(name), "precious").unwrap();
    }
    let before = contents(folder.path());
    drop(bridge(&folder).unwrap());
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn what_took_the_place_of_a_name_is_not_removed_with_the_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let running = bridge(&folder).unwrap();
    for name in ["arm", "frames"] {
        let path = folder.path().join(name);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
    }
    let before = contents(folder.path());
    drop(running);
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_link_that_a_killed_bridge_left_is_taken_over_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let running = bridge(&folder).unwrap();
    let link = folder.path().join("arm");
    let target = std::fs::read_link(&link).unwrap();
    let other = BridgeOptions {
        frame_path: folder.path().join("frames-2"),
        ..options(&folder, BridgeMode::Lockstep)
    };
    let error = SimulatorBridge::new(TestPlant::default(), other).unwrap_err();
    assert!(matches!(error, BridgeError::InUse { .. }), "{error}");
    assert_eq!(std::fs::read_link(&link).unwrap(), target);
    assert!(
        !folder.path().join("frames-2").exists(),
        "its socket goes with it"
    );
    drop(running);
    assert!(contents(folder.path()).is_empty());
    // As a bridge makes it, to a pty that is gone.
    let number = target.file_name().unwrap().to_str().unwrap();
    let left = target.to_str().unwrap().replace(number, "987654");
    std::os::unix::fs::symlink(&left, &link).unwrap();
    drop(bridge(&folder).unwrap());
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn paths_that_no_socket_can_have_are_refused_with_their_length() {
    let folder = tempfile::tempdir().unwrap();
    let room = 107 - folder.path().as_os_str().len() - 1;
    let fits = BridgeOptions {
        frame_path: folder.path().join("f".repeat(room)),
        ..options(&folder, BridgeMode::Lockstep)
    };
    let running = SimulatorBridge::new(TestPlant::default(), fits.clone()).unwrap();
    let connected = FrameSocket::connect(&fits.frame_path, Duration::from_millis(1));
    assert!(
        matches!(connected, Err(FrameError::Timeout { .. })),
        "it is reached"
    );
    drop(running);
    for bytes in [108, 114, 300] {
        let path = folder.path().join("f".repeat(room + bytes - 107));
        let long = BridgeOptions {
            frame_path: path.clone(),
            ..options(&folder, BridgeMode::Lockstep)
        };
        let bound = SimulatorBridge::new(TestPlant::default(), long)
            .unwrap_err()
            .to_string();
        let connected = FrameSocket::connect(&path, PATIENCE).unwrap_err().to_string();
        for message in [bound, connected] {
            let words = format!("{}: {bytes} bytes are too many", path.display());
            assert!(message.starts_with(&words), "{message}");
            assert!(message.contains("give a shorter path"), "{message}");
        }
        assert!(contents(folder.path()).is_empty());
    }
    let long = BridgeOptions {
        serial_path: Some(folder.path().join("s".repeat(300))),
        ..options(&folder, BridgeMode::Lockstep)
    };
    let error = SimulatorBridge::new(TestPlant::default(), long).unwrap_err();
    assert!(error.to_string().contains("give a shorter path"), "{error}");
    let nowhere = BridgeOptions {
        serial_path: Some(folder.path().join("folder/arm")),
        ..options(&folder, BridgeMode::Lockstep)
    };
    let error = SimulatorBridge::new(TestPlant::default(), nowhere).unwrap_err();
    assert!(error.to_string().contains("make its folder first"), "{error}");
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn what_is_no_frame_socket_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("file"), "precious").unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _datagrams = UnixDatagram::bind(path("datagrams")).unwrap();
    for (path, kind) in [
        (path("file"), "a file"),
        (path("pipe"), "a pipe (FIFO)"),
        (folder.path().to_owned(), "a folder"),
        (PathBuf::from("/dev/null"), "a device"),
        (path("datagrams"), "a socket of another kind"),
    ] {
        let error = FrameSocket::connect(&path, PATIENCE).unwrap_err();
        assert!(
            matches!(&error, FrameError::NotASocket { found, .. } if *found == kind),
            "{error}"
        );
    }
}

/// An emergency stop in a world that waits for each step is confirmed, too.
#[test]
fn an_emergency_stop_is_confirmed_over_a_pty_in_both_modes() {
    for mode in [BridgeMode::Lockstep, BridgeMode::RealTime] {
        let served = Served::new(mode);
        let mut link = served.link();
        let mut line = link
            .e_stop_line()
            .unwrap()
            .expect("a port has a second descriptor");
        assert_eq!(
            press_until_confirmed(&mut *line, Some(PATIENCE)).unwrap(),
            Stopped::Latched
        );
        link.handshake().unwrap();
        assert_eq!(until(&mut link, |_| true).state, FirmwareState::EStopped);
    }
}
