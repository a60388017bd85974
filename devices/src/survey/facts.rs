//! What a servo says of itself.

use super::maker::Maker;
use super::presence::answer_us;
use crate::servo_bus::{Bus, BusError, Line, Register};

/// What one servo says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ServoFacts {
    /// Its id.
    pub id: u8,
    /// Its model's number.
    pub model: u16,
    /// Its model's name, if that is known here.
    pub model_name: Option<&'static str>,
    /// Its firmware's version.
    pub firmware: String,
    /// The rate that its register names, in bits a second, if that is known here.
    pub baud: Option<u32>,
    /// Its supply, in volts.
    pub voltage_v: f32,
    /// The supply that it is made for, in volts: least and most.
    pub voltage_limits_v: (f32, f32),
    /// Temperature of its motor, in degrees Celsius.
    pub temperature_c: f32,
    /// The temperature at which it lets go, in degrees Celsius.
    pub temperature_max_c: f32,
    /// Its fault bits, as they are on the wire.
    pub status: u8,
    /// Whether it holds.
    pub torque_on: bool,
    /// Whether a goal is a position within one turn.
    pub position_mode: bool,
    /// Where it is, in ticks.
    pub position_ticks: i64,
    /// The goals that it takes, in ticks: least and greatest.
    pub limits_ticks: (i64, i64),
    /// The homing offset that it stores, in ticks.
    pub homing_offset_ticks: i64,
    /// The most torque that it keeps without power, as a share of the most there is.
    pub max_torque: Option<f32>,
}

impl ServoFacts {
    /// The model for a person.
    pub fn model_text(&self) -> String {
        self.model_name
            .map_or_else(|| format!("unknown model {}", self.model), str::to_owned)
    }

    /// Whether its supply lies outside of what it is made for.
    pub fn voltage_is_wrong(&self) -> bool {
        let (least, most) = self.voltage_limits_v;
        !(least <= self.voltage_v && self.voltage_v <= most)
    }
}

/// Asks servo `id` about itself. Nothing is written.
///
/// # Errors
/// [`BusError`]: it does not answer, or the line is at fault.
pub fn look<P: Maker, L: Line>(bus: &mut Bus<P, L>, id: u8) -> Result<ServoFacts, BusError> {
    let mut get = |register: Register| steps(bus, id, register);
    let roles = P::ROLES;
    let model = get(roles.model)? as u16;
    let firmware = P::FIRMWARE
        .iter()
        .map(|register| Ok(get(*register)?.to_string()))
        .collect::<Result<Vec<_>, BusError>>()?;
    let code = get(P::BAUD)?;
    let baud = P::BAUD_CODES.iter().find(|(_, known)| i64::from(*known) == code);
    Ok(ServoFacts {
        id,
        model,
        model_name: P::model_name(model),
        firmware: firmware.join("."),
        baud: baud.map(|(baud, _)| *baud),
        voltage_v: roles.present_voltage.scaled(get(roles.present_voltage)?),
        voltage_limits_v: (
            P::MIN_VOLTAGE.scaled(get(P::MIN_VOLTAGE)?),
            P::MAX_VOLTAGE.scaled(get(P::MAX_VOLTAGE)?),
        ),
        temperature_c: roles.present_temperature.scaled(get(roles.present_temperature)?),
        temperature_max_c: P::MAX_TEMPERATURE.scaled(get(P::MAX_TEMPERATURE)?),
        status: get(roles.status)? as u8,
        torque_on: get(roles.torque_enable)? != 0,
        position_mode: get(roles.mode)? == i64::from(P::POSITION_MODE),
        position_ticks: get(roles.present_position)?,
        limits_ticks: (get(roles.min_position)?, get(roles.max_position)?),
        homing_offset_ticks: get(roles.homing_offset)?,
        max_torque: match P::MAX_TORQUE {
            Some(register) => Some(register.scaled(get(register)?)),
            None => None,
        },
    })
}

/// What `register` of servo `id` holds, in steps.
pub(crate) fn steps<P: Maker, L: Line>(
    bus: &mut Bus<P, L>,
    id: u8,
    register: Register,
) -> Result<i64, BusError> {
    let budget_us = u64::from(bus.timing().retries + 1) * answer_us(bus) + 10 * bus.timing().quiet_us;
    let mut bytes = [0; 4];
    let bytes = &mut bytes[..usize::from(register.width.min(4))];
    bus.read(id, register.address, bytes, budget_us)?;
    Ok(register.decode(bytes).unwrap_or(0))
}

/// The names of the faults that `status` shows, for a person.
pub fn fault_names<P: Maker>(status: u8) -> Vec<&'static str> {
    let bits = P::STATUS_BITS;
    [
        (bits.voltage, "supply voltage"),
        (bits.temperature, "over-temperature"),
        (bits.encoder, "encoder"),
        (bits.current, "over-current"),
        (bits.overload, "overload: it has let go"),
    ]
    .into_iter()
    .filter(|(bit, _)| bit & status != 0)
    .map(|(_, name)| name)
    .collect()
}
