//! The driver of column calls over kernels that are Rust functions, for every number of rows that a step can have.
//!
//! What a kernel may assume is asserted in it; what comes out is compared with single calls.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

#[path = "../../tests/support/columns.rs"]
mod support;

use super::host::Context;
use super::kernel::{Kernel, KernelEntry};
use crate::engine::{Engine, Function, Options};
use crate::error::RunError;
use crate::types::{Type, Value};
use support::{Lay, Setter, compare, size};

/// Divides by zero fails, and so does a step with a row in which `k` is 77, but only the kernel.
const FORMULA: &str = "{ q: n // k + 1, big: x > 0.5, y: f32(2) * x }";
const PARAMS: &str = "n: i64, k: i32, x: f32";

/// The formula, as machine code would evaluate it.
extern "sysv64" fn fake<const R: usize>(columns: *const *mut u8, steps: usize, _: *const Context) -> usize {
    // SAFETY: the driver passes an address for each column.
    let [n, k, x, q, big, y] = unsafe { *columns.cast::<[*mut u8; 6]>() };
    for step in 0..steps {
        let first = step * R;
        let mut rows = [(0i64, 0i32, 0f32); R];
        for (i, row) in rows.iter_mut().enumerate() {
            // SAFETY: the driver vouches for the rows of all steps; a row too many is seen by `compare` or a guard page.
            row.0 = unsafe { n.cast::<i64>().wrapping_add(first + i).read_unaligned() };
            // SAFETY: as above.
            row.1 = unsafe { k.cast::<i32>().wrapping_add(first + i).read_unaligned() };
            // SAFETY: as above.
            row.2 = unsafe { x.cast::<f32>().wrapping_add(first + i).read_unaligned() };
        }
        if rows.iter().any(|row| row.1 == 0 || row.1 == 77) {
            return step;
        }
        for (i, row) in rows.iter().enumerate() {
            let quotient = row.0.wrapping_div_euclid(i64::from(row.1));
            let floor = quotient - i64::from(row.1 < 0 && row.0.wrapping_rem_euclid(i64::from(row.1)) != 0);
            // SAFETY: as above.
            unsafe { q.cast::<i64>().wrapping_add(first + i).write_unaligned(floor + 1) };
            // SAFETY: as above.
            unsafe { big.wrapping_add(first + i).write(u8::from(row.2 > 0.5)) };
            // SAFETY: as above.
            unsafe { y.cast::<f32>().wrapping_add(first + i).write_unaligned(2.0 * row.2) };
        }
    }
    steps
}

const FAKES: [(usize, KernelEntry); 6] =
    [(2, fake::<2>), (4, fake::<4>), (8, fake::<8>), (16, fake::<16>), (32, fake::<32>), (64, fake::<64>)];

fn function(fake: Option<&(usize, KernelEntry)>) -> Function {
    let options = Options { checked: true, ..Options::default() };
    let engine = Engine::with_options(options).unwrap();
    let function = engine.formula(FORMULA).params(PARAMS).compile().unwrap();
    if let Some((rows, entry)) = fake {
        function.set_kernel(Kernel::fake(*entry, 6, *rows));
    }
    function
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn value(&mut self, ty: Type) -> Value {
        let small = self.below(2000) as i64 - 1000;
        match ty {
            Type::I64 => Value::I64(small * 1_000_003),
            Type::I32 => Value::I32(if small == 0 || small == 77 { 1 } else { small as i32 }),
            _ => Value::F32(small as f32 / 700.0),
        }
    }
}

const TYPES: [Type; 6] = [Type::I64, Type::I32, Type::F32, Type::I64, Type::Bool, Type::F32];

/// Columns one behind the other with strides of every kind.
fn random_layout(random: &mut Random, rows: usize, contiguous: bool) -> (Vec<Lay>, Setter) {
    let mut setter = Setter::new();
    for (i, ty) in TYPES.into_iter().enumerate() {
        let size = size(ty) as isize;
        let stride = match random.below(7) {
            _ if contiguous => size,
            0 | 1 => size,
            2 => 0,
            3 => -size,
            4 => 3 * size + 1,
            5 => -(size + 3),
            // Rows of outputs that touch one another, too.
            _ if i > 2 => size / 2,
            _ => 2 * size,
        };
        setter.add(ty, stride, rows, 64 + random.below(64));
    }
    (setter.lays.clone(), setter)
}

#[test]
fn columns_of_every_layout_give_what_single_calls_give() {
    let mut random = Random(1);
    for fake in &FAKES {
        let function = function(Some(fake));
        for rows in (0..200).chain([255, 256, 257, 600]) {
            for contiguous in [true, false, false] {
                let (lays, setter) = random_layout(&mut random, rows, contiguous);
                let memory = setter.fill(3, rows, |_, _, ty| random.value(ty));
                compare(&function, &lays, rows, &memory, &|| format!("{} rows per step", fake.0));
            }
        }
    }
}

#[test]
fn outputs_may_be_in_the_place_of_inputs() {
    let mut random = Random(2);
    for fake in &FAKES {
        let function = function(Some(fake));
        for rows in 0..150 {
            let (mut lays, setter) = random_layout(&mut random, rows, rows % 2 == 0);
            let memory = setter.fill(3, rows, |_, _, ty| random.value(ty));
            // n and q are of one type, and so are x and y.
            lays[3] = lays[0];
            lays[5] = lays[2];
            compare(&function, &lays, rows, &memory, &|| format!("{} rows per step, in place", fake.0));
        }
    }
}

#[test]
fn overlapping_columns_are_as_if_all_rows_were_evaluated_first() {
    let mut random = Random(3);
    for fake in &FAKES {
        let function = function(Some(fake));
        for rows in 1..150 {
            let (mut lays, setter) = random_layout(&mut random, rows, rows % 2 == 0);
            let memory = setter.fill(3, rows, |_, _, ty| random.value(ty));
            let memory = [memory, vec![0x55; 4000]].concat();
            // q over n, shifted by some bytes or running the other way; big over x; y over q.
            lays[3] = Lay { start: lays[0].start + random.below(40), ..lays[0] };
            if rows % 3 == 0 {
                lays[3] = Lay { start: lays[0].at(rows - 1), stride: -lays[0].stride, ..lays[0] };
            }
            if random.below(2) == 0 {
                lays[4].start = lays[2].start.max(600);
            }
            if random.below(2) == 0 {
                lays[5].start = lays[3].start.max(3000);
            }
            let inside = |lay: &Lay| {
                let (a, b) = (lay.start as isize, lay.start as isize + (rows as isize - 1) * lay.stride);
                a.min(b) >= 0 && a.max(b) + 8 <= memory.len() as isize
            };
            if lays.iter().all(inside) {
                compare(&function, &lays, rows, &memory, &|| format!("{} rows per step, overlapping", fake.0));
            }
        }
    }
}

#[test]
fn the_lowest_row_that_fails_is_reported() {
    let mut random = Random(4);
    for fake in &FAKES {
        let function = function(Some(fake));
        for rows in [1, 2, 3, 7, 64, 65, 127, 130, 300] {
            for _ in 0..30 {
                let (first, second) = (random.below(rows), random.below(rows));
                let contiguous = random.below(2) == 0;
                let (mut lays, _) = random_layout(&mut random, rows, contiguous);
                let mut setter = Setter::new();
                for (i, lay) in lays.iter_mut().enumerate() {
                    let stride = if i == 1 && lay.stride == 0 { 4 } else { lay.stride };
                    *lay = setter.add(lay.ty, stride, rows, 64);
                }
                let memory = setter.fill(3, rows, |i, row, ty| match (i, ty) {
                    (1, Type::I32) if row == first || row == second => Value::I32(0),
                    // A step that the kernel does not want to evaluate is no error.
                    (1, Type::I32) if random.below(100) == 0 => Value::I32(77),
                    _ => random.value(ty),
                });
                compare(&function, &lays, rows, &memory, &|| format!("{} rows per step, {first} fails", fake.0));
                let error = support::by_columns(&function, &lays, rows, &mut memory.clone()).unwrap_err();
                assert!(matches!(error, RunError::Row { row, .. } if row == first.min(second)), "{error}");
            }
        }
    }
}

#[test]
fn rows_that_the_kernel_leaves_are_evaluated_one_by_one() {
    for fake in &FAKES {
        let function = function(Some(fake));
        for rows in [1, 63, 64, 65, 200, 513] {
            for left in 0..rows {
                let mut setter = Setter::new();
                for ty in TYPES {
                    setter.add(ty, size(ty) as isize * if rows == 513 { 2 } else { 1 }, rows, 3);
                }
                let mut random = Random(left as u64);
                let memory = setter.fill(3, rows, |_, row, ty| match ty {
                    Type::I32 if row == left || row == rows - 1 => Value::I32(77),
                    _ => random.value(ty),
                });
                compare(&function, &setter.lays, rows, &memory, &|| format!("{} rows per step, {left} left", fake.0));
            }
        }
    }
}

/// Sums of many inputs, which do not fit into the arrays on the stack.
extern "sysv64" fn sum<const R: usize>(columns: *const *mut u8, steps: usize, _: *const Context) -> usize {
    for row in 0..steps * R {
        let mut total = 0.0;
        for i in 0..300 {
            // SAFETY: there are 300 inputs and an output.
            let column = unsafe { *columns.wrapping_add(i) };
            // SAFETY: the driver vouches for the rows.
            total += unsafe { column.cast::<f64>().wrapping_add(row).read_unaligned() };
        }
        // SAFETY: as above.
        let out = unsafe { *columns.wrapping_add(300) };
        // SAFETY: as above.
        unsafe { out.cast::<f64>().wrapping_add(row).write_unaligned(total) };
    }
    steps
}

#[test]
fn many_columns_are_columns_too() {
    let names: Vec<String> = (0..300).map(|i| format!("v{i}")).collect();
    let function = Engine::new().formula(&names.join(" + ")).params(&names.join(", ")).compile().unwrap();
    function.set_kernel(Kernel::fake(sum::<8>, 301, 8));
    for rows in [1, 7, 8, 9, 100] {
        for stride in [8, 16] {
            let mut setter = Setter::new();
            for _ in 0..301 {
                setter.add(Type::F64, stride, rows, 0);
            }
            let memory = setter.fill(300, rows, |i, row, _| Value::F64((i * row) as f64));
            compare(&function, &setter.lays, rows, &memory, &|| "many columns".to_owned());
        }
    }
}

#[cfg(feature = "threads")]
#[test]
fn chunks_and_threads_give_the_same_bytes() {
    use super::layout::Place;
    use super::threads::Threads;
    use super::view::{Column, ColumnMut};
    let rows = 3000;
    let mut random = Random(5);
    for fake in FAKES.iter().map(Some).chain([None]) {
        let function = function(fake);
        for contiguous in [true, false] {
            for zero in [None, Some(0), Some(1234), Some(2999)] {
                let (lays, setter) = random_layout(&mut random, rows, contiguous);
                let memory = setter.fill(3, rows, |_, row, ty| match ty {
                    Type::I32 if Some(row) == zero || row > 2000 && zero.is_some() => Value::I32(0),
                    _ => random.value(ty),
                });
                let mut want = memory.clone();
                let expected = support::by_rows(&function, &lays, rows, &mut want);
                for (threads, chunk) in [(1, 7), (2, 1), (2, 64), (3, 100), (4, 1000), (8, 37), (2, 5000)] {
                    let mut got = memory.clone();
                    let base = got.as_mut_ptr();
                    let place = |(i, lay): (usize, &Lay)| {
                        let start = base.wrapping_add(lay.start);
                        if i < 3 {
                            // SAFETY: the rows lie in the memory, which nobody else uses.
                            return Place::of_input(unsafe { Column::from_raw(lay.ty, start, rows, lay.stride) });
                        }
                        // SAFETY: as above.
                        Place::of_output(unsafe { ColumnMut::from_raw(lay.ty, start, rows, lay.stride) })
                    };
                    let places: Vec<Place<'_>> = lays.iter().enumerate().map(place).collect();
                    let threads = Threads::with_chunks(std::num::NonZeroUsize::new(threads), chunk);
                    assert_eq!(function.run_columns(&places, rows, 0, &threads), expected);
                    assert!(expected.is_err() || got == want, "{threads:?} {lays:?}");
                }
            }
        }
    }
}

#[cfg(feature = "threads")]
#[test]
fn a_call_from_a_pool_stays_in_it() {
    let options = Options { threads: std::num::NonZeroUsize::new(4), ..Options::default() };
    let mut engine = Engine::with_options(options).unwrap();
    let strangers = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = strangers.clone();
    let look = move |x: f64| {
        let own = std::thread::current().name().is_some_and(|name| name.starts_with("ours"));
        count.fetch_add(usize::from(!own), std::sync::atomic::Ordering::Relaxed);
        x
    };
    engine.register(crate::engine::Host::new("look", look).pure()).unwrap();
    let function = engine.formula("look(x)").params("x").compile().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).thread_name(|i| format!("ours {i}")).build().unwrap();
    let x: Vec<f64> = (0..200_000).map(f64::from).collect();
    let mut out = vec![0.0; x.len()];
    pool.install(|| function.eval_columns(&[&x], &mut out)).unwrap();
    assert_eq!(out, x);
    assert_eq!(strangers.load(std::sync::atomic::Ordering::Relaxed), 0);
}
