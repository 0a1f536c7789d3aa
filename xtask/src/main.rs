//! The project's commands. `cargo xtask` without arguments lists them.
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("test") => test(),
        _ => {
            eprintln!("usage: cargo xtask test");
            ExitCode::from(2)
        }
    }
}

fn test() -> ExitCode {
    let green = Command::new("cargo").args(["test", "--workspace"]).status().is_ok_and(|it| it.success());
    if green { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
