//! Formulas over columns: slices in, slices out.
//!
//! Owns the checks between a formula and the columns that it is given, once for each call, and the order of the work:
//! which rows are evaluated by what. Knows no instruction set and no representation of a formula.

#![forbid(unsafe_code)]

use crate::engine::Function;
use crate::error::RunError;
use crate::run::view::{AsColumn, AsColumnMut, Column, ColumnMut};

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
        let inputs: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        let mut outputs: Vec<ColumnMut<'_>> = outputs.iter_mut().map(|column| column.as_column_mut()).collect();
        let rows = self.check_columns(&inputs, &outputs)?;
        if self.is_staged() {
            return self.stream().eval_all(&inputs, &mut outputs, rows);
        }
        let mut args = vec![0; inputs.len()];
        let mut results = vec![0; outputs.len()];
        for row in 0..rows {
            for (word, column) in args.iter_mut().zip(&inputs) {
                *word = column.get(row).to_bits();
            }
            self.run_words(&args, &mut results).map_err(|error| error.in_row(row))?;
            for (word, column) in results.iter().zip(&mut outputs) {
                column.set(row, crate::types::Value::from_bits(column.ty(), *word));
            }
        }
        Ok(())
    }

    /// Do the columns suit the formula? How many rows are there?
    pub(crate) fn check_columns(&self, inputs: &[Column<'_>], outputs: &[ColumnMut<'_>]) -> Result<usize, RunError> {
        if inputs.len() != self.params().len() {
            return Err(RunError::ArgumentCount { expected: self.params().len(), given: inputs.len() });
        }
        if outputs.len() != self.outputs().len() {
            return Err(RunError::OutputCount { expected: self.outputs().len(), given: outputs.len() });
        }
        // There is a result, so there is an output.
        let rows = outputs.first().map_or(0, ColumnMut::rows);
        for (param, column) in self.params().iter().zip(inputs) {
            let name = || param.name.clone();
            if column.ty() != param.ty {
                return Err(RunError::ArgumentType { name: name(), expected: param.ty, given: column.ty() });
            }
            if let Some(given) = column.rows().filter(|&given| given != rows) {
                return Err(RunError::Rows { name: name(), expected: rows, given });
            }
        }
        for (output, column) in self.outputs().iter().zip(outputs) {
            let name = || output.name.clone();
            if column.ty() != output.ty {
                return Err(RunError::OutputType { name: name(), expected: output.ty, given: column.ty() });
            }
            if column.rows() != rows {
                return Err(RunError::Rows { name: name(), expected: rows, given: column.rows() });
            }
        }
        Ok(rows)
    }
}
