//! The handler's processes: one for everything, or as Flex Consumption runs them.
//!
//! Callers wait here while a process starts or restarts; a wait is not a delivery. Crashes of all processes count together,
//! and the last one ends the dev host. Processes are ended by SIGKILL, as the host ends them.
mod console;
mod crashes;
pub mod launch;
mod slot;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

pub use self::slot::Lease;
use self::{
    crashes::CrashStack,
    launch::Launch,
    slot::{Outcome, Phase, Slot},
};
use crate::{
    ending::{EndSignal, Ending},
    functions::{Function, Trigger},
};

/// The host waits for a handler this many times the initialisation time-out before it gives up.
const WAIT_FACTOR: u32 = 4;
/// How often the handler's file is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Handler ports lie below the range from which the system takes ports for outgoing connections, so that a restart never
/// finds its port taken by a connection.
const PORT_LOW: u16 = 18_000;
const PORT_COUNT: u16 = 14_000;
const PORT_TRIES_MAX: u32 = 200;

/// All processes of the handler.
#[derive(Debug)]
pub struct Handlers {
    launch: Launch,
    initialization_timeout: Duration,
    groups: Vec<Group>,
    group_of: HashMap<String, usize>,
    crashes: Mutex<CrashStack>,
    end: EndSignal,
}

/// Processes that serve the same functions.
#[derive(Debug)]
struct Group {
    slots: Vec<Arc<Slot>>,
    next: AtomicUsize,
    changed: watch::Sender<()>,
}

/// The handler was not up within the host's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handler was not up in time")]
pub struct NotUp;

/// No port could be found.
#[derive(Debug, thiserror::Error)]
#[error("no free port was found for the handler")]
pub struct NoPort;

impl Handlers {
    /// Chooses ports and groups; starts nothing. `flex` is the number of processes for the HTTP group.
    ///
    /// # Errors
    /// No free port was found.
    pub fn new(
        launch: Launch,
        functions: &[Function],
        timing: (Duration, Option<u16>),
        flex: Option<(usize, &Path)>,
        end: EndSignal,
    ) -> Result<Self, NoPort> {
        let (initialization_timeout, pinned) = timing;
        let mut groups = Vec::new();
        let mut group_of = HashMap::new();
        match flex {
            None => {
                groups.push(Group::new(&["handler".to_owned()], None, pinned)?);
                group_of.extend(functions.iter().map(|it| (it.name.clone(), 0)));
            }
            Some((count, scratch)) => {
                let is_http = |it: &&Function| matches!(it.trigger, Trigger::Http(_));
                if functions.iter().any(|it| is_http(&it)) {
                    let names: Vec<String> = (1..=count).map(|it| format!("http-{it}")).collect();
                    groups.push(Group::new(&names, Some(scratch), None)?);
                }
                for function in functions.iter().filter(|it| !it.disabled) {
                    if is_http(&function) {
                        group_of.insert(function.name.clone(), 0);
                    } else {
                        group_of.insert(function.name.clone(), groups.len());
                        groups.push(Group::new(std::slice::from_ref(&function.name), Some(scratch), None)?);
                    }
                }
            }
        }
        let crashes = Mutex::new(CrashStack::default());
        Ok(Self { launch, initialization_timeout, groups, group_of, crashes, end })
    }

    /// Runs all processes until the dev host ends; then they are gone.
    pub async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        for slot in self.groups.iter().flat_map(|it| &it.slots) {
            tasks.spawn(Arc::clone(&self).supervise(Arc::clone(slot)));
        }
        let watcher = tokio::spawn(Arc::clone(&self).watch_program());
        while let Some(ended) = tasks.join_next().await {
            if let Err(fault) = ended {
                tracing::error!("The supervision of a handler failed: {fault}");
                self.end.end(Ending::GaveUp);
            }
        }
        watcher.abort();
    }

    /// Waits until every process answers; `false` when the dev host ends before.
    pub async fn all_up(&self) -> bool {
        for group in &self.groups {
            tokio::select! {
                _ = self.end.given() => return false,
                () = group.all_up() => {}
            }
        }
        true
    }

    /// A process that serves `function`, as soon as there is one.
    ///
    /// # Errors
    /// None was up within four times the initialisation time-out; the dev host then ends, as the host does.
    pub async fn lease(&self, function: &str) -> Result<Lease, NotUp> {
        let group = self.group(function).ok_or(NotUp)?;
        if let Some(lease) = group.pick() {
            return Ok(lease);
        }
        tokio::select! {
            _ = self.end.given() => Err(NotUp),
            found = timeout(self.initialization_timeout * WAIT_FACTOR, group.up()) => found.map_err(|_| {
                tracing::error!("The handler was not up in time. Shutting down Functions Host");
                self.end.end(Ending::GaveUp);
                NotUp
            }),
        }
    }

    /// Whether a process that serves `function` is up.
    #[must_use]
    pub fn is_up(&self, function: &str) -> bool {
        self.group(function).is_some_and(|it| it.slots.iter().any(|slot| slot.phase() != Phase::Starting))
    }

    /// Returns once a process that serves `function` is up.
    pub async fn up(&self, function: &str) {
        match self.group(function) {
            Some(group) => drop(group.up().await),
            None => std::future::pending().await,
        }
    }

    fn group(&self, function: &str) -> Option<&Group> {
        self.groups.get(*self.group_of.get(function)?)
    }

    async fn supervise(self: Arc<Self>, slot: Arc<Slot>) {
        loop {
            match slot.run(&self.launch, self.initialization_timeout, &self.end).await {
                Outcome::Ended => return,
                Outcome::Uncounted => tracing::info!("Handler {} is started again.", slot.name),
                Outcome::Silent => {
                    tracing::error!(
                        "Handler {} ended with exit code 0; the host does not notice, and calls will fail.",
                        slot.name
                    );
                    if slot.stay_silent(&self.end).await {
                        return;
                    }
                }
                Outcome::Crashed(_) if self.end.is_given() => return,
                Outcome::Crashed(reason) => {
                    tracing::error!("Handler {} failed: {reason}", slot.name);
                    let mut crashes = self.crashes.lock().unwrap_or_else(PoisonError::into_inner);
                    if !crashes.may_restart_after(Instant::now()) {
                        tracing::error!("Exceeded http worker restart retry count. Shutting down Functions Host");
                        self.end.end(Ending::GaveUp);
                        return;
                    }
                }
            }
        }
    }

    /// Starts the processes again when the handler's file has changed and then stayed the same for one look.
    async fn watch_program(self: Arc<Self>) {
        let mut running = self.program_stamp();
        let mut seen = running;
        loop {
            sleep(WATCH_INTERVAL).await;
            let now = self.program_stamp();
            if now.is_some() && now != running && now == seen {
                tracing::info!("The handler's file has changed.");
                running = now;
                for slot in self.groups.iter().flat_map(|it| &it.slots) {
                    slot.restart_process();
                }
            }
            seen = now;
        }
    }

    fn program_stamp(&self) -> Option<(SystemTime, u64)> {
        let metadata = std::fs::metadata(self.launch.program()).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

impl Group {
    fn new(names: &[String], scratch: Option<&Path>, pinned: Option<u16>) -> Result<Self, NoPort> {
        let changed = watch::Sender::new(());
        let mut slots = Vec::new();
        for name in names {
            let port = match pinned {
                Some(port) => port,
                None => free_port().ok_or(NoPort)?,
            };
            let folder = scratch.map(|it| it.join(name));
            slots.push(Arc::new(Slot::new(name.clone(), port, folder, changed.clone())));
        }
        Ok(Self { slots, next: AtomicUsize::new(0), changed })
    }

    /// The next ready process in turn. One that ended with exit code 0 is given out only when no other is coming.
    fn pick(&self) -> Option<Lease> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..self.slots.len()).map(|it| &self.slots[start.wrapping_add(it) % self.slots.len()]);
        let ready = in_turn().find(|it| it.phase() == Phase::Ready);
        let silent = || in_turn().all(|it| it.phase() == Phase::Silent).then(|| in_turn().next()).flatten();
        ready.or_else(silent).map(Slot::lease)
    }

    async fn up(&self) -> Lease {
        self.until(|| self.pick()).await
    }

    async fn all_up(&self) {
        self.until(|| self.slots.iter().all(|it| it.phase() != Phase::Starting).then_some(())).await;
    }

    async fn until<T>(&self, mut check: impl FnMut() -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = check() {
                return found;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A port of 127.0.0.1 that nobody holds now.
fn free_port() -> Option<u16> {
    (0..PORT_TRIES_MAX).find_map(|_| {
        let (high, low) = (uuid::Uuid::new_v4().as_bytes()[0], uuid::Uuid::new_v4().as_bytes()[0]);
        let port = PORT_LOW + u16::from_be_bytes([high, low]) % PORT_COUNT;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
    })
}
