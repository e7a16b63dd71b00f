//! What math kernels are written over, so that each is written once.
//!
//! The one idea: a kernel is a fixed sequence of IEEE 754 operations, look-ups and operations on bits. Over [`Nodes`] it
//! makes nodes, which then are part of the formula: they share, fold and run as vector code with all the rest. Over
//! [`Fused`] or [`Plain`] it computes, for folding, interpreting and single calls; over [`Usual`] for rows without nodes. Each method means the same operation of
//! the op table in either, so that results agree bit for bit.
//!
//! To add an operation: a method here, in the same order in both implementations. A kernel branches nowhere; what is rare is a
//! routine that is called where it is needed ([`Lanes::rare`]). This file knows no function.

#![forbid(unsafe_code)]

use super::calls::Routine;
use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::ops::exact::Exact;
use crate::ops::words::{Float as _, Word as _};
use crate::ops::{Op, tables};
use crate::types::{Type, Value};
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// Operations on `f64`, `i64` and tests, of one row or of all.
#[allow(dead_code, reason = "a set that is whole")]
pub(crate) trait Lanes {
    /// An `f64`.
    type Float: Copy;
    /// An `i64`, wrapping.
    type Int: Copy;
    /// A `bool`.
    type Test: Copy;

    fn float(&self, value: f64) -> Self::Float;
    fn int(&self, value: i64) -> Self::Int;

    fn add(&self, a: Self::Float, b: Self::Float) -> Self::Float;
    fn sub(&self, a: Self::Float, b: Self::Float) -> Self::Float;
    fn mul(&self, a: Self::Float, b: Self::Float) -> Self::Float;
    fn div(&self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// `a * b + c`, rounded once.
    fn fma(&self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;
    fn neg(&self, a: Self::Float) -> Self::Float;
    fn abs(&self, a: Self::Float) -> Self::Float;
    fn sqrt(&self, a: Self::Float) -> Self::Float;
    /// Without what is behind the point.
    fn trunc(&self, a: Self::Float) -> Self::Float;
    /// The size of `a` with the sign of `b`.
    fn copysign(&self, a: Self::Float, b: Self::Float) -> Self::Float;

    /// The bits of `a`.
    fn bits(&self, a: Self::Float) -> Self::Int;
    /// The float with these bits.
    fn of_bits(&self, a: Self::Int) -> Self::Float;
    fn iadd(&self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn isub(&self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn iand(&self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn ior(&self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn ixor(&self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn shl(&self, a: Self::Int, count: u32) -> Self::Int;
    /// Zeros come in from the left.
    fn shr(&self, a: Self::Int, count: u32) -> Self::Int;
    /// Entry number `a`, modulo 8, of a table of floats.
    fn lookup(&self, a: Self::Int, table: i64) -> Self::Float;

    fn less(&self, a: Self::Float, b: Self::Float) -> Self::Test;
    fn at_most(&self, a: Self::Float, b: Self::Float) -> Self::Test;
    fn equal(&self, a: Self::Float, b: Self::Float) -> Self::Test;
    fn iless(&self, a: Self::Int, b: Self::Int) -> Self::Test;
    fn iequal(&self, a: Self::Int, b: Self::Int) -> Self::Test;
    fn and(&self, a: Self::Test, b: Self::Test) -> Self::Test;
    fn or(&self, a: Self::Test, b: Self::Test) -> Self::Test;
    fn not(&self, a: Self::Test) -> Self::Test;
    fn choose(&self, test: Self::Test, yes: Self::Float, no: Self::Float) -> Self::Float;
    fn ichoose(&self, test: Self::Test, yes: Self::Int, no: Self::Int) -> Self::Int;
    /// What `routine` gives where the test holds, which is rare, and `usual` elsewhere.
    fn rare(
        &self,
        test: Self::Test,
        routine: &'static Routine,
        args: &[Self::Float],
        usual: Self::Float,
    ) -> Self::Float;

    /// The polynomial with these coefficients, that of the highest power first, by Horner's rule.
    #[inline(always)]
    fn polynomial(&self, x: Self::Float, coefficients: &[f64]) -> Self::Float {
        let mut sum = self.float(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = self.fma(sum, x, self.float(c));
        }
        sum
    }

    /// The polynomial whose coefficients are the entry `index` of these tables, that of the highest power first.
    #[inline(always)]
    fn looked_up(&self, x: Self::Float, index: Self::Int, mut tables: Range<i64>) -> Self::Float {
        let mut sum = self.lookup(index, tables.start);
        tables.start += 1;
        for table in tables {
            sum = self.fma(sum, x, self.lookup(index, table));
        }
        sum
    }

    /// `a * b`, and what rounding has taken from it.
    #[inline(always)]
    fn exact_mul(&self, a: Self::Float, b: Self::Float) -> (Self::Float, Self::Float) {
        let high = self.mul(a, b);
        (high, self.fma(a, b, self.neg(high)))
    }

    /// `a + b`, and what rounding has taken from it, where `a` is not smaller in size or zero (Dekker).
    #[inline(always)]
    fn fast_sum(&self, a: Self::Float, b: Self::Float) -> (Self::Float, Self::Float) {
        let high = self.add(a, b);
        (high, self.sub(b, self.sub(high, a)))
    }

    /// `a + b`, and what rounding has taken from it (Knuth).
    #[inline(always)]
    fn exact_sum(&self, a: Self::Float, b: Self::Float) -> (Self::Float, Self::Float) {
        let high = self.add(a, b);
        let of_b = self.sub(high, a);
        let of_a = self.sub(high, of_b);
        (high, self.add(self.sub(a, of_a), self.sub(b, of_b)))
    }
}

/// Computes, by a processor that multiplies and adds at once.
pub(crate) struct Fused;

/// Computes, by any processor.
pub(crate) struct Plain;

/// Computes, by a processor that multiplies and adds at once, what is usual, and says whether it is what is rare that counts. Without
/// calls, many rows are computed at once.
#[derive(Default)]
pub(crate) struct Usual(Cell<bool>);

impl Usual {
    /// Was anything rare asked for?
    #[inline(always)]
    pub(crate) fn is_wrong(&self) -> bool {
        self.0.get()
    }
}

macro_rules! computes {
    ($($machine:ident |$a:ident, $b:ident, $c:ident| $fma:expr, |$l:ident, $test:ident, $slow:ident, $usual:ident| $rare:expr;)*) => {$(
        impl Lanes for $machine {
            type Float = f64;
            type Int = i64;
            type Test = bool;

            #[inline(always)]
            fn float(&self, value: f64) -> f64 { value }
            #[inline(always)]
            fn int(&self, value: i64) -> i64 { value }

            #[inline(always)]
            fn add(&self, a: f64, b: f64) -> f64 { a + b }
            #[inline(always)]
            fn sub(&self, a: f64, b: f64) -> f64 { a - b }
            #[inline(always)]
            fn mul(&self, a: f64, b: f64) -> f64 { a * b }
            #[inline(always)]
            fn div(&self, a: f64, b: f64) -> f64 { a / b }
            #[inline(always)]
            fn fma(&self, $a: f64, $b: f64, $c: f64) -> f64 { $fma }
            #[inline(always)]
            fn neg(&self, a: f64) -> f64 { -a }
            #[inline(always)]
            fn abs(&self, a: f64) -> f64 { a.abs() }
            #[inline(always)]
            fn sqrt(&self, a: f64) -> f64 { a.square_root() }
            #[inline(always)]
            fn trunc(&self, a: f64) -> f64 { Exact::trunc(a) }
            #[inline(always)]
            fn copysign(&self, a: f64, b: f64) -> f64 { a.copysign(b) }

            #[inline(always)]
            fn bits(&self, a: f64) -> i64 { a.to_bits() as i64 }
            #[inline(always)]
            fn of_bits(&self, a: i64) -> f64 { f64::from_bits(a as u64) }
            #[inline(always)]
            fn iadd(&self, a: i64, b: i64) -> i64 { a.wrapping_add(b) }
            #[inline(always)]
            fn isub(&self, a: i64, b: i64) -> i64 { a.wrapping_sub(b) }
            #[inline(always)]
            fn iand(&self, a: i64, b: i64) -> i64 { a & b }
            #[inline(always)]
            fn ior(&self, a: i64, b: i64) -> i64 { a | b }
            #[inline(always)]
            fn ixor(&self, a: i64, b: i64) -> i64 { a ^ b }
            #[inline(always)]
            fn shl(&self, a: i64, count: u32) -> i64 { a << count }
            #[inline(always)]
            fn shr(&self, a: i64, count: u32) -> i64 { (a as u64 >> count) as i64 }
            #[inline(always)]
            fn lookup(&self, a: i64, table: i64) -> f64 { f64::from_bits(tables::lookup(a, table) as u64) }

            #[inline(always)]
            fn less(&self, a: f64, b: f64) -> bool { a < b }
            #[inline(always)]
            fn at_most(&self, a: f64, b: f64) -> bool { a <= b }
            #[inline(always)]
            fn equal(&self, a: f64, b: f64) -> bool { a == b }
            #[inline(always)]
            fn iless(&self, a: i64, b: i64) -> bool { a < b }
            #[inline(always)]
            fn iequal(&self, a: i64, b: i64) -> bool { a == b }
            #[inline(always)]
            fn and(&self, a: bool, b: bool) -> bool { a & b }
            #[inline(always)]
            fn or(&self, a: bool, b: bool) -> bool { a | b }
            #[inline(always)]
            fn not(&self, a: bool) -> bool { !a }
            #[inline(always)]
            fn choose(&self, test: bool, yes: f64, no: f64) -> f64 { if test { yes } else { no } }
            #[inline(always)]
            fn ichoose(&self, test: bool, yes: i64, no: i64) -> i64 { if test { yes } else { no } }
            #[inline(always)]
            fn rare(&self, test: bool, routine: &'static Routine, args: &[f64], usual: f64) -> f64 {
                let $slow = || {
                    let word = |i: usize| args.get(i).map_or(0, |a| a.to_bits());
                    f64::from_word((routine.wide)(word(0), word(1), word(2)))
                };
                let ($l, $test, $usual) = (self, test, usual);
                $rare
            }
        }
    )*};
}
computes! {
    Fused |a, b, c| a.mul_add(b, c), |_l, test, slow, usual| if test { slow() } else { usual };
    Plain |a, b, c| a.fma_(b, c), |_l, test, slow, usual| if test { slow() } else { usual };
    Usual |a, b, c| a.mul_add(b, c), |l, test, _slow, usual| {
        l.0.set(l.0.get() | test);
        usual
    };
}

/// Makes nodes.
pub(crate) struct Nodes<'a>(RefCell<&'a mut Builder>);

impl<'a> Nodes<'a> {
    pub(crate) fn new(b: &'a mut Builder) -> Nodes<'a> {
        Nodes(RefCell::new(b))
    }

    fn op1(&self, op: Op, a: Ref) -> Ref {
        self.0.borrow_mut().raw1(op, a)
    }

    fn op2(&self, op: Op, a: Ref, b: Ref) -> Ref {
        self.0.borrow_mut().raw2(op, a, b)
    }

    fn select(&self, test: Ref, yes: Ref, no: Ref) -> Ref {
        self.0.borrow_mut().select(test, yes, no)
    }
}

impl Lanes for Nodes<'_> {
    type Float = Ref;
    type Int = Ref;
    type Test = Ref;

    fn float(&self, value: f64) -> Ref {
        self.0.borrow_mut().constant(Value::F64(value))
    }
    fn int(&self, value: i64) -> Ref {
        self.0.borrow_mut().constant(Value::I64(value))
    }

    fn add(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Add, a, b)
    }
    fn sub(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Sub, a, b)
    }
    fn mul(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Mul, a, b)
    }
    fn div(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Div, a, b)
    }
    fn fma(&self, a: Ref, b: Ref, c: Ref) -> Ref {
        self.0.borrow_mut().raw3(Op::Fma, a, b, c)
    }
    fn neg(&self, a: Ref) -> Ref {
        self.op1(Op::Neg, a)
    }
    fn abs(&self, a: Ref) -> Ref {
        self.op1(Op::Abs, a)
    }
    fn sqrt(&self, a: Ref) -> Ref {
        self.op1(Op::Sqrt, a)
    }
    fn trunc(&self, a: Ref) -> Ref {
        self.op1(Op::Trunc, a)
    }
    fn copysign(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Copysign, a, b)
    }

    fn bits(&self, a: Ref) -> Ref {
        self.0.borrow_mut().bitcast(a, Type::I64)
    }
    fn of_bits(&self, a: Ref) -> Ref {
        self.0.borrow_mut().bitcast(a, Type::F64)
    }
    fn iadd(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Add, a, b)
    }
    fn isub(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Sub, a, b)
    }
    fn iand(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::And, a, b)
    }
    fn ior(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Or, a, b)
    }
    fn ixor(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Xor, a, b)
    }
    fn shl(&self, a: Ref, count: u32) -> Ref {
        self.op2(Op::Shl, a, self.int(i64::from(count)))
    }
    fn shr(&self, a: Ref, count: u32) -> Ref {
        self.op2(Op::Shr, a, self.int(i64::from(count)))
    }
    fn lookup(&self, a: Ref, table: i64) -> Ref {
        self.of_bits(self.op2(Op::Lookup, a, self.int(table)))
    }

    fn less(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Lt, a, b)
    }
    fn at_most(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Le, a, b)
    }
    fn equal(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Eq, a, b)
    }
    fn iless(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Lt, a, b)
    }
    fn iequal(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Eq, a, b)
    }
    fn and(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::And, a, b)
    }
    fn or(&self, a: Ref, b: Ref) -> Ref {
        self.op2(Op::Or, a, b)
    }
    fn not(&self, a: Ref) -> Ref {
        self.op1(Op::Not, a)
    }
    fn choose(&self, test: Ref, yes: Ref, no: Ref) -> Ref {
        self.select(test, yes, no)
    }
    fn ichoose(&self, test: Ref, yes: Ref, no: Ref) -> Ref {
        self.select(test, yes, no)
    }
    fn rare(&self, test: Ref, routine: &'static Routine, args: &[Ref], usual: Ref) -> Ref {
        // Calls are made where any row wants one, as branches over rows are.
        let any = self.op1(Op::Any, test);
        let slow = super::build::call(*self.0.borrow_mut(), routine, args);
        let slow = self.select(any, slow, self.float(0.0));
        self.select(test, slow, usual)
    }
}
