//! Cancelling an order, whole or in part, by its buyer or by staff.
use offpeak_domain::order::{Cancel, LineAsk};

use super::{Asked, OrderError, Render, change};
use crate::shared::operations::{Shop, kept_answers::Completed};

#[derive(Clone, Debug)]
pub struct CancelOrder {
    pub asked: Asked,
    /// `None`: everything that is open.
    pub lines: Option<Vec<LineAsk>>,
    pub reason: Option<String>,
    pub keep_money: bool,
}

/// Cancels open units: they are given back to stock, and their money goes back or is never taken.
///
/// # Errors
/// [`OrderError`].
pub async fn cancel_order(shop: &Shop, command: &CancelOrder, render: Render) -> Result<Completed, OrderError> {
    let ask = Cancel { lines: command.lines.clone(), reason: command.reason.clone(), keep_money: command.keep_money };
    change(shop, &command.asked, render, |order, by| order.cancel(&ask, by).map(Some)).await
}
