//! Carried values that need not be carried.
//!
//! Owns two observations: what is the same after an iteration as before is what it was before the loop, and two values
//! that begin equal and go on equally are one. What is carried and never looked at is `wanted`'s.

#![forbid(unsafe_code)]

use crate::ir::{Carried, Func, Loop};
use crate::opt::Study;
use crate::opt::plan::Carry;

/// What two carried values share if they are always equal: beginning and next value, in which the value itself is
/// `OWN`; then the number of the carried value.
pub(in crate::opt) type Key = (u32, u8, [u32; 3], u32);

/// The carried value itself.
const OWN: u32 = u32::MAX;
/// No operation: the next value is this node, whatever it is.
const NODE: u8 = u8::MAX;

/// The pass: finds values that do not change, and values that are equal.
pub(in crate::opt) fn simplify(study: &mut Study<'_>) {
    let func = study.func;
    for this in &func.loops {
        for at in this.carried() {
            let carried = &func.carried[at];
            if carried.next == carried.phi || carried.next == carried.init {
                study.plan.carried[at] = Carry::Init;
                study.plan.todo = true;
            }
        }
        merge(study, this, |_, carried, at| (carried.init.0, NODE, [carried.next.0, 0, 0], at));
        merge(study, this, by_operation);
    }
}

/// Merges the values of a loop that share the key, of those that are still carried.
fn merge(study: &mut Study<'_>, this: &Loop, key: fn(&Func, &Carried, u32) -> Key) {
    let (func, plan) = (study.func, &mut *study.plan);
    let keys = &mut study.loops.keys;
    keys.clear();
    let kept = this.carried().filter(|&at| plan.carried[at] == Carry::Keep);
    keys.extend(kept.map(|at| key(func, &func.carried[at], at as u32)));
    keys.sort_unstable();
    let mut first = 0;
    for at in 1..keys.len() {
        let (a, b) = (keys[first], keys[at]);
        if (a.0, a.1, a.2) == (b.0, b.1, b.2) {
            plan.carried[b.3 as usize] = Carry::Same(a.3);
            plan.todo = true;
        } else {
            first = at;
        }
    }
}

/// By the operation that makes the next value out of the value itself.
fn by_operation(func: &Func, carried: &Carried, at: u32) -> Key {
    let node = func.node(carried.next);
    let mut operands = node.operands().map(|r| r.0);
    let own = operands[..node.op.arity()].contains(&carried.phi.0);
    if !own {
        return (carried.init.0, NODE, [carried.next.0, 0, 0], at);
    }
    for operand in &mut operands {
        if *operand == carried.phi.0 {
            *operand = OWN;
        }
    }
    (carried.init.0, node.op as u8, operands, at)
}
