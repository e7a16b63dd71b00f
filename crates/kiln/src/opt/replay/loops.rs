//! What a replay makes of loops: it keeps them, writes them out, or runs several iterations at once.
//!
//! Owns the copies of carried values. The one idea: inside a loop a carried value is whatever its `Phi` was mapped to
//! when the iteration began, so an iteration is copied like any other stretch of the arena, as often as is planned.

#![forbid(unsafe_code)]

use super::{Place, Replay, Scope};
use crate::ir::{Carried, Loop, Node, Ref};
use crate::ops::Op;
use crate::opt::loops::split;
use crate::opt::plan::{Added, Carry, Fate};
use crate::types::Type;

/// A loop of which every iteration is copied.
pub(super) struct Unrolled {
    number: usize,
    /// Iterations to come.
    left: u32,
    /// Does its test do something, so that it must be copied once more than the body?
    tests_again: bool,
}

/// A value that the copy carries, and the operation by which it gathers side by side, if it does.
pub(super) type Kept = (Carried, Option<Op>);

/// The nodes of a loop's stretch but its phis and its `Loop`.
fn inside(this: &Loop) -> std::ops::Range<usize> {
    this.first.index() + this.carried().len()..this.node.index()
}

impl Replay<'_> {
    /// Begins what becomes of a loop.
    pub(super) fn begin_loop(&mut self, number: usize) {
        let src = self.src;
        let this = &src.loops[number];
        if !self.m.wanted.has(this.node) {
            return;
        }
        if !self.enter(src.node(this.node).region) {
            self.m.places[usize::from(this.test)] = Place::Gone;
            return;
        }
        if let Fate::Unroll { times, tests_again } = self.plan.fate(number) {
            return self.begin_unrolled(Unrolled { number, left: times, tests_again });
        }
        self.open();
        let mut inits = std::mem::take(&mut self.m.refs);
        inits.clear();
        for at in this.carried() {
            if !self.keeps(at) {
                continue;
            }
            self.m.slots[at] = inits.len() as u32;
            inits.push(self.copy(src.carried[at].init.0));
        }
        self.b.set_span(src.spans[this.first.index()]);
        if self.plan.fate(number) == Fate::Split {
            self.split(number, &mut inits);
        }
        self.add(number, &mut inits);
        self.b.set_span(src.spans[this.first.index()]);
        let copy = self.b.begin_loop(&inits);
        let added = self.plan.added_to(number);
        for (slot, added) in (inits.len() - added.len()..).zip(added) {
            self.m.copies[added.node.index()] = self.b.phi(copy, slot);
        }
        self.m.refs = inits;
        for at in this.carried() {
            if !self.keeps(at) {
                continue;
            }
            self.m.copies[src.carried[at].phi.index()] = self.b.phi(copy, self.m.slots[at] as usize);
        }
        self.alias(this);
        self.m.places[usize::from(this.test)] = Place::Runs;
        self.m.scopes.push(Scope { owner: this.node, second: false, facts: self.m.facts.count() });
        self.m.opened += 1;
    }

    /// Does the copy carry value `at`?
    fn keeps(&self, at: usize) -> bool {
        self.m.wanted.has(self.src.carried[at].phi) && self.plan.carry(at) == Carry::Keep
    }

    /// Gives the carried values that are not kept the values that they always have.
    fn alias(&mut self, this: &Loop) {
        for at in this.carried() {
            let carried = &self.src.carried[at];
            self.m.copies[carried.phi.index()] = match self.plan.carry(at) {
                Carry::Keep => continue,
                Carry::Init => self.copy(carried.init.0),
                Carry::Same(other) => self.copy(self.src.carried[other as usize].phi.0),
            };
        }
    }

    fn begin_unrolled(&mut self, unrolled: Unrolled) {
        let this = &self.src.loops[unrolled.number];
        for at in this.carried() {
            let carried = &self.src.carried[at];
            self.m.copies[carried.phi.index()] = self.copy(carried.init.0);
        }
        self.alias(this);
        self.begin_iteration(&unrolled);
        self.m.unrolled.push(unrolled);
    }

    /// Forgets what the nodes and regions of the loop were in the iteration before.
    fn begin_iteration(&mut self, unrolled: &Unrolled) {
        let this = &self.src.loops[unrolled.number];
        let runs = |runs: bool| if runs { Place::Runs } else { Place::Gone };
        self.m.places[usize::from(this.test)..usize::from(this.regions_end)].fill(Place::NotYetKnown);
        self.m.places[usize::from(this.test)] = runs(unrolled.left > 0 || unrolled.tests_again);
        self.m.places[usize::from(this.body)] = runs(unrolled.left > 0);
        // What stands here and lives outside stays what it is.
        for (copy, node) in self.m.copies[inside(this)].iter_mut().zip(&self.src.nodes[inside(this)]) {
            if node.region >= this.test {
                *copy = Ref::NONE;
            }
        }
    }

    /// After an iteration of a loop that is written out: goes on to the next one, if there is one, at this node.
    fn end_iteration(&mut self, mut unrolled: Unrolled) -> Option<usize> {
        let number = unrolled.number;
        let this = &self.src.loops[number];
        self.m.copies[this.node.index()] = Ref::NONE;
        if unrolled.left == 0 {
            return None;
        }
        unrolled.left -= 1;
        let mut nexts = std::mem::take(&mut self.m.refs);
        nexts.clear();
        nexts.extend(self.src.carried[this.carried()].iter().map(|c| self.copy(c.next.0)));
        for (at, &next) in this.carried().zip(&nexts) {
            self.m.copies[self.src.carried[at].phi.index()] = next;
        }
        self.m.refs = nexts;
        self.alias(this);
        if unrolled.left == 0 && !unrolled.tests_again {
            return None;
        }
        self.begin_iteration(&unrolled);
        self.m.unrolled.push(unrolled);
        self.next_loop = number + 1;
        Some(inside(this).start)
    }

    /// Enters the body of the innermost loop.
    pub(super) fn enter_body(&mut self, region: u16) {
        let condition = self.copy(self.src.regions[usize::from(region)].condition.0);
        self.b.begin_body(condition);
        self.m.places[usize::from(region)] = Place::Runs;
        if let Some(scope) = self.m.scopes.last_mut() {
            scope.second = true;
        }
        self.m.facts.learn(self.b, condition, true);
    }

    /// Ends a loop, or an iteration of one that is written out. Gives where to go on, if not here.
    pub(super) fn end_loop(&mut self, r: Ref, node: &Node) -> Option<usize> {
        let (src, number) = (self.src, node.a as usize);
        let this = &src.loops[number];
        if let Some(unrolled) = self.m.unrolled.pop_if(|u| u.number == number) {
            return self.end_iteration(unrolled);
        }
        if !self.enter(this.test) {
            return None;
        }
        self.enter(this.body);
        self.leave(r);
        let mut nexts = std::mem::take(&mut self.m.refs);
        nexts.clear();
        nexts.extend(this.carried().filter(|&at| self.keeps(at)).map(|at| self.copy(src.carried[at].next.0)));
        for added in self.plan.added_to(number) {
            let step = self.scaled(added, self.copy(added.step.0));
            nexts.push(self.b.raw2(Op::Add, self.copy(added.node.0), step));
        }
        self.m.copies[r.index()] = self.b.end_loop(&nexts);
        self.m.refs = nexts;
        None
    }

    pub(super) fn exit(&mut self, node: &Node) -> Ref {
        let at = node.b as usize;
        let carried = &self.src.carried[at];
        match (self.plan.carry(at), self.copy(node.a)) {
            (Carry::Init, _) => self.copy(carried.init.0),
            // The last iteration was written out.
            (_, Ref::NONE) => self.copy(carried.phi.0),
            (carry, copy) => {
                let at = if let Carry::Same(other) = carry { other as usize } else { at };
                let number = self.b.func.node(copy).a;
                self.b.exit(number, self.m.slots[at] as usize)
            }
        }
    }

    /// Appends to `inits` what the loop will carry besides, and copies what that needs.
    fn add(&mut self, number: usize, inits: &mut Vec<Ref>) {
        for added in self.plan.added_to(number) {
            let counter = &self.src.carried[added.counter as usize];
            for r in [added.offset, added.factor, added.step] {
                self.copy_early(r);
            }
            let mut start = inits[self.m.slots[added.counter as usize] as usize];
            debug_assert!(self.m.wanted.has(counter.phi));
            self.b.set_span(self.src.spans[added.node.index()]);
            if added.offset != Ref::NONE {
                start = self.b.raw2(Op::Add, start, self.copy(added.offset.0));
            }
            let start = self.scaled(added, start);
            inits.push(start);
        }
    }

    /// What the added value is for this value of its counter.
    fn scaled(&mut self, added: &Added, counter: Ref) -> Ref {
        if added.factor == Ref::NONE {
            return self.b.raw_convert(counter, self.src.ty(added.node));
        }
        self.b.raw2(Op::Mul, counter, self.copy(added.factor.0))
    }

    /// Copies a pure node, and what it needs, before its turn.
    fn copy_early(&mut self, r: Ref) {
        let src = self.src;
        let mut early = std::mem::take(&mut self.m.early);
        early.push((r, false));
        while let Some((r, ready)) = early.pop() {
            if r == Ref::NONE || self.copy(r.0) != Ref::NONE {
                continue;
            }
            let node = src.node(r);
            if ready {
                self.b.set_span(src.spans[r.index()]);
                self.node(r, node, &[]);
            } else {
                early.push((r, true));
                src.for_operands(node, |operand| early.push((operand, false)));
            }
        }
        self.m.early = early;
    }

    /// Copies a loop so that several iterations run at once, each with reductions of its own, as long as that many
    /// remain. `inits`, with which the rest begins, becomes what comes out.
    fn split(&mut self, number: usize, inits: &mut [Ref]) {
        let src = self.src;
        let this = &src.loops[number];
        let Some(counted) = split::counter(src, this) else { return };
        let limit = self.limit(counted);
        let mut kept = std::mem::take(&mut self.m.kept);
        kept.clear();
        kept.extend(this.carried().filter(|&at| self.keeps(at)).map(|at| (src.carried[at], self.gathers(at))));
        // All as before, then what the other ways of each reduction begin with.
        let mut values = std::mem::take(&mut self.m.ways);
        values.clear();
        values.extend_from_slice(inits);
        for _ in 1..split::WAYS {
            for (carried, op) in &kept {
                let ty = src.ty(carried.phi);
                values.extend(op.map(|op| self.b.const_bits(ty, split::neutral(op, ty))));
            }
        }
        let main = self.b.begin_loop(&values);
        for (slot, (carried, _)) in kept.iter().enumerate() {
            self.m.copies[carried.phi.index()] = self.b.phi(main, slot);
        }
        let condition = self.b.raw2(Op::Lt, self.copy(src.carried[counted.at].phi.0), limit);
        self.b.begin_body(condition);
        self.copy_ways(this, main, &kept, &mut values);
        self.b.end_loop(&values);
        self.gather(main, &kept, inits);
        (self.m.ways, self.m.kept) = (values, kept);
    }

    /// The operation by which carried value `at` gathers what is gathered side by side.
    fn gathers(&self, at: usize) -> Option<Op> {
        let carried = self.src.carried[at];
        let found = split::gathers(self.src.node(carried.next), carried.phi);
        found.filter(|_| self.plan.accumulators.get(at).is_some_and(|&is| is))
    }

    /// As long as the counter is less than this, all ways remain: the bound less what they count, but never wrapped.
    fn limit(&mut self, counted: split::Counted) -> Ref {
        self.copy_early(counted.bound);
        let bound = self.copy(counted.bound.0);
        let (ty, ways) = (self.b.ty(bound), split::WAYS as i32 - 1 - i32::from(counted.included));
        let least = self.b.const_bits(ty, if ty == Type::I32 { 1 << 31 } else { 1 << 63 });
        let (up, down) = (self.b.small(ty, ways), self.b.small(ty, -ways));
        let lowest = self.b.raw2(Op::Add, least, up);
        let bound = self.b.raw2(Op::Max, bound, lowest);
        self.b.raw2(Op::Add, bound, down)
    }

    /// Copies the iterations that run at once; `values` becomes what is carried on: the loop's own, then the others.
    fn copy_ways(&mut self, this: &Loop, main: u32, kept: &[Kept], values: &mut [Ref]) {
        let src = self.src;
        self.m.places[usize::from(this.test)] = Place::Runs;
        self.m.places[usize::from(this.body)] = Place::Runs;
        let mut other = kept.len();
        for way in 0..split::WAYS {
            let first = other;
            for (carried, _) in kept.iter().filter(|k| way > 0 && k.1.is_some()) {
                self.m.copies[carried.phi.index()] = self.b.phi(main, other);
                other += 1;
            }
            for at in inside(this) {
                if self.m.wanted.at(at) {
                    self.b.set_span(src.spans[at]);
                    self.node(Ref(at as u32), &src.nodes[at], &[]);
                }
            }
            other = first;
            for (slot, (carried, op)) in kept.iter().enumerate() {
                let next = self.copy(carried.next.0);
                if way > 0 && op.is_some() {
                    values[other] = next;
                    other += 1;
                } else {
                    values[slot] = next;
                }
            }
            for (slot, (carried, _)) in kept.iter().enumerate().filter(|(_, k)| k.1.is_none()) {
                self.m.copies[carried.phi.index()] = values[slot];
            }
        }
        // The rest enters them anew.
        self.m.places[usize::from(this.test)] = Place::NotYetKnown;
        self.m.places[usize::from(this.body)] = Place::NotYetKnown;
    }

    /// Takes what comes out of the iterations that ran at once.
    fn gather(&mut self, main: u32, kept: &[Kept], inits: &mut [Ref]) {
        let count = kept.iter().filter(|k| k.1.is_some()).count();
        let mut other = kept.len();
        for (slot, (_, op)) in kept.iter().enumerate() {
            let exit = self.b.exit(main, slot);
            inits[slot] = exit;
            let Some(op) = *op else { continue };
            // In pairs, as they would be in four lanes.
            let [b, c, d] = [0, 1, 2].map(|way| self.b.exit(main, other + way * count));
            let (left, right) = (self.b.raw2(op, exit, b), self.b.raw2(op, c, d));
            inits[slot] = self.b.raw2(op, left, right);
            other += 1;
        }
    }
}
