//! Formulas that nobody writes: nested a million deep, a million terms long, megabytes of anything, and bytes that are
//! no text. Each is answered by a value or by an error, in bounded time, memory and stack.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use kiln::{Engine, EngineKind, Error, Value};
use std::time::Duration;
use support::engine;

/// A stack that recursion would soon use up.
const STACK: usize = 64 << 10;

/// What the largest formulas may take.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// How much smaller everything is where the compiler itself is not optimised and checks itself.
const SCALE: usize = if cfg!(debug_assertions) { 10 } else { 1 };

/// The time that this thread has computed for: what else runs on the machine does not count.
#[cfg(unix)]
fn clock() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The time since some moment.
#[cfg(not(unix))]
fn clock() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Runs on a thread with a small stack, and within the time.
fn on_small_stack(note: &str, body: impl FnOnce() + Send + 'static) {
    let timed = move || {
        body();
        clock()
    };
    let time = std::thread::Builder::new().stack_size(STACK).spawn(timed).unwrap().join();
    let time = time.unwrap_or_else(|_| panic!("{note}"));
    assert!(time < TIME, "{note} took {time:?}");
}

/// Compiles with both kinds of engine on a small stack, and checks the value for inputs that are all `x`, or that the
/// error is one about a limit.
fn answered(note: &'static str, text: String, x: f64, expected: f64) {
    for kind in [EngineKind::Interpreter, EngineKind::Jit] {
        let text = text.clone();
        on_small_stack(note, move || {
            let engine = engine(kind);
            match engine.compile(&text) {
                Ok(f) => {
                    let args: Vec<Value> = f.params().iter().map(|_| Value::F64(x)).collect();
                    let got = f.call(&args).unwrap();
                    let got = if let Value::Bool(v) = got { Value::F64(f64::from(u8::from(v))) } else { got };
                    assert!(got.same(Value::F64(expected)), "{note}: {got:?} is not {expected:?}");
                    assert!(f.clone().call(&args).is_ok());
                    assert!(!format!("{f:?}").is_empty());
                }
                Err(error) => limited(note, &error),
            }
        });
    }
}

/// The error is about a limit, and short.
fn limited(note: &str, error: &Error) {
    let codes: Vec<&str> = error.diagnostics().iter().map(|d| d.code).collect();
    assert!(!codes.is_empty() && codes.iter().all(|c| c.starts_with("limit/")), "{note}: {codes:?}");
    let _ = (error.clone(), format!("{error:?}"));
    assert!(error.to_string().len() < 2000, "{note}: {} bytes", error.to_string().len());
}

/// A million.
const DEEP: usize = 1_000_000 / SCALE;

/// `open` and `close` around `inner`, `n` times.
fn nested(n: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

#[test]
fn deep_nesting_of_parentheses() {
    answered("parentheses", nested(DEEP, "(", "x", ")"), 3.0, 3.0);
    answered("parentheses that add", nested(DEEP, "(1+", "x", ")"), 3.0, DEEP as f64 + 3.0);
    answered("parentheses that add on the right", nested(DEEP, "(", "x", "+1)"), 3.0, DEEP as f64 + 3.0);
}

#[test]
fn deep_nesting_of_operators() {
    answered("minus", nested(DEEP, "-", "x", ""), 3.0, 3.0);
    answered("minus, odd", nested(DEEP + 1, "- ", "x", ""), 3.0, -3.0);
    answered("not", nested(DEEP, "not ", "(x > 0)", ""), 3.0, 1.0);
    answered("powers", nested(DEEP, "x^", "x", ""), 1.0, 1.0);
    answered("powers of literals", nested(DEEP, "1^", "1", ""), 1.0, 1.0);
}

#[test]
fn deep_nesting_of_calls() {
    answered("calls", nested(DEEP, "abs(", "x", ")"), -3.0, 3.0);
    answered("calls of two arguments", nested(DEEP, "max(1, ", "x", ")"), 3.0, 3.0);
    answered("calls of routines", nested(DEEP / 10, "sin(", "x", ")"), 0.0, 0.0);
}

#[test]
fn deep_nesting_of_conditions() {
    answered("if as a call", nested(DEEP / 4, "if(x>0,", "x", ",0)"), 3.0, 3.0);
    answered("if as a call, the other arm", nested(DEEP / 4, "if(x<0,0,", "x", ")"), 3.0, 3.0);
    answered("conditional operator", nested(DEEP / 4, "x<0?0:", "x", ""), 3.0, 3.0);
    answered("conditional operator, the other arm", nested(DEEP / 4, "x>0?", "x", ":0"), 3.0, 3.0);
    answered("if as a block", nested(DEEP / 10, "if x > 0 {", "x", "} else {0}"), 3.0, 3.0);
    answered("if after else", format!("{}{{x}}", "if x < 0 {0} else ".repeat(DEEP / 10)), 3.0, 3.0);
    answered("condition in a condition", nested(DEEP / 10, "if(", "x>0", ",x>0,x<0)"), 3.0, 1.0);
}

/// Brackets that never close, or never opened.
#[test]
fn deep_nesting_of_nothing() {
    for text in
        ["(", ")", "[", "{", "((x", "if(", "-", "abs(", "x^", "x?", "x?x:", "if x {", "|", "`", "1+", "f(1,", "not "]
    {
        on_small_stack(text, move || {
            let error = Engine::new().compile(&text.repeat(DEEP / text.len())).unwrap_err();
            assert!(!error.diagnostics().is_empty() && error.diagnostics().len() <= 60);
            assert!(error.to_string().len() < 60_000, "{text}: {}", error.to_string().len());
        });
    }
}

/// A flat sum is no nesting: it compiles.
#[test]
fn a_million_terms() {
    for kind in [EngineKind::Interpreter, EngineKind::Jit] {
        for (operator, expected) in [(" + ", DEEP as f64), ("*", 1.0), (" - ", 2.0 - DEEP as f64)] {
            on_small_stack("a flat sum", move || {
                let f = engine(kind).compile(&vec!["x"; DEEP].join(operator)).unwrap();
                assert!(f.call(&[Value::F64(1.0)]).unwrap().same(Value::F64(expected)), "{operator}");
                assert!(f.clone().call(&[Value::F64(1.0)]).is_ok());
                assert!(format!("{f:?}").contains("Function"));
            });
        }
        on_small_stack("a flat sum of literals", move || {
            let f = engine(kind).compile(&vec!["1"; DEEP].join("+")).unwrap();
            assert!(f.call(&[]).unwrap().same(Value::F64(DEEP as f64)));
        });
        on_small_stack("a chain of comparisons", move || {
            let f = engine(kind).compile(&vec!["x"; DEEP / 10].join(" <= ")).unwrap();
            assert!(f.call(&[Value::F64(1.0)]).unwrap().same(Value::Bool(true)));
        });
        on_small_stack("a flat conjunction", move || {
            let f = engine(kind).compile(&vec!["x > 0"; DEEP / 10].join(" and ")).unwrap();
            assert!(f.call(&[Value::F64(1.0)]).unwrap().same(Value::Bool(true)));
        });
    }
    answered("a call of many arguments", format!("max({})", vec!["x"; DEEP / 10].join(",")), 2.0, 2.0);
}

/// Sums to the right keep everything alive until the end.
#[test]
fn right_deep_chains() {
    for n in [10, 100, 1000, 20_000 / SCALE as u32] {
        let mut text = String::new();
        let mut expected = 0.0;
        for i in (0..n).rev() {
            expected += (2.0 + f64::from(i)) * 2.0;
        }
        for i in 0..n {
            text.push_str(&format!("(x+{i})*x+("));
        }
        text.push('0');
        text.push_str(&")".repeat(n as usize));
        answered("a chain to the right", text, 2.0, expected);
    }
    // As many values alive at once as there are inputs, each used twice.
    let names: Vec<String> = (0..300).map(|i| format!("v{i}")).collect();
    let products: Vec<String> = names.iter().rev().map(|n| format!("({n}+1)*")).collect();
    let text = format!("{}1 + {}", products.concat(), names.join("+"));
    answered("many alive", text, 0.0, 1.0);
}

/// Texts that are large in some way; what they may cost is set by the caller.
fn bombs() -> Vec<(&'static str, String)> {
    let many = 100_000 / SCALE;
    let ten = 10_000_000 / SCALE;
    let numbered = |f: &dyn Fn(usize) -> String, join: &str| (0..many).map(f).collect::<Vec<_>>().join(join);
    vec![
        ("ten megabytes of one sum", vec!["x"; ten / 2].join("+")),
        ("ten megabytes of blanks", " ".repeat(ten) + "1"),
        ("ten megabytes of a comment", format!("1 # {}", "x".repeat(ten))),
        ("ten megabytes of one name", "x".repeat(ten)),
        ("ten megabytes of one number", "1".repeat(ten)),
        ("ten megabytes of digits after the point", format!("0.{}", "7".repeat(ten))),
        ("ten megabytes of newlines", "\n".repeat(ten) + "1"),
        ("ten megabytes of points", ".".repeat(ten)),
        ("ten megabytes of a wrong character", "$".repeat(ten)),
        ("ten megabytes of emoji", "\u{1f600}".repeat(ten / 4)),
        ("many constants", numbered(&|i| format!("x*{i}.5"), "+")),
        ("many names", numbered(&|i| format!("name{i}"), "+")),
        (
            "many lets",
            format!(
                "{};a{}",
                numbered(&|i| if i == 0 { "let a0=x".to_owned() } else { format!("let a{i}=a{}+1", i - 1) }, ";"),
                many - 1
            ),
        ),
        (
            "lets that double",
            format!(
                "{};a200",
                (0..=200)
                    .map(|i| if i == 0 { "let a0=x".to_owned() } else { format!("let a{i}=a{0}*a{0}+a{0}", i - 1) })
                    .collect::<Vec<_>>()
                    .join(";")
            ),
        ),
        (
            "untyped lets that double",
            format!(
                "{};a200*x",
                (0..=200)
                    .map(|i| if i == 0 { "let a0=1".to_owned() } else { format!("let a{i}=a{0}*a{0}-a{0}", i - 1) })
                    .collect::<Vec<_>>()
                    .join(";")
            ),
        ),
        ("one name again and again", format!("let x0=x;{}x0", "let x0=x0+1;".repeat(many))),
        ("many unknown functions", numbered(&|i| format!("fun{i}(x)"), "+")),
        ("a tower of powers", vec!["9"; many].join("^")),
        ("a tower of int powers", format!("i64(x)^{}", vec!["9"; many / 10].join("^"))),
        ("large literal powers", vec!["x^9007199254740993"; many / 10].join("+")),
        ("many equal calls", vec!["sin(x)"; many].join("+")),
        ("many different calls", numbered(&|i| format!("sin(x+{i})"), "+")),
        ("many branches", numbered(&|i| format!("if(x>{i},x/{i},x*{i})"), "+")),
        ("many errors", vec!["sin()"; many].join("+")),
        ("many ints divided", numbered(&|i| format!("i64(x)//{i}"), "+")),
        ("many conversions", format!("{}x{}", "f32(f64(".repeat(many / 2), "))".repeat(many / 2))),
    ]
}

/// Every bomb is defused in time; and in memory, which is measured in a process of its own.
#[test]
fn bombs_are_defused() {
    let mut slow = Vec::new();
    for (name, text) in bombs() {
        for kind in [EngineKind::Interpreter, EngineKind::Jit] {
            let start = clock();
            match engine(kind).compile(&text) {
                Ok(f) => {
                    let args: Vec<Value> = f.params().iter().map(|_| Value::F64(1.0)).collect();
                    f.call(&args).unwrap();
                }
                Err(error) => assert!(error.to_string().len() < 60_000, "{name}: {}", error.to_string().len()),
            }
            let time = clock() - start;
            if time >= TIME {
                slow.push(format!("{name} took {time:.1?} with {kind:?}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

#[cfg(target_os = "linux")]
#[test]
fn bombs_fit_into_memory() {
    const CEILING: u64 = 512 << 10;
    let program = std::env::current_exe().unwrap();
    let mut large = Vec::new();
    for (i, (name, _)) in bombs().iter().enumerate() {
        let mut child = std::process::Command::new(&program);
        child.args(["--exact", "bomb_in_a_child", "--nocapture"]).env("KILN_TEST_BOMB", i.to_string());
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let peak = text.lines().find_map(|l| l.strip_prefix("peak ").and_then(|n| n.parse::<u64>().ok()));
        let peak = peak.unwrap_or_else(|| panic!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        if peak >= CEILING {
            large.push(format!("{name} took {} MiB", peak >> 10));
        }
    }
    assert!(large.is_empty(), "{large:#?}");
}

/// Defuses the bomb of this number and says how much memory that took; run by the test above, without
/// whose variable it does nothing.
#[cfg(target_os = "linux")]
#[test]
#[allow(clippy::print_stdout, reason = "it is read by the parent")]
fn bomb_in_a_child() {
    let Some(i) = std::env::var("KILN_TEST_BOMB").ok().and_then(|v| v.parse::<usize>().ok()) else { return };
    let (_, text) = bombs().swap_remove(i);
    // What making the texts took does not count.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let _ = std::hint::black_box(Engine::new().compile(&text));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap().trim_end_matches("kB").trim().to_owned();
    println!("\npeak {peak}");
}

/// Limits are options, and each has its own error.
#[test]
fn limits_are_options() {
    let code = |adjust: fn(&mut kiln::Limits), text: &str| {
        let mut options = kiln::Options::default();
        adjust(&mut options.limits);
        let error = Engine::with_options(options).unwrap().compile(text).unwrap_err();
        limited(text, &error);
        error.diagnostics()[0].code
    };
    assert_eq!(code(|l| l.source_bytes = 10, "x + x + x + x"), "limit/source");
    assert_eq!(code(|l| l.nesting = 10, &nested(50, "(", "x", ")")), "limit/nesting");
    assert_eq!(code(|l| l.nesting = 10, &nested(50, "abs(", "x", ")")), "limit/nesting");
    assert_eq!(code(|l| l.nodes = 10, &(0..50).map(|i| format!("x*{i}")).collect::<Vec<_>>().join("+")), "limit/nodes");
}

fn diagnostics(source: &[u8]) -> Vec<kiln::Diagnostic> {
    match Engine::new().formula_bytes(source).compile() {
        Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(source)),
        Err(error) => {
            // Nothing that a terminal obeys, that hides or that reorders, comes out.
            for text in [error.to_string()].into_iter().chain(error.diagnostics().iter().map(|d| d.message.clone())) {
                let bad = |c: char| {
                    (c.is_control() && c != '\n')
                        || ('\u{200b}'..='\u{200f}').contains(&c)
                        || ('\u{202a}'..='\u{202e}').contains(&c)
                        || ('\u{2066}'..='\u{2069}').contains(&c)
                        || c == '\u{feff}'
                };
                assert!(!text.contains(bad), "{text:?}");
            }
            for d in error.diagnostics() {
                assert!(
                    d.message.len() < 500 && d.help.as_ref().is_none_or(|h| h.len() < 500),
                    "{} bytes",
                    d.message.len()
                );
                assert!(
                    d.span.start <= d.span.end && d.span.end as usize <= source.len().max(1),
                    "{:?} of {}",
                    d.span,
                    source.len()
                );
            }
            error.diagnostics().to_vec()
        }
    }
}

/// Text that is none, or looks like other text.
#[test]
fn strange_characters_are_pointed_at() {
    // NUL, escapes, marks that reorder, invisible ones.
    for (source, at) in [
        ("x + \0", 4),
        ("\0", 0),
        ("x \u{1b}[31m + 1", 2),
        ("x \u{202e}+ 1", 2),
        ("x + \u{200b}1", 4),
        ("1 + \u{7}", 4),
        ("x \u{2066}+ 1", 2),
        ("1 + \u{ad}2", 4),
        ("x + 1 \u{feff}+ 2", 6),
        ("x × 2", 2),
        ("x − 2", 2),
        ("x ÷ 2", 2),
        ("“x”", 0),
        ("x + ２", 4),
        ("x + ٣", 4),
        ("1，2", 1),
        ("x\u{85}y", 1),
        ("\u{1f600} + x", 0),
        ("x + $", 4),
        ("x @ y", 2),
        ("x + \u{10ffff}", 4),
    ] {
        let found = diagnostics(source.as_bytes());
        assert_eq!(found[0].span.start, at, "{source:?}: {found:?}");
    }
    // An error after characters of many bytes is pointed at by character.
    let source = "π + 😀";
    let error = Engine::new().compile(source).unwrap_err();
    assert!(error.to_string().contains("1:5"), "{error}");
    let error = Engine::new().compile("é + ünknown(1)").unwrap_err();
    assert!(error.to_string().contains("1:5"), "{error}");
    // A byte order mark in front is no part of the formula.
    assert!(Engine::new().compile("\u{feff}1 + 1").unwrap().call(&[]).unwrap().same(Value::F64(2.0)));
    // A letter that looks like another, Cyrillic here, is never taken for it.
    assert_eq!(diagnostics("a + а".as_bytes())[0].code, "char/look-alike");
    // So is the same letter written in another way.
    assert_eq!(diagnostics("é + e\u{301}".as_bytes())[0].code, "char/not-normal");
}

#[test]
fn bytes_that_are_no_text() {
    for (source, at) in [
        (&b"x + \xff"[..], 4),
        (b"\xc0\x80", 0),
        (b"x\x80", 1),
        (b"\xed\xa0\x80", 0),
        (b"1 + \xf0\x9f\x98", 4),
        (b"\xf5\x80\x80\x80", 0),
        (b"# \xe9\n1", 2),
    ] {
        let found = diagnostics(source);
        assert_eq!((found[0].code, found[0].span.start), ("utf8", at), "{source:?}");
    }
}

/// Random bytes, random tokens and damaged formulas give a value or an error, and never a panic.
#[test]
fn damaged_text_is_answered() {
    const TOKENS: [&str; 60] = [
        "x", "y", "1", "2.5", "(", ")", "[", "]", "{", "}", ",", ";", "\n", "+", "-", "*", "/", "//", "%", "^", "**",
        "<", "<=", "==", "=", "!=", "!", "~", "&", "|", "&&", "||", "<<", ">>", "?", ":", "if", "else", "let", "fn",
        "for", "in", "while", "var", "not", "and", "or", "sin", "max", "if(", "f64(", "0x", "1e", "..", "..=", "`",
        "#", "true", "i32", "é",
    ];
    let engine = Engine::new();
    let mut random = support::Random(17);
    let seeds = [
        "let r = hypot(x, y); lerp(r, 1/r, 0.25)",
        "|x: f64, n: i32| x * n",
        "if x < 0 { -x } else if x > 1 { 1 } else { x }",
        "0 < x <= 1e-3 and not (y == 2)",
        "fn sq(a) = a*a\nsq(x) + sq(y)",
        "sum(x^k / fact(k) for k in 0..=20)",
        "{ r: x + 1, s: y }",
        "var i = 0\nwhile i < 3 { i = i + 1 }\ni",
        "`a b` + 0xff - .5e3",
    ];
    for round in 0..6000 {
        let mut bytes: Vec<u8> = Vec::new();
        match round % 3 {
            0 => (0..random.below(40)).for_each(|_| {
                bytes.extend(TOKENS[random.below(TOKENS.len())].bytes());
                if random.below(3) > 0 {
                    bytes.push(b' ');
                }
            }),
            1 => (0..random.below(30)).for_each(|_| bytes.push(random.next() as u8)),
            _ => {
                bytes.extend(seeds[random.below(seeds.len())].bytes());
                for _ in 0..1 + random.below(3) {
                    let at = random.below(bytes.len());
                    match random.below(4) {
                        0 => bytes[at] = random.next() as u8,
                        1 => drop(bytes.remove(at)),
                        2 => bytes.truncate(at + 1),
                        _ => bytes.insert(at, TOKENS[random.below(TOKENS.len())].as_bytes()[0]),
                    }
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if let Err(error) = engine.formula_bytes(&bytes).compile() {
                assert!(!error.diagnostics().is_empty());
                let rendered = error.to_string();
                assert!(rendered.len() < 1000 * error.diagnostics().len(), "{rendered}");
            }
        }));
        assert!(outcome.is_ok(), "{text:?}");
    }
}

/// Twice the text takes about twice the time. (`examples/scaling.rs` prints the ratios; here is only what no noise
/// explains: something quadratic takes thirty-two times as long for thirty-two times the text, and more.)
#[test]
#[allow(clippy::type_complexity, reason = "a table of closures")]
fn nothing_is_quadratic() {
    type Make = fn(usize) -> String;
    let generators: Vec<(&str, Make)> = vec![
        ("sum", |n| vec!["x"; n].join("+")),
        ("names", |n| (0..n).map(|i| format!("a{i}")).collect::<Vec<_>>().join("+")),
        ("constants", |n| (0..n).map(|i| format!("x*{i}.25")).collect::<Vec<_>>().join("+")),
        ("lets", |n| (0..n).map(|i| format!("let b{i}=x+{i}")).collect::<Vec<_>>().join(";") + ";x"),
        ("parentheses", |n| nested(n, "(x+", "x", ")")),
        ("errors", |n| vec!["x x"; n].join("+")),
        ("unknown functions", |n| (0..n).map(|i| format!("g{i}(x)")).collect::<Vec<_>>().join("+")),
        ("unclosed", |n| "(".repeat(n)),
        ("conditions", |n| nested(n, "if(x>0,x+", "1", ",2)")),
        ("calls", |n| (0..n).map(|i| format!("sin(x*{i})")).collect::<Vec<_>>().join("+")),
        ("lines", |n| "\n".repeat(n) + "1"),
        ("untyped", |n| vec!["1"; n].join("+") + "+x"),
        ("untyped nesting", |n| nested(n, "-(1+", "2", ")")),
    ];
    for (name, make) in generators {
        let time = |n: usize| {
            let text = make(n);
            let engine = Engine::new();
            (0..3)
                .map(|_| {
                    let start = clock();
                    let _ = std::hint::black_box(engine.compile(&text));
                    clock() - start
                })
                .min()
                .unwrap()
        };
        let small = 2_000 / SCALE.min(4);
        let ratios: Vec<f64> =
            (0..3).map(|_| time(32 * small).as_secs_f64() / time(small).as_secs_f64().max(50e-6)).collect();
        let best = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(best < 32.0 * 4.0, "{name}: 32 times the text took {ratios:.0?} times as long");
    }
}
