//! The pages docs/ir.md and docs/math.md, generated from the tables that they describe. Compiled for tests alone.
//!
//! The tests compare; `KILN_BLESS=1` (or `cargo xtask gen`) rewrites. What an operation means in words is the comment
//! above its row, which is read from the source: the table itself holds only what the compiler needs.

use crate::math;
use crate::ops::{COMMUTES, Op, PINNED, Sig};
use crate::types::Type;
use std::fmt::Write as _;
use std::path::Path;

const GENERATED: &str = "<!-- Generated from the code; `cargo xtask gen` rewrites it. -->";

/// Compares with a page, or rewrites it.
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    } else if std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n") != text {
        panic!("docs/{name} is stale: `cargo xtask gen` rewrites it");
    }
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The comment above the row of an operation and the source of its meanings.
fn row_source(op: Op) -> (String, String) {
    let source = include_str!("ops/mod.rs");
    let name = format!("{op:?}");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.split_whitespace().next() == Some(&name) && line.contains('"'));
    let at = at.unwrap_or_else(|| panic!("the row of {name} begins a line"));
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///")).map(|line| line[3..].trim());
    let mut comment: Vec<&str> = above.collect();
    comment.reverse();
    let meaning = lines[at].split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}').trim());
    (comment.join(" "), meaning.to_owned())
}

fn signature(op: Op) -> String {
    let of = |n: u8, result: &str| format!("{} -> {result}", vec!["T"; usize::from(n)].join(", "));
    match op.row().sig {
        Sig::Leaf => "-> T".to_owned(),
        Sig::Same(n) => of(n, "T"),
        Sig::Test(n) => of(n, "bool"),
        Sig::Select => "bool, T, T -> T".to_owned(),
        Sig::Convert => "T -> U".to_owned(),
        Sig::Special => "(list)".to_owned(),
    }
}

#[test]
fn operations() {
    let mut text = format!("# Operations of the intermediate representation\n\n{GENERATED}\n\n");
    text.push_str(
        "One row for each operation, as `ops` defines it. *Types* are those on which it has a meaning, *cost* is a rough\n\
         latency in cycles. The meaning is the source of the closure that the constant folder, the interpreter, the generic\n\
         code path and the proofs of the rules all run.\n\n| operation | operands -> result | types | properties | cost | what it does | meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for &op in Op::ALL {
        let row = op.row();
        let types: Vec<&str> = Type::ALL.iter().filter(|&&ty| op.meaning(ty).is_some()).map(|ty| ty.name()).collect();
        let mut properties = Vec::new();
        properties.extend(op.is(COMMUTES).then_some("commutes"));
        properties.extend(op.is(PINNED).then_some("pinned"));
        let (comment, meaning) = row_source(op);
        let meaning = if meaning.is_empty() { String::new() } else { format!("`{}`", cell(&meaning)) };
        let (types, properties) = (types.join(" "), properties.join(" "));
        let _ = writeln!(
            text,
            "| `{}` | {} | {types} | {properties} | {} | {} | {meaning} |",
            row.text,
            signature(op),
            row.cost,
            cell(&comment),
        );
    }
    compare("ir.md", &text);
}

macro_rules! methods {
    ($($file:literal)*) => { [$(($file, include_str!(concat!("math/", $file)))),*] };
}

/// Families of functions, whose files begin with how they are computed.
#[rustfmt::skip]
const METHODS: [(&str, &str); 14] = methods! {
    "exp.rs" "log.rs" "pow.rs" "power.rs" "trig.rs" "inverse.rs" "hyperbolic.rs" "area.rs" "roots.rs" "erf.rs" "gamma.rs" "lgamma.rs"
    "remainder.rs" "narrow.rs"
};

/// What `cargo xtask math` has found, by function and type.
fn measured() -> impl Iterator<Item = (&'static str, [&'static str; 4])> {
    let lines = include_str!("../../../testdata/math.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap();
        (next(), [next(), next(), next(), next()])
    })
}

#[test]
fn functions() {
    let mut text = format!("# Functions of the formula language\n\n{GENERATED}\n\n");
    text.push_str(
        "*ULP* bounds the error of the `f64` result in units in the last place: 0 where the result is exact or is defined by\n\
         the operations that make it, `abs` where only the absolute error is bounded. `accuracy.rs` holds every row to its\n\
         bound. *Takes* says what types the arguments may have: ints given to a function of floats become `f64`.\n\n\
         | call | other names | takes | ULP | domain | what it does |\n|---|---|---|---|---|---|\n",
    );
    for function in math::all() {
        let takes = match function.rule.class() {
            math::Class::Float => "floats",
            class => class.describe(),
        };
        let ulp = if function.ulp.is_infinite() { "abs".to_owned() } else { function.ulp.to_string() };
        let aliases: Vec<String> = function.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {takes} | {ulp} | {} | {} |",
            cell(function.signature),
            aliases.join(", "),
            cell(function.domain),
            cell(function.doc),
        );
    }
    text.push_str(
        "\n## Measured\n\n`cargo xtask math` compares results over columns with correctly rounded ones; half of the inputs are random bits, half\n\
         are spread over the range that matters, and some are neighbours of the worst; before all these come inputs that others found\n\
         to be hard. The largest error is in units in the\n\
         last place of the true result. Functions of one `f32` are compared on all 2^32 inputs.\n\n\
         | function | inputs | not the nearest | largest error | at | `f32` |\n|---|---|---|---|---|---|\n",
    );
    for (name, [samples, wrong, error, at]) in measured() {
        let narrow = measured().find(|row| row.0 == format!("{name} f32"));
        if name.ends_with(" f32") {
            continue;
        }
        let share = 100.0 * wrong.parse::<f64>().unwrap() / samples.parse::<f64>().unwrap();
        let narrow = narrow.map_or("-".to_owned(), |(_, [_, wrong, ..])| format!("{wrong} not the nearest"));
        let _ = writeln!(text, "| `{name}` | {samples} | {share:.3} % | {error} | {at} | {narrow} |");
        let bound = math::all().iter().find(|function| function.name == name).unwrap().ulp;
        assert!(error.parse::<f64>().unwrap() <= bound, "{name}: {error} measured, {bound} said");
    }
    text.push_str(
        "\n## Bits\n\nThe results of functions have a version of their own, which is 1. Within a version no bit of any result changes, on any\n\
         machine: `testdata/math_bits.tsv` keeps a hash for each function, and a test compares it on every engine and level. A\n\
         release that changes results counts the version up and says so in the changelog.\n",
    );
    text.push_str(
        "\n## Methods\n\nFrom the heads of the files in `crates/kiln/src/math`; coefficients come from `scripts/math`, of which each file names its own.\n",
    );
    for (file, source) in METHODS {
        let mut head = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let title = head.next().unwrap().trim_end_matches('.');
        let _ = writeln!(text, "\n### {title} (`{file}`)");
        for line in head {
            let _ = writeln!(text, "{}", line.replace("[`", "`").replace("`]", "`"));
        }
    }
    text.push_str(
        "\n## Row functions\n\nAbout all rows of columns; in a scalar call they are errors.\n\n| function | what it is |\n|---|---|\n",
    );
    for row in math::row_functions().iter().filter(|row| row.kind != math::RowKind::NotYet) {
        let _ = writeln!(text, "| `{}` | {} |", row.signature, cell(row.doc));
    }
    text.push_str(
        "\n## Names without a function\n\nReserved; a call says why it does not work.\n\n| name | note |\n|---|---|\n",
    );
    for reserved in math::reserved() {
        let _ = writeln!(text, "| `{}` | {} |", reserved.name, cell(reserved.note));
    }
    for row in math::row_functions().iter().filter(|row| row.kind == math::RowKind::NotYet) {
        let _ = writeln!(text, "| `{}` | is not available yet |", row.name);
    }
    compare("math.md", &text);
}
