//! The readable reference: plain Rust loops over tiles of candidates.
//!
//! Values are laid out `[feature][candidate]`, so that the innermost loop runs over candidates and each output
//! element still accumulates over its inputs in one fixed order. The compiler may vectorise over candidates; it may
//! not reorder a sum. Multiply-adds are fused everywhere (exactly rounded whether by instruction or library), so the
//! bits do not depend on the CPU.

use std::sync::Arc;

use crate::belief::Belief;
use crate::manifest::Dimensions;
use crate::math;
use crate::noise::{NoiseKey, Purpose};
use crate::rollout::Rollout;
use crate::weights::{Cell, Dense, LatentWeights};

/// Candidates computed side by side.
const TILE: usize = 32;

/// Outputs computed together, so that an input is loaded once for several of them.
const BLOCK: usize = 4;

type Lane = [f32; TILE];

/// Rollouts by plain loops.
#[derive(Debug, Clone)]
pub struct ScalarRollout {
    weights: Arc<LatentWeights>,
    start: Belief,
    scratch: Scratch,
}

#[derive(Debug, Clone)]
struct Scratch {
    /// `[s, a]`.
    input: Vec<Lane>,
    hidden: Vec<Lane>,
    gates_input: Vec<Lane>,
    gates_state: Vec<Lane>,
    /// `[s, h]`: the features, which are also where the state lives between steps.
    features: Vec<Lane>,
    prior_hidden: Vec<Lane>,
    prior: Vec<Lane>,
    reward: [Vec<Lane>; 2],
    noise: Vec<f32>,
}

impl ScalarRollout {
    /// Sizes all buffers; nothing is allocated afterwards.
    pub fn new(weights: Arc<LatentWeights>) -> Self {
        let d = weights.dimensions;
        let lanes = |n: usize| vec![[0.0; TILE]; n];
        let widest = weights.reward.iter().map(|layer| layer.output).max().unwrap_or(1);
        let scratch = Scratch {
            input: lanes(weights.input.input),
            hidden: lanes(weights.input.output),
            gates_input: lanes(3 * d.belief),
            gates_state: lanes(3 * d.belief),
            features: lanes(d.stochastic + d.belief),
            prior_hidden: lanes(weights.prior[0].output),
            prior: lanes(2 * d.stochastic),
            reward: [lanes(widest), lanes(widest)],
            noise: vec![0.0; d.stochastic],
        };
        let start = Belief::initial(&d);
        Self {
            weights,
            start,
            scratch,
        }
    }

    /// Sizes of the model's vectors.
    pub fn dimensions(&self) -> Dimensions {
        self.weights.dimensions
    }

    /// Advances a single belief by one action through the prior's mean, in place, and writes the prior's standard
    /// deviations to `std`.
    pub fn predict(&mut self, belief: &mut Belief, action: &[f32], std: &mut [f32]) {
        let stochastic = self.weights.dimensions.stochastic;
        self.scratch.load(&self.weights, belief);
        for (lane, &a) in self.scratch.input[stochastic..].iter_mut().zip(action) {
            *lane = [a; TILE];
        }
        dispatch(&mut Predict {
            scratch: &mut self.scratch,
            weights: &self.weights,
        });
        for (i, std) in std.iter_mut().enumerate() {
            *std = math::softplus(self.scratch.prior[stochastic + i][0]) + self.weights.min_std;
        }
        for (value, lane) in belief
            .s
            .iter_mut()
            .chain(&mut belief.h)
            .zip(&self.scratch.features)
        {
            *value = lane[0];
        }
    }

    /// The reward head's mean for a belief.
    pub fn reward(&mut self, belief: &Belief) -> f32 {
        self.scratch.load(&self.weights, belief);
        let mut job = Reward {
            scratch: &mut self.scratch,
            weights: &self.weights,
            sum: [0.0; TILE],
        };
        dispatch(&mut job);
        job.sum[0]
    }
}

impl Rollout for ScalarRollout {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn begin(&mut self, start: &Belief) {
        self.start.copy_from(start);
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String> {
        let stride = horizon * self.weights.dimensions.action;
        for (tile, chunk) in returns.chunks_mut(TILE).enumerate() {
            let first = tile * TILE;
            let mut job = Returns {
                scratch: &mut self.scratch,
                weights: &self.weights,
                start: &self.start,
                actions: &actions[first * stride..(first + chunk.len()) * stride],
                horizon,
                noise,
                first_candidate: first_candidate + first as u32,
                sum: [0.0; TILE],
            };
            dispatch(&mut job);
            chunk.copy_from_slice(&job.sum[..chunk.len()]);
        }
        Ok(())
    }
}

struct Predict<'a> {
    scratch: &'a mut Scratch,
    weights: &'a LatentWeights,
}

impl Job for Predict<'_> {
    #[inline(always)]
    fn run(&mut self) {
        self.scratch.step(self.weights);
        self.scratch.take_latent(self.weights, None);
    }
}

struct Reward<'a> {
    scratch: &'a mut Scratch,
    weights: &'a LatentWeights,
    sum: Lane,
}

impl Job for Reward<'_> {
    #[inline(always)]
    fn run(&mut self) {
        self.scratch.add_reward(self.weights, &mut self.sum);
    }
}

struct Returns<'a> {
    scratch: &'a mut Scratch,
    weights: &'a LatentWeights,
    start: &'a Belief,
    actions: &'a [f32],
    horizon: usize,
    noise: NoiseKey,
    first_candidate: u32,
    sum: Lane,
}

impl Job for Returns<'_> {
    #[inline(always)]
    fn run(&mut self) {
        self.scratch.load(self.weights, self.start);
        for step in 0..self.horizon {
            self.scratch
                .set_actions(self.weights, self.actions, self.horizon, step);
            self.scratch.step(self.weights);
            let names = self
                .noise
                .sampled
                .then_some((self.noise, self.first_candidate, step as u32));
            self.scratch.take_latent(self.weights, names);
            self.scratch.add_reward(self.weights, &mut self.sum);
        }
    }
}

impl Scratch {
    #[inline(always)]
    fn load(&mut self, weights: &LatentWeights, belief: &Belief) {
        for (lane, &value) in self.features.iter_mut().zip(belief.s.iter().chain(&belief.h)) {
            *lane = [value; TILE];
        }
        let stochastic = weights.dimensions.stochastic;
        self.input[..stochastic].copy_from_slice(&self.features[..stochastic]);
    }

    #[inline(always)]
    fn set_actions(&mut self, weights: &LatentWeights, actions: &[f32], horizon: usize, step: usize) {
        let (stochastic, width) = (weights.dimensions.stochastic, weights.dimensions.action);
        for (candidate, sequence) in actions.chunks_exact(horizon * width).enumerate() {
            for joint in 0..width {
                self.input[stochastic + joint][candidate] = sequence[step * width + joint];
            }
        }
    }

    /// `h_t` from the last latent and the action, then the prior's raw parameters.
    #[inline(always)]
    fn step(&mut self, weights: &LatentWeights) {
        let (stochastic, belief) = (weights.dimensions.stochastic, weights.dimensions.belief);
        let (state, input) = (&weights.gru_state, &weights.gru_input);
        dense(&weights.input, &self.input, &mut self.hidden, true);
        // Reset and update gates are one sum over state, then input; the new state's two parts stay apart.
        for (o, row) in self.gates_state.iter_mut().enumerate() {
            let both = o < 2 * belief;
            *row = [if both {
                state.bias[o] + input.bias[o]
            } else {
                state.bias[o]
            }; TILE];
        }
        accumulate(state, &self.features[stochastic..], &mut self.gates_state);
        self.gates_input.copy_from_slice(&self.gates_state);
        for (row, &bias) in self.gates_input.iter_mut().zip(&input.bias).skip(2 * belief) {
            *row = [bias; TILE];
        }
        accumulate(input, &self.hidden, &mut self.gates_input);
        if weights.cell == Cell::FeedForward {
            self.features[stochastic..].copy_from_slice(&self.hidden[..belief]);
        }
        let recurrent = if weights.cell == Cell::Gru { belief } else { 0 };
        for i in 0..recurrent {
            let h = &mut self.features[stochastic + i];
            for lane in 0..TILE {
                let r = math::sigmoid(self.gates_input[i][lane]);
                let z = math::sigmoid(self.gates_input[belief + i][lane]);
                let (xn, hn) = (
                    self.gates_input[2 * belief + i][lane],
                    self.gates_state[2 * belief + i][lane],
                );
                let n = math::tanh(r.mul_add(hn, xn));
                h[lane] = z.mul_add(h[lane] - n, n);
            }
        }
        dense(
            &weights.prior[0],
            &self.features[stochastic..],
            &mut self.prior_hidden,
            true,
        );
        dense(&weights.prior[1], &self.prior_hidden, &mut self.prior, false);
    }

    /// The next stochastic state: a sample keyed by candidate and step, or the mean.
    #[inline(always)]
    fn take_latent(&mut self, weights: &LatentWeights, names: Option<(NoiseKey, u32, u32)>) {
        let stochastic = weights.dimensions.stochastic;
        if let Some((noise, first_candidate, step)) = names {
            for lane in 0..TILE {
                noise.normals(
                    Purpose::Latent,
                    first_candidate + lane as u32,
                    step,
                    &mut self.noise,
                );
                for i in 0..stochastic {
                    self.features[i][lane] = self.noise[i];
                }
            }
            for i in 0..stochastic {
                for lane in 0..TILE {
                    let std = math::softplus(self.prior[stochastic + i][lane]) + weights.min_std;
                    self.features[i][lane] = std.mul_add(self.features[i][lane], self.prior[i][lane]);
                }
            }
        } else {
            self.features[..stochastic].copy_from_slice(&self.prior[..stochastic]);
        }
        self.input[..stochastic].copy_from_slice(&self.features[..stochastic]);
    }

    #[inline(always)]
    fn add_reward(&mut self, weights: &LatentWeights, sum: &mut Lane) {
        let last = weights.reward.len() - 1;
        let [a, b] = &mut self.reward;
        dense(&weights.reward[0], &self.features, a, last != 0);
        let (mut from, mut to) = (a, b);
        for (index, layer) in weights.reward.iter().enumerate().skip(1) {
            dense(layer, from, to, index != last);
            (from, to) = (to, from);
        }
        for lane in 0..TILE {
            sum[lane] += from[0][lane];
        }
    }
}

/// `y = W x + b`, optionally with ReLU.
#[inline(always)]
fn dense(layer: &Dense, x: &[Lane], y: &mut [Lane], relu: bool) {
    for (row, &bias) in y.iter_mut().zip(&layer.bias) {
        *row = [bias; TILE];
    }
    accumulate(layer, x, y);
    if relu {
        for row in &mut y[..layer.output] {
            for value in row {
                *value = math::relu(*value);
            }
        }
    }
}

/// `y += W x`; inputs in ascending order for every output.
#[inline(always)]
fn accumulate(layer: &Dense, x: &[Lane], y: &mut [Lane]) {
    let input = layer.input;
    let x = &x[..input];
    let whole = layer.output - layer.output % BLOCK;
    for first in (0..whole).step_by(BLOCK) {
        let rows: [&[f32]; BLOCK] = std::array::from_fn(|k| &layer.weight[(first + k) * input..][..input]);
        let mut sums: [Lane; BLOCK] = std::array::from_fn(|k| y[first + k]);
        for (i, lane) in x.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(rows) {
                let w = row[i];
                for (s, &v) in sum.iter_mut().zip(lane) {
                    *s = w.mul_add(v, *s);
                }
            }
        }
        y[first..first + BLOCK].copy_from_slice(&sums);
    }
    for output in whole..layer.output {
        let row = &layer.weight[output * input..][..input];
        for (&w, lane) in row.iter().zip(x) {
            for (s, &v) in y[output].iter_mut().zip(lane) {
                *s = w.mul_add(v, *s);
            }
        }
    }
}

/// A piece of work whose whole body is inlined into each of [`dispatch`]'s compilations.
trait Job {
    fn run(&mut self);
}

/// Runs the same code compiled for the widest registers this CPU has. Only speed changes, never a bit.
fn dispatch<J: Job>(job: &mut J) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were just detected.
            return unsafe { with_avx512(job) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were just detected.
            return unsafe { with_avx2(job) };
        }
    }
    job.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn with_avx512<J: Job>(job: &mut J) {
    job.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<J: Job>(job: &mut J) {
    job.run();
}
