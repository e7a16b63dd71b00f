//! Tables of what was measured.
//!
//! The one idea: a table is cells of text, shown aligned for people or as Markdown for pages. Ratios are of medians; means are
//! geometric, over the formulas that both sides have, with their number where it is not all.

use crate::formula::Kind;
use crate::measure::Cell;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What one command measured.
pub(crate) struct Results {
    /// `compile`, `call`, or `columns` with the number of rows.
    pub(crate) command: String,
    /// What the numbers are, as a heading.
    pub(crate) title: String,
    pub(crate) formulas: Vec<(String, Kind)>,
    pub(crate) engines: Vec<&'static str>,
    /// By formula, then by engine; times in nanoseconds.
    pub(crate) cells: Vec<Vec<Cell>>,
}

/// Text in rows and columns.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    is_prose: bool,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Table {
        Table { rows: vec![head.into_iter().map(Into::into).collect()], is_prose: false }
    }

    /// Cells are sentences, not numbers.
    pub(crate) fn prose(self) -> Table {
        Table { is_prose: true, ..self }
    }

    /// One more row.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// As text.
    pub(crate) fn show(&self, markdown: bool) -> String {
        let mut text = String::new();
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|at| {
                self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        for (number, row) in self.rows.iter().enumerate() {
            if markdown {
                let _ = writeln!(text, "| {} |", row.join(" | "));
                if number == 0 {
                    let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
                }
            } else {
                for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                    // Names and sentences to the left, numbers to the right.
                    let _ = match at {
                        0 => write!(text, "{cell:width$}"),
                        _ if self.is_prose => write!(text, "  {cell}"),
                        _ => write!(text, "  {cell:>width$}"),
                    };
                }
                text.push('\n');
            }
        }
        text
    }
}

/// A number with as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => "inf".to_owned(),
        v if v >= 1e7 => format!("{v:.0e}"),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), number)
}

/// The geometric mean, and of how many.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<(f64, usize)> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| ((logs.iter().sum::<f64>() / logs.len() as f64).exp(), logs.len()))
}

/// A mean, with the number of formulas where it is not `all`.
pub(crate) fn mean_shown(mean: Option<(f64, usize)>, all: usize) -> String {
    match mean {
        None => "-".to_owned(),
        Some((value, count)) if count == all => number(value),
        Some((value, count)) => format!("{} ({count})", number(value)),
    }
}

impl Results {
    fn engine(&self, name: &str) -> Option<usize> {
        self.engines.iter().position(|engine| *engine == name)
    }

    /// The formulas of a kind, or all.
    fn of(&self, kind: Option<Kind>) -> impl Iterator<Item = &Vec<Cell>> {
        let all = self.formulas.iter().zip(&self.cells);
        all.filter(move |((_, other), _)| kind.is_none_or(|kind| kind == *other)).map(|(_, cells)| cells)
    }

    /// The mean ratio of an engine to another over formulas of a kind.
    fn ratio(&self, name: &str, reference: &str, kind: Option<Kind>) -> String {
        let (Some(at), Some(reference)) = (self.engine(name), self.engine(reference)) else { return "-".to_owned() };
        let ratios = self.of(kind).filter_map(|cells| Some(cells[at].time? / cells[reference].time?));
        mean_shown(mean(ratios), self.of(kind).count())
    }

    /// The mean time of an engine in nanoseconds, over `scale`.
    fn time(&self, name: &str, kind: Option<Kind>, scale: f64) -> String {
        let Some(at) = self.engine(name) else { return "-".to_owned() };
        let times = self.of(kind).filter_map(|cells| Some(cells[at].time? / scale));
        mean_shown(mean(times), self.of(kind).count())
    }

    /// The errors of an engine, least first.
    fn errors(&self, name: &str) -> Vec<f64> {
        let Some(at) = self.engine(name) else { return vec![] };
        let mut errors: Vec<f64> = self.cells.iter().filter_map(|cells| cells[at].error).collect();
        errors.sort_by(f64::total_cmp);
        errors
    }

    /// How much larger the worst errors of an engine are than those of another, on average; half a unit, which rounding
    /// costs everybody, is added to both.
    fn error_ratio(&self, name: &str, reference: &str) -> String {
        let (Some(at), Some(reference)) = (self.engine(name), self.engine(reference)) else { return "-".to_owned() };
        let ratios =
            self.cells.iter().filter_map(|cells| Some((cells[at].error? + 0.5) / (cells[reference].error? + 0.5)));
        mean_shown(mean(ratios), self.cells.len())
    }

    /// Compiling is shown in microseconds, running in nanoseconds.
    fn scale(&self) -> f64 {
        if self.command == "compile" { 1000.0 } else { 1.0 }
    }

    /// Times by formula, then ratios to the reference by kind.
    pub(crate) fn times(&self, reference: &str) -> Table {
        let scale = self.scale();
        let mut table = Table::new(["formula"].iter().copied().chain(self.engines.iter().copied()));
        for ((name, _), cells) in self.formulas.iter().zip(&self.cells) {
            let row = cells.iter().map(|cell| shown(cell.time.map(|time| time / scale)));
            table.push([name.clone()].into_iter().chain(row).collect());
        }
        let engines = || self.engines.iter();
        let mut line = |label: String, cell: &dyn Fn(&str) -> String| {
            table.push([label].into_iter().chain(engines().map(|engine| cell(engine))).collect());
        };
        line("mean of all".to_owned(), &|engine| self.time(engine, None, scale));
        if self.engine(reference).is_some() {
            for kind in [Kind::Arithmetic, Kind::Transcendental] {
                line(format!("{kind} / {reference}"), &|engine| self.ratio(engine, reference, Some(kind)));
            }
            line(format!("all / {reference}"), &|engine| self.ratio(engine, reference, None));
        }
        table
    }

    /// The worst errors by formula; `None` where none were measured.
    pub(crate) fn accuracy(&self, reference: &str) -> Option<Table> {
        if !self.cells.iter().flatten().any(|cell| cell.error.is_some()) {
            return None;
        }
        let mut table = Table::new(["formula"].iter().copied().chain(self.engines.iter().copied()));
        for ((name, _), cells) in self.formulas.iter().zip(&self.cells) {
            let row = cells.iter().map(|cell| shown(cell.error));
            table.push([name.clone()].into_iter().chain(row).collect());
        }
        let middle = |engine: &&str| {
            let errors = self.errors(engine);
            shown(errors.get(errors.len() / 2).copied())
        };
        if self.engine(reference).is_some() {
            let ratios = self.engines.iter().map(|engine| self.error_ratio(engine, reference));
            table.push([format!("mean / {reference}")].into_iter().chain(ratios).collect());
        }
        table.push(["median of all".to_owned()].into_iter().chain(self.engines.iter().map(middle)).collect());
        Some(table)
    }

    /// One value for each formula and engine.
    pub(crate) fn json(&self) -> Vec<Value> {
        let mut values = vec![];
        for ((formula, kind), cells) in self.formulas.iter().zip(&self.cells) {
            for (engine, cell) in self.engines.iter().zip(cells) {
                values.push(json!({
                    "command": self.command, "formula": formula, "kind": kind.to_string(), "engine": engine,
                    "ns": cell.time, "worst_ulp": cell.error.filter(|error| error.is_finite()),
                }));
            }
        }
        values
    }
}

/// What has to be said of `summary`.
pub(crate) fn legend(reference: &str) -> String {
    format!(
        "Geometric means. Calls, rows and errors are ratios to {reference} over the formulas that both have, whose number stands \
         in brackets where it is not all; below 1 is better. Compiling is in microseconds."
    )
}

/// One row for each engine from the results of all commands.
pub(crate) fn summary(compile: &Results, call: &Results, columns: &[Results], reference: &str) -> Table {
    let mut head: Vec<String> = ["engine", "compile, us", "call: arithmetic", "all"].map(str::to_owned).into();
    for results in columns {
        let rows = results.command.trim_start_matches("columns ");
        head.extend([format!("{rows} rows: arithmetic"), "transcendental".to_owned(), "all".to_owned()]);
    }
    head.extend(["error", "error, median ULP", "worst ULP"].map(str::to_owned));
    let mut table = Table::new(head);
    for name in &compile.engines {
        let mut row = vec![(*name).to_owned(), compile.time(name, None, 1000.0)];
        row.extend([Some(Kind::Arithmetic), None].map(|kind| call.ratio(name, reference, kind)));
        for results in columns {
            for kind in [Some(Kind::Arithmetic), Some(Kind::Transcendental), None] {
                row.push(results.ratio(name, reference, kind));
            }
        }
        // Who has no columns has calls.
        let judged = columns.first().filter(|results| !results.errors(name).is_empty()).unwrap_or(call);
        let errors = judged.errors(name);
        row.push(judged.error_ratio(name, reference));
        row.extend([errors.get(errors.len() / 2), errors.last()].map(|error| shown(error.copied())));
        table.push(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let cell = |time: f64| Cell { time: Some(time), error: Some(time / 2.0) };
        Results {
            command: "call".to_owned(),
            title: String::new(),
            formulas: vec![("f".to_owned(), Kind::Arithmetic), ("g".to_owned(), Kind::Transcendental)],
            engines: vec!["a", "b"],
            cells: vec![vec![cell(2.0), cell(1.0)], vec![cell(8.0), Cell::default()]],
        }
    }

    #[test]
    fn means_are_over_what_both_have() {
        let results = results();
        assert_eq!(results.ratio("a", "b", None), "2.00 (1)");
        assert_eq!(results.ratio("a", "b", Some(Kind::Transcendental)), "-");
        assert_eq!(results.time("a", None, 1.0), "4.00");
        assert_eq!(results.ratio("a", "missing", None), "-");
        assert_eq!(results.errors("a"), [1.0, 4.0]);
        assert_eq!(results.error_ratio("a", "b"), "1.50 (1)");
    }

    #[test]
    fn tables_are_text_or_markdown() {
        let results = results();
        let table = results.times("b");
        assert!(
            table.show(true).starts_with("| formula | a | b |\n|---|---|---|\n| f | 2.00 | 1.00 |\n| g | 8.00 | - |\n")
        );
        assert!(table.show(false).starts_with("formula"));
        assert!(results.accuracy("b").unwrap().show(true).contains("| g | 4.00 | - |"));
        assert_eq!(results.json().len(), 4);
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let texts = [0.123, 12.34, 123.4, 12345.6, 1.5e9, f64::INFINITY].map(number);
        assert_eq!(texts, ["0.12", "12.3", "123", "12346", "2e9", "inf"]);
    }
}
