//! Loops in the backward walk: where values are when an iteration begins is decided first, and all else follows from it.
//!
//! Forward, the code reads: what the loop carries, to its place; jump to the test; body; what it carries on, to the same
//! places; test, which jumps back to the body if its condition holds. So an iteration has one jump.
//!
//! The walk comes from behind. From the state after the loop it makes the *state of an iteration*: the carried values and
//! what the loop needs from outside get registers, those that are mentioned most first, and what only code after the
//! loop wants gives its register up if it must. The body is walked from that state, then the test from the state in which
//! the body begins; moves at the beginning of each lead from the one to the other. Since the test is emitted behind the
//! body but runs before it, the two are exchanged when both are done.
//!
//! A value that a loop carries has a *home*, the register of the state of an iteration. It is given that register again
//! wherever it can be, and others avoid it, so that mostly nothing is moved.

#![forbid(unsafe_code)]

use super::schedule::LoopPlan;
use super::walk::{Hidden, JoinValue, NO_REG, NONE, Note, Open, Owners, REGS, Target, Walk, reg_at, reg_from, stack};
use super::{CLASSES, Inst, Label, MInst, Sets};
use crate::ir::{Func, Ref};
use crate::ops::Op;

/// Registers of each class that are left for the work within an iteration.
const SPARE: Sets = [3, 4, 2];
/// Constants get registers only while more than so many are left: most can be read from memory at no cost.
const SPARE_BEFORE_CONSTANTS: u32 = 7;
/// Bodies begin at a multiple of so many bytes.
const ALIGNMENT: i32 = 16;

/// A loop that is being walked.
pub(super) struct LoopFrame {
    node: Ref,
    number: u32,
    plan: LoopPlan,
    in_body: bool,
    /// Its range of `joins` begins here.
    joins: usize,
    /// The spot around it.
    outer: u32,
    outer_homes: Sets,
    body_label: Label,
    /// Where the emitted instructions and notes of its body begin, and where they end.
    start: (usize, usize),
    middle: (usize, usize),
    /// The state of an iteration.
    state: Owners,
}

impl Walk {
    /// Starts the loop whose node is `r`.
    pub(super) fn start_loop<T: Target>(&mut self, target: &T, func: &Func, r: Ref, number: u32) {
        let plan = self.schedule.plan(number);
        self.begin_moves();
        self.take_exits(target, func, r);
        self.give_registers(target, func, number, &plan);
        let frame = LoopFrame {
            node: r,
            number,
            plan,
            in_body: true,
            joins: self.joins.len(),
            outer: self.spot,
            outer_homes: self.homes,
            body_label: self.label(),
            start: (self.code.body.len(), self.notes.len()),
            middle: (0, 0),
            state: self.owners,
        };
        self.settle_homes(func, number);
        self.spot = plan.body;
        let (first, body) = (frame.joins, func.loops[number as usize].body);
        self.frames.push(Open::Loop(frame));
        self.begin_moves();
        self.carry_all(target, func, number, first, false);
        if let Some(last) = self.schedule.last_effect(u32::from(body)) {
            self.release(last);
        }
    }

    /// Values that the loop leaves: from here on, backwards, they are carried values in registers.
    fn take_exits<T: Target>(&mut self, target: &T, func: &Func, r: Ref) {
        while let Some(at) = self.waiting.iter().position(|w| w.0 == r) {
            let (_, exit) = self.waiting.swap_remove(at);
            let phi = func.carried[func.node(exit).b as usize].phi;
            if self.is_unplaced(exit) {
                continue;
            }
            let reg = match self.reg_of(exit) {
                Some(reg) => {
                    self.unassign(exit);
                    reg
                }
                None => self.temp_of(target, func, self.class_of(func.ty(phi))),
            };
            if let Some(slot) = self.slot_of(exit) {
                self.note(Note::Store { value: exit, reg, slot, at: 0 });
                self.emit(target.store(stack::<T>(slot), func.ty(phi), reg));
            }
            self.note(Note::Rename { from: phi, to: exit, reg, at: 0 });
            self.assign(phi, reg);
            self.unlock_all();
        }
    }

    /// Makes the state of an iteration: the values that the loop mentions most have registers.
    fn give_registers<T: Target>(&mut self, target: &T, func: &Func, number: u32, plan: &LoopPlan) {
        let carried = &func.carried[func.loops[number as usize].carried()];
        let phis = carried.iter().map(|c| (c.phi, self.schedule.uses[c.phi.index()] + 1));
        let phis = phis.filter(|p| p.1 > 1);
        let needed = self.schedule.needed(plan).iter().map(|n| (n.value, n.uses));
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.clear();
        wanted.extend(phis.chain(needed));
        // Most uses first; constants, which can be read from memory, last.
        let constant = |r: Ref| func.nodes.get(r.index()).is_some_and(|n| n.op == Op::Const);
        wanted.sort_by_key(|&(r, uses)| (constant(r), std::cmp::Reverse(uses), r));
        let usable = if plan.calls { target.kept_by_calls() } else { [u32::MAX; CLASSES] };
        let mut left = [0, 1, 2].map(|class: usize| {
            let registers = (self.allocatable[class] & usable[class]).count_ones();
            // What calls destroy serves for the work.
            if plan.calls { registers } else { registers.saturating_sub(SPARE[class].min(registers / 2)) }
        });
        wanted.retain(|&(r, _)| {
            if self.is_pinned(r) {
                return false;
            }
            let class = self.class(func, r);
            let cheap = constant(r) && (class == 0 || left[1] + SPARE[1] <= SPARE_BEFORE_CONSTANTS);
            let granted = left[class] > 0 && !cheap;
            left[class] -= u32::from(granted);
            granted
        });
        self.make_room(target, func, &wanted, usable, left);
        for &(r, _) in &wanted {
            if self.reg_of(r).is_some() {
                continue;
            }
            let class = self.class(func, r);
            let free = self.owners.free[class] & usable[class];
            let best = free & self.preferred[class];
            let free = if best != 0 { best } else { free };
            if free != 0 {
                self.assign(r, reg_at(class, free.trailing_zeros()));
            }
        }
        self.wanted = wanted;
    }

    /// Takes registers from values that are not wanted in the loop, until at most `left` of them keep theirs, and from
    /// all values whose registers are not usable.
    fn make_room<T: Target>(&mut self, target: &T, func: &Func, wanted: &[(Ref, u32)], usable: Sets, mut left: Sets) {
        for i in 0..REGS {
            let owner = Ref(self.owners.owner[i]);
            if owner == Ref::NONE || self.is_reserved(reg_from(i as u8)) {
                continue;
            }
            let (class, number) = (i / 32, i as u32 % 32);
            let mentioned = wanted.iter().any(|w| w.0 == owner);
            let fits = usable[class] >> number & 1 != 0;
            let keeps = mentioned || left[class] > 0;
            if keeps && (fits || self.move_away(target, owner, class, usable[class])) {
                left[class] -= u32::from(!mentioned);
            } else {
                self.evict(target, func, reg_from(i as u8));
            }
        }
    }

    /// Gives a value another register, one in `usable`.
    fn move_away<T: Target>(&mut self, target: &T, r: Ref, class: usize, usable: u32) -> bool {
        let (free, Some(from)) = (self.owners.free[class] & usable, self.reg_of(r)) else { return false };
        if free == 0 {
            return false;
        }
        let to = reg_at(class, free.trailing_zeros());
        self.unassign(r);
        self.assign(r, to);
        self.note(Note::Move { value: r, reg: from, at: 0 });
        self.emit(target.copy(from, to));
        true
    }

    /// Takes down where the loop carries its values.
    fn settle_homes(&mut self, func: &Func, number: u32) {
        self.homes = [0; CLASSES];
        for carried in &func.carried[func.loops[number as usize].carried()] {
            let phi = carried.phi;
            let used = self.schedule.uses[phi.index()] > 0;
            let reg = self.loc[phi.index()];
            if reg != NO_REG {
                self.home[phi.index()] = reg;
                self.homes[usize::from(reg / 32)] |= 1 << (reg & 31);
                self.unassign(phi);
            } else if used {
                self.slot_for(func, phi);
            }
            let (ty, slot) = (func.ty(phi), self.slot[phi.index()]);
            self.joins.push(JoinValue { r: phi, reg, slot, ty, then_value: carried.next, else_value: carried.init });
        }
    }

    /// Before an iteration: brings what the loop carries, from the last one or from before the loop, to its places.
    fn carry_all<T: Target>(&mut self, target: &T, func: &Func, number: u32, first: usize, enter: bool) {
        self.hand_over(target, func, first, !enter, Some(number));
        let count = func.loops[number as usize].carried().len();
        let value = |join: JoinValue| if enter { join.else_value } else { join.then_value };
        // The neediest is evaluated first, so what only counts changes at the end, when nothing needs its old value.
        let mut values = std::mem::take(&mut self.pushed);
        values.extend(self.joins[first..first + count].iter().map(|&join| value(join)));
        values.sort_by_key(|&r| std::cmp::Reverse(self.schedule.need(r)));
        for r in values.drain(..) {
            self.release(r);
        }
        self.pushed = values;
    }

    /// The body or the test of the innermost loop has been walked to its beginning.
    pub(super) fn finish_part<T: Target>(&mut self, target: &T, func: &Func) {
        let Some(Open::Loop(frame)) = self.frames.last_mut() else { return };
        self.current = frame.node.0;
        if frame.in_body {
            frame.in_body = false;
            self.finish_body(target, func);
        } else if let Some(Open::Loop(frame)) = self.frames.pop() {
            self.finish_test(target, func, &frame);
        }
    }

    fn finish_body<T: Target>(&mut self, target: &T, func: &Func) {
        let Some(Open::Loop(frame)) = self.frames.last() else { return };
        let (node, plan, label, state) = (frame.node, frame.plan, frame.body_label, frame.state);
        let this = func.loops[frame.number as usize];
        self.begin_moves();
        self.merge(target, func, &state);
        self.bind(label);
        self.emit(MInst { imm: ALIGNMENT, ..MInst::new(Inst::ALIGN) });
        let here = (self.code.body.len(), self.notes.len());
        if let Some(Open::Loop(frame)) = self.frames.last_mut() {
            frame.middle = here;
        }
        let condition = func.regions[this.body as usize].condition;
        self.note(Note::Node { r: node, at: 0 });
        target.branch_if(self, func, condition, label);
        self.unlock_all();
        self.release(condition);
        if let Some(last) = self.schedule.last_effect(u32::from(this.test)) {
            self.release(last);
        }
        self.spot = plan.test;
    }

    fn finish_test<T: Target>(&mut self, target: &T, func: &Func, frame: &LoopFrame) {
        self.begin_moves();
        self.return_to(target, func, &frame.state);
        // A carried value that has lost its register on the way is found in its slot.
        for i in frame.joins..self.joins.len() {
            let JoinValue { r, reg, slot, ty, .. } = self.joins[i];
            if let Some(late) = self.slot_of(r).filter(|_| reg != NO_REG && slot == NONE) {
                let reg = reg_from(reg);
                self.note(Note::Store { value: r, reg, slot: late, at: 0 });
                self.emit(target.store(stack::<T>(late), ty, reg));
            }
        }
        let test_label = self.label();
        self.bind(test_label);
        self.exchange(frame.start, frame.middle);
        self.begin_moves();
        self.emit(target.jump(test_label));
        for i in frame.joins..self.joins.len() {
            let phi = self.joins[i].r;
            if self.reg_of(phi).is_some() {
                self.unassign(phi);
            }
            self.home[phi.index()] = NO_REG;
        }
        self.homes = frame.outer_homes;
        self.spot = frame.outer;
        self.carry_all(target, func, frame.number, frame.joins, true);
        self.joins.truncate(frame.joins);
        // The condition and what is carried on have been released.
        if let Some(before) = self.schedule.previous_effect(frame.node) {
            self.release(before);
        }
    }

    /// Makes `state` the current one, and emits the moves from there to the one at hand.
    fn return_to<T: Target>(&mut self, target: &T, func: &Func, state: &Owners) {
        let wanted = self.owners;
        self.restore(*state);
        let args = self.hidden(func, Hidden::Args);
        self.args_in_place = self.reg_of(args).is_some_and(|reg| wanted.owner[reg.index()] == args.0);
        for i in 0..REGS {
            let (r, reg) = (Ref(wanted.owner[i]), reg_from(i as u8));
            if r == Ref::NONE || self.owners.owner[i] == r.0 {
                continue;
            }
            if let Some(from) = self.reg_of(r) {
                self.moves.push((r, reg, from));
            } else {
                let load = self.reload(target, func, r, reg);
                self.loads.push((r, reg, load));
            }
        }
        self.args_in_place = true;
        self.flush_moves(target);
    }

    /// What was emitted from `start` to `middle` shall run before what was emitted from there on.
    fn exchange(&mut self, start: (usize, usize), middle: (usize, usize)) {
        let end = self.code.body.len();
        let (first, second) = (middle.0 - start.0, end - middle.0);
        self.code.body[start.0..].rotate_left(first);
        self.code.origins[start.0..].rotate_left(first);
        let notes = (middle.1 - start.1, self.notes.len() - middle.1);
        shift(&mut self.notes[start.1..middle.1], second as i32, notes.1 as i32);
        shift(&mut self.notes[middle.1..], -(first as i32), -(notes.0 as i32));
        self.notes[start.1..].rotate_left(middle.1 - start.1);
    }
}

/// Moves notes by so many instructions and so many notes.
fn shift(notes: &mut [Note], instructions: i32, numbers: i32) {
    for note in notes {
        if let Some(at) = note.at_mut() {
            *at = at.wrapping_add_signed(instructions);
        }
        if let Note::Arm { joined: Some((_, first)), .. } = note {
            *first = first.wrapping_add_signed(numbers);
        }
    }
}
