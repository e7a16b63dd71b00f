//! Random programs as text: definitions, blocks, loops, aggregates, several results, in every spelling.
//!
//! The one idea: what comes out can be read without an error, and means something: names are declared before they are
//! used, only a `var` is assigned, a function is called with as many arguments as it has, conditions are conditions and
//! bounds are ints. To add a construct: an arm in `statement`, `number` or `truth`.

/// Makes programs; the same seed, the same programs.
pub(in crate::text) struct Programs {
    state: u64,
    out: String,
    /// Names that have a number as their value.
    names: Vec<String>,
    /// Those of them that can be assigned.
    variables: Vec<String>,
    /// Loop names, which are ints.
    ints: Vec<&'static str>,
    /// Functions and how many parameters they have.
    functions: Vec<(String, usize)>,
    fresh: usize,
    /// Bodies of loops that are open.
    bodies: usize,
}

const INPUTS: [&str; 5] = ["x", "y", "größe", "`a b`", "`for`"];

impl Programs {
    pub(in crate::text) fn new(seed: u64) -> Programs {
        let (out, names, variables, ints) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Programs { state: seed, out, names, variables, ints, functions: Vec::new(), fresh: 0, bodies: 0 }
    }

    /// A program, of about this nesting.
    pub(in crate::text) fn next(&mut self, depth: usize) -> String {
        self.out.clear();
        self.functions.clear();
        self.variables.clear();
        self.fresh = 0;
        self.names = INPUTS.map(str::to_owned).to_vec();
        if self.below(4) == 0 {
            self.push("|x, y: f64, größe,`a b`: f64, `for`|");
            self.any(&[" ", "\n"]);
        }
        for _ in 0..self.below(3) {
            self.function(depth);
        }
        for _ in 0..self.below(4) {
            self.statement(depth);
            self.separator();
        }
        if self.below(5) == 0 {
            self.results(depth)
        } else {
            self.number(depth)
        }
        if self.below(3) == 0 {
            self.separator();
        }
        std::mem::take(&mut self.out)
    }

    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) as usize % n
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn any(&mut self, of: &[&str]) {
        let text = of[self.below(of.len())];
        self.push(text);
    }

    fn separator(&mut self) {
        self.any(&["\n", "; ", ";\n", " # why\n", "\n\n  ", ";"]);
    }

    fn fresh(&mut self, letter: &str) -> String {
        self.fresh += 1;
        format!("{letter}{}", self.fresh)
    }

    fn function(&mut self, depth: usize) {
        let name = self.fresh("f");
        let outer = std::mem::take(&mut self.names);
        let count = self.below(4);
        self.push(&format!("fn {name}("));
        for i in 0..count {
            let parameter = self.fresh("p");
            self.push(if i > 0 { ", " } else { "" });
            self.push(&parameter);
            self.any(&["", "", ": f64", " : f64"]);
            self.names.push(parameter);
        }
        self.push(")");
        if self.below(2) == 0 {
            self.any(&[" = ", "=", " =\n    "]);
            self.number(depth);
        } else {
            self.push(" ");
            self.value_block(depth);
        }
        self.names = outer;
        self.functions.push((name, count));
        self.separator();
    }

    fn results(&mut self, depth: usize) {
        self.any(&["{ ", "{", "{\n  "]);
        for i in 0..1 + self.below(4) {
            if i > 0 {
                self.any(&[", ", ",\n  ", "\n  , "]);
            }
            let name = if i == 0 && self.below(5) == 0 { "`if`".to_owned() } else { self.fresh("r") };
            self.push(&format!("{name}: "));
            self.number(depth.min(3));
        }
        self.any(&[" }", "}", ",\n}", "\n}"]);
    }

    /// Some statements, each with its separator.
    fn statements(&mut self, depth: usize) {
        for _ in 0..self.below(3) {
            self.statement(depth);
            self.separator();
        }
    }

    /// A block with a value.
    fn value_block(&mut self, depth: usize) {
        let (names, variables) = (self.names.len(), self.variables.len());
        self.any(&["{ ", "{", "{\n", "{ # what\n"]);
        self.statements(depth);
        self.number(depth.saturating_sub(1));
        self.any(&[" }", "}", "\n}", ";}"]);
        self.names.truncate(names);
        self.variables.truncate(variables);
    }

    /// A block without.
    fn block(&mut self, depth: usize) {
        let (names, variables) = (self.names.len(), self.variables.len());
        self.any(&["{ ", "{", "{\n"]);
        self.statements(depth);
        if self.bodies > 0 && self.below(4) == 0 {
            self.any(&["break", "continue", "break\n"]);
        } else if self.below(2) == 0 {
            self.statement(depth);
        }
        self.any(&[" }", "}", "\n}", ";}"]);
        self.names.truncate(names);
        self.variables.truncate(variables);
    }

    fn statement(&mut self, depth: usize) {
        let simple = depth == 0;
        match self.below(if simple { 3 } else { 7 }) {
            0 => {
                let name = self.fresh("t");
                self.push(&format!("let {name} = "));
                self.number(depth.saturating_sub(1));
                self.names.push(name);
            }
            1 | 2 if self.variables.is_empty() => {
                let name = self.fresh("v");
                self.push(&format!("var {name} = "));
                self.number(depth.saturating_sub(1));
                self.names.push(name.clone());
                self.variables.push(name);
            }
            1..=3 if !self.variables.is_empty() => {
                let at = self.below(self.variables.len());
                let name = self.variables[at].clone();
                self.push(&name);
                self.any(&[" = ", "=", " =\n"]);
                self.number(depth.saturating_sub(1));
            }
            4 => {
                self.push("while ");
                self.truth(depth - 1);
                self.push(" ");
                self.bodies += 1;
                self.block(depth - 1);
                self.bodies -= 1;
            }
            5 => {
                self.push("for ");
                let name = self.range(depth - 1);
                self.push(" ");
                self.ints.push(name);
                self.bodies += 1;
                self.block(depth - 1);
                self.bodies -= 1;
                self.ints.pop();
            }
            _ => self.choice_of_statements(depth),
        }
    }

    fn choice_of_statements(&mut self, depth: usize) {
        self.push("if ");
        self.truth(depth.saturating_sub(1));
        self.push(" ");
        self.block(depth.saturating_sub(1));
        for _ in 0..self.below(3) {
            self.any(&[" else if ", "\nelse if ", "else if "]);
            self.truth(depth.saturating_sub(1));
            self.push(" ");
            self.block(depth.saturating_sub(1));
        }
        if self.below(2) == 0 {
            self.any(&[" else ", "\nelse\n", "else"]);
            self.block(depth.saturating_sub(1));
        }
    }

    /// `name in low..high`; returns the name.
    fn range(&mut self, depth: usize) -> &'static str {
        let name = ["i", "j", "k", "`in`"][self.below(4)];
        self.push(&format!("{name} in "));
        self.int(depth);
        self.any(&["..", "..=", " .. ", " ..= "]);
        self.int(depth);
        name
    }

    /// An int that binds tighter than a comparison.
    fn int(&mut self, depth: usize) {
        match self.below(if depth == 0 { 3 } else { 6 }) {
            0 if !self.ints.is_empty() => {
                let at = self.below(self.ints.len());
                let name = self.ints[at];
                self.push(name);
            }
            0..=2 => self.any(&["0", "1", "3", "10", "0x1f", "2i64"]),
            3 => {
                self.push("i64(");
                self.number(depth - 1);
                self.push(")");
            }
            4 => {
                self.int(depth - 1);
                self.any(&["+", " * ", " | ", "//", "&"]);
                self.int(depth - 1);
            }
            _ => {
                self.push("(");
                self.truth(depth - 1);
                self.push(" ? 1 : 4)");
            }
        }
    }

    fn number(&mut self, depth: usize) {
        match self.below(if depth == 0 { 3 } else { 14 }) {
            0 => self.any(&["1", "2.5", ".5", "7.", "1e-3", "1_000", "pi"]),
            1 | 2 => {
                let at = self.below(self.names.len().max(1));
                let name = self.names.get(at).cloned();
                self.push(name.as_deref().unwrap_or("2"));
            }
            3..=5 => {
                self.number(depth - 1);
                self.any(&[" + ", "-", "*", " / ", "//", "^", "**", " %\n "]);
                self.number(depth - 1);
            }
            6 => {
                let form = self.below(5);
                self.push(["(", "-(", "- -(", "(\n", "(("][form]);
                self.number(depth - 1);
                self.push(if form == 4 { "))" } else { ")" });
            }
            7 => {
                self.any(&["max(", "hypot(", "min("]);
                self.number(depth - 1);
                self.any(&[", ", ",\n"]);
                self.number(depth - 1);
                self.push(")");
            }
            8 => self.call(depth),
            9 | 10 => self.aggregate(&["sum(", "prod(", "min(", "max("], depth),
            _ => self.choice(depth),
        }
    }

    fn call(&mut self, depth: usize) {
        if self.functions.is_empty() {
            return self.push("sin(0.5)");
        }
        let at = self.below(self.functions.len());
        let (name, count) = self.functions[at].clone();
        self.push(&name);
        self.push("(");
        for i in 0..count {
            self.push(if i > 0 { ", " } else { "" });
            self.number(depth - 1);
        }
        self.push(")");
    }

    /// `sum(term for name in low..high)`.
    fn aggregate(&mut self, functions: &[&str], depth: usize) {
        self.any(functions);
        let start = self.out.len();
        let name = self.range(depth - 1);
        let range = self.out.split_off(start);
        self.ints.push(name);
        match functions[0] {
            "any(" => self.truth(depth - 1),
            _ if self.below(2) == 0 => self.push(name),
            _ => self.number(depth - 1),
        }
        self.ints.pop();
        self.any(&[" for ", "\nfor "]);
        self.push(&range);
        self.push(")");
    }

    /// The forms of `if` as an expression.
    fn choice(&mut self, depth: usize) {
        let form = self.below(4);
        self.push(["if(", "where(", "(", "if "][form]);
        self.truth(depth - 1);
        match form {
            0 | 1 => {
                self.push(", ");
                self.number(depth - 1);
                self.push(", ");
                self.number(depth - 1);
                self.push(")");
            }
            2 => {
                self.push(" ? ");
                self.number(depth - 1);
                self.push(" : ");
                self.number(depth - 1);
                self.push(")");
            }
            _ => {
                self.push(" ");
                self.value_block(depth - 1);
                for _ in 0..self.below(2) {
                    self.any(&[" else if ", "\nelse if "]);
                    self.truth(depth - 1);
                    self.push(" ");
                    self.value_block(depth - 1);
                }
                self.any(&[" else ", "\nelse "]);
                self.value_block(depth - 1);
            }
        }
    }

    fn truth(&mut self, depth: usize) {
        match self.below(if depth == 0 { 2 } else { 7 }) {
            0 | 1 => self.any(&["true", "x < 1", "y>=2", "0 < x < 1", "x ≠ y"]),
            2 => {
                self.number(depth - 1);
                self.any(&[" < ", ">=", " == "]);
                self.number(depth - 1);
            }
            3 => {
                self.push("(");
                self.truth(depth - 1);
                self.any(&[" and ", " or ", "&&", " ||\n"]);
                self.truth(depth - 1);
                self.push(")");
            }
            4 => {
                self.any(&["not (", "!("]);
                self.truth(depth - 1);
                self.push(")");
            }
            5 => self.aggregate(&["any(", "all("], depth),
            _ => {
                self.truth(depth - 1);
                self.any(&[" and ", " or "]);
                self.truth(depth - 1);
            }
        }
    }
}
