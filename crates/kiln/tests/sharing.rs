//! Engines and functions among threads, in great numbers, and where executable memory is forbidden.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

#[cfg(target_os = "linux")]
mod mem_child;
mod support;

use kiln::{Engine, Function, Mode, Value};
use support::compile;

const FORMULA: &str = "sqrt(x^2 + y^2) * (1 - exp(-x / 3)) + if(x < y, sin(x), y // 2) + x * 0.1 - y * 0.2";

fn call(f: &Function, x: f64, y: f64) -> u64 {
    f.call(&[Value::F64(x), Value::F64(y)]).unwrap().to_bits()
}

/// The same text gives the same bytes: again, on another engine, and on another thread.
#[test]
fn same_source_same_bytes() {
    for (name, engine) in support::engines() {
        let bytes = compile(&engine, "x, y", FORMULA).code_bytes().to_vec();
        for _ in 0..5 {
            let _ = engine.compile("let other = 1; other + cos(z) * 17");
            assert_eq!(compile(&engine, "x, y", FORMULA).code_bytes(), bytes, "{name}");
        }
        let again = std::thread::scope(|s| s.spawn(|| compile(&engine, "x, y", FORMULA).code_bytes().to_vec()).join().unwrap());
        assert_eq!(again, bytes, "{name}");
    }
}

/// One function, many threads.
#[test]
fn one_function_on_many_threads() {
    for (name, engine) in support::engines() {
        let f = compile(&engine, "x, y", FORMULA);
        let expected: Vec<u64> = (0..50).map(|i| call(&f, f64::from(i), 20.0)).collect();
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for (i, bits) in expected.iter().enumerate() {
                        assert_eq!(call(&f, i as f64, 20.0), *bits, "{name}");
                    }
                });
            }
        });
    }
}

/// One engine, many threads that compile, call and drop.
#[test]
fn one_engine_on_many_threads() {
    for mode in [Mode::Strict, Mode::DualMapped] {
        let mut options = kiln::Options::default();
        options.memory = mode;
        let engine = Engine::with_options(options).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let engine = &engine;
                scope.spawn(move || {
                    for i in 0..40 {
                        let k = thread * 100 + i;
                        let f = engine.compile(&format!("x * {k} + {i}")).unwrap();
                        let got = f.call(&[Value::F64(2.0)]).unwrap();
                        assert!(got.same(Value::F64(f64::from(2 * k + i))), "{got:?}");
                    }
                });
            }
        });
    }
}

/// The last handle may go while another thread is inside: each holds its own.
#[test]
fn handles_dropped_during_calls() {
    let engine = Engine::new();
    for _ in 0..50 {
        let f = compile(&engine, "x, y", FORMULA);
        let expected = call(&f, 1.0, 2.0);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let f = f.clone();
                std::thread::spawn(move || (0..200).all(|_| call(&f, 1.0, 2.0) == expected))
            })
            .collect();
        drop(f);
        assert!(threads.into_iter().all(|t| t.join().unwrap()));
    }
    // The code lives on without its engine, and is freed on whichever thread is last.
    let f = compile(&engine, "x, y", FORMULA);
    drop(engine);
    let bits = call(&f, 3.0, 4.0);
    assert_eq!(std::thread::spawn(move || call(&f, 3.0, 4.0)).join().unwrap(), bits);
}

/// Compiling and dropping for ever takes no memory.
#[cfg(target_os = "linux")]
#[test]
fn compiling_and_dropping_is_flat() {
    const ROUNDS: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    for mode in [Mode::Strict, Mode::DualMapped] {
        let status = mem_child::in_child(|| {
            let mut options = kiln::Options::default();
            options.memory = mode;
            let engine = Engine::with_options(options).unwrap();
            let cycle = |i: usize| {
                let f = engine.compile(&format!("x * {i} + sin(x)")).unwrap();
                assert!(f.call(&[Value::F64(0.0)]).unwrap().same(Value::F64(0.0)));
                // Errors leave nothing behind either.
                if i % 10 == 0 {
                    assert!(engine.compile("x +* (").is_err());
                }
            };
            (0..1000).for_each(cycle);
            let before = mem_child::resident();
            (0..ROUNDS).for_each(cycle);
            let after = mem_child::resident();
            assert!(after < before + (4 << 20), "{before} bytes became {after}");
        });
        assert_eq!(status, 0, "{mode:?}");
    }
}

/// Answers every request for executable memory with "permission denied", for this process and for good.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn forbid_executable_memory() {
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let equal = |k: i64, jt, jf| libc::sock_filter { jt, jf, ..op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k as u32) };
    let load = |at| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let answer = |action| op(libc::BPF_RET | libc::BPF_K, action);
    let exec = libc::PROT_EXEC as u32;
    let mut program = [
        load(0),
        equal(libc::SYS_mmap, 3, 0),
        equal(libc::SYS_mprotect, 2, 0),
        equal(libc::SYS_pkey_mprotect, 1, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        load(16 + 2 * 8),
        op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, exec),
        equal(i64::from(exec), 0, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EACCES as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers; gives up the right to gain privileges, which the next call asks for.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: `program` points at a filter that outlives the call.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
}

/// Without executable memory formulas are interpreted, which changes no result; whoever insists on machine code gets
/// an error.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn falls_back_to_the_interpreter() {
    use kiln::{EngineKind, Error};
    for mode in [Mode::Strict, Mode::DualMapped] {
        let mut options = kiln::Options::default();
        options.memory = mode;
        let before = compile(&Engine::with_options(options.clone()).unwrap(), "x, y", FORMULA);
        assert_eq!(before.engine(), EngineKind::Jit);
        let status = mem_child::in_child(|| {
            forbid_executable_memory();
            let engine = Engine::with_options(options.clone()).unwrap();
            let f = compile(&engine, "x, y", FORMULA);
            assert_eq!(f.engine(), EngineKind::Interpreter);
            let typed = engine.formula(FORMULA).params("x, y").compile_typed::<fn(f64, f64) -> f64>().unwrap();
            let mut batch = engine.batch();
            batch.add("x + 1").unwrap();
            let many = batch.finish().unwrap();
            assert_eq!(many[0].engine(), EngineKind::Interpreter);
            assert!(many[0].call(&[Value::F64(1.0)]).unwrap().same(Value::F64(2.0)));
            for i in 0..100 {
                let (x, y) = (f64::from(i) / 3.0, f64::from(i * i) / 50.0);
                // What was compiled before still runs.
                let bits = call(&before, x, y);
                assert_eq!(call(&f, x, y), bits);
                assert_eq!(typed.call(x, y).to_bits(), bits);
            }
            options.engine = Some(EngineKind::Jit);
            let strict = Engine::with_options(options).unwrap();
            let error = strict.compile("x + 1").unwrap_err();
            assert!(matches!(error, Error::Seal(_)) && error.to_string().contains("refused"), "{error:?}");
        });
        assert_eq!(status, 0, "{mode:?}");
    }
}
