//! What runs a formula over columns, made of the formula when it is first wanted.
//!
//! Owns the choice of what can be made: machine code over columns, a program for the interpreter of blocks, a form for single
//! rows. The order in which they are tried is that of `columns`. Knows what the engine knows.

use super::{Function, Role, Wanted};
use crate::columns::Prepared;
use crate::error::RunError;
use crate::ir::blocks::Blocks;
use crate::run::columns::Hosts;
use crate::run::invoke::Body;
use crate::run::kernel::{Kernel, Stores};
use crate::run::threads::Threads;
use std::sync::OnceLock;

impl Function {
    /// The formula for single rows of words, where its own body is not that.
    pub(crate) fn scalar_for_columns(&self) -> Result<Option<Function>, RunError> {
        if matches!(self.inner.body, Body::Native(_)) { self.dynamic().map(Some) } else { Ok(None) }
    }

    /// The formula for the interpreter of blocks; none if its rows depend on one another, or if machine code for single
    /// rows is better at it, as at loops.
    pub(crate) fn blocks(&self) -> Option<Blocks> {
        if let Body::Interpreted(func) = &self.inner.body {
            return Blocks::new(func);
        }
        if !matches!(self.inner.role, Role::Whole) {
            // The text is that of all stages.
            return None;
        }
        match self.formula().interpreted() {
            Ok(Body::Interpreted(func)) if func.loops.is_empty() => Blocks::new(&func),
            _ => None,
        }
    }

    /// Machine code over columns; none where machine code is not wanted or refused, and for formulas that must be evaluated
    /// row by row.
    pub(crate) fn kernel(&self, stores: Stores) -> Option<Kernel> {
        self.inner.body.code()?;
        let (shared, formula) = (&self.inner.shared, self.formula());
        let mut compiler = shared.compiler();
        if let Role::Stage(number) = self.inner.role {
            let kernel = formula.stage_kernel(&mut compiler, number, stores);
            shared.put_back(compiler);
            return kernel;
        }
        let kernel = formula.front(&mut compiler, &Wanted::Dynamic, false).ok().and_then(|compiled| {
            // The same source, so the same formula, unless it was typed from outside.
            let same = compiled.params[..] == self.inner.params[..] && compiled.outputs[..] == self.inner.outputs[..];
            let kernel = compiler.emit_kernel(shared.level, stores, false).filter(|_| same)?;
            compiler.emitted_kernel(kernel).seal(&shared.arena).ok()
        });
        shared.put_back(compiler);
        kernel
    }

    /// What the formula calls of the host program.
    pub(crate) fn hosts(&self) -> Hosts {
        match &self.inner.hosts[..] {
            [] => Hosts::None,
            hosts if hosts.iter().all(|host| host.is_pure()) => Hosts::Pure,
            _ => Hosts::WithEffects,
        }
    }

    /// The threads of calls over many rows.
    pub(crate) fn threads(&self) -> &Threads {
        &self.inner.shared.threads
    }

    /// The place of what runs columns.
    pub(crate) fn for_columns(&self) -> &OnceLock<Box<Prepared>> {
        &self.inner.columns
    }
}
