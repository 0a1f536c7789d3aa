//! Children that never outlive us, however we end.
//!
//! A child is started by way of this program itself: the second start asks the system to kill it when
//! its parent dies, lets the signals through again that the parent waits for, and becomes the program
//! that was meant. So no code has to run between fork and exec, which only `unsafe` could do.
use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use lexopt::Parser;
use nix::{
    sys::signal::{SigSet, Signal},
    unistd::getppid,
};

use crate::failure::Failure;

/// Name of the hidden command: `COMMAND PARENT PROGRAM ARGUMENTS…`.
pub(crate) const COMMAND: &str = "as-child-of";

/// A command that runs `program` as our child for life. Spawn it from a thread that lives as long as
/// the process: Linux counts the death of the spawning thread as the death of the parent.
pub(crate) fn command(program: &Path) -> Result<Command, Failure> {
    let mut command = Command::new(ourselves().map_err(Failure::file("find", Path::new("this program")))?);
    command.arg(COMMAND).arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

/// The running program, also when the file has been built anew since.
fn ourselves() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { env::current_exe() }
}

/// Signals that end a command politely.
pub(crate) fn stopping() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
}

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let wanted = || Failure::usage(format!("{COMMAND} is for this program's own use"));
    let mut words = args.raw_args().map_err(|_| wanted())?;
    let parent: i32 = words.next().and_then(|it| it.to_str()?.parse().ok()).ok_or_else(wanted)?;
    let program: OsString = words.next().ok_or_else(wanted)?;
    die_with_parent()?;
    if getppid().as_raw() != parent {
        return Err(Failure::new("the parent is gone"));
    }
    stopping().thread_unblock().map_err(system)?;
    let cause = Command::new(&program).args(words).exec();
    Err(Failure::new(format!("cannot start {}: {cause}", program.display())))
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> Result<(), Failure> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(system)
}

/// Elsewhere a parent that is killed leaves its children to be ended by hand.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> Result<(), Failure> {
    Ok(())
}

pub(crate) fn system(cause: nix::Error) -> Failure {
    Failure::new(format!("the system refuses: {cause}"))
}
