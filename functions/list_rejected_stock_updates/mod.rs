//! `GET /api/v1/manage/rejected-stock-updates`: messages of the queue `stock` that could not be applied, and why, for
//! staff. Kept for 30 days; correct one and send it again with a new version.
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::rejected_updates::{REJECTED_MAX, RejectedUpdate, rejected_updates},
};

pub(super) const ROOM: Room<App> = Room::http("list_rejected_stock_updates", include_str!("function.json"))
    .get(|app, call| answering(list(app, call)));

const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRejectedStockUpdatesQuery {
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListRejectedStockUpdatesView {
    items: Vec<RejectedStockUpdateView>,
    next_after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RejectedStockUpdateView {
    reason: String,
    /// As it was sent.
    body: String,
    message_id: Option<String>,
    deliveries: u32,
    at: String,
}

async fn list(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_stock").await?;
    let query: ListRejectedStockUpdatesQuery = call.query()?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=REJECTED_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("a whole number from 1 to {REJECTED_MAX}")));
    }
    let (items, next_after) = rejected_updates(&app.shop, limit, query.after).await?;
    Reply::ok(&ListRejectedStockUpdatesView { items: items.into_iter().map(view).collect(), next_after })
}

fn view(it: RejectedUpdate) -> RejectedStockUpdateView {
    let RejectedUpdate { message_id, deliveries, reason, body, at } = it;
    RejectedStockUpdateView { reason, body, message_id, deliveries, at: at.format(&Rfc3339).unwrap_or_default() }
}
