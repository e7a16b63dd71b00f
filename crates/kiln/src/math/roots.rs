//! Cube roots, and roots of sums of squares.
//!
//! **Cube root** of 2^3k a, 1 <= a < 8. A polynomial gives y, a^(-1/3) to 2^-12; with h = 1 - a y^3, a y^2 times the first terms of
//! (1 - h)^(-2/3) is the root to 2^-32, and a step of Newton's method from there does the rest, with no division as
//! 1/(3 r^2) = y^2 (1 - h)^(-2/3) / 3. The exponent is divided by 3 as a float.
//!
//! **Root of a sum of squares**: the sum is one of two floats, squares with what rounding has taken from them, and the root of
//! the high one is corrected by what it leaves and by the low one. That is at most a unit of the root, so a reciprocal of 16th parts
//! is good enough for it. Sums that are so large or small that this does not hold are rare: their terms are scaled.
//!
//! **Error**: of the cube root 0.5 units and 2^-10 of one, so that exact roots are exact; of the other 0.56 units, 0.77 where the result
//! is subnormal and rounded once more, and exact roots of one square are exact.

#![forbid(unsafe_code)]

use super::calls;
use super::inverse::half_reciprocal;
use super::lanes::Lanes;
use crate::ops::exact;
use crate::ops::tables::CBRT_INVERSE;

/// m^(-1/3) for m from 1 to 2: scripts/math/roots.sollya.
const INVERSE: [f64; 4] = [-0.04993690159201155, 0.31775712366762676, -0.8099603224666699, 1.5418870148789425];

/// 1.5 * 2^52, less a third of 2^52 + 4096, less 1: adding it rounds that third and more to a whole number.
const BELOW: f64 = 6755399441055744.0 - 1501199875790165.0 - 1366.0;
const ONE: i64 = 1023 << 52;
const MANTISSA: i64 = (1 << 52) - 1;
const THIRD: f64 = 1.0 / 3.0;

/// The cube root of a positive normal number, with the sign of a number.
#[inline(always)]
fn root<L: Lanes>(l: &L, x: L::Float, sign: L::Int) -> L::Float {
    let bits = l.bits(x);
    let exponent = l.shr(bits, 52);
    // 2^52 + 4096 and the exponent, of which a float next below a third takes what is from 0.58 to 1.25 more than a whole number,
    // as exponents are from 0 to 2 more than a multiple of three.
    let float = l.of_bits(l.ior(exponent, l.int(0x433 << 52 | 4096)));
    let third = l.bits(l.fma(float, l.float(THIRD), l.float(BELOW)));
    let triple = l.iadd(third, l.shl(third, 1));
    let a = l.of_bits(l.isub(l.iadd(bits, l.int(ONE)), l.shl(triple, 52)));
    let m = l.of_bits(l.ior(l.iand(bits, l.int(MANTISSA)), l.int(ONE)));
    let y = l.mul(l.polynomial(m, &INVERSE), l.lookup(l.isub(exponent, triple), CBRT_INVERSE));
    let square = l.mul(y, y);
    let start = l.mul(a, square);
    let h = l.fma(l.neg(start), y, l.float(1.0));
    let better = l.fma(h, l.fma(h, l.float(5.0 / 9.0), l.float(2.0 / 3.0)), l.float(1.0));
    let root = l.mul(start, better);
    let slope = l.mul(l.mul(square, better), l.float(THIRD));
    let (power, power_low) = l.exact_mul(root, root);
    let left = l.fma(l.neg(root), power_low, l.fma(l.neg(root), power, a));
    let root = l.fma(left, slope, root);
    // The exponent of a float counts from 1023, of which a third is 341.
    let scale = l.shl(l.iadd(third, l.int(1023 - 341)), 52);
    l.mul(root, l.of_bits(l.ior(scale, sign)))
}

/// The cube root of x.
#[inline(always)]
pub(super) fn cbrt<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let value = root(l, size, l.iand(l.bits(x), l.int(i64::MIN)));
    let below = l.less(size, l.float(f64::MIN_POSITIVE));
    // Zeros, infinities and NaN are their own.
    let is_normal = l.and(l.not(below), l.less(size, l.float(f64::INFINITY)));
    let usual = l.choose(is_normal, value, x);
    l.rare(l.and(below, l.less(l.float(0.0), size)), &calls::CBRT_SMALL, &[x], usual)
}

/// The cube root of a subnormal number.
pub(super) fn cbrt_small<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    exact::scale(root(l, exact::scale(x.abs(), 54), x.to_bits() as i64 & i64::MIN), -18)
}

/// The root of a sum of squares that neither overflows nor underflows.
#[inline(always)]
fn root_of<L: Lanes>(l: &L, high: L::Float, low: L::Float) -> L::Float {
    let root = l.sqrt(high);
    let left = l.add(l.fma(l.neg(root), root, high), low);
    l.fma(left, half_reciprocal(l, root), root)
}

#[inline(always)]
fn sum2<L: Lanes>(l: &L, x: L::Float, y: L::Float) -> (L::Float, L::Float) {
    let ((x, x_low), (y, y_low)) = (l.exact_mul(x, x), l.exact_mul(y, y));
    let (sum, low) = l.exact_sum(x, y);
    (sum, l.add(low, l.add(x_low, y_low)))
}

#[inline(always)]
fn sum3<L: Lanes>(l: &L, x: L::Float, y: L::Float, z: L::Float) -> (L::Float, L::Float) {
    let (first, first_low) = sum2(l, x, y);
    let (z, z_low) = l.exact_mul(z, z);
    let (sum, low) = l.exact_sum(first, z);
    (sum, l.add(low, l.add(first_low, z_low)))
}

/// Is the sum too small, too large or no number? (It is not too small if `bits`, of all terms, are those of a zero.)
#[inline(always)]
fn is_odd<L: Lanes>(l: &L, sum: L::Float, bits: L::Int) -> L::Test {
    // 2^-960 and 2^1020.
    let (least, most) = (l.float(1.0261342003245941e-289), l.float(1.1235582092889474e307));
    let usual = l.and(l.at_most(least, sum), l.less(sum, most));
    l.not(l.or(usual, l.iequal(l.shl(bits, 1), l.int(0))))
}

/// The root of the sum of two squares.
#[inline(always)]
pub(super) fn hypot<L: Lanes>(l: &L, x: L::Float, y: L::Float) -> L::Float {
    let (sum, low) = sum2(l, x, y);
    let odd = is_odd(l, sum, l.ior(l.bits(x), l.bits(y)));
    l.rare(odd, &calls::HYPOT_ODD, &[x, y], root_of(l, sum, low))
}

/// The root of the sum of three squares.
#[inline(always)]
pub(super) fn hypot3<L: Lanes>(l: &L, x: L::Float, y: L::Float, z: L::Float) -> L::Float {
    let (sum, low) = sum3(l, x, y, z);
    let odd = is_odd(l, sum, l.ior(l.ior(l.bits(x), l.bits(y)), l.bits(z)));
    l.rare(odd, &calls::HYPOT3_ODD, &[x, y, z], root_of(l, sum, low))
}

/// The root of a sum of squares that may be too small or too large, or no number.
pub(super) fn hypot3_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64, y: f64, z: f64) -> f64 {
    let terms = [x, y, z];
    // An infinity is more than NaN could be.
    if terms.iter().any(|x| x.is_infinite()) {
        return f64::INFINITY;
    }
    if terms.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let largest = x.abs().max(y.abs()).max(z.abs());
    if largest == 0.0 {
        return 0.0;
    }
    // Near 1 nothing overflows, and what underflows is too small to matter.
    let exponent = exact::exponent(largest);
    let [x, y, z] = terms.map(|x| exact::scale(x, -exponent));
    let (sum, low) = sum3(l, x, y, z);
    exact::scale(root_of(l, sum, low), exponent)
}

/// The same of two.
pub(super) fn hypot_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64, y: f64) -> f64 {
    hypot3_odd(l, x, y, 0.0)
}
