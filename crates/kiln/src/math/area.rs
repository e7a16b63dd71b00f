//! Inverse hyperbolic functions.
//!
//! Each is a logarithm of something as a sum of two floats: asinh x = log(|x| + sqrt(x^2 + 1)), acosh x = log(x + sqrt(x^2 - 1)),
//! atanh x = log((1 + |x|) / (1 - |x|)) / 2. Square, sum, root and quotient are each corrected by what rounding has taken, so
//! that the sum has an absolute error of some 2^-104 of the result. The logarithm subtracts 1 exactly. So asinh is good
//! however small its argument: what is added to 1 then has a relative error too. A small atanh is good down to 2^-28, and
//! smaller arguments are the results.
//!
//! **Error**: that of the logarithm, and in atanh next to 2^-28 the terms left away, 1/20: 0.58 units. Close to 1, acosh's square
//! is not quite brought in order before its root; the square of what is out of order is 2^-57 of the result, 1/16 at most.

#![forbid(unsafe_code)]

use super::calls;
use super::lanes::Lanes;
use super::log::{parts, parts_of_sum};

/// The square of a larger number may overflow, and 1 is nothing beside it: 2^500.
const LARGE: f64 = 3.273390607896142e150;
/// Smaller numbers are their own atanh: 2^-28.
const SMALL: f64 = 3.725290298461914e-9;

/// sqrt(x^2 + unit) as a sum of two floats, for a unit of 1 or -1. `x` is not below 1 for -1.
#[inline(always)]
fn root<L: Lanes>(l: &L, x: L::Float, unit: f64) -> (L::Float, L::Float) {
    let (square, square_low) = l.exact_mul(x, x);
    // Exact up to 2^53, and 1 is nothing beside what is larger.
    let (sum, sum_low) = l.fast_sum(l.float(unit), square);
    let low = l.add(sum_low, square_low);
    let root = l.sqrt(sum);
    let left = l.add(l.fma(l.neg(root), root, sum), low);
    // A root that is no zero is at least 2^-26.
    let half_by = l.div(l.float(0.5), l.add(root, l.float(f64::MIN_POSITIVE)));
    (root, l.mul(left, half_by))
}

/// asinh(x).
#[inline(always)]
pub(super) fn asinh<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let (root, root_low) = root(l, size, 1.0);
    let (sum, sum_low) = l.fast_sum(root, size);
    let (high, low) = parts_of_sum(l, (sum, l.add(sum_low, root_low)));
    let usual = l.copysign(l.add(high, low), x);
    l.rare(l.not(l.less(size, l.float(LARGE))), &calls::ASINH_ODD, &[x], usual)
}

/// The same of what is [`LARGE`] or no number.
#[inline(always)]
pub(super) fn asinh_odd<L: Lanes<Float = f64>>(l: &L, x: f64) -> f64 {
    if x.is_finite() { of_large(l, x.abs()).copysign(x) } else { x }
}

/// log(2x).
#[inline(always)]
fn of_large<L: Lanes<Float = f64>>(l: &L, x: f64) -> f64 {
    let (high, low) = parts(l, x, 1.0);
    high + low
}

/// acosh(x).
#[inline(always)]
pub(super) fn acosh<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let (root, root_low) = root(l, x, -1.0);
    let (sum, sum_low) = l.fast_sum(x, root);
    let (high, low) = parts_of_sum(l, (sum, l.add(sum_low, root_low)));
    let is_usual = l.and(l.at_most(l.float(1.0), x), l.less(x, l.float(LARGE)));
    l.rare(l.not(is_usual), &calls::ACOSH_ODD, &[x], l.add(high, low))
}

/// The same of what is [`LARGE`], below 1, or no number.
#[inline(always)]
pub(super) fn acosh_odd<L: Lanes<Float = f64>>(l: &L, x: f64) -> f64 {
    if x == f64::INFINITY {
        x
    } else if x > 1.0 {
        of_large(l, x)
    } else {
        f64::NAN
    }
}

/// atanh(x).
#[inline(always)]
pub(super) fn atanh<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let (one, size) = (l.float(1.0), l.abs(x));
    let (above, above_low) = l.fast_sum(one, size);
    let (below, below_low) = l.fast_sum(one, l.neg(size));
    let one_by = l.div(one, below);
    let quotient = l.mul(above, one_by);
    let left = l.fma(l.neg(quotient), below, above);
    let left = l.fma(l.neg(quotient), below_low, l.add(left, above_low));
    let (high, low) = parts_of_sum(l, (quotient, l.mul(left, one_by)));
    let half = l.mul(l.add(high, low), l.float(0.5));
    let value = l.choose(l.less(size, l.float(SMALL)), size, half);
    l.rare(l.not(l.less(size, one)), &calls::ATANH_ODD, &[x], l.copysign(value, x))
}

/// The same of what is not between -1 and 1.
pub(super) fn atanh_odd<L: Lanes<Float = f64>>(_: &L, x: f64) -> f64 {
    if x.abs() == 1.0 { f64::INFINITY.copysign(x) } else { f64::NAN }
}
