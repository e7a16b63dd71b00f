//! Powers: `x ^ y` in all its forms.
//!
//! A literal exponent is worth more than a call. Whole ones up to [`LONGEST`] become products, by squaring from the
//! exponent's top bit down, so that every power on the way is at most half the exponent until the last two products.
//! The float chain carries each product's exact rounding error along (`fma(a, b, -a*b)`), and adds it once, at the
//! end: at most 0.51 ULP, where plain products err by 1.2 at `x^3` already and by 30 at `x^64`.
//!
//! Where the true power over- or underflows, the errors are NaN or nothing; the product alone is right there, and is
//! chosen. A negative power takes the reciprocal *first*, as a sum of two doubles: taken last, it would turn a power
//! that overflows into 0 although its reciprocal is a subnormal number. A result that is subnormal needs
//! `|x| < 2^-16` (or the reciprocal of that), which makes the rounding of the last but one product irrelevant.
//!
//! A change here must pass the test against 128-bit arithmetic, over all exponents and the whole range of bases.

#![forbid(unsafe_code)]

use super::build;
use super::calls;
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ops::Op;
use crate::types::{Type, Value};

/// The largest exponent that becomes products.
const LONGEST: u32 = 64;

/// A value as the sum of a double and its correction, if there is one.
#[derive(Clone, Copy)]
struct Sum {
    high: Ref,
    low: Option<Ref>,
}

impl Builder {
    /// `x ^ y` for operands of one type, ints (checked if the options say so) or floats.
    pub(crate) fn power(&mut self, x: Ref, y: Ref) -> Ref {
        if self.ty(x).is_int() { self.binary(Op::Power, x, y) } else { build::call(self, &calls::POW, &[x, y]) }
    }

    /// `x ^ exponent` for an int `x` and a literal that fits its type, which the checker knows not to be negative.
    pub(crate) fn power_int_literal(&mut self, x: Ref, exponent: i64) -> Ref {
        let ty = self.ty(x);
        match u32::try_from(exponent) {
            Ok(0) => self.small(ty, 1),
            // Powers on the way are smaller than the last, so none overflows alone.
            Ok(n) if n <= LONGEST => chain(self, x, n, |b, x, y| b.binary(Op::Mul, x, y)),
            _ => {
                let y = self.const_bits(ty, Value::I64(exponent).to_bits() & if ty == Type::I32 { 0xffff_ffff } else { !0 });
                self.power(x, y)
            }
        }
    }

    /// `x ^ exponent` for a float `x` and an exponent that is a literal in the formula.
    pub(crate) fn power_literal(&mut self, x: Ref, exponent: f64) -> Ref {
        let ty = self.ty(x);
        let one = self.small(ty, 1);
        if exponent == 0.0 {
            return one;
        } else if exponent == 1.0 {
            return x;
        } else if exponent == 2.0 {
            return self.raw2(Op::Mul, x, x);
        } else if exponent == -1.0 {
            return self.raw2(Op::Div, one, x);
        } else if exponent == 0.5 {
            return self.power_half(x);
        }
        let size = exponent.abs();
        if size > f64::from(LONGEST) || size != f64::from(size as u32) {
            let y = self.constant(if ty == Type::F32 { Value::F32(exponent as f32) } else { Value::F64(exponent) });
            return self.power(x, y);
        }
        let (n, negative) = (size as u32, exponent < 0.0);
        let product = |b: &mut Builder, x, y| b.raw2(Op::Mul, x, y);
        if ty == Type::F32 {
            // In f64 even 64 factors leave 23 spare bits, and its range is that of f32 to the power 8: where a product
            // is lost, so is the result.
            let wide = self.raw_convert(x, Type::F64);
            let power = chain(self, wide, n, product);
            let result = if negative { self.reciprocal(power) } else { power };
            return self.raw_convert(result, Type::F32);
        }
        if self.options.fast {
            let power = chain(self, x, n, product);
            return if negative { self.reciprocal(power) } else { power };
        }
        let base = if negative { self.reciprocal_sum(x) } else { Sum { high: x, low: None } };
        self.power_sum(base, n)
    }

    /// The square root, but `pow`'s results at -0 (0) and at -inf (inf).
    fn power_half(&mut self, x: Ref) -> Ref {
        let ty = self.ty(x);
        let zero = self.small(ty, 0);
        // -0 + 0 is 0.
        let positive = self.raw2(Op::Add, x, zero);
        let root = self.raw1(Op::Sqrt, positive);
        let (low, high) = match ty {
            Type::F32 => (Value::F32(f32::NEG_INFINITY), Value::F32(f32::INFINITY)),
            _ => (Value::F64(f64::NEG_INFINITY), Value::F64(f64::INFINITY)),
        };
        let (low, high) = (self.constant(low), self.constant(high));
        let at_end = self.raw2(Op::Eq, x, low);
        self.select(at_end, high, root)
    }

    fn reciprocal(&mut self, x: Ref) -> Ref {
        let one = self.small(self.ty(x), 1);
        self.raw2(Op::Div, one, x)
    }

    /// `1 / x` with its correction.
    fn reciprocal_sum(&mut self, x: Ref) -> Sum {
        let one = self.small(Type::F64, 1);
        let high = self.raw2(Op::Div, one, x);
        let minus_x = self.raw1(Op::Neg, x);
        let rest = self.raw3(Op::Fma, minus_x, high, one);
        Sum { high, low: Some(self.raw2(Op::Mul, rest, high)) }
    }

    /// `base ^ n`, rounded once; `n >= 2`.
    fn power_sum(&mut self, base: Sum, n: u32) -> Ref {
        let products = n.ilog2() + n.count_ones() - 1;
        let mut left = products;
        let Sum { high, low } = chain(self, base, n, |b, x, y| {
            left -= 1;
            // The last product decides whether the result overflows, so its first factor must be the nearest double.
            let x = if left == 0 && products > 1 { b.normalised(x) } else { x };
            let y = if left == 0 && n.is_multiple_of(2) { x } else { y };
            b.product(x, y)
        });
        let Some(low) = low else { return high };
        // False for infinities and NaN (low is NaN or as large) and for zeros, whose sign a sum would lose.
        let (size_low, size_high) = (self.raw1(Op::Abs, low), self.raw1(Op::Abs, high));
        let regular = self.raw2(Op::Lt, size_low, size_high);
        let sum = self.raw2(Op::Add, high, low);
        self.select(regular, sum, high)
    }

    /// The same sum with the nearest double on top.
    fn normalised(&mut self, x: Sum) -> Sum {
        let Sum { high, low: Some(low) } = x else { return x };
        let sum = self.raw2(Op::Add, high, low);
        // An infinity's correction is NaN.
        let ordered = self.raw2(Op::Eq, sum, sum);
        let top = self.select(ordered, sum, high);
        let moved = self.raw2(Op::Sub, top, high);
        Sum { high: top, low: Some(self.raw2(Op::Sub, low, moved)) }
    }

    /// The product but for the product of the corrections, 2^-94 of it at most.
    fn product(&mut self, x: Sum, y: Sum) -> Sum {
        let high = self.raw2(Op::Mul, x.high, y.high);
        let minus = self.raw1(Op::Neg, high);
        let mut low = self.raw3(Op::Fma, x.high, y.high, minus);
        for (factor, correction) in [(y.high, x.low), (x.high, y.low)] {
            if let Some(correction) = correction {
                low = self.raw3(Op::Fma, factor, correction, low);
            }
        }
        Sum { high, low: Some(low) }
    }
}

/// `base ^ n` for `n >= 1` by squaring, from the exponent's second bit down.
fn chain<T: Copy>(b: &mut Builder, base: T, n: u32, mut product: impl FnMut(&mut Builder, T, T) -> T) -> T {
    (0..n.ilog2()).rev().fold(base, |power, bit| {
        let square = product(b, power, power);
        if n >> bit & 1 == 0 { square } else { product(b, square, base) }
    })
}
