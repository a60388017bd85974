//! Elementary functions: our own polynomials, branch-free, the same bits on every CPU.
//!
//! All use only add, multiply, divide, fused multiply-add, square root and bit operations, which IEEE 754 fixes
//! exactly; the C library's versions differ between machines. Coefficients: Cephes (Moshier) for exp and log,
//! Wichura's AS 241 (PPND7) for the normal quantile.

/// e^x, relative error below 2e-7; inputs are clamped to [-87, 88].
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding and subtracting 1.5 x 2^23 rounds to the nearest integer without a rounding instruction.
    let magic = 12_582_912.0f32;
    let n = x.mul_add(std::f32::consts::LOG2_E, magic) - magic;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    y * power
}

/// Natural logarithm of a positive normal number, relative error below 3e-7 away from 1.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // Mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (shifted as i32) >> 23;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let e = exponent as f32;
    let m = mantissa - 1.0;
    let z = m * m;
    let p = 7.037_683_6e-2f32;
    let p = p.mul_add(m, -1.151_461e-1);
    let p = p.mul_add(m, 1.167_699_9e-1);
    let p = p.mul_add(m, -1.242_014_1e-1);
    let p = p.mul_add(m, 1.424_932_3e-1);
    let p = p.mul_add(m, -1.666_805_7e-1);
    let p = p.mul_add(m, 2.000_071_5e-1);
    let p = p.mul_add(m, -2.499_999_4e-1);
    let p = p.mul_add(m, 3.333_333e-1);
    let y = m * z * p;
    let y = e.mul_add(-2.121_944_4e-4, y);
    let y = z.mul_add(-0.5, y);
    e.mul_add(0.693_359_4, m + y)
}

/// Logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent; absolute error below 2e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// ln(1 + e^x).
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    x.max(0.0) + ln(1.0 + exp(-x.abs()))
}

/// Quantile of the standard normal distribution for p in (0, 1): AS 241, PPND7.
#[inline(always)]
pub fn normal_quantile(p: f32) -> f32 {
    let q = p - 0.5;
    let central = {
        let r = q.mul_add(-q, 0.180_625);
        let numerator = 59.109_374f32
            .mul_add(r, 159.291_13)
            .mul_add(r, 50.434_27)
            .mul_add(r, 3.387_132_7);
        let denominator = 67.187_56f32
            .mul_add(r, 78.757_76)
            .mul_add(r, 17.895_17)
            .mul_add(r, 1.0);
        q * numerator / denominator
    };
    let tail = {
        let smaller = p.min(1.0 - p);
        let r = (-ln(smaller)).sqrt();
        // Good to r = 5, p = 1.4e-11; our p is at least 2^-24.
        let r = r - 1.6;
        let numerator = 0.170_238_21f32
            .mul_add(r, 1.306_728_5)
            .mul_add(r, 2.756_815_4)
            .mul_add(r, 1.423_437_8);
        let denominator = 0.120_211_33f32.mul_add(r, 0.737_001_6).mul_add(r, 1.0);
        (numerator / denominator).copysign(q)
    };
    if q.abs() <= 0.425 { central } else { tail }
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
