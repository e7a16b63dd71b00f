//! The text form of the IR: printed for people and tests, read back for tests.
//!
//! Owns the notation. What is printed is what a formula needs (nodes without a user are left out), in order, numbered
//! by line; constants stand where they are used, with a type where the operation does not tell it; arms are blocks.
//!
//! ```text
//! params %0:i64 %1:i64
//! %2:bool = lt %0, 0
//! if %2 {
//!   trap %2, overflow
//! } else {
//!   %3:i64 = call! read(%0)
//! }
//! %4:i64 = join 1, %3
//! loop %5:i64 = %4, %6:f64 = 0.5 {
//!   %7:bool = lt %5, 10
//! while %7
//!   %8:i64 = add %5, 1
//!   %9:f64 = mul %6, %6
//!   next %8, %9
//! }
//! %10:f64 = exit %6
//! return %10
//! ```
//!
//! The `join`s of an `if` follow it before the next `if` of the block; one whose values nobody wants has none. What a `loop` carries stands in its
//! first line with its value before the loop, and in `next` with its value after an iteration. `#` starts a comment.
//! Whoever adds a kind of node adds its line to `line` and its reading to `Reader::statement`; the round trip of random functions is tested. Knows no rule and no meaning.

#![forbid(unsafe_code)]

use super::{Func, Node, Ref, TrapKind};
use crate::ops::{Op, PINNED, Sig};
use crate::types::Type;
use std::fmt::Write as _;

const TRAPS: [(TrapKind, &str); 4] = [
    (TrapKind::Overflow, "overflow"),
    (TrapKind::DivisionByZero, "division_by_zero"),
    (TrapKind::Host, "host"),
    (TrapKind::Steps, "steps"),
];

/// Deeper blocks are not indented further: the text stays proportional to the function.
const DEEPEST_INDENT: usize = 24;

/// The text of `func`.
pub(crate) fn print(func: &Func) -> String {
    let mut p =
        Printer { func, live: live(func), names: vec![u32::MAX; func.nodes.len()], next: 0, out: String::new() };
    p.function();
    p.out
}

/// Which nodes do the results and effects need?
pub(crate) fn live(func: &Func) -> Vec<bool> {
    let mut live = vec![false; func.nodes.len()];
    for r in func.results.iter().chain(&func.effects) {
        live[r.index()] = true;
    }
    for i in (0..func.nodes.len()).rev() {
        let node = func.nodes[i];
        if live[i] || node.op == Op::Param {
            func.for_operands(&node, |r| live[r.index()] = true);
            live[i] = true;
        }
    }
    live
}

/// What follows a block.
enum Then {
    Return,
    /// The second arm, this region.
    Else(u16),
    /// The body of this loop.
    While(u32),
    /// What this loop carries on.
    Next(u32),
    Close,
}

struct Printer<'a> {
    func: &'a Func,
    live: Vec<bool>,
    /// The number under which each node was printed.
    names: Vec<u32>,
    next: u32,
    out: String,
}

impl Printer<'_> {
    fn function(&mut self) {
        let func = self.func;
        let mut by_region = vec![Vec::new(); func.regions.len()];
        let mut params = Vec::new();
        for (i, node) in func.nodes.iter().enumerate() {
            match node.op {
                Op::Const => {}
                Op::Param => params.push(Ref(i as u32)),
                _ if self.live[i] => by_region[node.region as usize].push(Ref(i as u32)),
                _ => {}
            }
        }
        params.sort_by_key(|&r| func.node(r).a);
        self.out.push_str("params");
        for r in params {
            self.name(r);
            let _ = write!(self.out, " %{}:{}", self.names[r.index()], func.ty(r));
        }
        self.out.push('\n');
        // Blocks may nest deeper than the stack: their rests wait in a list.
        let mut take = |region: u16| std::mem::take(&mut by_region[usize::from(region)]).into_iter();
        let mut open = vec![(take(0), Then::Return)];
        while let Some((nodes, _)) = open.last_mut() {
            if let Some(r) = nodes.next() {
                let node = func.node(r);
                if node.op == Op::Phi {
                    continue;
                }
                self.indent(open.len() - 1);
                self.line(r, node);
                match node.op {
                    Op::If => open.push((take(node.b as u16), Then::Else(node.c as u16))),
                    Op::Loop => open.push((take(func.loops[node.a as usize].test), Then::While(node.a))),
                    _ => {}
                }
                continue;
            }
            let Some((_, then)) = open.pop() else { break };
            let depth = open.len().saturating_sub(1);
            match then {
                Then::Return => {}
                Then::Else(region) => {
                    self.indented(depth, "} else {\n");
                    open.push((take(region), Then::Close));
                }
                Then::While(number) => {
                    let body = func.loops[number as usize].body;
                    self.indented(depth, "while ");
                    self.operand(func.regions[usize::from(body)].condition, Some(Type::Bool));
                    self.out.push('\n');
                    open.push((take(body), Then::Next(number)));
                }
                Then::Next(number) => {
                    let carried = &func.carried[func.loops[number as usize].carried()];
                    if !carried.is_empty() {
                        self.indented(depth + 1, "next ");
                        for (i, c) in carried.iter().enumerate() {
                            self.out.push_str(if i == 0 { "" } else { ", " });
                            self.operand(c.next, Some(func.ty(c.next)));
                        }
                        self.out.push('\n');
                    }
                    self.indented(depth, "}\n");
                }
                Then::Close => self.indented(depth, "}\n"),
            }
        }
        self.out.push_str("return");
        for (i, &r) in func.results.iter().enumerate() {
            self.out.push_str(if i == 0 { " " } else { ", " });
            self.operand(r, None);
        }
        self.out.push('\n');
    }

    fn indent(&mut self, depth: usize) {
        for _ in 0..depth.min(DEEPEST_INDENT) {
            self.out.push_str("  ");
        }
    }

    fn indented(&mut self, depth: usize, text: &str) {
        self.indent(depth);
        self.out.push_str(text);
    }

    fn name(&mut self, r: Ref) {
        self.names[r.index()] = self.next;
        self.next += 1;
    }

    /// One operand; a constant shows its type unless it is `told`.
    fn operand(&mut self, r: Ref, told: Option<Type>) {
        let Some(value) = self.func.constant(r) else {
            let _ = write!(self.out, "%{}", self.names[r.index()]);
            return;
        };
        let canonical = if value.ty() == Type::F32 { u64::from(f32::NAN.to_bits()) } else { f64::NAN.to_bits() };
        let _ = if value.is_nan() && value.to_bits() != canonical {
            write!(self.out, "0x{:x}", value.to_bits())
        } else {
            write!(self.out, "{value}")
        };
        if told != Some(value.ty()) {
            let _ = write!(self.out, ":{}", value.ty());
        }
    }

    fn operands(&mut self, list: &[Ref], told: Option<Type>) {
        for (i, &r) in list.iter().enumerate() {
            if i > 0 {
                self.out.push_str(", ");
            }
            self.operand(r, told);
        }
    }

    fn line(&mut self, r: Ref, node: &Node) {
        let func = self.func;
        if !matches!(node.op, Op::Trap | Op::If | Op::Loop) {
            self.name(r);
            let _ = write!(self.out, "%{}:{} = ", self.names[r.index()], node.ty);
        }
        let (a, b, c) = (Ref(node.a), Ref(node.b), Ref(node.c));
        match node.op {
            Op::If => {
                self.out.push_str("if ");
                self.operand(a, Some(Type::Bool));
                self.out.push_str(" {\n");
                return;
            }
            Op::Loop => {
                self.out.push_str("loop ");
                for (i, c) in func.carried[func.loops[node.a as usize].carried()].iter().enumerate() {
                    self.name(c.phi);
                    let (number, ty) = (self.names[c.phi.index()], func.ty(c.phi));
                    let _ = write!(self.out, "{}%{number}:{ty} = ", if i == 0 { "" } else { ", " });
                    self.operand(c.init, Some(ty));
                }
                let _ = writeln!(self.out, "{}{{", if self.out.ends_with(' ') { "" } else { " " });
                return;
            }
            Op::Exit => {
                self.out.push_str("exit ");
                self.operand(func.carried[node.b as usize].phi, None);
            }
            Op::Trap => {
                self.out.push_str("trap ");
                self.operand(a, Some(Type::Bool));
                let kind = TRAPS.iter().find(|(kind, _)| *kind as u32 == node.b).map_or("?", |(_, text)| text);
                let _ = write!(self.out, ", {kind}");
            }
            Op::Join => {
                self.out.push_str("join ");
                self.operands(&[b, c], Some(node.ty));
            }
            Op::Call | Op::CallPinned => {
                let pinned = if node.op.is(PINNED) { "!" } else { "" };
                let _ = write!(self.out, "call{pinned} {}(", func.callees[node.a as usize].name());
                self.operands(func.call_args(node), None);
                self.out.push(')');
            }
            op => {
                let _ = write!(self.out, "{} ", op.row().text);
                let list = node.operands();
                let list = &list[..op.arity()];
                match op.row().sig {
                    Sig::Select => {
                        self.operands(&list[..1], Some(Type::Bool));
                        self.out.push_str(", ");
                        self.operands(&list[1..], Some(node.ty));
                    }
                    Sig::Same(_) => self.operands(list, Some(node.ty)),
                    Sig::Test(_) => {
                        // One operand that is no constant tells the type of the other.
                        let told = list.iter().find(|&&r| func.node(r).op != Op::Const).map(|&r| func.ty(r));
                        self.operands(list, told);
                    }
                    _ => self.operands(list, None),
                }
            }
        }
        self.out.push('\n');
    }
}

#[cfg(test)]
pub(crate) mod read;
#[cfg(test)]
mod tests;
