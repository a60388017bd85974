//! Exposure, white balance, focus and gain by name.

use nix::errno::Errno;

use super::WebcamError;
use super::abi::{CONTROL_DISABLED, CONTROL_READ_ONLY, Control, QueryControl, text};
use super::kernel::{Call, Kernel};
use super::settings::{Lock, Settings};

/// A thing that cameras decide by themselves: the control that makes them, and the one that takes a value.
struct Pair {
    field: &'static str,
    automatic: u32,
    /// Values of `automatic` for yes (the first that the camera takes) and no.
    yes: &'static [i32],
    no: i32,
    value: u32,
    /// The robot file's units in one of the control's.
    unit: i32,
}

/// From `linux/v4l2-controls.h`: user controls begin at 0x980900, those of cameras at 0x9a0900.
const PAIRS: [Pair; 4] = [
    Pair {
        field: "exposure_us",
        automatic: 0x9a_0901,
        // Aperture priority, which webcams have; automatic.
        yes: &[3, 0],
        no: 1,
        value: 0x9a_0902,
        unit: 100,
    },
    Pair {
        field: "white_balance_k",
        automatic: 0x98_090c,
        yes: &[1],
        no: 0,
        value: 0x98_091a,
        unit: 1,
    },
    Pair {
        field: "focus",
        automatic: 0x9a_090c,
        yes: &[1],
        no: 0,
        value: 0x9a_090a,
        unit: 1,
    },
    Pair {
        field: "gain",
        automatic: 0x98_0912,
        yes: &[1],
        no: 0,
        value: 0x98_0913,
        unit: 1,
    },
];

/// `V4L2_CID_EXPOSURE_AUTO_PRIORITY`: whether the camera may slow down to expose for longer.
const MAY_SLOW_DOWN: u32 = 0x9a_0903;

/// Sets what the settings ask for, and reads it back. What the camera does otherwise is told in `notes`.
///
/// # Errors
/// [`WebcamError::Setting`] if a value was asked for that the camera cannot take.
pub(super) fn apply(
    kernel: &mut dyn Kernel,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<(), WebcamError> {
    let locks = [
        settings.exposure_us,
        settings.white_balance_k,
        settings.focus,
        settings.gain,
    ];
    for (pair, lock) in PAIRS.iter().zip(locks) {
        match lock {
            Lock::Leave => {}
            Lock::Auto => {
                if !pair
                    .yes
                    .iter()
                    .any(|yes| set(kernel, pair.automatic, *yes).is_ok())
                {
                    notes.push(format!("{}: the camera cannot choose it by itself", pair.field));
                }
            }
            Lock::Hold => {
                if set(kernel, pair.automatic, pair.no).is_err() {
                    notes.push(format!("{}: the camera has nothing to hold it by", pair.field));
                }
            }
            Lock::Value(value) => lock_to(kernel, pair, value, notes)?,
        }
    }
    if matches!(settings.exposure_us, Lock::Value(_) | Lock::Hold) {
        // Most cameras lack it; nothing is lost then.
        let _ = set(kernel, MAY_SLOW_DOWN, 0);
    }
    Ok(())
}

fn lock_to(
    kernel: &mut dyn Kernel,
    pair: &Pair,
    asked: i32,
    notes: &mut Vec<String>,
) -> Result<(), WebcamError> {
    let refused = |problem: String, remedy: String| WebcamError::Setting {
        field: pair.field,
        problem,
        remedy,
    };
    let leave = "leave it out, or choose another camera".to_owned();
    let mut about = QueryControl {
        id: pair.value,
        ..QueryControl::default()
    };
    let known = kernel.call(Call::QueryControl(&mut about)).is_ok();
    if !known || about.flags & (CONTROL_DISABLED | CONTROL_READ_ONLY) != 0 {
        return Err(refused("the camera has no such control".to_owned(), leave));
    }
    let (low, high) = (
        about.minimum.saturating_mul(pair.unit),
        about.maximum.saturating_mul(pair.unit),
    );
    if !(low..=high).contains(&asked) {
        return Err(refused(
            format!(
                "{asked} is beyond what the camera takes for {:?}",
                text(&about.name)
            ),
            format!("write {low} to {high}"),
        ));
    }
    // Some cameras have a value and nothing that chooses it by itself.
    let _ = set(kernel, pair.automatic, pair.no);
    set(kernel, pair.value, asked / pair.unit)
        .map_err(|error| refused(format!("the camera refused {asked} ({})", error.desc()), leave))?;
    let mut now = Control {
        id: pair.value,
        value: 0,
    };
    match kernel.call(Call::GetControl(&mut now)) {
        Ok(()) if now.value == asked / pair.unit => {}
        Ok(()) => notes.push(format!(
            "{}: the camera took {} instead of {asked}",
            pair.field,
            now.value.saturating_mul(pair.unit)
        )),
        Err(error) => notes.push(format!("{}: cannot be read back ({})", pair.field, error.desc())),
    }
    Ok(())
}

fn set(kernel: &mut dyn Kernel, id: u32, value: i32) -> Result<(), Errno> {
    kernel.call(Call::SetControl(&mut Control { id, value }))
}
