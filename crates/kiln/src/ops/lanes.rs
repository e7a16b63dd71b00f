//! Meanings over rows: what the block engine runs, made from the same closures as everything else.
//!
//! The one idea: a row of the op table says what happens to scalars; here that closure stands in a loop over bytes that are
//! read and written as scalars, simple enough that the compiler makes vector code of the simple ones. To add a type: a
//! line in `lanes!`. This file knows no operation.

use super::words::{Float as _, Word};
use crate::run::fused::{Work, widest};
use crate::types::Type;
use std::marker::PhantomData;

/// What an operation does to rows of up to three operands: result, then operands, each as bytes of rows one behind the
/// other. Absent operands are empty; as many rows are computed as all others have.
pub(crate) type RowsMeaning = fn(out: &mut [u8], a: &[u8], b: &[u8], c: &[u8]);

/// A scalar as it stands in a column.
pub(crate) trait Lane: Word {
    /// Its bytes.
    type Bytes: Copy;
    fn all(bytes: &[u8]) -> &[Self::Bytes];
    fn all_mut(bytes: &mut [u8]) -> &mut [Self::Bytes];
    fn get(bytes: Self::Bytes) -> Self;
    fn put(self) -> Self::Bytes;
}

macro_rules! lanes {
    ($($t:ty: $size:literal, |$b:ident| $get:expr, |$v:ident| $put:expr;)*) => {$(
        impl Lane for $t {
            type Bytes = [u8; $size];
            #[inline]
            fn all(bytes: &[u8]) -> &[[u8; $size]] { bytes.as_chunks().0 }
            #[inline]
            fn all_mut(bytes: &mut [u8]) -> &mut [[u8; $size]] { bytes.as_chunks_mut().0 }
            #[inline]
            fn get($b: [u8; $size]) -> $t { $get }
            #[inline]
            fn put(self) -> [u8; $size] { let $v = self; $put }
        }
    )*};
}
lanes! {
    bool: 1, |b| b[0] & 1 != 0, |v| [u8::from(v)];
    i32: 4, |b| i32::from_le_bytes(b), |v| v.to_le_bytes();
    i64: 8, |b| i64::from_le_bytes(b), |v| v.to_le_bytes();
    f32: 4, |b| f32::from_le_bytes(b), |v| v.to_le_bytes();
    f64: 8, |b| f64::from_le_bytes(b), |v| v.to_le_bytes();
}

/// Loops over rows: what runs them, its name as work, operands and their types.
macro_rules! loops {
    ($($run:ident $Loop:ident |$($x:ident: $X:ident),+|;)*) => {$(
        /// What happens to a row, by a processor that multiplies and adds at once and by any, and to which rows.
        struct $Loop<'a, Fused, Plain, $($X,)+ R> {
            $($x: &'a [u8],)+
            fused: Fused,
            plain: Plain,
            types: PhantomData<fn($($X),+) -> R>,
        }

        impl<'a, Fused: Fn($($X),+) -> R, Plain: Fn($($X),+) -> R, $($X: Lane,)+ R: Lane> $Loop<'a, Fused, Plain, $($X,)+ R> {
            #[inline(always)]
            fn run(out: &mut [u8], $($x: &'a [u8],)+ f: impl Fn($($X),+) -> R) {
                let out = R::all_mut(out);
                $(let $x = $X::all($x);)+
                let count = out.len()$(.min($x.len()))+;
                let ($($x,)+ out) = ($(&$x[..count],)+ &mut out[..count]);
                // By numbers, as it is clear then to the compiler that no row is outside, and all of them go in vectors.
                for row in 0..count {
                    out[row] = f($($X::get($x[row])),+).put();
                }
            }
        }

        impl<Fused: Fn($($X),+) -> R, Plain: Fn($($X),+) -> R, $($X: Lane,)+ R: Lane> Work for $Loop<'_, Fused, Plain, $($X,)+ R> {
            #[inline(always)]
            fn fused(self, out: &mut [u8]) {
                Self::run(out, $(self.$x,)+ self.fused);
            }
            #[inline(always)]
            fn plain(self, out: &mut [u8]) {
                Self::run(out, $(self.$x,)+ self.plain);
            }
        }

        /// Runs `f` over rows.
        #[inline(always)]
        pub(super) fn $run<$($X: Lane,)+ R: Lane>(out: &mut [u8], $($x: &[u8],)+ f: impl Fn($($X),+) -> R + Copy) {
            widest(out, $Loop { $($x,)+ fused: f, plain: f, types: PhantomData });
        }
    )*};
}
loops! {
    rows1 Loop1 |a: A|;
    rows2 Loop2 |a: A, b: B|;
    rows3 Loop3 |a: A, b: B, c: C|;
}

/// `a * b + c`, or `a * b - c`, with one rounding, by the instruction where there is one.
pub(crate) fn fma_rows(ty: Type, subtracts: bool) -> RowsMeaning {
    macro_rules! fma {
        ($t:ident $($sign:tt)?) => {
            |out, a, b, c| {
                let fused = |a: $t, b: $t, c: $t| a.mul_add(b, $($sign)? c);
                let plain = |a: $t, b: $t, c: $t| a.fma_(b, $($sign)? c);
                widest(out, Loop3 { a, b, c, fused, plain, types: PhantomData });
            }
        };
    }
    match (ty, subtracts) {
        (Type::F32, false) => fma!(f32),
        (Type::F32, true) => fma!(f32 -),
        (_, false) => fma!(f64),
        (_, true) => fma!(f64 -),
    }
}
