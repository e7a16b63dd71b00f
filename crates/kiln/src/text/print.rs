//! Syntax tree to canonical text.
//!
//! Owns the one way in which a formula is written back: `if(c, a, b)` for every condition, `and or not` for every
//! spelling, no parenthesis that the grammar does not need, a line for every statement. The one idea: a list of things
//! still to be written, so that no depth of the tree needs a deep stack. Reading the text again gives the same tree; the
//! tests hold it to that.
//!
//! With comments, each stays before the statement or beside the one where it stood; one in the middle of a statement
//! that is written on one line goes above it. Between statements an empty line stays.
//!
//! Obligations of an adder: a new kind of node gets an arm in `expand`; what has a line of its own is a
//! `Piece::Statement`, and what closes a block has a `Piece::Rest` before it. Deliberately does not know types; meant
//! for trees that were read without errors.

#![forbid(unsafe_code)]

use super::ast::{Ast, INCLUSIVE, Kind, Node};
use super::comments::Comments;
use super::parse::{level, level_of};
use super::symbols::{Symbol, Symbols};

/// Something still to be written.
#[derive(Clone, Copy)]
enum Piece {
    /// A subtree; in parentheses if it binds less tightly than this level.
    Tree(u32, u8),
    Text(&'static str),
    Name(Symbol),
    /// The name of a function that is called.
    Callee(Symbol),
    /// A new line.
    Line,
    /// A subtree on a line of its own, with the comments before it; the first of its block or not.
    Statement(u32, bool),
    /// The comment beside what ends at this place.
    Beside(u32),
    /// The comments before this place, where a block ends.
    Rest(u32),
    /// What follows is indented one level more.
    In,
    /// One level less.
    Out,
}

/// Deeper blocks are not indented further: the text stays proportional to the formula.
const DEEPEST_INDENT: usize = 24;

struct Printer<'a> {
    ast: &'a Ast,
    symbols: &'a Symbols,
    source: &'a str,
    out: String,
    /// Levels of indentation.
    depth: usize,
    /// Of each node: is it an `if` that is written with blocks, since there are statements in it?
    has_blocks: Vec<bool>,
    /// The comments that are kept: all, or none.
    comments: Comments<'a>,
    /// How many blocks begin before each node, if there are comments.
    blocks: Vec<u32>,
    /// The last one is the next.
    pieces: Vec<Piece>,
    /// The parts of one node, in order.
    parts: Vec<Piece>,
    /// The children of one node, in order.
    children: Vec<u32>,
}

/// The formula that was read from `source`, in its canonical form.
pub(crate) fn print(ast: &Ast, symbols: &Symbols, source: &str) -> String {
    print_with(ast, symbols, source, Comments::default())
}

/// The same with its comments, and with one empty line where there were some.
pub(crate) fn format(ast: &Ast, symbols: &Symbols, source: &str) -> String {
    print_with(ast, symbols, source, Comments::of(source))
}

fn print_with(ast: &Ast, symbols: &Symbols, source: &str, comments: Comments<'_>) -> String {
    let (out, pieces, parts, children) = (String::new(), Vec::new(), Vec::new(), Vec::new());
    let has_blocks = ifs_with_blocks(ast);
    let blocks = if comments.any_before(u32::MAX) { blocks_before(ast) } else { Vec::new() };
    let depth = 0;
    let mut printer =
        Printer { ast, symbols, source, out, depth, has_blocks, comments, blocks, pieces, parts, children };
    if let Some(last) = ast.nodes.len().checked_sub(1) {
        printer.pieces.push(Piece::Tree(last as u32, 0));
    }
    while let Some(piece) = printer.pieces.pop() {
        match piece {
            Piece::Text(text) => printer.out.push_str(text),
            Piece::Name(symbol) => printer.name(symbol),
            // A function of this name needs no back-ticks.
            Piece::Callee(Symbol::VAR) => printer.out.push_str("var"),
            Piece::Callee(symbol) => printer.name(symbol),
            Piece::Line => printer.line(),
            Piece::In => printer.depth += 1,
            Piece::Out => printer.depth -= 1,
            Piece::Tree(index, least) => printer.tree(index, least),
            Piece::Statement(index, is_first) => printer.begin_statement(index, is_first),
            Piece::Beside(place) => printer.beside(place),
            Piece::Rest(place) => printer.rest(place),
        }
    }
    printer.rest(u32::MAX);
    printer.out
}

/// How many blocks begin before each node, and before the end.
fn blocks_before(ast: &Ast) -> Vec<u32> {
    let mut count = 0;
    let counts = ast.nodes.iter().map(|node| {
        count += u32::from(node.kind == Kind::BlockBegin);
        count
    });
    std::iter::once(0).chain(counts).collect()
}

/// Which nodes are `if` expressions with statements in their arms, or in those of an `if` that is an arm.
fn ifs_with_blocks(ast: &Ast) -> Vec<bool> {
    let mut all: Vec<bool> = Vec::with_capacity(ast.nodes.len());
    for (at, node) in ast.nodes.iter().enumerate() {
        // Before the second arm stands `IfElse`, and before that the first.
        let arms = || Some((at.checked_sub(1)?, (ast.nodes[at - 1].first as usize).checked_sub(2)?));
        let has = |arm: usize| ast.nodes[arm].kind == Kind::Block || all[arm];
        let with_blocks = node.kind == Kind::If && arms().is_some_and(|(y, x)| has(x) || has(y));
        all.push(with_blocks);
    }
    all
}

impl Printer<'_> {
    /// Writes the signature, and puts the statements on the list.
    fn program(&mut self, index: u32) {
        self.children.clear();
        self.children.extend(self.ast.children_reversed(index));
        let only = if self.children.len() == 1 { self.children.first().copied() } else { None };
        if let Some(only) = only.filter(|&only| self.signature(Some(only))) {
            return self.pieces.extend([Piece::Beside(self.ast.nodes[only as usize].end), Piece::Tree(only, 0)]);
        }
        if only.is_none() {
            self.signature(None);
        }
        self.pieces.extend(self.children.iter().map(|&statement| Piece::Statement(statement, false)));
    }

    /// Writes the signature, if there is one. Does the `only` statement of the program stand on its line?
    fn signature(&mut self, only: Option<u32>) -> bool {
        if !self.ast.has_signature {
            return false;
        }
        let (start, end) = self.signature_place();
        while let Some((at, text)) = self.comments.before(start) {
            self.begin_line(at);
            self.out.push_str(text);
        }
        self.begin_line(start);
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
        self.out.push('|');
        if only.is_some_and(|only| !self.comments.any_before(self.ast.nodes[only as usize].end)) {
            self.out.push(' ');
            return true;
        }
        self.beside(end);
        false
    }

    /// Where the signature begins and ends in the source.
    fn signature_place(&self) -> (u32, u32) {
        let (mut bars, mut comment, mut ticked) = ([0; 2], false, false);
        let mut found = 0;
        for (at, b) in self.source.bytes().enumerate() {
            match b {
                b'\n' => comment = false,
                _ if comment => {}
                b'`' => ticked = !ticked,
                b'#' if !ticked => comment = true,
                b'|' if !ticked => {
                    bars[found] = at as u32;
                    found += 1;
                }
                _ => {}
            }
            if found == 2 {
                break;
            }
        }
        (bars[0], bars[1] + 1)
    }

    fn line(&mut self) {
        self.out.push('\n');
        for _ in 0..self.depth.min(DEEPEST_INDENT) {
            self.out.push_str("    ");
        }
    }

    /// A new line for what stands at this place, after an empty one if there is one in the source.
    fn begin_line(&mut self, place: u32) {
        if self.out.is_empty() {
            return;
        }
        if self.comments.empty_line_above(place) {
            self.out.push('\n');
        }
        self.line();
    }

    /// The comments before a statement or in it, and the statement. Above the first of a block no line is empty.
    fn begin_statement(&mut self, index: u32, is_first: bool) {
        let node = self.ast.nodes[index as usize];
        let begun = |at: u32| self.blocks.get(at as usize).copied().unwrap_or(0);
        // The statements in its blocks have their own comments.
        let has_blocks = begun(index + 1) > begun(node.first);
        let until = if has_blocks { node.start } else { node.end };
        let mut may_be_apart = !is_first;
        let mut place = Some(node.start);
        while let Some(start) = place {
            let comment = self.comments.before(until);
            let at = comment.map_or(start, |(at, _)| at.min(start));
            if may_be_apart {
                self.begin_line(at);
            } else if !self.out.is_empty() {
                self.line();
            }
            match comment {
                Some((at, text)) => {
                    self.out.push_str(text);
                    may_be_apart = at < start;
                }
                None => place = None,
            }
        }
        self.pieces.extend([Piece::Beside(node.end), Piece::Tree(index, 0)]);
    }

    /// The comment beside what ends at this place, if there is one.
    fn beside(&mut self, place: u32) {
        if let Some(text) = self.comments.beside(place) {
            self.out.push(' ');
            self.out.push_str(text);
        }
    }

    /// The comments before this place, a line each.
    fn rest(&mut self, place: u32) {
        while let Some((at, text)) = self.comments.before(place) {
            self.begin_line(at);
            self.out.push_str(text);
        }
    }

    fn name(&mut self, symbol: Symbol) {
        let name = self.symbols.name(symbol);
        let plain = symbol == Symbol::INFINITY || (super::is_name(name) && !super::lex::looks_latin(name));
        if plain {
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
            Kind::Program => return self.program(index),
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
            (Kind::If, &[condition, _, x, _, y]) => self.choice(index, condition, x, y),
            (Kind::Call, _) => {
                self.parts.extend([Piece::Callee(node.symbol()), Piece::Text("(")]);
                for (i, &argument) in self.children.iter().enumerate() {
                    if i > 0 {
                        self.parts.push(Piece::Text(", "));
                    }
                    self.parts.push(Piece::Tree(argument, 0));
                }
                self.parts.push(Piece::Text(")"));
            }
            (Kind::Aggregate, &[low, high, range, term]) => {
                self.parts.extend([Piece::Callee(node.symbol()), Piece::Text("("), Piece::Tree(term, 0)]);
                self.parts.push(Piece::Text(" "));
                self.range(range, low, high);
                self.parts.push(Piece::Text(")"));
            }
            _ => self.statement(index),
        }
    }

    /// The parts of a statement, of a block, or of what only the program has.
    fn statement(&mut self, index: u32) {
        let node = self.ast.nodes[index as usize];
        match (node.kind, &self.children[..]) {
            (Kind::Let | Kind::Var | Kind::Assign, &[value]) => {
                let word = match node.kind {
                    Kind::Let => "let ",
                    Kind::Var => "var ",
                    _ => "",
                };
                let name = Piece::Name(node.symbol());
                self.parts.extend([Piece::Text(word), name, Piece::Text(" = "), Piece::Tree(value, 0)]);
            }
            (Kind::Fn, &[_, body]) => self.function(node, body),
            (Kind::For, &[low, high, range, block]) => {
                self.range(range, low, high);
                self.parts.extend([Piece::Text(" "), Piece::Tree(block, 0)]);
            }
            (Kind::While, &[_, condition, _, block]) => {
                let (condition, block) = (Piece::Tree(condition, 0), Piece::Tree(block, 0));
                self.parts.extend([Piece::Text("while "), condition, Piece::Text(" "), block]);
            }
            (Kind::Break | Kind::Continue, _) => self.parts.push(Piece::Text(node.kind.text())),
            (Kind::IfDo, &[condition, _, then, ref rest @ ..]) => {
                let (condition, then) = (Piece::Tree(condition, 0), Piece::Tree(then, 0));
                self.parts.extend([Piece::Text("if "), condition, Piece::Text(" "), then]);
                if let &[_, otherwise] = rest {
                    self.parts.extend([Piece::Text(" else "), Piece::Tree(otherwise, 0)]);
                }
            }
            (Kind::Block | Kind::BlockEnd, &[_]) if !self.comments.any_before(node.end) => {
                self.parts.push(Piece::Text("{}"));
            }
            (Kind::Block | Kind::BlockEnd, &[begin, ref statements @ ..]) => {
                self.parts.push(Piece::Text("{"));
                let places = [node.start, self.ast.nodes[begin as usize].start];
                let is_brace = |place: &u32| self.source.as_bytes().get(*place as usize) == Some(&b'{');
                self.parts.extend(places.into_iter().find(is_brace).map(|brace| Piece::Beside(brace + 1)));
                self.parts.push(Piece::In);
                let line = |(i, &statement)| Piece::Statement(statement, i == 0);
                self.parts.extend(statements.iter().enumerate().map(line));
                self.parts.extend([Piece::Rest(node.end), Piece::Out, Piece::Line, Piece::Text("}")]);
            }
            (Kind::Results, children) => {
                for (i, pair) in children.chunks_exact(2).enumerate() {
                    self.parts.push(Piece::Text(if i > 0 { ", " } else { "{ " }));
                    let name = Piece::Name(self.ast.nodes[pair[1] as usize].symbol());
                    self.parts.extend([name, Piece::Text(": "), Piece::Tree(pair[0], 0)]);
                }
                self.parts.push(Piece::Text(if children.is_empty() { "{}" } else { " }" }));
            }
            // Only trees with errors have others.
            (_, children) => self.parts.extend(children.iter().map(|&child| Piece::Tree(child, 0))),
        }
    }

    /// `for name in low..high`.
    fn range(&mut self, marker: u32, low: u32, high: u32) {
        let marker = self.ast.nodes[marker as usize];
        let dots = if marker.flags & INCLUSIVE != 0 { "..=" } else { ".." };
        // A bound binds tighter than a comparison.
        let (low, high) = (Piece::Tree(low, level::BIT_OR), Piece::Tree(high, level::BIT_OR));
        let name = Piece::Name(marker.symbol());
        self.parts.extend([Piece::Text("for "), name, Piece::Text(" in "), low, Piece::Text(dots), high]);
    }

    /// `fn name(x, n: i32) = ...`.
    fn function(&mut self, node: Node, body: u32) {
        let Some(function) = self.ast.functions.get(node.data as usize) else { return };
        self.parts.extend([Piece::Text("fn "), Piece::Name(function.symbol), Piece::Text("(")]);
        for (i, param) in self.ast.params_of(function).iter().enumerate() {
            self.parts.extend([Piece::Text(if i > 0 { ", " } else { "" }), Piece::Name(param.symbol)]);
            if let Some(ty) = param.ty {
                self.parts.extend([Piece::Text(": "), Piece::Text(ty.name())]);
            }
        }
        let is_block = self.ast.nodes[body as usize].kind == Kind::Block;
        self.parts.extend([Piece::Text(if is_block { ") " } else { ") = " }), Piece::Tree(body, 0)]);
    }

    /// A call, or blocks where an arm has statements.
    fn choice(&mut self, index: u32, condition: u32, x: u32, y: u32) {
        let condition = Piece::Tree(condition, 0);
        if !self.has_blocks[index as usize] {
            let (comma, x, y) = (Piece::Text(", "), Piece::Tree(x, 0), Piece::Tree(y, 0));
            return self.parts.extend([Piece::Text("if("), condition, comma, x, comma, y, Piece::Text(")")]);
        }
        self.parts.extend([Piece::Text("if "), condition, Piece::Text(" ")]);
        self.arm(x);
        self.parts.push(Piece::Text(" else "));
        if self.has_blocks[y as usize] {
            return self.parts.push(Piece::Tree(y, 0));
        }
        self.arm(y);
    }

    /// A block, or an expression as one.
    fn arm(&mut self, index: u32) {
        let tree = Piece::Tree(index, 0);
        if self.ast.nodes[index as usize].kind == Kind::Block {
            return self.parts.push(tree);
        }
        self.parts.extend([Piece::Text("{"), Piece::In, Piece::Statement(index, true)]);
        self.parts.extend([Piece::Out, Piece::Line, Piece::Text("}")]);
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
mod tests;
