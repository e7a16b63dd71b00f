//! The formulas of the suite as trees.
//!
//! Owns the tree, its parser and the table of formulas. The one idea: every engine gets the same tree, in its own syntax
//! (`print`) or as its own nodes (`engines`), so no formula is written twice. The syntax is the part of Kiln's language
//! that the suite uses, with the same meaning: numbers, inputs, `let`, `+ - * / ^`, comparisons, `and or`, `if`, functions of
//! one or two numbers; the type is f64, and a condition as a result counts as 1 or 0.
//!
//! To add a function: a row in `FUNCTIONS` or a variant of `Binary`, and then what the compiler asks for.
//! It does not know which engines there are.

use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// A formula of the suite.
#[derive(Clone, Debug)]
pub(crate) struct Formula {
    pub(crate) name: String,
    /// As Kiln takes it, but for the conversion of a condition.
    pub(crate) text: String,
    pub(crate) inputs: Vec<Input>,
    /// Definitions, each of which may use the ones before it.
    pub(crate) lets: Vec<(String, Tree)>,
    pub(crate) result: Tree,
    /// The result is a condition.
    pub(crate) is_condition: bool,
}

/// An input with the range from which its values are taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A shared tree.
pub(crate) type Tree = Rc<Node>;

/// A part of a formula.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Number(f64),
    /// An input by its number.
    Input(usize),
    /// A definition by its number.
    Let(usize),
    Unary(Unary, Tree),
    Binary(Binary, Tree, Tree),
    /// To a literal power from 1 to 64, which is a product in every engine that has no such operation.
    Power(Tree, u32),
    If(Tree, Tree, Tree),
}

/// Operations and functions of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Neg,
    Abs,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
}

/// Operations and functions of two numbers or conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
}

/// The names of functions of one number.
pub(crate) const FUNCTIONS: [(&str, Unary); 10] = [
    ("abs", Unary::Abs),
    ("sqrt", Unary::Sqrt),
    ("exp", Unary::Exp),
    ("log", Unary::Log),
    ("sin", Unary::Sin),
    ("cos", Unary::Cos),
    ("tan", Unary::Tan),
    ("asin", Unary::Asin),
    ("acos", Unary::Acos),
    ("atan", Unary::Atan),
];

impl Unary {
    /// Is it more than a few instructions of every processor?
    pub(crate) fn is_transcendental(self) -> bool {
        !matches!(self, Unary::Neg | Unary::Abs | Unary::Sqrt)
    }

    /// The function's name, which C has too; a negation has none.
    pub(crate) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }
}

impl Binary {
    /// A comparison or a connective?
    pub(crate) fn is_condition(self) -> bool {
        use Binary::*;
        matches!(self, Less | LessEqual | Greater | GreaterEqual | And | Or)
    }
}

/// Arithmetic, or with functions that engines implement differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Arithmetic,
    Transcendental,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Kind::Arithmetic { "arithmetic" } else { "transcendental" })
    }
}

impl Node {
    /// Is it a comparison or a connective?
    pub(crate) fn is_condition(&self) -> bool {
        matches!(self, Node::Binary(op, ..) if op.is_condition())
    }

    /// The parts directly below.
    pub(crate) fn parts(&self) -> Vec<&Tree> {
        match self {
            Node::Number(_) | Node::Input(_) | Node::Let(_) => vec![],
            Node::Unary(_, a) | Node::Power(a, _) => vec![a],
            Node::Binary(_, a, b) => vec![a, b],
            Node::If(c, a, b) => vec![c, a, b],
        }
    }

    /// Do numbers stand where numbers are wanted, and conditions where these are?
    fn is_sound(&self) -> bool {
        let wants_conditions = |at: usize| match self {
            Node::Binary(op, ..) => matches!(op, Binary::And | Binary::Or),
            Node::If(..) => at == 0,
            _ => false,
        };
        self.parts().iter().enumerate().all(|(at, part)| part.is_condition() == wants_conditions(at) && part.is_sound())
    }

    fn any(&self, what: &dyn Fn(&Node) -> bool) -> bool {
        what(self) || self.parts().iter().any(|part| part.any(what))
    }
}

impl Formula {
    /// Every tree of it.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.lets.iter().map(|(_, tree)| tree).chain([&self.result])
    }

    /// What it is made of.
    pub(crate) fn kind(&self) -> Kind {
        let hard = |node: &Node| match node {
            Node::Unary(op, _) => op.is_transcendental(),
            Node::Binary(op, ..) => *op == Binary::Pow,
            _ => false,
        };
        if self.trees().any(|tree| tree.any(&hard)) { Kind::Transcendental } else { Kind::Arithmetic }
    }

    /// What Kiln compiles: a condition becomes 1 or 0, as in all engines.
    pub(crate) fn kiln_text(&self) -> String {
        if !self.is_condition {
            return self.text.clone();
        }
        match self.text.rsplit_once(';') {
            Some((lets, result)) => format!("{lets}; f64({})", result.trim()),
            None => format!("f64({})", self.text),
        }
    }

    /// The result with the definitions in the places of their names, unless that has more than `limit` nodes.
    pub(crate) fn expanded(&self, limit: usize) -> Option<Tree> {
        // The size that each definition has when it is written out.
        let mut sizes: Vec<usize> = vec![];
        for tree in self.trees() {
            let size = expanded_size(tree, &sizes);
            sizes.push(size);
        }
        if sizes.last().is_none_or(|size| *size > limit) {
            return None;
        }
        let mut lets: Vec<Tree> = vec![];
        for (_, tree) in &self.lets {
            let tree = replaced(tree, &lets);
            lets.push(tree);
        }
        Some(replaced(&self.result, &lets))
    }

    /// Parses a formula over these inputs.
    pub(crate) fn parse(name: &str, text: &str, inputs: Vec<Input>) -> Result<Formula, String> {
        let mut parser = Parser { rest: text, inputs: &inputs, lets: vec![] };
        let result = parser.program().map_err(|error| {
            let at = text.len() - parser.rest.len();
            format!("{name}: {error}, at byte {at}")
        })?;
        let lets = parser.lets;
        if !result.is_sound() || lets.iter().any(|(_, tree)| tree.is_condition() || !tree.is_sound()) {
            return Err(format!("{name}: a condition stands where a number is wanted, or the other way round"));
        }
        let is_condition = result.is_condition();
        Ok(Formula { name: name.to_owned(), text: text.to_owned(), inputs, lets, result, is_condition })
    }
}

fn expanded_size(tree: &Tree, lets: &[usize]) -> usize {
    match &**tree {
        Node::Let(at) => lets[*at],
        node => node.parts().iter().fold(1, |size, part| size.saturating_add(expanded_size(part, lets))),
    }
}

fn replaced(tree: &Tree, lets: &[Tree]) -> Tree {
    let new = |part: &Tree| replaced(part, lets);
    match &**tree {
        Node::Number(_) | Node::Input(_) => tree.clone(),
        Node::Let(at) => lets[*at].clone(),
        Node::Unary(op, a) => Rc::new(Node::Unary(*op, new(a))),
        Node::Binary(op, a, b) => Rc::new(Node::Binary(*op, new(a), new(b))),
        Node::Power(a, n) => Rc::new(Node::Power(new(a), *n)),
        Node::If(c, a, b) => Rc::new(Node::If(new(c), new(a), new(b))),
    }
}

/// The table that is part of the program, which other benchmarks read too.
const SUITE: &str = include_str!("../../kiln/benches/formulas.tsv");

/// The formulas of a file, or of the suite.
pub(crate) fn formulas(file: Option<&Path>) -> Result<Vec<Formula>, String> {
    let Some(path) = file else { return table(SUITE) };
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    table(&text)
}

/// Lines of name, formula, inputs (`name:low:high,...`) and more, separated by tabs; `#` begins a comment.
fn table(text: &str) -> Result<Vec<Formula>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let formulas: Vec<Formula> = lines.map(line).collect::<Result<_, _>>()?;
    for (at, formula) in formulas.iter().enumerate() {
        if formulas[..at].iter().any(|other| other.name == formula.name) {
            return Err(format!("two formulas have the name {}", formula.name));
        }
    }
    if formulas.is_empty() { Err("the table has no formulas".to_owned()) } else { Ok(formulas) }
}

fn line(line: &str) -> Result<Formula, String> {
    let mut fields = line.split('\t');
    let (Some(name), Some(text), Some(inputs)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(format!("a line needs a name, a formula and inputs, separated by tabs: {line}"));
    };
    // The name becomes part of names in C and Rust.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("{name}: a formula's name consists of letters, digits and _"));
    }
    let input = |text: &str| {
        let bad = || format!("{name}: an input is name:low:high, not {text}");
        let [input, low, high] = text.split(':').collect::<Vec<_>>()[..] else { return Err(bad()) };
        let (low, high) = (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
        Ok(Input { name: input.to_owned(), low, high })
    };
    let inputs: Vec<Input> = inputs.split(',').map(input).collect::<Result<_, _>>()?;
    if inputs.len() > MOST_INPUTS {
        return Err(format!("{name}: at most {MOST_INPUTS} inputs"));
    }
    Formula::parse(name, text, inputs)
}

/// Calls are written out for so many inputs.
pub(crate) const MOST_INPUTS: usize = 8;

/// How deep brackets and operators may nest.
const DEPTH: usize = 200;

/// A parser by precedence.
struct Parser<'a> {
    rest: &'a str,
    inputs: &'a [Input],
    lets: Vec<(String, Tree)>,
}

/// An infix operator with the precedence on its left and on its right.
type Infix = (&'static str, Binary, u8, u8);

#[rustfmt::skip]
const INFIX: [Infix; 11] = [
    ("<=", Binary::LessEqual, 5, 6), (">=", Binary::GreaterEqual, 5, 6), ("<", Binary::Less, 5, 6), (">", Binary::Greater, 5, 6),
    ("or", Binary::Or, 1, 2), ("and", Binary::And, 3, 4),
    ("+", Binary::Add, 7, 8), ("-", Binary::Sub, 7, 8), ("*", Binary::Mul, 9, 10), ("/", Binary::Div, 9, 10),
    ("^", Binary::Pow, 14, 13),
];

/// The precedence of a sign: looser than a power, tighter than a product.
const SIGN: u8 = 11;

impl<'a> Parser<'a> {
    fn program(&mut self) -> Result<Tree, String> {
        while let Some(rest) = self.word("let") {
            self.rest = rest;
            let name = self.name().ok_or("a name is expected after let")?;
            if !self.eat("=") {
                return Err("= is expected".to_owned());
            }
            let value = self.expression(0, 0)?;
            if !self.eat(";") {
                return Err("; is expected".to_owned());
            }
            self.lets.push((name.to_owned(), value));
        }
        let result = self.expression(0, 0)?;
        self.skip();
        if self.rest.is_empty() { Ok(result) } else { Err("an operator is expected".to_owned()) }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        self.rest.strip_prefix(token).map(|rest| self.rest = rest).is_some()
    }

    /// What follows this word, if it stands here.
    fn word(&mut self, word: &str) -> Option<&'a str> {
        self.skip();
        let rest = self.rest.strip_prefix(word)?;
        (!rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')).then_some(rest)
    }

    fn name(&mut self) -> Option<&'a str> {
        self.skip();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.rest = &self.rest[end..];
        Some(name)
    }

    fn infix(&mut self) -> Option<(&'static Infix, &'a str)> {
        self.skip();
        INFIX.iter().find_map(|row| {
            let rest =
                if row.0.starts_with(char::is_alphabetic) { self.word(row.0) } else { self.rest.strip_prefix(row.0) };
            rest.map(|rest| (row, rest))
        })
    }

    fn expression(&mut self, least: u8, depth: usize) -> Result<Tree, String> {
        if depth > DEPTH {
            return Err("the formula is nested too deeply".to_owned());
        }
        let mut left = if self.eat("-") {
            Rc::new(Node::Unary(Unary::Neg, self.expression(SIGN, depth + 1)?))
        } else {
            self.operand(depth)?
        };
        while let Some((&(token, op, before, after), rest)) = self.infix() {
            if before < least {
                break;
            }
            let is_comparison = |op: Binary| op.is_condition() && !matches!(op, Binary::And | Binary::Or);
            if is_comparison(op) && matches!(&*left, Node::Binary(other, ..) if is_comparison(*other)) {
                return Err(format!("a chain of comparisons ({token}) is not supported here"));
            }
            self.rest = rest;
            let right = self.expression(after, depth + 1)?;
            left = match (op, &*right) {
                (Binary::Pow, Node::Number(n)) if n.fract() == 0.0 && (1.0..=64.0).contains(n) => {
                    Rc::new(Node::Power(left, *n as u32))
                }
                _ => Rc::new(Node::Binary(op, left, right)),
            };
        }
        Ok(left)
    }

    fn operand(&mut self, depth: usize) -> Result<Tree, String> {
        if self.eat("(") {
            let inner = self.expression(0, depth + 1)?;
            return if self.eat(")") { Ok(inner) } else { Err(") is expected".to_owned()) };
        }
        if let Some(name) = self.name() {
            return self.named(name, depth);
        }
        self.number()
    }

    fn named(&mut self, name: &str, depth: usize) -> Result<Tree, String> {
        if self.eat("(") {
            let mut arguments = vec![self.expression(0, depth + 1)?];
            while self.eat(",") {
                arguments.push(self.expression(0, depth + 1)?);
            }
            if !self.eat(")") {
                return Err(") is expected".to_owned());
            }
            let unary = FUNCTIONS.iter().find(|row| row.0 == name).map(|row| row.1);
            return Ok(Rc::new(match (name, &arguments[..]) {
                ("min", [a, b]) => Node::Binary(Binary::Min, a.clone(), b.clone()),
                ("max", [a, b]) => Node::Binary(Binary::Max, a.clone(), b.clone()),
                ("if", [c, a, b]) => Node::If(c.clone(), a.clone(), b.clone()),
                (_, [a]) if unary.is_some() => Node::Unary(unary.unwrap_or(Unary::Neg), a.clone()),
                _ => return Err(format!("{name} with {} arguments is not supported here", arguments.len())),
            }));
        }
        // A later definition hides an earlier one, and an input.
        if let Some(at) = self.lets.iter().rposition(|(other, _)| other == name) {
            return Ok(Rc::new(Node::Let(at)));
        }
        if let Some(at) = self.inputs.iter().position(|input| input.name == name) {
            return Ok(Rc::new(Node::Input(at)));
        }
        match name {
            "pi" => Ok(Rc::new(Node::Number(std::f64::consts::PI))),
            _ => Err(format!("{name} is no input")),
        }
    }

    fn number(&mut self) -> Result<Tree, String> {
        self.skip();
        let bytes = self.rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let after = digits(end + 1 + sign);
            end = if after > end + 1 + sign { after } else { end };
        }
        let value = self.rest[..end].parse().map_err(|_| "a number, an input or ( is expected".to_owned())?;
        self.rest = &self.rest[end..];
        Ok(Rc::new(Node::Number(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(names: &str) -> Vec<Input> {
        names.split(' ').map(|name| Input { name: name.to_owned(), low: 0.0, high: 1.0 }).collect()
    }

    /// A tree with all its brackets.
    fn shape(tree: &Tree) -> String {
        match &**tree {
            Node::Number(n) => n.to_string(),
            Node::Input(at) => format!("i{at}"),
            Node::Let(at) => format!("l{at}"),
            Node::Unary(op, a) => format!("{op:?}[{}]", shape(a)),
            Node::Binary(op, a, b) => format!("{op:?}[{} {}]", shape(a), shape(b)),
            Node::Power(a, n) => format!("Power[{} {n}]", shape(a)),
            Node::If(c, a, b) => format!("If[{} {} {}]", shape(c), shape(a), shape(b)),
        }
    }

    #[test]
    fn operators_bind_as_in_the_language() {
        for (text, expected) in [
            ("-x^2", "Neg[Power[i0 2]]"),
            ("-x*y", "Mul[Neg[i0] i1]"),
            ("x-y-1", "Sub[Sub[i0 i1] 1]"),
            ("2^x^y", "Pow[2 Pow[i0 i1]]"),
            ("x^-1", "Pow[i0 Neg[1]]"),
            ("x^0.5", "Pow[i0 0.5]"),
            ("x/y*2", "Mul[Div[i0 i1] 2]"),
            ("x>1 and y<2 or x<=y", "Or[And[Greater[i0 1] Less[i1 2]] LessEqual[i0 i1]]"),
            ("if(x<y,min(x,1e-3),pi)", "If[Less[i0 i1] Min[i0 0.001] 3.141592653589793]"),
            ("let a=x; let a=a+1; a*y", "Mul[l1 i1]"),
        ] {
            let formula = Formula::parse("f", text, inputs("x y")).unwrap();
            assert_eq!(shape(&formula.result), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("x+", "expected, at byte 2"),
            ("x y", "an operator is expected"),
            ("z", "z is no input"),
            ("(x", ") is expected"),
            ("foo(x)", "foo with 1 arguments"),
            ("0<x<1", "chain"),
            ("let a x; a", "= is expected"),
            ("if(x,1,2)", "a condition stands"),
            ("if(x)", "if with 1 arguments"),
            ("(x<y)+1", "a condition stands"),
            ("x and y", "a condition stands"),
            ("let c=x<y; if(c,1,2)", "a condition stands"),
            (&"(".repeat(1000), "nested too deeply"),
        ] {
            let error = Formula::parse("f", text, inputs("x y")).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for (text, part) in [
            ("", "no formulas"),
            ("a\tx", "needs a name"),
            ("a\tx\tx:1", "name:low:high"),
            ("a b\tx\tx:1:2", "letters, digits"),
            ("a\tx\tx:1:2\na\tx\tx:1:2", "two formulas"),
        ] {
            let error = table(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_suite_has_both_kinds() {
        let suite = formulas(None).unwrap();
        let arithmetic = suite.iter().filter(|formula| formula.kind() == Kind::Arithmetic).count();
        assert_eq!((suite.len(), arithmetic), (28, 17));
    }

    #[test]
    fn definitions_are_written_out_up_to_a_limit() {
        let formula = Formula::parse("f", "let a=x+1; let b=a*a; b*b", inputs("x")).unwrap();
        let sum = "Add[i0 1]";
        assert_eq!(shape(&formula.expanded(15).unwrap()), format!("Mul[Mul[{sum} {sum}] Mul[{sum} {sum}]]"));
        assert!(formula.expanded(14).is_none());
        let suite = formulas(None).unwrap();
        assert!(suite.iter().find(|f| f.name == "mandel32").unwrap().expanded(1_000_000).is_none());
    }
}
