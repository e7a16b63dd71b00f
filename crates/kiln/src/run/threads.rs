//! Threads for calls over many rows.
//!
//! The one idea: work is cut into chunks of a size that does not depend on the number of threads, and whoever is free takes
//! the next chunk in order. So results and errors are the same for any number of threads, one included. The
//! calling thread works too. A pool is made when it is first needed, and kept; a caller that is in a `rayon` pool already stays
//! in it. Knows neither rows nor formulas.

use std::num::NonZeroUsize;
#[cfg(feature = "threads")]
use std::sync::OnceLock;

/// Rows of a chunk: many enough to be worth handing out, few enough to stay in a cache.
const CHUNK: usize = 1 << 14;

/// The threads of an engine.
#[derive(Debug)]
pub(crate) struct Threads {
    /// How many may work at once.
    count: usize,
    /// Rows of a chunk.
    chunk: usize,
    /// All but the caller; none where the system refuses threads.
    #[cfg(feature = "threads")]
    pool: OnceLock<Option<rayon::ThreadPool>>,
}

impl Threads {
    /// So many threads, the caller's included.
    pub(crate) fn new(count: Option<NonZeroUsize>) -> Threads {
        Threads::with_chunks(count, CHUNK)
    }

    /// The same with chunks of another size.
    pub(crate) fn with_chunks(count: Option<NonZeroUsize>, chunk: usize) -> Threads {
        Threads {
            count: if cfg!(feature = "threads") { count.map_or(1, NonZeroUsize::get) } else { 1 },
            chunk,
            #[cfg(feature = "threads")]
            pool: OnceLock::new(),
        }
    }

    /// How many may work at once.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Rows of a chunk.
    #[inline]
    pub(crate) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Runs `work` on as many threads as there are, but not more than `most`, at once, and returns when all are done.
    #[cfg(feature = "threads")]
    pub(crate) fn run(&self, most: usize, work: &(dyn Fn() + Sync)) {
        let helpers = self.count.min(most).saturating_sub(1);
        if helpers == 0 {
            return work();
        }
        if rayon::current_thread_index().is_some() {
            return rayon::in_place_scope(|scope| together(scope, helpers, work));
        }
        let make = || rayon::ThreadPoolBuilder::new().num_threads(self.count - 1).build().ok();
        match self.pool.get_or_init(make) {
            Some(pool) => pool.in_place_scope(|scope| together(scope, helpers, work)),
            None => work(),
        }
    }

    /// Runs `work` on this thread.
    #[cfg(not(feature = "threads"))]
    pub(crate) fn run(&self, _: usize, work: &(dyn Fn() + Sync)) {
        work();
    }
}

/// Runs `work` on this thread, and as often on others.
#[cfg(feature = "threads")]
fn together<'a>(scope: &rayon::Scope<'a>, helpers: usize, work: &'a (dyn Fn() + Sync)) {
    for _ in 0..helpers {
        scope.spawn(move |_| work());
    }
    work();
}
