//! What a webcam delivers, second by second: `webcam list`, or
//! `webcam DEVICE [--size 640x480] [--rate 30] [--format mjpeg] [--frames 1000] [--set SECONDS,NAME,VALUE]...`.
//!
//! Polls every half millisecond, as the control loop does. `--set` sets one of the driver's controls by its name while pictures are
//! taken: the kernel's `vivid` driver has controls that break it. Ends with status 1 if a picture was too old, or after 20 s without one.

mod controls;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use controls::{Change, Failure, change, format_of, set, summary};
use devices::webcam::kernel::System;
use devices::webcam::{Counts, Linux, Settings, Webcam, device};
use robot::device::{FrameSource, Picture};

/// How often the camera is polled.
const POLL: Duration = Duration::from_micros(500);

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

fn watch(settings: &Settings, frames: u64, mut changes: Vec<Change>) -> Result<(), Failure> {
    let mut webcam = Webcam::start(settings, 0)?;
    let agreed = webcam.agreed().ok_or("nothing was agreed to")?;
    let age_max_ms = 2e3 / agreed.rate_hz;
    println!("{agreed:?}");
    println!("|    s | pictures | number | age ms, median | greatest | not delivered |");
    println!("|------|----------|--------|----------------|----------|---------------|");
    let begun = Instant::now();
    let (mut heard, mut second) = (begun, 1);
    let (mut picture, mut ages_ms, mut all_ms) = (Picture::default(), Vec::new(), Vec::new());
    let (mut seq, mut complaint, mut poll_most_ms) = (0, String::new(), 0.0);
    while (all_ms.len() as u64) < frames && heard.elapsed() < PATIENCE {
        let asked = Instant::now();
        let answer = webcam.poll(&mut picture);
        poll_most_ms = f64::max(poll_most_ms, 1e3 * asked.elapsed().as_secs_f64());
        match answer {
            Ok(Some(stamp)) => {
                let age_ms = stamp.age_ns as f64 / 1e6;
                ages_ms.push(age_ms);
                all_ms.push(age_ms);
                (seq, heard) = (stamp.seq, Instant::now());
            }
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => {
                let error = robot::complaint(&error);
                if error != complaint {
                    println!("{:.3} s: {error}", begun.elapsed().as_secs_f64());
                    complaint = error;
                }
                std::thread::sleep(POLL);
            }
        }
        let now_s = begun.elapsed().as_secs_f64();
        while let Some(at) = changes.iter().position(|change| change.at_s <= now_s) {
            let change = changes.swap_remove(at);
            let outcome = set(&settings.device, &change);
            println!("{now_s:.3} s: {} = {}: {outcome:?}", change.name, change.value);
        }
        if now_s >= f64::from(second) {
            let (median, most) = summary(&mut ages_ms);
            let counts = missing(&webcam.counts());
            println!(
                "| {second:4} | {:8} | {seq:6} | {median:14.3} | {most:8.3} | {counts} |",
                ages_ms.len()
            );
            ages_ms.clear();
            second += 1;
        }
    }
    let (median, most) = summary(&mut all_ms);
    println!(
        "figures: pictures {}, seconds {:.1}, age_median_ms {median:.1}, age_most_ms {most:.1}, age_limit_ms {age_max_ms:.1}, \
         poll_most_ms {poll_most_ms:.1}{}",
        all_ms.len(),
        begun.elapsed().as_secs_f64(),
        counted(&webcam.counts())
            .map(|(name, count)| format!(", {name} {count}"))
            .concat()
    );
    if (all_ms.len() as u64) < frames || most > age_max_ms {
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
