//! Goods that come back: asked for by the buyer, decided by staff.
use offpeak_domain::order::{ChangeReturn, LineAsk};

use super::{Asked, OrderError, Render, change};
use crate::shared::operations::{Shop, kept_answers::Completed};

#[derive(Clone, Debug)]
pub struct RequestReturn {
    pub asked: Asked,
    pub lines: Vec<LineAsk>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ChangeOrderReturn {
    pub asked: Asked,
    pub return_id: String,
    pub change: ChangeReturn,
}

/// Opens a return; what staff opens is approved at once.
///
/// # Errors
/// [`OrderError`].
pub async fn request_return(shop: &Shop, command: &RequestReturn, render: Render) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| {
        order.request_return(&command.lines, command.reason.clone(), by).map(Some)
    })
    .await
}

/// Moves a return on. Counts are set, so a repeat changes nothing.
///
/// # Errors
/// [`OrderError`].
pub async fn change_return(shop: &Shop, command: &ChangeOrderReturn, render: Render) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| order.change_return(&command.return_id, &command.change, by)).await
}
