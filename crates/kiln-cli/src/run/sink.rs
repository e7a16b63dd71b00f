//! Where the rows go.
//!
//! Owns the forms of files that are written. Files are written beside their place, so that the output may be the
//! input, and a wrong row leaves the old file alone. The one idea: a writer takes batches of one schema and holds no more
//! than it must: CSV and Arrow a batch, Parquet a row group, which ends when it has enough rows or bytes.

use super::format::Format;
use super::text;
use crate::beside::{self, Beside};
use crate::eval::clean_message;
use crate::report::Failure;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::sync::Arc;

/// A row group of Parquet ends when it has so many rows, or about so many bytes in memory.
const GROUP_ROWS: usize = 1 << 20;
const GROUP_BYTES: usize = 64 << 20;

/// How pages of Parquet are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pressing {
    Snappy,
    Zstd,
    None,
}

impl From<Pressing> for Compression {
    fn from(pressing: Pressing) -> Compression {
        match pressing {
            Pressing::Snappy => Compression::SNAPPY,
            Pressing::Zstd => Compression::ZSTD(ZstdLevel::default()),
            Pressing::None => Compression::UNCOMPRESSED,
        }
    }
}

/// What the output is to look like.
pub(crate) struct Shape<'p> {
    pub(crate) path: Option<&'p Path>,
    pub(crate) format: Format,
    pub(crate) delimiter: u8,
    pub(crate) crlf: bool,
    pub(crate) compression: Option<Pressing>,
    /// Can the batches have different dictionaries for the same column?
    pub(crate) dictionaries_change: bool,
}

/// Writes batches.
pub(crate) struct Sink<'a> {
    form: Form<'a>,
    file: Option<Beside>,
    /// What is written, where that differs from what comes.
    decoded: Option<SchemaRef>,
}

enum Form<'a> {
    Csv(Box<text::Writer<'a>>),
    Parquet(Box<ArrowWriter<Box<dyn Write + Send>>>),
    File(Box<FileWriter<Box<dyn Write + Send>>>),
    Stream(Box<StreamWriter<Box<dyn Write + Send>>>),
}

impl<'a> Sink<'a> {
    /// Opens the output: a file, or `out` if there is none.
    pub(crate) fn open(shape: &Shape, schema: &SchemaRef, out: &'a mut dyn Write) -> Result<Sink<'a>, Failure> {
        let path = shape.path.filter(|path| *path != Path::new("-"));
        if shape.format == Format::Csv {
            text::check(schema)?;
            let (target, file): (Box<dyn Write + 'a>, _) = match path {
                Some(path) => {
                    let (target, file) = beside::open(path)?;
                    (target, file)
                }
                None => (Box::new(out), None),
            };
            let writer = text::Writer::open(target, shape.delimiter, shape.crlf, schema)?;
            return Ok(Sink { form: Form::Csv(Box::new(writer)), file, decoded: None });
        }
        let (target, file): (Box<dyn Write + Send>, _) = match path {
            Some(path) => beside::open(path)?,
            None if io::stdout().is_terminal() => {
                let message = "this format is not for terminals";
                return Err(Failure::usage(message).help("give a file with -o, or another --output-format"));
            }
            None => {
                // The writers want to be sent to threads, which a borrowed output does not.
                out.flush()?;
                (Box::new(io::BufWriter::with_capacity(1 << 18, io::stdout())), None)
            }
        };
        let decoded = (shape.format == Format::Arrow && shape.dictionaries_change).then(|| decoded(schema)).flatten();
        let written = decoded.as_ref().unwrap_or(schema);
        let form = match shape.format {
            Format::Arrow => Form::File(Box::new(FileWriter::try_new(target, written).map_err(failure)?)),
            Format::Arrows => Form::Stream(Box::new(StreamWriter::try_new(target, written).map_err(failure)?)),
            Format::Csv | Format::Parquet => Form::Parquet(Box::new(parquet_writer(target, written, shape)?)),
        };
        Ok(Sink { form, file, decoded })
    }

    /// Writes the rows of a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let decoded = match &self.decoded {
            Some(schema) => {
                let columns = batch.columns().iter().map(decode).collect::<Result<Vec<_>, _>>().map_err(failure)?;
                Some(RecordBatch::try_new(schema.clone(), columns).map_err(failure)?)
            }
            None => None,
        };
        let batch = decoded.as_ref().unwrap_or(batch);
        match &mut self.form {
            Form::Csv(writer) => writer.write(batch),
            Form::Parquet(writer) => {
                writer.write(batch).map_err(parquet_failure)?;
                if writer.in_progress_rows() >= GROUP_ROWS || writer.memory_size() >= GROUP_BYTES {
                    writer.flush().map_err(parquet_failure)?;
                }
                Ok(())
            }
            // A batch of nothing is of no use to a reader.
            Form::File(_) | Form::Stream(_) if batch.num_rows() == 0 => Ok(()),
            Form::File(writer) => writer.write(batch).map_err(failure),
            Form::Stream(writer) => writer.write(batch).map_err(failure),
        }
    }

    /// All went well: what was written is put in its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.form {
            Form::Csv(writer) => writer.finish()?,
            Form::Parquet(writer) => writer.into_inner().map_err(parquet_failure)?.flush()?,
            Form::File(writer) => writer.into_inner().map_err(failure)?.flush()?,
            Form::Stream(writer) => writer.into_inner().map_err(failure)?.flush()?,
        }
        self.file.map_or(Ok(()), Beside::finish)
    }
}

fn parquet_writer(
    target: Box<dyn Write + Send>,
    schema: &SchemaRef,
    shape: &Shape,
) -> Result<ArrowWriter<Box<dyn Write + Send>>, Failure> {
    let compression = shape.compression.unwrap_or(Pressing::Snappy);
    // Other readers look for what they know of the file among its own entries, not in the schema that Arrow keeps there.
    let entry = |(key, value): (&String, &String)| KeyValue::new(key.clone(), value.clone());
    let entries: Vec<KeyValue> =
        schema.metadata().iter().filter(|(key, _)| *key != "ARROW:schema").map(entry).collect();
    let properties = WriterProperties::builder()
        .set_compression(compression.into())
        .set_created_by(concat!("kiln ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(entries).filter(|entries| !entries.is_empty()))
        .build();
    ArrowWriter::try_new(target, schema.clone(), Some(properties)).map_err(parquet_failure)
}

/// The schema with values instead of dictionaries, if it has any: an Arrow file has one dictionary for each column.
fn decoded(schema: &SchemaRef) -> Option<SchemaRef> {
    let is_dictionary = |field: &Arc<Field>| matches!(field.data_type(), DataType::Dictionary(..));
    if !schema.fields().iter().any(is_dictionary) {
        return None;
    }
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => Arc::new(field.as_ref().clone().with_data_type(values.as_ref().clone())),
        _ => field.clone(),
    };
    let fields: Vec<Arc<Field>> = schema.fields().iter().map(field).collect();
    Some(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

/// The values of a dictionary; another array as it is.
pub(crate) fn decode(array: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            arrow_select::take::take(dictionary.values(), dictionary.keys(), None)
        }
        _ => Ok(array.clone()),
    }
}

/// What Arrow's writers say; what the system said to them is passed on as it is.
fn failure(error: arrow_schema::ArrowError) -> Failure {
    match error {
        arrow_schema::ArrowError::IoError(_, error) => error.into(),
        other => Failure::input(format!("cannot write: {}", clean_message(&other.to_string()))),
    }
}

fn parquet_failure(error: parquet::errors::ParquetError) -> Failure {
    match error {
        parquet::errors::ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => (*error).into(),
            Err(error) => Failure::input(format!("cannot write: {}", clean_message(&error.to_string()))),
        },
        other => Failure::input(format!("cannot write: {}", clean_message(&other.to_string()))),
    }
}
