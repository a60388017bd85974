//! What the report says of the arm's motors and of the ages of pictures.

use std::fmt::Write as _;

use episode::TickRecord;
use robot::device::Motor;

use super::quantiles::Quantiles;

/// What was gathered of devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    age: Quantiles,
    exchange: Quantiles,
    /// Rows in which motors said anything.
    told: u64,
    joints: Vec<Joint>,
}

/// What one motor said.
#[derive(Debug, Default)]
struct Joint {
    name: String,
    readings: u64,
    stale: u64,
    temperature_c: Range,
    voltage_v: Range,
    load: Range,
    current_a: Range,
}

impl Devices {
    pub(super) fn add(&mut self, joint_names: &[String], row: &TickRecord) {
        let capture = &row.capture;
        if capture.fresh {
            self.age.add(capture.age_ns);
        }
        if capture.motors.is_silent() {
            return;
        }
        self.told += 1;
        self.exchange.add(u64::from(capture.motors.exchange_us) * 1_000);
        let known = self.joints.len().max(capture.motors.joints.len());
        self.joints.resize_with(known, Joint::default);
        for (index, (joint, motor)) in self.joints.iter_mut().zip(&capture.motors.joints).enumerate() {
            if joint.name.is_empty() {
                joint.name = joint_names.get(index).cloned().unwrap_or_default();
            }
            joint.add(motor);
        }
    }

    /// Ages of pictures, and a row a joint for arms that say something of their motors.
    pub(super) fn table(&self, page: &mut String) {
        page.push_str("<h2>Devices</h2><table><tr><th><th>median<th>99 %<th>worst");
        quantiles(page, "age of fresh pictures at the edge, ms", &self.age);
        if self.told == 0 {
            page.push_str("</table>");
            return;
        }
        quantiles(
            page,
            "longest exchange on the bus in a period, ms",
            &self.exchange,
        );
        page.push_str(
            "</table><p>What the servos said, from the least to the most; a reading is stale that was not of the bus's last turn.</p>\
             <table><tr><th>joint<th>stale readings<th>temperature, C<th>supply, V<th>load, share of the most<th>current, A",
        );
        for joint in &self.joints {
            let _ = write!(
                page,
                "<tr><th>{}<td>{} of {}<td>{}<td>{}<td>{}<td>{}",
                super::escape(&joint.name),
                joint.stale,
                joint.readings,
                joint.temperature_c,
                joint.voltage_v,
                joint.load,
                joint.current_a,
            );
        }
        page.push_str("</table>");
    }
}

impl Joint {
    fn add(&mut self, motor: &Motor) {
        self.readings += 1;
        self.stale += u64::from(motor.missed > 0);
        self.temperature_c.add(motor.temperature_c);
        self.voltage_v.add(motor.voltage_v);
        self.load.add(motor.load);
        self.current_a.add(motor.current_a);
    }
}

/// The least and the most of what was read.
#[derive(Debug, Default)]
struct Range(Option<(f32, f32)>);

impl Range {
    fn add(&mut self, value: Option<f32>) {
        if let Some(value) = value {
            let (low, high) = self.0.unwrap_or((value, value));
            self.0 = Some((low.min(value), high.max(value)));
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("not told"),
            Some((low, high)) => write!(f, "{low:.2} to {high:.2}"),
        }
    }
}

fn quantiles(page: &mut String, name: &str, quantiles: &Quantiles) {
    let at = |q: f64| {
        let ns = quantiles.at(q);
        ns.map_or_else(|| "none".to_owned(), |ns| format!("{:.2}", ns as f64 * 1e-6))
    };
    let _ = write!(
        page,
        "<tr><th>{name}<td>{}<td>{}<td><b>{}</b>",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
