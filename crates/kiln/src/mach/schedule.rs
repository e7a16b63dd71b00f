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
    /// The innermost loop around it, by number plus 1; 0 is none.
    around: u32,
}

/// What the walk must know of a loop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoopPlan {
    /// The spots of its test and its body.
    pub(crate) test: u32,
    pub(crate) body: u32,
    /// How many loops there are from the outermost to this one.
    depth: u8,
    /// Is something called in it, so that few registers keep their values?
    pub(crate) calls: bool,
    /// The range of the values that it needs from outside, in `Schedule::needed`.
    needed: (u32, u32),
}

/// A value from outside that a loop needs, and how often it is mentioned there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed {
    in_loop: u32,
    pub(crate) value: Ref,
    pub(crate) uses: u32,
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
    loops: Vec<LoopPlan>,
    needed: Vec<Needed>,
    /// How deep in loops the innermost use of each node is; empty if there are no loops.
    rank: Vec<u8>,
}

impl Schedule {
    /// Prepares for a walk over `func`; `is_call` says which nodes become calls.
    /// `may_branch` says of the condition of a choice whether the code may go one way or the other by it.
    pub(crate) fn prepare(&mut self, func: &Func, is_call: impl Fn(&Node) -> bool, may_branch: impl Fn(&Node) -> bool) {
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
            self.find_places(func, &may_branch);
        }
        self.loops.clear();
        self.needed.clear();
        self.rank.clear();
        if !func.loops.is_empty() {
            self.plan_loops(func, is_call);
        }
    }

    /// What the walk must know of a loop.
    pub(crate) fn plan(&self, number: u32) -> LoopPlan {
        self.loops.get(number as usize).copied().unwrap_or_default()
    }

    /// The values from outside that a loop needs.
    pub(crate) fn needed(&self, plan: &LoopPlan) -> &[Needed] {
        &self.needed[plan.needed.0 as usize..plan.needed.1 as usize]
    }

    /// How deep in loops the value is used: the deeper, the dearer is it to have it in memory.
    #[inline]
    pub(crate) fn rank(&self, value: u32) -> u8 {
        self.rank.get(value as usize).copied().unwrap_or(0)
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

    /// What the two arms cost, if the `Select` is to become a branch; nothing for one that is not worth it.
    pub(crate) fn arm_costs(&self, select: Ref) -> Option<[u32; 2]> {
        let (first, second) = self.arms(select)?;
        let cost = |spot: u32| Some(self.spots[spot as usize].cost).filter(|&cost| cost >= BRANCH_COST);
        Some([first, second].map(|spot| cost(spot).unwrap_or(0)))
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
                0 if node.op == Op::Exit => CALL_NEED,
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
    fn find_places(&mut self, func: &Func, may_branch: &impl Fn(&Node) -> bool) {
        self.place.resize(func.nodes.len(), NOWHERE);
        self.arms.resize(func.nodes.len(), 0);
        let mut loops = (0..).zip(&func.loops).peekable();
        for (i, region) in func.regions.iter().enumerate() {
            let parent = if i == 0 { BODY } else { self.region_spots[region.parent as usize] };
            let depth = if i == 0 { 0 } else { self.spots[parent as usize].depth + 1 };
            // Loops stand in the order of their regions.
            let around = match loops.next_if(|(_, this)| usize::from(this.test) == i) {
                Some((number, _)) => number + 1,
                None if i == 0 => 0,
                None => self.spots[parent as usize].around,
            };
            self.region_spots.push(self.spots.len() as u32);
            self.spots.push(Spot { parent, depth, optional: false, cost: 0, around });
        }
        for &r in &func.results {
            self.place[r.index()] = BODY;
        }
        for &r in &func.effects {
            self.place[r.index()] = self.region_spots[func.node(r).region as usize];
        }
        for carried in &func.carried {
            self.place[carried.phi.index()] = self.region_spots[func.node(carried.phi).region as usize];
        }
        for i in (0..func.nodes.len()).rev() {
            if self.uses[i] > 0 {
                self.place_operands(func, Ref(i as u32), &func.nodes[i], may_branch);
            }
        }
        self.give_up_cheap_arms();
    }

    fn place_operands(&mut self, func: &Func, r: Ref, node: &Node, may_branch: &impl Fn(&Node) -> bool) {
        let here = self.place[r.index()];
        if !node.op.is(PINNED) {
            let spot = &mut self.spots[here as usize];
            spot.cost = spot.cost.saturating_add(u32::from(node.op.row().cost));
        }
        match node.op {
            Op::Select
                if self.spots[here as usize].depth < DEEPEST
                    && node.b != node.c
                    && may_branch(func.node(Ref(node.a))) =>
            {
                let first = self.spots.len() as u32;
                let depth = self.spots[here as usize].depth + 1;
                let around = self.spots[here as usize].around;
                let spot = Spot { parent: here, depth, optional: true, cost: 0, around };
                self.spots.extend([spot, spot]);
                self.arms[r.index()] = first;
                self.want(func, Ref(node.a), here);
                self.want(func, Ref(node.b), first);
                self.want(func, Ref(node.c), first + 1);
            }
            Op::Join => {
                let branch = func.node(Ref(node.a));
                let (then, other) = (self.region_spots[branch.b as usize], self.region_spots[branch.c as usize]);
                self.want(func, Ref(node.b), then);
                self.want(func, Ref(node.c), other);
            }
            Op::Loop => {
                let this = &func.loops[node.a as usize];
                let (test, body) = (self.region_spots[this.test as usize], self.region_spots[this.body as usize]);
                self.want(func, func.regions[this.body as usize].condition, test);
                for carried in &func.carried[this.carried()] {
                    self.want(func, carried.init, here);
                    self.want(func, carried.next, body);
                }
            }
            _ => func.for_operands(node, |operand| self.want(func, operand, here)),
        }
    }

    fn want(&mut self, func: &Func, r: Ref, mut spot: u32) {
        let node = func.node(r);
        if node.op == Op::Phi {
            return;
        }
        if !func.loops.is_empty() {
            // Out of the loops that the value does not live in.
            let home = self.spots[self.region_spots[node.region as usize] as usize].around;
            while self.spots[spot as usize].around != home && self.spots[spot as usize].around != 0 {
                let inner = self.spots[spot as usize].around as usize - 1;
                spot = self.spots[self.region_spots[func.loops[inner].test as usize] as usize].parent;
            }
        }
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

    /// Says of each loop where it stands and what it needs from outside, and of each value how deep it is used.
    fn plan_loops(&mut self, func: &Func, is_call: impl Fn(&Node) -> bool) {
        for this in &func.loops {
            let (test, body) = (self.region_spots[this.test as usize], self.region_spots[this.body as usize]);
            let outer = self.spots[self.spots[test as usize].parent as usize].around;
            let depth = if outer == 0 { 1 } else { self.loops[outer as usize - 1].depth.saturating_add(1) };
            self.loops.push(LoopPlan { test, body, depth, calls: false, needed: (0, 0) });
        }
        self.rank.resize(func.nodes.len(), 0);
        for (i, node) in func.nodes.iter().enumerate() {
            if self.uses[i] == 0 && !node.op.is(PINNED) {
                continue;
            }
            let here = self.spots[self.place[i] as usize].around;
            if is_call(node) {
                let mut at = here;
                while at != 0 && !self.loops[at as usize - 1].calls {
                    self.loops[at as usize - 1].calls = true;
                    at = self.loop_around(at);
                }
            }
            if node.op != Op::Loop {
                func.for_operands(node, |operand| self.note_use(operand, here));
                continue;
            }
            let this = &func.loops[node.a as usize];
            self.note_use(func.regions[this.body as usize].condition, node.a + 1);
            for carried in &func.carried[this.carried()] {
                self.note_use(carried.init, here);
                self.note_use(carried.next, node.a + 1);
            }
        }
        self.needed.sort_unstable_by_key(|n| (n.in_loop, n.value));
        self.needed.dedup_by(|later, first| {
            let same = (later.in_loop, later.value) == (first.in_loop, first.value);
            first.uses += if same { later.uses } else { 0 };
            same
        });
        for (i, needed) in (0..).zip(&self.needed) {
            let plan = &mut self.loops[needed.in_loop as usize];
            plan.needed = if plan.needed.1 == 0 { (i, i + 1) } else { (plan.needed.0, i + 1) };
        }
    }

    /// A value is used within a loop (by number plus 1): all loops from there outwards that it stands outside of need it.
    fn note_use(&mut self, value: Ref, user: u32) {
        let home = self.spots[self.place[value.index()] as usize].around;
        let depth = if user == 0 { 0 } else { self.loops[user as usize - 1].depth };
        self.rank[value.index()] = self.rank[value.index()].max(depth);
        let mut at = user;
        while at != home && at != 0 {
            self.needed.push(Needed { in_loop: at - 1, value, uses: 1 });
            at = self.loop_around(at);
        }
    }

    /// The loop around a loop, both by number plus 1.
    fn loop_around(&self, number: u32) -> u32 {
        let test = self.loops[number as usize - 1].test;
        self.spots[self.spots[test as usize].parent as usize].around
    }
}
