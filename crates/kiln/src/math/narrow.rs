//! What makes functions of one `f32` correctly rounded.
//!
//! The one idea: they are computed as functions of `f64`, less than a unit in the last place from the true result. That is
//! rounded right unless it lies on the very middle of two `f32`, where the true one may be on either side, and all that
//! do were found by `cargo xtask math --f32`, which compares all inputs. So a result in the middle is rare, and looked up
//! in a table; what is not found there is rounded like any other.
//!
//! To add a row: what that command prints. Rows of a function stand together, and a function has none that it does not need:
//! without any its results are not tested at all. This file knows no function but by its name.

#![forbid(unsafe_code)]

use super::calls::Routine;
use super::lanes::Lanes;
use crate::ops::words::Word as _;

/// A result that rounding the `f64` would get wrong.
struct Exception {
    /// As listings have it.
    function: &'static str,
    /// Bits of the argument, an `f32`, and of the correctly rounded result.
    input: u32,
    result: u32,
}

macro_rules! exceptions {
    ($($function:literal: $($input:literal $result:literal),+;)*) => {
        const EXCEPTIONS: &[Exception] = &[$($(Exception { function: $function, input: $input, result: $result }),+),*];
    };
}
// function: bits of an input and of its result, ...
exceptions! {
    "exp2": 0x3b429d37 0x3f804385, 0xbcf3a937 0x3f7ac6b1;
    "log": 0x3c413d3a 0xc08e158f, 0x41178feb 0x400fe5e7, 0x4c5d65a5 0x418f034b,
        0x65d890d3 0x4254d1f9, 0x6f31a8ec 0x42845a89;
    "log10": 0x0efeee7a 0xc1e99d23;
    "sin": 0x46199998 0xbeb1fa5d, 0xc6199998 0x3eb1fa5d;
    "cos": 0x5f18b878 0x3f7f14bb, 0x6115cb11 0x3f78142f, 0xdf18b878 0x3f7f14bb, 0xe115cb11 0x3f78142f;
    "acos": 0x328885a3 0x3fc90fdb, 0x39826222 0x3fc907b5;
    "atan": 0x3d8d6b23 0x3d8d31c3, 0xbd8d6b23 0xbd8d31c3;
    "sinh": 0x3a1285ff 0x3a1285ff, 0xba1285ff 0xba1285ff;
    "asinh": 0x4bdd65a5 0x418f034b, 0x655890d3 0x4254d1f9, 0x6eb1a8ec 0x42845a89,
        0xcbdd65a5 0xc18f034b, 0xe55890d3 0xc254d1f9, 0xeeb1a8ec 0xc2845a89;
    "erfc": 0xb76c9f62 0x3f800085;
    "gamma": 0x27de86a9 0x57134133, 0x27e05475 0x57121211;
    "lgamma": 0x3b7c53aa 0x40b1d661, 0xb0d6f2ca 0x41a23559;
    "acosh": 0x655890d3 0x4254d1f9, 0x6eb1a8ec 0x42845a89;
    "log1p": 0x35400003 0x353fffff, 0x3710001b 0x370ffff3, 0x3efd81ad 0x3ecdeee1,
        0x41078feb 0x400fe5e7, 0x65d890d3 0x4254d1f9, 0x6f31a8ec 0x42845a89, 0xb53ffffd 0xb5400001,
        0xb70fffe5 0xb710000d, 0xbb0ec8c4 0xbb0ef0a5;
}

/// The low bits of an `f64` that an `f32` has not, and what they are in the middle of two.
const LOW: i64 = (1 << 29) - 1;
const MIDDLE: i64 = 1 << 28;

/// No rows.
const NONE: usize = usize::MAX;

/// The first row of a function of floats of so many bytes.
pub(super) const fn first_row(function: &str, bytes: usize) -> usize {
    if bytes != size_of::<f32>() {
        return NONE;
    }
    let function = function.as_bytes();
    let mut row = 0;
    while row < EXCEPTIONS.len() {
        let name = EXCEPTIONS[row].function.as_bytes();
        let mut same = 0;
        while same < name.len() && same < function.len() && name[same] == function[same] {
            same += 1;
        }
        if same == name.len() && same == function.len() {
            return row;
        }
        row += 1;
    }
    NONE
}

/// The result `y` of an `f32` `x` by the function whose rows begin at `first`: what is to be rounded to an `f32`.
#[inline(always)]
pub(super) fn settle<L: Lanes>(l: &L, first: usize, x: L::Float, y: L::Float) -> L::Float {
    if first == NONE {
        return y;
    }
    let is_middle = l.iequal(l.iand(l.bits(y), l.int(LOW)), l.int(MIDDLE));
    l.rare(is_middle, &SETTLED, &[x, y, l.float(first as f64)], y)
}

/// What a result in the middle is to be: of an argument, that result, and the function's first row.
static SETTLED: Routine = Routine {
    name: "settled",
    wide: |x, y, first| {
        let first = f64::from_word(first) as usize;
        let rows = EXCEPTIONS.get(first..).unwrap_or(&[]);
        let mut rows = rows.iter().take_while(|row| row.function == rows[0].function);
        let found = rows.find(|row| f64::from(f32::from_bits(row.input)).to_word() == x);
        found.map_or(y, |row| f64::from(f32::from_bits(row.result)).to_word())
    },
    narrow: |_, y, _| y,
    kernels: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Value;
    use crate::{Engine, EngineKind, Options};

    type Nearest = fn(f32) -> f32;

    const NEAREST: [(&str, Nearest); 14] = [
        ("exp2", core_math::exp2f),
        ("log", core_math::logf),
        ("log10", core_math::log10f),
        ("sin", core_math::sinf),
        ("cos", core_math::cosf),
        ("acos", core_math::acosf),
        ("atan", core_math::atanf),
        ("sinh", core_math::sinhf),
        ("asinh", core_math::asinhf),
        ("acosh", core_math::acoshf),
        ("log1p", core_math::log1pf),
        ("erfc", core_math::erfcf),
        ("gamma", core_math::tgammaf),
        ("lgamma", core_math::lgammaf),
    ];

    /// Each row is a correctly rounded result, is needed, and is what comes out, of single calls and of columns.
    #[test]
    fn exceptions_are_met() {
        for row in EXCEPTIONS {
            let first = first_row(row.function, 4);
            assert!(
                EXCEPTIONS[first..]
                    .iter()
                    .take_while(|other| other.function == row.function)
                    .any(|r| r.input == row.input)
            );
            let (_, nearest) = NEAREST.iter().find(|other| other.0 == row.function).expect(row.function);
            let (x, want) = (f32::from_bits(row.input), f32::from_bits(row.result));
            assert_eq!(nearest(x).to_bits(), row.result, "{}({x:e})", row.function);
            for kind in [EngineKind::Interpreter, EngineKind::Jit] {
                let engine = Engine::with_options(Options { engine: Some(kind), ..Options::default() }).unwrap();
                let call = format!("{}(x)", row.function);
                let function = engine.formula(&call).params("x: f32").compile().unwrap();
                let single = function.call(&[Value::F32(x)]).unwrap();
                assert!(single.same(Value::F32(want)), "{kind:?}: {call} of {x:e} is {single}, not {want:e}");
                let (inputs, mut out) = (vec![x; 37], vec![0f32; 37]);
                function.eval_columns(&[&inputs], &mut out).unwrap();
                assert_eq!(out, vec![want; 37], "{kind:?}: {call} of {x:e}, by columns");
                let wide =
                    engine.formula(&format!("f32({}(f64(x)))", row.function)).params("x: f32").compile().unwrap();
                let wide = wide.call(&[Value::F32(x)]).unwrap();
                assert!(!wide.same(Value::F32(want)), "{call} of {x:e} needs no row");
            }
        }
    }
}
