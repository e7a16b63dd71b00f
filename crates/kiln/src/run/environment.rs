//! The floating-point environment of the thread: the default one while formulas run over columns.
//!
//! Owns one guard. Code of the host may have set flushing of subnormals or another rounding mode; a column call gives the
//! same bits all the same, and leaves the setting as it was. Knows nothing of formulas. On processors other than x86-64
//! the guard does nothing.

/// The default: round to nearest, subnormals kept, all exceptions masked.
#[cfg(target_arch = "x86_64")]
const DEFAULT: u32 = 0x1f80;
/// The low six bits are not settings: they record what happened.
#[cfg(target_arch = "x86_64")]
const SETTINGS: u32 = 0xffc0;

/// As long as it lives, the thread has the default environment.
#[must_use]
pub(crate) struct DefaultEnvironment {
    /// What to put back, if it was not the default.
    #[cfg(target_arch = "x86_64")]
    before: Option<u32>,
}

#[cfg(target_arch = "x86_64")]
impl DefaultEnvironment {
    /// Sets it, if it is not set.
    pub(crate) fn set() -> DefaultEnvironment {
        let now = read();
        if now & SETTINGS == DEFAULT {
            return DefaultEnvironment { before: None };
        }
        write(DEFAULT);
        DefaultEnvironment { before: Some(now) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for DefaultEnvironment {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            write(before);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl DefaultEnvironment {
    /// Does nothing.
    pub(crate) fn set() -> DefaultEnvironment {
        DefaultEnvironment {}
    }
}

/// The control and status register.
#[cfg(target_arch = "x86_64")]
pub(crate) fn read() -> u32 {
    let mut word = 0u32;
    // SAFETY: the instruction stores four bytes at the address of a local variable of that size, and every x86-64
    // processor has it. If it stored elsewhere, `the_environment_is_put_back` would not read back what it set.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
    word
}

/// Sets the control and status register.
#[cfg(target_arch = "x86_64")]
pub(crate) fn write(word: u32) {
    // SAFETY: the word is the default or was read from the register before, so no reserved bit is set, which is the only
    // thing at which the instruction faults. Rust code between `set` and drop sees the default, which it takes for
    // granted. `the_environment_is_put_back` sets and reads both.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags)) };
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_put_back() {
        let before = read();
        for odd in [0x9fc0, 0x7f80, 0x3f80] {
            write(odd);
            let guard = DefaultEnvironment::set();
            let inside = read();
            drop(guard);
            let outside = read();
            write(before);
            assert_eq!((inside & SETTINGS, outside & SETTINGS), (DEFAULT, odd));
        }
        let guard = DefaultEnvironment::set();
        assert!(guard.before.is_none());
    }
}
