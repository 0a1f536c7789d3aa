//! `GET /api/v1/manage/stock/{sku}/movements`: why the levels are what they are, newest first, for staff.
use offpeak_domain::{code::Code, sku::Sku, stock::Entry};
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
    operations::stock::{self, MOVEMENTS_MAX, MovementsError},
};

pub(super) const ROOM: Room<App> =
    Room::http("list_stock_movements", include_str!("function.json")).get(|app, call| answering(list(app, call)));

const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListStockMovementsQuery {
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListStockMovementsView {
    items: Vec<StockMovementView>,
    next_after: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockMovementView {
    number: i64,
    kind: &'static str,
    /// The order, person or system behind it.
    cause: String,
    at: String,
    changes: Vec<StockChangeView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockChangeView {
    location: String,
    on_hand: i64,
    allocated: i64,
}

async fn list(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_stock").await?;
    let sku = Sku::parse(call.param("sku"))?;
    let query: ListStockMovementsQuery = call.query()?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MOVEMENTS_MAX).contains(&limit) {
        return Err(Problem::invalid("limit", format!("a whole number from 1 to {MOVEMENTS_MAX}")));
    }
    let (entries, next_after) = stock::movements(&app.shop.ports, &sku, limit, query.after).await?;
    let items = entries.into_iter().map(view).collect();
    Reply::ok(&ListStockMovementsView { items, next_after })
}

fn view(entry: Entry) -> StockMovementView {
    let changes = entry.changes.into_iter().map(|it| StockChangeView {
        location: it.location.to_string(),
        on_hand: it.on_hand,
        allocated: it.allocated,
    });
    StockMovementView {
        number: entry.seq,
        kind: entry.kind.name(),
        cause: entry.cause,
        at: entry.at.format(&Rfc3339).unwrap_or_default(),
        changes: changes.collect(),
    }
}

impl From<MovementsError> for Problem {
    fn from(err: MovementsError) -> Problem {
        match err {
            MovementsError::Cursor => Problem::new(Code::InvalidParameter, "after: not a cursor of this list"),
            MovementsError::Store(err) => err.into(),
        }
    }
}
