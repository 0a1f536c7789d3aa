//! `GET` and `PUT /api/v1/checkouts/{checkoutId}`: the checkout as it is now, and changes to it.
//!
//! After a completion was cut off, `GET` tells the truth: `placed` with the order's id, or not.
use offpeak_domain::ids::CheckoutId;
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

pub(super) const ROOM: Room<App> = Room::http("checkout", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(change(app, call)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeCheckoutBody {
    email: Option<String>,
    shipping_address: Option<AddressView>,
    billing_address: Option<AddressView>,
    shipping_method: Option<String>,
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    let token = call.cart_token()?;
    let id = CheckoutId::parse(call.param("checkoutId"))?;
    let checkout = checkouts::get_checkout(&app.shop, id, token).await?;
    Ok(Reply::ok(&CheckoutView::from(&checkout))?.etag(&checkout.etag.0))
}

async fn change(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: ChangeCheckoutBody = call.json()?;
    let token = call.cart_token()?;
    let id = CheckoutId::parse(call.param("checkoutId"))?;
    let choices = ChoicesBody {
        email: body.email,
        shipping_address: body.shipping_address,
        billing_address: body.billing_address,
        shipping_method: body.shipping_method,
    };
    let checkout = checkouts::change_checkout(&app.shop, id, token, &choices.parse()?).await?;
    Ok(Reply::ok(&CheckoutView::from(&checkout))?.etag(&checkout.etag.0))
}
