//! Rows on the move: between columns and buffers, one by one or many.
//!
//! Owns every read and write of a row that is not machine code's. A [`Place`] says where rows are and that they are; here
//! they are copied, byte by byte as far as types go, so any alignment and any stride will do. Rows are moved in
//! ascending order: where several are the same bytes, the last one stays. Knows no formula and no engine.

use super::layout::Place;

impl Place<'_> {
    /// The bits of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub(crate) fn load(&self, row: usize) -> u64 {
        assert!(row < self.rows());
        let mut word = [0u8; 8];
        // SAFETY: the place was made from a view, which promises that its rows can be read; there is such a row, and a
        // row has at most eight bytes. The guard-page tests of tests/columns.rs would die of one byte more.
        unsafe { copy_row(self.size(), self.row(row), word.as_mut_ptr()) };
        u64::from_le_bytes(word)
    }

    /// Sets the bits of a row of an output.
    ///
    /// # Safety
    /// The place was made from an output.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub(crate) unsafe fn store(&self, row: usize, bits: u64) {
        assert!(row < self.rows());
        let word = bits.to_le_bytes();
        // SAFETY: the caller vouches for an output, whose view promises that its rows can be written; there is such a row.
        // The canary tests of tests/columns.rs look at what surrounds the rows.
        unsafe { copy_row(self.size(), word.as_ptr(), self.row(row)) };
    }

    /// Copies rows to `to`, one behind the other.
    ///
    /// # Safety
    /// There are so many rows, `to` has as many bytes as they have, and the two do not overlap.
    #[inline]
    pub(crate) unsafe fn gather(&self, first: usize, rows: usize, to: *mut u8) {
        debug_assert!(first <= self.rows() && rows <= self.rows() - first);
        // SAFETY: the rows are there by the view's promise and the caller's word, which stands for the destination too.
        unsafe { move_rows(self.size(), self.row(first), self.stride(), to, self.size() as isize, rows) };
    }

    /// Copies rows of an output from `from`, where they stand one behind the other.
    ///
    /// # Safety
    /// The place was made from an output that has so many rows, `from` holds as many, and the two do not overlap.
    #[inline]
    pub(crate) unsafe fn scatter(&self, first: usize, rows: usize, from: *const u8) {
        debug_assert!(first <= self.rows() && rows <= self.rows() - first);
        // SAFETY: the rows are there by the view's promise and the caller's word, which stands for the source too.
        unsafe { move_rows(self.size(), from, self.size() as isize, self.row(first), self.stride(), rows) };
    }
}

/// Copies one row.
///
/// # Safety
/// `size` is the size of a type; that many bytes can be read and written, and do not overlap.
#[inline]
unsafe fn copy_row(size: usize, from: *const u8, to: *mut u8) {
    // SAFETY: one row is moved; the strides are not used.
    unsafe { move_rows(size, from, 0, to, 0, 1) };
}

/// Copies rows from one place to another.
///
/// # Safety
/// `size` is the size of a type: 1, 4 or 8. All rows can be read at the one place and written at the other, and the two do
/// not overlap.
#[inline]
pub(crate) unsafe fn move_rows(
    size: usize,
    from: *const u8,
    from_stride: isize,
    to: *mut u8,
    to_stride: isize,
    rows: usize,
) {
    if from_stride == size as isize && to_stride == size as isize {
        // SAFETY: rows one behind the other are that many bytes, and the caller vouches for all of them.
        return unsafe { std::ptr::copy_nonoverlapping(from, to, rows * size) };
    }
    match size {
        // SAFETY: what the caller says, for this size.
        1 => unsafe { move_each::<1>(from, from_stride, to, to_stride, rows) },
        // SAFETY: as above.
        4 => unsafe { move_each::<4>(from, from_stride, to, to_stride, rows) },
        // SAFETY: as above.
        _ => unsafe { move_each::<8>(from, from_stride, to, to_stride, rows) },
    }
}

/// Copies rows of a size that is known, one by one.
///
/// # Safety
/// As [`move_rows`], with rows of `SIZE` bytes.
#[inline]
unsafe fn move_each<const SIZE: usize>(
    mut from: *const u8,
    from_stride: isize,
    mut to: *mut u8,
    to_stride: isize,
    rows: usize,
) {
    for _ in 0..rows {
        // SAFETY: both addresses are those of a row that the caller vouches for, at any alignment.
        unsafe { std::ptr::copy_nonoverlapping(from, to, SIZE) };
        from = from.wrapping_offset(from_stride);
        to = to.wrapping_offset(to_stride);
    }
}
