//! Interim checker.
#![forbid(unsafe_code)]
use super::FrontEnd;
use super::ast::{Kind, Node};
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::math::{self, Rule};
use crate::ops::Op;
use crate::pipeline::Request;
use crate::span::{Diagnostic, Span};
use crate::types::{Type, Value};
use std::collections::HashMap;

#[derive(Clone, Copy, Debug)]
enum Val {
    Typed(Ref),
    Untyped { first: usize, last: usize },
    Marker,
    Bad,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) inputs: Vec<(String, Type)>,
    input_refs: HashMap<u32, Ref>,
    lets: HashMap<u32, Val>,
}

impl FrontEnd {
    pub(crate) fn check(&mut self, source: &str, request: &Request<'_>, b: &mut Builder) {
        self.state = State::default();
        let mut declared = request.params.map(|p| p.to_vec());
        if self.ast.has_signature {
            let list = self.ast.params.iter().map(|p| (self.symbols.name(p.symbol).to_owned(), p.ty)).collect();
            declared = Some(list);
        }
        for (name, ty) in declared.iter().flatten() {
            let ty = ty.unwrap_or(request.default_type);
            let r = b.param(ty);
            self.state.inputs.push((name.clone(), ty));
            let symbol = self.symbols.intern(name);
            self.state.input_refs.insert(symbol.0, r);
        }
        if self.sink.has_errors() || self.ast.nodes.is_empty() {
            return;
        }
        let n = self.ast.nodes.len();
        let literal = if request.default_type == Type::Bool { Type::F64 } else { request.default_type };
        let mut c = Ck { f: self, request, b, source, closed: declared.is_some(), default: literal };
        let v = c.run(0, n - 1, None);
        let r = c.force(v, literal);
        if let Val::Typed(r) = r {
            b.func.results.push(r);
        }
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.state.inputs.iter().map(|(n, t)| (n.as_str(), *t))
    }
    pub(crate) fn dump(&self, _source: &str) -> String {
        self.ast.dump(&self.symbols)
    }
    pub(crate) fn print(&self, source: &str) -> String {
        source.to_owned()
    }
}

struct Ck<'a, 'b> {
    f: &'a mut FrontEnd,
    request: &'a Request<'b>,
    b: &'a mut Builder,
    #[allow(dead_code, reason = "interim")]
    source: &'a str,
    closed: bool,
    default: Type,
}

pub(crate) fn mix(a: Type, b: Type) -> Option<Type> {
    if a == b {
        return Some(a);
    }
    match (a, b) {
        (Type::Bool, _) | (_, Type::Bool) => None,
        (Type::F64, _) | (_, Type::F64) => Some(Type::F64),
        (Type::F32, _) | (_, Type::F32) => Some(Type::F32),
        _ => Some(Type::I64),
    }
}

impl Ck<'_, '_> {
    fn err(&mut self, code: &'static str, span: Span, m: impl Into<String>) -> Val {
        self.f.sink.push(Diagnostic::error(code, span, m));
        Val::Bad
    }
    fn force(&mut self, v: Val, ty: Type) -> Val {
        match v {
            Val::Untyped { first, last } => self.run(first, last, Some(ty)),
            v => v,
        }
    }
    fn ty(&self, v: Val) -> Option<Type> {
        if let Val::Typed(r) = v { Some(self.b.ty(r)) } else { None }
    }
    fn unify(&mut self, vs: &mut [Val], span: Span) -> Option<Type> {
        let mut common: Option<Type> = None;
        for &v in vs.iter() {
            if matches!(v, Val::Bad) {
                return None;
            }
            if let Some(t) = self.ty(v) {
                common = match common {
                    None => Some(t),
                    Some(c) => match mix(c, t) {
                        Some(m) => Some(m),
                        None => {
                            self.err("type", span, format!("{c} and {t} do not mix"));
                            return None;
                        }
                    },
                };
            }
        }
        let context = common.unwrap_or(self.default);
        for v in vs.iter_mut() {
            if matches!(v, Val::Untyped { .. }) {
                *v = self.force(*v, context);
                let t = self.ty(*v)?;
                common = match common {
                    None => Some(t),
                    Some(c) => mix(c, t),
                };
            }
        }
        if common.is_none() {
            self.err("type", span, "these types do not mix");
        }
        common
    }
    fn conv(&mut self, v: Val, ty: Type) -> Ref {
        match v {
            Val::Typed(r) => self.b.convert(r, ty),
            _ => self.b.small(ty, 0),
        }
    }

    fn run(&mut self, start: usize, end: usize, ctx: Option<Type>) -> Val {
        let mut stack: Vec<Val> = Vec::new();
        let mut i = start;
        while i <= end {
            let node = self.f.ast.nodes[i];
            self.b.set_span(node.span());
            let v = self.node(i, &node, ctx, &mut stack);
            stack.push(v);
            i += 1;
        }
        stack.into_iter().rev().find(|v| !matches!(v, Val::Marker)).unwrap_or(Val::Bad)
    }

    fn node(&mut self, i: usize, node: &Node, ctx: Option<Type>, s: &mut Vec<Val>) -> Val {
        let untyped = Val::Untyped { first: node.first as usize, last: i };
        let is_untyped = |v: &Val| matches!(v, Val::Untyped { .. });
        match node.kind {
            Kind::Number => {
                let l = self.f.ast.literals[node.data as usize];
                let Some(mut ty) = l.suffix.or(ctx) else { return untyped };
                let whole = l.flags & super::lex::INTEGER != 0;
                if ty.is_int() && !whole {
                    ty = Type::F64;
                }
                let value = match ty {
                    Type::F64 => Value::F64(l.value),
                    Type::F32 => Value::F32(l.value as f32),
                    Type::I32 => Value::I32(l.int as i32),
                    _ => Value::I64(l.int as i64),
                };
                Val::Typed(self.b.constant(value))
            }
            Kind::Name => self.name(node, ctx, untyped),
            Kind::Program | Kind::Block => {
                let v = s.iter().rev().find(|v| !matches!(v, Val::Marker)).copied().unwrap_or(Val::Bad);
                s.clear();
                v
            }
            Kind::Let => {
                let v = s.pop().unwrap_or(Val::Bad);
                self.f.state.lets.insert(node.data, v);
                Val::Marker
            }
            Kind::Error => Val::Bad,
            Kind::BlockBegin | Kind::IfThen | Kind::IfElse | Kind::Link => Val::Marker,
            Kind::If => {
                let mut take = || loop {
                    match s.pop() {
                        Some(Val::Marker) => {}
                        v => break v.unwrap_or(Val::Bad),
                    }
                };
                let (e, t, c) = (take(), take(), take());
                self.choose(c, t, e, node.span())
            }
            Kind::Call => {
                let at = s.len() - node.count as usize;
                let mut args = s.split_off(at);
                self.call(node, &mut args, untyped)
            }
            k if k.is_prefix() => {
                let a = s.pop().unwrap_or(Val::Bad);
                if is_untyped(&a) && k != Kind::Not {
                    return untyped;
                }
                let Val::Typed(r) = a else { return Val::Bad };
                let t = self.b.ty(r);
                Val::Typed(match k {
                    Kind::Neg => self.b.unary(Op::Neg, r),
                    Kind::Plus => r,
                    _ if t == Type::Bool || t.is_int() => self.b.unary(Op::Not, r),
                    _ => return self.err("type", node.span(), "not needs a bool"),
                })
            }
            k if k.is_binary() => {
                let (y, x) = (s.pop().unwrap_or(Val::Bad), s.pop().unwrap_or(Val::Bad));
                self.binary(k, x, y, node, i, untyped)
            }
            Kind::Chain => {
                let mut values = Vec::new();
                let mut links = Vec::new();
                for c in self.f.ast.children_reversed(i as u32).collect::<Vec<_>>() {
                    let n = self.f.ast.nodes[c as usize];
                    if n.kind == Kind::Link {
                        links.push(n.link());
                        s.pop();
                    } else {
                        values.push(s.pop().unwrap_or(Val::Bad));
                    }
                }
                values.reverse();
                links.reverse();
                let mut all: Option<Ref> = None;
                for (k, w) in links.iter().zip(values.windows(2)) {
                    let Val::Typed(r) = self.compare(*k, w[0], w[1], node.span()) else { return Val::Bad };
                    all = Some(match all {
                        None => r,
                        Some(a) => self.b.binary(Op::And, a, r),
                    });
                }
                all.map_or(Val::Bad, Val::Typed)
            }
            _ => Val::Bad,
        }
    }

    fn name(&mut self, node: &Node, ctx: Option<Type>, untyped: Val) -> Val {
        if let Some(&v) = self.f.state.lets.get(&node.data) {
            return match (v, ctx) {
                (Val::Untyped { .. }, None) => v,
                (Val::Untyped { .. }, Some(t)) => self.force(v, t),
                _ => v,
            };
        }
        if let Some(&r) = self.f.state.input_refs.get(&node.data) {
            return Val::Typed(r);
        }
        let name = self.f.symbols.name(node.symbol()).to_owned();
        let known = self.request.known.iter().find(|k| k.0 == name).map(|k| k.1);
        if known.is_none() {
            let value = match name.as_str() {
                "true" => return Val::Typed(self.b.constant(Value::Bool(true))),
                "false" => return Val::Typed(self.b.constant(Value::Bool(false))),
                "pi" | "π" => Some(std::f64::consts::PI),
                "tau" | "τ" => Some(std::f64::consts::TAU),
                "e" => Some(std::f64::consts::E),
                "inf" | "∞" => Some(f64::INFINITY),
                "nan" => Some(f64::NAN),
                _ => None,
            };
            if let Some(v) = value {
                return match ctx {
                    None => untyped,
                    Some(Type::F32) => Val::Typed(self.b.constant(Value::F32(v as f32))),
                    _ => Val::Typed(self.b.constant(Value::F64(v))),
                };
            }
            if self.closed {
                return self.err("unknown-name", node.span(), format!("there is no input `{name}`"));
            }
        }
        let ty = known.unwrap_or(self.request.default_type);
        let r = self.b.param(ty);
        self.f.state.inputs.push((name, ty));
        self.f.state.input_refs.insert(node.data, r);
        Val::Typed(r)
    }

    fn compare(&mut self, k: Kind, x: Val, y: Val, span: Span) -> Val {
        let mut v = [x, y];
        let Some(t) = self.unify(&mut v, span) else { return Val::Bad };
        let (x, y) = (self.conv(v[0], t), self.conv(v[1], t));
        let (op, x, y) = match k {
            Kind::Eq => (Op::Eq, x, y),
            Kind::Ne => (Op::Ne, x, y),
            Kind::Lt => (Op::Lt, x, y),
            Kind::Le => (Op::Le, x, y),
            Kind::Gt => (Op::Lt, y, x),
            _ => (Op::Le, y, x),
        };
        if t == Type::Bool && !matches!(op, Op::Eq | Op::Ne) {
            return self.err("type", span, "bools have no order");
        }
        Val::Typed(self.b.binary(op, x, y))
    }

    fn binary(&mut self, k: Kind, x: Val, y: Val, node: &Node, i: usize, untyped: Val) -> Val {
        let span = node.span();
        if k.is_comparison() {
            return self.compare(k, x, y, span);
        }
        if matches!((x, y), (Val::Bad, _) | (_, Val::Bad)) {
            return Val::Bad;
        }
        if matches!((x, y), (Val::Untyped { .. }, Val::Untyped { .. })) {
            return untyped;
        }
        let exponent = self.f.ast.nodes[i - 1];
        if k == Kind::Pow
            && exponent.kind == Kind::Number
            && let Some(t) = self.ty(x)
        {
            let l = self.f.ast.literals[exponent.data as usize];
            let Val::Typed(r) = x else { return Val::Bad };
            if t.is_float() {
                return Val::Typed(self.b.power_literal(r, l.value));
            }
        }
        let mut v = [x, y];
        let Some(mut t) = self.unify(&mut v, span) else { return Val::Bad };
        if k == Kind::Div && t.is_int() {
            t = Type::F64;
        }
        let (x, y) = (self.conv(v[0], t), self.conv(v[1], t));
        let op = match k {
            Kind::Add => Op::Add,
            Kind::Sub => Op::Sub,
            Kind::Mul => Op::Mul,
            Kind::Div => Op::Div,
            Kind::FloorDiv => Op::FloorDiv,
            Kind::Mod => Op::FloorMod,
            Kind::Pow => return Val::Typed(self.b.power(x, y)),
            Kind::Shl => Op::Shl,
            Kind::Shr => Op::Sar,
            Kind::BitAnd | Kind::And => Op::And,
            _ => Op::Or,
        };
        if op.meaning(t).is_none() || (matches!(k, Kind::And | Kind::Or) && t != Type::Bool) {
            return self.err("type", span, format!("`{}` is not for {t}", k.text()));
        }
        Val::Typed(self.b.binary(op, x, y))
    }

    fn choose(&mut self, c: Val, t: Val, e: Val, span: Span) -> Val {
        let Val::Typed(c) = c else { return Val::Bad };
        if self.b.ty(c) != Type::Bool {
            return self.err("type", span, "the condition must be a bool");
        }
        let mut v = [t, e];
        let Some(ty) = self.unify(&mut v, span) else { return Val::Bad };
        let (t, e) = (self.conv(v[0], ty), self.conv(v[1], ty));
        Val::Typed(self.b.select(c, t, e))
    }

    fn call(&mut self, node: &Node, args: &mut [Val], untyped: Val) -> Val {
        let name = self.f.symbols.name(node.symbol()).to_owned();
        let span = node.span();
        if args.iter().any(|a| matches!(a, Val::Bad)) {
            return Val::Bad;
        }
        if let Some(host) = self.request.hosts.iter().find(|h| h.name() == name) {
            let params = host.params().to_vec();
            if params.len() != args.len() {
                return self.err("arity", span, "wrong number of arguments");
            }
            let mut refs = Vec::new();
            for (a, t) in args.iter().zip(params) {
                let v = self.force(*a, t);
                refs.push(self.conv(v, t));
            }
            return Val::Typed(self.b.call_host(&host.clone(), &refs));
        }
        let Some(f) = math::lookup(&name) else {
            return self.err("unknown-function", span, format!("there is no function `{name}`"));
        };
        if !f.accepts(args.len()) {
            return self.err("arity", span, format!("`{}` is called as {}", f.name, f.signature));
        }
        if f.rule == Rule::Conditional {
            return self.choose(args[0], args[1], args[2], span);
        }
        if let Rule::Conversion(t) = f.rule {
            let v = self.force(args[0], if t == Type::Bool { self.default } else { t });
            return Val::Typed(self.conv(v, t));
        }
        if args.iter().all(|a| matches!(a, Val::Untyped { .. })) && !matches!(f.rule, Rule::Mixed(_, math::Output::Fixed(_))) {
            return untyped;
        }
        let mut mixed: Vec<Val> = args.iter().enumerate().filter(|(i, _)| f.rule.mixes(*i)).map(|(_, v)| *v).collect();
        let Some(common) = self.unify(&mut mixed, span) else { return Val::Bad };
        if !f.rule.class().admits(common) {
            return self.err("type", span, format!("`{}` expects {}", f.name, f.rule.class().describe()));
        }
        let mut m = mixed.into_iter();
        let mut refs = Vec::new();
        for (i, a) in args.iter().enumerate() {
            let v = if f.rule.mixes(i) { m.next().unwrap_or(*a) } else { self.force(*a, self.default) };
            refs.push(self.conv(v, f.argument(i, common)));
        }
        Val::Typed((f.build)(self.b, &refs))
    }
}
