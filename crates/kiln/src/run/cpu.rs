//! Asks the processor what it is, once.
//!
//! The one idea: only the raw words are read here; what they mean is the pure function [`Level::detect`]. On hosts
//! that are not x86-64 there is nothing to ask and the answer is the lowest level, which only matters for compiling
//! code that will not be called here.

use std::sync::OnceLock;

use crate::isa::x64::features::{CpuidWords, Level};

/// The highest level that this host can run.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| Level::detect(&words()))
}

/// The words of this host's processor; all zero on a host that is not x86-64.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn words() -> CpuidWords {
    CpuidWords::default()
}

/// The words of this host's processor.
#[cfg(target_arch = "x86_64")]
pub(crate) fn words() -> CpuidWords {
    use std::arch::x86_64::__cpuid_count;
    const OSXSAVE: u32 = 1 << 27;

    let basic = __cpuid_count(0, 0).eax;
    let leaf1 = __cpuid_count(1, 0);
    let leaf7_ebx = if basic >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let extended = __cpuid_count(0x8000_0000, 0).eax;
    let extended1_ecx = if extended > 0x8000_0000 { __cpuid_count(0x8000_0001, 0).ecx } else { 0 };
    let xcr0 = if leaf1.ecx & OSXSAVE != 0 {
        // SAFETY: XGETBV exists when CPUID reports OSXSAVE, which the condition above has just read from this
        // processor. If the condition were wrong, `host_has_a_level` would die of an illegal instruction.
        unsafe { xcr0() }
    } else {
        0
    };
    CpuidWords { leaf1_ecx: leaf1.ecx, leaf1_edx: leaf1.edx, leaf7_ebx, extended1_ecx, xcr0 }
}

/// Extended control register 0.
///
/// # Safety
/// CPUID must report OSXSAVE.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: the caller vouches for OSXSAVE, so the instruction exists and register 0 may be read.
    unsafe { std::arch::x86_64::_xgetbv(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_has_a_level() {
        assert_eq!(level(), Level::detect(&words()));
        #[cfg(target_arch = "x86_64")]
        {
            assert_eq!(level() >= Level::V2, std::arch::is_x86_feature_detected!("sse4.2"));
            assert_eq!(level() >= Level::V3, std::arch::is_x86_feature_detected!("avx2"));
            assert_eq!(level() >= Level::V4, std::arch::is_x86_feature_detected!("avx512vl"));
        }
    }
}
