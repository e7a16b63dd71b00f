//! What is known of loops, for the passes over them.
//!
//! Owns the tree of loops, what they count, and how often they run (`trips`). The one idea: every loop is looked at
//! from outside, outer ones first, through what is invariant in it and what it carries. Each pass has a file; it reads
//! this and writes the plan.
//!
//! Whoever adds a pass adds its row to `PASSES`. Knows no copy: `replay` carries plans out.

#![forbid(unsafe_code)]

pub(super) mod carried;
pub(super) mod range;
pub(super) mod simulate;
pub(super) mod split;
pub(super) mod steps;
pub(super) mod strength;
pub(super) mod trips;
pub(super) mod unroll;

use super::plan::Plan;
use crate::ir::{Func, Loop, Ref};
use crate::ops::Op;
use simulate::Simulation;
use trips::Trips;

/// No loop.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What is known of the loops of one function.
#[derive(Default)]
pub(super) struct Loops {
    /// By region: the innermost loop that it is in.
    pub(super) of_region: Vec<u32>,
    /// How many steps all loops take at most, one more aside: the traps of the counter see to that.
    steps: u64,
    /// By loop: the loop around it.
    pub(super) around: Vec<u32>,
    /// By loop: how often it runs each time.
    pub(super) trips: Vec<Trips>,
    /// By loop: something in it can stop the evaluation, is seen outside, or may never end.
    pub(super) acts: Vec<bool>,
    /// By loop: the same of its test alone.
    pub(super) acts_in_test: Vec<bool>,
    pub(super) simulation: Simulation,
    /// By loop: how often its test and its body run at most in one evaluation.
    runs: Vec<(u64, u64)>,
    /// Scratch memory of `unroll`, by loop.
    pub(super) own: Vec<u64>,
    pub(super) walk: Vec<u64>,
    pub(super) keys: Vec<carried::Key>,
    pub(super) uses: Vec<u32>,
}

impl Loops {
    /// Finds the tree of the loops of `func`, which take at most `steps` steps.
    pub(super) fn find(&mut self, func: &Func, steps: u64) {
        self.steps = steps;
        self.of_region.clear();
        self.of_region.resize(func.regions.len(), NOWHERE);
        self.around.clear();
        for (number, this) in func.loops.iter().enumerate() {
            self.of_region[usize::from(this.test)] = number as u32;
        }
        // Regions stand after those around them.
        for (at, region) in func.regions.iter().enumerate().skip(1) {
            if self.of_region[at] == NOWHERE {
                self.of_region[at] = self.of_region[usize::from(region.parent)];
            }
        }
        self.around.extend(func.loops.iter().map(|l| self.of_region[usize::from(func.node(l.node).region)]));
        self.trips.clear();
        self.trips.resize(func.loops.len(), Trips::default());
        self.acts.clear();
        self.acts.resize(func.loops.len(), true);
        self.acts_in_test.clear();
        self.acts_in_test.resize(func.loops.len(), true);
    }

    /// How often, at most, the body of each loop runs in one evaluation.
    pub(super) fn iterations(&mut self, func: &Func) -> impl Iterator<Item = u64> + '_ {
        self.runs.clear();
        for (number, this) in func.loops.iter().enumerate() {
            let begins = match self.around[number] {
                NOWHERE => 1,
                // The test runs once more than the body.
                around if this.test < func.loops[around as usize].body => self.runs[around as usize].0,
                around => self.runs[around as usize].1,
            };
            let trips = self.trips[number].at_most.unwrap_or(u64::MAX);
            self.runs.push((begins.saturating_mul(trips.saturating_add(1)), begins.saturating_mul(trips)));
        }
        self.runs.iter().map(|runs| runs.1)
    }

    /// Finds which loops act, and which tests, if `plan` is carried out.
    pub(super) fn find_acts(&mut self, func: &Func, plan: &Plan) {
        self.acts.clear();
        self.acts.extend(self.trips.iter().map(|t| t.at_most.is_none()));
        self.acts_in_test.clear();
        self.acts_in_test.resize(func.loops.len(), false);
        for &r in &func.effects {
            let node = func.node(r);
            let at = self.of_region[usize::from(node.region)];
            let acts = match node.op {
                Op::Trap => !plan.drops(node),
                op => op == Op::CallPinned,
            };
            if acts && at != NOWHERE {
                self.acts[at as usize] = true;
                self.acts_in_test[at as usize] |= node.region < func.loops[at as usize].body;
            }
        }
        // Inner loops stand after those around them.
        for number in (0..func.loops.len()).rev() {
            let around = self.around[number];
            if self.acts[number] && around != NOWHERE {
                self.acts[around as usize] = true;
                self.acts_in_test[around as usize] |= func.loops[number].test < func.loops[around as usize].body;
            }
        }
    }
}

/// Is `r`, which is visible in the loop, made outside it?
pub(super) fn is_invariant(func: &Func, this: &Loop, r: Ref) -> bool {
    func.node(r).region < this.test
}

/// What a carried value grows by from iteration to iteration, if by something that does not change in the loop.
pub(super) fn step_of(func: &Func, this: &Loop, at: usize) -> Option<Ref> {
    let carried = func.carried[at];
    let node = func.node(carried.next);
    let (a, b) = (Ref(node.a), Ref(node.b));
    let step = match node.op {
        Op::Add if a == carried.phi => b,
        Op::Add if b == carried.phi => a,
        _ => return None,
    };
    is_invariant(func, this, step).then_some(step)
}

/// A carried value plus a constant (or none), which `r` is.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) at: usize,
    pub(super) offset: Ref,
}

/// `r` as a value that loop `this` carries plus a constant.
pub(super) fn affine(func: &Func, this: &Loop, r: Ref) -> Option<Affine> {
    let node = func.node(r);
    let (phi, offset) = match node.op {
        Op::Phi => (node, Ref::NONE),
        Op::Add if func.node(Ref(node.b)).op == Op::Const => (func.node(Ref(node.a)), Ref(node.b)),
        _ => return None,
    };
    let at = phi.a as usize;
    (phi.op == Op::Phi && this.carried().contains(&at)).then_some(Affine { at, offset })
}

#[cfg(test)]
mod tests;
