//! The third pass on nulls: what is known of whether a value is there.
//!
//! Owns the rules of nulls. The one idea: a value that can be null is two values, itself and a `bool` that says whether
//! it is there; what it is otherwise nobody asks. Null in, null out; `and`, `or`, `if`, `isnull` and `coalesce` have rules
//! of their own, and every other operation is there where its operands are. Without inputs that can be null nothing is
//! made here.
//!
//! In a formula with loops or variables all is one operation: its results are there where all inputs are that can be
//! null, and in other rows its loops do not run.
//!
//! Obligations of an adder: what is made for a row in which an operand is null must not fail, so whatever can fail is
//! made between `begin_guarded` and `end_guarded`.

#![forbid(unsafe_code)]

use super::Checker;
use crate::ir::Ref;
use crate::ir::build::{Arms, Builder};
use crate::ops::Op;
use crate::types::{Type, Value};

/// A value, and whether it is there; `Ref::NONE` if it always is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Val {
    pub(super) value: Ref,
    pub(super) valid: Ref,
}

impl Val {
    pub(super) const NONE: Val = Val { value: Ref::NONE, valid: Ref::NONE };
}

/// There where both are.
pub(super) fn both(b: &mut Builder, x: Ref, y: Ref) -> Ref {
    match (x, y) {
        (Ref::NONE, other) | (other, Ref::NONE) => other,
        _ => b.raw2(Op::And, x, y),
    }
}

fn either(b: &mut Builder, x: Ref, y: Ref) -> Ref {
    if x == Ref::NONE || y == Ref::NONE { Ref::NONE } else { b.raw2(Op::Or, x, y) }
}

/// The same as a bool.
fn truth(b: &mut Builder, valid: Ref) -> Ref {
    if valid == Ref::NONE { b.constant(Value::Bool(true)) } else { valid }
}

/// Is `x and y`, or `x or y`, there? Where one operand decides, the other one may be null.
pub(super) fn decided(b: &mut Builder, op: Op, x: Val, y: Val) -> Ref {
    let all = both(b, x.valid, y.valid);
    if all == Ref::NONE {
        return all;
    }
    let mut valid = all;
    for one in [x, y] {
        let decides = if op == Op::And { b.raw1(Op::Not, one.value) } else { one.value };
        let decides = both(b, decides, one.valid);
        valid = b.raw2(Op::Or, valid, decides);
    }
    valid
}

impl Checker<'_> {
    /// The inputs' validities become parameters behind them.
    pub(super) fn begin_nulls(&mut self, b: &mut Builder) {
        let state = &mut *self.state;
        state.input_valids.clear();
        state.input_valids.resize(state.inputs.len(), Ref::NONE);
        state.validities.clear();
        state.result_valids.clear();
        state.guards.clear();
        let mut all = Ref::NONE;
        for i in 0..state.inputs.len() {
            if state.nullable.get(i).copied().unwrap_or(false) {
                let valid = b.param(Type::Bool);
                state.validities.push(i as u32);
                state.input_valids[i] = valid;
                all = both(b, all, valid);
            }
        }
        if state.statements.any {
            state.input_valids.fill(Ref::NONE);
            state.result_valid = all;
            b.guard = all;
        } else {
            state.result_valid = Ref::NONE;
        }
    }

    /// What is made now happens in rows where all of these are there.
    pub(super) fn begin_guarded(&mut self, b: &mut Builder, valid: Ref) {
        if !self.state.statements.any && b.options.checked {
            let path = self.state.guards.last().copied().unwrap_or(Ref::NONE);
            b.guard = both(b, valid, path);
        }
    }

    /// The end of that.
    pub(super) fn end_guarded(&mut self, b: &mut Builder) {
        if !self.state.statements.any {
            b.guard = Ref::NONE;
        }
    }

    /// After the condition of an `if` with a value: what follows is about rows in which it is there. Gives the condition
    /// for the first arm.
    pub(super) fn guard_arms(&mut self, b: &mut Builder, condition: Val) -> Ref {
        if self.state.statements.any {
            return condition.value;
        }
        let path = self.state.guards.last().copied().unwrap_or(Ref::NONE);
        let path = both(b, path, condition.valid);
        self.state.guards.push(path);
        self.state.conditions.push(condition.valid);
        both(b, condition.value, condition.valid)
    }

    /// At the end of the arms: was the condition there?
    pub(super) fn unguard_arms(&mut self) -> Ref {
        if self.state.statements.any {
            return Ref::NONE;
        }
        self.state.guards.pop();
        self.state.conditions.pop().unwrap_or(Ref::NONE)
    }

    /// Is the value of an `if` there, whose arms give these?
    pub(super) fn valid_of_arms(&mut self, b: &mut Builder, arms: Arms, condition: Ref, x: Ref, y: Ref) -> Ref {
        if x == Ref::NONE && y == Ref::NONE {
            return condition;
        }
        let (x, y) = (truth(b, x), truth(b, y));
        let chosen = b.merge(arms, x, y);
        both(b, condition, chosen)
    }

    /// The value of the first operand of `coalesce` that is there; they have one type.
    pub(super) fn coalesce(&mut self, b: &mut Builder, values: &[Ref], valids: &[Ref]) -> Val {
        let pairs = values.iter().zip(valids).map(|(&value, &valid)| Val { value, valid });
        let joined = pairs.rev().reduce(|rest, x| {
            if x.valid == Ref::NONE {
                return x;
            }
            Val { value: b.select(x.valid, x.value, rest.value), valid: either(b, x.valid, rest.valid) }
        });
        joined.unwrap_or(Val::NONE)
    }

    /// Notes whether the result that was pushed last is there.
    pub(super) fn note_result(&mut self, b: &mut Builder, valid: Ref) {
        let valid = both(b, valid, self.state.result_valid);
        let always = valid != Ref::NONE && b.func.constant(valid).is_some_and(|v| v.to_bits() == 1);
        self.state.result_valids.push(if always { Ref::NONE } else { valid });
    }

    /// The validities of results that can be null become results behind them.
    pub(super) fn end_nulls(&mut self, b: &mut Builder) {
        let state = &mut *self.state;
        for (number, &valid) in state.result_valids.iter().enumerate() {
            if valid != Ref::NONE {
                b.func.results.push(valid);
                state.row_parts.validities.push(number as u32);
            }
        }
    }
}
