//! Formulas that are made executable together.
//!
//! Owns the list of what waits for that. Knows no stage of a compilation from inside.

#![forbid(unsafe_code)]

use super::stages::Role;
use super::{EngineKind, Formula, Function, Shared, Wanted};
use crate::error::Error;
use crate::ir::Func;
use crate::isa::x64::abi::Convention;
use crate::mem;
use crate::pipeline::{Compiler, Target};
use crate::run::invoke::{Body, Pending};
use std::fmt;
use std::sync::Arc;

/// Formulas whose code is made executable all at once, which saves the system calls of all but one.
///
/// ```
/// let engine = kiln::Engine::new();
/// let mut batch = engine.batch();
/// for k in 1..=100 {
///     batch.add(&format!("x * {k}"))?;
/// }
/// let functions = batch.finish()?;
/// assert!(matches!(functions[41].call(&[kiln::Value::F64(2.0)])?, kiln::Value::F64(84.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch {
    shared: Arc<Shared>,
    codes: mem::Batch,
    functions: Vec<(Function, Option<Pending>)>,
}

impl Batch {
    pub(super) fn new(shared: Arc<Shared>) -> Batch {
        Batch { shared, codes: mem::Batch::new(), functions: Vec::new() }
    }

    /// Compiles a formula into the batch; its place in the batch is returned.
    ///
    /// # Errors
    /// [`Error::Formula`] with everything that is wrong with it; the batch is as it was.
    pub fn add(&mut self, text: &str) -> Result<usize, Error> {
        let shared = self.shared.clone();
        let formula = Formula {
            shared: &shared,
            source: text.as_bytes(),
            params: None,
            known: Vec::new(),
            nullable: Vec::new(),
            assumed: None,
            error: None,
        };
        let mut compiler = shared.compiler();
        let added = self.add_with(&formula, &mut compiler);
        shared.put_back(compiler);
        added
    }

    fn add_with(&mut self, formula: &Formula<'_>, compiler: &mut Compiler) -> Result<usize, Error> {
        let compiled = formula.front(compiler, &Wanted::Dynamic, false)?;
        let mut pending = None;
        if self.shared.options.engine != Some(EngineKind::Interpreter) && Compiler::can_run() {
            compiler.emit(&Target::new(self.shared.level, Convention::Buffer), formula.source)?;
            pending = Some(compiler.emitted().push(&mut self.codes));
        }
        // With code to come the body is filled in by `finish`.
        let body = match pending {
            Some(_) => Body::Interpreted(Func::default()),
            None => Body::Interpreted(std::mem::take(&mut compiler.builder.func)),
        };
        self.functions.push((Function::new(formula, compiled, body, Role::Whole), pending));
        Ok(self.functions.len() - 1)
    }

    /// How many formulas it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Holds it none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Makes all the code executable and gives the functions in the order in which they were added.
    ///
    /// # Errors
    /// [`Error::Seal`] if executable memory is refused and the options forbid the interpreter.
    pub fn finish(self) -> Result<Vec<Function>, Error> {
        let sealed = match self.codes.seal_in(&self.shared.arena) {
            Ok(sealed) => sealed,
            Err(_) if self.shared.options.engine.is_none() => Vec::new(),
            Err(error) => return Err(Error::Seal(error)),
        };
        let finish = |(mut function, pending): (Function, Option<Pending>)| {
            let Some(pending) = pending else { return Ok(function) };
            let body = match pending.finish(&sealed) {
                Some(code) => Body::Buffer(code),
                None => function.formula().interpreted()?,
            };
            if let Some(inner) = Arc::get_mut(&mut function.inner) {
                inner.body = body;
            }
            Ok(function)
        };
        self.functions.into_iter().map(finish).collect()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}
