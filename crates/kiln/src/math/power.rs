//! Powers: `x ^ y` in all its forms.
//!
//! A literal exponent is worth more than a call. Whole ones up to [`LONGEST`] become products, by squaring from the
//! exponent's top bit down, so that every power on the way is at most half the exponent until the last two products.
//! The float chain carries each product's exact rounding error along (`fma(a, b, -a*b)`), and adds it once, at the
//! end: at most 0.501 ULP (0.75 where the result is subnormal, which rounds it twice), where plain products err by 1.2
//! at `x^3` already and by 30 at `x^64`.
//!
//! Where the true power over- or underflows, the errors are NaN or nothing; the product alone is right there, and is
//! chosen. A negative power takes the reciprocal *first*, as a sum of two doubles: taken last, it would turn a power
//! that overflows into 0 although its reciprocal is a subnormal number. A result that is subnormal needs
//! `|x| < 2^-16` (or the reciprocal of that), so nothing is lost before the last product, and that one is computed out
//! of the way of either end of the range.
//!
//! A change here must pass the test against 128-bit arithmetic, over all exponents and the whole range of bases.

#![forbid(unsafe_code)]

use super::build;
use super::calls;
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ops::{Op, exact};
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
                let y = self
                    .const_bits(ty, Value::I64(exponent).to_bits() & if ty == Type::I32 { 0xffff_ffff } else { !0 });
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
        let (mut left, mut unscale) = (n.ilog2() + n.count_ones() - 1, None);
        let Sum { high, low } = chain(self, base, n, |b, x, y| {
            left -= 1;
            if left > 0 {
                return b.product(x, y);
            }
            // In the last product corrections underflow, and the product of the first parts may overflow alone: it is
            // computed nearer to 1.
            let (up, down) = (b.f64(exact::scale(1.0, 300)), b.f64(exact::scale(1.0, -300)));
            let (one, size) = (b.f64(1.0), b.raw1(Op::Abs, x.high));
            let below_one = b.raw2(Op::Lt, size, one);
            let scale = b.select(below_one, up, down);
            unscale = Some(b.select(below_one, down, up));
            let high = b.raw2(Op::Mul, x.high, scale);
            let low = x.low.map(|low| b.raw2(Op::Mul, low, scale));
            // A square's second factor is the power itself, not its scaled form.
            b.product(Sum { high, low }, y)
        });
        let Some(low) = low else { return high };
        // False for infinities and NaN (low is NaN or as large) and for zeros, whose sign a sum would lose.
        let (size_low, size_high) = (self.raw1(Op::Abs, low), self.raw1(Op::Abs, high));
        let regular = self.raw2(Op::Lt, size_low, size_high);
        let sum = self.raw2(Op::Add, high, low);
        let result = self.select(regular, sum, high);
        unscale.map_or(result, |unscale| self.raw2(Op::Mul, result, unscale))
    }

    fn f64(&mut self, value: f64) -> Ref {
        self.constant(Value::F64(value))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stdout, reason = "the measured maximum is worth seeing")]

    use super::super::accuracy::Random;
    use super::*;
    use crate::ir::build::BuildOptions;
    use crate::ir::eval::{Scratch, evaluate};
    use crate::ops::words::Int as _;

    /// A positive number `top * 2^exponent` with the top bit of `top` set; products err by 2^-126 at most.
    #[derive(Clone, Copy)]
    struct Long {
        top: u128,
        exponent: i32,
    }

    const ONE: Long = Long { top: 1 << 127, exponent: -127 };

    impl Long {
        /// Infinity counts as 2^1024.
        fn new(x: f64) -> Long {
            if x.is_infinite() {
                return Long { top: 1 << 127, exponent: 1024 - 127 };
            }
            let exponent = libm::ilogb(x);
            let mantissa = libm::scalbn(libm::scalbn(x, -exponent), 52) as u128;
            Long { top: mantissa << 75, exponent: exponent - 127 }
        }

        fn times(self, other: Long) -> Long {
            let (high, low) = (|v: u128| v >> 64, |v: u128| v & u128::from(u64::MAX));
            let (a, b, c, d) = (high(self.top), low(self.top), high(other.top), low(other.top));
            let middle = high(b * d) + low(a * d) + low(b * c);
            let top = a * c + high(a * d) + high(b * c) + high(middle);
            let shift = top.leading_zeros();
            Long { top: top << shift, exponent: self.exponent + other.exponent + 128 - shift as i32 }
        }

        fn power(self, n: u32) -> Long {
            (0..n).fold(ONE, |power, _| power.times(self))
        }

        /// `self - other` in units of `2^unit`.
        fn minus(self, other: Long, unit: i32) -> f64 {
            let exponent = self.exponent.max(other.exponent);
            let [a, b] = [self, other].map(|v| v.top.checked_shr((exponent - v.exponent) as u32).unwrap_or(0));
            let size = libm::ldexp(a.abs_diff(b) as f64, exponent - unit);
            if a < b { -size } else { size }
        }
    }

    /// The error of `got` as `x ^ n` in units in its last place, where both are positive.
    fn error(got: f64, x: f64, n: i32) -> f64 {
        let power = Long::new(x).power(n.unsigned_abs());
        let unit = if got.is_infinite() { 971 } else { libm::ilogb(got.max(f64::MIN_POSITIVE)).max(-1022) - 52 };
        if got == 0.0 {
            let size = libm::ldexp(power.top as f64, -127);
            let scaled = if n > 0 { size } else { 1.0 / size };
            return libm::ldexp(scaled, (power.exponent + 127) * n.signum() + 1074);
        }
        // What lies beyond 2^1024 is infinite, exactly.
        let beyond = |above: f64| if got.is_infinite() { above.max(0.0) } else { above.abs() };
        if n > 0 {
            return beyond(Long::new(got).minus(power, unit));
        }
        // got * x^|n| = 1 + e, so the exact result is got / (1 + e).
        let excess = Long::new(got).times(power).minus(ONE, 0);
        let size = if got.is_infinite() { libm::ldexp(1.0, 53) } else { libm::scalbn(got, -unit) };
        beyond(size * excess / (1.0 + excess))
    }

    struct Literal {
        b: Builder,
        scratch: Scratch,
    }

    impl Literal {
        fn new(ty: Type, fast: bool, build: impl FnOnce(&mut Builder, Ref) -> Ref) -> Literal {
            let mut b = Builder::default();
            b.reset(BuildOptions { fast, ..BuildOptions::default() });
            let x = b.param(ty);
            let result = build(&mut b, x);
            b.func.results.push(result);
            Literal { b, scratch: Scratch::default() }
        }

        fn at(&mut self, x: Value) -> Value {
            evaluate(&self.b.func, &[x.to_bits()], &mut self.scratch).unwrap();
            self.scratch.value(&self.b.func, self.b.func.results[0])
        }

        fn at_f64(&mut self, x: f64) -> f64 {
            match self.at(Value::F64(x)) {
                Value::F64(v) => v,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The bases around the one whose power is the largest number.
    fn last_bases(n: i32) -> impl Iterator<Item = f64> {
        let root = core_math::pow(f64::MAX, 1.0 / f64::from(n));
        (0..800).map(move |i| f64::from_bits(root.to_bits() - 400 + i))
    }

    /// Bases of all sizes, and such that the power is near the ends of the range.
    fn bases(n: i32, count: usize) -> impl Iterator<Item = f64> {
        let mut random = Random(n as u64);
        (0..count).map(move |i| {
            let bits = random.bits();
            if i % 4 == 0 {
                return f64::from_bits(bits);
            }
            let mantissa = f64::from_bits(bits & 0x800f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
            let place = (random.bits() % 1000) as f64 / 1000.0;
            let wanted = match i % 4 {
                1 => -1076.0 + 60.0 * place,
                2 => 1020.0 + 6.0 * place,
                _ => -1000.0 + 2000.0 * place,
            };
            // The base whose power lies at 2^wanted, with a random tail.
            let base = libm::exp2(wanted / f64::from(n)) * (1.0 + (mantissa.abs() - 1.0) * 1e-3 / f64::from(n.abs()));
            base.copysign(mantissa)
        })
    }

    #[test]
    fn literal_powers_are_within_one_ulp_over_the_whole_range() {
        // Of normal results and of subnormal ones.
        let mut worst = [(0.0, 0, 0.0); 2];
        for n in (-64..=64i32).filter(|&n| n != 0) {
            let mut power = Literal::new(Type::F64, false, |b, x| b.power_literal(x, f64::from(n)));
            for x in bases(n, 4000).chain(last_bases(n)).filter(|x| x.is_finite() && *x != 0.0) {
                let got = power.at_f64(x);
                assert!(!got.is_nan() && got.is_sign_negative() == (x < 0.0 && n % 2 != 0), "{x:e} ^ {n} = {got:e}");
                let (error, worst) =
                    (error(got.abs(), x.abs(), n), &mut worst[usize::from(got.abs() < f64::MIN_POSITIVE)]);
                assert!(!error.is_nan());
                if error > worst.0 {
                    *worst = (error, n, x);
                }
            }
        }
        for ((error, n, x), (kind, bound)) in worst.into_iter().zip([("normal", 0.501), ("subnormal", 0.75)]) {
            println!("{kind} literal powers err by {error:.5} ULP at most, at {x:e} ^ {n}");
            assert!(error <= bound, "{kind}: {error:.5} ULP at {x:e} ^ {n}");
        }
    }

    #[test]
    fn the_reference_agrees_with_correct_rounding() {
        for n in (-64..=64i32).filter(|&n| n != 0) {
            for x in bases(n, 200).filter(|x| x.is_finite() && *x != 0.0) {
                let nearest = core_math::pow(x.abs(), f64::from(n));
                assert!(error(nearest, x.abs(), n) <= 0.5 + 1e-9, "{x:e} ^ {n}: {}", error(nearest, x.abs(), n));
            }
        }
    }

    #[test]
    fn literal_powers_have_the_special_values_of_pow() {
        let special =
            [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -5e-324, f64::MAX, f64::MIN];
        let exponents = (-70..=70).map(f64::from).chain([0.5, -0.5, 1.5, 0.1, -0.0, 1e300, 65.5]);
        for exponent in exponents {
            let mut wide = Literal::new(Type::F64, false, |b, x| b.power_literal(x, exponent));
            let mut narrow = Literal::new(Type::F32, false, |b, x| b.power_literal(x, exponent));
            for x in special {
                let (got, expected) = (wide.at(Value::F64(x)), Value::F64(core_math::pow(x, exponent)));
                assert!(got.same(expected), "{x} ^ {exponent} = {got}, not {expected}");
                let x = x as f32;
                let (got, expected) = (narrow.at(Value::F32(x)), Value::F32(core_math::powf(x, exponent as f32)));
                assert!(got.same(expected), "f32 {x} ^ {exponent} = {got}, not {expected}");
            }
        }
    }

    #[test]
    fn f32_powers_are_the_nearest_but_for_ties() {
        let mut worst = 0;
        for n in -64..=64i32 {
            let mut power = Literal::new(Type::F32, false, |b, x| b.power_literal(x, f64::from(n)));
            for x in bases(n, 400).map(|x| (x.abs().powf(0.125) as f32).copysign(x as f32)).filter(|x| x.is_finite()) {
                let (got, nearest) = (power.at(Value::F32(x)), Value::F32(core_math::powf(x, n as f32)));
                let distance =
                    if got.same(nearest) { 0 } else { (got.to_bits() as i64).abs_diff(nearest.to_bits() as i64) };
                worst = worst.max(distance);
            }
        }
        println!("f32 powers are {worst} from the nearest at most");
        assert!(worst <= 1);
    }

    #[test]
    fn fast_powers_are_plain_chains() {
        for (n, nodes) in [(3.0, 2), (10.0, 4), (64.0, 6), (-4.0, 3)] {
            let mut power = Literal::new(Type::F64, true, |b, x| b.power_literal(x, n));
            assert!(power.b.func.nodes.iter().all(|node| node.op != Op::Fma), "x ^ {n}");
            let work = power.b.func.nodes.iter().filter(|node| matches!(node.op, Op::Mul | Op::Div)).count();
            assert_eq!(work, nodes, "x ^ {n}");
            assert!((power.at_f64(1.25) / core_math::pow(1.25, n) - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn int_powers_by_products_are_the_power_operation() {
        let bases = [0, 1, -1, 2, -2, 3, -7, 10, 46341, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
        for n in 0..=70 {
            for checked in [false, true] {
                let mut b = Builder::default();
                for ty in [Type::I32, Type::I64] {
                    b.reset(BuildOptions { checked, ..BuildOptions::default() });
                    let x = b.param(ty);
                    let result = b.power_int_literal(x, n);
                    for base in bases {
                        let mut scratch = Scratch::default();
                        let outcome = evaluate(&b.func, &[Value::from_bits(ty, base as u64).to_bits()], &mut scratch);
                        let (expected, overflows) = if ty == Type::I32 {
                            (Value::I32((base as i32).power(n as i32)), (base as i32).power_overflows(n as i32))
                        } else {
                            (Value::I64(base.power(n)), base.power_overflows(n))
                        };
                        assert_eq!(outcome.is_err(), checked && overflows, "{ty} {base} ^ {n}");
                        assert!(outcome.is_err() || scratch.value(&b.func, result).same(expected), "{ty} {base} ^ {n}");
                    }
                }
            }
        }
    }
}
