//! Notes that staff leave on an order, for each other.
use super::{Asked, OrderError, Render, change};
use crate::shared::operations::{Shop, kept_answers::Completed};

#[derive(Clone, Debug)]
pub struct NoteOrder {
    pub asked: Asked,
    /// In their words; never shown to the buyer.
    pub text: String,
}

/// Adds a note to the order's timeline, whatever state the order is in.
///
/// # Errors
/// [`OrderError`].
pub async fn note_order(shop: &Shop, command: &NoteOrder, render: Render) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| Ok(Some(order.note(command.text.clone(), by)))).await
}
