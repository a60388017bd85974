//! The arm's side of the wire: a state machine without I/O, allocation or a clock of its own.
//!
//! The caller feeds it bytes ([`FirmwareCore::on_bytes`]), calls [`FirmwareCore::tick`] at a fixed rate with measured
//! joints, applies the returned [`Drive`] and sends what [`FirmwareCore::poll_transmit`] returns. Time is the caller's
//! too: microseconds since boot, never going back. A clock that goes back all the same ends the session and stops the arm: what
//! was measured by it before says nothing any more.
//!
//! ```text
//!            Hello, Command near measured
//!     Idle ------------------------------> Active <----------------+
//!      ^                                     |  silence, Stop,     | Hello, Command
//!      |                                     |  Release, Hello     | near the held pose
//!      |                                     v                     |
//!      |                                  Stopping ---at rest---> Held
//!      |                                     |                     | Release, or
//!      | Hello                 at rest after |                     | silence > grace
//!      +------------------ Released <--------+---------------------+
//!      |
//!      | Hello after ClearEStop
//!      +------------------ EStopped <--- EStop, from anywhere
//! ```
//!
//! # What torque does on stop
//!
//! - **At boot** torque is off. It comes on with the first valid command of a session, and that command must lie within
//!   `jump_max_rad` of the measured pose, so that the arm never leaps to meet a set point.
//! - **Silence** (no accepted command for longer than `watchdog_us`), **Stop** and **a new session while moving**:
//!   torque stays on. The set point slows within the acceleration limit, then is held. No command of the session in which the arm
//!   was stopped moves it again: motion begins again only in a new session.
//! - **While held**, any message of the session (a ping is enough) keeps torque on. After `torque_grace_us` without one, torque
//!   goes off: **an arm that gravity can move will then sink**. Park it, or support it, within that time.
//! - **Release** does the same without the grace time.
//! - **EStop** takes torque off at once, moving or not, and latches. Only ClearEStop, which a host sends for a person
//!   and never by itself, followed by a new handshake, leaves that state.
//! - Torque that went off never comes back by itself: from Released and EStopped the way leads through a new handshake
//!   and a command near the measured pose.
//!
//! # Who is obeyed
//!
//! Stop and EStop are obeyed from anybody. Commands, Release and ClearEStop need the nonce of the session, which the arm chooses afresh at
//! each Hello; a Ping without it is answered and has no other effect. What carries another nonce is counted and has no effect.

mod limits;
mod motion;
mod session;

pub use crate::wire::JointLimits;
use crate::wire::{
    ArmToHost, Command, Decoder, EarlierArmToHost, FirmwareState, HelloAck, HostToArm, JointVec, NO_SESSION,
    PROTOCOL_VERSION, StopReason, Telemetry, encode, seq_after,
};

pub use limits::{FirmwareLimits, FirmwareOptions, Identity, VALIDITY_WATCHDOGS};
use motion::Motion;
use session::{Counters, Session};

/// How far the clock of what was heard may be ahead of the clock of the ticks, in microseconds: a simulator that catches up ticks at times
/// before that at which it has read the line.
const AHEAD_MAX_US: u64 = 1_000_000;

/// What the motors must do until the next tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// Where the motors should be. The measured position while torque is off.
    pub set_point_rad: JointVec,
    /// Whether the motors may push at all.
    pub torque_on: bool,
}

/// The state machine. See the module documentation.
#[derive(Debug, Clone)]
pub struct FirmwareCore {
    options: FirmwareOptions,
    decoder: Decoder<HostToArm>,
    state: FirmwareState,
    stop_reason: StopReason,
    /// Torque goes off as soon as the arm is at rest.
    release_at_rest: bool,
    /// A person has cleared the emergency stop; the next handshake unlatches it.
    e_stop_cleared: bool,
    motion: Motion,
    measured: Measured,
    /// `None` until the joints have been measured once.
    last_tick_us: Option<u64>,
    /// The set point has been led up to this time: that of the last tick, or of a command after it.
    moved_us: u64,
    /// Last accepted command.
    last_command_us: u64,
    /// Last message of any kind.
    last_heard_us: u64,
    held_since_us: u64,
    ticks_since_telemetry: u32,
    session: Session,
    /// Sessions since boot.
    session_count: u32,
    counters: Counters,
    hello_ack: Option<HelloAck>,
    /// The answer to a host of another version.
    earlier_ack: Option<EarlierArmToHost>,
    pong: Option<(u64, u64)>,
    telemetry_due: bool,
    /// Number of the next telemetry message.
    telemetry_seq: u32,
}

#[derive(Debug, Clone, Default)]
struct Measured {
    at_us: u64,
    position_rad: JointVec,
    velocity_rad_s: JointVec,
}

impl Measured {
    fn set(&mut self, now_us: u64, position_rad: &[f32], velocity_rad_s: &[f32], joints: usize) {
        self.at_us = now_us;
        self.position_rad = fitted(position_rad, joints);
        self.velocity_rad_s = fitted(velocity_rad_s, joints);
    }
}

/// Exactly `joints` numbers: what is missing is zero, what is too much is left out.
fn fitted(values: &[f32], joints: usize) -> JointVec {
    (0..joints)
        .map(|joint| values.get(joint).copied().unwrap_or(0.0))
        .collect()
}

impl FirmwareCore {
    /// Boots: torque off, no session.
    pub fn new(options: FirmwareOptions) -> Self {
        let joints = options.limits.joint_count();
        let mut measured = Measured::default();
        measured.set(0, &[], &[], joints);
        Self {
            decoder: Decoder::default(),
            state: FirmwareState::Idle,
            stop_reason: StopReason::None,
            release_at_rest: false,
            e_stop_cleared: false,
            motion: Motion::at_rest(&measured.position_rad),
            measured,
            last_tick_us: None,
            moved_us: 0,
            last_command_us: 0,
            last_heard_us: 0,
            held_since_us: 0,
            ticks_since_telemetry: 0,
            session: Session::default(),
            session_count: 0,
            counters: Counters::default(),
            hello_ack: None,
            earlier_ack: None,
            pong: None,
            telemetry_due: false,
            telemetry_seq: 0,
            options,
        }
    }

    /// State now.
    pub fn state(&self) -> FirmwareState {
        self.state
    }

    /// Newest command sequence number received in this session, accepted or not; `None` before the first.
    pub fn received_seq(&self) -> Option<u32> {
        self.session.received_seq
    }

    /// Takes bytes from the line, as they come.
    pub fn on_bytes(&mut self, now_us: u64, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(message) = self.decoder.push(byte) {
                self.on_message(now_us, message);
            }
        }
    }

    /// Advances to `now_us` with joints measured just now; returns what the motors do until the next tick.
    pub fn tick(&mut self, now_us: u64, position_rad: &[f32], velocity_rad_s: &[f32]) -> Drive {
        self.check_the_clock(now_us);
        let dt_us = self.unmoved_us(now_us);
        self.last_tick_us = Some(now_us);
        self.moved_us = now_us;
        self.measured.set(
            now_us,
            position_rad,
            velocity_rad_s,
            self.options.limits.joint_count(),
        );

        if self.state == FirmwareState::Active
            && now_us.saturating_sub(self.last_command_us) > self.options.watchdog_us
        {
            self.stop(now_us, StopReason::Watchdog, false);
        }
        match self.state {
            FirmwareState::Active => self.motion.follow(now_us, dt_us, &self.options.limits),
            FirmwareState::Stopping => {
                if self.motion.slow_down(dt_us, &self.options.limits) {
                    self.come_to_rest(now_us);
                }
            }
            FirmwareState::Held => {
                let since = self.held_since_us.max(self.last_heard_us);
                if now_us.saturating_sub(since) > self.options.torque_grace_us {
                    self.state = FirmwareState::Released;
                }
            }
            FirmwareState::Idle | FirmwareState::Released | FirmwareState::EStopped => {}
        }
        if !self.torque_on() {
            self.motion = Motion::at_rest(&self.measured.position_rad);
        }
        self.ticks_since_telemetry = self.ticks_since_telemetry.saturating_add(1);
        if self.options.telemetry_every_ticks > 0
            && self.ticks_since_telemetry >= self.options.telemetry_every_ticks
        {
            self.telemetry_due = true;
        }
        self.drive()
    }

    /// A clock that went back makes all times from before meaningless: how long the host has been silent, and until when commands that are
    /// still on their way are valid. The session ends, so that those commands are refused, and a moving arm stops.
    fn check_the_clock(&mut self, now_us: u64) {
        let heard_us = self
            .last_command_us
            .max(self.last_heard_us)
            .max(self.held_since_us);
        let back = self.last_tick_us.is_some_and(|last| now_us < last)
            || heard_us > now_us.saturating_add(AHEAD_MAX_US);
        if !back {
            return;
        }
        self.session = Session::default();
        self.last_tick_us = Some(now_us);
        self.last_command_us = now_us;
        self.last_heard_us = now_us;
        self.held_since_us = now_us;
        self.stop(now_us, StopReason::Watchdog, false);
    }

    /// Takes a measurement between ticks and queues telemetry with it: a simulator reports what a step led to without
    /// waiting for the next.
    pub fn report(&mut self, now_us: u64, position_rad: &[f32], velocity_rad_s: &[f32]) {
        self.last_tick_us.get_or_insert(now_us);
        self.measured.set(
            now_us,
            position_rad,
            velocity_rad_s,
            self.options.limits.joint_count(),
        );
        self.telemetry_due = true;
    }

    /// A rig has put the arm at a start pose, at rest: hold it there and end the session. A latched emergency stop
    /// stays latched.
    pub fn place(&mut self, now_us: u64, position_rad: &[f32]) {
        self.last_tick_us.get_or_insert(now_us);
        self.measured
            .set(now_us, position_rad, &[], self.options.limits.joint_count());
        self.motion = Motion::at_rest(&self.measured.position_rad);
        self.session = Session::default();
        self.last_heard_us = now_us;
        if self.state != FirmwareState::EStopped {
            self.state = FirmwareState::Held;
            self.stop_reason = StopReason::Placed;
            self.held_since_us = now_us;
            self.release_at_rest = false;
        }
        self.telemetry_due = true;
    }

    /// Emergency stop, from the wire or from a button on the board.
    pub fn e_stop(&mut self) {
        self.state = FirmwareState::EStopped;
        self.stop_reason = StopReason::EStop;
        self.e_stop_cleared = false;
        self.release_at_rest = false;
        self.motion = Motion::at_rest(&self.measured.position_rad);
        self.telemetry_due = true;
    }

    /// The next frame to send, written into `buffer` ([`crate::wire::MAX_FRAME_BYTES`] always suffice); empty when
    /// there is none. Telemetry that is not fetched in time is replaced by newer, never queued.
    pub fn poll_transmit<'b>(&mut self, buffer: &'b mut [u8]) -> &'b [u8] {
        let message = if let Some(ack) = self.hello_ack.take() {
            ArmToHost::HelloAck(ack)
        } else if let Some(ack) = self.earlier_ack.take() {
            return encode(&ack, buffer).unwrap_or(&[]);
        } else if let Some((host_time_echo_us, device_time_us)) = self.pong.take() {
            ArmToHost::Pong {
                host_time_echo_us,
                device_time_us,
                session_nonce: self.session.nonce(),
            }
        } else if self.telemetry_due {
            self.telemetry_due = false;
            self.ticks_since_telemetry = 0;
            let telemetry = self.telemetry();
            self.telemetry_seq = self.telemetry_seq.wrapping_add(1);
            ArmToHost::Telemetry(telemetry)
        } else {
            return &[];
        };
        // A caller with a short buffer loses the frame, as on a broken line; there is nobody here to tell.
        encode(&message, buffer).unwrap_or(&[])
    }

    /// What the next telemetry would say.
    pub fn telemetry(&self) -> Telemetry {
        Telemetry {
            host_time_echo_us: self.session.host_time_echo_us,
            echo_received_us: self.session.echo_received_us,
            device_time_us: self.measured.at_us,
            last_command_seq: self.session.accepted_seq.unwrap_or(0),
            received_seq: self.session.received_seq.unwrap_or(0),
            state: self.state,
            stop_reason: self.stop_reason,
            position_rad: self.measured.position_rad.clone(),
            velocity_rad_s: self.measured.velocity_rad_s.clone(),
            set_point_rad: self.drive().set_point_rad,
            rejected_sequence: self.counters.sequence,
            rejected_age: self.counters.age,
            rejected_content: self.counters.content,
            rejected_state: self.counters.state,
            clamped: self.counters.clamped,
            bad_frames: self.decoder.bad_frames(),
            session_nonce: self.session.nonce(),
            telemetry_seq: self.telemetry_seq,
            rejected_session: self.counters.session,
            rejected_validity: self.counters.validity,
        }
    }

    fn torque_on(&self) -> bool {
        matches!(
            self.state,
            FirmwareState::Active | FirmwareState::Stopping | FirmwareState::Held
        )
    }

    fn drive(&self) -> Drive {
        if self.torque_on() {
            Drive {
                set_point_rad: self.motion.set_point_rad().clone(),
                torque_on: true,
            }
        } else {
            Drive {
                set_point_rad: self.measured.position_rad.clone(),
                torque_on: false,
            }
        }
    }

    fn on_message(&mut self, now_us: u64, message: HostToArm) {
        match message {
            HostToArm::Hello {
                protocol_version,
                host_time_us,
                host_nonce,
            } => {
                if protocol_version == PROTOCOL_VERSION {
                    self.on_hello(now_us, host_time_us, host_nonce);
                } else {
                    self.on_hello_of_another_version(now_us, host_time_us);
                }
            }
            HostToArm::Command(command) => self.on_command(now_us, &command),
            HostToArm::Stop => self.stop(now_us, StopReason::HostStop, false),
            HostToArm::Release { session_nonce } => {
                if self.hears(now_us, session_nonce) {
                    self.stop(now_us, StopReason::HostRelease, true);
                }
            }
            HostToArm::EStop => self.e_stop(),
            HostToArm::ClearEStop { session_nonce } => {
                if self.hears(now_us, session_nonce) && self.state == FirmwareState::EStopped {
                    self.e_stop_cleared = true;
                    // The same clearance must not count again after another emergency stop.
                    self.session = Session::default();
                }
            }
            HostToArm::Ping {
                host_time_us,
                session_nonce,
            } => {
                // Whoever sends the emergency stop without a session asks by a ping whether it was read.
                if session_nonce != NO_SESSION && self.hears(now_us, session_nonce) {
                    self.session.echo(now_us, host_time_us);
                }
                self.pong = Some((host_time_us, now_us));
            }
        }
    }

    /// Whether a message with `session_nonce` belongs to the session. What does is a sign of life of the host; what does not is counted.
    fn hears(&mut self, now_us: u64, session_nonce: u64) -> bool {
        let ours = self.session.has(session_nonce);
        if ours {
            self.last_heard_us = now_us;
        } else {
            self.counters.session = self.counters.session.wrapping_add(1);
        }
        ours
    }

    fn on_hello(&mut self, now_us: u64, host_time_us: u64, host_nonce: u64) {
        if host_nonce == 0 {
            // Meant for arms of version 1.
            return;
        }
        self.last_heard_us = now_us;
        let repeated = self.session.was_opened_by(host_nonce);
        if !repeated {
            self.session_count = self.session_count.wrapping_add(1);
            self.session = Session::open(&self.options.identity, self.session_count, host_nonce);
        }
        self.session.echo(now_us, host_time_us);
        self.hello_ack = Some(HelloAck {
            protocol_version: PROTOCOL_VERSION,
            joints: self.options.limits.joint_count() as u8,
            firmware_version: self.options.firmware_version,
            host_time_echo_us: host_time_us,
            device_time_us: now_us,
            host_nonce_echo: host_nonce,
            session_nonce: self.session.nonce(),
            boot_id: self.options.identity.boot_id,
            serial_number: self.options.identity.serial_number.clone(),
            joint_names_hash: self.options.identity.joint_names_hash,
            contract: self.options.contract(),
        });
        self.telemetry_due = true;
        if repeated {
            return;
        }
        match self.state {
            // A new host knows nothing of the motion in progress.
            FirmwareState::Active => self.stop(now_us, StopReason::NewSession, false),
            FirmwareState::Released => self.state = FirmwareState::Idle,
            FirmwareState::EStopped if self.e_stop_cleared => self.state = FirmwareState::Idle,
            _ => {}
        }
    }

    /// Answers in the words that every version can read, and obeys nobody from here on.
    fn on_hello_of_another_version(&mut self, now_us: u64, host_time_us: u64) {
        self.session = Session::default();
        self.earlier_ack = Some(EarlierArmToHost::HelloAck {
            protocol_version: PROTOCOL_VERSION,
            joints: self.options.limits.joint_count() as u8,
            firmware_version: self.options.firmware_version,
            host_time_echo_us: host_time_us,
            device_time_us: now_us,
        });
        if self.state == FirmwareState::Active {
            self.stop(now_us, StopReason::NewSession, false);
        }
    }

    /// Time until `now_us` for which the set point has not moved yet.
    fn unmoved_us(&self, now_us: u64) -> u64 {
        let last_us = self.last_tick_us.unwrap_or(now_us);
        // A clock that went back says nothing of what was moved before.
        let moved_us = if self.moved_us <= now_us { self.moved_us } else { 0 };
        now_us.saturating_sub(last_us.max(moved_us))
    }

    fn on_command(&mut self, now_us: u64, command: &Command) {
        if !self.hears(now_us, command.session_nonce) {
            return;
        }
        // Before the first measurement nobody knows how far a set point is away.
        if self.last_tick_us.is_none() {
            self.counters.state = self.counters.state.wrapping_add(1);
            return;
        }
        self.session.echo(now_us, command.host_time_us);
        if self
            .session
            .received_seq
            .is_some_and(|last| !seq_after(command.seq, last))
        {
            self.counters.sequence = self.counters.sequence.wrapping_add(1);
            return;
        }
        self.session.received_seq = Some(command.seq);
        if now_us > command.valid_until_us {
            self.counters.age = self.counters.age.wrapping_add(1);
            return;
        }
        // A host that knows this arm's clock wrongly must not have it carry out late what was meant for now.
        if command.valid_until_us - now_us > self.options.validity_max_us {
            self.counters.validity = self.counters.validity.wrapping_add(1);
            return;
        }
        // A stop is for good: what was sent before the host knew of it, or by a host that does not care, does not undo it.
        if self.session.stopped {
            self.counters.state = self.counters.state.wrapping_add(1);
            return;
        }
        // Where the arm is asked to go on from: the pose it is in, or the one it holds or is moving through.
        let from = match self.state {
            FirmwareState::Idle => &self.measured.position_rad,
            FirmwareState::Active | FirmwareState::Held => self.motion.set_point_rad(),
            FirmwareState::Stopping | FirmwareState::Released | FirmwareState::EStopped => {
                self.counters.state = self.counters.state.wrapping_add(1);
                return;
            }
        };
        let limits = &self.options.limits;
        let asked = &command.set_point_rad;
        let sound = asked.len() == limits.joint_count() && asked.iter().all(|rad| rad.is_finite());
        let resuming = self.state != FirmwareState::Active;
        // Also true of a pose that is no number: from there nobody knows how far it is.
        let jump = |(asked, from): (&f32, &f32)| !((asked - from).abs() <= self.options.jump_max_rad);
        if !sound || (resuming && asked.iter().zip(from).any(jump)) {
            self.counters.content = self.counters.content.wrapping_add(1);
            return;
        }
        let from = from.clone();
        let (target, clamped) = limits.clamp_position(asked);
        if clamped {
            self.counters.clamped = self.counters.clamped.wrapping_add(1);
        }
        if resuming {
            self.motion = Motion::at_rest(&from);
            self.stop_reason = StopReason::None;
            self.state = FirmwareState::Active;
        } else {
            // The new line begins where the old one has led by now. Without this the time since the last tick would be lost with each
            // command, which an arm at full speed cannot make up for.
            let dt_us = self.unmoved_us(now_us);
            self.motion.follow(now_us, dt_us, &self.options.limits);
        }
        self.moved_us = now_us;
        self.motion.aim(
            now_us,
            command.move_time_us,
            target,
            limits,
            self.options.watchdog_us,
        );
        self.session.accepted_seq = Some(command.seq);
        self.last_command_us = now_us;
    }

    fn stop(&mut self, now_us: u64, reason: StopReason, release: bool) {
        match self.state {
            FirmwareState::Active => self.state = FirmwareState::Stopping,
            FirmwareState::Stopping => {}
            FirmwareState::Held => {
                if release {
                    self.release_at_rest = true;
                    self.stop_reason = reason;
                    self.come_to_rest(now_us);
                }
                return;
            }
            FirmwareState::Idle | FirmwareState::Released | FirmwareState::EStopped => return,
        }
        // A new session has stopped what was before it, and is not stopped itself.
        self.session.stopped = reason != StopReason::NewSession;
        self.stop_reason = reason;
        self.release_at_rest |= release;
    }

    fn come_to_rest(&mut self, now_us: u64) {
        self.held_since_us = now_us;
        self.state = if self.release_at_rest {
            FirmwareState::Released
        } else {
            FirmwareState::Held
        };
        self.release_at_rest = false;
    }
}
