//! The exponential and logarithms, which the compiler turns into vectors.

/// e^x for x ≤ 0, within 2 units in the last place; 0 if it is below the smallest normal number; NaN stays NaN.
///
/// x = j ln 2 + r with |r| ≤ ln 2 / 2, so e^x = 2^j e^r; the Taylor series of e^r to r⁷ leaves 5e-9.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding it to a small number leaves the nearest integer in the low bits.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    const LN_2: f32 = std::f32::consts::LN_2;
    const LN_2_REST: f32 = (std::f64::consts::LN_2 - LN_2 as f64) as f32;
    const LN_SMALLEST: f32 = -126.0 * LN_2;

    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let j = rounded - ROUND;
    let r = j.mul_add(-LN_2_REST, j.mul_add(-LN_2, x));
    let mut series: f32 = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series.mul_add(r, coefficient);
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1_f32.to_bits()));
    // `x >= …` would turn NaN into 0.
    if x < LN_SMALLEST { 0.0 } else { series * power }
}

/// ln v for v ≥ 1, within 3 units in the last place; NaN and infinity are returned as they are.
///
/// v = 2^j m with √½ ≤ m < √2, and ln m = 2 artanh(s) with s = (m − 1) / (m + 1); its series to s⁹ leaves 2e-9.
#[inline(always)]
pub(super) fn ln(v: f32) -> f32 {
    const SQRT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    const MANTISSA: u32 = (1 << 23) - 1;

    let bits = v.to_bits().wrapping_sub(SQRT_HALF);
    let j = (bits.cast_signed() >> 23) as f32;
    let m = f32::from_bits((bits & MANTISSA) + SQRT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut series: f32 = 1.0 / 9.0;
    for coefficient in [1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        series = series.mul_add(z, coefficient);
    }
    let ln = j.mul_add(std::f32::consts::LN_2, 2.0 * s * series);
    if v < f32::INFINITY { ln } else { v }
}

/// ln (1 + v) for 0 ≤ v ≤ 1, within 3 units in the last place; NaN stays NaN.
///
/// ln (1 + v) = 2 artanh(s) with s = v / (2 + v) ≤ ⅓; its series to s¹⁵ leaves 1e-9.
#[inline(always)]
pub(super) fn ln_1p(v: f32) -> f32 {
    let s = v / (2.0 + v);
    let z = s * s;
    let mut series: f32 = 1.0 / 15.0;
    for coefficient in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        series = series.mul_add(z, coefficient);
    }
    2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// |found − expected| in units of the last place of `expected`.
    fn ulps(found: f32, expected: f64) -> f64 {
        let next = f32::from_bits((expected as f32).abs().to_bits() + 1);
        let ulp = f64::from(next) - f64::from((expected as f32).abs());
        (f64::from(found) - expected).abs() / ulp
    }

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        let normal = (0..4_000_000).map(|i| -87.33 * i as f32 / 4e6);
        let worst = normal.map(|x| ulps(exp(x), f64::from(x).exp())).fold(0.0, f64::max);
        assert!(worst <= 2.0, "{worst}");
        assert!(ulps(exp(-1.0) * (1.0 + 3e-7), (-1_f64).exp()) > 2.0);
    }

    #[test]
    fn the_exponential_underflows_to_zero_and_keeps_nan() {
        assert_eq!(exp(0.0), 1.0);
        for x in [-87.34, -88.0, -104.0, -1e4, -3e38, f32::NEG_INFINITY] {
            assert_eq!(exp(x), 0.0, "{x}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_logarithm_is_within_three_units_in_the_last_place() {
        let values = (0..2_000_000).map(|i| 1.0 + (i as f32 / 2e6).powi(3) * 1000.0);
        let worst = values.map(|v| ulps(ln(v), f64::from(v).ln())).fold(0.0, f64::max);
        assert!(worst <= 3.0, "{worst}");
        assert!(ulps(ln(2.0) * (1.0 + 4e-7), 2_f64.ln()) > 3.0);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!(ln(f32::NAN).is_nan());
    }

    #[test]
    fn ln_1p_is_within_three_units_in_the_last_place() {
        let values = (1..=2_000_000).map(|i| (i as f32 / 2e6).powi(5));
        let worst = values.map(|v| ulps(ln_1p(v), f64::from(v).ln_1p())).fold(0.0, f64::max);
        assert!(worst <= 3.0, "{worst}");
        assert!(ulps(ln_1p(1.0) * (1.0 + 4e-7), 2_f64.ln()) > 3.0);
        assert_eq!(ln_1p(0.0), 0.0);
        assert!(ln_1p(f32::NAN).is_nan());
    }
}
