//! From text to bytes: the page to read first.
//!
//! A [`Compiler`] owns the memory of every stage and calls them in order:
//!
//! ```text
//! text -lex-> tokens -parse-> AST -check-> SSA --walk back--> machine instructions --encode--> bytes
//! ```
//!
//! Nodes are canonicalised, folded, rewritten and shared as they are made, so no pass stands between `check` and the
//! walk. What comes out is bytes; making them callable is `mem`'s, and calling them `run`'s.

#![forbid(unsafe_code)]

use crate::ir::build::Builder;
use crate::ir::{Func, verify};
use crate::isa::x64::abi::{self, Convention};
#[cfg(any(test, debug_assertions))]
use crate::isa::x64::effects;
use crate::isa::x64::encode::{self, PADDING};
use crate::isa::x64::lower::X64;
use crate::mach::MInst;
use crate::mach::buffer::{CodeBuffer, LayoutError};
#[cfg(any(test, debug_assertions))]
use crate::mach::check;
use crate::mach::walk::{Chaos, Walk};

/// The largest code that is made of one formula, in bytes.
const CODE_LIMIT: usize = 1 << 28;

/// Why a function that is right could not be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// It needs a larger stack frame than is allowed.
    Frame,
    /// Its code would be larger than is allowed.
    Code,
}

/// How a function is to be compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) isa: X64,
    pub(crate) convention: Convention,
    pub(crate) chaos: Chaos,
    /// Note the offset of every instruction, for listings.
    pub(crate) mark: bool,
}

/// All stages, with the memory that they reuse.
pub(crate) struct Compiler {
    pub(crate) builder: Builder,
    pub(crate) walk: Walk,
    pub(crate) buffer: CodeBuffer,
}

impl Default for Compiler {
    fn default() -> Self {
        Compiler {
            builder: Builder::default(),
            walk: Walk::default(),
            buffer: CodeBuffer::new(&PADDING, CODE_LIMIT),
        }
    }
}

impl Compiler {
    /// Compiles the function in the builder; its bytes are in `self.buffer`.
    pub(crate) fn generate(&mut self, target: &Target) -> Result<(), Limit> {
        let func = &self.builder.func;
        debug_assert_eq!(verify::verify(func), Ok(()));
        self.allocate(target)?;
        #[cfg(any(test, debug_assertions))]
        if self.walk.recording {
            assert_eq!(self.check_allocation(target), Ok(()));
        }
        self.encode(target)
    }

    /// The backward walk: values to machine instructions.
    pub(crate) fn allocate(&mut self, target: &Target) -> Result<(), Limit> {
        let func: &Func = &self.builder.func;
        abi::compile(&mut self.walk, &target.isa, func, target.convention, target.chaos).map_err(|_| Limit::Frame)
    }

    /// Follows the machine instructions and says where one reads what is not there; wants `walk.recording`.
    #[cfg(any(test, debug_assertions))]
    pub(crate) fn check_allocation(&self, target: &Target) -> Result<(), String> {
        let func = &self.builder.func;
        let contract = abi::contract(&self.walk, func, target.convention);
        check::check(&self.walk, func, &effects::ROLES, &contract)
    }

    /// The forward walk: machine instructions to bytes.
    pub(crate) fn encode(&mut self, target: &Target) -> Result<(), Limit> {
        self.buffer.clear();
        for _ in 0..self.walk.code.labels {
            self.buffer.new_label();
        }
        encode::encode_all(instructions(&self.walk), target.mark, &mut self.buffer);
        self.buffer.finish(&self.walk.code.pool).map_err(|error| {
            debug_assert_eq!(error, LayoutError::TooLarge);
            Limit::Code
        })
    }
}

/// The instructions of the function that was walked last, in the order in which they run.
pub(crate) fn instructions(walk: &Walk) -> impl Iterator<Item = &MInst> {
    walk.code.body.iter().rev().chain(&walk.code.epilogue).chain(&walk.code.end)
}
