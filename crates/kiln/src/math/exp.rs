//! Exponential functions.
//!
//! The method is that of table-driven exponentials (Tang, ACM TOMS 15, 1989): with n the nearest whole number to 8x / log 2
//! and r what is left, e^x = 2^(n/8) e^r. The fraction of n/8 is looked up, as a sum of two floats; e^r - 1 is a
//! polynomial on |r| <= log(2)/16. The whole part of n/8 scales the result by two factors, one of which is exact, so that results
//! below the normal range are rounded once more and no result overflows on the way.
//!
//! **Error**, in units in the last place of the result before the last rounding: of the polynomial 2^-66 of 2^-53, none; of
//! the product of the polynomial and the table's entry, at most 1/16 of half a unit, as that product is less than 1/22 of
//! the result; of the polynomial's own rounding and of r, as much. Together 0.57 units; subnormal results half a unit more
//! of the normal one's, which is no unit of theirs.
//!
//! NaN and infinities need no care: the argument is held within where results are neither zero nor infinite, and the
//! scaling makes them so.
//!
//! **expm1** is the same before the scaling, less 2^-(whole part), all but the smallest terms as sums of two floats: close to
//! zero, r's rounding error and that of its product with the table's entry are as large as the result's. Without steps the
//! result is r and its polynomial, so that small arguments need no care either. Error: the sum of the low terms is at most 1/20 of
//! the result; together 0.56 units.

#![forbid(unsafe_code)]

use super::calls;
use super::lanes::Lanes;
use super::tens::power_of_ten;
use crate::ops::tables::{EXP2_HIGH, EXP2_LOW};
use std::f64::consts::{LN_2, LN_10};

/// 1.5 * 2^52: adding it to a small number rounds that to a whole one, which then are the low bits of the sum. To those is
/// added what makes their eighth the exponents of two scale factors.
const ROUND: f64 = 6755399441055744.0 + 8.0 * 2046.0;

/// 1.5 * 2^52: a number to which it is added and from which it is taken again becomes whole.
const WHOLE: f64 = 6755399441055744.0;

/// A base of powers.
struct Base {
    /// 8 / log of 2 to the base.
    steps: f64,
    /// The reciprocal: in 38 bits, and the rest.
    high: f64,
    low: f64,
    /// Beyond these the power is infinite, or zero; less 1, it is -1 long before.
    most: f64,
    least: f64,
}

const E: Base = Base {
    steps: 11.541560327111707,
    high: 0.08664339756978734,
    low: 2.0582436978621353e-13,
    most: 710.0,
    least: -746.0,
};
const E_LESS_1: Base = Base { least: -40.0, ..E };
const TWO: Base = Base { steps: 8.0, high: 0.125, low: 0.0, most: 1025.0, least: -1076.0 };
const TEN: Base = Base {
    steps: 26.575424759098897,
    high: 0.037628749458008315,
    low: -1.0665430396321383e-14,
    most: 309.0,
    least: -324.0,
};

/// An argument in parts.
pub(super) struct Parts<L: Lanes + ?Sized> {
    /// The low bits are the number of steps plus eight times 2046.
    steps: L::Int,
    /// What is left, at most half a step.
    pub(super) rest: L::Float,
}

/// Holds `x` within what makes a difference.
#[inline(always)]
fn hold<L: Lanes>(l: &L, x: L::Float, base: &Base) -> L::Float {
    let (most, least) = (l.float(base.most), l.float(base.least));
    // A NaN is neither.
    let x = l.choose(l.less(most, x), most, x);
    l.choose(l.less(x, least), least, x)
}

#[inline(always)]
fn split<L: Lanes>(l: &L, x: L::Float, base: &Base) -> Parts<L> {
    let rounded = l.fma(x, l.float(base.steps), l.float(ROUND));
    let n = l.sub(rounded, l.float(ROUND));
    let rest = l.fma(n, l.float(-base.high), x);
    let rest = if base.low == 0.0 { rest } else { l.fma(n, l.float(-base.low), rest) };
    Parts { steps: l.bits(rounded), rest }
}

/// How many steps `x` has, and what is left as a sum of two floats; of an argument that is held.
#[inline(always)]
pub(super) fn split_exactly<L: Lanes>(l: &L, x: L::Float) -> (L::Int, (L::Float, L::Float)) {
    let rounded = l.fma(x, l.float(E.steps), l.float(ROUND));
    let n = l.sub(rounded, l.float(ROUND));
    let first = l.fma(n, l.float(-E.high), x);
    let rest = l.fma(n, l.float(-E.low), first);
    (l.bits(rounded), (rest, l.fma(n, l.float(-E.low), l.sub(first, rest))))
}

/// `value` times 2^(whole part of steps/8).
#[inline(always)]
pub(super) fn scale<L: Lanes>(l: &L, steps: L::Int, value: L::Float) -> L::Float {
    let (whole, half) = (l.shr(steps, 3), l.shr(steps, 4));
    let first = l.of_bits(l.shl(half, 52));
    let second = l.of_bits(l.shl(l.isub(whole, half), 52));
    l.mul(l.mul(value, first), second)
}

/// 2^(`more` - whole part of steps/8), which is not below 2^-1023; that is zero here.
#[inline(always)]
pub(super) fn inverse<L: Lanes>(l: &L, steps: L::Int, more: i64) -> L::Float {
    l.of_bits(l.isub(l.int((1023 + 2046 + more) << 52), l.shl(l.shr(steps, 3), 52)))
}

/// 2^(steps/8) (1 + p).
#[inline(always)]
fn power<L: Lanes>(l: &L, steps: L::Int, p: L::Float) -> L::Float {
    let (high, low) = (l.lookup(steps, EXP2_HIGH), l.lookup(steps, EXP2_LOW));
    scale(l, steps, l.add(high, l.fma(high, p, low)))
}

/// e^r - 1 = r + r^2 q(r): scripts/math/exp.sollya.
const EXP: [f64; 7] = [
    2.4802675110712113e-05,
    0.0001984217473760073,
    0.0013888888875574048,
    0.008333333324845489,
    0.04166666666666715,
    0.16666666666666866,
    0.5,
];

/// 2^r - 1 = r q(r), and the same for 10.
const EXP2: [f64; 8] = [
    1.3207480600200454e-06,
    1.5257057625980713e-05,
    0.0001540353102390453,
    0.001333355788579427,
    0.009618129107613935,
    0.05550410866487021,
    0.24022650695910072,
    LN_2,
];
const EXP10: [f64; 8] = [
    0.019573660730670298,
    0.0680480527544648,
    0.2069958655115313,
    0.5393829562029541,
    1.1712551489087564,
    2.0346785922886124,
    2.650949055239199,
    LN_10,
];

/// e^x.
#[inline(always)]
pub(super) fn exp<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Parts { steps, rest: r } = split(l, hold(l, x, &E), &E);
    let q = l.polynomial(r, &EXP);
    power(l, steps, l.fma(l.mul(r, r), q, r))
}

/// e^(x + low) for a small `low`, where the result is neither zero nor infinite.
#[inline(always)]
pub(super) fn exp_sum<L: Lanes>(l: &L, x: L::Float, low: L::Float) -> L::Float {
    let rounded = l.fma(x, l.float(E.steps), l.float(ROUND));
    let n = l.sub(rounded, l.float(ROUND));
    let first = l.fma(n, l.float(-E.high), x);
    let (r, rest) = l.fast_sum(first, l.fma(n, l.float(-E.low), low));
    let q = l.polynomial(r, &EXP);
    power(l, l.bits(rounded), l.add(r, l.fma(l.mul(r, r), q, rest)))
}

/// 2^x.
#[inline(always)]
pub(super) fn exp2<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Parts { steps, rest: r } = split(l, hold(l, x, &TWO), &TWO);
    power(l, steps, l.mul(r, l.polynomial(r, &EXP2)))
}

/// 10^x.
#[inline(always)]
pub(super) fn exp10<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Parts { steps, rest: r } = split(l, hold(l, x, &TEN), &TEN);
    let usual = power(l, steps, l.mul(r, l.polynomial(r, &EXP10)));
    // Whole powers are like the literal; from 0 to 22 they are exact anyway.
    let whole = l.equal(l.sub(l.add(x, l.float(WHOLE)), l.float(WHOLE)), x);
    let is_rare = l.and(whole, l.not(l.and(l.at_most(l.float(0.0), x), l.at_most(x, l.float(22.0)))));
    let is_rare = l.and(is_rare, l.less(l.abs(x), l.float(400.0)));
    l.rare(is_rare, &calls::EXP10_WHOLE, &[x], usual)
}

/// 10 to a whole power, correctly rounded, like the literal.
pub(super) fn exp10_whole<L: Lanes<Float = f64>>(_: &L, x: f64) -> f64 {
    power_of_ten(x as i32)
}

/// e^x as the table's entry plus a sum of two floats, all times 2^(whole part of steps/8).
pub(super) struct Growth<L: Lanes + ?Sized> {
    pub(super) steps: L::Int,
    pub(super) entry: L::Float,
    /// Smaller than what the entry differs from the next power of two, or the entry is 1.
    pub(super) more: L::Float,
    pub(super) low: L::Float,
}

#[inline(always)]
pub(super) fn growth<L: Lanes>(l: &L, x: L::Float) -> Growth<L> {
    let (steps, rest) = split_exactly(l, x);
    grow(l, steps, rest)
}

/// The same of x + low, for a small `low`.
#[inline(always)]
pub(super) fn growth_of_sum<L: Lanes>(l: &L, x: L::Float, low: L::Float) -> Growth<L> {
    let (steps, (r, r_low)) = split_exactly(l, x);
    grow(l, steps, l.fast_sum(r, l.add(r_low, low)))
}

#[inline(always)]
fn grow<L: Lanes>(l: &L, steps: L::Int, (r, r_low): (L::Float, L::Float)) -> Growth<L> {
    let (entry, entry_low) = (l.lookup(steps, EXP2_HIGH), l.lookup(steps, EXP2_LOW));
    let (more, more_low) = l.exact_mul(entry, r);
    let rest = l.fma(l.mul(r, r), l.polynomial(r, &EXP), r_low);
    let low = l.fma(entry_low, r, l.add(entry_low, more_low));
    Growth { steps, entry, more, low: l.fma(entry, rest, low) }
}

/// e^x - 1.
#[inline(always)]
pub(super) fn expm1<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Growth { steps, entry, more, low } = growth(l, hold(l, x, &E_LESS_1));
    // Half of twice the power, which is not below the normal range.
    let one = l.mul(inverse(l, steps, 1), l.float(0.5));
    let (high, high_low) = l.exact_sum(entry, l.neg(one));
    let (high, sum_low) = l.fast_sum(high, more);
    let value = l.add(high, l.add(l.add(sum_low, high_low), low));
    l.copysign(scale(l, steps, value), x)
}
