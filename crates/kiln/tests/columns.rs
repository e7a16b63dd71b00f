//! Formulas over columns, on every engine and level: what single calls give, however columns lie.
//!
//! Most tests compare a column call with single calls of the same function in a memory that holds all columns
//! (`support/columns.rs`). `KILN_FUZZ_SECONDS` and `KILN_FUZZ_SEED` are those of `text_differential.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::print_stdout, reason = "the seed and the count are the point")]

mod support;

use kiln::{Column, ColumnEngine, ColumnMut, Engine, EngineKind, Function, Host, Options, RunError, Type, Value};
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use support::columns::{Lay, Setter, by_columns, by_rows, compare, size, types};
use support::generate::{Shape, program};
use support::{Random, compile, engines, engines_with};

/// Columns of these types one behind the other, with strides of every kind.
fn layout(random: &mut Random, inputs: &[Type], outputs: &[Type], rows: usize) -> Setter {
    let mut setter = Setter::new();
    let contiguous = random.below(2) == 0;
    for ty in inputs.iter().chain(outputs) {
        let size = size(*ty) as isize;
        let stride = match random.below(8) {
            _ if contiguous => size,
            0..=2 => size,
            3 => 0,
            4 => -size,
            5 => 3 * size + 1,
            6 => -(size + 3),
            _ => 2 * size,
        };
        setter.add(*ty, stride, rows, 64 + random.below(64));
    }
    setter
}

fn campaign(seed: u64, programs: usize, shape: Shape, checked: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = number("KILN_FUZZ_SECONDS").map(Duration::from_secs);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("KILN_FUZZ_SEED").unwrap_or(if seconds.is_some() { now ^ seed } else { seed });
    println!("seed {seed}");
    let engines = engines_with(|options| options.checked = checked);
    let start = Instant::now();
    let (mut done, mut by) = (0, [0; 3]);
    while seconds.map_or(done < programs, |limit| start.elapsed() < limit) {
        let seed = seed.wrapping_add(done as u64);
        let program = program(&mut Random(seed), shape);
        for (name, engine) in &engines {
            let mut random = Random(seed ^ 0x5eed);
            let function = compile(engine, &program.params, &program.text);
            by[function.column_engine() as usize] += 1;
            let (inputs, outputs) = types(&function);
            for rows in [random.below(8), random.below(70), random.below(200), 64] {
                let setter = layout(&mut random, &inputs, &outputs, rows);
                let memory = setter.fill(inputs.len(), rows, |_, _, ty| random.value(ty));
                let note = || format!("seed {seed}, {name}: |{}|\n{}", program.params, program.text);
                compare(&function, &setter.lays, rows, &memory, &note);
            }
        }
        done += 1;
    }
    println!("{done} programs; by kernel, blocks, rows: {by:?}");
}

#[test]
fn random_formulas() {
    campaign(1 << 40, 150, Shape { depth: 5, routines: true, statements: false }, false);
}

#[test]
fn random_checked_formulas() {
    campaign(2 << 40, 100, Shape { depth: 4, routines: false, statements: false }, true);
}

#[test]
fn random_programs() {
    campaign(3 << 40, 100, Shape { depth: 4, routines: false, statements: true }, false);
}

/// Formulas of every kind of engine and mixture of types.
const FORMULAS: [(&str, &str); 8] = [
    ("a: f64, x: f64, y: f64", "a * x + y"),
    ("x: f32, y: f32", "{ s: x * y - 1, big: x > y }"),
    ("n: i32, k: i64", "{ q: n // k, r: n % 7, s: n * k }"),
    ("b: bool, c: bool", "b and not c"),
    ("x: f64, b: bool, n: i32", "{ v: if b { x / 3 } else { f64(n) }, k: n + 1 }"),
    ("x: f32, y: f64", "exp(y) + x"),
    ("n: i64, x: f64", "var s = x; for i in 0..(n % 5) { s = s * 0.5 + i }; s"),
    ("x: f64", "{ a: sqrt(abs(x)), b: i32(x), c: f32(x), d: i64(x), e: x == floor(x) }"),
];

#[test]
fn every_length_and_stride() {
    for (name, engine) in engines() {
        for (params, text) in FORMULAS {
            let function = compile(&engine, params, text);
            let (inputs, outputs) = types(&function);
            let mut random = Random(7);
            for rows in (0..200).chain([255, 256, 257, 511, 1000]) {
                let setter = layout(&mut random, &inputs, &outputs, rows);
                let memory = setter.fill(inputs.len(), rows, |_, _, ty| random.value(ty));
                compare(&function, &setter.lays, rows, &memory, &|| format!("{name}: {text}"));
            }
        }
    }
}

/// A few pages between two that cannot be touched.
#[cfg(unix)]
struct Guarded {
    start: *mut u8,
    length: usize,
    page: usize,
}

#[cfg(unix)]
impl Guarded {
    fn new() -> Guarded {
        // SAFETY: no precondition.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let length = 4 * page;
        let (protection, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, wherever the system wants it.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        let start = start.cast::<u8>();
        // SAFETY: the pages in the middle of the mapping that was just made.
        let status =
            unsafe { libc::mprotect(start.wrapping_add(page).cast(), 2 * page, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(status, 0);
        Guarded { start, length, page }
    }

    /// The bytes that can be touched.
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the two pages in the middle are ours, readable and writable.
        unsafe { std::slice::from_raw_parts_mut(self.start.wrapping_add(self.page), 2 * self.page) }
    }
}

#[cfg(unix)]
impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody has a reference into it.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// Evaluates columns that end `shift` bytes before a page that cannot be touched, or begin so behind one.
#[cfg(unix)]
fn between_pages(function: &Function, pages: &mut [Guarded], rows: usize, shift: usize, at_end: bool, note: &str) {
    let (inputs, outputs) = types(function);
    let mut random = Random((rows * 64 + shift) as u64);
    let mut place = Vec::new();
    let mut setter = Setter::new();
    for (ty, pages) in inputs.iter().chain(&outputs).zip(pages.iter_mut()) {
        let bytes = pages.bytes();
        bytes.fill(0xa5);
        let length = rows * size(*ty);
        place.push(if at_end { bytes.len() - length - shift } else { shift });
        setter.add(*ty, size(*ty) as isize, rows, 0);
    }
    let mut memory = setter.fill(inputs.len(), rows, |_, _, ty| random.value(ty));
    let expected = by_rows(function, &setter.lays, rows, &mut memory);
    for ((lay, pages), &at) in setter.lays.iter().zip(pages.iter_mut()).zip(&place).take(inputs.len()) {
        let length = rows * size(lay.ty);
        pages.bytes()[at..at + length].copy_from_slice(&memory[lay.start..lay.start + length]);
    }
    let starts: Vec<*mut u8> =
        pages.iter_mut().zip(&place).map(|(pages, &at)| pages.bytes()[at..].as_mut_ptr()).collect();
    let columns: Vec<Column<'_>> = inputs
        .iter()
        .zip(&starts)
        // SAFETY: as many rows as were written stand there, and nobody else uses the pages.
        .map(|(&ty, &start)| unsafe { Column::from_raw(ty, start, rows, size(ty) as isize) })
        .collect();
    let mut results: Vec<ColumnMut<'_>> = outputs
        .iter()
        .zip(&starts[inputs.len()..])
        // SAFETY: as many rows have room there.
        .map(|(&ty, &start)| unsafe { ColumnMut::from_raw(ty, start, rows, size(ty) as isize) })
        .collect();
    let columns: Vec<&dyn kiln::AsColumn> = columns.iter().map(|c| c as &dyn kiln::AsColumn).collect();
    let mut results: Vec<&mut dyn kiln::AsColumnMut> =
        results.iter_mut().map(|c| c as &mut dyn kiln::AsColumnMut).collect();
    assert_eq!(function.eval_columns_all(&columns, &mut results), expected, "{note}");
    for ((lay, pages), &at) in setter.lays.iter().zip(pages.iter_mut()).zip(&place).skip(inputs.len()) {
        let (length, bytes) = (rows * size(lay.ty), pages.bytes());
        for row in 0..rows {
            let got = Lay { start: at, ..*lay }.get(bytes, row);
            assert!(got.same(lay.get(&memory, row)), "{note}, {rows} rows: row {row} is {got:?}");
        }
        let around = bytes[..at].iter().chain(&bytes[at + length..]);
        assert!(around.into_iter().all(|&byte| byte == 0xa5), "{note}, {rows} rows: a byte beside them has changed");
    }
}

#[cfg(unix)]
#[test]
fn no_byte_beside_a_column_is_touched() {
    let mut pages: Vec<Guarded> = (0..8).map(|_| Guarded::new()).collect();
    for (name, engine) in engines() {
        for (params, text) in FORMULAS {
            let function = compile(&engine, params, text);
            let columns = function.params().len() + function.outputs().len();
            for rows in 0..=130 {
                let note = format!("{name}: {text}");
                for at_end in [true, false] {
                    between_pages(&function, &mut pages[..columns], rows, 0, at_end, &note);
                }
                // Every misalignment, and each with a part of the lengths.
                for shift in (1..64).filter(|shift| (rows + shift) % 16 == 0) {
                    between_pages(&function, &mut pages[..columns], rows, shift, rows % 2 == 0, &note);
                }
            }
        }
    }
}

#[test]
fn every_misalignment() {
    for (name, engine) in engines() {
        for (params, text) in FORMULAS {
            let function = compile(&engine, params, text);
            let (inputs, outputs) = types(&function);
            for shift in 0..64 {
                let mut random = Random(shift as u64);
                let rows = 70 + shift;
                let mut setter = Setter::new();
                for (i, ty) in inputs.iter().chain(&outputs).enumerate() {
                    setter.add(*ty, size(*ty) as isize, rows, 64 + shift * (i + 1) % 64);
                }
                let memory = setter.fill(inputs.len(), rows, |_, _, ty| random.value(ty));
                compare(&function, &setter.lays, rows, &memory, &|| format!("{name}: {text}"));
            }
        }
    }
}

#[test]
fn cells_are_evaluated_in_place() {
    for (name, engine) in engines() {
        let function = compile(&engine, "x: f64, y: f64", "x * 2 + y");
        for rows in 0..200 {
            let mut values: Vec<f64> = (0..rows).map(f64::from).collect();
            let y: Vec<f64> = (0..rows).map(|row| f64::from(row) * 0.5).collect();
            let cells = Cell::from_mut(&mut values[..]).as_slice_of_cells();
            let mut out = ColumnMut::from_cells(cells);
            function.eval_columns(&[&Column::from_cells(cells), &y], &mut out).unwrap();
            assert!(
                values.iter().enumerate().all(|(row, &v)| v == row as f64 * 2.5),
                "{name}, {rows} rows: {values:?}"
            );
        }
    }
}

#[test]
fn overlapping_cells_are_as_if_all_rows_were_evaluated_first() {
    for (name, engine) in engines() {
        let function = compile(&engine, "x: f64, y: f64", "x * 2 + y");
        for rows in [1, 5, 64, 100, 300] {
            for shift in [1, 2, 7] {
                let mut values: Vec<f64> = (0..rows + shift).map(|row| row as f64).collect();
                let want: Vec<f64> = (0..rows).map(|row| (row * 2 + row + shift) as f64).collect();
                let cells = Cell::from_mut(&mut values[..]).as_slice_of_cells();
                let (x, y) = (Column::from_cells(&cells[..rows]), Column::from_cells(&cells[shift..]));
                function.eval_columns(&[&x, &y], &mut ColumnMut::from_cells(&cells[shift..])).unwrap();
                assert_eq!(values[shift..], want, "{name}, {rows} rows");
                let cells = Cell::from_mut(&mut values[..]).as_slice_of_cells();
                let x = Column::from_cells(&cells[..rows]);
                let mut out = ColumnMut::from_cells(&cells[..rows]);
                let last = cells[rows - 1].get();
                function.eval_columns(&[&x.reversed(), &0.0], &mut out).unwrap();
                assert_eq!(values[0], last * 2.0, "{name}, {rows} rows");
            }
        }
    }
}

#[test]
fn an_output_of_one_place_gets_the_last_row() {
    for (name, engine) in engines() {
        let function = compile(&engine, "x: f64, n: i32", "x + n");
        for rows in 1..150 {
            let mut setter = Setter::new();
            setter.add(Type::F64, 8, rows, 0);
            setter.add(Type::I32, 4, rows, 0);
            setter.add(Type::F64, 0, rows, 16);
            let mut memory = setter.fill(2, rows, |i, row, _| match i {
                0 => Value::F64(row as f64),
                _ => Value::I32(row as i32),
            });
            by_columns(&function, &setter.lays, rows, &mut memory).unwrap();
            let got = setter.lays[2].get(&memory, 0);
            assert!(got.same(Value::F64((rows - 1) as f64 * 2.0)), "{name}: {got:?}");
        }
    }
}

/// Engines of every kind and level with so many threads.
fn threaded(threads: usize, adjust: impl Fn(&mut Options)) -> Vec<(String, Engine)> {
    engines_with(|options| {
        options.threads = NonZeroUsize::new(threads);
        adjust(options);
    })
}

#[test]
fn threads_change_nothing() {
    let rows = 100_003;
    let mut random = Random(9);
    let (x, n): (Vec<f64>, Vec<i32>) =
        (0..rows).map(|_| (random.below(4000) as f64 / 16.0 - 100.0, random.below(1000) as i32)).unzip();
    let mut first: Option<(Vec<f64>, Vec<bool>)> = None;
    for threads in [1, 2, 3, 8] {
        for (name, engine) in threaded(threads, |_| {}) {
            let function = compile(&engine, "x: f64, n: i32", "{ y: exp(x / 50) * n + sqrt(abs(x)), b: x > n }");
            let (mut y, mut b) = (vec![0.0; rows], vec![false; rows]);
            function.eval_columns_all(&[&x, &n], &mut [&mut y, &mut b]).unwrap();
            let result = first.get_or_insert_with(|| (y.clone(), b.clone()));
            assert!(result.0 == y && result.1 == b, "{name}, {threads} threads");
        }
    }
}

#[test]
fn the_lowest_row_that_fails_is_reported_for_any_number_of_threads() {
    let rows = 70_000;
    for threads in [1, 2, 4] {
        for (name, engine) in threaded(threads, |options| options.checked = true) {
            let function = compile(&engine, "n: i32", "1000 // n");
            for failing in [vec![0], vec![69_999], vec![20_000, 40_000, 16_384], vec![16_383, 16_384, 5], vec![33_000]]
            {
                let mut n = vec![7i32; rows];
                failing.iter().for_each(|&row| n[row] = 0);
                let error = function.eval_columns(&[&n], &mut vec![0i32; rows]).unwrap_err();
                let RunError::Row { row, error } = &error else { panic!("{error:?}") };
                assert_eq!(row, failing.iter().min().unwrap(), "{name}, {threads} threads");
                assert!(matches!(**error, RunError::DivisionByZero { .. }));
            }
        }
    }
}

#[test]
fn host_functions_with_effects_are_called_in_order_once_a_row() {
    for threads in [1, 4] {
        for (name, mut engine) in threaded(threads, |_| {}) {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let log = seen.clone();
            engine
                .register(Host::new("tell", move |x: f64| {
                    log.lock().unwrap().push(x);
                    if x == 40_000.0 { Err("enough".to_owned()) } else { Ok(x) }
                }))
                .unwrap();
            let function = compile(&engine, "x: f64", "tell(x) + 1");
            assert_eq!(function.column_engine(), ColumnEngine::Rows);
            let x: Vec<f64> = (0..50_000).map(f64::from).collect();
            let error = function.eval_columns(&[&x], &mut vec![0.0; 50_000]).unwrap_err();
            assert!(matches!(&error, RunError::Row { row: 40_000, .. }), "{name}: {error}");
            assert_eq!(error.to_string(), "row 40000: enough");
            assert!(seen.lock().unwrap()[..] == x[..40_001], "{name}");
        }
    }
}

#[test]
fn panics_and_errors_of_pure_host_functions_are_errors_of_their_row() {
    for threads in [1, 3] {
        for (name, mut engine) in threaded(threads, |_| {}) {
            let fussy = |x: f64| match x {
                20_001.0 => panic!("as the test wants it"),
                30_000.0 => Err("no".to_owned()),
                _ => Ok(x * 2.0),
            };
            engine.register(Host::new("fussy", fussy).pure()).unwrap();
            let function = compile(&engine, "x: f64", "if x > 0 { fussy(x) } else { 0 }");
            let x: Vec<f64> = (0..50_000).map(f64::from).collect();
            let mut out = vec![0.0; 50_000];
            let error = function.eval_columns(&[&x], &mut out).unwrap_err();
            assert!(matches!(&error, RunError::Row { row: 20_001, .. }), "{name}: {error}");
            assert!(error.to_string().contains("panicked"), "{name}: {error}");
            let error = function.eval_columns(&[&&x[25_000..]], &mut &mut out[25_000..]).unwrap_err();
            assert_eq!(error.to_string(), "row 5000: no", "{name}");
            function.eval_columns(&[&&x[..20_000]], &mut &mut out[..20_000]).unwrap();
            assert!(out[..20_000].iter().zip(&x).all(|(out, x)| *out == x * 2.0), "{name}");
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod environment {
    use super::*;

    fn read() -> u32 {
        let mut word = 0u32;
        // SAFETY: the instruction stores four bytes in a local variable.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
        word
    }

    fn write(word: u32) {
        // SAFETY: the word has no reserved bit; the test does no arithmetic before it sets the default again.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack)) };
    }

    #[test]
    fn the_callers_settings_neither_matter_nor_change() {
        // Flushing of subnormals and both; rounding toward zero, with all exceptions masked.
        for odd in [0x9fc0, 0x7f80] {
            for (name, mut engine) in threaded(2, |options| options.checked = true) {
                engine
                    .register(Host::new("fail", |x: f64| if x < 0.0 { Err("minus".to_owned()) } else { Ok(x) }))
                    .unwrap();
                for text in ["x * 0.1 + 1e-310", "x / 3", "exp(x) * 1e-308", "if x > 2 { x * 0.3 } else { x - 0.1 }"] {
                    for rows in [1, 7, 100, 40_000] {
                        let function = compile(&engine, "x: f64", text);
                        let x: Vec<f64> = (0..rows).map(|row| f64::from(row % 700) * 1e-3 * 5e-308).collect();
                        let (mut want, mut got) = (vec![0.0f64; x.len()], vec![0.0f64; x.len()]);
                        function.eval_columns(&[&x], &mut want).unwrap();
                        write(odd);
                        let done = function.eval_columns(&[&x], &mut got);
                        let after = read();
                        write(0x1f80);
                        done.unwrap();
                        assert_eq!(after & 0xffc0, odd, "{name}: {text}");
                        let same = want.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(same, "{name}: {text}, {rows} rows, with {odd:x}");
                    }
                }
                let function = compile(&engine, "x: f64", "fail(x)");
                write(odd);
                let done = function.eval_columns(&[&[1.0, -1.0]], &mut [0.0; 2]);
                let after = read();
                write(0x1f80);
                assert_eq!(done.unwrap_err().to_string(), "row 1: minus");
                assert_eq!(after & 0xffc0, odd, "{name}");
            }
        }
    }
}

#[test]
fn pieces_give_what_whole_columns_give() {
    for (name, engine) in engines() {
        let function = compile(&engine, "a: f64, x: f64, n: i32", "{ y: a * x + n, b: x > a }");
        let mut random = Random(11);
        for rows in [0, 1, 10, 300, 1000] {
            let x: Vec<f64> = (0..rows).map(|_| random.below(100) as f64).collect();
            let n: Vec<i32> = (0..rows).map(|_| random.below(100) as i32).collect();
            let (mut y, mut b) = (vec![0.0; rows], vec![false; rows]);
            function.eval_columns_all(&[&7.5, &x, &n], &mut [&mut y, &mut b]).unwrap();
            for _ in 0..20 {
                let mut cuts = || {
                    let mut cuts: Vec<usize> = (0..random.below(6)).map(|_| random.below(rows + 1)).collect();
                    cuts.extend([0, rows]);
                    cuts.sort_unstable();
                    cuts
                };
                let pieces_x: Vec<Column<'_>> = cuts().windows(2).map(|w| Column::new(&x[w[0]..w[1]])).collect();
                let pieces_n: Vec<Column<'_>> = cuts().windows(2).map(|w| Column::new(&n[w[0]..w[1]])).collect();
                let (mut y2, mut b2) = (vec![0.0; rows], vec![false; rows]);
                let inputs: [&[Column<'_>]; 3] = [&[Column::constant(&7.5)], &pieces_x, &pieces_n];
                function.eval_chunks(&inputs, &mut [&mut y2, &mut b2]).unwrap();
                assert!(y == y2 && b == b2, "{name}, {rows} rows");
            }
        }
    }
}

#[test]
fn pieces_are_checked_and_rows_are_counted_through() {
    let mut options = Options::default();
    options.checked = true;
    let engine = Engine::with_options(options).unwrap();
    let function = compile(&engine, "n: i32, k: i32", "n // k");
    let (n, k) = ([1; 10], [1, 2, 3, 4, 0, 6, 7, 0, 9, 10]);
    let pieces = [Column::new(&k[..3]), Column::new(&k[3..])];
    let n = [Column::new(&n)];
    let mut out = [0i32; 10];
    let error = function.eval_chunks(&[&n, &pieces], &mut [&mut out]).unwrap_err();
    assert!(matches!(error, RunError::Row { row: 4, .. }), "{error}");
    let error = function.eval_chunks(&[&n, &pieces[..1]], &mut [&mut out]).unwrap_err();
    assert!(matches!(error, RunError::Rows { expected: 10, given: 3, .. }), "{error}");
    let wrong = [pieces[0], Column::new(&[1.0])];
    let error = function.eval_chunks(&[&n, &wrong], &mut [&mut out]).unwrap_err();
    assert!(matches!(error, RunError::ArgumentType { expected: Type::I32, given: Type::F64, .. }), "{error}");
    let error = function.eval_chunks(&[&n], &mut [&mut out]).unwrap_err();
    assert!(matches!(error, RunError::ArgumentCount { expected: 2, given: 1 }), "{error}");
}

#[test]
fn formulas_about_all_rows_take_pieces() {
    for (name, engine) in engines() {
        let function = compile(&engine, "x: f64, n: i32", "{ d: x - mean(x), s: f64(sum(n)) }");
        let x: Vec<f64> = (0..5000).map(|row| f64::from(row % 64)).collect();
        let n: Vec<i32> = (0..5000).collect();
        let (mut want, mut sums) = (vec![0.0; 5000], vec![0.0; 5000]);
        function.eval_columns_all(&[&x, &n], &mut [&mut want, &mut sums]).unwrap();
        let pieces_x = [Column::new(&x[..17]), Column::new(&x[17..4500]), Column::new(&x[4500..])];
        let pieces_n = [Column::new(&n[..4000]), Column::new(&n[4000..])];
        let (mut got, mut sums2) = (vec![0.0; 5000], vec![0.0; 5000]);
        function.eval_chunks(&[&pieces_x, &pieces_n], &mut [&mut got, &mut sums2]).unwrap();
        assert!(want == got && sums == sums2, "{name}");
        // All rows in the place of the input, piece by piece.
        let mut values = x.clone();
        let cells = Cell::from_mut(&mut values[..]).as_slice_of_cells();
        let pieces_x = [Column::from_cells(&cells[..17]), Column::from_cells(&cells[17..])];
        function.eval_chunks(&[&pieces_x, &pieces_n], &mut [&mut ColumnMut::from_cells(cells), &mut sums]).unwrap();
        assert_eq!(values, want, "{name}");
    }
}

#[test]
fn pieces_that_an_output_overlaps_are_read_first() {
    for (name, engine) in engines() {
        let function = compile(&engine, "x: f64", "x + 1000");
        let mut values: Vec<f64> = (0..100).map(f64::from).collect();
        let cells = Cell::from_mut(&mut values[..]).as_slice_of_cells();
        let pieces = [Column::from_cells(&cells[60..]), Column::from_cells(&cells[..60])];
        function.eval_chunks(&[&pieces], &mut [&mut ColumnMut::from_cells(cells)]).unwrap();
        let want: Vec<f64> = (60..100).chain(0..60).map(|v| f64::from(v) + 1000.0).collect();
        assert_eq!(values, want, "{name}");
        // In place, piece by piece.
        let cells = Cell::from_mut(&mut values[..]).as_slice_of_cells();
        let pieces = [Column::from_cells(&cells[..33]), Column::from_cells(&cells[33..])];
        function.eval_chunks(&[&pieces], &mut [&mut ColumnMut::from_cells(cells)]).unwrap();
        let want: Vec<f64> = want.iter().map(|v| v + 1000.0).collect();
        assert_eq!(values, want, "{name}");
    }
}

#[test]
fn columns_are_checked() {
    let f = compile(&Engine::new(), "x: f64, n: i32", "x + n");
    let (x, n) = ([1.0, 2.0], [1, 2]);
    let error = |inputs: &[&dyn kiln::AsColumn], out: &mut dyn kiln::AsColumnMut| {
        f.eval_columns(inputs, out).unwrap_err().code()
    };
    assert_eq!(error(&[&x], &mut [0.0; 2]), "argument-count");
    assert_eq!(error(&[&x, &x], &mut [0.0; 2]), "argument-type");
    assert_eq!(error(&[&x, &n], &mut [0i32; 2]), "output-type");
    assert_eq!(error(&[&x, &n], &mut [0.0; 3]), "rows");
    assert_eq!(error(&[&x, &[1]], &mut [0.0; 2]), "rows");
    assert_eq!(f.eval_columns_all(&[&x, &n], &mut []).unwrap_err().code(), "output-count");
    let two = compile(&Engine::new(), "x: f64", "{ a: x, b: x }");
    assert_eq!(two.eval_columns(&[&x], &mut [0.0; 2]).unwrap_err().code(), "several-results");
}

#[test]
fn the_interpreter_runs_blocks() {
    let engine = support::engine(EngineKind::Interpreter);
    for (params, text) in FORMULAS {
        assert_eq!(compile(&engine, params, text).column_engine(), ColumnEngine::Blocks, "{text}");
    }
}

#[test]
fn native_kernels_outlive_their_function_and_run_on_many_threads() {
    for (name, engine) in engines() {
        let kernel = compile(&engine, "x: f64, n: i32", "if n == 0 { x } else { x / n }").native_kernel();
        let interpreted = name.contains("interpreter");
        assert_eq!(kernel.is_none(), interpreted, "{name}");
        drop(engine);
        let Some(kernel) = kernel else { continue };
        assert_eq!(kernel.types(), [Type::F64, Type::I32, Type::F64]);
        std::thread::scope(|scope| {
            for factor in 1..4 {
                // SAFETY: the kernel outlives the threads.
                let call = unsafe { kernel.get() };
                scope.spawn(move || {
                    let (x, n, mut out) = (vec![f64::from(factor); 1000], [2i32], vec![0.0f64; 1000]);
                    let args = [x.as_ptr().cast_mut().cast(), n.as_ptr().cast_mut().cast(), out.as_mut_ptr().cast()];
                    // SAFETY: two columns of 1000 rows of eight bytes, and one value for all rows.
                    let status = unsafe { call(args.as_ptr(), &1000, [8, 0, 8].as_ptr(), std::ptr::null_mut()) };
                    assert_eq!(status, 0);
                    assert!(out.iter().all(|&v| v == f64::from(factor) / 2.0));
                });
            }
        });
    }
    let engine = Engine::new();
    assert!(engine.compile("x - mean(x)").unwrap().native_kernel().is_none());
}

#[test]
fn large_outputs_are_streamed_and_no_different() {
    // Four megabytes of results and some rows more, so that no part is whole steps.
    let rows = (1 << 19) + 13;
    let cases = [(1, "{ a: x + 1, b: f32(x), c: x > 0 }", 64), (2, "x * 1.5 - 1", 64), (2, "x * 1.5 - 1", 71)];
    for (threads, text, gap) in cases {
        for (name, engine) in engines_with(|options| options.threads = NonZeroUsize::new(threads)) {
            let function = compile(&engine, "x: f64", text);
            let (inputs, outputs) = types(&function);
            let mut setter = Setter::new();
            for ty in inputs.iter().chain(&outputs) {
                setter.add(*ty, size(*ty) as isize, rows, gap);
            }
            let mut random = Random(11);
            let memory = setter.fill(inputs.len(), rows, |_, _, ty| random.value(ty));
            compare(&function, &setter.lays, rows, &memory, &|| format!("{name}, {threads} threads: {text}"));
        }
    }
}
