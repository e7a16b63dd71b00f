//! What is sealed can be called, stays what it was, and gives its memory back.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::mem::{Arena, Batch, Draft, Mode, SealError, Sealed};

const MODES: [Mode; 2] = [Mode::Strict, Mode::DualMapped];

/// `mov eax, value; ret`
fn returning(value: u32) -> Vec<u8> {
    let mut code = vec![0xB8];
    code.extend(value.to_le_bytes());
    code.push(0xC3);
    code
}

fn call(code: &Sealed) -> u32 {
    // SAFETY: every code that this file calls is `returning`, a function without arguments that returns a `u32`.
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(code.as_ptr()) };
    function()
}

#[test]
fn a_draft_alone_is_callable() {
    let sealed = Draft::from(returning(42)).seal().unwrap();
    assert_eq!(call(&sealed), 42);
    assert_eq!(call(&sealed.clone()), 42);
}

#[test]
fn bytes_are_what_was_sealed() {
    for mode in MODES {
        let arena = Arena::new(mode);
        for len in [0, 1, 6, 63, 64, 65, 512, 513, 4095, 4096, 4097, 70_000, 1 << 20] {
            let code: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let sealed = arena.seal(&code).unwrap();
            assert_eq!(sealed.bytes(), code, "{len} bytes, {mode:?}");
            assert_eq!(sealed.as_ptr() as usize % 64, 0);
        }
    }
}

#[test]
fn a_batch_keeps_order_alignment_and_fate() {
    for mode in MODES {
        let arena = Arena::new(mode);
        let mut batch = Batch::new();
        assert!(batch.seal_in(&arena).unwrap().is_empty());
        for value in 0..1000 {
            assert_eq!(batch.push(&Draft::from(returning(value)).aligned(16 << (value % 3))), value as usize);
        }
        let mut sealed = batch.seal_in(&arena).unwrap();
        for (value, code) in (0..).zip(&sealed) {
            assert_eq!(code.as_ptr() as usize % (16 << (value % 3)), 0);
            assert_eq!(call(code), value);
        }
        let last = sealed.pop().unwrap();
        drop(sealed);
        drop(arena);
        assert_eq!(call(&last), 999);
    }
}

/// Seals and drops in a random order, sizes mixed, and calls everything that is live.
#[test]
fn what_is_live_stays_callable() {
    for mode in MODES {
        let arena = Arena::new(mode);
        let mut live: Vec<(u32, Sealed)> = Vec::new();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for step in 0..20_000_u32 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let grow = if step % 4000 < 2000 { 70 } else { 30 };
            if random % 100 < grow || live.is_empty() {
                let mut code = returning(step);
                let pad = match random >> 8 & 31 {
                    0 => 40_000,
                    1..4 => 5_000,
                    _ => random as usize >> 20 & 255,
                };
                code.resize(code.len() + pad, 0x90);
                live.push((step, arena.seal(&code).unwrap()));
            } else {
                let victim = (random >> 8) as usize % live.len();
                live.swap_remove(victim);
            }
            if step % 500 == 0 {
                assert!(live.iter().all(|(value, code)| call(code) == *value), "step {step}, {mode:?}");
            }
        }
    }
}

#[test]
fn an_empty_arena_keeps_little() {
    for mode in MODES {
        let arena = Arena::new(mode);
        let live: Vec<Sealed> = (0..20_000).map(|value| arena.seal(&returning(value)).unwrap()).collect();
        let full = arena.reserved_bytes();
        drop(live);
        assert!(arena.reserved_bytes() < full, "{mode:?}: all of {full} bytes kept");
        let again = arena.seal(&returning(7)).unwrap();
        assert_eq!(call(&again), 7);
    }
}

#[test]
fn too_large_is_an_error() {
    let code = vec![0; (1 << 30) + 1];
    let error = Arena::new(Mode::Strict).seal(&code).unwrap_err();
    assert_eq!(error, SealError::TooLarge { bytes: code.len() });
    assert!(error.to_string().contains("1073741825"));
}
