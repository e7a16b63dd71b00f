//! The contract of `kiln eval`.

mod support;
use support::{Workshop, kiln, kiln_with, text};

/// Arguments after `eval`, what is printed.
const VALUES: &[(&[&str], &str)] = &[
    (&["(x + 5) * 3", "x=4"], "27"),
    (&["(x + 5) * 3", "x=4", "--type", "i32"], "27"),
    (&["--type", "i32", "(x + 5) * 3", "x=4"], "27"),
    (&["-2^2"], "-4"),
    (&["--type", "i32", "-2^2"], "-4"),
    (&["-x", "x=3"], "-3"),
    (&["--x", "x=3"], "3"),
    (&["0.1 + 0.2"], "0.30000000000000004"),
    (&["0.1"], "0.1"),
    (&["x/y", "x=1", "y=0"], "inf"),
    (&["-x/y", "x=1", "y=0"], "-inf"),
    (&["x/y", "x=0", "y=0"], "nan"),
    (&["1e300 * x", "x=1"], "1e300"),
    (&["x > 1 and flag", "x=2", "flag=true"], "true"),
    (&["not flag", "flag=true"], "false"),
    (&["x", "x=4", "unused=5"], "4"),
    (&["x", "x=4", "unused=not-even-a-number"], "4"),
    (&["e * 2", "e=4"], "8"),
    (&["pi > 3"], "true"),
    (&["x", "x=0xff"], "255"),
    (&["x", "x=-inf"], "-inf"),
    (&["x", "x=NaN"], "nan"),
    (&["--type", "i32", "x", "x=0xffffffff"], "-1"),
    (&["--type", "i64", "x", "x=9007199254740993"], "9007199254740993"),
    (&["--type", "f32", "x", "x=0.1"], "0.1"),
    (&["--params", "x, n: i32", "x * n", "x=1.5", "n=2"], "3"),
    (&["--params", "x", "x", "x=1", "y=2"], "1"),
    (&["x", "x=bits:3ff8000000000000"], "1.5"),
    (&["--bits", "x", "x=1.5"], "bits:3ff8000000000000"),
    (&["--bits", "--type", "i32", "x", "x=-1"], "bits:ffffffff"),
    (&["--bits", "1 < 2"], "bits:1"),
    (&["--engine", "interp", "(x + 5) * 3", "x=4"], "27"),
    (&["--engine", "jit", "--level", "v1", "(x + 5) * 3", "x=4"], "27"),
    (&["--fast", "x * 2", "x=4"], "8"),
    (&["--checked", "--type", "i32", "x + 1", "x=4"], "5"),
];

#[test]
fn values() {
    for (args, expected) in VALUES {
        let outcome = kiln(&[&["eval"], *args].concat());
        assert_eq!((outcome.out.trim_end(), outcome.code), (*expected, 0), "{args:?}: {}", outcome.err);
    }
}

/// Arguments, exit code, what standard error says.
const FAILURES: &[(&[&str], i32, &str)] = &[
    (&["eval", "x + y", "x=1"], 1, "the input `y` has no value"),
    (&["eval", "x +", "x=1"], 1, "error[syntax"),
    (&["eval", "x", "x=abc"], 1, "`abc` is no f64"),
    (&["eval", "x", "x=1e999"], 1, "does not fit f64"),
    (&["eval", "--type", "f32", "x", "x=1e39"], 1, "does not fit f32"),
    (&["eval", "--type", "i32", "x", "x=2147483648"], 1, "does not fit i32"),
    (&["eval", "--type", "i32", "x", "x=1.5"], 1, "`1.5` is no i32"),
    (&["eval", "--params", "x", "x + z", "x=1", "z=2"], 1, "z"),
    (&["eval", "x + 1", "x=true"], 1, "error[type"),
    (&["eval", "--checked", "--type", "i32", "x + 1", "x=2147483647"], 1, "overflow"),
    (&["eval", "--checked", "--type", "i32", "1 // x", "x=0"], 1, "division by zero"),
    (&["eval", ""], 1, "error[empty"),
    (&["eval", "--file", "no such file"], 1, "cannot read no such file"),
    (&["eval"], 2, "Usage"),
    (&["eval", "x", "x"], 2, "`x` is no input"),
    (&["eval", "x", "x=1", "x=2"], 2, "given twice"),
    (&["eval", "--tpye", "i32", "x"], 2, "`--tpye` is no option"),
    (&["eval", "--type", "i33", "x"], 2, "i33"),
    (&["evil"], 2, "eval"),
];

#[test]
fn failures_say_what_is_wrong_and_print_nothing() {
    for (args, code, part) in FAILURES {
        let outcome = kiln(args);
        assert_eq!(outcome.code, *code, "{args:?}: {}", outcome.err);
        assert!(outcome.err.contains(part), "{args:?}: {}", outcome.err);
        assert_eq!(outcome.out, "", "{args:?}");
    }
}

#[test]
fn misspelt_functions_are_guessed_under_their_names() {
    let outcome = kiln(&["eval", "1 + lgo(x)", "x=2"]);
    assert_eq!(outcome.code, 1);
    let lines: Vec<&str> = outcome.err.lines().collect();
    let source = lines.iter().position(|line| line.contains("1 + lgo(x)")).unwrap();
    let under = lines[source + 1];
    assert!(under.contains("^^^ did you mean `log`?"), "{}", outcome.err);
    assert_eq!(under.find('^'), lines[source].find("lgo"), "{}", outcome.err);
}

#[test]
fn repairs_are_shown_as_patches() {
    let outcome = kiln(&["eval", "2x", "x=2"]);
    assert!(outcome.code == 1 && outcome.err.contains("2*x"), "{}", outcome.err);
    assert!(outcome.err.lines().any(|line| line.contains('+')), "{}", outcome.err);
}

#[test]
fn colours_are_for_terminals() {
    assert!(!kiln(&["eval", "2x"]).err.contains('\u{1b}'));
    assert!(kiln(&["eval", "--color", "always", "2x"]).err.contains('\u{1b}'));
    assert!(!kiln(&["explain", "2*x"]).out.contains('\u{1b}'));
    assert!(kiln(&["explain", "--color", "always", "2*x"]).out.contains('\u{1b}'));
}

#[test]
fn errors_carry_no_terminal_codes_from_the_formula() {
    let evil = "1 + \u{1b}[31m\u{7}";
    let outcome = kiln(&["eval", evil]);
    assert!(outcome.code == 1 && !outcome.err.contains(['\u{1b}', '\u{7}']), "{:?}", outcome.err);
    let outcome = kiln(&["eval", "x", "x=\u{1b}[31m"]);
    assert!(outcome.code == 1 && !outcome.err.contains('\u{1b}'), "{:?}", outcome.err);
}

#[test]
fn formulas_come_from_files_and_standard_input() {
    let workshop = Workshop::new();
    let file = workshop.file("formula.txt", "# the area\nlet r = x / 2\npi * r^2\n");
    let outcome = kiln(&["eval", "--file", text(&file), "x=2"]);
    assert_eq!(outcome.out, "3.141592653589793\n", "{}", outcome.err);
    assert_eq!(kiln_with(&["eval", "-", "x=2"], b"x + 1").out, "3\n");
    assert_eq!(kiln_with(&["eval", "--file", "-", "x=2"], b"x + 1").out, "3\n");
}

#[test]
fn a_million_parentheses_are_answered() {
    let deep = format!("{}x{}", "(".repeat(1_000_000), ")".repeat(1_000_000));
    let open = "(".repeat(1_000_000);
    let outcome = kiln_with(&["eval", "-", "x=2"], deep.as_bytes());
    let answered = (outcome.code == 0 && outcome.out == "2\n") || (outcome.code == 1 && outcome.err.contains("limit"));
    assert!(answered, "{} {:.500}", outcome.code, outcome.err);
    let outcome = kiln_with(&["eval", "-", "x=2"], open.as_bytes());
    assert_eq!(outcome.code, 1, "{:.500}", outcome.err);
    assert!(outcome.err.len() < 20_000, "{} bytes of message", outcome.err.len());
}

#[test]
#[cfg(unix)]
fn formulas_that_are_not_text_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let outcome = kiln_with(&[OsStr::new("eval"), OsStr::from_bytes(b"1 + \xff")], b"");
    assert!(outcome.code == 1 && outcome.err.contains("UTF-8"), "{}", outcome.err);
}
