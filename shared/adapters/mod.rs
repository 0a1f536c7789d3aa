//! One folder per technology. Only `app.rs` names them.
pub mod cosmos;
pub mod http_client;
pub mod inventory_http;
pub mod keyset;
pub mod mail_files;
pub mod mail_message;
pub mod memory;
pub mod oidc;
pub mod sandbox_payments;
pub mod service_bus;
pub mod smtp;
pub mod sqlite;
pub mod stripe;
pub mod system;
pub mod tax_http;
pub mod webhook_signature;
