//! One arena, many threads: sealing, calling, and dropping in a thread other than the one that sealed.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod mem_child;

use std::sync::mpsc::channel;

use kiln::mem::{Arena, Mode, Sealed};
use mem_child::{call, returning};

const MODES: [Mode; 2] = [Mode::Strict, Mode::DualMapped];

#[test]
fn threads_share_an_arena() {
    for mode in MODES {
        let arena = Arena::new(mode);
        let (sender, receiver) = channel::<(u32, Sealed)>();
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let (arena, sender) = (arena.clone(), sender.clone());
                scope.spawn(move || {
                    let mut live = Vec::new();
                    for step in 0..3000 {
                        let value = thread * 10_000 + step;
                        let code = arena.seal(&returning(value)).unwrap();
                        sender.send((value, code.clone())).unwrap();
                        live.push((value, code));
                        if step % 7 == 6 {
                            assert!(live.drain(..4).all(|(value, code)| call(&code) == value));
                        }
                    }
                });
            }
            drop(sender);
            for (value, code) in receiver {
                assert_eq!(call(&code), value, "{mode:?}");
            }
        });
    }
}

/// The handle that sealed goes away while another thread, which has a clone, is inside.
#[test]
fn dropped_while_another_thread_calls() {
    // mov eax, 200000000; 1: dec eax; jne 1b; mov eax, 42; ret
    let slow = [0xB8, 0x00, 0xC2, 0xEB, 0x0B, 0xFF, 0xC8, 0x75, 0xFC, 0xB8, 42, 0, 0, 0, 0xC3];
    for mode in MODES {
        let arena = Arena::new(mode);
        let code = arena.seal(&slow).unwrap();
        let clone = code.clone();
        let caller = std::thread::spawn(move || call(&clone));
        drop(code);
        while !caller.is_finished() {
            (0..100).for_each(|value| drop(arena.seal(&returning(value)).unwrap()));
        }
        assert_eq!(caller.join().unwrap(), 42);
    }
}
