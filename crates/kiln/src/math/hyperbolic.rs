//! Hyperbolic functions.
//!
//! With n the nearest whole number to 8|x| / log 2 and r what is left, as for exponentials, sinh x = S cosh r + C sinh r and
//! cosh x = C cosh r + S sinh r, where 2 S = 2^(n/8) - 2^(-n/8) and 2 C is the sum of these: both powers come from tables. S and C
//! are sums of two floats, and without steps S = 0 and C = 1, so that small arguments need no care. sinh r and cosh r are
//! polynomials on |r| <= log(2)/16. All is kept divided by 2^k, k the whole part of n/8, and scaled in the end by two factors, so
//! that what is finite does not overflow on the way.
//!
//! tanh x is (e^2|x| - 1) / (e^2|x| + 1), the numerator as in expm1, by one quotient that is corrected by what it leaves.
//!
//! **Error**: of sinh, what is rounded besides the last sum is at most 1/40 of the result; of cosh it is 1/20, and what rounding
//! has taken from r is left away. Together 0.55 and 0.64 units. Of tanh, numerator and denominator have some 60 bits, and
//! only the last operation rounds: 0.56 units.

#![forbid(unsafe_code)]

use super::exp::{Growth, growth, inverse, scale, split_exactly};
use super::lanes::Lanes;
use crate::ops::tables::{EXP2_DOWN_HIGH, EXP2_DOWN_LOW, EXP2_HIGH, EXP2_LOW};

/// sinh(r) = r + r^3 s(r^2): scripts/math/hyperbolic.sollya.
const SINH: [f64; 3] = [0.0001984226366746144, 0.008333333322515141, 0.16666666666667002];
/// cosh(r) = 1 + r^2 c(r^2).
const COSH: [f64; 3] = [0.0013889783037574236, 0.0416666665693868, 0.5000000000000301];

/// From here on sinh and cosh are infinite.
const MOST: f64 = 711.0;
/// From here on tanh is 1.
const ONE: f64 = 20.0;

/// What sinh and cosh are made of. S and C are twice themselves divided by 2^k.
struct Halves<L: Lanes + ?Sized> {
    steps: L::Int,
    s: (L::Float, L::Float),
    c: (L::Float, L::Float),
    /// The argument's rest.
    r: L::Float,
    r_low: L::Float,
    /// Its square times the polynomials.
    sinh: L::Float,
    cosh: L::Float,
}

#[inline(always)]
fn halves<L: Lanes>(l: &L, x: L::Float) -> Halves<L> {
    let (steps, (r, r_low)) = split_exactly(l, hold(l, l.abs(x), MOST));
    let (up, up_low) = (l.lookup(steps, EXP2_HIGH), l.lookup(steps, EXP2_LOW));
    // 2^(-n/8) is divided by 2^k too. This square is 2^(4 - 2k), and the table's entries are sixteenths.
    let factor = inverse(l, steps, 2);
    let factor = l.mul(factor, factor);
    let down = l.mul(l.lookup(steps, EXP2_DOWN_HIGH), factor);
    let down_low = l.mul(l.lookup(steps, EXP2_DOWN_LOW), factor);
    let (s, s_low) = l.fast_sum(up, l.neg(down));
    let (c, c_low) = l.fast_sum(up, down);
    let square = l.mul(r, r);
    Halves {
        steps,
        s: (s, l.add(s_low, l.sub(up_low, down_low))),
        c: (c, l.add(c_low, l.add(up_low, down_low))),
        r,
        r_low,
        sinh: l.mul(square, l.polynomial(square, &SINH)),
        cosh: l.mul(square, l.polynomial(square, &COSH)),
    }
}

/// Holds `x` below what makes a difference; a NaN stays one.
#[inline(always)]
fn hold<L: Lanes>(l: &L, x: L::Float, most: f64) -> L::Float {
    l.choose(l.less(l.float(most), x), l.float(most), x)
}

/// Half of `value` times 2^k.
#[inline(always)]
fn half<L: Lanes>(l: &L, steps: L::Int, value: L::Float) -> L::Float {
    scale(l, l.isub(steps, l.int(8)), value)
}

/// sinh(x).
#[inline(always)]
pub(super) fn sinh<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Halves { steps, s: (s, s_low), c: (c, c_low), r, r_low, sinh, cosh } = halves(l, x);
    let (product, product_low) = l.exact_mul(c, r);
    let (high, high_low) = l.fast_sum(s, product);
    let low = l.fma(c_low, r, l.add(product_low, s_low));
    let low = l.fma(c, l.fma(r, sinh, r_low), low);
    let low = l.fma(s, cosh, l.add(low, high_low));
    l.copysign(half(l, steps, l.add(high, low)), x)
}

/// cosh(x).
#[inline(always)]
pub(super) fn cosh<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let Halves { steps, s: (s, _), c: (c, c_low), r, sinh, cosh, .. } = halves(l, x);
    let low = l.fma(s, l.fma(r, sinh, r), l.fma(c, cosh, c_low));
    half(l, steps, l.add(c, low))
}

/// tanh(x).
#[inline(always)]
pub(super) fn tanh<L: Lanes>(l: &L, x: L::Float) -> L::Float {
    let size = hold(l, l.abs(x), ONE);
    let Growth { steps, entry, more, low } = growth(l, l.add(size, size));
    let one = inverse(l, steps, 0);
    let (above, entry_low) = l.fast_sum(entry, l.neg(one));
    let (above, above_low) = l.fast_sum(above, more);
    let above_low = l.add(l.add(above_low, entry_low), low);
    // This is at least 1, which leaves the sum of the small terms bits enough as one float.
    let (below, entry_low) = l.fast_sum(entry, one);
    let (below, below_low) = l.fast_sum(below, l.add(more, low));
    let below_low = l.add(below_low, entry_low);
    let one_by = l.div(l.float(1.0), below);
    let quotient = l.mul(l.add(above, above_low), one_by);
    let left = l.fma(l.neg(quotient), below, above);
    let left = l.fma(l.neg(quotient), below_low, l.add(left, above_low));
    l.copysign(l.fma(left, one_by, quotient), x)
}
