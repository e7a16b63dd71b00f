//! Rows of a CSV file as batches.
//!
//! Owns the way from cells to columns. The one idea: a cell that is only passed from CSV to CSV stays the text that it
//! is; a cell that a formula wants, or a file with types, is read as its column's type; and one that cannot be read is
//! missing until somebody turns out to want it, so that the rows which a filter drops may hold anything.

use super::Header;
use super::piece::{Input, Misfit, Piece, Places};
use super::source::Source;
use super::types::{self, Column, Kind, Nulls};
use crate::eval::clean;
use crate::report::Failure;
use arrow_array::builder::{BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use csv::ByteRecord;
use kiln::{Type, Value};
use kiln_arrow::{Program, Target};
use std::sync::Arc;

/// So many rows are taken together, unless they have more bytes than this.
const ROWS: usize = 8192;
const BYTES: usize = 2 << 20;

/// The columns of the header as formulas see them: what cannot be computed with is text.
pub(crate) fn schema(header: &Header, columns: &[Column]) -> SchemaRef {
    let field = |(name, column): (&String, &Column)| {
        let data_type = match column.kind {
            Kind::Value(Type::F64) => DataType::Float64,
            Kind::Value(Type::F32) => DataType::Float32,
            Kind::Value(Type::I64) => DataType::Int64,
            Kind::Value(Type::I32) => DataType::Int32,
            Kind::Value(Type::Bool) => DataType::Boolean,
            Kind::Text { .. } | Kind::Ignored => DataType::Utf8,
        };
        Field::new(name, data_type, true)
    };
    Arc::new(Schema::new(header.names.iter().zip(columns).map(field).collect::<Vec<_>>()))
}

/// What is wanted of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing.
    Unused,
    /// Its values.
    Value,
    /// Its cells as they stand there.
    Cell,
    /// Both.
    Both,
}

/// Reads a CSV file by batches.
pub(crate) struct Cells<'a> {
    source: Source,
    header: &'a Header,
    columns: Vec<Column>,
    /// What is wanted when rows go out.
    roles: Vec<Role>,
    /// What is wanted now.
    now: Vec<Role>,
    nulls: Nulls<'a>,
    schema: SchemaRef,
    /// The schema of the cells as they stand there.
    texts: SchemaRef,
}

impl<'a> Cells<'a> {
    pub(crate) fn new(
        source: Source,
        header: &'a Header,
        columns: Vec<Column>,
        roles: Vec<Role>,
        nulls: Nulls<'a>,
    ) -> Cells<'a> {
        let schema = schema(header, &columns);
        let text = |(at, name): (usize, &String)| {
            // A header cell keeps the spaces around it.
            let cell = header.cells.get(at).map_or(name.clone(), |cell| String::from_utf8_lossy(cell).into_owned());
            Field::new(cell, DataType::Utf8, true)
        };
        let texts = Arc::new(Schema::new(header.names.iter().enumerate().map(text).collect::<Vec<_>>()));
        Cells { source, header, columns, now: roles.clone(), roles, nulls, schema, texts }
    }

    /// The schema of what goes out when cells pass through as they stand there.
    pub(crate) fn passed_schema(&self, program: &Program) -> SchemaRef {
        let field = |(target, field): (&Target, &Arc<Field>)| match *target {
            Target::Column(column) => self.texts.fields()[column].clone(),
            Target::New(_) => field.clone(),
        };
        let fields = program.layout().iter().zip(program.schema().fields()).map(field);
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// What is wrong with a cell, and what to do about it.
    fn misfit(&self, row: usize, column: usize, ty: Type, cell: &str, end: &str) -> Misfit {
        let message = format!("`{}` {end}", clean(cell));
        let help = if self.columns[column].guessed {
            let name = clean(&self.header.names[column]);
            format!("{ty} is what the first rows were; for instance --type '{name}=f64'")
        } else {
            format!("if it means a missing value: --null '{}'", clean(cell))
        };
        Misfit { row, column, message, help }
    }
}

impl Input for Cells<'_> {
    fn next(&mut self) -> Result<Option<Piece>, Failure> {
        let width = self.header.names.len();
        let mut values: Vec<Option<Builder>> = (0..width)
            .map(|column| match (self.now[column], &self.columns[column].kind) {
                (Role::Value | Role::Both, Kind::Value(ty)) => Some(Builder::new(*ty)),
                (Role::Value | Role::Both, _) => Some(Builder::Text(StringBuilder::new())),
                (Role::Unused | Role::Cell, _) => None,
            })
            .collect();
        let is_cell = |column: &usize| matches!(self.now[*column], Role::Cell | Role::Both);
        let mut cells: Vec<Option<StringBuilder>> =
            (0..width).map(|column| is_cell(&column).then(StringBuilder::new)).collect();
        let (mut lines, mut misfits, mut bytes, mut done) = (Vec::new(), Vec::new(), 0, 0);
        while lines.len() < ROWS && bytes < BYTES {
            // The record is borrowed of the source, which messages do not need.
            let Some((line, record)) = self.source.next(self.header)? else { break };
            let record: &ByteRecord = record;
            bytes += record.as_slice().len();
            done = record.position().map_or(0, csv::Position::byte);
            let mut wrong = Vec::new();
            for column in 0..width {
                let cell = &record[column];
                if let Some(builder) = &mut cells[column] {
                    builder.append_value(raw(cell));
                }
                if let Some(builder) = &mut values[column]
                    && let Err(found) = builder.read(cell, &self.nulls)
                {
                    wrong.push((column, found, types::text(cell).to_owned()));
                }
            }
            for (column, (ty, end), cell) in wrong {
                misfits.push(self.misfit(lines.len(), column, ty, &cell, &end));
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let rows = lines.len();
        let finish = |builder: Option<Builder>, field: &Arc<Field>| match builder {
            Some(builder) => builder.finish(),
            None => new_null_array(field.data_type(), rows),
        };
        let columns = values.into_iter().zip(self.schema.fields()).map(|(builder, field)| finish(builder, field));
        let batch = batch(&self.schema, columns.collect(), rows)?;
        let finish = |builder: Option<StringBuilder>| match builder {
            Some(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            None => new_null_array(&DataType::Utf8, rows),
        };
        let passed = if cells.iter().any(Option::is_some) {
            Some(self::batch(&self.texts, cells.into_iter().map(finish).collect(), rows)?)
        } else {
            None
        };
        Ok(Some(Piece { batch, passed, places: Places::Lines(lines), misfits, done }))
    }

    fn is_repeatable(&self) -> bool {
        self.source.is_repeatable()
    }

    fn again(&mut self, used: Option<&[usize]>) -> Result<(), Failure> {
        let role = |column: usize| match used {
            None => self.roles[column],
            Some(used) if used.contains(&column) => Role::Value,
            Some(_) => Role::Unused,
        };
        self.now = (0..self.roles.len()).map(role).collect();
        self.source.rewind()
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Failure> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Failure::input(error.to_string()))
}

/// A cell as it stands in the file, which was checked to be UTF-8 where it was read.
fn raw(cell: &[u8]) -> &str {
    std::str::from_utf8(cell).unwrap_or("\u{fffd}")
}

/// A column while it is read.
enum Builder {
    F64(Float64Builder),
    F32(Float32Builder),
    I64(Int64Builder),
    I32(Int32Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
}

impl Builder {
    fn new(ty: Type) -> Builder {
        match ty {
            Type::F64 => Builder::F64(Float64Builder::new()),
            Type::F32 => Builder::F32(Float32Builder::new()),
            Type::I64 => Builder::I64(Int64Builder::new()),
            Type::I32 => Builder::I32(Int32Builder::new()),
            Type::Bool => Builder::Bool(BooleanBuilder::new()),
        }
    }

    /// Reads a cell; what cannot be read is missing, and the type and the end of a sentence about it are the error.
    fn read(&mut self, cell: &[u8], nulls: &Nulls) -> Result<(), (Type, String)> {
        let text = types::text(cell);
        if let Builder::Text(builder) = self {
            builder.append_option(Some(raw(cell)).filter(|_| !nulls.is_null(text)));
            return Ok(());
        }
        let ty = self.ty();
        let (value, result) = match types::read(text, ty, nulls) {
            Ok(value) => (value, Ok(())),
            Err(end) => (None, Err((ty, end))),
        };
        match (self, value) {
            (Builder::F64(builder), Some(Value::F64(value))) => builder.append_value(value),
            (Builder::F32(builder), Some(Value::F32(value))) => builder.append_value(value),
            (Builder::I64(builder), Some(Value::I64(value))) => builder.append_value(value),
            (Builder::I32(builder), Some(Value::I32(value))) => builder.append_value(value),
            (Builder::Bool(builder), Some(Value::Bool(value))) => builder.append_value(value),
            (Builder::F64(builder), _) => builder.append_null(),
            (Builder::F32(builder), _) => builder.append_null(),
            (Builder::I64(builder), _) => builder.append_null(),
            (Builder::I32(builder), _) => builder.append_null(),
            (Builder::Bool(builder), _) => builder.append_null(),
            (Builder::Text(builder), _) => builder.append_null(),
        }
        result
    }

    fn ty(&self) -> Type {
        match self {
            Builder::F64(_) | Builder::Text(_) => Type::F64,
            Builder::F32(_) => Type::F32,
            Builder::I64(_) => Type::I64,
            Builder::I32(_) => Type::I32,
            Builder::Bool(_) => Type::Bool,
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::F64(mut builder) => Arc::new(builder.finish()),
            Builder::F32(mut builder) => Arc::new(builder.finish()),
            Builder::I64(mut builder) => Arc::new(builder.finish()),
            Builder::I32(mut builder) => Arc::new(builder.finish()),
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}
