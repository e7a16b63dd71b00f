//! Branches in the backward walk: two arms walked from one state, and the moves that make their beginnings agree.
//!
//! Forward, the code reads: jump to the second arm unless the condition holds; moves; first arm; jump to the join;
//! second arm; join. The state at the branch is the one in which the second arm starts, plus what only the first arm
//! needs; the moves lead from there to the state in which the first arm starts. A value that finds no register
//! at the branch waits in its slot.

#![forbid(unsafe_code)]

use super::walk::{Frame, Hidden, JoinValue, NO_REG, NONE, Note, Open, Owners, REGS, Target, Walk, reg_from};
use super::{CLASSES, MInst, Reg};
use crate::ir::{Func, Node, Ref};

impl Walk {
    /// Emits the node if its value is wanted or it must run anyway.
    pub(super) fn lower_wanted<T: Target>(&mut self, target: &T, func: &Func, r: Ref, node: Node) {
        if !self.is_unplaced(r) || node.op.is(crate::ops::PINNED) {
            target.lower(self, func, r, node);
        }
    }

    /// Takes the node's uses of its operands: the neediest operand is released first and so evaluated first.
    pub(super) fn release_operands(&mut self, func: &Func, r: Ref, node: &Node) {
        let [mut a, mut b, c] = node.operands();
        match node.op.arity() {
            0 => self.release_list(func, r, node),
            1 => self.release(a),
            2 => {
                if self.schedule.need(b) > self.schedule.need(a) {
                    std::mem::swap(&mut a, &mut b);
                }
                self.release(a);
                self.release(b);
            }
            _ => {
                let mut three = [a, b, c];
                three.sort_by_key(|&operand| std::cmp::Reverse(self.schedule.need(operand)));
                three.into_iter().for_each(|operand| self.release(operand));
            }
        }
    }

    /// The same for nodes that keep their operands in a list, and for pinned nodes, which use the one before.
    fn release_list(&mut self, func: &Func, r: Ref, node: &Node) {
        let mut pushed = std::mem::take(&mut self.pushed);
        func.for_operands(node, |operand| pushed.push(operand));
        if node.op.is(crate::ops::PINNED) {
            pushed.extend(self.schedule.previous_effect(r));
        }
        pushed.sort_by_key(|&operand| std::cmp::Reverse(self.schedule.need(operand)));
        for operand in pushed.drain(..) {
            self.release(operand);
        }
        self.pushed = pushed;
    }

    /// A value that the next branch defines.
    pub(super) fn push_join(&mut self, func: &Func, r: Ref, then_value: Ref, else_value: Ref) {
        let reg = self.loc[r.index()];
        if reg != NO_REG {
            self.unassign(r);
        }
        let slot = self.slot[r.index()];
        self.joins.push(JoinValue { r, reg, slot, ty: func.ty(r), then_value, else_value });
    }

    /// Starts the branch of an `If`.
    pub(super) fn start_if<T: Target>(&mut self, target: &T, func: &Func, r: Ref, node: &Node) {
        let mut count = 0;
        while let Some(at) = self.waiting.iter().position(|w| w.0 == r) {
            let (_, join) = self.waiting.swap_remove(at);
            let values = *func.node(join);
            self.push_join(func, join, Ref(values.b), Ref(values.c));
            count += 1;
        }
        let spots = (self.schedule.region_spot(node.b), self.schedule.region_spot(node.c));
        self.start_branch(target, func, r, Ref(node.a), count, spots, Some((node.b, node.c)));
    }

    /// Starts a branch that defines the last `count` joins.
    #[allow(clippy::too_many_arguments, reason = "called from two places, with nothing to group")]
    pub(super) fn start_branch<T: Target>(
        &mut self,
        target: &T,
        func: &Func,
        node: Ref,
        condition: Ref,
        count: usize,
        (then_spot, else_spot): (u32, u32),
        regions: Option<(u32, u32)>,
    ) {
        let (join_label, else_label) = (self.label(), self.label());
        self.bind(join_label);
        let frame = Frame {
            node,
            condition,
            joins: self.joins.len() - count,
            then_spot,
            else_spot,
            regions,
            outer: self.spot,
            join_label,
            else_label,
            in_else: true,
            notes: self.notes.len(),
            body_len: self.code.body.len(),
            after: self.owners,
            at_else: self.owners,
        };
        self.frames.push(Open::Branch(frame));
        self.enter_arm(target, func, false);
    }

    /// Starts the arm of the innermost branch: its end, seen from behind.
    fn enter_arm<T: Target>(&mut self, target: &T, func: &Func, then: bool) {
        let Some(Open::Branch(frame)) = self.frames.last() else { return };
        let (first, regions) = (frame.joins, frame.regions);
        self.spot = if then { frame.then_spot } else { frame.else_spot };
        self.hand_over(target, func, first, then, None);
        for i in first..self.joins.len() {
            let join = self.joins[i];
            self.release(if then { join.then_value } else { join.else_value });
        }
        let region = regions.map(|(a, b)| if then { a } else { b });
        if let Some(last) = region.and_then(|region| self.schedule.last_effect(region)) {
            self.release(last);
        }
    }

    /// Ends the arm that has just been walked to its beginning.
    pub(super) fn finish_arm<T: Target>(&mut self, target: &T, func: &Func) {
        let owners = self.owners;
        let Some(Open::Branch(frame)) = self.frames.last_mut() else { return };
        self.current = frame.node.0;
        if frame.in_else {
            frame.in_else = false;
            frame.at_else = owners;
            let (join, other, after) = (frame.join_label, frame.else_label, frame.after);
            let (empty, notes) = (self.code.body.len() == frame.body_len, frame.notes);
            if empty {
                frame.else_label = join;
            } else {
                self.bind(other);
                self.emit(target.jump(join));
            }
            self.restore(after);
            self.note(Note::Arm { at: 0, joined: empty.then_some((join, notes as u32)) });
            self.enter_arm(target, func, true);
            return;
        }
        let Some(Open::Branch(frame)) = self.frames.pop() else { return };
        self.begin_moves();
        self.merge(target, func, &frame.at_else);
        self.joins.truncate(frame.joins);
        self.spot = frame.outer;
        self.note(Note::Node { r: frame.node, at: 0 });
        target.branch_unless(self, func, frame.condition, frame.else_label);
        self.locked = [0; CLASSES];
        if frame.regions.is_some() {
            self.release_operands(func, frame.node, func.node(frame.node));
        } else {
            self.release(frame.condition);
        }
    }

    /// Makes `state` the current allocation.
    pub(super) fn restore(&mut self, state: Owners) {
        for i in 0..REGS {
            let r = self.owners.owner[i];
            if r != NONE {
                self.loc[r as usize] = NO_REG;
            }
        }
        for i in 0..REGS {
            let r = state.owner[i];
            if r != NONE {
                self.loc[r as usize] = i as u8;
            }
        }
        self.owners = state;
    }

    /// The first arm has been walked to its beginning: adds what it needs to the state of the second, `other`, makes
    /// that the current state, and emits the moves from there to the first arm.
    pub(super) fn merge<T: Target>(&mut self, target: &T, func: &Func, other: &Owners) {
        let then = self.owners;
        self.restore(*other);
        // First those that can stay where they are, so that no other value takes their place.
        for i in 0..REGS {
            let r = Ref(then.owner[i]);
            if r != Ref::NONE && self.loc[r.index()] == NO_REG && self.owners.owner[i] == NONE {
                self.assign(r, reg_from(i as u8));
            }
        }
        // Loads run after the moves: the base of inputs in memory can serve them only where it stays in place.
        let args = self.hidden(func, Hidden::Args);
        self.args_in_place = self.reg_of(args).is_some_and(|reg| then.owner[reg.index()] == args.0);
        for i in 0..REGS {
            let r = Ref(then.owner[i]);
            let reg = reg_from(i as u8);
            if r == Ref::NONE || self.owners.owner[i] == r.0 {
                continue;
            }
            if self.loc[r.index()] == NO_REG {
                let class = i / 32;
                let free = self.owners.free[class];
                if free == 0 {
                    let load = self.reload(target, func, r, reg);
                    self.loads.push((r, reg, load));
                    continue;
                }
                self.assign(r, super::walk::reg_at(class, free.trailing_zeros()));
            }
            let from = reg_from(self.loc[r.index()]);
            self.moves.push((r, reg, from));
        }
        self.args_in_place = true;
        self.flush_moves(target);
    }

    /// Emits the pending moves, all of which happen at once, and then the pending loads.
    pub(crate) fn flush_moves<T: Target>(&mut self, target: &T) {
        let mut forward = std::mem::take(&mut self.forward);
        let spare = self.spare_for_moves();
        while !self.moves.is_empty() {
            let blocked = |to: Reg, moves: &[(Ref, Reg, Reg)]| moves.iter().any(|m| m.2 == to && m.1 != to);
            if let Some(at) = self.moves.iter().position(|m| m.1 == m.2 || !blocked(m.1, &self.moves)) {
                let (value, to, from) = self.moves.swap_remove(at);
                if to != from {
                    forward.push((Some((value, to)), target.copy(to, from)));
                }
                continue;
            }
            // Only cycles are left: one value steps aside.
            let Some((value, to, from)) = self.moves.pop() else { break };
            if let Some(aside) = spare[from.index() / 32] {
                forward.push((Some((value, aside)), target.copy(aside, from)));
                self.moves.push((value, to, aside));
                continue;
            }
            // After an exchange one value is in place, and its old home holds another.
            let (swap, count) = target.swap(to, from);
            forward.extend(swap[..count].iter().map(|&inst| (None, inst)));
            for m in &mut self.moves {
                m.2 = if m.2 == to {
                    from
                } else if m.2 == from {
                    to
                } else {
                    m.2
                };
            }
        }
        forward.extend(self.loads.drain(..).map(|(value, reg, inst)| (Some((value, reg)), inst)));
        for (moved, inst) in forward.drain(..).rev() {
            if let Some((value, reg)) = moved {
                self.note(Note::Move { value, reg, at: 0 });
            }
            self.emit(inst);
        }
        self.forward = forward;
    }

    /// Registers of each class that hold nothing while the pending moves happen; once the frame is made, only such as
    /// it knows of.
    fn spare_for_moves(&mut self) -> [Option<Reg>; CLASSES] {
        if self.moves.len() < 2 {
            return [None; CLASSES];
        }
        let mut taken = self.locked;
        for &(_, to, from) in &self.moves {
            for reg in [to, from] {
                taken[reg.index() / 32] |= 1 << reg.number();
            }
        }
        [0, 1, 2].map(|class| {
            let known = if self.framed { self.used[class] } else { self.used[class] | self.preferred[class] };
            let spare = self.owners.free[class] & known & !taken[class];
            let best = spare & self.used[class];
            let best = if best != 0 { best } else { spare };
            self.used[class] |= best & best.wrapping_neg();
            (best != 0).then(|| super::walk::reg_at(class, best.trailing_zeros()))
        })
    }

    /// Queues a move for [`Walk::flush_moves`].
    pub(crate) fn queue_move(&mut self, value: Ref, to: Reg, from: Reg) {
        self.moves.push((value, to, from));
    }

    /// Queues a load for [`Walk::flush_moves`].
    pub(crate) fn queue_load(&mut self, value: Ref, to: Reg, load: MInst) {
        self.loads.push((value, to, load));
    }
}
