//! Scores: where an agent stands between random and oracle.

/// (agent - random) / (oracle - random), with the 95 % interval of a bootstrap over targets.
///
/// All three faced the same targets, so targets are resampled, not agents: an easy target helps all of them.
pub fn score(agent: &[f32], random: &[f32], oracle: &[f32]) -> (f32, [f32; 2]) {
    let n = agent.len().min(random.len()).min(oracle.len());
    let ratio = |indices: &[usize]| {
        let mean =
            |values: &[f32]| indices.iter().map(|&i| values[i]).sum::<f32>() / indices.len().max(1) as f32;
        let (agent, random, oracle) = (mean(agent), mean(random), mean(oracle));
        (agent - random) / (oracle - random)
    };
    let all: Vec<usize> = (0..n).collect();
    let mut stream = robot::philox::Stream::new(0, 0xB007);
    let mut samples: Vec<f32> = (0..2000)
        .map(|_| ratio(&(0..n).map(|_| stream.below(n)).collect::<Vec<_>>()))
        .collect();
    samples.sort_by(f32::total_cmp);
    (ratio(&all), [samples[49], samples[1949]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_is_zero_for_random_and_one_for_the_oracle() {
        let (random, oracle) = ([10.0, 20.0, 12.0], [90.0, 95.0, 80.0]);
        assert_eq!(score(&random, &random, &oracle).0, 0.0);
        assert_eq!(score(&oracle, &random, &oracle).0, 1.0);
        let middle: Vec<f32> = random.iter().zip(&oracle).map(|(r, o)| (r + o) / 2.0).collect();
        let (value, [low, high]) = score(&middle, &random, &oracle);
        assert!((value - 0.5).abs() < 1e-6 && (low - 0.5).abs() < 1e-6 && (high - 0.5).abs() < 1e-6);
    }
}
