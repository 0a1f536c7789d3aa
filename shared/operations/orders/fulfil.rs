//! Sending goods: fulfilments with their parcels.
use offpeak_domain::order::{Fulfil, FulfilmentState, Parcel};

use super::{Asked, OrderError, Render, change};
use crate::shared::operations::{Shop, kept_answers::Completed};

#[derive(Clone, Debug)]
pub struct FulfilOrder {
    pub asked: Asked,
    pub fulfil: Fulfil,
}

#[derive(Clone, Debug)]
pub struct ChangeFulfilment {
    pub asked: Asked,
    pub fulfilment: String,
    pub state: FulfilmentState,
    /// `None`: as they are.
    pub parcels: Option<Vec<Parcel>>,
}

/// Puts open units into a fulfilment. Once it has left, stock is shipped and what is due is captured.
///
/// # Errors
/// [`OrderError`].
pub async fn fulfil_order(shop: &Shop, command: &FulfilOrder, render: Render) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| order.fulfil(&command.fulfil, by).map(Some)).await
}

/// Moves a fulfilment on, or gives it other parcels. A repeat changes nothing.
///
/// # Errors
/// [`OrderError`].
pub async fn change_fulfilment(
    shop: &Shop,
    command: &ChangeFulfilment,
    render: Render,
) -> Result<Completed, OrderError> {
    change(shop, &command.asked, render, |order, by| {
        order.change_fulfilment(&command.fulfilment, command.state, command.parcels.clone(), by)
    })
    .await
}
