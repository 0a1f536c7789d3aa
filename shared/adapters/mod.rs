//! One folder per technology. Only `app.rs` names them.
pub mod keyset;
pub mod memory;
pub mod service_bus;
pub mod sqlite;
