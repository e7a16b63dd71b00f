//! Exact operations beside those of another implementation, on random bits and on hard cases.

use super::*;

/// Random bits (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number with the exponents of `of` and at most `spread` around, and a mantissa of few bits or of all.
    fn near(&mut self, of: f64, spread: i64) -> f64 {
        let bits = self.bits();
        let exponent = (of.to_bits() >> 52 & 0x7ff) as i64 + bits as i64 % (spread + 1);
        let mantissa = self.bits()
            & match bits >> 60 {
                0..4 => !0,
                4..8 => !0 << (bits >> 32 & 63),
                8..12 => (1 << (bits >> 32 & 63)) - 1,
                _ => 1 << (bits >> 32 & 63),
            };
        f64::from_bits(mantissa & ((1 << 52) - 1) | (exponent.clamp(0, 0x7fe) as u64) << 52 | bits & 1 << 59 << 4)
    }
}

const SPECIAL: [f64; 26] = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -3.5,
    0.49999999999999994,
    1.0,
    -1.0,
    3.0,
    8388607.5,
    8388608.0,
    16777217.0,
    4503599627370495.5,
    4503599627370496.0,
    -4503599627370497.0,
    9007199254740993.0,
    5e-324,
    -2.2250738585072014e-308,
    2.225073858507201e-308,
    1e-45,
    f64::MAX,
    f64::INFINITY,
    -f64::INFINITY,
    f64::NAN,
];

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// Special numbers, random bits, and numbers of a size at which something happens.
fn numbers(count: usize) -> Vec<f64> {
    let mut random = Random(1);
    let mut all = SPECIAL.to_vec();
    for _ in 0..count {
        all.push(f64::from_bits(random.bits()));
        all.push(random.near(1.0, 60));
        all.push(f64::from(f32::from_bits(random.bits() as u32)));
        all.push(random.bits() as i64 as f64 / 1024.0 / 4096.0);
        all.push((random.bits() >> 54) as f64 / 4.0 - 128.0);
    }
    all
}

#[test]
fn rounding() {
    type Case = (&'static str, fn(f64) -> f64, fn(f64) -> f64, fn(f32) -> f32, fn(f32) -> f32);
    let cases: [Case; 5] = [
        ("rint", Exact::rint, libm::rint, Exact::rint, libm::rintf),
        ("floor", Exact::floor, libm::floor, Exact::floor, libm::floorf),
        ("ceil", Exact::ceil, libm::ceil, Exact::ceil, libm::ceilf),
        ("trunc", Exact::trunc, libm::trunc, Exact::trunc, libm::truncf),
        ("round", Exact::round, libm::round, Exact::round, libm::roundf),
    ];
    for x in numbers(20_000) {
        for (name, wide, other, narrow, other_narrow) in cases {
            assert!(same(wide(x), other(x)), "{name}({x:e}): {:e}", wide(x));
            let x = x as f32;
            assert!(same(narrow(x).into(), other_narrow(x).into()), "{name}({x:e}f32): {:e}", narrow(x));
        }
    }
}

/// Three numbers whose product and sum lie close together, or far apart.
fn triples(count: usize) -> Vec<[f64; 3]> {
    let mut random = Random(2);
    let mut all = Vec::new();
    for a in SPECIAL {
        for b in SPECIAL {
            all.extend(SPECIAL.map(|c| [a, b, c]));
        }
    }
    for i in 0..count {
        let bits = random.bits();
        let a = match i % 4 {
            0 => f64::from_bits(bits),
            1 => random.near(1.0, 30),
            2 => random.near(1e-160, 60),
            _ => random.near(1e154, 20),
        };
        let b = match i % 4 {
            0 => random.near(1.0, 1000),
            1 => random.near(1.0, 30),
            2 => random.near(1e-160, 60),
            _ => random.near(1e154, 20),
        };
        let product = a * b;
        let c = match bits >> 61 {
            0 => -product,
            1 => f64::from_bits((-product).to_bits().wrapping_add(random.bits() % 5).wrapping_sub(2)),
            2 => random.near(product, 2),
            3 => random.near(product, 60),
            4 => random.near(product, 120),
            // Half a unit of the product and more.
            5 => product * [2f64.powi(-53), -2f64.powi(-53), -2f64.powi(-54), 2f64.powi(53)][bits as usize & 3],
            6 => random.near(f64::MIN_POSITIVE, 60),
            _ => 0f64.copysign(bits as i64 as f64),
        };
        all.push([a, b, c]);
    }
    all
}

#[test]
fn multiplying_and_adding() {
    for [a, b, c] in triples(if cfg!(debug_assertions) { 300_000 } else { 30_000_000 }) {
        let (got, whole, want) = (Exact::fma(a, b, c), fma_whole(a, b, c), libm::fma(a, b, c));
        assert!(same(got, want), "fma({a:e}, {b:e}, {c:e}): {got:e}, not {want:e}");
        assert!(same(whole, want), "fma_whole({a:e}, {b:e}, {c:e}): {whole:e}, not {want:e}");
        let [a, b, c] = [a, b, c].map(|x| x as f32);
        let (got, want) = (Exact::fma(a, b, c), libm::fmaf(a, b, c));
        assert!(same(got.into(), want.into()), "fma({a:e}f32, {b:e}, {c:e}): {got:e}, not {want:e}");
    }
    // Of the type's own sizes: sums that are nearly halves of a unit, and smallest numbers.
    let mut random = Random(3);
    for _ in 0..300_000 {
        let bits = random.bits();
        let a =
            f32::from_bits(bits as u32 & 0x807f_ffff | (0x3f80_0000u32.wrapping_add(((bits >> 40) as u32 % 40) << 23)));
        let b = f32::from_bits((bits >> 32) as u32 & 0x807f_ffff | 0x3f80_0000);
        let product = a * b;
        let c = match random.bits() & 3 {
            0 => product * 2f32.powi(-24),
            1 => -product * 2f32.powi(-25),
            2 => -product,
            _ => product * 2f32.powi(24),
        };
        let scale = [1.0, 2f32.powi(-126), 2f32.powi(-140)][random.bits() as usize % 3];
        let (a, c) = (a * scale, c * scale);
        let (got, want) = (Exact::fma(a, b, c), libm::fmaf(a, b, c));
        assert!(same(got.into(), want.into()), "fma({a:e}f32, {b:e}, {c:e}): {got:e}, not {want:e}");
    }
}

/// A processor's instruction says the same, where there is one.
#[cfg(target_arch = "x86_64")]
#[test]
fn multiplying_and_adding_is_what_the_processor_does() {
    for [a, b, c] in triples(300_000) {
        let (got, want) = crate::run::fused::fused(|| (Exact::fma(a, b, c), a.mul_add(b, c)), || (0.0, 0.0));
        assert!(same(got, want), "fma({a:e}, {b:e}, {c:e}): {got:e}, not {want:e}");
    }
}

#[test]
fn remainders() {
    let compare = |x: f64, y: f64| {
        let (got, want) = (Exact::remainder(x, y), libm::fmod(x, y));
        assert!(same(got, want), "{x:e} rem {y:e}: {got:e}, not {want:e}");
        assert!(same(got, x % y), "{x:e} % {y:e}");
        let (x, y) = (x as f32, y as f32);
        let (got, want) = (Exact::remainder(x, y), libm::fmodf(x, y));
        assert!(same(got.into(), want.into()), "{x:e}f32 rem {y:e}: {got:e}, not {want:e}");
    };
    for x in SPECIAL {
        SPECIAL.iter().for_each(|&y| compare(x, y));
    }
    let mut random = Random(4);
    for i in 0..100_000 {
        let x = f64::from_bits(random.bits());
        let y = match i % 4 {
            0 => f64::from_bits(random.bits()),
            1 => random.near(x, 3),
            2 => random.near(x / 4503599627370496.0, 52),
            _ => random.near(x, 200),
        };
        compare(x, y);
        // Multiples, and what lies beside them.
        let multiple = y * (random.bits() % 1000) as f64;
        compare(multiple, y);
        compare(f64::from_bits(multiple.to_bits().wrapping_sub(1)), y);
        compare(random.near(1e-310, 2), f64::from_bits(random.bits() >> (12 + random.bits() % 52)));
    }
    compare(f64::MAX, 5e-324);
    compare(f64::MAX, 1.5e-323);
    compare(f64::MAX, 2.225073858507201e-308);
}

#[test]
fn scaling() {
    let mut random = Random(5);
    for x in numbers(5_000) {
        for n in [0, 1, -1, 52, -1022, -1074, -1075, 1023, 2098, -2098, 5000, -5000, random.bits() as i32 % 1100] {
            let (got, want) = (scale(x, n), libm::scalbn(x, n));
            assert!(same(got, want), "{x:e} * 2^{n}: {got:e}, not {want:e}");
        }
        if x.is_finite() && x != 0.0 {
            assert_eq!(exponent(x), libm::ilogb(x), "{x:e}");
        }
    }
}
