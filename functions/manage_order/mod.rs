//! `GET /api/v1/manage/orders/{orderId}`: an order with all that happened to it, for staff. `PUT` holds it
//! back or lets it go, and names the version that was decided on.
use offpeak_domain::ids::OrderId;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{self, Caller, HoldOrder, hold_order},
    views::{
        completed::answer,
        order_changes::{ManagedOrderView, asked_for_version, note, render_for_staff},
    },
};

pub(super) const ROOM: Room<App> = Room::http("manage_order", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(hold(app, call)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManageOrderBody {
    /// Why nothing may be fulfilled; null lets the order go.
    on_hold: Option<String>,
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_orders").await?;
    let id = OrderId::parse(call.param("orderId"))?;
    let order = orders::read_for_staff(&app.shop, id).await?;
    let timeline = orders::timeline(&app.shop, id).await?;
    let view = ManagedOrderView::new(&order.value, None).with_timeline(&timeline);
    Ok(Reply::ok(&view)?.etag(&order.etag.0))
}

async fn hold(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_for_version(&call, Caller::Staff { subject })?;
    let body: ManageOrderBody = call.json()?;
    let command = HoldOrder { asked, reason: note("onHold", body.on_hold)? };
    Ok(answer(hold_order(&app.shop, &command, render_for_staff).await?))
}
