//! Catches an author's panic with its message and place, so that it ends one event and not the process.

use crate::{Error, Result};
use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
};

thread_local! {
    /// How many guards this thread is in: outside of all, a panic goes to the previous hook.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The last caught panic of this thread, told by the hook.
    static TOLD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `f`; a panic becomes an [`Error`] whose detail has the message and the place.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(install_hook);
    DEPTH.set(DEPTH.get() + 1);
    // The plugin is `Sync`: whatever a panic leaves half done is behind its own locks, which are poisoned then.
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let result = result.map_err(|payload| {
        let told = TOLD.take().unwrap_or_else(|| "panicked".to_owned());
        // Dropping a payload may panic as well; what that throws is left alone, or it would never end.
        if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(another);
        }
        Error::internal(told)
    });
    DEPTH.set(DEPTH.get() - 1);
    result
}

/// Tells a guarded thread's panic to `TOLD`, and any other to the hook there was before.
fn install_hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if DEPTH.get() == 0 {
            before(info);
        } else {
            TOLD.set(Some(tell(info)));
        }
    }));
}

fn tell(info: &PanicHookInfo<'_>) -> String {
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
