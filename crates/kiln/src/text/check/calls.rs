//! Calls: built-in functions by their table, host functions by their signature.

#![forbid(unsafe_code)]

use super::{Checker, Value, conversion_help, mix};
use crate::math::{self, Class, Function, Output, Rule};
use crate::run::host::HostFunction;
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::Node;
use crate::text::suggest::nearest;
use crate::text::symbols::Symbol;
use crate::types::Type;
use std::sync::Arc;

impl Checker<'_, '_> {
    /// A call whose arguments have been visited.
    pub(super) fn call(&mut self, index: u32, node: &Node, untyped: Value) -> Value {
        let count = usize::from(node.count);
        let first = self.front.state.stack.len().saturating_sub(count);
        let value = self.call_with(index, node, first, untyped);
        self.front.state.stack.truncate(first);
        value
    }

    fn call_with(&mut self, index: u32, node: &Node, first: usize, untyped: Value) -> Value {
        let symbol = node.symbol();
        let name = self.front.symbols.name(symbol);
        let hosts = self.request.hosts;
        if let Some(host) = hosts.iter().find(|h| h.name() == name) {
            return self.call_host(host, node, first);
        }
        let Some(function) = math::lookup(name) else { return self.unknown_function(symbol, node) };
        let args = &self.front.state.stack[first..];
        if !function.accepts(args.len()) {
            return self.wrong_count(function, args.len(), node.span());
        }
        if args.iter().any(|arg| matches!(arg, Value::Bad)) {
            return Value::Bad;
        }
        let all_untyped = args.iter().all(|arg| matches!(arg, Value::Untyped { .. }));
        match function.rule {
            Rule::Conversion(ty) => self.conversion(first, ty),
            Rule::Power if all_untyped => untyped,
            Rule::Power => {
                let (a, b) = (self.front.state.stack[first], self.front.state.stack[first + 1]);
                self.power_call(a, b, index, node.span())
            }
            Rule::Mixed(Class::Float | Class::Number, Output::Same) | Rule::Counted(_) if all_untyped => untyped,
            rule => self.build(function, rule, node, first),
        }
    }

    /// `f32(x)` and its like; a literal is read at the type.
    fn conversion(&mut self, first: usize, ty: Type) -> Value {
        let arg = self.front.state.stack[first];
        let literals = if ty == Type::Bool { self.default } else { ty };
        match self.typed(arg, literals) {
            Value::Typed(r) => Value::Typed(self.builder.convert(r, ty)),
            _ => Value::Bad,
        }
    }

    fn build(&mut self, function: &'static Function, rule: Rule, node: &Node, first: usize) -> Value {
        let count = self.front.state.stack.len() - first;
        let mut mixing: Vec<Value> = Vec::new();
        let literals_are_ints = matches!(rule.class(), Class::Int | Class::Bits);
        for i in (0..count).filter(|&i| rule.mixes(i)) {
            mixing.push(self.front.state.stack[first + i]);
        }
        if literals_are_ints && mixing.iter().all(|v| matches!(v, Value::Untyped { .. })) {
            mixing[0] = self.typed(mixing[0], self.default_int());
        }
        let common = match self.unify(&mut mixing) {
            Ok(common) => common,
            Err(Some((a, b))) => {
                let message = format!("the arguments of `{}` have types {a} and {b}, which do not mix", function.name);
                return self.report(Diagnostic::error("type", node.span(), message).help(conversion_help(a, b)));
            }
            Err(None) => return Value::Bad,
        };
        if !function.rule.class().admits(common) {
            let wanted = function.rule.class().describe();
            let message = format!("`{}` needs {wanted}, and was given {common}", function.name);
            let help = format!("it is called as `{}`", function.signature);
            return self.report(Diagnostic::error("type", node.span(), message).help(help));
        }
        let mut mixing = mixing.into_iter();
        let mut args = std::mem::take(&mut self.front.state.args);
        args.clear();
        for i in 0..count {
            let own = self.front.state.stack[first + i];
            let value = if rule.mixes(i) { mixing.next().unwrap_or(own) } else { self.typed(own, self.default) };
            if self.ty(value) == Some(Type::Bool) && common != Type::Bool {
                self.front.state.args = args;
                let message = format!("`{}` needs numbers, and one argument is a bool", function.name);
                return self.error("type", node.span(), message);
            }
            let arg = self.convert(value, function.argument(i, common));
            args.push(arg);
        }
        self.builder.set_span(node.span());
        let result = (function.build)(self.builder, &args);
        self.front.state.args = args;
        Value::Typed(result)
    }

    fn call_host(&mut self, host: &Arc<HostFunction>, node: &Node, first: usize) -> Value {
        let given = self.front.state.stack.len() - first;
        if given != host.params().len() {
            let types: Vec<&str> = host.params().iter().map(|t| t.name()).collect();
            let message = format!("`{}` takes {} argument(s), and {given} are given", host.name(), types.len());
            let help = format!("it is called as `{}({})`", host.name(), types.join(", "));
            return self.report(Diagnostic::error("arity", node.span(), message).help(help));
        }
        let mut args = Vec::with_capacity(given);
        for (i, &wanted) in host.params().iter().enumerate() {
            let own = self.front.state.stack[first + i];
            let literals = if wanted == Type::Bool { self.default } else { wanted };
            let value = self.typed(own, literals);
            let Some(ty) = self.ty(value) else { return Value::Bad };
            if mix(ty, wanted) != Some(wanted) {
                let message = format!("argument {} of `{}` is {wanted}, and {ty} is given", i + 1, host.name());
                return self.report(
                    Diagnostic::error("type", node.span(), message).help(format!("convert it: `{wanted}(...)`")),
                );
            }
            let arg = self.convert(value, wanted);
            args.push(arg);
        }
        self.builder.set_span(node.span());
        Value::Typed(self.builder.call_host(host, &args))
    }

    fn wrong_count(&mut self, function: &Function, given: usize, span: Span) -> Value {
        let wanted = match (function.least, function.most) {
            (a, b) if a == b => format!("{a} argument{}", if a == 1 { "" } else { "s" }),
            (a, math::MANY) => format!("at least {a} argument{}", if a == 1 { "" } else { "s" }),
            (a, b) => format!("{a} to {b} arguments"),
        };
        let message = format!("`{}` takes {wanted}, and {given} {} given", function.name, if given == 1 { "is" } else { "are" });
        self.report(Diagnostic::error("arity", span, message).help(format!("it is called as `{}`", function.signature)))
    }

    fn unknown_function(&mut self, symbol: Symbol, node: &Node) -> Value {
        let name = self.front.symbols.name(symbol).to_owned();
        // The name alone, not its arguments.
        let span = Span::new(node.start, node.start + name.len() as u32);
        let span = if span.text(self.source) == name { span } else { node.span() };
        if let Some(reserved) = math::lookup_reserved(&name) {
            let message = format!("{} {}", quote(&name), reserved.note);
            return self.error("unsupported", span, message);
        }
        let message = format!("there is no function {}", quote(&name));
        let mut diagnostic = Diagnostic::error("unknown-function", span, message);
        let is_value = !matches!(self.front.state.bindings[symbol.0 as usize], super::Binding::Free);
        let names = math::all().iter().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
        let hosts = self.request.hosts;
        if is_value {
            diagnostic = diagnostic.help(format!("{} is a value; to multiply write `{name}*(...)`", quote(&name)));
        } else if let Some(near) = nearest(&name, names.chain(hosts.iter().map(|h| h.name()))) {
            diagnostic = diagnostic.label(span, format!("did you mean {}?", quote(near))).fix(span, near);
        } else {
            diagnostic = diagnostic.help("`kiln functions` lists all functions");
        }
        self.report(diagnostic)
    }

    /// How the function of this name is called.
    pub(super) fn signature_of(&self, symbol: Symbol) -> Option<&'static str> {
        math::lookup(self.front.symbols.name(symbol)).map(|f| f.signature)
    }
}
