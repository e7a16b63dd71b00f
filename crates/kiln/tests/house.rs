//! The house rules, checked by reading the source tree: who knows whom, where `unsafe` may stand and that each use is
//! explained and listed, what is public, how long files are, and that links lead somewhere.
//!
//! `KILN_BLESS=1` rewrites what is compared with files: `testdata/api.txt` and the inventory in `docs/safety.md`.

mod tree;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use tree::{File, compare, root, sources};

/// Direction of knowledge: what the code of each module may name. Tests may name anything.
#[rustfmt::skip]
const KNOWS: &[(&str, &[&str])] = &[
    ("types",    &[]),
    ("span",     &[]),
    // Loops over rows are compiled for several processors, which `run` tells apart.
    ("ops",      &["types", "run"]),
    ("aggregate", &["types"]),
    // A node that calls a host function holds its description, which lives beside the code that calls it.
    ("ir",       &["types", "span", "ops", "run", "aggregate"]),
    ("math",     &["types", "ops", "ir", "aggregate", "run"]),
    ("opt",      &["types", "span", "ops", "ir"]),
    // The checker reads `pipeline::Request`: what the caller says about a formula.
    ("text",     &["types", "span", "ops", "ir", "math", "run", "pipeline", "aggregate"]),
    ("mach",     &["types", "ops", "ir"]),
    ("isa",      &["types", "ops", "ir", "mach", "run"]),
    ("functions", &["math"]),
    ("format",   &["text", "error"]),
    ("mem",      &[]),
    // `run` reads CPUID for `isa`'s pure function, and interprets where there is no code.
    ("run",      &["types", "ops", "ir", "isa", "mem", "error", "engine"]),
    ("error",    &["types", "span", "mem"]),
    ("pipeline", &["types", "span", "ops", "ir", "isa", "mach", "run", "text", "error", "math", "opt"]),
    ("engine",   &["types", "span", "ops", "ir", "isa", "mem", "run", "text", "error", "pipeline", "inspect", "columns",
        "aggregate", "asm"]),
    ("columns",  &["types", "run", "error", "engine"]),
    ("inspect",  &["types", "span", "ops", "ir", "opt", "isa", "mach", "error", "pipeline", "engine"]),
    ("measure",  &["types", "isa", "mem", "engine", "pipeline"]),
    ("asm",      &["isa", "mach", "mem", "run"]),
];

/// Modules that may use `unsafe`.
const MAY_BE_UNSAFE: [&str; 2] = ["mem", "run"];

/// Files without code of their own, or compiled for tests alone.
const NO_CODE: [&str; 2] = ["lib.rs", "isa/mod.rs"];

/// Tables, which are as long as they have rows.
const TABLES: [&str; 4] = ["isa/x64/insts.rs", "ops/mod.rs", "math/mod.rs", "ir/rules.rs"];

#[test]
fn modules_know_only_what_they_may() {
    let mut wrong = String::new();
    for file in sources().iter().filter(|file| !file.is_test && file.path != "lib.rs") {
        let Some((_, allowed)) = KNOWS.iter().find(|(module, _)| *module == file.module()) else {
            let _ = writeln!(wrong, "{}: the module has no row in KNOWS", file.path);
            continue;
        };
        for name in file.names_after("crate::") {
            if name != file.module() && KNOWS.iter().any(|row| row.0 == name) && !allowed.contains(&name) {
                let _ = writeln!(wrong, "{} knows `{name}`", file.path);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Does the file, or a file of a module around it, forbid `unsafe`?
fn forbids(file: &File, all: &[File]) -> bool {
    let stem = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let around = |other: &&File| {
        let other = other.path.trim_end_matches(".rs").trim_end_matches("/mod");
        stem == other || stem.starts_with(&format!("{other}/"))
    };
    all.iter().filter(around).any(|f| f.text.contains("#![forbid(unsafe_code)]"))
}

#[test]
fn unsafe_stands_in_two_modules_only() {
    let all = sources();
    for file in all.iter().filter(|file| !file.is_test && !NO_CODE.contains(&file.path.as_str())) {
        let may = MAY_BE_UNSAFE.contains(&file.module());
        assert!(may || forbids(file, &all), "{} does not forbid unsafe code", file.path);
    }
    for path in NO_CODE {
        let file = all.iter().find(|file| file.path == path).expect(path);
        assert!(file.unsafe_lines().next().is_none(), "{path} uses unsafe code");
    }
}

/// What reaches a library for arithmetic, and the files that may name it. (`mul_add` is an instruction where these use it.)
#[rustfmt::skip]
const LIBRARIES: &[(&[&str], &[&str])] = &[
    (&["libm::"], &[]),
    (&["mul_add"], &["math/lanes.rs", "ops/lanes.rs"]),
    (&[".floor()", ".ceil()", ".trunc()", ".round()", ".fract()", ".round_ties_even()"], &[]),
    (&[".powi(", ".powf(", ".exp()", ".ln()", ".log2()", ".log10()", ".sin()", ".cos()", ".cbrt()", ".hypot("], &[]),
];

#[test]
fn results_come_from_no_library() {
    let mut wrong = String::new();
    for file in sources().iter().filter(|file| !file.is_test) {
        let code = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (names, allowed) in LIBRARIES {
            for name in names.iter().filter(|name| code.contains(**name) && !allowed.contains(&file.path.as_str())) {
                let _ = writeln!(wrong, "{} uses `{name}`: see ops/exact.rs", file.path);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    for file in sources().iter().filter(|file| !file.is_test) {
        for at in file.unsafe_lines() {
            let lines: Vec<&str> = file.text.lines().collect();
            let above = lines[..at].iter().rev().take_while(|line| {
                let line = line.trim_start();
                line.starts_with("//") || line.starts_with('#') || !line.ends_with([';', '}', '{'])
            });
            let explained = above.take(12).any(|line| line.contains("SAFETY:"));
            assert!(explained, "{}:{}: {}", file.path, at + 1, lines[at]);
        }
    }
}

#[test]
fn the_inventory_of_unsafe_code_is_complete() {
    let mut table = String::from("| file | uses |\n|---|---|\n");
    for file in sources().iter().filter(|file| !file.is_test) {
        let count = file.unsafe_lines().count();
        if count > 0 {
            let _ = writeln!(table, "| `{}` | {count} |", file.path);
        }
    }
    let page = root().join("docs/safety.md");
    let text = std::fs::read_to_string(&page).expect("docs/safety.md");
    let (begin, end) = ("<!-- inventory: begin -->\n", "<!-- inventory: end -->");
    let (head, rest) = text.split_once(begin).expect("the beginning of the inventory");
    let (_, tail) = rest.split_once(end).expect("the end of the inventory");
    compare(&page, &format!("{head}{begin}{table}{end}{tail}"));
    // What the prose says about each file is checked as far as: the file is named.
    for file in sources().iter().filter(|file| !file.is_test && file.unsafe_lines().next().is_some()) {
        let name = file.path.rsplit('/').next().expect("a name");
        assert!(text.contains(&format!("| `{name}` |")), "docs/safety.md says nothing about {}", file.path);
    }
}

#[test]
fn public_items_are_the_listed_ones() {
    const PUBLIC: [&str; 11] =
        ["asm", "columns", "engine", "error", "functions", "inspect", "span", "types", "mem", "lib", "run"];
    let mut list = BTreeMap::new();
    for file in sources().iter().filter(|file| !file.is_test && PUBLIC.contains(&file.module())) {
        let items: Vec<String> = file.public_items();
        if !items.is_empty() {
            list.insert(file.path.clone(), items);
        }
    }
    let mut text = String::from(
        "# Public items of the library, file by file. `KILN_BLESS=1 cargo test -p kiln --test house` rewrites this.\n",
    );
    for (path, items) in list {
        let _ = write!(text, "\n{path}\n  {}\n", items.join("\n  "));
    }
    compare(&root().join("testdata/api.txt"), &text);
}

#[test]
fn long_files_have_a_reason() {
    for file in sources().iter().filter(|file| !file.is_test && !TABLES.contains(&file.path.as_str())) {
        let lines = file.text.lines().count();
        assert!(lines <= 850, "{} has {lines} lines; split it, or say in TABLES why not", file.path);
    }
}

#[test]
fn files_say_what_they_own() {
    for file in sources().iter().filter(|file| file.text.lines().count() > 3) {
        assert!(file.text.starts_with("//! "), "{} begins without saying what it owns", file.path);
    }
}

#[test]
fn the_core_prints_nothing_and_reads_no_environment() {
    for file in sources().iter().filter(|file| !file.is_test) {
        for word in ["println!", "print!", "eprintln!", "eprint!", "dbg!", "env::var"] {
            for (at, line) in file.code().lines().enumerate() {
                let code = line.split("//").next().unwrap_or("");
                assert!(!code.contains(word), "{}:{}: {}", file.path, at + 1, line.trim());
            }
        }
    }
}

#[test]
fn links_in_the_pages_lead_somewhere() {
    let mut pages = vec![];
    for folder in ["", "docs", "docs/decisions", "examples/data"] {
        let Ok(entries) = std::fs::read_dir(root().join(folder)) else { continue };
        pages.extend(entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    assert!(pages.len() > 8, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or("");
            if path.is_empty() || link.contains("://") || link.contains([' ', '|']) {
                continue;
            }
            assert!(page.parent().unwrap().join(path).exists(), "{}: {link} leads nowhere", page.display());
        }
    }
}
