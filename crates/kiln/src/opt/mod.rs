//! What is done to a function as a whole: the passes over branches and loops.
//!
//! A formula without regions is optimal when its last node is made, and pays nothing here. Otherwise a *round* makes a
//! plan and carries it out: every pass of [`PASSES`] looks at the function and says what it wants, and one replay then
//! copies the function, folding what it can. Rounds follow until there is nothing more to do, or there were enough:
//! each costs time in proportion to the function.
//!
//! To add a pass: a file, and a row in `PASSES` that says why it stands where it stands. What a pass decides, it writes
//! to the plan; what explains it, to the report. Knows no syntax and no machine.

#![forbid(unsafe_code)]

mod branch;
pub(crate) mod lanes;
mod loops;
mod plan;
pub(crate) mod replay;
pub(crate) mod stages;
pub(crate) mod wanted;

use crate::ir::build::{BuildOptions, Builder, Fired, KernelOf};
use crate::ir::{Callee, Func, Ref, Target, verify};
use crate::ops::Op;
use crate::span::Span;
use loops::Loops;
use plan::Plan;
use replay::{Memory, Replay};
use wanted::Wanted;

/// A pass: what it looks for is written to the plan.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests of the order name passes"))]
    pub(crate) name: &'static str,
    /// Why it stands where it stands.
    #[cfg_attr(not(test), allow(dead_code, reason = "said to readers; the tests see that it is said"))]
    pub(crate) why: &'static str,
    find: fn(&mut Study<'_>),
}

/// The passes of a round, in order.
pub(crate) const PASSES: &[Pass] = &[
    Pass { name: "trips", why: "first: how often loops run decides everything below", find: loops::trips::count },
    Pass {
        name: "steps",
        why: "before `want`: what counts steps is wanted only if the counter can run out",
        find: loops::steps::drop_counter,
    },
    Pass {
        name: "carried",
        why: "before `want`: of what does not change in a loop, only the beginning is wanted",
        find: loops::carried::simplify,
    },
    Pass {
        name: "want",
        why: "before all that weighs what a loop costs: what is not wanted costs nothing",
        find: want,
    },
    Pass { name: "unroll", why: "before `strength`: a product of a number is a number", find: loops::unroll::choose },
    Pass { name: "strength", why: "last: it is for the loops that stay", find: loops::strength::reduce },
];

/// The passes after the last round, under `fast`.
pub(crate) const LAST: &[Pass] = &[
    Pass { name: "trips", why: "as in a round", find: loops::trips::count },
    Pass { name: "want", why: "as in a round", find: want },
    Pass {
        name: "split",
        why: "once, after all rounds: what it makes would look like work for it again",
        find: loops::split::choose,
    },
];

/// Most rounds. The first folds what the front end left, the second sees what that made constant, the third is for
/// what depends on both.
const ROUNDS: usize = 3;

/// What a pass sees and writes.
pub(crate) struct Study<'a> {
    func: &'a Func,
    loops: &'a mut Loops,
    wanted: &'a mut Wanted,
    plan: &'a mut Plan,
    report: &'a mut Report,
    /// How many steps the loops may take.
    steps: u64,
    /// How many of them loops have taken that are unrolled by now.
    consumed: &'a mut u64,
}

/// What was done, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A call was replaced by what it calls, of this many operations.
    Inlined(u32),
    /// A loop was written out, with this many iterations.
    Unrolled(u32),
    /// A loop was dropped: nobody looked at what it gave.
    LoopDropped,
    /// The loops cannot take more steps than they may, so that these are not counted.
    CounterDropped,
    /// A product of a loop's counter became a sum.
    ProductReduced,
    /// A conversion of a loop's counter became a sum.
    ConversionReduced,
    /// This many iterations run at once.
    Split(u32),
}

/// Something that was done, and to which part of the formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) what: What,
    pub(crate) span: Span,
}

/// What was done to a function.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) events: Vec<Event>,
}

impl Report {
    fn add(&mut self, what: What, span: Span) {
        self.events.push(Event { what, span });
    }
}

/// The passes with the memory that they reuse.
#[derive(Default)]
pub(crate) struct Optimiser {
    /// What was done to the last function.
    pub(crate) report: Report,
    spare: Builder,
    memory: Memory,
    lanes: lanes::Memory,
    loops: Loops,
    plan: Plan,
    inputs: Vec<Ref>,
    fired: Vec<Fired>,
    consumed: u64,
    /// How many events there were before the round.
    reported: usize,
}

impl Optimiser {
    /// Improves the function in `builder`, whose loops take at most `steps` steps: if they can take more, its traps
    /// count them. Is there anything to improve?
    pub(crate) fn run(&mut self, builder: &mut Builder, steps: u64) -> bool {
        self.report.events.clear();
        for &(span, nodes) in &builder.inlined {
            self.report.add(What::Inlined(nodes), span);
        }
        let regions = |builder: &Builder| builder.func.regions.len() > 1;
        if !regions(builder) || !builder.options.optimise || builder.overflowed {
            return false;
        }
        self.consumed = 0;
        for round in 0..ROUNDS {
            self.study(&builder.func, steps, PASSES);
            if (round > 0 && !self.plan.todo) || !self.replay(builder) || !regions(builder) {
                break;
            }
        }
        if builder.options.fast && !builder.func.loops.is_empty() {
            self.study(&builder.func, steps, LAST);
            if self.plan.todo {
                self.replay(builder);
            }
        }
        true
    }

    /// Makes nodes of the calls of math kernels, and of operations that `of` gives one for, for many rows at once; nothing is `fast` from
    /// then on. The function may become too large, which the builder then says.
    pub(crate) fn inline(&mut self, builder: &mut Builder, of: KernelOf) {
        let is_kernel = |c: &Callee| matches!(c.target, Target::Builtin(_, Some(_)));
        let func = &builder.func;
        if !func.callees.iter().any(is_kernel) && !func.nodes.iter().any(|node| of(node.op, node.ty).is_some()) {
            return;
        }
        builder.options = BuildOptions { inline: Some(of), fast: false, contract: false, ..builder.options };
        self.study(&builder.func, u64::MAX, &[Pass { name: "want", why: "calls that nobody wants", find: want }]);
        if !self.replay(builder) {
            builder.overflowed = true;
        }
    }

    /// Makes the function in `builder` one over many rows at once, in as many ways as it gives; see [`lanes`]. More than
    /// one only if it has at most so many nodes. The function may become too large, which the builder then says.
    pub(crate) fn spread(&mut self, builder: &mut Builder, costs: lanes::ArmCosts<'_>, most_nodes: usize) -> usize {
        let ways = lanes::ways(&builder.func, &mut self.lanes, most_nodes);
        if ways == 1 && !lanes::is_needed(&builder.func, costs) {
            return 1;
        }
        start(&builder.func, &mut self.spare, builder.options, ways, &mut self.inputs);
        lanes::spread(&builder.func, &mut self.spare, &self.inputs, ways, costs, &mut self.lanes);
        debug_assert!(self.spare.overflowed || verify::verify(&self.spare.func) == Ok(()));
        std::mem::swap(builder, &mut self.spare);
        ways
    }

    /// Makes the plan.
    fn study(&mut self, func: &Func, steps: u64, passes: &[Pass]) {
        self.reported = self.report.events.len();
        self.plan.start(func);
        self.loops.find(func, steps);
        let Optimiser { report, memory, loops, plan, consumed, .. } = self;
        for pass in passes {
            (pass.find)(&mut Study { func, loops, wanted: &mut memory.wanted, plan, report, steps, consumed });
        }
    }

    /// Carries the plan out. Is there a new function? Not if it would be too large: then the old one is as good.
    fn replay(&mut self, builder: &mut Builder) -> bool {
        let (src, b) = (&builder.func, &mut self.spare);
        start(src, b, builder.options, 1, &mut self.inputs);
        Replay::new(src, &self.plan, b, &mut self.memory).run(&self.inputs);
        b.func.results.extend(src.results.iter().map(|&r| self.memory.copy(r)));
        if b.overflowed {
            self.report.events.truncate(self.reported);
            return false;
        }
        debug_assert_eq!(verify::verify(&b.func), Ok(()));
        b.fuel_ran_out |= builder.fuel_ran_out;
        // Of the rules that fired, those whose result is still there, then the new ones.
        self.fired.clear();
        let copy = |f: &Fired| Fired { result: self.memory.copy(f.result), ..*f };
        self.fired.extend(builder.fired.iter().map(copy).filter(|f| f.result != Ref::NONE));
        self.fired.append(&mut b.fired);
        std::mem::swap(&mut self.fired, &mut b.fired);
        std::mem::swap(&mut b.inlined, &mut builder.inlined);
        std::mem::swap(builder, &mut self.spare);
        true
    }
}

/// Starts on a function with the inputs of another one, several times over.
fn start(src: &Func, b: &mut Builder, options: BuildOptions, times: usize, inputs: &mut Vec<Ref>) {
    b.reset(options);
    inputs.clear();
    for _ in 0..times {
        let params = src.nodes.iter().zip(&src.spans).filter(|(node, _)| node.op == Op::Param);
        inputs.extend(params.map(|(node, &span)| {
            b.set_span(span);
            b.param(node.ty)
        }));
    }
}

/// The pass: finds what the results and the effects need, and with that the loops that do nothing.
fn want(study: &mut Study<'_>) {
    let (func, plan, loops) = (study.func, &mut *study.plan, &mut *study.loops);
    loops.find_acts(func, plan);
    study.wanted.find(func, plan, &func.results, |_, node| match node.op {
        Op::Trap => !plan.drops(node),
        Op::Loop => loops.acts[node.a as usize],
        op => op == Op::CallPinned,
    });
    plan.todo |= func.effects.iter().any(|&r| !study.wanted.has(r));
    plan.todo |= func.carried.iter().any(|c| !study.wanted.has(c.phi));
    let counted = !plan.drop_steps && func.effects.iter().any(|&r| plan::counts_steps(func.node(r)));
    for (this, steps) in func.loops.iter().zip(loops.iterations(func)) {
        if !study.wanted.has(this.node) {
            study.report.add(What::LoopDropped, func.spans[this.node.index()]);
            // The counter was wound on for it before it began.
            *study.consumed = study.consumed.saturating_add(if counted { steps } else { 0 });
        }
    }
}

#[cfg(test)]
mod soup;
#[cfg(test)]
mod tests;
