//! Rust code compiled for more than the processors that all of Kiln is compiled for.
//!
//! The one idea: a closure that is inlined into a function for other processors becomes code for them. Owns the question
//! which processor this is, and nothing else.

use std::sync::OnceLock;

/// Calls `fused`, which may be compiled for a processor that multiplies and adds at once, or `plain` where it does not; both
/// must give the same.
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

/// Work whose result are many rows. The methods must be inlined always, or they are not compiled for the processor; so this
/// is no closure. The rows are an argument, and of a function that is not inlined: then the compiler knows that no constant lies
/// within them, without which it makes no vector code of look-ups.
pub(crate) trait Work {
    /// As it may be compiled for a processor that multiplies and adds at once.
    fn fused(self, out: &mut [u8]);
    /// The same for any processor.
    fn plain(self, out: &mut [u8]);
}

/// Which vectors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// Those that every processor has.
    Plain,
    /// AVX2, with FMA.
    Fused,
    /// AVX-512 besides.
    Wide,
}

impl Width {
    /// Those of this processor.
    #[inline]
    fn here() -> Width {
        static HERE: OnceLock<Width> = OnceLock::new();
        *HERE.get_or_init(Width::ask)
    }

    fn ask() -> Width {
        #[cfg(target_arch = "x86_64")]
        {
            let is_fused = std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2");
            let is_wide = std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512vl");
            match (is_fused, is_wide) {
                (true, true) => Width::Wide,
                (true, false) => Width::Fused,
                _ => Width::Plain,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            Width::Plain
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Tests hold this thread down to less than the processor has.
    pub(crate) static AT_MOST: std::cell::Cell<Width> = const { std::cell::Cell::new(Width::Wide) };
}

/// Does the work with the widest vectors that the processor has.
#[inline]
pub(crate) fn widest(out: &mut [u8], work: impl Work) {
    let width = Width::here();
    #[cfg(test)]
    let width = width.min(AT_MOST.get());
    match width {
        // SAFETY: the processor has what the function is compiled for, which has just been asked. On one that has not, every
        // test of the block engine would die of an illegal instruction.
        #[cfg(target_arch = "x86_64")]
        Width::Wide => unsafe { with_wide_vectors(out, work) },
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        Width::Fused => unsafe { with_vectors(out, work) },
        _ => work.plain(out),
    }
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_fma<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn with_vectors(out: &mut [u8], work: impl Work) {
    work.fused(out);
}

/// # Safety
/// The processor must have these parts of AVX-512, AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn with_wide_vectors(out: &mut [u8], work: impl Work) {
    work.fused(out);
}
