//! Where the rows go.
//!
//! Owns the form of the cells that are written. Files are written beside their place, so that the output may be the
//! input, and a wrong row leaves the old file alone.

use crate::beside::{self, Beside};
use crate::report::Failure;
use kiln::Value;
use std::io::Write;
use std::path::Path;

/// Writes rows.
pub(crate) struct Sink<'a> {
    writer: csv::Writer<Box<dyn Write + 'a>>,
    file: Option<Beside>,
    scratch: String,
}

impl<'a> Sink<'a> {
    /// Opens the output: a file, or `out` if there is none.
    pub(crate) fn open(
        path: Option<&Path>,
        out: &'a mut dyn Write,
        delimiter: u8,
        crlf: bool,
    ) -> Result<Sink<'a>, Failure> {
        let (target, file): (Box<dyn Write + 'a>, _) = match path {
            Some(path) if path != Path::new("-") => beside::open(path)?,
            _ => (Box::new(out), None),
        };
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(target);
        Ok(Sink { writer, file, scratch: String::new() })
    }

    /// Writes a cell.
    pub(crate) fn cell(&mut self, cell: &[u8]) -> Result<(), Failure> {
        self.writer.write_field(cell).map_err(failure)
    }

    /// Writes a value, or an empty cell.
    pub(crate) fn value(&mut self, value: Option<Value>) -> Result<(), Failure> {
        use std::fmt::Write as _;
        self.scratch.clear();
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(self.scratch, "{value}");
        }
        self.writer.write_field(self.scratch.as_bytes()).map_err(failure)
    }

    /// Ends the row.
    pub(crate) fn end_row(&mut self) -> Result<(), Failure> {
        self.writer.write_record(None::<&[u8]>).map_err(failure)
    }

    /// All went well: what was written is put in its place.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.writer.flush()?;
        drop(self.writer);
        self.file.take().map_or(Ok(()), Beside::finish)
    }
}

fn failure(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => Failure::input(format!("cannot write: {other:?}")),
    }
}
