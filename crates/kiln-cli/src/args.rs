//! The command line: every command and every option, defined once.
//!
//! Owns the names, defaults and help texts; the parser, `--help`, the shell completions and the manual page are all
//! made of what stands here. An adder gives each option one line that says what it does, and each command examples
//! that a test could run. Knows nothing of what the commands do.

use crate::eval::{formula_bytes, read_file};
use crate::library::Libraries;
use crate::report::Failure;
use crate::run::format::Format;
use crate::run::sink::Pressing;
use crate::value;
use clap::{Args, Parser, Subcommand, ValueEnum};
use kiln::{Engine, EngineKind, Error, Formula, Level, Options, Type};
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;

/// Formulas, compiled to machine code in microseconds.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, after_help = MAIN_EXAMPLES, propagate_version = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Use colours: on a terminal, always or never
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true, value_name = "WHEN")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compute a formula and print its value
    Eval(EvalArgs),
    /// Compute columns over a data file (CSV, Parquet, Arrow), and filter its rows
    Run(RunArgs),
    /// Try formulas line by line
    Repl(ReplArgs),
    /// List the functions that formulas can call
    Functions(FunctionsArgs),
    /// Show how a formula becomes machine code, stage by stage
    Explain(ExplainArgs),
    /// Show the machine code of a formula
    Asm(AsmArgs),
    /// Measure a formula: compiling, a call, rows of columns, beside what this machine can do
    Bench(BenchArgs),
    /// Write formulas in their canonical form
    Fmt(FmtArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

/// How formulas are compiled, whichever command compiles them.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct MachineArgs {
    /// Use machine code or the reference interpreter [default: machine code where the system allows it]
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineName>,
    /// Use no instruction beyond this x86-64 level [default: all that this machine has]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) level: Option<LevelName>,
    /// Allow faster arithmetic that rounds differently: fused multiply-add, reassociation, reciprocals
    #[arg(long)]
    pub(crate) fast: bool,
    /// Make integer overflow and integer division by zero errors
    #[arg(long)]
    pub(crate) checked: bool,
    /// Let all loops of a formula take at most so many steps for one value or row, as in 10_000_000 or 1e9 [default: 1e8]
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub(crate) steps: Option<u64>,
    /// Make the functions and names that this file defines known to formulas; later files may use earlier ones
    #[arg(long = "lib", value_name = "FILE")]
    pub(crate) libraries: Vec<PathBuf>,
}

/// What is said about the inputs of a formula, and how it is compiled.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FormulaArgs {
    /// Type of inputs and numbers that nothing else gives a type
    #[arg(long = "type", short = 't', value_enum, default_value_t = TypeName::F64, value_name = "TYPE")]
    pub(crate) ty: TypeName,
    /// Declare all inputs and their types in order, as in 'x, n: i32'; any other name is then an error
    #[arg(long, value_name = "LIST")]
    pub(crate) params: Option<String>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// Where a formula is.
#[derive(Args, Clone, Debug)]
pub(crate) struct SourceArgs {
    /// Read the formula from this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "formula")]
    pub(crate) file: Option<PathBuf>,
    /// The formula; `-` reads it from standard input
    #[arg(allow_hyphen_values = true, required_unless_present = "file")]
    pub(crate) formula: Option<OsString>,
}

#[derive(Args, Debug)]
#[command(after_help = EVAL_EXAMPLES)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) formula_args: FormulaArgs,
    /// Print the exact bits, as `bits:HEX`, which can be given as an input again
    #[arg(long)]
    pub(crate) bits: bool,
    /// Read the formula from this file (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "json_lines")]
    pub(crate) file: Option<PathBuf>,
    /// Answer requests from standard input, one JSON object a line
    #[arg(long, conflicts_with_all = ["formula", "bits", "params"])]
    pub(crate) json_lines: bool,
    /// The formula; `-` reads it from standard input
    #[arg(allow_hyphen_values = true, required_unless_present_any = ["file", "json_lines"])]
    pub(crate) formula: Option<OsString>,
    /// Values of the inputs: decimal, 0x hexadecimal, nan, inf, true, false, or bits:HEX for exact bits
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = ASM_EXAMPLES)]
pub(crate) struct AsmArgs {
    #[command(flatten)]
    pub(crate) formula_args: FormulaArgs,
    /// What to print; `raw` writes the bytes themselves
    #[arg(long, value_enum, default_value_t = Emit::Asm, value_name = "WHAT")]
    pub(crate) emit: Emit,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) formula_args: FormulaArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
#[command(after_help = BENCH_EXAMPLES)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) formula_args: FormulaArgs,
    /// Lengths of the columns
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = value::count,
          default_values_t = [1, 100, 4_096, 1_000_000])]
    pub(crate) rows: Vec<u64>,
    /// The inputs are spread evenly over this range
    #[arg(long, value_name = "LOW:HIGH", value_parser = value::range, default_value = "0.5:2", allow_hyphen_values = true)]
    pub(crate) range: (f64, f64),
    /// Rounds that are measured; what is shown is the median
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub(crate) rounds: usize,
    /// Use so many threads for columns
    #[arg(long, value_name = "N", default_value_t = NonZero::<usize>::MIN)]
    pub(crate) threads: NonZero<usize>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
#[command(after_help = FMT_EXAMPLES)]
pub(crate) struct FmtArgs {
    /// Write nothing: list the files that are not in canonical form, and fail if there are any
    #[arg(long)]
    pub(crate) check: bool,
    /// Print this formula in canonical form
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "files")]
    pub(crate) formula: Option<String>,
    /// Files to rewrite, formulas or libraries; `-` or none: standard input, written to standard output
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = FUNCTIONS_EXAMPLES)]
pub(crate) struct FunctionsArgs {
    /// Show only this function
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = REPL_EXAMPLES)]
pub(crate) struct ReplArgs {
    /// Type of numbers that nothing else gives a type
    #[arg(long = "type", short = 't', value_enum, default_value_t = TypeName::F64, value_name = "TYPE")]
    pub(crate) ty: TypeName,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// The file: CSV with a header line, Parquet or Arrow, by its ending; `-` reads standard input
    pub(crate) file: PathBuf,
    /// Add a column, or replace one: 'name = formula'; later ones may use earlier ones. A formula with several results
    /// gives a column for each: '{ a: ..., b: ... }' gives a and b, 'p = { a: ..., b: ... }' gives p.a and p.b
    #[arg(long = "let", short = 'l', value_name = "NAME = FORMULA", allow_hyphen_values = true)]
    pub(crate) lets: Vec<String>,
    /// Keep only rows for which this is true. A comparison with an empty cell is neither true nor false
    #[arg(long = "where", short = 'w', value_name = "FORMULA", allow_hyphen_values = true)]
    pub(crate) filter: Option<String>,
    /// Give one row with a value over all rows that are kept, instead of these: 'name = formula'. It sees new columns
    #[arg(long = "agg", short = 'a', value_name = "NAME = FORMULA", allow_hyphen_values = true)]
    pub(crate) aggregates: Vec<String>,
    /// Write here instead of to standard output, in the form that the ending says; the file appears only when all went well
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Columns to write, in this order [default: all, then the new ones]
    #[arg(long, short = 's', value_name = "A,B,...")]
    pub(crate) select: Option<String>,
    /// Read a column as f64, f32, i64, i32, bool or text [default: what all its cells can be read as]. Columns that have
    /// types can be read as wider ones: numbers and decimals as f64, ints as i64
    #[arg(long = "type", short = 't', value_name = "COLUMN=TYPE")]
    pub(crate) types: Vec<String>,
    /// What separates the cells, for instance ';' or '\t' [default: ',', or a tab for .tsv files]
    #[arg(long, short = 'd', value_name = "CHARACTER")]
    pub(crate) delimiter: Option<String>,
    /// Read cells with this text as missing, like empty ones
    #[arg(long = "null", value_name = "TEXT")]
    pub(crate) nulls: Vec<String>,
    /// The form of the input, whatever its name
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) input_format: Option<Format>,
    /// The form of the output [default: what the name says; CSV on standard output]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) output_format: Option<Format>,
    /// How a Parquet output is compressed [default: snappy]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) compression: Option<Pressing>,
    /// Use so many threads [default: one for each processor, at most 4; for pipes 1]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZero<usize>>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  kiln completions bash > ~/.local/share/bash-completion/completions/kiln\n  \
    kiln completions fish > ~/.config/fish/completions/kiln.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  kiln man > kiln.1\n  kiln man run | man -l -")]
pub(crate) struct ManArgs {
    /// The page of this command instead of the program's
    pub(crate) command: Option<String>,
}

/// What `kiln asm` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// Address, bytes, instruction, and the part of the formula that it comes from
    Asm,
    /// The bytes in hexadecimal
    Hex,
    /// The bytes
    Raw,
    /// The operations after all simplification
    Ir,
    /// The syntax tree
    Ast,
    /// Syntax tree, operations and machine code
    All,
}

/// Declares a value enum whose variants are those of a type of the library.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident -> $target:ident { $($(#[$mark:meta])* $variant:ident),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
        pub(crate) enum $name { $($(#[$mark])* $variant),* }
        impl From<$name> for $target {
            fn from(name: $name) -> $target {
                match name { $($name::$variant => $target::$variant),* }
            }
        }
    };
}
named!(
    /// Names of the types.
    #[derive(Default)]
    TypeName -> Type { #[default] F64, F32, I64, I32, Bool }
);
named!(
    /// Names of the levels.
    LevelName -> Level { V1, V2, V3, V4 }
);

/// Names of the machineries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum EngineName {
    /// Machine code
    Jit,
    /// The reference interpreter
    Interp,
}

impl From<EngineName> for EngineKind {
    fn from(name: EngineName) -> EngineKind {
        match name {
            EngineName::Jit => EngineKind::Jit,
            EngineName::Interp => EngineKind::Interpreter,
        }
    }
}

impl MachineArgs {
    /// The engine for these options, with the definitions of all libraries.
    pub(crate) fn build(&self, default_type: Type) -> Result<Engine, Failure> {
        let mut engine = self.engine(default_type)?;
        Libraries::read(&self.libraries)?.define(&mut engine)?;
        Ok(engine)
    }

    /// The engine for these options, without definitions.
    pub(crate) fn engine(&self, default_type: Type) -> Result<Engine, Error> {
        Engine::with_options(self.options(default_type))
    }

    /// What these options ask of an engine.
    pub(crate) fn options(&self, default_type: Type) -> Options {
        let mut options = Options::default();
        options.default_type = Some(default_type);
        options.engine = self.engine.map(Into::into);
        options.level = self.level.map(Into::into);
        options.fast = self.fast;
        options.checked = self.checked;
        options.limits.steps = self.steps.unwrap_or(options.limits.steps);
        options
    }
}

impl SourceArgs {
    /// The bytes of the formula.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Failure> {
        match (&self.file, &self.formula) {
            (Some(path), _) => read_file(path),
            (None, Some(formula)) => formula_bytes(formula),
            (None, None) => Err(Failure::usage("there is no formula")),
        }
    }
}

impl FormulaArgs {
    /// The engine for these options, with the definitions of all libraries.
    pub(crate) fn build(&self) -> Result<Engine, Failure> {
        self.machine.build(self.ty.into())
    }

    /// The formula with the declared inputs, if they are declared.
    pub(crate) fn declare<'a>(&self, formula: Formula<'a>) -> Formula<'a> {
        match &self.params {
            Some(list) => formula.params(list),
            None => formula,
        }
    }
}

const MAIN_EXAMPLES: &str = "\
Examples:
  kiln eval '(x + 5) * 3' x=4
  kiln run airports.csv --where 'latitude > 60' --let 'northness = sin(deg2rad(latitude))'
  kiln explain 'a*x^2 + b*x + c'
  kiln functions atan2

Exit codes: 0 success, 1 wrong formula or input, 2 wrong command line.";

const EVAL_EXAMPLES: &str = "\
Examples:
  kiln eval '(x + 5) * 3' x=4                    27
  kiln eval --type i32 '7 // 2 + n' n=0xff       258
  kiln eval --params 'x, n: i32' 'x^n' x=2 n=10  1024
  kiln eval --bits '0.1 + 0.2'                   bits:3fd3333333333334
  kiln eval 'x > 0 and flag' x=1 flag=true       true
  kiln eval '{ r: hypot(x, y), phi: atan2(y, x) }' x=3 y=4
  kiln eval --file examples/mandelbrot.kiln cx=-0.5 cy=0.5
  kiln eval --lib physics.kiln 'lorentz(v) * t' v=1e8 t=1

Several results are printed as `name = value`, one a line.

Each line that --json-lines reads is a request and gives one line of answer:
  {\"id\":1,\"formula\":\"x/y\",\"type\":\"f64\",\"params\":[\"x\",\"y\"],\"inputs\":{\"x\":\"1.5\",\"y\":\"bits:4008000000000000\"}}
  {\"id\":1,\"type\":\"f64\",\"value\":\"0.5\",\"bits\":\"3fe0000000000000\"}
`formula_b64` gives the formula as base64; `type`, `engine`, `level`, `fast`, `checked` and `steps` are
optional and otherwise as on the command line. Several results are answered by name:
  {\"id\":1,\"values\":{\"r\":{\"type\":\"f64\",\"value\":\"5\",\"bits\":\"4014000000000000\"},\"phi\":{...}}}
What is wrong is answered too, and the next line is read:
  {\"id\":2,\"error\":{\"code\":\"unknown-function\",\"message\":\"...\",\"span\":[0,3],\"help\":\"...\"}}";

const ASM_EXAMPLES: &str = "\
Examples:
  kiln asm '(x + 5) * 3' --type i32
  kiln asm --level v1 --emit hex 'hypot(x, y)'
  kiln asm --emit raw 'x*x' > square.bin";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  kiln explain 'a*x^2 + b*x + c'
  kiln explain --type i32 'x * 8 // 4'
  kiln explain --file examples/runge_kutta.kiln";

const BENCH_EXAMPLES: &str = "\
Examples:
  kiln bench 'sqrt(x^2 + y^2)'
  kiln bench --rows 1e3,1e7 --threads 2 --file formula.kiln
  kiln bench --range -1:1 --fast '1 + x*(2 - x*3)'

Percent of the bound: what the machine needs at least, measured in the same run, to move the columns (\"memory\") or to do
the formula's arithmetic (\"arithmetic\"), whichever is more, against what the formula took. Figures of a busy machine
mean little.";

const FMT_EXAMPLES: &str = "\
Examples:
  kiln fmt --formula 'a&&b || !(c)'   a and b or not c
  kiln fmt formula.kiln library.kiln
  kiln fmt --check *.kiln
  kiln fmt < formula.kiln

Comments stay, and so does one blank line where there were some. A file is rewritten only if it changes.";

const FUNCTIONS_EXAMPLES: &str = "\
Examples:
  kiln functions
  kiln functions arctan2";

const REPL_EXAMPLES: &str = "\
Examples:
  kiln repl
  kiln repl --lib physics.kiln
  printf 'let r = 2\\npi * r^2\\n' | kiln repl

`let` and `fn` are kept for later lines. While a bracket is open, the next line goes on; an empty line
or Ctrl-C gives up.";

const RUN_EXAMPLES: &str = "\
Examples:
  kiln run people.csv --let 'bmi = weight / height^2' -o with-bmi.csv
  kiln run points.csv --let '{ r: hypot(x, y), phi: atan2(y, x) }' --let 'far = r > 10'
  kiln run points.csv --let 'p = { r: hypot(x, y), phi: atan2(y, x) }' --select p.r,p.phi
  kiln run people.csv --where 'age >= 18 and height > 1.5' --select name,age
  kiln run data.tsv --let 'ratio = `net income` / revenue' --null NA --type id=text
  kiln run - --let 'y = 2*x' < in.csv | head
  kiln run trips.parquet --where 'fare > 0' --let 'tip_share = tip / fare' -o shares.parquet
  kiln run trips.parquet --select fare,tip -o trips.csv
  kiln run in.csv -o out.arrow
  kiln run trips.parquet --let 'z = (fare - mean(fare)) / std(fare)' --where 'abs(z) < 3' -o usual.parquet
  kiln run people.csv --let 'height = coalesce(height, mean(height))' --where 'not isnull(age)'
  kiln run trips.parquet --where 'fare > 0' --agg 'trips = nrows()' --agg 'share = sum(tip) / sum(fare)'

Files end in .csv, .tsv, .parquet, .arrow, .feather, .ipc (Arrow files) or .arrows (Arrow streams); every
form goes to every other, batch by batch. Columns that no formula replaces keep their types. Dates and
times are whole numbers to formulas.
Types of CSV columns are found by reading the file once before; of standard input, by reading its first rows.
Cells that pass from CSV to CSV are never interpreted. An empty cell is a missing value, null: what is
computed from it is null too, but for `isnull(x)`, `coalesce(x, y)`, `null or true` and `null and false`;
aggregates leave nulls out. Names that are not plain words stand in back-ticks, `p.r` among them.
--where may use columns of the file, and new columns made by --let.
Aggregates over rows (mean(x), sum(x), nrows()) may stand anywhere; a file is then read again for each pass that
they need, which standard input cannot be. In --where, and in new columns that --where uses, they are about all
rows; in other new columns and in --agg about the rows that are kept.";
