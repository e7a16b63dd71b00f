//! Routines behind the calls that the function table makes: what is neither an operation nor composed of operations.
//!
//! One row each. A float routine is written once for `f64`; its `f32` form computes in `f64` and rounds the result,
//! which is wrong for about one argument in 2^30: `narrow` knows these of functions of one argument. An int routine is written once, exactly, in `i128`;
//! its forms for `i32` and `i64` wrap, and a twin of each tells whether they had to.
//!
//! Every routine is plain Rust and reaches no platform library: its
//! bits are the same on every machine, and folding, interpreting and running it agree by construction. This file knows no node.

#![forbid(unsafe_code)]

use super::lanes::{Fused, Nodes, Plain, Usual};
use super::{area, blocks, erf, exp, gamma, hyperbolic, inverse, lgamma, log, narrow, pow, roots, trig};
use crate::ir::Ref;
use crate::ir::build::{Builder, Kernel};
use crate::ops::Meaning;
use crate::ops::exact::Exact;
use crate::ops::words::Word;
use crate::run::fused::fused;
use crate::types::Type;
use std::fmt::Write as _;

/// A routine of floats, for both types.
pub(crate) struct Routine {
    /// The name in listings.
    pub(crate) name: &'static str,
    /// For `f64`.
    pub(crate) wide: Meaning,
    /// For `f32`.
    pub(crate) narrow: Meaning,
    /// How `f64` and `f32` are computed over many rows, where it is a kernel.
    pub(crate) kernels: Option<[Kernel; 2]>,
}

/// A routine of ints, for both types, with the test whether the exact result lies outside the type.
pub(crate) struct IntRoutine {
    pub(crate) name: &'static str,
    pub(crate) wide: Meaning,
    pub(crate) narrow: Meaning,
    /// Names of the tests, by type: both give a bool, so that the name alone tells them apart.
    pub(crate) overflow_names: [&'static str; 2],
    pub(crate) wide_overflows: Meaning,
    pub(crate) narrow_overflows: Meaning,
}

/// Routines that are written over [`Lanes`](super::lanes::Lanes) and computed by what the processor has: kernels of which nodes
/// are made too, and what these call where it is rare. First the words that they take, of which some are arguments.
macro_rules! over_lanes {
    ($words:tt $args:tt: $($constant:ident $name:literal $path:path, $kernels:expr;)*) => {$(
        pub(crate) static $constant: Routine = Routine {
            name: $name,
            wide: over_lanes!(@ f64 $name $words $args $path),
            narrow: over_lanes!(@ f32 $name $words $args $path),
            kernels: $kernels,
        };
    )*};
    (@ $t:ident $name:literal ($($word:tt)*) ($($x:ident)*) $path:path) => {
        |$($word),*| {
            $(let $x = f64::from($t::from_word($x));)*
            let y = fused(|| $path(&Fused, $($x),*), || $path(&Plain, $($x),*));
            let first = const { narrow::first_row($name, size_of::<$t>()) };
            (narrow::settle(&Plain, first, [$($x),*][0], y) as $t).to_word()
        }
    };
}
macro_rules! kernels {
    ($words:tt $args:tt: $($constant:ident $name:literal $path:path;)*) => {$(
        over_lanes! {
            $words $args: $constant $name $path,
            Some([
                kernels!(@ f64 $name $words $args $path, $constant.wide),
                kernels!(@ f32 $name $words $args $path, $constant.narrow),
            ]);
        }
    )*};
    (@ $t:ident $name:literal ($($operand:tt)*) ($($x:ident)*) $path:path, $meaning:expr) => {
        Kernel {
            inline: |b, args| {
                inline(b, args, const { narrow::first_row($name, size_of::<$t>()) }, |l, [$($x),*]| $path(l, $($x),*))
            },
            rows: |out, $($operand),*| {
                struct This;
                impl blocks::Formula<{ [$(stringify!($x)),*].len() }> for This {
                    #[inline(always)]
                    fn usual(l: &Usual, [$($x),*]: [f64; [$(stringify!($x)),*].len()]) -> f64 {
                        let first = const { narrow::first_row($name, size_of::<$t>()) };
                        narrow::settle(l, first, [$($x),*][0], $path(l, $($x),*))
                    }
                }
                blocks::rows::<$t, _, _>(out, [$($x),*], This, $meaning)
            },
        }
    };
}

/// Makes nodes of a kernel: for `f32` by way of `f64`, with the function's rows in the table of what that gets wrong.
fn inline<const N: usize>(
    b: &mut Builder,
    args: &[Ref],
    first: usize,
    kernel: impl Fn(&Nodes<'_>, [Ref; N]) -> Ref,
) -> Ref {
    let ty = args.first().map_or(Type::F64, |&x| b.ty(x));
    let mut wide = [Ref::NONE; N];
    for (wide, &x) in wide.iter_mut().zip(args) {
        *wide = b.raw_convert(x, Type::F64);
    }
    let nodes = Nodes::new(b);
    let y = kernel(&nodes, wide);
    let y = narrow::settle(&nodes, first, wide[0], y);
    b.raw_convert(y, ty)
}

// constant, name in listings, kernel
kernels! { (x _ _) (x):
    EXP "exp" exp::exp;
    EXP2 "exp2" exp::exp2;
    EXP10 "exp10" exp::exp10;
    EXPM1 "expm1" exp::expm1;
    LOG "log" log::log;
    LOG2 "log2" log::log2;
    LOG10 "log10" log::log10;
    LOG1P "log1p" log::log1p;
    SIN "sin" trig::sin;
    COS "cos" trig::cos;
    TAN "tan" trig::tan;
    SINH "sinh" hyperbolic::sinh;
    COSH "cosh" hyperbolic::cosh;
    TANH "tanh" hyperbolic::tanh;
    ASINH "asinh" area::asinh;
    ACOSH "acosh" area::acosh;
    ATANH "atanh" area::atanh;
    ASIN "asin" inverse::asin;
    ACOS "acos" inverse::acos;
    ATAN "atan" inverse::atan;
    SINPI "sinpi" trig::sinpi;
    COSPI "cospi" trig::cospi;
    CBRT "cbrt" roots::cbrt;
    ERF "erf" erf::erf;
    ERFC "erfc" erf::erfc;
    GAMMA "gamma" gamma::gamma;
    FACT "fact" gamma::fact;
    LGAMMA "lgamma" lgamma::lgamma;
}
kernels! { (x y _) (x y):
    ATAN2 "atan2" inverse::atan2;
    HYPOT "hypot" roots::hypot;
    POW "pow" pow::pow;
    LOG_BASE "logbase" pow::log_base;
}
kernels! { (x y z) (x y z):
    HYPOT3 "hypot3" roots::hypot3;
}
over_lanes! { (x _ _) (x):
    EXP10_WHOLE "exp10whole" exp::exp10_whole, None;
    LOG_ODD "logodd" log::log_odd, None;
    LOG2_ODD "log2odd" log::log2_odd, None;
    LOG10_ODD "log10odd" log::log10_odd, None;
    LOG1P_ODD "log1podd" log::log1p_odd, None;
    SIN_LARGE "sinlarge" trig::sin_large, None;
    COS_LARGE "coslarge" trig::cos_large, None;
    TAN_LARGE "tanlarge" trig::tan_large, None;
    ASINH_ODD "asinhodd" area::asinh_odd, None;
    ACOSH_ODD "acoshodd" area::acosh_odd, None;
    ATANH_ODD "atanhodd" area::atanh_odd, None;
    SINPI_ODD "sinpiodd" trig::sinpi_odd, None;
    COSPI_LARGE "cospilarge" trig::cospi_large, None;
    CBRT_SMALL "cbrtsmall" roots::cbrt_small, None;
    GAMMA_ODD "gammaodd" gamma::gamma_odd, None;
    FACT_ODD "factodd" gamma::fact_odd, None;
    LGAMMA_ODD "lgammaodd" lgamma::lgamma_odd, None;
}
over_lanes! { (x y _) (x y):
    ATAN2_ODD "atan2odd" inverse::atan2_odd, None;
    HYPOT_ODD "hypotodd" roots::hypot_odd, None;
    POW_ODD "powodd" pow::pow_odd, None;
    LOG_BASE_ODD "logbaseodd" pow::log_base_odd, None;
}
over_lanes! { (x y z) (x y z):
    HYPOT3_ODD "hypot3odd" roots::hypot3_odd, None;
}

/// The remainder of the first by the second, of the type itself.
pub(crate) const FMOD: Routine = Routine {
    name: "fmod",
    wide: |a, b, _| Exact::remainder(f64::from_word(a), f64::from_word(b)).to_word(),
    narrow: |a, b, _| Exact::remainder(f32::from_word(a), f32::from_word(b)).to_word(),
    kernels: None,
};

/// A float rounded to an `i64` of decimal digits. The shortest decimal of an `f32` is its own, not the `f64`'s.
pub(crate) const ROUND_DIGITS: Routine = Routine {
    name: "rounddigits",
    wide: |a, digits, _| {
        let x = f64::from_word(a);
        round_text(format_args!("{:e}", x.abs()), digits as i64).map_or(x, |v: f64| v.copysign(x)).to_word()
    },
    narrow: |a, digits, _| {
        let x = f32::from_word(a);
        round_text(format_args!("{:e}", x.abs()), digits as i64).map_or(x, |v: f32| v.copysign(x)).to_word()
    },
    kernels: None,
};

macro_rules! int_routines {
    ($($constant:ident $name:literal $overflow_wide:literal $overflow_narrow:literal $exact:path, $second:ident;)*) => {$(
        pub(crate) const $constant: IntRoutine = IntRoutine {
            name: $name,
            wide: |a, b, _| ($exact(a as i64, b as i64) as i64).to_word(),
            narrow: |a, b, _| ($exact(i64::from(a as i32), $second(b)) as i32).to_word(),
            overflow_names: [$overflow_wide, $overflow_narrow],
            wide_overflows: |a, b, _| i64::try_from($exact(a as i64, b as i64)).is_err().to_word(),
            narrow_overflows: |a, b, _| i32::try_from($exact(i64::from(a as i32), $second(b))).is_err().to_word(),
        };
    )*};
}

fn narrow_word(word: u64) -> i64 {
    i64::from(word as i32)
}

fn wide_word(word: u64) -> i64 {
    word as i64
}

// constant, name, names of the overflow tests for i64 and i32, exact result, how the i32 form reads its second word
int_routines! {
    GCD "gcd" "gcdover64" "gcdover32" gcd, narrow_word;
    LCM "lcm" "lcmover64" "lcmover32" lcm, narrow_word;
    ROUND_INT "roundint" "roundover64" "roundover32" round_int, wide_word;
}

fn gcd(a: i64, b: i64) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::from(a)
}

fn lcm(a: i64, b: i64) -> i128 {
    match gcd(a, b) {
        0 => 0,
        divisor => (i128::from(a) / divisor * i128::from(b)).abs(),
    }
}

/// To a multiple of a power of ten, halves away from zero.
fn round_int(x: i64, digits: i64) -> i128 {
    let x = i128::from(x);
    if digits >= 0 {
        return x;
    }
    // 10^20 and more are above twice every i64.
    let Some(unit) = (digits >= -19).then(|| 10i128.pow(digits.unsigned_abs() as u32)) else { return 0 };
    (x.abs() + unit / 2) / unit * unit * x.signum()
}

/// A non-negative number, given as the text of its shortest decimal `d.ddde±n`, rounded half up after `digits`
/// decimal places; `None` if that changes nothing.
fn round_text<T: std::str::FromStr>(text: std::fmt::Arguments<'_>, digits: i64) -> Option<T> {
    let mut buffer = Buffer::default();
    buffer.write_fmt(text).ok()?;
    // `inf` and `NaN` have no exponent.
    let (mantissa, exponent) = buffer.text()?.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let mut decimals = mantissa.bytes().filter(|&d| d != b'.');
    let count = decimals.clone().count() as i64;
    let keep = exponent.saturating_add(1).saturating_add(digits);
    if keep >= count {
        return None;
    }
    let mut kept: u64 = 0;
    for digit in decimals.by_ref().take(keep.max(0) as usize) {
        kept = kept * 10 + u64::from(digit - b'0');
    }
    // Below zero kept digits even the first one lies under half a unit.
    let up = keep >= 0 && decimals.next().is_some_and(|digit| digit >= b'5');
    let mut result = Buffer::default();
    // A result that is not zero needs at least -308 - 1 digits, so the clamp changes none.
    write!(result, "{}e{}", kept + u64::from(up), -digits.clamp(-400, 400)).ok()?;
    result.text()?.parse().ok()
}

/// Text of up to 40 bytes, on the stack.
struct Buffer {
    bytes: [u8; 40],
    used: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer { bytes: [0; 40], used: 0 }
    }
}

impl Buffer {
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.used)?).ok()
    }
}

impl std::fmt::Write for Buffer {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.used + s.len();
        self.bytes.get_mut(self.used..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.used = end;
        Ok(())
    }
}
