//! The third pass, forward: values.
//!
//! Owns the calls of the builder. The one idea: every leaf knows its type by now, so a loop with a stack of values
//! makes the nodes, and converts where operands of two types meet. Runs only on trees without errors, and yet must not
//! panic on any.

#![forbid(unsafe_code)]

use super::nulls::{Val, both, decided};
use super::{CONSTANT, Callee, Checker, Context, Info, Known, LET, LITERAL_POWER, OWN, Source, VAR, mix};
use crate::ir::Ref;
use crate::ir::build::{Arms, Builder};
use crate::math::{Function, Rule};
use crate::ops::Op;
use crate::span::Span;
use crate::text::ast::{FIRST, Kind, Node};
use crate::text::check::State;
use crate::text::symbols::Symbol;
use crate::types::{Type, Value};

/// A `let` that is being built at one of several types.
#[derive(Clone, Copy)]
struct Several {
    /// Where its value begins.
    first: u32,
    /// Its `Let` node.
    node: u32,
    /// The types that remain, as bits, the present one included.
    types: u8,
}

/// A call of a formula's own function whose body is being built.
#[derive(Clone, Copy)]
pub(super) struct ActiveCall {
    /// Where to go on.
    next: u32,
    several: Several,
    /// The call, and how many operations there were before it.
    span: Span,
    before: u32,
}

impl Checker<'_> {
    /// Makes the values of the tree.
    pub(super) fn build(&mut self, b: &mut Builder) {
        self.state.values.clear();
        self.state.input_refs.clear();
        for &(_, ty) in &self.state.inputs {
            self.state.input_refs.push(b.param(ty));
        }
        self.begin_nulls(b);
        let inputs = 0..b.func.params.len() as u32;
        self.state.row_parts.sources.extend(inputs.map(Source::Input));
        self.state.row_calls.sort_unstable();
        self.begin_flow(b);
        self.state.calls.clear();
        let mut several = self.next_several();
        let mut let_type = Type::F64;
        let mut index = 0u32;
        while (index as usize) < self.ast.nodes.len() {
            if index == several.first {
                let_type = lowest(several.types);
            }
            if !self.state.row_calls.is_empty() && self.state.row_calls.binary_search(&index).is_ok() {
                self.state.row_marks.insert(index, b.func.effects.len());
            }
            let node = self.ast.nodes[index as usize];
            let info = self.state.info[index as usize];
            match node.kind {
                Kind::Number => {
                    let next = self.ast.nodes.get(index as usize + 1);
                    let negative = next.is_some_and(|next| next.kind == Kind::Neg);
                    let value = self.number(b, node, info, let_type, negative);
                    self.give(value, Ref::NONE);
                    index += u32::from(negative);
                }
                Kind::Name => {
                    let value = self.name(b, node, info, let_type);
                    self.give(value, self.name_valid(info));
                }
                Kind::Let => {
                    let Val { value, valid } = self.take_val();
                    let number = info.data as usize;
                    if let Some(known) = self.state.lets.get_mut(number) {
                        known.valid = valid;
                        if index != several.node || several.types == known.types {
                            known.refs = [Ref::NONE; 5];
                        }
                        known.refs[b.ty(value) as usize] = value;
                        if index == several.node {
                            known.refs[let_type as usize] = value;
                        }
                    }
                    if index == several.node {
                        several.types &= several.types - 1;
                        if several.types != 0 {
                            index = several.first;
                            continue;
                        }
                        several = self.next_several();
                    }
                }
                Kind::Link => self.link(b, index, node),
                Kind::Call if info.data & OWN != 0 => {
                    let (span, before) = (node.span(), b.func.nodes.len() as u32);
                    self.state.calls.push(ActiveCall { next: index + 1, several, span, before });
                    index = self.enter(b, node, info.data & !OWN);
                    several = self.next_several();
                    continue;
                }
                Kind::FnBegin => {
                    index = self.ast.functions.get(node.data as usize).map_or(index, |f| f.end) + 1;
                    continue;
                }
                Kind::Fn => {
                    if let Some(call) = self.state.calls.pop() {
                        (index, several) = (call.next, call.several);
                        if b.options.trace {
                            let body = &b.func.nodes[call.before as usize..];
                            b.inlined.push((call.span, body.iter().filter(|node| node.op != Op::Const).count() as u32));
                        }
                        continue;
                    }
                }
                // There will be no function.
                _ if b.overflowed => return,
                _ => self.make(b, node, info),
            }
            index += 1;
        }
        self.end_nulls(b);
    }

    /// Goes into the body of an instance; returns its first node.
    fn enter(&mut self, b: &mut Builder, node: Node, instance: u32) -> u32 {
        let State { functions, info, several, values, lets, .. } = &mut *self.state;
        let instance = functions.instances[instance as usize];
        let function = &self.ast.functions[instance.function as usize];
        let (begin, count) = (function.begin as usize, (function.end - function.begin) as usize);
        let notes = instance.notes as usize;
        info[begin..begin + count].copy_from_slice(&functions.notes[notes..notes + count]);
        // None is met twice, and the mark keeps those of the caller.
        several.push(u32::MAX);
        several.extend_from_slice(&functions.several[instance.several.0 as usize..instance.several.1 as usize]);
        let start = values.len().saturating_sub(node.count as usize);
        b.set_span(node.span());
        let params = &self.ast.params[function.params.0 as usize..function.params.1 as usize];
        for ((param, value), parameter) in
            params.iter().zip(values.drain(start..)).zip(&mut lets[instance.lets as usize..])
        {
            let Val { value, valid } = value;
            let value = param.ty.map_or(value, |ty| b.convert(value, ty));
            parameter.start(value, b.ty(value));
            parameter.valid = valid;
        }
        function.begin + 1
    }

    /// The next `let` that is built at several types.
    fn next_several(&mut self) -> Several {
        const NONE: Several = Several { first: u32::MAX, node: u32::MAX, types: 0 };
        let Some(node) = self.state.several.pop().filter(|&node| node != u32::MAX) else { return NONE };
        let number = self.state.info[node as usize].data as usize;
        Several { first: self.ast.nodes[node as usize].first, node, types: self.state.lets[number].types }
    }

    /// Takes a value that is there, or whose absence is known elsewhere.
    pub(super) fn take(&mut self) -> Ref {
        self.take_val().value
    }

    pub(super) fn take_val(&mut self) -> Val {
        self.state.values.pop().unwrap_or(Val::NONE)
    }

    pub(super) fn give(&mut self, value: Ref, valid: Ref) {
        self.state.values.push(Val { value, valid });
    }

    /// The type that a leaf gets.
    fn leaf_type(&self, info: Info, let_type: Type) -> Option<Type> {
        match (info.known, info.context) {
            (Known::Typed(ty), Context::Nothing) | (_, Context::At(ty)) => Some(ty),
            (known, Context::OfLet) => Some(self.fit(known, let_type)),
            // The exponent of a literal power is read by the power.
            _ => None,
        }
    }

    #[inline]
    fn number(&mut self, b: &mut Builder, node: Node, info: Info, let_type: Type, negative: bool) -> Ref {
        let literal = self.ast.literals[node.data as usize];
        let Some(ty) = self.leaf_type(info, let_type) else { return Ref::NONE };
        // It fits: `settle` has looked.
        self.literal(literal, node.span(), ty, negative).map_or(Ref::NONE, |value| b.constant(value))
    }

    fn name(&mut self, b: &mut Builder, node: Node, info: Info, let_type: Type) -> Ref {
        if info.data == CONSTANT {
            if let Known::Typed(Type::Bool) = info.known {
                return b.constant(Value::Bool(node.symbol() == Symbol::TRUE));
            }
            let value = constant(node.symbol());
            return match self.leaf_type(info, let_type) {
                Some(Type::F32) => b.constant(Value::F32(value as f32)),
                Some(_) => b.constant(Value::F64(value)),
                None => Ref::NONE,
            };
        }
        if info.data & LET == 0 {
            return self.state.input_refs.get(info.data as usize).copied().unwrap_or(Ref::NONE);
        }
        if info.data & VAR != 0 {
            return self.variable(info.data & !(LET | VAR));
        }
        let Some(known) = self.state.lets.get((info.data & !LET) as usize).copied() else { return Ref::NONE };
        let present = || known.refs.into_iter().find(|&r| r != Ref::NONE).unwrap_or(Ref::NONE);
        match self.leaf_type(info, let_type) {
            Some(ty) if known.refs[ty as usize] != Ref::NONE => known.refs[ty as usize],
            Some(ty) if present() != Ref::NONE => {
                b.set_span(node.span());
                b.convert(present(), ty)
            }
            _ => present(),
        }
    }

    /// Is what a name stands for there?
    fn name_valid(&self, info: Info) -> Ref {
        match info.data {
            CONSTANT => Ref::NONE,
            data if data & LET == 0 => self.state.input_valids.get(data as usize).copied().unwrap_or(Ref::NONE),
            data if data & VAR != 0 => Ref::NONE,
            data => self.state.lets.get((data & !LET) as usize).map_or(Ref::NONE, |known| known.valid),
        }
    }

    /// Everything but leaves and `let`.
    fn make(&mut self, b: &mut Builder, node: Node, info: Info) {
        match node.kind {
            kind if kind.is_binary() => {
                let (y, x) = (self.take_val(), self.take_val());
                b.set_span(node.span());
                match kind {
                    Kind::And | Kind::Or => self.and_or(b, kind, x, y),
                    _ => {
                        let valid = both(b, x.valid, y.valid);
                        self.begin_guarded(b, valid);
                        let value = match kind {
                            Kind::Pow => self.power(b, x.value, y.value, info),
                            _ => self.binary(b, kind, x.value, y.value),
                        };
                        self.end_guarded(b);
                        self.give(value, valid);
                    }
                }
            }
            Kind::Neg | Kind::Not | Kind::Complement => {
                let x = self.take_val();
                b.set_span(node.span());
                self.begin_guarded(b, x.valid);
                let value = b.unary(if node.kind == Kind::Neg { Op::Neg } else { Op::Not }, x.value);
                self.end_guarded(b);
                self.give(value, x.valid);
            }
            Kind::Chain => {
                self.take();
                if self.effects {
                    let holds = self.take_val();
                    let holds = self.end_chain(b, holds);
                    self.give(holds.value, holds.valid);
                }
            }
            Kind::Right if self.effects => {
                let left = self.state.values.last().copied().unwrap_or(Val::NONE);
                let is_or = node.data == Kind::Or as u32;
                let condition = self.looks_further(b, left, is_or);
                self.open_arms(b, condition);
                // Of `or`, the right operand is the second arm.
                if is_or {
                    self.other_arm(b);
                }
            }
            Kind::IfThen if self.effects => {
                let condition = self.take_val();
                let condition = self.guard_arms(b, condition);
                self.open_arms(b, condition);
            }
            Kind::IfElse if self.effects => self.other_arm(b),
            Kind::If => self.choice(b, node),
            Kind::Call => self.call(b, node, info),
            Kind::Program if self.state.outputs.is_empty() => {
                let Val { value, valid } = self.take_val();
                b.func.results.push(value);
                self.note_result(b, valid);
            }
            Kind::Right | Kind::IfThen | Kind::IfElse => {}
            _ => self.make_statement(b, node, info.data),
        }
    }

    /// `and`, `or` of two operands; with effects the right one stands in an arm.
    fn and_or(&mut self, b: &mut Builder, kind: Kind, x: Val, y: Val) {
        let op = if kind == Kind::And { Op::And } else { Op::Or };
        if !self.effects {
            let value = self.binary(b, kind, x.value, y.value);
            let valid = decided(b, op, x, y);
            return self.give(value, valid);
        }
        let right = if x.valid == Ref::NONE { y.value } else { b.raw2(op, x.value, y.value) };
        let valid = decided(b, op, x, y);
        let skipped = b.constant(Value::Bool(kind == Kind::Or));
        let there = b.constant(Value::Bool(true));
        let (value, valid) = if kind == Kind::And {
            self.other_arm(b);
            let arms = self.close_arms(b);
            (b.merge(arms, right, skipped), if valid == Ref::NONE { valid } else { b.merge(arms, valid, there) })
        } else {
            let arms = self.close_arms(b);
            (b.merge(arms, skipped, right), if valid == Ref::NONE { valid } else { b.merge(arms, there, valid) })
        };
        self.give(value, valid);
    }

    /// The condition of the arms of `and` or `or`: the right operand is looked at unless the left one is there and
    /// decides.
    pub(super) fn looks_further(&mut self, b: &mut Builder, left: Val, is_or: bool) -> Ref {
        if left.valid == Ref::NONE {
            return left.value;
        }
        if is_or {
            return both(b, left.value, left.valid);
        }
        let absent = b.raw1(Op::Not, left.valid);
        b.raw2(Op::Or, left.value, absent)
    }

    fn choice(&mut self, b: &mut Builder, node: Node) {
        let (y, x) = (self.take_val(), self.take_val());
        b.set_span(node.span());
        let (value_x, value_y, _) = meet(b, x.value, y.value);
        let (arms, condition) = if self.effects {
            let condition = self.unguard_arms();
            (self.close_arms(b), condition)
        } else {
            let condition = self.take_val();
            (Arms::Free(condition.value), condition.valid)
        };
        let value = b.merge(arms, value_x, value_y);
        let valid = self.valid_of_arms(b, arms, condition, x.valid, y.valid);
        self.give(value, valid);
    }

    /// One comparison of a chain: `values` end in what held so far (not for the first), the left and the right operand.
    fn link(&mut self, b: &mut Builder, index: u32, node: Node) {
        let (y, x) = (self.take_val(), self.take_val());
        b.set_span(node.span());
        let holds = Val { value: self.binary(b, node.link(), x.value, y.value), valid: both(b, x.valid, y.valid) };
        let all = if node.flags & FIRST != 0 {
            holds
        } else {
            let before = match self.guarded_operand() {
                Some(before) if before.valid == Ref::NONE => None,
                Some(before) => Some(before),
                None => Some(self.take_val()),
            };
            before.map_or(holds, |before| Val {
                value: b.binary(Op::And, before.value, holds.value),
                valid: decided(b, Op::And, before, holds),
            })
        };
        if !self.effects || !self.guard_operand(b, index, all) {
            self.give(all.value, all.valid);
        }
        self.give(y.value, y.valid);
    }

    fn binary(&mut self, b: &mut Builder, kind: Kind, x: Ref, y: Ref) -> Ref {
        let (mut x, mut y, mut ty) = meet(b, x, y);
        if kind == Kind::Div && ty.is_int() {
            (x, y) = (b.convert(x, Type::F64), b.convert(y, Type::F64));
            ty = Type::F64;
        }
        debug_assert_eq!((b.ty(x), b.ty(y)), (ty, ty));
        let op = match kind {
            Kind::Add => Op::Add,
            Kind::Sub => Op::Sub,
            Kind::Mul => Op::Mul,
            Kind::Div => Op::Div,
            Kind::FloorDiv => Op::FloorDiv,
            Kind::Mod => Op::FloorMod,
            Kind::Shl => Op::Shl,
            Kind::Shr => Op::Sar,
            Kind::BitAnd | Kind::And => Op::And,
            Kind::BitOr | Kind::Or => Op::Or,
            Kind::Eq => Op::Eq,
            Kind::Ne => Op::Ne,
            Kind::Lt => Op::Lt,
            Kind::Le => Op::Le,
            Kind::Gt => return b.binary(Op::Lt, y, x),
            Kind::Ge => return b.binary(Op::Le, y, x),
            _ => return Ref::NONE,
        };
        b.binary(op, x, y)
    }

    /// `x ^ y`; a literal exponent is read from the tree.
    fn power(&mut self, b: &mut Builder, x: Ref, y: Ref, info: Info) -> Ref {
        if info.data & LITERAL_POWER == 0 {
            let (x, y, _) = meet(b, x, y);
            return b.power(x, y);
        }
        let Some((literal, negative)) = self.exponent(info.data >> 1) else { return Ref::NONE };
        let integer = literal.flags & crate::text::lex::INTEGER != 0;
        if b.ty(x).is_int() && integer {
            return b.power_int_literal(x, literal.int as i64);
        }
        let float = if b.ty(x).is_int() { self.default_float() } else { b.ty(x) };
        let x = b.convert(x, float);
        b.power_literal(x, if negative { -literal.value } else { literal.value })
    }

    fn call(&mut self, b: &mut Builder, node: Node, info: Info) {
        let start = self.state.values.len().saturating_sub(node.count as usize);
        let mut arguments = std::mem::take(&mut self.state.arguments);
        arguments.clear();
        let mut valids = std::mem::take(&mut self.state.argument_valids);
        valids.clear();
        let mut valid = Ref::NONE;
        for val in self.state.values.drain(start..) {
            arguments.push(val.value);
            valids.push(val.valid);
            valid = both(b, valid, val.valid);
        }
        b.set_span(node.span());
        self.begin_guarded(b, valid);
        let value = match self.callee(node.symbol(), arguments.len()) {
            Some(Callee::Builtin(function)) if function.rule == Rule::Power => {
                let (x, y) = (arguments.first().copied(), arguments.get(1).copied());
                self.power(b, x.unwrap_or(Ref::NONE), y.unwrap_or(Ref::NONE), info)
            }
            Some(Callee::Builtin(function)) => builtin(b, function, &mut arguments),
            Some(Callee::Row(row)) => {
                self.end_guarded(b);
                let value = self.row_call(b, node, row, &mut arguments, &valids);
                valid = value.valid;
                value.value
            }
            Some(Callee::Host(host)) => {
                for (argument, &ty) in arguments.iter_mut().zip(host.params()) {
                    *argument = b.convert(*argument, ty);
                }
                if valid == Ref::NONE || (host.is_pure() && !host.is_fallible()) {
                    b.call_host(&host, &arguments)
                } else {
                    // It is not called for nulls.
                    self.open_arms(b, valid);
                    let called = b.call_host(&host, &arguments);
                    self.other_arm(b);
                    let skipped = b.const_bits(host.result(), 0);
                    let arms = self.close_arms(b);
                    b.merge(arms, called, skipped)
                }
            }
            None => Ref::NONE,
        };
        self.end_guarded(b);
        self.give(value, valid);
        self.state.arguments = arguments;
        self.state.argument_valids = valids;
    }
}

/// Both values in the type in which they meet.
#[inline]
pub(super) fn meet(b: &mut Builder, x: Ref, y: Ref) -> (Ref, Ref, Type) {
    let (tx, ty) = (b.ty(x), b.ty(y));
    if tx == ty {
        return (x, y, tx);
    }
    let common = mix(tx, ty).unwrap_or(tx);
    (b.convert(x, common), b.convert(y, common), common)
}

fn builtin(b: &mut Builder, function: &Function, arguments: &mut [Ref]) -> Ref {
    let mut common: Option<Type> = None;
    for (i, &argument) in arguments.iter().enumerate() {
        if function.rule.mixes(i) {
            let ty = b.ty(argument);
            common = common.map_or(Some(ty), |c| mix(c, ty));
        }
    }
    let common = common.unwrap_or(Type::F64);
    for (i, argument) in arguments.iter_mut().enumerate() {
        *argument = b.convert(*argument, function.argument(i, common));
    }
    (function.build)(b, arguments)
}

/// The lowest type of a set.
fn lowest(types: u8) -> Type {
    Type::ALL.get(types.trailing_zeros() as usize).copied().unwrap_or(Type::F64)
}

/// The value of a constant.
fn constant(symbol: Symbol) -> f64 {
    match symbol {
        Symbol::PI | Symbol::GREEK_PI => std::f64::consts::PI,
        Symbol::TAU | Symbol::GREEK_TAU => std::f64::consts::TAU,
        Symbol::E => std::f64::consts::E,
        Symbol::INF | Symbol::INFINITY => f64::INFINITY,
        _ => f64::NAN,
    }
}
