//! Programs that are long, deep or grow: time stays in proportion, no stack is needed, limits are errors.

use super::tests::request;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval;
use crate::run::clock;
use crate::text::{FrontEnd, Limits};
use std::fmt::Write as _;
use std::time::Duration;

struct Bench {
    front: FrontEnd,
    builder: Builder,
    limits: Limits,
}

impl Bench {
    fn new() -> Bench {
        let (front, builder) = (FrontEnd::new(std::iter::empty()), Builder::default());
        Bench { front, builder, limits: Limits::default() }
    }

    /// The code of the first error, or of the limit that the values met.
    fn check(&mut self, source: &str) -> Option<&'static str> {
        let limits = self.limits;
        let options = BuildOptions { node_limit: limits.nodes, ..BuildOptions::default() };
        self.builder.reset(options);
        self.front.parse(source, limits);
        self.front.check(source, &request(), &mut self.builder);
        let failed = self.front.sink.has_errors();
        let all = self.front.sink.take();
        let first = all.iter().find(|d| d.is_error() && failed).map(|d| d.code);
        first.or(self.builder.overflowed.then_some("limit/nodes"))
    }

    fn value(&mut self) -> f64 {
        let mut scratch = eval::Scratch::default();
        eval::evaluate(&self.builder.func, &[3f64.to_bits()], &mut scratch).unwrap();
        f64::from_bits(scratch.bits(self.builder.func.results[0]))
    }
}

/// `part` for each number below `n`, then `end`.
fn repeat(n: usize, part: impl Fn(&mut String, usize), end: &str) -> String {
    let mut out = String::new();
    (0..n).for_each(|i| part(&mut out, i));
    out + end
}

type Make = fn(usize) -> String;

/// Programs by their length.
const LONG: &[(&str, Make)] = &[
    ("chain of functions", |n| {
        let end = format!("fn f{n}(x) = x; f0(x)");
        repeat(n, |out, i| writeln!(out, "fn f{i}(x) = f{}(x) + 1", i + 1).unwrap(), &end)
    }),
    ("chain of functions with untyped arguments", |n| {
        let end = format!("fn f{n}(x) = x; f0(1)");
        repeat(n, |out, i| writeln!(out, "fn f{i}(k) = f{}(k) + 1", i + 1).unwrap(), &end)
    }),
    ("functions that see names", |n| {
        let define = |out: &mut String, i| writeln!(out, "let a{i} = x + {i}; fn f{i}(y) = y + a{i} + a0").unwrap();
        repeat(n, define, "") + &repeat(n, |out, i| write!(out, "f{i}(x) + ").unwrap(), "0")
    }),
    ("calls of one function", |n| {
        "fn f(x, y) = x*y + 1; ".to_owned() + &repeat(n, |out, i| write!(out, "f({i}, x) + ").unwrap(), "0")
    }),
    ("parameters", |n| {
        let params = repeat(n, |out, i| write!(out, "p{i}, ").unwrap(), "q");
        let arguments = repeat(n, |out, i| write!(out, "{i}, ").unwrap(), "x");
        format!("fn f({params}) = p0 + q; f({arguments})")
    }),
    ("functions that call the first", |n| {
        repeat(n, |out, i| writeln!(out, "fn f{i}(x) = f{}(x) + f0(x)", i + 1).unwrap(), "1")
    }),
    ("uncalled functions", |n| repeat(n, |out, i| writeln!(out, "fn f{i}(x) = x + b{i}").unwrap(), "1")),
    ("assignments", |n| "var s = x; ".to_owned() + &repeat(n, |out, i| write!(out, "s = s + {i}; ").unwrap(), "s")),
    ("variables", |n| repeat(n, |out, i| write!(out, "var v{i} = x + {i}; v{i} = v{i} + 1; ").unwrap(), "v0")),
    ("ifs", |n| {
        "var s = x; ".to_owned() + &repeat(n, |out, i| write!(out, "if x > {i} {{ s = s + 1 }}; ").unwrap(), "s")
    }),
    ("else ifs", |n| {
        let arms = repeat(n, |out, i| write!(out, "if x > {i} {{ s = {i} }} else ").unwrap(), "{ s = 5 }; s");
        format!("var s = x; {arms}")
    }),
    ("loops", |n| {
        let part = |out: &mut String, i| write!(out, "for k in 0..{} {{ s = s + k }}; ", i % 9).unwrap();
        "var s = x; ".to_owned() + &repeat(n, part, "s")
    }),
    ("jumps", |n| {
        let part = |out: &mut String, i| write!(out, "if s > {i} {{ break }}; s = s + 1; ").unwrap();
        "var s = x; for k in 0..9 { ".to_owned() + &repeat(n, part, "}; s")
    }),
    ("results", |n| "{ ".to_owned() + &repeat(n, |out, i| write!(out, "r{i}: x + {i}, ").unwrap(), "q: x }")),
    ("deep blocks", |n| {
        let open = repeat(n, |out, _| out.push_str("if x > 1 { var t = s; s = t + 1; "), "");
        format!("var s = x; {open} {}; s", "}; ".repeat(n))
    }),
];

/// The error that a program of `LONG` has.
fn expected(name: &str) -> Option<&'static str> {
    (name == "functions that call the first").then_some("recursion")
}

fn fastest(mut run: impl FnMut()) -> Duration {
    (0..3).map(|_| clock::time(&mut run)).min().unwrap_or_default()
}

#[test]
fn programs_take_time_in_proportion_and_no_stack() {
    const SHORT: usize = 1_000;
    const FACTOR: usize = 16;
    let run = || {
        let mut bench = Bench::new();
        for (name, make) in LONG {
            let (short, long) = (make(SHORT), make(FACTOR * SHORT));
            let mut ratio = f64::INFINITY;
            // What is quadratic takes 256 times as long. A busy machine is given more chances.
            for _ in 0..5 {
                let mut time = |source: &str| fastest(|| assert_eq!(bench.check(source), expected(name)));
                let (a, b) = (time(&short), time(&long));
                ratio = ratio.min((b.as_secs_f64() + 1e-3) / (a.as_secs_f64() + 1e-3));
                if ratio < 4.0 * FACTOR as f64 {
                    break;
                }
            }
            assert!(ratio < 4.0 * FACTOR as f64, "{name}: {ratio:.1} times as long for {FACTOR} times as much");
        }
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn long_chains_of_calls_work() {
    let run = || {
        let mut bench = Bench::new();
        assert_eq!(bench.check(&LONG[0].1(10_000)), None);
        assert_eq!(bench.value(), 10_003.0);
        assert_eq!(bench.check(&LONG[0].1(100_000)), None);
        assert_eq!(bench.check(&LONG[0].1(400_000)), Some("limit/inline"));
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn what_grows_without_bound_is_refused_at_once() {
    let mut bench = Bench::new();
    bench.limits.nodes = 1 << 20;
    let doubling = |n: usize, last: &str| {
        let end = format!("fn f{n}(x) = {last}; f0(x)");
        repeat(n, |out, i| writeln!(out, "fn f{i}(x) = f{0}(x) + f{0}(x + 1)", i + 1).unwrap(), &end)
    };
    let mut table = vec![(doubling(40, "x*x"), Some("limit/inline")), (doubling(10, "x*x"), None)];
    table.push((doubling(60, "sum(x for k in 0..9)"), Some("limit/inline")));
    // Each function doubles the kinds of arguments.
    let kinds = |out: &mut String, i: usize| {
        let (params, more) = ((0..=i).map(|k| format!("p{k}")).collect::<Vec<_>>().join(", "), i + 1);
        let calls = ["i32(p0)", "i64(p0)", "f32(p0)", "f64(p0)"].map(|p| format!("f{more}({params}, {p})"));
        writeln!(out, "fn f{i}({params}) = {}", calls.join(" + ")).unwrap();
    };
    let last = (0..=20).map(|k| format!("p{k}")).collect::<Vec<_>>().join(", ");
    table.push((repeat(20, kinds, &format!("fn f20({last}) = p3; f0(x)")), Some("limit/inline")));
    // Every arm assigns another variable, which is merged at each depth outside it, with and without a trace.
    for condition in ["x >", "0 >"] {
        let arm = |out: &mut String, i| write!(out, "if {condition} {i} {{ }} else {{ v{i} = 2; ").unwrap();
        let arms = repeat(20_000, arm, &"};".repeat(20_000));
        let vars = repeat(20_000, |out, i| write!(out, "var v{i} = 1; ").unwrap(), "");
        table.push((vars + &arms + "v0", Some("limit/nodes")));
    }
    // More loops than there are numbers for regions.
    table.push((LONG[11].1(40_000), Some("limit/nodes")));
    for (source, expected) in table {
        let mut found = None;
        let time = clock::time(|| found = bench.check(&source));
        let start_of = source.get(..60).unwrap_or(&source);
        assert_eq!(found, expected, "{start_of}");
        assert!(time < Duration::from_secs(8), "{start_of}: {time:?}");
    }
}
