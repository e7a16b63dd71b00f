//! What sealing costs: a program that prints medians of interleaved rounds, in microseconds per function.
//!
//! `cargo bench -p kiln --bench mem_cost`

#![allow(clippy::print_stdout, reason = "it is a program that reports")]

use std::hint::black_box;
use std::time::Instant;

use kiln::mem::{Arena, Batch, Draft, Mode, Sealed};

const ROUNDS: usize = 21;
const FUNCTIONS: usize = 2_000;

fn main() {
    let mut code = vec![0x90; 120];
    code.push(0xC3);
    let draft = Draft::from(code.clone());
    let strict = Arena::new(Mode::Strict);
    let dual = Arena::new(Mode::DualMapped);
    let mut batch = Batch::new();
    for _ in 0..1_000 {
        batch.push(&draft);
    }

    let each = |arena: &Arena| (0..FUNCTIONS).for_each(|_| drop(black_box(arena.seal(&code).expect("sealed"))));
    let keep = |arena: &Arena| {
        let live: Vec<Sealed> = (0..FUNCTIONS).map(|_| arena.seal(&code).expect("sealed")).collect();
        drop(black_box(live));
    };
    let mut measures: [(&str, usize, &mut dyn FnMut()); 7] = [
        ("draft alone, seal and drop", FUNCTIONS, &mut || {
            (0..FUNCTIONS).for_each(|_| drop(black_box(draft.seal().expect("sealed"))));
        }),
        ("strict, seal and drop", FUNCTIONS, &mut || each(&strict)),
        ("strict, fresh arena, all kept, then dropped", FUNCTIONS, &mut || keep(&Arena::new(Mode::Strict))),
        ("strict batch of 1,000, seal and drop", 1_000, &mut || {
            drop(black_box(batch.seal_in(&strict).expect("sealed")));
        }),
        ("dual, seal and drop", FUNCTIONS, &mut || each(&dual)),
        ("dual, all kept, then dropped", FUNCTIONS, &mut || keep(&dual)),
        ("dual, fresh arena, all kept, then dropped", FUNCTIONS, &mut || keep(&Arena::new(Mode::DualMapped))),
    ];
    let mut times = vec![Vec::new(); measures.len()];
    for _ in 0..ROUNDS {
        for ((_, count, run), times) in measures.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_secs_f64() * 1e6 / *count as f64);
        }
    }
    for ((name, ..), times) in measures.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{name:<45} {:8.3} us (fastest {:.3})", times[ROUNDS / 2], times[0]);
    }
}
