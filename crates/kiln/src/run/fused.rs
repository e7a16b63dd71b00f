//! Rust code compiled for processors that multiply and add at once.
//!
//! The one idea: a closure that is inlined into a function for such processors becomes code for them. Owns the question
//! whether this is one, and nothing else.

/// Calls `fused`, which may be compiled for the instruction, or `plain` where there is none; both must give the same.
#[inline]
pub(crate) fn fused<R>(fused: impl FnOnce() -> R, plain: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for, which has just been asked. On one that has not, every
        // call of `sin` would die of an illegal instruction.
        return unsafe { with_fma(fused) };
    }
    let _ = &fused;
    plain()
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_fma<R>(f: impl FnOnce() -> R) -> R {
    f()
}
