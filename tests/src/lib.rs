//! What the end-to-end tests share: the parts under test (`build`), a bot in the test's own process (`rig`), the product as
//! its users have it, the executable (`bot`), everything going wrong at once (`chaos`), the parsers under any
//! bytes (`fuzz`), and the programs that are run beside it: an HTTP client (`http`), Prometheus and the like (`tool`), a browser
//! (`browser`), IRC servers and people on them (`irc`).

pub mod bot;
pub mod browser;
pub mod build;
pub mod chaos;
pub mod fake_shim;
pub mod fuzz;
pub mod http;
pub mod irc;
pub mod rig;
pub mod shell;
pub mod tool;
