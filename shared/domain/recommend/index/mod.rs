//! The model as one little-endian file: what it looks like, how it is opened, and what is read from it.
//!
//! What must stay true: whatever the bytes are, nothing here panics or reads past their end; a file that was cut,
//! changed or written by another version is refused by name.
mod layout;
mod model;
#[cfg(test)]
mod tests;

pub use layout::{IndexError, Layout, VERSION, seal};
pub(super) use layout::{SECTIONS, Section, assemble};
pub(super) use model::{Entry, ITEM_WORDS, Posting, SESSION_MAX};
pub use model::{Item, Model};
