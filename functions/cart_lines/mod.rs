//! `PUT` and `DELETE /api/v1/carts/{cartId}/lines/{sku}`: set the units of one SKU, or remove its line.
//!
//! Setting is absolute, so a repeat changes nothing. `If-Match` is honoured; without it the change is
//! applied to whatever the cart is by then.
use offpeak_domain::{ids::CartId, quantity::Quantity, sku::Sku};
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::carts,
    views::{cart::CartView, cart_lines::quantity},
};

pub(super) const ROOM: Room<App> = Room::http("cart_lines", include_str!("function.json"))
    .put(|app, call| answering(set(app, call)))
    .delete(|app, call| answering(remove(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CartLineBody {
    /// Any JSON number is read; which ones are quantities is decided below.
    quantity: serde_json::Number,
}

async fn set(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: CartLineBody = call.json()?;
    change(app, &call, quantity(&body.quantity)?).await
}

async fn remove(app: &App, call: Call) -> Result<Reply, Problem> {
    change(app, &call, None).await
}

async fn change(app: &App, call: &Call, quantity: Option<Quantity>) -> Result<Reply, Problem> {
    let token = call.cart_token()?;
    let id = CartId::parse(call.param("cartId"))?;
    let sku = Sku::parse(call.param("sku"))?;
    let cart = carts::set_cart_line(&app.shop, id, token, &sku, quantity, call.if_match()?).await?;
    Ok(Reply::ok(&CartView::new(&cart, token))?.etag(&cart.etag.0))
}
