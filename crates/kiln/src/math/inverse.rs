//! Inverse trigonometric functions.
//!
//! **Arctangents.** atan(u/v) for 0 <= u <= v is atan(c) + atan(q) with q = (u - cv)/(v + cu), where c is about u/v in eighths, so
//! that |q| <= 0.101; the other seven eighths of the circle are those of a sum or difference with pi/2 or pi. (Tables of arctangents:
//! Gal and Bachelis, ACM TOMS 17, 1991.) What c is, the difference of the bits of u and v says, read as a float: that is u/v
//! to 1.125 u/v. So one division is all there is, and the quotient u/v itself is never needed. u - cv is exact but for a
//! sixteenth of a unit where c = 5/8, v + cu is a sum of two floats, q is the quotient and what the division has left. Angles
//! in the table and pi/2 are multiples of 2^-49 in their high parts, so that their sums are exact.
//!
//! **Arcsine and arccosine.** asin(r) = r + r^3 b(r^2) for |r| <= 1/2. Above that, asin(x) = pi/2 - 2 asin(s) with
//! s^2 = (1 - x)/2, which is exact. The root of that is corrected by what it leaves, divided by twice the root, for which a
//! reciprocal of 16th parts is good enough as it is so small.
//!
//! **Error**: what is rounded, besides the last sum, is q^3 a(q^2), 1/300 of q at most, and r^3 b(r^2), 1/20 of r, four times; the
//! correction of the root errs by 1/16 of half a unit of it. Together 0.51 units for the arctangent of one number, 0.59 for that of a
//! quotient, 0.65 for arcsine and arccosine. What pi lacks as a float is added as a part of the multiple of pi/2 that the result is
//! counted from.
//!
//! Numbers that are not in the domain become NaN by the square root. A zero or a small number is its own arctangent and arcsine
//! with no care, as the terms that are added to it vanish.

#![forbid(unsafe_code)]

use super::calls;
use super::lanes::Lanes;
use crate::ops::exact;
use crate::ops::tables::{ATAN_HIGH, ATAN_LOW};
use std::f64::consts::{FRAC_PI_2, PI};

/// What part of pi, or of pi/2, is missing from its float: scripts/math/inverse.sollya.
const PI_REST: f64 = 3.8981718325193755e-17;

/// atan(q) = q + q^3 a(q^2), for |q| <= 0.102: scripts/math/inverse.sollya.
const ATAN: [f64; 6] = [
    0.07489477248016482,
    -0.09088577182784595,
    0.11111098807250001,
    -0.14285714256809953,
    0.19999999999976417,
    -0.3333333333333333,
];

/// asin(r) = r + r^3 b(r^2), for |r| <= 1/2.
const ASIN: [f64; 13] = [
    0.029058483799573466,
    -0.015306036812846952,
    0.017701448831460923,
    0.00534302505461962,
    0.010350533428319413,
    0.011474729573936556,
    0.013971691376003332,
    0.01735235860151994,
    0.022372174502858035,
    0.03038194409553674,
    0.04464285714699303,
    0.07499999999998022,
    0.16666666666666669,
];

const ONE: i64 = 1023 << 52;
/// 1.5 * 2^49: adding it rounds a number to an eighth, and then the low bits count eighths.
const ROUND: f64 = 844424930131968.0;
/// 8/9, down: the bits' ratio is from this fraction of the true one to the true one.
const SHRINK: f64 = 0.8888888888888888;
/// The arctangent of this differs from pi/2 by less than what counts: 2^64.
const STEEP: f64 = 18446744073709551616.0;
/// Sizes between these, 2^-450 and 2^500, leave room for quotients and what they leave.
const SMALL: f64 = 3.439788751025535e-136;
const LARGE: f64 = 3.273390607896142e150;
/// Points whose coordinates have a quotient below this, 2^-70, lie on an axis, nearly.
const FLAT: f64 = 8.470329472543003e-22;

/// `x`, with the other sign where that of `by` is negative.
#[inline(always)]
fn flip<L: Lanes>(l: &L, x: L::Float, by: L::Float) -> L::Float {
    l.of_bits(l.ixor(l.bits(x), l.iand(l.bits(by), l.int(i64::MIN))))
}

/// `base`, which is zero, pi/2 or pi, plus `sign`, which is 1 or -1, times atan(u/v), for 0 <= u <= v, neither of them far from 1;
/// `ratio` is the difference of their bits.
#[inline(always)]
fn add_arctangent<L: Lanes>(
    l: &L,
    base: L::Float,
    sign: L::Float,
    (u, v): (L::Float, L::Float),
    ratio: L::Int,
) -> L::Float {
    let ratio = l.of_bits(l.iadd(ratio, l.int(ONE)));
    let rounded = l.fma(ratio, l.float(SHRINK), l.float(ROUND));
    let c = l.sub(rounded, l.float(ROUND));
    let eighth = l.bits(rounded);
    let (angle, angle_low) = (l.lookup(eighth, ATAN_HIGH), l.lookup(eighth, ATAN_LOW));
    let above = l.fma(l.neg(c), v, u);
    let below = l.fma(c, u, v);
    let below_low = l.fma(c, u, l.sub(v, below));
    let one_by = l.div(l.float(1.0), below);
    let q = l.mul(above, one_by);
    let left = l.fma(l.neg(q), below, above);
    let left = l.fma(l.neg(q), below_low, left);
    let z = l.mul(q, q);
    let low = l.fma(left, one_by, angle_low);
    let low = l.fma(l.mul(q, z), l.polynomial(z, &ATAN), low);
    let (sum, rest) = l.fast_sum(l.fma(angle, sign, base), l.mul(q, sign));
    l.add(sum, l.fma(low, sign, l.fma(base, l.float(PI_REST), rest)))
}

/// atan(x).
#[inline(always)]
pub(super) fn atan<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let one = l.float(1.0);
    let steep = l.less(one, size);
    // A NaN stays.
    let held = l.choose(l.less(l.float(STEEP), size), l.float(STEEP), size);
    let (u, v) = (l.choose(steep, one, size), l.choose(steep, held, one));
    let base = l.choose(steep, l.float(FRAC_PI_2), l.float(0.0));
    let sign = l.choose(steep, l.float(-1.0), one);
    let ratio = l.isub(l.bits(u), l.bits(v));
    flip(l, add_arctangent(l, base, sign, (u, v), ratio), x)
}

/// The angle of a point whose coordinates, but for zeros, are neither small nor large.
#[inline(always)]
fn angle<L: Lanes>(l: &L, y: L::Float, x: L::Float) -> L::Float {
    let (height, width) = (l.abs(y), l.abs(x));
    let zero = l.float(0.0);
    let steep = l.less(width, height);
    let (u, v) = (l.choose(steep, width, height), l.choose(steep, height, width));
    // pi/2 plus that, or less, is pi or zero.
    let right = l.float(FRAC_PI_2);
    let base = l.sub(right, l.choose(steep, zero, l.copysign(right, x)));
    let sign = flip(l, l.choose(steep, l.float(-1.0), l.float(1.0)), x);
    // That of a zero to a number is not what bits say.
    let ratio = l.isub(l.bits(u), l.bits(v));
    let least = l.int(-1000 << 52);
    let ratio = l.ichoose(l.iless(ratio, least), least, ratio);
    flip(l, add_arctangent(l, base, sign, (u, v), ratio), y)
}

/// atan2(y, x).
#[inline(always)]
pub(super) fn atan2<L: Lanes>(l: &L, y: L::Float, x: L::Float) -> L::Float {
    let usual = angle(l, y, x);
    l.rare(is_odd(l, y, x), &calls::ATAN2_ODD, &[y, x], usual)
}

/// Is the larger one no number of a usual size, or the other one, but for zero?
#[inline(always)]
fn is_odd<L: Lanes>(l: &L, y: L::Float, x: L::Float) -> L::Test {
    let (height, width) = (l.abs(y), l.abs(x));
    let steep = l.less(width, height);
    let (u, v) = (l.choose(steep, width, height), l.choose(steep, height, width));
    let usual = l.and(l.at_most(l.float(SMALL), v), l.less(v, l.float(LARGE)));
    let usual = l.and(usual, l.or(l.at_most(l.float(SMALL), u), l.equal(u, l.float(0.0))));
    l.not(usual)
}

/// The angle of any other point.
pub(super) fn atan2_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, y: f64, x: f64) -> f64 {
    let (height, width) = (y.abs(), x.abs());
    let back = x.is_sign_negative();
    let size = if x.is_nan() || y.is_nan() {
        return f64::NAN;
    } else if height == width && (height == 0.0 || height == f64::INFINITY) {
        // Like the points of the axes, and of the diagonals.
        let unit: f64 = if height == 0.0 { 0.0 } else { 1.0 };
        return angle(l, unit.copysign(y), 1f64.copysign(x));
    } else if height <= width * FLAT {
        // A quotient is its own arctangent, and no part of pi.
        if back { PI } else { height / width }
    } else if width <= height * FLAT {
        FRAC_PI_2
    } else {
        // Neither is zero or infinite, nor is one far from the other.
        let exponent = exact::exponent(height.max(width));
        return angle(l, exact::scale(y, -exponent), exact::scale(x, -exponent));
    };
    size.copysign(y)
}

/// `base`, which is zero, pi/2 or pi, plus the arcsine of `small` where it is `flat`, at most 1/2 in size, elsewhere twice that of half of
/// `root`. What is added has the sign that `small` has, or `root`, which is that of `square` but for its sign and for
/// rounding.
#[inline(always)]
fn add_arcsine<L: Lanes>(
    l: &L,
    base: L::Float,
    flat: L::Test,
    small: L::Float,
    (square, root): (L::Float, L::Float),
) -> L::Float {
    let low = l.mul(l.fma(l.neg(root), root, square), half_reciprocal(l, root));
    let low = l.fma(base, l.float(PI_REST), l.choose(flat, l.float(0.0), low));
    let z = l.choose(flat, l.mul(small, small), l.mul(square, l.float(0.25)));
    let size = l.choose(flat, small, root);
    let low = l.fma(l.mul(size, z), l.polynomial(z, &ASIN), low);
    let (sum, rest) = l.fast_sum(base, size);
    l.add(sum, l.add(rest, low))
}

/// The reciprocal of `2 a`, but for a 16th part of it: the bits of a float are its logarithm, nearly. That of 0 is a number.
#[inline(always)]
pub(super) fn half_reciprocal<L: Lanes>(l: &L, a: L::Float) -> L::Float {
    l.of_bits(l.isub(l.int(0x7fce_6238_22fc_16e6), l.bits(a)))
}

/// Is x at most 1/2 in size; four times the square of the sine of half of what is missing to pi/2, and its root.
#[inline(always)]
fn halve<L: Lanes>(l: &L, size: L::Float) -> (L::Test, L::Float, L::Float) {
    let square = l.fma(size, l.float(-2.0), l.float(2.0));
    (l.at_most(size, l.float(0.5)), square, l.sqrt(square))
}

/// asin(x).
#[inline(always)]
pub(super) fn asin<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let (flat, square, root) = halve(l, size);
    let base = l.choose(flat, l.float(0.0), l.float(FRAC_PI_2));
    flip(l, add_arcsine(l, base, flat, size, (square, l.neg(root))), x)
}

/// acos(x): pi/2 - asin(x), or 2 asin(s), or pi - 2 asin(s).
#[inline(always)]
pub(super) fn acos<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let (flat, square, root) = halve(l, l.abs(x));
    let right = l.float(FRAC_PI_2);
    let base = l.sub(right, l.choose(flat, l.float(0.0), l.copysign(right, x)));
    add_arcsine(l, base, flat, l.neg(x), (square, flip(l, root, x)))
}
