//! Every engine computes the functions that it says it computes.

use super::native::Source;
use super::*;

fn arguments(functions: &[&str], engines: &[&str]) -> Arguments {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Arguments {
        functions: owned(functions),
        rows: 203,
        rounds: 1,
        samples: 1000,
        types: vec![],
        engines: owned(engines),
        python: None,
        json: None,
        markdown: false,
    }
}

/// No engine is off by more than this where inputs are in the range; JAX makes some functions of others.
fn limit(engine: &str) -> f64 {
    if engine == "jax" { 1e5 } else { 5.0 }
}

fn engines_agree<T: Number>(engines: &[&str]) {
    let rows = table::rows();
    let arguments = arguments(&[], engines);
    let folder = Folder::new().unwrap();
    let session = Session::<T>::new(&arguments, &rows, &folder).unwrap();
    let mut computed = vec![0; session.entrants.len()];
    for row in &rows {
        // Not a whole number of vectors.
        let values = usual::<T>(row, 203);
        let doubles: Vec<Vec<f64>> =
            values.iter().map(|column| column.iter().map(|value| value.to_double()).collect()).collect();
        session.load(&values).unwrap();
        let mut big = Big::new().unwrap();
        let mut reference = Reference::new(row, T::FORMAT, &doubles);
        for (at, entrant) in session.entrants.iter().enumerate() {
            let Some(runner) = entrant.compile::<T>(row).unwrap() else { continue };
            let Some(results) = runner.results(row, &values).unwrap() else { continue };
            let results: Vec<f64> = results.into_iter().map(T::to_double).collect();
            let error = reference.error(&results, &mut big);
            let what = format!("{} {:?} {} {}", entrant.name, entrant.width, T::PREFIX, row.name);
            assert!(error.worst <= limit(&entrant.name), "{what}: {error:?}");
            computed[at] += 1;
        }
    }
    // Who falls silent is noticed.
    for (entrant, computed) in session.entrants.iter().zip(computed) {
        let least = match entrant.name.as_str() {
            "kiln" | "kiln-again" | "sleef" => 31,
            "svml" | "svml-ha" | "libm" => 29,
            "libmvec" => 27,
            "clang" => 5,
            "numpy" => 24,
            "numexpr" => 20,
            "jax" => 28,
            other => panic!("{other} is not known"),
        };
        assert!(computed >= least, "{} computed {computed} of {least}", entrant.name);
    }
}

#[test]
fn engines_agree_with_kiln() {
    engines_agree::<f64>(&[]);
    engines_agree::<f32>(&[]);
}

#[test]
fn loops_end_where_columns_end() {
    let rows = table::rows();
    for native in native::ENGINES.iter().filter(|native| native.missing().is_none()) {
        let loops = native.build::<f64>(&rows, Width::Avx2).unwrap();
        // libmvec has no gamma, so loops that call it row by row are not its own.
        assert_eq!(loops.names.contains("gamma"), matches!(native.source, Source::Scalar(_) | Source::Sleef));
        for row in rows.iter().filter(|row| loops.names.contains(row.name)) {
            let count = row.ranges(false).len();
            let function: ColumnLoop<f64> = loops.library.column_loop(row.name, count).unwrap();
            for length in [0, 1, 7, 8, 9, 300] {
                let inputs: Vec<Column<f64>> = usual(row, 320).iter().map(|values| column(values)).collect();
                let mut out = Column::new(320);
                out.fill(-7.25);
                function.run(&inputs, &mut out[..length]);
                let what = format!("{} {} of {length} rows", native.name, row.name);
                assert!(out[length..].iter().all(|value| *value == -7.25), "{what}");
                assert!(out[..length].iter().all(|value| *value != -7.25), "{what}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_named() {
    let error = run(&arguments(&["nothing"], &[])).unwrap_err();
    assert!(error.contains("nothing") && error.contains("lgamma"), "{error}");
    let error = run(&arguments(&["sin"], &["nobody"])).unwrap_err();
    assert!(error.contains("nobody") && error.contains("svml-ha"), "{error}");
    let folder = Folder::new().unwrap();
    let missing = python::Python::start::<f64>(std::path::Path::new("/nowhere/python"), Width::Avx2, &folder.0);
    assert!(missing.err().unwrap().contains("requirements.txt"));
}

#[test]
fn kiln_is_compared_with_the_fastest_that_is_accurate() {
    let cell = |time: f64, worst: f64| Some(Cell { time, error: Error { worst, ..Error::default() } });
    let names = ["kiln", "kiln-again", "fast", "good", "slow"];
    let cells = vec![cell(2.0, 0.6), cell(2.2, 0.6), cell(0.5, 3.0), cell(4.0, 1.0), cell(8.0, 0.5)];
    let table = shown(&names, &["f"], &[cells]).show(true);
    assert!(table.contains("| 2.00 (0.60) | 2.20 (0.60) | 0.50 (3.00) | 4.00 (1.00) | 8.00 (0.50) |"), "{table}");
    assert!(table.contains("| 0.50 (good) | 4.00 (fast) | 1.10 |"), "{table}");
    let alone = shown(&names, &["f"], &[vec![cell(2.0, 0.6), None, None, None, None]]).show(true);
    assert!(alone.contains("| 2.00 (0.60) | - | - | - | - | - | - | - |"), "{alone}");
}

#[test]
fn inputs_are_in_the_range_and_anywhere() {
    let rows = table::rows();
    let pow = rows.iter().find(|row| row.name == "pow").unwrap();
    let columns = inputs::<f32>(pow, 1000, 3);
    assert!(columns.len() == 2 && columns.iter().all(|column| column.len() == 1000));
    assert!(columns[1].iter().step_by(2).all(|y| y.abs() <= 10.0));
    assert!(columns[1].iter().any(|y| y.abs() > 1e20) && columns[1].iter().all(|y| f64::from(*y as f32) == *y));
}
