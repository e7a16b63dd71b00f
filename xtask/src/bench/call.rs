//! Nanoseconds per scalar call: typed, dynamic, and Rust functions called through a pointer beside them.

use super::{Formula, mean, median};
use kiln::{Engine, Return, Type, TypedFunction, Value};
use std::hint::black_box;
use std::time::Instant;

/// Rows per round: more than a branch predictor remembers.
const ROWS: usize = 1 << 16;

/// Evaluates all rows and stores the results.
type Runner = Box<dyn FnMut()>;

pub(super) fn run(formulas: &[Formula], rounds: usize) -> Result<(), String> {
    let engine = Engine::new();
    println!(
        "\nnanoseconds per call, medians of {rounds} interleaved rounds of {ROWS} rows of inputs; results stored\n"
    );
    println!("| formula | typed | dynamic | Rust function | typed / Rust |\n|---|---|---|---|---|");
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for formula in formulas {
        let mut runners = runners(&engine, formula).map_err(|error| format!("{}: {error}", formula.name))?;
        let mut times = vec![Vec::new(); runners.len()];
        for _ in 0..rounds {
            for (runner, times) in runners.iter_mut().zip(&mut times) {
                let start = Instant::now();
                runner();
                times.push(start.elapsed().as_secs_f64() * 1e9 / ROWS as f64);
            }
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        let (typed, dynamic) = (medians[0], medians[1]);
        let rust = medians.get(2).map_or("| - | - |".to_owned(), |rust| format!("| {rust:.2} | {:.2} |", typed / rust));
        println!("| {} | {typed:.2} | {dynamic:.2} {rust}", formula.name);
        all[0].push(typed);
        all[1].push(dynamic);
        all[2].extend(medians.get(2).map(|rust| typed / rust));
    }
    let [typed, dynamic, ratio] = all.map(|values| mean(values.into_iter()));
    println!("| **geometric mean** | {typed:.2} | {dynamic:.2} | | {ratio:.2} |");
    Ok(())
}

/// Typed, dynamic, and where there is one the Rust function.
fn runners(engine: &Engine, formula: &Formula) -> Result<Vec<Runner>, String> {
    let names: Vec<&str> = formula.inputs.iter().map(|input| input.0.as_str()).collect();
    let list = names.join(", ");
    let function = engine.formula(&formula.text).params(&list).compile().map_err(|error| error.to_string())?;
    let columns: Vec<Vec<f64>> =
        (0..names.len()).map(|i| column(i as u64 + 1, formula.inputs[i].1, formula.inputs[i].2, ROWS)).collect();
    let typed = match function.result_type() {
        Type::Bool => typed::<bool>(engine, formula, &list, &columns),
        _ => typed::<f64>(engine, formula, &list, &columns),
    }?;
    let rows: Vec<Vec<Value>> = (0..ROWS).map(|row| columns.iter().map(|c| Value::F64(c[row])).collect()).collect();
    let mut out = vec![Value::F64(0.0); ROWS];
    let dynamic = move || {
        for (out, row) in out.iter_mut().zip(&rows) {
            if let Ok(value) = function.call(row) {
                *out = value;
            }
        }
        black_box(&out);
    };
    let mut runners: Vec<Runner> = vec![typed, Box::new(dynamic)];
    runners.extend(peer(&formula.name, &columns));
    Ok(runners)
}

/// Evenly distributed numbers, the same in every run.
pub(super) fn column(seed: u64, low: f64, high: f64, rows: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..rows).map(|_| low + (high - low) * next()).collect()
}

/// A loop over the rows that calls `f` with as many columns as it takes.
macro_rules! rows {
    ($columns:ident, $zero:expr, |$($x:ident $i:literal),+| $call:expr) => {{
        $(let $x = $columns[$i].clone();)+
        let mut out = vec![$zero; ROWS];
        Box::new(move || {
            for row in 0..ROWS {
                $(let $x = $x[row];)+
                out[row] = $call;
            }
            black_box(&out);
        }) as Runner
    }};
}

macro_rules! arities {
    ($($count:literal: $($x:ident $i:literal $ty:ty),+;)*) => {
        fn typed<R: Return + Default + Clone + 'static>(
            engine: &Engine, formula: &Formula, list: &str, columns: &[Vec<f64>],
        ) -> Result<Runner, String> {
            let text = engine.formula(&formula.text).params(list);
            match columns.len() {
                $($count => {
                    let f: TypedFunction<fn($($ty),+) -> R> = text.compile_typed().map_err(|error| error.to_string())?;
                    Ok(rows!(columns, R::default(), |$($x $i),+| f.call($($x),+)))
                })*
                count => Err(format!("{count} inputs")),
            }
        }
    };
}
arities! {
    1: a 0 f64;
    2: a 0 f64, b 1 f64;
    3: a 0 f64, b 1 f64, c 2 f64;
    4: a 0 f64, b 1 f64, c 2 f64, d 3 f64;
    5: a 0 f64, b 1 f64, c 2 f64, d 3 f64, e 4 f64;
    6: a 0 f64, b 1 f64, c 2 f64, d 3 f64, e 4 f64, f_ 5 f64;
    7: a 0 f64, b 1 f64, c 2 f64, d 3 f64, e 4 f64, f_ 5 f64, g 6 f64;
}

/// The same formula as a Rust function, called through a pointer that the compiler cannot see through.
fn peer(name: &str, columns: &[Vec<f64>]) -> Option<Runner> {
    macro_rules! peers {
        ($($name:literal |$($x:ident $i:literal),+| -> $result:ty $body:block)*) => {
            match name {
                $($name => {
                    extern "C" fn function($($x: f64),+) -> $result $body
                    let pointer = black_box(function as extern "C" fn($(peers!(@f64 $x)),+) -> $result);
                    Some(rows!(columns, <$result>::default(), |$($x $i),+| pointer($($x),+)))
                })*
                _ => None,
            }
        };
        (@f64 $x:ident) => { f64 };
    }
    peers! {
        "add5mul3" |x 0| -> f64 { (x + 5.0) * 3.0 }
        "sum3" |x 0, y 1, z 2| -> f64 { x + y + z }
        "lin2" |x 0, y 1| -> f64 { 2.0 * x + 3.0 * y }
        "poly10_horner" |x 0| -> f64 {
            1.0 + x * (2.0 - x * (3.0 + x * (4.0 - x * (5.0 + x * (6.0 - x * (7.0 + x * (8.0 - x * (9.0 + x * (10.0 - x * 11.0)))))))))
        }
        "hypot" |x 0, y 1| -> f64 { (x * x + y * y).sqrt() }
        "gauss" |x 0| -> f64 { (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() }
        "sincos" |x 0| -> f64 { let (s, c) = (x.sin(), x.cos()); s * s + c * c }
        "cond" |x 0, y 1| -> f64 { if x < y { x * 2.0 } else { y / 3.0 } }
        "pred" |x 0, y 1, z 2| -> bool { x > 0.5 && y * z < 0.25 }
        "logistic" |x 0| -> f64 { 1.0 / (1.0 + (-x).exp()) }
        "softplus" |x 0| -> f64 { (1.0 + x.exp()).ln() }
        "tpch" |p 0, d 1, t 2| -> f64 { p * (1.0 - d) * (1.0 + t) }
        "rosenbrock" |x 0, y 1| -> f64 { let (a, b) = (1.0 - x, y - x * x); a * a + 100.0 * (b * b) }
        "himmelblau" |x 0, y 1| -> f64 { let (a, b) = (x * x + y - 11.0, x + y * y - 7.0); a * a + b * b }
        "powxy" |x 0, y 1| -> f64 { x.powf(y) }
        "clampmm" |x 0| -> f64 { (x * 1.5).clamp(-1.0, 1.0) }
    }
}
