//! Cuts a function over columns into stages: functions of one row that run one after the other.
//!
//! Owns which node belongs to which stage. The one idea: an aggregate is known only after its argument has been looked
//! at in every row, so whatever depends on it belongs to a later pass over the rows. A node's *level* says how many
//! passes come before it; a stage gives the arguments of the aggregates at its level, the last one the results.
//!
//! An effect (a trap, a call that is not pure) happens once, in the first stage in which what it depends on is known;
//! so an error is reported as early as it can be, and later stages do not look for it again. A loop counts its steps in
//! one stage as well. If no result depends on a row, the last stage runs once, and not for each row.
//!
//! Knows no column and no aggregate from inside.

#![forbid(unsafe_code)]

use super::plan::counts_steps;
use super::{Optimiser, replay::Replay};
use crate::ir::build::Builder;
use crate::ir::rows::{Aggregate, Feed, RowParts, Source};
use crate::ir::{Func, Node, Ref, verify};
use crate::ops::Op;
use crate::span::Span;
use crate::types::Value;

/// A function of one row, and where its parameters come from.
pub(crate) struct Stage {
    pub(crate) func: Func,
    pub(crate) sources: Vec<Source>,
    /// The aggregates that it feeds; none for the last.
    pub(crate) feeds: Vec<Feed>,
}

/// A function in stages.
pub(crate) struct Stages {
    /// In the order in which they run; all but the last feed aggregates.
    pub(crate) stages: Vec<Stage>,
    /// Is there one result for all rows, so that the last stage runs once?
    pub(crate) once: bool,
    /// By result: does it depend on the row?
    pub(crate) per_row: Vec<bool>,
    /// The results that can be null: behind all results stands one for each that says whether it is there.
    pub(crate) validities: Vec<u32>,
}

/// Why a function cannot be cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Uncut {
    /// It would have to read the rows too often.
    Passes(usize),
    /// This loop counts its steps after one that depends on an aggregate, and an argument of that depends on it.
    Steps(Span),
    /// This call, which is not pure, is needed in several passes.
    Again(Span),
    /// A stage is too large.
    Nodes,
}

/// Most passes over the rows.
const PASSES: u32 = 64;

/// What is known of each node.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Mark {
    /// How many passes over the rows come before it is known.
    level: u32,
    /// Does it depend on the row?
    varies: bool,
}

impl Mark {
    fn join(&mut self, other: Mark) -> bool {
        let before = *self;
        self.level = self.level.max(other.level);
        self.varies |= other.varies;
        *self != before
    }
}

impl Optimiser {
    /// Cuts the function in `builder`, which has these parts.
    ///
    /// Without `nullable` results nobody asks whether a value of a row is there: aggregates are where there is a row.
    pub(crate) fn cut(&mut self, builder: &Builder, parts: &RowParts, nullable: bool) -> Result<Stages, Uncut> {
        let func = &builder.func;
        self.plan.start(func);
        // For who runs which region.
        self.memory.wanted.find(func, &self.plan, &[], |_, _| false);
        let marks = self.marks(func, parts)?;
        let of = |r: Ref| marks[r.index()];
        let count = func.results.len() - parts.validities.len();
        let per_row: Vec<bool> = func.results[..count].iter().map(|&r| of(r).varies).collect();
        let once = !per_row.contains(&true);
        // Is a result that is one value for all rows null in some rows only? Then it has a value in every row.
        let once = once && !func.results.iter().any(|&r| of(r).varies);
        let asked = if once || nullable { func.results.len() } else { count };
        let (final_results, validities) = (&func.results[..asked], parts.validities[..asked - count].to_vec());
        let level_of = |a: &Aggregate| {
            if a.valid == Ref::NONE { of(a.value).level } else { of(a.value).level.max(of(a.valid).level) }
        };
        let live = self.live(func, parts, final_results);
        let aggregates = || live.iter().map(|&number| (&parts.aggregates[number as usize], number));
        let last = final_results.iter().chain(&func.effects).map(|&r| of(r).level).max().unwrap_or(0);
        let last = aggregates().map(|(a, _)| level_of(a) + 1).max().unwrap_or(0).max(last);
        // What does not depend on the row belongs to the last stage if that runs once; then what does comes before it.
        let effects_in = |r: Ref| match of(r) {
            Mark { varies: false, .. } if once => last + 1,
            Mark { level, .. } => level,
        };
        let mut stages = Vec::new();
        for level in 0..=last {
            let is_last = level == last && !once;
            let feeds = aggregates().filter(|(a, _)| level_of(a) == level);
            let mut results = if is_last { final_results.to_vec() } else { Vec::new() };
            let mut place = |result: Ref| {
                let known = results.iter().position(|&r| r == result);
                known.unwrap_or_else(|| {
                    results.push(result);
                    results.len() - 1
                }) as u32
            };
            let feed = |(a, number): (&Aggregate, u32)| Feed {
                aggregate: number,
                value: place(a.value),
                valid: (a.valid != Ref::NONE).then(|| place(a.valid)),
            };
            let fed: Vec<Feed> = feeds.map(feed).collect();
            if is_last || !results.is_empty() || func.effects.iter().any(|&r| acts(func, r) && effects_in(r) == level) {
                let here = |r: Ref| acts(func, r) && effects_in(r) == level;
                let stage = self.stage(builder, parts, &results, fed, here)?;
                self.check_steps(func, &|r| effects_in(r) <= level)?;
                self.check_calls(func, &here)?;
                stages.push(stage);
            }
        }
        if once {
            let here = |r: Ref| acts(func, r) && effects_in(r) == last + 1;
            let stage = self.stage(builder, parts, final_results, Vec::new(), here)?;
            self.check_steps(func, &here)?;
            self.check_calls(func, &here)?;
            stages.push(stage);
        }
        Ok(Stages { stages, once, per_row, validities })
    }

    /// The aggregates that results or effects need, by themselves or by others.
    fn live(&mut self, func: &Func, parts: &RowParts, results: &[Ref]) -> Vec<u32> {
        let (mut live, mut roots) = (Vec::new(), results.to_vec());
        loop {
            self.memory.wanted.find(func, &self.plan, &roots, |r, _| acts(func, r));
            let has = |r: Ref| r != Ref::NONE && self.memory.wanted.has(r);
            let wanted = |&number: &u32| has(parts.values[number as usize]) || has(parts.present[number as usize]);
            let now: Vec<u32> = (0..parts.aggregates.len() as u32).filter(wanted).collect();
            if now.len() == live.len() {
                return live;
            }
            roots.truncate(results.len());
            let arguments = |&number: &u32| {
                let Aggregate { value, valid, .. } = parts.aggregates[number as usize];
                [value, valid].into_iter().filter(|&r| r != Ref::NONE)
            };
            roots.extend(now.iter().flat_map(arguments));
            live = now;
        }
    }

    /// What every node depends on. In the order of the arena all is found at once, but for what loops carry.
    fn marks(&self, func: &Func, parts: &RowParts) -> Result<Vec<Mark>, Uncut> {
        let mut marks = vec![Mark::default(); func.nodes.len()];
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (i, node) in func.nodes.iter().enumerate() {
                let mut mark = marks[i];
                if node.op == Op::Param {
                    mark.join(match parts.sources.get(node.a as usize) {
                        Some(&(Source::Aggregate(number) | Source::Present(number))) => {
                            let Aggregate { value, valid, .. } = parts.aggregates[number as usize];
                            let mut argument = marks[value.index()];
                            if valid != Ref::NONE {
                                argument.join(marks[valid.index()]);
                            }
                            Mark { level: argument.level + 1, varies: false }
                        }
                        _ => Mark { level: 0, varies: true },
                    });
                }
                self.needs(func, node, |r| {
                    if r != Ref::NONE {
                        mark.join(marks[r.index()]);
                    }
                });
                if mark.level > PASSES {
                    return Err(Uncut::Passes(PASSES as usize));
                }
                changed |= marks[i].join(mark);
            }
        }
        Ok(marks)
    }

    /// Calls `f` with what a node depends on.
    fn needs(&self, func: &Func, node: &Node, mut f: impl FnMut(Ref)) {
        let wanted = &self.memory.wanted;
        match node.op {
            Op::Trap | Op::CallPinned | Op::If => f(wanted.owner(node.region)),
            Op::Loop => {
                f(wanted.owner(node.region));
                f(func.regions[usize::from(func.loops[node.a as usize].body)].condition);
                return;
            }
            Op::Phi | Op::Exit => {
                let carried = func.carried[if node.op == Op::Phi { node.a } else { node.b } as usize];
                f(carried.phi);
                f(wanted.owner(func.node(carried.phi).region));
                f(carried.init);
                f(carried.next);
                return;
            }
            _ => {}
        }
        func.for_operands(node, f);
    }

    /// The part of a function that gives these results and has these effects. What it wants is left in the memory.
    fn stage(
        &mut self,
        builder: &Builder,
        parts: &RowParts,
        results: &[Ref],
        feeds: Vec<Feed>,
        acts: impl Fn(Ref) -> bool,
    ) -> Result<Stage, Uncut> {
        let (src, b) = (&builder.func, &mut self.spare);
        self.memory.wanted.find(src, &self.plan, results, |r, _| acts(r));
        b.reset(builder.options);
        self.inputs.clear();
        self.inputs.resize(src.params.len(), Ref::NONE);
        let mut sources = Vec::new();
        for (i, node) in src.nodes.iter().enumerate().filter(|(_, node)| node.op == Op::Param) {
            if self.memory.wanted.at(i) {
                b.set_span(src.spans[i]);
                self.inputs[node.a as usize] = b.param(node.ty);
                sources.push(parts.sources[node.a as usize]);
            }
        }
        Replay::new(src, &self.plan, b, &mut self.memory).run(&self.inputs);
        b.func.results.extend(results.iter().map(|&r| self.memory.copy(r)));
        if results.is_empty() {
            // What has effects alone gives something nevertheless, so that it has as many rows as that.
            let nothing = b.constant(Value::Bool(true));
            b.func.results.push(nothing);
        }
        if b.overflowed {
            return Err(Uncut::Nodes);
        }
        debug_assert_eq!(verify::verify(&b.func), Ok(()));
        Ok(Stage { func: std::mem::take(&mut b.func), sources, feeds })
    }

    /// Does the stage that was made last call what another one `calls`?
    fn check_calls(&self, func: &Func, calls: &dyn Fn(Ref) -> bool) -> Result<(), Uncut> {
        let impure = |r: Ref| {
            let node = func.node(r);
            node.op == Op::CallPinned && func.callees[node.a as usize].host().is_none_or(|host| !host.is_pure())
        };
        let again = |&&r: &&Ref| self.memory.wanted.has(r) && impure(r) && !calls(r);
        func.effects.iter().find(again).map_or(Ok(()), |&r| Err(Uncut::Again(func.spans[r.index()])))
    }

    /// Do the loops of the stage that was made last end? What counts their steps is counted from one loop to the next,
    /// so all that stands before a loop must have been `counted`, in this stage or over the same rows.
    fn check_steps(&self, func: &Func, counted: &dyn Fn(Ref) -> bool) -> Result<(), Uncut> {
        let wanted = |this: &&crate::ir::Loop| self.memory.wanted.has(this.node);
        let Some(last) = func.loops.iter().filter(wanted).map(|this| this.node).max() else { return Ok(()) };
        let missing = func.effects.iter().find(|&&r| r < last && counts_steps(func.node(r)) && !counted(r));
        missing.map_or(Ok(()), |&r| Err(Uncut::Steps(func.spans[r.index()])))
    }
}

/// Does something happen at this pinned node, other than that it runs what does?
fn acts(func: &Func, r: Ref) -> bool {
    matches!(func.node(r).op, Op::Trap | Op::CallPinned)
}
