//! Scalar types and values: what a formula computes with.
//!
//! Owns the five types, their text names and the 64-bit pattern in which a value of any of them travels
//! between the compiler, the machine code's argument buffers and the interpreter. Knows no operation.

#![forbid(unsafe_code)]

use std::fmt;

/// A scalar type of the formula language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Type {
    /// Truth value.
    Bool,
    /// 32-bit two's complement integer.
    I32,
    /// 64-bit two's complement integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl Type {
    /// All types, in the order of their discriminants.
    pub const ALL: [Type; 5] = [Type::Bool, Type::I32, Type::I64, Type::F32, Type::F64];

    /// The type's name in formulas: `f64`, `f32`, `i64`, `i32` or `bool`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Type> {
        Type::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Is this `f32` or `f64`?
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    /// Is this `i32` or `i64`?
    #[must_use]
    pub const fn is_int(self) -> bool {
        matches!(self, Type::I32 | Type::I64)
    }

    /// Width in bits of the value itself (`bool`: 1).
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Type::Bool => 1,
            Type::I32 | Type::F32 => 32,
            Type::I64 | Type::F64 => 64,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value of one of the scalar types.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A `bool`.
    Bool(bool),
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
}

impl Value {
    /// The value's type.
    #[must_use]
    pub const fn ty(self) -> Type {
        match self {
            Value::Bool(_) => Type::Bool,
            Value::I32(_) => Type::I32,
            Value::I64(_) => Type::I64,
            Value::F32(_) => Type::F32,
            Value::F64(_) => Type::F64,
        }
    }

    /// The value's bit pattern, zero-extended to 64 bits (`bool`: 0 or 1).
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        match self {
            Value::Bool(v) => v as u64,
            Value::I32(v) => v as u32 as u64,
            Value::I64(v) => v as u64,
            Value::F32(v) => v.to_bits() as u64,
            Value::F64(v) => v.to_bits(),
        }
    }

    /// The value of type `ty` with this bit pattern; bits above the type's width are ignored.
    #[must_use]
    pub const fn from_bits(ty: Type, bits: u64) -> Value {
        match ty {
            Type::Bool => Value::Bool(bits & 1 != 0),
            Type::I32 => Value::I32(bits as i32),
            Type::I64 => Value::I64(bits as i64),
            Type::F32 => Value::F32(f32::from_bits(bits as u32)),
            Type::F64 => Value::F64(f64::from_bits(bits)),
        }
    }

    /// Same type and same bits, where any NaN equals any NaN of its type.
    #[must_use]
    pub fn same(self, other: Value) -> bool {
        self.ty() == other.ty() && (self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan()))
    }

    /// Is this a floating-point NaN?
    #[must_use]
    pub const fn is_nan(self) -> bool {
        match self {
            Value::F32(v) => v.is_nan(),
            Value::F64(v) => v.is_nan(),
            _ => false,
        }
    }
}

/// The shortest text that reads back equal: `27`, `0.1`, `1e300`, `nan`, `-inf`, `true`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Bool(v) => write!(f, "{v}"),
            Value::I32(v) => write!(f, "{v}"),
            Value::I64(v) => write!(f, "{v}"),
            Value::F32(v) if v.is_nan() => f.write_str("nan"),
            Value::F64(v) if v.is_nan() => f.write_str("nan"),
            // Rust's Debug switches to exponents where Display would print hundreds of digits.
            Value::F32(v) => f.write_str(format!("{v:?}").trim_end_matches(".0")),
            Value::F64(v) => f.write_str(format!("{v:?}").trim_end_matches(".0")),
        }
    }
}

macro_rules! value_from {
    ($($native:ty => $variant:ident),*) => {$(
        impl From<$native> for Value {
            fn from(v: $native) -> Value { Value::$variant(v) }
        }
    )*};
}
value_from!(bool => Bool, i32 => I32, i64 => I64, f32 => F32, f64 => F64);
