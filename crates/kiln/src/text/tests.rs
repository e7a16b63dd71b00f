//! Tests of the reader: shapes of trees, repairs, hostile input, linear time, no stack.

use super::*;
use crate::pipeline::Request;
use std::time::{Duration, Instant};

fn front() -> FrontEnd {
    FrontEnd::new(["sin", "log", "max", "fact"].into_iter())
}

fn tree(source: &str) -> String {
    let mut front = front();
    front.parse(source, Limits::default());
    let all = front.sink.take();
    assert!(all.is_empty(), "{source}: {all:?}");
    front.ast.dump(&front.symbols)
}

fn problems(source: &str) -> Vec<Diagnostic> {
    let mut front = front();
    front.parse(source, Limits::default());
    front.sink.take()
}

#[test]
fn trees() {
    #[rustfmt::skip]
    let table = [
        ("1+2*3", "(+ 1 (* 2 3))"), ("(1+2)*3", "(* (+ 1 2) 3)"), ("a-b-c", "(- (- a b) c)"),
        ("-x^2", "(- (^ x 2))"), ("2^-1", "(^ 2 (- 1))"), ("2^3^2", "(^ 2 (^ 3 2))"), ("2**3", "(^ 2 3)"),
        ("2^-x^2", "(^ 2 (- (^ x 2)))"), ("2^-x*y", "(* (^ 2 (- x)) y)"), ("-a*b", "(* (- a) b)"),
        ("a/b//c%d", "(% (// (/ a b) c) d)"), ("~a<<b+c", "(<< (~ a) (+ b c))"), ("a|b&c", "(| a (& b c))"),
        ("a&b == c|d", "(== (& a b) (| c d))"), ("not a == b", "(not (== a b))"), ("!a == b", "(== (not a) b)"),
        ("a or b and not c", "(or a (and b (not c)))"), ("a||b&&c", "(or a (and b c))"),
        ("0<x<1", "(chain 0 x < 1 <)"), ("a<b<=c!=d", "(chain a b < c <= d !=)"), ("(a<b)<c", "(< (< a b) c)"),
        ("a ≤ b", "(<= a b)"), ("a<b and c<d", "(and (< a b) (< c d))"),
        ("c?a:b", "(if c a b)"), ("a?b:c?d:e", "(if a b (if c d e))"), ("a?b?c:d:e", "(if a (if b c d) e)"),
        ("x<1?a+1:b+1", "(if (< x 1) (+ a 1) (+ b 1))"), ("(a?b:c)?d:e", "(if (if a b c) d e)"),
        ("if(c,a,b)", "(if c a b)"), ("where(c,a,b)", "(if c a b)"), ("if(c,a,b)+1", "(+ (if c a b) 1)"),
        ("if c {a} else {b}", "(if c a b)"), ("if (c) {a} else {b}", "(if c a b)"), ("if (c) and d {a} else {b}", "(if (and c d) a b)"),
        ("if c {a}\nelse if d {b}\n else {e} + 1", "(+ (if c a (if d b e)) 1)"),
        ("if c {let t=a; t} else {b}", "(if c (block (let t a) t) b)"),
        ("if c {\n let t=a\n t\n} else {\n b\n}", "(if c (block (let t a) t) b)"),
        ("if c {a} else {let t=b\nt*t}", "(if c a (block (let t b) (* t t)))"),
        ("if a {b} else if c {let t=1;t} else {d}", "(if a b (if c (block (let t 1) t) d))"),
        ("if (a, b, c) + 1", "(+ (if a b c) 1)"),
        ("max(a,b+1,c)", "(max a (+ b 1) c)"), ("f()", "(f)"), ("f(g(x),y)", "(f (g x) y)"), ("var(x)", "(var x)"),
        ("let a=1; let b=a+1\na*b", "(let a 1) (let b (+ a 1)) (* a b)"),
        ("let a =\n 1 +\n 2\n\n a", "(let a (+ 1 2)) a"), ("(a\n+b)", "(+ a b)"), ("max(a\n,b)", "(max a b)"),
        ("|x: f64, n: i32| x*n", "(* x n)"), ("|| 3", "3"), ("|x|\nx", "x"), ("\u{feff}x", "x"),
        ("`any column` + 1", "(+ any column 1)"), ("π*r # area", "(* π r)"), ("x # c\n", "x"), (";;x;;", "x"),
        ("7//2 # not a comment", "(// 7 2)"), ("- -x", "(- (- x))"), ("+x", "(+ x)"), ("größe", "größe"), ("∞", "∞"),
        ("0xff + 0b101 + 0o17 + 1_000", "(+ (+ (+ 255 5) 15) 1000)"), ("1f32 + 2i64", "(+ 1f32 2i64)"),
        (".5 + 5. + 1e3 + 1E-3 + 1.5", "(+ (+ (+ (+ 0.5 5.0) 1000.0) 0.001) 1.5)"), ("2.5f32", "2.5f32"),
        ("1_0.2_5e1_0", "102500000000.0"), ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e19"), ("0xffff_ffff", "4294967295"),
    ];
    for (source, expected) in table {
        assert_eq!(tree(source), format!("(program {expected})"), "{source}");
    }
}

#[test]
fn numbers_are_correctly_rounded() {
    let mut front = front();
    #[rustfmt::skip]
    let table = ["0.1", "0.3", "0.7", "1.7", "2.3", "9.9", "0.319381530", "123456789012345678", "9007199254740993", "9007199254740992.5", "1e22", "1e23", "1.7976931348623157e308",
        "2.2250738585072011e-308", "5e-324", "0.30000000000000004", "3.14159265358979323846264338327950288", "8.5e-22",
        "0.000000000000000000000000000000123", "100000000000000000000000", "1e-5", "179769313486231580793e288", "0e999", "1.e5", ".5e1"];
    for text in table {
        front.parse(text, Limits::default());
        assert!(front.sink.take().is_empty(), "{text}");
        assert_eq!(front.ast.literals[0].value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

/// A wrong formula of `testdata/errors` and what is said about it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Problem {
    pub(super) formula: String,
    /// The default type of inputs.
    #[serde(default, rename = "type")]
    pub(super) ty: Option<String>,
    /// One of the diagnostics has this code, and of the first one that has it,
    code: String,
    /// this is the text under the span,
    at: String,
    /// and these are parts of the message and of the help,
    #[serde(default)]
    message: String,
    #[serde(default)]
    help: String,
    /// and this is the formula after its repair.
    fixed: Option<String>,
}

/// The cases of a file.
pub(super) fn cases(text: &str) -> Vec<Problem> {
    #[derive(serde::Deserialize)]
    struct File {
        cases: Vec<Problem>,
    }
    toml::from_str::<File>(text).unwrap().cases
}

/// What is wrong with what was said about a problem.
pub(super) fn mismatch(problem: &Problem, all: &[Diagnostic]) -> Option<String> {
    let Problem { formula, code, at, message, help, fixed, .. } = problem;
    well_formed(formula, all);
    let Some(d) = all.iter().find(|d| d.code == code) else {
        return Some(format!("{formula:?}: no {code}: {all:?}\n"));
    };
    let mut repaired = formula.clone();
    if let Some(fix) = &d.fix {
        repaired.replace_range(fix.span.start as usize..fix.span.end as usize, &fix.replacement);
    }
    let right = d.span.text(formula) == at
        && d.message.contains(message)
        && d.help.as_deref().unwrap_or("").contains(help)
        && fixed.as_ref().is_none_or(|fixed| *fixed == repaired);
    (!right).then(|| format!("{formula:?}: at {:?}, repaired {repaired:?}\n  {d:?}\n", d.span.text(formula)))
}

#[test]
fn every_problem_has_code_place_help_and_repair() {
    let cases = cases(include_str!("../../../../testdata/errors/syntax.toml"));
    let wrong: String = cases.iter().filter_map(|case| mismatch(case, &problems(&case.formula))).collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() > 90);
}

/// What holds for the diagnostics of any text.
pub(super) fn well_formed(source: &str, all: &[Diagnostic]) {
    for d in all {
        let root = d.code.split('/').next().unwrap();
        assert!(crate::span::CODES.contains(&root), "{}", d.code);
        assert!(d.message.len() < 500 && !d.message.chars().any(char::is_control), "{d:?}");
        assert!(d.span.start <= d.span.end && d.span.end as usize <= source.len(), "{d:?}");
        assert!(
            source.is_char_boundary(d.span.start as usize) && source.is_char_boundary(d.span.end as usize),
            "{source:?} {d:?}"
        );
        let text = d.render_plain(source);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    }
}

/// The tree is in post-order, every subtree a contiguous range, the last node the program.
fn valid(ast: &ast::Ast) {
    let last = ast.nodes.last().expect("a program");
    assert_eq!((last.kind, last.first), (ast::Kind::Program, 0));
    let mut covered = 0usize;
    for (i, node) in ast.nodes.iter().enumerate() {
        assert!(node.first as usize <= i && node.start <= node.end, "{node:?}");
        let children = ast.children_reversed(i as u32);
        let mut expected = i as u32;
        for child in children {
            assert_eq!(child + 1, expected);
            expected = ast.nodes[child as usize].first;
            covered += 1;
        }
        assert_eq!(expected, node.first, "{i} {node:?}");
    }
    assert_eq!(covered + 1, ast.nodes.len(), "every node but the last has one parent");
}

#[test]
fn any_tokens_in_any_order() {
    // All sequences of up to 3 of these, and a great number of longer ones.
    #[rustfmt::skip]
    let words = ["a", "1", "+", "-", "not ", "^", "<", "&", "(", ")", "[", "]", "{", "}", ",", ";", "\n", "?", ":", "=", "if", "if(",
        " else ", "let ", "f(", "..", "and ", "|", "!", "for ", "fn ", "where(", "`b`", "×", "var(", "%"];
    let mut front = front();
    let mut check = |source: &str| {
        front.parse(source, Limits::default());
        valid(&front.ast);
        well_formed(source, &front.sink.take());
    };
    let n = words.len();
    for i in 0..n * n * n {
        check(&[words[i % n], words[i / n % n], words[i / n / n]].join(" "));
    }
    let mut state = 1u64;
    for _ in 0..30_000 {
        let mut source = String::new();
        for _ in 0..state % 23 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            source.push_str(words[(state >> 33) as usize % n]);
        }
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407) >> 1;
        check(&source);
    }
}

type Generator = (&'static str, fn(usize) -> String);

/// Texts of about n parts, of every shape that once made somebody's parser quadratic or overflow its stack.
#[rustfmt::skip]
const GENERATORS: &[Generator] = &[
    ("flat sum", |n| vec!["x"; n].join("+")),
    ("parentheses", |n| "(".repeat(n) + "x" + &")".repeat(n)),
    ("unary chain", |n| "-".repeat(n) + "x"),
    ("not chain", |n| "not ".repeat(n) + "x"),
    ("powers", |n| vec!["x"; n].join("^")),
    ("calls", |n| "sin(".repeat(n) + "x" + &")".repeat(n)),
    ("ifs", |n| "if(c,".repeat(n) + "x" + &",1)".repeat(n)),
    ("ifs in conditions", |n| "if(".repeat(n) + "x>0" + &",1,2)>0".repeat(n)),
    ("ternaries", |n| "c?x:".repeat(n) + "x"),
    ("left ternaries", |n| "(".repeat(n) + "c" + &"?1:2)>0".repeat(n)),
    ("else if", |n| "if c {x} else ".repeat(n) + "if c {x} else {y}"),
    ("nested blocks", |n| "if c { let a = 1; ".repeat(n) + "x" + &" } else { 1 }".repeat(n)),
    ("lets", |n| (0..n).map(|i| format!("let a{} = a{} + a{0};", i + 1, i)).collect::<String>() + "a0"),
    ("untyped lets", |n| "let a0 = 1;".to_owned() + &(0..n).map(|i| format!("let a{} = a{} + a{0};", i + 1, i)).collect::<String>() + "x + a" + &n.to_string()),
    ("names", |n| (0..n).map(|i| format!("name{i}")).collect::<Vec<_>>().join("+")),
    ("unknown functions", |n| (0..n).map(|i| format!("unknown{i}(x)")).collect::<Vec<_>>().join("+")),
    ("unclosed", |n| "(".repeat(n)),
    ("unclosed calls", |n| "f(".repeat(n)),
    ("unclosed blocks", |n| "if c {".repeat(n)),
    ("unopened", |n| ")".repeat(n)),
    ("errors", |n| "a b = × ".repeat(n)),
    ("mixed brackets", |n| "([{".repeat(n) + &")]}".repeat(n)),
    ("comment", |n| "x #".to_owned() + &"y".repeat(n)),
    ("comments", |n| "# x\n".repeat(n) + "x"),
    ("lines", |n| "x\n".repeat(n)),
    ("comparisons", |n| vec!["x"; n].join("<")),
    ("arguments", |n| "max(".to_owned() + &vec!["x"; n.min(60_000)].join(",") + ")"),
    ("digits", |n| "1".repeat(n)),
    ("right-deep", |n| "x*(y+".repeat(n) + "x" + &")".repeat(n)),
    ("statements", |n| "fn f(x) = {".repeat(n)),
    ("several results", |n| "{a:".repeat(n)),
];

/// The smallest of some timings of `f`.
fn fastest(mut f: impl FnMut()) -> Duration {
    let one = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..2).map(|_| one(&mut f)).min().unwrap_or_default()
}

/// Lengths that are compared, and the most by which the times may differ. Linear is 16, quadratic 256; what noise and
/// caches add to 16 on a shared machine stays below. The bound is that of time(2n)/time(n) < 2.5, 2.5^4 for four doublings;
/// `examples/scaling.rs` prints the single ratio.
const SHORT: usize = 20_000;
const FACTOR: usize = 16;
const MOST: f64 = 39.0;

#[test]
fn time_is_linear() {
    let mut front = front();
    for (name, make) in GENERATORS {
        let (short, long) = (make(SHORT), make(FACTOR * SHORT));
        let mut ratio = f64::INFINITY;
        // A busy machine is given a second, third and fourth chance; a quadratic parser fails them all.
        for _ in 0..4 {
            let mut time = |s: &str| {
                fastest(|| {
                    front.parse(s, Limits::default());
                    front.sink.take();
                })
            };
            let (a, b) = (time(&short), time(&long));
            ratio = ratio.min((b.as_secs_f64() + 1e-4) / (a.as_secs_f64() + 1e-4));
            if ratio < MOST {
                break;
            }
        }
        assert!(ratio < MOST, "{name}: time({FACTOR}n)/time(n) = {ratio:.1}");
    }
}

#[test]
fn a_million_deep_on_a_small_stack() {
    let run = || {
        let mut front = front();
        for (name, make) in GENERATORS {
            let source = make(1_000_000);
            front.parse(&source, Limits::default());
            let all = front.sink.take();
            well_formed(&source, &all);
            assert!(front.ast.nodes.len() <= 16_000_000, "{name}");
            let copy = front.ast.clone();
            drop(copy);
        }
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn limits_are_errors() {
    let code = |source: &str, limits: Limits| {
        let mut front = front();
        front.parse(source, limits);
        valid(&front.ast);
        front.sink.take().first().map(|d| d.code)
    };
    let limits = Limits { nesting: 10, nodes: 100, source_bytes: 1000, ..Limits::default() };
    assert_eq!(code(&("(".repeat(10) + "x" + &")".repeat(10)), limits), None);
    assert_eq!(code(&("(".repeat(11) + "x" + &")".repeat(11)), limits), Some("limit/nesting"));
    assert_eq!(code(&vec!["x"; 51].join("+"), limits), Some("limit/nodes"));
    assert_eq!(code(&" ".repeat(1001), limits), Some("limit/source"));
    assert_eq!(code(&format!("max({})", vec!["x"; 70_000].join(",")), Limits::default()), Some("limit/arguments"));
    assert_eq!(problems(&"a b ".repeat(100)).len(), DIAGNOSTICS + 1);
    let bad = utf8(b"ab\xff").unwrap_err();
    assert_eq!((bad.code, bad.span), ("utf8", Span::new(2, 3)));
}

/// Parses, checks and builds.
fn check_all(front: &mut FrontEnd, builder: &mut crate::ir::build::Builder, source: &str, checked: bool) {
    builder.reset(crate::ir::build::BuildOptions { checked, ..Default::default() });
    front.parse(source, Limits::default());
    front.check(source, &Request { checked, ..check::tests::request() }, builder);
}

#[test]
fn checking_is_linear_and_needs_no_stack() {
    let run = || {
        let mut front = front();
        let mut builder = crate::ir::build::Builder::default();
        for (name, make) in GENERATORS {
            let (short, long) = (make(SHORT), make(FACTOR * SHORT));
            let mut ratio = f64::INFINITY;
            for _ in 0..4 {
                let mut time = |s: &str| {
                    fastest(|| {
                        check_all(&mut front, &mut builder, s, false);
                        front.sink.take();
                    })
                };
                let (a, b) = (time(&short), time(&long));
                ratio = ratio.min((b.as_secs_f64() + 1e-3) / (a.as_secs_f64() + 1e-3));
                if ratio < MOST {
                    break;
                }
            }
            assert!(ratio < MOST, "{name}: time({FACTOR}n)/time(n) = {ratio:.1}");
        }
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
}
