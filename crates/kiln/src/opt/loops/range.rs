//! Between which bounds an int lies.
//!
//! Owns one question, answered by looking a few operations deep. The one idea: an answer is always right and often
//! wide; what nothing is known of lies between the bounds of its type. Numbers are wide enough never to wrap.

#![forbid(unsafe_code)]

use super::{Loops, step_of};
use crate::ir::{Func, Node, Ref};
use crate::ops::Op;
use crate::types::{Type, Value};

/// How deep it looks.
const DEPTH: u32 = 5;

/// The least and the greatest value.
pub(in crate::opt) type Range = (i128, i128);

/// The values of a type of ints or bools; floats have none.
pub(in crate::opt) fn of_type(ty: Type) -> Range {
    match ty {
        Type::Bool => (0, 1),
        Type::I32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// A constant int.
pub(in crate::opt) fn int(func: &Func, r: Ref) -> Option<i128> {
    match func.constant(r)? {
        Value::I32(v) => Some(v.into()),
        Value::I64(v) => Some(v.into()),
        Value::Bool(v) => Some(v.into()),
        Value::F32(_) | Value::F64(_) => None,
    }
}

impl Loops {
    /// Where the int `r` lies.
    pub(in crate::opt) fn range(&self, func: &Func, r: Ref) -> Range {
        self.range_of(func, r, DEPTH)
    }

    /// Where a carried value lies that grows evenly, if it does and never wraps.
    pub(in crate::opt) fn counter_range(&self, func: &Func, phi: Ref) -> Option<Range> {
        let node = func.node(phi);
        let all = of_type(node.ty);
        self.range_of_phi(func, node, DEPTH).filter(|&(low, high)| all.0 <= low && high <= all.1)
    }

    /// Recursion is bounded by `DEPTH`.
    fn range_of(&self, func: &Func, r: Ref, depth: u32) -> Range {
        let node = func.node(r);
        let all = of_type(node.ty);
        if let Some(value) = int(func, r) {
            return (value, value);
        }
        if depth == 0 {
            return all;
        }
        let of = |field: u32| self.range_of(func, Ref(field), depth - 1);
        let found = match node.op {
            Op::Phi => self.range_of_phi(func, node, depth),
            Op::Convert if !func.ty(Ref(node.a)).is_float() => Some(of(node.a)),
            Op::Add => Some(sum(of(node.a), of(node.b))),
            Op::Sub => {
                let (low, high) = of(node.b);
                Some(sum(of(node.a), (-high, -low)))
            }
            Op::Mul => Some(product(of(node.a), of(node.b))),
            Op::Min => Some(pairwise(of(node.a), of(node.b), i128::min)),
            Op::Max => Some(pairwise(of(node.a), of(node.b), i128::max)),
            Op::Select => Some(hull(of(node.b), of(node.c))),
            Op::Join => Some(hull(of(node.b), of(node.c))),
            Op::And => int(func, Ref(node.b)).filter(|&mask| mask >= 0).map(|mask| (0, mask)),
            Op::FloorMod => int(func, Ref(node.b)).filter(|&by| by > 0).map(|by| (0, by - 1)),
            // Counts are taken modulo the width.
            Op::Sar => int(func, Ref(node.b)).filter(|by| (0..node.ty.bits().into()).contains(by)).map(|by| {
                let (low, high) = of(node.a);
                (low >> by, high >> by)
            }),
            Op::Exit => Some(of(func.carried[node.b as usize].phi.0)),
            Op::Popcount => Some((0, 64)),
            _ => None,
        };
        // What leaves the type has wrapped.
        found.filter(|&(low, high)| all.0 <= low && high <= all.1).unwrap_or(all)
    }

    fn range_of_phi(&self, func: &Func, node: &Node, depth: u32) -> Option<Range> {
        let at = node.a as usize;
        let number = self.of_region[usize::from(node.region)] as usize;
        let this = &func.loops[number];
        let step = int(func, step_of(func, this, at)?)?;
        // What is too much stops in the iteration after the last.
        let most = self.trips[number].at_most.unwrap_or(u64::MAX);
        let far = step.checked_mul(most.min(self.steps.saturating_add(1)).into())?;
        let (low, high) = self.range_of(func, func.carried[at].init, depth - 1);
        Some((low.checked_add(far.min(0))?, high.checked_add(far.max(0))?))
    }
}

fn sum(a: Range, b: Range) -> Range {
    (a.0 + b.0, a.1 + b.1)
}

fn product(a: Range, b: Range) -> Range {
    let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
    corners.iter().fold((corners[0], corners[0]), |(low, high), &c| (low.min(c), high.max(c)))
}

fn pairwise(a: Range, b: Range, pick: fn(i128, i128) -> i128) -> Range {
    (pick(a.0, b.0), pick(a.1, b.1))
}

fn hull(a: Range, b: Range) -> Range {
    (a.0.min(b.0), a.1.max(b.1))
}
