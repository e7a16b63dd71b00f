//! How the rows of the function table are built.
//!
//! One function per row, named after it, each from its arguments to a node. What the language's own operators do
//! goes through `unary`, `binary` and `convert`, which check where the options ask for it; the rest is `raw_*`.
//! Ints arrive here only in rows whose class lets them.

#![forbid(unsafe_code)]

use crate::ir::Ref;
use crate::ir::build::Builder;
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
binaries! { xor Xor; shl Shl; shr Shr; }

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
