//! Typed calls of formulas: `fn(i32, f64) -> f64` becomes one indirect call.
//!
//! The one idea: machine code is called as an `extern "C"` function of the inputs with one pointer more at the end. Code
//! from the pipeline never looks at it (both conventions let the caller pass more than the callee reads); where there is
//! no code, the callee is a shim that finds the interpreted function behind that pointer. So a call is one
//! indirect call in either case, and nothing is checked.

use super::invoke::Body;
use crate::error::RunError;
use crate::ops::words::Word;
use crate::types::Type;

mod private {
    pub trait Sealed {}
}

/// A type of inputs and results: `f64`, `f32`, `i64`, `i32` or `bool`.
#[allow(private_bounds, reason = "how values become words is nobody else's business")]
pub trait Scalar: private::Sealed + Word + Copy + Default {
    /// The formula type.
    const TYPE: Type;
}

macro_rules! scalars {
    ($($native:ty => $ty:ident),*) => {$(
        impl private::Sealed for $native {}
        impl Scalar for $native {
            const TYPE: Type = Type::$ty;
        }
        impl private::Sealed for Result<$native, RunError> {}
    )*};
}
scalars!(bool => Bool, i32 => I32, i64 => I64, f32 => F32, f64 => F64);

/// What a typed formula returns: a scalar, or for formulas that can fail `Result<scalar, RunError>`.
pub trait Return: private::Sealed {
    /// The scalar.
    type Native: Scalar;
    /// Does a call report errors?
    const FALLIBLE: bool;
    #[doc(hidden)]
    fn from_native(value: Self::Native) -> Self;
    #[doc(hidden)]
    fn from_word(word: Result<u64, RunError>) -> Self;
}

impl<T: Scalar> Return for T {
    type Native = T;
    const FALLIBLE: bool = false;
    fn from_native(value: T) -> T {
        value
    }
    fn from_word(word: Result<u64, RunError>) -> T {
        // An infallible formula gives no errors; the type of the formula was checked when it was compiled.
        word.map(<T as Word>::from_word).unwrap_or_default()
    }
}

impl<T: Scalar> Return for Result<T, RunError>
where
    Result<T, RunError>: private::Sealed,
{
    type Native = T;
    const FALLIBLE: bool = true;
    fn from_native(value: T) -> Self {
        Ok(value)
    }
    fn from_word(word: Result<u64, RunError>) -> Self {
        word.map(<T as Word>::from_word)
    }
}

/// A Rust function type that a formula can have: `fn` of up to twelve scalars.
pub trait Signature: private::Sealed {
    /// The types of the inputs.
    const PARAMS: &'static [Type];
    /// The type of the result.
    const RESULT: Type;
    /// Does a call report errors?
    const FALLIBLE: bool;
    #[doc(hidden)]
    fn interpreter() -> *const u8;
}

/// What typed calls need of a function: where to call, and what the shim finds there.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    code: *const u8,
    body: *const Body,
}

// SAFETY: both pointers are only read through, and what they point to is owned, immutable and `Sync`.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    /// The entry of `body`, which was compiled for the signature `F` and must outlive every call.
    pub(crate) fn new<F: Signature>(body: &Body) -> Entry {
        let code = body.code().map_or_else(F::interpreter, |sealed| sealed.as_ptr());
        Entry { code, body }
    }

    /// The address of the machine code, or of the shim.
    pub(crate) fn address(&self) -> *const u8 {
        self.code
    }
}

/// A formula that is called with native values.
///
/// The type parameter is a Rust function type such as `fn(f64, f64) -> f64`.
pub struct TypedFunction<F: Signature> {
    entry: Entry,
    function: crate::engine::Function,
    signature: std::marker::PhantomData<F>,
}

impl<F: Signature> TypedFunction<F> {
    /// `function` was compiled for the signature `F`; its body is at a fixed place as long as it lives.
    pub(crate) fn new(function: crate::engine::Function) -> TypedFunction<F> {
        let entry = Entry::new::<F>(function.body());
        TypedFunction { entry, function, signature: std::marker::PhantomData }
    }

    /// The compiled formula, for everything besides calling it: inputs, code, listing.
    #[must_use]
    pub fn function(&self) -> &crate::engine::Function {
        &self.function
    }

    /// The address of the machine code, a C function of the signature; null if the formula is interpreted, or can
    /// fail and so has no such form. It is valid as long as this value lives.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        if F::FALLIBLE || self.function.body().code().is_none() { std::ptr::null() } else { self.entry.address() }
    }
}

impl<F: Signature> std::fmt::Debug for TypedFunction<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TypedFunction").field(&self.function).finish()
    }
}

macro_rules! signatures {
    ($($($name:ident: $arg:ident),*;)*) => {$(
        impl<$($arg: Scalar,)* R: Return> private::Sealed for fn($($arg),*) -> R {}
        impl<$($arg: Scalar,)* R: Return> Signature for fn($($arg),*) -> R {
            const PARAMS: &'static [Type] = &[$($arg::TYPE),*];
            const RESULT: Type = R::Native::TYPE;
            const FALLIBLE: bool = R::FALLIBLE;
            fn interpreter() -> *const u8 {
                /// # Safety
                /// `body` points to a live body for this signature.
                unsafe extern "C" fn shim<$($arg: Scalar,)* R: Return>($($name: $arg,)* body: *const Body) -> R::Native {
                    // SAFETY: `TypedFunction::call` passes the body that the function beside it owns.
                    let body = unsafe { &*body };
                    let mut out = [0];
                    // An infallible function does not stop.
                    let _ = body.call(&[$($name.to_word()),*], &mut out);
                    <R::Native as Word>::from_word(out[0])
                }
                shim::<$($arg,)* R> as unsafe extern "C" fn($($arg,)* *const Body) -> R::Native as *const u8
            }
        }
        impl<$($arg: Scalar,)* R: Return> TypedFunction<fn($($arg),*) -> R> {
            /// Evaluates the formula.
            ///
            /// For machine code that cannot fail this is one indirect call: no lock, no allocation, no check. The
            /// floating-point environment must be the default one (round to nearest, no flushing of subnormals).
            #[inline]
            #[allow(clippy::too_many_arguments, reason = "as many as the formula has inputs")]
            pub fn call(&self, $($name: $arg),*) -> R {
                if R::FALLIBLE {
                    // It has one result: the signature was compared when it was compiled.
                    let mut out = [0];
                    let status = self.function.run(&[$($name.to_word()),*], &mut out);
                    return R::from_word(status.map(|()| out[0]));
                }
                // SAFETY: pointers to functions and data have one representation on every system that code is made for.
                let code = unsafe {
                    std::mem::transmute::<*const u8, unsafe extern "C" fn($($arg,)* *const Body) -> R::Native>(self.entry.code)
                };
                // SAFETY: the engine compiled the body for this signature, whose types it compared with the formula's;
                // code does not look at the extra pointer, and the shim gets the body that `self.function` owns.
                // tests/calls.rs calls every arity on code and interpreter.
                R::from_native(unsafe { code($($name,)* self.entry.body) })
            }
        }
    )*};
}
signatures! {
    ;
    a: A;
    a: A, b: B;
    a: A, b: B, c: C;
    a: A, b: B, c: C, d: D;
    a: A, b: B, c: C, d: D, e: E;
    a: A, b: B, c: C, d: D, e: E, f: F;
    a: A, b: B, c: C, d: D, e: E, f: F, g: G;
    a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H;
    a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I;
    a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I, j: J;
    a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I, j: J, k: K;
    a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I, j: J, k: K, l: L;
}
