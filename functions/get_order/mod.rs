//! `GET /api/v1/orders/{orderId}`: a placed order, for whoever has its cart's token.
use offpeak_domain::ids::OrderId;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::checkouts,
    views::order::OrderView,
};

pub(super) const ROOM: Room<App> =
    Room::http("get_order", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let token = call.cart_token()?;
    let id = OrderId::parse(call.param("orderId"))?;
    let order = checkouts::get_order(&app.shop, id, token).await?;
    Ok(Reply::ok(&OrderView::from(&order.value))?.etag(&order.etag.0))
}
