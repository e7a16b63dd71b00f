//! A bar on the terminal, for work that takes long.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

/// How far a source is, and how far there is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Bytes(u64),
    Rows(u64),
    Batches(u64),
}

/// The bar, once the work has taken long enough.
pub(crate) struct Progress {
    start: Instant,
    total: Option<Extent>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shorter work gets no bar.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// `to_stdout`: rows that scroll over the same terminal leave no place for a bar.
    pub(crate) fn new(total: Option<Extent>, to_stdout: bool) -> Progress {
        let visible = io::stderr().is_terminal() && !(to_stdout && io::stdout().is_terminal());
        Progress { start: Instant::now(), total: total.filter(|_| visible), bar: None }
    }

    /// So much is done.
    pub(crate) fn tick(&mut self, done: u64) {
        let Some(total) = self.total else { return };
        if self.bar.is_none() && self.start.elapsed() > Progress::PATIENCE {
            let (total, template) = match total {
                Extent::Bytes(bytes) => {
                    (bytes, "{bar:40} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left")
                }
                Extent::Batches(batches) => (batches, "{bar:40} {human_pos} of {human_len} batches, {eta} left"),
                Extent::Rows(rows) => (rows, "{bar:40} {human_pos} of {human_len} rows, {per_sec}, {eta} left"),
            };
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
