//! The Python that runs rigs: the package in `bridges/python`, in an environment of its own.

use std::path::Path;

use crate::python;

/// Where `armillary` looks for it.
const ENVIRONMENT: &str = ".venv-rig";

/// Makes the environment unless it is there already.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let package = format!(
        "--editable={}[dmc,gym,test]",
        root.join("bridges/python").display()
    );
    python::environment_in(&root.join(ENVIRONMENT), &[&package])?;
    Ok(())
}
