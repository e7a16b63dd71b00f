//! The stages of a compilation, one at a time: for benchmarks, and no part of the interface that is kept stable.
//!
//! Owns nothing but a compiler and an arena, which are reused, as the engine reuses them. Each method runs one stage on
//! what the stage before it left, and may be repeated.

#![forbid(unsafe_code)]

use crate::isa::x64::abi::Convention;
use crate::isa::x64::features::Level;
use crate::mem::{Arena, Mode, Sealed};
use crate::pipeline::{Compiler, Definitions, Request, Target};
use crate::text::Limits;
use crate::types::Type;

/// A compiler whose stages are called one by one.
pub struct Stages {
    compiler: Box<Compiler>,
    target: Target,
    level: Level,
    arena: Arena,
}

impl Stages {
    /// For code of this level, made executable in this way.
    #[must_use]
    pub fn new(level: Level, mode: Mode) -> Stages {
        let compiler = Box::new(Compiler::new(&[]));
        Stages { compiler, target: Target::new(level, Convention::Buffer), level, arena: Arena::new(mode) }
    }

    fn request<'a>(&self, source: &'a str) -> Request<'a> {
        Request {
            source: source.as_bytes(),
            params: None,
            known: &[],
            default_type: Type::F64,
            hosts: &[],
            definitions: Definitions::NONE,
            fast: false,
            checked: false,
            columns: false,
            nullable: &[],
            limits: Limits::default(),
            level: self.level,
        }
    }

    /// Text to syntax tree.
    pub fn parse(&mut self, source: &str) {
        let request = self.request(source);
        self.compiler.parse(source, &request);
    }

    /// Text to values (parsing included). Does the formula compile?
    pub fn check(&mut self, source: &str) -> bool {
        let request = self.request(source);
        self.compiler.check(&request).is_ok()
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
