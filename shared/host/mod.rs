//! The Azure Functions host's side of the conversation: requests handed over whole, and invocations
//! as JSON envelopes. The one place that knows warp. Source of the wire format: the Functions host's
//! custom handler protocol, as listed case by case in `tests/it/conformance/`.
pub mod admission;
mod answer;
mod binding;
mod body;
pub mod call;
mod envelope;
pub mod limits;
pub mod problem;
pub mod reply;
pub mod room;
pub mod server;
mod socket;
pub mod table;
