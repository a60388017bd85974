//! `armillary calibrate workspace`.

use std::path::PathBuf;

use anyhow::bail;
use armillary::calibrate::{Person, angles_rad, workspace};
use devices::Arm;
use devices::serial::SerialStream;
use devices::servos::Settings;
use devices::survey::Maker;
use robot::Config;

use super::terminal::Terminal;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Workspace {
    /// Robot file, which names the calibration of its joints; the box is written into it
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Port of the servos, in the place of the one that the robot file names
    #[arg(long)]
    port: Option<PathBuf>,
}

/// Measures the box, and writes it.
pub(super) fn run(arguments: &Workspace) -> anyhow::Result<()> {
    let config = Config::load(&arguments.robot)?;
    match Arm::of(&config, arguments.port.as_deref())? {
        Arm::Feetech(settings) => guide(arguments, &config, &settings),
        Arm::Dynamixel(settings) => guide(arguments, &config, &settings),
        _ => bail!(
            "field `arm` of robot `{}`: only an arm of servos can be moved by hand and read meanwhile; write `feetech(..)` or `dynamixel(..)`",
            config.name
        ),
    }
}

fn guide<F: Maker>(arguments: &Workspace, config: &Config, settings: &Settings<F>) -> anyhow::Result<()> {
    let robot = &arguments.robot;
    let Some(joints) = settings.calibration(config)? else {
        bail!(
            "{0}: field `calibration`: names no file of joints; calibrate first: `armillary calibrate joints --robot {0}`",
            robot.display()
        );
    };
    let mut person = Terminal::new("calibrate workspace")?;
    person.tell(&format!(
        "{} on {}. Torque will be taken off: the arm goes limp, and you move it by hand.",
        config.name, settings.port
    ));
    if person.ask("Hold the arm, and press Enter [q: end]: ")? == "q" {
        bail!("ended before anything was done");
    }
    let plain = settings.servos.iter().zip(config.envelope.joints());
    let plain: Vec<_> = plain.map(|(servo, joint)| servo.joint::<F>(joint)).collect();
    let line = SerialStream::open(&settings.port, settings.baud)?;
    let mut by_hand = settings.by_hand(line, plain)?;
    let measured = workspace::guide(&mut person, config, &mut || angles_rad(&mut by_hand, &joints))?;
    armillary::say!("{}", measured.line());
    let picture = robot.with_extension("workspace.svg");
    let is_ours = |bytes: &[u8]| bytes.starts_with(b"<svg ");
    files::put(&picture, workspace::draw(&measured).as_bytes(), &is_ours)?;
    armillary::say!("picture {}", picture.display());
    let written = workspace::keep(robot, config, &measured)?;
    armillary::say!("{}: {written}", robot.display());
    Ok(())
}
