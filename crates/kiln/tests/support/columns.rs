//! Columns anywhere in a piece of memory, and what a formula makes of them when it is called row by row.
//!
//! The one idea: inputs, outputs and what lies between them are one vector of bytes. What a column call should do to it is
//! worked out on a copy, by single calls: all rows are evaluated before any is stored. Then the whole memory is compared,
//! so that a byte written beside a row shows as much as a wrong value. This file knows no engine.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(unreachable_pub, reason = "it is a module of several programs")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use kiln::{AsColumn, AsColumnMut, Column, ColumnMut, Function, NativeKernel, RunError, Type, Value};

/// A column with rows of its own.
pub enum Own {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Own {
    pub fn new(ty: Type, rows: usize) -> Own {
        match ty {
            Type::Bool => Own::Bool(vec![false; rows]),
            Type::I32 => Own::I32(vec![0; rows]),
            Type::I64 => Own::I64(vec![0; rows]),
            Type::F32 => Own::F32(vec![0.0; rows]),
            Type::F64 => Own::F64(vec![0.0; rows]),
        }
    }

    pub fn get(&self, row: usize) -> Value {
        self.column().as_column().get(row)
    }

    pub fn column(&self) -> &dyn AsColumn {
        match self {
            Own::Bool(rows) => rows,
            Own::I32(rows) => rows,
            Own::I64(rows) => rows,
            Own::F32(rows) => rows,
            Own::F64(rows) => rows,
        }
    }

    pub fn column_mut(&mut self) -> &mut dyn AsColumnMut {
        match self {
            Own::Bool(rows) => rows,
            Own::I32(rows) => rows,
            Own::I64(rows) => rows,
            Own::F32(rows) => rows,
            Own::F64(rows) => rows,
        }
    }
}

/// What a formula gives over columns, or the first row that fails.
pub fn over_columns(function: &Function, inputs: &[Own], rows: usize) -> Result<Vec<Own>, RunError> {
    let mut outputs: Vec<Own> = function.outputs().iter().map(|output| Own::new(output.ty, rows)).collect();
    let columns: Vec<&dyn AsColumn> = inputs.iter().map(Own::column).collect();
    let mut places: Vec<&mut dyn AsColumnMut> = outputs.iter_mut().map(Own::column_mut).collect();
    function.eval_columns_all(&columns, &mut places)?;
    Ok(outputs)
}

/// Where a column lies: row `i` is at `start + i * stride` of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lay {
    pub ty: Type,
    pub start: usize,
    pub stride: isize,
}

pub fn size(ty: Type) -> usize {
    match ty {
        Type::Bool => 1,
        Type::I32 | Type::F32 => 4,
        Type::I64 | Type::F64 => 8,
    }
}

impl Lay {
    pub fn at(&self, row: usize) -> usize {
        self.start.checked_add_signed(row as isize * self.stride).unwrap()
    }

    pub fn get(&self, memory: &[u8], row: usize) -> Value {
        let mut word = [0; 8];
        word[..size(self.ty)].copy_from_slice(&memory[self.at(row)..][..size(self.ty)]);
        Value::from_bits(self.ty, u64::from_le_bytes(word))
    }

    pub fn set(&self, memory: &mut [u8], row: usize, value: Value) {
        assert_eq!(value.ty(), self.ty);
        memory[self.at(row)..][..size(self.ty)].copy_from_slice(&value.to_bits().to_le_bytes()[..size(self.ty)]);
    }
}

/// The types of inputs and outputs.
pub fn types(function: &Function) -> (Vec<Type>, Vec<Type>) {
    (function.params().iter().map(|p| p.ty).collect(), function.outputs().iter().map(|o| o.ty).collect())
}

/// What a column call should do to the memory, and what it should return.
pub fn by_rows(function: &Function, lays: &[Lay], rows: usize, memory: &mut [u8]) -> Result<(), RunError> {
    let (inputs, outputs) = lays.split_at(function.params().len());
    let mut results = Vec::new();
    for row in 0..rows {
        let args: Vec<Value> = inputs.iter().map(|lay| lay.get(memory, row)).collect();
        let result = function.call_all(&args);
        results.push(result.map_err(|error| RunError::Row { row, error: Box::new(error) })?);
    }
    for (i, lay) in outputs.iter().enumerate() {
        for (row, values) in results.iter().enumerate() {
            lay.set(memory, row, values[i]);
        }
    }
    Ok(())
}

/// Calls the formula on the columns in the memory.
pub fn by_columns(function: &Function, lays: &[Lay], rows: usize, memory: &mut [u8]) -> Result<(), RunError> {
    let base = memory.as_mut_ptr();
    let (inputs, outputs) = lays.split_at(function.params().len());
    for lay in lays.iter().filter(|_| rows > 0) {
        for row in [0, rows - 1] {
            assert!(lay.at(row) + size(lay.ty) <= memory.len());
        }
    }
    let input = |lay: &Lay| {
        // SAFETY: the rows lie in the memory, which nobody else uses; the driver copes with overlapping, which cells allow.
        unsafe { Column::from_raw(lay.ty, base.wrapping_add(lay.start), rows, lay.stride) }
    };
    let output = |lay: &Lay| {
        // SAFETY: as above.
        unsafe { ColumnMut::from_raw(lay.ty, base.wrapping_add(lay.start), rows, lay.stride) }
    };
    let inputs: Vec<Column<'_>> = inputs.iter().map(input).collect();
    let mut outputs: Vec<ColumnMut<'_>> = outputs.iter().map(output).collect();
    let inputs: Vec<&dyn AsColumn> = inputs.iter().map(|column| column as &dyn AsColumn).collect();
    let mut outputs: Vec<&mut dyn AsColumnMut> = outputs.iter_mut().map(|c| c as &mut dyn AsColumnMut).collect();
    function.eval_columns_all(&inputs, &mut outputs)
}

/// The same by its C function; the error is the row alone.
pub fn by_native(kernel: &NativeKernel, lays: &[Lay], rows: usize, memory: &mut [u8]) -> Result<(), usize> {
    let base = memory.as_mut_ptr();
    let starts: Vec<*mut u8> = lays.iter().map(|lay| base.wrapping_add(lay.start)).collect();
    let strides: Vec<isize> = lays.iter().map(|lay| lay.stride).collect();
    let (n, mut row) = (rows as isize, -1isize);
    // SAFETY: the kernel outlives the call.
    let call = unsafe { kernel.get() };
    // SAFETY: the rows lie in the memory, which nobody else uses; `by_columns` has checked that.
    let status = unsafe { call(starts.as_ptr(), &n, strides.as_ptr(), (&raw mut row).cast()) };
    assert_eq!(status == 0, row == -1, "status {status}, row {row}");
    if status == 0 { Ok(()) } else { Err(row as usize) }
}

/// Compares a column call, by views and by the formula's C function, with single calls on the same memory, whole: `note`
/// says what the case is.
pub fn compare(function: &Function, lays: &[Lay], rows: usize, memory: &[u8], note: &dyn Fn() -> String) {
    let mut want = memory.to_vec();
    let expected = by_rows(function, lays, rows, &mut want);
    let mut got = memory.to_vec();
    let result = by_columns(function, lays, rows, &mut got);
    assert_eq!(result, expected, "{}\n{lays:?}, {rows} rows", note());
    compare_memory(function, lays, rows, result.is_err(), &want, got, note);
    let Some(kernel) = function.native_kernel() else { return };
    let mut got = memory.to_vec();
    let result = by_native(&kernel, lays, rows, &mut got);
    let row = expected.map_err(|error| if let RunError::Row { row, .. } = error { row } else { usize::MAX });
    assert_eq!(result, row, "{}\n{lays:?}, {rows} rows, by the C function", note());
    compare_memory(function, lays, rows, result.is_err(), &want, got, note);
}

/// Compares memories. If a row has failed, the bytes of outputs are unspecified, and all others must be as they were.
fn compare_memory(
    function: &Function,
    lays: &[Lay],
    rows: usize,
    failed: bool,
    want: &[u8],
    mut got: Vec<u8>,
    note: &dyn Fn() -> String,
) {
    let outputs = &lays[function.params().len()..];
    // NaNs of any bits are equal.
    for lay in outputs {
        for row in 0..rows {
            let (a, b) = (lay.get(want, row), lay.get(&got, row));
            if failed || a.is_nan() && b.is_nan() {
                let bytes = lay.at(row)..lay.at(row) + size(lay.ty);
                got[bytes.clone()].copy_from_slice(&want[bytes]);
            }
        }
    }
    if let Some(at) = (0..want.len()).find(|&at| want[at] != got[at]) {
        let row = |lay: &Lay| (0..rows).find(|&row| (lay.at(row)..lay.at(row) + size(lay.ty)).contains(&at));
        let Some((lay, row)) = outputs.iter().find_map(|lay| Some((lay, row(lay)?))) else {
            panic!("{}\n{lays:?}, {rows} rows: byte {at}, which is no row's, has changed", note());
        };
        let (want, got) = (lay.get(want, row), lay.get(&got, row));
        panic!("{}\n{lays:?}, {rows} rows: row {row} of {lay:?} is {got:?}, not {want:?}", note());
    }
}

/// Puts columns into a memory, each with some bytes before it, and fills it.
pub struct Setter {
    pub lays: Vec<Lay>,
    end: usize,
}

impl Setter {
    pub fn new() -> Setter {
        Setter { lays: Vec::new(), end: 0 }
    }

    /// Adds a column whose first byte is at `gap` behind the last one of the column before.
    pub fn add(&mut self, ty: Type, stride: isize, rows: usize, gap: usize) -> Lay {
        let length = stride.unsigned_abs() * rows.saturating_sub(1);
        let first = self.end + gap;
        let start = if stride < 0 { first + length } else { first };
        self.end = first + length + size(ty);
        self.lays.push(Lay { ty, start, stride });
        Lay { ty, start, stride }
    }

    /// The memory: rows of the first `inputs` columns as `value` says, and bytes that are neither zero nor constant.
    pub fn fill(&self, inputs: usize, rows: usize, mut value: impl FnMut(usize, usize, Type) -> Value) -> Vec<u8> {
        let mut memory: Vec<u8> = (0..self.end + 64).map(|i| (i as u8).wrapping_mul(37) | 0x80).collect();
        for (i, lay) in self.lays[..inputs].iter().enumerate() {
            for row in 0..rows {
                let value = value(i, row, lay.ty);
                lay.set(&mut memory, row, value);
            }
        }
        memory
    }
}
