//! `armillary calibrate workspace`: the box that the tip must not leave, by places at its ends that a person leads the tip to by hand.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use calibration::Verdict;
use robot::Config;
use robot::config::edit;

use super::Person;

/// Places that are needed at least: a box has three pairs of sides.
const PLACES_MIN: usize = 4;

/// A box that is thinner than this is none that an arm can move in, in metres.
const SIDE_MIN_M: f64 = 0.02;

/// Beyond this no arm on a table reaches, in metres.
const REACH_MAX_M: f64 = 3.0;

/// A box, by the places that were touched.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Where the tip was, in the arm's base, in metres.
    pub places_m: Vec<[f64; 3]>,
    /// The corner with the least coordinates, in metres.
    pub min_m: [f64; 3],
    /// The corner with the greatest.
    pub max_m: [f64; 3],
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// Leads a person who holds the tip at the ends of the box, one after the other. `read` gives the joints' angles in radians, base first.
///
/// # Errors
/// A servo that falls silent, and a person who ends it.
pub fn guide(
    person: &mut dyn Person,
    config: &Config,
    read: &mut dyn FnMut() -> anyhow::Result<Vec<f64>>,
) -> anyhow::Result<Measured> {
    let mut places_m = Vec::new();
    loop {
        let answer = person.ask(&format!(
            "[{} places] Hold the tip at an end of the box, lowest, highest, nearest, farthest, left or right, and press Enter [d: done, q: end]: ",
            places_m.len()
        ))?;
        match answer.as_str() {
            "q" => bail!("ended; nothing was written"),
            "d" => return Ok(solve(&places_m)),
            _ => {}
        }
        let angles: Vec<f32> = read()?.iter().map(|angle| *angle as f32).collect();
        let tip = config.envelope.chain().tip_m(&angles);
        let place = [tip.x, tip.y, tip.z].map(f64::from);
        person.tell(&format!(
            "the tip is at {:.3}, {:.3}, {:.3} m in the arm's base",
            place[0], place[1], place[2]
        ));
        places_m.push(place);
    }
}

/// The smallest box that holds all places.
pub fn solve(places_m: &[[f64; 3]]) -> Measured {
    let end = |pick: fn(f64, f64) -> f64, from: f64| {
        [0, 1, 2].map(|axis| places_m.iter().map(|place| place[axis]).fold(from, pick))
    };
    let mut measured = Measured {
        places_m: places_m.to_vec(),
        min_m: end(f64::min, f64::INFINITY),
        max_m: end(f64::max, f64::NEG_INFINITY),
        verdict: Verdict::Good,
    };
    measured.verdict = measured.judge();
    measured
}

impl Measured {
    fn judge(&self) -> Verdict {
        let count = self.places_m.len();
        if count < PLACES_MIN {
            return Verdict::DoItAgain(format!(
                "{count} places, and {PLACES_MIN} are needed at least: hold the tip at the ends of the box, one after the other"
            ));
        }
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            let side_m = self.max_m[axis] - self.min_m[axis];
            if !(side_m >= SIDE_MIN_M) {
                return Verdict::DoItAgain(format!(
                    "the box is {:.0} mm long in {name}, and {:.0} mm are needed at least: hold the tip at both of its ends there",
                    side_m * 1e3,
                    SIDE_MIN_M * 1e3
                ));
            }
            if self.min_m[axis] < -REACH_MAX_M || self.max_m[axis] > REACH_MAX_M {
                return Verdict::DoItAgain(format!(
                    "the tip was {REACH_MAX_M} m away in {name}: are `links` of the robot file in metres, and the joints calibrated?"
                ));
            }
        }
        Verdict::Good
    }

    /// What was found, in words.
    pub fn line(&self) -> String {
        let side = |axis: usize| format!("{:.3} to {:.3}", self.min_m[axis], self.max_m[axis]);
        format!("x {}, y {}, z {} m: {}", side(0), side(1), side(2), self.verdict)
    }
}

/// Writes the box into the robot file at `path`. What is written, as the file has it.
///
/// # Errors
/// A box that must not be used, or that does not hold the tip at home, and a file that cannot be written.
pub fn keep(path: &Path, config: &Config, measured: &Measured) -> anyhow::Result<String> {
    if !measured.verdict.is_accepted() {
        bail!("{}; nothing was written", measured.verdict);
    }
    let home = config
        .envelope
        .chain()
        .tip_m(&config.envelope.home().position_rad);
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        let at = f64::from(home[axis]);
        if !(measured.min_m[axis]..=measured.max_m[axis]).contains(&at) {
            bail!(
                "{}: the tip at `home_rad` is at {name} = {at:.3} m, outside of the box from {:.3} to {:.3} m: hold the tip farther out there, or choose \
                 another `home_rad`; nothing was written",
                path.display(),
                measured.min_m[axis],
                measured.max_m[axis]
            );
        }
    }
    let corner = |corner: &[f64; 3]| format!("({:.3}, {:.3}, {:.3})", corner[0], corner[1], corner[2]);
    // Rounded inwards to millimetres.
    let inwards = |round: fn(f64) -> f64, corner: [f64; 3]| corner.map(|metres| round(metres * 1e3) / 1e3);
    let value = format!(
        "(min: {}, max: {})",
        corner(&inwards(f64::ceil, measured.min_m)),
        corner(&inwards(f64::floor, measured.max_m))
    );
    let text = robot::config::read(path)?;
    let text = edit::with_field(&text, &["workspace_m"], &value).with_context(|| {
        format!(
            "{}: this program cannot change the file; write `workspace_m: {value}` into it",
            path.display()
        )
    })?;
    Config::parse(path, text.clone())?;
    files::replace(path, text.as_bytes())?;
    Ok(format!("workspace_m: {value}"))
}

/// The box and the places, seen from above and from the side, as an SVG.
pub fn draw(measured: &Measured) -> String {
    const SIZE: f64 = 400.0;
    let (low, high) = measured
        .places_m
        .iter()
        .flatten()
        .fold((0.0_f64, 0.0_f64), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let scale = (SIZE - 60.0) / (high - low).max(1e-3);
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {SIZE}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>"##,
        2.0 * SIZE
    );
    for (left, title, across, up) in [
        (0.0, "from above: x right, y up, in m", 0, 1),
        (SIZE, "from the side: x right, z up, in m", 0, 2),
    ] {
        let x = |value: f64| left + 30.0 + (value - low) * scale;
        let y = |value: f64| SIZE - 30.0 - (value - low) * scale;
        let (min, max) = (&measured.min_m, &measured.max_m);
        let _ = write!(
            svg,
            r##"<text x="{}" y="16">{title}</text><rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="#0072b2" opacity="0.2"/><circle cx="{:.1}" cy="{:.1}" r="5" fill="#777777"/>"##,
            left + 10.0,
            x(min[across]),
            y(max[up]),
            (max[across] - min[across]).max(0.0) * scale,
            (max[up] - min[up]).max(0.0) * scale,
            x(0.0),
            y(0.0)
        );
        for place in &measured.places_m {
            let _ = write!(
                svg,
                r##"<circle cx="{:.1}" cy="{:.1}" r="3" fill="#e69f00"/>"##,
                x(place[across]),
                y(place[up])
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
