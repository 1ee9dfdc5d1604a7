//! Catches an author's panic with its message and place, so that it ends one event and not the process.

use crate::{Error, Result};
use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
};

thread_local! {
    /// The number of guards around this thread's code. Outside of all guards, a panic goes to the previous hook.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The last caught panic of this thread, recorded by the hook.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `f`; a panic becomes an [`Error`] whose detail has the message and the place.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(install_hook);
    DEPTH.set(DEPTH.get() + 1);
    // The plugin is `Sync`: data that a panic leaves half changed is behind the plugin's own locks, which are then
    // poisoned.
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let result = result.map_err(|payload| {
        let text = LAST_PANIC.take().unwrap_or_else(|| "panicked".to_owned());
        // Dropping a payload may panic too. That second payload is leaked, because dropping it could go on without end.
        if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
        Error::internal(text)
    });
    DEPTH.set(DEPTH.get() - 1);
    result
}

/// Records a panic of a guarded thread in `LAST_PANIC`, and passes any other panic to the previous hook.
fn install_hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 {
            before(info);
        } else {
            LAST_PANIC.set(Some(describe(info)));
        }
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    match info.location() {
        Some(place) => format!("panicked at {place}: {message}"),
        None => format!("panicked: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        let error = catch(|| panic!("boom {}", 7)).map(|(): ()| ()).expect_err("it panics");
        assert!(error.detail().starts_with("panicked at "), "{error}");
        assert!(error.detail().contains("guard.rs:"), "{error}");
        assert!(error.detail().ends_with(": boom 7"), "{error}");
        assert_eq!(catch(|| 5).expect("it does not panic"), 5);
    }
}
