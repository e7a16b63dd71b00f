//! The backward walk: one loop over the values from the results to the inputs that allocates registers as it goes.
//!
//! Seen from behind, the first meeting with a value is its last use: there it gets a register, and at its definition
//! the register is free again. A value that loses its register to another one gets a stack slot; the instruction
//! that brings it back is emitted at once (it runs later), the store when the walk meets the definition. Constants
//! and inputs in memory are not stored at all. What is emitted is machine instructions as data, last one first.
//!
//! A choice that became a branch is walked arm by arm from the same state; the states in which the two arms start are
//! then made equal by moves at the head of the first arm (`branch`). A loop is walked body first, then test, and what must
//! be where when an iteration begins is decided before (`loops`).
//!
//! The instruction set comes in through [`Target`]. Rules for it: allocate all operands of a node *before* emitting
//! anything (a reload may be emitted by any allocation, and nothing may stand between a compare and its jump); flags
//! never live across nodes, and not across the loading of a constant either; a compare that feeds a branch allocates in [`Walk::divert`] mode.

#![forbid(unsafe_code)]

use super::buffer::Pool;
use super::loops::LoopFrame;
pub(crate) use super::notes::Note;
use super::schedule::{BODY, Schedule};
use super::{CLASSES, Inst, Label, MInst, Mem, Reg, RegClass, Sets};
use crate::ir::{Func, Node, Ref};
use crate::ops::Op;
use crate::types::Type;

/// A place in memory as an instruction names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// Bits for [`MInst::mode`].
    pub(crate) mode: u8,
    pub(crate) base: Reg,
    pub(crate) index: Reg,
    pub(crate) disp: i32,
}

impl Address {
    /// `[base + disp]`.
    pub(crate) fn at(base: Reg, disp: i32) -> Address {
        Address { mode: Mem::Base1 as u8, base, index: Reg::NONE, disp }
    }

    /// An entry of the constant pool.
    pub(crate) fn pool(disp: i32) -> Address {
        Address { mode: Mem::Pool as u8, base: Reg::NONE, index: Reg::NONE, disp }
    }
}

/// Where an input is to be had, for code that is not given it in a register.
pub(crate) enum Input {
    /// Behind the pointer to the inputs, a word each.
    Args,
    /// There, as it is.
    At(Address),
    /// It takes instructions of its own.
    Made,
}

/// An operand that an instruction takes from a register or from memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rm {
    Reg(Reg),
    Mem(Address),
}

/// What the walk must know of a machine.
pub(crate) trait Target {
    /// The stack pointer.
    const STACK: Reg;
    /// Copies a whole register.
    fn copy(&self, to: Reg, from: Reg) -> MInst;
    /// Exchanges two registers of one class; the instructions in the order in which they run.
    fn swap(&self, a: Reg, b: Reg) -> ([MInst; 3], usize);
    /// Loads a value of type `ty`.
    fn load(&self, to: Reg, ty: Type, from: Address) -> MInst;
    /// Stores a value of type `ty`.
    fn store(&self, to: Address, ty: Type, from: Reg) -> MInst;
    /// Puts a constant into a register; the flags are lost.
    fn constant(&self, pool: &mut Pool, to: Reg, ty: Type, bits: u64) -> MInst;
    /// Emits the node.
    fn lower(&self, walk: &mut Walk, func: &Func, r: Ref, node: Node);
    /// Emits: go to `label` unless `condition` holds.
    fn branch_unless(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label);
    /// Emits: go to `label` if `condition` holds.
    fn branch_if(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label);
    /// A constant as a memory operand of an instruction that works on its type, if it can be one.
    fn constant_operand(&self, pool: &mut Pool, node: &Node) -> Option<Address> {
        Some(Address::pool(pool.add(&node.const_bits().to_le_bytes())))
    }
    /// Where an input is to be had.
    fn input(&self, node: &Node) -> Input {
        let _ = node;
        Input::Args
    }
    /// May this input be a memory operand?
    fn folds_input(&self, node: &Node) -> bool {
        let _ = node;
        true
    }
    /// A jump.
    fn jump(&self, label: Label) -> MInst;
    /// Registers that keep their values over calls, by class.
    fn kept_by_calls(&self) -> Sets;
}

/// Machine code as data: `body` last instruction first, then `end` first instruction first.
#[derive(Default)]
pub(crate) struct MCode {
    pub(crate) body: Vec<MInst>,
    /// The end of the function, first instruction first.
    pub(crate) epilogue: Vec<MInst>,
    /// What runs rarely, first instruction first.
    pub(crate) end: Vec<MInst>,
    /// The node that each instruction of `body` belongs to.
    pub(crate) origins: Vec<u32>,
    pub(crate) end_origins: Vec<u32>,
    pub(crate) pool: Pool,
    pub(crate) labels: u32,
}

impl MCode {
    fn clear(&mut self) {
        self.body.clear();
        self.epilogue.clear();
        self.end.clear();
        self.origins.clear();
        self.end_origins.clear();
        self.pool.clear();
        self.labels = 0;
    }
}

/// Switches that make the walk take unusual ways, for tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chaos {
    /// Registers that may be allocated, by class.
    pub(crate) registers: Sets,
    /// Allocation order and evictions at random from this seed (0: none).
    pub(crate) seed: u64,
}

impl Default for Chaos {
    fn default() -> Self {
        Chaos { registers: [u32::MAX; CLASSES], seed: 0 }
    }
}

pub(super) const NONE: u32 = u32::MAX;
pub(super) const NO_REG: u8 = 0xff;
/// Register indexes: general-purpose from 0, vector from 32, mask from 64.
pub(super) const REGS: usize = 32 * CLASSES;

/// Which register holds which value.
#[derive(Clone, Copy)]
pub(super) struct Owners {
    pub(super) owner: [u32; REGS],
    pub(super) free: Sets,
}

/// Something that has been begun, seen from behind, and not been finished.
#[allow(clippy::large_enum_variant, reason = "few are open at a time, and none should be allocated")]
pub(super) enum Open {
    Branch(Frame),
    Loop(LoopFrame),
}

pub(super) struct Frame {
    pub(super) node: Ref,
    pub(super) condition: Ref,
    /// Range of `joins` that this branch defines.
    pub(super) joins: usize,
    pub(super) else_spot: u32,
    pub(super) then_spot: u32,
    pub(super) regions: Option<(u32, u32)>,
    pub(super) outer: u32,
    pub(super) join_label: Label,
    pub(super) else_label: Label,
    pub(super) in_else: bool,
    /// How many notes there were when the second arm was begun.
    pub(super) notes: usize,
    pub(super) body_len: usize,
    pub(super) after: Owners,
    pub(super) at_else: Owners,
}

/// A value that a branch defines: where it must be, and what it is in either arm.
#[derive(Clone, Copy)]
pub(super) struct JoinValue {
    pub(super) r: Ref,
    pub(super) reg: u8,
    pub(super) slot: u32,
    pub(super) ty: Type,
    pub(super) then_value: Ref,
    pub(super) else_value: Ref,
}

/// The walk's state, reused from function to function.
pub(crate) struct Walk {
    pub(crate) code: MCode,
    pub(super) shape: Shape,
    pub(crate) schedule: Schedule,
    pub(super) loc: Vec<u8>,
    pub(super) slot: Vec<u32>,
    pub(super) owners: Owners,
    pub(super) locked: Sets,
    /// Registers that were ever written.
    pub(crate) used: Sets,
    /// Words of stack in use: first the outgoing arguments, then the slots.
    pub(crate) stack_words: u32,
    /// Inputs lie in memory behind the first hidden value.
    pub(super) params_in_memory: bool,
    /// May reloads address inputs through the register that the hidden pointer to them is in?
    pub(super) args_in_place: bool,
    /// The register in which each value is carried by a loop, if the function has loops: the best place for it.
    pub(super) home: Vec<u8>,
    /// The registers that are homes in the loop at hand, which others had better leave alone.
    pub(super) homes: Sets,
    ready: Vec<u32>,
    next: Vec<u32>,
    pub(super) spot: u32,
    pub(super) frames: Vec<Open>,
    pub(super) joins: Vec<JoinValue>,
    /// Joins met, with the `If` that defines them.
    pub(super) waiting: Vec<(Ref, Ref)>,
    /// The frame has been made: no further register may be used.
    pub(crate) framed: bool,
    pub(super) allocatable: Sets,
    pub(super) preferred: Sets,
    pub(super) chaos: Chaos,
    pub(super) random: u64,
    /// Reloads for the path that a conditional jump takes; see [`Walk::divert`].
    pub(super) pad: Vec<MInst>,
    pub(super) diverting: bool,
    pub(super) current: u32,
    /// Pending moves: value, to, from.
    pub(super) moves: Vec<(Ref, Reg, Reg)>,
    pub(super) loads: Vec<(Ref, Reg, MInst)>,
    pub(super) forward: Vec<(Option<(Ref, Reg)>, MInst)>,
    pub(super) pushed: Vec<Ref>,
    /// Slots that are read while values are handed over.
    pub(super) read_slots: Vec<u32>,
    pub(super) handing_over: bool,
    /// The values that a loop wants in registers, and how often it mentions them.
    pub(super) wanted: Vec<(Ref, u32)>,
    /// The register in which each input arrives, for a function that is entered natively.
    pub(crate) arrivals: Vec<Reg>,
    /// Inputs met that come in registers or on the stack.
    params_met: Vec<Ref>,
    /// The word of the frame that holds the context of a fallible evaluation.
    pub(crate) context_slot: Option<u32>,
    /// Where a failed evaluation leaves the function.
    pub(crate) exit_label: Option<Label>,
    /// Record notes for the checker.
    pub(crate) recording: bool,
    pub(crate) notes: Vec<Note>,
}

/// Pointers that the function is given besides its inputs. They are values like any other, numbered after the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// To the inputs.
    Args = 0,
    /// To the results.
    Out = 1,
    /// To the context of a fallible evaluation.
    #[cfg_attr(not(debug_assertions), allow(dead_code, reason = "only the allocation checker follows it"))]
    Context = 2,
}

/// How values lie in registers and in the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The class of the registers that values of each type are kept in.
    pub(crate) classes: [u8; 5],
    /// Words of the frame that a register of each class takes, a power of two.
    pub(crate) words: [u32; CLASSES],
}

impl Shape {
    /// One value in a register: floats in vector registers, ints and bools in general-purpose ones.
    pub(crate) const SCALAR: Shape = Shape { classes: [0, 0, 0, 1, 1], words: [1; CLASSES] };
}

/// How a function is entered, as far as the walk is concerned.
pub(crate) struct Entry {
    pub(crate) shape: Shape,
    /// May any condition decide where the code goes, or only one that is the same in all rows?
    pub(crate) branches_freely: bool,
    pub(crate) params_in_memory: bool,
    pub(crate) allocatable: Sets,
    /// Registers to take first.
    pub(crate) preferred: Sets,
    /// Words of stack that calls need for their arguments.
    pub(crate) argument_words: u32,
}

impl Default for Walk {
    fn default() -> Self {
        Walk {
            code: MCode::default(),
            shape: Shape::SCALAR,
            schedule: Schedule::default(),
            loc: Vec::new(),
            slot: Vec::new(),
            owners: Owners { owner: [NONE; REGS], free: [0; CLASSES] },
            locked: [0; CLASSES],
            used: [0; CLASSES],
            stack_words: 0,
            params_in_memory: false,
            args_in_place: true,
            home: Vec::new(),
            homes: [0; CLASSES],
            ready: Vec::new(),
            next: Vec::new(),
            spot: BODY,
            frames: Vec::new(),
            joins: Vec::new(),
            waiting: Vec::new(),
            framed: false,
            allocatable: [0; CLASSES],
            preferred: [0; CLASSES],
            chaos: Chaos::default(),
            random: 0,
            pad: Vec::new(),
            diverting: false,
            current: NONE,
            moves: Vec::new(),
            loads: Vec::new(),
            forward: Vec::new(),
            pushed: Vec::new(),
            wanted: Vec::new(),
            read_slots: Vec::new(),
            handing_over: false,
            arrivals: Vec::new(),
            params_met: Vec::new(),
            context_slot: None,
            exit_label: None,
            recording: cfg!(test),
            notes: Vec::new(),
        }
    }
}

#[inline]
pub(super) fn reg_at(class: usize, number: u32) -> Reg {
    Reg::from_index((32 * class as u32 + number) as u8)
}

#[inline]
pub(super) fn split(reg: Reg) -> (usize, u32) {
    (reg.index() / 32, u32::from(reg.number()))
}

impl Walk {
    /// Starts on a function: forgets the last one, orders the nodes of this one.
    /// `is_call` says which nodes become calls.
    pub(crate) fn begin(&mut self, func: &Func, entry: &Entry, chaos: Chaos, is_call: impl Fn(&Node) -> bool) {
        self.code.clear();
        self.shape = entry.shape;
        self.schedule.prepare(func, is_call, |condition| entry.branches_freely || condition.op == Op::Any);
        let values = func.nodes.len() + 3;
        self.loc.clear();
        self.loc.resize(values, NO_REG);
        self.slot.clear();
        self.slot.resize(values, NONE);
        self.home.clear();
        self.home.resize(if func.loops.is_empty() { 0 } else { values }, NO_REG);
        self.homes = [0; CLASSES];
        self.next.clear();
        self.next.resize(func.nodes.len(), NONE);
        self.ready.clear();
        self.ready.resize(self.schedule.spot_count(), NONE);
        self.allocatable = [0, 1, 2].map(|class| entry.allocatable[class] & chaos.registers[class]);
        self.preferred = entry.preferred;
        self.owners = Owners { owner: [NONE; REGS], free: self.allocatable };
        self.locked = [0; CLASSES];
        self.used = [0; CLASSES];
        self.stack_words = entry.argument_words;
        self.params_in_memory = entry.params_in_memory;
        self.spot = BODY;
        self.frames.clear();
        self.joins.clear();
        self.waiting.clear();
        self.chaos = chaos;
        self.random = chaos.seed;
        self.pad.clear();
        self.diverting = false;
        self.current = NONE;
        self.notes.clear();
        self.params_met.clear();
        self.arrivals.clear();
        self.context_slot = None;
        self.exit_label = None;
        self.framed = false;
    }

    /// Walks until everything that is wanted has been emitted. Results must have been placed (and released) before.
    pub(crate) fn run<T: Target>(&mut self, target: &T, func: &Func) {
        if let Some(last) = self.schedule.last_effect(0) {
            self.release(last);
        }
        loop {
            let head = self.ready[self.spot as usize];
            if head != NONE {
                self.ready[self.spot as usize] = self.next[head as usize];
                self.take(target, func, Ref(head));
            } else {
                match self.frames.last() {
                    Some(Open::Branch(_)) => self.finish_arm(target, func),
                    Some(Open::Loop(_)) => self.finish_part(target, func),
                    None => break,
                }
            }
        }
    }

    /// Records a note for the checker; its place is filled in.
    #[inline]
    pub(super) fn note(&mut self, mut note: Note) {
        if self.recording {
            let here = self.code.body.len() as u32;
            if let Some(at) = note.at_mut() {
                *at = here;
            }
            self.notes.push(note);
        }
    }

    /// What is emitted next belongs to no node: it moves values to where they are wanted.
    pub(crate) fn begin_moves(&mut self) {
        self.note(Note::Moves { at: 0 });
    }

    /// The value that stands for a pointer given to the function.
    pub(crate) fn hidden(&self, func: &Func, which: Hidden) -> Ref {
        Ref(func.nodes.len() as u32 + which as u32)
    }

    /// A label that is bound nowhere yet.
    pub(crate) fn label(&mut self) -> Label {
        self.code.labels += 1;
        Label(self.code.labels - 1)
    }

    /// Emits an instruction that runs before everything emitted so far.
    #[inline]
    pub(crate) fn emit(&mut self, inst: MInst) {
        self.code.body.push(inst);
        self.code.origins.push(self.current);
    }

    /// Emits instructions, given in the order in which they run.
    pub(crate) fn emit_all(&mut self, insts: &[MInst]) {
        for inst in insts.iter().rev() {
            self.emit(*inst);
        }
    }

    /// Emits an instruction into the part that runs rarely; these are given in the order in which they run.
    pub(crate) fn emit_end(&mut self, inst: MInst) {
        self.code.end.push(inst);
        self.code.end_origins.push(self.current);
    }

    /// Binds a label here.
    pub(crate) fn bind(&mut self, label: Label) {
        self.emit(bind(label));
    }

    /// One use of the value has been taken; after the last one the value itself is due.
    pub(crate) fn release(&mut self, r: Ref) {
        let left = &mut self.schedule.uses[r.index()];
        *left -= 1;
        if *left == 0 {
            let spot = self.schedule.spot(r) as usize;
            self.next[r.index()] = self.ready[spot];
            self.ready[spot] = r.0;
        }
    }

    /// How many uses have not been taken, the one at hand included.
    pub(crate) fn uses(&self, r: Ref) -> u32 {
        self.schedule.uses[r.index()]
    }

    /// Has the value neither register nor slot?
    pub(crate) fn is_unplaced(&self, r: Ref) -> bool {
        self.loc[r.index()] == NO_REG && self.slot[r.index()] == NONE
    }

    /// The value's register, if it has one.
    pub(crate) fn reg_of(&self, r: Ref) -> Option<Reg> {
        let loc = self.loc[r.index()];
        (loc != NO_REG).then(|| reg_from(loc))
    }

    /// The slot that the value must be stored to, if it has one.
    pub(crate) fn slot_of(&self, r: Ref) -> Option<u32> {
        Some(self.slot[r.index()]).filter(|&s| s != NONE)
    }

    pub(super) fn ty(&self, func: &Func, r: Ref) -> Type {
        func.nodes.get(r.index()).map_or(Type::I64, |n| n.ty)
    }

    /// The class of the registers that values of this type are kept in.
    #[inline]
    pub(super) fn class_of(&self, ty: Type) -> usize {
        usize::from(self.shape.classes[ty as usize])
    }

    /// The class of the registers that this value is kept in; pointers that the function is given have the first.
    #[inline]
    pub(super) fn class(&self, func: &Func, r: Ref) -> usize {
        func.nodes.get(r.index()).map_or(0, |node| self.class_of(node.ty))
    }

    /// The value in a register, which stays reserved until the node is done.
    pub(crate) fn use_reg<T: Target>(&mut self, target: &T, func: &Func, r: Ref) -> Reg {
        self.use_reg_near(target, func, r, Reg::NONE)
    }

    /// The same, preferring `near` if the value has no register yet.
    pub(crate) fn use_reg_near<T: Target>(&mut self, target: &T, func: &Func, r: Ref, near: Reg) -> Reg {
        let reg = if let Some(reg) = self.reg_of(r) {
            reg
        } else {
            let class = self.class(func, r);
            let near = self.arrival(func, r).or(self.home_of(r)).filter(|&reg| self.is_free(reg)).unwrap_or(near);
            let reg = self.pick(target, func, class, near);
            self.assign(r, reg);
            reg
        };
        self.lock(reg);
        self.note(Note::Use { value: r, reg });
        reg
    }

    /// The register that the value is given to the function in, if it is an input that comes in one.
    pub(crate) fn arrival(&self, func: &Func, r: Ref) -> Option<Reg> {
        if self.arrivals.is_empty() {
            return None;
        }
        let node = func.nodes.get(r.index()).filter(|node| node.op == Op::Param)?;
        self.arrivals.get(node.a as usize).copied().filter(|reg| reg.is_some())
    }

    /// The register in which a loop carries the value.
    fn home_of(&self, r: Ref) -> Option<Reg> {
        self.home.get(r.index()).filter(|&&reg| reg != NO_REG).map(|&reg| reg_from(reg))
    }

    /// Gives a value that has no register this free one.
    pub(crate) fn assign(&mut self, r: Ref, reg: Reg) {
        let (class, number) = split(reg);
        debug_assert!(self.owners.free[class] >> number & 1 == 1, "register is taken");
        self.owners.free[class] &= !(1 << number);
        self.owners.owner[reg.index()] = r.0;
        self.loc[r.index()] = reg.index() as u8;
        self.used[class] |= 1 << number;
    }

    pub(super) fn unassign(&mut self, r: Ref) {
        let reg = reg_from(self.loc[r.index()]);
        let (class, number) = split(reg);
        self.owners.free[class] |= 1 << number & self.allocatable[class];
        self.owners.owner[reg.index()] = NONE;
        self.loc[r.index()] = NO_REG;
    }

    /// Reserves a register until the node is done.
    pub(crate) fn lock(&mut self, reg: Reg) {
        let (class, number) = split(reg);
        self.locked[class] |= 1 << number;
    }

    /// Gives a value a register for the whole of the function; the register must not be allocatable.
    pub(crate) fn pin(&mut self, r: Ref, reg: Reg) {
        self.owners.owner[reg.index()] = r.0;
        self.loc[r.index()] = reg.index() as u8;
        self.used[reg.index() / 32] |= 1 << reg.number();
    }

    /// Has the value its register for the whole of the function?
    pub(super) fn is_pinned(&self, r: Ref) -> bool {
        self.reg_of(r).is_some_and(|reg| self.is_reserved(reg))
    }

    /// Is this a register that is never allocated?
    pub(super) fn is_reserved(&self, reg: Reg) -> bool {
        let (class, number) = split(reg);
        self.allocatable[class] >> number & 1 == 0
    }

    /// Gives back a reservation, so that an operand may share the register.
    pub(crate) fn unlock(&mut self, reg: Reg) {
        let (class, number) = split(reg);
        self.locked[class] &= !(1 << number);
    }

    /// Has no value this register?
    pub(super) fn is_unowned(&self, reg: Reg) -> bool {
        self.owners.owner[reg.index()] == NONE
    }

    /// Is the register neither owned nor reserved?
    pub(crate) fn is_free(&self, reg: Reg) -> bool {
        let (class, number) = split(reg);
        (self.owners.free[class] & !self.locked[class]) >> number & 1 == 1
    }

    /// A register for use within this node.
    pub(crate) fn temp<T: Target>(&mut self, target: &T, func: &Func, class: RegClass) -> Reg {
        self.temp_of(target, func, class as usize)
    }

    /// The same by index of the class.
    pub(super) fn temp_of<T: Target>(&mut self, target: &T, func: &Func, class: usize) -> Reg {
        let reg = self.pick(target, func, class, Reg::NONE);
        self.lock(reg);
        reg
    }

    /// Gives back all reservations.
    pub(crate) fn unlock_all(&mut self) {
        self.locked = [0; CLASSES];
    }

    /// May a value be given this register, although it is reserved?
    pub(crate) fn can_own(&self, reg: Reg) -> bool {
        let (class, number) = split(reg);
        self.owners.free[class] >> number & 1 == 1
    }

    /// Gives the register to an operand of the node at hand.
    pub(crate) fn assign_used(&mut self, r: Ref, reg: Reg) {
        self.assign(r, reg);
        self.note(Note::Use { value: r, reg });
    }

    /// Inputs that something wants, for a function that is given them in registers and on the stack.
    pub(crate) fn params_met(&self) -> &[Ref] {
        &self.params_met
    }

    /// Emits a store of a value that arrives in `reg`.
    pub(crate) fn emit_store<T: Target>(&mut self, target: &T, value: Ref, to: Address, slot: u32, ty: Type, reg: Reg) {
        self.note(Note::Store { value, reg, slot, at: 0 });
        self.emit(target.store(to, ty, reg));
    }

    /// Emits a load of a value into `reg`.
    pub(crate) fn emit_load(&mut self, value: Ref, reg: Reg, load: MInst) {
        self.note(Note::Move { value, reg, at: 0 });
        self.emit(load);
    }

    /// The instruction that brings a value back to `reg` from where it is when it has no register.
    pub(super) fn reload<T: Target>(&mut self, target: &T, func: &Func, r: Ref, reg: Reg) -> MInst {
        if let Some(node) = func.nodes.get(r.index()) {
            if node.op == Op::Const {
                return target.constant(&mut self.code.pool, reg, node.ty, node.const_bits());
            }
            if node.op == Op::Param && self.params_in_memory && self.args_in_place && self.slot[r.index()] == NONE {
                if let Input::At(at) = target.input(node) {
                    return target.load(reg, node.ty, at);
                }
                let args = self.loc[self.hidden(func, Hidden::Args).index()];
                if args != NO_REG {
                    return target.load(reg, node.ty, Address::at(reg_from(args), 8 * node.a as i32));
                }
            }
        }
        let slot = self.slot_for(func, r);
        if self.handing_over {
            self.read_slots.push(slot);
        }
        target.load(reg, self.ty(func, r), stack::<T>(slot))
    }

    pub(super) fn slot_for(&mut self, func: &Func, r: Ref) -> u32 {
        if self.slot[r.index()] == NONE {
            self.slot[r.index()] = self.new_slot(self.class(func, r));
        }
        self.slot[r.index()]
    }

    /// Words of the frame for a register of this class, aligned to their own size.
    pub(super) fn new_slot(&mut self, class: usize) -> u32 {
        let words = self.shape.words[class];
        let slot = self.stack_words.next_multiple_of(words);
        self.stack_words = slot + words;
        slot
    }

    /// The value in a register, or in memory if that is where it is anyway.
    pub(crate) fn use_rm<T: Target>(&mut self, target: &T, func: &Func, r: Ref) -> Rm {
        if self.loc[r.index()] == NO_REG && self.chaos.seed & 1 == 0 {
            let node = func.node(r);
            if node.op == Op::Const
                && let Some(at) = target.constant_operand(&mut self.code.pool, node)
            {
                return Rm::Mem(at);
            }
            if self.slot[r.index()] != NONE {
                self.note(Note::UseSlot { value: r, slot: self.slot[r.index()] });
                return Rm::Mem(stack::<T>(self.slot[r.index()]));
            }
            if node.op == Op::Param && self.params_in_memory && self.uses(r) == 1 && target.folds_input(node) {
                if let Input::At(at) = target.input(node) {
                    return Rm::Mem(at);
                }
                let base = self.use_reg(target, func, self.hidden(func, Hidden::Args));
                return Rm::Mem(Address::at(base, 8 * node.a as i32));
            }
        }
        Rm::Reg(self.use_reg(target, func, r))
    }

    /// The address of a constant of up to eight bytes.
    pub(crate) fn pool_word(&mut self, bits: u64) -> Address {
        Address::pool(self.code.pool.add(&bits.to_le_bytes()))
    }

    /// The address of sixteen bytes that repeat `bits`.
    pub(crate) fn pool_pair(&mut self, bits: u64) -> Address {
        Address::pool(self.code.pool.splat(bits, 8, 16))
    }

    /// The register that the node must leave its value in. It stays reserved; see [`Walk::unlock`].
    pub(crate) fn def<T: Target>(&mut self, target: &T, func: &Func, r: Ref) -> Reg {
        let ty = func.ty(r);
        let reg = match self.reg_of(r) {
            Some(reg) => {
                self.unassign(r);
                reg
            }
            None => self.pick(target, func, self.class_of(ty), Reg::NONE),
        };
        self.lock(reg);
        self.store_to_slot(target, r, ty, reg);
        self.note(Note::Def { reg, at: 0 });
        reg
    }

    fn store_to_slot<T: Target>(&mut self, target: &T, r: Ref, ty: Type, reg: Reg) {
        let slot = self.slot[r.index()];
        if slot != NONE {
            self.note(Note::Store { value: r, reg, slot, at: 0 });
            self.emit(target.store(stack::<T>(slot), ty, reg));
        }
    }

    /// From here on, reloads are also wanted on the path that the next conditional jump takes.
    pub(crate) fn divert(&mut self) {
        self.diverting = true;
        self.pad.clear();
    }

    /// The label that the conditional jump must go to in order to get to `label`.
    pub(crate) fn diverted<T: Target>(&mut self, target: &T, label: Label) -> Label {
        self.diverting = false;
        if self.pad.is_empty() {
            return label;
        }
        let pad = self.label();
        self.emit_end(bind(pad));
        while let Some(reload) = self.pad.pop() {
            self.emit_end(reload);
        }
        self.emit_end(target.jump(label));
        pad
    }

    /// Takes one node whose uses have all been taken.
    fn take<T: Target>(&mut self, target: &T, func: &Func, r: Ref) {
        let node = *func.node(r);
        self.current = r.0;
        self.note(Note::Node { r, at: 0 });
        match node.op {
            Op::Param if !self.params_in_memory => {
                self.params_met.push(r);
                return;
            }
            Op::Param => match target.input(&node) {
                Input::Made => self.lower_wanted(target, func, r, node),
                _ if self.is_unplaced(r) => {}
                Input::At(at) => {
                    let reg = self.def(target, func, r);
                    self.emit(target.load(reg, node.ty, at));
                }
                Input::Args => {
                    let reg = self.def(target, func, r);
                    let base = self.use_reg(target, func, self.hidden(func, Hidden::Args));
                    self.emit(target.load(reg, node.ty, Address::at(base, 8 * node.a as i32)));
                }
            },
            Op::Const => {
                if !self.is_unplaced(r) && !self.is_pinned(r) {
                    let reg = self.def(target, func, r);
                    let load = target.constant(&mut self.code.pool, reg, node.ty, node.const_bits());
                    self.emit(load);
                }
            }
            Op::Join | Op::Exit => {
                self.waiting.push((Ref(node.a), r));
                self.release(Ref(node.a));
                return;
            }
            // The loop gives it its register.
            Op::Phi => return,
            Op::Loop => return self.start_loop(target, func, r, node.a),
            Op::If => return self.start_if(target, func, r, &node),
            Op::Select => {
                if let Some(spots) = self.schedule.arms(r) {
                    self.push_join(func, r, Ref(node.b), Ref(node.c));
                    self.start_branch(target, func, r, Ref(node.a), 1, spots, None);
                    return;
                }
                self.lower_wanted(target, func, r, node);
            }
            _ => self.lower_wanted(target, func, r, node),
        }
        self.locked = [0; CLASSES];
        self.release_operands(func, r, &node);
    }
}

/// The register with this index.
#[inline]
pub(super) fn reg_from(index: u8) -> Reg {
    Reg::from_index(index)
}

/// A word of the stack frame.
pub(super) fn stack<T: Target>(word: u32) -> Address {
    Address::at(T::STACK, 8 * word as i32)
}

pub(super) fn bind(label: Label) -> MInst {
    MInst { imm: label.0 as i32, ..MInst::new(Inst::BIND) }
}
