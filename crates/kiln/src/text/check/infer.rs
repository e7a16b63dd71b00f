//! The first pass, forward: what names mean and what is known of types.
//!
//! Owns name resolution and every type error. The one idea: a stack of the values that wait for their operator; an
//! operand without a type takes that of its neighbour, which is noted at the operand's root. Obligations of an adder:
//! what is said about a node here must be what `build` makes of it.

#![forbid(unsafe_code)]

use super::{Binding, CONSTANT, Checker, Context, Info, Known, LET, LITERAL_POWER, LetInfo, mix, shadows};
use crate::math;
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{FIRST, Kind, Literal, Node};
use crate::text::lex::{HUGE, INTEGER};
use crate::text::suggest;
use crate::text::symbols::Symbol;
use crate::types::Type;

pub(super) const BOOL: Known = Known::Typed(Type::Bool);

impl Checker<'_> {
    /// Resolves the names and infers the types of the tree.
    pub(super) fn infer(&mut self) {
        let count = self.ast.nodes.len();
        let blank = Info { known: Known::Error, context: Context::Nothing, data: 0 };
        self.state.info.clear();
        self.state.info.resize(count, blank);
        self.state.stack.clear();
        self.state.lets.clear();
        self.state.statements.clear();
        self.state.last_block = None;
        self.state.row_calls.clear();
        self.sink.set_again(false, None);
        self.prepare_functions();
        loop {
            let (from, to) = self.unit_range();
            if self.infer_range(from, to) && !self.complete() {
                break;
            }
        }
    }

    /// Infers the types of these nodes, up to a call that needs others to be looked at first: then false.
    fn infer_range(&mut self, from: u32, to: u32) -> bool {
        let mut index = from;
        while index < to {
            let node = self.ast.nodes[index as usize];
            match node.kind {
                Kind::Number => {
                    let known = self.infer_number(index, node);
                    self.push(index, known);
                }
                Kind::Name => {
                    let known = self.infer_name(index, node);
                    self.push(index, known);
                }
                kind if kind.is_binary() => {
                    let (y, x) = (self.pop(index), self.pop(index));
                    let known = self.infer_binary(index, node, x, y);
                    self.push(index, known);
                }
                kind if kind.is_prefix() => {
                    let x = self.pop(index);
                    let known = self.infer_prefix(node, x);
                    self.push(index, known);
                }
                Kind::Call => {
                    if !self.infer_call(index, node) {
                        return false;
                    }
                }
                Kind::FnBegin => {
                    index = self.define(index);
                    continue;
                }
                _ => self.infer_structure(index, node),
            }
            index += 1;
        }
        true
    }

    #[inline]
    pub(super) fn push(&mut self, index: u32, known: Known) {
        self.state.info[index as usize].known = known;
        self.state.stack.push(index);
    }

    /// The value before node `index`; after errors there may be none, and the node stands in for it.
    #[inline]
    pub(super) fn pop(&mut self, index: u32) -> u32 {
        self.state.stack.pop().unwrap_or(index)
    }

    /// What is known of a value now.
    #[inline]
    pub(super) fn known(&self, root: u32) -> Known {
        let info = self.state.info[root as usize];
        match info.context {
            Context::At(ty) => Known::Typed(ty),
            _ => info.known,
        }
    }

    pub(super) fn node(&self, root: u32) -> Node {
        self.ast.nodes[root as usize]
    }

    /// Gives an untyped value the type that it takes next to `wanted`; returns the value's type.
    pub(super) fn ask(&mut self, root: u32, wanted: Type) -> Option<Type> {
        match self.known(root) {
            Known::Error => None,
            Known::Typed(ty) => Some(ty),
            known => {
                let ty = self.fit(known, wanted);
                self.state.info[root as usize].context = Context::At(ty);
                Some(ty)
            }
        }
    }

    /// The values' common type; untyped ones take it. `Err` holds two that do not mix.
    pub(super) fn unify(&mut self, roots: &[u32]) -> Result<Known, (u32, u32)> {
        let mut common: Option<(Type, u32)> = None;
        let mut untyped = None;
        for &root in roots {
            match self.known(root) {
                Known::Error => return Ok(Known::Error),
                Known::Typed(ty) => match common {
                    None => common = Some((ty, root)),
                    Some((c, from)) => common = Some((mix(c, ty).ok_or((from, root))?, root)),
                },
                known => untyped = Some(join(untyped.unwrap_or(Known::Int), known)),
            }
        }
        let Some((wanted, from)) = common else { return Ok(untyped.unwrap_or(Known::Error)) };
        let mut all = wanted;
        if untyped.is_some() {
            for &root in roots {
                if wanted == Type::Bool && !matches!(self.known(root), Known::Typed(_)) {
                    return Err((from.min(root), from.max(root)));
                }
                let Some(ty) = self.ask(root, wanted) else { return Ok(Known::Error) };
                all = mix(all, ty).ok_or((from, root))?;
            }
        }
        Ok(Known::Typed(all))
    }

    /// The type in words, for a message.
    pub(super) fn describe(&self, root: u32) -> String {
        match self.known(root) {
            Known::Error => "wrong".to_owned(),
            Known::Typed(ty) => ty.name().to_owned(),
            _ => "a number".to_owned(),
        }
    }

    /// Two values that do not mix.
    #[cold]
    pub(super) fn do_not_mix(&mut self, span: Span, what: &str, x: u32, y: u32) {
        let (left, right) = (self.describe(x), self.describe(y));
        let (a, b) = (self.node(x).span(), self.node(y).span());
        let bool_side = if self.known(x) == BOOL { a } else { b };
        let help = format!("`f64({})` is 1 or 0", short(bool_side.text(self.source)));
        let message = format!("{what} cannot mix {left} and {right}");
        let diagnostic = Diagnostic::error("type", span, message).help(help);
        self.sink.push(diagnostic.label(a, format!("this is {left}")).label(b, format!("this is {right}")));
    }

    // Leaves.

    #[inline]
    fn infer_number(&mut self, index: u32, node: Node) -> Known {
        let literal = self.ast.literals[node.data as usize];
        match literal.suffix {
            None if literal.flags & (INTEGER | HUGE) == INTEGER => Known::Int,
            // Too many digits for 64 bits: only a float can be meant, unless an int is asked for.
            None => Known::Float,
            Some(ty) => {
                let negative = self.ast.nodes.get(index as usize + 1).is_some_and(|n| n.kind == Kind::Neg);
                if self.literal(literal, node.span(), ty, negative).is_none() {
                    let text = quote(node.span().text(self.source));
                    self.error("number/too-large", node.span(), format!("{text} does not fit {ty}"));
                }
                Known::Typed(ty)
            }
        }
    }

    #[inline]
    fn infer_name(&mut self, index: u32, node: Node) -> Known {
        let binding = self.binding_at(index, node.symbol());
        self.infer_bound(index, node, binding)
    }

    /// A name that refers to `binding`.
    #[inline]
    pub(super) fn infer_bound(&mut self, index: u32, node: Node, binding: Binding) -> Known {
        let symbol = node.symbol();
        let (data, known) = match binding {
            Binding::Input(number) => {
                if !self.nullable.is_empty() {
                    self.note_nullable(number);
                }
                (number, Known::Typed(self.state.inputs[number as usize].1))
            }
            Binding::Let(number) => (number | LET, self.state.lets[number as usize].known),
            Binding::Var(number) => self.infer_variable(number),
            Binding::Local { .. } | Binding::Wrong => return Known::Error,
            Binding::Offered(ty) => self.new_input(symbol, ty, node),
            Binding::Nothing if symbol.is_constant() => {
                let truth = symbol == Symbol::TRUE || symbol == Symbol::FALSE;
                (CONSTANT, if truth { BOOL } else { Known::Float })
            }
            Binding::Nothing if self.inside_function() => return Known::Error,
            Binding::Nothing if self.closed => return self.unknown_name(node),
            Binding::Nothing => self.new_input(symbol, self.input_type, node),
        };
        self.state.info[index as usize].data = data;
        known
    }

    #[cold]
    fn new_input(&mut self, symbol: Symbol, ty: Type, node: Node) -> (u32, Known) {
        if let Some(lint) = shadows(symbol, self.symbols.name(symbol), node.span()) {
            self.sink.push(lint);
        }
        let number = self.state.inputs.len() as u32;
        self.state.inputs.push((symbol, ty));
        self.state.bind_everywhere(symbol, Binding::Input(number));
        self.note_nullable(number);
        (number, Known::Typed(ty))
    }

    /// An input is used: if it may be null, it needs a parameter that says whether it is.
    fn note_nullable(&mut self, number: u32) {
        let name = self.symbols.name(self.state.inputs[number as usize].0);
        if self.nullable.iter().any(|nullable| nullable == name) {
            let nullable = &mut self.state.nullable;
            nullable.resize(nullable.len().max(number as usize + 1), false);
            nullable[number as usize] = true;
        }
    }

    #[cold]
    fn unknown_name(&mut self, node: Node) -> Known {
        let name = self.symbols.name(node.symbol());
        let mut diagnostic = Diagnostic::error("unknown-name", node.span(), format!("unknown name {}", quote(name)));
        if self.sink.wants_more() {
            let inputs = self.state.inputs.iter().map(|&(s, _)| self.symbols.name(s));
            let lets = self.state.undo.iter().map(|&(s, _)| self.symbols.name(s));
            let constants = ["pi", "tau", "e", "inf", "nan", "true", "false"];
            if math::lookup(name).is_some() {
                diagnostic = diagnostic.help(format!("{} is a function and needs its arguments", quote(name)));
            } else if let Some(near) = suggest::nearest(name, inputs.chain(lets).chain(constants)) {
                diagnostic = diagnostic.help(format!("did you mean {}?", quote(near))).fix(node.span(), near);
            } else if self.state.inputs.len() <= 8 {
                let names: Vec<String> = self.state.inputs.iter().map(|&(s, _)| quote(self.symbols.name(s))).collect();
                let help = if names.is_empty() {
                    "the formula has no inputs".to_owned()
                } else {
                    format!("the inputs are {}", names.join(", "))
                };
                diagnostic = diagnostic.help(help);
            }
        }
        self.sink.push(diagnostic);
        Known::Error
    }

    // Operators.

    fn infer_prefix(&mut self, node: Node, x: u32) -> Known {
        let known = self.known(x);
        let fine = match (node.kind, known) {
            (_, Known::Error) => return Known::Error,
            (Kind::Not, known) => {
                if known != BOOL {
                    self.needs_bool(node.span(), "`not`", "operand", x);
                }
                return BOOL;
            }
            (Kind::Complement, Known::Int) => return Known::Whole,
            (Kind::Complement, Known::Typed(ty)) => ty.is_int(),
            (Kind::Complement, known) => known == Known::Whole,
            (_, known) => known != BOOL,
        };
        if fine {
            return known;
        }
        let (text, needs) = (node.kind.text(), if node.kind == Kind::Complement { "an int" } else { "a number" });
        let message = format!("`{text}` needs {needs}, and its operand is {}", self.describe(x));
        let diagnostic = Diagnostic::error("type", node.span(), message);
        self.sink.push(if known == BOOL { diagnostic.help("`not` negates a condition") } else { diagnostic });
        Known::Error
    }

    #[cold]
    pub(super) fn needs_bool(&mut self, span: Span, what: &str, which: &str, root: u32) {
        let at = self.node(root).span();
        let message = format!("{what} needs a bool, and the {which} is {}", self.describe(root));
        let help = format!("compare it: `{} != 0`", short(at.text(self.source)));
        self.sink.push(Diagnostic::error("type", at, message).help(help).label(span, "needed here"));
    }

    #[inline]
    fn infer_binary(&mut self, index: u32, node: Node, x: u32, y: u32) -> Known {
        match node.kind {
            Kind::Pow => self.infer_power(index, node.span(), x, y),
            Kind::And | Kind::Or => {
                let what = if node.kind == Kind::And { "`and`" } else { "`or`" };
                for (root, which) in [(x, "left operand"), (y, "right operand")] {
                    if !matches!(self.known(root), Known::Error | BOOL) {
                        self.needs_bool(node.span(), what, which, root);
                    }
                }
                BOOL
            }
            Kind::BitAnd | Kind::BitOr | Kind::Shl | Kind::Shr => self.infer_bits(node, x, y),
            kind if kind.is_comparison() => {
                self.compare(kind, node.span(), x, y);
                BOOL
            }
            kind => match self.unify(&[x, y]) {
                Ok(BOOL) => {
                    let message = format!("`{}` needs numbers, and both operands are bool", kind.text());
                    let help = match kind {
                        Kind::Add => "`or` joins conditions; `f64(c)` is 1 or 0",
                        Kind::Mul => "`and` joins conditions; `f64(c)` is 1 or 0",
                        _ => "`f64(c)` is 1 or 0",
                    };
                    self.sink.push(Diagnostic::error("type", node.span(), message).help(help));
                    Known::Error
                }
                Ok(Known::Int | Known::Whole) if kind == Kind::Div => Known::Float,
                Ok(Known::Typed(ty)) if kind == Kind::Div && ty.is_int() => Known::Typed(Type::F64),
                Ok(known) => known,
                Err((a, b)) => {
                    self.do_not_mix(node.span(), &format!("`{}`", kind.text()), a, b);
                    Known::Error
                }
            },
        }
    }

    /// Comparisons give their operands a type at once.
    fn compare(&mut self, kind: Kind, span: Span, x: u32, y: u32) {
        match self.unify(&[x, y]) {
            Ok(BOOL) if !matches!(kind, Kind::Eq | Kind::Ne) => {
                let message = format!("`{}` needs numbers, and both operands are bool", kind.text());
                let help = "write `a < b and b < c` as the chain `a < b < c`, or compare with `==`";
                self.sink.push(Diagnostic::error("type", span, message).help(help));
            }
            Ok(known @ (Known::Int | Known::Float | Known::Whole)) => {
                let ty = self.fit(known, self.default);
                self.ask(x, ty);
                self.ask(y, ty);
            }
            Ok(_) => {}
            Err((a, b)) => self.do_not_mix(span, &format!("`{}`", kind.text()), a, b),
        }
    }

    fn infer_bits(&mut self, node: Node, x: u32, y: u32) -> Known {
        let shift = matches!(node.kind, Kind::Shl | Kind::Shr);
        let result = match self.unify(&[x, y]) {
            Ok(Known::Error) => return Known::Error,
            Ok(Known::Int | Known::Whole) => return Known::Whole,
            Ok(Known::Typed(ty)) if ty.is_int() || (ty == Type::Bool && !shift) => return Known::Typed(ty),
            other => other,
        };
        let text = node.kind.text();
        let (left, right) = (self.describe(x), self.describe(y));
        let needs = if shift { "ints" } else { "two ints or two bools" };
        let message = format!("`{text}` needs {needs}, and its operands are {left} and {right}");
        let mut diagnostic = Diagnostic::error("type", node.span(), message);
        let has_bool = self.known(x) == BOOL || self.known(y) == BOOL;
        if !shift && (has_bool || result.is_err()) {
            let word = if node.kind == Kind::BitAnd { "and" } else { "or" };
            let help = format!("`{word}` joins conditions, and binds less tightly than comparisons do");
            diagnostic = diagnostic.help(help).fix(Span::new(node.data, node.data + 1), word);
        } else {
            diagnostic = diagnostic.help("`i64(x)` makes an int of a number");
        }
        self.sink.push(diagnostic);
        Known::Error
    }

    /// `x ^ y` and `pow(x, y)`.
    pub(super) fn infer_power(&mut self, index: u32, span: Span, x: u32, y: u32) -> Known {
        let (base, exponent) = (self.known(x), self.known(y));
        if base == Known::Error || exponent == Known::Error {
            return Known::Error;
        }
        if base == BOOL || exponent == BOOL {
            let message = format!(
                "`^` is the power and needs numbers; its operands are {} and {}",
                self.describe(x),
                self.describe(y)
            );
            self.sink.push(Diagnostic::error("type", span, message).help("exclusive or is `xor(a, b)`"));
            return Known::Error;
        }
        let literal = if matches!(exponent, Known::Int | Known::Float) { self.exponent(y) } else { None };
        let Some((_, negative)) = literal else {
            return match self.unify(&[x, y]) {
                Ok(known) => known,
                Err((a, b)) => {
                    self.do_not_mix(span, "`^`", a, b);
                    Known::Error
                }
            };
        };
        self.state.info[index as usize].data = LITERAL_POWER | y << 1;
        match base {
            Known::Typed(ty) if ty.is_int() && exponent == Known::Int => {
                if negative {
                    let message = format!("a power of {ty} with a negative exponent is no int");
                    let help =
                        format!("make the base a float: `f64({})`", short(self.node(x).span().text(self.source)));
                    self.sink.push(Diagnostic::error("type", self.node(y).span(), message).help(help));
                }
                self.ask(y, ty);
                base
            }
            Known::Typed(ty) if ty.is_int() => Known::Typed(self.default_float()),
            Known::Typed(_) => base,
            Known::Int | Known::Whole if exponent == Known::Int && !negative => base,
            _ => Known::Float,
        }
    }

    /// The literal that the value at `root` is, and whether it is negated.
    pub(super) fn exponent(&self, root: u32) -> Option<(Literal, bool)> {
        let node = self.node(root);
        let (number, negative) = if node.kind == Kind::Neg { (self.node(root - 1), true) } else { (node, false) };
        if number.kind != Kind::Number {
            return None;
        }
        let literal = self.ast.literals[number.data as usize];
        literal.suffix.is_none().then_some((literal, negative))
    }

    // Structure.

    fn infer_structure(&mut self, index: u32, node: Node) {
        match node.kind {
            Kind::Link => {
                let (y, x) = (self.pop(index), self.pop(index));
                if node.flags & FIRST == 0 {
                    self.pop(index);
                }
                let span = self.node(x).span().join(self.node(y).span());
                self.compare(node.link(), span, x, y);
                self.push(index, BOOL);
                self.state.stack.push(y);
            }
            Kind::Chain => {
                self.pop(index);
                self.pop(index);
                self.push(index, BOOL);
            }
            Kind::IfThen => {
                if let Some(&condition) = self.state.stack.last()
                    && !matches!(self.known(condition), Known::Error | BOOL)
                {
                    self.needs_bool(node.span(), "`if`", "condition", condition);
                }
            }
            Kind::If => self.infer_if(index, node),
            Kind::BlockBegin => self.state.scopes.push((index, self.state.undo.len() as u32)),
            Kind::Block => {
                let value = self.drain(node.first).map_or(Known::Error, |root| self.known(root));
                self.check_jumps(node.first);
                self.close_scope();
                self.state.last_block = Some(index);
                self.push(index, value);
            }
            Kind::Let => self.infer_let(index, node),
            Kind::Error => {
                self.drain(node.first);
                // A block that was given up has not ended.
                while self.state.scopes.last().is_some_and(|&(begin, _)| begin >= node.first) {
                    self.close_scope();
                }
                self.abandon_loops(node.first);
                self.push(index, Known::Error);
            }
            Kind::Program => {
                if let Some(result) = self.drain(0) {
                    self.ask(result, self.default);
                }
            }
            Kind::IfElse | Kind::Right => {}
            _ => self.infer_statement(index, node),
        }
    }

    /// Takes all values from node `first` on; returns the last.
    pub(super) fn drain(&mut self, first: u32) -> Option<u32> {
        let last = self.state.stack.last().copied().filter(|&root| root >= first);
        while self.state.stack.last().is_some_and(|&root| root >= first) {
            self.state.stack.pop();
        }
        last
    }

    pub(super) fn close_scope(&mut self) {
        if self.state.scopes.len() > self.state.functions.scopes_outside()
            && let Some((_, start)) = self.state.scopes.pop()
        {
            self.state.unbind(start as usize);
        }
    }

    fn infer_if(&mut self, index: u32, node: Node) {
        let (y, x) = (self.pop(index), self.pop(index));
        self.drain(node.first);
        let known = match self.unify(&[x, y]) {
            Ok(known) => known,
            Err((a, b)) => {
                self.do_not_mix(node.span(), "`if`", a, b);
                Known::Error
            }
        };
        self.push(index, known);
    }

    fn infer_let(&mut self, index: u32, node: Node) {
        let value = self.drain(node.first);
        let symbol = node.symbol();
        let known = value.map_or(Known::Error, |root| self.known(root));
        self.lint_name(symbol, self.statement_name(node));
        let number = self.state.lets.len() as u32;
        let has_block = self.state.last_block.is_some_and(|block| block >= node.first);
        self.state.lets.push(LetInfo { has_block, ..LetInfo::new(known) });
        self.state.info[index as usize].data = number;
        self.state.bind(symbol, Binding::Let(number));
    }
}

/// The kind of number that two kinds give.
fn join(a: Known, b: Known) -> Known {
    match (a, b) {
        (Known::Float, _) | (_, Known::Float) => Known::Float,
        (Known::Whole, _) | (_, Known::Whole) => Known::Whole,
        _ => Known::Int,
    }
}

/// The text if it is short, for a help line that repeats it.
pub(super) fn short(text: &str) -> &str {
    if text.len() <= 24 && !text.contains(['\n', '`']) { text } else { "..." }
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
