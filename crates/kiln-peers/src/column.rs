//! Columns of numbers at addresses that every engine likes.
//!
//! The one idea: all engines read the same memory, aligned to 64 bytes, and write to the same.

use crate::foreign;
use crate::formula::{Formula, Input};
use std::ops::{Deref, DerefMut};

/// Floats that begin at a multiple of 64 bytes.
pub(crate) struct Column<T = f64> {
    memory: Vec<T>,
    start: usize,
    rows: usize,
}

/// Bytes of alignment.
const ALIGNMENT: usize = 64;

impl<T: Copy + Default> Column<T> {
    /// Zeros.
    pub(crate) fn new(rows: usize) -> Column<T> {
        let mut memory: Vec<T> = Vec::with_capacity(rows + ALIGNMENT / size_of::<T>());
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        // Pages are asked for before they are touched.
        memory.resize(start, T::default());
        memory.resize(start + rows, T::default());
        foreign::advise_large_pages(&mut memory);
        Column { memory, start, rows }
    }
}

impl Column {
    /// Evenly distributed numbers from the input's range, the same in every run.
    fn random(seed: u64, input: &Input, rows: usize) -> Column {
        let mut column = Column::new(rows);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for value in column.iter_mut() {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            let unit = ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64;
            *value = input.low + (input.high - input.low) * unit;
        }
        column
    }
}

impl<T> Deref for Column<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.memory[self.start..self.start + self.rows]
    }
}

impl<T> DerefMut for Column<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.rows]
    }
}

/// The inputs of a formula and room for its result.
pub(crate) struct Data {
    pub(crate) inputs: Vec<Column>,
    pub(crate) out: Column,
}

impl Data {
    /// So many rows for a formula.
    pub(crate) fn new(formula: &Formula, rows: usize) -> Data {
        let inputs = formula.inputs.iter().enumerate();
        let inputs = inputs.map(|(at, input)| Column::random(at as u64 + 1, input, rows)).collect();
        Data { inputs, out: Column::new(rows) }
    }
}
