//! The picture of a measurement of delays.

use std::fmt::Write as _;

use super::Measured;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 44.0;

/// Colours that are told apart also by those who confuse red and green.
const BLUE: &str = "#0072b2";
const ORANGE: &str = "#e69f00";
const GREY: &str = "#777777";

/// Axes and what is drawn between them.
struct Chart {
    top: f64,
    x: (f64, f64),
    y: (f64, f64),
    svg: String,
}

impl Chart {
    fn new(top: f64, title: &str, x: (f64, f64), y: (f64, f64), label: &str) -> Self {
        let mut chart = Self {
            top,
            x,
            y: if y.0 < y.1 { y } else { (y.0 - 0.5, y.0 + 0.5) },
            svg: String::new(),
        };
        let bottom = top + HEIGHT - MARGIN;
        let _ = write!(
            chart.svg,
            r##"<text x="{MARGIN}" y="{}" font-weight="bold">{title}</text><path d="M{MARGIN} {bottom}H{}" stroke="{GREY}"/>"##,
            top + 14.0,
            WIDTH - 10.0
        );
        for mark in 0..=5 {
            let value = x.0 + (x.1 - x.0) * f64::from(mark) / 5.0;
            let _ = write!(
                chart.svg,
                r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="{GREY}">{value:.2}</text>"##,
                chart.across(value),
                bottom + 16.0
            );
        }
        let _ = write!(
            chart.svg,
            r##"<text x="{:.1}" y="{:.1}" text-anchor="end" fill="{GREY}">{label}</text>"##,
            WIDTH - 10.0,
            bottom + 32.0
        );
        chart
    }

    fn across(&self, value: f64) -> f64 {
        MARGIN + (value - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - MARGIN - 10.0)
    }

    fn up(&self, value: f64) -> f64 {
        let height = HEIGHT - MARGIN - 24.0;
        self.top + 24.0 + (1.0 - (value - self.y.0) / (self.y.1 - self.y.0)) * height
    }

    fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, colour: &str, name: (&str, f64)) {
        let mut path = String::new();
        for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let begin = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{begin}{:.1} {:.1}", self.across(x), self.up(y));
        }
        let (name, left) = name;
        let _ = write!(
            self.svg,
            r##"<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/><text x="{left}" y="{}" fill="{colour}">{name}</text>"##,
            self.top + 14.0
        );
    }
}

/// The measurement as an SVG: what each delay explains, and joint, command and pictures over time, the pictures put back by their delay.
pub fn draw(measured: &Measured) -> String {
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>"##,
        2.0 * HEIGHT
    );
    let delay = &measured.pictures;
    let tried = &delay.tried;
    if let (Some((first, _)), Some((last, _))) = (tried.first(), tried.last()) {
        let best = tried.iter().map(|(_, share)| *share).fold(0.0, f64::max);
        let title = "share of the pictures' change that is explained";
        let mut chart = Chart::new(
            0.0,
            title,
            (*first, *last),
            (0.0, best),
            "delay of the pictures in s",
        );
        let (low, high) = (
            chart.across(delay.delay_s - delay.interval_s),
            chart.across(delay.delay_s + delay.interval_s),
        );
        let _ = write!(
            chart.svg,
            r##"<rect x="{low:.1}" y="24" width="{:.1}" height="{:.1}" fill="{ORANGE}" opacity="0.6"/>"##,
            (high - low).max(1.0),
            HEIGHT - MARGIN - 24.0
        );
        chart.line(tried.iter().copied(), BLUE, ("by each delay", 420.0));
        svg.push_str(&chart.svg);
    }
    let [joint, command] = &measured.tracks;
    let range = |points: &mut dyn Iterator<Item = f64>| {
        points.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let ends_s = range(&mut joint.points().map(|(time_s, _)| time_s));
    let ends_rad = range(&mut joint.points().chain(command.points()).map(|(_, rad)| rad));
    if ends_s.0 < ends_s.1 {
        let title = format!("{} in rad", measured.joint);
        let mut chart = Chart::new(HEIGHT, &title, ends_s, ends_rad, "time in s");
        chart.line(command.points(), GREY, ("command", 420.0));
        chart.line(joint.points(), BLUE, ("joint", 500.0));
        let shift_s = if delay.delay_s.is_finite() {
            delay.delay_s
        } else {
            0.0
        };
        let shown = on_scale(&measured.change, ends_rad, joint, shift_s);
        chart.line(shown.into_iter(), ORANGE, ("pictures, put back", 560.0));
        svg.push_str(&chart.svg);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The pictures' change on the joint's axis, with the sign that goes with the joint.
fn on_scale(
    change: &[(f64, f64)],
    (low, high): (f64, f64),
    joint: &calibration::latency::Track,
    shift_s: f64,
) -> Vec<(f64, f64)> {
    let middle = (low + high) / 2.0;
    let with: f64 = change
        .iter()
        .map(|(time_s, value)| value * (joint.at(time_s - shift_s) - middle))
        .sum();
    let most = change.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
    let scale = if most > 0.0 {
        with.signum() * (high - low) / 2.0 / most
    } else {
        0.0
    };
    change
        .iter()
        .map(|(time_s, value)| (time_s - shift_s, middle + scale * value))
        .collect()
}
