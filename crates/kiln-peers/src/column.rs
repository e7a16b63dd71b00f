//! Columns of numbers at addresses that every engine likes.
//!
//! The one idea: all engines read the same memory, aligned to 64 bytes, and write to the same.

use crate::foreign;
use crate::formula::{Formula, Input};
use std::ops::{Deref, DerefMut};

/// Floats that begin at a multiple of 64 bytes.
pub(crate) struct Column {
    memory: Vec<f64>,
    start: usize,
    rows: usize,
}

/// Bytes of alignment.
const ALIGNMENT: usize = 64;

impl Column {
    /// Zeros.
    pub(crate) fn new(rows: usize) -> Column {
        let mut memory: Vec<f64> = Vec::with_capacity(rows + ALIGNMENT / size_of::<f64>());
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        // Pages are asked for before they are touched.
        memory.resize(start, 0.0);
        memory.resize(start + rows, 0.0);
        foreign::advise_large_pages(&mut memory);
        Column { memory, start, rows }
    }

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

impl Deref for Column {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.memory[self.start..self.start + self.rows]
    }
}

impl DerefMut for Column {
    fn deref_mut(&mut self) -> &mut [f64] {
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
