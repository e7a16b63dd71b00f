//! The second pass, backward: types reach the literals.
//!
//! Owns the way from the root of an untyped expression to its leaves. The one idea: in post-order every node comes
//! before its parent, and every use of a `let` after it, so one walk from the end sees each parent before its children
//! and each use before the definition. Reports literals that do not fit their type.

#![forbid(unsafe_code)]

use super::{CONSTANT, Checker, Context, Known, LET};
use crate::span::{Diagnostic, quote};
use crate::text::ast::Kind;
use crate::text::lex::RADIX;
use crate::types::Type;

impl Checker<'_> {
    /// Gives every untyped node from `first` to before `end` its type.
    pub(super) fn settle(&mut self, first: u32, end: u32) {
        // The `let`s around the node that are needed at several types: where the value begins, and the types. Lets in
        // blocks inside such a `let` never are, so there is one at a time.
        let mut around = (u32::MAX, 0u8);
        self.state.several.clear();
        let mut next = end;
        while next > first {
            let index = next - 1;
            next = index;
            let node = self.ast.nodes[index as usize];
            if node.kind == Kind::Let {
                self.settle_let(index, &mut around);
                continue;
            }
            let info = self.state.info[index as usize];
            if node.kind == Kind::Fn {
                // Its body has been settled for each of its calls.
                next = node.first;
            }
            if info.context == Context::Nothing {
                continue;
            }
            match node.kind {
                Kind::Number => {
                    let types = match info.context {
                        Context::At(ty) => 1 << ty as u8,
                        _ => around.1,
                    };
                    self.fits(index, info.known, types);
                }
                Kind::Name if info.data & LET != 0 && info.data != CONSTANT => {
                    let types = match info.context {
                        Context::At(ty) => 1 << ty as u8,
                        _ => around.1,
                    };
                    self.state.lets[(info.data & !LET) as usize].types |= types;
                }
                _ => self.hand_down(index, info.known, info.context),
            }
        }
    }

    /// The context of a node is that of its untyped children.
    fn hand_down(&mut self, index: u32, known: Known, context: Context) {
        let mut next = index;
        let first = self.ast.nodes[index as usize].first;
        while next > first {
            let child = next - 1;
            next = self.ast.nodes[child as usize].first;
            let info = self.state.info[child as usize];
            if info.context != Context::Nothing || !matches!(info.known, Known::Int | Known::Float | Known::Whole) {
                continue;
            }
            let inner = match context {
                Context::At(ty) => Context::At(self.fit(info.known, ty)),
                Context::OfLet if info.known == Known::Whole && known != Known::Whole => {
                    Context::At(self.default_int())
                }
                context => context,
            };
            self.state.info[child as usize].context = inner;
        }
    }

    fn settle_let(&mut self, index: u32, around: &mut (u32, u8)) {
        let number = self.state.info[index as usize].data as usize;
        let info = self.state.lets[number];
        if !matches!(info.known, Known::Int | Known::Float | Known::Whole) {
            return;
        }
        let mut types = info.types;
        if types == 0 {
            types = 1 << self.fit(info.known, self.default) as u8;
        }
        if types.count_ones() > 1 && info.has_block {
            // Rare enough to be computed in the widest type.
            types = 1 << (7 - types.leading_zeros());
        }
        self.state.lets[number].types = types;
        let value = index - 1;
        let context = if types.count_ones() == 1 {
            Type::ALL.into_iter().find(|&t| types == 1 << t as u8).map_or(Context::Nothing, Context::At)
        } else {
            *around = (self.ast.nodes[index as usize].first, types);
            self.state.several.push(index);
            Context::OfLet
        };
        self.state.info[value as usize].context = context;
    }

    /// Reports a literal that does not fit one of its types.
    pub(super) fn fits(&mut self, index: u32, known: Known, types: u8) {
        let node = self.ast.nodes[index as usize];
        let literal = self.ast.literals[node.data as usize];
        let negative = self.ast.nodes.get(index as usize + 1).is_some_and(|next| next.kind == Kind::Neg);
        for wanted in Type::ALL.into_iter().filter(|&t| types & 1 << t as u8 != 0) {
            let ty = self.fit(known, wanted);
            if ty == Type::F64 || self.literal(literal, node.span(), ty, negative).is_some() {
                continue;
            }
            let text = quote(node.span().text(self.source));
            let mut diagnostic =
                Diagnostic::error("number/too-large", node.span(), format!("{text} does not fit {ty}"));
            if ty == Type::I32 && self.literal(literal, node.span(), Type::I64, negative).is_some() {
                diagnostic = diagnostic
                    .help("the suffix `i64` makes it an i64")
                    .fix(node.span(), format!("{}i64", node.span().text(self.source)));
            } else if ty.is_int() && literal.flags & RADIX == 0 {
                diagnostic = diagnostic.help("with a point it is a float");
            }
            self.sink.push(diagnostic);
            return;
        }
    }
}
