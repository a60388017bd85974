//! An arm of servos that a person moves by hand: no servo holds, and all are read.

use robot::device::DeviceError;

use super::Settings;
use super::calibrated::encoder;
use crate::servo_bus::joints::{self, BringUpError, ServoJoint, identify, set_torque};
use crate::servo_bus::{Bus, Family, Line};

/// Silence after which no answer of before is awaited any more, in microseconds.
const SETTLE_US: u64 = 20_000;

/// How often a servo is asked: a person who moves an arm shakes its cables.
const ATTEMPTS: u32 = 8;

/// Servos without torque.
#[derive(Debug)]
pub struct ByHand<F, L> {
    bus: Bus<F, L>,
    settings: joints::ArmSettings,
    /// The homing offset that each stores, in ticks.
    offsets_ticks: Vec<i64>,
}

impl<F: Family> Settings<F> {
    /// The servos of `joints` on `line`, once each was found and all have let go. Nothing is written to what they store.
    ///
    /// # Errors
    /// [`DeviceError`]: a servo that is missing, of another model, or there twice; and what the bus says.
    pub fn by_hand<L: Line>(&self, line: L, joints: Vec<ServoJoint>) -> Result<ByHand<F, L>, DeviceError> {
        let failed = |error: BringUpError| DeviceError::new(format!("{}: {error}", self.port));
        let mut bus = Bus::new(line, self.timing());
        let settings = joints::ArmSettings::new(joints);
        bus.settle(SETTLE_US).map_err(|error| failed(error.into()))?;
        for joint in &settings.joints {
            identify(&mut bus, joint, settings.bring_up_us).map_err(failed)?;
        }
        set_torque(&mut bus, &settings, false).map_err(failed)?;
        let mut by_hand = ByHand {
            bus,
            settings,
            offsets_ticks: Vec::new(),
        };
        let offset = F::ROLES.homing_offset;
        by_hand.offsets_ticks = (0..by_hand.settings.joints.len())
            .map(|joint| by_hand.get(joint, offset))
            .collect::<Result<_, _>>()?;
        Ok(by_hand)
    }
}

impl<F: Family, L: Line> ByHand<F, L> {
    /// The position of the encoder of a joint's servo within its turn, in ticks, whatever offset it stores.
    ///
    /// # Errors
    /// [`DeviceError`]: the servo is silent.
    pub fn encoder_ticks(&mut self, joint: usize) -> Result<i64, DeviceError> {
        let present = self.get(joint, F::ROLES.present_position)?;
        Ok(encoder::<F>().encoder_ticks(present, self.offsets_ticks[joint]))
    }

    /// Takes torque off again, since another program or a power-up may have brought it back.
    ///
    /// # Errors
    /// [`DeviceError`]: not all have confirmed it.
    pub fn let_go(&mut self) -> Result<(), DeviceError> {
        set_torque(&mut self.bus, &self.settings, false).map_err(DeviceError::new)
    }

    /// The line, for whoever sets the servos up next.
    pub fn into_line(self) -> L {
        self.bus.into_line()
    }

    /// The bus, to reach emulated servos behind it.
    pub fn bus_mut(&mut self) -> &mut Bus<F, L> {
        &mut self.bus
    }

    fn get(&mut self, joint: usize, register: crate::servo_bus::Register) -> Result<i64, DeviceError> {
        let ServoJoint { name, id, .. } = &self.settings.joints[joint];
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..usize::from(register.width.min(4))];
        let budget_us = self.settings.bring_up_us;
        let mut read = self.bus.read(*id, register.address, bytes, budget_us);
        for _ in 1..ATTEMPTS {
            if read.is_ok() {
                break;
            }
            let _ = self.bus.settle(SETTLE_US);
            read = self.bus.read(*id, register.address, bytes, budget_us);
        }
        read.map_err(|error| DeviceError::new(format!("joint {name} (servo {id}): {error}")))?;
        Ok(register.decode(bytes).unwrap_or(0))
    }
}
