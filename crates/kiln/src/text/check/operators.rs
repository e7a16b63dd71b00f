//! Operators: which types they take, and what they build.

#![forbid(unsafe_code)]

use super::{Checker, Value, conversion_help};
use crate::ir::Ref;
use crate::ops::Op;
use crate::span::{Diagnostic, Span};
use crate::text::ast::{Kind, Node};
use crate::text::lex::INTEGER;
use crate::types::Type;

/// A literal exponent, with its sign.
#[derive(Clone, Copy)]
struct Exponent {
    value: f64,
    /// If it has no point and no exponent of its own.
    int: Option<i64>,
}

impl Checker<'_, '_> {
    /// Where the operands of the binary operator at `index` stand.
    fn operand_spans(&self, index: u32) -> (Span, Span) {
        let right = self.node(index - 1);
        (self.node(right.first.saturating_sub(1)).span(), right.span())
    }

    pub(super) fn prefix(&mut self, kind: Kind, a: Value, index: u32, node: &Node, untyped: Value) -> Value {
        let r = match a {
            Value::Typed(r) => r,
            Value::Untyped { .. } if matches!(kind, Kind::Neg | Kind::Plus) => return untyped,
            Value::Untyped { .. } if kind == Kind::Complement => match self.typed(a, self.default_int()) {
                Value::Typed(r) => r,
                _ => return Value::Bad,
            },
            Value::Untyped { .. } => return self.wrong_operand(kind, None, self.node(index - 1).span()),
            Value::Bad => return Value::Bad,
        };
        let ty = self.builder.ty(r);
        let op = match kind {
            Kind::Neg if ty != Type::Bool => Op::Neg,
            Kind::Plus if ty != Type::Bool => return Value::Typed(r),
            Kind::Not if ty == Type::Bool => Op::Not,
            Kind::Complement if !ty.is_float() => Op::Not,
            _ => return self.wrong_operand(kind, Some(ty), self.node(index - 1).span()),
        };
        let _ = node;
        // The minimum of an int type is written as the negation of what does not fit: that wraps, and is no overflow.
        if op == Op::Neg && self.node(index - 1).kind == Kind::Number {
            return Value::Typed(self.builder.raw1(op, r));
        }
        Value::Typed(self.builder.unary(op, r))
    }

    fn wrong_operand(&mut self, kind: Kind, ty: Option<Type>, span: Span) -> Value {
        let what = ty.map_or("a number", Type::name);
        let wanted = match kind {
            Kind::Not | Kind::And | Kind::Or => "a bool",
            Kind::Complement | Kind::BitAnd | Kind::BitOr => "ints or bools",
            Kind::Shl | Kind::Shr => "ints",
            _ => "numbers",
        };
        let message = format!("`{}` needs {wanted}, and this is {what}", kind.text());
        let mut diagnostic = Diagnostic::error("type", span, message);
        diagnostic = match (kind, ty) {
            (Kind::BitAnd, Some(Type::F32 | Type::F64)) => {
                diagnostic.help("for conditions write `and`; `&` works on the bits of ints")
            }
            (Kind::BitOr, Some(Type::F32 | Type::F64)) => {
                diagnostic.help("for conditions write `or`; `|` works on the bits of ints")
            }
            (Kind::Pow, Some(Type::Bool)) => diagnostic.help("`^` is the power; exclusive or is `xor(a, b)`"),
            (Kind::Not | Kind::And | Kind::Or, _) => diagnostic.help("write a comparison, such as `x != 0`"),
            (_, Some(Type::Bool)) => diagnostic.help("`f64(...)` of a bool is 0 or 1"),
            (Kind::Shl | Kind::Shr | Kind::Complement, _) => diagnostic.help("`i64(...)` converts, truncating"),
            _ => diagnostic,
        };
        self.report(diagnostic)
    }

    pub(super) fn binary(
        &mut self,
        kind: Kind,
        a: Value,
        b: Value,
        index: u32,
        node: &Node,
        untyped: Value,
    ) -> Value {
        if kind.is_comparison() {
            return self.comparison(kind, a, b, node.span());
        }
        match kind {
            Kind::And | Kind::Or => self.logical(kind, a, b, index),
            Kind::BitAnd | Kind::BitOr | Kind::Shl | Kind::Shr => self.bitwise(kind, a, b, index),
            Kind::Pow => self.power(a, b, index, node, untyped),
            _ => self.arithmetic(kind, a, b, index, node, untyped),
        }
    }

    fn arithmetic(&mut self, kind: Kind, a: Value, b: Value, index: u32, node: &Node, untyped: Value) -> Value {
        if let (Value::Untyped { .. }, Value::Untyped { .. }) = (a, b) {
            return untyped;
        }
        let Some((mut ty, a, b)) = self.mixed(kind, a, b, index) else { return Value::Bad };
        let op = match kind {
            Kind::Add => Op::Add,
            Kind::Sub => Op::Sub,
            Kind::Mul => Op::Mul,
            Kind::Div => Op::Div,
            Kind::FloorDiv => Op::FloorDiv,
            _ => Op::FloorMod,
        };
        if op == Op::Div && ty.is_int() {
            ty = Type::F64;
        }
        let (a, b) = (self.convert(a, ty), self.convert(b, ty));
        self.builder.set_span(node.span());
        Value::Typed(self.builder.binary(op, a, b))
    }

    /// Both operands as numbers with their common type.
    fn mixed(&mut self, kind: Kind, a: Value, b: Value, index: u32) -> Option<(Type, Value, Value)> {
        let mut both = [a, b];
        match self.unify(&mut both) {
            Ok(Type::Bool) | Err(Some(_)) => {
                let (left, right) = self.operand_spans(index);
                let left_is_bool = self.ty(both[0]) == Some(Type::Bool);
                self.wrong_operand(kind, Some(Type::Bool), if left_is_bool { left } else { right });
                None
            }
            Ok(ty) => Some((ty, both[0], both[1])),
            Err(None) => None,
        }
    }

    fn logical(&mut self, kind: Kind, a: Value, b: Value, index: u32) -> Value {
        let guarded = !self.front.state.guarded.is_empty();
        let (left, right) = self.operand_spans(index);
        let mut both = [None; 2];
        for (slot, (value, span)) in both.iter_mut().zip([(a, left), (b, right)]) {
            match value {
                Value::Typed(r) if self.builder.ty(r) == Type::Bool => *slot = Some(r),
                Value::Bad => {}
                value => {
                    let ty = self.ty(value);
                    self.wrong_operand(kind, ty, span);
                }
            }
        }
        let [Some(a), Some(b)] = both else {
            if guarded {
                let any = self.builder.constant(crate::types::Value::Bool(true));
                self.end_guarded(kind, any);
            }
            return Value::Bad;
        };
        if guarded && let Some(r) = self.end_guarded(kind, b) {
            return Value::Typed(r);
        }
        Value::Typed(self.builder.binary(if kind == Kind::And { Op::And } else { Op::Or }, a, b))
    }

    /// The type of literals where only ints make sense.
    pub(super) fn default_int(&self) -> Type {
        if self.default.is_int() { self.default } else { Type::I64 }
    }

    fn bitwise(&mut self, kind: Kind, a: Value, b: Value, index: u32) -> Value {
        let (left, right) = self.operand_spans(index);
        let mut both = [a, b];
        if let (Value::Untyped { .. }, Value::Untyped { .. }) = (a, b) {
            both[0] = self.typed(a, self.default_int());
        }
        for (value, span) in both.into_iter().zip([left, right]) {
            let ty = self.ty(value);
            if ty.is_some_and(|ty| ty.is_float() || (ty == Type::Bool && matches!(kind, Kind::Shl | Kind::Shr))) {
                return self.wrong_operand(kind, ty, span);
            }
        }
        let shifts = matches!(kind, Kind::Shl | Kind::Shr);
        let ty = match (shifts, self.ty(both[0])) {
            // The count is taken modulo the width of what is shifted, whatever its own type.
            (true, Some(ty)) => {
                both[1] = self.typed(both[1], ty);
                Ok(ty)
            }
            _ => self.unify(&mut both),
        };
        let ty = match ty {
            Ok(ty) if !ty.is_float() => ty,
            Ok(ty) => return self.wrong_operand(kind, Some(ty), if self.ty(both[0]).is_some_and(Type::is_float) { left } else { right }),
            Err(Some((a, b))) => return self.do_not_mix(kind, a, b, left.join(right)),
            Err(None) => return Value::Bad,
        };
        let (Value::Typed(a), Value::Typed(b)) = (both[0], both[1]) else { return Value::Bad };
        let (a, b) = (self.builder.convert(a, ty), self.builder.raw_convert(b, ty));
        let op = match kind {
            Kind::BitAnd => Op::And,
            Kind::BitOr => Op::Or,
            Kind::Shl => Op::Shl,
            _ => Op::Sar,
        };
        Value::Typed(self.builder.binary(op, a, b))
    }

    fn do_not_mix(&mut self, kind: Kind, a: Type, b: Type, span: Span) -> Value {
        let message = format!("`{}` of {a} and {b}: bools and numbers do not mix", kind.text());
        self.report(Diagnostic::error("type", span, message).help(conversion_help(a, b)))
    }

    fn comparison(&mut self, kind: Kind, a: Value, b: Value, span: Span) -> Value {
        let mut both = [a, b];
        let ty = match self.unify(&mut both) {
            Ok(ty) => ty,
            Err(Some((a, b))) => return self.do_not_mix(kind, a, b, span),
            Err(None) => return Value::Bad,
        };
        if ty == Type::Bool && !matches!(kind, Kind::Eq | Kind::Ne) {
            let message = format!("`{}` needs numbers, and these are bools", kind.text());
            return self.report(Diagnostic::error("type", span, message).help("bools are equal or not, and have no order"));
        }
        let (a, b) = (self.convert(both[0], ty), self.convert(both[1], ty));
        self.builder.set_span(span);
        Value::Typed(self.compare(kind, a, b))
    }

    fn compare(&mut self, kind: Kind, a: Ref, b: Ref) -> Ref {
        let (op, a, b) = match kind {
            Kind::Eq => (Op::Eq, a, b),
            Kind::Ne => (Op::Ne, a, b),
            Kind::Lt => (Op::Lt, a, b),
            Kind::Le => (Op::Le, a, b),
            Kind::Gt => (Op::Lt, b, a),
            _ => (Op::Le, b, a),
        };
        self.builder.binary(op, a, b)
    }

    /// `a < b <= c`: each neighbouring pair, and each operand once.
    pub(super) fn chain(&mut self, index: u32, node: &Node) -> Value {
        let mut links = std::mem::take(&mut self.front.state.links);
        links.clear();
        let ast = &self.front.ast;
        let kinds = ast.children_reversed(index).map(|child| ast.nodes[child as usize]);
        links.extend(kinds.filter(|child| child.kind == Kind::Link).map(Node::link));
        links.reverse();
        let first = self.front.state.stack.len().saturating_sub(links.len() + 1);
        let mut all = None;
        for (i, &kind) in links.iter().enumerate() {
            let (a, b) = (self.front.state.stack[first + i], self.front.state.stack[first + i + 1]);
            let Value::Typed(pair) = self.comparison(kind, a, b, node.span()) else {
                all = None;
                break;
            };
            all = Some(match all {
                None => pair,
                Some(before) => self.builder.binary(Op::And, before, pair),
            });
        }
        self.front.state.stack.truncate(first);
        self.front.state.links = links;
        all.map_or(Value::Bad, Value::Typed)
    }

    /// The literal that ends at `index`, if the nodes there are one.
    fn literal_at(&self, index: u32) -> Option<Exponent> {
        let node = self.node(index);
        let (number, sign) = match node.kind {
            Kind::Neg => (self.node(index - 1), -1.0),
            _ => (node, 1.0),
        };
        if number.kind != Kind::Number {
            return None;
        }
        let literal = self.front.ast.literals[number.data as usize];
        let whole = literal.flags & INTEGER != 0 && literal.int <= i64::MAX as u64;
        let int = whole.then(|| literal.int as i64 * sign as i64);
        Some(Exponent { value: sign * literal.value, int })
    }

    fn power(&mut self, a: Value, b: Value, index: u32, node: &Node, untyped: Value) -> Value {
        if let (Value::Untyped { .. }, Value::Untyped { .. }) = (a, b) {
            return untyped;
        }
        let exponent = self.literal_at(index - 1);
        self.power_of(a, b, exponent, index, node.span())
    }

    /// The power; the exponent as a literal, if it is written as one.
    fn power_of(&mut self, a: Value, b: Value, exponent: Option<Exponent>, index: u32, span: Span) -> Value {
        if let (Some(exponent), Value::Typed(x)) = (exponent, a) {
            let ty = self.builder.ty(x);
            let of_int = ty.is_int();
            if let (Some(n), true) = (exponent.int, of_int) {
                if n < 0 {
                    let message = "an int to a negative literal power is 0 nearly always";
                    return self.report(
                        Diagnostic::error("type", span, message).help("for a fraction make the base a float: `f64(...)`"),
                    );
                }
                return Value::Typed(self.builder.power_int_literal(x, n));
            }
            if ty != Type::Bool {
                let x = if of_int { self.builder.convert(x, Type::F64) } else { x };
                return Value::Typed(self.builder.power_literal(x, exponent.value));
            }
        }
        let Some((ty, a, b)) = self.mixed(Kind::Pow, a, b, index) else { return Value::Bad };
        let (a, b) = (self.convert(a, ty), self.convert(b, ty));
        self.builder.set_span(span);
        Value::Typed(self.builder.power(a, b))
    }

    /// `pow(x, y)`, which means `x ^ y`.
    pub(super) fn power_call(&mut self, a: Value, b: Value, index: u32, span: Span) -> Value {
        let exponent = self.literal_at(index - 1);
        self.power_of(a, b, exponent, index, span)
    }
}
