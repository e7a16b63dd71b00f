//! Parquet files and Arrow files and streams as batches.
//!
//! Owns their opening and how much of them is in memory at a time. The one idea: the schema is known before anything is
//! read, so that formulas are compiled against it and only the columns that somebody wants are read. A Parquet file is
//! read page by page; of Arrow files and streams a whole batch is in memory, which is as large as its writer made it,
//! and goes on in slices. A file is opened once and read as often as formulas about all rows need; what was found at its
//! end is not read again.

use super::format::Format;
use super::guard::guarded;
use super::piece::{Input, Piece, Places};
use super::progress::Extent;
use crate::eval::clean_message;
use crate::report::Failure;
use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;
use std::sync::Arc;

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

/// What a reader is made of, as often as it is wanted.
enum Form {
    Parquet(File, ArrowReaderMetadata),
    File(File),
    /// The reader that read the schema, until it is taken; the file, if it is one.
    Stream(Option<Stream>, Option<File>),
}

type Stream = Box<StreamReader<BufReader<Box<dyn Read + Send>>>>;

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
                let is_file = |file: &&File| file.metadata().is_ok_and(|metadata| metadata.is_file());
                let again = file.as_ref().filter(is_file).and_then(|file| file.try_clone().ok());
                let reader = stream(file).map_err(|error| fail(&name, &error))?;
                let schema = reader.schema();
                Ok(Columnar { name, form: Form::Stream(Some(reader), again), schema, total: None })
            }
            (_, Some(file)) => {
                let metadata =
                    ArrowReaderMetadata::load(&file, Default::default()).map_err(|error| fail(&name, &error))?;
                let total = Some(Extent::Rows(metadata.metadata().file_metadata().num_rows().max(0) as u64));
                let schema = metadata.schema().clone();
                Ok(Columnar { name, form: Form::Parquet(file, metadata), schema, total })
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
        let Columnar { name, mut form, schema, .. } = self;
        let all: SchemaRef = schema.project(columns).map_err(|error| fail(&name, &error))?.into();
        let reader = form.guarded_reader(&name, columns)?;
        let (columns, schema) = (columns.to_vec(), all);
        Ok(Batches { name, form, columns, reader, schema, only: None, rest: None, row: 0, batches: 0 })
    }
}

/// Begins to read a stream.
fn stream(file: Option<File>) -> Result<Stream, ArrowError> {
    let input: Box<dyn Read + Send> = match file {
        Some(file) => Box::new(file),
        None => Box::new(io::stdin()),
    };
    Ok(Box::new(StreamReader::try_new(BufReader::with_capacity(1 << 18, input), None)?))
}

impl Form {
    fn guarded_reader(&mut self, name: &str, columns: &[usize]) -> Result<Reader, Failure> {
        guarded(|| self.reader(columns)).unwrap_or_else(Err).map_err(|error| fail(&name, &error))
    }

    /// Begins to read these columns, from the first row on.
    fn reader(&mut self, columns: &[usize]) -> Result<Reader, String> {
        let words = |error: ArrowError| error.to_string();
        let again = |file: &File| file.try_clone().map_err(|error| error.to_string());
        Ok(match self {
            Form::Parquet(file, metadata) => {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(again(file)?, metadata.clone());
                let rows = batch_rows(&builder);
                let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
                let reader = builder.with_batch_size(rows).with_projection(mask).build();
                Reader::Parquet(Box::new(reader.map_err(|error| error.to_string())?))
            }
            Form::File(file) => {
                let file = BufReader::with_capacity(1 << 18, again(file)?);
                Reader::File(Box::new(FileReader::try_new(file, Some(columns.to_vec())).map_err(words)?))
            }
            // The schema was read of the stream, so the choice comes too late for the reader.
            Form::Stream(first, file) => {
                let reader = match (first.take(), file) {
                    (Some(reader), _) => reader,
                    (None, Some(file)) => {
                        let mut file = again(file)?;
                        file.rewind().map_err(|error| error.to_string())?;
                        stream(Some(file)).map_err(words)?
                    }
                    (None, None) => return Err("it can be read only once".to_owned()),
                };
                Reader::Stream(reader, columns.to_vec())
            }
        })
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
    form: Form,
    /// The columns of the file that the batches have.
    columns: Vec<usize>,
    reader: Reader,
    schema: SchemaRef,
    /// Of the columns of the batches, those that are read now; all if there are none. In the others nothing is there.
    only: Option<Vec<usize>>,
    /// What is left of a large batch.
    rest: Option<RecordBatch>,
    row: u64,
    batches: u64,
}

enum Reader {
    Parquet(Box<ParquetRecordBatchReader>),
    File(Box<FileReader<BufReader<File>>>),
    /// The columns that are wanted of each batch.
    Stream(Stream, Vec<usize>),
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
            Reader::Stream(reader, columns) => {
                reader.next().map(|batch| batch.and_then(|batch| batch.project(columns)))
            }
        };
        let Some(only) = &self.only else { return batch };
        batch.map(|batch| batch.and_then(|batch| widened(&batch, &self.schema, only)))
    }
}

/// A batch with all columns, of which it has these.
fn widened(batch: &RecordBatch, schema: &SchemaRef, only: &[usize]) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let column = |(at, field): (usize, &Arc<Field>)| match only.iter().position(|&column| column == at) {
        Some(place) => batch.column(place).clone(),
        None => new_null_array(field.data_type(), rows),
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
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
            Reader::File(_) | Reader::Stream(..) => self.batches,
        };
        Ok(Some(Piece { batch, passed: None, places, misfits: Vec::new(), done }))
    }

    fn is_repeatable(&self) -> bool {
        !matches!(self.form, Form::Stream(_, None))
    }

    fn again(&mut self, used: Option<&[usize]>) -> Result<(), Failure> {
        let columns: Vec<usize> = match used {
            Some(used) => used.iter().map(|&column| self.columns[column]).collect(),
            None => self.columns.clone(),
        };
        self.reader = self.form.guarded_reader(&self.name, &columns)?;
        self.only = used.map(<[usize]>::to_vec);
        (self.rest, self.row, self.batches) = (None, 0, 0);
        Ok(())
    }
}
