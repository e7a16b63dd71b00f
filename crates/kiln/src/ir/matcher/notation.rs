//! The notation of rules, read at compile time.
//!
//! Owns what stands in the text column of the rule table: `"(sub x (neg y)) => (add x y)"`. `p q x y z` are any value,
//! `c d` constants; literals are those of [`LITERALS`]; `x:i32` gives a value a type, `(i64 x)` converts,
//! `(bitcast:i32 x)` reinterprets. Everything without a type has the rule's own, which is each type of its class in
//! turn. Between the sides may stand guards, `& (plus_sign c)`: they and the constants of the right side are computed
//! by [`FUNCTIONS`]; a rule does not fit where one of these has no value. Operands of commutative operations are tried
//! in both orders; constants are written right, where the builder puts them.
//!
//! Whoever adds to the notation extends `Parser`. A text that does not follow it does not compile: unknown words,
//! wrong numbers of operands, variables from nowhere, types that do not fit. Knows no rule and no node.

use crate::ops::{COMMUTES, Op, Sig};
use crate::types::Type;

/// The rule may be used only if the options say `fast`.
pub(crate) const FAST: u8 = 1;
/// The rule makes an `fma` and may be used only if the target has the instruction, too.
pub(crate) const CONTRACT: u8 = 2;

/// Classes of types, as sets: bit `1 << Type`.
pub(crate) const BOOL: u8 = 1 << Type::Bool as u8;
pub(crate) const I32: u8 = 1 << Type::I32 as u8;
pub(crate) const I64: u8 = 1 << Type::I64 as u8;
pub(crate) const F32: u8 = 1 << Type::F32 as u8;
pub(crate) const F64: u8 = 1 << Type::F64 as u8;
pub(crate) const INT: u8 = I32 | I64;
pub(crate) const FLOAT: u8 = F32 | F64;
pub(crate) const NUM: u8 = INT | FLOAT;
pub(crate) const ANY: u8 = BOOL | NUM;

pub(super) const MAX_TERMS: usize = 24;
pub(crate) const MAX_FUNCTIONS: usize = 4;
/// Values and constants by number: the first five may be anything, the others are constants.
pub(crate) const VARIABLES: [&str; 7] = ["p", "q", "x", "y", "z", "c", "d"];
const FIRST_CONSTANT: usize = 5;

/// A literal of the notation: its bits in each type that has it, by `Type`.
pub(crate) struct Literal {
    pub(crate) text: &'static str,
    bits: [Option<u64>; 5],
}

const fn number(text: &'static str, v: i8) -> Literal {
    // For bool, 0 is false, 1 is true, and -1 is true because all its bits are set.
    let truth = if v == 0 || v == 1 || v == -1 { Some((v != 0) as u64) } else { None };
    let (float, double) = ((v as f32).to_bits() as u64, (v as f64).to_bits());
    Literal { text, bits: [truth, Some(v as i32 as u32 as u64), Some(v as i64 as u64), Some(float), Some(double)] }
}

const fn floating(text: &'static str, v: f32) -> Literal {
    Literal { text, bits: [None, None, None, Some(v.to_bits() as u64), Some((v as f64).to_bits())] }
}

/// All literals. `nan` fits every NaN.
pub(crate) const LITERALS: [Literal; 14] = [
    number("0", 0),
    number("1", 1),
    number("-1", -1),
    number("2", 2),
    number("3", 3),
    number("4", 4),
    floating("-0", -0.0),
    floating("inf", f32::INFINITY),
    floating("-inf", f32::NEG_INFINITY),
    floating("nan", f32::NAN),
    Literal { text: "MIN", bits: [None, Some(1 << 31), Some(1 << 63), None, None] },
    Literal { text: "MAX", bits: [None, Some((1 << 31) - 1), Some((1 << 63) - 1), None, None] },
    Literal { text: "false", bits: [Some(0), None, None, None, None] },
    Literal { text: "true", bits: [Some(1), None, None, None, None] },
];

impl Literal {
    /// Its bits in `ty`. Rules whose class has a type without them do not compile.
    pub(crate) fn bits(&self, ty: Type) -> u64 {
        self.bits[ty as usize].unwrap_or(0)
    }

    pub(super) fn fits(&self, ty: Type, bits: u64) -> bool {
        let wanted = self.bits(ty);
        let magnitude = |b: u64| if ty == Type::F32 { b << 33 } else { b << 1 };
        let infinite = if ty == Type::F32 { 0xff << 56 } else { 0x7ff << 53 };
        wanted == bits || (ty.is_float() && magnitude(wanted) > infinite && magnitude(bits) > infinite)
    }
}

/// What a function of constants computes with: integers of `bits` bits, or floats of that size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Width {
    pub(crate) bits: u32,
    #[allow(dead_code, reason = "part of the row, shown when debugging")]
    pub(crate) float: bool,
}

impl Width {
    pub(crate) fn of(ty: Type) -> Width {
        Width { bits: ty.bits(), float: ty.is_float() }
    }

    fn signed(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        (bits << unused) as i64 >> unused
    }

    fn word(self, v: i64) -> u64 {
        v as u64 & (u64::MAX >> (64 - self.bits))
    }

    /// The count that a shift by `bits` uses.
    fn count(self, bits: u64) -> u32 {
        bits as u32 & (self.bits - 1)
    }

    /// The exponent of a positive power of two above 1.
    fn log2(self, bits: u64) -> Option<u32> {
        let v = self.signed(bits);
        (v > 1 && v & (v - 1) == 0).then(|| v.trailing_zeros())
    }

    fn float(self, bits: u64) -> f64 {
        if self.bits == 32 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
    }

    /// `v` rounded to this width, if that is a normal number.
    fn normal(self, v: f64) -> Option<u64> {
        if self.bits == 32 {
            (v as f32).is_normal().then(|| u64::from((v as f32).to_bits()))
        } else {
            v.is_normal().then(|| v.to_bits())
        }
    }

    fn negative(self, bits: u64) -> bool {
        bits >> (self.bits - 1) & 1 != 0
    }
}

/// A function of constants, for guards and right sides. Without a value, the rule does not fit.
pub(crate) struct Function {
    text: &'static str,
    arity: u8,
    pub(crate) apply: fn(Width, u64, u64) -> Option<u64>,
}

const fn unary(text: &'static str, apply: fn(Width, u64, u64) -> Option<u64>) -> Function {
    Function { text, arity: 1, apply }
}

const fn binary(text: &'static str, apply: fn(Width, u64, u64) -> Option<u64>) -> Function {
    Function { text, arity: 2, apply }
}

/// All functions of constants.
pub(crate) const FUNCTIONS: [Function; 16] = [
    // The exponent of a positive power of two above 1; one less than it; the bits above the exponent.
    unary("log2", |w, c, _| w.log2(c).map(u64::from)),
    unary("low_mask", |w, c, _| w.log2(c).map(|_| c - 1)),
    unary("bits_above_log2", |w, c, _| w.log2(c).map(|k| u64::from(w.bits - k))),
    unary("sign_position", |w, _, _| Some(u64::from(w.bits - 1))),
    // Shift counts: one that is not yet reduced; the sum of two if it is less than the width; 0 if it is not; the sum
    // as an arithmetic shift sees it.
    unary("reduced_count", |w, c, _| (u64::from(w.count(c)) != c).then(|| u64::from(w.count(c)))),
    binary("count_sum", |w, c, d| Some(w.count(c) + w.count(d)).filter(|&s| s < w.bits).map(u64::from)),
    binary("count_sum_exceeds", |w, c, d| (w.count(c) + w.count(d) >= w.bits).then_some(0)),
    binary("count_sum_clamped", |w, c, d| Some(u64::from((w.count(c) + w.count(d)).min(w.bits - 1)))),
    // Comparisons of integers.
    binary("at_most", |w, c, d| (w.signed(c) <= w.signed(d)).then_some(c)),
    unary("successor", |w, c, _| Some(w.word(w.signed(c).wrapping_add(1))).filter(|&s| w.signed(s) > w.signed(c))),
    // Floats: signs; the reciprocal where it is exact; where it is a normal number; sums and products likewise.
    unary("plus_sign", |w, c, _| (!w.float(c).is_nan() && !w.negative(c)).then_some(c)),
    unary("minus_sign", |w, c, _| (!w.float(c).is_nan() && w.negative(c)).then_some(c)),
    unary("exact_reciprocal", |w, c, _| {
        let v = w.float(c);
        let power_of_two = v.is_normal() && v.to_bits() << 12 == 0;
        w.normal(v).filter(|_| power_of_two).and_then(|_| w.normal(1.0 / v))
    }),
    unary("reciprocal", |w, c, _| {
        w.normal(w.float(c))?;
        let rounded = if w.bits == 32 { f64::from(1.0 / w.float(c) as f32) } else { 1.0 / w.float(c) };
        w.normal(rounded)
    }),
    binary("normal_sum", |w, c, d| w.normal(w.float(c) + w.float(d))),
    binary("normal_product", |w, c, d| w.normal(w.float(c) * w.float(d))),
];

/// What a term is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Any value; a number of [`VARIABLES`].
    Value(u8),
    /// A constant; a number of [`VARIABLES`].
    Constant(u8),
    /// A number of [`LITERALS`].
    Literal(u8),
    Op(Op),
    /// A number of [`FUNCTIONS`].
    Function(u8),
}

/// The type of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TermType {
    /// The rule's own: each of its class in turn.
    Own,
    Is(Type),
}

impl TermType {
    pub(crate) const fn at(self, own: Type) -> Type {
        match self {
            TermType::Own => own,
            TermType::Is(ty) => ty,
        }
    }

    pub(super) const fn set(self, class: u8) -> u8 {
        match self {
            TermType::Own => class,
            TermType::Is(ty) => 1 << ty as u8,
        }
    }

    pub(super) const fn same(self, other: TermType) -> bool {
        match (self, other) {
            (TermType::Own, TermType::Own) => true,
            (TermType::Is(a), TermType::Is(b)) => a as u8 == b as u8,
            _ => false,
        }
    }
}

/// A node of either side's tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) head: Head,
    pub(crate) ty: TermType,
    pub(crate) args: [u8; 3],
}

impl Term {
    pub(crate) const fn arity(&self) -> usize {
        match self.head {
            Head::Op(op) => op.arity(),
            Head::Function(f) => FUNCTIONS[f as usize].arity as usize,
            _ => 0,
        }
    }
}

/// One row of the rule table, read.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    #[cfg_attr(not(test), allow(dead_code, reason = "shown by the proofs"))]
    pub(crate) text: &'static str,
    /// The types on which it is valid.
    pub(crate) class: u8,
    /// `FAST`, `CONTRACT`.
    pub(crate) needs: u8,
    /// Terms of both sides and of the guards; operands stand before their users.
    pub(crate) terms: [Term; MAX_TERMS],
    pub(crate) count: u8,
    pub(crate) left: u8,
    pub(crate) right: u8,
}

impl Rule {
    pub(super) const fn root(&self) -> Op {
        match self.terms[self.left as usize].head {
            Head::Op(op) => op,
            _ => panic!("the left side of a rule is an operation"),
        }
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn type_named(name: &[u8]) -> Option<Type> {
    let mut i = 0;
    while i < Type::ALL.len() {
        if equal(Type::ALL[i].name().as_bytes(), name) {
            return Some(Type::ALL[i]);
        }
        i += 1;
    }
    None
}

struct Parser {
    text: &'static [u8],
    at: usize,
    rule: Rule,
    /// Types found so far; `None` where a term has the rule's own, or its type is not yet known.
    types: [Option<Type>; MAX_TERMS],
    /// Variables on the left side.
    bound: u8,
    on_left: bool,
    functions: usize,
}

/// Reads a rule. Anything wrong with it is a compile error.
pub(crate) const fn parse(name: &'static str, class: u8, needs: u8, text: &'static str) -> Rule {
    let empty = Term { head: Head::Value(0), ty: TermType::Own, args: [0; 3] };
    let rule = Rule { name, text, class, needs, terms: [empty; MAX_TERMS], count: 0, left: 0, right: 0 };
    let types = [None; MAX_TERMS];
    let mut p = Parser { text: text.as_bytes(), at: 0, rule, types, bound: 0, on_left: true, functions: 0 };
    p.rule.left = p.term();
    p.rule.root();
    p.on_left = false;
    p.blanks();
    while p.text[p.at] == b'&' {
        p.at += 1;
        let guard = p.term();
        assert!(matches!(p.rule.terms[guard as usize].head, Head::Function(_)), "a guard is a function of constants");
        p.blanks();
    }
    assert!(p.text[p.at] == b'=' && p.text[p.at + 1] == b'>', "a rule has a right side");
    p.at += 2;
    p.rule.right = p.term();
    p.blanks();
    assert!(p.at == p.text.len(), "something stands after the rule");
    p.infer();
    p.check_meanings();
    p.rule
}

impl Parser {
    const fn blanks(&mut self) {
        while self.at < self.text.len() && self.text[self.at] == b' ' {
            self.at += 1;
        }
    }

    const fn word(&mut self) -> &'static [u8] {
        self.blanks();
        let start = self.at;
        while self.at < self.text.len() && !matches!(self.text[self.at], b' ' | b'(' | b')' | b':') {
            self.at += 1;
        }
        assert!(self.at > start, "a word is missing");
        self.text.split_at(start).1.split_at(self.at - start).0
    }

    const fn annotation(&mut self) -> Option<Type> {
        if self.at < self.text.len() && self.text[self.at] == b':' {
            self.at += 1;
            let found = type_named(self.word());
            assert!(found.is_some(), "unknown type");
            found
        } else {
            None
        }
    }

    const fn term(&mut self) -> u8 {
        self.blanks();
        if self.text[self.at] == b'(' {
            self.at += 1;
            let (head, ty) = self.head();
            let mut args = [0; 3];
            let mut n = 0;
            self.blanks();
            while self.text[self.at] != b')' {
                assert!(n < 3, "too many operands");
                args[n] = self.term();
                n += 1;
                self.blanks();
            }
            self.at += 1;
            let term = Term { head, ty: TermType::Own, args };
            assert!(n == term.arity(), "wrong number of operands");
            self.check_operands(&term);
            self.push(term, ty)
        } else {
            let head = self.leaf();
            let ty = self.annotation();
            self.push(Term { head, ty: TermType::Own, args: [0; 3] }, ty)
        }
    }

    const fn push(&mut self, term: Term, ty: Option<Type>) -> u8 {
        let at = self.rule.count;
        assert!((at as usize) < MAX_TERMS, "the rule is too long");
        self.rule.terms[at as usize] = term;
        self.types[at as usize] = ty;
        self.rule.count += 1;
        at
    }

    const fn head(&mut self) -> (Head, Option<Type>) {
        let word = self.word();
        if let Some(ty) = type_named(word) {
            return (Head::Op(Op::Convert), Some(ty));
        }
        let ty = self.annotation();
        let mut i = 0;
        while i < Op::ALL.len() {
            let row = Op::ALL[i].row();
            if equal(row.text.as_bytes(), word) {
                assert!(!matches!(row.sig, Sig::Leaf | Sig::Special), "no rules on this operation");
                assert!(matches!(Op::ALL[i], Op::Bitcast) == ty.is_some(), "bitcast, and only it, names its type");
                return (Head::Op(Op::ALL[i]), ty);
            }
            i += 1;
        }
        let mut i = 0;
        while i < FUNCTIONS.len() {
            if equal(FUNCTIONS[i].text.as_bytes(), word) {
                assert!(!self.on_left, "functions of constants stand in guards and on the right");
                self.functions += 1;
                assert!(self.functions <= MAX_FUNCTIONS, "too many functions of constants");
                return (Head::Function(i as u8), ty);
            }
            i += 1;
        }
        panic!("unknown operation")
    }

    const fn leaf(&mut self) -> Head {
        let word = self.word();
        let mut i = 0;
        while i < VARIABLES.len() {
            if equal(VARIABLES[i].as_bytes(), word) {
                if self.on_left {
                    self.bound |= 1 << i;
                }
                assert!(self.bound & (1 << i) != 0, "a variable of the right side does not stand on the left");
                return if i < FIRST_CONSTANT { Head::Value(i as u8) } else { Head::Constant(i as u8) };
            }
            i += 1;
        }
        let mut i = 0;
        while i < LITERALS.len() {
            if equal(LITERALS[i].text.as_bytes(), word) {
                return Head::Literal(i as u8);
            }
            i += 1;
        }
        panic!("unknown variable or literal")
    }

    const fn check_operands(&self, term: &Term) {
        match term.head {
            Head::Op(op) if self.on_left && op.is(COMMUTES) => {
                let left = is_constant(&self.rule, term.args[0]);
                assert!(!left, "constants stand right in commutative operations, where the builder puts them");
            }
            Head::Function(_) => {
                let mut i = 0;
                while i < term.arity() {
                    let head = self.rule.terms[term.args[i] as usize].head;
                    assert!(matches!(head, Head::Constant(_) | Head::Literal(_)), "functions take constants");
                    i += 1;
                }
            }
            _ => {}
        }
    }

    const fn unify(&mut self, a: u8, b: u8) {
        match (self.types[a as usize], self.types[b as usize]) {
            (Some(known), None) => self.types[b as usize] = Some(known),
            (None, Some(known)) => self.types[a as usize] = Some(known),
            (Some(x), Some(y)) => assert!(x as u8 == y as u8, "the types of the rule do not fit"),
            (None, None) => {}
        }
    }

    const fn boolean(&mut self, a: u8) {
        match self.types[a as usize] {
            None => self.types[a as usize] = Some(Type::Bool),
            Some(ty) => assert!(matches!(ty, Type::Bool), "the types of the rule do not fit"),
        }
    }

    /// Finds the types: a few rounds over all terms, each handing on what it knows. What stays open is the rule's own.
    const fn infer(&mut self) {
        let mut round = 0;
        while round < 6 {
            self.unify(self.rule.left, self.rule.right);
            let mut i = 0;
            while i < self.rule.count {
                self.infer_term(i);
                i += 1;
            }
            round += 1;
        }
        let mut i = 0;
        while i < self.rule.count as usize {
            if let Some(ty) = self.types[i] {
                self.rule.terms[i].ty = TermType::Is(ty);
            }
            if let Head::Literal(l) = self.rule.terms[i].head {
                let set = self.rule.terms[i].ty.set(self.rule.class);
                let mut t = 0;
                while t < 5 {
                    let missing = LITERALS[l as usize].bits[t].is_none();
                    assert!(set & (1 << t) == 0 || !missing, "a type of the class does not have this literal");
                    t += 1;
                }
            }
            i += 1;
        }
    }

    /// The operations are defined on the types on which the rule claims to be valid.
    const fn check_meanings(&self) {
        let mut i = 0;
        while i < self.rule.count as usize {
            let term = self.rule.terms[i];
            if let Head::Op(op) = term.head
                && let Sig::Same(_) | Sig::Test(_) = op.row().sig
            {
                let set = self.rule.terms[term.args[0] as usize].ty.set(self.rule.class);
                let mut t = 0;
                while t < 5 {
                    let defined = op.meaning(Type::ALL[t]).is_some();
                    assert!(set & (1 << t) == 0 || defined, "an operation is not defined on a type of the class");
                    t += 1;
                }
            }
            i += 1;
        }
    }

    const fn infer_term(&mut self, i: u8) {
        let term = self.rule.terms[i as usize];
        let [a, b, c] = term.args;
        match term.head {
            Head::Op(op) => match op.row().sig {
                Sig::Same(n) => {
                    self.unify(i, a);
                    if n > 1 {
                        self.unify(i, b);
                    }
                    if n > 2 {
                        self.unify(i, c);
                    }
                }
                Sig::Test(_) => {
                    self.boolean(i);
                    self.unify(a, b);
                }
                Sig::Select => {
                    self.boolean(a);
                    self.unify(i, b);
                    self.unify(i, c);
                }
                _ => {}
            },
            Head::Function(_) => {
                self.unify(i, a);
                if term.arity() > 1 {
                    self.unify(i, b);
                }
            }
            Head::Value(v) | Head::Constant(v) => {
                let mut j = 0;
                while j < i {
                    if let Head::Value(w) | Head::Constant(w) = self.rule.terms[j as usize].head
                        && v == w
                    {
                        self.unify(i, j);
                    }
                    j += 1;
                }
            }
            Head::Literal(_) => {}
        }
    }
}

pub(super) const fn is_constant(rule: &Rule, term: u8) -> bool {
    matches!(rule.terms[term as usize].head, Head::Constant(_) | Head::Literal(_))
}

/// Evaluates all functions of constants of `rule`.
pub(crate) fn evaluate_functions(
    rule: &Rule,
    own: Type,
    constant: impl Fn(u8) -> u64,
    width: impl Fn(Type) -> Width,
    values: &mut [u64; MAX_FUNCTIONS],
) -> Option<()> {
    let mut done = 0;
    for term in &rule.terms[..rule.count as usize] {
        if let Head::Function(f) = term.head {
            let argument = |place: usize| {
                let arg = &rule.terms[term.args[place] as usize];
                match arg.head {
                    Head::Literal(l) => LITERALS[l as usize].bits(arg.ty.at(own)),
                    Head::Constant(v) => constant(v),
                    _ => 0,
                }
            };
            let second = if term.arity() > 1 { argument(1) } else { 0 };
            let value = (FUNCTIONS[f as usize].apply)(width(term.ty.at(own)), argument(0), second)?;
            values[done] = value;
            done += 1;
        }
    }
    Some(())
}

/// Which of the rule's functions, in order, stands at `term`.
pub(crate) fn function_number(rule: &Rule, term: u8) -> usize {
    rule.terms[..term as usize].iter().filter(|t| matches!(t.head, Head::Function(_))).count()
}
