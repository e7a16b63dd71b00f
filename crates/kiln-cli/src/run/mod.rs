//! `kiln run`: new columns and a filter over a CSV file.
//!
//! Owns the order of the work: read the header, find the columns' types, compile, then take the rows one at a time. The
//! one idea: cells that no formula uses are never interpreted and leave as they came, and memory does not grow with
//! the file. What is wrong with the data is said with its line and its column.
//!
//! The parts: `source` reads rows, `types` finds out what columns hold, `plan` compiles the formulas, `sink` writes.

mod plan;
mod sink;
mod source;
mod types;

use crate::args::RunArgs;
use crate::eval::clean;
use crate::report::{Failure, Printer, similar};
use csv::ByteRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plan::{Plan, Target};
use sink::Sink;
use source::Source;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

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

/// Runs the command.
pub(crate) fn run(args: &RunArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let requests = plan::requests(args)?;
    let mut source = Source::open(args)?;
    let header = source.header()?;
    let overrides = types::overrides(&args.types, &header)?;
    let nulls = types::Nulls::new(&args.nulls);
    let candidates = plan::candidates(&header, &requests, args.filter.as_deref(), &overrides);
    let columns = types::find(&mut source, &header, &candidates, &overrides, &nulls)?;
    let engine = args.machine.build(kiln::Type::F64)?;
    let mut plan = Plan::compile(&engine, &requests, args.filter.as_deref(), &header, columns, printer)?;
    let layout = layout(args, &header, &plan)?;
    let mut sink = Sink::open(args.output.as_deref(), out, source.delimiter(), source.crlf())?;
    write_header(&mut sink, &layout, &header, &plan)?;
    let mut progress = Progress::new(&source, args.output.is_none());
    let file = source.name().to_owned();
    let (mut read, mut kept) = (0u64, 0u64);
    while let Some((line, record)) = source.next(&header)? {
        read += 1;
        progress.tick(read, record.position().map_or(0, csv::Position::byte));
        if plan.row(&file, record, line, &nulls)? {
            kept += 1;
            for target in &layout {
                match *target {
                    Target::Column(column) => sink.cell(&record[column])?,
                    Target::Slot(slot) => sink.value(plan.value(slot))?,
                }
            }
            sink.end_row()?;
        }
    }
    progress.end();
    sink.finish()?;
    if let Some(path) = args.output.as_deref().filter(|_| io::stderr().is_terminal()) {
        printer.note(&format!("{kept} of {read} rows written to {}", path.display()));
    }
    Ok(())
}

/// Which cells a row has on its way out.
fn layout(args: &RunArgs, header: &Header, plan: &Plan) -> Result<Vec<Target>, Failure> {
    let place = |column: usize| plan.replacement(&header.names[column]).map_or(Target::Column(column), Target::Slot);
    let Some(select) = &args.select else {
        let columns = (0..header.names.len()).map(place);
        return Ok(columns.chain(plan.added(header).map(Target::Slot)).collect());
    };
    let mut layout = Vec::new();
    for name in split_names(select) {
        if let Some(slot) = plan.replacement(&name) {
            layout.push(Target::Slot(slot));
        } else {
            layout.push(Target::Column(header.require(&name, "--select")?));
        }
    }
    if layout.is_empty() { Err(Failure::usage("--select names no column")) } else { Ok(layout) }
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

fn write_header(sink: &mut Sink, layout: &[Target], header: &Header, plan: &Plan) -> Result<(), Failure> {
    for target in layout {
        match *target {
            Target::Column(column) => sink.cell(&header.cells[column])?,
            Target::Slot(slot) => sink.cell(plan.name(slot).as_bytes())?,
        }
    }
    sink.end_row()
}

/// A bar on the terminal, for work that takes long.
struct Progress {
    start: Instant,
    bytes: Option<u64>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shorter work gets no bar.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// `to_stdout`: rows that scroll over the same terminal leave no place for a bar.
    fn new(source: &Source, to_stdout: bool) -> Progress {
        let visible = io::stderr().is_terminal() && !(to_stdout && io::stdout().is_terminal());
        Progress { start: Instant::now(), bytes: source.size().filter(|_| visible), bar: None }
    }

    fn tick(&mut self, row: u64, position: u64) {
        if !row.is_multiple_of(4096) {
            return;
        }
        let Some(bytes) = self.bytes else { return };
        if self.bar.is_none() && self.start.elapsed() > Progress::PATIENCE {
            let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
            let template = "{bar:40} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split_names;

    #[test]
    fn names_with_commas_stand_in_back_ticks() {
        assert_eq!(split_names("a, `b,c` ,d,"), ["a", "b,c", "d"]);
    }
}
