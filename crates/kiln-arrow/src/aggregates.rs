//! All batches to one row: `sum(price * qty) / sum(qty)`.
//!
//! Owns formulas that are one value for all rows, which come in batches. The one idea: the order of a sum is that of the
//! rows, whatever batches they come in, so a total depends neither on the batches nor on who reads them.
//!
//! Each aggregate leaves out the nulls of its own argument, as the language says. Only in a formula with loops or variables, all
//! of which is one operation to nulls, a row is left out of all aggregates in which a column is null that it uses.

use crate::error::{Error, Part, RunError, Wrong};
use crate::formula::{Feeder, Formula, array};
use crate::program::{Scope, data_type, input_types, result_name};
use crate::read::{ReadError, Rows, read};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use kiln::{Engine, Function, Span, Type};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Formulas with one value for all rows, compiled for batches of one schema.
///
/// ```
/// use arrow_array::{ArrayRef, Float64Array, RecordBatch, cast::AsArray as _, types::Float64Type};
/// let x: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![Some(1.0), None, Some(5.0)]));
/// let batch = RecordBatch::try_from_iter([("x", x)])?;
/// let formulas = [(Some("average"), "mean(x)")];
/// let aggregates = kiln_arrow::Aggregates::new(&kiln::Engine::new(), &formulas, &batch.schema(), &Default::default())?;
/// let mut totals = aggregates.start();
/// totals.add(&batch)?;
/// totals.add(&batch)?;
/// assert_eq!(totals.finish()?["average"].as_primitive::<Float64Type>().value(0), 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Aggregates {
    types: Vec<Option<Type>>,
    formulas: Vec<(Formula, Vec<usize>)>,
    schema: SchemaRef,
}

impl Aggregates {
    /// Compiles formulas, each with the name of its result, or what the names of its results begin with. `reads` has the
    /// columns that they are to see as another type, as with [`Builder::read`](crate::Builder::read).
    ///
    /// # Errors
    /// As [`Builder::build`](crate::Builder::build); also a formula that has a value in every row.
    pub fn new(
        engine: &Engine,
        formulas: &[(Option<&str>, &str)],
        schema: &SchemaRef,
        reads: &HashMap<String, Type>,
    ) -> Result<Aggregates, Error> {
        let types = input_types(reads, schema)?;
        let scope = Scope { schema, types: &types, lets: Vec::new(), columns_first: false };
        let (mut compiled, mut fields) = (Vec::new(), Vec::<Field>::new());
        for (index, &(name, text)) in formulas.iter().enumerate() {
            let part = Part::Aggregate(index);
            let (formula, arguments) = scope.compile(engine, part, text)?;
            let function = formula.function();
            let span = Span::new(0, text.len() as u32);
            let error = |wrong| Error { part, text: text.to_owned(), span, wrong };
            if !function.is_aggregate() {
                return Err(error(Wrong::PerRow));
            }
            for output in function.outputs() {
                let name = result_name(name, output).ok_or_else(|| error(Wrong::NoName))?;
                if fields.iter().any(|field| *field.name() == name) {
                    return Err(error(Wrong::Twice(name)));
                }
                fields.push(Field::new(name, data_type(output.ty), true));
            }
            compiled.push((formula, arguments));
        }
        drop(scope);
        Ok(Aggregates { types, formulas: compiled, schema: Arc::new(Schema::new(fields)) })
    }

    /// The schema of the row that comes out.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The places of the columns that the formulas read, in ascending order.
    #[must_use]
    pub fn used(&self) -> Vec<usize> {
        let columns: BTreeSet<usize> = self.formulas.iter().flat_map(|(_, slots)| slots.iter().copied()).collect();
        columns.into_iter().collect()
    }

    /// The compiled formula of this number.
    #[must_use]
    pub fn function(&self, index: usize) -> Option<&Function> {
        self.formulas.get(index).map(|(formula, _)| formula.function())
    }

    /// How often all rows are taken: once by `mean(x)`, twice by `sum(x - mean(x))`.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.start().remaining()
    }

    /// Before the first row.
    #[must_use]
    pub fn start(&self) -> Totals<'_> {
        let feeders = self.formulas.iter().map(|(formula, _)| Feeder::total(formula)).collect();
        Totals { aggregates: self, feeders }
    }
}

/// Aggregates in the middle of the rows.
///
/// Where [`Aggregates::passes`] is more than one, all rows are added so often, and each pass but the last one is ended:
///
/// ```
/// use arrow_array::{ArrayRef, Float64Array, RecordBatch, cast::AsArray as _, types::Float64Type};
/// let x: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0, 2.0, 6.0]));
/// let batch = RecordBatch::try_from_iter([("x", x)])?;
/// let formulas = [(Some("t"), "sum(abs(x - mean(x)))")];
/// let aggregates = kiln_arrow::Aggregates::new(&kiln::Engine::new(), &formulas, &batch.schema(), &Default::default())?;
/// let mut totals = aggregates.start();
/// while totals.remaining() > 0 {
///     totals.add(&batch)?;
///     totals.end_pass()?;
/// }
/// assert_eq!(totals.finish()?["t"].as_primitive::<Float64Type>().value(0), 6.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Totals<'a> {
    aggregates: &'a Aggregates,
    feeders: Vec<Feeder<'a>>,
}

impl Totals<'_> {
    /// How many passes over all rows have not ended.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.feeders.iter().map(Feeder::remaining).max().unwrap_or(0)
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// A value that a formula cannot take, or what failed in the first row that fails. Rows count within the batch.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), RunError> {
        // Formulas often share columns, and reading one may copy it.
        let mut read: HashMap<usize, Rows> = HashMap::new();
        for ((_, slots), feeder) in self.aggregates.formulas.iter().zip(&self.feeders) {
            for &column in slots.iter().filter(|_| feeder.remaining() > 0) {
                if let Entry::Vacant(place) = read.entry(column) {
                    place.insert(self.aggregates.read(batch, column)?);
                }
            }
        }
        for (index, feeder) in self.feeders.iter_mut().enumerate() {
            let slots = &self.aggregates.formulas[index].1;
            let rows: Vec<&Rows> = slots.iter().filter_map(|column| read.get(column)).collect();
            if rows.len() == slots.len() {
                feeder.add(&rows, batch.num_rows()).map_err(|error| failure(index, error))?;
            }
        }
        Ok(())
    }

    /// All rows have been taken once more.
    ///
    /// # Errors
    /// [`RunError::Formula`] if they were not as many as in the pass before.
    pub fn end_pass(&mut self) -> Result<(), RunError> {
        for (index, feeder) in self.feeders.iter_mut().enumerate().filter(|(_, feeder)| feeder.remaining() > 0) {
            feeder.end_pass().map_err(|error| failure(index, error))?;
        }
        Ok(())
    }

    /// The values over all rows, as one row; null where there is none, as for the `min` of no rows. It ends the last pass,
    /// unless that is over.
    ///
    /// # Errors
    /// What failed in a formula after its aggregates; [`RunError::Passes`] if a pass is missing.
    pub fn finish(mut self) -> Result<RecordBatch, RunError> {
        if self.remaining() > 1 {
            return Err(RunError::Passes(self.aggregates.passes()));
        }
        self.end_pass()?;
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (index, feeder) in self.feeders.iter().enumerate() {
            let values = feeder.values().map_err(|error| failure(index, error))?;
            let outputs = self.aggregates.formulas[index].0.function().outputs();
            columns.extend(values.into_iter().zip(outputs).map(|(value, output)| array(value, output.ty, 1)));
        }
        Ok(RecordBatch::try_new(self.aggregates.schema.clone(), columns)?)
    }
}

impl Aggregates {
    fn read(&self, batch: &RecordBatch, column: usize) -> Result<Rows, RunError> {
        let missing = || RunError::Schema { column, expected: None, given: None };
        let ty = self.types.get(column).copied().flatten().ok_or_else(missing)?;
        let array = batch.columns().get(column).ok_or_else(missing)?;
        read(array, ty).map_err(|error| {
            let row = if let ReadError::Value { row, .. } = error { Some(row) } else { None };
            RunError::Read { column, row, error }
        })
    }
}

fn failure(index: usize, error: kiln::RunError) -> RunError {
    crate::evaluate::failure(Part::Aggregate(index), None, error)
}
