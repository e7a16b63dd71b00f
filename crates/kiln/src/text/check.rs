//! Names and types; from syntax tree to values.
//!
//! Owns what a name refers to, what type everything has, and which conversions stand between. The one idea: literals,
//! constants and operations on these alone have no type until they meet an operand that has one, so types are known
//! only after reading ahead. Three passes over the flat tree, each a loop:
//!
//! 1. `infer`, forward: resolves names, gives each node a type or the kind of number that it is, and notes at the root
//!    of an untyped expression the type that its context asks for. All errors of names and types are found here.
//! 2. `settle`, backward: hands these types down to the literals, and notes at which types each untyped `let` is needed.
//! 3. `build`, forward: makes the values. An untyped `let` that is needed at several types is built once for each.
//!
//! Variables and loops are `statements` (what they mean) and `flow` (what becomes of them); a formula's own functions
//! are `functions`: a body goes through the first two passes once for each combination of argument types, and through
//! the third at every call.
//!
//! Obligations of an adder: `infer` and `build` must agree on the type of every node; both ask `mix` and the function
//! table. Deliberately does not know syntax, nor what an operation computes.

#![forbid(unsafe_code)]

mod build;
mod calls;
mod flow;
mod functions;
#[cfg(test)]
mod hostile;
mod infer;
mod nulls;
#[cfg(test)]
mod programs;
mod recursion;
mod rows;
mod settle;
mod statements;
#[cfg(test)]
pub(crate) mod tests;

use super::ast::{Ast, Literal};
use super::lex::{HUGE, INTEGER, RADIX};
use super::symbols::{Symbol, Symbols};
use super::{FrontEnd, Limits};
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ir::rows::{RowParts, Source};
use crate::math::{self, Function, RowFunction};
use crate::pipeline::Request;
use crate::run::host::HostFunction;
use crate::span::{Diagnostic, Span, quote};
use crate::types::{Type, Value};
use flow::Flow;
use functions::Functions;
use statements::Statements;
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of a node's type before its context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// An error was reported; nothing more is said about what contains it.
    Error,
    /// The type.
    Typed(Type),
    /// A number without point or exponent, or made of such: at home in every type of numbers.
    Int,
    /// A number that only floats can be.
    Float,
    /// A number that only ints can be: made of bits.
    Whole,
}

/// The type that an untyped node gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// None: the node is typed, or its value is not needed.
    Nothing,
    /// This one.
    At(Type),
    /// The one at which the enclosing `let` is being built.
    OfLet,
}

/// What the passes note about a node.
#[derive(Clone, Copy, Debug)]
struct Info {
    known: Known,
    context: Context,
    /// `Name`: an input's, `let`'s or variable's number, see `LET` and `VAR`. `Let`, `Var`, `Assign`: the number.
    /// `Pow`, `Call` of a power: `LITERAL_POWER`. `Call` of the formula's function: see `OWN`. The beginning of a loop:
    /// its number. `Break`, `Continue`: the number of the variable that says so. `IfDo`: 1 if it may leave a loop's
    /// body.
    data: u32,
}

/// In `Info::data` of a `Name`: the number is a `let`'s.
const LET: u32 = 1 << 31;
/// In `Info::data` of a `Name`, with `LET`: the number is a variable's.
const VAR: u32 = 1 << 30;
/// In `Info::data` of a `Name`: a constant.
const CONSTANT: u32 = u32::MAX;
/// In `Info::data` of a power: the exponent is a literal.
const LITERAL_POWER: u32 = 1;
/// In `Info::data` of a `Call`: the formula's own function is called, and the number is the instance's.
const OWN: u32 = 1 << 31;

/// What a name refers to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Binding {
    Nothing,
    /// An input if it is used, of this type.
    Offered(Type),
    Input(u32),
    Let(u32),
    Var(u32),
    /// While the names of a function's body are resolved: one of its own, which can be assigned to or not.
    Local {
        is_var: bool,
    },
    /// An error was reported.
    Wrong,
}

/// What is known of a `let`.
#[derive(Clone, Copy, Debug)]
struct LetInfo {
    known: Known,
    /// The types at which an untyped one is needed, as bits.
    types: u8,
    /// Its value contains what is to be computed once: a block, a loop, a call with effects.
    has_block: bool,
    /// Its values by type.
    refs: [Ref; 5],
    /// Are they there? None if they always are.
    valid: Ref,
}

impl LetInfo {
    fn new(known: Known) -> LetInfo {
        LetInfo { known, types: 0, has_block: false, refs: [Ref::NONE; 5], valid: Ref::NONE }
    }

    /// Forgets its values, and has this one.
    fn start(&mut self, value: Ref, ty: Type) {
        self.refs = [Ref::NONE; 5];
        self.refs[ty as usize] = value;
    }
}

/// The memory of the three passes, and the inputs of the last check.
#[derive(Default)]
pub(crate) struct State {
    info: Vec<Info>,
    /// The values that wait for their operator, as nodes (`infer`).
    stack: Vec<u32>,
    bindings: Vec<Binding>,
    /// Bindings to be undone: symbol and what it was.
    undo: Vec<(Symbol, Binding)>,
    /// Open blocks, and loops that bind a name: their first marker, and where in `undo` they begin.
    scopes: Vec<(u32, u32)>,
    /// Names bound for the whole formula, also from within a block.
    everywhere: Vec<Symbol>,
    /// The last `Block` so far, or other node that makes a `let` have `has_block`.
    last_block: Option<u32>,
    lets: Vec<LetInfo>,
    inputs: Vec<(Symbol, Type)>,
    /// Names of several results.
    outputs: Vec<(Symbol, Span)>,
    statements: Statements,
    functions: Functions,
    flow: Flow,
    /// Lets that are built at several types: their `Let` nodes, last first.
    several: Vec<u32>,
    /// The values that wait for their operator (`build`).
    values: Vec<nulls::Val>,
    arguments: Vec<Ref>,
    argument_valids: Vec<Ref>,
    /// The formula's own functions that are being built (`build`).
    calls: Vec<build::ActiveCall>,
    /// The nodes of inputs.
    input_refs: Vec<Ref>,
    /// The first nodes of calls of row functions (`infer`).
    row_calls: Vec<u32>,
    /// By these: how many effects there were before the call was begun last (`build`).
    row_marks: HashMap<u32, usize>,
    row_parts: RowParts,
    /// By input: may it be null, and is it used?
    nullable: Vec<bool>,
    /// By input: the parameter that says whether it is there, unless it always is.
    input_valids: Vec<Ref>,
    /// The inputs that have such a parameter.
    validities: Vec<u32>,
    /// By result: is it there?
    result_valids: Vec<Ref>,
    /// In formulas with loops: are all inputs there?
    result_valid: Ref,
    /// For each `if` around: what must be there for its arms to matter, and its condition's own part of that.
    guards: Vec<Ref>,
    conditions: Vec<Ref>,
}

/// One check.
struct Checker<'a> {
    source: &'a str,
    ast: &'a Ast,
    symbols: &'a Symbols,
    sink: &'a mut super::Sink,
    state: &'a mut State,
    hosts: &'a [Arc<HostFunction>],
    /// The default type of inputs.
    input_type: Type,
    /// The inputs are declared: any other free name is an error.
    closed: bool,
    /// The type of untyped results, and the float and int defaults.
    default: Type,
    /// Evaluating something that is not needed might be noticed, or assigns to a variable.
    effects: bool,
    /// Row functions may be called.
    columns: bool,
    /// Inputs that may be null.
    nullable: &'a [String],
    limits: Limits,
}

/// The type in which two types of numbers meet; `None` for `bool` with a number.
fn mix(a: Type, b: Type) -> Option<Type> {
    match (a, b) {
        _ if a == b => Some(a),
        (Type::Bool, _) | (_, Type::Bool) => None,
        (Type::F64, _) | (_, Type::F64) => Some(Type::F64),
        (Type::F32, _) | (_, Type::F32) => Some(Type::F32),
        _ => Some(Type::I64),
    }
}

/// What a call refers to.
#[derive(Clone)]
enum Callee {
    Builtin(&'static Function),
    Row(&'static RowFunction),
    Host(Arc<HostFunction>),
}

impl FrontEnd {
    /// Resolves names and types of the tree and makes its values in `builder`, which is reset; the last of them is
    /// pushed to the function's results, unless there are errors. What is wrong is in `self.sink`.
    pub(crate) fn check(&mut self, source: &str, request: &Request<'_>, builder: &mut Builder) {
        let closed = self.declare(request);
        let default = if request.default_type == Type::Bool { Type::F64 } else { request.default_type };
        let effects = request.checked || !request.hosts.is_empty();
        let FrontEnd { symbols, ast, sink, state, .. } = self;
        let (hosts, input_type) = (request.hosts, request.default_type);
        let (limits, columns) = (request.limits, request.columns);
        let nullable = request.nullable;
        let mut checker = Checker {
            nullable,
            source,
            ast,
            symbols,
            sink,
            state,
            hosts,
            input_type,
            closed,
            default,
            effects,
            columns,
            limits,
        };
        checker.infer();
        checker.settle(0, checker.ast.nodes.len() as u32);
        checker.effects |= checker.state.statements.any;
        if !checker.sink.has_errors() {
            checker.build(builder);
        }
    }

    /// The inputs of the function that was checked last, in the order of its parameters.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.state.inputs.iter().map(|&(symbol, ty)| (self.symbols.name(symbol), ty))
    }

    /// The names of the results of the function that was checked last; none if it has a single one.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &str> {
        self.state.outputs.iter().map(|&(symbol, _)| self.symbols.name(symbol))
    }

    /// What stands for all rows in the function that was checked last.
    pub(crate) fn row_parts(&self) -> &RowParts {
        &self.state.row_parts
    }

    /// The inputs that have one more parameter each, behind all inputs, which says whether they are there.
    pub(crate) fn validities(&self) -> &[u32] {
        &self.state.validities
    }

    /// Forgets the last check and binds the names that are declared or offered. Are the inputs declared?
    fn declare(&mut self, request: &Request<'_>) -> bool {
        let state = &mut self.state;
        for &(symbol, _) in &state.undo {
            state.bindings[symbol.0 as usize] = Binding::Nothing;
        }
        for &symbol in &state.everywhere {
            state.bindings[symbol.0 as usize] = Binding::Nothing;
        }
        state.undo.clear();
        state.everywhere.clear();
        state.scopes.clear();
        state.inputs.clear();
        state.outputs.clear();
        state.row_parts.clear();
        state.nullable.clear();
        state.validities.clear();
        let mut declared = request.params.is_some();
        if self.ast.has_signature {
            declared = true;
            for i in 0..self.ast.signature as usize {
                let param = self.ast.params[i];
                self.declare_input(param.symbol, param.ty.unwrap_or(request.default_type), param.span);
            }
        } else if let Some(params) = request.params {
            for (name, ty) in params {
                let symbol = self.symbols.intern(name);
                self.declare_input(symbol, ty.unwrap_or(request.default_type), Span::default());
            }
        } else {
            for (name, ty) in request.known {
                // A name that the formula does not contain is no symbol.
                if let Some(symbol) = self.symbols.find(name) {
                    self.state.bind(symbol, Binding::Offered(*ty));
                }
            }
        }
        declared
    }

    fn declare_input(&mut self, symbol: Symbol, ty: Type, span: Span) {
        let name = self.symbols.name(symbol);
        if self.state.binding(symbol) != Binding::Nothing {
            let message = format!("there are two inputs with the name {}", quote(name));
            self.sink.push(Diagnostic::error("duplicate", span, message));
            return;
        }
        if let Some(lint) = shadows(symbol, name, span) {
            self.sink.push(lint);
        }
        self.state.bind(symbol, Binding::Input(self.state.inputs.len() as u32));
        self.state.inputs.push((symbol, ty));
    }
}

/// The warning that a new name hides a constant or looks like a function.
fn shadows(symbol: Symbol, name: &str, span: Span) -> Option<Diagnostic> {
    if symbol.is_constant() {
        return Some(Diagnostic::warning(
            "shadow/constant",
            span,
            format!("{} hides the constant of this name", quote(name)),
        ));
    }
    math::lookup(name)?;
    Some(Diagnostic::warning("shadow/function", span, format!("{} is also the name of a function", quote(name))))
}

impl State {
    /// How many bodies with types there were in the last check.
    #[cfg(test)]
    fn instances(&self) -> usize {
        self.functions.instances.len()
    }

    fn binding(&self, symbol: Symbol) -> Binding {
        self.bindings.get(symbol.0 as usize).copied().unwrap_or(Binding::Nothing)
    }

    /// Binds a name up to the end of the block.
    fn bind(&mut self, symbol: Symbol, binding: Binding) {
        self.undo.push((symbol, self.binding(symbol)));
        self.set(symbol, binding);
    }

    /// Undoes what was bound since there were `count` bindings.
    fn unbind(&mut self, count: usize) {
        while self.undo.len() > count {
            if let Some((symbol, before)) = self.undo.pop() {
                self.bindings[symbol.0 as usize] = before;
            }
        }
    }

    /// Binds a name that nothing hides, also beyond the block.
    fn bind_everywhere(&mut self, symbol: Symbol, binding: Binding) {
        self.everywhere.push(symbol);
        self.set(symbol, binding);
    }

    fn set(&mut self, symbol: Symbol, binding: Binding) {
        let index = symbol.0 as usize;
        if index >= self.bindings.len() {
            self.bindings.resize(index + 1, Binding::Nothing);
        }
        self.bindings[index] = binding;
    }
}

impl Checker<'_> {
    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.sink.push(Diagnostic::error(code, span, message));
    }

    fn default_float(&self) -> Type {
        if self.default.is_float() { self.default } else { Type::F64 }
    }

    fn default_int(&self) -> Type {
        if self.default.is_int() { self.default } else { Type::I64 }
    }

    /// The type that an untyped number takes next to `wanted`.
    fn fit(&self, known: Known, wanted: Type) -> Type {
        match known {
            Known::Float if !wanted.is_float() => self.default_float(),
            Known::Whole if !wanted.is_int() => self.default_int(),
            Known::Int if wanted == Type::Bool => self.default,
            _ => wanted,
        }
    }

    /// What a call of `symbol` with so many arguments refers to.
    #[inline]
    fn callee(&self, symbol: Symbol, arguments: usize) -> Option<Callee> {
        let name = self.symbols.name(symbol);
        // A host function wins over a built-in of its name.
        if let Some(host) = self.hosts.iter().find(|h| h.name() == name) {
            return Some(Callee::Host(host.clone()));
        }
        match math::lookup(name) {
            Some(function) if arguments != 1 || function.most != math::MANY => Some(Callee::Builtin(function)),
            found => math::row_function(name).map(Callee::Row).or(found.map(Callee::Builtin)),
        }
    }

    /// The value of a literal at a type, negated if `negative`; `None` if it does not fit.
    fn literal(&self, literal: Literal, span: Span, ty: Type, negative: bool) -> Option<Value> {
        let bits = if ty == Type::I32 { 32 } else { 64 };
        match ty {
            Type::Bool => None,
            Type::F64 => Some(Value::F64(if negative { -literal.value } else { literal.value })),
            Type::F32 => {
                let narrow = self.literal_f32(literal, span);
                let fits = narrow.is_finite() || literal.value.is_infinite();
                fits.then_some(Value::F32(if negative { -narrow } else { narrow }))
            }
            Type::I32 | Type::I64 => {
                let limit = if literal.flags & RADIX != 0 {
                    u64::MAX >> (64 - bits)
                } else {
                    (1 << (bits - 1)) - 1 + u64::from(negative)
                };
                let fits = literal.flags & (INTEGER | HUGE) == INTEGER && literal.int <= limit;
                let int = if negative { literal.int.wrapping_neg() } else { literal.int } as i64;
                fits.then_some(if ty == Type::I32 { Value::I32(int as i32) } else { Value::I64(int) })
            }
        }
    }

    /// The f32 nearest to the literal's text: rounding its f64 would round twice.
    fn literal_f32(&self, literal: Literal, span: Span) -> f32 {
        let narrow = literal.value as f32;
        if f64::from(narrow) == literal.value {
            return narrow;
        }
        if literal.flags & RADIX != 0 {
            return literal.int as f32;
        }
        let text = span.text(self.source).trim_matches(['(', ')', ' ', '\t', '\r', '\n']);
        let end = text.find(['f', 'i']).unwrap_or(text.len());
        text[..end].replace('_', "").parse().unwrap_or(narrow)
    }
}
