//! A formula's own functions.
//!
//! Owns what a function's body means and how often it is checked. The one idea: names are resolved once, where the
//! function is written; types once for each combination of what is known of the arguments, an *instance*, when a call
//! asks for one that is not there yet. The check of the caller is then suspended, on a stack, and its call looked at
//! again afterwards. No function contains itself, so what the passes note about the nodes of a body belongs to one
//! instance at a time; of an instance that is complete a copy is kept, and put back at each call that is built.
//!
//! Obligations of an adder: whatever a body may contain must be known to `define` if it has a name. Bodies expand at
//! every call, so whatever makes an instance counts its size. Deliberately does not know how a call is built.

#![forbid(unsafe_code)]

use super::infer::{plural, short};
use super::recursion::Search;
use super::{Binding, Checker, Context, Info, Known, LetInfo, OWN, State, mix, shadows};
use crate::math;
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{FunctionDef, Kind, Node};
use crate::text::symbols::Symbol;
use crate::types::Type;
use std::collections::HashMap;

/// No function, instance or place.
pub(super) const NONE: u32 = u32::MAX;

/// What is known of a function.
#[derive(Clone, Copy, Default)]
pub(super) struct FunctionState {
    /// Its definition was read.
    defined: bool,
    /// It calls itself, by itself or by others.
    pub(super) recursive: bool,
    /// Its text has errors.
    broken: bool,
    pub(super) search: Search,
}

/// A function's body with types.
#[derive(Clone, Copy)]
pub(super) struct Instance {
    pub(super) function: u32,
    /// The type of the result, or that there are errors.
    known: Known,
    /// The number of the `let` that is its first parameter.
    pub(super) lets: u32,
    /// How many nodes it expands to.
    expansion: u64,
    /// There are loops in it.
    counts: bool,
    /// Where its copy of the notes about its nodes begins.
    pub(super) notes: u32,
    /// Its `let`s at several types, as a range.
    pub(super) several: (u32, u32),
}

/// A body that is being checked: the formula's or an instance's.
#[derive(Clone, Copy)]
struct Unit {
    /// The instance, or `NONE`.
    instance: u32,
    /// Its nodes end here.
    end: u32,
    /// The call that waits for an instance.
    call: u32,
    /// The place of the call that asked for it, if types come from there.
    called: Option<Span>,
    /// How many scopes, bindings and loops are not its own.
    scopes: u32,
    undo: u32,
    loops: u32,
    last_block: Option<u32>,
    /// How many errors there were before.
    errors: usize,
    expansion: u64,
    counts: bool,
}

impl Default for Unit {
    fn default() -> Unit {
        Unit {
            instance: NONE,
            end: 0,
            call: NONE,
            called: None,
            scopes: 0,
            undo: 0,
            loops: 0,
            last_block: None,
            errors: 0,
            expansion: 0,
            counts: false,
        }
    }
}

/// The memory of this part.
#[derive(Default)]
pub(super) struct Functions {
    /// Functions by the number of their name.
    by_symbol: Vec<u32>,
    /// The names that have an entry there.
    names: Vec<Symbol>,
    pub(super) states: Vec<FunctionState>,
    /// What the names in bodies refer to, by node.
    outer: Vec<Binding>,
    pub(super) instances: Vec<Instance>,
    /// From the number of a function or of a beginning of its arguments, and what is known of the next argument, to the
    /// number of the longer beginning.
    keys: HashMap<(u32, u8), u32>,
    /// The instance of each beginning that is complete.
    by_key: Vec<u32>,
    /// Copies of what was noted about the nodes of instances.
    pub(super) notes: Vec<Info>,
    pub(super) several: Vec<u32>,
    unit: Unit,
    /// The units that wait, with their values.
    suspended: Vec<(Unit, Vec<u32>)>,
    /// Memory of values.
    pool: Vec<Vec<u32>>,
    /// The nodes of all instances.
    nodes: u64,
    /// It was said that calls expand too much.
    too_large: bool,
    /// The functions on the way of the search for recursion: number, and next node to look at.
    pub(super) way: Vec<(u32, u32)>,
}

impl Functions {
    /// How many of the open loops are outside the body that is being checked.
    pub(super) fn loops_outside(&self) -> usize {
        self.unit.loops as usize
    }

    /// How many of the open scopes are outside the body that is being checked.
    pub(super) fn scopes_outside(&self) -> usize {
        self.unit.scopes as usize
    }

    /// Notes that the body that is being checked takes steps.
    pub(super) fn note_steps(&mut self) {
        self.unit.counts = true;
    }

    pub(super) fn find(&self, symbol: Symbol) -> Option<u32> {
        self.by_symbol.get(symbol.0 as usize).copied().filter(|&number| number != NONE)
    }
}

impl Checker<'_> {
    pub(super) fn inside_function(&self) -> bool {
        self.state.functions.unit.instance != NONE
    }

    pub(super) fn function(&self, number: u32) -> &FunctionDef {
        &self.ast.functions[number as usize]
    }

    pub(super) fn function_name(&self, number: u32) -> &str {
        self.symbols.name(self.function(number).symbol)
    }

    /// What a name refers to.
    #[inline]
    pub(super) fn binding_at(&self, index: u32, symbol: Symbol) -> Binding {
        if self.inside_function() {
            match self.state.functions.outer[index as usize] {
                Binding::Local { .. } => {}
                other => return other,
            }
        }
        self.state.binding(symbol)
    }

    /// Forgets the last formula's functions, finds this one's, and reports recursion.
    pub(super) fn prepare_functions(&mut self) {
        let functions = &mut self.state.functions;
        for symbol in functions.names.drain(..) {
            functions.by_symbol[symbol.0 as usize] = NONE;
        }
        functions.unit = Unit { end: self.ast.nodes.len() as u32, call: 0, ..Unit::default() };
        functions.states.clear();
        if self.ast.functions.is_empty() {
            return;
        }
        functions.instances.clear();
        functions.keys.clear();
        functions.by_key.clear();
        functions.notes.clear();
        functions.several.clear();
        functions.suspended.clear();
        (functions.nodes, functions.too_large) = (0, false);
        functions.outer.clear();
        functions.outer.resize(self.ast.nodes.len(), Binding::Nothing);
        functions.states.resize(self.ast.functions.len(), FunctionState::default());
        functions.by_key.resize(self.ast.functions.len(), NONE);
        for number in 0..self.ast.functions.len() as u32 {
            self.name_function(number);
        }
        self.find_recursion();
    }

    /// Is it in the tree from its beginning to its end? After errors it may not be.
    pub(super) fn is_whole(&self, number: u32) -> bool {
        let Some(def) = self.ast.functions.get(number as usize) else { return false };
        let kind = |at: u32| self.ast.nodes.get(at as usize).map(|node| node.kind);
        def.begin < def.end && kind(def.begin) == Some(Kind::FnBegin) && kind(def.end) == Some(Kind::Fn)
    }

    fn name_function(&mut self, number: u32) {
        let FunctionDef { symbol, name: span, .. } = *self.function(number);
        if !self.is_whole(number) {
            return;
        }
        let name = self.symbols.name(symbol);
        if let Some(first) = self.state.functions.find(symbol) {
            let message = format!("there are two functions with the name {}", quote(name));
            let diagnostic = Diagnostic::error("duplicate", span, message);
            let first = self.function(first).name;
            self.sink.push(diagnostic.label(first, "the first one"));
            return;
        }
        if math::lookup(name).is_some() || self.hosts.iter().any(|h| h.name() == name) {
            let message = format!("{} is also the name of a function that was there before", quote(name));
            self.sink.push(Diagnostic::warning("shadow/function", span, message));
        }
        let functions = &mut self.state.functions;
        let at = symbol.0 as usize;
        if at >= functions.by_symbol.len() {
            functions.by_symbol.resize(at + 1, NONE);
        }
        functions.by_symbol[at] = number;
        functions.names.push(symbol);
    }

    // Where a function is written.

    /// Resolves the names of the function that begins at node `index`; returns the index of the node after it.
    pub(super) fn define(&mut self, index: u32) -> u32 {
        let number = self.ast.nodes[index as usize].data;
        if !self.is_whole(number) {
            return index + 1;
        }
        let FunctionDef { params, end, .. } = *self.function(number);
        if self.inside_function() {
            return end + 1;
        }
        let (scopes, undo) = (self.state.scopes.len(), self.state.undo.len());
        for i in params.0..params.1 {
            let param = self.ast.params[i as usize];
            let name = self.symbols.name(param.symbol);
            if matches!(self.state.binding(param.symbol), Binding::Local { .. }) {
                let message = format!("there are two parameters with the name {}", quote(name));
                self.error("duplicate", param.span, message);
            } else if let Some(lint) = shadows(param.symbol, name, param.span) {
                self.sink.push(lint);
            }
            self.state.bind(param.symbol, Binding::Local { is_var: false });
        }
        for at in index + 1..end {
            self.resolve(at, number);
        }
        self.state.scopes.truncate(scopes);
        self.state.unbind(undo);
        self.state.functions.states[number as usize].defined = true;
        end + 1
    }

    /// Resolves node `index` of function `number`.
    fn resolve(&mut self, index: u32, number: u32) {
        let node = self.ast.nodes[index as usize];
        match node.kind {
            Kind::Name | Kind::Assign => {
                let binding = self.resolve_name(index, node);
                self.state.functions.outer[index as usize] = binding;
            }
            Kind::Let | Kind::Var => {
                self.lint_name(node.symbol(), self.statement_name(node));
                self.state.bind(node.symbol(), Binding::Local { is_var: node.kind == Kind::Var });
            }
            Kind::BlockBegin => self.state.scopes.push((index, self.state.undo.len() as u32)),
            Kind::ForBegin | Kind::AggregateBegin => {
                self.state.scopes.push((index, self.state.undo.len() as u32));
                self.lint_name(node.symbol(), node.span());
                self.state.bind(node.symbol(), Binding::Local { is_var: false });
            }
            Kind::Block | Kind::BlockEnd | Kind::For | Kind::Aggregate => self.close_scope(),
            Kind::Error | Kind::FnBegin => self.state.functions.states[number as usize].broken = true,
            _ => {}
        }
    }

    fn resolve_name(&mut self, index: u32, node: Node) -> Binding {
        let symbol = node.symbol();
        let binding = self.state.binding(symbol);
        if let Binding::Var(_) = binding {
            let name = self.symbols.name(symbol);
            let message = format!("{} is a `var`, and functions do not see variables from outside", quote(name));
            let diagnostic = Diagnostic::error("unknown-name/var", self.node_name(node), message);
            self.sink.push(diagnostic.help("pass it as an argument"));
            return Binding::Wrong;
        }
        if node.kind == Kind::Assign {
            self.check_target(binding, node);
            return binding;
        }
        if !matches!(binding, Binding::Nothing | Binding::Offered(_)) {
            return binding;
        }
        match self.infer_bound(index, node, binding) {
            Known::Error => Binding::Wrong,
            _ => self.state.binding(symbol),
        }
    }

    fn node_name(&self, node: Node) -> Span {
        if node.kind == Kind::Assign { self.assigned_name(node) } else { node.span() }
    }

    // Where a function is called.

    /// The formula's function that a call of `symbol` means. Before its definition an older one of its name is meant,
    /// but not in a body, which must mean the same at every call.
    pub(super) fn own_function(&self, symbol: Symbol) -> Option<u32> {
        let number = self.state.functions.find(symbol)?;
        let defined = self.state.functions.states[number as usize].defined;
        (defined || self.inside_function() || self.callee(symbol, 1).is_none()).then_some(number)
    }

    /// Checks a call of a function of the formula. False if that needs an instance which is not there yet; then the
    /// unit that is being checked is the instance.
    pub(super) fn infer_own_call(&mut self, index: u32, node: Node, function: u32) -> bool {
        let start = self.state.stack.len().saturating_sub(node.count as usize);
        let mut stack = std::mem::take(&mut self.state.stack);
        let found = self.own_call(index, node, function, &stack[start..]);
        if found.is_ok() {
            stack.truncate(start);
        }
        self.state.stack = stack;
        match found {
            Ok(known) => {
                self.push(index, known);
                true
            }
            Err(instance) => {
                self.suspend(index, node, instance);
                false
            }
        }
    }

    /// What is known of a call's value, or the instance that must be checked first.
    fn own_call(&mut self, index: u32, node: Node, function: u32, arguments: &[u32]) -> Result<Known, u32> {
        let state = self.state.functions.states[function as usize];
        let FunctionDef { params, .. } = *self.function(function);
        if !state.defined {
            self.not_yet_defined(node, function);
            return Ok(Known::Error);
        }
        if arguments.len() != (params.1 - params.0) as usize {
            let count = (params.1 - params.0) as usize;
            let expected = format!("{count} argument{}", plural(count));
            let signature = self.signature(function);
            self.arity(node, &expected, arguments.len(), &signature);
            return Ok(Known::Error);
        }
        let wrong = arguments.iter().any(|&root| self.known(root) == Known::Error);
        if wrong || state.recursive || state.broken {
            return Ok(Known::Error);
        }
        let key = self.key(function, arguments);
        let number = self.state.functions.by_key[key as usize];
        if number == NONE {
            return self.new_instance(node, function, arguments, key);
        }
        for (i, &argument) in arguments.iter().enumerate() {
            self.pass(function, number, i as u32, argument);
        }
        let instance = self.state.functions.instances[number as usize];
        self.state.info[index as usize].data = number | OWN;
        self.state.last_block = Some(index);
        if instance.counts {
            self.note_assignment(super::statements::STEPS);
            self.state.functions.note_steps();
        }
        let unit = &mut self.state.functions.unit;
        unit.expansion = unit.expansion.saturating_add(instance.expansion);
        if unit.expansion > u64::from(self.limits.inline) {
            self.expands_too_much(node);
        }
        Ok(instance.known)
    }

    /// The number of this combination of a function and what is known of its arguments.
    fn key(&mut self, function: u32, arguments: &[u32]) -> u32 {
        let first = self.function(function).params.0;
        let mut key = function;
        for (i, &argument) in (first..).zip(arguments) {
            if self.ast.params[i as usize].ty.is_some() {
                continue;
            }
            let known = match self.known(argument) {
                Known::Typed(ty) => ty as u8,
                Known::Int => 8,
                Known::Float => 9,
                Known::Whole => 10,
                Known::Error => 11,
            };
            let functions = &mut self.state.functions;
            let next = functions.by_key.len() as u32;
            key = *functions.keys.entry((key, known)).or_insert(next);
            if key == next {
                functions.by_key.push(NONE);
            }
        }
        key
    }

    /// Gives argument `root` the type of parameter `i`, or says that it has another.
    fn pass(&mut self, function: u32, instance: u32, i: u32, root: u32) {
        let param = self.ast.params[(self.function(function).params.0 + i) as usize];
        if let Some(ty) = param.ty {
            self.accept(self.function(function).symbol, ty, root);
            return;
        }
        let known = self.known(root);
        if matches!(known, Known::Typed(_) | Known::Error) {
            return;
        }
        let lets = self.state.functions.instances[instance as usize].lets + i;
        let types = self.state.lets[lets as usize].types;
        let wanted = match types.count_ones() {
            0 => self.default,
            1 => Type::ALL[types.trailing_zeros() as usize],
            // It is computed once, and converted to each; what does not fit would be cut off.
            _ if known == Known::Float => self.default_float(),
            _ => Type::I64,
        };
        if types.count_ones() > 1 {
            let number = if self.node(root).kind == Kind::Neg { root - 1 } else { root };
            if self.node(number).kind == Kind::Number {
                self.fits(number, known, types);
            }
        }
        self.ask(root, wanted);
    }

    /// Gives an argument the type that a parameter of `callee` has, or says that it has another.
    pub(super) fn accept(&mut self, callee: Symbol, param: Type, argument: u32) {
        let untyped = !matches!(self.known(argument), Known::Typed(_) | Known::Error);
        let wanted = if param == Type::Bool { self.default } else { param };
        let Some(ty) = self.ask(argument, wanted) else { return };
        // Widening is silent, as in any mix; what would lose something is to be written.
        if mix(ty, param) != Some(param) && !(untyped && ty.is_float() && param.is_float()) {
            let at = self.node(argument).span();
            let name = quote(self.symbols.name(callee));
            let message = format!("{name} expects {param}, and this argument is {ty}");
            let help = format!("convert it: `{param}({})`", short(at.text(self.source)));
            self.sink.push(Diagnostic::error("type", at, message).help(help));
        }
    }

    #[cold]
    fn not_yet_defined(&mut self, node: Node, function: u32) {
        let span = Span::new(node.start, node.start + self.node_name_width(node));
        let def = self.function(function).name;
        let message = format!("{} is called before it is defined", quote(self.function_name(function)));
        let diagnostic = Diagnostic::error("unknown-function", span, message).label(def, "defined here");
        self.sink.push(diagnostic.help("definitions come before the calls"));
    }

    #[cold]
    fn expands_too_much(&mut self, node: Node) {
        if std::mem::replace(&mut self.state.functions.too_large, true) {
            return;
        }
        let (name, limit) = (quote(self.symbols.name(node.symbol())), self.limits.inline);
        let message = format!("calls of {name} expand to more than {limit} operations");
        self.sink.push(Diagnostic::error("limit/inline", node.span(), message).help("limits are options"));
    }

    /// The function's name and parameters as they are written.
    fn signature(&self, function: u32) -> String {
        let def = self.function(function);
        let params = &self.ast.params[def.params.0 as usize..def.params.1 as usize];
        let shown = params.iter().take(12).map(|p| {
            let name = short(self.symbols.name(p.symbol));
            p.ty.map_or_else(|| name.to_owned(), |ty| format!("{name}: {ty}"))
        });
        let shown: Vec<String> = shown.collect();
        let more = if params.len() > shown.len() { ", ..." } else { "" };
        format!("{}({}{more})", short(self.symbols.name(def.symbol)), shown.join(", "))
    }

    // Instances.

    /// A new instance, unless there are too many.
    fn new_instance(&mut self, node: Node, function: u32, arguments: &[u32], key: u32) -> Result<Known, u32> {
        let FunctionDef { begin, end, params, .. } = *self.function(function);
        let size = u64::from(end - begin);
        self.state.functions.nodes += size;
        if self.state.functions.nodes > u64::from(self.limits.inline) {
            self.expands_too_much(node);
            return Ok(Known::Error);
        }
        let lets = self.state.lets.len() as u32;
        for (i, &argument) in (params.0..params.1).zip(arguments) {
            let param = self.ast.params[i as usize];
            let known = param.ty.map_or_else(|| self.known(argument), Known::Typed);
            self.state.lets.push(LetInfo::new(known));
        }
        let known = Known::Error;
        let functions = &mut self.state.functions;
        let number = functions.instances.len() as u32;
        let instance = Instance { function, known, lets, expansion: size, counts: false, notes: 0, several: (0, 0) };
        functions.instances.push(instance);
        functions.by_key[key as usize] = number;
        Err(number)
    }

    /// The unit that is being checked waits at node `call`, and `instance` takes its place.
    fn suspend(&mut self, call: u32, node: Node, instance: u32) {
        let Instance { function, lets, expansion, .. } = self.state.functions.instances[instance as usize];
        let FunctionDef { begin, end, params, .. } = *self.function(function);
        let all_typed = self.ast.params[params.0 as usize..params.1 as usize].iter().all(|p| p.ty.is_some());
        let unit = Unit {
            instance,
            end,
            call: begin + 1,
            called: (!all_typed).then(|| node.span()),
            scopes: self.state.scopes.len() as u32,
            undo: self.state.undo.len() as u32,
            loops: self.state.statements.depth(),
            last_block: None,
            errors: self.sink.errors(),
            expansion,
            counts: false,
        };
        let functions = &mut self.state.functions;
        let mut waiting = std::mem::replace(&mut functions.unit, unit);
        (waiting.call, waiting.last_block) = (call, self.state.last_block.take());
        let fresh = functions.pool.pop().unwrap_or_default();
        functions.suspended.push((waiting, std::mem::replace(&mut self.state.stack, fresh)));
        for (i, number) in (params.0..params.1).zip(lets..) {
            self.state.bind(self.ast.params[i as usize].symbol, Binding::Let(number));
        }
        let blank = Info { known: Known::Error, context: Context::Nothing, data: 0 };
        self.state.info[begin as usize..end as usize].fill(blank);
        self.sink.set_again(true, unit.called);
    }

    /// The nodes that are to be looked at now, as a range.
    pub(super) fn unit_range(&self) -> (u32, u32) {
        let unit = &self.state.functions.unit;
        (unit.call, unit.end)
    }

    /// Completes the unit that is being checked. False if it is the formula itself; otherwise the one that waits for it
    /// goes on.
    pub(super) fn complete(&mut self) -> bool {
        let unit = self.state.functions.unit;
        if unit.instance == NONE {
            return false;
        }
        let number = unit.instance as usize;
        let FunctionDef { begin, end, .. } = *self.function(self.state.functions.instances[number].function);
        let result = self.drain(begin);
        let known = result.and_then(|root| self.ask(root, self.default)).map_or(Known::Error, Known::Typed);
        self.settle(begin + 1, end);
        // What is wrong in a body is not said of its result as well.
        let known = if self.sink.errors() > unit.errors { Known::Error } else { known };
        let State { functions, info, several, .. } = &mut *self.state;
        let instance = &mut functions.instances[number];
        (instance.known, instance.expansion, instance.counts) = (known, unit.expansion, unit.counts);
        instance.notes = functions.notes.len() as u32;
        functions.notes.extend_from_slice(&info[begin as usize..end as usize]);
        instance.several.0 = functions.several.len() as u32;
        functions.several.append(several);
        instance.several.1 = functions.several.len() as u32;
        if let Some((waiting, stack)) = functions.suspended.pop() {
            functions.unit = waiting;
            self.state.last_block = waiting.last_block;
            let mut used = std::mem::replace(&mut self.state.stack, stack);
            used.clear();
            self.state.functions.pool.push(used);
        }
        self.state.scopes.truncate(unit.scopes as usize);
        self.state.unbind(unit.undo as usize);
        self.sink.set_again(self.inside_function(), self.state.functions.unit.called);
        true
    }
}
