//! Which logs are meant, and what the new ones are called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use episode::EpisodeError;

/// A log, and the name of the new one in the new folder.
pub(crate) struct Input {
    pub(crate) log: PathBuf,
    pub(crate) name: PathBuf,
}

/// Two logs would get the same name.
#[derive(Debug, thiserror::Error)]
#[error(
    "{first} and {second} would both become {name} in the new folder; give one folder that holds both, or do them one by one"
)]
pub struct SameName {
    /// One of them.
    pub first: PathBuf,
    /// The other.
    pub second: PathBuf,
    /// The name.
    pub name: PathBuf,
}

/// Why the logs are not known.
pub(crate) enum InputError {
    Log(EpisodeError),
    SameName(SameName),
}

impl From<EpisodeError> for InputError {
    fn from(error: EpisodeError) -> Self {
        Self::Log(error)
    }
}

/// The logs in `runs`, each a log or a folder of them.
pub(crate) fn inputs(runs: &[PathBuf]) -> Result<Vec<Input>, InputError> {
    let mut inputs: Vec<Input> = Vec::new();
    let mut names: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for run in runs {
        let own = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
        let found = if run.is_dir() {
            let folder = if runs.len() > 1 { own(run) } else { PathBuf::new() };
            episode::list_runs(run)?
                .into_iter()
                .map(|log| {
                    let below = log.strip_prefix(run).map_or_else(|_| own(&log), Path::to_owned);
                    let name = folder.join(below);
                    Input { log, name }
                })
                .collect()
        } else {
            vec![Input {
                name: own(run),
                log: run.clone(),
            }]
        };
        for input in found {
            if let Some(first) = names.insert(input.name.clone(), input.log.clone()) {
                return Err(InputError::SameName(SameName {
                    first,
                    second: input.log,
                    name: input.name,
                }));
            }
            inputs.push(input);
        }
    }
    Ok(inputs)
}
