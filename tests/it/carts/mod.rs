//! Carts and checkouts over HTTP, against the real rooms and operations in this process: no line is lost, no
//! price comes from a client, nothing is charged that was not agreed to, and a key is answered once.
mod abuse;
mod keys;
mod limits;
mod lines;
mod merging;
mod money;
mod notes;
mod settings;
mod taxes;
pub(crate) mod till;
