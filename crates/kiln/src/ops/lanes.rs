//! Meanings over rows: what the block engine runs, made from the same closures as everything else.
//!
//! The one idea: a row of the op table says what happens to scalars; here that closure stands in a loop over bytes that are
//! read and written as scalars, simple enough that the compiler makes vector code of the simple ones. To add a type: a
//! line in `lanes!`. This file knows no operation.

use super::words::Word;

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

/// Runs `f` over the rows of one operand.
#[inline]
pub(super) fn rows1<A: Lane, R: Lane>(out: &mut [u8], a: &[u8], f: impl Fn(A) -> R) {
    for (out, a) in R::all_mut(out).iter_mut().zip(A::all(a)) {
        *out = f(A::get(*a)).put();
    }
}

/// Runs `f` over the rows of two operands.
#[inline]
pub(super) fn rows2<A: Lane, B: Lane, R: Lane>(out: &mut [u8], a: &[u8], b: &[u8], f: impl Fn(A, B) -> R) {
    for ((out, a), b) in R::all_mut(out).iter_mut().zip(A::all(a)).zip(B::all(b)) {
        *out = f(A::get(*a), B::get(*b)).put();
    }
}

/// Runs `f` over the rows of three operands.
#[inline]
pub(super) fn rows3<A: Lane, B: Lane, C: Lane, R: Lane>(
    out: &mut [u8],
    a: &[u8],
    b: &[u8],
    c: &[u8],
    f: impl Fn(A, B, C) -> R,
) {
    for (((out, a), b), c) in R::all_mut(out).iter_mut().zip(A::all(a)).zip(B::all(b)).zip(C::all(c)) {
        *out = f(A::get(*a), B::get(*b), C::get(*c)).put();
    }
}
