//! Eight lanes in plain Rust: what CPUs without a hand-written vector type run, compiled to whatever registers they
//! have (NEON on 64-bit ARM, where two of them hold a vector).

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Sub};

use super::{Lanes, Words};

/// Lanes of a portable vector.
const COUNT: usize = 8;

/// Eight `f32`.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(crate) struct Portable([f32; COUNT]);

/// Eight `u32`.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(crate) struct PortableWords([u32; COUNT]);

macro_rules! lane_by_lane {
    ($type:ident, $trait:ident, $method:ident) => {
        impl $trait for $type {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(std::array::from_fn(|lane| {
                    self.0[lane].$method(other.0[lane])
                }))
            }
        }
    };
}

lane_by_lane!(Portable, Add, add);
lane_by_lane!(Portable, Sub, sub);
lane_by_lane!(Portable, Mul, mul);
lane_by_lane!(Portable, Div, div);
lane_by_lane!(PortableWords, BitAnd, bitand);
lane_by_lane!(PortableWords, BitOr, bitor);
lane_by_lane!(PortableWords, BitXor, bitxor);

impl Lanes for Portable {
    type Words = PortableWords;

    const COUNT: usize = COUNT;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; COUNT])
    }

    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        Self(std::array::from_fn(|lane| values[lane]))
    }

    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        values[..COUNT].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn fused(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane].mul_add(factor.0[lane], addend.0[lane])
        }))
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].at_least(low.0[lane])))
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane].at_most(high.0[lane])))
    }

    #[inline(always)]
    fn root(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }

    #[inline(always)]
    fn if_at_most(self, limit: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane].if_at_most(limit.0[lane], yes.0[lane], no.0[lane])
        }))
    }

    #[inline(always)]
    fn words(self) -> PortableWords {
        PortableWords(self.0.map(f32::to_bits))
    }
}

impl Words for PortableWords {
    type Floats = Portable;

    #[inline(always)]
    fn splat(value: u32) -> Self {
        Self([value; COUNT])
    }

    #[inline(always)]
    fn count_from(first: u32) -> Self {
        Self(std::array::from_fn(|lane| first.wrapping_add(lane as u32)))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane].wrapping_add(other.0[lane])
        }))
    }

    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        Self(self.0.map(|word| word << BITS))
    }

    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        Self(self.0.map(|word| word >> BITS))
    }

    #[inline(always)]
    fn right_signed<const BITS: u32>(self) -> Self {
        Self(self.0.map(|word| (word as i32 >> BITS) as u32))
    }

    #[inline(always)]
    fn wide_product(self, factor: u32) -> (Self, Self) {
        let products = self.0.map(|word| u64::from(word) * u64::from(factor));
        (
            Self(products.map(|product| (product >> 32) as u32)),
            Self(products.map(|product| product as u32)),
        )
    }

    #[inline(always)]
    fn signed(self) -> Portable {
        Portable(self.0.map(|word| word as i32 as f32))
    }

    #[inline(always)]
    fn floats(self) -> Portable {
        Portable(self.0.map(f32::from_bits))
    }
}
