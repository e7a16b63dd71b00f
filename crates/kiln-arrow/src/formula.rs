//! A formula in two forms: for rows in which nothing is null, and for any rows.
//!
//! Owns the choice between the forms, and the way of nulls from bits to bools and back. The one idea: what nulls mean is
//! the compiler's business alone; its form for nulls takes beside each input a column that says where it is there, and
//! gives such columns beside its results. Where no input is null both forms give the same bits, and the plain one is
//! faster; so it runs unless a batch has nulls. A formula about all rows does not know the batches to come, and has the
//! form for nulls from the beginning.
//!
//! Knows no names of columns and no order of formulas.

use crate::program::data_type;
use crate::read::{Rows, bools};
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::NullBuffer;
use kiln::{AsColumn, AsColumnMut, Function, Param, RunError, Stream, Type, Value};
use std::ops::Range;
use std::sync::Arc;

/// A compiled formula.
pub(crate) struct Formula {
    /// For rows in which nothing is null.
    plain: Function,
    /// For any rows.
    nullable: Function,
}

impl Formula {
    /// Compiles both forms; every input can be null.
    pub(crate) fn compile(formula: kiln::Formula<'_>) -> Result<Formula, kiln::Error> {
        let plain = formula.clone().compile()?;
        if plain.params().is_empty() {
            return Ok(Formula { nullable: plain.clone(), plain });
        }
        let names: Vec<&str> = plain.params().iter().map(|param| param.name.as_str()).collect();
        let nullable = formula.nullable(&names).compile()?;
        Ok(Formula { plain, nullable })
    }

    /// The formula itself, without anything about nulls: its inputs, its results, its warnings.
    pub(crate) fn function(&self) -> &Function {
        &self.plain
    }

    /// How often all rows are taken before there are results.
    pub(crate) fn feeds(&self) -> usize {
        self.nullable.stream().remaining()
    }

    /// Before the first row.
    pub(crate) fn stream(&self) -> Stream {
        self.nullable.stream()
    }

    /// A formula of aggregates with loops or variables has no value where an input is null, and so, with nulls, is no
    /// aggregate. As one it takes only the rows in which nothing is null.
    pub(crate) fn leaves_rows_out(&self) -> bool {
        self.plain.is_aggregate() && !self.nullable.is_aggregate()
    }

    /// The results in these rows. `known` is what is known of all rows, for a formula that is about these.
    pub(crate) fn evaluate(
        &self,
        known: Option<&Stream>,
        arguments: &[&Rows],
        rows: usize,
    ) -> Result<Vec<ArrayRef>, RunError> {
        let Some(known) = known else {
            let some = arguments.iter().any(|rows| rows.nulls().is_some());
            let function = if some { &self.nullable } else { &self.plain };
            return each_row(function, arguments, rows, |inputs, outputs| function.eval_columns_all(inputs, outputs));
        };
        if self.nullable.is_aggregate() {
            let outputs = self.nullable.outputs().iter();
            let values = known.values()?;
            return Ok(values.into_iter().zip(outputs).map(|(value, output)| array(value, output.ty, rows)).collect());
        }
        // It counts rows from where it stands: before the first one.
        let mut stream = known.clone();
        each_row(&self.nullable, arguments, rows, |inputs, outputs| stream.eval(inputs, outputs))
    }
}

/// The results of a function in each row, as `run` computes them.
fn each_row(
    function: &Function,
    arguments: &[&Rows],
    rows: usize,
    run: impl FnOnce(&[&dyn AsColumn], &mut [&mut dyn AsColumnMut]) -> Result<(), RunError>,
) -> Result<Vec<ArrayRef>, RunError> {
    let mut results: Vec<Values> = function.outputs().iter().map(|output| Values::new(output.ty, rows)).collect();
    let mut outputs: Vec<&mut dyn AsColumnMut> = results.iter_mut().map(Values::as_mut).collect();
    with_inputs(function.params(), arguments, rows, |inputs| run(inputs, &mut outputs))?;
    let outputs = function.outputs();
    let count = outputs.iter().filter(|output| output.validity_of.is_none()).count();
    let validities = results.split_off(count);
    let mut nulls = vec![None; count];
    for (there, output) in validities.into_iter().zip(&outputs[count..]) {
        if let (Values::Bool(there), Some(number)) = (there, output.validity_of) {
            nulls[number] = Some(NullBuffer::from(there)).filter(|nulls| nulls.null_count() > 0);
        }
    }
    Ok(results.into_iter().zip(nulls).map(|(values, nulls)| values.array(nulls)).collect())
}

/// Calls `run` with an input for each parameter: the values of the arguments, and behind all where they are there.
fn with_inputs<T>(params: &[Param], arguments: &[&Rows], rows: usize, run: impl FnOnce(&[&dyn AsColumn]) -> T) -> T {
    // A constant would be copied into blocks; a column is read where it lies.
    let mut everywhere = Vec::new();
    if params.iter().filter_map(|param| param.validity_of).any(|of| arguments[of].nulls().is_none()) {
        everywhere.resize(rows, true);
    }
    let there: Vec<&[bool]> =
        arguments.iter().map(|rows| if rows.nulls().is_some() { rows.there() } else { &everywhere[..] }).collect();
    let input = |(number, param): (usize, &Param)| -> &dyn AsColumn {
        match param.validity_of {
            None => arguments[number],
            Some(of) => &there[of],
        }
    };
    let inputs: Vec<&dyn AsColumn> = params.iter().enumerate().map(input).collect();
    run(&inputs)
}

/// A formula about all rows, in the middle of a pass over them.
pub(crate) struct Feeder<'p> {
    formula: &'p Formula,
    stream: Stream,
    /// How many rows this pass has had.
    taken: usize,
    /// Are only rows taken in which nothing is null?
    leaves_out: bool,
}

impl<'p> Feeder<'p> {
    /// Goes on with what a stream knows from earlier passes.
    pub(crate) fn new(formula: &'p Formula, stream: Stream) -> Feeder<'p> {
        Feeder { formula, stream, taken: 0, leaves_out: false }
    }

    /// One value for all rows, from before the first one on.
    pub(crate) fn total(formula: &'p Formula) -> Feeder<'p> {
        let leaves_out = formula.leaves_rows_out();
        let stream = if leaves_out { formula.plain.stream() } else { formula.stream() };
        Feeder { leaves_out, ..Feeder::new(formula, stream) }
    }

    /// How many passes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.stream.remaining()
    }

    /// Takes the next rows. A row that fails is counted within them.
    pub(crate) fn add(&mut self, arguments: &[&Rows], rows: usize) -> Result<(), RunError> {
        if self.remaining() == 0 {
            return Ok(());
        }
        if !self.leaves_out {
            return self.take(&self.formula.nullable, arguments, rows);
        }
        let nulls = arguments.iter().fold(None, |nulls, rows| NullBuffer::union(nulls.as_ref(), rows.nulls()));
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            return self.take(&self.formula.plain, arguments, rows);
        };
        let ranges: Vec<Range<usize>> = nulls.valid_slices().map(|(start, end)| start..end).collect();
        let closed: Vec<Rows> = arguments.iter().map(|rows| rows.gather(&ranges)).collect();
        let closed: Vec<&Rows> = closed.iter().collect();
        self.take(&self.formula.plain, &closed, rows - nulls.null_count()).map_err(|error| match error {
            RunError::Row { row, error } => RunError::Row { row: nulls.valid_indices().nth(row).unwrap_or(row), error },
            other => other,
        })
    }

    fn take(&mut self, function: &Function, arguments: &[&Rows], rows: usize) -> Result<(), RunError> {
        let (stream, taken) = (&mut self.stream, self.taken);
        if arguments.is_empty() {
            // Without a column among the inputs, rows have no other way to be counted.
            (0..rows).try_for_each(|_| stream.accumulate(&[]))?;
        } else {
            with_inputs(function.params(), arguments, rows, |inputs| stream.accumulate(inputs)).map_err(|error| {
                match error {
                    RunError::Row { row, error } => RunError::Row { row: row.saturating_sub(taken), error },
                    other => other,
                }
            })?;
        }
        self.taken += rows;
        Ok(())
    }

    /// All rows have been taken.
    pub(crate) fn end_pass(&mut self) -> Result<(), RunError> {
        self.taken = 0;
        self.stream.end_pass()
    }

    /// The values over all rows.
    pub(crate) fn values(&self) -> Result<Vec<Option<Value>>, RunError> {
        self.stream.values()
    }

    /// What is known now.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
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
        match self {
            Values::F64(values) => values,
            Values::F32(values) => values,
            Values::I64(values) => values,
            Values::I32(values) => values,
            Values::Bool(values) => values,
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

/// One value in every row.
pub(crate) fn array(value: Option<Value>, ty: Type, rows: usize) -> ArrayRef {
    let values = match (ty, value) {
        (Type::F64, Some(Value::F64(value))) => Values::F64(vec![value; rows]),
        (Type::F32, Some(Value::F32(value))) => Values::F32(vec![value; rows]),
        (Type::I64, Some(Value::I64(value))) => Values::I64(vec![value; rows]),
        (Type::I32, Some(Value::I32(value))) => Values::I32(vec![value; rows]),
        (Type::Bool, Some(Value::Bool(value))) => Values::Bool(vec![value; rows]),
        (ty, _) => return arrow_array::new_null_array(&data_type(ty), rows),
    };
    values.array(None)
}
