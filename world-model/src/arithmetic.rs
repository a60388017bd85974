//! How the kernel multiplies: in which vectors, with which instructions, and from which form of its inputs.

use std::fmt::Debug;

use crate::lanes::Lanes;
use crate::lanes::portable::Portable;

/// A piece of work whose whole body is inlined into one compilation for each instruction set.
pub(crate) trait Job {
    /// Does it; must be `#[inline(always)]`.
    fn run(&mut self);
}

/// A way to multiply matrices with candidates: what is multiplied may be narrower than what is summed.
pub(crate) trait Arithmetic: Copy + Debug + Send + Sync + 'static {
    /// Sums, and everything that is not a matrix product.
    type Lanes: Lanes;
    /// The weights of one output for as many inputs as one multiply-add takes.
    type Weight: Copy + Debug + Send + Sync;
    /// As many inputs, for a vector of candidates.
    type Input: Copy + Debug + Send + Sync;

    /// Inputs one multiply-add takes.
    const PACK: usize;

    /// Packs up to [`Self::PACK`] weights, zeros for the rest.
    fn weight(weights: &[f32]) -> Self::Weight;

    /// `sum + weight * input`, every lane alike.
    fn multiply_add(weight: Self::Weight, input: Self::Input, sum: Self::Lanes) -> Self::Lanes;

    /// Inputs of value zero.
    fn zero() -> Self::Input;

    /// Writes features `first` onwards as inputs. `first` and the number of values are multiples of [`Self::PACK`], but
    /// the last features of all may be fewer.
    fn put<const N: usize>(inputs: &mut [[Self::Input; N]], first: usize, values: &[[Self::Lanes; N]]);

    /// Runs a job with this arithmetic's instructions.
    fn enter<J: Job>(job: &mut J);
}

/// Whole `f32` arithmetic in vectors of one kind: each has the same bits as any other, lane by lane.
macro_rules! single_precision {
    ($name:ident, $lanes:ty, $enter:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;

        impl Arithmetic for $name {
            type Lanes = $lanes;
            type Weight = f32;
            type Input = $lanes;

            const PACK: usize = 1;

            fn weight(weights: &[f32]) -> f32 {
                weights[0]
            }

            #[inline(always)]
            fn multiply_add(weight: f32, input: $lanes, sum: $lanes) -> $lanes {
                <$lanes>::splat(weight).fused(input, sum)
            }

            #[inline(always)]
            fn zero() -> $lanes {
                <$lanes>::splat(0.0)
            }

            #[inline(always)]
            fn put<const N: usize>(inputs: &mut [[$lanes; N]], first: usize, values: &[[$lanes; N]]) {
                inputs[first..first + values.len()].copy_from_slice(values);
            }

            #[inline(always)]
            fn enter<J: Job>(job: &mut J) {
                $enter(job);
            }
        }
    };
}

single_precision!(
    PortableSingle,
    Portable,
    |job: &mut J| job.run(),
    "Whatever registers the program was compiled for."
);

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2Single, Avx512Single, Bf16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Arithmetic, Job};
    use crate::lanes::Lanes;
    use crate::lanes::x86::{F32x8, F32x16};

    #[target_feature(enable = "avx2,fma")]
    fn with_avx2<J: Job>(job: &mut J) {
        job.run();
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    fn with_avx512<J: Job>(job: &mut J) {
        job.run();
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma")]
    fn with_bf16<J: Job>(job: &mut J) {
        job.run();
    }

    single_precision!(
        Avx2Single,
        F32x8,
        // SAFETY: a kernel of this arithmetic is made only after the CPU was asked for AVX2 and FMA.
        |job: &mut J| unsafe { with_avx2(job) },
        "AVX2 and FMA."
    );
    single_precision!(
        Avx512Single,
        F32x16,
        // SAFETY: a kernel of this arithmetic is made only after the CPU was asked for AVX-512 F.
        |job: &mut J| unsafe { with_avx512(job) },
        "AVX-512 F."
    );

    /// AVX-512 BF16: pairs of 16-bit inputs and weights (round to nearest even), summed in `f32`.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Bf16;

    impl Arithmetic for Bf16 {
        type Lanes = F32x16;
        type Weight = u32;
        type Input = __m512i;

        const PACK: usize = 2;

        fn weight(weights: &[f32]) -> u32 {
            let round = |index: usize| bf16(weights.get(index).copied().unwrap_or(0.0));
            u32::from(round(0)) | u32::from(round(1)) << 16
        }

        #[inline(always)]
        fn multiply_add(weight: u32, input: __m512i, sum: F32x16) -> F32x16 {
            // SAFETY: a kernel of this arithmetic is made only after the CPU was asked for AVX-512 BF16; both types are
            // 64 bytes of any value.
            unsafe {
                let weight: __m512bh = std::mem::transmute(_mm512_set1_epi32(weight as i32));
                let input: __m512bh = std::mem::transmute(input);
                F32x16(_mm512_dpbf16_ps(sum.0, weight, input))
            }
        }

        #[inline(always)]
        fn zero() -> __m512i {
            // SAFETY: as for `multiply_add`.
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        fn put<const N: usize>(inputs: &mut [[__m512i; N]], first: usize, values: &[[F32x16; N]]) {
            for (rows, inputs) in values.chunks(2).zip(&mut inputs[first / 2..]) {
                for n in 0..N {
                    let odd = rows.get(1).map_or(F32x16::splat(0.0), |row| row[n]);
                    inputs[n] = pair(rows[0][n], odd);
                }
            }
        }

        #[inline(always)]
        fn enter<J: Job>(job: &mut J) {
            // SAFETY: a kernel of this arithmetic is made only after the CPU was asked for AVX-512 BF16.
            unsafe { with_bf16(job) }
        }
    }

    /// Sixteen pairs: `even` in the low halves, `odd` in the high ones.
    #[inline(always)]
    fn pair(even: F32x16, odd: F32x16) -> __m512i {
        // SAFETY: as for `multiply_add`; AVX-512 BW was asked for, too.
        unsafe {
            let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(odd.0, even.0));
            let lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            // Word 2 i comes from i, word 2 i + 1 from 16 + i.
            let from = _mm512_or_si512(
                lane,
                _mm512_slli_epi32::<16>(_mm512_add_epi32(lane, _mm512_set1_epi32(16))),
            );
            _mm512_permutexvar_epi16(from, halves)
        }
    }

    /// The nearest bf16, ties to even, of a finite number.
    fn bf16(value: f32) -> u16 {
        let bits = value.to_bits();
        (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Arithmetic, Job};
    use crate::lanes::Lanes;
    use crate::math;

    /// Calls a function generic over [`Arithmetic`] for each that this CPU has.
    macro_rules! on_every_vector {
        ($function:ident) => {
            $function::<crate::arithmetic::PortableSingle>();
            #[cfg(target_arch = "x86_64")]
            {
                use crate::instructions::Instructions;
                if Instructions::Avx2.supported() {
                    $function::<crate::arithmetic::Avx2Single>();
                }
                if Instructions::Avx512.supported() {
                    $function::<crate::arithmetic::Avx512Single>();
                }
            }
        };
    }
    pub(crate) use on_every_vector;

    /// The widest vector here.
    const WIDEST: usize = 16;

    struct Compute<'a, const N: usize> {
        body: &'a mut dyn FnMut(&mut [[f32; WIDEST]; N]),
        out: [[f32; WIDEST]; N],
    }

    impl<const N: usize> Job for Compute<'_, N> {
        #[inline(always)]
        fn run(&mut self) {
            (self.body)(&mut self.out);
        }
    }

    /// Runs `body` where the instructions of `A` are allowed (slowly: it is not inlined) and returns what it wrote.
    pub(crate) fn compute<A: Arithmetic, const N: usize>(
        body: &mut dyn FnMut(&mut [[f32; WIDEST]; N]),
    ) -> [[f32; WIDEST]; N] {
        let mut job = Compute {
            body,
            out: [[0.0; WIDEST]; N],
        };
        A::enter(&mut job);
        job.out
    }

    const FUNCTIONS: usize = 7;

    fn functions<V: Lanes>(x: V) -> [V; FUNCTIONS] {
        [
            math::exp(x),
            math::ln(x),
            math::sigmoid(x),
            math::tanh(x),
            math::softplus(x),
            math::relu(x),
            math::normal_quantile(x),
        ]
    }

    fn as_one_by_one<A: Arithmetic>() {
        let special = [
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MIN_POSITIVE / 8.0,
            f32::MAX,
            -87.5,
            88.5,
            0.075,
            0.925,
        ];
        let sweep = (0..4000).map(|step| -100.0 + 0.05 * step as f32);
        let unit = (1..4000).map(|step| step as f32 / 4000.0);
        let inputs: Vec<f32> = special.into_iter().chain(sweep).chain(unit).collect();
        for chunk in inputs.chunks(A::Lanes::COUNT) {
            let mut x = [1.0; WIDEST];
            x[..chunk.len()].copy_from_slice(chunk);
            let found = compute::<A, FUNCTIONS>(&mut |out| {
                for (value, out) in functions(A::Lanes::load(&x)).into_iter().zip(out) {
                    value.store(out);
                }
            });
            for (lane, &x) in chunk.iter().enumerate() {
                for (function, expected) in functions(x).into_iter().enumerate() {
                    let found = found[function][lane];
                    let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                    assert!(same, "function {function} of {x}: {found} and {expected}");
                }
            }
        }
    }

    #[test]
    fn elementary_functions_have_the_same_bits_in_every_vector() {
        on_every_vector!(as_one_by_one);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn weights_are_rounded_to_the_nearest_of_sixteen_bits_ties_to_even() {
        use super::Bf16;
        let cases = [
            (1.0, 0x3f80),
            (-2.0, 0xc000),
            // Halfway between 0x3f80 and 0x3f81, and between 0x3f81 and 0x3f82.
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
        ];
        for (value, expected) in cases {
            assert_eq!(Bf16::weight(&[value]), expected, "{value}");
            assert_eq!(Bf16::weight(&[0.0, value]), expected << 16, "{value}");
        }
    }
}
