//! How far results lie from correctly rounded ones, function by function.
//!
//! Each row samples random bit patterns and its own range in equal parts, and the inputs known to be hard where their
//! file is there; blocks of rows are evaluated, whose bits other tests compare with those of every engine. The distance is counted in representable numbers: 0 means correctly rounded, and an error of at most
//! u ULP means a distance of at most floor(u + 1/2), which is what the table's bounds are held to. With `--nocapture`
//! the table of maxima is printed.

#![allow(clippy::print_stdout, reason = "the table is the point of the test")]

use super::*;
use crate::ir::blocks::Blocks;
use crate::ir::build::BuildOptions;
use crate::types::Value;
use std::path::Path;

/// Samples per function and type; half of them random bits.
const SAMPLES: usize = 1_000_000;

type Wide = fn(f64, f64) -> f64;
type Narrow = fn(f32, f32) -> f32;

struct Row {
    name: &'static str,
    /// The name in the file of hard inputs.
    file_name: &'static str,
    args: usize,
    wide: Wide,
    narrow: Narrow,
    low: f64,
    high: f64,
}

macro_rules! rows {
    ($($name:ident $file:ident $args:tt $wide:ident $narrow:ident $low:literal $high:literal;)*) => {
        &[$(Row {
            name: stringify!($name),
            file_name: stringify!($file),
            args: $args,
            wide: rows!(@ $args $wide),
            narrow: rows!(@ $args $narrow),
            low: $low,
            high: $high,
        }),*]
    };
    (@ 1 $f:ident) => { |x, _| core_math::$f(x) };
    (@ 2 $f:ident) => { |x, y| core_math::$f(x, y) };
}

/// How far a NaN is from a number.
const FAR: u64 = u64::MAX;

// function, name in the file, arguments, references, range
#[rustfmt::skip]
const ROWS: &[Row] = rows! {
    cbrt   cbrt   1 cbrt   cbrtf   -1000.0 1000.0 ;
    exp    exp    1 exp    expf    -745.0  710.0;
    exp2   exp2   1 exp2   exp2f   -1075.0 1024.0 ;
    exp10  exp10  1 exp10  exp10f  -324.0  309.0;
    expm1  expm1  1 expm1  expm1f  -40.0   40.0;
    log    log    1 log    logf    0.0     10.0;
    log2   log2   1 log2   log2f   0.0     10.0;
    log10  log10  1 log10  log10f  0.0     10.0;
    log1p  log1p  1 log1p  log1pf  -1.0    10.0;
    sin    sin    1 sin    sinf    -100.0  100.0;
    cos    cos    1 cos    cosf    -100.0  100.0;
    tan    tan    1 tan    tanf    -100.0  100.0;
    asin   asin   1 asin   asinf   -1.0    1.0;
    acos   acos   1 acos   acosf   -1.0    1.0;
    atan   atan   1 atan   atanf   -10.0   10.0;
    sinh   sinh   1 sinh   sinhf   -30.0   30.0;
    cosh   cosh   1 cosh   coshf   -30.0   30.0;
    tanh   tanh   1 tanh   tanhf   -20.0   20.0;
    asinh  asinh  1 asinh  asinhf  -10.0   10.0;
    acosh  acosh  1 acosh  acoshf  1.0     10.0;
    atanh  atanh  1 atanh  atanhf  -1.0    1.0;
    sinpi  sinpi  1 sinpi  sinpif  -10.0   10.0;
    cospi  cospi  1 cospi  cospif  -10.0   10.0;
    erf    erf    1 erf    erff    -6.0    6.0;
    erfc   erfc   1 erfc   erfcf   -6.0    27.0;
    gamma  tgamma 1 tgamma tgammaf -20.0   30.0;
    lgamma lgamma 1 lgamma lgammaf -20.0   30.0;
    pow    pow    2 pow    powf    0.0     50.0;
    atan2  atan2  2 atan2  atan2f  -10.0   10.0;
    hypot  hypot  2 hypot  hypotf  -10.0   10.0;
};

/// A sequence that looks random enough (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

/// Position among the representable numbers.
fn position(bits: u64, sign: u64) -> i64 {
    if bits & sign == 0 { bits as i64 } else { -((bits & !sign) as i64) }
}

/// How many representable numbers lie between; a NaN is far from everything but NaN.
fn distance(got: Value, expected: Value) -> u64 {
    if got.same(expected) {
        return 0;
    }
    if got.is_nan() || expected.is_nan() {
        return FAR;
    }
    let sign = if got.ty() == Type::F64 { 1 << 63 } else { 1 << 31 };
    // The wrong zero counts too.
    position(got.to_bits(), sign).abs_diff(position(expected.to_bits(), sign)).max(1)
}

/// A number as the file writes it: `-0x1.8p-3`.
fn hex(text: &str) -> Option<f64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (mantissa, exponent) = text.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = &fraction[..fraction.len().min(13)];
    let value = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let value = libm::ldexp(value as f64, exponent.parse::<i32>().ok()? - 4 * fraction.len() as i32);
    Some(if negative { -value } else { value })
}

fn hard_inputs() -> Option<Vec<(String, Type, f64, f64)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/worst_inputs.tsv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipping the hard inputs: {} is absent", path.display());
        return None;
    };
    Some(
        text.lines()
            .skip(1)
            .filter_map(|line| {
                let mut fields = line.split('\t');
                let (name, ty) = (fields.next()?, Type::from_name(fields.next()?)?);
                let (x, y) = (hex(fields.next()?)?, fields.next().and_then(hex).unwrap_or(0.0));
                Some((name.to_owned(), ty, x, y))
            })
            .collect(),
    )
}

fn value_of(ty: Type, x: f64) -> Value {
    if ty == Type::F64 { Value::F64(x) } else { Value::F32(x as f32) }
}

/// The largest distance so far, and where.
#[derive(Clone, Copy, Default)]
struct Worst(u64, f64, f64);

#[test]
fn accuracy() {
    let hard = hard_inputs().unwrap_or_default();
    let mut failures = Vec::new();
    println!("function  type  samples: worst, at                                     hard inputs: worst, at");
    for row in ROWS {
        let function = lookup(row.name).unwrap();
        for ty in [Type::F64, Type::F32] {
            let mut b = Builder::default();
            b.reset(BuildOptions::default());
            let params: Vec<Ref> = (0..row.args).map(|_| b.param(ty)).collect();
            let result = (function.build)(&mut b, &params);
            b.func.results.push(result);
            let blocks = Blocks::new(&b.func).unwrap();
            let mut memory = blocks.memory();
            let size = ty.bits() as usize / 8;
            // As many rows as a block has, at most.
            let mut measure = |worst: &mut Worst, inputs: &[[f64; 2]]| {
                for number in 0..row.args {
                    let Some(bytes) = blocks.input(&mut memory, number) else { continue };
                    for (bytes, input) in bytes.chunks_exact_mut(size).zip(inputs) {
                        let word = value_of(ty, input[number]).to_bits().to_le_bytes();
                        bytes.copy_from_slice(&word[..size]);
                    }
                }
                assert!(blocks.evaluate(&mut memory, inputs.len()));
                for (bytes, &[x, y]) in blocks.output(&memory, 0).chunks_exact(size).zip(inputs) {
                    let mut word = [0; 8];
                    word[..size].copy_from_slice(bytes);
                    let expected = match ty {
                        Type::F64 => Value::F64((row.wide)(x, y)),
                        _ => Value::F32((row.narrow)(x as f32, y as f32)),
                    };
                    let far = distance(Value::from_bits(ty, u64::from_le_bytes(word)), expected);
                    if far > worst.0 {
                        *worst = Worst(far, x, y);
                    }
                }
            };
            let (mut random, mut sampled, mut known_hard) = (Random(1), Worst::default(), Worst::default());
            let mut inputs = Vec::new();
            for i in 0..SAMPLES {
                inputs.push([0, 1].map(|_| match (i % 2, ty) {
                    (0, Type::F64) => f64::from_bits(random.bits()),
                    (0, _) => f64::from(f32::from_bits(random.bits() as u32)),
                    _ => random.between(row.low, row.high),
                }));
                if inputs.len() == blocks.rows() || i + 1 == SAMPLES {
                    measure(&mut sampled, &inputs);
                    inputs.clear();
                }
            }
            let hard: Vec<[f64; 2]> = hard
                .iter()
                .filter(|(name, of, ..)| {
                    let is_both = name == "sincos" && matches!(row.name, "sin" | "cos");
                    *of == ty && (*name == row.file_name || is_both)
                })
                .map(|&(_, _, x, y)| [x, y])
                .collect();
            for inputs in hard.chunks(blocks.rows()) {
                measure(&mut known_hard, inputs);
            }
            println!(
                "{:<9} {ty:<5} {:>5} {:>26?} {:>24?} {:>20} {:>26?} {:>24?}",
                row.name, sampled.0, sampled.1, sampled.2, known_hard.0, known_hard.1, known_hard.2
            );
            // Of one argument functions of f32 are correctly rounded; of two they are rounded twice, which rare ties show.
            let bound = if ty == Type::F64 { (function.ulp + 0.5) as u64 } else { row.args as u64 - 1 };
            let far = sampled.0.max(known_hard.0);
            if far > bound || far == FAR {
                failures.push(format!("{} {ty}: {far} > {bound}", row.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
