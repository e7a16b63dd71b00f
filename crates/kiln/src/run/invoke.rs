//! Calls of compiled formulas.

use super::host::Context;

/// Code that is entered by buffer: one word for each input, one for each result, the context of a fallible formula.
/// The status is not zero if the evaluation stopped with an error.
#[cfg(target_arch = "x86_64")]
type BufferEntry = unsafe extern "sysv64" fn(args: *const u64, out: *mut u64, context: *const Context) -> u32;

/// Calls code that is entered by buffer.
///
/// # Safety
/// Such code stands at `code`, it reads at most `args.len()` words, writes at most `out.len()`, and whatever it calls
/// is alive.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call_buffer(code: *const u8, args: &[u64], out: &mut [u64], context: &Context) -> u32 {
    // SAFETY: function and data pointers have one representation here; the caller vouches for the code.
    let entry = unsafe { std::mem::transmute::<*const u8, BufferEntry>(code) };
    // SAFETY: the slices are as long as the caller says the code needs; the context outlives the call.
    unsafe { entry(args.as_ptr(), out.as_mut_ptr(), context) }
}
