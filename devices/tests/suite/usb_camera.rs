//! The USB camera of software, asked as a kernel asks: descriptors, the choice of a rate, and pictures in parts.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use devices::emulation::usb_camera::{Form, UsbCamera};

const WAIT: Duration = Duration::from_secs(10);

/// What a kernel has at its end of the socket.
struct Host {
    socket: UnixStream,
    seq: u32,
}

impl Host {
    fn plugged() -> (Self, UsbCamera) {
        let (near, far) = UnixStream::pair().expect("a socket");
        far.set_read_timeout(Some(WAIT)).expect("a limit");
        let form = Form {
            width_px: 320,
            height_px: 240,
            intervals_100ns: vec![333_333, 666_666],
            serial: "TEST7".to_owned(),
        };
        let camera = UsbCamera::on(near, form).expect("a thread");
        (Self { socket: far, seq: 0 }, camera)
    }

    /// Asks: command, direction, endpoint and length; then the setup packet and data outwards. Returns the number of the request.
    fn ask(&mut self, words: [u32; 4], setup: [u8; 8], data: &[u8]) -> u32 {
        self.seq += 1;
        let [command, inwards, endpoint, length] = words;
        let mut message = [0; 48];
        let header = [command, self.seq, 0x1_0001, inwards, endpoint, 0, length];
        for (bytes, word) in message.chunks_exact_mut(4).zip(header) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        message[40..].copy_from_slice(&setup);
        self.socket.write_all(&message).expect("a request leaves");
        self.socket.write_all(data).expect("its data leave");
        self.seq
    }

    /// The next answer: command, number, status, data.
    fn hear(&mut self) -> (u32, u32, i32, Vec<u8>) {
        let mut header = [0; 48];
        self.socket.read_exact(&mut header).expect("an answer");
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
        // Nothing in these tests goes outwards with a length that is told and no data.
        let mut data = vec![0; word(24) as usize];
        self.socket.read_exact(&mut data).expect("its data");
        (word(0), word(4), word(20) as i32, data)
    }

    /// A control transfer inwards.
    fn control(&mut self, camera: &mut UsbCamera, setup: [u8; 8]) -> (i32, Vec<u8>) {
        let length = u32::from(u16::from_le_bytes([setup[6], setup[7]]));
        let seq = self.ask([1, 1, 0, length], setup, &[]);
        assert!(camera.turn(WAIT).expect("a socket"));
        let (command, of, status, data) = self.hear();
        assert_eq!((command, of), (3, seq));
        (status, data)
    }

    /// A transfer from the camera's stream of at most `length` bytes.
    fn bulk(&mut self, camera: &mut UsbCamera, length: u32) -> u32 {
        let seq = self.ask([1, 1, 1, length], [0; 8], &[]);
        assert!(camera.turn(WAIT).expect("a socket"));
        seq
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

#[test]
fn the_descriptors_hang_together_and_name_the_camera() {
    let (mut host, mut camera) = Host::plugged();
    let (status, all) = host.control(&mut camera, [0x80, 6, 0, 2, 0, 0, 255, 0]);
    assert_eq!((status, all.len()), (0, u16_at(&all, 2)));
    // Each descriptor begins with its length: the last one must end where all end.
    let (mut at, mut frames) = (0, Vec::new());
    while at < all.len() {
        let descriptor = &all[at..at + usize::from(all[at])];
        if descriptor[1..3] == [0x24, 7] {
            frames.push(descriptor.to_vec());
        }
        at += descriptor.len();
    }
    assert_eq!(at, all.len());
    let [frame] = &frames[..] else {
        panic!("one size of pictures, not {}", frames.len());
    };
    assert_eq!((u16_at(frame, 5), u16_at(frame, 7), frame[25]), (320, 240, 2));
    assert_eq!(frame[26..30], 333_333_u32.to_le_bytes());
    // Whoever asks for less is given less.
    let (_, start) = host.control(&mut camera, [0x80, 6, 0, 2, 0, 0, 9, 0]);
    assert_eq!(start, all[..9]);
    let (_, name) = host.control(&mut camera, [0x80, 6, 3, 3, 9, 4, 255, 0]);
    let letters: Vec<u8> = "TEST7".bytes().flat_map(|letter| [letter, 0]).collect();
    assert_eq!(name, [&[12, 3], &letters[..]].concat());
    // What it does not have stalls.
    assert_eq!(host.control(&mut camera, [0x80, 6, 0, 9, 0, 0, 8, 0]).0, -32);
}

#[test]
fn the_nearest_rate_is_chosen_and_read_back() {
    let (mut host, mut camera) = Host::plugged();
    for (asked, chosen) in [(1, 333_333_u32), (400_000, 333_333), (660_000, 666_666)] {
        let mut probe = [0; 26];
        probe[4..8].copy_from_slice(&u32::to_le_bytes(asked));
        host.ask([1, 0, 0, 26], [0x21, 1, 0, 1, 1, 0, 26, 0], &probe);
        assert!(camera.turn(WAIT).expect("a socket"));
        let mut header = [0; 48];
        host.socket.read_exact(&mut header).expect("an answer");
        let (status, answer) = host.control(&mut camera, [0xa1, 0x81, 0, 1, 1, 0, 26, 0]);
        assert_eq!((status, &answer[4..8]), (0, &chosen.to_le_bytes()[..]));
    }
}

#[test]
fn a_picture_arrives_in_parts_with_its_end_and_its_marks() {
    let (mut host, mut camera) = Host::plugged();
    let mut toggles = Vec::new();
    for damaged in [false, true, false] {
        let picture: Vec<u8> = (0..1_200_u32).map(|at| at as u8).collect();
        let mut asked = host.bulk(&mut camera, 514);
        assert!(!toggles.is_empty() || camera.is_due());
        camera.show(picture.clone(), damaged).expect("a socket");
        let mut arrived = Vec::new();
        loop {
            let (command, seq, status, data) = host.hear();
            assert_eq!((command, seq, status, data[0]), (3, asked, 0, 2));
            arrived.extend_from_slice(&data[2..]);
            assert_eq!(data[1] & 0x40 != 0, damaged);
            if data[1] & 2 != 0 {
                toggles.push(data[1] & 1);
                break;
            }
            assert_eq!(data.len(), 514);
            asked = host.bulk(&mut camera, 514);
        }
        assert_eq!(arrived, picture);
    }
    assert!(
        toggles[0] != toggles[1] && toggles[0] == toggles[2],
        "{toggles:?}"
    );
}

#[test]
fn what_is_taken_back_gets_no_picture_and_a_camera_that_is_pulled_out_is_silent() {
    let (mut host, mut camera) = Host::plugged();
    let victim = host.bulk(&mut camera, 514);
    host.seq += 1;
    let mut message = [0; 48];
    for (at, word) in [(0, 2), (4, host.seq), (20, victim)] {
        message[at..at + 4].copy_from_slice(&u32::to_be_bytes(word));
    }
    host.socket.write_all(&message).expect("a request leaves");
    assert!(camera.turn(WAIT).expect("a socket"));
    let (command, seq, status, _) = host.hear();
    assert_eq!((command, seq, status), (4, host.seq, -104));
    assert!(!camera.is_due(), "nobody waits for a picture any more");
    drop(camera);
    assert_eq!(host.socket.read(&mut message).expect("an end"), 0);
}
