//! The proof of integer rules at full width: each is handed to the `z3` solver as text, where that is installed.
//!
//! Owns what each operation means in SMT-LIB, written independently of the op table. A rule that contains an operation without a row
//! here (floats, powers, population counts) is left to the other proofs.

use super::TABLE;
use super::tests::{Random, awkward, functions, is_constant, own_types, variables};
use crate::ir::matcher::{self, Head, LITERALS, Rule, Width};
use crate::ops::{Op, Sig};
use crate::types::Type;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Before each question. A fresh solver for each is faster than one that keeps what it learned.
const START: &str = "(reset)\n(set-option :timeout 700)\n(set-logic QF_BV)\n";

/// Integer operations on operands `{a}`, `{b}` of `{w}` bits; `{0}`, `{1}`, `{m}` are zero, one and `w - 1`.
const TEXTS: &[(Op, &str)] = &[
    (Op::Add, "(bvadd {a} {b})"),
    (Op::Sub, "(bvsub {a} {b})"),
    (Op::Mul, "(bvmul {a} {b})"),
    (Op::Neg, "(bvneg {a})"),
    (Op::Abs, "(ite (bvslt {a} {0}) (bvneg {a}) {a})"),
    (
        Op::FloorDiv,
        "(ite (= {b} {0}) {0} (bvsub (bvsdiv {a} {b}) (ite (or (= (bvsrem {a} {b}) {0}) \
         (= (bvslt {a} {0}) (bvslt {b} {0}))) {0} {1})))",
    ),
    (Op::FloorMod, "(ite (= {b} {0}) {0} (bvsmod {a} {b}))"),
    (Op::TruncDiv, "(ite (= {b} {0}) {0} (bvsdiv {a} {b}))"),
    (Op::TruncRem, "(ite (= {b} {0}) {0} (bvsrem {a} {b}))"),
    (Op::Min, "(ite (bvslt {a} {b}) {a} {b})"),
    (Op::Max, "(ite (bvslt {a} {b}) {b} {a})"),
    (Op::And, "(bvand {a} {b})"),
    (Op::Or, "(bvor {a} {b})"),
    (Op::Xor, "(bvxor {a} {b})"),
    (Op::Not, "(bvnot {a})"),
    (Op::Shl, "(bvshl {a} (bvand {b} {m}))"),
    (Op::Sar, "(bvashr {a} (bvand {b} {m}))"),
    (Op::Shr, "(bvlshr {a} (bvand {b} {m}))"),
    (Op::Eq, "(= {a} {b})"),
    (Op::Ne, "(distinct {a} {b})"),
    (Op::Lt, "(bvslt {a} {b})"),
    (Op::Le, "(bvsle {a} {b})"),
    (Op::AddOverflows, "(distinct (bvadd {A} {B}) ((_ sign_extend {w}) (bvadd {a} {b})))"),
    (Op::SubOverflows, "(distinct (bvsub {A} {B}) ((_ sign_extend {w}) (bvsub {a} {b})))"),
    (Op::MulOverflows, "(distinct (bvmul {A} {B}) ((_ sign_extend {w}) (bvmul {a} {b})))"),
];

/// The same for operands that are truth values.
const BOOL_TEXTS: &[(Op, &str)] = &[
    (Op::And, "(and {a} {b})"),
    (Op::Or, "(or {a} {b})"),
    (Op::Xor, "(xor {a} {b})"),
    (Op::Not, "(not {a})"),
    (Op::Eq, "(= {a} {b})"),
    (Op::Ne, "(distinct {a} {b})"),
];

fn literal(ty: Type, bits: u64) -> String {
    match ty {
        Type::Bool => (bits != 0).to_string(),
        _ => format!("(_ bv{bits} {})", ty.bits()),
    }
}

/// The text of a term, if all of its operations have one.
fn text(rule: &Rule, at: u8, own: Type, values: &[String; 7], fns: &[u64; 4]) -> Option<String> {
    let term = &rule.terms[at as usize];
    let ty = term.ty.at(own);
    let op = match term.head {
        Head::Value(v) | Head::Constant(v) => return Some(values[v as usize].clone()),
        Head::Literal(l) => return Some(literal(ty, LITERALS[l as usize].bits(ty))),
        Head::Function(_) => return Some(literal(ty, fns[matcher::function_number(rule, at)])),
        Head::Op(op) => op,
    };
    let from = rule.terms[term.args[0] as usize].ty.at(own);
    let mut args = Vec::new();
    for &operand in &term.args[..op.arity()] {
        args.push(text(rule, operand, own, values, fns)?);
    }
    let w = from.bits();
    if op.row().sig == Sig::Select {
        return Some(format!("(ite {} {} {})", args[0], args[1], args[2]));
    }
    if op == Op::Convert {
        return match (from, ty) {
            (Type::I32, Type::I64) => Some(format!("((_ sign_extend 32) {})", args[0])),
            (Type::I64, Type::I32) => Some(format!("((_ extract 31 0) {})", args[0])),
            (Type::I32 | Type::I64, Type::Bool) => Some(format!("(distinct {} {})", args[0], literal(from, 0))),
            (Type::Bool, Type::I32 | Type::I64) => {
                Some(format!("(ite {} {} {})", args[0], literal(ty, 1), literal(ty, 0)))
            }
            _ => None,
        };
    }
    if from.is_float() || ty.is_float() {
        return None;
    }
    let table = if from == Type::Bool { BOOL_TEXTS } else { TEXTS };
    let (_, pattern) = table.iter().find(|(known, _)| *known == op)?;
    let b = args.get(1).cloned().unwrap_or_default();
    let wide = |v: &str| format!("((_ sign_extend {w}) {v})");
    Some(
        pattern
            .replace("{A}", &wide(&args[0]))
            .replace("{B}", &wide(&b))
            .replace("{w}", &w.to_string())
            .replace("{0}", &literal(from, 0))
            .replace("{1}", &literal(from, 1))
            .replace("{m}", &literal(from, u64::from(w - 1)))
            .replace("{a}", &args[0])
            .replace("{b}", &b),
    )
}

/// The questions that one rule on one type makes: "can the sides differ?". None if an operation has no text.
fn questions(rule: &Rule, own: Type, random: &mut Random) -> Option<Vec<String>> {
    let variables = variables(rule, own);
    let has_functions = rule.terms[..rule.count as usize].iter().any(|t| matches!(t.head, Head::Function(_)));
    // Functions of constants are computed here, so such rules are asked about constant by constant.
    let mut choices = vec![[0u64; 7]];
    if has_functions {
        for &(v, ty) in variables.iter().filter(|(v, _)| is_constant(*v)) {
            let powers = (0..ty.bits()).map(|k| 1u64 << k);
            let set: Vec<u64> = awkward(ty).into_iter().chain(powers).collect();
            let mut next = Vec::new();
            for choice in &choices {
                for &bits in &set {
                    let mut choice = *choice;
                    choice[v as usize] = bits;
                    next.push(choice);
                }
            }
            choices = next;
        }
        choices.retain(|bits| functions(rule, own, Width::of, bits).is_some());
        while choices.len() > 24 {
            choices.swap_remove(random.below(choices.len()));
        }
    }
    let mut found = Vec::new();
    for bits in choices {
        let fns = if has_functions { functions(rule, own, Width::of, &bits)? } else { [0; 4] };
        let mut declarations = String::new();
        let mut values: [String; 7] = Default::default();
        for &(v, ty) in &variables {
            let name = matcher::VARIABLES[v as usize];
            values[v as usize] = if has_functions && is_constant(v) {
                literal(ty, bits[v as usize])
            } else {
                let sort = if ty == Type::Bool { "Bool".to_owned() } else { format!("(_ BitVec {})", ty.bits()) };
                writeln!(declarations, "(declare-const {name} {sort})").unwrap();
                name.to_owned()
            };
        }
        let left = text(rule, rule.left, own, &values, &fns)?;
        let right = text(rule, rule.right, own, &values, &fns)?;
        found.push(format!("{START}{declarations}(assert (distinct {left} {right}))\n(check-sat)\n"));
    }
    Some(found)
}

#[test]
fn a_solver_finds_no_values_on_which_integer_rules_fail() {
    let mut random = Random(13);
    let (mut script, mut asked) = (String::new(), Vec::new());
    for rule in TABLE {
        for own in own_types(rule) {
            if own.is_float() {
                continue;
            }
            for question in questions(rule, own, &mut random).unwrap_or_default() {
                script.push_str(&question);
                asked.push((rule, own));
            }
        }
    }
    let solver = Command::new("z3").args(["-smt2", "-in"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut solver = match solver {
        Ok(solver) => solver,
        Err(why) => {
            println!("skipped: the solver z3 does not start: {why}");
            return;
        }
    };
    let mut input = solver.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()).unwrap());
    let output = solver.wait_with_output().unwrap();
    writer.join().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = output.lines().collect();
    assert_eq!(answers.len(), asked.len(), "{:?}", answers.iter().find(|a| a.contains("error")));
    let with = |wanted: &str| -> Vec<String> {
        let mut names: Vec<String> = asked
            .iter()
            .zip(&answers)
            .filter(|(_, a)| **a == wanted)
            .map(|((rule, own), _)| format!("{} at {own}", rule.name))
            .collect();
        names.dedup();
        names
    };
    let (wrong, open) = (with("sat"), with("unknown"));
    println!("{} questions, proved {}; out of time: {open:?}", asked.len(), with("unsat").len());
    assert!(wrong.is_empty(), "the sides differ: {wrong:?}");
    assert!(with("unsat").len() > 300, "only {} proved", with("unsat").len());
}
