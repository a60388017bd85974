//! A bus of servos, read and never written.

mod readings;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use devices::serial::SerialStream;
use devices::servo_bus::joints::ServoJoint;
use devices::servo_bus::{Bus, Timing};
use devices::servos::Settings;
use devices::survey::{Maker, Presence, ServoFacts, look, presence, sweep};
use robot::Config;

use super::{Examination, System, ports};

/// How long a servo and a port may take to answer, in microseconds, beyond the adapter's latency.
const TURNAROUND_US: u64 = 4_000;

/// How long one may take where all ids are asked, in microseconds, beyond the adapter's latency.
const SWEEP_US: u64 = 3_000;

/// Silence after which no answer of before is awaited any more, in microseconds.
const SETTLE_US: u64 = 50_000;

/// How often a servo that does not answer as it should is asked again: a machine that is busy hears late.
const ASKED_AGAIN: usize = 2;

/// Supplies of servos on one line that differ by so much, in volts, are not one supply.
const SUPPLY_V: f32 = 1.0;

/// Which servos answer, what they say of themselves, and whether that fits the robot file.
pub(super) fn examine<F: Maker>(
    examination: &mut Examination<'_>,
    system: &System,
    config: &Config,
    settings: &Settings<F>,
    urgent: &Arc<AtomicBool>,
) {
    const OPEN: &str = "bus.open";
    let about = settings.port.as_str();
    if settings.servos.len() != config.joint_count() {
        return examination.fail(
            OPEN,
            about,
            format!(
                "{} servos for {} joints",
                settings.servos.len(),
                config.joint_count()
            ),
            "write one of `servos` a joint, base first",
        );
    }
    let joints = match settings.joints(config) {
        Ok(joints) => joints,
        Err(error) => return examination.fail_by("servo.calibration", about, &error),
    };
    let latency_us = 1_000 * ports::latency_ms(system, Path::new(about)).unwrap_or(0);
    // A slow arm has time to wait for its servos.
    let patience_us = (1e6 / f64::from(settings.rate_hz.max(1.0)) / 5.0) as u64;
    let timing = Timing {
        baud: settings.baud,
        turnaround_us: TURNAROUND_US.max(patience_us) + latency_us,
        ..Timing::default()
    };
    let line = match SerialStream::open(about, settings.baud) {
        Ok(line) => line,
        Err(error) => return examination.fail_by(OPEN, about, &error),
    };
    examination.ok(
        OPEN,
        about,
        format!("{} bits a second, {}", settings.baud, F::NAME),
    );
    let mut bus = Bus::<F, _>::new(line, timing);
    bus.set_interrupt(Some(Arc::clone(urgent)));
    if let Err(error) = bus.settle(SETTLE_US) {
        return examination.fail_by("bus.line", about, &error);
    }
    let mut facts = Vec::new();
    let mut lost = Vec::new();
    for joint in &joints {
        match one(examination, &mut bus, joint, settings.torque_limit) {
            Ok(Some(found)) => facts.push(found),
            Ok(None) => lost.push(joint.id),
            Err(error) => return examination.fail_by("bus.line", about, &error),
        }
    }
    together(examination, about, &facts);
    let quick_us = SWEEP_US + latency_us;
    let known: Vec<u8> = settings.servos.iter().map(|servo| servo.id).collect();
    let swept = others(examination, about, &mut bus, quick_us, &known)
        .and_then(|()| other_rates(examination, about, &mut bus, settings.baud, &lost));
    if let Err(error) = swept {
        examination.fail_by("bus.line", about, &error);
    }
}

type Result<T> = std::result::Result<T, devices::servo_bus::BusError>;
type Line = SerialStream;

/// One servo. `None` if it does not answer alone.
fn one<F: Maker>(
    examination: &mut Examination<'_>,
    bus: &mut Bus<F, Line>,
    joint: &ServoJoint,
    torque_limit: f32,
) -> Result<Option<ServoFacts>> {
    const NAME: &str = "servo.answers";
    let about = format!("{} (id {})", joint.name, joint.id);
    let mut there = presence(bus, joint.id)?;
    for _ in 0..ASKED_AGAIN {
        if there != Presence::One {
            bus.settle(SETTLE_US)?;
            there = presence(bus, joint.id)?;
        }
    }
    match there {
        Presence::One => {}
        Presence::Absent => {
            examination.fail(
                NAME,
                &about,
                "no answer",
                "check its cable and its power; a servo without its id gets it from `armillary setup-motors`",
            );
            return Ok(None);
        }
        Presence::Several => {
            examination.fail(
                NAME,
                &about,
                "more than one servo answers at this id, or something disturbs the line",
                "give each its own id: `armillary setup-motors`",
            );
            return Ok(None);
        }
    }
    let facts = look(bus, joint.id)?;
    let seen = format!(
        "{}, firmware {}, at {}{}",
        facts.model_text(),
        facts.firmware,
        facts.position_ticks,
        if facts.torque_on {
            ", holds"
        } else {
            ", torque is off"
        }
    );
    if facts.model_name.is_some() {
        examination.ok(NAME, &about, seen);
    } else {
        let known: Vec<&str> = F::MODELS.iter().map(|(_, name)| *name).collect();
        examination.fail(NAME, &about, seen, format!("use one of {}", known.join(", ")));
    }
    readings::supply(examination, &about, &facts);
    readings::temperature(examination, &about, &facts);
    readings::faults::<F>(examination, &about, &facts);
    readings::limits::<F>(examination, &about, joint, &facts);
    readings::homing(examination, &about, joint, &facts);
    readings::torque(examination, &about, torque_limit, &facts);
    Ok(Some(facts))
}

/// What must be alike in all servos of an arm.
fn together(examination: &mut Examination<'_>, about: &str, facts: &[ServoFacts]) {
    let Some(first) = facts.first() else { return };
    let mut versions: Vec<String> = facts
        .iter()
        .map(|facts| format!("{} {}", facts.model_text(), facts.firmware))
        .collect();
    versions.sort();
    versions.dedup();
    let models: std::collections::BTreeSet<u16> = facts.iter().map(|facts| facts.model).collect();
    if versions.len() > models.len() {
        examination.warn(
            "bus.firmware",
            about,
            format!("several versions: {}", versions.join(", ")),
            "bring all to one version by the maker's program",
        );
    } else {
        examination.ok("bus.firmware", about, versions.join(", "));
    }
    let volts = facts.iter().map(|facts| facts.voltage_v);
    let (least, most) = volts.fold((first.voltage_v, first.voltage_v), |(least, most), volts| {
        (least.min(volts), most.max(volts))
    });
    let seen = format!("{least:.1} to {most:.1} V from the first servo to the last");
    if most - least > SUPPLY_V {
        examination.warn(
            "bus.supply",
            about,
            seen,
            "check the plugs of the chain: voltage is lost on the way",
        );
    } else {
        examination.ok("bus.supply", about, seen);
    }
}

/// Servos that the robot file does not name.
fn others<F: Maker>(
    examination: &mut Examination<'_>,
    about: &str,
    bus: &mut Bus<F, Line>,
    quick_us: u64,
    known: &[u8],
) -> Result<()> {
    const NAME: &str = "bus.others";
    let found = sweep(bus, (0..=F::ID_MAX).filter(|id| !known.contains(id)), quick_us)?;
    if found.is_empty() {
        examination.ok(NAME, about, "no other id answers");
        return Ok(());
    }
    let ids: Vec<String> = found.iter().map(|(id, _)| id.to_string()).collect();
    examination.warn(
        NAME,
        about,
        format!(
            "ids {} answer, and the robot file does not name them",
            ids.join(", ")
        ),
        "mend `servos` in the robot file, or give the servo its id: `armillary setup-motors`",
    );
    Ok(())
}

/// Where servos that did not answer may be.
fn other_rates<F: Maker>(
    examination: &mut Examination<'_>,
    about: &str,
    bus: &mut Bus<F, Line>,
    own: u32,
    lost: &[u8],
) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let mut ids = lost.to_vec();
    ids.push(F::DELIVERED_ID);
    ids.sort_unstable();
    ids.dedup();
    for baud in F::bauds(own).into_iter().filter(|baud| *baud != own) {
        // An adapter need not have every rate.
        if bus.set_baud(baud).is_err() {
            continue;
        }
        bus.settle(SETTLE_US)?;
        let patient_us = bus.timing().turnaround_us;
        let found = sweep(bus, ids.iter().copied(), patient_us)?;
        if !found.is_empty() {
            let ids: Vec<String> = found.iter().map(|(id, _)| id.to_string()).collect();
            examination.warn(
                "bus.rate",
                about,
                format!("ids {} answer at {baud} bits a second", ids.join(", ")),
                format!(
                    "write `baud: {baud}` into `arm`, or set the servos to {own}: `armillary setup-motors`"
                ),
            );
        }
    }
    bus.set_baud(own)
}
