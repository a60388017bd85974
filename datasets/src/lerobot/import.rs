//! A LeRobotDataset to run logs, as far as it agrees with itself.
//!
//! A data set says most things twice: totals, lengths, tasks, the place of each row and of each picture. [`Dataset::open`]
//! compares them in a first pass, in which nothing is written. [`Dataset::import`] then reads rows and pictures, and writes the
//! logs. What does not agree is left out and named in the [`Report`], or refused if the import is strict.

mod cameras;
mod drafts;
mod episodes;
mod found;
mod goals;
mod joints;
mod meta;
mod order;
mod ranges;
mod survey;
mod totals;
mod videos;
mod writing;

use std::collections::BTreeMap;
use std::path::Path;

use episode::EpisodeInfo;
use robot::Frame;
use robot::config::Pipeline;
use robot::config::made::Actuator;

use self::found::Found;
pub use self::found::Options;
use self::meta::Info;
use self::survey::{Said, short, survey};
use self::writing::Writing;
use super::layout::{self, Own};
use super::{columns, json};
use crate::recording::{Imported, Source};
use crate::{DatasetError, Report, folder};

/// A data set that was looked into.
#[derive(Debug)]
pub struct Dataset {
    found: Found,
    robot_text: Option<String>,
}

impl Dataset {
    /// Looks into the data set in `root` and compares what it says.
    ///
    /// # Errors
    /// [`DatasetError`], naming file, field and remedy; [`DatasetError::NothingLeft`] if no episode is sound;
    /// [`DatasetError::Disagrees`] if something disagrees and `options` are strict.
    pub fn open(root: &Path, options: Options) -> Result<Self, DatasetError> {
        super::checksums::verify(root)?;
        let path = layout::info_path(root);
        let info = Info::read(root)?;
        let mut report = Report::default();
        let camera = cameras::choose(&path, &info, options.camera.as_deref())?;
        report.camera.clone_from(&camera.name);
        report.cameras_passed_over.clone_from(&camera.passed_over);
        let names = joints::names(&path, &info, &mut report)?;
        let own = own(root, &info, &names)?;
        let tasks = meta::tasks(&layout::tasks_path(root))?;
        let of_camera = camera
            .is_video
            .then_some((camera.name.as_str(), info.video_path.as_str()));
        let table = episodes::read(root, of_camera)?;
        totals::compare(&info, &table, tasks.len(), &mut report);
        let folder::Tables { files, others } = folder::tables(&root.join("data"))?;
        for other in others {
            let what = "is not named as a part of the data set, and is passed over";
            report.note(short(root, &other), what);
        }
        let said = Said {
            root,
            files: &files,
            fps: info.fps,
            joints: names.len(),
            tasks: &tasks,
            table: &table,
        };
        let mut surveyed = survey(&said, &mut report)?;
        totals::absent(root, &table, &surveyed.here, &mut report);
        report.reward = totals::reward(&info, own.is_some(), &surveyed.columns, &mut report);
        report.positions = totals::positions(&info, names.len(), own.is_some());
        let places = match camera.is_video {
            true => {
                let (rates, trust) = ((camera.video_fps, info.fps), options.trust());
                videos::pair(
                    root,
                    rates,
                    camera.size,
                    trust,
                    &table,
                    &mut surveyed.episodes,
                    &mut report,
                )?
            }
            false => BTreeMap::new(),
        };
        let ranges = goals::ranges(&files, names.len(), &surveyed.episodes)?;
        let actuators = joints::ranged(&path, names, &ranges, own.is_some(), &mut report)?;
        let (own, robot_text) = own.unzip();
        let found = Found {
            root: root.to_owned(),
            options,
            info,
            camera,
            own,
            actuators,
            tasks,
            files,
            episodes: surveyed.episodes,
            places,
            report,
        };
        found.sound(&found.report, found.episodes.len())?;
        Ok(Self { found, robot_text })
    }

    /// What the logs say of themselves. Joint mapping and file hash are the caller's to fill in for data that is not an export
    /// of ours.
    pub fn info(&self) -> EpisodeInfo {
        match &self.found.own {
            Some(own) => own.clone().info(),
            None => EpisodeInfo {
                robot: self
                    .found
                    .info
                    .robot_type
                    .clone()
                    .unwrap_or_else(|| "lerobot".to_owned()),
                policy: "lerobot".to_owned(),
                pipeline: Pipeline::Immediate.name().to_owned(),
                period_s: (1.0 / self.found.info.fps) as f32,
                joint_names: self
                    .found
                    .actuators
                    .iter()
                    .map(|actuator| actuator.name.clone())
                    .collect(),
                reward_source: self
                    .found
                    .report
                    .reward
                    .clone()
                    .unwrap_or_else(|| "none".to_owned()),
                ..EpisodeInfo::default()
            },
        }
    }

    /// The robot file that an export of ours carries.
    pub fn robot_text(&self) -> Option<&str> {
        self.robot_text.as_deref()
    }

    /// Width and height of the pictures of an export of ours, in pixels; 64 for other data.
    pub fn frame_side(&self) -> usize {
        let size = self.found.own.as_ref().and(self.found.camera.size);
        match size.map(|(width, height)| (width as usize, height as usize)) {
            Some((side, height)) if side == height && Frame::allows(side) => side,
            _ => Frame::default().side(),
        }
    }

    /// Joints, and the ranges that their goals have in the data: what -1 and 1 are to be.
    pub fn actuators(&self) -> &[Actuator] {
        &self.found.actuators
    }

    /// Writes the episodes as run logs into `out`. `done` hears of the rows read.
    ///
    /// # Errors
    /// [`DatasetError`]; the logs written until then are whole. [`DatasetError::Disagrees`] if a row cannot be used and the
    /// options are strict, [`DatasetError::NothingLeft`] if no row can.
    pub fn import(
        &self,
        out: &Path,
        source: &Source,
        done: &mut dyn FnMut(u64),
    ) -> Result<Imported, DatasetError> {
        let mut writing = Writing::begin(&self.found, out, source);
        for (file, path) in self.found.files.iter().enumerate() {
            for rows in columns::batches(path, None)? {
                let rows = rows?;
                writing.take(file, &rows)?;
                done(rows.len() as u64);
            }
        }
        let imported = writing.finish();
        self.found.sound(&imported.report, imported.logs.len())?;
        Ok(imported)
    }
}

/// What an export of ours says of itself beside the data set, and its robot file.
fn own(root: &Path, info: &Info, names: &[String]) -> Result<Option<(Own, String)>, DatasetError> {
    let path = layout::own_path(root);
    if !path.exists() {
        return Ok(None);
    }
    let own: Own = json::typed(&path)?;
    let refuse =
        |field: &str, problem: String| DatasetError::field(&path, field, problem, "export the logs again");
    if own.joint_names != names {
        let problem = format!("is {:?}, meta/info.json has {names:?}", own.joint_names);
        return Err(refuse("joint_names", problem));
    }
    if !((f64::from(own.period_s) * info.fps - 1.0).abs() < 1e-3) {
        return Err(refuse(
            "period_s",
            format!(
                "is {}, meta/info.json has {} rows a second",
                own.period_s, info.fps
            ),
        ));
    }
    let robot = layout::robot_path(root);
    let text =
        files::read_to_string(&robot).map_err(|error| DatasetError::io(&robot, "cannot read", error))?;
    let found = robot::text_sha256(text.as_bytes());
    // Logs of data for which nobody made a robot file name none.
    if !text.is_empty() && !own.config_sha256.is_empty() && own.config_sha256 != found {
        let problem = format!(
            "is {}, meta/robot.ron has {found}: one of them was changed",
            own.config_sha256
        );
        return Err(refuse("config_sha256", problem));
    }
    Ok(Some((own, text)))
}
