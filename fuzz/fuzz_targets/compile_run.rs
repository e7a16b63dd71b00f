//! Bytes choose a formula that is right and its arguments: machine code of every level against the interpreter.
#![no_main]

#[allow(dead_code, reason = "the generator is shared with tests that use more of it")]
#[path = "../../crates/kiln/tests/support/generate.rs"]
mod generate;
#[path = "../../crates/kiln/tests/support/statements.rs"]
mod statements;

use generate::{Bytes, Choices as _, Shape, program};
use kiln::{Engine, EngineKind, Level, Options, Type, Value};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// For each choice of `fast` and `checked`, two engines for each level: the interpreter and machine code.
static ENGINES: LazyLock<Vec<Vec<(Engine, Engine)>>> = LazyLock::new(|| {
    let machine = Engine::new().level();
    let levels: Vec<Level> = Level::ALL.into_iter().filter(|&level| level <= machine).collect();
    let choices = [(false, false), (true, false), (false, true)];
    let engines = |(fast, checked)| {
        let make = |kind, level| {
            let mut options = Options::default();
            (options.engine, options.level, options.fast, options.checked) = (Some(kind), Some(level), fast, checked);
            Engine::with_options(options).expect("the machine has this level")
        };
        levels.iter().map(|&level| (make(EngineKind::Interpreter, level), make(EngineKind::Jit, level))).collect()
    };
    choices.map(engines).into()
});

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Bytes(bytes);
    let engines = &ENGINES[choices.below(3)];
    let program = program(&mut choices, Shape { depth: 6, routines: true, statements: false });
    let args: Vec<Value> = program
        .types
        .iter()
        .map(|&ty| {
            let mut bits = [0; 8];
            bits.iter_mut().for_each(|byte| *byte = choices.below(256) as u8);
            Value::from_bits(Type::ALL[ty as usize], u64::from_le_bytes(bits))
        })
        .collect();
    for (interpreter, machine) in engines {
        let run = |engine: &Engine| {
            let f = engine.formula(&program.text).params(&program.params).compile();
            f.unwrap_or_else(|e| panic!("|{}|\n{}\n{e}", program.params, program.text)).call(&args)
        };
        match (run(interpreter), run(machine)) {
            (Ok(want), Ok(got)) => {
                assert!(got.same(want), "|{}|\n{}\n{args:?}: {got:?}, not {want:?}", program.params, program.text)
            }
            (want, got) => assert_eq!(got.err(), want.err(), "|{}|\n{}\n{args:?}", program.params, program.text),
        }
    }
});
