//! Kiln itself, in the variants that are worth comparing.

use super::{Compiled, Engine, Purpose};
use crate::column::Data;
use crate::formula::Formula;
use kiln::{AsColumn, EngineKind, Function, Mode, Options, TypedFunction};
use std::num::NonZeroUsize;

/// How Kiln is asked to compile.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Variant {
    /// As it comes.
    Strict,
    /// With contraction and the like.
    Fast,
    /// With code in memory that is mapped twice, which saves system calls.
    DualMapped,
    /// Without machine code: the interpreters.
    Interpreted,
}

/// A compiler with its options.
pub(super) struct Kiln {
    name: &'static str,
    variant: Variant,
    engine: Result<kiln::Engine, String>,
}

impl Kiln {
    pub(super) fn new(name: &'static str, variant: Variant, threads: NonZeroUsize) -> Kiln {
        let mut options = Options::default();
        options.fast = variant == Variant::Fast;
        options.memory = if variant == Variant::DualMapped { Mode::DualMapped } else { Mode::Strict };
        options.threads = Some(threads);
        if variant == Variant::Interpreted {
            options.engine = Some(EngineKind::Interpreter);
        }
        Kiln { name, variant, engine: kiln::Engine::with_options(options).map_err(|error| error.to_string()) }
    }
}

impl Engine for Kiln {
    fn name(&self) -> &'static str {
        self.name
    }

    fn note(&self) -> String {
        let level = self.engine.as_ref().map_or("-".to_owned(), |engine| format!("{:?}", engine.level()));
        match self.variant {
            _ if self.name == super::CONTROL => "the same engine once more: its ratio is the noise".to_owned(),
            Variant::Strict => format!("{}, level {level}, strict", env!("CARGO_PKG_VERSION")),
            Variant::Fast => "contraction, reassociation, plain chains for powers".to_owned(),
            Variant::Interpreted => "no machine code: interpreters of single rows and of blocks of rows".to_owned(),
            Variant::DualMapped => "code in memory that is mapped twice; differs in compiling only".to_owned(),
        }
    }

    fn has_columns(&self) -> bool {
        self.variant != Variant::DualMapped
    }

    fn compile(&mut self, formula: &Formula, purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        let engine = self.engine.as_ref().map_err(Clone::clone)?;
        let names: Vec<&str> = formula.inputs.iter().map(|input| input.name.as_str()).collect();
        let text = formula.kiln_text();
        let request = engine.formula(&text).params(&names.join(", ")).compile_for(purpose, names.len());
        request.map_err(|error| error.to_string())
    }
}

/// Compiling for a purpose.
trait CompileFor {
    fn compile_for(self, purpose: Purpose, inputs: usize) -> Result<Box<dyn Compiled>, kiln::Error>;
}

impl CompileFor for kiln::Formula<'_> {
    fn compile_for(self, purpose: Purpose, inputs: usize) -> Result<Box<dyn Compiled>, kiln::Error> {
        Ok(match purpose {
            Purpose::Calls => Box::new(Typed::compile(self, inputs)?),
            Purpose::Columns => Box::new(Columns(self.compile()?)),
        })
    }
}

/// Over columns.
struct Columns(Function);

impl Compiled for Columns {
    fn calls(&mut self, _data: &mut Data) {}

    fn columns(&mut self, data: &mut Data) {
        let slices: Vec<&[f64]> = data.inputs.iter().map(|column| &**column).collect();
        let inputs: Vec<&dyn AsColumn> = slices.iter().map(|slice| slice as &dyn AsColumn).collect();
        let mut out: &mut [f64] = &mut data.out;
        // The formulas of the suite cannot fail; one that does leaves its output unwritten, which the accuracy shows.
        let _ = self.0.eval_columns(&inputs, &mut out);
    }
}

macro_rules! typed {
    ($($number:literal $variant:ident ($($name:ident)*)),* $(,)?) => {
        /// A typed function of so many floats.
        enum Typed {
            $($variant(TypedFunction<fn($(typed!(@ $name)),*) -> f64>),)*
        }

        impl Typed {
            fn compile(formula: kiln::Formula<'_>, inputs: usize) -> Result<Typed, kiln::Error> {
                match inputs {
                    $($number => formula.compile_typed().map(Typed::$variant),)*
                    // The table refuses formulas with more inputs.
                    _ => formula.compile_typed().map(Typed::F1),
                }
            }
        }

        impl Compiled for Typed {
            fn calls(&mut self, data: &mut Data) {
                let out: &mut [f64] = &mut data.out;
                let n = out.len();
                match self {
                    $(Typed::$variant(function) => {
                        let [$($name),*] = &data.inputs[..] else { return };
                        $(let $name = &$name[..n];)*
                        for row in 0..n {
                            out[row] = function.call($($name[row]),*);
                        }
                    })*
                }
            }
        }
    };
    (@ $name:ident) => { f64 };
}
typed! {
    1 F1 (a), 2 F2 (a b), 3 F3 (a b c), 4 F4 (a b c d), 5 F5 (a b c d e), 6 F6 (a b c d e f), 7 F7 (a b c d e f g),
    8 F8 (a b c d e f g h),
}
