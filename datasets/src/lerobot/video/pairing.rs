//! Whether the frames of a video are those that its episodes promise.
//!
//! A video whose frames were lost and which was then written again at a constant rate has sound times and wrong pictures: each
//! frame after the lost one shows the moment after its row. Only the number of frames tells. So a video is believed as a whole,
//! by its rate, its length and the times of its frames, and not frame by frame.

use std::collections::BTreeMap;

/// How far the time of a frame may be from that of its row, in seconds. LeRobot's readers allow a tenth of it; containers that
/// count in milliseconds need half of it.
pub(in crate::lerobot) const TOLERANCE_S: f64 = 1e-3;

/// Part by which the rate of a video may differ from what is said of it.
const RATE_TOLERANCE: f64 = 0.01;

/// What the data set says of an episode's part of a video.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lerobot) struct Stretch {
    pub(in crate::lerobot) episode: u64,
    pub(in crate::lerobot) from_s: f64,
    pub(in crate::lerobot) to_s: f64,
    /// How long its rows say that it is.
    pub(in crate::lerobot) length_s: f64,
    /// The time of each of its rows, from the beginning of the episode.
    pub(in crate::lerobot) rows_s: Vec<f64>,
}

/// How far a video's own times are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::lerobot) enum Trust {
    /// The file as a whole must have the frames that its episodes promise.
    #[default]
    WholeFile,
    /// An episode's own stretch must.
    EachEpisode,
}

/// Why pictures of episodes cannot be believed: a reason for each that is not to be taken. `frames_s` are the times of a
/// video's frames, in order; `rate` are the frames a second that the data set says, if it does; there are `row_rate` rows a
/// second.
pub(in crate::lerobot) fn pair(
    frames_s: &[f64],
    rate: Option<f64>,
    row_rate: f64,
    stretches: &[Stretch],
    trust: Trust,
) -> BTreeMap<u64, String> {
    let measured = measured_rate(frames_s).unwrap_or(row_rate);
    let all = |reason: &str| {
        stretches
            .iter()
            .map(|stretch| (stretch.episode, reason.to_owned()))
            .collect()
    };
    if let Some(said) = rate
        && frames_s.len() > 1
        && !((measured / said - 1.0).abs() <= RATE_TOLERANCE)
    {
        return all(&format!(
            "the video has {measured:.3} frames a second, meta/info.json says {said}"
        ));
    }
    let half_s = 0.5 / measured;
    let mut wrong: BTreeMap<u64, String> = BTreeMap::new();
    for (stretch, reason) in stretches
        .iter()
        .filter_map(|stretch| Some((stretch, unsound(stretch, row_rate)?)))
    {
        wrong.insert(stretch.episode, reason);
    }
    for (first, second) in overlaps(stretches, half_s) {
        for (one, other) in [(first, second), (second, first)] {
            let reason = format!(
                "its stretch of the video overlaps that of episode {}",
                other.episode
            );
            wrong.entry(one.episode).or_insert(reason);
        }
    }
    let mut lacking = false;
    for stretch in stretches {
        if let Some(reason) = disagreement(frames_s, measured, stretch) {
            lacking = true;
            wrong.entry(stretch.episode).or_insert(reason);
        }
    }
    if trust == Trust::EachEpisode {
        return wrong;
    }
    let promised_s = stretches
        .iter()
        .map(|stretch| stretch.to_s)
        .fold(f64::NEG_INFINITY, f64::max);
    let (first_s, last_s) = match frames_s {
        [] => return all("the video has no frames"),
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
    };
    let spare = |at_s: f64| {
        let within = |stretch: &Stretch| at_s >= stretch.from_s - half_s && at_s < stretch.to_s - half_s;
        !stretches.iter().any(within)
    };
    let spare = frames_s.iter().filter(|at_s| spare(**at_s)).count();
    let reason = if last_s < promised_s - 3.0 * half_s {
        format!(
            "the video has {} frames and ends at {:.3} s, its episodes promise {promised_s:.3} s: nothing tells which frames were lost",
            frames_s.len(),
            last_s + 2.0 * half_s
        )
    } else if last_s > promised_s - half_s {
        format!(
            "the video has {} frames and goes on to {:.3} s, its episodes end at {promised_s:.3} s: nothing tells which frames were added",
            frames_s.len(),
            last_s + 2.0 * half_s
        )
    } else if lacking && spare > 0 {
        format!(
            "the video has {spare} frames outside of its episodes, and lacks others: it is shifted, from {first_s:.3} s on"
        )
    } else {
        return wrong;
    };
    for stretch in stretches {
        let own = wrong.remove(&stretch.episode);
        let reason = own.map_or_else(|| reason.clone(), |own| format!("{own}; {reason}"));
        wrong.insert(stretch.episode, reason);
    }
    wrong
}

/// Frames a second, from the mean of the usual distances between two frames. Times in whole milliseconds differ a little from
/// frame to frame, and where a frame is lost the distance is twice as long.
fn measured_rate(frames_s: &[f64]) -> Option<f64> {
    let mut steps: Vec<f64> = frames_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_by(f64::total_cmp);
    let middle = *steps.get(steps.len() / 2)?;
    steps.retain(|step| (step - middle).abs() <= 0.25 * middle);
    let mean = steps.iter().sum::<f64>() / steps.len() as f64;
    (mean > 0.0).then(|| 1.0 / mean)
}

/// What is wrong with what is said of a stretch, whatever the video holds.
fn unsound(stretch: &Stretch, row_rate: f64) -> Option<String> {
    let (from_s, to_s) = (stretch.from_s, stretch.to_s);
    if !(from_s.is_finite() && to_s.is_finite() && from_s >= 0.0 && from_s < to_s) {
        return Some(format!("its stretch of the video is from {from_s} to {to_s} s"));
    }
    let said_s = to_s - from_s;
    ((said_s - stretch.length_s).abs() * row_rate > 0.5).then(|| {
        format!(
            "its stretch of the video is {said_s:.3} s long, from {from_s:.3} to {to_s:.3} s, and its rows {:.3} s",
            stretch.length_s
        )
    })
}

/// Pairs of stretches that share frames.
fn overlaps(stretches: &[Stretch], half_s: f64) -> Vec<(&Stretch, &Stretch)> {
    let mut sorted: Vec<&Stretch> = stretches.iter().collect();
    sorted.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    let mut found = Vec::new();
    let mut longest: Option<&Stretch> = None;
    for stretch in sorted {
        if let Some(before) = longest
            && stretch.from_s < before.to_s - half_s
        {
            found.push((before, stretch));
        }
        if longest.is_none_or(|before| stretch.to_s > before.to_s) {
            longest = Some(stretch);
        }
    }
    found
}

/// What of a stretch is not as the frames are.
fn disagreement(frames_s: &[f64], rate: f64, stretch: &Stretch) -> Option<String> {
    let half_s = 0.5 / rate;
    let place = |at_s: f64| frames_s.partition_point(|frame_s| *frame_s < at_s);
    let found = place(stretch.to_s - half_s).saturating_sub(place(stretch.from_s - half_s));
    let expected = ((stretch.to_s - stretch.from_s) * rate).round();
    if found as f64 != expected {
        return Some(format!(
            "its stretch of the video, from {:.3} to {:.3} s, has {found} of {expected} frames",
            stretch.from_s, stretch.to_s
        ));
    }
    stretch.rows_s.iter().find_map(|row_s| {
        let wanted_s = stretch.from_s + row_s;
        let at = place(wanted_s - TOLERANCE_S);
        let nearest_s = frames_s.get(at).copied().unwrap_or(f64::INFINITY);
        (nearest_s > wanted_s + TOLERANCE_S).then(|| {
            let before = at.checked_sub(1).map(|at| format!("the one before at {:.4} s", frames_s[at]));
            format!(
                "the video has no frame at {wanted_s:.4} s, where the row at {row_s:.3} s belongs ({}, the next at {nearest_s:.4} s)",
                before.unwrap_or_else(|| "none before".to_owned())
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two episodes of 8 and 6 rows at 10 rows a second, one after the other.
    fn stretches() -> Vec<Stretch> {
        let rows = |count: u32| (0..count).map(|row| f64::from(row) * 0.1).collect();
        [(0, 0.0, 8), (1, 0.8, 6)]
            .map(|(episode, from_s, count)| Stretch {
                episode,
                from_s,
                to_s: from_s + f64::from(count) * 0.1,
                length_s: f64::from(count) * 0.1,
                rows_s: rows(count),
            })
            .to_vec()
    }

    fn frames(count: u32, rate: f64) -> Vec<f64> {
        (0..count).map(|frame| f64::from(frame) / rate).collect()
    }

    /// The episodes that are left out, with the first words of why.
    fn left_out(frames_s: &[f64], rate: Option<f64>, trust: Trust) -> Vec<(u64, String)> {
        pair(frames_s, rate, 10.0, &stretches(), trust)
            .into_iter()
            .collect()
    }

    #[test]
    fn a_video_that_agrees_is_believed_whatever_its_rate() {
        for (count, rate, said) in [
            (14, 10.0, Some(10.0)),
            (14, 10.0, None),
            (42, 30.0, Some(30.0)),
            (28, 20.0, None),
        ] {
            assert_eq!(
                left_out(&frames(count, rate), said, Trust::WholeFile),
                [],
                "{count} at {rate}"
            );
        }
        // A container that counts in milliseconds.
        let rounded: Vec<f64> = frames(42, 30.0)
            .iter()
            .map(|at_s| (at_s * 1000.0).round() / 1000.0)
            .collect();
        assert_eq!(left_out(&rounded, Some(30.0), Trust::WholeFile), []);
    }

    #[test]
    fn a_video_that_was_changed_is_not_believed() {
        let sound = frames(14, 10.0);
        let moved = |by_s: f64| sound.iter().map(|at_s| at_s + by_s).collect::<Vec<_>>();
        let scaled = |by: f64| sound.iter().map(|at_s| at_s * by).collect::<Vec<_>>();
        let lost_in_the_middle: Vec<f64> = sound
            .iter()
            .copied()
            .filter(|at_s| (at_s - 0.3).abs() > 0.01)
            .collect();
        for (name, frames_s, rate, whole, each) in [
            ("a frame short", frames(13, 10.0), Some(10.0), vec![0, 1], vec![1]),
            ("a frame long", frames(15, 10.0), Some(10.0), vec![0, 1], vec![]),
            ("half of it", frames(7, 10.0), None, vec![0, 1], vec![0, 1]),
            ("a frame late", moved(0.1), Some(10.0), vec![0, 1], vec![0]),
            ("a little late", moved(0.02), Some(10.0), vec![0, 1], vec![0, 1]),
            ("twice as fast", scaled(0.5), None, vec![0, 1], vec![0, 1]),
            (
                "twice as fast, which is said",
                scaled(0.5),
                Some(20.0),
                vec![0, 1],
                vec![0, 1],
            ),
            ("twice as slow", scaled(2.0), None, vec![0, 1], vec![0, 1]),
            (
                "faster than is said",
                scaled(0.9),
                Some(10.0),
                vec![0, 1],
                vec![0, 1],
            ),
            (
                "a little slower",
                scaled(1.005),
                Some(10.0),
                vec![0, 1],
                vec![0, 1],
            ),
            (
                "a frame lost, times kept",
                lost_in_the_middle,
                Some(10.0),
                vec![0],
                vec![0],
            ),
            ("one frame", vec![0.0], None, vec![0, 1], vec![0, 1]),
            ("none", vec![], None, vec![0, 1], vec![0, 1]),
        ] {
            for (trust, expected) in [(Trust::WholeFile, whole), (Trust::EachEpisode, each)] {
                let found = left_out(&frames_s, rate, trust);
                let episodes: Vec<u64> = found.iter().map(|(episode, _)| *episode).collect();
                assert_eq!(episodes, expected, "{name}, {trust:?}: {found:?}");
            }
        }
    }

    #[test]
    fn stretches_that_cannot_be_are_refused() {
        let sound = frames(14, 10.0);
        for (spoil, expected, word) in [
            (
                (|stretches| stretches[1].from_s = 0.4) as fn(&mut Vec<Stretch>),
                vec![0, 1],
                "overlaps",
            ),
            (|stretches| stretches[1].to_s = f64::NAN, vec![1], "NaN"),
            (|stretches| stretches[1].from_s = -1.0, vec![0, 1], "from -1"),
            (|stretches| stretches[0].length_s = 1.6, vec![0], "long"),
        ] {
            let mut stretches = stretches();
            spoil(&mut stretches);
            let found = pair(&sound, None, 10.0, &stretches, Trust::EachEpisode);
            assert_eq!(found.keys().copied().collect::<Vec<_>>(), expected, "{found:?}");
            assert!(found.values().any(|reason| reason.contains(word)), "{found:?}");
        }
    }
}
