//! Small calls over columns take no memory from the heap.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{AsColumn, Engine};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: what the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: what the caller says.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn calls_of_up_to_sixteen_columns_allocate_nothing() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"];
    for inputs in [1, 3, 15] {
        let formula = names[..inputs].join(" + ");
        let function = Engine::new().formula(&formula).params(&names[..inputs].join(", ")).compile().unwrap();
        for rows in [1, 2, 7, 64, 100] {
            let data = vec![1.5; 2 * rows];
            let mut out = vec![0.0; rows];
            let step = kiln::Column::new(&data).step_by(2);
            let mut columns: Vec<&dyn AsColumn> = vec![&2.5; inputs];
            let half = &data[..rows];
            columns[0] = &half;
            if inputs > 2 {
                columns[2] = &step;
            }
            function.eval_columns(&columns, &mut out).unwrap();
            let before = COUNT.with(Cell::get);
            function.eval_columns(&columns, &mut out).unwrap();
            assert_eq!(COUNT.with(Cell::get), before, "{inputs} inputs, {rows} rows");
        }
    }
}
