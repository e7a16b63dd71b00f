//! Compiled formulas that can be called: code or a function to interpret, and how values get in and out.
//!
//! The one idea: [`Emitted`] is a proof. Only the pipeline makes one, from code that it has just generated, and it says
//! how many words that code reads and writes; so a [`Body`] made from it can be called safely with slices that are
//! checked once. What is interpreted instead is called through the same types and gives the same bits.

use super::host::Context;
use crate::ir::eval::{Scratch, Stop, evaluate};
use crate::ir::{Func, Ref, TrapKind};
use crate::mem::{Arena, Batch, SealError, Sealed};

/// Code from the pipeline, with what must be known to call it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emitted<'a> {
    bytes: &'a [u8],
    inputs: usize,
    outputs: usize,
}

impl<'a> Emitted<'a> {
    /// To be called by the pipeline alone: `bytes` are the code that it generated for a function with so many inputs
    /// and results.
    pub(crate) fn from_pipeline(bytes: &'a [u8], inputs: usize, outputs: usize) -> Emitted<'a> {
        Emitted { bytes, inputs, outputs }
    }

    /// Makes the code executable.
    pub(crate) fn seal(self, arena: &Arena) -> Result<Code, SealError> {
        Ok(Code { sealed: arena.seal(self.bytes)?, inputs: self.inputs, outputs: self.outputs })
    }

    /// Adds the code to a batch; [`Pending::finish`] is for when the batch is sealed.
    pub(crate) fn push(self, batch: &mut Batch) -> Pending {
        Pending { index: batch.push_bytes(self.bytes), inputs: self.inputs, outputs: self.outputs }
    }
}

/// Code that waits in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    index: usize,
    inputs: usize,
    outputs: usize,
}

impl Pending {
    /// The code, given everything that its batch became.
    pub(crate) fn finish(self, sealed: &[Sealed]) -> Option<Code> {
        Some(Code { sealed: sealed.get(self.index)?.clone(), inputs: self.inputs, outputs: self.outputs })
    }
}

/// Executable code of a formula.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    sealed: Sealed,
    inputs: usize,
    outputs: usize,
}

/// What runs a formula.
pub(crate) enum Body {
    /// Machine code that is entered by buffer.
    Buffer(Code),
    /// Machine code that is entered as a C function.
    Native(Code),
    /// The reference interpreter.
    Interpreted(Func),
}

/// Code that is entered by buffer: one word for each input, one for each result, the context of a fallible formula.
/// The status is not zero if the evaluation stopped with an error.
#[cfg(target_arch = "x86_64")]
type BufferEntry = unsafe extern "sysv64" fn(args: *const u64, out: *mut u64, context: *const Context) -> u32;
#[cfg(not(target_arch = "x86_64"))]
type BufferEntry = unsafe extern "C" fn(args: *const u64, out: *mut u64, context: *const Context) -> u32;

/// Calls code that is entered by buffer.
///
/// # Safety
/// Such code stands at `code`, it reads at most `args.len()` words, writes at most `out.len()`, and whatever it calls
/// is alive.
pub(crate) unsafe fn call_buffer(code: *const u8, args: &[u64], out: &mut [u64], context: &Context) -> u32 {
    // SAFETY: function and data pointers have one representation here; the caller vouches for the code.
    let entry = unsafe { std::mem::transmute::<*const u8, BufferEntry>(code) };
    // SAFETY: the slices are as long as the caller says the code needs; the context outlives the call.
    unsafe { entry(args.as_ptr(), out.as_mut_ptr(), context) }
}

impl Body {
    /// The machine code, if that is what runs.
    pub(crate) fn code(&self) -> Option<&Sealed> {
        match self {
            Body::Buffer(code) | Body::Native(code) => Some(&code.sealed),
            Body::Interpreted(_) => None,
        }
    }

    /// Evaluates on the inputs' words. Not for native code, which is called by its own type.
    ///
    /// # Panics
    /// If the slices are shorter than the formula's inputs and results.
    pub(crate) fn call(&self, args: &[u64], out: &mut [u64]) -> Result<(), Stop> {
        self.call_with(&mut Scratch::default(), args, out)
    }

    /// The same with memory for the interpreter that is reused.
    ///
    /// # Panics
    /// As [`Body::call`].
    pub(crate) fn call_with(&self, scratch: &mut Scratch, args: &[u64], out: &mut [u64]) -> Result<(), Stop> {
        match self {
            Body::Buffer(code) | Body::Native(code) => {
                assert!(args.len() >= code.inputs && out.len() >= code.outputs && matches!(self, Body::Buffer(_)));
                let context = Context::default();
                // SAFETY: `code` was made from an `Emitted`: the pipeline generated it with the buffer entry for this
                // many inputs and results, which the slices have; the `Sealed` keeps it mapped, and the `Function`
                // around this body owns the host functions that it calls. differential.rs runs thousands of such calls.
                let status = unsafe { call_buffer(code.sealed.as_ptr(), args, out, &context) };
                if status == 0 {
                    return Ok(());
                }
                let message = context.message.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
                let kind = TrapKind::from_code(context.kind).unwrap_or(TrapKind::Host);
                Err(Stop { kind, at: Ref(context.at), message })
            }
            Body::Interpreted(func) => {
                evaluate(func, args, scratch)?;
                for (word, &r) in out.iter_mut().zip(&func.results) {
                    *word = scratch.bits(r);
                }
                Ok(())
            }
        }
    }
}
