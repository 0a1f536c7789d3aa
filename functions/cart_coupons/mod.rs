//! `PUT` and `DELETE /api/v1/carts/{cartId}/coupons/{code}`: put a code on a cart, or take it off.
//!
//! Case does not count. A code that cannot be used is a 422 with a `reason`, and the cart is as it was; one that
//! only does nothing yet goes on and stands among `skippedPromotions`. A repeat changes nothing.
use offpeak_domain::{ids::CartId, promotion::CouponCode};

use crate::shared::{
    app::App,
    host::{
        admission::Traffic,
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::promotions::coupons,
    views::cart::CartView,
};

pub(super) const ROOM: Room<App> = Room::http("cart_coupons", include_str!("function.json"))
    .counted_as(Traffic::Guess)
    .put(|app, call| answering(add(app, call)))
    .delete(|app, call| answering(remove(app, call)));

async fn add(app: &App, call: Call) -> Result<Reply, Problem> {
    call.no_members()?;
    let token = call.cart_token()?;
    let (id, code) = parse(&call)?;
    let cart = Box::pin(coupons::add_code(&app.shop, id, token, &code, call.if_match()?)).await?;
    Ok(Reply::ok(&CartView::new(&cart, token))?.etag(&cart.etag.0))
}

async fn remove(app: &App, call: Call) -> Result<Reply, Problem> {
    let token = call.cart_token()?;
    let (id, code) = parse(&call)?;
    let cart = Box::pin(coupons::remove_code(&app.shop, id, token, &code, call.if_match()?)).await?;
    Ok(Reply::ok(&CartView::new(&cart, token))?.etag(&cart.etag.0))
}

fn parse(call: &Call) -> Result<(CartId, CouponCode), Problem> {
    let id = CartId::parse(call.param("cartId"))?;
    let code = CouponCode::parse(call.param("code")).map_err(|err| Problem::invalid("code", err.to_string()))?;
    Ok((id, code))
}
