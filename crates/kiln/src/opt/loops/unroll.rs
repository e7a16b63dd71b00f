//! Loops that are written out iteration by iteration.
//!
//! Owns the choice. The one idea: a loop whose number of iterations is known and small costs less without its tests,
//! and what is constant in each iteration folds. Loops are looked at inside-out, because an outer loop repeats what
//! its inner ones have become, and nothing is copied before the whole cost is known.
//!
//! A loop that runs once, or never, is no loop: that costs nothing.

#![forbid(unsafe_code)]

use crate::ir::Node;
use crate::ops::Op;
use crate::opt::plan::{Fate, counts_steps};
use crate::opt::{Study, What};

/// Most iterations that are written out.
const ITERATIONS: u64 = 64;
/// Most operations that one loop may become: at five or six bytes each, a kilobyte and a half of code.
const OPERATIONS: u64 = 256;
/// Most operations that all loops may become together.
const TOTAL: u64 = 1 << 14;
/// Most nodes that are looked at for one loop, wanted or not.
const WALK: u64 = 1 << 12;
/// Most regions that a function has.
const REGIONS: u64 = u16::MAX as u64;

/// Roughly, the instructions that an operation becomes.
fn weight(node: &Node) -> u64 {
    match node.op {
        Op::Param | Op::Const | Op::Phi | Op::Exit | Op::Join => 0,
        Op::Call | Op::CallPinned => 8,
        // Each makes two regions.
        Op::If | Op::Loop => 2,
        _ => 1,
    }
}

/// The pass: decides what is unrolled.
pub(in crate::opt) fn choose(study: &mut Study<'_>) {
    let func = study.func;
    if func.loops.is_empty() {
        return;
    }
    let loops = &mut *study.loops;
    loops.own.clear();
    loops.own.resize(func.loops.len(), 0);
    for (at, node) in func.nodes.iter().enumerate().filter(|(_, n)| n.region != 0) {
        let number = loops.of_region[usize::from(node.region)];
        if let Some(own) = loops.own.get_mut(number as usize)
            && study.wanted.at(at)
        {
            *own += weight(node);
        }
    }
    loops.walk.clear();
    loops.walk.extend(func.loops.iter().map(|l| u64::from(l.node.0 - l.first.0) + 1));
    let mut left = TOTAL.min(REGIONS.saturating_sub(func.regions.len() as u64));
    for number in (0..func.loops.len()).rev() {
        let (mut cost, mut walk) = (loops.own[number], 0);
        if let Some(count) = loops.trips[number].exactly.filter(|&n| n <= ITERATIONS) {
            let tests_again = loops.acts_in_test[number];
            let times = count + u64::from(tests_again);
            let small = times * cost <= OPERATIONS && times * loops.walk[number] <= WALK;
            if (times <= 1 || small) && times * cost <= left && study.wanted.has(func.loops[number].node) {
                left -= times * cost;
                cost *= times;
                walk = loops.walk[number] * times.saturating_sub(1);
                study.plan.fates[number] = Fate::Unroll { times: count as u32, tests_again };
                study.plan.todo = true;
                study.report.add(What::Unrolled(count as u32), func.spans[func.loops[number].node.index()]);
            }
        }
        let around = loops.around[number] as usize;
        if let Some(own) = loops.own.get_mut(around) {
            *own += cost;
            loops.walk[around] += walk;
        }
    }
    consume(study);
}

/// Notes the steps of loops that are no more, for which the counter has been wound on.
fn consume(study: &mut Study<'_>) {
    let counted = study.func.effects.iter().any(|&r| counts_steps(study.func.node(r)));
    if study.plan.drop_steps || !counted {
        return;
    }
    let fates = &study.plan.fates;
    let unrolled =
        study.loops.iterations(study.func).zip(fates).filter(|(_, fate)| matches!(fate, Fate::Unroll { .. }));
    *study.consumed = unrolled.map(|(steps, _)| steps).fold(*study.consumed, u64::saturating_add);
}
