//! Which logs are meant, and what the new ones are called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::RecropError;

/// A log, and the name of the new one in the new folder.
pub(super) struct Input {
    pub(super) log: PathBuf,
    pub(super) name: PathBuf,
}

/// The logs in `runs`, each a log or a folder of them.
pub(super) fn inputs(runs: &[PathBuf]) -> Result<Vec<Input>, RecropError> {
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
                return Err(RecropError::SameName {
                    first,
                    second: input.log,
                    name: input.name,
                });
            }
            inputs.push(input);
        }
    }
    Ok(inputs)
}
