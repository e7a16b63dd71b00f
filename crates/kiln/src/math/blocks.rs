//! Kernels over rows, for the block engine: the same kernel in a loop that the compiler makes vector code of.
//!
//! The one idea: what is rare is a call, which would forbid vectors; so some rows at a time are computed as if nothing were
//! rare, and once more one by one if anything was. This file knows no function.

#![forbid(unsafe_code)]

use super::lanes::Usual;
use crate::ops::Meaning;
use crate::ops::lanes::Lane;
use crate::run::fused::{Work, widest};
use std::marker::PhantomData;

/// Rows that are computed again if one of them is rare: few, and enough to fill vectors.
const ROWS: usize = 32;

/// A float type that kernels are computed for, in `f64`.
pub(super) trait Argument: Lane {
    fn widen(self) -> f64;
    fn narrow(wide: f64) -> Self;
}

impl Argument for f64 {
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn narrow(wide: f64) -> f64 {
        wide
    }
}

impl Argument for f32 {
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn narrow(wide: f64) -> f32 {
        wide as f32
    }
}

/// A kernel of `N` arguments.
pub(super) trait Formula<const N: usize> {
    /// What it gives for a row, if nothing is rare.
    fn usual(l: &Usual, x: [f64; N]) -> f64;
}

/// Computes rows of a kernel; `meaning` is what it gives for one.
#[inline(always)]
pub(super) fn rows<T: Argument, F: Formula<N>, const N: usize>(
    out: &mut [u8],
    operands: [&[u8]; N],
    _kernel: F,
    meaning: Meaning,
) {
    widest(out, Rows::<T, F, N> { operands: operands.map(T::all), meaning, kernel: PhantomData });
}

struct Rows<'a, T: Argument, F, const N: usize> {
    operands: [&'a [T::Bytes]; N],
    meaning: Meaning,
    kernel: PhantomData<F>,
}

impl<T: Argument, F: Formula<N>, const N: usize> Work for Rows<'_, T, F, N> {
    #[inline(always)]
    fn fused(self, out: &mut [u8]) {
        let chunks = self.operands.map(|operand| operand.as_chunks::<ROWS>());
        let (whole, rest) = T::all_mut(out).as_chunks_mut::<ROWS>();
        for (at, out) in whole.iter_mut().enumerate() {
            let operands = chunks.map(|(whole, _)| &whole[at]);
            let mut is_wrong = false;
            for row in 0..ROWS {
                let usual = Usual::default();
                let x = operands.map(|operand| T::get(operand[row]).widen());
                out[row] = T::narrow(F::usual(&usual, x)).put();
                is_wrong |= usual.is_wrong();
            }
            if is_wrong {
                one_by_one::<T, N>(out, operands.map(|operand| &operand[..]), self.meaning);
            }
        }
        one_by_one::<T, N>(rest, chunks.map(|(_, rest)| rest), self.meaning);
    }

    #[inline(always)]
    fn plain(self, out: &mut [u8]) {
        one_by_one::<T, N>(T::all_mut(out), self.operands, self.meaning);
    }
}

/// Computes rows by what a kernel gives for one.
fn one_by_one<T: Argument, const N: usize>(out: &mut [T::Bytes], operands: [&[T::Bytes]; N], meaning: Meaning) {
    for (row, out) in out.iter_mut().enumerate() {
        let word = |i: usize| operands.get(i).map_or(0, |operand| T::get(operand[row]).to_word());
        *out = T::from_word(meaning(word(0), word(1), word(2))).put();
    }
}

#[cfg(test)]
mod tests {
    use crate::differential::Random;
    use crate::ir::Target;
    use crate::ir::build::Builder;
    use crate::run::fused::{AT_MOST, Width};
    use crate::types::{Type, Value};

    #[test]
    fn rows_of_kernels_mean_what_words_mean() {
        const ROWS: usize = 100;
        let mut compared = 0;
        for function in super::super::all() {
            for ty in [Type::F64, Type::F32] {
                let mut builder = Builder::default();
                let types = (0..usize::from(function.least))
                    .map(|i| if function.rule.mixes(i) { ty } else { function.argument(i, ty) });
                let args: Vec<_> = types.map(|ty| builder.param(ty)).collect();
                let result = (function.build)(&mut builder, &args);
                // What gives `f64` of anything is computed in it.
                if builder.ty(result) == Type::F64 && ty != Type::F64 {
                    continue;
                }
                for callee in &builder.func.callees {
                    let Target::Builtin(meaning, Some(kernel)) = callee.target else { continue };
                    let mut random = Random(compared);
                    let columns: [Vec<u64>; 3] = std::array::from_fn(|_| (0..ROWS).map(|_| random.value(ty)).collect());
                    let size = ty.bits() as usize / 8;
                    let bytes = |words: &Vec<u64>| -> Vec<u8> {
                        words.iter().flat_map(|word| word.to_le_bytes()[..size].to_vec()).collect()
                    };
                    let operands: Vec<Vec<u8>> = columns.iter().map(bytes).collect();
                    for width in [Width::Plain, Width::Fused, Width::Wide] {
                        AT_MOST.set(width);
                        let mut out = vec![0xaa; ROWS * size];
                        (kernel.rows)(&mut out, &operands[0], &operands[1], &operands[2]);
                        for row in 0..ROWS {
                            let mut word = [0; 8];
                            word[..size].copy_from_slice(&out[row * size..][..size]);
                            let got = Value::from_bits(ty, u64::from_le_bytes(word));
                            let want = meaning(columns[0][row], columns[1][row], columns[2][row]);
                            let want = Value::from_bits(ty, want);
                            assert!(got.same(want), "{} by {width:?}, row {row}: {got:?}, not {want:?}", callee.name);
                        }
                        compared += 1;
                    }
                    AT_MOST.set(Width::Wide);
                }
            }
        }
        assert!(compared > 100, "{compared}");
    }
}
