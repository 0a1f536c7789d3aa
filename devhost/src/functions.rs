//! What a staged `function.json` says, once it is known to be playable.
//!
//! `%NAME%` is already replaced by the setting of that name here, so no reader looks at settings again.
use std::time::Duration;

/// One function of the staged app.
#[derive(Debug, Clone)]
pub struct Function {
    /// The folder's name in its exact case; the path of a JSON invocation.
    pub name: String,
    /// The name of the trigger's binding.
    pub binding: String,
    pub trigger: Trigger,
    /// By `disabled` in the file or by `AzureWebJobs.<name>.Disabled`: loaded, listed and never run.
    pub disabled: bool,
    /// The function's own retry policy, or the one of host.json; honoured for timers and hubs.
    pub retry: Option<RetryPolicy>,
}

/// What starts a function.
#[derive(Debug, Clone)]
pub enum Trigger {
    Http(HttpTrigger),
    Timer(TimerTrigger),
    ServiceBus(ServiceBusTrigger),
    EventHub(EventHubTrigger),
}

/// An `httpTrigger` with its one `http` output.
#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// The template without the route prefix; the function's name where the file has none.
    pub route: String,
    /// Upper-case methods; empty means every method.
    pub methods: Vec<String>,
    pub auth: AuthLevel,
}

/// Which keys open an HTTP function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthLevel {
    Anonymous,
    Function,
    Admin,
}

/// A `timerTrigger`.
#[derive(Debug, Clone)]
pub struct TimerTrigger {
    /// Five or six NCrontab fields, already checked to parse.
    pub schedule: String,
    pub run_on_startup: bool,
    /// Keep Last and Next across restarts; switched off by itself for schedules more frequent than once a minute.
    pub use_monitor: bool,
}

/// A `serviceBusTrigger`.
#[derive(Debug, Clone)]
pub struct ServiceBusTrigger {
    pub entity: Entity,
    /// `isSessionsEnabled`.
    pub sessions: bool,
    pub cardinality: Cardinality,
    pub data_type: DataType,
}

/// Where a Service Bus function receives from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entity {
    Queue(String),
    Subscription { topic: String, name: String },
}

/// An `eventHubTrigger`.
#[derive(Debug, Clone)]
pub struct EventHubTrigger {
    pub hub: String,
    /// `$Default` where the file has none.
    pub consumer_group: String,
    pub cardinality: Cardinality,
    pub data_type: DataType,
}

/// One message per invocation, or a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    One,
    Many,
}

/// How a message body reaches the handler. A batch without `dataType` is refused when the function is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    Text,
    Binary,
}

/// A function-level retry policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// `None` means for ever (−1 in the file).
    pub max_retry_count: Option<u32>,
    pub delay: RetryDelay,
}

/// How long to wait between two tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryDelay {
    Fixed(Duration),
    Exponential { minimum: Duration, maximum: Duration },
}
