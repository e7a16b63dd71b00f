//! Formulas over columns, however they lie in memory.
//!
//! The one idea: engines run over contiguous rows, and this file brings any columns into that form. Whole steps of
//! contiguous columns are evaluated where they stand. Other columns pass through a small buffer, some hundred rows at a
//! time; so do the last rows, which are fewer than a step. Columns that get in each other's way are copied first, so that
//! from then on no row depends on another and the order in which rows are evaluated does not matter.
//!
//! **Errors.** An engine that cannot evaluate a row says how far it came. The rows behind are evaluated one by one by the
//! scalar code until one of them fails, which is the lowest, or all that the engine left have been.
//!
//! To add an engine: a variant of [`Machinery`], an arm in [`chunk`]. Knows no instruction set and no syntax.

use super::environment::DefaultEnvironment;
use super::host::Context;
use super::invoke::Body;
use super::kernel::Kernel;
use super::layout::Place;
use super::rows::move_rows;
use super::threads::Threads;
use super::view::bytes_of;
use crate::ir::blocks::{Blocks, Memory};
use crate::ir::eval::{Scratch, Stop};
use crate::types::Type;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What evaluates rows of a formula.
pub(crate) enum Machinery {
    /// Machine code over columns.
    Kernel(Kernel),
    /// The interpreter of blocks of rows.
    Blocks(Box<BlockEngine>),
    /// The scalar code, row by row in ascending order.
    Rows,
}

/// A function for the interpreter of blocks, with memory that is reused.
pub(crate) struct BlockEngine {
    blocks: Blocks,
    idle: Mutex<Vec<Memory>>,
}

impl BlockEngine {
    pub(crate) fn new(blocks: Blocks) -> BlockEngine {
        BlockEngine { blocks, idle: Mutex::new(Vec::new()) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A formula that is ready for columns.
pub(crate) struct Prepared {
    /// What evaluates most rows.
    pub(crate) machinery: Machinery,
    /// The types of the inputs, then of the outputs.
    pub(crate) types: Box<[Type]>,
    /// How many inputs there are.
    pub(crate) inputs: usize,
    /// What it calls of the host program.
    pub(crate) hosts: Hosts,
}

impl Prepared {
    /// Are so many rows of results better streamed, where their columns allow it?
    pub(crate) fn streams(&self, rows: usize) -> bool {
        let bytes: usize = self.types[self.inputs..].iter().map(|&ty| bytes_of(ty)).sum();
        matches!(self.machinery, Machinery::Kernel(_)) && rows.saturating_mul(bytes) >= STREAMED_FROM
    }
}

/// What a formula calls of the host program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// Nothing.
    None,
    /// Functions whose calls nobody notices.
    Pure,
    /// Functions that must be called in order, once a row.
    WithEffects,
}

/// A row that stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) row: usize,
    pub(crate) stop: Stop,
}

/// The columns of a call: inputs, then outputs.
#[derive(Clone, Copy)]
struct Call<'a> {
    places: &'a [Place<'a>],
    inputs: usize,
    rows: usize,
    /// Is an output in the same place as an input?
    in_place: bool,
    /// What evaluates steps of which all outputs are aligned.
    streaming: Option<&'a Kernel>,
}

/// Rows that pass through a buffer at once.
const BLOCK: usize = 256;
/// Bytes of the buffer; a call of 100 rows of 16 columns fits.
const STAGE: usize = 16 << 10;
/// Calls of so many steps begin by aligning them.
const ALIGNED_FROM: usize = 16;
/// Outputs of so many bytes in all are streamed: more than the caches of one core hold, which then serve the inputs.
const STREAMED_FROM: usize = 4 << 20;
/// Columns in the buffer begin at multiples of so many bytes.
const LINE: usize = 64;

/// The buffer, on the stack.
#[repr(align(64))]
struct Stage(#[allow(dead_code, reason = "it is reached by address")] [u8; STAGE]);

/// The smallest part of a larger buffer.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "it is reached by address")] [u8; LINE]);

/// Calls `f` with an array of `n` values, on the stack if they are few.
#[inline]
pub(crate) fn with_array<T: Copy, R>(n: usize, value: T, f: impl FnOnce(&mut [T]) -> R) -> R {
    match n {
        0..=4 => f(&mut [value; 4][..n]),
        5..=8 => f(&mut [value; 8][..n]),
        9..=32 => f(&mut [value; 32][..n]),
        _ => f(&mut vec![value; n]),
    }
}

/// Evaluates `rows` rows of columns: `places` are those of the inputs, then of the outputs. `scalar` is the same formula
/// for one row, and so is `streaming`, where it is wanted.
///
/// # Panics
/// If there are fewer columns, columns of other types, or fewer rows.
pub(crate) fn evaluate(
    prepared: &Prepared,
    streaming: Option<&Kernel>,
    scalar: &Body,
    places: &[Place<'_>],
    rows: usize,
    threads: &Threads,
) -> Result<(), Failure> {
    assert!(places.len() == prepared.types.len());
    for (place, ty) in places.iter().zip(&prepared.types) {
        assert!(place.ty() == *ty && place.rows() >= rows);
    }
    if rows == 0 {
        return Ok(());
    }
    let inputs = prepared.inputs;
    match Tangle::of(places, inputs, rows) {
        Tangle::Apart { in_place } => {
            on_threads(prepared, scalar, &Call { places, inputs, rows, in_place, streaming }, threads)
        }
        Tangle::Tangled => with_own_outputs(places, inputs, rows, |apart| {
            on_threads(
                prepared,
                scalar,
                &Call { places: apart, inputs, rows, in_place: false, streaming: None },
                threads,
            )
        }),
    }
}

/// How columns lie to one another.
enum Tangle {
    /// No row of an output touches another row.
    Apart { in_place: bool },
    /// Some do.
    Tangled,
}

impl Tangle {
    fn of(places: &[Place<'_>], inputs: usize, rows: usize) -> Tangle {
        let (inputs, outputs) = places.split_at(inputs);
        let mut in_place = false;
        for (i, output) in outputs.iter().enumerate() {
            for input in inputs {
                if !input.is_apart_from(rows, output, rows) {
                    if !input.is_same(output) || !output.rows_are_apart(rows) {
                        return Tangle::Tangled;
                    }
                    in_place = true;
                }
            }
            if outputs[..i].iter().any(|other| !other.is_apart_from(rows, output, rows)) {
                return Tangle::Tangled;
            }
        }
        Tangle::Apart { in_place }
    }
}

/// Does `f` with columns of our own in place of the outputs, and then copies these to the outputs, one after the other: for
/// columns that get in each other's way.
#[cold]
pub(crate) fn with_own_outputs<E>(
    places: &[Place<'_>],
    inputs: usize,
    rows: usize,
    f: impl FnOnce(&[Place<'_>]) -> Result<(), E>,
) -> Result<(), E> {
    let mut own: Vec<Vec<u8>> = places[inputs..].iter().map(|place| vec![0; place.size() * rows]).collect();
    let mut apart: Vec<Place<'_>> = places[..inputs].to_vec();
    for (bytes, place) in own.iter_mut().zip(&places[inputs..]) {
        apart.push(Place::of_bytes(place.ty(), bytes));
    }
    f(&apart)?;
    drop(apart);
    for (bytes, place) in own.iter().zip(&places[inputs..]) {
        assert!(place.rows() >= rows);
        // SAFETY: the place is that of an output with at least so many rows; the bytes are as many, and nobody else's. The tests
        // of overlapping columns in run/columns_tests.rs compare what arrives.
        unsafe { place.scatter(0, rows, bytes.as_ptr()) };
    }
    Ok(())
}

/// The columns of a call, for several threads.
struct Everywhere<'a>(&'a Call<'a>);

// SAFETY: threads get chunks of rows that are apart from one another: `Tangle` has found that rows of outputs touch no other
// rows, and `may_be_shared_out` that they do not touch one another and that none are cells. Who made the other views promised
// that nobody else writes to the rows. The tests of threads in run/columns_tests.rs compare all bytes.
unsafe impl Sync for Everywhere<'_> {}

impl Everywhere<'_> {
    /// Some of the rows.
    fn part<R>(&self, first: usize, rows: usize, f: impl FnOnce(&Call<'_>) -> R) -> R {
        with_array(self.0.places.len(), Place::NONE, |part| {
            for (part, place) in part.iter_mut().zip(self.0.places) {
                *part = place.part(first, rows);
            }
            f(&Call { places: part, rows, ..*self.0 })
        })
    }
}

/// Evaluates all rows, chunk by chunk, on the threads that there are; the lowest row that fails is reported.
#[inline]
fn on_threads(prepared: &Prepared, scalar: &Body, call: &Call<'_>, threads: &Threads) -> Result<(), Failure> {
    if threads.count() == 1 || call.rows <= threads.chunk() || !may_be_shared_out(prepared.hosts, call) {
        let _environment = DefaultEnvironment::set();
        return chunk(&prepared.machinery, scalar, call);
    }
    share_out(prepared, scalar, call, threads)
}

/// May rows be evaluated out of order and on several threads?
fn may_be_shared_out(hosts: Hosts, call: &Call<'_>) -> bool {
    let outputs_are_apart = call.places[call.inputs..].iter().all(|place| place.rows_are_apart(call.rows));
    // While this thread waits for others it may do other work of its pool, which may write to cells.
    outputs_are_apart && hosts != Hosts::WithEffects && !call.places.iter().any(Place::is_shared)
}

#[inline(never)]
fn share_out(prepared: &Prepared, scalar: &Body, call: &Call<'_>, threads: &Threads) -> Result<(), Failure> {
    let (size, chunks) = (threads.chunk(), call.rows.div_ceil(threads.chunk()));
    let call = Everywhere(call);
    // Chunks are taken in order, so those before the lowest one with a failure are finished by whoever took them.
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let failure: Mutex<Option<Failure>> = Mutex::new(None);
    threads.run(chunks, &|| {
        let _environment = DefaultEnvironment::set();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= chunks || number > failed.load(Ordering::Relaxed) {
                return;
            }
            let first = number * size;
            let rows = size.min(call.0.rows - first);
            let done = call.part(first, rows, |part| chunk(&prepared.machinery, scalar, part));
            if let Err(Failure { row, stop }) = done {
                failed.fetch_min(number, Ordering::Relaxed);
                let mut lowest = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if lowest.as_ref().is_none_or(|lowest| first + row < lowest.row) {
                    *lowest = Some(Failure { row: first + row, stop });
                }
            }
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Evaluates all rows of columns that do not get in each other's way.
fn chunk(machinery: &Machinery, scalar: &Body, call: &Call<'_>) -> Result<(), Failure> {
    let mut from = 0;
    while from < call.rows {
        let (done, left) = match machinery {
            Machinery::Kernel(kernel) => (run_kernel(kernel, call, from), kernel.rows_per_step()),
            Machinery::Blocks(engine) => (run_blocks(engine, call, from), engine.blocks.rows()),
            Machinery::Rows => (0, call.rows),
        };
        let end = call.rows.min(from + done + left);
        one_by_one(scalar, call, from + done..end)?;
        from = end;
    }
    Ok(())
}

/// Evaluates rows by the scalar code.
#[inline(never)]
fn one_by_one(scalar: &Body, call: &Call<'_>, rows: std::ops::Range<usize>) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let (inputs, outputs) = call.places.split_at(call.inputs);
    let mut scratch = Scratch::default();
    with_array(inputs.len(), 0u64, |args| {
        with_array(outputs.len(), 0u64, |results| {
            for row in rows {
                for (word, place) in args.iter_mut().zip(inputs) {
                    *word = place.load(row);
                }
                scalar.call_with(&mut scratch, args, results).map_err(|stop| Failure { row, stop })?;
                for (word, place) in results.iter().zip(outputs) {
                    // SAFETY: the places behind the inputs are those of outputs.
                    unsafe { place.store(row, *word) };
                }
            }
            Ok(())
        })
    })
}

/// Evaluates the rows from `first` on in blocks; gives how many were completed.
#[inline(never)]
fn run_blocks(engine: &BlockEngine, call: &Call<'_>, first: usize) -> usize {
    let blocks = &engine.blocks;
    let idle = engine.idle().pop();
    let mut memory = idle.unwrap_or_else(|| blocks.memory());
    let (inputs, outputs) = call.places.split_at(call.inputs);
    let mut at = first;
    while at < call.rows {
        let rows = blocks.rows().min(call.rows - at);
        for (i, place) in inputs.iter().enumerate().filter(|(_, place)| at == first || place.stride() != 0) {
            if let Some(bytes) = blocks.input(&mut memory, i) {
                assert!(bytes.len() >= rows * place.size());
                // SAFETY: the column has these rows (`evaluate` asserts it), and the memory has room for them.
                unsafe { place.gather(at, rows, bytes.as_mut_ptr()) };
            }
        }
        if !blocks.evaluate(&mut memory, rows) {
            break;
        }
        for (i, place) in outputs.iter().enumerate() {
            let bytes = blocks.output(&memory, i);
            assert!(bytes.len() >= rows * place.size());
            // SAFETY: the place is that of an output with these rows, and the memory holds as many.
            unsafe { place.scatter(at, rows, bytes.as_ptr()) };
        }
        at += rows;
    }
    engine.idle().push(memory);
    at - first
}

/// Evaluates the rows from `first` on by machine code; gives how many were completed.
fn run_kernel(kernel: &Kernel, call: &Call<'_>, first: usize) -> usize {
    let (step, rows) = (kernel.rows_per_step(), call.rows - first);
    let whole = kernel.whole(rows);
    let context = Context::default();
    if !call.places.iter().all(Place::is_contiguous) {
        let done = run_staged(kernel, call, first, whole, false, &context);
        return if done < whole {
            done
        } else {
            whole + run_staged(kernel, call, first + whole, rows - whole, true, &context)
        };
    }
    with_array(call.places.len(), std::ptr::null_mut(), |columns| {
        let mut run = |kernel: &Kernel, row: usize, steps: usize| {
            for (column, place) in columns.iter_mut().zip(call.places) {
                *column = place.row(row);
            }
            // SAFETY: the columns are contiguous and have the rows of these steps (`evaluate` asserts it); outputs are apart from
            // everything or in the place of an input (`Tangle`), and aligned where the kernel streams (`are_aligned`). The function
            // around the formula owns what the code calls. The guard-page tests of tests/columns.rs would die of a row too many.
            unsafe { kernel.run(columns, steps, &context) }
        };
        // One step as the rows begin, and on from where they are aligned: rows of both get the same values twice.
        let lead = if call.in_place || rows < ALIGNED_FROM * step { 0 } else { lead(call, first, step) };
        if lead > 0 && run(kernel, first, 1) == 0 {
            return 0;
        }
        let (start, rows_left) = (first + lead, rows - lead);
        let whole = kernel.whole(rows_left);
        if whole > 0 {
            let streaming = call.streaming.filter(|_| !call.in_place && are_aligned(call, start, step));
            let done = run(streaming.unwrap_or(kernel), start, kernel.steps(whole)) * step;
            if done < whole {
                return if lead > 0 { step.max(lead + done) } else { done };
            }
        }
        if whole == rows_left {
            return rows;
        }
        if whole > 0 && !call.in_place {
            // The last step once more, further on.
            return if run(kernel, first + rows - step, 1) == 1 { rows } else { lead + whole };
        }
        whole + run_staged(kernel, call, first + whole, rows - whole, true, &context)
    })
}

/// Are the rows of a step aligned in all outputs, from `row` on?
fn are_aligned(call: &Call<'_>, row: usize, step: usize) -> bool {
    call.places[call.inputs..].iter().all(|place| place.row(row).addr().is_multiple_of((step * place.size()).min(LINE)))
}

/// Rows before the first one at which a step of the output is aligned, if that can be; other columns mostly are where it is.
fn lead(call: &Call<'_>, first: usize, step: usize) -> usize {
    let Some(output) = call.places.get(call.inputs) else { return 0 };
    let (size, address) = (output.size(), output.row(first).addr());
    let before = address.wrapping_neg() % (step * size).min(LINE);
    if before.is_multiple_of(size) { before / size } else { 0 }
}

/// Evaluates rows of columns that pass through the buffer: `all`, or those that are not contiguous. Without `all` the
/// rows must be whole steps. Gives how many rows were completed.
#[inline(never)]
fn run_staged(kernel: &Kernel, call: &Call<'_>, first: usize, rows: usize, all: bool, context: &Context) -> usize {
    if rows == 0 {
        return 0;
    }
    let step = kernel.rows_per_step();
    let (mut per_row, mut gaps) = (0, 0);
    for place in call.places.iter().filter(|place| all || !place.is_contiguous()) {
        per_row += place.size();
        gaps += LINE;
    }
    // Whole steps, as many as there is room for.
    let wanted = BLOCK.min(rows.next_multiple_of(step));
    let block = wanted.min(kernel.whole(STAGE.saturating_sub(gaps) / per_row));
    let staged = Staged { kernel, call, first, rows, all, context };
    if block > 0 {
        let mut stage = MaybeUninit::<Stage>::uninit();
        // SAFETY: the buffer has room for this many rows of the columns that pass through it, gaps included.
        return unsafe { staged.run(stage.as_mut_ptr().cast(), block) };
    }
    let lines = (per_row * wanted + gaps) / LINE + 1;
    let mut stage = Vec::<Line>::with_capacity(lines);
    // SAFETY: as above.
    unsafe { staged.run(stage.as_mut_ptr().cast(), wanted) }
}

/// What [`run_staged`] is to do.
struct Staged<'a> {
    kernel: &'a Kernel,
    call: &'a Call<'a>,
    first: usize,
    rows: usize,
    all: bool,
    context: &'a Context,
}

impl Staged<'_> {
    /// Does a column pass through the buffer?
    fn is_staged(&self, place: &Place<'_>) -> bool {
        self.all || !place.is_contiguous()
    }

    /// Evaluates in blocks of so many rows, which are whole steps.
    ///
    /// # Safety
    /// `stage` has room for as many rows of each column that passes through it, and a line between any two.
    unsafe fn run(&self, mut stage: *mut u8, block: usize) -> usize {
        let step = self.kernel.rows_per_step();
        with_array(self.call.places.len(), std::ptr::null_mut::<u8>(), |columns| {
            for (column, place) in columns.iter_mut().zip(self.call.places) {
                if self.is_staged(place) {
                    *column = stage;
                    stage = stage.wrapping_add((block * place.size()).next_multiple_of(LINE));
                }
            }
            for (column, place) in self.inputs(columns).filter(|(_, place)| place.stride() == 0) {
                // SAFETY: the one value is read as often as the buffer has rows.
                unsafe { move_rows(place.size(), place.row(0), 0, column, place.size() as isize, block) };
            }
            let mut at = 0;
            while at < self.rows {
                let rows = block.min(self.rows - at);
                let padded = rows.next_multiple_of(step);
                debug_assert!(self.all || padded == rows);
                let row = self.first + at;
                for (column, place) in self.inputs(columns).filter(|(_, place)| place.stride() != 0) {
                    // SAFETY: the column has these rows (`evaluate` asserts it), the buffer has room for a block of them.
                    unsafe { place.gather(row, rows, column) };
                    let (last, end) = (place.row(row + rows - 1), column.wrapping_add(rows * place.size()));
                    // SAFETY: the last row is there; the block is whole steps, so there is room for those that complete one.
                    unsafe { move_rows(place.size(), last, 0, end, place.size() as isize, padded - rows) };
                }
                for (column, place) in columns.iter_mut().zip(self.call.places) {
                    if !self.is_staged(place) {
                        *column = place.row(row);
                    }
                }
                // SAFETY: columns in the buffer have room for the padded rows; those outside have these rows, which are whole
                // steps then. Outputs outside are apart from everything or in the place of an input (`Tangle`).
                let done = unsafe { self.kernel.run(columns, self.kernel.steps(padded), self.context) } * step;
                for (column, place) in columns.iter().zip(self.call.places).skip(self.call.inputs) {
                    if self.is_staged(place) {
                        // SAFETY: the place is that of an output, and has these rows; the code has stored them in the buffer.
                        unsafe { place.scatter(row, done.min(rows), *column) };
                    }
                }
                if done < padded {
                    return at + done.min(rows);
                }
                at += rows;
            }
            self.rows
        })
    }

    /// The inputs that pass through the buffer, with their places in it.
    fn inputs<'b>(&'b self, columns: &'b [*mut u8]) -> impl Iterator<Item = (*mut u8, &'b Place<'b>)> {
        let inputs = columns.iter().copied().zip(self.call.places).take(self.call.inputs);
        inputs.filter(|(_, place)| self.is_staged(place))
    }
}
