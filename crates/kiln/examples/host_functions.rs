//! Formulas that call functions of this program: pure ones, ones that can fail, and ones with effects.

#![allow(clippy::print_stdout, reason = "an example prints")]

use kiln::{Engine, Host, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::new();

    // Depends on its argument alone: calls with equal arguments may be shared.
    engine.register(Host::new("dew_point", |t: f64, humidity: f64| t - (100.0 - humidity) / 5.0).pure())?;

    // Can fail: the formula's result is then an error that says where.
    let prices = HashMap::from([(1_i64, 9.5), (2, 20.0)]);
    let price = move |item: i64| prices.get(&item).copied().ok_or_else(|| format!("there is no item {item}"));
    engine.register(Host::new("price", price))?;

    // Has an effect: every call that is written happens, in order, in the branch that is taken.
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = log.clone();
    engine.register(Host::new("trace", move |x: f64| {
        if let Ok(mut log) = writer.lock() {
            log.push(x);
        }
        x
    }))?;

    let f = engine.compile("dew_point(t, 60) + trace(t * 2)")?;
    println!("{f:?}\n  of 21.5: {}", f.call(&[Value::F64(21.5)])?);

    let text = "|item: i64, n: i64| trace(n * price(item)) * if(n >= 10, 0.9, 1)";
    let f = engine.compile(text)?;
    println!("{text}\n  of 2, 12: {}", f.call(&[Value::I64(2), Value::I64(12)])?);
    if let Err(error) = f.call(&[Value::I64(7), Value::I64(1)]) {
        println!("  of 7, 1: {error}, in `{}`", error.span().map_or("", |span| span.text(text)));
    }
    println!("traced: {:?}", log.lock().map_or(Vec::new(), |log| log.clone()));
    Ok(())
}
