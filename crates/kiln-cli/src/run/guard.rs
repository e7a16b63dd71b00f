//! A fence around the libraries that read other people's files.
//!
//! The one idea: a file that is damaged in a way that a library did not expect is still a damaged file, and not a bug of
//! this program that its user should see the inside of. A panic inside of the fence becomes an error, in silence; all
//! others stay as loud as they are.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Is this thread inside of the fence?
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or a word about the damage that it met. After a panic the reader is not to be used again.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !INSIDE.get() {
                usual(panic);
            }
        }));
    });
    INSIDE.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(false);
    result.map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("the file is damaged ({})", words.unwrap_or("its reader gave up"))
    })
}
