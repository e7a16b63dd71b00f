//! Shows that the checker can fail on code over columns: right kernels of random functions are damaged as a wrong
//! allocator would, and the damage must be noticed.

use super::*;
use crate::differential::{Random, soup_of};
use crate::ir::build::BuildOptions;
use crate::isa::x64::effects::ROLES;
use crate::isa::x64::features::Level;
use crate::isa::x64::insts::{self, ADD_RM64_IMM8, NOP, ROWS};
use crate::isa::x64::notation::Access;
use crate::isa::x64::packed::Packed;
use crate::isa::x64::regs::RSP;
use crate::mach::walk::Chaos;
use crate::pipeline::{Compiler, Stores};

/// Kernels of random functions at every level, most with loops and every other one with few registers.
fn each_kernel(mut damage: impl FnMut(&mut Compiler, &Packed, u64)) {
    let mut compiler = Compiler::new(&[]);
    for seed in 0..100 {
        for level in Level::ALL {
            let mut random = Random(seed * 2 + 1);
            let size = 10 + random.below(40);
            let options = BuildOptions { checked: seed % 3 == 0, ..BuildOptions::default() };
            let count = [5, 8, 12][seed as usize % 3];
            let params: Vec<Type> = (0..count).map(|i| Type::ALL[i % 5]).collect();
            soup_of(&mut compiler.builder, &mut random, size, options, &params, seed % 5 > 1);
            let registers = if seed % 2 == 0 { [u32::MAX; 3] } else { [u32::MAX, 0xff, 0x3e] };
            let chaos = Chaos { registers, seed: seed % 4 * 77 };
            let stores = [Stores::Cached, Stores::Streaming][seed as usize % 2];
            let results = compiler.builder.func.results.len();
            let kernel = compiler.emit_kernel_with(level, stores, chaos, false).unwrap();
            let func = &compiler.builder.func;
            let target = Packed::new(level, func, (func.results.len() / results) as u32, stores);
            assert_eq!(target.rows_per_step() as usize, kernel.rows);
            assert_eq!(compiler.check_kernel(&target), Ok(()));
            damage(&mut compiler, &target, seed);
        }
    }
}

/// How often the damage was noticed, and how often it was done.
#[derive(Default, Debug)]
struct Score(usize, usize);

impl Score {
    fn check(&mut self, compiler: &Compiler, target: &Packed) {
        self.0 += usize::from(compiler.check_kernel(target).is_err());
        self.1 += 1;
    }

    fn replace(&mut self, compiler: &mut Compiler, target: &Packed, at: usize, inst: MInst) {
        let old = std::mem::replace(&mut compiler.walk.code.body[at], inst);
        self.check(compiler, target);
        compiler.walk.code.body[at] = old;
    }

    fn at_least(&self, percent: usize, times: usize) {
        assert!(self.1 >= times && self.0 * 100 >= self.1 * percent, "noticed {} of {}", self.0, self.1);
    }
}

fn describe(inst: &MInst) -> Option<Effect> {
    ((inst.inst.0 as usize) < ROWS.len()).then(|| (ROLES.describe)(inst))
}

#[test]
fn dropped_moves_reloads_and_stores_are_noticed() {
    let (mut moves, mut stores) = (Score::default(), Score::default());
    each_kernel(|compiler, target, _| {
        for note in compiler.walk.notes.clone() {
            match note {
                Note::Move { at, .. } => moves.replace(compiler, target, at as usize, MInst::new(NOP)),
                Note::Store { at, .. } => stores.replace(compiler, target, at as usize, MInst::new(NOP)),
                _ => {}
            }
        }
    });
    // Now and then a constant is brought to where it still is.
    moves.at_least(95, 200);
    stores.at_least(100, 100);
}

#[test]
fn a_wrong_register_is_noticed() {
    let (mut read, mut written) = (Score::default(), Score::default());
    each_kernel(|compiler, target, seed| {
        let mut random = Random(seed);
        for at in 0..compiler.walk.code.body.len() {
            let inst = compiler.walk.code.body[at];
            if describe(&inst).is_none() || random.below(4) > 0 {
                continue;
            }
            for operand in insts::row(inst.inst).info.operands.iter().filter(|o| o.slot < 3) {
                let old = inst.regs[operand.slot as usize];
                if !old.is_some() || old == RSP || operand.memory && inst.mem() != Mem::None {
                    continue;
                }
                let files = if old.index() >= 64 { 8 } else { 16 };
                let number = (old.number() + 1 + random.below(files - 1) as u8) % files as u8;
                let new = Reg::from_index(old.index() as u8 & !31 | number);
                if new == RSP {
                    continue;
                }
                let mut wrong = inst;
                wrong.regs[operand.slot as usize] = new;
                match operand.access {
                    Access::Read => read.replace(compiler, target, at, wrong),
                    _ => written.replace(compiler, target, at, wrong),
                }
            }
        }
    });
    // What remains is another register of the same node or value.
    read.at_least(80, 2000);
    written.at_least(80, 2000);
}

/// What is about columns: another column, another step, a result stored early, a register that a call destroys.
#[test]
fn wrong_columns_are_noticed() {
    let (mut columns, mut steps, mut early) = (Score::default(), Score::default(), Score::default());
    each_kernel(|compiler, target, _| {
        for at in 0..compiler.walk.code.body.len() {
            let inst = compiler.walk.code.body[at];
            let Some(effect) = describe(&inst) else { continue };
            let row = inst.index.is_some() && effect.memory.is_some();
            if row {
                columns.replace(compiler, target, at, MInst { disp: inst.disp + 4, ..inst });
                columns.replace(compiler, target, at, MInst { index: inst.regs[0], ..inst });
            }
            if inst.inst == ADD_RM64_IMM8 && compiler.walk.code.origins[at] == u32::MAX {
                steps.replace(compiler, target, at, MInst { imm: inst.imm + 1, ..inst });
                steps.replace(compiler, target, at, MInst::new(NOP));
            }
            if row && matches!(effect.action, Action::Store { .. }) {
                early.replace(compiler, target, at, MInst::new(NOP));
            }
        }
    });
    columns.at_least(100, 1000);
    steps.at_least(100, 100);
    early.at_least(100, 100);
}

#[test]
fn a_damaged_frame_is_noticed() {
    let mut score = Score::default();
    each_kernel(|compiler, target, _| {
        for at in 0..compiler.walk.code.epilogue.len() {
            let old = compiler.walk.code.epilogue[at];
            let kept = describe(&old).is_none_or(|e| matches!(e.action, Action::Pop { .. } | Action::SetStack { .. }));
            if kept && old.inst != Inst::BIND {
                compiler.walk.code.epilogue[at] = MInst::new(NOP);
                score.check(compiler, target);
                compiler.walk.code.epilogue[at] = old;
            }
        }
        for at in 0..compiler.walk.code.body.len() {
            let inst = compiler.walk.code.body[at];
            match describe(&inst).map(|effect| effect.action) {
                Some(Action::Push { .. }) => score.replace(compiler, target, at, MInst::new(NOP)),
                Some(Action::AlignStack { .. }) => {
                    score.replace(compiler, target, at, MInst { imm: inst.imm / 2, ..inst });
                }
                Some(Action::MoveStack { .. }) => score.replace(compiler, target, at, MInst { imm: 8, ..inst }),
                _ => {}
            }
        }
    });
    score.at_least(98, 1000);
}
