//! Formulas over Arrow record batches, compiled to machine code.
//!
//! A [`Program`] is a list of new columns and a filter, compiled once against a schema and run on batch after batch:
//!
//! ```
//! use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, cast::AsArray as _, types::Float64Type};
//! use std::sync::Arc;
//!
//! let name: ArrayRef = Arc::new(StringArray::from(vec!["ann", "bob", "cem"]));
//! let price: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.5), None, Some(4.0)]));
//! let batch = RecordBatch::try_from_iter([("name", name), ("price", price)])?;
//!
//! let engine = kiln::Engine::new();
//! let program = kiln_arrow::Program::builder(&engine)
//!     .column("gross", "price * 1.2")
//!     .filter("price > 3")
//!     .build(&batch.schema())?;
//! let out = program.run(&batch)?;
//! assert_eq!(out.num_rows(), 1);
//! assert_eq!(out["gross"].as_primitive::<Float64Type>().value(0), 4.8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The one idea: an array is read where it lies. Arrays of `f64`, `f32`, `i64` and `i32`, whole or sliced, are seen as
//! they are, and so are dates and times, as the ints that they are stored as; narrower numbers are widened, bits become
//! bools; [`type_of`] has the table. What formulas cannot compute with passes through unread.
//!
//! Nulls are those of the language: null in, null out, but `false and null` is false, `true or null` is true, `isnull`
//! and `coalesce` look at them, aggregates leave them out, and a filter keeps rows that are true. What lies under a null
//! never causes an error. A formula with loops or variables is one operation: null where an input is that it uses.
//!
//! Aggregates over rows (`x - mean(x)`) need all batches before the first result: [`Program::start`] has the order of the
//! work.
//!
//! The parts: `read` from arrays to values, `program` from texts to functions, `formula` what runs one, with nulls and without,
//! `passes` which has its turn when, `evaluate` from batch to batch, `reading` all batches as often as they are needed,
//! `aggregates` from all batches to one row, `error`.
//! Files are not its business. Types of Arrow are those of the `arrow-*` crates, which `arrow` exports too.
#![forbid(unsafe_code)]

mod aggregates;
mod error;
mod evaluate;
mod formula;
mod names;
mod passes;
mod program;
mod read;
mod reading;

pub use aggregates::{Aggregates, Totals};
pub use arrow_array;
pub use arrow_schema;
pub use error::{Error, Part, RunError, Wrong};
pub use evaluate::Evaluated;
pub use kiln;
pub use names::mention;
pub use program::{Builder, Program, Target};
pub use read::{ReadError, Rows, read, type_of};
pub use reading::{Feed, Pass, Reading};
