//! The dev host's program: command line in, exit code out.
//!
//! Exit codes: 0 after a signal, 86 when the handler crashed too often, 2 for a wrong command line, 1 for any other fault.
use std::{process::ExitCode, time::Duration};

use devhost::{
    ending::{Ending, GAVE_UP_EXIT_CODE},
    handlers::launch::{EXEC_HANDLER, exec_handler},
    options::{Options, USAGE},
    start,
};
use tracing_subscriber::EnvFilter;

/// How long work on other threads may take to end.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|it| it == EXEC_HANDLER) {
        return ExitCode::from(exec_handler(arguments.skip(1)));
    }
    let options = match Options::read(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            eprintln!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let filter = EnvFilter::try_from_env("OFFPEAK_DEVHOST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    match run(&options) {
        Ok(Ending::Asked) => ExitCode::SUCCESS,
        Ok(Ending::GaveUp) => ExitCode::from(GAVE_UP_EXIT_CODE),
        Err(fault) => {
            eprintln!("{}", chain(fault.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Ending, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(start::run(options));
    runtime.shutdown_timeout(SHUTDOWN_PATIENCE);
    Ok(outcome?)
}

/// An error with its causes.
fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
