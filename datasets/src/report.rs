//! What of a data set was taken and what was not, for a person to read.

use std::fmt::Write as _;

/// Something that a data set says and that does not agree with something else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which file, episode or row.
    pub place: String,
    /// What is said, with both values.
    pub what: String,
    /// Whether what is at that place was left out. Otherwise it is only reported.
    pub left_out: bool,
}

/// What an import found, took and left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Episodes that the data set promises, if it does.
    pub episodes_promised: Option<u64>,
    /// Episodes of which rows are here.
    pub episodes_found: u64,
    /// Rows that the data set promises, if it does.
    pub rows_promised: Option<u64>,
    /// Rows that are here.
    pub rows_found: u64,
    /// The camera that the pictures come from; empty for data with one.
    pub camera: String,
    /// Other cameras, and why they were passed over.
    pub cameras_passed_over: Vec<(String, String)>,
    /// Where the positions of joints come from; empty for data of one layout.
    pub positions: String,
    /// Joints that rest in all of the data, with what is left of their motion.
    pub joints_at_rest: Vec<String>,
    /// Joints whose range a few rows alone stretch, with those rows.
    pub joints_stretched: Vec<String>,
    /// The name of the reward; `None` if the data has none.
    pub reward: Option<String>,
    /// Rows without a reward, where others have one.
    pub rows_without_reward: u64,
    /// What did not agree, in the order in which it was found.
    pub findings: Vec<Finding>,
}

/// Findings that a table shows.
const SHOWN: usize = 20;

impl Report {
    /// Takes note of something that is left out.
    pub(crate) fn leave_out(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding {
            place: place.into(),
            what: what.into(),
            left_out: true,
        });
    }

    /// Takes note of something that disagrees and changes nothing that is taken.
    pub(crate) fn note(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding {
            place: place.into(),
            what: what.into(),
            left_out: false,
        });
    }

    /// The report as a table, of `episodes` taken with `rows`.
    pub fn table(&self, episodes: u64, rows: u64) -> String {
        let mut lines: Vec<(&str, String)> = Vec::new();
        let of = |promised: Option<u64>| promised.map_or("no number".to_owned(), |count| count.to_string());
        let counts = |taken, found, promised: Option<u64>| {
            format!("{taken} taken, {found} found, {} promised", of(promised))
        };
        lines.push((
            "episodes",
            counts(episodes, self.episodes_found, self.episodes_promised),
        ));
        lines.push(("rows", counts(rows, self.rows_found, self.rows_promised)));
        if !self.camera.is_empty() {
            lines.push(("camera", self.camera.clone()));
        }
        let passed = |(name, why): &(String, String)| format!("{name} ({why})");
        lines.extend(
            self.cameras_passed_over
                .iter()
                .map(|camera| ("camera passed over", passed(camera))),
        );
        if !self.positions.is_empty() {
            lines.push(("joint positions", self.positions.clone()));
        }
        let joints = [
            ("joint at rest", &self.joints_at_rest),
            ("range stretched", &self.joints_stretched),
        ];
        for (what, joints) in joints {
            lines.extend(joints.iter().map(|joint| (what, joint.clone())));
        }
        lines.push((
            "reward",
            match (&self.reward, self.rows_without_reward) {
                (None, _) => {
                    "none: nothing can be planned by a model of this data until a reward is added".to_owned()
                }
                (Some(name), 0) => name.clone(),
                (Some(name), rows) => format!("{name}; {rows} rows have none"),
            },
        ));
        for (kind, left_out) in [("left out", true), ("does not agree", false)] {
            let of_kind: Vec<&Finding> = self
                .findings
                .iter()
                .filter(|found| found.left_out == left_out)
                .collect();
            let shown = of_kind.iter().take(SHOWN);
            lines.extend(shown.map(|found| (kind, format!("{}: {}", found.place, found.what))));
            if of_kind.len() > SHOWN {
                lines.push((kind, format!("and {} more", of_kind.len() - SHOWN)));
            }
        }
        let mut table = String::new();
        for (what, text) in lines {
            let _ = writeln!(table, "  {what:<18} {text}");
        }
        table
    }
}
