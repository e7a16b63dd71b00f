//! What goes from a reader to the formulas: a batch of rows, and what messages call each of them.

use crate::report::Failure;
use arrow_array::RecordBatch;

/// Rows that were read together.
pub(crate) struct Piece {
    /// The columns as formulas see them.
    pub(crate) batch: RecordBatch,
    /// The columns as they pass through, if that is something else: the cells of a CSV file as they stand there.
    pub(crate) passed: Option<RecordBatch>,
    pub(crate) places: Places,
    /// Cells that could not be read, in the order of their rows. They are an error if somebody wants them.
    pub(crate) misfits: Vec<Misfit>,
    /// How far the reader is behind these rows, in the unit of its [`Extent`](super::progress::Extent).
    pub(crate) done: u64,
}

/// A cell that is not of its column's type.
pub(crate) struct Misfit {
    pub(crate) row: usize,
    pub(crate) column: usize,
    /// What is wrong with it, without its place.
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What the rows of a piece are called.
pub(crate) enum Places {
    /// By the lines on which they begin.
    Lines(Vec<u64>),
    /// By their numbers, of which the first has this one; a file's first row is row 0.
    From(u64),
}

impl Places {
    /// What messages call a row.
    pub(crate) fn name(&self, row: usize) -> String {
        match self {
            Places::Lines(lines) => format!("line {}", lines.get(row).copied().unwrap_or(0)),
            Places::From(first) => format!("row {}", first + row as u64),
        }
    }
}

/// Where pieces come from.
pub(crate) trait Input {
    /// The next rows, if there are any.
    fn next(&mut self) -> Result<Option<Piece>, Failure>;

    /// Can the rows be read more than once?
    fn is_repeatable(&self) -> bool;

    /// Goes back to the first row. If there are `used` columns, the values of these are read and nothing else, for a pass
    /// that writes nothing; otherwise all is read that goes out.
    fn again(&mut self, used: Option<&[usize]>) -> Result<(), Failure>;
}
