//! A formula over columns as a C function of its own, for programs that know nothing of Kiln.
//!
//! The one idea: the address of a C function carries no data, so each formula gets a stub of a few instructions that adds
//! one more argument, the formula's [`Target`], and goes on to [`enter`], which is the same for all. From there on a call
//! is a column call like any other. Who makes the bytes of the stub is not known here.

use super::call::Function;
use super::layout::Place;
use super::view::{Column, ColumnMut};
use crate::mem::{Arena, SealError};
use crate::types::Type;
use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

/// The signature of a formula over columns as a C function, that of the inner loops of NumPy's universal functions with a
/// status as result:
///
/// ```c
/// int32_t kernel(char **args, const intptr_t *n, const intptr_t *strides, void *failed_row);
/// ```
///
/// `args` holds the address of the first row of each input, then of each output; `strides` the bytes from a row to the
/// next of each, in the same order; `*n` the number of rows. The result is 0, or 1 if a row failed; then its number, the
/// lowest, is stored as an `intptr_t` at `failed_row`, if that is not null, and what the outputs hold is unspecified.
pub type NativeLoop =
    unsafe extern "C" fn(args: *const *mut u8, n: *const isize, strides: *const isize, failed_row: *mut c_void) -> i32;

/// Evaluates rows of columns that suit; the error is the first row that fails.
type Evaluate = Box<dyn Fn(&[Place<'_>], usize) -> Result<(), usize> + Send + Sync>;

/// What a stub leads to.
pub(crate) struct Target {
    /// The types of the inputs, then of the outputs.
    types: Box<[Type]>,
    inputs: usize,
    evaluate: Evaluate,
}

/// A formula over columns as a C function; it stays callable until the last clone is dropped.
#[derive(Clone)]
pub struct NativeKernel {
    stub: Arc<Function<NativeLoop>>,
    target: Arc<Target>,
}

impl NativeKernel {
    /// `stub` makes the code: given the addresses of [`enter`] and of the last argument, a C function that calls the former
    /// with its own four arguments and the latter.
    pub(crate) fn new(
        types: Box<[Type]>,
        inputs: usize,
        evaluate: Evaluate,
        arena: &Arena,
        stub: impl FnOnce(usize, usize) -> Vec<u8>,
    ) -> Result<NativeKernel, SealError> {
        let target = Arc::new(Target { types, inputs, evaluate });
        let bytes = stub(enter as *const () as usize, Arc::as_ptr(&target).expose_provenance());
        let code = arena.seal(&bytes)?;
        Ok(NativeKernel { stub: Arc::new(Function::new(code)), target })
    }

    /// The function.
    ///
    /// It may be called by several threads at once, with columns at any address and with any strides; an output may be
    /// in the same place as an input or overlap one. A `bool` is one byte, 0 or 1.
    ///
    /// # Safety
    /// The pointer must not be called after the last clone of `self` is dropped. Whoever calls it must pass as many addresses
    /// and strides as the formula has inputs and results, in their order, of which every row is readable, that of an output
    /// writable too, and which nobody else writes to meanwhile; and `failed_row` must be null or that of a writable `isize`.
    #[must_use]
    pub unsafe fn get(&self) -> NativeLoop {
        // SAFETY: the code is a C function of this type by what `new` asks of it, made of instructions that every x86-64
        // processor has; the caller keeps `self`. `native_kernels` in tests/columns.rs calls what comes out of here.
        unsafe { self.stub.get() }
    }

    /// The types of the inputs, then of the results: those of the columns in `args`.
    #[must_use]
    pub fn types(&self) -> &[Type] {
        &self.target.types
    }
}

impl fmt::Debug for NativeKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeKernel").field("types", &self.types()).finish_non_exhaustive()
    }
}

/// Where all stubs lead.
///
/// # Safety
/// As for [`NativeKernel::get`]; `target` is that of a kernel that is alive.
unsafe extern "C" fn enter(
    args: *const *mut u8,
    n: *const isize,
    strides: *const isize,
    failed_row: *mut c_void,
    target: *const Target,
) -> i32 {
    // SAFETY: the stub passes what `new` has given it, which the kernel keeps alive.
    let target = unsafe { &*target };
    // SAFETY: the caller passes the address of the number of rows.
    let rows = usize::try_from(unsafe { n.read_unaligned() }).unwrap_or(0);
    if rows == 0 {
        return 0;
    }
    super::columns::with_array(target.types.len(), Place::NONE, |places| {
        for (i, (place, &ty)) in places.iter_mut().zip(&target.types).enumerate() {
            // SAFETY: the caller passes as many addresses as there are columns.
            let start = unsafe { args.wrapping_add(i).read_unaligned() };
            // SAFETY: and as many strides.
            let stride = unsafe { strides.wrapping_add(i).read_unaligned() };
            *place = if i < target.inputs {
                // SAFETY: the caller promises of each input what a view does.
                Place::of_input(unsafe { Column::from_raw(ty, start, rows, stride) })
            } else {
                // SAFETY: and of each output.
                Place::of_output(unsafe { ColumnMut::from_raw(ty, start, rows, stride) })
            };
        }
        match (target.evaluate)(places, rows) {
            Ok(()) => 0,
            Err(row) => {
                if !failed_row.is_null() {
                    // SAFETY: it is not null, so the caller lets us write an `isize` there.
                    unsafe { failed_row.cast::<isize>().write_unaligned(row as isize) };
                }
                1
            }
        }
    })
}
