//! Giving money back, and nothing else.
use offpeak_domain::order::RefundAsk;

use super::{Asked, OrderError, Render, change};
use crate::shared::operations::{Shop, kept_answers::Completed};

#[derive(Clone, Debug)]
pub struct RefundOrder {
    pub asked: Asked,
    pub refund: RefundAsk,
    pub reason: Option<String>,
}

/// Asks the provider to give money back. One that the provider refuses leaves the balance as it was.
///
/// # Errors
/// [`OrderError`].
pub async fn refund_order(shop: &Shop, command: &RefundOrder, render: Render) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| {
        order.refund(&command.refund, command.reason.clone(), by).map(Some)
    })
    .await
}
