//! Parquet files and Arrow files and streams as batches.
//!
//! Owns their opening and how much of them is in memory at a time. The one idea: the schema is known before anything is
//! read, so that formulas are compiled against it and only the columns that somebody wants are read. A Parquet file is
//! read page by page; of Arrow files and streams a whole batch is in memory, which is as large as its writer made it,
//! and goes on in slices.

use super::format::Format;
use super::guard::guarded;
use super::piece::{Input, Piece, Places};
use super::progress::Extent;
use crate::eval::clean_message;
use crate::report::Failure;
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// So many bytes are meant to be in memory of a batch, as far as a file says how large its rows are.
const BYTES: i64 = 4 << 20;
/// So many rows go through the formulas together at most.
const ROWS: usize = 32_768;

/// An open file whose columns were not chosen yet.
pub(crate) struct Columnar {
    name: String,
    form: Form,
    schema: SchemaRef,
    total: Option<Extent>,
}

enum Form {
    Parquet(Box<ParquetRecordBatchReaderBuilder<File>>),
    File(File),
    Stream(Box<StreamReader<BufReader<Box<dyn Read + Send>>>>),
}

/// What cannot be read, in words.
fn fail(name: &dyn std::fmt::Display, error: &dyn std::fmt::Display) -> Failure {
    Failure::input(format!("cannot read {name}: {}", clean_message(&error.to_string())))
}

impl Columnar {
    /// Opens a file, or standard input for `-`, of which only streams can be read.
    pub(crate) fn open(path: &Path, format: Format) -> Result<Columnar, Failure> {
        guarded(|| Columnar::open_unguarded(path, format)).unwrap_or_else(|damage| Err(fail(&path.display(), &damage)))
    }

    fn open_unguarded(path: &Path, format: Format) -> Result<Columnar, Failure> {
        let standard = path == Path::new("-");
        let name = if standard { "standard input".to_owned() } else { path.display().to_string() };
        if standard && format != Format::Arrows {
            let message = "standard input cannot be read from its end, where this format has its index";
            let help = "give a file, or a stream: --input-format arrows or csv";
            return Err(Failure::input(message).help(help));
        }
        let file = if standard { None } else { Some(File::open(path).map_err(|error| fail(&name, &error))?) };
        if file.as_ref().and_then(|file| file.metadata().ok()).is_some_and(|metadata| metadata.is_dir()) {
            return Err(Failure::input(format!("{name} is a directory")));
        }
        match (format, file) {
            (Format::Arrow, Some(file)) => {
                let again = file.try_clone().map_err(|error| fail(&name, &error))?;
                let reader = FileReader::try_new(BufReader::new(again), None).map_err(|error| fail(&name, &error))?;
                let (schema, total) = (reader.schema(), Some(Extent::Batches(reader.num_batches() as u64)));
                Ok(Columnar { name, form: Form::File(file), schema, total })
            }
            (Format::Arrow | Format::Arrows, file) => {
                let input: Box<dyn Read + Send> = match file {
                    Some(file) => Box::new(file),
                    None => Box::new(io::stdin()),
                };
                let reader = StreamReader::try_new(BufReader::with_capacity(1 << 18, input), None);
                let reader = reader.map_err(|error| fail(&name, &error))?;
                let schema = reader.schema();
                Ok(Columnar { name, form: Form::Stream(Box::new(reader)), schema, total: None })
            }
            (_, Some(file)) => {
                let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| fail(&name, &error))?;
                let total = Some(Extent::Rows(builder.metadata().file_metadata().num_rows().max(0) as u64));
                let schema = builder.schema().clone();
                Ok(Columnar { name, form: Form::Parquet(Box::new(builder)), schema, total })
            }
            (_, None) => Err(Failure::input(format!("cannot read {name}"))),
        }
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// All its columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How far there is to go, if that is known.
    pub(crate) fn total(&self) -> Option<Extent> {
        self.total
    }

    /// Reads these columns.
    pub(crate) fn start(self, columns: &[usize]) -> Result<Batches, Failure> {
        let name = self.name.clone();
        guarded(|| self.start_unguarded(columns)).unwrap_or_else(|damage| Err(fail(&name, &damage)))
    }

    fn start_unguarded(self, columns: &[usize]) -> Result<Batches, Failure> {
        let Columnar { name, form, schema, .. } = self;
        let schema: SchemaRef = schema.project(columns).map_err(|error| fail(&name, &error))?.into();
        let (reader, projection) = match form {
            Form::Parquet(builder) => {
                let rows = batch_rows(&builder);
                let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
                let reader = builder.with_batch_size(rows).with_projection(mask).build();
                (Reader::Parquet(Box::new(reader.map_err(|error| fail(&name, &error))?)), None)
            }
            Form::File(file) => {
                let reader = FileReader::try_new(BufReader::with_capacity(1 << 18, file), Some(columns.to_vec()));
                (Reader::File(Box::new(reader.map_err(|error| fail(&name, &error))?)), None)
            }
            // Its schema was read of the stream, so the choice comes too late for the reader.
            Form::Stream(reader) => (Reader::Stream(reader), Some(columns.to_vec())),
        };
        Ok(Batches { name, reader, schema, projection, rest: None, row: 0, batches: 0 })
    }
}

/// How many rows are read together.
fn batch_rows(builder: &ParquetRecordBatchReaderBuilder<File>) -> usize {
    let groups = builder.metadata().row_groups();
    let widest = groups.iter().map(|group| group.total_byte_size() / group.num_rows().max(1)).max().unwrap_or(0);
    (BYTES / widest.max(1)).clamp(64, ROWS as i64) as usize
}

/// An open file that is being read.
pub(crate) struct Batches {
    name: String,
    reader: Reader,
    schema: SchemaRef,
    /// The columns that are wanted of each batch; all if there are none.
    projection: Option<Vec<usize>>,
    /// What is left of a large batch.
    rest: Option<RecordBatch>,
    row: u64,
    batches: u64,
}

enum Reader {
    Parquet(Box<ParquetRecordBatchReader>),
    File(Box<FileReader<BufReader<File>>>),
    Stream(Box<StreamReader<BufReader<Box<dyn Read + Send>>>>),
}

impl Batches {
    /// The columns that are read, with what the file says about them and about itself.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch as it stands in the file.
    fn batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let damage = match guarded(|| self.batch_unguarded()) {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(batch))) => {
                self.batches += 1;
                return Ok(Some(batch));
            }
            Ok(Some(Err(error))) => error.to_string(),
            Err(damage) => damage,
        };
        let (name, row, message) = (&self.name, self.row, clean_message(&damage));
        Err(Failure::input(format!("cannot read {name}, from row {row} on: {message}")))
    }

    fn batch_unguarded(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        let batch = match &mut self.reader {
            Reader::Parquet(reader) => reader.next(),
            Reader::File(reader) => reader.next(),
            Reader::Stream(reader) => reader.next(),
        };
        match (batch, &self.projection) {
            (Some(Ok(batch)), Some(columns)) => Some(batch.project(columns)),
            (batch, _) => batch,
        }
    }
}

impl Input for Batches {
    fn next(&mut self) -> Result<Option<Piece>, Failure> {
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.batch()? {
                None => return Ok(None),
                Some(batch) => batch,
            },
        };
        let rows = batch.num_rows().min(ROWS);
        if rows < batch.num_rows() {
            self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let batch = batch.slice(0, rows);
        let places = Places::From(self.row);
        self.row += rows as u64;
        let done = match self.reader {
            Reader::Parquet(_) => self.row,
            Reader::File(_) | Reader::Stream(_) => self.batches,
        };
        Ok(Some(Piece { batch, passed: None, places, misfits: Vec::new(), done }))
    }
}
