//! Values as 64-bit words, and the arithmetic that Rust has no single exact method for.
//!
//! Owns the conversion between native scalars and the words that meanings take and give, and the helpers by which the
//! rows of the op table are written. Every float helper is exact and plain Rust (`ops::exact`): nothing here reaches a
//! library, so that folding, interpreting and calling a meaning give the same bits everywhere.

use super::exact::Exact;

/// A scalar that travels as a zero-extended 64-bit word.
pub(crate) trait Word: Copy {
    fn from_word(word: u64) -> Self;
    fn to_word(self) -> u64;
}

macro_rules! word {
    ($($t:ty: |$w:ident| $from:expr, |$v:ident| $to:expr;)*) => {$(
        impl Word for $t {
            #[inline]
            fn from_word($w: u64) -> Self { $from }
            #[inline]
            fn to_word(self) -> u64 { let $v = self; $to }
        }
    )*};
}
word! {
    bool: |w| w & 1 != 0, |v| u64::from(v);
    i8: |w| w as i8, |v| u64::from(v as u8);
    i32: |w| w as i32, |v| u64::from(v as u32);
    i64: |w| w as i64, |v| v as u64;
    u64: |w| w, |v| v;
    f32: |w| f32::from_bits(w as u32), |v| u64::from(v.to_bits());
    f64: |w| f64::from_bits(w), |v| v.to_bits();
}

/// Integer operations with the language's total semantics: they wrap, and nothing divides by zero.
pub(crate) trait Int: Word {
    fn shift_left(self, count: Self) -> Self;
    fn shift_right(self, count: Self) -> Self;
    fn shift_right_logical(self, count: Self) -> Self;
    fn population(self) -> Self;
    /// The entry with this number, modulo the length, of a table.
    fn lookup(self, table: Self) -> Self;
    /// Quotient toward minus infinity; by zero 0, MIN // -1 = MIN.
    fn floor_div(self, divisor: Self) -> Self;
    /// Remainder with the divisor's sign; by zero 0.
    fn floor_mod(self, divisor: Self) -> Self;
    /// Quotient toward zero; by zero 0, MIN / -1 = MIN.
    fn trunc_div(self, divisor: Self) -> Self;
    /// Remainder with the dividend's sign; by zero 0.
    fn trunc_rem(self, divisor: Self) -> Self;
    /// Wrapping power; a negative exponent gives the truncated quotient of 1 by the power.
    fn power(self, exponent: Self) -> Self;
    /// Does the exact power lie outside the type?
    fn power_overflows(self, exponent: Self) -> bool;
}

macro_rules! int {
    ($($t:ident / $u:ident),*) => {$(
        impl Int for $t {
            #[inline]
            fn lookup(self, table: Self) -> Self { super::tables::lookup(self as i64, table as i64) as $t }
            #[inline]
            fn shift_left(self, count: Self) -> Self { self.wrapping_shl(count as u32) }
            #[inline]
            fn shift_right(self, count: Self) -> Self { self.wrapping_shr(count as u32) }
            #[inline]
            fn shift_right_logical(self, count: Self) -> Self { (self as $u).wrapping_shr(count as u32) as $t }
            #[inline]
            fn population(self) -> Self { self.count_ones() as $t }
            #[inline]
            fn floor_div(self, divisor: Self) -> Self {
                let quotient = self.trunc_div(divisor);
                let inexact = self.trunc_rem(divisor) != 0;
                quotient.wrapping_sub((inexact && (self < 0) != (divisor < 0)) as $t)
            }
            #[inline]
            fn floor_mod(self, divisor: Self) -> Self {
                let rest = self.trunc_rem(divisor);
                if rest != 0 && (rest < 0) != (divisor < 0) { rest.wrapping_add(divisor) } else { rest }
            }
            #[inline]
            fn trunc_div(self, divisor: Self) -> Self {
                if divisor == 0 { 0 } else { self.wrapping_div(divisor) }
            }
            #[inline]
            fn trunc_rem(self, divisor: Self) -> Self {
                if divisor == 0 { 0 } else { self.wrapping_rem(divisor) }
            }
            fn power(self, exponent: Self) -> Self {
                if exponent < 0 {
                    return match self {
                        1 => 1,
                        -1 if exponent & 1 == 0 => 1,
                        -1 => -1,
                        _ => 0,
                    };
                }
                let (mut result, mut base, mut left) = (1 as $t, self, exponent);
                while left != 0 {
                    if left & 1 != 0 { result = result.wrapping_mul(base); }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                result
            }
            fn power_overflows(self, exponent: Self) -> bool {
                exponent > 0 && match self {
                    -1..=1 => false,
                    _ => exponent >= <$t>::BITS as $t || self.checked_pow(exponent as u32).is_none(),
                }
            }
        }
    )*};
}
int!(i8 / u8, i32 / u32, i64 / u64);

/// IEEE 754 operations beyond `+ - * /`.
pub(crate) trait Float: Word {
    /// One instruction wherever Kiln runs, and correctly rounded.
    fn square_root(self) -> Self;
    fn floor_(self) -> Self;
    fn ceil_(self) -> Self;
    fn trunc_(self) -> Self;
    /// To nearest, ties to even.
    fn rint_(self) -> Self;
    /// To nearest, ties away from zero.
    fn round_(self) -> Self;
    fn fma_(self, factor: Self, addend: Self) -> Self;
    /// IEEE 754-2019 minimum: NaN if either is, -0 below +0.
    fn minimum_(self, other: Self) -> Self;
    /// IEEE 754-2019 maximum.
    fn maximum_(self, other: Self) -> Self;
    /// The smaller operand, ignoring one NaN; -0 below +0.
    fn minimum_number(self, other: Self) -> Self;
    /// The larger operand, ignoring one NaN.
    fn maximum_number(self, other: Self) -> Self;
    /// Truncated remainder, exact.
    fn remainder(self, divisor: Self) -> Self;
    /// `remainder`, plus the divisor where the signs differ; a zero result has the divisor's sign.
    fn floor_mod(self, divisor: Self) -> Self;
    /// The floored quotient that agrees with [`Float::floor_mod`].
    fn floor_div(self, divisor: Self) -> Self;
}

macro_rules! float {
    ($($t:ident)*) => {$(
        impl Float for $t {
            #[inline]
            fn square_root(self) -> Self { self.sqrt() }
            #[inline]
            fn floor_(self) -> Self { Exact::floor(self) }
            #[inline]
            fn ceil_(self) -> Self { Exact::ceil(self) }
            #[inline]
            fn trunc_(self) -> Self { Exact::trunc(self) }
            #[inline]
            fn rint_(self) -> Self { Exact::rint(self) }
            #[inline]
            fn round_(self) -> Self { Exact::round(self) }
            #[inline]
            fn fma_(self, factor: Self, addend: Self) -> Self { Exact::fma(self, factor, addend) }
            #[inline]
            fn minimum_(self, other: Self) -> Self {
                if self.is_nan() || other.is_nan() {
                    <$t>::NAN
                } else if self < other || (self == other && self.is_sign_negative()) {
                    self
                } else {
                    other
                }
            }
            #[inline]
            fn maximum_(self, other: Self) -> Self {
                if self.is_nan() || other.is_nan() {
                    <$t>::NAN
                } else if self > other || (self == other && self.is_sign_positive()) {
                    self
                } else {
                    other
                }
            }
            #[inline]
            fn minimum_number(self, other: Self) -> Self {
                if self.is_nan() { other } else if other.is_nan() { self } else { self.minimum_(other) }
            }
            #[inline]
            fn maximum_number(self, other: Self) -> Self {
                if self.is_nan() { other } else if other.is_nan() { self } else { self.maximum_(other) }
            }
            #[inline]
            fn remainder(self, divisor: Self) -> Self { Exact::remainder(self, divisor) }
            #[inline]
            fn floor_mod(self, divisor: Self) -> Self {
                let rest = self.remainder(divisor);
                if rest == 0.0 {
                    rest.copysign(divisor)
                } else if (rest < 0.0) != (divisor < 0.0) {
                    rest + divisor
                } else {
                    rest
                }
            }
            fn floor_div(self, divisor: Self) -> Self {
                if divisor == 0.0 || !self.is_finite() || !divisor.is_finite() {
                    // The quotient is a zero, an infinity or NaN already, except finite // inf: -1, -0 or 0.
                    let quotient = self / divisor;
                    return if quotient == 0.0 && self != 0.0 && (self < 0.0) != (divisor < 0.0) { -1.0 } else { quotient };
                }
                let rest = self.remainder(divisor);
                let exact = (self - rest) / divisor;
                let exact = if rest != 0.0 && (rest < 0.0) != (divisor < 0.0) { exact - 1.0 } else { exact };
                if exact == 0.0 {
                    return (0.0 as $t).copysign(self / divisor);
                }
                // (self - rest) is rounded, so the quotient is an integer only up to one rounding.
                let floor = exact.floor_();
                if exact - floor > 0.5 { floor + 1.0 } else { floor }
            }
        }
    )*};
}
float! { f32 f64 }
