//! Functions of C libraries over columns: glibc's, libmvec, SVML, SLEEF.
//!
//! The one idea: for each engine a C compiler makes one library of loops when the program starts, whose functions are those
//! that a C program would call: plain loops where the compiler knows the vector functions (libmvec), loops over vectors
//! where one calls them by name (SVML, SLEEF). What does not fill a vector at the end of a column goes through one that is
//! filled up with ones.
//!
//! Whether a compiler has taken a vector function is seen in what its library lacks; where it has not, the function is
//! not one of that engine.

use super::Width;
use super::table::Row;
use crate::engines::native::{Folder, run, version};
use crate::foreign::{Float, Library};
use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

/// How loops are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Loops that call the functions of math.h.
    Scalar(&'static str),
    /// The same, of which the compiler makes calls of libmvec.
    Vectorized(&'static str, &'static str),
    /// Loops over vectors that call functions of SVML with this suffix.
    Svml(&'static str),
    /// Loops over vectors that call functions of SLEEF.
    Sleef,
}

/// An engine of loops in C.
pub(super) struct Native {
    pub(super) name: &'static str,
    pub(super) source: Source,
    pub(super) what: &'static str,
}

/// All of them, best known first.
pub(super) const ENGINES: [Native; 6] = [
    Native {
        name: "libmvec",
        source: Source::Vectorized("gcc", "-O3 -ffast-math"),
        what: "libmvec of glibc through gcc; the pair as two loops over blocks of 256 rows, since gcc makes calls of sincos of it",
    },
    Native {
        name: "clang",
        source: Source::Vectorized("clang", "-O3 -ffast-math -fveclib=libmvec"),
        what: "libmvec through clang, which knows those of its functions that were there first, with 4 doubles at most",
    },
    Native {
        name: "svml",
        source: Source::Svml(""),
        what: "SVML, less than 4 units; at AVX2 the functions whose names end in l9",
    },
    Native { name: "svml-ha", source: Source::Svml("_ha"), what: "SVML, less than 1 unit; at AVX2 likewise" },
    Native { name: "sleef", source: Source::Sleef, what: "SLEEF, u10 (hypot, sinpi, cospi: u05; erfc: u15)" },
    Native { name: "libm", source: Source::Scalar("gcc"), what: "glibc, row by row" },
];

/// Folders where SVML may be, besides those of the linker.
fn svml_folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let given = env::var_os("KILN_PEERS_SVML").map(PathBuf::from);
    let known = [
        root.join("target/peers-python/lib"),
        PathBuf::from("/opt/intel/oneapi/compiler/latest/lib"),
        PathBuf::from("/usr/lib/x86_64-linux-gnu"),
    ];
    given.into_iter().chain(known).collect()
}

/// What an engine's libraries are linked to.
fn libraries(source: Source) -> Result<Vec<String>, String> {
    Ok(match source {
        Source::Scalar(_) => vec!["-lm".to_owned()],
        Source::Vectorized(..) => vec!["-lmvec".to_owned(), "-lm".to_owned()],
        Source::Sleef => vec!["-lsleef".to_owned(), "-lm".to_owned()],
        Source::Svml(_) => {
            let found = svml_folders().into_iter().find(|folder| folder.join("libsvml.so").exists());
            let folder = found.ok_or(
                "no libsvml.so: `pip install intel-cmplr-lib-rt` into target/peers-python, or KILN_PEERS_SVML=FOLDER",
            )?;
            let folder = fs::canonicalize(&folder).unwrap_or(folder);
            // SVML finds its own libraries by the path of whom it is loaded for, if that is an old-style one.
            vec![
                folder.join("libsvml.so").display().to_string(),
                format!("-Wl,--disable-new-dtags,-rpath,{0},-rpath-link,{0}", folder.display()),
                "-lm".to_owned(),
            ]
        }
    })
}

/// The loops of an engine for a type and a width.
pub(super) struct Loops {
    pub(super) library: Rc<Library>,
    /// The functions that are there.
    pub(super) names: BTreeSet<&'static str>,
}

impl Native {
    /// What is missing on this machine, and what installs it.
    pub(super) fn missing(&self) -> Option<String> {
        let compiler = self.compiler();
        if version(compiler).is_none() {
            return Some(format!("no {compiler}: `apt-get install {compiler}`"));
        }
        if let Err(reason) = libraries(self.source) {
            return Some(reason);
        }
        if self.source == Source::Sleef {
            let header = ["/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/local/include"];
            if !header.iter().any(|folder| Path::new(folder).join("sleef.h").exists()) {
                return Some("no SLEEF: `apt-get install libsleef-dev`".to_owned());
            }
        }
        None
    }

    fn compiler(&self) -> &'static str {
        match self.source {
            Source::Scalar(compiler) | Source::Vectorized(compiler, _) => compiler,
            Source::Svml(_) | Source::Sleef => "gcc",
        }
    }

    /// The words for the compiler.
    pub(super) fn flags(&self, width: Width) -> Vec<&'static str> {
        let options = match self.source {
            Source::Vectorized(_, options) => options,
            _ => "-O3",
        };
        let machine = match width {
            Width::Avx512 => "-march=native -mprefer-vector-width=512",
            Width::Avx2 => "-march=x86-64-v3",
        };
        options.split(' ').chain(machine.split(' ')).collect()
    }

    /// Compiles and loads all functions.
    pub(super) fn build<T: Float>(&self, rows: &[Row], width: Width) -> Result<Loops, String> {
        let is_single = T::PREFIX == "f32";
        let folder = Folder::new()?;
        let [source, object, library] =
            ["functions.c", "functions.o", "libfunctions.so"].map(|name| folder.0.join(name));
        let (text, mut names) = source_text(self.source, rows, width, is_single);
        fs::write(&source, text).map_err(|error| format!("cannot write {}: {error}", source.display()))?;
        let kind = ["-std=gnu11", "-fPIC", "-c", "-o"];
        run(Command::new(self.compiler()).args(self.flags(width)).args(kind).arg(&object).arg(&source))?;
        // Linked without the options: with -ffast-math a library changes how the whole process rounds small numbers.
        let mut link = Command::new(self.compiler());
        run(link.args(["-shared", "-Wl,-z,defs", "-o"]).arg(&library).arg(&object).args(libraries(self.source)?))?;
        if let Source::Vectorized(..) = self.source {
            let taken = vector_functions(&library)?;
            let suffix = if is_single { "f" } else { "" };
            let has = |name: &str| taken.contains(&format!("{name}{suffix}"));
            names.retain(|name| {
                let row = rows.iter().find(|row| row.name == *name);
                let c = row.and_then(|row| row.c).unwrap_or_default();
                has(c) || c == "sincos" && has("sin") && has("cos")
            });
        }
        Ok(Loops { library: Library::open(library.as_os_str())?, names })
    }
}

/// The vector functions that a library calls, without what their names say of the vectors: `_ZGVeN8vv_pow` is `pow`.
fn vector_functions(library: &Path) -> Result<BTreeSet<String>, String> {
    let output = Command::new("nm").args(["-D", "--undefined-only"]).arg(library).output();
    let output = output.map_err(|error| format!("cannot run nm: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let symbols = text.split_whitespace().filter(|word| word.starts_with("_ZGV"));
    let names = symbols.filter_map(|word| word.split('@').next()?.rsplit('_').next());
    Ok(names.map(str::to_owned).collect())
}

/// The C source of all functions that an engine may have, and their names.
fn source_text(source: Source, rows: &[Row], width: Width, is_single: bool) -> (String, BTreeSet<&'static str>) {
    let mut text = String::from("#define _GNU_SOURCE\n#include <math.h>\n#include <stddef.h>\n#include <string.h>\n");
    let (c_type, suffix, prefix) = if is_single { ("float", "f", "f32") } else { ("double", "", "f64") };
    let _ = writeln!(text, "typedef {c_type} T;");
    let lanes = width.bytes() / if is_single { 4 } else { 8 };
    if matches!(source, Source::Svml(_) | Source::Sleef) {
        let bytes = width.bytes();
        let _ = writeln!(text, "#define W {lanes}\ntypedef T V __attribute__((vector_size({bytes})));");
        text += "typedef struct { V x, y; } Pair;\n";
        let _ = writeln!(text, "typedef T U __attribute__((vector_size({bytes}), aligned(sizeof(T)), may_alias));");
        text += LOOPS;
    }
    let mut names = BTreeSet::new();
    for row in rows {
        let arguments = row.ranges(is_single).len();
        let name = row.name;
        let loops = match source {
            Source::Scalar(_) | Source::Vectorized(..) => row.c.map(|c| {
                let body = match (row.is_pair(), source) {
                    (true, Source::Vectorized(..)) => format!(
                        "T b[256]; for (size_t s = 0; s < rows; s += 256) {{ size_t n = rows - s < 256 ? rows - s : 256; \
                         for (size_t i = 0; i < n; i++) b[i] = sin{suffix}(x[s + i]); \
                         __asm__ volatile(\"\" ::: \"memory\"); \
                         for (size_t i = 0; i < n; i++) out[s + i] = b[i] + cos{suffix}(x[s + i]); }}"
                    ),
                    (true, _) => format!("EACH out[i] = sin{suffix}(x[i]) + cos{suffix}(x[i]);"),
                    (false, _) if arguments == 2 => format!("EACH out[i] = {c}{suffix}(x[i], y[i]);"),
                    (false, _) => format!("EACH out[i] = {c}{suffix}(x[i]);"),
                };
                let second = if arguments == 2 { "const T *restrict y = in[1]; " } else { "" };
                format!(
                    "void {prefix}_{name}(size_t rows, const T *const *in, T *restrict out) {{ \
                     const T *restrict x = in[0]; {second}{} }}\n",
                    body.replace("EACH", "for (size_t i = 0; i < rows; i++)")
                )
            }),
            Source::Svml(accuracy) => row.svml.map(|svml| {
                // The processor is looked at by the functions themselves; `l9` names those for AVX2.
                let level = if width == Width::Avx2 { "_l9" } else { "" };
                let function = format!("__svml_{svml}{suffix}{lanes}{accuracy}{level}");
                if row.is_pair() {
                    // Two vectors come back in registers, which C has no words for.
                    let (register, add) = (if width == Width::Avx512 { "zmm" } else { "ymm" }, if is_single { "ps" } else { "pd" });
                    let wrapper = format!(
                        "__asm__(\".text\\npair_sum: push %rbp\\n mov %rsp, %rbp\\n and $-64, %rsp\\n call {function}@PLT\\n \
                         vadd{add} %{register}1, %{register}0, %{register}0\\n leave\\n ret\\n\");\nextern V pair_sum(V) \
                         __attribute__((visibility(\"hidden\")));\n"
                    );
                    return format!("{wrapper}LOOP1({prefix}_{name}, pair_sum)\n");
                }
                let list = if arguments == 2 { "V, V" } else { "V" };
                format!("extern V {function}({list});\nLOOP{arguments}({prefix}_{name}, {function})\n")
            }),
            Source::Sleef => row.sleef.map(|(sleef, accuracy)| {
                let letter = if is_single { "f" } else { "d" };
                let level = if width == Width::Avx2 { "avx2" } else { "avx512f" };
                let function = format!("Sleef_{sleef}{letter}{lanes}_{accuracy}{level}");
                if row.is_pair() {
                    return format!(
                        "extern Pair {function}(V);\nstatic inline V pair_sum(V x) {{ Pair p = {function}(x); return p.x + p.y; }}\n\
                         LOOP1({prefix}_{name}, pair_sum)\n"
                    );
                }
                let list = if arguments == 2 { "V, V" } else { "V" };
                format!("extern V {function}({list});\nLOOP{arguments}({prefix}_{name}, {function})\n")
            }),
        };
        if let Some(loops) = loops {
            text += &loops;
            names.insert(name);
        }
    }
    (text, names)
}

/// Loops over vectors of `W` numbers.
const LOOPS: &str = "\
#define LOOP1(name, f) void name(size_t rows, const T *const *in, T *restrict out) { \\
  const T *restrict x = in[0]; size_t i = 0; \\
  for (; i + W <= rows; i += W) *(U *)(out + i) = f(*(const U *)(x + i)); \\
  if (i < rows) { T a[W]; for (int j = 0; j < W; j++) a[j] = 1; memcpy(a, x + i, (rows - i) * sizeof(T)); \\
    *(U *)a = f(*(const U *)a); memcpy(out + i, a, (rows - i) * sizeof(T)); } }
#define LOOP2(name, f) void name(size_t rows, const T *const *in, T *restrict out) { \\
  const T *restrict x = in[0], *restrict y = in[1]; size_t i = 0; \\
  for (; i + W <= rows; i += W) *(U *)(out + i) = f(*(const U *)(x + i), *(const U *)(y + i)); \\
  if (i < rows) { T a[W], b[W]; for (int j = 0; j < W; j++) a[j] = b[j] = 1; \\
    memcpy(a, x + i, (rows - i) * sizeof(T)); memcpy(b, y + i, (rows - i) * sizeof(T)); \\
    *(U *)a = f(*(const U *)a, *(const U *)b); memcpy(out + i, a, (rows - i) * sizeof(T)); } }
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::table::rows;

    #[test]
    fn sources_call_the_functions_of_their_library() {
        let rows = rows();
        let text = |source, width, is_single| source_text(source, &rows, width, is_single);
        let (sleef, names) = text(Source::Sleef, Width::Avx2, false);
        assert!(sleef.contains("LOOP2(f64_pow, Sleef_powd4_u10avx2)") && names.contains("lgamma"), "{sleef}");
        let (svml, names) = text(Source::Svml("_ha"), Width::Avx512, true);
        assert!(svml.contains("LOOP1(f32_exp10, __svml_exp10f16_ha)") && !names.contains("lgamma"), "{svml}");
        assert!(svml.contains("call __svml_sincosf16_ha@PLT") && svml.contains("vaddps %zmm1"), "{svml}");
        let (svml, _) = text(Source::Svml(""), Width::Avx2, false);
        assert!(svml.contains("LOOP1(f64_sin, __svml_sin4_l9)"), "{svml}");
        let (scalar, names) = text(Source::Scalar("gcc"), Width::Avx2, false);
        assert!(scalar.contains("out[i] = tgamma(x[i]);") && !names.contains("sinpi"), "{scalar}");
    }
}
