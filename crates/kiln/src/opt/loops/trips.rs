//! How often loops run.
//!
//! Owns the count of the iterations of each loop. The one idea: a loop goes on while *all* parts of a conjunction hold,
//! so each part that compares a counter with something that does not change bounds the count, and if there is one part
//! only, and all numbers are known, it is the count. A counter is a carried value that grows by a constant: an int, as
//! long as it does not wrap, or a float whose values are whole and small enough to be exact.
//!
//! Knows comparisons and sums; what else ends soon is found by trying (`simulate`).

#![forbid(unsafe_code)]

use super::range::{Range, int, of_type};
use super::{Loops, affine, is_invariant, step_of};
use crate::ir::{Func, Loop, Ref};
use crate::ops::Op;
use crate::ops::exact::Exact;
use crate::opt::Study;
use crate::types::{Type, Value};

/// How often a loop's body runs each time that the loop is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::opt) struct Trips {
    pub(in crate::opt) exactly: Option<u64>,
    pub(in crate::opt) at_most: Option<u64>,
}

impl Trips {
    fn exactly(count: u64) -> Trips {
        Trips { exactly: Some(count), at_most: Some(count) }
    }

    fn at_most(count: u64) -> Trips {
        Trips { exactly: (count == 0).then_some(0), at_most: Some(count) }
    }

    /// What is known if both are true.
    fn and(self, other: Trips) -> Trips {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Trips { exactly: least(self.exactly, other.exactly), at_most: least(self.at_most, other.at_most) }
    }
}

/// Parts of a condition that are looked at.
const PARTS: usize = 16;

/// The pass: counts the iterations of all loops, outer ones first.
pub(in crate::opt) fn count(study: &mut Study<'_>) {
    for number in 0..study.func.loops.len() {
        let mut trips = by_parts(study.loops, study.func, number);
        if trips.exactly.is_none()
            && let Some(count) = study.loops.simulation.run(study.func, number)
        {
            trips = Trips::exactly(count);
        }
        study.loops.trips[number] = trips;
    }
}

fn by_parts(loops: &Loops, func: &Func, number: usize) -> Trips {
    let this = &func.loops[number];
    let mut open = [func.regions[usize::from(this.body)].condition; PARTS];
    let (mut at, mut end, mut trips) = (0, 1, Trips::default());
    while at < end {
        let node = func.node(open[at]);
        if node.op == Op::And && end < PARTS {
            open[at] = Ref(node.a);
            open[end] = Ref(node.b);
            end += 1;
            continue;
        }
        let part = by_comparison(loops, func, this, open[at]);
        // Only the shortest part that is always right says exactly when it ends: with others, it may be sooner.
        trips = trips.and(Trips { exactly: part.exactly.filter(|&n| n == 0 || end == 1), ..part });
        at += 1;
    }
    trips
}

/// The iterations for which this condition holds, from the first one on.
fn by_comparison(loops: &Loops, func: &Func, this: &Loop, condition: Ref) -> Trips {
    let node = func.node(condition);
    let (a, b) = (Ref(node.a), Ref(node.b));
    match node.op {
        Op::Const if node.const_bits() == 0 => Trips::exactly(0),
        Op::Lt | Op::Le | Op::Eq | Op::Ne => {
            let straight = Comparison::new(loops, func, this, a, b).map(|c| c.count(node.op, false));
            let reversed = || Comparison::new(loops, func, this, b, a).map(|c| c.count(node.op, true));
            straight.or_else(reversed).unwrap_or_default()
        }
        _ => Trips::default(),
    }
}

/// A counter against a bound, in whole numbers.
struct Comparison {
    /// The counter in the first iteration.
    first: Range,
    step: i128,
    /// The bound: it lies between these, both ends included, or just above (`fraction`).
    bound: Range,
    /// Is the bound greater than its whole number by less than one?
    fraction: bool,
    /// The values that the counter can take without wrapping or rounding.
    exact: Range,
}

impl Comparison {
    fn new(loops: &Loops, func: &Func, this: &Loop, counter: Ref, bound: Ref) -> Option<Comparison> {
        let found = affine(func, this, counter)?;
        let step = step_of(func, this, found.at)?;
        if !is_invariant(func, this, bound) {
            return None;
        }
        let init = func.carried[found.at].init;
        if func.ty(counter).is_float() {
            if found.offset != Ref::NONE {
                return None;
            }
            return Comparison::of_floats(func, init, step, bound);
        }
        let exact = of_type(func.ty(counter));
        let offset = if found.offset == Ref::NONE { 0 } else { int(func, found.offset)? };
        let (low, high) = loops.range(func, init);
        let first = (low + offset, high + offset);
        let step = int(func, step).filter(|&step| step != 0)?;
        let sound = exact.0 <= first.0 && first.1 <= exact.1;
        sound.then(|| Comparison { first, step, bound: loops.range(func, bound), fraction: false, exact })
    }

    fn of_floats(func: &Func, init: Ref, step: Ref, bound: Ref) -> Option<Comparison> {
        let greatest: i128 = if func.ty(init) == Type::F32 { 1 << 24 } else { 1 << 53 };
        let whole = |v: f64| (Exact::trunc(v) == v && v.abs() <= greatest as f64).then_some(v as i128);
        let (init, step) = (whole(float(func, init)?)?, whole(float(func, step)?).filter(|&step| step != 0)?);
        let bound = float(func, bound).filter(|b| b.is_finite())?;
        // Beyond what the counter can reach, one bound is as good as another.
        let near = bound.clamp(-4.0 * greatest as f64, 4.0 * greatest as f64);
        let floor = Exact::floor(near) as i128;
        let fraction = Exact::floor(near) != near;
        Some(Comparison { first: (init, init), step, bound: (floor, floor), fraction, exact: (-greatest, greatest) })
    }

    /// Counts for `counter op bound`, or `bound op counter` if `reversed`.
    fn count(mut self, op: Op, reversed: bool) -> Trips {
        let fraction = i128::from(self.fraction);
        match op {
            Op::Eq => return self.count_equal(),
            Op::Ne => return self.count_different(),
            // All that follows is: the counter grows while it is less than the bound.
            _ if reversed => {
                // bound < counter: -counter < -bound. With a fraction, floor < counter is bound < counter, too.
                let turn = |(low, high): Range| (-high, -low);
                (self.first, self.bound, self.exact) = (turn(self.first), turn(self.bound), turn(self.exact));
                self.step = -self.step;
                if op == Op::Le && fraction == 0 {
                    self.bound = (self.bound.0 + 1, self.bound.1 + 1);
                }
            }
            Op::Lt => self.bound = (self.bound.0 + fraction, self.bound.1 + fraction),
            _ => self.bound = (self.bound.0 + 1, self.bound.1 + 1),
        }
        self.count_less()
    }

    fn count_less(&self) -> Trips {
        if self.first.0 >= self.bound.1 {
            return Trips::exactly(0);
        }
        let known = self.first.0 == self.first.1 && self.bound.0 == self.bound.1;
        if self.step < 0 {
            return Trips::default();
        }
        let count = (self.bound.1 - self.first.0 + self.step - 1) / self.step;
        // The value that ends the loop must be exact.
        let last = if known { self.first.0 + count * self.step } else { self.bound.1 - 1 + self.step };
        if last > self.exact.1 {
            return Trips::default();
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        if known { Trips::exactly(count) } else { Trips::at_most(count) }
    }

    /// Equal once at most: then the counter has moved on.
    fn count_equal(&self) -> Trips {
        let known = self.first.0 == self.first.1 && self.bound.0 == self.bound.1;
        let apart = self.fraction || self.first.1 < self.bound.0 || self.bound.1 < self.first.0;
        let moves = self.exact.0 <= self.first.0 + self.step && self.first.1 + self.step <= self.exact.1;
        match (apart, known && moves) {
            (true, _) => Trips::exactly(0),
            (_, true) => Trips::exactly(1),
            _ => Trips::default(),
        }
    }

    /// Different until they meet.
    fn count_different(&self) -> Trips {
        let known = self.first.0 == self.first.1 && self.bound.0 == self.bound.1 && !self.fraction;
        let way = self.bound.0 - self.first.0;
        let inside = self.exact.0 <= self.bound.0 && self.bound.0 <= self.exact.1;
        if known && inside && way % self.step == 0 && way / self.step >= 0 {
            return Trips::exactly(u64::try_from(way / self.step).unwrap_or(u64::MAX));
        }
        Trips::default()
    }
}

fn float(func: &Func, r: Ref) -> Option<f64> {
    match func.constant(r)? {
        Value::F32(v) => Some(v.into()),
        Value::F64(v) => Some(v),
        Value::Bool(_) | Value::I32(_) | Value::I64(_) => None,
    }
}
