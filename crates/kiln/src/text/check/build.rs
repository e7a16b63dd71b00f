//! The third pass, forward: values.
//!
//! Owns the calls of the builder. The one idea: every leaf knows its type by now, so a loop with a stack of values
//! makes the nodes, and converts where operands of two types meet. Runs only on trees without errors, and yet must not
//! panic on any.

#![forbid(unsafe_code)]

use super::{CONSTANT, Callee, Checker, Context, Info, Known, LET, LITERAL_POWER, OWN, Source, VAR, mix};
use crate::ir::Ref;
use crate::ir::build::Builder;
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
        let inputs = 0..self.state.inputs.len() as u32;
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
                    self.state.values.push(value);
                    index += u32::from(negative);
                }
                Kind::Name => {
                    let value = self.name(b, node, info, let_type);
                    self.state.values.push(value);
                }
                Kind::Let => {
                    let value = self.take();
                    let number = info.data as usize;
                    if let Some(known) = self.state.lets.get_mut(number) {
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
            let value = param.ty.map_or(value, |ty| b.convert(value, ty));
            parameter.start(value, b.ty(value));
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

    pub(super) fn take(&mut self) -> Ref {
        self.state.values.pop().unwrap_or(Ref::NONE)
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

    /// Everything but leaves and `let`.
    fn make(&mut self, b: &mut Builder, node: Node, info: Info) {
        match node.kind {
            kind if kind.is_binary() => {
                let (y, x) = (self.take(), self.take());
                b.set_span(node.span());
                let value = match kind {
                    Kind::And if self.effects => {
                        self.other_arm(b);
                        let skipped = b.constant(Value::Bool(false));
                        let arms = self.close_arms(b);
                        b.merge(arms, y, skipped)
                    }
                    Kind::Or if self.effects => {
                        let skipped = b.constant(Value::Bool(true));
                        let arms = self.close_arms(b);
                        b.merge(arms, skipped, y)
                    }
                    Kind::Pow => self.power(b, x, y, info),
                    _ => self.binary(b, kind, x, y),
                };
                self.state.values.push(value);
            }
            Kind::Neg | Kind::Not | Kind::Complement => {
                let x = self.take();
                b.set_span(node.span());
                let value = b.unary(if node.kind == Kind::Neg { Op::Neg } else { Op::Not }, x);
                self.state.values.push(value);
            }
            Kind::Chain => {
                self.take();
                if self.effects {
                    let holds = self.take();
                    let holds = self.end_chain(b, holds);
                    self.state.values.push(holds);
                }
            }
            Kind::Right if self.effects => {
                let left = self.state.values.last().copied().unwrap_or(Ref::NONE);
                self.open_arms(b, left);
                // Of `or`, the right operand is the second arm.
                if node.data == Kind::Or as u32 {
                    self.other_arm(b);
                }
            }
            Kind::IfThen if self.effects => {
                let condition = self.take();
                self.open_arms(b, condition);
            }
            Kind::IfElse if self.effects => self.other_arm(b),
            Kind::If => self.choice(b, node),
            Kind::Call => self.call(b, node, info),
            Kind::Program if self.state.outputs.is_empty() => {
                let value = self.take();
                b.func.results.push(value);
            }
            Kind::Right | Kind::IfThen | Kind::IfElse => {}
            _ => self.make_statement(b, node, info.data),
        }
    }

    fn choice(&mut self, b: &mut Builder, node: Node) {
        let (y, x) = (self.take(), self.take());
        b.set_span(node.span());
        let (x, y, _) = meet(b, x, y);
        let value = if self.effects {
            let arms = self.close_arms(b);
            b.merge(arms, x, y)
        } else {
            let condition = self.take();
            b.select(condition, x, y)
        };
        self.state.values.push(value);
    }

    /// One comparison of a chain: `values` end in what held so far (not for the first), the left and the right operand.
    fn link(&mut self, b: &mut Builder, index: u32, node: Node) {
        let (y, x) = (self.take(), self.take());
        b.set_span(node.span());
        let holds = self.binary(b, node.link(), x, y);
        let all = if node.flags & FIRST != 0 || self.is_guarded_operand() {
            holds
        } else {
            let before = self.take();
            b.binary(Op::And, before, holds)
        };
        if !self.effects || !self.guard_operand(b, index, all) {
            self.state.values.push(all);
        }
        self.state.values.push(y);
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
        arguments.extend(self.state.values.drain(start..));
        b.set_span(node.span());
        let value = match self.callee(node.symbol(), arguments.len()) {
            Some(Callee::Builtin(function)) if function.rule == Rule::Power => {
                let (x, y) = (arguments.first().copied(), arguments.get(1).copied());
                self.power(b, x.unwrap_or(Ref::NONE), y.unwrap_or(Ref::NONE), info)
            }
            Some(Callee::Builtin(function)) => builtin(b, function, &mut arguments),
            Some(Callee::Row(row)) => self.row_call(b, node, row, &arguments),
            Some(Callee::Host(host)) => {
                for (argument, &ty) in arguments.iter_mut().zip(host.params()) {
                    *argument = b.convert(*argument, ty);
                }
                b.call_host(&host, &arguments)
            }
            None => Ref::NONE,
        };
        self.state.values.push(value);
        self.state.arguments = arguments;
    }
}

/// Both values in the type in which they meet.
#[inline]
fn meet(b: &mut Builder, x: Ref, y: Ref) -> (Ref, Ref, Type) {
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
