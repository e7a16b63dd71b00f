//! The first pass, forward: what names mean and what is known of types.
//!
//! Owns name resolution and every type error. The one idea: a stack of the values that wait for their operator; an
//! operand without a type takes that of its neighbour, which is noted at the operand's root. Obligations of an adder:
//! what is said about a node here must be what `build` makes of it.

#![forbid(unsafe_code)]

use super::{Binding, CONSTANT, Callee, Checker, Context, Info, Known, LET, LITERAL_POWER, LetInfo, mix, shadows};
use crate::ir::Ref;
use crate::math::{self, Class, Function, Output, Rule};
use crate::run::host::HostFunction;
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{FIRST, Kind, Literal, Node};
use crate::text::lex::{HUGE, INTEGER};
use crate::text::suggest;
use crate::text::symbols::Symbol;
use crate::types::Type;

const BOOL: Known = Known::Typed(Type::Bool);

impl Checker<'_> {
    /// Resolves the names and infers the types of the tree.
    pub(super) fn infer(&mut self) {
        let count = self.ast.nodes.len();
        let blank = Info { known: Known::Error, context: Context::Nothing, data: 0 };
        self.state.info.clear();
        self.state.info.resize(count, blank);
        self.state.stack.clear();
        self.state.lets.clear();
        self.state.last_block = None;
        for index in 0..count as u32 {
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
                Kind::Call => self.infer_call(index, node),
                _ => self.infer_structure(index, node),
            }
        }
    }

    #[inline]
    fn push(&mut self, index: u32, known: Known) {
        self.state.info[index as usize].known = known;
        self.state.stack.push(index);
    }

    /// The value before node `index`; after errors there may be none, and the node stands in for it.
    #[inline]
    fn pop(&mut self, index: u32) -> u32 {
        self.state.stack.pop().unwrap_or(index)
    }

    /// What is known of a value now.
    #[inline]
    fn known(&self, root: u32) -> Known {
        let info = self.state.info[root as usize];
        match info.context {
            Context::At(ty) => Known::Typed(ty),
            _ => info.known,
        }
    }

    fn node(&self, root: u32) -> Node {
        self.ast.nodes[root as usize]
    }

    /// Gives an untyped value the type that it takes next to `wanted`; returns the value's type.
    fn ask(&mut self, root: u32, wanted: Type) -> Option<Type> {
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
    fn unify(&mut self, roots: &[u32]) -> Result<Known, (u32, u32)> {
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
    fn describe(&self, root: u32) -> String {
        match self.known(root) {
            Known::Error => "wrong".to_owned(),
            Known::Typed(ty) => ty.name().to_owned(),
            _ => "a number".to_owned(),
        }
    }

    /// Two values that do not mix.
    #[cold]
    fn do_not_mix(&mut self, span: Span, what: &str, x: u32, y: u32) {
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
        let symbol = node.symbol();
        let (data, known) = match self.state.binding(symbol) {
            Binding::Input(number) => (number, Known::Typed(self.state.inputs[number as usize].1)),
            Binding::Let(number) => (number | LET, self.state.lets[number as usize].known),
            Binding::Offered(ty) => self.new_input(symbol, ty, node),
            Binding::Nothing if symbol.is_constant() => {
                let truth = symbol == Symbol::TRUE || symbol == Symbol::FALSE;
                (CONSTANT, if truth { BOOL } else { Known::Float })
            }
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
        (number, Known::Typed(ty))
    }

    #[cold]
    fn unknown_name(&mut self, node: Node) -> Known {
        let name = self.symbols.name(node.symbol());
        let mut diagnostic = Diagnostic::error("unknown-name", node.span(), format!("unknown name {}", quote(name)));
        if self.sink.wants_more() {
            let inputs = self.state.inputs.iter().map(|&(s, _)| self.symbols.name(s));
            let lets = self.state.lets.iter().map(|l| self.symbols.name(l.symbol));
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
    fn needs_bool(&mut self, span: Span, what: &str, which: &str, root: u32) {
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
    fn infer_power(&mut self, index: u32, span: Span, x: u32, y: u32) -> Known {
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

    // Calls.

    fn infer_call(&mut self, index: u32, node: Node) {
        let start = self.state.stack.len().saturating_sub(node.count as usize);
        let mut stack = std::mem::take(&mut self.state.stack);
        let known = self.infer_call_of(index, node, &stack[start..]);
        stack.truncate(start);
        self.state.stack = stack;
        self.push(index, known);
    }

    fn infer_call_of(&mut self, index: u32, node: Node, arguments: &[u32]) -> Known {
        match self.callee(node.symbol()) {
            None => self.unknown_function(node),
            Some(Callee::Host(host)) => self.infer_host_call(node, &host, arguments),
            Some(Callee::Builtin(function)) => {
                if !function.accepts(arguments.len()) {
                    let expected = match (function.least, function.most) {
                        (least, most) if least == most => format!("{least} argument{}", plural(least.into())),
                        (least, math::MANY) => format!("at least {least} argument{}", plural(least.into())),
                        (least, most) => format!("{least} to {most} arguments"),
                    };
                    self.arity(node, &expected, arguments.len(), function.signature);
                    return self.result_after_error(function);
                }
                match function.rule {
                    Rule::Power => self.infer_power(index, node.span(), arguments[0], arguments[1]),
                    Rule::Conversion(ty) => {
                        self.ask(arguments[0], if ty == Type::Bool { self.default } else { ty });
                        Known::Typed(ty)
                    }
                    _ => self.infer_function(node, function, arguments),
                }
            }
        }
    }

    fn infer_function(&mut self, node: Node, function: &Function, arguments: &[u32]) -> Known {
        let counted = matches!(function.rule, Rule::Counted(_));
        let mixing = if counted { &arguments[..1] } else { arguments };
        if counted {
            for &argument in &arguments[1..] {
                if self.ask(argument, Type::I64) == Some(Type::Bool) {
                    self.wrong_class(node, function, argument, "a number");
                }
            }
        }
        let class = function.rule.class();
        let common = match self.unify(mixing) {
            Ok(common) => common,
            Err((x, y)) => {
                self.do_not_mix(node.span(), &quote(function.name), x, y);
                return self.result_after_error(function);
            }
        };
        match common {
            Known::Error => self.result_after_error(function),
            Known::Typed(ty) if class.admits(ty) => Known::Typed(function.result(ty)),
            Known::Typed(ty) => {
                let culprit = mixing.iter().copied().find(|&a| self.known(a) == Known::Typed(ty));
                self.wrong_class(node, function, culprit.unwrap_or(mixing[0]), class.describe());
                self.result_after_error(function)
            }
            untyped => {
                let only_ints = matches!(class, Class::Int | Class::Bits);
                if only_ints && untyped == Known::Float {
                    self.wrong_class(node, function, mixing[0], class.describe());
                    return self.result_after_error(function);
                }
                if !matches!(function.rule, Rule::Mixed(_, Output::Fixed(_))) {
                    return match class {
                        Class::Float => Known::Float,
                        Class::Int | Class::Bits => Known::Whole,
                        Class::Number | Class::Any => untyped,
                    };
                }
                // The result's type does not depend on the context, so the arguments get theirs now.
                let wanted = self.fit(if only_ints { Known::Whole } else { untyped }, self.default);
                for &argument in mixing {
                    self.ask(argument, wanted);
                }
                Known::Typed(function.result(wanted))
            }
        }
    }

    /// What a call that is wrong would have given, where that does not depend on its arguments.
    fn result_after_error(&self, function: &Function) -> Known {
        match function.rule {
            Rule::Conversion(ty) | Rule::Mixed(_, Output::Fixed(ty)) => Known::Typed(ty),
            _ => Known::Error,
        }
    }

    #[cold]
    fn wrong_class(&mut self, node: Node, function: &Function, argument: u32, expected: &str) {
        let at = self.node(argument).span();
        let message =
            format!("{} expects {expected}, and this argument is {}", quote(function.name), self.describe(argument));
        let text = short(at.text(self.source));
        let help = if self.known(argument) == BOOL {
            format!("`f64({text})` is 1 or 0")
        } else {
            format!("`i64({text})` makes an int")
        };
        self.sink.push(Diagnostic::error("type", at, message).help(help).label(node.span(), function.signature));
    }

    fn infer_host_call(&mut self, node: Node, host: &HostFunction, arguments: &[u32]) -> Known {
        let result = Known::Typed(host.result());
        let params = host.params();
        if arguments.len() != params.len() {
            let names: Vec<&str> = params.iter().map(|t| t.name()).collect();
            let signature = format!("{}({}) -> {}", host.name(), names.join(", "), host.result());
            let expected = format!("{} argument{}", params.len(), plural(params.len()));
            self.arity(node, &expected, arguments.len(), &signature);
            return result;
        }
        for (&argument, &param) in arguments.iter().zip(params) {
            let untyped = !matches!(self.known(argument), Known::Typed(_) | Known::Error);
            let wanted = if param == Type::Bool { self.default } else { param };
            let Some(ty) = self.ask(argument, wanted) else { continue };
            // Widening is silent, as in any mix; what would lose something is to be written.
            if mix(ty, param) != Some(param) && !(untyped && ty.is_float() && param.is_float()) {
                let at = self.node(argument).span();
                let message = format!("{} expects {param}, and this argument is {ty}", quote(host.name()));
                let help = format!("convert it: `{param}({})`", short(at.text(self.source)));
                self.sink.push(Diagnostic::error("type", at, message).help(help));
            }
        }
        result
    }

    #[cold]
    fn arity(&mut self, node: Node, expected: &str, count: usize, signature: &str) {
        let name = quote(self.symbols.name(node.symbol()));
        let message = format!("{name} takes {expected}, and this call has {count}");
        self.sink
            .push(Diagnostic::error("arity", node.span(), message).help(format!("its signature is `{signature}`")));
    }

    #[cold]
    fn unknown_function(&mut self, node: Node) -> Known {
        let symbol = node.symbol();
        let name = self.symbols.name(symbol);
        let quoted = quote(name);
        let width = self.node_name_width(node);
        let span = Span::new(node.start, node.start + width);
        if let Some(reserved) = math::lookup_reserved(name) {
            self.sink.push(Diagnostic::error("unsupported", span, format!("{quoted} {}", reserved.note)));
            return Known::Error;
        }
        let mut diagnostic = Diagnostic::error("unknown-function", span, format!("unknown function {quoted}"));
        if self.sink.wants_more() {
            let builtins = math::all().iter().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
            let hosts = self.hosts.iter().map(|h| h.name());
            if !matches!(self.state.binding(symbol), Binding::Nothing) {
                diagnostic =
                    diagnostic.help(format!("{quoted} is a value; a product needs its sign: `{}*(...)`", short(name)));
            } else if let Some(near) = suggest::nearest(name, hosts.chain(builtins)) {
                diagnostic = diagnostic.help(format!("did you mean {}?", quote(near))).fix(span, near);
            }
        }
        self.sink.push(diagnostic);
        Known::Error
    }

    /// How many bytes a call's name has in the text.
    fn node_name_width(&self, node: Node) -> u32 {
        let text = node.span().text(self.source);
        if let Some(inner) = text.strip_prefix('`') {
            return inner.find('`').map_or(1, |at| at as u32 + 2);
        }
        let opens = if node.flags & crate::text::ast::PARENTHESISED != 0 { 1 } else { 0 };
        text.char_indices()
            .skip(opens)
            .find(|&(_, c)| matches!(c, '(' | ' ' | '\t' | '#' | '\r' | '\n'))
            .map_or(1, |(at, _)| at as u32)
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
                self.close_scope();
                self.state.last_block = Some(index);
                self.push(index, value);
            }
            Kind::Let => self.infer_let(index, node),
            Kind::BlockEnd => {
                self.drain(node.first);
                self.close_scope();
            }
            Kind::Var
            | Kind::Assign
            | Kind::Fn
            | Kind::For
            | Kind::While
            | Kind::Break
            | Kind::Continue
            | Kind::IfDo
            | Kind::Aggregate
            | Kind::Results => {
                self.drain(node.first);
                self.error("unsupported", node.span(), "this is read, but not compiled yet");
                if matches!(node.kind, Kind::Aggregate | Kind::Results) {
                    self.push(index, Known::Error);
                }
            }
            Kind::Error => {
                self.drain(node.first);
                // A block that was given up has not ended.
                while self.state.scopes.last().is_some_and(|&(begin, _)| begin >= node.first) {
                    self.close_scope();
                }
                self.push(index, Known::Error);
            }
            Kind::Program => {
                if let Some(result) = self.drain(0) {
                    self.ask(result, self.default);
                }
            }
            _ => {}
        }
    }

    /// Takes all values from node `first` on; returns the last.
    fn drain(&mut self, first: u32) -> Option<u32> {
        let last = self.state.stack.last().copied().filter(|&root| root >= first);
        while self.state.stack.last().is_some_and(|&root| root >= first) {
            self.state.stack.pop();
        }
        last
    }

    fn close_scope(&mut self) {
        let Some((_, start)) = self.state.scopes.pop() else { return };
        while self.state.undo.len() > start as usize {
            if let Some((symbol, before)) = self.state.undo.pop() {
                self.state.bindings[symbol.0 as usize] = before;
            }
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
        let name = self.symbols.name(symbol);
        let at = node.start + 3;
        let text = Span::new(at, node.end).text(self.source);
        let start = at + (text.len() - text.trim_start().len()) as u32;
        let width = if text.trim_start().starts_with('`') { name.len() + 2 } else { name.len() };
        let span = Span::new(start, start + width as u32);
        let lint = match self.state.binding(symbol) {
            Binding::Nothing => shadows(symbol, name, span),
            _ => Some(Diagnostic::warning("shadow/name", span, format!("{} hides an earlier {0}", quote(name)))),
        };
        if let Some(lint) = lint {
            self.sink.push(lint);
        }
        let number = self.state.lets.len() as u32;
        let has_block = self.state.last_block.is_some_and(|block| block >= node.first);
        self.state.lets.push(LetInfo { symbol, known, types: 0, has_block, refs: [Ref::NONE; 5] });
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
fn short(text: &str) -> &str {
    if text.len() <= 24 && !text.contains(['\n', '`']) { text } else { "..." }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
