//! Exact values of the special functions, which the library of large floats does not have.
//!
//! All are series: erf by Taylor's around 0, whose terms are all positive once e^(-x^2) is taken out; erfc as 1 less that, or from 3
//! on by Laplace's continued fraction; the logarithm of gamma by Stirling's at 60 and above, less the logarithm of the factors
//! on the way there, and by reflection below 0. They agree with `core-math` where that was compared: see `tests`.

use super::{NEAREST, big, one};
use astro_float::{BigFloat, Consts};
use std::cell::RefCell;
use std::sync::OnceLock;

/// Bits that are computed with: results near a zero lose some.
const BITS: usize = 512;

fn whole(n: u64) -> BigFloat {
    BigFloat::from_u64(n, BITS)
}

fn add(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.add(b, BITS, NEAREST)
}

fn sub(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.sub(b, BITS, NEAREST)
}

fn mul(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.mul(b, BITS, NEAREST)
}

fn div(a: &BigFloat, b: &BigFloat) -> BigFloat {
    a.div(b, BITS, NEAREST)
}

/// A float that is near enough to count terms by.
fn about(x: &BigFloat) -> f64 {
    super::value(x)
}

/// 2 e^(-x^2) / sqrt(pi).
fn bell(x: &BigFloat, c: &mut Consts) -> BigFloat {
    let power = mul(x, x).neg().exp(BITS, NEAREST, c);
    div(&mul(&whole(2), &power), &c.pi(BITS, NEAREST).sqrt(BITS, NEAREST))
}

pub(super) fn erf(x: &BigFloat, c: &mut Consts) -> BigFloat {
    if about(x).abs() > 8.0 {
        let rest = erfc(&x.abs(), c);
        let size = sub(&one(), &rest);
        return if x.is_negative() { size.neg() } else { size };
    }
    // x + 2 x^3/3 + 4 x^5/(3 5) + ...
    let twice = mul(&whole(2), &mul(x, x));
    let (mut term, mut sum) = (x.clone(), x.clone());
    let terms = 120 + (about(x) * about(x) * 6.0) as u64;
    for k in 1..terms {
        term = div(&mul(&term, &twice), &whole(2 * k + 1));
        sum = add(&sum, &term);
    }
    mul(&sum, &bell(x, c))
}

pub(super) fn erfc(x: &BigFloat, c: &mut Consts) -> BigFloat {
    let size = about(x);
    if size < 3.0 {
        return sub(&one(), &erf(x, c));
    }
    // 1 / (x + (1/2) / (x + 1 / (x + (3/2) / ...))).
    let mut fraction = x.clone();
    for k in (1..60 + (12000.0 / (size * size)) as u64).rev() {
        fraction = add(x, &div(&whole(k), &mul(&whole(2), &fraction)));
    }
    div(&bell(x, c), &mul(&whole(2), &fraction))
}

/// B(2k) / (2k (2k - 1)) for k from 1.
fn bernoulli() -> &'static [BigFloat] {
    const MORE: usize = 2048;
    static NUMBERS: OnceLock<Vec<BigFloat>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let whole = |n: u64| BigFloat::from_u64(n, MORE);
        let mut numbers: Vec<BigFloat> = vec![whole(1)];
        for m in 1..=160u64 {
            // The sum of binomial(m + 1, k) B(k) is 0.
            let (mut sum, mut binomial) = (whole(0), whole(1));
            for (k, number) in (0..m).zip(&numbers) {
                sum = sum.add(&binomial.mul(number, MORE, NEAREST), MORE, NEAREST);
                binomial = binomial.mul(&whole(m + 1 - k), MORE, NEAREST).div(&whole(k + 1), MORE, NEAREST);
            }
            numbers.push(sum.div(&whole(m + 1), MORE, NEAREST).neg());
        }
        (1..=80).map(|k| div(&numbers[2 * k], &whole(2 * k as u64 * (2 * k as u64 - 1)))).collect()
    })
}

/// log(gamma(x)) for x > 0.
fn log_gamma(x: &BigFloat, c: &mut Consts) -> BigFloat {
    let (mut y, mut factors) = (x.clone(), one());
    while about(&y) < 60.0 {
        factors = mul(&factors, &y);
        y = add(&y, &one());
    }
    let half = BigFloat::from_f64(0.5, BITS);
    let log = y.ln(BITS, NEAREST, c);
    let mut sum = sub(&mul(&sub(&y, &half), &log), &y);
    let circle = mul(&whole(2), &c.pi(BITS, NEAREST)).ln(BITS, NEAREST, c);
    sum = add(&sum, &mul(&circle, &half));
    let by = div(&one(), &y);
    let (square, mut power) = (mul(&by, &by), by);
    for number in bernoulli() {
        sum = add(&sum, &mul(number, &power));
        power = mul(&power, &square);
    }
    sub(&sum, &factors.ln(BITS, NEAREST, c))
}

/// pi / sin(pi x), by what x is more than a whole number.
fn reflection(x: &BigFloat, c: &mut Consts) -> BigFloat {
    let nearest = about(x).round();
    let pi = c.pi(BITS, NEAREST);
    let sine = mul(&sub(x, &big(nearest)), &pi).sin(BITS, NEAREST, c);
    let sine = if nearest % 2.0 == 0.0 { sine } else { sine.neg() };
    div(&pi, &sine)
}

pub(super) fn gamma(x: &BigFloat, c: &mut Consts) -> BigFloat {
    if x.is_negative() {
        let other = log_gamma(&sub(&one(), x), c).exp(BITS, NEAREST, c);
        return div(&reflection(x, c), &other);
    }
    log_gamma(x, c).exp(BITS, NEAREST, c)
}

pub(super) fn lgamma(x: &BigFloat, c: &mut Consts) -> BigFloat {
    if x.is_negative() {
        let log = reflection(x, c).abs().ln(BITS, NEAREST, c);
        return sub(&log, &log_gamma(&sub(&one(), x), c));
    }
    log_gamma(x, c)
}

pub(super) fn fact(x: &BigFloat, c: &mut Consts) -> BigFloat {
    gamma(&add(x, &one()), c)
}

/// The factorial correctly rounded: by way of gamma where that takes x + 1 exactly, or else from the exact value, slowly.
pub(super) fn nearest_factorial(x: f64) -> f64 {
    if x > 171.0 {
        return f64::INFINITY;
    }
    if x < 0.0 || x.is_nan() {
        return f64::NAN;
    }
    let more = x + 1.0;
    if more - x == 1.0 && more - 1.0 == x {
        return core_math::tgamma(more);
    }
    if x < 1e-17 {
        return 1.0;
    }
    thread_local!(static CONSTS: RefCell<Consts> = RefCell::new(Consts::new().expect("memory")));
    CONSTS.with_borrow_mut(|c| about(&fact(&big(x), c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest float to the exact value, by its neighbours.
    fn is_nearest(exact: &BigFloat, candidate: f64) -> bool {
        let gap = |v: f64| sub(exact, &big(v)).abs();
        let here = gap(candidate);
        [candidate.next_up(), candidate.next_down()]
            .iter()
            .all(|&v| v.is_infinite() || gap(v).cmp(&here).is_some_and(|order| order >= 0))
    }

    #[test]
    fn series_agree_with_correctly_rounded_results() {
        type Pair = (fn(&BigFloat, &mut Consts) -> BigFloat, fn(f64) -> f64, &'static [f64]);
        let pairs: [Pair; 4] = [
            (erf, core_math::erf, &[1e-300, 1e-5, 0.3, -0.75, 1.0, 2.9, 3.1, -5.5]),
            (erfc, core_math::erfc, &[1e-5, 0.3, -0.75, 1.0, 2.9, 3.1, -5.5, 8.0, 12.5, 26.5, 27.2]),
            (
                gamma,
                core_math::tgamma,
                &[1e-300, 1e-5, 0.3, 2.9, 59.9, 60.1, 171.5, -0.5, -2.4, -7.999, -100.3, -170.6],
            ),
            (lgamma, core_math::lgamma, &[1e-300, 0.3, 1.001, 1.999, 59.9, 1e5, 1e300, -0.5, -2.457, -7.9998, -100.3]),
        ];
        let mut c = Consts::new().unwrap();
        for (number, (exact, nearest, inputs)) in pairs.into_iter().enumerate() {
            for &x in inputs {
                let exact = exact(&big(x), &mut c);
                assert!(is_nearest(&exact, nearest(x)), "function {number} of {x}: {exact}, {}", nearest(x));
            }
        }
    }
}
