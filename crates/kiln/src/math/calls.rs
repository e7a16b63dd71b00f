//! Routines behind the calls that the function table makes.

#![forbid(unsafe_code)]
