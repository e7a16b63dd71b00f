//! How far a result is from the true one.
//!
//! The one idea: `core-math` gives the nearest double of every result at once, so only of those that are not nearest the
//! true value is computed, to more than 192 bits, and of these only how far it is from the nearest double, which all
//! engines share. In single precision the nearest double is the true value, to 2^-29 units.
//!
//! Inputs and results that are no normal numbers, or zero, are judged apart: many vector functions give them up on purpose.

use super::table::Row;
use astro_float::{BigFloat, Consts, RoundingMode};

/// Bits of every step.
const BITS: usize = 256;
/// Where two multiples of pi are told apart, and for Bernoulli's numbers.
const MORE: usize = 512;
const NEAREST: RoundingMode = RoundingMode::ToEven;

/// The true result of some arguments.
pub(crate) type Exact = fn(&[BigFloat; 2], &mut Big) -> BigFloat;

/// Functions with many bits.
pub(crate) struct Big {
    consts: Consts,
    /// B2, B4, ...
    bernoulli: Vec<BigFloat>,
}

/// The number, exactly. Subnormal ones are not taken as they are.
fn number(value: f64) -> BigFloat {
    if value != 0.0 && value.abs() < f64::MIN_POSITIVE {
        let scaled = BigFloat::from_f64(value * f64::powi(2.0, 200), BITS);
        return mul(&scaled, &BigFloat::from_f64(f64::powi(2.0, -200), BITS));
    }
    BigFloat::from_f64(value, BITS)
}

pub(crate) fn sum(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.add(b, BITS, NEAREST)
}

fn difference(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.sub(b, BITS, NEAREST)
}

fn mul(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.mul(b, BITS, NEAREST)
}

fn quotient(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.div(b, BITS, NEAREST)
}

/// The value to its first bits.
fn value(v: &BigFloat) -> f64 {
    let Some((words, _, sign, exponent, _)) = v.as_raw_parts() else { return f64::NAN };
    let top = words.last().map_or(0.0, |&word| word as f64 / f64::powi(2.0, 64));
    let size = top * f64::powi(2.0, exponent.clamp(-1000, 1000));
    if sign == astro_float::Sign::Neg { -size } else { size }
}

/// The exponent; that of zero is below all others.
fn exponent(v: &BigFloat) -> i32 {
    if v.is_zero() { i32::MIN / 2 } else { v.exponent().unwrap_or(i32::MIN / 2) }
}

macro_rules! functions {
    ($($name:ident)*) => {
        $(pub(crate) fn $name(&mut self, x: &BigFloat) -> BigFloat {
            x.$name(BITS, NEAREST, &mut self.consts)
        })*
    };
}

impl Big {
    /// `None` if there is no memory.
    pub(crate) fn new() -> Option<Big> {
        let mut big = Big { consts: Consts::new().ok()?, bernoulli: vec![] };
        // B_m = -1/(m+1) * the sum of (m+1 over k) B_k; from 512 bits some 60 are lost.
        let mut all = vec![BigFloat::from_f64(1.0, MORE)];
        for m in 1..=40_u32 {
            let mut binomial = BigFloat::from_f64(1.0, MORE);
            let mut total = BigFloat::from_f64(0.0, MORE);
            for (k, b) in (0_u32..).zip(&all) {
                total = total.add(&binomial.mul(b, MORE, NEAREST), MORE, NEAREST);
                let factor = BigFloat::from_f64(f64::from(m + 1 - k), MORE);
                let by = BigFloat::from_f64(f64::from(k + 1), MORE);
                binomial = binomial.mul(&factor, MORE, NEAREST).div(&by, MORE, NEAREST);
            }
            all.push(total.neg().div(&BigFloat::from_f64(f64::from(m + 1), MORE), MORE, NEAREST));
        }
        big.bernoulli = all.into_iter().skip(2).step_by(2).collect();
        Some(big)
    }

    functions! { exp ln log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh }

    pub(crate) fn number(&self, value: f64) -> BigFloat {
        number(value)
    }

    fn pi(&mut self) -> BigFloat {
        self.consts.pi(MORE, NEAREST)
    }

    pub(crate) fn pow(&mut self, x: &BigFloat, y: &BigFloat) -> BigFloat {
        x.pow(y, BITS, NEAREST, &mut self.consts)
    }

    pub(crate) fn cbrt(&mut self, x: &BigFloat) -> BigFloat {
        x.cbrt(BITS, NEAREST)
    }

    pub(crate) fn hypot(&mut self, x: &BigFloat, y: &BigFloat) -> BigFloat {
        sum(&mul(x, x), &mul(y, y)).sqrt(BITS, NEAREST)
    }

    pub(crate) fn atan2(&mut self, y: &BigFloat, x: &BigFloat) -> BigFloat {
        let angle = self.atan(&quotient(y, x));
        if x.is_positive() {
            return angle;
        }
        let pi = self.pi();
        if y.is_positive() { sum(&angle, &pi) } else { difference(&angle, &pi) }
    }

    /// Where e^x - 1 would cancel, the series.
    pub(crate) fn expm1(&mut self, x: &BigFloat) -> BigFloat {
        if exponent(x) < -40 {
            return Self::series(x, |n| n + 1.0, false);
        }
        difference(&self.exp(x), &number(1.0))
    }

    pub(crate) fn log1p(&mut self, x: &BigFloat) -> BigFloat {
        if exponent(x) < -40 {
            return Self::series(x, |n| (n + 1.0) / n, true);
        }
        self.ln(&sum(&number(1.0), x))
    }

    /// x + x^2/2 + ...: each power is divided by what `divisor` gives for the one before, the first being 1.
    fn series(x: &BigFloat, divisor: fn(f64) -> f64, alternates: bool) -> BigFloat {
        let mut power = x.clone();
        let mut total = x.clone();
        for n in 1..6 {
            power = mul(&power, x);
            // The quotient may be no double: it is taken as two whole numbers.
            let n = f64::from(n);
            let by = divisor(n);
            power = if by == n + 1.0 {
                quotient(&power, &number(by))
            } else {
                quotient(&mul(&power, &number(n)), &number(n + 1.0))
            };
            if alternates {
                power = power.neg();
            }
            total = sum(&total, &power);
        }
        total
    }

    /// What is left of x beyond a whole number, at most a half, and whether that number is odd.
    fn turns(x: &BigFloat) -> (BigFloat, bool) {
        if exponent(x) > 60 {
            return (number(0.0), false);
        }
        let whole = sum(x, &number(0.5)).floor();
        let half = mul(&whole, &number(0.5));
        let is_odd = !half.fract().is_zero();
        (difference(x, &whole), is_odd)
    }

    pub(crate) fn sinpi(&mut self, x: &BigFloat) -> BigFloat {
        let (rest, is_odd) = Self::turns(x);
        let angle = mul(&rest, &self.pi());
        let sine = self.sin(&angle);
        if is_odd { sine.neg() } else { sine }
    }

    /// As a sine, which does not cancel near the zeros.
    pub(crate) fn cospi(&mut self, x: &BigFloat) -> BigFloat {
        let (rest, is_odd) = Self::turns(x);
        let angle = mul(&difference(&number(0.5), &rest.abs()), &self.pi());
        let cosine = self.sin(&angle);
        if is_odd { cosine.neg() } else { cosine }
    }

    /// 2/sqrt(pi) e^(-x^2) times the sum of 2^n x^(2n+1) / (2n+1)!!, whose terms all have one sign.
    pub(crate) fn erf(&mut self, x: &BigFloat) -> BigFloat {
        if x.is_negative() {
            return self.erf(&x.abs()).neg();
        }
        if value(x) > 6.0 {
            return difference(&number(1.0), &self.erfc(x));
        }
        let square = mul(x, x);
        let twice = mul(&square, &number(2.0));
        let (mut term, mut total) = (x.clone(), x.clone());
        let mut n = 3.0;
        while exponent(&term) > exponent(&total) - 200 {
            term = quotient(&mul(&term, &twice), &number(n));
            total = sum(&total, &term);
            n += 2.0;
        }
        let root = self.pi().sqrt(BITS, NEAREST);
        let scale = quotient(&mul(&number(2.0), &self.exp(&square.neg())), &root);
        mul(&scale, &total)
    }

    /// Far out the continued fraction x + (1/2)/(x + (2/2)/(x + ...)), from its end.
    pub(crate) fn erfc(&mut self, x: &BigFloat) -> BigFloat {
        let size = value(x);
        if size < 2.0 {
            let erf = if size < -6.0 { difference(&self.erfc(&x.neg()), &number(1.0)) } else { self.erf(x) };
            return difference(&number(1.0), &erf);
        }
        let mut fraction = x.clone();
        for n in (1..40 + (1200.0 / (size * size)) as u32).rev() {
            fraction = sum(x, &quotient(&number(f64::from(n) / 2.0), &fraction));
        }
        let root = self.pi().sqrt(BITS, NEAREST);
        quotient(&self.exp(&mul(x, x).neg()), &mul(&root, &fraction))
    }

    /// Stirling's series for 40 and more; what is left out is less than 2^-160.
    fn stirling(&mut self, z: &BigFloat) -> BigFloat {
        let log = self.ln(z);
        let mut total = difference(&mul(&difference(z, &number(0.5)), &log), z);
        let turn = mul(&self.pi(), &number(2.0));
        total = sum(&total, &mul(&self.ln(&turn), &number(0.5)));
        let square = mul(z, z);
        let mut power = z.clone();
        for (n, b) in (1_u32..).zip(&self.bernoulli) {
            let by = number(f64::from(2 * n * (2 * n - 1)));
            total = sum(&total, &quotient(b, &mul(&by, &power)));
            power = mul(&power, &square);
        }
        total
    }

    pub(crate) fn gamma(&mut self, x: &BigFloat) -> BigFloat {
        if value(x) < 0.5 {
            let sine = self.sinpi(x);
            let other = self.gamma(&difference(&number(1.0), x));
            return quotient(&self.pi(), &mul(&sine, &other));
        }
        let (mut z, mut product) = (x.clone(), number(1.0));
        while value(&z) < 40.0 {
            product = mul(&product, &z);
            z = sum(&z, &number(1.0));
        }
        let log = self.stirling(&z);
        quotient(&self.exp(&log), &product)
    }

    pub(crate) fn lgamma(&mut self, x: &BigFloat) -> BigFloat {
        let size = value(x);
        if size < 0.5 {
            let sine = self.sinpi(x).abs();
            let pi = self.pi();
            let log = self.ln(&quotient(&pi, &sine));
            return difference(&log, &self.lgamma(&difference(&number(1.0), x)));
        }
        if size < 40.0 {
            let gamma = self.gamma(x);
            return self.ln(&gamma);
        }
        self.stirling(x)
    }
}

/// A type of numbers as far as errors go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Bits of a number.
    bits: i32,
    /// The exponents of the smallest normal number, and of the unit below.
    normal: i32,
    least: i32,
}

pub(crate) const DOUBLE: Format = Format { bits: 53, normal: -1022, least: -1074 };
pub(crate) const SINGLE: Format = Format { bits: 24, normal: -126, least: -149 };

/// The exponent of a number's first bit.
fn first_bit(value: f64) -> i32 {
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32;
    if exponent == 0 { value.abs().log2().floor() as i32 } else { exponent - 1023 }
}

impl Format {
    fn is_normal(self, value: f64) -> bool {
        value.is_finite() && value != 0.0 && first_bit(value) >= self.normal
    }

    /// A number of this type.
    pub(crate) fn rounded(self, value: f64) -> f64 {
        if self == SINGLE { f64::from(value as f32) } else { value }
    }

    fn unit(self, value: f64) -> i32 {
        if value == 0.0 { self.least } else { (first_bit(value) - self.bits + 1).max(self.least) }
    }
}

/// `a` times a power of two, where the power itself may be too large.
fn scaled(a: f64, by: i32) -> f64 {
    a * f64::powi(2.0, by / 2) * f64::powi(2.0, by - by / 2)
}

/// What an engine's results are worth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Error {
    /// The worst error over normal inputs with normal results, in units of the last place of the result; results that are
    /// all nearest have a half.
    pub(crate) worst: f64,
    /// Its input.
    pub(crate) input: [f64; 2],
    /// Share of these results that are not the nearest.
    pub(crate) misrounded: f64,
    /// Others that are wrong by more than four units: subnormal, zero, infinite, no number.
    pub(crate) others: usize,
}

/// The true results of many inputs.
pub(crate) struct Reference<'a> {
    row: &'a Row,
    format: Format,
    inputs: &'a [Vec<f64>],
    /// The nearest double of each.
    nearest: Vec<f64>,
    /// How far the true result is above that, in units; of those that were asked for.
    offsets: Vec<Option<f64>>,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(row: &'a Row, format: Format, inputs: &'a [Vec<f64>]) -> Reference<'a> {
        let second = |at: usize| inputs.get(1).map_or(0.0, |column| column[at]);
        let nearest: Vec<f64> = inputs[0].iter().enumerate().map(|(at, &x)| (row.nearest)(x, second(at))).collect();
        let offsets = vec![None; nearest.len()];
        Reference { row, format, inputs, nearest, offsets }
    }

    fn input(&self, at: usize) -> [f64; 2] {
        [self.inputs[0][at], self.inputs.get(1).map_or(0.0, |column| column[at])]
    }

    /// The unit of the result: for a pair that of 1 to 2, since a sum near zero says nothing about what is summed up.
    fn unit(&self, nearest: f64) -> i32 {
        if self.row.is_pair() { 1 - self.format.bits } else { self.format.unit(nearest) }
    }

    /// How far the true result is above the nearest double, in units.
    fn offset(&mut self, at: usize, big: &mut Big) -> f64 {
        if self.format == SINGLE {
            return 0.0;
        }
        if let Some(offset) = self.offsets[at] {
            return offset;
        }
        let exact = (self.row.exact)(&self.input(at).map(number), big);
        let mut left = difference(&exact, &number(self.nearest[at]));
        let unit = self.unit(self.nearest[at]);
        let offset = if left.is_zero() {
            0.0
        } else {
            left.set_exponent(exponent(&left).saturating_sub(unit));
            value(&left)
        };
        self.offsets[at] = Some(offset);
        offset
    }

    /// The errors of an engine.
    pub(crate) fn error(&mut self, results: &[f64], big: &mut Big) -> Error {
        let mut error = Error { worst: 0.5, ..Error::default() };
        let (mut judged, mut misrounded) = (0_usize, 0_usize);
        for (at, &result) in results.iter().enumerate() {
            let input = self.input(at);
            let true_result = self.nearest[at];
            let nearest = self.format.rounded(true_result);
            let count = self.inputs.len();
            let usual = |v: &f64| *v == 0.0 || self.format.is_normal(*v);
            let units = scaled(result - true_result, -self.unit(nearest));
            if !self.format.is_normal(nearest) || !input[..count].iter().all(usual) {
                let is_right = result == nearest || result.is_nan() && nearest.is_nan() || units.abs() <= 4.0;
                error.others += usize::from(!is_right);
                continue;
            }
            judged += 1;
            if result == nearest && !self.row.is_pair() {
                continue;
            }
            misrounded += 1;
            let off = if !result.is_finite() {
                f64::INFINITY
            } else if units.abs() + 0.5 <= error.worst || units.abs() > 1e6 {
                units.abs()
            } else {
                (units - self.offset(at, big)).abs()
            };
            if off > error.worst {
                (error.worst, error.input) = (off, input);
            }
        }
        error.misrounded = misrounded as f64 / judged.max(1) as f64;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::table::rows;

    /// Inputs in the ranges and anywhere.
    fn inputs(row: &Row, count: usize) -> Vec<Vec<f64>> {
        super::super::inputs::<f64>(row, count, 7)
    }

    #[test]
    fn true_values_are_within_half_a_unit_of_the_nearest() {
        let mut big = Big::new().unwrap();
        for row in rows() {
            if row.is_pair() {
                continue;
            }
            let columns = inputs(&row, 300);
            let mut reference = Reference::new(&row, DOUBLE, &columns);
            for at in 0..300 {
                let nearest = reference.nearest[at];
                if !DOUBLE.is_normal(nearest) || columns.iter().any(|column| column[at] == 0.0) {
                    continue;
                }
                let offset = reference.offset(at, &mut big);
                assert!(offset.abs() <= 0.5, "{}{:?}: {offset}", row.name, reference.input(at));
            }
        }
    }

    #[test]
    fn errors_are_distances_to_the_true_result() {
        let rows = rows();
        let row = rows.iter().find(|row| row.name == "exp").unwrap();
        let columns = vec![vec![0.0, 1.0, -745.0, 1000.0]];
        let mut reference = Reference::new(row, DOUBLE, &columns);
        let mut big = Big::new().unwrap();
        let right = [1.0, std::f64::consts::E, 5e-324, f64::INFINITY];
        let error = reference.error(&right, &mut big);
        assert_eq!((error.worst, error.misrounded, error.others), (0.5, 0.0, 0));
        // e is 0.325 units above the nearest double.
        let below = [1.0, std::f64::consts::E.next_down(), 0.0, f64::MAX];
        let error = reference.error(&below, &mut big);
        assert!((error.worst - 1.3255).abs() < 1e-3, "{error:?}");
        assert_eq!((error.misrounded, error.others, error.input[0]), (0.5, 1, 1.0));
        let none = reference.error(&[f64::NAN; 4], &mut big);
        assert_eq!((none.worst, none.others), (f64::INFINITY, 2));
    }

    #[test]
    fn single_precision_has_its_own_units() {
        let rows = rows();
        let row = rows.iter().find(|row| row.name == "sin").unwrap();
        let columns = vec![vec![1.0, f64::from(1e-40_f32)]];
        let mut reference = Reference::new(row, SINGLE, &columns);
        let mut big = Big::new().unwrap();
        let sine = f64::from(1_f64.sin() as f32);
        let next = f64::from((sine as f32).next_up());
        let [near, far] = [sine, next].map(|value| reference.error(&[value, 0.0], &mut big));
        assert_eq!((near.worst, near.misrounded, near.others), (0.5, 0.0, 1));
        let off = (next - 1_f64.sin()) / f64::powi(2.0, -24);
        assert!((far.worst - off).abs() < 1e-6 && far.misrounded == 1.0, "{far:?}");
    }
}
