//! The functions that are compared.
//!
//! Owns their names in every language and the ranges of their inputs. The one idea: a row is a function, and where a
//! library has none there is no name and a dash in the tables. The ranges are those of which results are normal numbers, so
//! that times are those of the common path; what lies beyond counts for the errors.
//!
//! To add a function: a row here, its exact value in `exact`, its names in `python/functions.py`.

use super::exact::{self, Exact};

/// A function.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// As a formula of `x` and `y`.
    pub(crate) kiln: &'static str,
    /// In C, without the suffix of single precision. The vector functions of glibc have the same names.
    pub(crate) c: Option<&'static str>,
    pub(crate) svml: Option<&'static str>,
    /// The name and how good it claims to be.
    pub(crate) sleef: Option<(&'static str, &'static str)>,
    pub(crate) range: [f64; 2],
    /// The range of the second argument, if there is one.
    pub(crate) second: Option<[f64; 2]>,
    /// Ranges in single precision, where the others are too wide.
    pub(crate) single: Option<[[f64; 2]; 2]>,
    /// The result as the nearest double.
    pub(crate) nearest: fn(f64, f64) -> f64,
    pub(crate) exact: Exact,
}

impl Row {
    /// The ranges of all arguments, for a type.
    pub(crate) fn ranges(&self, is_single: bool) -> Vec<[f64; 2]> {
        let [first, second] = match self.single {
            Some(single) if is_single => single,
            _ => [self.range, self.second.unwrap_or_default()],
        };
        if self.second.is_some() { vec![first, second] } else { vec![first] }
    }

    /// Is it the sine and the cosine of one argument? Their sum is stored, and its error is in units of 1 to 2.
    pub(crate) fn is_pair(&self) -> bool {
        self.name == "sincos"
    }
}

macro_rules! rows {
    ($($name:ident $range:expr, $exact:expr $(, $field:ident: $value:expr)*;)*) => {
        vec![$(Row {
            $($field: $value,)*
            ..row(stringify!($name), $range, |x, _| core_math::$name(x), $exact)
        }),*]
    };
}

/// A function of one argument that has the same name everywhere.
fn row(name: &'static str, range: [f64; 2], nearest: fn(f64, f64) -> f64, exact: Exact) -> Row {
    // Formulas are made of the name by `formula`, unless the row has a text of its own.
    let (c, svml, sleef) = (Some(name), Some(name), Some((name, "u10")));
    Row { name, kiln: "", c, svml, sleef, range, second: None, single: None, nearest, exact }
}

/// The formula of a row.
pub(crate) fn formula(row: &Row) -> String {
    match (row.kiln, row.second) {
        ("", None) => format!("{}(x)", row.name),
        ("", Some(_)) => format!("{}(x, y)", row.name),
        (text, _) => text.to_owned(),
    }
}

/// Ranges of a function of one argument in single precision.
fn single(range: [f64; 2]) -> Option<[[f64; 2]; 2]> {
    Some([range, [0.0, 0.0]])
}

/// All functions.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = rows! {
        exp [-700.0, 700.0], |v, big| big.exp(&v[0]), single: single([-80.0, 80.0]);
        exp2 [-1000.0, 1000.0], |v, big| big.pow(&big.number(2.0), &v[0]), single: single([-120.0, 120.0]);
        exp10 [-300.0, 300.0], |v, big| big.pow(&big.number(10.0), &v[0]), single: single([-35.0, 35.0]);
        expm1 [-40.0, 700.0], |v, big| big.expm1(&v[0]), single: single([-20.0, 80.0]);
        log [0.0, 10.0], |v, big| big.ln(&v[0]);
        log2 [0.0, 10.0], |v, big| big.log2(&v[0]);
        log10 [0.0, 10.0], |v, big| big.log10(&v[0]);
        log1p [-1.0, 10.0], |v, big| big.log1p(&v[0]);
        sin [-100.0, 100.0], |v, big| big.sin(&v[0]);
        cos [-100.0, 100.0], |v, big| big.cos(&v[0]);
        tan [-100.0, 100.0], |v, big| big.tan(&v[0]);
        asin [-1.0, 1.0], |v, big| big.asin(&v[0]);
        acos [-1.0, 1.0], |v, big| big.acos(&v[0]);
        atan [-10.0, 10.0], |v, big| big.atan(&v[0]);
        sinh [-20.0, 20.0], |v, big| big.sinh(&v[0]);
        cosh [-20.0, 20.0], |v, big| big.cosh(&v[0]);
        tanh [-20.0, 20.0], |v, big| big.tanh(&v[0]);
        asinh [-10.0, 10.0], |v, big| big.asinh(&v[0]);
        acosh [1.0, 10.0], |v, big| big.acosh(&v[0]);
        atanh [-1.0, 1.0], |v, big| big.atanh(&v[0]);
        cbrt [-1000.0, 1000.0], |v, big| big.cbrt(&v[0]);
        sinpi [-10.0, 10.0], |v, big| big.sinpi(&v[0]), c: None, sleef: Some(("sinpi", "u05"));
        cospi [-10.0, 10.0], |v, big| big.cospi(&v[0]), c: None, sleef: Some(("cospi", "u05"));
        erf [-4.0, 4.0], |v, big| big.erf(&v[0]);
        erfc [-4.0, 9.0], |v, big| big.erfc(&v[0]), sleef: Some(("erfc", "u15"));
        lgamma [0.1, 100.0], |v, big| big.lgamma(&v[0]), svml: None;
    };
    rows.push(Row {
        c: Some("tgamma"),
        sleef: Some(("tgamma", "u10")),
        svml: None,
        ..row("gamma", [0.1, 20.0], |x, _| core_math::tgamma(x), |v, big| big.gamma(&v[0]))
    });
    rows.push(Row {
        kiln: "sin(x) + cos(x)",
        ..row(
            "sincos",
            [-100.0, 100.0],
            |x, _| core_math::sin(x) + core_math::cos(x),
            |v, big| exact::sum(&big.sin(&v[0]), &big.cos(&v[0])),
        )
    });
    rows.push(Row {
        second: Some([-50.0, 50.0]),
        single: Some([[0.0, 50.0], [-10.0, 10.0]]),
        ..row("pow", [0.0, 50.0], core_math::pow, |v, big| big.pow(&v[0], &v[1]))
    });
    rows.push(Row {
        second: Some([-10.0, 10.0]),
        ..row("atan2", [-10.0, 10.0], core_math::atan2, |v, big| big.atan2(&v[0], &v[1]))
    });
    rows.push(Row {
        second: Some([-10.0, 10.0]),
        sleef: Some(("hypot", "u05")),
        ..row("hypot", [-10.0, 10.0], core_math::hypot, |v, big| big.hypot(&v[0], &v[1]))
    });
    rows
}
