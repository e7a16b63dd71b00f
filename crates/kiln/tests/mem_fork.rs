//! After a fork both sides call what was sealed before, free it, and seal more, and neither sees the other's code.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod mem_child;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use kiln::mem::{Arena, Draft, Mode, Sealed};
use mem_child::{call, end_in_a_minute, in_child, returning};

fn seal(arena: &Arena, values: std::ops::Range<u32>) -> Vec<(u32, Sealed)> {
    values.map(|value| (value, arena.seal(&returning(value)).unwrap())).collect()
}

fn all_right(live: &[(u32, Sealed)]) -> bool {
    live.iter().all(|(value, code)| call(code) == *value)
}

#[test]
fn a_child_calls_frees_and_seals() {
    for mode in [Mode::Strict, Mode::DualMapped] {
        let arena = Arena::new(mode);
        let live = seal(&arena, 0..1000);
        // Free slots and pages exist on both sides of the fork.
        drop(seal(&arena, 1000..1500));
        let status = in_child(|| {
            assert!(all_right(&live));
            let mut mine = live.clone();
            drop(seal(&arena, 2000..2700));
            mine.extend(seal(&arena, 3000..5000));
            assert!(all_right(&mine));
            mine.drain(..1500);
            mine.extend(seal(&arena, 6000..8000));
            assert!(all_right(&mine));
            drop(Draft::from(returning(1).to_vec()).seal().unwrap());
        });
        assert_eq!(status, 0, "{mode:?}");
        assert!(all_right(&live), "the child wrote to the parent's code, {mode:?}");
        let mut live = live;
        live.extend(seal(&arena, 1000..2000));
        assert!(all_right(&live));
    }
}

/// The child frees what it got from its parent, and seals more in its place; the parent's stays.
#[test]
fn a_child_frees_what_its_parent_sealed() {
    for mode in [Mode::Strict, Mode::DualMapped] {
        let arena = Arena::new(mode);
        let mut live = seal(&arena, 0..1000);
        let status = in_child(|| {
            let mut mine = std::mem::take(&mut live);
            mine.drain(..999);
            mine.extend(seal(&arena, 5000..7000));
            assert!(all_right(&mine));
            mine.clear();
            assert!(all_right(&seal(&arena, 0..10)));
        });
        assert_eq!(status, 0, "{mode:?}");
        assert_eq!(live.len(), 1000);
        assert!(all_right(&live), "the child freed the parent's code, {mode:?}");
    }
}

/// The parent drops and seals while a child still calls what it got: the child's stays.
#[test]
fn a_parent_recycles_while_its_child_calls() {
    for mode in [Mode::Strict, Mode::DualMapped] {
        let arena = Arena::new(mode);
        let mut live = seal(&arena, 0..1000);
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        // The grandchild's parent is the process that recycles; this one only waits.
        let status = in_child(|| {
            // SAFETY: as in `in_child`: the grandchild runs what follows and ends.
            let caller = unsafe { libc::fork() };
            if caller == 0 {
                end_in_a_minute();
                let told = theirs.read_exact(&mut [0]).is_ok();
                let right = told && all_right(&live);
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!right)) }
            }
            live.clear();
            let again = seal(&arena, 10_000..12_000);
            ours.write_all(&[1]).unwrap();
            let mut status = 0;
            // SAFETY: waits for our own child and writes to a local.
            assert_eq!(unsafe { libc::waitpid(caller, &raw mut status, 0) }, caller);
            assert_eq!(status, 0, "the parent wrote to its child's code, {mode:?}");
            assert!(all_right(&again));
        });
        assert_eq!(status, 0, "{mode:?}");
    }
}
