//! The third pass on what changes: arms, variables, loops.
//!
//! Owns what each variable is at the moment. The one idea: while an arm is being built, a log keeps what the variables
//! that it assigns were before; at its end they are merged. A loop carries the variables that `statements` found. What
//! comes after a possible `break` or `continue`, up to the end of its block, stands in an arm of its own.
//!
//! Obligations of an adder: every way to change a variable is `assign`; whatever opens arms closes them in the same
//! block. Deliberately does not know types: all conversions to a variable's type were found before, and are made here.

#![forbid(unsafe_code)]

use super::Checker;
use super::nulls::Val;
use super::statements::{Fold, LoopInfo, NO_VAR, STEPS};
use crate::ir::build::{Arms, Builder};
use crate::ir::{Ref, TrapKind};
use crate::math;
use crate::ops::Op;
use crate::text::ast::{FIRST, HAS_ELSE, Kind, Node};
use crate::types::{Type, Value};

/// A variable while values are made.
#[derive(Clone, Copy)]
struct Slot {
    value: Ref,
    /// How many arms were open where it was declared.
    arms: u32,
    /// The merge that met it last.
    merge: u32,
}

/// What a variable is before an `if`, and after its first arm.
#[derive(Clone, Copy)]
struct Change {
    var: u32,
    before: Ref,
    after_then: Ref,
}

/// An `if` whose arms are open.
#[derive(Clone, Copy)]
struct OpenArms {
    /// Where in `log` its assignments begin, and in `changes` those of its first arm.
    log: u32,
    changes: u32,
}

/// A loop that is being built.
#[derive(Clone, Copy)]
struct Running {
    info: LoopInfo,
    /// Its number in the function that is being built.
    number: u32,
    /// The last value of its range, or the first after it.
    hi: Ref,
    /// One carried value says whether there is another iteration, since `hi` may be the greatest int.
    is_careful: bool,
    /// How many carried values are not variables.
    hidden: u32,
    /// The condition of a `while` that is a part of its body.
    condition: Ref,
}

/// The memory of this part.
#[derive(Default)]
pub(super) struct Flow {
    vars: Vec<Slot>,
    arms: Vec<OpenArms>,
    /// Assignments in open arms: the variable, and what it was.
    log: Vec<(u32, Ref)>,
    changes: Vec<Change>,
    merges: u32,
    /// How often a variable was merged.
    merged: usize,
    /// Open blocks: how many arms they opened for what follows a possible jump.
    guards: Vec<u32>,
    loops: Vec<Running>,
    /// The values that a loop carries, while it is made.
    carry: Vec<Ref>,
    /// How many operands of each open chain stand in arms, and whether the last link opened one.
    chains: Vec<(u32, bool, Val)>,
}

impl Checker<'_> {
    /// Forgets all but the memory. Nothing has been counted yet.
    pub(super) fn begin_flow(&mut self, b: &mut Builder) {
        let flow = &mut self.state.flow;
        flow.arms.clear();
        flow.log.clear();
        flow.changes.clear();
        flow.guards.clear();
        flow.loops.clear();
        flow.chains.clear();
        (flow.merges, flow.merged) = (0, 0);
        flow.vars.clear();
        flow.vars.resize(self.state.statements.vars.len(), Slot { value: Ref::NONE, arms: 0, merge: 0 });
        if self.state.statements.any {
            let steps = i64::try_from(self.limits.steps).unwrap_or(i64::MAX);
            flow.vars[STEPS as usize].value = b.constant(Value::I64(steps));
        }
    }

    // Variables.

    pub(super) fn variable(&self, var: u32) -> Ref {
        self.state.flow.vars.get(var as usize).map_or(Ref::NONE, |slot| slot.value)
    }

    fn declare_variable(&mut self, var: u32, value: Ref) {
        let arms = self.state.flow.arms.len() as u32;
        if let Some(slot) = self.state.flow.vars.get_mut(var as usize) {
            (slot.value, slot.arms) = (value, arms);
        }
    }

    fn assign(&mut self, var: u32, value: Ref) {
        let flow = &mut self.state.flow;
        let arms = flow.arms.len() as u32;
        let Some(slot) = flow.vars.get_mut(var as usize) else { return };
        if slot.arms < arms {
            flow.log.push((var, slot.value));
        }
        slot.value = value;
    }

    // Arms.

    /// What follows, up to `other_arm`, happens only under this condition.
    pub(super) fn open_arms(&mut self, b: &mut Builder, condition: Ref) {
        b.begin_if(condition);
        let flow = &mut self.state.flow;
        flow.arms.push(OpenArms { log: flow.log.len() as u32, changes: flow.changes.len() as u32 });
    }

    /// What follows, up to `close_arms`, happens only if the condition does not hold.
    pub(super) fn other_arm(&mut self, b: &mut Builder) {
        b.begin_else();
        let flow = &mut self.state.flow;
        let Some(&arms) = flow.arms.last() else { return };
        flow.merges += 1;
        for i in arms.log as usize..flow.log.len() {
            let (var, before) = flow.log[i];
            let slot = &mut flow.vars[var as usize];
            if slot.merge != flow.merges {
                slot.merge = flow.merges;
                flow.changes.push(Change { var, before, after_then: slot.value });
            }
        }
        for change in &flow.changes[arms.changes as usize..] {
            flow.vars[change.var as usize].value = change.before;
        }
        flow.log.truncate(arms.log as usize);
    }

    /// Ends both arms; each variable that one of them assigned is what it was made there.
    pub(super) fn close_arms(&mut self, b: &mut Builder) -> Arms {
        let merge = b.close_if();
        let flow = &mut self.state.flow;
        let Some(arms) = flow.arms.pop() else { return merge };
        flow.merges += 1;
        for change in &flow.changes[arms.changes as usize..] {
            flow.vars[change.var as usize].merge = flow.merges;
        }
        for i in arms.log as usize..flow.log.len() {
            let (var, before) = flow.log[i];
            let slot = &mut flow.vars[var as usize];
            if slot.merge != flow.merges {
                slot.merge = flow.merges;
                flow.changes.push(Change { var, before, after_then: before });
            }
        }
        flow.log.truncate(arms.log as usize);
        for i in arms.changes as usize..self.state.flow.changes.len() {
            let Change { var, before, after_then } = self.state.flow.changes[i];
            let slot = &mut self.state.flow.vars[var as usize];
            let after_else = std::mem::replace(&mut slot.value, before);
            let value = b.merge(merge, after_then, after_else);
            if value != before {
                self.assign(var, value);
            }
        }
        // They are operations, even where none is left of them.
        let flow = &mut self.state.flow;
        flow.merged += flow.changes.len() - arms.changes as usize;
        b.overflowed |= flow.merged > b.options.node_limit as usize;
        self.state.flow.changes.truncate(arms.changes as usize);
        merge
    }

    // Statements.

    /// Makes a statement, or a marker of one.
    pub(super) fn make_statement(&mut self, b: &mut Builder, node: Node, data: u32) {
        match node.kind {
            Kind::Var => {
                let value = self.take();
                self.declare_variable(data, value);
            }
            Kind::Assign => {
                let value = self.take();
                b.set_span(node.span());
                let value = b.convert(value, self.variable_type(data));
                self.assign(data, value);
            }
            Kind::BlockBegin => self.state.flow.guards.push(0),
            Kind::Block | Kind::BlockEnd => self.end_block(b),
            Kind::IfDo => {
                if node.flags & HAS_ELSE == 0 {
                    self.other_arm(b);
                }
                b.set_span(node.span());
                self.close_arms(b);
                if data != 0 {
                    self.guard(b);
                }
            }
            Kind::Break | Kind::Continue => {
                let yes = b.constant(Value::Bool(true));
                self.assign(data, yes);
                self.guard(b);
            }
            Kind::ForBegin | Kind::AggregateBegin => self.begin_range_loop(b, data),
            Kind::WhileBegin => self.begin_while(b, data),
            Kind::WhileBody => self.begin_while_body(b),
            Kind::For => {
                self.end_range_loop(b, node);
            }
            Kind::While => self.end_while(b, node),
            Kind::Aggregate => {
                let value = self.end_range_loop(b, node);
                self.give(value, Ref::NONE);
            }
            Kind::Result => {
                let Val { value, valid } = self.take_val();
                b.func.results.push(value);
                self.note_result(b, valid);
            }
            _ => {}
        }
    }

    fn variable_type(&self, var: u32) -> Type {
        match self.state.statements.vars.get(var as usize).map(|v| v.known) {
            Some(super::Known::Typed(ty)) => ty,
            _ => Type::F64,
        }
    }

    /// What follows in this block happens only if the innermost loop goes on.
    fn guard(&mut self, b: &mut Builder) {
        let Some(running) = self.state.flow.loops.last().copied() else { return };
        let Some(guards) = self.state.flow.guards.last_mut() else { return };
        *guards += 1;
        let goes_on = self.not_left(b, running.info.broken, None);
        let goes_on = self.not_left(b, running.info.continued, goes_on);
        let goes_on = goes_on.unwrap_or_else(|| b.constant(Value::Bool(true)));
        self.open_arms(b, goes_on);
    }

    /// `and` that the variable, if there is one, is false.
    fn not_left(&mut self, b: &mut Builder, var: u32, and: Option<Ref>) -> Option<Ref> {
        if var == NO_VAR {
            return and;
        }
        let goes_on = b.raw1(Op::Not, self.variable(var));
        Some(and.map_or(goes_on, |and| b.raw2(Op::And, and, goes_on)))
    }

    fn end_block(&mut self, b: &mut Builder) {
        for _ in 0..self.state.flow.guards.pop().unwrap_or(0) {
            self.other_arm(b);
            self.close_arms(b);
        }
    }

    // Steps.

    /// Counts the steps of a loop that will take all of its range.
    fn count_all(&mut self, b: &mut Builder, info: &LoopInfo, lo: Ref, hi: Ref) {
        let left = self.variable(STEPS);
        let (lo, hi) = (b.raw_convert(lo, Type::I64), b.raw_convert(hi, Type::I64));
        let not_empty = b.raw2(if info.inclusive { Op::Le } else { Op::Lt }, lo, hi);
        // Wraps to a negative number if it is too large.
        let length = b.raw2(Op::Sub, hi, lo);
        let zero = b.small(Type::I64, 0);
        let one = b.small(Type::I64, 1);
        let (exceeds, after) = if info.inclusive {
            let after = b.raw2(Op::Sub, left, length);
            (b.raw2(Op::Le, left, length), b.raw2(Op::Sub, after, one))
        } else {
            (b.raw2(Op::Lt, left, length), b.raw2(Op::Sub, left, length))
        };
        let mut over = exceeds;
        if info.ty == Type::I64 {
            let wrapped = b.raw2(Op::Lt, length, zero);
            over = b.raw2(Op::Or, wrapped, exceeds);
        }
        let over = b.raw2(Op::And, not_empty, over);
        b.set_span(info.head);
        b.trap(over, TrapKind::Steps);
        let after = b.select(not_empty, after, left);
        self.assign(STEPS, after);
    }

    /// Counts one step.
    fn count_one(&mut self, b: &mut Builder, info: &LoopInfo) {
        let one = b.small(Type::I64, 1);
        let zero = b.small(Type::I64, 0);
        let left = b.raw2(Op::Sub, self.variable(STEPS), one);
        let over = b.raw2(Op::Lt, left, zero);
        b.set_span(info.head);
        b.trap(over, TrapKind::Steps);
        self.assign(STEPS, left);
    }

    // Loops.

    /// Begins a loop that carries `carry` and then its variables.
    fn begin_loop(&mut self, b: &mut Builder, info: LoopInfo, hi: Ref, is_careful: bool) {
        if info.broken != NO_VAR {
            let no = b.constant(Value::Bool(false));
            self.declare_variable(info.broken, no);
        }
        let mut carry = std::mem::take(&mut self.state.flow.carry);
        let hidden = carry.len() as u32;
        for i in info.carried.0..info.carried.1 {
            carry.push(self.variable(self.state.statements.carried[i as usize]));
        }
        let number = b.begin_loop(&carry);
        carry.clear();
        self.state.flow.carry = carry;
        for (i, at) in (info.carried.0..info.carried.1).zip(hidden..) {
            let value = b.phi(number, at as usize);
            self.assign(self.state.statements.carried[i as usize], value);
        }
        self.state.flow.loops.push(Running { info, number, hi, is_careful, hidden, condition: Ref::NONE });
    }

    /// Begins the body: what holds for each iteration.
    fn begin_body(&mut self, b: &mut Builder, info: &LoopInfo) {
        if info.each {
            self.count_one(b, info);
        }
        if info.continued != NO_VAR {
            let no = b.constant(Value::Bool(false));
            self.declare_variable(info.continued, no);
        }
    }

    /// Ends the innermost loop; `carry` is what its hidden values become.
    fn end_loop(&mut self, b: &mut Builder, running: &Running) {
        let (first, end) = running.info.carried;
        let mut carry = std::mem::take(&mut self.state.flow.carry);
        for i in first..end {
            carry.push(self.variable(self.state.statements.carried[i as usize]));
        }
        b.end_loop(&carry);
        carry.clear();
        self.state.flow.carry = carry;
        for (i, at) in (first..end).zip(running.hidden..) {
            let value = b.exit(running.number, at as usize);
            self.assign(self.state.statements.carried[i as usize], value);
        }
        self.state.flow.loops.pop();
    }

    fn begin_range_loop(&mut self, b: &mut Builder, number: u32) {
        let (hi, lo) = (self.take(), self.take());
        let Some(info) = self.state.statements.loops.get(number as usize).copied() else { return };
        b.set_span(info.head);
        let (lo, mut hi) = (b.convert(lo, info.ty), b.convert(hi, info.ty));
        if !info.each {
            self.count_all(b, &info, lo, hi);
        }
        let is_careful = info.inclusive && !self.may_add_one(b, &info, lo, hi);
        self.state.flow.carry.push(lo);
        if is_careful {
            let not_empty = b.raw2(Op::Le, lo, hi);
            self.state.flow.carry.push(not_empty);
        } else if info.inclusive {
            let one = b.small(info.ty, 1);
            hi = b.raw2(Op::Add, hi, one);
        }
        if let Some((fold, ty)) = info.fold {
            let value = b.constant(start(fold, ty));
            self.state.flow.carry.push(value);
        }
        self.begin_loop(b, info, hi, is_careful);
        let Some(running) = self.state.flow.loops.last().copied() else { return };
        let at = b.phi(running.number, 0);
        if let Some(counter) = self.state.lets.get_mut(info.counter as usize) {
            counter.start(at, info.ty);
        }
        let goes_on = if is_careful { b.phi(running.number, 1) } else { b.raw2(Op::Lt, at, hi) };
        let mut condition = self.not_left(b, info.broken, Some(goes_on)).unwrap_or(goes_on);
        if let Some((fold @ (Fold::Any | Fold::All), _)) = info.fold {
            let found = b.phi(running.number, running.accumulator());
            let open = if fold == Fold::Any { b.raw1(Op::Not, found) } else { found };
            condition = b.raw2(Op::And, condition, open);
        }
        b.begin_body(condition);
        self.begin_body(b, &info);
    }

    /// Is there an int after the last of the range, whenever the loop is reached?
    fn may_add_one(&self, b: &Builder, info: &LoopInfo, lo: Ref, hi: Ref) -> bool {
        let known = |r: Ref| match b.func.constant(r) {
            Some(Value::I32(v)) => Some(i64::from(v)),
            Some(Value::I64(v)) => Some(v),
            _ => None,
        };
        let greatest = if info.ty == Type::I32 { i64::from(i32::MAX) } else { i64::MAX };
        if let Some(hi) = known(hi) {
            return hi < greatest;
        }
        // From a small number up to the greatest are more steps than there are, and these were counted.
        let steps = i128::from(self.limits.steps);
        !info.each && known(lo).is_some_and(|lo| i128::from(lo) + steps < i128::from(greatest))
    }

    /// Ends a `for` or an aggregate, whose value it gives.
    fn end_range_loop(&mut self, b: &mut Builder, node: Node) -> Ref {
        let Some(running) = self.state.flow.loops.last().copied() else { return Ref::NONE };
        let info = running.info;
        let value = if node.kind == Kind::Aggregate { self.take() } else { Ref::NONE };
        b.set_span(node.span());
        let at = b.phi(running.number, 0);
        let one = b.small(info.ty, 1);
        let mut carry = std::mem::take(&mut self.state.flow.carry);
        carry.push(b.raw2(Op::Add, at, one));
        if running.is_careful {
            carry.push(b.raw2(Op::Lt, at, running.hi));
        }
        if let Some((fold, ty)) = info.fold {
            let before = b.phi(running.number, running.accumulator());
            carry.push(accumulate(b, fold, ty, before, value));
        }
        self.state.flow.carry = carry;
        self.end_loop(b, &running);
        if info.fold.is_some() { b.exit(running.number, running.accumulator()) } else { Ref::NONE }
    }

    fn begin_while(&mut self, b: &mut Builder, number: u32) {
        let Some(info) = self.state.statements.loops.get(number as usize).copied() else { return };
        b.set_span(info.head);
        let yes = b.constant(Value::Bool(true));
        if info.assigns_in_test {
            self.state.flow.carry.push(yes);
        }
        self.begin_loop(b, info, Ref::NONE, false);
        let not_left = self.not_left(b, info.broken, None);
        if info.assigns_in_test {
            let Some(running) = self.state.flow.loops.last() else { return };
            let goes_on = b.phi(running.number, 0);
            let condition = not_left.map_or(goes_on, |not_left| b.raw2(Op::And, goes_on, not_left));
            b.begin_body(condition);
        } else if let Some(not_left) = not_left {
            self.open_arms(b, not_left);
        }
    }

    fn begin_while_body(&mut self, b: &mut Builder) {
        let mut condition = self.take();
        let Some(running) = self.state.flow.loops.last_mut() else { return };
        running.condition = condition;
        let info = running.info;
        if info.assigns_in_test {
            self.open_arms(b, condition);
        } else {
            if info.broken != NO_VAR {
                self.other_arm(b);
                let arms = self.close_arms(b);
                let no = b.constant(Value::Bool(false));
                condition = b.merge(arms, condition, no);
            }
            b.begin_body(condition);
        }
        self.begin_body(b, &info);
    }

    fn end_while(&mut self, b: &mut Builder, node: Node) {
        let Some(running) = self.state.flow.loops.last().copied() else { return };
        if running.info.assigns_in_test {
            self.other_arm(b);
            self.close_arms(b);
            self.state.flow.carry.push(running.condition);
        }
        b.set_span(node.span());
        self.end_loop(b, &running);
    }

    // Chains of comparisons whose operands may have effects.

    /// What decided whether the operand that was just made is looked at, if something did.
    pub(super) fn guarded_operand(&self) -> Option<Val> {
        self.state.flow.chains.last().filter(|chain| chain.1).map(|chain| chain.2)
    }

    /// After link `index`: if the next operand is more than a leaf, it is looked at only if all `holds` so far; then
    /// true.
    pub(super) fn guard_operand(&mut self, b: &mut Builder, index: u32, holds: Val) -> bool {
        let chains = &mut self.state.flow.chains;
        if self.ast.nodes[index as usize].flags & FIRST != 0 {
            chains.push((0, false, Val::NONE));
        }
        let kind = |at: u32| self.ast.nodes.get(at as usize).map(|node| node.kind);
        let is_leaf = matches!(kind(index + 1), Some(Kind::Name | Kind::Number)) && kind(index + 2) == Some(Kind::Link);
        let guards = !is_leaf && kind(index + 1) != Some(Kind::Chain);
        if let Some(chain) = chains.last_mut() {
            chain.1 = guards;
            chain.2 = holds;
            chain.0 += u32::from(guards);
        }
        if guards {
            let condition = self.looks_further(b, holds, false);
            self.open_arms(b, condition);
        }
        guards
    }

    /// Ends a chain, all of whose links in the innermost arm hold or not: does it hold?
    pub(super) fn end_chain(&mut self, b: &mut Builder, mut holds: Val) -> Val {
        let guards = self.state.flow.chains.pop().map_or(0, |chain| chain.0);
        for _ in 0..guards {
            self.other_arm(b);
            let no = b.constant(Value::Bool(false));
            let arms = self.close_arms(b);
            holds.value = b.merge(arms, holds.value, no);
            if holds.valid != Ref::NONE {
                let yes = b.constant(Value::Bool(true));
                holds.valid = b.merge(arms, holds.valid, yes);
            }
        }
        holds
    }
}

impl Running {
    /// The number of the hidden value that an aggregate becomes.
    fn accumulator(&self) -> usize {
        1 + usize::from(self.is_careful)
    }
}

/// What an aggregate over nothing is.
fn start(fold: Fold, ty: Type) -> Value {
    let (least, greatest) = match ty {
        Type::I32 => (Value::I32(i32::MIN), Value::I32(i32::MAX)),
        Type::I64 => (Value::I64(i64::MIN), Value::I64(i64::MAX)),
        Type::F32 => (Value::F32(f32::NEG_INFINITY), Value::F32(f32::INFINITY)),
        _ => (Value::F64(f64::NEG_INFINITY), Value::F64(f64::INFINITY)),
    };
    let number = |n: i32| match ty {
        Type::Bool => Value::Bool(n != 0),
        Type::I32 => Value::I32(n),
        Type::I64 => Value::I64(n.into()),
        Type::F32 => Value::F32(n as f32),
        Type::F64 => Value::F64(n.into()),
    };
    match fold {
        Fold::Sum | Fold::Any | Fold::Count => number(0),
        Fold::Prod | Fold::All => number(1),
        Fold::Min => greatest,
        Fold::Max => least,
    }
}

/// What an aggregate is after `value`.
fn accumulate(b: &mut Builder, fold: Fold, ty: Type, before: Ref, value: Ref) -> Ref {
    match fold {
        Fold::Sum => b.binary(Op::Add, before, value),
        Fold::Prod => b.binary(Op::Mul, before, value),
        Fold::Min | Fold::Max => {
            let name = if fold == Fold::Min { "min" } else { "max" };
            math::lookup(name).map_or(Ref::NONE, |function| (function.build)(b, &[before, value]))
        }
        // The loop goes on only while nothing is decided.
        Fold::Any | Fold::All => value,
        Fold::Count => {
            let one = b.raw_convert(value, ty);
            b.raw2(Op::Add, before, one)
        }
    }
}
