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
//! Several sets of rows can go through one copy of the control flow, each with values of its own: *ways*. A loop whose
//! iterations wait for one another has twice as much to do meanwhile. Inputs and results are then those of the first way,
//! then those of the second.
//!
//! Over a single row the new function means what the old one does, which is how it is tested. Knows no machine.

#![forbid(unsafe_code)]

use crate::ir::build::{Arms, Builder};
use crate::ir::{Func, Loop, Node, Ref, TrapKind, matcher};
use crate::ops::Op;
use crate::types::Type;

/// How many sets of rows may go through the code side by side.
pub(crate) const MOST_WAYS: usize = 2;

/// What the arms of choices cost, in cycles, where it is worth a branch to skip them.
pub(crate) type ArmCosts<'a> = &'a dyn Fn(Ref) -> Option<[u32; 2]>;

/// The memory of the transformation, for reuse.
#[derive(Default)]
pub(crate) struct Memory {
    varies: Vec<bool>,
    copies: Vec<Ref>,
    /// By region: the `If` or `Loop` that runs it, and the rows that are in it (none: all).
    owners: Vec<Ref>,
    masks: Vec<[Ref; MOST_WAYS]>,
    /// By carried value: its first place among those of the copied loop.
    slots: Vec<u32>,
    /// Arms of branches that have been closed, first and second, by `If`.
    arms: Vec<(Ref, [Arms; 2])>,
    /// By carried value: is it wanted after its loop?
    leaves: Vec<bool>,
    scopes: Vec<u16>,
    path: Vec<u16>,
    refs: Vec<Ref>,
}

/// Functions of at most so many nodes do less for a step than it costs to go on to the next one.
const SMALL: usize = 12;

/// How many ways pay: two if a loop ends for some rows before others, because its iterations, which are then many and
/// depend on one another, leave the machine waiting; and two if the function is small.
pub(crate) fn ways(func: &Func, memory: &mut Memory, most_nodes: usize) -> usize {
    if func.nodes.len() <= SMALL && func.callees.is_empty() {
        return MOST_WAYS;
    }
    if func.loops.is_empty() || func.nodes.len() > most_nodes {
        return 1;
    }
    find_varying(func, &mut memory.varies);
    let diverges = |this: &Loop| memory.varies[condition(func, this).index()];
    if func.loops.iter().any(diverges) { MOST_WAYS } else { 1 }
}

/// Does the function need anything, before it can run over rows?
pub(crate) fn is_needed(func: &Func, costs: ArmCosts<'_>) -> bool {
    let choice = |i: usize| func.nodes[i].op == Op::Select && costs(Ref(i as u32)).is_some();
    func.regions.len() > 1 || (0..func.nodes.len()).any(choice)
}

/// Copies `src` into `b`, which has been reset and has its inputs, `args`, made, as many times over as there are ways.
/// There must be no call with effects.
pub(crate) fn spread(src: &Func, b: &mut Builder, args: &[Ref], ways: usize, costs: ArmCosts<'_>, memory: &mut Memory) {
    find_varying(src, &mut memory.varies);
    let m = memory;
    m.copies.clear();
    m.copies.resize(ways * src.nodes.len(), Ref::NONE);
    m.owners.clear();
    m.owners.resize(src.regions.len(), Ref::NONE);
    m.masks.clear();
    m.masks.resize(src.regions.len(), [Ref::NONE; MOST_WAYS]);
    m.slots.clear();
    m.slots.resize(src.carried.len(), 0);
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
    Spread { src, b, m, costs, ways }.run(args);
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
    ways: usize,
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
            let r = Ref(i as u32);
            match node.op {
                // Made where the loop begins.
                Op::Phi => {}
                Op::Trap => self.trap(node),
                Op::If => self.end_if(r, node),
                Op::Loop => self.end_loop(r, node),
                _ => self.each_way(r, |this, way| this.value(r, node, args, way)),
            }
        }
        for way in 0..self.ways {
            for r in &src.results {
                let copy = self.copy(r.0, way);
                self.b.func.results.push(copy);
            }
        }
    }

    fn copy(&self, r: u32, way: usize) -> Ref {
        self.m.copies[way * self.src.nodes.len() + r as usize]
    }

    fn set(&mut self, r: Ref, way: usize, copy: Ref) {
        self.m.copies[way * self.src.nodes.len() + r.index()] = copy;
    }

    /// Copies a value for each way; what does not vary is the same in all.
    fn each_way(&mut self, r: Ref, mut value: impl FnMut(&mut Self, usize) -> Ref) {
        for way in 0..self.ways {
            let copy = if way > 0 && !self.varies(r.0) { self.copy(r.0, 0) } else { value(self, way) };
            self.set(r, way, copy);
        }
    }

    fn varies(&self, r: u32) -> bool {
        self.m.varies[r as usize]
    }

    fn value(&mut self, r: Ref, node: &Node, args: &[Ref], way: usize) -> Ref {
        match node.op {
            Op::Param => args[way * self.src.params.len() + node.a as usize],
            Op::Const => self.b.const_bits(node.ty, node.const_bits()),
            Op::Join => self.join(node, way),
            Op::Exit => {
                let number = self.b.func.node(self.copy(node.a, 0)).a;
                self.b.exit(number, self.slot(node.b as usize, way))
            }
            Op::Call | Op::CallPinned => {
                let mut refs = std::mem::take(&mut self.m.refs);
                refs.clear();
                refs.extend(self.src.call_args(node).iter().map(|r| self.copy(r.0, way)));
                let call = self.b.call_again(&self.src.callees[node.a as usize], &refs);
                self.m.refs = refs;
                call
            }
            Op::Select if self.varies(node.a) => self.select(r, node, way),
            op => {
                let mut operands = node.operands();
                for operand in &mut operands[..op.arity()] {
                    *operand = self.copy(operand.0, way);
                }
                matcher::build(self.b, op, node.ty, operands)
            }
        }
    }

    /// A choice: a costly arm is skipped if no row wants it.
    fn select(&mut self, r: Ref, node: &Node, way: usize) -> Ref {
        let condition = self.copy(node.a, way);
        let mut arms = [self.copy(node.b, way), self.copy(node.c, way)];
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

    /// Is it true of any row, whichever way?
    fn any(&mut self, masks: [Ref; MOST_WAYS]) -> Ref {
        let mut all = masks[0];
        for &mask in &masks[1..self.ways] {
            all = self.b.raw2(Op::Or, all, mask);
        }
        self.b.raw1(Op::Any, all)
    }

    fn trap(&mut self, node: &Node) {
        self.enter(node.region);
        let masks = self.m.masks[usize::from(node.region)];
        let mut all = Ref::NONE;
        for (way, mask) in masks.into_iter().enumerate().take(self.ways) {
            let condition = self.copy(node.a, way);
            let stops = self.within(mask, condition);
            all = if all == Ref::NONE { stops } else { self.b.raw2(Op::Or, all, stops) };
        }
        self.b.trap(all, TrapKind::from_code(node.b).unwrap_or(TrapKind::Host));
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
                        self.m.masks[usize::from(region)] = self.outer_masks(region);
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

    fn outer_masks(&self, region: u16) -> [Ref; MOST_WAYS] {
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
        let condition = self.copy(node.a, 0);
        self.b.begin_if(condition);
        if !self.src.regions[usize::from(region)].polarity {
            self.b.begin_else();
        }
        self.m.masks[usize::from(region)] = self.outer_masks(region);
    }

    /// Opens an arm as a branch of its own, taken if any row wants it.
    fn open_arm(&mut self, owner: Ref, region: u16) {
        let mut masks = self.outer_masks(region);
        for (way, mask) in masks.iter_mut().enumerate().take(self.ways) {
            let mut condition = self.copy(self.src.node(owner).a, way);
            if !self.src.regions[usize::from(region)].polarity {
                condition = self.b.raw1(Op::Not, condition);
            }
            *mask = self.within(*mask, condition);
        }
        self.m.masks[usize::from(region)] = masks;
        let any = self.any(masks);
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

    fn join(&mut self, node: &Node, way: usize) -> Ref {
        let at = self.arms_of(Ref(node.a));
        let arms = self.m.arms[at].1;
        let values = [self.copy(node.b, way), self.copy(node.c, way)];
        let condition = self.src.node(Ref(node.a)).a;
        if !self.varies(condition) {
            return self.b.merge(arms[0], values[0], values[1]);
        }
        let [first, second] = [0, 1].map(|i| self.out_of(arms[i], values[i]));
        let condition = self.copy(condition, way);
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

    /// The place of carried value `at` among those of the copied loop.
    fn slot(&self, at: usize, way: usize) -> usize {
        let way = if self.varies(self.src.carried[at].phi.0) { way } else { 0 };
        self.m.slots[at] as usize + way
    }

    fn begin_loop(&mut self, number: usize) {
        let src = self.src;
        let this = &src.loops[number];
        let outer = src.node(this.node).region;
        self.enter(outer);
        let mut masks = self.m.masks[usize::from(outer)];
        self.b.set_span(src.spans[this.first.index()]);
        let mut inits = std::mem::take(&mut self.m.refs);
        inits.clear();
        for at in this.carried() {
            let carried = &src.carried[at];
            self.m.slots[at] = inits.len() as u32;
            let ways = if self.varies(carried.phi.0) { self.ways } else { 1 };
            inits.extend((0..ways).map(|way| self.copy(carried.init.0, way)));
        }
        let diverges = self.diverges(this);
        let values = inits.len();
        if diverges {
            for mask in &masks[..self.ways] {
                inits.push(if *mask == Ref::NONE { self.b.const_bits(Type::Bool, 1) } else { *mask });
            }
        }
        let copy = self.b.begin_loop(&inits);
        for at in this.carried() {
            for way in 0..self.ways {
                let phi = self.b.phi(copy, self.slot(at, way));
                self.set(src.carried[at].phi, way, phi);
            }
        }
        if diverges {
            for (way, mask) in masks.iter_mut().enumerate().take(self.ways) {
                *mask = self.b.phi(copy, values + way);
            }
        }
        self.m.masks[usize::from(this.test)] = masks;
        self.m.scopes.push(this.test);
        self.m.refs = inits;
    }

    fn open_body(&mut self, owner: Ref, region: u16) {
        let this = &self.src.loops[self.src.node(owner).a as usize];
        let condition = condition(self.src, this).0;
        let mut masks = self.m.masks[usize::from(this.test)];
        if !self.diverges(this) {
            let condition = self.copy(condition, 0);
            self.b.begin_body(condition);
            self.m.masks[usize::from(region)] = masks;
            return;
        }
        for (way, mask) in masks.iter_mut().enumerate().take(self.ways) {
            let condition = self.copy(condition, way);
            *mask = self.within(*mask, condition);
        }
        let any = self.any(masks);
        self.b.begin_body(any);
        self.m.masks[usize::from(region)] = masks;
    }

    fn end_loop(&mut self, r: Ref, node: &Node) {
        let src = self.src;
        let this = &src.loops[node.a as usize];
        self.enter(this.body);
        let diverges = self.diverges(this);
        let masks = self.m.masks[usize::from(this.body)];
        let mut nexts = std::mem::take(&mut self.m.refs);
        nexts.clear();
        for at in this.carried() {
            let carried = &src.carried[at];
            let ways = if self.varies(carried.phi.0) { self.ways } else { 1 };
            for (way, &mask) in masks.iter().enumerate().take(ways) {
                let (phi, next) = (self.copy(carried.phi.0, way), self.copy(carried.next.0, way));
                // What nobody looks at after the loop may become anything in the rows that have left it.
                nexts.push(if diverges && self.m.leaves[at] { self.b.select(mask, next, phi) } else { next });
            }
        }
        if diverges {
            nexts.extend(&masks[..self.ways]);
        }
        let copy = self.b.end_loop(&nexts);
        self.set(r, 0, copy);
        self.m.refs = nexts;
        self.m.scopes.truncate(self.m.scopes.len() - 2);
    }
}
