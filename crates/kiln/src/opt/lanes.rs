//! The same way for all rows: makes of a function over one row one whose control flow is right for many rows at once.
//!
//! The one idea: what differs from row to row ("varies") may choose between values, but may not decide where the code goes.
//! So a branch whose condition varies becomes two, each taken if *any* row wants it, with a choice between what they
//! give; a loop whose condition varies goes on while any row does, and the rows that have left it keep what they leave it with. A
//! trap stops if it would in any row that is there. Where no condition varies nothing changes.
//!
//! Each region has a *mask*, the rows that are in it: those that are in the region around it and for which its condition holds.
//! Pure values are computed for all rows, in the mask or not, and nobody looks at those that are not.
//!
//! Over a single row the new function means what the old one does, which is how it is tested. Knows no machine.

#![forbid(unsafe_code)]

use crate::ir::build::{Arms, Builder};
use crate::ir::{Func, Loop, Node, Ref, TrapKind, matcher};
use crate::ops::Op;
use crate::types::Type;

/// What the arms of choices cost, in cycles, where it is worth a branch to skip them.
pub(crate) type ArmCosts<'a> = &'a dyn Fn(Ref) -> Option<[u32; 2]>;

/// The memory of the transformation, for reuse.
#[derive(Default)]
pub(crate) struct Memory {
    varies: Vec<bool>,
    copies: Vec<Ref>,
    /// By region: the `If` or `Loop` that runs it, and the rows that are in it (none: all).
    owners: Vec<Ref>,
    masks: Vec<Ref>,
    /// Arms of branches that have been closed, first and second, by `If`.
    arms: Vec<(Ref, [Arms; 2])>,
    /// By carried value: is it wanted after its loop?
    leaves: Vec<bool>,
    scopes: Vec<u16>,
    path: Vec<u16>,
    refs: Vec<Ref>,
}

/// Does the function need anything, before it can run over rows?
pub(crate) fn is_needed(func: &Func, costs: ArmCosts<'_>) -> bool {
    let choice = |i: usize| func.nodes[i].op == Op::Select && costs(Ref(i as u32)).is_some();
    func.regions.len() > 1 || (0..func.nodes.len()).any(choice)
}

/// Copies `src` into `b`, which has been reset and has its inputs, `args`, made. There must be no call with effects.
pub(crate) fn spread(src: &Func, b: &mut Builder, args: &[Ref], costs: ArmCosts<'_>, memory: &mut Memory) {
    find_varying(src, &mut memory.varies);
    let m = memory;
    m.copies.clear();
    m.copies.resize(src.nodes.len(), Ref::NONE);
    for list in [&mut m.owners, &mut m.masks] {
        list.clear();
        list.resize(src.regions.len(), Ref::NONE);
    }
    m.arms.clear();
    m.leaves.clear();
    m.leaves.resize(src.carried.len(), false);
    for exit in src.nodes.iter().filter(|node| node.op == Op::Exit) {
        m.leaves[exit.b as usize] = true;
    }
    m.scopes.clear();
    for &r in &src.effects {
        let node = src.node(r);
        match node.op {
            Op::If => [node.b, node.c].into_iter().for_each(|region| m.owners[region as usize] = r),
            Op::Loop => {
                let this = &src.loops[node.a as usize];
                [this.test, this.body].into_iter().for_each(|region| m.owners[usize::from(region)] = r);
            }
            _ => {}
        }
    }
    Spread { src, b, m, costs }.run(args);
}

/// Which nodes have values that differ from row to row: all that depend on an input. A carried value that does makes
/// others vary that stand before it, so this is repeated until nothing changes.
fn find_varying(func: &Func, varies: &mut Vec<bool>) {
    varies.clear();
    varies.resize(func.nodes.len(), false);
    loop {
        let mut changed = false;
        for (i, node) in func.nodes.iter().enumerate() {
            if varies[i] {
                continue;
            }
            let any = |r: Ref| varies[r.index()];
            let now = match node.op {
                Op::Param => true,
                Op::Phi => {
                    let carried = &func.carried[node.a as usize];
                    any(carried.init) || any(carried.next) || any(condition(func, loop_of(func, node.a)))
                }
                Op::Exit => any(func.carried[node.b as usize].phi),
                Op::Join => any(Ref(func.node(Ref(node.a)).a)) || any(Ref(node.b)) || any(Ref(node.c)),
                Op::Loop | Op::If | Op::Trap => false,
                _ => {
                    let mut found = false;
                    func.for_operands(node, |r| found |= any(r));
                    found
                }
            };
            varies[i] = now;
            changed |= now;
        }
        if !changed || func.loops.is_empty() {
            return;
        }
    }
}

/// The loop that carries this value.
fn loop_of(func: &Func, carried: u32) -> &Loop {
    // Loops stand in the order of their carried values, each of which has one.
    let at = func.loops.partition_point(|this| this.carried.0 <= carried);
    let owner = func.loops[..at].iter().rev().find(|this| this.carried().contains(&(carried as usize)));
    owner.unwrap_or(&func.loops[0])
}

/// The condition under which an iteration runs.
fn condition(func: &Func, this: &Loop) -> Ref {
    func.regions[usize::from(this.body)].condition
}

struct Spread<'a> {
    src: &'a Func,
    b: &'a mut Builder,
    m: &'a mut Memory,
    costs: ArmCosts<'a>,
}

impl Spread<'_> {
    fn run(mut self, args: &[Ref]) {
        let (src, mut next_loop) = (self.src, 0);
        for (i, node) in src.nodes.iter().enumerate() {
            while src.loops.get(next_loop).is_some_and(|this| this.first.index() == i) {
                self.begin_loop(next_loop);
                next_loop += 1;
            }
            self.b.set_span(src.spans[i]);
            self.node(Ref(i as u32), node, args);
        }
        let copies = &self.m.copies;
        self.b.func.results.extend(src.results.iter().map(|r| copies[r.index()]));
    }

    fn copy(&self, r: u32) -> Ref {
        self.m.copies[r as usize]
    }

    fn varies(&self, r: u32) -> bool {
        self.m.varies[r as usize]
    }

    fn node(&mut self, r: Ref, node: &Node, args: &[Ref]) {
        let copy = match node.op {
            Op::Param => args[node.a as usize],
            Op::Const => self.b.const_bits(node.ty, node.const_bits()),
            // Made where the loop begins.
            Op::Phi => return,
            Op::Trap => return self.trap(node),
            Op::If => return self.end_if(r, node),
            Op::Join => self.join(node),
            Op::Loop => return self.end_loop(r, node),
            Op::Exit => {
                let number = self.b.func.node(self.copy(node.a)).a;
                let first = self.src.loops[self.src.node(Ref(node.a)).a as usize].carried.0;
                self.b.exit(number, (node.b - first) as usize)
            }
            Op::Call | Op::CallPinned => {
                let mut refs = std::mem::take(&mut self.m.refs);
                refs.clear();
                refs.extend(self.src.call_args(node).iter().map(|r| self.copy(r.0)));
                let call = self.b.call_again(&self.src.callees[node.a as usize], &refs);
                self.m.refs = refs;
                call
            }
            Op::Select if self.varies(node.a) => self.select(r, node),
            op => {
                let mut operands = node.operands();
                for operand in &mut operands[..op.arity()] {
                    *operand = self.copy(operand.0);
                }
                matcher::build(self.b, op, node.ty, operands)
            }
        };
        self.m.copies[r.index()] = copy;
    }

    /// A choice: a costly arm is skipped if no row wants it.
    fn select(&mut self, r: Ref, node: &Node) -> Ref {
        let (condition, mut arms) = (self.copy(node.a), [self.copy(node.b), self.copy(node.c)]);
        let costs = (self.costs)(r).unwrap_or_default();
        for (i, (arm, cost)) in arms.iter_mut().zip(costs).enumerate() {
            if cost > 0 {
                let wanted = if i == 0 { condition } else { self.b.raw1(Op::Not, condition) };
                let zero = self.b.const_bits(node.ty, 0);
                let any = self.b.raw1(Op::Any, wanted);
                *arm = self.b.select(any, *arm, zero);
            }
        }
        self.b.select(condition, arms[0], arms[1])
    }

    /// The rows of `mask` for which `condition` holds.
    fn within(&mut self, mask: Ref, condition: Ref) -> Ref {
        if mask == Ref::NONE { condition } else { self.b.raw2(Op::And, mask, condition) }
    }

    fn trap(&mut self, node: &Node) {
        self.enter(node.region);
        let condition = self.copy(node.a);
        let condition = self.within(self.m.masks[usize::from(node.region)], condition);
        self.b.trap(condition, TrapKind::from_code(node.b).unwrap_or(TrapKind::Host));
    }

    /// Enters `region` and what is around it, if that has not been done.
    fn enter(&mut self, region: u16) {
        self.m.path.clear();
        let mut at = region;
        while at != 0 {
            self.m.path.push(at);
            at = self.src.regions[usize::from(at)].parent;
        }
        for depth in 0..self.m.path.len() {
            let region = self.m.path[self.m.path.len() - 1 - depth];
            match self.m.scopes.get(depth) {
                Some(&open) if open == region => {}
                Some(_) => {
                    // From the first arm of a branch to the second.
                    let owner = self.m.owners[usize::from(region)];
                    if self.varies(self.src.node(owner).a) {
                        self.close_arm(owner, 0);
                        self.open_arm(owner, region);
                    } else {
                        self.b.begin_else();
                        self.m.masks[usize::from(region)] = self.outer_mask(region);
                    }
                    self.m.scopes[depth] = region;
                }
                None => {
                    self.open(region);
                    self.m.scopes.push(region);
                }
            }
        }
    }

    fn outer_mask(&self, region: u16) -> Ref {
        self.m.masks[usize::from(self.src.regions[usize::from(region)].parent)]
    }

    /// Opens an arm of a branch, or the body of a loop.
    fn open(&mut self, region: u16) {
        let owner = self.m.owners[usize::from(region)];
        let node = self.src.node(owner);
        if node.op == Op::Loop {
            return self.open_body(owner, region);
        }
        if self.varies(node.a) {
            return self.open_arm(owner, region);
        }
        let condition = self.copy(node.a);
        self.b.begin_if(condition);
        if !self.src.regions[usize::from(region)].polarity {
            self.b.begin_else();
        }
        self.m.masks[usize::from(region)] = self.outer_mask(region);
    }

    /// Opens an arm as a branch of its own, taken if any row wants it.
    fn open_arm(&mut self, owner: Ref, region: u16) {
        let mut condition = self.copy(self.src.node(owner).a);
        if !self.src.regions[usize::from(region)].polarity {
            condition = self.b.raw1(Op::Not, condition);
        }
        let mask = self.within(self.outer_mask(region), condition);
        self.m.masks[usize::from(region)] = mask;
        let any = self.b.raw1(Op::Any, mask);
        self.b.begin_if(any);
    }

    /// Closes the branch that is arm `number` of an `If`.
    fn close_arm(&mut self, owner: Ref, number: usize) {
        self.b.begin_else();
        let closed = self.b.close_if();
        let at = self.arms_of(owner);
        self.m.arms[at].1[number] = closed;
    }

    /// Where the arms of an `If` are kept.
    fn arms_of(&mut self, owner: Ref) -> usize {
        if let Some(at) = self.m.arms.iter().rposition(|known| known.0 == owner) {
            return at;
        }
        self.m.arms.push((owner, [Arms::Neither; 2]));
        self.m.arms.len() - 1
    }

    fn end_if(&mut self, r: Ref, node: &Node) {
        let Some(region) = self.m.scopes.pop_if(|region| self.m.owners[usize::from(*region)] == r) else { return };
        let second = !self.src.regions[usize::from(region)].polarity;
        if self.varies(node.a) {
            return self.close_arm(r, usize::from(second));
        }
        if !second {
            self.b.begin_else();
        }
        let closed = self.b.close_if();
        let at = self.arms_of(r);
        self.m.arms[at].1 = [closed; 2];
    }

    fn join(&mut self, node: &Node) -> Ref {
        let at = self.arms_of(Ref(node.a));
        let arms = self.m.arms[at].1;
        let values = [self.copy(node.b), self.copy(node.c)];
        let condition = self.src.node(Ref(node.a)).a;
        if !self.varies(condition) {
            return self.b.merge(arms[0], values[0], values[1]);
        }
        let [first, second] = [0, 1].map(|i| self.out_of(arms[i], values[i]));
        let condition = self.copy(condition);
        self.b.select(condition, first, second)
    }

    /// What `value`, which may live in a closed arm, is after it.
    fn out_of(&mut self, arm: Arms, value: Ref) -> Ref {
        let Arms::Pinned(branch) = arm else { return value };
        let inner = self.b.func.node(branch).b as u16;
        let mut region = self.b.func.node(value).region;
        while region > inner {
            region = self.b.func.regions[usize::from(region)].parent;
        }
        if region != inner {
            return value;
        }
        let nothing = self.b.const_bits(self.b.ty(value), 0);
        self.b.merge(arm, value, nothing)
    }

    /// Does the loop end for some rows before others?
    fn diverges(&self, this: &Loop) -> bool {
        self.varies(condition(self.src, this).0)
    }

    fn begin_loop(&mut self, number: usize) {
        let src = self.src;
        let this = &src.loops[number];
        let outer = src.node(this.node).region;
        self.enter(outer);
        let mask = self.m.masks[usize::from(outer)];
        self.b.set_span(src.spans[this.first.index()]);
        let mut inits = std::mem::take(&mut self.m.refs);
        inits.clear();
        inits.extend(src.carried[this.carried()].iter().map(|carried| self.copy(carried.init.0)));
        let diverges = self.diverges(this);
        if diverges {
            inits.push(if mask == Ref::NONE { self.b.const_bits(Type::Bool, 1) } else { mask });
        }
        let copy = self.b.begin_loop(&inits);
        for (slot, carried) in src.carried[this.carried()].iter().enumerate() {
            self.m.copies[carried.phi.index()] = self.b.phi(copy, slot);
        }
        let there = if diverges { self.b.phi(copy, inits.len() - 1) } else { mask };
        self.m.masks[usize::from(this.test)] = there;
        self.m.scopes.push(this.test);
        self.m.refs = inits;
    }

    fn open_body(&mut self, owner: Ref, region: u16) {
        let this = &self.src.loops[self.src.node(owner).a as usize];
        let condition = self.copy(condition(self.src, this).0);
        let mask = self.m.masks[usize::from(this.test)];
        if !self.diverges(this) {
            self.b.begin_body(condition);
            self.m.masks[usize::from(region)] = mask;
            return;
        }
        let mask = self.within(mask, condition);
        let any = self.b.raw1(Op::Any, mask);
        self.b.begin_body(any);
        self.m.masks[usize::from(region)] = mask;
    }

    fn end_loop(&mut self, r: Ref, node: &Node) {
        let src = self.src;
        let this = &src.loops[node.a as usize];
        self.enter(this.body);
        let diverges = self.diverges(this);
        let mask = self.m.masks[usize::from(this.body)];
        let mut nexts = std::mem::take(&mut self.m.refs);
        nexts.clear();
        for at in this.carried() {
            let (phi, next) = (self.copy(src.carried[at].phi.0), self.copy(src.carried[at].next.0));
            // What nobody looks at after the loop may become anything in the rows that have left it.
            nexts.push(if diverges && self.m.leaves[at] { self.b.select(mask, next, phi) } else { next });
        }
        if diverges {
            nexts.push(mask);
        }
        self.m.copies[r.index()] = self.b.end_loop(&nexts);
        self.m.refs = nexts;
        self.m.scopes.truncate(self.m.scopes.len() - 2);
    }
}
