//! Kiln compiles formulas to machine code in microseconds.
//!
//! A formula arrives as text, `sqrt(x^2 + y^2) * (1 - exp(-t/tau))`, and leaves as a native function.
//! `pipeline` is the page to read first: it calls every stage in order.

/// Some tests use the library as programs do, and share the code for it with these.
#[cfg(test)]
extern crate self as kiln;

mod aggregate;
pub mod asm;
mod columns;
pub mod engine;
pub mod error;
pub mod inspect;
pub mod span;
pub mod types;

#[cfg(all(test, unix, target_arch = "x86_64"))]
#[allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
mod abi_tests;
#[cfg(test)]
mod differential;
mod format;
mod functions;
mod ir;
mod isa;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
mod kernel_scan_tests;
#[cfg(all(test, target_arch = "x86_64"))]
#[allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
mod kernel_tests;
mod mach;
mod math;
#[doc(hidden)]
pub mod measure;
pub mod mem;
mod ops;
mod opt;
mod pipeline;
mod run;
#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod tables;
mod text;

pub use columns::ColumnEngine;
pub use engine::{
    Batch, Engine, EngineKind, Formula, Function, Host, Level, Limits, Options, Output, Param, Return, Scalar,
    Signature, Stream, TypedFunction,
};
pub use error::{Error, RunError};
pub use format::format;
pub use functions::{FunctionInfo, functions};
pub use inspect::{Inspection, PassEvent};
pub use mem::Mode;
pub use run::host::{HostBody, HostReturn};
pub use run::native::{NativeKernel, NativeLoop};
pub use run::view::{AsColumn, AsColumnMut, Column, ColumnMut};
pub use span::{Diagnostic, Place, Span};
pub use types::{Type, Value};

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
