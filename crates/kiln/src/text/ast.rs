//! The syntax tree: one flat vector.
//!
//! Owns `Node`, `Kind` and `Ast`. The one idea: nodes stand in post-order, children before parents, and each knows
//! where its subtree begins, so a subtree is a contiguous range, every walk is a loop, and dropping or cloning the tree
//! is one vector's. The last node is `Program`.
//!
//! Where post-order alone would come too late there are markers between the children, which have no value:
//!
//! | node | range |
//! |---|---|
//! | `If` | condition, `IfThen`, arm, `IfElse`, arm, `If` |
//! | `And`, `Or` | left, `Right`, right, `And` |
//! | `Chain` | a, b, `Link` (first), c, `Link`, ..., `Chain` |
//! | `Block` | `BlockBegin`, statements, result, `Block` |
//! | `Let` | value, `Let`: a statement, without a value |
//! | `Error` | whatever was read, `Error` |
//!
//! Obligations of an adder: a new kind gets a line in `Kind::text`, in `dump`, `print`, and the passes of `check`.
//! Deliberately does not know types or what names mean.

#![forbid(unsafe_code)]

use super::lex::{HUGE, INTEGER};
use super::symbols::{Symbol, Symbols};
use crate::span::Span;
use crate::types::Type;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Kind {
    Error, Number, Name,
    Neg, Plus, Not, Complement,
    Add, Sub, Mul, Div, FloorDiv, Mod, Pow, Shl, Shr, BitAnd, BitOr,
    Eq, Ne, Lt, Le, Gt, Ge, And, Or,
    Link, Chain, Right, IfThen, IfElse, If, Call, BlockBegin, Block, Let, Program,
}

impl Kind {
    /// The operator's text, or the kind's name.
    #[rustfmt::skip]
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Kind::Error => "error", Kind::Number => "number", Kind::Name => "name",
            Kind::Neg => "-", Kind::Plus => "+", Kind::Not => "not", Kind::Complement => "~",
            Kind::Add => "+", Kind::Sub => "-", Kind::Mul => "*", Kind::Div => "/", Kind::FloorDiv => "//",
            Kind::Mod => "%", Kind::Pow => "^", Kind::Shl => "<<", Kind::Shr => ">>", Kind::BitAnd => "&",
            Kind::BitOr => "|", Kind::Eq => "==", Kind::Ne => "!=", Kind::Lt => "<", Kind::Le => "<=",
            Kind::Gt => ">", Kind::Ge => ">=", Kind::And => "and", Kind::Or => "or",
            Kind::Right => "right", Kind::Link => "link", Kind::Chain => "chain", Kind::IfThen => "then", Kind::IfElse => "else",
            Kind::If => "if", Kind::Call => "call", Kind::BlockBegin => "{", Kind::Block => "block",
            Kind::Let => "let", Kind::Program => "program",
        }
    }

    /// An operator between two operands?
    pub(crate) const fn is_binary(self) -> bool {
        self as u8 >= Kind::Add as u8 && self as u8 <= Kind::Or as u8
    }

    /// An operator before its operand?
    pub(crate) const fn is_prefix(self) -> bool {
        self as u8 >= Kind::Neg as u8 && self as u8 <= Kind::Complement as u8
    }

    /// A comparison operator?
    pub(crate) const fn is_comparison(self) -> bool {
        self as u8 >= Kind::Eq as u8 && self as u8 <= Kind::Ge as u8
    }
}

/// The node stood in parentheses.
pub(crate) const PARENTHESISED: u8 = 1;
/// The first `Link` of a chain.
pub(crate) const FIRST: u8 = 2;

/// A node of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    /// `Call`: number of arguments. `Link`: the comparison, as `Kind`'s number.
    pub(crate) count: u16,
    /// `Number`: its literal. `Name`, `Call`, `Let`: the symbol. Operators: where the operator stands.
    pub(crate) data: u32,
    /// First byte of the node's text, parentheses around it included.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
    /// Index of the subtree's first node.
    pub(crate) first: u32,
}

impl Node {
    /// Where the node stands.
    pub(crate) const fn span(self) -> Span {
        Span::new(self.start, self.end)
    }

    /// The symbol of a `Name`, `Call` or `Let`.
    pub(crate) const fn symbol(self) -> Symbol {
        Symbol(self.data)
    }

    /// The comparison of a `Link`.
    pub(crate) fn link(self) -> Kind {
        const COMPARISONS: [Kind; 6] = [Kind::Eq, Kind::Ne, Kind::Lt, Kind::Le, Kind::Gt, Kind::Ge];
        COMPARISONS.into_iter().find(|&k| k as u16 == self.count).unwrap_or(Kind::Error)
    }
}

/// A literal's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Literal {
    /// As f64.
    pub(crate) value: f64,
    /// As an integer; right if `INTEGER` and not `HUGE`.
    pub(crate) int: u64,
    /// `INTEGER`, `RADIX` and `HUGE` of the lexer.
    pub(crate) flags: u8,
    /// `1i32`.
    pub(crate) suffix: Option<Type>,
}

/// A parameter of a signature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Param {
    pub(crate) symbol: Symbol,
    pub(crate) ty: Option<Type>,
    pub(crate) span: Span,
}

/// A formula's syntax tree; its vectors are reused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ast {
    pub(crate) nodes: Vec<Node>,
    pub(crate) literals: Vec<Literal>,
    /// The signature in the text, if `has_signature`.
    pub(crate) params: Vec<Param>,
    pub(crate) has_signature: bool,
}

impl Literal {
    fn dump(&self) -> String {
        let mut out =
            if self.flags & (INTEGER | HUGE) == INTEGER { self.int.to_string() } else { format!("{:?}", self.value) };
        if let Some(ty) = self.suffix {
            out.push_str(ty.name());
        }
        out
    }
}

impl Ast {
    /// Forgets the tree, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.literals.clear();
        self.params.clear();
        self.has_signature = false;
    }

    /// The roots of the subtrees directly under node `index`, markers included, from the last to the first.
    pub(crate) fn children_reversed(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        let (mut next, first) = (index, self.nodes[index as usize].first);
        std::iter::from_fn(move || {
            if next <= first {
                return None;
            }
            let child = next - 1;
            next = self.nodes[child as usize].first;
            Some(child)
        })
    }

    /// The tree as an S-expression, on one line.
    pub(crate) fn dump(&self, symbols: &Symbols) -> String {
        const CLOSE: u32 = u32::MAX;
        let mut out = String::new();
        let mut tasks = match self.nodes.len() {
            0 => Vec::new(),
            len => vec![len as u32 - 1],
        };
        while let Some(index) = tasks.pop() {
            if index == CLOSE {
                out.push(')');
                continue;
            }
            let node = self.nodes[index as usize];
            if matches!(node.kind, Kind::Right | Kind::IfThen | Kind::IfElse | Kind::BlockBegin) {
                continue;
            }
            if !out.is_empty() && !out.ends_with('(') {
                out.push(' ');
            }
            match node.kind {
                Kind::Number => out.push_str(&self.literals[node.data as usize].dump()),
                Kind::Name => out.push_str(symbols.name(node.symbol())),
                Kind::Link => out.push_str(node.link().text()),
                kind => {
                    out.push('(');
                    out.push_str(match kind {
                        Kind::Call => symbols.name(node.symbol()),
                        kind => kind.text(),
                    });
                    if kind == Kind::Let {
                        out.push(' ');
                        out.push_str(symbols.name(node.symbol()));
                    }
                    tasks.push(CLOSE);
                    tasks.extend(self.children_reversed(index));
                }
            }
        }
        out
    }
}
