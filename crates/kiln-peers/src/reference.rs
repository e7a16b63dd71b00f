//! What the results should be.
//!
//! The one idea: the tree is evaluated with 192 bits by `astro-float`, whose functions are rounded correctly at that
//! precision, and an engine's error is its distance to that in units of the last place of the value nearest to it.
//! Literals are what the engine's type makes of them, so rounding them is nobody's error. Where a formula subtracts nearly
//! equal values the errors of all engines are large; that is the formula's doing and shows in all columns alike.

use crate::column::Data;
use crate::engines::Precision;
use crate::formula::{Binary, Formula, Node, Tree, Unary};
use astro_float::{BigFloat, Consts, RoundingMode};

/// Bits of every step.
const BITS: usize = 192;
const NEAREST: RoundingMode = RoundingMode::ToEven;

/// The results that a formula should have in every row.
pub(crate) struct Reference {
    values: Vec<BigFloat>,
    precision: Precision,
}

/// How far off results are, in units of the last place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errors {
    pub(crate) worst: f64,
}

impl Reference {
    /// Evaluates the first rows; `None` if the library cannot.
    pub(crate) fn new(formula: &Formula, data: &Data, rows: usize, precision: Precision) -> Option<Reference> {
        let mut evaluator = Evaluator { consts: Consts::new().ok()?, inputs: vec![], lets: vec![], precision };
        let rows = rows.min(data.out.len());
        let values = (0..rows).map(|row| {
            evaluator.inputs = data.inputs.iter().map(|column| evaluator.number(column[row])).collect();
            evaluator.lets.clear();
            for (_, tree) in &formula.lets {
                let value = evaluator.value(tree);
                evaluator.lets.push(value);
            }
            if formula.is_condition {
                let holds = evaluator.holds(&formula.result);
                evaluator.number(f64::from(u8::from(holds)))
            } else {
                evaluator.value(&formula.result)
            }
        });
        Some(Reference { values: values.collect(), precision })
    }

    /// The results rounded to doubles; the last bit may be off where they lie between two.
    pub(crate) fn nearest(&self) -> Vec<f64> {
        let signed = |value: &BigFloat| if value.is_negative() { -to_f64(&value.neg()) } else { to_f64(value) };
        self.values.iter().map(|value| if value.is_zero() { 0.0 } else { signed(value) }).collect()
    }

    /// The errors of an engine's results.
    pub(crate) fn errors(&self, results: &[f64]) -> Errors {
        let worst = self.values.iter().zip(results).map(|(exact, result)| self.error(exact, *result));
        // What is no number is infinitely far off.
        Errors { worst: worst.fold(0.0, |a: f64, b| if b.is_nan() { f64::INFINITY } else { a.max(b) }) }
    }

    fn error(&self, exact: &BigFloat, result: f64) -> f64 {
        if !result.is_finite() || exact.is_nan() || exact.is_inf() {
            return f64::INFINITY;
        }
        let difference = BigFloat::from_f64(result, BITS).sub(exact, BITS, NEAREST);
        if difference.is_zero() {
            return 0.0;
        }
        // Values lie in [2^(e-1), 2^e), so units are 2^(e-53), or in f32 2^(e-24).
        let (bits, least) = match self.precision {
            Precision::Double => (53, -1074),
            Precision::Single => (24, -149),
        };
        let unit = rounded_up(exact).exponent().map_or(least, |e| (e - bits).max(least));
        let mut scaled = difference.abs();
        if let Some(exponent) = scaled.exponent() {
            scaled.set_exponent(exponent - unit);
        }
        to_f64(&scaled)
    }
}

/// A little further from zero: what rounds to a power of two has that power's unit.
fn rounded_up(value: &BigFloat) -> BigFloat {
    let mut little = value.clone();
    if let Some(exponent) = value.exponent() {
        little.set_exponent(exponent - 60);
    }
    value.add(&little, BITS, NEAREST)
}

/// A number above zero, to its first bits.
fn to_f64(value: &BigFloat) -> f64 {
    let Some((words, _, _, exponent, _)) = value.as_raw_parts() else { return f64::NAN };
    let first = words.last().copied().unwrap_or(0);
    first as f64 * f64::powi(2.0, exponent.clamp(-1000, 1000) - 64)
}

struct Evaluator {
    consts: Consts,
    inputs: Vec<BigFloat>,
    lets: Vec<BigFloat>,
    precision: Precision,
}

impl Evaluator {
    fn number(&self, value: f64) -> BigFloat {
        match self.precision {
            Precision::Double => BigFloat::from_f64(value, BITS),
            Precision::Single => BigFloat::from_f64(f64::from(value as f32), BITS),
        }
    }

    fn holds(&mut self, tree: &Tree) -> bool {
        let Node::Binary(op, a, b) = &**tree else { return false };
        match op {
            Binary::And => self.holds(a) && self.holds(b),
            Binary::Or => self.holds(a) || self.holds(b),
            _ => {
                let (a, b) = (self.value(a), self.value(b));
                let order = a.cmp(&b).map(|order| order.signum());
                match op {
                    Binary::Less => order == Some(-1),
                    Binary::LessEqual => matches!(order, Some(-1 | 0)),
                    Binary::Greater => order == Some(1),
                    Binary::GreaterEqual => matches!(order, Some(0 | 1)),
                    _ => false,
                }
            }
        }
    }

    fn value(&mut self, tree: &Tree) -> BigFloat {
        match &**tree {
            Node::Number(value) => self.number(*value),
            Node::Input(at) => self.inputs[*at].clone(),
            Node::Let(at) => self.lets[*at].clone(),
            Node::Power(a, n) => self.value(a).powi(*n as usize, BITS, NEAREST),
            Node::If(c, a, b) => {
                let branch = if self.holds(c) { a } else { b };
                self.value(branch)
            }
            Node::Unary(op, a) => {
                let a = self.value(a);
                let consts = &mut self.consts;
                match op {
                    Unary::Neg => a.neg(),
                    Unary::Abs => a.abs(),
                    Unary::Sqrt => a.sqrt(BITS, NEAREST),
                    Unary::Exp => a.exp(BITS, NEAREST, consts),
                    Unary::Log => a.ln(BITS, NEAREST, consts),
                    Unary::Sin => a.sin(BITS, NEAREST, consts),
                    Unary::Cos => a.cos(BITS, NEAREST, consts),
                    Unary::Tan => a.tan(BITS, NEAREST, consts),
                    Unary::Asin => a.asin(BITS, NEAREST, consts),
                    Unary::Acos => a.acos(BITS, NEAREST, consts),
                    Unary::Atan => a.atan(BITS, NEAREST, consts),
                }
            }
            Node::Binary(op, x, y) => {
                let (a, b) = (self.value(x), self.value(y));
                match op {
                    Binary::Add => a.add(&b, BITS, NEAREST),
                    Binary::Sub => a.sub(&b, BITS, NEAREST),
                    Binary::Mul => a.mul(&b, BITS, NEAREST),
                    Binary::Div => a.div(&b, BITS, NEAREST),
                    Binary::Pow => a.pow(&b, BITS, NEAREST, &mut self.consts),
                    Binary::Min => a.min(&b),
                    Binary::Max => a.max(&b),
                    // A condition is no number; the parser makes none of one.
                    _ => BigFloat::nan(None),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::Input;

    /// The error of one result of a formula of `x`.
    fn error(text: &str, x: f64, result: f64, precision: Precision) -> f64 {
        let input = Input { name: "x".to_owned(), low: x, high: x };
        let formula = Formula::parse("f", text, vec![input]).unwrap();
        let data = Data::new(&formula, 1);
        assert_eq!(data.inputs[0][0], x);
        Reference::new(&formula, &data, 1, precision).unwrap().errors(&[result]).worst
    }

    #[test]
    fn errors_are_in_units_of_the_last_place() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        close(error("x+1", 1.0, 2.0, Precision::Double), 0.0);
        close(error("x+1", 1.0, 2.0_f64.next_up(), Precision::Double), 1.0);
        // Below a power of two a unit of the exact value counts.
        close(error("x+1", 1.0, 2.0_f64.next_down(), Precision::Double), 0.5);
        close(error("x/3", 1.0, 1.0 / 3.0, Precision::Double), 1.0 / 3.0);
        close(error("x+1", 1.0, f64::from(2.0_f32.next_up()), Precision::Single), 1.0);
        assert_eq!(error("x+1", 1.0, f64::NAN, Precision::Double), f64::INFINITY);
        close(error("if(x<1,x,3)", 1.0, 3.0, Precision::Double), 0.0);
        close(error("x>0 and x<2", 1.0, 1.0, Precision::Double), 0.0);
    }

    #[test]
    fn functions_are_known_to_more_than_a_double() {
        // The errors of the values nearest to the exact ones are below half a unit, and known.
        for (text, x, nearest) in [
            ("exp(x)", 1.0, std::f64::consts::E),
            ("log(x)", 2.0, std::f64::consts::LN_2),
            ("sqrt(x)", 2.0, std::f64::consts::SQRT_2),
            ("4*atan(x)", 1.0, std::f64::consts::PI),
            ("2*asin(x)", 1.0, std::f64::consts::PI),
            ("x^0.5", 2.0, std::f64::consts::SQRT_2),
            ("sin(x)^2+cos(x)^2", 3.0, 1.0),
            ("tan(x)/tan(x)", 3.0, 1.0),
            ("acos(-x)", 1.0, std::f64::consts::PI),
        ] {
            let off = error(text, x, nearest, Precision::Double);
            assert!(off < 0.5, "{text}: {off}");
            let next = error(text, x, nearest.next_up(), Precision::Double);
            assert!(next > 0.5 && next < 1.5, "{text}: {next}");
        }
    }
}
