//! .
pub mod x64;
