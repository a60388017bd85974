//! Why a servo was not set up.

use crate::servo_bus::{BusError, ValueOutOfRange};

/// Why a servo was not set up. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The bus is at fault.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A number does not fit a register.
    #[error(transparent)]
    Value(#[from] ValueOutOfRange),
    /// No servo of this kind can be given the rate.
    #[error("field `arm.baud`: {baud} bits a second cannot be set in these servos; write one of {known}")]
    Baud {
        /// The rate.
        baud: u32,
        /// Those that can be set.
        known: String,
    },
    /// No servo can have the id.
    #[error("field `arm.servos`: id {id} of {joint} is not one that a servo can have; write 0 to {most}")]
    Id {
        /// The joint.
        joint: String,
        /// The id.
        id: u8,
        /// The greatest.
        most: u8,
    },
    /// Two joints have one id.
    #[error("field `arm.servos`: {} and {} both have id {id}; write another for one of them", .joints[0], .joints[1])]
    SameId {
        /// The id.
        id: u8,
        /// The joints.
        joints: [String; 2],
    },
    /// Nobody new answers.
    #[error("no new servo answers on {line}, at any rate ({}); check the servo's cable, and that it has power", nobody(.done))]
    Nobody {
        /// The line.
        line: String,
        /// The ids of those that are done and answer.
        done: Vec<u8>,
    },
    /// Several answer that are not done.
    #[error("more than one servo answers: {found}; connect one alone")]
    Several {
        /// Them.
        found: String,
    },
    /// Several answer at one id.
    #[error(
        "more than one servo has id {id} ({baud} bits a second), or something disturbs the line; connect one of them alone"
    )]
    Twins {
        /// The id.
        id: u8,
        /// The rate, in bits a second.
        baud: u32,
    },
    /// It is of a model that is not known.
    #[error(
        "servo {id} is of model {model} (firmware {firmware}), which is none of {known}; connect a servo of those"
    )]
    Model {
        /// Its id.
        id: u8,
        /// Its model's number.
        model: u16,
        /// Its firmware.
        firmware: String,
        /// Those that are known.
        known: String,
    },
    /// Its supply is not what it is made for.
    #[error(
        "servo {id} ({model}, firmware {firmware}) has {voltage_v:.1} V and is made for {least_v:.1} to {most_v:.1} V; {}",
        supply(*voltage_v, *most_v)
    )]
    Voltage {
        /// Its id.
        id: u8,
        /// Its model.
        model: String,
        /// Its firmware.
        firmware: String,
        /// What it measures, in volts.
        voltage_v: f32,
        /// The least that it is made for, in volts.
        least_v: f32,
        /// The most that it is made for, in volts.
        most_v: f32,
    },
    /// It has the id of another joint.
    #[error(
        "this servo has id {id}, which is that of {joint}: it seems to be done already; connect the servo of {wanted}, or say that this \
         is it"
    )]
    OtherJoint {
        /// Its id.
        id: u8,
        /// Whose that is.
        joint: String,
        /// Whose servo was asked for.
        wanted: String,
    },
    /// It does not keep what is written.
    #[error(
        "{joint}: the servo does not keep {wanted} in its register `{register}`; take its power away, give it back, and try again"
    )]
    NotKept {
        /// The joint, or the servo.
        joint: String,
        /// The register.
        register: &'static str,
        /// What was written.
        wanted: i64,
    },
    /// The new rate is written and not in force.
    #[error(
        "{joint}: the servo will speak at {baud} bits a second once it has been without power; take its power away, give it back, and \
         try again"
    )]
    PowerCycle {
        /// The joint.
        joint: String,
        /// The rate, in bits a second.
        baud: u32,
    },
    /// Some do not answer.
    #[error("{joints}: no answer; check the cables of the chain")]
    Missing {
        /// Joints and ids.
        joints: String,
    },
}

fn nobody(done: &[u8]) -> String {
    if done.is_empty() {
        return "nobody answers at all".to_owned();
    }
    let ids: Vec<String> = done.iter().map(u8::to_string).collect();
    format!("those that are done answer: {}", ids.join(", "))
}

fn supply(voltage_v: f32, most_v: f32) -> &'static str {
    if voltage_v > most_v {
        "take its power away now, and use a supply of less voltage"
    } else {
        "use a supply of the right voltage"
    }
}
