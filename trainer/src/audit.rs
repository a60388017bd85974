//! What is wrong with logs before anyone trains on them: gaps, frozen pictures, cut-off episodes, and actions that do not
//! belong to the pictures they are stored with.
//!
//! An action shows: the more it asks for, the more of the picture changes, at once and, as motors lag, for a while. The change
//! from one frame to the next is regressed on the sizes of all actions from some periods before to some periods after. An
//! effect does not come before its cause: the first lag whose actions explain what no other lag's do is where the pictures
//! really are. At lag 0 `action[t]` caused what `frame[t]` shows, as the trainer assumes,
//! which takes the delay of the camera into account that a log tells. Where actions are goals (`action: absolute`) it
//! is the sizes of their changes; forces and torques, which are absolute too, cannot be told so.

use std::path::{Path, PathBuf};

use episode::{Episode, EpisodeError, TickRecord};
use nalgebra::{DMatrix, DVector};
use robot::{ActionMode, Config, Frame};

use crate::dataset::DatasetError;
use crate::side::Side;

/// Lags looked at, in control periods: positive where pictures are later than the trainer assumes.
pub const LAGS: std::ops::RangeInclusive<i32> = -2..=5;

/// Share of the pictures' change that all lags together must explain, or none is believed.
const EXPLAINED_MIN: f64 = 0.1;

/// A lag has an effect of its own if it explains this share of what the strongest explains by itself.
const EFFECT: f64 = 0.25;

/// The same picture so many times in a row while the arm is told to move is frozen.
const FROZEN: u32 = 5;

/// An action above this is motion that shows.
const MOVING: f32 = 0.2;

/// Something wrong with a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The log.
    pub path: PathBuf,
    /// What, and at which tick.
    pub problem: String,
}

/// Whether actions belong to the pictures they are stored with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// They do.
    Right,
    /// Pictures are this many periods later (or, below zero, earlier) than assumed.
    Shifted(i32),
    /// Too little moves, or everything always moves alike: the logs do not tell.
    Unclear,
}

/// What an audit found.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Logs read.
    pub logs: usize,
    /// Control periods in them.
    pub ticks: usize,
    /// Of them, those without a reward: training leaves them out of the reward's loss.
    pub without_reward: usize,
    /// Share of the pictures' change that all lags together explain (R squared).
    pub explained: f64,
    /// Each lag with the share of that which no other lag explains.
    pub alone: Vec<(i32, f64)>,
    /// The conclusion.
    pub alignment: Alignment,
    /// What is wrong with single logs.
    pub findings: Vec<Finding>,
}

/// Reads all logs below `dir`, one at a time. One that cannot be read, or is not of the first one's robot, task and period, is a
/// finding.
///
/// # Errors
/// [`DatasetError`] if there are none.
pub fn audit(dir: &Path, progress: &dyn Fn(usize, usize)) -> Result<Audit, DatasetError> {
    // Of several attempts the one that training takes; all of them, if it cannot be told which.
    let paths = match episode::list_episodes(dir) {
        Ok(episodes) => episodes.logs,
        Err(EpisodeError::NoRuns { dir }) => return Err(EpisodeError::NoRuns { dir }.into()),
        Err(_) => episode::list_runs(dir)?,
    };
    let mut found = Audit {
        logs: paths.len(),
        ticks: 0,
        without_reward: 0,
        explained: 0.0,
        alone: Vec::new(),
        alignment: Alignment::Unclear,
        findings: Vec::new(),
    };
    let (mut regression, mut first) = (None::<Regression>, None);
    let mut first_side = None;
    for (done, path) in paths.iter().enumerate() {
        progress(done, paths.len());
        let mut note = |problem| {
            let path = path.clone();
            found.findings.push(Finding { path, problem });
        };
        let log = match episode::read_episode(path) {
            Ok(log) => log,
            Err(error) => {
                note(error.to_string());
                continue;
            }
        };
        found.ticks += log.ticks.len();
        found.without_reward += log
            .ticks
            .iter()
            .filter(|tick| tick.capture.reward.is_none())
            .count();
        let absolute = mode(&log) == ActionMode::Absolute;
        match problems(&log, absolute) {
            Ok(problems) => problems.into_iter().for_each(&mut note),
            Err(error) => note(error.to_string()),
        }
        let pixels = log.frames.iter().flatten().map(Frame::side).next();
        if let Some(side) = pixels {
            match *first_side.get_or_insert(side) {
                first if first != side => note(format!(
                    "its pictures are {side}x{side}, and those of the first log {first}x{first}: a model that sees pictures is trained on logs \
                     of one `capture.side`"
                )),
                _ if Side::try_from(side).is_err() => note(format!(
                    "its pictures are {side}x{side}, and a model that sees pictures is trained on {}: choose one of these as \
                     `capture.side` in the robot file",
                    Side::LIST
                )),
                _ => {}
            }
        }
        let info = &log.info;
        let whose = (
            info.robot.clone(),
            info.task.clone(),
            info.joint_names.clone(),
            info.period_s.to_bits(),
        );
        let first = first.get_or_insert_with(|| whose.clone());
        if *first == whose {
            let joints = info.joint_names.len();
            regress(
                &log,
                absolute,
                regression.get_or_insert_with(|| Regression::new(joints)),
            );
        } else {
            note(format!(
                "is of {} at {:?} every {} s, not of the first log's robot, task, joints and period: audit and train on each by itself",
                info.robot, info.task, info.period_s
            ));
        }
    }
    if let Some(regression) = regression {
        found.explained = regression.explained(None);
        found.alone = LAGS
            .enumerate()
            .map(|(index, lag)| (lag, found.explained - regression.explained(Some(index))))
            .collect();
        found.alignment = conclude(found.explained, &found.alone);
    }
    Ok(found)
}

fn conclude(explained: f64, alone: &[(i32, f64)]) -> Alignment {
    let strongest = alone.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    let first = alone
        .iter()
        .find(|(_, share)| *share >= EFFECT * strongest && *share > 0.0);
    match first {
        Some((0, _)) if explained >= EXPLAINED_MIN => Alignment::Right,
        Some((lag, _)) if explained >= EXPLAINED_MIN => Alignment::Shifted(*lag),
        _ => Alignment::Unclear,
    }
}

/// What is wrong with one log, each kind once.
fn problems(log: &Episode, absolute: bool) -> Result<Vec<String>, EpisodeError> {
    let mut problems: Vec<String> = log.problem.iter().map(ToString::to_string).collect();
    let pairs = || log.ticks.iter().zip(log.ticks.iter().skip(1));
    let mut count = |what: &str, ticks: Vec<u32>| {
        if let Some(first) = ticks.first() {
            problems.push(format!("{} {what}, the first at tick {first}", ticks.len()));
        }
    };
    count(
        "gap(s) in the ticks",
        pairs()
            .filter(|(before, after)| after.tick != before.tick + 1)
            .map(|(before, _)| before.tick + 1)
            .collect(),
    );
    count(
        "tick(s) without a fresh frame",
        log.ticks
            .iter()
            .filter(|tick| !tick.capture.fresh)
            .map(|t| t.tick)
            .collect(),
    );
    count(
        "tick(s) in which the arm had stopped or refused a command",
        log.ticks
            .iter()
            .filter(|tick| tick.tick > 0 && tick.capture.arm_disobeyed())
            .map(|t| t.tick)
            .collect(),
    );
    count(
        "tick(s) with a reward or joint that is no number",
        log.ticks
            .iter()
            .filter(|tick| {
                tick.capture.reward.is_some_and(|reward| !reward.is_finite())
                    || !joints_known(tick, log.info.joint_names.len())
            })
            .map(|t| t.tick)
            .collect(),
    );
    // The first pictures of a late camera show the arm before it moved.
    let late = log.info.picture_delay_ticks;
    let mut same = 0;
    let mut frozen = Vec::new();
    let mut earlier: Option<&TickRecord> = None;
    for (before, after) in pairs() {
        let moving = before.actuate.action.iter().enumerate().any(|(joint, action)| {
            // A goal that stays asks for no motion.
            let from = earlier
                .filter(|_| absolute)
                .and_then(|row| row.actuate.action.get(joint));
            (action - from.unwrap_or(&0.0)).abs() > MOVING
        });
        earlier = Some(before);
        let alike = after.capture.fresh && after.capture.frame_hash == before.capture.frame_hash;
        same = if alike && moving && after.tick > late {
            same + 1
        } else {
            0
        };
        if same == FROZEN {
            frozen.push(after.tick + 1 - FROZEN);
        }
    }
    count("time(s) a frozen picture while the arm was told to move", frozen);
    if log.training()?.is_empty() {
        problems.push("nothing in it can be trained on".to_owned());
    }
    Ok(problems)
}

/// Whether every joint has a position and a velocity.
fn joints_known(tick: &TickRecord, joints: usize) -> bool {
    [&tick.capture.position_rad, &tick.capture.velocity_rad_s]
        .iter()
        .all(|numbers| numbers.len() == joints && numbers.iter().all(|value| value.is_finite()))
}

/// What a log's actions mean, by the robot file in it.
fn mode(log: &Episode) -> ActionMode {
    let file = log.attachments.iter().find(|(name, _)| name == "robot.ron");
    let text = file.and_then(|(_, bytes)| String::from_utf8(bytes.clone()).ok());
    text.and_then(|text| Config::parse(&log.path, text).ok())
        .map_or(ActionMode::default(), |config| config.envelope.mode())
}

/// Adds a log's changes of picture, with the actions of all lags.
fn regress(log: &Episode, absolute: bool, regression: &mut Regression) {
    let (low, high) = (*LAGS.start(), *LAGS.end());
    let delay = log.info.picture_delay_ticks as usize;
    let mut row = Vec::new();
    for at in 1..log.ticks.len() {
        let (Some(before), Some(after)) = (&log.frames[at - 1], &log.frames[at]) else {
            continue;
        };
        // At lag 0 the action that was sent at the edge before the one that the picture shows.
        let Some(shows) = at.checked_sub(delay) else {
            continue;
        };
        let Some(first) = shows.checked_sub(1 + high as usize + usize::from(absolute)) else {
            continue;
        };
        let last = shows + low.unsigned_abs() as usize;
        let (Some(span), Some(all)) = (log.ticks.get(first..last), log.ticks.get(first..last.max(at + 1)))
        else {
            continue;
        };
        let consecutive = all.windows(2).all(|pair| pair[1].tick == pair[0].tick + 1);
        if !consecutive || !log.ticks[at].capture.fresh {
            continue;
        }
        row.clear();
        row.push(1.0);
        // The latest is the least lag.
        if absolute {
            // Where to be, or how hard to push: what shows is that it is another than before.
            for pair in span.windows(2).rev() {
                let [before, after] = [&pair[0], &pair[1]].map(|tick| &tick.actuate.action);
                row.extend(
                    after
                        .iter()
                        .zip(before)
                        .map(|(after, before)| f64::from((after - before).abs())),
                );
            }
        } else {
            for tick in span.iter().rev() {
                row.extend(tick.actuate.action.iter().map(|action| f64::from(action.abs())));
            }
        }
        regression.add(&row, difference(before, after));
    }
}

/// Mean absolute difference of two pictures, of 255.
fn difference(a: &Frame, b: &Frame) -> f64 {
    let sum: u64 = a
        .rgb()
        .iter()
        .zip(b.rgb())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.rgb().len() as f64
}

/// Least squares in as much memory as it has unknowns, squared: a constant, then a number a joint for each lag.
#[derive(Debug, Clone)]
struct Regression {
    joints: usize,
    moments: DMatrix<f64>,
    products: DVector<f64>,
    square: f64,
    sum: f64,
    count: f64,
}

impl Regression {
    fn new(joints: usize) -> Self {
        let unknowns = 1 + joints * LAGS.count();
        Self {
            joints,
            moments: DMatrix::zeros(unknowns, unknowns),
            products: DVector::zeros(unknowns),
            square: 0.0,
            sum: 0.0,
            count: 0.0,
        }
    }

    fn add(&mut self, row: &[f64], value: f64) {
        if row.len() != self.products.len() {
            return;
        }
        let row = DVector::from_row_slice(row);
        self.moments.ger(1.0, &row, &row, 1.0);
        self.products.axpy(value, &row, 1.0);
        self.square += value * value;
        self.sum += value;
        self.count += 1.0;
    }

    /// R squared, adjusted for the number of unknowns, without one of the lags if named by its index; 0 where nothing varies
    /// or there is too little.
    fn explained(&self, without: Option<usize>) -> f64 {
        let left_out = without.map_or(0..0, |lag| 1 + lag * self.joints..1 + (lag + 1) * self.joints);
        let kept: Vec<usize> = (0..self.products.len())
            .filter(|index| !left_out.contains(index))
            .collect();
        let mut moments = self.moments.select_rows(&kept).select_columns(&kept);
        let products = self.products.select_rows(&kept);
        // A little of the identity: joints that never move give no unknowns.
        for index in 0..kept.len() {
            moments[(index, index)] += 1e-9 * self.count.max(1.0);
        }
        let total = self.square - self.sum * self.sum / self.count.max(1.0);
        if total <= 1e-9 * self.square.max(1e-12) {
            return 0.0;
        }
        let spare = self.count - kept.len() as f64;
        if spare < 1.0 {
            return 0.0;
        }
        moments.cholesky().map_or(0.0, |factor| {
            let left = (self.square - factor.solve(&products).dot(&products)) / total;
            1.0 - left * (self.count - 1.0) / spare
        })
    }
}
