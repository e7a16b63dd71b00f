//! Tests of the accumulators: the order of sums against a plain description of it, the stated bound against exact sums,
//! and that no bit depends on how rows come.

use super::*;

/// Pseudo-random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Between -1 and 1, of very different sizes.
    fn float(&mut self) -> f64 {
        let scale = 2f64.powi(self.below(60) as i32 - 40);
        (self.next() as i64 as f64 / 2f64.powi(63)) * scale
    }
}

const LENGTHS: [usize; 15] =
    [0, 1, 2, 63, 64, 65, 1000, 1023, 1024, 1025, 2048, 3000, 5 * 1024 + 7, 7 * 1024 - 3, 20_000];

/// The order of the rows, written down once more: by row number, without batches and without lanes.
fn plainly(values: &[f64], combine: fn(f64, f64) -> f64, neutral: f64) -> f64 {
    let chunk = |rows: &[f64]| {
        let mut level: Vec<f64> =
            (0..LANES).map(|lane| rows.iter().skip(lane).step_by(LANES).fold(neutral, |a, &x| combine(a, x))).collect();
        while level.len() > 1 {
            let (low, high) = level.split_at(level.len() / 2);
            level = low.iter().zip(high).map(|(&a, &b)| combine(a, b)).collect();
        }
        level[0]
    };
    // Of n chunks the greatest power of two that is not more comes first, as a perfect tree; so for the rest.
    fn all(chunks: &[f64], combine: fn(f64, f64) -> f64) -> f64 {
        if let [one] = chunks {
            return *one;
        }
        let size = if chunks.len().is_power_of_two() { chunks.len() / 2 } else { 1 << chunks.len().ilog2() };
        combine(all(&chunks[..size], combine), all(&chunks[size..], combine))
    }
    let chunks: Vec<f64> = values.chunks(CHUNK).map(chunk).collect();
    if chunks.is_empty() { neutral } else { all(&chunks, combine) }
}

fn accumulate(
    fold: Fold,
    values: &[f64],
    valid: Option<&[bool]>,
    mut cut: impl FnMut(usize) -> usize,
) -> Option<Value> {
    let mut accumulator = Accumulator::new(fold, 0, Type::F64);
    let mut start = 0;
    while start < values.len() {
        let end = start + cut(values.len() - start);
        accumulator.push(Rows::F64(&values[start..end]), valid.map(|valid| &valid[start..end]));
        start = end;
    }
    accumulator.value_of(Type::F64)
}

fn float(value: Option<Value>) -> f64 {
    match value {
        Some(Value::F64(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sums_and_products_take_their_rows_in_the_stated_order() {
    let mut random = Random(1);
    for length in LENGTHS {
        let values: Vec<f64> = (0..length).map(|_| random.float()).collect();
        let sum = float(accumulate(Fold::Sum, &values, None, |rest| rest));
        let expected = plainly(&values, |a, b| a + b, -0.0);
        assert_eq!(sum.to_bits(), (if length == 0 { 0.0 } else { expected }).to_bits(), "{length}");
        let values: Vec<f64> = values.iter().map(|x| 1.0 + x / 2f64.powi(21)).collect();
        let product = float(accumulate(Fold::Prod, &values, None, |rest| rest));
        assert_eq!(product.to_bits(), plainly(&values, |a, b| a * b, 1.0).to_bits(), "{length}");
    }
}

#[test]
fn no_bit_depends_on_the_batches() {
    let mut random = Random(2);
    for length in LENGTHS {
        let values: Vec<f64> = (0..length).map(|_| random.float()).collect();
        let valid: Vec<bool> = (0..length).map(|_| random.below(4) > 0).collect();
        for fold in
            [Fold::Sum, Fold::Prod, Fold::Mean, Fold::Var, Fold::Std, Fold::Min, Fold::Max, Fold::First, Fold::Last]
        {
            for valid in [None, Some(&valid[..])] {
                let whole = accumulate(fold, &values, valid, |rest| rest);
                for size in [1, 7, 64, 1000, 1024, 4096] {
                    let cut = accumulate(fold, &values, valid, |rest| rest.min(size));
                    assert_eq!(whole.map(Value::to_bits), cut.map(Value::to_bits), "{fold:?} {length} by {size}");
                }
                let cut = accumulate(fold, &values, valid, |rest| 1 + random.below(rest.min(3000)));
                assert_eq!(whole.map(Value::to_bits), cut.map(Value::to_bits), "{fold:?} {length} at random");
            }
        }
    }
}

/// The exact sum, rounded once: parts that do not overlap (Shewchuk).
fn exact(values: impl Iterator<Item = f64>) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    for value in values {
        let (mut x, mut kept) = (value, Vec::new());
        for part in parts {
            let (big, small) = if x.abs() < part.abs() { (part, x) } else { (x, part) };
            let sum = big + small;
            let rest = small - (sum - big);
            if rest != 0.0 {
                kept.push(rest);
            }
            x = sum;
        }
        kept.push(x);
        parts = kept;
    }
    parts.iter().sum()
}

#[test]
fn sums_keep_the_stated_bound() {
    let mut random = Random(3);
    for length in LENGTHS.into_iter().skip(1) {
        for kind in 0..3 {
            let mut values: Vec<f64> = (0..length).map(|_| random.float()).collect();
            match kind {
                // All of one sign and size: errors add up.
                0 => values.iter_mut().for_each(|x| *x = 1.0 + x.abs() / 3.0),
                // Almost all cancels.
                1 => (0..length / 2).for_each(|i| values[length - 1 - i] = -values[i] * (1.0 + f64::EPSILON)),
                _ => {}
            }
            let steps = (CHUNK / LANES - 1) as f64 + 6.0 + (length as f64 / CHUNK as f64).log2().max(0.0).ceil();
            let bound = steps * f64::EPSILON / 2.0 * exact(values.iter().map(|x| x.abs()));
            let error =
                (float(accumulate(Fold::Sum, &values, None, |rest| rest)) - exact(values.iter().copied())).abs();
            assert!(error <= bound, "{length} {kind}: {error:e} > {bound:e}");
            let mean = float(accumulate(Fold::Mean, &values, None, |rest| rest));
            let off = (mean - exact(values.iter().copied()) / length as f64).abs();
            assert!(off <= 1.1 * bound / length as f64 + f64::EPSILON * mean.abs(), "{length} {kind}: {off:e}");
        }
    }
}

#[test]
fn variances_are_stable() {
    let mut random = Random(4);
    for offset in [0.0, 1e6, 1e9] {
        for length in [2, 3, 100, 1024, 1500, 20_000] {
            // On a grid, so that values, differences and squares are exact in i128.
            let steps: Vec<i64> = (0..length).map(|_| random.below(2001) as i64 - 1000).collect();
            let values: Vec<f64> = steps.iter().map(|&s| offset + s as f64 / 1024.0).collect();
            let (n, sum) = (length as i128, steps.iter().map(|&s| i128::from(s)).sum::<i128>());
            let squares = steps.iter().map(|&s| i128::from(s) * i128::from(s)).sum::<i128>();
            let exact = (n * squares - sum * sum) as f64 / (n * n) as f64 / 1024f64.powi(2);
            let var = float(accumulate(Fold::Var, &values, None, |rest| rest));
            assert!((var / exact - 1.0).abs() < 4e-15, "{offset} {length}: {var:e} {exact:e}");
        }
    }
}

#[test]
fn nothing_and_nulls() {
    let none = |fold| Accumulator::new(fold, 0, Type::F64).value_of(Type::F64);
    assert_eq!(float(none(Fold::Sum)).to_bits(), 0);
    assert_eq!(float(none(Fold::Prod)), 1.0);
    assert!(float(none(Fold::Mean)).is_nan() && float(none(Fold::Var)).is_nan());
    assert!([Fold::Min, Fold::Max, Fold::First, Fold::Last].into_iter().all(|fold| none(fold).is_none()));
    let values = [5.0, f64::NAN, -0.0, 0.0, 7.0];
    let valid = [false, false, true, true, false];
    let of = |fold| accumulate(fold, &values, Some(&valid), |rest| rest);
    assert_eq!(float(of(Fold::Min)).to_bits(), (-0.0f64).to_bits());
    assert_eq!(float(of(Fold::Max)).to_bits(), 0);
    assert_eq!(float(of(Fold::First)).to_bits(), (-0.0f64).to_bits());
    assert_eq!(float(of(Fold::Last)).to_bits(), 0);
    assert_eq!(float(of(Fold::Mean)), 0.0);
    assert_eq!(float(accumulate(Fold::Sum, &[-0.0; 3], None, |rest| rest)).to_bits(), (-0.0f64).to_bits());
    let all = |fold| float(accumulate(fold, &values, None, |rest| rest));
    assert!(all(Fold::Min).is_nan() && all(Fold::Max).is_nan() && all(Fold::Sum).is_nan());
    assert!(accumulate(Fold::Min, &values, Some(&[false; 5]), |rest| rest).is_none());
}

#[test]
fn ints_and_conditions() {
    let of = |fold, values: &[i64], valid: Option<&[bool]>| {
        let mut accumulator = Accumulator::new(fold, 0, Type::I64);
        accumulator.push(Rows::I64(values), valid);
        accumulator.value_of(Type::I64).map(|value| value.to_bits() as i64)
    };
    assert_eq!(of(Fold::Sum, &[i64::MAX, 1, 5], None), Some(i64::MIN + 5));
    assert_eq!(of(Fold::Prod, &[3, -4, 5], Some(&[true, true, false])), Some(-12));
    assert_eq!(of(Fold::Min, &[3, -4, i64::MIN], Some(&[true, true, false])), Some(-4));
    assert_eq!(of(Fold::Max, &[-3, -4], None), Some(-3));
    assert_eq!(of(Fold::Last, &[-3, -4], None), Some(-4));
    let of = |fold, valid: Option<&[bool]>| {
        let mut accumulator = Accumulator::new(fold, 0, Type::Bool);
        accumulator.push(Rows::Bool(&[true, false, true]), valid);
        accumulator.value_of(Type::Bool).map(Value::to_bits)
    };
    assert_eq!([of(Fold::Count, None), of(Fold::Any, None), of(Fold::All, None)], [Some(2), Some(1), Some(0)]);
    let valid = Some(&[false, false, true][..]);
    assert_eq!([of(Fold::Count, valid), of(Fold::Any, valid), of(Fold::All, valid)], [Some(1), Some(1), Some(1)]);
    assert_eq!([of(Fold::First, None), of(Fold::Last, valid)], [Some(1), Some(1)]);
}

#[test]
fn ddof_is_taken_from_the_number_of_rows() {
    for (ddof, expected) in [(0, 2.0 / 3.0), (1, 1.0), (2, 2.0)] {
        let mut accumulator = Accumulator::new(Fold::Var, ddof, Type::F64);
        accumulator.push(Rows::F64(&[1.0, 2.0, 3.0]), None);
        assert_eq!(float(accumulator.value()), expected);
    }
    let mut accumulator = Accumulator::new(Fold::Std, 3, Type::F64);
    accumulator.push(Rows::F64(&[1.0, 2.0, 3.0]), None);
    assert!(float(accumulator.value()).is_nan());
}
