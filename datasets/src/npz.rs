//! Episodes of PlaNet and Dreamer: one `.npz` each, with `image` `[T, H, W, 3]`, `action` `[T, A]` and `reward` `[T]`.
//!
//! Three layouts go by these names ([`Rows`]). The usual one begins with a row of zeros, the action before the first picture: what
//! does not is refused unless it is said which one it is, as a model of actions that are a period off learns little.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::RgbImage;
use npyz::{NpyFile, TypeChar};
use robot::{Frame, JointVec, MAX_JOINTS};
use zip::ZipArchive;

use crate::recording::{Imported, LastReward, Recording, Source, Step, rewards_to_next};
use crate::{DatasetError, picture};

/// Names under which the pictures go.
const IMAGES: [&str; 2] = ["image", "observation"];

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

/// The episodes (`*.npz`) in `dir`, sorted by name.
///
/// # Errors
/// [`DatasetError::Empty`] if there are none.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let entries = std::fs::read_dir(dir).map_err(|error| DatasetError::io(dir, "cannot list", error))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "npz"))
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(DatasetError::Empty {
            path: dir.to_owned(),
            what: "no .npz file is here",
        });
    }
    Ok(found)
}

/// How many numbers an action of the episode `path` has.
///
/// # Errors
/// [`DatasetError`].
pub fn action_width(path: &Path) -> Result<usize, DatasetError> {
    let mut archive = open(path)?;
    let (shape, _) = floats(path, &mut archive, "action")?;
    width(path, &shape)
}

/// Writes the episodes `files` as run logs into `out`. `rows` says how they are laid out, if they do not show it by themselves,
/// `last` what becomes of a reward after the last picture. `done` hears of each one.
///
/// # Errors
/// [`DatasetError`]; the logs written until then are whole.
pub fn import(
    files: &[PathBuf],
    out: &Path,
    source: &Source,
    rows: Option<Rows>,
    last: LastReward,
    done: &mut dyn FnMut(usize, usize),
) -> Result<Imported, DatasetError> {
    let mut imported = Imported::default();
    for (index, path) in files.iter().enumerate() {
        let (mut recording, clipped) = read(path, rows)?;
        recording.index = index as u64;
        recording.task.clone_from(&source.info.task);
        let joints = source.info.joint_names.len();
        if recording
            .steps
            .first()
            .is_some_and(|step| step.action.len() != joints)
        {
            let problem = format!("is not of {joints} numbers as in the first episode");
            return Err(DatasetError::field(
                path,
                "action",
                problem,
                "import the episodes of one task at a time",
            ));
        }
        if rows == Some(Rows::After) && rewards_to_next(&mut recording.steps, last) {
            imported.last_rewards += 1;
        }
        imported.write(out, source, &recording)?;
        imported.clipped += clipped;
        done(index + 1, files.len());
    }
    Ok(imported)
}

/// An episode, its rewards still in their rows, and how many of its actions were beyond [-1, 1].
///
/// # Errors
/// [`DatasetError`], naming the array.
pub fn read(path: &Path, rows: Option<Rows>) -> Result<(Recording, u64), DatasetError> {
    let mut archive = open(path)?;
    let frames = pictures(path, &mut archive)?;
    let (shape, actions) = floats(path, &mut archive, "action")?;
    let width = width(path, &shape)?;
    let (_, rewards) = floats(path, &mut archive, "reward")?;
    let length = frames.len();
    for (field, found) in [("action", actions.len() / width), ("reward", rewards.len())] {
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
    for (field, values) in [("action", &actions), ("reward", &rewards)] {
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
    if let Some(at) = later_start(path, &mut archive)? {
        let problem = format!("row {at} begins another episode");
        let remedy =
            "save each episode in a file of its own: a model must not learn what leads from one to the next";
        return Err(DatasetError::field(path, "is_first", problem, remedy));
    }
    let clipped = actions.iter().filter(|value| value.abs() > 1.0).count() as u64;
    let steps = frames
        .into_iter()
        .enumerate()
        .map(|(t, frame)| {
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

fn open(path: &Path) -> Result<ZipArchive<File>, DatasetError> {
    let file = File::open(path).map_err(|error| DatasetError::io(path, "cannot read", error))?;
    ZipArchive::new(file).map_err(|error| refuse(path, "archive", error.to_string()))
}

fn width(path: &Path, shape: &[u64]) -> Result<usize, DatasetError> {
    match shape {
        [_, width @ 1..=8] => Ok(*width as usize),
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

/// An array's bytes, whole.
fn entry(path: &Path, archive: &mut ZipArchive<File>, name: &str) -> Result<Option<Vec<u8>>, DatasetError> {
    let mut file = match archive.by_name(&format!("{name}.npy")) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(refuse(path, name, error.to_string())),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|error| refuse(path, name, error.to_string()))?;
    Ok(Some(bytes))
}

fn floats(
    path: &Path,
    archive: &mut ZipArchive<File>,
    name: &str,
) -> Result<(Vec<u64>, Vec<f32>), DatasetError> {
    let bytes = entry(path, archive, name)?.ok_or_else(|| refuse(path, name, "is missing"))?;
    let damaged = |error: std::io::Error| refuse(path, name, error.to_string());
    let array = NpyFile::new(&bytes[..]).map_err(damaged)?;
    in_rows(path, name, &array)?;
    let shape = array.shape().to_vec();
    let npyz::DType::Plain(kind) = array.dtype() else {
        return Err(refuse(path, name, "is no array of numbers"));
    };
    let values = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => array.into_vec::<f32>(),
        (TypeChar::Float, 8) => array
            .into_vec::<f64>()
            .map(|values| values.into_iter().map(|value| value as f32).collect()),
        _ => {
            return Err(refuse(
                path,
                name,
                format!("holds {kind}, not float32 or float64"),
            ));
        }
    };
    Ok((shape, values.map_err(damaged)?))
}

/// The row after the first in which an episode begins, where a file says so.
fn later_start(path: &Path, archive: &mut ZipArchive<File>) -> Result<Option<usize>, DatasetError> {
    let name = "is_first";
    let Some(bytes) = entry(path, archive, name)? else {
        return Ok(None);
    };
    let damaged = |error: std::io::Error| refuse(path, name, error.to_string());
    let flags = NpyFile::new(&bytes[..]).and_then(|array| array.into_vec::<bool>());
    Ok(flags
        .map_err(damaged)?
        .iter()
        .skip(1)
        .position(|first| *first)
        .map(|at| at + 1))
}

/// Numbers in another order in memory would come out scrambled.
fn in_rows(path: &Path, name: &str, array: &NpyFile<&[u8]>) -> Result<(), DatasetError> {
    if array.order() == npyz::Order::C || array.shape().len() < 2 {
        return Ok(());
    }
    let problem = "is stored column by column (Fortran order)";
    Err(DatasetError::field(
        path,
        name,
        problem,
        "save it through `np.ascontiguousarray`",
    ))
}

fn pictures(path: &Path, archive: &mut ZipArchive<File>) -> Result<Vec<Frame>, DatasetError> {
    let mut found = None;
    for name in IMAGES {
        if let Some(bytes) = entry(path, archive, name)? {
            found = Some((name, bytes));
            break;
        }
    }
    let (name, bytes) = found.ok_or_else(|| refuse(path, IMAGES[0], "is missing"))?;
    let damaged = |error: std::io::Error| refuse(path, name, error.to_string());
    let array = NpyFile::new(&bytes[..]).map_err(damaged)?;
    in_rows(path, name, &array)?;
    let &[_, height @ 1..=65535, width @ 1..=65535, 3] = array.shape() else {
        let problem = format!("has the shape {:?}", array.shape());
        return Err(refuse(path, name, problem));
    };
    let (height, width) = (height as u32, width as u32);
    let pixels = array.into_vec::<u8>().map_err(damaged)?;
    let size = (height * width * 3) as usize;
    pixels
        .chunks_exact(size)
        .map(|pixels| {
            RgbImage::from_raw(width, height, pixels.to_vec())
                .map(|picture| picture::square(&picture))
                .ok_or_else(|| refuse(path, name, "has no pixels"))
        })
        .collect()
}
