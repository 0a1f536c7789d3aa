//! One place for a handler process: its port, its life, its restarts.
//!
//! The port is chosen once and kept over restarts. Whoever calls the handler asks for a [`Lease`] first, which names the
//! process it was given for, so a late complaint about a dead process does not kill its successor.
use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    console::{self, LastLines},
    launch::Launch,
};
use crate::ending::EndSignal;

/// How often the host asks a starting handler whether it is there.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// How long a killed process may take to be gone.
const KILL_WAIT: Duration = Duration::from_secs(1);
/// How long a broken connection waits for the end of its process.
const NEWS_WAIT: Duration = Duration::from_millis(250);
/// How long the last lines of a dead process are waited for.
const LAST_LINES_WAIT: Duration = Duration::from_millis(200);
/// The exit code that asks for a restart which does not count.
const RESTART_EXIT_CODE: i32 = 200;

/// A place for one handler process.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) port: u16,
    /// Its own scratch folder, emptied before each start.
    folder: Option<PathBuf>,
    state: Mutex<State>,
    /// The generation that is to be killed.
    restart: watch::Sender<u64>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    generation: u64,
}

/// Where the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    /// It ended with exit code 0: the host believes that it is up, and every call fails.
    Silent,
}

/// How one process ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The dev host ends.
    Ended,
    /// Killed on purpose, or asked for by exit code 200.
    Uncounted,
    /// Exit code 0.
    Silent,
    /// A crash, a start that failed, or no answer in time.
    Crashed(String),
}

/// The right to call one process.
#[derive(Debug, Clone)]
pub struct Lease {
    slot: Arc<Slot>,
    generation: u64,
}

impl Lease {
    /// The port of the process on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.slot.port
    }

    /// Waits a moment for the news that this process is gone. A connection breaks before the end of its process is noticed;
    /// whoever came back at once would be sent to the dying process again, and a message would lose a delivery by it.
    pub async fn await_news(&self) {
        let mut changes = self.slot.changed.subscribe();
        let gone = async {
            loop {
                let state = self.slot.state();
                if state.generation != self.generation
                    || state.phase != Phase::Ready
                    || changes.changed().await.is_err()
                {
                    return;
                }
            }
        };
        if timeout(NEWS_WAIT, gone).await.is_err() {
            tracing::debug!("A connection to handler {} broke, but its process lives.", self.slot.name);
        }
    }

    /// Kills this process and starts a new one, as the host does after a function time-out. Does not count as a crash.
    pub fn restart_process(&self) {
        self.slot.retire(self.generation);
    }
}

impl Slot {
    pub(super) fn new(name: String, port: u16, folder: Option<PathBuf>, changed: watch::Sender<()>) -> Self {
        let state = Mutex::new(State { phase: Phase::Starting, generation: 0 });
        Self { name, port, folder, state, restart: watch::Sender::new(0), changed }
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        Lease { slot: Arc::clone(self), generation: self.state().generation }
    }

    pub(super) fn restart_process(&self) {
        self.retire(self.state().generation);
    }

    /// Gives out no more leases on the process of `generation` from this moment on, and asks for its end.
    fn retire(&self, generation: u64) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.generation != generation {
                return;
            }
            state.phase = Phase::Starting;
        }
        self.restart.send_replace(generation);
    }

    /// Returns once the process of `generation` is to be killed.
    async fn restart_asked(&self, generation: u64) {
        if self.restart.subscribe().wait_for(|it| *it == generation).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.phase = phase;
            state.generation += u64::from(phase == Phase::Starting);
        }
        self.changed.send_replace(());
    }

    /// Waits after an exit with code 0 until someone asks for a new process; `true` when the dev host ends instead.
    pub(super) async fn stay_silent(&self, end: &EndSignal) -> bool {
        self.enter(Phase::Silent);
        tokio::select! {
            _ = end.given() => true,
            () = self.restart_asked(self.state().generation) => false,
        }
    }

    /// Starts one process and stays with it until it is gone.
    pub(super) async fn run(&self, launch: &Launch, initialization_timeout: Duration, end: &EndSignal) -> Outcome {
        self.enter(Phase::Starting);
        let generation = self.state().generation;
        let started = Instant::now();
        if let Err(fault) = self.empty_folder() {
            return Outcome::Crashed(format!("its scratch folder could not be emptied: {fault}"));
        }
        let mut child = match launch.command(self.port, self.folder.as_deref()).spawn() {
            Ok(child) => child,
            Err(fault) => return Outcome::Crashed(format!("it could not be started: {fault}")),
        };
        let last_lines = LastLines::default();
        let stdout = child.stdout.take().map(console::follow_stdout);
        let stderr = child.stderr.take().map(|it| console::follow_stderr(it, last_lines.clone()));
        let outcome = tokio::select! {
            status = child.wait() => Err(status),
            _ = end.given() => Ok(Outcome::Ended),
            () = self.restart_asked(generation) => Ok(Outcome::Uncounted),
            answered = timeout(initialization_timeout, first_answer(self.port)) => match answered {
                Err(_) => Ok(Outcome::Crashed("Initializing HttpWorker timed out.".to_owned())),
                Ok(()) => {
                    tracing::info!("Handler {} answers on port {} after {} ms.", self.name, self.port, started.elapsed().as_millis());
                    self.enter(Phase::Ready);
                    tokio::select! {
                        status = child.wait() => Err(status),
                        _ = end.given() => Ok(Outcome::Ended),
                        () = self.restart_asked(generation) => Ok(Outcome::Uncounted),
                    }
                }
            },
        };
        self.enter(Phase::Starting);
        match outcome {
            Ok(outcome) => {
                kill(&mut child).await;
                outcome
            }
            Err(status) => {
                for reader in [stdout, stderr].into_iter().flatten() {
                    if timeout(LAST_LINES_WAIT, reader).await.is_err() {
                        tracing::debug!("Something still holds the console of handler {}.", self.name);
                    }
                }
                exit_outcome(status, &last_lines)
            }
        }
    }

    fn empty_folder(&self) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)
    }
}

fn exit_outcome(status: std::io::Result<ExitStatus>, last_lines: &LastLines) -> Outcome {
    match status {
        Ok(status) if status.code() == Some(0) => Outcome::Silent,
        Ok(status) if status.code() == Some(RESTART_EXIT_CODE) => Outcome::Uncounted,
        Ok(status) => {
            let lines = last_lines.text();
            let lines = if lines.is_empty() { String::new() } else { format!(": {lines}") };
            Outcome::Crashed(format!("{status}{lines}"))
        }
        Err(fault) => Outcome::Crashed(fault.to_string()),
    }
}

/// Polls `GET /` until anything answers: any status means ready, a refused connection means wait.
async fn first_answer(port: u16) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).await {
            let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
            let mut first = [0_u8; 1];
            // A fault of the socket means wait. Anything else, even a connection closed without an answer, means ready.
            if stream.write_all(request.as_bytes()).await.is_ok() && stream.read(&mut first).await.is_ok() {
                return;
            }
        }
        sleep(POLL_INTERVAL).await;
    }
}

async fn kill(child: &mut Child) {
    if child.start_kill().is_ok() && timeout(KILL_WAIT, child.wait()).await.is_err() {
        tracing::warn!("A killed handler is still there after {} ms.", KILL_WAIT.as_millis());
    }
}
