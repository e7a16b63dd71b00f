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
//! | `Block` | `BlockBegin`, statements, result, `Block`: only where there are statements |
//! | `BlockEnd` | `BlockBegin`, statements, `BlockEnd`: a block without a value |
//! | `Aggregate` | low, high, `AggregateBegin`, term, `Aggregate` |
//! | `Results` | value, `Result`, value, `Result`, ..., `Results`: only as the last child of `Program` |
//! | `Error` | whatever was read, `Error` |
//!
//! Statements have no value:
//!
//! | node | range |
//! |---|---|
//! | `Let`, `Var`, `Assign` | value, `Let` |
//! | `Fn` | `FnBegin`, body, `Fn`: only as a child of `Program` |
//! | `For` | low, high, `ForBegin`, `BlockEnd`, `For` |
//! | `While` | `WhileBegin`, condition, `WhileBody`, `BlockEnd`, `While` |
//! | `IfDo` | condition, `IfThen`, `BlockEnd`, `IfDo`; with an `else` before the last: `IfElse`, `BlockEnd` or `IfDo` |
//! | `Break`, `Continue` | themselves; between them and their loop there may be a `Block` or the term of an aggregate |
//!
//! A tree with errors keeps the ranges contiguous and nothing more: in it an `Error` swallows beginnings whose ends never
//! came, and values stand where statements should.
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
    Link, Chain, Right, IfThen, IfElse, If, Call, BlockBegin, Block, Let,
    BlockEnd, Var, Assign, FnBegin, Fn, ForBegin, For, WhileBegin, WhileBody, While, Break, Continue, IfDo,
    AggregateBegin, Aggregate, Result, Results, Program,
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
            Kind::Let => "let", Kind::Var => "var", Kind::Assign => "=", Kind::BlockEnd => "do", Kind::FnBegin | Kind::Fn => "fn",
            Kind::ForBegin | Kind::For => "for", Kind::WhileBegin | Kind::WhileBody | Kind::While => "while",
            Kind::Break => "break", Kind::Continue => "continue", Kind::IfDo => "if-do",
            Kind::AggregateBegin | Kind::Aggregate => "aggregate", Kind::Result | Kind::Results => "results",
            Kind::Program => "program",
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

    /// A marker that says nothing but where the next part begins?
    pub(crate) const fn is_silent(self) -> bool {
        matches!(
            self,
            Kind::Right
                | Kind::IfThen
                | Kind::IfElse
                | Kind::BlockBegin
                | Kind::FnBegin
                | Kind::WhileBegin
                | Kind::WhileBody
        )
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

/// `ForBegin` and `AggregateBegin`: the range includes its end, `a..=b`.
pub(crate) const INCLUSIVE: u8 = 4;
/// `IfDo`: there is an `else`.
pub(crate) const HAS_ELSE: u8 = 8;

/// A node of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    /// `Call`: number of arguments. `Results`: number of values. `Link`: the comparison, as `Kind`'s number.
    pub(crate) count: u16,
    /// `Number`: its literal. `Name`, `Call`, `Aggregate`: the symbol. `Let`, `Var`, `Assign`, `Result`, `ForBegin`,
    /// `AggregateBegin`: that of the name. `FnBegin`, `Fn`: index in `Ast::functions`. Operators: where the operator
    /// stands.
    pub(crate) data: u32,
    /// First byte of the node's text, parentheses around it included. `ForBegin`, `AggregateBegin`, `Result`: of the name.
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

    /// The symbol of a node that has one.
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

/// A parameter of a signature or function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Param {
    pub(crate) symbol: Symbol,
    pub(crate) ty: Option<Type>,
    pub(crate) span: Span,
}

/// A function that the formula defines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FunctionDef {
    pub(crate) symbol: Symbol,
    /// First and one past the last of its parameters in `Ast::params`.
    pub(crate) params: (u32, u32),
    /// Its `FnBegin`.
    pub(crate) begin: u32,
    /// Its `Fn`.
    pub(crate) end: u32,
    /// Where its name stands.
    pub(crate) name: Span,
}

/// A formula's syntax tree; its vectors are reused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ast {
    pub(crate) nodes: Vec<Node>,
    pub(crate) literals: Vec<Literal>,
    /// The parameters of the signature, then those of the functions.
    pub(crate) params: Vec<Param>,
    pub(crate) has_signature: bool,
    /// How many of `params` the signature has.
    pub(crate) signature: u32,
    pub(crate) functions: Vec<FunctionDef>,
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
        self.signature = 0;
        self.functions.clear();
    }

    /// The parameters of the signature.
    pub(crate) fn signature(&self) -> &[Param] {
        &self.params[..self.signature as usize]
    }

    /// The parameters of a function.
    pub(crate) fn params_of(&self, function: &FunctionDef) -> &[Param] {
        &self.params[function.params.0 as usize..function.params.1 as usize]
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
            if node.kind.is_silent() {
                continue;
            }
            if !out.is_empty() && !out.ends_with('(') {
                out.push(' ');
            }
            match node.kind {
                Kind::Number => out.push_str(&self.literals[node.data as usize].dump()),
                Kind::Name => out.push_str(symbols.name(node.symbol())),
                Kind::Link => out.push_str(node.link().text()),
                Kind::Break | Kind::Continue => out.push_str(node.kind.text()),
                Kind::ForBegin | Kind::AggregateBegin | Kind::Result => {
                    out.push_str(match (node.kind, node.flags & INCLUSIVE) {
                        (Kind::Result, _) => ":",
                        (_, 0) => "..",
                        _ => "..=",
                    });
                    out.push_str(symbols.name(node.symbol()));
                }
                kind => {
                    out.push('(');
                    out.push_str(match kind {
                        Kind::Call | Kind::Aggregate => symbols.name(node.symbol()),
                        kind => kind.text(),
                    });
                    if matches!(kind, Kind::Let | Kind::Var | Kind::Assign) {
                        out.push(' ');
                        out.push_str(symbols.name(node.symbol()));
                    }
                    if kind == Kind::Fn {
                        self.dump_head(node, symbols, &mut out);
                    }
                    tasks.push(CLOSE);
                    tasks.extend(self.children_reversed(index));
                }
            }
        }
        out
    }

    /// A function's name and parameters.
    fn dump_head(&self, node: Node, symbols: &Symbols, out: &mut String) {
        let Some(function) = self.functions.get(node.data as usize) else { return };
        out.push(' ');
        out.push_str(symbols.name(function.symbol));
        out.push_str(" (");
        for (i, param) in self.params_of(function).iter().enumerate() {
            out.push_str(if i > 0 { " " } else { "" });
            out.push_str(symbols.name(param.symbol));
            if let Some(ty) = param.ty {
                out.push(':');
                out.push_str(ty.name());
            }
        }
        out.push(')');
    }
}
