//! x86-64: registers, features, the instruction table and the encoder.
//!
//! `insts` is the page to read first. `text` writes one instruction as the manual would; it is a file of its own
//! because the encoder must stay short.

#![forbid(unsafe_code)]

pub(crate) mod abi;
mod choose;
#[cfg(any(test, debug_assertions))]
pub(crate) mod effects;
pub(crate) mod encode;
pub(crate) mod features;
mod floats;
pub(crate) mod insts;
pub(crate) mod lower;
pub(crate) mod notation;
pub(crate) mod packed;
pub(crate) mod regs;
pub(crate) mod text;

#[cfg(test)]
mod tests;
