//! The rule engine: finds the rule that fits a node, and applies it.
//!
//! Owns the search. The one idea: for every pair of a root operation and an operand's operation a table holds the set
//! of rules that can still fit, as bits. So finding out that no rule fits, which is what nearly every node does, is
//! three loads and two `and`s; only rules that fit in both operands' operations are compared term by term. The tables
//! are made from the rules at compile time.
//!
//! Whoever adds a form of pattern to [`notation`] adds its [`Demand`]. Knows no rule.

#![forbid(unsafe_code)]

mod notation;

pub(crate) use notation::*;

use super::build::Builder;
use super::rules::TABLE;
use super::{Func, Ref};
use crate::ops::{COMMUTES, Op, Sig};
use crate::types::Type;

const MAX_STEPS: usize = 12;

/// What a step of a search demands of its node.
#[derive(Clone, Copy)]
enum Demand {
    /// Nothing: this is what the variable stands for.
    Bind(u8),
    /// The node for which the variable stands already.
    Bound(u8),
    /// A constant: this is what the variable stands for.
    BindConstant(u8),
    Literal(u8),
    Op(Op),
}

/// One node of a left side, named by its parent's step and its place among the parent's operands.
#[derive(Clone, Copy)]
struct Step {
    demand: Demand,
    parent: u8,
    place: u8,
    /// The types that it may have.
    types: u8,
    /// Is its type the rule's own?
    own: bool,
}

/// A rule with the operands of its commutative operations in one of their orders: what is compared with the nodes.
#[derive(Clone, Copy)]
struct Variant {
    rule: u16,
    count: u8,
    steps: [Step; MAX_STEPS],
}

const fn uses(rule: &Rule, variable: u8) -> usize {
    let (mut n, mut i) = (0, 0);
    while i <= rule.left as usize {
        if let Head::Value(v) = rule.terms[i].head
            && v == variable
        {
            n += 1;
        }
        i += 1;
    }
    n
}

/// Does exchanging the operands make another pattern?
const fn exchangeable(rule: &Rule, term: &Term) -> bool {
    let Head::Op(op) = term.head else { return false };
    if !op.is(COMMUTES) || is_constant(rule, term.args[1]) {
        return false;
    }
    match (rule.terms[term.args[0] as usize].head, rule.terms[term.args[1] as usize].head) {
        (Head::Value(a), Head::Value(b)) => a != b && (uses(rule, a) > 1 || uses(rule, b) > 1),
        _ => true,
    }
}

const fn variants_of(rule: &Rule) -> u8 {
    let (mut n, mut i) = (1, 0);
    while i <= rule.left as usize {
        if exchangeable(rule, &rule.terms[i]) {
            n *= 2;
        }
        i += 1;
    }
    n
}

/// Appends the steps of `term` in preorder. Bit by bit, `orders` says which operations are exchanged.
const fn unfold(rule: &Rule, term: u8, parent: u8, place: u8, orders: &mut u8, bound: &mut u8, v: &mut Variant) {
    let t = &rule.terms[term as usize];
    let demand = match t.head {
        Head::Value(n) | Head::Constant(n) if *bound & (1 << n) != 0 => Demand::Bound(n),
        Head::Value(n) => Demand::Bind(n),
        Head::Constant(n) => Demand::BindConstant(n),
        Head::Literal(l) => Demand::Literal(l),
        Head::Op(op) => Demand::Op(op),
        Head::Function(_) => panic!("functions do not stand on the left"),
    };
    if let Demand::Bind(n) | Demand::BindConstant(n) = demand {
        *bound |= 1 << n;
    }
    let own = t.ty.same(TermType::Own);
    let here = v.count;
    assert!((here as usize) < MAX_STEPS, "the left side is too long");
    v.steps[here as usize] = Step { demand, parent, place, types: t.ty.set(rule.class), own };
    v.count += 1;
    let exchanged = if exchangeable(rule, t) {
        let bit = *orders & 1 != 0;
        *orders >>= 1;
        bit
    } else {
        false
    };
    let mut i = 0;
    while i < t.arity() {
        let place = if exchanged { 1 - i } else { i };
        unfold(rule, t.args[i], here, place as u8, orders, bound, v);
        i += 1;
    }
}

const OPS: usize = Op::ALL.len();

const fn count_variants() -> usize {
    let (mut n, mut i) = (0, 0);
    while i < TABLE.len() {
        n += variants_of(&TABLE[i]) as usize;
        i += 1;
    }
    n
}

const VARIANT_COUNT: usize = count_variants();

/// All variants, grouped by root operation, in table order within a group; and where the groups start.
struct Groups {
    variants: [Variant; VARIANT_COUNT],
    starts: [u16; OPS + 1],
}

const fn group() -> Groups {
    let none = Step { demand: Demand::Bind(0), parent: 0, place: 0, types: 0, own: false };
    let empty = Variant { rule: 0, count: 0, steps: [none; MAX_STEPS] };
    let mut groups = Groups { variants: [empty; VARIANT_COUNT], starts: [0; OPS + 1] };
    let (mut n, mut op) = (0, 0);
    while op < OPS {
        groups.starts[op] = n as u16;
        let mut r = 0;
        while r < TABLE.len() {
            if TABLE[r].root() as usize == op {
                let mut order = 0;
                while order < variants_of(&TABLE[r]) {
                    groups.variants[n].rule = r as u16;
                    let (mut orders, mut bound) = (order, 0);
                    unfold(&TABLE[r], TABLE[r].left, 0, 0, &mut orders, &mut bound, &mut groups.variants[n]);
                    n += 1;
                    order += 1;
                }
            }
            r += 1;
        }
        assert!(n - groups.starts[op] as usize <= 64, "too many rules on one operation for a set of 64");
        op += 1;
    }
    groups.starts[OPS] = n as u16;
    groups
}

/// Which variants of a root operation can fit, as sets of their numbers within the group.
struct Index {
    /// By the operation of operand 0 and of operand 1.
    operand: [[[u64; OPS]; 2]; OPS],
    /// By what is allowed (none, fast, fast and contract) and the type of the operands.
    allowed: [[[u64; 5]; 3]; OPS],
    /// Those whose operands are one node.
    twins: [u64; OPS],
}

const fn index() -> Index {
    let mut ix = Index { operand: [[[0; OPS]; 2]; OPS], allowed: [[[0; 5]; 3]; OPS], twins: [0; OPS] };
    let mut op = 0;
    while op < OPS {
        let start = GROUPS.starts[op] as usize;
        let mut i = start;
        while i < GROUPS.starts[op + 1] as usize {
            index_variant(&mut ix, op, &GROUPS.variants[i], 1 << (i - start));
            i += 1;
        }
        op += 1;
    }
    ix
}

const fn index_variant(ix: &mut Index, op: usize, v: &Variant, bit: u64) {
    let rule = &TABLE[v.rule as usize];
    let mut key_types = v.steps[0].types;
    let mut first_variable = u8::MAX;
    let mut place = 0;
    while place < 2 {
        let Some(step) = operand_step(v, place) else {
            fill(&mut ix.operand[op][place], bit);
            place += 1;
            continue;
        };
        // The type of operand 1 is the one that searches are keyed by: operand 0 of a select is always a bool.
        key_types = step.types;
        match step.demand {
            Demand::Bind(n) => {
                if place == 0 {
                    first_variable = n;
                }
                fill(&mut ix.operand[op][place], bit);
            }
            Demand::Bound(n) => {
                if place == 1 && n == first_variable {
                    ix.twins[op] |= bit;
                }
                fill(&mut ix.operand[op][place], bit);
            }
            Demand::BindConstant(_) | Demand::Literal(_) => ix.operand[op][place][Op::Const as usize] |= bit,
            Demand::Op(inner) => ix.operand[op][place][inner as usize] |= bit,
        }
        place += 1;
    }
    let mut t = 0;
    while t < 5 {
        if key_types & (1 << t) != 0 {
            ix.allowed[op][2][t] |= bit;
            if rule.needs & CONTRACT == 0 {
                ix.allowed[op][1][t] |= bit;
            }
            if rule.needs == 0 {
                ix.allowed[op][0][t] |= bit;
            }
        }
        t += 1;
    }
}

const fn fill(sets: &mut [u64; OPS], bit: u64) {
    let mut i = 0;
    while i < OPS {
        sets[i] |= bit;
        i += 1;
    }
}

const fn operand_step(v: &Variant, place: usize) -> Option<&Step> {
    let mut i = 1;
    while i < v.count as usize {
        if v.steps[i].parent == 0 && v.steps[i].place as usize == place {
            return Some(&v.steps[i]);
        }
        i += 1;
    }
    None
}

static GROUPS: Groups = group();
static INDEX: Index = index();

/// What the variables of a rule that fits stand for, and its own type.
struct Binding {
    values: [Ref; VARIABLES.len()],
    own: Type,
}

/// The node that the first fitting rule makes of `op args` of result type `ty`, with the rule's name.
#[inline]
pub(crate) fn apply(b: &mut Builder, op: Op, ty: Type, args: [Ref; 3]) -> Option<(&'static str, Ref)> {
    let first = b.func.node(args[0]);
    let sets = &INDEX.operand[op as usize];
    let mut set = sets[0][first.op as usize];
    let mut key = first.ty;
    if let Some(second) = b.func.nodes.get(args[1].index()) {
        set &= sets[1][second.op as usize];
        key = second.ty;
    }
    let mode = usize::from(b.options.fast) + usize::from(b.options.fast && b.options.contract);
    set &= INDEX.allowed[op as usize][mode][key as usize];
    if args[0] != args[1] {
        set &= !INDEX.twins[op as usize];
    }
    if set == 0 { None } else { search(b, set, op, ty, args) }
}

#[inline(never)]
fn search(b: &mut Builder, mut set: u64, op: Op, ty: Type, args: [Ref; 3]) -> Option<(&'static str, Ref)> {
    let start = GROUPS.starts[op as usize] as usize;
    while set != 0 {
        let variant = &GROUPS.variants[start + set.trailing_zeros() as usize];
        set &= set - 1;
        let rule = &TABLE[variant.rule as usize];
        if let Some(binding) = fits(&b.func, variant, ty, args)
            && let Some(constants) = compute(&b.func, rule, &binding)
        {
            return Some((rule.name, rebuild(b, rule, rule.right, &binding, &constants)));
        }
    }
    None
}

fn fits(func: &Func, variant: &Variant, ty: Type, args: [Ref; 3]) -> Option<Binding> {
    let root = &variant.steps[0];
    if root.types & (1 << ty as u8) == 0 {
        return None;
    }
    let mut binding = Binding { values: [Ref::NONE; VARIABLES.len()], own: ty };
    let mut operands = [[Ref::NONE; 3]; MAX_STEPS];
    operands[0] = args;
    for (i, step) in variant.steps.iter().enumerate().take(variant.count as usize).skip(1) {
        let r = operands[step.parent as usize][step.place as usize];
        let node = func.node(r);
        if step.types & (1 << node.ty as u8) == 0 {
            return None;
        }
        if step.own {
            binding.own = node.ty;
        }
        let holds = match step.demand {
            Demand::Bind(n) => {
                binding.values[n as usize] = r;
                true
            }
            Demand::Bound(n) => binding.values[n as usize] == r,
            Demand::BindConstant(n) => {
                binding.values[n as usize] = r;
                node.op == Op::Const
            }
            Demand::Literal(l) => node.op == Op::Const && LITERALS[l as usize].fits(node.ty, node.const_bits()),
            Demand::Op(op) => {
                operands[i] = [Ref(node.a), Ref(node.b), Ref(node.c)];
                node.op == op
            }
        };
        if !holds {
            return None;
        }
    }
    Some(binding)
}

/// The values of the functions of constants by their order in the rule, if all have one.
fn compute(func: &Func, rule: &Rule, binding: &Binding) -> Option<[u64; MAX_FUNCTIONS]> {
    let mut values = [0; MAX_FUNCTIONS];
    let bits = |v: u8| func.node(binding.values[v as usize]).const_bits();
    evaluate_functions(rule, binding.own, bits, Width::of, &mut values).map(|()| values)
}

fn rebuild(b: &mut Builder, rule: &Rule, term: u8, binding: &Binding, constants: &[u64; MAX_FUNCTIONS]) -> Ref {
    let t = &rule.terms[term as usize];
    let ty = t.ty.at(binding.own);
    let op = match t.head {
        Head::Value(v) | Head::Constant(v) => return binding.values[v as usize],
        Head::Literal(l) => return b.const_bits(ty, LITERALS[l as usize].bits(ty)),
        Head::Function(_) => return b.const_bits(ty, constants[function_number(rule, term)]),
        Head::Op(op) => op,
    };
    let mut args = [Ref::NONE; 3];
    for (arg, &operand) in args.iter_mut().zip(&t.args[..t.arity()]) {
        *arg = rebuild(b, rule, operand, binding, constants);
    }
    build(b, op, ty, args)
}

/// Makes `op args` of type `ty` by the builder's raw methods.
pub(crate) fn build(b: &mut Builder, op: Op, ty: Type, [x, y, z]: [Ref; 3]) -> Ref {
    match (op.row().sig, op.arity()) {
        (Sig::Convert, _) if op == Op::Bitcast => b.bitcast(x, ty),
        (Sig::Convert, _) => b.raw_convert(x, ty),
        (_, 1) => b.raw1(op, x),
        (_, 2) => b.raw2(op, x, y),
        _ => b.raw3(op, x, y, z),
    }
}
