//! Calls of a formula's own functions: the callee's nodes are copied to where it is called.
//!
//! Owns the budget of such copies. The one idea: a copy is a replay, so that constants that are passed fold, and what
//! the caller has already is found again. Knows no name: who calls whom is the checker's.

#![forbid(unsafe_code)]

use super::plan::Plan;
use super::replay::{Memory, Replay};
use crate::ir::build::Builder;
use crate::ir::{Func, Ref};

/// The copies would exceed `BuildOptions::inline_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Copies `callee` into `b` where `b` stands now, with `args` for its inputs, and appends its results to `results`.
/// `args` have the types of the inputs. Nothing is copied if it would be too much.
pub(crate) fn call(
    memory: &mut Memory,
    b: &mut Builder,
    callee: &Func,
    args: &[Ref],
    results: &mut Vec<Ref>,
) -> Result<(), TooLarge> {
    debug_assert_eq!(args.len(), callee.params.len());
    let copied = u64::from(b.copied) + callee.nodes.len() as u64;
    if copied > u64::from(b.options.inline_limit) {
        return Err(TooLarge);
    }
    b.copied = copied as u32;
    let span = b.span();
    if b.options.trace {
        b.inlined.push((span, callee.nodes.len() as u32));
    }
    let plan = Plan::default();
    memory.wanted.find(callee, &plan, |_| true);
    Replay::new(callee, &plan, b, memory).run(args);
    results.extend(callee.results.iter().map(|r| memory.copy(*r)));
    b.set_span(span);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::TrapKind;
    use crate::ir::build::BuildOptions;
    use crate::ir::eval::{Scratch, evaluate};
    use crate::ir::text::{print, read};
    use crate::ir::verify::verify;
    use crate::ops::Op;
    use crate::opt::soup::{Kitchen, PARAMS};
    use crate::span::Span;
    use crate::types::Type;

    const PLAIN: BuildOptions = BuildOptions { optimise: false, ..BuildOptions::DEFAULT };

    fn function(text: &str, options: BuildOptions) -> Builder {
        let mut b = Builder::default();
        b.reset(options);
        read::parse(text, &mut b, &|_| None).unwrap();
        b
    }

    /// The root of the sum of two halves, or a trap.
    const CALLEE: &str = "params %0:f64 %1:bool
%2:f64 = mul %0, 0.5
%3:f64 = sqrt %2
if %1 {
  trap %1, overflow
} else {
}
%4:f64 = join %3, %0
return %4, %2
";

    #[test]
    fn arguments_fold_and_arms_that_cannot_run_vanish() {
        let callee = function(CALLEE, BuildOptions::DEFAULT);
        let mut b = Builder::default();
        let (mut memory, mut results) = (Memory::default(), Vec::new());
        let x = b.param(Type::F64);
        let (no, yes) = (b.const_bits(Type::Bool, 0), b.const_bits(Type::Bool, 1));
        call(&mut memory, &mut b, &callee.func, &[x, no], &mut results).unwrap();
        let less = b.raw2(Op::Lt, x, results[1]);
        b.begin_if(less);
        call(&mut memory, &mut b, &callee.func, &[results[1], yes], &mut results).unwrap();
        b.begin_else();
        let value = b.end_if(results[2], x);
        b.func.results.push(value);
        assert_eq!(verify(&b.func), Ok(()));
        let expected = "params %0:f64
%1:f64 = mul %0, 0.5
%2:bool = lt %0, %1
%3:f64 = mul %1, 0.5
%4:f64 = sqrt %3
if %2 {
  trap true, overflow
} else {
}
%5:f64 = join %4, %0
return %5
";
        assert_eq!(print(&b.func), expected);
        assert_eq!(results[0], x);
    }

    #[test]
    fn spans_are_the_callees_and_the_callers_comes_back() {
        let mut callee = Builder::default();
        let x = callee.param(Type::Bool);
        callee.set_span(Span::new(3, 4));
        callee.trap(x, TrapKind::Overflow);
        let mut b = Builder::default();
        let y = b.param(Type::Bool);
        b.set_span(Span::new(8, 9));
        call(&mut Memory::default(), &mut b, &callee.func, &[y], &mut Vec::new()).unwrap();
        let stop = evaluate(&b.func, &[1], &mut Scratch::default()).unwrap_err();
        assert_eq!(b.func.spans[stop.at.index()], Span::new(3, 4));
        assert_eq!(b.span(), Span::new(8, 9));
    }

    #[test]
    fn the_budget_is_kept_before_anything_is_copied() {
        let callee = function(CALLEE, BuildOptions::DEFAULT);
        let size = callee.func.nodes.len() as u32;
        let mut b = Builder::default();
        b.reset(BuildOptions { inline_limit: 2 * size + 1, ..BuildOptions::DEFAULT });
        let args = [b.param(Type::F64), b.param(Type::Bool)];
        let (mut memory, mut results) = (Memory::default(), Vec::new());
        for _ in 0..2 {
            call(&mut memory, &mut b, &callee.func, &args, &mut results).unwrap();
        }
        let before = b.func.nodes.len();
        assert_eq!(call(&mut memory, &mut b, &callee.func, &args, &mut results), Err(TooLarge));
        assert_eq!((b.func.nodes.len(), results.len()), (before, 4));
        b.reset(b.options);
        assert_eq!(b.copied, 0);
    }

    /// A call means what the callee means, with and without rules, at the top, in an arm and in a loop.
    #[test]
    fn random_functions_are_the_same_when_called() {
        let mut kitchen = Kitchen::new(5);
        let (mut callee, mut caller) = (Builder::default(), Builder::default());
        let (mut memory, mut ended) = (Memory::default(), 0);
        for round in 0..6000 {
            callee.reset(if round % 2 == 0 { PLAIN } else { BuildOptions::DEFAULT });
            kitchen.cook(&mut callee, 25);
            caller.reset(if round % 4 < 2 { PLAIN } else { BuildOptions::DEFAULT });
            let args: Vec<Ref> = PARAMS.iter().map(|&ty| caller.param(ty)).collect();
            let mut results = Vec::new();
            match round % 3 {
                0 => call(&mut memory, &mut caller, &callee.func, &args, &mut results).unwrap(),
                1 => {
                    // Both arms call it.
                    let mut others = Vec::new();
                    caller.begin_if(args[4]);
                    call(&mut memory, &mut caller, &callee.func, &args, &mut results).unwrap();
                    caller.begin_else();
                    call(&mut memory, &mut caller, &callee.func, &args, &mut others).unwrap();
                    let arms = caller.close_if();
                    for (a, b) in results.iter_mut().zip(others) {
                        *a = caller.merge(arms, *a, b);
                    }
                }
                _ => {
                    // A loop of one iteration calls it.
                    let bits = [1, 0, 0, 0, 0];
                    let inits = [Type::Bool, Type::I64, Type::I32, Type::F64, Type::F32]
                        .map(|ty| caller.const_bits(ty, bits[usize::from(ty != Type::Bool)]));
                    let number = caller.begin_loop(&inits);
                    let again = caller.phi(number, 0);
                    caller.begin_body(again);
                    call(&mut memory, &mut caller, &callee.func, &args, &mut results).unwrap();
                    let mut nexts: Vec<Ref> = (0..5).map(|at| caller.phi(number, at)).collect();
                    nexts[0] = caller.const_bits(Type::Bool, 0);
                    for &r in &results {
                        let ty = caller.ty(r);
                        if let Some(at) = inits.iter().position(|&init| caller.ty(init) == ty).filter(|&at| at > 0) {
                            nexts[at] = r;
                        }
                    }
                    caller.end_loop(&nexts);
                    // Only the last result of each type comes out, and no bool.
                    let types: Vec<Type> = results.iter().map(|&r| caller.ty(r)).collect();
                    let out =
                        |at: usize, types: &[Type]| types[at] != Type::Bool && !types[at + 1..].contains(&types[at]);
                    let kept: Vec<usize> = (0..types.len()).filter(|&at| out(at, &types)).collect();
                    callee.func.results = kept.iter().map(|&at| callee.func.results[at]).collect();
                    results = kept
                        .iter()
                        .map(|&at| {
                            let place = inits.iter().position(|&init| caller.ty(init) == types[at]).unwrap();
                            caller.exit(number, place)
                        })
                        .collect();
                }
            }
            caller.func.results.extend(results);
            ended += kitchen.compare(&callee.func, &caller.func, &format!("round {round}"));
        }
        assert!(ended > 5000, "{ended}");
    }
}
