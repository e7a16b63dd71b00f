//! Sine, cosine and tangent.
//!
//! With n the nearest whole number to 2|x|/pi, r = |x| - n pi/2 lies within a quarter turn, and the functions of x are those of r,
//! exchanged and with other signs as n says. **Reduction** (Cody and Waite, with multiplications that are exact): up to
//! 2^41, |x| - n P1 is exact where P1 is pi/2 rounded, n P2 is exact as a sum of two floats, and n P3 is less than what matters.
//! So r has some 100 bits behind the binary point as a sum of two floats, however close x is to a multiple of pi/2. Larger
//! numbers go to [`large`], which multiplies by as many bits of 2/pi as it takes (Payne and Hanek).
//!
//! sin(r) = r + r^3 s(r^2) and cos(r) = 1 - r^2/2 + r^4 c(r^2), corrected for the low part of r. Both are computed, and one is
//! chosen: the other is there for who wants it too.
//!
//! Of half turns, x is 2n quarter turns and a rest that is exact, times pi as a sum of two floats.
//!
//! **Error**: 0.80 units, from the rounding of r^2, of r^3 s, which is up to a fifth of the result, and of the last sum. Of the
//! tangent, whose numerator and denominator err likewise, 0.97 below 1, where a unit is half of what it is above.

#![forbid(unsafe_code)]

use super::calls;
use super::lanes::Lanes;
use crate::ops::exact::{self, Exact};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, PI};

/// pi/2 as a sum of three floats: scripts/math/trig.sollya.
const HALF_PI: [f64; 3] = [FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591698e-33];
/// 1.5 * 2^52: adding it rounds a number to a whole one.
const ROUND: f64 = 6755399441055744.0;
/// Smaller numbers are reduced here, 2^41.
const LARGE: f64 = 2199023255552.0;

const SIN: [f64; 6] = [
    1.591930660753358e-10,
    -2.5051151794567133e-08,
    2.7557316225443282e-06,
    -0.00019841269837089632,
    0.008333333333331312,
    -0.16666666666666666,
];
const COS: [f64; 6] = [
    -1.1381554503836116e-11,
    2.0876127976628194e-09,
    -2.755731715885177e-07,
    2.4801587298460937e-05,
    -0.0013888888888887061,
    0.041666666666666664,
];

/// An angle: which quarter turn (its low two bits count), and the rest as a sum of two floats.
struct Angle<L: Lanes + ?Sized> {
    quarter: L::Int,
    rest: (L::Float, L::Float),
}

/// Reduces a positive number below [`LARGE`].
#[inline(always)]
fn reduce<L: Lanes>(l: &L, x: L::Float) -> Angle<L> {
    let rounded = l.fma(x, l.float(FRAC_2_PI), l.float(ROUND));
    let n = l.sub(rounded, l.float(ROUND));
    let first = l.fma(n, l.float(-HALF_PI[0]), x);
    let (second, second_low) = l.exact_mul(n, l.float(-HALF_PI[1]));
    let (rest, low) = l.exact_sum(first, second);
    let low = l.add(low, l.fma(n, l.float(-HALF_PI[2]), second_low));
    Angle { quarter: l.bits(rounded), rest: (rest, low) }
}

/// Sine and cosine of a reduced angle, each as a sum of two floats; the cosine better, if it is wanted exact.
#[inline(always)]
fn both<L: Lanes>(l: &L, (r, low): (L::Float, L::Float), exact: bool) -> [(L::Float, L::Float); 2] {
    let z = l.mul(r, r);
    let half = l.mul(z, l.float(0.5));
    // sin(r + d) = sin(r) + d cos(r), cos(r + d) = cos(r) - d sin(r), nearly.
    let near = l.sub(l.float(1.0), half);
    let sine = l.fma(l.mul(z, r), l.polynomial(z, &SIN), l.mul(low, near));
    let near_low = l.sub(l.sub(l.float(1.0), near), half);
    let near_low = if exact { l.fma(l.fma(r, r, l.neg(z)), l.float(-0.5), near_low) } else { near_low };
    let cosine = l.fma(l.mul(z, z), l.polynomial(z, &COS), l.fma(low, l.neg(r), near_low));
    [(r, sine), (near, cosine)]
}

/// Is the first or third quarter turn over?
#[inline(always)]
fn is_odd<L: Lanes>(l: &L, quarter: L::Int) -> L::Test {
    l.iequal(l.iand(quarter, l.int(1)), l.int(1))
}

/// Sine of an angle, of which so many quarter turns more are over.
#[inline(always)]
fn sine<L: Lanes>(l: &L, angle: &Angle<L>, more: i64) -> L::Float {
    let [(sine, sine_low), (cosine, cosine_low)] = both(l, angle.rest, false);
    let quarter = if more == 0 { angle.quarter } else { l.iadd(angle.quarter, l.int(more)) };
    let (sine, cosine) = (l.add(sine, sine_low), l.add(cosine, cosine_low));
    let value = l.choose(is_odd(l, quarter), cosine, sine);
    // Two quarter turns: the other sign.
    let sign = l.iand(l.shl(quarter, 62), l.int(i64::MIN));
    l.of_bits(l.ixor(l.bits(value), sign))
}

#[inline(always)]
fn with_sign_of<L: Lanes>(l: &L, value: L::Float, x: L::Float) -> L::Float {
    l.of_bits(l.ixor(l.bits(value), l.iand(l.bits(x), l.int(i64::MIN))))
}

/// sin(x).
#[inline(always)]
pub(super) fn sin<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let usual = with_sign_of(l, sine(l, &reduce(l, size), 0), x);
    l.rare(is_large(l, size), &calls::SIN_LARGE, &[x], usual)
}

/// cos(x).
#[inline(always)]
pub(super) fn cos<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let usual = sine(l, &reduce(l, size), 1);
    l.rare(is_large(l, size), &calls::COS_LARGE, &[x], usual)
}

/// tan(x).
#[inline(always)]
pub(super) fn tan<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let usual = with_sign_of(l, tangent(l, &reduce(l, size)), x);
    l.rare(is_large(l, size), &calls::TAN_LARGE, &[x], usual)
}

/// One quotient, corrected by what it leaves.
#[inline(always)]
fn tangent<L: Lanes>(l: &L, angle: &Angle<L>) -> L::Float {
    let [(sine, sine_low), (cosine, cosine_low)] = both(l, angle.rest, true);
    let [(sine, sine_low), (cosine, cosine_low)] = [l.fast_sum(sine, sine_low), l.fast_sum(cosine, cosine_low)];
    let odd = is_odd(l, angle.quarter);
    let (above, above_low) = (l.choose(odd, cosine, sine), l.choose(odd, cosine_low, sine_low));
    let (below, below_low) = (l.choose(odd, sine, cosine), l.choose(odd, sine_low, cosine_low));
    let one_by = l.div(l.float(1.0), below);
    let quotient = l.mul(above, one_by);
    let left = l.fma(l.neg(quotient), below, above);
    let left = l.fma(l.neg(quotient), below_low, l.add(left, above_low));
    let value = l.fma(left, one_by, quotient);
    let sign = l.shl(l.iand(angle.quarter, l.int(1)), 63);
    l.of_bits(l.ixor(l.bits(value), sign))
}

#[inline(always)]
fn is_large<L: Lanes>(l: &L, size: L::Float) -> L::Test {
    l.not(l.less(size, l.float(LARGE)))
}

/// Functions of what is [`LARGE`] or no number.
pub(super) fn sin_large<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if x.is_finite() { with_sign_of(l, sine(l, &large(l, x.abs()), 0), x) } else { f64::NAN }
}

pub(super) fn cos_large<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if x.is_finite() { sine(l, &large(l, x.abs()), 1) } else { f64::NAN }
}

pub(super) fn tan_large<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if x.is_finite() { with_sign_of(l, tangent(l, &large(l, x.abs())), x) } else { f64::NAN }
}

/// Half turns from here on, 2^50, are reduced by a remainder.
const MANY: f64 = 1125899906842624.0;

/// Fewer than these, 2^-960, are scaled: their product with pi may be subnormal in parts.
const FEW: f64 = 1.0261342003245941e-289;

/// An angle given in half turns, positive and fewer than [`MANY`].
#[inline(always)]
fn of_half_turns<L: Lanes>(l: &L, x: L::Float) -> Angle<L> {
    let rounded = l.fma(x, l.float(2.0), l.float(ROUND));
    let n = l.sub(rounded, l.float(ROUND));
    let turns = l.fma(n, l.float(-0.5), x);
    let (rest, low) = l.exact_mul(turns, l.float(PI));
    let low = l.fma(turns, l.float(2.0 * HALF_PI[1]), low);
    Angle { quarter: l.bits(rounded), rest: (rest, low) }
}

/// sin(pi x). At whole numbers it is a zero with the sign of x: adding zero makes those positive first.
#[inline(always)]
pub(super) fn sinpi<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let value = l.add(sine(l, &of_half_turns(l, size), 0), l.float(0.0));
    let is_usual = l.and(l.at_most(l.float(FEW), size), l.less(size, l.float(MANY)));
    let is_odd = l.not(l.or(is_usual, l.equal(size, l.float(0.0))));
    l.rare(is_odd, &calls::SINPI_ODD, &[x], with_sign_of(l, value, x))
}

/// cos(pi x). Its zeros are positive.
#[inline(always)]
pub(super) fn cospi<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = l.abs(x);
    let value = l.add(sine(l, &of_half_turns(l, size), 1), l.float(0.0));
    l.rare(l.not(l.less(size, l.float(MANY))), &calls::COSPI_LARGE, &[x], value)
}

/// The same of many half turns, of what is no number or of [`FEW`].
pub(super) fn sinpi_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if !x.is_finite() {
        f64::NAN
    } else if x.abs() < FEW {
        let Angle { rest: (high, low), .. } = of_half_turns(l, exact::scale(x.abs(), 200));
        exact::scale(high + low, -200).copysign(x)
    } else {
        sinpi(l, Exact::remainder(x, 2.0))
    }
}

pub(super) fn cospi_large<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if x.is_finite() { cospi(l, Exact::remainder(x, 2.0)) } else { f64::NAN }
}

/// 1/3! - x/5! + ..., and 1/4! - x/6! + ..., without their first terms: Taylor's, to 2^-62 of the whole up to x = (pi/4)^2.
const LONG_SIN: [f64; 8] = [
    -1.0 / 121645100408832000.0,
    1.0 / 355687428096000.0,
    -1.0 / 1307674368000.0,
    1.0 / 6227020800.0,
    -1.0 / 39916800.0,
    1.0 / 362880.0,
    -1.0 / 5040.0,
    1.0 / 120.0,
];
const LONG_COS: [f64; 8] = [
    1.0 / 2432902008176640000.0,
    -1.0 / 6402373705728000.0,
    1.0 / 20922789888000.0,
    -1.0 / 87178291200.0,
    1.0 / 479001600.0,
    -1.0 / 3628800.0,
    1.0 / 40320.0,
    -1.0 / 720.0,
];

/// sin(pi x) as a sum of two floats that is good to 2^-61, of what is not tiny.
pub(super) fn long_sinpi<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> (f64, f64) {
    let size = if x.abs() < MANY { x.abs() } else { Exact::remainder(x.abs(), 2.0) };
    let Angle { quarter, rest: (r, low) } = of_half_turns(l, size);
    let (r, low) = l.fast_sum(r, low);
    let (z, z_low) = l.exact_mul(r, r);
    let z_low = l.fma(2.0 * r, low, z_low);
    let (high, low) = if quarter & 1 == 0 {
        // r - r z/6 + r z^2 s(z).
        let (cube, cube_low) = l.exact_mul(z, r);
        let cube_low = cube_low + l.fma(z_low, r, z * low);
        let (term, term_low) = l.exact_mul(cube, -1.0 / 6.0);
        let term_low = l.fma(cube_low, -1.0 / 6.0, l.fma(cube, -9.25185853854297e-18, term_low));
        let (sum, sum_low) = l.fast_sum(r, term);
        l.fast_sum(sum, l.fma(cube * z, l.polynomial(z, &LONG_SIN), low + term_low + sum_low))
    } else {
        // 1 - z/2 + z^2/24 + z^3 c(z).
        let (square, square_low) = l.exact_mul(z, z);
        let square_low = l.fma(2.0 * z, z_low, square_low);
        let (term, term_low) = l.exact_mul(square, 1.0 / 24.0);
        let term_low = l.fma(square_low, 1.0 / 24.0, l.fma(square, 2.3129646346357427e-18, term_low));
        let (first, first_low) = l.fast_sum(1.0, -0.5 * z);
        let (sum, sum_low) = l.fast_sum(first, term);
        let low = first_low - 0.5 * z_low + term_low + sum_low;
        l.fast_sum(sum, l.fma(square * z, l.polynomial(z, &LONG_COS), low))
    };
    if (quarter & 2 != 0) != (x < 0.0) { (-high, -low) } else { (high, low) }
}

/// 2/pi, its bits behind the binary point: scripts/math/two_by_pi.py.
#[rustfmt::skip]
const DIGITS: [u64; 20] = [
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561, 0xb7246e3a424dd2e0,
    0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4,
    0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d,
];

/// Reduces a large finite number: x = m 2^e with a whole m, and of m 2^e 2/pi all that is a multiple of four is left away before
/// it is multiplied.
fn large<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> Angle<L> {
    let bits = x.to_bits();
    let e = (bits >> 52) as i64 - 1075;
    let m = bits & ((1 << 52) - 1) | 1 << 52;
    // Bits of 2/pi from the one that stands for 2^(1 - e) on: 192 of them. The product with m has 245 bits, of which the first
    // ones, below, stand for multiples of 4.
    let from = e - 2;
    let word = |i: i64| -> u64 {
        let at = from + 64 * i;
        let (index, shift) = (at.div_euclid(64), at.rem_euclid(64) as u32);
        let get = |i: i64| usize::try_from(i).ok().and_then(|i| DIGITS.get(i)).copied().unwrap_or(0);
        if shift == 0 { get(index) } else { get(index) << shift | get(index + 1) >> (64 - shift) }
    };
    let [a, b, c] = [word(0), word(1), word(2)].map(u128::from);
    let m = u128::from(m);
    let (low, middle, high) = (m * c, m * b, m * a);
    let middle = middle + (low >> 64);
    let high = (high as u64).wrapping_add((middle >> 64) as u64);
    // Fixed point: `high` has the two bits before the point on top, then come 126 bits behind it.
    let value = u128::from(high) << 64 | middle & u128::from(u64::MAX);
    // Rounded to the nearest quarter.
    let quarter = ((value >> 125) + 1) >> 1;
    // What is left, in 2^-128: the bits behind the point, of which the first one says that the next quarter is nearer.
    let rest = (value << 2) as i128;
    // As two floats.
    let negative = rest < 0;
    let size = rest.unsigned_abs();
    let zeros = size.leading_zeros().min(127);
    let top = (size << zeros >> 64) as u64 & !0x7ff;
    let bottom = (size << zeros).wrapping_sub(u128::from(top) << 64);
    let unit = |power: i64| f64::from_bits(((1023 + power) as u64) << 52);
    let high = top as f64 * unit(-64 - i64::from(zeros));
    let low = (bottom >> 11) as f64 * unit(-117 - i64::from(zeros));
    let (high, low) = if negative { (-high, -low) } else { (high, low) };
    let (rest, rest_low) = l.exact_mul(high, HALF_PI[0]);
    let rest_low = l.fma(high, HALF_PI[1], l.fma(low, HALF_PI[0], rest_low));
    let rest = l.fast_sum(rest, rest_low);
    Angle { quarter: quarter as i64, rest }
}
