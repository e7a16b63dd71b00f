//! In which pass over all rows each formula is computed.
//!
//! Owns the schedule of a program. The one idea: a formula with aggregates over rows takes all rows once or more before
//! it has results, from the pass on in which its inputs are known; so each pass has a list of what is computed in it and
//! of what takes its rows, and the last pass computes everything. What is computed in a pass is not kept for the next one:
//! rows are too many.
//!
//! Which rows are all rows: the filter, and the formulas that it uses, see every row; what comes behind the filter sees
//! those that are kept. Knows no batch.

use crate::program::Step;

/// The formulas of a program by number: those before the filter, those behind it, and the filter, which is the last number.
pub(crate) struct Order<'a> {
    pub(crate) steps: &'a [Step],
    pub(crate) early: usize,
    pub(crate) filter: Option<&'a Step>,
}

/// What happens in one pass.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The formulas that are computed before the filter.
    pub(crate) early: Vec<usize>,
    /// Is the filter computed, and are rows dropped?
    pub(crate) filter: bool,
    /// The slots that are used behind the filter and known before it.
    pub(crate) moved: Vec<usize>,
    /// The formulas that are computed behind the filter.
    pub(crate) late: Vec<usize>,
    /// The formulas that take the rows, not yet computed.
    pub(crate) fed: Vec<usize>,
}

impl<'a> Order<'a> {
    pub(crate) fn get(&self, number: usize) -> Option<&'a Step> {
        self.steps.get(number).or(self.filter)
    }

    /// All numbers in the order of the work.
    fn numbers(&self) -> impl Iterator<Item = usize> {
        let filter = self.filter.is_some().then_some(self.steps.len());
        (0..self.early).chain(filter).chain(self.early..self.steps.len())
    }

    fn is_late(&self, number: usize) -> bool {
        (self.early..self.steps.len()).contains(&number)
    }

    /// What happens in each pass; `slots` is how many there are, `columns` how many of these are columns of the batch.
    pub(crate) fn schedule(&self, columns: usize, slots: usize) -> Vec<Work> {
        // By slot and for the filter: in which pass it is known. By number: from which pass on all rows are taken, and
        // the first pass in which it is computed.
        let (mut known, mut filter) = (vec![0; slots], 0);
        let mut spans = vec![0..0; self.steps.len() + 1];
        for number in self.numbers() {
            let Some(step) = self.get(number) else { continue };
            let inputs = step.arguments.iter().map(|&slot| known[slot]).max().unwrap_or(0);
            let from = if self.is_late(number) { inputs.max(filter) } else { inputs };
            spans[number] = from..from + step.feeds;
            known[step.targets.clone()].fill(from + step.feeds);
            if number == self.steps.len() {
                filter = from + step.feeds;
            }
        }
        let last = spans.iter().map(|span| span.end).max().unwrap_or(0);
        let mut passes: Vec<Work> = (0..last)
            .map(|pass| {
                let fed: Vec<usize> = self.numbers().filter(|&number| spans[number].contains(&pass)).collect();
                self.work(columns, &fed, fed.iter().copied())
            })
            .collect();
        passes.push(self.work(columns, &[], self.numbers()));
        passes
    }

    /// What a pass must do in which some formulas take the rows, and the arguments of these `wanted` ones are needed.
    fn work(&self, columns: usize, fed: &[usize], wanted: impl Iterator<Item = usize>) -> Work {
        let mut slots = Vec::new();
        let (mut filter, everything) = (false, fed.is_empty());
        let mut late = Vec::new();
        for number in wanted {
            filter |= self.is_late(number) && self.filter.is_some();
            slots.extend(self.get(number).iter().flat_map(|step| step.arguments.iter().copied()));
        }
        let is_wanted = |slots: &[usize], number: usize| {
            everything || self.steps[number].targets.clone().any(|slot| slots.contains(&slot))
        };
        for number in (self.early..self.steps.len()).rev() {
            if is_wanted(&slots, number) {
                late.insert(0, number);
                filter |= self.filter.is_some();
                slots.extend(self.steps[number].arguments.iter().copied());
            }
        }
        filter |= everything && self.filter.is_some();
        // Of the rows that are kept, that is needed which is used behind the filter, and in the end all that is new.
        let mut moved: Vec<usize> = Vec::new();
        if filter {
            let behind = late.iter().chain(fed.iter().filter(|&&number| self.is_late(number)));
            moved.extend(behind.flat_map(|&number| self.steps[number].arguments.iter().copied()));
            if everything {
                moved.extend(self.steps[..self.early].iter().flat_map(|step| step.targets.clone()));
            }
            let known_before =
                |slot: usize| slot < columns || self.steps[..self.early].iter().any(|s| s.targets.contains(&slot));
            moved.retain(|&slot| known_before(slot));
            moved.sort_unstable();
            moved.dedup();
            slots.extend(self.filter.iter().flat_map(|step| step.arguments.iter().copied()));
        }
        let mut early = Vec::new();
        for number in (0..self.early).rev() {
            if is_wanted(&slots, number) {
                early.insert(0, number);
                slots.extend(self.steps[number].arguments.iter().copied());
            }
        }
        Work { early, filter, moved, late, fed: fed.to_vec() }
    }
}

impl Work {
    /// The columns of the batch that are read.
    pub(crate) fn columns(&self, order: &Order<'_>, columns: usize) -> Vec<usize> {
        let filter = self.filter.then_some(order.steps.len());
        let numbers = self.early.iter().chain(&filter).chain(&self.late).chain(&self.fed);
        let slots = numbers.filter_map(|&number| order.get(number)).flat_map(|step| step.arguments.iter().copied());
        let mut used: Vec<usize> = slots.filter(|&slot| slot < columns).collect();
        used.sort_unstable();
        used.dedup();
        used
    }
}
