//! All batches to one row: `sum(price * qty) / sum(qty)`.
//!
//! Owns formulas that are one value for all rows, which come in batches. The one idea: the order of a sum is that of the
//! rows, whatever batches they come in, so a total depends neither on the batches nor on who reads them.
//!
//! A row in which a column is null that the formula uses is left out of all aggregates of that formula. When formulas
//! take nulls themselves, only [`Totals::add`] changes.

use crate::error::{Error, Part, RunError, Wrong};
use crate::program::{Scope, data_type, input_types, result_name};
use crate::read::{ReadError, Rows, read};
use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{Field, Schema, SchemaRef};
use kiln::{AsColumn, Engine, Function, Span, Stream, Type, Value};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
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
    formulas: Vec<(Function, Vec<usize>)>,
    schema: SchemaRef,
}

impl Aggregates {
    /// Compiles formulas, each with the name of its result, or what the names of its results begin with. `reads` has the
    /// columns that they are to see as another type, as with [`Builder::read`](crate::Builder::read).
    ///
    /// # Errors
    /// As [`Builder::build`](crate::Builder::build); also a formula that has a value in every row, or takes all rows more
    /// than once, as `sum(x - mean(x))` does.
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
            let (function, arguments) = scope.compile(engine, part, text)?;
            let span = Span::new(0, text.len() as u32);
            let error = |wrong| Error { part, text: text.to_owned(), span, wrong };
            if !function.is_aggregate() {
                return Err(error(Wrong::PerRow));
            }
            if function.passes() > 1 {
                return Err(error(Wrong::Passes(function.passes())));
            }
            for output in function.outputs() {
                let name = result_name(name, output).ok_or_else(|| error(Wrong::NoName))?;
                if fields.iter().any(|field| *field.name() == name) {
                    return Err(error(Wrong::Twice(name)));
                }
                fields.push(Field::new(name, data_type(output.ty), true));
            }
            compiled.push((function, arguments));
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
        self.formulas.get(index).map(|(function, _)| function)
    }

    /// Before the first row.
    #[must_use]
    pub fn start(&self) -> Totals<'_> {
        let streams = self.formulas.iter().map(|(function, _)| (function.stream(), 0)).collect();
        Totals { aggregates: self, streams }
    }
}

/// Aggregates in the middle of the rows.
pub struct Totals<'a> {
    aggregates: &'a Aggregates,
    /// The formulas, and how many rows each has taken.
    streams: Vec<(Stream, usize)>,
}

impl Totals<'_> {
    /// Takes the next rows.
    ///
    /// # Errors
    /// A value that a formula cannot take, or what failed in the first row that fails. Rows count within the batch.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), RunError> {
        for (index, (stream, taken)) in self.streams.iter_mut().enumerate() {
            let slots = &self.aggregates.formulas[index].1;
            let mut rows = Vec::with_capacity(slots.len());
            for &column in slots {
                rows.push(self.aggregates.read(batch, column)?);
            }
            let nulls = rows.iter().fold(None, |nulls, rows| NullBuffer::union(nulls.as_ref(), rows.nulls()));
            let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
            if let Some(nulls) = &nulls {
                let ranges: Vec<Range<usize>> = nulls.valid_slices().map(|(start, end)| start..end).collect();
                rows = rows.iter().map(|rows| rows.gather(&ranges)).collect();
            }
            let inputs: Vec<&dyn AsColumn> = rows.iter().map(|rows| rows as &dyn AsColumn).collect();
            let count = nulls.as_ref().map_or(batch.num_rows(), |nulls| nulls.len() - nulls.null_count());
            if inputs.is_empty() {
                // Without a column among the inputs, rows have no other way to be counted.
                for _ in 0..count {
                    stream.accumulate(&[]).map_err(|error| failure(index, 0, error))?;
                }
            } else {
                stream.accumulate(&inputs).map_err(|error| {
                    let kiln::RunError::Row { row, error } = error else { return failure(index, 0, error) };
                    let row = row.saturating_sub(*taken);
                    let row = nulls.as_ref().map_or(Some(row), |nulls| nulls.valid_indices().nth(row)).unwrap_or(row);
                    failure(index, row, *error)
                })?;
            }
            *taken += count;
        }
        Ok(())
    }

    /// The values over all rows, as one row; null where there is none, as for the `min` of no rows.
    ///
    /// # Errors
    /// What failed in a formula after its aggregates.
    pub fn finish(mut self) -> Result<RecordBatch, RunError> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (index, (stream, _)) in self.streams.iter_mut().enumerate() {
            stream.end_pass().map_err(|error| failure(index, 0, error))?;
            let values = stream.values().map_err(|error| failure(index, 0, error))?;
            let outputs = self.aggregates.formulas[index].0.outputs();
            columns.extend(values.into_iter().zip(outputs).map(|(value, output)| array(value, output.ty)));
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

fn failure(index: usize, row: usize, error: kiln::RunError) -> RunError {
    RunError::Formula { part: Part::Aggregate(index), row, error }
}

/// One value as an array.
fn array(value: Option<Value>, ty: Type) -> ArrayRef {
    match (ty, value) {
        (Type::F64, Some(Value::F64(value))) => Arc::new(Float64Array::from(vec![value])),
        (Type::F32, Some(Value::F32(value))) => Arc::new(Float32Array::from(vec![value])),
        (Type::I64, Some(Value::I64(value))) => Arc::new(Int64Array::from(vec![value])),
        (Type::I32, Some(Value::I32(value))) => Arc::new(Int32Array::from(vec![value])),
        (Type::Bool, Some(Value::Bool(value))) => Arc::new(BooleanArray::from(vec![value])),
        (ty, _) => arrow_array::new_null_array(&data_type(ty), 1),
    }
}
