//! No page is ever writable and executable: watched from outside, and with a system that forbids it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod mem_child;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kiln::mem::{Arena, Batch, Draft, Mode, SealError};
use mem_child::{call, in_child, maps, returning};

const MODES: [Mode; 2] = [Mode::Strict, Mode::DualMapped];

/// Has the kernel answer `action` to these calls, for this process and for good, when their third argument (the
/// protection) has all the bits of `mask`.
fn filter(calls: &[libc::c_long], mask: libc::c_int, action: u32) {
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |at| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let equal = |k, jt, jf| libc::sock_filter { jt, jf, ..op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k) };
    let answer = |action| op(libc::BPF_RET | libc::BPF_K, action);
    let mut program = vec![load(0)];
    for (index, &number) in calls.iter().enumerate() {
        program.push(equal(number as u32, (calls.len() - index) as u8, 0));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(load(16 + 2 * 8));
    program.push(op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask as u32));
    program.push(equal(mask as u32, 0, 1));
    program.push(answer(action));
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers; gives up the right to gain privileges, which the next call asks for.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: `program` points at a filter that outlives the call.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
}

const PROTECTING: [libc::c_long; 3] = [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect];

#[test]
fn no_mapping_is_seen_writable_and_executable() {
    let done = AtomicBool::new(false);
    let samples = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let maps = maps();
                for line in maps.lines() {
                    let access = line.split(' ').nth(1).unwrap();
                    assert!(!(access.contains('w') && access.contains('x')), "{line}");
                }
                samples.fetch_add(1, Ordering::Relaxed);
            }
        });
        let strict = Arena::new(Mode::Strict);
        let dual = Arena::new(Mode::DualMapped);
        let mut batch = Batch::new();
        for value in 0..100 {
            batch.push_bytes(&returning(value));
        }
        let mut live = Vec::new();
        // 130,000 seals, and more if the watcher had little time.
        for round in 0..10_000_u32 {
            if round >= 500 && samples.load(Ordering::Relaxed) >= 50 {
                break;
            }
            for value in 0..80 {
                live.push(strict.seal(&returning(value)).unwrap());
                live.push(Draft::from(returning(value).to_vec()).seal_in(&dual).unwrap());
            }
            live.push(Draft::from(returning(round).to_vec()).seal().unwrap());
            live.extend(batch.seal_in(&strict).unwrap());
            if round % 3 == 2 {
                live.clear();
            }
        }
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
        assert!(samples.load(Ordering::Relaxed) >= 50, "too few samples to mean anything");
    });
}

#[test]
fn works_where_writable_and_executable_is_death() {
    let status = in_child(|| {
        filter(&PROTECTING, libc::PROT_WRITE | libc::PROT_EXEC, libc::SECCOMP_RET_KILL_PROCESS);
        for mode in MODES {
            let arena = Arena::new(mode);
            for round in 0..3 {
                let live: Vec<_> = (0..500).map(|value| arena.seal(&returning(value)).unwrap()).collect();
                assert!((0..500).zip(&live).all(|(value, code)| call(code) == value), "round {round}");
            }
        }
        assert_eq!(call(&Draft::from(returning(42).to_vec()).seal().unwrap()), 42);
    });
    assert_eq!(status, 0);
}

/// That the filter does what the test above relies on.
#[test]
fn the_filter_kills() {
    let status = in_child(|| {
        filter(&PROTECTING, libc::PROT_WRITE | libc::PROT_EXEC, libc::SECCOMP_RET_KILL_PROCESS);
        let both = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // SAFETY: takes new addresses and gives them to nobody.
        unsafe { libc::mmap(std::ptr::null_mut(), 4096, both, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0) };
    });
    assert_eq!(status & 127, libc::SIGSYS);
}

#[test]
fn a_refusal_is_an_error_of_its_own() {
    let status = in_child(|| {
        let before = Arena::new(Mode::Strict);
        let sealed = before.seal(&returning(1)).unwrap();
        filter(&PROTECTING, libc::PROT_EXEC, libc::SECCOMP_RET_ERRNO | libc::EACCES as u32);
        for arena in [&before, &Arena::new(Mode::Strict)] {
            for _ in 0..100 {
                let error = arena.seal(&returning(2)).unwrap_err();
                assert_eq!(error, SealError::Refused { call: "mprotect", code: libc::EACCES });
            }
            assert!(arena.reserved_bytes() <= 64 << 10, "refusals take memory");
        }
        let error = Draft::from(returning(3).to_vec()).seal().unwrap_err();
        assert_eq!(error, SealError::Refused { call: "mprotect", code: libc::EACCES });
        let error = Arena::new(Mode::DualMapped).seal(&returning(4)).unwrap_err();
        assert_eq!(error, SealError::Refused { call: "mmap", code: libc::EACCES });
        assert!(error.to_string().contains("refused"), "{error}");
        assert_eq!(call(&sealed), 1);
    });
    assert_eq!(status, 0);
}
