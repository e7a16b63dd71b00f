//! Writes a Parquet file of any size, for measuring how much memory `kiln run` takes:
//! `cargo run --release -p kiln-cli --example large_parquet -- FILE ROWS`.
//!
//! Its columns are sales: `id` (i64), `price` (f64), `qty` (i32, a tenth of it null), `at` (a timestamp) and `item`
//! (text). A row takes about 30 bytes in the file, so 100 million rows take 3 GB. Writing takes little memory, too.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that reports")]

use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

const ROWS: u64 = 1 << 16;

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn batch(first: u64, rows: u64, numbers: &mut Numbers) -> Result<RecordBatch, Box<dyn Error>> {
    let price = (0..rows).map(|_| (numbers.next() % 100_000_000) as f64 / 1000.0).collect::<Float64Array>();
    let some = |number: u64| (!number.is_multiple_of(10)).then_some((number >> 32) as i32 % 100);
    let qty = (0..rows).map(|_| some(numbers.next())).collect::<Int32Array>();
    let at = (0..rows).map(|n| Some(1_600_000_000_000 + (first + n) as i64 * 37));
    let item = (0..rows).map(|_| Some(format!("item {}", numbers.next() % 1_000_000)));
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values((first..first + rows).map(|id| id as i64)))),
        ("price", Arc::new(price)),
        ("qty", Arc::new(qty)),
        ("at", Arc::new(at.collect::<TimestampMillisecondArray>())),
        ("item", Arc::new(item.collect::<StringArray>())),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(rows)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: large_parquet FILE ROWS");
        std::process::exit(2);
    };
    let rows: u64 = rows.replace('_', "").parse()?;
    let mut numbers = Numbers(88_172_645_463_325_252);
    let schema = batch(0, 0, &mut numbers)?.schema();
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(BufWriter::new(File::create(&path)?), schema, Some(properties))?;
    let mut first = 0;
    while first < rows {
        let next = ROWS.min(rows - first);
        writer.write(&batch(first, next, &mut numbers)?)?;
        first += next;
    }
    writer.close()?;
    println!("{path}: {rows} rows, {} bytes", std::fs::metadata(&path)?.len());
    Ok(())
}
