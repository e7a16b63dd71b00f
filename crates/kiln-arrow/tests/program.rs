//! Programs over record batches: what comes out, with which types, and what is said when it cannot.
//! The oracle is plain Rust over `Option`s.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use arrow_array::builder::{PrimitiveDictionaryBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use kiln::{Engine, Options, Type};
use kiln_arrow::{Aggregates, Part, Program, RunError, Wrong};
use std::collections::HashMap;
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn arc(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// The one new column of a formula over a batch.
fn column(batch: &RecordBatch, formula: &str) -> ArrayRef {
    let engine = Engine::new();
    let program = Program::builder(&engine).column("out", formula).select(&["out"]).build(&batch.schema());
    let out = program.unwrap_or_else(|error| panic!("{formula}: {error}")).run(batch).unwrap();
    assert_eq!(out.num_columns(), 1);
    out.column(0).clone()
}

fn wrong(batch: &RecordBatch, formula: &str) -> String {
    let engine = Engine::new();
    match Program::builder(&engine).column("out", formula).build(&batch.schema()) {
        Ok(_) => panic!("{formula} compiles"),
        Err(error) => error.to_string(),
    }
}

/// A row for each type: an array of three rows, of which the second is null, the formula `x + x` or `not x`, its result.
fn each_type() -> Vec<(ArrayRef, ArrayRef)> {
    let ints = |values: [i32; 3]| arc(Int32Array::from(vec![Some(values[0]), None, Some(values[2])]));
    let longs = |values: [i64; 3]| arc(Int64Array::from(vec![Some(values[0]), None, Some(values[2])]));
    let floats = |values: [f32; 3]| arc(Float32Array::from(vec![Some(values[0]), None, Some(values[2])]));
    macro_rules! numbers {
        ($array:ident, $first:expr, $last:expr) => {
            arc($array::from(vec![Some($first), None, Some($last)]))
        };
    }
    let half = |value: f32| <Float16Type as ArrowPrimitiveType>::Native::from_f32(value);
    vec![
        (numbers!(Float64Array, 0.1, -2.5), arc(Float64Array::from(vec![Some(0.2), None, Some(-5.0)]))),
        (numbers!(Float32Array, 0.1, -2.5), floats([0.2, 0.0, -5.0])),
        (numbers!(Float16Array, half(0.5), half(65504.0)), floats([1.0, 0.0, 131_008.0])),
        (numbers!(Int64Array, 1, 1 << 60), longs([2, 0, 1 << 61])),
        (numbers!(Int32Array, -1, i32::MAX), ints([-2, 0, -2])),
        (numbers!(Int16Array, -1, i16::MIN), ints([-2, 0, -65536])),
        (numbers!(Int8Array, -1, i8::MIN), ints([-2, 0, -256])),
        (numbers!(UInt8Array, 1, u8::MAX), ints([2, 0, 510])),
        (numbers!(UInt16Array, 1, u16::MAX), ints([2, 0, 131_070])),
        (numbers!(UInt32Array, 1, u32::MAX), longs([2, 0, 8_589_934_590])),
        (numbers!(UInt64Array, 1, 1 << 61), longs([2, 0, 1 << 62])),
        (numbers!(Date32Array, 19_000, -1), ints([38_000, 0, -2])),
        (numbers!(Date64Array, 86_400_000, -1), longs([172_800_000, 0, -2])),
        (numbers!(Time32SecondArray, 1, 2), ints([2, 0, 4])),
        (numbers!(Time32MillisecondArray, 1, 2), ints([2, 0, 4])),
        (numbers!(Time64MicrosecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(Time64NanosecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(TimestampSecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(TimestampMillisecondArray, 1, 2), longs([2, 0, 4])),
        (arc(TimestampMicrosecondArray::from(vec![Some(1), None, Some(2)]).with_timezone("+02:00")), longs([2, 0, 4])),
        (numbers!(TimestampNanosecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(DurationSecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(DurationMillisecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(DurationMicrosecondArray, 1, 2), longs([2, 0, 4])),
        (numbers!(DurationNanosecondArray, 1, 2), longs([2, 0, 4])),
        (arc(dictionary()), arc(Float64Array::from(vec![Some(5.0), None, Some(5.0)]))),
        (arc(NullArray::new(3)), arc(Float64Array::from(vec![None, None, None]))),
        (numbers!(BooleanArray, true, false), arc(BooleanArray::from(vec![Some(false), None, Some(true)]))),
    ]
}

fn dictionary() -> DictionaryArray<Int8Type> {
    let mut builder = PrimitiveDictionaryBuilder::<Int8Type, Float64Type>::new();
    builder.append_value(2.5);
    builder.append_null();
    builder.append_value(2.5);
    builder.finish()
}

#[test]
fn every_type_is_read_and_passes_through_as_it_is() {
    for (array, expected) in each_type() {
        let batch = batch(vec![("x", array.clone())]);
        let formula = if array.data_type() == &DataType::Boolean { "not x" } else { "x + x" };
        let out = column(&batch, formula);
        assert_eq!(&out, &expected, "{}", array.data_type());
        // The same from the middle of an array, whose nulls and bits then begin at an odd place.
        let some: Vec<&dyn Array> = vec![&array, &array, &array];
        let long = arrow_select::concat::concat(&some).unwrap();
        let out = column(&self::batch(vec![("x", long.slice(2, 5))]), formula);
        let twice: Vec<&dyn Array> = vec![&expected, &expected, &expected];
        let expected = arrow_select::concat::concat(&twice).unwrap().slice(2, 5);
        assert_eq!(&out, &expected, "slice of {}", array.data_type());
        // Replacing nothing changes nothing.
        let engine = Engine::new();
        let program = Program::builder(&engine).column("y", "1").build(&batch.schema()).unwrap();
        let out = program.run(&batch).unwrap();
        assert_eq!((out.column(0), out.schema().field(0)), (&array, batch.schema().field(0)));
    }
}

#[test]
fn arrays_are_read_where_they_lie() {
    let floats: ArrayRef = arc(Float64Array::from((0..100).map(f64::from).collect::<Vec<_>>()));
    let days: ArrayRef = arc(Date32Array::from((0..100).collect::<Vec<_>>()));
    // A read array keeps the buffer alive: then it is shared.
    for (array, ty) in [(floats, Type::F64), (days, Type::I32)] {
        let buffer = array.to_data().buffers()[0].clone();
        let before = buffer.strong_count();
        let rows = kiln_arrow::read(&array.slice(3, 5), ty).unwrap();
        assert_eq!((rows.len(), buffer.strong_count()), (5, before + 1), "{ty}");
    }
}

#[test]
fn ints_beyond_two_to_the_53_keep_their_last_digit() {
    let batch = batch(vec![("n", arc(Int64Array::from(vec![9_007_199_254_740_993, i64::MAX, i64::MIN])))]);
    let out = column(&batch, "n + 1");
    assert_eq!(out.as_primitive::<Int64Type>().values(), &[9_007_199_254_740_994, i64::MIN, i64::MIN + 1]);
}

#[test]
fn unsigned_ints_that_do_not_fit_name_their_row() {
    // What lies under the null does not fit either.
    let nulls = arrow_buffer::NullBuffer::from(vec![true, false, true]);
    let values = UInt64Array::new(vec![1, u64::MAX, u64::MAX].into(), Some(nulls));
    let batch = batch(vec![("k", arc(Int32Array::from(vec![1, 2, 3]))), ("u", arc(values))]);
    let engine = Engine::new();
    let program = Program::builder(&engine).column("y", "u + 1").build(&batch.schema()).unwrap();
    match program.run(&batch).unwrap_err() {
        RunError::Read { column: 1, row: Some(2), error } => {
            assert_eq!(error.to_string(), "row 2: 18446744073709551615 does not fit i64");
        }
        other => panic!("{other}"),
    }
    // In a row that is dropped it is never read, and the row that is named is the batch's.
    let builder = Program::builder(&engine).column("y", "u + 1");
    assert_eq!(builder.clone().filter("k < 3").build(&batch.schema()).unwrap().run(&batch).unwrap().num_rows(), 2);
    let error = builder.clone().filter("k == 3").build(&batch.schema()).unwrap().run(&batch).unwrap_err();
    assert!(matches!(error, RunError::Read { row: Some(2), .. }), "{error}");
    // As a float it fits.
    let program = builder.read("u", Type::F64).build(&batch.schema()).unwrap();
    let out = program.run(&batch).unwrap();
    assert_eq!(out["y"].as_primitive::<Float64Type>().value(2), 18_446_744_073_709_551_616.0);
    assert_eq!(out["u"].data_type(), &DataType::UInt64);
}

#[test]
fn decimals_are_computed_with_on_request() {
    let prices = Decimal128Array::from(vec![Some(1_999), None, Some(-5)]).with_precision_and_scale(10, 2).unwrap();
    let large = Decimal256Array::from(vec![
        arrow_buffer::i256::from_i128(1),
        arrow_buffer::i256::MAX,
        arrow_buffer::i256::ZERO,
    ]);
    let batch = batch(vec![("price", arc(prices)), ("large", arc(large.with_precision_and_scale(76, 3).unwrap()))]);
    let text = wrong(&batch, "price * 2");
    assert!(text.contains("`price` is Decimal128(10, 2)"), "{text}");
    let engine = Engine::new();
    let program = Program::builder(&engine)
        .column("double", "price * 2")
        .column("small", "large / 2")
        .read("price", Type::F64)
        .read("large", Type::F64)
        .build(&batch.schema())
        .unwrap();
    let out = program.run(&batch).unwrap();
    let expected: Float64Array = vec![Some(19.99 * 2.0), None, Some(-0.05 * 2.0)].into();
    assert_eq!(out["double"].as_primitive::<Float64Type>(), &expected);
    assert_eq!(out["small"].as_primitive::<Float64Type>().values(), &[0.0005, 2f64.powi(255) / 2e3, 0.0]);
    assert_eq!(out.column(0), batch.column(0));
}

#[test]
fn what_is_no_number_passes_through_and_says_so() {
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    words.append_value("a");
    words.append_null();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None]);
    let batch = batch(vec![
        ("text", arc(StringArray::from(vec![Some("a"), None]))),
        ("view", arc(StringViewArray::from(vec![Some("a"), None]))),
        ("bytes", arc(BinaryArray::from(vec![Some(b"\xff".as_slice()), None]))),
        ("word", arc(words.finish())),
        ("list", arc(list)),
        ("gap", arc(IntervalYearMonthArray::from(vec![1, 2]))),
        ("x", arc(Int32Array::from(vec![1, 2]))),
    ]);
    for (name, what) in [
        ("text", "is text, and"),
        ("view", "is text, and"),
        ("bytes", "is bytes, and"),
        ("word", "is a dictionary of text, and"),
        ("list", "is a list, and"),
        ("gap", "is Interval(YearMonth), and"),
    ] {
        let text = wrong(&batch, &format!("x + {name}"));
        assert!(text.contains(&format!("`{name}` {what}")) && text.contains("numbers and bools"), "{text}");
    }
    let engine = Engine::new();
    let program = Program::builder(&engine).column("y", "x").filter("x == 2").build(&batch.schema()).unwrap();
    let out = program.run(&batch).unwrap();
    for column in 0..batch.num_columns() {
        assert_eq!(&out.column(column).to_data(), &batch.column(column).slice(1, 1).to_data(), "{column}");
    }
}

#[test]
fn nulls_in_nulls_out() {
    let batch = batch(vec![
        ("x", arc(Float64Array::from(vec![Some(1.0), None, Some(3.0), None]))),
        ("y", arc(Float64Array::from(vec![Some(10.0), Some(20.0), None, None]))),
        ("b", arc(BooleanArray::from(vec![Some(true), Some(true), None, Some(false)]))),
    ]);
    let floats = |values: Vec<Option<f64>>| arc(Float64Array::from(values));
    assert_eq!(&column(&batch, "x + y"), &floats(vec![Some(11.0), None, None, None]));
    assert_eq!(&column(&batch, "x * 2"), &floats(vec![Some(2.0), None, Some(6.0), None]));
    assert_eq!(&column(&batch, "1.5"), &floats(vec![Some(1.5); 4]));
    assert_eq!(&column(&batch, "x > 2"), &arc(BooleanArray::from(vec![Some(false), None, Some(true), None])));
    // A filter keeps rows that are true, and what it drops it drops from earlier columns too.
    let engine = Engine::new();
    let program = Program::builder(&engine)
        .column("a", "x + 1")
        .column("c", "a * y")
        .filter("not (a > 3)")
        .build(&batch.schema())
        .unwrap();
    let out = program.run(&batch).unwrap();
    assert_eq!((&out["a"], &out["c"]), (&floats(vec![Some(2.0)]), &floats(vec![Some(20.0)])));
    assert_eq!(program.used(), [0, 1]);
    assert_eq!(program.used_by_filter(), [0]);
    let program = Program::builder(&engine).filter("b").build(&batch.schema()).unwrap();
    assert_eq!(program.run(&batch).unwrap()["y"].to_data(), batch["y"].slice(0, 2).to_data());
}

#[test]
fn what_lies_under_a_null_does_not_fail() {
    let mut options = Options::default();
    options.checked = true;
    options.limits.steps = 1000;
    let engine = Engine::with_options(options).unwrap();
    // Zeros and huge counts under the nulls.
    let nulls = arrow_buffer::NullBuffer::from(vec![true, false, true, false, true]);
    let divisor = Int64Array::new(vec![2, 0, 3, 0, 5].into(), Some(nulls.clone()));
    let count = Int64Array::new(vec![3, i64::MAX, 4, i64::MAX, 5].into(), Some(nulls));
    let batch = batch(vec![("d", arc(divisor)), ("n", arc(count))]);
    let program = Program::builder(&engine)
        .column("q", "60 // d")
        .column("s", "sum(k for k in 1..=n)")
        .column("both", "q + s")
        .build(&batch.schema())
        .unwrap();
    let out = program.run(&batch).unwrap();
    let longs =
        |values: [i64; 3]| Int64Array::from(vec![Some(values[0]), None, Some(values[1]), None, Some(values[2])]);
    assert_eq!(out["q"].as_primitive::<Int64Type>(), &longs([30, 20, 12]));
    assert_eq!(out["s"].as_primitive::<Int64Type>(), &longs([6, 10, 15]));
    assert_eq!(out["both"].as_primitive::<Int64Type>(), &longs([36, 30, 27]));
    // What is there still fails, and the row is the batch's: with nulls before it, and with dropped rows before it.
    let zero = Int64Array::from(vec![Some(1), None, None, Some(0), Some(0)]);
    let keys = Int32Array::from(vec![0, 1, 1, 1, 1]);
    let bad = self::batch(vec![("d", arc(zero)), ("k", arc(keys))]);
    for filter in [None, Some("k == 1")] {
        let builder = Program::builder(&engine).column("a", "1").column("q", "60 // d");
        let builder = filter.into_iter().fold(builder, |builder, filter| builder.filter(filter));
        match builder.build(&bad.schema()).unwrap().run(&bad).unwrap_err() {
            RunError::Formula { part: Part::Column(1), row: 3, error } => assert_eq!(error.code(), "division-by-zero"),
            other => panic!("{filter:?}: {other}"),
        }
    }
}

#[test]
fn results_of_several_names_and_replaced_columns() {
    let batch = batch(vec![("x", arc(Float64Array::from(vec![3.0]))), ("y", arc(Float64Array::from(vec![4.0])))]);
    let engine = Engine::new();
    let program = Program::builder(&engine)
        .columns("{ r: hypot(x, y), right: x < y }")
        .column("p", "{ a: r + 1, b: i32(r) }")
        .column("x", "x * 10")
        .column("z", "x + `p.a`")
        .filter("x < 10")
        .build(&batch.schema())
        .unwrap();
    let out = program.run(&batch).unwrap();
    let names: Vec<&str> = out.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["x", "y", "r", "right", "p.a", "p.b", "z"]);
    let value = |name: &str| out[name].as_primitive::<Float64Type>().value(0);
    assert_eq!((value("x"), value("r"), value("p.a"), value("z")), (30.0, 5.0, 6.0, 36.0));
    assert_eq!(out["p.b"].as_primitive::<Int32Type>().value(0), 5);
}

#[test]
fn zero_rows_and_zero_columns() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("x", DataType::Float64, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Second, Some("UTC".into())), false),
    ]));
    let empty = RecordBatch::new_empty(schema);
    let engine = Engine::new();
    let program = Program::builder(&engine).column("y", "x + t").filter("y > 0").build(&empty.schema()).unwrap();
    let out = program.run(&empty).unwrap();
    assert_eq!((out.num_rows(), out.num_columns(), out["y"].data_type()), (0, 3, &DataType::Float64));
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let program = Program::builder(&engine).column("one", "1").build(&bare.schema()).unwrap();
    assert_eq!(program.run(&bare).unwrap()["one"].as_primitive::<Float64Type>().values(), &[1.0; 3]);
    let program = Program::builder(&engine).build(&bare.schema()).unwrap();
    assert_eq!(program.run(&bare).unwrap().num_rows(), 3);
}

#[test]
fn odd_names() {
    let names = ["net income", "größe", "e", "a.b", "", "x\ny", "名前", "`"];
    let columns = names.iter().map(|name| (*name, arc(Float64Array::from(vec![2.0])))).collect();
    let batch = batch(columns);
    for formula in ["`net income`", "größe", "e", "`a.b`", "名前"] {
        assert_eq!(column(&batch, formula).as_primitive::<Float64Type>().value(0), 2.0, "{formula}");
    }
    assert!(wrong(&batch, "net income + 1").contains("back-ticks"));
    // Two columns of one name pass through, and are an error for who asks for one.
    let field = Field::new("x", DataType::Float64, true);
    let schema = Arc::new(Schema::new(vec![field.clone(), field]));
    let (one, two) = (arc(Float64Array::from(vec![1.0])), arc(Float64Array::from(vec![2.0])));
    let twins = RecordBatch::try_new(schema, vec![one, two]).unwrap();
    assert!(wrong(&twins, "x + 1").contains("two columns named `x`"));
    let engine = Engine::new();
    let out = Program::builder(&engine).column("y", "1").build(&twins.schema()).unwrap().run(&twins).unwrap();
    assert_eq!(out.column(1).as_primitive::<Float64Type>().value(0), 2.0);
    assert!(Program::builder(&engine).select(&["x"]).build(&twins.schema()).is_err());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let batch = batch(vec![("x", arc(Int64Array::from(vec![1]))), ("k", arc(StringArray::from(vec!["a"])))]);
    let engine = Engine::new();
    let schema = batch.schema();
    let wrong = |builder: kiln_arrow::Builder| builder.build(&schema).err().expect("an error");
    let new = || Program::builder(&engine);
    let error = wrong(new().column("a", "x").column("b", "1 + y"));
    assert!(matches!((error.part, &error.wrong), (Part::Column(1), Wrong::NoColumn(name)) if name == "y"), "{error}");
    assert_eq!(error.span.text(&error.text), "y");
    let error = wrong(new().column("a", "x +"));
    assert!(matches!(error.wrong, Wrong::Formula(_)), "{error}");
    let error = wrong(new().filter("x + 1"));
    assert!(matches!((error.part, &error.wrong), (Part::Filter, Wrong::NotABool(_))), "{error}");
    let error = wrong(new().column("a", "|x: f64| x + 1"));
    assert!(matches!(error.wrong, Wrong::Declared { declared: Type::F64, ty: Type::I64, .. }), "{error}");
    let error = wrong(new().column("a", "1").column("a", "2"));
    assert!(matches!(error.wrong, Wrong::Twice(_)), "{error}");
    let error = wrong(new().columns("x + 1"));
    assert!(matches!(error.wrong, Wrong::NoName), "{error}");
    let error = wrong(new().select(&["z"]));
    assert!(matches!((error.part, &error.wrong), (Part::Select, Wrong::NoColumn(_))), "{error}");
    for (name, ty) in [("x", Type::Bool), ("x", Type::F32), ("k", Type::F64)] {
        let error = wrong(new().read(name, ty));
        assert!(matches!((error.part, &error.wrong), (Part::Read, Wrong::Unreadable { .. })), "{name}: {error}");
    }
    // A batch of another schema.
    let program = new().column("a", "x").build(&schema).unwrap();
    let other = self::batch(vec![("x", arc(Float64Array::from(vec![1.0]))), ("k", arc(StringArray::from(vec!["a"])))]);
    assert!(matches!(program.run(&other), Err(RunError::Schema { column: 0, .. })));
    assert!(matches!(program.run(&other.project(&[0]).unwrap()), Err(RunError::Schema { .. })));
}

#[test]
fn totals_skip_nulls_and_do_not_see_batches() {
    let values: Vec<Option<f64>> = (0..5000).map(|n| (n % 7 > 0).then(|| f64::from(n).cos() * 1e5)).collect();
    let there: Vec<bool> = values.iter().map(Option::is_some).collect();
    // What lies under a null is anything.
    let numbers: Vec<f64> = values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    let nulls = arrow_buffer::NullBuffer::from(there.clone());
    let whole = batch(vec![("x", arc(Float64Array::new(numbers.clone().into(), Some(nulls))))]);
    let engine = Engine::new();
    let formulas = [(Some("s"), "sum(x)"), (None, "{ n: count(x), all: nrows(), m: max(x) - min(x) }")];
    let aggregates = Aggregates::new(&engine, &formulas, &whole.schema(), &HashMap::new()).unwrap();
    assert_eq!(aggregates.used(), [0]);
    let sum = engine.formula("sum(x)").nullable(&["x"]).compile().unwrap();
    let expected = sum.aggregate(&[&numbers, &there]).unwrap()[0];
    for size in [1, 10, 999, 1024, 5000] {
        let mut totals = aggregates.start();
        for start in (0..5000).step_by(size) {
            totals.add(&whole.slice(start, size.min(5000 - start))).unwrap();
        }
        let row = totals.finish().unwrap();
        let sum = row["s"].as_primitive::<Float64Type>().value(0);
        assert!(expected.is_some_and(|expected| expected.same(kiln::Value::F64(sum))), "{size}");
        assert_eq!(row["n"].as_primitive::<Int64Type>().value(0), values.iter().flatten().count() as i64);
        assert_eq!(row["all"].as_primitive::<Int64Type>().value(0), 5000);
    }
    let row = aggregates.start().finish().unwrap();
    assert_eq!(row["s"].as_primitive::<Float64Type>().value(0), 0.0);
    assert!(row["m"].is_null(0));
    // A total cannot have a value in every row.
    let error = |formula| match Aggregates::new(&engine, &[(Some("t"), formula)], &whole.schema(), &HashMap::new()) {
        Ok(_) => panic!("{formula} compiles"),
        Err(error) => error.wrong,
    };
    assert!(matches!(error("x + 1"), Wrong::PerRow));
}

#[test]
fn programs_are_used_from_several_threads() {
    let batch = batch(vec![("x", arc(Float64Array::from((0..1000).map(f64::from).collect::<Vec<_>>())))]);
    let engine = Engine::new();
    let program = Program::builder(&engine).column("y", "sqrt(x)").filter("x > 10").build(&batch.schema()).unwrap();
    let expected = program.run(&batch).unwrap();
    std::thread::scope(|scope| {
        let run = || program.run(&batch).unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), expected));
    });
}

/// Random programs of one formula over random columns, beside the same formula called row by row; all are null where an
/// input is, as those of tests/nulls.rs are not.
#[test]
fn the_same_as_row_by_row() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let formulas =
        ["x * y + n", "if(x > y, x, y) / n", "n % 7 + i32(x)", "x > y and x > -1000 or x > y", "floor(x) ^ 2 - n // 3"];
    let engine = Engine::new();
    for round in 0..60 {
        let rows = (next() % 200) as usize;
        let floats = |next: &mut dyn FnMut() -> u64| -> Vec<Option<f64>> {
            (0..rows).map(|_| (!next().is_multiple_of(5)).then(|| (next() % 2001) as f64 / 10.0 - 100.0)).collect()
        };
        let (x, y) = (floats(&mut next), floats(&mut next));
        let n: Vec<Option<i64>> =
            (0..rows).map(|_| (!next().is_multiple_of(7)).then(|| (next() % 100) as i64 - 50)).collect();
        let b: Vec<Option<bool>> = (0..rows).map(|_| (!next().is_multiple_of(3)).then(|| next() % 2 == 0)).collect();
        let from = (next() % (rows as u64 + 1)) as usize;
        let whole = batch(vec![
            ("x", arc(Float64Array::from(x.clone()))),
            ("y", arc(Float64Array::from(y.clone()))),
            ("n", arc(Int64Array::from(n.clone()))),
            ("b", arc(BooleanArray::from(b.clone()))),
        ]);
        let part = whole.slice(from, rows - from);
        let formula = formulas[round % formulas.len()];
        let out = column(&part, formula);
        let function = Program::builder(&engine).column("o", formula).build(&part.schema()).unwrap();
        let function = function.function(Part::Column(0)).unwrap().clone();
        assert_eq!(out.len(), rows - from);
        for row in from..rows {
            let value = |name: &str| match name {
                "x" => x[row].map(kiln::Value::F64),
                "y" => y[row].map(kiln::Value::F64),
                "n" => n[row].map(kiln::Value::I64),
                _ => b[row].map(kiln::Value::Bool),
            };
            let arguments: Option<Vec<kiln::Value>> =
                function.params().iter().map(|param| value(&param.name)).collect();
            let expected = arguments.map(|arguments| function.call(&arguments).unwrap());
            let at = row - from;
            let given = out.is_valid(at).then(|| match out.data_type() {
                DataType::Float64 => kiln::Value::F64(out.as_primitive::<Float64Type>().value(at)),
                DataType::Int64 => kiln::Value::I64(out.as_primitive::<Int64Type>().value(at)),
                _ => kiln::Value::Bool(out.as_boolean().value(at)),
            });
            let same = match (given, expected) {
                (Some(given), Some(expected)) => given.same(expected),
                (given, expected) => given.is_none() && expected.is_none(),
            };
            assert!(same, "{formula}, row {row}: {given:?}, {expected:?}");
        }
    }
}
