//! The contract of `kiln fmt`.

mod support;
use support::{Workshop, kiln, kiln_with, text};

/// A text and its canonical form.
const TEXTS: &[(&str, &str)] = &[
    ("a&&b||(!c)", "a and b or not c\n"),
    ("let  r=2\n(pi*(r**2))\n", "let r = 2\npi * r^2\n"),
    ("x ? 1 : 2", "if(x, 1, 2)\n"),
    // Definitions without a result.
    ("let a=1;let b=(a+1)", "let a = 1\nlet b = a + 1\n"),
    ("", ""),
    // Line ends stay what they are.
    ("let a=1\r\na+1\r\n", "let a = 1\r\na + 1\r\n"),
    // Comments and blank lines stay.
    (
        "# first\n\n# second\nlet a=1   # one\n\n\n\na+1 # two\n# last",
        "# first\n\n# second\nlet a = 1 # one\n\na + 1 # two\n# last\n",
    ),
    ("(a + # inner\n  b)", "# inner\na + b\n"),
    ("`a # b`+1", "`a # b` + 1\n"),
    ("# nothing else\n", "# nothing else\n"),
];

#[test]
fn texts_are_written_in_one_way() {
    for (source, expected) in TEXTS {
        let outcome = kiln_with(&["fmt"], source.as_bytes());
        assert_eq!((outcome.out.as_str(), outcome.code), (*expected, 0), "{source:?}: {}", outcome.err);
        let again = kiln_with(&["fmt", "-"], expected.as_bytes());
        assert_eq!((again.out.as_str(), again.code), (*expected, 0), "{expected:?}: {}", again.err);
    }
    assert_eq!(kiln(&["fmt", "--formula", "-(x)"]).out, "-x\n");
}

#[test]
fn files_are_rewritten_if_they_change() {
    let workshop = Workshop::new();
    let canonical = workshop.file("canonical.kiln", "a + b\n");
    let other = workshop.file("other.kiln", "fn f(x)=x # same\n");
    let wrong = workshop.file("wrong.kiln", "a +\n");
    let old = std::fs::metadata(&canonical).unwrap().modified().unwrap();
    let outcome = kiln(&["fmt", text(&canonical), text(&wrong), text(&other)]);
    assert_eq!((outcome.out.as_str(), outcome.code), ("", 1));
    assert!(outcome.err.contains("wrong.kiln:1:"), "{}", outcome.err);
    let read = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&canonical), "a + b\n");
    assert_eq!(std::fs::metadata(&canonical).unwrap().modified().unwrap(), old);
    assert_eq!(read(&other), "fn f(x) = x # same\n");
    assert_eq!(read(&wrong), "a +\n");
    assert_eq!(workshop.files(), ["canonical.kiln", "other.kiln", "wrong.kiln"]);
    assert_eq!(kiln(&["fmt", text(&canonical), text(&other)]).code, 0);
}

#[test]
fn check_lists_files_and_changes_none() {
    let workshop = Workshop::new();
    let canonical = workshop.file("canonical.kiln", "a + b\n");
    let other = workshop.file("other.kiln", "a+b\n");
    let outcome = kiln(&["fmt", "--check", text(&canonical), text(&other)]);
    assert_eq!((outcome.out, outcome.code), (format!("{}\n", text(&other)), 1), "{}", outcome.err);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "a+b\n");
    assert_eq!(kiln(&["fmt", "--check", text(&canonical)]).code, 0);
    assert_eq!(kiln_with(&["fmt", "--check"], b"a+b").out, "standard input\n");
    assert_eq!(kiln(&["fmt", "--check", "--formula", "a+b"]).code, 1);
    assert_eq!(kiln(&["fmt", "--check", "--formula", "a + b"]).code, 0);
}

#[test]
#[cfg(unix)]
fn permissions_and_links_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let workshop = Workshop::new();
    let file = workshop.file("file.kiln", "a+b\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = workshop.path("link.kiln");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(kiln(&["fmt", text(&link)]).code, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a + b\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(workshop.files(), ["file.kiln", "link.kiln"]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (args, code, part) in [
        (&["fmt", "no such file"][..], 1, "cannot read no such file"),
        (&["fmt", "--formula", "a +"], 1, "error[syntax"),
        (&["fmt", "--formula", "a", "file"], 2, "cannot be used with"),
    ] {
        let outcome = kiln(args);
        assert!(outcome.code == code && outcome.err.contains(part), "{args:?}: {}", outcome.err);
    }
    let outcome = kiln_with(&["fmt"], b"a + \xff");
    assert!(outcome.code == 1 && outcome.err.contains("line 1") && outcome.err.contains("UTF-8"), "{}", outcome.err);
}

#[test]
fn the_examples_keep_their_comments_and_values() {
    let workshop = Workshop::new();
    for (name, inputs) in [
        ("collatz", &["n=27"][..]),
        ("mandelbrot", &["cx=-0.7", "cy=0.3"]),
        ("newton", &["a=2"]),
        ("runge_kutta", &["x0=2", "y0=0", "mu=1"]),
        ("series", &["x=1"]),
    ] {
        let path = format!("{}/../../examples/{name}.kiln", env!("CARGO_MANIFEST_DIR"));
        let before = std::fs::read_to_string(&path).unwrap();
        let copy = workshop.file(name, &before);
        assert_eq!(kiln(&["fmt", text(&copy)]).code, 0);
        let after = std::fs::read_to_string(&copy).unwrap();
        // Their first line is a comment, and the rest has its lines already.
        assert_eq!((after.lines().next(), after.lines().count()), (before.lines().next(), before.lines().count()));
        assert_ne!(after, before);
        let value = |file: &str| kiln(&[&["eval", "--bits", "--file", file], inputs].concat()).out;
        assert_eq!(value(text(&copy)), value(&path), "{name}");
    }
}
