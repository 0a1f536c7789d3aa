//! The proof: the shop's own rooms against a store, a broker and a provider that misbehave as the real ones
//! may, on many machines that are killed, in virtual time. A seed decides everything that happens.
//!
//! Two kinds of cases. *Drawn*: many buyers, everything goes wrong now and then, for as many seeds as one
//! likes ([`prove`]). *Enumerated*: one scenario, and one thing that happens at its effect number n, for
//! every n. After either, everything comes to rest and the invariants must hold.
#![expect(clippy::print_stdout, reason = "what a run of many seeds came to is worth a line each")]

mod backlog;
mod baskets;
mod broker;
mod buyer;
mod chance;
mod changing;
mod enumerate;
mod faults;
mod golden;
mod last_units;
mod local;
mod machine;
mod messages;
mod outages;
mod paying;
mod planted;
mod prove;
mod provider;
mod rest;
mod rooms;
mod store;
mod time;
mod world;
