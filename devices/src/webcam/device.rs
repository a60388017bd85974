//! Coming to terms with a camera: format, size, rate and controls, asked for, and read back.

use std::path::Path;

use nix::errno::Errno;

use super::WebcamError;
use super::abi::{
    CAP_DEVICE_CAPS, CAP_STREAMING, CAP_TIME_PER_FRAME, CAP_VIDEO_CAPTURE, CAPTURE, Capability, DISCRETE,
    FIELD_ANY, Format, FormatDescription, FrameInterval, FrameSize, StreamParameters, letters, text,
};
use super::controls;
use super::kernel::{Call, Kernel};
use super::settings::Settings;

/// Most formats, sizes or rates that are asked after: a driver that never says EINVAL must not hold us.
const LISTED_MAX: u32 = 100;

/// What a camera and its driver agreed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreed {
    /// What the driver calls the camera.
    pub card: String,
    /// The driver's name.
    pub driver: String,
    /// The format.
    pub format: super::settings::Format,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes a row, which may be more than its pixels need. For NV12, of the plane of Y.
    pub bytes_per_line: u32,
    /// Largest picture, in bytes.
    pub bytes_max: u32,
    /// Pictures a second.
    pub rate_hz: f64,
    /// What is otherwise than asked for, for a person.
    pub notes: Vec<String>,
}

/// One format and size that a camera offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The format as a robot file has it, or its four letters if it is none that can be read here.
    pub format: String,
    /// Whether it can be read here.
    pub readable: bool,
    /// Pixels a row, rows.
    pub size: (u32, u32),
    /// Pictures a second, in the driver's order; empty if it does not list them.
    pub rates_hz: Vec<f64>,
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}x{}", self.format, self.size.0, self.size.1)?;
        for (i, rate) in self.rates_hz.iter().enumerate() {
            write!(f, "{}{rate:.3}", if i == 0 { " at " } else { ", " })?;
        }
        Ok(())
    }
}

/// Checks that `kernel` is a camera.
///
/// # Errors
/// [`WebcamError::NoCamera`], [`WebcamError::Kernel`].
pub fn capability(kernel: &mut dyn Kernel, node: &Path) -> Result<Capability, WebcamError> {
    let mut about = Capability::default();
    kernel
        .call(Call::QueryCapability(&mut about))
        .map_err(|error| match error {
            Errno::ENOTTY | Errno::EINVAL => WebcamError::NoCamera {
                node: node.to_owned(),
            },
            _ => WebcamError::kernel("asking who it is", error),
        })?;
    let can = match about.capabilities & CAP_DEVICE_CAPS {
        0 => about.capabilities,
        _ => about.device_caps,
    };
    if can & CAP_VIDEO_CAPTURE == 0 || can & CAP_STREAMING == 0 {
        return Err(WebcamError::NoCamera {
            node: node.to_owned(),
        });
    }
    Ok(about)
}

/// Everything that the camera offers.
pub fn offers(kernel: &mut dyn Kernel) -> Vec<Offer> {
    let mut offers = Vec::new();
    for index in 0..LISTED_MAX {
        let mut format = FormatDescription {
            index,
            kind: CAPTURE,
            ..FormatDescription::default()
        };
        if kernel.call(Call::EnumerateFormat(&mut format)).is_err() {
            break;
        }
        for index in 0..LISTED_MAX {
            let mut size = FrameSize {
                index,
                pixel_format: format.pixel_format,
                ..FrameSize::default()
            };
            if kernel.call(Call::EnumerateSize(&mut size)).is_err() {
                break;
            }
            let [a, b, _, _, tallest, _] = size.size;
            let discrete = size.kind == DISCRETE;
            let size = if discrete { (a, b) } else { (b, tallest) };
            offers.push(Offer {
                format: name(format.pixel_format),
                readable: super::Format::of_code(format.pixel_format).is_some(),
                size,
                rates_hz: rates_hz(kernel, format.pixel_format, size),
            });
            if !discrete {
                // A range: its largest stands for all.
                break;
            }
        }
    }
    offers
}

fn name(code: u32) -> String {
    super::Format::of_code(code).map_or_else(|| letters(code), |format| format.name().to_owned())
}

fn rates_hz(kernel: &mut dyn Kernel, pixel_format: u32, (width, height): (u32, u32)) -> Vec<f64> {
    let mut rates = Vec::new();
    for index in 0..LISTED_MAX {
        let mut interval = FrameInterval {
            index,
            pixel_format,
            width,
            height,
            ..FrameInterval::default()
        };
        if kernel.call(Call::EnumerateInterval(&mut interval)).is_err() {
            break;
        }
        let [numerator, denominator, ..] = interval.interval;
        rates.push(f64::from(denominator) / f64::from(numerator.max(1)));
        if interval.kind != DISCRETE {
            break;
        }
    }
    rates
}

/// Sets format, size, rate and controls.
///
/// # Errors
/// [`WebcamError::Chose`] if the driver chose another format or size, which a picture table cannot do with;
/// [`WebcamError::Setting`], [`WebcamError::NoCamera`], [`WebcamError::Kernel`]. Another rate is a note.
pub fn negotiate(kernel: &mut dyn Kernel, node: &Path, settings: &Settings) -> Result<Agreed, WebcamError> {
    let about = capability(kernel, node)?;
    let format = set_format(kernel, settings)?;
    let mut agreed = Agreed {
        card: text(&about.card),
        driver: text(&about.driver),
        format: settings.format,
        width: format.width,
        height: format.height,
        bytes_per_line: format.bytes_per_line,
        bytes_max: format.size_image,
        rate_hz: settings.rate_hz,
        notes: Vec::new(),
    };
    agreed.rate_hz = set_rate(kernel, settings, &mut agreed.notes);
    controls::apply(kernel, settings, &mut agreed.notes)?;
    Ok(agreed)
}

fn set_format(kernel: &mut dyn Kernel, settings: &Settings) -> Result<Format, WebcamError> {
    let mut chosen = Format::default();
    for code in settings.format.codes() {
        chosen = Format {
            kind: CAPTURE,
            width: settings.width,
            height: settings.height,
            pixel_format: *code,
            field: FIELD_ANY,
            ..Format::default()
        };
        kernel
            .call(Call::SetFormat(&mut chosen))
            .map_err(|error| WebcamError::kernel("setting format and size", error))?;
        if chosen.pixel_format == *code {
            break;
        }
    }
    let mut offers = || {
        let mut offers = offers(kernel);
        offers.retain(|offer| offer.readable);
        let lines: Vec<String> = offers.iter().map(Offer::to_string).collect();
        lines.join("; ")
    };
    if !settings.format.codes().contains(&chosen.pixel_format) {
        return Err(WebcamError::Chose {
            field: "format",
            asked: settings.format.name().to_owned(),
            chose: name(chosen.pixel_format),
            offers: offers(),
        });
    }
    if (chosen.width, chosen.height) != (settings.width, settings.height) {
        return Err(WebcamError::Chose {
            field: "width, height",
            asked: format!("{}, {}", settings.width, settings.height),
            chose: format!("{}, {}", chosen.width, chosen.height),
            offers: offers(),
        });
    }
    Ok(chosen)
}

/// The rate in force, in pictures a second.
fn set_rate(kernel: &mut dyn Kernel, settings: &Settings, notes: &mut Vec<String>) -> f64 {
    let mut parameters = StreamParameters {
        kind: CAPTURE,
        // Thousandths: 29.97 Hz is a rate, too.
        time_per_frame: [1_000, (settings.rate_hz * 1_000.0).round() as u32],
        ..StreamParameters::default()
    };
    let result = kernel.call(Call::SetParameters(&mut parameters));
    if result.is_err() || parameters.capability & CAP_TIME_PER_FRAME == 0 {
        parameters = StreamParameters {
            kind: CAPTURE,
            ..StreamParameters::default()
        };
        let _ = kernel.call(Call::GetParameters(&mut parameters));
    }
    let [numerator, denominator] = parameters.time_per_frame;
    if numerator == 0 || denominator == 0 {
        notes.push("rate_hz: the camera does not say at what rate it delivers".to_owned());
        return settings.rate_hz;
    }
    let rate_hz = f64::from(denominator) / f64::from(numerator);
    if (rate_hz - settings.rate_hz).abs() > 0.01 * settings.rate_hz {
        notes.push(format!(
            "rate_hz: the camera delivers {rate_hz:.2} instead of {} pictures a second at this size and format",
            settings.rate_hz
        ));
    }
    rate_hz
}
