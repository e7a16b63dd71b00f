//! The step counter, where it cannot run out.
//!
//! Owns one decision: if all loops together cannot take more steps than are allowed, nothing stops for that reason, and
//! what counts them is not wanted any more. That makes formulas infallible whose loops are bounded by constants.
//! Knows the kind of the counter's traps, and not how it counts.

#![forbid(unsafe_code)]

use crate::opt::plan::counts_steps;
use crate::opt::{Study, What};

/// The pass: drops the counter if the loops are short.
pub(in crate::opt) fn drop_counter(study: &mut Study<'_>) {
    let func = study.func;
    let Some(&trap) = func.effects.iter().find(|&&r| counts_steps(func.node(r))) else { return };
    let total = study.loops.iterations(func).fold(*study.consumed, u64::saturating_add);
    // More than any budget may also mean that nothing is known.
    if total <= study.steps && total < u64::MAX {
        study.plan.drop_steps = true;
        study.plan.todo = true;
        study.report.add(What::CounterDropped, func.spans[trap.index()]);
    }
}
