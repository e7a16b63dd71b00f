//! What is done to functions as a whole: copies of functions into functions.
//!
//! A formula without regions is optimal when its last node is made, and never comes here.

#![forbid(unsafe_code)]

#[cfg_attr(not(test), allow(dead_code, reason = "called where functions of formulas are checked"))]
pub(crate) mod inline;
pub(crate) mod replay;
pub(crate) mod wanted;

#[cfg(test)]
mod soup;
