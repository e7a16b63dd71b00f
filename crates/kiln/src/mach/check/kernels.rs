//! What the allocation checker asks of code over columns.
//!
//! The one idea: a symbol stands for the values of all rows in a register, inputs are read from columns and results
//! stored to columns, and the loop over steps is a loop like any other. The register that counts rows, and the one that
//! holds the last, belong to no node; no input is read after a row of the step has been stored, because the two may be
//! the same bytes; and a step that is left early has stored nothing.
//!
//! Not known here: whether the rows that are skipped are the right ones, and which lanes a mask chooses; the comparison
//! with the interpreter knows. A stored bool is bytes that its node made, not a symbol.

#![forbid(unsafe_code)]

use super::{Action, Checker, Columns, Effect, Held, MemoryUse, State, Symbol, each, ensure, read_stack, write_stack};
use crate::ir::Ref;
use crate::mach::{MInst, Mem, Reg};
use crate::ops::Op;
use crate::types::Type;

/// Bytes of a value in a column.
fn size_of(ty: Type) -> i32 {
    ty.bits().div_ceil(8) as i32
}

impl Checker<'_> {
    pub(super) fn enter_columns(&self, state: &mut State) {
        if let Some(columns) = &self.contract.columns {
            state.registers[columns.given[0].index()].symbol = Symbol::List;
            state.registers[columns.given[1].index()].symbol = Symbol::Row;
        }
    }

    /// Is this the constant, in every lane?
    pub(super) fn repeats(&self, symbol: Symbol, r: Ref) -> bool {
        let Some(bits) = self.constant(r) else { return false };
        let (ty, bytes) = (self.func.ty(r), size_of(self.func.ty(r)) as usize);
        match symbol {
            Symbol::Bits(0) => bits == 0,
            Symbol::Bits(u64::MAX) => ty == Type::Bool && bits == 1,
            Symbol::Pool { at, bytes: length } if ty != Type::Bool && usize::from(length) >= bytes => {
                let pool = self.walk.code.pool.bytes().get(at as usize..).unwrap_or_default();
                let lanes = pool.get(..usize::from(length)).unwrap_or_default().chunks(bytes);
                lanes.len() > 0 && lanes.into_iter().all(|lane| lane == &bits.to_le_bytes()[..bytes])
            }
            _ => false,
        }
    }

    /// What `bytes` bytes of the frame hold. Where values are narrower than registers, instructions read what lies behind
    /// them, too, and make nothing of it that anybody wants.
    pub(super) fn read_frame(&self, state: &State, disp: i32, bytes: i32) -> Symbol {
        let at = state.depth + disp;
        match state.stack.get(&at) {
            Some(&(symbol, stored)) if self.contract.columns.is_some() => self.moved(symbol, bytes.min(stored), false),
            _ => read_stack(state, at, bytes),
        }
    }

    /// Does the instruction at hand stand between nodes, or around them?
    fn between_nodes(&self) -> bool {
        self.groups[self.group as usize].node == Ref::NONE
    }

    /// The column that an operand addresses, and the rows within the step from which on it does.
    fn column(&self, state: &State, inst: &MInst, memory: &MemoryUse) -> Result<(usize, i32), String> {
        let columns = self.contract.columns.as_ref().ok_or("no columns")?;
        let base = state.registers[memory.base.index()].symbol;
        let Symbol::Column(number) = base else { return Err(format!("a row behind {base:?}")) };
        ensure(inst.index == columns.index, || "a row by another index".into())?;
        let ty = match (number as usize).checked_sub(columns.inputs) {
            Some(output) => self.func.results.get(output).map(|&r| self.func.ty(r)),
            None => self.func.params.get(number as usize).copied(),
        };
        let size = size_of(ty.ok_or("no such column")?);
        let scale = match inst.mem() {
            Mem::Base1 => 1,
            Mem::Base4 => 4,
            Mem::Base8 => 8,
            _ => 0,
        };
        ensure(scale == size, || "rows of another size than the column's".into())?;
        ensure(memory.bytes == columns.rows * size && inst.disp % (columns.rows * size) == 0, || {
            format!("{} bytes at {} are no rows of a register", memory.bytes, inst.disp)
        })?;
        Ok((number as usize, inst.disp / (columns.rows * size)))
    }

    /// The symbol of rows that are read, or of the address of a column.
    pub(super) fn load_row(
        &mut self,
        state: &State,
        inst: &MInst,
        memory: &MemoryUse,
        computes: bool,
    ) -> Result<Symbol, String> {
        let columns = self.contract.columns.as_ref().ok_or("no columns")?;
        if state.registers[memory.base.index()].symbol == Symbol::List {
            let right = !computes && memory.bytes == 8 && !inst.index.is_some() && inst.disp % 8 == 0;
            let number = u32::try_from(inst.disp / 8).ok().filter(|&n| right && (n as usize) < columns.columns);
            return number.map(Symbol::Column).ok_or_else(|| format!("no address of a column at {}", inst.disp));
        }
        let (number, way) = self.column(state, inst, memory)?;
        ensure(number < columns.inputs, || "reads an output".into())?;
        ensure(!state.stored, || "reads an input after a row was stored".into())?;
        let param = self.params.get(way as usize * columns.inputs + number).copied().filter(|&r| r != Ref::NONE);
        let param = param.ok_or_else(|| format!("way {way} of input {number} is no value"))?;
        let node = self.groups[self.group as usize].node;
        if computes && node != param {
            let mut wanted = false;
            if let Some(node) = self.func.nodes.get(node.index()) {
                self.func.for_operands(node, |r| wanted |= r == param);
            }
            ensure(wanted, || format!("reads {param:?}, which the node does not want"))?;
        }
        Ok(Symbol::Value(param))
    }

    pub(super) fn store_row(
        &mut self,
        state: &mut State,
        inst: &MInst,
        memory: &MemoryUse,
        symbol: Symbol,
    ) -> Result<(), String> {
        let columns = self.contract.columns.ok_or("no columns")?;
        let (number, way) = self.column(state, inst, memory)?;
        let output = number.checked_sub(columns.inputs).ok_or("writes an input")?;
        ensure(self.between_nodes(), || "a node stores rows".into())?;
        let at = way as usize * (columns.columns - columns.inputs) + output;
        let &result = self.func.results.get(at).ok_or("no such result")?;
        // A bool is stored as bytes that were made of it.
        let symbol = if self.func.ty(result) == Type::Bool { Symbol::Value(result) } else { symbol };
        state.results[at] = symbol;
        state.stored = true;
        Ok(())
    }

    /// What an instruction does to the rows that are counted: only what stands between nodes may, and a step ends with
    /// all results in their columns.
    pub(super) fn step_columns(&mut self, state: &mut State, inst: &MInst, effect: &Effect) -> Result<(), String> {
        let Some(columns) = self.contract.columns else { return Ok(()) };
        for reg in each(effect.writes).filter(|&reg| reg == columns.index || reg == columns.end) {
            if effect.action == Action::Call {
                return Err(format!("a call destroys {reg:?}"));
            }
            ensure(self.between_nodes(), || format!("a node writes {reg:?}, which counts rows"))?;
            state.registers[reg.index()] = Held { symbol: Symbol::Row, group: self.group };
            if reg == columns.index && effect.action == Action::Other {
                ensure(inst.imm == columns.step, || format!("goes on by {} rows", inst.imm))?;
                for (i, &result) in self.func.results.iter().enumerate() {
                    let symbol = std::mem::replace(&mut state.results[i], Symbol::Unknown);
                    ensure(self.holds(symbol, result), || format!("result {i} is {symbol:?}"))?;
                }
                state.stored = false;
            }
        }
        Ok(())
    }

    pub(super) fn call_for_rows(&mut self, state: &mut State, columns: &Columns) -> Result<(), String> {
        ensure(state.aligned == Some(state.depth), || "a call from a frame that is not aligned".into())?;
        let node = self.groups[self.group as usize].node;
        let node = *self.func.nodes.get(node.index()).ok_or("a call between nodes")?;
        let operands = node.operands();
        let args = match node.op {
            Op::Call | Op::CallPinned => self.func.call_args(&node),
            _ => &operands[..node.op.arity()],
        };
        let place = |number: usize| state.depth + columns.register * number as i32;
        for (i, &arg) in args.iter().enumerate() {
            let symbol = read_stack(state, place(i), self.bytes_of(arg));
            ensure(self.holds(symbol, arg), || format!("argument {i} of the call is {symbol:?}, not {arg:?}"))?;
        }
        let (area, result) = (state.depth, place(args.len()));
        let [place, data, lanes] = self.roles.call_arguments.map(|reg| state.registers[reg.index()]);
        ensure(place.symbol == Symbol::StackAt(area), || "the call does not get the address of its arguments".into())?;
        ensure(data.group == self.group, || "the call does not get its data".into())?;
        ensure(lanes.group == self.group, || "the call is not told how its arguments lie".into())?;
        // The arguments are the callee's, and the result lies behind them.
        state.stack.retain(|&at, _| at >= result);
        write_stack(state, result, columns.register, Symbol::Temp(self.group))
    }

    pub(super) fn align_stack(&self, state: &mut State, bytes: i32) -> Result<(), String> {
        let register = self.contract.columns.map_or(0, |columns| columns.register);
        ensure(bytes == register, || format!("the frame is aligned to {bytes} bytes"))?;
        state.aligned = Some(state.depth);
        Ok(())
    }

    pub(super) fn set_stack(&self, state: &mut State, base: Reg, disp: i32) -> Result<(), String> {
        let symbol = state.registers[base.index()].symbol;
        let Symbol::StackAt(from) = symbol else { return Err(format!("the stack pointer becomes {symbol:?}")) };
        ensure(from + disp >= state.depth && from + disp <= 0, || "the stack pointer leaves the frame".into())?;
        state.depth = from + disp;
        state.aligned = None;
        state.stack.retain(|&at, _| at >= state.depth);
        Ok(())
    }
}
