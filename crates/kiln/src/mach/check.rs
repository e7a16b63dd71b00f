//! The allocation checker: runs a function's instructions on symbols and says where one reads what is not there.
//!
//! Every register, stack word and result slot holds a *symbol*: the value of a node, the bits of a constant, what a
//! register held on entry, or something made by the instructions of the node at hand. The instructions are followed
//! forward; what each reads, writes and moves is asked of the instruction itself ([`Roles`]), never of the walk that
//! chose it. The walk's [`Note`]s say only which instructions belong to which node, which values a node means to read,
//! and where it leaves its own. At a label the states of all jumps to it are merged: what differs is unknown. A loop is
//! entered at its test and jumps back to its body: what is known where its body begins is what the passes over the
//! code so far have seen come from there, and passes are made until they see nothing new. Blocks at the end of the
//! code are followed from each jump to them. In code over columns a symbol is a value of several rows (`kernels`).
//!
//! An adder of a new kind of [`Note`] says here what it claims. An adder of a new way to move values says in
//! `isa::*::effects` that it does, else the checker takes the move for an operation. The checker does not know what
//! an operation computes, nor which operand belongs in which place: the comparison with the interpreter does.

#![forbid(unsafe_code)]

use super::walk::{Hidden, Note, Walk};
use super::{Inst, Label, MInst, Mem, Reg};
use crate::ir::{Func, Node, Ref};
use crate::ops::Op;
use crate::types::Type;
use std::collections::{BTreeMap, HashMap};

mod kernels;
mod roles;
mod state;
pub(crate) use roles::*;
use state::*;

#[cfg(test)]
mod kernels_tests;
#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

/// Registers that are followed: the general-purpose, vector and mask files.
const FILES: usize = 96;

/// The set that holds this register, or nothing for [`Reg::NONE`].
pub(crate) fn set_of(reg: Reg) -> u128 {
    if reg.is_some() { 1 << reg.index() } else { 0 }
}

/// The instructions of one node, or between nodes.
struct Group {
    node: Ref,
    /// The values that it means to read; has it?
    uses: Vec<(Ref, bool)>,
}

struct Checker<'a> {
    func: &'a Func,
    walk: &'a Walk,
    roles: &'a Roles,
    contract: &'a Contract,
    groups: Vec<Group>,
    group: u32,
    /// The `Param` node of each input.
    params: Vec<Ref>,
    /// States of jumps to labels that are still to come.
    pending: HashMap<u32, State>,
    bound: Vec<bool>,
    /// Where the blocks at the end of the code begin.
    blocks: HashMap<u32, usize>,
    /// What is known where a jump back goes to, by label; and what this pass found.
    heads: HashMap<u32, State>,
    news: HashMap<u32, State>,
    /// What is being carried into the next iteration of a loop: values with the registers and slots that they are in.
    carried: Vec<(Ref, Option<Reg>, Option<u32>)>,
    /// What happens in an empty second arm, by the label behind it: notes with their groups.
    empty_arms: HashMap<u32, Vec<(u32, Note)>>,
}

/// Is the code of `walk`, which was made of `func` with `recording`, right? If not, why not.
pub(crate) fn check(walk: &Walk, func: &Func, roles: &Roles, contract: &Contract) -> Result<(), String> {
    let mut heads = HashMap::new();
    loop {
        let mut checker = Checker::new(walk, func, roles, contract, heads);
        checker.run()?;
        if checker.news.is_empty() {
            return Ok(());
        }
        // What is known only ever becomes less, so this ends.
        heads = checker.heads;
        heads.extend(checker.news);
    }
}

impl<'a> Checker<'a> {
    fn new(
        walk: &'a Walk,
        func: &'a Func,
        roles: &'a Roles,
        contract: &'a Contract,
        heads: HashMap<u32, State>,
    ) -> Checker<'a> {
        let mut params = vec![Ref::NONE; func.params.len()];
        for (i, node) in func.nodes.iter().enumerate().filter(|(_, n)| n.op == Op::Param) {
            params[node.a as usize] = Ref(i as u32);
        }
        let binds = walk.code.end.iter().enumerate().filter(|(_, inst)| inst.inst == Inst::BIND);
        Checker {
            func,
            walk,
            roles,
            contract,
            groups: Vec::new(),
            group: 0,
            params,
            pending: HashMap::new(),
            bound: vec![false; walk.code.labels as usize],
            blocks: binds.map(|(at, inst)| (inst.imm as u32, at)).collect(),
            heads,
            news: HashMap::new(),
            carried: Vec::new(),
            empty_arms: HashMap::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let events = self.sort_notes();
        let mut state = Some(self.entry());
        let body = &self.walk.code.body;
        let mut at = body.len();
        self.group = self.groups.len() as u32 - 1;
        let mut skip = 0;
        loop {
            for note in events.get(&at).into_iter().flatten().rev() {
                self.event(&mut state, note).map_err(|why| self.place(at, why))?;
            }
            let Some(index) = at.checked_sub(1) else { break };
            at = index;
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let later = |n: usize| index.checked_sub(n).and_then(|i| body.get(i));
            if let (Some((a, b)), Some(state)) = ((self.roles.exchange)([later(0), later(1), later(2)]), &mut state) {
                state.registers.swap(a.index(), b.index());
                skip = 2;
                continue;
            }
            self.step(&mut state, &body[index]).map_err(|why| self.place(index, why))?;
        }
        self.end_group(&mut state)?;
        self.at_end(&mut state)?;
        for inst in &self.walk.code.epilogue {
            self.step(&mut state, inst).map_err(|why| format!("in the epilogue: {why}"))?;
        }
        match (state, self.pending.keys().next()) {
            (Some(_), _) => Err("the code does not end with a return".into()),
            (None, Some(label)) => Err(format!("a jump goes to label {label}, which is not bound after it")),
            (None, None) => Ok(()),
        }
    }

    fn place(&self, at: usize, why: String) -> String {
        let node = self.groups[self.group as usize].node;
        let what = self.func.nodes.get(node.index()).map_or("no node", |n| n.op.row().text);
        format!("at instruction {at} from the end, in %{} ({what}): {why}", node.0 as i32)
    }

    /// Makes the groups. Gives the notes that say something of a place by place, in the order of their recording.
    fn sort_notes(&mut self) -> HashMap<usize, Vec<Note>> {
        let mut list: Vec<(usize, u32, u32, Note)> = Vec::new();
        self.groups.push(Group { node: Ref::NONE, uses: Vec::new() });
        for (number, note) in self.walk.notes.iter().enumerate() {
            let group = self.groups.len() as u32 - 1;
            let (node, at) = match *note {
                Note::Node { r, at } => (r, at),
                Note::Moves { at } | Note::Arm { at, .. } => (Ref::NONE, at),
                Note::Use { value, .. } | Note::UseSlot { value, .. } => {
                    self.groups[group as usize].uses.push((value, false));
                    continue;
                }
                Note::Def { at, .. }
                | Note::Move { at, .. }
                | Note::Store { at, .. }
                | Note::Rename { at, .. }
                | Note::Carry { at, .. }
                | Note::Now { at, .. } => {
                    list.push((at as usize, number as u32, group, *note));
                    continue;
                }
            };
            if let Note::Arm { joined: Some((label, first)), .. } = *note {
                // The second arm is empty: its notes belong to the jump past the first one.
                let begin = list.partition_point(|entry| entry.1 < first);
                let arm = list.drain(begin..).collect::<Vec<_>>();
                let (ends, claims): (Vec<_>, Vec<_>) = arm.into_iter().partition(|entry| is_end(&entry.3));
                list.extend(ends);
                self.empty_arms.insert(label.0, claims.into_iter().map(|entry| (entry.2, entry.3)).collect());
            }
            list.push((at as usize, number as u32, group, *note));
            self.groups.push(Group { node, uses: Vec::new() });
        }
        let mut events: HashMap<usize, Vec<Note>> = HashMap::new();
        for (at, _, _, note) in list {
            events.entry(at).or_default().push(note);
        }
        events
    }

    fn entry(&self) -> State {
        let mut state = State {
            registers: [NOTHING; FILES],
            stack: BTreeMap::new(),
            depth: 0,
            flags: NO_GROUP,
            results: vec![Symbol::Unknown; self.func.results.len()],
            context: 0,
            touched: 0,
            aligned: None,
            stored: false,
        };
        for (i, held) in state.registers.iter_mut().enumerate() {
            if self.is_saved(i) {
                held.symbol = Symbol::Saved(i as u8);
            }
        }
        let symbol = |r: Ref| {
            let raw = self.contract.raw_bools && self.func.nodes.get(r.index()).is_some_and(|n| n.ty == Type::Bool);
            if raw { Symbol::Raw(r) } else { Symbol::Value(r) }
        };
        for &(reg, r) in &self.contract.registers {
            state.registers[reg.index()].symbol = symbol(r);
        }
        for &(at, r) in &self.contract.stack {
            state.stack.insert(at, (symbol(r), 8));
        }
        state.registers[self.roles.stack.index()].symbol = Symbol::Stack;
        self.enter_columns(&mut state);
        state
    }

    fn is_saved(&self, index: usize) -> bool {
        index < FILES && self.contract.saved[index / 32] >> (index % 32) & 1 != 0
    }

    fn holds(&self, symbol: Symbol, r: Ref) -> bool {
        match symbol {
            Symbol::Value(value) => value == r,
            Symbol::Bits(_) | Symbol::Pool { .. } if self.contract.columns.is_some() => self.repeats(symbol, r),
            Symbol::Bits(bits) => self.constant(r) == Some(bits),
            _ => false,
        }
    }

    fn constant(&self, r: Ref) -> Option<u64> {
        self.func.nodes.get(r.index()).filter(|n| n.op == Op::Const).map(Node::const_bits)
    }

    fn hidden(&self, which: Hidden) -> Ref {
        self.walk.hidden(self.func, which)
    }

    /// What is left of a symbol of which so many bytes are moved.
    fn moved(&self, symbol: Symbol, bytes: i32, zero_extends: bool) -> Symbol {
        let enough = match symbol {
            Symbol::Unknown | Symbol::Temp(_) => true,
            Symbol::Value(r) => bytes >= self.bytes_of(r),
            Symbol::Bits(bits) => bytes >= 8 || bits >> (8 * bytes) == 0,
            Symbol::Raw(r) if bytes == 1 && zero_extends => return Symbol::Value(r),
            Symbol::Raw(_) => true,
            Symbol::Saved(index) if index >= 32 => bytes >= self.contract.saved_vector_bytes,
            Symbol::Pool { .. } => true,
            Symbol::Saved(_) | Symbol::Stack | Symbol::StackAt(_) => bytes >= 8,
            Symbol::List | Symbol::Column(_) | Symbol::Row => bytes >= 8,
        };
        if enough { symbol } else { Symbol::Unknown }
    }

    fn bytes_of(&self, r: Ref) -> i32 {
        if let (Some(columns), Some(node)) = (&self.contract.columns, self.func.nodes.get(r.index())) {
            return columns.widths[node.ty as usize];
        }
        match self.func.nodes.get(r.index()).map(|n| n.ty) {
            Some(Type::Bool) => 1,
            Some(Type::I32 | Type::F32) => 4,
            Some(Type::I64 | Type::F64) | None => 8,
        }
    }

    /// The node at hand has read what `symbol` stands for.
    fn read(&mut self, symbol: Symbol) -> bool {
        let mut found = false;
        for i in 0..self.groups[self.group as usize].uses.len() {
            if self.holds(symbol, self.groups[self.group as usize].uses[i].0) {
                self.groups[self.group as usize].uses[i].1 = true;
                found = true;
            }
        }
        found
    }

    /// May the node be its operand as it is, without an instruction? A bool is a number already; over columns ints and
    /// floats lie in the same registers.
    fn keeps(&self, node: Ref) -> bool {
        let Some(node) = self.func.nodes.get(node.index()) else { return false };
        match node.op {
            Op::Convert => {
                node.ty.is_int() && self.func.ty(Ref(node.a)) == Type::Bool && self.contract.columns.is_none()
            }
            Op::Bitcast => self.contract.columns.is_some(),
            _ => false,
        }
    }

    /// What the walk notes about this place: a claim, or that the group ends here.
    fn event(&mut self, state: &mut Option<State>, note: &Note) -> Result<(), String> {
        if is_end(note) {
            let result = self.end_group(state);
            self.group -= 1;
            return result;
        }
        let Some(state) = state else { return Ok(()) };
        match *note {
            Note::Def { reg, .. } => {
                let node = self.groups[self.group as usize].node;
                let symbol = state.registers[reg.index()].symbol;
                let written = state.registers[reg.index()].group == self.group;
                ensure(written || self.keeps(node) && self.read(symbol), || {
                    format!("the node does not write {reg:?}, where it is said to leave its value")
                })?;
                let held = &mut state.registers[reg.index()];
                held.symbol = self.constant(node).map_or(Symbol::Value(node), |_| held.symbol);
                let symbol = held.symbol;
                if !self.holds(symbol, node) {
                    return Err(format!("{symbol:?} is not the constant"));
                }
            }
            Note::Move { value, reg, .. } => {
                let symbol = state.registers[reg.index()].symbol;
                if !self.holds(symbol, value) {
                    return Err(format!("{reg:?} holds {symbol:?} after it was given {value:?}"));
                }
            }
            Note::Store { value, slot, .. } => {
                let symbol = state.stack.get(&frame_place(state, slot)).map_or(Symbol::Unknown, |s| s.0);
                if !self.holds(symbol, value) {
                    return Err(format!("slot {slot} holds {symbol:?} after {value:?} was stored"));
                }
            }
            Note::Rename { from, to, reg, .. } => {
                let symbol = state.registers[reg.index()].symbol;
                if !self.holds(symbol, from) {
                    return Err(format!("{reg:?} holds {symbol:?} at the end of the arm, not {from:?}"));
                }
                state.registers[reg.index()].symbol = Symbol::Value(to);
            }
            Note::Carry { from, to, reg, slot, .. } => {
                let in_reg = reg.is_none_or(|reg| self.holds(state.registers[reg.index()].symbol, from));
                let in_slot = slot.is_none_or(|slot| self.holds(read_stack(state, frame_place(state, slot), 1), from));
                ensure(in_reg && in_slot, || format!("{from:?} is not where {to:?} is carried"))?;
                self.carried.push((to, reg, slot));
            }
            Note::Now { iteration, .. } => {
                if let Some(number) = iteration {
                    self.forget(state, number);
                }
                for (to, reg, slot) in std::mem::take(&mut self.carried) {
                    if let Some(reg) = reg {
                        state.registers[reg.index()].symbol = Symbol::Value(to);
                    }
                    if let Some(slot) = slot {
                        let whole = self.func.ty(to).is_float() || self.contract.columns.is_some();
                        let bytes = if whole { self.bytes_of(to) } else { 8 };
                        state.stack.insert(frame_place(state, slot), (Symbol::Value(to), bytes));
                    }
                }
            }
            Note::Node { .. } | Note::Moves { .. } | Note::Arm { .. } | Note::Use { .. } | Note::UseSlot { .. } => {}
        }
        Ok(())
    }

    /// An iteration begins: what the last one made is not what this one means by the same names.
    fn forget(&self, state: &mut State, number: u32) {
        let this = self.func.loops[number as usize];
        let of_loop = |symbol: Symbol| match symbol {
            Symbol::Value(r) => self.func.nodes.get(r.index()).is_some_and(|n| {
                (this.first..this.node).contains(&r) && (this.test..this.regions_end).contains(&n.region)
            }),
            _ => false,
        };
        for held in &mut state.registers {
            if of_loop(held.symbol) {
                held.symbol = Symbol::Unknown;
            }
        }
        state.stack.retain(|_, held| !of_loop(held.0));
    }

    fn end_group(&mut self, state: &mut Option<State>) -> Result<(), String> {
        let Some(state) = state else { return Ok(()) };
        state.flags = NO_GROUP;
        match self.groups[self.group as usize].uses.iter().find(|u| !u.1) {
            Some(&(value, _)) => Err(format!("the node wants {value:?} and no instruction reads it")),
            None => Ok(()),
        }
    }

    /// The main path has arrived at the end: are the results where they belong?
    fn at_end(&mut self, state: &mut Option<State>) -> Result<(), String> {
        let Some(state) = state else { return Err("the end is never reached".into()) };
        if self.contract.columns.is_some() {
            return ensure(!state.stored, || "no step follows the one that was stored".into());
        }
        self.check_results(state)
    }

    fn check_results(&self, state: &State) -> Result<(), String> {
        if let (Some(reg), Some(&result)) = (self.contract.result, self.func.results.first()) {
            let symbol = state.registers[reg.index()].symbol;
            return ensure(self.holds(symbol, result), || format!("{reg:?} returns {symbol:?}, not {result:?}"));
        }
        for (i, &result) in self.func.results.iter().enumerate() {
            ensure(self.holds(state.results[i], result), || format!("result {i} is {:?}", state.results[i]))?;
        }
        let status = state.registers[self.roles.status.index()].symbol;
        ensure(status == Symbol::Bits(0), || format!("the status is {status:?}"))
    }

    fn step(&mut self, state: &mut Option<State>, inst: &MInst) -> Result<(), String> {
        if inst.inst == Inst::BIND {
            return self.bind(state, inst.imm as u32);
        }
        if inst.inst == Inst::ALIGN {
            return Ok(());
        }
        let Some(now) = state else { return Ok(()) };
        let effect = (self.roles.describe)(inst);
        match effect.action {
            Action::Jump { to, always } => {
                self.read_flags(now, &effect)?;
                let gone = if always { state.take() } else { Some(now.clone()) };
                gone.map_or(Ok(()), |gone| self.jump(gone, to.0))
            }
            Action::Return => {
                let result = self.leave(now);
                *state = None;
                result
            }
            _ => self.apply(now, inst, &effect),
        }
    }

    fn bind(&mut self, state: &mut Option<State>, label: u32) -> Result<(), String> {
        let known = self.bound.get_mut(label as usize).ok_or("a label that does not exist")?;
        ensure(!std::mem::replace(known, true), || format!("label {label} is bound twice"))?;
        for come in self.pending.remove(&label).into_iter().chain(self.heads.get(&label).cloned()) {
            match state {
                Some(state) => merge(state, &come, self.group)?,
                None => *state = Some(come),
            }
        }
        if let Some(state) = state {
            state.flags = NO_GROUP;
        }
        Ok(())
    }

    /// Goes to a label that is still to come, or follows the block at the end of the code that it names.
    fn jump(&mut self, state: State, label: u32) -> Result<(), String> {
        if let Some(&block) = self.blocks.get(&label) {
            let (outer, mut inner) = (self.group, Some(state));
            // Nothing but moves and the report of an error stands there.
            self.groups.push(Group { node: Ref::NONE, uses: Vec::new() });
            self.group = self.groups.len() as u32 - 1;
            for inst in &self.walk.code.end[block + 1..] {
                self.step(&mut inner, inst).map_err(|why| format!("in the block of label {label}: {why}"))?;
                if inner.is_none() {
                    break;
                }
            }
            self.group = outer;
            return ensure(inner.is_none(), || format!("the block of label {label} does not end"));
        }
        if self.bound.get(label as usize).copied().unwrap_or(false) {
            return self.jump_back(state, label);
        }
        if Some(Label(label)) == self.walk.exit_label && self.contract.columns.is_some() {
            ensure(!state.stored, || "a step that has stored a row is left".into())?;
        } else if Some(Label(label)) == self.walk.exit_label {
            let status = state.registers[self.roles.status.index()].symbol;
            let reported = status == Symbol::Bits(1) && state.context == CONTEXT_WRITTEN;
            ensure(reported, || format!("left with status {status:?} and context {:b}", state.context))?;
        }
        let (mut state, outer) = (Some(state), self.group);
        for (group, note) in self.empty_arms.get(&label).cloned().unwrap_or_default().iter().rev() {
            self.group = *group;
            self.event(&mut state, note)?;
        }
        self.group = outer;
        let Some(state) = state else { return Ok(()) };
        match self.pending.get_mut(&label) {
            Some(other) => merge(other, &state, self.group),
            None => {
                self.pending.insert(label, state);
                Ok(())
            }
        }
    }

    /// Goes back to a label: the next pass will know.
    fn jump_back(&mut self, mut state: State, label: u32) -> Result<(), String> {
        let known = self.news.get(&label).or(self.heads.get(&label)).cloned();
        if let Some(known) = &known {
            merge(&mut state, known, self.group)?;
        }
        if known.is_none_or(|known| known != state) {
            self.news.insert(label, state);
        }
        Ok(())
    }

    fn read_flags(&self, state: &State, effect: &Effect) -> Result<(), String> {
        ensure(!effect.reads_flags || state.flags == self.group, || "reads flags that its node has not set".into())
    }

    /// Everything that an instruction does but jump and return.
    fn apply(&mut self, state: &mut State, inst: &MInst, effect: &Effect) -> Result<(), String> {
        self.read_flags(state, effect)?;
        let stack = set_of(self.roles.stack);
        let transfer = matches!(
            effect.action,
            Action::Copy { .. }
                | Action::Store { .. }
                | Action::Exchange { .. }
                | Action::Push { .. }
                | Action::Touch
                | Action::SetStack { .. }
        );
        // What is cleared by an operation with itself is read in name only.
        let constant = matches!(effect.action, Action::Constant { .. });
        for reg in each(effect.reads & !stack) {
            let held = state.registers[reg.index()];
            let used = self.read(held.symbol);
            let own = held.group == self.group || transfer || constant || held.symbol == Symbol::Row;
            ensure(used || own, || format!("reads {reg:?}, which holds {:?}", held.symbol))?;
        }
        for reg in each(effect.address & !stack) {
            let symbol = state.registers[reg.index()].symbol;
            self.read(symbol);
            let pointer = matches!(symbol, Symbol::List | Symbol::Column(_) | Symbol::Row)
                || [Hidden::Args, Hidden::Out, Hidden::Context].iter().any(|&h| self.holds(symbol, self.hidden(h)));
            ensure(pointer, || format!("an address is made of {reg:?}, which holds {symbol:?}"))?;
        }
        let loaded = match effect.memory {
            Some(memory) if memory.read && effect.action != Action::Touch => self.load(state, inst, &memory, effect)?,
            _ => Symbol::Temp(self.group),
        };
        match effect.action {
            Action::MoveStack { by } => return self.move_stack(state, by),
            Action::AlignStack { bytes } => return self.align_stack(state, bytes),
            Action::SetStack { base, disp } => return self.set_stack(state, base, disp),
            Action::Touch => return self.touch(state, inst),
            Action::Push { from } => {
                self.move_stack(state, -8)?;
                let symbol = state.registers[from.index()].symbol;
                return write_stack(state, state.depth, 8, symbol);
            }
            Action::Pop { to } => {
                let symbol = read_stack(state, state.depth, 8);
                state.registers[to.index()] = Held { symbol, group: self.group };
                return self.move_stack(state, 8);
            }
            Action::Exchange { a, b } => {
                state.registers.swap(a.index(), b.index());
                return Ok(());
            }
            Action::Call => self.call(state)?,
            _ => {}
        }
        // Sources are read before anything is overwritten.
        let copied = match effect.action {
            Action::Copy { from, .. } if from == self.roles.stack => Some(Symbol::StackAt(state.depth)),
            Action::Copy { from, bytes, zero_extends, .. } => {
                Some(self.moved(state.registers[from.index()].symbol, bytes, zero_extends))
            }
            Action::Load { bytes, zero_extends, .. } => Some(self.moved(loaded, bytes, zero_extends)),
            Action::Constant { bits, .. } => Some(Symbol::Bits(bits)),
            _ => None,
        };
        if let Some(memory) = effect.memory.filter(|m| m.written) {
            let symbol = match effect.action {
                Action::Store { from, bytes } => self.moved(state.registers[from.index()].symbol, bytes, false),
                _ => Symbol::Unknown,
            };
            self.store(state, inst, &memory, symbol)?;
        }
        ensure(effect.writes & stack == 0 || effect.action == Action::Call, || "writes the stack pointer".into())?;
        for reg in each(effect.writes & !stack) {
            state.registers[reg.index()] = Held { symbol: Symbol::Temp(self.group), group: self.group };
        }
        if effect.action == Action::Call {
            for reg in each(effect.writes & !stack) {
                let result = self.roles.call_results.contains(&reg);
                state.registers[reg.index()] = if result { state.registers[reg.index()] } else { NOTHING };
            }
        }
        if let (Some(symbol), Action::Copy { to, .. } | Action::Load { to, .. } | Action::Constant { to, .. }) =
            (copied, effect.action)
        {
            // A value of which too little is moved is a new one, if the node reads it.
            let read = symbol == Symbol::Unknown && self.source_is_ours(state, effect, loaded);
            let symbol = if read { Symbol::Temp(self.group) } else { symbol };
            state.registers[to.index()] = Held { symbol, group: self.group };
        }
        self.step_columns(state, inst, effect)?;
        if effect.writes_flags {
            // What moves values sets the flags to nothing that anybody wants.
            state.flags = if effect.action == Action::Other { self.group } else { NO_GROUP };
        }
        Ok(())
    }

    /// May the node at hand make something new of the source of this move?
    fn source_is_ours(&mut self, state: &State, effect: &Effect, loaded: Symbol) -> bool {
        match effect.action {
            Action::Copy { from, .. } => {
                let held = state.registers[from.index()];
                self.read(held.symbol) || matches!(held.symbol, Symbol::Temp(g) if g == self.group)
            }
            Action::Load { .. } => self.read(loaded),
            _ => false,
        }
    }

    /// The symbol of memory that is read.
    fn load(&mut self, state: &State, inst: &MInst, memory: &MemoryUse, effect: &Effect) -> Result<Symbol, String> {
        let computes = !matches!(effect.action, Action::Load { .. });
        match inst.mem() {
            Mem::Pool => {
                let pool = self.walk.code.pool.bytes();
                let bytes = pool.get(inst.disp as usize..).and_then(|b| b.get(..memory.bytes as usize));
                let bytes = bytes.ok_or("reads outside the constants")?;
                if self.contract.columns.is_some() && effect.action != Action::Call {
                    return Ok(Symbol::Pool { at: inst.disp as u32, bytes: memory.bytes as u8 });
                }
                let mut word = [0; 8];
                let count = bytes.len().min(8);
                word[..count].copy_from_slice(&bytes[..count]);
                let symbol = Symbol::Bits(u64::from_le_bytes(word));
                self.read(symbol);
                Ok(symbol)
            }
            Mem::Label => Err("reads its own code".into()),
            _ if memory.base == self.roles.stack => {
                ensure(!inst.index.is_some(), || "an index into the frame".into())?;
                let symbol = self.read_frame(state, inst.disp, memory.bytes);
                let used = self.read(symbol);
                ensure(used || !computes, || format!("reads [stack+{}], which holds {symbol:?}", inst.disp))?;
                Ok(symbol)
            }
            _ if self.contract.columns.is_some() => self.load_row(state, inst, memory, computes),
            _ => {
                let base = state.registers[memory.base.index()].symbol;
                ensure(self.holds(base, self.hidden(Hidden::Args)), || "reads behind another pointer".into())?;
                let word = usize::try_from(inst.disp / 8).ok().filter(|_| inst.disp % 8 == 0 && memory.bytes <= 8);
                let param = word.and_then(|word| self.params.get(word)).copied();
                ensure(!inst.index.is_some(), || "an index into the inputs".into())?;
                param.map(Symbol::Value).ok_or_else(|| format!("reads input word at {}", inst.disp))
            }
        }
    }

    fn store(&mut self, state: &mut State, inst: &MInst, memory: &MemoryUse, symbol: Symbol) -> Result<(), String> {
        if self.contract.columns.is_some() && memory.base != self.roles.stack {
            return self.store_row(state, inst, memory, symbol);
        }
        ensure(!inst.index.is_some(), || "an index into the frame".into())?;
        if memory.base == self.roles.stack {
            return write_stack(state, state.depth + inst.disp, memory.bytes, symbol);
        }
        ensure(memory.base.is_some(), || "writes the constants".into())?;
        let base = state.registers[memory.base.index()].symbol;
        if self.holds(base, self.hidden(Hidden::Out)) {
            let word = usize::try_from(inst.disp / 8).ok().filter(|_| inst.disp % 8 == 0 && memory.bytes <= 8);
            let place = word.and_then(|word| state.results.get_mut(word));
            *place.ok_or("writes outside the results")? = symbol;
            return Ok(());
        }
        let report = self.holds(base, self.hidden(Hidden::Context)) && memory.bytes == 4;
        ensure(report && matches!(inst.disp, 0 | 4), || format!("writes behind {base:?}"))?;
        state.context |= 1 << (inst.disp / 4);
        Ok(())
    }

    fn call(&mut self, state: &mut State) -> Result<(), String> {
        if let Some(columns) = self.contract.columns {
            return self.call_for_rows(state, &columns);
        }
        let depth = state.depth.rem_euclid(16);
        ensure(depth == self.roles.call_depth, || format!("a call with the stack pointer at {depth} modulo 16"))?;
        let node = self.groups[self.group as usize].node;
        let node = *self.func.nodes.get(node.index()).ok_or("a call between nodes")?;
        let operands = node.operands();
        let args = match node.op {
            Op::Call | Op::CallPinned => self.func.call_args(&node),
            _ => &operands[..node.op.arity()],
        };
        for (i, &arg) in args.iter().enumerate() {
            let symbol = read_stack(state, state.depth + 8 * i as i32, self.bytes_of(arg));
            ensure(self.holds(symbol, arg), || format!("argument {i} of the call is {symbol:?}, not {arg:?}"))?;
        }
        let [place, data, context] = self.roles.call_arguments.map(|reg| state.registers[reg.index()]);
        ensure(place.symbol == Symbol::StackAt(state.depth), || {
            "the call does not get the address of its arguments".into()
        })?;
        ensure(data.group == self.group, || "the call does not get its data".into())?;
        let wanted = match self.walk.context_slot {
            Some(_) => Symbol::Value(self.hidden(Hidden::Context)),
            None => Symbol::Bits(0),
        };
        ensure(context.symbol == wanted, || "the call does not get the context".into())
    }

    fn move_stack(&mut self, state: &mut State, by: i32) -> Result<(), String> {
        let from = state.depth;
        state.depth += by;
        ensure(state.depth <= 0, || "the stack pointer rises above the return address".into())?;
        let pages = -by / self.roles.page * self.roles.page;
        ensure(by > 0 || state.touched <= from - pages || pages == 0, || "the frame skips a page".into())?;
        state.stack.retain(|&at, _| at >= state.depth || by < 0);
        state.touched = state.depth;
        Ok(())
    }

    fn touch(&mut self, state: &mut State, inst: &MInst) -> Result<(), String> {
        let place = state.depth + inst.disp;
        let near = place < state.touched && place >= state.touched - self.roles.page;
        ensure(near && inst.regs[0] == self.roles.stack, || "a page is skipped".into())?;
        state.touched = place;
        Ok(())
    }

    fn leave(&self, state: &State) -> Result<(), String> {
        ensure(state.depth == 0, || format!("returns with the stack pointer off by {}", state.depth))?;
        for i in (0..FILES).filter(|&i| self.is_saved(i)) {
            let symbol = state.registers[i].symbol;
            ensure(symbol == Symbol::Saved(i as u8), || format!("returns with {symbol:?} in register {i}"))?;
        }
        if self.contract.columns.is_some() {
            return Ok(());
        }
        // Where errors leave, too, the status is one thing or the other; the jumps have been checked.
        if self.walk.exit_label.is_none() { self.check_results(state) } else { Ok(()) }
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn each(mut set: u128) -> impl Iterator<Item = Reg> {
    std::iter::from_fn(move || {
        let index = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (index < 128).then(|| Reg::from_index(index as u8))
    })
}

/// Does a group end at this note, seen forward?
fn is_end(note: &Note) -> bool {
    matches!(note, Note::Node { .. } | Note::Moves { .. } | Note::Arm { .. })
}
