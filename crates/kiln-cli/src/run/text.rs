//! Batches as the text of a CSV file.
//!
//! Owns how each type of Arrow is written in a cell. The one idea: numbers are written as formulas write theirs, the
//! shortest text that reads back as the same value; dates and times as ISO 8601, with zones that have names in UTC; what is
//! missing as nothing. What a cell cannot hold (lists, structs, bytes) is refused before the first row is written.

use super::sink::decode;
use crate::eval::clean;
use crate::report::Failure;
use arrow_array::cast::AsArray as _;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, SchemaRef, TimeUnit};
use kiln::Value;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

/// Can all columns be written?
pub(crate) fn check(schema: &SchemaRef) -> Result<(), Failure> {
    for field in schema.fields() {
        let mut ty = field.data_type();
        if let DataType::Dictionary(_, values) = ty {
            ty = values;
        }
        let bytes = matches!(
            ty,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        );
        let what = if bytes { "bytes" } else { "lists or structs" };
        if ty.is_nested() || bytes {
            let message = format!("the column `{}` holds {what}, which a CSV file cannot", clean(field.name()));
            let help = "--select leaves columns out; -o with .parquet or .arrow keeps them";
            return Err(Failure::input(message).help(help));
        }
    }
    Ok(())
}

/// Writes batches as lines.
pub(crate) struct Writer<'a> {
    writer: csv::Writer<Box<dyn Write + 'a>>,
    scratch: String,
}

impl<'a> Writer<'a> {
    /// Writes the header line.
    pub(crate) fn open(
        target: Box<dyn Write + 'a>,
        delimiter: u8,
        crlf: bool,
        schema: &SchemaRef,
    ) -> Result<Writer<'a>, Failure> {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(target);
        writer.write_record(schema.fields().iter().map(|field| field.name())).map_err(failure)?;
        Ok(Writer { writer, scratch: String::new() })
    }

    /// Writes a line for each row.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let refused = |error: ArrowError| Failure::input(format!("cannot write: {error}"));
        let columns = batch.columns().iter().map(plain).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let columns = columns.iter().map(Cells::new).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        for row in 0..batch.num_rows() {
            for column in &columns {
                let cell = column.write(row, &mut self.scratch).map_err(refused)?;
                self.writer.write_field(cell).map_err(failure)?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(failure)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        Ok(self.writer.flush()?)
    }
}

fn failure(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => Failure::input(format!("cannot write: {other:?}")),
    }
}

/// The array in a form that can be written: without dictionaries, and with zones that need no table of zones.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let array = decode(array)?;
    let DataType::Timestamp(unit, Some(zone)) = array.data_type() else { return Ok(array) };
    if zone.starts_with(['+', '-']) {
        return Ok(array);
    }
    let utc: Arc<str> = "+00:00".into();
    Ok(match unit {
        TimeUnit::Second => Arc::new(array.as_primitive::<TimestampSecondType>().clone().with_timezone(utc)),
        TimeUnit::Millisecond => Arc::new(array.as_primitive::<TimestampMillisecondType>().clone().with_timezone(utc)),
        TimeUnit::Microsecond => Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone(utc)),
        TimeUnit::Nanosecond => Arc::new(array.as_primitive::<TimestampNanosecondType>().clone().with_timezone(utc)),
    })
}

/// A column whose cells are written.
struct Cells<'a> {
    array: &'a dyn Array,
    form: Form<'a>,
}

enum Form<'a> {
    F64(&'a [f64]),
    F32(&'a [f32]),
    F16(&'a arrow_array::Float16Array),
    I64(&'a [i64]),
    I32(&'a [i32]),
    Utf8(&'a arrow_array::StringArray),
    LargeUtf8(&'a arrow_array::LargeStringArray),
    Utf8View(&'a arrow_array::StringViewArray),
    Other(Box<ArrayFormatter<'a>>),
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef) -> Result<Cells<'a>, ArrowError> {
        const OPTIONS: FormatOptions = FormatOptions::new();
        let form = match array.data_type() {
            DataType::Float64 => Form::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Float32 => Form::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float16 => Form::F16(array.as_primitive::<Float16Type>()),
            DataType::Int64 => Form::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Int32 => Form::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Utf8 => Form::Utf8(array.as_string()),
            DataType::LargeUtf8 => Form::LargeUtf8(array.as_string()),
            DataType::Utf8View => Form::Utf8View(array.as_string_view()),
            _ => Form::Other(Box::new(ArrayFormatter::try_new(array.as_ref(), &OPTIONS)?)),
        };
        Ok(Cells { array: array.as_ref(), form })
    }

    /// The text of a cell, in `scratch` if it has to be made.
    fn write<'s>(&self, row: usize, scratch: &'s mut String) -> Result<&'s str, ArrowError>
    where
        'a: 's,
    {
        scratch.clear();
        if self.array.is_null(row) {
            return Ok("");
        }
        let value = match &self.form {
            Form::F64(values) => Value::F64(values[row]),
            Form::F32(values) => Value::F32(values[row]),
            Form::F16(values) => Value::F32(values.value(row).to_f32()),
            Form::I64(values) => Value::I64(values[row]),
            Form::I32(values) => Value::I32(values[row]),
            Form::Utf8(values) => return Ok(values.value(row)),
            Form::LargeUtf8(values) => return Ok(values.value(row)),
            Form::Utf8View(values) => return Ok(values.value(row)),
            Form::Other(formatter) => {
                formatter.value(row).write(scratch)?;
                return Ok(scratch);
            }
        };
        // Writing to a String cannot fail.
        let _ = write!(scratch, "{value}");
        Ok(scratch)
    }
}
