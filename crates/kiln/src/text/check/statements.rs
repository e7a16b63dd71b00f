//! The first pass on what changes: variables, assignments, loops, aggregates over ranges, several results.
//!
//! Owns which values a loop carries. The one idea: an assignment is noted for the innermost loop; a loop that ends keeps
//! those to variables from outside, sorted, and passes them on to the loop around it. What is hidden is a variable too:
//! the steps that remain (number 0), and for a loop that is left early whether it was. Obligations of an adder: whatever
//! changes a variable in `flow` must be noted here. Deliberately does not know how a loop is made.

#![forbid(unsafe_code)]

use super::infer::{BOOL, short};
use super::{Binding, Checker, Known, LET, LetInfo, VAR, mix, shadows};
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{INCLUSIVE, Kind, Node};
use crate::text::suggest;
use crate::text::symbols::Symbol;
use crate::types::Type;

/// The number of the variable that holds the steps which remain.
pub(super) const STEPS: u32 = 0;
/// No variable.
pub(super) const NO_VAR: u32 = u32::MAX;

/// What is known of a variable.
#[derive(Clone, Copy, Debug)]
pub(super) struct VarInfo {
    pub(super) known: Known,
    /// How many loops were open where it was declared.
    loops: u32,
}

/// What an aggregate makes of its body's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Prod,
    Min,
    Max,
    Any,
    All,
    Count,
}

impl Fold {
    const NAMES: [(&'static str, Fold); 7] = [
        ("sum", Fold::Sum),
        ("prod", Fold::Prod),
        ("min", Fold::Min),
        ("max", Fold::Max),
        ("any", Fold::Any),
        ("all", Fold::All),
        ("count", Fold::Count),
    ];

    /// Does it want conditions?
    fn of_bools(self) -> bool {
        matches!(self, Fold::Any | Fold::All | Fold::Count)
    }
}

/// What is known of a loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoopInfo {
    /// Where an error of it points.
    pub(super) head: Span,
    /// The type of its range.
    pub(super) ty: Type,
    pub(super) inclusive: bool,
    /// The number of the `let` that is its name.
    pub(super) counter: u32,
    /// For an aggregate: which, and the type of its value.
    pub(super) fold: Option<(Fold, Type)>,
    /// The variables that it carries, as a range of `Statements::carried`.
    pub(super) carried: (u32, u32),
    /// The variable that says that it was left, if a `break` does.
    pub(super) broken: u32,
    /// The variable that says that the rest of an iteration is left out, if a `continue` does.
    pub(super) continued: u32,
    /// Steps are counted one by one, since it may end early.
    pub(super) each: bool,
    /// The condition of a `while` assigns: it is a part of the body then.
    pub(super) assigns_in_test: bool,
}

/// A loop that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct OpenLoop {
    number: u32,
    /// The marker with which it began.
    begin: u32,
    /// For a `while`, the marker of its body.
    block: u32,
    /// Where in `assigned` its assignments begin.
    assigned: u32,
    /// The last `break` or `continue` of it.
    jump: Option<u32>,
}

/// The memory of this part.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) vars: Vec<VarInfo>,
    pub(super) loops: Vec<LoopInfo>,
    /// Variables carried by loops.
    pub(super) carried: Vec<u32>,
    /// Is there a loop, or an assignment?
    pub(super) any: bool,
    open: Vec<OpenLoop>,
    /// Assignments, by the innermost loop around them.
    assigned: Vec<u32>,
}

impl Statements {
    /// Forgets all but the memory.
    pub(super) fn clear(&mut self) {
        self.vars.clear();
        self.vars.push(VarInfo { known: Known::Typed(Type::I64), loops: 0 });
        self.loops.clear();
        self.carried.clear();
        self.any = false;
        self.open.clear();
        self.assigned.clear();
    }

    /// How many loops are open.
    pub(super) fn depth(&self) -> u32 {
        self.open.len() as u32
    }

    fn new_var(&mut self, known: Known, loops: u32) -> u32 {
        self.vars.push(VarInfo { known, loops });
        self.vars.len() as u32 - 1
    }
}

impl Checker<'_> {
    /// Whatever is not an expression.
    pub(super) fn infer_statement(&mut self, index: u32, node: Node) {
        match node.kind {
            Kind::BlockEnd => {
                self.drain(node.first);
                self.close_scope();
            }
            Kind::Var => self.infer_var(index, node),
            Kind::Assign => self.infer_assign(index, node),
            Kind::IfDo => {
                self.drain(node.first);
                self.state.statements.any = true;
                let jumps = self.innermost().is_some_and(|open| open.jump.is_some_and(|jump| jump >= node.first));
                // After an `else if`, what follows is a matter of the first `if`; at the end nothing follows.
                let next = self.ast.nodes.get(index as usize + 1).map(|node| node.kind);
                let follows = !matches!(next, Some(Kind::IfDo | Kind::BlockEnd));
                self.state.info[index as usize].data = u32::from(jumps && follows);
            }
            Kind::Break | Kind::Continue => self.infer_jump(index, node),
            Kind::ForBegin | Kind::AggregateBegin => self.infer_range_loop(index, node),
            Kind::WhileBegin => self.open_loop(index, Type::Bool, false, 0),
            Kind::WhileBody => self.infer_while_body(index, node),
            Kind::For => {
                self.drain(node.first);
                self.close_loop(node, None);
                self.close_scope();
            }
            Kind::While => {
                self.drain(node.first);
                self.close_loop(node, None);
            }
            Kind::Aggregate => self.infer_aggregate(index, node),
            Kind::Result => {
                let value = self.pop(index);
                self.ask(value, self.default);
                self.state.outputs.push((node.symbol(), node.span()));
            }
            Kind::Results => self.distinct_outputs(),
            _ => {}
        }
    }

    /// The innermost loop that is open in the body that is being checked.
    fn innermost(&mut self) -> Option<&mut OpenLoop> {
        let base = self.state.functions.loops_outside();
        let open = &mut self.state.statements.open;
        if open.len() > base { open.last_mut() } else { None }
    }

    /// Notes that what is being checked changes a variable.
    pub(super) fn note_assignment(&mut self, var: u32) {
        if self.innermost().is_some() {
            self.state.statements.assigned.push(var);
        }
    }

    // Variables.

    fn infer_var(&mut self, index: u32, node: Node) {
        let value = self.drain(node.first);
        let ty = value.and_then(|root| self.ask(root, self.default));
        let loops = self.state.statements.depth();
        let number = self.state.statements.new_var(ty.map_or(Known::Error, Known::Typed), loops);
        self.lint_name(node.symbol(), self.statement_name(node));
        self.state.info[index as usize].data = number;
        self.state.bind(node.symbol(), Binding::Var(number));
    }

    /// Where the name of a `let` or `var` stands.
    pub(super) fn statement_name(&self, node: Node) -> Span {
        let name = self.symbols.name(node.symbol());
        let at = node.start + 3;
        let text = Span::new(at, node.end).text(self.source);
        let start = at + (text.len() - text.trim_start().len()) as u32;
        let width = if text.trim_start().starts_with('`') { name.len() + 2 } else { name.len() };
        Span::new(start, start + width as u32)
    }

    /// Warns of a new name that hides another.
    pub(super) fn lint_name(&mut self, symbol: Symbol, span: Span) {
        if self.inside_function() {
            // It was said when the function was read.
            return;
        }
        let name = self.symbols.name(symbol);
        let lint = match self.state.binding(symbol) {
            Binding::Nothing => shadows(symbol, name, span),
            _ => Some(Diagnostic::warning("shadow/name", span, format!("{} hides an earlier {0}", quote(name)))),
        };
        if let Some(lint) = lint {
            self.sink.push(lint);
        }
    }

    fn infer_assign(&mut self, index: u32, node: Node) {
        let value = self.drain(node.first);
        self.state.statements.any = true;
        let binding = self.binding_at(index, node.symbol());
        self.check_target(binding, node);
        let Binding::Var(number) = binding else { return };
        self.state.info[index as usize].data = number;
        self.note_assignment(number);
        let known = self.state.statements.vars[number as usize].known;
        let (Known::Typed(wanted), Some(root)) = (known, value) else { return };
        let untyped = !matches!(self.known(root), Known::Typed(_) | Known::Error);
        if wanted == Type::Bool && untyped {
            self.needs_bool(self.assigned_name(node), "this `var`", "value", root);
            return;
        }
        let Some(ty) = self.ask(root, wanted) else { return };
        if mix(ty, wanted) != Some(wanted) {
            let at = self.node(root).span();
            let name = quote(self.symbols.name(node.symbol()));
            let message = format!("{name} is {wanted}, and this value is {ty}");
            let text = short(at.text(self.source));
            let help = if wanted == Type::Bool {
                format!("compare it: `{text} != 0`")
            } else {
                format!("convert it: `{wanted}({text})`")
            };
            self.sink.push(Diagnostic::error("type", at, message).help(help));
        }
    }

    /// Where the name that an assignment begins with stands.
    pub(super) fn assigned_name(&self, node: Node) -> Span {
        let name = self.symbols.name(node.symbol());
        let quotes = if node.span().text(self.source).starts_with('`') { 2 } else { 0 };
        Span::new(node.start, node.start + name.len() as u32 + quotes)
    }

    /// Reports an assignment to what is no variable.
    pub(super) fn check_target(&mut self, binding: Binding, node: Node) {
        let name = self.symbols.name(node.symbol());
        let quoted = quote(name);
        let at = self.assigned_name(node);
        let what = match binding {
            Binding::Var(_) | Binding::Local { is_var: true } | Binding::Wrong => return,
            Binding::Let(_) | Binding::Local { .. } => "cannot change",
            Binding::Input(_) | Binding::Offered(_) => "is an input, and inputs cannot change",
            Binding::Nothing => return self.unknown_target(node, at),
        };
        let message = format!("{quoted} {what}: `=` assigns to a `var` only");
        let diagnostic = Diagnostic::error("type/immutable", at, message);
        let help = if matches!(binding, Binding::Input(_) | Binding::Offered(_)) {
            format!("a variable that begins with its value is another name: `var start = {}`", short(name))
        } else {
            "declare it with `var`".to_owned()
        };
        self.sink.push(diagnostic.help(help));
    }

    #[cold]
    fn unknown_target(&mut self, node: Node, at: Span) {
        let name = self.symbols.name(node.symbol());
        let message = format!("there is no variable {}", quote(name));
        let mut diagnostic = Diagnostic::error("unknown-name", at, message);
        if self.sink.wants_more() {
            let is_var =
                |s: &Symbol| matches!(self.state.binding(*s), Binding::Var(_) | Binding::Local { is_var: true });
            let bound = self.state.undo.iter().map(|&(s, _)| s).filter(is_var);
            diagnostic = match suggest::nearest(name, bound.map(|s| self.symbols.name(s))) {
                Some(near) => diagnostic.help(format!("did you mean {}?", quote(near))).fix(at, near),
                None => {
                    diagnostic.help("`var` declares one, and `==` compares").fix(Span::new(at.start, at.start), "var ")
                }
            };
        }
        self.sink.push(diagnostic);
    }

    // Loops.

    fn open_loop(&mut self, index: u32, ty: Type, inclusive: bool, counter: u32) {
        let statements = &mut self.state.statements;
        statements.any = true;
        let (number, assigned) = (statements.loops.len() as u32, statements.assigned.len() as u32);
        statements.open.push(OpenLoop { number, begin: index, block: 0, assigned, jump: None });
        statements.loops.push(LoopInfo {
            head: Span::default(),
            ty,
            inclusive,
            counter,
            fold: None,
            carried: (0, 0),
            broken: NO_VAR,
            continued: NO_VAR,
            each: false,
            assigns_in_test: false,
        });
        self.state.info[index as usize].data = number;
    }

    /// Ends the loop that `node` is. For an aggregate `fold` says which.
    fn close_loop(&mut self, node: Node, fold: Option<(Fold, Type)>) {
        let Some(&mut open) = self.innermost() else { return };
        let head = match node.kind {
            Kind::Aggregate => node.span(),
            _ => self.loop_head(node, open.begin, open.block),
        };
        let statements = &mut self.state.statements;
        statements.open.pop();
        let depth = statements.open.len() as u32;
        let info = &mut statements.loops[open.number as usize];
        let early = matches!(fold, Some((Fold::Any | Fold::All, _)));
        info.each = node.kind == Kind::While || info.broken != NO_VAR || early;
        (info.head, info.fold) = (head, fold);
        if info.each {
            statements.assigned.push(STEPS);
        }
        let first = open.assigned as usize;
        statements.assigned[first..].sort_unstable();
        let start = statements.carried.len() as u32;
        let mut kept = first;
        for i in first..statements.assigned.len() {
            let var = statements.assigned[i];
            let again = kept > first && statements.assigned[kept - 1] == var;
            if again || statements.vars[var as usize].loops > depth {
                continue;
            }
            statements.assigned[kept] = var;
            kept += 1;
            statements.carried.push(var);
        }
        statements.assigned.truncate(kept);
        statements.loops[open.number as usize].carried = (start, statements.carried.len() as u32);
        if self.innermost().is_none() {
            self.state.statements.assigned.truncate(first);
        }
        // A loop whose length is known when it begins counts then.
        self.note_assignment(STEPS);
        self.state.functions.note_steps();
    }

    /// The text of a loop up to its block.
    fn loop_head(&self, node: Node, begin: u32, block: u32) -> Span {
        let block = self.ast.nodes.get(begin.max(block) as usize + 1);
        let end = block.filter(|block| block.kind == Kind::BlockBegin).map_or(node.end, |block| block.start);
        let text = Span::new(node.start, end).text(self.source);
        Span::new(node.start, node.start + text.trim_end().len() as u32)
    }

    fn infer_range_loop(&mut self, index: u32, node: Node) {
        let (hi, lo) = (self.pop(index), self.pop(index));
        let known = self.infer_bounds(lo, hi);
        let ty = if let Known::Typed(ty) = known { ty } else { Type::I64 };
        let counter = self.state.lets.len() as u32;
        self.open_loop(index, ty, node.flags & INCLUSIVE != 0, counter);
        self.state.scopes.push((index, self.state.undo.len() as u32));
        self.lint_name(node.symbol(), node.span());
        self.state.lets.push(LetInfo::new(known));
        self.state.bind(node.symbol(), Binding::Let(counter));
    }

    /// The type of the range between two values.
    fn infer_bounds(&mut self, lo: u32, hi: u32) -> Known {
        let mut types = [None; 2];
        let mut fine = true;
        for (ty, root) in types.iter_mut().zip([lo, hi]) {
            match self.known(root) {
                Known::Typed(t) if t.is_int() => *ty = Some(t),
                Known::Int | Known::Whole => {}
                Known::Error => fine = false,
                Known::Typed(_) | Known::Float => {
                    fine = false;
                    self.wrong_bound(root);
                }
            }
        }
        if !fine {
            return Known::Error;
        }
        let ty = match types {
            [Some(a), Some(b)] => mix(a, b).unwrap_or(Type::I64),
            [Some(ty), None] | [None, Some(ty)] => ty,
            [None, None] => Type::I64,
        };
        self.ask(lo, ty);
        self.ask(hi, ty);
        Known::Typed(ty)
    }

    #[cold]
    fn wrong_bound(&mut self, root: u32) {
        let at = self.node(root).span();
        let what = if self.known(root) == Known::Float { "no int".to_owned() } else { self.describe(root) };
        let message = format!("the bounds of a range are ints, and this one is {what}");
        let text = at.text(self.source);
        let help = format!("convert it: `i64({})`", short(text));
        self.sink.push(Diagnostic::error("type", at, message).help(help).fix(at, format!("i64({text})")));
    }

    fn infer_while_body(&mut self, index: u32, node: Node) {
        let condition = self.pop(index);
        if !matches!(self.known(condition), Known::Error | BOOL) {
            self.needs_bool(node.span(), "`while`", "condition", condition);
        }
        let Some(open) = self.innermost() else { return };
        open.block = index;
        let open = *open;
        let statements = &mut self.state.statements;
        let depth = statements.depth();
        let assigned = &statements.assigned[open.assigned as usize..];
        let assigns = assigned.iter().any(|&var| statements.vars[var as usize].loops < depth);
        statements.loops[open.number as usize].assigns_in_test = assigns;
    }

    fn infer_jump(&mut self, index: u32, node: Node) {
        let Some(open) = self.innermost() else { return };
        open.jump = Some(index);
        let number = open.number as usize;
        let is_break = node.kind == Kind::Break;
        let statements = &mut self.state.statements;
        let this = statements.loops[number];
        let mut var = if is_break { this.broken } else { this.continued };
        if var == NO_VAR {
            // Whether it was left is a matter of the loop, whether an iteration was, of the iteration.
            let loops = statements.depth() - u32::from(is_break);
            var = statements.new_var(BOOL, loops);
            let this = &mut statements.loops[number];
            *if is_break { &mut this.broken } else { &mut this.continued } = var;
        }
        self.state.info[index as usize].data = var;
        self.note_assignment(var);
    }

    /// Reports a jump out of the block, which has a value and began at node `first`.
    pub(super) fn check_jumps(&mut self, first: u32) {
        let Some(open) = self.innermost() else { return };
        let Some(jump) = open.jump.filter(|&jump| jump >= first) else { return };
        open.jump = None;
        let node = self.node(jump);
        let word = if node.kind == Kind::Break { "break" } else { "continue" };
        let message = format!("`{word}` cannot leave the middle of an expression");
        let help = "here a block gives a value; use an `if` that stands alone";
        self.sink.push(Diagnostic::error("syntax/loop", node.span(), message).help(help));
    }

    /// Ends the loops that began at node `first` or later and were given up.
    pub(super) fn abandon_loops(&mut self, first: u32) {
        while self.innermost().is_some_and(|open| open.begin >= first) {
            self.state.statements.open.pop();
        }
    }

    fn infer_aggregate(&mut self, index: u32, node: Node) {
        let body = self.drain(node.first).unwrap_or(index);
        let name = self.symbols.name(node.symbol());
        let fold = Fold::NAMES.iter().find(|(text, _)| *text == name).map_or(Fold::Sum, |&(_, fold)| fold);
        let known = self.infer_fold(fold, node, body);
        let ty = if let Known::Typed(ty) = known { ty } else { Type::F64 };
        self.close_loop(node, Some((fold, ty)));
        self.close_scope();
        self.state.last_block = Some(index);
        self.push(index, known);
    }

    fn infer_fold(&mut self, fold: Fold, node: Node, body: u32) -> Known {
        let name = quote(self.symbols.name(node.symbol()));
        if fold.of_bools() {
            if !matches!(self.known(body), Known::Error | BOOL) {
                self.needs_bool(node.span(), &name, "value", body);
            }
            return Known::Typed(if fold == Fold::Count { Type::I64 } else { Type::Bool });
        }
        match self.ask(body, self.default) {
            None => Known::Error,
            Some(Type::Bool) => {
                let at = self.node(body).span();
                let message = format!("{name} needs numbers, and this is a bool");
                let help = "`count(c for ...)` counts how often a condition holds";
                self.sink.push(Diagnostic::error("type", at, message).help(help));
                Known::Error
            }
            Some(ty) => Known::Typed(ty),
        }
    }

    // Results.

    /// Reports results of one name.
    fn distinct_outputs(&mut self) {
        let mut sorted = self.state.outputs.clone();
        sorted.sort_unstable_by_key(|&(symbol, span)| (symbol, span.start));
        for pair in sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let message = format!("there are two results with the name {}", quote(self.symbols.name(pair[1].0)));
            let diagnostic = Diagnostic::error("duplicate", pair[1].1, message);
            self.sink.push(diagnostic.label(pair[0].1, "the first one"));
        }
    }

    /// What a `Name` that is a variable is.
    pub(super) fn infer_variable(&self, number: u32) -> (u32, Known) {
        (number | LET | VAR, self.state.statements.vars[number as usize].known)
    }
}
