//! A shim that misbehaves, in the way that its file name says.

use rosey_tests::fake_shim;
use std::process::ExitCode;

fn main() -> ExitCode {
    fake_shim::play()
}
