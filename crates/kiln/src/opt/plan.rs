//! What a replay does beyond copying.
//!
//! Owns the decisions of one round, which the passes make and `replay` carries out all at once: by loop, by carried
//! value, and for the step counter. An empty plan copies. Knows neither why something is decided nor how it is done.

#![forbid(unsafe_code)]

use crate::ir::{Func, Node, Ref, TrapKind};
use crate::ops::Op;

/// What becomes of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Fate {
    #[default]
    Keep,
    /// Its iterations are written out; it runs this many times, always.
    Unroll {
        times: u32,
        /// Does its test do something, also when it fails?
        tests_again: bool,
    },
    /// Its reductions run side by side.
    Split,
}

/// What becomes of a carried value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Carry {
    #[default]
    Keep,
    /// It is always what it was before the loop.
    Init,
    /// It is always what this other carried value is.
    Same(u32),
}

/// A value that a loop will carry instead of computing it: a function of a counter that grows evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    pub(super) number: u32,
    /// The node that becomes a carried value: a product, or a conversion.
    pub(super) node: Ref,
    /// The carried counter, whose next value is the sum of it and `step`.
    pub(super) counter: u32,
    pub(super) step: Ref,
    /// A constant that the node adds to the counter first, if not none.
    pub(super) offset: Ref,
    /// The other factor, unless it is a conversion.
    pub(super) factor: Ref,
}

/// The decisions of a round.
#[derive(Default)]
pub(super) struct Plan {
    /// By loop; none means that all are kept.
    pub(super) fates: Vec<Fate>,
    /// By carried value, likewise.
    pub(super) carried: Vec<Carry>,
    /// By loop, in order.
    pub(super) added: Vec<Added>,
    /// By carried value: do several of it run side by side, in a loop that is split?
    pub(super) accumulators: Vec<bool>,
    /// The loops cannot take more steps than they may: nothing counts them.
    pub(super) drop_steps: bool,
    /// Is there anything to do?
    pub(super) todo: bool,
}

impl Plan {
    /// The empty plan for a function.
    pub(super) fn start(&mut self, func: &Func) {
        self.fates.clear();
        self.fates.resize(func.loops.len(), Fate::Keep);
        self.carried.clear();
        self.carried.resize(func.carried.len(), Carry::Keep);
        self.added.clear();
        self.accumulators.clear();
        self.accumulators.resize(func.carried.len(), false);
        self.drop_steps = false;
        self.todo = false;
    }

    #[inline]
    pub(super) fn fate(&self, number: usize) -> Fate {
        self.fates.get(number).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn carry(&self, at: usize) -> Carry {
        self.carried.get(at).copied().unwrap_or_default()
    }

    /// Is this pinned node no longer wanted, whatever else is?
    pub(super) fn drops(&self, node: &Node) -> bool {
        self.drop_steps && counts_steps(node)
    }

    /// What loop `number` will carry besides, in order.
    pub(super) fn added_to(&self, number: usize) -> &[Added] {
        let start = self.added.partition_point(|a| (a.number as usize) < number);
        let end = self.added.partition_point(|a| a.number as usize <= number);
        &self.added[start..end]
    }
}

/// Does this node stop an evaluation whose loops take too long?
pub(super) fn counts_steps(node: &Node) -> bool {
    node.op == Op::Trap && node.b == TrapKind::Steps as u32
}
