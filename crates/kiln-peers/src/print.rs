//! Trees as text in the syntax of each engine.
//!
//! Owns what the engines' languages look like. The one idea: a syntax is a row of `SYNTAXES`, how operators and functions are
//! spelled, and one printer sets brackets, as few as all languages agree on, since reading them is part of what is measured. A
//! syntax without a part of a formula gives `None`, and the engine is left out for it.
//!
//! To add an engine that reads text: its row.

use crate::formula::{Binary, Formula, Node, Tree, Unary};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How a language looks.
#[derive(Clone, Copy)]
pub(crate) struct Syntax {
    pub(crate) name: &'static str,
    number: fn(f64) -> String,
    power: Power,
    and_or: Option<(&'static str, &'static str)>,
    /// What a function of one number is called, with what follows its argument.
    unary: fn(Unary) -> Option<(&'static str, &'static str)>,
    /// What minimum and maximum are called.
    min_max: Option<(&'static str, &'static str)>,
    /// The pieces before, between and after condition and values.
    choice: Option<[&'static str; 4]>,
    /// The pieces before, between and after a name and its value, or definitions are written out.
    lets: Option<[&'static str; 3]>,
    /// A comparison is no number here.
    conditions: Conditions,
    /// `*` and `/`, `+` and `-` do not bind alike.
    odd_levels: bool,
}

/// How a power looks.
#[derive(Clone, Copy, PartialEq)]
enum Power {
    /// An operator, also to literal powers.
    Operator(&'static str),
    /// A function, also to literal powers.
    Function(&'static str),
    /// A function; literal powers are calls of helpers `p2`, `p3`, ..., which stand in front.
    Helpers(&'static str),
}

/// What a condition as a result is.
#[derive(Clone, Copy, PartialEq)]
enum Conditions {
    Numbers,
    /// It is converted by these pieces.
    Converted(&'static str, &'static str),
}

/// The name of a function where it is that of the language.
fn plain(op: Unary) -> Option<(&'static str, &'static str)> {
    Some((op.name(), ""))
}

fn shortest(value: f64) -> String {
    format!("{value:?}")
}

/// Digits without an exponent, and with a point: what every reader of numbers takes as a float.
fn digits(value: f64) -> String {
    let text = format!("{value}");
    if text.contains('.') { text } else { text + ".0" }
}

fn natural(value: f64) -> String {
    format!("{value}")
}

const OPERATOR: Syntax = Syntax {
    name: "plain",
    number: natural,
    power: Power::Operator("^"),
    and_or: None,
    unary: plain,
    min_max: Some(("min", "max")),
    choice: None,
    lets: None,
    conditions: Conditions::Numbers,
    odd_levels: false,
};

/// Kiln's own: what the tree was parsed from, up to brackets.
pub(crate) const KILN: Syntax = Syntax {
    name: "kiln",
    and_or: Some((" and ", " or ")),
    choice: Some(["if(", ", ", ", ", ")"]),
    lets: Some(["let ", " = ", "; "]),
    conditions: Conditions::Converted("f64(", ")"),
    ..OPERATOR
};

pub(crate) const C: Syntax = Syntax {
    name: "c",
    number: shortest,
    power: Power::Helpers("pow"),
    and_or: Some((" && ", " || ")),
    unary: |op| Some((if op == Unary::Abs { "fabs" } else { op.name() }, "")),
    min_max: Some(("smaller", "larger")),
    choice: Some(["(", " ? ", " : ", ")"]),
    lets: Some(["const double ", " = ", "; "]),
    conditions: Conditions::Converted("(double)(", ")"),
    ..OPERATOR
};

pub(crate) const RUST: Syntax = Syntax {
    name: "rust",
    number: |value| format!("{value:?}_f64"),
    power: Power::Helpers("f64::powf"),
    and_or: Some((" && ", " || ")),
    unary: |op| {
        Some((
            match op {
                Unary::Neg => "",
                Unary::Abs => "f64::abs",
                Unary::Sqrt => "f64::sqrt",
                Unary::Exp => "f64::exp",
                Unary::Log => "f64::ln",
                Unary::Sin => "f64::sin",
                Unary::Cos => "f64::cos",
                Unary::Tan => "f64::tan",
                Unary::Asin => "f64::asin",
                Unary::Acos => "f64::acos",
                Unary::Atan => "f64::atan",
            },
            "",
        ))
    },
    min_max: Some(("f64::min", "f64::max")),
    choice: Some(["(if ", " { ", " } else { ", " })"]),
    lets: Some(["let ", ": f64 = ", "; "]),
    conditions: Conditions::Converted("f64::from(u8::from(", "))"),
    ..OPERATOR
};

/// Its logarithm is to base 10 unless it has a base; powers are what it has for roots and exponentials.
pub(crate) const FASTEVAL: Syntax = Syntax {
    name: "fasteval",
    number: digits,
    and_or: Some((" && ", " || ")),
    unary: |op| {
        Some(match op {
            Unary::Sqrt => ("", "^0.5"),
            Unary::Exp => ("e()^", ""),
            Unary::Log => ("log(e(), ", ")"),
            op => (op.name(), ""),
        })
    },
    odd_levels: true,
    ..OPERATOR
};

pub(crate) const EVALEXPR: Syntax = Syntax {
    name: "evalexpr",
    number: digits,
    and_or: Some((" && ", " || ")),
    unary: |op| {
        Some((
            match op {
                Unary::Neg => "",
                Unary::Abs => "math::abs",
                Unary::Sqrt => "math::sqrt",
                Unary::Exp => "math::exp",
                Unary::Log => "math::ln",
                Unary::Sin => "math::sin",
                Unary::Cos => "math::cos",
                Unary::Tan => "math::tan",
                Unary::Asin => "math::asin",
                Unary::Acos => "math::acos",
                Unary::Atan => "math::atan",
            },
            "",
        ))
    },
    choice: Some(["if(", ", ", ", ", ")"]),
    lets: Some(["", " = ", "; "]),
    conditions: Conditions::Converted("if(", ", 1.0, 0.0)"),
    ..OPERATOR
};

/// Floats only: it has no conditions.
pub(crate) const EXMEX: Syntax = Syntax { name: "exmex", number: digits, ..OPERATOR };

/// NumPy; numba takes the same but for choices.
const NUMPY: Syntax = Syntax {
    name: "numpy",
    number: shortest,
    power: Power::Operator("**"),
    and_or: Some((" & ", " | ")),
    unary: |op| {
        Some((
            match op {
                Unary::Neg => "",
                Unary::Abs => "np.abs",
                Unary::Sqrt => "np.sqrt",
                Unary::Exp => "np.exp",
                Unary::Log => "np.log",
                Unary::Sin => "np.sin",
                Unary::Cos => "np.cos",
                Unary::Tan => "np.tan",
                Unary::Asin => "np.arcsin",
                Unary::Acos => "np.arccos",
                Unary::Atan => "np.arctan",
            },
            "",
        ))
    },
    min_max: Some(("np.minimum", "np.maximum")),
    choice: Some(["np.where(", ", ", ", ", ")"]),
    lets: Some(["", " = ", "; "]),
    conditions: Conditions::Converted("np.multiply(", ", 1.0)"),
    ..OPERATOR
};

/// The languages of engines that Python scripts call, for the script beside this program.
const NUMBA: Syntax = Syntax {
    name: "numba",
    and_or: Some((" and ", " or ")),
    min_max: Some(("min", "max")),
    choice: Some(["pick(", ", ", ", ", ")"]),
    conditions: Conditions::Converted("(1.0 if ", " else 0.0)"),
    ..NUMPY
};

const NUMEXPR: Syntax = Syntax {
    name: "numexpr",
    unary: |op| {
        Some((
            match op {
                Unary::Asin => "arcsin",
                Unary::Acos => "arccos",
                Unary::Atan => "arctan",
                op => op.name(),
            },
            "",
        ))
    },
    min_max: Some(("minimum", "maximum")),
    choice: Some(["where(", ", ", ", ", ")"]),
    lets: None,
    conditions: Conditions::Converted("where(", ", 1.0, 0.0)"),
    ..NUMPY
};

const POLARS: Syntax = Syntax {
    name: "polars",
    number: |value| format!("pl.lit({value:?})"),
    unary: |op| {
        Some(match op {
            Unary::Neg => ("", ""),
            Unary::Abs => ("", ".abs()"),
            Unary::Sqrt => ("", ".sqrt()"),
            Unary::Exp => ("", ".exp()"),
            Unary::Log => ("", ".log()"),
            Unary::Sin => ("", ".sin()"),
            Unary::Cos => ("", ".cos()"),
            Unary::Tan => ("", ".tan()"),
            Unary::Asin => ("", ".arcsin()"),
            Unary::Acos => ("", ".arccos()"),
            Unary::Atan => ("", ".arctan()"),
        })
    },
    min_max: Some(("pl.min_horizontal", "pl.max_horizontal")),
    choice: Some(["pl.when(", ").then(", ").otherwise(", ")"]),
    conditions: Conditions::Converted("(", ").cast(pl.Float64)"),
    ..NUMPY
};

const DUCKDB: Syntax = Syntax {
    name: "duckdb",
    number: |value| format!("{value:?}::DOUBLE"),
    power: Power::Function("pow"),
    and_or: Some((" and ", " or ")),
    unary: |op| Some((if op == Unary::Log { "ln" } else { op.name() }, "")),
    min_max: Some(("least", "greatest")),
    choice: Some(["if(", ", ", ", ", ")"]),
    conditions: Conditions::Converted("(", ")::DOUBLE"),
    ..OPERATOR
};

/// All languages by name.
pub(crate) const SYNTAXES: [Syntax; 11] =
    [KILN, C, RUST, FASTEVAL, EVALEXPR, EXMEX, NUMPY, NUMBA, NUMEXPR, POLARS, DUCKDB];

/// A formula as text: definitions first, in the syntaxes that have them.
#[derive(Debug, Clone)]
pub(crate) struct Printed {
    pub(crate) lets: String,
    pub(crate) result: String,
    /// The literal powers that occur and are helpers.
    pub(crate) powers: BTreeSet<u32>,
}

/// Where definitions are written out, a formula may have so many nodes.
pub(crate) const EXPANDED: usize = 5000;

/// Prints a formula, if the language has all of it.
pub(crate) fn print(formula: &Formula, syntax: &Syntax) -> Option<Printed> {
    let mut printer = Printer { formula, syntax, powers: BTreeSet::new() };
    let expanded;
    let mut lets = String::new();
    let result = if let Some([before, between, after]) = syntax.lets {
        for (at, (_, tree)) in formula.lets.iter().enumerate() {
            let value = printer.tree(tree, 0)?;
            let _ = write!(lets, "{before}{}{between}{value}{after}", printer.let_name(at));
        }
        &formula.result
    } else {
        expanded = formula.expanded(EXPANDED)?;
        &expanded
    };
    let text = printer.tree(result, 0)?;
    let result = match syntax.conditions {
        Conditions::Converted(before, after) if formula.is_condition => format!("{before}{text}{after}"),
        _ => text,
    };
    Some(Printed { lets, result, powers: printer.powers })
}

/// Definitions and result in one text.
pub(crate) fn text(formula: &Formula, syntax: &Syntax) -> Option<String> {
    print(formula, syntax).map(|printed| printed.lets + &printed.result)
}

struct Printer<'a> {
    formula: &'a Formula,
    syntax: &'a Syntax,
    powers: BTreeSet<u32>,
}

/// How tight an operand binds that needs no brackets anywhere.
const ATOM: u8 = 9;

impl Printer<'_> {
    /// Definitions may hide others, so their number is part of their name.
    fn let_name(&self, at: usize) -> String {
        format!("{}_{at}", self.formula.lets[at].0)
    }

    /// A tree where an operand has to bind at least so tightly. A sign binds looser than everything but arguments, since
    /// languages disagree about it.
    fn tree(&mut self, tree: &Tree, least: u8) -> Option<String> {
        let (level, text) = match &**tree {
            Node::Number(value) => (ATOM, (self.syntax.number)(*value)),
            Node::Input(at) => (ATOM, self.formula.inputs[*at].name.clone()),
            Node::Let(at) => (ATOM, self.let_name(*at)),
            Node::Unary(Unary::Neg, a) => (1, format!("-{}", self.tree(a, ATOM)?)),
            Node::Unary(op, a) => self.unary(*op, a)?,
            Node::Power(a, n) => match self.syntax.power {
                Power::Operator(power) => (8, format!("{}{power}{n}", self.tree(a, ATOM)?)),
                Power::Function(name) => (ATOM, format!("{name}({}, {n})", self.tree(a, 0)?)),
                Power::Helpers(_) => {
                    self.powers.insert(*n);
                    (ATOM, format!("p{n}({})", self.tree(a, 0)?))
                }
            },
            Node::Binary(op, a, b) => self.binary(*op, a, b)?,
            Node::If(c, a, b) => {
                let [before, then, or, after] = self.syntax.choice?;
                (ATOM, format!("{before}{}{then}{}{or}{}{after}", self.tree(c, 0)?, self.tree(a, 0)?, self.tree(b, 0)?))
            }
        };
        Some(if level < least { format!("({text})") } else { text })
    }

    fn unary(&mut self, op: Unary, a: &Tree) -> Option<(u8, String)> {
        let (before, after) = (self.syntax.unary)(op)?;
        // A name that brings its own brackets, a method, an operator, or a function.
        Some(if before.contains('(') && !before.ends_with('^') {
            (ATOM, format!("{before}{}{after}", self.tree(a, 0)?))
        } else if before.ends_with('^') || after.starts_with('^') {
            (8, format!("{before}({}){after}", self.tree(a, 0)?))
        } else {
            (ATOM, format!("{before}({}){after}", self.tree(a, 0)?))
        })
    }

    fn binary(&mut self, op: Binary, a: &Tree, b: &Tree) -> Option<(u8, String)> {
        use Binary::*;
        let function = match op {
            Min => Some(self.syntax.min_max?.0),
            Max => Some(self.syntax.min_max?.1),
            Pow => match self.syntax.power {
                Power::Operator(_) => None,
                Power::Function(name) | Power::Helpers(name) => Some(name),
            },
            _ => None,
        };
        if let Some(name) = function {
            return Some((ATOM, format!("{name}({}, {})", self.tree(a, 0)?, self.tree(b, 0)?)));
        }
        if op == Pow {
            let Power::Operator(power) = self.syntax.power else { return None };
            return Some((8, format!("{}{power}{}", self.tree(a, ATOM)?, self.tree(b, ATOM)?)));
        }
        // The level of the whole, of the left and of the right operand.
        let (level, left, right, token) = match op {
            Or => (2, 2, 3, self.syntax.and_or?.1),
            And => (3, 3, 4, self.syntax.and_or?.0),
            Less => (4, 5, 5, "<"),
            LessEqual => (4, 5, 5, "<="),
            Greater => (4, 5, 5, ">"),
            GreaterEqual => (4, 5, 5, ">="),
            Add => (5, 5, 6, "+"),
            Sub => (5, 5, 6, "-"),
            Mul => (6, 6, 7, "*"),
            _ => (6, 6, 7, "/"),
        };
        // In Python `&` binds tighter than comparisons.
        let brackets = matches!(op, And | Or) && ["&", "|"].contains(&token.trim());
        let mixed = self.syntax.odd_levels && matches!(&**a, Node::Binary(other, ..) if *other != op && level >= 5);
        let least = if brackets || mixed { ATOM } else { left };
        let right = if brackets { ATOM } else { right };
        Some((level, format!("{}{token}{}", self.tree(a, least)?, self.tree(b, right)?)))
    }
}

/// A literal power as a chain of products of `x`: the factors of each step, by squaring.
pub(crate) fn chain(n: u32) -> Vec<u32> {
    (0..32 - n.leading_zeros()).map(|bit| 1 << bit).filter(|part| n & part != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::{Input, formulas};

    #[test]
    fn kiln_syntax_reads_back_as_the_same_tree() {
        let mut seen = 0;
        for formula in formulas(None).unwrap() {
            let printed = print(&formula, &Syntax { conditions: Conditions::Numbers, ..KILN }).unwrap();
            let again = Formula::parse("again", &(printed.lets + &printed.result), formula.inputs.clone()).unwrap();
            assert_eq!(again.result, formula.result, "{}", formula.name);
            assert!(again.lets.iter().map(|l| &l.1).eq(formula.lets.iter().map(|l| &l.1)), "{}", formula.name);
            seen += 1;
        }
        assert_eq!(seen, 28);
    }

    #[test]
    fn each_language_has_its_own_spelling() {
        let inputs = ["x", "y"].map(|name| Input { name: name.to_owned(), low: 0.0, high: 1.0 });
        let printed = |text: &str| {
            let formula = Formula::parse("f", text, inputs.to_vec()).unwrap();
            SYNTAXES.map(|syntax| super::text(&formula, &syntax).unwrap_or_else(|| "none".to_owned()))
        };
        assert_eq!(
            printed("-x^2*y/3-(x-y)"),
            [
                "(-(x^2))*y/3-(x-y)",
                "(-p2(x))*y/3.0-(x-y)",
                "(-p2(x))*y/3.0_f64-(x-y)",
                "(((-(x^2))*y)/3.0)-(x-y)",
                "(-(x^2))*y/3.0-(x-y)",
                "(-(x^2))*y/3.0-(x-y)",
                "(-(x**2))*y/3.0-(x-y)",
                "(-(x**2))*y/3.0-(x-y)",
                "(-(x**2))*y/3.0-(x-y)",
                "(-(x**2))*y/pl.lit(3.0)-(x-y)",
                "(-pow(x, 2))*y/3.0::DOUBLE-(x-y)",
            ]
        );
        assert_eq!(
            printed("if(x>1 and y<2, exp(x)^y, log(y))"),
            [
                "if(x>1 and y<2, exp(x)^y, log(y))",
                "(x>1.0 && y<2.0 ? pow(exp(x), y) : log(y))",
                "(if x>1.0_f64 && y<2.0_f64 { f64::powf(f64::exp(x), y) } else { f64::ln(y) })",
                "none",
                "if(x>1.0 && y<2.0, math::exp(x)^y, math::ln(y))",
                "none",
                "np.where((x>1.0) & (y<2.0), np.exp(x)**y, np.log(y))",
                "pick(x>1.0 and y<2.0, np.exp(x)**y, np.log(y))",
                "where((x>1.0) & (y<2.0), exp(x)**y, log(y))",
                "pl.when((x>pl.lit(1.0)) & (y<pl.lit(2.0))).then((x).exp()**y).otherwise((y).log())",
                "if(x>1.0::DOUBLE and y<2.0::DOUBLE, pow(exp(x), y), ln(y))",
            ]
        );
    }

    #[test]
    fn chains_are_the_bits_of_the_power() {
        assert_eq!(chain(1), [1]);
        assert_eq!(chain(10), [2, 8]);
        assert_eq!(chain(55), [1, 2, 4, 16, 32]);
    }
}
