//! The stages of a compilation, one at a time: for benchmarks, and no part of the interface that is kept stable.
//!
//! Owns nothing but a compiler and an arena, which are reused, as the engine reuses them. Each method runs one stage on
//! what the stage before it left, and may be repeated.

#![forbid(unsafe_code)]

use crate::engine::{Options, Param};
use crate::isa::x64::abi::Convention;
use crate::isa::x64::features::Level;
use crate::mem::{Arena, Mode, Sealed};
use crate::pipeline::{Compiler, Definitions, Request, Stores, Target};
use crate::types::Type;

/// A compiler whose stages are called one by one.
pub struct Stages {
    compiler: Box<Compiler>,
    target: Target,
    arena: Arena,
    asked: Asked,
}

/// What is said about a formula besides its text.
struct Asked {
    level: Level,
    options: Options,
    params: Option<Vec<(String, Option<Type>)>>,
}

impl Asked {
    fn request<'a>(&'a self, source: &'a str) -> Request<'a> {
        Request {
            source: source.as_bytes(),
            params: self.params.as_deref(),
            known: &[],
            default_type: self.options.default_type.unwrap_or(Type::F64),
            hosts: &[],
            definitions: Definitions::NONE,
            fast: self.options.fast,
            checked: self.options.checked,
            columns: false,
            nullable: &[],
            limits: self.options.limits,
            level: self.level,
        }
    }
}

impl Stages {
    /// For code of this level, made executable in this way.
    #[must_use]
    pub fn new(level: Level, mode: Mode) -> Stages {
        let (compiler, target) = (Box::new(Compiler::new(&[])), Target::new(level, Convention::Buffer));
        let asked = Asked { level, options: Options::default(), params: None };
        Stages { compiler, target, arena: Arena::new(mode), asked }
    }

    /// The same for formulas with these options and inputs. Level and memory stay what they are.
    #[must_use]
    pub fn with(mut self, options: &Options, inputs: &[Param]) -> Stages {
        self.asked.options = options.clone();
        self.asked.params = Some(inputs.iter().map(|input| (input.name.clone(), Some(input.ty))).collect());
        self
    }

    /// Text to syntax tree.
    pub fn parse(&mut self, source: &str) {
        self.compiler.parse(source, &self.asked.request(source));
    }

    /// Text to values (parsing included). Does the formula compile?
    pub fn check(&mut self, source: &str) -> bool {
        self.compiler.check(&self.asked.request(source)).is_ok()
    }

    /// The operations that the formula became, with their types, those that nobody wants included.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, Type)> {
        self.compiler.builder.func.nodes.iter().map(|node| (node.op.row().text, node.ty))
    }

    /// Values, which are lost, to the bytes of a kernel over columns. Is there one?
    pub fn kernel(&mut self) -> bool {
        self.compiler.emit_kernel(self.asked.level, Stores::Cached, false).is_some()
    }

    /// How many values the formula became.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.compiler.builder.func.nodes.len()
    }

    /// Values to machine instructions.
    pub fn allocate(&mut self) -> bool {
        self.compiler.allocate(&self.target).is_ok()
    }

    /// Machine instructions to bytes.
    pub fn encode(&mut self) -> bool {
        self.compiler.encode(&self.target).is_ok()
    }

    /// How many bytes there are, constants included.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.compiler.buffer.bytes().len()
    }

    /// Bytes to executable code. `None` if the system refuses it.
    #[must_use]
    pub fn seal(&self) -> Option<Sealed> {
        self.arena.seal(self.compiler.buffer.bytes()).ok()
    }
}
