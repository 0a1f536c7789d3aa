//! The seam between what starts a function (timers, queues, hubs, the admin page) and what calls the handler.
//!
//! A trigger hands over plain values; encoding them for the wire, the retry policy and the judgement of the answer lie behind
//! [`Invoke`]. What must stay true: a trigger never sees the handler's process, and a wait for a restarting handler is not a
//! delivery.
use async_trait::async_trait;
use time::OffsetDateTime;

/// What a trigger passes to one invocation: one value for its binding and the facts around it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The name of the trigger's binding in `function.json`; the key under `Data`.
    pub binding: String,
    pub value: TriggerValue,
    /// Binding data in the order in which it is written; empty facts are left out by the caller.
    pub metadata: Vec<(String, Meta)>,
    /// Whether the properties of a JSON object in a text value overwrite metadata of the same name: true for a single
    /// message delivered as text, false for binary values and batches.
    pub promote: bool,
}

/// The value of the trigger binding before it is encoded for the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerValue {
    /// A message body as text; arrives encoded twice.
    Text(String),
    /// A message body as bytes; arrives as plain base64.
    Binary(Vec<u8>),
    /// The bodies of a batch as text; arrive as the text of a JSON array.
    Texts(Vec<String>),
    /// The bodies of a batch as bytes; arrive as the text of a JSON array of base64 strings.
    Binaries(Vec<Vec<u8>>),
    /// An object, such as a timer's state; arrives as it is.
    Object(serde_json::Value),
}

/// One fact of the metadata before it is encoded for the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum Meta {
    Text(String),
    Number(i64),
    /// A .NET `DateTime`: seconds, no zone on the wire.
    Moment(OffsetDateTime),
    /// A .NET `DateTimeOffset`: seconds with `+00:00` on the wire.
    MomentOffset(OffsetDateTime),
    /// A dictionary or object; arrives as it is.
    Object(serde_json::Value),
    /// An array; arrives as the text of a JSON array. Dates inside are written by the caller, with their fraction.
    Array(serde_json::Value),
}

/// Calls the handler. One implementation serves all triggers.
#[async_trait]
pub trait Invoke: Send + Sync {
    /// Runs `function` once, or as often as its own retry policy says (timers and hubs only), and answers how the last try
    /// ended. Waits while the handler starts or restarts; bounded by the host's own limits and the function time-out.
    async fn invoke(&self, function: &str, payload: Payload) -> Result<(), InvokeFailure>;

    /// Whether the process that serves `function` is up. Listeners take no message while it is not.
    fn is_running(&self, function: &str) -> bool;

    /// Returns once the process that serves `function` is up; may take for ever, so wait for it beside a stop signal.
    async fn running(&self, function: &str);
}

/// Why an invocation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum InvokeFailure {
    /// The handler was not up in time and saw nothing: for a message this was a wait, not a delivery.
    #[error("the handler was not running and function `{function}` was not called")]
    NotCalled { function: String },
    /// The handler was called, or its connection was lost, and the invocation failed: for a message this was a delivery.
    #[error("function `{function}` failed: {reason}")]
    Failed { function: String, reason: String },
}
