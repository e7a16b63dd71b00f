//! The first pass on calls: which function is meant, and whether its arguments fit.
//!
//! Owns what is said about calls. The one idea: what a call refers to is looked up here and in `build` by one function,
//! `callee`; a formula's own functions come first. Obligations of an adder: a rule of the function table has an arm
//! here. Deliberately does not know what a function computes.

#![forbid(unsafe_code)]

use super::infer::{BOOL, plural, short};
use super::{Binding, Callee, Checker, Known};
use crate::math::{self, Class, Function, Output, Rule};
use crate::run::host::HostFunction;
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::Node;
use crate::text::suggest;
use crate::types::Type;

impl Checker<'_> {
    /// Checks a call. False if it must be looked at again, after what is being checked now.
    #[inline]
    pub(super) fn infer_call(&mut self, index: u32, node: Node) -> bool {
        if !self.ast.functions.is_empty()
            && let Some(function) = self.own_function(node.symbol())
        {
            return self.infer_own_call(index, node, function);
        }
        let start = self.state.stack.len().saturating_sub(node.count as usize);
        let mut stack = std::mem::take(&mut self.state.stack);
        let known = self.infer_call_of(index, node, &stack[start..]);
        stack.truncate(start);
        self.state.stack = stack;
        self.push(index, known);
        true
    }

    fn infer_call_of(&mut self, index: u32, node: Node, arguments: &[u32]) -> Known {
        match self.callee(node.symbol(), arguments.len()) {
            None => self.unknown_function(node),
            Some(Callee::Host(host)) => {
                if !host.is_pure() || host.is_fallible() {
                    self.state.last_block = Some(index);
                }
                self.infer_host_call(node, &host, arguments)
            }
            Some(Callee::Row(row)) => self.infer_row_call(index, node, row, arguments),
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
            self.accept(node.symbol(), param, argument);
        }
        result
    }

    #[cold]
    pub(super) fn arity(&mut self, node: Node, expected: &str, count: usize, signature: &str) {
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
        let span = self.called_name(node);
        if let Some(reserved) = math::lookup_reserved(name) {
            self.sink.push(Diagnostic::error("unsupported", span, format!("{quoted} {}", reserved.note)));
            return Known::Error;
        }
        let mut diagnostic = Diagnostic::error("unknown-function", span, format!("unknown function {quoted}"));
        if self.sink.wants_more() {
            let builtins = math::all().iter().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
            let builtins = builtins.chain(math::row_functions().iter().map(|row| row.name));
            let hosts = self.hosts.iter().map(|h| h.name());
            let own = self.ast.functions.iter().map(|f| self.symbols.name(f.symbol));
            if !matches!(self.state.binding(symbol), Binding::Nothing) {
                diagnostic =
                    diagnostic.help(format!("{quoted} is a value; a product needs its sign: `{}*(...)`", short(name)));
            } else if let Some(near) = suggest::nearest(name, own.chain(hosts).chain(builtins)) {
                diagnostic = diagnostic.help(format!("did you mean {}?", quote(near))).fix(span, near);
            }
        }
        self.sink.push(diagnostic);
        Known::Error
    }

    /// Where a call's name stands.
    pub(super) fn called_name(&self, node: Node) -> Span {
        Span::new(node.start, node.start + self.node_name_width(node))
    }

    /// How many bytes a call's name has in the text.
    pub(super) fn node_name_width(&self, node: Node) -> u32 {
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
}
