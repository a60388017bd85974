//! Episodes of PlaNet and Dreamer: one `.npz` each, with `image` `[T, H, W, 3]`, `action` `[T, A]` and `reward` `[T]`.
//!
//! Three layouts go by these names ([`Rows`]). The usual one begins with a row of zeros, the action before the first picture: what
//! does not is refused unless it is said which one it is, as a model of actions that are a period off learns little.

mod arrays;

use std::path::{Path, PathBuf};

use robot::{JointVec, MAX_JOINTS};

use self::arrays::Archive;
use crate::recording::{Imported, LastReward, Recording, Source, Step, rewards_to_next};
use crate::{DatasetError, folder};

/// How episodes are imported.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How they are laid out, if they do not show it by themselves.
    pub rows: Option<Rows>,
    /// Whether one that cannot be used refuses all.
    pub strict: bool,
    /// What becomes of a reward after the last picture.
    pub last_reward: LastReward,
}

/// Flags that mark the end of an episode, which must not come before its last row.
const ENDS: [&str; 2] = ["is_last", "is_terminal"];

/// The array that names the reward in logs.
const REWARD: &str = "reward";

/// Which action and reward row t of an episode holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Those that led to picture t: Dreamer, and PlaNet in its later form.
    Before,
    /// The action taken at picture t, and the reward it brought: PlaNet in its earlier form.
    After,
    /// The action taken at picture t, and the reward that came with the picture: the third Dreamer.
    ActionAfter,
}

/// The episodes (`*.npz`) in `dir`, sorted by name. Hidden files are passed over.
///
/// # Errors
/// [`DatasetError::Empty`] if there are none.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = folder::sorted(dir)?;
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
    });
    if found.is_empty() {
        return Err(DatasetError::Empty {
            path: dir.to_owned(),
            what: "neither meta/info.json of a LeRobotDataset nor an .npz file is here",
        });
    }
    Ok(found)
}

/// How many numbers an action has, by the first of the episodes `files` that says so.
///
/// # Errors
/// [`DatasetError`] of the first episode if none does.
pub fn action_width(files: &[PathBuf]) -> Result<usize, DatasetError> {
    let mut first = None;
    for path in files {
        let found = guarded(path, || {
            let action = Archive::open(path)?.floats("action")?;
            let action = action.ok_or_else(|| refuse(path, "action", "is missing"))?;
            width(path, &action.shape)
        });
        match found {
            Ok(width) => return Ok(width),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(DatasetError::Empty {
        path: PathBuf::new(),
        what: "there is no episode",
    }))
}

/// Writes the episodes `files` of `dir` as run logs into `out`. An episode that cannot be used is left out and named in the
/// report. `done` hears of each one.
///
/// # Errors
/// [`DatasetError`]; the logs written until then are whole. [`DatasetError::NothingLeft`] if no episode can be used.
pub fn import(
    dir: &Path,
    files: &[PathBuf],
    out: &Path,
    source: &Source,
    options: Options,
    done: &mut dyn FnMut(usize, usize),
) -> Result<Imported, DatasetError> {
    let mut imported = Imported::default();
    imported.report.episodes_found = files.len() as u64;
    imported.report.reward = Some(REWARD.to_owned());
    let joints = source.info.joint_names.len();
    for (index, path) in files.iter().enumerate() {
        let read = read(path, options.rows, source.frame_side).and_then(|(recording, clipped)| {
            let width = recording.steps.first().map_or(0, |step| step.action.len());
            if width == joints && recording.steps.len() > 1 {
                return Ok((recording, clipped));
            }
            Err(match width == joints || recording.steps.is_empty() {
                true => refuse(
                    path,
                    "image",
                    format!("has {} pictures, and two make a step", recording.steps.len()),
                ),
                false => {
                    let problem = format!("is of {width} numbers, and of {joints} in the first episode");
                    DatasetError::field(
                        path,
                        "action",
                        problem,
                        "import the episodes of one task at a time",
                    )
                }
            })
        });
        match read {
            Ok((mut recording, clipped)) => {
                imported.report.rows_found += recording.steps.len() as u64;
                recording.index = index as u64;
                // A file holds a whole episode.
                recording.ended = true;
                recording.task.clone_from(&source.info.task);
                if options.rows == Some(Rows::After)
                    && rewards_to_next(&mut recording.steps, options.last_reward)
                {
                    imported.last_rewards += 1;
                }
                imported.write(out, source, &recording)?;
                imported.episodes += 1;
                imported.clipped += clipped;
            }
            // The message names the file.
            Err(error) if options.strict || files.len() == 1 => return Err(error),
            Err(error) => {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                imported.report.leave_out(name, error.to_string());
            }
        }
        done(index + 1, files.len());
    }
    if imported.logs.is_empty() {
        let reasons = imported.report.findings.iter().take(5);
        let reasons: Vec<&str> = reasons.map(|found| found.what.as_str()).collect();
        return Err(DatasetError::NothingLeft {
            path: dir.to_owned(),
            reasons: reasons.join("; "),
        });
    }
    Ok(imported)
}

/// An episode with pictures of `side` x `side` pixels, its rewards still in their rows, and how many of its actions were beyond [-1, 1].
///
/// # Errors
/// [`DatasetError`], naming the array.
pub fn read(path: &Path, rows: Option<Rows>, side: usize) -> Result<(Recording, u64), DatasetError> {
    guarded(path, || read_arrays(path, rows, side))
}

/// What the libraries for archives and arrays make of a file. A panic of them is the file's fault here.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, DatasetError>) -> Result<T, DatasetError> {
    files::guarded(read).unwrap_or_else(|panic| Err(refuse(path, "archive", panic.to_string())))
}

fn read_arrays(path: &Path, rows: Option<Rows>, side: usize) -> Result<(Recording, u64), DatasetError> {
    let mut archive = Archive::open(path)?;
    let frames = archive.pictures(side)?;
    let missing = |field: &str| refuse(path, field, "is missing");
    let action = archive.floats("action")?.ok_or_else(|| missing("action"))?;
    let width = width(path, &action.shape)?;
    let actions = action.values;
    let rewards = archive.floats(REWARD)?.ok_or_else(|| missing(REWARD))?;
    if !matches!(rewards.shape[..], [_] | [_, 1]) {
        let problem = format!("has the shape {:?}, not [T]", rewards.shape);
        return Err(refuse(path, REWARD, problem));
    }
    let rewards = rewards.values;
    let length = frames.len();
    let firsts = archive.flags("is_first")?;
    let mut lengths = vec![("action", actions.len() / width), (REWARD, rewards.len())];
    lengths.extend(firsts.iter().map(|flags| ("is_first", flags.len())));
    let mut ends = Vec::new();
    for name in ENDS {
        if let Some(flags) = archive.ends(name)? {
            lengths.push((name, flags.len()));
            ends.push((name, flags));
        }
    }
    for (field, found) in lengths {
        if found != length {
            let problem = format!("has {found} rows, there are {length} pictures");
            return Err(DatasetError::field(
                path,
                field,
                problem,
                "save the episode again",
            ));
        }
    }
    for (field, values) in [("action", &actions), (REWARD, &rewards)] {
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("element {at} is {}", values[at]);
            return Err(DatasetError::field(
                path,
                field,
                problem,
                "leave this episode out",
            ));
        }
    }
    if rows.is_none() && actions.iter().take(width).any(|value| *value != 0.0) {
        let problem = "begins with an action before there was a picture to act on";
        let remedy = "say what a row holds: --rows before if the action and the reward that led to its picture, --rows after if the \
                      action taken there and the reward it brought, --rows action-after if that action and the picture's own reward";
        return Err(DatasetError::field(path, "action", problem, remedy));
    }
    let remedy =
        "save each episode in a file of its own: a model must not learn what leads from one to the next";
    let mut began = firsts.iter().flat_map(|flags| flags.iter().enumerate().skip(1));
    if let Some((at, _)) = began.find(|(_, first)| **first) {
        return Err(DatasetError::field(
            path,
            "is_first",
            format!("row {at} begins another episode"),
            remedy,
        ));
    }
    for (name, flags) in &ends {
        let mut before_last = flags.iter().take(length.saturating_sub(1));
        if let Some(at) = before_last.position(|end| *end) {
            let problem = format!("row {at} ends the episode, and rows follow it");
            return Err(DatasetError::field(path, *name, problem, remedy));
        }
    }
    let clipped = actions.iter().filter(|value| value.abs() > 1.0).count() as u64;
    let steps = frames
        .into_iter()
        .enumerate()
        .map(|(t, frame)| {
            let tick = t as u32;
            let row = |t: usize| -> JointVec {
                let row = &actions[t * width..(t + 1) * width];
                row.iter().map(|value| value.clamp(-1.0, 1.0)).collect()
            };
            let none = || robot::joint::zeros(width);
            // The action sent at t led to picture t + 1; none was after the last that there is.
            let sent = t + 1 < length;
            let (led_here, action) = match rows {
                Some(Rows::After | Rows::ActionAfter) => (if t == 0 { none() } else { row(t - 1) }, row(t)),
                _ => (row(t), if sent { row(t + 1) } else { none() }),
            };
            let action = if sent { action } else { none() };
            Step {
                tick,
                frame,
                reward: Some(rewards[t]),
                // Nothing measured the actuators: they were where they were told to be.
                position_rad: led_here,
                velocity_rad_s: robot::joint::zeros(width),
                set_point_rad: action.clone(),
                action,
                sent,
            }
        })
        .collect();
    let recording = Recording {
        steps,
        ..Recording::default()
    };
    Ok((recording, clipped))
}

fn width(path: &Path, shape: &[u64]) -> Result<usize, DatasetError> {
    match shape {
        [_, width] if (1..=MAX_JOINTS as u64).contains(width) => Ok(*width as usize),
        _ => Err(refuse(
            path,
            "action",
            format!("has the shape {shape:?}, not [T, A] with A from 1 to {MAX_JOINTS}"),
        )),
    }
}

fn refuse(path: &Path, field: &str, problem: impl Into<String>) -> DatasetError {
    let remedy = "an episode holds `image` [T, H, W, 3] uint8, `action` [T, A] and `reward` [T], and `is_first` [T] bool or none";
    DatasetError::field(path, field, problem, remedy)
}
