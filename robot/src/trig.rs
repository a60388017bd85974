//! Sine and cosine with the same bits on every machine: the C library's differ between them, and candidates are clamped
//! by where these say the tip is.
//!
//! Only additions and multiplications, which IEEE 754 fixes. Coefficients: Cephes (Moshier).

/// (sin x, cos x), absolute error below 2e-7 for |x| up to 1000; NaN for what is not finite.
pub fn sin_cos(x: f32) -> (f32, f32) {
    // Adding and subtracting 1.5 x 2^23 rounds to the nearest integer.
    let magic = 12_582_912.0_f32;
    let quarters = (x * std::f32::consts::FRAC_2_PI + magic) - magic;
    // Pi / 2 in three parts, the first two of which are short enough to multiply exactly.
    let r = ((x - quarters * 1.570_312_5) - quarters * 4.837_513e-4) - quarters * 7.549_79e-8;
    let z = r * r;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * r + r;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    // Casting saturates, and takes NaN to 0.
    match (quarters as i32) & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::sin_cos;

    #[test]
    fn close_to_double_precision() {
        for step in -200_000..=200_000 {
            let x = step as f32 * 0.005;
            let (sin, cos) = sin_cos(x);
            let exact = f64::from(x);
            let error = (f64::from(sin) - exact.sin())
                .abs()
                .max((f64::from(cos) - exact.cos()).abs());
            assert!(error < 2e-7, "{x}: {error}");
        }
    }

    #[test]
    fn no_number_gives_no_number() {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (sin, cos) = sin_cos(x);
            assert!(sin.is_nan() && cos.is_nan());
        }
    }
}
