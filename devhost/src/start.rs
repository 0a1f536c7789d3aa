//! Puts the dev host together, says when it is ready, and ends it in order.
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use crate::{
    brokers::{Listeners, limits::Limits, message::BrokerError},
    clock::{Clock, ShiftedClock, SystemClock},
    ending::{EndSignal, Ending},
    front::{
        Admin, Front, Handover, Routes,
        keys::{Keys, KeysError},
        template::TemplateError,
    },
    functions::Function,
    handlers::{Handlers, NoPort, launch::Launch},
    host_json::{HostJson, HostJsonError},
    invocation::{Foundation, Invoker},
    invoke::Invoke,
    local::{Local, LocalError},
    options::Options,
    settings::{Settings, SettingsError},
    staged::{StageError, Staged},
    status::HostStatus,
    timers::{Timers, TimersError},
    wire::Wire,
};

/// How long the public port is tried while an earlier dev host still lets go of it.
const BIND_PATIENCE: Duration = Duration::from_secs(5);
const BIND_INTERVAL: Duration = Duration::from_millis(50);
/// The database of brokers and timers in the data folder.
pub const DATABASE_FILE: &str = "host.db";

/// The setting with which the sandbox provider's webhooks are signed.
const WEBHOOK_SECRET: &str = "OFFPEAK_SANDBOX_WEBHOOK_SECRET";
/// The function that hears them; a staged app without it is told nothing.
const WEBHOOK_FUNCTION: &str = "payment_webhook";

/// Why the dev host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    HostJson(#[from] HostJsonError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("{path} cannot be used")]
    Folder { path: String, source: std::io::Error },
    #[error("port {port} cannot be taken")]
    Port { port: u16, source: std::io::Error },
    #[error(
        "the dev host does not play everything that is staged:\n  {0}\n(with --faithful the other functions are served)"
    )]
    Unplayed(String),
    #[error(transparent)]
    Route(#[from] TemplateError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    NoPort(#[from] NoPort),
    #[error(transparent)]
    Timers(#[from] TimersError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Brokers(#[from] BrokerError),
    #[error("host.json: {0}")]
    Limits(String),
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
}

/// Everything that was read from files before anything runs.
struct Loaded {
    stage: PathBuf,
    data: PathBuf,
    settings: Settings,
    host: HostJson,
    staged: Staged,
}

/// Runs the dev host until it ends.
///
/// # Errors
/// Something that is needed for the start is wrong; nothing is left running.
pub async fn run(options: &Options) -> Result<Ending, StartError> {
    let end = EndSignal::default();
    end_on_signals(&end)?;
    let mut loaded = load(options)?;
    let (listener, address) = bind(options.port).await?;
    let url = format!("http://{address}");
    let data = loaded.data.display().to_string();
    for (name, value) in [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", &data), ("OFFPEAK_DEVHOST_URL", &url)] {
        loaded.settings.set_default(name, value);
    }
    // Shared by the sandbox provider and the shop, for as long as this process lives.
    loaded.settings.set_default(WEBHOOK_SECRET, &uuid::Uuid::new_v4().simple().to_string());
    let host = assemble(options, loaded, &url, &end).await?;
    let processes = tokio::spawn(Arc::clone(&host.front.handlers).run());
    let front = tokio::spawn(Arc::clone(&host.front).serve(listener, end.clone()));
    if host.front.handlers.all_up().await {
        host.timers.start().await?;
        if let Some(clock) = &host.shifted {
            clock.start();
        }
        announce(&url);
    }
    let ending = end.given().await;
    drop(host.listeners);
    for task in [processes, front] {
        if let Err(fault) = task.await {
            tracing::error!("A part of the dev host failed: {fault}");
        }
    }
    Ok(ending)
}

/// The parts that run.
struct Host {
    front: Arc<Front>,
    timers: Arc<Timers>,
    /// Held for its `Drop`, which ends the pumps.
    listeners: Listeners,
    /// The clock, if it was set to another moment.
    shifted: Option<Arc<ShiftedClock>>,
}

fn load(options: &Options) -> Result<Loaded, StartError> {
    let settings = Settings::read(options.settings.as_deref())?;
    let stage = folder(&options.stage, false)?;
    let data = folder(&options.data, true)?;
    let host = HostJson::read(&stage, &settings)?;
    let staged = Staged::read(&stage, &host, &settings)?;
    if !staged.unplayed.is_empty() && !options.faithful {
        let list: Vec<String> = staged.unplayed.iter().map(ToString::to_string).collect();
        return Err(StartError::Unplayed(list.join("\n  ")));
    }
    Ok(Loaded { stage, data, settings, host, staged })
}

async fn assemble(options: &Options, loaded: Loaded, url: &str, end: &EndSignal) -> Result<Host, StartError> {
    let Loaded { stage, data, settings, host, staged } = loaded;
    let status = Arc::new(HostStatus::new(host.bundle.clone()));
    for error in staged.errors.iter().chain(&staged.unplayed) {
        status.report(error.to_string());
    }
    let functions: Vec<Function> = staged.functions.iter().map(|it| it.function.clone()).collect();
    let shifted = options.clock.map(|it| Arc::new(ShiftedClock::showing(it)));
    let clock: Arc<dyn Clock> = match &shifted {
        Some(clock) => Arc::<ShiftedClock>::clone(clock),
        None => Arc::new(SystemClock),
    };
    let scratch = data.join("scratch");
    let webhook_secret = settings.get(WEBHOOK_SECRET).unwrap_or_default().to_owned();
    let launch = Launch { description: host.handler.clone(), stage, settings };
    let flex = options.flex.map(|count| (count, scratch.as_path()));
    let timing = (host.initialization_timeout, host.port);
    let handlers = Arc::new(Handlers::new(launch, &functions, timing, flex, end.clone())?);
    let wire = Wire::new(host.function_timeout);
    let foundation = Foundation {
        handlers: Arc::clone(&handlers),
        wire: wire.clone(),
        clock: Arc::clone(&clock),
        status: Arc::clone(&status),
        end: end.clone(),
    };
    let invoker: Arc<dyn Invoke> = Arc::new(Invoker::new(foundation, &functions, options.faithful));
    let mut local = Local::open(&data, &options.entities, url, Arc::clone(&clock)).await?;
    if functions.iter().any(|it| it.name == WEBHOOK_FUNCTION) {
        local.provider.tell_shop(&host.route_prefix, &webhook_secret);
    }
    let local = Arc::new(local);
    let limits = Limits::from_host_json(&json!({ "extensions": host.extensions })).map_err(StartError::Limits)?;
    let listeners = local.listen(&functions, &invoker, &limits)?;
    let timers = Timers::open(&data.join(DATABASE_FILE), &functions, Arc::clone(&invoker), clock, end.clone())?;
    let front = Front {
        routes: Routes::new(&host.route_prefix, &functions)?,
        keys: options.auth.then(|| Keys::open(&data, &functions)).transpose()?,
        admin: Admin { functions: staged.functions, status, timers: Arc::clone(&timers), local, invoker },
        handlers,
        wire,
        handover: if host.proxying && !options.forwarding { Handover::Proxying } else { Handover::Forwarding },
    };
    Ok(Host { front: Arc::new(front), timers, listeners, shifted })
}

fn folder(path: &Path, is_made: bool) -> Result<PathBuf, StartError> {
    let refused = |source| StartError::Folder { path: path.display().to_string(), source };
    if is_made {
        std::fs::create_dir_all(path).map_err(refused)?;
    }
    path.canonicalize().map_err(refused)
}

async fn bind(port: u16) -> Result<(TcpListener, SocketAddr), StartError> {
    let started = Instant::now();
    loop {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        match bound.and_then(|listener| listener.local_addr().map(|address| (listener, address))) {
            Ok(bound) => return Ok(bound),
            Err(_) if started.elapsed() < BIND_PATIENCE => sleep(BIND_INTERVAL).await,
            Err(source) => return Err(StartError::Port { port, source }),
        }
    }
}

fn end_on_signals(end: &EndSignal) -> Result<(), StartError> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).map_err(StartError::Signals)?;
        let end = end.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                end.end(Ending::Asked);
            }
        });
    }
    Ok(())
}

/// The one line on stdout that others wait for.
fn announce(url: &str) {
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "ready {url}").and_then(|()| stdout.flush()).is_err() {
        tracing::warn!("Nobody reads stdout; the dev host is ready at {url}.");
    }
}
