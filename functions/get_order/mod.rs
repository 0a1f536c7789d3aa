//! `GET /api/v1/orders/{orderId}`: a placed order, for whoever has its cart's token. And
//! `POST /api/v1/orders/lookup`: the same for a guest who knows number and e-mail address, for a while after it
//! was placed. The host cannot tell the two paths apart, so they share a room.
use offpeak_domain::{code::Code, ids::OrderId};
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        admission::Traffic,
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::{checkouts, find_order::find_order, orders},
    views::order::OrderView,
};

pub(super) const ROOM: Room<App> = Room::http("get_order", include_str!("function.json"))
    .counted_as(Traffic::Guess)
    .get(|app, call| answering(show(app, call)))
    .post(|app, call| answering(look_up(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupBody {
    number: String,
    email: String,
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    let token = call.cart_token()?;
    let id = OrderId::parse(call.param("orderId"))?;
    let order = checkouts::get_order(&app.shop, id, token).await?;
    let timeline = orders::timeline(&app.shop, id).await?;
    Ok(Reply::ok(&OrderView::from(&order.value).with_timeline(&timeline))?.etag(&order.etag.0))
}

async fn look_up(app: &App, call: Call) -> Result<Reply, Problem> {
    if call.param("orderId") != "lookup" {
        return Err(Problem::new(Code::MethodNotAllowed, "Read an order with GET.").allow("GET, HEAD".to_owned()));
    }
    let body: LookupBody = call.json()?;
    let (order, timeline) = find_order(&app.shop, &body.number, &body.email).await?;
    Reply::ok(&OrderView::from(&order.value).with_timeline(&timeline))
}
