//! What stands in for hardware while the suite runs.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, bail};
use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, PtyEnd, serve};
use devices::feetech::Feetech;
use devices::servo_bus::joints::Mapping;
use devices::servos::{Settings, encoder};
use devices::{Arm, Camera, folder};
use firmware_bridge::arm::ArmOptions;
use firmware_bridge::{BridgeMode, BridgeOptions, SimulatorBridge};
use image::RgbImage;
use robot::Config;
use robot::device::Task as _;

use super::rig::{ArmStandIn, CameraStandIn, Rig};
use crate::simulation::Simulation;

/// Pictures that are drawn; the first follows the last.
const PICTURES: u32 = 30;

/// What stands in for the hardware of a rig. Ends when it is dropped.
pub(super) struct StandIn {
    arm: Option<Emulation>,
    /// Where pictures and sockets are.
    folder: tempfile::TempDir,
}

enum Emulation {
    Feetech(Servos<Feetech>),
    Dynamixel(Servos<Dynamixel>),
    Simulator(Served),
}

/// Emulated servos, plugged in or not.
enum Servos<P> {
    PluggedIn(PtyEnd<P>),
    Unplugged(Box<EmulatedBus<P>>),
    /// Their thread has failed.
    Lost,
}

/// A simulated arm, served by a thread.
struct Served {
    serial: PathBuf,
    frames: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // That it panicked was printed.
            let _ = thread.join();
        }
    }
}

impl<P: Emulated> Servos<P> {
    fn start(settings: &Settings<P>, config: &Config, supply_v: f32) -> anyhow::Result<Self> {
        let mut servos = Vec::new();
        for (servo, joint) in settings.joints(config)?.iter().zip(config.envelope.joints()) {
            let ticks = Mapping::new::<P>(servo)?.ticks(joint.home_rad);
            let offset = servo.homing.offset_ticks().unwrap_or(0);
            let encoder = encoder::<P>().encoder_ticks(ticks, offset);
            let mut emulated = EmulatedServo::<P>::new(servo.id, encoder as u16).with_homing(offset);
            emulated.faults.voltage_v = Some(supply_v);
            if let Some(code) = P::baud_code(settings.baud) {
                emulated.set(P::BAUD, code.into());
            }
            servos.push(emulated);
        }
        let mut wire = EmulatedBus::new(settings.baud, servos);
        wire.follows_host = true;
        Ok(Self::PluggedIn(serve(wire).context("no pseudo-terminal")?))
    }

    fn port(&self) -> Option<&Path> {
        match self {
            Self::PluggedIn(end) => Some(end.path()),
            Self::Unplugged(_) | Self::Lost => None,
        }
    }

    fn unplug(&mut self) {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::PluggedIn(end) => end
                .finish()
                .map_or(Self::Lost, |wire| Self::Unplugged(Box::new(wire))),
            other => other,
        };
    }

    fn plug_in(&mut self) -> anyhow::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Unplugged(wire) => Self::PluggedIn(serve(*wire).context("no pseudo-terminal")?),
            other => other,
        };
        Ok(())
    }
}

impl StandIn {
    /// Starts what `rig` says stands in.
    pub(super) fn start(rig: &Rig) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let config = &rig.config;
        let arm = match rig.arm {
            None => None,
            Some(ArmStandIn::Simulator) => Some(Emulation::Simulator(simulator(config, folder.path())?)),
            Some(ArmStandIn::EmulatedServos { supply_v }) => Some(match Arm::of(config, None)? {
                Arm::Feetech(settings) => Emulation::Feetech(Servos::start(&settings, config, supply_v)?),
                Arm::Dynamixel(settings) => Emulation::Dynamixel(Servos::start(&settings, config, supply_v)?),
                _ => bail!(
                    "{}: field `arm`: emulated servos stand in for an arm of servos; the robot file names another",
                    rig.path.display()
                ),
            }),
        };
        if let Some(CameraStandIn::Drawn {
            width_px, height_px, ..
        }) = rig.camera
        {
            draw(&folder.path().join("pictures"), width_px, height_px)?;
        }
        Ok(Self { arm, folder })
    }

    /// The arm to open.
    pub(super) fn arm(&self, config: &Config) -> anyhow::Result<Arm> {
        let port = match &self.arm {
            None => return Ok(Arm::of(config, None)?),
            Some(Emulation::Feetech(servos)) => servos.port(),
            Some(Emulation::Dynamixel(servos)) => servos.port(),
            Some(Emulation::Simulator(served)) => Some(served.serial.as_path()),
        };
        Ok(Arm::of(
            config,
            Some(port.context("the emulated servos are not plugged in")?),
        )?)
    }

    /// The camera to open; `None` if the rig has none.
    pub(super) fn camera(&self, rig: &Rig) -> anyhow::Result<Option<Camera>> {
        if let Some(CameraStandIn::Drawn { rate_hz, .. }) = rig.camera {
            return Ok(Some(Camera::Folder(folder::Settings {
                path: self.folder.path().join("pictures"),
                rate_hz,
                repeat: true,
            })));
        }
        let frames = match &self.arm {
            Some(Emulation::Simulator(served)) => Some(served.frames.as_path()),
            _ => None,
        };
        if frames.is_none() && rig.config.camera.is_none() {
            return Ok(None);
        }
        Ok(Some(Camera::of(&rig.config, frames)?))
    }

    /// Pulls the arm's cable. Returns whether it could be done from here.
    pub(super) fn unplug(&mut self) -> bool {
        match &mut self.arm {
            Some(Emulation::Feetech(servos)) => servos.unplug(),
            Some(Emulation::Dynamixel(servos)) => servos.unplug(),
            Some(Emulation::Simulator(_)) | None => return false,
        }
        true
    }

    /// Plugs it in again.
    pub(super) fn plug_in(&mut self) -> anyhow::Result<()> {
        match &mut self.arm {
            Some(Emulation::Feetech(servos)) => servos.plug_in(),
            Some(Emulation::Dynamixel(servos)) => servos.plug_in(),
            Some(Emulation::Simulator(_)) | None => Ok(()),
        }
    }
}

fn simulator(config: &Config, folder: &Path) -> anyhow::Result<Served> {
    let mut plant = Simulation::of(config)?.plant(config)?;
    plant.reset(0)?;
    let (serial, frames) = (folder.join("arm"), folder.join("camera"));
    let options = BridgeOptions {
        arm: ArmOptions::from_config(config).context("the robot file's joints have no usable limits")?,
        mode: BridgeMode::RealTime,
        frame_side: config.frame_side,
        serial_path: Some(serial.clone()),
        frame_path: frames.clone(),
        watch_parent: false,
    };
    let bridge = SimulatorBridge::new(plant, options)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name("simulated arm".to_owned())
        .spawn(move || {
            if let Err(error) = bridge.serve(stopped) {
                log::error!("the simulated arm: {error}");
            }
        })?;
    Ok(Served {
        serial,
        frames,
        stop,
        thread: Some(thread),
    })
}

/// Draws pictures of a bar that wanders over a ground of many greys.
fn draw(folder: &Path, width_px: u32, height_px: u32) -> anyhow::Result<()> {
    std::fs::create_dir(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    for number in 0..PICTURES {
        let bar = number * width_px / PICTURES;
        let image = RgbImage::from_fn(width_px, height_px, |x, y| {
            let ground = 60 + ((x * 7 + y * 13) % 120) as u8;
            let bar = if x.abs_diff(bar) < width_px / 20 { 60 } else { 0 };
            image::Rgb([ground + bar, ground, 200 - ground])
        });
        let mut png = Cursor::new(Vec::new());
        image.write_to(&mut png, image::ImageFormat::Png)?;
        let path = folder.join(format!("{number:03}.png"));
        files::put(&path, &png.into_inner(), &|_| false)?;
    }
    Ok(())
}
