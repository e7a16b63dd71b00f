//! Reductions that run side by side.
//!
//! Owns the choice of loops for it, made under `fast` only: a sum of floats waits for each addition before the next, and
//! four sums of every fourth term do not. The terms come out added in another order, which `strict` does not allow.
//! What is left over when no four iterations remain runs in the loop as it was.

#![forbid(unsafe_code)]

use super::range::int;
use super::{affine, is_invariant, step_of};
use crate::ir::{Func, Loop, Node, Ref};
use crate::ops::Op;
use crate::opt::plan::{Carry, Fate};
use crate::opt::{Study, What};
use crate::types::Type;

/// How many run side by side: a sum takes four cycles, and starts every cycle or half of one.
pub(in crate::opt) const WAYS: usize = 4;
/// Most operations in the body.
const OPERATIONS: u32 = 64;
/// With fewer iterations the four sums do not pay.
const FEWEST: u64 = 16;

/// The pass: finds loops whose reductions are split.
pub(in crate::opt) fn choose(study: &mut Study<'_>) {
    let func = study.func;
    count_uses(study);
    for number in 0..func.loops.len() {
        let this = &func.loops[number];
        // Only where all is carried as it stands: the round before has seen to the rest.
        if study.plan.carried[this.carried()].iter().any(|&c| c != Carry::Keep) {
            continue;
        }
        let runs = study.loops.trips[number].at_most.is_none_or(|n| n >= FEWEST);
        if !runs || !study.wanted.has(this.node) || !is_flat(study, number) || counter(func, this).is_none() {
            continue;
        }
        let mut any = false;
        for at in this.carried() {
            let found = study.wanted.has(func.carried[at].phi) && is_accumulator(study, this, at);
            study.plan.accumulators[at] = found;
            any |= found;
        }
        if any {
            study.plan.fates[number] = Fate::Split;
            study.plan.todo = true;
            study.report.add(What::Split(WAYS as u32), func.spans[this.node.index()]);
        }
    }
}

/// Counts how often each wanted node is an operand, a next value or a condition.
fn count_uses(study: &mut Study<'_>) {
    let func = study.func;
    let uses = &mut study.loops.uses;
    uses.clear();
    uses.resize(func.nodes.len(), 0);
    for (_, node) in func.nodes.iter().enumerate().filter(|(at, _)| study.wanted.at(*at)) {
        func.for_operands(node, |r| uses[r.index()] += 1);
    }
    for &r in &func.results {
        uses[r.index()] += 1;
    }
}

/// Is nothing pinned in the loop, and is it small?
fn is_flat(study: &Study<'_>, number: usize) -> bool {
    let (func, this) = (study.func, &study.func.loops[number]);
    // Its own regions are all that there are, so no loop is inside it.
    let flat = this.regions_end == this.test + 2 && !func.regions[usize::from(this.test)].has_effects;
    flat && this.node.0 - this.first.0 <= OPERATIONS
}

/// How a loop counts that goes on while a counter that grows by one is below something.
#[derive(Clone, Copy)]
pub(in crate::opt) struct Counted {
    /// The number of the carried counter.
    pub(in crate::opt) at: usize,
    pub(in crate::opt) bound: Ref,
    /// Is the bound itself included?
    pub(in crate::opt) included: bool,
}

/// The counter of the loop and its limit, if that is all that its condition asks for.
pub(in crate::opt) fn counter(func: &Func, this: &Loop) -> Option<Counted> {
    let condition = func.node(func.regions[usize::from(this.body)].condition);
    let (counter, bound) = (Ref(condition.a), Ref(condition.b));
    if !matches!(condition.op, Op::Lt | Op::Le) || !func.ty(counter).is_int() || !is_invariant(func, this, bound) {
        return None;
    }
    let found = affine(func, this, counter).filter(|found| found.offset == Ref::NONE)?;
    int(func, step_of(func, this, found.at)?).filter(|&step| step == 1)?;
    // What goes on where a loop ended is a remainder already.
    let begins = func.node(func.carried[found.at].init).op != Op::Exit;
    begins.then_some(Counted { at: found.at, bound, included: condition.op == Op::Le })
}

/// Is carried value `at` used for nothing but to gather floats?
fn is_accumulator(study: &Study<'_>, this: &Loop, at: usize) -> bool {
    let carried = study.func.carried[at];
    let next = study.func.node(carried.next);
    // The phi is used by the next value alone; the next value by the loop's end alone.
    let alone = study.loops.uses[carried.phi.index()] == 1 && study.loops.uses[carried.next.index()] == 1;
    alone && this.first <= carried.next && next.ty.is_float() && gathers(next, carried.phi).is_some()
}

/// The operation by which `next` gathers, if it does.
pub(in crate::opt) fn gathers(next: &Node, phi: Ref) -> Option<Op> {
    match next.op {
        Op::Add | Op::Mul | Op::Min | Op::Max | Op::Fmin | Op::Fmax => {
            ((next.a == phi.0) != (next.b == phi.0)).then_some(next.op)
        }
        Op::Fma => (next.c == phi.0 && next.a != phi.0 && next.b != phi.0).then_some(Op::Add),
        _ => None,
    }
}

/// What changes nothing when it is gathered: -0 for sums, because 0 + -0 is 0.
pub(in crate::opt) fn neutral(op: Op, ty: Type) -> u64 {
    let value: f64 = match op {
        Op::Mul => 1.0,
        Op::Min => f64::INFINITY,
        Op::Max => f64::NEG_INFINITY,
        Op::Fmin | Op::Fmax => f64::NAN,
        _ => -0.0,
    };
    if ty == Type::F32 { u64::from((value as f32).to_bits()) } else { value.to_bits() }
}
