//! `kiln run`: new columns and a filter over a data file.
//!
//! Owns the order of the work: open the file, find the columns' types, compile, then take the rows batch by batch. The
//! one idea: whatever the file is, its rows become Arrow batches, go through one program of formulas, and are written by
//! whoever writes the form that is wanted; so every form goes to every other, and memory does not grow with the file.
//! Formulas about all rows (`x - mean(x)`) have the file read again for each pass that they need.
//! What is wrong with the data is said with its line or row and its column.
//!
//! The parts: `format` tells files apart; `source`, `types` and `cells` read CSV, `columnar` the rest, behind `guard`; `plan` compiles
//! the formulas, `agg` takes totals, `pump` computes with threads, `sink` and `text` write.

mod agg;
mod cells;
mod columnar;
pub(crate) mod format;
mod guard;
mod piece;
mod plan;
mod progress;
mod pump;
pub(crate) mod sink;
mod source;
mod text;
mod types;

use crate::args::RunArgs;
use crate::eval::clean;
use crate::report::{Failure, Printer, similar};
use arrow_schema::SchemaRef;
use cells::{Cells, Role};
use columnar::Columnar;
use csv::ByteRecord;
use format::Format;
use kiln::Engine;
use kiln_arrow::{Aggregates, RunError, Target};
use piece::Input;
use plan::{Known, Plan, Request};
use progress::{Extent, Progress};
use sink::{Shape, Sink};
use source::Source;
use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use types::Kind;

/// What the command is asked about a column: its name as formulas say it.
pub(crate) struct Header {
    /// The cells of the header line.
    pub(crate) cells: ByteRecord,
    /// The same as names: without spaces around them.
    pub(crate) names: Vec<String>,
}

impl Header {
    /// The column of this name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// The column of this name, or an error that says which there are.
    fn require(&self, name: &str, wanted_by: &str) -> Result<usize, Failure> {
        self.find(name).ok_or_else(|| {
            let failure = Failure::input(format!("{wanted_by}: there is no column `{}`", clean(name)));
            failure.help(self.suggestion(name))
        })
    }

    /// What a wrong name may have been meant for.
    pub(crate) fn suggestion(&self, name: &str) -> String {
        if let Some(near) = similar(name, self.names.iter().map(String::as_str)) {
            return format!("did you mean `{}`?", clean(near));
        }
        if let [only] = self.names.as_slice()
            && let Some((mark, _)) = [(";", ()), ("\t", ()), ("|", ())].into_iter().find(|(m, ())| only.contains(m))
        {
            let mark = if mark == "\t" { "\\t" } else { mark };
            return format!("the header line is a single cell; perhaps --delimiter '{mark}' is meant");
        }
        let shown = self.names.iter().take(12).map(|name| clean(name)).collect::<Vec<_>>().join(", ");
        let more = if self.names.len() > 12 { ", ..." } else { "" };
        format!("the columns are: {shown}{more}")
    }
}

/// What the options ask for, and what is known when the file is opened.
struct Job<'a> {
    args: &'a RunArgs,
    engine: Engine,
    requests: Vec<Request>,
    aggregates: Vec<Request>,
    select: Option<Vec<String>>,
    output: Format,
}

impl Job<'_> {
    /// The program of the new columns and the filter, and the aggregates over what it gives, if there are any.
    fn compile(&self, schema: &SchemaRef, known: &Known) -> Result<(Plan, Option<Aggregates>), Failure> {
        let plan = |select: Option<&[String]>| {
            Plan::compile(&self.engine, &self.requests, self.args.filter.as_deref(), select, schema, known)
        };
        if self.aggregates.is_empty() {
            return Ok((plan(self.select.as_deref())?, None));
        }
        let aggregates = |plan: &Plan| agg::compile(&self.engine, &self.aggregates, plan, known);
        let all = plan(None)?;
        // Of all columns the program gives those that aggregates use.
        let plan = plan(Some(&agg::columns(&aggregates(&all)?, &all)))?;
        let aggregates = aggregates(&plan)?;
        Ok((plan, Some(aggregates)))
    }
}

/// Runs the command.
pub(crate) fn run(args: &RunArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let requests = plan::requests("--let", &args.lets)?;
    let aggregates = plan::requests("--agg", &args.aggregates)?;
    let select = args.select.as_deref().map(split_names);
    if select.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::usage("--select names no column"));
    }
    if select.is_some() && !aggregates.is_empty() {
        return Err(Failure::usage("--agg gives one row of its own, from which --select has nothing to choose"));
    }
    let output = Format::of_output(args.output.as_deref(), args.output_format)?;
    if args.compression.is_some() && output != Format::Parquet {
        return Err(Failure::usage("--compression is for Parquet files"));
    }
    let engine = args.machine.build(kiln::Type::F64)?;
    let job = Job { args, engine, requests, aggregates, select, output };
    match Format::of_input(&args.file, args.input_format) {
        Format::Csv => csv(&job, printer, out),
        format => columnar(&job, format, printer, out),
    }
}

/// The rows of a CSV file.
fn csv(job: &Job, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let args = job.args;
    let mut source = Source::open(args)?;
    let header = source.header()?;
    let overrides = types::overrides(&args.types, &header)?;
    let nulls = types::Nulls::new(&args.nulls);
    let typed = job.output != Format::Csv || !job.aggregates.is_empty();
    let selected = |name: &str| job.select.as_ref().is_none_or(|names| names.iter().any(|selected| selected == name));
    let mut candidates =
        plan::candidates(&header, [&job.requests, &job.aggregates], args.filter.as_deref(), &overrides);
    if typed && job.aggregates.is_empty() {
        // A file with types wants those of all columns that go into it.
        let more = (0..header.names.len()).filter(|column| !overrides.contains_key(column));
        candidates.extend(more.filter(|&column| selected(&header.names[column])));
        candidates.sort_unstable();
        candidates.dedup();
    }
    let columns = types::find(&mut source, &header, &candidates, &overrides, &nulls)?;
    let known = Known { header: &header, columns: Some(&columns), reads: HashMap::new() };
    let (plan, aggregates) = job.compile(&cells::schema(&header, &columns), &known)?;
    let used = plan.program.used();
    let role = |column: usize| {
        let passed = plan.program.layout().contains(&Target::Column(column));
        match (used.contains(&column) || (typed && passed), !typed && passed) {
            (true, true) => Role::Both,
            (true, false) => Role::Value,
            (false, true) => Role::Cell,
            (false, false) => Role::Unused,
        }
    };
    let roles = (0..columns.len()).map(role).collect();
    let shape = Shape {
        path: args.output.as_deref(),
        format: job.output,
        delimiter: output_delimiter(args, source.delimiter()),
        crlf: source.crlf(),
        compression: args.compression,
        dictionaries_change: false,
    };
    let (name, total) = (source.name().to_owned(), source.size().map(Extent::Bytes));
    let mut input = Cells::new(source, &header, columns, roles, nulls);
    // What passes from CSV to CSV is text, under the names as they stand there.
    let schema = if typed { plan.program.schema().clone() } else { input.passed_schema(&plan.program) };
    let schema = aggregates.as_ref().map_or(&schema, Aggregates::schema);
    check_passes(job, &plan, aggregates.as_ref(), &name, &input)?;
    let mut sink = Sink::open(&shape, schema, out)?;
    pump(job, &plan, aggregates.as_ref(), &name, total, &mut input, &mut sink, printer)?;
    sink.finish()
}

/// The rows of another file.
fn columnar(job: &Job, format: Format, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let args = job.args;
    let file = Columnar::open(&args.file, format)?;
    for (option, given) in [("--null", !args.nulls.is_empty()), ("--delimiter", args.delimiter.is_some())] {
        if given && (option == "--null" || job.output != Format::Csv) {
            let message = format!("{option} is for CSV files, and {} is none", file.name());
            return Err(Failure::usage(message));
        }
    }
    let names: Vec<String> = file.schema().fields().iter().map(|field| field.name().clone()).collect();
    let header = Header { cells: ByteRecord::new(), names };
    let mut reads = HashMap::new();
    for (column, kind) in types::overrides(&args.types, &header)? {
        let name = header.names[column].clone();
        match kind {
            Kind::Value(ty) => reads.insert(name, ty),
            Kind::Text { .. } | Kind::Ignored => {
                let message = format!("--type {}=text: columns of {} have their types", clean(&name), file.name());
                return Err(Failure::usage(message));
            }
        };
    }
    let mut known = Known { header: &header, columns: None, reads };
    let (plan, _) = job.compile(file.schema(), &known)?;
    let wanted: Vec<usize> = {
        let used = plan.program.used();
        let is_wanted =
            |&column: &usize| used.contains(&column) || plan.program.layout().contains(&Target::Column(column));
        (0..header.names.len()).filter(is_wanted).collect()
    };
    known.reads.retain(|name, _| wanted.iter().any(|&column| header.names[column] == *name));
    let (name, total) = (file.name().to_owned(), file.total());
    let mut input = file.start(&wanted)?;
    let (plan, aggregates) = job.compile(input.schema(), &known)?;
    let shape = Shape {
        path: args.output.as_deref(),
        format: job.output,
        delimiter: output_delimiter(args, source::delimiter(args.delimiter.as_deref(), Path::new(""))?),
        crlf: false,
        compression: args.compression,
        dictionaries_change: format != Format::Arrow,
    };
    let schema = aggregates.as_ref().map_or(plan.program.schema(), Aggregates::schema);
    check_passes(job, &plan, aggregates.as_ref(), &name, &input)?;
    let mut sink = Sink::open(&shape, schema, out)?;
    pump(job, &plan, aggregates.as_ref(), &name, total, &mut input, &mut sink, printer)?;
    sink.finish()
}

/// Can the rows be read as often as the formulas need?
fn check_passes(
    job: &Job,
    plan: &Plan,
    aggregates: Option<&Aggregates>,
    file: &str,
    input: &dyn Input,
) -> Result<(), Failure> {
    let twice = |index: &usize| aggregates.and_then(|all| all.function(*index)).is_some_and(|f| f.passes() > 1);
    let total = || (0..job.aggregates.len()).find(twice).map(|index| job.aggregates[index].origin());
    let Some(origin) = plan.about_all_rows().map(str::to_owned).or_else(total).filter(|_| !input.is_repeatable())
    else {
        return Ok(());
    };
    let message = format!("{origin} needs all rows before its first result, and {file} can be read only once");
    Err(Failure::input(message).help("write the rows to a file first, and give its name"))
}

/// Takes all rows from the input to the sink, or to totals, and these to the sink; before that, as often as formulas
/// about all rows need them.
#[allow(clippy::too_many_arguments, reason = "it is what the two kinds of files have in common")]
fn pump(
    job: &Job,
    plan: &Plan,
    aggregates: Option<&Aggregates>,
    file: &str,
    total: Option<Extent>,
    input: &mut (dyn Input + Send),
    sink: &mut Sink,
    printer: &Printer,
) -> Result<(), Failure> {
    let args = job.args;
    plan.warn(printer);
    // A thread that waits for a pipe cannot be called back when something fails meanwhile.
    let is_file = args.file.metadata().is_ok_and(|metadata| metadata.is_file());
    let usual = if is_file { std::thread::available_parallelism().map_or(1, |count| count.get().min(4)) } else { 1 };
    let threads = args.threads.map_or(usual, std::num::NonZero::get);
    let progress = || Progress::new(total, args.output.is_none());
    let mut seen = Seen { file, first: None };
    let mut reading = plan.program.start();
    while reading.remaining() > 0 {
        input.again(Some(&reading.used()))?;
        let (mut pass, mut progress, mut read) = (reading.pass(), progress(), 0);
        pump::run(threads, input, &|piece| plan.feed(&reading, file, piece), &mut |computed| {
            read += computed.read;
            progress.tick(computed.done);
            pass.add(computed.what).map_err(|error| plan.failure(file, &computed.places, error))
        })?;
        progress.end();
        seen.all(read)?;
        reading.end(pass).map_err(|error| Failure::input(format!("{file}: {error}")))?;
    }
    let mut totals = aggregates.map(Aggregates::start);
    let wrong = |error: &RunError| match aggregates {
        Some(aggregates) => agg::failure(file, &job.aggregates, aggregates, error),
        None => Failure::input(error.to_string()),
    };
    loop {
        if seen.first.is_some() {
            input.again(None)?;
        }
        let (mut progress, mut read, mut kept) = (progress(), 0u64, 0u64);
        pump::run(threads, input, &|piece| plan.compute(&reading, file, piece), &mut |computed| {
            read += computed.read;
            kept += computed.what.num_rows() as u64;
            progress.tick(computed.done);
            match &mut totals {
                Some(totals) => totals.add(&computed.what).map_err(|error| wrong(&error)),
                None => sink.write(&computed.what),
            }
        })?;
        progress.end();
        seen.all(read)?;
        if let Some(totals) = &mut totals {
            totals.end_pass().map_err(|error| wrong(&error))?;
            if totals.remaining() > 0 {
                continue;
            }
        }
        if let Some(path) = args.output.as_deref().filter(|_| io::stderr().is_terminal()) {
            printer.note(&format!("{kept} of {read} rows go to {}", path.display()));
        }
        break;
    }
    if let Some(totals) = totals {
        sink.write(&totals.finish().map_err(|error| wrong(&error))?)?;
    }
    Ok(())
}

/// How many rows there are.
struct Seen<'f> {
    file: &'f str,
    first: Option<u64>,
}

impl Seen<'_> {
    /// So many were read in a pass.
    fn all(&mut self, read: u64) -> Result<(), Failure> {
        let before = *self.first.get_or_insert(read);
        if before == read {
            return Ok(());
        }
        let message = format!("{} has {read} rows, and had {before} when it was read before", self.file);
        Err(Failure::input(message).help("it was changed in the meantime; give a copy that stays as it is"))
    }
}

/// What separates the cells that are written: as the option says, or the name of the output, or as they were read.
fn output_delimiter(args: &RunArgs, input: u8) -> u8 {
    let named = args.output.as_deref().and_then(format::delimiter_of);
    if args.delimiter.is_some() { input } else { named.unwrap_or(input) }
}

/// Splits a list of names at its commas; names with commas stand in back-ticks.
fn split_names(list: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut ticked = false;
    for c in list.chars() {
        match c {
            '`' => ticked = !ticked,
            ',' if !ticked => names.push(String::new()),
            c => {
                if let Some(last) = names.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::split_names;

    #[test]
    fn names_with_commas_stand_in_back_ticks() {
        assert_eq!(split_names("a, `b,c` ,d,"), ["a", "b,c", "d"]);
    }
}
