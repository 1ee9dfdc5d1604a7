//! The harness of the end-to-end tests: the parts under test (`build`), a bot in the test's own process (`rig`), the
//! executable as users have it (`bot`), a person who talks all the time (`talk`), the storm (`chaos`), what a hostile plugin tries (`acts`), the parsers with any bytes (`fuzz`), and the programs that
//! run beside it: an HTTP client (`http`), Prometheus and others (`tool`), a browser (`browser`), a terminal in which the test
//! types (`terminal`), IRC servers and people on them (`irc`).

pub mod acts;
pub mod books;
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
pub mod talk;
pub mod terminal;
pub mod tool;
