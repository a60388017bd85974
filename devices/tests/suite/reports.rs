//! Telemetry that is none: whatever an arm says, it is a report only if it lives.

use std::collections::VecDeque;

use devices::link::{ByteStream, HostLink};
use devices::lockstep::LoopbackStream;
use firmware_bridge::FirmwareState;
use firmware_bridge::wire::{ArmToHost, Decoder, HostToArm, JointVec, MAX_FRAME_BYTES, Telemetry, encode};
use robot::device::{JointBus, LinkError, RefusedReports};
use robot::philox::Stream;

use crate::common::{JOINTS, PERIOD_US, TestPlant, arm_options};

/// How long a command is to be valid.
const VALID_US: u64 = 150_000;

/// What becomes of one telemetry message: nothing, or another.
type Fault = Box<dyn FnMut(&mut Telemetry) + Send>;

/// A line whose telemetry a fault changes, and which takes note of the commands.
struct Faulty {
    inner: LoopbackStream<TestPlant>,
    fault: Option<Fault>,
    decoder: Decoder<ArmToHost>,
    heard: Decoder<HostToArm>,
    received: VecDeque<u8>,
    /// So many commands are lost from here on.
    lose: u32,
    /// Longest time for which a command was valid when it was sent, by the arm's true clock, in microseconds.
    valid_us: i64,
}

impl Faulty {
    fn new() -> Self {
        Self {
            inner: LoopbackStream::new(TestPlant::default(), &arm_options()),
            fault: None,
            decoder: Decoder::default(),
            heard: Decoder::default(),
            received: VecDeque::new(),
            lose: 0,
            valid_us: i64::MIN,
        }
    }
}

impl ByteStream for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    fn now_us(&self) -> u64 {
        self.inner.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        for byte in bytes {
            if let Some(HostToArm::Command(command)) = self.heard.push(*byte) {
                if self.lose > 0 {
                    self.lose -= 1;
                    return Ok(());
                }
                let valid_us = i128::from(command.valid_until_us) - i128::from(self.inner.arm().now_us());
                let valid_us = i64::try_from(valid_us).unwrap_or(i64::MAX);
                self.valid_us = self.valid_us.max(valid_us);
            }
        }
        self.inner.write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let mut bytes = [0; 256];
        loop {
            let count = self.inner.read(&mut bytes)?;
            if count == 0 {
                break;
            }
            for byte in &bytes[..count] {
                let Some(mut message) = self.decoder.push(*byte) else {
                    continue;
                };
                if let (ArmToHost::Telemetry(telemetry), Some(fault)) = (&mut message, &mut self.fault) {
                    fault(telemetry);
                }
                let mut buffer = [0; MAX_FRAME_BYTES];
                self.received.extend(encode(&message, &mut buffer).unwrap());
            }
        }
        let count = into.len().min(self.received.len());
        for (to, from) in into.iter_mut().zip(self.received.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        if self.received.is_empty() {
            return self.inner.wait(timeout_us);
        }
        Ok(())
    }
}

/// An arm that is driven to and fro.
struct Driven {
    link: HostLink<Faulty>,
    target: f32,
    period: u32,
}

impl Driven {
    /// After some periods in which it is heard.
    fn new() -> Self {
        Self::by(HostLink::new(Faulty::new(), JOINTS, 1_000_000))
    }

    /// The same by a link that knows the control period.
    fn with_period() -> Self {
        Self::by(HostLink::new(Faulty::new(), JOINTS, 1_000_000).with_period_us(PERIOD_US))
    }

    fn by(mut link: HostLink<Faulty>) -> Self {
        link.handshake().unwrap();
        assert!(link.poll().unwrap().is_some());
        let mut driven = Self {
            link,
            target: 0.0,
            period: 0,
        };
        for _ in 0..8 {
            assert_eq!(driven.period(), 5, "every measurement is a report");
        }
        assert_eq!(driven.link.refused_reports(), RefusedReports::default());
        driven
    }

    /// A command, and a period in which telemetry is looked at after each step; returns how many reports there were.
    fn period(&mut self) -> u32 {
        self.target += if self.period % 20 < 10 { 0.02 } else { -0.02 };
        self.period += 1;
        match self
            .link
            .send_set_point(&[self.target, 0.0], PERIOD_US as u32, VALID_US as u32)
        {
            Ok(_) | Err(LinkError::InFlight { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let mut reports = 0;
        for _ in 0..5 {
            let line = &mut self.link.stream_mut().inner;
            line.arm_mut().substep().unwrap();
            // What it has to say is sent when something is written.
            line.write(&[0]).unwrap();
            reports += u32::from(self.link.poll().unwrap().is_some());
        }
        reports
    }

    fn begin(&mut self, fault: impl FnMut(&mut Telemetry) + Send + 'static) {
        self.link.stream_mut().fault = Some(Box::new(fault));
    }
}

fn vector(values: &[f32]) -> JointVec {
    JointVec::from_slice(values).unwrap()
}

fn all(telemetry: &mut Telemetry, values: &[f32]) {
    telemetry.position_rad = vector(values);
    telemetry.velocity_rad_s = vector(values);
    telemetry.set_point_rad = vector(values);
}

type Reason = fn(&RefusedReports) -> u32;

#[test]
fn telemetry_that_does_not_live_is_no_report_and_is_counted_by_its_fault() {
    fn joints(refused: &RefusedReports) -> u32 {
        refused.joints
    }
    fn not_finite(refused: &RefusedReports) -> u32 {
        refused.not_finite
    }
    fn repeated(refused: &RefusedReports) -> u32 {
        refused.repeated
    }
    fn clock(refused: &RefusedReports) -> u32 {
        refused.clock
    }
    fn echo(refused: &RefusedReports) -> u32 {
        refused.echo
    }
    fn session(refused: &RefusedReports) -> u32 {
        refused.session
    }
    fn acknowledged(refused: &RefusedReports) -> u32 {
        refused.acknowledged
    }
    let mut frozen = None;
    let mut clock_at = None;
    let mut echo_at = None;
    let faults: Vec<(&str, Fault, Reason)> = vec![
        (
            "frozen",
            Box::new(move |telemetry| *telemetry = frozen.get_or_insert_with(|| telemetry.clone()).clone()),
            repeated,
        ),
        (
            "the sequence number goes back",
            Box::new(|telemetry| telemetry.telemetry_seq = telemetry.telemetry_seq.wrapping_sub(1_000)),
            repeated,
        ),
        (
            "a sequence number from far ahead, which is behind",
            Box::new(|telemetry| telemetry.telemetry_seq ^= 1 << 31),
            repeated,
        ),
        ("count0", Box::new(|telemetry| all(telemetry, &[])), joints),
        ("count1", Box::new(|telemetry| all(telemetry, &[0.0])), joints),
        ("count8", Box::new(|telemetry| all(telemetry, &[0.0; 8])), joints),
        (
            "pos0",
            Box::new(|telemetry| telemetry.position_rad.clear()),
            joints,
        ),
        (
            "vel3",
            Box::new(|telemetry| telemetry.velocity_rad_s = vector(&[0.0; 3])),
            joints,
        ),
        (
            "sp0",
            Box::new(|telemetry| telemetry.set_point_rad.clear()),
            joints,
        ),
        (
            "nan",
            Box::new(|telemetry| telemetry.position_rad[1] = f32::NAN),
            not_finite,
        ),
        (
            "inf",
            Box::new(|telemetry| telemetry.velocity_rad_s[0] = f32::NEG_INFINITY),
            not_finite,
        ),
        (
            "nan-sp",
            Box::new(|telemetry| telemetry.set_point_rad[0] = f32::NAN),
            not_finite,
        ),
        (
            "devmax",
            Box::new(|telemetry| telemetry.device_time_us = u64::MAX),
            clock,
        ),
        (
            "both clocks at their end",
            Box::new(|telemetry| {
                telemetry.device_time_us = u64::MAX;
                telemetry.echo_received_us = u64::MAX;
            }),
            clock,
        ),
        (
            "devbig",
            Box::new(|telemetry| telemetry.device_time_us += 1_000_000_000_000),
            clock,
        ),
        (
            "devahead",
            Box::new(|telemetry| telemetry.device_time_us += 200_000),
            clock,
        ),
        (
            "devzero",
            Box::new(|telemetry| telemetry.device_time_us = 0),
            clock,
        ),
        (
            "devback",
            Box::new(|telemetry| {
                telemetry.device_time_us = telemetry.device_time_us.saturating_sub(500_000);
            }),
            clock,
        ),
        (
            "the clock stands still",
            Box::new(move |telemetry| {
                telemetry.device_time_us = *clock_at.get_or_insert(telemetry.device_time_us);
            }),
            clock,
        ),
        (
            "read after it was measured, by far",
            Box::new(|telemetry| telemetry.echo_received_us += 10_000_000),
            clock,
        ),
        (
            "read before it was sent, by far",
            Box::new(|telemetry| telemetry.echo_received_us = 0),
            clock,
        ),
        (
            "an echo of what was never said",
            Box::new(|telemetry| telemetry.host_time_echo_us += 1_000_000),
            echo,
        ),
        (
            "an echo of before the session",
            Box::new(|telemetry| telemetry.host_time_echo_us = 0),
            echo,
        ),
        (
            "an echo that stands still",
            Box::new(move |telemetry| {
                let (echo, at) =
                    *echo_at.get_or_insert((telemetry.host_time_echo_us, telemetry.echo_received_us));
                telemetry.host_time_echo_us = echo;
                telemetry.echo_received_us = at;
            }),
            echo,
        ),
        (
            "another session",
            Box::new(|telemetry| telemetry.session_nonce ^= 1),
            session,
        ),
        (
            "no session",
            Box::new(|telemetry| telemetry.session_nonce = 0),
            session,
        ),
        (
            "seqhigh",
            Box::new(|telemetry| telemetry.last_command_seq = 1 << 31),
            acknowledged,
        ),
        (
            "a command that was never sent",
            Box::new(|telemetry| telemetry.received_seq += 1),
            acknowledged,
        ),
    ];
    for (what, fault, reason) in faults {
        let mut driven = Driven::new();
        driven.begin(fault);
        // The first of those that stand still is no different from any other; and an echo may lag by a lost command or so.
        let still = what.contains("stands still") || what == "frozen";
        let first: u32 = (0..3).map(|_| driven.period()).sum();
        assert!(first <= if still { 12 } else { 0 }, "{what}: {first} reports");
        let later: u32 = (0..20).map(|_| driven.period()).sum();
        assert_eq!(later, 0, "{what}");
        let refused = driven.link.refused_reports();
        assert!(reason(&refused) > 50, "{what}: {refused}");
        assert_eq!(reason(&refused), refused.total(), "{what}: {refused}");
        assert_eq!(refused.total() + first, 23 * 5, "{what}");
        let valid_us = driven.link.stream().valid_us;
        assert!(
            valid_us <= VALID_US as i64,
            "{what}: a command was valid for {valid_us} us"
        );
    }
}

/// An arm that is off and does not know where it is may say so: a person reads it, and nothing moves.
#[test]
fn an_arm_at_rest_may_report_a_pose_that_is_no_number() {
    let mut link = HostLink::new(Faulty::new(), JOINTS, 1_000_000);
    link.stream_mut().fault = Some(Box::new(|telemetry| {
        telemetry.position_rad[0] = f32::NAN;
        telemetry.set_point_rad[0] = f32::NAN;
    }));
    link.handshake().unwrap();
    let report = link.poll().unwrap().expect("a report");
    assert!(report.position_rad[0].is_nan());
}

/// The arm waits for two and a half periods. One that has stopped since it hears nothing cannot show that it hears, and is believed.
#[test]
fn lost_commands_leave_reports_and_what_they_say_is_that_the_arm_has_stopped() {
    for (lost, state) in [
        (1, FirmwareState::Active),
        (2, FirmwareState::Held),
        (5, FirmwareState::Held),
    ] {
        let mut driven = Driven::new();
        driven.link.stream_mut().lose = lost;
        let told: Vec<u32> = (0..8).map(|_| driven.period()).collect();
        assert_eq!(told, [5; 8], "{lost} lost");
        let found = driven.link.stream().inner.arm().state();
        assert_eq!(found, state, "{lost} lost");
    }
}

/// A device whose clock jumps as a whole: every time that it tells is by the new clock.
#[test]
fn a_clock_that_jumps_as_a_whole_voids_commands_and_is_followed() {
    for jump_us in [-600_000_i64, -300_000, 300_000, 3_600_000_000, 1_000_000_000_000] {
        let mut driven = Driven::new();
        let jump_at_us = driven.link.stream().inner.arm().now_us();
        driven.begin(move |telemetry| {
            for time in [&mut telemetry.device_time_us, &mut telemetry.echo_received_us] {
                // What was read before the jump was read by the old clock.
                if *time >= jump_at_us {
                    *time = time.saturating_add_signed(jump_us);
                }
            }
        });
        let first = driven.period();
        // A clock that went ahead must show twice that it did.
        assert_eq!(first, if jump_us < 0 { 5 } else { 4 }, "{jump_us}");
        // The first command was sent before anything was heard of the jump.
        driven.link.stream_mut().valid_us = i64::MIN;
        let later: u32 = (0..10).map(|_| driven.period()).sum();
        assert!(later >= 45, "{jump_us}: {later} reports of 50");
        // By the new clock, which the arm says it goes by.
        let valid_us = driven.link.stream().valid_us - jump_us;
        assert!(
            valid_us <= VALID_US as i64,
            "{jump_us}: a command was valid for {valid_us} us"
        );
    }
}

/// A clock that runs a little fast or slow is followed without a gap.
#[test]
fn a_clock_that_drifts_is_followed() {
    for per_mille in [-5_i64, -1, 1, 5] {
        let mut driven = Driven::new();
        let from_us = driven.link.stream().inner.arm().now_us();
        driven.begin(move |telemetry| {
            for time in [&mut telemetry.device_time_us, &mut telemetry.echo_received_us] {
                let since = *time as i64 - from_us as i64;
                if since > 0 {
                    *time = time.saturating_add_signed(since * per_mille / 1_000);
                }
            }
        });
        // Two minutes: 600 ms at 5 per mille.
        let reports: u32 = (0..1_200).map(|_| driven.period()).sum();
        assert_eq!(reports, 6_000, "{per_mille}: {}", driven.link.refused_reports());
    }
}

/// Telemetry of an earlier session, or of another arm, from a buffer on the way.
#[test]
fn recorded_telemetry_is_no_report() {
    let mut driven = Driven::new();
    let mut recorded: Vec<Telemetry> = Vec::new();
    for _ in 0..10 {
        driven.period();
        recorded.push(driven.link.stream().inner.arm().telemetry());
    }
    driven.link.handshake().unwrap();
    assert!(driven.link.poll().unwrap().is_some());
    let mut at = 0;
    driven.begin(move |telemetry| {
        at += 1;
        *telemetry = recorded[at % recorded.len()].clone();
        // As if it were new in all but its session.
        telemetry.telemetry_seq = 1_000_000 + at as u32;
    });
    let reports: u32 = (0..10).map(|_| driven.period()).sum();
    assert_eq!(reports, 0);
    assert_eq!(driven.link.refused_reports().session, 50);
    assert_ne!(driven.link.stream().inner.arm().state(), FirmwareState::EStopped);
}

/// One field at a time takes any value; no report comes of what is not whole, and no command is ever valid for longer than was asked for.
fn random_trials(trials: u64) -> (u64, u64) {
    let (mut refused, mut reported) = (0, 0);
    for seed in 0..trials {
        let mut random = Stream::new(seed, 0x7E1E);
        let mut driven = Driven::new();
        let field = random.below(11);
        let rate = [1, 2, 10][random.below(3)];
        driven.begin(move |telemetry| {
            if random.below(rate) != 0 {
                return;
            }
            let bits = u64::from(random.next_u32()) << 32 | u64::from(random.next_u32());
            let any = bits >> random.below(64);
            match field {
                0 => telemetry.device_time_us = any,
                1 => telemetry.device_time_us = telemetry.device_time_us.wrapping_add(any),
                2 => telemetry.device_time_us = telemetry.device_time_us.saturating_sub(any),
                3 => telemetry.echo_received_us = any,
                4 => telemetry.host_time_echo_us = any,
                5 => telemetry.telemetry_seq = any as u32,
                6 => telemetry.received_seq = any as u32,
                7 => telemetry.last_command_seq = any as u32,
                8 => telemetry.session_nonce = any,
                9 => telemetry.position_rad[0] = f32::from_bits(any as u32),
                _ => {
                    let count = random.below(9);
                    telemetry.set_point_rad = vector(&[0.0; 8][..count]);
                }
            }
        });
        for _ in 0..6 {
            driven.target = driven.target.clamp(-1.0, 1.0);
            reported += u64::from(driven.period());
        }
        // 5 ms are what two readings of a clock may contradict each other by.
        let valid_us = driven.link.stream().valid_us;
        assert!(
            valid_us <= VALID_US as i64 + 6_000,
            "seed {seed}, field {field}: valid for {valid_us} us"
        );
        refused += u64::from(driven.link.refused_reports().total());
    }
    (refused, reported)
}

#[test]
fn random_telemetry_never_extends_a_command() {
    let (refused, reported) = random_trials(500);
    assert!(refused > 3_000 && reported > 1_000, "{refused} {reported}");
}

/// `cargo test --release -p armillary-devices random_telemetry -- --ignored --nocapture`
#[test]
#[ignore = "some minutes"]
fn random_telemetry_never_extends_a_command_for_long() {
    let trials = 200_000;
    let (refused, reported) = random_trials(trials);
    println!("{trials} trials, {refused} messages refused, {reported} reports, 0 commands extended");
}

/// Reports come every fifth of a period. A host that finds none for two periods and a fifth must not wait for a third.
#[test]
fn an_arm_that_moves_and_does_not_report_is_overdue_in_time() {
    let mut driven = Driven::with_period();
    assert_eq!(driven.link.overdue(), None);
    driven.begin(|telemetry| telemetry.position_rad.clear());
    for (periods, overdue) in [(1, false), (2, false), (3, true), (4, true)] {
        assert_eq!(driven.period(), 0);
        assert_eq!(driven.link.overdue().is_some(), overdue, "{periods} periods");
    }
    driven.link.stream_mut().fault = None;
    driven.period();
    assert_eq!(driven.link.overdue(), None);
    // Nobody knows how long a period is.
    let mut driven = Driven::new();
    driven.begin(|telemetry| telemetry.position_rad.clear());
    (0..10).for_each(|_| {
        driven.period();
    });
    assert_eq!(driven.link.overdue(), None);
}
