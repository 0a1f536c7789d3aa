//! Topic `orders`: what was bought goes to the hub with the clicks, so that what is bought together is learnt from orders
//! and from nobody's browser. Messages may come twice: an order is one session, and what it says twice counts once.
use offpeak_domain::ids::OrderId;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::shared::{
    app::App,
    host::room::{Message, Room, TriggerError, working},
    operations::clicks::collect::collect_order,
};

pub(super) const ROOM: Room<App> =
    Room::message("ingest_purchases", include_str!("function.json"), |app, message| working(handle(app, message)));

/// An event of an order; only a placed one says when that was.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IngestPurchasesMessage {
    order_id: String,
    #[serde(default, with = "time::serde::rfc3339::option")]
    placed_at: Option<OffsetDateTime>,
    #[serde(default)]
    lines: Vec<IngestPurchasesLine>,
}

#[derive(Deserialize)]
struct IngestPurchasesLine {
    sku: String,
}

async fn handle(app: &App, message: Message) -> Result<(), TriggerError> {
    let body: IngestPurchasesMessage = serde_json::from_slice(&message.body)?;
    let Some(placed) = body.placed_at else { return Ok(()) };
    let (order, placed) = (OrderId::parse(&body.order_id)?, u32::try_from(placed.unix_timestamp())?);
    let skus = body.lines.into_iter().map(|it| it.sku).collect();
    Ok(collect_order(&app.shop.ports, order, placed, skus).await?)
}
