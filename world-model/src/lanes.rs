//! Vectors of numbers, so that one source of every kernel and elementary function serves all instruction sets.
//!
//! A lane is a candidate: no operation mixes lanes, so that a lane's bits are those that the one-lane vector `f32`
//! computes. That holds for NaN, too, in one sense: a lane is NaN where `f32` would be, though its payload may differ.
//!
//! **Invariant:** values of the types in [`x86`] exist only below a check that this CPU has their instructions;
//! [`crate::kernel`] is where they are made.

pub(crate) mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use std::fmt::Debug;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Sub};

/// A vector of `f32`.
pub(crate) trait Lanes:
    Copy
    + Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// As many `u32`.
    type Words: Words<Floats = Self>;

    /// How many.
    const COUNT: usize;

    /// The same number in each lane.
    fn splat(value: f32) -> Self;

    /// The first lanes of a slice.
    ///
    /// # Panics
    /// If it is shorter than [`Self::COUNT`].
    fn load(values: &[f32]) -> Self;

    /// Overwrites the first lanes of a slice.
    ///
    /// # Panics
    /// If it is shorter than [`Self::COUNT`].
    fn store(self, values: &mut [f32]);

    /// `self * factor + addend`, rounded once.
    fn fused(self, factor: Self, addend: Self) -> Self;

    /// `low` where that is greater, `self` elsewhere: NaN stays NaN.
    fn at_least(self, low: Self) -> Self;

    /// `high` where that is less, `self` elsewhere: NaN stays NaN.
    fn at_most(self, high: Self) -> Self;

    /// Square root.
    fn root(self) -> Self;

    /// `yes` where `self <= limit`, `no` elsewhere, NaN included.
    fn if_at_most(self, limit: Self, yes: Self, no: Self) -> Self;

    /// The bits.
    fn words(self) -> Self::Words;
}

/// A vector of `u32`.
pub(crate) trait Words:
    Copy + Debug + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self>
{
    /// As many `f32`.
    type Floats: Lanes<Words = Self>;

    /// The same number in each lane.
    fn splat(value: u32) -> Self;

    /// `first`, `first + 1`, and so on.
    fn count_from(first: u32) -> Self;

    /// Sum modulo 2^32.
    fn plus(self, other: Self) -> Self;

    /// Shifts left.
    fn left<const BITS: u32>(self) -> Self;

    /// Shifts right, zeros entering.
    fn right<const BITS: u32>(self) -> Self;

    /// Shifts right, the sign entering.
    fn right_signed<const BITS: u32>(self) -> Self;

    /// High and low words of the 64-bit products with `factor`.
    fn wide_product(self, factor: u32) -> (Self, Self);

    /// Two's complement integers as numbers.
    fn signed(self) -> Self::Floats;

    /// Numbers with these bits.
    fn floats(self) -> Self::Floats;
}

/// The vector of one lane: what the others are compared with.
impl Lanes for f32 {
    type Words = u32;

    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        values[0]
    }

    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        values[0] = self;
    }

    #[inline(always)]
    fn fused(self, factor: Self, addend: Self) -> Self {
        self.mul_add(factor, addend)
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        if low > self { low } else { self }
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        if high < self { high } else { self }
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn if_at_most(self, limit: Self, yes: Self, no: Self) -> Self {
        if self <= limit { yes } else { no }
    }

    #[inline(always)]
    fn words(self) -> u32 {
        self.to_bits()
    }
}

impl Words for u32 {
    type Floats = f32;

    #[inline(always)]
    fn splat(value: u32) -> Self {
        value
    }

    #[inline(always)]
    fn count_from(first: u32) -> Self {
        first
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn left<const BITS: u32>(self) -> Self {
        self << BITS
    }

    #[inline(always)]
    fn right<const BITS: u32>(self) -> Self {
        self >> BITS
    }

    #[inline(always)]
    fn right_signed<const BITS: u32>(self) -> Self {
        (self as i32 >> BITS) as u32
    }

    #[inline(always)]
    fn wide_product(self, factor: u32) -> (Self, Self) {
        let product = u64::from(self) * u64::from(factor);
        ((product >> 32) as u32, product as u32)
    }

    #[inline(always)]
    fn signed(self) -> f32 {
        self as i32 as f32
    }

    #[inline(always)]
    fn floats(self) -> f32 {
        f32::from_bits(self)
    }
}
