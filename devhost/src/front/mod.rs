//! The public port: routes, keys, admin pages and the way to the handler.
mod constraint;
pub mod template;
