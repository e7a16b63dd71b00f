//! Names and literals: what they stand for, and what to say if they stand for nothing.

#![forbid(unsafe_code)]

use super::{Binding, Checker, Value, Walk};
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{Kind, Node};
use crate::text::lex::{HUGE, INTEGER, RADIX};
use crate::text::suggest::nearest;
use crate::text::symbols::Symbol;
use crate::types::{self, Type};

impl Checker<'_, '_> {
    /// Makes inputs of what the signature declares, in the text or beside it.
    pub(super) fn declare(&mut self) {
        if self.front.ast.has_signature {
            for i in 0..self.front.ast.params.len() {
                let param = self.front.ast.params[i];
                self.declare_one(param.symbol, param.ty, param.span);
            }
            if self.request.params.is_some_and(|declared| !declared.is_empty()) {
                let message = "the formula has a signature of its own, and inputs were declared beside it";
                self.error("input", Span::default(), message);
            }
            return;
        }
        for (name, ty) in self.request.params.unwrap_or_default() {
            let symbol = self.front.symbols.intern(name);
            self.declare_one(symbol, *ty, Span::default());
        }
    }

    fn declare_one(&mut self, symbol: Symbol, ty: Option<Type>, span: Span) {
        let known = self.front.symbols.len();
        if self.front.state.bindings.len() < known {
            self.front.state.bindings.resize(known, Binding::Free);
        }
        if !matches!(self.front.state.bindings[symbol.0 as usize], Binding::Free) {
            let message = format!("the input {} is declared twice", quote(self.front.symbols.name(symbol)));
            self.error("duplicate", span, message);
            return;
        }
        self.input(symbol, ty.unwrap_or(self.request.default_type), span);
    }

    fn input(&mut self, symbol: Symbol, ty: Type, span: Span) -> crate::ir::Ref {
        self.lint_shadowing(symbol, span);
        let r = self.builder.param(ty);
        self.front.state.inputs.push((symbol, ty));
        self.front.state.bindings[symbol.0 as usize] = Binding::Typed(r);
        r
    }

    /// An own name that hides a constant or a function is allowed, and worth a word.
    fn lint_shadowing(&mut self, symbol: Symbol, span: Span) {
        if self.front.symbols.is_preset(symbol) {
            let what = if symbol.is_constant() { "constant" } else { "function" };
            let name = self.front.symbols.name(symbol);
            let message = format!("{} hides the {what} of this name", quote(name));
            self.front.sink.push(Diagnostic::warning("shadow", span, message));
        }
    }

    /// `let name = value`: the value is on the stack.
    pub(super) fn bind(&mut self, node: &Node) {
        let value = self.pop();
        let symbol = node.symbol();
        let binding = match value {
            Value::Typed(r) => Binding::Typed(r),
            Value::Bad => Binding::Bad,
            Value::Untyped { first, last } => {
                self.front.state.memos.push([None; 5]);
                Binding::Untyped { first, last, memo: self.front.state.memos.len() as u32 - 1 }
            }
        };
        self.lint_shadowing(symbol, node.span());
        let state = &mut self.front.state;
        let old = std::mem::replace(&mut state.bindings[symbol.0 as usize], binding);
        if !state.blocks.is_empty() {
            state.shadowed.push((symbol, old));
        }
    }

    /// Names bound in the block mean again what they meant outside.
    pub(super) fn leave_block(&mut self) {
        let state = &mut self.front.state;
        let open = state.blocks.pop().unwrap_or(0);
        for (symbol, old) in state.shadowed.drain(open..).rev() {
            // An input that first appeared inside stays an input.
            if !matches!(old, Binding::Free) || !is_input(&state.inputs, symbol) {
                state.bindings[symbol.0 as usize] = old;
            }
        }
    }

    /// The value of a name, or the walk that must come first.
    pub(super) fn name(&mut self, node: &Node, literals: Option<Type>, untyped: Value) -> Result<Value, Walk> {
        let symbol = node.symbol();
        match self.front.state.bindings[symbol.0 as usize] {
            Binding::Typed(r) => Ok(Value::Typed(r)),
            Binding::Bad => Ok(Value::Bad),
            Binding::Untyped { first, last, memo } => match literals {
                None => Ok(Value::Untyped { first, last }),
                Some(ty) => match self.front.state.memos[memo as usize][ty as usize] {
                    Some(value) => Ok(value),
                    None => Err(Walk { next: first, last, literals, memo: Some(memo) }),
                },
            },
            Binding::Free => Ok(self.free_name(symbol, node, literals, untyped)),
        }
    }

    fn free_name(&mut self, symbol: Symbol, node: &Node, literals: Option<Type>, untyped: Value) -> Value {
        let name = self.front.symbols.name(symbol);
        let known = self.request.known.iter().find(|k| k.0 == name).map(|k| k.1);
        if let Some(ty) = known {
            return Value::Typed(self.input(symbol, ty, node.span()));
        }
        if symbol.is_constant() {
            return self.constant(symbol, literals, untyped);
        }
        if self.front.symbols.is_preset(symbol) {
            let message = format!("{} is a function, and needs its arguments", quote(name));
            let help = self.signature_of(symbol).map(|signature| format!("call it: `{signature}`"));
            let diagnostic = Diagnostic::error("unknown-name", node.span(), message);
            return self.report(help.map_or(diagnostic.clone(), |help| diagnostic.help(help)));
        }
        if self.closed {
            return self.unknown_name(symbol, node.span());
        }
        Value::Typed(self.input(symbol, self.request.default_type, node.span()))
    }

    fn unknown_name(&mut self, symbol: Symbol, span: Span) -> Value {
        let symbols = &self.front.symbols;
        let name = symbols.name(symbol);
        let bound = |s: Symbol| !matches!(self.front.state.bindings[s.0 as usize], Binding::Free);
        let candidates = symbols.iter().filter(|&(s, _)| bound(s) || s.is_constant()).map(|(_, text)| text);
        let message = format!("there is no input or name {}", quote(name));
        let mut diagnostic = Diagnostic::error("unknown-name", span, message);
        if let Some(near) = nearest(name, candidates) {
            diagnostic = diagnostic.label(span, format!("did you mean {}?", quote(near))).fix(span, near);
        } else {
            let inputs: Vec<&str> = self.front.state.inputs.iter().take(8).map(|&(s, _)| symbols.name(s)).collect();
            diagnostic = diagnostic.help(match inputs.len() {
                0 => "the formula has no inputs".to_owned(),
                _ => format!("the inputs are {}", inputs.join(", ")),
            });
        }
        self.report(diagnostic)
    }

    fn constant(&mut self, symbol: Symbol, literals: Option<Type>, untyped: Value) -> Value {
        let value = match symbol {
            Symbol::TRUE | Symbol::FALSE => {
                return Value::Typed(self.builder.constant(types::Value::Bool(symbol == Symbol::TRUE)));
            }
            Symbol::PI | Symbol::GREEK_PI => std::f64::consts::PI,
            Symbol::TAU | Symbol::GREEK_TAU => std::f64::consts::TAU,
            Symbol::E => std::f64::consts::E,
            Symbol::NAN => f64::NAN,
            _ => f64::INFINITY,
        };
        match literals {
            None => untyped,
            Some(ty) => {
                let ty = self.float_for(ty);
                Value::Typed(self.builder.constant(match ty {
                    Type::F32 => types::Value::F32(value as f32),
                    _ => types::Value::F64(value),
                }))
            }
        }
    }

    /// The type of a literal with a point where literals have type `ty`.
    fn float_for(&self, ty: Type) -> Type {
        match ty {
            Type::F32 | Type::F64 => ty,
            _ if self.default == Type::F32 => Type::F32,
            _ => Type::F64,
        }
    }

    /// A literal of type `ty`.
    pub(super) fn number(&mut self, index: u32, node: &Node, ty: Type) -> Value {
        let literal = self.front.ast.literals[node.data as usize];
        let whole = literal.flags & INTEGER != 0;
        let ty = if whole || literal.suffix.is_some() { ty } else { self.float_for(ty) };
        let value = match ty {
            Type::F64 => types::Value::F64(literal.value),
            Type::F32 => types::Value::F32(self.f32_literal(node, literal.value)),
            Type::I32 | Type::I64 | Type::Bool => return self.int_literal(index, node, ty),
        };
        let infinite = match value {
            types::Value::F32(v) => v.is_infinite(),
            types::Value::F64(v) => v.is_infinite(),
            _ => false,
        };
        if infinite {
            return self.too_large(node, ty, if ty == Type::F32 { "f64" } else { "inf" });
        }
        Value::Typed(self.builder.constant(value))
    }

    /// The literal rounded once: from its digits, not from the f64.
    fn f32_literal(&self, node: &Node, value: f64) -> f32 {
        let text = node.span().text(self.source).trim_matches(|c| matches!(c, '(' | ')' | ' '));
        let digits = text.strip_suffix("f32").unwrap_or(text);
        if digits.contains('_') {
            return digits.replace('_', "").parse().unwrap_or(value as f32);
        }
        digits.parse().unwrap_or(value as f32)
    }

    fn int_literal(&mut self, index: u32, node: &Node, ty: Type) -> Value {
        let literal = self.front.ast.literals[node.data as usize];
        if literal.flags & INTEGER == 0 {
            return self.error("number", node.span(), format!("a literal with a point or an exponent is no {ty}"));
        }
        let radix = literal.flags & RADIX != 0;
        let negated = self.front.ast.nodes.get(index as usize + 1).is_some_and(|next| next.kind == Kind::Neg);
        let magnitude = match (ty, radix) {
            (Type::I32, true) => u64::from(u32::MAX),
            (Type::I32, false) => i32::MAX as u64 + u64::from(negated),
            (_, true) => u64::MAX,
            (_, false) => i64::MAX as u64 + u64::from(negated),
        };
        if literal.flags & HUGE != 0 || literal.int > magnitude {
            return self.too_large(node, ty, if ty == Type::I32 { "i64" } else { "f64" });
        }
        Value::Typed(match ty {
            Type::I32 => self.builder.constant(types::Value::I32(literal.int as i32)),
            _ => self.builder.constant(types::Value::I64(literal.int as i64)),
        })
    }

    fn too_large(&mut self, node: &Node, ty: Type, instead: &str) -> Value {
        let text = node.span().text(self.source);
        let range = match ty {
            Type::I32 => "-2147483648 to 2147483647",
            Type::I64 => "-9223372036854775808 to 9223372036854775807",
            Type::F32 => "about 3.4e38",
            _ => "about 1.8e308",
        };
        let message = format!("the literal {} does not fit {ty} ({range})", quote(text));
        let help = match instead {
            "inf" => "write `inf` for infinity".to_owned(),
            "f64" if ty == Type::I64 => "a point makes it a float".to_owned(),
            wider => format!("give it a wider type: `{text}{wider}`"),
        };
        self.report(Diagnostic::error("number", node.span(), message).help(help))
    }
}

fn is_input(inputs: &[(Symbol, Type)], symbol: Symbol) -> bool {
    inputs.iter().any(|&(s, _)| s == symbol)
}
