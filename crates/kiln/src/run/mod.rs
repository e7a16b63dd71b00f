//! Running compiled code: the only module besides `mem` that may use `unsafe`.

pub(crate) mod call;
#[cfg(test)]
pub(crate) mod clock;
pub(crate) mod columns;
#[cfg(all(test, target_arch = "x86_64"))]
mod columns_tests;
pub(crate) mod cpu;
pub(crate) mod environment;
pub(crate) mod fused;
pub(crate) mod host;
pub(crate) mod invoke;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod native;
pub(crate) mod pieces;
pub(crate) mod rows;
pub(crate) mod threads;
pub(crate) mod typed;
pub(crate) mod view;
