//! The two ends of kernels, from outside: the trampoline enters them with something in every register.
//!
//! The one idea: a kernel is a System V function of three arguments, so what holds for scalar code is asked of it too,
//! and two things more: it leaves nothing in the upper halves of vector registers, and writes no byte around its outputs.

use super::*;
use crate::pipeline::Stores;
use crate::run::view::bytes_of;

/// Bytes around each column, which nobody may change.
const AROUND: usize = 64;
const POISON: u8 = 0xa5;

/// Columns in memory of their own.
struct Columns {
    bytes: Vec<Vec<u8>>,
    places: Vec<*mut u8>,
}

impl Columns {
    /// `rows` rows of each type: random values in the first `inputs` columns, nothing in the others.
    fn new(types: &[Type], inputs: usize, rows: usize, random: &mut Random) -> Columns {
        let mut bytes = Vec::new();
        for (i, &ty) in types.iter().enumerate() {
            let mut column = vec![POISON; 2 * AROUND + rows * bytes_of(ty)];
            for row in column[AROUND..].chunks_exact_mut(bytes_of(ty)).take(if i < inputs { rows } else { 0 }) {
                let word = random.value(ty).to_le_bytes();
                row.copy_from_slice(&word[..row.len()]);
            }
            bytes.push(column);
        }
        let places = bytes.iter_mut().map(|column| column[AROUND..].as_mut_ptr()).collect();
        Columns { bytes, places }
    }

    /// Is all as it was around the columns, and in the inputs?
    fn is_unharmed(&self, before: &[Vec<u8>], inputs: usize) -> bool {
        let edges = |column: &Vec<u8>| {
            let (first, rest) = column.split_at(AROUND);
            first.iter().chain(&rest[rest.len() - AROUND..]).all(|&byte| byte == POISON)
        };
        self.bytes.iter().all(edges) && self.bytes[..inputs] == before[..inputs]
    }
}

/// Which vector registers have something above their lowest 128 bits.
fn uppers_in_use(machine: &Machine) -> Vec<usize> {
    (0..16).filter(|&n| machine.vectors[n][2..] != [0; 6]).collect()
}

fn kernels(seeds: std::ops::Range<u64>, size: usize, params: impl Fn(&mut Random) -> Vec<Type>) {
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    let mut early = 0;
    for seed in seeds {
        for level in levels() {
            let mut random = Random(seed * 2 + 1);
            let (params, size) = (params(&mut random), 1 + random.below(size));
            let options = BuildOptions { checked: seed % 5 == 0, ..BuildOptions::default() };
            soup_of(&mut compiler.builder, &mut random, size, options, &params, seed % 2 == 0);
            let func = &compiler.builder.func;
            let types: Vec<Type> = params.iter().copied().chain(func.results.iter().map(|&r| func.ty(r))).collect();
            let registers = [[u32::MAX; 3], [u32::MAX, 0xff, 0x3e]][seed as usize % 3 / 2];
            let chaos = Chaos { registers, seed: seed % 2 * seed };
            let Some(kernel) = compiler.emit_kernel_with(level, Stores::Cached, chaos, false) else {
                panic!("seed {seed}: no kernel")
            };
            let code = rig.arena.seal(compiler.buffer.bytes()).expect("executable memory");
            for steps in [1, 2, 5] {
                let mut columns = Columns::new(&types, params.len(), steps * kernel.rows, &mut random);
                let inputs = columns.bytes.clone();
                let context = Context::default();
                let mut machine = Machine::random(&mut random);
                machine.general[7] = columns.places.as_mut_ptr() as u64;
                machine.general[6] = steps as u64;
                machine.general[2] = (&raw const context) as u64;
                machine.mxcsr = if seed % 3 == 0 { 0xdfc0 } else { PLAIN_MXCSR };
                let before = machine.clone();
                // SAFETY: the code is a kernel of these columns, which have the rows of the steps.
                unsafe { rig.call(&code, &mut machine) };
                let note = format!("seed {seed} {level:?}, {steps} steps: {types:?}");
                assert_eq!(broken(Kind::Sysv, &before, &machine), Vec::<String>::new(), "{note}");
                if level >= Level::V3 && cpu::level() >= Level::V4 {
                    assert_eq!(uppers_in_use(&machine), Vec::<usize>::new(), "{note}");
                }
                assert!(columns.is_unharmed(&inputs, params.len()), "{note}");
                assert!(machine.general[0] as usize <= steps, "{note}");
                early += usize::from((machine.general[0] as usize) < steps);
            }
        }
    }
    assert!(early > 0, "no kernel returned before its last step");
}

#[test]
fn kernels_keep_what_they_must() {
    kernels(0..120, 60, |random| (0..1 + random.below(6)).map(|_| Type::ALL[random.below(5)]).collect());
}

/// More columns than there are registers for their addresses.
#[test]
fn kernels_of_many_columns_keep_what_they_must() {
    kernels(1000..1060, 40, |random| (0..8 + random.below(12)).map(|_| Type::ALL[random.below(5)]).collect());
}

/// What is asked of kernels alone can fail: code that uses a wide register, and code that writes behind its output.
#[test]
fn a_kernel_that_leaves_something_is_noticed() {
    let rig = Rig::new();
    let mut random = Random(11);
    // vcmpps ymm6, ymm6, ymm6, 15: all ones.
    let wide = rig.arena.seal(&[0xc5, 0xcc, 0xc2, 0xf6, 0x0f, 0xc3]).expect("executable memory");
    let mut machine = Machine::random(&mut random);
    if cpu::level() >= Level::V4 {
        // SAFETY: the function writes a register that the trampoline does not rely on.
        unsafe { rig.call(&wide, &mut machine) };
        assert!(uppers_in_use(&machine).contains(&6));
    }
    // mov rax, [rdi]; mov byte [rax+16], 1
    let behind = rig.arena.seal(&[0x48, 0x8b, 0x07, 0xc6, 0x40, 16, 1, 0xc3]).expect("executable memory");
    let mut columns = Columns::new(&[Type::F64], 0, 2, &mut random);
    let before = columns.bytes.clone();
    assert!(columns.is_unharmed(&before, 0));
    machine.general[7] = columns.places.as_mut_ptr() as u64;
    // SAFETY: the function writes a byte of memory that is there.
    unsafe { rig.call(&behind, &mut machine) };
    assert!(!columns.is_unharmed(&before, 0));
}
