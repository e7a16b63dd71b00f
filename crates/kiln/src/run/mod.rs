//! Running compiled code: the only module besides `mem` that may use `unsafe`.

pub(crate) mod call;
#[cfg(test)]
pub(crate) mod clock;
pub(crate) mod cpu;
pub(crate) mod host;
pub(crate) mod invoke;
pub(crate) mod typed;
pub(crate) mod view;
