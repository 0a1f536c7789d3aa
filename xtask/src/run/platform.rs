//! Plays the platform around the Functions host: starts the dev host, starts it again when it gives up
//! or is killed, and ends everything when asked to.
//!
//! What must stay true: a dev host that comes back has the same port and the same data, within a second;
//! nothing that was started here is left when this process is gone, whatever ended it.
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Options, Programs};
use crate::{child, failure::Failure, workspace};

/// The host's exit code after the third crash of its handler (the conformance case D38).
const GAVE_UP: i32 = 86;
/// How long a dev host may take to end its children before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How often a child is looked at; also the longest that its death goes unseen.
const LOOK: Duration = Duration::from_millis(20);
/// Between death and new start: callers are promised a second in all.
const PAUSE: Duration = Duration::from_millis(100);
/// The same after a start that never came to serve, so that a broken start does not spin.
const LONG_PAUSE: Duration = Duration::from_millis(800);
/// What the dev host prints when it serves, before its address.
const READY: &str = "ready ";

/// Requests to stop, from the moment this exists; until then Ctrl-C ends us as it ends any program.
pub(super) struct Signals {
    stop: Receiver<()>,
}

impl Signals {
    /// Call once, on the main thread, before any other thread is there.
    pub(super) fn take() -> Result<Signals, Failure> {
        let set = child::stopping();
        set.thread_block().map_err(child::system)?;
        let (sender, stop) = mpsc::channel();
        thread::spawn(move || while set.wait().is_ok() && sender.send(()).is_ok() {});
        Ok(Signals { stop })
    }

    /// Waits this long; true if a request came.
    fn within(&self, time: Duration) -> bool {
        match self.stop.recv_timeout(time) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(time);
                false
            }
        }
    }
}

/// Runs a child to its end; a request to stop ends it.
pub(super) fn wait(command: &mut Command, what: &str, signals: &Signals) -> Result<(), Failure> {
    let start = |err| Failure::new(format!("{what}: {err}"));
    let mut child = command.spawn().map_err(start)?;
    loop {
        if signals.within(LOOK) {
            end(&mut child, signals);
            return Err(Failure::new(format!("{what}: stopped")));
        }
        match child.try_wait().map_err(start)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(Failure::with_code(format!("{what}: {status}"), status.code().unwrap_or(1))),
            None => {}
        }
    }
}

/// Asks a child to end, waits, then makes it end. A second request to stop shortens the wait.
fn end(child: &mut Child, signals: &Signals) {
    let until = Instant::now() + GRACE;
    if let Ok(pid) = i32::try_from(child.id()) {
        // A child that is gone already is what we want.
        kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
    }
    while Instant::now() < until && !signals.within(LOOK) {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
    }
    child.kill().ok();
    child.wait().ok();
}

/// How one life of the dev host ended.
#[derive(Debug, PartialEq)]
enum End {
    /// We were asked to stop, and it has.
    Asked,
    /// It is to be started again, as the platform would.
    Again,
    /// It ended for good, with this code.
    Over(i32),
}

impl End {
    /// `served`: has any life of it come to serve? Before that, giving up means that the handler cannot
    /// start at all, and trying for ever would only hide why.
    fn of(status: ExitStatus, served: bool) -> End {
        match status.code() {
            None => End::Again,
            Some(GAVE_UP) if served => End::Again,
            Some(code) => End::Over(code),
        }
    }
}

pub(super) struct Platform {
    devhost: PathBuf,
    arguments: Vec<OsString>,
    /// 0 until the dev host has chosen one.
    port: u16,
    /// Has any life of the dev host come to serve?
    served: bool,
}

impl Platform {
    pub(super) fn new(programs: &Programs, data: &std::path::Path, options: &Options) -> Platform {
        let mut arguments: Vec<OsString> = vec!["--stage".into(), programs.stage.clone().into()];
        arguments.extend(["--data".into(), data.into()]);
        arguments.extend(["--entities".into(), workspace::root().join("infra/bicep/entities.json").into()]);
        let settings = workspace::root().join("local.settings.json");
        // Tests run what was staged for them, whatever this machine's own settings are.
        if !options.staged && settings.is_file() {
            arguments.extend(["--settings".into(), settings.into()]);
        }
        arguments.extend(options.passed.iter().cloned());
        Platform { devhost: programs.devhost.clone(), arguments, port: options.port, served: false }
    }

    /// Until it is asked to stop, or the dev host ends for a reason that a new start does not cure.
    pub(super) fn run(mut self, signals: &Signals) -> Result<(), Failure> {
        loop {
            let mut life = Life { child: self.start()?, serves: false };
            match self.live(&mut life, signals)? {
                End::Asked | End::Over(0) => return Ok(()),
                End::Over(GAVE_UP) => {
                    return Err(Failure::with_code("the handler cannot start; the lines above say why", GAVE_UP));
                }
                End::Over(code) => return Err(Failure::with_code(format!("the dev host ended with {code}"), code)),
                End::Again => eprintln!("xtask: the dev host is gone; starting it again"),
            }
            if signals.within(if life.serves { PAUSE } else { LONG_PAUSE }) {
                return Ok(());
            }
        }
    }

    fn start(&self) -> Result<Child, Failure> {
        let mut command = child::command(&self.devhost)?;
        command.args(&self.arguments).arg("--port").arg(self.port.to_string());
        command.current_dir(workspace::root()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map_err(Failure::file("start", &self.devhost))
    }

    fn live(&mut self, life: &mut Life, signals: &Signals) -> Result<End, Failure> {
        let (sender, ready) = mpsc::channel();
        if let Some(stdout) = life.child.stdout.take() {
            thread::spawn(move || pass_on(stdout, &sender));
        }
        loop {
            if signals.within(LOOK) {
                end(&mut life.child, signals);
                return Ok(End::Asked);
            }
            if let Ok(address) = ready.try_recv() {
                life.serves = true;
                self.serves(&address);
            }
            if let Some(status) = life.child.try_wait().map_err(Failure::file("watch", &self.devhost))? {
                return Ok(End::of(status, self.served));
            }
        }
    }

    /// The line that callers wait for is printed once; later starts are told in other words.
    fn serves(&mut self, address: &str) {
        self.port = port_of(address).unwrap_or(self.port);
        if self.served {
            eprintln!("xtask: the shop serves again at {address}");
        } else {
            say(&format!("{READY}{address}"));
        }
        self.served = true;
    }
}

/// One dev host from start to end.
struct Life {
    child: Child,
    /// Has it said that it is ready?
    serves: bool,
}

/// Every line of the dev host's goes to our stdout, but for the one that says that it serves.
fn pass_on(stdout: ChildStdout, ready: &Sender<String>) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        match line.strip_prefix(READY).filter(|it| it.starts_with("http://")) {
            Some(address) => {
                // Nobody waits any more: then the platform is ending.
                drop(ready.send(address.trim().to_owned()));
            }
            None => say(&line),
        }
    }
}

/// A line on stdout, at once; a reader that has gone away does not stop the shop.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    drop(writeln!(stdout, "{line}").and_then(|()| stdout.flush()));
}

fn port_of(address: &str) -> Option<u16> {
    address.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn the_platform_starts_again_what_it_should() {
        let (killed, gave_up, refused, done) = (9, GAVE_UP << 8, 2 << 8, 0);
        let end = |raw, served| End::of(ExitStatus::from_raw(raw), served);
        assert_eq!(end(killed, false), End::Again);
        assert_eq!(end(killed, true), End::Again);
        assert_eq!(end(gave_up, true), End::Again);
        assert_eq!(end(gave_up, false), End::Over(GAVE_UP));
        assert_eq!(end(refused, true), End::Over(2));
        assert_eq!(end(done, true), End::Over(0));
    }

    #[test]
    fn the_port_is_read_from_the_address() {
        assert_eq!(port_of("http://127.0.0.1:7071"), Some(7071));
        assert_eq!(port_of("http://127.0.0.1:7071/"), Some(7071));
        assert_eq!(port_of("http://127.0.0.1"), None);
    }
}
