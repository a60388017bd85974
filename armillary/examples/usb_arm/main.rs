//! A simulated arm and the webcam that looks at it, as USB devices of this machine: `usb_arm ROBOT SEED [camera|cable SECONDS]`.
//!
//! The arm is the simulator behind the firmware core, at the far end of a USB serial gadget (`/dev/ttyGS0`). The camera is
//! `devices::emulation::usb_camera`, and draws the same arm. The robot file tells which arm it is; the seed tells its start pose and
//! its target. So many seconds after the arm began to move, the camera or the cable is pulled out.
//!
//! SIGTERM ends the program once the arm has let go. It then prints what the arm did. Meant for a small virtual machine, as root:
//! `cargo xtask vm loop`.

mod arm;
mod camera;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use firmware_bridge::arm::{ArmOptions, SimulatedArm};
use robot::Config;
use signal_hook::consts::SIGTERM;
use simulator::Simulator;

use arm::Watched;

/// The arm and what was seen of it; the thread of the cable moves it, and the camera looks at it.
type Shared = Mutex<(SimulatedArm<Simulator>, Watched)>;

/// What is pulled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plug {
    Camera,
    Cable,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [robot, seed, fault @ ..] = &arguments[..] else {
        bail!("usb_arm ROBOT SEED [camera|cable SECONDS]");
    };
    let fault = match fault {
        [] => None,
        [plug, seconds] => {
            let plug = match plug.as_str() {
                "camera" => Plug::Camera,
                "cable" => Plug::Cable,
                other => bail!("{other} cannot be pulled out: camera or cable"),
            };
            Some((plug, Duration::try_from_secs_f64(seconds.parse()?)?))
        }
        _ => bail!("camera or cable, and seconds"),
    };
    let config = Config::load(Path::new(robot))?;
    let task = config.simulator.as_ref().context("the robot is not simulated")?;
    let mut simulator = Simulator::new(task.task.parse()?)?;
    simulator.reset(seed.parse()?);
    let options = ArmOptions::from_config(&config).context("the joints have no usable limits")?;
    let watched = Watched::new(&simulator, fault);
    let shared = Mutex::new((SimulatedArm::new(simulator, &options), watched));
    let over = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&over))?;
    std::thread::scope(|scope| {
        let cable = scope.spawn(|| arm::serve(&shared, config.baud, &over));
        let camera = camera::serve(&shared, &over);
        // A camera that failed ends the program.
        over.fetch_or(camera.is_err(), Ordering::Relaxed);
        let cable = cable.join().unwrap_or_else(|_| bail!("the arm's thread failed"));
        camera.and(cable)
    })?;
    lock(&shared).1.print();
    Ok(())
}

fn lock(shared: &Shared) -> MutexGuard<'_, (SimulatedArm<Simulator>, Watched)> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
