//! THE op table: what every operation of the intermediate representation means.
//!
//! One row each: name, text, operands, properties, cost and *meaning*. A meaning is a closure over native scalars,
//! written once per class of types (`bool`, `int`, `float`, `any`) and instantiated for each type of the class. The
//! constant folder, the interpreter, the generic code path, the rule prover and the generated documentation read
//! this table; nothing else in the tree says what `Add` does.
//!
//! To add an operator: one row here and one arm in each `isa/*/lower.rs`. This file knows no node, no register and no
//! formula.

#![forbid(unsafe_code)]

pub(crate) mod exact;
pub(crate) mod lanes;
pub(crate) mod tables;
pub(crate) mod words;

use crate::types::Type;
use lanes::{RowsMeaning, rows1, rows2, rows3};
use words::{Float as _, Int as _, Word};

/// What an operation does to up to three words. Absent operands are zero.
pub(crate) type Meaning = fn(u64, u64, u64) -> u64;

/// How the types of operands and result hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sig {
    /// No operands: a parameter or a constant.
    Leaf,
    /// All operands and the result have one type.
    Same(u8),
    /// Operands of one type, a `bool` result.
    Test(u8),
    /// A `bool`, then two operands of the result's type.
    Select,
    /// One operand of any type, a result of any type.
    Convert,
    /// Types and number of operands stand elsewhere (calls, regions).
    Special,
}

/// Property: operands may be exchanged.
pub(crate) const COMMUTES: u8 = 1;
/// Property: must run where and when it stands; never dropped, merged or moved out of its region.
pub(crate) const PINNED: u8 = 2;

/// A row of the table, but for its meaning.
pub(crate) struct OpRow {
    /// The operation's name in the text form of the IR.
    pub(crate) text: &'static str,
    /// Type rule and number of operands.
    pub(crate) sig: Sig,
    /// `COMMUTES`, `PINNED`.
    pub(crate) properties: u8,
    /// Rough latency in cycles; decides whether skipping it is worth a branch.
    pub(crate) cost: u8,
}

macro_rules! lift {
    ($t:ty, |$a:ident| $e:expr) => {
        (|a, _, _| {
            let $a = <$t as Word>::from_word(a);
            Word::to_word($e)
        }) as Meaning
    };
    ($t:ty, |$a:ident, $b:ident| $e:expr) => {
        (|a, b, _| {
            let ($a, $b) = (<$t as Word>::from_word(a), <$t as Word>::from_word(b));
            Word::to_word($e)
        }) as Meaning
    };
    ($t:ty, |$a:ident, $b:ident, $c:ident| $e:expr) => {
        (|a, b, c| {
            let ($a, $b, $c) = (<$t as Word>::from_word(a), <$t as Word>::from_word(b), <$t as Word>::from_word(c));
            Word::to_word($e)
        }) as Meaning
    };
}

/// Instantiates one class of a row in its array of meanings, which is indexed by `Type`.
macro_rules! lift_class {
    ($m:ident, bool $($f:tt)*) => { $m[Type::Bool as usize] = Some(lift!(bool, $($f)*)); };
    ($m:ident, int $($f:tt)*) => {
        $m[Type::I32 as usize] = Some(lift!(i32, $($f)*));
        $m[Type::I64 as usize] = Some(lift!(i64, $($f)*));
    };
    ($m:ident, float $($f:tt)*) => {
        $m[Type::F32 as usize] = Some(lift!(f32, $($f)*));
        $m[Type::F64 as usize] = Some(lift!(f64, $($f)*));
    };
    ($m:ident, any $($f:tt)*) => { $m = [Some(lift!(u64, $($f)*)); 5]; };
}

/// The same over rows.
macro_rules! lift_rows {
    ($t:ty, |$a:ident| $e:expr) => {
        (|out, a, _, _| rows1(out, a, |$a: $t| $e)) as RowsMeaning
    };
    ($t:ty, |$a:ident, $b:ident| $e:expr) => {
        (|out, a, b, _| rows2(out, a, b, |$a: $t, $b: $t| $e)) as RowsMeaning
    };
    ($t:ty, |$a:ident, $b:ident, $c:ident| $e:expr) => {
        (|out, a, b, c| rows3(out, a, b, c, |$a: $t, $b: $t, $c: $t| $e)) as RowsMeaning
    };
}

/// Rows over `any` as words: of one operand, of the result's width; of three, the first a `bool`.
macro_rules! lift_any_rows {
    ($t:ty, |$a:ident| $e:expr) => {
        (|out, a, _, _| {
            rows1(out, a, |a: $t| {
                let $a = a.to_word();
                <$t as Word>::from_word($e)
            })
        }) as RowsMeaning
    };
    ($t:ty, |$a:ident, $b:ident, $c:ident| $e:expr) => {
        (|out, a, b, c| {
            rows3(out, a, b, c, |a: bool, b: $t, c: $t| {
                let ($a, $b, $c) = (a.to_word(), b.to_word(), c.to_word());
                <$t as Word>::from_word($e)
            })
        }) as RowsMeaning
    };
}

/// The same for rows; rows over `any` are indexed by the result's type.
macro_rules! lift_class_rows {
    ($m:ident, bool $($f:tt)*) => { $m[Type::Bool as usize] = Some(lift_rows!(bool, $($f)*)); };
    ($m:ident, int $($f:tt)*) => {
        $m[Type::I32 as usize] = Some(lift_rows!(i32, $($f)*));
        $m[Type::I64 as usize] = Some(lift_rows!(i64, $($f)*));
    };
    ($m:ident, float $($f:tt)*) => {
        $m[Type::F32 as usize] = Some(lift_rows!(f32, $($f)*));
        $m[Type::F64 as usize] = Some(lift_rows!(f64, $($f)*));
    };
    ($m:ident, any $($f:tt)*) => {
        let wide = Some(lift_any_rows!(i64, $($f)*));
        let narrow = Some(lift_any_rows!(i32, $($f)*));
        $m = [Some(lift_any_rows!(bool, $($f)*)), narrow, wide, narrow, wide];
    };
}

/// The same for the 8-bit integers on which rules are proved exhaustively.
#[cfg(test)]
macro_rules! lift_i8 {
    ($m:ident, int $($f:tt)*) => { $m = Some(lift!(i8, $($f)*)); };
    ($m:ident, any $($f:tt)*) => { $m = Some(lift!(u64, $($f)*)); };
    ($m:ident, $other:ident $($f:tt)*) => {};
}

macro_rules! ops {
    ($($(#[$doc:meta])* $op:ident $text:literal $sig:expr, [$($property:ident)*], $cost:literal,
        { $($class:ident |$($arg:ident),+| $e:expr;)* })*) => {
        /// An operation of the intermediate representation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum Op { $($(#[$doc])* $op),* }

        impl Op {
            /// All operations, in table order.
            pub(crate) const ALL: &[Op] = &[$(Op::$op),*];
        }

        static ROWS: &[OpRow] = &[$(OpRow { text: $text, sig: $sig, properties: 0 $(| $property)*, cost: $cost }),*];

        static MEANINGS: &[[Option<Meaning>; 5]] = &[$({
            #[allow(unused_mut, unused_assignments, reason = "rows without a meaning leave the array as it is, rows over `any` replace it")]
            let mut m: [Option<Meaning>; 5] = [None; 5];
            $(lift_class!(m, $class |$($arg),+| $e);)*
            m
        }),*];

        static ROWS_MEANINGS: &[[Option<RowsMeaning>; 5]] = &[$({
            #[allow(unused_mut, unused_assignments, reason = "as above")]
            let mut m: [Option<RowsMeaning>; 5] = [None; 5];
            $(lift_class_rows!(m, $class |$($arg),+| $e);)*
            m
        }),*];

        #[cfg(test)]
        pub(crate) static MEANINGS_I8: &[Option<Meaning>] = &[$({
            #[allow(unused_mut, unused_assignments, reason = "only rows over integers have one")]
            let mut m: Option<Meaning> = None;
            $(lift_i8!(m, $class |$($arg),+| $e);)*
            m
        }),*];
    };
}

use Sig::{Convert, Leaf, Same, Select, Special, Test};

ops! {
    // op        text         signature  properties   cost  meaning, by class of the operands' type

    // Leaves.
    /// Formula input; `a` is its number.
    Param        "param"      Leaf,      [],          0,    {}
    /// Constant; `a` and `b` are the low and high halves of its bits.
    Const        "const"      Leaf,      [],          0,    {}

    // Arithmetic.
    Add          "add"        Same(2),   [COMMUTES],  3,    { int |a, b| a.wrapping_add(b); float |a, b| a + b; }
    Sub          "sub"        Same(2),   [],          3,    { int |a, b| a.wrapping_sub(b); float |a, b| a - b; }
    Mul          "mul"        Same(2),   [COMMUTES],  4,    { int |a, b| a.wrapping_mul(b); float |a, b| a * b; }
    /// IEEE division (ints divide as floats).
    Div          "div"        Same(2),   [],          13,   { float |a, b| a / b; }
    Neg          "neg"        Same(1),   [],          1,    { int |a| a.wrapping_neg(); float |a| -a; }
    Abs          "abs"        Same(1),   [],          1,    { int |a| a.wrapping_abs(); float |a| a.abs(); }
    /// Quotient toward minus infinity; by zero 0 for ints.
    FloorDiv     "floordiv"   Same(2),   [],          25,   { int |a, b| a.floor_div(b); float |a, b| a.floor_div(b); }
    /// Remainder with the divisor's sign.
    FloorMod     "floormod"   Same(2),   [],          25,   { int |a, b| a.floor_mod(b); float |a, b| a.floor_mod(b); }
    /// Quotient toward zero.
    TruncDiv     "truncdiv"   Same(2),   [],          25,   { int |a, b| a.trunc_div(b); }
    /// Remainder with the dividend's sign; exact for floats.
    TruncRem     "truncrem"   Same(2),   [],          25,   { int |a, b| a.trunc_rem(b); float |a, b| a.remainder(b); }
    /// Minimum; NaN if either is NaN, -0 below +0.
    Min          "min"        Same(2),   [COMMUTES],  6,    { int |a, b| a.min(b); float |a, b| a.minimum_(b); }
    Max          "max"        Same(2),   [COMMUTES],  6,    { int |a, b| a.max(b); float |a, b| a.maximum_(b); }
    /// Minimum that ignores one NaN.
    Fmin         "fmin"       Same(2),   [COMMUTES],  6,    { float |a, b| a.minimum_number(b); }
    Fmax         "fmax"       Same(2),   [COMMUTES],  6,    { float |a, b| a.maximum_number(b); }
    Sqrt         "sqrt"       Same(1),   [],          18,   { float |a| a.square_root(); }
    Floor        "floor"      Same(1),   [],          8,    { float |a| a.floor_(); }
    Ceil         "ceil"       Same(1),   [],          8,    { float |a| a.ceil_(); }
    Trunc        "trunc"      Same(1),   [],          8,    { float |a| a.trunc_(); }
    /// To nearest, ties to even.
    Rint         "rint"       Same(1),   [],          8,    { float |a| a.rint_(); }
    /// To nearest, ties away from zero.
    Round        "round"      Same(1),   [],          12,   { float |a| a.round_(); }
    /// Magnitude of the first, sign of the second.
    Copysign     "copysign"   Same(2),   [],          2,    { float |a, b| a.copysign(b); }
    /// `a * b + c` with one rounding.
    Fma          "fma"        Same(3),   [],          4,    { float |a, b, c| a.fma_(b, c); }
    /// Integer power, wrapping; a negative exponent gives 0 but for bases 1 and -1.
    Power        "power"      Same(2),   [],          60,   { int |a, b| a.power(b); }

    // Bits.
    And          "and"        Same(2),   [COMMUTES],  1,    { bool |a, b| a & b; int |a, b| a & b; }
    Or           "or"         Same(2),   [COMMUTES],  1,    { bool |a, b| a | b; int |a, b| a | b; }
    Xor          "xor"        Same(2),   [COMMUTES],  1,    { bool |a, b| a ^ b; int |a, b| a ^ b; }
    Not          "not"        Same(1),   [],          1,    { bool |a| !a; int |a| !a; }
    /// Shift left; counts are taken modulo the width.
    Shl          "shl"        Same(2),   [],          1,    { int |a, b| a.shift_left(b); }
    /// Arithmetic shift right.
    Sar          "sar"        Same(2),   [],          1,    { int |a, b| a.shift_right(b); }
    /// Logical shift right.
    Shr          "shr"        Same(2),   [],          1,    { int |a, b| a.shift_right_logical(b); }
    /// Entry number `a`, modulo 8, of table number `b`: see `ops::tables`.
    Lookup       "lookup"     Same(2),   [],          6,    { int |a, b| a.lookup(b); }
    /// How many bits are set.
    Popcount     "popcount"   Same(1),   [],          3,    { int |a| a.population(); }

    // Tests.
    Eq           "eq"         Test(2),   [COMMUTES],  3,    { bool |a, b| a == b; int |a, b| a == b; float |a, b| a == b; }
    Ne           "ne"         Test(2),   [COMMUTES],  3,    { bool |a, b| a != b; int |a, b| a != b; float |a, b| a != b; }
    Lt           "lt"         Test(2),   [],          3,    { int |a, b| a < b; float |a, b| a < b; }
    Le           "le"         Test(2),   [],          3,    { int |a, b| a <= b; float |a, b| a <= b; }
    /// Does the exact sum lie outside the type?
    AddOverflows "addover"    Test(2),   [COMMUTES],  2,    { int |a, b| a.overflowing_add(b).1; }
    SubOverflows "subover"    Test(2),   [],          2,    { int |a, b| a.overflowing_sub(b).1; }
    MulOverflows "mulover"    Test(2),   [COMMUTES],  5,    { int |a, b| a.overflowing_mul(b).1; }
    PowOverflows "powover"    Test(2),   [],          60,   { int |a, b| a.power_overflows(b); }

    // Choice and conversion.
    /// `b` if `a`, else `c`. Both are evaluated unless one is costly and needed nowhere else.
    Select       "select"     Select,    [],          2,    { any |a, b, c| if a & 1 != 0 { b } else { c }; }
    /// The same in every row of a step: true if it is true in any of them. Of a single row, the row's own.
    Any          "any"        Same(1),   [],          2,    { bool |a| a; }
    /// Numeric conversion to the result's type; see [`conversion`] for its meaning.
    Convert      "convert"    Convert,   [],          5,    {}
    /// The same bits as a type of the same width.
    Bitcast      "bitcast"    Convert,   [],          1,    { any |a| a; }

    // Calls, effects and regions.
    /// Call of callee `a` with `c` arguments from list position `b`.
    Call         "call"       Special,   [],          80,   {}
    /// The same for a callee that has effects or may fail.
    CallPinned   "callpinned" Special,   [PINNED],    80,   {}
    /// Stops the evaluation with error `b` if `a` is true.
    Trap         "trap"       Special,   [PINNED],    1,    {}
    /// Runs region `b` if `a` is true, else region `c`; one of them holds something pinned.
    If           "if"         Special,   [PINNED],    2,    {}
    /// The value of `b` or `c`, by which way the `If` at `a` went.
    Join         "join"       Special,   [],          0,    {}
    /// What carried value `a` (a number in the function's list) is when an iteration begins.
    Phi          "phi"        Special,   [],          0,    {}
    /// Runs loop `a` (a number in the function's list).
    Loop         "loop"       Special,   [PINNED],    20,   {}
    /// What carried value `b` is after the `Loop` at `a`.
    Exit         "exit"       Special,   [],          0,    {}
}

impl Op {
    /// The operation's row.
    #[inline]
    pub(crate) const fn row(self) -> &'static OpRow {
        &ROWS[self as usize]
    }

    /// What the operation does to operands of type `ty`, if it is defined on them.
    /// Conversions are looked up by [`conversion`].
    #[inline]
    pub(crate) const fn meaning(self, ty: Type) -> Option<Meaning> {
        MEANINGS[self as usize][ty as usize]
    }

    /// What the operation does to rows of type `ty`: the operands' type, but for choices and bits that become another type,
    /// where it is the result's.
    #[inline]
    pub(crate) fn rows_meaning(self, ty: Type) -> Option<RowsMeaning> {
        match self {
            Op::Fma if ty.is_float() => Some(lanes::fma_rows(ty, false)),
            _ => ROWS_MEANINGS[self as usize][ty as usize],
        }
    }

    /// Has the operation this property?
    #[inline]
    pub(crate) const fn is(self, property: u8) -> bool {
        self.row().properties & property != 0
    }

    /// How many operands the node's fields `a`, `b`, `c` hold (calls and regions: none, they keep lists).
    #[inline]
    pub(crate) const fn arity(self) -> usize {
        match self.row().sig {
            Leaf | Special => 0,
            Same(n) | Test(n) => n as usize,
            Select => 3,
            Convert => 1,
        }
    }
}

/// What converting does, between two types: the one place that says so, for words and for rows.
macro_rules! conversions {
    ($lift:ident, $from:expr, $to:expr) => {
        match $from {
            Type::Bool => match $to {
                Type::Bool => $lift!(bool, |a| a),
                Type::I32 => $lift!(bool, |a| i32::from(a)),
                Type::I64 => $lift!(bool, |a| i64::from(a)),
                Type::F32 => $lift!(bool, |a| f32::from(a)),
                Type::F64 => $lift!(bool, |a| f64::from(a)),
            },
            Type::I32 => conversions!($lift, i32 to $to),
            Type::I64 => conversions!($lift, i64 to $to),
            Type::F32 => conversions!($lift, f32 to $to),
            Type::F64 => conversions!($lift, f64 to $to),
        }
    };
    ($lift:ident, $t:ident to $to:expr) => {
        match $to {
            Type::Bool => $lift!($t, |a| a != (0 as $t)),
            Type::I32 => $lift!($t, |a| a as i32),
            Type::I64 => $lift!($t, |a| a as i64),
            Type::F32 => $lift!($t, |a| a as f32),
            Type::F64 => $lift!($t, |a| a as f64),
        }
    };
}

/// Numeric conversion: float to int truncates toward zero and saturates, NaN gives 0; to bool is `!= 0`.
pub(crate) fn conversion(from: Type, to: Type) -> Meaning {
    conversions!(lift, from, to)
}

/// The same over rows.
pub(crate) fn rows_conversion(from: Type, to: Type) -> RowsMeaning {
    conversions!(lift_rows, from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::fused::{AT_MOST, Width};

    #[test]
    fn rows_stand_in_order_and_texts_differ() {
        for (i, op) in Op::ALL.iter().enumerate() {
            assert_eq!(*op as usize, i);
            assert!(Op::ALL[..i].iter().all(|o| o.row().text != op.row().text), "{op:?}");
        }
    }

    #[test]
    fn int_division_is_total() {
        let div = Op::FloorDiv.meaning(Type::I32).unwrap();
        let rem = Op::FloorMod.meaning(Type::I32).unwrap();
        let w = |v: i32| v.to_word();
        assert_eq!(i32::from_word(div(w(-7), w(2), 0)), -4);
        assert_eq!(i32::from_word(rem(w(-7), w(2), 0)), 1);
        assert_eq!(i32::from_word(div(w(i32::MIN), w(-1), 0)), i32::MIN);
        assert_eq!(i32::from_word(rem(w(i32::MIN), w(-1), 0)), 0);
        assert_eq!(i32::from_word(div(w(5), 0, 0)), 0);
    }

    #[test]
    fn float_floor_division_agrees_with_modulo() {
        let div =
            |a: f64, b: f64| f64::from_word(Op::FloorDiv.meaning(Type::F64).unwrap()(a.to_bits(), b.to_bits(), 0));
        let rem =
            |a: f64, b: f64| f64::from_word(Op::FloorMod.meaning(Type::F64).unwrap()(a.to_bits(), b.to_bits(), 0));
        assert_eq!((div(7.5, -2.0), rem(7.5, -2.0)), (-4.0, -0.5));
        assert_eq!((div(-1.0, f64::INFINITY), rem(-1.0, f64::INFINITY)), (-1.0, f64::INFINITY));
        assert_eq!((div(1.0, 0.1), rem(1.0, 0.1)), (9.0, 0.09999999999999995));
    }

    #[test]
    fn conversions_saturate() {
        let to = |v: f64, t| conversion(Type::F64, t)(v.to_bits(), 0, 0);
        assert_eq!(to(1e10, Type::I32) as i32, i32::MAX);
        assert_eq!(to(f64::NAN, Type::I64), 0);
        assert_eq!(to(-1e300, Type::I64) as i64, i64::MIN);
    }

    #[test]
    fn rows_mean_what_words_mean() {
        let values = |ty: Type| -> Vec<u64> {
            let floats = [0.0, -0.0, 1.5, -2.5, 1e300, -1e-310, f64::INFINITY, f64::NAN, 7.0, 2147483648.5];
            let ints = [0i64, 1, -1, 7, -7, 33, 64, i64::MAX, i64::MIN, 0x8000_0000];
            match ty {
                Type::Bool => vec![0, 1],
                Type::I32 => ints.iter().map(|&v| (v as i32).to_word()).collect(),
                Type::I64 => ints.iter().map(|&v| v.to_word()).collect(),
                Type::F32 => floats.iter().map(|&v| (v as f32).to_word()).collect(),
                Type::F64 => floats.iter().map(|&v| v.to_word()).collect(),
            }
        };
        let size = |ty: Type| (ty.bits() as usize).div_ceil(8);
        let bytes = |ty: Type, words: &[u64]| -> Vec<u8> {
            words.iter().flat_map(|w| w.to_le_bytes()[..size(ty)].to_vec()).collect()
        };
        let same = |ty: Type, a: u64, b: u64| {
            let (a, b) = (crate::types::Value::from_bits(ty, a), crate::types::Value::from_bits(ty, b));
            a.same(b)
        };
        let compare = |what: &str, types: [Type; 3], result: Type, meaning: Meaning, rows: RowsMeaning| {
            let mut words: [Vec<u64>; 3] = [vec![], vec![], vec![]];
            for &a in &values(types[0]) {
                for &b in &values(types[1]) {
                    for &c in &values(types[2]) {
                        words[0].push(a);
                        words[1].push(b);
                        words[2].push(c);
                    }
                }
            }
            let count = words[0].len();
            let mut out = vec![0xaa; count * size(result)];
            let operands: Vec<Vec<u8>> = words.iter().zip(types).map(|(w, ty)| bytes(ty, w)).collect();
            for width in [Width::Plain, Width::Fused, Width::Wide] {
                AT_MOST.set(width);
                rows(&mut out, &operands[0], &operands[1], &operands[2]);
                for row in 0..count {
                    let mut word = [0; 8];
                    word[..size(result)].copy_from_slice(&out[row * size(result)..][..size(result)]);
                    let (a, b, c) = (words[0][row], words[1][row], words[2][row]);
                    let (want, got) = (meaning(a, b, c), u64::from_le_bytes(word));
                    assert!(
                        same(result, want, got),
                        "{what} {types:?} by {width:?}: {a:x} {b:x} {c:x}: {got:x}, not {want:x}"
                    );
                }
            }
        };
        for &op in Op::ALL {
            for ty in Type::ALL {
                let (Some(meaning), Some(rows)) = (op.meaning(ty), op.rows_meaning(ty)) else {
                    assert!(op.meaning(ty).is_none() && op.rows_meaning(ty).is_none(), "{op:?} {ty}");
                    continue;
                };
                match op.row().sig {
                    Sig::Same(_) => compare(op.row().text, [ty; 3], ty, meaning, rows),
                    Sig::Test(_) => compare(op.row().text, [ty; 3], Type::Bool, meaning, rows),
                    Sig::Select => compare("select", [Type::Bool, ty, ty], ty, meaning, rows),
                    _ => compare("bitcast", [ty; 3], ty, meaning, rows),
                }
            }
        }
        for from in Type::ALL {
            for to in Type::ALL {
                compare("convert", [from; 3], to, conversion(from, to), rows_conversion(from, to));
            }
        }
    }
}
