//! Holding an order back, and letting it go: nothing of it is fulfilled meanwhile.
use super::{Asked, OrderError, Render, change};
use crate::shared::operations::{Shop, kept_answers::Completed};

#[derive(Clone, Debug)]
pub struct HoldOrder {
    pub asked: Asked,
    /// Why; `None` lets it go.
    pub reason: Option<String>,
}

/// Sets whether the order is held back. A repeat changes nothing.
///
/// # Errors
/// [`OrderError`].
pub async fn hold_order(shop: &Shop, command: &HoldOrder, render: Render) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| order.set_hold(command.reason.clone(), by)).await
}
