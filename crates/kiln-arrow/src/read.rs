//! Arrays as columns of values.
//!
//! Owns the table of which Arrow type is read as which type of formulas, and the reading. The one idea: what has the
//! layout of a column already is shared and never copied; the rest is converted, and a conversion that could lose
//! something happens only on request or is checked row by row. What stands under a null is never looked at with
//! suspicion: it may be anything.
//!
//! To add a type: its row in [`type_of`] and, unless it is laid out like the type it is read as, its arm in [`read`].

use arrow_array::cast::AsArray as _;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};
use kiln::{AsColumn, Column, Type};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// As which type formulas see the values of an array; `None` for what they cannot compute with.
///
/// | Arrow | formula | copied |
/// |---|---|---|
/// | `Float64`, `Float32`, `Int64`, `Int32` | the same | no |
/// | `Date32`, `Time32` | `i32`: days, or units since midnight | no |
/// | `Date64`, `Time64`, `Timestamp`, `Duration` | `i64`: units of the type since midnight or 1970 | no |
/// | `Int8`, `Int16`, `UInt8`, `UInt16` | `i32` | yes |
/// | `UInt32` | `i64` | yes |
/// | `UInt64` | `i64`; a value that does not fit is an error | yes |
/// | `Float16` | `f32` | yes |
/// | `Boolean` | `bool` | yes |
/// | `Dictionary` of these | as its values | yes |
/// | `Null` | `f64`, all null | yes |
#[must_use]
pub fn type_of(data_type: &DataType) -> Option<Type> {
    match data_type {
        DataType::Boolean => Some(Type::Bool),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Some(Type::I32),
        DataType::Date32 | DataType::Time32(_) => Some(Type::I32),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Some(Type::I64),
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => Some(Type::I64),
        DataType::Float16 | DataType::Float32 => Some(Type::F32),
        DataType::Float64 | DataType::Null => Some(Type::F64),
        DataType::Dictionary(_, values) => type_of(values),
        _ => None,
    }
}

/// Can an array of this type be read as `ty`: as [`type_of`] says, or on request as something wider? Every number can be
/// read as `f64`, decimals too, and every int as `i64`.
pub(crate) fn can_read(data_type: &DataType, ty: Type) -> bool {
    let data_type = if let DataType::Dictionary(_, values) = data_type { values } else { data_type };
    match type_of(data_type) {
        Some(natural) => {
            natural == ty || (natural != Type::Bool && ty == Type::F64) || (natural == Type::I32 && ty == Type::I64)
        }
        None => is_decimal(data_type) && ty == Type::F64,
    }
}

/// Is it a decimal of some width?
pub(crate) fn is_decimal(data_type: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    matches!(data_type, Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..))
}

/// Why an array cannot be read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReadError {
    /// Arrays of this type cannot be read as this type of formulas.
    Type {
        /// The type of the array.
        data_type: DataType,
        /// What was asked for.
        wanted: Type,
    },
    /// A value does not fit.
    Value {
        /// The row, from 0.
        row: usize,
        /// The value as text.
        value: String,
        /// The type that does not hold it.
        wanted: Type,
    },
    /// The array contradicts itself: a dictionary whose keys lead nowhere.
    Array(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Type { data_type, wanted } => write!(f, "{data_type} cannot be read as {wanted}"),
            ReadError::Value { row, value, wanted } => write!(f, "row {row}: {value} does not fit {wanted}"),
            ReadError::Array(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ReadError {}

/// The values of an array in the layout that formulas take, and which of them are there.
#[derive(Clone, Debug)]
pub struct Rows {
    values: Values,
    nulls: Option<NullBuffer>,
    /// The same as bools, once somebody asked.
    there: OnceLock<Vec<bool>>,
}

#[derive(Clone, Debug)]
enum Values {
    F64(ScalarBuffer<f64>),
    F32(ScalarBuffer<f32>),
    I64(ScalarBuffer<i64>),
    I32(ScalarBuffer<i32>),
    Bool(Vec<bool>),
}

/// Does the same with the values of each type.
macro_rules! each {
    ($values:expr, $name:ident => $body:expr) => {
        match $values {
            Values::F64($name) => $body,
            Values::F32($name) => $body,
            Values::I64($name) => $body,
            Values::I32($name) => $body,
            Values::Bool($name) => $body,
        }
    };
}

impl Rows {
    fn new(values: Values, nulls: Option<NullBuffer>) -> Rows {
        Rows { values, nulls, there: OnceLock::new() }
    }

    /// How many rows there are, null or not.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(&self.values, values => values.len())
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which rows are there; `None` if all are.
    #[must_use]
    pub fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// For each row whether it is there, as formulas take it.
    pub(crate) fn there(&self) -> &[bool] {
        self.there.get_or_init(|| match &self.nulls {
            None => vec![true; self.len()],
            Some(nulls) => nulls.iter().collect(),
        })
    }

    /// A copy of some of the rows, without their nulls.
    pub(crate) fn gather(&self, ranges: &[Range<usize>]) -> Rows {
        fn copy<T: Copy>(values: &[T], ranges: &[Range<usize>]) -> Vec<T> {
            let mut copy = Vec::with_capacity(ranges.iter().map(ExactSizeIterator::len).sum());
            ranges.iter().for_each(|range| copy.extend_from_slice(&values[range.clone()]));
            copy
        }
        let values = match &self.values {
            Values::F64(values) => Values::F64(copy(values, ranges).into()),
            Values::F32(values) => Values::F32(copy(values, ranges).into()),
            Values::I64(values) => Values::I64(copy(values, ranges).into()),
            Values::I32(values) => Values::I32(copy(values, ranges).into()),
            Values::Bool(values) => Values::Bool(copy(values, ranges)),
        };
        Rows::new(values, None)
    }
}

impl AsColumn for Rows {
    /// All rows; what stands in those that are null may be anything.
    fn as_column(&self) -> Column<'_> {
        each!(&self.values, values => Column::new(values))
    }
}

/// Reads an array as values of type `ty`: the one that [`type_of`] says, or a wider one: every number can be read as
/// `f64`, which rounds, every int as `i64`. Decimals are read as `f64` alone.
///
/// ```
/// use arrow_array::{ArrayRef, Float64Array};
/// let array: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
/// let rows = kiln_arrow::read(&array.slice(1, 2), kiln::Type::F64)?;
/// let mut out = vec![0.0; 2];
/// kiln::Engine::new().compile("10 * x")?.eval_columns(&[&rows], &mut out)?;
/// assert_eq!(out, [20.0, 30.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Another type, or a `u64` that does not fit.
pub fn read(array: &dyn Array, ty: Type) -> Result<Rows, ReadError> {
    let data_type = array.data_type();
    if !can_read(data_type, ty) {
        return Err(ReadError::Type { data_type: data_type.clone(), wanted: ty });
    }
    if let DataType::Dictionary(..) = data_type {
        return read(&decode(array)?, ty);
    }
    if let DataType::Null = data_type {
        let nulls = Some(NullBuffer::new_null(array.len()));
        return Ok(Rows::new(Values::F64(vec![0.0; array.len()].into()), nulls));
    }
    let values = match ty {
        Type::Bool => Values::Bool(array.as_boolean().values().iter().collect()),
        Type::I32 => Values::I32(ints32(array)),
        Type::I64 => Values::I64(ints64(array)?),
        Type::F32 => Values::F32(floats32(array)),
        Type::F64 => Values::F64(floats64(array)?),
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
    Ok(Rows::new(values, nulls))
}

/// The values of a dictionary, a row each.
fn decode(array: &dyn Array) -> Result<ArrayRef, ReadError> {
    let dictionary = array.as_any_dictionary();
    arrow_select::take::take(dictionary.values(), dictionary.keys(), None)
        .map_err(|error| ReadError::Array(error.to_string()))
}

/// The values of an array, converted one by one.
fn map<T: ArrowPrimitiveType, V: arrow_buffer::ArrowNativeType>(
    array: &dyn Array,
    convert: impl Fn(T::Native) -> V,
) -> ScalarBuffer<V> {
    array.as_primitive::<T>().values().iter().map(|&value| convert(value)).collect()
}

/// The values of an array, shared.
fn share<T: ArrowPrimitiveType>(array: &dyn Array) -> ScalarBuffer<T::Native> {
    array.as_primitive::<T>().values().clone()
}

fn ints32(array: &dyn Array) -> ScalarBuffer<i32> {
    match array.data_type() {
        DataType::Int8 => map::<Int8Type, _>(array, i32::from),
        DataType::Int16 => map::<Int16Type, _>(array, i32::from),
        DataType::UInt8 => map::<UInt8Type, _>(array, i32::from),
        DataType::UInt16 => map::<UInt16Type, _>(array, i32::from),
        DataType::Date32 => share::<Date32Type>(array),
        DataType::Time32(TimeUnit::Second) => share::<Time32SecondType>(array),
        DataType::Time32(_) => share::<Time32MillisecondType>(array),
        _ => share::<Int32Type>(array),
    }
}

fn ints64(array: &dyn Array) -> Result<ScalarBuffer<i64>, ReadError> {
    use TimeUnit::{Microsecond, Millisecond, Second};
    Ok(match array.data_type() {
        DataType::Int64 => share::<Int64Type>(array),
        DataType::UInt32 => map::<UInt32Type, _>(array, i64::from),
        DataType::UInt64 => unsigned(array.as_primitive())?,
        DataType::Date64 => share::<Date64Type>(array),
        DataType::Time64(Microsecond) => share::<Time64MicrosecondType>(array),
        DataType::Time64(_) => share::<Time64NanosecondType>(array),
        DataType::Timestamp(Second, _) => share::<TimestampSecondType>(array),
        DataType::Timestamp(Millisecond, _) => share::<TimestampMillisecondType>(array),
        DataType::Timestamp(Microsecond, _) => share::<TimestampMicrosecondType>(array),
        DataType::Timestamp(..) => share::<TimestampNanosecondType>(array),
        DataType::Duration(Second) => share::<DurationSecondType>(array),
        DataType::Duration(Millisecond) => share::<DurationMillisecondType>(array),
        DataType::Duration(Microsecond) => share::<DurationMicrosecondType>(array),
        DataType::Duration(_) => share::<DurationNanosecondType>(array),
        _ => ints32(array).iter().map(|&value| i64::from(value)).collect(),
    })
}

/// Unsigned ints, each of which must fit if it is there.
fn unsigned(array: &PrimitiveArray<UInt64Type>) -> Result<ScalarBuffer<i64>, ReadError> {
    let values = array.values();
    let misfit = |(row, value): &(usize, &u64)| **value > i64::MAX as u64 && array.is_valid(*row);
    match values.iter().enumerate().find(misfit) {
        Some((row, value)) => Err(ReadError::Value { row, value: value.to_string(), wanted: Type::I64 }),
        None => Ok(values.iter().map(|&value| value as i64).collect()),
    }
}

fn floats32(array: &dyn Array) -> ScalarBuffer<f32> {
    match array.data_type() {
        DataType::Float16 => map::<Float16Type, _>(array, |value| value.to_f32()),
        _ => share::<Float32Type>(array),
    }
}

fn floats64(array: &dyn Array) -> Result<ScalarBuffer<f64>, ReadError> {
    Ok(match *array.data_type() {
        DataType::Float64 => share::<Float64Type>(array),
        DataType::Float32 | DataType::Float16 => floats32(array).iter().map(|&value| f64::from(value)).collect(),
        DataType::UInt64 => map::<UInt64Type, _>(array, |value| value as f64),
        DataType::Decimal32(_, scale) => map::<Decimal32Type, _>(array, |value| decimal(value.into(), scale)),
        DataType::Decimal64(_, scale) => map::<Decimal64Type, _>(array, |value| decimal(value.into(), scale)),
        DataType::Decimal128(_, scale) => map::<Decimal128Type, _>(array, |value| decimal(value, scale)),
        DataType::Decimal256(_, scale) => map::<Decimal256Type, _>(array, |value| match value.to_i128() {
            Some(value) => decimal(value, scale),
            None => parse(&value.to_string(), scale),
        }),
        _ => ints64(array)?.iter().map(|&value| value as f64).collect(),
    })
}

/// The float nearest to `value / 10^scale`.
fn decimal(value: i128, scale: i8) -> f64 {
    // Both sides of the division are exact, so its only rounding is the right one.
    if value.unsigned_abs() <= 1 << 53 && (0..=22).contains(&scale) {
        return value as f64 / 10f64.powi(scale.into());
    }
    parse(&value.to_string(), scale)
}

/// The same by way of text, which is read with one rounding.
fn parse(digits: &str, scale: i8) -> f64 {
    format!("{digits}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// Makes an array of bools.
pub(crate) fn bools(values: Vec<bool>, nulls: Option<NullBuffer>) -> BooleanArray {
    BooleanArray::new(values.into(), nulls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_once() {
        assert_eq!(decimal(1, 1), 0.1);
        assert_eq!(decimal(-123_456, 3), -123.456);
        assert_eq!(decimal(7, -2), 700.0);
        // The division of rounded parts gives another float here.
        assert_eq!(decimal(9_007_199_254_740_993_123, 25), "9007199254740993123e-25".parse().unwrap());
        assert_eq!(decimal(i128::MAX, 0), i128::MAX as f64);
        assert_eq!(decimal(1, 30), 1e-30);
        for (value, scale) in [(123_456_789, 22), (1 << 53, 22), (3, 22), (-(1 << 53), 17)] {
            assert_eq!(decimal(value, scale), parse(&value.to_string(), scale), "{value} {scale}");
        }
    }
}
