//! `POST /api/v1/carts`: a new, empty cart and the token that opens it; with a shopper's bearer token, the one
//! open cart of the account, on every device the same.
//!
//! For guests not idempotent by design: a cart nobody uses expires within hours.
use offpeak_domain::money::Currency;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::{carts, merge_cart::customer_cart},
    views::cart::CartView,
};

pub(super) const ROOM: Room<App> =
    Room::http("create_cart", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

/// An absent body is an empty one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateCartBody {
    currency: Option<String>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: CreateCartBody = if call.body.is_empty() { CreateCartBody::default() } else { call.json()? };
    let currency = body.currency.as_deref().map(Currency::parse).transpose();
    let currency = currency.map_err(|err| Problem::invalid("currency", err.to_string()))?;
    if call.bearer().is_some() {
        let customer = app.customer(&call).await?;
        let own = customer_cart(&app.shop, &customer, currency).await?;
        let view = CartView::new(&own.cart, &own.token);
        let reply =
            if own.new { Reply::created(&format!("/api/v1/carts/{}", view.id), &view)? } else { Reply::ok(&view)? };
        return Ok(reply.etag(&own.cart.etag.0));
    }
    let (cart, token) = carts::create_cart(&app.shop, currency).await?;
    let location = format!("/api/v1/carts/{}", cart.cart.id);
    Ok(Reply::created(&location, &CartView::new(&cart, &token))?.etag(&cart.etag.0))
}
