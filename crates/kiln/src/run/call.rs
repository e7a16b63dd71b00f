//! Typed calls: from the address of sealed code to a function pointer.
//!
//! The one idea: a pointer to code and its type meet in one place, [`Function`], which owns the memory, and whose
//! [`get`](Function::get) is unsafe because nothing but the caller's word says that the code has that type.
//! Whoever adds a signature adds it to the macro; nothing here knows how the code was made.

use std::marker::PhantomData;

use crate::mem::Sealed;

mod private {
    pub trait Sealed {}
}

/// A type that a machine function can take and return in registers.
pub trait Scalar: private::Sealed {}

macro_rules! scalars {
    ($($native:ty),+) => {$(
        impl private::Sealed for $native {}
        impl Scalar for $native {}
    )+};
}
scalars!((), i32, i64, u32, u64, f32, f64);

impl<T> private::Sealed for *const T {}
impl<T> Scalar for *const T {}
impl<T> private::Sealed for *mut T {}
impl<T> Scalar for *mut T {}

/// A type of function pointer: `extern "C" fn` with up to six scalar arguments, safe or unsafe, and on x86-64 the
/// same with `extern "sysv64"`. `()` is only meaningful as a result.
pub trait FunctionPointer: Copy + private::Sealed {
    /// The pointer to the code at `address`.
    ///
    /// # Safety
    /// A function of this type must stand at `address`, for as long as the pointer is called.
    #[doc(hidden)]
    unsafe fn from_address(address: *const u8) -> Self;
}

macro_rules! function_pointers {
    ($([$($modifier:tt)+])+) => {$(
        function_pointers!(@ [$($modifier)+]);
        function_pointers!(@ [$($modifier)+] A);
        function_pointers!(@ [$($modifier)+] A B);
        function_pointers!(@ [$($modifier)+] A B C);
        function_pointers!(@ [$($modifier)+] A B C D);
        function_pointers!(@ [$($modifier)+] A B C D E);
        function_pointers!(@ [$($modifier)+] A B C D E F);
    )+};
    (@ [$($modifier:tt)+] $($arg:ident)*) => {
        impl<$($arg: Scalar,)* R: Scalar> private::Sealed for $($modifier)+ fn($($arg),*) -> R {}
        impl<$($arg: Scalar,)* R: Scalar> FunctionPointer for $($modifier)+ fn($($arg),*) -> R {
            unsafe fn from_address(address: *const u8) -> Self {
                // SAFETY: a data pointer and a function pointer have one size and representation on every system
                // that code is made for; the caller vouches for what stands at the address. The golden-bytes tests
                // of `tests/case_study.rs` call what comes out of here.
                unsafe { std::mem::transmute::<*const u8, Self>(address) }
            }
        }
    };
}
function_pointers! { [extern "C"] [unsafe extern "C"] }
#[cfg(target_arch = "x86_64")]
function_pointers! { [extern "sysv64"] [unsafe extern "sysv64"] }

/// Sealed code together with the type that it was assembled to have.
///
/// It owns the memory and frees it on drop.
#[derive(Debug)]
pub struct Function<F> {
    code: Sealed,
    pointer: PhantomData<F>,
}

impl<F: FunctionPointer> Function<F> {
    /// Says that `code` is meant to have type `F`; this is believed, not checked, when it is called.
    pub fn new(code: Sealed) -> Function<F> {
        Function { code, pointer: PhantomData }
    }

    /// The function.
    ///
    /// # Safety
    /// - From its first byte on, the code must be a function of type `F`: it finds its arguments and leaves its result
    ///   where the calling convention puts them, preserves the registers that the convention preserves, returns, and
    ///   does nothing else that a safe function may not do (unless `F` is an unsafe function pointer).
    /// - The processor must have every instruction in it.
    /// - The pointer must not be called after `self` is dropped.
    pub unsafe fn get(&self) -> F {
        // SAFETY: the caller vouches for the type of the code and for the lifetime of the pointer; `code` keeps the
        // bytes executable until it is dropped. `tests/case_study.rs` calls such pointers.
        unsafe { F::from_address(self.code.as_ptr()) }
    }

    /// The machine code.
    pub fn bytes(&self) -> &[u8] {
        self.code.bytes()
    }

    /// How many bytes of code and constants it has.
    pub fn code_bytes(&self) -> usize {
        self.code.len()
    }
}
