//! Folders that a check works in.

use std::path::Path;

use anyhow::Context;

/// Does `work` in a new folder below `out` whose name begins with `name`. It is removed after a success, and kept for a look after a
/// failure.
pub(crate) fn within(
    root: &Path,
    name: &str,
    work: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    kept_if(false, root, name, work)
}

/// [`within`] a folder that `keep` keeps, and names, also after a success.
pub(crate) fn kept_if(
    keep: bool,
    root: &Path,
    name: &str,
    work: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let out = root.join("out");
    std::fs::create_dir_all(&out).with_context(|| format!("{}: cannot make the folder", out.display()))?;
    // Made exclusively, under a name that nobody can have used: what is removed at the end is ours.
    let folder = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(&out)
        .with_context(|| format!("{}: cannot make a folder in it", out.display()))?;
    match work(folder.path()) {
        Ok(()) if keep => {
            println!("what was made is in {}", folder.keep().display());
            Ok(())
        }
        Ok(()) => folder
            .close()
            .with_context(|| format!("{}: cannot remove a folder in it", out.display())),
        Err(error) => Err(error.context(format!("what was made is in {}", folder.keep().display()))),
    }
}
