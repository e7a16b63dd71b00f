//! What is known of loops against what they do.

use super::Loops;
use crate::differential::Random;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::{Ref, TrapKind, text};
use crate::ops::Op;
use crate::opt::soup::{Kitchen, PARAMS};
use crate::opt::tests::PLAIN;
use crate::opt::{Optimiser, PASSES};
use crate::types::{Type, Value};

/// More iterations than this are not counted.
const LONG: u64 = 300;

/// How many iterations the only loop of a function takes, whose first result counts them.
fn count(b: &Builder, args: &[u64]) -> Option<u64> {
    let mut scratch = Scratch::default();
    match evaluate(&b.func, args, &mut scratch) {
        Ok(()) => Some(scratch.bits(b.func.results[0])),
        Err(stop) => {
            assert_eq!(stop.kind, TrapKind::Steps);
            None
        }
    }
}

/// A loop that counts from `init` by `step` while it compares so with `bound`, and counts its iterations.
#[derive(Debug)]
struct Case {
    ty: Type,
    init: u64,
    step: u64,
    offset: Option<u64>,
    bound: u64,
    op: Op,
    reversed: bool,
    /// Is there more to the condition?
    and: bool,
}

impl Case {
    fn build(&self, b: &mut Builder) {
        b.reset(PLAIN);
        let flag = b.param(Type::Bool);
        let constant = |b: &mut Builder, bits| b.const_bits(self.ty, bits);
        let (init, step, bound) = (constant(b, self.init), constant(b, self.step), constant(b, self.bound));
        let (zero, one) = (b.small(Type::I64, 0), b.small(Type::I64, 1));
        let limit = b.const_bits(Type::I64, LONG);
        let number = b.begin_loop(&[init, zero]);
        let (k, n) = (b.phi(number, 0), b.phi(number, 1));
        let counter = match self.offset {
            Some(offset) => {
                let offset = constant(b, offset);
                b.raw2(Op::Add, k, offset)
            }
            None => k,
        };
        let (x, y) = if self.reversed { (bound, counter) } else { (counter, bound) };
        let mut condition = b.raw2(self.op, x, y);
        if self.and {
            condition = b.raw2(Op::And, flag, condition);
        }
        b.begin_body(condition);
        let over = b.raw2(Op::Lt, limit, n);
        b.trap(over, TrapKind::Steps);
        let nexts = [b.raw2(Op::Add, k, step), b.raw2(Op::Add, n, one)];
        b.end_loop(&nexts);
        let result = b.exit(number, 1);
        b.func.results.push(result);
    }
}

fn edge(ty: Type, random: &mut Random) -> u64 {
    let near = random.below(9) as i64 - 4;
    let v = match random.below(6) {
        0 => i64::MAX - near.abs(),
        1 => i64::MIN + near.abs(),
        2 => (1 << 53) + near,
        3 => -(1 << 53) + near,
        4 => (1 << 24) + near,
        _ => near * 20,
    };
    match ty {
        Type::F64 if random.below(9) == 0 => (v as f64 + 0.5).to_bits(),
        Type::F64 => (v as f64).to_bits(),
        Type::F32 => (v as f32).to_bits().into(),
        Type::I32 => Value::I32(v.clamp(i32::MIN.into(), i32::MAX.into()) as i32).to_bits(),
        _ => v as u64,
    }
}

/// Loops at all the edges: the counts are right, and there are enough of them.
#[test]
fn counts_of_iterations_are_right() {
    let mut random = Random(77);
    let (mut b, mut optimiser) = (Builder::default(), Optimiser::default());
    let (mut exact, mut bounded, mut ends) = (0, 0, 0);
    for _ in 0..40_000 {
        let ty = [Type::I32, Type::I64, Type::F32, Type::F64][random.below(4)];
        let init = edge(ty, &mut random);
        let step = [1, 1, -1, 2, -3, 100][random.below(6)];
        let close = |random: &mut Random| match Value::from_bits(ty, init) {
            Value::I32(v) => Value::I32(v.wrapping_add(random.below(200) as i32 - 100)).to_bits(),
            Value::I64(v) => v.wrapping_add(random.below(200) as i64 - 100) as u64,
            Value::F32(v) => (v + random.below(400) as f32 / 2.0 - 100.0).to_bits().into(),
            Value::F64(v) => (v + random.below(400) as f64 / 2.0 - 100.0).to_bits(),
            Value::Bool(_) => 0,
        };
        let convert = |v: i64| crate::ops::conversion(Type::I64, ty)(v as u64, 0, 0);
        let case = Case {
            ty,
            init,
            step: convert(step),
            offset: (random.below(3) == 0).then(|| convert(random.below(7) as i64 - 3)),
            bound: if random.below(5) == 0 { edge(ty, &mut random) } else { close(&mut random) },
            op: [Op::Lt, Op::Le, Op::Ne, Op::Eq][random.below(4)],
            reversed: random.below(2) == 0,
            and: random.below(4) == 0,
        };
        case.build(&mut b);
        optimiser.study(&b.func, u64::MAX, &PASSES[..1]);
        let trips = optimiser.loops.trips[0];
        for flag in [1, 0] {
            let found = count(&b, &[flag]);
            ends += usize::from(found.is_some());
            if let Some(exactly) = trips.exactly {
                assert_eq!(Some(exactly).filter(|&n| n <= LONG), found, "{case:?}\n{}", text::print(&b.func));
                exact += 1;
            }
            if let Some(at_most) = trips.at_most {
                let short = found.is_some_and(|n| n <= at_most) || at_most > LONG;
                assert!(short, "{found:?}, {trips:?}, {case:?}\n{}", text::print(&b.func));
                bounded += 1;
            }
        }
    }
    println!("of {ends} that end, {exact} are counted exactly and {bounded} are bounded");
    assert!(exact > ends / 2 && bounded > exact);
}

/// Bounds that are not constants: the count is at most what it is said to be.
#[test]
fn bounds_of_iterations_hold() {
    let mut b = Builder::default();
    let mut optimiser = Optimiser::default();
    for (limits, expected) in [("and %0, 63", 63), ("min %0, 50", 50), ("floormod %0, 40", 39)] {
        for (init, more) in [("0", 0), ("-5", 5)] {
            let source = format!(
                "params %0:i64\n%1:i64 = {limits}\nloop %2:i64 = {init}, %3:i64 = 0 {{\n%4:bool = lt %2, %1\nwhile %4\n\
                 %5:i64 = add %2, 1\n%6:i64 = add %3, 1\nnext %5, %6\n}}\n%7:i64 = exit %3\nreturn %7\n"
            );
            b.reset(PLAIN);
            text::read::parse(&source, &mut b, &|_| None).unwrap();
            optimiser.study(&b.func, u64::MAX, &PASSES[..1]);
            let trips = optimiser.loops.trips[0];
            assert_eq!((trips.exactly, trips.at_most), (None, Some(expected + more)), "{source}");
            for n in [0, 1, 39, 50, 63, 64, 1000, u64::MAX] {
                assert!(count(&b, &[n]).unwrap() <= expected + more);
            }
        }
    }
}

/// In random functions, ints lie where they are said to lie.
#[test]
fn ranges_hold() {
    let mut kitchen = Kitchen::new(41);
    let mut b = Builder::default();
    let mut optimiser = Optimiser::default();
    let mut scratch = Scratch::default();
    let (mut narrow, mut checked) = (0, 0);
    for round in 0..6000 {
        b.reset(if round % 2 == 0 { PLAIN } else { BuildOptions::DEFAULT });
        kitchen.cook(&mut b, 20);
        optimiser.study(&b.func, kitchen.budget, &PASSES[..1]);
        let args: Vec<u64> = PARAMS.iter().map(|&ty| kitchen.random.value(ty)).collect();
        if evaluate(&b.func, &args, &mut scratch).is_err() {
            continue;
        }
        for (i, node) in b.func.nodes.iter().enumerate() {
            // What lives in a region may not have run.
            if node.region != 0 || node.ty.is_float() || matches!(node.op, Op::Trap | Op::If | Op::Loop) {
                continue;
            }
            let r = Ref(i as u32);
            let value = match scratch.value(&b.func, r) {
                Value::I32(v) => i128::from(v),
                Value::I64(v) => i128::from(v),
                Value::Bool(v) => i128::from(v),
                Value::F32(_) | Value::F64(_) => continue,
            };
            let (low, high) = optimiser.loops.range(&b.func, r);
            assert!(low <= value && value <= high, "%{i} is {value}, not in {low}..{high}:\n{}", text::print(&b.func));
            checked += 1;
            narrow += usize::from((low, high) != super::range::of_type(node.ty) && node.op != Op::Const);
        }
    }
    println!("{checked} ints, {narrow} of them narrow");
    assert!(narrow > 3000);
}

/// The tree of loops.
#[test]
fn loops_know_what_is_around_them() {
    let mut b = Builder::default();
    let source = "params %0:bool\nloop {\nwhile %0\nif %0 {\nloop {\nwhile %0\n}\n} else {\n}\n}\nloop {\nwhile %0\n}\nreturn %0\n";
    b.reset(PLAIN);
    text::read::parse(source, &mut b, &|_| None).unwrap();
    let mut loops = Loops::default();
    loops.find(&b.func, 1);
    assert_eq!(loops.around, [super::NOWHERE, 0, super::NOWHERE]);
}
