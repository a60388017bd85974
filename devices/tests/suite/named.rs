//! Devices as robot files name them.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use devices::{Arm, Camera, Opening, serial};
use firmware_bridge::frames::{
    FRAME_PROTOCOL_VERSION, FrameCause, FrameHeader, MessageReader, Refusal, Reply, Request, Welcome,
    monotonic_ns, write_header,
};
use robot::Config;
use robot::device::{Picture, PixelFormat, Signals};

/// The shipped robot file with another line in it.
fn robot(line: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let text = text.replace("    capture: (", &format!("    {line}\n    capture: ("));
    Config::parse(Path::new("robot.ron"), text).expect("a sound robot file")
}

fn firmware(config: &Config, port: Option<&str>) -> serial::Settings {
    match Arm::of(config, port.map(Path::new)).expect("an arm") {
        Arm::Firmware(settings) => settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_arm_is_what_the_file_names_at_the_port_that_is_given() {
    let named = robot("arm: firmware(port: \"/dev/named\", baud: 115200, boot_s: 1.5),");
    let at = firmware(&named, None);
    assert_eq!((&at.port[..], at.baud), ("/dev/named", Some(115_200)));
    assert_eq!(at.boot(&named), Duration::from_millis(1_500));
    let moved = firmware(&named, Some("/dev/given"));
    assert_eq!((&moved.port[..], moved.baud), ("/dev/given", Some(115_200)));
    // What the file does not say is as it was before files named arms.
    let unnamed = robot("");
    let given = firmware(&unnamed, Some("/dev/given"));
    assert_eq!((&given.port[..], given.baud), ("/dev/given", None));
    assert_eq!(given.boot(&unnamed), Duration::from_secs(5));
    let short = robot("arm: firmware(port: \"p\"),");
    assert_eq!(firmware(&short, None), serial::Settings::at(Path::new("p")));
}

#[test]
fn what_names_no_device_is_refused_by_field_with_a_remedy() {
    type Open = fn(&Config) -> String;
    let arm: Open = |config| Arm::of(config, None).unwrap_err().to_string();
    let camera: Open = |config| Camera::of(config, None).unwrap_err().to_string();
    let cases: [(&str, Open, &[&str]); 10] = [
        ("", arm, &["sim-planar", "`arm: firmware(", "--port"]),
        ("", camera, &["sim-planar", "`camera: frames(", "--frames"]),
        (
            "arm: gearbox(port: \"x\"),",
            arm,
            &["robot.ron", "`arm`", "gearbox", "firmware"],
        ),
        (
            "arm: firmware(baud: 9600),",
            arm,
            &["robot.ron", "`arm`", "`port`"],
        ),
        (
            "arm: firmware(port: \"x\", speed: 3),",
            arm,
            &["robot.ron", "`arm`", "`speed`", "baud"],
        ),
        ("arm: firmware(port: 7),", arm, &["robot.ron", "`arm`"]),
        ("arm: firmware,", arm, &["robot.ron", "`arm`"]),
        (
            "camera: webcam(device: \"usb-1-2\", width: 640),",
            camera,
            &["robot.ron", "`camera`", "`height`"],
        ),
        (
            "arm: feetech(port: \"x\", servos: [(id: 1, zero: 3)]),",
            arm,
            &["robot.ron", "`arm`", "`zero`", "zero_ticks"],
        ),
        (
            "camera: eye(socket: \"x\"),",
            camera,
            &["robot.ron", "`camera`", "eye", "frames"],
        ),
    ];
    for (line, open, words) in cases {
        let said = open(&robot(line));
        for word in words {
            assert!(said.contains(word), "{line}: no {word} in {said}");
        }
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let signals = Signals::default();
    let config = robot("arm: firmware(port: \"nowhere\"), camera: frames(socket: \"dark\"),");
    let opening = Opening {
        config: &config,
        signals: &signals,
    };
    let mut arm = Arm::of(&config, None).expect("named");
    let said = arm.open(&opening).err().expect("no such port").to_string();
    assert!(said.contains("nowhere: no such port"), "{said}");
    let unplugged = robot("camera: webcam(device: \"usb-nowhere\", width: 640, height: 480, rate_hz: 30),");
    let mut camera = Camera::of(&unplugged, None).expect("named");
    let said = camera.open(&unplugged).err().expect("no such camera").to_string();
    assert!(
        said.contains("`camera`: device: no camera is called \"usb-nowhere\""),
        "{said}"
    );
    for (given, path) in [(None, "dark"), (Some(Path::new("given")), "given")] {
        let mut camera = Camera::of(&config, given).expect("named");
        let said = camera.open(&config).err().expect("no such socket").to_string();
        assert!(said.contains(&format!("{path}: no such socket")), "{said}");
    }
}

fn say(stream: &mut UnixStream, reply: &Reply, body: &[u8]) {
    let mut bytes = Vec::new();
    write_header(reply, &mut bytes);
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).expect("writes");
}

/// A server of pictures without an arm behind it.
fn camera_alone(listener: &UnixListener) {
    let (mut stream, _) = listener.accept().expect("a client");
    let welcome = Welcome {
        protocol_version: FRAME_PROTOCOL_VERSION,
        earlier: None,
    };
    say(&mut stream, &Reply::Welcome(welcome), &[]);
    let request = MessageReader::<Request>::new()
        .next(&mut stream)
        .expect("reads")
        .map(|(request, _)| request);
    assert_eq!(request, Some(Request::Describe));
    say(&mut stream, &Reply::Refused(Refusal::NotABridge), &[]);
    let header = FrameHeader {
        seq: 1,
        device_time_us: 0,
        captured_monotonic_ns: monotonic_ns(),
        reward: FrameHeader::reward_field(None),
        cause: FrameCause::Stream,
        ended: false,
        width: 80,
        height: 60,
    };
    say(&mut stream, &Reply::Frame(header), &[9; 3 * 80 * 60]);
    // Until the client has gone.
    let _ = stream.read(&mut [0]);
}

#[test]
fn a_camera_alone_gives_pictures_of_its_own_size_and_no_task() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("camera");
    let listener = UnixListener::bind(&path).expect("binds");
    std::thread::scope(|scope| {
        scope.spawn(|| camera_alone(&listener));
        let config = robot(&format!("camera: frames(socket: {path:?}),"));
        let mut opened = Camera::of(&config, None)
            .and_then(|mut camera| camera.open(&config))
            .expect("a camera");
        assert!(opened.task.is_none());
        let mut picture = Picture::default();
        let begun = Instant::now();
        let stamp = loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "no picture");
            if let Some(stamp) = opened.camera.poll(&mut picture).expect("a camera") {
                break stamp;
            }
            std::thread::yield_now();
        };
        assert_eq!(stamp.seq, 1);
        assert_eq!(
            (picture.width, picture.height, picture.format),
            (80, 60, PixelFormat::Rgb8)
        );
        assert_eq!(picture.bytes, vec![9; 3 * 80 * 60]);
    });
}
