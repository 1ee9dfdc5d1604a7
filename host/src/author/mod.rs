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
