//! The emergency stop's own way to a board, and links that make way for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devices::fault::{FaultInjector, FaultRates};
use devices::link::{ByteStream, HostLink, WireEStop};
use firmware_bridge::FirmwareState;
use firmware_bridge::wire::{ArmToHost, Decoder, HostToArm};
use robot::device::e_stop::{Pressed, press_until_confirmed};
use robot::device::{EStopLine, JointBus, LinkError, Stopped};

use super::{ANSWER_US, BOOT_MAX_US, Line, booting, frame, line, us};
use crate::common::JOINTS;

#[test]
fn an_emergency_stop_is_sent_until_a_board_that_boots_confirms_it() {
    for boot_us in [0, 1_200_000, 4_900_000] {
        let mut line = WireEStop::new(booting(boot_us), us(ANSWER_US + BOOT_MAX_US));
        assert_eq!(press_until_confirmed(&mut line, None).unwrap(), Stopped::Latched);
        let waited_us = line.stream().now_us();
        assert!(
            (boot_us..=boot_us + 120_000).contains(&waited_us),
            "boots for {boot_us} us, confirmed after {waited_us}"
        );
        assert_eq!(line.stream().inner().arm().state(), FirmwareState::EStopped);
    }
    let mut line = WireEStop::new(booting(9_000_000), us(ANSWER_US));
    let error = press_until_confirmed(&mut line, None).unwrap_err();
    assert!(
        matches!(
            error,
            LinkError::EStopUnconfirmed {
                waited_ms: 2_000..=2_100,
                state: None,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("cut the arm's power"), "{error}");
}

#[test]
fn an_emergency_stop_gets_through_a_bad_line() {
    let mut injected = 0;
    for seed in 0..50 {
        let rates = FaultRates {
            bit_flip: 0.002,
            drop: 0.5,
            duplicate: 0.1,
            truncate: 0.2,
            ..FaultRates::default()
        };
        let bad = FaultInjector::new(line(), rates, seed);
        let mut line = WireEStop::new(bad, us(ANSWER_US + BOOT_MAX_US));
        press_until_confirmed(&mut line, None).unwrap();
        injected += line.stream().injected();
        assert_eq!(line.stream().inner().arm().state(), FirmwareState::EStopped);
    }
    assert!(injected > 50, "{injected}");
}

/// An arm that hears nothing, and how long each press listened for it.
#[derive(Default)]
struct Deaf {
    listened: Vec<Duration>,
}

impl EStopLine for Deaf {
    fn port(&self) -> &str {
        "deaf"
    }

    fn patience(&self) -> Duration {
        us(450_000)
    }

    fn press(&mut self, wait: Duration) -> Result<Pressed, LinkError> {
        self.listened.push(wait);
        Ok(Pressed::Sent(None))
    }
}

/// Often at first, since an arm that hears answers at once; then with pauses, for the boot loader of a board that boots.
#[test]
fn an_emergency_stop_is_sent_often_and_then_with_pauses() {
    let mut deaf = Deaf::default();
    let error = press_until_confirmed(&mut deaf, None).unwrap_err();
    assert!(
        matches!(error, LinkError::EStopUnconfirmed { waited_ms: 450, .. }),
        "{error}"
    );
    let mut expected = vec![us(10_000); 10];
    expected.extend([100_000, 100_000, 100_000, 50_000, 0].map(us));
    assert_eq!(deaf.listened, expected);
}

#[test]
fn a_press_of_the_emergency_stop_listens_for_its_time_and_no_longer() {
    // The first wait ends early, after 4 ms.
    let wakes = Recorded {
        now_us: 7,
        early_us: Some(4_000),
        ..Recorded::default()
    };
    let mut line = WireEStop::new(wakes, us(ANSWER_US));
    assert!(line.sends_by_itself());
    assert_eq!(line.press(us(10_000)).unwrap(), Pressed::Sent(None));
    assert_eq!(line.stream().now_us, 10_007);
}

/// A port that is gone.
struct Gone;

impl ByteStream for Gone {
    fn name(&self) -> &str {
        "gone"
    }

    fn now_us(&self) -> u64 {
        0
    }

    fn write(&mut self, _: &[u8]) -> Result<(), LinkError> {
        Err(LinkError::Closed {
            port: "gone".to_owned(),
        })
    }

    fn read(&mut self, _: &mut [u8]) -> Result<usize, LinkError> {
        Ok(0)
    }

    fn wait(&mut self, _: u64) -> Result<(), LinkError> {
        Ok(())
    }
}

#[test]
fn an_emergency_stop_of_a_port_that_is_gone_is_an_error_at_once() {
    let mut line = WireEStop::new(Gone, us(ANSWER_US));
    assert_eq!(line.port(), "gone");
    let error = press_until_confirmed(&mut line, None).unwrap_err();
    assert!(matches!(error, LinkError::Closed { .. }), "{error}");
}

/// A person presses the key while a handshake waits for the board: the stream is left to the emergency stop at once.
#[test]
fn a_handshake_that_waits_makes_way_for_the_emergency_stop() {
    for boot_us in [1_200_000, 4_900_000] {
        let asked = Arc::new(AtomicBool::new(false));
        let mut link = HostLink::new(pressed(boot_us, &asked), JOINTS, ANSWER_US)
            .with_boot_us(BOOT_MAX_US)
            .with_e_stop_asked(asked);
        let error = link.handshake().unwrap_err();
        assert!(matches!(error, LinkError::EStopped { .. }), "{error}");
        let now_us = link.stream().now_us();
        assert!((700_000..750_000).contains(&now_us), "{now_us}");
        let hellos = link.stream().inner.injected();
        // Nothing but the emergency stop is sent, and nothing is read.
        for refused in [
            link.send_stop(),
            link.send_release(),
            link.send_clear_e_stop(),
            link.send_set_point(&[0.0; JOINTS], 1, 1).map(|_| ()),
            link.handshake().map(|_| ()),
        ] {
            assert!(
                matches!(
                    refused,
                    Err(LinkError::EStopped { .. } | LinkError::NoSession { .. })
                ),
                "{refused:?}"
            );
        }
        assert_eq!(link.poll().unwrap(), None);
        assert_eq!(link.stream().inner.injected(), hellos);
        link.send_e_stop().unwrap();
    }
}

/// Only a wait is given up: an arm that answers at once is stopped by its first tick.
#[test]
fn a_handshake_that_waits_is_given_up_when_the_end_is_asked_for() {
    let asked = Arc::new(AtomicBool::new(false));
    let mut link = HostLink::new(pressed(4_900_000, &asked), JOINTS, ANSWER_US)
        .with_boot_us(BOOT_MAX_US)
        .with_stop_asked(Arc::clone(&asked));
    let error = link.handshake().unwrap_err();
    assert!(matches!(error, LinkError::Interrupted { .. }), "{error}");
    assert!(link.stream().now_us() < 800_000, "{}", link.stream().now_us());
    let mut link = HostLink::new(line(), JOINTS, ANSWER_US).with_stop_asked(asked);
    link.handshake().unwrap();
}

/// A stream of which is known how often it was waited for, and in whose time a key may be pressed.
struct Watched {
    inner: FaultInjector<Line>,
    /// Blocks of noise that have gathered before what the arm says.
    blocks: usize,
    waits: usize,
    /// Set at this time.
    asked: Arc<AtomicBool>,
    at_us: u64,
}

impl ByteStream for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn now_us(&self) -> u64 {
        self.inner.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.inner.write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        if self.blocks == 0 {
            return self.inner.read(into);
        }
        self.blocks -= 1;
        into.fill(0x55);
        Ok(into.len())
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.waits += 1;
        self.inner.wait(timeout_us)?;
        if self.now_us() >= self.at_us {
            self.asked.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A board that boots, and the key after 0.7 s.
fn pressed(boot_us: u64, asked: &Arc<AtomicBool>) -> Watched {
    Watched {
        inner: booting(boot_us),
        blocks: 0,
        waits: 0,
        asked: Arc::clone(asked),
        at_us: 700_000,
    }
}

#[test]
fn an_emergency_stop_waits_for_nothing_that_has_come_already() {
    let gathered = Watched {
        blocks: 20,
        at_us: u64::MAX,
        ..pressed(0, &Arc::default())
    };
    let mut line = WireEStop::new(gathered, us(ANSWER_US));
    assert_eq!(line.patience(), us(ANSWER_US));
    assert_eq!(press_until_confirmed(&mut line, None).unwrap(), Stopped::Latched);
    let waits = line.stream().waits;
    assert!(waits < 10, "{waits} waits");
}

/// What an earlier program left on the line says that the arm is stopped; the arm that has reset since does not.
#[test]
fn telemetry_from_before_an_emergency_stop_confirms_nothing() {
    let mut told = line();
    // Read in one go, so that the telemetry comes after the answer to the ping.
    let asked = [
        frame(&HostToArm::EStop),
        frame(&HostToArm::Ping {
            host_time_us: 1,
            session_nonce: 0,
        }),
    ];
    told.write(&asked.concat()).unwrap();
    let mut stale = vec![0; 4096];
    let count = told.read(&mut stale).unwrap();
    stale.truncate(count);
    let mut decoder = Decoder::<ArmToHost>::default();
    let heard: Vec<_> = stale.iter().filter_map(|byte| decoder.push(*byte)).collect();
    assert!(
        matches!(
            &heard[heard.len() - 2..],
            [ArmToHost::Pong { .. }, ArmToHost::Telemetry(telemetry)] if telemetry.state == FirmwareState::EStopped
        ),
        "{heard:?}"
    );
    let recorded = Recorded {
        stale,
        ..Recorded::default()
    };
    let mut line = WireEStop::new(recorded, us(ANSWER_US));
    let error = press_until_confirmed(&mut line, None).unwrap_err();
    assert!(
        matches!(error, LinkError::EStopUnconfirmed { state: None, .. }),
        "{error}"
    );
}

/// A line on which old bytes arrive late, if there are any, and nobody listens.
#[derive(Default)]
struct Recorded {
    stale: Vec<u8>,
    now_us: u64,
    /// How long the first wait takes if it ends early.
    early_us: Option<u64>,
}

impl ByteStream for Recorded {
    fn name(&self) -> &str {
        "recorded"
    }

    fn now_us(&self) -> u64 {
        self.now_us
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), LinkError> {
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let count = if self.now_us < 300_000 {
            0
        } else {
            self.stale.len().min(into.len())
        };
        into[..count].copy_from_slice(&self.stale[..count]);
        self.stale.drain(..count);
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.now_us += self.early_us.take().unwrap_or(timeout_us);
        Ok(())
    }
}
