//! `GET` and `PUT /api/v1/manage/stock/{sku}`: what is on the shelf, for staff.
//!
//! A write names what it saw (`If-Match`, `*` for whatever it is), so two stocktakes cannot hide each other.
use offpeak_domain::{code::Code, sku::Sku, stock::Level};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::stock::{self, Expected, MAIN},
};

pub(super) const ROOM: Room<App> = Room::http("manage_stock", include_str!("function.json"))
    .get(|app, call| answering(show(app, call)))
    .put(|app, call| answering(count(app, call)));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManageStockBody {
    location: String,
    on_hand: serde_json::Number,
}

#[derive(Serialize)]
struct ManageStockView {
    levels: [StockLevelView; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockLevelView {
    location: &'static str,
    on_hand: i64,
    allocated: i64,
    held: i64,
    available: i64,
}

async fn show(app: &App, call: Call) -> Result<Reply, Problem> {
    app.staff(&call, "read_stock").await?;
    let sku = Sku::parse(call.param("sku"))?;
    let level = stock::level(&app.shop.ports, &sku).await?;
    let level =
        level.ok_or_else(|| Problem::new(Code::NotFound, "This SKU was never counted. Set its level with PUT."))?;
    Ok(Reply::ok(&view(&level.value, app.shop.ports.clock.now()))?.etag(&level.etag.0))
}

async fn count(app: &App, call: Call) -> Result<Reply, Problem> {
    let caller = app.staff(&call, "write_stock").await?;
    let body: ManageStockBody = call.json()?;
    let sku = Sku::parse(call.param("sku"))?;
    if body.location != MAIN {
        return Err(Problem::invalid("location", "the only location is `main`"));
    }
    let on_hand = body.on_hand.as_i64().ok_or_else(|| Problem::invalid("onHand", "a whole number"))?;
    let expected = match call.if_match()? {
        Some("*") => Expected::Any,
        Some(etag) => Expected::Version(etag.to_owned()),
        None => return Err(Problem::new(Code::PreconditionRequired, "Send the ETag you read as If-Match, or *.")),
    };
    let level = stock::set_on_hand(&app.shop.ports, &sku, on_hand, expected, &caller.subject).await?;
    Ok(Reply::ok(&view(&level.value, app.shop.ports.clock.now()))?.etag(&level.etag.0))
}

fn view(level: &Level, now: OffsetDateTime) -> ManageStockView {
    let level = StockLevelView {
        location: MAIN,
        on_hand: level.on_hand,
        allocated: level.allocated,
        held: level.live_holds(now),
        available: level.available(now),
    };
    ManageStockView { levels: [level] }
}
