//! The proof of every rule from its text: over awkward values, exhaustively at 8 bits, and that it fires.
//!
//! Both sides of a rule are built by a builder that does not optimise, and evaluated by the reference interpreter. A
//! new rule needs nothing here.

use super::TABLE;
use crate::ir::Func;
use crate::ir::Ref;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::matcher::{
    self, CONTRACT, FAST, Head, LITERALS, MAX_FUNCTIONS, Rule, TermType, VARIABLES, Width, evaluate_functions,
};
use crate::ops::{COMMUTES, MEANINGS_I8, Meaning, Op};
use crate::types::{Type, Value};

/// A small generator of pseudo-random numbers, for tests that repeat.
pub(in crate::ir) struct Random(pub(in crate::ir) u64);

impl Random {
    pub(in crate::ir) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let x = self.0 ^ (self.0 >> 29);
        x.wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_right(23)
    }

    pub(in crate::ir) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    pub(in crate::ir) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The values of a type at which rules break.
pub(in crate::ir) fn awkward(ty: Type) -> Vec<u64> {
    let doubles = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        0.5,
        3.0,
        -4.0,
        0.1,
        -0.7,
        1.5,
        2.5,
        1e10,
        -3e9,
        4_503_599_627_370_497.5,
        2_147_483_648.0,
        -9_223_372_036_854_775_808.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    match ty {
        Type::Bool => vec![0, 1],
        Type::I32 | Type::I64 => {
            let (min, max) = if ty == Type::I32 { (1 << 31, (1 << 31) - 1) } else { (1 << 63, (1 << 63) - 1) };
            let small = [0i64, 1, -1, 2, -2, 3, 4, 5, -7, 8, 16, 31, 32, 33, 63, 64, -64, 100, 1 << 16, -(1 << 30)];
            let words = small.into_iter().map(|v| Value::from_bits(ty, v as u64).to_bits());
            words.chain([min, max, min + 1, max - 1]).collect()
        }
        Type::F32 => {
            let own = [f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::from_bits(1), -f32::from_bits(3), 1e-39, 1e38];
            doubles.iter().map(|&v| v as f32).chain(own).map(|v| u64::from(v.to_bits())).collect()
        }
        Type::F64 => {
            let own = [f64::MIN_POSITIVE, f64::MAX, f64::MIN, f64::from_bits(1), -f64::from_bits(3), 1e-310, 1e308];
            doubles.into_iter().chain(own).map(f64::to_bits).collect()
        }
    }
}

/// A variable of a left side: its number in `VARIABLES`, and its type where the rule's own is `own`.
pub(super) fn variables(rule: &Rule, own: Type) -> Vec<(u8, Type)> {
    let mut found: Vec<(u8, Type)> = Vec::new();
    for term in &rule.terms[..=rule.left as usize] {
        if let Head::Value(v) | Head::Constant(v) = term.head
            && found.iter().all(|&(known, _)| known != v)
        {
            found.push((v, term.ty.at(own)));
        }
    }
    found
}

pub(super) fn is_constant(variable: u8) -> bool {
    matches!(VARIABLES[variable as usize], "c" | "d")
}

/// The types that the rule's own stands for.
pub(super) fn own_types(rule: &Rule) -> Vec<Type> {
    let mut types: Vec<Type> = Type::ALL.into_iter().filter(|&t| rule.class & 1 << t as u8 != 0).collect();
    if rule.terms[..rule.count as usize].iter().all(|t| t.ty != TermType::Own) {
        types.truncate(1);
    }
    types
}

/// Builds one side of a rule. `exchange` says, bit by bit, which commutative operations have their operands exchanged.
fn side(b: &mut Builder, rule: &Rule, at: u8, own: Type, values: &[Ref; 7], fns: &[u64; 4], exchange: &mut u32) -> Ref {
    let term = &rule.terms[at as usize];
    let ty = term.ty.at(own);
    let op = match term.head {
        Head::Value(v) | Head::Constant(v) => return values[v as usize],
        Head::Literal(l) => return b.const_bits(ty, LITERALS[l as usize].bits(ty)),
        Head::Function(_) => return b.const_bits(ty, fns[matcher::function_number(rule, at)]),
        Head::Op(op) => op,
    };
    let mut args = [Ref::NONE; 3];
    for (arg, &operand) in args.iter_mut().zip(&term.args[..op.arity()]) {
        *arg = side(b, rule, operand, own, values, fns, exchange);
    }
    if op.is(COMMUTES) {
        if *exchange & 1 != 0 {
            args.swap(0, 1);
        }
        *exchange >>= 1;
    }
    matcher::build(b, op, ty, args)
}

/// Makes parameters and constants for the variables of a rule. `bits` are by variable.
fn bind(b: &mut Builder, variables: &[(u8, Type)], bits: &[u64; 7]) -> [Ref; 7] {
    let mut values = [Ref::NONE; 7];
    for &(v, ty) in variables {
        values[v as usize] = if is_constant(v) { b.const_bits(ty, bits[v as usize]) } else { b.param(ty) };
    }
    values
}

pub(super) fn functions(rule: &Rule, own: Type, width: impl Fn(Type) -> Width, bits: &[u64; 7]) -> Option<[u64; 4]> {
    let mut values = [0; MAX_FUNCTIONS];
    evaluate_functions(rule, own, |v| bits[v as usize], width, &mut values).map(|()| values)
}

/// Nodes whose value the language leaves open in the last evaluation, because they look at the sign or bits of a NaN.
pub(super) fn unspecified(func: &Func, scratch: &Scratch) -> Vec<bool> {
    let mut open = vec![false; func.nodes.len()];
    for (i, node) in func.nodes.iter().enumerate() {
        let looked_at = match node.op {
            Op::Copysign => Some(Ref(node.b)),
            Op::Bitcast => Some(Ref(node.a)),
            _ => None,
        };
        open[i] = looked_at.is_some_and(|r| scratch.value(func, r).is_nan());
        func.for_operands(node, |r| open[i] = open[i] || open[r.index()]);
    }
    open
}

/// Calls `f` with tuples from `sets`: all of them if they are not many more than `limit`, else `limit` random ones.
fn each_tuple(sets: &[Vec<u64>], limit: usize, random: &mut Random, mut f: impl FnMut(&[u64])) {
    let total = sets.iter().map(Vec::len).fold(1usize, usize::saturating_mul);
    let mut tuple = vec![0; sets.len()];
    for i in 0..total.min(limit) {
        let mut rest = i;
        for (value, set) in tuple.iter_mut().zip(sets) {
            *value = if total <= limit { set[rest % set.len()] } else { random.pick(set) };
            rest /= set.len();
        }
        f(&tuple);
    }
}

/// Few bits set far apart: sums of powers of two, on which roundings differ; or random ones.
fn random_bits(ty: Type, random: &mut Random) -> u64 {
    let bits = match random.below(4) {
        0 => random.next(),
        1 => random.next() >> random.below(64),
        _ => {
            let sparse = (0..2 + random.below(3)).fold(0u64, |sum, _| {
                let power = 1u64 << random.below(ty.bits() as usize);
                if random.below(2) == 0 { sum.wrapping_add(power) } else { sum.wrapping_sub(power) }
            });
            if ty.is_float() && random.below(2) == 0 {
                return crate::ops::conversion(Type::I64, ty)(sparse, 0, 0);
            }
            sparse
        }
    };
    Value::from_bits(ty, bits).to_bits()
}

/// Checks one rule on one type. Returns the number of cases, or the first that fails.
fn prove(rule: &Rule, own: Type, random: &mut Random) -> Result<usize, String> {
    let variables = variables(rule, own);
    let (constants, values): (Vec<_>, Vec<_>) = variables.iter().partition(|(v, _)| is_constant(*v));
    let set = |&(_, ty): &(u8, Type), random: &mut Random| {
        let mut set = awkward(ty);
        if rule.needs != 0 {
            // Fast rules round differently, but must agree wherever nothing is rounded.
            set = [1i32, 2, -2, 4, 8, 64, -512, 0]
                .map(|v| crate::ops::conversion(Type::I32, ty)(v as u32 as u64, 0, 0))
                .to_vec();
        } else if ty != Type::Bool {
            set.extend((0..6).map(|_| random_bits(ty, random)));
        }
        set
    };
    let constant_sets: Vec<_> = constants.iter().map(|c: &(u8, Type)| set(c, random)).collect();
    let value_sets: Vec<_> = values.iter().map(|v: &(u8, Type)| set(v, random)).collect();
    let mut tuples = Vec::new();
    each_tuple(&constant_sets, 2000, random, |t| tuples.push(t.to_vec()));
    let mut cases = 0;
    let (mut b, mut scratch) = (Builder::default(), Scratch::default());
    let mut failure = None;
    for tuple in &tuples {
        let mut bits = [0; 7];
        for (&(v, _), &c) in constants.iter().zip(tuple) {
            bits[v as usize] = c;
        }
        let Some(fns) = functions(rule, own, Width::of, &bits) else { continue };
        b.reset(BuildOptions { optimise: false, ..BuildOptions::default() });
        let refs = bind(&mut b, &variables, &bits);
        let left = side(&mut b, rule, rule.left, own, &refs, &fns, &mut 0);
        let right = side(&mut b, rule, rule.right, own, &refs, &fns, &mut 0);
        let limit = 60_000 / tuples.len() + 40;
        let mut check = |args: &[u64]| {
            // Parameters are numbered in the order of `values`.
            assert_eq!(evaluate(&b.func, args, &mut scratch), Ok(()));
            let (l, r) = (scratch.value(&b.func, left), scratch.value(&b.func, right));
            cases += 1;
            if !l.same(r) && !unspecified(&b.func, &scratch)[left.index()] && failure.is_none() {
                let shown: Vec<String> = values
                    .iter()
                    .zip(args)
                    .map(|((v, ty), &a)| format!("{}={}", VARIABLES[*v as usize], Value::from_bits(*ty, a)))
                    .collect();
                failure = Some(format!(
                    "{} at {own}: {} constants {tuple:x?}: left {l}, right {r}",
                    rule.name,
                    shown.join(" ")
                ));
            }
        };
        each_tuple(&value_sets, limit, random, &mut check);
        if rule.needs == 0 {
            for _ in 0..limit / 4 {
                let args: Vec<u64> = values.iter().map(|&(_, ty)| random_bits(ty, random)).collect();
                check(&args);
            }
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if cases == 0 => Err(format!("{} at {own}: no constants fit", rule.name)),
        None => Ok(cases),
    }
}

#[test]
fn every_rule_holds_on_awkward_values_of_every_type() {
    let mut random = Random(7);
    let mut failures = Vec::new();
    let mut cases = 0;
    for rule in TABLE {
        for own in own_types(rule) {
            match prove(rule, own, &mut random) {
                Ok(n) => cases += n,
                Err(why) => failures.push(why),
            }
        }
    }
    println!("{} rules, {cases} cases", TABLE.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Builds the left side with optimisation; did the rule fire?
fn fires(b: &mut Builder, rule: &Rule, own: Type, options: BuildOptions, random: &mut Random, shuffle: bool) -> bool {
    let mut variables = variables(rule, own);
    let sets: Vec<Vec<u64>> = variables
        .iter()
        .map(|&(v, ty)| if is_constant(v) { [vec![], awkward(ty)].concat() } else { vec![0] })
        .collect();
    let mut fired = false;
    let order = variables.clone();
    each_tuple(&sets, 1000, &mut Random(3), |tuple| {
        let mut bits = [0; 7];
        for (&(v, _), &c) in order.iter().zip(tuple) {
            bits[v as usize] = c;
        }
        if fired || functions(rule, own, Width::of, &bits).is_none() {
            return;
        }
        let mut exchange = 0;
        if shuffle {
            exchange = random.next() as u32;
            let n = variables.len().max(1);
            variables.rotate_left(random.below(n));
        }
        b.reset(options);
        let refs = bind(b, &variables, &bits);
        side(b, rule, rule.left, own, &refs, &[0; 4], &mut exchange);
        fired = b.fired.iter().any(|f| f.rule == rule.name);
    });
    fired
}

#[test]
fn every_rule_fires_on_every_type_in_every_order_and_only_where_allowed() {
    let mut random = Random(11);
    let mut b = Builder::default();
    let mut failures = Vec::new();
    for rule in TABLE {
        let allowed = |needs: u8| BuildOptions {
            fast: needs & FAST != 0,
            contract: needs & CONTRACT != 0,
            trace: true,
            ..BuildOptions::default()
        };
        for own in own_types(rule) {
            for round in 0..12 {
                if !fires(&mut b, rule, own, allowed(rule.needs), &mut random, round > 0) {
                    failures.push(format!("{} at {own} does not fire (round {round})", rule.name));
                    break;
                }
            }
            if rule.needs != 0 && fires(&mut b, rule, own, allowed(rule.needs & CONTRACT), &mut random, false) {
                failures.push(format!("{} fires although it is not allowed", rule.name));
            }
            if rule.needs & CONTRACT != 0 && fires(&mut b, rule, own, allowed(FAST), &mut random, false) {
                failures.push(format!("{} fires without the instruction", rule.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn names_of_rules_differ() {
    for (i, rule) in TABLE.iter().enumerate() {
        assert!(TABLE[..i].iter().all(|r| r.name != rule.name), "{}", rule.name);
        assert!(TABLE[..i].iter().all(|r| r.text != rule.text || r.class & rule.class == 0), "{}", rule.text);
    }
}

/// A rule's terms at 8 bits, in order: what makes each.
enum Tape {
    Variable(u8),
    Fixed(u64),
    Function(usize),
    Op(Meaning, [u8; 3]),
}

/// The terms of an integer rule at 8 bits, if all of them exist there.
fn tape(rule: &Rule) -> Option<Vec<Tape>> {
    let terms = &rule.terms[..rule.count as usize];
    let known = terms.iter().all(|t| {
        matches!(t.ty, TermType::Own | TermType::Is(Type::Bool))
            && !matches!(t.head, Head::Op(Op::Convert | Op::Bitcast))
    });
    if rule.class & matcher::INT == 0 || !known {
        return None;
    }
    let tape = terms.iter().enumerate().map(|(i, term)| match term.head {
        Head::Value(v) | Head::Constant(v) => Tape::Variable(v),
        Head::Function(_) => Tape::Function(matcher::function_number(rule, i as u8)),
        Head::Literal(l) => Tape::Fixed(match LITERALS[l as usize].text {
            "MIN" => 0x80,
            "MAX" => 0x7f,
            _ => LITERALS[l as usize].bits(term.ty.at(Type::I32)) & 0xff,
        }),
        Head::Op(op) => {
            let operand = terms[term.args[if op == Op::Select { 1 } else { 0 }] as usize].ty;
            let small = MEANINGS_I8[op as usize];
            let meaning = if operand == TermType::Own { small } else { op.meaning(Type::Bool) };
            Tape::Op(meaning.unwrap_or_else(|| panic!("{op:?} at 8 bits in {}", rule.name)), term.args)
        }
    });
    Some(tape.collect())
}

#[test]
fn integer_rules_hold_for_all_values_at_8_bits() {
    let few: Vec<u64> =
        [0i8, 1, -1, 2, -2, 3, 7, 8, 9, 16, -16, 64, 100, -127, i8::MIN, i8::MAX].map(|v| v as u8 as u64).to_vec();
    let all: Vec<u64> = (0..256).collect();
    // Unoptimised, the third variable takes fewer values.
    let few = if cfg!(debug_assertions) { &few[..6] } else { &few[..] };
    let (mut rules, mut cases) = (0, 0u64);
    let mut failures = Vec::new();
    for rule in TABLE {
        let Some(tape) = tape(rule) else { continue };
        rules += 1;
        let variables = variables(rule, Type::I32);
        let mut wide = 0;
        let sets: Vec<&[u64]> = variables
            .iter()
            .map(|&(_, ty)| {
                wide += 1;
                if ty == Type::Bool {
                    &all[..2]
                } else if wide <= 2 {
                    &all[..]
                } else {
                    few
                }
            })
            .collect();
        let total: usize = sets.iter().map(|s| s.len()).product();
        let mut values = vec![0u64; tape.len()];
        let mut bits = [0u64; 7];
        let small = |ty: Type| if ty == Type::Bool { Width::of(ty) } else { Width { bits: 8, float: false } };
        let mut fitting = 0;
        for i in 0..total {
            let mut rest = i;
            for (&(v, _), set) in variables.iter().zip(&sets) {
                bits[v as usize] = set[rest % set.len()];
                rest /= set.len();
            }
            let Some(fns) = functions(rule, Type::I32, small, &bits) else { continue };
            fitting += 1;
            for (at, entry) in tape.iter().enumerate() {
                values[at] = match *entry {
                    Tape::Variable(v) => bits[v as usize],
                    Tape::Fixed(word) => word,
                    Tape::Function(n) => fns[n],
                    Tape::Op(meaning, [a, b, c]) => meaning(values[a as usize], values[b as usize], values[c as usize]),
                };
            }
            if values[rule.left as usize] != values[rule.right as usize] {
                failures.push(format!("{} at 8 bits: {bits:x?}", rule.name));
                break;
            }
        }
        cases += fitting;
        assert!(fitting > 0, "{}: no constants fit", rule.name);
    }
    println!("{rules} rules, {cases} cases");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(rules > 150, "only {rules} rules were tested");
}
