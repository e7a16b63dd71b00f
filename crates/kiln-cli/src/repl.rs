//! `kiln repl`: formulas line by line.
//!
//! Owns the session: the definitions that were made so far, and the commands that begin with a colon. The one idea: the
//! definitions are kept as text and stand before each new formula, so that the session means exactly what a formula
//! file with the same lines means. To add a command: its row in `COMMANDS` and its arm in `Session::command`.

use crate::args::{FormulaArgs, ReplArgs, TypeName};
use crate::asm;
use crate::describe;
use crate::eval::{Wrong, call, clean, compile, run_failure};
use crate::functions;
use crate::report::{Failure, Printer};
use clap::ValueEnum as _;
use kiln::Diagnostic;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
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
const WORDS: [&str; 17] = [
    "and", "else", "false", "fn", "for", "if", "in", "inf", "let", "nan", "not", "or", "pi", "tau", "true", "var",
    "while",
];

/// What a line did.
enum Outcome {
    Done,
    Quit,
}

/// The state between lines.
struct Session<'a> {
    printer: &'a Printer,
    args: FormulaArgs,
    /// Definitions in order, as they were typed: the name, the text.
    lets: Vec<(String, String)>,
    /// Their names, shared with the line editor.
    names: Rc<RefCell<Vec<String>>>,
}

/// Runs the command.
pub(crate) fn repl(args: &ReplArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let interactive = io::stdin().is_terminal();
    let names = Rc::new(RefCell::new(Vec::new()));
    let formula_args = FormulaArgs { ty: args.ty, params: None, machine: args.machine.clone() };
    let mut session = Session { printer, args: formula_args, lets: Vec::new(), names: Rc::clone(&names) };
    // A wrong option is said now, not with the first formula.
    session.args.build()?;
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
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
        match editor.readline("> ") {
            Ok(line) => match session.line(&line, out) {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Quit) => break,
                Err(failure @ Failure::Io(_)) => return Err(failure),
                Err(failure) => {
                    out.flush()?;
                    printer.failure(&failure);
                    failed = true;
                }
            },
            // Ctrl-C forgets the line, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) if interactive => {}
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => break,
            Err(error) => return Err(read_failure(error)),
        }
    }
    if let Some(path) = &history {
        save_history(&mut editor, path);
    }
    // A script that is piped in succeeds if all its lines did.
    if failed && !interactive { Err(Failure::Reported) } else { Ok(()) }
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
    /// Does what a line says.
    fn line(&mut self, line: &str, out: &mut dyn io::Write) -> Result<Outcome, Failure> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Outcome::Done);
        }
        if line.starts_with(':') {
            return self.command(line, out);
        }
        match definition(line) {
            Some((name, text)) => self.define(name, text, out)?,
            None => {
                let value = self.value(line)?;
                writeln!(out, "{value}")?;
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
                writeln!(out, "A formula gives its value. `let r = 2` or `fn f(x) = x^2` is kept for later lines.")?;
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
                for (_, text) in &self.lets {
                    writeln!(out, "{text}")?;
                }
            }
            ":clear" => {
                self.lets.clear();
                self.names.borrow_mut().clear();
            }
            ":asm" => {
                let inspection = asm::inspect(&self.args, self.source(argument).as_bytes(), self.printer)?;
                out.write_all(asm::listing(&inspection, self.printer).as_bytes())?;
            }
            ":explain" => {
                let inspection = asm::inspect(&self.args, self.source(argument).as_bytes(), self.printer)?;
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

    /// Keeps a definition, if it compiles.
    fn define(&mut self, name: &str, text: String, out: &mut dyn io::Write) -> Result<(), Failure> {
        if text.starts_with("let") {
            self.lets.push((name.to_owned(), text));
            let value = self.value(&format!("`{name}`"));
            match value {
                Ok(value) => writeln!(out, "{name} = {value}")?,
                Err(failure) => {
                    self.lets.pop();
                    return Err(failure);
                }
            }
        } else {
            // A function is checked where it is defined, whether or not it is called.
            let source = self.source(&format!("{text}\n0"));
            let engine = self.args.build()?;
            engine.formula(&source).compile().map_err(|error| self.failure(error))?;
            self.lets.push((name.to_owned(), text));
        }
        self.names.borrow_mut().push(name.to_owned());
        Ok(())
    }

    /// The definitions, then `text`.
    fn source(&self, text: &str) -> String {
        let mut source = String::new();
        for (_, line) in &self.lets {
            source += line;
            source.push('\n');
        }
        source + text
    }

    fn value(&self, text: &str) -> Result<kiln::Value, Failure> {
        let source = self.source(text);
        let engine = self.args.build()?;
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
            other => Ok(other?),
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

/// The name and the text of a definition: `let r = 2`, `fn f(x) = x^2`; `r = 2` is taken for `let r = 2`.
fn definition(line: &str) -> Option<(&str, String)> {
    // A line that goes on after its definition is a formula.
    let keyword = |word: &str| line.strip_prefix(word).filter(|rest| rest.starts_with(char::is_whitespace));
    if line.contains([';', '\n']) {
        return None;
    }
    let word = |text: &'_ str| text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    if let Some(rest) = keyword("fn") {
        let rest = rest.trim_start();
        return Some((&rest[..word(rest)], line.to_owned()));
    }
    let rest = keyword("let").unwrap_or(line).trim_start();
    let name = &rest[..word(rest)];
    let after = rest[name.len()..].trim_start();
    let assigned = after.starts_with('=') && !after.starts_with("==");
    let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (assigned && named).then(|| (name, format!("let {rest}")))
}

/// Completes names, and asks for more lines while brackets are open.
struct Assistant {
    names: Rc<RefCell<Vec<String>>>,
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let mut open = 0i32;
        for line in context.input().lines() {
            for c in line.split('#').next().unwrap_or("").chars() {
                match c {
                    '(' | '[' | '{' => open += 1,
                    ')' | ']' | '}' => open -= 1,
                    _ => {}
                }
            }
        }
        // An empty line gives up on brackets that stay open.
        let more = open > 0 && !context.input().ends_with('\n');
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
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
    fn definitions_are_told_from_formulas() {
        let name = |line| definition(line).map(|(name, text)| (name.to_owned(), text));
        let some = |name: &str, text: &str| Some((name.to_owned(), text.to_owned()));
        assert_eq!(name("let r = 2"), some("r", "let r = 2"));
        assert_eq!(name("r = 2"), some("r", "let r = 2"));
        assert_eq!(name("fn f(x) = x"), some("f", "fn f(x) = x"));
        assert_eq!(name("letter = 1"), some("letter", "let letter = 1"));
        for formula in ["r == 2", "2 = x", "let a = 1; a + 1", "x", "f(x) = 2"] {
            assert_eq!(name(formula), None, "{formula}");
        }
    }

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
