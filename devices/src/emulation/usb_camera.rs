//! A USB webcam that is this program, for the kernel's own `uvcvideo` driver.
//!
//! It speaks USB/IP (the protocol in the kernel's `Documentation/usb/usbip_protocol.rst`) to the module `vhci-hcd` over a socket of its
//! own, and is a UVC 1.0 camera (USB Device Class Definition for Video Devices) with one format: MJPEG over a bulk endpoint. Pictures
//! come from the caller. To plug it in takes root.

mod descriptors;
mod usbip;

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use usbip::Request;

/// Where a USB/IP socket is handed to the kernel.
const ATTACH: &str = "/sys/devices/platform/vhci_hcd.0/attach";

/// The kernel's number for USB 2.0 at high speed.
const HIGH_SPEED: u32 = 3;

/// Most bytes of one bulk transfer, its header of two included.
const PAYLOAD_BYTES: usize = 16_384;

/// What the camera says of itself. Its model is `1234:5678`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Pixels a row.
    pub width_px: u16,
    /// Rows.
    pub height_px: u16,
    /// Times between two pictures that can be chosen, in units of 100 ns; at least one.
    pub intervals_100ns: Vec<u32>,
    /// Serial number.
    pub serial: String,
}

impl Form {
    /// Most bytes of a picture.
    pub fn bytes_max(&self) -> u32 {
        u32::from(self.width_px) * u32::from(self.height_px)
    }

    /// The interval that is nearest to `asked_100ns`.
    fn interval_100ns(&self, asked_100ns: u32) -> u32 {
        let all = self.intervals_100ns.iter().copied();
        all.min_by_key(|own| own.abs_diff(asked_100ns))
            .unwrap_or(asked_100ns)
    }
}

/// A camera that is plugged in. Dropping it pulls it out.
#[derive(Debug)]
pub struct UsbCamera {
    form: Form,
    socket: UnixStream,
    requests: Receiver<Request>,
    /// Transfers that wait for a picture, each with its number and its length in bytes.
    waiting: VecDeque<(u32, usize)>,
    interval_100ns: u32,
    picture: Vec<u8>,
    /// How many of its bytes have been sent.
    sent: usize,
    shown: u32,
    due: Instant,
    damaged: bool,
}

impl UsbCamera {
    /// Plugs the camera into a USB port of the kernel's.
    ///
    /// # Errors
    /// What the operating system says: the module `vhci-hcd` is not loaded, or the caller is not root.
    pub fn plug_in(form: Form) -> io::Result<Self> {
        let (ours, kernels) = UnixStream::pair()?;
        let (port, device) = (0, 1);
        let words = format!("{port} {} {device} {HIGH_SPEED}", kernels.as_raw_fd());
        std::fs::write(ATTACH, words)?;
        Self::on(ours, form)
    }

    /// The camera at the near end of `socket`; at the far end is what asks as a kernel does.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn on(socket: UnixStream, form: Form) -> io::Result<Self> {
        let (sender, requests) = sync_channel(64);
        let mut reading = socket.try_clone()?;
        // It ends when the socket is shut, or when nobody takes its requests any more.
        std::thread::Builder::new()
            .name("usb camera".to_owned())
            .spawn(move || {
                while let Ok(request) = usbip::read(&mut reading) {
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            interval_100ns: form.interval_100ns(u32::MAX),
            form,
            socket,
            requests,
            waiting: VecDeque::new(),
            picture: Vec::new(),
            sent: 0,
            shown: 0,
            due: Instant::now(),
            damaged: false,
        })
    }

    /// Answers one request of the kernel's, which is waited for as long as `wait`. False if the kernel has let go of the camera.
    ///
    /// # Errors
    /// What the operating system says of the socket.
    pub fn turn(&mut self, wait: Duration) -> io::Result<bool> {
        match self.requests.recv_timeout(wait) {
            Ok(request) => self.answer(request)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        self.stream()?;
        Ok(true)
    }

    /// Whether the kernel asks for pictures, and the next one is due.
    pub fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.sent == self.picture.len() && Instant::now() >= self.due
    }

    /// Sends `picture`, a JPEG, as fast as the kernel takes it. `damaged` gives it the mark of an error.
    ///
    /// # Errors
    /// What the operating system says of the socket.
    pub fn show(&mut self, picture: Vec<u8>, damaged: bool) -> io::Result<()> {
        let interval = Duration::from_nanos(100 * u64::from(self.interval_100ns));
        self.due = Instant::now().max(self.due + interval);
        (self.picture, self.sent, self.damaged) = (picture, 0, damaged);
        self.shown = self.shown.wrapping_add(1);
        self.stream()
    }

    /// Sends as much of the picture as transfers wait for.
    fn stream(&mut self) -> io::Result<()> {
        while self.sent < self.picture.len() {
            let Some((seq, length)) = self.waiting.pop_front() else {
                return Ok(());
            };
            let end = self.picture.len().min(self.sent + length.min(PAYLOAD_BYTES) - 2);
            let last = end == self.picture.len();
            // Bit 0 changes with each picture, bit 1 marks its end, bit 6 an error, bit 7 the header's own end.
            let mut info = 0x80 | (self.shown & 1) as u8 | u8::from(last) << 1;
            info |= u8::from(self.damaged) << 6;
            let mut data = vec![2, info];
            data.extend_from_slice(&self.picture[self.sent..end]);
            self.sent = end;
            self.damaged &= !last;
            usbip::submitted(&mut self.socket, seq, 0, data.len(), &data)?;
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> io::Result<()> {
        match request {
            Request::Bulk { seq, length } => self.waiting.push_back((seq, length)),
            Request::Unlink { seq, victim } => {
                let before = self.waiting.len();
                self.waiting.retain(|(waiting, _)| *waiting != victim);
                usbip::unlinked(&mut self.socket, seq, self.waiting.len() < before)?;
            }
            Request::Control { seq, setup, data } => match self.control(setup, &data) {
                Some(mut answer) if setup[0] & 0x80 != 0 => {
                    answer.truncate(usize::from(u16::from_le_bytes([setup[6], setup[7]])));
                    usbip::submitted(&mut self.socket, seq, 0, answer.len(), &answer)?;
                }
                // Outwards: as many bytes as came.
                Some(_) => usbip::submitted(&mut self.socket, seq, 0, data.len(), &[])?,
                None => usbip::submitted(&mut self.socket, seq, usbip::STALL, 0, &[])?,
            },
        }
        Ok(())
    }

    /// The answer to a control transfer; `None` for one that no such camera has.
    fn control(&mut self, setup: [u8; 8], data: &[u8]) -> Option<Vec<u8>> {
        let [kind, request, low, high, interface, ..] = setup;
        let probe = |interval_100ns| Some(descriptors::probe(&self.form, interval_100ns).to_vec());
        match (kind, request) {
            (0x80, 6) => descriptors::standard(&self.form, high, low),
            (0x80..=0x82, 0) => Some(vec![0, 0]),
            (0..=2, _) => Some(Vec::new()),
            // Probe and commit of the stream.
            (0x21, 1) if interface == 1 && data.len() >= 8 => {
                let asked_100ns = u32::from_le_bytes([data[4], data[5], data[6], data[7]]);
                self.interval_100ns = self.form.interval_100ns(asked_100ns);
                (self.picture, self.sent) = (Vec::new(), 0);
                Some(Vec::new())
            }
            (0xa1, 0x81 | 0x87) if interface == 1 => probe(self.interval_100ns),
            (0xa1, 0x82) if interface == 1 => probe(self.form.interval_100ns(0)),
            (0xa1, 0x83) if interface == 1 => probe(self.form.interval_100ns(u32::MAX)),
            (0xa1, 0x85) if interface == 1 => Some(vec![descriptors::PROBE_BYTES as u8, 0]),
            (0xa1, 0x86) if interface == 1 => Some(vec![3]),
            _ => None,
        }
    }
}

impl Drop for UsbCamera {
    fn drop(&mut self) {
        // One that the kernel has shut already is out.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
