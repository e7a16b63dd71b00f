//! Functions of the host program, as they are described to an engine.
//!
//! Owns the public type alone; what is called stands in `run::host`. Knows no formula.

#![forbid(unsafe_code)]

use crate::run::host::HostFunction;
use crate::types::Value;
use std::fmt;

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
    pub(super) function: HostFunction,
}

impl Host {
    /// `function` takes up to six scalars, and returns a scalar or, if it can fail, a `Result<scalar, String>`.
    pub fn new<Args, F: crate::run::host::HostBody<Args>>(name: &str, function: F) -> Host {
        let (params, result, fallible) = (F::PARAMS.to_vec(), F::RESULT, F::FALLIBLE);
        let body = Box::new(move |args: &[Value]| function.apply(args));
        Host { function: HostFunction::new(name.to_owned(), params, result, false, fallible, body) }
    }

    /// Declares that the result depends on the arguments alone and that nothing else happens: calls may be merged, moved
    /// and left out.
    #[must_use]
    pub fn pure(self) -> Host {
        Host { function: self.function.into_pure() }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<&str> = self.function.params().iter().map(|t| t.name()).collect();
        write!(f, "Host({}({}) -> {})", self.function.name(), types.join(", "), self.function.result())
    }
}
