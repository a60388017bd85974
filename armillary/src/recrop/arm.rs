//! Whether a robot file is of the arm that a log was recorded with.

use std::path::PathBuf;

use robot::{Config, Joint};

use super::RecropError;
use super::log::Job;

/// The robot file is of another arm than a log.
#[derive(Debug, thiserror::Error)]
#[error(
    "{robot}: field `{field}` is {given}, and {log} was recorded with {recorded}; give a robot file of the same arm, in which only \
     `capture`, `camera` and what concerns planning may differ"
)]
pub struct OtherArm {
    /// The robot file.
    pub robot: PathBuf,
    /// The log.
    pub log: PathBuf,
    /// The field.
    pub field: String,
    /// What the robot file says.
    pub given: String,
    /// What the log's robot file says.
    pub recorded: String,
}

/// Refuses a robot file of another arm than that of the log, whose own robot file is `recorded`.
pub(super) fn same_arm(job: &Job<'_>, recorded: &Config) -> Result<(), RecropError> {
    let (here, there) = (&job.config.envelope, &recorded.envelope);
    let names = |joints: &[Joint]| {
        let names: Vec<&str> = joints.iter().map(|joint| joint.name.as_str()).collect();
        names.join(", ")
    };
    let mut fields = vec![
        (
            "period_s".to_owned(),
            job.config.period_s.to_string(),
            recorded.period_s.to_string(),
        ),
        (
            "action".to_owned(),
            format!("{:?}", here.mode()),
            format!("{:?}", there.mode()),
        ),
        ("joints".to_owned(), names(here.joints()), names(there.joints())),
    ];
    for (index, (a, b)) in here.joints().iter().zip(there.joints()).enumerate() {
        let position = |joint: &Joint| format!("({}, {})", joint.position_min_rad, joint.position_max_rad);
        for (field, given, was) in [
            ("position_rad", position(a), position(b)),
            (
                "velocity_max_rad_s",
                a.velocity_max_rad_s.to_string(),
                b.velocity_max_rad_s.to_string(),
            ),
            (
                "acceleration_max_rad_s2",
                a.acceleration_max_rad_s2.to_string(),
                b.acceleration_max_rad_s2.to_string(),
            ),
            ("home_rad", a.home_rad.to_string(), b.home_rad.to_string()),
        ] {
            fields.push((format!("joints[{index}].{field}"), given, was));
        }
    }
    let other = |field: String, given: String, recorded: String| {
        RecropError::OtherArm(Box::new(OtherArm {
            robot: job.robot.to_owned(),
            log: job.from.to_owned(),
            field,
            given,
            recorded,
        }))
    };
    if let Some((field, given, recorded)) = fields.into_iter().find(|(_, given, recorded)| given != recorded)
    {
        return Err(other(field, given, recorded));
    }
    if here != there {
        let field = if here.chain() == there.chain() {
            "workspace_m"
        } else {
            "links"
        };
        return Err(other(
            field.to_owned(),
            "another".to_owned(),
            "that of its own robot file".to_owned(),
        ));
    }
    Ok(())
}
