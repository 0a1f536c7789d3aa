//! `shared::host` on a socket: what a caller meets before and after a room.
mod hostile;
pub(crate) mod probe;
mod routes;
pub(crate) mod victim;
