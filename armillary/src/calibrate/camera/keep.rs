//! Writing a camera's calibration: first its file, then the robot file that names it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use robot::Config;
use robot::config::edit;
use vision::CameraFile;

use super::Measured;

/// Writes the lens as `name` beside the robot file at `path`, and its numbers and name into the robot file. `made` is the date and time. The file
/// that was written.
///
/// # Errors
/// A lens that must not be used, a file of somebody else's in the way, and a robot file that cannot be changed.
pub fn keep(
    path: &Path,
    name: &str,
    made: &str,
    config: &Config,
    measured: &Measured,
) -> anyhow::Result<PathBuf> {
    if !measured.found.verdict.is_accepted() {
        bail!("{}; nothing was written", measured.found.verdict);
    }
    let file = CameraFile::new(&config.name, made, measured.size_px, &measured.found);
    let lens = &file.lens;
    let value = format!(
        "(fx_px: {:.3}, fy_px: {:.3}, cx_px: {:.3}, cy_px: {:.3}, k1: {:.6}, k2: {:.6}, p1: {:.6}, p2: {:.6})",
        lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px, lens.k1, lens.k2, lens.p1, lens.p2
    );
    let named = format!("{name:?}");
    let lost = || {
        format!(
            "{}: this program cannot change the file; write `calibration: (camera: {named})` and `capture: (lens: {value})` into it",
            path.display()
        )
    };
    let text = robot::config::read(path)?;
    let text = edit::with_field(&text, &["calibration", "camera"], &named)
        .or_else(|| edit::with_field(&text, &["calibration"], &format!("(camera: {named})")))
        .with_context(lost)?;
    let text = edit::with_field(&text, &["capture", "lens"], &value).with_context(lost)?;
    Config::parse(path, text.clone())?;
    let beside = path.with_file_name(name);
    let is_ours =
        |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| CameraFile::parse(&beside, text).is_ok());
    files::put(&beside, file.to_text().as_bytes(), &is_ours)?;
    files::replace(path, text.as_bytes())?;
    Ok(beside)
}
