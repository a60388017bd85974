//! Measured numbers, as JSON.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// Writes an object to `path`, and makes the folder for it. One that was written before is replaced; another file is not.
pub(crate) fn write(path: &Path, mut numbers: Value) -> anyhow::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot make the folder", folder.display()))?;
    }
    numbers["by"] = String::from_utf8_lossy(files::MARK).into();
    files::put(path, &serde_json::to_vec_pretty(&numbers)?, &files::is_marked)?;
    Ok(())
}

/// Whether [`write()`] would write to `path`: for a look before the measurement.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    Ok(files::check(path, &files::is_marked)?)
}
