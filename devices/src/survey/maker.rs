//! What a kind of servo is as it comes from its maker.

use crate::servo_bus::{Family, Register};

/// A kind of servo, with the registers and numbers that matter before it belongs to an arm.
pub trait Maker: Family {
    /// The register that says the rate of the bus.
    const BAUD: Register;
    /// Rates in bits a second that can be set, with the number that the register then holds. The likeliest come first.
    const BAUD_CODES: &'static [(u32, u8)];
    /// Further rates at which a servo may be found, and that are not set here.
    const OTHER_BAUDS: &'static [u32];
    /// The numbers of the firmware's version, the most significant first.
    const FIRMWARE: &'static [Register];
    /// Supply below which it complains.
    const MIN_VOLTAGE: Register;
    /// Supply above which it complains.
    const MAX_VOLTAGE: Register;
    /// Temperature at which it lets go.
    const MAX_TEMPERATURE: Register;
    /// The most torque that it keeps without power, where it has such a register.
    const MAX_TORQUE: Option<Register>;
    /// The id that a new servo has.
    const DELIVERED_ID: u8;
    /// The rate that a new servo has, in bits a second.
    const DELIVERED_BAUD: u32;

    /// All rates at which a servo may be found, `first` before the others.
    fn bauds(first: u32) -> Vec<u32> {
        let known = Self::BAUD_CODES.iter().map(|(baud, _)| *baud);
        let others = known.chain(Self::OTHER_BAUDS.iter().copied());
        std::iter::once(first)
            .chain(others.filter(|baud| *baud != first))
            .collect()
    }

    /// The number that the rate register holds for `baud` bits a second.
    fn baud_code(baud: u32) -> Option<u8> {
        let found = Self::BAUD_CODES.iter().find(|(known, _)| *known == baud);
        found.map(|(_, code)| *code)
    }

    /// The name of a model that is known.
    fn model_name(model: u16) -> Option<&'static str> {
        let found = Self::MODELS.iter().find(|(known, _)| *known == model);
        found.map(|(_, name)| *name)
    }
}
