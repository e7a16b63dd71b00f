//! Running compiled code: the only module besides `mem` that may use `unsafe`.

pub(crate) mod call;
pub(crate) mod cpu;
pub(crate) mod host;
pub(crate) mod invoke;
pub(crate) mod typed;
