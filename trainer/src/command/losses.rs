//! `losses.csv`: every term of the loss at every update.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The first line of files that earlier versions wrote. They carry no mark, and are taken only beside a checkpoint.
const EARLIER: &str = "update,loss,image,joints,reward_mse,kl,global_kl,overshooting_kl,open_loop_reward_mse,open_loop_image,\
                       open_loop_joints,gradient_norm,learning_rate";

/// `losses.csv`, a row an update, in full precision. Its last column is empty: its name is the mark by which this program knows the
/// file. Rows past the checkpoint that a run resumes from are dropped.
pub(super) struct Losses {
    path: PathBuf,
    out: std::io::BufWriter<std::fs::File>,
    /// The columns it has; none yet if it is empty.
    columns: Option<String>,
}

impl Losses {
    /// Opens the losses of a run that is at `update`; `resumed` if it goes on from a checkpoint beside them.
    pub(super) fn open(path: &Path, update: u64, resumed: bool) -> anyhow::Result<Self> {
        let is_earlier = |head: &[u8]| head.split(|byte| *byte == b'\n').next() == Some(EARLIER.as_bytes());
        let is_ours = |head: &[u8]| files::is_marked(head) || (resumed && is_earlier(head));
        files::check(path, &is_ours).context("cannot write the losses")?;
        if path.exists() {
            let text = read(path)?;
            // A row that a kill cut off has no end of line, and may read as another number.
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let (of_header, of_row) = if is_earlier(text.as_bytes()) {
                (format!(",{}", mark()), ",")
            } else {
                (String::new(), "")
            };
            let kept: String = whole
                .lines()
                .filter(|line| {
                    let number = line.split(',').next().and_then(|field| field.parse::<u64>().ok());
                    number.is_none_or(|number| number <= update)
                })
                .enumerate()
                .flat_map(|(index, line)| [line, if index == 0 { &of_header } else { of_row }, "\n"])
                .collect();
            // In one step: there is no other copy of it.
            let kept = if update == 0 { String::new() } else { kept };
            files::put(path, kept.as_bytes(), &is_ours).context("cannot write the losses")?;
        }
        let out = append(path)?;
        let text = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            out,
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
        let expected = || format!("update,{},{}", names.join(","), mark());
        match &self.columns {
            None => {
                let columns = expected();
                // In one step: half of this line would have no mark.
                files::put(&self.path, format!("{columns}\n").as_bytes(), &files::is_marked)
                    .with_context(context)?;
                self.out = append(&self.path)?;
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
        writeln!(self.out, "{},{},", report.update, values.join(",")).with_context(context)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.out
            .flush()
            .with_context(|| format!("{}: cannot write the losses", self.path.display()))
    }
}

fn mark() -> String {
    String::from_utf8_lossy(files::MARK).into_owned()
}

fn append(path: &Path) -> anyhow::Result<std::io::BufWriter<std::fs::File>> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("{}: cannot write the losses", path.display()))?;
    Ok(std::io::BufWriter::new(file))
}

/// Reads the whole file. A long run's losses may be longer than `files::read_to_string` reads.
fn read(path: &Path) -> anyhow::Result<String> {
    let context = || format!("{}: cannot read", path.display());
    String::from_utf8(files::read(path).with_context(context)?).with_context(context)
}
