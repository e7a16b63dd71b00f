//! The logarithm of the size of gamma.
//!
//! It is the exponent of `gamma`, log gamma(x + 8) less the logarithm of the eight factors on the way there for x < 8, each as a sum
//! of two floats. Where that cancels, less than 1/4 from 1 and 2, it is t p(t) for the distance t from there, which is exact: p
//! has coefficients for eight intervals, and a constant term that is a sum of two floats.
//!
//! Below 0, row by row, it is log(pi / |sin(pi x)|) - log gamma(1 - x). There is a zero on either side of each whole number from
//! -3 on, ever closer to it, and two between -3 and -2. Where the result is less than 0.3 it is computed again by sums of two
//! floats throughout ([`precise`]), good to 2^-95; and next to the first sixteen zeros, where that would not do, from the zero as
//! a sum of three floats and the slope there.
//!
//! **Error**, in units in the last place before the last rounding: for x > 0, that of p/y and of the logarithms, which is 2^-59,
//! where the result is as small as 0.08: 0.25; next to 1 and 2, of a polynomial that is at most an eighth of what it is added to:
//! 0.15. Together 0.75; below 0 as little, at zeros too.

#![forbid(unsafe_code)]

use super::calls;
use super::gamma::{Pair, Shifted, is_int, of_factorial, of_gamma, stirling, times};
use super::lanes::Lanes;
use super::log::log;
use super::pow::{long_log, long_log_of_sum};
use super::trig::long_sinpi;
use crate::ops::tables::{LGAMMA, LGAMMA_HIGH, LGAMMA_LOW, LGAMMA_MIDDLE};
use std::f64::consts::{LN_2, PI};

/// 1.5 * 2^52: adding it rounds a number to a whole one.
const ROUND: f64 = 6755399441055744.0;
/// The logarithm is that of a number smaller than this, 2^-60, but for the sign.
const SMALL: f64 = 8.673617379884035e-19;
/// Larger numbers may overflow on the way.
const LARGE: f64 = 1e300;
/// Distances from 1 and 2 at which something cancels.
const NEAR: f64 = 0.249;

/// log(gamma(x)) of a positive x.
#[inline(always)]
fn far<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Shifted { argument, product } = of_gamma(l, x);
    difference(l, stirling(l, argument), long_log_of_sum(l, product))
}

#[inline(always)]
fn difference<L: Lanes>(l: &L, (a, a_low): Pair<L>, (b, b_low): Pair<L>) -> L::Float {
    let (sum, rest) = l.exact_sum(a, l.neg(b));
    l.add(sum, l.add(rest, l.sub(a_low, b_low)))
}

/// log |gamma(x)|.
#[inline(always)]
pub(super) fn lgamma<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    // What x is more than 1 or 2, in intervals of an eighth.
    let is_second = l.less(l.float(1.5), x);
    let t = l.sub(x, l.choose(is_second, l.float(2.0), l.float(1.0)));
    let round = l.choose(is_second, l.float(ROUND + 4.0), l.float(ROUND));
    let index = l.bits(l.fma(l.add(t, l.float(0.1875)), l.float(8.0), round));
    let place = l.sub(t, l.lookup(index, LGAMMA_MIDDLE));
    let sum = l.looked_up(place, index, LGAMMA..LGAMMA + 12);
    let rest = l.fma(sum, place, l.lookup(index, LGAMMA_LOW));
    let (factor, factor_low) = l.fast_sum(l.lookup(index, LGAMMA_HIGH), rest);
    let (product, low) = l.exact_mul(t, factor);
    let near = l.add(product, l.fma(t, factor_low, low));

    let usual = l.choose(l.less(l.abs(t), l.float(NEAR)), near, far(l, x));
    let is_usual = l.and(l.at_most(l.float(SMALL), x), l.less(x, l.float(LARGE)));
    l.rare(l.not(is_usual), &calls::LGAMMA_ODD, &[x], usual)
}

/// log |gamma(x)| of what is below [`SMALL`], [`LARGE`] or no number.
pub(super) fn lgamma_odd<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() {
        x
    } else if size == f64::INFINITY {
        size
    } else if size < SMALL {
        -log(l, size)
    } else if x >= LARGE {
        // x (log(x) - 1), but for what is nothing beside it.
        let (high, low) = long_log(l, x, 0.0);
        let (factor, rest) = l.fast_sum(high, -1.0);
        let (product, product_low) = l.exact_mul(x / 1024.0, factor);
        (product + l.fma(x / 1024.0, rest + low, product_low)) * 1024.0
    } else if x > 0.0 {
        far(l, x)
    } else if size >= ROUND || is_int(x) {
        f64::INFINITY
    } else {
        below_zero(l, x)
    }
}

/// log(pi / |sin(pi x)|) - log(gamma(1 - x)), of a negative number that is not whole.
fn below_zero<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    let Shifted { argument, product } = of_factorial(l, -x);
    let pi = (CIRCLE[0], CIRCLE[1]);
    let ratio = quotient(l, times(l, pi, product), size(long_sinpi(l, x)));
    let value = difference(l, long_log_of_sum(l, ratio), stirling(l, argument));
    if value.abs() < 0.3 && x > -20.0 { precise(l, x) } else { value }
}

/// pi as a sum of three floats, of which two are wanted: scripts/math/gamma_zeros.py.
const CIRCLE: [f64; 2] = [PI, 1.2246467991473532e-16];
/// log(2) in a multiple of 2^-42 and two floats more.
const LOG_2: [f64; 3] = [0.6931471805598903, 5.497923018708371e-14, 1.94704509238075e-31];
/// log(2 pi)/2 as a sum of two floats.
const HALF_LOG_CIRCLE: (f64, f64) = (0.9189385332046728, -3.8782941580672414e-17);

/// A zero below 0, as a sum of three floats; the slope there, as one of two; half the curvature; up to which distance these do.
type Zero = ((f64, f64, f64), (f64, f64), f64, f64);

/// scripts/math/gamma_zeros.py.
#[rustfmt::skip]
static ZEROS: [Zero; 16] = [
    ((-2.4570247382208006, -3.7075610815513266e-17, -1.3622663121726005e-33), (1.5156034480216574, -4.0695290379659363e-17), 4.8583209516339965, 5.820766091346741e-11),
    ((-2.7476826467274127, 9.055340329338315e-17, 3.322761057167369e-33), (-1.9143501856115988, -6.288473508186805e-17), 9.575189475709667, 5.820766091346741e-11),
    ((-3.14358088834998, -2.1818179852331714e-16, -1.1246581285745781e-32), (7.781884658131351, -1.2366266971852707e-16), 25.831338372387957, 2.9103830456733704e-11),
    ((-3.955294284858598, -1.999428391746348e-17, 6.2357435447617e-34), (-20.725060845803707, 1.4319348367658305e-15), 251.7146825868894, 7.275957614183426e-12),
    ((-4.039361839740537, 2.1143995503980602e-16, -3.5961421111626576e-33), (26.790480886140593, 7.29303362861673e-16), 324.25532293784715, 7.275957614183426e-12),
    ((-4.991544640560048, 1.5174411760571722e-16, -9.643515906617392e-34), (-116.53578161624363, -5.71604654736871e-15), 6995.235954894064, 1.8189894035458565e-12),
    ((-5.0082181683225935, -4.3926353491015815e-17, -2.68183947324466e-33), (123.3621845633534, -1.7685712092825869e-15), 7404.762432228682, 1.8189894035458565e-12),
    ((-5.998607480080875, -3.311862478893795e-16, 3.4720224807210337e-33), (-716.2454304275473, -2.978324292002825e-14), 257851.58963956262, 2.2737367544323206e-13),
    ((-6.001385294453155, 6.415847287933042e-17, -1.116080967205309e-33), (723.7366299252801, 1.1249184125179834e-14), 260548.41030309396, 2.2737367544323206e-13),
    ((-6.999801507890638, 1.0550130037400023e-17, -4.08696427365735e-34), (-5035.967373768125, -3.431412146498085e-13), 12690641.16604718, 2.842170943040401e-14),
    ((-7.000198333407325, 2.504354173632409e-16, 2.413795840298293e-32), (5044.029941110829, 2.1055091809068177e-13), 12710958.833951395, 2.842170943040401e-14),
    ((-7.999975197095821, -5.261737128572354e-17, -2.0441803623138533e-33), (-40315.71854218779, -1.3528231836249092e-12), 812764889.3354839, 3.552713678800501e-15),
    ((-8.000024800270682, -4.354586297860107e-16, 2.3599860861934562e-32), (40324.281108124356, -2.389812710483955e-12), 812937510.664516, 3.552713678800501e-15),
    ((-8.999997244250977, -2.2185620509727132e-16, 7.336677520259467e-33), (-362875.4964746711, 1.3486075072383962e-11), 65840130084.02046, 4.440892098500626e-16),
    ((-9.000002755714823, -9.491348611623208e-17, -5.762352109706189e-33), (362884.5034850277, 5.4195819812064025e-12), 65841764315.97954, 4.440892098500626e-16),
    ((-9.99999972442663, 4.883037618642443e-16, 3.548028340923709e-32), (-3628795.296492739, -1.2671744970551317e-10), 6584086185960.205, 5.551115123125783e-17),
];

/// Numerators and denominators of Stirling's series, B(2k) / (2k (2k - 1)), the last one first.
const SERIES: [(f64, f64); 17] = [
    (151628697551.0, 396.0),
    (-7709321041217.0, 505920.0),
    (1723168255201.0, 2492028.0),
    (-3392780147.0, 93960.0),
    (657931.0, 300.0),
    (-236364091.0, 1506960.0),
    (77683.0, 5796.0),
    (-174611.0, 125400.0),
    (43867.0, 244188.0),
    (-3617.0, 122400.0),
    (1.0, 156.0),
    (-691.0, 360360.0),
    (1.0, 1188.0),
    (-1.0, 1680.0),
    (1.0, 1260.0),
    (-1.0, 360.0),
    (1.0, 12.0),
];

type Double = (f64, f64);

fn size((high, low): Double) -> Double {
    if high < 0.0 { (-high, -low) } else { (high, low) }
}

fn sum<L: Lanes<Float = f64>>(l: &L, a: Double, b: Double) -> Double {
    let (high, low) = l.exact_sum(a.0, b.0);
    let (rest, rest_low) = l.exact_sum(a.1, b.1);
    let (high, low) = l.fast_sum(high, low + rest);
    l.fast_sum(high, low + rest_low)
}

fn quotient<L: Lanes<Float = f64>>(l: &L, above: Double, below: Double) -> Double {
    let first = above.0 / below.0;
    let (product, product_low) = times(l, below, (first, 0.0));
    let left = sum(l, above, (-product, -product_low));
    l.fast_sum(first, left.0 / below.0)
}

fn negative((high, low): Double) -> Double {
    (-high, -low)
}

/// log |gamma(x)| for -20 < x < -2, good to 2^-95 or, close to zeros, to a unit in the last place.
fn precise<L: Lanes<Float = f64, Int = i64, Test = bool>>(l: &L, x: f64) -> f64 {
    for (zero, slope, curve, reach) in ZEROS {
        // This is exact where it is small.
        let distance = x - zero.0;
        if distance.abs() < reach {
            let (from, from_low) = l.exact_sum(distance, -zero.1);
            let (high, low) = times(l, (from, from_low - zero.2), l.fast_sum(slope.0, l.fma(curve, from, slope.1)));
            return high + low;
        }
    }
    // gamma(1 - x) by gamma(y), y of at least 20, and a product.
    let mut y = l.exact_sum(1.0, -x);
    let mut product = (1.0, 0.0);
    while y.0 < 20.0 {
        product = times(l, product, y);
        y = sum(l, y, (1.0, 0.0));
    }
    let pi = (CIRCLE[0], CIRCLE[1]);
    let ratio = quotient(l, times(l, pi, product), size(precise_sine(l, x)));
    let log_y = precise_log(l, y);
    let by = quotient(l, (1.0, 0.0), y);
    let square = times(l, by, by);
    let series = SERIES.into_iter().fold((0.0, 0.0), |series, (above, below)| {
        sum(l, times(l, series, square), quotient(l, (above, 0.0), (below, 0.0)))
    });
    let rest = sum(l, HALF_LOG_CIRCLE, times(l, series, by));
    let main = sum(l, times(l, sum(l, y, (-0.5, 0.0)), log_y), negative(y));
    let (high, low) = sum(l, precise_log(l, ratio), negative(sum(l, main, rest)));
    high + low
}

/// sin(pi x) but for the sign: Taylor's series, of at most a quarter turn.
fn precise_sine<L: Lanes<Float = f64>>(l: &L, x: f64) -> Double {
    let nearest = (x - 0.5) as i64;
    let angle = times(l, (x - nearest as f64, 0.0), (CIRCLE[0], CIRCLE[1]));
    let square = times(l, angle, angle);
    let series = (1..=17).rev().fold((1.0, 0.0), |series, k| {
        let below = f64::from(2 * k * (2 * k + 1));
        sum(l, (1.0, 0.0), negative(quotient(l, times(l, series, square), (below, 0.0))))
    });
    times(l, angle, series)
}

/// The logarithm of a positive normal number: one step of Newton's from a float on, with e to its power by Taylor's series.
fn precise_log<L: Lanes<Float = f64>>(l: &L, (x, x_low): Double) -> Double {
    let (near, _) = long_log(l, x, 0.0);
    let n = l.sub(l.fma(near, 1.0 / LN_2, ROUND), ROUND);
    let rest = l.exact_sum(l.fma(n, LOG_2[0], -near), n * LOG_2[1]);
    let rest = sum(l, rest, (l.fma(n, LOG_2[1], -(n * LOG_2[1])), n * LOG_2[2]));
    let power = (1..=26)
        .rev()
        .fold((1.0, 0.0), |power, k| sum(l, (1.0, 0.0), quotient(l, times(l, power, rest), (f64::from(k), 0.0))));
    // x / e^near - 1.
    let scale = f64::from_bits(((1023 - n as i64) as u64) << 52);
    let (left, left_low) = sum(l, times(l, (x * scale, x_low * scale), power), (-1.0, 0.0));
    l.fast_sum(near, l.fma(left * left, -0.5, left) + left_low)
}
