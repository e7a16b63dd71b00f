//! Logarithms.
//!
//! The method is that of table-driven logarithms (Tang, ACM TOMS 16, 1990): x = 2^k z with z from 23/24 to 23/12, and c the middle
//! of the eighth that z is in; with f = z/c - 1, log x = k log 2 + log c + log(1 + f). The reciprocal of c has so few bits that
//! the product with z is exact as a sum of two floats. The eighth around 1 has c = 1, so that near there nothing cancels.
//! log(1 + f) is f and a polynomial, f^2 q(f). All is kept as a sum of two floats; other bases multiply that by a constant.
//!
//! **Error**: f is exact, k log 2 + log c too in its high part, their sum is kept exactly; what is rounded, besides the last
//! sum, is f^2 q(f), at most 1/48 of the result, by three roundings of it, and the low parts. The polynomial errs by 2^-63 of f.
//! Next to 1 a unit of f^2 q(f) may be 1/16 of the result's: together 0.58 units; to base 2, where the product with the constant is
//! rounded too, 0.62.

#![forbid(unsafe_code)]

use super::calls;
use super::lanes::Lanes;
use crate::ops::tables::{LOG_HIGH, LOG_INVERSE, LOG_LOW};
use std::f64::consts::{LOG2_E, LOG10_E};

/// The bits of 23/24, about, where eighths begin.
const FIRST: i64 = 0x3fee_aaaa_0000_0000;

/// 2^1022, from where on [`parts_of_sum`] may not scale what is added.
const LARGE: f64 = 4.49423283715579e307;

/// log(2) to a multiple of 2^-42, and the rest.
const LN2_HIGH: f64 = 0.6931471805598903;
const LN2_LOW: f64 = 5.497923018708371e-14;

/// log(1 + f) = f + f^2 q(f): scripts/math/log.sollya.
const LOG: [f64; 11] = [
    -0.08409546742051469,
    0.09162559311330186,
    -0.0999969578280706,
    0.11110869083365764,
    -0.12500000557416754,
    0.14285714643571823,
    -0.16666666666213903,
    0.1999999999978346,
    -0.2500000000000012,
    0.3333333333333337,
    -0.5,
];

/// A positive normal number in parts: log(x) = base + log(1 + f + f_low) + low, where base is exact.
pub(super) struct Reduced<L: Lanes + ?Sized> {
    pub(super) base: L::Float,
    pub(super) low: L::Float,
    pub(super) f: L::Float,
    pub(super) f_low: L::Float,
    /// What x is times to be 1 + f + f_low: 2^-exponent, given as it stands in a float's bits, and a reciprocal.
    exponent: L::Int,
    inverse: L::Float,
}

/// 2^shift times a positive normal number in parts.
#[inline(always)]
pub(super) fn reduce<L: Lanes>(l: &L, x: L::Float, shift: f64) -> Reduced<L> {
    let bits = l.bits(x);
    // The exponent counts from 2048, so that no sign comes in.
    let above = l.isub(bits, l.int(FIRST.wrapping_sub(i64::MIN)));
    let whole = l.iand(above, l.int(!0 << 52));
    let exponent = l.ixor(whole, l.int(i64::MIN));
    let z = l.of_bits(l.isub(bits, exponent));
    // 2^52 + 2048 + k.
    let k = l.of_bits(l.ior(l.shr(above, 52), l.int(0x4330_0000_0000_0000)));
    let k = l.sub(k, l.float(4503599627370496.0 + 2048.0 - shift));
    let eighth = l.shr(above, 49);
    let (inverse, high, low) = (l.lookup(eighth, LOG_INVERSE), l.lookup(eighth, LOG_HIGH), l.lookup(eighth, LOG_LOW));
    let product = l.mul(z, inverse);
    Reduced {
        base: l.fma(k, l.float(LN2_HIGH), high),
        low: l.fma(k, l.float(LN2_LOW), low),
        f: l.sub(product, l.float(1.0)),
        f_low: l.fma(z, inverse, l.neg(product)),
        exponent,
        inverse,
    }
}

/// The natural logarithm of 2^shift times a positive normal number, as a sum of two floats, the second of which is small.
#[inline(always)]
pub(super) fn parts<L: Lanes>(l: &L, x: L::Float, shift: f64) -> (L::Float, L::Float) {
    logarithm(l, reduce(l, x, shift))
}

/// The same of a sum of two floats, the second of which is a few units in the last place of the first at most; of one below
/// [`LARGE`]. Where the logarithm is small, the difference of the sum and 1 is what it is taken of.
#[inline(always)]
pub(super) fn parts_of_sum<L: Lanes>(l: &L, x: (L::Float, L::Float)) -> (L::Float, L::Float) {
    logarithm(l, reduce_sum(l, x))
}

/// Such a sum in parts.
#[inline(always)]
pub(super) fn reduce_sum<L: Lanes>(l: &L, (x, x_low): (L::Float, L::Float)) -> Reduced<L> {
    let reduced = reduce(l, x, 0.0);
    let scale = l.of_bits(l.isub(l.bits(l.float(1.0)), reduced.exponent));
    let more = l.fma(l.mul(x_low, scale), reduced.inverse, reduced.f_low);
    let (f, f_low) = l.fast_sum(reduced.f, more);
    Reduced { f, f_low, ..reduced }
}

#[inline(always)]
fn logarithm<L: Lanes>(l: &L, Reduced { base, low, f, f_low, .. }: Reduced<L>) -> (L::Float, L::Float) {
    let (sum, rest) = l.fast_sum(base, f);
    // log(1 + f + d) = log(1 + f) + d (1 - f), nearly.
    let low = l.add(low, l.fma(f_low, l.neg(f), f_low));
    let low = l.add(low, rest);
    (sum, l.fma(l.mul(f, f), l.polynomial(f, &LOG), low))
}

/// Times a constant that is a sum of two floats.
#[inline(always)]
fn times<L: Lanes>(l: &L, (high, low): (L::Float, L::Float), by: (f64, f64)) -> L::Float {
    let (high, low) = l.fast_sum(high, low);
    let product = l.mul(high, l.float(by.0));
    let rest = l.fma(high, l.float(by.0), l.neg(product));
    let rest = l.fma(low, l.float(by.0), rest);
    l.add(product, l.fma(high, l.float(by.1), rest))
}

/// A base of logarithms.
trait Base {
    fn finish<L: Lanes>(l: &L, parts: (L::Float, L::Float)) -> L::Float;
}

struct Natural;
struct Two;
struct Ten;

impl Base for Natural {
    #[inline(always)]
    fn finish<L: Lanes>(l: &L, (high, low): (L::Float, L::Float)) -> L::Float {
        l.add(high, low)
    }
}

impl Base for Two {
    #[inline(always)]
    fn finish<L: Lanes>(l: &L, parts: (L::Float, L::Float)) -> L::Float {
        times(l, parts, (LOG2_E, 2.0355273740931033e-17))
    }
}

impl Base for Ten {
    #[inline(always)]
    fn finish<L: Lanes>(l: &L, parts: (L::Float, L::Float)) -> L::Float {
        times(l, parts, (LOG10_E, 1.098319650216765e-17))
    }
}

/// Is `x` no positive normal number?
#[inline(always)]
pub(super) fn is_odd<L: Lanes>(l: &L, x: L::Float) -> L::Test {
    let is_normal = l.and(l.at_most(l.float(f64::MIN_POSITIVE), x), l.less(x, l.float(f64::INFINITY)));
    l.not(is_normal)
}

/// The logarithm of what is no positive normal number.
#[inline(always)]
fn odd<B: Base, L: Lanes<Float = f64>>(l: &L, x: f64) -> f64 {
    if x > 0.0 && x < f64::INFINITY {
        B::finish(l, parts(l, x * 18014398509481984.0, -54.0))
    } else if x == 0.0 {
        -f64::INFINITY
    } else if x > 0.0 {
        x
    } else {
        f64::NAN
    }
}

macro_rules! logarithms {
    ($($name:ident $odd:ident $base:ident $routine:ident;)*) => {$(
        #[doc = concat!("`", stringify!($name), "` of x.")]
        #[inline(always)]
        pub(super) fn $name<L: Lanes>(l: &L, x: L::Float) -> L::Float {
            let usual = $base::finish(l, parts(l, x, 0.0));
            l.rare(is_odd(l, x), &calls::$routine, &[x], usual)
        }

        /// The same of what is no positive normal number.
        #[inline(always)]
        pub(super) fn $odd<L: Lanes<Float = f64>>(l: &L, x: f64) -> f64 {
            odd::<$base, L>(l, x)
        }
    )*};
}
logarithms! {
    log log_odd Natural LOG_ODD;
    log2 log2_odd Two LOG2_ODD;
    log10 log10_odd Ten LOG10_ODD;
}

/// log(1 + x).
#[inline(always)]
pub(super) fn log1p<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    // Exact up to 2^53, and 1 is nothing beside what is larger.
    let (high, low) = parts_of_sum(l, l.fast_sum(l.float(1.0), x));
    let usual = l.copysign(l.add(high, low), x);
    let is_usual = l.and(l.less(l.float(-1.0), x), l.less(x, l.float(LARGE)));
    l.rare(l.not(is_usual), &calls::LOG1P_ODD, &[x], usual)
}

/// The same of what is not above -1, [`LARGE`], or no number.
#[inline(always)]
pub(super) fn log1p_odd<L: Lanes<Float = f64>>(l: &L, x: f64) -> f64 {
    log(l, if x < 0.0 { 1.0 + x } else { x })
}
