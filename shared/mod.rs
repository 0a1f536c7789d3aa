//! What the rooms stand on. Who may know whom is held by `tests/it/tidy.rs`:
//! operations -> documents -> ports -> domain; adapters -> ports, config; app names the adapters.
pub mod adapters;
pub mod app;
pub mod check_cli;
pub mod config;
pub mod documents;
pub mod host;
pub mod import_cli;
pub mod operations;
pub mod ports;
pub mod telemetry;
pub mod views;
