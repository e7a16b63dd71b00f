//! Calls of row functions: both passes.
//!
//! Owns what such a call means in a formula. The one idea: an aggregate over rows is the same for all of them, so its
//! call becomes a parameter, and its argument is noted beside the function, for a stage that runs before. An argument is
//! looked at in every row, wherever the call stands; so what may fail in it cannot stand in a branch.
//!
//! Obligations of an adder: `infer_row_call` says what type `row_call` gives. Does not know how stages are made of it.

#![forbid(unsafe_code)]

use super::infer::{BOOL, short};
use super::nulls::{Val, both};
use super::{Checker, Known, mix};
use crate::aggregate::Fold;
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ir::rows::{Aggregate, Source};
use crate::math::{self, RowFunction, RowKind};
use crate::ops::Op;
use crate::span::{Diagnostic, quote};
use crate::text::ast::Node;
use crate::types::{Type, Value};

/// Most aggregates over rows in a formula: each takes memory for a block of rows.
const AGGREGATES: usize = 1000;

impl Checker<'_> {
    /// The type of a call of a row function.
    pub(super) fn infer_row_call(&mut self, index: u32, node: Node, row: &RowFunction, arguments: &[u32]) -> Known {
        if matches!(row.kind, RowKind::IsNull | RowKind::Coalesce) {
            return self.infer_null_call(node, row, arguments);
        }
        if !self.columns {
            let message = format!("{} works on whole columns, which are not available here", quote(row.name));
            self.sink.push(Diagnostic::error("unsupported", self.called_name(node), message));
            return Known::Error;
        }
        if !self.accepts(node, row, arguments.len()) {
            return Known::Error;
        }
        // It is computed once.
        self.state.last_block = Some(index);
        self.state.row_calls.push(node.first);
        match row.kind {
            RowKind::NotYet => {
                let message = format!("{} is not available yet", quote(row.name));
                self.sink.push(Diagnostic::error("unsupported", self.called_name(node), message));
                Known::Error
            }
            RowKind::Count => Known::Typed(Type::I64),
            RowKind::IsNull | RowKind::Coalesce => Known::Error,
            RowKind::Aggregate(fold) => {
                if let Some(&ddof) = arguments.get(1) {
                    self.infer_whole(row, ddof);
                }
                self.infer_fold_of_rows(fold, node, arguments[0])
            }
        }
    }

    /// Does it take so many arguments?
    fn accepts(&mut self, node: Node, row: &RowFunction, count: usize) -> bool {
        if count >= row.least.into() && (row.most == math::MANY || count <= row.most.into()) {
            return true;
        }
        let expected = match (row.least, row.most) {
            (least, most) if least == most => format!("{least} argument{}", super::infer::plural(least.into())),
            (least, math::MANY) => format!("at least {least} argument{}", super::infer::plural(least.into())),
            (least, most) => format!("{least} to {most} arguments"),
        };
        self.arity(node, &expected, count, row.signature);
        false
    }

    /// `isnull` and `coalesce`.
    fn infer_null_call(&mut self, node: Node, row: &RowFunction, arguments: &[u32]) -> Known {
        let accepted = self.accepts(node, row, arguments.len());
        if row.kind == RowKind::IsNull {
            if accepted {
                self.ask(arguments[0], self.default);
            }
            return BOOL;
        }
        if !accepted {
            return Known::Error;
        }
        match self.unify(arguments) {
            Ok(known) => known,
            Err((x, y)) => {
                self.do_not_mix(node.span(), &quote(row.name), x, y);
                Known::Error
            }
        }
    }

    /// An argument that is a literal, a whole number.
    fn infer_whole(&mut self, row: &RowFunction, root: u32) {
        let fits = |(literal, negative): (crate::text::ast::Literal, bool)| {
            let whole = literal.flags & (crate::text::lex::INTEGER | crate::text::lex::HUGE);
            whole == crate::text::lex::INTEGER && !negative && literal.int <= u64::from(u32::MAX)
        };
        if self.known(root) == Known::Error {
            return;
        }
        if self.exponent(root).is_some_and(fits) {
            self.ask(root, Type::I64);
            return;
        }
        let at = self.node(root).span();
        let message = format!("{} takes a whole number here, written out", quote(row.name));
        let help = format!("its signature is `{}`", row.signature);
        self.sink.push(Diagnostic::error("type", at, message).help(help));
    }

    fn infer_fold_of_rows(&mut self, fold: Fold, node: Node, root: u32) -> Known {
        let name = quote(self.symbols.name(node.symbol()));
        let wanted = match fold {
            Fold::Mean | Fold::Var | Fold::Std => self.default_float(),
            _ => self.default,
        };
        if matches!(fold, Fold::Any | Fold::All) {
            if !matches!(self.known(root), Known::Error | BOOL) {
                self.needs_bool(node.span(), &name, "argument", root);
            }
            return BOOL;
        }
        match self.ask(root, wanted) {
            None => Known::Error,
            Some(Type::Bool) if !matches!(fold, Fold::Count | Fold::First | Fold::Last) => {
                let at = self.node(root).span();
                let message = format!("{name} needs numbers, and this is a bool");
                let help = format!("`count({})` counts the rows where it holds", short(at.text(self.source)));
                self.sink.push(Diagnostic::error("type", at, message).help(help));
                Known::Error
            }
            Some(ty) => Known::Typed(fold.result(ty)),
        }
    }

    /// The value of a call of a row function, whose arguments are there where `valids` say so.
    pub(super) fn row_call(
        &mut self,
        b: &mut Builder,
        node: Node,
        row: &RowFunction,
        arguments: &mut [Ref],
        valids: &[Ref],
    ) -> Val {
        let (fold, value, valid) = match (row.kind, &*arguments, valids) {
            (RowKind::Aggregate(fold), &[value, ..], &[valid, ..]) => (fold, value, valid),
            (RowKind::Count, ..) => (Fold::Count, b.constant(Value::Bool(true)), Ref::NONE),
            (RowKind::IsNull, _, &[valid]) | (RowKind::IsNull, _, &[valid, ..]) => {
                let value = match valid {
                    Ref::NONE => b.constant(Value::Bool(false)),
                    valid => b.raw1(Op::Not, valid),
                };
                return Val { value, valid: Ref::NONE };
            }
            (RowKind::Coalesce, ..) => {
                let types = arguments.iter().map(|&argument| b.ty(argument));
                let common = types.reduce(|a, b| mix(a, b).unwrap_or(a)).unwrap_or(Type::F64);
                for argument in arguments.iter_mut() {
                    *argument = b.raw_convert(*argument, common);
                }
                return self.coalesce(b, arguments, valids);
            }
            _ => return Val::NONE,
        };
        let valid = if row.kind == RowKind::Count { valid } else { both(b, valid, self.state.result_valid) };
        let ddof = match arguments.get(1).and_then(|&ddof| b.func.constant(ddof)) {
            Some(Value::I64(ddof)) => ddof as u32,
            _ => 0,
        };
        self.stands_alone(b, node, value);
        let ty = b.ty(value);
        let value = match (fold, ty) {
            (Fold::Count, Type::Bool) => value,
            // Of what is no condition, those count that are there.
            (Fold::Count, _) => b.constant(Value::Bool(true)),
            _ => b.raw_convert(value, fold.carrier(ty)),
        };
        let aggregate = Aggregate { fold, ddof, carrier: b.ty(value), value, valid };
        let number = self.aggregate(b, node, aggregate);
        let parts = &self.state.row_parts;
        let (input, valid) = (parts.values[number], parts.present[number]);
        if self.state.statements.any {
            // It is no matter of the row, but of the result.
            self.state.result_valid = both(b, self.state.result_valid, valid);
        }
        let valid = if self.state.statements.any { Ref::NONE } else { valid };
        Val { value: b.raw_convert(input, fold.result(ty)), valid }
    }

    /// The number of this aggregate: an old one or a new one.
    fn aggregate(&mut self, b: &mut Builder, node: Node, aggregate: Aggregate) -> usize {
        let parts = &mut self.state.row_parts;
        if let Some(known) = parts.aggregates.iter().position(|a| *a == aggregate) {
            return known;
        }
        if parts.aggregates.len() == AGGREGATES {
            let message = format!("the formula has more than {AGGREGATES} different aggregates over rows");
            self.sink.push(Diagnostic::error("limit/aggregates", node.span(), message));
        }
        let parts = &mut self.state.row_parts;
        let number = parts.aggregates.len();
        parts.aggregates.push(aggregate);
        parts.sources.push(Source::Aggregate(number as u32));
        parts.values.push(b.param(aggregate.fold.accumulated(aggregate.carrier)));
        let mut present = Ref::NONE;
        if aggregate.fold.may_be_null() {
            parts.sources.push(Source::Present(number as u32));
            present = b.param(Type::Bool);
        }
        parts.present.push(present);
        number
    }

    /// The argument of a row function must be one for the row, and not of an iteration; and what may fail in it must
    /// not stand in a branch, since it is looked at in every row.
    fn stands_alone(&mut self, b: &Builder, node: Node, value: Ref) {
        let name = quote(self.symbols.name(node.symbol()));
        let before = self.state.row_marks.get(&node.first).copied().unwrap_or(0);
        let message = if b.func.node(value).region != 0 {
            format!(
                "the argument of {name} changes in a loop or depends on a branch, and it is to have one value in a row"
            )
        } else if b.in_branch() && b.func.effects.len() > before {
            format!(
                "the argument of {name} can fail or loops, and it stands in a branch although every row looks at it"
            )
        } else {
            return;
        };
        let help = format!("give it a name before: `let a = {}`", short(node.span().text(self.source)));
        self.sink.push(Diagnostic::error("unsupported/branch", node.span(), message).help(help));
    }
}
