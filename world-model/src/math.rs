//! Elementary functions: our own polynomials, branch-free, the same bits in every lane of every vector type.
//!
//! All use only add, multiply, divide, fused multiply-add, square root and bit operations, which IEEE 754 fixes
//! exactly; the C library's versions differ between machines. Coefficients: Cephes (Moshier) for exp and log,
//! Wichura's AS 241 (PPND7) for the normal quantile. Errors are those that the tests below measure.

use crate::lanes::{Lanes, Words};

/// The polynomial with these coefficients, highest power first (Horner).
#[inline(always)]
fn polynomial<V: Lanes, const N: usize>(x: V, coefficients: &[f32; N]) -> V {
    let mut sum = V::splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = sum.fused(x, V::splat(coefficient));
    }
    sum
}

/// The value without its sign.
#[inline(always)]
fn magnitude<V: Lanes>(x: V) -> V {
    (x.words() & V::Words::splat(0x7fff_ffff)).floats()
}

/// max(x, 0), but NaN stays NaN: a fault must not look like silence.
#[inline(always)]
pub(crate) fn relu<V: Lanes>(x: V) -> V {
    x.at_least(V::splat(0.0))
}

/// e^x, relative error below 2e-7; inputs are clamped to [-87, 88].
#[inline(always)]
pub(crate) fn exp<V: Lanes>(x: V) -> V {
    let x = x.at_least(V::splat(-87.0)).at_most(V::splat(88.0));
    // Adding 1.5 x 2^23 rounds to the nearest integer n, and leaves it in the lowest bits.
    let magic = V::splat(12_582_912.0);
    let rounded = x.fused(V::splat(std::f32::consts::LOG2_E), magic);
    let n = rounded - magic;
    let r = n.fused(V::splat(-0.693_359_4), x);
    let r = n.fused(V::splat(2.121_944_4e-4), r);
    let p = polynomial(
        r,
        &[
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ],
    );
    let y = p.fused(r * r, r) + V::splat(1.0);
    // 2^n: n moves into the exponent's place, everything above it falls off.
    let power = rounded.words().left::<23>().plus(V::Words::splat(127 << 23));
    y * power.floats()
}

/// Natural logarithm of a positive normal number, relative error below 3e-7 away from 1.
#[inline(always)]
pub(crate) fn ln<V: Lanes>(x: V) -> V {
    // Mantissa in [sqrt(1/2), sqrt(2)).
    let root_half = 0x3f35_04f3_u32;
    let shifted = x.words().plus(V::Words::splat(root_half.wrapping_neg()));
    let e = shifted.right_signed::<23>().signed();
    let mantissa = (shifted & V::Words::splat(0x007f_ffff)).plus(V::Words::splat(root_half));
    let m = mantissa.floats() - V::splat(1.0);
    let z = m * m;
    let p = polynomial(
        m,
        &[
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_7e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let y = m * z * p;
    let y = e.fused(V::splat(-2.121_944_4e-4), y);
    let y = z.fused(V::splat(-0.5), y);
    e.fused(V::splat(0.693_359_4), m + y)
}

/// Logistic function.
#[inline(always)]
pub(crate) fn sigmoid<V: Lanes>(x: V) -> V {
    let one = V::splat(1.0);
    one / (one + exp(x * V::splat(-1.0)))
}

/// Hyperbolic tangent; absolute error below 2e-7.
#[inline(always)]
pub(crate) fn tanh<V: Lanes>(x: V) -> V {
    let one = V::splat(1.0);
    one - V::splat(2.0) / (exp(x * V::splat(2.0)) + one)
}

/// ln(1 + e^x).
#[inline(always)]
pub(crate) fn softplus<V: Lanes>(x: V) -> V {
    let tail = exp(magnitude(x) * V::splat(-1.0)) + V::splat(1.0);
    relu(x) + ln(tail)
}

/// A word as a number in the open interval (0, 1): see [`robot::philox::open_unit`].
#[inline(always)]
pub(crate) fn open_unit<W: Words>(word: W) -> W::Floats {
    (word.right::<9>().signed() + W::Floats::splat(0.5)) * W::Floats::splat(1.0 / 8_388_608.0)
}

/// Quantile of the standard normal distribution for p in (0, 1): AS 241, PPND7. Error below 2e-5 of the larger of 0.1
/// and the value, over all p that [`open_unit`] gives, which ends at 5.3 standard deviations.
#[inline(always)]
pub(crate) fn normal_quantile<V: Lanes>(p: V) -> V {
    let one = V::splat(1.0);
    let q = p - V::splat(0.5);
    let central = {
        let r = (q * V::splat(-1.0)).fused(q, V::splat(0.180_625));
        let numerator = polynomial(r, &[59.109_374, 159.291_13, 50.434_27, 3.387_132_7]);
        let denominator = polynomial(r, &[67.187_56, 78.757_76, 17.895_17, 1.0]);
        q * numerator / denominator
    };
    let tail = {
        let smaller = p.at_most(one - p);
        // Good to r = 5, p = 1.4e-11; our p is at least 2^-24.
        let r = (ln(smaller) * V::splat(-1.0)).root() - V::splat(1.6);
        let numerator = polynomial(r, &[0.170_238_21, 1.306_728_5, 2.756_815_4, 1.423_437_8]);
        let denominator = polynomial(r, &[0.120_211_33, 0.737_001_6, 1.0]);
        let sign = q.words() & V::Words::splat(0x8000_0000);
        (magnitude(numerator / denominator).words() | sign).floats()
    };
    magnitude(q).if_at_most(V::splat(0.425), central, tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, ours: fn(f32) -> f32, exact: fn(f64) -> f64, low: f32, high: f32, tolerance: f64) {
        for step in 0..=20_000 {
            let x = low + (high - low) * step as f32 / 20_000.0;
            let (found, expected) = (f64::from(ours(x)), exact(f64::from(x)));
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < tolerance, "{name}({x}) = {found}, expected {expected}");
        }
    }

    #[test]
    fn close_to_double_precision() {
        check("exp", exp, f64::exp, -80.0, 80.0, 3e-7);
        check("ln", ln, f64::ln, 1e-6, 50.0, 3e-7);
        check("tanh", tanh, f64::tanh, -12.0, 12.0, 3e-7);
        check(
            "sigmoid",
            sigmoid,
            |x| 1.0 / (1.0 + (-x).exp()),
            -30.0,
            30.0,
            3e-7,
        );
        check(
            "softplus",
            softplus,
            |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
            -30.0,
            30.0,
            3e-7,
        );
    }

    #[test]
    fn normal_quantile_known_values() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.841_344_7, 1.0),
            (0.158_655_26, -1.0),
            (0.975, 1.959_964),
            (0.025, -1.959_964),
            (0.999, 3.090_232),
            (1e-4, -3.719_016_5),
            (1e-6, -4.753_424),
        ] {
            let found = normal_quantile(p);
            assert!(
                (found - expected).abs() < 2e-5 * expected.abs().max(0.1),
                "{p}: {found} against {expected}"
            );
        }
    }
}
