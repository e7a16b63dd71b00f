//! Shows that the checker can fail: right code of random functions is damaged in every way that a wrong allocator
//! would, and the damage must be noticed.

use super::*;
use crate::differential::{Random, soup_of};
use crate::ir::build::{BuildOptions, Builder};
use crate::isa::x64::abi::{Convention, SYSV, WIN64};
use crate::isa::x64::effects::ROLES;
use crate::isa::x64::features::Level;
use crate::isa::x64::insts::{self, NOP, ROWS, XOR_R32_RM32};
use crate::isa::x64::lower::X64;
use crate::isa::x64::notation::Access;
use crate::isa::x64::regs::{RBX, RSP};
use crate::mach::walk::Chaos;
use crate::pipeline::{Compiler, Target};

/// Walks random functions, most of them with loops and every other one with few registers, and calls `damage` with each.
fn each_function(mut damage: impl FnMut(&mut Compiler, &Target, u64)) {
    let mut compiler = Compiler::new(&[]);
    for seed in 0..150 {
        let mut random = Random(seed * 2 + 1);
        let size = 10 + random.below(50);
        let options = BuildOptions { checked: seed % 3 == 0, ..BuildOptions::default() };
        let params: Vec<Type> = (0..8).map(|i| Type::ALL[i % 5]).collect();
        soup_of(&mut compiler.builder, &mut random, size, options, &params, seed % 5 > 1);
        let registers = if seed % 2 == 0 { [u32::MAX; 3] } else { [0b1111_0110_1111, 0b11_1111, 0] };
        let chaos = Chaos { registers, seed: seed % 4 * 77 };
        let level = [Level::V1, Level::V3][seed as usize / 2 % 2];
        let target = Target { isa: X64::new(level), convention: Convention::Buffer, chaos, mark: false };
        compiler.allocate(&target).unwrap();
        assert_eq!(compiler.check_allocation(&target), Ok(()));
        damage(&mut compiler, &target, seed);
    }
}

/// How often the damage was noticed, and how often it was done.
#[derive(Default, Debug)]
struct Score(usize, usize);

impl Score {
    /// Replaces an instruction of the body, checks, and puts it back.
    fn replace(&mut self, compiler: &mut Compiler, target: &Target, at: usize, inst: MInst) {
        let old = std::mem::replace(&mut compiler.walk.code.body[at], inst);
        self.check(compiler, target);
        compiler.walk.code.body[at] = old;
    }

    fn check(&mut self, compiler: &Compiler, target: &Target) {
        self.0 += usize::from(compiler.check_allocation(target).is_err());
        self.1 += 1;
    }

    fn at_least(&self, percent: usize, times: usize) {
        assert!(self.1 >= times && self.0 * 100 >= self.1 * percent, "noticed {} of {}", self.0, self.1);
    }
}

#[test]
fn a_dropped_reload_or_move_is_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        for note in compiler.walk.notes.clone() {
            if let Note::Move { at, .. } = note {
                score.replace(compiler, target, at as usize, MInst::new(NOP));
            }
        }
    });
    // Now and then a constant is brought to where it still is.
    score.at_least(98, 200);
}

#[test]
fn a_dropped_store_is_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        for note in compiler.walk.notes.clone() {
            if let Note::Store { at, .. } = note {
                score.replace(compiler, target, at as usize, MInst::new(NOP));
            }
        }
    });
    score.at_least(100, 50);
}

/// Even if the walk itself forgets a store, and so does not claim it: the slot is read in vain.
#[test]
fn a_store_that_the_walk_forgot_is_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        let notes = compiler.walk.notes.clone();
        for (i, note) in notes.iter().enumerate() {
            if let Note::Store { at, .. } = *note {
                compiler.walk.notes.remove(i);
                score.replace(compiler, target, at as usize, MInst::new(NOP));
                compiler.walk.notes.clone_from(&notes);
            }
        }
    });
    score.at_least(95, 50);
}

#[test]
fn a_wrong_register_is_noticed() {
    let (mut read, mut written) = (Score::default(), Score::default());
    each_function(|compiler, target, seed| {
        let mut random = Random(seed);
        for at in 0..compiler.walk.code.body.len() {
            let inst = compiler.walk.code.body[at];
            if inst.inst.0 as usize >= ROWS.len() {
                continue;
            }
            let row = insts::row(inst.inst);
            for operand in row.info.operands.iter().filter(|o| o.slot < 3) {
                let old = inst.regs[operand.slot as usize];
                let memory = operand.memory && inst.mem() != Mem::None;
                if !old.is_some() || old == RSP || memory {
                    continue;
                }
                let number = (old.number() + 1 + random.below(15) as u8) % 16;
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
    // What remains is another operand of the node, another register with the same value, or a result nobody wants.
    read.at_least(88, 2000);
    written.at_least(88, 2000);
}

#[test]
fn exchanged_moves_are_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        let moves: Vec<usize> = compiler
            .walk
            .notes
            .iter()
            .filter_map(|n| match n {
                Note::Move { at, .. } => Some(*at as usize),
                _ => None,
            })
            .collect();
        for pair in moves.windows(2).filter(|pair| pair[0] + 1 == pair[1]) {
            let body = &mut compiler.walk.code.body;
            let (later, earlier) = (describe(&body[pair[0]]), describe(&body[pair[1]]));
            if (later.reads | later.address) & earlier.writes == 0
                && (earlier.reads | earlier.address) & later.writes == 0
            {
                continue;
            }
            body.swap(pair[0], pair[1]);
            score.check(compiler, target);
            compiler.walk.code.body.swap(pair[0], pair[1]);
        }
    });
    score.at_least(100, 5);
}

fn describe(inst: &MInst) -> Effect {
    (ROLES.describe)(inst)
}

/// Puts an instruction in front of `body[at]`, seen forward, and moves the notes along.
fn insert(walk: &mut Walk, at: usize, inst: MInst) {
    walk.code.body.insert(at + 1, inst);
    walk.code.origins.insert(at + 1, 0);
    for note in &mut walk.notes {
        if let Some(place) = note.at_mut() {
            *place += u32::from(*place as usize > at);
        }
    }
}

#[test]
fn clobbered_flags_are_noticed() {
    let mut score = Score::default();
    let clear = MInst { regs: [RBX, RBX, Reg::NONE], ..MInst::new(XOR_R32_RM32) };
    each_function(|compiler, target, _| {
        let (body, notes) = (compiler.walk.code.body.clone(), compiler.walk.notes.clone());
        for at in 0..body.len() {
            if body[at].inst.0 as usize >= ROWS.len() || !insts::row(body[at].inst).info.reads_flags {
                continue;
            }
            insert(&mut compiler.walk, at, clear);
            score.check(compiler, target);
            compiler.walk.code.body.clone_from(&body);
            compiler.walk.notes.clone_from(&notes);
        }
    });
    score.at_least(100, 200);
}

/// A label between the comparison and what reads the flags.
#[test]
fn flags_across_a_label_are_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        let (body, notes) = (compiler.walk.code.body.clone(), compiler.walk.notes.clone());
        for at in 0..body.len() {
            if body[at].inst.0 as usize >= ROWS.len() || !insts::row(body[at].inst).info.reads_flags {
                continue;
            }
            let label = compiler.walk.label();
            insert(&mut compiler.walk, at, MInst { imm: label.0 as i32, ..MInst::new(Inst::BIND) });
            score.check(compiler, target);
            compiler.walk.code.body.clone_from(&body);
            compiler.walk.notes.clone_from(&notes);
        }
    });
    score.at_least(100, 200);
}

#[test]
fn a_damaged_frame_is_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        for at in 0..compiler.walk.code.epilogue.len() {
            let old = compiler.walk.code.epilogue.remove(at);
            score.check(compiler, target);
            compiler.walk.code.epilogue.insert(at, old);
        }
        // The prologue stands at the end of the body: pushes, and what makes the frame.
        for at in 0..compiler.walk.code.body.len() {
            let inst = compiler.walk.code.body[at];
            if inst.inst.0 as usize >= ROWS.len() {
                continue;
            }
            match describe(&inst).action {
                Action::Push { .. } => score.replace(compiler, target, at, MInst::new(NOP)),
                Action::MoveStack { .. } => {
                    score.replace(compiler, target, at, MInst { imm: inst.imm - 8, ..inst });
                    score.replace(compiler, target, at, MInst { imm: inst.imm + 8, ..inst });
                }
                _ => {}
            }
        }
    });
    score.at_least(100, 200);
}

#[test]
fn a_wrong_result_or_argument_is_noticed() {
    let mut score = Score::default();
    each_function(|compiler, target, _| {
        for at in 0..compiler.walk.code.body.len() {
            let inst = compiler.walk.code.body[at];
            if inst.inst.0 as usize >= ROWS.len() || inst.mem() != Mem::Base1 {
                continue;
            }
            if let Action::Store { .. } = describe(&inst).action {
                score.replace(compiler, target, at, MInst { disp: inst.disp + 8, ..inst });
                score.replace(compiler, target, at, MInst { disp: inst.disp - 4, ..inst });
            }
        }
    });
    // The rest is stores of the prologue that nobody reads.
    score.at_least(95, 200);
}

/// The entry under both conventions: an input in the wrong place, and a bool that is not extended.
#[test]
fn a_wrong_entry_is_noticed() {
    for abi in [&SYSV, &WIN64] {
        let mut builder = Builder::default();
        builder.reset(BuildOptions::default());
        let bools: Vec<Ref> = (0..9).map(|_| builder.param(Type::Bool)).collect();
        let numbers: Vec<Ref> = (0..9).map(|_| builder.param(Type::I64)).collect();
        let mut sum = numbers[0];
        for i in 0..9 {
            let value = builder.convert(bools[i], Type::I64);
            let product = builder.binary(Op::Mul, value, numbers[8 - i]);
            sum = builder.binary(Op::Add, sum, product);
        }
        builder.func.results.push(sum);
        let mut compiler = Compiler { builder, ..Compiler::new(&[]) };
        let isa = X64::new(Level::V1);
        let target = Target { isa, convention: Convention::Native(abi), chaos: Chaos::default(), mark: false };
        compiler.allocate(&target).unwrap();
        assert_eq!(compiler.check_allocation(&target), Ok(()));
        let mut score = Score::default();
        let body = compiler.walk.code.body.clone();
        for (at, inst) in body.iter().enumerate().filter(|(_, inst)| (inst.inst.0 as usize) < ROWS.len()) {
            match describe(inst).action {
                Action::Copy { bytes: 1, .. } => score.replace(&mut compiler, &target, at, MInst::new(NOP)),
                Action::Load { .. } if inst.regs[1] == RSP => {
                    score.replace(&mut compiler, &target, at, MInst { disp: inst.disp + 8, ..*inst });
                }
                _ => {}
            }
        }
        score.at_least(100, 10);
    }
}
