//! The text form read back, for tests.

#![forbid(unsafe_code)]

use super::TRAPS;
use crate::ir::build::{Arms, Builder};
use crate::ir::{Ref, matcher};
use crate::ops::{Meaning, Op, Sig};
use crate::run::host::HostFunction;
use crate::types::{Type, Value};
use std::sync::Arc;

/// A function that a text may call.
#[derive(Clone)]
pub(crate) enum Known {
    /// Name, result type and meaning.
    Builtin(&'static str, Type, Meaning),
    Host(Arc<HostFunction>),
}

/// Reads the text of a function into `b`, which was reset before; `callees` knows the functions by name. What is
/// built is what `b`'s options make of it.
pub(crate) fn parse(text: &str, b: &mut Builder, callees: &dyn Fn(&str) -> Option<Known>) -> Result<(), String> {
    let mut reader = Reader { b, callees, values: Vec::new(), open: Vec::new(), arms: vec![None] };
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            reader.statement(line).map_err(|why| format!("line {}: {why}: `{line}`", number + 1))?;
        }
    }
    if reader.open.is_empty() { Ok(()) } else { Err("a block is not closed".into()) }
}

/// A block that is open.
enum Open {
    Then,
    Else,
    /// The test of the loop with this number.
    Test(u32),
    /// Its body, and what it carries on.
    Body(Vec<Ref>),
}

struct Reader<'a> {
    b: &'a mut Builder,
    callees: &'a dyn Fn(&str) -> Option<Known>,
    /// By number in the text.
    values: Vec<Option<Ref>>,
    open: Vec<Open>,
    /// By open block, and for the body: the `if` that was closed last in it, whose `join`s may follow.
    arms: Vec<Option<Arms>>,
}

impl Reader<'_> {
    fn statement(&mut self, line: &str) -> Result<(), String> {
        if let Some(params) = line.strip_prefix("params") {
            for param in params.split_whitespace() {
                let (name, ty) = typed_name(param)?;
                let r = self.b.param(ty);
                self.define(name, r)?;
            }
            return Ok(());
        }
        if let Some(results) = line.strip_prefix("return") {
            let results = self.operands(results, None)?;
            self.b.func.results.extend(results);
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("if ") {
            let condition = self.condition(rest.strip_suffix('{').ok_or("a block starts with `{`")?)?;
            self.b.begin_if(condition);
            self.open.push(Open::Then);
            self.arms.push(None);
            return Ok(());
        }
        if line == "} else {" {
            let arm = self.open.last_mut().filter(|arm| matches!(arm, Open::Then)).ok_or("no `if` is open")?;
            *arm = Open::Else;
            self.forget_arms();
            self.b.begin_else();
            return Ok(());
        }
        if line == "}" {
            self.arms.pop();
            match self.open.pop() {
                Some(Open::Else) => {
                    let arms = self.b.close_if();
                    self.arms.pop();
                    self.arms.push(Some(arms));
                }
                Some(Open::Body(nexts)) => {
                    self.b.end_loop(&nexts);
                }
                _ => return Err("an `if` has two arms, a loop a test and a body".into()),
            }
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("loop ") {
            return self.begin_loop(rest.strip_suffix('{').ok_or("a block starts with `{`")?.trim());
        }
        if let Some(rest) = line.strip_prefix("while ") {
            let Some(&Open::Test(number)) = self.open.last() else { return Err("no loop's test is open".into()) };
            let condition = self.condition(rest)?;
            self.b.begin_body(condition);
            let nexts = self.b.func.loops[number as usize].carried().map(|at| self.b.func.carried[at].phi).collect();
            self.forget_arms();
            self.open.pop();
            self.open.push(Open::Body(nexts));
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("next ") {
            return self.next(rest);
        }
        if let Some(rest) = line.strip_prefix("trap ") {
            let (condition, kind) = rest.rsplit_once(',').ok_or("a trap names its kind")?;
            let (kind, _) = TRAPS.iter().find(|(_, text)| *text == kind.trim()).ok_or("unknown kind of trap")?;
            let condition = self.condition(condition)?;
            self.b.trap(condition, *kind);
            return Ok(());
        }
        let (name, ty, rest) = definition(line)?.ok_or("unknown statement")?;
        if let Some(phi) = rest.strip_prefix("exit ") {
            let r = self.exit(phi, ty)?;
            return self.define(name, r);
        }
        if let Some(values) = rest.strip_prefix("join ") {
            let r = self.join(values, ty)?;
            return self.define(name, r);
        }
        let (op, list) = rest.split_once(' ').ok_or("an operation has operands")?;
        let r = if matches!(op, "call" | "call!") { self.call(list, ty)? } else { self.operation(op, list, ty)? };
        self.define(name, r)
    }

    /// The next part of a block begins.
    fn forget_arms(&mut self) {
        if let Some(arms) = self.arms.last_mut() {
            *arms = None;
        }
    }

    fn join(&mut self, values: &str, ty: Type) -> Result<Ref, String> {
        let values = self.operands(values, Some(ty))?;
        let &[a, b] = &values[..] else { return Err("a join has two values".into()) };
        if self.b.ty(a) != ty || self.b.ty(b) != ty {
            return Err("the arms have other types".into());
        }
        let arms = self.arms.last().copied().flatten().ok_or("a join follows its `if` in the same block")?;
        Ok(self.b.merge(arms, a, b))
    }

    /// `%3:f64 = 0.5, %4:i64 = %1`.
    fn begin_loop(&mut self, list: &str) -> Result<(), String> {
        let (mut names, mut inits) = (Vec::new(), Vec::new());
        for carried in list.split(',').filter(|c| !c.is_empty()) {
            let (name, ty, init) = definition(carried.trim())?.ok_or("a carried value has a name")?;
            let init = self.operand(init, Some(ty))?;
            if self.b.ty(init) != ty {
                return Err("a carried value begins with another type".into());
            }
            names.push(name);
            inits.push(init);
        }
        let number = self.b.begin_loop(&inits);
        for (at, name) in names.into_iter().enumerate() {
            let phi = self.b.phi(number, at);
            self.define(name, phi)?;
        }
        self.open.push(Open::Test(number));
        self.arms.push(None);
        Ok(())
    }

    fn next(&mut self, list: &str) -> Result<(), String> {
        let Some(Open::Body(phis)) = self.open.pop() else { return Err("no loop's body is open".into()) };
        let types: Vec<Type> = phis.iter().map(|&phi| self.b.ty(phi)).collect();
        let texts: Vec<&str> = list.split(',').collect();
        if texts.len() != types.len() {
            return Err("the loop carries another number of values".into());
        }
        let mut nexts = Vec::new();
        for (text, ty) in texts.into_iter().zip(types) {
            let next = self.operand(text, Some(ty))?;
            if self.b.ty(next) != ty {
                return Err("a carried value changes its type".into());
            }
            nexts.push(next);
        }
        self.open.push(Open::Body(nexts));
        Ok(())
    }

    fn exit(&mut self, phi: &str, ty: Type) -> Result<Ref, String> {
        let phi = self.operand(phi, None)?;
        let node = *self.b.func.node(phi);
        let ended = |l: &&crate::ir::Loop| l.node != Ref::NONE && l.carried().contains(&(node.a as usize));
        let found = self.b.func.loops.iter().position(|l| ended(&l)).filter(|_| node.op == Op::Phi && node.ty == ty);
        let number = found.ok_or("an exit is of what a loop before it carried")?;
        let at = node.a - self.b.func.loops[number].carried.0;
        Ok(self.b.exit(number as u32, at as usize))
    }

    fn call(&mut self, text: &str, ty: Type) -> Result<Ref, String> {
        let (callee, list) = text.strip_suffix(')').and_then(|t| t.split_once('(')).ok_or("a call has parentheses")?;
        let args = self.operands(list, None)?;
        match (self.callees)(callee).ok_or("unknown callee")? {
            Known::Builtin(name, result, meaning) if result == ty && args.len() <= 3 => {
                Ok(self.b.call_builtin(name, ty, meaning, None, &args))
            }
            Known::Host(host) if host.result() == ty => {
                let fits = args.iter().map(|&r| self.b.ty(r)).eq(host.params().iter().copied());
                if fits { Ok(self.b.call_host(&host, &args)) } else { Err("the arguments do not fit".into()) }
            }
            _ => Err("the call does not fit its callee".into()),
        }
    }

    fn operation(&mut self, name: &str, list: &str, ty: Type) -> Result<Ref, String> {
        let op = Op::ALL.iter().copied().find(|op| op.row().text == name).ok_or("unknown operation")?;
        let sig = op.row().sig;
        let args = match sig {
            Sig::Same(_) => self.operands(list, Some(ty))?,
            Sig::Test(_) => {
                let named = list.split(',').find(|o| o.trim().starts_with('%'));
                let told = named.map(|o| self.operand(o, None)).transpose()?.map(|r| self.b.ty(r));
                self.operands(list, told)?
            }
            Sig::Select => {
                let (first, rest) = list.split_once(',').ok_or("select has three operands")?;
                [vec![self.condition(first)?], self.operands(rest, Some(ty))?].concat()
            }
            _ => self.operands(list, None)?,
        };
        if op.arity() == 0 || args.len() != op.arity() {
            return Err("wrong number of operands".into());
        }
        let types: Vec<Type> = args.iter().map(|&r| self.b.ty(r)).collect();
        let fits = match sig {
            Sig::Same(_) => types.iter().all(|&t| t == ty) && op.meaning(ty).is_some(),
            Sig::Test(_) => types.iter().all(|&t| t == types[0]) && ty == Type::Bool && op.meaning(types[0]).is_some(),
            Sig::Select => types == [Type::Bool, ty, ty],
            _ => op == Op::Convert || types[0].bits() == ty.bits(),
        };
        if !fits {
            return Err("the types do not fit".into());
        }
        let mut padded = [Ref::NONE; 3];
        padded[..args.len()].copy_from_slice(&args);
        Ok(matcher::build(self.b, op, ty, padded))
    }

    fn define(&mut self, name: usize, r: Ref) -> Result<(), String> {
        if name >= self.values.len() {
            self.values.resize(name + 1, None);
        }
        if self.values[name].replace(r).is_some() { Err("defined twice".into()) } else { Ok(()) }
    }

    fn operands(&mut self, list: &str, told: Option<Type>) -> Result<Vec<Ref>, String> {
        list.split(',').map(str::trim).filter(|o| !o.is_empty()).map(|o| self.operand(o, told)).collect()
    }

    fn condition(&mut self, text: &str) -> Result<Ref, String> {
        let r = self.operand(text, Some(Type::Bool))?;
        if self.b.ty(r) == Type::Bool { Ok(r) } else { Err("a condition is a bool".into()) }
    }

    fn operand(&mut self, text: &str, told: Option<Type>) -> Result<Ref, String> {
        let text = text.trim();
        if text.starts_with('%') {
            let known = self.values.get(number(text)?).copied().flatten();
            return known.ok_or_else(|| format!("{text} is not defined"));
        }
        let (literal, ty) = match text.split_once(':') {
            Some((literal, ty)) => (literal, Type::from_name(ty)),
            None => (text, told),
        };
        let ty = ty.ok_or_else(|| format!("which type has {text}?"))?;
        let value = if let Some(hex) = literal.strip_prefix("0x") {
            u64::from_str_radix(hex, 16).ok().map(|bits| Value::from_bits(ty, bits))
        } else {
            match ty {
                Type::Bool => literal.parse().ok().map(Value::Bool),
                Type::I32 => literal.parse().ok().map(Value::I32),
                Type::I64 => literal.parse().ok().map(Value::I64),
                Type::F32 => literal.parse().ok().map(Value::F32),
                Type::F64 => literal.parse().ok().map(Value::F64),
            }
        };
        Ok(self.b.constant(value.ok_or_else(|| format!("{literal} is not of type {ty}"))?))
    }
}

/// `%3:f64 = rest`.
fn definition(line: &str) -> Result<Option<(usize, Type, &str)>, String> {
    let Some((head, rest)) = line.split_once('=').filter(|_| line.starts_with('%')) else { return Ok(None) };
    let (name, ty) = typed_name(head.trim())?;
    Ok(Some((name, ty, rest.trim())))
}

/// `%3:f64`.
fn typed_name(text: &str) -> Result<(usize, Type), String> {
    let (name, ty) = text.split_once(':').ok_or("a type is missing")?;
    Ok((number(name)?, Type::from_name(ty).ok_or("unknown type")?))
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.strip_prefix('%').and_then(|n| n.parse().ok());
    number.filter(|&n: &usize| n < 1 << 24).ok_or_else(|| format!("{text} is not a name"))
}
