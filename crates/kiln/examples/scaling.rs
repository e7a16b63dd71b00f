//! How the time to compile grows with the text: for each kind of text, the time at n parts and its ratio to that at
//! n/2. A ratio near 2 is linear. Run it with `--release`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use kiln::Engine;
use std::time::Instant;

type Make = fn(usize) -> String;

fn join(n: usize, separator: &str, part: impl Fn(usize) -> String) -> String {
    (0..n).map(part).collect::<Vec<_>>().join(separator)
}

fn nest(n: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

const KINDS: [(&str, Make); 14] = [
    ("one name", |n| join(n, "+", |_| "x".into())),
    ("names", |n| join(n, "+", |i| format!("a{i}"))),
    ("constants", |n| join(n, "+", |i| format!("x*{i}.25"))),
    ("lets", |n| join(n, ";", |i| format!("let b{i}=x+{i}")) + ";x"),
    ("equal calls", |n| join(n, "+", |_| "exp(x)".into())),
    ("different calls", |n| join(n, "+", |i| format!("sin(x*{i})"))),
    ("parentheses", |n| nest(n, "(x+", "x", ")")),
    ("unary", |n| nest(n, "-", "x", "")),
    ("powers", |n| nest(n, "x^", "x", "")),
    ("conditions", |n| nest(n, "if(x>0,x+", "1", ",2)")),
    ("choices", |n| join(n, "+", |i| format!("if(x>{i},x/{i},x)"))),
    ("untyped literals", |n| join(n, "+", |i| i.to_string()) + "+x"),
    ("errors", |n| join(n, "+", |_| "x x".into())),
    ("unknown functions", |n| join(n, "+", |i| format!("g{i}(x)"))),
];

fn main() {
    let n = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    for (name, make) in KINDS {
        let median = |n: usize| {
            let text = make(n);
            let engine = Engine::new();
            let mut times = [0.0; 5].map(|_: f64| {
                let start = Instant::now();
                let _ = std::hint::black_box(engine.compile(&text));
                start.elapsed().as_secs_f64()
            });
            times.sort_by(f64::total_cmp);
            times[2]
        };
        let (half, whole) = (median(n / 2), median(n));
        println!("{name:18} {:9.2} ms, {:5.2} times the half", whole * 1e3, whole / half);
    }
}
