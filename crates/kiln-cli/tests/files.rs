//! The contract of `kiln run` on Parquet and Arrow files: every form to every other, types kept, errors with places.
//! The oracle is the libraries that read and write these forms, used directly.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use arrow_array::cast::AsArray as _;
use arrow_array::types::*;
use arrow_array::*;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use support::{Workshop, kiln, kiln_with, text};

fn arc(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    // All columns can hold nulls, as those of most files can.
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// Rows with a column of every kind; every third value is null.
fn sample(rows: usize) -> RecordBatch {
    macro_rules! column {
        ($array:ident, $value:expr) => {
            arc((0..rows).map(|row| (row % 3 != 1).then(|| ($value)(row))).collect::<$array>())
        };
    }
    let decimals: Decimal128Array = (0..rows).map(|row| (row % 3 != 1).then_some(row as i128 * 101)).collect();
    let zoned: TimestampMicrosecondArray = (0..rows).map(|row| Some(row as i64 * 1_000_003)).collect();
    let lists = (0..rows).map(|row| (row % 3 != 1).then(|| (0..row % 4).map(|n| Some(n as i32)).collect::<Vec<_>>()));
    let words: DictionaryArray<Int32Type> =
        (0..rows).map(|row| (row % 3 != 1).then_some(["a", "b"][row % 2])).collect();
    batch(vec![
        ("x", column!(Float64Array, |row| row as f64 / 4.0)),
        ("f", column!(Float32Array, |row| row as f32 / 3.0)),
        ("n", column!(Int64Array, |row| (1i64 << 53) + row as i64)),
        ("i", column!(Int32Array, |row| row as i32 - 5)),
        ("s", column!(Int16Array, |row| row as i16)),
        ("c", column!(Int8Array, |row| (row % 100) as i8)),
        ("u8", column!(UInt8Array, |row| (row % 256) as u8)),
        ("u16", column!(UInt16Array, |row| row as u16)),
        ("u32", column!(UInt32Array, |row| row as u32 + (1 << 31))),
        ("u64", column!(UInt64Array, |row| row as u64)),
        ("b", column!(BooleanArray, |row| row % 2 == 0)),
        ("day", column!(Date32Array, |row| row as i32 * 1000)),
        ("time", column!(Time64MicrosecondArray, |row| row as i64)),
        ("at", column!(TimestampMillisecondArray, |row| row as i64 * 1_000_000_007)),
        ("zoned", arc(zoned.with_timezone("Europe/Paris"))),
        ("price", arc(decimals.with_precision_and_scale(12, 2).unwrap())),
        ("text", column!(StringArray, |row| format!("row, \"{row}\""))),
        ("word", arc(words)),
        ("list", arc(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ("größe in m", column!(Float64Array, |row| row as f64)),
    ])
}

/// Writes a file in the form of its name, in several row groups or batches.
fn write(path: &Path, batches: &[RecordBatch]) {
    let file = File::create(path).unwrap();
    let schema = batches[0].schema();
    match path.extension().unwrap().to_str().unwrap() {
        "parquet" => {
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
            let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.close().unwrap();
        }
        "arrows" => {
            let mut writer = StreamWriter::try_new(file, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = FileWriter::try_new(file, &schema).unwrap();
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
    }
}

/// Reads a file in the form of its name, as one batch.
fn read(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    let (schema, batches): (SchemaRef, Vec<RecordBatch>) = match path.extension().unwrap().to_str().unwrap() {
        "parquet" => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            (builder.schema().clone(), builder.build().unwrap().map(Result::unwrap).collect())
        }
        "arrows" => {
            let reader = StreamReader::try_new(file, None).unwrap();
            (reader.schema(), reader.map(Result::unwrap).collect())
        }
        _ => {
            let reader = FileReader::try_new(file, None).unwrap();
            (reader.schema(), reader.map(Result::unwrap).collect())
        }
    };
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

/// Runs the program, which must succeed.
fn done(args: &[&str]) {
    let outcome = kiln(args);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{args:?}");
}

const FORMS: [&str; 5] = ["parquet", "arrow", "feather", "ipc", "arrows"];

#[test]
fn every_form_to_every_other_keeps_types_values_and_nulls() {
    let workshop = Workshop::new();
    let whole = sample(2500);
    let parts = [whole.slice(0, 7), whole.slice(7, 0), whole.slice(7, 2493)];
    for from in FORMS {
        let file = workshop.path(&format!("in.{from}"));
        write(&file, &parts);
        for to in FORMS {
            let out = workshop.path(&format!("out.{to}"));
            done(&["run", text(&file), "--let", "y = x * 2", "--where", "n % 2 == 0", "-o", text(&out)]);
            let given = read(&out);
            let keep: Vec<u32> = (0..2500).filter(|row| row % 3 != 1 && row % 2 == 0).collect();
            let keep = UInt32Array::from(keep);
            let take = |array: &ArrayRef| arrow_select::take::take(array, &keep, None).unwrap();
            assert_eq!(given.num_columns(), 21);
            for (column, field) in whole.schema().fields().iter().enumerate() {
                let mut expected = take(whole.column(column));
                if field.name() == "word" && ["arrow", "feather", "ipc"].contains(&to) {
                    // A file has one dictionary, a stream many: words that came from elsewhere are plain text there.
                    if given["word"].data_type() == &DataType::Utf8 {
                        assert!(!["arrow", "feather", "ipc"].contains(&from));
                        let dictionary = expected.as_any_dictionary();
                        expected = arrow_select::take::take(dictionary.values(), dictionary.keys(), None).unwrap();
                    }
                }
                let same = match expected.data_type() {
                    // Dictionaries may hold their values in another order.
                    DataType::Dictionary(..) => words(&expected) == words(given.column(column)),
                    _ => &expected == given.column(column),
                };
                assert!(same, "{from} to {to}, {}", field.name());
                assert_eq!(given.schema().field(column).data_type(), expected.data_type(), "{from} to {to}");
            }
            let doubled: Float64Array = keep.values().iter().map(|&row| Some(f64::from(row) / 2.0)).collect();
            assert_eq!(given["y"].as_primitive::<Float64Type>(), &doubled, "{from} to {to}");
        }
    }
}

fn words(array: &ArrayRef) -> Vec<Option<String>> {
    let words = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
    words.into_iter().map(|word| word.map(str::to_owned)).collect()
}

#[test]
fn dictionaries_that_change_become_values_in_an_arrow_file() {
    let workshop = Workshop::new();
    let (file, out) = (workshop.path("in.arrows"), workshop.path("out.arrow"));
    let part = |words: [&str; 2]| {
        let words: DictionaryArray<Int32Type> = words.into_iter().map(Some).collect();
        batch(vec![("word", arc(words)), ("x", arc(Int32Array::from(vec![1, 2])))])
    };
    write(&file, &[part(["a", "b"]), part(["c", "d"])]);
    done(&["run", text(&file), "--let", "y = x + 1", "-o", text(&out)]);
    let words = read(&out)["word"].as_string::<i32>().iter().flatten().collect::<Vec<_>>().join("");
    assert_eq!(words, "abcd");
    // A stream keeps them.
    let out = workshop.path("out.arrows");
    done(&["run", text(&file), "--let", "y = x + 1", "-o", text(&out)]);
    assert!(matches!(read(&out)["word"].data_type(), DataType::Dictionary(..)));
}

#[test]
fn every_type_as_text() {
    let workshop = Workshop::new();
    let file = workshop.path("in.parquet");
    write(&file, &[sample(3)]);
    let refused = kiln(&["run", text(&file)]);
    assert!(refused.code == 1 && refused.err.contains("`list` holds lists"), "{}", refused.err);
    let names = "x,f,n,i,s,c,u8,u16,u32,u64,b,day,time,at,zoned,price,text,word,größe in m";
    let outcome = kiln(&["run", text(&file), "--select", names]);
    let expected = "\
x,f,n,i,s,c,u8,u16,u32,u64,b,day,time,at,zoned,price,text,word,größe in m
0,0,9007199254740992,-5,0,0,0,0,2147483648,0,true,1970-01-01,00:00:00,1970-01-01T00:00:00,1970-01-01T00:00:00Z,0.00,\"row, \"\"0\"\"\",a,0
,,,,,,,,,,,,,,1970-01-01T00:00:01.000003Z,,,,
0.5,0.6666667,9007199254740994,-3,2,2,2,2,2147483650,2,true,1975-06-24,00:00:00.000002,1970-01-24T03:33:20.014,1970-01-01T00:00:02.000006Z,2.02,\"row, \"\"2\"\"\",a,2
";
    assert_eq!(outcome.out, expected, "{}", outcome.err);
    let tsv = workshop.path("out.tsv");
    done(&["run", text(&file), "--select", "x,i", "-o", text(&tsv)]);
    assert_eq!(std::fs::read_to_string(&tsv).unwrap(), "x\ti\n0\t-5\n\t\n0.5\t-3\n");
}

#[test]
fn cells_become_typed_columns() {
    let workshop = Workshop::new();
    let file = workshop
        .file("in.csv", "n,x,ok,k,day, y \n1,0.5,true,a,2012-01-02,1\n,,,,,2\n9007199254740993,NA,false, b ,x,3\n");
    let out = workshop.path("out.parquet");
    done(&["run", text(&file), "--null", "NA", "--let", "m = n + 1", "-o", text(&out)]);
    let given = read(&out);
    assert_eq!(
        given["n"].as_primitive::<Int64Type>(),
        &Int64Array::from(vec![Some(1), None, Some(9_007_199_254_740_993)])
    );
    assert_eq!(
        given["m"].as_primitive::<Int64Type>(),
        &Int64Array::from(vec![Some(2), None, Some(9_007_199_254_740_994)])
    );
    assert_eq!(given["x"].as_primitive::<Float64Type>(), &Float64Array::from(vec![Some(0.5), None, None]));
    assert_eq!(given["ok"].as_boolean(), &BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(given["k"].as_string::<i32>(), &StringArray::from(vec![Some("a"), None, Some(" b ")]));
    assert_eq!(given["day"].data_type(), &DataType::Utf8);
    assert_eq!(given["y"].as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    done(&["run", text(&file), "--type", "n=text", "--type", "y=f32", "--select", "n,y", "-o", text(&out)]);
    let given = read(&out);
    assert_eq!((given["n"].data_type(), given["y"].data_type()), (&DataType::Utf8, &DataType::Float32));
}

#[test]
fn cells_that_cannot_be_read_matter_in_rows_that_are_kept() {
    let workshop = Workshop::new();
    let file = workshop.file("in.csv", "k,x\n1,1.5\n0,oops\n1,2.5\n");
    let args = ["run", text(&file), "--type", "x=f64", "--let", "y = x * 2"];
    let outcome = kiln(&[&args[..], &["--where", "k > 0"]].concat());
    assert_eq!(outcome.out, "k,x,y\n1,1.5,3\n1,2.5,5\n", "{}", outcome.err);
    for filter in [&[][..], &["--where", "k < 1"], &["--where", "x > 2"], &["--where", "y > 2"]] {
        let outcome = kiln(&[&args[..], filter].concat());
        assert!(outcome.code == 1 && outcome.err.contains("line 3, column `x`: `oops`"), "{filter:?} {}", outcome.err);
    }
}

#[test]
fn streams_through_pipes() {
    let workshop = Workshop::new();
    let file = workshop.path("in.arrows");
    write(&file, &[sample(10), sample(20)]);
    let input = std::fs::read(&file).unwrap();
    let args = ["run", "-", "--input-format", "arrows", "--let", "y = i + 1", "--select", "i,y"];
    let outcome = kiln_with(&[&args[..], &["--output-format", "arrows"]].concat(), &input);
    let given = workshop.file("out.arrows", &outcome.bytes);
    let given = read(&given);
    assert_eq!((given.num_rows(), given.num_columns()), (30, 2), "{}", outcome.err);
    assert_eq!(given["y"].as_primitive::<Int32Type>().value(28), 14);
    assert_eq!(kiln_with(&args, &input).out.lines().nth(1), Some("-5,-4"));
    // Parquet goes out of a pipe, and not in.
    let outcome = kiln_with(&[&args[..], &["--output-format", "parquet"]].concat(), &input);
    assert_eq!(read(&workshop.file("out.parquet", &outcome.bytes)).num_rows(), 30);
    let outcome = kiln_with(&["run", "-", "--input-format", "parquet"], &input);
    assert!(outcome.code == 1 && outcome.err.contains("standard input"), "{}", outcome.err);
    // What a file holds is seen, whatever Arrow name it has.
    let wrong = workshop.file("stream.arrow", &input);
    assert_eq!(kiln(&["run", text(&wrong), "--select", "i"]).out.lines().count(), 31);
    let nameless = workshop.file("nameless", &input);
    assert_eq!(kiln(&["run", text(&nameless), "--select", "i"]).out.lines().count(), 31);
}

#[test]
fn zero_rows_zero_columns_and_one_row() {
    let workshop = Workshop::new();
    for form in FORMS {
        let (file, out) = (workshop.path(&format!("in.{form}")), workshop.path(&format!("out.{form}")));
        write(&file, &[sample(0)]);
        done(&["run", text(&file), "--let", "y = x + 1", "-o", text(&out)]);
        let given = read(&out);
        assert_eq!((given.num_rows(), given.num_columns()), (0, 21), "{form}");
        assert_eq!(given.column(0).data_type(), &DataType::Float64);
        let outcome = kiln(&["run", text(&file), "--let", "y = x + 1", "--select", "x,y"]);
        assert_eq!(outcome.out, "x,y\n", "{form} {}", outcome.err);
        // No column of the file is wanted, and still it has rows.
        let some = sample(7);
        write(&file, &[some.slice(0, 5), some.slice(5, 2)]);
        let outcome = kiln(&["run", text(&file), "--let", "one = 1", "--select", "one"]);
        assert_eq!(outcome.out, "one\n".to_owned() + &"1\n".repeat(7), "{form} {}", outcome.err);
        // Nothing is kept.
        done(&["run", text(&file), "--where", "x < 0", "-o", text(&out)]);
        assert_eq!(read(&out).num_rows(), 0, "{form}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let workshop = Workshop::new();
    let parts: Vec<RecordBatch> = (0..40).map(|n| sample(n * 13)).collect();
    let rows: String = (0..50_000).map(|n| format!("{n},{}\n", n % 7)).collect();
    let csv = workshop.file("in.csv", "x,k\n".to_owned() + &rows);
    for form in ["parquet", "arrows", "csv"] {
        let file = workshop.path(&format!("in.{form}"));
        if form != "csv" {
            write(&file, &parts);
        }
        let mut outputs = Vec::new();
        for threads in ["1", "2", "3", "7"] {
            let out = workshop.path(&format!("out-{threads}.{form}"));
            done(&[
                "run",
                text(&file),
                "--let",
                "y = x / 3",
                "--where",
                "x > 2",
                "--threads",
                threads,
                "-o",
                text(&out),
            ]);
            outputs.push(std::fs::read(&out).unwrap());
        }
        assert!(outputs.iter().all(|output| output == &outputs[0]), "{form}");
    }
    assert!(csv.exists());
    let outcome = kiln(&["run", text(&csv), "--let", "y = x + k", "--where", "k == 3", "--threads", "3"]);
    let expected: String = (0..50_000).filter(|n| n % 7 == 3).map(|n| format!("{n},3,{}\n", n + 3)).collect();
    assert!(outcome.out == "x,k,y\n".to_owned() + &expected, "{}", outcome.err);
}

#[test]
fn large_batches_are_taken_in_slices() {
    let workshop = Workshop::new();
    let file = workshop.path("in.arrow");
    let values: Float64Array = (0..100_000).map(|n| (n % 1000 != 999).then_some(f64::from(n))).collect();
    let names: StringArray = (0..100_000).map(|n| Some(n.to_string())).collect();
    write(&file, &[batch(vec![("x", arc(values)), ("k", arc(names))]).slice(3, 99_990)]);
    let out = workshop.path("out.parquet");
    done(&["run", text(&file), "--let", "y = x + 0.5", "--where", "x > 70000", "-o", text(&out)]);
    let given = read(&out);
    let expected: Vec<i32> = (70_001..99_993).filter(|n| n % 1000 != 999).collect();
    assert_eq!(given.num_rows(), expected.len());
    for (row, n) in expected.into_iter().enumerate() {
        assert_eq!(given["y"].as_primitive::<Float64Type>().value(row), f64::from(n) + 0.5);
        assert_eq!(given["k"].as_string::<i32>().value(row), n.to_string());
    }
}

/// A file of a hundred thousand rows, more than are read at a time, in which row 700000 is special.
fn trap(workshop: &Workshop) -> String {
    let file = workshop.path("data.parquet");
    let (rows, at) = (100_000u64, 70_000);
    let large = (0..rows).map(|row| Some(if row == at { u64::MAX } else { row }));
    let divisor = (0..rows).map(|row| Some(i64::from(row != at)));
    let money = Decimal128Array::from(vec![1; rows as usize]);
    write(
        &file,
        &[batch(vec![
            ("u", arc(large.collect::<UInt64Array>())),
            ("d", arc(divisor.collect::<Int64Array>())),
            ("money", arc(money.with_precision_and_scale(9, 2).unwrap())),
            ("name", arc(StringArray::from(vec!["a"; rows as usize]))),
        ])],
    );
    text(&file).to_owned()
}

/// Arguments, exit code, what standard error says.
const FAILURES: &[(&[&str], i32, &[&str])] = &[
    (&["--let", "y = u + 1"], 1, &["data.parquet, row 70000, column `u`", "18446744073709551615", "--type 'u=f64'"]),
    (&["--checked", "--let", "y = 1 // d"], 1, &["--let y at", "data.parquet, row 70000", "division by zero"]),
    (&["--checked", "--where", "1 // d > 0"], 1, &["--where at", "row 70000"]),
    (&["--let", "y = money * 2"], 1, &["`money` is Decimal128(9, 2)", "--type 'money=f64'", "--let y"]),
    (&["--let", "y = name + 1"], 1, &["`name` is text", "numbers and bools"]),
    (&["--let", "y = nmae + 1"], 1, &["no column `nmae`", "did you mean `name`?"]),
    (&["--let", "y = 1 +"], 1, &["error[syntax", "--let y"]),
    (&["--where", "d + 1"], 1, &["not true or false"]),
    (&["--select", "q"], 1, &["--select", "no column `q`"]),
    (&["--type", "q=f64"], 1, &["--type", "no column `q`"]),
    (&["--type", "name=f64"], 1, &["--type", "`name` is text and cannot be read as f64"]),
    (&["--type", "d=i32"], 1, &["--type", "`d` is Int64 and cannot be read as i32"]),
    (&["--type", "d=text"], 2, &["--type d=text"]),
    (&["--null", "NA"], 2, &["--null is for CSV"]),
    (&["--checked", "--let", "y = d - max(1 // d)"], 1, &["--let y at", "data.parquet, row 70000", "division by zero"]),
    (&["--checked", "--let", "y = 1 // d - max(d)"], 1, &["--let y at", "data.parquet, row 70000", "division by zero"]),
    (&["--checked", "--where", "d > max(1 // d)"], 1, &["--where at", "row 70000"]),
    (&["--let", "y = u - mean(u)"], 1, &["data.parquet, row 70000, column `u`", "18446744073709551615"]),
    (&["--agg", "t = d + 1"], 1, &["--agg t", "a value in every row", "sum(...)"]),
    (&["--agg", "t = sum(u - mean(u))"], 1, &["data.parquet", "18446744073709551615 does not fit i64"]),
    (&["--agg", "t = sum(u)"], 1, &["data.parquet", "18446744073709551615 does not fit i64"]),
    (&["--agg", "t = sum(q)"], 1, &["--agg t", "no column `q`"]),
    (&["--agg", "t = sum(d)", "--agg", "t = 2 * sum(d)"], 2, &["two --agg options define `t`"]),
    (&["--agg", "t = sum(d)", "--select", "d"], 2, &["--agg", "--select"]),
    (&["--agg", "sum(d)"], 2, &["NAME = FORMULA"]),
    (&["--threads", "0"], 2, &["--threads"]),
    (&["--input-format", "arrow"], 1, &["cannot read"]),
    (&["--input-format", "arrows"], 1, &["cannot read"]),
];

#[test]
fn failures_name_the_place_and_leave_nothing_behind() {
    let workshop = Workshop::new();
    let file = trap(&workshop);
    let old = workshop.file("old.parquet", "precious");
    for threads in ["1", "3"] {
        for (args, code, parts) in FAILURES {
            let mut all = vec!["run", &file, "-o", text(&old)];
            if !args.contains(&"--threads") {
                all.extend(["--threads", threads]);
            }
            let outcome = kiln(&[&all, *args].concat());
            assert_eq!(outcome.code, *code, "{args:?}: {}", outcome.err);
            for part in *parts {
                assert!(outcome.err.contains(part), "{args:?} lacks {part:?}: {}", outcome.err);
            }
            assert_eq!(workshop.files(), ["data.parquet", "old.parquet"], "{args:?}");
            assert_eq!(std::fs::read_to_string(&old).unwrap(), "precious");
        }
    }
    // On request they work.
    let outcome = kiln(&["run", &file, "--type", "u=f64", "--where", "u > 1e18", "--let", "y = u", "--select", "u,y"]);
    assert_eq!(outcome.out, "u,y\n18446744073709551615,1.8446744073709552e19\n", "{}", outcome.err);
    let outcome = kiln(&[
        "run",
        &file,
        "-t",
        "money=f64",
        "--where",
        "u == 0",
        "-l",
        "y = money * 2",
        "-s",
        "money,y",
        "-t",
        "u=f64",
    ]);
    assert_eq!(outcome.out, "money,y\n0.01,0.02\n", "{}", outcome.err);
}

#[test]
fn values_over_all_rows() {
    let workshop = Workshop::new();
    let rows = "x,k,n\n1,a,1\n,b,2\n4,c,3\n-2,d,4\n";
    let csv = workshop.file("in.csv", rows);
    let parquet = workshop.path("in.parquet");
    done(&["run", text(&csv), "-o", text(&parquet)]);
    for (args, expected) in [
        (
            &["-a", "t = sum(x)", "-a", "rows = nrows()", "-a", "{ lo: min(n), hi: max(n) }"][..],
            "t,rows,lo,hi\n3,4,1,4\n",
        ),
        (&["-a", "p = { s: sum(x * n), c: count(x > 0) }", "-w", "n < 4"], "p.s,p.c\n13,2\n"),
        (&["-l", "y = x * 10", "-l", "x = n", "-a", "a = sum(y) + sum(x)"], "a\n40\n"),
        (&["-w", "n > 9", "-a", "s = sum(x)", "-a", "m = min(x)", "-a", "e = mean(x)"], "s,m,e\n0,,nan\n"),
        (&["-t", "n=f64", "-a", "m = mean(n)"], "m\n2.5\n"),
    ] {
        for file in [&csv, &parquet] {
            let outcome = kiln(&[&["run", text(file)], args].concat());
            assert_eq!(outcome.out, expected, "{args:?}: {}", outcome.err);
        }
    }
    // The same bits whatever the batches and the threads are.
    let file = workshop.path("many.parquet");
    let values: Vec<f64> = (0..100_000).map(|n| f64::from(n).sin() * 1e6).collect();
    write(&file, &[batch(vec![("x", arc(Float64Array::from(values.clone())))])]);
    let arrow = workshop.path("many.arrows");
    write(&arrow, &(0..100).map(|n| read(&file).slice(n * 1000, 1000)).collect::<Vec<_>>());
    let function = kiln::Engine::new().compile("sum(x) / std(x)").unwrap();
    let Some(kiln::Value::F64(expected)) = function.aggregate(&[&values]).unwrap()[0] else { panic!("a float") };
    for (file, threads) in [(&file, "1"), (&file, "4"), (&arrow, "1"), (&arrow, "3")] {
        let outcome = kiln(&["run", text(file), "--agg", "q = sum(x) / std(x)", "--threads", threads]);
        assert_eq!(outcome.out, format!("q\n{expected}\n"), "{}", outcome.err);
    }
    let out = workshop.path("total.parquet");
    done(&["run", text(&file), "--agg", "q = sum(x) / std(x)", "-o", text(&out)]);
    assert_eq!(read(&out)["q"].as_primitive::<Float64Type>().values(), &[expected]);
}

#[test]
fn the_output_may_be_the_input() {
    let workshop = Workshop::new();
    for form in FORMS {
        let file = workshop.path(&format!("data.{form}"));
        write(&file, &[sample(5000)]);
        done(&["run", text(&file), "--let", "i = i * 2", "-o", text(&file)]);
        assert_eq!(read(&file)["i"].as_primitive::<Int32Type>().value(4998), 9986, "{form}");
    }
}

#[test]
fn compression_as_asked() {
    let workshop = Workshop::new();
    let file = workshop.path("in.arrow");
    write(&file, &[sample(5000)]);
    let mut sizes = Vec::new();
    for (args, expected) in [
        (&[][..], "SNAPPY"),
        (&["--compression", "zstd"], "ZSTD"),
        (&["--compression", "none"], "UNCOMPRESSED"),
        (&["--compression", "snappy"], "SNAPPY"),
    ] {
        let out = workshop.path("out.parquet");
        done(&[&["run", text(&file), "-o", text(&out)], args].concat());
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&out).unwrap()).unwrap();
        let compression = format!("{:?}", builder.metadata().row_group(0).column(0).compression());
        assert!(compression.starts_with(expected), "{compression}");
        sizes.push(std::fs::metadata(&out).unwrap().len());
    }
    assert!(sizes[1] < sizes[0] && sizes[0] < sizes[2], "{sizes:?}");
    let outcome = kiln(&["run", text(&file), "-o", "x.arrow", "--compression", "zstd"]);
    assert!(outcome.code == 2 && outcome.err.contains("Parquet"), "{}", outcome.err);
}

/// Damaged files are refused: no panic, no output.
#[test]
fn damaged_files() {
    let workshop = Workshop::new();
    let mut state = 88_172_645_463_325_252u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for form in ["parquet", "arrow", "arrows"] {
        let file = workshop.path(&format!("good.{form}"));
        write(&file, &[sample(50)]);
        let good = std::fs::read(&file).unwrap();
        for round in 0..100 {
            let mut bad = good.clone();
            if round % 3 == 0 {
                bad.truncate(next() % good.len());
            } else {
                for _ in 0..=round % 5 {
                    let at = next() % good.len();
                    bad[at] ^= 1 << (next() % 8);
                }
            }
            let bad = workshop.file(&format!("bad.{form}"), bad);
            let out = workshop.path("out.parquet");
            let outcome = kiln(&["run", text(&bad), "--let", "y = x + n", "-o", text(&out)]);
            assert!(outcome.code == 0 || outcome.code == 1, "{form}, round {round}: {}", outcome.err);
            assert!(!outcome.err.contains("panicked"), "{form}, round {round}: {}", outcome.err);
            assert_eq!(out.exists(), outcome.code == 0);
            let _ = std::fs::remove_file(&out);
        }
    }
}

/// The limit is on memory that is written; code and libraries are mapped beside it.
#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_file() {
    let workshop = Workshop::new();
    let properties =
        WriterProperties::builder().set_dictionary_enabled(false).set_max_row_group_row_count(Some(1 << 20));
    let values: Float64Array = (0..1 << 16).map(|n| Some(f64::from(n).sqrt())).collect();
    let batch = batch(vec![("x", arc(values.clone())), ("y", arc(values))]);
    for (batches, name) in [(1u64, "small.parquet"), (160, "large.parquet")] {
        let file = File::create(workshop.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.clone().build())).unwrap();
        (0..batches).for_each(|_| writer.write(&batch).unwrap());
        writer.close().unwrap();
        let size = std::fs::metadata(workshop.path(name)).unwrap().len();
        assert!(size > batches << 20, "{size} bytes");
        let (kept, out) = (batches * ((1 << 16) - 40_000), workshop.path("out.parquet"));
        let script =
            "ulimit -d 81920; exec \"$0\" run \"$1\" --let 'z = x * y' --where 'x >= 200' --select z -o \"$2\"";
        let mut shell = std::process::Command::new("sh");
        let shell = shell.args(["-c", script, env!("CARGO_BIN_EXE_kiln"), text(&workshop.path(name)), text(&out)]);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&out).unwrap()).unwrap();
        assert_eq!(builder.metadata().file_metadata().num_rows() as u64, kept);
    }
}

/// Arguments and what comes out, of a file of three columns in every form.
const ALL_ROWS: &[(&[&str], &str)] = &[
    (&["--let", "d = x - mean(x)", "--select", "k,d"], "k,d\na,-2\nb,\nc,-1\nd,3\n"),
    (&["--let", "m = mean(x)", "--select", "k,m"], "k,m\na,3\nb,3\nc,3\nd,3\n"),
    (&["--where", "x > mean(x)"], "x,y,k\n6,4,d\n"),
    (
        &["--where", "x >= 1", "--let", "n = nrows()", "--let", "d = y - max(y)", "--select", "n,d"],
        "n,d\n3,-3\n3,\n3,0\n",
    ),
    (
        &["--let", "d = x - mean(x)", "--where", "d < 0", "--let", "e = d - min(d)", "--select", "k,e"],
        "k,e\na,0\nc,1\n",
    ),
    (
        &["--let", "z = (x - mean(x)) / max(abs(x - mean(x)))", "--where", "not isnull(x)", "--select", "z"],
        "z\n-0.6666666666666666\n-0.3333333333333333\n1\n",
    ),
    (&["--agg", "r = sum(x) / sum(y)"], "r\n1.2857142857142858\n"),
    (&["--agg", "v = sum((x - mean(x))^2)", "--agg", "n = nrows()", "--agg", "c = count(y)"], "v,n,c\n14,4,3\n"),
    (&["--where", "x < mean(x)", "--agg", "v = sum(abs(x - mean(x)))"], "v\n1\n"),
    (
        &["--let", "f = coalesce(x, mean(y))", "--let", "both = x > 5 or y < 3", "--select", "f,both"],
        "f,both\n1,true\n2.3333333333333335,true\n2,\n6,true\n",
    ),
    (&["--where", "x > max(x)", "--let", "m = min(x)"], "x,y,k,m\n"),
];

#[test]
fn formulas_about_all_rows_read_a_file_again() {
    let workshop = Workshop::new();
    let csv = workshop.file("in.csv", "x,y,k\n1,1,a\n,2,b\n2,,c\n6,4,d\n");
    let mut files = vec![csv.clone()];
    for form in ["parquet", "arrow", "arrows"] {
        let file = workshop.path(&format!("in.{form}"));
        done(&["run", text(&csv), "-o", text(&file)]);
        files.push(file);
    }
    for file in &files {
        for threads in ["1", "3"] {
            for (args, expected) in ALL_ROWS {
                let outcome = kiln(&[&["run", text(file), "--threads", threads], *args].concat());
                assert_eq!(outcome.out, *expected, "{args:?} of {}: {}", file.display(), outcome.err);
            }
        }
    }
    // Over the input itself.
    done(&["run", text(&csv), "--let", "x = x / sum(x)", "-o", text(&csv)]);
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().nth(4), Some("0.6666666666666666,4,d"));
}

#[test]
fn what_can_be_read_once_is_not_read_twice() {
    let workshop = Workshop::new();
    let csv = workshop.file("in.csv", "x\n1\n3\n");
    let stream = workshop.path("in.arrows");
    done(&["run", text(&csv), "-o", text(&stream)]);
    let stream = std::fs::read(stream).unwrap();
    let out = workshop.path("out.csv");
    for (input, form) in [(&b"x\n1\n3\n"[..], "csv"), (&stream, "arrows")] {
        for args in [["--let", "y = x - mean(x)"], ["--where", "x > mean(x)"], ["--agg", "y = sum(x - mean(x))"]] {
            let all = [&["run", "-", "--input-format", form, "-o", text(&out)][..], &args].concat();
            let outcome = kiln_with(&all, input);
            assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{args:?}");
            for part in [args[0], "standard input can be read only once", "write the rows to a file first"] {
                assert!(outcome.err.contains(part), "{args:?} lacks {part}: {}", outcome.err);
            }
        }
        // One pass is enough for these.
        let outcome = kiln_with(&["run", "-", "--input-format", form, "--agg", "y = std(x) / mean(x)"], input);
        assert_eq!(outcome.out, "y\n0.5\n", "{}", outcome.err);
    }
    assert!(!out.exists());
}

#[test]
fn cells_that_formulas_about_all_rows_cannot_read_are_named() {
    let workshop = Workshop::new();
    let file = workshop.file("in.csv", "k,x\n1,1\n1,2\n2,abc\n1,3\n");
    let args = ["run", text(&file), "--type", "x=i64"];
    let outcome = kiln(&[&args[..], &["--let", "y = x - max(x)"]].concat());
    assert_eq!(outcome.code, 1);
    assert!(outcome.err.contains("line 4, column `x`") && outcome.err.contains("`abc`"), "{}", outcome.err);
    // The rows that the filter drops may hold anything.
    let outcome = kiln(&[&args[..], &["--where", "k == 1", "--let", "y = x - max(x)", "--select", "y"]].concat());
    assert_eq!(outcome.out, "y\n-2\n-1\n0\n", "{}", outcome.err);
}
