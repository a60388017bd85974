//! Who answers.

use crate::servo_bus::{Bus, BusError, Line, Protocol};

/// How often an id is asked before it is believed that nobody, or more than one, answers.
const ASKED: usize = 3;

/// Who answers at an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nobody.
    Absent,
    /// One servo.
    One,
    /// More than one, or something that spoils what one says.
    Several,
}

/// Who answers at `id`. Nobody is written to.
///
/// # Errors
/// A line error.
pub fn presence<P: Protocol, L: Line>(bus: &mut Bus<P, L>, id: u8) -> Result<Presence, BusError> {
    let mut last = Presence::Absent;
    for _ in 0..ASKED {
        last = ask(bus, id)?;
        if last == Presence::One {
            break;
        }
    }
    Ok(last)
}

/// Those of `ids` at which somebody answers. An id at which nothing is heard is asked once only.
///
/// # Errors
/// A line error.
pub fn sweep<P: Protocol, L: Line>(
    bus: &mut Bus<P, L>,
    ids: impl IntoIterator<Item = u8>,
) -> Result<Vec<(u8, Presence)>, BusError> {
    let mut found = Vec::new();
    for id in ids {
        if ask(bus, id)? == Presence::Absent {
            continue;
        }
        match presence(bus, id)? {
            // A spike of the line.
            Presence::Absent => {}
            there => found.push((id, there)),
        }
    }
    Ok(found)
}

fn ask<P: Protocol, L: Line>(bus: &mut Bus<P, L>, id: u8) -> Result<Presence, BusError> {
    let budget_us = 10 * bus.timing().quiet_us + answer_us(bus);
    Ok(match bus.count_answers(id, budget_us)? {
        (0, false) => Presence::Absent,
        (1, false) => Presence::One,
        _ => Presence::Several,
    })
}

/// How long one question and its answer may take, in microseconds.
pub(crate) fn answer_us<P: Protocol, L: Line>(bus: &Bus<P, L>) -> u64 {
    let bytes = 3 * P::answer_bytes_max(8);
    bus.timing().turnaround_us + bus.wire_us(bytes) + bus.timing().gap_us
}
