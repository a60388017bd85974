//! What servos say of themselves beyond where they are, and what of it is too much.

use crate::servo_bus::{Family, Register, SERVOS_MAX, Unit};

/// Readings in a row that must be beyond a limit.
const STRIKES: u8 = 3;

/// What one servo said last. `None` until it has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ServoHealth {
    /// Its id.
    pub id: u8,
    /// Supply, in volts.
    pub voltage_v: Option<f32>,
    /// Temperature of the motor, in degrees Celsius.
    pub temperature_c: Option<f32>,
    /// How hard it pulls, 0 to 1, either way.
    pub load: Option<f32>,
    /// Current of the motor, in amperes, either way.
    pub current_a: Option<f32>,
    /// Its fault bits, as they are on the wire.
    pub status: Option<u8>,
    /// Whether its watchdog has stopped it.
    pub watchdog_expired: bool,
    /// Questions about faults that it did not answer.
    pub unanswered: u32,
    /// Readings in a row beyond each limit.
    strikes: [u8; 4],
    /// Which of those are new since they were last judged.
    new: [bool; 4],
}

/// Limits, beyond which a servo stops the arm if it stays there for a few readings.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthLimits {
    /// Most temperature, in degrees Celsius.
    pub temperature_max_c: f32,
    /// Least supply, in volts.
    pub voltage_min_v: f32,
    /// Most supply, in volts.
    pub voltage_max_v: f32,
    /// Most load that may last, 0 to 1.
    pub load_max: f32,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            temperature_max_c: 60.0,
            voltage_min_v: 4.5,
            voltage_max_v: 13.5,
            load_max: 1.0,
        }
    }
}

impl HealthLimits {
    /// Refuses limits that no servo has.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        if !(30.0..=90.0).contains(&self.temperature_max_c) {
            return Err(format!("`temperature_max_c` is {}", self.temperature_max_c));
        }
        let volts = 3.0..=30.0;
        let (low, high) = (self.voltage_min_v, self.voltage_max_v);
        if !(volts.contains(&low) && volts.contains(&high) && low < high) {
            return Err(format!("`voltage_min_v` is {low} and `voltage_max_v` is {high}"));
        }
        if !(self.load_max > 0.0 && self.load_max <= 1.0) {
            return Err(format!("`load_max` is {}", self.load_max));
        }
        Ok(())
    }
}

/// What is wrong with a servo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FindingKind {
    /// Hotter than allowed, or so it says itself. The reading, if there is one.
    OverTemperature {
        /// Degrees Celsius.
        temperature_c: Option<f32>,
    },
    /// Less supply than allowed.
    UnderVoltage {
        /// Volts.
        voltage_v: f32,
    },
    /// More supply than allowed.
    OverVoltage {
        /// Volts.
        voltage_v: f32,
    },
    /// It complains of its supply.
    Voltage,
    /// It has let go, being overloaded.
    Overload,
    /// It pulls harder than allowed.
    Load {
        /// Share of the most.
        load: f32,
    },
    /// It complains of too much current.
    OverCurrent,
    /// Its encoder is at fault.
    Encoder,
    /// Its watchdog has stopped it: the host was silent.
    Watchdog,
}

/// Something wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// The joint, counted from the base.
    pub joint: usize,
    /// Its servo.
    pub id: u8,
    /// What.
    pub kind: FindingKind,
}

/// The health of all servos of an arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    servos: heapless::Vec<ServoHealth, SERVOS_MAX>,
    findings: heapless::Vec<Finding, { 4 * SERVOS_MAX }>,
}

impl Health {
    pub(super) fn new(ids: &[u8]) -> Self {
        Self {
            servos: ids
                .iter()
                .take(SERVOS_MAX)
                .map(|id| ServoHealth {
                    id: *id,
                    ..ServoHealth::default()
                })
                .collect(),
            findings: heapless::Vec::new(),
        }
    }

    /// What each servo said last, base first.
    pub fn servos(&self) -> &[ServoHealth] {
        &self.servos
    }

    /// What is wrong now. Empty if nothing is known to be.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Takes what a block of feedback holds.
    pub(super) fn take<P: Family>(&mut self, joint: usize, model: u16, address: u16, data: &[u8], error: u8) {
        let Some(servo) = self.servos.get_mut(joint) else {
            return;
        };
        let roles = P::ROLES;
        let scaled = |register: Register| register.within(address, data).map(|steps| register.scaled(steps));
        let mut put = |slot: usize, place: &mut Option<f32>, value: Option<f32>| {
            if value.is_some() {
                *place = value;
                servo.new[slot] = true;
            }
        };
        put(0, &mut servo.temperature_c, scaled(roles.present_temperature));
        put(1, &mut servo.voltage_v, scaled(roles.present_voltage));
        let effort = P::effort(model);
        let pull = scaled(effort).map(f32::abs);
        if effort.unit == Unit::Share {
            put(2, &mut servo.load, pull);
        } else {
            put(3, &mut servo.current_a, pull);
        }
        if let Some(current) = roles.present_current {
            put(3, &mut servo.current_a, scaled(current).map(f32::abs));
        }
        let told = roles.status.within(address, data).map(|bits| bits as u8);
        let shown = P::status_of(error);
        if !P::alerted(error) && P::EXTRAS.is_empty() {
            servo.status = Some(told.unwrap_or(0) | shown);
        }
    }

    /// Takes a register that was asked for by itself.
    pub(super) fn take_extra<P: Family>(&mut self, joint: usize, register: Register, steps: Option<i64>) {
        let (Some(servo), Some(steps)) = (self.servos.get_mut(joint), steps) else {
            return;
        };
        if register == P::ROLES.status {
            servo.status = Some(steps as u8);
        } else if P::ROLES.watchdog == Some(register) {
            servo.watchdog_expired = steps < 0;
        }
    }

    pub(super) fn extra_missed(&mut self, joint: usize) {
        if let Some(servo) = self.servos.get_mut(joint) {
            servo.unanswered = servo.unanswered.wrapping_add(1);
        }
    }

    /// Compares with limits.
    pub(super) fn judge<P: Family>(&mut self, limits: &HealthLimits) {
        let bits = P::STATUS_BITS;
        self.findings.clear();
        for (joint, servo) in self.servos.iter_mut().enumerate() {
            let id = servo.id;
            let beyond = [
                servo
                    .temperature_c
                    .is_some_and(|temperature_c| !(temperature_c <= limits.temperature_max_c)),
                servo
                    .voltage_v
                    .is_some_and(|volts| !(limits.voltage_min_v..=limits.voltage_max_v).contains(&volts)),
                servo.load.is_some_and(|load| !(load <= limits.load_max)),
                false,
            ];
            for slot in 0..beyond.len() {
                if std::mem::take(&mut servo.new[slot]) {
                    servo.strikes[slot] = if beyond[slot] {
                        servo.strikes[slot].saturating_add(1)
                    } else {
                        0
                    };
                }
            }
            let lasting = |slot: usize| servo.strikes[slot] >= STRIKES;
            let status = servo.status.unwrap_or(0);
            let voltage_v = servo.voltage_v.unwrap_or(0.0);
            let found = [
                (lasting(0) || status & bits.temperature != 0).then_some(FindingKind::OverTemperature {
                    temperature_c: servo.temperature_c,
                }),
                (lasting(1) && voltage_v < limits.voltage_min_v)
                    .then_some(FindingKind::UnderVoltage { voltage_v }),
                (lasting(1) && voltage_v > limits.voltage_max_v)
                    .then_some(FindingKind::OverVoltage { voltage_v }),
                (status & bits.voltage != 0).then_some(FindingKind::Voltage),
                (status & bits.overload != 0).then_some(FindingKind::Overload),
                servo
                    .load
                    .filter(|_| lasting(2))
                    .map(|load| FindingKind::Load { load }),
                (status & bits.current != 0).then_some(FindingKind::OverCurrent),
                (status & bits.encoder != 0).then_some(FindingKind::Encoder),
                servo.watchdog_expired.then_some(FindingKind::Watchdog),
            ];
            for kind in found.into_iter().flatten() {
                // A full list says enough.
                let _ = self.findings.push(Finding { joint, id, kind });
            }
        }
    }
}
