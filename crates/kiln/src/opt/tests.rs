//! Files of functions before and after the passes, random functions against the interpreter, and hostile ones.

use super::soup::Kitchen;
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
    let rounds = if cfg!(debug_assertions) { 12_000 } else { 60_000 };
    for round in 0..rounds {
        let seed = kitchen.random.next();
        for b in [&mut before, &mut after] {
            b.reset(PLAIN);
            kitchen.random.0 = seed;
            kitchen.steps = [5, 20, 60, 1000][round % 4];
            kitchen.cook(b, 10 + round % 30);
        }
        after.options = BuildOptions::DEFAULT;
        optimiser.run(&mut after, kitchen.budget);
        optimiser.report.events.iter().for_each(|event| events[number(event.what)] += 1);
        shorter += usize::from(after.func.effects.len() < before.func.effects.len());
        ended += kitchen.compare(&before.func, &after.func, &format!("round {round}"));
    }
    println!("{ended} evaluations ended, {events:?}, {shorter} of {rounds} have fewer effects");
    assert!(events[1..6].iter().all(|&n| n > 30), "{events:?}");
    assert!(ended > rounds && shorter > rounds / 4, "{ended}, {shorter}");
}

fn number(what: What) -> usize {
    match what {
        What::Inlined(_) => 0,
        What::Unrolled(_) => 1,
        What::LoopDropped => 2,
        What::CounterDropped => 3,
        What::ProductReduced => 4,
        What::ConversionReduced => 5,
        What::Split(_) => 6,
    }
}

/// Under `fast` reductions come out as in order, where the order does not matter: sums of whole numbers.
#[test]
fn split_reductions_gather_the_same() {
    for (ty, lowest) in [(Type::I32, i64::from(i32::MIN)), (Type::I64, i64::MIN)] {
        for (test, bound) in [("lt", 0), ("le", 1)] {
            let source = format!(
                "params %0:{ty} %1:{ty}\nloop %2:{ty} = %0, %3:f64 = -0, %4:f64 = 7, %5:f64 = 1 {{\n\
                 %6:bool = {test} %2, %1\nwhile %6\n%7:{ty} = and %2, 31\n%8:f64 = convert %7\n%9:f64 = add %3, %8\n\
                 %10:f64 = max %4, %8\n%11:f64 = mul %5, -1\n%12:{ty} = add %2, 1\nnext %12, %9, %10, %11\n}}\n\
                 %13:{ty} = exit %2\n%14:f64 = exit %3\n%15:f64 = exit %4\n%16:f64 = exit %5\nreturn %13, %14, %15, %16\n"
            );
            let (before, mut after) = (function(&source), function(&source));
            let optimiser = optimise(&mut after, true, u64::MAX);
            assert!(optimiser.report.events.iter().any(|e| e.what == What::Split(4)), "{}", print(&after.func));
            let mut kitchen = Kitchen::new(1);
            let bits = |v: i64| Value::from_bits(ty, v as u64).to_bits();
            for from in [0, -9, 100, lowest] {
                for length in (-2..24).chain([1000]) {
                    let Some(to) = i64::checked_add(from, length - bound).filter(|&to| to >= lowest) else { continue };
                    let args = [bits(from), bits(to)];
                    let seen = (kitchen.run(&before.func, &args), kitchen.run(&after.func, &args));
                    let unlike = seen.1.unlike(&seen.0);
                    assert!(seen.0.same(&seen.1), "{from} {length}: {unlike}\n{}", print(&after.func));
                }
            }
        }
    }
}

/// When the passes are done, they are done: once more changes nothing.
#[test]
fn once_more_changes_nothing() {
    let mut kitchen = Kitchen::new(8);
    let mut b = Builder::default();
    let mut optimiser = Optimiser::default();
    let (mut open, rounds) = (0, 4000);
    for round in 0..rounds {
        b.reset(PLAIN);
        kitchen.cook(&mut b, 10 + round % 30);
        b.options = BuildOptions::DEFAULT;
        optimiser.run(&mut b, kitchen.budget);
        let (once, nodes) = (print(&b.func), b.func.nodes.len());
        // Loops that are unrolled have wound the counter on. The number of rounds is bounded: a few may want one more.
        let left = kitchen.budget.saturating_sub(optimiser.consumed);
        optimiser.consumed = 0;
        optimiser.study(&b.func, left, PASSES);
        let todo = b.func.regions.len() > 1 && optimiser.plan.todo;
        open += usize::from(todo);
        optimiser.run(&mut b, left);
        if !todo {
            assert_eq!(print(&b.func), once);
            assert!(b.func.nodes.len() <= nodes, "{} of {nodes}", b.func.nodes.len());
        }
    }
    println!("{open} of {rounds} want another round");
    assert!(open < rounds / 100, "{open} want another round");
}

/// The order of the passes: where one stands before another, a round is worse the other way round.
#[test]
fn every_pass_stands_where_it_must() {
    assert!(PASSES.iter().chain(LAST).all(|pass| !pass.why.is_empty()));
    let names: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
    assert_eq!(names, ["trips", "steps", "carried", "want", "unroll", "strength"]);
    let counted = "params %0:f64\nloop %1:i64 = 0, %2:i64 = 90 {\n%3:bool = lt %1, 90\nwhile %3\n\
        %4:i64 = add %2, -1\n%5:bool = lt %4, 0\ntrap %5, steps\n%6:i64 = add %1, 1\nnext %6, %4\n}\nreturn %0\n";
    let unchanging = "params %0:f64 %1:i64\nloop %2:i64 = 0, %3:f64 = %0 {\n%4:bool = lt %2, %1\nwhile %4\n\
        %5:i64 = add %2, 1\nnext %5, %0\n}\n%6:f64 = exit %3\nreturn %6\n";
    let short = "params %0:f64\nloop %1:i64 = 0, %2:f64 = %0 {\n%3:bool = lt %1, 3\nwhile %3\n\
        %4:i64 = add %1, 1\n%5:f64 = sqrt %2\nnext %4, %5\n}\n%6:f64 = exit %2\nreturn %6\n";
    for (first, second, source) in [
        ("trips", "steps", counted),
        ("trips", "want", unchanging),
        ("trips", "unroll", short),
        ("steps", "want", counted),
        ("carried", "want", unchanging),
        ("want", "unroll", short),
    ] {
        let round = |passes: &[Pass]| {
            let mut b = function(source);
            b.options = BuildOptions::DEFAULT;
            let mut optimiser = Optimiser::default();
            optimiser.study(&b.func, 90, passes);
            assert!(optimiser.replay(&mut b));
            b.func.loops.len()
        };
        let at = |name| PASSES.iter().position(|pass| pass.name == name).unwrap();
        let mut other = PASSES.to_vec();
        let moved = other.remove(at(second));
        other.insert(at(first), moved);
        assert_eq!((round(PASSES), round(&other)), (0, 1), "{second} before {first}");
    }
}

/// What a function of too many nodes or regions becomes is not taken: the old one is as good.
#[test]
fn what_becomes_too_large_is_not_taken() {
    let source = "params %0:f64\nloop %1:i64 = 0, %2:f64 = %0 {\n%3:bool = lt %1, 60\nwhile %3\n%4:i64 = add %1, 1\n\
        %5:f64 = sqrt %2\n%6:f64 = add %5, %0\nnext %4, %6\n}\n%7:f64 = exit %2\nreturn %7\n";
    let mut b = function(source);
    let before = print(&b.func);
    b.options = BuildOptions { node_limit: 40, ..BuildOptions::DEFAULT };
    let mut optimiser = Optimiser::default();
    optimiser.run(&mut b, 100);
    assert_eq!((print(&b.func), b.overflowed), (before, false));
    assert!(optimiser.report.events.is_empty());
    b.options.node_limit = 1000;
    optimiser.run(&mut b, 100);
    assert!(b.func.loops.is_empty());
}

/// What many loops become together is bounded, and so is the number of regions.
#[test]
fn what_all_loops_become_is_bounded() {
    for branches in [0, 32_000] {
        let mut b = Builder::default();
        b.reset(PLAIN);
        let (x, p) = (b.param(Type::I64), b.param(Type::Bool));
        for i in 0..branches {
            let c = b.const_bits(Type::I64, i);
            let bad = b.raw2(Op::Eq, x, c);
            trap_if(&mut b, p, bad);
        }
        let (zero, one, end) = (b.small(Type::I64, 0), b.small(Type::I64, 1), b.small(Type::I64, 40));
        for _ in 0..300 {
            let number = b.begin_loop(&[zero]);
            let k = b.phi(number, 0);
            let goes_on = b.raw2(Op::Lt, k, end);
            b.begin_body(goes_on);
            let bad = b.raw2(Op::Eq, k, x);
            trap_if(&mut b, p, bad);
            let next = b.raw2(Op::Add, k, one);
            b.end_loop(&[next]);
        }
        b.func.results.push(x);
        let (before, inputs) = (b.func.nodes.len(), b.func.effects.len());
        let optimiser = optimise(&mut b, false, u64::MAX);
        let unrolled = optimiser.report.events.iter().filter(|e| matches!(e.what, What::Unrolled(40))).count();
        println!("{unrolled} of 300 are unrolled: {before} nodes, then {}", b.func.nodes.len());
        assert!(unrolled > 0 && b.func.effects.len() > inputs, "{unrolled}");
        assert!(b.func.nodes.len() < before + (2 << 14), "{} of {before}", b.func.nodes.len());
    }
}

fn trap_if(b: &mut Builder, condition: Ref, bad: Ref) {
    b.begin_if(condition);
    b.trap(bad, crate::ir::TrapKind::Overflow);
    b.begin_else();
    b.close_if();
}

/// Results of rules that fired before are found after the passes, and spans stay.
#[test]
fn what_fired_is_known_after_the_passes() {
    let mut b = Builder::default();
    b.reset(BuildOptions { trace: true, ..BuildOptions::DEFAULT });
    let (x, p) = (b.param(Type::I64), b.param(Type::Bool));
    // Nobody wants this, so that what stands behind it moves up.
    b.raw1(Op::Not, x);
    b.begin_if(p);
    let two = b.small(Type::I64, 2);
    let same = b.raw2(Op::Mul, x, two);
    b.set_span(Span::new(4, 9));
    b.trap(p, crate::ir::TrapKind::Overflow);
    b.begin_else();
    b.close_if();
    b.func.results.push(same);
    assert_eq!(b.fired.len(), 1);
    Optimiser::default().run(&mut b, 1);
    let fired: Vec<_> = b.fired.iter().map(|f| (f.rule, f.result)).collect();
    assert_eq!(fired, [("mul_two", b.func.results[0])]);
    assert!(b.func.results[0] < same && b.func.node(b.func.results[0]).op == Op::Add);
    let trap = b.func.effects[0];
    assert_eq!((b.func.node(trap).op, b.func.spans[trap.index()]), (Op::Trap, Span::new(4, 9)));
}

/// Functions that nobody writes: time in proportion, and a small stack.
#[test]
fn hostile_functions_take_time_in_proportion() {
    type Make = fn(&mut Builder, usize);
    let makers: &[(&str, usize, Make)] = &[
        ("nested branches", 1_800, |b, n| nested_branches(b, n, false)),
        ("nested branches that are decided", 1_800, |b, n| nested_branches(b, n, true)),
        ("branches on one long condition", 1_000, long_conditions),
        ("loops one after the other", 1_000, loops_in_a_row),
        ("a loop that carries much", 1_500, wide_loop),
        ("a long body", 2_000, long_body),
        ("many products in loops", 1_500, many_products),
    ];
    for &(name, size, make) in makers {
        let run = move || {
            let time = |n: usize| {
                let (mut b, mut optimiser) = (Builder::default(), Optimiser::default());
                (0..4)
                    .map(|_| {
                        b.reset(PLAIN);
                        make(&mut b, n);
                        b.options = BuildOptions::DEFAULT;
                        let time = crate::run::clock::time(|| {
                            optimiser.run(&mut b, 1 << 40);
                        });
                        assert!(!b.overflowed);
                        time
                    })
                    .min()
                    .unwrap()
            };
            (time(size), time(16 * size))
        };
        let thread = std::thread::Builder::new().stack_size(96 << 10).spawn(run).unwrap();
        let (short, long) = thread.join().unwrap_or_else(|_| panic!("{name}"));
        println!("{name}: {short:?}, {long:?}");
        // In proportion is 16 times as long, and more where memory is new; in proportion to the square, 256 times.
        assert!(long < short * 100, "{name}: {short:?} became {long:?}");
    }
}

fn nested_branches(b: &mut Builder, n: usize, decided: bool) {
    let (x, p) = (b.param(Type::I64), b.param(Type::Bool));
    for i in 0..n {
        let c = b.const_bits(Type::I64, i as u64);
        let condition = if decided { p } else { b.raw2(Op::Lt, x, c) };
        b.begin_if(condition);
        let bad = b.raw2(Op::Eq, x, c);
        b.trap(bad, crate::ir::TrapKind::Overflow);
    }
    let mut value = x;
    for _ in 0..n {
        b.begin_else();
        let arms = b.close_if();
        value = b.merge(arms, value, x);
    }
    b.func.results.push(value);
}

/// Each branch asks for all that was asked so far, and something else.
fn long_conditions(b: &mut Builder, n: usize) {
    let x = b.param(Type::I64);
    let mut all = b.const_bits(Type::Bool, 1);
    for i in 0..n {
        let c = b.const_bits(Type::I64, 3 * i as u64);
        let one = b.raw2(Op::Ne, x, c);
        all = b.raw2(Op::And, all, one);
        b.begin_if(all);
        b.trap(one, crate::ir::TrapKind::Overflow);
    }
    for _ in 0..n {
        b.begin_else();
        b.close_if();
    }
    b.func.results.push(x);
}

fn loops_in_a_row(b: &mut Builder, n: usize) {
    let (mut x, m) = (b.param(Type::F64), b.param(Type::I64));
    for i in 0..n {
        let (zero, one) = (b.small(Type::I64, 0), b.small(Type::I64, 1));
        let number = b.begin_loop(&[zero, x]);
        let (k, y) = (b.phi(number, 0), b.phi(number, 1));
        let bound = if i % 2 == 0 { m } else { b.small(Type::I64, 60) };
        let goes_on = b.raw2(Op::Lt, k, bound);
        b.begin_body(goes_on);
        let float = b.raw_convert(k, Type::F64);
        let nexts = [b.raw2(Op::Add, k, one), b.raw2(Op::Div, float, y)];
        b.end_loop(&nexts);
        x = b.exit(number, 1);
    }
    b.func.results.push(x);
}

fn wide_loop(b: &mut Builder, n: usize) {
    let (x, m) = (b.param(Type::I64), b.param(Type::I64));
    let inits = vec![x; n];
    let number = b.begin_loop(&inits);
    let phis: Vec<Ref> = (0..n).map(|at| b.phi(number, at)).collect();
    let goes_on = b.raw2(Op::Lt, phis[0], m);
    b.begin_body(goes_on);
    let one = b.small(Type::I64, 1);
    let nexts: Vec<Ref> =
        (0..n).map(|i| if i % 2 == 0 { b.raw2(Op::Add, phis[i], one) } else { phis[n - i] }).collect();
    b.end_loop(&nexts);
    for at in [0, n / 2, n - 1] {
        let exit = b.exit(number, at);
        b.func.results.push(exit);
    }
}

fn long_body(b: &mut Builder, n: usize) {
    let m = b.param(Type::I64);
    let (zero, one) = (b.small(Type::I64, 0), b.small(Type::I64, 1));
    let number = b.begin_loop(&[zero, m]);
    let (k, mut y) = (b.phi(number, 0), b.phi(number, 1));
    let goes_on = b.raw2(Op::Lt, k, m);
    b.begin_body(goes_on);
    for i in 0..n {
        let c = b.const_bits(Type::I64, i as u64);
        let outside = b.raw2(Op::Xor, m, c);
        let product = b.raw2(Op::Mul, k, outside);
        y = b.raw2(Op::Sub, product, y);
        if i % 16 == 0 {
            let bad = b.raw2(Op::Eq, y, c);
            b.trap(bad, crate::ir::TrapKind::Overflow);
        }
    }
    let next = b.raw2(Op::Add, k, one);
    b.end_loop(&[next, y]);
    let exit = b.exit(number, 1);
    b.func.results.push(exit);
}

fn many_products(b: &mut Builder, n: usize) {
    for _ in 0..n / 8 {
        long_body_of(b, 8);
    }
}

fn long_body_of(b: &mut Builder, n: usize) {
    if b.func.params.is_empty() {
        b.param(Type::I64);
    }
    let m = Ref(0);
    let (zero, one) = (b.small(Type::I64, 0), b.small(Type::I64, 1));
    let number = b.begin_loop(&[zero, m]);
    let (k, mut y) = (b.phi(number, 0), b.phi(number, 1));
    let goes_on = b.raw2(Op::Lt, k, m);
    b.begin_body(goes_on);
    for i in 0..n {
        let c = b.const_bits(Type::I64, 1000 + 7 * i as u64);
        let product = b.raw2(Op::Mul, k, c);
        y = b.raw2(Op::Xor, product, y);
    }
    let next = b.raw2(Op::Add, k, one);
    b.end_loop(&[next, y]);
    let exit = b.exit(number, 1);
    b.func.results.push(exit);
}

/// Sixty-four loops in one another: long ones stay, short ones are not written out a billion times.
#[test]
fn deep_nests_stay_small() {
    for (bound, in_test, loops) in [(1000, false, 64), (2, false, 64), (1, false, 0), (1, true, 64), (0, false, 0)] {
        let mut b = Builder::default();
        b.reset(PLAIN);
        let x = b.param(Type::F64);
        let (zero, one, end) = (b.small(Type::I64, 0), b.small(Type::I64, 1), b.small(Type::I64, bound));
        let mut open = Vec::new();
        let mut value = x;
        for _ in 0..64 {
            let number = b.begin_loop(&[zero, value]);
            let k = b.phi(number, 0);
            value = b.phi(number, 1);
            let goes_on = b.raw2(Op::Lt, k, end);
            if !in_test {
                b.begin_body(goes_on);
            }
            open.push((number, k, goes_on));
        }
        value = b.raw1(Op::Sqrt, value);
        while let Some((number, k, goes_on)) = open.pop() {
            if in_test {
                b.begin_body(goes_on);
            }
            let next = b.raw2(Op::Add, k, one);
            b.end_loop(&[next, value]);
            value = b.exit(number, 1);
        }
        b.func.results.push(value);
        let before = b.func.nodes.len();
        optimise(&mut b, false, u64::MAX);
        let (found, nodes) = (b.func.loops.len(), b.func.nodes.len());
        assert!(nodes < 3 * before, "{bound} {in_test}: {nodes} nodes of {before}");
        println!("{bound} {in_test}: {found} loops of 64, {nodes} nodes of {before}");
        assert!(found <= loops, "{bound} {in_test}: {found} loops");
    }
}
