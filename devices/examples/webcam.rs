//! What a webcam delivers, second by second: `webcam list`, or
//! `webcam DEVICE [--size 640x480] [--rate 30] [--format mjpeg] [--frames 1000] [--set SECONDS,NAME,VALUE]...`.
//!
//! Polls every half millisecond, as the control loop does. `--set` sets one of the driver's controls by its name while pictures are
//! taken: the kernel's `vivid` driver has controls that break it. Ends with status 1 if a picture was too old, or after 20 s without one.

mod controls;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use controls::{Change, Failure, Watch, change, format_of, summary};
use devices::webcam::kernel::System;
use devices::webcam::{Counts, Linux, Settings, Webcam, device};

/// How long the camera may be without a picture.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let device = arguments.next().unwrap_or_else(|| "list".to_owned());
    if device == "list" {
        return list();
    }
    let (mut size, mut rate, mut format) = ("640x480".to_owned(), "30".to_owned(), "mjpeg".to_owned());
    let (mut frames, mut changes) = (1_000, Vec::new());
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or("a flag without its value")?;
        match flag.as_str() {
            "--size" => size = value,
            "--rate" => rate = value,
            "--format" => format = value,
            "--frames" => frames = value.parse()?,
            "--set" => changes.push(change(&value)?),
            _ => return Err(format!("no flag {flag}").into()),
        }
    }
    let (width, height) = size.split_once('x').ok_or("--size 640x480")?;
    let settings = Settings {
        width: width.parse()?,
        height: height.parse()?,
        rate_hz: rate.parse()?,
        format: format_of(&format)?,
        ..Settings::new(&device)
    };
    watch(&settings, frames, changes)
}

fn list() -> Result<(), Failure> {
    let mut system = Linux;
    for camera in system.cameras() {
        println!("{} ({}, {})", camera.stable(), camera.name, camera.node.display());
        let mut kernel = match system.open(&camera.node) {
            Ok(kernel) => kernel,
            Err(error) => {
                println!("  cannot be opened: {}", error.desc());
                continue;
            }
        };
        if let Err(error) = device::capability(kernel.as_mut(), &camera.node) {
            println!("  {error}");
            continue;
        }
        for offer in device::offers(kernel.as_mut()) {
            println!("  {offer}");
        }
    }
    Ok(())
}

fn watch(settings: &Settings, frames: usize, changes: Vec<Change>) -> Result<(), Failure> {
    let mut webcam = Webcam::start(settings, 0)?;
    let agreed = webcam.agreed().ok_or("nothing was agreed to")?;
    let age_max_ms = 2e3 / agreed.rate_hz;
    println!("{agreed:?}");
    println!("|    s | pictures | number | age ms, median | greatest | not delivered |");
    println!("|------|----------|--------|----------------|----------|---------------|");
    let mut second = 1;
    let since_then = RefCell::new((Vec::new(), 0));
    let watching = Watch {
        frames,
        patience: PATIENCE,
        device: &settings.device,
        changes,
    };
    let mut watched = controls::watch(
        &mut webcam,
        watching,
        |_, stamp| {
            let (ages_ms, seq) = &mut *since_then.borrow_mut();
            ages_ms.push(stamp.age_ns as f64 / 1e6);
            *seq = stamp.seq;
        },
        |webcam, now_s| {
            if now_s >= f64::from(second) {
                let (ages_ms, seq) = &mut *since_then.borrow_mut();
                let (median, most) = summary(ages_ms);
                let counts = missing(&webcam.counts());
                println!(
                    "| {second:4} | {:8} | {seq:6} | {median:14.3} | {most:8.3} | {counts} |",
                    ages_ms.len()
                );
                ages_ms.clear();
                second += 1;
            }
        },
    );
    let (median, most) = summary(&mut watched.ages_ms);
    println!(
        "figures: pictures {}, seconds {:.1}, age_median_ms {median:.1}, age_most_ms {most:.1}, age_limit_ms {age_max_ms:.1}, \
         poll_most_ms {:.1}{}",
        watched.ages_ms.len(),
        watched.seconds,
        watched.poll_most_ms,
        counted(&webcam.counts())
            .map(|(name, count)| format!(", {name} {count}"))
            .concat()
    );
    if watched.ages_ms.len() < frames || most > age_max_ms {
        return Err("pictures are missing or too old".into());
    }
    Ok(())
}

/// All counts by name.
fn counted(counts: &Counts) -> [(&'static str, u64); 13] {
    [
        ("gaps", counts.gaps),
        ("flagged", counts.flagged),
        ("torn", counts.torn),
        ("black", counts.black),
        ("frozen", counts.frozen),
        ("stale", counts.stale),
        ("superseded", counts.superseded),
        ("disordered", counts.disordered),
        ("losses", counts.losses),
        ("timeouts", counts.timeouts),
        ("openings", counts.openings),
        ("driver_stamps", counts.driver_stamps),
        ("arrival_stamps", counts.arrival_stamps),
    ]
}

/// How many of those are about pictures that were not delivered.
const MISSING: usize = 9;

/// What was not delivered so far, by reason.
fn missing(counts: &Counts) -> String {
    let some: Vec<String> = counted(counts)[..MISSING]
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    some.join(", ")
}
