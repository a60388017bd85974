//! The noise of planning: normal variates that are functions of what they are for, never of what was drawn before.

use std::marker::PhantomData;

use robot::philox::{MULTIPLIER, WEYL};

use crate::arithmetic::{Arithmetic, Job, PortableSingle};
#[cfg(target_arch = "x86_64")]
use crate::arithmetic::{Avx2Single, Avx512Single};
use crate::instructions::Instructions;
use crate::lanes::{Lanes, Words};
use crate::math::{normal_quantile, open_unit};

/// Names the noise of one planning iteration. Every variate is a function of this, the candidate and the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseKey {
    /// Planner seed.
    pub seed: u64,
    /// Control tick.
    pub tick: u32,
    /// CEM iteration.
    pub iteration: u32,
    /// Whether stochastic states are sampled or follow their mean.
    pub sampled: bool,
}

/// What a variate is for; keeps streams apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Candidate actions.
    Action = 0,
    /// Stochastic states within rollouts.
    Latent = 1,
    /// Exploration noise and random policies.
    Exploration = 2,
}

impl NoiseKey {
    /// Fills `out` with standard normal variates for (`candidate`, `step`).
    pub fn normals(&self, purpose: Purpose, candidate: u32, step: u32, out: &mut [f32]) {
        for (block, chunk) in out.chunks_mut(4).enumerate() {
            let values: [f32; 4] = self.normal_block(purpose, candidate, step, block as u32);
            chunk.copy_from_slice(&values[..chunk.len()]);
        }
    }

    /// Fills `out`, `[candidates][steps][width]`, with standard normal variates for candidates `first_candidate`,
    /// `first_candidate` + 1, ...: the same as [`Self::normals`] gives one by one, in vectors.
    pub fn sequences(
        &self,
        purpose: Purpose,
        first_candidate: u32,
        steps: usize,
        width: usize,
        out: &mut [f32],
    ) {
        let mut job = Sequences {
            key: self,
            purpose,
            first_candidate,
            steps,
            width,
            out,
        };
        match Instructions::best_single() {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => Avx512Single::enter(&mut Of::<Avx512Single>(&mut job, PhantomData)),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Avx2Single::enter(&mut Of::<Avx2Single>(&mut job, PhantomData)),
            _ => PortableSingle::enter(&mut Of::<PortableSingle>(&mut job, PhantomData)),
        }
    }

    /// Variates 4 `block` to 4 `block` + 3 of a vector of candidates, the first of which is `first_candidate`.
    #[inline(always)]
    pub(crate) fn normal_block<V: Lanes>(
        &self,
        purpose: Purpose,
        first_candidate: u32,
        step: u32,
        block: u32,
    ) -> [V; 4] {
        let counter = [
            V::Words::splat(block | ((purpose as u32) << 24)),
            V::Words::count_from(first_candidate),
            V::Words::splat(step | (self.iteration << 16)),
            V::Words::splat(self.tick),
        ];
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        // Written out: a closure would be compiled without the vectors' instructions.
        let [a, b, c, d] = philox4x32(counter, key);
        [
            normal_quantile(open_unit(a)),
            normal_quantile(open_unit(b)),
            normal_quantile(open_unit(c)),
            normal_quantile(open_unit(d)),
        ]
    }
}

struct Sequences<'a> {
    key: &'a NoiseKey,
    purpose: Purpose,
    first_candidate: u32,
    steps: usize,
    width: usize,
    out: &'a mut [f32],
}

/// The same with the vectors of one arithmetic.
struct Of<'a, 'b, A>(&'a mut Sequences<'b>, PhantomData<A>);

impl<A: Arithmetic> Job for Of<'_, '_, A> {
    #[inline(always)]
    fn run(&mut self) {
        let Sequences {
            key,
            purpose,
            first_candidate,
            steps,
            width,
            ref mut out,
        } = *self.0;
        let stride = steps * width;
        for (tile, sequences) in out.chunks_mut(A::Lanes::COUNT * stride).enumerate() {
            let first = first_candidate + (tile * A::Lanes::COUNT) as u32;
            for step in 0..steps {
                for from in (0..width).step_by(4) {
                    let values: [A::Lanes; 4] =
                        key.normal_block(purpose, first, step as u32, from as u32 / 4);
                    for k in from..width.min(from + 4) {
                        let mut lanes = [0.0; WIDEST];
                        values[k - from].store(&mut lanes);
                        let at = step * width + k;
                        for (value, lane) in sequences.iter_mut().skip(at).step_by(stride).zip(lanes) {
                            *value = lane;
                        }
                    }
                }
            }
        }
    }
}

/// No vector has more lanes.
const WIDEST: usize = 16;

/// [`robot::philox::philox4x32`] in every lane.
#[inline(always)]
fn philox4x32<W: Words>(counter: [W; 4], key: [u32; 2]) -> [W; 4] {
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let (high0, low0) = c[0].wide_product(MULTIPLIER[0]);
        let (high1, low1) = c[2].wide_product(MULTIPLIER[1]);
        c = [
            high1 ^ c[1] ^ W::splat(k[0]),
            low1,
            high0 ^ c[3] ^ W::splat(k[1]),
            low0,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::{NoiseKey, Purpose, philox4x32};
    use crate::arithmetic::Arithmetic;
    use crate::arithmetic::tests::{compute, on_every_vector};
    use crate::lanes::{Lanes, Words};

    /// Known answers published with Random123 (`kat_vectors`, philox4x32 10): counter, key, output.
    const KNOWN: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
        (
            [0; 4],
            [0; 2],
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        ),
        (
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        ),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];

    fn known_answers<A: Arithmetic>() {
        for (counter, key, expected) in KNOWN {
            let found = compute::<A, 4>(&mut |out| {
                let [a, b, c, d] = counter;
                let splat = <A::Lanes as Lanes>::Words::splat;
                let words = philox4x32([splat(a), splat(b), splat(c), splat(d)], key);
                for (vector, out) in words.into_iter().zip(out) {
                    vector.floats().store(out);
                }
            });
            for (lanes, expected) in found.iter().zip(expected) {
                assert!(
                    lanes[..A::Lanes::COUNT]
                        .iter()
                        .all(|lane| lane.to_bits() == expected)
                );
            }
        }
    }

    /// A candidate's noise is its own, in whatever vector it travels.
    fn as_one_by_one<A: Arithmetic>() {
        let key = NoiseKey {
            seed: 0x0123_4567_89ab_cdef,
            tick: 7,
            iteration: 3,
            sampled: true,
        };
        let first = 41;
        let found = compute::<A, 4>(&mut |out| {
            let values: [A::Lanes; 4] = key.normal_block(Purpose::Latent, first, 5, 2);
            for (vector, out) in values.into_iter().zip(out) {
                vector.store(out);
            }
        });
        for lane in 0..A::Lanes::COUNT {
            let mut alone = [0.0; 12];
            key.normals(Purpose::Latent, first + lane as u32, 5, &mut alone);
            for k in 0..4 {
                assert_eq!(found[k][lane].to_bits(), alone[8 + k].to_bits());
            }
        }
    }

    #[test]
    fn philox_known_answers_in_every_lane() {
        on_every_vector!(known_answers);
    }

    #[test]
    fn noise_does_not_depend_on_the_vector() {
        on_every_vector!(as_one_by_one);
    }

    #[test]
    fn noise_of_many_candidates_is_that_of_each() {
        let key = NoiseKey {
            seed: 5,
            tick: 1,
            iteration: 2,
            sampled: false,
        };
        for (candidates, steps, width) in [(1, 1, 1), (37, 3, 2), (16, 2, 7)] {
            let mut all = vec![0.0; candidates * steps * width];
            key.sequences(Purpose::Action, 9, steps, width, &mut all);
            for (index, found) in all.chunks(width).enumerate() {
                let (candidate, step) = (9 + index / steps, index % steps);
                let mut alone = vec![0.0; width];
                key.normals(Purpose::Action, candidate as u32, step as u32, &mut alone);
                assert_eq!(found, alone, "candidate {candidate}, step {step}");
            }
        }
    }

    #[test]
    fn normal_variates_have_the_moments_of_the_normal_distribution() {
        let (mut sum, mut squares, mut fourths) = (0.0_f64, 0.0_f64, 0.0_f64);
        let count = 200_000;
        let mut out = [0.0; 20];
        for candidate in 0..count / 20 {
            let key = NoiseKey {
                seed: 9,
                tick: 0,
                iteration: 0,
                sampled: true,
            };
            key.normals(Purpose::Action, candidate, 0, &mut out);
            for value in out.map(f64::from) {
                sum += value;
                squares += value.powi(2);
                fourths += value.powi(4);
            }
        }
        let n = f64::from(count);
        assert!((sum / n).abs() < 0.01, "mean {}", sum / n);
        assert!((squares / n - 1.0).abs() < 0.02, "variance {}", squares / n);
        assert!((fourths / n - 3.0).abs() < 0.1, "fourth moment {}", fourths / n);
    }
}
