//! Files of functions before and after the passes, random functions against the interpreter, and hostile ones.

use super::soup::{Kitchen, PARAMS};
use super::*;
use crate::ir::build::BuildOptions;
use crate::ir::text::{print, read};
use crate::run::host::HostFunction;
use crate::types::{Type, Value};
use std::path::Path;
use std::sync::Arc;

pub(super) const PLAIN: BuildOptions = BuildOptions { optimise: false, ..BuildOptions::DEFAULT };

fn known(name: &str) -> Option<read::Known> {
    let host = |pure| {
        let body = Box::new(|args: &[Value]| Ok(args[0]));
        let (name, types) = (name.to_owned(), vec![Type::I64]);
        read::Known::Host(Arc::new(HostFunction::new(name, types, Type::I64, pure, false, body)))
    };
    match name {
        "read" => Some(host(false)),
        "pure" => Some(host(true)),
        "half" => Some(read::Known::Builtin("half", Type::F64, |a, _, _| (f64::from_bits(a) / 2.0).to_bits())),
        _ => None,
    }
}

/// The function of a text, built as it stands.
pub(super) fn function(text: &str) -> Builder {
    let mut b = Builder::default();
    b.reset(PLAIN);
    read::parse(text, &mut b, &known).unwrap_or_else(|why| panic!("{why} in\n{text}"));
    assert_eq!(verify::verify(&b.func), Ok(()), "{text}");
    b
}

/// Optimises a function that was built plainly.
fn optimise(b: &mut Builder, fast: bool, steps: u64) -> Optimiser {
    let mut optimiser = Optimiser::default();
    b.options = BuildOptions { fast, contract: fast, ..BuildOptions::DEFAULT };
    optimiser.run(b, steps);
    assert_eq!(verify::verify(&b.func), Ok(()), "{}", print(&b.func));
    optimiser
}

/// Each file: a function, `---` with options (`fast`, `steps=N`), what the passes make of it, and what they report.
#[test]
fn files_show_what_the_passes_make() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/opt");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut failures, mut cases) = (Vec::new(), 0);
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "ir")) {
        let content = std::fs::read_to_string(file).unwrap();
        let mut blessed = String::new();
        for (i, case) in content.split("\n===\n").enumerate() {
            cases += 1;
            let (source, rest) = case.split_once("\n---").unwrap_or_else(|| panic!("no `---` in {}", file.display()));
            let head = rest.lines().next().unwrap_or("").trim();
            let steps = head.split("steps=").nth(1).map_or(1000, |n| n.parse().unwrap());
            let mut b = function(source);
            let optimiser = optimise(&mut b, head.contains("fast"), steps);
            let events: Vec<String> = optimiser.report.events.iter().map(|e| format!("{:?}", e.what)).collect();
            let events = if events.is_empty() { "nothing".into() } else { events.join(" ") };
            let after = format!("{}# {events}\n", print(&b.func));
            let head = if head.is_empty() { String::new() } else { format!(" {head}") };
            let separator = if i == 0 { "" } else { "===\n" };
            blessed.push_str(&format!("{separator}{}\n---{head}\n{after}", source.trim_end()));
        }
        if blessed.trim_end() != content.trim_end() {
            if std::env::var_os("KILN_BLESS").is_some() {
                std::fs::write(file, &blessed).unwrap();
            } else {
                failures.push(format!("{} would be:\n{blessed}", file.display()));
            }
        }
    }
    assert!(cases >= 40, "only {cases} cases");
    assert!(failures.is_empty(), "{}\nKILN_BLESS=1 rewrites the files", failures.join("\n"));
}

/// What the passes make means the same: results, where and why it stops, and what is called in which order.
#[test]
fn random_functions_stay_the_same() {
    let mut kitchen = Kitchen::new(3);
    let (mut before, mut after) = (Builder::default(), Builder::default());
    let mut optimiser = Optimiser::default();
    let (mut ended, mut events, mut shorter) = (0, [0; 7], 0);
    let rounds = std::env::var("KILN_SOUPS").ok().and_then(|n| n.parse().ok()).unwrap_or(6000);
    for round in 0..rounds {
        let seed = kitchen.random.next();
        let size = 10 + round % 30;
        for b in [&mut before, &mut after] {
            b.reset(PLAIN);
            kitchen.random.0 = seed;
            kitchen.steps = [5, 20, 60, 1000][round % 4];
            kitchen.cook(b, size);
            if std::env::var_os("KILN_TALK").is_some() {
                println!("{round} {} nodes", b.func.nodes.len());
            }
        }
        after.options = BuildOptions::DEFAULT;
        let t = std::time::Instant::now();
        optimiser.run(&mut after, kitchen.budget);
        if std::env::var_os("KILN_TALK").is_some() {
            println!("{:?} -> {}", t.elapsed(), after.func.nodes.len());
        }
        for event in &optimiser.report.events {
            let number = match event.what {
                What::Inlined(_) => 0,
                What::Unrolled(_) => 1,
                What::LoopDropped => 2,
                What::CounterDropped => 3,
                What::ProductReduced => 4,
                What::ConversionReduced => 5,
                What::Split(_) => 6,
            };
            events[number] += 1;
        }
        shorter += usize::from(after.func.effects.len() < before.func.effects.len());
        if std::env::var("KILN_SHOW").is_ok_and(|n| n.parse() == Ok(round)) {
            println!("{}\n----\n{}", print(&before.func), print(&after.func));
        }
        ended += kitchen.compare(&before.func, &after.func, &format!("round {round}"));
    }
    println!("{ended} evaluations ended, {events:?}, {shorter} of {rounds} have fewer effects");
    assert!(events[1..6].iter().all(|&n| n > 5), "{events:?}");
    assert!(ended > rounds && shorter > rounds / 4, "{ended}, {shorter}");
}
