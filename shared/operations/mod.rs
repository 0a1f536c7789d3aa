//! One use case per file: load, decide in the domain, store through ports. The only layer that orders I/O.
pub mod stock;
