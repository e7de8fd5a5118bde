//! The binary `quorate`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
