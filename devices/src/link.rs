//! The host's half of the protocol over any stream of bytes.

mod clock;
mod contract;
mod e_stop;
mod opening;
mod reports;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use robot::device::ArmReport;

use firmware_bridge::fresh;
use firmware_bridge::wire::{
    ArmToHost, Command, Decoder, FirmwareState, HelloAck, HostToArm, JointVec, MAX_FRAME_BYTES, NO_SESSION,
    Telemetry, encode, seq_after,
};
use robot::device::{DeviceInfo, EStopLine, JointBus, LinkError, Overdue, RefusedReports};

pub use self::contract::Allowed;
pub use self::e_stop::WireEStop;
use self::reports::Reports;

/// Commands that may be on their way at once. A pty queues hundreds before it pushes back, and an arm that wakes up
/// must not work through them.
pub const IN_FLIGHT_MAX: usize = 2;

/// 16 KB: more than a second of telemetry.
const READS_A_DRAIN: usize = 32;

/// Bytes to and from one device, and the clock that goes with them.
pub trait ByteStream: Send {
    /// What to call it in messages: the port's path.
    fn name(&self) -> &str;

    /// Microseconds on this stream's host clock; monotonic.
    fn now_us(&self) -> u64;

    /// Sends all of `bytes` (one frame), or fails within a few milliseconds.
    ///
    /// # Errors
    /// A port error.
    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError>;

    /// Reads what has arrived, without blocking; 0 if nothing has.
    ///
    /// # Errors
    /// A port error.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError>;

    /// Returns when something can be read, or after `timeout_us`.
    ///
    /// # Errors
    /// A port error.
    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError>;

    /// A second way to the same device, which does not wait for this one. `None` where there is none.
    ///
    /// # Errors
    /// A port error.
    fn second(&self) -> Result<Option<Box<dyn ByteStream>>, LinkError> {
        Ok(None)
    }
}

impl<S: ByteStream + ?Sized> ByteStream for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn now_us(&self) -> u64 {
        (**self).now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        (**self).write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        (**self).read(into)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        (**self).wait(timeout_us)
    }

    fn second(&self) -> Result<Option<Box<dyn ByteStream>>, LinkError> {
        (**self).second()
    }
}

/// A [`JointBus`] over a [`ByteStream`]. Allocates nothing in the tick.
#[derive(Debug)]
pub struct HostLink<S> {
    stream: S,
    joints: usize,
    handshake_timeout_us: u64,
    /// What the first handshake may take beyond that; 0 once the arm has answered.
    boot_us: u64,
    /// How long a board may take to boot, at any time.
    boot_max_us: u64,
    /// Set when a person asks for the emergency stop. From then on the stream belongs to the emergency stop's own line.
    e_stop_asked: Option<Arc<AtomicBool>>,
    /// Set when a person asks for the end.
    stop_asked: Option<Arc<AtomicBool>>,
    decoder: Decoder<ArmToHost>,
    /// What the arm must be, and which limits it must keep by itself; whatever it says if not given.
    allowed: Option<Allowed>,
    /// Nonce of the next Hello, if they are not to be random.
    next_host_nonce: Option<u64>,
    /// Which telemetry is a report, and the session it must belong to.
    reports: Reports,
    next_seq: u32,
    /// Sequence number and host time of expiry of commands that telemetry has not acknowledged.
    in_flight: heapless::Vec<(u32, u64), IN_FLIGHT_MAX>,
    /// Host time and nonce of the Hello that is to be answered.
    hello: Option<(u64, u64)>,
    /// Its answer, and when it was read.
    hello_ack: Option<(HelloAck, u64)>,
    pong_echo_us: Option<u64>,
    /// The state that telemetry has told of since that pong.
    state_since_pong: Option<FirmwareState>,
    fresh: Option<Telemetry>,
    /// The newest telemetry, report or not.
    heard: Option<Telemetry>,
    received_bytes: u64,
    /// When the arm was last polled, on the stream's clock.
    polled_us: u64,
}

impl<S: ByteStream> HostLink<S> {
    /// A link to an arm of `joints` joints; [`JointBus::handshake`] waits `handshake_timeout_us` at most.
    pub fn new(stream: S, joints: usize, handshake_timeout_us: u64) -> Self {
        Self {
            stream,
            joints,
            handshake_timeout_us,
            boot_us: 0,
            boot_max_us: 0,
            e_stop_asked: None,
            stop_asked: None,
            decoder: Decoder::default(),
            allowed: None,
            next_host_nonce: None,
            reports: Reports::new(joints),
            next_seq: 1,
            in_flight: heapless::Vec::new(),
            hello: None,
            hello_ack: None,
            pong_echo_us: None,
            state_since_pong: None,
            fresh: None,
            heard: None,
            received_bytes: 0,
            polled_us: 0,
        }
    }

    /// Refuses an arm that is not the one that is meant, or whose own limits are wider than `allowed`, in every handshake. The control
    /// period then measures how old telemetry may be.
    #[must_use]
    pub fn with_allowed(mut self, allowed: Allowed) -> Self {
        self.reports.set_period_us(allowed.period_us());
        self.allowed = Some(allowed);
        self
    }

    /// Measures by the control period how old telemetry may be: one and a half periods, at least 50 ms.
    #[must_use]
    pub fn with_period_us(mut self, period_us: u64) -> Self {
        self.reports.set_period_us(period_us);
        self
    }

    /// For a world that waits: its clock stands still until somebody lets it go on, so that it is not compared with the host's.
    #[must_use]
    pub fn with_waiting_world(mut self) -> Self {
        self.reports.clock.set_waits();
        self
    }

    /// Counts the nonces of Hellos from `first` on, in the place of random numbers: for a world in the same process, which shall do the
    /// same every time.
    #[must_use]
    pub fn with_counted_nonces(mut self, first: u64) -> Self {
        self.next_host_nonce = Some(first.max(1));
        self
    }

    /// Lets the first handshake take `boot_us` longer: a board that resets when its port is opened boots before it answers.
    #[must_use]
    pub fn with_boot_us(mut self, boot_us: u64) -> Self {
        (self.boot_us, self.boot_max_us) = (boot_us, boot_us);
        self
    }

    /// Leaves the stream to the emergency stop as soon as `asked` is set: nothing but the emergency stop is sent from then on, and
    /// nothing is read.
    #[must_use]
    pub fn with_e_stop_asked(mut self, asked: Arc<AtomicBool>) -> Self {
        self.e_stop_asked = Some(asked);
        self
    }

    /// Makes a handshake that waits give up as soon as `asked` is set.
    #[must_use]
    pub fn with_stop_asked(mut self, asked: Arc<AtomicBool>) -> Self {
        self.stop_asked = Some(asked);
        self
    }

    /// The stream underneath.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream underneath, to reach a simulated arm behind it.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream underneath, for whoever has no more use for the link.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Frames that arrived damaged since the link was opened.
    pub fn bad_frames(&self) -> u32 {
        self.decoder.bad_frames()
    }

    /// Telemetry that was no report since the link was opened, by reason.
    pub fn refused_reports(&self) -> RefusedReports {
        self.reports.refused
    }

    /// The newest telemetry since the last call, whether or not it is a report: for tools that look at an arm and do not drive it. It may
    /// be of another session, damaged in its meaning, or old.
    ///
    /// # Errors
    /// A port error, [`LinkError::Closed`] when the arm is gone.
    pub fn poll_unchecked(&mut self) -> Result<Option<Telemetry>, LinkError> {
        self.drain()?;
        Ok(self.heard.take())
    }

    /// Blocks until something arrives, or `timeout_us` at most.
    ///
    /// # Errors
    /// A port error.
    pub fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.stream.wait(timeout_us)
    }

    /// [`JointBus::poll`] with everything that the arm's firmware counts. Telemetry that is no report ([`RefusedReports`]) is not among
    /// it.
    ///
    /// # Errors
    /// A port error, [`LinkError::Closed`] when the arm is gone.
    pub fn poll_telemetry(&mut self) -> Result<Option<Telemetry>, LinkError> {
        self.drain()?;
        Ok(self.fresh.take())
    }

    /// Waits for telemetry measured at `device_time_us` or later; not for use in the tick.
    ///
    /// # Errors
    /// [`LinkError::Silent`] after `timeout_us`, or a port error.
    pub fn telemetry_since(&mut self, device_time_us: u64, timeout_us: u64) -> Result<Telemetry, LinkError> {
        let start = self.stream.now_us();
        loop {
            match self.poll_telemetry()? {
                Some(telemetry) if telemetry.device_time_us >= device_time_us => return Ok(telemetry),
                _ => self.wait_within(start, timeout_us)?,
            }
        }
    }

    /// Returns once the arm has read everything sent so far; not for use in the tick.
    ///
    /// # Errors
    /// [`LinkError::Silent`] after `timeout_us`, or a port error.
    pub fn sync(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        let start = self.stream.now_us();
        self.pong_echo_us = None;
        self.send(&HostToArm::Ping {
            host_time_us: start,
            session_nonce: self.reports.nonce(),
        })?;
        loop {
            self.drain()?;
            if self.pong_echo_us == Some(start) {
                return Ok(());
            }
            self.wait_within(start, timeout_us)?;
        }
    }

    fn wait_within(&mut self, start_us: u64, timeout_us: u64) -> Result<(), LinkError> {
        let waited = self.stream.now_us().saturating_sub(start_us);
        if waited >= timeout_us {
            return Err(LinkError::Silent {
                port: self.port_name(),
                waited_ms: waited / 1_000,
            });
        }
        self.stream.wait(timeout_us - waited)
    }

    fn port_name(&self) -> String {
        self.stream.name().to_owned()
    }

    fn e_stop_is_asked(&self) -> bool {
        let asked = self.e_stop_asked.as_ref();
        asked.is_some_and(|asked| asked.load(Ordering::SeqCst))
    }

    fn send(&mut self, message: &HostToArm) -> Result<(), LinkError> {
        if self.e_stop_is_asked() && *message != HostToArm::EStop {
            return Err(LinkError::EStopped {
                port: self.port_name(),
            });
        }
        let mut buffer = [0; MAX_FRAME_BYTES];
        let frame = encode(message, &mut buffer).map_err(|error| LinkError::Io {
            port: self.port_name(),
            source: std::io::Error::other(error.to_string()),
        })?;
        self.stream.write(frame)?;
        match message {
            HostToArm::Command(Command { host_time_us, .. }) => self.reports.spoke(*host_time_us),
            HostToArm::Ping {
                host_time_us,
                session_nonce,
            } if *session_nonce != NO_SESSION => self.reports.spoke(*host_time_us),
            _ => {}
        }
        Ok(())
    }

    /// Sends a set point that is ignored after `expires_us` of this machine's clock, which is not before `now_us`.
    fn send_command(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        now_us: u64,
        expires_us: u64,
    ) -> Result<u32, LinkError> {
        let session_nonce = self.session()?;
        let set_point_rad = match JointVec::from_slice(set_point_rad) {
            Ok(vec) if vec.len() == self.joints => vec,
            _ => {
                return Err(LinkError::JointCountMismatch {
                    port: self.port_name(),
                    expected: set_point_rad.len(),
                    reported: self.joints,
                });
            }
        };
        // An expired command cannot be carried out late, whatever became of it.
        self.in_flight.retain(|(_, expires_us)| *expires_us >= now_us);
        let valid_for_us = u32::try_from(expires_us - now_us).unwrap_or(u32::MAX);
        let seq = self.next_seq;
        if self.in_flight.push((seq, expires_us)).is_err() {
            return Err(LinkError::InFlight {
                port: self.port_name(),
                unacknowledged: self.in_flight.len(),
            });
        }
        self.next_seq = seq.wrapping_add(1);
        self.send(&HostToArm::Command(Command {
            seq,
            host_time_us: now_us,
            valid_until_us: self.reports.clock.valid_until_us(now_us, valid_for_us),
            move_time_us,
            set_point_rad,
            session_nonce,
        }))?;
        Ok(seq)
    }

    /// The nonce of the session.
    fn session(&self) -> Result<u64, LinkError> {
        match self.reports.nonce() {
            NO_SESSION => Err(LinkError::NoSession {
                port: self.port_name(),
            }),
            nonce => Ok(nonce),
        }
    }

    /// A nonce for a Hello.
    fn fresh_host_nonce(&mut self) -> u64 {
        match &mut self.next_host_nonce {
            Some(next) => std::mem::replace(next, next.wrapping_add(1).max(1)),
            None => fresh::id(),
        }
    }

    fn drain(&mut self) -> Result<(), LinkError> {
        if self.e_stop_is_asked() {
            return Ok(());
        }
        let mut buffer = [0; 512];
        // Bounded: a port that never stops speaking must not hold up the tick.
        for _ in 0..READS_A_DRAIN {
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            self.received_bytes += count as u64;
            let now_us = self.stream.now_us();
            for &byte in &buffer[..count] {
                if let Some(message) = self.decoder.push(byte) {
                    self.on_message(now_us, message);
                }
            }
        }
        Ok(())
    }

    fn on_message(&mut self, now_us: u64, message: ArmToHost) {
        match message {
            ArmToHost::HelloAck(ack) => {
                if let Some((sent_us, host_nonce)) = self.hello
                    && opening::answers(&ack, sent_us, host_nonce)
                {
                    self.hello = None;
                    // From here on: the arm's first report comes right behind its answer.
                    self.reports.begin(&ack, sent_us, now_us);
                    self.hello_ack = Some((ack, now_us));
                }
            }
            ArmToHost::Pong {
                host_time_echo_us, ..
            } => {
                if self.pong_echo_us.is_none() {
                    self.state_since_pong = None;
                }
                self.pong_echo_us = Some(host_time_echo_us);
            }
            ArmToHost::Telemetry(telemetry) => {
                self.state_since_pong = Some(telemetry.state);
                if self
                    .reports
                    .takes(now_us, &telemetry, self.next_seq.wrapping_sub(1))
                {
                    self.in_flight
                        .retain(|(seq, _)| seq_after(*seq, telemetry.received_seq));
                    self.fresh = Some(telemetry.clone());
                }
                self.heard = Some(telemetry);
            }
        }
    }
}

impl<S: ByteStream> JointBus for HostLink<S> {
    fn port(&self) -> &str {
        self.stream.name()
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        self.open_session()
    }

    fn send_set_point(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        valid_for_us: u32,
    ) -> Result<u32, LinkError> {
        let now_us = self.stream.now_us();
        let expires_us = now_us.saturating_add(u64::from(valid_for_us));
        self.send_command(set_point_rad, move_time_us, now_us, expires_us)
    }

    fn send_set_point_since_poll(
        &mut self,
        set_point_rad: &[f32],
        move_time_us: u32,
        valid_since_poll_us: u32,
    ) -> Result<u32, LinkError> {
        let now_us = self.stream.now_us();
        let expires_us = self.polled_us.saturating_add(u64::from(valid_since_poll_us));
        if expires_us <= now_us {
            return Err(LinkError::Late {
                port: self.port_name(),
                late_us: now_us - expires_us,
            });
        }
        self.send_command(set_point_rad, move_time_us, now_us, expires_us)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        self.send(&HostToArm::Stop)
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        let session_nonce = self.session()?;
        self.send(&HostToArm::Release { session_nonce })
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.send(&HostToArm::EStop)
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        let session_nonce = self.session()?;
        self.send(&HostToArm::ClearEStop { session_nonce })
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        self.polled_us = self.stream.now_us();
        Ok(self.poll_telemetry()?.map(ArmReport::from))
    }

    fn e_stop_line(&self) -> Result<Option<Box<dyn EStopLine>>, LinkError> {
        let patience = Duration::from_micros(self.handshake_timeout_us.saturating_add(self.boot_max_us));
        let stream = self.stream.second()?;
        Ok(stream.map(|stream| Box::new(WireEStop::new(stream, patience)) as Box<dyn EStopLine>))
    }

    fn refused_reports(&self) -> RefusedReports {
        self.reports.refused
    }

    fn overdue(&self) -> Option<Overdue> {
        self.reports.overdue(self.stream.now_us())
    }
}
