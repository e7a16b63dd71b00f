//! `kiln eval --json-lines`: requests on standard input, answers on standard output, one JSON object a line.
//!
//! Owns the protocol. The one idea: every line that comes in gives exactly one line out, in order and at once, whatever
//! is in it, so a program can keep one `kiln` running and never loses step. Numbers keep the text in which they came,
//! so no integer is rounded on its way. An adder of a request field gives it a line in `Request::read`.

use crate::args::{EngineName, EvalArgs, LevelName, MachineArgs, TypeName};
use crate::eval::{self, Input, Wrong};
use crate::library::Libraries;
use crate::report::{Failure, suggestion};
use crate::value;
use base64::Engine as _;
use clap::ValueEnum;
use kiln::{Diagnostic, Engine, Error, Function, Output, Place, RunError, Span, Type, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, BufRead};

/// Longer lines are answered with an error and not kept.
const LINE_BYTES: usize = 256 << 20;

/// A request that makes sense so far.
struct Request {
    formula: Vec<u8>,
    params: Option<String>,
    inputs: Vec<Input>,
    settings: Settings,
}

/// What engines are made for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Settings {
    ty: TypeName,
    engine: Option<EngineName>,
    level: Option<LevelName>,
    fast: bool,
    checked: bool,
    steps: Option<u64>,
}

/// More engines are not kept: requests with ever other settings take no more memory.
const ENGINES: usize = 64;

/// What engines are made of, and those that were made.
struct Engines {
    libraries: Libraries,
    made: HashMap<Settings, Engine>,
}

/// The `error` object of an answer.
struct Trouble {
    code: String,
    message: String,
    span: Option<Span>,
    help: Option<String>,
}

impl Trouble {
    fn input(message: impl Into<String>) -> Trouble {
        Trouble { code: "input".to_owned(), message: message.into(), span: None, help: None }
    }

    fn json(self) -> Json {
        let span = self.span.map(|span| json!([span.start, span.end]));
        json!({ "code": self.code, "message": self.message, "span": span, "help": self.help })
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        let first = error.diagnostics().iter().find(|d| d.is_error());
        let from = |d: &Diagnostic| Trouble {
            code: d.code.to_owned(),
            message: d.message.clone(),
            span: Some(d.span),
            help: d.help.as_deref().or(suggestion(d)).map(str::to_owned),
        };
        let other = || Trouble { code: "unsupported".to_owned(), ..Trouble::input(error.to_string()) };
        first.map_or_else(other, from)
    }
}

impl From<Wrong> for Trouble {
    fn from(wrong: Wrong) -> Trouble {
        match wrong {
            Wrong::Formula(error) => error.into(),
            Wrong::Input { message, help } => Trouble { help, ..Trouble::input(message) },
            Wrong::Run(error) => Trouble { code: error.code().to_owned(), ..Trouble::input(error.to_string()) },
        }
    }
}

impl Trouble {
    /// An error of the computation; a place in a library is said in words.
    fn run(function: &Function, error: &RunError) -> Trouble {
        let place = error.span().map(|span| function.place(span));
        let (message, span) = match place {
            Some(Place { name: Some(name), text, span }) => {
                let (line, _) = kiln::span::line_column(text, span.start);
                (eval::clean_message(&format!("{name}, line {line}: {error}")), None)
            }
            place => (error.to_string(), place.map(|place| place.span)),
        };
        let help = matches!(error, RunError::Steps { .. }).then(|| "`steps` in the request allows more".to_owned());
        Trouble { code: error.code().to_owned(), message, span, help }
    }
}

/// Answers requests until the input ends.
pub(crate) fn serve(args: &EvalArgs, mut input: impl BufRead, out: &mut dyn io::Write) -> Result<(), Failure> {
    let machine = &args.formula_args.machine;
    let defaults = Settings {
        ty: args.formula_args.ty,
        engine: machine.engine,
        level: machine.level,
        fast: machine.fast,
        checked: machine.checked,
        steps: machine.steps,
    };
    let libraries = Libraries::read(&machine.libraries)?;
    // What is wrong with a library is said once, before any request.
    libraries.define(&mut Engine::new())?;
    let mut engines = Engines { libraries, made: HashMap::new() };
    let mut line = Vec::new();
    while let Some(whole) = read_line(&mut input, &mut line)? {
        let answer = if whole {
            answer(&line, defaults, &mut engines)
        } else {
            let message = format!("the line is longer than {LINE_BYTES} bytes");
            json!({ "id": null, "error": Trouble::input(message).json() })
        };
        serde_json::to_writer(&mut *out, &answer).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

/// Reads a line without its end: nothing at the end of the input, `false` if the line was too long to keep.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if chunk.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = chunk.iter().position(|&b| b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        whole &= line.len() + part.len() <= LINE_BYTES;
        if whole {
            line.extend_from_slice(part);
        }
        let used = end.map_or(chunk.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

fn answer(line: &[u8], defaults: Settings, engines: &mut Engines) -> Json {
    let fields = match serde_json::from_slice::<Json>(line) {
        Ok(Json::Object(fields)) => fields,
        Ok(_) => {
            return json!({ "id": null, "error": Trouble::input("the request is no JSON object").json() });
        }
        Err(error) => {
            let message = format!("the request is not JSON: {error}");
            return json!({ "id": null, "error": Trouble::input(eval::clean_message(&message)).json() });
        }
    };
    let id = fields.get("id").cloned().unwrap_or(Json::Null);
    let result = Request::read(&fields, defaults).and_then(|request| compute(&request, engines));
    match result {
        Ok(results) => results_json(id, &results),
        Err(trouble) => json!({ "id": id, "error": trouble.json() }),
    }
}

/// The answer: a value's fields beside the id, or under the results' names if they have names.
fn results_json(id: Json, results: &[(Output, Value)]) -> Json {
    let fields = |value: Value| {
        let pairs =
            [("type", value.ty().name().to_owned()), ("value", value.to_string()), ("bits", value::bits(value))];
        pairs.into_iter().map(|(name, text)| (name.to_owned(), Json::String(text)))
    };
    let mut answer = Map::new();
    answer.insert("id".to_owned(), id);
    match results {
        [(output, value)] if output.name.is_empty() => answer.extend(fields(*value)),
        results => {
            let named =
                |(output, value): &(Output, Value)| (output.name.clone(), Json::Object(fields(*value).collect()));
            answer.insert("values".to_owned(), Json::Object(results.iter().map(named).collect()));
        }
    }
    Json::Object(answer)
}

fn compute(request: &Request, engines: &mut Engines) -> Result<Vec<(Output, Value)>, Trouble> {
    let settings = request.settings;
    if engines.made.len() >= ENGINES && !engines.made.contains_key(&settings) {
        engines.made.clear();
    }
    let engine = match engines.made.entry(settings) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => {
            let Settings { ty, engine, level, fast, checked, steps } = settings;
            let machine = MachineArgs { engine, level, fast, checked, steps, libraries: Vec::new() };
            let mut engine = machine.engine(Type::from(ty))?;
            engines.libraries.define(&mut engine).map_err(|_| Trouble::input("a library is wrong"))?;
            place.insert(engine)
        }
    };
    let formula = engine.formula_bytes(&request.formula);
    let formula = match &request.params {
        Some(list) => formula.params(list),
        None => formula,
    };
    let function = eval::compile(engine, formula, request.params.is_some(), &request.inputs)?;
    let values = eval::call(&function, &request.inputs).map_err(|wrong| match wrong {
        Wrong::Run(error) => Trouble::run(&function, &error),
        other => other.into(),
    })?;
    Ok(function.outputs().iter().cloned().zip(values).collect())
}

impl Request {
    fn read(fields: &Map<String, Json>, defaults: Settings) -> Result<Request, Trouble> {
        let mut settings = defaults;
        let (mut formula, mut params, mut inputs) = (None, None, Vec::new());
        for (name, field) in fields {
            match name.as_str() {
                "id" => {}
                // What is null is not given.
                _ if field.is_null() => {}
                "formula" => set_formula(&mut formula, string(name, field)?.as_bytes().to_vec())?,
                "formula_b64" => {
                    let text = string(name, field)?;
                    let bytes = base64::engine::general_purpose::STANDARD
                        .decode(text)
                        .map_err(|error| Trouble::input(format!("`formula_b64` is not base64: {error}")))?;
                    set_formula(&mut formula, bytes)?;
                }
                "params" => params = Some(param_list(field)?),
                "inputs" => inputs = read_inputs(field)?,
                "type" => settings.ty = choice(name, field)?,
                "engine" => settings.engine = Some(choice(name, field)?),
                "level" => settings.level = Some(choice(name, field)?),
                "fast" => settings.fast = flag(name, field)?,
                "checked" => settings.checked = flag(name, field)?,
                "steps" => settings.steps = Some(count(name, field)?),
                _ => return Err(Trouble::input(format!("`{}` is no field of a request", eval::clean(name)))),
            }
        }
        let formula = formula.ok_or_else(|| Trouble::input("the request has no `formula`"))?;
        Ok(Request { formula, params, inputs, settings })
    }
}

fn set_formula(formula: &mut Option<Vec<u8>>, bytes: Vec<u8>) -> Result<(), Trouble> {
    match formula.replace(bytes) {
        Some(_) => Err(Trouble::input("the request has both `formula` and `formula_b64`")),
        None => Ok(()),
    }
}

fn string<'a>(name: &str, field: &'a Json) -> Result<&'a str, Trouble> {
    field.as_str().ok_or_else(|| Trouble::input(format!("`{name}` is no string")))
}

fn flag(name: &str, field: &Json) -> Result<bool, Trouble> {
    field.as_bool().ok_or_else(|| Trouble::input(format!("`{name}` is neither true nor false")))
}

fn count(name: &str, field: &Json) -> Result<u64, Trouble> {
    let read = match field {
        Json::Number(number) => value::count(number.as_str()),
        Json::String(text) => value::count(text),
        _ => Err("it is no number".to_owned()),
    };
    read.map_err(|why| Trouble::input(format!("`{name}` is no count: {why}")))
}

/// One of the names that the command line takes for the same option.
fn choice<T: ValueEnum>(name: &str, field: &Json) -> Result<T, Trouble> {
    let text = string(name, field)?;
    T::from_str(text, false).map_err(|_| {
        let names = T::value_variants().iter().filter_map(|v| Some(v.to_possible_value()?.get_name().to_owned()));
        let message = format!("`{name}` is none of {}", names.collect::<Vec<_>>().join(", "));
        Trouble::input(message)
    })
}

fn param_list(field: &Json) -> Result<String, Trouble> {
    let wrong = || Trouble::input("`params` is no list of strings such as \"n: i32\"");
    let params = field.as_array().ok_or_else(wrong)?;
    let params = params.iter().map(Json::as_str).collect::<Option<Vec<&str>>>().ok_or_else(wrong)?;
    Ok(params.join(", "))
}

fn read_inputs(field: &Json) -> Result<Vec<Input>, Trouble> {
    let fields = field.as_object().ok_or_else(|| Trouble::input("`inputs` is no object of names and values"))?;
    let read = |(name, value): (&String, &Json)| {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(value) => value.to_string(),
            _ => {
                let name = eval::clean(name);
                return Err(Trouble::input(format!("the value of `{name}` is no number, bool or string")));
            }
        };
        Ok(Input { name: name.clone(), text })
    };
    fields.iter().map(read).collect()
}
