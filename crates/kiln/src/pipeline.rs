//! From text to bytes: the page to read first.
//!
//! A [`Compiler`] owns the memory of every stage and calls them in order:
//!
//! ```text
//! text -lex-> tokens -parse-> AST -check-> SSA --walk back--> machine instructions --encode--> bytes
//! ```
//!
//! Nodes are canonicalised, folded, rewritten and shared as they are made, so no pass stands between `check` and the
//! walk, unless there are branches or loops: then those of `opt`. What comes out is bytes; making them callable is `mem`'s, and calling them `run`'s.

#![forbid(unsafe_code)]

use crate::error::Error;
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::{Func, Ref, verify};
use crate::isa::x64::abi::{self, Convention};
#[cfg(any(test, debug_assertions))]
use crate::isa::x64::effects;
use crate::isa::x64::encode::{self, PADDING};
use crate::isa::x64::features::Level;
use crate::isa::x64::lower::X64;
use crate::isa::x64::packed::{self, Packed};
use crate::mach::MInst;
use crate::mach::buffer::{CodeBuffer, LayoutError};
#[cfg(any(test, debug_assertions))]
use crate::mach::check;
use crate::mach::walk::{Chaos, Walk};
use crate::ops::Op;
use crate::opt::Optimiser;
use crate::opt::stages::{Stages, Uncut};
use crate::run::host::HostFunction;
use crate::run::invoke::Emitted;
use crate::run::kernel::EmittedKernel;
pub(crate) use crate::run::kernel::Stores;
use crate::span::{Diagnostic, Place, Span};
use crate::text::{self, FrontEnd, Limits};
use crate::types::Type;
use std::sync::Arc;

/// The largest code that is made of one formula, in bytes.
const CODE_LIMIT: usize = 1 << 28;

/// A formula with everything that its meaning depends on.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) source: &'a [u8],
    /// The inputs, if they are declared.
    pub(crate) params: Option<&'a [(String, Option<Type>)]>,
    /// Names that are inputs of these types if they are used.
    pub(crate) known: &'a [(String, Type)],
    pub(crate) default_type: Type,
    pub(crate) hosts: &'a [Arc<HostFunction>],
    pub(crate) definitions: &'a Definitions,
    pub(crate) fast: bool,
    pub(crate) checked: bool,
    /// It is about rows of columns: aggregates over them may stand in it.
    pub(crate) columns: bool,
    /// Names of inputs that may be null.
    pub(crate) nullable: &'a [String],
    pub(crate) limits: Limits,
    pub(crate) level: Level,
}

/// Texts of definitions that formulas may use. They are read before the formula, and stand behind it, so that places in
/// the formula are what its author sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions {
    text: String,
    /// The name of each text, and where it begins.
    parts: Vec<(String, usize)>,
}

impl Definitions {
    /// No definitions.
    pub(crate) const NONE: &'static Definitions = &Definitions { text: String::new(), parts: Vec::new() };

    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds a text that consists of definitions.
    pub(crate) fn push(&mut self, name: &str, text: &str) {
        self.parts.push((name.to_owned(), self.text.len()));
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The place that a span means in a formula that is compiled with these definitions.
    pub(crate) fn place<'a>(&'a self, formula: &'a str, span: Span) -> Place<'a> {
        let behind = (span.start as usize).checked_sub(formula.len() + 1).filter(|_| !self.is_empty());
        let part = behind.and_then(|at| Some((at, self.parts.iter().rposition(|part| part.1 <= at)?)));
        let Some((at, n)) = part else { return Place { name: None, text: formula, span } };
        let (name, start) = &self.parts[n];
        // A newline stands behind each text.
        let end = self.parts.get(n + 1).map_or(self.text.len(), |next| next.1) - 1;
        let start_in_text = (at - start) as u32;
        let span = Span::new(start_in_text, start_in_text + (span.end - span.start));
        Place { name: Some(name), text: self.text.get(*start..end).unwrap_or_default(), span }
    }

    /// Says where in which text a diagnostic belongs that is about a place behind the formula, whose length is given.
    fn name_place(&self, formula: usize, diagnostic: &mut Diagnostic) {
        // A newline stands between the two.
        let Some(at) = (diagnostic.span.start as usize).checked_sub(formula + 1) else {
            diagnostic.labels.retain(|label| label.span.start as usize <= formula);
            return;
        };
        let Some((name, start)) = self.parts.iter().rev().find(|part| part.1 <= at) else { return };
        let before = self.text.get(*start..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        diagnostic.message = format!("{name}, line {line}: {}", diagnostic.message);
        // What remains to be shown is the part of the formula that it came from, if that is known.
        let call = diagnostic.labels.iter().find(|label| label.span.start as usize <= formula);
        diagnostic.span = call.map_or(Span::default(), |label| label.span);
        diagnostic.labels.clear();
        diagnostic.fix = None;
    }
}

/// Why a function that is right could not be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// It needs a larger stack frame than is allowed.
    Frame,
    /// Its code would be larger than is allowed.
    Code,
}

/// How a function is to be compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) isa: X64,
    pub(crate) convention: Convention,
    pub(crate) chaos: Chaos,
    /// Note the offset of every instruction, for listings.
    pub(crate) mark: bool,
}

impl Target {
    /// Code for a level, entered in this way.
    pub(crate) fn new(level: Level, convention: Convention) -> Target {
        Target { isa: X64::new(level), convention, chaos: Chaos::default(), mark: false }
    }
}

/// Formulas with loops that have at most so many nodes run over two sets of rows at once, with 16 vector registers and
/// with 32: what is live must fit in them.
const TWO_WAYS: [usize; 2] = [24, 60];

/// What must be known of a kernel besides its code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    stores: Stores,
}

/// All stages, with the memory that they reuse.
pub(crate) struct Compiler {
    pub(crate) front: FrontEnd,
    pub(crate) builder: Builder,
    pub(crate) optimiser: Optimiser,
    pub(crate) walk: Walk,
    pub(crate) buffer: CodeBuffer,
    /// The formula with the definitions behind it, if there are definitions.
    pub(crate) whole: String,
}

impl Compiler {
    /// A compiler whose formulas may call `hosts`.
    pub(crate) fn new(hosts: &[Arc<HostFunction>]) -> Compiler {
        Compiler {
            front: FrontEnd::new(hosts.iter().map(|h| h.name())),
            builder: Builder::default(),
            optimiser: Optimiser::default(),
            walk: Walk::default(),
            buffer: CodeBuffer::new(&PADDING, CODE_LIMIT),
            whole: String::new(),
        }
    }

    /// Can this build run the code that it makes?
    pub(crate) const fn can_run() -> bool {
        cfg!(target_arch = "x86_64")
    }

    /// Text to values: the function is in `self.builder`. Gives the warnings.
    pub(crate) fn check(&mut self, request: &Request<'_>) -> Result<Vec<Diagnostic>, Error> {
        self.build(request, true, false)
    }

    /// The same, with folding and rules on or off, and with a record of the rules that fired.
    pub(crate) fn build(
        &mut self,
        request: &Request<'_>,
        optimise: bool,
        trace: bool,
    ) -> Result<Vec<Diagnostic>, Error> {
        let fail = |source: &str, diagnostics| Error::Formula { source: source.to_owned(), diagnostics };
        let source = text::utf8(request.source)
            .map_err(|diagnostic| fail(&String::from_utf8_lossy(request.source), vec![*diagnostic]))?;
        self.parse(source, request);
        self.resolve(source, request, optimise, trace);
        let failed = self.front.sink.has_errors();
        let mut diagnostics = if self.front.sink.count() > 0 { self.front.sink.take() } else { Vec::new() };
        if !request.definitions.is_empty() {
            diagnostics.iter_mut().for_each(|diagnostic| request.definitions.name_place(source.len(), diagnostic));
        }
        if failed {
            return Err(fail(source, diagnostics));
        }
        if self.builder.overflowed {
            let message = format!("the formula has more than {} operations", request.limits.nodes);
            return Err(limit_error(source, "limit/nodes", message));
        }
        if self.front.row_parts().is_empty() {
            self.improve(request);
        }
        Ok(diagnostics)
    }

    /// Are these definitions and nothing else? Their types show when they are used.
    pub(crate) fn check_definitions(&mut self, text: &str, limits: Limits) -> Result<(), Error> {
        self.front.parse_definitions(text, limits);
        if !self.front.sink.has_errors() {
            return Ok(());
        }
        Err(Error::Formula { source: text.to_owned(), diagnostics: self.front.sink.take() })
    }

    /// Text to AST.
    pub(crate) fn parse(&mut self, source: &str, request: &Request<'_>) {
        if request.definitions.is_empty() {
            return self.front.parse(source, request.limits);
        }
        self.whole.clear();
        self.whole.extend([source, "\n", &request.definitions.text]);
        self.front.parse_behind(&self.whole, source.len(), request.limits);
    }

    /// AST to values.
    pub(crate) fn resolve(&mut self, source: &str, request: &Request<'_>, optimise: bool, trace: bool) {
        self.builder.reset(BuildOptions {
            checked: request.checked,
            fast: request.fast,
            optimise,
            node_limit: request.limits.nodes,
            trace,
            contract: request.level >= Level::V3,
            inline: None,
        });
        let source = if request.definitions.is_empty() { source } else { &self.whole };
        self.front.check(source, request, &mut self.builder);
    }

    /// Values to better values, if there are branches or loops. Are there?
    pub(crate) fn improve(&mut self, request: &Request<'_>) -> bool {
        self.optimiser.run(&mut self.builder, request.limits.steps)
    }

    /// The function that was checked last as stages, if it has parts that stand for all rows; each is improved.
    pub(crate) fn cut(&mut self, request: &Request<'_>) -> Result<Option<Stages>, Error> {
        let parts = self.front.row_parts();
        if parts.is_empty() {
            return Ok(None);
        }
        let cut = self.optimiser.cut(&self.builder, parts, !request.nullable.is_empty());
        let mut stages = cut.map_err(|uncut| {
            let source = String::from_utf8_lossy(request.source);
            match uncut {
                Uncut::Passes(most) => {
                    let message = format!("the formula would have to read its rows more than {most} times");
                    limit_error(&source, "limit/passes", message)
                }
                Uncut::Nodes => {
                    let message = format!("the formula has more than {} operations", request.limits.nodes);
                    limit_error(&source, "limit/nodes", message)
                }
                Uncut::Steps(span) => {
                    let message = "this loop depends on an aggregate, and an aggregate before that on a later loop";
                    let diagnostic = Diagnostic::error("unsupported/steps", span, message);
                    let diagnostics = vec![diagnostic.help("write that loop before this one")];
                    Error::Formula { source: source.into_owned(), diagnostics }
                }
                Uncut::Again(span) => {
                    let message = "what this call gives is needed in several passes over the rows, and it is not pure";
                    let diagnostics = vec![Diagnostic::error("unsupported/call", span, message)];
                    Error::Formula { source: source.into_owned(), diagnostics }
                }
            }
        })?;
        for stage in &mut stages.stages {
            std::mem::swap(&mut self.builder.func, &mut stage.func);
            self.optimiser.run(&mut self.builder, request.limits.steps);
            std::mem::swap(&mut self.builder.func, &mut stage.func);
        }
        Ok(Some(stages))
    }

    /// The inputs of the function that was checked last: name and type.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.front.inputs()
    }

    /// The names of the results, if they have names.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &str> {
        self.front.outputs()
    }

    /// Values to bytes; `source` is for the error.
    pub(crate) fn emit(&mut self, target: &Target, source: &[u8]) -> Result<(), Error> {
        self.generate(target).map_err(|limit| {
            let (code, message) = match limit {
                Limit::Frame => ("limit/frame", "the formula keeps too many values alive at once for the stack"),
                Limit::Code => ("limit/code", "the formula's machine code is too large"),
            };
            limit_error(&String::from_utf8_lossy(source), code, message.to_owned())
        })
    }

    /// The code that was generated last.
    pub(crate) fn emitted(&self) -> Emitted<'_> {
        let func = &self.builder.func;
        Emitted::from_pipeline(self.buffer.bytes(), func.params.len(), func.results.len())
    }

    /// Compiles the function in the builder to a kernel over columns, if it can run over many rows at once: not if it
    /// calls functions that have effects or can fail, which are called row by row.
    pub(crate) fn emit_kernel(&mut self, level: Level, stores: Stores, mark: bool) -> Option<Kernel> {
        self.emit_kernel_with(level, stores, Chaos::default(), mark)
    }

    /// The same by unusual ways.
    pub(crate) fn emit_kernel_with(
        &mut self,
        level: Level,
        stores: Stores,
        chaos: Chaos,
        mark: bool,
    ) -> Option<Kernel> {
        let pinned = |&r: &Ref| self.builder.func.node(r).op == Op::CallPinned;
        if self.builder.func.effects.iter().any(pinned) {
            return None;
        }
        self.walk.schedule.prepare(&self.builder.func, |_| false, |_| true);
        let schedule = &self.walk.schedule;
        let most = if level >= Level::V4 { TWO_WAYS[1] } else { TWO_WAYS[0] };
        let ways = self.optimiser.spread(&mut self.builder, &|r| schedule.arm_costs(r), most);
        if level >= Level::V3 {
            // Below, what kernels are made of would be calls itself. They come last: their choices are no branches.
            self.optimiser.inline(&mut self.builder, crate::math::kernel_of);
        }
        let func = &self.builder.func;
        debug_assert_eq!(verify::verify(func), Ok(()));
        let target = Packed::new(level, func, ways as u32, stores);
        let columns = (func.params.len() + func.results.len()) / ways;
        let kernel = Kernel { columns, rows: target.rows_per_step() as usize, stores };
        let fits = !self.builder.overflowed && packed::kernel::compile(&mut self.walk, &target, func, chaos).is_ok();
        #[cfg(any(test, debug_assertions))]
        if fits && self.walk.recording {
            assert_eq!(self.check_kernel(&target), Ok(()));
        }
        (fits && self.encode_walk(mark).is_ok()).then_some(kernel)
    }

    /// The kernel that was emitted last.
    pub(crate) fn emitted_kernel(&self, kernel: Kernel) -> EmittedKernel<'_> {
        EmittedKernel::from_pipeline(self.buffer.bytes(), kernel.columns, kernel.rows, kernel.stores)
    }

    /// Compiles the function in the builder; its bytes are in `self.buffer`.
    pub(crate) fn generate(&mut self, target: &Target) -> Result<(), Limit> {
        debug_assert_eq!(verify::verify(&self.builder.func), Ok(()));
        self.allocate(target)?;
        #[cfg(any(test, debug_assertions))]
        if self.walk.recording {
            assert_eq!(self.check_allocation(target), Ok(()));
        }
        self.encode(target)
    }

    /// The backward walk: values to machine instructions.
    pub(crate) fn allocate(&mut self, target: &Target) -> Result<(), Limit> {
        let func: &Func = &self.builder.func;
        abi::compile(&mut self.walk, &target.isa, func, target.convention, target.chaos).map_err(|_| Limit::Frame)
    }

    /// Follows the machine instructions and says where one reads what is not there; wants `walk.recording`.
    #[cfg(any(test, debug_assertions))]
    pub(crate) fn check_allocation(&self, target: &Target) -> Result<(), String> {
        let func = &self.builder.func;
        let contract = abi::contract(&self.walk, func, target.convention);
        check::check(&self.walk, func, &effects::ROLES, &contract)
    }

    /// The same for the kernel that was made last.
    #[cfg(any(test, debug_assertions))]
    pub(crate) fn check_kernel(&self, target: &Packed) -> Result<(), String> {
        check::check(&self.walk, &self.builder.func, &effects::ROLES, &packed::kernel::contract(target))
    }

    /// The forward walk: machine instructions to bytes.
    pub(crate) fn encode(&mut self, target: &Target) -> Result<(), Limit> {
        self.encode_walk(target.mark)
    }

    fn encode_walk(&mut self, mark: bool) -> Result<(), Limit> {
        self.buffer.clear();
        for _ in 0..self.walk.code.labels {
            self.buffer.new_label();
        }
        encode::encode_all(instructions(&self.walk), mark, &mut self.buffer);
        self.buffer.finish(&self.walk.code.pool).map_err(|error| {
            debug_assert_eq!(error, LayoutError::TooLarge);
            Limit::Code
        })
    }
}

fn limit_error(source: &str, code: &'static str, message: String) -> Error {
    let diagnostic = Diagnostic::error(code, Span::default(), message).help("limits are options");
    Error::Formula { source: source.to_owned(), diagnostics: vec![diagnostic] }
}

/// The instructions of the function that was walked last, in the order in which they run.
pub(crate) fn instructions(walk: &Walk) -> impl Iterator<Item = &MInst> {
    walk.code.body.iter().rev().chain(&walk.code.epilogue).chain(&walk.code.end)
}

/// The node that each of these instructions belongs to, if any.
pub(crate) fn origins(walk: &Walk) -> impl Iterator<Item = u32> {
    let epilogue = walk.code.epilogue.iter().map(|_| u32::MAX);
    walk.code.origins.iter().rev().copied().chain(epilogue).chain(walk.code.end_origins.iter().copied())
}
