//! The catalogue from a price list to an answer: loading, listing, showing, offering.
mod command;
mod durable;
mod import;
mod offers;
mod rooms;
mod shared;
pub(crate) mod stand;
