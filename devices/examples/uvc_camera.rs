//! A USB webcam that is this program, for the kernel's own `uvcvideo` driver: `uvc_camera SECONDS [FAULT,PICTURES[,FOR_S]]...`.
//!
//! It speaks USB/IP (the protocol in the kernel's `Documentation/usb/usbip_protocol.rst`) to the `vhci-hcd` module over a socket of its
//! own, which takes root, and is a UVC 1.0 camera (USB Device Class Definition for Video Devices) with one format: MJPEG of 640 x 480
//! pixels at 30 or 60 Hz over a bulk endpoint. Faults: `unplug` (and plug in again), `freeze`, `error` (the mark of one, in one
//! picture), `cut` (one picture ends early, without a mark). Each comes so many pictures after the one before it, or after the camera
//! was plugged in. Meant for a small virtual machine: `cargo xtask vm uvc`.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Where a USB/IP socket is handed to the kernel.
const ATTACH: &str = "/sys/devices/platform/vhci_hcd.0/attach";

/// Most bytes of one bulk transfer, its header of two included.
const PAYLOAD: usize = 16_384;

/// Most bytes of a picture.
const PICTURE: u32 = 640 * 480;

/// Names of the camera: maker, product, serial number.
const NAMES: [&str; 3] = ["Armillary", "Camera of software", "SOFT0001"];

type Failure = Box<dyn std::error::Error>;

/// What goes wrong, so many pictures after the last fault, and for how long.
struct Fault {
    what: String,
    pictures: u32,
    for_s: f64,
}

/// What the kernel asks for.
enum Request {
    Control { seq: u32, setup: [u8; 8], data: Vec<u8> },
    Bulk { seq: u32, length: usize },
    Unlink { seq: u32, victim: u32 },
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments
        .next()
        .ok_or("uvc_camera SECONDS [FAULT,PICTURES[,FOR_S]]...")?
        .parse()?;
    let mut faults = VecDeque::new();
    for text in arguments {
        let parts: Vec<&str> = text.split(',').collect();
        faults.push_back(Fault {
            what: parts[0].to_owned(),
            pictures: parts.get(1).ok_or("FAULT,PICTURES")?.parse()?,
            for_s: parts.get(2).map_or(Ok(0.0), |text| text.parse())?,
        });
    }
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        let (ours, kernels) = UnixStream::pair()?;
        std::fs::write(ATTACH, format!("0 {} 1 3", kernels.as_raw_fd()))?;
        drop(kernels);
        let mut camera = Camera::new(ours.try_clone()?);
        let (sender, requests) = sync_channel(64);
        let mut reading = ours.try_clone()?;
        let reader = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                while let Ok(request) = read(&mut reading) {
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            })?;
        let gone_s = camera.serve(&requests, begun, seconds, &mut faults)?;
        ours.shutdown(std::net::Shutdown::Both)?;
        drop(requests);
        let _ = reader.join();
        std::thread::sleep(Duration::from_secs_f64(gone_s));
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn read(from: &mut UnixStream) -> std::io::Result<Request> {
    let mut header = [0; 48];
    from.read_exact(&mut header)?;
    let seq = word(&header, 4);
    if word(&header, 0) == 2 {
        return Ok(Request::Unlink {
            seq,
            victim: word(&header, 20),
        });
    }
    let (inwards, endpoint, length) = (
        word(&header, 12) == 1,
        word(&header, 16),
        word(&header, 24) as usize,
    );
    let mut data = vec![0; if inwards { 0 } else { length }];
    from.read_exact(&mut data)?;
    if endpoint == 0 {
        let mut setup = [0; 8];
        setup.copy_from_slice(&header[40..]);
        return Ok(Request::Control { seq, setup, data });
    }
    Ok(Request::Bulk { seq, length })
}

struct Camera {
    socket: UnixStream,
    /// Transfers that wait for a picture.
    waiting: VecDeque<(u32, usize)>,
    /// What was negotiated: probe and commit, 26 bytes.
    probe: [u8; 26],
    period: Duration,
    picture: Vec<u8>,
    sent: usize,
    number: u32,
    /// Pictures since the last fault.
    since_fault: u32,
    due: Instant,
    error: bool,
}

impl Camera {
    fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            waiting: VecDeque::new(),
            probe: probe(333_333),
            period: Duration::from_nanos(33_333_300),
            picture: Vec::new(),
            sent: 0,
            number: 0,
            since_fault: 0,
            due: Instant::now(),
            error: false,
        }
    }

    /// Serves until the time is over or the camera is pulled out; returns for how long, in seconds.
    fn serve(
        &mut self,
        requests: &Receiver<Request>,
        begun: Instant,
        seconds: f64,
        faults: &mut VecDeque<Fault>,
    ) -> Result<f64, Failure> {
        let (mut frozen_until_s, mut cut) = (0.0, false);
        loop {
            match requests.recv_timeout(Duration::from_millis(1)) {
                Ok(request) => self.answer(request)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0.0),
            }
            let now_s = begun.elapsed().as_secs_f64();
            if now_s >= seconds {
                return Ok(0.0);
            }
            if faults
                .front()
                .is_some_and(|fault| fault.pictures <= self.since_fault)
                && let Some(fault) = faults.pop_front()
            {
                self.since_fault = 0;
                match fault.what.as_str() {
                    "unplug" => return Ok(fault.for_s),
                    "freeze" => frozen_until_s = now_s + fault.for_s,
                    "error" => self.error = true,
                    "cut" => cut = true,
                    other => return Err(format!("no fault {other}").into()),
                }
            }
            if now_s < frozen_until_s || self.waiting.is_empty() {
                continue;
            }
            if self.sent == self.picture.len() && Instant::now() >= self.due {
                self.due = Instant::now().max(self.due + self.period);
                self.number += 1;
                self.since_fault += 1;
                self.sent = 0;
                self.picture = picture(self.number);
                if std::mem::take(&mut cut) {
                    self.picture.truncate(20_000);
                }
            }
            self.stream()?;
        }
    }

    /// Sends as much of the picture as transfers wait for.
    fn stream(&mut self) -> Result<(), Failure> {
        while self.sent < self.picture.len() {
            let Some((seq, length)) = self.waiting.pop_front() else {
                return Ok(());
            };
            let end = self.picture.len().min(self.sent + length.min(PAYLOAD) - 2);
            let last = end == self.picture.len();
            // Bit 0 changes with each picture, bit 1 marks its end, bit 6 an error, bit 7 the header's own end.
            let mut info = 0x80 | (self.number & 1) as u8 | u8::from(last) << 1;
            info |= u8::from(self.error) << 6;
            self.error &= !last;
            let mut data = vec![2, info];
            data.extend_from_slice(&self.picture[self.sent..end]);
            self.sent = end;
            self.reply(seq, 0, &data)?;
        }
        Ok(())
    }

    fn reply(&mut self, seq: u32, status: i32, data: &[u8]) -> Result<(), Failure> {
        self.send(3, seq, status, data.len(), data)
    }

    fn send(
        &mut self,
        command: u32,
        seq: u32,
        status: i32,
        length: usize,
        data: &[u8],
    ) -> Result<(), Failure> {
        let mut message = vec![0; 48];
        message[..4].copy_from_slice(&command.to_be_bytes());
        message[4..8].copy_from_slice(&seq.to_be_bytes());
        message[20..24].copy_from_slice(&status.to_be_bytes());
        message[24..28].copy_from_slice(&(length as u32).to_be_bytes());
        message.extend_from_slice(data);
        Ok(self.socket.write_all(&message)?)
    }

    fn answer(&mut self, request: Request) -> Result<(), Failure> {
        match request {
            Request::Bulk { seq, length } => self.waiting.push_back((seq, length)),
            Request::Unlink { seq, victim } => {
                let before = self.waiting.len();
                self.waiting.retain(|(waiting, _)| *waiting != victim);
                let status = if self.waiting.len() < before { -104 } else { 0 };
                self.send(4, seq, status, 0, &[])?;
            }
            Request::Control { seq, setup, data } => match self.control(setup, &data) {
                Some(mut answer) if setup[0] & 0x80 != 0 => {
                    answer.truncate(usize::from(u16::from_le_bytes([setup[6], setup[7]])));
                    self.reply(seq, 0, &answer)?;
                }
                // Outwards: as many bytes as came.
                Some(_) => self.send(3, seq, 0, data.len(), &[])?,
                // A stall: EPIPE.
                None => self.reply(seq, -32, &[])?,
            },
        }
        Ok(())
    }

    fn control(&mut self, setup: [u8; 8], data: &[u8]) -> Option<Vec<u8>> {
        let [kind, request, low, high, interface, ..] = setup;
        match (kind, request) {
            (0x80, 6) => match (high, low) {
                (1, _) => Some(DEVICE.to_vec()),
                (2, _) => Some(configuration()),
                (3, 0) => Some(vec![4, 3, 9, 4]),
                (3, _) => {
                    let name = NAMES.get(usize::from(low).checked_sub(1)?)?;
                    let text: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
                    Some([&[text.len() as u8 + 2, 3][..], &text].concat())
                }
                _ => None,
            },
            (0x80..=0x82, 0) => Some(vec![0, 0]),
            (0..=2, _) => Some(Vec::new()),
            // Probe and commit of the stream.
            (0x21, 1) if interface == 1 && data.len() >= 8 => {
                let interval = u32::from_le_bytes([data[4], data[5], data[6], data[7]]);
                let interval = if interval < 250_000 { 166_667 } else { 333_333 };
                self.probe = probe(interval);
                self.period = Duration::from_nanos(u64::from(interval) * 100);
                (self.picture, self.sent) = (Vec::new(), 0);
                Some(Vec::new())
            }
            (0xa1, 0x81 | 0x87) if interface == 1 => Some(self.probe.to_vec()),
            (0xa1, 0x82) if interface == 1 => Some(probe(166_667).to_vec()),
            (0xa1, 0x83) if interface == 1 => Some(probe(333_333).to_vec()),
            (0xa1, 0x85) if interface == 1 => Some(vec![26, 0]),
            (0xa1, 0x86) if interface == 1 => Some(vec![3]),
            _ => None,
        }
    }
}

/// Video probe and commit controls (UVC 1.0, table 4-47).
fn probe(interval: u32) -> [u8; 26] {
    let mut bytes = [0; 26];
    bytes[..4].copy_from_slice(&[1, 0, 1, 1]);
    bytes[4..8].copy_from_slice(&interval.to_le_bytes());
    bytes[18..22].copy_from_slice(&PICTURE.to_le_bytes());
    bytes[22..].copy_from_slice(&(PAYLOAD as u32).to_le_bytes());
    bytes
}

/// Bytes between a JPEG's marks that hold no mark: what is looked at here is how they travel.
fn picture(number: u32) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend((0..40_000).map(|at| ((at * 7 + number * 13) % 251) as u8));
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// Device descriptor: USB 2.0, several functions, vendor 1234, product 5678.
const DEVICE: [u8; 18] = [
    18, 1, 0, 2, 0xef, 2, 1, 64, 0x34, 0x12, 0x78, 0x56, 0, 1, 1, 2, 3, 1,
];

/// Everything about the camera's interfaces.
fn configuration() -> Vec<u8> {
    let mut frame = vec![34, 0x24, 7, 1, 0, 0x80, 2, 0xe0, 1];
    for number in [10_000_000, 100_000_000, PICTURE, 333_333] {
        frame.extend(number.to_le_bytes());
    }
    frame.push(2);
    for interval in [166_667_u32, 333_333] {
        frame.extend(interval.to_le_bytes());
    }
    let stream: Vec<u8> = [
        &[14, 0x24, 1, 1, 0, 0, 0x81, 0, 2, 0, 0, 0, 1, 0][..],
        &[11, 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0],
        &frame,
        &[6, 0x24, 13, 1, 1, 4],
    ]
    .concat();
    let mut all: Vec<u8> = [
        &[9, 2, 0, 0, 2, 1, 0, 0x80, 250][..],
        &[8, 11, 0, 2, 14, 3, 0, 0],
        // Control: a camera, and the stream that it goes to.
        &[9, 4, 0, 0, 0, 14, 1, 0, 0],
        &[13, 0x24, 1, 0, 1, 13 + 18 + 9, 0, 0x80, 0x8d, 0x5b, 0, 1, 1],
        &[18, 0x24, 2, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0],
        &[9, 0x24, 3, 2, 1, 1, 0, 1, 0],
        &[9, 4, 1, 0, 1, 14, 2, 0, 0],
        &stream,
        &[7, 5, 0x81, 2, 0, 2, 0],
    ]
    .concat();
    let start = all.len() - 7 - stream.len();
    all[start + 4..start + 6].copy_from_slice(&(stream.len() as u16).to_le_bytes());
    let length = all.len() as u16;
    all[2..4].copy_from_slice(&length.to_le_bytes());
    all
}
