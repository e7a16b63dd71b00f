//! The engine of all passes: copies a function into a builder, node by node in the order of the arena.
//!
//! Owns the map from nodes to their copies and the walk through regions. The one idea: a copy is made by the builder
//! like any new node, so that whatever became known about its operands (an argument, the number of an iteration, which
//! way a branch goes) folds, matches rules and finds equals by itself. Only what is wanted is copied.
//!
//! Nodes do not say where a region begins, and need not: a region is *entered* when the walk meets the first pinned node
//! in it, and left at its `If` or `Loop`. An arm is *opened* in the copy only when something is pinned there, so that
//! arms whose effects have vanished leave choices and no branch. An arm that cannot run is *gone*, with all in it.
//!
//! Whoever adds a kind of node adds its arm to `Replay::node`.

#![forbid(unsafe_code)]

mod loops;

use super::branch::Facts;
use super::plan::Plan;
use super::wanted::Wanted;
use crate::ir::build::{Arms, Builder};
use crate::ir::{Func, Node, Ref, TrapKind, matcher};
use crate::ops::Op;
use crate::types::Type;
use loops::{Kept, Unrolled};

/// The memory of replays, for reuse.
#[derive(Default)]
pub(crate) struct Memory {
    pub(super) wanted: Wanted,
    /// By node: its copy, if it has one.
    copies: Vec<Ref>,
    places: Vec<Place>,
    scopes: Vec<Scope>,
    /// How many of the scopes, from the outermost on, are open in the copy.
    opened: usize,
    /// Regions that are about to be entered, the innermost first.
    path: Vec<u16>,
    facts: Facts,
    /// Loops that are being written out, the innermost last.
    unrolled: Vec<Unrolled>,
    refs: Vec<Ref>,
    /// Nodes that are copied out of their turn, and whether their operands have been.
    early: Vec<(Ref, bool)>,
    /// What iterations that run at once begin or end with.
    ways: Vec<Ref>,
    kept: Vec<Kept>,
    /// By carried value: its place among those of the copied loop.
    slots: Vec<u32>,
}

impl Memory {
    /// The copy of a node of the function that was replayed last.
    pub(super) fn copy(&self, r: Ref) -> Ref {
        self.copies[r.index()]
    }
}

/// What has become of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    NotYetKnown,
    /// It runs when its condition says so, or always when the region around it does.
    Runs,
    Gone,
}

/// A region that the walk is in.
struct Scope {
    /// The `If` or `Loop` that runs it.
    owner: Ref,
    /// Is it the second arm, or the body of the loop?
    second: bool,
    /// How many facts were known outside.
    facts: usize,
}

/// A copy in progress.
pub(super) struct Replay<'a> {
    src: &'a Func,
    plan: &'a Plan,
    b: &'a mut Builder,
    m: &'a mut Memory,
    /// The next loop that begins.
    next_loop: usize,
}

impl<'a> Replay<'a> {
    /// Gets ready to copy `src` into `b` as planned; `m.wanted` says what of it.
    pub(super) fn new(src: &'a Func, plan: &'a Plan, b: &'a mut Builder, m: &'a mut Memory) -> Replay<'a> {
        m.copies.clear();
        m.copies.resize(src.nodes.len(), Ref::NONE);
        m.places.clear();
        m.places.resize(src.regions.len(), Place::NotYetKnown);
        m.places[0] = Place::Runs;
        m.slots.clear();
        m.slots.resize(src.carried.len(), 0);
        Replay { src, plan, b, m, next_loop: 0 }
    }

    /// Copies all, with `args` for the inputs.
    pub(super) fn run(mut self, args: &[Ref]) {
        let src = self.src;
        let mut at = 0;
        while at < src.nodes.len() {
            while src.loops.get(self.next_loop).is_some_and(|l| l.first.index() == at) {
                self.next_loop += 1;
                self.begin_loop(self.next_loop - 1);
            }
            let r = Ref(at as u32);
            at += 1;
            if self.m.wanted.has(r) {
                self.b.set_span(src.spans[r.index()]);
                let node = src.node(r);
                if node.op == Op::Loop {
                    at = self.end_loop(r, node).unwrap_or(at);
                } else {
                    self.node(r, node, args);
                }
            }
        }
        self.m.facts.forget(0);
    }

    #[inline]
    fn copy(&self, r: u32) -> Ref {
        self.m.copies[r as usize]
    }

    fn node(&mut self, r: Ref, node: &Node, args: &[Ref]) {
        let copy = match node.op {
            Op::Param => args[node.a as usize],
            Op::Const => self.b.const_bits(node.ty, node.const_bits()),
            // Made where the loop begins.
            Op::Phi | Op::Loop => return,
            Op::If => return self.end_if(r, node),
            _ if !self.enter(node.region) => return,
            Op::Trap => return self.trap(node),
            Op::Call | Op::CallPinned => {
                if node.op == Op::CallPinned {
                    self.open();
                }
                let mut args = std::mem::take(&mut self.m.refs);
                args.clear();
                args.extend(self.src.call_args(node).iter().map(|r| self.copy(r.0)));
                let call = self.b.call_again(&self.src.callees[node.a as usize], &args);
                self.m.refs = args;
                call
            }
            Op::Join => self.join(node),
            Op::Exit => self.exit(node),
            op => {
                let mut operands = node.operands();
                for operand in &mut operands[..op.arity()] {
                    *operand = self.copy(operand.0);
                }
                match self.b.options.inline.and_then(|of| of(op, node.ty)) {
                    Some(kernel) => kernel(self.b, &operands[..op.arity()]),
                    None => matcher::build(self.b, op, node.ty, operands),
                }
            }
        };
        self.m.copies[r.index()] = copy;
    }

    /// Enters `region` and what is around it. Does it run?
    fn enter(&mut self, region: u16) -> bool {
        if self.m.places[usize::from(region)] == Place::NotYetKnown {
            self.find_place(region);
        }
        self.m.places[usize::from(region)] == Place::Runs
    }

    #[cold]
    fn find_place(&mut self, region: u16) {
        let mut at = region;
        self.m.path.clear();
        while self.m.places[usize::from(at)] == Place::NotYetKnown {
            self.m.path.push(at);
            at = self.src.regions[usize::from(at)].parent;
        }
        let mut outer = self.m.places[usize::from(at)];
        while let Some(region) = self.m.path.pop() {
            let at = usize::from(region);
            if outer == Place::Gone {
                self.m.places[at] = Place::Gone;
                continue;
            }
            let owner = self.m.wanted.owner(region);
            match self.src.node(owner).op {
                Op::If => self.enter_arm(owner, region),
                _ => self.enter_body(region),
            }
            outer = self.m.places[at];
        }
    }

    /// Enters an arm of the `If` at `owner`, unless its condition is known.
    fn enter_arm(&mut self, owner: Ref, region: u16) {
        let condition = self.copy(self.src.node(owner).a);
        let polarity = self.src.regions[usize::from(region)].polarity;
        let top = self.m.scopes.len().wrapping_sub(1);
        if let Some(scope) = self.m.scopes.get_mut(top).filter(|scope| scope.owner == owner) {
            // From the first arm to the second.
            scope.second = true;
            let facts = scope.facts;
            self.m.facts.forget(facts);
            if self.m.opened > top {
                self.b.begin_else();
            }
        } else if self.decide(owner) {
            return;
        } else {
            self.m.scopes.push(Scope { owner, second: !polarity, facts: self.m.facts.count() });
        }
        self.m.places[usize::from(region)] = Place::Runs;
        self.m.facts.learn(self.b, condition, polarity);
    }

    /// Is it known which way the `If` at `owner` goes? If so, says it of its arms.
    fn decide(&mut self, owner: Ref) -> bool {
        let node = self.src.node(owner);
        let Some(holds) = self.m.facts.holds(self.b, self.copy(node.a)) else { return false };
        let (runs, gone) = if holds { (node.b, node.c) } else { (node.c, node.b) };
        self.m.places[runs as usize] = Place::Runs;
        self.m.places[gone as usize] = Place::Gone;
        true
    }

    /// Opens all that has been entered in the copy: something will be pinned here.
    fn open(&mut self) {
        while let Some(scope) = self.m.scopes.get(self.m.opened) {
            // Loops are open from their beginning.
            let condition = self.copy(self.src.node(scope.owner).a);
            self.b.begin_if(condition);
            if scope.second {
                self.b.begin_else();
            }
            self.m.opened += 1;
        }
    }

    /// Leaves the innermost region if it belongs to `owner`; gives whether it was open in the copy, and which it was.
    fn leave(&mut self, owner: Ref) -> Option<(bool, bool)> {
        let scope = self.m.scopes.pop_if(|scope| scope.owner == owner)?;
        let opened = self.m.opened > self.m.scopes.len();
        self.m.opened = self.m.opened.min(self.m.scopes.len());
        self.m.facts.forget(scope.facts);
        Some((opened, scope.second))
    }

    fn trap(&mut self, node: &Node) {
        let condition = self.copy(node.a);
        let holds = self.m.facts.holds(self.b, condition);
        if holds == Some(false) {
            return;
        }
        self.open();
        let condition = if holds.is_some() { self.b.const_bits(Type::Bool, 1) } else { condition };
        self.b.trap(condition, TrapKind::from_code(node.b).unwrap_or(TrapKind::Host));
        // What comes after a trap knows that it did not stop there.
        self.m.facts.learn(self.b, condition, false);
    }

    fn end_if(&mut self, r: Ref, node: &Node) {
        match self.leave(r) {
            Some((true, second)) => {
                if !second {
                    self.b.begin_else();
                }
                if let Arms::Pinned(branch) = self.b.close_if() {
                    self.m.copies[r.index()] = branch;
                }
            }
            Some(_) => {}
            None => {
                if self.enter(node.region) {
                    self.decide(r);
                }
            }
        }
    }

    fn join(&mut self, node: &Node) -> Ref {
        let branch = self.src.node(Ref(node.a));
        let place = |region: u32| self.m.places[region as usize];
        if place(branch.b) == Place::Gone {
            return self.copy(node.c);
        }
        if place(branch.c) == Place::Gone {
            return self.copy(node.b);
        }
        let condition = self.copy(branch.a);
        let arms = match self.copy(node.a) {
            Ref::NONE => Arms::Free(condition),
            branch => Arms::Pinned(branch),
        };
        // The condition itself is known in the arms.
        let mut value = |field: u32, holds: bool| {
            let value = self.m.copies[field as usize];
            if value == condition && self.b.options.optimise {
                self.b.const_bits(Type::Bool, u64::from(holds))
            } else {
                value
            }
        };
        let (a, b) = (value(node.b, true), value(node.c, false));
        self.b.merge(arms, a, b)
    }
}
