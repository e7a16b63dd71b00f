//! The error function and its complement.
//!
//! **erf**: |x| lies in one of eight intervals of 3/4. On each but the first, erf is a polynomial in the distance from the middle,
//! with a constant term that is a sum of two floats; on the first it is x and a polynomial in x^2 times x. Coefficients are
//! looked up. From 5.97 on the result is 1.
//!
//! **erfc**: from 33/64 on it is e^(-x^2) R(x), for a function R that falls slowly. The square is exact as a sum of two floats, the
//! exponential a table's entry and a sum of two floats. R is a polynomial in the quotient (x - m)/(x + 5/2), which makes all of the
//! line look alike, with an m and coefficients for each of eight intervals; its constant term is a sum of two floats, as
//! is the quotient. Of -x it is 2 less that, where the subtraction comes before the scaling. Next to 0, it is 1 - x less x times a
//! polynomial in x^2.
//!
//! **Error**, in units in the last place before the last rounding: of erf, what is added to the constant term is up to a sixth
//! of the result, with the rounding of a polynomial and a product: 0.25 units, most at the lower end of the second interval; next
//! to 0, x times something that is at most 0.13: 0.1. Together 0.77 units. Of erfc, R's constant and linear terms keep what
//! rounding takes; the others are less than a twentieth of it: 0.1 units. Next to 33/64, x times the polynomial has up to 0.2. So
//! 0.7 units together; subnormal results are rounded twice, by half of that and half a unit.
//!
//! NaN and infinities need no care: the size of the argument is held where the result no longer changes.

#![forbid(unsafe_code)]

use super::exp::{growth_of_sum, inverse, scale};
use super::lanes::Lanes;
use crate::ops::tables::{ERF, ERF_HIGH, ERF_LOW, ERFC, ERFC_HIGH, ERFC_LOW, ERFC_MIDDLE};

/// 1.5 * 2^52: adding it rounds a number to a whole one.
const ROUND: f64 = 6755399441055744.0;
/// From here on erf is 1.
const ONE: f64 = 5.97;
/// From here on erfc is 0, and 2 on the other side.
const ZERO: f64 = 27.4;
const TWO: f64 = 6.0;
/// Half octaves of x + 41/32 from here on are erfc's intervals.
const FIRST: f64 = 1.796875;
/// Next to 0, erf(x) = x + x p(x^2): scripts/math/erf.sollya.
const NEAR: [f64; 9] = [
    1.4611379656556237e-06,
    -1.483458434166401e-05,
    0.00012052884425722732,
    -0.0008548288338370143,
    0.005223977263354918,
    -0.026866170625850703,
    0.11283791670902409,
    -0.3761263890318316,
    0.12837916709551256,
];

/// erf(x).
#[inline(always)]
pub(super) fn erf<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let size = l.choose(l.less(l.float(ONE), size), l.float(ONE), size);
    let shifted = l.sub(size, l.float(0.375));
    let rounded = l.fma(shifted, l.float(4.0 / 3.0), l.float(ROUND));
    let n = l.sub(rounded, l.float(ROUND));
    let index = l.bits(rounded);
    let is_first = l.equal(n, l.float(0.0));
    let distance = l.fma(n, l.float(-0.75), shifted);
    let variable = l.choose(is_first, l.mul(size, size), distance);
    let rest = l.looked_up(variable, index, ERF..ERF + 15);
    let first = l.fma(size, rest, size);
    let other = l.add(l.lookup(index, ERF_HIGH), l.fma(distance, rest, l.lookup(index, ERF_LOW)));
    let value = l.choose(is_first, first, other);
    l.copysign(value, x)
}

/// erfc(x).
#[inline(always)]
pub(super) fn erfc<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let is_negative = l.less(x, l.float(0.0));
    let most = l.choose(is_negative, l.float(TWO), l.float(ZERO));
    let size = l.abs(x);
    let size = l.choose(l.less(most, size), most, size);

    let place = l.isub(l.bits(l.add(size, l.float(1.28125))), l.int(FIRST.to_bits() as i64));
    let index = l.shr(place, 51);
    // The quotient, and what rounding has taken from it.
    let above = l.sub(size, l.lookup(index, ERFC_MIDDLE));
    let (below, below_low) = l.exact_sum(size, l.float(2.5));
    let one_by = l.div(l.float(1.0), below);
    let t = l.mul(above, one_by);
    let left = l.fma(l.neg(t), below_low, l.fma(l.neg(t), below, above));
    // The linear term and what rounding has taken from it, then the others.
    let (first, sum) = (l.lookup(index, ERFC + 10), l.looked_up(t, index, ERFC..ERFC + 10));
    let (linear, linear_low) = l.exact_mul(t, first);
    let slope = l.fma(sum, t, first);
    let rest = l.fma(l.mul(left, one_by), slope, l.add(linear_low, l.lookup(index, ERFC_LOW)));
    let rest = l.fma(l.mul(t, t), sum, rest);
    let (ratio, ratio_low) = l.fast_sum(l.lookup(index, ERFC_HIGH), linear);
    let ratio_low = l.add(ratio_low, rest);

    let (square, square_low) = l.exact_mul(size, size);
    let power = growth_of_sum(l, l.neg(square), l.neg(square_low));
    let (top, top_low) = l.fast_sum(power.entry, power.more);
    let (product, low) = l.exact_mul(top, ratio);
    let low = l.fma(top, ratio_low, low);
    let low = l.fma(l.add(top_low, power.low), l.add(ratio, ratio_low), low);

    // Of a negative argument, 2 less that.
    let base = l.choose(is_negative, inverse(l, power.steps, 1), l.float(0.0));
    let product = l.choose(is_negative, l.neg(product), product);
    let low = l.choose(is_negative, l.neg(low), low);
    let (high, rounded) = l.fast_sum(base, product);
    let usual = scale(l, power.steps, l.add(high, l.add(rounded, low)));

    // (1 - x) - x p(x^2).
    let (near, near_low) = l.fast_sum(l.float(1.0), l.neg(x));
    let near_low = l.fma(l.neg(x), l.polynomial(l.mul(x, x), &NEAR), near_low);
    l.choose(l.less(size, l.float(0.515625)), l.add(near, near_low), usual)
}
