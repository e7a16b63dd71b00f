//! From syntax tree to values: names, types, and what formulas mean.
//!
//! Owns the binding of names, the mixing rules and the order in which the builder is driven. The one idea: a literal, a
//! constant, or an operation on these alone has *no type yet*; on the value stack it is just the range of tree nodes
//! that makes it, which post-order keeps contiguous. When it meets a typed operand the range is walked again with that
//! type for its literals. A `let` of such a range keeps one value for each type that it was asked for.
//!
//! Every walk is a loop over the nodes; ranges inside ranges wait on a list, never on the call stack. Errors go to the
//! sink and leave `Value::Bad` behind, which silences what depends on it. Obligations of an adder: a new kind of node
//! gets an arm in `visit`. Knows no instruction, and of the intermediate representation only its builder.

#![forbid(unsafe_code)]

mod calls;
mod names;
mod operators;

use super::FrontEnd;
use super::ast::{Kind, Node};
use super::symbols::Symbol;
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ops::Op;
use crate::pipeline::Request;
use crate::span::{Diagnostic, Span};
use crate::types::Type;
use std::collections::HashMap;

/// What a part of the formula is, while it is being checked.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// A value of the function that is being built.
    Typed(Ref),
    /// Without a type yet: the nodes from `first` to `last`.
    Untyped { first: u32, last: u32 },
    /// Something was wrong with it, and has been said.
    Bad,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum Binding {
    /// Nothing yet.
    Free,
    /// An input or a typed `let`.
    Typed(Ref),
    /// A `let` without a type, and where its values for each type are kept.
    Untyped { first: u32, last: u32, memo: u32 },
    /// A `let` whose value was wrong.
    Bad,
}

/// A walk over a range of nodes.
#[derive(Clone, Copy, Debug)]
struct Walk {
    next: u32,
    last: u32,
    /// The type of literals; none if they stay without one.
    literals: Option<Type>,
    /// Where the value goes when it is there: the memo of a `let`.
    memo: Option<u32>,
}

/// The right operand of `and` or `or`, which runs only if it matters.
#[derive(Clone, Copy, Debug)]
struct Guard {
    /// The operand's first node.
    start: u32,
    kind: Kind,
}

/// The checker's memory.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By symbol.
    bindings: Vec<Binding>,
    inputs: Vec<(Symbol, Type)>,
    stack: Vec<Value>,
    walks: Vec<Walk>,
    /// Values of untyped `let`s by type.
    memos: Vec<[Option<Value>; 5]>,
    /// What names meant outside the open blocks.
    shadowed: Vec<(Symbol, Binding)>,
    /// Where each open block starts in `shadowed`.
    blocks: Vec<usize>,
    /// Conditions of choices without a type, by their first node: last node and value. They are evaluated once.
    conditions: HashMap<u32, (u32, Ref)>,
    guards: Vec<Guard>,
    /// Is the right operand of the innermost guarded `and` or `or` really in an arm?
    guarded: Vec<bool>,
    links: Vec<Kind>,
    args: Vec<Ref>,
}

impl State {
    fn reset(&mut self, symbols: usize) {
        self.bindings.clear();
        self.bindings.resize(symbols, Binding::Free);
        self.inputs.clear();
        self.stack.clear();
        self.walks.clear();
        self.memos.clear();
        self.shadowed.clear();
        self.blocks.clear();
        self.conditions.clear();
        self.guards.clear();
        self.guarded.clear();
    }
}

impl FrontEnd {
    /// Checks the tree and builds its function in `builder`, which has been reset. What is wrong goes to the sink.
    pub(crate) fn check(&mut self, source: &str, request: &Request<'_>, builder: &mut Builder) {
        self.state.reset(self.symbols.len());
        let closed = self.ast.has_signature || request.params.is_some();
        let default = match request.default_type {
            Type::Bool => Type::F64,
            ty => ty,
        };
        let mut checker = Checker { front: self, request, builder, source, closed, default };
        checker.declare();
        // A tree with syntax errors is not worth checking: what is missing would be reported as unknown.
        if checker.front.sink.has_errors() || checker.front.ast.nodes.is_empty() {
            return;
        }
        let last = checker.front.ast.nodes.len() as u32 - 1;
        checker.find_guards();
        let value = checker.walk(Walk { next: 0, last, literals: None, memo: None });
        if let Value::Typed(r) = checker.typed(value, default) {
            checker.builder.func.results.push(r);
        }
    }

    /// The inputs of the formula that was checked last.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.state.inputs.iter().map(|&(symbol, ty)| (self.symbols.name(symbol), ty))
    }
}

struct Checker<'a, 'b> {
    front: &'a mut FrontEnd,
    request: &'a Request<'b>,
    builder: &'a mut Builder,
    source: &'a str,
    /// There is a signature: no other name becomes an input.
    closed: bool,
    /// The type of literals that nothing else gives a type.
    default: Type,
}

/// The type of an operation on both types, if they mix.
const fn mix(a: Type, b: Type) -> Option<Type> {
    match (a, b) {
        (Type::Bool, Type::Bool) => Some(Type::Bool),
        (Type::Bool, _) | (_, Type::Bool) => None,
        (Type::F64, _) | (_, Type::F64) => Some(Type::F64),
        (Type::F32, _) | (_, Type::F32) => Some(Type::F32),
        (Type::I64, _) | (_, Type::I64) => Some(Type::I64),
        (Type::I32, Type::I32) => Some(Type::I32),
    }
}

impl Checker<'_, '_> {
    /// Reports an error.
    #[cold]
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Value {
        self.report(Diagnostic::error(code, span, message))
    }

    #[cold]
    fn report(&mut self, diagnostic: Diagnostic) -> Value {
        self.front.sink.push(diagnostic);
        Value::Bad
    }

    fn node(&self, index: u32) -> Node {
        self.front.ast.nodes[index as usize]
    }

    fn ty(&self, value: Value) -> Option<Type> {
        match value {
            Value::Typed(r) => Some(self.builder.ty(r)),
            _ => None,
        }
    }

    fn pop(&mut self) -> Value {
        self.front.state.stack.pop().unwrap_or(Value::Bad)
    }

    /// The value with a type: its own, or `literals` for its literals.
    fn typed(&mut self, value: Value, literals: Type) -> Value {
        match value {
            Value::Untyped { first, last } => {
                self.walk(Walk { next: first, last, literals: Some(literals), memo: None })
            }
            value => value,
        }
    }

    /// Converts to a type that the value's own type mixes to.
    fn convert(&mut self, value: Value, ty: Type) -> Ref {
        match value {
            Value::Typed(r) => self.builder.convert(r, ty),
            _ => self.builder.small(ty, 0),
        }
    }

    /// The common type of values, which get types where they have none. `None` if one is bad, or they do not mix, in which
    /// case the two types are given.
    fn unify(&mut self, values: &mut [Value]) -> Result<Type, Option<(Type, Type)>> {
        let mut common: Option<Type> = None;
        for &value in values.iter() {
            match value {
                Value::Bad => return Err(None),
                Value::Untyped { .. } => {}
                Value::Typed(r) => common = Some(join(common, self.builder.ty(r))?),
            }
        }
        let literals = match common {
            None | Some(Type::Bool) => self.default,
            Some(ty) => ty,
        };
        for value in values.iter_mut() {
            if let Value::Untyped { .. } = *value {
                *value = self.typed(*value, literals);
                common = Some(join(common, self.ty(*value).ok_or(None)?)?);
            }
        }
        common.ok_or(None)
    }

    /// Walks over a range of nodes and gives its value.
    fn walk(&mut self, walk: Walk) -> Value {
        let outer = std::mem::take(&mut self.front.state.walks);
        let bottom = self.front.state.stack.len();
        let mut walk = walk;
        loop {
            while walk.next <= walk.last {
                let index = walk.next;
                walk.next += 1;
                if !self.enter(&mut walk, index) {
                    continue;
                }
                let node = self.node(index);
                self.builder.set_span(node.span());
                if let Some(inner) = self.visit(index, &node, walk.literals) {
                    // A `let` must be walked for a new type before its name can be visited.
                    walk.next = index;
                    self.front.state.walks.push(walk);
                    walk = inner;
                }
            }
            if let (Some(memo), Some(ty)) = (walk.memo, walk.literals) {
                let value = self.pop();
                self.front.state.memos[memo as usize][ty as usize] = Some(value);
            }
            match self.front.state.walks.pop() {
                Some(next) => walk = next,
                None => break,
            }
        }
        self.front.state.walks = outer;
        let value = self.front.state.stack.pop().unwrap_or(Value::Bad);
        self.front.state.stack.truncate(bottom);
        value
    }

    /// What is to be done before a node is visited: known conditions are skipped, guarded operands begin.
    fn enter(&mut self, walk: &mut Walk, index: u32) -> bool {
        if walk.literals.is_some() {
            if let Some(&(last, condition)) = self.front.state.conditions.get(&index) {
                self.front.state.stack.push(Value::Typed(condition));
                walk.next = last + 1;
                return false;
            }
        } else if let Some(&Guard { start, kind }) = self.front.state.guards.last()
            && start == index
        {
            self.front.state.guards.pop();
            self.begin_guarded(kind);
        }
        true
    }

    /// Finds the operands that must not run unless they matter: only effects make a difference.
    fn find_guards(&mut self) {
        let effects = self.request.checked || self.request.hosts.iter().any(|h| !h.is_pure() || h.is_fallible());
        if !effects {
            return;
        }
        let nodes = &self.front.ast.nodes;
        let guards = nodes.iter().enumerate().filter(|(_, n)| matches!(n.kind, Kind::And | Kind::Or));
        let guards = guards.map(|(i, n)| Guard { start: nodes[i - 1].first, kind: n.kind });
        self.front.state.guards.extend(guards);
        self.front.state.guards.sort_by_key(|g| std::cmp::Reverse(g.start));
    }

    /// Visits a node whose children have been visited. Gives a walk that must come first, if there is one.
    fn visit(&mut self, index: u32, node: &Node, literals: Option<Type>) -> Option<Walk> {
        let untyped = Value::Untyped { first: node.first, last: index };
        let value = match node.kind {
            Kind::Number => match self.front.ast.literals[node.data as usize].suffix.or(literals) {
                Some(ty) => self.number(index, node, ty),
                None => untyped,
            },
            Kind::Name => match self.name(node, literals, untyped) {
                Ok(value) => value,
                Err(walk) => return Some(walk),
            },
            Kind::Let => {
                self.bind(node);
                return None;
            }
            Kind::BlockBegin => {
                let open = self.front.state.shadowed.len();
                self.front.state.blocks.push(open);
                return None;
            }
            Kind::Block => {
                self.leave_block();
                return None;
            }
            Kind::Program | Kind::Link => return None,
            Kind::IfThen => {
                self.begin_then(index, literals);
                return None;
            }
            Kind::IfElse => {
                if literals.is_none() {
                    self.builder.begin_else();
                }
                return None;
            }
            Kind::If => self.choice(index, node, literals, untyped),
            Kind::Chain => self.chain(index, node),
            Kind::Call => self.call(index, node, untyped),
            Kind::Error => Value::Bad,
            kind if kind.is_prefix() => {
                let operand = self.pop();
                self.prefix(kind, operand, index, node, untyped)
            }
            kind => {
                let (b, a) = (self.pop(), self.pop());
                self.binary(kind, a, b, index, node, untyped)
            }
        };
        self.front.state.stack.push(value);
        None
    }

    /// The condition has been visited, the first arm begins.
    fn begin_then(&mut self, index: u32, literals: Option<Type>) {
        let condition = self.pop();
        let (first, last) = (self.node(index - 1).first, index - 1);
        let r = match condition {
            Value::Typed(r) if self.builder.ty(r) == Type::Bool => Some(r),
            Value::Bad => None,
            condition => {
                self.wrong_condition(condition, self.node(last).span());
                None
            }
        };
        self.front.state.stack.push(r.map_or(Value::Bad, Value::Typed));
        if literals.is_none() {
            let r = r.unwrap_or_else(|| self.builder.constant(crate::types::Value::Bool(true)));
            self.front.state.conditions.insert(first, (last, r));
            self.builder.begin_if(r);
        }
    }

    fn wrong_condition(&mut self, condition: Value, span: Span) {
        let what = match self.ty(condition) {
            Some(ty) => ty.name(),
            None => "a number",
        };
        let text = span.text(self.source);
        self.report(
            Diagnostic::error("type", span, format!("a condition must be a bool, and this is {what}"))
                .help(format!("write a comparison, such as `{} != 0`", crate::span::quote(text).trim_matches('`'))),
        );
    }

    /// Both arms have been visited.
    fn choice(&mut self, index: u32, node: &Node, literals: Option<Type>, untyped: Value) -> Value {
        let (b, a) = (self.pop(), self.pop());
        let condition = self.pop();
        let mut arms = [a, b];
        let untyped_arms = arms.iter().all(|arm| matches!(arm, Value::Untyped { .. }));
        let unified = if untyped_arms { Err(None) } else { self.unify(&mut arms) };
        let Value::Typed(c) = condition else {
            if literals.is_none() {
                let any = self.builder.constant(crate::types::Value::Bool(true));
                self.builder.end_if(any, any);
            }
            return Value::Bad;
        };
        match unified {
            Ok(ty) => {
                let (a, b) = (self.convert(arms[0], ty), self.convert(arms[1], ty));
                Value::Typed(if literals.is_none() { self.builder.end_if(a, b) } else { self.builder.select(c, a, b) })
            }
            Err(types) => {
                if literals.is_none() {
                    self.builder.end_if(c, c);
                }
                if untyped_arms {
                    return untyped;
                }
                if let Some((a, b)) = types {
                    let _ = index;
                    self.report(
                        Diagnostic::error("type", node.span(), format!("the arms have types {a} and {b}, which do not mix"))
                            .help(conversion_help(a, b)),
                    );
                }
                Value::Bad
            }
        }
    }
}

/// The common type so far mixed with one more.
fn join(common: Option<Type>, ty: Type) -> Result<Type, Option<(Type, Type)>> {
    match common {
        None => Ok(ty),
        Some(common) => mix(common, ty).ok_or(Some((common, ty))),
    }
}

/// How to make a bool and a number mix.
fn conversion_help(a: Type, b: Type) -> String {
    let number = if a == Type::Bool { b } else { a };
    format!("convert the bool, as in `{number}(...)`, or compare the number, as in `... != 0`")
}

impl Checker<'_, '_> {
    /// The left operand of `and` or `or` has been visited: the right one runs only if the left one leaves it open.
    fn begin_guarded(&mut self, kind: Kind) {
        let left = self.front.state.stack.last().copied();
        let bool_left = match left {
            Some(Value::Typed(r)) if self.builder.ty(r) == Type::Bool => Some(r),
            _ => None,
        };
        self.front.state.guarded.push(bool_left.is_some());
        if let Some(r) = bool_left {
            let condition = if kind == Kind::And { r } else { self.builder.unary(Op::Not, r) };
            self.builder.begin_if(condition);
        }
    }

    /// The right operand has been visited: `right` if it ran, else what the left operand alone decides.
    fn end_guarded(&mut self, kind: Kind, right: Ref) -> Option<Ref> {
        if !self.front.state.guarded.pop()? {
            return None;
        }
        self.builder.begin_else();
        let decided = self.builder.constant(crate::types::Value::Bool(kind == Kind::Or));
        Some(self.builder.end_if(right, decided))
    }
}
