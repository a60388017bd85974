//! Returns of some episodes, and how well they tell the mean.

use serde::Serialize;

/// Two-sided 95 % points of Student's t for 1, 2, ... degrees of freedom.
const STUDENT_T: [f32; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The 95 % point for any number; past the table the first term of its expansion in one over that number.
fn student_t(freedom: usize) -> f32 {
    match freedom.checked_sub(1) {
        None => 0.0,
        Some(index) => STUDENT_T
            .get(index)
            .copied()
            .unwrap_or(1.96 + 2.4 / freedom as f32),
    }
}

/// Returns of one agent over a set of episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Returns {
    /// Mean.
    pub mean: f32,
    /// Half the width of the mean's 95 % interval by Student's t, since a handful of episodes is common; 0 of a single one,
    /// which has no spread.
    pub interval_95: f32,
    /// Each episode's.
    pub each: Vec<f32>,
}

impl Returns {
    /// Summarises returns; `None` if there are none, or if an episode has none since nobody gave it a reward.
    pub fn of_given(each: impl IntoIterator<Item = Option<f32>>) -> Option<Self> {
        let each: Vec<f32> = each.into_iter().collect::<Option<_>>()?;
        (!each.is_empty()).then(|| Self::of(each))
    }

    /// Summarises returns.
    pub fn of(each: Vec<f32>) -> Self {
        let n = each.len().max(1) as f32;
        let mean = each.iter().sum::<f32>() / n;
        let variance = each.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / (n - 1.0).max(1.0);
        Self {
            mean,
            interval_95: student_t(each.len().saturating_sub(1)) * (variance / n).sqrt(),
            each,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Returns, student_t};

    #[test]
    fn few_episodes_tell_little() {
        for (each, mean, half) in [
            (vec![], 0.0, 0.0),
            (vec![4.0], 4.0, 0.0),
            (vec![1.0, 3.0], 2.0, 12.706),
            (vec![1.0, 2.0, 3.0], 2.0, 4.303 / 3_f32.sqrt()),
        ] {
            let returns = Returns::of(each);
            assert_eq!(returns.mean, mean);
            assert!((returns.interval_95 - half).abs() < 1e-5, "{returns:?}");
        }
        // Beyond the table: 2.040 for 31, 1.984 for 100.
        assert!((student_t(31) - 2.040).abs() < 5e-3 && (student_t(100) - 1.984).abs() < 5e-3);
    }
}
