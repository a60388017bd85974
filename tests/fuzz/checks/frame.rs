//! The wire between host and arm: frames, the firmware core at one end and the host's link at the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use devices::link::{ByteStream, HostLink};
use firmware_bridge::wire::{
    ArmToHost, Command, Decoder, FirmwareState, HostToArm, JointVec, MAX_FRAME_BYTES, MAX_MESSAGE_BYTES,
    Message, StopReason, Telemetry, encode, joint_names_hash,
};
use firmware_bridge::{FirmwareCore, FirmwareLimits, FirmwareOptions, Identity, JointLimits};
use robot::device::{ArmState, JointBus, LinkError};

const JOINTS: usize = 2;
const STEP_US: u64 = 2_000;
const PERIOD_US: u64 = 50_000;
const POSITION_MAX_RAD: f32 = 0.5;
const VELOCITY_MAX_RAD_S: f32 = 1.0;

/// Steps of virtual time in an input, in all: an input of a few bytes does not take minutes.
const STEPS_MAX: u64 = 4_000;

/// Whatever is on the line: what decodes is what somebody can have encoded, the firmware core keeps its limits and its latch, and the
/// host believes finite numbers of the right count alone.
#[derive(Default)]
pub(crate) struct Check;

impl Check {
    /// # Panics
    /// If any of that does not hold.
    pub(crate) fn check(&mut self, data: &[u8]) {
        decode::<HostToArm>(data);
        decode::<ArmToHost>(data);
        let mut rig = Rig::new();
        let mut input = Input(data);
        while let Some(operation) = input.byte() {
            rig.carry_out(operation, &mut input);
        }
        rig.stops();
    }

    /// Inputs from which a fuzzer begins: sessions in which an arm is driven, stopped, unlatched and disturbed.
    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let command = |far: u8| [4, 0, 1, far, 0, 3, 5];
        let drive: Vec<u8> = [2, 3, 20]
            .into_iter()
            .chain((0..6).flat_map(|turn| command(128 + 2 * turn)))
            .collect();
        let with = |rest: &[u8]| [&drive[..], rest].concat();
        let mut frame = [0; MAX_FRAME_BYTES];
        let stop = encode(&HostToArm::Stop, &mut frame).unwrap_or(&[]);
        let stop = [&[0, stop.len() as u8], stop].concat();
        vec![
            drive.clone(),
            with(&[5, 3, 200, 2, 3, 20]),
            with(&[6, 3, 20, 7, 2, 3, 50, 4, 0, 1, 130, 0, 3, 5]),
            with(&[8, 3, 60, 2]),
            with(&[1, 4, 9, 0, 9, 0, 9, 3, 10]),
            with(&stop),
            with(&[9, 1, 0, 0, 192, 127, 3, 20]),
            with(&[10, 4, 1, 2, 3, 4, 11, 4, 2, 3, 4, 5, 3, 30]),
        ]
    }
}

/// Bytes that decide what happens.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many as the next byte says, or as there are.
    fn some(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (some, rest) = self.0.split_at(count);
        self.0 = rest;
        some
    }

    fn u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        bytes.fill_with(|| self.byte().unwrap_or(0));
        u32::from_le_bytes(bytes)
    }
}

/// What decodes can be encoded again, and is then the same; after any noise the next good frame is read.
fn decode<M: Message + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let mut decoder = Decoder::<M>::default();
    let mut buffer = [0; MAX_FRAME_BYTES];
    for message in data.iter().filter_map(|byte| decoder.push(*byte)) {
        // Messages of other versions are read in part, and are not ours to encode.
        let Ok(frame) = encode(&message, &mut buffer) else {
            panic!("{message:?} decodes and does not encode");
        };
        let mut again = Decoder::<M>::default();
        let read = frame.iter().find_map(|byte| again.push(*byte));
        // Compared as text: a number that is none is not equal to itself.
        assert_eq!(format!("{read:?}"), format!("{:?}", Some(message)));
    }
    let mut decoder = Decoder::<HostToArm>::default();
    for byte in data {
        decoder.push(*byte);
    }
    let stop = encode(&HostToArm::Stop, &mut buffer).expect("a stop is short");
    // The first of its delimiters may end another frame.
    let read = stop.iter().filter_map(|byte| decoder.push(*byte)).last();
    assert_eq!(read, Some(HostToArm::Stop), "not in step again after noise");
}

/// A frame around a message that nobody has encoded: the checksum fits.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    packet.extend_from_slice(&body[..body.len().min(MAX_MESSAGE_BYTES)]);
    packet.extend_from_slice(&crc32fast::hash(&packet).to_le_bytes());
    let mut frame = vec![0];
    // Consistent overhead byte stuffing: runs without zeros, each led by its length.
    let mut runs = packet.split(|byte| *byte == 0).peekable();
    while let Some(run) = runs.next() {
        let mut rest = run;
        while rest.len() >= 254 {
            frame.push(255);
            frame.extend_from_slice(&rest[..254]);
            rest = &rest[254..];
            if rest.is_empty() && runs.peek().is_none() {
                break;
            }
        }
        frame.push(rest.len() as u8 + 1);
        frame.extend_from_slice(rest);
    }
    frame.push(0);
    frame
}

/// The arm, whose joints follow at once, and the line to it, in virtual time.
struct State {
    firmware: FirmwareCore,
    now_us: u64,
    steps: u64,
    position_rad: JointVec,
    torque_on: bool,
    /// What the arm is told, read along.
    heard: Decoder<HostToArm>,
    /// An emergency stop has come, and no clearance of the session since.
    latched: bool,
    to_host: VecDeque<u8>,
}

/// Clones are the same.
#[derive(Clone)]
struct Line(Arc<Mutex<State>>);

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new() -> Self {
        let limits = FirmwareLimits::new(
            &[JointLimits {
                position_min_rad: -POSITION_MAX_RAD,
                position_max_rad: POSITION_MAX_RAD,
                velocity_max_rad_s: VELOCITY_MAX_RAD_S,
                acceleration_max_rad_s2: 4.0,
            }; JOINTS],
        )
        .expect("sound limits");
        let firmware = FirmwareCore::new(FirmwareOptions {
            limits,
            watchdog_us: 125_000,
            torque_grace_us: 1_000_000,
            jump_max_rad: 0.25,
            telemetry_every_ticks: 5,
            firmware_version: [0, 0, 0],
            validity_max_us: 500_000,
            // The same each time.
            identity: Identity {
                boot_id: 7,
                joint_names_hash: joint_names_hash(["first", "second"]),
                ..Identity::default()
            },
        });
        Self(Arc::new(Mutex::new(State {
            firmware,
            now_us: 0,
            steps: 0,
            position_rad: [0.0; JOINTS].into_iter().collect(),
            torque_on: false,
            heard: Decoder::default(),
            latched: false,
            to_host: VecDeque::new(),
        })))
    }

    fn hears(&self, bytes: &[u8]) {
        let state = &mut *self.lock();
        for byte in bytes {
            let nonce = state.firmware.telemetry().session_nonce;
            match state.heard.push(*byte) {
                Some(HostToArm::EStop) => state.latched = true,
                Some(HostToArm::ClearEStop { session_nonce }) if session_nonce == nonce => {
                    state.latched = false;
                }
                _ => {}
            }
            state.firmware.on_bytes(state.now_us, &[*byte]);
        }
    }

    /// Lets time pass, once.
    ///
    /// # Panics
    /// If the firmware core drives the arm beyond its limits, or at all while it is latched.
    fn step(&self) {
        let state = &mut *self.lock();
        state.now_us += STEP_US;
        state.steps += 1;
        let drive = state
            .firmware
            .tick(state.now_us, &state.position_rad, &[0.0; JOINTS]);
        assert_eq!(drive.set_point_rad.len(), JOINTS);
        if drive.torque_on {
            assert!(
                !state.latched,
                "torque comes back by itself after an emergency stop"
            );
            let reach = VELOCITY_MAX_RAD_S * STEP_US as f32 * 1e-6 * 1.001 + 1e-6;
            for (to, from) in drive.set_point_rad.iter().zip(&state.position_rad) {
                assert!(to.abs() <= POSITION_MAX_RAD, "{to} rad");
                assert!((to - from).abs() <= reach, "{from} to {to} rad in one step");
            }
            state.position_rad = drive.set_point_rad;
        }
        state.torque_on = drive.torque_on;
        let mut buffer = [0; MAX_FRAME_BYTES];
        loop {
            let frame = state.firmware.poll_transmit(&mut buffer);
            if frame.is_empty() {
                return;
            }
            state.to_host.extend(frame);
        }
    }
}

impl ByteStream for Line {
    fn name(&self) -> &str {
        "line"
    }

    fn now_us(&self) -> u64 {
        self.lock().now_us
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.hears(bytes);
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let state = &mut *self.lock();
        let count = into.len().min(state.to_host.len());
        for (to, from) in into.iter_mut().zip(state.to_host.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        let until_us = self.now_us() + timeout_us;
        loop {
            self.step();
            let state = self.lock();
            if !state.to_host.is_empty() || state.now_us >= until_us {
                return Ok(());
            }
        }
    }
}

/// An arm, a host that drives it, and somebody who disturbs both.
struct Rig {
    line: Line,
    link: HostLink<Line>,
    /// Of the session that the host has opened, as a person with an analyser would know it.
    nonce: u64,
}

impl Rig {
    fn new() -> Self {
        let line = Line::new();
        line.step();
        let link = HostLink::new(line.clone(), JOINTS, 100_000)
            .with_period_us(PERIOD_US)
            .with_counted_nonces(1);
        Self { line, link, nonce: 0 }
    }

    /// One thing that a host, an arm, a person or the line does.
    fn carry_out(&mut self, operation: u8, input: &mut Input<'_>) {
        if self.line.lock().steps > STEPS_MAX {
            return;
        }
        match operation % 12 {
            0 => self.line.hears(input.some()),
            1 => self.line.lock().to_host.extend(input.some()),
            2 => {
                if self.link.handshake().is_ok() {
                    self.nonce = self.line.lock().firmware.telemetry().session_nonce;
                }
            }
            3 => {
                for _ in 0..input.byte().unwrap_or(0) {
                    self.line.step();
                }
                self.host_listens();
            }
            4 => {
                let far = f32::from(input.byte().unwrap_or(0)) + 256.0 * f32::from(input.byte().unwrap_or(0));
                let near = f32::from(input.byte().unwrap_or(0)) - 128.0;
                let _ = input.byte();
                let rad = [near * 1e-3, -near * 1e-3 - (far - 256.0) * 1e-4];
                let valid_us = PERIOD_US + PERIOD_US / 2;
                let _ = self.link.send_set_point(&rad, PERIOD_US as u32, valid_us as u32);
            }
            5 => drop(self.link.send_stop()),
            6 => {
                let sent = self.link.send_e_stop().is_ok();
                let state = self.line.lock().firmware.state();
                assert!(
                    !sent || state == FirmwareState::EStopped,
                    "an emergency stop that arrived is not obeyed"
                );
            }
            7 => drop(self.link.send_clear_e_stop()),
            8 => {
                let command = Command {
                    seq: input.u32(),
                    host_time_us: u64::from(input.u32()),
                    valid_until_us: self.line.now_us() + u64::from(input.u32()),
                    move_time_us: input.u32(),
                    set_point_rad: (0..input.byte().unwrap_or(0) % 9)
                        .map(|_| f32::from_bits(input.u32()))
                        .collect(),
                    session_nonce: self.nonce,
                };
                self.host_says(&HostToArm::Command(command));
            }
            9 => self.arm_lies(input),
            10 => self.line.hears(&framed(b'H', input.some())),
            _ => {
                let frame = framed(b'A', input.some());
                self.line.lock().to_host.extend(frame);
            }
        }
    }

    fn host_says(&self, message: &HostToArm) {
        let mut buffer = [0; MAX_FRAME_BYTES];
        let frame = encode(message, &mut buffer).expect("a message of the protocol fits a frame");
        self.line.hears(frame);
    }

    /// Telemetry of the session, with numbers from anywhere.
    fn arm_lies(&mut self, input: &mut Input<'_>) {
        let truth = self.line.lock().firmware.telemetry();
        let count = input.byte().unwrap_or(0) % 9;
        let mut numbers = || -> JointVec { (0..count).map(|_| f32::from_bits(input.u32())).collect() };
        let telemetry = Telemetry {
            position_rad: numbers(),
            velocity_rad_s: numbers(),
            set_point_rad: numbers(),
            telemetry_seq: truth.telemetry_seq.wrapping_add(input.u32()),
            device_time_us: truth.device_time_us.wrapping_add(u64::from(input.u32())),
            stop_reason: StopReason::None,
            state: FirmwareState::Active,
            ..truth
        };
        let mut buffer = [0; MAX_FRAME_BYTES];
        let frame = encode(&ArmToHost::Telemetry(telemetry), &mut buffer).expect("telemetry fits a frame");
        self.line.lock().to_host.extend(frame);
    }

    /// What the host believes has a number a joint, and numbers while the arm moves.
    fn host_listens(&mut self) {
        let Ok(Some(report)) = self.link.poll() else {
            return;
        };
        for numbers in [
            &report.position_rad,
            &report.velocity_rad_s,
            &report.set_point_rad,
        ] {
            assert_eq!(numbers.len(), JOINTS, "{report:?}");
            let moves = matches!(report.state, ArmState::Active | ArmState::Stopping);
            assert!(
                !moves || numbers.iter().all(|number| number.is_finite()),
                "{report:?}"
            );
        }
    }

    /// The host falls silent: the arm stops by itself, and stays.
    fn stops(&mut self) {
        for _ in 0..250 {
            self.line.step();
        }
        let state = self.line.lock().firmware.state();
        assert!(
            !matches!(state, FirmwareState::Active | FirmwareState::Stopping),
            "{state:?} after half a second of silence"
        );
        // The emergency stop is obeyed from anybody, whatever came before; a delimiter ends what is half said.
        self.line.hears(&[0]);
        self.host_says(&HostToArm::EStop);
        self.line.step();
        let state = self.line.lock();
        assert!(!state.torque_on && state.firmware.state() == FirmwareState::EStopped);
    }
}
