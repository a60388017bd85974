//! A USB webcam that is this program, for the kernel's own `uvcvideo` driver: `uvc_camera SECONDS [FAULT,PICTURES[,FOR_S]]...`.
//!
//! The camera is `devices::emulation::usb_camera`, with pictures of 640 x 480 pixels at 30 or 60 Hz. Faults: `unplug` (and plug in
//! again), `freeze`, `error` (the mark of one, in one picture), `cut` (one picture ends early, without a mark). Each comes so many
//! pictures after the one before it, or after the camera was plugged in. Meant for a small virtual machine: `cargo xtask vm uvc`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use devices::emulation::usb_camera::{Form, UsbCamera};

type Failure = Box<dyn std::error::Error>;

/// What goes wrong, so many pictures after the last fault, and for how long.
struct Fault {
    what: String,
    pictures: u32,
    for_s: f64,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments
        .next()
        .ok_or("uvc_camera SECONDS [FAULT,PICTURES[,FOR_S]]...")?
        .parse()?;
    let mut faults = VecDeque::new();
    for text in arguments {
        let parts: Vec<&str> = text.split(',').collect();
        faults.push_back(Fault {
            what: parts[0].to_owned(),
            pictures: parts.get(1).ok_or("FAULT,PICTURES")?.parse()?,
            for_s: parts.get(2).map_or(Ok(0.0), |text| text.parse())?,
        });
    }
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        let camera = UsbCamera::plug_in(Form {
            width_px: 640,
            height_px: 480,
            intervals_100ns: vec![166_667, 333_333],
            serial: "SOFT0001".to_owned(),
        })?;
        let gone_s = serve(camera, begun, seconds, &mut faults)?;
        std::thread::sleep(Duration::from_secs_f64(gone_s));
    }
    Ok(())
}

/// Serves until the time is over or the camera is pulled out; returns for how long, in seconds.
fn serve(
    mut camera: UsbCamera,
    begun: Instant,
    seconds: f64,
    faults: &mut VecDeque<Fault>,
) -> Result<f64, Failure> {
    let (mut number, mut since_fault) = (0, 0);
    let (mut frozen_until_s, mut damaged, mut cut) = (0.0, false, false);
    while camera.turn(Duration::from_millis(1))? {
        let now_s = begun.elapsed().as_secs_f64();
        if now_s >= seconds {
            break;
        }
        if faults.front().is_some_and(|fault| fault.pictures <= since_fault)
            && let Some(fault) = faults.pop_front()
        {
            since_fault = 0;
            match fault.what.as_str() {
                "unplug" => return Ok(fault.for_s),
                "freeze" => frozen_until_s = now_s + fault.for_s,
                "error" => damaged = true,
                "cut" => cut = true,
                other => return Err(format!("no fault {other}").into()),
            }
        }
        if now_s >= frozen_until_s && camera.is_due() {
            number += 1;
            since_fault += 1;
            let mut picture = picture(number);
            if std::mem::take(&mut cut) {
                picture.truncate(20_000);
            }
            camera.show(picture, std::mem::take(&mut damaged))?;
        }
    }
    Ok(0.0)
}

/// Bytes between a JPEG's marks that hold no mark: what is looked at here is how they travel.
fn picture(number: u32) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend((0..40_000).map(|at| ((at * 7 + number * 13) % 251) as u8));
    bytes.extend([0xff, 0xd9]);
    bytes
}
