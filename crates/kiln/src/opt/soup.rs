//! Random functions with branches, loops, traps and host calls, and what can be seen of an evaluation: for tests.

use crate::differential::Random;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::verify::verify;
use crate::ir::{Func, Ref, TrapKind, text};
use crate::ops::{Op, Sig};
use crate::run::host::HostFunction;
use crate::span::Span;
use crate::types::{Type, Value};
use std::sync::{Arc, Mutex};

/// What host functions were called with.
type Log = Arc<Mutex<Vec<(usize, Value)>>>;

/// The inputs of every function here.
pub(super) const PARAMS: [Type; 6] = [Type::I64, Type::I32, Type::F64, Type::F32, Type::Bool, Type::Bool];

/// Random functions, and the host functions that they call.
pub(super) struct Kitchen {
    pub(super) random: Random,
    hosts: Vec<Arc<HostFunction>>,
    log: Log,
    scratch: Scratch,
    /// Iterations of all loops of a function whose loops are counted.
    pub(super) steps: u64,
    /// How many iterations the loops of the last function may take.
    pub(super) budget: u64,
}

/// What is seen of an evaluation from outside.
pub(super) struct Seen {
    end: Result<Vec<Value>, (TrapKind, Span, Option<String>)>,
    calls: Vec<(usize, Value)>,
}

impl Seen {
    pub(super) fn same(&self, other: &Seen) -> bool {
        let calls = self.calls.len() == other.calls.len()
            && self.calls.iter().zip(&other.calls).all(|(a, b)| a.0 == b.0 && a.1.same(b.1));
        calls
            && match (&self.end, &other.end) {
                (Ok(a), Ok(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(*b)),
                (Err(a), Err(b)) => a == b,
                _ => false,
            }
    }

    /// How it ended, and the calls from the first one on that is another one's.
    pub(super) fn unlike(&self, other: &Seen) -> String {
        let first = self.calls.iter().zip(&other.calls).take_while(|(a, b)| a.0 == b.0 && a.1.same(b.1)).count();
        let calls = &self.calls[first..self.calls.len().min(first + 3)];
        format!("{:?}, {} calls, of these from {first} on {calls:?}", self.end, self.calls.len())
    }

    pub(super) fn stopped(&self) -> Option<TrapKind> {
        self.end.as_ref().err().map(|(kind, ..)| *kind)
    }
}

impl Kitchen {
    pub(super) fn new(seed: u64) -> Kitchen {
        let log = Log::default();
        let host = |number: usize, ty: Type, pure: bool, fallible: bool| {
            let log = log.clone();
            let body = Box::new(move |args: &[Value]| {
                if !pure {
                    log.lock().unwrap().push((number, args[0]));
                }
                if fallible && args[0].to_bits() % 7 == 3 { Err(format!("refused by {number}")) } else { Ok(args[0]) }
            });
            Arc::new(HostFunction::new(format!("host{number}"), vec![ty], ty, pure, fallible, body))
        };
        let hosts = vec![
            host(0, Type::I64, false, true),
            host(1, Type::F64, false, false),
            host(2, Type::I64, true, true),
            host(3, Type::I64, true, false),
        ];
        Kitchen { random: Random(seed), hosts, log, scratch: Scratch::default(), steps: 60, budget: 60 }
    }

    /// Fills `b`, which was reset, with a random function of `size` or so statements.
    pub(super) fn cook(&mut self, b: &mut Builder, size: usize) {
        let values = PARAMS.iter().map(|&ty| b.param(ty)).collect();
        let counted = self.random.below(3) > 0;
        self.budget = if counted { self.steps } else { u64::MAX };
        let counter = counted.then(|| b.const_bits(Type::I64, self.steps));
        let mut pot = Pot { k: self, b, values, counter, counters: Vec::new(), left: size, depth: 0, spans: 0 };
        for ty in Type::ALL {
            let bits = pot.k.random.value(ty);
            let constant = pot.b.const_bits(ty, bits);
            pot.values.push(constant);
        }
        while pot.left > 0 {
            pot.statement();
        }
        let Pot { values, .. } = pot;
        for _ in 0..3 {
            let reach = values.len().min(8);
            let at = values.len() - 1 - self.random.below(reach);
            b.func.results.push(values[at]);
        }
    }

    /// Evaluates a function on the bits of its arguments.
    pub(super) fn run(&mut self, func: &Func, args: &[u64]) -> Seen {
        self.log.lock().unwrap().clear();
        let end = evaluate(func, args, &mut self.scratch);
        let end = match end {
            Ok(()) => Ok(self.scratch.results(func).collect()),
            Err(stop) => Err((stop.kind, func.spans[stop.at.index()], stop.message)),
        };
        Seen { end, calls: std::mem::take(&mut self.log.lock().unwrap()) }
    }

    /// Holds two functions against each other on some arguments. How many evaluations came to an end?
    pub(super) fn compare(&mut self, before: &Func, after: &Func, note: &str) -> usize {
        assert_eq!(verify(after), Ok(()), "{note}\n{}\n{}", text::print(before), text::print(after));
        let mut ended = 0;
        for _ in 0..6 {
            let args: Vec<u64> = before.params.iter().map(|&ty| self.argument(ty)).collect();
            let (left, right) = (self.run(before, &args), self.run(after, &args));
            ended += usize::from(left.stopped().is_none());
            assert!(
                left.same(&right),
                "{note}: {args:x?}\n{}\n{}\n{}\n{}",
                left.unlike(&right),
                right.unlike(&left),
                text::print(before),
                text::print(after)
            );
        }
        ended
    }

    fn argument(&mut self, ty: Type) -> u64 {
        if ty.is_int() && self.random.below(2) == 0 {
            Value::from_bits(ty, self.random.below(20) as u64).to_bits()
        } else {
            self.random.value(ty)
        }
    }
}

struct Pot<'a> {
    k: &'a mut Kitchen,
    b: &'a mut Builder,
    /// What can be used here.
    values: Vec<Ref>,
    /// What is left of the steps, if they are counted.
    counter: Option<Ref>,
    /// The counters of the loops that are open.
    counters: Vec<Ref>,
    left: usize,
    depth: usize,
    spans: u32,
}

impl Pot<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.k.random.below(n)
    }

    /// A value of a type, a young one more often than not.
    fn some(&mut self, ty: Type) -> Ref {
        let of: Vec<Ref> = self.values.iter().copied().filter(|&r| self.b.ty(r) == ty).collect();
        let reach = if self.below(3) == 0 { of.len() } else { of.len().min(3) };
        of[of.len() - 1 - self.below(reach)]
    }

    /// What is pinned is told apart by its span.
    fn mark(&mut self) {
        self.spans += 1;
        self.b.set_span(Span::new(self.spans, self.spans));
    }

    fn statement(&mut self) {
        self.left = self.left.saturating_sub(1);
        match self.below(20) {
            0 | 1 if self.depth < 4 => self.branch(),
            2 | 3 if self.depth < 3 => self.iterate(),
            4 => self.trap(),
            5 => self.call(),
            _ => self.pure(),
        }
    }

    fn some_bits(&mut self, ty: Type) -> Ref {
        let bits = if ty.is_int() && self.below(2) == 0 { self.below(9) as u64 } else { self.k.random.value(ty) };
        self.b.const_bits(ty, bits)
    }

    fn pure(&mut self) {
        if self.below(8) == 0 && !self.counters.is_empty() {
            // Of any loop around, so that what belongs to an outer one is first made in an inner one.
            let at = self.below(self.counters.len());
            return self.count_with(self.counters[at], PARAMS.len());
        }
        let op = Op::ALL[self.below(Op::ALL.len())];
        let ty = [Type::I64, Type::I64, Type::I32, Type::F64, Type::F32, Type::Bool][self.below(6)];
        let (x, y, z) = (self.some(ty), self.some(ty), self.some(ty));
        let y = if self.below(4) == 0 { self.some_bits(ty) } else { y };
        let made = match op.row().sig {
            // The sign of a NaN is not specified.
            _ if op == Op::Copysign => return,
            Sig::Same(_) | Sig::Test(_) if op.meaning(ty).is_none() => return,
            Sig::Same(1) => self.b.raw1(op, x),
            Sig::Same(2) | Sig::Test(2) => self.b.raw2(op, x, y),
            Sig::Same(_) => self.b.raw3(op, x, y, z),
            Sig::Select => {
                let condition = self.some(Type::Bool);
                self.b.select(condition, x, y)
            }
            Sig::Convert if op == Op::Convert => {
                let to = Type::ALL[self.below(5)];
                self.b.raw_convert(x, to)
            }
            _ => return,
        };
        self.values.push(made);
    }

    fn trap(&mut self) {
        let condition = if self.below(3) == 0 {
            self.some(Type::Bool)
        } else {
            let x = self.some(Type::I64);
            let c = self.some_bits(Type::I64);
            self.b.raw2(Op::Eq, x, c)
        };
        self.mark();
        let kind = if self.below(2) == 0 { TrapKind::Overflow } else { TrapKind::DivisionByZero };
        self.b.trap(condition, kind);
    }

    fn call(&mut self) {
        let host = self.below(self.k.hosts.len());
        let host = self.k.hosts[host].clone();
        let x = self.some(host.params()[0]);
        self.mark();
        let made = self.b.call_host(&host, &[x]);
        self.values.push(made);
    }

    fn block(&mut self) {
        self.depth += 1;
        for _ in 0..1 + self.below(5) {
            self.statement();
        }
        self.depth -= 1;
    }

    fn branch(&mut self) {
        let condition = if self.below(8) == 0 { self.b.const_bits(Type::Bool, 1) } else { self.some(Type::Bool) };
        self.mark();
        let (outside, counter) = (self.values.len(), self.counter);
        self.b.begin_if(condition);
        self.values.push(condition);
        self.block();
        let types = [Type::I64, Type::F64, Type::Bool];
        let firsts = types.map(|ty| self.some(ty));
        let first_counter = std::mem::replace(&mut self.counter, counter);
        self.values.truncate(outside);
        self.b.begin_else();
        if self.below(2) == 0 {
            self.block();
        }
        let seconds = types.map(|ty| self.some(ty));
        self.values.truncate(outside);
        let arms = self.b.close_if();
        for (a, b) in firsts.into_iter().zip(seconds) {
            let value = self.b.merge(arms, a, b);
            self.values.push(value);
        }
        if let (Some(a), Some(b)) = (first_counter, self.counter) {
            self.counter = Some(self.b.merge(arms, a, b));
        }
    }

    fn iterate(&mut self) {
        self.mark();
        let ty = [Type::I64, Type::I32, Type::F64][self.below(3)];
        let shape = [0, 1, 2, 3, 4, 4, 4, 5, 6, 7][self.below(10)];
        let init = match shape {
            6 if self.counter.is_some() => self.some(ty),
            5 if ty.is_int() => self.b.const_bits(ty, if ty == Type::I32 { (1 << 31) - 4 } else { (1 << 63) - 4 }),
            _ => self.b.small(ty, self.k.random.below(9) as i32 - 4),
        };
        let step = self.b.small(ty, [1, 1, 1, 2, 3, -1, -2][self.k.random.below(7)]);
        let extras: Vec<Ref> = (0..self.below(4)).map(|i| self.some(Type::ALL[(i + shape) % 5])).collect();
        let mut inits = vec![init];
        inits.extend(&extras);
        inits.extend(self.counter);
        let outside = self.values.len();
        let number = self.b.begin_loop(&inits);
        let k = self.b.phi(number, 0);
        self.values.push(k);
        for at in 0..extras.len() {
            let phi = self.b.phi(number, at + 1);
            self.values.push(phi);
        }
        if self.counter.is_some() {
            self.counter = Some(self.b.phi(number, inits.len() - 1));
        }
        match self.below(12) {
            0 | 1 => self.trap(),
            2 | 3 => self.call(),
            4 => self.block(),
            _ => {}
        }
        self.counters.push(k);
        self.count_with(k, outside);
        let (goes_on, next) = self.condition(k, step, shape);
        self.b.begin_body(goes_on);
        if let Some(counter) = self.counter {
            let (one, zero) = (self.b.small(Type::I64, 1), self.b.small(Type::I64, 0));
            let left = self.b.raw2(Op::Sub, counter, one);
            let over = self.b.raw2(Op::Lt, left, zero);
            self.mark();
            self.b.trap(over, TrapKind::Steps);
            self.counter = Some(left);
        }
        self.block();
        let next = if shape == 6 && self.counter.is_some() { self.some(ty) } else { next };
        let mut nexts = vec![next];
        for at in 0..extras.len() {
            nexts.push(self.next_of(number, at + 1));
        }
        nexts.extend(self.counter);
        self.b.end_loop(&nexts);
        self.counters.pop();
        self.values.truncate(outside);
        for at in 0..=extras.len() {
            let exit = self.b.exit(number, at);
            self.values.push(exit);
        }
        if self.counter.is_some() {
            self.counter = Some(self.b.exit(number, inits.len() - 1));
        }
    }

    /// Products and conversions of a counter.
    fn count_with(&mut self, k: Ref, outside: usize) {
        let ty = self.b.ty(k);
        let from = if self.below(3) == 0 {
            let offset = self.b.small(ty, self.k.random.below(90) as i32);
            self.b.raw2(Op::Add, k, offset)
        } else {
            k
        };
        if self.below(3) == 0 {
            let of: Vec<Ref> = self.values[..outside].iter().copied().filter(|&r| self.b.ty(r) == ty).collect();
            let others: Vec<Ref> = self.counters.iter().copied().filter(|&r| self.b.ty(r) == ty && r != k).collect();
            let factor = match self.below(3) {
                0 => self.some_bits(ty),
                1 if !others.is_empty() && ty.is_int() => {
                    // Invariant in one loop, and another one in each iteration of a loop around it.
                    let mask = self.some_bits(ty);
                    self.b.raw2(Op::Xor, others[others.len() - 1], mask)
                }
                _ => of[self.below(of.len())],
            };
            let product = self.b.raw2(Op::Mul, from, factor);
            self.values.push(product);
        }
        if self.below(3) == 0 {
            let to = [Type::F64, Type::F32, Type::I64][self.below(3)];
            let converted = self.b.raw_convert(from, to);
            self.values.push(converted);
        }
    }

    /// What an extra carried value becomes.
    fn next_of(&mut self, number: u32, at: usize) -> Ref {
        let phi = self.b.phi(number, at);
        let ty = self.b.ty(phi);
        match self.below(5) {
            0 => phi,
            1 if ty != Type::Bool => {
                let x = self.some(ty);
                self.b.raw2(Op::Add, phi, x)
            }
            _ => self.some(ty),
        }
    }

    /// When a loop goes on, and how it counts. Without a counter it must come to an end.
    fn condition(&mut self, k: Ref, step: Ref, shape: usize) -> (Ref, Ref) {
        let ty = self.b.ty(k);
        let next = self.b.raw2(Op::Add, k, step);
        let bound = self.b.small(ty, self.k.random.below(9) as i32);
        let counted = self.counter.is_some();
        let one = self.b.small(ty, 1);
        let up = self.b.raw2(Op::Add, k, one);
        match shape {
            0 | 1 => (self.b.raw2(if shape == 0 { Op::Lt } else { Op::Le }, k, bound), up),
            2 => {
                let minus = self.b.small(ty, -1);
                let down = self.b.raw2(Op::Add, k, minus);
                (self.b.raw2(Op::Lt, bound, k), down)
            }
            3 => {
                let bounded = self.b.raw2(Op::Lt, k, bound);
                let any = self.some(Type::Bool);
                (self.b.raw2(Op::And, bounded, any), up)
            }
            4 if ty.is_int() => {
                let (mask, x) = (self.b.small(ty, 7), self.some(ty));
                let limit = self.b.raw2(Op::And, x, mask);
                (self.b.raw2(Op::Lt, k, limit), up)
            }
            5 if counted => {
                let bound = self.some_bits(ty);
                let op = [Op::Lt, Op::Le, Op::Ne, Op::Eq][self.below(4)];
                (if self.below(2) == 0 { self.b.raw2(op, k, bound) } else { self.b.raw2(op, bound, next) }, next)
            }
            6 if counted => (self.some(Type::Bool), next),
            _ => {
                let bound = self.b.small(ty, 20);
                let twice = self.b.raw2(Op::Add, up, up);
                let magnitude = self.b.raw1(Op::Abs, twice);
                (self.b.raw2(Op::Lt, k, bound), magnitude)
            }
        }
    }
}

/// The functions themselves verify, come to an end often enough, and meet every kind of end.
#[test]
fn random_functions_are_worth_running() {
    let mut kitchen = Kitchen::new(11);
    let mut b = Builder::default();
    let (mut kinds, mut ended, mut loops) = ([0; 5], 0, 0);
    for _ in 0..400 {
        b.reset(BuildOptions { optimise: false, ..BuildOptions::default() });
        kitchen.cook(&mut b, 30);
        assert_eq!(verify(&b.func), Ok(()), "{}", text::print(&b.func));
        let args: Vec<u64> = PARAMS.iter().map(|&ty| kitchen.argument(ty)).collect();
        let seen = kitchen.run(&b.func, &args);
        seen.stopped().map_or_else(|| ended += 1, |kind| kinds[kind as usize] += 1);
        loops += b.func.loops.len();
    }
    println!("{ended} ended, {kinds:?} stopped, {loops} loops");
    assert!(ended > 80 && kinds[1..].iter().all(|&n| n > 5) && loops > 400);
}
