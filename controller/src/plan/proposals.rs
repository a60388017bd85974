//! Where candidates come from: a diagonal Gaussian over action sequences, clamped by the envelope.

use robot::{Envelope, SetPoint};
use world_model::NoiseKey;
use world_model::noise::Purpose;

/// What one iteration draws its candidates from. Candidate j is a function of this and j: it does not matter who asks
/// for it, when, or after which other.
#[derive(Debug, Clone, Copy)]
pub struct Proposals<'a> {
    /// Names the noise.
    pub key: NoiseKey,
    /// Steps of a sequence.
    pub horizon: usize,
    /// Numbers of an action.
    pub width: usize,
    /// `[horizon][action]`.
    pub mean: &'a [f32],
    /// `[horizon][action]`.
    pub std: &'a [f32],
    /// Whole sequences that are the first candidates as they are: `[kept][horizon][action]`.
    pub kept: &'a [f32],
    /// `[horizon][horizon]`: turns white noise over steps into coloured; empty leaves it white.
    pub colour: &'a [f32],
    /// Where the arm will be when the first action begins.
    pub from: &'a SetPoint,
    /// Clamps candidates as the guard would.
    pub envelope: &'a Envelope,
}

/// The longest horizon that a robot file may ask for.
const LONGEST: usize = robot::config::HORIZON_MAX;

impl Proposals<'_> {
    /// Numbers in a candidate.
    pub fn stride(&self) -> usize {
        self.horizon * self.width
    }

    /// Writes candidates `first`, `first + 1` and so on to `actions`, `[candidates][horizon][action]`.
    pub fn write(&self, first: usize, actions: &mut [f32]) {
        let stride = self.stride();
        self.key
            .sequences(Purpose::Action, first as u32, self.horizon, self.width, actions);
        for (index, sequence) in actions.chunks_exact_mut(stride).enumerate() {
            let kept = (first + index) * stride;
            match self.kept.get(kept..kept + stride) {
                Some(kept) => sequence.copy_from_slice(kept),
                None => self.shape(sequence),
            }
            self.clamp(sequence);
        }
    }

    /// White noise to a draw from the Gaussian.
    fn shape(&self, sequence: &mut [f32]) {
        if !self.colour.is_empty() {
            let mut white = [0.0; LONGEST * robot::MAX_JOINTS];
            let white = &mut white[..sequence.len()];
            white.copy_from_slice(sequence);
            for (step, row) in self.colour.chunks_exact(self.horizon).enumerate() {
                for joint in 0..self.width {
                    let draws = row.iter().zip(white[joint..].iter().step_by(self.width));
                    sequence[step * self.width + joint] =
                        draws.fold(0.0, |sum: f32, (factor, draw)| factor.mul_add(*draw, sum));
                }
            }
        }
        for (value, (mean, std)) in sequence.iter_mut().zip(self.mean.iter().zip(self.std)) {
            *value = std.mul_add(*value, *mean);
        }
    }

    /// Clipped before it is scored, and clamped to what the guard would make of it.
    fn clamp(&self, sequence: &mut [f32]) {
        let mut set_point = self.from.clone();
        for action in sequence.chunks_exact_mut(self.width) {
            for value in action.iter_mut() {
                *value = value.clamp(-1.0, 1.0);
            }
            let clamped = self.envelope.clamp(&set_point, action);
            action.copy_from_slice(&clamped.action);
            set_point = clamped.set_point;
        }
    }
}

/// The matrix that gives white noise over `horizon` steps a power spectrum of 1 / f^`beta`, and keeps its variance: the
/// coloured noise of iCEM (Pinneri et al. 2020), as one product over the real Fourier basis. Row: step; column: draw.
pub(super) fn colour(horizon: usize, beta: f32) -> Vec<f32> {
    // The amplitude of each basis function; the mean has that of the slowest wave.
    let amplitude = |wave: usize| {
        f64::from(world_model::exp(
            -0.5 * beta * world_model::ln(wave.max(1) as f32),
        ))
    };
    let basis = |step: usize, draw: usize| -> f64 {
        let wave = draw.div_ceil(2);
        let cycles = (wave * step % horizon) as f64 / horizon as f64;
        let quarter = if draw.is_multiple_of(2) && draw > 0 {
            0.25
        } else {
            0.0
        };
        // An even horizon's fastest wave has a cosine only.
        let alone = draw == 0 || 2 * wave == horizon;
        let weight = if alone { 1.0 } else { std::f64::consts::SQRT_2 };
        amplitude(wave) * weight * cos_of_turns(cycles - quarter)
    };
    let power: f64 = (0..horizon).map(|draw| amplitude(draw.div_ceil(2)).powi(2)).sum();
    let norm = power.sqrt().recip();
    let cell = |index: usize| (basis(index / horizon, index % horizon) * norm) as f32;
    (0..horizon * horizon).map(cell).collect()
}

/// cos(2 pi x) by its series: the C library's differs between machines.
fn cos_of_turns(turns: f64) -> f64 {
    let x = (turns - turns.round()) * std::f64::consts::TAU;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..16 {
        term *= -x * x / f64::from((2 * k - 1) * (2 * k));
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::colour;

    #[test]
    fn coloured_noise_keeps_its_variance_and_is_smoother_the_larger_beta_is() {
        for horizon in [1, 2, 7, 12] {
            let mut last = -2.0;
            for beta in [0.0, 1.0, 2.0, 4.0] {
                let matrix = colour(horizon, beta);
                let covariance = |a: usize, b: usize| -> f32 {
                    (0..horizon)
                        .map(|draw| matrix[a * horizon + draw] * matrix[b * horizon + draw])
                        .sum()
                };
                for step in 0..horizon {
                    let variance = covariance(step, step);
                    assert!(
                        (variance - 1.0).abs() < 1e-5,
                        "H {horizon} beta {beta}: {variance}"
                    );
                }
                if horizon > 2 {
                    let neighbours = covariance(0, 1);
                    assert!(
                        neighbours > last,
                        "H {horizon} beta {beta}: {neighbours}, before {last}"
                    );
                    last = neighbours;
                }
            }
        }
    }

    #[test]
    fn beta_zero_is_white() {
        let matrix = colour(6, 0.0);
        for (a, b) in (0..36).map(|index| (index / 6, index % 6)) {
            let covariance: f32 = (0..6)
                .map(|draw| matrix[a * 6 + draw] * matrix[b * 6 + draw])
                .sum();
            let expected = if a == b { 1.0 } else { 0.0 };
            assert!((covariance - expected).abs() < 1e-5, "{a} {b}: {covariance}");
        }
    }
}
