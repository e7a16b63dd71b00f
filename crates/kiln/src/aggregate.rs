//! Aggregates: one value made of the values of many rows.
//!
//! Owns what each aggregate means and the order in which it takes its rows. The one idea: that order is a matter of row
//! numbers alone. Rows stand in chunks of [`CHUNK`]; in a chunk, row `r` belongs to partial result `r % LANES`, which
//! takes its rows one after the other; the partial results of a chunk are combined in a fixed tree, and the chunks in
//! pairs, as a binary counter carries. So the bits of a result depend neither on how the rows were cut into batches nor
//! on how wide a machine is.
//!
//! The error of a sum of n floats is below `(CHUNK / LANES - 1 + 6 + log2(n / CHUNK, rounded up)) * u * sum(|x|)`, with
//! u = 2^-53: each value goes through so many roundings at most. The same number of roundings bounds the relative
//! error of a product. `f32` is carried as `f64` and rounded once at the end.
//!
//! To add one: a row of [`Fold`], its rule for types in [`Fold::carrier`] and [`Fold::result`], its arm in
//! [`Accumulator`], and its row in the table of `math`. Knows no formula and no column.

#![forbid(unsafe_code)]

use crate::types::{Type, Value};

/// Partial results in a chunk. It is a part of what sums mean: their bits depend on it.
pub(crate) const LANES: usize = 64;
/// Rows in a chunk. It is a part of what sums mean: their bits depend on it.
pub(crate) const CHUNK: usize = 1024;

/// What is made of the values of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Prod,
    Mean,
    Var,
    Std,
    Min,
    Max,
    /// How many rows hold a condition.
    Count,
    Any,
    All,
    First,
    Last,
}

impl Fold {
    /// The type in which values of type `ty` are taken; it holds them all.
    pub(crate) fn carrier(self, ty: Type) -> Type {
        match self {
            Fold::Mean | Fold::Var | Fold::Std => Type::F64,
            _ => match ty {
                Type::F32 | Type::F64 => Type::F64,
                Type::I32 | Type::I64 => Type::I64,
                Type::Bool => Type::Bool,
            },
        }
    }

    /// The type of the result of values of type `ty`.
    pub(crate) fn result(self, ty: Type) -> Type {
        match self {
            Fold::Sum | Fold::Prod if ty.is_int() => Type::I64,
            Fold::Mean | Fold::Var | Fold::Std if ty.is_int() => Type::F64,
            Fold::Count => Type::I64,
            _ => ty,
        }
    }

    /// The type of what [`Accumulator::value`] gives for values of type `ty`.
    pub(crate) fn accumulated(self, ty: Type) -> Type {
        if self == Fold::Count { Type::I64 } else { self.carrier(ty) }
    }

    /// Is there no value of no rows?
    pub(crate) fn may_be_null(self) -> bool {
        matches!(self, Fold::Min | Fold::Max | Fold::First | Fold::Last)
    }
}

/// Values of consecutive rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    F64(&'a [f64]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
}

/// An aggregate of the rows that it has been given.
#[derive(Clone, Debug)]
pub(crate) struct Accumulator {
    fold: Fold,
    /// What `var` and `std` take from the number of rows before they divide by it.
    ddof: u32,
    /// How many values there were, nulls left out.
    count: u64,
    state: State,
    spare: Vec<f64>,
}

#[derive(Clone, Debug)]
enum State {
    Sum(Box<Lanes<Add>>),
    Prod(Box<Lanes<Mul>>),
    Moments(Box<Moments>),
    Int(i64),
    /// The least or greatest so far as an ordered int; and was there a NaN?
    Extreme(i64, bool),
    /// How many conditions held.
    Held(u64),
    /// The bits of the first or last value.
    One(Type, u64),
}

impl Accumulator {
    /// An aggregate of values of type `ty`, one of [`Fold::carrier`].
    pub(crate) fn new(fold: Fold, ddof: u32, ty: Type) -> Accumulator {
        let state = match (fold, ty) {
            (Fold::Sum, Type::I64) => State::Int(0),
            (Fold::Prod, Type::I64) => State::Int(1),
            (Fold::Sum | Fold::Mean, _) => State::Sum(Box::default()),
            (Fold::Prod, _) => State::Prod(Box::default()),
            (Fold::Var | Fold::Std, _) => State::Moments(Box::default()),
            (Fold::Min, _) => State::Extreme(i64::MAX, false),
            (Fold::Max, _) => State::Extreme(i64::MIN, false),
            (Fold::Count | Fold::Any | Fold::All, _) => State::Held(0),
            (Fold::First | Fold::Last, ty) => State::One(ty, 0),
        };
        Accumulator { fold, ddof, count: 0, state, spare: Vec::new() }
    }

    /// Takes the next rows, of which those are null for which `valid` is false.
    pub(crate) fn push(&mut self, rows: Rows<'_>, valid: Option<&[bool]>) {
        let (length, valid) = match rows {
            Rows::F64(rows) => (rows.len(), valid),
            Rows::I64(rows) => (rows.len(), valid),
            Rows::Bool(rows) => (rows.len(), valid),
        };
        let valid = valid.filter(|valid| valid.iter().any(|&v| !v));
        let count_before = self.count;
        self.count += valid.map_or(length, count) as u64;
        let fold = self.fold;
        match (&mut self.state, rows) {
            (State::Sum(lanes), Rows::F64(rows)) => lanes.push(replaced(rows, valid, Add::NEUTRAL, &mut self.spare)),
            (State::Prod(lanes), Rows::F64(rows)) => lanes.push(replaced(rows, valid, Mul::NEUTRAL, &mut self.spare)),
            (State::Moments(moments), Rows::F64(rows)) => moments.push(rows, valid),
            (State::Int(total), Rows::I64(rows)) => {
                let rows = rows.iter().enumerate().filter(|(i, _)| valid.is_none_or(|valid| valid[*i]));
                *total = match fold {
                    Fold::Sum => rows.fold(*total, |sum, (_, &x)| sum.wrapping_add(x)),
                    _ => rows.fold(*total, |product, (_, &x)| product.wrapping_mul(x)),
                };
            }
            (State::Extreme(extreme, nan), Rows::F64(rows)) => {
                let neutral = if fold == Fold::Min { f64::INFINITY } else { f64::NEG_INFINITY };
                let rows = replaced(rows, valid, neutral, &mut self.spare);
                *nan |= rows.iter().fold(false, |nan, x| nan | x.is_nan());
                let keys = rows.iter().map(|x| ordered(x.to_bits() as i64));
                *extreme = extreme_of(fold, *extreme, keys);
            }
            (State::Extreme(extreme, _), Rows::I64(rows)) => {
                *extreme = match valid {
                    None => extreme_of(fold, *extreme, rows.iter().copied()),
                    Some(valid) => {
                        let kept = rows.iter().zip(valid).filter(|&(_, &valid)| valid);
                        extreme_of(fold, *extreme, kept.map(|(&x, _)| x))
                    }
                };
            }
            (State::Held(held), Rows::Bool(rows)) => {
                *held += match valid {
                    None => count(rows) as u64,
                    Some(valid) => rows.iter().zip(valid).filter(|&(&x, &valid)| x & valid).count() as u64,
                };
            }
            (State::One(_, bits), rows) => {
                let kept = |i: &usize| valid.is_none_or(|valid| valid[*i]);
                let place = match fold {
                    Fold::First if count_before > 0 => None,
                    Fold::First => (0..length).find(kept),
                    _ => (0..length).rev().find(kept),
                };
                if let Some(place) = place {
                    *bits = match rows {
                        Rows::F64(rows) => rows[place].to_bits(),
                        Rows::I64(rows) => rows[place] as u64,
                        Rows::Bool(rows) => u64::from(rows[place]),
                    };
                }
            }
            _ => debug_assert!(false, "{fold:?} of other values than it was made for"),
        }
    }

    /// What it is now; `None` where there is no value of no rows.
    pub(crate) fn value(&self) -> Option<Value> {
        let count = self.count as f64;
        if self.count == 0 && self.fold.may_be_null() {
            return None;
        }
        Some(match &self.state {
            State::Sum(lanes) if self.fold == Fold::Mean => Value::F64(lanes.total() / count),
            // Of nothing it is 0, and -0 + 0 is 0: only sums of nothing but -0 are -0.
            State::Sum(lanes) => Value::F64(if self.count == 0 { 0.0 } else { lanes.total() }),
            State::Prod(lanes) => Value::F64(lanes.total()),
            State::Moments(moments) => {
                let Moment { count, squares, .. } = moments.total();
                let var =
                    if count > f64::from(self.ddof) { squares / (count - f64::from(self.ddof)) } else { f64::NAN };
                Value::F64(if self.fold == Fold::Std { var.sqrt() } else { var })
            }
            &State::Int(total) => Value::I64(total),
            State::Extreme(_, true) => Value::F64(f64::NAN),
            &State::Extreme(key, false) => Value::I64(key),
            &State::Held(held) => match self.fold {
                Fold::Any => Value::Bool(held > 0),
                Fold::All => Value::Bool(held == self.count),
                _ => Value::I64(held as i64),
            },
            &State::One(ty, bits) => Value::from_bits(ty, bits),
        })
    }

    /// The same at the type of [`Fold::accumulated`] for values of type `carrier`.
    pub(crate) fn value_of(&self, carrier: Type) -> Option<Value> {
        self.value().map(|value| match (value, carrier) {
            // It is its own inverse.
            (Value::I64(key), Type::F64) if self.fold.may_be_null() => Value::F64(f64::from_bits(ordered(key) as u64)),
            (value, _) => value,
        })
    }
}

fn count(conditions: &[bool]) -> usize {
    conditions.iter().map(|&c| usize::from(c)).sum()
}

/// The bits of a float as an int of the same order: -0 below 0, negative NaNs first, positive ones last.
fn ordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn extreme_of(fold: Fold, start: i64, keys: impl Iterator<Item = i64>) -> i64 {
    if fold == Fold::Min { keys.fold(start, i64::min) } else { keys.fold(start, i64::max) }
}

/// The values with `neutral` for those that are null.
fn replaced<'a>(rows: &'a [f64], valid: Option<&[bool]>, neutral: f64, spare: &'a mut Vec<f64>) -> &'a [f64] {
    let Some(valid) = valid else { return rows };
    spare.clear();
    spare.extend(rows.iter().zip(valid).map(|(&x, &valid)| if valid { x } else { neutral }));
    spare
}

/// What combines two floats.
trait Combine: Clone + std::fmt::Debug {
    /// Combined with it, every float stays what it is.
    const NEUTRAL: f64;
    fn combine(a: f64, b: f64) -> f64;
}

#[derive(Clone, Debug)]
struct Add;

#[derive(Clone, Debug)]
struct Mul;

impl Combine for Add {
    const NEUTRAL: f64 = -0.0;
    #[inline(always)]
    fn combine(a: f64, b: f64) -> f64 {
        a + b
    }
}

impl Combine for Mul {
    const NEUTRAL: f64 = 1.0;
    #[inline(always)]
    fn combine(a: f64, b: f64) -> f64 {
        a * b
    }
}

/// The partial results of a chunk, and the results of those before it.
#[derive(Clone, Debug)]
struct Lanes<C> {
    lanes: [f64; LANES],
    /// How many rows of the chunk there were.
    rows: usize,
    chunks: Counter<f64>,
    combine: std::marker::PhantomData<C>,
}

impl<C: Combine> Default for Lanes<C> {
    fn default() -> Self {
        let chunks = Counter::default();
        Lanes { lanes: [C::NEUTRAL; LANES], rows: 0, chunks, combine: std::marker::PhantomData }
    }
}

impl<C: Combine> Lanes<C> {
    fn push(&mut self, mut rows: &[f64]) {
        while !rows.is_empty() {
            let (now, later) = rows.split_at(rows.len().min(CHUNK - self.rows));
            self.take(now);
            if self.rows == CHUNK {
                let result = tree::<C>(self.lanes);
                self.chunks.push(result, C::combine);
                (self.lanes, self.rows) = ([C::NEUTRAL; LANES], 0);
            }
            rows = later;
        }
    }

    /// Takes rows of one chunk.
    fn take(&mut self, rows: &[f64]) {
        let ahead = (LANES - self.rows % LANES) % LANES;
        let (head, rest) = rows.split_at(ahead.min(rows.len()));
        for (lane, &x) in self.lanes[self.rows % LANES..].iter_mut().zip(head) {
            *lane = C::combine(*lane, x);
        }
        let (full, tail) = rest.as_chunks::<LANES>();
        let mut lanes = self.lanes;
        for group in full {
            for (lane, &x) in lanes.iter_mut().zip(group) {
                *lane = C::combine(*lane, x);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(tail) {
            *lane = C::combine(*lane, x);
        }
        self.lanes = lanes;
        self.rows += rows.len();
    }

    fn total(&self) -> f64 {
        let last = (self.rows > 0).then(|| tree::<C>(self.lanes));
        self.chunks.total(last, C::combine).unwrap_or(C::NEUTRAL)
    }
}

/// The partial results as one: each of the first half with one of the second, and so on.
fn tree<C: Combine>(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = C::combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Results of chunks, combined in pairs of neighbours that stand for equally many, as soon as there are two.
#[derive(Clone, Debug)]
struct Counter<T> {
    pushed: u64,
    /// For each binary digit 1 of `pushed`, from the highest on, the result of so many chunks.
    waiting: Vec<T>,
}

impl<T> Default for Counter<T> {
    fn default() -> Self {
        Counter { pushed: 0, waiting: Vec::new() }
    }
}

impl<T: Copy> Counter<T> {
    fn push(&mut self, mut result: T, combine: impl Fn(T, T) -> T) {
        for _ in 0..self.pushed.trailing_ones() {
            if let Some(before) = self.waiting.pop() {
                result = combine(before, result);
            }
        }
        self.waiting.push(result);
        self.pushed += 1;
    }

    /// All, with `last` behind them.
    fn total(&self, last: Option<T>, combine: impl Fn(T, T) -> T) -> Option<T> {
        let mut counter = self.clone();
        if let Some(last) = last {
            counter.push(last, &combine);
        }
        counter.waiting.into_iter().rev().reduce(|later, before| combine(before, later))
    }
}

/// Number, mean, and sum of the squared differences from the mean.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moment {
    /// Those of rows of a chunk less `pivot`, in two passes.
    fn of(rows: &[f64], valid: Option<&[bool]>, pivot: f64) -> Moment {
        let count = valid.map_or(rows.len(), count) as f64;
        if count == 0.0 {
            return Moment::default();
        }
        let mean = dealt(rows, valid, |x| x - pivot) / count;
        let squares = dealt(rows, valid, |x| (x - pivot - mean) * (x - pivot - mean));
        // What is left of the differences is the rounding error of the mean.
        let rest = dealt(rows, valid, |x| x - pivot - mean);
        Moment { count, mean, squares: squares - rest * rest / count }
    }

    /// Those of both together (Chan, Golub, LeVeque).
    fn combine(a: Moment, b: Moment) -> Moment {
        if a.count == 0.0 || b.count == 0.0 {
            return if a.count == 0.0 { b } else { a };
        }
        let count = a.count + b.count;
        let apart = b.mean - a.mean;
        let share = b.count / count;
        Moment {
            count,
            mean: a.mean + apart * share,
            squares: a.squares + b.squares + apart * apart * (a.count * share),
        }
    }
}

/// The sum of a function of the rows of a chunk, dealt to partial sums.
#[inline(always)]
fn dealt(rows: &[f64], valid: Option<&[bool]>, f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [Add::NEUTRAL; LANES];
    match valid {
        None => {
            let (full, tail) = rows.as_chunks::<LANES>();
            for group in full {
                for (lane, &x) in lanes.iter_mut().zip(group) {
                    *lane += f(x);
                }
            }
            for (lane, &x) in lanes.iter_mut().zip(tail) {
                *lane += f(x);
            }
        }
        Some(valid) => {
            for (rows, valid) in rows.chunks(LANES).zip(valid.chunks(LANES)) {
                for ((lane, &x), &valid) in lanes.iter_mut().zip(rows).zip(valid) {
                    *lane += if valid { f(x) } else { Add::NEUTRAL };
                }
            }
        }
    }
    tree::<Add>(lanes)
}

/// The moments of the rows so far.
#[derive(Clone, Debug, Default)]
struct Moments {
    /// The rows of a chunk that is not complete, and which of them are not null if some are.
    rows: Vec<f64>,
    valid: Vec<bool>,
    chunks: Counter<Moment>,
    /// The first value. It is taken from every other one, so that values far from 0 and close to each other lose nothing
    /// when chunks are combined.
    pivot: Option<f64>,
}

impl Moments {
    fn push(&mut self, mut rows: &[f64], mut valid: Option<&[bool]>) {
        if self.pivot.is_none() {
            let first = valid.map_or(Some(0), |valid| valid.iter().position(|&v| v));
            self.pivot = first.and_then(|first| rows.get(first).copied());
        }
        // Before the first value there is nothing from which it is taken.
        let pivot = self.pivot.unwrap_or(0.0);
        while !rows.is_empty() {
            let now = rows.len().min(CHUNK - self.rows.len());
            let (these, later) = rows.split_at(now);
            let these_valid = valid.map(|valid| valid.split_at(now));
            if now == CHUNK {
                let moment = Moment::of(these, these_valid.map(|v| v.0), pivot);
                self.chunks.push(moment, Moment::combine);
            } else {
                self.rows.extend_from_slice(these);
                match these_valid {
                    Some((these, _)) => self.valid.extend_from_slice(these),
                    None => self.valid.resize(self.rows.len(), true),
                }
                if self.rows.len() == CHUNK {
                    let moment = Moment::of(&self.rows, Some(&self.valid), pivot);
                    self.chunks.push(moment, Moment::combine);
                    self.rows.clear();
                    self.valid.clear();
                }
            }
            (rows, valid) = (later, these_valid.map(|v| v.1));
        }
    }

    fn total(&self) -> Moment {
        let pivot = self.pivot.unwrap_or(0.0);
        let last = (!self.rows.is_empty()).then(|| Moment::of(&self.rows, Some(&self.valid), pivot));
        self.chunks.total(last, Moment::combine).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
