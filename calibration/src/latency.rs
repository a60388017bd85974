//! How late a camera's pictures are, and how late a joint follows its commands.
//!
//! Time stamps do not tell it: exposure, read-out, compression and a cable come before the stamp of a picture, and a servo's own lag after the
//! command. Both are measured by a wiggle. One joint moves to and fro ([`Wiggle`]), and the log has at each edge the joint's position, its command and
//! the newest picture.
//!
//! A picture is a function of where the joint is. If pictures are put beside the positions of the right moments, then one function explains them
//! all. Beside those of wrong moments the same position has one picture on the way there and another on the way back. So the delay is the one
//! with which pictures are explained best: by a cubic polynomial of the position for each pixel ([`pictures()`]). The command's delay is
//! the one with which a line of the command explains the position best ([`follows()`]).
//!
//! The interval is by the jackknife: the wiggle is cut into [`BLOCKS`] parts, and the delay is measured without each of them in turn (Efron and Stein,
//! "The jackknife estimate of variance", 1981).

mod fit;
mod track;
mod wiggle;

pub use track::Track;
pub use wiggle::Wiggle;

use crate::Verdict;
use fit::Pictures;

/// Parts of a wiggle, each of which is left out once.
pub const BLOCKS: usize = 8;

/// Student's t for a 95 % interval with one degree of freedom less than there are parts.
const STUDENT: f64 = 2.365;

/// Delays that are looked at, in seconds: what an edge shows cannot be of after it, up to noise.
const LEAST_S: f64 = -0.05;
const MOST_S: f64 = 1.0;

/// Distance between two delays that are tried before the best is refined, in seconds.
const STEP_S: f64 = 0.005;

/// The least motion from which a delay can be told, in radians.
const MOTION_MIN_RAD: f64 = 0.03;

/// Edges that are needed at least.
const EDGES_MIN: usize = 40;

/// The least share that must be explained. Of noise alone as much is explained as there are powers of the position among the edges: a few hundredths.
const EXPLAINED_MIN: f64 = 0.15;

/// Half an interval up to which a delay is good, or usable, in seconds.
const GOOD_S: f64 = 0.005;
const USABLE_S: f64 = 0.02;

/// A delay with its 95 % interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Delay {
    /// The delay, in seconds.
    pub delay_s: f64,
    /// Half the width of its 95 % interval, in seconds.
    pub interval_s: f64,
    /// Share of what is to be explained that is explained with this delay, 0 to 1.
    pub explained: f64,
    /// Each delay that was tried, in seconds, and what it explains.
    pub tried: Vec<(f64, f64)>,
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// How late pictures are: each of `pictures` is the time of the edge at which it was the newest, in seconds, and its levels, as many for each.
pub fn pictures(joint: &Track, pictures: &[(f64, &[u8])]) -> Delay {
    if let Some(verdict) = unfit(joint, pictures.len()) {
        return Delay::none(verdict);
    }
    let first = pictures.first().map(|(_, levels)| *levels);
    if pictures.iter().all(|(_, levels)| Some(*levels) == first) {
        return Delay::none(Verdict::DoItAgain(
            "all pictures are the same: look whether the camera sees the joint that moves".to_owned(),
        ));
    }
    let pictures = Pictures::of(pictures);
    measure(&|delay_s, without| pictures.explained(joint, (LEAST_S, MOST_S), delay_s, without))
}

/// How much each picture has of what changes most (their first principal component), by its time: without unit, and with either sign.
pub fn change(pictures: &[(f64, &[u8])]) -> Vec<(f64, f64)> {
    let scores = Pictures::of(pictures).first_component();
    pictures.iter().map(|(time_s, _)| *time_s).zip(scores).collect()
}

/// How late `joint` follows `command`, the set point as the arm interpolates it.
pub fn follows(joint: &Track, command: &Track) -> Delay {
    if let Some(verdict) = unfit(joint, joint.len()) {
        return Delay::none(verdict);
    }
    measure(&|delay_s, without| fit::line(joint, command, (LEAST_S, MOST_S), delay_s, without))
}

/// Why nothing can be measured, if so.
fn unfit(joint: &Track, edges: usize) -> Option<Verdict> {
    let range_rad = joint.range_rad();
    if edges.min(joint.len()) < EDGES_MIN {
        return Some(Verdict::DoItAgain(format!(
            "there are {edges} edges with a picture, and {EDGES_MIN} are needed: let it run longer"
        )));
    }
    (range_rad < MOTION_MIN_RAD).then(|| {
        Verdict::DoItAgain(format!(
            "the joint moved by {range_rad:.3} rad, and {MOTION_MIN_RAD} rad are needed: give it room, or name another joint"
        ))
    })
}

/// The best of all delays by `explained`, which takes a delay in seconds and the part that is left out.
fn measure(explained: &dyn Fn(f64, Option<usize>) -> f64) -> Delay {
    let steps = ((MOST_S - LEAST_S) / STEP_S).round() as usize;
    let tried: Vec<(f64, f64)> = (0..=steps)
        .map(|step| LEAST_S + step as f64 * STEP_S)
        .map(|delay_s| (delay_s, explained(delay_s, None)))
        .collect();
    let best = (0..tried.len())
        .max_by(|a, b| tried[*a].1.total_cmp(&tried[*b].1))
        .unwrap_or(0);
    let (coarse_s, _) = tried[best];
    let delay_s = refine(coarse_s, &|delay_s| explained(delay_s, None));
    let without: Vec<f64> = (0..BLOCKS)
        .map(|block| refine(coarse_s, &|delay_s| explained(delay_s, Some(block))))
        .collect();
    let mean = without.iter().sum::<f64>() / BLOCKS as f64;
    let sum: f64 = without.iter().map(|each| (each - mean).powi(2)).sum();
    let deviation_s = (sum * (BLOCKS - 1) as f64 / BLOCKS as f64).sqrt();
    let mut measured = Delay {
        delay_s,
        interval_s: STUDENT * deviation_s,
        explained: explained(delay_s, None),
        tried,
        verdict: Verdict::Good,
    };
    measured.verdict = measured.judge(best == 0 || best == steps);
    measured
}

/// The best delay within two steps of `coarse_s`, by golden sections.
fn refine(coarse_s: f64, explained: &dyn Fn(f64) -> f64) -> f64 {
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (coarse_s - 2.0 * STEP_S, coarse_s + 2.0 * STEP_S);
    let inside = |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
    let (mut a, mut b) = inside(low, high);
    let (mut of_a, mut of_b) = (explained(a), explained(b));
    while high - low > 1e-5 {
        if of_a > of_b {
            (high, b, of_b) = (b, a, of_a);
            a = inside(low, high).0;
            of_a = explained(a);
        } else {
            (low, a, of_a) = (a, b, of_b);
            b = inside(low, high).1;
            of_b = explained(b);
        }
    }
    (low + high) / 2.0
}

impl Delay {
    fn none(verdict: Verdict) -> Self {
        Self {
            delay_s: f64::NAN,
            interval_s: f64::INFINITY,
            explained: 0.0,
            tried: Vec::new(),
            verdict,
        }
    }

    fn judge(&self, at_the_end: bool) -> Verdict {
        let half_ms = self.interval_s * 1000.0;
        if at_the_end {
            return Verdict::DoItAgain(format!(
                "no delay from {:.0} to {:.0} ms explains it: look whether the camera sees the joint that moves, and nothing else that moves",
                LEAST_S * 1000.0,
                MOST_S * 1000.0
            ));
        }
        if self.explained < EXPLAINED_MIN {
            return Verdict::DoItAgain(format!(
                "the joint explains {:.0} % of what changes: look whether the camera sees it, and keep all else still",
                self.explained * 100.0
            ));
        }
        if self.interval_s > USABLE_S {
            return Verdict::DoItAgain(format!(
                "the delay is known to {half_ms:.0} ms only: let it run longer, name a joint that moves more of the picture, and keep all else still"
            ));
        }
        if self.interval_s > GOOD_S {
            return Verdict::Usable(format!(
                "known to {half_ms:.0} ms; a longer wiggle tells it better"
            ));
        }
        Verdict::Good
    }
}
