//! Batch to batch.
//!
//! Owns the order in which a batch is computed: what the filter needs, the filter, the rest on the rows that are kept; and
//! what happens around nulls. The one idea: a formula without errors is computed in all rows, null or not, because that
//! is fastest and nobody looks at what comes out under a null; a formula that can fail is computed in the rows that are
//! there, closed up, so that what lies under a null cannot fail.
//!
//! Today a result is null where any input that the formula uses is. When formulas compute with nulls themselves, only
//! `Slots::compute` changes: it is the one place that joins values and nulls.

use crate::error::{Part, RunError};
use crate::program::{Program, Step, Target};
use crate::read::{ReadError, Rows, bools, read};
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::NullBuffer;
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use kiln::{AsColumn, AsColumnMut, Function, Type};
use std::ops::Range;
use std::sync::Arc;

/// What the formulas of a program give on a batch.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Which rows the filter keeps; `None` if it keeps all.
    pub kept: Option<BooleanArray>,
    /// The new columns in the order of [`Program::names`], with the rows that are kept.
    pub columns: Vec<ArrayRef>,
}

impl From<ArrowError> for RunError {
    fn from(error: ArrowError) -> RunError {
        RunError::Arrow(error.to_string())
    }
}

impl Program {
    /// Computes the new columns of a batch, and its rows that are kept.
    ///
    /// # Errors
    /// A batch of another schema, a value that a formula cannot take, or what failed in the first row that fails in the
    /// first formula that does. Rows count within the batch.
    pub fn run(&self, batch: &RecordBatch) -> Result<RecordBatch, RunError> {
        let evaluated = self.evaluate(batch)?;
        self.assemble(batch, evaluated)
    }

    /// Computes the new columns only.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluated, RunError> {
        self.check(batch)?;
        let mut slots = Slots::new(self, batch);
        for step in &self.steps[..self.early] {
            slots.run(step)?;
        }
        let mut kept = None;
        if let Some(filter) = &self.filter {
            let mask = slots.filter(filter)?;
            if mask.true_count() < mask.len() {
                slots.keep(&mask)?;
                kept = Some(mask);
            }
        }
        for step in &self.steps[self.early..] {
            slots.run(step)?;
        }
        Ok(Evaluated { kept, columns: slots.arrays.split_off(self.types.len()) })
    }

    /// Puts columns of a batch and new columns in their order. The batch has the rows and the number of columns of the one
    /// that was evaluated; its columns may have other names and types, and what comes out then has them too.
    ///
    /// # Errors
    /// A batch of another size.
    pub fn assemble(&self, batch: &RecordBatch, evaluated: Evaluated) -> Result<RecordBatch, RunError> {
        let rows = evaluated.kept.as_ref().map_or(batch.num_rows(), BooleanArray::true_count);
        let predicate = evaluated.kept.as_ref().map(predicate);
        if batch.num_columns() != self.types.len() {
            return Err(RunError::Arrow(format!("{} columns instead of {}", batch.num_columns(), self.types.len())));
        }
        let mut columns = Vec::with_capacity(self.layout().len());
        for target in self.layout() {
            columns.push(match (*target, &predicate) {
                (Target::New(index), _) => evaluated.columns[index].clone(),
                (Target::Column(column), None) => batch.column(column).clone(),
                (Target::Column(column), Some(predicate)) => predicate.filter(batch.column(column))?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let same = Arc::ptr_eq(batch.schema_ref(), &self.input) || batch.schema_ref().fields() == self.input.fields();
        let schema = if same { self.schema().clone() } else { self.output_of(batch.schema_ref()) };
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    /// Is it a batch of the schema?
    fn check(&self, batch: &RecordBatch) -> Result<(), RunError> {
        let (expected, given) = (self.input.fields(), batch.schema_ref().fields());
        for column in 0..expected.len().max(given.len()) {
            let data_type = |fields: &arrow_schema::Fields| fields.get(column).map(|field| field.data_type().clone());
            let (expected, given) = (data_type(expected), data_type(given));
            if expected != given {
                return Err(RunError::Schema { column, expected, given });
            }
        }
        Ok(())
    }
}

fn predicate(mask: &BooleanArray) -> FilterPredicate {
    FilterBuilder::new(mask).optimize().build()
}

/// A batch while it is computed.
struct Slots<'a> {
    program: &'a Program,
    /// Columns of the batch, then the new ones so far, with the rows that are kept.
    arrays: Vec<ArrayRef>,
    /// The same as formulas see them, once one did.
    read: Vec<Option<Rows>>,
    rows: usize,
    /// Which rows are kept, once some are dropped.
    kept: Option<BooleanArray>,
}

impl<'a> Slots<'a> {
    fn new(program: &'a Program, batch: &RecordBatch) -> Slots<'a> {
        let slots = program.types.len() + program.names().len();
        let mut arrays = batch.columns().to_vec();
        arrays.resize_with(slots, || Arc::new(arrow_array::NullArray::new(0)));
        Slots { program, arrays, read: vec![None; slots], rows: batch.num_rows(), kept: None }
    }

    /// Runs a formula and puts its results into their slots.
    fn run(&mut self, step: &Step) -> Result<(), RunError> {
        for (slot, array) in step.targets.clone().zip(self.compute(step)?) {
            self.arrays[slot] = array;
        }
        Ok(())
    }

    /// The rows for which the filter is true.
    fn filter(&mut self, step: &Step) -> Result<BooleanArray, RunError> {
        let results = self.compute(step)?;
        let mask = results.first().and_then(|array| array.as_any().downcast_ref::<BooleanArray>());
        let Some(mask) = mask else { return Err(RunError::Arrow("the filter gave no bools".to_owned())) };
        Ok(match mask.nulls() {
            Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
            None => mask.clone(),
        })
    }

    /// Drops the rows for which the mask is false.
    fn keep(&mut self, mask: &BooleanArray) -> Result<(), RunError> {
        let predicate = predicate(mask);
        let (columns, early) = (self.program.types.len(), self.program.early);
        let mut wanted: Vec<usize> =
            self.program.steps[early..].iter().flat_map(|step| step.arguments.iter().copied()).collect();
        wanted.extend(self.program.steps[..early].iter().flat_map(|step| step.targets.clone()));
        wanted.sort_unstable();
        wanted.dedup();
        // New columns that are not computed yet have no rows to drop.
        let computed = |slot: &usize| {
            *slot < columns || self.program.steps[..early].iter().any(|step| step.targets.contains(slot))
        };
        for slot in wanted.into_iter().filter(computed) {
            self.arrays[slot] = predicate.filter(&self.arrays[slot])?;
        }
        self.read.fill(None);
        self.rows = mask.true_count();
        self.kept = Some(mask.clone());
        Ok(())
    }

    /// Makes an argument readable.
    fn load(&mut self, slot: usize) -> Result<(), RunError> {
        if self.read[slot].is_some() {
            return Ok(());
        }
        let array = &self.arrays[slot];
        let columns = self.program.types.len();
        let ty = if slot < columns { self.program.types[slot] } else { crate::read::type_of(array.data_type()) };
        let missing = || RunError::Arrow(format!("column {slot} was compiled for and cannot be read"));
        let rows = read(array, ty.ok_or_else(missing)?).map_err(|error| {
            let row = if let ReadError::Value { row, .. } = error { Some(self.original(row)) } else { None };
            RunError::Read { column: slot, row, error }
        })?;
        self.read[slot] = Some(rows);
        Ok(())
    }

    /// The row of the batch that a row that was kept comes from.
    fn original(&self, row: usize) -> usize {
        match &self.kept {
            Some(mask) => mask.values().set_indices().nth(row).unwrap_or(row),
            None => row,
        }
    }

    /// The results of a formula. This is where values and nulls meet.
    fn compute(&mut self, step: &Step) -> Result<Vec<ArrayRef>, RunError> {
        for &slot in &step.arguments {
            self.load(slot)?;
        }
        let arguments: Vec<&Rows> = step.arguments.iter().filter_map(|&slot| self.read[slot].as_ref()).collect();
        let nulls = arguments.iter().fold(None, |nulls, rows| NullBuffer::union(nulls.as_ref(), rows.nulls()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let results = match &nulls {
            Some(nulls) if step.function.is_fallible() => present(&step.function, &arguments, nulls),
            _ => all(&step.function, &arguments, self.rows),
        };
        let results = results.map_err(|error| self.failure(step.part, error))?;
        Ok(results.into_iter().map(|values| values.array(nulls.clone())).collect())
    }

    /// An error of a formula, said of the row of the batch.
    fn failure(&self, part: Part, error: kiln::RunError) -> RunError {
        match error {
            kiln::RunError::Row { row, error } => RunError::Formula { part, row: self.original(row), error: *error },
            error => RunError::Formula { part, row: 0, error },
        }
    }
}

/// Rows of results.
enum Values {
    F64(Vec<f64>),
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    Bool(Vec<bool>),
}

macro_rules! each {
    ($values:expr, $name:ident => $body:expr) => {
        match $values {
            Values::F64($name) => $body,
            Values::F32($name) => $body,
            Values::I64($name) => $body,
            Values::I32($name) => $body,
            Values::Bool($name) => $body,
        }
    };
}

impl Values {
    fn new(ty: Type, rows: usize) -> Values {
        match ty {
            Type::F64 => Values::F64(vec![0.0; rows]),
            Type::F32 => Values::F32(vec![0.0; rows]),
            Type::I64 => Values::I64(vec![0; rows]),
            Type::I32 => Values::I32(vec![0; rows]),
            Type::Bool => Values::Bool(vec![false; rows]),
        }
    }

    fn as_mut(&mut self) -> &mut dyn AsColumnMut {
        each!(self, values => values)
    }

    /// Moves rows that are closed up to where they belong, and leaves zeros between them.
    fn spread(self, ranges: &[Range<usize>], rows: usize) -> Values {
        fn spread<T: Copy + Default>(values: &[T], ranges: &[Range<usize>], rows: usize) -> Vec<T> {
            let mut all = vec![T::default(); rows];
            let mut rest = values;
            for range in ranges {
                let (part, after) = rest.split_at(range.len());
                all[range.clone()].copy_from_slice(part);
                rest = after;
            }
            all
        }
        match self {
            Values::F64(values) => Values::F64(spread(&values, ranges, rows)),
            Values::F32(values) => Values::F32(spread(&values, ranges, rows)),
            Values::I64(values) => Values::I64(spread(&values, ranges, rows)),
            Values::I32(values) => Values::I32(spread(&values, ranges, rows)),
            Values::Bool(values) => Values::Bool(spread(&values, ranges, rows)),
        }
    }

    fn array(self, nulls: Option<NullBuffer>) -> ArrayRef {
        match self {
            Values::F64(values) => Arc::new(PrimitiveArray::<Float64Type>::new(values.into(), nulls)),
            Values::F32(values) => Arc::new(PrimitiveArray::<Float32Type>::new(values.into(), nulls)),
            Values::I64(values) => Arc::new(PrimitiveArray::<Int64Type>::new(values.into(), nulls)),
            Values::I32(values) => Arc::new(PrimitiveArray::<Int32Type>::new(values.into(), nulls)),
            Values::Bool(values) => Arc::new(bools(values, nulls)),
        }
    }
}

/// Computes a formula in all rows.
fn all(function: &Function, arguments: &[&Rows], rows: usize) -> Result<Vec<Values>, kiln::RunError> {
    let inputs: Vec<&dyn AsColumn> = arguments.iter().map(|rows| *rows as &dyn AsColumn).collect();
    let mut results: Vec<Values> = function.outputs().iter().map(|output| Values::new(output.ty, rows)).collect();
    let mut outputs: Vec<&mut dyn AsColumnMut> = results.iter_mut().map(Values::as_mut).collect();
    function.eval_columns_all(&inputs, &mut outputs)?;
    Ok(results)
}

/// Computes a formula in the rows that are there.
fn present(function: &Function, arguments: &[&Rows], nulls: &NullBuffer) -> Result<Vec<Values>, kiln::RunError> {
    let ranges: Vec<Range<usize>> = nulls.valid_slices().map(|(start, end)| start..end).collect();
    let closed: Vec<Rows> = arguments.iter().map(|rows| rows.gather(&ranges)).collect();
    let closed: Vec<&Rows> = closed.iter().collect();
    let results = all(function, &closed, nulls.len() - nulls.null_count()).map_err(|error| match error {
        kiln::RunError::Row { row, error } => {
            let row = nulls.valid_indices().nth(row).unwrap_or(row);
            kiln::RunError::Row { row, error }
        }
        other => other,
    })?;
    Ok(results.into_iter().map(|values| values.spread(&ranges, nulls.len())).collect())
}
