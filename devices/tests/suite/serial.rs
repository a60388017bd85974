//! Ports that are missing, taken, noisy or gone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use devices::{SerialLink, SerialOptions};
use firmware_bridge::wire::{ArmToHost, Decoder, HelloAck, HostToArm, MAX_FRAME_BYTES, encode};
use nix::sys::termios::{ControlFlags, SetArg, cfmakeraw, tcgetattr, tcsetattr};
use robot::device::{JointBus, LinkError};

/// A raw pty: its master, its slave held open, and the slave's path.
fn pty() -> (File, OwnedFd, String) {
    let pair = nix::pty::openpty(None, None).unwrap();
    let mut termios = tcgetattr(&pair.slave).unwrap();
    cfmakeraw(&mut termios);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &termios).unwrap();
    let path = nix::unistd::ttyname(&pair.slave).unwrap();
    (
        File::from(pair.master),
        pair.slave,
        path.to_str().unwrap().to_owned(),
    )
}

fn open(port: &str) -> Result<SerialLink, LinkError> {
    open_with(port, Duration::from_millis(150))
}

/// Waits so long for an answer that a busy machine has run whoever gives it.
fn open_patiently(port: &str, timeout_s: u64) -> SerialLink {
    open_with(port, Duration::from_secs(timeout_s)).unwrap()
}

fn open_with(port: &str, handshake_timeout: Duration) -> Result<SerialLink, LinkError> {
    SerialLink::open(&SerialOptions {
        port: port.to_owned(),
        baud: 1_000_000,
        joints: 2,
        handshake_timeout,
    })
}

#[test]
fn a_missing_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("arm");
    let error = open(port.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, LinkError::PortMissing { .. }), "{error}");
    assert!(error.to_string().starts_with(port.to_str().unwrap()));
}

#[test]
fn what_is_no_port_is_named_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "precious").unwrap();
    // Nobody ever opens the other end.
    nix::unistd::mkfifo(path("pipe").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
    for (port, kind) in [
        (path("file"), "a file"),
        (path("link"), "a file"),
        (path("pipe"), "a pipe (FIFO)"),
        (path("socket"), "a socket"),
        (path(""), "a folder"),
        ("/dev/null".to_owned(), "a device of another kind"),
        ("/dev/zero".to_owned(), "a device of another kind"),
        ("/dev/ptmx".to_owned(), "the device that makes pseudo-terminals"),
    ] {
        let error = open(&port).unwrap_err();
        assert!(
            matches!(&error, LinkError::NotAPort { found, .. } if *found == kind),
            "{port}: {error}"
        );
        let message = error.to_string();
        let words = format!("{port}: is not a serial port but {kind}; ");
        assert!(message.starts_with(&words), "{message}");
    }
    assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "precious");
    std::os::unix::fs::symlink(path("gone"), path("dangling")).unwrap();
    for (port, wanted) in [
        (path("dangling"), "no such port"),
        (path("file") + "/arm", "cannot be opened"),
        ("a".repeat(5000), "cannot be opened"),
    ] {
        let error = open(&port).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

/// A board that resets on DTR resets when DTR rises. It rises at the next opening if it fell at the last close.
#[test]
fn dtr_is_left_raised_at_close() {
    let (_master, slave, path) = pty();
    let hangs_up = || {
        tcgetattr(&slave)
            .unwrap()
            .control_flags
            .contains(ControlFlags::HUPCL)
    };
    let mut termios = tcgetattr(&slave).unwrap();
    termios.control_flags.insert(ControlFlags::HUPCL);
    tcsetattr(&slave, SetArg::TCSANOW, &termios).unwrap();
    assert!(hangs_up());
    drop(open(&path).unwrap());
    assert!(!hangs_up());
}

#[test]
fn a_port_opens_once() {
    let (_master, _slave, path) = pty();
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, LinkError::Busy { .. }), "{error}");
    drop(first);
    open(&path).expect("closed ports can be opened again");
}

#[test]
fn a_silent_port_is_no_arm() {
    let (_master, _slave, path) = pty();
    let error = open(&path).unwrap().handshake().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::NoHandshake {
                received_bytes: 0,
                bad_frames: 0,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("power"), "{error}");
}

#[test]
fn a_port_that_speaks_noise_is_no_arm() {
    let (mut master, _slave, path) = pty();
    let mut link = open_patiently(&path, 2);
    // As a boot loader's banner would: before the handshake, and not framed.
    master.write_all(&[b'?'; 100]).unwrap();
    let noise = std::thread::Builder::new()
        .name("noise".to_owned())
        .spawn(move || {
            let mut hello = [0; 64];
            let _ = master.read(&mut hello).unwrap();
            master.write_all(b"\0garbage\0more garbage\0").unwrap();
            master
        });
    let error = link.handshake().unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::NoHandshake {
                received_bytes: 22..,
                bad_frames: 2..,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("baud"), "{error}");
    drop(noise.unwrap().join().unwrap());
}

#[test]
fn another_version_is_refused() {
    let (mut master, slave, path) = pty();
    let mut link = open_patiently(&path, 20);
    let arm = std::thread::Builder::new()
        .name("old arm".to_owned())
        .spawn(move || {
            let mut decoder = Decoder::<HostToArm>::default();
            let mut byte = [0];
            // Every question is answered, up to the end of the line: an answer that a busy machine delays is to an earlier one.
            while master.read_exact(&mut byte).is_ok() {
                if let Some(HostToArm::Hello { host_time_us, .. }) = decoder.push(byte[0]) {
                    let ack = HelloAck::of_another_version(77, 2, [0; 3], host_time_us, 0);
                    let ack = ArmToHost::HelloAck(ack);
                    let mut buffer = [0; MAX_FRAME_BYTES];
                    master.write_all(encode(&ack, &mut buffer).unwrap()).unwrap();
                }
            }
        });
    let error = link.handshake().unwrap_err();
    assert!(
        matches!(error, LinkError::VersionMismatch { theirs: 77, .. }),
        "{error}"
    );
    drop((link, slave));
    arm.unwrap().join().unwrap();
}

#[test]
fn a_closed_peer_is_an_error_at_once() {
    let (master, slave, path) = pty();
    let mut link = open(&path).unwrap();
    drop((slave, master));
    let error = link.poll_telemetry().unwrap_err();
    assert!(matches!(error, LinkError::Closed { .. }), "{error}");
    let error = link.send_e_stop().unwrap_err();
    assert!(matches!(error, LinkError::Closed { .. }), "{error}");
}

#[test]
fn a_peer_that_stops_reading_is_an_error_in_bounded_time() {
    let (_master, _slave, path) = pty();
    let mut link = open(&path).unwrap();
    let error = (0..100_000).find_map(|_| link.send_stop().err()).unwrap();
    assert!(matches!(error, LinkError::WriteTimeout { .. }), "{error}");
}

#[test]
fn ports_are_listed_by_the_name_that_stays() {
    use devices::serial::{Port, ports};
    let dev = tempfile::tempdir().unwrap();
    assert_eq!(ports::list(dev.path()), []);
    for name in ["ttyACM0", "ttyUSB1", "ttyS0", "null"] {
        File::create(dev.path().join(name)).unwrap();
    }
    let by_id = dev.path().join("serial/by-id");
    std::fs::create_dir_all(&by_id).unwrap();
    let named = by_id.join("usb-1a86_USB_Single_Serial_5A7A-if00");
    std::os::unix::fs::symlink("../../ttyACM0", &named).unwrap();
    // A link whose device is gone.
    std::os::unix::fs::symlink("../../ttyACM7", by_id.join("usb-gone")).unwrap();
    let node = |name: &str| std::fs::canonicalize(dev.path().join(name)).unwrap();
    let found: Vec<_> = ports::list(&std::fs::canonicalize(dev.path()).unwrap())
        .into_iter()
        .map(|Port { name, node }| (name.file_name().unwrap().to_owned(), node))
        .collect();
    let expected = [
        ("usb-1a86_USB_Single_Serial_5A7A-if00", node("ttyACM0")),
        ("ttyUSB1", node("ttyUSB1")),
    ];
    assert_eq!(found, expected.map(|(name, node)| (name.into(), node)));
}
