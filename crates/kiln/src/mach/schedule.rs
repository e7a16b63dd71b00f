//! Where and in which order nodes are evaluated.
//!
//! The backward walk takes a node when everything that uses it has been taken. Two questions remain, and this file
//! answers them before the walk. *Order among operands*: the one that needs more registers is evaluated first
//! (Sethi and Ullman, "The Generation of Optimal Code for Arithmetic Expressions", JACM 1970), calls before all else,
//! so that `a*b + (c*d + ...)` a million deep keeps two values alive, not a million. *Place*: what only one arm of a
//! choice needs is moved into that arm if it is costly enough to be worth a branch.
//!
//! A *spot* is a place in the tree of arms; spot 0 is the function's body. Nothing here knows a register.

#![forbid(unsafe_code)]

use crate::ir::{Func, Node, Ref};
use crate::ops::{Op, PINNED};

/// An arm whose evaluation costs at least this many cycles is worth a branch (a misprediction costs about 20).
const BRANCH_COST: u32 = 40;
/// Arms inside more choices than this stay where they are: it bounds the search for a common spot.
const DEEPEST: u16 = 64;
/// What a call adds to the need for registers: it leaves none alone.
const CALL_NEED: u8 = 32;

/// A place in the tree of arms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    parent: u32,
    depth: u16,
    /// An arm of a `Select`, which may be given up; arms of an `If` may not.
    optional: bool,
    cost: u32,
}

/// The body of the function.
pub(crate) const BODY: u32 = 0;
const NOWHERE: u32 = u32::MAX;

/// What the walk must know of each node.
#[derive(Default)]
pub(crate) struct Schedule {
    /// How many uses of the node the walk has not yet taken.
    pub(crate) uses: Vec<u32>,
    need: Vec<u8>,
    /// The spot of each node; empty if all stand in the body.
    place: Vec<u32>,
    spots: Vec<Spot>,
    /// For each `Select` the spot of its first arm, the second follows (0: none).
    arms: Vec<u32>,
    /// The spot of each region of the function.
    region_spots: Vec<u32>,
    /// The pinned node before each pinned node of the same region.
    previous: Vec<(Ref, Ref)>,
    last_of_region: Vec<Ref>,
}

impl Schedule {
    /// Prepares for a walk over `func`.
    pub(crate) fn prepare(&mut self, func: &Func) {
        let count = func.nodes.len();
        self.uses.clear();
        self.uses.resize(count, 0);
        self.place.clear();
        self.spots.clear();
        self.arms.clear();
        self.region_spots.clear();
        self.order_effects(func);
        self.count_needs(func);
        let (choices, cost) = self.count_uses(func);
        if func.regions.len() > 1 || (choices && cost >= BRANCH_COST) {
            self.find_places(func);
        }
    }

    /// The spot that the node is evaluated in.
    #[inline]
    pub(crate) fn spot(&self, r: Ref) -> u32 {
        self.place.get(r.index()).copied().unwrap_or(BODY)
    }

    /// The spots of the two arms, if the `Select` is to become a branch.
    #[inline]
    pub(crate) fn arms(&self, select: Ref) -> Option<(u32, u32)> {
        let first = self.arms.get(select.index()).copied().unwrap_or(0);
        (first != 0).then_some((first, first + 1))
    }

    /// The spot of a region.
    pub(crate) fn region_spot(&self, region: u32) -> u32 {
        self.region_spots.get(region as usize).copied().unwrap_or(BODY)
    }

    /// How many spots there are, the body included.
    pub(crate) fn spot_count(&self) -> usize {
        self.spots.len().max(1)
    }

    /// Registers that evaluating the node takes, saturating; calls count high.
    #[inline]
    pub(crate) fn need(&self, r: Ref) -> u8 {
        self.need[r.index()]
    }

    /// The pinned node that must run before this one.
    #[inline]
    pub(crate) fn previous_effect(&self, r: Ref) -> Option<Ref> {
        let at = self.previous.binary_search_by_key(&r, |p| p.0).ok()?;
        Some(self.previous[at].1).filter(|&p| p != Ref::NONE)
    }

    /// The last pinned node of a region.
    pub(crate) fn last_effect(&self, region: u32) -> Option<Ref> {
        self.last_of_region.get(region as usize).copied().filter(|&r| r != Ref::NONE)
    }

    fn order_effects(&mut self, func: &Func) {
        self.previous.clear();
        self.last_of_region.clear();
        if func.effects.is_empty() {
            return;
        }
        self.last_of_region.resize(func.regions.len(), Ref::NONE);
        for &r in &func.effects {
            let last = &mut self.last_of_region[func.node(r).region as usize];
            self.previous.push((r, *last));
            *last = r;
        }
    }

    fn count_needs(&mut self, func: &Func) {
        self.need.clear();
        for node in &func.nodes {
            let need = match node.op.arity() {
                0 if node.op == Op::Call => CALL_NEED + func.call_args(node).len().min(CALL_NEED as usize) as u8,
                0 => u8::from(node.op != Op::Const),
                1 => self.need[node.a as usize].max(1),
                2 => {
                    let (a, b) = (self.need[node.a as usize], self.need[node.b as usize]);
                    if a == b { a.saturating_add(1) } else { a.max(b) }
                }
                _ => {
                    let three = [node.a, node.b, node.c].map(|r| self.need[r as usize]);
                    three.into_iter().max().unwrap_or(0).saturating_add(1)
                }
            };
            self.need.push(need);
        }
    }

    /// Counts the uses of what is wanted. Are there choices, and what is the cost of everything that is costly?
    fn count_uses(&mut self, func: &Func) -> (bool, u32) {
        for &r in &func.results {
            self.uses[r.index()] += 1;
        }
        for last in self.last_of_region.iter().filter(|&&r| r != Ref::NONE) {
            self.uses[last.index()] += 1;
        }
        for &(_, before) in self.previous.iter().filter(|p| p.1 != Ref::NONE) {
            self.uses[before.index()] += 1;
        }
        let (mut choices, mut cost) = (false, 0u32);
        for (i, node) in func.nodes.iter().enumerate().rev() {
            if self.uses[i] == 0 {
                continue;
            }
            choices |= node.op == Op::Select;
            cost = cost.saturating_add(u32::from(node.op.row().cost));
            func.for_operands(node, |r| self.uses[r.index()] += 1);
        }
        (choices, cost)
    }

    /// Puts every wanted node into the innermost arm that holds all its uses, then gives up the arms that are cheap.
    fn find_places(&mut self, func: &Func) {
        self.place.resize(func.nodes.len(), NOWHERE);
        self.arms.resize(func.nodes.len(), 0);
        for (i, region) in func.regions.iter().enumerate() {
            let parent = if i == 0 { BODY } else { self.region_spots[region.parent as usize] };
            let depth = if i == 0 { 0 } else { self.spots[parent as usize].depth + 1 };
            self.region_spots.push(self.spots.len() as u32);
            self.spots.push(Spot { parent, depth, optional: false, cost: 0 });
        }
        for &r in &func.results {
            self.place[r.index()] = BODY;
        }
        for &r in &func.effects {
            self.place[r.index()] = self.region_spots[func.node(r).region as usize];
        }
        for i in (0..func.nodes.len()).rev() {
            if self.uses[i] > 0 {
                self.place_operands(func, Ref(i as u32), &func.nodes[i]);
            }
        }
        self.give_up_cheap_arms();
    }

    fn place_operands(&mut self, func: &Func, r: Ref, node: &Node) {
        let here = self.place[r.index()];
        if !node.op.is(PINNED) {
            let spot = &mut self.spots[here as usize];
            spot.cost = spot.cost.saturating_add(u32::from(node.op.row().cost));
        }
        match node.op {
            Op::Select if self.spots[here as usize].depth < DEEPEST && node.b != node.c => {
                let first = self.spots.len() as u32;
                let depth = self.spots[here as usize].depth + 1;
                let spot = Spot { parent: here, depth, optional: true, cost: 0 };
                self.spots.extend([spot, spot]);
                self.arms[r.index()] = first;
                self.want(Ref(node.a), here);
                self.want(Ref(node.b), first);
                self.want(Ref(node.c), first + 1);
            }
            Op::Join => {
                let branch = func.node(Ref(node.a));
                let (then, other) = (self.region_spots[branch.b as usize], self.region_spots[branch.c as usize]);
                self.want(Ref(node.b), then);
                self.want(Ref(node.c), other);
            }
            _ => func.for_operands(node, |operand| self.want(operand, here)),
        }
    }

    fn want(&mut self, r: Ref, spot: u32) {
        let old = self.place[r.index()];
        if old == NOWHERE {
            self.place[r.index()] = spot;
            return;
        }
        let (mut a, mut b) = (old, spot);
        while a != b {
            let (up_a, up_b) = (self.spots[a as usize], self.spots[b as usize]);
            if up_a.depth >= up_b.depth {
                a = up_a.parent;
            }
            if up_b.depth >= up_a.depth {
                b = up_b.parent;
            }
        }
        self.place[r.index()] = a;
    }

    fn give_up_cheap_arms(&mut self) {
        // Children stand after their parents, and the two arms of a choice side by side.
        let mut i = self.spots.len();
        while i > 0 {
            i -= 1;
            let spot = self.spots[i];
            if !spot.optional {
                continue;
            }
            i -= 1;
            let pair = self.spots[i].cost.max(spot.cost);
            let cheap = pair < BRANCH_COST;
            let parent = &mut self.spots[spot.parent as usize];
            parent.cost = parent.cost.saturating_add(pair);
            // A spot whose depth is zero but that is not the body has been given up.
            if cheap {
                self.spots[i].depth = 0;
                self.spots[i + 1].depth = 0;
            }
        }
        for i in 1..self.spots.len() {
            let spot = self.spots[i];
            let parent = spot.parent as usize;
            let target =
                if parent != 0 && self.spots[parent].depth == 0 { self.spots[parent].parent } else { spot.parent };
            self.spots[i].parent = target;
        }
        for (place, arm) in self.place.iter_mut().zip(&mut self.arms) {
            if *place != NOWHERE && *place != BODY && self.spots[*place as usize].depth == 0 {
                *place = self.spots[*place as usize].parent;
            }
            if *arm != 0 && self.spots[*arm as usize].depth == 0 {
                *arm = 0;
            }
        }
    }
}
