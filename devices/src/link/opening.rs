//! What takes longer than a tick: a handshake with a board that may have to boot first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::clock::CLOCK_MAX_US;
use super::{ByteStream, HostLink};
use firmware_bridge::wire::{
    HelloAck, HostToArm, MAX_FRAME_BYTES, NO_SESSION, PROTOCOL_VERSION, encode_earlier_hello,
};
use robot::device::{DeviceInfo, LinkError};

/// Shortest time between two Hellos.
const AGAIN_US: u64 = 100_000;

/// Longest time between two Hellos.
const HELLO_GAP_MAX_US: u64 = 500_000;

/// Longest time between two looks at what a person asks for.
const LOOK_US: u64 = 20_000;

/// Silence after which a person is told what is waited for.
const SILENCE_US: u64 = 1_000_000;

/// Time between two Hellos after `waited_us` without a byte. It grows, because a boot loader that hears bytes again and again
/// can take them for a program to load and stay.
fn hello_gap_us(waited_us: u64) -> u64 {
    (waited_us / 4).clamp(AGAIN_US, HELLO_GAP_MAX_US)
}

impl<S: ByteStream> HostLink<S> {
    /// The handshake. The first one waits for the board to boot; a board that answers at once is not delayed.
    pub(super) fn open_session(&mut self) -> Result<DeviceInfo, LinkError> {
        self.reports.end();
        self.hello = None;
        // What an earlier session left in the buffers says nothing about this one.
        self.drain()?;
        self.next_seq = 1;
        self.in_flight.clear();
        let result = self.hello().and_then(|(ack, sent_us, now_us)| {
            self.check(&ack)?;
            Ok(DeviceInfo {
                protocol_version: ack.protocol_version,
                joints: usize::from(ack.joints),
                firmware_version: ack.firmware_version,
                round_trip_us: now_us.saturating_sub(sent_us),
                clock_offset_us: self.reports.clock.offset_us(),
                serial_number: ack.serial_number.as_str().to_owned(),
                boot_id: ack.boot_id,
            })
        });
        self.hello = None;
        if result.is_err() {
            self.reports.end();
            self.fresh = None;
        }
        result
    }

    /// Refuses an arm that is not to be driven.
    fn check(&self, ack: &HelloAck) -> Result<(), LinkError> {
        if ack.protocol_version != PROTOCOL_VERSION {
            return Err(LinkError::VersionMismatch {
                port: self.port_name(),
                ours: PROTOCOL_VERSION,
                theirs: ack.protocol_version,
            });
        }
        if usize::from(ack.joints) != self.joints {
            return Err(LinkError::JointCountMismatch {
                port: self.port_name(),
                expected: self.joints,
                reported: usize::from(ack.joints),
            });
        }
        if ack.device_time_us > CLOCK_MAX_US {
            return Err(LinkError::AbsurdClock {
                port: self.port_name(),
                device_time_us: ack.device_time_us,
            });
        }
        match &self.allowed {
            Some(allowed) => allowed.check(self.stream.name(), ack),
            None => Ok(()),
        }
    }

    /// Says Hello until the arm answers. Returns the answer, and when the Hello was sent and the answer read.
    fn hello(&mut self) -> Result<(HelloAck, u64, u64), LinkError> {
        let wait_us = self.handshake_timeout_us.saturating_add(self.boot_us);
        let start_us = self.stream.now_us();
        let bytes_before = self.received_bytes;
        let bad_before = self.decoder.bad_frames();
        let mut told = self.boot_us == 0;
        let host_nonce = self.fresh_host_nonce();
        // When the last Hello was sent, and how much had arrived by then.
        let mut last: Option<(u64, u64)> = None;
        loop {
            let now_us = self.stream.now_us();
            let waited_us = now_us.saturating_sub(start_us);
            if self.e_stop_is_asked() {
                return Err(LinkError::EStopped {
                    port: self.port_name(),
                });
            }
            let due = last.is_none_or(|(at_us, bytes)| {
                // Where something speaks, it is asked soon whether it is the arm.
                let gap_us = if self.received_bytes > bytes {
                    AGAIN_US
                } else {
                    hello_gap_us(waited_us)
                };
                now_us.saturating_sub(at_us) >= gap_us
            });
            if due {
                self.hello_ack = None;
                self.fresh = None;
                // A line on which nothing is heard is left in peace.
                if last.is_some() && self.received_bytes > bytes_before {
                    self.hello_of_version_1(now_us)?;
                }
                self.send(&HostToArm::Hello {
                    protocol_version: PROTOCOL_VERSION,
                    host_time_us: now_us,
                    host_nonce,
                })?;
                self.hello = Some((now_us, host_nonce));
                last = Some((now_us, self.received_bytes));
            }
            self.drain()?;
            let now_us = self.stream.now_us();
            if let Some((ack, answered_us)) = self.hello_ack.take() {
                self.boot_us = 0;
                let sent_us = ack.host_time_echo_us;
                return Ok((ack, sent_us, answered_us));
            }
            let waited_us = now_us.saturating_sub(start_us);
            if waited_us >= wait_us {
                return Err(LinkError::NoHandshake {
                    port: self.port_name(),
                    waited_ms: waited_us / 1_000,
                    received_bytes: self.received_bytes - bytes_before,
                    bad_frames: self.decoder.bad_frames().wrapping_sub(bad_before),
                });
            }
            if is_set(self.stop_asked.as_ref()) {
                return Err(LinkError::Interrupted {
                    port: self.port_name(),
                });
            }
            if !told && waited_us >= SILENCE_US {
                told = true;
                log::info!(
                    "{}: no answer yet; a board that resets when its port is opened boots first: waiting for {:.1} s more at most",
                    self.stream.name(),
                    (wait_us - waited_us) as f64 * 1e-6
                );
            }
            self.stream.wait((wait_us - waited_us).min(LOOK_US))?;
        }
    }

    /// Says Hello in the words of version 1. An arm of that version sends telemetry all the time, but does not understand any other Hello, and
    /// would seem to be no arm.
    fn hello_of_version_1(&mut self, now_us: u64) -> Result<(), LinkError> {
        let mut buffer = [0; MAX_FRAME_BYTES];
        match encode_earlier_hello(now_us, &mut buffer) {
            Ok(frame) => self.stream.write(frame),
            // The buffer suffices.
            Err(_) => Ok(()),
        }
    }
}

/// Whether `ack` answers the Hello of `sent_us`. An arm of another version knows no nonces.
pub(super) fn answers(ack: &HelloAck, sent_us: u64, host_nonce: u64) -> bool {
    ack.host_time_echo_us == sent_us
        && (ack.protocol_version != PROTOCOL_VERSION
            || (ack.host_nonce_echo == host_nonce && ack.session_nonce != NO_SESSION))
}

fn is_set(asked: Option<&Arc<AtomicBool>>) -> bool {
    asked.is_some_and(|asked| asked.load(Ordering::SeqCst))
}
