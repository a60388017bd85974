//! What a data set is known to hold, once it was looked into.

use std::collections::BTreeMap;
use std::path::PathBuf;

use robot::config::made::Actuator;

use super::cameras::Choice;
use super::episodes::Place;
use super::meta::Info;
use super::survey::Planned;
use crate::lerobot::layout::Own;
use crate::lerobot::video::Trust;
use crate::recording::LastReward;
use crate::{DatasetError, Finding, Report};

/// How a data set is imported.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The camera to take, such as `observation.images.front`; the first with colours if `None`.
    pub camera: Option<String>,
    /// Whether a data set that does not agree with itself is refused.
    pub strict: bool,
    /// Whether an episode's pictures are taken where its own stretch of a video agrees with its rows, even if the video has more
    /// or fewer frames than all of its episodes promise.
    pub trust_video_times: bool,
    /// What becomes of the reward of an episode's last action.
    pub last_reward: LastReward,
}

impl Options {
    pub(super) fn trust(&self) -> Trust {
        match self.trust_video_times {
            true => Trust::EachEpisode,
            false => Trust::WholeFile,
        }
    }
}

/// What is to be imported, and what was found on the way.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) root: PathBuf,
    pub(super) options: Options,
    pub(super) info: Info,
    pub(super) camera: Choice,
    /// What an export of ours says of itself.
    pub(super) own: Option<Own>,
    pub(super) actuators: Vec<Actuator>,
    pub(super) tasks: BTreeMap<i64, String>,
    pub(super) files: Vec<PathBuf>,
    pub(super) episodes: Vec<Planned>,
    /// The stretch of a video of each episode.
    pub(super) places: BTreeMap<u64, Place>,
    pub(super) report: Report,
}

impl Found {
    /// Refuses what has nothing `left`, and what disagrees where that is not allowed.
    pub(super) fn sound(&self, report: &Report, left: usize) -> Result<(), DatasetError> {
        let words = |found: &Finding| format!("{}: {}", found.place, found.what);
        if left == 0 {
            let reasons: Vec<String> = report.findings.iter().take(5).map(words).collect();
            return Err(DatasetError::NothingLeft {
                path: self.root.clone(),
                reasons: reasons.join("; "),
            });
        }
        match report.findings.first() {
            Some(first) if self.options.strict => Err(DatasetError::Disagrees {
                path: self.root.clone(),
                count: report.findings.len(),
                first: words(first),
            }),
            _ => Ok(()),
        }
    }
}
