//! The block engine against the reference interpreter, on functions of every shape.

use super::{Blocks, bytes_of, set_word, word};
use crate::differential::{Random, shows_a_nan, soup_of};
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::verify::verify;
use crate::opt::Optimiser;
use crate::types::{Type, Value};

/// Evaluates `rows` rows of random inputs both ways.
fn compare(builder: &Builder, random: &mut Random, blocks: &Blocks, rows: usize, note: &str) -> bool {
    let func = &builder.func;
    let mut memory = blocks.memory();
    let mut scratch = Scratch::default();
    let columns: Vec<Vec<u64>> = func.params.iter().map(|&ty| (0..rows).map(|_| random.value(ty)).collect()).collect();
    for (i, (column, &ty)) in columns.iter().zip(&func.params).enumerate() {
        if let Some(bytes) = blocks.input(&mut memory, i) {
            column.iter().enumerate().for_each(|(row, &bits)| set_word(bytes, ty, row, bits));
        }
    }
    let done = blocks.evaluate(&mut memory, rows);
    let mut all = true;
    for row in 0..rows {
        let args: Vec<u64> = columns.iter().map(|column| column[row]).collect();
        if evaluate(func, &args, &mut scratch).is_err() {
            all = false;
            continue;
        }
        if shows_a_nan(func, &scratch) {
            continue;
        }
        for (i, want) in scratch.results(func).enumerate().filter(|_| done) {
            let got = Value::from_bits(want.ty(), word(blocks.output(&memory, i), want.ty(), row));
            assert!(got.same(want), "{note}: row {row} of {rows}, result {i} is {got:?}, not {want:?}");
        }
    }
    assert_eq!(done, all, "{note}");
    done
}

fn campaign(seed: u64, functions: u64, loops: bool, checked: bool) {
    let (mut done, mut given_up) = (0, 0);
    for n in 0..functions {
        let mut random = Random(seed + n);
        let mut builder = Builder::default();
        let options = BuildOptions { optimise: n % 3 != 0, checked, ..BuildOptions::default() };
        let params: Vec<Type> = (0..5).map(|_| Type::ALL[random.below(5)]).collect();
        soup_of(&mut builder, &mut random, 10 + n as usize % 60, options, &params, loops);
        if n % 2 == 0 {
            Optimiser::default().run(&mut builder, 10_000);
        }
        assert_eq!(verify(&builder.func), Ok(()));
        let blocks = Blocks::new(&builder.func).expect("nothing in it has effects");
        for rows in [1, 3, 16, 17, 61, blocks.rows()] {
            let whole = compare(&builder, &mut random, &blocks, rows, &format!("seed {}", seed + n));
            *if whole { &mut done } else { &mut given_up } += 1;
        }
    }
    assert!(done > functions / 4, "{done} of {functions} functions, {given_up} given up");
}

#[test]
fn branches_agree() {
    campaign(1 << 30, 600, false, false);
}

#[test]
fn loops_agree() {
    campaign(2 << 30, 600, true, false);
}

#[test]
fn checked_functions_agree() {
    campaign(3 << 30, 600, true, true);
}

#[test]
fn a_row_takes_few_bytes_of_a_value() {
    assert_eq!(Type::ALL.map(bytes_of), [1, 4, 8, 4, 8]);
}
