//! Products and conversions of counters that become sums.
//!
//! Owns the choice, in `pays`. The one idea: a function of a counter that grows evenly when the counter does is carried
//! beside it. Ints wrap, so their products are exact whatever happens; conversions to floats are taken only where all
//! values are whole and small enough for sums of them to be exact.

#![forbid(unsafe_code)]

use super::range::{int, of_type};
use super::{NOWHERE, affine, is_invariant, step_of};
use crate::ir::{Func, Loop, Ref};
use crate::ops::Op;
use crate::opt::plan::{Added, Fate};
use crate::opt::{Study, What};
use crate::types::Type;

/// Most values that a loop carries, with those that are added: each wants a register.
const CARRIED: usize = 8;

/// Is a product with this factor worth a carried value? A multiplication takes three cycles and a sum one, but what is
/// a shift, or an address of the form `x + x * 2^n`, is as fast as a sum.
fn pays(func: &Func, factor: Ref) -> bool {
    !int(func, factor).is_some_and(|c| matches!(c.unsigned_abs(), 0 | 3 | 5 | 9) || c.unsigned_abs().is_power_of_two())
}

/// The pass: finds what is carried instead of computed.
pub(in crate::opt) fn reduce(study: &mut Study<'_>) {
    let func = study.func;
    for (at, node) in func.nodes.iter().enumerate() {
        if node.region == 0 || !matches!(node.op, Op::Mul | Op::Convert) || !study.wanted.at(at) {
            continue;
        }
        let number = study.loops.of_region[usize::from(node.region)];
        // What lives in an arm depends on more than a counter.
        if number == NOWHERE || func.loops[number as usize].test != node.region {
            continue;
        }
        let found = match node.op {
            Op::Mul => product(func, number, Ref(at as u32)),
            _ => conversion(study, number, Ref(at as u32)),
        };
        study.plan.added.extend(found.filter(|_| study.plan.fates[number as usize] == Fate::Keep));
    }
    limit(study);
    for added in &study.plan.added {
        study.wanted.forget(added.node);
        study.plan.todo = true;
        let what = if added.factor == Ref::NONE { What::ConversionReduced } else { What::ProductReduced };
        study.report.add(what, func.spans[added.node.index()]);
    }
}

/// Sorts what was found by loop, and drops what a loop has no registers for.
fn limit(study: &mut Study<'_>) {
    study.plan.added.sort_by_key(|a| a.number);
    let (mut number, mut carried) = (NOWHERE, 0);
    let (func, wanted) = (study.func, &study.wanted);
    study.plan.added.retain(|a| {
        if a.number != number {
            number = a.number;
            let range = func.loops[number as usize].carried();
            carried = func.carried[range].iter().filter(|c| wanted.has(c.phi)).count();
        }
        carried += 1;
        carried <= CARRIED
    });
}

fn product(func: &Func, number: u32, r: Ref) -> Option<Added> {
    let node = func.node(r);
    let this = &func.loops[number as usize];
    if !node.ty.is_int() {
        return None;
    }
    let with = |counter: u32, factor: u32| {
        let factor = Ref(factor);
        let sound = is_invariant(func, this, factor) && pays(func, factor);
        sound.then(|| counting(func, this, number, r, Ref(counter), factor)).flatten()
    };
    with(node.a, node.b).or_else(|| with(node.b, node.a))
}

fn conversion(study: &Study<'_>, number: u32, r: Ref) -> Option<Added> {
    let func = study.func;
    let node = func.node(r);
    let exact: i128 = match node.ty {
        Type::F64 => 1 << 53,
        Type::F32 => 1 << 24,
        _ => return None,
    };
    let counter = Ref(node.a);
    if !func.ty(counter).is_int() {
        return None;
    }
    let found = counting(func, &func.loops[number as usize], number, r, counter, Ref::NONE)?;
    int(func, found.step)?;
    // A float does not wrap where an int would.
    let (low, high) = study.loops.counter_range(func, func.carried[found.counter as usize].phi)?;
    let offset = if found.offset == Ref::NONE { 0 } else { int(func, found.offset)? };
    let (low, high, all) = (low + offset, high + offset, of_type(func.ty(counter)));
    (-exact.min(-all.0) <= low && high <= exact.min(all.1)).then_some(found)
}

/// `r` as a function of a counter of the loop.
fn counting(func: &Func, this: &Loop, number: u32, r: Ref, counter: Ref, factor: Ref) -> Option<Added> {
    let found = affine(func, this, counter)?;
    let step = step_of(func, this, found.at)?;
    Some(Added { number, node: r, counter: found.at as u32, step, offset: found.offset, factor })
}
