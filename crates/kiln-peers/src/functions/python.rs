//! Functions of libraries for Python.
//!
//! The one idea: `python/functions.py` is started for a type and a width, reads columns from a file and answers line by
//! line; turns and errors are ours.

use super::{Number, Width};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

/// What brings the libraries here.
pub(super) const INSTALL: &str = "`python3 -m venv target/peers-python`, `target/peers-python/bin/pip install -r crates/kiln-peers/python/requirements.txt`";

/// A process that answers.
pub(super) struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where columns go.
    path: PathBuf,
    /// Its engines, and what one has to know of them.
    pub(super) engines: BTreeMap<String, String>,
}

impl Python {
    /// Starts it; the files of columns go to the folder.
    pub(super) fn start<T: Number>(program: &Path, width: Width, folder: &Path) -> Result<Python, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/functions.py");
        let (dtype, level) = (if T::PREFIX == "f32" { "float32" } else { "float64" }, width.level_name());
        let mut command = Command::new(program);
        command.arg(script).args([dtype, level]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let failed = |what: String| {
            let install =
                "python3 -m venv target/peers-python, then pip install -r crates/kiln-peers/python/requirements.txt";
            format!("{} {what}: {install}", program.display())
        };
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("has no pipes".to_owned()));
        };
        let path = folder.join(format!("columns-{dtype}-{level}"));
        let mut python = Python { child, input, output: BufReader::new(output), path, engines: BTreeMap::new() };
        let head = python.answer().map_err(failed)?;
        python.engines = serde_json::from_str(&head).map_err(|error| failed(error.to_string()))?;
        Ok(python)
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err("has ended".to_owned()),
            Ok(_) => Ok(line.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn ask(&mut self, line: &str) -> Result<String, String> {
        let sent = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        sent.map_err(|error| error.to_string())?;
        self.answer()
    }

    /// These are the columns from now on.
    pub(super) fn load<T: Number>(&mut self, columns: &[Vec<T>]) -> Result<(), String> {
        let bytes: Vec<u8> = columns.iter().flatten().flat_map(|value| value.bytes()).collect();
        fs::write(&self.path, bytes).map_err(|error| error.to_string())?;
        let line = format!("load {} {} {}", self.path.display(), columns[0].len(), columns.len());
        self.ask(&line).map(|_| ())
    }

    /// What a function gives for the columns, if there is one.
    pub(super) fn results<T: Number>(&mut self, engine: &str, function: &str) -> Result<Option<Vec<T>>, String> {
        let line = format!("results {engine} {function} {}", self.path.display());
        if self.ask(&line)? != "written" {
            return Ok(None);
        }
        let bytes = fs::read(&self.path).map_err(|error| error.to_string())?;
        Ok(Some(bytes.chunks_exact(size_of::<T>()).map(T::from_bytes).collect()))
    }

    /// Nanoseconds a row of one sample of so many seconds.
    pub(super) fn time(&mut self, engine: &str, function: &str, seconds: f64) -> Result<Option<f64>, String> {
        Ok(self.ask(&format!("time {engine} {function} {seconds}"))?.parse().ok())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends when its input does, but need not be waited for to do so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An engine of that process.
pub(super) struct Engine {
    pub(super) python: Rc<RefCell<Python>>,
    pub(super) name: String,
}
