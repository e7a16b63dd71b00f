//! The reference interpreter: what a [`Func`] means, written as plainly as possible.
//!
//! Owns the evaluation of one `Func` on one set of arguments. One forward loop in arena order; a node whose region is
//! not running is skipped, and at the end of a loop the walk goes back to its beginning. Every value comes from the meanings of the op table, so there is nothing here to agree or
//! disagree with: compiled code, columns, rules and the constant folder are all tested against this file.
//!
//! To add a kind of node: one arm in `step`. Knows no speed: it may allocate on its first run and only then.

#![forbid(unsafe_code)]

use super::{Func, Node, Ref, Target, TrapKind};
use crate::ops::{self, Op};
use crate::types::Value;

/// Why and where an evaluation stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) kind: TrapKind,
    /// The trap or call that stopped it.
    pub(crate) at: Ref,
    /// What the host function said.
    pub(crate) message: Option<String>,
}

/// The memory of evaluations, for reuse. After one it holds the value of every node that ran.
#[derive(Default)]
pub(crate) struct Scratch {
    values: Vec<u64>,
    runs: Vec<Runs>,
    nexts: Vec<u64>,
    arguments: Vec<Value>,
}

/// Does a region run in this evaluation?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    NotYetKnown,
    Yes,
    No,
}

impl Scratch {
    /// The bits of a node's value; zero if it did not run.
    #[inline]
    pub(crate) fn bits(&self, r: Ref) -> u64 {
        self.values[r.index()]
    }

    /// The value of a node of `func`, which was the last one evaluated.
    pub(crate) fn value(&self, func: &Func, r: Ref) -> Value {
        Value::from_bits(func.ty(r), self.bits(r))
    }

    /// The values of the results of `func`, which was the last one evaluated.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests compare all results at once"))]
    pub(crate) fn results<'a>(&'a self, func: &'a Func) -> impl Iterator<Item = Value> + 'a {
        func.results.iter().map(|&r| self.value(func, r))
    }
}

/// Evaluates `func` on the bits of its arguments. The values are left in `scratch`.
pub(crate) fn evaluate(func: &Func, args: &[u64], scratch: &mut Scratch) -> Result<(), Stop> {
    scratch.values.clear();
    scratch.values.resize(func.nodes.len(), 0);
    scratch.runs.clear();
    scratch.runs.resize(func.regions.len(), Runs::NotYetKnown);
    if let Some(body) = scratch.runs.first_mut() {
        *body = Runs::Yes;
    }
    let mut i = 0;
    while let Some(node) = func.nodes.get(i) {
        i += 1;
        if node.region == 0 || runs(func, node.region, scratch) {
            if node.op == Op::Loop {
                if let Some(first) = iterate(func, node.a as usize, scratch) {
                    i = first;
                }
                continue;
            }
            let value = step(func, Ref(i as u32 - 1), node, args, scratch)?;
            scratch.values[i - 1] = value;
        }
    }
    Ok(())
}

/// At the end of loop `number`: if it goes on, gives its phis their next values, and where to go on.
fn iterate(func: &Func, number: usize, scratch: &mut Scratch) -> Option<usize> {
    let this = &func.loops[number];
    if scratch.bits(func.regions[this.body as usize].condition) == 0 {
        return None;
    }
    let carried = &func.carried[this.carried()];
    scratch.nexts.clear();
    for c in carried {
        let next = scratch.values[c.next.index()];
        scratch.nexts.push(next);
    }
    for (c, &next) in carried.iter().zip(&scratch.nexts) {
        scratch.values[c.phi.index()] = next;
    }
    scratch.runs[usize::from(this.test)..usize::from(this.regions_end)].fill(Runs::NotYetKnown);
    // Past the phis.
    Some(this.first.index() + carried.len())
}

/// Does `region` run? Its condition stands before every node in it, and regions stand after the ones around them.
fn runs(func: &Func, region: u16, scratch: &mut Scratch) -> bool {
    // Walk out to the first region that is known, then answer back inwards without recursion.
    let known = |scratch: &Scratch, r: u16| scratch.runs[r as usize] != Runs::NotYetKnown;
    while !known(scratch, region) {
        let mut at = region;
        while !known(scratch, func.regions[at as usize].parent) {
            at = func.regions[at as usize].parent;
        }
        let here = &func.regions[at as usize];
        let outer_runs = scratch.runs[here.parent as usize] == Runs::Yes;
        // The test of a loop runs whenever the walk comes to it.
        let holds = outer_runs && (here.condition == Ref::NONE || (scratch.bits(here.condition) != 0) == here.polarity);
        scratch.runs[at as usize] = if holds { Runs::Yes } else { Runs::No };
    }
    scratch.runs[region as usize] == Runs::Yes
}

/// The bits of the value of one node whose operands have theirs.
fn step(func: &Func, r: Ref, node: &Node, args: &[u64], scratch: &mut Scratch) -> Result<u64, Stop> {
    let operand = |scratch: &Scratch, field: u32| scratch.bits(Ref(field));
    let bits = match node.op {
        Op::Param => Value::from_bits(node.ty, args[node.a as usize]).to_bits(),
        Op::Const => node.const_bits(),
        Op::Call | Op::CallPinned => return call(func, r, node, scratch),
        Op::Trap => {
            if operand(scratch, node.a) != 0 {
                let kind = TrapKind::from_code(node.b).unwrap_or(TrapKind::Host);
                return Err(Stop { kind, at: r, message: None });
            }
            0
        }
        Op::If | Op::Loop => 0,
        Op::Phi => operand(scratch, func.carried[node.a as usize].init.0),
        Op::Exit => operand(scratch, func.carried[node.b as usize].phi.0),
        Op::Join => {
            let condition = func.node(Ref(node.a)).a;
            operand(scratch, if operand(scratch, condition) != 0 { node.b } else { node.c })
        }
        op => {
            let mut words = [0u64; 3];
            for (word, operand) in words.iter_mut().zip(&node.operands()[..op.arity()]) {
                *word = scratch.bits(*operand);
            }
            let from = func.ty(Ref(node.a));
            let meaning = if op == Op::Convert { Some(ops::conversion(from, node.ty)) } else { op.meaning(from) };
            // The verifier rejects operations that are not defined on the type of their operands.
            meaning.map_or(0, |meaning| meaning(words[0], words[1], words[2]))
        }
    };
    Ok(bits)
}

fn call(func: &Func, r: Ref, node: &Node, scratch: &mut Scratch) -> Result<u64, Stop> {
    let args = func.call_args(node);
    match &func.callees[node.a as usize].target {
        Target::Builtin(meaning, _) => {
            let word = |i: usize| args.get(i).map_or(0, |&r| scratch.bits(r));
            Ok(meaning(word(0), word(1), word(2)))
        }
        Target::Host(host) => {
            let mut arguments = std::mem::take(&mut scratch.arguments);
            arguments.clear();
            arguments.extend(args.iter().map(|&arg| scratch.value(func, arg)));
            let result = host.call(&arguments);
            scratch.arguments = arguments;
            result.map(Value::to_bits).map_err(|message| Stop { kind: TrapKind::Host, at: r, message: Some(message) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::build::Builder;
    use crate::run::host::HostFunction;
    use crate::types::Type;
    use std::sync::Arc;

    #[test]
    fn a_trap_in_an_arm_stops_only_where_the_arm_runs() {
        let mut b = Builder::default();
        let (x, y) = (b.param(Type::I64), b.param(Type::I64));
        let zero = b.small(Type::I64, 0);
        let condition = b.raw2(Op::Lt, x, y);
        b.begin_if(condition);
        let bad = b.raw2(Op::Eq, x, zero);
        b.trap(bad, TrapKind::DivisionByZero);
        let quotient = b.raw2(Op::FloorDiv, y, x);
        b.begin_else();
        let inner = b.raw2(Op::Eq, y, zero);
        b.begin_if(inner);
        b.trap(inner, TrapKind::Overflow);
        b.begin_else();
        let other = b.raw2(Op::Add, x, y);
        let nested = b.end_if(x, other);
        let result = b.end_if(quotient, nested);
        b.func.results.push(result);
        let mut scratch = Scratch::default();
        let mut run = |x: i64, y: i64| {
            evaluate(&b.func, &[x as u64, y as u64], &mut scratch)
                .map(|()| scratch.bits(b.func.results[0]) as i64)
                .map_err(|stop| stop.kind)
        };
        assert_eq!(run(2, 9), Ok(4));
        assert_eq!(run(0, 9), Err(TrapKind::DivisionByZero));
        assert_eq!(run(7, 0), Err(TrapKind::Overflow));
        assert_eq!(run(0, 0), Err(TrapKind::Overflow));
        assert_eq!(run(7, 5), Ok(12));
    }

    #[test]
    fn host_functions_run_in_order_and_their_errors_stop() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = seen.clone();
        let body = Box::new(move |args: &[Value]| {
            log.lock().unwrap().push(args[0].to_bits());
            if args[0].to_bits() == 3 { Err("three".to_owned()) } else { Ok(args[0]) }
        });
        let host = Arc::new(HostFunction::new("tell".into(), vec![Type::I32], Type::I32, false, true, body));
        let mut b = Builder::default();
        let x = b.param(Type::I32);
        let one = b.small(Type::I32, 1);
        let mut at = x;
        for _ in 0..5 {
            at = b.call_host(&host, &[at]);
            at = b.raw2(Op::Add, at, one);
        }
        b.func.results.push(at);
        let mut scratch = Scratch::default();
        assert_eq!(evaluate(&b.func, &[10], &mut scratch), Ok(()));
        assert_eq!(scratch.results(&b.func).next().unwrap().to_bits(), 15);
        let stop = evaluate(&b.func, &[1], &mut scratch).unwrap_err();
        assert_eq!((stop.kind, stop.message.as_deref()), (TrapKind::Host, Some("three")));
        assert_eq!(*seen.lock().unwrap(), [10, 11, 12, 13, 14, 1, 2, 3]);
    }
}
