//! Making servos ready: who they are, what they keep, and torque.

mod error;

pub use error::BringUpError;

use super::mapping::Mapping;
use super::settings::{ArmSettings, Homing, ServoJoint, Tuning};
use crate::servo_bus::{Bus, BusError, Family, Line, Memory, Register, SERVOS_MAX, Unit};

/// How often a register is written before it is given up.
const ATTEMPTS: usize = 3;

/// How often answers are counted before servos are said to share an id.
const COUNTS: u32 = 4;

/// Silence after which no answer of before is awaited any more, in microseconds.
const SETTLE_US: u64 = 50_000;

/// How long servos that are to let go wait for a line to fall silent before they are told, in microseconds.
const HURRY_US: u64 = 1_000;

/// One servo while it is made ready.
struct Servo<'a, P, L> {
    bus: &'a mut Bus<P, L>,
    joint: &'a ServoJoint,
    budget_us: u64,
}

impl<P: Family, L: Line> Servo<'_, P, L> {
    fn get(&mut self, register: Register) -> Result<i64, BringUpError> {
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..usize::from(register.width.min(4))];
        self.bus
            .read(self.joint.id, register.address, bytes, self.budget_us)?;
        Ok(register.decode(bytes).unwrap_or(0))
    }

    /// Writes without a look at what is there, which wears nothing out in RAM.
    fn put(&mut self, register: Register, steps: i64) -> Result<(), BringUpError> {
        let bytes = register.encode(steps)?;
        let data = &bytes[..usize::from(register.width.min(4))];
        self.bus
            .write(self.joint.id, register.address, data, self.budget_us)?;
        Ok(())
    }

    /// Makes a register hold `steps`: writes only what differs, since EEPROM wears out, and reads it back.
    fn keep(&mut self, register: Register, steps: i64) -> Result<(), BringUpError> {
        let mut found = self.get(register)?;
        for _ in 0..ATTEMPTS {
            if found == steps {
                return Ok(());
            }
            match self.put(register, steps) {
                // Some servos answer reads alone; what is read back decides.
                Ok(()) | Err(BringUpError::Bus(BusError::Silent { .. })) => {}
                Err(error) => return Err(error),
            }
            found = self.get(register)?;
        }
        if found == steps {
            return Ok(());
        }
        let ServoJoint { name, id, .. } = self.joint;
        Err(BringUpError::NotKept {
            joint: name.clone(),
            id: *id,
            register: register.name,
            wanted: steps,
            found,
        })
    }

    fn identify(&mut self) -> Result<u16, BringUpError> {
        let ServoJoint { name, id, .. } = self.joint;
        let (mut answers, mut spoilt) = (0, false);
        for attempt in 0..COUNTS {
            if attempt > 0 {
                // An answer to the question before, late on a machine that is busy, must not be counted as a second servo's.
                self.bus.settle(SETTLE_US << attempt)?;
            }
            (answers, spoilt) = self.bus.count_answers(*id, self.budget_us)?;
            if answers == 1 && !spoilt {
                break;
            }
        }
        if answers > 1 || spoilt {
            return Err(BringUpError::Twins {
                joint: name.clone(),
                id: *id,
            });
        }
        let model = self.bus.model(*id, self.budget_us)?;
        if P::MODELS.iter().all(|(known, _)| *known != model) {
            let known: Vec<&str> = P::MODELS.iter().map(|(_, name)| *name).collect();
            return Err(BringUpError::Model {
                joint: name.clone(),
                id: *id,
                model,
                known: known.join(", "),
            });
        }
        Ok(model)
    }

    /// Refuses a servo whose stored homing offset is not the one with which the joint was calibrated.
    fn compare_homing(&mut self) -> Result<(), BringUpError> {
        let Homing::Compared(calibrated) = self.joint.homing else {
            return Ok(());
        };
        let stored = self.get(P::ROLES.homing_offset)?;
        if stored == calibrated {
            return Ok(());
        }
        let ServoJoint { name, id, .. } = self.joint;
        Err(BringUpError::OtherHoming {
            joint: name.clone(),
            id: *id,
            stored,
            calibrated,
        })
    }

    /// As [`Servo::keep`], for a register that is shut while the servo holds, or locked.
    fn keep_in_eeprom(&mut self, register: Register, steps: i64, holds: bool) -> Result<(), BringUpError> {
        if self.get(register)? == steps {
            return Ok(());
        }
        if holds {
            let ServoJoint { name, id, .. } = self.joint;
            return Err(BringUpError::Holding {
                joint: name.clone(),
                id: *id,
                register: register.name,
            });
        }
        if let Some(lock) = P::ROLES.lock {
            self.keep(lock, 0)?;
        }
        self.keep(register, steps)
    }

    /// Returns whether it holds.
    fn make_ready(&mut self, mapping: &Mapping, settings: &ArmSettings) -> Result<bool, BringUpError> {
        let roles = P::ROLES;
        let (low, high) = mapping.limits_ticks();
        if roles.response_level.memory == Memory::Ram {
            self.keep(roles.response_level, P::RESPONSE_ALL.into())?;
        }
        if let Some(watchdog) = roles.watchdog {
            // One that has expired refuses goals until it is cleared.
            self.put(watchdog, 0)?;
        }
        let mut kept = vec![
            (roles.response_level, P::RESPONSE_ALL.into()),
            (roles.return_delay, 0),
            (roles.mode, P::POSITION_MODE.into()),
        ];
        if let Homing::Written(offset) = self.joint.homing {
            kept.push((roles.homing_offset, offset));
        }
        kept.extend([(roles.min_position, low), (roles.max_position, high)]);
        if let Some((register, bit)) = roles.counts_turns {
            kept.push((register, self.get(register)? & !i64::from(bit)));
        }
        kept.extend(tuned::<P>(&self.joint.tuning));
        let holds = self.get(roles.torque_enable)? != 0;
        let written = kept
            .into_iter()
            .try_for_each(|(register, steps)| self.keep_in_eeprom(register, steps, holds));
        if let Some(lock) = roles.lock {
            self.keep(lock, 1)?;
        }
        written?;
        let ticks_a_radian = f32::from(P::TICKS_PER_TURN) / std::f32::consts::TAU;
        self.keep(
            roles.acceleration,
            in_steps(roles.acceleration, settings.acceleration_rad_s2 * ticks_a_radian),
        )?;
        self.keep(
            roles.velocity,
            in_steps(roles.velocity, settings.velocity_rad_s * ticks_a_radian),
        )?;
        let share = self.joint.tuning.torque_limit.unwrap_or(settings.torque_limit);
        if let Some(limit) = roles.torque_limit {
            self.keep(limit, in_steps(limit, share.clamp(0.0, 1.0)))?;
        }
        Ok(holds)
    }
}

/// What a servo is to keep of how it is set.
fn tuned<P: Family>(tuning: &Tuning) -> Vec<(Register, i64)> {
    let roles = P::ROLES;
    let gains = tuning.gains.into_iter().flatten().map(i64::from);
    let mut kept: Vec<(Register, i64)> = roles.gains.into_iter().zip(gains).collect();
    for (register, quantity) in [
        (roles.protection_current, tuning.protection_current_a),
        (roles.overload_torque, tuning.overload_torque),
    ] {
        if let (Some(register), Some(quantity)) = (register, quantity) {
            kept.push((register, (quantity / register.scale).round() as i64));
        }
    }
    kept
}

/// A quantity in a register's steps: the least step at least, unless it is 0, which means something else; the most at most.
fn in_steps(register: Register, quantity: f32) -> i64 {
    debug_assert!(register.memory == Memory::Ram && register.unit != Unit::None);
    let (_, most) = register.range();
    if quantity > 0.0 {
        ((quantity / register.scale).round() as i64).clamp(1, most)
    } else {
        0
    }
}

/// What is known of an arm that was brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtUp {
    /// The servos' models, base first.
    pub models: Vec<u16>,
    /// Whether one of them holds: somebody has left it so.
    pub holds: bool,
}

/// Makes every servo ready: checks that it is there once, of a known model and with the homing offset of its calibration, writes what it is to keep (every request answered, no
/// return delay, position mode, homing offset, limits) where that differs and reads it back, then acceleration, speed and torque limit.
/// Moves nothing and lets nothing go: where a servo holds and would have to let go for it, it is refused.
///
/// # Errors
/// [`BringUpError`], at the first servo that is not as it should be.
pub fn bring_up<P: Family, L: Line>(
    bus: &mut Bus<P, L>,
    settings: &ArmSettings,
) -> Result<BroughtUp, BringUpError> {
    let mappings = settings.mappings::<P>()?;
    let budget_us = settings.bring_up_us;
    bus.settle(SETTLE_US)?;
    let mut models = Vec::new();
    // Everybody is known before anybody is changed.
    for joint in &settings.joints {
        let mut servo = Servo {
            bus,
            joint,
            budget_us,
        };
        models.push(servo.identify()?);
        servo.compare_homing()?;
    }
    let mut holds = false;
    for (joint, mapping) in settings.joints.iter().zip(&mappings) {
        holds |= Servo {
            bus,
            joint,
            budget_us,
        }
        .make_ready(mapping, settings)?;
    }
    Ok(BroughtUp { models, holds })
}

/// Checks that the servo of a joint is there once and of a known model, and returns its model. Writes nothing.
///
/// # Errors
/// [`BringUpError`].
pub fn identify<P: Family, L: Line>(
    bus: &mut Bus<P, L>,
    joint: &ServoJoint,
    budget_us: u64,
) -> Result<u16, BringUpError> {
    Servo {
        bus,
        joint,
        budget_us,
    }
    .identify()
}

/// Switches torque. On: the goal becomes where each joint is, so that nothing jumps, and the watchdog is armed. Off: all are told
/// at once, then each is asked, also those after one that does not answer.
///
/// # Errors
/// [`BringUpError::OutsideLimits`] before anything is switched on, or what the bus says. Where one servo cannot be switched on, those before it have
/// torque: take it off.
pub fn set_torque<P: Family, L: Line>(
    bus: &mut Bus<P, L>,
    settings: &ArmSettings,
    on: bool,
) -> Result<(), BringUpError> {
    if !on {
        return release(bus, settings);
    }
    let mappings = settings.mappings::<P>()?;
    let roles = P::ROLES;
    let budget_us = settings.bring_up_us;
    for (joint, mapping) in settings.joints.iter().zip(&mappings) {
        let mut servo = Servo {
            bus,
            joint,
            budget_us,
        };
        let present = servo.get(roles.present_position)?;
        let position_rad = mapping.radians(present);
        let goal = mapping.ticks(position_rad);
        if !((mapping.radians(goal) - position_rad).abs() <= settings.start_tolerance_rad) {
            return Err(BringUpError::OutsideLimits {
                joint: joint.name.clone(),
                position_rad,
            });
        }
        servo.put(roles.goal_position, goal)?;
    }
    for joint in &settings.joints {
        let mut servo = Servo {
            bus,
            joint,
            budget_us,
        };
        let mut switched = servo.keep(roles.torque_enable, 1);
        if let (Ok(()), Some(watchdog)) = (&switched, roles.watchdog) {
            let (_, most) = watchdog.range();
            let steps = (settings.watchdog_s / watchdog.scale).ceil() as i64;
            switched = servo.keep(watchdog, steps.clamp(0, most));
        }
        switched?;
    }
    Ok(())
}

fn release<P: Family, L: Line>(bus: &mut Bus<P, L>, settings: &ArmSettings) -> Result<(), BringUpError> {
    let torque = P::ROLES.torque_enable;
    let ids: heapless::Vec<u8, SERVOS_MAX> = settings
        .joints
        .iter()
        .map(|joint| joint.id)
        .take(SERVOS_MAX)
        .collect();
    let off = [0; SERVOS_MAX];
    // All at once, before anybody is asked whether it has heard: at first without waiting for a line that does not fall silent, then again, since
    // somebody may have spoken meanwhile.
    let mut result = bus
        .sync_write(&ids, torque.address, 1, &off[..ids.len()], HURRY_US)
        .and_then(|()| {
            bus.settle(bus.timing().quiet_us)?;
            bus.sync_write(&ids, torque.address, 1, &off[..ids.len()], settings.bring_up_us)
        })
        .map_err(BringUpError::from);
    for joint in &settings.joints {
        let mut servo = Servo {
            bus,
            joint,
            budget_us: settings.bring_up_us,
        };
        let released = servo.keep(torque, 0);
        let quiet = match P::ROLES.watchdog {
            Some(watchdog) => servo.put(watchdog, 0),
            None => Ok(()),
        };
        result = result.and(released).and(quiet);
    }
    result
}
