//! `GET /api/v1/carts/{cartId}`: the cart as it is priced now, with what stands between it and an order.
use offpeak_domain::ids::CartId;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::carts,
    views::cart::CartView,
};

pub(super) const ROOM: Room<App> =
    Room::http("cart", include_str!("function.json")).get(|app, call| answering(handle(app, call)));

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let token = call.cart_token()?;
    let id = CartId::parse(call.param("cartId"))?;
    let cart = carts::get_cart(&app.shop, id, token).await?;
    Ok(Reply::ok(&CartView::new(&cart, token))?.etag(&cart.etag.0))
}
