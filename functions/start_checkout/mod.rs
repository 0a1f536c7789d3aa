//! `POST /api/v1/checkouts`: begin the checkout of a cart, or change it.
//!
//! There is one checkout per cart, named after it: a repeat answers 200 with the same id.
use http::StatusCode;
use offpeak_domain::ids::CartId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::checkouts,
    views::checkout::{AddressView, CheckoutView, ChoicesBody},
};

pub(super) const ROOM: Room<App> =
    Room::http("start_checkout", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartCheckoutBody {
    cart_id: String,
    email: String,
    /// Only whoever collects needs none.
    shipping_address: Option<AddressView>,
    billing_address: Option<AddressView>,
    shipping_method: String,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: StartCheckoutBody = call.json()?;
    let token = call.cart_token()?;
    let cart = CartId::parse(&body.cart_id)?;
    let choices = ChoicesBody {
        email: Some(body.email),
        shipping_address: body.shipping_address,
        billing_address: body.billing_address,
        shipping_method: Some(body.shipping_method),
    };
    let (new, checkout) = checkouts::start_checkout(&app.shop, cart, token, &choices.parse()?).await?;
    let view = CheckoutView::from(&checkout);
    let location = format!("/api/v1/checkouts/{}", view.id);
    let reply = if new { Reply::created(&location, &view)? } else { Reply::json(StatusCode::OK, &view)? };
    Ok(reply.etag(&checkout.etag.0))
}
