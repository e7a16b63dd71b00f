//! What a function needs: all that its results and its effects depend on.
//!
//! Owns the mark of every node. The one idea: a carried value is wanted if it is looked at, and looking at it from its
//! own next value is not looking; so what only keeps itself alive is not wanted. Whoever adds a kind of node says in
//! `Wanted::needs` what it needs. Knows no pass.

#![forbid(unsafe_code)]

use super::plan::{Carry, Plan};
use crate::ir::{Func, Node, Ref};
use crate::ops::Op;

/// Which nodes of a function are wanted.
#[derive(Default)]
pub(crate) struct Wanted {
    by_node: Vec<bool>,
    /// By region: the `If` or `Loop` that runs it.
    owners: Vec<Ref>,
    /// Marked, but what they need is not.
    open: Vec<Ref>,
}

impl Wanted {
    /// Is the node wanted?
    #[inline]
    pub(crate) fn has(&self, r: Ref) -> bool {
        self.at(r.index())
    }

    /// Is the node with this number wanted?
    #[inline]
    pub(crate) fn at(&self, number: usize) -> bool {
        self.by_node.get(number).copied().unwrap_or(false)
    }

    /// The node is made in another way.
    pub(crate) fn forget(&mut self, r: Ref) {
        self.by_node[r.index()] = false;
    }

    /// The `If` or `Loop` that runs a region; none for the body.
    #[inline]
    pub(crate) fn owner(&self, region: u16) -> Ref {
        self.owners[usize::from(region)]
    }

    /// Marks what `results` need in `func` if `plan` is carried out. Of the pinned nodes, those are wanted for themselves
    /// for which `alone` says so.
    pub(super) fn find(&mut self, func: &Func, plan: &Plan, results: &[Ref], alone: impl Fn(Ref, &Node) -> bool) {
        self.by_node.clear();
        self.by_node.resize(func.nodes.len(), false);
        self.owners.clear();
        self.owners.resize(func.regions.len(), Ref::NONE);
        for &r in &func.effects {
            let node = func.node(r);
            match node.op {
                Op::If => {
                    self.owners[node.b as usize] = r;
                    self.owners[node.c as usize] = r;
                }
                Op::Loop => {
                    let this = &func.loops[node.a as usize];
                    self.owners[usize::from(this.test)] = r;
                    self.owners[usize::from(this.body)] = r;
                }
                _ => {}
            }
        }
        for &r in results {
            self.mark(r);
        }
        for &r in &func.effects {
            if alone(r, func.node(r)) {
                self.mark(r);
            }
        }
        while let Some(r) = self.open.pop() {
            self.needs(func, plan, func.node(r));
        }
    }

    fn mark(&mut self, r: Ref) {
        if r != Ref::NONE && !std::mem::replace(&mut self.by_node[r.index()], true) {
            self.open.push(r);
        }
    }

    fn needs(&mut self, func: &Func, plan: &Plan, node: &Node) {
        match node.op {
            // What runs the region that it stands in.
            Op::Trap | Op::CallPinned | Op::If => self.mark(self.owner(node.region)),
            Op::Loop => {
                self.mark(self.owner(node.region));
                self.mark(func.regions[usize::from(func.loops[node.a as usize].body)].condition);
                return;
            }
            Op::Phi => return self.carried(func, plan, node.a),
            Op::Exit => return self.carried(func, plan, node.b),
            _ => {}
        }
        func.for_operands(node, |r| self.mark(r));
    }

    /// What looking at carried value `at` needs, in the loop or after it.
    fn carried(&mut self, func: &Func, plan: &Plan, at: u32) {
        let carried = func.carried[at as usize];
        match plan.carry(at as usize) {
            Carry::Init => self.mark(carried.init),
            Carry::Same(other) => self.mark(func.carried[other as usize].phi),
            Carry::Keep => {
                self.mark(carried.phi);
                self.mark(self.owner(func.node(carried.phi).region));
                self.mark(carried.init);
                self.mark(carried.next);
            }
        }
    }
}
