//! Eight lanes of AVX2 and sixteen of AVX-512.

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Sub};

use super::{Lanes, Words};

/// Eight `f32` (needs AVX2 and FMA).
#[derive(Debug, Clone, Copy)]
pub(crate) struct F32x8(__m256);

/// Eight `u32` (needs AVX2 and FMA).
#[derive(Debug, Clone, Copy)]
pub(crate) struct U32x8(__m256i);

/// Sixteen `f32` (needs AVX-512 F).
#[derive(Debug, Clone, Copy)]
pub(crate) struct F32x16(pub(crate) __m512);

/// Sixteen `u32` (needs AVX-512 F).
#[derive(Debug, Clone, Copy)]
pub(crate) struct U32x16(pub(crate) __m512i);

macro_rules! operator {
    ($type:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $type {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value of this type exists only where the CPU has its instructions (`lanes`' invariant).
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}

operator!(F32x8, Add, add, _mm256_add_ps);
operator!(F32x8, Sub, sub, _mm256_sub_ps);
operator!(F32x8, Mul, mul, _mm256_mul_ps);
operator!(F32x8, Div, div, _mm256_div_ps);
operator!(U32x8, BitAnd, bitand, _mm256_and_si256);
operator!(U32x8, BitOr, bitor, _mm256_or_si256);
operator!(U32x8, BitXor, bitxor, _mm256_xor_si256);
operator!(F32x16, Add, add, _mm512_add_ps);
operator!(F32x16, Sub, sub, _mm512_sub_ps);
operator!(F32x16, Mul, mul, _mm512_mul_ps);
operator!(F32x16, Div, div, _mm512_div_ps);
operator!(U32x16, BitAnd, bitand, _mm512_and_si512);
operator!(U32x16, BitOr, bitor, _mm512_or_si512);
operator!(U32x16, BitXor, bitxor, _mm512_xor_si512);

// `max(low, self)` and not the other way round: where either is NaN the instruction returns its second operand.
macro_rules! lanes {
    ($floats:ident, $words:ident, $count:literal, $splat:ident, $load:ident, $store:ident, $fused:ident, $max:ident,
     $min:ident, $root:ident, $cast:ident, $if_at_most:expr) => {
        impl Lanes for $floats {
            type Words = $words;

            const COUNT: usize = $count;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: called only where the CPU has these instructions (`lanes`' invariant).
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn load(values: &[f32]) -> Self {
                let values: &[f32; $count] = values.first_chunk().expect("a slice of whole vectors");
                // SAFETY: as for `splat`; the array has as many numbers as are read.
                Self(unsafe { $load(values.as_ptr()) })
            }

            #[inline(always)]
            fn store(self, values: &mut [f32]) {
                let values: &mut [f32; $count] = values.first_chunk_mut().expect("a slice of whole vectors");
                // SAFETY: as for `splat`; the array has as many numbers as are written.
                unsafe { $store(values.as_mut_ptr(), self.0) }
            }

            #[inline(always)]
            fn fused(self, factor: Self, addend: Self) -> Self {
                // SAFETY: as for `splat`.
                Self(unsafe { $fused(self.0, factor.0, addend.0) })
            }

            #[inline(always)]
            fn at_least(self, low: Self) -> Self {
                // SAFETY: as for `splat`.
                Self(unsafe { $max(low.0, self.0) })
            }

            #[inline(always)]
            fn at_most(self, high: Self) -> Self {
                // SAFETY: as for `splat`.
                Self(unsafe { $min(high.0, self.0) })
            }

            #[inline(always)]
            fn root(self) -> Self {
                // SAFETY: as for `splat`.
                Self(unsafe { $root(self.0) })
            }

            #[inline(always)]
            fn if_at_most(self, limit: Self, yes: Self, no: Self) -> Self {
                // SAFETY: as for `splat`.
                Self(unsafe { $if_at_most(self.0, limit.0, yes.0, no.0) })
            }

            #[inline(always)]
            fn words(self) -> $words {
                // SAFETY: as for `splat`.
                $words(unsafe { $cast(self.0) })
            }
        }
    };
}

lanes!(
    F32x8,
    U32x8,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    _mm256_min_ps,
    _mm256_sqrt_ps,
    _mm256_castps_si256,
    |value, limit, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LE_OQ>(value, limit))
);
lanes!(
    F32x16,
    U32x16,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_max_ps,
    _mm512_min_ps,
    _mm512_sqrt_ps,
    _mm512_castps_si512,
    |value, limit, yes, no| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(value, limit), no, yes)
);

impl Words for U32x8 {
    type Floats = F32x8;

    #[inline(always)]
    fn splat(value: u32) -> Self {
        // SAFETY: called only where the CPU has AVX2 (`lanes`' invariant).
        Self(unsafe { _mm256_set1_epi32(value as i32) })
    }

    #[inline(always)]
    fn count_from(first: u32) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) }).plus(Self::splat(first))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm256_sll_epi32(self.0, _mm_cvtsi32_si128(BITS as i32)) })
    }

    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm256_srl_epi32(self.0, _mm_cvtsi32_si128(BITS as i32)) })
    }

    #[inline(always)]
    fn right_signed<const BITS: u32>(self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm256_sra_epi32(self.0, _mm_cvtsi32_si128(BITS as i32)) })
    }

    #[inline(always)]
    fn wide_product(self, factor: u32) -> (Self, Self) {
        // SAFETY: as for `splat`.
        unsafe {
            let factor = _mm256_set1_epi32(factor as i32);
            let even = _mm256_mul_epu32(self.0, factor);
            let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(self.0), factor);
            let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
            let low = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
            (Self(high), Self(low))
        }
    }

    #[inline(always)]
    fn signed(self) -> F32x8 {
        // SAFETY: as for `splat`.
        F32x8(unsafe { _mm256_cvtepi32_ps(self.0) })
    }

    #[inline(always)]
    fn floats(self) -> F32x8 {
        // SAFETY: as for `splat`.
        F32x8(unsafe { _mm256_castsi256_ps(self.0) })
    }
}

impl Words for U32x16 {
    type Floats = F32x16;

    #[inline(always)]
    fn splat(value: u32) -> Self {
        // SAFETY: called only where the CPU has AVX-512 F (`lanes`' invariant).
        Self(unsafe { _mm512_set1_epi32(value as i32) })
    }

    #[inline(always)]
    fn count_from(first: u32) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) })
            .plus(Self::splat(first))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm512_slli_epi32::<BITS>(self.0) })
    }

    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm512_srli_epi32::<BITS>(self.0) })
    }

    #[inline(always)]
    fn right_signed<const BITS: u32>(self) -> Self {
        // SAFETY: as for `splat`.
        Self(unsafe { _mm512_srai_epi32::<BITS>(self.0) })
    }

    #[inline(always)]
    fn wide_product(self, factor: u32) -> (Self, Self) {
        // SAFETY: as for `splat`.
        unsafe {
            let factor = _mm512_set1_epi32(factor as i32);
            let even = _mm512_mul_epu32(self.0, factor);
            let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(self.0), factor);
            const ODD: __mmask16 = 0b1010_1010_1010_1010;
            let high = _mm512_mask_blend_epi32(ODD, _mm512_srli_epi64::<32>(even), odd);
            let low = _mm512_mask_blend_epi32(ODD, even, _mm512_slli_epi64::<32>(odd));
            (Self(high), Self(low))
        }
    }

    #[inline(always)]
    fn signed(self) -> F32x16 {
        // SAFETY: as for `splat`.
        F32x16(unsafe { _mm512_cvtepi32_ps(self.0) })
    }

    #[inline(always)]
    fn floats(self) -> F32x16 {
        // SAFETY: as for `splat`.
        F32x16(unsafe { _mm512_castsi512_ps(self.0) })
    }
}
