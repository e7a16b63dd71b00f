//! Loops that depend on nothing from outside, tried out.
//!
//! Owns the count of the iterations of loops whose condition follows from constants alone, however they count. The one
//! idea: such a condition is evaluated as the interpreter would, from iteration to iteration, until it fails; if it is
//! not soon, this knows nothing. What is looked at is as small as the time that is taken for it.

#![forbid(unsafe_code)]

use crate::ir::{Func, Node, Ref, Target};
use crate::ops::{self, Op};

/// Most iterations that are tried.
const LONGEST: u64 = 64;
/// Most nodes on which a condition may depend.
const LARGEST: usize = 48;

/// The memory of trials.
#[derive(Default)]
pub(in crate::opt) struct Simulation {
    /// The nodes on which the condition depends, in their order, and their values, as far as they are known.
    nodes: Vec<(Ref, Option<u64>)>,
    nexts: Vec<Option<u64>>,
}

impl Simulation {
    /// How often loop `number` of `func` runs, if that can be found out by trying.
    pub(super) fn run(&mut self, func: &Func, number: usize) -> Option<u64> {
        let condition = func.regions[usize::from(func.loops[number].body)].condition;
        for longest in [0, LONGEST] {
            self.gather(func, number, condition, longest > 0)?;
            for count in 0..=longest {
                for i in 0..self.nodes.len() {
                    self.nodes[i].1 = self.value(func, i);
                }
                match self.of(condition) {
                    Some(0) => return Some(count),
                    // What may fail at once depends on what is not known.
                    None => return None,
                    Some(_) => self.advance(func),
                }
            }
        }
        None
    }

    /// Finds what the condition depends on: in the first iteration, or with the next values of the phis among that in
    /// all.
    fn gather(&mut self, func: &Func, number: usize, condition: Ref, all: bool) -> Option<()> {
        let this = &func.loops[number];
        self.nodes.clear();
        self.nodes.push((condition, None));
        let mut at = 0;
        while at < self.nodes.len() {
            let node = func.node(self.nodes[at].0);
            if node.op == Op::Phi && this.carried().contains(&(node.a as usize)) {
                let carried = &func.carried[node.a as usize];
                let init = func.node(carried.init);
                self.nodes[at].1 = (init.op == Op::Const).then(|| init.const_bits());
                if all {
                    self.need(carried.next);
                }
            } else if is_pure(func, node) {
                func.for_operands(node, |r| self.need(r));
            }
            at += 1;
            if self.nodes.len() > LARGEST {
                return None;
            }
        }
        self.nodes.sort_unstable_by_key(|n| n.0);
        Some(())
    }

    fn need(&mut self, r: Ref) {
        if self.nodes.len() <= LARGEST && self.nodes.iter().all(|n| n.0 != r) {
            self.nodes.push((r, None));
        }
    }

    /// The value of a node that was gathered.
    fn of(&self, r: Ref) -> Option<u64> {
        self.nodes.binary_search_by_key(&r, |n| n.0).ok().and_then(|at| self.nodes[at].1)
    }

    fn value(&self, func: &Func, at: usize) -> Option<u64> {
        let (r, old) = self.nodes[at];
        let node = func.node(r);
        let mut words = [0; 3];
        match node.op {
            Op::Const => Some(node.const_bits()),
            Op::Call if is_pure(func, node) => {
                for (word, &r) in words.iter_mut().zip(func.call_args(node)) {
                    *word = self.of(r)?;
                }
                match &func.callees[node.a as usize].target {
                    Target::Builtin(meaning, _) => Some(meaning(words[0], words[1], words[2])),
                    Target::Host(_) => None,
                }
            }
            op if op.arity() > 0 => {
                let operands = node.operands();
                let known = operands.map(|r| if r == Ref::NONE { Some(0) } else { self.of(r) });
                // One part of a conjunction is enough.
                if op == Op::And && (known[0] == Some(0) || known[1] == Some(0)) {
                    return Some(0);
                }
                for (word, known) in words.iter_mut().zip(known) {
                    *word = known?;
                }
                let from = func.ty(operands[0]);
                let meaning = if op == Op::Convert { Some(ops::conversion(from, node.ty)) } else { op.meaning(from) };
                meaning.map(|meaning| meaning(words[0], words[1], words[2]))
            }
            // A phi has the value that it was given; of all else nothing is known.
            _ => old,
        }
    }

    /// Gives the phis their next values, all at once.
    fn advance(&mut self, func: &Func) {
        let mut nexts = std::mem::take(&mut self.nexts);
        nexts.clear();
        let phi = |r: Ref| Some(func.node(r)).filter(|n| n.op == Op::Phi).map(|n| n.a as usize);
        nexts.extend(self.nodes.iter().filter_map(|n| phi(n.0)).map(|at| self.of(func.carried[at].next)));
        for (node, next) in self.nodes.iter_mut().filter(|n| phi(n.0).is_some()).zip(&nexts) {
            node.1 = *next;
        }
        self.nexts = nexts;
    }
}

/// Can the node be evaluated here, if its operands can?
fn is_pure(func: &Func, node: &Node) -> bool {
    match node.op {
        Op::Call => matches!(func.callees[node.a as usize].target, Target::Builtin(..)),
        op => op.arity() > 0,
    }
}
