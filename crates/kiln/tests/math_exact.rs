//! Exact functions of floats over columns and in single calls, on every engine and level: remainders, quotients, neighbours and
//! scaling are what another implementation says, where quotients are nearly whole, long, or of the smallest numbers.
//! Powers of negative bases are those of positive ones but for their sign.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use kiln::Value;
use support::{Random, compile, engines};

/// Pairs of numbers at which something happens, no whole number of steps of any level.
fn pairs(count: usize) -> Vec<(f64, f64)> {
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        -3.0,
        5e-324,
        -2.2250738585072014e-308,
        f64::MAX,
        f64::INFINITY,
        -f64::INFINITY,
        f64::NAN,
    ];
    let mut all: Vec<(f64, f64)> = special.iter().flat_map(|&x| special.map(|y| (x, y))).collect();
    let mut random = Random(11);
    for i in 0..count {
        let (a, b) = (random.next(), random.next());
        let mantissa = f64::from_bits(a & 0x800f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
        let scale = [1.0, 1.0, 1e-308, 2f64.powi(-1070), 2f64.powi(960)][i % 5];
        let y = if a & 64 == 0 { (mantissa * 8.0).trunc() * scale } else { mantissa * scale };
        // Quotients of up to 70 bits, whole ones, ones less a little, and those around 2^53.
        let whole = match b & 7 {
            0 => 9007199254740992.0 + ((b >> 8) & 3) as f64 * 2.0 - 4.0,
            1 => 2f64.powi((b >> 8) as i32 & 63),
            _ => (b >> (b >> 3 & 63)) as f64,
        };
        let x = y * whole.copysign(b as i64 as f64);
        let x = match b >> 6 & 3 {
            0 => x,
            1 => f64::from_bits(x.to_bits().wrapping_sub(1)),
            2 => f64::from_bits(x.to_bits() + 1),
            _ => x + y * (a >> 12) as f64 / 4503599627370496.0,
        };
        all.push((x, y));
        all.push((f64::from_bits(a), f64::from_bits(b)));
    }
    all
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

fn floor_mod(x: f64, y: f64) -> f64 {
    let rest = x % y;
    if rest == 0.0 {
        rest.copysign(y)
    } else if (rest < 0.0) != (y < 0.0) {
        rest + y
    } else {
        rest
    }
}

fn floor_mod_narrow(x: f32, y: f32) -> f32 {
    let rest = x % y;
    if rest == 0.0 {
        rest.copysign(y)
    } else if (rest < 0.0) != (y < 0.0) {
        rest + y
    } else {
        rest
    }
}

type Case = (&'static str, fn(f64, f64) -> f64, fn(f32, f32) -> f32);

/// Two floats, and what is expected.
const CASES: [Case; 6] = [
    ("fmod(x, y)", |x, y| x % y, |x, y| x % y),
    ("x % y", floor_mod, floor_mod_narrow),
    // Less than one of the divisor: 0, or the first.
    ("fmod(x % y, y)", |x, y| floor_mod(x, y) % y, |x, y| floor_mod_narrow(x, y) % y),
    ("nextafter(x, y)", libm::nextafter, libm::nextafterf),
    (
        "ldexp(x, y)",
        |x, y| libm::scalbn(x, (y as i64).clamp(-5000, 5000) as i32),
        |x, y| libm::scalbnf(x, (y as i64).clamp(-5000, 5000) as i32),
    ),
    ("fma(x, y, -x)", |x, y| libm::fma(x, y, -x), |x, y| libm::fmaf(x, y, -x)),
];

#[test]
fn exact_functions() {
    let mut pairs = pairs(2500);
    for x in [1.5, 2.2250738585072014e-308, 5e-324, f64::MAX, -1.7, 1.4e-45, 2.5e-38, f64::INFINITY, 0.0, f64::NAN] {
        pairs.extend((-2200..2200).step_by(7).map(|n| (x, f64::from(n))));
        pairs.extend((-1080..-1070).chain(-154..-120).map(|n| (x * 1.3, f64::from(n))));
    }
    // Results that lose a few bits, of numbers that have all of them.
    let mut random = Random(3);
    for i in 0..1000 {
        let x = 2f64.powi(-(i % 7)) * (1.0 + (random.next() >> 12) as f64 / 4503599627370496.0);
        pairs.push((x, f64::from(-1022 - i % 11)));
        pairs.push((x * 2f64.powi(-130), f64::from(i % 11 - 16)));
    }
    // The last step is not whole.
    pairs.truncate(pairs.len() / 32 * 32 + 13);
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let (a, b): (Vec<f32>, Vec<f32>) = x.iter().zip(&y).map(|(&x, &y)| (x as f32, y as f32)).unzip();
    for (name, engine) in engines() {
        for (call, wide, narrow) in CASES {
            let function = compile(&engine, "x: f64, y: f64", call);
            let mut out = vec![0.0; x.len()];
            function.eval_columns(&[&x, &y], &mut out).unwrap();
            for (row, &got) in out.iter().enumerate() {
                let (x, y) = (x[row], y[row]);
                let want = wide(x, y);
                assert!(same(got, want), "{name}: {call} of {x:e}, {y:e}: {got:e}, not {want:e}");
                if row % 8 == 0 {
                    let got = function.call(&[Value::F64(x), Value::F64(y)]).unwrap();
                    assert!(got.same(Value::F64(want)), "{name}: {call} of {x:e}, {y:e}: one call {got}");
                }
            }
            let function = compile(&engine, "x: f32, y: f32", call);
            let mut out = vec![0f32; x.len()];
            function.eval_columns(&[&a, &b], &mut out).unwrap();
            for (row, &got) in out.iter().enumerate() {
                let (x, y) = (a[row], b[row]);
                let want = narrow(x, y);
                assert!(same(got.into(), want.into()), "{name}: {call} of {x:e}f32, {y:e}: {got:e}, not {want:e}");
            }
        }
    }
}

/// The whole quotient over columns is that of a single call by the interpreter, and goes with the remainder.
#[test]
fn whole_quotients() {
    let (x, y): (Vec<f64>, Vec<f64>) = pairs(2500).into_iter().unzip();
    let (a, b): (Vec<f32>, Vec<f32>) = x.iter().zip(&y).map(|(&x, &y)| (x as f32, y as f32)).unzip();
    let mut first: Option<(Vec<f64>, Vec<f32>)> = None;
    for (name, engine) in engines() {
        let wide = compile(&engine, "x: f64, y: f64", "x // y");
        let narrow = compile(&engine, "x: f32, y: f32", "x // y");
        let (mut out, mut small) = (vec![0.0; x.len()], vec![0f32; x.len()]);
        wide.eval_columns(&[&x, &y], &mut out).unwrap();
        narrow.eval_columns(&[&a, &b], &mut small).unwrap();
        let (want, want_small) = first.get_or_insert_with(|| (out.clone(), small.clone()));
        for row in 0..x.len() {
            let (x, y, got) = (x[row], y[row], out[row]);
            assert!(same(got, want[row]), "{name}: {x:e} // {y:e}: {got:e}, not {:e}", want[row]);
            let single = wide.call(&[Value::F64(x), Value::F64(y)]).unwrap();
            assert!(single.same(Value::F64(got)), "{name}: {x:e} // {y:e}: {got:e}, in one call {single}");
            if (x / y).abs() < 1125899906842624.0 && x.is_finite() && y.is_finite() {
                let exact = ((x - x % y) / y).round() - f64::from(x % y != 0.0 && (x % y < 0.0) != (y < 0.0));
                assert_eq!(got, exact, "{name}: {x:e} // {y:e}");
            }
            let (x, y, got) = (a[row], b[row], small[row]);
            assert!(same(got.into(), want_small[row].into()), "{name}: {x:e}f32 // {y:e}: {got:e}");
            let single = narrow.call(&[Value::F32(x), Value::F32(y)]).unwrap();
            assert!(single.same(Value::F32(got)), "{name}: {x:e}f32 // {y:e}: {got:e}, in one call {single}");
        }
    }
}

/// The sign of a power stands beside its size.
#[test]
fn powers_of_negative_bases() {
    let mut random = Random(5);
    let mut rows: Vec<(f64, f64)> = Vec::new();
    for _ in 0..3000 {
        let bits = random.next();
        let base = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | (0x3ff0 - (bits >> 60 & 7) + (bits >> 56 & 7)) << 48);
        let exponent = match bits & 7 {
            0..4 => (bits >> 8 & 255) as f64 - 128.0,
            4 => (bits >> 8 & 255) as f64 / 2.0 - 60.0,
            5 => 9007199254740991.0 + (bits >> 8 & 3) as f64,
            6 => (bits >> 8 & 0xfff) as f64 / 4096.0,
            _ => [0.0, -0.0, f64::INFINITY, -f64::INFINITY, f64::NAN, 5e-324, 1e300, 4503599627370496.5]
                [bits as usize >> 3 & 7],
        };
        rows.push((base, exponent));
    }
    let special = [0.0, 1.0, 5e-324, 2.2250738585072014e-308, f64::MAX, f64::INFINITY, f64::NAN];
    rows.extend(special.iter().flat_map(|&x| [-3.0, -2.5, 0.0, 0.5, 2.0, 3.0].map(|y| (x, y))));
    let (x, y): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
    let minus: Vec<f64> = x.iter().map(|x| -x).collect();
    for (name, engine) in engines() {
        let function = compile(&engine, "x: f64, y: f64", "pow(x, y)");
        let (mut power, mut got) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        function.eval_columns(&[&x, &y], &mut power).unwrap();
        function.eval_columns(&[&minus, &y], &mut got).unwrap();
        for row in 0..x.len() {
            let (x, y) = (x[row], y[row]);
            let odd = y % 2.0 == 1.0 || y % 2.0 == -1.0;
            let want = if x.is_nan() && y != 0.0 {
                f64::NAN
            } else if odd {
                -power[row]
            } else if y.fract() != 0.0 && y.is_finite() && x != 0.0 && x != f64::INFINITY {
                f64::NAN
            } else if x == 1.0 && y.is_nan() {
                // Of all bases only 1 has a power whose exponent is NaN.
                f64::NAN
            } else {
                power[row]
            };
            assert!(same(got[row], want), "{name}: pow({:e}, {y:e}) is {:e}, not {want:e}", -x, got[row]);
        }
    }
}
