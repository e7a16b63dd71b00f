//! Random statements: variables, assignments, branches, loops, functions and aggregates over ranges.
//!
//! The one idea: whatever is written ends. Ranges have at most a few numbers, and a `while` counts in a variable that
//! nothing else is assigned to. To add a statement: an arm in `statement`.

use super::generate::Generator;
use super::generate::Ty::{self, Bool, F32, F64, I32, I64};

/// Loops inside one another, functions and statements in a row: few, since each multiplies the time.
const LOOPS: usize = 2;
const FUNCTIONS: usize = 3;
const STATEMENTS: usize = 4;

/// A function that the program defines.
#[derive(Clone)]
pub struct Function {
    name: String,
    params: Vec<Ty>,
    result: Ty,
}

impl Generator<'_> {
    /// Some definitions.
    pub(super) fn functions(&mut self, depth: u32) {
        for i in 0..self.below(FUNCTIONS + 1) {
            let name = format!("fun{i}");
            let params: Vec<Ty> = (0..self.below(4)).map(|_| self.one(&Ty::ALL)).collect();
            let result = self.one(&Ty::ALL);
            let outer = std::mem::take(&mut self.names);
            self.push(&format!("fn {name}("));
            for (k, ty) in params.iter().enumerate() {
                let parameter = format!("p{k}");
                let typed = if self.below(2) == 0 { format!(": {}", ty.name()) } else { String::new() };
                let comma = if k > 0 { ", " } else { "" };
                self.push(&format!("{comma}{parameter}{typed}"));
                self.names.push((parameter, *ty));
            }
            if self.below(2) == 0 {
                self.push(") = ");
                self.expression(result, depth.min(3));
            } else {
                self.push(") {\n");
                self.body(result, depth.min(3), true);
                self.push("\n}");
            }
            self.push("\n");
            self.names = outer;
            self.functions.push(Function { name, params, result });
        }
    }

    /// A call of one of the program's functions that gives this type, if there is one.
    pub(super) fn own_call(&mut self, ty: Ty, depth: u32) -> bool {
        let fitting: Vec<Function> = self.functions.iter().filter(|f| f.result == ty).cloned().collect();
        if fitting.is_empty() {
            return false;
        }
        let function = &fitting[self.below(fitting.len())];
        self.push(&format!("{}(", function.name));
        for (i, &param) in function.params.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            self.expression(param, depth);
        }
        self.push(")");
        true
    }

    /// An aggregate over a range, of this type.
    pub(super) fn aggregate(&mut self, ty: Ty, depth: u32) {
        let names: &[&str] = match ty {
            Bool => &["any", "all"],
            I64 => &["sum", "prod", "min", "max", "count"],
            I32 | F32 | F64 => &["sum", "prod", "min", "max"],
        };
        let name = self.one(names);
        let (index, ty) = (self.fresh_name("i"), if name == "count" { Bool } else { ty });
        let scope = self.names.len();
        self.push(&format!("{name}("));
        // The body comes first, and sees the index, whose type the bounds say.
        let bound = self.one(&[I32, I64]);
        self.names.push((index.clone(), bound));
        self.loops += 1;
        self.expression(ty, depth.min(2));
        self.loops -= 1;
        self.names.truncate(scope);
        self.push(&format!(" for {index} in "));
        self.range(bound);
        self.push(")");
    }

    /// Statements, each with its separator.
    pub(super) fn statements(&mut self, depth: u32) {
        for _ in 0..self.below(STATEMENTS) {
            self.statement(depth);
            let separator = self.one(&["; ", "\n", "\n\n"]);
            self.push(separator);
        }
    }

    fn statement(&mut self, depth: u32) {
        match self.below(if self.loops < LOOPS && depth > 0 { 8 } else { 5 }) {
            0 => {
                let (ty, name) = (self.one(&Ty::ALL), self.fresh_name("v"));
                self.push(&format!("var {name} = "));
                self.expression(ty, depth.saturating_sub(1));
                self.names.push((name.clone(), ty));
                self.variables.push((name, ty));
            }
            1 | 2 => self.assignment(depth),
            3 if self.breakable => {
                self.push("if ");
                self.expression(Bool, depth.saturating_sub(1));
                let word = self.one(&[" { break }", " { continue }"]);
                self.push(word);
            }
            3 | 4 if depth > 0 => {
                self.push("if ");
                self.expression(Bool, depth - 1);
                self.block(depth - 1);
                if self.below(2) == 0 {
                    self.push(" else");
                    self.block(depth - 1);
                }
            }
            5 | 6 => self.for_loop(depth),
            7 => self.while_loop(depth),
            _ => self.assignment(depth),
        }
    }

    fn assignment(&mut self, depth: u32) {
        let Some(at) = self.variables.len().checked_sub(1) else {
            let (name, ty) = (self.fresh_name("v"), self.one(&Ty::ALL));
            self.push(&format!("var {name} = "));
            self.expression(ty, depth.saturating_sub(1));
            self.names.push((name.clone(), ty));
            return self.variables.push((name, ty));
        };
        let at = at - self.below(at + 1);
        let (name, ty) = self.variables[at].clone();
        self.push(&format!("{name} = "));
        self.expression(ty, depth.saturating_sub(1));
    }

    fn for_loop(&mut self, depth: u32) {
        let (index, bound) = (self.fresh_name("k"), self.one(&[I32, I64]));
        self.push(&format!("for {index} in "));
        self.range(bound);
        let scope = self.names.len();
        self.names.push((index, bound));
        self.loop_block(depth, "");
        self.names.truncate(scope);
    }

    fn while_loop(&mut self, depth: u32) {
        let counter = self.fresh_name("w");
        let most = self.below(5);
        self.push(&format!("var {counter} = 0i64\nwhile {counter} < {most} and "));
        self.names.push((counter.clone(), I64));
        self.expression(Bool, depth - 1);
        self.loop_block(depth, &format!("{counter} = {counter} + 1\n"));
    }

    fn loop_block(&mut self, depth: u32, first: &str) {
        let breakable = std::mem::replace(&mut self.breakable, true);
        self.loops += 1;
        let (names, variables) = (self.names.len(), self.variables.len());
        self.push(&format!(" {{\n{first}"));
        self.statements(depth - 1);
        self.push("}");
        self.names.truncate(names);
        self.variables.truncate(variables);
        self.loops -= 1;
        self.breakable = breakable;
    }

    fn block(&mut self, depth: u32) {
        let (names, variables) = (self.names.len(), self.variables.len());
        self.push(" {\n");
        self.assignment(depth);
        self.push("\n");
        self.statements(depth);
        self.push("}");
        self.names.truncate(names);
        self.variables.truncate(variables);
    }

    /// A range of at most a few numbers of this type.
    fn range(&mut self, ty: Ty) {
        let (name, dots) = (ty.name(), self.one(&["..", "..="]));
        let low = self.one(&["0", "1", "2", "-1"]);
        let high = self.below(8);
        match self.below(3) {
            0 => self.push(&format!("{low}{name}{dots}{high}{name}")),
            1 => {
                self.push(&format!("{low}{name}{dots}("));
                self.expression(ty, 1);
                self.push(&format!(" & 3{name})"));
            }
            _ => self.push(&format!("{low}{name}{dots}6{name}")),
        }
    }

    fn fresh_name(&mut self, letter: &str) -> String {
        self.fresh += 1;
        format!("{letter}{}", self.fresh)
    }
}
