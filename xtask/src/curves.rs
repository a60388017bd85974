//! Several learning runs in one picture.

use std::path::PathBuf;

use anyhow::Context;

use crate::curve;
use crate::learn::Progress;

/// Arguments of `curves`.
#[derive(Debug, clap::Args)]
pub(crate) struct Curves {
    /// What the picture is called.
    #[arg(long)]
    title: String,
    /// Where to write, without extension: a PNG and a CSV.
    #[arg(long)]
    out: PathBuf,
    /// Folders of runs, finished or not: `out/learn-PRESET-SEED`.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
}

/// Draws several runs into one picture.
pub(crate) fn run(arguments: &Curves) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for run in &arguments.runs {
        let notes = run.join("progress.json");
        let progress = Progress::read(&notes)?.with_context(|| {
            format!(
                "{}: is not there; name the folder of a learning run",
                notes.display()
            )
        })?;
        let name = run.file_name().unwrap_or_default().to_string_lossy();
        let seed = name.rsplit('-').next().unwrap_or_default();
        let several = progress.all().count() > 1;
        for (robot, learned) in progress.all().enumerate() {
            let name = if several {
                format!("seed {seed}, robot {}", robot + 1)
            } else {
                format!("seed {seed}")
            };
            found.push((name, learned.clone()));
        }
    }
    let runs: Vec<_> = found
        .iter()
        .map(|(name, learned)| curve::Run {
            name,
            points: &learned.points,
            score: learned.score.as_ref(),
        })
        .collect();
    curve::write(&arguments.out, &arguments.title, &runs, false)
}
