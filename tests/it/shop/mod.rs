//! The shop from outside: `cargo xtask run` as a customer of it sees it, over HTTP, through the dev host,
//! with the staged handler.
//!
//! What must stay true: a test names no port and no folder of its own, and leaves no process behind,
//! also when it fails or is killed. Nothing passes because time went by: a pause
//! only spaces kills and questions, and what is waited for is something that happens.
pub(crate) mod buyer;
mod buying;
mod cached;
pub(crate) mod client;
mod crowd;
mod elsewhere;
mod faults;
mod orders;
mod packaged;
mod platform;
mod processes;
mod recommending;
mod replayed;
mod tour;
pub(crate) mod verifying;
mod webhooks;

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use self::{
    client::Client,
    processes::{Process, signal},
};
use crate::given;

/// Longest wait for anything that is bound to happen; generous, because all tests share two cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// What stands on the shelves when the shop opens.
pub(crate) enum Goods {
    None,
    /// The catalogue that comes with the shop.
    Seed,
    /// A file, loaded as `run --catalogue` does.
    File(PathBuf),
}

pub(crate) struct Options {
    /// Handlers for HTTP, as on the Flex plan; `None` is one handler for everything.
    pub(crate) flex: Option<u8>,
    pub(crate) goods: Goods,
    /// More words for `xtask run`.
    pub(crate) arguments: Vec<String>,
    /// The staged app, if it is not the one that all tests run.
    pub(crate) stage: Option<PathBuf>,
    /// Settings, as environment variables.
    pub(crate) settings: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Options {
        Options { flex: None, goods: Goods::Seed, arguments: Vec::new(), stage: None, settings: Vec::new() }
    }
}

/// A running shop. Dropping it ends every process of it, by force.
pub(crate) struct Shop {
    pub(crate) url: String,
    pub(crate) client: Client,
    data: Arc<TempDir>,
    command: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    /// Starts a shop in a new folder and waits until it serves.
    pub(crate) fn start(options: &Options) -> Shop {
        Shop::open(Arc::new(tempfile::tempdir().unwrap()), options)
    }

    /// Starts a shop on what another one left.
    pub(crate) fn open(data: Arc<TempDir>, options: &Options) -> Shop {
        let mut command = run(data.path(), options);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, ready) = mpsc::channel();
        follow(child.stdout.take().unwrap(), &log, Some(sender));
        follow(child.stderr.take().unwrap(), &log, None);
        let mut shop = Shop { url: String::new(), client: Client::new(""), data, command: child, log };
        shop.url = ready.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the shop does not open"));
        shop.client = Client::new(&shop.url);
        shop
    }

    /// The folder that holds all this shop knows; give it to [`Shop::open`] after the shop is gone.
    pub(crate) fn data(&self) -> Arc<TempDir> {
        Arc::clone(&self.data)
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Every line printed so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Processes of this run by the name of their program, oldest first.
    pub(crate) fn processes(&self, name: &str) -> Vec<Process> {
        let mut found = processes::of(self.data.path());
        found.retain(|it| it.name == name);
        found
    }

    /// The handlers' process ids, oldest first.
    pub(crate) fn handlers(&self) -> Vec<i32> {
        self.processes("handler").iter().map(|it| it.pid).collect()
    }

    /// The dev host's process id.
    pub(crate) fn devhost(&self) -> i32 {
        wait_for("a dev host", || self.processes("devhost").first().map(|it| it.pid))
    }

    /// Kills every handler there is, as the Functions host does; answers who died.
    pub(crate) fn kill_handlers(&self) -> Vec<i32> {
        let handlers = wait_for("a handler", || Some(self.handlers()).filter(|it| !it.is_empty()));
        for pid in &handlers {
            signal(*pid, "KILL");
        }
        handlers
    }

    pub(crate) fn kill_devhost(&self) -> i32 {
        let pid = self.devhost();
        signal(pid, "KILL");
        pid
    }

    /// Asks the whole shop to end, as Ctrl-C does, and waits; then no process of it may be there.
    pub(crate) fn stop(mut self, by: &str) -> ExitStatus {
        signal(i32::try_from(self.command.id()).unwrap(), by);
        let status = wait_for("the end", || self.command.try_wait().unwrap());
        // One that was killed inside a call to its disk ends after that.
        wait_for("the end of all its processes", || processes::of(self.data.path()).is_empty().then_some(()));
        status
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.command.kill().ok();
        self.command.wait().ok();
        let until = Instant::now() + PATIENCE;
        let mut left = processes::of(self.data.path());
        while !left.is_empty() && Instant::now() < until {
            thread::sleep(LOOK);
            left = processes::of(self.data.path());
        }
        for process in &left {
            signal(process.pid, "KILL");
        }
        if thread::panicking() {
            eprintln!("--- what the shop printed\n{}\n---", self.log().join("\n"));
        } else {
            assert!(left.is_empty(), "outlived the command that started them: {left:?}");
        }
    }
}

/// `xtask run` on programs built already, in this folder; it dies with the thread that spawns it.
pub(crate) fn run(data: &Path, options: &Options) -> Command {
    let xtask = given::path(given::XTASK);
    let mut command = Command::new(&xtask);
    command.arg("as-child-of").arg(std::process::id().to_string()).arg(xtask);
    command.args(["run", "--staged", "--port", "0", "--data"]).arg(data);
    if let Some(processes) = options.flex {
        command.args(["--flex", &processes.to_string()]);
    }
    match &options.goods {
        Goods::None => {
            command.arg("--no-seed");
        }
        Goods::Seed => {}
        Goods::File(path) => {
            command.args(["--no-seed", "--catalogue"]).arg(path);
        }
    }
    command.args(&options.arguments).envs(options.settings.iter().map(|(name, value)| (name, value)));
    let stage = options.stage.clone().unwrap_or_else(|| given::path(given::STAGE));
    command.env(given::STAGE, stage).env(given::DEVHOST, given::path(given::DEVHOST));
    command.stdin(Stdio::null());
    command
}

/// Keeps what a process prints, and reports the address of the line that says it serves.
fn follow(output: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>, ready: Option<mpsc::Sender<String>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let (Some(ready), Some(address)) = (&ready, line.strip_prefix("ready ")) {
                ready.send(address.split_whitespace().next().unwrap_or_default().to_owned()).ok();
            }
            log.lock().unwrap().push(line);
        }
    });
}

/// Looks until there is something to see.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(LOOK);
    }
}
