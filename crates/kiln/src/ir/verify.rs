//! The verifier: what is true of every [`Func`] that the rest of the compiler may rely on.
//!
//! Owns the list of invariants of the IR. A function that passes compiles, or fails for memory or a stated limit; one
//! that does not is a defect of the stage that made it. The pipeline calls it after every stage in debug builds.
//!
//! Whoever adds a kind of node says here what its fields may hold. Knows no meaning and changes nothing.

#![forbid(unsafe_code)]

use super::{Func, Loop, Node, Ref, Target, TrapKind};
use crate::ops::{Op, PINNED, Sig};
use crate::types::Type;

/// Is `func` well formed? If not, why not.
pub(crate) fn verify(func: &Func) -> Result<(), String> {
    if func.spans.len() != func.nodes.len() {
        return Err("nodes and spans differ in number".into());
    }
    let nesting = regions(func)?;
    loops(func, &nesting)?;
    params(func)?;
    for (i, node) in func.nodes.iter().enumerate() {
        let r = Ref(i as u32);
        place(func, &nesting, r, node)
            .and_then(|()| fields(func, &nesting, node))
            .map_err(|why| format!("%{i} ({} of {}): {why}", node.op.row().text, node.ty))?;
    }
    effects(func)?;
    for &r in &func.results {
        if r.index() >= func.nodes.len() || func.node(r).region != 0 {
            return Err(format!("the result {r:?} is not a value of the body"));
        }
    }
    Ok(())
}

fn ensure(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

/// The nesting of regions as intervals, so that visibility is one comparison however deep they nest.
struct Nesting {
    /// By region: its place in an order in which all that is inside it follows it, and where that ends.
    spans: Vec<(u32, u32)>,
}

impl Nesting {
    /// Parents stand before their children.
    fn new(func: &Func) -> Nesting {
        let mut sizes = vec![1u32; func.regions.len()];
        for (i, region) in func.regions.iter().enumerate().skip(1).rev() {
            sizes[region.parent as usize] += sizes[i];
        }
        let mut spans = vec![(0, sizes[0]); func.regions.len()];
        let mut next = vec![1; func.regions.len()];
        for (i, region) in func.regions.iter().enumerate().skip(1) {
            let start = next[region.parent as usize];
            next[region.parent as usize] += sizes[i];
            next[i] = start + 1;
            spans[i] = (start, start + sizes[i]);
        }
        Nesting { spans }
    }

    /// Is `outer` the region `inner` or one around it, so that its values are visible there?
    fn visible(&self, outer: u16, inner: u16) -> bool {
        let (Some(&(start, end)), Some(&(at, _))) = (self.spans.get(outer as usize), self.spans.get(inner as usize))
        else {
            return false;
        };
        start <= at && at < end
    }
}

fn regions(func: &Func) -> Result<Nesting, String> {
    ensure(!func.regions.is_empty() && func.regions[0].parent == 0, "the body is missing")?;
    let ordered = func.regions.iter().enumerate().skip(1).all(|(i, region)| (region.parent as usize) < i);
    ensure(ordered, "a region does not stand after the one around it")?;
    let nesting = Nesting::new(func);
    for (i, region) in func.regions.iter().enumerate().skip(1) {
        let sound = region.condition.index() < func.nodes.len()
            && func.ty(region.condition) == Type::Bool
            && nesting.visible(func.node(region.condition).region, region.parent);
        let test = func.loops.binary_search_by_key(&i, |l| usize::from(l.test)).is_ok();
        ensure(sound || (test && region.condition == Ref::NONE), &format!("region {i} has no condition around it"))?;
        let known = !region.has_effects || func.regions[region.parent as usize].has_effects;
        ensure(known, "a region does not know of effects inside it")?;
    }
    Ok(nesting)
}

/// Loops are stretches of the arena that nest as their regions do; what they carry is visible where it is taken.
fn loops(func: &Func, nesting: &Nesting) -> Result<(), String> {
    let mut carried = 0;
    for (i, this) in func.loops.iter().enumerate() {
        let node = func.nodes.get(this.node.index()).ok_or("a loop has no node")?;
        ensure(node.op == Op::Loop && node.a as usize == i, "a loop's node is another one's")?;
        let ordered = i == 0 || func.loops[i - 1].first <= this.first;
        ensure(ordered, "the loops are not in the order in which they begin")?;
        ensure(this.carried.0 == carried && this.carried.0 <= this.carried.1, "carried values are out of order")?;
        carried = this.carried.1;
        ensure(carried as usize <= func.carried.len(), "a loop carries what does not exist")?;
        let region = |number: u16| func.regions.get(usize::from(number)).ok_or("a loop has no region");
        let (test, body) = (region(this.test)?, region(this.body)?);
        ensure(test.condition == Ref::NONE && test.parent == node.region, "a loop's test is no region around it")?;
        ensure(
            body.parent == this.test && body.polarity && this.body != this.test,
            "a loop's body is not in its test",
        )?;
        let inside = this.test < this.body && this.body < this.regions_end;
        ensure(inside && usize::from(this.regions_end) <= func.regions.len(), "a loop's regions are out of order")?;
        for (at, c) in func.carried[this.carried()].iter().enumerate() {
            let place = this.first.index() + at;
            let phi = func.nodes.get(place).ok_or("a phi is missing")?;
            let sound = c.phi.index() == place && phi.op == Op::Phi && phi.region == this.test;
            ensure(sound && phi.a as usize == this.carried.0 as usize + at, "a phi is not where its loop begins")?;
            ensure(c.init < this.first && c.next < this.node, "a carried value does not stand where it should")?;
            ensure(func.ty(c.init) == phi.ty && func.ty(c.next) == phi.ty, "a carried value changes its type")?;
            ensure(nesting.visible(func.node(c.init).region, node.region), "a carried value begins invisible")?;
            ensure(nesting.visible(func.node(c.next).region, this.body), "a carried value goes on invisible")?;
        }
    }
    ensure(carried as usize == func.carried.len(), "a carried value has no loop")?;
    let own = |n: &Node, r: usize| match n.op {
        Op::Phi => func.carried.get(n.a as usize).is_some_and(|c| c.phi.index() == r),
        Op::Loop => func.loops.get(n.a as usize).is_some_and(|l| l.node.index() == r),
        _ => true,
    };
    ensure(func.nodes.iter().enumerate().all(|(r, n)| own(n, r)), "a phi or loop that nothing knows of")?;
    // What lives in a loop stands in its stretch.
    let mut innermost: Vec<Option<&Loop>> = vec![None; func.regions.len()];
    for this in &func.loops {
        innermost[usize::from(this.test)] = Some(this);
    }
    for (i, region) in func.regions.iter().enumerate().skip(1) {
        innermost[i] = innermost[i].or(innermost[usize::from(region.parent)]);
    }
    for (i, node) in func.nodes.iter().enumerate() {
        let this = innermost.get(usize::from(node.region)).copied().flatten();
        let clean = this.is_none_or(|l| l.first.index() <= i && i <= l.node.index());
        ensure(clean, "a node of a loop stands outside its stretch")?;
    }
    Ok(())
}

fn params(func: &Func) -> Result<(), String> {
    let mut seen = vec![false; func.params.len()];
    for node in func.nodes.iter().filter(|n| n.op == Op::Param) {
        let number = node.a as usize;
        ensure(func.params.get(number) == Some(&node.ty), &format!("parameter {number} has another type"))?;
        ensure(!seen[number], &format!("parameter {number} stands twice"))?;
        seen[number] = true;
    }
    ensure(seen.iter().all(|&s| s), "a parameter has no node")
}

/// Operands stand before their users and are visible from them; pure nodes live as far out as they can.
fn place(func: &Func, nesting: &Nesting, r: Ref, node: &Node) -> Result<(), String> {
    ensure((node.region as usize) < func.regions.len(), "no such region")?;
    if matches!(node.op, Op::Call | Op::CallPinned) {
        let end = u64::from(node.b) + u64::from(node.c);
        ensure(end <= func.args.len() as u64, "the arguments lie outside the list")?;
    }
    let (mut older, mut seen, mut innermost) = (true, true, 0);
    func.for_operands(node, |operand| {
        older &= operand < r;
        if operand < r && !matches!(node.op, Op::Join | Op::Loop) {
            seen &= nesting.visible(func.node(operand).region, node.region);
            innermost = innermost.max(func.node(operand).region);
        }
    });
    ensure(older, "an operand does not stand before its user")?;
    ensure(seen, "an operand is not visible from its user's region")?;
    let free = !node.op.is(PINNED) && !matches!(node.op, Op::Join | Op::Phi | Op::Exit);
    ensure(!free || node.region == innermost, "a pure node does not live where its operands are first all there")
}

/// Types and fields, operation by operation.
fn fields(func: &Func, nesting: &Nesting, node: &Node) -> Result<(), String> {
    let ty = |field: u32| func.ty(Ref(field));
    let same = |n: usize| [node.a, node.b, node.c][..n].iter().all(|&f| ty(f) == ty(node.a));
    let unused = |n: usize| [node.a, node.b, node.c][n..].iter().all(|&f| f == 0);
    match node.op.row().sig {
        Sig::Leaf => match node.op {
            Op::Const => {
                let bits = node.const_bits();
                let fits = node.ty.bits() == 64 || bits >> node.ty.bits() == 0;
                ensure(fits && node.c == 0, "a constant has bits beyond its type")
            }
            _ => ensure(node.b == 0 && node.c == 0, "a parameter has operands"),
        },
        Sig::Same(n) => {
            let n = n as usize;
            ensure(same(n) && ty(node.a) == node.ty, "operands and result must have one type")?;
            ensure(unused(n), "an unused field is not zero")?;
            ensure(node.op.meaning(node.ty).is_some(), "the operation is not defined on this type")
        }
        Sig::Test(n) => {
            let n = n as usize;
            ensure(same(n) && node.ty == Type::Bool, "a test takes operands of one type and gives a bool")?;
            ensure(unused(n), "an unused field is not zero")?;
            ensure(node.op.meaning(ty(node.a)).is_some(), "the operation is not defined on this type")
        }
        Sig::Select => {
            let sound = ty(node.a) == Type::Bool && ty(node.b) == node.ty && ty(node.c) == node.ty;
            ensure(sound, "select takes a bool and two values of its type")
        }
        Sig::Convert => {
            ensure(unused(1), "an unused field is not zero")?;
            ensure(ty(node.a) != node.ty, "a conversion to the same type")?;
            let fits = node.op != Op::Bitcast || ty(node.a).bits() == node.ty.bits();
            ensure(fits, "a bitcast between widths")
        }
        Sig::Special => special(func, nesting, node),
    }
}

fn special(func: &Func, nesting: &Nesting, node: &Node) -> Result<(), String> {
    match node.op {
        Op::Call | Op::CallPinned => {
            let callee = func.callees.get(node.a as usize).ok_or("no such callee")?;
            ensure(callee.ty == node.ty, "the call has another type than its callee")?;
            let args = func.call_args(node);
            match &callee.target {
                Target::Builtin(..) => ensure(args.len() <= 3, "a builtin takes at most three words"),
                Target::Host(host) => {
                    let types = args.iter().map(|&r| func.ty(r));
                    ensure(types.eq(host.params().iter().copied()), "the arguments do not fit the signature")?;
                    let pinned = !host.is_pure() || host.is_fallible();
                    ensure(pinned == (node.op == Op::CallPinned), "pinned if and only if it has effects or may fail")
                }
            }
        }
        Op::Trap => {
            ensure(func.ty(Ref(node.a)) == Type::Bool, "the condition is not a bool")?;
            ensure(TrapKind::from_code(node.b).is_some(), "no such kind of trap")
        }
        Op::If => {
            let arm = |number: u32, polarity: bool| {
                func.regions.get(number as usize).is_some_and(|r| {
                    number != 0 && r.parent == node.region && r.condition.0 == node.a && r.polarity == polarity
                })
            };
            ensure(arm(node.b, true) && arm(node.c, false), "the arms are not regions of its condition")
        }
        Op::Join => {
            let branch = func.node(Ref(node.a));
            ensure(branch.op == Op::If && branch.region == node.region, "a join without its if")?;
            let arm = |field: u32, region: u32| {
                func.ty(Ref(field)) == node.ty && nesting.visible(func.node(Ref(field)).region, region as u16)
            };
            ensure(arm(node.b, branch.b) && arm(node.c, branch.c), "an arm's value is not visible in the arm")
        }
        // The list of loops has been checked.
        Op::Phi | Op::Loop => Ok(()),
        Op::Exit => {
            let ended = func.node(Ref(node.a));
            ensure(ended.op == Op::Loop && ended.region == node.region, "an exit without its loop")?;
            let carried = func.loops[ended.a as usize].carried().contains(&(node.b as usize));
            ensure(carried && ty_of_carried(func, node.b) == node.ty, "an exit of what its loop does not carry")
        }
        _ => Err("an operation without a type rule".into()),
    }
}

fn ty_of_carried(func: &Func, number: u32) -> Type {
    func.ty(func.carried[number as usize].phi)
}

/// All that is pinned, and nothing else, stands in `effects`, in order, in regions that know it.
fn effects(func: &Func) -> Result<(), String> {
    ensure(func.effects.windows(2).all(|w| w[0] < w[1]), "the effects are out of order")?;
    let pinned = func.nodes.iter().enumerate().filter(|(_, n)| n.op.is(PINNED)).map(|(i, _)| Ref(i as u32));
    ensure(pinned.eq(func.effects.iter().copied()), "the effects are not the pinned nodes")?;
    for &r in &func.effects {
        let region = func.node(r).region;
        ensure(func.regions[region as usize].has_effects, "a region does not know of its effects")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::build::{BuildOptions, Builder};

    /// Spoils a function; finds the first node of an operation.
    type Damage = fn(&mut Func, &dyn Fn(Op) -> usize);
    type SimpleDamage = fn(&mut Func);

    fn sample() -> Builder {
        let mut b = Builder::default();
        b.reset(BuildOptions { optimise: false, ..BuildOptions::default() });
        let (x, y) = (b.param(Type::I64), b.param(Type::I64));
        let sum = b.raw2(Op::Add, x, y);
        let less = b.raw2(Op::Lt, x, y);
        b.raw2(Op::Eq, x, y);
        b.begin_if(less);
        b.trap(less, TrapKind::Overflow);
        b.begin_else();
        let wide = b.raw_convert(sum, Type::F64);
        let narrow = b.raw_convert(wide, Type::I64);
        let result = b.end_if(sum, narrow);
        b.func.results.push(result);
        b
    }

    #[test]
    fn what_the_builder_makes_passes() {
        assert_eq!(verify(&sample().func), Ok(()));
    }

    #[test]
    fn damage_to_loops_is_seen() {
        let sample = || {
            let mut b = Builder::default();
            let n = b.param(Type::I64);
            let zero = b.small(Type::I64, 0);
            let outer = b.begin_loop(&[zero, n]);
            let (k, m) = (b.phi(outer, 0), b.phi(outer, 1));
            let go = b.raw2(Op::Lt, k, n);
            b.begin_body(go);
            let next = b.raw2(Op::Add, k, n);
            let twice = b.raw2(Op::Mul, m, next);
            b.end_loop(&[next, twice]);
            let result = b.exit(outer, 1);
            b.func.results.push(result);
            b.func
        };
        assert_eq!(verify(&sample()), Ok(()));
        let damages: &[(&str, SimpleDamage)] = &[
            ("no node", |f| f.loops[0].node = Ref::NONE),
            ("another one's", |f| f.loops[0].node = Ref(0)),
            ("out of order", |f| f.loops[0].carried.0 = 1),
            ("does not exist", |f| f.loops[0].carried.1 = 9),
            ("no condition around", |f| f.regions[1].condition = Ref(0)),
            ("not in its test", |f| f.regions[2].polarity = false),
            ("regions are out", |f| f.loops[0].regions_end = 2),
            ("where its loop begins", |f| f.loops[0].first = Ref(3)),
            ("where it should", |f| f.carried[0].init = f.carried[0].phi),
            ("changes its type", |f| f.carried[0].next = f.regions[2].condition),
            ("has no loop", |f| f.loops[0].carried.1 = 1),
            ("without its loop", |f| f.nodes.last_mut().unwrap().a = 0),
            ("does not carry", |f| f.nodes.last_mut().unwrap().b = 7),
            ("outside its stretch", |f| {
                let last = f.nodes.len() - 1;
                f.nodes[last].region = 1;
            }),
        ];
        for (expected, damage) in damages {
            let mut func = sample();
            damage(&mut func);
            let found = verify(&func).unwrap_err();
            assert!(found.contains(expected), "expected `{expected}`, found `{found}`");
        }
        let nested = || {
            let mut b = Builder::default();
            let go = b.param(Type::Bool);
            for _ in 0..2 {
                b.begin_loop(&[]);
                b.begin_body(go);
            }
            b.end_loop(&[]);
            b.trap(go, TrapKind::Overflow);
            b.end_loop(&[]);
            b.func
        };
        assert_eq!(verify(&nested()), Ok(()));
        let mut func = nested();
        (func.loops[0].first, func.loops[1].first) = (Ref(1), Ref(0));
        assert!(verify(&func).unwrap_err().contains("in which they begin"));
    }

    #[test]
    fn every_kind_of_damage_is_seen() {
        let find = |b: &Builder, op: Op| b.func.nodes.iter().position(|n| n.op == op).unwrap();
        let damages: &[(&str, Damage)] = &[
            ("another type", |f, _| f.params[0] = Type::F32),
            ("stands twice", |f, _| f.nodes[1].a = 0),
            ("one type", |f, at| f.nodes[at(Op::Add)].ty = Type::I32),
            ("does not stand before", |f, at| f.nodes[at(Op::Add)].b = 100),
            ("unused field", |f, at| f.nodes[at(Op::Add)].c = 1),
            ("gives a bool", |f, at| f.nodes[at(Op::Eq)].ty = Type::I64),
            ("not defined", |f, at| f.nodes[at(Op::Add)].op = Op::Div),
            ("to the same type", |f, at| f.nodes[at(Op::Convert)].ty = Type::I64),
            ("bitcast between", |f, at| {
                let i = at(Op::Convert);
                (f.nodes[i].op, f.nodes[i].ty) = (Op::Bitcast, Type::F32);
            }),
            ("live where", |f, at| f.nodes[at(Op::Add)].region = 1),
            ("no such region", |f, at| f.nodes[at(Op::Add)].region = 9),
            ("kind of trap", |f, at| f.nodes[at(Op::Trap)].b = 77),
            ("not the pinned", |f, _| f.effects.truncate(1)),
            ("out of order", |f, _| f.effects.reverse()),
            ("know of its effects", |f, _| f.regions[1].has_effects = false),
            ("arms are not", |f, at| f.nodes[at(Op::If)].c = 1),
            ("without its if", |f, at| f.nodes[at(Op::Join)].a = 2),
            ("not visible in", |f, at| {
                let (join, first) = (at(Op::Join), at(Op::Trap) as u32);
                f.nodes[join].ty = Type::Bool;
                (f.nodes[join].b, f.nodes[join].c) = (first, first);
            }),
            ("not a value of the body", |f, at| f.results[0] = Ref(at(Op::Trap) as u32)),
            ("no condition around", |f, _| f.regions[1].condition = Ref(0)),
            ("differ in number", |f, _| f.spans.truncate(2)),
        ];
        for (expected, damage) in damages {
            let mut b = sample();
            let places: Vec<(Op, usize)> =
                [Op::Add, Op::Eq, Op::Convert, Op::Trap, Op::If, Op::Join].map(|op| (op, find(&b, op))).to_vec();
            damage(&mut b.func, &|op| places.iter().find(|(o, _)| *o == op).unwrap().1);
            let found = verify(&b.func).unwrap_err();
            assert!(found.contains(expected), "expected `{expected}`, found `{found}`");
        }
    }
}
