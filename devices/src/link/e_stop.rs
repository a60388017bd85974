//! The emergency stop on our own protocol, over a stream of its own.

use std::time::Duration;

use firmware_bridge::wire::{
    ArmToHost, Decoder, FirmwareState, HostToArm, MAX_FRAME_BYTES, NO_SESSION, encode,
};
use robot::device::e_stop::Pressed;
use robot::device::{EStopLine, LinkError, Stopped};

use super::{ByteStream, READS_A_DRAIN};

/// Pings whose answers count. Older ones have been answered or lost.
const PINGS: usize = 64;

/// The emergency stop over a stream that nobody else reads while it is used. It needs no handshake, and no joint count.
#[derive(Debug)]
pub struct WireEStop<S> {
    stream: S,
    patience: Duration,
    decoder: Decoder<ArmToHost>,
    pings_us: heapless::HistoryBuf<u64, PINGS>,
    /// The arm has answered a ping: it has read the emergency stop that went before the ping. What it said before that says nothing.
    heard: bool,
    /// The state that the arm has reported since then.
    state: Option<FirmwareState>,
}

impl<S: ByteStream> WireEStop<S> {
    /// An emergency stop that an arm may take `patience` to confirm.
    pub fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            decoder: Decoder::default(),
            pings_us: heapless::HistoryBuf::new(),
            heard: false,
            state: None,
        }
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream, for whoever has another use for it.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Sends, whatever has become of what was sent before.
    fn send(&mut self, now_us: u64) -> Result<(), LinkError> {
        let mut buffer = [0; MAX_FRAME_BYTES];
        let ping = HostToArm::Ping {
            host_time_us: now_us,
            session_nonce: NO_SESSION,
        };
        for message in [HostToArm::EStop, ping] {
            // Both messages are shorter than the buffer.
            let frame = encode(&message, &mut buffer).unwrap_or(&[]);
            match self.stream.write(frame) {
                // A board that boots reads nothing yet.
                Ok(()) | Err(LinkError::WriteTimeout { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.pings_us.write(now_us);
        Ok(())
    }

    /// Takes what has arrived.
    fn listen(&mut self) -> Result<(), LinkError> {
        let mut bytes = [0; 512];
        for _ in 0..READS_A_DRAIN {
            let count = self.stream.read(&mut bytes)?;
            for &byte in &bytes[..count] {
                match self.decoder.push(byte) {
                    Some(ArmToHost::Pong {
                        host_time_echo_us, ..
                    }) => {
                        // An answer to somebody else says nothing.
                        self.heard |= self.pings_us.as_slice().contains(&host_time_echo_us);
                    }
                    Some(ArmToHost::Telemetry(telemetry)) if self.heard => {
                        self.state = Some(telemetry.state);
                    }
                    _ => {}
                }
            }
            if count == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl<S: ByteStream> EStopLine for WireEStop<S> {
    fn port(&self) -> &str {
        self.stream.name()
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn press(&mut self, wait: Duration) -> Result<Pressed, LinkError> {
        let start_us = self.stream.now_us();
        self.send(start_us)?;
        let wait_us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        loop {
            self.listen()?;
            if self.state == Some(FirmwareState::EStopped) {
                return Ok(Pressed::Confirmed(Stopped::Latched));
            }
            let waited_us = self.stream.now_us().saturating_sub(start_us);
            if waited_us >= wait_us {
                return Ok(Pressed::Sent(self.state.map(Into::into)));
            }
            self.stream.wait(wait_us - waited_us)?;
        }
    }
}
