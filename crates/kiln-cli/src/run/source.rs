//! Rows of a CSV file, with the places where they stand.
//!
//! Owns the opening of the file, its delimiter, and what is wrong with its form: ragged rows, bytes that are not UTF-8,
//! no header. The one idea: a file that can be read twice is, so that types are found over all its rows, and again for
//! each pass of formulas about all rows; of a stream the first rows are kept and handed out again.

use super::Header;
use crate::args::RunArgs;
use crate::eval::clean;
use crate::report::Failure;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _};
use std::path::Path;

/// Of a stream, so many rows are looked at before the types are fixed, and at most so many bytes.
const SAMPLE_ROWS: usize = 10_000;
const SAMPLE_BYTES: usize = 8 << 20;
/// How much is read at a time.
const BUFFER: usize = 1 << 18;

/// Where the rows come from.
pub(crate) struct Source {
    /// How messages call it.
    name: String,
    reader: Reader<Box<dyn Read + Send>>,
    /// The same file once more, if it can be read twice.
    again: Option<File>,
    size: Option<u64>,
    delimiter: u8,
    crlf: bool,
    /// Rows of a stream that were read early.
    kept: VecDeque<ByteRecord>,
    record: ByteRecord,
}

impl Source {
    /// Opens the file that the command names.
    pub(crate) fn open(args: &RunArgs) -> Result<Source, Failure> {
        let path = args.file.as_path();
        let delimiter = delimiter(args.delimiter.as_deref(), path)?;
        let standard = path == Path::new("-");
        let name = if standard { "standard input".to_owned() } else { path.display().to_string() };
        let fail = |error: io::Error| Failure::input(format!("cannot read {name}: {error}"));
        let (input, again, size): (Box<dyn Read + Send>, _, _) = if standard {
            (Box::new(io::stdin()), None, None)
        } else {
            let file = File::open(path).map_err(fail)?;
            let metadata = file.metadata().map_err(fail)?;
            if metadata.is_dir() {
                return Err(Failure::input(format!("{name} is a directory")));
            }
            let again = if metadata.is_file() { Some(file.try_clone().map_err(fail)?) } else { None };
            let size = metadata.is_file().then_some(metadata.len());
            (Box::new(file), again, size)
        };
        let mut input = BufReader::with_capacity(BUFFER, input);
        let start = input.fill_buf().map_err(fail)?;
        let crlf = start.iter().position(|&b| b == b'\n').is_some_and(|at| at > 0 && start[at - 1] == b'\r');
        let reader = build(Box::new(input), delimiter);
        let (kept, record) = (VecDeque::new(), ByteRecord::new());
        Ok(Source { name, reader, again, size, delimiter, crlf, kept, record })
    }

    /// The header line; only once, before any row.
    pub(crate) fn header(&mut self) -> Result<Header, Failure> {
        let cells = match self.reader.byte_headers() {
            Ok(cells) => cells.clone(),
            Err(error) => return Err(self.csv_failure(error, None)),
        };
        if cells.is_empty() {
            return Err(Failure::input(format!("{}: there is no header line", self.name)));
        }
        check_utf8(&self.name, 1, &cells, None)?;
        let names: Vec<String> = cells.iter().map(|c| String::from_utf8_lossy(c).trim().to_owned()).collect();
        let mut seen = HashSet::new();
        for name in &names {
            if !seen.insert(name.as_str()) {
                let message = format!("{}: the header has two columns named `{}`", self.name, clean(name));
                return Err(Failure::input(message).help("give each column its own name"));
            }
        }
        Ok(Header { cells, names })
    }

    /// The next row with its line number.
    pub(crate) fn next(&mut self, header: &Header) -> Result<Option<(u64, &ByteRecord)>, Failure> {
        if let Some(record) = self.kept.pop_front() {
            self.record = record;
            return Ok(Some((line(&self.record), &self.record)));
        }
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.csv_failure(error, Some(header))),
        }
        check_utf8(&self.name, line(&self.record), &self.record, Some(header))?;
        Ok(Some((line(&self.record), &self.record)))
    }

    /// Shows rows to `look` before they are handed out: all of a file, the first of a stream. Says whether it was all.
    pub(crate) fn preview(&mut self, header: &Header, look: &mut dyn FnMut(u64, &ByteRecord)) -> Result<bool, Failure> {
        if self.again.is_some() {
            while let Some((line, record)) = self.next(header)? {
                look(line, record);
            }
            return self.rewind().map(|()| true);
        }
        let mut sample = VecDeque::new();
        let mut bytes = 0;
        while sample.len() < SAMPLE_ROWS && bytes < SAMPLE_BYTES {
            let Some((line, record)) = self.next(header)? else {
                self.kept = sample;
                return Ok(true);
            };
            look(line, record);
            bytes += record.as_slice().len();
            sample.push_back(record.clone());
        }
        self.kept = sample;
        Ok(false)
    }

    /// Can it be read more than once?
    pub(crate) fn is_repeatable(&self) -> bool {
        self.again.is_some()
    }

    /// Goes back to the first row of a file.
    pub(crate) fn rewind(&mut self) -> Result<(), Failure> {
        let Some(again) = &self.again else { return Ok(()) };
        let mut file = again.try_clone()?;
        file.rewind()?;
        self.reader = build(Box::new(BufReader::with_capacity(BUFFER, file)), self.delimiter);
        match self.reader.byte_headers() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.csv_failure(error, None)),
        }
    }

    /// How messages call the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Do the lines end as on Windows?
    pub(crate) fn crlf(&self) -> bool {
        self.crlf
    }

    /// How many bytes there are, if it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    fn csv_failure(&self, error: csv::Error, header: Option<&Header>) -> Failure {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Failure::input(format!("cannot read {}: {error}", self.name)),
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.map_or(0, |pos| pos.line());
                let message =
                    format!("{}, line {line}: the row has {len} cells, and the header has {expected_len}", self.name);
                let failure = Failure::input(message);
                match header.filter(|_| (len as usize) < expected_len as usize) {
                    Some(header) => {
                        let first = &header.names[len as usize];
                        failure.help(format!("the first column without a cell is `{}`", clean(first)))
                    }
                    None => failure.help("cells that contain the delimiter stand in double quotes"),
                }
            }
            other => Failure::input(format!("{}: {other:?}", self.name)),
        }
    }
}

fn build(input: Box<dyn Read + Send>, delimiter: u8) -> Reader<Box<dyn Read + Send>> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(true).from_reader(input)
}

/// The line on which a row begins.
fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

pub(crate) fn delimiter(option: Option<&str>, path: &Path) -> Result<u8, Failure> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match option {
        None => Ok(if matches!(extension.as_str(), "tsv" | "tab") { b'\t' } else { b',' }),
        Some("\\t" | "tab") => Ok(b'\t'),
        Some(text) => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => {
                let message = format!("--delimiter '{}' is not one ASCII character", clean(text));
                Err(Failure::usage(message).help("for a tab, write --delimiter '\\t'"))
            }
        },
    }
}

fn check_utf8(file: &str, line: u64, record: &ByteRecord, header: Option<&Header>) -> Result<(), Failure> {
    // One look at the whole row is enough almost always; a character cannot be cut by the end of a cell and go on.
    if record.as_slice().is_ascii() {
        return Ok(());
    }
    for (column, cell) in record.iter().enumerate() {
        if let Err(error) = std::str::from_utf8(cell) {
            let place = match header.and_then(|h| h.names.get(column)) {
                Some(name) => format!("{file}, line {line}, column `{}`", clean(name)),
                None => format!("{file}, line {line}"),
            };
            let byte = cell[error.valid_up_to()];
            let message = format!("{place}: the cell is not UTF-8 text (byte 0x{byte:02x})");
            return Err(Failure::input(message).help("for instance, `iconv -f WINDOWS-1252 -t UTF-8` converts a file"));
        }
    }
    Ok(())
}
