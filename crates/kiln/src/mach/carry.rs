//! Several values handed over at once: at the end of an arm to what follows the branch, before an iteration to the loop.
//!
//! Owns the order of that. Forward: stores to slots, one after another; then all moves between registers, which happen at
//! once; then loads. A slot that is written while its old content still has somewhere to go is copied before. There may be
//! any number of values, so none but those with a register of their own may keep one to itself.

#![forbid(unsafe_code)]

use super::notes::Note;
use super::walk::{JoinValue, NO_REG, NONE, Target, Walk, reg_at, reg_from, stack};
use super::{MInst, Reg};
use crate::ir::{Func, Ref};
use crate::ops::Op;
use crate::types::Type;

impl Walk {
    /// Brings a value to the place of each join from `first` on: its first one or its second one. `iteration` is the
    /// loop of which an iteration begins, if it is one.
    pub(super) fn hand_over<T: Target>(
        &mut self,
        target: &T,
        func: &Func,
        first: usize,
        then: bool,
        iteration: Option<u32>,
    ) {
        let joins = first..self.joins.len();
        let value = |join: JoinValue| if then { join.then_value } else { join.else_value };
        self.note(Note::Now { iteration, at: 0 });
        for i in joins.clone() {
            let join = self.joins[i];
            let (reg, slot) = (join.register(), join.slot());
            self.note(Note::Carry { from: value(join), to: join.r, reg, slot, at: 0 });
            if let (Some(reg), Some(slot)) = (reg, slot) {
                self.emit_slot_store(target, value(join), slot, join.ty, reg);
            }
        }
        let aside = self.set_aside(func, first, then);
        self.read_slots.clear();
        self.handing_over = !aside.is_empty();
        for i in joins.clone() {
            if let Some(reg) = self.joins[i].register() {
                self.lock(reg);
            }
        }
        for i in joins.clone() {
            if let Some(reg) = self.joins[i].register() {
                self.send(target, func, value(self.joins[i]), reg);
            }
        }
        self.flush_moves(target);
        self.unlock_all();
        for i in joins {
            let join = self.joins[i];
            if let (None, Some(slot)) = (join.register(), join.slot())
                && value(join) != join.r
            {
                self.send_to_slot(target, func, value(join), slot, join.ty);
            }
        }
        // A register that is wanted for the copies may be that of another one of these values, which is then read again.
        for (phi, old) in aside {
            let scratch = std::mem::replace(&mut self.slot[phi.index()], old);
            if !self.read_slots.contains(&scratch) {
                // It was in a register after all.
                continue;
            }
            let (ty, reg) = (func.ty(phi), self.temp_of(target, func, self.class_of(func.ty(phi))));
            self.emit_slot_store(target, phi, scratch, ty, reg);
            self.note(Note::Move { value: phi, reg, at: 0 });
            self.emit(target.load(reg, ty, stack::<T>(old)));
            self.unlock_all();
        }
        self.handing_over = false;
    }

    /// Gives new slots to carried values that are in slots which are about to be written, and that become others. Tells
    /// which, with their old slots.
    fn set_aside(&mut self, func: &Func, first: usize, then: bool) -> Vec<(Ref, u32)> {
        let mut aside = Vec::new();
        for i in first..self.joins.len() {
            let JoinValue { r, then_value, .. } = self.joins[i];
            if !then || then_value == r || func.node(then_value).op != Op::Phi {
                continue;
            }
            // The joins stand in the order of what the loop carries.
            let (own, other) = (func.node(r).a, func.node(then_value).a);
            let place = (i + other as usize).checked_sub(own as usize).filter(|_| func.node(r).op == Op::Phi);
            let known = place.filter(|&at| at >= first).and_then(|at| self.joins.get(at)).copied();
            let Some(JoinValue { reg: NO_REG, slot, .. }) = known.filter(|join| join.r == then_value) else { continue };
            if slot != NONE && self.slot[then_value.index()] == slot {
                self.slot[then_value.index()] = self.new_slot(self.class_of(func.ty(then_value)));
                aside.push((then_value, slot));
            }
        }
        aside
    }

    /// Queues what brings `value` to the reserved register `reg`.
    fn send<T: Target>(&mut self, target: &T, func: &Func, value: Ref, reg: Reg) {
        let node = *func.node(value);
        if node.op == Op::Const {
            let load = target.constant(&mut self.code.pool, reg, node.ty, node.const_bits());
            self.loads.push((value, reg, load));
        } else if let Some(from) = self.reg_of(value) {
            self.moves.push((value, reg, from));
        } else if self.is_unowned(reg) {
            self.assign(value, reg);
        } else {
            let load = self.reload(target, func, value, reg);
            self.loads.push((value, reg, load));
        }
    }

    /// Emits what brings `value` to a slot that is not its own.
    fn send_to_slot<T: Target>(&mut self, target: &T, func: &Func, value: Ref, slot: u32, ty: Type) {
        let class = self.class_of(ty);
        let free = self.owners.free[class];
        let fresh = self.is_unplaced(value) && func.node(value).op != Op::Const && free != 0;
        if fresh {
            self.assign(value, reg_at(class, free.trailing_zeros()));
        }
        if let Some(reg) = self.reg_of(value) {
            return self.emit_slot_store(target, value, slot, ty, reg);
        }
        let reg = self.temp_of(target, func, class);
        self.emit_slot_store(target, value, slot, ty, reg);
        let load: MInst = self.reload(target, func, value, reg);
        self.note(Note::Move { value, reg, at: 0 });
        self.emit(load);
        self.unlock_all();
    }

    fn emit_slot_store<T: Target>(&mut self, target: &T, value: Ref, slot: u32, ty: Type, reg: Reg) {
        self.note(Note::Store { value, reg, slot, at: 0 });
        self.emit(target.store(stack::<T>(slot), ty, reg));
    }
}

impl JoinValue {
    /// The register that it must be in.
    pub(super) fn register(&self) -> Option<Reg> {
        (self.reg != NO_REG).then(|| reg_from(self.reg))
    }

    /// The slot that it must be in.
    pub(super) fn slot(&self) -> Option<u32> {
        (self.slot != NONE).then_some(self.slot)
    }
}
