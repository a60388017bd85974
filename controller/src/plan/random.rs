//! Random actions, correlated over time: white noise barely moves an arm, a constant push runs into its limits.

use robot::JointVec;
use world_model::NoiseKey;
use world_model::noise::Purpose;

/// Correlations an episode draws from.
const CORRELATION: [f32; 4] = [0.0, 0.7, 0.9, 0.97];

/// First-order autoregressive noise of unit variance, clipped to [-1, 1].
#[derive(Debug, Clone, Default)]
pub struct ColouredNoise {
    seed: u64,
    correlation: f32,
    state: [f32; robot::MAX_JOINTS],
}

impl ColouredNoise {
    /// Takes an episode's seed, which also chooses its correlation.
    pub fn reset(&mut self, seed: u64) {
        self.seed = seed;
        let mut stream = robot::philox::Stream::new(seed, 0xC0);
        self.correlation = CORRELATION[stream.below(CORRELATION.len())];
        for value in &mut self.state {
            *value = stream.normal();
        }
    }

    /// The action of this tick.
    pub fn next(&mut self, tick: u32, joints: usize) -> JointVec {
        let key = NoiseKey {
            seed: self.seed,
            tick,
            iteration: 0,
            sampled: true,
        };
        let mut noise = [0.0; robot::MAX_JOINTS];
        key.normals(Purpose::Exploration, 1, 0, &mut noise);
        let fresh = (1.0 - self.correlation * self.correlation).sqrt();
        for (state, noise) in self.state.iter_mut().zip(noise) {
            *state = self.correlation * *state + fresh * noise;
        }
        self.state[..joints]
            .iter()
            .map(|value| value.clamp(-1.0, 1.0))
            .collect()
    }
}
