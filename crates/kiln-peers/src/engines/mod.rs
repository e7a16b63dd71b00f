//! The engines.
//!
//! Owns what an engine has to be able to do. The one idea: an engine compiles a formula for a purpose and gets whole runs of
//! rows, so that what is measured is its own loop and nothing around it; what an engine cannot do is an error with a
//! reason, and a gap in the tables.
//!
//! To add an engine: a file here, a line in `all`, and a row in the table of the README.

mod cranelift;
mod fidget;
mod interpreters;
mod kiln;
pub(crate) mod native;
mod symjit;

use crate::column::{Column, Data};
use crate::formula::Formula;
use std::num::NonZeroUsize;

/// What a formula is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Calls with a value for each input.
    Calls,
    /// Calls with columns.
    Columns,
}

/// In what an engine computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Double,
    Single,
}

/// An engine.
pub(crate) trait Engine {
    /// Its name in tables and options.
    fn name(&self) -> &'static str;

    /// What one has to know to read its numbers.
    fn note(&self) -> String;

    /// In what it computes.
    fn precision(&self) -> Precision {
        Precision::Double
    }

    /// Is compiling a program of its own, which takes long enough to be measured once?
    fn is_process(&self) -> bool {
        false
    }

    /// Has it no loop over columns, so that they are calls row by row?
    fn goes_row_by_row(&self) -> bool {
        false
    }

    /// Is it worth asking for columns? Otherwise another engine does the same.
    fn has_columns(&self) -> bool {
        true
    }

    /// Compiles many formulas together, where that saves time; they are asked for one by one afterwards.
    fn prepare(&mut self, _formulas: &[Formula]) -> Result<(), String> {
        Ok(())
    }

    /// Compiles a formula, or says why not.
    fn compile(&mut self, formula: &Formula, purpose: Purpose) -> Result<Box<dyn Compiled>, String>;
}

/// A compiled formula.
pub(crate) trait Compiled {
    /// Looks at the inputs before time is taken, for engines that take them in another form.
    fn load(&mut self, _inputs: &[Column]) {}

    /// Calls it for every row and stores the results.
    fn calls(&mut self, data: &mut Data);

    /// Computes the whole columns.
    fn columns(&mut self, data: &mut Data) {
        self.calls(data);
    }

    /// Puts the results where they belong, for engines that give them in another form.
    fn store(&self, _out: &mut [f64]) {}
}

/// What the command line says about engines.
pub(crate) struct Choice {
    /// Names, or all.
    pub(crate) names: Vec<String>,
    /// How many threads Kiln may use.
    pub(crate) threads: NonZeroUsize,
    /// More words for the C compilers.
    pub(crate) c_flags: Vec<String>,
}

/// Kiln measured a second time: its ratio to `kiln` is the noise.
pub(crate) const CONTROL: &str = "kiln-again";

/// All engines that are to be had here. The order is that of the tables.
fn all(choice: &Choice) -> Vec<Box<dyn Engine>> {
    let mut engines: Vec<Box<dyn Engine>> = vec![
        Box::new(kiln::Kiln::new("kiln", kiln::Variant::Strict, choice.threads)),
        Box::new(kiln::Kiln::new("kiln-fast", kiln::Variant::Fast, choice.threads)),
        Box::new(kiln::Kiln::new("kiln-blocks", kiln::Variant::Interpreted, choice.threads)),
        Box::new(kiln::Kiln::new("kiln-dual", kiln::Variant::DualMapped, choice.threads)),
        Box::new(cranelift::Cranelift::new()),
        Box::new(symjit::Symjit),
        Box::new(fidget::Fidget),
        Box::new(interpreters::Fasteval),
        Box::new(interpreters::Exmex),
        Box::new(interpreters::Evalexpr),
    ];
    engines.extend(native::found(&choice.c_flags));
    // Far from the first of its turns.
    engines.push(Box::new(kiln::Kiln::new(CONTROL, kiln::Variant::Strict, choice.threads)));
    engines
}

/// The engines that were chosen.
pub(crate) fn chosen(choice: &Choice) -> Result<Vec<Box<dyn Engine>>, String> {
    let all = all(choice);
    let known = || all.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ");
    if let Some(name) = choice.names.iter().find(|name| !all.iter().any(|engine| engine.name() == **name)) {
        return Err(format!("there is no engine {name} here; these are: {}", known()));
    }
    let wanted = |name: &str| choice.names.is_empty() || choice.names.iter().any(|wanted| wanted == name);
    Ok(all.into_iter().filter(|engine| wanted(engine.name())).collect())
}
