//! Compilers that are programs: `rustc`, and `gcc` and `clang` where they are installed.
//!
//! The one idea: all formulas become one source, a function and a loop for each, which a compiler turns into one library that
//! is loaded; for the time of compiling each formula has a source and a library of its own. Strict means that values are
//! those of the language: no contraction; errno and floating-point traps, which nobody here looks at, are given up.

use super::{Compiled, Engine, Purpose};
use crate::column::Data;
use crate::foreign::{Code, Library};
use crate::formula::Formula;
use crate::print::{self, C, Printed, RUST, chain};
use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A compiler with its options.
struct Native {
    name: &'static str,
    program: String,
    is_rust: bool,
    flags: Vec<String>,
    library: Option<Rc<Library>>,
}

const GCC_STRICT: &str = "-O3 -march=native -ffp-contract=off -fno-math-errno -fno-trapping-math";
const CLANG_STRICT: &str = "-O3 -march=native -ffp-contract=off -fno-math-errno";
const GCC_FAST: &str = "-O3 -march=native -ffast-math";
const CLANG_FAST: &str = "-O3 -march=native -ffast-math -fveclib=libmvec";
const RUSTC: &str = "-C opt-level=3 -C target-cpu=native -C codegen-units=1 -C panic=abort";

/// The compilers that are there.
pub(super) fn found(c_flags: &[String]) -> Vec<Box<dyn Engine>> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    [
        ("rustc", rustc.as_str(), RUSTC),
        ("gcc", "gcc", GCC_STRICT),
        ("gcc-fast", "gcc", GCC_FAST),
        ("clang", "clang", CLANG_STRICT),
        ("clang-fast", "clang", CLANG_FAST),
    ]
    .into_iter()
    .filter(|(_, program, _)| version(program).is_some())
    .map(|(name, program, flags)| {
        let is_rust = name == "rustc";
        let mut flags: Vec<String> = flags.split(' ').map(str::to_owned).collect();
        if !is_rust {
            flags.extend_from_slice(c_flags);
        }
        Box::new(Native { name, program: program.to_owned(), is_rust, flags, library: None }) as Box<dyn Engine>
    })
    .collect()
}

/// The first line of what a compiler says about itself.
pub(crate) fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        self.name
    }

    fn note(&self) -> String {
        let version = version(&self.program).unwrap_or_default();
        format!("{version}, {}", self.flags.join(" "))
    }

    fn is_process(&self) -> bool {
        true
    }

    fn prepare(&mut self, formulas: &[Formula]) -> Result<(), String> {
        self.library = Some(self.build(formulas)?);
        Ok(())
    }

    fn compile(&mut self, formula: &Formula, _purpose: Purpose) -> Result<Box<dyn Compiled>, String> {
        let library = match &self.library {
            Some(library) => library.clone(),
            None => self.build(std::slice::from_ref(formula))?,
        };
        Ok(Box::new(Compilation(library.code(&formula.name, formula.inputs.len())?)))
    }
}

/// A folder that is removed with what is in it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Folder, String> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("kiln-peers-{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over lies among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Native {
    /// Compiles and loads; the files are removed as soon as the library is mapped.
    fn build(&self, formulas: &[Formula]) -> Result<Rc<Library>, String> {
        let folder = Folder::new()?;
        let source = folder.0.join(if self.is_rust { "formulas.rs" } else { "formulas.c" });
        let library = folder.0.join("libformulas.so");
        let text = if self.is_rust { rust(formulas)? } else { c(formulas)? };
        fs::write(&source, text).map_err(|error| format!("cannot write {}: {error}", source.display()))?;
        if self.is_rust {
            let kind = ["--edition", "2024", "--crate-type", "cdylib", "--cap-lints", "allow", "-o"];
            run(Command::new(&self.program).args(&self.flags).args(kind).arg(&library).arg(&source))?;
        } else {
            // Linked without the options: with -ffast-math a library changes how the whole process rounds small numbers.
            let object = folder.0.join("formulas.o");
            let kind = ["-std=gnu11", "-fPIC", "-c", "-o"];
            run(Command::new(&self.program).args(&self.flags).args(kind).arg(&object).arg(&source))?;
            // Vector functions first, which need the others.
            let libraries = if self.name.ends_with("fast") { &["-lmvec", "-lm"][..] } else { &["-lm"][..] };
            run(Command::new(&self.program).args(["-shared", "-o"]).arg(&library).arg(&object).args(libraries))?;
        }
        Library::open(library.as_os_str())
    }
}

/// Runs a compiler to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Formulas as text, with the powers that occur in any.
fn printed(formulas: &[Formula], syntax: &print::Syntax) -> Result<(Vec<Printed>, BTreeSet<u32>), String> {
    let print = |formula| print::print(formula, syntax).ok_or_else(|| "not all of the formula".to_owned());
    let all: Vec<Printed> = formulas.iter().map(print).collect::<Result<_, _>>()?;
    let powers = all.iter().flat_map(|printed| printed.powers.iter().copied()).collect();
    Ok((all, powers))
}

/// A literal power as products, `x2`, `x4`, ... being the squares before it.
fn product(n: u32) -> String {
    chain(n).iter().map(|part| format!("x{part}")).collect::<Vec<_>>().join("*")
}

fn squares(n: u32) -> impl Iterator<Item = u32> {
    (1..32 - n.leading_zeros()).map(|bit| 1 << bit)
}

fn list(formula: &Formula, each: impl Fn(&str, usize) -> String) -> String {
    let items = formula.inputs.iter().enumerate().map(|(at, input)| each(&input.name, at));
    items.collect::<Vec<_>>().join(", ")
}

/// A C source.
fn c(formulas: &[Formula]) -> Result<String, String> {
    let (all, powers) = printed(formulas, &C)?;
    let mut text = String::from("#include <math.h>\n#include <stddef.h>\n");
    // Long formulas would be called for each row otherwise.
    text += "#define INLINE static inline __attribute__((always_inline)) double\n";
    text += "INLINE smaller(double a, double b) { return a < b ? a : b; }\n";
    text += "INLINE larger(double a, double b) { return a > b ? a : b; }\n";
    for n in powers {
        let _ = write!(text, "INLINE p{n}(double x1) {{ ");
        for square in squares(n) {
            let _ = write!(text, "double x{square} = x{0}*x{0}; ", square / 2);
        }
        let _ = writeln!(text, "return {}; }}", product(n));
    }
    for (formula, printed) in formulas.iter().zip(all) {
        let (name, params) = (&formula.name, list(formula, |name, _| format!("double {name}")));
        let (lets, result) = (printed.lets, printed.result);
        let _ = writeln!(text, "INLINE e_{name}({params}) {{ {lets}return {result}; }}");
        let arguments = list(formula, |name, _| name.to_owned());
        let _ = writeln!(text, "double s_{name}({params}) {{ return e_{name}({arguments}); }}");
        let _ = writeln!(text, "void c_{name}(size_t rows, const double *const *in, double *restrict out) {{");
        for at in 0..formula.inputs.len() {
            let _ = writeln!(text, "  const double *restrict in_{at} = in[{at}];");
        }
        let arguments = list(formula, |_, at| format!("in_{at}[row]"));
        let _ = writeln!(text, "  for (size_t row = 0; row < rows; row++) out[row] = e_{name}({arguments});\n}}");
    }
    Ok(text)
}

/// A Rust source.
fn rust(formulas: &[Formula]) -> Result<String, String> {
    let (all, powers) = printed(formulas, &RUST)?;
    let mut text = String::from("use std::slice;\n");
    for n in powers {
        let _ = write!(text, "#[inline(always)] fn p{n}(x1: f64) -> f64 {{ ");
        for square in squares(n) {
            let _ = write!(text, "let x{square} = x{0}*x{0}; ", square / 2);
        }
        let _ = writeln!(text, "{} }}", product(n));
    }
    for (formula, printed) in formulas.iter().zip(all) {
        let (name, params) = (&formula.name, list(formula, |name, _| format!("{name}: f64")));
        let (lets, result) = (printed.lets, printed.result);
        let _ = writeln!(text, "#[inline(always)] fn e_{name}({params}) -> f64 {{ {lets}{result} }}");
        let arguments = list(formula, |name, _| name.to_owned());
        let _ = writeln!(
            text,
            "#[unsafe(no_mangle)] pub extern \"C\" fn s_{name}({params}) -> f64 {{ e_{name}({arguments}) }}"
        );
        // Slices as parameters are known to be apart.
        let columns = list(formula, |_, at| format!("in_{at}: &[f64]"));
        let cut =
            (0..formula.inputs.len()).fold(String::new(), |cut, at| cut + &format!("let in_{at} = &in_{at}[..n]; "));
        let arguments = list(formula, |_, at| format!("in_{at}[row]"));
        let _ = writeln!(
            text,
            "#[inline(never)] fn l_{name}(out: &mut [f64], {columns}) {{ let n = out.len(); {cut}\
             for row in 0..n {{ out[row] = e_{name}({arguments}); }} }}"
        );
        let slices = list(formula, |_, at| format!("unsafe {{ slice::from_raw_parts(*input.add({at}), rows) }}"));
        let _ = writeln!(
            text,
            "#[unsafe(no_mangle)] pub unsafe extern \"C\" fn c_{name}(rows: usize, input: *const *const f64, \
             out: *mut f64) {{ l_{name}(unsafe {{ slice::from_raw_parts_mut(out, rows) }}, {slices}) }}"
        );
    }
    Ok(text)
}

struct Compilation(Code<Rc<Library>>);

impl Compiled for Compilation {
    fn calls(&mut self, data: &mut Data) {
        self.0.calls(&data.inputs, &mut data.out);
    }

    fn columns(&mut self, data: &mut Data) {
        self.0.columns(&data.inputs, &mut data.out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::Input;

    #[test]
    fn sources_are_a_function_and_a_loop_for_each_formula() {
        let inputs = ["x", "y"].map(|name| Input { name: name.to_owned(), low: 0.0, high: 1.0 });
        let formula = Formula::parse("f", "let s=x^6; max(s, y)", inputs.to_vec()).unwrap();
        let text = c(std::slice::from_ref(&formula)).unwrap();
        assert!(text.contains("p6(double x1) { double x2 = x1*x1; double x4 = x2*x2; return x2*x4; }"), "{text}");
        assert!(
            text.contains("e_f(double x, double y) { const double s_0 = p6(x); return larger(s_0, y); }"),
            "{text}"
        );
        let text = rust(&[formula]).unwrap();
        assert!(text.contains("fn e_f(x: f64, y: f64) -> f64 { let s_0: f64 = p6(x); f64::max(s_0, y) }"), "{text}");
    }
}
