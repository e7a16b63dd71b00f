//! Everything that happens to a formula on its way from text to machine code, as text.
//!
//! Owns no stage: it runs them one after another and writes down what each made. For people and for tests; nothing here
//! is fast.

#![forbid(unsafe_code)]

use crate::engine::{Output, Param};
use crate::error::Error;
use crate::ir::{self, Func, Ref};
use crate::isa::x64::abi::{Convention, HOST};
use crate::isa::x64::features::Level;
use crate::isa::x64::text::push_text;
use crate::mach::listing;
use crate::ops::Op;
use crate::pipeline::{Compiler, Definitions, Request, Stores, Target, instructions, origins};
use crate::span::{Diagnostic, Place, Span};
use std::time::{Duration, Instant};

mod passes;

/// A rule of the optimiser that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredRule {
    /// The rule's name.
    pub rule: &'static str,
    /// What came of it, as operations on inputs and constants; `...` stands for what is deeper.
    pub result: String,
    /// The part of the formula that it was applied to.
    pub span: Span,
}

/// Something that was done to loops or calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassEvent {
    /// Which pass did it.
    pub pass: &'static str,
    /// What it did, as the rest of a sentence that begins with the part.
    pub what: String,
    /// The part of the formula to which it was done.
    pub span: Span,
}

/// An instruction, or a row of constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands, in bytes from the start.
    pub offset: usize,
    /// Its bytes; none for a label.
    pub bytes: Vec<u8>,
    /// The instruction in the notation of Intel's manual.
    pub text: String,
    /// The part of the formula that it came from.
    pub span: Option<Span>,
}

/// What every stage made of a formula.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The formula.
    pub source: String,
    /// The syntax tree as nested lists.
    pub ast: String,
    /// The formula in canonical form.
    pub canonical: String,
    /// The values as written: nothing folded, no rule applied.
    pub ir_unoptimised: String,
    /// The values as they are made: folded, rewritten by rules, shared; no pass has seen them.
    pub ir_built: String,
    /// The values that are compiled.
    pub ir: String,
    /// The rules that were applied.
    pub rules: Vec<FiredRule>,
    /// What was done to loops and calls.
    pub passes: Vec<PassEvent>,
    /// The machine code, entered as a C function; by buffer if the formula can fail or has several results.
    pub code: Vec<Line>,
    /// Its bytes, constants included.
    pub bytes: Vec<u8>,
    /// The inputs.
    pub params: Vec<Param>,
    /// The results.
    pub outputs: Vec<Output>,
    /// The level that the code is for.
    pub level: Level,
    /// What is not wrong but was noticed.
    pub warnings: Vec<Diagnostic>,
    /// How long each stage took, once, in this run.
    pub stages: Vec<(&'static str, Duration)>,
    definitions: Definitions,
}

impl Inspection {
    /// Where a part stands: in the formula, or in a text that [`Engine::define`](crate::Engine::define) was given.
    #[must_use]
    pub fn place(&self, span: Span) -> Place<'_> {
        self.definitions.place(&self.source, span)
    }

    /// The text of a part.
    #[must_use]
    pub fn part(&self, span: Span) -> &str {
        let place = self.place(span);
        place.span.text(place.text)
    }

    pub(crate) fn of(compiler: &mut Compiler, request: &Request<'_>, level: Level) -> Result<Inspection, Error> {
        compiler.build(request, false, false)?;
        let ir_unoptimised = ir::text::print(&compiler.builder.func);
        let warnings = compiler.build(request, true, true)?;
        let source = String::from_utf8_lossy(request.source).into_owned();
        let func = &compiler.builder.func;
        let names: Vec<String> = compiler.inputs().map(|(name, _)| name.to_owned()).collect();
        let rules = compiler.builder.fired.iter().map(|fired| FiredRule {
            rule: fired.rule,
            result: sketch(func, &names, fired.result, 3),
            span: func.spans[fired.result.index()],
        });
        let rules = rules.collect();
        let passes = compiler.optimiser.report.events.iter().map(passes::event).collect::<Vec<_>>();
        let (ast, canonical) = (compiler.front.dump(&source), compiler.front.print(&source));
        let ir = ir::text::print(func);
        let params = Param::all_of(compiler);
        let outputs = Output::all_of(compiler);
        let buffer = func.is_fallible() || outputs.len() > 1;
        let convention = if buffer { Convention::Buffer } else { Convention::Native(HOST) };
        let (ir_built, hoisted) = Self::before_passes(compiler, request, &source);
        let passes = passes::in_order(passes, hoisted);
        let stages = Self::time(compiler, request, &source, level, convention)?;
        let code = lines(compiler);
        let bytes = compiler.buffer.bytes().to_vec();
        Ok(Inspection {
            source,
            ast,
            canonical,
            ir_unoptimised,
            ir_built,
            ir,
            rules,
            passes,
            code,
            bytes,
            params,
            outputs,
            level,
            warnings,
            stages,
            definitions: request.definitions.clone(),
        })
    }

    /// The values before the passes, as text, and those that stand before loops although they are written in them.
    fn before_passes(compiler: &mut Compiler, request: &Request<'_>, source: &str) -> (String, Vec<PassEvent>) {
        compiler.parse(source, request);
        compiler.resolve(source, request, true, false);
        let func = &compiler.builder.func;
        (ir::text::print(func), passes::hoisted(func, &compiler.front.loops()))
    }

    /// Runs the stages once more, each under a clock. The code is left in the compiler.
    fn time(
        compiler: &mut Compiler,
        request: &Request<'_>,
        source: &str,
        level: Level,
        convention: Convention,
    ) -> Result<Vec<(&'static str, Duration)>, Error> {
        let target = Target { mark: true, ..Target::new(level, convention) };
        let mut stages = Vec::new();
        let mut clock = Instant::now();
        let mut lap = |name| {
            let now = Instant::now();
            stages.push((name, now - std::mem::replace(&mut clock, now)));
        };
        compiler.parse(source, request);
        lap("parse");
        compiler.resolve(source, request, true, false);
        lap("check and build");
        if compiler.improve(request) {
            lap("passes");
        }
        if compiler.improve(request) {
            lap("branches and loops");
        }
        // It compiled before; what fails is reported by `emit`.
        let allocated = compiler.allocate(&target);
        lap("allocate");
        let encoded = allocated.and_then(|()| compiler.encode(&target));
        lap("encode");
        if encoded.is_err() {
            compiler.emit(&target, request.source)?;
        }
        Ok(stages)
    }

    /// The listing of a formula's code as text; empty if it does not compile.
    pub(crate) fn listing(
        compiler: &mut Compiler,
        request: &Request<'_>,
        level: Level,
        convention: Convention,
    ) -> String {
        let target = Target { mark: true, ..Target::new(level, convention) };
        let mut text = String::new();
        if compiler.check(request).is_ok() && compiler.emit(&target, request.source).is_ok() {
            listing::write(instructions(&compiler.walk), &compiler.buffer, push_text, &mut text);
        }
        text
    }

    /// The same of its kernel over columns; empty if there is none.
    pub(crate) fn kernel_listing(compiler: &mut Compiler, request: &Request<'_>, level: Level) -> String {
        let mut text = String::new();
        if compiler.check(request).is_ok() && compiler.emit_kernel(level, Stores::Cached, true).is_some() {
            listing::write(instructions(&compiler.walk), &compiler.buffer, push_text, &mut text);
        }
        text
    }
}

/// A value as nested operations, down to a depth.
fn sketch(func: &Func, inputs: &[String], r: Ref, depth: u32) -> String {
    let node = func.node(r);
    if let Some(value) = func.constant(r) {
        return value.to_string();
    }
    if node.op == Op::Param {
        return inputs.get(node.a as usize).cloned().unwrap_or_default();
    }
    if depth == 0 {
        return "...".to_owned();
    }
    let mut operands = Vec::new();
    func.for_operands(node, |operand| operands.push(sketch(func, inputs, operand, depth - 1)));
    let name = match node.op {
        Op::Call | Op::CallPinned => func.callees[node.a as usize].name(),
        op => op.row().text,
    };
    format!("{name}({})", operands.join(", "))
}

/// The code in the compiler, which was encoded with marks, line by line.
fn lines(compiler: &Compiler) -> Vec<Line> {
    let bytes = compiler.buffer.bytes();
    let marks = compiler.buffer.marks();
    let ends = marks.iter().skip(1).map(|&end| end as usize).chain([compiler.buffer.code_len()]);
    let func = &compiler.builder.func;
    let mut lines: Vec<Line> = instructions(&compiler.walk)
        .zip(origins(&compiler.walk))
        .zip(marks.iter().map(|&start| start as usize).zip(ends))
        .map(|((inst, origin), (start, end))| {
            let mut text = String::new();
            push_text(inst, &mut text);
            let span = func.spans.get(Ref(origin).index()).copied().filter(|span| span.end > span.start);
            Line { offset: start, bytes: bytes[start..end].to_vec(), text, span }
        })
        .collect();
    let pool = compiler.walk.code.pool.bytes().len();
    let first = bytes.len() - pool;
    for (i, word) in bytes[first..].chunks(8).enumerate() {
        let digits: String = word.iter().rev().map(|b| format!("{b:02x}")).collect();
        let text = format!("dq 0x{digits}");
        lines.push(Line { offset: first + 8 * i, bytes: word.to_vec(), text, span: None });
    }
    lines
}
