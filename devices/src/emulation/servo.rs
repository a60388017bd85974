//! One servo: its registers, its motor and its faults.

use std::marker::PhantomData;

use super::faults::Faults;
use super::layout::{Emulated, REFUSED_ACCESS, REFUSED_LIMIT};
use super::motor::Motor;
use crate::servo_bus::{Access, Memory, Register};

const MEMORY_BYTES: usize = 256;

/// An emulated servo of protocol `P`.
#[derive(Debug, Clone)]
pub struct EmulatedServo<P> {
    memory: [u8; MEMORY_BYTES],
    /// What is left after power was off.
    kept: [u8; MEMORY_BYTES],
    motor: Motor,
    now_us: u64,
    heard_us: u64,
    /// What is wrong with it.
    pub faults: Faults,
    protocol: PhantomData<P>,
}

impl<P: Emulated> EmulatedServo<P> {
    /// A servo as delivered, at rest at `position_ticks`.
    pub fn new(id: u8, position_ticks: u16) -> Self {
        let mut servo = Self {
            memory: [0; MEMORY_BYTES],
            kept: [0; MEMORY_BYTES],
            motor: Motor::at(position_ticks.into()),
            now_us: 0,
            heard_us: 0,
            faults: Faults::default(),
            protocol: PhantomData,
        };
        for (register, steps) in P::DELIVERED {
            servo.set(*register, *steps);
        }
        servo.set(P::ROLES.model, P::MODEL.into());
        servo.set(P::ROLES.id, id.into());
        servo.kept = servo.memory;
        servo
    }

    /// The same, of another model.
    #[must_use]
    pub fn of_model(mut self, model: u16) -> Self {
        self.set(P::ROLES.model, model.into());
        self.kept = self.memory;
        self
    }

    /// The same, with a homing offset that it stores, in ticks.
    #[must_use]
    pub fn with_homing(mut self, offset_ticks: i64) -> Self {
        self.set(P::ROLES.homing_offset, offset_ticks);
        self.kept = self.memory;
        self.measure();
        self
    }

    /// Its id.
    pub fn id(&self) -> u8 {
        self.get(P::ROLES.id) as u8
    }

    /// What a register holds, in steps.
    pub fn get(&self, register: Register) -> i64 {
        register.within(0, &self.memory).unwrap_or(0)
    }

    /// What a register will hold after power was off, in steps.
    pub fn kept(&self, register: Register) -> i64 {
        register.within(0, &self.kept).unwrap_or(0)
    }

    /// Makes a register hold `steps`, whoever may write it. A number that does not fit changes nothing.
    pub fn set(&mut self, register: Register, steps: i64) {
        if let Ok(bytes) = register.encode(steps) {
            let begin = usize::from(register.address);
            let width = usize::from(register.width);
            self.memory[begin..begin + width].copy_from_slice(&bytes[..width]);
        }
    }

    /// Its motor.
    pub fn motor(&self) -> &Motor {
        &self.motor
    }

    /// Its motor, to be placed by hand.
    pub fn motor_mut(&mut self) -> &mut Motor {
        &mut self.motor
    }

    /// Whether it holds its goal.
    pub fn torque_on(&self) -> bool {
        self.get(P::ROLES.torque_enable) == 1
    }

    /// Cuts its power and gives it back.
    pub fn power_cycle(&mut self) {
        self.memory = self.kept;
        self.motor.velocity_ticks_s = 0.0;
        for (register, steps) in P::DELIVERED
            .iter()
            .filter(|(register, _)| register.memory == Memory::Ram)
        {
            self.set(*register, *steps);
        }
    }

    /// Lets time pass until `now_us`.
    pub fn advance(&mut self, now_us: u64) {
        let roles = P::ROLES;
        let dt_us = now_us.saturating_sub(self.now_us);
        self.now_us = self.now_us.max(now_us);
        if let Some(watchdog) = roles.watchdog {
            let steps = self.get(watchdog);
            if steps > 0 && self.now_us.saturating_sub(self.heard_us) > steps as u64 * 20_000 {
                self.set(watchdog, -1);
            }
        }
        let follows = self.torque_on() && !self.faults.stuck && self.faults.status & OVERLOADED == 0;
        let goal = (follows && !self.watchdog_expired()).then(|| self.goal());
        let scaled = |register: Register| f64::from(register.scaled(self.get(register)).abs());
        let (velocity, acceleration) = (scaled(roles.velocity), scaled(roles.acceleration));
        if self.faults.stuck {
            self.motor.velocity_ticks_s = 0.0;
        } else {
            self.motor
                .advance(goal, velocity, acceleration, dt_us as f64 * 1e-6);
        }
        self.measure();
    }

    /// Time from a request to its answer, in microseconds.
    pub fn return_delay_us(&self) -> u64 {
        self.get(P::ROLES.return_delay) as u64 * 2
    }

    /// When its time stands, in microseconds.
    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Whether it understands a host that speaks at `host_baud` (`None`: any host).
    pub(super) fn hears(&self, host_baud: Option<u32>) -> bool {
        let code = self.get(P::BAUD);
        let own = P::BAUD_CODES.iter().find(|(_, known)| i64::from(*known) == code);
        !self.faults.silent
            && host_baud.is_none_or(|host| own.is_some_and(|(baud, _)| baud.abs_diff(host) * 50 <= *baud))
    }

    /// It was spoken to.
    pub(super) fn hear(&mut self) {
        self.heard_us = self.now_us;
    }

    /// The error byte of an answer.
    pub(super) fn error_byte(&self, refusal: u8) -> u8 {
        P::error_byte(self.get(P::ROLES.status) as u8, refusal)
    }

    /// Registers from `address` on; none beyond the last.
    pub(super) fn read(&self, address: u16, length: usize) -> &[u8] {
        let begin = usize::from(address).min(MEMORY_BYTES);
        &self.memory[begin..(begin + length).min(MEMORY_BYTES)]
    }

    /// Writes registers from `address` on; returns why not, or 0.
    pub(super) fn write(&mut self, address: u16, data: &[u8]) -> u8 {
        let roles = P::ROLES;
        let begin = usize::from(address);
        let end = begin + data.len();
        let covers =
            |register: Register| begin <= usize::from(register.address) && usize::from(register.end()) <= end;
        let read_only = [
            roles.model,
            roles.present_position,
            roles.present_velocity,
            roles.status,
        ];
        if end > MEMORY_BYTES
            || read_only
                .iter()
                .any(|register| register.access == Access::ReadOnly && covers(*register))
        {
            return REFUSED_ACCESS;
        }
        // Only servos without a lock keep their EEPROM shut while they hold.
        if roles.lock.is_none() && address < P::RAM_BEGIN && self.torque_on() {
            return REFUSED_ACCESS;
        }
        if covers(roles.goal_position) && self.watchdog_expired() {
            return REFUSED_ACCESS;
        }
        let before = self.memory;
        self.memory[begin..end].copy_from_slice(data);
        if covers(roles.goal_position) {
            let goal = self.get(roles.goal_position);
            let limits = (self.get(roles.min_position), self.get(roles.max_position));
            let within = goal.clamp(limits.0, limits.1.max(limits.0));
            if goal != within && roles.lock.is_none() {
                self.memory = before;
                return REFUSED_LIMIT;
            }
            self.set(roles.goal_position, within);
        }
        let open = roles.lock.is_none_or(|lock| self.get(lock) == 0);
        if open && begin < usize::from(P::RAM_BEGIN) {
            let end = end.min(P::RAM_BEGIN.into());
            self.kept[begin..end].copy_from_slice(&self.memory[begin..end]);
        }
        0
    }

    /// Whether the host fell silent for longer than its watchdog allows.
    pub fn watchdog_expired(&self) -> bool {
        P::ROLES.watchdog.is_some_and(|watchdog| self.get(watchdog) < 0)
    }

    /// How the motor's position, which knows no turns, reads at the encoder with the stored offset: it jumps by a turn at the seam.
    pub(super) fn present_ticks(&self) -> f64 {
        let turn = f64::from(P::TICKS_PER_TURN);
        let offset = self.get(P::ROLES.homing_offset) as f64;
        if P::HOMING_ADDS {
            // The encoder jumps, and the offset is added afterwards.
            self.motor.position_ticks.rem_euclid(turn) + offset
        } else {
            (self.motor.position_ticks - offset).rem_euclid(turn)
        }
    }

    /// Where the motor goes for a goal: as far as the goal is from what the encoder says, seam or not.
    fn goal(&self) -> f64 {
        self.motor.position_ticks + self.get(P::ROLES.goal_position) as f64 - self.present_ticks()
    }

    fn measure(&mut self) {
        let roles = P::ROLES;
        let turn = i64::from(P::TICKS_PER_TURN);
        let offset = if P::HOMING_ADDS {
            self.get(roles.homing_offset)
        } else {
            0
        };
        // What rounds up to a whole turn is the turn's first tick.
        let present = (self.present_ticks().round() as i64 - offset).rem_euclid(turn) + offset;
        self.set(roles.present_position, present);
        let velocity = self.motor.velocity_ticks_s / f64::from(roles.present_velocity.scale);
        self.set(roles.present_velocity, velocity.round() as i64);
        let error = self.goal() - self.motor.position_ticks;
        let load = self.faults.load.unwrap_or_else(|| {
            if self.torque_on() {
                (error as f32 * 0.002).clamp(-1.0, 1.0)
            } else {
                0.0
            }
        });
        self.set(roles.present_load, (load * 1000.0) as i64);
        let in_steps = |value: f32, register: Register| (value / register.scale).round() as i64;
        let voltage_v = self.faults.voltage_v.unwrap_or(12.0);
        self.set(roles.present_voltage, in_steps(voltage_v, roles.present_voltage));
        let temperature_c = self.faults.temperature_c.unwrap_or(30.0);
        self.set(
            roles.present_temperature,
            in_steps(temperature_c, roles.present_temperature),
        );
        self.set(roles.status, self.faults.status.into());
        self.set(roles.moving, i64::from(self.motor.velocity_ticks_s.abs() > 1.0));
    }
}

/// The status bit of an overload, in both protocols: the servo lets go.
const OVERLOADED: u8 = 1 << 5;
