//! One integration crate: one link, one list of modules. `cargo xtask test` runs it and names the
//! programs that some of these tests start.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do; the lint sees only what stands inside a #[test]"
)]
mod bus_contract;
mod cache_contract;
mod carts;
mod catalogue;
mod check;
mod clicks;
mod conformance;
mod cosmos;
mod documents_contract;
mod given;
mod host;
mod hub_contract;
mod mail_contract;
mod objects_contract;
mod package;
mod payments;
mod promotions;
#[cfg(feature = "proof")]
mod proof;
mod rate_limits;
mod recommend;
mod saga;
mod settings;
mod shop;
mod stock;
mod tidy;
mod verify;
