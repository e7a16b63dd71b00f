//! Formulas over columns: slices in, slices out.
//!
//! Owns the checks between a formula and the columns that it is given, once for each call, and the order of the work:
//! which rows are evaluated by what. Knows no instruction set and no representation of a formula.

#![forbid(unsafe_code)]

use crate::engine::Function;
use crate::error::RunError;
use crate::run::columns::{self, Machinery, with_array};
use crate::run::kernel::{Kernel, Stores};
use crate::run::layout::Place;
use crate::run::pieces;
use crate::run::threads::Threads;
use crate::run::view::{AsColumn, AsColumnMut, Column};
use std::sync::OnceLock;

/// What runs a formula over columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnEngine {
    /// Machine code over several rows at a time.
    Kernel,
    /// An interpreter of blocks of rows.
    Blocks,
    /// What runs single calls, row by row.
    Rows,
}

/// What is made of a formula for columns.
pub(crate) struct Prepared {
    columns: columns::Prepared,
    /// The formula for single rows, if its own code is entered by native values.
    scalar: Option<Function>,
    /// The kernel that streams, made when it is first wanted; none if it is refused.
    streaming: OnceLock<Option<Kernel>>,
}

impl Function {
    /// Evaluates the formula in every row: row `i` of the output is its result on row `i` of the inputs, which come in
    /// the order of [`Function::params`]. A scalar as an input stands in every row.
    ///
    /// ```
    /// let engine = kiln::Engine::new();
    /// let f = engine.formula("a * x + y").params("a, x, y").compile()?;
    /// let (x, y) = (vec![1.0, 2.0, 3.0], [10.0, 20.0, 30.0]);
    /// let mut out = vec![0.0; 3];
    /// f.eval_columns(&[&2.0, &x, &y], &mut out)?;
    /// assert_eq!(out, [12.0, 24.0, 36.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A wrong number, type or length of columns, several results (see [`Function::eval_columns_all`]), or what failed
    /// in the first row that fails; then it is unspecified what the output holds.
    pub fn eval_columns(&self, inputs: &[&dyn AsColumn], output: &mut dyn AsColumnMut) -> Result<(), RunError> {
        if self.outputs().len() != 1 {
            return Err(RunError::SeveralResults { count: self.outputs().len() });
        }
        self.eval_columns_all(inputs, &mut [output])
    }

    /// Evaluates a formula of several results in every row, with an output for each, in the order of
    /// [`Function::outputs`].
    ///
    /// # Errors
    /// As [`Function::eval_columns`].
    pub fn eval_columns_all(
        &self,
        inputs: &[&dyn AsColumn],
        outputs: &mut [&mut dyn AsColumnMut],
    ) -> Result<(), RunError> {
        if self.is_about_columns() {
            return self.stream().eval_all(inputs, outputs);
        }
        let count = inputs.len() + outputs.len();
        with_array(count, Place::NONE, |places| {
            let rows = self.places(inputs, outputs, places)?;
            self.run_columns(places, rows, 0, self.threads())
        })
    }

    /// Evaluates a formula whose inputs come in pieces: the rows of an input are those of its pieces, one after the
    /// other. Pieces of different inputs need not end at the same rows; nothing is copied. A constant stands in all rows that
    /// are left. Outputs are as for [`Function::eval_columns_all`].
    ///
    /// ```
    /// use kiln::Column;
    /// let engine = kiln::Engine::new();
    /// let f = engine.formula("a * x + y").params("a, x, y").compile()?;
    /// let x = [Column::new(&[1.0]), Column::new(&[2.0, 3.0])];
    /// let y = [Column::new(&[10.0, 20.0]), Column::new(&[30.0])];
    /// let mut out = vec![0.0; 3];
    /// f.eval_chunks(&[&[Column::constant(&2.0)], &x, &y], &mut [&mut out])?;
    /// assert_eq!(out, [12.0, 24.0, 36.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Function::eval_columns_all`]; rows are counted from the beginning of the first pieces.
    pub fn eval_chunks(&self, inputs: &[&[Column<'_>]], outputs: &mut [&mut dyn AsColumnMut]) -> Result<(), RunError> {
        self.check_counts(inputs.len(), outputs.len())?;
        let outputs: Vec<Place<'_>> =
            outputs.iter_mut().map(|column| Place::of_output(column.as_column_mut())).collect();
        // There is a result, so there is an output.
        let rows = outputs.first().map_or(0, Place::rows);
        self.check_outputs(&outputs, rows)?;
        let mut pieces = Vec::with_capacity(inputs.len());
        for (param, &input) in self.params().iter().zip(inputs) {
            let mut given = 0usize;
            for column in input {
                let name = || param.name.clone();
                if column.ty() != param.ty {
                    return Err(RunError::ArgumentType { name: name(), expected: param.ty, given: column.ty() });
                }
                given = given.saturating_add(column.rows().unwrap_or_else(|| rows.saturating_sub(given)));
            }
            if given != rows {
                return Err(RunError::Rows { name: param.name.clone(), expected: rows, given });
            }
            pieces.push(input.iter().map(|&column| Place::of_input(column)).filter(|p| p.rows() > 0).collect());
        }
        if self.is_about_columns() {
            if self.has_filter() {
                return Err(RunError::Filtered);
            }
            let mut stream = self.stream();
            while stream.remaining() > 0 {
                pieces::evaluate_columns(&pieces, &[], rows, |inputs, _, rows| stream.feed(inputs, rows))?;
                stream.end_pass()?;
            }
            return pieces::evaluate_columns(&pieces, &outputs, rows, |inputs, outputs, rows| {
                stream.give(inputs, outputs, rows)
            });
        }
        let run = |places: &mut [Place<'_>], first, rows| self.run_columns(places, rows, first, self.threads());
        pieces::evaluate(&pieces, &outputs, rows, run)
    }

    /// Evaluates rows of columns that suit; their first is row `before` for errors.
    pub(crate) fn run_columns(
        &self,
        places: &[Place<'_>],
        rows: usize,
        before: usize,
        threads: &Threads,
    ) -> Result<(), RunError> {
        let prepared = self.prepared()?;
        let scalar = prepared.scalar.as_ref().unwrap_or(self);
        let wanted = || prepared.streaming.get_or_init(|| self.kernel(Stores::Streaming)).as_ref();
        let streaming = if prepared.columns.streams(rows) { wanted() } else { None };
        let done = columns::evaluate(&prepared.columns, streaming, scalar.body(), places, rows, threads);
        done.map_err(|failure| scalar.stopped(failure.stop).in_row(before + failure.row))
    }

    /// What runs columns.
    #[must_use]
    pub fn column_engine(&self) -> ColumnEngine {
        if let Some(last) = self.last_stage() {
            return last.column_engine();
        }
        match self.prepared().map(|prepared| &prepared.columns.machinery) {
            Ok(Machinery::Kernel(_)) => ColumnEngine::Kernel,
            Ok(Machinery::Blocks(_)) => ColumnEngine::Blocks,
            Ok(Machinery::Rows) | Err(_) => ColumnEngine::Rows,
        }
    }

    /// What is made of the formula for columns, when it is first wanted.
    fn prepared(&self) -> Result<&Prepared, RunError> {
        let cell = self.for_columns();
        if let Some(prepared) = cell.get() {
            return Ok(prepared);
        }
        let prepared = self.prepare()?;
        Ok(cell.get_or_init(|| Box::new(prepared)))
    }

    /// Runs columns by this kernel from now on; none must have run before.
    #[cfg(test)]
    pub(crate) fn set_kernel(&self, kernel: crate::run::kernel::Kernel) {
        let mut prepared = self.prepare().expect("the formula compiled before");
        prepared.columns.machinery = Machinery::Kernel(kernel);
        assert!(self.for_columns().set(Box::new(prepared)).is_ok(), "columns have run");
    }

    fn prepare(&self) -> Result<Prepared, RunError> {
        let scalar = self.scalar_for_columns()?;
        let kernel = self.kernel(Stores::Cached).map(Machinery::Kernel);
        let blocks = || Some(Machinery::Blocks(Box::new(columns::BlockEngine::new(self.blocks()?))));
        let machinery = kernel.or_else(blocks).unwrap_or(Machinery::Rows);
        let types = self.params().iter().map(|param| param.ty).chain(self.outputs().iter().map(|output| output.ty));
        let (types, inputs, hosts) = (types.collect(), self.params().len(), self.hosts());
        let columns = columns::Prepared { machinery, types, inputs, hosts };
        Ok(Prepared { scalar, columns, streaming: OnceLock::new() })
    }

    /// Do the columns suit the formula? How many rows are there?
    pub(crate) fn check_columns(
        &self,
        inputs: &[&dyn AsColumn],
        outputs: &mut [&mut dyn AsColumnMut],
    ) -> Result<usize, RunError> {
        let count = inputs.len() + outputs.len();
        with_array(count, Place::NONE, |places| self.places(inputs, outputs, places))
    }

    /// Fills in where the columns lie, inputs first; gives the number of rows. The columns suit the formula.
    fn places<'a>(
        &self,
        inputs: &'a [&dyn AsColumn],
        outputs: &'a mut [&mut dyn AsColumnMut],
        places: &mut [Place<'a>],
    ) -> Result<usize, RunError> {
        self.check_counts(inputs.len(), outputs.len())?;
        let (for_inputs, for_outputs) = places.split_at_mut(inputs.len());
        for (place, column) in for_inputs.iter_mut().zip(inputs) {
            *place = Place::of_input(column.as_column());
        }
        for (place, column) in for_outputs.iter_mut().zip(outputs) {
            *place = Place::of_output(column.as_column_mut());
        }
        // There is a result, so there is an output.
        let expected = for_outputs.first().map_or(0, Place::rows);
        for (param, column) in self.params().iter().zip(for_inputs) {
            let name = || param.name.clone();
            if column.ty() != param.ty {
                return Err(RunError::ArgumentType { name: name(), expected: param.ty, given: column.ty() });
            }
            if column.rows() != expected && !column.is_endless() {
                return Err(RunError::Rows { name: name(), expected, given: column.rows() });
            }
        }
        self.check_outputs(for_outputs, expected)?;
        Ok(expected)
    }

    /// Are there as many columns as inputs and results?
    fn check_counts(&self, inputs: usize, outputs: usize) -> Result<(), RunError> {
        if inputs != self.params().len() {
            return Err(RunError::ArgumentCount { expected: self.params().len(), given: inputs });
        }
        if outputs != self.outputs().len() {
            return Err(RunError::OutputCount { expected: self.outputs().len(), given: outputs });
        }
        Ok(())
    }

    /// Are the outputs of the results' types, with so many rows?
    fn check_outputs(&self, outputs: &[Place<'_>], expected: usize) -> Result<(), RunError> {
        for (output, column) in self.outputs().iter().zip(outputs) {
            let name = || output.name.clone();
            if column.ty() != output.ty {
                return Err(RunError::OutputType { name: name(), expected: output.ty, given: column.ty() });
            }
            if column.rows() != expected {
                return Err(RunError::Rows { name: name(), expected, given: column.rows() });
            }
        }
        Ok(())
    }
}
