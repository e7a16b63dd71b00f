//! Powers: `x ^ y` in all its forms.

#![forbid(unsafe_code)]

use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ops::Op;

impl Builder {
    /// `x ^ y` for operands of one type, ints or floats.
    pub(crate) fn power(&mut self, x: Ref, y: Ref) -> Ref {
        if self.ty(x).is_int() {
            self.binary(Op::Power, x, y)
        } else {
            super::build::call(self, &super::calls::POW, &[x, y])
        }
    }
}
