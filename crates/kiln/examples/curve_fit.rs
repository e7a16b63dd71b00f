//! Fits a curve whose formula arrives as text: `cargo run --example curve_fit -- "a * exp(-b * t) + c"`.
//!
//! The formula is compiled once and called thousands of times, by the Gauss-Newton method with damping. Its inputs
//! besides `t` are what is fitted.

#![allow(clippy::print_stdout, reason = "an example prints")]

use kiln::{Engine, Function, Value};

/// What was measured: `2.5 exp(-1.3 t) + 0.5` with a little noise.
fn measurements() -> Vec<(f64, f64)> {
    let noise = |i: u32| f64::from(i * 37 % 17) / 17.0 - 0.5;
    (0..40).map(|i| (f64::from(i) / 10.0, 2.5 * (-1.3 * f64::from(i) / 10.0).exp() + 0.5 + 0.01 * noise(i))).collect()
}

/// Differences between the data and the formula.
fn residuals(f: &Function, data: &[(f64, f64)], parameters: &[f64]) -> Result<Vec<f64>, kiln::RunError> {
    let mut args: Vec<Value> = [0.0].iter().chain(parameters).map(|&v| Value::F64(v)).collect();
    let residual = |&(t, y): &(f64, f64)| {
        args[0] = Value::F64(t);
        f.call(&args).map(|v| if let Value::F64(v) = v { y - v } else { f64::NAN })
    };
    data.iter().map(residual).collect()
}

/// Solves a small system of linear equations by elimination.
fn solve(mut m: Vec<Vec<f64>>, mut v: Vec<f64>) -> Vec<f64> {
    let n = v.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs())).unwrap_or(i);
        m.swap(i, pivot);
        v.swap(i, pivot);
        for row in i + 1..n {
            let factor = m[row][i] / m[i][i];
            for column in i..n {
                m[row][column] -= factor * m[i][column];
            }
            v[row] -= factor * v[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| m[i][k] * v[k]).sum();
        v[i] = (v[i] - known) / m[i][i];
    }
    v
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).unwrap_or_else(|| "a * exp(-b * t) + c".to_owned());
    let engine = Engine::new();
    // A first look at the formula finds the names; the second puts `t` in front.
    let names: Vec<String> = engine.compile(&text)?.params().iter().map(|p| p.name.clone()).filter(|n| n != "t").collect();
    let f = names.iter().fold(engine.formula(&text).input("t", None), |f, name| f.input(name, None)).compile()?;

    let data = measurements();
    let mut p = vec![1.0; names.len()];
    let mut damping = 1e-3;
    let square = |r: &[f64]| r.iter().map(|r| r * r).sum::<f64>();
    let mut r = residuals(&f, &data, &p)?;
    for _ in 0..100 {
        let mut columns = Vec::new();
        for k in 0..p.len() {
            let h = 1e-6 * p[k].abs().max(1e-3);
            let mut q = p.clone();
            q[k] += h;
            let moved = residuals(&f, &data, &q)?;
            columns.push(r.iter().zip(&moved).map(|(a, b)| (a - b) / h).collect::<Vec<f64>>());
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut normal: Vec<Vec<f64>> = columns.iter().map(|a| columns.iter().map(|b| dot(a, b)).collect()).collect();
        for (k, row) in normal.iter_mut().enumerate() {
            row[k] *= 1.0 + damping;
        }
        let step = solve(normal, columns.iter().map(|c| dot(c, &r)).collect());
        let tried: Vec<f64> = p.iter().zip(&step).map(|(p, s)| p + s).collect();
        let next = residuals(&f, &data, &tried)?;
        if square(&next) < square(&r) {
            (p, r, damping) = (tried, next, damping / 10.0);
        } else {
            damping *= 10.0;
        }
    }
    println!("y = {text}");
    for (name, value) in names.iter().zip(&p) {
        println!("  {name} = {value:.4}");
    }
    println!("  mean error {:.4}", (square(&r) / data.len() as f64).sqrt());
    Ok(())
}
