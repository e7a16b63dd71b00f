//! Random formulas as text: every type, operator and function of the language, in the odd forms that people write.
//!
//! The one idea: an expression is asked for by type, and every way of making that type is equally likely until the
//! depth is used up. What is random comes from [`Choices`], so a test feeds it numbers and a fuzzer bytes. Every
//! formula that comes out is right: the compiler must take it.
//!
//! To add a construct: an arm in `float`, `int` or `truth`. This file names nothing of the compiler.

use std::fmt::Write as _;

/// Where decisions come from.
pub trait Choices {
    /// A number below `n`, which is not zero.
    fn below(&mut self, n: usize) -> usize;
}

/// Decisions read from bytes; when they end, always the first possibility.
pub struct Bytes<'a>(pub &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % n
    }
}

/// A type of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Bool,
    I32,
    I64,
    F32,
    F64,
}

use Ty::{Bool, F32, F64, I32, I64};

impl Ty {
    pub const ALL: [Ty; 5] = [Bool, I32, I64, F32, F64];

    pub fn name(self) -> &'static str {
        ["bool", "i32", "i64", "f32", "f64"][self as usize]
    }

    fn is_float(self) -> bool {
        matches!(self, F32 | F64)
    }
}

/// A formula with its inputs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The inputs, as a signature lists them: `x: f64, n: i32`.
    pub params: String,
    /// Their types.
    pub types: Vec<Ty>,
    /// The formula.
    pub text: String,
}

/// What may be generated.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Nesting of expressions.
    pub depth: u32,
    /// Functions that are computed by routines (sine and the like), which take most of the time.
    pub routines: bool,
    /// Functions, variables, loops and aggregates.
    pub statements: bool,
}

/// Makes a formula.
pub fn program(choices: &mut dyn Choices, shape: Shape) -> Program {
    let mut g = Generator {
        choices,
        names: Vec::new(),
        variables: Vec::new(),
        functions: Vec::new(),
        loops: 0,
        breakable: false,
        fresh: 0,
        shape,
        text: String::new(),
    };
    let inputs = 1 + g.below(7);
    let mut params = String::new();
    let mut types = Vec::new();
    for i in 0..inputs {
        let ty = Ty::ALL[g.below(5)];
        let name = ["x", "y", "n", "k", "rate_1", "é", "temperature"][i];
        let comma = if i > 0 { ", " } else { "" };
        write!(params, "{comma}{name}: {}", ty.name()).expect("strings take text");
        g.names.push((name.to_owned(), ty));
        types.push(ty);
    }
    let ty = Ty::ALL[g.below(5)];
    let depth = g.shape.depth;
    if shape.statements {
        g.functions(depth);
    }
    g.body(ty, depth, true);
    Program { params, types, text: g.text }
}

pub(super) struct Generator<'a> {
    choices: &'a mut dyn Choices,
    /// Inputs, lets and variables in scope.
    pub(super) names: Vec<(String, Ty)>,
    /// The variables that may be assigned to.
    pub(super) variables: Vec<(String, Ty)>,
    pub(super) functions: Vec<super::statements::Function>,
    /// How many loops are around.
    pub(super) loops: usize,
    /// May a statement leave the loop around it?
    pub(super) breakable: bool,
    pub(super) fresh: usize,
    shape: Shape,
    text: String,
}

impl Generator<'_> {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.choices.below(n)
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Some lets, then the result.
    pub(super) fn body(&mut self, ty: Ty, depth: u32, outermost: bool) {
        let (scope, variables) = (self.names.len(), self.variables.len());
        // What stands inside an expression cannot leave the loop around it, nor can a function's body.
        let breakable = std::mem::replace(&mut self.breakable, false);
        let lets = self.below(if outermost { 4 } else { 2 });
        for _ in 0..lets {
            let its = Ty::ALL[self.below(5)];
            let name = format!("t{}", self.fresh);
            self.fresh += 1;
            self.push(&format!("let {name} = "));
            self.expression(its, depth.saturating_sub(1));
            let separator = self.one(&["; ", "\n", " # why\n", ";\n\n"]);
            self.push(separator);
            self.names.push((name, its));
        }
        if self.shape.statements {
            self.statements(depth.min(3));
        }
        self.expression(ty, depth);
        self.breakable = breakable;
        self.names.truncate(scope);
        self.variables.truncate(variables);
    }

    /// An expression of this type, in parentheses where it needs them.
    pub(super) fn expression(&mut self, ty: Ty, depth: u32) {
        if depth == 0 || self.below(8) == 0 {
            return self.leaf(ty);
        }
        match self.below(12) {
            0 => return self.choice(ty, depth),
            1 => return self.conversion(ty, depth),
            2 => {
                let open = self.one(&[("(", ")"), ("((", "))"), ("(\n", "\n)"), ("( ", " )")]);
                self.push(open.0);
                self.expression(ty, depth - 1);
                return self.push(open.1);
            }
            3 if self.shape.statements && self.own_call(ty, depth - 1) => return,
            4 if self.shape.statements && self.loops < 2 => return self.aggregate(ty, depth - 1),
            _ => {}
        }
        match ty {
            Bool => self.truth(depth - 1),
            I32 | I64 => self.int(ty, depth - 1),
            F32 | F64 => self.float(ty, depth - 1),
        }
    }

    fn leaf(&mut self, ty: Ty) {
        let fitting: Vec<usize> = (0..self.names.len()).filter(|&i| self.names[i].1 == ty).collect();
        if !fitting.is_empty() && self.below(4) > 0 {
            let at = fitting[self.below(fitting.len())];
            let name = self.names[at].0.clone();
            return self.push(&name);
        }
        if fitting.is_empty() && !self.names.is_empty() && self.below(3) > 0 {
            let at = self.below(self.names.len());
            let name = self.names[at].0.clone();
            return self.push(&format!("{}({name})", ty.name()));
        }
        match ty {
            Bool => {
                let text = self.one(&["true", "false"]);
                self.push(text);
            }
            _ => {
                let text = self.number(ty);
                self.push(&format!("{text}{}", ty.name()));
            }
        }
    }

    /// A literal without a sign and suffix that fits the type and, alone, keeps it.
    fn number(&mut self, ty: Ty) -> &'static str {
        const INTS: [&str; 18] = [
            "0",
            "1",
            "2",
            "3",
            "7",
            "10",
            "31",
            "32",
            "64",
            "100",
            "1_000",
            "0xff",
            "0b101",
            "0o17",
            "65536",
            "2147483647",
            "0x7fff_ffff",
            "0XFF",
        ];
        const WIDE: [&str; 6] = [
            "2147483648",
            "4294967295",
            "9007199254740993",
            "9223372036854775807",
            "0x7fffffffffffffff",
            "1_000_000_000_000",
        ];
        const FLOATS: [&str; 20] = [
            "0.0",
            "1.0",
            "0.5",
            ".5",
            "5.",
            "1.5",
            "2.5",
            "3.0",
            "1e3",
            "1E-3",
            "1.25e+2",
            "0.1",
            "3.141592653589793",
            "1_000.5",
            "1e10",
            "16777217.0",
            "4503599627370495.5",
            "1e-30",
            "7.",
            "1e30",
        ];
        match ty {
            I64 if self.below(3) == 0 => self.one(&WIDE),
            I32 | I64 => self.one(&INTS),
            F64 if self.below(6) == 0 => {
                self.one(&["1e300", "5e-324", "1.7976931348623157e308", "2.2250738585072014e-308"])
            }
            _ => self.one(&FLOATS),
        }
    }

    /// An operand that keeps the other operand's type `ty`: of that type, a bare literal, or of a type that gives way.
    fn beside(&mut self, ty: Ty, depth: u32) {
        match self.below(5) {
            0 if ty != Bool => {
                let text = if ty.is_float() && self.below(2) == 0 { self.number(I32) } else { self.number(ty) };
                self.push(text);
            }
            1 => {
                let weaker: &[Ty] = match ty {
                    Bool => &[Bool],
                    I32 => &[I32],
                    I64 => &[I32],
                    F32 => &[I32, I64],
                    F64 => &[I32, I64, F32],
                };
                let other = self.one(weaker);
                self.expression(other, depth);
            }
            _ => self.expression(ty, depth),
        }
    }

    /// `a op b` in parentheses, one side of the type and the other beside it.
    fn binary(&mut self, operator: &str, ty: Ty, depth: u32) {
        let swap = self.below(2) == 0;
        // A suffix right before a character that is not ASCII is not read as one.
        let space = if self.below(4) == 0 && operator.is_ascii() { "" } else { " " };
        self.push("(");
        if swap {
            self.beside(ty, depth)
        } else {
            self.expression(ty, depth)
        }
        self.push(&format!("{space}{operator}{space}"));
        if swap {
            self.expression(ty, depth)
        } else {
            self.beside(ty, depth)
        }
        self.push(")");
    }

    /// A call whose arguments mix to `ty`.
    fn call(&mut self, name: &str, ty: Ty, count: usize, depth: u32) {
        self.push(&format!("{name}("));
        for i in 0..count {
            if i > 0 {
                self.push(", ");
            }
            if i == 0 { self.expression(ty, depth) } else { self.beside(ty, depth) }
        }
        self.push(")");
    }

    /// The forms of `if`.
    fn choice(&mut self, ty: Ty, depth: u32) {
        let form = self.below(4);
        self.push(["if(", "where(", "(", "(if "][form]);
        self.expression(Bool, depth - 1);
        match form {
            0 | 1 => {
                self.push(", ");
                self.expression(ty, depth - 1);
                self.push(", ");
                self.beside(ty, depth - 1);
            }
            2 => {
                self.push(" ? ");
                self.expression(ty, depth - 1);
                self.push(" : ");
                self.expression(ty, depth - 1);
            }
            _ => {
                self.push(" { ");
                self.body(ty, depth - 1, false);
                self.push(" } else { ");
                self.body(ty, depth - 1, false);
                self.push(" }");
            }
        }
        self.push(")");
    }

    fn conversion(&mut self, ty: Ty, depth: u32) {
        let from = Ty::ALL[self.below(5)];
        self.push(&format!("{}(", ty.name()));
        self.expression(from, depth - 1);
        self.push(")");
    }

    fn float(&mut self, ty: Ty, depth: u32) {
        const ONE: [&str; 16] = [
            "abs", "sign", "sqrt", "floor", "ceil", "trunc", "rint", "round", "frac", "recip", "deg2rad", "rad2deg",
            "absolute", "sgn", "abs", "sqrt",
        ];
        const TWO: [&str; 13] =
            ["min", "max", "fmin", "fmax", "copysign", "step", "mod", "rem", "div", "fmod", "nextafter", "min", "max"];
        const ROUTINES: [&str; 30] = [
            "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp",
            "exp2", "exp10", "expm1", "log", "ln", "log2", "log10", "log1p", "cbrt", "erf", "erfc", "gamma", "lgamma",
            "sinpi", "cospi", "arctan", "arcsinh",
        ];
        match self.below(14) {
            0..=4 => {
                let operator = self.one(&["+", "-", "*", "/"]);
                self.binary(operator, ty, depth);
            }
            5 => {
                let operator = self.one(&["//", "%"]);
                self.binary(operator, ty, depth);
            }
            6 => {
                let operator = self.one(&["(-", "(+", "-(", "(- -"]);
                self.push(operator);
                self.expression(ty, depth);
                self.push(")");
            }
            7 => {
                const EXPONENTS: [&str; 12] = ["2", "3", "-1", "0.5", "5", "0", "1", "-2", "17", "2.0", "-0.5", "1.5"];
                let exponent = self.one(&EXPONENTS);
                let operator = self.one(&["^", "**"]);
                self.push("(");
                self.expression(ty, depth);
                self.push(&format!("{operator}{exponent})"));
            }
            8 => {
                let name = self.one(&ONE);
                self.call(name, ty, 1, depth);
            }
            9 => {
                let name = self.one(&TWO);
                self.call(name, ty, 2, depth);
            }
            10 => {
                let name = self.one(&["clamp", "fma", "lerp", "smoothstep", "min", "max", "hypot"]);
                self.call(name, ty, 3, depth);
            }
            11 if ty == F64 => {
                let ints = self.one(&[I32, I64]);
                self.binary("/", ints, depth);
            }
            12 if self.shape.routines => {
                if self.below(3) == 0 {
                    let name = self.one(&["pow", "atan2", "hypot", "log", "arctan2", "power"]);
                    self.call(name, ty, 2, depth);
                } else {
                    let name = self.one(&ROUTINES);
                    self.call(name, ty, 1, depth);
                }
            }
            13 => {
                let name = self.one(&["ldexp", "round"]);
                self.push(&format!("{name}("));
                self.expression(ty, depth);
                self.push(", ");
                let ints = self.one(&[I32, I64]);
                self.expression(ints, depth);
                self.push(")");
            }
            _ => self.binary("*", ty, depth),
        }
    }

    fn int(&mut self, ty: Ty, depth: u32) {
        match self.below(12) {
            0..=3 => {
                let operator = self.one(&["+", "-", "*"]);
                self.binary(operator, ty, depth);
            }
            4 => {
                let operator = self.one(&["//", "%"]);
                self.binary(operator, ty, depth);
            }
            5 => {
                let operator = self.one(&["&", "|", "<<", ">>"]);
                self.binary(operator, ty, depth);
            }
            6 => {
                let operator = self.one(&["(-", "(~", "-(", "~("]);
                self.push(operator);
                self.expression(ty, depth);
                self.push(")");
            }
            7 => {
                let name = self.one(&["div", "rem", "mod", "gcd", "lcm", "xor", "shl", "shr", "min", "max"]);
                self.call(name, ty, 2, depth);
            }
            8 => {
                let name = self.one(&["abs", "sign", "popcount", "floor", "round", "trunc"]);
                self.call(name, ty, 1, depth);
            }
            9 => {
                let name = self.one(&["clamp", "min", "max"]);
                self.call(name, ty, 3, depth);
            }
            10 => {
                self.push("(");
                self.expression(ty, depth);
                let exponent = self.one(&["^2", "^3", "**5", "^0", "^1", "^31", "^64"]);
                self.push(exponent);
                self.push(")");
            }
            _ => {
                // Division by a constant.
                const DIVISORS: [&str; 12] =
                    ["1", "2", "3", "-1", "-2", "7", "-7", "10", "641", "-1000", "1024", "2147483647"];
                let divisor = self.one(&DIVISORS);
                let operator = self.one(&["//", "%"]);
                self.push("(");
                self.expression(ty, depth);
                self.push(&format!(" {operator} {divisor})"));
            }
        }
    }

    fn truth(&mut self, depth: u32) {
        const COMPARISONS: [&str; 9] = ["<", "<=", ">", ">=", "==", "!=", "≤", "≥", "≠"];
        match self.below(9) {
            0..=2 => {
                let ty = self.one(&[I32, I64, F32, F64]);
                let operator = self.one(&COMPARISONS);
                self.binary(operator, ty, depth);
            }
            3 => {
                let ty = self.one(&[I32, I64, F32, F64]);
                let (first, second) = (self.one(&COMPARISONS), self.one(&COMPARISONS));
                self.push("(");
                self.expression(ty, depth);
                self.push(&format!(" {first} "));
                self.expression(ty, depth);
                self.push(&format!(" {second} "));
                self.beside(ty, depth);
                self.push(")");
            }
            4 => {
                let operator = self.one(&["and", "or", "&&", "||", "==", "!="]);
                self.push("(");
                self.expression(Bool, depth);
                self.push(&format!(" {operator} "));
                self.expression(Bool, depth);
                self.push(")");
            }
            5 => {
                let operator = self.one(&["(not ", "(!", "!("]);
                self.push(operator);
                self.expression(Bool, depth);
                self.push(")");
            }
            6 => {
                let name = self.one(&["isnan", "isinf", "isfinite", "signbit"]);
                let ty = self.one(&[F32, F64]);
                self.call(name, ty, 1, depth);
            }
            7 => {
                let operator = self.one(&["&", "|"]);
                self.binary(operator, Bool, depth);
            }
            _ => {
                if self.below(2) == 0 {
                    self.call("xor", Bool, 2, depth);
                } else {
                    self.call("isclose", F64, 2, depth);
                }
            }
        }
    }
}
