//! Random programs with variables, loops and functions, against an evaluation of their trees that knows none of the
//! passes: it walks the tree, with an environment, and counts steps.

use super::tests::request;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval;
use crate::opt::Optimiser;
use crate::pipeline::Request;
use crate::text::{FrontEnd, Limits};
use crate::types::Type;
use std::fmt::Write as _;
use std::rc::Rc;

enum Expr {
    Literal(i64),
    Name(&'static str),
    Neg(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    If(Box<Cond>, Box<Expr>, Box<Expr>),
    /// A block form, whose arms have statements.
    Blocks(Box<Cond>, [(Vec<Statement>, Box<Expr>); 2]),
    Call(usize, Vec<Expr>),
    /// sum, prod, min, max of a term; count of a condition.
    Fold(&'static str, Box<Range>, Box<Expr>),
    Count(Box<Range>, Box<Cond>),
}

enum Cond {
    Compare(&'static str, Expr, Expr),
    Chain(Expr, &'static str, Expr, &'static str, Expr),
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
    Not(Box<Cond>),
    /// any, all
    Fold(bool, Box<Range>, Box<Cond>),
}

struct Range {
    name: &'static str,
    lo: Expr,
    hi: Expr,
    inclusive: bool,
}

enum Statement {
    Let(&'static str, Expr),
    Var(&'static str, Expr),
    Assign(&'static str, Expr),
    For(Range, Vec<Statement>),
    While(Cond, Vec<Statement>),
    If(Cond, Vec<Statement>, Option<Vec<Statement>>),
    Break,
    Continue,
}

struct Function {
    params: Vec<&'static str>,
    body: (Vec<Statement>, Expr),
    /// How many of the globals come before it.
    globals: usize,
}

struct Program {
    globals: Vec<(&'static str, Expr)>,
    functions: Vec<Function>,
    body: Vec<Statement>,
    result: Expr,
}

// Printing.

impl Expr {
    fn print(&self, out: &mut String) {
        match self {
            Expr::Literal(value) if *value < 0 => write!(out, "({value})").unwrap(),
            Expr::Literal(value) => write!(out, "{value}").unwrap(),
            Expr::Name(name) => out.push_str(name),
            Expr::Neg(x) => {
                out.push_str("(- ");
                x.print(out);
                out.push(')');
            }
            Expr::Binary(op, x, y) => {
                let call = op.chars().all(char::is_alphabetic);
                out.push_str(if call { op } else { "" });
                out.push('(');
                x.print(out);
                write!(out, " {} ", if call { "," } else { op }).unwrap();
                y.print(out);
                out.push(')');
            }
            Expr::If(c, x, y) => {
                out.push_str("if(");
                c.print(out);
                out.push_str(", ");
                x.print(out);
                out.push_str(", ");
                y.print(out);
                out.push(')');
            }
            Expr::Blocks(c, [x, y]) => {
                out.push_str("(if ");
                c.print(out);
                for (arm, between) in [(x, " { "), (y, "} else { ")] {
                    out.push_str(between);
                    print_all(&arm.0, out);
                    arm.1.print(out);
                }
                out.push_str(" })");
            }
            Expr::Call(number, arguments) => {
                write!(out, "f{number}(").unwrap();
                for argument in arguments {
                    argument.print(out);
                    out.push(',');
                }
                if out.ends_with(',') {
                    out.pop();
                }
                out.push(')');
            }
            Expr::Fold(name, range, term) => {
                write!(out, "{name}(").unwrap();
                term.print(out);
                out.push_str(" for ");
                range.print(out);
                out.push(')');
            }
            Expr::Count(range, term) => {
                out.push_str("count(");
                term.print(out);
                out.push_str(" for ");
                range.print(out);
                out.push(')');
            }
        }
    }
}

impl Range {
    fn print(&self, out: &mut String) {
        write!(out, "{} in ", self.name).unwrap();
        self.lo.print(out);
        out.push_str(if self.inclusive { "..=" } else { ".." });
        self.hi.print(out);
    }
}

impl Cond {
    fn print(&self, out: &mut String) {
        out.push('(');
        match self {
            Cond::Compare(op, x, y) => {
                x.print(out);
                write!(out, " {op} ").unwrap();
                y.print(out);
            }
            Cond::Chain(x, op, y, op2, z) => {
                x.print(out);
                write!(out, " {op} ").unwrap();
                y.print(out);
                write!(out, " {op2} ").unwrap();
                z.print(out);
            }
            Cond::And(x, y) | Cond::Or(x, y) => {
                x.print(out);
                out.push_str(if matches!(self, Cond::And(..)) { " and " } else { " or " });
                y.print(out);
            }
            Cond::Not(x) => {
                out.push_str("not ");
                x.print(out);
            }
            Cond::Fold(any, range, term) => {
                out.push_str(if *any { "any(" } else { "all(" });
                term.print(out);
                out.push_str(" for ");
                range.print(out);
                out.push(')');
            }
        }
        out.push(')');
    }
}

fn print_all(statements: &[Statement], out: &mut String) {
    for statement in statements {
        match statement {
            Statement::Let(name, x) | Statement::Var(name, x) | Statement::Assign(name, x) => {
                out.push_str(match statement {
                    Statement::Let(..) => "let ",
                    Statement::Var(..) => "var ",
                    _ => "",
                });
                write!(out, "{name} = ").unwrap();
                x.print(out);
            }
            Statement::For(range, body) => {
                out.push_str("for ");
                range.print(out);
                out.push_str(" { ");
                print_all(body, out);
                out.push('}');
            }
            Statement::While(condition, body) => {
                out.push_str("while ");
                condition.print(out);
                out.push_str(" { ");
                print_all(body, out);
                out.push('}');
            }
            Statement::If(condition, then, otherwise) => {
                out.push_str("if ");
                condition.print(out);
                out.push_str(" { ");
                print_all(then, out);
                out.push('}');
                if let Some(otherwise) = otherwise {
                    out.push_str(" else { ");
                    print_all(otherwise, out);
                    out.push('}');
                }
            }
            Statement::Break => out.push_str("break"),
            Statement::Continue => out.push_str("continue"),
        }
        out.push_str("; ");
    }
}

impl Program {
    fn print(&self) -> String {
        let mut out = String::new();
        for at in 0..=self.globals.len() {
            for (number, function) in self.functions.iter().enumerate().filter(|(_, f)| f.globals == at) {
                let begin = if function.body.0.is_empty() { "= " } else { "{ " };
                write!(out, "fn f{number}({}) {begin}", function.params.join(", ")).unwrap();
                print_all(&function.body.0, &mut out);
                function.body.1.print(&mut out);
                out.push_str(if function.body.0.is_empty() { "\n" } else { " }\n" });
            }
            if let Some((name, value)) = self.globals.get(at) {
                write!(out, "let {name} = ").unwrap();
                value.print(&mut out);
                out.push('\n');
            }
        }
        print_all(&self.body, &mut out);
        self.result.print(&mut out);
        out
    }
}

// Evaluation.

type Environment = Vec<(&'static str, i64)>;

/// What stopped it, by the trap's name.
type Outcome<T> = Result<T, &'static str>;

enum Goes {
    On,
    Break,
    Continue,
}

struct Machine<'a> {
    program: &'a Program,
    checked: bool,
    left: i64,
    /// What each function sees of the globals.
    closures: Vec<Environment>,
}

fn compare(op: &str, x: i64, y: i64) -> bool {
    match op {
        "<" => x < y,
        "<=" => x <= y,
        ">" => x > y,
        ">=" => x >= y,
        "==" => x == y,
        _ => x != y,
    }
}

fn floor_div(x: i64, y: i64) -> i64 {
    let (x, y) = (i128::from(x), i128::from(y));
    (x / y - i128::from(x % y != 0 && (x < 0) != (y < 0))) as i64
}

/// Has the loop with this body a `break`?
fn breaks(body: &[Statement]) -> bool {
    body.iter().any(|statement| match statement {
        Statement::Break => true,
        Statement::If(_, then, otherwise) => breaks(then) || otherwise.as_ref().is_some_and(|o| breaks(o)),
        _ => false,
    })
}

impl Machine<'_> {
    fn overflow(&self, (value, overflowed): (i64, bool)) -> Outcome<i64> {
        if overflowed && self.checked { Err("Overflow") } else { Ok(value) }
    }

    fn binary(&self, op: &str, x: i64, y: i64) -> Outcome<i64> {
        match op {
            "+" => self.overflow(x.overflowing_add(y)),
            "-" => self.overflow(x.overflowing_sub(y)),
            "*" => self.overflow(x.overflowing_mul(y)),
            "//" | "%" if y == 0 => {
                if self.checked {
                    Err("DivisionByZero")
                } else {
                    Ok(0)
                }
            }
            "//" if y == -1 => self.overflow(x.overflowing_neg()),
            "//" => Ok(floor_div(x, y)),
            "%" => Ok((i128::from(x) - i128::from(y) * i128::from(floor_div(x, y))) as i64),
            "&" => Ok(x & y),
            "|" => Ok(x | y),
            "min" => Ok(x.min(y)),
            "max" => Ok(x.max(y)),
            _ => unreachable!(),
        }
    }

    fn expr(&mut self, e: &Expr, env: &mut Environment) -> Outcome<i64> {
        match e {
            Expr::Literal(value) => Ok(*value),
            Expr::Name(name) => Ok(env.iter().rev().find(|(n, _)| n == name).unwrap().1),
            Expr::Neg(x) => {
                let x = self.expr(x, env)?;
                self.overflow(x.overflowing_neg())
            }
            Expr::Binary(op, x, y) => {
                let (x, y) = (self.expr(x, env)?, self.expr(y, env)?);
                self.binary(op, x, y)
            }
            Expr::If(c, x, y) => {
                if self.cond(c, env)? {
                    self.expr(x, env)
                } else {
                    self.expr(y, env)
                }
            }
            Expr::Blocks(c, arms) => {
                let (statements, value) = &arms[usize::from(!self.cond(c, env)?)];
                let scope = env.len();
                self.statements(statements, env)?;
                let value = self.expr(value, env);
                env.truncate(scope);
                value
            }
            Expr::Call(number, arguments) => {
                let mut inner = self.closures[*number].clone();
                let function = &self.program.functions[*number];
                for (param, argument) in function.params.iter().zip(arguments) {
                    let value = self.expr(argument, env)?;
                    inner.push((param, value));
                }
                self.statements(&function.body.0, &mut inner)?;
                self.expr(&function.body.1, &mut inner)
            }
            Expr::Fold(name, range, term) => {
                let mut result = match *name {
                    "sum" => 0,
                    "prod" => 1,
                    "min" => i64::MAX,
                    _ => i64::MIN,
                };
                let op = match *name {
                    "sum" => "+",
                    "prod" => "*",
                    name => name,
                };
                self.iterate(range, false, env, |machine, env| {
                    let value = machine.expr(term, env)?;
                    result = machine.binary(op, result, value)?;
                    Ok(true)
                })?;
                Ok(result)
            }
            Expr::Count(range, term) => {
                let mut result = 0;
                self.iterate(range, false, env, |machine, env| {
                    result += i64::from(machine.cond(term, env)?);
                    Ok(true)
                })?;
                Ok(result)
            }
        }
    }

    fn cond(&mut self, c: &Cond, env: &mut Environment) -> Outcome<bool> {
        Ok(match c {
            Cond::Compare(op, x, y) => {
                let (x, y) = (self.expr(x, env)?, self.expr(y, env)?);
                compare(op, x, y)
            }
            Cond::Chain(x, op, y, op2, z) => {
                let (x, y) = (self.expr(x, env)?, self.expr(y, env)?);
                compare(op, x, y) && compare(op2, y, self.expr(z, env)?)
            }
            Cond::And(x, y) => self.cond(x, env)? && self.cond(y, env)?,
            Cond::Or(x, y) => self.cond(x, env)? || self.cond(y, env)?,
            Cond::Not(x) => !self.cond(x, env)?,
            Cond::Fold(any, range, term) => {
                let mut result = !any;
                self.iterate(range, true, env, |machine, env| {
                    result = machine.cond(term, env)?;
                    Ok(result != *any)
                })?;
                result
            }
        })
    }

    fn step(&mut self) -> Outcome<()> {
        self.left -= 1;
        if self.left < 0 { Err("Steps") } else { Ok(()) }
    }

    fn iterate(
        &mut self,
        range: &Range,
        early: bool,
        env: &mut Environment,
        mut body: impl FnMut(&mut Self, &mut Environment) -> Outcome<bool>,
    ) -> Outcome<()> {
        let (lo, hi) = (self.expr(&range.lo, env)?, self.expr(&range.hi, env)?);
        let end = i128::from(hi) + i128::from(range.inclusive);
        let count = (end - i128::from(lo)).max(0);
        if !early {
            if count > i128::from(self.left) {
                return Err("Steps");
            }
            self.left -= count as i64;
        }
        for i in 0..count {
            if early {
                self.step()?;
            }
            env.push((range.name, (i128::from(lo) + i) as i64));
            let goes_on = body(self, env)?;
            env.pop();
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn statements(&mut self, statements: &[Statement], env: &mut Environment) -> Outcome<Goes> {
        for statement in statements {
            match statement {
                Statement::Let(name, x) | Statement::Var(name, x) => {
                    let value = self.expr(x, env)?;
                    env.push((name, value));
                }
                Statement::Assign(name, x) => {
                    let value = self.expr(x, env)?;
                    env.iter_mut().rev().find(|(n, _)| n == name).unwrap().1 = value;
                }
                Statement::For(range, body) => self.iterate(range, breaks(body), env, |machine, env| {
                    let scope = env.len();
                    let goes = machine.statements(body, env)?;
                    env.truncate(scope);
                    Ok(!matches!(goes, Goes::Break))
                })?,
                Statement::While(condition, body) => {
                    while self.cond(condition, env)? {
                        self.step()?;
                        let scope = env.len();
                        let goes = self.statements(body, env)?;
                        env.truncate(scope);
                        if matches!(goes, Goes::Break) {
                            break;
                        }
                    }
                }
                Statement::If(condition, then, otherwise) => {
                    let nothing = Vec::new();
                    let arm = if self.cond(condition, env)? { then } else { otherwise.as_ref().unwrap_or(&nothing) };
                    let scope = env.len();
                    let goes = self.statements(arm, env)?;
                    env.truncate(scope);
                    if !matches!(goes, Goes::On) {
                        return Ok(goes);
                    }
                }
                Statement::Break => return Ok(Goes::Break),
                Statement::Continue => return Ok(Goes::Continue),
            }
        }
        Ok(Goes::On)
    }
}

fn evaluate(program: &Program, arguments: [i64; 3], checked: bool, steps: i64) -> Outcome<i64> {
    let mut env: Environment = ["x", "y", "z"].into_iter().zip(arguments).collect();
    let closures = vec![Environment::new(); program.functions.len()];
    let mut machine = Machine { program, checked, left: steps, closures };
    for at in 0..=program.globals.len() {
        for (number, _) in program.functions.iter().enumerate().filter(|(_, f)| f.globals == at) {
            machine.closures[number] = env.clone();
        }
        if let Some((name, value)) = program.globals.get(at) {
            let value = machine.expr(value, &mut env)?;
            env.push((name, value));
        }
    }
    machine.statements(&program.body, &mut env)?;
    machine.expr(&program.result, &mut env)
}

// Generation.

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn often(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "k", "m"];
const EXTREMES: [i64; 6] = [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, -1, 1 << 40];

struct Generator {
    random: Random,
    /// Names in scope, and whether they are variables.
    scope: Vec<(&'static str, bool)>,
    /// How many loops are open.
    loops: u32,
    /// The functions that may be called: these numbers, with how many parameters.
    callable: Vec<(usize, usize)>,
    /// How many parts may still be made.
    fuel: usize,
}

impl Generator {
    fn name(&mut self) -> Option<&'static str> {
        if self.scope.is_empty() { None } else { Some(self.scope[self.random.below(self.scope.len())].0) }
    }

    fn variable(&mut self) -> Option<&'static str> {
        // A name that is hidden by one that is no variable cannot be assigned.
        let visible = |scope: &[(&'static str, bool)], name| scope.iter().rev().find(|(n, _)| *n == name).unwrap().1;
        let names: Vec<_> = self.scope.iter().map(|s| s.0).filter(|n| visible(&self.scope, *n)).collect();
        if names.is_empty() { None } else { Some(self.random.of(&names)) }
    }

    fn leaf(&mut self) -> Expr {
        match self.name() {
            Some(name) if self.random.often(65) => Expr::Name(name),
            _ if self.random.often(4) => Expr::Literal(self.random.of(&EXTREMES)),
            _ => Expr::Literal(self.random.below(9) as i64 - 3),
        }
    }

    fn expr(&mut self, depth: u32) -> Expr {
        self.fuel = self.fuel.saturating_sub(1);
        if depth == 0 || self.fuel == 0 {
            return self.leaf();
        }
        let boxed = |this: &mut Self| Box::new(this.expr(depth - 1));
        match self.random.below(20) {
            0..=3 => self.leaf(),
            4..=10 => {
                let op = self.random.of(&["+", "+", "-", "*", "//", "%", "&", "|", "min", "max"]);
                Expr::Binary(op, boxed(self), boxed(self))
            }
            11 => Expr::Neg(boxed(self)),
            12 | 13 => Expr::If(Box::new(self.cond(depth - 1)), boxed(self), boxed(self)),
            14 => {
                let condition = Box::new(self.cond(depth - 1));
                // A jump cannot leave an expression.
                let loops = std::mem::take(&mut self.loops);
                let arms = [(); 2].map(|()| {
                    let scope = self.scope.len();
                    let mut statements = self.statements(depth - 1);
                    statements.retain(|s| !matches!(s, Statement::Break | Statement::Continue));
                    let value = Box::new(self.expr(depth - 1));
                    self.scope.truncate(scope);
                    (statements, value)
                });
                self.loops = loops;
                Expr::Blocks(condition, arms)
            }
            15..=17 if !self.callable.is_empty() => {
                let (number, params) = self.random.of(&self.callable.clone());
                Expr::Call(number, (0..params).map(|_| self.expr(depth - 1)).collect())
            }
            18 => {
                let range = Box::new(self.range(depth - 1));
                self.scope.push((range.name, false));
                let result = Expr::Count(range, Box::new(self.cond(depth - 1)));
                self.scope.pop();
                result
            }
            _ => {
                let range = Box::new(self.range(depth - 1));
                self.scope.push((range.name, false));
                let result = Expr::Fold(self.random.of(&["sum", "prod", "min", "max"]), range, boxed(self));
                self.scope.pop();
                result
            }
        }
    }

    fn range(&mut self, depth: u32) -> Range {
        let (name, inclusive) = (self.random.of(&NAMES), self.random.often(50));
        let (lo, hi) = match self.random.below(12) {
            0 => (Expr::Literal(i64::MAX - self.random.below(4) as i64), Expr::Literal(i64::MAX)),
            1 => (Expr::Literal(i64::MIN), self.leaf()),
            2 => (self.leaf(), Expr::Literal(i64::MAX)),
            3..=5 => (Expr::Literal(self.random.below(4) as i64), Expr::Literal(self.random.below(9) as i64)),
            6 | 7 => (Expr::Literal(0), self.leaf()),
            _ => {
                let mut small = || Expr::Binary("&", Box::new(self.expr(depth.min(2))), Box::new(Expr::Literal(7)));
                (small(), small())
            }
        };
        Range { name, lo, hi, inclusive }
    }

    fn cond(&mut self, depth: u32) -> Cond {
        let op = |this: &mut Self| this.random.of(&["<", "<=", ">", ">=", "==", "!="]);
        let next = depth.saturating_sub(1);
        match self.random.below(if depth == 0 { 3 } else { 9 }) {
            0..=3 => Cond::Compare(op(self), self.expr(next), self.expr(next)),
            4 => Cond::Chain(self.expr(next), op(self), self.expr(next), op(self), self.expr(next)),
            5 => Cond::And(Box::new(self.cond(next)), Box::new(self.cond(next))),
            6 => Cond::Or(Box::new(self.cond(next)), Box::new(self.cond(next))),
            7 => Cond::Not(Box::new(self.cond(next))),
            _ => {
                let range = Box::new(self.range(next));
                self.scope.push((range.name, false));
                let result = Cond::Fold(self.random.often(50), range, Box::new(self.cond(next)));
                self.scope.pop();
                result
            }
        }
    }

    fn block(&mut self, depth: u32, is_loop: bool) -> Vec<Statement> {
        let scope = self.scope.len();
        self.loops += u32::from(is_loop);
        let statements = self.statements(depth);
        self.loops -= u32::from(is_loop);
        self.scope.truncate(scope);
        statements
    }

    fn statements(&mut self, depth: u32) -> Vec<Statement> {
        let count = self.random.below(5);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    fn statement(&mut self, depth: u32) -> Statement {
        let next = depth.saturating_sub(1);
        let choice = self.random.below(if depth == 0 || self.fuel == 0 { 10 } else { 16 });
        match choice {
            0..=5 | 8 => {
                let value = self.expr(depth.min(3));
                match self.variable() {
                    Some(name) if choice > 0 => Statement::Assign(name, value),
                    _ => self.bind(true, value),
                }
            }
            6 | 7 => {
                let (is_var, value) = (self.random.often(60), self.expr(depth.min(3)));
                self.bind(is_var, value)
            }
            9 if self.loops > 0 => {
                if self.random.often(60) {
                    Statement::Break
                } else {
                    Statement::Continue
                }
            }
            10 | 11 if depth > 0 => {
                let range = self.range(next);
                self.scope.push((range.name, false));
                let body = self.block(next, true);
                self.scope.pop();
                Statement::For(range, body)
            }
            12 if depth > 0 => {
                let condition = self.cond(next);
                Statement::While(condition, self.block(next, true))
            }
            _ => {
                let condition = self.cond(next);
                let then = self.block(next, false);
                let otherwise = if self.random.often(50) { Some(self.block(next, false)) } else { None };
                Statement::If(condition, then, otherwise)
            }
        }
    }

    fn bind(&mut self, is_var: bool, value: Expr) -> Statement {
        let name = self.random.of(&NAMES);
        self.scope.push((name, is_var));
        if is_var { Statement::Var(name, value) } else { Statement::Let(name, value) }
    }

    fn program(&mut self) -> Program {
        self.scope = vec![("x", false), ("y", false), ("z", false)];
        let (mut globals, mut functions) = (Vec::new(), Vec::new());
        let inputs = 3;
        let wanted = self.random.below(4);
        for number in 0..wanted {
            if self.random.often(40) {
                let value = self.expr(2);
                let name = self.random.of(&NAMES);
                globals.push((name, value));
                self.scope.push((name, false));
            }
            let outside = self.scope.len();
            let count = self.random.below(3);
            let mut params = NAMES.to_vec();
            params.rotate_left(self.random.below(NAMES.len()));
            params.truncate(count);
            self.scope.extend(params.iter().map(|&name| (name, false)));
            let statements = if self.random.often(50) { self.statements(2) } else { Vec::new() };
            let body = (statements, self.expr(3));
            self.scope.truncate(outside);
            functions.push(Function { params, body, globals: outside - inputs });
            self.callable.push((number, count));
        }
        let body = self.statements(4);
        let result = self.expr(3);
        Program { globals, functions, body, result }
    }
}

fn compiled(front: &mut FrontEnd, builder: &mut Builder, source: &str, checked: bool, steps: u64) {
    let params: Vec<(String, Option<Type>)> = ["x", "y", "z"].iter().map(|n| ((*n).to_owned(), None)).collect();
    let limits = Limits { steps, ..Limits::default() };
    let request = Request { params: Some(&params), default_type: Type::I64, checked, limits, ..request() };
    builder.reset(BuildOptions { checked, ..BuildOptions::default() });
    front.parse(source, request.limits);
    front.check(source, &request, builder);
    let failed = front.sink.has_errors();
    let diagnostics = front.sink.take();
    assert!(!failed && !builder.overflowed, "{source}\n{diagnostics:#?}");
    assert_eq!(crate::ir::verify::verify(&builder.func), Ok(()), "{source}");
}

#[test]
fn random_programs_do_what_their_trees_say() {
    let mut front = FrontEnd::new(std::iter::empty());
    let mut builder = Builder::default();
    let mut optimiser = Optimiser::default();
    let mut scratch = eval::Scratch::default();
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0..4_000u64 {
        let (scope, callable) = (Vec::new(), Vec::new());
        let mut generator = Generator { random: Random(seed << 20 | 77), scope, loops: 0, callable, fuel: 120 };
        let program = Rc::new(generator.program());
        let source = program.print();
        // As checked, and as the passes over regions leave it.
        for (checked, improved) in [(false, false), (false, true), (true, false), (true, true)] {
            let steps = 40 + (seed % 7) * 100;
            compiled(&mut front, &mut builder, &source, checked, steps);
            if improved {
                optimiser.run(&mut builder, steps);
            }
            let how = format!("checked {checked}, improved {improved}");
            for arguments in [[0, 1, 2], [-3, 5, 7], [i64::MAX, -1, 3]] {
                let expected = evaluate(&program, arguments, checked, steps as i64);
                let bits = arguments.map(|v| v as u64);
                let found = eval::evaluate(&builder.func, &bits, &mut scratch);
                let found = found.map(|()| scratch.bits(builder.func.results[0]) as i64);
                let found = found.map_err(|stop| format!("{:?}", stop.kind));
                *seen.entry(expected.as_ref().err().copied().unwrap_or("value")).or_default() += 1;
                let expected = expected.map_err(str::to_owned);
                assert_eq!(found, expected, "seed {seed}, {arguments:?}, {how}, {steps} steps\n{source}");
            }
        }
    }
    assert!(seen["value"] > 10_000 && seen["Steps"] > 500 && seen["Overflow"] > 100, "{seen:?}");
}
