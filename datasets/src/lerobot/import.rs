//! A LeRobotDataset to run logs, as far as it agrees with itself.
//!
//! A data set says most things twice: totals, lengths, tasks, the place of each row and of each picture. [`Dataset::open`]
//! compares them in a first pass, in which nothing is written. [`Dataset::import`] then reads rows and pictures, and writes the
//! logs. What does not agree is left out and named in the [`Report`], or refused if the import is strict.

mod cameras;
mod drafts;
mod episodes;
mod meta;
mod order;
mod ranges;
mod survey;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use episode::EpisodeInfo;
use robot::MAX_JOINTS;
use robot::config::made::Actuator;

use self::cameras::Choice;
use self::episodes::{Place, Table};
use self::meta::Info;
use self::survey::{Planned, Said, short, survey};
use self::writing::Writing;
use super::layout::{self, Own};
use super::video::{self, Stretch, Trust};
use super::{columns, json};
use crate::recording::{Imported, LastReward, Source};
use crate::{DatasetError, Report, folder};

/// How a data set is imported.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The camera to take, such as `observation.images.front`; the first with colours if `None`.
    pub camera: Option<String>,
    /// Whether a data set that does not agree with itself is refused.
    pub strict: bool,
    /// Whether an episode's pictures are taken where its own stretch of a video agrees with its rows, even if the video has more
    /// or fewer frames than all of its episodes promise.
    pub trust_video_times: bool,
    /// What becomes of the reward of an episode's last action.
    pub last_reward: LastReward,
}

/// A data set that was looked into.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    options: Options,
    info: Info,
    camera: Choice,
    own: Option<Own>,
    robot_text: Option<String>,
    actuators: Vec<Actuator>,
    tasks: BTreeMap<i64, String>,
    files: Vec<PathBuf>,
    episodes: Vec<Planned>,
    /// The stretch of a video of each episode that is taken.
    places: BTreeMap<u64, Place>,
    report: Report,
}

/// The widest range of goals: its speed must still be a number.
const WIDEST_RANGE: f32 = 1e9;

impl Dataset {
    /// Looks into the data set in `root` and compares what it says.
    ///
    /// # Errors
    /// [`DatasetError`], naming file, field and remedy; [`DatasetError::NothingLeft`] if no episode is sound;
    /// [`DatasetError::Disagrees`] if something disagrees and `options` are strict.
    pub fn open(root: &Path, options: Options) -> Result<Self, DatasetError> {
        let path = layout::info_path(root);
        let info = Info::read(root)?;
        let mut report = Report::default();
        let camera = cameras::choose(&path, &info, options.camera.as_deref())?;
        report.camera.clone_from(&camera.name);
        report.cameras_passed_over.clone_from(&camera.passed_over);
        let names = joint_names(&path, &info, &mut report)?;
        let own = own(root, &info, &names)?;
        let tasks = meta::tasks(&layout::tasks_path(root))?;
        let of_camera = camera
            .is_video
            .then_some((camera.name.as_str(), info.video_path.as_str()));
        let table = episodes::read(root, of_camera)?;
        totals(&info, &table, tasks.len(), &mut report);
        let files = folder::tables(&root.join("data"))?;
        let said = Said {
            root,
            files: &files,
            fps: info.fps,
            joints: names.len(),
            tasks: &tasks,
            table: &table,
        };
        let found = survey(&said, &mut report)?;
        absent(root, &table, &found.episodes, &mut report);
        let actuators = joints(&path, names, &found.ranges, own.is_some(), &mut report)?;
        let reward = if own.is_some() {
            layout::REWARD
        } else {
            layout::NEXT_REWARD
        };
        report.reward = info.features.contains_key(reward).then(|| reward.to_owned());
        let (own, robot_text) = own.unzip();
        let mut dataset = Self {
            root: root.to_owned(),
            options,
            info,
            camera,
            own,
            robot_text,
            actuators,
            tasks,
            files,
            episodes: found.episodes,
            places: BTreeMap::new(),
            report,
        };
        if dataset.camera.is_video {
            dataset.pair_videos(&table)?;
        }
        dataset.sound(&dataset.report, dataset.episodes.len())?;
        Ok(dataset)
    }

    /// What the logs say of themselves. Joint mapping and file hash are the caller's to fill in for data that is not an export
    /// of ours.
    pub fn info(&self) -> EpisodeInfo {
        match &self.own {
            Some(own) => own.clone().info(),
            None => EpisodeInfo {
                robot: self
                    .info
                    .robot_type
                    .clone()
                    .unwrap_or_else(|| "lerobot".to_owned()),
                policy: "lerobot".to_owned(),
                pipeline: "immediate".to_owned(),
                period_s: (1.0 / self.info.fps) as f32,
                joint_names: self
                    .actuators
                    .iter()
                    .map(|actuator| actuator.name.clone())
                    .collect(),
                reward_source: self.report.reward.clone().unwrap_or_else(|| "none".to_owned()),
                ..EpisodeInfo::default()
            },
        }
    }

    /// The robot file that an export of ours carries.
    pub fn robot_text(&self) -> Option<&str> {
        self.robot_text.as_deref()
    }

    /// Joints, and the ranges that their goals have in the data: what -1 and 1 are to be.
    pub fn actuators(&self) -> &[Actuator] {
        &self.actuators
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
        let mut writing = Writing::begin(self, out, source);
        for (file, path) in self.files.iter().enumerate() {
            let mut next = 0;
            for batch in columns::open(path, None)? {
                let batch = batch.map_err(|error| DatasetError::parquet(path, error.into()))?;
                let rows = columns::Rows { path, batch };
                writing.take(file, next, &rows)?;
                next += rows.len() as u32;
                done(rows.len() as u64);
            }
        }
        let imported = writing.finish();
        self.sound(&imported.report, imported.logs.len())?;
        Ok(imported)
    }

    /// Refuses what has nothing `left`, and what disagrees where that is not allowed.
    fn sound(&self, report: &Report, left: usize) -> Result<(), DatasetError> {
        let words = |found: &crate::Finding| format!("{}: {}", found.place, found.what);
        if left == 0 {
            let reasons: Vec<String> = report.findings.iter().take(5).map(words).collect();
            return Err(DatasetError::NothingLeft {
                path: self.root.clone(),
                reasons: reasons.join("; "),
            });
        }
        match report.findings.first() {
            Some(first) if self.options.strict => Err(DatasetError::Disagrees {
                path: self.root.clone(),
                count: report.findings.len(),
                first: words(first),
            }),
            _ => Ok(()),
        }
    }

    /// Compares videos with their episodes, and leaves out those whose pictures cannot be believed.
    fn pair_videos(&mut self, table: &Table) -> Result<(), DatasetError> {
        let fps = self.info.fps;
        let mut wrong: BTreeMap<u64, String> = BTreeMap::new();
        let mut files: BTreeMap<PathBuf, Vec<Stretch>> = BTreeMap::new();
        let rows: BTreeMap<u64, &Planned> = self
            .episodes
            .iter()
            .map(|episode| (episode.number, episode))
            .collect();
        for (number, promised) in &table.0 {
            let Some(place) = &promised.video else {
                wrong.insert(
                    *number,
                    format!("{} does not say where its video is", layout::EPISODES),
                );
                continue;
            };
            let planned = rows.get(number);
            if planned.is_some_and(|planned| planned.restarted) {
                let what =
                    "it begins again within itself: nothing tells which pictures belong to which of its rows";
                wrong.insert(*number, what.to_owned());
            }
            files.entry(place.file.clone()).or_default().push(Stretch {
                episode: *number,
                from_s: place.from_s,
                to_s: place.to_s,
                length_s: promised.length as f64 / fps,
                rows_s: planned
                    .map(|planned| planned.rows.iter().map(|(row, _)| row.time_s).collect())
                    .unwrap_or_default(),
            });
        }
        let trust = match self.options.trust_video_times {
            true => Trust::EachEpisode,
            false => Trust::WholeFile,
        };
        for (file, stretches) in files {
            let name = short(&self.root, &file);
            let found = match file.is_file() {
                true => video::pair(
                    &video::times(&file)?,
                    self.camera.video_fps,
                    fps,
                    &stretches,
                    trust,
                ),
                false => {
                    let missing = |stretch: &Stretch| (stretch.episode, "the video is not here".to_owned());
                    stretches.iter().map(missing).collect()
                }
            };
            for (episode, reason) in found {
                wrong.entry(episode).or_insert(format!("{name}: {reason}"));
            }
        }
        let (places, report) = (&mut self.places, &mut self.report);
        self.episodes.retain(|episode| match wrong.get(&episode.number) {
            None => {
                if let Some(place) = table
                    .0
                    .get(&episode.number)
                    .and_then(|promised| promised.video.clone())
                {
                    places.insert(episode.number, place);
                }
                true
            }
            Some(reason) => {
                report.leave_out(format!("episode {}", episode.number), reason.clone());
                false
            }
        });
        Ok(())
    }
}

/// The names of the joints that actions are for.
fn joint_names(path: &Path, info: &Info, report: &mut Report) -> Result<Vec<String>, DatasetError> {
    let field = "features.action";
    let action = info.features.get(layout::ACTION).ok_or_else(|| {
        DatasetError::field(
            path,
            field,
            "is missing",
            "give a data set with actions, one number a joint",
        )
    })?;
    let width = match action.shape[..] {
        [width] if (1..=MAX_JOINTS as u64).contains(&width) => width as usize,
        _ => {
            let problem = format!("has the shape {:?}", action.shape);
            let remedy =
                format!("actions are vectors of 1 to {MAX_JOINTS} joints, the most that can be driven");
            return Err(DatasetError::field(
                path,
                format!("{field}.shape"),
                problem,
                remedy,
            ));
        }
    };
    let names = action.element_names();
    let said =
        |problem: String| format!("features.action.names {problem}: joints are called joint-0 and so on");
    let problem = if names.is_empty() {
        None
    } else if names.len() != width {
        Some(said(format!("has {} names for {width} numbers", names.len())))
    } else {
        let unsound = |(at, name): (usize, &String)| name.trim().is_empty() || names[..at].contains(name);
        let found = names.iter().enumerate().find(|(at, name)| unsound((*at, name)));
        found.map(|(_, name)| said(format!("has {name:?} twice, or empty")))
    };
    if names.is_empty() || problem.is_some() {
        if let Some(problem) = problem {
            report.note("meta/info.json", problem);
        }
        return Ok((0..width).map(|index| format!("joint-{index}")).collect());
    }
    Ok(names)
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
    let text = std::io::read_to_string(folder::open(&robot)?);
    let text = text.map_err(|error| DatasetError::io(&robot, "cannot read", error))?;
    Ok(Some((own, text)))
}

/// Compares the totals of `meta/info.json` with the tables.
fn totals(info: &Info, table: &Table, tasks: usize, report: &mut Report) {
    let rows: u64 = table
        .0
        .values()
        .map(|episode| episode.length)
        .fold(0, u64::saturating_add);
    let episodes = table.0.len() as u64;
    report.episodes_promised = Some(episodes.max(info.total_episodes.unwrap_or(0)));
    report.rows_promised = Some(rows.max(info.total_frames.unwrap_or(0)));
    for (field, said, found, of) in [
        ("total_episodes", info.total_episodes, episodes, layout::EPISODES),
        ("total_frames", info.total_frames, rows, layout::EPISODES),
        (
            "total_tasks",
            info.total_tasks,
            tasks as u64,
            "meta/tasks.parquet",
        ),
    ] {
        if let Some(said) = said
            && said != found
        {
            report.note("meta/info.json", format!("{field} is {said}, {of} has {found}"));
        }
    }
}

/// Tells of episodes that the table has and that have no rows.
fn absent(root: &Path, table: &Table, found: &[Planned], report: &mut Report) {
    let here: std::collections::BTreeSet<u64> = found.iter().map(|episode| episode.number).collect();
    let told: Vec<String> = report.findings.iter().map(|found| found.place.clone()).collect();
    for (number, promised) in &table.0 {
        let place = format!("episode {number}");
        if here.contains(number) || told.contains(&place) {
            continue;
        }
        let file = promised
            .data
            .map(|(chunk, file)| root.join(format!("data/chunk-{chunk:03}/file-{file:03}.parquet")));
        let missing = file.filter(|file| !file.exists());
        let why = missing.map(|file| format!(", and {} is missing", short(root, &file)));
        report.leave_out(
            place,
            format!(
                "{} rows are promised, none is here{}",
                promised.length,
                why.unwrap_or_default()
            ),
        );
    }
}

/// The joints with their ranges.
fn joints(
    path: &Path,
    names: Vec<String>,
    ranges: &[ranges::Range],
    own: bool,
    report: &mut Report,
) -> Result<Vec<Actuator>, DatasetError> {
    let mut actuators = Vec::new();
    for (name, range) in names.into_iter().zip(ranges) {
        let actuator = range.actuator(name);
        let name = actuator.name.clone();
        if !(actuator.high - actuator.low < WIDEST_RANGE) {
            let outliers = range.outliers();
            let (low, high) = (actuator.low, actuator.high);
            let whose = outliers.and_then(|found| found.rows.first().copied());
            let whose = whose.map(|(episode, frame, _)| format!(" (see episode {episode}, frame {frame})"));
            let problem = format!(
                "goals of `{name}` go from {low} to {high}{}",
                whose.unwrap_or_default()
            );
            return Err(DatasetError::field(
                path,
                "features.action",
                problem,
                "leave that episode out, or repair it",
            ));
        }
        // An export of ours has its actions beside the goals; no range is made of them.
        if !own && range.rests() {
            let (low, high) = range.ends();
            report.joints_at_rest.push(format!(
                "{name} stays between {low} and {high}; its actions are small"
            ));
        }
        if !own && let Some(found) = range.outliers() {
            let (episode, frame, goal) = found.rows[0];
            report.joints_stretched.push(format!(
                "{name}: {} alone (episode {episode}, frame {frame}: {goal}) make its range {} to {}; without, it is {} to {}",
                match found.rows.len() {
                    1 => "1 row".to_owned(),
                    rows => format!("{rows} rows"),
                },
                actuator.low,
                actuator.high,
                found.rest.0,
                found.rest.1
            ));
        }
        actuators.push(actuator);
    }
    Ok(actuators)
}
