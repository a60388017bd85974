//! The emergency stop of an arm of which nothing is known but its port.
//!
//! Every kind of arm is told to let go, one after the other, before any is asked whether it has: bytes of one kind are noise to the others.

use std::path::Path;
use std::time::Duration;

use robot::device::e_stop::press_until_confirmed;
use robot::device::{DeviceError, EStopLine as _, LinkError, Stopped};

use crate::dynamixel::Dynamixel;
use crate::feetech::Feetech;
use crate::link::WireEStop;
use crate::serial::SerialStream;
use crate::servo_bus::{BROADCAST_ID, Bus, BusError, Family, Line, Timing};
use crate::survey::sweep;

/// Rate of a port of which none is named, in bits a second: that of all arms as they are delivered.
pub const BAUD: u32 = 1_000_000;

/// How long a board with our firmware may take to answer.
const BOARD: Duration = Duration::from_millis(500);

/// How long one exchange with a servo may take, in microseconds.
const EXCHANGE_US: u64 = 20_000;

/// How long a servo may take to begin its answer, in microseconds: an adapter can keep bytes for 16 ms.
const TURNAROUND_US: u64 = 18_000;

/// Ids that are asked whether they have let go. All ids were told.
const IDS: std::ops::RangeInclusive<u8> = 1..=30;

/// How often the order is repeated: no servo answers a broadcast.
const TOLD: usize = 3;

/// What has confirmed that its torque is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    /// How lasting that is.
    pub stopped: Stopped,
    /// Ids of the servos that said so; none for a board.
    pub servos: Vec<u8>,
}

/// Takes torque off whatever is at `port`: a board with our firmware, or servos of Feetech or Dynamixel. `named` are the ids of servos
/// that are known to be there.
///
/// # Errors
/// [`DeviceError`] unless the board, or at least one servo, every servo that answers, and every servo that is `named` confirms it.
pub fn let_go(port: &Path, baud: u32, named: &[u8]) -> Result<LetGo, DeviceError> {
    let name = port.display().to_string();
    let open = || SerialStream::open(&name, baud);
    let failed = |error: BusError| DeviceError::new(format!("{name}: {error}"));
    let mut board = WireEStop::new(open()?, BOARD);
    board.press(Duration::ZERO)?;
    let mut feetech = Bus::<Feetech, _>::new(board.into_stream(), timing(baud));
    tell(&mut feetech).map_err(failed)?;
    let mut dynamixel = Bus::<Dynamixel, _>::new(feetech.into_line(), timing(baud));
    tell(&mut dynamixel).map_err(failed)?;
    let mut board = WireEStop::new(dynamixel.into_line(), BOARD);
    match press_until_confirmed(&mut board, None) {
        Err(LinkError::EStopUnconfirmed { .. }) => {}
        result => {
            return Ok(LetGo {
                stopped: result?,
                servos: Vec::new(),
            });
        }
    }
    let mut feetech = Bus::<Feetech, _>::new(board.into_stream(), timing(baud));
    let mut answers = confirm(&mut feetech, named).map_err(failed)?;
    if answers.is_empty() {
        let mut dynamixel = Bus::<Dynamixel, _>::new(feetech.into_line(), timing(baud));
        answers = confirm(&mut dynamixel, named).map_err(failed)?;
    }
    if answers.is_empty() {
        return Err(DeviceError::new(format!(
            "{name}: nothing answers at {baud} bits a second, neither a board with our firmware nor a servo of ids {} to {}; check the \
             port, and give --baud",
            IDS.start(),
            IDS.end()
        )));
    }
    let silent = named
        .iter()
        .filter(|id| !answers.iter().any(|(answered, _)| answered == *id));
    let on = answers.iter().filter(|(_, off)| !off).map(|(id, _)| id);
    let missing: Vec<String> = on.chain(silent).map(u8::to_string).collect();
    if missing.is_empty() {
        Ok(LetGo {
            stopped: Stopped::LetGo,
            servos: answers.iter().map(|(id, _)| *id).collect(),
        })
    } else {
        Err(DeviceError::new(format!(
            "{name}: servos {} do not confirm that their torque is off",
            missing.join(", ")
        )))
    }
}

fn timing(baud: u32) -> Timing {
    Timing {
        baud,
        turnaround_us: TURNAROUND_US,
        ..Timing::default()
    }
}

/// Tells all servos of this family to let go.
fn tell<F: Family, L: Line>(bus: &mut Bus<F, L>) -> Result<(), BusError> {
    for _ in 0..TOLD {
        bus.write(BROADCAST_ID, F::ROLES.torque_enable.address, &[0], EXCHANGE_US)?;
    }
    Ok(())
}

/// Tells those that answer once more, one by one, and asks them. Ids, and whether torque is off.
fn confirm<F: Family, L: Line>(bus: &mut Bus<F, L>, named: &[u8]) -> Result<Vec<(u8, bool)>, BusError> {
    let torque = F::ROLES.torque_enable.address;
    let mut answers = Vec::new();
    let mut found: Vec<u8> = sweep(bus, IDS, TURNAROUND_US)?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    for id in named.iter().filter(|id| !IDS.contains(id)) {
        found.extend(
            sweep(bus, *id..=*id, TURNAROUND_US)?
                .into_iter()
                .map(|(id, _)| id),
        );
    }
    for id in found {
        // One that refuses is asked all the same.
        let _ = bus.write(id, torque, &[0], EXCHANGE_US);
        let mut enabled = [1];
        let answered = bus.try_read(id, torque, &mut enabled, EXCHANGE_US)?;
        answers.push((id, answered.is_some() && enabled == [0]));
    }
    Ok(answers)
}
