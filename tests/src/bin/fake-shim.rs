//! A shim that does not do what one should. What it does is the name by which it is called.

use rosey_tests::fake_shim;
use std::process::ExitCode;

fn main() -> ExitCode {
    fake_shim::play()
}
