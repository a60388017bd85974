//! `losses.csv`: every term of the loss at every update.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What the file begins with: its first column's name.
const HEAD: &[u8] = b"update,";

/// `losses.csv`, a row an update, in full precision. Rows past the checkpoint that a run resumes from are dropped.
pub(super) struct Losses {
    path: PathBuf,
    out: std::io::BufWriter<std::fs::File>,
    /// The columns it has; none yet if it is empty.
    columns: Option<String>,
}

impl Losses {
    pub(super) fn open(path: &Path, update: u64) -> anyhow::Result<Self> {
        let name = || format!("{}: cannot write the losses", path.display());
        files::check(path, &is_ours).context("cannot write the losses")?;
        if path.exists() {
            let text = read(path)?;
            // A row that a kill cut off has no end of line, and may read as another number.
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let kept: String = whole
                .lines()
                .filter(|line| {
                    let number = line.split(',').next().and_then(|field| field.parse::<u64>().ok());
                    number.is_none_or(|number| number <= update)
                })
                .flat_map(|line| [line, "\n"])
                .collect();
            // Never half of it: it is all that there is.
            let kept = if update == 0 { String::new() } else { kept };
            files::put(path, kept.as_bytes(), &is_ours).context("cannot write the losses")?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(name)?;
        let text = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            out: std::io::BufWriter::new(file),
            columns: text.lines().next().map(str::to_owned),
        })
    }

    /// The losses there are, oldest first.
    pub(super) fn all(&self) -> anyhow::Result<Vec<f64>> {
        Ok(read(&self.path)?
            .lines()
            .filter_map(|line| line.split(',').nth(1)?.parse().ok())
            .collect())
    }

    pub(super) fn write(&mut self, report: &trainer::learner::Report) -> anyhow::Result<()> {
        let context = || format!("{}: cannot write the losses", self.path.display());
        let names: Vec<&str> = report.scalars.iter().map(|(name, _)| *name).collect();
        let expected = || format!("update,{}", names.join(","));
        match &self.columns {
            None => {
                let columns = expected();
                writeln!(self.out, "{columns}").with_context(context)?;
                self.columns = Some(columns);
            }
            Some(columns) if *columns != expected() => bail!(
                "{}: was written by another version, with other columns; move it away, or name another --out",
                self.path.display()
            ),
            Some(_) => {}
        }
        let values: Vec<String> = report
            .scalars
            .iter()
            .map(|(_, value)| value.to_string())
            .collect();
        writeln!(self.out, "{},{}", report.update, values.join(",")).with_context(context)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.out
            .flush()
            .with_context(|| format!("{}: cannot write the losses", self.path.display()))
    }
}

/// Whether a file is one of losses, by its beginning.
fn is_ours(head: &[u8]) -> bool {
    // Its first line may have been cut off.
    head.starts_with(HEAD) || HEAD.starts_with(head)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let context = || format!("{}: cannot read", path.display());
    String::from_utf8(files::read(path).with_context(context)?).with_context(context)
}
