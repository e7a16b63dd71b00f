//! Code of others that is called by its address.
//!
//! Owns every unsafe block of this crate. In Kiln's own crates such blocks stand in `mem` and `run`; this crate is a
//! benchmark that loads libraries which other compilers made and calls code which other libraries generated, and there is
//! no safe way to do either. The one idea: an address becomes one of two types of functions at one place each, with the
//! owner of the code beside it, and everything outside of this file is safe.
//!
//! It does not know formulas. `engines` makes the code that is called here, and what it promises is tested by
//! `tests.rs`, which compares the results of every engine with Kiln's.

use crate::column::Column;
use cranelift_jit::JITModule;
use cranelift_module::FuncId;
use std::cell::Cell;
use std::ffi::OsStr;
use std::rc::Rc;

/// A loop over columns: rows, the inputs' addresses, the output's address.
type Loop = unsafe extern "C" fn(usize, *const *const f64, *mut f64);

macro_rules! scalars {
    ($($number:literal $variant:ident ($($name:ident)*)),* $(,)?) => {
        /// A function of so many floats by the platform's C convention.
        #[derive(Clone, Copy)]
        enum Scalar {
            $($variant(extern "C" fn($(scalars!(@ $name)),*) -> f64),)*
        }

        impl Scalar {
            /// The function at an address, which takes so many floats.
            fn new(address: *const u8, inputs: usize) -> Option<Scalar> {
                match inputs {
                    $($number => {
                        // SAFETY: the callers, all in this file, pass the address of a function that was made to take
                        // `inputs` floats and to give one, by the C convention; a wrong one fails in
                        // `tests::engines_agree_with_kiln`.
                        let function = unsafe {
                            std::mem::transmute::<*const u8, extern "C" fn($(scalars!(@ $name)),*) -> f64>(address)
                        };
                        Some(Scalar::$variant(function))
                    })*
                    _ => None,
                }
            }

            /// A call for each row of `out`.
            fn rows(self, inputs: &[Column], out: &mut [f64]) {
                let n = out.len();
                match self {
                    $(Scalar::$variant(function) => {
                        let [$($name),*] = inputs else { return };
                        $(let $name = &$name[..n];)*
                        for row in 0..n {
                            out[row] = function($($name[row]),*);
                        }
                    })*
                }
            }
        }
    };
    (@ $name:ident) => { f64 };
}
scalars! {
    1 F1 (a), 2 F2 (a b), 3 F3 (a b c), 4 F4 (a b c d), 5 F5 (a b c d e), 6 F6 (a b c d e f), 7 F7 (a b c d e f g),
    8 F8 (a b c d e f g h),
}

/// The function and the loop of a formula, and who owns their code.
pub(crate) struct Code<Owner> {
    scalar: Option<Scalar>,
    columns: Option<Loop>,
    inputs: usize,
    _owner: Owner,
}

impl<Owner> Code<Owner> {
    /// Calls the function for every row.
    pub(crate) fn calls(&self, inputs: &[Column], out: &mut [f64]) {
        if let Some(scalar) = self.scalar {
            scalar.rows(inputs, out);
        }
    }

    /// Calls the loop.
    pub(crate) fn columns(&self, inputs: &[Column], out: &mut [f64]) {
        assert!(inputs.len() == self.inputs && inputs.iter().all(|column| column.len() >= out.len()));
        let addresses: [*const f64; crate::formula::MOST_INPUTS] =
            std::array::from_fn(|at| inputs.get(at).map_or(std::ptr::null(), |column| column.as_ptr()));
        if let Some(function) = self.columns {
            // SAFETY: the loop reads `out.len()` rows of as many columns as the formula has inputs, which the assertion
            // has counted, and writes as many rows of `out`, which is borrowed mutably and so apart from them. It was
            // made to do so by `engines`; a wrong one fails in `tests::engines_agree_with_kiln`.
            unsafe { function(out.len(), addresses.as_ptr(), out.as_mut_ptr()) }
        }
    }
}

/// A library that a compiler has made from sources of this program.
pub(crate) struct Library(libloading::Library);

impl Library {
    /// Loads it.
    pub(crate) fn open(path: &OsStr) -> Result<Rc<Library>, String> {
        // SAFETY: the library was made from the sources of `engines/native.rs` or `functions/native.rs`, which have no
        // initialisers besides those of the languages' runtimes and of the vector libraries they are linked to; that it
        // loads and works is seen in `tests::engines_agree_with_kiln` and `functions::tests::engines_agree_with_kiln`.
        let library = unsafe { libloading::Library::new(path) };
        library.map(|library| Rc::new(Library(library))).map_err(|error| error.to_string())
    }

    fn address(&self, name: &str) -> Result<*const u8, String> {
        // SAFETY: the address is not used as the type that is named here, only as an address.
        let symbol = unsafe { self.0.get::<unsafe extern "C" fn()>(name) };
        symbol.map(|symbol| *symbol as *const u8).map_err(|error| error.to_string())
    }

    /// The functions of a formula: `s_NAME` of its inputs, and `c_NAME` over columns.
    pub(crate) fn code(self: &Rc<Self>, name: &str, inputs: usize) -> Result<Code<Rc<Library>>, String> {
        let scalar = Scalar::new(self.address(&format!("s_{name}"))?, inputs);
        let address = self.address(&format!("c_{name}"))?;
        // SAFETY: `engines/native.rs` gives every function of this name the type `Loop`.
        let columns = unsafe { std::mem::transmute::<*const u8, Loop>(address) };
        Ok(Code { scalar, columns: Some(columns), inputs, _owner: self.clone() })
    }
}

/// A float of the platform's C convention.
pub(crate) trait Float: Copy {
    /// How the names of its functions begin.
    const PREFIX: &'static str;
}

impl Float for f64 {
    const PREFIX: &'static str = "f64";
}

impl Float for f32 {
    const PREFIX: &'static str = "f32";
}

/// A loop over columns of a type, and the library that it stands in.
pub(crate) struct ColumnLoop<T> {
    function: unsafe extern "C" fn(usize, *const *const T, *mut T),
    inputs: usize,
    _library: Rc<Library>,
}

impl Library {
    /// The loop of a function of so many columns: `f64_NAME` or `f32_NAME`.
    pub(crate) fn column_loop<T: Float>(self: &Rc<Self>, name: &str, inputs: usize) -> Result<ColumnLoop<T>, String> {
        let address = self.address(&format!("{}_{name}", T::PREFIX))?;
        // SAFETY: `functions/native.rs` gives every function whose name begins like this the type that is named here; a
        // wrong one fails in `functions::tests::engines_agree_with_kiln`.
        let function =
            unsafe { std::mem::transmute::<*const u8, unsafe extern "C" fn(usize, *const *const T, *mut T)>(address) };
        Ok(ColumnLoop { function, inputs, _library: self.clone() })
    }
}

impl<T> ColumnLoop<T> {
    /// Calls it.
    pub(crate) fn run(&self, inputs: &[Column<T>], out: &mut [T])
    where
        T: Copy + Default,
    {
        assert!(inputs.len() == self.inputs && inputs.iter().all(|column| column.len() >= out.len()));
        let addresses: [*const T; 2] =
            std::array::from_fn(|at| inputs.get(at).map_or(std::ptr::null(), |c| c.as_ptr()));
        // SAFETY: the loop reads `out.len()` rows of as many columns as the function has inputs, which the assertion has
        // counted and which are at most two, and writes as many rows of `out`, which is borrowed mutably and so apart
        // from them; a loop that goes further fails in `functions::tests::loops_end_where_columns_end`.
        unsafe { (self.function)(out.len(), addresses.as_ptr(), out.as_mut_ptr()) }
    }
}

/// A module whose memory is released with it.
pub(crate) struct Jitted(Option<JITModule>);

impl Drop for Jitted {
    fn drop(&mut self) {
        if let Some(module) = self.0.take() {
            // SAFETY: the addresses of its functions stand in the `Code` that owns this module and is being dropped.
            unsafe { module.free_memory() }
        }
    }
}

/// The functions of a finished module: one of so many floats, and a loop.
pub(crate) fn jitted(
    module: JITModule,
    scalar: Option<FuncId>,
    columns: Option<FuncId>,
    inputs: usize,
) -> Code<Jitted> {
    let scalar = scalar.and_then(|id| Scalar::new(module.get_finalized_function(id), inputs));
    let columns = columns.map(|id| {
        let address = module.get_finalized_function(id);
        // SAFETY: `engines/cranelift.rs` gives the function that it passes here the signature of `Loop`.
        unsafe { std::mem::transmute::<*const u8, Loop>(address) }
    });
    Code { scalar, columns, inputs, _owner: Jitted(Some(module)) }
}

/// A parsed expression of `fasteval` and the inputs that it reads by address.
pub(crate) struct Slots {
    pub(crate) slab: fasteval::Slab,
    pub(crate) inputs: Box<[Cell<f64>]>,
}

impl Slots {
    /// Inputs with these names.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Slots {
        let mut slab = fasteval::Slab::new();
        let names: Vec<&str> = names.collect();
        let inputs: Box<[Cell<f64>]> = names.iter().map(|_| Cell::new(0.0)).collect();
        for (name, input) in names.iter().zip(&inputs) {
            // SAFETY: the reference lives for the next statement alone, and nothing writes meanwhile.
            let input: &f64 = unsafe { &*input.as_ptr() };
            // SAFETY: the slab keeps the address and reads it while it evaluates. The box is never moved out of
            // `Slots`, nor dropped before it, and values are written between evaluations, in this thread.
            unsafe { slab.ps.add_unsafe_var((*name).to_owned(), input) }
        }
        Slots { slab, inputs }
    }
}

/// Asks for large pages for memory that is at least one of them long: all engines read the same columns.
pub(crate) fn advise_large_pages<T>(memory: &mut [T]) {
    const PAGE: usize = 4096;
    let before = memory.as_ptr().align_offset(PAGE);
    let bytes = memory.len().saturating_sub(before) * size_of::<T>() / PAGE * PAGE;
    if bytes > 1 << 21 {
        let address = memory[before..].as_mut_ptr();
        // SAFETY: the whole pages from `address` on are inside of `memory`, which is borrowed, and the advice does not
        // change what stands in them.
        unsafe { libc::madvise(address.cast(), bytes, libc::MADV_HUGEPAGE) };
    }
}
