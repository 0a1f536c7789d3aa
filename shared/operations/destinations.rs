//! Queues, topics and hubs of the shop, by name, as the broker, `function.json` and the infrastructure know them.

/// Queue: looks after checkouts and orders that a crash or a wait has left.
pub const CHECKOUTS: &str = "checkouts";
/// Queue: mails to send.
pub const MAIL: &str = "mail";
/// Queue: work for staff that is longer than a call.
pub const JOBS: &str = "jobs";
/// Topic: what happens to orders, for the shop's own systems.
pub const ORDERS: &str = "orders";
/// Hub: what shoppers do.
pub const CLICKS: &str = "clicks";
