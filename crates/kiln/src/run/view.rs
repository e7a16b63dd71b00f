//! Columns of rows that somebody else owns: where they lie, of what type they are and how far apart.
//!
//! The one idea: a [`Column`] is a promise about memory that is made once, by whoever makes the view. Slices make it by
//! their type; raw parts make it by an `unsafe` call. From there on, code that runs over rows needs the type, the first
//! address, the stride and the number of rows, and nothing else. A view knows no formula.

use super::typed::Scalar;
use crate::types::{Type, Value};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// Rows to read, of one type, a fixed number of bytes apart.
///
/// Made from a slice, from a single value (which then stands in every row), or from raw parts. Rows need not be
/// aligned, and may be any number of bytes apart, forwards or backwards.
///
/// The order of the fields is one that suits `Place`, which says why.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Column<'a> {
    start: *const u8,
    stride: isize,
    rows: usize,
    ty: Type,
    shared: bool,
    owner: PhantomData<&'a [u8]>,
}

/// Rows to write, of one type, a fixed number of bytes apart.
///
/// The order of the fields is that of [`Column`].
#[repr(C)]
pub struct ColumnMut<'a> {
    start: *mut u8,
    stride: isize,
    rows: usize,
    ty: Type,
    shared: bool,
    owner: PhantomData<&'a mut [u8]>,
}

/// As many rows as the other columns have.
const ANY: usize = usize::MAX;

/// Bytes of a value in a column: a `bool` has one.
pub(crate) const fn bytes_of(ty: Type) -> usize {
    match ty {
        Type::Bool => 1,
        Type::I32 | Type::F32 => 4,
        Type::I64 | Type::F64 => 8,
    }
}

impl<'a> Column<'a> {
    /// The rows of a slice.
    #[must_use]
    pub fn new<T: Scalar>(rows: &'a [T]) -> Column<'a> {
        let start = rows.as_ptr().cast();
        Column {
            ty: T::TYPE,
            start,
            rows: rows.len(),
            stride: size_of::<T>() as isize,
            shared: false,
            owner: PhantomData,
        }
    }

    /// The same value in as many rows as the other columns have.
    #[must_use]
    pub fn constant<T: Scalar>(value: &'a T) -> Column<'a> {
        Column {
            ty: T::TYPE,
            start: std::ptr::from_ref(value).cast(),
            rows: ANY,
            stride: 0,
            shared: false,
            owner: PhantomData,
        }
    }

    /// Rows in cells, which an output may share: then a formula is evaluated in place. Calls with cells take one thread.
    #[must_use]
    pub fn from_cells<T: Scalar>(rows: &'a [Cell<T>]) -> Column<'a> {
        let start = rows.as_ptr().cast();
        Column {
            ty: T::TYPE,
            start,
            rows: rows.len(),
            stride: size_of::<T>() as isize,
            shared: true,
            owner: PhantomData,
        }
    }

    /// Rows from raw parts: row `i` of `rows` stands `i * stride` bytes from `start`.
    ///
    /// # Safety
    /// For `'a`, each row must be readable and a valid value of type `ty` (a `bool` is one byte, 0 or 1), and nothing
    /// may write to it, unless it is an output of the same call that is in exactly the same place.
    #[must_use]
    pub unsafe fn from_raw(ty: Type, start: *const u8, rows: usize, stride: isize) -> Column<'a> {
        Column { ty, start, rows, stride, shared: false, owner: PhantomData }
    }

    /// Every `step`-th row, from the first on.
    ///
    /// # Panics
    /// If `step` is 0.
    #[must_use]
    pub fn step_by(self, step: usize) -> Column<'a> {
        assert!(step > 0, "a step of 0 rows");
        let rows = if self.rows == ANY { ANY } else { self.rows.div_ceil(step) };
        Column { rows, stride: self.stride.wrapping_mul(step as isize), ..self }
    }

    /// The last row first. A constant stays as it is.
    #[must_use]
    pub fn reversed(self) -> Column<'a> {
        if self.rows == ANY || self.rows == 0 {
            return self;
        }
        let start = self.start.wrapping_offset((self.rows - 1) as isize * self.stride);
        Column { start, stride: -self.stride, ..self }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// If there are fewer rows.
    #[must_use]
    pub fn slice(self, rows: std::ops::Range<usize>) -> Column<'a> {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        if self.rows == ANY {
            return self;
        }
        let start = self.start.wrapping_offset(rows.start as isize * self.stride);
        Column { start, rows: rows.len(), ..self }
    }

    /// The type of the rows.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// How many rows; `None` for a constant, which has as many as are asked for.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        Some(self.rows).filter(|&rows| rows != ANY)
    }

    /// Bytes from a row to the next.
    #[must_use]
    pub fn stride(&self) -> isize {
        self.stride
    }

    /// Address of the first row.
    pub(crate) fn start(&self) -> *const u8 {
        self.start
    }

    /// Are the rows cells, to which others on this thread may write?
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// The same rows as cells.
    pub(crate) fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// The value in a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Value {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let at = self.start.wrapping_offset(row as isize * self.stride);
        let mut word = [0u8; 8];
        // SAFETY: whoever made the view promised that every row is readable for as many bytes as its type has, which
        // are at most eight. The guard-page tests of tests/columns.rs read last rows of pages.
        unsafe { std::ptr::copy_nonoverlapping(at, word.as_mut_ptr(), bytes_of(self.ty)) };
        Value::from_bits(self.ty, u64::from_le_bytes(word))
    }
}

impl<'a> ColumnMut<'a> {
    /// The rows of a slice.
    #[must_use]
    pub fn new<T: Scalar>(rows: &'a mut [T]) -> ColumnMut<'a> {
        let start = rows.as_mut_ptr().cast();
        ColumnMut {
            ty: T::TYPE,
            start,
            rows: rows.len(),
            stride: size_of::<T>() as isize,
            shared: false,
            owner: PhantomData,
        }
    }

    /// Rows in cells, which an input may share: then a formula is evaluated in place. Calls with cells take one thread.
    #[must_use]
    pub fn from_cells<T: Scalar>(rows: &'a [Cell<T>]) -> ColumnMut<'a> {
        let start = rows.as_ptr().cast_mut().cast();
        ColumnMut {
            ty: T::TYPE,
            start,
            rows: rows.len(),
            stride: size_of::<T>() as isize,
            shared: true,
            owner: PhantomData,
        }
    }

    /// Rows from raw parts: row `i` of `rows` stands `i * stride` bytes from `start`. With a stride of 0 the last row
    /// is what remains.
    ///
    /// # Safety
    /// For `'a`, each row must be writable for as many bytes as type `ty` has (a `bool`: one), and nothing else may read
    /// or write it, unless it is an input of the same call that is in exactly the same place.
    #[must_use]
    pub unsafe fn from_raw(ty: Type, start: *mut u8, rows: usize, stride: isize) -> ColumnMut<'a> {
        ColumnMut { ty, start, rows, stride, shared: false, owner: PhantomData }
    }

    /// The same view for a shorter time.
    #[must_use]
    pub fn reborrow(&mut self) -> ColumnMut<'_> {
        ColumnMut { owner: PhantomData, ..*self }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// If there are fewer rows.
    #[must_use]
    pub fn slice(self, rows: std::ops::Range<usize>) -> ColumnMut<'a> {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let start = self.start.wrapping_offset((rows.start as isize).wrapping_mul(self.stride));
        ColumnMut { start, rows: rows.len(), ..self }
    }

    /// Every `step`-th row, from the first on.
    ///
    /// # Panics
    /// If `step` is 0.
    #[must_use]
    pub fn step_by(self, step: usize) -> ColumnMut<'a> {
        assert!(step > 0, "a step of 0 rows");
        ColumnMut { rows: self.rows.div_ceil(step), stride: self.stride.wrapping_mul(step as isize), ..self }
    }

    /// The type of the rows.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes from a row to the next.
    #[must_use]
    pub fn stride(&self) -> isize {
        self.stride
    }

    /// Address of the first row.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }

    /// Are the rows cells, to which others on this thread may write?
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// The same rows as cells.
    pub(crate) fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// Writes a row.
    ///
    /// # Panics
    /// If there is no such row, or the value is of another type.
    pub fn set(&mut self, row: usize, value: Value) {
        assert!(row < self.rows && value.ty() == self.ty, "row {row} of {}, {} for {}", self.rows, value.ty(), self.ty);
        let at = self.start.wrapping_offset(row as isize * self.stride);
        let word = value.to_bits().to_le_bytes();
        // SAFETY: whoever made the view promised that every row is writable for as many bytes as its type has, which
        // are at most eight. The canary tests of tests/columns.rs look at what surrounds the rows.
        unsafe { std::ptr::copy_nonoverlapping(word.as_ptr(), at, bytes_of(self.ty)) };
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Column");
        debug.field("ty", &self.ty).field("rows", &self.rows()).field("stride", &self.stride).finish()
    }
}

impl fmt::Debug for ColumnMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ColumnMut");
        debug.field("ty", &self.ty).field("rows", &self.rows).field("stride", &self.stride).finish()
    }
}

/// What can be an input of a formula over columns: vectors, arrays and slices of scalars, and single scalars, which then
/// stand in every row.
pub trait AsColumn {
    /// The rows.
    fn as_column(&self) -> Column<'_>;
}

/// What can be an output of a formula over columns: vectors, arrays and slices of scalars.
pub trait AsColumnMut {
    /// The rows.
    fn as_column_mut(&mut self) -> ColumnMut<'_>;
}

impl AsColumn for Column<'_> {
    fn as_column(&self) -> Column<'_> {
        *self
    }
}

impl AsColumnMut for ColumnMut<'_> {
    fn as_column_mut(&mut self) -> ColumnMut<'_> {
        self.reborrow()
    }
}

macro_rules! columns {
    ($([$($generics:tt)*] $container:ty;)+) => {$(
        impl<T: Scalar, $($generics)*> AsColumn for $container {
            fn as_column(&self) -> Column<'_> {
                Column::new(self)
            }
        }
        impl<T: Scalar, $($generics)*> AsColumnMut for $container {
            fn as_column_mut(&mut self) -> ColumnMut<'_> {
                ColumnMut::new(self)
            }
        }
    )+};
}
columns! {
    [] Vec<T>;
    [] Box<[T]>;
    [const N: usize] [T; N];
}

impl<T: Scalar> AsColumn for &[T] {
    fn as_column(&self) -> Column<'_> {
        Column::new(self)
    }
}

impl<T: Scalar> AsColumn for &mut [T] {
    fn as_column(&self) -> Column<'_> {
        Column::new(self)
    }
}

impl<T: Scalar> AsColumnMut for &mut [T] {
    fn as_column_mut(&mut self) -> ColumnMut<'_> {
        ColumnMut::new(self)
    }
}

macro_rules! constants {
    ($($native:ty),+) => {$(
        impl AsColumn for $native {
            fn as_column(&self) -> Column<'_> {
                Column::constant(self)
            }
        }
    )+};
}
constants!(bool, i32, i64, f32, f64);
