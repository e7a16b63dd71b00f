//! Operations of IEEE 754 that neither Rust nor a processor is sure to have: rounding to whole numbers, multiplying and adding
//! at once, remainders, scaling.
//!
//! The one idea: each is exact by construction, from additions that round to nearest or from whole numbers, and calls no
//! library, so that a meaning gives the same bits everywhere. What stands in loops over rows has no branches, where that
//! is possible: the compiler makes vector code of it for any processor.
//!
//! To add an operation: a line in [`Exact`], its body for both types in `exact!`, a row in the tests, which compare with
//! another implementation. `sqrt` is not here: it is one instruction wherever Kiln runs. This file knows no word and no node.

#![forbid(unsafe_code)]

/// Exact operations on floats.
pub(crate) trait Exact: Copy {
    /// To the nearest whole number, ties to even.
    fn rint(x: Self) -> Self;
    /// To a whole number, down.
    fn floor(x: Self) -> Self;
    /// To a whole number, up.
    fn ceil(x: Self) -> Self;
    /// To a whole number, toward zero.
    fn trunc(x: Self) -> Self;
    /// To the nearest whole number, ties away from zero.
    fn round(x: Self) -> Self;
    /// `a * b + c`, rounded once.
    fn fma(a: Self, b: Self, c: Self) -> Self;
    /// What a whole number of `y` leaves of `x`, with the sign of `x`. NaN of an infinite `x` and for a zero `y`.
    fn remainder(x: Self, y: Self) -> Self;
}

macro_rules! exact {
    ($($t:ident $bits:ident $wide:ident: $whole:literal, $mantissa:literal, $step:literal, $fma:path;)*) => {$(
        impl Exact for $t {
            #[inline(always)]
            fn rint(x: $t) -> $t {
                // From `whole` on all numbers are whole, and below it the sum is rounded to one.
                let size = x.abs();
                let near = (size + $whole) - $whole;
                if size < $whole { near.copysign(x) } else { x }
            }
            #[inline(always)]
            fn floor(x: $t) -> $t {
                let near = <$t as Exact>::rint(x);
                near - if near > x { 1.0 } else { 0.0 }
            }
            #[inline(always)]
            fn ceil(x: $t) -> $t { -<$t as Exact>::floor(-x) }
            #[inline(always)]
            fn trunc(x: $t) -> $t { <$t as Exact>::floor(x.abs()).copysign(x) }
            #[inline(always)]
            fn round(x: $t) -> $t {
                let size = x.abs();
                let below = <$t as Exact>::floor(size);
                (below + if size - below >= 0.5 { 1.0 } else { 0.0 }).copysign(x)
            }
            #[inline(always)]
            fn fma(a: $t, b: $t, c: $t) -> $t { $fma(a, b, c) }
            fn remainder(x: $t, y: $t) -> $t {
                const ONE: $bits = 1 << $mantissa;
                const INFINITE: $bits = $t::INFINITY.to_bits();
                let sign = x.to_bits() & !($bits::MAX >> 1);
                let (size_x, size_y) = (x.to_bits() ^ sign, y.to_bits() & ($bits::MAX >> 1));
                if size_x >= INFINITE || size_y == 0 || size_y > INFINITE {
                    return $t::NAN;
                }
                if size_x < size_y {
                    return x;
                }
                // As whole numbers times powers of two, of which that of zero and the smallest ones are the same.
                let parts = |size: $bits| match size >> $mantissa {
                    0 => (size, 1),
                    exponent => (size & (ONE - 1) | ONE, exponent as u32),
                };
                let ((mut rest, from), (by, to)) = (parts(size_x), parts(size_y));
                rest %= by;
                let mut left = from - to;
                while left != 0 && rest != 0 {
                    let count = left.min($step);
                    rest = (((rest as $wide) << count) % by as $wide) as $bits;
                    left -= count;
                }
                if rest == 0 {
                    return $t::from_bits(sign);
                }
                // Back to a float: the leading one in its place, as far as the exponent goes.
                let up = (rest.leading_zeros() - ONE.leading_zeros()).min(to - 1);
                $t::from_bits(sign | ((to - 1 - up) as $bits * ONE + (rest << up)))
            }
        }
    )*};
}
exact! {
    f32 u32 u64: 8388608.0, 23, 40, fma_f32;
    f64 u64 u128: 4503599627370496.0, 52, 64, fma_f64;
}

/// `high + low`, of which `low` is what rounding has taken from `high`: of the two numbers around it the one whose last bit is set,
/// unless it is a number. Rounding that once more, to at least two bits fewer, is rounding the sum once.
#[inline]
fn to_odd(high: f64, low: f64) -> f64 {
    let bits = high.to_bits();
    // An infinity or NaN leaves NaN, which is on neither side.
    let step = if (low > 0.0) == (high > 0.0) { 1 } else { u64::MAX };
    let inexact = (low > 0.0) | (low < 0.0);
    f64::from_bits(if inexact & (bits & 1 == 0) { bits.wrapping_add(step) } else { bits })
}

/// `a + b`, and what rounding has taken from it (Knuth).
#[inline]
fn exact_sum(a: f64, b: f64) -> (f64, f64) {
    let high = a + b;
    let of_b = high - a;
    let of_a = high - of_b;
    (high, (a - of_a) + (b - of_b))
}

/// The product of two `f32` is a `f64`; the sum is rounded to odd, and then to `f32`.
#[inline]
fn fma_f32(a: f32, b: f32, c: f32) -> f32 {
    let (high, low) = exact_sum(f64::from(a) * f64::from(b), f64::from(c));
    to_odd(high, low) as f32
}

/// `a * b` and what rounding has taken from it, where nothing overflows or underflows (Dekker).
#[inline]
fn exact_product(a: f64, b: f64) -> (f64, f64) {
    let split = |x: f64| {
        let scaled = x * 134217729.0;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    let high = a * b;
    (high, a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low))
}

/// By sums that keep what they lose (Boldo and Melquiond, Emulation of a FMA and correctly rounded sums, IEEE Transactions on
/// Computers 57, 2008) where all is of a usual size, else by whole numbers.
#[inline]
fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    // From 2^-400 to 2^400.
    let is_usual = |x: f64| (x.to_bits() >> 52 & 0x7ff).wrapping_sub(1023 - 400) <= 800;
    if !(is_usual(a) && is_usual(b) && (is_usual(c) || c == 0.0)) {
        return fma_whole(a, b, c);
    }
    let (product, product_low) = exact_product(a, b);
    let (sum, sum_low) = exact_sum(c, product_low);
    let (high, high_low) = exact_sum(product, sum);
    let (low, low_low) = exact_sum(sum_low, high_low);
    high + to_odd(low, low_low)
}

/// The size of a finite number: a whole number times a power of two.
fn parts(x: f64) -> (u64, i32) {
    let (mantissa, exponent) = (x.to_bits() & ((1 << 52) - 1), (x.to_bits() >> 52 & 0x7ff) as i32);
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) }
}

/// Shifted to the right, by at most 127 bits or all; the last bit is set if any were lost.
fn shift_to_odd(x: u128, count: u32) -> u128 {
    if count > 127 {
        return u128::from(x != 0);
    }
    x >> count | u128::from(x << 1 << (127 - count) != 0)
}

/// The float nearest to `size * 2^exponent`, ties to even, with a sign.
fn nearest(negative: bool, size: u128, exponent: i32) -> f64 {
    if size == 0 {
        return if negative { -0.0 } else { 0.0 };
    }
    // One bit below the last, and one for all that follow.
    let top = 127 - size.leading_zeros() as i32 + exponent;
    let unit = (top - 52).max(-1074);
    let cut = unit - 2 - exponent;
    let cut = if cut < 0 { size << -cut } else { shift_to_odd(size, cut as u32) } as u64;
    let whole = (cut >> 2) + u64::from(cut & 3 > 2 - (cut >> 2 & 1));
    let bits = ((i64::from(unit) + 1074) as u64) << 52;
    // What the leading one adds is the difference to the exponent of the smallest numbers.
    let bits = if unit > 971 { f64::INFINITY.to_bits() } else { bits + whole };
    f64::from_bits(bits | u64::from(negative) << 63)
}

/// The same of any numbers.
#[cold]
fn fma_whole(a: f64, b: f64, c: f64) -> f64 {
    // Where the product is zero, infinite or NaN, or the sum is not finite anyway.
    if !a.is_finite() || !b.is_finite() || !c.is_finite() || a == 0.0 || b == 0.0 {
        return if a.is_finite() && b.is_finite() && !c.is_finite() { c } else { a * b + c };
    }
    let ((a_size, a_exponent), (b_size, b_exponent), (c_size, c_exponent)) = (parts(a), parts(b), parts(c));
    let negative = a.is_sign_negative() != b.is_sign_negative();
    // Both with the leading one below the uppermost bit: there are zeros below the product's last bit.
    let level = |size: u128, exponent: i32, negative: bool| {
        let up = size.leading_zeros() as i32 - 1;
        (size << up, exponent - up, negative)
    };
    let product = level(u128::from(a_size) * u128::from(b_size), a_exponent + b_exponent, negative);
    if c_size == 0 {
        return nearest(negative, product.0, product.1);
    }
    let sum = level(u128::from(c_size), c_exponent, c.is_sign_negative());
    let (large, small) = if (product.1, product.0) >= (sum.1, sum.0) { (product, sum) } else { (sum, product) };
    // What is cut off is below all bits of the larger one, and of a difference too: that loses at most one bit then.
    let part = shift_to_odd(small.0, (large.1 - small.1) as u32);
    if large.2 == small.2 {
        nearest(large.2, large.0 + part, large.1)
    } else if large.0 == part {
        0.0
    } else {
        nearest(large.2, large.0 - part, large.1)
    }
}

/// The exponent of two that a finite number other than zero has.
pub(crate) fn exponent(x: f64) -> i32 {
    let (size, exponent) = parts(x);
    63 - size.leading_zeros() as i32 + exponent
}

/// `x * 2^n`, rounded once.
pub(crate) fn scale(x: f64, n: i32) -> f64 {
    if !x.is_finite() {
        return x;
    }
    // Beyond 2200 in size nothing but zero and infinity is left of any number.
    let (size, exponent) = parts(x);
    nearest(x.is_sign_negative(), u128::from(size), exponent + n.clamp(-2200, 2200))
}

#[cfg(test)]
mod tests;
