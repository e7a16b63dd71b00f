//! The intermediate representation: pure values in SSA form, hash-consed, with structured regions.
//!
//! A [`Func`] is an arena of 16-byte [`Node`]s named by [`Ref`]. Operands always stand before their users. A pure
//! node has no place of its own: it belongs to the outermost region where its operands exist, and is scheduled
//! where it is wanted. Only what has an effect (a trap, a call that is not pure) is *pinned* to the region that it was
//! written in, in order. Regions nest; there is no general control-flow graph.
//!
//! A loop is a *test* region and, inside it, a *body* region that runs while the test's condition holds. What changes
//! from iteration to iteration is *carried*: a `Phi` is the value when an iteration begins, its `next` becomes the `Phi`
//! of the next one, and an `Exit` is the `Phi` with which the test failed. All nodes that were made while a loop was
//! open, and so all that live in it, form one stretch of the arena that ends with its `Loop` node.
//!
//! Nodes enter a `Func` only through [`build::Builder`]. Nothing here knows a register or a formula's syntax.

#![forbid(unsafe_code)]

pub(crate) mod blocks;
pub(crate) mod build;
pub(crate) mod eval;
pub(crate) mod matcher;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod text;
pub(crate) mod verify;

use crate::ops::{Meaning, Op};
use crate::run::host::HostFunction;
use crate::span::Span;
use crate::types::{Type, Value};
use build::Kernel;
use std::sync::Arc;

/// Names a node of a [`Func`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Ref(pub(crate) u32);

impl Ref {
    /// No node: the unused operands of a node.
    pub(crate) const NONE: Ref = Ref(u32::MAX);

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for Ref {
    fn default() -> Self {
        Ref::NONE
    }
}

/// An operation with its operands. What `a`, `b`, `c` hold is said by the op table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    /// Type of the result.
    pub(crate) ty: Type,
    /// The region that the node lives in.
    pub(crate) region: u16,
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u32,
}

const _: () = assert!(size_of::<Node>() == 16);

impl Node {
    /// The operands that are nodes, by the op's arity; the rest are [`Ref::NONE`].
    #[inline]
    pub(crate) fn operands(&self) -> [Ref; 3] {
        match self.op.arity() {
            0 => [Ref::NONE; 3],
            1 => [Ref(self.a), Ref::NONE, Ref::NONE],
            2 => [Ref(self.a), Ref(self.b), Ref::NONE],
            _ => [Ref(self.a), Ref(self.b), Ref(self.c)],
        }
    }

    /// A constant's bits.
    #[inline]
    pub(crate) fn const_bits(&self) -> u64 {
        u64::from(self.a) | u64::from(self.b) << 32
    }
}

/// Region 0 is the function's body; every other one is an arm of an `If`, or the test or the body of a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// The region around this one (the body: itself).
    pub(crate) parent: u16,
    /// The condition under which it runs; none for the test of a loop, which runs whenever an iteration begins.
    pub(crate) condition: Ref,
    /// The value that the condition must have.
    pub(crate) polarity: bool,
    /// Has something pinned been written in it (or in a region inside it)?
    pub(crate) has_effects: bool,
}

/// A loop; see the head of this file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loop {
    /// Where its stretch of the arena begins: its first `Phi`, if it has one.
    pub(crate) first: Ref,
    /// Its `Loop` node, the last of the stretch.
    pub(crate) node: Ref,
    /// The region of its test; the regions inside it are those from here up to `regions_end`.
    pub(crate) test: u16,
    pub(crate) regions_end: u16,
    /// The region of its body, whose condition is the loop's.
    pub(crate) body: u16,
    /// The range of its carried values in the function's list.
    pub(crate) carried: (u32, u32),
}

impl Loop {
    /// The numbers of its carried values.
    pub(crate) fn carried(&self) -> std::ops::Range<usize> {
        self.carried.0 as usize..self.carried.1 as usize
    }
}

/// A value that a loop carries from one iteration to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    /// What it is during an iteration.
    pub(crate) phi: Ref,
    /// What it is in the first.
    pub(crate) init: Ref,
    /// What it becomes.
    pub(crate) next: Ref,
}

/// Why an evaluation stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum TrapKind {
    /// Checked arithmetic left the type's range.
    Overflow = 1,
    /// Checked division or modulo by zero.
    DivisionByZero = 2,
    /// A host function returned an error.
    Host = 3,
    /// The loops took more steps than the budget allows.
    Steps = 4,
}

impl TrapKind {
    /// All kinds.
    const ALL: [TrapKind; 4] = [TrapKind::Overflow, TrapKind::DivisionByZero, TrapKind::Host, TrapKind::Steps];

    /// The kind with this number.
    pub(crate) fn from_code(code: u32) -> Option<TrapKind> {
        TrapKind::ALL.into_iter().find(|k| *k as u32 == code)
    }
}

/// What a `Call` node calls.
#[derive(Clone)]
pub(crate) enum Target {
    /// A function of up to three words from the function table.
    Builtin(Meaning, Option<Kernel>),
    /// A function that the host program registered.
    Host(Arc<HostFunction>),
}

/// A function that formulas call.
#[derive(Clone)]
pub(crate) struct Callee {
    /// The name for listings (host functions know their own).
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    /// Result type.
    pub(crate) ty: Type,
}

impl Callee {
    /// The host function, if it is one.
    pub(crate) fn host(&self) -> Option<&Arc<HostFunction>> {
        match &self.target {
            Target::Host(host) => Some(host),
            Target::Builtin(..) => None,
        }
    }

    /// The name under which listings show it.
    pub(crate) fn name(&self) -> &str {
        match &self.target {
            Target::Builtin(..) => self.name,
            Target::Host(host) => host.name(),
        }
    }
}

/// A formula as values.
#[derive(Default)]
pub(crate) struct Func {
    pub(crate) nodes: Vec<Node>,
    /// The formula part that each node came from.
    pub(crate) spans: Vec<Span>,
    /// Arguments of calls, named by position and count.
    pub(crate) args: Vec<Ref>,
    pub(crate) callees: Vec<Callee>,
    pub(crate) regions: Vec<Region>,
    /// Loops in the order in which they begin, so that an outer one stands before those inside it.
    pub(crate) loops: Vec<Loop>,
    pub(crate) carried: Vec<Carried>,
    /// Pinned nodes in the order in which they were written.
    pub(crate) effects: Vec<Ref>,
    /// Types of the inputs.
    pub(crate) params: Vec<Type>,
    pub(crate) results: Vec<Ref>,
}

impl Func {
    #[inline]
    pub(crate) fn node(&self, r: Ref) -> &Node {
        &self.nodes[r.index()]
    }

    #[inline]
    pub(crate) fn ty(&self, r: Ref) -> Type {
        self.nodes[r.index()].ty
    }

    /// The value of a constant node.
    #[inline]
    pub(crate) fn constant(&self, r: Ref) -> Option<Value> {
        let node = self.node(r);
        (node.op == Op::Const).then(|| Value::from_bits(node.ty, node.const_bits()))
    }

    /// The arguments of a `Call` or `CallPinned` node.
    pub(crate) fn call_args(&self, node: &Node) -> &[Ref] {
        &self.args[node.b as usize..(node.b + node.c) as usize]
    }

    /// Calls `f` with every node that `node` needs: operands, call arguments, condition, arm values.
    #[inline]
    pub(crate) fn for_operands(&self, node: &Node, mut f: impl FnMut(Ref)) {
        match node.op {
            Op::Call | Op::CallPinned => self.call_args(node).iter().copied().for_each(f),
            Op::Trap | Op::If | Op::Exit => f(Ref(node.a)),
            Op::Loop => {
                let this = &self.loops[node.a as usize];
                f(self.regions[this.body as usize].condition);
                for carried in &self.carried[this.carried()] {
                    f(carried.init);
                    f(carried.next);
                }
            }
            Op::Join => {
                f(Ref(node.a));
                f(Ref(node.b));
                f(Ref(node.c));
            }
            op => {
                for r in &node.operands()[..op.arity()] {
                    f(*r);
                }
            }
        }
    }

    /// Can an evaluation stop with an error?
    pub(crate) fn is_fallible(&self) -> bool {
        self.effects.iter().any(|&r| match self.node(r).op {
            Op::Trap => true,
            Op::CallPinned => match &self.callees[self.node(r).a as usize].target {
                Target::Host(host) => host.is_fallible(),
                Target::Builtin(..) => false,
            },
            _ => false,
        })
    }

    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        let Func { nodes, spans, args, callees, regions, loops, carried, effects, params, results } = self;
        nodes.clear();
        spans.clear();
        args.clear();
        callees.clear();
        regions.clear();
        loops.clear();
        carried.clear();
        effects.clear();
        params.clear();
        results.clear();
    }
}
