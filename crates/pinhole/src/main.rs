//! The `pinhole` command; everything is in the library, so that tests can drive it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pinhole::main()
}
