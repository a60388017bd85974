//! Elementary functions that give the same bits on every platform.
//!
//! The standard library hands these to the platform's C library, whose last digit varies. nalgebra's traits lead to
//! the `libm` crate instead, because rapier's `enhanced-determinism` switches simba's `libm_force` on.

use nalgebra::{ComplexField, RealField};

#[inline]
pub(crate) fn sin_cos(angle_rad: f32) -> (f32, f32) {
    (ComplexField::sin(angle_rad), ComplexField::cos(angle_rad))
}

#[inline]
pub(crate) fn tan(angle_rad: f32) -> f32 {
    ComplexField::tan(angle_rad)
}

#[inline]
pub(crate) fn tanh(x: f32) -> f32 {
    ComplexField::tanh(x)
}

#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    ComplexField::exp(x)
}

#[inline]
pub(crate) fn acos(x: f32) -> f32 {
    ComplexField::acos(x)
}

#[inline]
pub(crate) fn atan2(y: f32, x: f32) -> f32 {
    RealField::atan2(y, x)
}

#[inline]
pub(crate) fn sqrt(x: f32) -> f32 {
    ComplexField::sqrt(x)
}
