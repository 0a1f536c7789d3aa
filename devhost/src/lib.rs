//! Offpeak's dev host: plays the Azure Functions host, its brokers and a sandbox payment provider on one machine.
//!
//! It reads the same `host.json`, `local.settings.json` and staged `function.json` files as the real host, unchanged, and
//! speaks the same wire format. What it does not play it refuses by name; it never does half of a binding.
#![expect(
    clippy::disallowed_methods,
    reason = "the dev host is not the shop: it plays the platform, which has a clock and tasks"
)]

pub mod binding;
pub mod brokers;
pub mod clock;
pub mod database;
pub mod ending;
pub mod front;
pub mod functions;
pub mod handlers;
pub mod host_json;
pub mod identity;
pub mod invocation;
pub mod invoke;
pub mod local;
pub mod mailbox;
pub mod options;
pub mod provider;
pub mod reply;
pub mod rest;
pub mod settings;
pub mod staged;
pub mod start;
pub mod status;
pub mod time_span;
pub mod timers;
pub mod wire;
