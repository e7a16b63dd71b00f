//! .

use super::{Func, Ref};
pub(crate) fn print(func: &Func) -> String { func.nodes.iter().enumerate().map(|(i, n)| format!("%{i} = {n:?}\n")).collect() }
pub(crate) fn line(func: &Func, r: Ref) -> String { format!("%{} = {:?}", r.0, func.node(r)) }
