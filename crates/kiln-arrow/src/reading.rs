//! All batches, as often as a program needs them.
//!
//! Owns a program in the middle of its passes. The one idea: what is known of all rows after a pass is all that is kept
//! of it, so memory does not grow with the rows, and whoever has the rows gives them again. In a pass batches can be computed on
//! any threads, as [`Reading::feed`] changes nothing; they are taken one after the other, as [`Pass::add`] does, because
//! the order of a sum is that of the rows.

use crate::error::RunError;
use crate::evaluate::{Evaluated, Slots, Taken, failure};
use crate::formula::Feeder;
use crate::program::Program;
use crate::read::Rows;
use arrow_array::{BooleanArray, RecordBatch};
use kiln::Stream;
use std::sync::Arc;

/// A program and what it knows of all rows so far; see [`Program::start`].
pub struct Reading<'p> {
    program: &'p Program,
    /// The pass that comes next.
    pass: usize,
    /// By number of formulas, of those that are about all rows.
    streams: Vec<Option<Stream>>,
}

/// A pass over all rows, while it takes them.
pub struct Pass<'p> {
    program: &'p Program,
    feeders: Vec<(usize, Feeder<'p>)>,
}

/// What a pass takes of a batch.
pub struct Feed {
    taken: Vec<Taken>,
    kept: Option<BooleanArray>,
}

impl Feed {
    /// Which rows the filter keeps; `None` if it keeps all, or has no turn in this pass.
    #[must_use]
    pub fn kept(&self) -> Option<&BooleanArray> {
        self.kept.as_ref()
    }
}

impl Program {
    /// Before the first pass over all batches. A program without aggregates over rows knows all it needs and gives results
    /// at once; another one takes all batches again and again until it does.
    ///
    /// ```
    /// use arrow_array::{ArrayRef, Float64Array, RecordBatch, cast::AsArray as _, types::Float64Type};
    /// let column = |values| -> ArrayRef { std::sync::Arc::new(Float64Array::from(values)) };
    /// let first = RecordBatch::try_from_iter([("x", column(vec![Some(1.0), None]))])?;
    /// let second = RecordBatch::try_from_iter([("x", column(vec![Some(5.0)]))])?;
    /// let engine = kiln::Engine::new();
    /// let program = kiln_arrow::Program::builder(&engine).column("y", "x - mean(x)").build(&first.schema())?;
    /// let mut reading = program.start();
    /// while reading.remaining() > 0 {
    ///     let mut pass = reading.pass();
    ///     for batch in [&first, &second] {
    ///         pass.add(reading.feed(batch)?)?;
    ///     }
    ///     reading.end(pass)?;
    /// }
    /// assert_eq!(reading.run(&second)?["y"].as_primitive::<Float64Type>().value(0), 2.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn start(&self) -> Reading<'_> {
        let order = self.order();
        let stream = |number| order.get(number).filter(|step| step.feeds > 0).map(|step| step.formula.stream());
        let count = self.steps.len() + usize::from(self.filter.is_some());
        Reading { program: self, pass: 0, streams: (0..count).map(stream).collect() }
    }

    /// Takes all rows, which these batches have, as often as it needs, and gives what becomes of each batch.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_all(&self, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, RunError> {
        let mut reading = self.start();
        while reading.remaining() > 0 {
            let mut pass = reading.pass();
            for batch in batches {
                pass.add(reading.feed(batch)?)?;
            }
            reading.end(pass)?;
        }
        batches.iter().map(|batch| reading.run(batch)).collect()
    }
}

impl<'p> Reading<'p> {
    /// How often all rows are still to be taken before there are results.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.program.passes.len() - 1 - self.pass
    }

    /// The places of the columns that formulas read in this pass, in ascending order. The others may hold anything then.
    #[must_use]
    pub fn used(&self) -> Vec<usize> {
        self.program.passes[self.pass].columns(&self.program.order(), self.program.types.len())
    }

    /// Begins a pass over all rows, which is to be given to [`Reading::end`].
    #[must_use]
    pub fn pass(&self) -> Pass<'p> {
        let program = self.program;
        let feeder = |&number: &usize| {
            let stream = self.streams.get(number)?.clone()?;
            Some((number, Feeder::new(&program.order().get(number)?.formula, stream)))
        };
        Pass { program, feeders: program.passes[self.pass].fed.iter().filter_map(feeder).collect() }
    }

    /// Computes what this pass takes of a batch. Formulas that others are made of are computed again in each pass.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn feed(&self, batch: &RecordBatch) -> Result<Feed, RunError> {
        self.program.check(batch)?;
        let mut slots = Slots::new(self.program, &self.streams, batch);
        let taken = slots.work(&self.program.passes[self.pass])?;
        Ok(Feed { taken, kept: slots.kept().cloned() })
    }

    /// All rows have been taken.
    ///
    /// # Errors
    /// [`RunError::Formula`] if they were not as many as in the pass before.
    pub fn end(&mut self, pass: Pass<'p>) -> Result<(), RunError> {
        for (number, mut feeder) in pass.feeders {
            feeder.end_pass().map_err(|error| self.program.failure(number, None, error))?;
            self.streams[number] = Some(feeder.into_stream());
        }
        self.pass = (self.pass + 1).min(self.program.passes.len() - 1);
        Ok(())
    }

    /// Computes the new columns of a batch, and its rows that are kept.
    ///
    /// # Errors
    /// As [`Program::run`]; [`RunError::Passes`] if [`Reading::remaining`] is not 0.
    pub fn run(&self, batch: &RecordBatch) -> Result<RecordBatch, RunError> {
        let evaluated = self.evaluate(batch)?;
        self.program.assemble(batch, evaluated)
    }

    /// Computes the new columns only.
    ///
    /// # Errors
    /// As [`Reading::run`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluated, RunError> {
        if self.remaining() > 0 {
            return Err(RunError::Passes(self.program.passes.len()));
        }
        self.program.check(batch)?;
        let mut slots = Slots::new(self.program, &self.streams, batch);
        slots.work(&self.program.passes[self.pass])?;
        Ok(slots.finish())
    }
}

impl Pass<'_> {
    /// Takes the rows of the next batch.
    ///
    /// # Errors
    /// What failed in the first row that fails, which is counted within the batch.
    pub fn add(&mut self, feed: Feed) -> Result<(), RunError> {
        for taken in feed.taken {
            let Some((_, feeder)) = self.feeders.iter_mut().find(|(number, _)| *number == taken.number) else {
                continue;
            };
            let arguments: Vec<&Rows> = taken.arguments.iter().map(Arc::as_ref).collect();
            let done = feeder.add(&arguments, taken.rows);
            done.map_err(|error| self.program.failure(taken.number, taken.kept.as_ref(), error))?;
        }
        Ok(())
    }
}

impl Program {
    /// An error of the formula of this number.
    fn failure(&self, number: usize, kept: Option<&BooleanArray>, error: kiln::RunError) -> RunError {
        match self.order().get(number) {
            Some(step) => failure(step.part, kept, error),
            None => RunError::Arrow(error.to_string()),
        }
    }
}
