//! What an arm of servos says of its motors, in the words of [`robot::device::Motors`].

use robot::device::{Motor, MotorTrouble, Motors, TroubleKind};

use super::health::{Finding, FindingKind, ServoHealth};
use super::{Family, Line, ServoArm};

impl<P: Family, L: Line> ServoArm<P, L> {
    /// What every servo said last, the first finding, and how long the exchanges of the last period took.
    pub fn motors(&self) -> Motors {
        let servos = self.health().servos();
        Motors {
            exchange_us: u32::try_from(self.exchange_us).unwrap_or(u32::MAX),
            joints: servos
                .iter()
                .enumerate()
                .map(|(joint, servo)| motor(servo, self.missed(joint)))
                .take(robot::MAX_JOINTS)
                .collect(),
            trouble: self.health().findings().first().map(trouble),
        }
    }
}

fn motor(servo: &ServoHealth, missed: u32) -> Motor {
    Motor {
        missed,
        voltage_v: servo.voltage_v,
        temperature_c: servo.temperature_c,
        load: servo.load,
        current_a: servo.current_a,
    }
}

fn trouble(finding: &Finding) -> MotorTrouble {
    let (kind, value) = match finding.kind {
        FindingKind::OverTemperature { temperature_c } => (TroubleKind::OverTemperature, temperature_c),
        FindingKind::UnderVoltage { voltage_v } => (TroubleKind::LowVoltage, Some(voltage_v)),
        FindingKind::OverVoltage { voltage_v } => (TroubleKind::HighVoltage, Some(voltage_v)),
        FindingKind::Voltage => (TroubleKind::Voltage, None),
        FindingKind::Overload => (TroubleKind::Overload, None),
        FindingKind::Load { load } => (TroubleKind::Load, Some(load)),
        FindingKind::OverCurrent => (TroubleKind::OverCurrent, None),
        FindingKind::Encoder => (TroubleKind::Encoder, None),
        FindingKind::Watchdog => (TroubleKind::Watchdog, None),
    };
    MotorTrouble {
        joint: finding.joint as u8,
        id: finding.id,
        kind,
        value,
    }
}
