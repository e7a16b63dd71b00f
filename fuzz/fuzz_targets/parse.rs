//! Any bytes as a formula: a function or an error, never a panic; and what the error says is short and clean.
#![no_main]

use kiln::{Engine, EngineKind, Options};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut options = Options::default();
    options.engine = Some(EngineKind::Interpreter);
    Engine::with_options(options).expect("the interpreter runs anywhere")
});

fuzz_target!(|bytes: &[u8]| {
    let Err(error) = ENGINE.formula_bytes(bytes).compile() else { return };
    assert!(!error.diagnostics().is_empty());
    for d in error.diagnostics() {
        assert!(d.message.len() < 500 && !d.message.contains(|c: char| c.is_control()), "{d:?}");
        assert!(d.span.start <= d.span.end && d.span.end as usize <= bytes.len().max(1), "{d:?}");
    }
    assert!(!error.to_string().contains(|c: char| c.is_control() && c != '\n'));
});
