//! The public face: an [`Engine`] compiles formulas, a [`Function`] runs one.
//!
//! Owns the options, the registered host functions, the arena that code lives in and a few idle compilers. To add an
//! option: a field of [`Options`] with its default, and the place that reads it. Knows no stage from inside: that is
//! `pipeline`.

#![forbid(unsafe_code)]

mod for_columns;

use crate::columns::Prepared;
use crate::error::{Error, RunError};
use crate::inspect::Inspection;
use crate::ir::eval::Stop;
use crate::ir::{Func, Ref, TrapKind};
use crate::isa::x64::abi::{Convention, HOST};
use crate::mem::{self, Arena, Mode};
use crate::pipeline::{Compiler, Definitions, Request, Target};
use crate::run::cpu;
use crate::run::host::HostFunction;
use crate::run::invoke::Body;
use crate::run::threads::Threads;
use crate::span::{Diagnostic, Place, Span};
use crate::types::{Type, Value};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

mod batch;
mod filter;
mod native;
mod stages;

use stages::Role;

pub use crate::isa::x64::features::Level;
pub use crate::run::host::Host;
pub use crate::run::typed::{Return, Scalar, Signature, TypedFunction};
pub use crate::text::Limits;
pub use batch::Batch;
pub use stages::Stream;

/// Which machinery runs a formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// Machine code.
    #[default]
    Jit,
    /// The reference interpreter.
    Interpreter,
}

/// How formulas are compiled. The default is strict IEEE arithmetic, wrapping ints, `f64`, and all that the machine has.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The type of inputs and literals that nothing else gives a type (not of the result). `None`: `f64`.
    pub default_type: Option<Type>,
    /// Use exactly this machinery. `None`: machine code, or the interpreter where executable memory is refused.
    pub engine: Option<EngineKind>,
    /// Use no instruction beyond this level. `None`: all that the machine has.
    pub level: Option<Level>,
    /// Allow contraction, reassociation, reciprocal multiplication and plain power chains.
    pub fast: bool,
    /// Make integer overflow and integer division by zero errors.
    pub checked: bool,
    /// How code is made executable.
    pub memory: Mode,
    /// What hostile formulas may cost.
    pub limits: Limits,
    /// How many threads a call over many rows may use, the caller's included. `None`: one. Results are the same for any
    /// number. A call from a thread of a `rayon` pool uses that pool. Without the feature `threads` it is always one.
    pub threads: Option<NonZeroUsize>,
}

/// An input of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// It says whether the input with this number is there, which may be null: `true` where it is.
    pub validity_of: Option<usize>,
}

/// A result of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name; empty if the formula has one result without a name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Has it a value in every row? Otherwise it is one value for all of them, an aggregate.
    pub per_row: bool,
    /// It says whether the result with this number is there, which may be null: `true` where it is.
    pub validity_of: Option<usize>,
}

impl Param {
    /// An input of the function that was checked last, behind which stand those that say which inputs are there.
    pub(crate) fn all_of(compiler: &Compiler) -> Vec<Param> {
        let param = |(name, ty): (&str, Type)| Param { name: name.to_owned(), ty, validity_of: None };
        let mut params: Vec<Param> = compiler.inputs().map(param).collect();
        for &number in compiler.front.validities() {
            let validity_of = Some(number as usize);
            params.push(Param { name: params[number as usize].name.clone(), ty: Type::Bool, validity_of });
        }
        params
    }
}

impl Output {
    /// The results of the function that was checked last.
    pub(crate) fn all_of(compiler: &Compiler) -> Vec<Output> {
        let (func, mut names) = (&compiler.builder.func, compiler.outputs());
        let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let output = |&r: &Ref| Output { name: name(names.next()), ty: func.ty(r), per_row: true, validity_of: None };
        let mut outputs: Vec<Output> = func.results.iter().map(output).collect();
        let validities = &compiler.front.row_parts().validities;
        let count = outputs.len() - validities.len();
        for (i, &number) in validities.iter().enumerate() {
            let (name, validity_of) = (outputs[number as usize].name.clone(), Some(number as usize));
            outputs[count + i] = Output { name, validity_of, ..outputs[count + i] };
        }
        outputs
    }
}

/// Compiles formulas. Cheap to share: compiling takes `&self` and may happen on many threads at once.
///
/// ```
/// let engine = kiln::Engine::new();
/// let area = engine.compile_typed::<fn(f64) -> f64>("pi * r^2")?;
/// assert_eq!(area.call(2.0), 4.0 * std::f64::consts::PI);
/// # Ok::<(), kiln::Error>(())
/// ```
pub struct Engine {
    shared: Arc<Shared>,
}

/// What engines and functions have in common.
pub(crate) struct Shared {
    options: Options,
    level: Level,
    hosts: Vec<Arc<HostFunction>>,
    definitions: Definitions,
    arena: Arena,
    threads: Arc<Threads>,
    #[allow(clippy::vec_box, reason = "compilers are large, and are handed around")]
    idle: Mutex<Vec<Box<Compiler>>>,
}

/// A formula that is about to be compiled: its text, and what is known of its inputs.
#[derive(Clone)]
pub struct Formula<'a> {
    shared: &'a Arc<Shared>,
    source: &'a [u8],
    params: Option<Vec<(String, Option<Type>)>>,
    known: Vec<(String, Type)>,
    nullable: Vec<String>,
    filter: Option<&'a str>,
    /// The type of what nothing else gives a type, if a signature says so.
    assumed: Option<Type>,
    error: Option<Error>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new()
    }
}

impl Engine {
    /// An engine with default options.
    #[must_use]
    pub fn new() -> Engine {
        Engine::with_level(Options::default(), cpu::level())
    }

    /// An engine with these options; an error if this machine cannot do what they ask for.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if `options.level` is beyond the machine's.
    pub fn with_options(options: Options) -> Result<Engine, Error> {
        let machine = cpu::level();
        let level = options.level.unwrap_or(machine);
        if level > machine {
            let message = format!("this machine's level is {}, not {}", machine.name(), level.name());
            return Err(Error::Unsupported(message));
        }
        Ok(Engine::with_level(options, level))
    }

    fn with_level(options: Options, level: Level) -> Engine {
        let arena = Arena::new(options.memory);
        let (hosts, definitions, idle) = (Vec::new(), Definitions::default(), Mutex::new(Vec::new()));
        let threads = Arc::new(Threads::new(options.threads));
        let shared = Shared { options, level, hosts, definitions, arena, threads, idle };
        Engine { shared: Arc::new(shared) }
    }

    /// The options that it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The level that it compiles for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.shared.level
    }

    /// Makes a function of the host program callable from the formulas compiled from now on. A name that is registered
    /// already gets the new meaning.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the name is no name of the formula language.
    pub fn register(&mut self, host: Host) -> Result<(), Error> {
        if !crate::text::is_name(host.name()) {
            return Err(Error::Unsupported(format!("`{}` cannot be a function's name", host.name())));
        }
        let shared = &self.shared;
        let mut hosts = shared.hosts.clone();
        let host = host.into_function();
        hosts.retain(|h| h.name() != host.name());
        hosts.push(Arc::new(host));
        self.shared = shared.with(hosts, shared.definitions.clone());
        Ok(())
    }

    /// Makes the functions and names that a text defines known to the formulas compiled from now on. The text is a
    /// formula without a result: `fn` and `let`, in any number; later texts may use what earlier ones define. `name`
    /// says where the text comes from when something in it is wrong.
    ///
    /// ```
    /// use kiln::{Engine, Value};
    /// let mut engine = Engine::new();
    /// engine.define("physics.kiln", "let c = 299792458\nfn gamma(v) = 1 / sqrt(1 - (v/c)^2)")?;
    /// let f = engine.compile("gamma(v) * t")?;
    /// assert!(f.call(&[Value::F64(0.0), Value::F64(2.0)])?.same(Value::F64(2.0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Formula`], with places in `text`, if it does not consist of definitions.
    pub fn define(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let shared = &self.shared;
        let mut compiler = shared.compiler();
        compiler.check_definitions(text, shared.options.limits)?;
        let mut definitions = shared.definitions.clone();
        definitions.push(name, text);
        self.shared = shared.with(shared.hosts.clone(), definitions);
        Ok(())
    }

    /// A formula to be compiled, to which inputs can be added first.
    #[must_use]
    pub fn formula<'a>(&'a self, text: &'a str) -> Formula<'a> {
        self.formula_bytes(text.as_bytes())
    }

    /// The same for text that may not be UTF-8, which is then an error like any other.
    #[must_use]
    pub fn formula_bytes<'a>(&'a self, text: &'a [u8]) -> Formula<'a> {
        Formula {
            shared: &self.shared,
            source: text,
            params: None,
            known: Vec::new(),
            nullable: Vec::new(),
            filter: None,
            assumed: None,
            error: None,
        }
    }

    /// Compiles a formula. Its inputs are its free names, in order of first appearance.
    ///
    /// # Errors
    /// [`Error::Formula`] with everything that is wrong with it.
    pub fn compile(&self, text: &str) -> Result<Function, Error> {
        self.formula(text).compile()
    }

    /// Compiles a formula to be called with native values. More than one input needs a signature in the text,
    /// `|x: f64, n: i32| x * n`, or a list of inputs; see [`Formula::params`].
    ///
    /// # Errors
    /// [`Error::Formula`], or [`Error::Signature`] if the formula has another type or can fail.
    pub fn compile_typed<F: Signature>(&self, text: &str) -> Result<TypedFunction<F>, Error> {
        self.formula(text).compile_typed()
    }

    /// Collects formulas whose code is then made executable all at once.
    #[must_use]
    pub fn batch(&self) -> Batch {
        Batch::new(self.shared.clone())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("options", &self.shared.options).field("level", &self.shared.level).finish()
    }
}

impl Shared {
    /// The same with other functions and definitions.
    fn with(&self, hosts: Vec<Arc<HostFunction>>, definitions: Definitions) -> Arc<Shared> {
        let (options, level, arena) = (self.options.clone(), self.level, self.arena.clone());
        let (threads, idle) = (self.threads.clone(), Mutex::new(Vec::new()));
        Arc::new(Shared { options, level, hosts, definitions, arena, threads, idle })
    }

    fn compiler(&self) -> Box<Compiler> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| Box::new(Compiler::new(&self.hosts)))
    }

    fn put_back(&self, compiler: Box<Compiler>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < 8 {
            idle.push(compiler);
        }
    }
}

/// What is left of a compilation besides its code.
struct Compiled {
    params: Vec<Param>,
    outputs: Vec<Output>,
    fallible: bool,
    traps: Vec<(Ref, Span)>,
    hosts: Vec<Arc<HostFunction>>,
    warnings: Vec<Diagnostic>,
}

impl Compiled {
    fn of(func: &Func, params: Vec<Param>, outputs: Vec<Output>, warnings: Vec<Diagnostic>) -> Compiled {
        let fallible = func.is_fallible();
        let traps =
            if fallible { func.effects.iter().map(|&r| (r, func.spans[r.index()])).collect() } else { Vec::new() };
        let hosts = func.callees.iter().filter_map(|callee| callee.host().cloned()).collect();
        Compiled { params, outputs, fallible, traps, hosts, warnings }
    }
}

/// Which form of code is wanted.
enum Wanted {
    Dynamic,
    Typed { params: &'static [Type], result: Type, fallible: bool },
}

impl<'a> Formula<'a> {
    /// The inputs, in order, as in `"x, n: i32"`. Any other free name is then an error; inputs that the formula does
    /// not use stay inputs.
    #[must_use]
    pub fn params(mut self, list: &str) -> Self {
        let mut compiler = self.shared.compiler();
        match compiler.front.parse_list(list) {
            Ok(params) => self.params.get_or_insert_default().extend(params),
            Err(diagnostics) => self.error = Some(Error::Formula { source: list.to_owned(), diagnostics }),
        }
        self.shared.put_back(compiler);
        self
    }

    /// One more input; `None` is the default type. Like [`Formula::params`] for names that no list can hold.
    #[must_use]
    pub fn input(mut self, name: &str, ty: Option<Type>) -> Self {
        self.params.get_or_insert_default().push((name.to_owned(), ty));
        self
    }

    /// A name that the formula may use as an input of this type. Unlike those of [`Formula::params`] it becomes an
    /// input only if it is used, and other names may be too.
    #[must_use]
    pub fn known(mut self, name: &str, ty: Type) -> Self {
        self.known.push((name.to_owned(), ty));
        self
    }

    /// These inputs may be null. For each of them that it uses, the formula takes one more input, behind all others,
    /// which says in which rows it is there; and for each result that can be null, it gives one more, behind all others,
    /// which says the same. [`Param::validity_of`] and [`Output::validity_of`] tell which belong to which.
    ///
    /// ```
    /// let engine = kiln::Engine::new();
    /// let f = engine.formula("coalesce(x, 0) + y").params("x, y").nullable(&["x", "y"]).compile()?;
    /// let (mut out, mut there) = ([0.0; 3], [false; 3]);
    /// f.eval_columns_all(
    ///     &[&[1.0, 7.0, 3.0], &[10.0, 20.0, 7.0], &[true, false, true], &[true, true, false]],
    ///     &mut [&mut out, &mut there],
    /// )?;
    /// assert_eq!((&out[..2], there), (&[11.0, 20.0][..], [true, true, false]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn nullable(mut self, names: &[&str]) -> Self {
        self.nullable.extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    /// Compiles it.
    ///
    /// # Errors
    /// [`Error::Formula`] with everything that is wrong with it.
    pub fn compile(self) -> Result<Function, Error> {
        match self.filter {
            Some(condition) => self.compile_filtered(condition),
            None => self.compile_for(&Wanted::Dynamic),
        }
    }

    /// Compiles it to be called with native values.
    ///
    /// # Errors
    /// [`Error::Formula`], or [`Error::Signature`] if the formula has another type or can fail.
    pub fn compile_typed<F: Signature>(mut self) -> Result<TypedFunction<F>, Error> {
        if self.filter.is_some() {
            return Err(Error::Signature(
                "a formula with a filter is about columns, and a typed call is not".to_owned(),
            ));
        }
        if let Some(params) = &mut self.params {
            for ((_, ty), &given) in params.iter_mut().zip(F::PARAMS) {
                ty.get_or_insert(given);
            }
        } else {
            // Inputs without a list have the signature's types where those agree.
            self.assumed = F::PARAMS.first().copied().filter(|first| F::PARAMS.iter().all(|p| p == first));
        }
        let wanted = Wanted::Typed { params: F::PARAMS, result: F::RESULT, fallible: F::FALLIBLE };
        Ok(TypedFunction::new(self.compile_for(&wanted)?))
    }

    /// Shows every stage on the way from text to machine code.
    ///
    /// # Errors
    /// [`Error::Formula`] with everything that is wrong with it.
    pub fn inspect(self) -> Result<Inspection, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut compiler = self.shared.compiler();
        let inspection = Inspection::of(&mut compiler, &self.request(false), self.shared.level);
        self.shared.put_back(compiler);
        inspection
    }

    fn request(&self, columns: bool) -> Request<'_> {
        let options = &self.shared.options;
        Request {
            source: self.source,
            params: self.params.as_deref(),
            known: &self.known,
            default_type: self.assumed.or(options.default_type).unwrap_or(Type::F64),
            hosts: &self.shared.hosts,
            definitions: &self.shared.definitions,
            fast: options.fast,
            checked: options.checked,
            columns,
            nullable: &self.nullable,
            limits: options.limits,
            level: self.shared.level,
        }
    }

    fn compile_for(self, wanted: &Wanted) -> Result<Function, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut compiler = self.shared.compiler();
        let function = self.compile_with(&mut compiler, wanted);
        self.shared.put_back(compiler);
        function
    }

    fn compile_with(&self, compiler: &mut Compiler, wanted: &Wanted) -> Result<Function, Error> {
        let convention = match wanted {
            Wanted::Typed { fallible: false, .. } => Convention::Native(HOST),
            _ => Convention::Buffer,
        };
        let compiled = self.front(compiler, wanted, matches!(wanted, Wanted::Dynamic))?;
        if !compiler.front.row_parts().is_empty() {
            return self.compile_stages(compiler, compiled);
        }
        let body = self.back(compiler, convention)?;
        Ok(Function::new(self, compiled, body, Role::Whole))
    }

    /// The formula for the interpreter.
    fn interpreted(&self) -> Result<Body, Error> {
        let mut compiler = self.shared.compiler();
        self.front(&mut compiler, &Wanted::Dynamic, false)?;
        Ok(Body::Interpreted(std::mem::take(&mut compiler.builder.func)))
    }

    /// Text to values, and whether they are what is wanted.
    fn front(&self, compiler: &mut Compiler, wanted: &Wanted, columns: bool) -> Result<Compiled, Error> {
        let warnings = compiler.check(&self.request(columns))?;
        let func = &compiler.builder.func;
        let params = Param::all_of(compiler);
        let outputs = Output::all_of(compiler);
        if outputs.is_empty() {
            debug_assert!(false, "a formula without errors has a result");
            return Err(Error::Unsupported("the formula has no result".to_owned()));
        }
        let compiled = Compiled::of(func, params, outputs, warnings);
        if let Wanted::Typed { params, result, fallible } = *wanted {
            self.compare(&compiled, params, result, fallible)?;
        }
        Ok(compiled)
    }

    fn compare(&self, compiled: &Compiled, params: &[Type], result: Type, fallible: bool) -> Result<(), Error> {
        let names = |types: &[Type]| types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
        let own: Vec<Type> = compiled.params.iter().map(|p| p.ty).collect();
        let &[Output { ty: own_result, .. }] = &compiled.outputs[..] else {
            let count = compiled.outputs.len();
            return Err(Error::Signature(format!(
                "the formula has {count} results, which a typed call cannot give; `compile` and `call_all` can"
            )));
        };
        if own != params || own_result != result {
            let (own, wanted) = (names(&own), names(params));
            return Err(Error::Signature(format!(
                "the formula is a fn({own}) -> {own_result}, and a fn({wanted}) -> {result} was asked for"
            )));
        }
        if own.len() > 1 && self.params.is_none() && !crate::text::has_signature(self.source) {
            return Err(Error::Signature(
                "a formula of several inputs needs a signature, such as `|x: f64, y: f64| ...`, or a list of inputs: \
                 in order of appearance `y - x` would take y first"
                    .to_owned(),
            ));
        }
        if compiled.fallible && !fallible {
            return Err(Error::Signature(format!(
                "the formula can fail (it is checked, it has a loop that might not end within the step budget, or it \
                 calls a host function that can fail), so its result must be a Result<{result}, RunError>"
            )));
        }
        Ok(())
    }

    /// Values to something that runs.
    fn back(&self, compiler: &mut Compiler, convention: Convention) -> Result<Body, Error> {
        let options = &self.shared.options;
        if options.engine == Some(EngineKind::Interpreter) || !Compiler::can_run() {
            return Ok(Body::Interpreted(std::mem::take(&mut compiler.builder.func)));
        }
        compiler.emit(&Target::new(self.shared.level, convention), self.source)?;
        match compiler.emitted().seal(&self.shared.arena) {
            Ok(code) if matches!(convention, Convention::Buffer) => Ok(Body::Buffer(code)),
            Ok(code) => Ok(Body::Native(code)),
            Err(_) if options.engine.is_none() => Ok(Body::Interpreted(std::mem::take(&mut compiler.builder.func))),
            Err(error) => Err(Error::Seal(error)),
        }
    }
}

/// A compiled formula. It owns its code, which is freed when the last clone is dropped.
///
/// ```
/// use kiln::{Engine, Value};
/// let f = Engine::new().compile("(x + 5) * 3")?;
/// assert_eq!(f.params()[0].name, "x");
/// assert!(matches!(f.call(&[Value::F64(4.0)])?, Value::F64(27.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    body: Body,
    params: Box<[Param]>,
    outputs: Box<[Output]>,
    fallible: bool,
    /// Where errors come from.
    traps: Box<[(Ref, Span)]>,
    /// Code calls them by address: they live as long as it does.
    hosts: Box<[Arc<HostFunction>]>,
    warnings: Box<[Diagnostic]>,
    source: Box<[u8]>,
    declared: Option<Declared>,
    known: Box<[(String, Type)]>,
    nullable: Box<[String]>,
    assumed: Option<Type>,
    shared: Arc<Shared>,
    /// What runs columns, once it was wanted.
    columns: OnceLock<Box<Prepared>>,
    role: Role,
}

/// Inputs as they were declared, where they were.
type Declared = Box<[(String, Option<Type>)]>;

/// Formulas of up to so many inputs are called without allocating.
const INLINE_ARGS: usize = 16;

impl Function {
    fn new(formula: &Formula<'_>, compiled: Compiled, body: Body, role: Role) -> Function {
        let Compiled { params, outputs, fallible, traps, hosts, warnings } = compiled;
        Function {
            inner: Arc::new(Inner {
                body,
                params: params.into(),
                outputs: outputs.into(),
                fallible,
                traps: traps.into(),
                hosts: hosts.into(),
                warnings: warnings.into(),
                source: formula.source.into(),
                declared: formula.params.clone().map(Into::into),
                known: formula.known.clone().into(),
                nullable: formula.nullable.clone().into(),
                assumed: formula.assumed,
                shared: formula.shared.clone(),
                columns: OnceLock::new(),
                role,
            }),
        }
    }

    /// Evaluates the formula on these values, one for each input and of its type.
    ///
    /// # Errors
    /// A wrong number or type of values, several results (which [`Function::call_all`] gives), or for formulas that can
    /// fail what failed and where.
    pub fn call(&self, args: &[Value]) -> Result<Value, RunError> {
        let [output] = &self.inner.outputs[..] else {
            return Err(RunError::SeveralResults { count: self.inner.outputs.len() });
        };
        let mut out = [0];
        self.call_words(args, &mut out)?;
        Ok(Value::from_bits(output.ty, out[0]))
    }

    /// Evaluates the formula and gives all its results, in the order of [`Function::outputs`].
    ///
    /// ```
    /// use kiln::{Engine, Value};
    /// let polar = Engine::new().compile("{ r: hypot(x, y), steep: y > x }")?;
    /// let results = polar.call_all(&[Value::F64(3.0), Value::F64(4.0)])?;
    /// assert!(matches!(results[..], [Value::F64(5.0), Value::Bool(true)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A wrong number or type of values, or for formulas that can fail what failed and where.
    pub fn call_all(&self, args: &[Value]) -> Result<Vec<Value>, RunError> {
        let outputs = &self.inner.outputs;
        let mut out = vec![0; outputs.len()];
        self.call_words(args, &mut out)?;
        Ok(outputs.iter().zip(out).map(|(output, bits)| Value::from_bits(output.ty, bits)).collect())
    }

    /// Evaluates on values to words; `out` has one for each result.
    fn call_words(&self, args: &[Value], out: &mut [u64]) -> Result<(), RunError> {
        if self.is_about_columns() {
            return Err(RunError::ColumnsOnly);
        }
        let params = &self.inner.params;
        if args.len() != params.len() {
            return Err(RunError::ArgumentCount { expected: params.len(), given: args.len() });
        }
        if let Some((param, arg)) = params.iter().zip(args).find(|(param, arg)| param.ty != arg.ty()) {
            return Err(RunError::ArgumentType { name: param.name.clone(), expected: param.ty, given: arg.ty() });
        }
        let mut inline = [0; INLINE_ARGS];
        if args.len() <= INLINE_ARGS {
            for (word, arg) in inline.iter_mut().zip(args) {
                *word = arg.to_bits();
            }
            return self.run_words(&inline[..args.len()], out);
        }
        self.run_words(&args.iter().map(|arg| arg.to_bits()).collect::<Vec<_>>(), out)
    }

    /// Evaluates on words, however the code is entered; `out` has one word for each result.
    pub(crate) fn run_words(&self, words: &[u64], out: &mut [u64]) -> Result<(), RunError> {
        if let Body::Native(_) = self.inner.body {
            // Compiled to be called by its type: the general form is made anew.
            return self.dynamic()?.run_words(words, out);
        }
        self.run(words, out)
    }

    /// Evaluates on words; the body must not be native code, and `out` has one word for each result.
    pub(crate) fn run(&self, words: &[u64], out: &mut [u64]) -> Result<(), RunError> {
        self.inner.body.call(words, out).map_err(|stop| self.stopped(stop))
    }

    /// What the caller is told of a call that stopped.
    pub(crate) fn stopped(&self, stop: Stop) -> RunError {
        let span = self.inner.traps.iter().find(|t| t.0 == stop.at).map_or(Span::default(), |t| t.1);
        match stop.kind {
            TrapKind::Overflow => RunError::Overflow { span },
            TrapKind::DivisionByZero => RunError::DivisionByZero { span },
            TrapKind::Host => RunError::Host { message: stop.message.unwrap_or_default(), span },
            TrapKind::Steps => RunError::Steps { limit: self.inner.shared.options.limits.steps, span },
        }
    }

    /// The same formula in the form that takes values.
    fn dynamic(&self) -> Result<Function, RunError> {
        let formula = self.formula();
        formula.compile().map_err(|error| RunError::Host { message: error.to_string(), span: Span::default() })
    }

    fn formula(&self) -> Formula<'_> {
        Formula {
            shared: &self.inner.shared,
            source: &self.inner.source,
            params: self.inner.declared.as_ref().map(|p| p.to_vec()),
            known: self.inner.known.to_vec(),
            nullable: self.inner.nullable.to_vec(),
            filter: None,
            assumed: self.inner.assumed,
            error: None,
        }
    }

    pub(crate) fn body(&self) -> &Body {
        &self.inner.body
    }

    /// The inputs, in the order in which a call takes them.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.inner.params
    }

    /// The results, in the order in which they are written.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.inner.outputs
    }

    /// The type of the result, of the first one if there are several.
    #[must_use]
    pub fn result_type(&self) -> Type {
        // A formula has a result.
        self.inner.outputs.first().map_or(Type::F64, |output| output.ty)
    }

    /// Can a call fail, other than for its arguments?
    #[must_use]
    pub fn is_fallible(&self) -> bool {
        self.inner.fallible
    }

    /// What runs it.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        if let Some(last) = self.last_stage() {
            return last.engine();
        }
        if self.inner.body.code().is_some() { EngineKind::Jit } else { EngineKind::Interpreter }
    }

    /// The level that it was compiled for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.inner.shared.level
    }

    /// The machine code with its constants; empty if the formula is interpreted.
    #[must_use]
    pub fn code_bytes(&self) -> &[u8] {
        self.inner.body.code().map_or(&[], mem::Sealed::bytes)
    }

    /// The machine code as text: offset, bytes and instruction of each line; empty if the formula is interpreted.
    #[must_use]
    pub fn listing(&self) -> String {
        if self.inner.body.code().is_none() {
            return String::new();
        }
        let convention = match self.inner.body {
            Body::Native(_) => Convention::Native(HOST),
            _ => Convention::Buffer,
        };
        let formula = self.formula();
        let mut compiler = self.inner.shared.compiler();
        let listing = Inspection::listing(&mut compiler, &formula.request(false), self.inner.shared.level, convention);
        self.inner.shared.put_back(compiler);
        listing
    }

    /// The machine code that runs columns as text, like [`Function::listing`]; empty if no machine code runs them.
    #[must_use]
    pub fn column_listing(&self) -> String {
        if self.inner.body.code().is_none() {
            return String::new();
        }
        let formula = self.formula();
        let mut compiler = self.inner.shared.compiler();
        let listing = Inspection::kernel_listing(&mut compiler, &formula.request(false), self.inner.shared.level);
        self.inner.shared.put_back(compiler);
        listing
    }

    /// What the compiler noticed that is no error.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.inner.warnings
    }

    /// Where a part stands that a [`RunError`] names: in the formula, or in a text that [`Engine::define`] was given.
    #[must_use]
    pub fn place(&self, span: Span) -> Place<'_> {
        self.inner.shared.definitions.place(self.source(), span)
    }

    /// The formula's text.
    #[must_use]
    pub fn source(&self) -> &str {
        std::str::from_utf8(&self.inner.source).unwrap_or_default()
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("source", &self.source())
            .field("params", &self.inner.params)
            .field("outputs", &self.inner.outputs)
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Formula<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = String::from_utf8_lossy(self.source);
        f.debug_struct("Formula").field("source", &source).field("params", &self.params).finish_non_exhaustive()
    }
}
