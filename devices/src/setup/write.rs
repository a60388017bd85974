//! What is written to a servo, and how it is known to have been kept.

use super::{Heard, Setup, SetupError, Wanted};
use crate::servo_bus::{BusError, RatedLine, Register};
use crate::survey::{Maker, Presence, presence, steps};

/// How often a register is written before it is given up.
const ATTEMPTS: usize = 3;

impl<P: Maker, L: RatedLine> Setup<P, L> {
    /// Gives the servo `heard` the id and the rate that are `wanted`, writing only what differs. Its torque is off afterwards.
    pub(super) fn write(&mut self, heard: Heard, wanted: &Wanted) -> Result<(), SetupError> {
        let roles = P::ROLES;
        let mut id = heard.id;
        self.keep(id, roles.torque_enable, 0)?;
        if (heard.id, heard.baud) != (wanted.id, self.baud) {
            if let Some(lock) = roles.lock {
                self.keep(id, lock, 0)?;
            }
            self.change_id(&mut id, wanted)?;
            self.change_baud(id, heard.baud, wanted)?;
        }
        self.lock(id)?;
        if presence(&mut self.bus, id)? == Presence::One
            && steps(&mut self.bus, id, roles.id)? == i64::from(wanted.id)
        {
            return Ok(());
        }
        Err(SetupError::NotKept {
            joint: wanted.joint.clone(),
            register: roles.id.name,
            wanted: wanted.id.into(),
        })
    }

    /// Locks EEPROM again.
    pub(super) fn lock(&mut self, id: u8) -> Result<(), SetupError> {
        match P::ROLES.lock {
            Some(lock) => self.keep(id, lock, 1),
            None => Ok(()),
        }
    }

    fn change_id(&mut self, id: &mut u8, wanted: &Wanted) -> Result<(), SetupError> {
        if *id == wanted.id {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            self.put(*id, P::ROLES.id, wanted.id.into())?;
            if presence(&mut self.bus, wanted.id)? == Presence::One {
                *id = wanted.id;
                return Ok(());
            }
        }
        Err(SetupError::NotKept {
            joint: wanted.joint.clone(),
            register: P::ROLES.id.name,
            wanted: wanted.id.into(),
        })
    }

    fn change_baud(&mut self, id: u8, from: u32, wanted: &Wanted) -> Result<(), SetupError> {
        if from == self.baud {
            return Ok(());
        }
        // Settings were checked for a rate that has a number.
        let code = P::baud_code(self.baud).unwrap_or_default();
        for _ in 0..ATTEMPTS {
            self.put(id, P::BAUD, code.into())?;
            self.bus.set_baud(self.baud)?;
            if presence(&mut self.bus, id)? == Presence::One {
                return Ok(());
            }
            self.bus.set_baud(from)?;
            if presence(&mut self.bus, id)? == Presence::One
                && steps(&mut self.bus, id, P::BAUD)? == i64::from(code)
            {
                // Written, and not in force.
                return Err(SetupError::PowerCycle {
                    joint: wanted.joint.clone(),
                    baud: self.baud,
                });
            }
        }
        Err(SetupError::NotKept {
            joint: wanted.joint.clone(),
            register: P::BAUD.name,
            wanted: code.into(),
        })
    }

    /// Makes a register hold `value`, and reads it back.
    fn keep(&mut self, id: u8, register: Register, value: i64) -> Result<(), SetupError> {
        for _ in 0..ATTEMPTS {
            if steps(&mut self.bus, id, register)? == value {
                return Ok(());
            }
            self.put(id, register, value)?;
        }
        if steps(&mut self.bus, id, register)? == value {
            return Ok(());
        }
        Err(SetupError::NotKept {
            joint: format!("id {id}"),
            register: register.name,
            wanted: value,
        })
    }

    /// Writes a register. A servo may keep quiet, or answer by the id that it has now: what is read back decides.
    fn put(&mut self, id: u8, register: Register, value: i64) -> Result<(), SetupError> {
        let bytes = register.encode(value)?;
        let data = &bytes[..usize::from(register.width.min(4))];
        let budget_us = 2 * (self.bus.timing().turnaround_us + self.bus.wire_us(64));
        match self.bus.write(id, register.address, data, budget_us) {
            Ok(_) | Err(BusError::Silent { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
