//! `kiln repl`: formulas line by line.
//!
//! Owns the session: the definitions that were made so far, and the commands that begin with a colon. An entry is a
//! line, or several while brackets are open. The one idea: the definitions are kept as text and stand before each new
//! formula, so that the session means exactly what a formula file with the same lines means. To add a command: its row
//! in `COMMANDS` and its arm in `Session::command`.

use crate::args::{FormulaArgs, ReplArgs, TypeName};
use crate::asm;
use crate::describe;
use crate::entry::{self, Definition};
use crate::eval::{Wrong, call, clean, compile, run_failure, write_results};
use crate::functions;
use crate::library::Libraries;
use crate::report::{Failure, Printer};
use clap::ValueEnum as _;
use kiln::{Diagnostic, Engine, Function, Value};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::cell::RefCell;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::rc::Rc;

/// The commands: name, argument, what it does.
const COMMANDS: [(&str, &str, &str); 8] = [
    (":help", "[FUNCTION]", "show this, or what a function does"),
    (":type", "[TYPE]", "show or set the type of numbers that nothing else gives a type"),
    (":lets", "", "show the definitions made so far"),
    (":clear", "", "forget them"),
    (":asm", "FORMULA", "show the machine code"),
    (":explain", "FORMULA", "show every stage on the way to it"),
    (":functions", "", "list all functions"),
    (":quit", "", "leave"),
];

/// Words of the language that are completed beside functions, constants and definitions.
const WORDS: [&str; 19] = [
    "and", "break", "continue", "else", "false", "fn", "for", "if", "in", "inf", "let", "nan", "not", "or", "pi",
    "tau", "true", "var", "while",
];

/// What the terminal shows where an entry begins, and where it goes on because brackets are open.
const PROMPTS: [&str; 2] = ["> ", "... "];

/// What an entry did.
enum Outcome {
    Done,
    Quit,
}

/// The state between entries.
struct Session<'a> {
    printer: &'a Printer,
    args: FormulaArgs,
    libraries: Libraries,
    /// Definitions in order, as they were typed.
    definitions: Vec<Definition>,
    /// Their names, shared with the line editor.
    names: Rc<RefCell<Vec<String>>>,
}

/// Runs the command.
pub(crate) fn repl(args: &ReplArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let interactive = io::stdin().is_terminal();
    let names = Rc::new(RefCell::new(Vec::new()));
    let libraries = Libraries::read(&args.machine.libraries)?;
    let formula_args = FormulaArgs { ty: args.ty, params: None, machine: args.machine.clone() };
    let (definitions, shared) = (Vec::new(), Rc::clone(&names));
    let mut session = Session { printer, args: formula_args, libraries, definitions, names: shared };
    // A wrong option or library is said now, not with the first formula.
    session.engine()?;
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
    let mut editor: Editor<Assistant, DefaultHistory> = Editor::with_config(config).map_err(read_failure)?;
    editor.set_helper(Some(Assistant { names }));
    let history = history_file().filter(|_| interactive);
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    if interactive {
        writeln!(out, "Kiln {}: a formula gives its value; :help shows more.", env!("CARGO_PKG_VERSION"))?;
    }
    let mut failed = false;
    loop {
        out.flush()?;
        let Some(entry) = read_entry(&mut editor, interactive)? else { break };
        match session.entry(&entry, out) {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Quit) => break,
            Err(failure @ Failure::Io(_)) => return Err(failure),
            Err(failure) => {
                out.flush()?;
                printer.failure(&failure);
                failed = true;
            }
        }
    }
    if let Some(path) = &history {
        save_history(&mut editor, path);
    }
    // A script that is piped in succeeds if all its lines did.
    if failed && !interactive { Err(Failure::Reported) } else { Ok(()) }
}

/// The next entry: a line, and more lines while brackets are open. Nothing at the end.
fn read_entry(editor: &mut Editor<Assistant, DefaultHistory>, interactive: bool) -> Result<Option<String>, Failure> {
    let (mut entry, mut depth, mut goes_on) = (String::new(), 0, false);
    loop {
        match editor.readline(PROMPTS[usize::from(goes_on)]) {
            Ok(line) => {
                // A person gives up on open brackets with an empty line; in a script it is only an empty line.
                let given_up = interactive && goes_on && line.trim().is_empty();
                depth += entry::depth(&line);
                entry += &line;
                goes_on = depth > 0 && !given_up;
                if goes_on {
                    entry.push('\n');
                    continue;
                }
                if interactive && !entry.trim().is_empty() {
                    // A history that cannot be kept is no reason to fail.
                    let _ = editor.add_history_entry(entry.trim());
                }
                return Ok(Some(entry));
            }
            // Ctrl-C forgets the entry, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) if interactive => return Ok(Some(String::new())),
            // What stands at the end of a script with open brackets is wrong, and is said to be.
            Err(ReadlineError::Eof) if goes_on && !interactive => return Ok(Some(entry)),
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(read_failure(error)),
        }
    }
}

fn read_failure(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => error.into(),
        other => Failure::input(format!("cannot read a line: {other}")),
    }
}

fn save_history(editor: &mut Editor<Assistant, DefaultHistory>, path: &std::path::Path) {
    // A history that cannot be kept is no reason to fail.
    if let Some(directory) = path.parent() {
        let _ = std::fs::create_dir_all(directory);
    }
    let _ = editor.save_history(path);
}

/// Where the platform keeps what programs remember.
fn history_file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")))
    };
    state.map(|state| state.join("kiln").join("history.txt"))
}

impl Session<'_> {
    /// The engine, which knows the definitions of the libraries.
    fn engine(&self) -> Result<Engine, Failure> {
        let mut engine = self.args.machine.engine(self.args.ty.into())?;
        self.libraries.define(&mut engine)?;
        Ok(engine)
    }

    /// Does what an entry says.
    fn entry(&mut self, entry: &str, out: &mut dyn io::Write) -> Result<Outcome, Failure> {
        let entry = entry.trim();
        if entry.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Outcome::Done);
        }
        if entry.starts_with(':') {
            return self.command(entry, out);
        }
        match entry::definition(entry) {
            Some(definition) => self.define(definition, out)?,
            None => {
                let (function, values) = self.values(entry)?;
                write_results(function.outputs(), &values, false, out)?;
            }
        }
        Ok(Outcome::Done)
    }

    fn command(&mut self, line: &str, out: &mut dyn io::Write) -> Result<Outcome, Failure> {
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        let full = COMMANDS.iter().map(|(name, ..)| *name).find(|known| known.starts_with(name) && name.len() > 1);
        match full.unwrap_or(name) {
            ":help" if argument.is_empty() => {
                writeln!(out, "A formula gives its value. `let r = 2` and `fn f(x) = x^2` are kept for later lines.")?;
                for (name, argument, text) in COMMANDS {
                    writeln!(out, "  {:21} {text}", format!("{name} {argument}"))?;
                }
            }
            ":help" => functions::one(argument, self.printer, out)?,
            ":functions" => {
                functions::functions(&crate::args::FunctionsArgs { name: None }, self.printer, out)?;
            }
            ":type" if argument.is_empty() => writeln!(out, "{}", kiln::Type::from(self.args.ty))?,
            ":type" => match TypeName::from_str(argument, false) {
                Ok(ty) => self.args.ty = ty,
                Err(_) => {
                    let failure = Failure::input(format!("there is no type `{}`", clean(argument)));
                    return Err(failure.help("the types are f64, f32, i64, i32 and bool"));
                }
            },
            ":lets" => {
                for definition in &self.definitions {
                    writeln!(out, "{}", definition.text)?;
                }
            }
            ":clear" => {
                self.definitions.clear();
                self.names.borrow_mut().clear();
            }
            ":asm" => {
                let inspection = self.inspect(argument)?;
                out.write_all(asm::listing(&inspection, self.printer).as_bytes())?;
            }
            ":explain" => {
                let inspection = self.inspect(argument)?;
                describe::write(&inspection, self.printer, out)?;
            }
            ":quit" => return Ok(Outcome::Quit),
            other => {
                let failure = Failure::input(format!("there is no command `{}`", clean(other)));
                return Err(failure.help(":help lists the commands"));
            }
        }
        Ok(Outcome::Done)
    }

    fn inspect(&self, formula: &str) -> Result<kiln::Inspection, Failure> {
        asm::inspect(&self.engine()?, &self.args, self.source(formula).as_bytes(), self.printer)
    }

    /// Keeps definitions, if they compile, and shows what has a value.
    fn define(&mut self, definition: Definition, out: &mut dyn io::Write) -> Result<(), Failure> {
        // Alone first: with a formula behind it, a text that ends too early would go on there.
        Engine::new().define("", &definition.text).map_err(|error| self.failure(error))?;
        let values = self.keep(&definition)?;
        for (name, value) in definition.lets.iter().zip(values) {
            writeln!(out, "{name} = {value}")?;
        }
        let plain = definition.names().filter(|name| !name.starts_with('`'));
        self.names.borrow_mut().extend(plain.map(str::to_owned));
        Ok(())
    }

    /// Adds definitions and gives the values of their names; they are as they were if that fails.
    fn keep(&mut self, definition: &Definition) -> Result<Vec<Value>, Failure> {
        let before = self.definitions.clone();
        // A formula has one function of a name. The new one takes the place of the old one, so that what follows uses it,
        // or the last place if it uses what was defined since.
        let same = |old: &Definition| {
            old.lets.is_empty() && definition.lets.is_empty() && old.functions == definition.functions
        };
        if let Some(at) = self.definitions.iter().position(same) {
            self.definitions[at] = definition.clone();
            if let Ok(values) = self.values_of(&definition.lets) {
                return Ok(values);
            }
            self.definitions.remove(at);
        }
        self.definitions.push(definition.clone());
        let values = self.values_of(&definition.lets);
        if values.is_err() {
            self.definitions = before;
        }
        values
    }

    /// The values of these names.
    fn values_of(&self, names: &[String]) -> Result<Vec<Value>, Failure> {
        if names.is_empty() {
            // Of a function that is not called, syntax, names and recursion are checked.
            return Ok(self.values("0")?.1);
        }
        let mut all = Vec::new();
        for name in names {
            all.extend(self.values(name)?.1);
        }
        Ok(all)
    }

    /// The definitions, then `text`.
    fn source(&self, text: &str) -> String {
        let mut source = String::new();
        for definition in &self.definitions {
            source += &definition.text;
            source.push('\n');
        }
        source + text
    }

    /// Compiles a formula behind the definitions and computes its results.
    fn values(&self, text: &str) -> Result<(Function, Vec<Value>), Failure> {
        let source = self.source(text);
        let engine = self.engine()?;
        let function = match compile(&engine, engine.formula(&source), false, &[]) {
            Ok(function) => function,
            Err(Wrong::Formula(error)) => return Err(self.failure(error)),
            Err(wrong) => return Err(wrong.into()),
        };
        let new = |d: &&Diagnostic| !d.code.starts_with("shadow");
        let warnings: Vec<Diagnostic> = function.warnings().iter().filter(new).cloned().collect();
        self.printer.warnings(None, &source, &warnings);
        match call(&function, &[]) {
            Err(Wrong::Run(error)) => Err(run_failure(&function, &error, None)),
            Err(Wrong::Input { .. }) => {
                let names = function.params().iter().map(|param| clean(&param.name)).collect::<Vec<_>>();
                let failure = Failure::input(format!("without a value: {}", names.join(", ")));
                Err(failure.help(format!("let {} = ...", names[0])))
            }
            other => {
                let values = other?;
                Ok((function, values))
            }
        }
    }

    /// A failure without the warnings about definitions that were made again on purpose.
    fn failure(&self, error: kiln::Error) -> Failure {
        match error {
            kiln::Error::Formula { source, mut diagnostics } => {
                diagnostics.retain(Diagnostic::is_error);
                kiln::Error::Formula { source, diagnostics }.into()
            }
            other => other.into(),
        }
    }
}

/// Completes names.
struct Assistant {
    names: Rc<RefCell<Vec<String>>>,
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(completions(line, at, &self.names.borrow()))
    }
}

/// What the word before `at` can be completed to, and where it starts.
fn completions(line: &str, at: usize, names: &[String]) -> (usize, Vec<Pair>) {
    let before = &line[..at];
    if before.starts_with(':') && !before.contains(char::is_whitespace) {
        let commands = COMMANDS.iter().map(|(name, ..)| *name).filter(|name| name.starts_with(before));
        return (0, commands.map(|name| pair(name, format!("{name} "))).collect());
    }
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    if word.is_empty() {
        return (start, Vec::new());
    }
    let functions = kiln::functions().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
    let mut pairs: Vec<Pair> =
        functions.filter(|name| name.starts_with(word)).map(|name| pair(name, format!("{name}("))).collect();
    let plain = WORDS.iter().copied().chain(names.iter().map(String::as_str));
    pairs.extend(plain.filter(|name| name.starts_with(word)).map(|name| pair(name, name.to_owned())));
    pairs.sort_by(|a, b| a.display.cmp(&b.display));
    pairs.dedup_by(|a, b| a.display == b.display);
    (start, pairs)
}

fn pair(display: &str, replacement: String) -> Pair {
    Pair { display: display.to_owned(), replacement }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_commands_and_definitions() {
        let names = ["radius".to_owned()];
        let shown = |line: &str| completions(line, line.len(), &names).1.into_iter().map(|p| p.replacement).collect();
        let texts: Vec<String> = shown(":q");
        assert_eq!(texts, [":quit "]);
        let texts: Vec<String> = shown("2*radi");
        assert_eq!(texts, ["radius"]);
        assert_eq!(completions("π+ra", "π+ra".len(), &names).0, "π+".len());
    }
}
