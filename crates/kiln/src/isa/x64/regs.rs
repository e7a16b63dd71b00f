//! The registers of x86-64, and what they are called at each operand width.
//!
//! The one idea: a [`Reg`] is a number within a file; a name needs the width at which an instruction looks at it
//! (`al`, `eax` and `rax` are one register). Nothing here knows what a register is used for: that is `abi`'s.

#![forbid(unsafe_code)]

use crate::mach::Reg;

/// The names of the general-purpose registers by width: 1, 2, 4 and 8 bytes.
const GPR_NAMES: [[&str; 16]; 4] = [
    ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"],
    ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"],
    [
        "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
        "r15d",
    ],
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
];

/// How an operand looks at a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// The low 8 bits of a general-purpose register.
    B8,
    /// Its low 16 bits.
    B16,
    /// Its low 32 bits.
    B32,
    /// All 64 bits.
    B64,
    /// The low 128 bits of a vector register.
    Xmm,
    /// Its low 256 bits.
    Ymm,
    /// All 512 bits.
    Zmm,
    /// A mask register.
    Mask,
}

/// Appends the name of `reg` at `width`; a register that has no such name is written as `?`.
pub(crate) fn push_name(reg: Reg, width: Width, out: &mut String) {
    let number = reg.number();
    let (file, gpr) = match width {
        Width::B8 => ("", 0),
        Width::B16 => ("", 1),
        Width::B32 => ("", 2),
        Width::B64 => ("", 3),
        Width::Xmm => ("xmm", 0),
        Width::Ymm => ("ymm", 0),
        Width::Zmm => ("zmm", 0),
        Width::Mask => ("k", 0),
    };
    if !reg.is_some() {
        out.push('?');
    } else if file.is_empty() {
        out.push_str(GPR_NAMES[gpr].get(number as usize).copied().unwrap_or("?"));
    } else {
        out.push_str(file);
        if number >= 10 {
            out.push((b'0' + number / 10) as char);
        }
        out.push((b'0' + number % 10) as char);
    }
}

macro_rules! registers {
    ($($make:ident: $($name:ident = $n:literal),+;)+) => {$($(
        #[doc = concat!("Register ", stringify!($name), ".")]
        pub(crate) const $name: Reg = Reg::$make($n);
    )+)+};
}

#[allow(dead_code, reason = "the register files are named whole, whether or not each name is in use")]
mod named {
    use super::Reg;
    registers! {
        gpr: RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7,
             R8 = 8, R9 = 9, R10 = 10, R11 = 11, R12 = 12, R13 = 13, R14 = 14, R15 = 15;
        vec: XMM0 = 0, XMM1 = 1, XMM2 = 2, XMM3 = 3, XMM4 = 4, XMM5 = 5, XMM6 = 6, XMM7 = 7,
             XMM8 = 8, XMM9 = 9, XMM10 = 10, XMM11 = 11, XMM12 = 12, XMM13 = 13, XMM14 = 14, XMM15 = 15,
             XMM16 = 16, XMM17 = 17, XMM18 = 18, XMM19 = 19, XMM20 = 20, XMM21 = 21, XMM22 = 22, XMM23 = 23,
             XMM24 = 24, XMM25 = 25, XMM26 = 26, XMM27 = 27, XMM28 = 28, XMM29 = 29, XMM30 = 30, XMM31 = 31;
        mask: K0 = 0, K1 = 1, K2 = 2, K3 = 3, K4 = 4, K5 = 5, K6 = 6, K7 = 7;
    }
}
#[allow(unused_imports, reason = "the register files are named whole, whether or not each name is in use")]
pub(crate) use named::*;
