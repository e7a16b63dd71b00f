//! `kiln eval`: a formula and its inputs to a value.
//!
//! Owns the meeting of a formula with named input texts, which the JSON requests share, and how results are printed. The
//! one idea: inputs are announced to the compiler by name before it compiles, so that `e=2` makes `e` an input, and their
//! texts are read afterwards, when every input has its type.

use crate::args::EvalArgs;
use crate::report::{Failure, Printer, similar};
use crate::value;
use kiln::{Engine, Error, Formula, Function, Output, RunError, Type, Value};
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::Path;

/// A named input as it was given.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The formula does not compile.
    Formula(Error),
    /// An input is missing or cannot be read.
    Input { message: String, help: Option<String> },
    /// The computation failed.
    Run(RunError),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Failure {
        match wrong {
            Wrong::Formula(error) => error.into(),
            Wrong::Input { message, help } => Failure::Input { message, help },
            Wrong::Run(error) => Failure::input(error.to_string()),
        }
    }
}

/// Compiles `formula`, which is allowed to use the names of `inputs`, unless they are `declared` already.
pub(crate) fn compile(engine: &Engine, formula: Formula, declared: bool, inputs: &[Input]) -> Result<Function, Wrong> {
    let number = engine.options().default_type.unwrap_or(Type::F64);
    let known = inputs.iter().filter(|_| !declared).fold(formula, |formula, input| {
        let ty = if value::is_bool(&input.text) { Type::Bool } else { number };
        formula.known(&input.name, ty)
    });
    let function = known.compile().map_err(Wrong::Formula)?;
    crate::report::say_if_interpreted(engine, &function);
    Ok(function)
}

/// Runs `function` on the inputs that it names, and gives all its results.
pub(crate) fn call(function: &Function, inputs: &[Input]) -> Result<Vec<Value>, Wrong> {
    let read = |param: &kiln::Param| {
        let Some(input) = inputs.iter().find(|input| input.name == param.name) else {
            return Err(missing(&param.name, inputs));
        };
        value::read(&input.text, param.ty).map_err(|end| {
            let message = format!("the value of `{}` is wrong: `{}` {end}", clean(&param.name), clean(&input.text));
            Wrong::Input { message, help: None }
        })
    };
    let values = function.params().iter().map(read).collect::<Result<Vec<Value>, Wrong>>()?;
    function.call_all(&values).map_err(Wrong::Run)
}

/// Writes results: a value alone, or a line `name = value` for each that has a name.
pub(crate) fn write_results(
    outputs: &[Output],
    values: &[Value],
    bits: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for (output, &value) in outputs.iter().zip(values) {
        if !output.name.is_empty() {
            write!(out, "{} = ", clean_message(&output.name))?;
        }
        if bits {
            writeln!(out, "{}", value::bits_input(value))?;
        } else {
            writeln!(out, "{value}")?;
        }
    }
    Ok(())
}

fn missing(name: &str, inputs: &[Input]) -> Wrong {
    let message = format!("the input `{}` has no value", clean(name));
    let given = inputs.iter().map(|input| input.name.as_str());
    let help = match similar(name, given) {
        Some(near) => format!("a value is given for `{}`; is one of the names misspelt?", clean(near)),
        None => format!("give it one: {}=VALUE", clean(name)),
    };
    Wrong::Input { message, help: Some(help) }
}

/// Text from outside as it can stand in a message: short, without control characters.
pub(crate) fn clean(text: &str) -> String {
    kiln::span::quote(text).trim_matches('`').to_owned()
}

/// A message that may quote text from outside, without control characters and of bounded length.
pub(crate) fn clean_message(message: &str) -> String {
    kiln::Diagnostic::error("input", kiln::Span::default(), message).message
}

/// Reads `name=value` texts.
pub(crate) fn inputs(texts: &[String]) -> Result<Vec<Input>, Failure> {
    let mut inputs: Vec<Input> = Vec::with_capacity(texts.len());
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            let message = format!("`{}` is no input", clean(text));
            return Err(Failure::usage(message).help("inputs look like x=1.5; a formula with spaces stands in quotes"));
        };
        let name = name.trim();
        let name = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).unwrap_or(name);
        if name.is_empty() {
            return Err(Failure::usage(format!("`{}` names no input", clean(text))));
        }
        if inputs.iter().any(|input| input.name == name) {
            return Err(Failure::usage(format!("the input `{}` is given twice", clean(name))));
        }
        inputs.push(Input { name: name.to_owned(), text: value.trim().to_owned() });
    }
    Ok(inputs)
}

/// The bytes of a formula argument; `-` reads them from standard input.
pub(crate) fn formula_bytes(argument: &OsStr) -> Result<Vec<u8>, Failure> {
    if argument == "-" {
        return read_file(Path::new("-"));
    }
    Ok(argument.as_encoded_bytes().to_vec())
}

/// The bytes of a file; `-` is standard input.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))
}

/// The text of a file.
pub(crate) fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        let line = error.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        Failure::input(format!("{name}, line {line}: the file is not UTF-8 text (byte 0x{byte:02x})"))
    })
}

/// If a formula that does not compile looks like a misspelt option, that is what was meant.
pub(crate) fn option_or(formula: &[u8], failure: Failure) -> Failure {
    let option = std::str::from_utf8(formula).ok().filter(|text| {
        let name = text.trim_start_matches('-');
        text.len() - name.len() == 2
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.split('=').next().is_some_and(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    });
    match option {
        Some(option) => Failure::usage(format!("`{}` is no option, and as a formula it is wrong too", clean(option))),
        None => failure,
    }
}

/// Runs the command.
pub(crate) fn eval(args: &EvalArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let mut texts = args.inputs.clone();
    let formula = match (&args.file, &args.formula) {
        (Some(path), first) => {
            // With a file, what stands in the formula's place is the first input.
            if let Some(first) = first {
                texts.insert(0, first.to_string_lossy().into_owned());
            }
            read_file(path)?
        }
        (None, Some(formula)) => formula_bytes(formula)?,
        (None, None) => return Err(Failure::usage("there is no formula")),
    };
    let inputs = inputs(&texts).map_err(|failure| option_or(&formula, failure))?;
    let engine = args.formula_args.build()?;
    let declared = args.formula_args.declare(engine.formula_bytes(&formula));
    let function = compile(&engine, declared, args.formula_args.params.is_some(), &inputs)
        .map_err(|wrong| option_or(&formula, wrong.into()))?;
    printer.warnings(None, function.source(), function.warnings());
    let values = match call(&function, &inputs) {
        Ok(values) => values,
        Err(Wrong::Run(error)) => return Err(run_failure(&function, &error, None)),
        Err(wrong) => return Err(option_or(&formula, wrong.into())),
    };
    Ok(write_results(function.outputs(), &values, args.bits, out)?)
}

/// What to do about an error of the computation.
fn advice(error: &RunError) -> Option<String> {
    match error {
        RunError::Steps { limit, .. } => {
            let more = limit.max(&1).ilog10() + 1;
            Some(format!("if it is meant to take so long, `--steps 1e{more}` allows more"))
        }
        _ => None,
    }
}

/// An error of the computation, shown at the part of the formula, or of a library, in which it happened.
pub(crate) fn run_failure(function: &Function, error: &RunError, origin: Option<&str>) -> Failure {
    let Some(span) = error.span() else { return Failure::input(error.to_string()) };
    let place = function.place(span);
    let message = match (place.name, origin) {
        (Some(_), Some(origin)) => format!("{origin}: {error}"),
        _ => error.to_string(),
    };
    let diagnostic = kiln::Diagnostic::error(error.code(), place.span, message);
    let diagnostic = advice(error).into_iter().fold(diagnostic, kiln::Diagnostic::help);
    let error = Error::Formula { source: place.text.to_owned(), diagnostics: vec![diagnostic] };
    Failure::Formula { origin: place.name.or(origin).map(str::to_owned), error }
}
