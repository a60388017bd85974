//! Writing a calibration of joints: first its file, then the robot file that names it, at last the servos. An interruption between two of these
//! leaves an arm that is refused when it is opened, and not one that is led to other places.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use calibration::servos::JointsFile;
use devices::servo_bus::joints::{Homing, ServoJoint};
use devices::servo_bus::{Family, Line};
use devices::servos::{Settings, encoder, limits_rad};
use robot::config::edit;
use robot::{Config, Joint};

/// What was written.
#[derive(Debug)]
pub struct Kept {
    /// The file of the joints.
    pub file: PathBuf,
    /// What became of the robot file, a line a change.
    pub changes: Vec<String>,
}

/// Joints whose limits keep a degree to the ends that were found, base first.
pub fn narrowed<F: Family>(config: &Config, file: &JointsFile) -> Vec<Joint> {
    let rows = config
        .envelope
        .joints()
        .iter()
        .zip(&config.travels)
        .zip(&file.joints);
    rows.map(|((joint, travel), found)| {
        let (least, greatest) = limits_rad(found, travel, encoder::<F>());
        // Rounded inwards, as they are written.
        let (least, greatest) = ((1e3 * least).ceil() / 1e3, (1e3 * greatest).floor() / 1e3);
        Joint {
            position_min_rad: joint.position_min_rad.max(least as f32),
            position_max_rad: joint.position_max_rad.min(greatest as f32),
            ..joint.clone()
        }
    })
    .collect()
}

/// The robot file's text with the name of the file of joints and with limits that the joints reach, and a line for each change.
fn edited(
    path: &Path,
    text: &str,
    name: &str,
    config: &Config,
    joints: &[Joint],
) -> anyhow::Result<(String, Vec<String>)> {
    let named = format!("{name:?}");
    let lost = || {
        format!(
            "{}: this program cannot change the file; write `calibration: (joints: {named})` into it, and `position_rad` of each joint within \
             what it was found to reach",
            path.display()
        )
    };
    let mut text = edit::with_field(text, &["calibration", "joints"], &named)
        .or_else(|| edit::with_field(text, &["calibration"], &format!("(joints: {named})")))
        .with_context(lost)?;
    let mut changes = vec![format!("calibration: (joints: {named})")];
    for (index, (joint, before)) in joints.iter().zip(config.envelope.joints()).enumerate() {
        let (least, greatest) = (joint.position_min_rad, joint.position_max_rad);
        if (least, greatest) == (before.position_min_rad, before.position_max_rad) {
            continue;
        }
        // The stops stay where they are; where they were not written, `position_rad` was both.
        if let Some((stop, other)) = config.travels[index].stops_rad {
            let stops = format!("({stop:?}, {other:?})");
            text = edit::with_element_field(&text, &["joints"], index, "stops_rad", &stops)
                .with_context(lost)?;
        }
        let range = format!("({least:?}, {greatest:?})");
        text =
            edit::with_element_field(&text, &["joints"], index, "position_rad", &range).with_context(lost)?;
        changes.push(format!(
            "{}: position_rad: {range}, before ({:?}, {:?}): at least a degree from the ends that it reaches",
            joint.name, before.position_min_rad, before.position_max_rad
        ));
    }
    Ok((text, changes))
}

/// Writes `file` as `name` beside the robot file at `path`, then the robot file itself.
///
/// # Errors
/// A robot file that would not be sound, and a file of somebody else's in the way.
pub fn keep<F: Family>(path: &Path, name: &str, file: &JointsFile, config: &Config) -> anyhow::Result<Kept> {
    if !files::is_plain_name(name) {
        bail!("--out {name}: write the name of a file; it is put into the robot file's folder");
    }
    let joints = narrowed::<F>(config, file);
    let before = robot::config::read(path)?;
    let (text, changes) = edited(path, &before, name, config, &joints)?;
    // Before anything is written.
    Config::parse(path, text.clone()).context("with the limits that the joints were found to have")?;
    let beside = path.with_file_name(name);
    let is_ours =
        |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| JointsFile::parse(&beside, text).is_ok());
    files::put(&beside, file.to_text().as_bytes(), &is_ours)?;
    files::replace(path, text.as_bytes())?;
    Ok(Kept {
        file: beside,
        changes,
    })
}

/// Writes the offsets of `file` into the servos on `line`, with the limits of the joints. Torque stays off.
///
/// # Errors
/// A servo that is missing or does not keep its offset.
pub fn store<F: Family, L: Line>(
    file: &JointsFile,
    config: &Config,
    settings: &Settings<F>,
    line: L,
) -> anyhow::Result<()> {
    let joints = narrowed::<F>(config, file);
    let rows = settings.servos.iter().zip(&joints).zip(&file.joints);
    let written: Vec<ServoJoint> = rows
        .map(|((servo, joint), found)| {
            servo.calibrated::<F>(joint, found, Homing::Written(found.homing_offset_ticks))
        })
        .collect();
    settings.on_line_as(line, written, Arc::default())?;
    Ok(())
}
