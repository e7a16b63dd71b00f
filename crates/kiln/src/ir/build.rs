//! The only door into a [`Func`]: canonicalise, fold, apply the rules, find the equal node.
//!
//! Because every node passes here, a straight-line formula is optimal when its last node is made; no pass runs after.
//! The methods named after what the *language* does (`unary`, `binary`, `convert`) add the checks that the option
//! `checked` asks for; the `raw_*` methods are the operations alone and are what rules rebuild with.

#![forbid(unsafe_code)]

use super::{Callee, Carried, Func, Loop, Node, Ref, Region, Target, TrapKind, rules};
use crate::ops::lanes::RowsMeaning;
use crate::ops::{self, COMMUTES, Meaning, Op, PINNED, Sig};
use crate::run::host::HostFunction;
use crate::span::Span;
use crate::types::{Type, Value};
use std::sync::Arc;

/// What the builder may and must do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuildOptions {
    /// Integer overflow and division by zero are errors.
    pub(crate) checked: bool,
    /// Rules marked `fast` may be used.
    pub(crate) fast: bool,
    /// The target has `fma` as an instruction, so that under `fast` contraction pays.
    pub(crate) contract: bool,
    /// Fold constants and apply rules (off only to test the rest without them).
    pub(crate) optimise: bool,
    /// Most nodes that a function may have.
    pub(crate) node_limit: u32,
    /// Keep a record of the rules that fired.
    pub(crate) trace: bool,
    /// Make nodes of math kernels instead of calls; whoever copies operations makes nodes of those that have a kernel here.
    /// The operations of kernels mean what they say, so nothing is `fast` then.
    pub(crate) inline: Option<KernelOf>,
}

/// What makes nodes of a call of a built-in function with these arguments, or of an operation.
pub(crate) type Inline = fn(&mut Builder, &[Ref]) -> Ref;

/// The kernel of an operation with a result of a type.
pub(crate) type KernelOf = fn(Op, Type) -> Option<Inline>;

/// How a math kernel is computed over many rows.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Makes nodes of it.
    pub(crate) inline: Inline,
    /// Computes rows of it.
    pub(crate) rows: RowsMeaning,
}

impl BuildOptions {
    /// Rules that are exact, nothing checked, generous limits.
    pub(crate) const DEFAULT: BuildOptions = BuildOptions {
        checked: false,
        fast: false,
        contract: false,
        optimise: true,
        node_limit: 1 << 24,
        trace: false,
        inline: None,
    };
}

impl Default for BuildOptions {
    fn default() -> Self {
        BuildOptions::DEFAULT
    }
}

/// A rule that fired: its name, and the node that came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fired {
    pub(crate) rule: &'static str,
    pub(crate) result: Ref,
}

/// Builds one [`Func`] after another, reusing its memory.
pub(crate) struct Builder {
    pub(crate) func: Func,
    pub(crate) options: BuildOptions,
    /// The rules that fired, if `options.trace`.
    pub(crate) fired: Vec<Fired>,
    /// Set when the function outgrew a limit; the compilation must fail.
    pub(crate) overflowed: bool,
    /// Set when a chain of rules was cut off: a defect of the rule table, which costs speed but no correctness.
    pub(crate) fuel_ran_out: bool,
    /// The calls that were replaced by bodies, and how many nodes each, if `options.trace`.
    pub(crate) inlined: Vec<(Span, u32)>,
    /// Open-addressing table; its length is a power of two. The low half of an entry is a node number + 1, the high
    /// half the node's hash: other nodes are told apart, and the table is doubled, without a look at the nodes.
    table: Vec<u64>,
    /// The memory of the table before it grew.
    spare_table: Vec<u64>,
    seed: u64,
    span: Span,
    /// What happens only where this holds, unless it is none: what can fail, and loops.
    pub(crate) guard: Ref,
    region: u16,
    open_ifs: Vec<OpenIf>,
    /// Numbers of the loops that are open, with the regions around them.
    open_loops: Vec<(u32, u16)>,
    /// How many rules are being applied inside one another.
    depth: u32,
}

/// The two arms of an `if` that has ended, for its values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arms {
    /// None were open.
    Neither,
    /// Nothing pinned stands in them: under this condition.
    Free(Ref),
    /// The `If` node.
    Pinned(Ref),
}

struct OpenIf {
    condition: Ref,
    outer: u16,
    then_region: u16,
    else_region: u16,
}

/// Rules rebuild with rules; a chain longer than this is a rule set that does not terminate.
const RULE_FUEL: u32 = 64;
const FIRST_TABLE: usize = 64;

impl Default for Builder {
    fn default() -> Self {
        use std::hash::BuildHasher as _;
        let mut builder = Builder {
            func: Func::default(),
            options: BuildOptions::default(),
            fired: Vec::new(),
            overflowed: false,
            fuel_ran_out: false,
            inlined: Vec::new(),
            table: Vec::new(),
            spare_table: Vec::new(),
            // Results do not depend on the seed; hostile formulas cannot aim at collisions.
            seed: std::hash::RandomState::new().hash_one(0u8) | 1,
            span: Span::default(),
            guard: Ref::NONE,
            region: 0,
            open_ifs: Vec::new(),
            open_loops: Vec::new(),
            depth: 0,
        };
        builder.reset(BuildOptions::default());
        builder
    }
}

impl Builder {
    /// Starts a new function.
    pub(crate) fn reset(&mut self, options: BuildOptions) {
        self.func.clear();
        self.func.regions.push(Region { parent: 0, condition: Ref::NONE, polarity: true, has_effects: true });
        self.options = options;
        self.fired.clear();
        self.overflowed = false;
        self.fuel_ran_out = false;
        self.inlined.clear();
        self.table.clear();
        self.table.resize(FIRST_TABLE, 0);
        self.span = Span::default();
        self.guard = Ref::NONE;
        self.region = 0;
        self.open_ifs.clear();
        self.open_loops.clear();
        self.depth = 0;
    }

    /// The formula part that the nodes to come belong to.
    #[inline]
    pub(crate) fn set_span(&mut self, span: Span) {
        self.span = span;
    }

    /// Does what is made now happen only under a condition, or in a loop?
    pub(crate) fn in_branch(&self) -> bool {
        self.region != 0
    }

    #[inline]
    pub(crate) fn ty(&self, r: Ref) -> Type {
        self.func.ty(r)
    }

    /// The next input.
    pub(crate) fn param(&mut self, ty: Type) -> Ref {
        let number = self.func.params.len() as u32;
        self.func.params.push(ty);
        self.intern(Node { op: Op::Param, ty, region: 0, a: number, b: 0, c: 0 })
    }

    /// A constant.
    #[inline]
    pub(crate) fn constant(&mut self, value: Value) -> Ref {
        self.const_bits(value.ty(), value.to_bits())
    }

    /// The constant of type `ty` with these bits.
    pub(crate) fn const_bits(&mut self, ty: Type, bits: u64) -> Ref {
        self.intern(Node { op: Op::Const, ty, region: 0, a: bits as u32, b: (bits >> 32) as u32, c: 0 })
    }

    /// The constant of type `ty` that equals the small integer `v`.
    pub(crate) fn small(&mut self, ty: Type, v: i32) -> Ref {
        self.const_bits(ty, ops::conversion(Type::I32, ty)(u64::from(v as u32), 0, 0))
    }

    /// `op a`, checked if the options say so.
    pub(crate) fn unary(&mut self, op: Op, a: Ref) -> Ref {
        let ty = self.ty(a);
        if self.options.checked && ty.is_int() && matches!(op, Op::Neg | Op::Abs) {
            let min = self.const_bits(ty, if ty == Type::I32 { 1 << 31 } else { 1 << 63 });
            let bad = self.raw2(Op::Eq, a, min);
            self.trap(bad, TrapKind::Overflow);
        }
        self.raw1(op, a)
    }

    /// `a op b`, checked if the options say so. Operands have one type.
    pub(crate) fn binary(&mut self, op: Op, a: Ref, b: Ref) -> Ref {
        let ty = self.ty(a);
        if self.options.checked && ty.is_int() {
            self.check_binary(op, ty, a, b);
        }
        self.raw2(op, a, b)
    }

    fn check_binary(&mut self, op: Op, ty: Type, a: Ref, b: Ref) {
        let overflow = match op {
            Op::Add => Op::AddOverflows,
            Op::Sub => Op::SubOverflows,
            Op::Mul => Op::MulOverflows,
            Op::Power => Op::PowOverflows,
            Op::FloorDiv | Op::FloorMod | Op::TruncDiv | Op::TruncRem => {
                let zero = self.small(ty, 0);
                let bad = self.raw2(Op::Eq, b, zero);
                self.trap(bad, TrapKind::DivisionByZero);
                if matches!(op, Op::FloorDiv | Op::TruncDiv) {
                    let min = self.const_bits(ty, if ty == Type::I32 { 1 << 31 } else { 1 << 63 });
                    let minus_one = self.small(ty, -1);
                    let (at_min, by_minus_one) = (self.raw2(Op::Eq, a, min), self.raw2(Op::Eq, b, minus_one));
                    let bad = self.raw2(Op::And, at_min, by_minus_one);
                    self.trap(bad, TrapKind::Overflow);
                }
                return;
            }
            _ => return,
        };
        let bad = self.raw2(overflow, a, b);
        self.trap(bad, TrapKind::Overflow);
    }

    /// `b` if `a`, else `c`.
    pub(crate) fn select(&mut self, a: Ref, b: Ref, c: Ref) -> Ref {
        self.raw3(Op::Select, a, b, c)
    }

    /// `a` as a value of type `to`, checked if the options say so.
    pub(crate) fn convert(&mut self, a: Ref, to: Type) -> Ref {
        let from = self.ty(a);
        let result = self.raw_convert(a, to);
        let narrows = to.is_int() && (from.is_float() || (from == Type::I64 && to == Type::I32));
        if self.options.checked && narrows {
            // What fits comes back unchanged: after truncation for floats, where 2^31 and 2^63 saturate to values
            // that read back below (i32) or equal (i64: the one float that must be excluded by hand).
            let whole = if from.is_float() { self.raw1(Op::Trunc, a) } else { a };
            let back = self.raw_convert(result, from);
            let mut bad = self.raw2(Op::Ne, whole, back);
            if from.is_float() {
                let limit = if to == Type::I32 { 2_147_483_648.0 } else { 9_223_372_036_854_775_808.0 };
                let limit = self.const_bits(from, ops::conversion(Type::F64, from)(f64::to_bits(limit), 0, 0));
                let above = self.raw2(Op::Le, limit, whole);
                bad = self.raw2(Op::Or, bad, above);
            }
            self.trap(bad, TrapKind::Overflow);
        }
        result
    }

    /// The conversion alone.
    pub(crate) fn raw_convert(&mut self, a: Ref, to: Type) -> Ref {
        if self.ty(a) == to { a } else { self.make(Op::Convert, to, [a, Ref::NONE, Ref::NONE]) }
    }

    /// The same bits as a type of the same width.
    pub(crate) fn bitcast(&mut self, a: Ref, to: Type) -> Ref {
        debug_assert_eq!(self.ty(a).bits(), to.bits());
        if self.ty(a) == to { a } else { self.make(Op::Bitcast, to, [a, Ref::NONE, Ref::NONE]) }
    }

    /// `op a` alone.
    pub(crate) fn raw1(&mut self, op: Op, a: Ref) -> Ref {
        self.make(op, self.ty(a), [a, Ref::NONE, Ref::NONE])
    }

    /// `a op b` alone.
    pub(crate) fn raw2(&mut self, op: Op, a: Ref, b: Ref) -> Ref {
        debug_assert_eq!(self.ty(a), self.ty(b), "{op:?}");
        let ty = if matches!(op.row().sig, Sig::Test(_)) { Type::Bool } else { self.ty(a) };
        self.make(op, ty, [a, b, Ref::NONE])
    }

    /// An operation of three operands alone.
    pub(crate) fn raw3(&mut self, op: Op, a: Ref, b: Ref, c: Ref) -> Ref {
        debug_assert_eq!(self.ty(b), self.ty(c), "{op:?}");
        self.make(op, self.ty(b), [a, b, c])
    }

    /// Calls a built-in function of up to three words.
    pub(crate) fn call_builtin(
        &mut self,
        name: &'static str,
        ty: Type,
        meaning: Meaning,
        kernel: Option<Kernel>,
        args: &[Ref],
    ) -> Ref {
        if self.options.optimise && !args.is_empty() && args.iter().all(|&r| self.func.node(r).op == Op::Const) {
            let word = |i: usize| args.get(i).map_or(0, |&r| self.func.node(r).const_bits());
            let bits = meaning(word(0), word(1), word(2));
            return self.const_bits(ty, bits);
        }
        if let Some(kernel) = kernel.filter(|_| self.options.inline.is_some()) {
            return (kernel.inline)(self, args);
        }
        let known = |c: &Callee| matches!(c.target, Target::Builtin(..)) && c.ty == ty && c.name == name;
        let callee = self.func.callees.iter().position(known).unwrap_or_else(|| {
            self.func.callees.push(Callee { name, target: Target::Builtin(meaning, kernel), ty });
            self.func.callees.len() - 1
        });
        self.call(Op::Call, callee as u32, ty, args)
    }

    /// Calls a host function; arguments have the types of its signature.
    pub(crate) fn call_host(&mut self, host: &Arc<HostFunction>, args: &[Ref]) -> Ref {
        let known = |c: &Callee| matches!(&c.target, Target::Host(h) if Arc::ptr_eq(h, host));
        let callee = self.func.callees.iter().position(known).unwrap_or_else(|| {
            self.func.callees.push(Callee { name: "", target: Target::Host(host.clone()), ty: host.result() });
            self.func.callees.len() - 1
        });
        let op = if host.is_pure() && !host.is_fallible() { Op::Call } else { Op::CallPinned };
        self.call(op, callee as u32, host.result(), args)
    }

    /// Calls what another function called.
    pub(crate) fn call_again(&mut self, callee: &Callee, args: &[Ref]) -> Ref {
        match &callee.target {
            Target::Builtin(meaning, kernel) => self.call_builtin(callee.name, callee.ty, *meaning, *kernel, args),
            Target::Host(host) => self.call_host(host, args),
        }
    }

    fn call(&mut self, op: Op, callee: u32, ty: Type, args: &[Ref]) -> Ref {
        let start = self.func.args.len() as u32;
        let region = args.iter().map(|&r| self.func.node(r).region).max().unwrap_or(0);
        self.func.args.extend_from_slice(args);
        let mut node = Node { op, ty, region, a: callee, b: start, c: args.len() as u32 };
        if op == Op::CallPinned {
            node.region = self.region;
            return self.pin(node);
        }
        let before = self.func.nodes.len();
        let r = self.intern(node);
        if self.func.nodes.len() == before {
            self.func.args.truncate(start as usize);
        }
        r
    }

    /// Stops the evaluation with an error if `condition` holds.
    pub(crate) fn trap(&mut self, condition: Ref, kind: TrapKind) {
        if self.func.constant(condition).is_some_and(|v| v.to_bits() == 0) {
            return;
        }
        let condition = if self.guard == Ref::NONE { condition } else { self.raw2(Op::And, condition, self.guard) };
        self.pin(Node { op: Op::Trap, ty: Type::Bool, region: self.region, a: condition.0, b: kind as u32, c: 0 });
    }

    /// What follows, up to [`Builder::begin_else`], happens only if `condition` holds.
    pub(crate) fn begin_if(&mut self, condition: Ref) {
        let then_region = self.open_region(self.region, condition, true);
        self.open_ifs.push(OpenIf { condition, outer: self.region, then_region, else_region: 0 });
        self.region = then_region;
    }

    /// What follows, up to [`Builder::end_if`], happens only if the condition does not hold.
    pub(crate) fn begin_else(&mut self) {
        let Some(open) = self.open_ifs.last() else { return };
        let (outer, condition) = (open.outer, open.condition);
        let else_region = self.open_region(outer, condition, false);
        if let Some(open) = self.open_ifs.last_mut() {
            open.else_region = else_region;
        }
        self.region = else_region;
    }

    /// Ends the arms; `a` and `b` are their values.
    #[cfg(test)]
    pub(crate) fn end_if(&mut self, a: Ref, b: Ref) -> Ref {
        let arms = self.close_if();
        self.merge(arms, a, b)
    }

    /// Ends the arms; what they gave is said by [`Builder::merge`], value by value.
    pub(crate) fn close_if(&mut self) -> Arms {
        let Some(open) = self.open_ifs.pop() else { return Arms::Neither };
        self.region = open.outer;
        let regions = &mut self.func.regions;
        let (then_region, else_region) = (open.then_region, open.else_region);
        if !regions[then_region as usize].has_effects && !regions[else_region as usize].has_effects {
            if else_region as usize + 1 == regions.len() && then_region + 1 == else_region {
                regions.truncate(then_region as usize);
            }
            return Arms::Free(open.condition);
        }
        let node = Node {
            op: Op::If,
            ty: Type::Bool,
            region: self.region,
            a: open.condition.0,
            b: then_region.into(),
            c: else_region.into(),
        };
        Arms::Pinned(self.pin(node))
    }

    /// The value that is `a` after the first of these arms and `b` after the second.
    pub(crate) fn merge(&mut self, arms: Arms, a: Ref, b: Ref) -> Ref {
        match arms {
            _ if a == b => a,
            Arms::Neither => a,
            Arms::Free(condition) => self.select(condition, a, b),
            Arms::Pinned(branch) => {
                let (ty, region) = (self.ty(a), self.func.node(branch).region);
                self.intern(Node { op: Op::Join, ty, region, a: branch.0, b: a.0, c: b.0 })
            }
        }
    }

    /// Opens a loop; `inits` are its carried values before it. Gives its number. What follows, up to
    /// [`Builder::begin_body`], is its test, for which (as for the body) a carried value is its [`Builder::phi`].
    pub(crate) fn begin_loop(&mut self, inits: &[Ref]) -> u32 {
        let (number, outer) = (self.func.loops.len() as u32, self.region);
        let test = self.open_region(outer, Ref::NONE, true);
        let first = Ref(self.func.nodes.len() as u32);
        let start = self.func.carried.len() as u32;
        let carried = (start, start + inits.len() as u32);
        self.func.loops.push(Loop { first, node: Ref::NONE, test, regions_end: test, body: test, carried });
        self.open_loops.push((number, outer));
        self.region = test;
        for (index, &init) in (start..).zip(inits) {
            let ty = self.ty(init);
            let phi = self.push(Node { op: Op::Phi, ty, region: test, a: index, b: 0, c: 0 });
            self.func.carried.push(Carried { phi, init, next: phi });
        }
        number
    }

    /// What carried value `at` of a loop is during an iteration.
    pub(crate) fn phi(&self, number: u32, at: usize) -> Ref {
        let first = self.func.loops[number as usize].carried.0 as usize;
        self.func.carried[first + at].phi
    }

    /// The innermost loop goes on while `condition` holds. What follows, up to [`Builder::end_loop`], is its body.
    pub(crate) fn begin_body(&mut self, condition: Ref) {
        let Some(&(number, _)) = self.open_loops.last() else { return };
        let condition = if self.guard == Ref::NONE { condition } else { self.raw2(Op::And, condition, self.guard) };
        let body = self.open_region(self.region, condition, true);
        self.func.loops[number as usize].body = body;
        self.region = body;
    }

    /// Ends the innermost loop; `nexts` are its carried values after one iteration. Gives its node.
    pub(crate) fn end_loop(&mut self, nexts: &[Ref]) -> Ref {
        let Some((number, outer)) = self.open_loops.pop() else { return Ref::NONE };
        let regions = self.func.regions.len().min(usize::from(u16::MAX)) as u16;
        let this = &mut self.func.loops[number as usize];
        this.regions_end = regions;
        for (carried, &next) in self.func.carried[this.carried()].iter_mut().zip(nexts) {
            carried.next = next;
        }
        self.region = outer;
        let node = self.pin(Node { op: Op::Loop, ty: Type::Bool, region: outer, a: number, b: 0, c: 0 });
        self.func.loops[number as usize].node = node;
        node
    }

    /// What carried value `at` of a loop that has ended is after it.
    pub(crate) fn exit(&mut self, number: u32, at: usize) -> Ref {
        let this = self.func.loops[number as usize];
        let index = this.carried.0 + at as u32;
        let (ty, region) = (self.ty(self.phi(number, at)), self.func.node(this.node).region);
        self.intern(Node { op: Op::Exit, ty, region, a: this.node.0, b: index, c: 0 })
    }

    fn open_region(&mut self, parent: u16, condition: Ref, polarity: bool) -> u16 {
        let regions = &mut self.func.regions;
        if regions.len() >= usize::from(u16::MAX) {
            self.overflowed = true;
            return parent;
        }
        regions.push(Region { parent, condition, polarity, has_effects: false });
        (regions.len() - 1) as u16
    }

    /// Adds a pinned node to the region that is being written.
    fn pin(&mut self, node: Node) -> Ref {
        debug_assert!(node.op.is(PINNED));
        let mut region = self.region;
        while !self.func.regions[region as usize].has_effects {
            self.func.regions[region as usize].has_effects = true;
            region = self.func.regions[region as usize].parent;
        }
        let r = self.push(node);
        self.func.effects.push(r);
        r
    }

    /// The one path by which pure operations are made.
    fn make(&mut self, op: Op, ty: Type, mut args: [Ref; 3]) -> Ref {
        if self.options.optimise {
            if let Some(folded) = self.fold(op, ty, args) {
                return folded;
            }
            if op.is(COMMUTES) {
                // Constants go right, else the older node goes left: one form for the table and the rules.
                let (a, b) = (self.func.node(args[0]).op == Op::Const, self.func.node(args[1]).op == Op::Const);
                if (a && !b) || (a == b && args[0] > args[1]) {
                    args.swap(0, 1);
                }
            }
            if self.depth < RULE_FUEL {
                self.depth += 1;
                let rewritten = rules::apply(self, op, ty, args);
                self.depth -= 1;
                if let Some((rule, result)) = rewritten {
                    if self.options.trace {
                        self.fired.push(Fired { rule, result });
                    }
                    return result;
                }
            } else {
                self.fuel_ran_out = true;
                debug_assert!(false, "rules do not terminate at {op:?}");
            }
        }
        let node = self.pure_node(op, ty, args);
        self.intern(node)
    }

    /// The node `op args`, in the outermost region where it can live.
    fn pure_node(&self, op: Op, ty: Type, args: [Ref; 3]) -> Node {
        let region = args[..op.arity()].iter().map(|&r| self.func.node(r).region).max().unwrap_or(0);
        let [a, b, c] = args.map(|r| if r == Ref::NONE { 0 } else { r.0 });
        Node { op, ty, region, a, b, c }
    }

    /// The test `a op b`, with its operands in the order in which such nodes keep them, if it was made already.
    pub(crate) fn made(&self, op: Op, a: Ref, b: Ref) -> Option<Ref> {
        self.lookup(&self.pure_node(op, Type::Bool, [a, b, Ref::NONE])).2
    }

    fn fold(&mut self, op: Op, ty: Type, args: [Ref; 3]) -> Option<Ref> {
        let mut words = [0u64; 3];
        for (word, &arg) in words.iter_mut().zip(&args[..op.arity()]) {
            let node = self.func.node(arg);
            if node.op != Op::Const {
                return None;
            }
            *word = node.const_bits();
        }
        let from = self.ty(args[0]);
        let meaning = if op == Op::Convert { ops::conversion(from, ty) } else { op.meaning(from)? };
        Some(self.const_bits(ty, meaning(words[0], words[1], words[2])))
    }

    /// The node equal to `node`: an old one or a new one.
    fn intern(&mut self, node: Node) -> Ref {
        let (probe, hash, known) = self.lookup(&node);
        if let Some(known) = known {
            return known;
        }
        let r = self.push(node);
        self.table[probe.at] = hash << 32 | u64::from(r.0 + 1);
        if self.func.nodes.len() * 2 > self.table.len() {
            self.grow();
        }
        r
    }

    /// The place of `node` in the table, its hash there, and the node equal to it, if there is one.
    #[inline(always)]
    fn lookup(&self, node: &Node) -> (Probe, u64, Option<Ref>) {
        let hash = self.hash(node) >> 32;
        let mut probe = Probe::new(node, hash, self.table.len());
        loop {
            let entry = self.table[probe.at];
            if entry == 0 {
                return (probe, hash, None);
            }
            if entry >> 32 == hash {
                let r = Ref(entry as u32 - 1);
                let old = self.func.node(r);
                if old == node || (node.op == Op::Call && self.same_call(old, node)) {
                    return (probe, hash, Some(r));
                }
            }
            probe.advance();
        }
    }

    fn same_call(&self, old: &Node, new: &Node) -> bool {
        old.op == Op::Call && old.a == new.a && self.func.call_args(old) == self.func.call_args(new)
    }

    fn push(&mut self, node: Node) -> Ref {
        if self.func.nodes.len() >= self.options.node_limit as usize {
            self.overflowed = true;
        }
        self.func.nodes.push(node);
        self.func.spans.push(self.span);
        Ref(self.func.nodes.len() as u32 - 1)
    }

    #[inline]
    fn hash(&self, node: &Node) -> u64 {
        let fold = |x: u64, y: u64| {
            let product = u128::from(x) * u128::from(y);
            product as u64 ^ (product >> 64) as u64
        };
        let head = u64::from(node.op as u8) | u64::from(node.ty as u8) << 8 | u64::from(node.a) << 32;
        if node.op == Op::Call {
            let start = fold(head ^ self.seed, 0x9e37_79b9_7f4a_7c15);
            return self
                .func
                .call_args(node)
                .iter()
                .fold(start, |h, r| fold(h ^ u64::from(r.0), 0xd6e8_feb8_6659_fd93));
        }
        fold(head ^ self.seed, (u64::from(node.b) | u64::from(node.c) << 32) ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Doubles the table.
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.table);
        let size = old.len() * 2;
        self.table = std::mem::take(&mut self.spare_table);
        self.table.clear();
        self.table.resize(size, 0);
        for &entry in old.iter().filter(|&&entry| entry != 0) {
            let mut probe = Probe::new(self.func.node(Ref(entry as u32 - 1)), entry >> 32, size);
            while self.table[probe.at] != 0 {
                probe.advance();
            }
            self.table[probe.at] = entry;
        }
        self.spare_table = old;
    }
}

/// The places in the table where a node may be, in order: first a few near the place of its newest operand, because a
/// formula's next node is mostly about its last one, and those places are in the cache; then from the place of its
/// hash on, so that nodes that share their newest operand do not crowd.
struct Probe {
    at: usize,
    mask: usize,
    near: u32,
    hash: usize,
}

const NEAR_PLACES: u32 = 8;

impl Probe {
    #[inline]
    fn new(node: &Node, hash: u64, size: usize) -> Probe {
        let mask = size - 1;
        let hash = hash as usize;
        let near = match node.op {
            // Their fields are bits, or may differ between equal nodes.
            Op::Param | Op::Const | Op::Call | Op::Exit => hash,
            _ => node.a.max(node.b).max(node.c) as usize * 2,
        };
        Probe { at: near & mask, mask, near: NEAR_PLACES, hash }
    }

    #[inline]
    fn advance(&mut self) {
        if self.near > 1 {
            self.near -= 1;
            self.at = (self.at + 1) & self.mask;
        } else if self.near == 1 {
            self.near = 0;
            self.at = self.hash & self.mask;
        } else {
            self.at = (self.at + 1) & self.mask;
        }
    }
}
