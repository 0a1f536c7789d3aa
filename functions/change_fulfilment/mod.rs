//! `PUT /api/v1/manage/orders/{orderId}/fulfilments/{fulfilmentId}`: a fulfilment moves on: shipped, delivered,
//! lost, or taken apart before it left. Names the version of the order it was decided on.
use offpeak_domain::order::FulfilmentState;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, ChangeFulfilment, change_fulfilment},
    views::{
        completed::answer,
        order_changes::{asked_for_version, parcels, render_for_staff},
        order_parts::ParcelView,
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("change_fulfilment", include_str!("function.json")).put(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeFulfilmentBody {
    /// `packed`, `shipped`, `delivered`, `lost` or `cancelled`.
    status: String,
    /// As they are, unless named.
    #[serde(default)]
    parcels: Option<Vec<ParcelView>>,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_for_version(&call, Caller::Staff { subject })?;
    let body: ChangeFulfilmentBody = call.json()?;
    let state = FulfilmentState::parse(&body.status)
        .ok_or_else(|| Problem::invalid("status", "packed, shipped, delivered, lost or cancelled"))?;
    let parcels = body.parcels.map(parcels).transpose()?;
    let fulfilment = call.param("fulfilmentId").to_owned();
    let command = ChangeFulfilment { asked, fulfilment, state, parcels };
    Ok(answer(change_fulfilment(&app.shop, &command, render_for_staff).await?))
}
