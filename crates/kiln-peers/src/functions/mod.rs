//! One function after the other, beside the vector libraries.
//!
//! Owns the subcommand `functions`. The one idea: what a function costs and how far off it is stand in one cell, for all
//! engines that compute it with vectors of the same width, since time is bought with accuracy; whoever is compared takes
//! turns. Errors are those of other inputs than the times: half of them from the same range, half random bits, which
//! is where large arguments are; whoever is compared as accurate is so there, too.
//!
//! To add a function: a row in `table`. To add a library: a row in `native::ENGINES` or a column in
//! `python/functions.py`. It knows nothing of the formulas of the other subcommands.

mod exact;
mod native;
mod python;
mod table;
#[cfg(test)]
mod tests;

use crate::column::Column;
use crate::engines::native::Folder;
use crate::foreign::{ColumnLoop, Float};
use crate::measure::{self, median};
use crate::report::{self, Table, mean, mean_shown};
use crate::{engines, machine};
use exact::{Big, Error, Format, Reference};
use kiln::{Function, Level, Options, RunError};
use std::cell::RefCell;
use std::hint::black_box;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use table::Row;

/// Options of the subcommand.
#[derive(clap::Args, Clone)]
pub(crate) struct Arguments {
    /// Functions; all without any.
    functions: Vec<String>,
    /// Rows of a column.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    rows: u64,
    /// How many rounds; medians are shown.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Inputs of each function whose errors are looked at.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    samples: u64,
    /// Types of numbers.
    #[arg(long, value_delimiter = ',', default_value = "f64,f32", value_parser = ["f64", "f32"])]
    types: Vec<String>,
    /// Only these engines, besides Kiln.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// The program that runs NumPy, numexpr and JAX.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Write all numbers to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Tables in Markdown.
    #[arg(long)]
    markdown: bool,
}

/// How wide vectors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Avx512,
    Avx2,
}

impl Width {
    fn level(self) -> Level {
        match self {
            Width::Avx512 => Level::V4,
            Width::Avx2 => Level::V3,
        }
    }

    fn level_name(self) -> &'static str {
        match self {
            Width::Avx512 => "v4",
            Width::Avx2 => "v3",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Width::Avx512 => 64,
            Width::Avx2 => 32,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Width::Avx512 => "AVX-512",
            Width::Avx2 => "AVX2",
        }
    }
}

/// A type of numbers.
trait Number: Float + Default + 'static {
    const FORMAT: Format;

    /// The nearest of this type.
    fn from_double(value: f64) -> Self;
    fn to_double(self) -> f64;
    /// The number with these bits, as many as it has.
    fn from_random(bits: u64) -> Self;
    fn bytes(self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Self;
    /// Runs Kiln over columns.
    fn kiln(function: &Function, inputs: &[Column<Self>], out: &mut Column<Self>) -> Result<(), RunError>;
}

macro_rules! number {
    ($t:ident, $format:ident, |$value:ident| $from:expr, $to:expr, |$bits:ident| $random:expr) => {
        impl Number for $t {
            const FORMAT: Format = exact::$format;

            fn from_double($value: f64) -> $t {
                $from
            }
            fn to_double(self) -> f64 {
                $to(self)
            }
            fn from_random($bits: u64) -> $t {
                $random
            }
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> $t {
                bytes.try_into().map_or($t::NAN, $t::from_le_bytes)
            }
            fn kiln(function: &Function, inputs: &[Column<$t>], out: &mut Column<$t>) -> Result<(), RunError> {
                let mut out: &mut [$t] = out;
                match inputs {
                    [x] => function.eval_columns(&[&&**x], &mut out),
                    [x, y] => function.eval_columns(&[&&**x, &&**y], &mut out),
                    // The table has functions of one and of two arguments.
                    _ => Ok(()),
                }
            }
        }
    };
}
number!(f64, DOUBLE, |value| value, f64::from, |bits| f64::from_bits(bits));
number!(f32, SINGLE, |value| value as f32, f64::from, |bits| f32::from_bits((bits >> 32) as u32));

/// A sequence that looks random enough (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn between<T: Number>(&mut self, [low, high]: [f64; 2]) -> T {
        T::from_double(low + (high - low) * (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0)
    }

    /// Any number that is one.
    fn finite<T: Number>(&mut self) -> T {
        loop {
            let value = T::from_random(self.bits());
            if value.to_double().is_finite() {
                return value;
            }
        }
    }
}

/// Inputs in the ranges, for times.
fn usual<T: Number>(row: &Row, count: usize) -> Vec<Vec<T>> {
    let mut random = Random(1);
    let ranges = row.ranges(T::PREFIX == "f32");
    ranges.into_iter().map(|range| (0..count).map(|_| random.between(range)).collect()).collect()
}

/// Inputs for errors: every other in the ranges, the others of random bits; in front of them all where nothing is to be
/// computed. They are doubles of numbers of the type.
fn inputs<T: Number>(row: &Row, count: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = Random(seed);
    let ranges = row.ranges(T::PREFIX == "f32");
    let mut columns = vec![Vec::with_capacity(count); ranges.len()];
    for at in 0..count {
        for (column, range) in columns.iter_mut().zip(&ranges) {
            let value: T = if at % 2 == 0 { random.between(*range) } else { random.finite() };
            column.push(value.to_double());
        }
    }
    columns
}

/// What computes a function.
enum Runner<T> {
    Kiln(Function),
    Loop(ColumnLoop<T>),
    Python(python::Engine),
}

/// An engine at a width.
struct Entrant {
    name: String,
    width: Width,
    kind: Kind,
}

enum Kind {
    Kiln(kiln::Engine),
    Native(native::Loops),
    Python(Rc<RefCell<python::Python>>),
}

/// What a function cost an engine, and how far off it is.
#[derive(Clone, Copy, Debug)]
struct Cell {
    time: f64,
    error: Error,
}

/// The libraries for Python.
const PYTHON: [&str; 3] = ["numpy", "numexpr", "jax"];

fn is_kiln(name: &str) -> bool {
    name == "kiln" || name == engines::CONTROL
}

impl Entrant {
    fn compile<T: Number>(&self, row: &Row) -> Result<Option<Runner<T>>, String> {
        let count = row.ranges(false).len();
        Ok(match &self.kind {
            Kind::Kiln(engine) => {
                let params: Vec<String> =
                    ["x", "y"][..count].iter().map(|name| format!("{name}: {}", T::PREFIX)).collect();
                let text = table::formula(row);
                let function = engine.formula(&text).params(&params.join(", ")).compile();
                Some(Runner::Kiln(function.map_err(|error| format!("{text}: {error}"))?))
            }
            Kind::Native(loops) => {
                let there = loops.names.contains(row.name);
                there.then(|| loops.library.column_loop(row.name, count).map(Runner::Loop)).transpose()?
            }
            Kind::Python(python) => {
                Some(Runner::Python(python::Engine { python: python.clone(), name: self.name.clone() }))
            }
        })
    }
}

impl<T: Number> Runner<T> {
    /// One pass over columns of this side.
    fn pass(&self, inputs: &[Column<T>], out: &mut Column<T>) {
        match self {
            // The functions cannot fail; one that does leaves its output unwritten, which the errors show.
            Runner::Kiln(function) => drop(T::kiln(function, inputs, out)),
            Runner::Loop(function) => function.run(inputs, out),
            Runner::Python(_) => {}
        }
        black_box(&mut **out);
    }

    /// The results of these inputs, if the engine has the function.
    fn results(&self, row: &Row, inputs: &[Vec<T>]) -> Result<Option<Vec<T>>, String> {
        if let Runner::Python(engine) = self {
            let mut python = engine.python.borrow_mut();
            return python.results(&engine.name, row.name);
        }
        let columns: Vec<Column<T>> = inputs.iter().map(|values| column(values)).collect();
        let mut out = Column::new(inputs[0].len());
        out.fill(T::from_double(f64::NAN));
        self.pass(&columns, &mut out);
        Ok(Some(out.to_vec()))
    }
}

fn column<T: Number>(values: &[T]) -> Column<T> {
    let mut column = Column::new(values.len());
    column.copy_from_slice(values);
    column
}

/// The engines of one type.
struct Session<T> {
    entrants: Vec<Entrant>,
    pythons: Vec<Rc<RefCell<python::Python>>>,
    notes: Vec<[String; 2]>,
    _type: PhantomData<T>,
}

impl<T: Number> Session<T> {
    /// Starts and compiles all engines that are here.
    fn new(arguments: &Arguments, rows: &[Row], folder: &Folder) -> Result<Session<T>, String> {
        let mut session = Session { entrants: vec![], pythons: vec![], notes: vec![], _type: PhantomData };
        let wanted = |name: &str| arguments.engines.is_empty() || arguments.engines.iter().any(|other| other == name);
        let best = kiln::Engine::new().level();
        let widths = [Width::Avx512, Width::Avx2].into_iter().filter(|width| best >= width.level());
        let widths: Vec<Width> = widths.collect();
        if widths.is_empty() {
            return Err("this benchmark is for processors with AVX2".to_owned());
        }
        for name in ["kiln", engines::CONTROL] {
            for &width in &widths {
                let mut options = Options::default();
                options.level = Some(width.level());
                let engine = kiln::Engine::with_options(options).map_err(|error| error.to_string())?;
                session.push(name, width, Kind::Kiln(engine));
            }
        }
        session.note("kiln", format!("{}, strict", env!("CARGO_PKG_VERSION")));
        session.note(engines::CONTROL, "the same engine once more: its ratio is the noise".to_owned());
        for native in native::ENGINES.iter().filter(|native| wanted(native.name)) {
            if let Some(reason) = native.missing() {
                session.note(native.name, format!("left out: {reason}"));
                continue;
            }
            let mut flags = vec![];
            for &width in &widths {
                match native.build::<T>(rows, width) {
                    Ok(loops) => session.push(native.name, width, Kind::Native(loops)),
                    Err(reason) => eprintln!("{} with {} is left out: {reason}", native.name, width.title()),
                }
                flags.push(native.flags(width).join(" "));
            }
            session.note(native.name, format!("{}; {}", native.what, flags.join("; ")));
        }
        let program = arguments.python.clone().unwrap_or_else(default_python);
        let libraries: Vec<&str> = PYTHON.into_iter().filter(|name| wanted(name)).collect();
        if !libraries.is_empty() {
            session.start(&program, &libraries, &widths, folder);
        }
        Ok(session)
    }

    /// Starts the libraries for Python that are wanted.
    fn start(&mut self, program: &Path, libraries: &[&str], widths: &[Width], folder: &Folder) {
        for &width in widths {
            let python = match python::Python::start::<T>(program, width, &folder.0) {
                Ok(python) => python,
                Err(reason) => {
                    self.note(&libraries.join(", "), format!("left out: {reason}"));
                    return;
                }
            };
            let there = python.engines.clone();
            let python = Rc::new(RefCell::new(python));
            self.pythons.push(python.clone());
            for name in libraries {
                if there.contains_key(*name) {
                    self.push(name, width, Kind::Python(python.clone()));
                }
                if width == widths[0] {
                    let missing = || format!("left out: not installed: {}", python::INSTALL);
                    self.note(name, there.get(*name).cloned().unwrap_or_else(missing));
                }
            }
        }
    }

    fn push(&mut self, name: &str, width: Width, kind: Kind) {
        self.entrants.push(Entrant { name: name.to_owned(), width, kind });
    }

    fn note(&mut self, name: &str, text: String) {
        self.notes.push([name.to_owned(), text]);
    }

    /// The columns of the processes that have their own.
    fn load(&self, columns: &[Vec<T>]) -> Result<(), String> {
        self.pythons.iter().try_for_each(|python| python.borrow_mut().load(columns))
    }

    /// Times and errors of all engines.
    fn measure(&self, row: &Row, arguments: &Arguments, big: &mut Big) -> Result<Vec<Option<Cell>>, String> {
        let runners: Vec<Option<Runner<T>>> =
            self.entrants.iter().map(|entrant| entrant.compile(row)).collect::<Result<_, _>>()?;
        let errors = self.errors(row, &runners, arguments.samples as usize, big)?;
        let times = self.times(row, &runners, arguments)?;
        Ok(errors.into_iter().zip(times).map(|(error, time)| Some(Cell { time: time?, error: error? })).collect())
    }

    fn errors(
        &self,
        row: &Row,
        runners: &[Option<Runner<T>>],
        samples: usize,
        big: &mut Big,
    ) -> Result<Vec<Option<Error>>, String> {
        let doubles = inputs::<T>(row, samples, 2);
        let own: Vec<Vec<T>> =
            doubles.iter().map(|column| column.iter().map(|&value| T::from_double(value)).collect()).collect();
        self.load(&own)?;
        let mut reference = Reference::new(row, T::FORMAT, &doubles);
        let mut errors = vec![];
        for runner in runners {
            let results = runner.as_ref().map(|runner| runner.results(row, &own)).transpose()?.flatten();
            let error = |results: Vec<T>| {
                let doubles: Vec<f64> = results.into_iter().map(T::to_double).collect();
                reference.error(&doubles, big)
            };
            errors.push(results.map(error));
        }
        Ok(errors)
    }

    /// Medians in turns, each sample behind a pass that is not timed. The turns are shuffled in each round: on a busy machine
    /// one and the same engine was interrupted in most rounds otherwise.
    fn times(
        &self,
        row: &Row,
        runners: &[Option<Runner<T>>],
        arguments: &Arguments,
    ) -> Result<Vec<Option<f64>>, String> {
        let values = usual::<T>(row, arguments.rows as usize);
        self.load(&values)?;
        let columns: Vec<Column<T>> = values.iter().map(|values| column(values)).collect();
        let mut out = Column::new(values[0].len());
        let rows = out.len() as f64;
        let mut times = vec![vec![]; runners.len()];
        let mut repeats = vec![None; runners.len()];
        let mut order: Vec<usize> = (0..runners.len()).collect();
        let mut random = Random(3);
        for _ in 0..arguments.rounds {
            order.sort_by_cached_key(|_| random.bits());
            for &at in &order {
                match &runners[at] {
                    None => {}
                    Some(Runner::Python(engine)) => {
                        let seconds = measure::SPAN.as_secs_f64();
                        times[at].extend(engine.python.borrow_mut().time(&engine.name, row.name, seconds)?);
                    }
                    Some(runner) => {
                        let mut work = || runner.pass(&columns, &mut out);
                        // Who is interrupted while this is found out seems to need few.
                        let found = |_| measure::repeats(&mut work);
                        let repeats = *repeats[at].get_or_insert_with(|| (0..3).map(found).max().unwrap_or(1));
                        work();
                        let taken = measure::time(&mut || (0..repeats).for_each(|_| work()));
                        times[at].push(taken.as_secs_f64() * 1e9 / f64::from(repeats) / rows);
                    }
                }
            }
        }
        Ok(times.iter_mut().map(|times| median(times)).collect())
    }

    /// The table of one width, from the cells of all functions.
    fn table(&self, width: Width, rows: &[&Row], cells: &[Vec<Option<Cell>>]) -> Table {
        let at: Vec<usize> = (0..self.entrants.len()).filter(|&at| self.entrants[at].width == width).collect();
        let names: Vec<&str> = at.iter().map(|&at| self.entrants[at].name.as_str()).collect();
        let cells: Vec<Vec<Option<Cell>>> = cells.iter().map(|row| at.iter().map(|&at| row[at]).collect()).collect();
        let functions: Vec<&str> = rows.iter().map(|row| row.name).collect();
        shown(&names, &functions, &cells)
    }
}

fn default_python() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers-python/bin/python"))
}

/// The fastest of the others among those with an error of at most this.
fn fastest(names: &[&str], cells: &[Option<Cell>], most: f64) -> Option<(usize, Cell)> {
    let others = cells.iter().enumerate().filter(|(at, _)| !is_kiln(names[*at]));
    let others = others.filter_map(|(at, cell)| Some((at, (*cell)?))).filter(|(_, cell)| cell.error.worst <= most);
    others.min_by(|(_, a), (_, b)| a.time.total_cmp(&b.time))
}

/// Times with errors by function and engine, then how Kiln compares with the best of the others.
fn shown(names: &[&str], functions: &[&str], cells: &[Vec<Option<Cell>>]) -> Table {
    let mut head = vec!["function".to_owned()];
    head.extend(names.iter().map(|name| (*name).to_owned()));
    head.extend(["kiln / fastest to 1 ULP", "kiln / fastest of all", "kiln-again / kiln"].map(str::to_owned));
    let mut table = Table::new(head);
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let place = |name: &str| names.iter().position(|other| *other == name);
    let (kiln, control) = (place("kiln"), place(engines::CONTROL));
    for (function, cells) in functions.iter().zip(cells) {
        let mut line = vec![(*function).to_owned()];
        line.extend(cells.iter().map(|cell| cell.map_or("-".to_owned(), |cell| cell.shown())));
        let own = kiln.and_then(|at| cells[at]);
        for (most, ratios) in [1.0, f64::INFINITY].into_iter().zip(&mut ratios) {
            line.push(match (own, fastest(names, cells, most)) {
                (Some(own), Some((at, other))) => {
                    let ratio = own.time / other.time;
                    ratios.push(ratio);
                    format!("{} ({})", report::number(ratio), names[at])
                }
                _ => "-".to_owned(),
            });
        }
        let again = control.and_then(|at| cells[at]).zip(own).map(|(again, own)| again.time / own.time);
        ratios[2].extend(again);
        line.push(again.map_or("-".to_owned(), report::number));
        table.push(line);
    }
    let mut line = vec!["mean of ratios".to_owned()];
    line.extend(names.iter().map(|_| String::new()));
    line.extend(ratios.iter().map(|ratios| mean_shown(mean(ratios.iter().copied()), functions.len())));
    table.push(line);
    table
}

impl Cell {
    /// The time, and the error in brackets; a star if results or inputs that are no normal numbers are given up.
    fn shown(self) -> String {
        let star = if self.error.others > 0 { "*" } else { "" };
        format!("{} ({}{star})", report::number(self.time), report::number(self.error.worst))
    }
}

const LEGEND: &str = "Nanoseconds a row; in brackets the largest error in units in the last place of the true result, of \
which a half is rounding: over inputs half from the range, half random bits, as far as both they and the results are normal \
numbers (of the pair, whose sum is stored, in units of 1 to 2). A star: subnormal numbers, zeros or infinities among inputs or \
results give results that are wrong by more than 4 units. Ratios below 1 are Kiln's favour; the engine is in brackets.";

/// Measures one type and prints its tables; gives all numbers.
fn one_type<T: Number>(arguments: &Arguments, rows: &[Row]) -> Result<Vec<serde_json::Value>, String> {
    let folder = Folder::new()?;
    let session = Session::<T>::new(arguments, rows, &folder)?;
    let heading = |text: &str| if arguments.markdown { format!("#### {text}") } else { text.to_owned() };
    // The engines are the same for all types.
    if arguments.types.first().is_some_and(|first| first == T::PREFIX) {
        let mut notes = Table::new(["engine", "what one has to know"]).prose();
        for note in &session.notes {
            notes.push(note.to_vec());
        }
        println!("{}", notes.show(arguments.markdown));
    }
    let mut big = Big::new().ok_or("no memory")?;
    let mut cells = vec![];
    let mut values = vec![];
    let chosen: Vec<&Row> = rows.iter().filter(|row| is_chosen(arguments, row)).collect();
    for row in &chosen {
        eprintln!("functions {}: {}", T::PREFIX, row.name);
        let measured = session.measure(row, arguments, &mut big)?;
        for (entrant, cell) in session.entrants.iter().zip(&measured) {
            let Some(cell) = cell else { continue };
            let Error { worst, input, misrounded, others } = cell.error;
            values.push(serde_json::json!({
                "function": row.name, "type": T::PREFIX, "engine": entrant.name, "level": entrant.width.level_name(),
                "ns": cell.time, "worst_ulp": worst, "input": input, "misrounded": misrounded, "others": others,
            }));
        }
        cells.push(measured);
    }
    for width in [Width::Avx512, Width::Avx2] {
        if !session.entrants.iter().any(|entrant| entrant.width == width) {
            println!("{}: this processor has none\n", width.title());
            continue;
        }
        let Arguments { rows, rounds, samples, .. } = arguments;
        let title = format!(
            "{}, {}: columns of {rows} rows, medians of {rounds} rounds in turns, errors of {samples} inputs",
            width.title(),
            T::PREFIX
        );
        println!("{}\n", heading(&title));
        println!("{}", session.table(width, &chosen, &cells).show(arguments.markdown));
    }
    Ok(values)
}

fn is_chosen(arguments: &Arguments, row: &Row) -> bool {
    arguments.functions.is_empty() || arguments.functions.iter().any(|name| name == row.name)
}

/// Measures, and prints the tables.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let rows = table::rows();
    if let Some(name) = arguments.functions.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        let known: Vec<&str> = rows.iter().map(|row| row.name).collect();
        return Err(format!("there is no function {name}; these are: {}", known.join(", ")));
    }
    let known = || native::ENGINES.iter().map(|native| native.name).chain(PYTHON);
    if let Some(name) = arguments.engines.iter().find(|name| !is_kiln(name) && known().all(|other| other != **name)) {
        return Err(format!("there is no engine {name}; these are: {}", known().collect::<Vec<_>>().join(", ")));
    }
    println!("{}\n\n{LEGEND}\n", machine::machine());
    let mut values = vec![];
    for name in &arguments.types {
        values.extend(match name.as_str() {
            "f32" => one_type::<f32>(arguments, &rows)?,
            _ => one_type::<f64>(arguments, &rows)?,
        });
    }
    let Some(path) = &arguments.json else { return Ok(()) };
    let value = serde_json::json!({ "machine": machine::machine(), "results": values });
    std::fs::write(path, value.to_string()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
