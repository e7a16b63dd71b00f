//! Syntax tree to canonical text.
//!
//! Owns the one way in which a formula is written back: `if(c, a, b)` for every condition, `and or not` for every
//! spelling, no parenthesis that the grammar does not need. The one idea: a list of things still to be written, so that
//! no depth of the tree needs a deep stack. Reading the text again gives the same tree; the tests hold it to that.
//!
//! Obligations of an adder: a new kind of node gets an arm in `expand`. Deliberately does not know types; meant for
//! trees that were read without errors.

#![forbid(unsafe_code)]

use super::ast::{Ast, Kind};
use super::parse::{level, level_of};
use super::symbols::{Symbol, Symbols};

/// Something still to be written.
#[derive(Clone, Copy)]
enum Piece {
    /// A subtree; in parentheses if it binds less tightly than this level.
    Tree(u32, u8),
    Text(&'static str),
    Name(Symbol),
}

struct Printer<'a> {
    ast: &'a Ast,
    symbols: &'a Symbols,
    source: &'a str,
    out: String,
    /// The last one is the next.
    pieces: Vec<Piece>,
    /// The parts of one node, in order.
    parts: Vec<Piece>,
    /// The children of one node, in order.
    children: Vec<u32>,
}

/// The formula that was read from `source`, in its canonical form.
pub(crate) fn print(ast: &Ast, symbols: &Symbols, source: &str) -> String {
    let (out, pieces, parts, children) = (String::new(), Vec::new(), Vec::new(), Vec::new());
    let mut printer = Printer { ast, symbols, source, out, pieces, parts, children };
    printer.signature();
    if let Some(last) = ast.nodes.len().checked_sub(1) {
        printer.pieces.push(Piece::Tree(last as u32, 0));
    }
    while let Some(piece) = printer.pieces.pop() {
        match piece {
            Piece::Text(text) => printer.out.push_str(text),
            Piece::Name(symbol) => printer.name(symbol),
            Piece::Tree(index, least) => printer.tree(index, least),
        }
    }
    printer.out
}

impl Printer<'_> {
    fn signature(&mut self) {
        if !self.ast.has_signature {
            return;
        }
        self.out.push('|');
        for (i, param) in self.ast.signature().iter().enumerate() {
            if i > 0 {
                self.out.push_str(", ");
            }
            self.name(param.symbol);
            if let Some(ty) = param.ty {
                self.out.push_str(": ");
                self.out.push_str(ty.name());
            }
        }
        self.out.push_str("| ");
    }

    fn name(&mut self, symbol: Symbol) {
        let name = self.symbols.name(symbol);
        let plain = symbol == Symbol::INFINITY || (super::is_name(name) && !super::lex::looks_latin(name));
        if plain || symbol == Symbol::VAR {
            self.out.push_str(name);
        } else {
            self.out.push('`');
            self.out.push_str(name);
            self.out.push('`');
        }
    }

    /// Writes a leaf, or puts the parts of a node on the list.
    fn tree(&mut self, index: u32, least: u8) {
        let node = self.ast.nodes[index as usize];
        match node.kind {
            Kind::Number => return self.number(index),
            Kind::Name => return self.name(node.symbol()),
            _ => {}
        }
        self.parts.clear();
        let parenthesised = level_of(node.kind) < least;
        if parenthesised {
            self.parts.push(Piece::Text("("));
        }
        self.children.clear();
        self.children.extend(self.ast.children_reversed(index));
        self.children.reverse();
        self.expand(index);
        if parenthesised {
            self.parts.push(Piece::Text(")"));
        }
        self.pieces.extend(self.parts.iter().rev());
    }

    /// The parts of a node that is no leaf.
    fn expand(&mut self, index: u32) {
        let node = self.ast.nodes[index as usize];
        let own = level_of(node.kind);
        match (node.kind, &self.children[..]) {
            (Kind::Pow, &[x, y]) => {
                // The exponent may have a sign: 2^-1.
                self.parts.extend([Piece::Tree(x, own + 1), Piece::Text("^"), Piece::Tree(y, level::UNARY)]);
            }
            (Kind::And | Kind::Or, &[x, _, y]) => {
                let text = if node.kind == Kind::And { " and " } else { " or " };
                self.parts.extend([Piece::Tree(x, own), Piece::Text(text), Piece::Tree(y, own + 1)]);
            }
            (kind, &[x, y]) if kind.is_binary() => {
                // A comparison of a comparison is written in parentheses, since without them it is a chain.
                let left = if kind.is_comparison() { own + 1 } else { own };
                self.parts.extend([Piece::Tree(x, left), spaced(kind), Piece::Tree(y, own + 1)]);
            }
            (kind, &[x]) if kind.is_prefix() => {
                let text = if kind == Kind::Not { "not " } else { kind.text() };
                self.parts.extend([Piece::Text(text), Piece::Tree(x, own)]);
            }
            (Kind::Chain, children) => {
                // a, b, link, c, link ...: each operand after the first follows its link. Operands in the middle take
                // `&` and `|` in parentheses only.
                let operands = children.iter().copied().filter(|&c| self.ast.nodes[c as usize].kind != Kind::Link);
                let links = children.iter().copied().filter(|&c| self.ast.nodes[c as usize].kind == Kind::Link);
                let mut links = links.map(|link| spaced(self.ast.nodes[link as usize].link()));
                let last = children.len() / 2;
                for (i, operand) in operands.enumerate() {
                    if i > 0 {
                        self.parts.extend(links.next());
                    }
                    let least = if i > 0 && i < last { level::SHIFT } else { own + 1 };
                    self.parts.push(Piece::Tree(operand, least));
                }
            }
            (Kind::If, &[condition, _, x, _, y]) => self.choice(condition, x, y),
            (Kind::Call, _) => {
                self.parts.extend([Piece::Name(node.symbol()), Piece::Text("(")]);
                for (i, &argument) in self.children.iter().enumerate() {
                    if i > 0 {
                        self.parts.push(Piece::Text(", "));
                    }
                    self.parts.push(Piece::Tree(argument, 0));
                }
                self.parts.push(Piece::Text(")"));
            }
            (Kind::Let, &[value]) => {
                self.parts.extend([
                    Piece::Text("let "),
                    Piece::Name(node.symbol()),
                    Piece::Text(" = "),
                    Piece::Tree(value, 0),
                ]);
            }
            (Kind::Block | Kind::Program, children) => {
                let between = if node.kind == Kind::Block { "; " } else { "\n" };
                let statements = children.iter().filter(|&&c| self.ast.nodes[c as usize].kind != Kind::BlockBegin);
                for (i, &statement) in statements.enumerate() {
                    if i > 0 {
                        self.parts.push(Piece::Text(between));
                    }
                    self.parts.push(Piece::Tree(statement, 0));
                }
            }
            // Only trees with errors have others.
            (_, children) => self.parts.extend(children.iter().map(|&child| Piece::Tree(child, 0))),
        }
    }

    /// A call, or blocks where an arm has statements.
    fn choice(&mut self, condition: u32, x: u32, y: u32) {
        let is_block = |arm: u32| self.ast.nodes[arm as usize].kind == Kind::Block;
        let (c, x_tree, y_tree) = (Piece::Tree(condition, 0), Piece::Tree(x, 0), Piece::Tree(y, 0));
        if is_block(x) || is_block(y) {
            let (open, close) = (Piece::Text(" { "), Piece::Text(" }"));
            let middle = Piece::Text(" } else { ");
            self.parts.extend([Piece::Text("if "), c, open, x_tree, middle, y_tree, close]);
        } else {
            let comma = Piece::Text(", ");
            self.parts.extend([Piece::Text("if("), c, comma, x_tree, comma, y_tree, Piece::Text(")")]);
        }
    }

    /// The literal as it stands in the source, since its digits matter to every type, in the usual spelling.
    fn number(&mut self, index: u32) {
        let text = self.ast.nodes[index as usize].span().text(self.source);
        let mut rest = text;
        // Parentheses around the number, and white space and comments inside them.
        loop {
            rest = rest.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
            let Some(comment) = rest.strip_prefix('#') else { break };
            rest = comment.find('\n').map_or("", |at| &comment[at..]);
        }
        let bytes = rest.as_bytes();
        let radix =
            bytes.first() == Some(&b'0') && matches!(bytes.get(1), Some(b'x' | b'X' | b'b' | b'B' | b'o' | b'O'));
        let end = (0..bytes.len()).find(|&i| {
            let sign = i > 0 && !radix && matches!(bytes[i - 1], b'e' | b'E') && matches!(bytes[i], b'+' | b'-');
            !(sign || bytes[i].is_ascii_alphanumeric() || matches!(bytes[i], b'_' | b'.'))
        });
        let literal = &rest[..end.unwrap_or(rest.len())];
        if literal.starts_with('.') {
            self.out.push('0');
        }
        let mut characters = literal.chars().filter(|&c| c != '_').peekable();
        while let Some(c) = characters.next() {
            self.out.push(c.to_ascii_lowercase());
            if c == '.' && !characters.peek().is_some_and(char::is_ascii_digit) {
                self.out.push('0');
            }
        }
    }
}

/// An operator with its spaces.
fn spaced(kind: Kind) -> Piece {
    Piece::Text(match kind {
        Kind::Add => " + ",
        Kind::Sub => " - ",
        Kind::Mul => " * ",
        Kind::Div => " / ",
        Kind::FloorDiv => " // ",
        Kind::Mod => " % ",
        Kind::Shl => " << ",
        Kind::Shr => " >> ",
        Kind::BitAnd => " & ",
        Kind::BitOr => " | ",
        Kind::Eq => " == ",
        Kind::Ne => " != ",
        Kind::Lt => " < ",
        Kind::Le => " <= ",
        Kind::Gt => " > ",
        Kind::Ge => " >= ",
        kind => kind.text(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::ast::{Ast, PARENTHESISED};
    use super::super::{FrontEnd, Limits};
    use proptest::prelude::*;

    fn front() -> FrontEnd {
        FrontEnd::new(std::iter::empty())
    }

    /// Everything of a tree but its places: nodes, names, literals as written, signature.
    fn shape(front: &mut FrontEnd, source: &str) -> Option<(Vec<String>, String)> {
        front.parse(source, Limits::default());
        let fine = front.sink.take().iter().all(|d| !d.is_error());
        let Ast { nodes, literals, params, has_signature, .. } = &front.ast;
        let mut all: Vec<String> = Vec::new();
        for node in nodes {
            let what = match node.kind {
                super::Kind::Number => {
                    let l = literals[node.data as usize];
                    let int = if l.flags & super::super::lex::INTEGER != 0 { l.int } else { 0 };
                    format!("{:?} {int} {} {:?}", l.value, l.flags, l.suffix)
                }
                super::Kind::Name | super::Kind::Call | super::Kind::Let => {
                    front.symbols.name(node.symbol()).to_owned()
                }
                _ => String::new(),
            };
            all.push(format!("{:?} {} {} {} {what}", node.kind, node.count, node.first, node.flags & !PARENTHESISED));
        }
        let params: Vec<String> =
            params.iter().map(|p| format!("{} {:?}", front.symbols.name(p.symbol), p.ty)).collect();
        all.push(format!("{has_signature} {params:?}"));
        fine.then(|| (all, front.print(source)))
    }

    #[test]
    fn canonical_texts() {
        #[rustfmt::skip]
        let table = [
            ("1+2 * 3", "1 + 2 * 3"), ("(1+2)*(3)", "(1 + 2) * 3"), ("((a-(b-c)))", "a - (b - c)"), ("(a-b)-c", "a - b - c"),
            ("(-2)**2", "(-2)^2"), ("-(2^2)", "-2^2"), ("2^(-1)", "2^-1"), ("(2^3)^2", "(2^3)^2"), ("2^(3^2)", "2^3^2"), ("-(-x)", "--x"),
            ("a&&b || !c", "a and b or not c"), ("a and (b or c)", "a and (b or c)"), ("not (a == b)", "not a == b"), ("!a == b", "(not a) == b"),
            ("0 <x≤1", "0 < x <= 1"), ("(a<b)<c", "(a < b) < c"), ("a < (b&c) < d", "a < (b & c) < d"), ("(a&b) < c", "a & b < c"),
            ("c ? a : b ? d : e", "if(c, a, if(b, d, e))"), ("where(c,a,b)", "if(c, a, b)"), ("if c {a} else {b}", "if(c, a, b)"),
            ("if c { let t=a\n t } else if d {b} else {e}", "if c { let t = a; t } else { if(d, b, e) }"),
            ("let a=1;let b=2\n\n a*b # product", "let a = 1\nlet b = 2\na * b"), ("|x:f64,n| x*n", "|x: f64, n| x * n"), ("||1", "|| 1"),
            ("`any column`*`e`+`for`+`а`", "`any column` * e + `for` + `а`"), ("π+∞", "π + ∞"), ("( # (\n 5. ) + .5 + 1_000.5E+3F", ""),
            ("( # (\n 5. ) + .5 + 1_000.5E+3", "5.0 + 0.5 + 1000.5e+3"), ("0XFFi64 + 0b1_0", "0xffi64 + 0b10"), ("2.f32", "2.0f32"), ("var(x) + f()", "var(x) + f()"),
        ];
        let mut front = front();
        for (source, expected) in table {
            if !expected.is_empty() {
                assert_eq!(shape(&mut front, source).expect(source).1, expected, "{source}");
            }
        }
    }

    /// A formula with every operand in parentheses, or not.
    fn formula() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "x", "y", "1", "2.5", "pi", "0xff", "3i32", "true", "`a b`", "1e-3", ".5", "7.", "1_000", "größe", "f()",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(6, 60, 4, |inner| {
            #[rustfmt::skip]
            let operators = prop::sample::select(vec!["+", "-", "*", "/", "//", "%", "^", "**", "<<", ">>", "&", "|", "==", "!=", "<", "<=",
                ">", ">=", " and ", " or ", "&&", "||", "≤"]);
            let prefix = prop::sample::select(vec!["-", "+", "~", "!", "not "]);
            prop_oneof![
                (inner.clone(), operators.clone(), inner.clone()).prop_map(|(a, op, b)| format!("({a}){op}({b})")),
                (inner.clone(), operators, inner.clone()).prop_map(|(a, op, b)| format!("{a}{op}{b}")),
                (prefix, inner.clone()).prop_map(|(op, a)| format!("{op}({a})")),
                (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a}) < ({b}) >= ({c})")),
                (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
                (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("if {a} {{ let t = {b}; t }} else {{ {c} }}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("max({a}, {b})")),
                inner.prop_map(|a| format!("({a})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
        #[test]
        fn printing_keeps_the_tree(lets in prop::collection::vec(formula(), 0..3), result in formula(), signature in prop::bool::ANY) {
            let mut front = front();
            let head = if signature { "|x, y: i32| " } else { "" };
            let lets: String = lets.iter().enumerate().map(|(i, value)| format!("let k{i} = {value};")).collect();
            let source = format!("{head}{lets}{result}");
            // What cannot be read (`a < b & c < d`) cannot be printed either.
            if let Some((tree, printed)) = shape(&mut front, &source) {
                let again = shape(&mut front, &printed);
                prop_assert!(again.is_some(), "{source}\n{printed}");
                let (tree_again, printed_again) = again.unwrap();
                prop_assert_eq!(&tree, &tree_again, "{}\n{}", source, printed);
                prop_assert_eq!(&printed, &printed_again);
                // Without any one pair of its parentheses it is another formula.
                for (open, close) in pairs(&printed) {
                    let mut less = printed.clone().into_bytes();
                    (less[open], less[close]) = (b' ', b' ');
                    let less = String::from_utf8(less).unwrap();
                    let other = shape(&mut front, &less);
                    prop_assert!(other.is_none_or(|(other, _)| other != tree), "{printed}\n{less}");
                }
            }
        }
    }

    /// The pairs of parentheses that do not follow a name. Those around `not` stay, for the reader's sake: the grammar
    /// takes a prefix operator after any other.
    fn pairs(text: &str) -> Vec<(usize, usize)> {
        let (mut open, mut all) = (Vec::new(), Vec::new());
        for (i, b) in text.bytes().enumerate() {
            match b {
                b'(' => open.push((
                    i,
                    (i > 0 && text.as_bytes()[i - 1].is_ascii_alphanumeric()) || text[i..].starts_with("(not "),
                )),
                b')' => {
                    if let Some((start, false)) = open.pop() {
                        all.push((start, i));
                    }
                }
                _ => {}
            }
        }
        all
    }

    #[test]
    fn deep_trees_are_printed_without_a_stack() {
        let run = || {
            let mut front = front();
            let n = 100_000;
            for source in [
                "(".repeat(n) + "x" + &")".repeat(n),
                "-(".repeat(n) + "x" + &")".repeat(n),
                "x*(y+".repeat(n) + "x" + &")".repeat(n),
                vec!["x"; n].join("<"),
            ] {
                let (tree, printed) = shape(&mut front, &source).unwrap();
                assert_eq!(shape(&mut front, &printed).unwrap().0, tree);
            }
        };
        std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
    }
}
