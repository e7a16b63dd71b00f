//! Kiln compiles formulas to machine code in microseconds.
//!
//! A formula arrives as text, `sqrt(x^2 + y^2) * (1 - exp(-t/tau))`, and leaves as a native function.
//! `pipeline` is the page to read first: it calls every stage in order.

pub mod asm;
pub mod engine;
pub mod error;
pub mod inspect;
pub mod span;
pub mod types;

#[cfg(all(test, unix, target_arch = "x86_64"))]
mod abi_tests;
#[cfg(test)]
mod differential;
mod ir;
mod isa;
mod mach;
mod math;
pub mod mem;
mod ops;
mod pipeline;
mod run;
#[cfg(test)]
mod scan_tests;
mod text;
