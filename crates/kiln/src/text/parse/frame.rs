//! What the parser remembers of everything that is not complete yet.
//!
//! Owns the frames of its stack: what they wait for, and what their fields mean. The one idea: a frame is small and the
//! same for an operator, a call and a loop, so the stack is one vector. Obligations of an adder: say which fields mean
//! what. Deliberately does not know how anything is read.

#![forbid(unsafe_code)]

use crate::text::ast::Kind;

/// What waits on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// An operator, for its right operand.
    Binary,
    /// A comparison, likewise; `count` links were emitted before it.
    Compare,
    Prefix,
    /// After `?`, for `:`.
    TernaryThen,
    /// After `:`, for the second arm.
    TernaryElse,
    Paren,
    /// `[`, which means nothing.
    Bracket,
    /// A call; `data` is the symbol, `count` the arguments read.
    Call,
    /// After `if`, for `{`.
    IfCondition,
    /// After `else`, for the inner `if` to be complete.
    ElseIf,
    /// In the first block of an `if`; `data` is the brace, `count` where the `if`'s subtree begins, `first` where the
    /// block's does.
    BlockThen,
    /// In the second.
    BlockElse,
    /// After `let name =`, `var name =` or `name =`; `op` is the node, `data` the symbol.
    Value,
    /// After `for name in`, for `..`; `count` is the name's token.
    ForLow,
    /// After `..`, for `{`.
    ForHigh,
    /// After `while`, for `{`.
    WhileCondition,
    /// In the block of a loop; `op` is the node, the rest as in `BlockThen`.
    Loop,
    /// After the `for name in` of an aggregate, for `..`; `count` is the name's token, `data` that of the aggregate.
    AggregateLow,
    /// After `..`, for `)`; then below `AggregateTerm`.
    AggregateHigh,
    /// Back behind the `(`, for the `for`; `count` is the token `)`, `data` the `stop` of what is around.
    AggregateTerm,
    /// After `fn name(...) =`; `data` is the function's index.
    FnValue,
    /// In the block of a function, as `BlockThen`.
    FnBlock,
    /// In `{ name: value, ... }`, between two values; `count` values were read.
    Results,
    /// After a name and `:`; `data` is the symbol, `start` and `count` are where the name stands.
    ResultValue,
    Program,
}

impl Wait {
    /// Waits for the `{` of a block?
    pub(super) fn is_header(self) -> bool {
        matches!(self, Wait::IfCondition | Wait::ForLow | Wait::ForHigh | Wait::WhileCondition)
    }

    /// Takes statements?
    pub(super) fn is_container(self) -> bool {
        matches!(self, Wait::BlockThen | Wait::BlockElse | Wait::Loop | Wait::FnBlock | Wait::Program)
    }
}

/// Something that is not complete yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Frame {
    pub(super) wait: Wait,
    pub(super) op: Kind,
    pub(super) level: u8,
    /// The constants below, each group for its own frames.
    pub(super) flags: u8,
    pub(super) count: u32,
    /// The node where this frame's subtree begins.
    pub(super) first: u32,
    /// Where its text begins.
    pub(super) start: u32,
    /// Operators: where the operator stands. Calls and `Value`: the symbol.
    pub(super) data: u32,
}

// Containers.

/// The `BlockBegin` was made, and stays.
pub(super) const HAS_BEGIN: u8 = 1;
/// The last thing read was an expression.
pub(super) const HAS_RESULT: u8 = 2;
/// Something in it was reported, so that nothing is said about a result.
pub(super) const HAS_UNSUPPORTED: u8 = 4;
/// The `BlockBegin` was made for an `if`, and goes if that is an expression and all there is.
pub(super) const MAYBE_BEGIN: u8 = 8;

// `if`, also as containers.

/// It began a statement.
pub(super) const STATEMENT: u8 = 16;
/// Its blocks so far have no result.
pub(super) const DO: u8 = 32;
/// They have one.
pub(super) const VALUE: u8 = 64;
/// Its blocks do not agree, or something in one was reported.
pub(super) const BROKEN: u8 = 128;
/// What outlives a block.
pub(super) const IF_FLAGS: u8 = STATEMENT | DO | VALUE | BROKEN;

// Calls.

/// The keyword `if`, not a name.
pub(super) const IF_CALL: u8 = 1;

// Heads of `for`, beside `INCLUSIVE`.

/// The head stands in parentheses.
pub(super) const PARENTHESES: u8 = 1;
/// Something in it was reported.
pub(super) const REPORTED: u8 = 2;

/// Loops and aggregates nest at most this deep.
pub(super) const LOOPS: u32 = 64;
