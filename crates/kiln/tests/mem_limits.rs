//! Many live functions in few mappings and little address space; many dead ones in flat memory.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod mem_child;

use kiln::mem::{Arena, Batch, Draft, Mode, SealError, Sealed};
use mem_child::{call, in_child, maps, random, resident, returning};

/// Functions that live at once; the kernel allows 65,530 mappings.
const LIVE: u32 = 200_000;

/// Leaves this process `bytes` of address space beyond what it has.
fn limit_address_space(bytes: u64) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let bytes = bytes + pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// Strict and one at a time is the worst case: a page for each. (The space that the test program has already is
/// taken off the two.)
#[test]
fn all_live_in_two_gibibytes() {
    let status = in_child(|| {
        limit_address_space((2 << 30) - (256 << 20));
        let arena = Arena::new(Mode::Strict);
        let before = maps().lines().count();
        let mut live: Vec<(u32, Sealed)> =
            (0..LIVE).map(|value| (value, arena.seal(&returning(value)).unwrap())).collect();
        let after = maps().lines().count();
        assert!(after < before + 50, "{before} mappings became {after}");

        // Half of them go, in no order, and others come to the holes.
        let mut state = 88_172_645_463_325_252;
        for _ in 0..LIVE / 2 {
            let victim = random(&mut state) % live.len();
            live.swap_remove(victim);
        }
        live.extend((0..LIVE / 10).map(|value| (value, arena.seal(&returning(value)).unwrap())));
        let after = maps().lines().count();
        assert!(after < before + 50, "{before} mappings became {after} with holes");
        assert!(live.iter().all(|(value, code)| call(code) == *value));
    });
    assert_eq!(status, 0);
}

/// Drafts that are sealed on their own take no more space than their pages.
#[test]
fn drafts_alone_take_a_page_each() {
    let status = in_child(|| {
        limit_address_space(128 << 20);
        let before = maps().lines().count();
        let live: Vec<Sealed> =
            (0..10_000).map(|value| Draft::from(returning(value).to_vec()).seal().unwrap()).collect();
        let after = maps().lines().count();
        assert!(after < before + 50, "{before} mappings became {after}");
        assert!((0..).zip(&live).all(|(value, code)| call(code) == value));
    });
    assert_eq!(status, 0);
}

#[test]
fn small_functions_in_batches_and_slots_take_little() {
    let status = in_child(|| {
        let code = [0xC3; 100];
        let mut batch = Batch::new();
        for _ in 0..1000 {
            batch.push_bytes(&code);
        }
        for mode in [Mode::Strict, Mode::DualMapped] {
            let arena = Arena::new(mode);
            let mut live = Vec::with_capacity(100_000);
            let (resident_before, maps_before) = (resident(), maps().lines().count());
            (0..100).for_each(|_| live.extend(batch.seal_in(&arena).unwrap()));
            let each = (resident() - resident_before) / live.len();
            assert!(each <= 512, "{each} bytes for a function of 100, {mode:?}");
            assert!(maps().lines().count() < maps_before + 50);
        }
    });
    assert_eq!(status, 0);
}

#[test]
fn no_address_space_is_an_error() {
    let status = in_child(|| {
        limit_address_space(250 << 20);
        for mode in [Mode::Strict, Mode::DualMapped] {
            let arena = Arena::new(mode);
            let code = vec![0xC3; 30_000];
            let mut live = Vec::with_capacity(10_000);
            let error = loop {
                match arena.seal(&code) {
                    Ok(sealed) => live.push(sealed),
                    Err(error) => break error,
                }
            };
            assert_eq!(error, SealError::OutOfMemory);
            // Smaller reservations follow when larger ones are refused, so nearly all of the space was used (of 8,000 and
            // 4,000 pieces of 32 KiB).
            let least = if mode == Mode::Strict { 7600 } else { 3800 };
            assert!(live.len() > least, "{} live, {mode:?}", live.len());
            live.truncate(live.len() / 2);
            assert!(arena.seal(&code).is_ok());
        }
    });
    assert_eq!(status, 0);
}

/// A million times sealed and dropped: alone, with some that stay a while, in batches, and as drafts on their own.
#[test]
fn flat_over_a_million_cycles() {
    let status = in_child(|| {
        let strict = Arena::new(Mode::Strict);
        let dual = Arena::new(Mode::DualMapped);
        let mut batch = Batch::new();
        for value in 0..1000 {
            batch.push_bytes(&returning(value));
        }
        let long = [0xC3; 9000];
        let mut few = std::collections::VecDeque::new();
        // Some stay for good, so that no chunk is ever empty and what is lost in one stays lost.
        let mut pinned = Vec::new();
        let mut first = 0;
        for round in 0..400_u32 {
            for step in 0..500 {
                let code = if step % 10 == 0 { &long[..step * 17] } else { &long[..100] };
                few.push_back(strict.seal(code).unwrap());
                few.push_back(dual.seal(code).unwrap());
                if few.len() > 64 {
                    few.drain(..32);
                }
            }
            for _ in 0..500 {
                drop(strict.seal(&returning(round)).unwrap());
            }
            drop(batch.seal_in(&strict).unwrap());
            if round % 10 == 0 {
                pinned.push(strict.seal(&returning(round)).unwrap());
                pinned.push(dual.seal(&returning(round)).unwrap());
            }
            if round % 4 == 0 {
                (0..10).for_each(|_| drop(Draft::from(returning(1).to_vec()).seal().unwrap()));
            }
            if round == 40 {
                first = resident();
            }
        }
        let last = resident();
        assert!(last < first + (512 << 10), "{first} bytes became {last}");
        assert!(strict.reserved_bytes() + dual.reserved_bytes() < 4 << 20);
    });
    assert_eq!(status, 0);
}

/// What was live once and is not any more does not stay in memory.
#[test]
fn memory_goes_back() {
    let status = in_child(|| {
        for mode in [Mode::Strict, Mode::DualMapped] {
            let arena = Arena::new(mode);
            let code = [0xC3; 2000];
            let mut live = Vec::with_capacity(20_000);
            let before = resident();
            (0..20_000).for_each(|_| live.push(arena.seal(&code).unwrap()));
            let full = resident();
            assert!(full > before + (35 << 20));
            // One in each stretch of the memory stays, so no chunk is empty.
            let kept: Vec<Sealed> = live.iter().step_by(500).cloned().collect();
            live.clear();
            let left = resident() - before;
            assert!(mode == Mode::DualMapped || left < 5 << 20, "{left} bytes left, {mode:?}");
            drop(kept);
            let left = resident().saturating_sub(before);
            assert!(left < if mode == Mode::DualMapped { 20 << 20 } else { 5 << 20 }, "{left} bytes left, {mode:?}");
        }
    });
    assert_eq!(status, 0);
}
