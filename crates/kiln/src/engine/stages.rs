//! Formulas about all rows of columns: several passes over the rows, each by a function of one row.
//!
//! Owns what happens between the passes. The one idea: a [`Stream`] is a formula in the middle of its passes. Rows come
//! in batches; those of all passes but the last feed the aggregates, and in the last the results are evaluated, or
//! asked for once if they are one value for all rows. Columns in memory are a stream of one batch, read again for each
//! pass. Knows neither how a formula is cut into stages (`opt::stages`) nor what aggregates compute (`aggregate`).

#![forbid(unsafe_code)]

use super::filter::{Filtered, Kept};
use super::{Compiled, Error, Formula, Function, Output, Param};
use crate::aggregate::{Accumulator, Rows};
use crate::error::RunError;
use crate::ir::rows::{Aggregate, Feed, Source};
use crate::isa::x64::abi::Convention;
use crate::pipeline::Compiler;
use crate::run::invoke::Body;
use crate::run::kernel::{Kernel, Stores};
use crate::run::view::{AsColumn, AsColumnMut, Column, ColumnMut};
use crate::types::{Type, Value};

/// Rows that are evaluated before they are taken into the aggregates.
const BLOCK: usize = 4096;

/// What a function is a part of.
pub(super) enum Role {
    /// Nothing: it is a formula of one row.
    Whole,
    /// It is a formula in stages: these run instead of a body.
    Staged(Staged),
    /// It is the stage of a formula with this number.
    Stage(usize),
    /// It is a formula with a filter.
    Filtered(Box<Filtered>),
}

/// A formula in stages.
pub(super) struct Staged {
    stages: Vec<Stage>,
    /// The last stage runs once, and not for each row.
    once: bool,
    aggregates: Vec<Aggregate>,
    /// How many results there are, and which of them have one more behind all, which says whether they are there.
    results: usize,
    validities: Vec<u32>,
}

/// A function of one row.
struct Stage {
    function: Function,
    /// What each of its inputs is.
    sources: Vec<Source>,
    feeds: Vec<Feed>,
}

impl Formula<'_> {
    /// The rest of the compilation of a formula in which something stands for all rows.
    pub(super) fn compile_stages(&self, compiler: &mut Compiler, mut compiled: Compiled) -> Result<Function, Error> {
        let aggregates = compiler.front.row_parts().aggregates.clone();
        let Some(cut) = compiler.cut(&self.request(true))? else {
            debug_assert!(false, "there is something to cut");
            return Err(Error::Unsupported("the formula has no stages".to_owned()));
        };
        let count = cut.per_row.len();
        for (output, &per_row) in compiled.outputs.iter_mut().zip(&cut.per_row) {
            output.per_row = per_row;
        }
        if self.nullable.is_empty() {
            // Where there is a row there is every aggregate; of no rows `aggregate` tells.
            compiled.outputs.truncate(count);
        }
        let mut stages = Vec::new();
        for (number, stage) in cut.stages.into_iter().enumerate() {
            compiler.builder.func = stage.func;
            let func = &compiler.builder.func;
            let name = |source: &Source| match *source {
                Source::Input(number) => compiled.params[number as usize].name.clone(),
                Source::Aggregate(number) | Source::Present(number) => format!("aggregate {number}"),
            };
            let param = |(source, &ty)| Param { name: name(source), ty, validity_of: None };
            let params = stage.sources.iter().zip(&func.params).map(param).collect();
            let output = |&r| Output { name: String::new(), ty: func.ty(r), per_row: true, validity_of: None };
            let outputs = func.results.iter().map(output).collect();
            let own = Compiled::of(func, params, outputs, Vec::new());
            let body = self.back(compiler, Convention::Buffer)?;
            let function = Function::new(self, own, body, Role::Stage(number));
            stages.push(Stage { function, sources: stage.sources, feeds: stage.feeds });
        }
        let staged = Staged { stages, once: cut.once, aggregates, results: count, validities: cut.validities };
        Ok(Function::new(self, compiled, Body::Interpreted(Default::default()), Role::Staged(staged)))
    }

    /// The kernel of the stage with this number.
    pub(super) fn stage_kernel(&self, compiler: &mut Compiler, number: usize, stores: Stores) -> Option<Kernel> {
        let request = self.request(true);
        compiler.check(&request).ok()?;
        let stage = compiler.cut(&request).ok()??.stages.into_iter().nth(number)?;
        compiler.builder.func = stage.func;
        let kernel = compiler.emit_kernel(self.shared.level, stores, false)?;
        compiler.emitted_kernel(kernel).seal(&self.shared.arena).ok()
    }
}

impl Function {
    fn staged(&self) -> Option<&Staged> {
        match &self.inner.role {
            Role::Staged(staged) => Some(staged),
            Role::Filtered(filtered) => filtered.main.staged(),
            _ => None,
        }
    }

    pub(super) fn filtered(&self) -> Option<&Filtered> {
        match &self.inner.role {
            Role::Filtered(filtered) => Some(filtered),
            _ => None,
        }
    }

    /// What gives the results, if it is in stages.
    pub(crate) fn last_stage(&self) -> Option<&Function> {
        let stage = self.staged().and_then(|staged| staged.stages.last()).map(|stage| &stage.function);
        stage.or(self.filtered().map(|filtered| &filtered.main))
    }

    /// Does a filter apply before all else?
    pub(crate) fn has_filter(&self) -> bool {
        self.filtered().is_some()
    }

    /// Can it not be called on a single row?
    pub(crate) fn is_about_columns(&self) -> bool {
        matches!(self.inner.role, Role::Staged(_) | Role::Filtered(_))
    }

    /// Is every result one value for all rows, as of `sum(x*y) / sum(y)`?
    #[must_use]
    pub fn is_aggregate(&self) -> bool {
        self.staged().is_some_and(|staged| staged.once)
    }

    /// How often the rows are read, the results included: once by `x + 1` and by `sum(x)`, twice by `x - mean(x)`.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.staged().map_or(1, |staged| staged.stages.len() - usize::from(staged.once))
    }

    /// The results of a formula that has one value for all rows, in the order of [`Function::outputs`]; `None` where
    /// there is none, as for the `min` of no rows. Without a column among the inputs there is one row.
    ///
    /// ```
    /// use kiln::{Engine, Value};
    /// let f = Engine::new().formula("sum(x*y) / sum(y)").params("x, y").compile()?;
    /// let values = f.aggregate(&[&[1.0, 2.0, 6.0], &[1.0, 1.0, 2.0]])?;
    /// assert!(matches!(values[..], [Some(Value::F64(3.75))]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::PerRow`] if a result has a value in every row, and the errors of [`Function::eval_columns`].
    pub fn aggregate(&self, inputs: &[&dyn AsColumn]) -> Result<Vec<Option<Value>>, RunError> {
        let inputs: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        let mut stream = self.stream();
        let rows = self.check_inputs(&inputs)?;
        stream.all_passes(&inputs, rows)?;
        stream.values()
    }

    /// Evaluates a formula with a filter: the results of the rows that it keeps stand in the first rows of the outputs,
    /// which have at least as many rows as the inputs. How many are kept is returned. Without a filter these are all.
    ///
    /// # Errors
    /// As [`Function::eval_columns_all`].
    pub fn eval_kept(&self, inputs: &[&dyn AsColumn], outputs: &mut [&mut dyn AsColumnMut]) -> Result<usize, RunError> {
        let columns: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        let (mut stream, rows) = (self.stream(), self.check_inputs(&columns)?);
        stream.all_passes(&columns, rows)?;
        stream.eval_kept(inputs, outputs)
    }

    /// The formula over rows that come in batches.
    ///
    /// ```
    /// use kiln::{Engine, Value};
    /// let f = Engine::new().compile("x - mean(x)")?;
    /// let batches = [vec![1.0, 2.0], vec![3.0], vec![6.0]];
    /// let mut stream = f.stream();
    /// while stream.remaining() > 0 {
    ///     for batch in &batches {
    ///         stream.accumulate(&[batch])?;
    ///     }
    ///     stream.end_pass()?;
    /// }
    /// let mut out = [0.0; 2];
    /// stream.eval(&[&batches[0]], &mut [&mut out])?;
    /// assert_eq!(out, [-2.0, -1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stream(&self) -> Stream {
        let count = self.staged().map_or(0, |staged| staged.aggregates.len());
        let mut stream = Stream {
            function: self.clone(),
            pass: 0,
            rows: 0,
            first: None,
            accumulators: vec![None; count],
            values: vec![Known::Unknown; count],
            buffers: Vec::new(),
            kept: Kept::default(),
        };
        stream.begin_pass();
        stream
    }

    /// Do the inputs suit the formula? How many rows are there?
    fn check_inputs(&self, inputs: &[Column<'_>]) -> Result<usize, RunError> {
        if inputs.len() != self.params().len() {
            return Err(RunError::ArgumentCount { expected: self.params().len(), given: inputs.len() });
        }
        let rows = inputs.iter().find_map(Column::rows).unwrap_or(1);
        for (param, column) in self.params().iter().zip(inputs) {
            let name = || param.name.clone();
            if column.ty() != param.ty {
                return Err(RunError::ArgumentType { name: name(), expected: param.ty, given: column.ty() });
            }
            if let Some(given) = column.rows().filter(|&given| given != rows) {
                return Err(RunError::Rows { name: name(), expected: rows, given });
            }
        }
        Ok(rows)
    }
}

/// What is known of an aggregate.
#[derive(Clone, Copy, Debug)]
enum Known {
    Unknown,
    Is(Value),
    /// There is no value.
    Null(Value),
}

impl Known {
    fn is_there(self) -> bool {
        matches!(self, Known::Is(_))
    }

    /// What it is, or something of its type.
    fn value(self) -> Value {
        match self {
            Known::Is(value) | Known::Null(value) => value,
            Known::Unknown => Value::Bool(false),
        }
    }
}

/// A formula over rows that come in batches; see [`Function::stream`]. When all passes but the last are over, clones can
/// evaluate batches on several threads.
#[derive(Clone, Debug)]
pub struct Stream {
    function: Function,
    /// The stage that runs now.
    pass: usize,
    /// How many rows this pass has had.
    rows: u64,
    /// How many rows the first one had.
    first: Option<u64>,
    accumulators: Vec<Option<Accumulator>>,
    values: Vec<Known>,
    buffers: Vec<Buffer>,
    kept: Kept,
}

/// The values that a stage gives.
#[derive(Clone, Debug)]
enum Buffer {
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

impl Buffer {
    fn new(ty: Type) -> Buffer {
        match ty {
            Type::Bool => Buffer::Bool(vec![false; BLOCK]),
            Type::I32 | Type::I64 => Buffer::I64(vec![0; BLOCK]),
            Type::F32 | Type::F64 => Buffer::F64(vec![0.0; BLOCK]),
        }
    }

    fn column(&mut self) -> ColumnMut<'_> {
        match self {
            Buffer::F64(rows) => ColumnMut::new(rows),
            Buffer::I64(rows) => ColumnMut::new(rows),
            Buffer::Bool(rows) => ColumnMut::new(rows),
        }
    }

    fn rows(&self, count: usize) -> Rows<'_> {
        match self {
            Buffer::F64(rows) => Rows::F64(&rows[..count]),
            Buffer::I64(rows) => Rows::I64(&rows[..count]),
            Buffer::Bool(rows) => Rows::Bool(&rows[..count]),
        }
    }
}

impl Staged {
    /// The stage that feeds aggregates in this pass.
    fn feeding(&self, pass: usize) -> Option<&Stage> {
        self.stages.get(pass).filter(|_| pass + 1 < self.stages.len())
    }
}

impl Stream {
    fn staged(&self) -> Option<&Staged> {
        self.function.staged()
    }

    /// How often all rows are still to be given to [`Stream::accumulate`] before there are results.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.staged().map_or(0, |staged| staged.stages.len() - 1).saturating_sub(self.pass)
    }

    /// The same, but an error if the rows would be read more than once, the results included: for input that cannot be
    /// read again.
    ///
    /// # Errors
    /// [`RunError::ReadOnce`].
    pub fn reads_once(&self) -> Result<(), RunError> {
        match self.function.passes() {
            0 | 1 => Ok(()),
            passes => Err(RunError::ReadOnce { passes }),
        }
    }

    /// Gets the aggregates ready that the next pass feeds.
    fn begin_pass(&mut self) {
        self.rows = 0;
        self.buffers.clear();
        let Some(staged) = self.function.staged() else { return };
        let Some(stage) = staged.feeding(self.pass) else { return };
        self.buffers.extend(stage.function.outputs().iter().map(|output| Buffer::new(output.ty)));
        for feed in &stage.feeds {
            let Aggregate { fold, ddof, carrier, .. } = staged.aggregates[feed.aggregate as usize];
            self.accumulators[feed.aggregate as usize] = Some(Accumulator::new(fold, ddof, carrier));
        }
    }

    /// Takes the next rows of a pass: a column or a scalar for each input.
    ///
    /// # Errors
    /// A wrong number, type or length of columns, or what failed in the first row that fails, which is counted from the
    /// first row of the first batch.
    pub fn accumulate(&mut self, inputs: &[&dyn AsColumn]) -> Result<(), RunError> {
        let inputs: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        let rows = self.function.check_inputs(&inputs)?;
        self.feed(&inputs, rows)
    }

    /// Takes rows of columns that suit; of those, what the filter keeps.
    pub(crate) fn feed(&mut self, inputs: &[Column<'_>], rows: usize) -> Result<(), RunError> {
        if self.remaining() == 0 {
            return Ok(());
        }
        let function = self.function.clone();
        let before = self.rows as usize;
        match function.filtered() {
            None => self.take(inputs, rows).map_err(|error| error.behind(before))?,
            Some(filtered) => {
                each_block(filtered, inputs, rows, &mut std::mem::take(&mut self.kept), |columns, count| {
                    self.take(columns, count)
                })
                .map_err(|error| error.behind(before))?
            }
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// Takes rows into the aggregates.
    fn take(&mut self, inputs: &[Column<'_>], rows: usize) -> Result<(), RunError> {
        let Some(staged) = self.function.staged() else { return Ok(()) };
        let Some(stage) = staged.feeding(self.pass) else { return Ok(()) };
        let columns = columns(stage, inputs, &self.values);
        let mut start = 0;
        while start < rows {
            let end = rows.min(start + BLOCK);
            let block: Vec<Column<'_>> = columns.iter().map(|column| column.slice(start..end)).collect();
            let block: Vec<&dyn AsColumn> = block.iter().map(|column| column as &dyn AsColumn).collect();
            let mut outputs: Vec<ColumnMut<'_>> =
                self.buffers.iter_mut().map(|buffer| buffer.column().slice(0..end - start)).collect();
            let mut outputs: Vec<&mut dyn AsColumnMut> =
                outputs.iter_mut().map(|column| column as &mut dyn AsColumnMut).collect();
            let done = stage.function.eval_columns_all(&block, &mut outputs);
            done.map_err(|error| error.behind(start))?;
            for feed in &stage.feeds {
                if let Some(accumulator) = &mut self.accumulators[feed.aggregate as usize] {
                    let rows = |place: u32| self.buffers[place as usize].rows(end - start);
                    let valid = match feed.valid.map(rows) {
                        Some(Rows::Bool(valid)) => Some(valid),
                        _ => None,
                    };
                    accumulator.push(rows(feed.value), valid);
                }
            }
            start = end;
        }
        Ok(())
    }

    /// All rows of this pass have been given.
    ///
    /// # Errors
    /// [`RunError::Reread`] if they were not as many as in the pass before.
    pub fn end_pass(&mut self) -> Result<(), RunError> {
        let before = *self.first.get_or_insert(self.rows);
        if before != self.rows {
            return Err(RunError::Reread { before, now: self.rows });
        }
        let Some(staged) = self.function.staged() else { return Ok(()) };
        let Some(stage) = staged.feeding(self.pass) else { return Ok(()) };
        for feed in &stage.feeds {
            let number = feed.aggregate as usize;
            let Aggregate { fold, carrier, .. } = staged.aggregates[number];
            let value = self.accumulators[number].take().and_then(|accumulator| accumulator.value_of(carrier));
            let nothing = Value::from_bits(fold.accumulated(carrier), 0);
            self.values[number] = value.map_or(Known::Null(nothing), Known::Is);
        }
        self.pass += 1;
        self.begin_pass();
        Ok(())
    }

    fn all_passes(&mut self, inputs: &[Column<'_>], rows: usize) -> Result<(), RunError> {
        while self.remaining() > 0 {
            self.feed(inputs, rows)?;
            self.end_pass()?;
        }
        Ok(())
    }

    /// All at once, for columns that were checked.
    pub(crate) fn eval_all(
        &mut self,
        inputs: &[&dyn AsColumn],
        outputs: &mut [&mut dyn AsColumnMut],
    ) -> Result<(), RunError> {
        if self.function.filtered().is_some() {
            return Err(RunError::Filtered);
        }
        let rows = self.function.check_columns(inputs, outputs)?;
        let inputs: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        self.all_passes(&inputs, rows)?;
        self.last(&inputs, outputs)
    }

    /// Evaluates the next rows of the last pass; see [`Function::eval_kept`].
    ///
    /// # Errors
    /// [`RunError::ReadOnce`] if [`Stream::remaining`] is not 0, and the errors of [`Function::eval_columns`].
    pub fn eval_kept(
        &mut self,
        inputs: &[&dyn AsColumn],
        outputs: &mut [&mut dyn AsColumnMut],
    ) -> Result<usize, RunError> {
        self.ready()?;
        let columns: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        let rows = self.function.check_inputs(&columns)?;
        let mut outputs: Vec<ColumnMut<'_>> = outputs.iter_mut().map(|column| column.as_column_mut()).collect();
        let own = self.function.outputs();
        if outputs.len() != own.len() {
            return Err(RunError::OutputCount { expected: own.len(), given: outputs.len() });
        }
        for (output, column) in own.iter().zip(&outputs) {
            let name = output.name.clone();
            if column.ty() != output.ty {
                return Err(RunError::OutputType { name, expected: output.ty, given: column.ty() });
            }
            if column.rows() < rows {
                return Err(RunError::Rows { name, expected: rows, given: column.rows() });
            }
        }
        let (function, before) = (self.function.clone(), self.rows as usize);
        let mut written = 0;
        let mut write = |columns: &[Column<'_>], count: usize, stream: &Stream| {
            let mut parts: Vec<ColumnMut<'_>> =
                outputs.iter_mut().map(|column| column.reborrow().slice(written..written + count)).collect();
            let mut parts: Vec<&mut dyn AsColumnMut> =
                parts.iter_mut().map(|column| column as &mut dyn AsColumnMut).collect();
            written += count;
            stream.last(columns, &mut parts)
        };
        match function.filtered() {
            None => write(&columns, rows, self).map_err(|error| error.behind(before))?,
            Some(filtered) => {
                let mut kept = std::mem::take(&mut self.kept);
                let done =
                    each_block(filtered, &columns, rows, &mut kept, |columns, count| write(columns, count, self));
                done.map_err(|error| error.behind(before))?;
            }
        }
        self.rows += rows as u64;
        Ok(written)
    }

    /// Evaluates the next rows of the last pass: an output for each result, in the order of [`Function::outputs`]. What
    /// is one value for all rows stands in every row.
    ///
    /// # Errors
    /// [`RunError::ReadOnce`] if [`Stream::remaining`] is not 0, and the errors of [`Function::eval_columns`].
    pub fn eval(&mut self, inputs: &[&dyn AsColumn], outputs: &mut [&mut dyn AsColumnMut]) -> Result<(), RunError> {
        self.ready()?;
        if self.function.filtered().is_some() {
            return Err(RunError::Filtered);
        }
        let columns: Vec<Column<'_>> = inputs.iter().map(|column| column.as_column()).collect();
        let rows = self.function.check_columns(inputs, outputs)?;
        self.give(&columns, outputs, rows)
    }

    /// Evaluates the next rows of the last pass, of columns that were checked.
    pub(crate) fn give(
        &mut self,
        inputs: &[Column<'_>],
        outputs: &mut [&mut dyn AsColumnMut],
        rows: usize,
    ) -> Result<(), RunError> {
        let done = self.last(inputs, outputs);
        done.map_err(|error| error.behind(self.rows as usize))?;
        self.rows += rows as u64;
        Ok(())
    }

    /// Gives the results of rows that are kept.
    fn last(&self, inputs: &[Column<'_>], outputs: &mut [&mut dyn AsColumnMut]) -> Result<(), RunError> {
        let (function, columns) = match self.staged().and_then(|staged| staged.stages.last()) {
            Some(stage) => (&stage.function, columns(stage, inputs, &self.values)),
            None => (self.function.last_stage().unwrap_or(&self.function), inputs.to_vec()),
        };
        let columns: Vec<&dyn AsColumn> = columns.iter().map(|column| column as &dyn AsColumn).collect();
        function.eval_columns_all(&columns, outputs)
    }

    fn ready(&self) -> Result<(), RunError> {
        if self.remaining() > 0 { Err(RunError::ReadOnce { passes: self.function.passes() }) } else { Ok(()) }
    }

    /// The results of a formula that has one value for all rows; see [`Function::aggregate`].
    ///
    /// # Errors
    /// [`RunError::PerRow`] if a result has a value in every row, [`RunError::ReadOnce`] if [`Stream::remaining`] is not
    /// 0, or for formulas that can fail what failed.
    pub fn values(&self) -> Result<Vec<Option<Value>>, RunError> {
        if !self.function.is_aggregate() {
            let outputs = self.function.outputs();
            let per_row = outputs.iter().find(|output| output.per_row).map(|output| output.name.clone());
            return Err(RunError::PerRow { name: per_row.unwrap_or_default() });
        }
        self.ready()?;
        let Some(staged) = self.staged() else { return Ok(Vec::new()) };
        let Some(stage) = staged.stages.last() else { return Ok(Vec::new()) };
        let value = |source: &Source| match *source {
            Source::Aggregate(number) => self.values[number as usize].value(),
            Source::Present(number) => Value::Bool(self.values[number as usize].is_there()),
            Source::Input(_) => Value::Bool(false),
        };
        let values = stage.function.call_all(&stage.sources.iter().map(value).collect::<Vec<_>>())?;
        let (values, validities) = values.split_at(staged.results);
        let mut results: Vec<Option<Value>> = values.iter().copied().map(Some).collect();
        for (&number, valid) in staged.validities.iter().zip(validities) {
            if valid.to_bits() == 0 {
                results[number as usize] = None;
            }
        }
        Ok(results)
    }
}

/// Calls `then` with the kept rows of each block: their columns and how many they are.
fn each_block(
    filtered: &Filtered,
    inputs: &[Column<'_>],
    rows: usize,
    kept: &mut Kept,
    mut then: impl FnMut(&[Column<'_>], usize) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + BLOCK);
        let block: Vec<Column<'_>> = inputs.iter().map(|column| column.slice(start..end)).collect();
        filtered.keep(&block, end - start, kept).map_err(|error| error.behind(start))?;
        let done = then(&filtered.columns(&block, kept), kept.rows.len());
        done.map_err(|error| match error {
            RunError::Row { row, error } => {
                RunError::Row { row: start + kept.rows.get(row).copied().unwrap_or(row), error }
            }
            other => other,
        })?;
        start = end;
    }
    Ok(())
}

/// The columns that a stage takes.
fn columns<'a>(stage: &Stage, inputs: &[Column<'a>], values: &'a [Known]) -> Vec<Column<'a>> {
    let column = |source: &Source| match *source {
        Source::Input(number) => inputs[number as usize],
        Source::Aggregate(number) => match &values[number as usize] {
            Known::Is(value) | Known::Null(value) => constant(value),
            Known::Unknown => Column::constant(&false),
        },
        Source::Present(number) => Column::constant(if values[number as usize].is_there() { &true } else { &false }),
    };
    stage.sources.iter().map(column).collect()
}

fn constant(value: &Value) -> Column<'_> {
    match value {
        Value::Bool(v) => Column::constant(v),
        Value::I32(v) => Column::constant(v),
        Value::I64(v) => Column::constant(v),
        Value::F32(v) => Column::constant(v),
        Value::F64(v) => Column::constant(v),
    }
}
