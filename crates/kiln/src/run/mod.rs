//! .
pub(crate) mod cpu;
