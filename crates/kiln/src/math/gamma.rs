//! The gamma function and factorials.
//!
//! From 8 on, log gamma(y) = (y - 1/2) log y - y + log(2 pi)/2 + p(1/y^2)/y, with the logarithm and the sum as sums of two floats that
//! are good to 2^-67; the exponential takes both (Stirling). Of a smaller x it is gamma(x + 8) divided by x ... (x + 7), where
//! both ends of that product make a pair: with w = x (x + 7) it is w (w + 6) (w + 10) (w + 12). The factorial of x is that of
//! x + 1, which no rounding comes between: x + 1 is a sum of two floats, as is w = (x + 1) (x + 8).
//!
//! Below 0, gamma(x) = pi / (sin(pi x) gamma(1 - x)), each a sum of two floats, where the sine takes what x is more than a whole
//! number, which is exact.
//!
//! **Error**, in units in the last place before the last rounding: of the logarithm, times up to 880, 0.06 at most; of p/y 0.03
//! below 16; of the exponential 0.01. Together 0.53 units, below 0 too; but subnormal results are rounded twice: 0.76.
//!
//! Whole numbers give the nearest number to the factorial; there are so few that `math/tests.rs` tries all.

#![forbid(unsafe_code)]

use super::calls;
use super::exp::{Growth, growth_of_sum, scale};
use super::lanes::Lanes;
use super::pow::long_log_of_sum;
use super::trig::long_sinpi;
use std::f64::consts::PI;

/// A sum of two floats.
pub(super) type Pair<L> = (<L as Lanes>::Float, <L as Lanes>::Float);

/// log(gamma(y)) = (y - 1/2) log(y) - y + log(2 pi)/2 + p(1/y^2)/y: scripts/math/gamma.sollya.
const STIRLING: [f64; 8] = [
    0.0030073563311697944,
    0.00481288995590756,
    -0.0018823555876638996,
    0.0008413447616393279,
    -0.0005952355581978814,
    0.0007936507854909356,
    -0.0027777777777662463,
    0.08333333333333333,
];
/// log(2 pi)/2 as a sum of two floats.
const CIRCLE: (f64, f64) = (0.9189385332046728, -3.8782941580672414e-17);
/// What rounding has taken from pi.
const PI_LOW: f64 = 1.2246467991473532e-16;

/// From here on, Stirling's formula is good.
const LARGE: f64 = 8.0;
/// Above, results are infinite.
const MOST: f64 = 172.0;
/// Smaller numbers are the reciprocals of their gammas: 2^-60.
const SMALL: f64 = 8.673617379884035e-19;
/// From here on, 2^53, floats are whole numbers.
const WHOLE: f64 = 9007199254740992.0;
/// Below, results are 0.
const LEAST: f64 = -190.0;

/// log(gamma(y)) for y of at least [`LARGE`], the second part of which is small.
#[inline(always)]
pub(super) fn stirling<L: Lanes>(l: &L, (y, y_low): Pair<L>) -> Pair<L> {
    let (log, log_low) = long_log_of_sum(l, (y, y_low));
    let (less, less_low) = l.fast_sum(y, l.float(-0.5));
    let (product, low) = l.exact_mul(less, log);
    let low = l.fma(l.add(less_low, y_low), log, l.fma(less, log_low, low));
    let (sum, rest) = l.fast_sum(product, l.neg(y));
    let low = l.add(low, l.sub(rest, y_low));
    let (sum, rest) = l.fast_sum(sum, l.float(CIRCLE.0));
    let low = l.add(l.add(low, rest), l.float(CIRCLE.1));
    let by = l.div(l.float(1.0), y);
    (sum, l.fma(by, l.polynomial(l.mul(by, by), &STIRLING), low))
}

/// The product of two sums.
#[inline(always)]
pub(super) fn times<L: Lanes>(l: &L, (a, a_low): Pair<L>, (b, b_low): Pair<L>) -> Pair<L> {
    let (high, low) = l.exact_mul(a, b);
    l.fast_sum(high, l.fma(a, b_low, l.fma(a_low, b, low)))
}

/// w (w + 6) (w + 10) (w + 12).
#[inline(always)]
fn factors<L: Lanes>(l: &L, (w, w_low): Pair<L>) -> Pair<L> {
    let more = |by: f64| {
        let (sum, rest) = l.exact_sum(w, l.float(by));
        (sum, l.add(rest, w_low))
    };
    times(l, times(l, (w, w_low), more(6.0)), times(l, more(10.0), more(12.0)))
}

/// What gamma is made of: that of `argument` divided by a product.
pub(super) struct Shifted<L: Lanes + ?Sized> {
    pub(super) argument: (L::Float, L::Float),
    pub(super) product: (L::Float, L::Float),
}

/// For gamma(x).
#[inline(always)]
pub(super) fn of_gamma<L: Lanes>(l: &L, x: L::Float) -> Shifted<L> {
    let (end, end_low) = l.fast_sum(l.float(7.0), x);
    let (w, w_low) = l.exact_mul(x, end);
    let product = factors(l, (w, l.fma(x, end_low, w_low)));
    let shifted = l.fast_sum(l.float(8.0), x);
    choose_shift(l, x, (x, l.float(0.0)), shifted, product)
}

/// For gamma(x + 1).
#[inline(always)]
pub(super) fn of_factorial<L: Lanes>(l: &L, x: L::Float) -> Shifted<L> {
    // (x + 1) (x + 8) = x (x + 9) + 8.
    let shifted = l.fast_sum(l.float(9.0), x);
    let (product, product_low) = l.exact_mul(x, shifted.0);
    let (w, w_low) = l.exact_sum(product, l.float(8.0));
    let w_low = l.add(w_low, l.fma(x, shifted.1, product_low));
    let product = factors(l, l.fast_sum(w, w_low));
    choose_shift(l, x, l.fast_sum(x, l.float(1.0)), shifted, product)
}

#[inline(always)]
fn choose_shift<L: Lanes>(l: &L, x: L::Float, usual: Pair<L>, shifted: Pair<L>, product: Pair<L>) -> Shifted<L> {
    let is_small = l.less(x, l.float(LARGE));
    let choose = |yes: Pair<L>, no: Pair<L>| (l.choose(is_small, yes.0, no.0), l.choose(is_small, yes.1, no.1));
    Shifted { argument: choose(shifted, usual), product: choose(product, (l.float(1.0), l.float(0.0))) }
}

/// e^(sum of two floats) as a sum of two floats, times 2^(whole part of steps/8).
#[inline(always)]
fn power<L: Lanes>(l: &L, (high, low): Pair<L>) -> (L::Int, Pair<L>) {
    let Growth { steps, entry, more, low } = growth_of_sum(l, high, low);
    let (high, rest) = l.fast_sum(entry, more);
    (steps, (high, l.add(rest, low)))
}

/// One quotient, corrected by what it leaves.
#[inline(always)]
fn quotient<L: Lanes>(l: &L, above: Pair<L>, below: Pair<L>) -> L::Float {
    let one_by = l.div(l.float(1.0), below.0);
    let quotient = l.mul(above.0, one_by);
    let left = l.fma(l.neg(quotient), below.0, above.0);
    let left = l.fma(l.neg(quotient), below.1, l.add(left, above.1));
    l.fma(left, one_by, quotient)
}

#[inline(always)]
fn value<L: Lanes>(l: &L, Shifted { argument, product }: Shifted<L>) -> L::Float {
    let (steps, power) = power(l, stirling(l, argument));
    scale(l, steps, quotient(l, power, product))
}

/// gamma(x).
#[inline(always)]
pub(super) fn gamma<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let usual = value(l, of_gamma(l, x));
    let is_usual = l.and(l.at_most(l.float(SMALL), x), l.less(x, l.float(MOST)));
    l.rare(l.not(is_usual), &calls::GAMMA_ODD, &[x], usual)
}

/// gamma(x + 1), of x >= 0.
#[inline(always)]
pub(super) fn fact<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let usual = value(l, of_factorial(l, x));
    let is_usual = l.and(l.at_most(l.float(0.0), x), l.less(x, l.float(MOST - 1.0)));
    l.rare(l.not(is_usual), &calls::FACT_ODD, &[x], usual)
}

/// Is it whole? Of what an i64 can hold.
pub(super) fn is_int(x: f64) -> bool {
    (x as i64) as f64 == x
}

/// gamma(x) of anything.
pub(super) fn gamma_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY {
        f64::NAN
    } else if x.abs() < SMALL {
        1.0 / x
    } else if x > 0.0 {
        if x >= MOST { f64::INFINITY } else { value(l, of_gamma(l, x)) }
    } else if x <= -WHOLE || is_int(x) {
        f64::NAN
    } else {
        below_zero(l, x)
    }
}

/// pi / (sin(pi x) gamma(1 - x)), of a negative number that is not whole.
fn below_zero<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    let (sine, sine_low) = long_sinpi(l, x);
    if x < LEAST {
        return 0f64.copysign(sine);
    }
    let Shifted { argument, product } = of_factorial(l, -x);
    let (steps, power) = power(l, stirling(l, argument));
    let value = quotient(l, times(l, product, (PI, PI_LOW)), times(l, power, (sine, sine_low)));
    // The whole part of the steps counts from 2046.
    scale(l, ((2 * 2046) << 3) - (steps >> 3 << 3), value)
}

/// gamma(x + 1) of anything.
pub(super) fn fact_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        f64::NAN
    } else if x >= MOST - 1.0 {
        f64::INFINITY
    } else {
        value(l, of_factorial(l, x))
    }
}
