//! Every engine computes what Kiln computes.

use crate::engines::{self, Choice, Engine, Precision, Purpose};
use crate::formula::{Formula, formulas};
use crate::measure::Race;
use std::num::NonZeroUsize;

fn engines(names: &[&str]) -> Vec<Box<dyn Engine>> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    engines::chosen(&Choice { names, threads: NonZeroUsize::MIN, c_flags: vec![] }).unwrap()
}

/// How far an engine may be from Kiln, relative to the larger of the value and `scale`, the size of what is summed up.
fn tolerance(engine: &dyn Engine) -> f64 {
    match engine.precision() {
        Precision::Double => 1e-12,
        Precision::Single => 2e-3,
    }
}

/// Values of this size are summed up in a formula.
fn scale(formula: &Formula) -> f64 {
    match formula.name.as_str() {
        "bscall" => 100.0,
        "haversine" => 12742.0,
        "compound" => 1e4,
        "himmelblau" | "rosenbrock" | "arash_pow" => 1e2,
        _ => 1.0,
    }
}

#[test]
fn engines_agree_with_kiln() {
    let suite = formulas(None).unwrap();
    let mut engines = engines(&[]);
    let mut computed = vec![0; engines.len()];
    for engine in &mut engines {
        engine.prepare(&suite).unwrap_or_else(|error| panic!("{}: {error}", engine.name()));
    }
    for formula in &suite {
        for purpose in [Purpose::Calls, Purpose::Columns] {
            // Not a whole number of vectors.
            let mut race = Race::new(formula, &mut engines, purpose, 203);
            let kiln = race.results(0, 203).expect("Kiln computes everything");
            for (at, engine) in engines.iter().enumerate() {
                let Some(results) = race.results(at, 203) else { continue };
                assert!(results.iter().all(|result| !result.is_nan()), "{} of {}", engine.name(), formula.name);
                computed[at] += 1;
                // Nearly equal values are subtracted, and a quotient has poles.
                if engine.precision() == Precision::Single && formula.name == "arash_rat" {
                    continue;
                }
                for (row, (result, expected)) in results.iter().zip(&kiln).enumerate() {
                    let off = (result - expected).abs() / expected.abs().max(scale(formula));
                    let what = format!("{} {purpose:?} of {}, row {row}", engine.name(), formula.name);
                    assert!(off <= tolerance(&**engine), "{what}: {result}, not {expected}");
                }
            }
        }
    }
    // Who falls silent is noticed.
    for (engine, computed) in engines.iter().zip(computed) {
        let least = match engine.name() {
            "kiln-blocks" => 28,
            "kiln-dual" => 28,
            "fidget" => 2 * 26,
            "fasteval" => 2 * 25,
            "exmex" => 2 * 24,
            _ => 2 * 28,
        };
        assert!(computed >= least, "{} computed {computed} of {least}", engine.name());
    }
}

#[test]
fn engines_that_are_not_there_are_named() {
    let choice = Choice { names: vec!["nothing".to_owned()], threads: NonZeroUsize::MIN, c_flags: vec![] };
    let error = engines::chosen(&choice).err().unwrap();
    assert!(error.contains("nothing") && error.contains("kiln-fast"), "{error}");
}

#[test]
fn requests_are_answered() {
    let suite = formulas(None).unwrap();
    let mut engines = engines(&["kiln", "exmex"]);
    let input =
        "kiln sum3 100\nexmex sum3 100\nexmex pred 100\nkiln nothing 100\nkiln sum3\nnobody sum3 1\nkiln sum3 0\n";
    let mut out = vec![];
    crate::serve::serve(&suite, &mut engines, input.as_bytes(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].parse::<f64>().unwrap() > 0.0 && lines[1].parse::<f64>().unwrap() > 0.0, "{text}");
    assert_eq!(lines[2], "-");
    assert!(lines[3..].iter().all(|line| line.starts_with("error ")) && lines.len() == 7, "{text}");
}
