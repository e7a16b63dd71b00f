//! Instruction sets. Above this module nobody knows a register.

#![forbid(unsafe_code)]

pub(crate) mod x64;
