//! What is known of conditions inside the arms and loops that they govern.
//!
//! Owns the facts. The one idea: in an arm, its condition holds (or does not), and so do the parts of it that this
//! decides, and so does not what says the opposite. A replay asks here before it copies a branch or a trap: what is
//! decided is no branch. Facts are learned on the way into an arm and forgotten on the way out.

#![forbid(unsafe_code)]

use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ops::Op;

/// Facts are drawn from this many operands of one condition, so that long conditions in deep nests stay linear.
const FACTS_OF_ONE: usize = 8;

/// What is known where a replay stands.
#[derive(Default)]
pub(super) struct Facts {
    /// By node of the copy.
    known: Vec<Option<bool>>,
    /// The conditions of which something is known, in the order in which it was learned.
    learned: Vec<Ref>,
}

impl Facts {
    /// How many facts there are: for [`Facts::forget`].
    pub(super) fn count(&self) -> usize {
        self.learned.len()
    }

    /// The value of a condition, if it is constant or follows from what is known.
    pub(super) fn holds(&self, b: &Builder, condition: Ref) -> Option<bool> {
        if !b.options.optimise {
            return None;
        }
        if let Some(value) = b.func.constant(condition) {
            return Some(value.to_bits() != 0);
        }
        if self.learned.is_empty() {
            return None;
        }
        let known = |r: Ref| self.known.get(r.index()).copied().flatten();
        known(condition).or_else(|| opposite(b, condition).and_then(known).map(|holds| !holds))
    }

    /// Notes that a condition has this value in what follows.
    pub(super) fn learn(&mut self, b: &Builder, condition: Ref, holds: bool) {
        if !b.options.optimise {
            return;
        }
        let mut open = [(condition, holds); FACTS_OF_ONE];
        let (mut at, mut end) = (0, 1);
        while at < end {
            let (condition, holds) = open[at];
            at += 1;
            self.note(condition, holds);
            let node = b.func.node(condition);
            let (operands, inner) = match node.op {
                Op::Not => (1, !holds),
                Op::And if holds => (2, true),
                Op::Or if !holds => (2, false),
                _ => (0, holds),
            };
            for operand in &node.operands()[..operands] {
                if end < FACTS_OF_ONE {
                    open[end] = (*operand, inner);
                    end += 1;
                }
            }
        }
    }

    fn note(&mut self, condition: Ref, holds: bool) {
        if self.known.len() <= condition.index() {
            self.known.resize(condition.index() + 1, None);
        }
        let known = &mut self.known[condition.index()];
        if known.is_none() {
            *known = Some(holds);
            self.learned.push(condition);
        }
    }

    /// Forgets what was learned since there were `count` facts.
    pub(super) fn forget(&mut self, count: usize) {
        for condition in self.learned.drain(count..) {
            self.known[condition.index()] = None;
        }
    }
}

/// The condition that holds when this one does not, if it was made. Floats may be neither less nor not less.
fn opposite(b: &Builder, condition: Ref) -> Option<Ref> {
    let node = *b.func.node(condition);
    let (x, y) = (Ref(node.a), Ref(node.b));
    match node.op {
        Op::Not => Some(x),
        Op::Eq => b.made(Op::Ne, x, y),
        Op::Ne => b.made(Op::Eq, x, y),
        Op::Lt if b.ty(x).is_int() => b.made(Op::Le, y, x),
        Op::Le if b.ty(x).is_int() => b.made(Op::Lt, y, x),
        _ => None,
    }
}
