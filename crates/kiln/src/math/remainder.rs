//! Remainders and quotients of floats: kernels of operations.
//!
//! The one idea: the quotient, rounded and cut off, is the true one or one more, as rounding does not cross whole numbers.
//! What that many divisors leave of the dividend is a float in either case, so that one multiplication and addition
//! gives it exactly, and where it is negative one divisor too many was taken. That holds while the quotient has no more
//! bits than a float; the rest is rare.
//!
//! Remainders of `f32` are those of `f64`, in which nearly all quotients fit. What the operations add to the remainder is done in
//! their own type, step by step as their meanings in `ops::words` do it.

#![forbid(unsafe_code)]

use super::calls;
use super::lanes::{Lanes, Nodes};
use crate::ir::Ref;
use crate::ir::build::{Builder, Inline};
use crate::ops::Op;
use crate::types::Type;

/// 2^53: from here on quotients may have more bits than a float.
const LONG: f64 = 9007199254740992.0;

/// What makes nodes of an operation that has no instructions, if anything does.
pub(crate) fn kernel_of(op: Op, ty: Type) -> Option<Inline> {
    match op {
        Op::TruncRem if ty.is_float() => Some(remainder),
        Op::FloorMod if ty.is_float() => Some(floor_mod),
        Op::FloorDiv if ty.is_float() => Some(floor_div),
        _ => None,
    }
}

/// The remainder with the sign of x.
#[inline(always)]
pub(super) fn rem<L: Lanes>(l: &L, x: L::Float, y: L::Float) -> L::Float {
    let (size, by) = (l.abs(x), l.abs(y));
    let quotient = l.div(size, by);
    let rest = l.fma(l.neg(l.trunc(quotient)), by, size);
    let rest = l.choose(l.less(rest, l.float(0.0)), l.add(rest, by), rest);
    // Infinite divisors are here too. NaN go through all of this.
    let rest = l.choose(l.less(size, by), size, rest);
    l.rare(l.at_most(l.float(LONG), quotient), &calls::FMOD, &[x, y], l.copysign(rest, x))
}

fn remainder(b: &mut Builder, args: &[Ref]) -> Ref {
    let &[x, y] = args else { return Ref::NONE };
    let ty = b.ty(x);
    let (x, y) = (b.raw_convert(x, Type::F64), b.raw_convert(y, Type::F64));
    let rest = rem(&Nodes::new(b), x, y);
    b.raw_convert(rest, ty)
}

/// The remainder, and whether its sign and the divisor's differ, but for zeros.
fn parts(b: &mut Builder, x: Ref, y: Ref) -> (Ref, Ref) {
    let zero = b.small(b.ty(x), 0);
    let rest = remainder(b, &[x, y]);
    let (below, by_below) = (b.raw2(Op::Lt, rest, zero), b.raw2(Op::Lt, y, zero));
    (rest, b.raw2(Op::Xor, below, by_below))
}

/// The remainder with the sign of y.
fn floor_mod(b: &mut Builder, args: &[Ref]) -> Ref {
    let &[x, y] = args else { return Ref::NONE };
    let (rest, differ) = parts(b, x, y);
    let zero = b.small(b.ty(x), 0);
    let (sum, none) = (b.raw2(Op::Add, rest, y), b.raw2(Op::Copysign, zero, y));
    let usual = b.select(differ, sum, rest);
    let exact = b.raw2(Op::Eq, rest, zero);
    b.select(exact, none, usual)
}

/// The whole quotient that goes with it.
fn floor_div(b: &mut Builder, args: &[Ref]) -> Ref {
    let &[x, y] = args else { return Ref::NONE };
    let ty = b.ty(x);
    let (zero, one, minus_one) = (b.small(ty, 0), b.small(ty, 1), b.small(ty, -1));
    let two = b.small(ty, 2);
    let (half, inf) = (b.raw2(Op::Div, one, two), b.raw2(Op::Div, one, zero));
    let (rest, differ) = parts(b, x, y);
    let quotient = b.raw2(Op::Div, x, y);
    // Of finite numbers: x less the remainder, divided, is whole but for roundings.
    let multiple = b.raw2(Op::Sub, x, rest);
    let near = b.raw2(Op::Div, multiple, y);
    let inexact = b.raw2(Op::Ne, rest, zero);
    let (carried, below) = (b.raw2(Op::And, inexact, differ), b.raw2(Op::Sub, near, one));
    let near = b.select(carried, below, near);
    let floor = b.raw1(Op::Floor, near);
    let (left, above) = (b.raw2(Op::Sub, near, floor), b.raw2(Op::Add, floor, one));
    let up = b.raw2(Op::Lt, half, left);
    let whole = b.select(up, above, floor);
    let (is_zero, none) = (b.raw2(Op::Eq, near, zero), b.raw2(Op::Copysign, zero, quotient));
    let whole = b.select(is_zero, none, whole);
    // Of others the quotient is a zero, infinite or NaN already, unless a number by infinity must go down.
    let (x_below, y_below) = (b.raw2(Op::Lt, x, zero), b.raw2(Op::Lt, y, zero));
    let (signs, vanishes) = (b.raw2(Op::Xor, x_below, y_below), b.raw2(Op::Eq, quotient, zero));
    let (is_some, goes_down) = (b.raw2(Op::Ne, x, zero), b.raw2(Op::And, signs, vanishes));
    let goes_down = b.raw2(Op::And, goes_down, is_some);
    let odd = b.select(goes_down, minus_one, quotient);
    let (size, by) = (b.raw1(Op::Abs, x), b.raw1(Op::Abs, y));
    let (finite, by_finite) = (b.raw2(Op::Lt, size, inf), b.raw2(Op::Lt, by, inf));
    let (usual, divides) = (b.raw2(Op::And, finite, by_finite), b.raw2(Op::Ne, y, zero));
    let usual = b.raw2(Op::And, usual, divides);
    b.select(usual, whole, odd)
}
