//! Rig files: which arm the hardware suite is run on, what stands in for hardware, and how good it must be.
//!
//! ```ron
//! (
//!     robot: "my-arm.ron",
//!     arm: emulated_servos(supply_v: 12.0),
//!     camera: drawn(width_px: 640, height_px: 480, rate_hz: 30),
//!     bounds: (move_rad: 0.1, may_let_go: true),
//! )
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use robot::Config;
use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::Deserialize;

/// A rig.
#[derive(Debug, Clone)]
pub struct Rig {
    /// The rig file.
    pub path: PathBuf,
    /// The robot.
    pub config: Config,
    /// What stands in for the arm; `None`: the arm that the robot file names.
    pub arm: Option<ArmStandIn>,
    /// What stands in for the camera; `None`: the camera that the robot file names.
    pub camera: Option<CameraStandIn>,
    /// How good it must be.
    pub bounds: Bounds,
}

/// What stands in for an arm.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArmStandIn {
    /// The servos that the robot file names, emulated at the level of registers, behind a pseudo-terminal.
    EmulatedServos {
        /// Their supply, in volts.
        #[serde(default = "supply_v")]
        supply_v: f32,
    },
    /// The simulated arm that the robot file names, with its camera, behind a pseudo-terminal and a frame socket.
    Simulator,
}

/// What stands in for a camera.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CameraStandIn {
    /// Pictures that are drawn here, each another one, played as a folder.
    Drawn {
        /// Pixels a row.
        width_px: u32,
        /// Rows.
        height_px: u32,
        /// Pictures a second.
        rate_hz: f64,
    },
}

fn supply_v() -> f32 {
    12.0
}

/// How good a rig must be. What is not given is as a small arm on a bench should be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Least reports of the arm a second; one a control period if not given.
    pub reports_min_hz: Option<f64>,
    /// How far each joint is moved, in radians, where it has room.
    pub move_rad: f32,
    /// How long such a move takes at least, in seconds.
    pub move_s: f32,
    /// How far a joint may be behind its set point, in radians.
    pub track_max_rad: f32,
    /// How far it may be from its goal once it had time, in radians.
    pub settle_max_rad: f32,
    /// Longest time from the last command until the arm stops by itself, in seconds; its watchdog and half a second if not given.
    pub watchdog_max_s: Option<f32>,
    /// Longest wait for the arm to do as it was told, in seconds.
    pub answer_max_s: f32,
    /// Whether the emergency stop may be tried: the arm lets go at once, wherever it is, and falls if nobody holds it.
    pub may_let_go: bool,
    /// Pictures that must come.
    pub pictures: usize,
    /// Longest time for them, in seconds.
    pub pictures_within_s: f64,
    /// Least rate of pictures, a second; that of the robot file if not given.
    pub picture_rate_min_hz: Option<f64>,
    /// Greatest age of a picture when it comes, in seconds; that of the robot file if not given.
    pub picture_age_max_s: Option<f64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            reports_min_hz: None,
            move_rad: 0.1,
            move_s: 1.0,
            track_max_rad: 0.2,
            settle_max_rad: 0.05,
            watchdog_max_s: None,
            answer_max_s: 2.0,
            may_let_go: false,
            pictures: 100,
            pictures_within_s: 20.0,
            picture_rate_min_hz: None,
            picture_age_max_s: None,
        }
    }
}

/// What a person types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRig {
    /// The robot file's path, or the robot itself.
    robot: Box<RawValue>,
    #[serde(default)]
    arm: Option<ArmStandIn>,
    #[serde(default)]
    camera: Option<CameraStandIn>,
    #[serde(default)]
    bounds: Bounds,
}

impl Rig {
    /// Reads a rig file. The path of its robot file is taken from the folder in which the rig file is.
    ///
    /// # Errors
    /// The file, the line or the field, and the remedy.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        if !path.exists() && name.contains(':') {
            bail!(
                "--rig {name}: here a rig is a file of the hardware suite, such as tests/rigs/emulated-so101.ron; an environment of another \
                 program is checked by `armillary record --rig {name}`"
            );
        }
        let text = files::read_to_string(path).with_context(|| format!("{name}: cannot read"))?;
        let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
        let raw: RawRig = options
            .from_str(&text)
            .with_context(|| format!("{name}: not a rig file; tests/rigs has some"))?;
        let robot = raw.robot.get_ron().trim();
        let config = if robot.starts_with('"') {
            let file: PathBuf = ron::from_str(robot).with_context(|| format!("{name}: field `robot`"))?;
            let folder = path.parent().unwrap_or(Path::new("."));
            Config::load(&folder.join(file)).with_context(|| format!("{name}: field `robot`"))?
        } else {
            Config::parse(path, robot.to_owned()).with_context(|| format!("{name}: field `robot`"))?
        };
        let rig = Self {
            path: path.to_owned(),
            config,
            arm: raw.arm,
            camera: raw.camera,
            bounds: raw.bounds,
        };
        rig.check()?;
        Ok(rig)
    }

    fn check(&self) -> anyhow::Result<()> {
        let bounds = &self.bounds;
        let name = self.path.display();
        for (field, value, most) in [
            ("move_rad", bounds.move_rad, 0.5),
            ("move_s", bounds.move_s, 60.0),
            ("track_max_rad", bounds.track_max_rad, 3.0),
            ("settle_max_rad", bounds.settle_max_rad, 3.0),
            ("answer_max_s", bounds.answer_max_s, 60.0),
        ] {
            if !(value > 0.0 && value <= most) {
                bail!("{name}: field `bounds.{field}`: is {value}; write a number above 0, up to {most}");
            }
        }
        if !(bounds.pictures_within_s > 0.0 && bounds.pictures_within_s <= 600.0) {
            bail!(
                "{name}: field `bounds.pictures_within_s`: is {}; write seconds, up to 600",
                bounds.pictures_within_s
            );
        }
        if let Some(CameraStandIn::Drawn {
            width_px,
            height_px,
            rate_hz,
        }) = self.camera
        {
            let sides = 16..=4096;
            if !sides.contains(&width_px) || !sides.contains(&height_px) {
                bail!("{name}: field `camera`: {width_px}x{height_px} pixels; write 16 to 4096 each");
            }
            if !(1.0..=1000.0).contains(&rate_hz) {
                bail!("{name}: field `camera.rate_hz`: is {rate_hz}; write 1 to 1000");
            }
            if self.arm == Some(ArmStandIn::Simulator) {
                bail!("{name}: field `camera`: the simulator has a camera of its own; leave it out");
            }
        }
        Ok(())
    }
}
