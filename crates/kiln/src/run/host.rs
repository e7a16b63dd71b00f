//! Functions of the host program that formulas call, and the thunks through which compiled code calls anything.
//!
//! Compiled code calls every function that is not inline in one way, [`Thunk`]: arguments lie as 64-bit words in
//! memory, the result comes back as a word with a failure flag. The meaning of an operation, a function of the
//! function table and a registered host function differ only in the `data` pointer that goes with the thunk.

use super::typed::Scalar;
use crate::ops::Meaning;
use crate::ops::words::Word;
use crate::types::{Type, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// A call's result: in SysV, two registers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Outcome {
    /// The result's bits.
    pub(crate) bits: u64,
    /// Not zero if the call failed; the reason is in the context.
    pub(crate) failed: u64,
}

/// What one evaluation of a fallible formula leaves behind.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Context {
    /// The node number of the trap or call that stopped the evaluation; written by compiled code.
    pub(crate) at: u32,
    /// Its `TrapKind`.
    pub(crate) kind: u32,
    /// What the host function said.
    pub(crate) message: Mutex<Option<String>>,
}

/// How compiled code calls out. On x86-64 always the System V convention, on every operating system.
#[cfg(target_arch = "x86_64")]
pub(crate) type Thunk =
    unsafe extern "sysv64" fn(args: *const u64, data: *const (), context: *const Context) -> Outcome;
/// How compiled code calls out.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) type Thunk = unsafe extern "C" fn(args: *const u64, data: *const (), context: *const Context) -> Outcome;

type Body = Box<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync>;

/// A function of the host program, registered with its signature.
pub(crate) struct HostFunction {
    name: String,
    params: Vec<Type>,
    result: Type,
    pure: bool,
    fallible: bool,
    body: Body,
}

// A panic inside is caught by `call`, and the function keeps no state of its own that one could leave half-changed.
impl std::panic::UnwindSafe for HostFunction {}
impl std::panic::RefUnwindSafe for HostFunction {}

impl HostFunction {
    pub(crate) fn new(name: String, params: Vec<Type>, result: Type, pure: bool, fallible: bool, body: Body) -> Self {
        HostFunction { name, params, result, pure, fallible, body }
    }

    /// The same, declared pure.
    pub(crate) fn into_pure(self) -> Self {
        HostFunction { pure: true, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn params(&self) -> &[Type] {
        &self.params
    }

    pub(crate) fn result(&self) -> Type {
        self.result
    }

    /// May calls with equal arguments be merged, folded away or left out?
    pub(crate) fn is_pure(&self) -> bool {
        self.pure
    }

    /// May a call fail?
    pub(crate) fn is_fallible(&self) -> bool {
        self.fallible
    }

    /// Calls it. A panic of the host's code is an error here, never an unwinding through compiled code.
    pub(crate) fn call(&self, args: &[Value]) -> Result<Value, String> {
        let result = catch_unwind(AssertUnwindSafe(|| (self.body)(args)))
            .map_err(|_| format!("the host function `{}` panicked", self.name))??;
        if result.ty() == self.result {
            Ok(result)
        } else {
            Err(format!("the host function `{}` returned {} instead of {}", self.name, result.ty(), self.result))
        }
    }
}

/// A function of the host program that formulas can call.
///
/// It is taken to have effects (every call that is written happens, in order) unless [`Host::pure`] says otherwise.
///
/// ```
/// use kiln::{Engine, Host, Value};
/// let mut engine = Engine::new();
/// engine.register(Host::new("triple", |x: f64| 3.0 * x).pure())?;
/// engine.register(Host::new("lookup", |k: i64| if k == 7 { Ok(1.5) } else { Err(format!("no key {k}")) }))?;
/// let f = engine.compile("triple(x) + lookup(7)")?;
/// assert!(matches!(f.call(&[Value::F64(2.0)])?, Value::F64(7.5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Host {
    function: HostFunction,
}

impl Host {
    /// `function` takes up to six scalars, and returns a scalar or, if it can fail, a `Result<scalar, String>`.
    pub fn new<Args, F: HostBody<Args>>(name: &str, function: F) -> Host {
        let (params, result, fallible) = (F::PARAMS.to_vec(), F::RESULT, F::FALLIBLE);
        let body = Box::new(move |args: &[Value]| function.apply(args));
        Host { function: HostFunction::new(name.to_owned(), params, result, false, fallible, body) }
    }

    /// The name under which formulas call it.
    pub(crate) fn name(&self) -> &str {
        self.function.name()
    }

    /// The function.
    pub(crate) fn into_function(self) -> HostFunction {
        self.function
    }

    /// Declares that the result depends on the arguments alone and that nothing else happens: calls may be merged, moved
    /// and left out.
    #[must_use]
    pub fn pure(self) -> Host {
        Host { function: self.function.into_pure() }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let types: Vec<&str> = self.function.params().iter().map(|t| t.name()).collect();
        write!(f, "Host({}({}) -> {})", self.function.name(), types.join(", "), self.function.result())
    }
}

/// Places for a few argument values without allocating.
const INLINE_ARGS: usize = 8;

/// The thunk of builtins and of operations that have no instructions: `data` is a [`Meaning`].
#[cfg(target_arch = "x86_64")]
pub(crate) const MEANING_THUNK: Thunk = meaning_thunk;
/// The thunk of host functions: `data` is a `HostFunction`.
#[cfg(target_arch = "x86_64")]
pub(crate) const HOST_THUNK: Thunk = host_thunk;

/// # Safety
/// `args` points to three readable words; `data` is a `Meaning` cast to a pointer.
#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" fn meaning_thunk(args: *const u64, data: *const (), _context: *const Context) -> Outcome {
    // SAFETY: the caller passes a `Meaning` as `data` (`isa::*::lower::call` is the only one that emits the pair);
    // function pointers and data pointers have one size and representation on this target.
    let meaning = unsafe { std::mem::transmute::<*const (), Meaning>(data) };
    // SAFETY: the caller reserves three words for arguments whatever the arity; differential.rs calls each.
    let [a, b, c] = unsafe { *args.cast::<[u64; 3]>() };
    Outcome { bits: meaning(a, b, c), failed: 0 }
}

/// # Safety
/// `data` points to a live `HostFunction`, `args` to as many words as it has parameters, `context` is null or points
/// to the evaluation's context.
#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" fn host_thunk(args: *const u64, data: *const (), context: *const Context) -> Outcome {
    // SAFETY: the compiled function owns an `Arc` of every host function that it calls, so `data` is alive.
    let host = unsafe { &*data.cast::<HostFunction>() };
    // SAFETY: the lowering stores one word for each parameter of the signature before the call.
    let words = unsafe { std::slice::from_raw_parts(args, host.params.len()) };
    let mut inline = [Value::Bool(false); INLINE_ARGS];
    let outcome = if words.len() <= INLINE_ARGS {
        for ((value, &word), &ty) in inline.iter_mut().zip(words).zip(&host.params) {
            *value = Value::from_bits(ty, word);
        }
        host.call(&inline[..words.len()])
    } else {
        let values: Vec<Value> = words.iter().zip(&host.params).map(|(&w, &t)| Value::from_bits(t, w)).collect();
        host.call(&values)
    };
    match outcome {
        Ok(value) => Outcome { bits: value.to_bits(), failed: 0 },
        Err(message) => {
            // SAFETY: the pointer is null or the context that the running evaluation borrows; see `run::call`.
            if let Some(context) = unsafe { context.as_ref() } {
                *context.message.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(message);
            } else {
                // An infallible function failed (it panicked): there is nobody to tell, and unwinding through
                // compiled code is not possible. `extern` functions abort on panic, and so does this.
                std::process::abort();
            }
            Outcome { bits: 0, failed: 1 }
        }
    }
}

/// How compiled code calls out for every row of a step: arguments lie in memory one after another, all rows of the
/// first, then of the second; the results come behind the arguments.
#[cfg(target_arch = "x86_64")]
pub(crate) type LanesThunk = unsafe extern "sysv64" fn(area: *mut u8, data: *const (), lanes: u64);

/// How arguments and result of a call for every row lie in memory, in 64 bits: from the lowest on, eight bits of rows,
/// eight of bytes between one argument and the next, and four for the result and each argument ([`Lanes::BITS`] and so on).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes(pub(crate) u64);

impl Lanes {
    /// A bool: bit `i` is row `i`.
    pub(crate) const BITS: u64 = 1;
    /// Values of four bytes.
    pub(crate) const FOUR: u64 = 2;
    /// Values of eight bytes.
    pub(crate) const EIGHT: u64 = 3;
    /// A bool: all ones or all zeros in four bytes.
    pub(crate) const MASK_FOUR: u64 = 4;
    /// A bool: all ones or all zeros in eight bytes.
    pub(crate) const MASK_EIGHT: u64 = 5;
    /// As many arguments as there is room for.
    pub(crate) const MOST_ARGS: usize = 11;

    /// So many rows, `bytes` from one argument to the next, results and arguments like this.
    pub(crate) fn new(rows: u32, bytes: u32, codes: impl Iterator<Item = u64>) -> Lanes {
        let codes = codes.zip((16..).step_by(4)).fold(0, |all, (code, shift)| all | code << shift);
        Lanes(u64::from(rows) | u64::from(bytes) << 8 | codes)
    }

    fn rows(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// Bytes from the first argument to this one, and its code; the result is number 0 and lies behind the arguments.
    fn place(self, number: usize) -> (usize, u64) {
        let code = |n: usize| self.0 >> (16 + 4 * n) & 15;
        let slot = if number == 0 { (1..=Lanes::MOST_ARGS).take_while(|&n| code(n) != 0).count() } else { number - 1 };
        (slot * (self.0 >> 8 & 0xff) as usize, code(number))
    }

    /// Bytes from the start of the area to a row, and how many it has.
    fn row(self, number: usize, row: usize) -> (usize, usize) {
        let (at, code) = self.place(number);
        match code {
            Lanes::BITS => (at, 8),
            Lanes::FOUR | Lanes::MASK_FOUR => (at + 4 * row, 4),
            _ => (at + 8 * row, 8),
        }
    }

    /// The word of a row.
    ///
    /// # Safety
    /// `area` holds what is described.
    #[cfg(target_arch = "x86_64")]
    unsafe fn read(self, area: *const u8, number: usize, row: usize) -> u64 {
        let ((at, bytes), (_, code)) = (self.row(number, row), self.place(number));
        let mut word = [0; 8];
        // SAFETY: the caller vouches for the area, of which every row of every argument is a part.
        let from = unsafe { area.add(at) };
        // SAFETY: the same.
        unsafe { std::ptr::copy_nonoverlapping(from, word.as_mut_ptr(), bytes) };
        let word = u64::from_le_bytes(word);
        match code {
            Lanes::BITS => word >> row & 1,
            Lanes::MASK_FOUR | Lanes::MASK_EIGHT => u64::from(word != 0),
            _ => word,
        }
    }

    /// Writes the result of a row. Rows are written in order.
    ///
    /// # Safety
    /// `area` holds what is described.
    #[cfg(target_arch = "x86_64")]
    unsafe fn write(self, area: *mut u8, row: usize, word: u64) {
        let ((at, bytes), (_, code)) = (self.row(0, row), self.place(0));
        // SAFETY: the caller vouches for the area, of which every row of the result is a part.
        let to = unsafe { area.add(at) };
        let word = match code {
            Lanes::BITS if row > 0 => {
                // SAFETY: the bits of the rows before this one have been written there.
                let before = unsafe { to.cast::<u64>().read_unaligned() };
                before | (word & 1) << row
            }
            Lanes::BITS => word & 1,
            Lanes::MASK_FOUR | Lanes::MASK_EIGHT => (word & 1).wrapping_neg(),
            _ => word,
        };
        // SAFETY: the same as above.
        unsafe { std::ptr::copy_nonoverlapping(word.to_le_bytes().as_ptr(), to, bytes) };
    }
}

/// The thunk of builtins and of operations that have no vector instructions: `data` is a [`Meaning`].
#[cfg(target_arch = "x86_64")]
pub(crate) const MEANING_LANES: LanesThunk = meaning_lanes;
/// The thunk of host functions: `data` is a `HostFunction`.
#[cfg(target_arch = "x86_64")]
pub(crate) const HOST_LANES: LanesThunk = host_lanes;

/// # Safety
/// `area` holds arguments and has room for results as `lanes` says; `data` is a `Meaning` cast to a pointer.
#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" fn meaning_lanes(area: *mut u8, data: *const (), lanes: u64) {
    // SAFETY: the caller passes a `Meaning` as `data` (`isa::*::packed::calls` is the only one that emits the pair);
    // function pointers and data pointers have one size and representation on this target.
    let meaning = unsafe { std::mem::transmute::<*const (), Meaning>(data) };
    let lanes = Lanes(lanes);
    for row in 0..lanes.rows() {
        let mut words = [0; 3];
        for (word, number) in words.iter_mut().zip(1..).filter(|(_, number)| lanes.place(*number).1 != 0) {
            // SAFETY: the caller vouches for the area. The kernel tests compare every operation with its meaning.
            *word = unsafe { lanes.read(area, number, row) };
        }
        let word = meaning(words[0], words[1], words[2]);
        // SAFETY: the same.
        unsafe { lanes.write(area, row, word) };
    }
}

/// # Safety
/// `area` holds arguments and has room for results as `lanes` says; `data` points to a live `HostFunction` that cannot fail.
#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" fn host_lanes(area: *mut u8, data: *const (), lanes: u64) {
    // SAFETY: the compiled function owns an `Arc` of every host function that it calls, so `data` is alive.
    let host = unsafe { &*data.cast::<HostFunction>() };
    let lanes = Lanes(lanes);
    let mut values = [Value::Bool(false); Lanes::MOST_ARGS];
    for row in 0..lanes.rows() {
        for ((value, &ty), number) in values.iter_mut().zip(&host.params).zip(1..) {
            // SAFETY: the caller vouches for the area.
            *value = Value::from_bits(ty, unsafe { lanes.read(area, number, row) });
        }
        match host.call(&values[..host.params.len()]) {
            // SAFETY: the same.
            Ok(value) => unsafe { lanes.write(area, row, value.to_bits()) },
            // An infallible function failed (it panicked), and there is nobody to tell; see `host_thunk`.
            Err(_) => std::process::abort(),
        }
    }
}

/// A closure that can be registered as a host function. `Args` tells the shapes apart.
pub trait HostBody<Args>: Send + Sync + 'static {
    #[doc(hidden)]
    const PARAMS: &'static [Type];
    #[doc(hidden)]
    const RESULT: Type;
    #[doc(hidden)]
    const FALLIBLE: bool;
    #[doc(hidden)]
    fn apply(&self, args: &[Value]) -> Result<Value, String>;
}

/// What a host function returns: a scalar, or a `Result<scalar, String>`.
pub trait HostReturn {
    #[doc(hidden)]
    const TYPE: Type;
    #[doc(hidden)]
    const FALLIBLE: bool;
    #[doc(hidden)]
    fn into_value(self) -> Result<Value, String>;
}

macro_rules! host_returns {
    ($($native:ty),*) => {$(
        impl HostReturn for $native {
            const TYPE: Type = <$native as Scalar>::TYPE;
            const FALLIBLE: bool = false;
            fn into_value(self) -> Result<Value, String> {
                Ok(self.into())
            }
        }
        impl HostReturn for Result<$native, String> {
            const TYPE: Type = <$native as Scalar>::TYPE;
            const FALLIBLE: bool = true;
            fn into_value(self) -> Result<Value, String> {
                self.map(Into::into)
            }
        }
    )*};
}
host_returns!(bool, i32, i64, f32, f64);

macro_rules! host_bodies {
    ($($($arg:ident $at:literal),*;)*) => {$(
        impl<$($arg: Scalar,)* R: HostReturn, Body> HostBody<($($arg,)*)> for Body
        where
            Body: Fn($($arg),*) -> R + Send + Sync + 'static,
        {
            const PARAMS: &'static [Type] = &[$($arg::TYPE),*];
            const RESULT: Type = R::TYPE;
            const FALLIBLE: bool = R::FALLIBLE;
            #[allow(unused_variables, reason = "a function of no arguments reads none")]
            fn apply(&self, args: &[Value]) -> Result<Value, String> {
                self($(<$arg as Word>::from_word(args[$at].to_bits())),*).into_value()
            }
        }
    )*};
}
host_bodies! {
    ;
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}
