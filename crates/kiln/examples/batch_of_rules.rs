//! A file of rules, one to a line, compiled in one go and applied to a stream of records.
//!
//! All code of a batch becomes executable at once, which is much cheaper than rule by rule. A rule that is wrong is
//! reported with its place, and the others work.

#![allow(clippy::print_stdout, reason = "an example prints")]

use kiln::{Engine, Value};
use std::time::Instant;

const RULES: &str = "\
too hot:      temperature > 80
pressure:     not (0.9 <= pressure <= 1.1)
flow:         abs(flow - 12.5) > 3 and temperature > 40
misspelt:     temprature > 80
overheating:  temperature * (1 + 0.1 * log(pressure)) > 75
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new();
    let inputs = "|temperature, pressure, flow| ";
    let start = Instant::now();
    let mut batch = engine.batch();
    let mut names = Vec::new();
    for (name, rule) in RULES.lines().filter_map(|line| line.split_once(':')) {
        match batch.add(&format!("{inputs}{}", rule.trim())) {
            Ok(_) => names.push(name),
            Err(error) => println!("rule `{name}`: {error}\n"),
        }
    }
    let rules = batch.finish()?;
    println!("{} rules compiled in {:.0?}", rules.len(), start.elapsed());

    for record in [[21.0, 1.0, 12.0], [85.0, 1.0, 12.0], [50.0, 1.3, 20.0]] {
        let args = record.map(Value::F64);
        let mut hits = Vec::new();
        for (name, rule) in names.iter().zip(&rules) {
            if let Value::Bool(true) = rule.call(&args)? {
                hits.push(*name);
            }
        }
        println!("{record:?}: {}", if hits.is_empty() { "fine".to_owned() } else { hits.join(", ") });
    }
    Ok(())
}
