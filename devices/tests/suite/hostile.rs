//! Peers that mean harm at the frame socket.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use devices::{FrameError, FrameSocket};
use firmware_bridge::BridgeMode;
use firmware_bridge::frames::{
    BridgeInfo, FrameCause, FrameHeader, MessageReader, Refusal, Reply, Request, Welcome, WithBody,
    write_header,
};
use robot::Frame;
use robot::device::{FrameSource, Picture};
use robot::philox::Stream;

use super::bridge::Served;

/// Bytes that come in pieces, and then no more.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.min(self.bytes.len()).min(into.len());
        into[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

fn below(stream: &mut Stream, end: usize) -> usize {
    (stream.range(0.0, 1.0) * end as f32) as usize % end.max(1)
}

/// A few messages of either side of the socket, one after the other.
fn conversation(stream: &mut Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=below(stream, 3) {
        match below(stream, 7) {
            0 => write_header(&Request::Reset { seed: 7 }, &mut bytes),
            1 => write_header(&Request::Step { command_seq: Some(9) }, &mut bytes),
            2 => write_header(&Request::Describe, &mut bytes),
            3 => {
                let welcome = Welcome {
                    protocol_version: below(stream, 4) as u16,
                    earlier: None,
                };
                write_header(&Reply::Welcome(welcome), &mut bytes);
            }
            4 => write_header(&Reply::Refused(Refusal::Malformed), &mut bytes),
            5 => {
                let info = BridgeInfo {
                    lockstep: true,
                    period_us: 100_000,
                    joints: 2,
                };
                write_header(&Reply::Bridge(info), &mut bytes);
            }
            _ => {
                let header = FrameHeader {
                    seq: 1,
                    device_time_us: 2,
                    captured_monotonic_ns: u64::MAX,
                    reward: f32::NAN,
                    cause: FrameCause::Stream,
                    ended: false,
                    width: 4,
                    height: 3,
                };
                write_header(&Reply::Frame(header), &mut bytes);
                bytes.extend([9; 36]);
            }
        }
    }
    bytes
}

/// A conversation with a few bytes changed, or no conversation at all.
fn hostile(stream: &mut Stream) -> Vec<u8> {
    let mut bytes = conversation(stream);
    if below(stream, 4) == 0 {
        bytes = (0..below(stream, 300))
            .map(|_| below(stream, 256) as u8)
            .collect();
    }
    for _ in 0..below(stream, 5) {
        let at = below(stream, bytes.len());
        let value = [0, 1, 0x40, 0x7f, 0x80, 0xff][below(stream, 6)];
        match bytes.get_mut(at) {
            Some(byte) => *byte = value,
            None => bytes.push(value),
        }
    }
    bytes
}

/// Reads everything that there is. Returns how many messages were understood.
fn read_all<M: WithBody>(bytes: &[u8], piece: usize, earlier: bool) -> usize {
    let mut reader = MessageReader::<M>::new();
    reader.earlier = earlier;
    let mut pieces = Pieces { bytes, piece };
    let mut messages = 0;
    while let Ok(Some((header, body))) = reader.next(&mut pieces) {
        assert_eq!(body.len(), header.body_bytes());
        messages += 1;
    }
    messages
}

fn read_hostile(trials: u64) -> usize {
    let mut messages = 0;
    for seed in 0..trials {
        let mut stream = Stream::new(seed, 0x50CC);
        let bytes = hostile(&mut stream);
        let piece = 1 + below(&mut stream, 40);
        messages += read_all::<Request>(&bytes, piece, false);
        messages += read_all::<Reply>(&bytes, piece, false);
        messages += read_all::<Reply>(&bytes, piece, true);
    }
    messages
}

#[test]
fn whatever_comes_over_a_frame_socket_is_a_message_or_an_error() {
    assert!(read_hostile(5_000) > 1_000);
}

#[test]
#[ignore = "takes minutes"]
fn whatever_comes_over_a_frame_socket_is_a_message_or_an_error_in_many_trials() {
    const TRIALS: u64 = 2_000_000;
    let messages = read_hostile(TRIALS);
    println!(
        "{TRIALS} hostile streams, each read by both sides and by one of before: 0 panics, {messages} messages"
    );
}

#[test]
fn a_bridge_outlives_clients_that_send_anything() {
    let served = Served::new(BridgeMode::Lockstep);
    for seed in 0..300 {
        let mut stream = Stream::new(seed, 0xB21D);
        let mut bytes = hostile(&mut stream);
        // A request to end the bridge is its owner's right.
        bytes.retain(|byte| *byte != 2);
        let mut client = UnixStream::connect(served.socket()).unwrap();
        // A bridge that has understood enough closes while this is written.
        let _ = client.write_all(&bytes);
        if seed % 3 == 0 {
            let _ = client.shutdown(std::net::Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        }
    }
    // It lets the last one go, and then has a place for a client that speaks its language.
    let mut frame = Frame::new(64);
    let delivered = (0..1_000_000)
        .find_map(|_| {
            let mut socket = FrameSocket::connect(&served.socket(), Duration::from_secs(20)).ok()?;
            Some(socket.reset(3, &mut frame).unwrap())
        })
        .expect("a place");
    assert!(delivered.stamp.seq > 0);
}

#[test]
fn a_client_outlives_servers_that_send_anything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("camera");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::scope(|scope| {
        const TRIALS: u64 = 200;
        scope.spawn(|| {
            for seed in 0..TRIALS {
                let (mut stream, _) = listener.accept().unwrap();
                let mut random = Stream::new(seed, 0x5E4E);
                let mut bytes = Vec::new();
                if below(&mut random, 2) == 0 {
                    let welcome = Welcome {
                        protocol_version: firmware_bridge::frames::FRAME_PROTOCOL_VERSION,
                        earlier: None,
                    };
                    write_header(&Reply::Welcome(welcome), &mut bytes);
                }
                bytes.extend(hostile(&mut random));
                // The client closes when it has had enough.
                let _ = stream.write_all(&bytes);
            }
        });
        let mut frame = Frame::new(64);
        for _ in 0..TRIALS {
            // Silence is not waited for: the server closes.
            let Ok(mut socket) = FrameSocket::connect(&path, Duration::from_secs(20)) else {
                continue;
            };
            // An answer or an error. A picture of another size is none for this model.
            let _ = socket.describe();
            let _ = socket.reset(1, &mut frame);
        }
    });
}

/// A client that waits for any answer to come.
type Ask = fn(&mut FrameSocket, &mut Frame) -> Result<(), FrameError>;

/// A server that goes on and on with what nobody has asked for is as good as one that is silent: nobody waits for longer than the time
/// that an answer may take, and who asks for the newest picture comes back.
#[test]
fn a_server_that_never_stops_talking_keeps_nobody_waiting() {
    const ANSWER: Duration = Duration::from_millis(50);
    let welcome = Reply::Welcome(Welcome {
        protocol_version: firmware_bridge::frames::FRAME_PROTOCOL_VERSION,
        earlier: None,
    });
    let mut picture = Vec::new();
    let header = FrameHeader {
        seq: 1,
        device_time_us: 2,
        captured_monotonic_ns: 3,
        reward: 0.5,
        cause: FrameCause::Stream,
        ended: false,
        width: 0,
        height: 0,
    };
    write_header(&Reply::Frame(header), &mut picture);
    let flood = picture.repeat(500);
    let asks: [(&str, bool, Ask); 3] = [
        ("reset", true, |socket, frame| socket.reset(1, frame).map(|_| ())),
        ("a description", true, |socket, _| socket.describe().map(|_| ())),
        ("connecting", false, |_, _| Ok(())),
    ];
    for (asked, welcomes, ask) in asks {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("camera");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                if welcomes {
                    let mut bytes = Vec::new();
                    write_header(&welcome, &mut bytes);
                    stream.write_all(&bytes).unwrap();
                }
                // Until the client closes.
                while stream.write_all(&flood).is_ok() {}
            });
            let mut frame = Frame::new(64);
            let error = FrameSocket::connect(&path, ANSWER)
                .and_then(|mut socket| ask(&mut socket, &mut frame))
                .unwrap_err();
            assert!(
                matches!(error, FrameError::Timeout { request, .. } if request == asked),
                "{asked}: {error}"
            );
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("camera");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            write_header(&welcome, &mut bytes);
            stream.write_all(&bytes).unwrap();
            while stream.write_all(&flood).is_ok() {}
        });
        let socket = FrameSocket::connect(&path, Duration::from_secs(20)).unwrap();
        let (mut camera, _task) = socket.split();
        let mut picture = Picture::default();
        // The server may take its time to begin.
        while camera.poll(&mut picture).unwrap().is_none() {
            std::thread::yield_now();
        }
        // Each comes back. The server fills the socket faster than it is read.
        for _ in 0..1_000 {
            let again = camera.poll(&mut picture).unwrap();
            assert_eq!(again, None, "the picture has one number");
        }
    });
}
