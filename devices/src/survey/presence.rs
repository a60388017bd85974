//! Who answers.

use std::collections::BTreeSet;

use crate::servo_bus::{Bus, BusError, Line, Protocol};

/// How often an id is asked before it is believed that nobody, or more than one, answers.
const ASKED: usize = 3;

/// Silence after which nobody is late any more, in microseconds.
const SETTLE_US: u64 = 10_000;

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

/// Those of `ids` at which somebody answers, sorted. Each is asked once and given `quick_us` microseconds to begin its answer; where
/// something is heard, also of a servo that is late, it is asked again with the patience of the bus.
///
/// # Errors
/// A line error.
pub fn sweep<P: Protocol, L: Line>(
    bus: &mut Bus<P, L>,
    ids: impl IntoIterator<Item = u8>,
    quick_us: u64,
) -> Result<Vec<(u8, Presence)>, BusError> {
    let ids: BTreeSet<u8> = ids.into_iter().collect();
    let patient_us = bus.set_turnaround_us(quick_us);
    let heard = quick_pass(bus, &ids);
    bus.set_turnaround_us(patient_us);
    // Those that are late are heard out before anybody is asked again.
    bus.settle(SETTLE_US)?;
    let mut found = Vec::new();
    for id in heard? {
        match presence(bus, id)? {
            // A spike of the line.
            Presence::Absent => {}
            there => found.push((id, there)),
        }
    }
    Ok(found)
}

fn quick_pass<P: Protocol, L: Line>(
    bus: &mut Bus<P, L>,
    ids: &BTreeSet<u8>,
) -> Result<BTreeSet<u8>, BusError> {
    let mut heard = BTreeSet::new();
    for id in ids {
        let budget_us = budget_us(bus);
        let (count, spoilt) = bus.count_answers_and_others(*id, budget_us, |late| {
            if ids.contains(&late) {
                heard.insert(late);
            }
        })?;
        if count > 0 || spoilt {
            heard.insert(*id);
        }
    }
    Ok(heard)
}

fn ask<P: Protocol, L: Line>(bus: &mut Bus<P, L>, id: u8) -> Result<Presence, BusError> {
    let budget_us = budget_us(bus);
    Ok(match bus.count_answers(id, budget_us)? {
        (0, false) => Presence::Absent,
        (1, false) => Presence::One,
        _ => Presence::Several,
    })
}

fn budget_us<P: Protocol, L: Line>(bus: &Bus<P, L>) -> u64 {
    10 * bus.timing().quiet_us + answer_us(bus)
}

/// How long one question and its answer may take, in microseconds.
pub(crate) fn answer_us<P: Protocol, L: Line>(bus: &Bus<P, L>) -> u64 {
    let bytes = 3 * P::answer_bytes_max(8);
    bus.timing().turnaround_us + bus.wire_us(bytes) + bus.timing().gap_us
}
