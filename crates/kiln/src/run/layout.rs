//! Where the rows of a column lie, and which columns get in each other's way.
//!
//! The one idea: a [`Place`] is made from a view alone, so it carries the view's promise that its rows are there; from then
//! on it is a few numbers, and the questions about them are arithmetic. Nothing here reads or writes a row. Knows no
//! formula and no engine.

use super::view::{Column, ColumnMut, bytes_of};
use crate::types::Type;
use std::marker::PhantomData;

/// The rows of one column, which are there as long as `'a`.
///
/// No two words that stand side by side in a view stand side by side here. Compilers copy such pairs by one wide load, and a
/// load of what two narrower stores have just written waits until they are in the cache: 7 ns for each column of a call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Place<'a> {
    start: *mut u8,
    /// How many there are; as many as are wanted for a constant.
    rows: usize,
    size: usize,
    stride: isize,
    ty: Type,
    /// May somebody else write to them, on this thread?
    shared: bool,
    owner: PhantomData<&'a ()>,
}

impl<'a> Place<'a> {
    /// No column; fills arrays.
    pub(crate) const NONE: Place<'static> = Place {
        start: std::ptr::null_mut(),
        stride: 0,
        rows: 0,
        size: 1,
        ty: Type::Bool,
        shared: false,
        owner: PhantomData,
    };

    /// Where an input lies. It must only be read through.
    pub(crate) fn of_input(column: Column<'a>) -> Place<'a> {
        Place {
            start: column.start().cast_mut(),
            stride: column.stride(),
            rows: column.rows().unwrap_or(usize::MAX),
            size: bytes_of(column.ty()),
            ty: column.ty(),
            shared: column.is_shared(),
            owner: PhantomData,
        }
    }

    /// Where an output lies.
    pub(crate) fn of_output(column: ColumnMut<'a>) -> Place<'a> {
        Place {
            start: column.start(),
            stride: column.stride(),
            rows: column.rows(),
            size: bytes_of(column.ty()),
            ty: column.ty(),
            shared: column.is_shared(),
            owner: PhantomData,
        }
    }

    /// The rows as an input.
    pub(crate) fn as_input(&self) -> Column<'a> {
        // SAFETY: the place was made from a view, which made the same promise. Without it, the tests of pieces in
        // tests/columns.rs would read other rows.
        let column = unsafe { Column::from_raw(self.ty, self.start, self.rows, self.stride) };
        if self.shared { column.shared() } else { column }
    }

    /// The rows as an output.
    ///
    /// # Safety
    /// The place was made from an output.
    pub(crate) unsafe fn as_output(&self) -> ColumnMut<'a> {
        // SAFETY: the view of that output made the same promise.
        let column = unsafe { ColumnMut::from_raw(self.ty, self.start, self.rows, self.stride) };
        if self.shared { column.shared() } else { column }
    }

    /// Rows of a type, one behind the other in these bytes.
    pub(crate) fn of_bytes(ty: Type, bytes: &'a mut [u8]) -> Place<'a> {
        let size = bytes_of(ty);
        let rows = bytes.len() / size;
        Place { start: bytes.as_mut_ptr(), stride: size as isize, rows, size, ty, ..Place::NONE }
    }

    /// How many rows there are.
    #[inline]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Is it a constant, with as many rows as are wanted?
    #[inline]
    pub(crate) fn is_endless(&self) -> bool {
        self.rows == usize::MAX
    }

    /// The type of the rows.
    #[inline]
    pub(crate) fn ty(&self) -> Type {
        self.ty
    }

    /// Bytes of a row.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bytes from a row to the next.
    #[inline]
    pub(crate) fn stride(&self) -> isize {
        self.stride
    }

    /// May somebody else write to the rows, on this thread?
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Does each row begin where the one before ends?
    #[inline]
    pub(crate) fn is_contiguous(&self) -> bool {
        self.stride == self.size as isize
    }

    /// Address of a row.
    #[inline]
    pub(crate) fn row(&self, row: usize) -> *mut u8 {
        self.start.wrapping_offset((row as isize).wrapping_mul(self.stride))
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub(crate) fn part(&self, first: usize, rows: usize) -> Place<'a> {
        assert!(first <= self.rows && rows <= self.rows - first);
        Place { start: self.row(first), rows: if self.is_endless() { self.rows } else { rows }, ..*self }
    }

    /// Has every row bytes of its own?
    pub(crate) fn rows_are_apart(&self, rows: usize) -> bool {
        rows <= 1 || self.stride.unsigned_abs() >= self.size
    }

    /// The first byte and the one behind the last; `rows` is not zero.
    fn range(&self, rows: usize) -> (usize, usize) {
        let (first, last) = (self.start.addr(), self.row(rows - 1).addr());
        (first.min(last), first.max(last) + self.size)
    }

    /// Do the first `rows` rows here have no byte in common with `other_rows` rows there?
    pub(crate) fn is_apart_from(&self, rows: usize, other: &Place<'_>, other_rows: usize) -> bool {
        if rows == 0 || other_rows == 0 {
            return true;
        }
        let ((from, to), (other_from, other_to)) = (self.range(rows), other.range(other_rows));
        if to <= other_from || other_to <= from {
            return true;
        }
        // Fields of the same records: rows step over one another for ever.
        let step = self.stride.unsigned_abs();
        if step == 0 || step != other.stride.unsigned_abs() {
            return false;
        }
        let offset = other.start.addr().wrapping_sub(self.start.addr()) as isize;
        let offset = offset.rem_euclid(step as isize) as usize;
        offset >= self.size && offset + other.size <= step
    }

    /// Is each row of `other` the same bytes as this one's, and no others?
    pub(crate) fn is_same(&self, other: &Place<'_>) -> bool {
        self.start == other.start && self.stride == other.stride && self.size == other.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of each row.
    fn bytes(place: &Place<'_>, rows: usize) -> Vec<std::ops::Range<usize>> {
        (0..rows).map(|row| place.row(row).addr()..place.row(row).addr() + place.size).collect()
    }

    #[test]
    fn what_is_said_to_be_apart_is_apart() {
        let mut apart = 0;
        for (size, other_size) in [(8, 8), (8, 4), (1, 4)] {
            for stride in [-24, -16, -9, -8, -3, 0, 1, 4, 8, 12, 16] {
                for other_stride in [-16, -8, 0, 4, 8, 12, 16, 24] {
                    for offset in -40isize..40 {
                        let at = |offset: isize| std::ptr::without_provenance_mut((1000 + offset) as usize);
                        let a = Place { start: at(0), stride, size, ..Place::NONE };
                        let b = Place { start: at(offset), stride: other_stride, size: other_size, ..Place::NONE };
                        let meet = bytes(&a, 4)
                            .iter()
                            .any(|x| bytes(&b, 3).iter().any(|y| x.start < y.end && y.start < x.end));
                        let said = a.is_apart_from(4, &b, 3);
                        assert!(!(said && meet), "{a:?} {b:?}");
                        apart += usize::from(said);
                    }
                }
            }
        }
        assert!(apart > 3000, "{apart}");
        let at = |offset: usize| std::ptr::without_provenance_mut(64 + offset);
        let record = |offset, size| Place { start: at(offset), stride: 16, size, ..Place::NONE };
        assert!(record(0, 8).is_apart_from(100, &record(8, 8), 100));
        assert!(!record(0, 8).is_apart_from(100, &record(4, 8), 100));
    }
}
