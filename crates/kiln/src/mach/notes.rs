//! What the backward walk says of the code that it emits, for the allocation checker.
//!
//! Owns the claims alone. The walk notes them as it goes and never looks at them again; `mach::check` holds them against the
//! instructions.

#![forbid(unsafe_code)]

use super::{Label, Reg};
use crate::ir::Ref;

/// What the symbolic checker must know of one node's instructions; see `mach::check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// What is noted next belongs to this node, whose instructions start at `at` in `body` (and so end there, forward).
    Node { r: Ref, at: u32 },
    /// The node reads `value` in this register.
    Use { value: Ref, reg: Reg },
    /// The node reads `value` in this slot.
    UseSlot { value: Ref, slot: u32 },
    /// The node leaves itself in this register.
    Def { reg: Reg, at: u32 },
    /// One instruction that puts `value` into `reg` from wherever it was.
    Move { value: Ref, reg: Reg, at: u32 },
    /// One instruction that stores `value` from `reg` to `slot`.
    Store { value: Ref, reg: Reg, slot: u32, at: u32 },
    /// After a loop: what is `from` in `reg` is called `to` from here on.
    Rename { from: Ref, to: Ref, reg: Reg, at: u32 },
    /// At the end of an arm, and before an iteration: what is `from` in this register or slot will be called `to`.
    Carry { from: Ref, to: Ref, reg: Option<Reg>, slot: Option<u32>, at: u32 },
    /// And now it is. If an iteration of a loop begins, all else of the last one is gone.
    Now { iteration: Option<u32>, at: u32 },
    /// What is noted next are moves between nodes.
    Moves { at: u32 },
    /// The first arm of a branch ends here. If the second one has no instructions, the jump past the first goes to a
    /// label behind it, and there happens what has been noted from the note with this number on.
    Arm { at: u32, joined: Option<(Label, u32)> },
}

impl Note {
    /// The place in `body` that the note belongs to.
    pub(super) fn at_mut(&mut self) -> Option<&mut u32> {
        match self {
            Note::Node { at, .. }
            | Note::Def { at, .. }
            | Note::Move { at, .. }
            | Note::Store { at, .. }
            | Note::Rename { at, .. }
            | Note::Carry { at, .. }
            | Note::Now { at, .. }
            | Note::Moves { at }
            | Note::Arm { at, .. } => Some(at),
            Note::Use { .. } | Note::UseSlot { .. } => None,
        }
    }
}
