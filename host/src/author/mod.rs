//! For people who write plugins: `rosey new` makes the crate of one (`new`), `rosey dev` builds it whenever it is saved and
//! reloads it in a bot on this terminal (`dev`), `rosey test-plugin` tries a library (`trial`). `package` knows the crate, `watch` its files.

mod dev;
mod new;
mod package;
mod trial;
mod watch;

pub use dev::Workshop;
pub use new::create;
pub use trial::{Verdict, try_library};

use std::{ffi::OsString, process::Command};

/// Cargo: the one that started this process, or the one in the path.
#[expect(clippy::disallowed_methods, reason = "the compiler needs the author's environment, and is waited for")]
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}
