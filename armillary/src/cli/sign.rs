//! `armillary seal` and `armillary sign`, and `--require-signature`, which other commands take.

use std::path::{Path, PathBuf};

use anyhow::bail;
use armillary::signature::{self, Key};
use robot::Config;
use world_model::Bundle;
use world_model::sums::SUMS;

use super::Command;
use super::say::say;

/// Arguments of `seal`.
#[derive(Debug, clap::Args)]
pub(crate) struct Seal {
    /// Folder of a bundle that has no list of hashes yet.
    bundle: PathBuf,
}

/// Adds the list of hashes to a bundle that was made before there was one.
pub(crate) fn seal(arguments: &Seal) -> anyhow::Result<()> {
    let bundle = Bundle::load(&arguments.bundle)?;
    let path = arguments.bundle.join(SUMS);
    if bundle.is_sealed() {
        say(&format!(
            "{}: is there already, and every file is as it says\n",
            path.display()
        ));
        return Ok(());
    }
    // Never over a file that is there.
    files::put(&path, bundle.sums().as_bytes(), &|_| false)?;
    say(&format!("{}: covers every file of the bundle\n", path.display()));
    Ok(())
}

/// Arguments of `sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Sign {
    /// A robot file, the file of an arm's joints, or the folder of a bundle.
    file: PathBuf,
    /// File of the secret key, as `minisign -G` makes it. Its password, if it has one, is asked for.
    #[arg(long)]
    key: PathBuf,
}

/// Signs.
pub(crate) fn sign(arguments: &Sign) -> anyhow::Result<()> {
    let (path, key_id) = signature::sign(&arguments.file, &arguments.key)?;
    say(&format!("{}: signature with key {key_id}\n", path.display()));
    Ok(())
}

/// Refuses to go on with robot files and bundles that `key` has not signed.
pub(super) fn require(key: &str, command: &Command) -> anyhow::Result<()> {
    let key = Key::read(key)?;
    let files = loaded(command);
    if files.is_empty() {
        bail!(
            "--require-signature: this command reads no robot file and no bundle by these arguments; leave it out"
        );
    }
    for file in &files {
        key.require(file)?;
    }
    // It says where an arm's joints are. Commands that make it anew take whatever there is.
    let makes_it = matches!(command, Command::Calibrate(command) if command.makes_joints());
    let robots = files.iter().filter(|file| file.is_file() && !makes_it);
    for robot in robots {
        // What is wrong with the robot file is said by the command.
        if let Ok(Some(joints)) = Config::load(robot).map(|config| config.joints_file) {
            key.require(&joints)?;
        }
    }
    Ok(())
}

/// The robot files and bundles that a command reads.
fn loaded(command: &Command) -> Vec<&Path> {
    let (robot, bundle) = match command {
        Command::Run(arguments) => arguments.episodes.loaded(),
        Command::Record(arguments) => arguments.episodes.loaded(),
        Command::Eval(arguments) => (arguments.robot.robot.as_ref(), arguments.bundle.as_ref()),
        Command::Sim(arguments) => (arguments.robot.robot.as_ref(), None),
        Command::Demo(arguments) => return arguments.loaded(),
        Command::Bench(command) => command.loaded(),
        Command::Replay(arguments) => (None, arguments.bundle.as_ref()),
        Command::Inspect(arguments) => (None, Some(&arguments.bundle)),
        Command::Doctor(arguments) => (arguments.robot.as_ref(), None),
        Command::SetupMotors(arguments) => (Some(&arguments.robot), None),
        Command::Calibrate(command) => (command.robot(), None),
        Command::Relabel(arguments) => (Some(&arguments.reward), None),
        Command::Recrop(arguments) => (Some(&arguments.robot), None),
        // An emergency stop is never kept from the arm, and the others read neither.
        _ => (None, None),
    };
    robot.into_iter().chain(bundle).map(PathBuf::as_path).collect()
}
