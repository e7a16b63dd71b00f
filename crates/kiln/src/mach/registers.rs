//! Which register a value gets, and which value loses one.
//!
//! Owns the choice and its consequences: a value that loses its register is brought back by an instruction that is emitted
//! at once, since what runs later wants it there. Preference goes to the register that a value will be wanted in, then
//! to those that nothing else is wanted in, then to those that need not be saved; what loses is what is used least deep in
//! loops, then what needs no store, then the oldest value. Does not know when a value is due.

#![forbid(unsafe_code)]

use super::notes::Note;
use super::walk::{NONE, Target, Walk, reg_at, split};
use super::{Reg, Sets};
use crate::ir::{Func, Ref};
use crate::ops::Op;

impl Walk {
    /// A free register of the class, made free if need be.
    pub(super) fn pick<T: Target>(&mut self, target: &T, func: &Func, class: usize, near: Reg) -> Reg {
        let free = self.owners.free[class] & !self.locked[class];
        if self.chaos.seed != 0 {
            if let Some(reg) = self.pick_at_random(target, func, class, free) {
                return reg;
            }
        } else if near.is_some() && self.is_free(near) {
            self.used[class] |= 1 << near.number();
            return near;
        }
        let others = free & !self.homes[class];
        let free = if others != 0 { others } else { free };
        let first = free & self.preferred[class];
        let free = if first != 0 { first } else { free };
        if free != 0 {
            self.used[class] |= 1 << free.trailing_zeros();
            return reg_at(class, free.trailing_zeros());
        }
        let reg = self.victim(func, class);
        self.evict(target, func, reg);
        reg
    }

    fn pick_at_random<T: Target>(&mut self, target: &T, func: &Func, class: usize, free: u32) -> Option<Reg> {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let mut choices = if self.random >> 60 == 0 { self.allocatable[class] & !self.locked[class] } else { free };
        if choices == 0 {
            return None;
        }
        for _ in 0..(self.random >> 33) % u64::from(choices.count_ones()) {
            choices &= choices - 1;
        }
        let reg = reg_at(class, choices.trailing_zeros());
        if !self.is_free(reg) {
            self.evict(target, func, reg);
        }
        self.used[class] |= 1 << reg.number();
        Some(reg)
    }

    /// The register whose value is cheapest to bring back: one that is not used deep in loops, then one that needs no
    /// store, then the oldest value.
    fn victim(&self, func: &Func, class: usize) -> Reg {
        let mut candidates = self.allocatable[class] & !self.locked[class];
        debug_assert!(candidates != 0, "a node needs more registers than there are");
        let (mut best, mut best_key) = (Reg::NONE, (u8::MAX, true, NONE));
        while candidates != 0 {
            let reg = reg_at(class, candidates.trailing_zeros());
            candidates &= candidates - 1;
            let owner = self.owners.owner[reg.index()];
            let stored = func
                .nodes
                .get(owner as usize)
                .is_none_or(|n| n.op != Op::Const && !(n.op == Op::Param && self.params_in_memory));
            let key = (self.schedule.rank(owner), stored, owner);
            if key < best_key || !best.is_some() {
                (best, best_key) = (reg, key);
            }
        }
        best
    }

    /// Takes the register from its value; what runs later finds the value there again.
    pub(crate) fn evict<T: Target>(&mut self, target: &T, func: &Func, reg: Reg) {
        let r = Ref(self.owners.owner[reg.index()]);
        debug_assert!(r != Ref::NONE);
        let reload = self.reload(target, func, r, reg);
        self.unassign(r);
        if self.diverting {
            self.pad.push(reload);
        }
        self.note(Note::Move { value: r, reg, at: 0 });
        self.emit(reload);
    }

    /// Takes the register from its value, if it has one, keeping the value in another register if one is free
    /// that is not in `clobbered`.
    pub(crate) fn vacate<T: Target>(&mut self, target: &T, func: &Func, reg: Reg, clobbered: Sets) {
        let owner = Ref(self.owners.owner[reg.index()]);
        let (class, _) = split(reg);
        if owner != Ref::NONE {
            let free = self.owners.free[class] & !self.locked[class] & !clobbered[class];
            let worthwhile = func.nodes.get(owner.index()).is_none_or(|n| n.op != Op::Const);
            if free != 0 && worthwhile && self.slot[owner.index()] == NONE {
                let other = reg_at(class, free.trailing_zeros());
                self.unassign(owner);
                self.assign(owner, other);
                let copy = target.copy(reg, other);
                self.note(Note::Move { value: owner, reg, at: 0 });
                self.emit(copy);
            } else {
                self.evict(target, func, reg);
            }
        }
        self.used[class] |= 1 << reg.number();
        self.lock(reg);
    }

    /// Makes every register in the mask free, keeping values in registers outside `clobbered` where there are any.
    pub(crate) fn vacate_all<T: Target>(&mut self, target: &T, func: &Func, class: usize, mask: u32, clobbered: Sets) {
        let mut taken = mask & !self.owners.free[class];
        while taken != 0 {
            let reg = reg_at(class, taken.trailing_zeros());
            taken &= taken - 1;
            if !self.is_unowned(reg) {
                self.vacate(target, func, reg, clobbered);
            }
        }
        self.used[class] |= mask;
    }
}
