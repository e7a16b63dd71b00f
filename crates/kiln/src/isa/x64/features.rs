//! Which instructions a processor has: features, and the four levels the compiler chooses between.
//!
//! The one idea: detection is a pure function over the raw words that CPUID and XGETBV return, so tests can present
//! any processor. The words themselves are read in `run`. A new feature is one row of the table below.
//! Nothing here knows what a feature is used for.

#![forbid(unsafe_code)]

/// The words a processor describes itself with, as far as the feature table asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuidWords {
    /// Leaf 1, ECX.
    pub(crate) leaf1_ecx: u32,
    /// Leaf 1, EDX.
    pub(crate) leaf1_edx: u32,
    /// Leaf 7 subleaf 0, EBX; zero where leaf 7 does not exist.
    pub(crate) leaf7_ebx: u32,
    /// Leaf 8000_0001h, ECX; zero where that leaf does not exist.
    pub(crate) extended1_ecx: u32,
    /// Extended control register 0: which register state the operating system saves; zero without OSXSAVE.
    pub(crate) xcr0: u64,
}

/// A set of CPU features.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Features(u32);

/// A feature: its bit in a set, its name, and whether a processor has it.
type Entry = (Features, &'static str, fn(&CpuidWords) -> bool);

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident $text:literal $word:ident $bit:literal $state:ident;)+) => {
        #[derive(Clone, Copy)]
        enum Index { $($name),+ }

        /// The feature table: bit in [`Features`], name, and is it there?
        const TABLE: &[Entry] = &[$(
            (Features::$name, $text, |w| w.$word >> $bit & 1 != 0 && w.os_saves($state)),
        )+];

        impl Features {
            $($(#[$doc])* pub(crate) const $name: Features = Features(1 << Index::$name as u32);)+
        }
    };
}

#[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "features keep the manual's names")]
mod table {
    use super::{Entry, Features};

    /// Register state in XCR0 that must be enabled: none, xmm and ymm, or those and the AVX-512 state.
    const NONE: u64 = 0;
    const YMM: u64 = 0b110;
    const ZMM: u64 = 0b1110_0110;

    // feature, name, CPUID word, its bit, and the state the operating system must save for it
    features! {
        /// Scalar and packed binary32.
        SSE "SSE" leaf1_edx 25 NONE;
        /// Scalar and packed binary64, packed integers; part of every x86-64.
        SSE2 "SSE2" leaf1_edx 26 NONE;
        /// Duplicating moves and horizontal arithmetic.
        SSE3 "SSE3" leaf1_ecx 0 NONE;
        /// Byte shuffles, absolute value.
        SSSE3 "SSSE3" leaf1_ecx 9 NONE;
        /// Blends, rounding, widening moves.
        SSE4_1 "SSE4.1" leaf1_ecx 19 NONE;
        /// 64-bit comparison.
        SSE4_2 "SSE4.2" leaf1_ecx 20 NONE;
        /// Counting one bits.
        POPCNT "POPCNT" leaf1_ecx 23 NONE;
        /// 256-bit floating point, three operands.
        AVX "AVX" leaf1_ecx 28 YMM;
        /// 256-bit integers.
        AVX2 "AVX2" leaf7_ebx 5 YMM;
        /// Fused multiply and add.
        FMA "FMA" leaf1_ecx 12 YMM;
        /// Conversions from and to binary16.
        F16C "F16C" leaf1_ecx 29 YMM;
        /// Bit manipulation: andn, blsr, tzcnt.
        BMI1 "BMI1" leaf7_ebx 3 NONE;
        /// Bit manipulation: shlx, bzhi, rorx.
        BMI2 "BMI2" leaf7_ebx 8 NONE;
        /// Counting leading zeros.
        LZCNT "LZCNT" extended1_ecx 5 NONE;
        /// AVX-512 foundation.
        AVX512F "AVX512F" leaf7_ebx 16 ZMM;
        /// AVX-512 doublewords and quadwords.
        AVX512DQ "AVX512DQ" leaf7_ebx 17 ZMM;
        /// AVX-512 bytes and words.
        AVX512BW "AVX512BW" leaf7_ebx 30 ZMM;
        /// AVX-512 at 128 and 256 bits.
        AVX512VL "AVX512VL" leaf7_ebx 31 ZMM;
        /// AVX-512 conflict detection and leading zeros.
        AVX512CD "AVX512CD" leaf7_ebx 28 ZMM;
    }

    pub(super) const ALL: &[Entry] = TABLE;
}

impl CpuidWords {
    /// Does the operating system save the register state `mask` of XCR0? Always, for the empty mask.
    fn os_saves(&self, mask: u64) -> bool {
        const OSXSAVE: u32 = 1 << 27;
        mask == 0 || (self.leaf1_ecx & OSXSAVE != 0 && self.xcr0 & mask == mask)
    }
}

impl Features {
    /// No feature beyond the x86-64 integer instructions.
    pub(crate) const BASE: Features = Features(0);

    /// Both sets together.
    pub(crate) const fn and(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// Is every feature of `other` in this set?
    pub(crate) const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }

    /// What a processor that reports `words` can run.
    pub(crate) fn detect(words: &CpuidWords) -> Features {
        table::ALL.iter().filter(|row| (row.2)(words)).fold(Features::BASE, |set, row| set.and(row.0))
    }

    /// The names of the features in this set, in the table's order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        table::ALL.iter().filter(move |row| self.contains(row.0)).map(|row| row.1)
    }
}

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// How much of the processor the compiler may use. Each level contains the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every x86-64 processor has: SSE2.
    V1,
    /// SSE4.2 and POPCNT.
    V2,
    /// AVX2, FMA, F16C, BMI1, BMI2 and LZCNT: 256-bit vectors.
    V3,
    /// AVX-512 F, DQ, BW, VL and CD: 512-bit vectors.
    V4,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Level; 4] = [Level::V1, Level::V2, Level::V3, Level::V4];

    /// `"v1"` to `"v4"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::V1 => "v1",
            Level::V2 => "v2",
            Level::V3 => "v3",
            Level::V4 => "v4",
        }
    }

    /// The level with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The features that code for this level may use.
    pub(crate) const fn features(self) -> Features {
        match self {
            Level::V1 => Features::SSE.and(Features::SSE2),
            Level::V2 => {
                let sse = Features::SSE3.and(Features::SSSE3).and(Features::SSE4_1).and(Features::SSE4_2);
                Level::V1.features().and(sse).and(Features::POPCNT)
            }
            Level::V3 => {
                let bits = Features::BMI1.and(Features::BMI2).and(Features::LZCNT);
                let avx = Features::AVX.and(Features::AVX2).and(Features::FMA).and(Features::F16C);
                Level::V2.features().and(avx).and(bits)
            }
            Level::V4 => {
                let lanes = Features::AVX512DQ.and(Features::AVX512BW).and(Features::AVX512VL);
                Level::V3.features().and(Features::AVX512F).and(lanes).and(Features::AVX512CD)
            }
        }
    }

    /// The highest level all of whose features a processor that reports `words` has; at least [`Level::V1`].
    pub(crate) fn detect(words: &CpuidWords) -> Level {
        let have = Features::detect(words);
        Level::ALL.into_iter().rev().find(|level| have.contains(level.features())).unwrap_or(Level::V1)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
