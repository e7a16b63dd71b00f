//! THE function table: which functions formulas may call, what they accept, and how each is built.
//!
//! One row each. What IEEE 754 defines exactly is an operation; what can be said with operations is composed of them,
//! so that it folds, shares and vectorises like anything else; the rest is a call of a routine in [`calls`], written
//! in plain Rust so that its bits depend on no platform. The checker treats all functions alike: it asks a row how many
//! arguments it takes, what type they are converted to, and what type comes out, and then runs `build`.
//!
//! To add a function: its row, and its routine where it cannot be composed. The row's `ulp` is a promise that the
//! accuracy test holds it to; its doc line is what `kiln functions` prints. A name must be free in the table of
//! reserved names too. `build` may rely on the argument types that [`Function::argument`] gives and on nothing else:
//! no constants, no order of evaluation. This file knows no syntax and no machine.

#![forbid(unsafe_code)]

#[cfg(test)]
mod accuracy;
mod area;
mod blocks;
mod build;
pub(crate) mod calls;
mod erf;
mod exp;
mod gamma;
mod hyperbolic;
mod inverse;
mod lanes;
mod lgamma;
mod log;
mod narrow;
mod pow;
pub(crate) mod power;
mod remainder;
mod roots;
mod rows;
mod tens;
#[cfg(test)]
mod tests;
mod trig;

use crate::ir::Ref;
use crate::ir::build::Builder;
use crate::types::Type;
use build::*;

pub(crate) use remainder::kernel_of;
pub(crate) use rows::{RowFunction, RowKind, row_function, row_functions};

/// Most arguments of a function that takes any number of them.
pub(crate) const MANY: u8 = u8::MAX;

/// Which argument types a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Numbers, made floats: ints become `f64`.
    Float,
    /// Ints and floats.
    Number,
    /// Ints alone.
    Int,
    /// Ints or bools.
    Bits,
    /// Anything, bools too.
    Any,
}

impl Class {
    /// May an argument have type `ty`?
    pub(crate) const fn admits(self, ty: Type) -> bool {
        match self {
            Class::Float | Class::Number => !matches!(ty, Type::Bool),
            Class::Int => ty.is_int(),
            Class::Bits => !ty.is_float(),
            Class::Any => true,
        }
    }

    /// What arguments that mix to `ty` are computed in.
    pub(crate) const fn settle(self, ty: Type) -> Type {
        if matches!(self, Class::Float) && ty.is_int() { Type::F64 } else { ty }
    }

    /// The words for it in messages: "expects {}".
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Class::Float | Class::Number => "numbers",
            Class::Int => "ints",
            Class::Bits => "ints or bools",
            Class::Any => "a number or a bool",
        }
    }
}

/// The type of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The common type of the arguments.
    Same,
    /// This type, whatever the arguments have.
    Fixed(Type),
}

/// How arguments and result hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// All arguments mix to one type of the class.
    Mixed(Class, Output),
    /// The first argument is of the class and gives the result's type; the other is a number converted to `i64`
    /// (floats by truncation), such as a number of digits.
    Counted(Class),
    /// `x ^ y` by another name: arguments mix as numbers, but a literal exponent makes it
    /// `Builder::power_literal`, as for the operator.
    Power,
    /// A conversion: one argument of any type. (A literal is read at this type rather than converted to it.)
    Conversion(Type),
    /// `(condition, a, b)`: a bool, then two arms that unify; only the arm that is taken may have effects.
    Conditional,
}

impl Rule {
    /// The class of the arguments that mix.
    pub(crate) const fn class(self) -> Class {
        match self {
            Rule::Mixed(class, _) | Rule::Counted(class) => class,
            Rule::Power => Class::Number,
            Rule::Conversion(_) | Rule::Conditional => Class::Any,
        }
    }

    /// Does argument number `i` take part in the common type?
    pub(crate) const fn mixes(self, i: usize) -> bool {
        match self {
            Rule::Mixed(..) | Rule::Power | Rule::Conversion(_) => true,
            Rule::Counted(_) => i == 0,
            Rule::Conditional => i > 0,
        }
    }
}

/// A row of the table.
pub(crate) struct Function {
    /// The canonical name.
    pub(crate) name: &'static str,
    /// Other names of the same function.
    pub(crate) aliases: &'static [&'static str],
    /// Fewest arguments.
    pub(crate) least: u8,
    /// Most arguments, or [`MANY`].
    pub(crate) most: u8,
    /// Type rule.
    pub(crate) rule: Rule,
    /// The call as help texts show it: `atan2(y, x)`.
    pub(crate) signature: &'static str,
    /// Where the result is a number, in words; empty for everywhere.
    pub(crate) domain: &'static str,
    /// Largest error of the `f64` result in units in the last place; 0 where the result is exact or is defined by the
    /// operations that make it, infinite where only the absolute error is bounded (near zeros of the function). With
    /// more than the usual arguments (`log` with a base, `hypot` of many) a few such errors add up.
    pub(crate) ulp: f64,
    /// Makes the nodes. Arguments have the types that [`Function::argument`] says.
    pub(crate) build: fn(&mut Builder, &[Ref]) -> Ref,
    /// One line of documentation.
    pub(crate) doc: &'static str,
}

impl Function {
    /// May it be called with `count` arguments?
    pub(crate) fn accepts(&self, count: usize) -> bool {
        count >= usize::from(self.least) && (self.most == MANY || count <= usize::from(self.most))
    }

    /// The type that argument number `i` must be converted to, where the arguments that mix have the common type
    /// `common` (as mixed by the language's rules, before the class settles it).
    pub(crate) const fn argument(&self, i: usize, common: Type) -> Type {
        match self.rule {
            Rule::Counted(_) if i > 0 => Type::I64,
            Rule::Conditional if i == 0 => Type::Bool,
            rule => rule.class().settle(common),
        }
    }

    /// The type of the result for arguments of the common type `common`.
    pub(crate) const fn result(&self, common: Type) -> Type {
        match self.rule {
            Rule::Conversion(ty) | Rule::Mixed(_, Output::Fixed(ty)) => ty,
            rule => rule.class().settle(common),
        }
    }
}

/// A name that formulas cannot use for anything else although there is no scalar function behind it.
pub(crate) struct Reserved {
    pub(crate) name: &'static str,
    /// Why it cannot be called here, as the end of a sentence: "`derivative` is not available yet".
    pub(crate) note: &'static str,
}

/// All functions, in the order of the documentation.
pub(crate) fn all() -> &'static [Function] {
    &FUNCTIONS
}

/// All reserved names.
#[cfg(test)]
pub(crate) fn reserved() -> &'static [Reserved] {
    RESERVED
}

/// The function of this name or alias.
pub(crate) fn lookup(name: &str) -> Option<&'static Function> {
    let mut at = hash(name.as_bytes()) & MASK;
    loop {
        let (row, alias) = SLOTS[at];
        let function = FUNCTIONS.get(usize::from(row))?;
        if nth_name(function, alias as usize) == name {
            return Some(function);
        }
        at = (at + 1) & MASK;
    }
}

/// The reserved name, if it is one.
pub(crate) fn lookup_reserved(name: &str) -> Option<&'static Reserved> {
    RESERVED.iter().find(|r| r.name == name)
}

const MASK: usize = 511;
const EMPTY: u8 = u8::MAX;

/// Open-addressing table of (row, number of the name in the row), made at compile time.
static SLOTS: [(u8, u8); MASK + 1] = {
    let mut slots = [(EMPTY, 0); MASK + 1];
    let mut row = 0;
    while row < FUNCTIONS.len() {
        let mut alias = 0;
        while alias <= FUNCTIONS[row].aliases.len() {
            let mut at = hash(nth_name(&FUNCTIONS[row], alias).as_bytes()) & MASK;
            while slots[at].0 != EMPTY {
                at = (at + 1) & MASK;
            }
            slots[at] = (row as u8, alias as u8);
            alias += 1;
        }
        row += 1;
    }
    assert!(row < EMPTY as usize);
    slots
};

const fn nth_name(function: &'static Function, n: usize) -> &'static str {
    if n == 0 { function.name } else { function.aliases[n - 1] }
}

const fn hash(bytes: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    (hash ^ hash >> 15) as usize
}

const FLOAT: Rule = Rule::Mixed(Class::Float, Output::Same);
const NUMBER: Rule = Rule::Mixed(Class::Number, Output::Same);
const INT: Rule = Rule::Mixed(Class::Int, Output::Same);
const BITS: Rule = Rule::Mixed(Class::Bits, Output::Same);
const TEST: Rule = Rule::Mixed(Class::Number, Output::Fixed(Type::Bool));
const FLOAT_TEST: Rule = Rule::Mixed(Class::Float, Output::Fixed(Type::Bool));
const TO_F64: Rule = Rule::Mixed(Class::Number, Output::Fixed(Type::F64));

macro_rules! functions {
    ($($name:literal [$($alias:literal)*] $least:literal $most:tt $rule:expr, $signature:literal, $ulp:expr,
        $domain:literal, $build:expr, $doc:literal;)*) => {
        static FUNCTIONS: [Function; [$($name),*].len()] = [$(Function {
            name: $name,
            aliases: &[$($alias),*],
            least: $least,
            most: $most,
            rule: $rule,
            signature: $signature,
            domain: $domain,
            ulp: $ulp,
            build: $build,
            doc: $doc,
        }),*];
    };
}

// name [aliases] fewest and most arguments, type rule, signature, ULP bound (f64), domain, how it is built, doc
functions! {
    // Sign and size.
    "abs" ["absolute"] 1 1 NUMBER, "abs(x)", 0.0, "", abs, "absolute value";
    "sign" ["sgn"] 1 1 NUMBER, "sign(x)", 0.0, "", sign, "-1 or 1 with the sign of x; a zero and NaN stay as they are";
    "copysign" [] 2 2 FLOAT, "copysign(x, y)", 0.0, "", copysign, "x with the sign of y (a NaN counts as positive)";
    "signbit" [] 1 1 TEST, "signbit(x)", 0.0, "", signbit, "is the sign negative (-0 too)? false for NaN";
    "min" [] 1 MANY NUMBER, "min(x, y, ...)", 0.0, "", min, "smallest; NaN if any is NaN, -0 below +0";
    "max" [] 1 MANY NUMBER, "max(x, y, ...)", 0.0, "", max, "largest; NaN if any is NaN, -0 below +0";
    "fmin" [] 2 2 NUMBER, "fmin(x, y)", 0.0, "", fmin, "smaller one, ignoring a NaN";
    "fmax" [] 2 2 NUMBER, "fmax(x, y)", 0.0, "", fmax, "larger one, ignoring a NaN";
    "clamp" [] 3 3 NUMBER, "clamp(x, lo, hi)", 0.0, "", clamp, "x, at least lo and at most hi; lo > hi gives hi";

    // Rounding. Of an int, the int itself.
    "floor" [] 1 1 NUMBER, "floor(x)", 0.0, "", floor, "largest whole number not above x";
    "ceil" [] 1 1 NUMBER, "ceil(x)", 0.0, "", ceil, "smallest whole number not below x";
    "trunc" [] 1 1 NUMBER, "trunc(x)", 0.0, "", trunc, "x without its fraction";
    "rint" [] 1 1 NUMBER, "rint(x)", 0.0, "", rint, "nearest whole number, halves to even";
    "round" [] 1 2 Rule::Counted(Class::Number), "round(x, digits = 0)", 0.0, "", round,
        "nearest whole number, or decimal with so many digits as a spreadsheet rounds; halves away from zero";
    "frac" [] 1 1 NUMBER, "frac(x)", 0.0, "finite x", frac, "x - trunc(x), with the sign of x";
    "nextafter" [] 2 2 FLOAT, "nextafter(x, y)", 0.0, "", nextafter, "neighbour of x in the direction of y";

    // Division. (By an int zero: 0, or an error where ints are checked.)
    "recip" [] 1 1 FLOAT, "recip(x)", 0.5, "", recip, "1 / x";
    "div" [] 2 2 NUMBER, "div(x, y)", 0.0, "", div, "whole quotient, toward zero";
    "rem" [] 2 2 NUMBER, "rem(x, y)", 0.0, "y != 0", rem, "remainder with the sign of x, exact";
    "fmod" [] 2 2 FLOAT, "fmod(x, y)", 0.0, "finite x, y != 0", fmod, "rem(x, y) of floats";
    "mod" [] 2 2 NUMBER, "mod(x, y)", 0.5, "y != 0", modulo, "x % y: remainder with the sign of y";
    "gcd" [] 2 2 INT, "gcd(a, b)", 0.0, "", gcd, "greatest common divisor, not negative";
    "lcm" [] 2 2 INT, "lcm(a, b)", 0.0, "", lcm, "least common multiple, not negative";

    // Powers, roots, exponentials, logarithms.
    "pow" ["power"] 2 2 Rule::Power, "pow(x, y)", 0.77, "x >= 0 or whole y", pow, "x ^ y";
    "sqrt" [] 1 1 FLOAT, "sqrt(x)", 0.5, "x >= 0", sqrt, "square root";
    "cbrt" [] 1 1 FLOAT, "cbrt(x)", 0.51, "", cbrt, "cube root";
    "hypot" [] 1 MANY FLOAT, "hypot(x, y, ...)", 0.77, "", hypot, "square root of the sum of squares";
    "exp" [] 1 1 FLOAT, "exp(x)", 0.78, "", exp, "e ^ x";
    "exp2" [] 1 1 FLOAT, "exp2(x)", 0.78, "", exp2, "2 ^ x";
    "exp10" [] 1 1 FLOAT, "exp10(x)", 0.79, "", exp10, "10 ^ x";
    "expm1" [] 1 1 FLOAT, "expm1(x)", 0.57, "", expm1, "e ^ x - 1, accurate near 0";
    "log" [] 1 2 FLOAT, "log(x, base = e)", 0.58, "x >= 0", log, "logarithm, natural unless a base is given";
    "ln" [] 1 1 FLOAT, "ln(x)", 0.57, "x >= 0", ln, "natural logarithm";
    "log2" [] 1 1 FLOAT, "log2(x)", 0.62, "x >= 0", log2, "binary logarithm";
    "log10" [] 1 1 FLOAT, "log10(x)", 0.57, "x >= 0", log10, "decimal logarithm";
    "log1p" [] 1 1 FLOAT, "log1p(x)", 0.57, "x >= -1", log1p, "log(1 + x), accurate near 0";
    "ldexp" [] 2 2 Rule::Counted(Class::Float), "ldexp(x, n)", 0.5, "", ldexp, "x * 2^n with one rounding";
    "fma" [] 3 3 FLOAT, "fma(x, y, z)", 0.5, "", fma, "x * y + z with one rounding";

    // Angles.
    "sin" [] 1 1 FLOAT, "sin(x)", 0.81, "finite x", sin, "sine of x radians";
    "cos" [] 1 1 FLOAT, "cos(x)", 0.81, "finite x", cos, "cosine of x radians";
    "tan" [] 1 1 FLOAT, "tan(x)", 0.98, "finite x", tan, "tangent of x radians";
    "asin" ["arcsin"] 1 1 FLOAT, "asin(x)", 0.66, "-1 <= x <= 1", asin, "angle in radians whose sine is x";
    "acos" ["arccos"] 1 1 FLOAT, "acos(x)", 0.66, "-1 <= x <= 1", acos, "angle in radians whose cosine is x";
    "atan" ["arctan"] 1 1 FLOAT, "atan(x)", 0.51, "", atan, "angle in radians whose tangent is x";
    "atan2" ["arctan2"] 2 2 FLOAT, "atan2(y, x)", 0.6, "", atan2, "angle in radians of the point (x, y)";
    "sinpi" [] 1 1 FLOAT, "sinpi(x)", 0.8, "finite x", sinpi, "sine of x half turns: sin(pi*x)";
    "cospi" [] 1 1 FLOAT, "cospi(x)", 0.8, "finite x", cospi, "cosine of x half turns: cos(pi*x)";
    "deg2rad" [] 1 1 FLOAT, "deg2rad(x)", 1.5, "", deg2rad, "degrees to radians: x times the nearest to pi/180";
    "rad2deg" [] 1 1 FLOAT, "rad2deg(x)", 1.5, "", rad2deg, "radians to degrees: x times the nearest to 180/pi";

    // Hyperbolic functions.
    "sinh" [] 1 1 FLOAT, "sinh(x)", 0.56, "", sinh, "hyperbolic sine";
    "cosh" [] 1 1 FLOAT, "cosh(x)", 0.65, "", cosh, "hyperbolic cosine";
    "tanh" [] 1 1 FLOAT, "tanh(x)", 0.57, "", tanh, "hyperbolic tangent";
    "asinh" ["arcsinh"] 1 1 FLOAT, "asinh(x)", 0.57, "", asinh, "inverse hyperbolic sine";
    "acosh" ["arccosh"] 1 1 FLOAT, "acosh(x)", 0.57, "x >= 1", acosh, "inverse hyperbolic cosine";
    "atanh" ["arctanh"] 1 1 FLOAT, "atanh(x)", 0.57, "-1 <= x <= 1", atanh, "inverse hyperbolic tangent";

    // Special functions.
    "erf" [] 1 1 FLOAT, "erf(x)", 0.77, "", erf, "error function";
    "erfc" [] 1 1 FLOAT, "erfc(x)", 0.8, "", erfc, "1 - erf(x), accurate for large x";
    "gamma" ["tgamma"] 1 1 FLOAT, "gamma(x)", 0.8, "x not a whole number below 1", gamma, "gamma function";
    "lgamma" [] 1 1 FLOAT, "lgamma(x)", 0.8, "", lgamma, "logarithm of |gamma(x)|";
    "fact" [] 1 1 TO_F64, "fact(n)", 0.55, "n >= 0", fact, "factorial as f64, gamma(n + 1) between whole numbers, without rounding n + 1";

    // Interpolation.
    "lerp" [] 3 3 FLOAT, "lerp(a, b, t)", 0.0, "", lerp, "a + (b - a) * t";
    "step" [] 2 2 NUMBER, "step(edge, x)", 0.0, "", step, "0 if x < edge, else 1; NaN if either is";
    "smoothstep" [] 3 3 FLOAT, "smoothstep(e0, e1, x)", 0.0, "e0 != e1", smoothstep,
        "t*t*(3 - 2*t) for t = clamp((x - e0) / (e1 - e0), 0, 1)";

    // Tests.
    "isnan" [] 1 1 TEST, "isnan(x)", 0.0, "", isnan, "is x not a number?";
    "isinf" [] 1 1 TEST, "isinf(x)", 0.0, "", isinf, "is x infinite?";
    "isfinite" [] 1 1 TEST, "isfinite(x)", 0.0, "", isfinite, "is x neither infinite nor NaN?";
    "isclose" [] 2 2 FLOAT_TEST, "isclose(a, b)", 0.0, "", isclose, "|a - b| <= 1e-9 * max(|a|, |b|)";

    // Bits of ints.
    "xor" [] 2 2 BITS, "xor(a, b)", 0.0, "", xor, "exclusive or, of ints bit by bit";
    "shl" [] 2 2 INT, "shl(a, n)", 0.0, "", shl, "a shifted left, n modulo the width";
    "shr" [] 2 2 INT, "shr(a, n)", 0.0, "", shr, "a shifted right with zeros coming in, n modulo the width";
    "popcount" [] 1 1 INT, "popcount(n)", 0.0, "", popcount, "number of one bits";

    // Choice and conversion.
    "if" [] 3 3 Rule::Conditional, "if(c, a, b)", 0.0, "", choose, "a if c holds, else b";
    "where" [] 3 3 Rule::Conditional, "where(c, a, b)", 0.0, "", choose, "a if c holds, else b";
    "f64" [] 1 1 Rule::Conversion(Type::F64), "f64(x)", 0.0, "", to_f64, "x as f64";
    "f32" [] 1 1 Rule::Conversion(Type::F32), "f32(x)", 0.0, "", to_f32, "x as f32, rounded to nearest";
    "i64" [] 1 1 Rule::Conversion(Type::I64), "i64(x)", 0.0, "", to_i64, "x as i64: truncated, saturated, NaN is 0";
    "i32" [] 1 1 Rule::Conversion(Type::I32), "i32(x)", 0.0, "", to_i32, "x as i32: truncated, saturated, NaN is 0";
    "bool" [] 1 1 Rule::Conversion(Type::Bool), "bool(x)", 0.0, "", to_bool, "x != 0";
}

const NOT_YET: &str = "is not available yet";

macro_rules! reserved {
    ($($note:ident: $($name:literal)*;)*) => {
        static RESERVED: &[Reserved] = &[$($(Reserved { name: $name, note: $note }),*),*];
    };
}

// note: names
reserved! {
    NOT_YET: "derivative";
}
