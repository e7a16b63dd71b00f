//! From a function to its list of operations on blocks.
//!
//! Steps stand in the order of the arena, but for what stands in a loop and does not live in it, which comes before the
//! loop. Each value gets a slot from its step to its last use; a value from before a loop that is used in it is used
//! until the loop ends. The result of a step never stands in the slot of an operand.

use super::{Arm, Blocks, Carried, Operand, Repeat, Step, What};
use crate::ir::{Func, Loop, Node, Ref, Target};
use crate::ops::lanes::RowsMeaning;
use crate::ops::{self, Op};
use crate::types::Type;

/// Rows of a block when all its values fit into the nearest caches, and the fewest.
const ROWS: usize = 512;
const FEWEST_ROWS: usize = 16;
/// Bytes that the values of a block should not exceed by much.
const BYTES: usize = 256 << 10;
/// No program for functions with more values than this at once.
const SLOTS: usize = 1 << 18;

/// What chooses between rows of a type by a `bool`.
pub(super) fn choice(ty: Type) -> Option<RowsMeaning> {
    Op::Select.rows_meaning(ty)
}

/// A copy of rows.
fn copy(out: &mut [u8], a: &[u8], _: &[u8], _: &[u8]) {
    out.copy_from_slice(a);
}

/// May the function be evaluated in blocks, and some rows again one by one?
fn is_pure(func: &Func) -> bool {
    func.effects.iter().all(|&r| match func.node(r) {
        node if node.op == Op::CallPinned => match &func.callees[node.a as usize].target {
            Target::Host(host) => host.is_pure(),
            Target::Builtin(..) => true,
        },
        _ => true,
    })
}

/// Does a step stand for the node?
fn is_step(node: &Node) -> bool {
    !matches!(node.op, Op::Param | Op::Const | Op::If)
}

/// The nodes that something needs which has an effect, or a result.
fn wanted(func: &Func) -> Vec<bool> {
    let mut wanted = vec![false; func.nodes.len()];
    let conditions = func.regions.iter().map(|region| region.condition).filter(|&r| r != Ref::NONE);
    let phis = func.carried.iter().map(|carried| carried.phi);
    for r in func.results.iter().chain(&func.effects).copied().chain(conditions).chain(phis) {
        wanted[r.index()] = true;
    }
    for i in (0..func.nodes.len()).rev() {
        if wanted[i] {
            if subtracted(func, &func.nodes[i]).is_none() {
                func.for_operands(&func.nodes[i], |operand| wanted[operand.index()] = true);
            }
            for_uses(func, &func.nodes[i], |operand| wanted[operand.index()] = true);
        }
    }
    wanted
}

/// What the node subtracts, if it is a product that something is added to of which the sign is changed: one step does it all.
fn subtracted(func: &Func, node: &Node) -> Option<Ref> {
    let addend = (node.op == Op::Fma).then(|| func.node(Ref(node.c)))?;
    (addend.op == Op::Neg).then_some(Ref(addend.a))
}

/// Calls `f` with every value that the step of this node reads.
fn for_uses(func: &Func, node: &Node, mut f: impl FnMut(Ref)) {
    match node.op {
        Op::Join => {
            f(Ref(func.node(Ref(node.a)).a));
            f(Ref(node.b));
            f(Ref(node.c));
        }
        Op::Phi => f(func.carried[node.a as usize].init),
        Op::Exit => f(func.carried[node.b as usize].phi),
        Op::If => {}
        Op::Loop => {
            let this = &func.loops[node.a as usize];
            f(func.regions[this.body as usize].condition);
            for carried in &func.carried[this.carried()] {
                f(carried.phi);
                f(carried.next);
            }
        }
        _ => match subtracted(func, node) {
            Some(subtracted) => [Ref(node.a), Ref(node.b), subtracted].into_iter().for_each(f),
            None => func.for_operands(node, f),
        },
    }
}

/// Steps in the order in which they run. Times count them from 1; at 0 inputs and constants are there.
struct Order {
    /// The node of each step.
    nodes: Vec<usize>,
    /// By loop: the time of its first step and of its last.
    loops: Vec<(usize, usize)>,
    /// By loop: the loop around it.
    around: Vec<usize>,
}

const NO_LOOP: usize = usize::MAX;

impl Order {
    fn of(func: &Func) -> Order {
        let wanted = wanted(func);
        // The innermost loop of whose stretch each node is a part.
        let mut innermost = vec![NO_LOOP; func.nodes.len()];
        let mut around = Vec::with_capacity(func.loops.len());
        for (number, this) in func.loops.iter().enumerate() {
            around.push(innermost[this.node.index()]);
            innermost[this.first.index()..=this.node.index()].fill(number);
        }
        // Two loops that carry nothing could begin at one node.
        let hoists = func.loops.iter().all(|this| !this.carried().is_empty());
        let mut keys: Vec<(usize, bool, usize)> = Vec::new();
        for (i, node) in func.nodes.iter().enumerate().filter(|(i, node)| wanted[*i] && is_step(node)) {
            let (mut key, mut number) = ((i, true, i), innermost[i]);
            while let Some(this) = func.loops.get(number).filter(|_| hoists) {
                if (this.test..this.regions_end).contains(&node.region) || this.node.index() == i {
                    break;
                }
                key = (this.first.index(), false, i);
                number = around[number];
            }
            keys.push(key);
        }
        keys.sort_unstable();
        let time = |key: (usize, bool, usize)| 1 + keys.partition_point(|other| *other < key);
        let ends = |this: &Loop| {
            let (first, last) = (this.first.index(), this.node.index());
            (time((first, true, 0)), time((last, true, last)))
        };
        let loops = func.loops.iter().map(ends).collect();
        Order { nodes: keys.iter().map(|key| key.2).collect(), loops, around }
    }

    /// By node: the time of the last step that reads its value.
    fn last_uses(&self, func: &Func) -> Vec<usize> {
        let mut made = vec![0; func.nodes.len()];
        let mut last = vec![0; func.nodes.len()];
        let mut region_last = vec![0; func.regions.len()];
        for (time, &i) in (1..).zip(&self.nodes) {
            (made[i], last[i]) = (time, time);
            for_uses(func, &func.nodes[i], |r| last[r.index()] = time);
            region_last[usize::from(func.nodes[i].region)] = time;
        }
        // A mask is made when a step first wants it. Regions stand behind those around them.
        for (number, region) in func.regions.iter().enumerate().skip(1).rev() {
            let (time, parent) = (region_last[number], usize::from(region.parent));
            region_last[parent] = region_last[parent].max(time);
            if region.condition != Ref::NONE {
                let condition = region.condition.index();
                last[condition] = last[condition].max(time);
            }
        }
        // What comes from before a loop and is used in it is used until it ends.
        let mut innermost = vec![NO_LOOP; self.nodes.len() + 1];
        for (number, &(begin, end)) in self.loops.iter().enumerate() {
            innermost[begin..=end].fill(number);
        }
        for i in 0..func.nodes.len() {
            let mut number = innermost[last[i]];
            while let Some(&(begin, end)) = self.loops.get(number).filter(|this| this.0 > made[i]) {
                debug_assert!(begin <= end);
                last[i] = last[i].max(end);
                number = self.around[number];
            }
        }
        for &r in &func.results {
            last[r.index()] = usize::MAX;
        }
        last
    }
}

/// Gives out slots.
#[derive(Default)]
struct Slots {
    free: Vec<u32>,
    count: u32,
    /// By node.
    of: Vec<u32>,
}

impl Slots {
    fn take(&mut self, node: usize) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.of[node] = slot;
        slot
    }
}

impl Blocks {
    /// The program of a function; none if it calls what has effects, or would need very much memory.
    pub(crate) fn new(func: &Func) -> Option<Blocks> {
        if !is_pure(func) {
            return None;
        }
        let order = Order::of(func);
        let last = order.last_uses(func);
        let mut slots = Slots { of: vec![u32::MAX; func.nodes.len()], ..Slots::default() };
        let (mut inputs, mut constants) = (vec![None; func.params.len()], Vec::new());
        // Constants are written once and keep their slots; so do inputs, of which each block has new rows.
        for (i, node) in func.nodes.iter().enumerate().filter(|(i, _)| last[*i] > 0) {
            if matches!(node.op, Op::Param | Op::Const) {
                let operand = Operand { slot: slots.take(i), ty: node.ty };
                match node.op {
                    Op::Param => inputs[node.a as usize] = Some(operand),
                    _ => constants.push((operand, node.const_bits())),
                }
            }
        }
        let mut planner = Planner { func, slots, steps: Vec::new(), args: Vec::new() };
        // What is used last at each time.
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); order.nodes.len() + 1];
        for (time, &i) in (1..).zip(&order.nodes) {
            planner.step(i)?;
            if let Some(end) = ends.get_mut(last[i]).filter(|_| planner.slots.of[i] != u32::MAX) {
                end.push(i);
            }
            for i in std::mem::take(&mut ends[time]) {
                let slot = planner.slots.of[i];
                planner.slots.free.push(slot);
            }
        }
        let Planner { slots, steps, args, .. } = planner;
        let operand = |r: Ref| Operand { slot: slots.of[r.index()], ty: func.ty(r) };
        let arm = |region: &crate::ir::Region| Arm {
            parent: region.parent,
            condition: (region.condition != Ref::NONE).then(|| operand(region.condition)),
            polarity: region.polarity,
        };
        let repeat = |(this, &(begin, _)): (&Loop, &(usize, usize))| Repeat {
            first: begin - 1 + this.carried().len(),
            test: this.test,
            regions_end: this.regions_end,
            condition: operand(func.regions[this.body as usize].condition),
            carried: this.carried(),
        };
        let count = slots.count as usize;
        let fitting = (BYTES / 8 / count.max(1)).clamp(FEWEST_ROWS, ROWS) / FEWEST_ROWS * FEWEST_ROWS;
        (count <= SLOTS).then(|| Blocks {
            regions: func.regions.iter().map(arm).collect(),
            loops: func.loops.iter().zip(&order.loops).map(repeat).collect(),
            carried: func.carried.iter().map(|c| Carried { phi: operand(c.phi), next: operand(c.next) }).collect(),
            callees: func.callees.clone(),
            constants,
            inputs,
            outputs: func.results.iter().map(|&r| operand(r)).collect(),
            slots: count,
            rows: fitting,
            args,
            steps,
        })
    }
}

/// What is made of the nodes.
struct Planner<'a> {
    func: &'a Func,
    slots: Slots,
    steps: Vec<Step>,
    args: Vec<Operand>,
}

impl Planner<'_> {
    /// Where a node's value stands.
    fn operand(&self, r: Ref) -> Operand {
        Operand { slot: self.slots.of[r.index()], ty: self.func.ty(r) }
    }

    /// Adds the step of a node; `None` if there is no such thing, which the verifier rules out.
    fn step(&mut self, i: usize) -> Option<()> {
        let node = &self.func.nodes[i];
        let operand = |field: u32| Some(self.operand(Ref(field)));
        let what = match node.op {
            Op::Call | Op::CallPinned => {
                let from = self.args.len() as u32;
                let args: Vec<Operand> = self.func.call_args(node).iter().map(|&r| self.operand(r)).collect();
                self.args.extend(args);
                What::Call(node.a, from..self.args.len() as u32)
            }
            Op::Trap => What::Trap(operand(node.a)?),
            Op::Loop => What::Loop(node.a),
            Op::Phi => What::Op(copy, [operand(self.func.carried[node.a as usize].init.0), None, None]),
            Op::Exit => What::Op(copy, [operand(self.func.carried[node.b as usize].phi.0), None, None]),
            Op::Join => {
                let condition = self.func.node(Ref(node.a)).a;
                What::Op(choice(node.ty)?, [operand(condition), operand(node.b), operand(node.c)])
            }
            op => {
                let from = self.func.ty(Ref(node.a));
                let meaning = match op {
                    Op::Convert => ops::rows_conversion(from, node.ty),
                    Op::Select | Op::Bitcast => op.rows_meaning(node.ty)?,
                    _ => op.rows_meaning(from)?,
                };
                let mut operands = [None; 3];
                for (place, r) in operands.iter_mut().zip(&node.operands()[..op.arity()]) {
                    *place = Some(self.operand(*r));
                }
                match subtracted(self.func, node) {
                    Some(r) => {
                        operands[2] = Some(self.operand(r));
                        What::Op(ops::lanes::fma_rows(node.ty, true), operands)
                    }
                    None => What::Op(meaning, operands),
                }
            }
        };
        let has_value = !matches!(node.op, Op::Trap | Op::Loop);
        let slot = if has_value { self.slots.take(i) } else { u32::MAX };
        self.steps.push(Step { what, region: node.region, out: Operand { slot, ty: node.ty } });
        Some(())
    }
}
