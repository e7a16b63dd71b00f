//! What became of loops and calls, in words.
//!
//! Owns the sentence for every event of the passes, and finds what no pass did: a value that is written in a loop and
//! does not change in it is made before the loop from the start. An adder of an event gives it its words in `event`.

#![forbid(unsafe_code)]

use super::PassEvent;
use crate::ir::{Func, Ref, text};
use crate::ops::Op;
use crate::opt::{Event, What};
use crate::span::Span;
use std::collections::HashMap;

/// An event in words.
pub(super) fn event(event: &Event) -> PassEvent {
    let several = |n: u32, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
    let (pass, what) = match event.what {
        What::Inlined(n) => ("inline", format!("is replaced by the body: {}", several(n, "operation", "operations"))),
        What::Unrolled(n) => ("unroll", format!("is written out: {}", several(n, "iteration", "iterations"))),
        What::LoopDropped => ("drop", "is left out, since nothing needs what it computes".to_owned()),
        What::CounterDropped => ("steps", "cannot exceed the step budget, and its steps are not counted".to_owned()),
        What::ProductReduced => ("strength", "is a sum that grows with each iteration, not a product".to_owned()),
        What::ConversionReduced => (
            "strength",
            "takes the counter of the loop as a float that is counted up, not converted each time".to_owned(),
        ),
        What::Split(n) => ("split", format!("runs {} at once", several(n, "iteration", "iterations"))),
    };
    PassEvent { pass, what, span: event.span }
}

/// Everything in the order in which it happens: calls, what stands before loops, passes.
pub(super) fn in_order(passes: Vec<PassEvent>, hoisted: Vec<PassEvent>) -> Vec<PassEvent> {
    let (mut all, rest): (Vec<_>, Vec<_>) = passes.into_iter().partition(|event| event.pass == "inline");
    all.extend(hoisted);
    all.extend(rest);
    all
}

/// The values that are computed before loops in which they are written. `written` has for each loop in the text the
/// whole of it and the part that is repeated.
pub(super) fn hoisted(func: &Func, written: &[(Span, Span)]) -> Vec<PassEvent> {
    // Only the outermost of values inside one another are said.
    let live = text::live(func);
    let found = Finder::new(func, written);
    let mut is_part = vec![false; func.nodes.len()];
    let mut all = Vec::new();
    for at in (0..func.nodes.len()).rev().filter(|&at| live[at]) {
        let (node, span) = (func.nodes[at], func.spans[at]);
        let is_value = !matches!(node.op, Op::Const | Op::Param | Op::Phi | Op::Exit | Op::Loop | Op::If | Op::Trap);
        if !is_value || !found.before_its_loop(node.region, span) {
            continue;
        }
        if !is_part[at] {
            let what = "is computed once, before the loop".to_owned();
            all.push(PassEvent { pass: "hoist", what, span });
        }
        let inside = |r: Ref| func.spans[r.index()].start >= span.start && func.spans[r.index()].end <= span.end;
        func.for_operands(&node, |r| is_part[r.index()] |= inside(r));
    }
    all.sort_by_key(|event| (event.span.start, event.span.end));
    all.dedup();
    all
}

/// Finds loops around places and regions.
struct Finder<'a> {
    func: &'a Func,
    /// The repeated parts in the order in which they begin, with the whole loop and the next one around it.
    written: Vec<(Span, Span, usize)>,
    /// Where each loop that begins at a place ends.
    wholes: HashMap<u32, u32>,
    /// The loop that a region is the test of.
    loop_of: Vec<usize>,
}

/// No loop.
const NONE: usize = usize::MAX;

impl<'a> Finder<'a> {
    fn new(func: &'a Func, written: &[(Span, Span)]) -> Finder<'a> {
        let mut loop_of = vec![NONE; func.regions.len()];
        for (number, this) in func.loops.iter().enumerate() {
            loop_of[usize::from(this.test)] = number;
        }
        let wholes = written.iter().map(|(whole, _)| (whole.start, whole.end)).collect();
        let mut written: Vec<_> = written.iter().map(|&(whole, repeated)| (repeated, whole, NONE)).collect();
        written.sort_by_key(|(repeated, ..)| (repeated.start, std::cmp::Reverse(repeated.end)));
        let mut around: Vec<usize> = Vec::new();
        for at in 0..written.len() {
            let start = written[at].0.start;
            while around.last().is_some_and(|&outer| written[outer].0.end <= start) {
                around.pop();
            }
            written[at].2 = around.last().copied().unwrap_or(NONE);
            around.push(at);
        }
        Finder { func, written, wholes, loop_of }
    }

    /// Does a value of this region stand outside of the innermost loop that repeats this part of the text?
    fn before_its_loop(&self, region: u16, span: Span) -> bool {
        // What the compiler adds to a loop belongs to its head or to the whole.
        if self.wholes.get(&span.start).is_some_and(|&end| span.end <= end) {
            return false;
        }
        let after = self.written.partition_point(|(repeated, ..)| repeated.start <= span.start);
        let mut at = after.wrapping_sub(1);
        while let Some((repeated, whole, around)) = self.written.get(at) {
            if span.end <= repeated.end {
                return !self.is_in(region, *whole);
            }
            at = *around;
        }
        false
    }

    /// Is the region in a loop that is written there?
    fn is_in(&self, mut region: u16, whole: Span) -> bool {
        while region != 0 {
            let number = self.loop_of[usize::from(region)];
            if number != NONE && self.func.spans[self.func.loops[number].node.index()] == whole {
                return true;
            }
            region = self.func.regions[usize::from(region)].parent;
        }
        false
    }
}
