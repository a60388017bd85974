//! What the camera examples have in common: controls of a driver that are set while pictures are taken, words, and figures.

use std::path::Path;

use devices::webcam::abi::{Control, QueryControl, text};
use devices::webcam::kernel::{Call, System};
use devices::webcam::{Format, Linux, identity};

/// Flag that asks for the control after the one given.
const NEXT_CONTROL: u32 = 0x8000_0000;

/// Whatever went wrong.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// A control to set while pictures are taken.
pub(crate) struct Change {
    pub(crate) at_s: f64,
    pub(crate) name: String,
    pub(crate) value: i32,
}

/// `SECONDS,NAME,VALUE`.
pub(crate) fn change(text: &str) -> Result<Change, Failure> {
    let parts: Vec<&str> = text.split(',').collect();
    let [at_s, name, value] = parts[..] else {
        return Err("--set SECONDS,NAME,VALUE".into());
    };
    Ok(Change {
        at_s: at_s.parse()?,
        name: name.to_owned(),
        value: value.parse()?,
    })
}

/// A format by its name.
pub(crate) fn format_of(word: &str) -> Result<Format, Failure> {
    match word {
        "mjpeg" => Ok(Format::Mjpeg),
        "yuyv" => Ok(Format::Yuyv),
        "nv12" => Ok(Format::Nv12),
        "rgb" => Ok(Format::Rgb),
        _ => Err(format!("no format {word}: mjpeg, yuyv, nv12 or rgb").into()),
    }
}

/// Sets a control by a descriptor of its own, which is closed again at once.
pub(crate) fn set(device: &str, change: &Change) -> Result<(), Failure> {
    let mut system = Linux;
    let camera = identity::find(device, &system.cameras())?;
    let mut kernel = system.open(Path::new(&camera.node))?;
    let mut about = QueryControl {
        id: NEXT_CONTROL,
        ..QueryControl::default()
    };
    while kernel.call(Call::QueryControl(&mut about)).is_ok() {
        if text(&about.name) == change.name {
            let (id, value) = (about.id, change.value);
            return Ok(kernel.call(Call::SetControl(&mut Control { id, value }))?);
        }
        about.id |= NEXT_CONTROL;
    }
    Err("no such control".into())
}

/// Median and greatest.
pub(crate) fn summary(ages_ms: &mut [f64]) -> (f64, f64) {
    ages_ms.sort_by(f64::total_cmp);
    let middle = ages_ms.get(ages_ms.len() / 2).copied().unwrap_or(f64::NAN);
    (middle, ages_ms.last().copied().unwrap_or(f64::NAN))
}
