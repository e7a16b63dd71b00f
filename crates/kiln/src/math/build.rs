//! How the rows of the function table are built.
//!
//! One function per row, named after it, each from its arguments to a node. What the language's own operators do
//! goes through `unary`, `binary` and `convert`, which check where the options ask for it; the rest is `raw_*`.
//! Ints arrive here only in rows whose class lets them.

#![forbid(unsafe_code)]

use super::calls::{self, IntRoutine, Routine};
use crate::ir::build::Builder;
use crate::ir::{Ref, TrapKind};
use crate::ops::Op;
use crate::types::{Type, Value};

/// The constant of type `ty` nearest to `value`.
fn constant(b: &mut Builder, ty: Type, value: f64) -> Ref {
    b.constant(if ty == Type::F32 { Value::F32(value as f32) } else { Value::F64(value) })
}

fn is_float(b: &Builder, x: Ref) -> bool {
    b.ty(x).is_float()
}

/// `a < b`, `a <= b`, `a == b` as bools.
fn less(b: &mut Builder, x: Ref, y: Ref) -> Ref {
    b.raw2(Op::Lt, x, y)
}

/// Calls a routine at the type of the first argument.
pub(super) fn call(b: &mut Builder, routine: &Routine, args: &[Ref]) -> Ref {
    let ty = args.first().map_or(Type::F64, |&x| b.ty(x));
    let narrow = ty == Type::F32;
    let meaning = if narrow { routine.narrow } else { routine.wide };
    b.call_builtin(routine.name, ty, meaning, routine.kernels.map(|kernels| kernels[usize::from(narrow)]), args)
}

/// Calls a routine of ints, with its check if the options ask for it.
fn call_int(b: &mut Builder, routine: &IntRoutine, x: Ref, y: Ref) -> Ref {
    let ty = b.ty(x);
    let narrow = ty == Type::I32;
    if b.options.checked {
        let overflows = if narrow { routine.narrow_overflows } else { routine.wide_overflows };
        let name = routine.overflow_names[usize::from(narrow)];
        let bad = b.call_builtin(name, Type::Bool, overflows, None, &[x, y]);
        b.trap(bad, TrapKind::Overflow);
    }
    b.call_builtin(routine.name, ty, if narrow { routine.narrow } else { routine.wide }, None, &[x, y])
}

macro_rules! rows {
    ($($name:ident($b:ident, $($arg:ident),+) $body:expr;)*) => {$(
        pub(super) fn $name($b: &mut Builder, args: &[Ref]) -> Ref {
            // The checker has counted the arguments.
            let &[$($arg),+] = args else { return Ref::NONE };
            $body
        }
    )*};
}

/// An operation on floats that leaves ints as they are.
macro_rules! rounding {
    ($($name:ident $op:ident;)*) => { rows! { $($name(b, x) if is_float(b, x) { b.raw1(Op::$op, x) } else { x };)* } };
}
rounding! { floor Floor; ceil Ceil; trunc Trunc; rint Rint; }

macro_rules! binaries {
    ($($name:ident $op:ident;)*) => { rows! { $($name(b, x, y) b.binary(Op::$op, x, y);)* } };
}
binaries! { xor Xor; shl Shl; shr Shr; fmod TruncRem; rem TruncRem; modulo FloorMod; }

macro_rules! routines {
    ($($name:ident $routine:ident;)*) => {$(
        pub(super) fn $name(b: &mut Builder, args: &[Ref]) -> Ref {
            call(b, &calls::$routine, args)
        }
    )*};
}
routines! {
    cbrt CBRT; exp EXP; exp2 EXP2; exp10 EXP10; expm1 EXPM1; ln LOG; log2 LOG2; log10 LOG10; log1p LOG1P;
    sin SIN; cos COS; tan TAN; asin ASIN; acos ACOS; atan ATAN; atan2 ATAN2; sinpi SINPI; cospi COSPI;
    sinh SINH; cosh COSH; tanh TANH; asinh ASINH; acosh ACOSH; atanh ATANH;
    erf ERF; erfc ERFC; gamma GAMMA; lgamma LGAMMA;
}

rows! {
    abs(b, x) b.unary(Op::Abs, x);
    sqrt(b, x) b.raw1(Op::Sqrt, x);
    popcount(b, x) b.raw1(Op::Popcount, x);
    fma(b, x, y, z) b.raw3(Op::Fma, x, y, z);
    choose(b, c, x, y) b.select(c, x, y);
    to_f64(b, x) b.convert(x, Type::F64);
    to_f32(b, x) b.convert(x, Type::F32);
    to_i64(b, x) b.convert(x, Type::I64);
    to_i32(b, x) b.convert(x, Type::I32);
    to_bool(b, x) b.convert(x, Type::Bool);

    // One more or one less in the bits, which count numbers by their size; from zero, the smallest.
    nextafter(b, x, y) {
        let ty = b.ty(x);
        let ints = if ty == Type::F32 { Type::I32 } else { Type::I64 };
        let (up, down, equal) = (less(b, x, y), less(b, y, x), b.raw2(Op::Eq, x, y));
        let (zero, one, minus_one) = (b.small(ints, 0), b.small(ints, 1), b.small(ints, -1));
        let bits = b.bitcast(x, ints);
        let negative = less(b, bits, zero);
        let grows = b.raw2(Op::Xor, up, negative);
        let step = b.select(grows, one, minus_one);
        let next = b.raw2(Op::Add, bits, step);
        let (next, least) = (b.bitcast(next, ty), b.bitcast(one, ty));
        let (least, zero) = (b.raw2(Op::Copysign, least, y), b.small(ty, 0));
        let from_zero = b.raw2(Op::Eq, x, zero);
        let next = b.select(from_zero, least, next);
        let (ordered, nan) = (b.raw2(Op::Or, up, down), b.raw2(Op::Add, x, y));
        let rest = b.select(equal, y, nan);
        b.select(ordered, next, rest)
    };
    // Powers of two as factors; the last of them is as large as can be, so that what comes before it is inexact only
    // where the result is a zero. An f32 becomes an f64, in which one factor is exact.
    ldexp(b, x, n) {
        let ty = b.ty(x);
        let wide = b.raw_convert(x, Type::F64);
        let part = |b: &mut Builder, n: Ref, least: i32, most: i32| {
            let (least, most) = (b.small(Type::I64, least), b.small(Type::I64, most));
            let n = b.raw2(Op::Max, n, least);
            b.raw2(Op::Min, n, most)
        };
        let times = |b: &mut Builder, x: Ref, n: Ref| {
            let (bias, place) = (b.small(Type::I64, 1023), b.small(Type::I64, 52));
            let exponent = b.raw2(Op::Add, n, bias);
            let bits = b.raw2(Op::Shl, exponent, place);
            let power = b.bitcast(bits, Type::F64);
            b.raw2(Op::Mul, x, power)
        };
        let scaled = if ty == Type::F32 {
            let n = part(b, n, -300, 300);
            times(b, wide, n)
        } else {
            let n = part(b, n, -3 * 1022, 3 * 1023);
            let last = part(b, n, -1022, 1023);
            let rest = b.raw2(Op::Sub, n, last);
            let second = part(b, rest, -1022, 1023);
            let first = b.raw2(Op::Sub, rest, second);
            let scaled = times(b, wide, first);
            let scaled = times(b, scaled, second);
            times(b, scaled, last)
        };
        b.raw_convert(scaled, ty)
    };
    recip(b, x) {
        let one = b.small(b.ty(x), 1);
        b.raw2(Op::Div, one, x)
    };
    sign(b, x) {
        let ty = b.ty(x);
        let (zero, one) = (b.small(ty, 0), b.small(ty, 1));
        if ty.is_float() {
            let size = b.raw1(Op::Abs, x);
            let (unit, positive) = (b.raw2(Op::Copysign, one, x), less(b, zero, size));
            b.select(positive, unit, x)
        } else {
            let minus_one = b.small(ty, -1);
            let (negative, positive) = (less(b, x, zero), less(b, zero, x));
            let rest = b.select(positive, one, zero);
            b.select(negative, minus_one, rest)
        }
    };
    // The sign of a NaN is unspecified, and must not become visible as the sign of a number.
    copysign(b, x, y) {
        let zero = b.small(b.ty(y), 0);
        let ordered = b.raw2(Op::Eq, y, y);
        let y = b.select(ordered, y, zero);
        b.raw2(Op::Copysign, x, y)
    };
    signbit(b, x) {
        let ty = b.ty(x);
        let bits = match ty {
            Type::F64 => b.bitcast(x, Type::I64),
            Type::F32 => b.bitcast(x, Type::I32),
            _ => x,
        };
        let zero = b.small(b.ty(bits), 0);
        let negative = less(b, bits, zero);
        if ty.is_float() {
            let ordered = b.raw2(Op::Eq, x, x);
            b.raw2(Op::And, negative, ordered)
        } else {
            negative
        }
    };
    fmin(b, x, y) if is_float(b, x) { b.raw2(Op::Fmin, x, y) } else { b.raw2(Op::Min, x, y) };
    fmax(b, x, y) if is_float(b, x) { b.raw2(Op::Fmax, x, y) } else { b.raw2(Op::Max, x, y) };
    clamp(b, x, low, high) {
        let x = b.raw2(Op::Max, x, low);
        b.raw2(Op::Min, x, high)
    };
    // The sign is that of x, as for fmod(x, 1): -0 for whole negative numbers, NaN for infinities.
    frac(b, x) if is_float(b, x) {
        let whole = b.raw1(Op::Trunc, x);
        let rest = b.raw2(Op::Sub, x, whole);
        b.raw2(Op::Copysign, rest, x)
    } else {
        b.small(b.ty(x), 0)
    };
    // For floats: the rounded quotient, one less where rounding carried it to the next whole number. The residue's
    // sign is exact, since it is a multiple of the smallest subnormal.
    div(b, x, y) if is_float(b, x) {
        let ty = b.ty(x);
        let quotient = b.raw2(Op::Div, x, y);
        let (whole, size_x, size_y) = (b.raw1(Op::Trunc, quotient), b.raw1(Op::Abs, x), b.raw1(Op::Abs, y));
        let (whole, minus_x) = (b.raw1(Op::Abs, whole), b.raw1(Op::Neg, size_x));
        let excess = b.raw3(Op::Fma, whole, size_y, minus_x);
        let (zero, one) = (b.small(ty, 0), b.small(ty, 1));
        let (carried, below) = (less(b, zero, excess), b.raw2(Op::Sub, whole, one));
        let size = b.select(carried, below, whole);
        b.raw2(Op::Copysign, size, quotient)
    } else {
        b.binary(Op::TruncDiv, x, y)
    };
    deg2rad(b, x) {
        let factor = constant(b, b.ty(x), std::f64::consts::PI / 180.0);
        b.raw2(Op::Mul, x, factor)
    };
    rad2deg(b, x) {
        let factor = constant(b, b.ty(x), 180.0 / std::f64::consts::PI);
        b.raw2(Op::Mul, x, factor)
    };
    fact(b, n) {
        let n = b.raw_convert(n, Type::F64);
        call(b, &calls::FACT, &[n])
    };
    pow(b, x, y) b.power(x, y);
    gcd(b, x, y) call_int(b, &calls::GCD, x, y);
    lcm(b, x, y) call_int(b, &calls::LCM, x, y);
    lerp(b, x, y, t) {
        let span = b.raw2(Op::Sub, y, x);
        let part = b.raw2(Op::Mul, span, t);
        b.raw2(Op::Add, x, part)
    };
    // A NaN on either side is a NaN, not a step.
    step(b, edge, x) {
        let ty = b.ty(x);
        let (zero, one) = (b.small(ty, 0), b.small(ty, 1));
        let (below, above) = (less(b, x, edge), b.raw2(Op::Le, edge, x));
        let rest = if ty.is_float() { b.raw2(Op::Add, x, edge) } else { zero };
        let rest = b.select(above, one, rest);
        b.select(below, zero, rest)
    };
    smoothstep(b, from, to, x) {
        let ty = b.ty(x);
        let (done, span) = (b.raw2(Op::Sub, x, from), b.raw2(Op::Sub, to, from));
        let (zero, one, two, three) = (b.small(ty, 0), b.small(ty, 1), b.small(ty, 2), b.small(ty, 3));
        let t = b.raw2(Op::Div, done, span);
        let t = clamp(b, &[t, zero, one]);
        let (square, twice) = (b.raw2(Op::Mul, t, t), b.raw2(Op::Mul, two, t));
        let rest = b.raw2(Op::Sub, three, twice);
        b.raw2(Op::Mul, square, rest)
    };
    isnan(b, x) if is_float(b, x) { b.raw2(Op::Ne, x, x) } else { b.small(Type::Bool, 0) };
    isinf(b, x) if is_float(b, x) {
        let (size, inf) = (b.raw1(Op::Abs, x), constant(b, b.ty(x), f64::INFINITY));
        b.raw2(Op::Eq, size, inf)
    } else {
        b.small(Type::Bool, 0)
    };
    isfinite(b, x) if is_float(b, x) {
        let (size, inf) = (b.raw1(Op::Abs, x), constant(b, b.ty(x), f64::INFINITY));
        less(b, size, inf)
    } else {
        b.small(Type::Bool, 1)
    };
    // Equal infinities are close, an infinity and a number are not: the bare formula says neither.
    isclose(b, x, y) {
        let ty = b.ty(x);
        let difference = b.raw2(Op::Sub, x, y);
        let difference = b.raw1(Op::Abs, difference);
        let (size_x, size_y) = (b.raw1(Op::Abs, x), b.raw1(Op::Abs, y));
        let (size, relative) = (b.raw2(Op::Max, size_x, size_y), constant(b, ty, 1e-9));
        let tolerance = b.raw2(Op::Mul, size, relative);
        let inf = constant(b, ty, f64::INFINITY);
        let (near, finite) = (b.raw2(Op::Le, difference, tolerance), less(b, difference, inf));
        let (near, equal) = (b.raw2(Op::And, near, finite), b.raw2(Op::Eq, x, y));
        b.raw2(Op::Or, near, equal)
    };
}

/// Folds any number of arguments from the left.
fn fold(b: &mut Builder, op: Op, args: &[Ref]) -> Ref {
    let mut args = args.iter().copied();
    let Some(first) = args.next() else { return Ref::NONE };
    args.fold(first, |x, y| b.raw2(op, x, y))
}

pub(super) fn min(b: &mut Builder, args: &[Ref]) -> Ref {
    fold(b, Op::Min, args)
}

pub(super) fn max(b: &mut Builder, args: &[Ref]) -> Ref {
    fold(b, Op::Max, args)
}

pub(super) fn round(b: &mut Builder, args: &[Ref]) -> Ref {
    match *args {
        [x] if is_float(b, x) => b.raw1(Op::Round, x),
        [x, _] if is_float(b, x) => call(b, &calls::ROUND_DIGITS, args),
        [x, digits] => call_int(b, &calls::ROUND_INT, x, digits),
        [x, ..] => x,
        [] => Ref::NONE,
    }
}

pub(super) fn log(b: &mut Builder, args: &[Ref]) -> Ref {
    call(b, if args.len() == 2 { &calls::LOG_BASE } else { &calls::LOG }, args)
}

/// Two at a time, or three; more are folded three by three.
pub(super) fn hypot(b: &mut Builder, args: &[Ref]) -> Ref {
    match *args {
        [] => Ref::NONE,
        [x] => b.raw1(Op::Abs, x),
        [_, _] => call(b, &calls::HYPOT, args),
        [x, y, z] => call(b, &calls::HYPOT3, &[x, y, z]),
        [x, y, z, ref rest @ ..] => rest.chunks(2).fold(call(b, &calls::HYPOT3, &[x, y, z]), |sum, next| {
            let (mut parts, count) = ([sum; 3], next.len());
            parts[1..=count].copy_from_slice(next);
            hypot(b, &parts[..=count])
        }),
    }
}
