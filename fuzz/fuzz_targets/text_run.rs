//! Any text as a formula of two floats: if it compiles, machine code and interpreter agree.
#![no_main]

use kiln::{Engine, EngineKind, Options, Type, Value};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| {
    [EngineKind::Interpreter, EngineKind::Jit].map(|kind| {
        let mut options = Options::default();
        options.engine = Some(kind);
        Engine::with_options(options).expect("the machine has its own level")
    })
});

fuzz_target!(|text: &str| {
    let [interpreted, machine] = ENGINES.each_ref().map(|engine| engine.compile(text));
    let (interpreted, machine) = match (interpreted, machine) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => return assert_eq!(a.is_err(), b.is_err()),
    };
    for bits in [0x3ff8_0000_0000_0000, 0xc01c_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x8000_0000_0000_0000_u64] {
        let args: Vec<Value> = interpreted.params().iter().map(|p| Value::from_bits(p.ty, if p.ty == Type::I32 { bits >> 32 } else { bits })).collect();
        match (interpreted.call(&args), machine.call(&args)) {
            (Ok(want), Ok(got)) => assert!(got.same(want), "{args:?}: {got:?}, not {want:?}"),
            (want, got) => assert_eq!(got.err(), want.err()),
        }
    }
});
