//! Machine code that runs over columns, and what must be known to call it.
//!
//! The one idea: a [`Kernel`] knows nothing of strides, tails and threads. It evaluates whole steps of contiguous columns;
//! everything else is the work of `run::columns`, which brings any columns into that form.
//!
//! **The contract of the code.** `columns` points to the address of the first row of each input, then of each output, at
//! any alignment; a `bool` is a byte, 0 or 1. The code evaluates `steps` steps, at least one, of `rows_per_step` rows and returns how many
//! it has completed. If a row of the next step stops with an error, or is one that the code does not want to evaluate,
//! it returns early, and nothing of that step has been stored; the rows of that step are then evaluated one by one. It
//! reads all inputs of a step before it stores an output of that step, reads and writes no byte outside the rows
//! of its steps, and calls nothing but meanings and pure host functions.
//!
//! A kernel that streams wants more: the rows of a step of each output begin at a multiple of their size in bytes, or of
//! 64 if that is less; and what it stores is ordered before what comes after by its caller, [`Kernel::run`].

use super::host::Context;
use crate::mem::{Arena, SealError, Sealed};

/// The entry of code over columns.
#[cfg(target_arch = "x86_64")]
pub(crate) type KernelEntry =
    unsafe extern "sysv64" fn(columns: *const *mut u8, steps: usize, context: *const Context) -> usize;
/// The entry of code over columns.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) type KernelEntry =
    unsafe extern "C" fn(columns: *const *mut u8, steps: usize, context: *const Context) -> usize;

/// The most rows that a step may have.
pub(crate) const MAX_ROWS_PER_STEP: usize = 64;

/// How a kernel writes its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stores {
    /// Through the caches, to any address.
    Cached,
    /// Past the caches, which need not read what is to be overwritten.
    Streaming,
}

/// Code from the pipeline that keeps the contract above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmittedKernel<'a> {
    bytes: &'a [u8],
    columns: usize,
    rows_per_step: usize,
    stores: Stores,
}

impl<'a> EmittedKernel<'a> {
    /// To be called by the pipeline alone: `bytes` are the code that it generated for so many columns, inputs and outputs
    /// together.
    ///
    /// # Panics
    /// If the rows of a step are no power of two from 2 to 64.
    pub(crate) fn from_pipeline(
        bytes: &'a [u8],
        columns: usize,
        rows_per_step: usize,
        stores: Stores,
    ) -> EmittedKernel<'a> {
        assert!(rows_per_step.is_power_of_two() && (2..=MAX_ROWS_PER_STEP).contains(&rows_per_step));
        EmittedKernel { bytes, columns, rows_per_step, stores }
    }

    /// Makes the code executable.
    pub(crate) fn seal(self, arena: &Arena) -> Result<Kernel, SealError> {
        let code = Code::Sealed(arena.seal(self.bytes)?);
        Ok(Kernel { code, columns: self.columns, rows_per_step: self.rows_per_step, stores: self.stores })
    }
}

/// Code over columns that can be called.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    code: Code,
    columns: usize,
    rows_per_step: usize,
    stores: Stores,
}

#[derive(Clone, Debug)]
enum Code {
    Sealed(Sealed),
    /// A Rust function that keeps the contract, in place of machine code.
    #[cfg(test)]
    Fake(KernelEntry),
}

impl Kernel {
    /// A kernel that is a Rust function; it must keep the contract for a formula of so many columns.
    #[cfg(test)]
    pub(crate) fn fake(entry: KernelEntry, columns: usize, rows_per_step: usize) -> Kernel {
        Kernel { code: Code::Fake(entry), columns, rows_per_step, stores: Stores::Cached }
    }

    /// How many rows a step has: a power of two from 2 to [`MAX_ROWS_PER_STEP`].
    #[inline]
    pub(crate) fn rows_per_step(&self) -> usize {
        self.rows_per_step
    }

    /// How many of `rows` rows are in whole steps. A step is a power of two, and divisions would be a sixth of a short call.
    #[inline]
    pub(crate) fn whole(&self, rows: usize) -> usize {
        rows & self.rows_per_step.wrapping_neg()
    }

    /// How many steps these whole steps are.
    #[inline]
    pub(crate) fn steps(&self, rows: usize) -> usize {
        rows >> self.rows_per_step.trailing_zeros()
    }

    /// Evaluates steps, at least one; gives how many were completed.
    ///
    /// # Safety
    /// At each address of `columns`, one for each column of the formula in its order, stand as many rows as the steps have, to
    /// be read for inputs and written for outputs. An output may be in the same place as an input; otherwise outputs
    /// overlap nothing. For a kernel that streams they are aligned. Whatever the code calls is alive.
    ///
    /// # Panics
    /// If there are fewer addresses than columns, or no steps.
    #[inline]
    pub(crate) unsafe fn run(&self, columns: &[*mut u8], steps: usize, context: &Context) -> usize {
        assert!(columns.len() >= self.columns && steps > 0);
        let entry = match &self.code {
            // SAFETY: the code was made from an `EmittedKernel`, so what stands at its beginning is such a function; function and
            // data pointers have one representation here. tests/columns.rs runs such code at every level.
            Code::Sealed(sealed) => unsafe { std::mem::transmute::<*const u8, KernelEntry>(sealed.as_ptr()) },
            #[cfg(test)]
            Code::Fake(entry) => *entry,
        };
        // SAFETY: the caller vouches for the rows at the addresses, of which there are enough; the `Sealed` keeps the code
        // mapped, and the context outlives the call. The guard-page tests of tests/columns.rs would die of a wrong address.
        let done = unsafe { entry(columns.as_ptr(), steps, context) };
        #[cfg(target_arch = "x86_64")]
        if self.stores == Stores::Streaming {
            // SAFETY: every x86-64 processor has the instruction, which only orders stores. No test can tell on one that keeps
            // the order by chance; `large_outputs_are_streamed` runs it.
            unsafe { std::arch::x86_64::_mm_sfence() };
        }
        done
    }
}
