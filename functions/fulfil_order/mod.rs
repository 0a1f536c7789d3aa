//! `POST /api/v1/manage/orders/{orderId}/fulfilments`: units leave, or are packed, in parcels.
use offpeak_domain::order::Fulfil;
use serde::Deserialize;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::orders::{Caller, FulfilOrder, fulfil_order},
    views::{
        completed::answer,
        order_changes::{LineBody, asked_once, line_asks, location, parcels, render_for_staff},
        order_parts::ParcelView,
    },
};

pub(super) const ROOM: Room<App> =
    Room::http("fulfil_order", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FulfilOrderBody {
    /// Everything that is open, unless named.
    #[serde(default)]
    lines: Option<Vec<LineBody>>,
    #[serde(default)]
    parcels: Vec<ParcelView>,
    /// Wherever the units are promised, unless named.
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Packed,
    #[default]
    Shipped,
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let subject = app.staff(&call, "write_orders").await?.subject;
    let asked = asked_once(&call, Caller::Staff { subject })?;
    let body: FulfilOrderBody = call.json()?;
    let fulfil = Fulfil {
        lines: body.lines.map(|it| line_asks(&it)).transpose()?,
        parcels: parcels(body.parcels)?,
        location: location(body.location.as_deref())?,
        shipped: matches!(body.status, Status::Shipped),
    };
    Ok(answer(fulfil_order(&app.shop, &FulfilOrder { asked, fulfil }, render_for_staff).await?))
}
