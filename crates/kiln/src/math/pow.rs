//! Powers of any two numbers, and logarithms to any base.
//!
//! x^y = e^(y log x), with the logarithm as a sum of two floats that is good to 2^-67: the reduction of `log`, then f - f^2/2 +
//! f^3/3 with what each rounding takes, and a polynomial from f^4 on. The product with y keeps its error, and the exponential
//! takes the sum of both (as in Muller et al., Handbook of Floating-Point Arithmetic, 2nd edition, section 10.5).
//!
//! **Error**: the logarithm's, times up to 708, is 2^-57 of the power: 0.06 units. The exponential's are those of `exp`.
//! Together 0.6 units; subnormal results are rounded twice: 0.77.
//!
//! A negative base is its size to a power, with the sign where the exponent is odd. Bases that are zero, subnormal or no numbers, and
//! powers near either end of the range, go to [`pow_odd`].

#![forbid(unsafe_code)]

use super::calls;
use super::exp::exp_sum;
use super::lanes::Lanes;
use super::log::{self, Reduced};

/// log(1 + f) = f - f^2/2 + f^3/3 + f^4 p(f): scripts/math/pow.sollya.
const LOG: [f64; 11] = [
    -0.07209776675550136,
    0.0775436271471703,
    -0.08333065130414644,
    0.09090699699208216,
    -0.10000000493905058,
    0.11111111420185703,
    -0.12499999999596094,
    0.14285714285527837,
    -0.16666666666666777,
    0.20000000000000032,
    -0.25,
];
/// 1/3 as a sum of two floats.
const THIRD: (f64, f64) = (0.3333333333333333, 1.850371707708594e-17);

/// Powers whose natural logarithms are beyond this are rare.
const MOST: f64 = 708.0;

/// The natural logarithm of 2^shift times a positive normal number, as a sum of two floats.
#[inline(always)]
pub(super) fn long_log<L: Lanes>(l: &L, x: L::Float, shift: f64) -> (L::Float, L::Float) {
    long(l, log::reduce(l, x, shift))
}

/// The same of a sum of two floats, the second of which is a few units in the last place of the first at most.
#[inline(always)]
pub(super) fn long_log_of_sum<L: Lanes>(l: &L, x: (L::Float, L::Float)) -> (L::Float, L::Float) {
    long(l, log::reduce_sum(l, x))
}

#[inline(always)]
fn long<L: Lanes>(l: &L, Reduced { base, low, f, f_low, .. }: Reduced<L>) -> (L::Float, L::Float) {
    let (square, square_low) = l.exact_mul(f, f);
    let (cube, cube_low) = l.exact_mul(square, f);
    let cube_low = l.fma(square_low, f, cube_low);
    let (third, third_low) = l.exact_mul(cube, l.float(THIRD.0));
    let third_low = l.fma(cube, l.float(THIRD.1), l.fma(cube_low, l.float(THIRD.0), third_low));
    let (sum, rest0) = l.fast_sum(base, f);
    let (sum, rest1) = l.fast_sum(sum, l.mul(square, l.float(-0.5)));
    let (sum, rest2) = l.fast_sum(sum, third);
    // The derivative of the logarithm at 1 + f, for what f lacks.
    let slope = l.polynomial(f, &[1.0, -1.0, 1.0, -1.0, 1.0]);
    let low = l.fma(f_low, slope, low);
    let low = l.add(low, l.fma(square_low, l.float(-0.5), third_low));
    let low = l.add(l.add(low, rest0), l.add(rest1, rest2));
    l.fast_sum(sum, l.fma(l.mul(square, square), l.polynomial(f, &LOG), low))
}

/// y log(x) as a sum of two floats.
#[inline(always)]
fn exponent<L: Lanes>(l: &L, (high, low): (L::Float, L::Float), y: L::Float) -> (L::Float, L::Float) {
    let (product, rest) = l.exact_mul(y, high);
    (product, l.fma(y, low, rest))
}

/// x to the power y.
#[inline(always)]
pub(super) fn pow<L: Lanes>(l: &L, x: L::Float, y: L::Float) -> L::Float {
    let size = l.abs(x);
    let (high, low) = exponent(l, long_log(l, size, 0.0), y);
    let power = exp_sum(l, high, low);
    // Half of an odd number is not whole, and no number is from 2^53 on.
    let half = l.mul(y, l.float(0.5));
    let (is_whole, is_even) = (l.equal(l.trunc(y), y), l.equal(l.trunc(half), half));
    let sign = l.iand(l.bits(x), l.int(i64::MIN));
    let signed = l.of_bits(l.ixor(l.bits(power), l.ichoose(is_even, l.int(0), sign)));
    let is_no_number = l.and(l.less(x, l.float(0.0)), l.not(is_whole));
    let usual = l.choose(is_no_number, l.float(f64::NAN), signed);
    let is_small = l.less(l.abs(high), l.float(MOST));
    let is_rare = l.or(log::is_odd(l, size), l.not(is_small));
    l.rare(is_rare, &calls::POW_ODD, &[x, y], usual)
}

/// Any power: IEEE 754-2019, section 9.2.1.
pub(super) fn pow_odd<L: Lanes<Float = f64>>(l: &L, x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let size = x.abs();
    if y.is_infinite() {
        return if size == 1.0 {
            1.0
        } else if (size > 1.0) == (y > 0.0) {
            f64::INFINITY
        } else {
            0.0
        };
    }
    // A whole number from 2^53 on is even.
    let is_whole = y.abs() >= 9007199254740992.0 || (y as i64) as f64 == y;
    let is_odd = is_whole && y.abs() < 9007199254740992.0 && (y as i64) & 1 == 1;
    let sign = if is_odd && x.is_sign_negative() { -1.0 } else { 1.0 };
    if size == 0.0 || size.is_infinite() {
        return sign * if (size == 0.0) == (y > 0.0) { 0.0 } else { f64::INFINITY };
    }
    if x < 0.0 && !is_whole {
        return f64::NAN;
    }
    let (size, shift) = if size < f64::MIN_POSITIVE { (size * 18014398509481984.0, -54.0) } else { (size, 0.0) };
    let (high, low) = exponent(l, long_log(l, size, shift), y);
    // Beyond these the power is infinite, or zero; on the way there it is rounded twice.
    sign * if high > 710.0 {
        f64::INFINITY
    } else if high < -746.0 {
        0.0
    } else {
        exp_sum(l, high, low)
    }
}

/// The logarithm of x to a base: one quotient, corrected by what it leaves.
#[inline(always)]
pub(super) fn log_base<L: Lanes>(l: &L, x: L::Float, base: L::Float) -> L::Float {
    let usual = quotient(l, long_log(l, x, 0.0), long_log(l, base, 0.0));
    let is_rare = l.or(l.or(log::is_odd(l, x), log::is_odd(l, base)), l.equal(base, l.float(1.0)));
    l.rare(is_rare, &calls::LOG_BASE_ODD, &[x, base], usual)
}

#[inline(always)]
fn quotient<L: Lanes>(l: &L, above: (L::Float, L::Float), below: (L::Float, L::Float)) -> L::Float {
    let one_by = l.div(l.float(1.0), below.0);
    let quotient = l.mul(above.0, one_by);
    let left = l.fma(l.neg(quotient), below.0, above.0);
    let left = l.fma(l.neg(quotient), below.1, l.add(left, above.1));
    l.fma(left, one_by, quotient)
}

/// The logarithm of anything to any base, as the quotient of two logarithms says.
pub(super) fn log_base_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64, base: f64) -> f64 {
    let scaled = |x: f64| if x < f64::MIN_POSITIVE { (x * 18014398509481984.0, -54.0) } else { (x, 0.0) };
    let is_usual = |x: f64| x > 0.0 && x < f64::INFINITY;
    if is_usual(x) && is_usual(base) && base != 1.0 {
        let ((x, shift), (base, base_shift)) = (scaled(x), scaled(base));
        return quotient(l, long_log(l, x, shift), long_log(l, base, base_shift));
    }
    log::log(l, x) / log::log(l, base)
}
