//! Batch to batch.
//!
//! Owns the order in which a batch is computed: what the filter needs, the filter, the rest on the rows that are kept. The
//! one idea: a batch is a row of slots, which formulas read and fill; in a pass before the last one only those are filled
//! that the formulas want which take the rows of that pass.
//!
//! What nulls mean is not its business, but that of `formula`; which formulas have their turn that of `passes`.

use crate::error::{Part, RunError};
use crate::passes::Work;
use crate::program::{Program, Step, Target};
use crate::read::{ReadError, Rows, read};
use arrow_array::{Array as _, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use kiln::Stream;
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
    /// first formula that does; rows count within the batch. [`RunError::Passes`] if all rows must be taken before there
    /// are results, which a batch may be only some of: see [`Program::start`] and [`Program::run_all`].
    pub fn run(&self, batch: &RecordBatch) -> Result<RecordBatch, RunError> {
        self.start().run(batch)
    }

    /// Computes the new columns only.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluated, RunError> {
        self.start().evaluate(batch)
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
    pub(crate) fn check(&self, batch: &RecordBatch) -> Result<(), RunError> {
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

/// The rows of a formula that takes all of them.
pub(crate) struct Taken {
    pub(crate) number: usize,
    pub(crate) arguments: Vec<Arc<Rows>>,
    pub(crate) rows: usize,
    /// Which rows of the batch these are, if they are not all.
    pub(crate) kept: Option<BooleanArray>,
}

/// A batch while it is computed.
pub(crate) struct Slots<'a> {
    program: &'a Program,
    /// By number of formulas: what is known of all rows.
    known: &'a [Option<Stream>],
    /// Columns of the batch, then the new ones so far, with the rows that are kept.
    arrays: Vec<ArrayRef>,
    /// The same as formulas see them, once one did.
    read: Vec<Option<Arc<Rows>>>,
    rows: usize,
    /// Which rows are kept, once some are dropped.
    kept: Option<BooleanArray>,
}

impl<'a> Slots<'a> {
    pub(crate) fn new(program: &'a Program, known: &'a [Option<Stream>], batch: &RecordBatch) -> Slots<'a> {
        let slots = program.types.len() + program.names().len();
        let mut arrays = batch.columns().to_vec();
        arrays.resize_with(slots, || Arc::new(arrow_array::NullArray::new(0)));
        Slots { program, known, arrays, read: vec![None; slots], rows: batch.num_rows(), kept: None }
    }

    /// Does the work of a pass; gives what the formulas take that take its rows.
    pub(crate) fn work(&mut self, work: &Work) -> Result<Vec<Taken>, RunError> {
        for &number in &work.early {
            self.run(number)?;
        }
        if work.filter {
            let mask = self.filter()?;
            if mask.true_count() < mask.len() {
                self.keep(mask, &work.moved)?;
            }
        }
        for &number in &work.late {
            self.run(number)?;
        }
        // What stands before the filter takes its rows in passes that have no filter yet.
        work.fed.iter().map(|&number| self.taken(number)).collect()
    }

    /// The new columns, and which rows they have.
    pub(crate) fn finish(mut self) -> Evaluated {
        Evaluated { kept: self.kept, columns: self.arrays.split_off(self.program.types.len()) }
    }

    /// Which rows are kept, if some are dropped.
    pub(crate) fn kept(&self) -> Option<&BooleanArray> {
        self.kept.as_ref()
    }

    fn taken(&mut self, number: usize) -> Result<Taken, RunError> {
        let arguments = match self.program.order().get(number) {
            Some(step) => self.arguments(step)?,
            None => Vec::new(),
        };
        Ok(Taken { number, arguments, rows: self.rows, kept: self.kept.clone() })
    }

    /// Runs a formula and puts its results into their slots.
    fn run(&mut self, number: usize) -> Result<(), RunError> {
        let targets = self.program.steps[number].targets.clone();
        for (slot, array) in targets.zip(self.compute(number)?) {
            self.arrays[slot] = array;
        }
        Ok(())
    }

    /// The rows for which the filter is true.
    fn filter(&mut self) -> Result<BooleanArray, RunError> {
        let results = self.compute(self.program.steps.len())?;
        let mask = results.first().and_then(|array| array.as_any().downcast_ref::<BooleanArray>());
        let Some(mask) = mask else { return Err(RunError::Arrow("the filter gave no bools".to_owned())) };
        Ok(match mask.nulls() {
            Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
            None => mask.clone(),
        })
    }

    /// Drops the rows for which the mask is false, of the slots that are used from here on.
    fn keep(&mut self, mask: BooleanArray, moved: &[usize]) -> Result<(), RunError> {
        let predicate = predicate(&mask);
        for &slot in moved {
            self.arrays[slot] = predicate.filter(&self.arrays[slot])?;
        }
        self.read.fill(None);
        self.rows = mask.true_count();
        self.kept = Some(mask);
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
        self.read[slot] = Some(Arc::new(rows));
        Ok(())
    }

    /// The row of the batch that a row that was kept comes from.
    fn original(&self, row: usize) -> usize {
        original(self.kept.as_ref(), row)
    }

    /// The arguments of a formula.
    fn arguments(&mut self, step: &Step) -> Result<Vec<Arc<Rows>>, RunError> {
        for &slot in &step.arguments {
            self.load(slot)?;
        }
        Ok(step.arguments.iter().filter_map(|&slot| self.read[slot].clone()).collect())
    }

    /// The results of the formula of this number.
    fn compute(&mut self, number: usize) -> Result<Vec<ArrayRef>, RunError> {
        let Some(step) = self.program.order().get(number) else { return Ok(Vec::new()) };
        let arguments = self.arguments(step)?;
        let arguments: Vec<&Rows> = arguments.iter().map(Arc::as_ref).collect();
        let results = step.formula.evaluate(self.known[number].as_ref(), &arguments, self.rows);
        results.map_err(|error| self.failure(step.part, error))
    }

    /// An error of a formula, said of the row of the batch.
    fn failure(&self, part: Part, error: kiln::RunError) -> RunError {
        failure(part, self.kept.as_ref(), error)
    }
}

/// The row of the batch that a row that was kept comes from.
fn original(kept: Option<&BooleanArray>, row: usize) -> usize {
    kept.and_then(|mask| mask.values().set_indices().nth(row)).unwrap_or(row)
}

/// An error of a formula in rows that were kept, said of the row of the batch.
pub(crate) fn failure(part: Part, kept: Option<&BooleanArray>, error: kiln::RunError) -> RunError {
    match error {
        kiln::RunError::Row { row, error } => RunError::Formula { part, row: original(kept, row), error: *error },
        error => RunError::Formula { part, row: 0, error },
    }
}
