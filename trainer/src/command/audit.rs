//! `armillary-train audit`: whether logs can be trusted, before anyone trains on them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use trainer::audit::{Alignment, audit};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Audit {
    /// Folder of run logs (*.mcap), searched recursively.
    runs: PathBuf,
    /// Exit with a failure if a single log has something wrong with it, too.
    #[arg(long)]
    strict: bool,
}

/// Audits.
pub(crate) fn run(arguments: &Audit) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} logs")?);
    let found = audit(&arguments.runs, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let mut text = String::new();
    let _ = writeln!(text, "{} logs, {} control periods\n", found.logs, found.ticks);
    if found.without_reward > 0 {
        let _ = writeln!(
            text,
            "{} control periods have no reward: training leaves them out of the reward's loss\n",
            found.without_reward
        );
    }
    let _ = writeln!(
        text,
        "the sizes of actions (of their changes, where they are goals) explain {:.3} of the pictures' change; what no \
         other lag explains, by how many periods",
        found.explained
    );
    let _ = writeln!(text, "later a picture is than the trainer assumes:\n");
    for (lag, alone) in &found.alone {
        let bar = "#".repeat((alone / found.explained.max(1e-9) * 80.0).max(0.0) as usize);
        let _ = writeln!(text, "{lag:>4} {alone:>7.4} {bar}");
    }
    text.push('\n');
    for finding in &found.findings {
        let _ = writeln!(text, "{}: {}", finding.path.display(), finding.problem);
    }
    if found.alignment == Alignment::Right {
        text.push_str("actions belong to the pictures they are stored with\n");
    }
    let findings = found.findings.len();
    if findings > 0 {
        let _ = writeln!(text, "{findings} finding(s) above, in single logs");
    }
    // Whoever reads may have seen enough (`| head`): that is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    match found.alignment {
        Alignment::Right if arguments.strict && findings > 0 => {
            bail!("{findings} finding(s) in single logs; remove or record again those that they name")
        }
        Alignment::Right => Ok(()),
        Alignment::Unclear => bail!(
            "these logs do not tell whether actions belong to their pictures: record a few episodes with \
             `armillary record --policy random`. (Forces and torques cannot be told so: they show only in how speed changes)"
        ),
        Alignment::Shifted(lag) => bail!(
            "pictures are {lag} period(s) later than the trainer assumes; training on them would teach a model that \
             plans with the wrong action. Record with a `capture.delay_s` in the robot file that is longer by so many periods, lower the camera's delay, or correct what wrote the logs"
        ),
    }
}
