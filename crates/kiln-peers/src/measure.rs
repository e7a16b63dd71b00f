//! The clock.
//!
//! The one idea: whoever is compared is measured in turns, one sample of each and then the next round, so that what else
//! the machine does hits all of them; medians are kept. A sample begins with a pass that is not timed, so that each finds the
//! caches as it leaves them itself, and repeats what is measured until it lasts long enough.

use crate::column::Data;
use crate::engines::{Compiled, Engine, Precision, Purpose};
use crate::formula::Formula;
use crate::reference::Reference;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A sample lasts at least so long.
pub(crate) const SPAN: Duration = Duration::from_micros(500);

/// Rows of calls, and rows whose errors are looked at.
pub(crate) const ROWS: usize = 4096;

/// What takes longer in one pass is left out where there are more rows than `ROWS`.
const LONGEST: Duration = Duration::from_secs(1);

/// What a formula cost one engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell {
    /// Nanoseconds: for compiling, for a call, for a row.
    pub(crate) time: Option<f64>,
    /// The worst error in units of the last place.
    pub(crate) error: Option<f64>,
}

/// The middle one.
pub(crate) fn median(times: &mut [f64]) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// Runs `work` and gives the time it took.
pub(crate) fn time(work: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// How often `work` has to run for a sample.
pub(crate) fn repeats(work: &mut dyn FnMut()) -> u32 {
    work();
    let mut repeats = 1;
    loop {
        let taken = time(&mut || (0..repeats).for_each(|_| work()));
        if taken >= SPAN {
            return repeats;
        }
        repeats = if taken > SPAN / 16 {
            (f64::from(repeats) * SPAN.as_secs_f64() / taken.as_secs_f64()).ceil() as u32
        } else {
            repeats * 8
        };
    }
}

/// What is measured of an engine, by its number.
type Work<'a> = (usize, Box<dyn FnMut() + 'a>);

/// Median nanoseconds of each of these, in turns.
fn in_turns(works: &mut [Work<'_>], rounds: usize) -> Vec<(usize, f64)> {
    let repeats: Vec<u32> = works.iter_mut().map(|(_, work)| repeats(work)).collect();
    let mut times = vec![vec![]; works.len()];
    for _ in 0..rounds {
        for (((_, work), &repeats), times) in works.iter_mut().zip(&repeats).zip(&mut times) {
            let taken = time(&mut || (0..repeats).for_each(|_| work()));
            times.push(taken.as_secs_f64() * 1e9 / f64::from(repeats));
        }
    }
    works.iter().zip(&mut times).filter_map(|((at, _), times)| Some((*at, median(times)?))).collect()
}

/// From text to something that can be called, and dropping it. Programs are run once.
pub(crate) fn compile(formula: &Formula, engines: &mut [Box<dyn Engine>], rounds: usize) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); engines.len()];
    let mut works: Vec<Work<'_>> = vec![];
    for (at, engine) in engines.iter_mut().enumerate() {
        if engine.is_process() {
            let mut done = false;
            let taken = time(&mut || done = engine.compile(formula, Purpose::Calls).is_ok());
            cells[at].time = done.then_some(taken.as_secs_f64() * 1e9);
        } else if engine.compile(formula, Purpose::Calls).is_ok() {
            works.push((
                at,
                Box::new(move || {
                    black_box(engine.compile(black_box(formula), Purpose::Calls).is_ok());
                }),
            ));
        }
    }
    for (at, time) in in_turns(&mut works, rounds) {
        cells[at].time = Some(time);
    }
    cells
}

/// Compiled formulas and the data on which they run.
pub(crate) struct Race {
    runners: Vec<Option<Box<dyn Compiled>>>,
    data: Data,
    purpose: Purpose,
}

impl Race {
    /// Compiles a formula with every engine that can.
    pub(crate) fn new(formula: &Formula, engines: &mut [Box<dyn Engine>], purpose: Purpose, rows: usize) -> Race {
        let data = Data::new(formula, rows);
        let compile = |engine: &mut Box<dyn Engine>| {
            let goes = match purpose {
                Purpose::Calls => true,
                // Who goes row by row takes as long for each of many rows.
                Purpose::Columns => engine.has_columns() && (rows <= ROWS || !engine.goes_row_by_row()),
            };
            if !goes {
                return None;
            }
            match engine.compile(formula, purpose) {
                Ok(mut runner) => {
                    runner.load(&data.inputs);
                    Some(runner)
                }
                Err(reason) => {
                    eprintln!("{}: {} is left out: {reason}", formula.name, engine.name());
                    None
                }
            }
        };
        Race { runners: engines.iter_mut().map(compile).collect(), data, purpose }
    }

    /// One pass over all rows.
    fn pass(runner: &mut dyn Compiled, data: &mut Data, purpose: Purpose) {
        match purpose {
            Purpose::Calls => runner.calls(data),
            Purpose::Columns => runner.columns(data),
        }
        black_box(&mut *data.out);
    }

    /// The results of one engine in the first rows.
    pub(crate) fn results(&mut self, at: usize, rows: usize) -> Option<Vec<f64>> {
        let runner = self.runners[at].as_mut()?;
        self.data.out.fill(f64::NAN);
        Self::pass(&mut **runner, &mut self.data, self.purpose);
        runner.store(&mut self.data.out);
        Some(self.data.out[..rows.min(self.data.out.len())].to_vec())
    }

    /// Nanoseconds a row of one engine, one sample after passes that are not timed, one or as many as take so long; its
    /// `repeats` are found at the first.
    pub(crate) fn sample(&mut self, at: usize, repeats: &mut Option<u32>, before: Duration) -> Option<f64> {
        let runner = self.runners[at].as_mut()?;
        let (data, purpose) = (&mut self.data, self.purpose);
        let mut work = || Self::pass(&mut **runner, data, purpose);
        let repeats = *repeats.get_or_insert_with(|| self::repeats(&mut work));
        // Whoever ran before has left the caches in a state that suits some more than others: stores past the caches took up
        // to 2.5 times as long behind an engine that had left the same output in them.
        let start = Instant::now();
        loop {
            work();
            if start.elapsed() >= before {
                break;
            }
        }
        let taken = time(&mut || (0..repeats).for_each(|_| work()));
        Some(taken.as_secs_f64() * 1e9 / f64::from(repeats) / self.data.out.len() as f64)
    }

    /// Times of all engines in turns, and errors.
    pub(crate) fn run(&mut self, formula: &Formula, engines: &[Box<dyn Engine>], rounds: usize) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); engines.len()];
        let mut references = [Precision::Double, Precision::Single].map(|precision| (precision, None));
        for (at, engine) in engines.iter().enumerate() {
            let start = Instant::now();
            let Some(results) = self.results(at, ROWS) else { continue };
            let taken = start.elapsed();
            let (_, reference) = &mut references[usize::from(engine.precision() == Precision::Single)];
            let reference =
                reference.get_or_insert_with(|| Reference::new(formula, &self.data, ROWS, engine.precision()));
            cells[at].error = reference.as_ref().map(|reference| reference.errors(&results).worst);
            if self.data.out.len() > ROWS && taken > LONGEST {
                self.runners[at] = None;
            }
        }
        let mut times = vec![vec![]; engines.len()];
        let mut repeats = vec![None; engines.len()];
        for _ in 0..rounds {
            for at in 0..engines.len() {
                times[at].extend(self.sample(at, &mut repeats[at], Duration::ZERO));
            }
        }
        for (cell, times) in cells.iter_mut().zip(&mut times) {
            cell.time = median(times);
        }
        cells
    }
}
