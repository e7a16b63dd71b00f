//! THE rule table.

#![forbid(unsafe_code)]

use super::Ref;
use super::build::Builder;
use crate::ops::Op;
use crate::types::Type;

/// The node that the first fitting rule makes of `op args`, with the rule's name.
pub(crate) fn apply(_b: &mut Builder, _op: Op, _ty: Type, _args: [Ref; 3]) -> Option<(&'static str, Ref)> {
    None
}
