//! Powers: `x ^ y` in all its forms.

#![forbid(unsafe_code)]
