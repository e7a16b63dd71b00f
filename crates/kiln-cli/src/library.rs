//! Files of definitions, which `--lib` makes known to formulas.
//!
//! Owns their texts. The one idea: files are read once, and every engine that is made is given the same texts, under the
//! names by which the command line calls the files, so that messages say where to look.

use crate::eval::{read_file, utf8};
use crate::report::Failure;
use kiln::Engine;
use std::path::PathBuf;

/// Texts of definitions with the names of their files, in order.
#[derive(Debug, Default)]
pub(crate) struct Libraries(Vec<(String, String)>);

impl Libraries {
    /// Reads the files.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Libraries, Failure> {
        let read = |path: &PathBuf| {
            let name = path.display().to_string();
            let text = utf8(&name, read_file(path)?)?;
            Ok((name, text))
        };
        Ok(Libraries(paths.iter().map(read).collect::<Result<_, Failure>>()?))
    }

    /// Gives the definitions to an engine.
    pub(crate) fn define(&self, engine: &mut Engine) -> Result<(), Failure> {
        self.0.iter().try_for_each(|(name, text)| {
            engine.define(name, text).map_err(|error| Failure::Formula { origin: Some(name.clone()), error })
        })
    }
}
